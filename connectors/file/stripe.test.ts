import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SourceReader } from '../../runtime/connector.js';
import type { Json } from '../../types/connect.js';
import { seeded } from '../../types/encoding/testdatums.js';
import { TestContext, readByBorders, readRows, sourceField } from '../testing.js';
import { fileSource } from './source.js';
import { STRIPE_BYTES, StripeTail } from './stripe.js';

const dir = mkdtempSync(path.join(tmpdir(), 'millrace-stripe-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Lines of a stripe from a position, each with the position after it. */
async function stripeLines(file: string, index: number, count: number, blockBytes: number, at = 0): Promise<{ line: string; at: number; after: number }[]> {
  const tail = await StripeTail.openAt(file, at, { index, count }, true, blockBytes);
  const lines: { line: string; at: number; after: number }[] = [];
  try {
    for (let b = await tail.next(); b !== null; b = await tail.next()) {
      for (let p = b.from; p < b.to;) {
        const end = b.block.indexOf(10, p);
        const to = end < 0 || end >= b.to ? b.to : end;
        const next = Math.min(to + 1, b.to);
        lines.push({ line: b.block.toString('latin1', p, to), at: b.base + p, after: b.base + next });
        p = next;
      }
      tail.recycle(b);
    }
  } finally {
    await tail.close();
  }
  return lines;
}

test('the stripes of a file hold each line once, in order, whatever the lengths of lines and blocks', async () => {
  const r = seeded(51);
  for (let round = 0; round < 60; round++) {
    const lines = Array.from({ length: r(40) }, (_, i) => `${i}${'x'.repeat(r(6) === 0 ? r(300) : r(20))}${r(5) === 0 ? '\r' : ''}`);
    if (r(3) === 0) for (let k = 0; k < lines.length; k++) if (r(4) === 0) lines[k] = '';
    const file = path.join(dir, `lines${round}`);
    const content = lines.join('\n') + (r(2) === 0 || lines.at(-1) === '' ? '\n' : '');
    writeFileSync(file, content);
    const expected: { line: string; at: number; after: number }[] = [];
    for (let p = 0; p < content.length;) {
      const end = content.indexOf('\n', p) < 0 ? content.length : content.indexOf('\n', p);
      expected.push({ line: content.slice(p, end), at: p, after: Math.min(end + 1, content.length) });
      p = end + 1;
    }
    const blockBytes = 1 + r(60);
    const count = 1 + r(4);
    const stripes: { line: string; at: number; after: number }[][] = [];
    for (let index = 0; index < count; index++) stripes.push(await stripeLines(file, index, count, blockBytes));
    for (const s of stripes) assert.ok(s.every((x, i) => i === 0 || s[i - 1].at < x.at));
    assert.deepEqual(stripes.flat().sort((a, b) => a.at - b.at), expected, `round ${round}`);
    // A reader that begins after any line of its stripe gives the rest of it.
    const index = r(count);
    const own = stripes[index];
    for (let k = 0; k < own.length; k += 1 + r(3)) assert.deepEqual(await stripeLines(file, index, count, blockBytes, own[k].after), own.slice(k + 1), `round ${round}, after ${own[k].at}`);
  }
});

const FIELDS = [sourceField('a', { kind: 'int4' }), sourceField('s', { kind: 'text' }, { ordinal: 1 }), sourceField('o', { kind: 'int8' }, { metadata: 'offset', ordinal: 2 })];
const COUNT = 24_000;
const big = path.join(dir, 'big.ndjson');
const lines = Array.from({ length: COUNT }, (_, i) => JSON.stringify({ a: i, s: `${'é'.repeat((i * 7) % 100)}${i % 5 === 0 ? '\n' : ''}` }));
writeFileSync(big, lines.join('\n'));

function reader(subtask: number, parallelism: number, context: TestContext, options: Record<string, string> = {}): SourceReader {
  return fileSource.create({ jobId: 1, nodeId: 1, relationName: 's', options: { path: big, ...options }, fields: FIELDS, subtask, parallelism }, context);
}
async function whole(subtask: number, parallelism: number, positions: Record<string, Json> = {}): Promise<string[]> {
  const c = new TestContext();
  const r = reader(subtask, parallelism, c);
  await r.open(positions);
  const got = await readRows(r, c, FIELDS);
  assert.ok(got.ended);
  await r.close();
  return got.rows;
}
const byNumber = (a: string, b: string): number => Number.parseInt(a, 10) - Number.parseInt(b, 10);

test('subtasks share one bounded file out by stripes; each continues at its own position after a restore', async () => {
  assert.ok(Buffer.byteLength(lines.join('\n')) > 2 * STRIPE_BYTES);
  const one = await whole(0, 1);
  assert.equal(one.length, COUNT);
  for (const parallelism of [2, 3]) {
    const parts: string[][] = [];
    for (let s = 0; s < parallelism; s++) parts.push(await whole(s, parallelism));
    assert.deepEqual(parts.flat().sort(byNumber), one);
    assert.ok(parts.every(p => p.length > 0));
    for (let s = 0; s < parallelism; s++) {
      for (const stop of [1, 3000, 9000]) {
        const c = new TestContext();
        const r = reader(s, parallelism, c);
        await r.open({});
        const first = await readRows(r, c, FIELDS, stop);
        await r.close();
        assert.deepEqual([...first.rows, ...await whole(s, parallelism, JSON.parse(JSON.stringify(first.positions)) as Record<string, Json>)], parts[s]);
      }
    }
  }
});

test('a stripe is read up to the position of another reader of it, and on from there', async () => {
  for (let s = 0; s < 2; s++) {
    const borders: Record<string, Json>[] = [];
    for (const stop of [2000, 9500]) {
      const c = new TestContext();
      const r = reader(s, 2, c);
      await r.open({});
      borders.push((await readRows(r, c, FIELDS, stop)).positions);
      await r.close();
    }
    const c = new TestContext();
    const r = reader(s, 2, c);
    await r.open({});
    assert.deepEqual(await readByBorders(r, c, FIELDS, 100, borders), await whole(s, 2));
    await r.close();
  }
});

test('a file that is followed, one of CSV and one whose line numbers are read stay one split', async () => {
  const small = path.join(dir, 'small');
  writeFileSync(small, '{"a":1}\n'.repeat(5));
  const line = sourceField('l', { kind: 'int8' }, { metadata: 'line' });
  const splits = async (options: Record<string, string>, extra = false): Promise<string[]> => {
    const names: string[] = [];
    for (let s = 0; s < 2; s++) {
      const r = fileSource.create({ jobId: 1, nodeId: 1, relationName: 's', options: { path: small, ...options }, fields: extra ? [...FIELDS, line] : FIELDS, subtask: s, parallelism: 2 }, new TestContext());
      await r.open({});
      names.push(...r.unreadSplits());
      await r.close();
    }
    return names.sort();
  };
  assert.deepEqual(await splits({}), [`${small}#0/2`, `${small}#1/2`]);
  assert.deepEqual(await splits({ follow: 'true' }), [small]);
  assert.deepEqual(await splits({ format: 'csv' }), [small]);
  assert.deepEqual(await splits({}, true), [small]);
});

test('a bad record of a stripe is named by its line in the file', async () => {
  const file = path.join(dir, 'bad.ndjson');
  const good = `{"a":1,"s":"${'y'.repeat(500)}"}\n`;
  const at = [3, 1500, 4000];
  writeFileSync(file, Array.from({ length: 5000 }, (_, i) => (at.includes(i) ? '{"a":"no"}\n' : good)).join(''));
  const places: string[] = [];
  for (let s = 0; s < 2; s++) {
    const c = new TestContext('skip');
    const r = fileSource.create({ jobId: 1, nodeId: 1, relationName: 's', options: { path: file, on_error: 'dead_letter' }, fields: FIELDS, subtask: s, parallelism: 2 }, c);
    await r.open({});
    await readRows(r, c, FIELDS);
    await r.close();
    places.push(...c.bad.map(b => b.position));
  }
  assert.deepEqual(places.map(p => Number(/:(\d+) \(byte/.exec(p)?.[1])).sort((a, b) => a - b), at.map(i => i + 1));
});
