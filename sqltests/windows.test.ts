/**
 * Window functions in ad-hoc queries against Postgres (in process): every function over every form of frame, over rows with ties, NULLs and
 * duplicates; and views of them over a restart of the server.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';
import { oracleRows, sameRows } from './oraclerows.js';

const ROWS = 60;
/** bool, int8, int2, int4, text, float8, numeric, interval, int4[] as the text Postgres sends. */

let dir: string;
let server: Server;
let client: pg.Client;
let oracle: PGlite;

async function connect(): Promise<void> {
  server = await open({ data: dir, port: 0, logLevel: 'error' });
  client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
  await client.connect();
}
async function disconnect(): Promise<void> {
  await client.end();
  await server.close();
}
async function both(sql: string): Promise<void> { await oracle.exec(sql); await client.query(sql); }

before(async () => {
  dir = temporaryFolder('windows');
  oracle = await PGlite.create();
  await connect();
  await both('CREATE TABLE t (id int PRIMARY KEY, g int, v int, n numeric, x double precision, s text, i interval, ok boolean)');
  const rows = Array.from({ length: ROWS }, (_, k) => {
    const h = (k * 7919 + 13) % 101;
    const maybe = (text: string, mod: number): string => (h % mod === 0 ? 'NULL' : text);
    return `(${k}, ${maybe(String(h % 4), 9)}, ${maybe(String(h % 11), 7)}, ${maybe(`${h}.${h % 3 === 0 ? '5' : '125'}`, 8)}, ${maybe(String(h / 4), 10)}, ${maybe(`'${'abcdé'[h % 5] ?? ''}'`, 6)}, ${maybe(`'${h} minutes'`, 11)}, ${maybe(h % 2 === 0 ? 'true' : 'false', 5)})`;
  });
  await both(`INSERT INTO t VALUES ${rows.join(', ')}`);
});
after(async () => {
  await disconnect();
  await oracle.close();
  removeFolder(dir);
});

async function same(sql: string): Promise<void> {
  const wanted = await oracleRows(oracle, sql);
  const given = await client.query({ text: sql, rowMode: 'array' });
  sameRows(given.rows as (string | null)[][], wanted, sql);
}

/** With ties in the order: what depends on which of the equal rows comes first is left out where the frame counts rows. */
const AGGREGATES: readonly string[] = [
  'count(*)', 'count(v)', 'sum(v)', 'sum(n)', 'avg(v)', 'avg(n)', 'sum(x)', 'min(v)', 'max(s)', 'min(n)', 'bool_and(ok)', 'bool_or(ok)', 'stddev(v)', 'sum(i)', "string_agg(s, ',')", 'array_agg(v)', 'count(*) FILTER (WHERE v > 4)', 'max(v) FILTER (WHERE ok)',
];
const FRAMED: readonly string[] = ['first_value(v)', 'last_value(v)', 'nth_value(v, 2)', 'nth_value(s, 3)'];
const PLAIN: readonly string[] = [
  'row_number()', 'rank()', 'dense_rank()', 'percent_rank()', 'cume_dist()', 'ntile(3)', 'ntile(v + 1)', 'lag(v)', 'lag(v, 2)', "lag(s, 1, 'none')", 'lag(v, v)', 'lead(n)', 'lead(v, 3, 7)', 'lead(v, -1)',
];
const STARTS: readonly string[] = ['UNBOUNDED PRECEDING', '3 PRECEDING', '1 PRECEDING', 'CURRENT ROW', '1 FOLLOWING', '2 FOLLOWING'];
const ENDS: readonly string[] = ['2 PRECEDING', '1 PRECEDING', 'CURRENT ROW', '1 FOLLOWING', '4 FOLLOWING', 'UNBOUNDED FOLLOWING'];
const frames = (mode: string): string[] => STARTS.flatMap(start => ENDS.flatMap(end => {
  const legal = (start !== 'CURRENT ROW' || !end.endsWith('PRECEDING')) && !(start.endsWith('FOLLOWING') && (end.endsWith('PRECEDING') || end === 'CURRENT ROW'));
  const offsets = /\d/.test(start + end);
  return legal && !(mode === 'RANGE' && offsets) ? [`${mode} BETWEEN ${start} AND ${end}`] : [];
}));

for (const mode of ['ROWS', 'RANGE', 'GROUPS']) {
  test(`aggregates and values over every ${mode} frame are PostgreSQL's`, async () => {
    const total = mode === 'ROWS';
    const order = total ? 'v, id' : 'v';
    // The order of equal rows inside lists and of first and last values is Postgres' own affair.
    const functions = total ? [...AGGREGATES, ...FRAMED] : [...AGGREGATES.filter(f => !f.startsWith('string_agg') && !f.startsWith('array_agg')), 'first_value(v)', 'last_value(v)'];
    for (const frame of frames(mode)) await same(`SELECT id, ${functions.map((f, k) => `${f} OVER w AS c${k}`).join(', ')} FROM t WINDOW w AS (PARTITION BY g ORDER BY ${order} ${frame})`);
  });

  test(`EXCLUDE over ${mode} frames takes out what PostgreSQL takes out`, async () => {
    const order = mode === 'ROWS' ? 'v, id' : 'v';
    const functions = mode === 'ROWS' ? [...AGGREGATES, ...FRAMED] : AGGREGATES.filter(f => !f.startsWith('string_agg') && !f.startsWith('array_agg'));
    const some = frames(mode).filter((_, k) => k % 3 === 0);
    for (const exclude of ['CURRENT ROW', 'GROUP', 'TIES', 'NO OTHERS']) {
      for (const frame of some) await same(`SELECT id, ${functions.map((f, k) => `${f} OVER w AS c${k}`).join(', ')} FROM t WINDOW w AS (PARTITION BY g ORDER BY ${order} ${frame} EXCLUDE ${exclude})`);
    }
  });
}

test('functions without a frame are PostgreSQL\'s', async () => {
  for (const window of ['PARTITION BY g ORDER BY v, id', 'ORDER BY s DESC NULLS LAST, id', 'PARTITION BY g, ok ORDER BY n DESC, id', 'ORDER BY i, x, id']) {
    await same(`SELECT id, ${PLAIN.map((f, k) => `${f} OVER w AS c${k}`).join(', ')} FROM t WINDOW w AS (${window})`);
  }
  await same('SELECT id, rank() OVER (ORDER BY s), dense_rank() OVER (ORDER BY n DESC), percent_rank() OVER (PARTITION BY g ORDER BY x), cume_dist() OVER (ORDER BY i) FROM t');
});

test('window functions stand where PostgreSQL evaluates them', async () => {
  for (const sql of [
    'SELECT g, sum(v) AS s, rank() OVER (ORDER BY sum(v) DESC), sum(sum(v)) OVER (ORDER BY g), count(*) OVER () FROM t GROUP BY g HAVING count(*) > 3',
    'SELECT DISTINCT g, count(*) OVER (PARTITION BY g) FROM t', 'SELECT id, v - avg(v) OVER (PARTITION BY g) AS d FROM t ORDER BY abs(v - avg(v) OVER (PARTITION BY g)) DESC NULLS LAST, id LIMIT 7',
    'SELECT id FROM t ORDER BY row_number() OVER (ORDER BY v DESC, id) LIMIT 5', 'SELECT id, sum(v) OVER (w ORDER BY id) FROM t WINDOW w AS (PARTITION BY g)', 'SELECT id, CASE WHEN rank() OVER (ORDER BY v) > 5 THEN lag(s) OVER (ORDER BY id) END FROM t',
    'SELECT (SELECT max(r) FROM (SELECT rank() OVER (ORDER BY v) AS r FROM t u WHERE u.g = t.g) q) FROM t', 'SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS rn FROM t) q WHERE rn <= 3 OR id = 50',
    'SELECT * FROM (SELECT id, v, row_number() OVER (PARTITION BY g ORDER BY v, id) AS rn FROM t) q WHERE rn = 2 AND v > 1', 'SELECT * FROM (SELECT id, rank() OVER (ORDER BY v DESC) AS r FROM t) q WHERE r <= 5 AND r > 1',
    'SELECT * FROM (SELECT id, dense_rank() OVER (PARTITION BY g ORDER BY s) AS r FROM t) q WHERE r = 2', 'SELECT DISTINCT ON (g, ok) g, ok, id FROM t ORDER BY g, ok, v DESC, id', 'SELECT DISTINCT ON (g) id, g FROM t ORDER BY g DESC, id DESC LIMIT 3',
    'SELECT row_number() OVER () FROM (SELECT 1 WHERE false) q', 'SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS rn FROM t) q WHERE rn <= 0', 'SELECT * FROM (SELECT id, row_number() OVER (ORDER BY id) AS rn FROM t) q WHERE rn > 55',
    'SELECT a.id, b.id FROM (SELECT id, row_number() OVER (ORDER BY v, id) AS rn FROM t) a JOIN (SELECT id, row_number() OVER (ORDER BY n, id) AS rn FROM t) b ON a.rn = b.rn', 'SELECT 1 AS one, count(*) OVER () UNION ALL SELECT id, rank() OVER (ORDER BY v) FROM t',
  ]) await same(sql);
});

test('rows of an ordered subquery are numbered as they come', async () => {
  await same('SELECT id, row_number() OVER () AS rn FROM (SELECT id FROM t ORDER BY v DESC, id) q');
  await same('SELECT id, rn FROM (SELECT id, row_number() OVER () AS rn FROM (SELECT id FROM t ORDER BY n, id) q) w WHERE rn <= 9');
});

test('errors of values are PostgreSQL\'s', async () => {
  for (const sql of ['SELECT ntile(0) OVER () FROM t', 'SELECT nth_value(v, 0) OVER () FROM t', 'SELECT sum(9223372036854775807::bigint::int) OVER () FROM t']) {
    const wanted = await oracle.query(sql).then(() => null, (e: unknown) => (e as { code: string }).code);
    await assert.rejects(client.query(sql), (e: { code?: string }) => e.code === wanted, sql);
  }
});

test('views of Top-N and window functions go on after a restart of the server', { timeout: 120_000 }, async () => {
  const views: Readonly<Record<string, string>> = {
    w_top: 'SELECT id, g, v, rn FROM (SELECT *, row_number() OVER (PARTITION BY g ORDER BY v DESC, id) AS rn FROM t) w WHERE rn <= 3',
    w_first: 'SELECT DISTINCT ON (g) g, id, s FROM t ORDER BY g, n, id', w_limit: 'SELECT id, v FROM t ORDER BY v, id LIMIT 6',
    w_rank: 'SELECT id, r FROM (SELECT id, rank() OVER (PARTITION BY g ORDER BY v) AS r FROM t) w WHERE r < 3',
    w_over: "SELECT id, sum(v) OVER (PARTITION BY g ORDER BY id) AS s, lag(s, 1, '-') OVER (PARTITION BY g ORDER BY v, id) AS p FROM t",
  };
  await client.query("SET checkpoint_interval = '200ms'; SET parallelism = 2");
  for (const [name, sql] of Object.entries(views)) await client.query(`CREATE MATERIALIZED VIEW ${name} AS ${sql}`);
  const check = async (): Promise<void> => {
    await client.query('FLUSH');
    for (const [name, sql] of Object.entries(views)) {
      const wanted = await oracleRows(oracle, sql);
      const given = await client.query({ text: `SELECT * FROM ${name}`, rowMode: 'array' });
      sameRows(given.rows as (string | null)[][], wanted, name);
    }
  };
  for (const change of ['DELETE FROM t WHERE id % 7 = 3', 'UPDATE t SET v = v + 5 WHERE id % 4 = 1', "INSERT INTO t (id, g, v, s) VALUES (100, 1, 50, 'z'), (101, 2, NULL, 'y'), (102, NULL, 3, 'x')", 'DELETE FROM t WHERE v > 8', 'UPDATE t SET g = 2 WHERE g = 1']) {
    await check();
    await disconnect();
    await connect();
    await both(change);
  }
  await check();
});
