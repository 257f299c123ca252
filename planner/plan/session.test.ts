/** Plans of SESSION and CUMULATE: what is fused, where conditions go, what keeps rows. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { SqlError } from '../../types/error.js';
import { explain } from '../explain/explain.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import { TestCatalog } from '../testcatalog.js';
import { planQuery } from './planquery.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = new TestCatalog()
    .stream('click', 'who integer, page text, price numeric, at timestamp', { watermark: ['at', "at - INTERVAL '4 seconds'"] })
    .stream('loose', 'who integer, at timestamp')
    .table('visit', 'id integer, who integer, at timestamp', [0]);
});

const planned = (sql: string) => planQuery(parseQuery(sql), catalog, { kind: 'job', firstNodeId: 1, relationId: 90, relationName: 'v' }, []).plan;
const ops = (sql: string): string => planned(sql).nodes.map((n) => n.op).join(' ');
const plan = (sql: string): string => explain(planned(sql)).join('\n');
const S = "SESSION(click, at, INTERVAL '10 seconds', partition_by => who)";

test('a GROUP BY of the partition and an edge keeps no rows, whatever its aggregates and conditions', () => {
  for (const sql of [
    `SELECT who, window_start, window_end, count(*) FROM ${S} GROUP BY who, window_start, window_end`,
    `SELECT window_end, who, sum(price * 2) FILTER (WHERE page = '/') FROM ${S} GROUP BY window_end, who`,
    `SELECT who, window_start FROM ${S} GROUP BY 1, 2`,
    `SELECT DISTINCT who, window_start FROM ${S}`,
    `SELECT w, window_start, avg(p) FROM (SELECT who AS w, window_start, price * 3 AS p FROM ${S}) q GROUP BY w, window_start HAVING count(*) > 2`,
    "SELECT window_start, count(*) FROM SESSION(click, at, INTERVAL '10 seconds') GROUP BY window_start",
    "SELECT who, page, window_start, count(*) FROM SESSION(click, at, INTERVAL '10 seconds', partition_by => (who, page)) GROUP BY page, who, window_start",
  ]) assert.deepEqual(ops(sql).replace(/ (calc|materialize)/g, ''), 'source exchange sessionaggregate', sql);
});

test('other groups, aggregates that keep values, and none at all keep the rows', () => {
  for (const [sql, expected] of [
    [`SELECT who, window_start, string_agg(page, ',') FROM ${S} GROUP BY who, window_start`, 'source exchange session aggregate'],
    [`SELECT who, window_start, max(price) FROM ${S} GROUP BY who, window_start`, 'source exchange session aggregate'],
    [`SELECT who, window_start, count(DISTINCT page) FROM ${S} GROUP BY who, window_start`, 'source exchange session aggregate'],
    [`SELECT who, page, window_start, count(*) FROM ${S} GROUP BY who, page, window_start`, 'source exchange session aggregate'],
    [`SELECT who, count(*) FROM ${S} GROUP BY who`, 'source exchange session aggregate'],
    [`SELECT who, window_start, count(*) FROM ${S} WHERE page = '/' GROUP BY who, window_start`, 'source exchange session aggregate'],
    [`SELECT who, window_start, max(window_end) FROM ${S} GROUP BY who, window_start`, 'source exchange session aggregate'],
    [`SELECT * FROM ${S}`, 'source exchange session'],
    ["SELECT who, window_start, count(*) FROM SESSION(visit, at, INTERVAL '1 hour', partition_by => who) GROUP BY who, window_start", 'table exchange session aggregate'],
  ] as const) assert.equal(ops(sql).replace(/ (calc|materialize)/g, ''), expected, sql);
});

test('a condition on the partition goes below the session, any other stays above', () => {
  assert.equal(plan(`SELECT who, page, window_end FROM ${S} WHERE who > 3 AND page = '/'`), `Materialize v (who, page, window_end)
  Calc
      filter: page = '/'
      project: who, page, window_end
    Session at gap 10s by (who) · drops late rows · frees closed windows
      Exchange hash (who)
        Calc
            filter: who > 3
            project: page, who, at, split_watermark
          Source click (file): who, page, at, split_watermark
              watermark: at - '00:00:04'::interval`);
});

test('without a watermark no row is late and nothing closes', () => {
  assert.equal(plan("SELECT who, window_start, count(*) FROM SESSION(loose, at, INTERVAL '10 seconds', partition_by => who) GROUP BY who, window_start"), `Materialize v (who, window_start, count) · key (who, window_start)
  Session aggregate at gap 10s by (who) · key (who, window_start)
      calls: count(*)
    Exchange hash (who)
      Source loose (file): who, at`);
});

test('on window close, sessions and what is grouped by their end come once', () => {
  assert.equal(plan(`SELECT * FROM ${S} EMIT ON WINDOW CLOSE`).split('\n')[1], '  Session at gap 10s by (who) · drops late rows · emits on window close · append-only');
  assert.equal(plan(`SELECT window_end, count(*) FROM ${S} GROUP BY window_end EMIT ON WINDOW CLOSE`), `Materialize v (window_end, count) · key (window_end) · append-only
  Aggregate by (window_end) · emits on window close · added up before the exchange · key (window_end) · append-only
      calls: count(*)
    Exchange hash (window_end)
      Calc
          project: window_end
        Session at gap 10s by (who) · drops late rows · emits on window close · append-only
          Exchange hash (who)
            Source click (file): who, at, split_watermark
                watermark: at - '00:00:04'::interval`);
  assert.throws(() => plan(`SELECT who, count(*) FROM ${S} GROUP BY who EMIT ON WINDOW CLOSE`), { code: '0A000' });
  for (const more of ['', ' GROUP BY window_start, window_end']) {
    const sql = `SELECT window_end FROM SESSION(loose, at, INTERVAL '10 seconds')${more} EMIT ON WINDOW CLOSE`;
    assert.throws(() => plan(sql), (e) => e instanceof SqlError && e.code === '0A000' && e.position === sql.indexOf('SESSION') + 1 && e.message === 'EMIT ON WINDOW CLOSE over a SESSION that no watermark closes is not supported' && e.hint !== undefined);
  }
});

test('CUMULATE is one window function among others', () => {
  assert.equal(plan("SELECT window_start, window_end, count(*) FROM CUMULATE(click, at, INTERVAL '1 hour', INTERVAL '1 day') GROUP BY 1, 2"), `Materialize v (window_start, window_end, count) · key (window_start, window_end)
  Aggregate by (window_start, window_end) · frees closed windows · added up before the exchange · key (window_start, window_end)
      calls: count(*)
    Exchange hash (window_start, window_end)
      Calc
          project: window_start, window_end
        Cumulate at size 1d step 1h · drops late rows
          Source click (file): at, split_watermark
              watermark: at - '00:00:04'::interval`);
  assert.ok(ops("SELECT window_start, window_end, count(*) FROM CUMULATE(visit, at, INTERVAL '1 hour', INTERVAL '1 day') GROUP BY 1, 2").startsWith('table window'));
});
