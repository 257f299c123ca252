/** TRUNCATE: rows gone for tables and views as by DELETE, counters anew on demand, as PostgreSQL (in process) has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open } from '../server/open.js';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

const STATEMENTS: readonly string[] = [
  'CREATE TABLE a (id serial PRIMARY KEY, v text)', 'CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY, n int)', 'CREATE TABLE c (x int)', 'CREATE VIEW w AS SELECT * FROM a',
  "INSERT INTO a (v) SELECT 'x' || g FROM generate_series(1, 5000) g", 'INSERT INTO b (n) VALUES (1), (2), (3)', 'INSERT INTO c VALUES (1), (1)',
  'TRUNCATE a', 'SELECT count(*)::int FROM a', "INSERT INTO a (v) VALUES ('y') RETURNING id", 'TRUNCATE TABLE a, b RESTART IDENTITY', 'SELECT * FROM a', 'SELECT * FROM b', "INSERT INTO a (v) VALUES ('z') RETURNING id", 'INSERT INTO b (n) VALUES (5) RETURNING *',
  'TRUNCATE a CONTINUE IDENTITY RESTRICT', "INSERT INTO a (v) VALUES ('z') RETURNING id", 'TRUNCATE ONLY "public"."a" RESTART IDENTITY CASCADE', "INSERT INTO a (v) VALUES ('z') RETURNING id", 'TRUNCATE c, c', 'SELECT * FROM c', 'TRUNCATE c', 'INSERT INTO c VALUES (3)',
  'TRUNCATE nothing', 'TRUNCATE w', 'TRUNCATE a, nothing', 'SELECT * FROM a',
  // in a block: the counter is anew at once, and a rollback brings rows and counter back
  'BEGIN', "INSERT INTO a (v) VALUES ('own')", 'TRUNCATE a, c RESTART IDENTITY', 'SELECT * FROM a', "INSERT INTO a (v) VALUES ('n1'), ('n2') RETURNING *", 'SELECT * FROM a ORDER BY id', 'ROLLBACK', 'SELECT * FROM a ORDER BY id', 'SELECT * FROM c', "INSERT INTO a (v) VALUES ('on') RETURNING id",
  'BEGIN', 'TRUNCATE a RESTART IDENTITY', "INSERT INTO a (v) VALUES ('n1'), ('n2') RETURNING *", 'TRUNCATE a', "INSERT INTO a (v) VALUES ('n3') RETURNING *", 'COMMIT', 'SELECT * FROM a ORDER BY id', "INSERT INTO a (v) VALUES ('n4') RETURNING *",
];

async function outcome(run: Promise<unknown>): Promise<unknown> {
  try {
    return JSON.parse(JSON.stringify((await run as { rows: unknown[] }).rows));
  } catch (e) {
    const { code, message } = e as pg.DatabaseError;
    return { code, message };
  }
}

async function served(run: (connect: () => Promise<pg.Client>) => Promise<void>): Promise<void> {
  const dir = temporaryFolder('truncate');
  const server = await open({ data: dir, port: 0, logLevel: 'silent' });
  const clients: pg.Client[] = [];
  try {
    await run(async () => {
      const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test' });
      clients.push(client);
      await client.connect();
      return client;
    });
  } finally {
    for (const client of clients) await client.end();
    await server.close();
    removeFolder(dir);
  }
}

test('statements leave the rows and numbers that PostgreSQL leaves', { timeout: 120_000 }, () => served(async connect => {
  const client = await connect();
  const postgres = new PGlite();
  for (const sql of STATEMENTS) assert.deepEqual(await outcome(client.query(sql)), await outcome(postgres.query(sql)), sql);
  await postgres.close();
  const { command } = await client.query('TRUNCATE a');
  assert.equal(command, 'TRUNCATE');
  // One message of several statements is one transaction: the counter is anew for those behind it.
  await client.query("INSERT INTO a (v) VALUES ('p'), ('q'); TRUNCATE a RESTART IDENTITY; INSERT INTO a (v) VALUES ('first')");
  assert.deepEqual((await client.query('SELECT id, v FROM a')).rows, [{ id: 1, v: 'first' }]);
  await client.query('CREATE STREAM s (x int)');
  assert.deepEqual(await outcome(client.query('TRUNCATE s')), { code: '42809', message: '"s" is not a table' });
}));

test('views see the rows gone', { timeout: 60_000 }, () => served(async connect => {
  const client = await connect();
  await client.query(`CREATE TABLE t (k int PRIMARY KEY, g int); CREATE TABLE u (g int);
    CREATE MATERIALIZED VIEW sums AS SELECT g, count(*)::int AS n FROM t GROUP BY g; CREATE MATERIALIZED VIEW joined AS SELECT t.k FROM t JOIN u ON u.g = t.g;
    INSERT INTO t SELECT g, g % 3 FROM generate_series(1, 9000) g; INSERT INTO u VALUES (1), (2); FLUSH`);
  assert.deepEqual((await client.query('SELECT * FROM sums ORDER BY g')).rows, [{ g: 0, n: 3000 }, { g: 1, n: 3000 }, { g: 2, n: 3000 }]);
  assert.equal((await client.query('SELECT k FROM joined')).rows.length, 6000);
  await client.query('TRUNCATE u; FLUSH');
  assert.equal((await client.query('SELECT k FROM joined')).rows.length, 0);
  await client.query('TRUNCATE t, u; INSERT INTO t VALUES (1, 7); INSERT INTO u VALUES (7)');
  await client.query('FLUSH');
  assert.deepEqual((await client.query('SELECT * FROM sums')).rows, [{ g: 7, n: 1 }]);
  assert.deepEqual((await client.query('SELECT k FROM joined')).rows, [{ k: 1 }]);
}));

test('no number comes twice to clients of which one restarts the counter', { timeout: 60_000 }, () => served(async connect => {
  const [a, b] = [await connect(), await connect()];
  await a.query('CREATE TABLE t (id serial, who text)');
  const failed = { code: '40001', message: 'could not serialize access due to concurrent update' };
  // b has a number of the time before the restart.
  await b.query('BEGIN');
  assert.deepEqual((await b.query("INSERT INTO t (who) VALUES ('b') RETURNING id")).rows, [{ id: 1 }]);
  await a.query('TRUNCATE t RESTART IDENTITY');
  assert.deepEqual(await outcome(b.query('COMMIT')), failed);
  // Somebody else takes a number between a's restart and its commit.
  await a.query('BEGIN');
  await a.query('TRUNCATE t RESTART IDENTITY');
  await b.query("INSERT INTO t (who) VALUES ('b')");
  assert.deepEqual(await outcome(a.query('COMMIT')), failed);
  assert.deepEqual((await a.query('SELECT * FROM t')).rows, [{ id: 1, who: 'b' }]);
  // Two restart: the second one fails, also when no row meets another.
  for (const client of [a, b]) { await client.query('BEGIN'); await client.query('TRUNCATE t RESTART IDENTITY'); }
  await a.query("INSERT INTO t (who) VALUES ('a')");
  await b.query("INSERT INTO t (who) VALUES ('b')");
  await a.query('COMMIT');
  assert.deepEqual(await outcome(b.query('COMMIT')), failed);
  await b.query("INSERT INTO t (who) VALUES ('b')");
  assert.deepEqual((await a.query('SELECT * FROM t ORDER BY id')).rows, [{ id: 1, who: 'a' }, { id: 2, who: 'b' }]);
}));

test('what TRUNCATE acknowledged holds after kill -9: rows gone, counter anew', { timeout: 60_000 }, async () => {
  const data = temporaryFolder('truncate-kill');
  let server = await ServerProcess.start(data);
  try {
    await server.query('CREATE TABLE t (id serial PRIMARY KEY, v int); CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t; INSERT INTO t (v) SELECT g FROM generate_series(1, 3000) g; FLUSH');
    await server.query('TRUNCATE t RESTART IDENTITY');
    await server.kill();
    server = await ServerProcess.start(data);
    assert.deepEqual(await server.query('SELECT count(*) FROM t'), [['0']]);
    assert.deepEqual(await server.query('INSERT INTO t (v) VALUES (1), (2) RETURNING id'), [['1'], ['2']]);
    assert.deepEqual(await server.query('FLUSH; SELECT n FROM n'), [['2']]);
    await server.kill();
    server = await ServerProcess.start(data);
    const [[id] = []] = await server.query('INSERT INTO t (v) VALUES (3) RETURNING id');
    assert.ok(Number(id) > 2, String(id));
  } finally {
    await server.kill();
    removeFolder(data);
  }
});
