/**
 * Keys of a batch's rows as bytes: what state tables and exchanges look rows up by. One encoder per (types, columns, encoding); its buffers
 * are reused: a KeyBatch is valid until the encoder's next call.
 *
 * The bytes are those of the scalar encodings (types/encoding). Equality keys and rows are written column by column (spanencoder.ts), keys of
 * doubles only (the usual case) on a path of their own: fixed width, hashed by words. Order keys go row by row. Measured: `bench/kernels`.
 */
import type { SqlType } from '../types/sqltype.js';
import { ByteWriter } from '../types/encoding/bytes.js';
import { hashBytes, hashWords } from '../types/encoding/hash.js';
import { layoutOf } from '../types/encoding/kinds.js';
import { type OrderOptions, writeOrder, writeOrderBytes, writeOrderFloat, writeOrderInteger } from '../types/encoding/order.js';
import type { Batch, F64Vector, Vector } from './batch.js';
import { equalityColumn, SpanEncoder, storedColumn } from './spanencoder.js';
import { datumAt, isNullAt } from './vectors.js';

export interface KeyBatch {
  readonly length: number;
  /** Encoded key of row i: data[start[i] .. end[i]). */
  readonly data: Uint8Array;
  readonly start: Int32Array;
  readonly end: Int32Array;
  /** hashBytes (types/encoding/hash.ts, version in the job's metadata) of the key bytes; not set for order keys, which are compared, not looked up. */
  readonly hash: Int32Array;
  /** 1 where some key column is NULL (join keys then match nothing); null = nowhere. */
  readonly anyNull: Uint8Array | null;
}

export type KeyEncoding = 'equality' | 'order';

/** Makes the keys of a batch's rows. */
export type KeyEncoder = (batch: Batch) => KeyBatch;

const NULL_NUMBER = new Float64Array(1);
new DataView(NULL_NUMBER.buffer).setUint32(0, 0x4e554c4c, true);
new DataView(NULL_NUMBER.buffer).setUint32(4, 0x7ff80000, true);

/** `types` are those of all columns of the batch; `columns` the key's, in key order; `order` per key column for the order encoding. */
export function keyEncoder(types: readonly SqlType[], columns: readonly number[], encoding: KeyEncoding = 'equality', order: readonly OrderOptions[] = []): KeyEncoder {
  const writer = new ByteWriter(4096);
  let start = new Int32Array(0);
  let end = new Int32Array(0);
  let hash = new Int32Array(0);
  let nulls = new Uint8Array(0);
  const spans = new SpanEncoder(columns.map(c => equalityColumn(types[c])), 0);
  const floats = columns.map(c => layoutOf(types[c]) === 'float');
  const numbers = columns.length > 0 && columns.every(c => ['number', 'big', 'float'].includes(layoutOf(types[c])));
  const doubles = encoding === 'equality' && numbers;
  return batch => {
    const n = batch.length;
    if (start.length < n) {
      start = new Int32Array(n);
      end = new Int32Array(n);
      hash = new Int32Array(n);
      nulls = new Uint8Array(n);
    }
    writer.pos = 0;
    let data = writer.bytes;
    const vectors = columns.map(c => batch.columns[c]);
    let someNull = false;
    for (const v of vectors) if (v.form === 'datum' || v.nulls !== null) someNull = true;
    if (doubles && vectors.every((v): v is F64Vector => v.form === 'f64')) {
      encodeDoubles(writer, vectors, n, start, end, floats);
      data = writer.bytes;
      const words = new Int32Array(writer.bytes.buffer, 0, n * vectors.length * 2);
      for (let i = 0, step = vectors.length * 2; i < n; i++) hash[i] = hashWords(words, i * step, step);
    } else if (encoding === 'equality') {
      spans.encode(vectors, n, start, end);
      data = spans.bytes;
      for (let i = 0; i < n; i++) hash[i] = hashBytes(data, start[i], end[i]);
    } else if (numbers && vectors.every((v): v is F64Vector => v.form === 'f64' && v.nulls === null)) {
      encodeOrderNumbers(writer, vectors, n, start, end, floats, order);
      data = writer.bytes;
    } else {
      for (let i = 0; i < n; i++) {
        start[i] = writer.pos;
        for (let k = 0; k < columns.length; k++) writeOrderKey(writer, types[columns[k]], vectors[k], i, order[k]);
        end[i] = writer.pos;
      }
      data = writer.bytes;
    }
    if (someNull) {
      nulls.fill(0, 0, n);
      for (const v of vectors) for (let i = 0; i < n; i++) if (isNullAt(v, i)) nulls[i] = 1;
    }
    return { length: n, data, start, end, hash, anyNull: someNull ? nulls : null };
  };
}

/** Keys of doubles only: width 8 bytes a column, written column by column. */
function encodeDoubles(w: ByteWriter, vectors: readonly F64Vector[], n: number, start: Int32Array, end: Int32Array, floats: readonly boolean[]): void {
  const width = vectors.length * 8;
  w.ensure(n * width);
  // The writer's buffer begins 8-byte aligned, and so does every key.
  const f64 = new Float64Array(w.bytes.buffer, 0, n * vectors.length);
  const step = vectors.length;
  for (let k = 0; k < step; k++) {
    const v = vectors[k];
    const values = v.values;
    const map = v.nulls;
    // Adding 0 turns −0 into 0.
    if (map === null) for (let i = 0, p = k; i < n; i++, p += step) f64[p] = values[i] + 0;
    else for (let i = 0, p = k; i < n; i++, p += step) f64[p] = map[i] === 1 ? NULL_NUMBER[0] : values[i] + 0;
    if (floats[k]) canonicalNaNs(w, values, n, k * 8, width);
    if (map !== null) markNulls(w, map, n, k * 8, width);
  }
  for (let i = 0; i < n; i++) { start[i] = i * width; end[i] = start[i] + width; }
  w.pos = n * width;
}

/** Order keys of doubles without NULLs: 9 bytes a column, written column by column. */
function encodeOrderNumbers(w: ByteWriter, vectors: readonly F64Vector[], n: number, start: Int32Array, end: Int32Array, floats: readonly boolean[], order: readonly OrderOptions[]): void {
  const width = vectors.length * 9;
  w.ensure(n * width);
  const { bytes } = w;
  for (let k = 0; k < vectors.length; k++) {
    const { values } = vectors[k];
    const descending = k < order.length && order[k].descending;
    for (let i = 0, p = k * 9; i < n; i++, p += width) {
      w.pos = p + 1;
      bytes[p] = 1;
      if (floats[k]) writeOrderFloat(w, values[i]);
      else writeOrderInteger(w, values[i]);
      if (descending) for (let q = p + 1; q < p + 9; q++) bytes[q] = 255 - bytes[q];
    }
  }
  for (let i = 0; i < n; i++) { start[i] = i * width; end[i] = start[i] + width; }
  w.pos = n * width;
}

/** A NaN's payload may be lost on its way through a double: the NULL mark is written as words. */
function markNulls(w: ByteWriter, map: Uint8Array, n: number, at: number, width: number): void {
  for (let i = 0; i < n; i++) {
    if (map[i] === 0) continue;
    w.view.setUint32(i * width + at, 0x4e554c4c, true);
    w.view.setUint32(i * width + at + 4, 0x7ff80000, true);
  }
}

/** Engines keep a NaN's sign and payload: write the one NaN. */
function canonicalNaNs(w: ByteWriter, values: Float64Array, n: number, at: number, width: number): void {
  for (let i = 0; i < n; i++) {
    if (values[i] === values[i]) continue;
    w.view.setUint32(i * width + at, 0, true);
    w.view.setUint32(i * width + at + 4, 0x7ff80000, true);
  }
}

const ASCENDING: OrderOptions = { descending: false, nullsFirst: false };

function writeOrderKey(w: ByteWriter, type: SqlType, v: Vector, i: number, options: OrderOptions = ASCENDING): void {
  if (isNullAt(v, i)) { w.u8(options.nullsFirst ? 0 : 2); return; }
  const layout = layoutOf(type);
  if (v.form === 'f64') {
    w.u8(1);
    if (layout === 'float') writeOrderFloat(w, v.values[i]);
    else writeOrderInteger(w, v.values[i]);
    if (options.descending) for (let p = w.pos - 8; p < w.pos; p++) w.bytes[p] = 255 - w.bytes[p];
  } else if (v.form === 'bytes' && layout === 'bytes' && type.kind !== 'bpchar' && !options.descending) {
    w.u8(1);
    writeOrderBytes(w, v.data, v.start[i], v.end[i]);
  } else writeOrder(w, type, datumAt(type, v, i), options);
}

/** Row bytes of a batch: RowCodec's, over `columns` (all when left out). Spans as in KeyBatch; valid until the next call. */
export interface RowBytes { readonly data: Uint8Array; readonly start: Int32Array; readonly end: Int32Array }

export function rowEncoder(types: readonly SqlType[], columns: readonly number[] = types.map((_, i) => i)): (batch: Batch) => RowBytes {
  const spans = new SpanEncoder(columns.map(c => storedColumn(types[c])), (columns.length + 7) >> 3);
  let start = new Int32Array(0);
  let end = new Int32Array(0);
  const vectors: Vector[] = [];
  return batch => {
    const n = batch.length;
    if (start.length < n) { start = new Int32Array(n); end = new Int32Array(n); }
    for (let k = 0; k < columns.length; k++) vectors[k] = batch.columns[columns[k]];
    spans.encode(vectors, n, start, end);
    return { data: spans.bytes, start, end };
  };
}
