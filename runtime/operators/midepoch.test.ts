/** Checkpoints in the midst of an epoch change nothing that its end shows: every operator with and without them, over random changes, in memory and evicted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, PlanNode } from '../../types/plan.js';
import { type Column, INT4, INT8, NUMERIC, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { seeded } from '../../types/encoding/testdatums.js';
import { parseDrawn } from '../drawn.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';

const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const entry = (id: number, types: readonly SqlType[], appendOnly: boolean): PlanNode => ({ op: 'rows', id, inputs: [], columns: columns(types), appendOnly, key: null, rows: [], system: null });
const call = (fn: string, args: readonly number[], type: SqlType, more: Partial<AggregateCall> = {}): AggregateCall => ({ fn, args, distinct: false, filter: null, orderBy: [], type, ...more });

/** A key, a text, a number, an event time, and the split's watermark before the row. */
const ROW = [INT4, TEXT, INT8, TIMESTAMP, TIMESTAMP];
const base = { appendOnly: false, key: null };
const SECOND = 1_000_000;
const DESC = [{ column: 2, descending: true, nullsFirst: true }];
const sums = [call('count()', [], INT8), call('sum(int8)', [2], NUMERIC)];
const aggregate = (calls: readonly AggregateCall[], more: object = {}): PlanNode =>
  ({ op: 'aggregate', id: 3, inputs: [1], ...base, columns: columns([INT4, ...calls.map(c => c.type)]), groupKeys: [0], calls, inputAppendOnly: false, closes: null, ...more });
const join = (kind: 'inner' | 'left' | 'full' | 'anti', appendOnly: boolean): PlanNode => ({
  op: 'join', id: 3, inputs: [1, 2], ...base, columns: columns(kind === 'anti' ? ROW : [...ROW, ...ROW]), kind, leftKeys: [0], rightKeys: [0], residual: null, leftAppendOnly: appendOnly, rightAppendOnly: appendOnly,
});

interface Case { readonly name: string; readonly appendOnly: boolean; readonly nodes: readonly PlanNode[]; readonly watermarks?: true }
const cases: readonly Case[] = [
  { name: 'sums', appendOnly: false, nodes: [aggregate(sums)] },
  { name: 'min, max, count distinct', appendOnly: false, nodes: [aggregate([call('max(int8)', [2], INT8), call('min(text)', [1], TEXT), call('count(any)', [1], INT8, { distinct: true })])] },
  { name: 'counts of counts', appendOnly: false, nodes: [aggregate(sums), { op: 'aggregate', id: 4, inputs: [3], ...base, columns: columns([INT8, INT8]), groupKeys: [1], calls: [call('count()', [], INT8)], inputAppendOnly: false, closes: null }] },
  {
    name: 'groups that a watermark closes', appendOnly: true, watermarks: true,
    nodes: [aggregate(sums, { groupKeys: [3], columns: columns([TIMESTAMP, INT8, NUMERIC]), inputAppendOnly: true, closes: { keyIndex: 0, addUs: 0, emitOnClose: false } })],
  },
  { name: 'results at the close', appendOnly: true, watermarks: true, nodes: [aggregate(sums, { groupKeys: [3], columns: columns([TIMESTAMP, INT8, NUMERIC]), inputAppendOnly: true, closes: { keyIndex: 0, addUs: 0, emitOnClose: true } })] },
  ...(['inner', 'left', 'full', 'anti'] as const).map((kind): Case => ({ name: `${kind} join`, appendOnly: false, nodes: [join(kind, false)] })),
  { name: 'join of rows that stay', appendOnly: true, nodes: [join('inner', true)] },
  ...([[false, 'rank', 3], [false, 'row_number', 2], [true, 'row_number', 1]] as const).map(([appendOnly, fn, to]): Case => ({
    name: `first ${to} by ${fn}${appendOnly ? ' of rows that stay' : ''}`, appendOnly,
    nodes: [{ op: 'topn', id: 3, inputs: [1], ...base, columns: columns(ROW), fn, partition: [0], order: DESC, from: 1, to, rank: false, inputAppendOnly: appendOnly }],
  })),
  {
    name: 'window functions', appendOnly: false,
    nodes: [{ op: 'over', id: 3, inputs: [1], ...base, columns: columns([...ROW, INT8]), partition: [0], order: DESC, calls: [{ fn: 'row_number()', args: [], filter: null, frame: { mode: 'rows', start: { kind: 'unbounded preceding' }, end: { kind: 'current row' } }, type: INT8 }] } as unknown as PlanNode],
  },
  {
    name: 'sessions', appendOnly: true, watermarks: true,
    nodes: [{ op: 'sessionaggregate', id: 3, inputs: [1], ...base, columns: columns([INT4, TIMESTAMP, TIMESTAMP, INT8, NUMERIC]), timeColumn: 3, partition: [0], gapUs: 3 * SECOND, lateColumn: 4, emitOnClose: false, keys: [0, 'start', 'end'], calls: sums }],
  },
  {
    name: 'rows of sessions', appendOnly: true, watermarks: true,
    nodes: [{ op: 'session', id: 3, inputs: [1], ...base, columns: columns([INT4, TEXT, INT8, TIMESTAMP, TIMESTAMP, TIMESTAMP]), timeColumn: 3, partition: [0], gapUs: 3 * SECOND, lateColumn: 4, emitOnClose: false, keep: [0, 1, 2, 3], inputAppendOnly: true }],
  },
  { name: 'a view', appendOnly: false, nodes: [aggregate(sums), { op: 'materialize', id: 4, inputs: [3], ...base, columns: columns([INT4, INT8, NUMERIC]), key: [0], relationId: 1, relationName: 'v', visible: 3 }] },
];

for (const evict of [false, true]) {
  for (const { name, appendOnly, nodes, watermarks } of cases) {
    test(`${name}${evict ? ', evicted at each barrier' : ''}`, async () => {
      const random = seeded(41);
      const plan = [entry(1, ROW, appendOnly), entry(2, ROW, appendOnly), ...nodes];
      const last = nodes[nodes.length - 1];
      const runs = [new TestRun(plan, { evict }), new TestRun(plan, { evict })];
      const contents = runs.map(() => new Content(last.columns.map(c => c.type)));
      const there: Datum[][][] = [[], []];
      let mark = 0;
      let shown = 0;
      // Pairs grow with the square of the rows.
      for (let epoch = 0; epoch < (nodes[0].inputs.length > 1 ? 8 : 40); epoch++) {
        for (let b = 0; b < 6; b++) {
          const input = last.inputs.length > 1 || nodes[0].inputs.length > 1 ? random(2) : 0;
          const rows: Datum[][] = [];
          const weights: number[] = [];
          for (let k = random(8); k >= 0; k--) {
            const old = there[input];
            if (!appendOnly && old.length > 0 && random(3) === 0) {
              const [row] = old.splice(random(old.length), 1);
              rows.push(row);
              weights.push(-1);
            } else {
              const row: Datum[] = [random(6), `t${random(9)}`, random(40), (mark + random(8)) * SECOND, mark * SECOND];
              old.push(row);
              rows.push(row);
              weights.push(1);
            }
          }
          for (const run of runs) await run.push(input + 1, batchFromDatums(ROW, rows, appendOnly ? null : weights));
          if (random(2) === 0) await runs[1].checkpoint();
          if (watermarks === true && random(2) === 0) {
            mark += random(3);
            for (const run of runs) await run.watermark(1, mark * SECOND);
            // Rows for what the watermark closes may still come in this epoch.
            if (random(2) === 0) await runs[1].checkpoint();
          }
        }
        for (const [k, run] of runs.entries()) {
          await run.barrier();
          contents[k].add(run.take(last.id));
        }
        shown += contents[0].rows().length;
        assert.deepEqual(contents[1].rows(), contents[0].rows(), `epoch ${epoch}`);
      }
      assert.ok(shown > 0);
    });
  }
}

test('what a look-up holds until the end of the epoch is owed at a checkpoint, and not looked up', async () => {
  const LEFT = [INT8, TEXT];
  const run = new TestRun([entry(1, LEFT, true), entry(2, LEFT, true), { op: 'lookup', id: 3, inputs: [1, 2], ...base, columns: columns([...LEFT, ...LEFT]), kind: 'inner', leftKeys: [0], rightKeys: [0], residual: null }]);
  await run.push(2, parseDrawn(LEFT, '+ 1 one'));
  await run.push(1, parseDrawn(LEFT, '+ 1 a'));
  await run.push(2, parseDrawn(LEFT, '- 1 one'));
  await run.checkpoint();
  assert.equal(run.draw(3), '');
  const owed = run.driver.operator(3)?.owed?.() ?? [];
  assert.deepEqual(owed.map(o => [o.input, o.batch.length, o.keys]), [[0, 1, [0]]]);
  await run.push(2, parseDrawn(LEFT, '+ 1 uno'));
  await run.barrier();
  assert.equal(run.draw(3), '+ 1 a 1 uno');
  assert.deepEqual(run.driver.operator(3)?.owed?.(), []);
});
