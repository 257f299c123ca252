import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTIONS, ALIGNED, AT_LEAST_ONCE, runCase, runCases, STEPS, UNALIGNED, type FaultCase } from './matrix.js';

test('one fault at each step of a checkpoint, of all kinds, modes and parallelisms in turn: results, tables and disk are as they must be', { timeout: 300_000 }, async t => {
  const modes = [ALIGNED, UNALIGNED, AT_LEAST_ONCE];
  // With three modes, four actions and two parallelisms every step meets another mixture.
  const list = Object.keys(STEPS).map((step, i): FaultCase => ({ step, action: ACTIONS[i % 4], mode: modes[i % 3], parallelism: 1 + i % 2 }));
  const failed = await runCases(list, line => { t.diagnostic(line); });
  t.diagnostic(`${list.length} cases run, ${failed.length} failed`);
  assert.deepEqual(failed, []);
});

test('the matrix notices when sinks commit before the checkpoint exists', { timeout: 120_000 }, async () => {
  const c: FaultCase = { step: 'metadata', action: 'kill', mode: ALIGNED, parallelism: 1 };
  await assert.rejects(runCase(c, { plantedBug: true, rule: { operation: 'file.rename', path: '/checkpoints/6/chk-', after: 4, times: 1, fault: 'kill' } }), /which was published, changed|no usable checkpoint/);
});
