import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PageAllocator } from './pages.js';
import { CHUNK_BYTES } from './rowchunks.js';
import { RowLog, type LogRange } from './rowlog.js';
import { MapLogStore, testHash, testKeys } from './testkeys.js';
import { seeded } from '../../types/encoding/testdatums.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function rowLog(timed = false, store: MapLogStore | null = null): RowLog {
  const log = new RowLog({ tableId: 1, pages: new PageAllocator(), hash: testHash, store });
  log.timed = timed;
  return log;
}

/** A third of the keys have eight bytes, and so no length beside them. */
const keyOf = (k: number): string => (k % 3 === 0 ? `k${String(k).padStart(7, '0')}` : `k${k}`);

function add(log: RowLog, key: string, row: string, us = 0, count = 1): void {
  const data = encoder.encode(`${row}.`);
  log.add(testKeys([key]), 0, { data, start: Int32Array.of(0), end: Int32Array.of(data.length) }, count, us);
}

/** Rows of the key, newest first. */
async function rows(log: RowLog, key: string): Promise<string[]> {
  const keys = testKeys([key]);
  await log.prefetch(keys);
  const out: string[] = [];
  for (let more = log.first(keys, 0); more; more = log.next()) out.push(decoder.decode(log.data.subarray(log.rowAt, log.data.indexOf(46, log.rowAt))) + (log.count === 1 ? '' : `×${log.count}`));
  return out;
}

test('rows of a key come newest first, with their counts, whatever their size', async () => {
  const log = rowLog();
  const large = 'x'.repeat(3 * CHUNK_BYTES);
  add(log, 'a', '1');
  add(log, 'b', '2', 0, 7);
  add(log, 'a', large);
  add(log, 'a', '3', 0, 2);
  add(log, 'c', 'y'.repeat(CHUNK_BYTES - 100));
  add(log, 'a', '4');
  assert.deepEqual(await rows(log, 'a'), ['4', '3×2', large, '1']);
  assert.deepEqual(await rows(log, 'b'), ['2×7']);
  assert.deepEqual(await rows(log, 'd'), []);
  for (const key of ['8 bytes.', '9 bytes..', '7 byte.']) for (const [row, count] of [['5', 1], ['6', -3], [large, 1]] as const) add(log, key, row, 0, count);
  for (const key of ['8 bytes.', '9 bytes..', '7 byte.']) assert.deepEqual(await rows(log, key), [large, '6×-3', '5']);
  assert.equal(log.rows, 15);
});

test('keys with one hash do not see each other', async () => {
  const log = rowLog();
  const keys = testKeys(['a', 'b', 'cc']);
  keys.hash.fill(5);
  const data = encoder.encode('1.2.3.');
  const spans = { data, start: Int32Array.of(0, 2, 4), end: Int32Array.of(2, 4, 6) };
  for (let round = 0; round < 3; round++) for (let i = 0; i < 3; i++) log.add(keys, i, spans, 1);
  for (let i = 0; i < 3; i++) {
    let n = 0;
    for (let more = log.first(keys, i); more; more = log.next()) { n++; assert.equal(log.data[log.rowAt], 49 + i); }
    assert.equal(n, 3);
  }
});

for (const evict of [false, true]) {
  test(`rows past their time go, all others stay${evict ? ', also outside memory' : ''}`, async () => {
    const store = new MapLogStore();
    const log = rowLog(true, store);
    const random = seeded(3);
    let model: { key: string; row: string; us: number }[] = [];
    let now = 0;
    let most = 0;
    for (let step = 0; step < 30_000; step++) {
      now += random(10);
      const row = { key: keyOf(random(300)), row: `${step} ${'z'.repeat(random(100))}`, us: now + 5000 + random(1000) + (random(3000) === 0 ? 1e6 : 0) };
      add(log, row.key, row.row, row.us, 1);
      model.push(row);
      if (step % 500 === 499) {
        log.trim(now);
        await log.settled();
        log.trim(now);
        model = model.filter((r) => r.us > now);
        if (evict) {
          await log.spill(Infinity);
          log.evict(Infinity);
        }
        most = Math.max(most, log.memoryBytes);
      }
      if (step % 3000 === 2999) {
        for (let k = 0; k < 300; k++) {
          const found = (await rows(log, keyOf(k))).sort();
          const alive = model.filter((r) => r.key === keyOf(k)).map((r) => r.row).sort();
          // Chunks go as a whole: more may be there, never less, and nothing twice.
          assert.deepEqual(alive.filter((r) => !found.includes(r)), []);
          assert.equal(new Set(found).size, found.length);
        }
      }
    }
    assert.ok(log.rows < model.length + (evict ? 10_000 : 4000), `${log.rows} rows for ${model.length} alive`);
    assert.ok(most < 1e6, `${most} bytes at most`);
    log.trim(Infinity);
    await log.settled();
    assert.ok(log.rows < 10_000);
    if (evict) assert.ok(store.pieces.size < 10_000, 'what was trimmed is deleted from the store');
  });
}

test('a captured range stays as it was while rows are added, trimmed and evicted, and puts a log back', async () => {
  const store = new MapLogStore();
  const log = rowLog(true, store);
  const copies: { range: LogRange; of: RowLog }[] = [];
  let from = 0;
  for (let step = 0; step < 20_000; step++) {
    add(log, keyOf(step % 50), `${step} ${'w'.repeat(step % 90)}`, step, step % 70 === 0 ? 2 : 1);
    if (step === 9000) {
      await log.spill(Infinity);
      log.evict(Infinity);
    }
    if (step === 10_000) {
      for (const range of log.capture(0)) copies.push({ range, of: log });
      from = log.position;
      assert.ok(copies.some((c) => c.range.bytes === null), 'some of it is outside memory');
    }
    if (step === 15_000) log.trim(9_000);
  }
  const restored = rowLog(true);
  for (const { range, of } of copies) restored.restore(range.position, await of.read(range));
  log.release();
  await log.settled();
  assert.equal(restored.rows, 10_001);
  assert.equal(restored.position, from);
  for (let k = 0; k < 50; k++) {
    const expected: string[] = [];
    for (let step = k; step <= 10_000; step += 50) expected.push(`${step} ${'w'.repeat(step % 90)}${step % 70 === 0 ? '×2' : ''}`);
    assert.deepEqual(await rows(restored, keyOf(k)), expected.reverse());
  }
  // The rest follows where it ended, without what was trimmed.
  for (const range of log.capture(from)) restored.restore(range.position, await log.read(range));
  log.release();
  assert.equal(restored.position, log.position);
  assert.equal((await rows(restored, 'k7')).length, 400);
  restored.trim(9_000);
  assert.equal((await rows(restored, 'k7')).length, (await rows(log, 'k7')).length);
});

test('a log without rows, or with its last chunk only, can be frozen, trimmed and restored', async () => {
  const log = rowLog(true);
  assert.deepEqual(log.capture(0), []);
  log.release();
  log.trim(Infinity);
  add(log, 'a', '1', 5);
  log.trim(Infinity);
  const [range] = log.capture(0);
  assert.ok(range !== undefined);
  const restored = rowLog();
  restored.restore(range.position, await log.read(range));
  assert.deepEqual(await rows(restored, 'a'), ['1']);
  add(restored, 'a', '2');
  assert.deepEqual(await rows(restored, 'a'), ['2', '1']);
});
