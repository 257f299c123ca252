/**
 * `npm run bench:checkpoints`: what a checkpoint of a large state costs when little of it changed, and how long its recovery takes: from LevelDB, and from
 * checkpoint storage alone.
 *
 *   node dist/bench/checkpoints/run.js [--keys 10000000] [--changed 0.01] [--rounds 5] [--backend leveldb] [--memory 2GB]
 *
 * The state is counts by key of a stream, in one job into a blackhole, filled by INSERT. Every round changes that share of the keys, spread over all of them, and takes a
 * checkpoint. Durations and bytes are those of `millrace.checkpoints`. A recovery is measured from the start of a new process after kill −9 to the end of a FLUSH
 * behind one more row. What is in the system's file cache stays there.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { summarise } from '../latency/latencies.js';
import { ServerProcess } from '../nexmark/serverprocess.js';

/** Rows of one INSERT. */
const CHUNK_ROWS = 250_000;
const QUIET_MS = 5000;

/** Rounds printed by themselves. */
const SHOWN = 5;

function spread(values: readonly number[]): string {
  const { p50, p90, p99, max } = summarise(values);
  return `p50 ${p50.toFixed(1)}, p90 ${p90.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)}`;
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

async function insert(client: pg.Client, from: number, to: number, step: number): Promise<void> {
  for (let at = from; at <= to; at += CHUNK_ROWS * step) await client.query(`INSERT INTO s SELECT x FROM generate_series(${at}::bigint, ${Math.min(to, at + (CHUNK_ROWS - 1) * step)}::bigint, ${step}) AS g(x)`);
}

async function checkpoint(client: pg.Client): Promise<{ ms: number; bytes: number; state: number; syncMs: number }> {
  await client.query('CHECKPOINT');
  const { rows } = await client.query(`SELECT extract(epoch FROM duration) * 1000 AS ms, checkpointed_bytes AS bytes, state_bytes AS state,
    (SELECT max(extract(epoch FROM sync_duration)) * 1000 FROM millrace.checkpoint_tasks t WHERE t.checkpoint_id = c.checkpoint_id) AS sync FROM millrace.checkpoints c WHERE status = 'completed' ORDER BY checkpoint_id DESC LIMIT 1`);
  const [row] = rows as { ms: string; bytes: string; state: string; sync: string }[];
  return { ms: Number(row?.ms), bytes: Number(row?.bytes), state: Number(row?.state), syncMs: Number(row?.sync) };
}

/** Completed checkpoints go into LevelDB in the background: waits until its files have not changed for QUIET_MS. A recovery before would redo them. */
async function applied(folder: string): Promise<void> {
  const now = (): string => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => `${name} ${statSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0}`).join();
  for (let before = '', since = 0; ;) {
    const files = now();
    if (files !== before) since = performance.now();
    else if (performance.now() - since > QUIET_MS) return;
    before = files;
    await new Promise(resolve => { setTimeout(resolve, 200); });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keys: { type: 'string' }, changed: { type: 'string' }, rounds: { type: 'string' }, backend: { type: 'string' }, memory: { type: 'string' } } });
  const keys = Number(values.keys ?? 10_000_000);
  const step = Math.round(1 / Number(values.changed ?? 0.01));
  const rounds = Number(values.rounds ?? 5);
  const dir = mkdtempSync(path.join(tmpdir(), 'millrace-bench-checkpoints-'));
  let server = await ServerProcess.start({ dir });
  let client = await server.connect();
  try {
    await client.query(`SET checkpoint_interval = '1h'; SET state_backend = '${values.backend ?? 'leveldb'}'; SET state_memory = '${values.memory ?? '2GB'}'; CREATE STREAM s (k bigint);
      CREATE SINK counts AS SELECT k, count(*) AS n FROM s GROUP BY k WITH (connector = 'blackhole')`);
    let began = performance.now();
    await insert(client, 1, keys, 1);
    await client.query('FLUSH');
    console.log(`${keys} keys inserted in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    const first = await checkpoint(client);
    console.log(`first checkpoint: ${Math.round(first.ms)} ms, ${mb(first.bytes)}`);
    const all: { ms: number; bytes: number; syncMs: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      await insert(client, 1 + round, keys, step);
      await client.query('FLUSH');
      const c = await checkpoint(client);
      all.push(c);
      if (round < SHOWN) console.log(`1 in ${step} changed: ${Math.round(c.ms)} ms (longest pause of a task ${c.syncMs.toFixed(1)} ms), ${mb(c.bytes)} written, ${mb(c.state)} referred to`);
    }
    console.log(`${rounds} checkpoints: ${spread(all.map(c => c.ms))} ms; longest pause of a task: ${spread(all.map(c => c.syncMs))} ms`);
    const recover = async (what: string): Promise<void> => {
      await client.end().catch(() => undefined);
      await server.close();
      if (what !== 'from local state') for (const folder of ['jobs', 'copies']) rmSync(path.join(dir, 'data', folder), { recursive: true, force: true });
      began = performance.now();
      server = await ServerProcess.start({ dir });
      client = await server.connect();
      await client.query('INSERT INTO s VALUES (1); FLUSH');
      console.log(`recovery ${what}: ${((performance.now() - began) / 1000).toFixed(1)} s, peak memory ${server.peakRssMb()} MB`);
    };
    // Deltas wait for LevelDB for at most 30 s, until another checkpoint completes.
    await new Promise(resolve => { setTimeout(resolve, 31_000); });
    await insert(client, 1, keys, step);
    await checkpoint(client);
    await applied(path.join(dir, 'data', 'jobs'));
    await recover('from local state');
    await recover('from checkpoint storage');
  } finally {
    await client.end().catch(() => undefined);
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
