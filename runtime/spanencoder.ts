/**
 * SpanEncoder: rows of a batch as byte spans, written column by column, so that every loop handles one vector of one form (row by row costs
 * a type switch a value: 2–3 times as much).
 *
 *   1. sizes: each column adds the bytes it will take to its rows; values without a quick form are encoded to the side at once
 *   2. start and end of each row by prefix sum; each row's cursor after its head (the row codec's NULL bitmap)
 *   3. bytes: each column writes its values at the rows' cursors and moves them on
 *
 * Two layouts: equality keys (NULLs have bytes of their own, no head) and stored rows (NULLs are bits of the head).
 */
import type { SqlType } from '../types/sqltype.js';
import { ByteWriter, putVarint, varintBytes, viewOf } from '../types/encoding/bytes.js';
import { equalityIsIdentity, NULL_LENGTH, writeEquality } from '../types/encoding/equality.js';
import { isInt32, isShort, shortCode, writeIdentity } from '../types/encoding/identity.js';
import { layoutOf } from '../types/encoding/kinds.js';
import type { NullMap, Vector } from './batch.js';
import { datumAt, isNullAt } from './vectors.js';

/** How a column is written: values of its quick vector form, and everything else value by value. */
export interface SpanColumn {
  readonly type: SqlType;
  readonly equality: boolean;
  /** Form of double values: 8 bytes, 4 as int32, 4 as float, short int8; null = no quick form. */
  readonly double: 'f64' | 'i32' | 'f32' | 'short' | null;
  /** Byte vectors are copied as they are, after their length. */
  readonly copy: boolean;
}

export function equalityColumn(type: SqlType): SpanColumn {
  const layout = layoutOf(type);
  const double = layout === 'number' || layout === 'big' || layout === 'float' ? 'f64' : null;
  return { type, equality: true, double, copy: layout === 'bytes' && equalityIsIdentity(type) };
}

export function storedColumn(type: SqlType): SpanColumn {
  const layout = layoutOf(type);
  const double = layout === 'big' ? (isShort(type) ? 'short' : 'f64') : layout === 'float' ? (type.kind === 'float4' ? 'f32' : 'f64') : layout === 'number' ? (isInt32(type) ? 'i32' : 'f64') : null;
  return { type, equality: false, double, copy: layout === 'bytes' };
}

const INT4_MAX = 2147483647;
const INT4_MIN = -2147483648;
/** Above it a span is copied by the engine's memcpy, below eight bytes at a time (the call and its objects cost as much as 170 bytes). */
const LOOP_BYTES_MAX = 160;

export class SpanEncoder {
  readonly #columns: readonly SpanColumn[];
  readonly #head: number;
  #bytes: Uint8Array = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #size = new Int32Array(0);
  #cursor = new Int32Array(0);
  /** Values encoded to the side, and where each row's begin: one for each column that needs it. */
  readonly #sides: { readonly writer: ByteWriter; ends: Int32Array }[] = [];

  constructor(columns: readonly SpanColumn[], headBytes: number) {
    this.#columns = columns;
    this.#head = headBytes;
    for (let k = 0; k < columns.length; k++) this.#sides.push({ writer: new ByteWriter(0), ends: new Int32Array(0) });
  }

  /** Bytes of the last encode. */
  get bytes(): Uint8Array { return this.#bytes; }

  encode(vectors: readonly Vector[], n: number, start: Int32Array, end: Int32Array): void {
    if (this.#size.length < n) { this.#size = new Int32Array(n); this.#cursor = new Int32Array(n); }
    const size = this.#size;
    const cursor = this.#cursor;
    let fixed = this.#head;
    size.fill(0, 0, n);
    for (let k = 0; k < this.#columns.length; k++) fixed += this.#sizes(k, vectors[k], n);
    let pos = 0;
    for (let i = 0; i < n; i++) {
      start[i] = pos;
      cursor[i] = pos + this.#head;
      pos += size[i] + fixed;
      end[i] = pos;
    }
    if (this.#bytes.length < pos) {
      this.#bytes = new Uint8Array(Math.max(pos, this.#bytes.length * 2));
      this.#view = new DataView(this.#bytes.buffer);
    }
    const bytes = this.#bytes;
    for (let b = 0; b < this.#head; b++) for (let i = 0; i < n; i++) bytes[start[i] + b] = 0;
    for (let k = 0; k < this.#columns.length; k++) {
      if (this.#head > 0) this.#markNulls(k, vectors[k], n, start);
      this.#write(k, vectors[k], n);
    }
  }

  #quick(column: SpanColumn, v: Vector): boolean {
    switch (v.form) {
      case 'f64': return column.double !== null;
      case 'bytes': return column.copy;
      case 'bool': return true;
      case 'dec': return !column.equality && v.scale < 255;
      default: return false;
    }
  }

  /** Adds the column's varying sizes to the rows; gives its fixed part. */
  #sizes(k: number, v: Vector, n: number): number {
    const column = this.#columns[k];
    if (!this.#quick(column, v)) { this.#aside(k, v, n); return 0; }
    const size = this.#size;
    switch (v.form) {
      case 'f64':
        if (column.double === 'short') { shortSizes(size, n, v.values, v.nulls); return 0; }
        return fixedSize(size, n, column.equality ? null : v.nulls, column.double === 'f64' ? 8 : 4);
      case 'bool': return fixedSize(size, n, column.equality ? null : v.nulls, 1);
      case 'dec': return fixedSize(size, n, v.nulls, 9);
      case 'bytes': {
        if (column.equality) spanSizes(size, n, v.start, v.end, v.nulls);
        else storedSizes(size, n, v.start, v.end, v.nulls);
        return column.equality ? 4 : 0;
      }
      default: return 0;
    }
  }

  #aside(k: number, v: Vector, n: number): void {
    const { type, equality } = this.#columns[k];
    const side = this.#sides[k];
    if (side.ends.length < n) side.ends = new Int32Array(n);
    const { writer, ends } = side;
    writer.pos = 0;
    for (let i = 0; i < n; i++) {
      const from = writer.pos;
      const d = datumAt(type, v, i);
      if (equality) writeEquality(writer, type, d);
      else if (d !== null) writeIdentity(writer, type, d);
      ends[i] = writer.pos;
      this.#size[i] += writer.pos - from;
    }
  }

  #markNulls(k: number, v: Vector, n: number, start: Int32Array): void {
    const bytes = this.#bytes;
    const at = k >> 3;
    const bit = 1 << (k & 7);
    if (v.form !== 'datum') {
      const nulls = v.nulls;
      if (nulls !== null) for (let i = 0; i < n; i++) if (nulls[i] === 1) bytes[start[i] + at] |= bit;
    } else for (let i = 0; i < n; i++) if (isNullAt(v, i)) bytes[start[i] + at] |= bit;
  }

  #write(k: number, v: Vector, n: number): void {
    const column = this.#columns[k];
    const cursor = this.#cursor;
    const bytes = this.#bytes;
    const view = this.#view;
    if (!this.#quick(column, v)) {
      const { writer, ends } = this.#sides[k];
      const aside = viewOf(writer.bytes);
      let from = 0;
      for (let i = 0; i < n; i++) { cursor[i] = copySpan(writer.bytes, aside, from, ends[i], bytes, view, cursor[i]); from = ends[i]; }
      return;
    }
    switch (v.form) {
      case 'f64':
        if (column.double === 'short') writeShort(bytes, view, cursor, n, v.values, v.nulls);
        else if (column.double === 'i32') writeInts(view, cursor, n, v.values, v.nulls);
        else if (column.double === 'f32') writeFloats(view, cursor, n, v.values, v.nulls);
        else writeDoubles(view, cursor, n, v.values, v.nulls, column.equality || layoutOf(column.type) !== 'float', column.equality);
        return;
      case 'bool': {
        const { values, nulls } = v;
        if (column.equality) for (let i = 0; i < n; i++) bytes[cursor[i]++] = nulls !== null && nulls[i] === 1 ? 2 : values[i];
        else for (let i = 0; i < n; i++) if (nulls === null || nulls[i] === 0) bytes[cursor[i]++] = values[i];
        return;
      }
      case 'dec': {
        const { values, nulls, scale } = v;
        for (let i = 0; i < n; i++) {
          if (nulls !== null && nulls[i] === 1) continue;
          const p = cursor[i];
          bytes[p] = scale;
          view.setFloat64(p + 1, values[i] + 0, true);
          cursor[i] = p + 9;
        }
        return;
      }
      case 'bytes':
        if (column.equality) writeKeySpans(bytes, view, cursor, n, v.data, v.start, v.end, v.nulls);
        else writeStoredSpans(bytes, view, cursor, n, v.data, v.start, v.end, v.nulls);
        return;
      default:
    }
  }
}

function fixedSize(size: Int32Array, n: number, nulls: NullMap, bytes: number): number {
  if (nulls === null) return bytes;
  for (let i = 0; i < n; i++) if (nulls[i] === 0) size[i] += bytes;
  return 0;
}

function shortSizes(size: Int32Array, n: number, values: Float64Array, nulls: NullMap): void {
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const code = shortCode(values[i]);
    size[i] += code === 0 ? 9 : varintBytes(code);
  }
}

function spanSizes(size: Int32Array, n: number, start: Int32Array, end: Int32Array, nulls: NullMap): void {
  if (nulls === null) for (let i = 0; i < n; i++) size[i] += end[i] - start[i];
  else for (let i = 0; i < n; i++) if (nulls[i] === 0) size[i] += end[i] - start[i];
}

function storedSizes(size: Int32Array, n: number, start: Int32Array, end: Int32Array, nulls: NullMap): void {
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const length = end[i] - start[i];
    size[i] += varintBytes(length) + length;
  }
}

/** `oneZero`: −0 is written as 0. `nullMark`: NULLs take 8 bytes too, the equality encoding's NULL. */
function writeDoubles(view: DataView, cursor: Int32Array, n: number, values: Float64Array, nulls: NullMap, oneZero: boolean, nullMark: boolean): void {
  for (let i = 0; i < n; i++) {
    const p = cursor[i];
    if (nulls !== null && nulls[i] === 1) {
      if (!nullMark) continue;
      view.setUint32(p, 0x4e554c4c, true);
      view.setUint32(p + 4, 0x7ff80000, true);
    } else {
      const x = values[i];
      if (x !== x) { view.setUint32(p, 0, true); view.setUint32(p + 4, 0x7ff80000, true); } else view.setFloat64(p, oneZero ? x + 0 : x, true);
    }
    cursor[i] = p + 8;
  }
}

function writeShort(bytes: Uint8Array, view: DataView, cursor: Int32Array, n: number, values: Float64Array, nulls: NullMap): void {
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const code = shortCode(values[i]);
    const p = putVarint(bytes, cursor[i], code);
    if (code === 0) view.setFloat64(p, values[i], true);
    cursor[i] = code === 0 ? p + 8 : p;
  }
}

function writeInts(view: DataView, cursor: Int32Array, n: number, values: Float64Array, nulls: NullMap): void {
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const x = values[i];
    view.setInt32(cursor[i], x === Infinity ? INT4_MAX : x === -Infinity ? INT4_MIN : x, true);
    cursor[i] += 4;
  }
}

function writeFloats(view: DataView, cursor: Int32Array, n: number, values: Float64Array, nulls: NullMap): void {
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    const x = values[i];
    if (x !== x) view.setUint32(cursor[i], 0x7fc00000, true);
    else view.setFloat32(cursor[i], x, true);
    cursor[i] += 4;
  }
}

/** A loop over the bytes takes four times as long. What stands there as a double is moved with all its bits, a NaN's too. */
function copySpan(from: Uint8Array, fromView: DataView, start: number, end: number, to: Uint8Array, toView: DataView, at: number): number {
  if (end - start > LOOP_BYTES_MAX) {
    to.set(from.subarray(start, end), at);
    return at + end - start;
  }
  for (const last = end - 8; start <= last; start += 8, at += 8) toView.setFloat64(at, fromView.getFloat64(start, true), true);
  while (start < end) to[at++] = from[start++];
  return at;
}

function writeKeySpans(bytes: Uint8Array, view: DataView, cursor: Int32Array, n: number, data: Uint8Array, start: Int32Array, end: Int32Array, nulls: NullMap): void {
  const from = viewOf(data);
  for (let i = 0; i < n; i++) {
    const p = cursor[i];
    if (nulls !== null && nulls[i] === 1) { view.setInt32(p, NULL_LENGTH, true); cursor[i] = p + 4; continue; }
    view.setInt32(p, end[i] - start[i], true);
    cursor[i] = copySpan(data, from, start[i], end[i], bytes, view, p + 4);
  }
}

function writeStoredSpans(bytes: Uint8Array, view: DataView, cursor: Int32Array, n: number, data: Uint8Array, start: Int32Array, end: Int32Array, nulls: NullMap): void {
  const from = viewOf(data);
  for (let i = 0; i < n; i++) {
    if (nulls !== null && nulls[i] === 1) continue;
    cursor[i] = copySpan(data, from, start[i], end[i], bytes, view, putVarint(bytes, cursor[i], end[i] - start[i]));
  }
}
