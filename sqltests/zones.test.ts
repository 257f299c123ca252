/** A continuous query is evaluated in the time zone of the session that created it, as an ad-hoc query of that session is; after a restart, too. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

const QUERY = "SELECT id, d::timestamptz AS z, to_char(at, 'HH24:MI') AS c, date_trunc('day', at) AS day, d::timestamptz < '2024-02-26 00:30' AS early FROM event";
const GROUPS = 'SELECT at::date AS day, count(*) AS n, string_agg(at::text, \',\' ORDER BY id) AS list FROM event GROUP BY at::date';

let dir: string;
let server: Server;

const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
  await client.connect();
  return client;
};
const rows = async (client: pg.Client, sql: string): Promise<unknown[]> => (await client.query<Record<string, unknown>>(sql)).rows;

before(async () => {
  dir = temporaryFolder('zones');
  server = await open({ data: dir, port: 0, logLevel: 'error' });
});
after(async () => {
  await server.close();
  removeFolder(dir);
});

test('views of two zones over one table hold what each session gets ad hoc', async () => {
  let client = await connect();
  await client.query('CREATE TABLE event (id int PRIMARY KEY, d date, at timestamptz)');
  for (const [name, zone] of [['berlin', 'Europe/Berlin'], ['utc', 'UTC'], ['tokyo', 'Asia/Tokyo']] as const) {
    await client.query(`SET TimeZone = '${zone}'`);
    await client.query(`CREATE MATERIALIZED VIEW ${name} AS ${QUERY}`);
    await client.query(`CREATE MATERIALIZED VIEW ${name}_days AS ${GROUPS}`);
    await client.query(`CREATE MATERIALIZED VIEW ${name}_over AS SELECT id, z::text AS z, day::date AS day FROM ${name}`);
  }
  await client.query("INSERT INTO event VALUES (1, '2024-02-26', '2024-02-25 23:30:00+00'), (2, '2024-07-01', '2024-07-01 15:00:00+00'), (3, NULL, '2024-02-26 00:10:00+00')");
  await client.query('DELETE FROM event WHERE id = 3');
  for (const again of [false, true]) {
    if (again) {
      await client.end();
      await server.close();
      server = await open({ data: dir, port: 0, logLevel: 'error' });
      client = await connect();
      await client.query("INSERT INTO event VALUES (4, '2024-12-31', '2024-12-31 23:59:59+00')");
    }
    await client.query('FLUSH');
    for (const [name, zone] of [['berlin', 'Europe/Berlin'], ['utc', 'UTC'], ['tokyo', 'Asia/Tokyo']] as const) {
      await client.query(`SET TimeZone = '${zone}'`);
      assert.deepEqual(await rows(client, `SELECT * FROM ${name} ORDER BY id`), await rows(client, `${QUERY} ORDER BY id`), name);
      assert.deepEqual(await rows(client, `SELECT * FROM ${name}_days ORDER BY day`), await rows(client, `${GROUPS} ORDER BY day`), name);
      assert.deepEqual(await rows(client, `SELECT * FROM ${name}_over ORDER BY id`), await rows(client, `SELECT id, z::text AS z, day::date AS day FROM (${QUERY}) q ORDER BY id`), name);
    }
  }
  await client.end();
});

test('a snapshot is restored in the time zone that it was computed in: days of two zones do not mix', async () => {
  const client = await connect();
  await client.query("CREATE STREAM seen (at timestamptz); SET TimeZone = 'Asia/Tokyo'; CREATE MATERIALIZED VIEW days AS SELECT at::date AS day, count(*) AS n FROM seen GROUP BY 1");
  await client.query("INSERT INTO seen VALUES ('2024-07-01 14:30:00+00'), ('2024-07-01 15:30:00+00')");
  const [{ path }] = await rows(client, 'CREATE SAVEPOINT FOR JOB days') as { path: string }[];
  const again = `CREATE MATERIALIZED VIEW days_again WITH (restore_from = '${path}') AS SELECT at::date AS day, count(*) AS n FROM seen GROUP BY 1`;
  await client.query('SET TimeZone = UTC');
  await assert.rejects(client.query(again), (e: { code?: string; hint?: string }) => e.code === '55000' && e.hint === "SET TimeZone = 'Asia/Tokyo'; before CREATE.");
  await client.query("SET TimeZone = 'Asia/Tokyo'");
  await client.query(again);
  await client.query("INSERT INTO seen VALUES ('2024-07-01 16:00:00+00')");
  await client.query('FLUSH');
  assert.deepEqual(await rows(client, 'SELECT day::text, n FROM days_again ORDER BY day'), [{ day: '2024-07-01', n: '1' }, { day: '2024-07-02', n: '2' }]);
  await client.end();
});
