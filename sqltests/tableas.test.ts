/** CREATE TABLE … AS and SELECT … INTO: columns, rows and errors as PostgreSQL (in process) has them; what fails leaves no table. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open } from '../server/open.js';
import { oracleRows, type TextRows } from './oraclerows.js';
import { ServerProcess, removeFolder, temporaryFolder } from './serverprocess.js';

const SET_UP = `CREATE TABLE item (id int PRIMARY KEY, name varchar(10) NOT NULL DEFAULT 'none', price numeric(8, 2), at timestamp, tags text[]);
  INSERT INTO item VALUES (1, 'a', 1.5, '2024-01-01 12:00', '{x,y}'), (2, 'b', NULL, NULL, NULL), (3, 'c', 7, 'infinity', '{}');
  CREATE VIEW cheap AS SELECT id, price FROM item WHERE price < 5`;

/** Statements, and the table that each makes. */
const MADE: readonly (readonly [string, string])[] = [
  ['CREATE TABLE t AS SELECT * FROM item', 't'],
  ['CREATE TABLE t AS SELECT id, name || $$!$$, count(*) OVER () AS n FROM item ORDER BY id DESC', 't'],
  ['CREATE TABLE t (a, "B") AS SELECT id, price, name FROM item', 't'],
  ['CREATE TABLE t AS SELECT * FROM cheap WITH DATA', 't'],
  ['CREATE TABLE t (x) AS SELECT price FROM item WITH NO DATA', 't'],
  ["CREATE TABLE t AS VALUES (1, 'x'), (2, NULL)", 't'],
  ['CREATE TABLE t AS TABLE item', 't'],
  ['CREATE TABLE t AS WITH q AS (SELECT sum(price) AS s FROM item) SELECT s, NULL AS nothing FROM q', 't'],
  ['CREATE TABLE public.t AS (SELECT 1 AS a UNION ALL SELECT 2) ORDER BY 1', 't'],
  ['CREATE TABLE IF NOT EXISTS t AS SELECT generate_series(1, 2500) AS g', 't'],
  ['SELECT id, at INTO t FROM item WHERE id > 1', 't'],
  ['SELECT id INTO TABLE "T u" FROM item UNION ALL SELECT 9', '"T u"'],
];

const REFUSED: readonly string[] = [
  'CREATE TABLE item AS SELECT 1', 'CREATE TABLE bad AS SELECT 1 AS a, 2 AS a', 'CREATE TABLE bad (a, b) AS SELECT 1', 'CREATE TABLE bad AS SELECT 1 / (id - 3) FROM item', 'CREATE TABLE bad AS SELECT nope FROM item',
  'CREATE TABLE bad AS SELECT pg_advisory_lock(1)', 'SELECT 1 INTO item', 'SELECT * FROM (SELECT 1 AS a INTO bad) q', 'CREATE TABLE bad (a int) AS SELECT 1', 'CREATE TABLE bad (a, a) AS SELECT 1, 2',
];

let dir = '';
let server: Awaited<ReturnType<typeof open>>;
const postgres = new PGlite();
let client: pg.Client;
before(async () => {
  dir = temporaryFolder('tableas');
  server = await open({ data: dir, port: 0, logLevel: 'silent' });
  client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test' });
  await client.connect();
  await client.query(SET_UP);
  await postgres.exec(SET_UP);
});
after(async () => { await client.end(); await postgres.close(); await server.close(); removeFolder(dir); });

const facts = (table: string): string => `SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type, attnotnull, atthasdef FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`;
const asText = { getTypeParser: () => (value: string | Buffer): string => value.toString() } as unknown as pg.CustomTypesConfig;
async function rowsHere(sql: string): Promise<TextRows> { return (await client.query<(string | null)[]>({ text: sql, rowMode: 'array', types: asText })).rows; }
const codeOf = async (run: Promise<unknown>): Promise<unknown> => run.then(() => 'no error', (e: unknown) => { const { code, message } = e as pg.DatabaseError; return { code, message }; });

test('a table of a query has its columns and rows', async () => {
  for (const [sql, name] of MADE) {
    const made = await client.query(sql);
    await postgres.exec(sql);
    const here = await client.query(facts(name));
    assert.deepEqual(here.rows, (await postgres.query(facts(name))).rows, sql);
    const rows = `SELECT * FROM ${name}`;
    const ours = await rowsHere(rows);
    const expected = await oracleRows(postgres, rows);
    assert.deepEqual(ours, expected, sql);
    if (sql.includes('NO DATA')) assert.equal(made.command, 'CREATE');
    else assert.deepEqual([made.command, made.rowCount], ['SELECT', expected.length], sql);
    await client.query(`INSERT INTO ${name} SELECT * FROM ${name}`);
    assert.equal((await rowsHere(rows)).length, 2 * ours.length, 'it takes rows as any table');
    await client.query(`DROP TABLE ${name}`);
    await postgres.exec(`DROP TABLE ${name}`);
  }
});

test('what fails leaves no table, and says what PostgreSQL says', async () => {
  for (const sql of REFUSED) {
    assert.deepEqual(await codeOf(client.query(sql)), await codeOf(postgres.query(sql)), sql);
    assert.equal((await client.query("SELECT relname FROM pg_class WHERE relname = 'bad'")).rows.length, 0, sql);
  }
});

test('parameters, IF NOT EXISTS, EXPLAIN, blocks and continuous queries', async () => {
  const made = await client.query('CREATE TABLE t AS SELECT id, $1::text AS word FROM item WHERE id >= $2', ['w', 2]);
  assert.deepEqual([made.command, made.rowCount], ['SELECT', 2]);
  assert.deepEqual((await client.query('SELECT * FROM t ORDER BY id')).rows, [{ id: 2, word: 'w' }, { id: 3, word: 'w' }]);
  const notices: (string | undefined)[] = [];
  client.on('notice', n => { notices.push(n.message); });
  assert.equal((await client.query('CREATE TABLE IF NOT EXISTS t AS SELECT 1 / 0')).command, 'CREATE');
  assert.deepEqual(notices, ['relation "t" already exists, skipping']);
  assert.equal((await client.query('SELECT count(*)::int AS n FROM t')).rows[0]?.n, 2);
  const plan = await client.query('EXPLAIN CREATE TABLE u AS SELECT count(*) FROM item');
  assert.match(JSON.stringify(plan.rows), /item/);
  assert.match(JSON.stringify((await client.query('EXPLAIN SELECT id INTO u FROM item')).rows), /item/);
  await client.query('CREATE STREAM s (a int)');
  assert.equal((await codeOf(client.query('CREATE TABLE u AS SELECT a FROM s')) as { code: string }).code, '0A000');
  assert.equal((await codeOf(client.query('CREATE TABLE u AS SELECT id FROM item EMIT CHANGES')) as { code: string }).code, '0A000');
  assert.equal((await codeOf(client.query('CREATE TEMP TABLE u AS SELECT 1')) as { code: string }).code, '0A000');
  await client.query('BEGIN');
  assert.deepEqual(await codeOf(client.query('CREATE TABLE u AS SELECT 1')), { code: '25001', message: 'CREATE TABLE AS cannot run inside a transaction block' });
  await client.query('ROLLBACK');
  await client.query('CREATE MATERIALIZED VIEW sums AS SELECT sum(id) AS s FROM t');
  await client.query('CREATE TABLE kept AS SELECT s FROM sums');
  await client.query('INSERT INTO t VALUES (10)');
  assert.deepEqual((await client.query('SELECT s::int FROM kept')).rows, [{ s: 5 }], 'the table keeps what the view was');
  assert.equal((await codeOf(client.query('SELECT 1 FROM u')) as { code: string }).code, '42P01');
});

test('a table of a query is there whole after kill -9', { timeout: 60_000 }, async () => {
  const data = temporaryFolder('tableas-kill');
  let process = await ServerProcess.start(data);
  try {
    await process.query('CREATE TABLE n AS SELECT g, g % 7 AS m FROM generate_series(1, 10000) g');
    await process.kill();
    process = await ServerProcess.start(data);
    assert.deepEqual(await process.query('SELECT count(*), sum(g), sum(m) FROM n'), [['10000', '50005000', '29998']]);
    await process.query('INSERT INTO n VALUES (0, 0)');
    assert.deepEqual(await process.query('SELECT count(*) FROM n'), [['10001']]);
  } finally {
    await process.kill();
    removeFolder(data);
  }
});
