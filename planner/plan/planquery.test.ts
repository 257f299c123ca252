/** Golden plans of single features: pushdown, stream keys, exchanges, windows, semi joins, batch plans, DML. UPDATE_GOLDEN=1 prints them anew. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SqlError } from '../../types/error.js';
import { explain } from '../explain/explain.js';
import { loadParser, parseQuery, parseStatements } from '../parse/parser.js';
import { TestCatalog } from '../testcatalog.js';
import { GOLDEN } from './planquery.golden.js';
import { planDelete, planInsert, planUpdate, type DmlPlan } from './plandml.js';
import { planQuery } from './planquery.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = new TestCatalog().table('k', 'a integer, b integer, t text', [0]).table('h', "x integer, y text DEFAULT lower('ABC')", null)
    .stream('s', 'id bigint, v numeric, ts timestamp', { watermark: ['ts', "ts - INTERVAL '1 second'"] }).stream('f', 'id bigint, ts timestamp', { bounded: true })
    .materialized('mv', 'SELECT b, count(*) AS n FROM k GROUP BY b', 7);
});

const job = (sql: string) => planQuery(parseQuery(sql), catalog, { kind: 'job', firstNodeId: 1, relationId: 9, relationName: 'v' }, []);
const batch = (sql: string) => planQuery(parseQuery(sql), catalog, { kind: 'batch' }, []);
function dml(sql: string): DmlPlan {
  const statement = parseStatements(sql)[0]?.statement;
  if (statement?.kind !== 'insert' && statement?.kind !== 'update' && statement?.kind !== 'delete') throw new Error('no DML');
  const target = catalog.relation(null, statement.target.name);
  if (target?.kind !== 'table') throw new Error('no table');
  return statement.kind === 'insert' ? planInsert(statement, target, catalog, []) : statement.kind === 'update' ? planUpdate(statement, target, catalog, []) : planDelete(statement, target, catalog, []);
}

const JOBS: readonly string[] = [
  'SELECT t FROM k', 'SELECT count(*) FROM k', 'SELECT k.t, h.y FROM k LEFT JOIN h ON k.b = h.x', "SELECT k.t, h.y FROM k, h WHERE k.b = h.x AND h.y = 'q'",
  "SELECT k.t FROM k LEFT JOIN h ON k.b = h.x WHERE h.y = 'q'", "SELECT a FROM k WHERE EXISTS (SELECT 1 FROM h WHERE h.x = k.b AND h.y = 'z')",
  'SELECT a FROM k WHERE NOT EXISTS (SELECT 1 FROM h WHERE h.x = k.b)', 'SELECT a FROM k WHERE b IN (SELECT x FROM h)',
  "SELECT window_start, sum(v) FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE",
  "SELECT window_end, m, count(*) FROM (SELECT window_end, id, max(v) m FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY 1, 2) q GROUP BY 1, 2 EMIT ON WINDOW CLOSE",
  "SELECT window_start, count(*) FROM TUMBLE(s, ts, INTERVAL '1 minute') w JOIN f ON w.id = f.id GROUP BY window_start",
  "SELECT window_start, count(*) FROM TUMBLE(f, ts, INTERVAL '1 minute') GROUP BY window_start",
  "SELECT window_start, id, grouping(id), sum(v) FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY window_start, ROLLUP (id) EMIT ON WINDOW CLOSE",
  "SELECT k.t, h.y, count(*) FILTER (WHERE h.x > 1), max(a + x) FROM k JOIN h ON k.b = h.x WHERE h.y = 'q' GROUP BY ROLLUP (k.t, h.y) HAVING k.t IS NULL", 'SELECT b, t, count(*) FROM k GROUP BY b, GROUPING SETS ((t), ()) HAVING b > 1',
  'SELECT DISTINCT id FROM s', 'SELECT id FROM s UNION SELECT a FROM k', 'SELECT b FROM k EXCEPT SELECT x FROM h', 'SELECT b FROM k EXCEPT ALL SELECT x FROM h', 'SELECT b, n + 1 AS n FROM mv ORDER BY n', 'SELECT now() AS at, id FROM s',
  'SELECT * FROM k CROSS JOIN h', 'SELECT k.a, h.x FROM k FULL JOIN h ON k.a = h.x', 'SELECT id, u FROM s, unnest(ARRAY[1,2]) u WHERE id > 5 AND u = 2',
  'SELECT b, c FROM (SELECT b, count(*) AS c FROM k GROUP BY b) q WHERE b > 3 AND c > 1', 'WITH q AS (SELECT b, count(*) AS c FROM k GROUP BY b) SELECT x.b, y.c FROM q x JOIN q y ON x.b = y.c',
  'SELECT a, t FROM (SELECT *, row_number() OVER (PARTITION BY b ORDER BY a DESC) AS rn FROM k) q WHERE rn <= 3 AND b > 1 AND a < 9', 'SELECT a, rn FROM (SELECT *, row_number() OVER (PARTITION BY b ORDER BY a DESC) AS rn FROM k) q WHERE rn < 4',
  'SELECT id, v FROM (SELECT *, row_number() OVER (PARTITION BY id % 5 ORDER BY ts DESC) AS rn FROM s) q WHERE 1 = rn', 'SELECT id FROM (SELECT *, rank() OVER (PARTITION BY id ORDER BY v) AS r FROM s) q WHERE r BETWEEN 2 AND 3',
  'SELECT id FROM (SELECT *, dense_rank() OVER (ORDER BY v) AS r FROM s) q WHERE r > 2', 'SELECT DISTINCT ON (b) b, t FROM k ORDER BY b, a DESC', 'SELECT id FROM s ORDER BY v DESC LIMIT 10', 'SELECT id FROM s ORDER BY v LIMIT 10 OFFSET 5',
  "SELECT a, sum(a) OVER w, lag(t, 2, '-') OVER w, count(*) FILTER (WHERE a > 1) OVER (w ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM k WINDOW w AS (PARTITION BY b ORDER BY a)", 'SELECT b, sum(count(*)) OVER (ORDER BY b) FROM k GROUP BY b',
];
const BATCHES: readonly string[] = [
  'SELECT a, $1::int + 1, b = $2 FROM k WHERE t = $3 ORDER BY b DESC LIMIT 5 OFFSET $4', 'SELECT a FROM k ORDER BY t LIMIT 5',
  'SELECT b, count(*), (SELECT max(x) FROM h WHERE h.x = k.b) FROM k GROUP BY b HAVING count(*) > 1 ORDER BY 2', "SELECT 1 + 2, lower('ABC'), 1/0", 'SELECT random() r, generate_series(1,3)',
  'SELECT * FROM k WHERE a NOT IN (SELECT x FROM h)', 'SELECT x FROM (SELECT random() AS x FROM k) q WHERE x > 0.5 AND x < 0.9', 'SELECT n FROM mv WHERE b = 3',
];
const WRITES: readonly string[] = [
  "INSERT INTO k VALUES (1, 2, 'x'), ($1, DEFAULT, $2)", 'INSERT INTO h (x) VALUES (1)', 'INSERT INTO h SELECT a, t FROM k', 'INSERT INTO h DEFAULT VALUES', "UPDATE k SET b = b + 1, t = 'q' WHERE a = $1",
  'UPDATE h SET y = DEFAULT', 'DELETE FROM h USING k WHERE h.x = k.a', 'DELETE FROM h WHERE x IN (SELECT a FROM k)',
];

const cases: readonly [string, () => readonly string[]][] = [
  ...JOBS.map((sql): [string, () => string[]] => [`job: ${sql}`, () => explain(job(sql).plan)]),
  ...BATCHES.map((sql): [string, () => string[]] => [`batch: ${sql}`, () => explain(batch(sql).plan)]),
  ...WRITES.map((sql): [string, () => string[]] => [`write: ${sql}`, () => explain(dml(sql).plan)]),
];
for (const [name, make] of cases) {
  test(`golden plan of ${name}`, () => {
    const text = make().join('\n');
    if (process.env['UPDATE_GOLDEN'] !== undefined) { console.log(`=== ${name}\n${text}`); return; }
    assert.equal(text, GOLDEN[name]);
  });
}

test('parameters take their types from their surroundings', () => {
  assert.deepEqual(batch('SELECT a, $1::int + 1, b = $2 FROM k WHERE t = $3 LIMIT $4').paramTypes.map((t) => t.kind), ['int4', 'int4', 'text', 'int8']);
  assert.deepEqual(dml('INSERT INTO k VALUES ($1, $2, $3)').paramTypes.map((t) => t.kind), ['int4', 'int4', 'text']);
});

test('RETURNING and ON CONFLICT DO UPDATE work on stored rows', () => {
  assert.deepEqual(dml('INSERT INTO h (x) VALUES (1) RETURNING *, x + 1 AS z').project?.([4, 'q', 9]), [4, 'q', 5]);
  const conflict = dml("INSERT INTO k VALUES (1, 2, '3') ON CONFLICT (a) DO UPDATE SET b = k.b + excluded.b WHERE k.t <> 'no'").onConflict;
  if (conflict?.kind !== 'update') throw new Error('no update');
  assert.deepEqual(conflict.update([1, 5, 'x'], [1, 7, 'y']), [1, 12, 'x']);
  assert.equal(conflict.update([1, 5, 'no'], [1, 7, 'y']), null);
});

test('a clock or random() over rows that change is refused in a continuous query', () => {
  for (const sql of ['SELECT now(), a FROM k', 'SELECT a FROM k WHERE random() < 0.5']) assert.throws(() => job(sql), (e) => e instanceof SqlError && e.code === '0A000');
});

test('an expression nested too deeply is 54001', () => {
  assert.throws(() => batch(`SELECT ${'1 + '.repeat(30_000)}1`), (e) => e instanceof SqlError && e.code === '54001');
});

test('a job over a materialized view names the job it belongs to', () => {
  assert.deepEqual(job('SELECT b FROM mv').readsJobs, [7]);
});

test('write errors have their places', () => {
  const errors: readonly [string, string, number | undefined][] = [
    ["INSERT INTO k VALUES ('zz', 2)", '22P02', 23], ['INSERT INTO k (a, zz) VALUES (1, 2)', '42703', 19], ['INSERT INTO k VALUES (1,2,\'3\',4)', '42601', undefined], ['INSERT INTO k VALUES (true, 2)', '42804', 23],
    ['UPDATE k SET b = t', '42804', 18], ['UPDATE k SET b = 1, b = 2', '42601', 21], ['DELETE FROM k WHERE zz', '42703', 21],
  ];
  for (const [sql, code, position] of errors) {
    assert.throws(() => dml(sql), (e) => e instanceof SqlError && e.code === code && e.position === position, sql);
  }
});
