/**
 * `npm run bench`: events per second, CPU and peak memory of Nexmark queries into a blackhole sink, a checkpoint every second, exactly once. Each
 * query runs in a server process of its own, so that peak memory is that query's.
 *
 *   node dist/bench/nexmark/run.js [--events 2000000] [--queries q0,q1,… | all] [--parallelism 1] [--checkpoint-interval 1s] [--set name=value …]
 *     [--source file|kafka] [--file FILE] [--bootstrap HOST:PORT] [--compression none|gzip] [--batch-bytes 65536]
 *     [--sink blackhole|kafka] [--sink-options "compression = 'gzip'"] [--json FILE] [--rounds 1] [--main SERVER_JS …] [--profile DIR] [--node-flags='…']
 *
 * --source kafka: from a topic of a real broker with as many partitions as `parallelism`, filled once (kafka.ts); without --bootstrap a broker is
 * started. --sink kafka: into a new topic of it with as many
 * partitions, at least once. --json appends each result as a line (QueryResult). --main, several times: builds to compare, run in turn. --rounds: repeat, print the median by CPU.
 * Events are all lines of the file (persons, auctions and bids), as other systems' figures count them.
 */
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { benchKafka, fillTopic, newTopic } from './kafka.js';
import { nexmarkQueries } from './queries.js';
import { eventsFile, runQuery } from './runquery.js';
import type { EventSource, QueryResult } from './runquery.js';

const DEFAULT_QUERIES = 'q0,q1,q2,q4,q5,q7,q8';

function row(r: QueryResult, label: string): string {
  const n = (v: number): string => v.toLocaleString('en');
  return `| ${r.query}${label} | ${n(r.eventsPerSecond)} | ${n(r.eventsPerCpuSecond)} | ${r.peakRssMb} | ${r.checkpointsCompleted}/${r.checkpointsFailed}, ${r.checkpointP50Ms ?? '-'} |`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '2000000' }, queries: { type: 'string', default: DEFAULT_QUERIES }, parallelism: { type: 'string' }, workers: { type: 'string', default: '1' },
      'checkpoint-interval': { type: 'string', default: '1s' }, set: { type: 'string', multiple: true, default: [] }, source: { type: 'string', default: 'file' }, file: { type: 'string' },
      bootstrap: { type: 'string' }, compression: { type: 'string', default: 'none' }, 'batch-bytes': { type: 'string', default: '65536' }, json: { type: 'string' }, sink: { type: 'string', default: 'blackhole' }, 'sink-options': { type: 'string' },
      rounds: { type: 'string', default: '1' }, main: { type: 'string', multiple: true }, profile: { type: 'string' }, 'node-flags': { type: 'string' },
    },
  });
  const events = Number(values.events);
  const parallelism = Number(values.parallelism ?? values.workers);
  const file = values.file ?? (await eventsFile(events));
  const settings = Object.fromEntries(values.set.map(s => [s.slice(0, s.indexOf('=')).trim(), s.slice(s.indexOf('=') + 1).trim()]));
  const queries = values.queries === 'all' ? Object.keys(nexmarkQueries) : values.queries.split(',');
  const mains: (string | undefined)[] = values.main ?? [undefined];
  const kafka = values.source === 'kafka' || values.sink === 'kafka' ? await benchKafka(values.bootstrap) : null;
  try {
    const compression = values.compression === 'gzip' ? 'gzip' : 'none';
    const source: EventSource = kafka === null || values.source === 'file' ? { kind: 'file', file }
      : { kind: 'kafka', file, servers: kafka.servers, topic: await fillTopic(kafka.servers, file, events, { partitions: parallelism, compression, batchBytes: Number(values['batch-bytes']) }) };
    console.log('| query | events/s | events/CPU s | peak RSS MB | checkpoints ok/failed, p50 ms |\n|---|---|---|---|---|');
    for (const query of queries) {
      const results = mains.map((): QueryResult[] => []);
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const [i, m] of mains.entries()) {
          const more = values['sink-options'] === undefined ? '' : `, ${values['sink-options']}`;
          const sink = kafka === null || values.sink !== 'kafka' ? {} : { sink: `connector = 'kafka', bootstrap_servers = '${kafka.servers}', topic = '${await newTopic(kafka.servers, `sink-${query}-${Date.now()}`, parallelism)}'${more}` };
          const result = await runQuery({ query, ...sink, source, events, parallelism, checkpointInterval: values['checkpoint-interval'], settings, ...(m === undefined ? {} : { main: path.resolve(m) }), ...(values.profile === undefined ? {} : { profileDir: values.profile }), ...(values['node-flags'] === undefined ? {} : { nodeFlags: values['node-flags'].split(' ').filter(f => f !== '') }) });
          results[i].push(result);
          if (values.json !== undefined) appendFileSync(values.json, `${JSON.stringify({ ...result, ...(m === undefined ? {} : { main: m }) })}\n`);
        }
      }
      for (const [i, rs] of results.entries()) console.log(row(rs.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[rs.length >> 1], mains[i] === undefined ? '' : ` ${mains[i]}`));
    }
  } finally {
    await kafka?.close();
  }
}

main().catch((e: unknown) => { console.error(e); process.exitCode = 1; });
