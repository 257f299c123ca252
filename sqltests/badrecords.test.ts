/** Bad records and failing expressions: what on_error does, and that a failed job names the place and nothing else is lost. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

const GOOD = '{"id":1,"n":10}\n{"id":2,"n":20}\n';
const BAD = '{"id":3,"n":"many"}\n';
const RECORDS: Readonly<Record<string, string>> = { wrong_type: BAD, no_json: '{"id":3,\n', missing: '{"n":5}\n' };

async function withServer(run: (server: ServerProcess, dir: string) => Promise<void>): Promise<void> {
  const dir = temporaryFolder('bad');
  const server = await ServerProcess.start(path.join(dir, 'data'));
  try {
    await run(server, dir);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
}

test('on_error = fail: the job fails at once and names the record\'s place', { timeout: 60_000 }, async () => {
  await withServer(async (server, dir) => {
    for (const [name, record] of Object.entries(RECORDS)) {
      const file = path.join(dir, `${name}.ndjson`);
      writeFileSync(file, GOOD + record + GOOD);
      await server.query(`CREATE STREAM ${name} (id int NOT NULL, n int) WITH (connector = 'file', path = '${file}', format = 'json')`);
      await server.query(`CREATE MATERIALIZED VIEW ${name}_v AS SELECT id, n FROM ${name}`).catch(() => undefined);
      const rows = await until(() => server.query(`SELECT sqlstate, message, detail, restarts FROM millrace.job_failures WHERE job_name = '${name}_v'`), r => r.length > 0, 20_000, `failure of ${name}`);
      assert.match(String(rows[0]?.[0]), /^22|^23/, name);
      assert.match(`${String(rows[0]?.[1])} ${String(rows[0]?.[2])}`, /line 3|:3/, name);
      assert.equal(rows[0]?.[3], '0');
      assert.deepEqual(await server.query(`SELECT status FROM millrace.jobs WHERE job_name = '${name}_v'`), [['failed']]);
    }
  });
});

test('on_error = skip counts bad records, dead_letter keeps them', { timeout: 60_000 }, async () => {
  await withServer(async (server, dir) => {
    const file = path.join(dir, 'records.ndjson');
    writeFileSync(file, GOOD + Object.values(RECORDS).join('') + GOOD);
    for (const policy of ['skip', 'dead_letter']) {
      await server.query(`CREATE STREAM ${policy} (id int NOT NULL, n int) WITH (connector = 'file', path = '${file}', format = 'json', on_error = '${policy}')`);
      await server.query(`CREATE MATERIALIZED VIEW ${policy}_v AS SELECT count(*) AS c, sum(n) AS s FROM ${policy}`);
      await until(() => server.query(`SELECT c, s FROM ${policy}_v`), r => r[0]?.[0] === '4', 20_000, `${policy} rows`);
      assert.deepEqual(await server.query(`SELECT c, s FROM ${policy}_v`), [['4', '60']]);
    }
    await until(() => server.query('SELECT position, reason FROM millrace.dead_letters'), r => r.length === 3, 20_000, 'three dead letters');
  });
});

test('an expression error fails the job without restarts; other jobs go on', { timeout: 60_000 }, async () => {
  await withServer(async server => {
    await server.query('CREATE TABLE t (id int PRIMARY KEY, d int); CREATE MATERIALIZED VIEW ok AS SELECT count(*) AS c FROM t; CREATE MATERIALIZED VIEW division AS SELECT id, 10 / d AS q FROM t');
    await server.query('INSERT INTO t VALUES (1, 5), (2, 0)');
    const rows = await until(() => server.query("SELECT sqlstate, message, restarts FROM millrace.job_failures WHERE job_name = 'division'"), r => r.length > 0, 20_000, 'the failure');
    assert.deepEqual(rows[0], ['22012', 'division by zero', '0']);
    await until(() => server.query('SELECT c FROM ok'), r => r[0]?.[0] === '2', 20_000, 'the other job');
    await assert.rejects(server.query('FLUSH'), /division/);
  });
});
