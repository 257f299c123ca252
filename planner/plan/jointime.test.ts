import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { JoinNode } from '../../types/plan.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import type { TestCatalog } from '../testcatalog.js';
import { nexmarkCatalog } from './nexmark.fixture.js';
import { planQuery } from './planquery.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = nexmarkCatalog();
});

/** What the query's topmost join says, as `left`, `right`: column name + seconds. */
function ends(sql: string): { left?: string; right?: string } {
  const { plan } = planQuery(parseQuery(sql), catalog, { kind: 'job', firstNodeId: 1, relationId: 90, relationName: 'v' }, []);
  const join = plan.nodes.filter((n): n is JoinNode => n.op === 'join').at(-1);
  assert.ok(join !== undefined);
  const text = (input: number, end: JoinNode['leftEnds']): string | undefined => {
    if (end === undefined) return undefined;
    return `${plan.nodes.find((n) => n.id === join.inputs[input])?.columns[end.column]?.name ?? '?'} + ${end.addUs / 1e6}`;
  };
  const left = text(0, join.leftEnds);
  const right = text(1, join.rightEnds);
  return { ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) };
}

const MAXIMA = `(SELECT window_start, window_end, max(price) AS top FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_start, window_end) m`;

test('rows beside a window are kept as long as the window may change', () => {
  assert.deepEqual(ends(`SELECT b.auction FROM bid b JOIN ${MAXIMA} ON b.price = m.top AND b.date_time BETWEEN m.window_end - INTERVAL '10 seconds' AND m.window_end`), { left: 'date_time + 10' });
  assert.deepEqual(ends(`SELECT b.auction FROM bid b JOIN ${MAXIMA} ON b.price = m.top AND b.date_time >= m.window_start AND b.date_time < m.window_end`), { left: 'date_time + 10' });
  assert.deepEqual(ends(`SELECT b.auction FROM ${MAXIMA} JOIN bid b ON b.price = m.top AND m.window_end + INTERVAL '1 minute' < b.date_time`), { right: 'date_time + -60' });
});

test('equal windows of two aggregates free both sides', () => {
  const distinct = (name: string): string => `(SELECT auction, window_start FROM TUMBLE(bid, date_time, INTERVAL '5 seconds') GROUP BY auction, window_start) ${name}`;
  assert.deepEqual(ends(`SELECT a.auction FROM ${distinct('a')} JOIN ${distinct('b')} ON a.auction = b.auction AND a.window_start = b.window_start`), { left: 'window_start + 5', right: 'window_start + 5' });
});

test('nothing is freed where a matching row may still come', () => {
  // Late rows of a stream come at any time.
  assert.deepEqual(ends(`SELECT a.id FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.date_time + INTERVAL '10 seconds'`), {});
  // Only bounded from below: later windows match.
  assert.deepEqual(ends(`SELECT b.auction FROM bid b JOIN ${MAXIMA} ON b.price = m.top AND b.date_time <= m.window_end`), {});
  // Months differ in length.
  assert.deepEqual(ends(`SELECT b.auction FROM bid b JOIN ${MAXIMA} ON b.price = m.top AND b.date_time >= m.window_end - INTERVAL '1 month'`), {});
  // The windows' rows show NULLs until a bid matches: a freed bid would be missed.
  assert.deepEqual(ends(`SELECT b.auction FROM ${MAXIMA} LEFT JOIN bid b ON b.price = m.top AND b.date_time >= m.window_start`), {});
  assert.deepEqual(ends(`SELECT b.auction FROM ${MAXIMA} FULL JOIN bid b ON b.price = m.top AND b.date_time >= m.window_start`), {});
});

test('the preserved side of an outer join is freed', () => {
  assert.deepEqual(ends(`SELECT b.auction FROM bid b LEFT JOIN ${MAXIMA} ON b.price = m.top AND b.date_time >= m.window_start`), { left: 'date_time + 10' });
});
