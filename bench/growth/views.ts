/**
 * Views on one stream: each view is its own job and reads other columns of the same stream of Nexmark events. Events × views per CPU second,
 * with one read and decode for all, and with one for each (shared_reading = off). The views exist when the events come: the stream is a followed folder,
 * into which the file is put then.
 */
import { linkSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { eventStream } from '../nexmark/queries.js';
import { eventsFile } from '../nexmark/runquery.js';
import type { Curve } from './curve.js';
import { allRead, costOf, withServer } from './jobs.js';

const COLUMNS = ['auction', 'bidder', 'price', 'channel'] as const;

function viewSql(k: number): string {
  const by = COLUMNS[k % COLUMNS.length];
  return `CREATE MATERIALIZED VIEW v${k} AS SELECT ${by === 'channel' ? by : `${by} % 1000`} AS k, count(*) AS n, max(price) AS top FROM bid GROUP BY 1`;
}

export const views: Curve = {
  name: 'views',
  pictures: [{
    name: 'views', title: 'Views on one stream', xLabel: 'views, each its own job', yLabel: 'events × views per CPU second', yLog: true, series: ['one decode for all', 'one decode for each'],
  }],
  async run(scale, give) {
    const file = await eventsFile(scale.events);
    mkdirSync('bench-data', { recursive: true });
    for (const [series, shared] of [['one decode for all', 'on'], ['one decode for each', 'off']] as const) {
      for (const n of scale.quick ? [1, 2, 5, 10] : [1, 2, 5, 10, 20, 50]) {
        await withServer({ parallelism: '1', shared_reading: shared, checkpoint_interval: '1s' }, async (server, client) => {
          const folder = mkdtempSync(path.resolve('bench-data/views-'));
          try {
            await client.query(eventStream(`connector = 'file', path = '${folder}', format = 'json', follow = 'true'`));
            for (let k = 0; k < n; k++) await client.query(viewSql(k));
            const cost = await costOf(server, async () => {
              linkSync(file, path.join(folder, 'events.ndjson'));
              await allRead(client, scale.events, false);
            });
            give(series, n, Math.round(scale.events * n / cost.cpuSeconds), { seconds: cost.seconds, cpuSeconds: cost.cpuSeconds, peakRssMb: server.peakRssMb() });
          } finally {
            rmSync(folder, { recursive: true });
          }
        });
      }
    }
  },
};
