import { test } from 'node:test';
import assert from 'node:assert/strict';
import { systemEnv, type Env } from '../../types/env.js';
import { Together } from './together.js';

const state = (p: Promise<void>): Promise<'begins' | 'waits'> => Promise.race([p.then(() => 'begins' as const), new Promise<'waits'>(resolve => { setImmediate(() => { resolve('waits'); }); })]);

test('jobs begin when all have come, or one will not', async () => {
  const together = new Together([1, 2, 3], systemEnv);
  const one = together.arrived(1);
  const again = together.arrived(1);
  void together.arrived(2);
  assert.equal(await state(one), 'waits');
  void together.arrived(3);
  assert.deepEqual([await state(one), await state(again), await state(together.arrived(1))], ['begins', 'begins', 'begins']);
});

test('a job alone waits for nobody, and nobody for one that takes long', async () => {
  assert.equal(await state(new Together([7], systemEnv).arrived(7)), 'begins');
  let late = (): void => undefined;
  const env: Env = { ...systemEnv, after: (_, run) => { late = run; return { cancel: () => undefined }; } };
  const waits = new Together([1, 2], env).arrived(1);
  assert.equal(await state(waits), 'waits');
  late();
  assert.equal(await state(waits), 'begins');
});
