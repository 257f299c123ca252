import { test } from 'node:test';
import assert from 'node:assert/strict';
import { QUERIES } from './events.js';
import { summarise } from './latencies.js';

test('percentiles are the nearest rank, and every sample is in one class of the histogram', () => {
  const s = summarise(Array.from({ length: 1000 }, (_, i) => 1000 - i));
  assert.deepEqual([s.samples, s.p50, s.p90, s.p99, s.p999, s.max], [1000, 500, 900, 990, 999, 1000]);
  assert.equal(s.histogram.reduce((sum, [, n]) => sum + n, 0), 1000);
  for (const [i, [border]] of s.histogram.entries()) assert.ok(i === 0 || border > s.histogram[i - 1][0]);
  assert.ok((s.histogram.at(-1)?.[0] ?? 0) >= 1000);
  assert.equal(summarise([7]).p999, 7);
  assert.equal(summarise([]).samples, 0);
});

test('a probe\'s row tells its time once: not when it goes, not for other keys', () => {
  const [filter, count] = QUERIES;
  assert.equal(filter.probe(['5', '1', '1000000500', '42']), 42);
  assert.equal(filter.probe(['5', '-1', '1000000500', '42']), null);
  assert.equal(count.probe(['5', '1', '1973-03-03 00:00:00', '2000000500', '1', '42']), 42);
  assert.equal(count.probe(['5', '1', '1973-03-03 00:00:00', '1000000007', '9', '42']), null);
});
