import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeeds } from './seeds.js';
import { simulate } from './simulation.js';

const ONE = process.env['SIM_SEED'];
const SEEDS = Number(process.env['SIM_SEEDS'] ?? 1000);
const FIRST = Number(process.env['SIM_FIRST'] ?? 1);

test('the same seed gives the same run, another seed another', async () => {
  const traces: number[] = [];
  for (const seed of [3, 3, 4]) traces.push((await simulate(seed)).trace);
  assert.equal(traces[0], traces[1]);
  assert.notEqual(traces[0], traces[2]);
});

test('whatever fails when: exactly once, whole epochs, no completed checkpoint lost', { timeout: 900_000 }, async t => {
  if (ONE !== undefined) {
    await simulate(Number(ONE), line => { t.diagnostic(line); });
    return;
  }
  const r = await runSeeds(FIRST, SEEDS);
  t.diagnostic(`${r.seeds} seeds: ${r.events} events, ${r.checkpoints} completed checkpoints, ${r.restarts} restarts of the job, ${r.crashes} crashes, ${r.reads} reads`);
  assert.equal(r.seeds, SEEDS);
});
