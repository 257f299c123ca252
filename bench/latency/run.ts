/**
 * `npm run bench:latency`: from an event's due time at the producer to its row at a subscriber over the Postgres wire, through a real Kafka broker, at
 * shares of the maximum rate; a checkpoint every second, exactly once.
 *
 *   node dist/bench/latency/run.js [--queries filter,count] [--loads 10,50,90] [--seconds 20] [--backlog 3] [--linger 5] [--parallelism 1]
 *     [--set name=value …] [--max-rate N] [--json FILE] [--svg FILE] [--profile DIR]
 *
 * Two rates are measured first, with --backlog million events through the same view: from a backlog, nothing else running; and while the producer writes
 * them as fast as it can. The lesser is the maximum: on few cores producer and broker are the limit, not the server. Then for each load the
 * producer (its own process, producer.ts) sends for WARM_SECONDS + --seconds; every 500th event is a probe whose row tells its time. Broker,
 * producer, server and subscriber share the machine: their CPU seconds a second are in the table.
 */
import { fork } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import type { TestKafka } from '../../connectors/kafka/testbroker.js';
import { startKafka } from '../../connectors/kafka/testbroker.js';
import { lineChart } from '../charts/linechart.js';
import { ServerProcess, cpuSeconds } from '../nexmark/serverprocess.js';
import { QUERIES, eventStream, monotonicUs } from './events.js';
import type { LatencyQuery, ProducerReport } from './events.js';
import { summarise } from './latencies.js';
import type { Summary } from './latencies.js';
import { Subscriber } from './subscriber.js';

const WARM_SECONDS = 5;
/** Rows of the last probes come within this time, or are counted as missing. */
const DRAIN_MS = 5000;

interface Settings { readonly parallelism: number; readonly seconds: number; readonly lingerMs: number; readonly set: Readonly<Record<string, string>>; readonly profileDir: string | undefined }

export interface LatencyPoint extends Summary {
  readonly query: string;
  /** Share of the maximum rate. */
  readonly load: number;
  readonly rate: number;
  readonly maxRate: number;
  readonly backlogRate: number;
  readonly seconds: number;
  readonly missing: number;
  readonly parallelism: number;
  readonly settings: Readonly<Record<string, string>>;
  /** CPU seconds a second of the measured time. */
  readonly cpu: { readonly server: number; readonly broker: number; readonly producer: number; readonly subscriber: number };
  readonly cores: number;
  readonly producerBehindMaxMs: number;
  readonly checkpoints: number;
  readonly checkpointP50Ms: number | null;
}

/** `seconds` at `rate`, or so many million events as fast as they go (rate 0). */
function produce(servers: string, topic: string, rate: number, seconds: number, lingerMs: number): { readonly pid: number; readonly report: Promise<ProducerReport> } {
  const child = fork(fileURLToPath(new URL('./producer.js', import.meta.url)), [servers, topic, String(rate), String(seconds), String(lingerMs)]);
  const report = new Promise<ProducerReport>((resolve, reject) => {
    let said: ProducerReport | null = null;
    child.once('message', m => { said = m as ProducerReport; });
    child.once('exit', code => { if (said !== null) resolve(said); else reject(new Error(`the producer ended with ${String(code)}`)); });
  });
  return { pid: child.pid ?? -1, report };
}

async function session(server: ServerProcess, settings: Settings): Promise<pg.Client> {
  const client = await server.connect();
  const set = { checkpoint_interval: '1s', parallelism: String(settings.parallelism), ...settings.set };
  for (const [name, value] of Object.entries(set)) await client.query(`SET ${name} = '${value.replaceAll("'", "''")}'`);
  await server.warm(client);
  return client;
}

/** Events a second of a backlog through the view, nothing else running. */
async function backlogRate(kafka: TestKafka, query: LatencyQuery, millions: number, settings: Settings): Promise<number> {
  const topic = `backlog-${query.name}`;
  await kafka.createTopic(topic);
  const { sent } = await produce(kafka.servers, topic, 0, millions, 0).report;
  return through(kafka, topic, query, settings, () => Promise.resolve(sent));
}

/** Events a second that go through the machine while producer, broker and server share it: what a constant rate may approach. */
async function chainRate(kafka: TestKafka, query: LatencyQuery, millions: number, settings: Settings): Promise<number> {
  const topic = `chain-${query.name}`;
  await kafka.createTopic(topic);
  return through(kafka, topic, query, settings, async () => (await produce(kafka.servers, topic, 0, millions, 0).report).sent);
}

/** Events a second until the last probe of those that `begin` sends was seen. */
async function through(kafka: TestKafka, topic: string, query: LatencyQuery, settings: Settings, begin: () => Promise<number>): Promise<number> {
  const server = await ServerProcess.start();
  try {
    const client = await session(server, settings);
    await client.query(eventStream(kafka.servers, topic));
    const began = performance.now();
    await client.query(`CREATE MATERIALIZED VIEW v AS ${query.sql}`);
    const sent = await begin();
    for (;;) {
      const { rows } = await client.query<{ rows: string }>('SELECT sum(rows) AS rows FROM millrace.sources');
      if (Number(rows[0]?.rows ?? 0) >= sent) break;
      await new Promise(resolve => { setTimeout(resolve, 20); });
    }
    await client.end();
    return Math.round(sent / ((performance.now() - began) / 1000));
  } finally {
    await server.close();
  }
}

async function measure(kafka: TestKafka, query: LatencyQuery, load: number, maxRate: number, settings: Settings): Promise<Omit<LatencyPoint, 'backlogRate'>> {
  const topic = `load-${query.name}-${load}`;
  const rate = Math.round((maxRate * load) / 100);
  await kafka.createTopic(topic);
  const server = await ServerProcess.start(settings.profileDir === undefined ? {} : { profileDir: path.join(settings.profileDir, `${query.name}-${load}`) });
  try {
    const client = await session(server, settings);
    await client.query(eventStream(kafka.servers, topic));
    await client.query(`CREATE MATERIALIZED VIEW v AS ${query.sql}`);
    const subscriber = await Subscriber.open(server, row => query.probe(row));
    const { seconds } = settings;
    const producer = produce(kafka.servers, topic, rate, WARM_SECONDS + seconds, settings.lingerMs);
    const used = (): { server: number; broker: number; producer: number; subscriber: number } => ({
      server: server.cpuSeconds(), broker: cpuSeconds(kafka.pid), producer: cpuSeconds(producer.pid), subscriber: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
    });
    await new Promise(resolve => { setTimeout(resolve, WARM_SECONDS * 1000); });
    const fromUs = monotonicUs();
    const before = used();
    // A moment before its end: an ended process has no CPU time to read.
    await new Promise(resolve => { setTimeout(resolve, seconds * 1000 - 200); });
    const after = used();
    const elapsed = (monotonicUs() - fromUs) / 1e6;
    const report = await producer.report;
    const toUs = monotonicUs();
    const expected = (): number => Math.floor((report.sent - 1) / 500) + 1;
    for (let waited = 0; waited < DRAIN_MS && subscriber.probes < expected(); waited += 20) await new Promise(resolve => { setTimeout(resolve, 20); });
    const { rows } = await client.query<{ ms: number }>("SELECT (extract(epoch FROM duration) * 1000)::float8 AS ms FROM millrace.checkpoints WHERE status = 'completed'");
    const durations = rows.map(r => r.ms).sort((a, b) => a - b);
    await subscriber.close();
    await client.end();
    const share = (k: keyof typeof after): number => Math.round(((after[k] - before[k]) / elapsed) * 100) / 100;
    return {
      query: query.name, load, rate, maxRate, seconds, missing: expected() - subscriber.probes, parallelism: settings.parallelism, settings: { checkpoint_interval: '1s', linger_ms: String(settings.lingerMs), ...settings.set },
      ...summarise(subscriber.latenciesMs(fromUs, toUs)), cpu: { server: share('server'), broker: share('broker'), producer: share('producer'), subscriber: share('subscriber') }, cores: cpus().length,
      producerBehindMaxMs: report.behindMaxMs, checkpoints: durations.length, checkpointP50Ms: durations[durations.length >> 1] ?? null,
    };
  } finally {
    await server.close();
  }
}

/** Latency against the share of events that are slower: 1 (all) down to one in all samples. */
function draw(points: readonly LatencyPoint[], query: string): string {
  const of = points.filter(p => p.query === query);
  return lineChart({
    title: `Source to subscriber, ${query}: latency (ms) that one event in so many exceeds`, xLabel: 'one event in', yLabel: 'ms', yLog: true,
    series: of.map(p => {
      let slower = p.samples;
      const line = p.histogram.map(([border, n]) => {
        slower -= n;
        return { x: slower > 0 ? p.samples / slower : p.samples, y: Math.min(border, p.max) };
      });
      return { name: `${p.load} % of the maximum`, points: line };
    }),
  });
}

const ms = (v: number): string => (Number.isNaN(v) ? '-' : v.toFixed(v < 10 ? 1 : 0));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      queries: { type: 'string', default: QUERIES.map(q => q.name).join(',') }, loads: { type: 'string', default: '10,50,90' }, seconds: { type: 'string', default: '20' }, backlog: { type: 'string', default: '3' },
      linger: { type: 'string', default: '5' }, parallelism: { type: 'string', default: '1' }, set: { type: 'string', multiple: true, default: [] }, 'max-rate': { type: 'string' },
      json: { type: 'string' }, svg: { type: 'string' }, profile: { type: 'string' },
    },
  });
  const settings: Settings = {
    parallelism: Number(values.parallelism), seconds: Number(values.seconds), lingerMs: Number(values.linger), profileDir: values.profile,
    set: Object.fromEntries(values.set.map(s => [s.slice(0, s.indexOf('=')).trim(), s.slice(s.indexOf('=') + 1).trim()])),
  };
  const kafka = await startKafka({ forSpeed: true });
  const points: LatencyPoint[] = [];
  try {
    console.log('| query | load | events/s | p50 ms | p99 | p99.9 | max | probes (missing) | CPU: server, broker, producer, subscriber | checkpoints, p50 ms |\n|---|---|---|---|---|---|---|---|---|---|');
    for (const name of values.queries.split(',')) {
      const query = QUERIES.find(q => q.name === name);
      if (query === undefined) throw new Error(`unknown query ${name}`);
      const millions = Number(values.backlog);
      const backlog = await backlogRate(kafka, query, millions, settings);
      const maxRate = values['max-rate'] === undefined ? Math.min(backlog, await chainRate(kafka, query, millions, settings)) : Number(values['max-rate']);
      console.error(`${name}: ${backlog.toLocaleString('en')} events/s from a backlog, ${maxRate.toLocaleString('en')} taken as the maximum`);
      for (const load of values.loads.split(',').map(Number)) {
        const p: LatencyPoint = { ...(await measure(kafka, query, load, maxRate, settings)), backlogRate: backlog };
        points.push(p);
        if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify(p)}\n`);
        const { cpu } = p;
        console.log(`| ${p.query} | ${p.load} % | ${p.rate.toLocaleString('en')} | ${ms(p.p50)} | ${ms(p.p99)} | ${ms(p.p999)} | ${ms(p.max)} | ${p.samples} (${p.missing}) | ${cpu.server}, ${cpu.broker}, ${cpu.producer}, ${cpu.subscriber} of ${p.cores} | ${p.checkpoints}, ${p.checkpointP50Ms === null ? '-' : Math.round(p.checkpointP50Ms)} |`);
      }
      if (values.svg !== undefined) writeFileSync(values.svg.replace(/\.svg$/, `-${name}.svg`), draw(points, name));
    }
  } finally {
    await kafka.remove();
  }
}

main().catch((e: unknown) => { console.error(e); process.exitCode = 1; });
