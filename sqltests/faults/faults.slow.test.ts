import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALIGNED, AT_LEAST_ONCE, cases, runCases, UNALIGNED } from './matrix.js';

for (const mode of [ALIGNED, UNALIGNED, AT_LEAST_ONCE]) {
  test(`every fault at every step of a checkpoint, ${mode.name}, parallelism 1 and 2`, { timeout: 1_800_000 }, async t => {
    const list = cases([mode]);
    const failed = await runCases(list, line => { t.diagnostic(line); });
    t.diagnostic(`${list.length} cases run, ${failed.length} failed`);
    assert.deepEqual(failed, []);
  });
}
