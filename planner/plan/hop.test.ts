/** Plans of HOP under GROUP BY (ranges of windows), and of joins with the own maximum. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { loadParser, parseQuery } from '../parse/parser.js';
import { TestCatalog } from '../testcatalog.js';
import { planQuery } from './planquery.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = new TestCatalog()
    .stream('bid', 'auction bigint, price bigint, note numeric, channel text, at timestamp', { watermark: ['at', "at - INTERVAL '4 seconds'"] })
    .table('offer', 'id integer, auction bigint, price bigint, at timestamp', [0]);
});

const planned = (sql: string, job = true) => planQuery(parseQuery(sql), catalog, job ? { kind: 'job', firstNodeId: 1, relationId: 90, relationName: 'v' } : { kind: 'batch' }, []).plan;
const HOP = "HOP(bid, at, INTERVAL '2 seconds', INTERVAL '10 seconds')";
const usesRanges = (sql: string): boolean => {
  const { nodes } = planned(sql);
  const windows = nodes.some((n) => n.op === 'window' && n.ranges === true);
  assert.equal(windows, nodes.some((n) => n.op === 'aggregate' && n.hop !== undefined), sql);
  return windows;
};

test('groups by a window of a HOP and other keys are added up by range', () => {
  for (const sql of [
    `SELECT window_start, auction, count(*) FROM ${HOP} GROUP BY window_start, auction`,
    `SELECT auction, window_end, channel, sum(price * 2), max(price), avg(note) FILTER (WHERE price > 3) FROM ${HOP} GROUP BY auction, window_end, channel`,
    `SELECT a, s, e, count(*) FROM (SELECT auction + 1 AS a, window_start AS s, window_end AS e FROM ${HOP} WHERE price > 5) q GROUP BY 1, 2, 3`,
    `SELECT DISTINCT auction, window_start FROM ${HOP}`,
    "SELECT auction, window_start, count(*) FROM HOP(offer, at, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start",
  ]) assert.ok(usesRanges(sql), sql);
});

test('a window used otherwise, no other key, or aggregates that keep values: a row for every window', () => {
  for (const sql of [
    `SELECT window_start, count(*) FROM ${HOP} GROUP BY window_start`,
    `SELECT auction, count(*) FROM ${HOP} GROUP BY auction`,
    `SELECT window_start, auction, max(window_end) FROM ${HOP} GROUP BY window_start, auction`,
    `SELECT window_start, auction, count(*) FROM ${HOP} WHERE window_start > '2024-01-01' GROUP BY window_start, auction`,
    `SELECT window_start, auction, count(DISTINCT price) FROM ${HOP} GROUP BY window_start, auction`,
    `SELECT window_start, auction, string_agg(channel, ',') FROM ${HOP} GROUP BY window_start, auction`,
    `SELECT window_start, note, count(*) FROM ${HOP} GROUP BY window_start, note`,
    `SELECT window_start, s, count(*) FROM (SELECT window_start, window_end + INTERVAL '1 s' AS s FROM ${HOP}) q GROUP BY window_start, s`,
    "SELECT window_start, auction, count(*) FROM TUMBLE(bid, at, INTERVAL '10 seconds') GROUP BY window_start, auction",
    "SELECT window_start, auction, max(price) FROM HOP(offer, at, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start",
  ]) assert.ok(!usesRanges(sql), sql);
});

test('rows of ranges are spread by the other keys', () => {
  const exchange = planned(`SELECT window_start, auction, count(*) FROM ${HOP} GROUP BY window_start, auction`).nodes.find((n) => n.op === 'exchange');
  assert.deepEqual(exchange?.op === 'exchange' ? exchange.keys.map((k) => exchange.columns[k]?.name) : null, ['auction']);
});

const C = 'WITH c AS (SELECT channel, auction, count(*) AS n, max(price) AS p FROM bid GROUP BY channel, auction) ';
const ops = (sql: string): string[] => planned(sql).nodes.map((n) => n.op);

test('a join with the own largest count keeps the largest rows only', () => {
  for (const sql of [
    'SELECT c.* FROM c JOIN (SELECT channel, max(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n >= x.m',
    'SELECT c.auction, x.m, x.channel FROM (SELECT channel, max(n) AS m FROM c GROUP BY channel) x JOIN c ON x.m <= c.n AND c.channel = x.channel',
    'SELECT c.* FROM c JOIN (SELECT channel, max(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n = x.m',
  ]) {
    assert.ok(ops(C + sql).includes('extremerows') && !ops(C + sql).includes('join'), sql);
    assert.equal(ops(C + sql).filter((op) => op === 'aggregate').length, 1, sql);
  }
});

test('other joins stay joins: values that may fall, other keys, other conditions', () => {
  for (const sql of [
    'SELECT c.* FROM c JOIN (SELECT channel, max(p) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.p >= x.m',
    'SELECT c.* FROM c JOIN (SELECT channel, max(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n > x.m',
    'SELECT c.* FROM c JOIN (SELECT channel, min(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n >= x.m',
    'SELECT c.* FROM c LEFT JOIN (SELECT channel, max(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n >= x.m',
    'SELECT c.* FROM c JOIN (SELECT channel, max(n) AS m FROM c WHERE n > 3 GROUP BY channel) x ON c.channel = x.channel AND c.n >= x.m',
    'SELECT c.* FROM c JOIN (SELECT channel, auction, max(n) AS m FROM c GROUP BY channel, auction) x ON c.channel = x.channel AND c.n >= x.m',
    'SELECT c.* FROM c JOIN (SELECT channel, max(n) AS m FROM c GROUP BY channel) x ON c.channel = x.channel AND c.n >= x.m AND c.p > x.m',
  ]) assert.ok(ops(C + sql).includes('join'), sql);
  const offers = 'WITH c AS (SELECT auction, price, count(*) AS n FROM offer GROUP BY auction, price) SELECT c.* FROM c JOIN (SELECT auction, max(n) AS m FROM c GROUP BY auction) x ON c.auction = x.auction AND c.n >= x.m';
  assert.ok(ops(offers).includes('join'));
});
