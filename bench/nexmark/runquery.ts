/**
 * Runs one Nexmark query to its end in a server process of its own and measures it. Time is the job's own, from its start (its statement is planned by then) to
 * its end with the last checkpoint; CPU time is that of the whole server from the statement on. The workers are loaded before.
 */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { generateNexmark, sideInputBeside } from './generate.js';
import { eventFile, eventStream, nexmarkQueries, sideInputFile } from './queries.js';
import { ServerProcess } from './serverprocess.js';
import type { ServerOptions } from './serverprocess.js';

/** How often a job is asked whether it has ended: its times are its own, and on two cores each question takes from its work. */
export const JOB_POLL_MS = 250;

/** Where the events are: `file` is their NDJSON file in both cases, `topic` holds the same events in as many partitions as one wants. */
export type EventSource =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'kafka'; readonly file: string; readonly servers: string; readonly topic: string };

export interface QueryRun extends ServerOptions {
  /** A name of nexmarkQueries, or any other name with `sql`. */
  readonly query: string;
  readonly sql?: string;
  readonly source: EventSource;
  /** A short input that the query runs over first, in the same server, so that compiling the code is not part of the figures. */
  readonly warmUp?: EventSource;
  /** Events of the source (persons, auctions and bids), for the figures. */
  readonly events: number;
  readonly parallelism?: number;
  /** As SET takes it: '1s', 0. */
  readonly checkpointInterval?: string;
  /** More settings of the session that creates the job. */
  readonly settings?: Readonly<Record<string, string>>;
  /** WITH options of the sink; default: blackhole. */
  readonly sink?: string;
}

export interface QueryResult {
  readonly query: string;
  readonly source: EventSource['kind'];
  readonly parallelism: number;
  readonly checkpointInterval: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly events: number;
  /** Of the job, from its start to its end. */
  readonly seconds: number;
  /** Of the server's process, all threads. */
  readonly cpuSeconds: number;
  readonly eventsPerSecond: number;
  readonly eventsPerCpuSecond: number;
  readonly peakRssMb: number;
  readonly checkpointsCompleted: number;
  readonly checkpointsFailed: number;
  /** Trigger to completion; null when none completed. */
  readonly checkpointP50Ms: number | null;
  readonly checkpointMaxMs: number | null;
}

/** The file with so many events, generated when it is not there. */
export async function eventsFile(events: number): Promise<string> {
  const file = path.resolve(`bench-data/nexmark-${events}.ndjson`);
  if (existsSync(file)) return file;
  mkdirSync('bench-data', { recursive: true });
  console.log(`generating ${file}`);
  await generateNexmark({ events, file, seed: 42 });
  return file;
}

export async function runQuery(run: QueryRun): Promise<QueryResult> {
  const sql = run.sql ?? nexmarkQueries[run.query];
  if (sql === undefined) throw new Error(`unknown query ${run.query}`);
  const { parallelism = 1, checkpointInterval = '1s', settings = {}, events } = run;
  const server = await ServerProcess.start({ workers: parallelism, ...run });
  try {
    const client = await server.connect();
    const set = { checkpoint_interval: checkpointInterval, parallelism: String(parallelism), ...settings };
    for (const [name, value] of Object.entries(set)) await client.query(`SET ${name} = '${value.replaceAll("'", "''")}'`);
    await server.warm(client);
    const createSink = (name: string): string => `CREATE SINK ${name} AS ${sql} WITH (${run.sink ?? "connector = 'blackhole'"})`;
    if (run.warmUp !== undefined) {
      await client.query(streams(run.query, run.warmUp));
      await client.query(createSink('warm_up'));
      await finished(client, 'warm_up');
      await client.query(`DROP SINK warm_up; DROP VIEW person, auction, bid; DROP STREAM event; DROP STREAM IF EXISTS side_input`);
    }
    await client.query(streams(run.query, run.source));
    const cpuBefore = server.cpuSeconds();
    await client.query(createSink(run.query));
    const seconds = await finished(client, run.query);
    const cpu = server.cpuSeconds() - cpuBefore;
    const peakRssMb = server.peakRssMb();
    const checkpoints = await checkpointsOf(client, run.query);
    await client.end();
    return {
      query: run.query, source: run.source.kind, parallelism, checkpointInterval, settings, events, seconds, cpuSeconds: cpu,
      eventsPerSecond: Math.round(events / seconds), eventsPerCpuSecond: Math.round(events / cpu), peakRssMb, ...checkpoints,
    };
  } finally {
    await server.close();
  }
}

/** Statements that create what the queries read. */
export function streams(query: string, source: EventSource): string {
  const events = source.kind === 'file' ? eventFile(source.file)
    : eventStream(`connector = 'kafka', topic = '${source.topic}', bootstrap_servers = '${source.servers}', format = 'json', scan_until = 'latest'`);
  return query === 'q13' ? `${events} ${sideInputFile(sideInputBeside(source.file))}` : events;
}

/** Waits for its end; seconds since its start. */
async function finished(client: pg.Client, job: string): Promise<number> {
  for (;;) {
    const { rows } = await client.query<{ status: string; failure: string | null; seconds: number | null }>(
      `SELECT status, failure, extract(epoch FROM finished_at - created_at)::float8 AS seconds FROM millrace.jobs WHERE job_name = '${job}'`);
    const [{ status, seconds } = { status: '', seconds: null }] = rows;
    if (status === 'finished' && seconds !== null) return seconds;
    if (status === 'failed') throw new Error(`${job}: ${rows[0]?.failure ?? 'failed'}`);
    await new Promise(resolve => { setTimeout(resolve, JOB_POLL_MS); });
  }
}

async function checkpointsOf(client: pg.Client, job: string): Promise<Pick<QueryResult, 'checkpointsCompleted' | 'checkpointsFailed' | 'checkpointP50Ms' | 'checkpointMaxMs'>> {
  const { rows } = await client.query<{ status: string; ms: number | null }>(`SELECT status, (extract(epoch FROM duration) * 1000)::float8 AS ms FROM millrace.checkpoints WHERE job_name = '${job}'`);
  const times = rows.filter(r => r.status === 'completed').map(r => r.ms ?? 0).sort((a, b) => a - b);
  return {
    checkpointsCompleted: times.length, checkpointsFailed: rows.filter(r => r.status !== 'completed' && r.status !== 'in_progress').length,
    checkpointP50Ms: times.length === 0 ? null : Math.round(times[times.length >> 1]), checkpointMaxMs: times.length === 0 ? null : Math.round(times[times.length - 1]),
  };
}
