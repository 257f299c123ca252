/** state_ttl: what goes, when, and what the view above shows. Time is that of the barriers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, AggregateNode, JoinNode, MaterializeNode, PlanNode, RowsNode, TopNNode } from '../../types/plan.js';
import { type Column, INT4, INT8, type SqlType, TEXT } from '../../types/sqltype.js';
import { draw, parseDrawn } from '../drawn.js';
import { MaterializeOperator } from './materialize.js';
import { Content, TestRun } from './testrun.js';

const ROW: readonly SqlType[] = [INT4, INT4];
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const entry = (id: number, types = ROW): RowsNode => ({ op: 'rows', id, inputs: [], columns: columns(types), appendOnly: true, key: null, rows: [], system: null });
const call = (fn: string, args: readonly number[], type: SqlType, distinct = false): AggregateCall => ({ fn, args, distinct, filter: null, orderBy: [], type });
const aggregate = (calls: readonly AggregateCall[], expires = true): AggregateNode => ({
  op: 'aggregate', id: 2, inputs: [1], columns: columns([INT4, ...calls.map(c => c.type)]), appendOnly: calls.length === 0, key: [0], groupKeys: [0], calls, inputAppendOnly: true, closes: null, ...(expires ? { expires: true } : {}),
});
const view = (types: readonly SqlType[], appendOnly = false): MaterializeNode => ({ op: 'materialize', id: 3, inputs: [2], columns: columns(types), appendOnly, key: [0], relationId: 1, relationName: 'v', visible: types.length, replaces: true });
const SECOND = 1_000_000;

async function shown(run: TestRun): Promise<string[]> {
  const operator = run.driver.operator(3);
  assert.ok(operator instanceof MaterializeOperator);
  const content = new Content(operator.node.columns.map(c => c.type));
  const reader = operator.openReader(null);
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) content.add([batch]);
  reader.close();
  return content.rows();
}

/** Rows in the table k of node 2. */
function groups(run: TestRun): number {
  const before = run.take(2);
  run.driver.operator(2)?.readState?.(0);
  const read = run.take(2);
  assert.equal(before.length >= 0, true);
  return read.reduce((sum, b) => sum + b.length, 0);
}

const CALLS = {
  'by epoch': [call('count(*)', [], INT8)],
  'distinct': [call('count(any)', [1], INT8, true), call('max(int4)', [1], INT4)],
} as const;

for (const evict of [false, true]) {
  const name = evict ? ', evicted' : '';

  test(`a group not written for state_ttl goes in silence, and its key begins anew${name}`, async () => {
    const calls = CALLS['by epoch'];
    const run = new TestRun([entry(1), aggregate(calls), view([INT4, INT8])], { evict, ttlUs: 10 * SECOND });
    await run.push(1, parseDrawn(ROW, '+ 1 7\n+ 1 8\n+ 2 9'));
    await run.barrier(100 * SECOND);
    run.take(2);
    await run.push(1, parseDrawn(ROW, '+ 2 9'));
    await run.barrier(109 * SECOND);
    assert.equal(run.draw(2), '- 2 1\n+ 2 2');
    await run.barrier(112 * SECOND);
    assert.equal(run.draw(2), '', 'nothing is taken back');
    if (!evict) assert.equal(groups(run), 1, 'only the group that was written');
    run.take(3);
    await run.push(1, parseDrawn(ROW, '+ 1 7\n+ 2 9'));
    await run.barrier(113 * SECOND);
    assert.equal(run.draw(2).split('\n').sort().join(), ['+ 1 1', '+ 2 3', '- 2 2'].join());
    assert.deepEqual(await shown(run), ['+ 1 1', '+ 2 3'], 'one row a key');
    const changes = new Content([INT4, INT8]);
    changes.add(run.take(3));
    assert.deepEqual(changes.rows(), ['+ 1 1', '+ 2 3', '- 1 2', '- 2 2'], 'readers of the view get exact changes');
    assert.equal(run.syncReads, 0);
  });

  test(`what a group keeps beside its row goes with it: DISTINCT values, extremes${name}`, async () => {
    const run = new TestRun([entry(1), aggregate(CALLS.distinct), view([INT4, INT8, INT4])], { evict, ttlUs: 10 * SECOND });
    await run.push(1, parseDrawn(ROW, '+ 1 7\n+ 1 8\n+ 2 5'));
    await run.barrier(100 * SECOND);
    await run.push(1, parseDrawn(ROW, '+ 2 6'));
    await run.barrier(115 * SECOND);
    await run.push(1, parseDrawn(ROW, '+ 1 7\n+ 2 5'));
    await run.barrier(116 * SECOND);
    assert.deepEqual(await shown(run), ['+ 1 1 7', '+ 2 2 6']);
    assert.equal(run.syncReads, 0);
  });

  test(`DISTINCT: a value that comes again keeps its place; one that did not is new${name}`, async () => {
    const run = new TestRun([entry(1), aggregate([]), view([INT4], true)], { evict, ttlUs: 10 * SECOND });
    await run.push(1, parseDrawn(ROW, '+ 1 0\n+ 2 0'));
    await run.barrier(100 * SECOND);
    await run.push(1, parseDrawn(ROW, '+ 2 0'));
    await run.barrier(109 * SECOND);
    run.take(2);
    await run.barrier(115 * SECOND);
    run.take(3);
    await run.push(1, parseDrawn(ROW, '+ 1 0\n+ 2 0'));
    await run.barrier(116 * SECOND);
    assert.equal(run.draw(2), '+ 1');
    assert.equal(run.draw(3), '', 'the view has it');
    assert.deepEqual(await shown(run), ['+ 1', '+ 2']);
  });

  test(`the first row of a key is another one after state_ttl, in its place${name}`, async () => {
    const top: TopNNode = { op: 'topn', id: 2, inputs: [1], columns: columns(ROW), appendOnly: false, key: [0], fn: 'row_number', partition: [0], order: [{ column: 1, descending: false, nullsFirst: false }], from: 1, to: 1, rank: false, inputAppendOnly: true, expires: true };
    const run = new TestRun([entry(1), top, view(ROW)], { evict, ttlUs: 10 * SECOND });
    await run.push(1, parseDrawn(ROW, '+ 1 5\n+ 2 5'));
    await run.barrier(100 * SECOND);
    await run.push(1, parseDrawn(ROW, '+ 1 9\n+ 2 4'));
    await run.barrier(105 * SECOND);
    assert.deepEqual(await shown(run), ['+ 1 5', '+ 2 4']);
    await run.barrier(112 * SECOND);
    await run.push(1, parseDrawn(ROW, '+ 1 9\n+ 2 9'));
    await run.barrier(113 * SECOND);
    assert.deepEqual(await shown(run), ['+ 1 9', '+ 2 4'], 'key 2 was written at 105 s');
    assert.equal(run.syncReads, 0);
  });
}

test('rows of a join meet no later ones after state_ttl; those of the other side stay', async () => {
  const join: JoinNode = { op: 'join', id: 3, inputs: [1, 2], columns: columns([...ROW, ...ROW]), appendOnly: true, key: null, kind: 'inner', leftKeys: [0], rightKeys: [0], residual: null, leftAppendOnly: true, rightAppendOnly: true, expires: true };
  // Evicting seals the logs' chunks at each barrier, so that they are small here.
  const run = new TestRun([entry(1), entry(2), join], { evict: true, ttlUs: 10 * SECOND });
  run.nowUs = 100 * SECOND;
  await run.push(1, parseDrawn(ROW, '+ 1 7'));
  await run.barrier(101 * SECOND);
  run.nowUs = 105 * SECOND;
  await run.push(2, parseDrawn(ROW, '+ 1 70'));
  assert.equal(run.draw(3), '+ 1 7 1 70');
  await run.barrier(109 * SECOND);
  assert.equal(run.logRows(3, 0), 1, 'not old enough');
  await run.barrier(111 * SECOND);
  assert.deepEqual([run.logRows(3, 0), run.logRows(3, 1)], [0, 1]);
  await run.push(2, parseDrawn(ROW, '+ 1 71'));
  assert.equal(run.draw(3), '', 'its row is gone');
  await run.push(1, parseDrawn(ROW, '+ 1 8'));
  assert.equal(run.draw(3).split('\n').sort().join(), '+ 1 8 1 70,+ 1 8 1 71');
});

test('a pass over many groups takes several barriers, and misses none that is idle', async () => {
  const run = new TestRun([entry(1), aggregate(CALLS['by epoch']), view([INT4, INT8])], { ttlUs: 10 * SECOND });
  const rows = 25_000;
  for (let from = 0; from < rows; from += 5000) await run.push(1, parseDrawn(ROW, Array.from({ length: 5000 }, (_, i) => `+ ${from + i} 0`).join('\n')));
  await run.barrier(100 * SECOND);
  run.take(2);
  await run.push(1, parseDrawn(ROW, `+ ${rows - 1} 0\n+ 3 0`));
  await run.barrier(105 * SECOND);
  assert.equal(groups(run), rows);
  let barriers = 0;
  for (; groups(run) > 2 && barriers < 20; barriers++) {
    await run.barrier((111 + barriers) * SECOND);
    if (barriers === 0) assert.ok(groups(run) > 2, 'one barrier does not read them all');
    if (barriers === 0) await run.push(1, parseDrawn(ROW, `+ ${rows - 1} 0\n+ 3 0`));
  }
  assert.equal(groups(run), 2);
});

test('a checkpoint in the midst of an epoch frees nothing', async () => {
  const run = new TestRun([entry(1), aggregate(CALLS['by epoch']), view([INT4, INT8])], { ttlUs: SECOND });
  await run.push(1, parseDrawn(ROW, '+ 1 7'));
  await run.barrier(100 * SECOND);
  run.take(2);
  run.nowUs = 200 * SECOND;
  await run.push(1, parseDrawn(ROW, '+ 1 7'));
  await run.checkpoint();
  assert.equal(run.draw(2), '- 1 1\n+ 1 2');
});

test('a view below state that expires: what comes late, early or again leaves one row a key', async () => {
  const nodes: PlanNode[] = [entry(2, [INT4, TEXT]), view([INT4, TEXT])];
  const run = new TestRun(nodes);
  const steps: readonly (readonly [string, string])[] = [
    ['+ 1 a', '+ 1 a'], ['+ 1 a', ''], ['+ 1 b', '- 1 a\n+ 1 b'], ['- 1 a', ''], ['- 1 b\n+ 1 longer_than_before', '- 1 b\n+ 1 longer_than_before'], ['+ 1 c\n- 1 longer_than_before', '- 1 longer_than_before\n+ 1 c'], ['- 2 z', ''], ['- 1 c', '- 1 c'], ['+ 1 c', '+ 1 c'],
  ];
  for (const [change, expected] of steps) {
    await run.push(2, parseDrawn([INT4, TEXT], change));
    assert.equal(run.take(3).map(b => draw([INT4, TEXT], b)).join('\n'), expected, change);
  }
  assert.deepEqual(await shown(run), ['+ 1 c']);
});
