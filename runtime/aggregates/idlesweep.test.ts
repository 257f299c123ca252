import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyBatch } from '../keys.js';
import { PageAllocator } from '../state/pages.js';
import { HashStateTable } from '../state/statetable.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { IdleSweep } from './idlesweep.js';

function key(n: number): KeyBatch {
  const data = new Uint8Array(new Uint32Array([n]).buffer);
  return { length: 1, data, start: new Int32Array([0]), end: new Int32Array([4]), hash: new Int32Array([hashBytes(data, 0, 4)]), anyNull: null };
}

/** A table of `rows` values that were all written at 1 µs, their time in the second cell. */
function written(rows: number): HashStateTable {
  const table = new HashStateTable({ tableId: 1, maxParallelism: 128, pages: new PageAllocator(), hash: hashBytes, tracking: true, cold: null });
  for (let n = 0; n < rows; n++) {
    const slot = table.findOrInsert(key(n), 0, 16);
    table.page(slot).f64[(table.offset(slot) >>> 3) + 1] = 1;
  }
  return table;
}

const RESIDENT = (): null => null;

test('a pass that had to make room for others is made in one go when the next is due, and misses nothing', async () => {
  const table = written(50_000);
  const sweep = new IdleSweep(table, 800, 1);
  await sweep.collect(1000, RESIDENT);
  const first = sweep.take()?.length ?? 0;
  assert.ok(first > 0 && first < 50_000, `${first}`);
  assert.equal(table.readersOpen, 1);
  table.failReaders();
  await sweep.collect(1001, RESIDENT);
  assert.deepEqual([sweep.take(), table.readersOpen], [null, 0], 'given up, and nothing lost: nothing was deleted');
  assert.equal(sweep.collect(1050, RESIDENT), null, 'not due yet');
  await sweep.collect(1100, RESIDENT);
  assert.equal(sweep.take()?.length, 50_000);
  assert.equal(table.readersOpen, 0);
});

test('a pass asks for what it found once, and begins an eighth of the time after the last one began', async () => {
  const table = written(10);
  const sweep = new IdleSweep(table, 800, 1);
  const asked: number[] = [];
  const load = (keys: KeyBatch): null => { asked.push(keys.length); return null; };
  await sweep.collect(500, load);
  assert.deepEqual([asked, sweep.take()], [[], null], 'none is old enough');
  assert.equal(sweep.collect(599, load), null);
  await sweep.collect(801, load);
  assert.deepEqual(asked, [10]);
  assert.equal(sweep.take()?.length, 10);
  assert.equal(sweep.take(), null);
  assert.equal(new IdleSweep(written(0), 800, 1).collect(5000, load), null, 'an empty table is not read');
});

test('a time below zero counts when it is kept so, and a place in a list does not', async () => {
  const table = written(3);
  for (const [n, cell] of [[0, -1], [1, 1], [2, -900]] as const) {
    const slot = table.find(key(n), 0);
    table.page(slot).f64[table.offset(slot) >>> 3] = cell;
  }
  const sweep = new IdleSweep(table, 800, 0, true);
  await sweep.collect(1000, RESIDENT);
  const due = sweep.take();
  assert.equal(due?.length, 1);
  assert.equal(due?.equals(0, key(0), 0), true);
});
