import { test } from 'node:test';
import assert from 'node:assert/strict';
import path from 'node:path';
import { generateNexmark } from '../bench/nexmark/generate.js';
import { eventFile } from '../bench/nexmark/queries.js';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

const EVENTS = 20_000;

test('at_least_once: after kills no row is lost, though some may be counted again', { timeout: 180_000 }, async t => {
  const dir = temporaryFolder('at-least-once');
  const file = path.join(dir, 'events.ndjson');
  let server: ServerProcess | null = null;
  try {
    await generateNexmark({ events: EVENTS, file, seed: 7 });
    const data = path.join(dir, 'data');
    server = await ServerProcess.start(data);
    await server.query(`${eventFile(file)} SET checkpoint_mode = 'at_least_once'; SET checkpoint_interval = '200ms'; SET parallelism = 2; SET restart_strategy = 'fixed_delay';
      CREATE STREAM slow (auction bigint PATH '$.bid.auction') WITH (connector = 'file', path = '${file}', format = 'json', rows_per_second = 4000);
      CREATE MATERIALIZED VIEW per_auction AS SELECT auction, count(*) AS n FROM slow GROUP BY auction;`);
    for (let kills = 0; kills < 3; kills++) {
      const alive: ServerProcess = server;
      await until(() => alive.query("SELECT status FROM millrace.jobs"), rows => rows.every(r => r[0] === 'running') && rows.length > 0, 60_000, 'running');
      await new Promise(resolve => { setTimeout(resolve, 500); });
      await server.kill();
      server = await ServerProcess.start(data);
    }
    const last: ServerProcess = server;
    await until(() => last.query('SELECT status FROM millrace.jobs'), rows => rows.every(r => r[0] === 'finished'), 90_000, 'the end');
    assert.deepEqual(await last.query("SELECT DISTINCT mode FROM millrace.checkpoints"), [['at_least_once']]);
    // The file itself is the oracle: a batch query over the bounded stream.
    const missing = await last.query(`SELECT e.auction, e.n, v.n FROM (SELECT auction, count(*) AS n FROM event GROUP BY auction) e LEFT JOIN per_auction v ON v.auction = e.auction WHERE e.auction IS NOT NULL AND (v.n IS NULL OR v.n < e.n)`);
    assert.deepEqual(missing, []);
    t.diagnostic(`rows counted: ${String((await last.query('SELECT sum(n) FROM per_auction'))[0]?.[0])} of ${EVENTS}`);
  } finally {
    await server?.kill();
    removeFolder(dir);
  }
});
