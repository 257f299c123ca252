/**
 * State beyond memory: q4, q9 and q20 with all state in memory and with a small `state_memory`, each in a server of its own: events per second,
 * peak memory, and whether both give the same. The result is a view of one row: the count of the query's rows, and sums over their columns.
 *
 *   node dist/bench/nexmark/beyondmemory.js [--events 20000000] [--queries q4,q9,q20] [--memory 64MB]
 */
import { parseArgs } from 'node:util';
import { nexmarkQueries } from './queries.js';
import { eventsFile, streams } from './runquery.js';
import { ServerProcess } from './serverprocess.js';

const POLL_MS = 100;
/** What is added up over the query's rows. */
const DIGESTS: Readonly<Record<string, readonly string[]>> = {
  q4: ['category', 'final', 'category * final'],
  q9: ['id', 'bidder', 'price', 'auction % 1000 * price', 'length(description) + length(extra) + length(bid_extra)'],
  q20: ['auction % 1000 * price', 'bidder', 'price', 'seller', 'reserve', 'length(url) + length(channel) + length(extra) + length(description) + length(item_name) + length(auction_extra)'],
};

interface Run { readonly seconds: number; readonly cpuSeconds: number; readonly peakMb: number; readonly result: string }

async function run(query: string, file: string, stateMemory: string | null): Promise<Run> {
  const server = await ServerProcess.start();
  try {
    const client = await server.connect();
    await client.query("SET checkpoint_interval = '1s'; SET parallelism = 1");
    if (stateMemory !== null) await client.query(`SET state_memory = '${stateMemory}'`);
    await client.query(streams(query, { kind: 'file', file }));
    await server.warm(client);
    const sums = (DIGESTS[query] ?? []).map((e, k) => `sum(${e}) AS sum_${k}`);
    const cpuBefore = server.cpuSeconds();
    const began = performance.now();
    await client.query(`CREATE MATERIALIZED VIEW digest AS SELECT ${['count(*) AS rows', ...sums].join(', ')} FROM (${nexmarkQueries[query] ?? ''}) AS q`);
    for (;;) {
      const { rows } = await client.query<{ status: string; failure: string | null }>("SELECT status, failure FROM millrace.jobs WHERE job_name = 'digest'");
      if (rows[0]?.status === 'finished') break;
      if (rows[0]?.status === 'failed') throw new Error(`${query}: ${rows[0].failure ?? 'failed'}`);
      await new Promise(resolve => { setTimeout(resolve, POLL_MS); });
    }
    const seconds = (performance.now() - began) / 1000;
    const cpuSeconds = server.cpuSeconds() - cpuBefore;
    const { rows } = await client.query<unknown[]>({ text: 'SELECT * FROM digest', rowMode: 'array' });
    await client.end();
    return { seconds, cpuSeconds, peakMb: server.peakRssMb(), result: JSON.stringify(rows) };
  } finally {
    await server.close();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { events: { type: 'string' }, queries: { type: 'string' }, memory: { type: 'string' } } });
  const events = Number(values.events ?? '20000000');
  const memory = values.memory ?? '64MB';
  const file = await eventsFile(events);
  const figures = (r: Run): string => `${Math.round(events / r.seconds).toLocaleString('en')} | ${Math.round(events / r.cpuSeconds).toLocaleString('en')} | ${r.peakMb}`;
  console.log(`| query | state_memory | events/s | events/CPU s | peak RSS MB | of in-memory speed | same result |\n|---|---|---|---|---|---|---|`);
  let failed = false;
  for (const query of (values.queries ?? 'q4,q9,q20').split(',')) {
    const whole = await run(query, file, null);
    console.log(`| ${query} | default | ${figures(whole)} | | |`);
    const small = await run(query, file, memory);
    const same = small.result === whole.result;
    failed ||= !same;
    console.log(`| ${query} | ${memory} | ${figures(small)} | ${(whole.seconds / small.seconds).toFixed(2)} | ${same ? 'yes' : `NO: ${small.result} instead of ${whole.result}`} |`);
  }
  if (failed) process.exitCode = 1;
}

main().catch((e: unknown) => { console.error(e); process.exit(1); });
