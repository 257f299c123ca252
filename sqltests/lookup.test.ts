/** JOIN … FOR SYSTEM_TIME AS OF: no stream row comes before the table has been read, in any job and after any restart; results stay as they were. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { removeFolder, ServerProcess, temporaryFolder } from './serverprocess.js';

const ROWS = 30_000;
const KEYS = 10_000;

for (const parallelism of [1, 2]) {
  test(`every row of a file finds its row of a large table; later changes of the table do not change results, parallelism ${parallelism}`, { timeout: 120_000 }, async () => {
    const dir = temporaryFolder('lookup');
    const file = path.join(dir, 'bids.ndjson');
    writeFileSync(file, Array.from({ length: ROWS }, (_, i) => `{"auction":${i},"price":${i % 7}}\n`).join(''));
    let server = await ServerProcess.start(path.join(dir, 'data'));
    try {
      await server.query('CREATE TABLE side (key bigint PRIMARY KEY, value text)');
      await server.query(`INSERT INTO side SELECT g, 'side-' || g FROM generate_series(0, ${KEYS - 1}) g`);
      await server.query(`CREATE STREAM bid (auction bigint, price int) WITH (connector = 'file', path = '${file}', format = 'json')`);
      await server.query('CREATE STREAM click (id bigint, seen timestamptz GENERATED ALWAYS AS (now()) VIRTUAL)');
      await server.query(`ALTER SYSTEM SET parallelism = ${parallelism}`);
      await server.query("ALTER SYSTEM SET checkpoint_interval = '200ms'");
      await server.query('CREATE MATERIALIZED VIEW named AS SELECT b.auction, b.price, s.value FROM bid b JOIN side FOR SYSTEM_TIME AS OF PROCTIME() AS s ON b.auction % 10000 = s.key');
      await server.query('CREATE MATERIALIZED VIEW clicked AS SELECT c.id, s.value FROM click c LEFT JOIN side FOR SYSTEM_TIME AS OF c.seen AS s ON s.key = c.id');
      // A table has no end: the job goes on when the file has been read.
      while (Number((await server.query('SELECT count(*) FROM named'))[0]?.[0]) < ROWS) await new Promise(resolve => { setImmediate(resolve); });
      const all = `SELECT count(*), count(DISTINCT auction), sum(CASE WHEN value = 'side-' || auction % ${KEYS} THEN 1 ELSE 0 END) FROM named`;
      assert.deepEqual(await server.query(all), [[String(ROWS), String(ROWS), String(ROWS)]]);

      await server.query('INSERT INTO click VALUES (1), (2), (-1)');
      await server.query('FLUSH');
      await server.query("UPDATE side SET value = 'other' WHERE key < 3");
      await server.query('DELETE FROM side WHERE key = 5');
      await server.query('INSERT INTO click VALUES (1), (5), (6)');
      await server.query('FLUSH');
      const clicks = [['-1', null], ['1', 'other'], ['1', 'side-1'], ['2', 'side-2'], ['5', null], ['6', 'side-6']];
      assert.deepEqual(await server.query('SELECT * FROM clicked ORDER BY id, value'), clicks);

      await server.query('CHECKPOINT');
      await server.query('INSERT INTO click VALUES (2)');
      await server.kill();
      server = await ServerProcess.start(path.join(dir, 'data'));
      await server.query("INSERT INTO side VALUES (-1, 'minus one')");
      await server.query('INSERT INTO click VALUES (-1)');
      await server.query('FLUSH');
      assert.deepEqual(await server.query('SELECT * FROM clicked ORDER BY id, value'), [['-1', 'minus one'], ['-1', null], ['1', 'other'], ['1', 'side-1'], ['2', 'other'], ['2', 'side-2'], ['5', null], ['6', 'side-6']]);
      assert.deepEqual(await server.query(all), [[String(ROWS), String(ROWS), String(ROWS)]]);
    } finally {
      await server.kill();
      removeFolder(dir);
    }
  });
}
