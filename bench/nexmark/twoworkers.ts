/**
 * What a second worker brings, beside what the machine has to give: a query with one worker, with two, and in two servers of one worker each at the
 * same time, which share nothing but the machine. All in turn, so that a slow moment meets each of them; figures are of the medians.
 *
 *   node dist/bench/nexmark/twoworkers.js [--events 4000000] [--queries q4,q5,…] [--rounds 5]
 */
import { parseArgs } from 'node:util';
import { eventsFile, runQuery } from './runquery.js';
import type { QueryResult } from './runquery.js';

/** Queries with state. */
const DEFAULT_QUERIES = 'q4,q5,q7,q8,q9,q11,q16,q17,q18,q19,q20';

/** Seconds of the wall and of CPU. */
interface Times { readonly seconds: number; readonly cpuSeconds: number }

function median(times: readonly Times[], of: keyof Times): number {
  const sorted = times.map(t => t[of]).sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Of both together: they begin at the same time and have the same to do. */
function together(results: readonly QueryResult[]): Times {
  return { seconds: results.reduce((sum, r) => sum + r.seconds, 0) / results.length, cpuSeconds: results.reduce((sum, r) => sum + r.cpuSeconds, 0) };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { events: { type: 'string', default: '4000000' }, queries: { type: 'string', default: DEFAULT_QUERIES }, rounds: { type: 'string', default: '5' } } });
  const events = Number(values.events);
  const file = await eventsFile(events);
  const run = (query: string, parallelism: number): Promise<QueryResult> => runQuery({ query, source: { kind: 'file', file }, events, parallelism });
  console.log('| query | one worker: s, CPU s | two workers: s, CPU s | | two servers: s, CPU s | |\n|---|--:|--:|--:|--:|--:|');
  for (const query of values.queries.split(',')) {
    const one: Times[] = [];
    const two: Times[] = [];
    const servers: Times[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      one.push(await run(query, 1));
      two.push(await run(query, 2));
      servers.push(together(await Promise.all([run(query, 1), run(query, 1)])));
    }
    const figures = (times: readonly Times[]): string => `${median(times, 'seconds').toFixed(2)}, ${median(times, 'cpuSeconds').toFixed(2)}`;
    const speedup = median(one, 'seconds') / median(two, 'seconds');
    const limit = 2 * median(one, 'seconds') / median(servers, 'seconds');
    console.log(`| ${query} | ${figures(one)} | ${figures(two)} | ${speedup.toFixed(2)} × | ${figures(servers)} | ${limit.toFixed(2)} × |`);
  }
}

main().catch((e: unknown) => { console.error(e); process.exitCode = 1; });
