import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExtremeRowsNode, RowsNode } from '../../types/plan.js';
import { INT8, type SqlType, TEXT } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { parseDrawn } from '../drawn.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const TYPES: readonly SqlType[] = [TEXT, INT8, INT8];
const COLUMNS = TYPES.map((type, i) => ({ name: `c${i}`, type }));
const ENTRY: RowsNode = { op: 'rows', id: 1, inputs: [], columns: COLUMNS, appendOnly: false, key: [0, 1], rows: [], system: null };
/** Rows (partition, name, count). */
const NODE: ExtremeRowsNode = { op: 'extremerows', id: 2, inputs: [1], columns: COLUMNS, appendOnly: false, key: [0, 1], partition: [0], column: 2 };

test('the rows with the largest count come out, ties included, and give way to larger ones', async () => {
  const run = new TestRun([ENTRY, NODE]);
  await run.push(1, parseDrawn(TYPES, '+ a 1 3\n+ a 2 5\n+ b 1 1\n+ a 3 5\n+ . 1 9\n+ a 4 .'));
  await run.barrier();
  assert.equal(run.draw(2), '+ a 2 5\n+ a 3 5\n+ b 1 1');
  await run.push(1, parseDrawn(TYPES, '- a 1 3\n+ a 1 5'));
  await run.barrier();
  assert.equal(run.draw(2), '+ a 1 5');
  // −old and +new in any order, and steps that are overtaken within the epoch.
  await run.push(1, parseDrawn(TYPES, '+ a 2 6\n- a 2 5\n- a 2 6\n+ a 2 7\n- b 1 1\n+ b 1 2'));
  await run.barrier();
  assert.deepEqual(run.draw(2).split('\n').sort(), ['+ a 2 7', '+ b 1 2', '- a 1 5', '- a 2 5', '- a 3 5', '- b 1 1']);
  await run.push(1, parseDrawn(TYPES, '- a 3 5\n+ a 3 6'));
  await run.barrier();
  assert.equal(run.draw(2), '');
});

for (const evict of [false, true]) {
  test(`random growing counts: always the largest of each partition${evict ? ', evicted' : ''}`, async () => {
    const random = seeded(evict ? 3 : 4);
    const run = new TestRun([ENTRY, NODE], { evict });
    const content = new Content(TYPES);
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 40; epoch++) {
      const changes = new Map<string, number>();
      for (let n = random(60); n > 0; n--) { const k = `${random(6)} ${random(20)}`; changes.set(k, (changes.get(k) ?? counts.get(k) ?? 0) + 1 + random(3)); }
      const rows: Datum[][] = [];
      const weights: number[] = [];
      const row = (k: string, n: number): Datum[] => [`p${k.split(' ')[0] ?? ''}`, Number(k.split(' ')[1]), n];
      const olds = random(2) === 0;
      for (const [k] of changes) if (olds && counts.has(k)) { rows.push(row(k, counts.get(k) ?? 0)); weights.push(-1); }
      for (const [k, n] of changes) {
        if (!olds && counts.has(k)) { rows.push(row(k, counts.get(k) ?? 0)); weights.push(-1); }
        rows.push(row(k, n));
        weights.push(1);
        counts.set(k, n);
      }
      for (let from = 0; from < rows.length; from += 25) await run.push(1, batchFromDatums(TYPES, rows.slice(from, from + 25), weights.slice(from, from + 25)));
      await run.barrier();
      content.add(run.take(2));
      const best = new Map<string, number>();
      for (const [k, n] of counts) { const p = k.split(' ')[0] ?? ''; best.set(p, Math.max(best.get(p) ?? 0, n)); }
      const expected = [...counts].filter(([k, n]) => n === best.get(k.split(' ')[0] ?? '')).map(([k, n]) => `+ p${k} ${n}`).sort();
      assert.deepEqual(content.rows(), expected, `epoch ${epoch}`);
    }
    assert.equal(run.syncReads, 0);
  });
}
