import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineChart, type Chart } from './linechart.js';

const chart = (series: Chart['series'], yLog = true): string => lineChart({ title: 'A < B', xLabel: 'keys', yLabel: 'rows "a" second', yLog, series });
const circles = (svg: string): { x: number; y: number }[] => [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(m => ({ x: Number(m[1]), y: Number(m[2]) }));

test('points stand at the logarithm of their values, and within the picture', () => {
  const at = circles(chart([{ name: 's', points: [{ x: 1, y: 10 }, { x: 10, y: 100 }, { x: 100, y: 1000 }] }]));
  assert.equal(at.length, 3);
  assert.ok(Math.abs(at[1].x - at[0].x - (at[2].x - at[1].x)) < 0.3);
  assert.ok(Math.abs(at[1].y - at[0].y - (at[2].y - at[1].y)) < 0.3);
  assert.ok(at[0].y > at[2].y);
  for (const p of at) assert.ok(p.x >= 0 && p.x <= 760 && p.y >= 0 && p.y <= 420);
});

test('a linear axis begins at nought', () => {
  const at = circles(chart([{ name: 's', points: [{ x: 1, y: 0 }, { x: 10, y: 50 }, { x: 100, y: 100 }] }], false));
  assert.ok(Math.abs(at[0].y + at[2].y - 2 * at[1].y) < 0.3);
});

test('texts are escaped, every series is named, one point or equal points are no trouble', () => {
  const svg = chart([{ name: 'a&b', points: [{ x: 5, y: 7 }] }, { name: 'c', points: [{ x: 5, y: 7 }] }]);
  assert.match(svg, /A &lt; B/);
  assert.match(svg, /a&amp;b/);
  assert.doesNotMatch(svg, /NaN|Infinity/);
});

test('what a logarithmic axis cannot show is refused', () => {
  assert.throws(() => chart([]), RangeError);
  assert.throws(() => chart([{ name: 's', points: [{ x: 0, y: 1 }] }]), RangeError);
  assert.throws(() => chart([{ name: 's', points: [{ x: 1, y: 0 }] }]), RangeError);
});
