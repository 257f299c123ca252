import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MaterializeNode, PlanNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { INT4, TEXT } from '../../types/sqltype.js';
import { draw, parseDrawn } from '../drawn.js';
import { MaterializeOperator, type ViewReader } from './materialize.js';
import { Content, TestRun } from './testrun.js';

const TYPES: readonly SqlType[] = [INT4, TEXT];
const columns: Column[] = TYPES.map((type, i) => ({ name: `c${i}`, type }));

function view(key: readonly number[] | null, evict = false): { readonly run: TestRun; readonly operator: MaterializeOperator } {
  const node: MaterializeNode = { op: 'materialize', id: 2, inputs: [1], columns, appendOnly: false, key, relationId: 1, relationName: 'v', visible: 2 };
  const nodes: PlanNode[] = [{ op: 'rows', id: 1, inputs: [], columns, appendOnly: false, key: null, rows: [], system: null }, node];
  const run = new TestRun(nodes, { evict });
  const operator = run.driver.operator(2);
  assert.ok(operator instanceof MaterializeOperator);
  return { run, operator };
}

async function read(reader: ViewReader): Promise<string[]> {
  const content = new Content(TYPES);
  for (let batch = await reader.next(); batch !== null; batch = await reader.next()) content.add([batch]);
  reader.close();
  return content.rows();
}

for (const key of [[0], null]) {
  for (const evict of [false, true]) {
    const name = `a view ${key === null ? 'without' : 'with'} key${evict ? ', evicted' : ''}`;

    test(`${name}: a reader shows its epoch whatever comes later`, async () => {
      const { run, operator } = view(key, evict);
      await run.push(1, parseDrawn(TYPES, '+ 1 a\n+ 2 b'));
      await run.barrier();
      const before = operator.openReader(null);
      await run.push(1, parseDrawn(TYPES, '+ 1 c\n- 1 a\n+ 3 d\n- 2 b'));
      await run.barrier();
      assert.deepEqual(await read(before), ['+ 1 a', '+ 2 b']);
      assert.deepEqual(await read(operator.openReader(null)), ['+ 1 c', '+ 3 d']);
    });

    test(`${name}: listeners get each epoch's net changes`, async () => {
      const { run, operator } = view(key, evict);
      await run.push(1, parseDrawn(TYPES, '+ 1 a'));
      await run.barrier();
      const seen: string[] = [];
      const stop = operator.listen((epoch, changes) => { seen.push(`${epoch}: ${changes.map((b) => draw(TYPES, b)).join('\n')}`); });
      await run.push(1, parseDrawn(TYPES, '+ 1 b\n+ 5 x'));
      await run.push(1, parseDrawn(TYPES, '- 1 a\n- 5 x'));
      await run.barrier();
      await run.barrier();
      stop();
      await run.push(1, parseDrawn(TYPES, '+ 6 y'));
      await run.barrier();
      assert.equal(seen.length, 2);
      assert.deepEqual(seen[0].split(/: |\n/).slice(1).sort(), ['+ 1 b', '- 1 a']);
      assert.equal(seen[1], '3: ');
    });

    test(`${name}: equal rows count, and go one by one`, async () => {
      const { run, operator } = view(key, evict);
      await run.push(1, parseDrawn(TYPES, '+ 1 a\n+ 1 a'));
      await run.barrier();
      assert.deepEqual(await read(operator.openReader(null)), ['+2 1 a']);
      await run.push(1, parseDrawn(TYPES, '- 1 a'));
      await run.barrier();
      assert.deepEqual(await read(operator.openReader(null)), ['+ 1 a']);
      await run.push(1, parseDrawn(TYPES, '- 1 a'));
      await run.barrier();
      assert.deepEqual(await read(operator.openReader(null)), []);
    });
  }
}

for (const evict of [false, true]) {
  test(`a point read gives the rows of its key at its epoch, and nothing else${evict ? ', evicted' : ''}`, async () => {
    const { run, operator } = view([0], evict);
    await run.push(1, parseDrawn(TYPES, '+ 1 a\n+ 2 b'));
    await run.barrier();
    const reader = operator.openPoint([1, 0], new Map([[0, 2]]));
    const none = operator.openPoint([1, 0], new Map([[0, 3]]));
    assert.ok(reader !== null && none !== null);
    await run.push(1, parseDrawn(TYPES, '- 2 b\n+ 2 c'));
    await run.barrier();
    const batch = await reader.next();
    assert.ok(batch !== null);
    assert.equal(draw([TEXT, INT4], batch), '+ b 2');
    assert.equal(await reader.next(), null);
    assert.equal(await none.next(), null);
  });
}

test('values that are not those of all key columns are no point', () => {
  assert.equal(view([0, 1]).operator.openPoint([0], new Map([[0, 2]])), null);
  assert.equal(view([0]).operator.openPoint([0], new Map([[1, 'a']])), null);
  assert.equal(view(null).operator.openPoint([0], new Map([[0, 2]])), null);
});
