/** WITH RECURSIVE through a real client, against PostgreSQL in process: trees, graphs with cycles, endless ones that a LIMIT or a cancellation ends. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open, type Server } from '../server/open.js';
import { oracleRows, sameRows, type TextRows } from './oraclerows.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

const SETUP = `
CREATE TABLE tree (id int PRIMARY KEY, parent int, name text);
CREATE TABLE graph (f int, t int, w int);
INSERT INTO tree VALUES (1, NULL, 'A'), (2, 1, 'B'), (3, 2, 'C'), (4, 2, 'D'), (5, 1, 'E'), (6, 4, 'F'), (7, 5, 'G'), (8, NULL, 'H');
INSERT INTO graph VALUES (1, 2, 5), (1, 3, 1), (2, 3, 1), (1, 4, 2), (4, 5, 7), (5, 1, 1), (3, 3, 0), (6, 1, 4), (NULL, 2, 1);
`;

const QUERIES: readonly string[] = [
  'WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n), count(*) FROM t',
  'WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT 10 - n FROM t) SELECT * FROM t',
  "WITH RECURSIVE d AS (SELECT id, parent, name FROM tree WHERE name = 'A' UNION ALL SELECT c.id, c.parent, c.name FROM d JOIN tree c ON c.parent = d.id) SELECT * FROM d",
  "WITH RECURSIVE d(level, path, id) AS (SELECT 1, name, id FROM tree WHERE parent IS NULL UNION ALL SELECT d.level + 1, d.path || '/' || c.name, c.id FROM d, tree c WHERE c.parent = d.id) SELECT level, path FROM d WHERE level > 1",
  'WITH RECURSIVE up AS (SELECT * FROM tree WHERE id = 6 UNION ALL SELECT p.* FROM tree p JOIN up ON p.id = up.parent) SELECT string_agg(name, \'<\' ORDER BY id DESC) FROM up',
  'WITH RECURSIVE reach(x) AS (SELECT 1 UNION SELECT t FROM graph, reach WHERE f = x) SELECT x, count(*) OVER () FROM reach',
  'WITH RECURSIVE p(f, t, seen) AS (SELECT f, t, ARRAY[f, t] FROM graph WHERE f = 1 UNION ALL SELECT p.f, g.t, p.seen || g.t FROM p JOIN graph g ON g.f = p.t AND g.t <> ALL (p.seen)) SELECT * FROM p',
  'WITH RECURSIVE d(x, cost) AS (SELECT 1, 0 UNION SELECT g.t, d.cost + g.w FROM d JOIN graph g ON g.f = d.x WHERE d.cost + g.w < 20) SELECT x, min(cost) FROM d GROUP BY x',
  'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5), s AS (SELECT sum(n) AS s FROM t) SELECT a.n AS a, s.s, b.n AS b FROM t a, s, t b WHERE a.n = b.n + 1',
  'WITH RECURSIVE x AS (SELECT q + 1 FROM y), y AS (SELECT 5 AS q), z(n) AS (SELECT q FROM y UNION ALL SELECT n - 1 FROM z WHERE n > 0) SELECT * FROM x, z',
  'WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL (WITH s AS (SELECT * FROM t) SELECT n + 1 FROM s WHERE n < 4)) SELECT * FROM t',
  'WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL (WITH RECURSIVE u AS (SELECT n FROM t UNION ALL SELECT n + 10 FROM u WHERE n < 20) SELECT n + 1 FROM u WHERE n < 4)) SELECT * FROM t',
  'SELECT (WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t), id FROM tree WHERE id IN (WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n * 2 FROM t WHERE n < 5) SELECT n FROM t)',
  'SELECT id, (WITH RECURSIVE t AS (SELECT 2 AS n UNION ALL SELECT n + (SELECT min(x) FROM (WITH RECURSIVE u AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM u WHERE x < 3) SELECT x FROM u) q) FROM t WHERE n < 4) SELECT max(n) FROM t) FROM tree',
  'WITH RECURSIVE t AS (SELECT id, 1::bigint AS kids FROM tree WHERE parent IS NULL UNION ALL SELECT c.id, (SELECT count(*) FROM tree x WHERE x.parent = c.id) FROM t JOIN tree c ON c.parent = t.id) SELECT * FROM t',
  "WITH RECURSIVE t(a, b) AS (SELECT 1, 'x'::text UNION ALL (SELECT a + 1, b || 'y' FROM t WHERE a < 4 ORDER BY a LIMIT 1)) SELECT * FROM t",
  'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT row_number() OVER (ORDER BY n)::int + n FROM t WHERE n < 4) SELECT * FROM t',
  'WITH RECURSIVE t(n) AS (SELECT generate_series(1, 2) UNION ALL SELECT n + 10 FROM t WHERE n < 25) SELECT * FROM t',
  'WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT x.n + 1 FROM x LEFT JOIN tree ON x.n = tree.id AND tree.id > 5 WHERE n < 7) SELECT n FROM x',
  'WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL (SELECT n + 1 FROM x WHERE n < 5 EXCEPT SELECT 3)) SELECT * FROM x', 'WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT DISTINCT n + 1 FROM x, tree WHERE n < 3) SELECT * FROM x',
  'WITH RECURSIVE t(n) AS (SELECT 1.0 UNION SELECT CASE WHEN n = 1 THEN 1.00 ELSE 2 END FROM t) SELECT * FROM t', 'WITH RECURSIVE t(a, b) AS (SELECT NULL::int, 1 UNION SELECT a, b FROM t) SELECT * FROM t', 'WITH RECURSIVE t(j) AS (WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < 4) SELECT i FROM s UNION ALL SELECT j + i FROM t, s WHERE j < 4) SELECT * FROM t',
  'WITH RECURSIVE t AS (SELECT id FROM tree WHERE false UNION ALL SELECT id FROM t) SELECT * FROM t',
  'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 10', 'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT 10 / (5 - n) FROM t) SELECT n FROM t LIMIT (SELECT 2)', 'SELECT * FROM (WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n * 2 FROM t WHERE n % 3 = 0 OFFSET 5 LIMIT 3) q',
];

let dir: string;
let server: Server;
let oracle: PGlite;
const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test', types: { getTypeParser: () => (v: string | Buffer): string => v.toString() } as unknown as pg.CustomTypesConfig });
  await client.connect();
  return client;
};
let client: pg.Client;
const rows = async (text: string): Promise<TextRows> => (await client.query<(string | null)[]>({ text, rowMode: 'array' })).rows;

before(async () => {
  dir = temporaryFolder('recursive');
  server = await open({ data: dir, port: 0, logLevel: 'error' });
  oracle = await PGlite.create();
  client = await connect();
  await client.query(SETUP);
  await oracle.exec(SETUP);
});
after(async () => {
  await client.end();
  await oracle.close();
  await server.close();
  removeFolder(dir);
});

for (const sql of QUERIES) test(`rows of ${sql}`, async () => { sameRows(await rows(sql), await oracleRows(oracle, sql), sql); });

test('a parameter stands in either term, and in the LIMIT of a recursive query in an expression', async () => {
  const text = 'WITH RECURSIVE t(n) AS (SELECT $1::int UNION ALL SELECT n + $2 FROM t WHERE n < 10) SELECT n, ARRAY(SELECT n FROM t LIMIT $3) FROM t ORDER BY n';
  const { rows: given } = await client.query<(string | null)[]>({ text, values: [1, 4, 2], rowMode: 'array' });
  assert.deepEqual(given, [['1', '{1,5}'], ['5', '{1,5}'], ['9', '{1,5}'], ['13', '{1,5}']]);
});

test('INSERT, DELETE and EXPLAIN take recursive queries', async () => {
  await client.query("WITH RECURSIVE t(n) AS (SELECT 20 UNION ALL SELECT n + 1 FROM t WHERE n < 22) INSERT INTO tree SELECT n, 1, 'y' FROM t");
  await client.query("INSERT INTO tree WITH RECURSIVE t(n) AS (SELECT 30 UNION ALL SELECT n + 1 FROM t WHERE n < 32) SELECT n, 1, 'z' FROM t");
  assert.deepEqual(await rows('SELECT count(*), sum(id) FROM tree WHERE id >= 20'), [['6', '156']]);
  await client.query('DELETE FROM tree WHERE id IN (WITH RECURSIVE t(n) AS (SELECT 20 UNION ALL SELECT n + 1 FROM t WHERE n < 40) SELECT n FROM t)');
  assert.deepEqual(await rows('SELECT count(*) FROM tree'), [['8']]);
  const plan = (await rows('EXPLAIN WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t')).map(r => r[0]).join('\n');
  assert.match(plan, /Recursive t \(union\)\n\s+base\n[^]*\n\s+step\n[^]*Rows that came last/);
});

test('a recursive query reads a view at one epoch, as often as its step runs', async () => {
  await client.query('CREATE MATERIALIZED VIEW edges AS SELECT f, t FROM graph WHERE f IS NOT NULL');
  assert.deepEqual(await rows('WITH RECURSIVE reach(x) AS (SELECT 6 UNION SELECT t FROM edges, reach WHERE f = x) SELECT count(*) FROM reach'), [['6']]);
  await client.query('DROP MATERIALIZED VIEW edges');
});

test('an endless recursive query ends when it is cancelled, and its session goes on', { timeout: 60_000 }, async () => {
  const [{ pid } = { pid: '' }] = (await client.query<{ pid: string }>('SELECT pg_backend_pid() AS pid')).rows;
  const other = await connect();
  const running = assert.rejects(client.query('WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) SELECT count(*) FROM t'), { code: '57014' });
  for (let cancelled = false; !cancelled;) {
    const { rows: [state] } = await other.query<{ state: string }>('SELECT state FROM pg_stat_activity WHERE pid = $1', [pid]);
    if (state?.state === 'active') cancelled = (await other.query('SELECT pg_cancel_backend($1)', [pid])).rows.length === 1;
  }
  await running;
  await other.end();
  assert.deepEqual(await rows('SELECT 1'), [['1']]);
});

test('one that gives too many rows is refused with a hint', { timeout: 120_000 }, async () => {
  await assert.rejects(client.query("WITH RECURSIVE t(s) AS (SELECT repeat('x', 10000) FROM generate_series(1, 2000) UNION ALL SELECT s FROM t) SELECT count(*) FROM t"), (e: pg.DatabaseError) => {
    assert.equal(e.code, '54000');
    assert.equal(e.message, 'recursive query "t" gives too many rows');
    assert.match(e.hint ?? '', /UNION in place of UNION ALL/);
    return true;
  });
});
