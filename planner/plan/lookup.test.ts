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
    .stream('bid', 'auction bigint, price bigint, at timestamp, seen timestamptz GENERATED ALWAYS AS (now()) VIRTUAL', { watermark: ['at', "at - INTERVAL '4 seconds'"] })
    .table('side', 'key bigint, value text', [0])
    .view('named', 'SELECT b.auction, s.value FROM bid b JOIN side FOR SYSTEM_TIME AS OF PROCTIME() AS s ON s.key = b.auction')
    .view('seen', 'SELECT auction, seen FROM bid')
    .view('few', 'SELECT key, value FROM side WHERE key < 10');
});

const planned = (sql: string, kind: 'job' | 'batch' = 'job') => planQuery(parseQuery(sql), catalog, kind === 'batch' ? { kind } : { kind, firstNodeId: 1, relationId: 90, relationName: 'v' }, []).plan;
const lookups = (sql: string): number => planned(sql).nodes.filter((n) => n.op === 'lookup').length;

test('a lookup keeps the table only, gives rows once, and is marked nondeterministic', () => {
  assert.equal(explain(planned("SELECT b.price, s.value FROM bid b JOIN side FOR SYSTEM_TIME AS OF PROCTIME() AS s ON b.auction % 10 = s.key AND s.value <> 'x' AND b.price > length(s.value)")).join('\n'), `Materialize v (price, value) · append-only
  Calc
      project: price, value
    Lookup inner join on key = key · append-only · nondeterministic
        residual: price > length(value)
      Exchange hash (key)
        Calc
            project: price, auction % 10 AS key
          Source bid (file): auction, price
      Exchange hash (key)
        Calc
            filter: value <> 'x'
            project: value, key
          Table side: key, value`);
});

test('the time may be PROCTIME(), now(), or a column of processing time, in views and with USING too', () => {
  for (const sql of [
    'SELECT s.value FROM bid b LEFT JOIN side FOR SYSTEM_TIME AS OF now() s ON s.key = b.auction',
    'SELECT s.value FROM bid b JOIN public.side FOR SYSTEM_TIME AS OF b.seen AS s ON s.key = b.auction',
    'SELECT side.value FROM seen JOIN side FOR SYSTEM_TIME AS OF seen ON key = auction',
    'SELECT value FROM (SELECT auction AS key, seen FROM bid) b JOIN side FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP USING (key)',
    'SELECT * FROM named', 'SELECT few.value FROM bid JOIN few FOR SYSTEM_TIME AS OF PROCTIME() ON key = auction',
  ]) assert.equal(lookups(sql), 1, sql);
  assert.equal(planned('SELECT a.value FROM side a JOIN side FOR SYSTEM_TIME AS OF PROCTIME() b ON a.key = b.key', 'batch').nodes.filter((n) => n.op === 'join').length, 1);
});

test('what cannot be looked up is refused with its place', () => {
  const refused: readonly [string, string][] = [
    ['SELECT 1 FROM bid b JOIN side FOR SYSTEM_TIME AS OF b.at s ON s.key = b.auction', 'FOR SYSTEM_TIME AS OF a column that is not processing time (GENERATED ALWAYS AS (now())) is not supported'],
    ['SELECT 1 FROM bid b RIGHT JOIN side FOR SYSTEM_TIME AS OF PROCTIME() s ON s.key = b.auction', 'FOR SYSTEM_TIME AS OF in a RIGHT JOIN is not supported'],
    ['SELECT 1 FROM bid b JOIN bid FOR SYSTEM_TIME AS OF PROCTIME() s ON s.auction = b.auction', 'FOR SYSTEM_TIME AS OF on anything but a table is not supported'],
    ['SELECT 1 FROM side b JOIN side FOR SYSTEM_TIME AS OF PROCTIME() s ON s.key = b.key', 'FOR SYSTEM_TIME AS OF from rows that change is not supported'],
    ['SELECT 1 FROM bid b JOIN side FOR SYSTEM_TIME AS OF PROCTIME() s ON s.key < b.auction', 'FOR SYSTEM_TIME AS OF without an equality between both sides is not supported'],
    ['SELECT 1 FROM bid b, side FOR SYSTEM_TIME AS OF PROCTIME() s WHERE s.key = b.auction', 'FOR SYSTEM_TIME AS OF anywhere but on the right of a JOIN is not supported'],
  ];
  for (const [sql, message] of refused) assert.throws(() => planned(sql), (e) => e instanceof SqlError && e.code === '0A000' && e.message === message && e.position === sql.indexOf('FOR SYSTEM_TIME') + 1, sql);
  assert.throws(() => planned('SELECT 1 FROM bid b JOIN side FOR SYSTEM_TIME AS OF b.nothing s ON s.key = b.auction'), { code: '42703' });
});
