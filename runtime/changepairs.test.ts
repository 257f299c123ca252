/** Changes in pairs against the same made row by row, over columns of every form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomDatum, seeded } from '../types/encoding/testdatums.js';
import type { SqlType } from '../types/sqltype.js';
import type { Datum } from '../types/value.js';
import { changePairs, withoutEqualPairs } from './changepairs.js';
import { rowsEqual } from './rowsequal.js';
import { batchFromDatums, datumRow } from './vectors.js';

const TYPES: readonly SqlType[] = [{ kind: 'int4' }, { kind: 'int8' }, { kind: 'float8' }, { kind: 'numeric' }, { kind: 'text' }, { kind: 'bool' }, { kind: 'interval' }];
const picked = (random: (n: number) => number, rows: number): number => random(rows + 2) - 2 < 0 ? -1 : random(rows);

test('changePairs gives −old, +new of what differs, in order', () => {
  const random = seeded(11);
  for (let round = 0; round < 300; round++) {
    // Few values, so that many rows are equal; some rounds without NULL, some without rows before.
    const values = TYPES.map((t) => Array.from({ length: 2 }, () => (round % 3 > 0 && random(4) === 0 ? null : randomDatum(t, random))));
    const row = (): Datum[] => TYPES.map((_, c) => values[c][random(2)]);
    const old = batchFromDatums(TYPES, Array.from({ length: 6 }, row));
    const n = 1 + random(20);
    let news = 0;
    const newRow = Int32Array.from({ length: n }, () => (random(5) === 0 ? -1 : news++));
    const now = batchFromDatums(TYPES, Array.from({ length: news }, row));
    const oldRow = Int32Array.from({ length: n }, () => (round % 5 === 0 ? -1 : picked(random, 6)));
    const expected: unknown[] = [];
    for (let k = 0; k < n; k++) {
      const [a, b] = [oldRow[k], newRow[k]];
      if (a >= 0 && b >= 0 && rowsEqual(TYPES, old, a, now, b)) continue;
      if (a >= 0) expected.push([-1, datumRow(TYPES, old, a)]);
      if (b >= 0) expected.push([1, datumRow(TYPES, now, b)]);
    }
    const got = changePairs(TYPES, old, oldRow, now, newRow, n, 0);
    assert.deepEqual(got === null ? [] : Array.from({ length: got.length }, (_, i) => [got.weights === null ? 1 : got.weights[i], datumRow(TYPES, got, i)]), expected);
  }
});

test('withoutEqualPairs drops a −row before the same +row, and nothing else', () => {
  const types: SqlType[] = [{ kind: 'int4' }, { kind: 'text' }];
  const rows: [number, number, string | null][] = [[-1, 1, 'a'], [1, 1, 'a'], [-1, 2, 'a'], [1, 2, 'b'], [-1, 3, null], [-1, 4, null], [1, 4, null], [1, 5, 'x'], [-1, 5, 'x'], [-1, 6, 'y'], [1, 7, 'y']];
  const shown = (b: ReturnType<typeof batchFromDatums>): unknown[] => Array.from({ length: b.length }, (_, i) => [b.weights === null ? 1 : b.weights[i], ...datumRow(types, b, i)]);
  const batch = batchFromDatums(types, rows.map(([, ...r]) => r), rows.map(([w]) => w));
  assert.deepEqual(shown(withoutEqualPairs(types, batch)), rows.filter(([, k]) => k !== 1 && k !== 4));
  const inserts = batchFromDatums(types, [[1, 'a'], [1, 'a']]);
  assert.equal(withoutEqualPairs(types, inserts), inserts);
});
