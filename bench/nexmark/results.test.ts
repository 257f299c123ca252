import { test } from 'node:test';
import assert from 'node:assert/strict';
import { determined, difference, digest, digestDifference, fromCsv, inventedBid, normalise, toCsv, type Result } from './results.js';

const result = (...rows: string[][]): Result => ({ columns: ['a', 'b'], rows });

test('values of different systems are written alike', () => {
  assert.deepEqual(['2024-01-01 00:00:01.100', '2024-01-01T00:00:01', '10.50', '3.000', '100', 'x.50', ''].map(normalise), ['2024-01-01T00:00:01.1', '2024-01-01T00:00:01', '10.5', '3', '100', 'x.50', '']);
  assert.notEqual(normalise(null), normalise(''));
});

test('rows are compared as multisets', () => {
  assert.equal(difference(result(['1', 'x'], ['2', 'y']), result(['2', 'y'], ['1', 'x'])), null);
  assert.match(difference(result(['1', 'x']), result(['1', 'x'], ['1', 'x'])) ?? '', /1 rows, expected 2; e\.g\. missing/);
});

test('a digest does not depend on order, and tells the column that differs', () => {
  const expected = digest(result(['1', 'x'], ['2', 'y'], ['2', 'y']));
  assert.equal(digestDifference(digest(result(['2', 'y'], ['1', 'x'], ['2', 'y'])), expected), null);
  assert.match(digestDifference(digest(result(['1', 'x'], ['2', 'y'])), expected) ?? '', /2 rows, expected 3/);
  assert.match(digestDifference(digest(result(['1', 'x'], ['2', 'y'], ['2', 'z'])), expected) ?? '', /other values of b$/);
  assert.match(digestDifference(digest(result(['1', 'y'], ['2', 'x'], ['2', 'y'])), expected) ?? '', /other combinations/);
});

test('CSV gives back the rows that it was made from', () => {
  const given = result(['a,"b"', '\\N'], ['', '1.5']);
  assert.equal(difference(fromCsv(toCsv(given)), given), null);
});

test('of a query whose order ties only the determined columns count, and its rows must be bids', () => {
  const q18: Result = { columns: ['auction', 'bidder', 'price', 'channel', 'url', 'date_time', 'extra'], rows: [['1', '2', '30', 'c', 'u', 't', 'e']] };
  assert.deepEqual(determined('q18', q18), { columns: ['auction', 'bidder', 'date_time'], rows: [['1', '2', 't']] });
  assert.equal(inventedBid('q18', q18, [['1', '2', '30', 'c', 'u', 't', 'e']]), null);
  assert.deepEqual(inventedBid('q18', q18, [['1', '2', '31', 'c', 'u', 't', 'e']]), ['1', '2', '30', 'c', 'u', 't', 'e']);
});
