import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOOL, INT8, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { batchFromDatums, datumAt } from '../vectors.js';
import { TypedKeys } from './typedkeys.js';
import { seeded } from '../../types/encoding/testdatums.js';

const TYPES: readonly SqlType[] = [INT8, TEXT, TIMESTAMP, BOOL];

function value(type: SqlType, random: (n: number) => number, bigs: boolean): Datum {
  if (random(6) === 0) return null;
  switch (type.kind) {
    case 'text': return ['', 'a', 'ab', 'é', 'a longer text than most', `t${random(300)}`][random(6)];
    case 'bool': return random(2) === 0;
    case 'timestamp': return random(10) === 0 ? [Infinity, -Infinity][random(2)] : (random(9) - 4) * 2_000_000_000_000;
    default: return bigs && random(3) === 0 ? 9007199254740993n + BigInt(random(4)) : random(2000) - 1000;
  }
}

const show = (row: readonly Datum[]): string => JSON.stringify(row.map((d) => (typeof d === 'bigint' ? `${d}n` : d === null ? 'NULL' : String(d))));

for (const bigs of [false, true]) {
  test(`keys of typed columns get one number each, in order of arrival, and come back as they went in${bigs ? ', integers past 2^53 among them' : ''}`, () => {
    const random = seeded(bigs ? 12 : 11);
    for (let width = 1; width <= TYPES.length; width++) {
      const types = TYPES.slice(0, width);
      const keys = new TypedKeys(types);
      for (let round = 0; round < 3; round++) {
        const known = new Map<string, number>();
        for (let b = 0; b < 6; b++) {
          // Batches without NULLs, of one value only, and of all forms.
          const plain = random(2) === 0;
          const rows = Array.from({ length: 1 + random(400) }, () => types.map((t): Datum => { let v = value(t, random, bigs && !plain); while (plain && v === null) v = value(t, random, false); return v; }));
          const batch = batchFromDatums(types, rows);
          const out = new Int32Array(rows.length);
          keys.assign(batch.columns, rows.length, out);
          rows.forEach((row, i) => {
            const text = show(row);
            if (!known.has(text)) known.set(text, known.size);
            assert.equal(out[i], known.get(text), text);
          });
        }
        assert.equal(keys.count, known.size);
        const columns = types.map((_, c) => keys.column(c));
        assert.deepEqual(Array.from({ length: keys.count }, (_, k) => show(types.map((t, c) => datumAt(t, columns[c], k)))), [...known.keys()]);
        keys.clear();
        assert.equal(keys.count, 0);
      }
    }
  });
}

test('0 and −0 are one key', () => {
  const keys = new TypedKeys([INT8]);
  const out = new Int32Array(3);
  keys.assign([{ form: 'f64', values: Float64Array.of(-0, 1, 0), nulls: null }], 3, out);
  assert.deepEqual([...out], [0, 1, 0]);
  assert.ok(Object.is(datumAt(INT8, keys.column(0), 0), 0));
});
