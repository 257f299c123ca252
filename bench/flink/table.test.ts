import { test } from 'node:test';
import assert from 'node:assert/strict';
import { betweenMarkers, comparison, geometricMean, medians, type Figure, type System } from './table.js';

const figure = (system: System, query: string, seconds: number, cpuSeconds: number, peakMb: number): Figure =>
  ({ system, query, events: 1000, seconds, cpuSeconds, peakMb, checkpointsCompleted: 1, checkpointsFailed: 0 });

test('the run of median CPU time stands for a query', () => {
  const runs = [3, 1, 2].map(s => figure('flink', 'q0', s, s, 10));
  assert.deepEqual(medians([...runs, figure('millrace', 'q0', 5, 5, 1)]).map(f => f.seconds), [2, 5]);
});

test('ratios favour neither direction: their mean is geometric', () => {
  assert.equal(geometricMean([2, 8]), 4);
  const table = comparison([figure('flink', 'q0', 4, 8, 1000), figure('millrace', 'q0', 2, 2, 100), figure('flink', 'q1', 16, 16, 1000), figure('millrace', 'q1', 2, 1, 400)], [], ['q0', 'q1']);
  assert.match(table, /\| q0 \| 250 \| 500 \| 2\.0 × \| 125 \| 500 \| 4\.0 × \| 1,000 \| 100 \| 0\.10 \|/);
  assert.match(table, /\| geometric mean of 2 \| \| \| \*\*4\.0 ×\*\* \| \| \| \*\*8\.0 ×\*\* \| \| \| \*\*0\.20\*\* \|/);
  assert.match(table, /\| least favourable \| \| \| 2\.0 × \| \| \| 4\.0 × \| \| \| 0\.40 \|/);
});

test('a query that one system did not finish has no ratio, and its error is told', () => {
  const table = comparison([figure('flink', 'q0', 4, 8, 1000)], [{ system: 'millrace', query: 'q0', error: 'no such thing\nstack' }], ['q0']);
  assert.match(table, /\| q0 \| 250 \| – \| {2}\| 125 \| – \| {2}\| 1,000 \| – \| {2}\|/);
  assert.match(table, /\n\n- q0 on Millrace: no such thing$/);
  assert.doesNotMatch(table, /geometric/);
});

test('only what stands between the markers of the document changes', () => {
  const begin = '<!-- written by npm run bench:flink -- --write-docs: begin -->';
  assert.equal(betweenMarkers(`a\n${begin}\nold\n<!-- end -->\nb`, 'new'), `a\n${begin}\n\nnew\n\n<!-- end -->\nb`);
  assert.throws(() => betweenMarkers('nothing', 'new'), /has no line/);
});
