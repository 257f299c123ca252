/**
 * `npm run bench:flink`: Nexmark on Apache Flink and on Millrace, from the same file, one after the other in turn: Flink at parallelism 1 in a task manager
 * of its own for each query, Millrace with one worker in a server of its own; a checkpoint every second, exactly once; blackhole sinks. In both
 * the same query ran over --warm-up events before.
 *
 *   node dist/bench/flink/run.js [--events 2000000] [--queries q0,q1,…] [--runs 1] [--file FILE] [--timeout SECONDS] [--json FILE] [--write-docs]
 *                                [--warm-up 200000] [--flink-only | --skip-flink] [--flink-set state.backend.type=rocksdb …]
 *   node dist/bench/flink/run.js --results [--queries …]      writes Flink's results for small inputs into ../nexmark/expected/
 *
 * Prints the table; every run goes as a line into --json (bench-data/against-flink.jsonl). --write-docs puts the table into docs/performance.md and the medians
 * into bench/flink/figures.json; --skip-flink takes Flink's figures from there. --runs: medians by CPU time. A query that fails is named, the others go on.
 */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { EXPECTED_INPUTS, writeExpected, writeInput } from '../nexmark/expected.js';
import { sideInputBeside } from '../nexmark/generate.js';
import { nexmarkQueries } from '../nexmark/queries.js';
import { normalise } from '../nexmark/results.js';
import { eventsFile, runQuery, type EventSource } from '../nexmark/runquery.js';
import { FlinkCluster, stopFlink } from './cluster.js';
import { flinkResult, measureFlink } from './flink.js';
import { FLINK_VERSION } from './setup.js';
import { betweenMarkers, comparison, medians, type Failure, type Figure, type System } from './table.js';

const FIGURES_FILE = 'bench/flink/figures.json';
const DOCS_FILE = 'docs/performance.md';

interface Stored { readonly when: string; readonly machine: string; readonly events: number; readonly figures: readonly Figure[] }

const message = (e: unknown): string => (e instanceof Error ? e.message : String(e));
const machine = (): string => `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, Node ${process.versions.node}, Flink ${FLINK_VERSION}`;

interface Options {
  readonly events: number;
  readonly file: string;
  /** A short input that each query runs over first in the same process, or null. */
  readonly warmUp: string | null;
  readonly queries: readonly string[];
  readonly runs: number;
  readonly timeoutMs: number;
  readonly json: string;
  readonly systems: readonly System[];
  /** Flink's settings other than FLINK_SETTINGS. */
  readonly flinkSettings: Readonly<Record<string, string>>;
}

async function measureFlinkQuery(cluster: FlinkCluster, query: string, options: Options): Promise<Figure> {
  const input = (file: string): { file: string; side: string } => ({ file, side: sideInputBeside(file) });
  try {
    const m = await measureFlink(cluster, query, input(options.file), options.warmUp === null ? null : input(options.warmUp), { timeoutMs: options.timeoutMs, settings: options.flinkSettings });
    return { system: 'flink', query, events: options.events, ...m };
  } finally {
    await cluster.stopTaskManager(); // nothing of Flink works while Millrace does
  }
}

async function measureMillrace(query: string, options: Options): Promise<Figure> {
  const source = (file: string): EventSource => ({ kind: 'file', file });
  const r = await runQuery({ query, source: source(options.file), events: options.events, parallelism: 1, checkpointInterval: '1s', ...(options.warmUp === null ? {} : { warmUp: source(options.warmUp) }) });
  return { system: 'millrace', query, events: r.events, seconds: r.seconds, cpuSeconds: r.cpuSeconds, peakMb: r.peakRssMb, checkpointsCompleted: r.checkpointsCompleted, checkpointsFailed: r.checkpointsFailed };
}

/** Every query on both systems in turn; the order changes from run to run. */
async function compare(options: Options): Promise<{ figures: Figure[]; failures: Failure[] }> {
  const figures: Figure[] = [];
  const failures = new Map<string, Failure>();
  const cluster = options.systems.includes('flink') ? await FlinkCluster.start() : null;
  try {
    for (let run = 0; run < options.runs; run++) {
      for (const query of options.queries) {
        for (const system of run % 2 === 0 ? options.systems : options.systems.toReversed()) {
          const began = new Date().toISOString();
          try {
            const figure = system === 'millrace' ? await measureMillrace(query, options) : cluster === null ? null : await measureFlinkQuery(cluster, query, options);
            if (figure === null) continue;
            figures.push(figure);
            appendFileSync(options.json, `${JSON.stringify({ ...figure, began, load: loadavg()[0], ...(system === 'flink' ? { settings: options.flinkSettings } : {}) })}\n`);
            console.error(`${query} ${system} run ${run + 1}: ${figure.seconds.toFixed(2)} s, CPU ${figure.cpuSeconds.toFixed(2)} s, ${figure.peakMb} MB`);
          } catch (e) {
            failures.set(`${query} ${system}`, { system, query, error: message(e) });
            console.error(`${query} ${system} run ${run + 1}: ${message(e)}`);
          }
        }
      }
    }
  } finally {
    await cluster?.stop();
  }
  return { figures, failures: [...failures.values()] };
}

/** Flink's final rows for the small inputs. */
async function writeResults(queries: readonly string[], timeoutMs: number): Promise<void> {
  const work = mkdtempSync(path.join(tmpdir(), 'flink-inputs-'));
  const cluster = await FlinkCluster.start();
  try {
    await cluster.freshTaskManager();
    for (const input of EXPECTED_INPUTS) {
      const file = await writeInput(input, work);
      for (const query of queries) {
        const { columns, rows } = await flinkResult(cluster, query, { file, side: sideInputBeside(file) }, { timeoutMs, settings: {} });
        writeExpected(input, query, { columns, rows: rows.map(row => row.map(normalise)) });
        console.error(`${input.name} ${query}: ${rows.length} rows`);
      }
    }
  } finally {
    await cluster.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

function storedFlink(events: number): readonly Figure[] {
  if (!existsSync(FIGURES_FILE)) {
    console.error(`no figures of Flink: ${FIGURES_FILE} is written by --write-docs`);
    return [];
  }
  const stored = JSON.parse(readFileSync(FIGURES_FILE, 'utf8')) as Stored;
  if (stored.events !== events || stored.machine !== machine()) console.error(`Flink's stored figures are of ${stored.events} events on ${stored.machine}`);
  return stored.figures.filter(f => f.system === 'flink');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '2000000' }, queries: { type: 'string' }, runs: { type: 'string', default: '1' }, file: { type: 'string' }, timeout: { type: 'string', default: '600' }, 'warm-up': { type: 'string', default: '200000' },
      json: { type: 'string', default: 'bench-data/against-flink.jsonl' }, 'write-docs': { type: 'boolean', default: false }, 'flink-only': { type: 'boolean', default: false }, 'skip-flink': { type: 'boolean', default: false },
      results: { type: 'boolean', default: false }, 'flink-set': { type: 'string', multiple: true, default: [] },
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void stopFlink().finally(() => process.exit(130)); });
  const queries = values.queries === undefined || values.queries === 'all' ? Object.keys(nexmarkQueries) : values.queries.split(',');
  const timeoutMs = Number(values.timeout) * 1000;
  if (values.results) {
    await writeResults(queries, timeoutMs);
    return;
  }
  mkdirSync('bench-data', { recursive: true });
  const events = Number(values.events);
  const file = path.resolve(values.file ?? (await eventsFile(events)));
  const warmUp = Number(values['warm-up']) === 0 ? null : await eventsFile(Number(values['warm-up']));
  const systems: readonly System[] = values['flink-only'] ? ['flink'] : values['skip-flink'] ? ['millrace'] : ['flink', 'millrace'];
  const stored = values['skip-flink'] ? storedFlink(events) : [];
  const flinkSettings = Object.fromEntries(values['flink-set'].map(s => [s.slice(0, s.indexOf('=')), s.slice(s.indexOf('=') + 1)]));
  const { figures, failures } = await compare({ events, file, warmUp, queries, runs: Number(values.runs), timeoutMs, json: values.json, systems, flinkSettings });
  const all = [...stored, ...medians(figures)];
  const table = comparison(all, failures, queries);
  console.log(table);
  if (values['write-docs']) {
    const when = new Date().toISOString().slice(0, 10);
    const title = `${events.toLocaleString('en')} events, ${Number(values.runs) === 1 ? 'one run' : `median of ${values.runs} runs`}, ${when}, ${machine()}${values['skip-flink'] ? "; Flink's figures of an earlier run" : ''}:`;
    writeFileSync(DOCS_FILE, betweenMarkers(readFileSync(DOCS_FILE, 'utf8'), `${title}\n\n${table}`));
    const kept: Stored = { when, machine: machine(), events, figures: all };
    writeFileSync(FIGURES_FILE, `${JSON.stringify(kept, null, 1)}\n`);
  }
  if (failures.length > 0) process.exitCode = 1;
}

main().catch((e: unknown) => { console.error(message(e)); process.exitCode = 1; });
