/**
 * Working with vectors and batches outside of compiled code: single values, gathering rows, slicing, concatenating, moving between threads.
 * Functions that go over rows are plain loops per form; the only per-value call is datumAt, for cold paths.
 */
import type { SqlType } from '../types/sqltype.js';
import type { Datum } from '../types/value.js';
import { ByteReader, readIdentity, writeIdentity } from '../types/encoding/identity.js';
import { ByteWriter, copyBytes, utf8Text } from '../types/encoding/bytes.js';
import { Json } from '../types/json.js';
import { Numeric } from '../types/numeric.js';
import { unreachable } from '../types/error.js';
import type { Batch, BytesVector, NullMap, Vector } from './batch.js';
import { BatchBuilder } from './batchbuilder.js';

export function isNullAt(v: Vector, i: number): boolean {
  if (v.form === 'datum') return v.values[i] === null;
  return v.nulls !== null && v.nulls[i] === 1;
}

/** Row i's value in its canonical form. */
export function datumAt(type: SqlType, v: Vector, i: number): Datum {
  switch (v.form) {
    case 'datum': return v.values[i];
    case 'f64': return v.nulls !== null && v.nulls[i] === 1 ? null : v.values[i];
    case 'bool': return v.nulls !== null && v.nulls[i] === 1 ? null : v.values[i] === 1;
    case 'i64': {
      if (v.nulls !== null && v.nulls[i] === 1) return null;
      const big = v.values[i];
      return big >= -9007199254740992n && big <= 9007199254740992n ? Number(big) : big;
    }
    case 'dec': return v.nulls !== null && v.nulls[i] === 1 ? null : Numeric.of(v.values[i], v.scale);
    case 'bytes': {
      if (v.nulls !== null && v.nulls[i] === 1) return null;
      if (type.kind === 'bytea') return v.data.slice(v.start[i], v.end[i]);
      const text = utf8Text(v.data, v.start[i], v.end[i]);
      return type.kind === 'jsonb' ? Json.jsonb(text) : type.kind === 'json' ? Json.json(text) : text;
    }
    default: return unreachable(v);
  }
}

export function datumRow(types: readonly SqlType[], batch: Batch, i: number): Datum[] {
  const row: Datum[] = [];
  for (let c = 0; c < types.length; c++) row.push(datumAt(types[c], batch.columns[c], i));
  return row;
}

/** A batch of rows given as datums; all weights +1 unless given. */
export function batchFromDatums(types: readonly SqlType[], rows: readonly (readonly Datum[])[], weights: readonly number[] | null = null): Batch {
  const builder = new BatchBuilder(types);
  for (let i = 0; i < rows.length; i++) builder.appendDatums(rows[i], weights === null ? 1 : weights[i]);
  return builder.finish();
}

/** Rows `rows[0..count)` of the batch, in that order. Spans are copied, bytes shared. */
export function gather(batch: Batch, rows: Int32Array, count: number): Batch {
  return { length: count, columns: batch.columns.map(v => gatherVector(v, rows, count)), weights: batch.weights === null ? null : gatherWeights(batch.weights, rows, count) };
}

function gatherWeights(weights: Int32Array, rows: Int32Array, count: number): Int32Array {
  const out = new Int32Array(count);
  for (let i = 0; i < count; i++) out[i] = weights[rows[i]];
  return out;
}

function gatherNulls(nulls: NullMap, rows: Int32Array, count: number): NullMap {
  if (nulls === null) return null;
  // Columns of one kind of event are NULL in the others': a filter on the kind leaves no NULL, and readers without a map are faster.
  let any = 0;
  for (let i = 0; i < count; i++) any |= nulls[rows[i]];
  if (any === 0) return null;
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i++) out[i] = nulls[rows[i]];
  return out;
}

export function gatherVector(v: Vector, rows: Int32Array, count: number): Vector {
  switch (v.form) {
    case 'f64': return { form: 'f64', values: gatherF64(v.values, rows, count), nulls: gatherNulls(v.nulls, rows, count) };
    case 'dec': return { form: 'dec', scale: v.scale, values: gatherF64(v.values, rows, count), nulls: gatherNulls(v.nulls, rows, count) };
    case 'i64': {
      const values = new BigInt64Array(count);
      for (let i = 0; i < count; i++) values[i] = v.values[rows[i]];
      return { form: 'i64', values, nulls: gatherNulls(v.nulls, rows, count) };
    }
    case 'bool': {
      const values = new Uint8Array(count);
      for (let i = 0; i < count; i++) values[i] = v.values[rows[i]];
      return { form: 'bool', values, nulls: gatherNulls(v.nulls, rows, count) };
    }
    case 'bytes': {
      const start = new Int32Array(count);
      const end = new Int32Array(count);
      for (let i = 0; i < count; i++) { const r = rows[i]; start[i] = v.start[r]; end[i] = v.end[r]; }
      return { form: 'bytes', data: v.data, start, end, nulls: gatherNulls(v.nulls, rows, count) };
    }
    case 'datum': {
      const values: Datum[] = [];
      for (let i = 0; i < count; i++) values.push(v.values[rows[i]]);
      return { form: 'datum', values, nulls: null };
    }
    default: return unreachable(v);
  }
}

function gatherF64(from: Float64Array, rows: Int32Array, count: number): Float64Array {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) out[i] = from[rows[i]];
  return out;
}

/** Rows [from, to) without copying values. */
export function slice(batch: Batch, from: number, to: number): Batch {
  if (from === 0 && to === batch.length) return batch;
  return { length: to - from, columns: batch.columns.map(v => sliceVector(v, from, to)), weights: batch.weights === null ? null : batch.weights.subarray(from, to) };
}

function sliceVector(v: Vector, from: number, to: number): Vector {
  switch (v.form) {
    case 'f64': return { ...v, values: v.values.subarray(from, to), nulls: v.nulls?.subarray(from, to) ?? null };
    case 'i64': return { ...v, values: v.values.subarray(from, to), nulls: v.nulls?.subarray(from, to) ?? null };
    case 'bool': return { ...v, values: v.values.subarray(from, to), nulls: v.nulls?.subarray(from, to) ?? null };
    case 'dec': return { ...v, values: v.values.subarray(from, to), nulls: v.nulls?.subarray(from, to) ?? null };
    case 'bytes': return { ...v, start: v.start.subarray(from, to), end: v.end.subarray(from, to), nulls: v.nulls?.subarray(from, to) ?? null };
    case 'datum': return { ...v, values: v.values.slice(from, to) };
    default: return unreachable(v);
  }
}

/** All rows of the batches as one batch. */
export function concat(types: readonly SqlType[], batches: readonly Batch[]): Batch {
  if (batches.length === 1) return batches[0];
  const builder = new BatchBuilder(types);
  for (const b of batches) builder.appendBatch(b);
  return builder.finish();
}

/** Same rows with other weights. */
export function withWeights(batch: Batch, weights: Int32Array | null): Batch { return { length: batch.length, columns: batch.columns, weights }; }

/** The batch with every weight negated: what was inserted is taken back. */
export function negated(batch: Batch): Batch {
  const weights = new Int32Array(batch.length);
  for (let i = 0; i < batch.length; i++) weights[i] = batch.weights === null ? -1 : -batch.weights[i];
  return withWeights(batch, weights);
}

/** Approximate bytes a batch holds: what channels and limits account. */
export function batchBytes(batch: Batch): number {
  let bytes = batch.weights === null ? 0 : 4 * batch.length;
  for (const v of batch.columns) {
    if (v.form === 'bytes') { for (let i = 0; i < batch.length; i++) bytes += v.end[i] - v.start[i]; bytes += 8 * batch.length; }
    else bytes += (v.form === 'bool' ? 1 : v.form === 'datum' ? 64 : 8) * batch.length;
  }
  return bytes;
}

/** A vector in the form that crosses threads; `datum` vectors go as identity bytes. */
type WireVector = Exclude<Vector, { form: 'datum' }> | { readonly form: 'identity'; readonly data: Uint8Array };

export interface WireBatch { readonly length: number; readonly columns: readonly WireVector[]; readonly weights: Int32Array | null }

/** Larger buffers come from the operating system and go back to it: every page of them is a fault. */
const CHUNK_BYTES = 64 * 1024;

/** Arrays cut from few buffers: a message costs by the buffers that move with it. */
class Chunks {
  readonly buffers: ArrayBuffer[] = [];
  #left: number;
  #at = 0;

  /** `bytes` in all. */
  constructor(bytes: number) { this.#left = bytes; }

  /** Begins an array of `bytes` in the last buffer, at a multiple of eight: give that to the array before the next call. */
  #take(bytes: number): ArrayBuffer {
    const room = (bytes + 7) & ~7;
    let last = this.buffers.at(-1);
    if (last === undefined || this.#at + room > last.byteLength) {
      last = Buffer.allocUnsafeSlow(Math.max(room, Math.min(CHUNK_BYTES, this.#left))).buffer as ArrayBuffer;
      this.buffers.push(last);
      this.#at = 0;
    }
    this.#left -= room;
    this.#at += room;
    return last;
  }
  #from(bytes: number): number { return this.#at - ((bytes + 7) & ~7); }

  newI32(n: number): Int32Array { const b = this.#take(4 * n); return new Int32Array(b, this.#from(4 * n), n); }
  newU8(n: number): Uint8Array { const b = this.#take(n); return new Uint8Array(b, this.#from(n), n); }
  f64(from: Float64Array, n: number): Float64Array { const b = this.#take(8 * n); const to = new Float64Array(b, this.#from(8 * n), n); to.set(from.length === n ? from : from.subarray(0, n)); return to; }
  i64(from: BigInt64Array, n: number): BigInt64Array { const b = this.#take(8 * n); const to = new BigInt64Array(b, this.#from(8 * n), n); to.set(from.subarray(0, n)); return to; }
  i32(from: Int32Array, n: number): Int32Array { const to = this.newI32(n); to.set(from.subarray(0, n)); return to; }
  u8(from: Uint8Array, n: number): Uint8Array { const to = this.newU8(n); to.set(from.length === n ? from : from.subarray(0, n)); return to; }
}

/** Bytes of a vector's first n rows in Chunks. */
function packedBytes(v: Vector, n: number): number {
  const nulls = v.nulls === null ? 0 : n + 8;
  switch (v.form) {
    case 'f64': case 'i64': case 'dec': return 8 * n + nulls;
    case 'bool': return n + 8 + nulls;
    case 'bytes': return textBytes(v, n) + 8 * n + 24 + nulls;
    case 'datum': return 0;
  }
}

function textBytes(v: BytesVector, n: number): number {
  const { start, end, nulls } = v;
  let total = 0;
  if (nulls === null) for (let i = 0; i < n; i++) total += end[i] - start[i];
  else for (let i = 0; i < n; i++) if (nulls[i] === 0) total += end[i] - start[i];
  return total;
}

/**
 * The batch compacted into buffers of its own (and one for each column of datums), for postMessage's transfer list. The batch itself stays
 * usable: column bytes are copied once, so that buffers shared with other batches are not torn away.
 */
export function toTransferable(types: readonly SqlType[], batch: Batch): { readonly wire: WireBatch; readonly transfer: ArrayBuffer[]; readonly bytes: number } {
  const n = batch.length;
  let bytes = batch.weights === null ? 0 : 4 * n + 8;
  for (const v of batch.columns) bytes += packedBytes(v, n);
  const to = new Chunks(bytes);
  const transfer: ArrayBuffer[] = [];
  const nulls = (map: NullMap): NullMap => (map === null ? null : to.u8(map, n));
  const columns = batch.columns.map((v, c): WireVector => {
    switch (v.form) {
      case 'f64': return { form: 'f64', values: to.f64(v.values, n), nulls: nulls(v.nulls) };
      case 'i64': return { form: 'i64', values: to.i64(v.values, n), nulls: nulls(v.nulls) };
      case 'bool': return { form: 'bool', values: to.u8(v.values, n), nulls: nulls(v.nulls) };
      case 'dec': return { form: 'dec', scale: v.scale, values: to.f64(v.values, n), nulls: nulls(v.nulls) };
      case 'bytes': return compactBytes(v, n, to, nulls(v.nulls));
      case 'datum': {
        const w = new ByteWriter(16 * n + 16);
        for (let i = 0; i < n; i++) {
          const d = v.values[i];
          if (d === null) w.u8(0);
          else { w.u8(1); writeIdentity(w, types[c], d); }
        }
        const data = w.take();
        transfer.push(data.buffer as ArrayBuffer);
        bytes += data.length;
        return { form: 'identity', data };
      }
      default: return unreachable(v);
    }
  });
  const weights = batch.weights === null ? null : to.i32(batch.weights, n);
  return { wire: { length: n, columns, weights }, transfer: [...transfer, ...to.buffers], bytes };
}

function compactBytes(v: BytesVector, n: number, to: Chunks, nulls: NullMap): BytesVector {
  const { data, start, end } = v;
  const total = textBytes(v, n);
  const out = to.newU8(total);
  const s = to.newI32(n);
  const e = to.newI32(n);
  let p = 0;
  for (let i = 0; i < n; i++) {
    s[i] = p;
    if (nulls === null || nulls[i] === 0) {
      copyBytes(data, start[i], end[i], out, p);
      p += end[i] - start[i];
    }
    e[i] = p;
  }
  return v.ascii === true ? { form: 'bytes', data: out, start: s, end: e, nulls, ascii: true } : { form: 'bytes', data: out, start: s, end: e, nulls };
}

export function fromTransferable(types: readonly SqlType[], wire: WireBatch): Batch {
  const columns = wire.columns.map((v, c): Vector => {
    if (v.form !== 'identity') return v;
    const r = new ByteReader(v.data);
    const values: Datum[] = [];
    for (let i = 0; i < wire.length; i++) values.push(r.u8() === 0 ? null : readIdentity(r, types[c]));
    return { form: 'datum', values, nulls: null };
  });
  return { length: wire.length, columns, weights: wire.weights };
}
