import { test } from 'node:test';
import assert from 'node:assert/strict';
import { killTest } from './killtest.js';

for (const parallelism of [1, 2]) {
  test(`views over 1,000,000 events equal an uninterrupted run after 50 kills, parallelism ${parallelism}`, { timeout: 1_800_000 }, async t => {
    const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
    const kills = await killTest({ events: 1_000_000, kills: 50, rowsPerSecond: 15_000, seed, parallelism }, line => { t.diagnostic(line); });
    assert.equal(kills, 50);
  });
}
