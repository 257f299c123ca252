/**
 * `npm run bench`: events per second, CPU and peak memory of Nexmark queries from an NDJSON file into a blackhole sink, one worker,
 * a checkpoint every second, exactly once. Each query runs in a server process of its own, so that peak memory is that query's.
 *
 *   node dist/bench/nexmark/run.js [--events 2000000] [--queries q0,q1,…] [--workers 1] [--file FILE]
 *
 * Events are all lines of the file (persons, auctions and bids), as other systems' figures count them.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { generateNexmark } from './generate.js';
import { eventFile, nexmarkQueries } from './queries.js';

const DEFAULT_QUERIES = 'q0,q1,q2,q4,q5,q7,q8';
const TICKS_PER_SECOND = 100;
/** At least one for each worker. */
const WARM_QUERIES = 8;

interface Measured { readonly query: string; readonly seconds: number; readonly cpuSeconds: number; readonly peakMb: number; readonly checkpoints: string }

async function measure(query: string, file: string, workers: number): Promise<Measured> {
  const sql = nexmarkQueries[query];
  if (sql === undefined) throw new Error(`unknown query ${query}`);
  const dir = mkdtempSync(path.join(tmpdir(), 'millrace-bench-'));
  const main = fileURLToPath(new URL('../../server/main.js', import.meta.url));
  const child = spawn(process.execPath, [main, '--port', '0', '--data', path.join(dir, 'data')], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const lines: string[] = [];
      child.once('exit', () => { reject(new Error(lines.join('\n'))); });
      if (child.stderr === null) throw new Error('no stderr');
      createInterface({ input: child.stderr }).on('line', line => {
        lines.push(line);
        const m = /"port":(\d+)/.exec(line);
        if (m !== null && line.includes('ready')) resolve(Number(m[1]));
      });
    });
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'bench', database: 'bench' });
    await client.connect();
    await client.query(`SET checkpoint_interval = '1s'; SET parallelism = ${workers}; ${eventFile(file)}`);
    // Workers load in the background; queries answered say that they are up. Start-up is not throughput.
    for (let k = 0; k < WARM_QUERIES; k++) await client.query('SELECT sum(x) FROM generate_series(1, 1000) AS t(x)');
    const cpuBefore = cpuSeconds(child.pid);
    const started = performance.now();
    await client.query(`CREATE SINK ${query} AS ${sql} WITH (connector = 'blackhole')`);
    for (;;) {
      const { rows } = await client.query<{ status: string; failure: string | null }>(`SELECT status, failure FROM millrace.jobs WHERE job_name = '${query}'`);
      const status = rows[0]?.status;
      if (status === 'finished') break;
      if (status === 'failed') throw new Error(`${query}: ${rows[0]?.failure ?? 'failed'}`);
      await new Promise(resolve => { setTimeout(resolve, 20); });
    }
    const seconds = (performance.now() - started) / 1000;
    const cpu = cpuSeconds(child.pid) - cpuBefore;
    const peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${String(child.pid)}/status`, 'utf8'))?.[1] ?? 0) / 1024);
    const { rows } = await client.query<{ ok: string; bad: string }>("SELECT count(*) FILTER (WHERE status = 'completed') AS ok, count(*) FILTER (WHERE status <> 'completed') AS bad FROM millrace.checkpoints");
    await client.end();
    return { query, seconds, cpuSeconds: cpu, peakMb, checkpoints: `${rows[0]?.ok ?? '?'}/${rows[0]?.bad ?? '?'}` };
  } finally {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
}

/** User and system time of a process and its threads, from /proc (Linux). */
function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { events: { type: 'string' }, queries: { type: 'string' }, workers: { type: 'string' }, file: { type: 'string' } } });
  const events = Number(values.events ?? '2000000');
  const workers = Number(values.workers ?? '1');
  let file = values.file;
  if (file === undefined) {
    mkdirSync('bench-data', { recursive: true });
    file = path.resolve(`bench-data/nexmark-${events}.ndjson`);
    if (!existsSync(file)) {
      console.log(`generating ${file}`);
      await generateNexmark({ events, file, seed: 42 });
    }
  }
  console.log(`| query | events/s | events/CPU s | peak RSS MB | checkpoints ok/failed |\n|---|---|---|---|---|`);
  for (const query of (values.queries ?? DEFAULT_QUERIES).split(',')) {
    const m = await measure(query, file, workers);
    console.log(`| ${m.query} | ${Math.round(events / m.seconds).toLocaleString('en')} | ${Math.round(events / m.cpuSeconds).toLocaleString('en')} | ${m.peakMb} | ${m.checkpoints} |`);
  }
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
