/**
 * Runs one Nexmark query on a Flink cluster: for speed into a blackhole sink, for results into files of changes that are added up here.
 *
 * Settings are those that served Flink best on the lab machine: state on the heap (RocksDB: a half to a fifth of the speed on joins), mini-batches of
 * 50,000 rows or 2 s, distinct aggregates split, objects reused, aligned checkpoints every second into local files.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FlinkCluster } from './cluster.js';
import { flinkQueries, flinkTables } from './queries.js';
import { FlinkSession } from './rest.js';

const TICKS_PER_SECOND = 100;

export const FLINK_SETTINGS: Readonly<Record<string, string>> = {
  'execution.runtime-mode': 'streaming', 'parallelism.default': '1', 'pipeline.object-reuse': 'true',
  'state.backend.type': 'hashmap', 'execution.checkpointing.mode': 'EXACTLY_ONCE', 'execution.checkpointing.interval': '1s',
  'table.exec.mini-batch.enabled': 'true', 'table.exec.mini-batch.allow-latency': '2s', 'table.exec.mini-batch.size': '50000',
  'table.optimizer.distinct-agg.split.enabled': 'true',
};

export interface FlinkInput { readonly file: string; readonly side: string }

export interface FlinkOptions {
  readonly timeoutMs: number;
  /** In place of FLINK_SETTINGS' or beside them. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface FlinkMeasured {
  /** From the job's start to its end, as the job manager says; planning before it is left out. */
  readonly seconds: number;
  /** Of the task manager alone. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly checkpointsCompleted: number;
  readonly checkpointsFailed: number;
  readonly checkpointP50Ms: number;
  readonly stateMb: number;
}

/** User and system time of a process, from /proc (Linux). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Submits `query` over the input into a new table with these options; gives the job's id. */
async function submit(cluster: FlinkCluster, query: string, input: FlinkInput, sink: string, settings: Readonly<Record<string, string>>): Promise<{ session: FlinkSession; job: string }> {
  const sql = flinkQueries[query];
  if (sql === undefined) throw new Error(`unknown query ${query}`);
  const session = await FlinkSession.open(cluster.gateway, { ...FLINK_SETTINGS, ...settings, 'pipeline.name': query });
  for (const statement of flinkTables(input.file, input.side)) await session.execute(statement);
  const job = await session.execute(`CREATE TABLE sink WITH (${sink}) AS ${sql}`);
  if (job === null) throw new Error(`Flink: ${query} gave no job`);
  return { session, job };
}

/**
 * Measures a query in a task manager of its own. `warmUp`: a short input the query runs over first, so that loading Flink's classes is not
 * part of the figures.
 */
export async function measureFlink(cluster: FlinkCluster, query: string, input: FlinkInput, warmUp: FlinkInput | null, options: FlinkOptions): Promise<FlinkMeasured> {
  const pid = await cluster.freshTaskManager();
  if (warmUp !== null) {
    const { session, job } = await submit(cluster, query, warmUp, "'connector' = 'blackhole'", options.settings);
    await cluster.jobs.finished(job, options.timeoutMs);
    await session.close();
  }
  const before = cpuSeconds(pid);
  const { session, job } = await submit(cluster, query, input, "'connector' = 'blackhole'", options.settings);
  const done = await cluster.jobs.finished(job, options.timeoutMs);
  const cpu = cpuSeconds(pid) - before;
  const peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
  const checkpoints = await cluster.jobs.checkpoints(job);
  await session.close();
  return { seconds: (done.endMs - done.startMs) / 1000, cpuSeconds: cpu, peakMb, checkpointsCompleted: checkpoints.completed, checkpointsFailed: checkpoints.failed, checkpointP50Ms: checkpoints.p50Ms, stateMb: Math.round(checkpoints.stateBytesMax / 1048576) };
}

export interface FlinkResult { readonly columns: readonly string[]; readonly rows: readonly (readonly (string | null)[])[] }

/** The query's final rows: what its changes (op c: a row more, op d: a row less) add up to when the input has ended. In no order. */
export async function flinkResult(cluster: FlinkCluster, query: string, input: FlinkInput, options: FlinkOptions): Promise<FlinkResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'flink-result-'));
  try {
    const { session, job } = await submit(cluster, query, input, `'connector' = 'filesystem', 'path' = 'file://${folder}', 'format' = 'debezium-json', 'debezium-json.timestamp-format.standard' = 'SQL', 'debezium-json.encode.decimal-as-plain-number' = 'true'`, options.settings);
    await cluster.jobs.finished(job, options.timeoutMs);
    await session.close();
    return addUp(readdirSync(folder).filter(name => name.startsWith('part-')).map(name => readFileSync(path.join(folder, name), 'utf8')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Change = Readonly<Record<'before' | 'after', Readonly<Record<string, string | number | null>> | null>>;

export function addUp(files: readonly string[]): FlinkResult {
  let columns: readonly string[] = [];
  const counts = new Map<string, number>();
  for (const line of files.flatMap(text => text.split('\n'))) {
    if (line === '') continue;
    const change = JSON.parse(line) as Change;
    const row = change.after ?? change.before;
    if (row === null) throw new Error(`a change without a row: ${line}`);
    if (columns.length === 0) columns = Object.keys(row);
    const key = JSON.stringify(columns.map(name => { const value = row[name]; return value === null ? null : String(value); }));
    const count = (counts.get(key) ?? 0) + (change.after === null ? -1 : 1);
    if (count === 0) counts.delete(key); else counts.set(key, count);
  }
  const rows: (string | null)[][] = [];
  for (const [key, count] of counts) {
    if (count < 0) throw new Error(`more deleted than inserted: ${key}`);
    for (let i = 0; i < count; i++) rows.push(JSON.parse(key) as (string | null)[]);
  }
  return { columns, rows };
}
