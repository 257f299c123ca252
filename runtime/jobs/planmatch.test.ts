/** Operators of a stored plan are found again by what their state is made of and where they stand, whatever their ids. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { AggregateNode, Plan, PlanNode } from '../../types/plan.js';
import { matchPlans, renumbered } from './planmatch.js';

const columns = ['a', 'b', 'c'].map(name => ({ name, type: { kind: 'int4' } as const }));
const base = { columns, appendOnly: true, key: null } as const;
const source = (id: number, relationName = 's'): PlanNode => ({
  ...base, op: 'source', id, inputs: [], relationId: id, relationName, connector: 'file', options: {}, watermark: null, splitWatermark: false, logId: null,
  fields: columns.map((c, ordinal) => ({ name: c.name, type: c.type, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal })),
});
const calc = (id: number, input: number, project: readonly number[], filter: string | null = null): PlanNode => ({
  ...base, op: 'calc', id, inputs: [input], columns: project.map(c => columns[c]), project: project.map(index => ({ node: 'column', index, type: columns[index].type })),
  filter: filter === null ? null : { node: 'literal', text: filter, type: { kind: 'bool' } },
});
const aggregate = (id: number, input: number, groupKeys: readonly number[], fn = 'sum(int4)', arg = 1): AggregateNode => ({
  ...base, op: 'aggregate', id, inputs: [input], appendOnly: false, key: [0], groupKeys, columns: [columns[0], { name: 'x', type: { kind: 'int8' } }], inputAppendOnly: true, closes: null,
  calls: [{ fn, args: [arg], distinct: false, filter: null, orderBy: [], type: { kind: 'int8' } }],
});
const view = (id: number, input: number, of: readonly { readonly name: string; readonly type: PlanNode['columns'][number]['type'] }[]): PlanNode => ({ ...base, op: 'materialize', id, inputs: [input], columns: of, appendOnly: false, key: [0], relationId: 1, relationName: `v${id}`, visible: of.length });
const plan = (...nodes: PlanNode[]): Plan => ({ version: 1, nodes, roots: [nodes[nodes.length - 1]?.id ?? 0] });
const query = (first: number, project: readonly number[] = [0, 1], filter: string | null = null, by = 0, arg = 1): Plan => {
  const sum = aggregate(first + 2, first + 1, [by], 'sum(int4)', arg);
  return plan(source(first), calc(first + 1, first, project, filter), sum, view(first + 3, first + 2, sum.columns));
};
const matched = (old: Plan, now: Plan): (number | null)[] => matchPlans(old, now, true).nodes.map(n => n.from?.id ?? null);

test('ids and places of columns do not matter; keys, arguments and functions do', () => {
  assert.deepEqual(matched(query(1), query(50)), [1, 3, 4]);
  assert.deepEqual(matched(query(1), query(50, [1, 0], null, 1, 0)), [1, 3, 4], 'the same columns in another order');
  assert.deepEqual(matched(query(1), query(50, [0, 2])), [1, null, null], 'a sum of another column');
  assert.deepEqual(matched(query(1), query(50, [1, 0])), [1, null, null], 'another key');
});

test('over append-only input another filter holds from now on, and is remarked', () => {
  const match = matchPlans(query(1), query(50, [0, 1], 'true'), true);
  assert.deepEqual(match.nodes.map(n => n.from?.id ?? null), [1, 3, 4]);
  assert.deepEqual([...match.remarks].map(n => n.op), ['aggregate']);
});

test('where rows are taken back, two operators are restored together or not at all', () => {
  const having = (first: number, filter: string | null): Plan => {
    const [from, below, sum] = query(first).nodes as [PlanNode, PlanNode, AggregateNode, PlanNode];
    const above: PlanNode = { ...calc(first + 5, first + 2, [0, 1], filter), columns: sum.columns, appendOnly: false };
    return plan(from, below, sum, above, view(first + 6, first + 5, sum.columns));
  };
  assert.deepEqual(matched(having(1, null), having(50, null)), [1, 3, 7]);
  const match = matchPlans(having(1, null), having(50, 'true'), true);
  assert.deepEqual(match.nodes.map(n => n.from?.id ?? null), [1, null, null], 'positions of the source alone');
  assert.match(match.nodes[1]?.why ?? '', /belong together/);
  assert.deepEqual(match.dropped.map(d => d.node.id), [3, 7]);
});

test('of operators alike each takes the one that reads what it reads', () => {
  const two = (first: number, names: readonly [string, string]): Plan => {
    const [one, other] = [aggregate(first + 2, first, [0]), aggregate(first + 3, first + 1, [0])];
    return plan(source(first, names[0]), source(first + 1, names[1]), one, other, view(first + 4, first + 2, one.columns), view(first + 5, first + 3, one.columns));
  };
  assert.deepEqual(matched(two(1, ['s', 't']), two(50, ['s', 't'])), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(matched(two(1, ['s', 't']), two(50, ['t', 's'])), [2, 1, 4, 3, 6, 5]);
});

test('the new plan takes the ids of its state, and fresh ones elsewhere', () => {
  const now = query(50, [0, 2]);
  const made = renumbered(now, matchPlans(query(1), now, true).ids, 10);
  assert.deepEqual(made.nodes.map(n => [n.id, ...n.inputs]), [[1], [10, 1], [11, 10], [12, 11]]);
  assert.deepEqual(made.roots, [12]);
});
