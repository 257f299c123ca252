/**
 * Keys: one aggregate over n groups, n from a thousand to ten million, always over the same file: its k goes through all numbers below ten million in a
 * mixed order, and the query groups by k % n. A checkpoint every second, exactly once; another line without checkpoints.
 */
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { once } from 'node:events';
import type { Curve } from './curve.js';
import { allFinished, costOf, withServer } from './jobs.js';

const KEYS_MAX = 10_000_000;
/** No factor in common with KEYS_MAX: k takes each value once. */
const STEP = 6_700_417;
const LINES_A_WRITE = 10_000;

async function keysFile(rows: number): Promise<string> {
  const file = path.resolve(`bench-data/keys-${rows}.ndjson`);
  if (existsSync(file)) return file;
  mkdirSync('bench-data', { recursive: true });
  const out = createWriteStream(file);
  let k = 0;
  for (let i = 0; i < rows;) {
    const lines: string[] = [];
    for (const end = Math.min(rows, i + LINES_A_WRITE); i < end; i++) {
      lines.push(`{"k":${k},"v":${i % 1000}}\n`);
      k = (k + STEP) % KEYS_MAX;
    }
    if (!out.write(lines.join(''))) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
  return file;
}

export const keys: Curve = {
  name: 'keys',
  pictures: [{
    name: 'keys', title: 'Groups of one aggregate', xLabel: 'groups', yLabel: 'rows per CPU second', yLog: true, series: ['a checkpoint every second', 'no checkpoints'],
  }],
  async run(scale, give) {
    const rows = scale.quick ? 1_000_000 : KEYS_MAX;
    const file = await keysFile(rows);
    for (const [series, interval] of [['a checkpoint every second', '1s'], ['no checkpoints', '0']] as const) {
      for (let n = 1000; n <= rows; n *= 10) {
        await withServer({ parallelism: '1', checkpoint_interval: interval }, async (server, client) => {
          await client.query(`CREATE STREAM s (k bigint, v bigint) WITH (connector = 'file', path = '${file}', format = 'json')`);
          const cost = await costOf(server, async () => {
            await client.query(`CREATE SINK x AS SELECT k % ${n} AS k, count(*) AS n, sum(v) AS v FROM s GROUP BY 1 WITH (connector = 'blackhole')`);
            await allFinished(client);
          });
          give(series, n, Math.round(rows / cost.cpuSeconds), { rowsPerSecond: Math.round(rows / cost.seconds), ...cost, peakRssMb: server.peakRssMb() });
        });
      }
    }
  },
};
