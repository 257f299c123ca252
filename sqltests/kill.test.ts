import { test } from 'node:test';
import assert from 'node:assert/strict';
import { killTest } from './killtest.js';

test('views equal an uninterrupted run after 10 kills of the server process', { timeout: 240_000 }, async t => {
  const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
  const kills = await killTest({ events: 60_000, kills: 10, rowsPerSecond: 5000, seed, parallelism: 1 }, line => { t.diagnostic(line); });
  assert.equal(kills, 10);
});

test('so they do at parallelism 2, where both subtasks read stripes of one file, after 5 kills', { timeout: 240_000 }, async t => {
  const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
  const kills = await killTest({ events: 40_000, kills: 5, rowsPerSecond: 5000, seed, parallelism: 2 }, line => { t.diagnostic(line); });
  assert.equal(kills, 5);
});

test('so they do with unaligned checkpoints, whose data in flight goes on after the restart', { timeout: 240_000 }, async t => {
  const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
  const kills = await killTest({ events: 40_000, kills: 5, rowsPerSecond: 5000, seed, parallelism: 2, settings: 'SET unaligned_checkpoints = on;' }, line => { t.diagnostic(line); });
  assert.equal(kills, 5);
});
