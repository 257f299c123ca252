import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, PlanNode } from '../../types/plan.js';
import { INT8, type Column } from '../../types/sqltype.js';
import { channelPairs, cutPlan, edgeColumns, firstKeyGroup, subtaskOfKeyGroup, type Fragment } from './fragment.js';

const columns: Column[] = [{ name: 'a', type: INT8 }];
const common = (id: number, inputs: number[]): { id: number; inputs: number[]; columns: Column[]; appendOnly: boolean; key: null } => ({ id, inputs, columns, appendOnly: false, key: null });
const table = (id: number): PlanNode => ({ ...common(id, []), op: 'table', tableId: id, tableName: 't', fields: [0], storedTypes: [INT8] });
const exchange = (id: number, input: number, kind: 'hash' | 'single' = 'hash'): PlanNode => ({ ...common(id, [input]), op: 'exchange', kind, keys: kind === 'hash' ? [0] : [] });
const union = (id: number, ...inputs: number[]): PlanNode => ({ ...common(id, inputs), op: 'union' });
const view = (id: number, input: number): PlanNode => ({ ...common(id, [input]), op: 'materialize', relationId: id, relationName: 'v', visible: 1 });
const plan = (...nodes: PlanNode[]): Plan => ({ version: 1, nodes, roots: [] });

const drawn = (fragments: readonly Fragment[]): string[] => fragments.map(f =>
  `${f.id} x${f.parallelism}: ${f.nodes.map(n => n.id).join(' ')}${f.inbound.length === 0 ? '' : ` <- ${f.inbound.map(e => `${e.from} ${e.kind}`).join(', ')}`}`);

test('parallelism 1: one fragment, exchanges stay in it', () => {
  assert.deepEqual(drawn(cutPlan(plan(table(1), exchange(2, 1), view(3, 2)), 1)), ['0 x1: 1 2 3']);
});

test('a plan is cut at its exchanges; behind a single one there is one subtask', () => {
  assert.deepEqual(drawn(cutPlan(plan(table(1), exchange(2, 1), union(3, 2), exchange(4, 3, 'single'), view(5, 4)), 3)), [
    '0 x3: 1',
    '1 x3: 3 <- 1 hash',
    '2 x1: 5 <- 3 single',
  ]);
});

test('a node read directly and through an exchange by one reader goes forward to the later fragment, so that no fragment waits for itself', () => {
  assert.deepEqual(drawn(cutPlan(plan(table(1), exchange(2, 1), union(3, 1, 2)), 2)), [
    '0 x2: 1',
    '1 x2: 3 <- 1 forward, 1 hash',
  ]);
});

test('two readers of one exchange share a fragment and its channels', () => {
  assert.deepEqual(drawn(cutPlan(plan(table(1), exchange(2, 1), view(3, 2), view(4, 2)), 2)), [
    '0 x2: 1',
    '1 x2: 3 4 <- 1 hash',
  ]);
});

test('an aggregate that alone reads an exchange gets partial results, spread by its keys among them; DISTINCT and parallelism 1 get rows', () => {
  const two: Column[] = [{ name: 'a', type: INT8 }, { name: 'b', type: INT8 }];
  const spread: PlanNode = { ...common(2, [1]), columns: two, op: 'exchange', kind: 'hash', keys: [1] };
  const count = (id: number, distinct = false): PlanNode => ({
    ...common(id, [2]), op: 'aggregate', groupKeys: [1], calls: [{ fn: 'count(any)', args: [0], distinct, filter: null, orderBy: [], type: INT8 }], inputAppendOnly: true, closes: null,
  });
  const source: PlanNode = { ...common(1, []), columns: two, op: 'table', tableId: 1, tableName: 't', fields: [0, 1], storedTypes: [INT8, INT8] };
  const columnsById = new Map([[1, two]]);
  const [, reader] = cutPlan(plan(source, spread, count(3)), 2);
  assert.deepEqual(reader.inbound.map(e => [e.keys, edgeColumns(e, columnsById).map(c => c.name)]), [[[0], ['b', 'partial']]]);
  assert.ok(reader.nodes[0].op === 'aggregate' && reader.nodes[0].partialInput === true);
  for (const fragment of [...cutPlan(plan(source, spread, count(3, true)), 2), ...cutPlan(plan(source, spread, count(3), count(4)), 2), ...cutPlan(plan(source, spread, count(3)), 1)]) {
    assert.ok(fragment.inbound.every(e => e.partials === null && edgeColumns(e, columnsById) === two));
    assert.ok(fragment.nodes.every(n => n.op !== 'aggregate' || n.partialInput === undefined));
  }
});

test('a view node of a job\'s plan becomes a projection of its materialize node', () => {
  const read: PlanNode = { ...common(4, []), op: 'view', relationId: 3, relationName: 'v', jobId: 1, nodeId: 3, fields: [0] };
  const [fragment] = cutPlan(plan(table(1), view(3, 1), read, view(5, 4)), 1);
  assert.deepEqual(fragment.nodes.map(n => [n.id, n.op, n.inputs]), [[1, 'table', []], [3, 'materialize', [1]], [4, 'calc', [3]], [5, 'materialize', [4]]]);
});

test('a hash edge joins every pair of subtasks, a forward edge equal ones', () => {
  const fragments = cutPlan(plan(table(1), exchange(2, 1), union(3, 1, 2)), 2);
  const [forward, hash] = fragments[1].inbound;
  assert.deepEqual(channelPairs(forward, fragments), [{ from: 0, to: 0 }, { from: 1, to: 1 }]);
  assert.equal(channelPairs(hash, fragments).length, 4);
});

test('every key group belongs to exactly the subtask whose range holds it', () => {
  for (const max of [1, 2, 7, 128]) {
    for (let p = 1; p <= Math.min(max, 9); p++) {
      for (let g = 0; g < max; g++) {
        const s = subtaskOfKeyGroup(g, p, max);
        assert.ok(g >= firstKeyGroup(s, p, max) && g < firstKeyGroup(s + 1, p, max), `group ${g} of ${max} at ${p}`);
      }
      assert.equal(firstKeyGroup(p, p, max), max);
    }
  }
});
