import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparatorOf } from '../compare.js';
import { Json } from '../json.js';
import type { SqlType, ScalarKind } from '../sqltype.js';
import { arrayOf } from '../sqltype.js';
import { formatDatum } from '../textio.js';
import { formatType } from '../typeinfo.js';
import type { Datum } from '../value.js';
import { ByteWriter, utf8Text } from './bytes.js';
import { writeEquality } from './equality.js';
import { HASH_VERSION, hashBytes, hashWords } from './hash.js';
import { ByteReader, readIdentity, writeIdentity } from './identity.js';
import { encodeOrderKey, writeOrder } from './order.js';
import { RowCodec } from './row.js';
import { maybeNull, randomDatum, seeded } from './testdatums.js';

const SCALARS: readonly ScalarKind[] = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar', 'bpchar', 'name', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'jsonb', 'uuid', 'oid'];
const ORDERED: readonly SqlType[] = [...SCALARS.map((kind): SqlType => ({ kind })), arrayOf({ kind: 'int4' }), arrayOf({ kind: 'text' }), arrayOf({ kind: 'numeric' })];
const ALL: readonly SqlType[] = [...ORDERED, { kind: 'json' }];
const PAIRS = 1500;

function bytesOf(write: (w: ByteWriter) => void): Buffer {
  const w = new ByteWriter(8);
  write(w);
  return Buffer.from(w.take());
}

const show = (t: SqlType, v: Datum): string => `${formatType(t)} ${v === null ? 'NULL' : formatDatum(t, v)}`;

test('int8 is as short as it is small, and comes back', () => {
  const codec = new RowCodec([{ kind: 'int8' }]);
  for (const [v, bytes] of [[0, 1], [63, 1], [-63, 1], [64, 2], [-64, 2], [8191, 2], [8192, 3], [1048576, 4], [134217728, 5], [1073741823, 5], [-1073741823, 5], [1073741824, 9], [-1073741824, 9], [2 ** 53, 9], [2n ** 53n + 1n, 17]] as const) {
    const row = codec.encode([v]);
    assert.equal(row.length, 1 + bytes, String(v));
    assert.deepEqual(codec.decode(row, 0, row.length), [v]);
  }
});

test('equality encoding gives equal bytes exactly to values that compare equal', () => {
  const r = seeded(11);
  for (const t of ORDERED) {
    const compare = comparatorOf(t);
    for (let k = 0; k < PAIRS; k++) {
      const a = maybeNull(t, r);
      const b = maybeNull(t, r);
      const equal = a === null || b === null ? a === b : compare(a, b) === 0;
      assert.equal(bytesOf(w => writeEquality(w, t, a)).equals(bytesOf(w => writeEquality(w, t, b))), equal, `${show(t, a)} | ${show(t, b)}`);
    }
  }
});

test('order encoding compares by memcmp as the values compare, in both directions, NULLs where asked', () => {
  const r = seeded(12);
  for (const t of ORDERED) {
    const compare = comparatorOf(t);
    for (let k = 0; k < PAIRS; k++) {
      const a = maybeNull(t, r);
      const b = maybeNull(t, r);
      for (const descending of [false, true]) {
        for (const nullsFirst of [false, true]) {
          const o = { descending, nullsFirst };
          const want = a === null || b === null
            ? (a === b ? 0 : (a === null) === nullsFirst ? -1 : 1)
            : Math.sign(compare(a, b)) * (descending ? -1 : 1);
          const got = Buffer.compare(bytesOf(w => writeOrder(w, t, a, o)), bytesOf(w => writeOrder(w, t, b, o)));
          assert.equal(got, want + 0, `${show(t, a)} | ${show(t, b)} | ${JSON.stringify(o)}`);
        }
      }
    }
  }
});

test('order and equality keys of several columns are unambiguous', () => {
  const r = seeded(13);
  for (let k = 0; k < 4000; k++) {
    const types = Array.from({ length: 3 }, () => ORDERED[r(ORDERED.length)]);
    const a = types.map(t => maybeNull(t, r));
    const b = a.map((v, c) => (r(2) === 0 ? v : maybeNull(types[c], r)));
    let want = 0;
    for (let c = 0; c < 3 && want === 0; c++) {
      const x = a[c];
      const y = b[c];
      want = x === null || y === null ? (x === y ? 0 : x === null ? 1 : -1) : Math.sign(comparatorOf(types[c])(x, y));
    }
    const text = types.map((t, c) => `${show(t, a[c])} | ${show(t, b[c])}`).join('; ');
    assert.equal(Buffer.compare(encodeOrderKey(types, a), encodeOrderKey(types, b)), want + 0, text);
    const ea = bytesOf(w => types.forEach((t, c) => writeEquality(w, t, a[c])));
    const eb = bytesOf(w => types.forEach((t, c) => writeEquality(w, t, b[c])));
    assert.equal(ea.equals(eb), want === 0, text);
  }
});

test('identity encoding reads back every value and tells 1.0 from 1.00 and 1 mon from 30 days', () => {
  const r = seeded(14);
  for (const t of ALL) {
    for (let k = 0; k < 400; k++) {
      const a = randomDatum(t, r);
      const bytes = bytesOf(w => writeIdentity(w, t, a));
      const reader = new ByteReader(bytes);
      const back = readIdentity(reader, t);
      assert.equal(reader.pos, bytes.length);
      assert.equal(formatDatum(t, back), formatDatum(t, a), formatType(t));
      if (a instanceof Json && back instanceof Json && a.binary) assert.equal(a.compare(back), 0);
      const b = randomDatum(t, r);
      assert.equal(bytesOf(w => writeIdentity(w, t, b)).equals(bytes), formatDatum(t, a) === formatDatum(t, b), `${show(t, a)} | ${show(t, b)}`);
    }
  }
});

test('a NaN of any sign or payload has one encoding', () => {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setUint32(0, 0xfff80000);
  bits.setUint32(4, 0x4e554c4c);
  const odd = bits.getFloat64(0);
  const t: SqlType = { kind: 'float8' };
  assert.ok(bytesOf(w => writeEquality(w, t, odd)).equals(bytesOf(w => writeEquality(w, t, NaN))));
  assert.ok(bytesOf(w => writeIdentity(w, t, odd)).equals(bytesOf(w => writeIdentity(w, t, NaN))));
});

test('rows of all types come back from the row codec', () => {
  const r = seeded(15);
  const codec = new RowCodec(ALL);
  for (let k = 0; k < 300; k++) {
    const row = ALL.map(t => maybeNull(t, r));
    const bytes = codec.encode(row);
    // Inside a larger buffer, at an odd place: values are read through spans of pages.
    const page = Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('tail')]);
    const back = codec.decode(page, 3, 3 + bytes.length);
    assert.deepEqual(back.map((v, c) => show(ALL[c], v)), row.map((v, c) => show(ALL[c], v)));
  }
});

test('hash of stored keys never changes', () => {
  assert.equal(HASH_VERSION, 1);
  const of = (s: string): number => hashBytes(Buffer.from(s), 0, s.length);
  // MurmurHash3_x86_32 with seed 0x9747b28c, published test vectors.
  assert.equal(of('aaaa') >>> 0, 0x5a97808a);
  assert.equal(of('aaa') >>> 0, 0x283e0130);
  assert.equal(of('aa') >>> 0, 0x5d211726);
  assert.equal(of('a') >>> 0, 0x7fa09ea6);
  assert.equal(of('Hello, world!') >>> 0, 0x24884cba);
  assert.equal(of('The quick brown fox jumps over the lazy dog') >>> 0, 0x2fa826cd);
  const far = Buffer.from('....aaaa');
  assert.equal(hashBytes(far, 4, 8), of('aaaa'));
});

test('text of any length and script passes the byte writer and reader', () => {
  for (const s of ['', 'a', 'é', '\u{1F600}x', 'x'.repeat(100), '日'.repeat(40), 'mixé'.repeat(30)]) {
    const b = bytesOf(w => w.text(s));
    const r = new ByteReader(b);
    assert.equal(r.text(), s);
    assert.equal(utf8Text(Buffer.from(s), 0, Buffer.byteLength(s)), s);
  }
});

test('hashing by words is hashing by bytes', () => {
  const r = seeded(16);
  const words = Int32Array.from({ length: 64 }, () => r(4294967296) | 0);
  const bytes = new Uint8Array(words.buffer);
  for (let at = 0; at < 32; at++) for (const n of [0, 1, 2, 4, 7]) assert.equal(hashWords(words, at, n), hashBytes(bytes, at * 4, (at + n) * 4));
});
