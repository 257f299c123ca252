/** Changes of a Top-N and of a GROUP BY go to a sink as they come: only where they are net for its key, and they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, AggregateNode, CalcNode, PlanNode, RowsNode, SinkNode, TopNNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { INT4, INT8, TEXT } from '../../types/sqltype.js';
import { seeded } from '../../types/encoding/testdatums.js';
import type { Datum } from '../../types/value.js';
import { TestRun } from '../operators/testrun.js';
import { batchFromDatums } from '../vectors.js';
import { consolidate } from '../zset.js';
import { comesNet } from './sinkoperator.js';

const TYPES: readonly SqlType[] = [INT4, INT8, TEXT];
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));

interface Shape { readonly topn?: Partial<TopNNode>; readonly aggregate?: AggregateNode; readonly project?: readonly number[]; readonly filter?: CalcNode['filter']; readonly key?: readonly number[] | null }

function plan({ topn = {}, aggregate, project = [2, 0, 1], filter = null, key = [1] }: Shape): { sink: SinkNode; nodes: PlanNode[] } {
  const entry: RowsNode = { op: 'rows', id: 1, inputs: [], columns: columns(TYPES), appendOnly: true, key: null, rows: [], system: null };
  const first: PlanNode = aggregate ?? {
    op: 'topn', id: 2, inputs: [1], columns: columns(topn.rank === true ? [...TYPES, INT8] : TYPES), appendOnly: false, key: topn.rank === true ? [0, 3] : [0],
    fn: 'row_number', partition: [0], order: [{ column: 1, descending: true, nullsFirst: true }], from: 1, to: 1, rank: false, inputAppendOnly: true, ...topn,
  };
  const types = first.columns.map(c => c.type);
  const calc: CalcNode = { op: 'calc', id: 3, inputs: [2], columns: columns(project.map(i => types[i])), appendOnly: false, key, filter, project: project.map(index => ({ node: 'column', index, type: types[index] })) };
  const sink: SinkNode = { op: 'sink', visible: calc.columns.length, id: 4, inputs: [3], columns: calc.columns, appendOnly: false, key, relationId: 1, relationName: 's', connector: 'blackhole', options: {} };
  return { sink, nodes: [entry, first, calc, sink] };
}

const COUNT: AggregateCall = { fn: 'count()', args: [], type: INT8, distinct: false, filter: null, orderBy: [] };
const GROUPS: AggregateNode = {
  op: 'aggregate', id: 2, inputs: [1], columns: columns([INT4, TEXT, INT8]), appendOnly: false, key: [0, 1], groupKeys: [0, 2], calls: [COUNT], inputAppendOnly: false, closes: null,
};
const net = (shape: Shape): 'net' | 'pairs' | null => { const { sink, nodes } = plan(shape); return comesNet(sink, nodes); };

test('net are the changes of a Top-N by row number under its own key, with all columns', () => {
  assert.equal(net({}), 'net');
  assert.equal(net({ topn: { rank: true, to: 10 }, project: [0, 3, 1, 2], key: [0, 1] }), 'net');
  assert.equal(net({ project: [0, 1], key: [0] }), 'pairs', 'rows that differed may be equal without a column');
  assert.equal(net({ topn: { to: 3 } }), null, 'without the rank a key has several rows');
  assert.equal(net({ topn: { fn: 'rank', rank: true, to: 3 }, project: [0, 3, 1, 2], key: [0, 1] }), null, 'peers have one rank');
  assert.equal(net({ key: [0] }), null, 'another key');
  assert.equal(net({ key: null }), null);
  assert.equal(net({ filter: { node: 'column', index: 0, type: INT4 } }), 'net', 'one row of a pair may go, which leaves a deletion or a new row');
});

test('net are the changes of a GROUP BY under its keys; pairs what is computed from them', () => {
  assert.equal(net({ aggregate: GROUPS, project: [1, 2, 0], key: [0, 2] }), 'net');
  assert.equal(net({ aggregate: GROUPS, project: [1, 0], key: [0, 1] }), 'pairs');
  assert.equal(net({ aggregate: GROUPS, project: [1, 2, 0], key: [0] }), null, 'without one of the keys');
  assert.equal(net({ aggregate: { ...GROUPS, closes: { keyIndex: 0, addUs: 1, emitOnClose: true } }, project: [1, 2, 0], key: [0, 2] }), null, 'output when groups close');
  const { nodes } = plan({});
  assert.equal(comesNet({ ...plan({}).sink, key: [0] }, nodes.filter((n) => n.op !== 'topn')), null, 'an input in another fragment');
});

test('what such an operator gives in an epoch cannot be consolidated further', async () => {
  const shapes: Shape[] = [{}, { rank: true, to: 3 }, { from: 2, to: 2 }, { inputAppendOnly: false }, { inputAppendOnly: false, rank: true, to: 40 }].map((topn) => ({ topn }));
  for (const shape of [...shapes, { aggregate: GROUPS }, { aggregate: { ...GROUPS, columns: columns([INT4, INT8]), key: [0], groupKeys: [0] } }]) {
    const { nodes } = plan({ ...shape, project: [0, 1], key: [0] });
    const node = nodes[1] as TopNNode | AggregateNode;
    const run = new TestRun(nodes.slice(0, 2));
    const random = seeded(5);
    const held: Datum[][] = [];
    for (let epoch = 0; epoch < 30; epoch++) {
      for (let k = 0; k < 4; k++) {
        const rows: Datum[][] = [];
        const weights: number[] = [];
        for (let r = 0; r < 20; r++) {
          const gone = node.inputAppendOnly ? undefined : held[random(held.length * 3 + 1)];
          const row = gone ?? [random(8), random(1000), `t${random(3)}`];
          if (gone === undefined) held.push(row);
          else held.splice(held.indexOf(gone), 1);
          rows.push(row);
          weights.push(gone === undefined ? 1 : -1);
        }
        await run.push(1, batchFromDatums(TYPES, rows, weights));
      }
      await run.barrier();
      const out = run.take(2);
      assert.ok(epoch > 0 || out.length > 0);
      const whole = consolidate(node.columns.map(c => c.type), out, node.key, false);
      assert.ok(whole.length === out.length && whole.every((b, i) => b === out[i]), 'the batches go on as they are');
    }
  }
});
