import { test } from 'node:test';
import assert from 'node:assert/strict';
import { nexmarkQueries } from '../nexmark/queries.js';
import { addUp } from './flink.js';
import { flinkQueries } from './queries.js';

test('both systems run the same queries', () => {
  assert.deepEqual(Object.keys(flinkQueries), Object.keys(nexmarkQueries));
});

test('changes add up to the final rows, whatever file they are in', () => {
  const created = (k: number, v: string): string => JSON.stringify({ before: null, after: { k, v }, op: 'c' });
  const deleted = (k: number, v: string): string => JSON.stringify({ before: { k, v }, after: null, op: 'd' });
  const { columns, rows } = addUp([[created(1, 'x'), deleted(1, 'x'), created(1, 'y')].join('\n'), `${created(2, 'z')}\n${created(2, 'z')}\n`]);
  assert.deepEqual(columns, ['k', 'v']);
  assert.deepEqual([...rows].sort(), [['1', 'y'], ['2', 'z'], ['2', 'z']]);
  assert.throws(() => addUp([deleted(1, 'x')]), /more deleted than inserted/);
});
