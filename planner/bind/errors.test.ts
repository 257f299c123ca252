/** Bind errors: PostgreSQL's code, message and position where it has the same error; ours (0A000 and HINTs) from a table. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { SqlError } from '../../types/error.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import { planQuery } from '../plan/planquery.js';
import { TestCatalog } from '../testcatalog.js';

const K = 'a integer, b integer, t text, d date, n numeric, ok boolean, ia integer[], j json';
const U = 'a integer, c text';
const K2 = 'id integer, t text, u text';

const SAME_AS_POSTGRES: readonly string[] = [
  'SELECT nope FROM k', 'SELECT k.nope FROM k', 'SELECT z.a FROM k', 'SELECT é.a FROM k', "SELECT 'é', nope FROM k", 'SELECT * FROM missing', 'SELECT * FROM public.missing', 'SELECT a FROM k, u',
  'SELECT a FROM k k1, k k2', 'SELECT 1 FROM k, k', 'SELECT *', 'SELECT z.* FROM k', 'SELECT a, count(*) FROM k', 'SELECT a + b FROM k GROUP BY a', 'SELECT k.t FROM k GROUP BY k.a HAVING count(*) > 1',
  'SELECT a FROM k GROUP BY a ORDER BY b', 'SELECT a FROM k WHERE count(*) > 1', 'SELECT sum(count(*)) FROM k', 'SELECT a FROM k GROUP BY count(*)', 'SELECT count(*) FROM k GROUP BY 1', 'SELECT a FROM k GROUP BY 3',
  'SELECT a FROM k ORDER BY 2', "SELECT a FROM k ORDER BY 'x'", 'SELECT DISTINCT a FROM k ORDER BY b', 'SELECT a + t FROM k', 'SELECT t + 1 FROM k', 'SELECT -t FROM k', 'SELECT a = t FROM k', 'SELECT d + d FROM k',
  'SELECT lower(a) FROM k', 'SELECT lower(1, 2)', 'SELECT nosuch(1)', 'SELECT a FROM k WHERE a', 'SELECT a FROM k WHERE t', 'SELECT a FROM k HAVING a', 'SELECT NOT a FROM k', 'SELECT ok AND a FROM k',
  "SELECT 'x'::integer", "SELECT integer 'x'", "SELECT a + 'x' FROM k", "SELECT a = 'x' FROM k", "SELECT '2020-99-01'::date", "SELECT d < 'nope' FROM k", "SELECT a IN (1, 'x') FROM k", 'SELECT a IN (1, t) FROM k',
  'SELECT d::integer FROM k', 'SELECT ok::date FROM k', 'SELECT x::nosuchtype FROM k', 'SELECT a::nosuchtype FROM k', 'SELECT 1::numeric(2000)', 'SELECT 1::varchar(0)',
  "SELECT CASE WHEN ok THEN 1 ELSE t END FROM k", "SELECT CASE WHEN a THEN 1 END FROM k", 'SELECT coalesce(a, t) FROM k', 'SELECT ARRAY[a, t] FROM k', 'SELECT ARRAY[]', 'SELECT 1 UNION SELECT t FROM k',
  'SELECT 1 UNION SELECT 1, 2', 'SELECT a FROM k UNION SELECT a FROM k ORDER BY b', 'VALUES (1), (1, 2)', "VALUES (1), ('x')", 'SELECT * FROM k JOIN u USING (zz)', 'SELECT * FROM k JOIN u USING (c)', 'SELECT * FROM k JOIN u ON k.a',
  'SELECT a FROM k LIMIT -1', 'SELECT a FROM k OFFSET -1', 'SELECT (SELECT a, b FROM k)', 'SELECT a IN (SELECT a, b FROM k) FROM k', 'SELECT * FROM (SELECT 1) AS s(a, b)', 'WITH q AS (SELECT 1), q AS (SELECT 2) SELECT 1',
  'WITH q AS (SELECT zz FROM k) SELECT 1', 'SELECT count(*) FILTER (WHERE a) FROM k', 'SELECT lower(DISTINCT t) FROM k', 'SELECT lower(*) FROM k', 'SELECT count() FROM k', 'SELECT sum(t) FROM k', 'SELECT j = j FROM k',
  'SELECT DISTINCT j FROM k', 'SELECT j FROM k GROUP BY j', 'SELECT a[1] FROM k', 'SELECT row_number() FROM k', 'SELECT a FROM k WHERE generate_series(1, 2) = 1', 'SELECT a, a FROM k ORDER BY a, 9',
  'SELECT a AS x, b AS x FROM k ORDER BY x', 'SELECT max(a, b) FROM k', 'SELECT ia || t FROM k', 'SELECT (1, 2) = (1, 2, 3)', 'SELECT 1 = ANY(1)', 'SELECT a FROM k k2 WHERE k.a = 1',
  ...['SELECT 1 INTERSECT SELECT n + 1 FROM x', 'SELECT n FROM x UNION ALL SELECT 1', 'SELECT n FROM x', 'SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n IN (SELECT n FROM x)', 'SELECT 1 UNION ALL SELECT x.n + 1 FROM k LEFT JOIN x ON x.n = k.a', 'SELECT 1 UNION ALL SELECT x.n + 1 FROM x RIGHT JOIN k ON x.n = k.a',
    'SELECT 1 UNION ALL SELECT x.n + 1 FROM x FULL JOIN k ON x.n = k.a', 'SELECT 1 UNION ALL SELECT n + 1 FROM x ORDER BY 1', 'SELECT 1 UNION ALL SELECT n + 1 FROM x LIMIT 10', 'SELECT 1 UNION ALL SELECT n + 1 FROM x OFFSET 10', 'SELECT 1 UNION ALL SELECT count(*) FROM x', 'SELECT 1 UNION ALL SELECT p.n + 1 FROM x p, x q',
    'SELECT 1 UNION ALL (SELECT n + 1 FROM x EXCEPT ALL SELECT 3)', 'SELECT 1 UNION ALL (SELECT 3 EXCEPT SELECT n + 1 FROM x)', 'SELECT 1 UNION ALL (SELECT n FROM x INTERSECT ALL SELECT 3)', 'SELECT 1 UNION ALL SELECT n + 1, 2 FROM x', 'SELECT 1 UNION ALL SELECT n + 1.0 FROM x', "SELECT '7' UNION ALL SELECT n + 1 FROM x",
    'SELECT 1.0::numeric(3,1) UNION ALL SELECT n + 1 FROM x', "SELECT 'x'::json UNION SELECT n FROM x", 'WITH y AS (SELECT n FROM x) SELECT 1 UNION ALL SELECT n FROM y',
  ].map((q) => `WITH RECURSIVE x(n) AS (${q}) SELECT * FROM x`),
  'WITH RECURSIVE x(n, m) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT * FROM x', 'WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM y), y(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT * FROM x', 'WITH RECURSIVE x AS (SELECT 1), x AS (SELECT 2) SELECT 1',
  'SELECT a FROM k LIMIT a', 'SELECT a FROM k OFFSET 1 + a', 'SELECT (SELECT a FROM u LIMIT a) FROM k', 'SELECT a FROM k OFFSET sum(a)', 'SELECT 1 UNION SELECT 2 LIMIT a', "SELECT a FROM k LIMIT 'x'",
  'SELECT 1 FROM k JOIN u USING (a) AS k', 'SELECT x.a FROM (k JOIN u USING (a) AS x) AS y',
  'SELECT make_interval(days => 3, 1)', 'SELECT make_interval(days => 3, days => 4)', 'SELECT make_interval(1, years => 3)', 'SELECT make_interval(foo => a) FROM k', "SELECT make_interval(secs := 'x')", 'SELECT make_date(day => 1, month => 2)', 'SELECT lower(x => t) FROM k', 'SELECT nosuch(x => 1)',
  'SELECT length(string => t, a + 1) FROM k', 'SELECT text(x => 1)', "SELECT format('%s', x => 1)",
  'SELECT CASE WHEN a > 0 THEN generate_series(1, 3) END FROM k', 'SELECT coalesce(generate_series(1, 3), a) FROM k', 'SELECT sum(generate_series(1, 3)) FROM k', 'SELECT sum(generate_series(1, 3)) OVER () FROM k', 'SELECT sum(a) FILTER (WHERE generate_series(1, 2) = 1) FROM k',
  'SELECT generate_series(1, a), count(*) FROM k GROUP BY generate_series(1, a) + 1', 'SELECT a FROM k LIMIT generate_series(1, 2)', 'SELECT a FROM k HAVING generate_series(1, 2) = 1', 'VALUES (generate_series(1, 2))',
  'SELECT a FROM k WHERE row_number() OVER () = 1', 'SELECT a FROM k GROUP BY rank() OVER (ORDER BY a)', 'SELECT count(*) FROM k HAVING row_number() OVER () = 1', 'SELECT sum(row_number() OVER ()) FROM k',
  'SELECT sum(rank() OVER (ORDER BY a)) OVER () FROM k', 'SELECT lower(t) OVER () FROM k', 'SELECT nosuch() OVER () FROM k', 'SELECT sum(DISTINCT a) OVER () FROM k', 'SELECT sum(a ORDER BY b) OVER () FROM k',
  'SELECT rank() FILTER (WHERE ok) OVER () FROM k', 'SELECT sum(a) OVER w FROM k', 'SELECT sum(a) OVER (w PARTITION BY a) FROM k WINDOW w AS (PARTITION BY b)', 'SELECT sum(a) OVER (w ORDER BY a) FROM k WINDOW w AS (ORDER BY b)',
  'SELECT sum(a) OVER (w) FROM k WINDOW w AS (ORDER BY b ROWS 1 PRECEDING)', 'SELECT 1 FROM k WINDOW w AS (), w AS ()', 'SELECT sum(a) OVER (ORDER BY a ROWS -1 PRECEDING) FROM k', 'SELECT sum(a) OVER (GROUPS 1 PRECEDING) FROM k',
  'SELECT percentile_cont(0.5) FROM k', 'SELECT percentile_cont(0.5, 1) FROM k', 'SELECT mode() FROM k', 'SELECT rank(1) FROM k', 'SELECT rank() FROM k', 'SELECT sum() WITHIN GROUP (ORDER BY a) FROM k', 'SELECT sum(a) WITHIN GROUP (ORDER BY a) FROM k',
  'SELECT lower() WITHIN GROUP (ORDER BY t) FROM k', 'SELECT nosuch(1) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT row_number() WITHIN GROUP (ORDER BY a) FROM k', 'SELECT ntile() WITHIN GROUP (ORDER BY a) FROM k', 'SELECT ntile() WITHIN GROUP (ORDER BY a) OVER () FROM k', 'SELECT rank() WITHIN GROUP (ORDER BY a) FROM k',
  'SELECT percentile_cont(0.5, 0.6) WITHIN GROUP (ORDER BY n) FROM k', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n, a) FROM k', 'SELECT percentile_cont() WITHIN GROUP (ORDER BY n) FROM k', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM k',
  "SELECT percentile_cont('x') WITHIN GROUP (ORDER BY a) FROM k", 'SELECT percentile_disc(true) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT mode(1) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT mode() WITHIN GROUP (ORDER BY a, b) FROM k', 'SELECT mode() WITHIN GROUP (ORDER BY j) FROM k',
  'SELECT rank(1, 2) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT rank(1) WITHIN GROUP (ORDER BY a, b) FROM k', "SELECT rank('x') WITHIN GROUP (ORDER BY a) FROM k", 'SELECT rank(1) WITHIN GROUP (ORDER BY t) FROM k', "SELECT rank('1'::json) WITHIN GROUP (ORDER BY j) FROM k",
  'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n) OVER () FROM k', 'SELECT sum() WITHIN GROUP (ORDER BY a) OVER () FROM k', 'SELECT rank(1) OVER () FROM k', 'SELECT percentile_cont(0.5) OVER () FROM k', 'SELECT percentile_cont(a) WITHIN GROUP (ORDER BY n) FROM k',
  'SELECT rank(a + b) WITHIN GROUP (ORDER BY n) FROM k GROUP BY b', 'SELECT percentile_cont(max(a)) WITHIN GROUP (ORDER BY n) FROM k', 'SELECT mode() WITHIN GROUP (ORDER BY max(a)) FROM k', "SELECT mode() WITHIN GROUP (ORDER BY 'x') FROM k",
  'SELECT percentile_disc(ARRAY[0.5]) WITHIN GROUP (ORDER BY ia) FROM k', 'SELECT a FROM k WHERE mode() WITHIN GROUP (ORDER BY a) = 1', 'SELECT mode() WITHIN GROUP (ORDER BY a) FILTER (WHERE b) FROM k', 'SELECT count(*) FILTER (WHERE mode() WITHIN GROUP (ORDER BY a) = 1) FROM k',
  'SELECT percentile_cont(row_number() OVER ()) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT rank(generate_series(1, 2)) WITHIN GROUP (ORDER BY a) FROM k', 'SELECT percentile_cont(DISTINCT 0.5) WITHIN GROUP (ORDER BY n) FROM k',
  'SELECT sum(b) OVER (ORDER BY t RANGE 1 PRECEDING) FROM k', 'SELECT sum(b) OVER (ORDER BY a, b RANGE 1 PRECEDING) FROM k', 'SELECT sum(b) OVER (RANGE 1 PRECEDING) FROM k', "SELECT sum(b) OVER (ORDER BY a RANGE interval '1 day' PRECEDING) FROM k",
  'SELECT sum(b) OVER (ORDER BY a RANGE 1.5 PRECEDING) FROM k', 'SELECT sum(b) OVER (ORDER BY d RANGE 1 PRECEDING) FROM k', "SELECT sum(b) OVER (ORDER BY a RANGE 'x' PRECEDING) FROM k",
  'SELECT sum(b) OVER (ORDER BY a RANGE NULL PRECEDING) FROM k', 'SELECT sum(b) OVER (ORDER BY a RANGE BETWEEN CURRENT ROW AND NULL FOLLOWING) FROM k',
  'SELECT lag() OVER () FROM k', 'SELECT a, rank() OVER (ORDER BY b) FROM k GROUP BY a', 'SELECT DISTINCT ON (a) a FROM k ORDER BY b', 'SELECT count() OVER () FROM k',
  'SELECT first_value(a, b) OVER () FROM k', 'SELECT sum(a) OVER (PARTITION BY j) FROM k', 'SELECT sum(a) OVER (ORDER BY j) FROM k', "SELECT lag(a, 1, 'x') OVER () FROM k", 'SELECT lag(a, 1, 2.5) OVER () FROM k WHERE zz',
  'SELECT grouping(a) FROM k', 'SELECT a, grouping(b) FROM k GROUP BY a', 'SELECT grouping(a + 1) FROM k GROUP BY ROLLUP (a)', 'SELECT count(*) FROM k HAVING grouping(a) = 0', 'SELECT a FROM k ORDER BY grouping(a)', 'SELECT a FROM k WHERE grouping(a) = 1',
  'SELECT sum(grouping(a)) FROM k GROUP BY a', 'SELECT sum(a) FILTER (WHERE grouping(a) = 0) FROM k GROUP BY a', 'SELECT grouping(a) FROM k GROUP BY grouping(a)', 'VALUES (grouping(1))', 'SELECT 1 FROM k LIMIT grouping(1)', 'SELECT a FROM k GROUP BY a HAVING max(grouping(a)) > 1',
  'SELECT b FROM k GROUP BY ROLLUP (a)', 'SELECT a FROM k GROUP BY ROLLUP (a), j', 'SELECT a FROM k GROUP BY CUBE (a, j)', 'SELECT a FROM k GROUP BY ROLLUP (3)', 'SELECT count(*) FROM k GROUP BY ROLLUP (1)', 'SELECT a FROM k GROUP BY CUBE (a, count(*))', 'SELECT a FROM k GROUP BY GROUPING SETS (rank() OVER ())',
  'SELECT a AS x, b AS x FROM k GROUP BY ROLLUP (x)', `SELECT a FROM k GROUP BY CUBE (${Array.from({ length: 13 }, (_, i) => `a + ${i}`).join(', ')})`, `SELECT 1 FROM k GROUP BY ${Array.from({ length: 13 }, (_, i) => `ROLLUP (a + ${i})`).join(', ')}`,
  `SELECT grouping(${Array.from({ length: 32 }, () => 'a').join(', ')}) FROM k GROUP BY a`, 'SELECT t FROM k2 GROUP BY ROLLUP (id)', 'SELECT t FROM k2 GROUP BY GROUPING SETS ((id), (u))', 'SELECT a FROM k INTERSECT ALL SELECT 1, 2', 'SELECT a FROM k EXCEPT ALL SELECT t FROM k',
];

interface Ours { readonly sql: string; readonly code: string; readonly message: string; readonly at?: string; readonly hint?: string; readonly mode?: 'job' }
const OURS: readonly Ours[] = [
  { sql: 'SELECT * FROM bids', code: '42P01', message: 'relation "bids" does not exist', at: 'bids', hint: 'Perhaps you meant "bid".' },
  { sql: 'SELECT pric FROM bid', code: '42703', message: 'column "pric" does not exist', at: 'pric', hint: 'Perhaps you meant to reference the column "bid.price".', mode: 'job' },
  { sql: 'SELECT lenght(t) FROM k', code: '42883', message: 'function lenght(text) does not exist', at: 'lenght', hint: 'Perhaps you meant the function "length".' },
  { sql: 'SELECT * FROM bid', code: '0A000', message: '"bid" is an unbounded stream: a query over it that ends is not supported', at: 'bid', hint: 'Use SELECT … EMIT CHANGES, or CREATE MATERIALIZED VIEW v AS SELECT ….' },
  { sql: 'SELECT a FROM k ORDER BY a LIMIT 1 + random()::int', code: '0A000', message: 'an expression that is not constant in LIMIT or OFFSET of a continuous query is not supported', at: '+ random', mode: 'job' },
  { sql: 'SELECT a FROM k LIMIT 3', code: '0A000', message: 'LIMIT without ORDER BY in a continuous query is not supported', at: '3', mode: 'job' },
  { sql: 'SELECT a, (SELECT b FROM k) FROM k', code: '0A000', message: 'a subquery in this place of a continuous query is not supported', at: '(SELECT', mode: 'job' },
  { sql: 'SELECT sum(b) OVER (ORDER BY a RANGE b PRECEDING) FROM k', code: '0A000', message: 'a frame offset that is not constant is not supported', at: 'b PRECEDING' },
  { sql: 'SELECT sum(b) OVER (ORDER BY a RANGE -1 PRECEDING) FROM k', code: '22013', message: 'invalid preceding or following size in window function', at: '-1' },
  { sql: "SELECT sum(b) OVER (ORDER BY d RANGE BETWEEN CURRENT ROW AND '-1 day' FOLLOWING) FROM k", code: '22013', message: 'invalid preceding or following size in window function', at: "'-1 day'", mode: 'job' },
  { sql: 'SELECT a, a, count(*) FROM k GROUP BY ROLLUP (1, 2)', code: '0A000', message: 'a grouping set with two equal entries of the select list is not supported', at: 'a, count', hint: 'Group by one of them.' },
  { sql: 'SELECT a AS x, a AS y, count(*) FROM k GROUP BY GROUPING SETS ((x), (y))', code: '0A000', message: 'a grouping set with two equal entries of the select list is not supported', at: 'a AS y', mode: 'job' },
  { sql: 'SELECT sum(b) OVER (ORDER BY a::float8 RANGE 1e300 PRECEDING) FROM k', code: '0A000', message: 'a frame offset of 1e292 or more over floating-point numbers is not supported', at: '1e300' },
  { sql: "SELECT sum(b) OVER (ORDER BY a::float8 RANGE 'infinity' PRECEDING) FROM k", code: '0A000', message: 'an infinite frame offset is not supported', at: "'infinity'" },
  { sql: 'SELECT sum(b) OVER (ORDER BY a ROWS a PRECEDING) FROM k', code: '0A000', message: 'a frame offset that is not constant is not supported', at: 'a PRECEDING' },
  { sql: 'SELECT percentile_cont(ARRAY[0.5, 1.5]) WITHIN GROUP (ORDER BY a) FROM k', code: '22003', message: 'percentile value 1.5 is not between 0 and 1', at: 'ARRAY', mode: 'job' },
  { sql: 'SELECT percentile_disc(-1e-7) WITHIN GROUP (ORDER BY a) FROM k GROUP BY b', code: '22003', message: 'percentile value -1e-07 is not between 0 and 1', at: '-1e-7', mode: 'job' },
  { sql: 'SELECT rank(random()) WITHIN GROUP (ORDER BY a) FROM k', code: '0A000', message: 'a direct argument whose value changes (now, random, …) in a continuous query is not supported', mode: 'job' },
  { sql: 'SELECT rank((SELECT max(a) FROM u)) WITHIN GROUP (ORDER BY a) FROM k', code: '0A000', message: 'a subquery in this place of a continuous query is not supported', at: '(SELECT max', mode: 'job' },
  { sql: 'WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r', code: '0A000', message: 'a recursive query in a continuous query is not supported', at: 'r AS', mode: 'job' },
  { sql: 'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) CYCLE n SET c USING p SELECT * FROM r', code: '0A000', message: 'CYCLE of a WITH query is not supported', at: 'CYCLE' },
  { sql: 'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SEARCH DEPTH FIRST BY n SET c SELECT * FROM r', code: '0A000', message: 'SEARCH of a WITH query is not supported', at: 'SEARCH' },
  { sql: 'SELECT sum(a) OVER (ORDER BY generate_series(1, 2)) FROM k', code: '0A000', message: 'a set-returning function in a window of a query that is not grouped by it is not supported', at: 'generate_series', hint: 'Write it in FROM.' },
  { sql: 'SELECT DISTINCT ON (a) a, generate_series(1, 2) FROM k ORDER BY a', code: '0A000', message: 'a set-returning function in the select list of DISTINCT ON with ORDER BY is not supported', at: 'generate_series', hint: 'Write SELECT …, f(…) FROM (SELECT DISTINCT ON … ORDER BY …) q.' },
  { sql: 'SELECT a FROM k FOR UPDATE', code: '0A000', message: 'a row-locking clause (FOR UPDATE, FOR SHARE) is not supported' },
  { sql: 'SELECT * FROM k TABLESAMPLE system (1)', code: '0A000', message: 'TABLESAMPLE is not supported', at: 'system' },
  { sql: 'SELECT k FROM k', code: '0A000', message: 'a whole-row reference is not supported', at: 'k FROM' },
  { sql: 'SELECT (SELECT grouping(a)) FROM k GROUP BY ROLLUP (a)', code: '0A000', message: "GROUPING of the outer query's columns in a subquery is not supported", at: 'grouping' },
  { sql: "SELECT window_start, count(*) FROM TUMBLE(bid, ts, INTERVAL '1 minute') GROUP BY ROLLUP (window_start) EMIT ON WINDOW CLOSE", code: '0A000', message: 'EMIT ON WINDOW CLOSE is not supported for this query', mode: 'job' },
  { sql: 'SELECT a FROM k GROUP BY ROLLUP (a, ROW(b, t))', code: '0A000', message: 'a row in GROUP BY is not supported', at: 'ROW' },
  { sql: "SELECT t COLLATE \"de_DE\" FROM k", code: '0A000', message: 'collation "de_DE" is not supported', at: 'COLLATE' },
  { sql: "SELECT * FROM SESSION(bid, ts, INTERVAL '1 minute', by => price)", code: '42883', message: 'wrong arguments of SESSION', at: 'by', hint: 'Write SESSION(relation, column, gap [, partition_by => key]).', mode: 'job' },
  { sql: "SELECT * FROM SESSION(bid, ts)", code: '42883', message: 'wrong arguments of SESSION', at: 'SESSION', hint: 'Write SESSION(relation, column, gap [, partition_by => key]).', mode: 'job' },
  { sql: "SELECT * FROM SESSION(bid, ts, INTERVAL '0')", code: '22023', message: 'gap of SESSION must be greater than zero', at: 'SESSION', mode: 'job' },
  { sql: 'SELECT * FROM SESSION(bid, ts, price)', code: '42703', message: 'column "price" does not exist', at: 'price', mode: 'job' },
  { sql: 'SELECT * FROM SESSION(bid, ts, 10)', code: '42804', message: 'the gap of SESSION must be a constant interval', at: 'SESSION', hint: "Write INTERVAL '10 seconds'.", mode: 'job' },
  { sql: "SELECT * FROM SESSION(bid, ts, INTERVAL '1 minute', partition_by => pric)", code: '42703', message: 'column "pric" does not exist', at: 'pric)', hint: 'Perhaps you meant to reference the column "bid.price".', mode: 'job' },
  { sql: "SELECT * FROM SESSION(bid, ts, INTERVAL '1 minute', partition_by => price % 2)", code: '0A000', message: 'an expression in partition_by of SESSION is not supported', at: 'SESSION', hint: 'Compute it in a query of its own: WITH q AS (SELECT *, … AS key FROM t) SELECT … FROM SESSION(q, col, gap, partition_by => key).', mode: 'job' },
  { sql: "SELECT * FROM CUMULATE(bid, ts, INTERVAL '3 minutes', INTERVAL '10 minutes')", code: '22023', message: 'size of CUMULATE must be a multiple of its step', at: 'CUMULATE', hint: "CUMULATE(t, col, INTERVAL '1 hour', INTERVAL '1 day'): the step comes first.", mode: 'job' },
  { sql: "SELECT * FROM CUMULATE(bid, ts, INTERVAL '0', INTERVAL '10 minutes')", code: '22023', message: 'size and step of CUMULATE must be greater than zero', at: 'CUMULATE', mode: 'job' },
  { sql: "SELECT * FROM TABLE(TUMBLE(TABLE bid PARTITION BY price, DESCRIPTOR(ts), INTERVAL '1 minute'))", code: '0A000', message: 'PARTITION BY in a window function other than SESSION is not supported', at: 'PARTITION', hint: 'Windows of a fixed size are the same for all rows: put the columns into GROUP BY.', mode: 'job' },
  { sql: "SELECT * FROM TUMBLE(bid, price, INTERVAL '1 minute')", code: '42804', message: 'the time column of TUMBLE must be a timestamp, not bigint', at: 'price', mode: 'job' },
  { sql: "SELECT * FROM TUMBLE(bid, ts, INTERVAL '0 minute')", code: '22023', message: 'size and slide of TUMBLE must be greater than zero', at: 'TUMBLE', mode: 'job' },
  { sql: "SELECT * FROM TUMBLE(bids, ts, INTERVAL '1 minute')", code: '42P01', message: 'relation "bids" does not exist', at: 'bids', hint: 'Perhaps you meant "bid".', mode: 'job' },
  { sql: 'SELECT sum(price) FROM bid EMIT ON WINDOW CLOSE', code: '0A000', message: 'EMIT ON WINDOW CLOSE is not supported for this query', hint: 'Group by window_start or window_end of TUMBLE, HOP, CUMULATE or SESSION over a stream with WATERMARK FOR its time column.', mode: 'job' },
  { sql: 'SELECT a.x FROM v1 a JOIN v2 b ON a.x = b.x', code: '0A000', message: 'a continuous query over materialized views of different jobs is not supported', hint: 'Write their queries into this one (WITH …), or make all but one of them plain views (CREATE VIEW), which are computed where they are used.', mode: 'job' },
];

let db: PGlite;
let catalog: TestCatalog;
before(async () => {
  await loadParser();
  db = await PGlite.create();
  await db.exec(`CREATE TABLE k (${K}); CREATE TABLE u (${U}); CREATE TABLE k2 (${K2}, PRIMARY KEY (id));`);
  catalog = new TestCatalog().table('k', K, null).table('u', U, null).table('k2', K2, [0]).stream('bid', 'auction bigint, price bigint, ts timestamp', { watermark: ['ts', "ts - INTERVAL '1 second'"] })
    .materialized('v1', 'SELECT a AS x FROM k', 1).materialized('v2', 'SELECT a AS x FROM k', 2);
});
after(async () => { await db.close(); });

function bindError(sql: string, job: boolean): SqlError {
  try {
    planQuery(parseQuery(sql), catalog, job ? { kind: 'job', firstNodeId: 1, relationId: 9, relationName: 'v' } : { kind: 'batch' }, []);
  } catch (e) {
    if (e instanceof SqlError) return e;
    throw e;
  }
  throw new Error(`no error: ${sql}`);
}

for (const sql of SAME_AS_POSTGRES) {
  test(`error as PostgreSQL's: ${sql}`, async () => {
    let expected: { code?: string; message?: string; position?: string } | null = null;
    try { await db.query(sql); } catch (e) { expected = e as { code?: string; message?: string; position?: string }; }
    if (expected === null) throw new Error('PostgreSQL accepts it');
    const mine = bindError(sql, false);
    const shown = (x: { code?: string; message?: string }, position: number | undefined) => `${x.code ?? ''} ${x.message ?? ''} at ${position ?? 'nowhere'}`;
    assert.equal(shown(mine, mine.position), shown(expected, expected.position === undefined ? undefined : Number(expected.position)));
  });
}

for (const o of OURS) {
  test(`our error: ${o.sql}`, () => {
    const e = bindError(o.sql, o.mode === 'job');
    assert.equal(`${e.code} ${e.message}`, `${o.code} ${o.message}`);
    if (o.at !== undefined) assert.equal(e.position, o.sql.indexOf(o.at) + 1);
    if (o.hint !== undefined) assert.equal(e.hint, o.hint);
  });
}
