import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LookupNode, PlanNode, RowsNode } from '../../types/plan.js';
import { BOOL, type Column, INT8, type SqlType, TEXT } from '../../types/sqltype.js';
import { parseDrawn } from '../drawn.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const LEFT = [INT8, TEXT];
const RIGHT = [INT8, TEXT];
const entry = (id: number, types: readonly SqlType[]): RowsNode => ({ op: 'rows', id, inputs: [], columns: columns(types), appendOnly: true, key: null, rows: [], system: null });
const plan = (more: Partial<LookupNode> = {}): PlanNode[] => [entry(1, LEFT), entry(2, RIGHT), {
  op: 'lookup', id: 3, inputs: [1, 2], columns: columns([...LEFT, ...RIGHT]), appendOnly: true, key: null, kind: 'inner', leftKeys: [0], rightKeys: [0], residual: null, ...more,
} satisfies LookupNode];
const left = (text: string) => parseDrawn(LEFT, text);
const right = (text: string) => parseDrawn(RIGHT, text);

test('a row meets the table as it is at the end of the epoch, once', async () => {
  for (const evict of [false, true]) {
    const run = new TestRun(plan(), { evict });
    await run.push(1, left('+ 1 a\n+ 2 b\n+ . n'));
    await run.push(2, right('+ 1 one\n+ 2 two\n+ . null'));
    await run.push(2, right('- 2 two\n+ 2 zwei'));
    assert.equal(run.draw(3), '');
    await run.barrier();
    assert.equal(run.draw(3), '+ 1 a 1 one\n+ 2 b 2 zwei');
    await run.push(2, right('- 1 one\n+ 1 uno'));
    await run.barrier();
    assert.equal(run.draw(3), '');
    await run.push(1, left('+ 1 c\n+ 3 d'));
    await run.barrier();
    assert.equal(run.draw(3), '+ 1 c 1 uno');
    assert.equal(run.syncReads, 0);
  }
});

test('a left join gives every row; a condition decides which rows of the table are met', async () => {
  const residual = { node: 'call', fn: '<>(text,text)', args: [{ node: 'column', index: 1, type: TEXT }, { node: 'column', index: 3, type: TEXT }], type: BOOL } as const;
  const run = new TestRun(plan({ kind: 'left', residual }));
  await run.push(2, right('+ 1 a\n+ 1 b\n+ 2 b'));
  await run.push(1, left('+ 1 a\n+2 2 b\n+ 3 c\n+ . d\n+ 1 z'));
  await run.barrier();
  assert.deepEqual(run.draw(3).split('\n').sort(), ['+ . d . .', '+ 1 a 1 b', '+ 1 z 1 a', '+ 1 z 1 b', '+ 3 c . .', '+2 2 b . .'].sort());
});

test('random epochs meet what a plain map holds, all in memory or all evicted', async () => {
  for (const evict of [false, true]) {
    const rand = seeded(7);
    const run = new TestRun(plan({ kind: 'left' }), { evict });
    const table = new Map<number, string>();
    const content = new Content([...LEFT, ...RIGHT]);
    const expected: string[] = [];
    let id = 0;
    for (let epoch = 0; epoch < 30; epoch++) {
      const rows: number[] = [];
      for (let k = 0; k < 10; k++) {
        const key = rand(20);
        if (rand(2) === 0) { rows.push(key); await run.push(1, left(`+ ${key} r${id + rows.length}`)); continue; }
        const old = table.get(key);
        if (old !== undefined && rand(3) === 0) { table.delete(key); await run.push(2, right(`- ${key} ${old}`)); continue; }
        const fresh = `v${epoch}.${k}`;
        table.set(key, fresh);
        await run.push(2, right(`${old === undefined ? '' : `- ${key} ${old}\n`}+ ${key} ${fresh}`));
      }
      await run.barrier();
      for (const key of rows) expected.push(`+ ${key} r${++id} ${table.has(key) ? `${key} ${table.get(key) ?? ''}` : '. .'}`);
    }
    content.add(run.take(3));
    assert.deepEqual(content.rows(), expected.sort());
    assert.equal(run.syncReads, 0);
  }
});
