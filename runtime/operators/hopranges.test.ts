import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, AggregateNode, PlanNode, RowsNode, WindowNode } from '../../types/plan.js';
import { INT8, NUMERIC, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Column } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const INPUT: readonly SqlType[] = [TIMESTAMP, TIMESTAMP, TEXT, INT8];
const SECOND = 1_000_000;
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const call = (fn: string, args: readonly number[], type: SqlType): AggregateCall => ({ fn, args, distinct: false, filter: null, orderBy: [], type });

/** Rows (time, split watermark, k, v) → HOP → GROUP BY; with `ranges` as the planner fuses it. Windows in the order `keys` says: s, e, k. */
function plan(size: number, slide: number, offset: number, keys: readonly ('s' | 'e' | 'k')[], appendOnly: boolean, ranges: boolean, emitOnClose: boolean): PlanNode[] {
  const entry: RowsNode = { op: 'rows', id: 1, inputs: [], columns: columns(INPUT), appendOnly, key: null, rows: [], system: null };
  const window: WindowNode = {
    op: 'window', id: 2, inputs: [1], columns: columns([...INPUT, TIMESTAMP, TIMESTAMP]), appendOnly, key: null, timeColumn: 0, sizeUs: size, slideUs: slide, offsetUs: offset, lateColumn: 1,
    ...(ranges ? { ranges: true } : {}),
  };
  const calls = [call('count()', [], INT8), call('sum(int8)', [3], NUMERIC), ...(appendOnly ? [call('max(int8)', [3], INT8)] : [])];
  const at = { s: 4, e: 5, k: 2 };
  const start = keys.indexOf('s');
  const end = keys.indexOf('e');
  const edge = end >= 0 ? end : start;
  const groupKeys = keys.map((k) => at[k]);
  const node: AggregateNode = {
    op: 'aggregate', id: 3, inputs: [2], columns: columns([...groupKeys.map((k) => window.columns[k].type), ...calls.map((c) => c.type)]), appendOnly: false, key: keys.map((_, i) => i), groupKeys, calls, inputAppendOnly: appendOnly,
    closes: appendOnly ? { keyIndex: edge, addUs: end >= 0 ? 0 : size, emitOnClose } : null,
    ...(ranges ? { hop: { first: 4, last: 5, sizeUs: size, slideUs: slide, start: start < 0 ? null : start, end: end < 0 ? null : end } } : {}),
  };
  return [entry, window, node];
}

const CASES = [
  [1, 10, 2, 0, ['s', 'k'], true, false], [2, 10, 3, 1, ['k', 's', 'e'], true, false], [3, 7, 2, 0, ['e', 'k'], true, true], [4, 10, 2, 0, ['k', 's'], false, false], [5, 9, 4, 3, ['s', 'k'], true, true],
] as const;
for (const [seed, size, slide, offset, keys, appendOnly, emitOnClose] of CASES) {
  for (const evict of [false, true]) {
    test(`ranges of windows give what rows of every window give, late ones too (HOP ${slide} s, ${size} s, by ${keys.join()}, ${appendOnly ? 'append-only' : 'with retractions'}${emitOnClose ? ', on close' : ''}${evict ? ', evicted' : ''})`, async () => {
      const random = seeded(seed);
      const [byRow, byRange] = [false, true].map((ranges) => new TestRun(plan(size * SECOND, slide * SECOND, offset * SECOND, keys, appendOnly, ranges, emitOnClose), { evict: evict && ranges })) as [TestRun, TestRun];
      const types = plan(size, slide, offset, keys, appendOnly, false, false)[2]?.columns.map((c) => c.type) ?? [];
      const contents = [new Content(types), new Content(types)] as const;
      const rows: Datum[][] = [];
      let now = 0;
      for (let epoch = 0; epoch < 12; epoch++) {
        for (let b = random(4); b > 0; b--) {
          const batch: Datum[][] = [];
          const weights: number[] = [];
          for (let n = 1 + random(40); n > 0; n--) {
            if (!appendOnly && rows.length > 0 && random(3) === 0) {
              batch.push(...rows.splice(random(rows.length), 1));
              weights.push(-1);
              continue;
            }
            const time = random(15) === 0 ? null : (now - random(25) + random(5)) * SECOND + random(SECOND);
            const row = [time, random(10) === 0 || !appendOnly ? null : (now - 6) * SECOND, ['a', 'b', null][random(3)] ?? null, random(6) === 0 ? null : random(100)];
            if (!appendOnly) rows.push(row);
            batch.push(row);
            weights.push(1);
          }
          for (const run of [byRow, byRange]) await run.push(1, batchFromDatums(INPUT, batch, weights));
          now += random(4);
          if (random(3) === 0) for (const run of [byRow, byRange]) await run.watermark(1, (now - 6) * SECOND);
        }
        for (const run of [byRow, byRange]) await run.barrier();
        contents[0].add(byRow.take(3));
        contents[1].add(byRange.take(3));
        assert.deepEqual(contents[1].rows(), contents[0].rows(), `epoch ${epoch}`);
      }
      for (const run of [byRow, byRange]) await run.end();
      contents[0].add(byRow.take(3));
      contents[1].add(byRange.take(3));
      assert.deepEqual(contents[1].rows(), contents[0].rows(), 'at the end');
      assert.ok(contents[0].rows().length > 10);
    });
  }
}
