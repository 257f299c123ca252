import { test } from 'node:test';
import assert from 'node:assert/strict';
import { batchFromDatums } from '../../runtime/vectors.js';
import { Numeric } from '../../types/numeric.js';
import type { Column } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { jsonEncoder } from './encode.js';
import { JsonRowWriter } from './jsonrows.js';

const COLUMNS: readonly Column[] = [
  { name: 'i2', type: { kind: 'int2' } }, { name: 'i8', type: { kind: 'int8' } }, { name: 'a "b"', type: { kind: 'text' } }, { name: 't', type: { kind: 'timestamp' } },
  { name: 'tz', type: { kind: 'timestamptz' } }, { name: 'n', type: { kind: 'numeric' } }, { name: 'b', type: { kind: 'bool' } }, { name: 'f', type: { kind: 'float8' } }, { name: 'd', type: { kind: 'date' } },
  { name: 'v', type: { kind: 'varchar' } },
];

/** The first second of year 1. */
const FIRST_MS = -62_135_596_800_000;
let seed = 7;
function random(n: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
}
function one<T>(...of: readonly T[]): T { return of[random(of.length)]; }

function row(): Datum[] {
  const integer = (): number => one(0, 1, -1, 9, 10, 99, 100, 999999999, 1000000000, 4294967296, 9007199254740991, -9007199254740991, random(1e9), -random(1e6));
  const text = (): string => one('', 'plain', 'é😀', 'x'.repeat(random(3000)), 'a"b', 'c\\d', 'e\nf\u0001', ' /</');
  const us = (): number => one(0, 1, -1, 1_700_000_000_000_000, 1_700_000_000_123_456, 1_700_000_000_120_000, 1_700_000_001_000_001, FIRST_MS * 1000, (FIRST_MS - 1) * 1000, Date.UTC(9999, 11, 31, 23, 59, 59) * 1000, Infinity, -Infinity);
  const numeric = (): Numeric => Numeric.of(one(0, 5, -5, 12345, -1200, 100, 9007199254740991, random(1e9)), one(0, 1, 3, 17));
  return [one(0, -32768, 32767), one<Datum>(integer(), 9223372036854775807n), text(), us(), us(), numeric(), one(true, false), one(0, -0, 1.5, 1e300, NaN, Infinity, 0.1), one(0, 19000), text()].map((v) => (random(8) === 0 ? null : v));
}

test('bytes = the text encoder\'s, for every type, NULLs, escapes and borders of the ways', () => {
  const types = COLUMNS.map((c) => c.type);
  const encoder = jsonEncoder(COLUMNS);
  const writer = new JsonRowWriter(COLUMNS);
  const some = new JsonRowWriter([COLUMNS[2], COLUMNS[1]]);
  for (let k = 0; k < 300; k++) {
    // Batches of one scale keep decimals as such.
    const scale = random(2) === 0 ? null : random(5);
    const rows = Array.from({ length: 1 + random(6) }, () => row().map((v) => (scale !== null && v instanceof Numeric ? Numeric.of(random(100_000) - 50_000, scale) : v)));
    const batch = batchFromDatums(types, rows);
    for (let i = 0; i < rows.length; i++) {
      const op = one(null, 'insert' as const, 'update_after' as const);
      assert.equal(writerText(writer, writer.write(batch, i, op)), encoder.encode(batch, i, op));
      const key = jsonEncoder([COLUMNS[2], COLUMNS[1]]).encode({ length: batch.length, columns: [batch.columns[2], batch.columns[1]], weights: null }, i, null);
      assert.equal(writerText(some, some.write(batch, i, null, [2, 1])), key);
    }
  }
});

function writerText(writer: JsonRowWriter, end: number): string { return writer.bytes.toString('utf8', 0, end); }

test('no columns are an empty object', () => {
  const writer = new JsonRowWriter([]);
  assert.equal(writerText(writer, writer.write(batchFromDatums([], [[]]), 0, null)), '{}');
});
