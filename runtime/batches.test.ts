import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeEquality } from '../types/encoding/equality.js';
import { ByteWriter } from '../types/encoding/bytes.js';
import { encodeOrderKey } from '../types/encoding/order.js';
import { RowCodec } from '../types/encoding/row.js';
import { maybeNull, randomDatum, seeded } from '../types/encoding/testdatums.js';
import type { Random } from '../types/encoding/testdatums.js';
import { Numeric } from '../types/numeric.js';
import type { ScalarKind, SqlType } from '../types/sqltype.js';
import { arrayOf, BOOL, FLOAT8, INT4, INT8, NUMERIC, TEXT, TIMESTAMP } from '../types/sqltype.js';
import { formatDatum } from '../types/textio.js';
import type { Datum } from '../types/value.js';
import type { Batch } from './batch.js';
import { BatchBuilder } from './batchbuilder.js';
import { draw, parseDrawn } from './drawn.js';
import { keyEncoder, rowEncoder } from './keys.js';
import { batchBytes, batchFromDatums, concat, datumRow, fromTransferable, gather, negated, slice, toTransferable } from './vectors.js';
import { consolidate } from './zset.js';

const KINDS: readonly ScalarKind[] = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar', 'bpchar', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'json', 'jsonb', 'uuid', 'oid'];
const TYPES: readonly SqlType[] = [...KINDS.map((kind): SqlType => ({ kind })), arrayOf(INT4)];

const text = (t: SqlType, v: Datum): string => (v === null ? 'NULL' : Object.is(v, -0) ? '-0' : formatDatum(t, v));
const rowsOf = (types: readonly SqlType[], b: Batch): string[][] => Array.from({ length: b.length }, (_, i) => [String(b.weights?.[i] ?? 1), ...datumRow(types, b, i).map((v, c) => text(types[c], v))]);

/** Some batches without large values or NULLs, so that every vector form occurs. */
function randomRows(r: Random, n: number): Datum[][] {
  const plain = TYPES.map(() => r(2) === 0);
  return Array.from({ length: n }, () => TYPES.map((t, c) => {
    if (!plain[c]) return maybeNull(t, r);
    if (t.kind === 'numeric') return Numeric.of(r(1000), 2);
    const v = randomDatum(t, r);
    return typeof v === 'bigint' ? Number(v % 1000n) : v;
  }));
}

test('a batch gives back the datums it was built from, through builder, gather, slice, concat, transfer and stored rows', () => {
  const r = seeded(21);
  const codec = new RowCodec(TYPES);
  const encode = rowEncoder(TYPES);
  for (let round = 0; round < 60; round++) {
    const rows = randomRows(r, 1 + r(90));
    const weights = r(2) === 0 ? null : rows.map(() => r(5) - 2);
    const batch = batchFromDatums(TYPES, rows, weights);
    const want = rows.map((row, i) => [String(weights?.[i] ?? 1), ...row.map((v, c) => text(TYPES[c], v))]);
    assert.deepEqual(rowsOf(TYPES, batch), want);
    assert.ok(batchBytes(batch) > 0);

    const index = Int32Array.from({ length: rows.length * 2 }, () => r(rows.length));
    assert.deepEqual(rowsOf(TYPES, gather(batch, index, index.length)), Array.from(index, i => want[i]));
    const from = r(rows.length);
    assert.deepEqual(rowsOf(TYPES, slice(batch, from, rows.length)), want.slice(from));
    assert.deepEqual(rowsOf(TYPES, concat(TYPES, [slice(batch, from, rows.length), batch])), [...want.slice(from), ...want]);
    assert.deepEqual(rowsOf(TYPES, negated(batch)), want.map(([w, ...v]) => [String(0 - Number(w)), ...v]));

    const { wire, transfer } = toTransferable(TYPES, slice(batch, from, rows.length));
    const sent = structuredClone(wire, { transfer });
    assert.deepEqual(rowsOf(TYPES, fromTransferable(TYPES, sent)), want.slice(from));

    const stored = encode(batch);
    const builder = new BatchBuilder(TYPES);
    for (let i = 0; i < rows.length; i++) {
      const bytes = Buffer.from(stored.data.subarray(stored.start[i], stored.end[i]));
      assert.ok(bytes.equals(codec.encode(rows[i])), `row ${want[i].join(' ')}`);
      builder.appendStored(stored.data, stored.start[i], weights?.[i] ?? 1);
    }
    assert.deepEqual(rowsOf(TYPES, builder.finish()), want);
    assert.equal(builder.length, 0);
  }
});

test('keys of a batch are byte for byte the scalar encodings, and NULLs are marked', () => {
  const r = seeded(22);
  const keyable = TYPES.map((t, c) => (t.kind === 'json' ? -1 : c)).filter(c => c >= 0);
  for (let round = 0; round < 150; round++) {
    const rows = randomRows(r, 1 + r(50));
    const batch = batchFromDatums(TYPES, rows);
    const columns = Array.from({ length: 1 + r(3) }, () => keyable[r(keyable.length)]);
    const order = columns.map(() => ({ descending: r(2) === 0, nullsFirst: r(2) === 0 }));
    const keys = keyEncoder(TYPES, columns)(batch);
    const ascending = keyEncoder(TYPES, columns, 'order')(batch);
    const ordered = keyEncoder(TYPES, columns, 'order', order)(batch);
    for (let i = 0; i < rows.length; i++) {
      const w = new ByteWriter();
      for (const c of columns) writeEquality(w, TYPES[c], rows[i][c]);
      const got = Buffer.from(keys.data.subarray(keys.start[i], keys.end[i]));
      assert.ok(got.equals(w.take()), columns.map(c => text(TYPES[c], rows[i][c])).join(' '));
      assert.equal((keys.anyNull?.[i] ?? 0) === 1, columns.some(c => rows[i][c] === null));
      const key = Buffer.from(ascending.data.subarray(ascending.start[i], ascending.end[i]));
      assert.ok(key.equals(encodeOrderKey(columns.map(c => TYPES[c]), columns.map(c => rows[i][c]))));
    }
    assert.equal(ordered.length, rows.length);
  }
});

test('equal keys hash equally whatever the form of the vector', () => {
  const types = [INT8, TEXT];
  const small = keyEncoder(types, [0, 1])(batchFromDatums(types, [[5, 'x'], [0, 'y']]));
  const hashes = [...small.hash.subarray(0, 2)];
  // A value past 2^53 makes the vector i64; −0 comes from arithmetic.
  const wide = keyEncoder(types, [0, 1])(batchFromDatums(types, [[5, 'x'], [-0, 'y'], [9223372036854775807n, 'z']]));
  assert.deepEqual([...wide.hash.subarray(0, 2)], hashes);
});

test('an encoder serves batches of changing vector forms', () => {
  const encode = keyEncoder([INT8], [0]);
  const key = (v: Datum): string => { const k = encode(batchFromDatums([INT8], [[v], [1]])); return Buffer.from(k.data.subarray(k.start[1], k.end[1])).toString('hex'); };
  const one = key(0);
  assert.equal(key(9223372036854775807n), one);
  assert.equal(key(7), one);
});

test('a column widens when a value does not fit its form', () => {
  const types = [INT8, NUMERIC, TIMESTAMP];
  const b = new BatchBuilder(types);
  b.appendDatums([1, Numeric.parse('1.5'), 0]);
  b.appendDatums([null, null, null]);
  b.appendDatums([9007199254740993n, Numeric.parse('1.25'), Infinity]);
  b.appendDatums([-3, Numeric.NAN, 9007199254740993n]);
  const batch = b.finish();
  assert.deepEqual(batch.columns.map(c => c.form), ['i64', 'datum', 'datum']);
  assert.deepEqual(rowsOf(types, batch).map(r => r.slice(1, 3)), [['1', '1.5'], ['NULL', 'NULL'], ['9007199254740993', '1.25'], ['-3', 'NaN']]);
});

test('batches are drawn as text and read back', () => {
  const types = [INT8, TEXT, BOOL, FLOAT8];
  const drawing = '+ 1 "two words" t .\n- 2 "" f 1.5\n+3 . "." . NaN';
  assert.equal(draw(types, parseDrawn(types, drawing)), drawing);
});

test('consolidation by key leaves one −old and one +new a key, next to each other', () => {
  const types = [INT4, TEXT];
  const batches = [parseDrawn(types, '+ 1 b\n- 2 x\n+ 3 new\n- 1 b'), parseDrawn(types, '+ 1 c\n- 1 a\n+ 2 x\n- 3 new\n+ 3 newer')];
  assert.equal(consolidate(types, batches, [0], false).map(b => draw(types, b)).join('\n'), '- 1 a\n+ 1 c\n+ 3 newer');
});

test('keyless consolidation sums the weights of equal rows', () => {
  const types = [INT4];
  const batches = [parseDrawn(types, '+ 1\n+ 1\n- 2\n+ 3'), parseDrawn(types, '- 3\n+ 1\n- 2')];
  assert.equal(consolidate(types, batches, null, false).map(b => draw(types, b)).join('\n'), '+3 1\n-2 2');
});
