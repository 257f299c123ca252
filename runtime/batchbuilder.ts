/**
 * BatchBuilder: rows appended one by one, from datums, from other batches or from stored row bytes, into growing columns; `finish` gives the
 * batch and starts anew. A column begins in its type's best form and widens when a value does not fit: f64 → i64 on an integer past
 * 2^53, dec → datum on a numeric of another scale or past 2^53.
 */
import type { SqlType } from '../types/sqltype.js';
import type { Datum } from '../types/value.js';
import { ByteReader, fromShortCode, isBigAhead, isInt32, isShort, readBigInt, readIdentity, readInt32, readNumeric } from '../types/encoding/identity.js';
import { copyBytes, utf8Length, utf8Text } from '../types/encoding/bytes.js';
import { type Layout, layoutOf } from '../types/encoding/kinds.js';
import { Json } from '../types/json.js';
import { Numeric } from '../types/numeric.js';
import type { Batch, Vector } from './batch.js';

const START_ROWS = 64;
const START_BYTES = 1024;
/** A column starts as large as its last batch was (batches of one edge are alike), up to here: growing copies every value about twice. */
const START_ROWS_MAX = 4096;
const START_BYTES_MAX = 1 << 20;

class ColumnBuilder {
  readonly type: SqlType;
  readonly #layout: Layout;
  readonly #short: boolean;
  #form: Vector['form'];
  #f64: Float64Array = new Float64Array(0);
  #i64: BigInt64Array = new BigInt64Array(0);
  #bool: Uint8Array = new Uint8Array(0);
  #start: Int32Array = new Int32Array(0);
  #end: Int32Array = new Int32Array(0);
  #data: Uint8Array = new Uint8Array(0);
  #used = 0;
  #scale = -1;
  #datums: Datum[] = [];
  #nulls: Uint8Array | null = null;
  #capacity = 0;
  #startRows = START_ROWS;
  #startBytes = START_BYTES;

  constructor(type: SqlType) {
    this.type = type;
    this.#layout = layoutOf(type);
    this.#short = isShort(type);
    this.#form = firstForm(this.#layout);
  }

  /** `rows`: how many the finished batch had. */
  reset(rows: number): void {
    this.#startRows = Math.min(Math.max(rows, 1), START_ROWS_MAX);
    // An eighth more: a batch of slightly longer texts would double it.
    this.#startBytes = Math.min(Math.max(this.#used + (this.#used >>> 3), 16), START_BYTES_MAX);
    this.#form = firstForm(this.#layout);
    this.#f64 = new Float64Array(0);
    this.#i64 = new BigInt64Array(0);
    this.#bool = new Uint8Array(0);
    this.#start = new Int32Array(0);
    this.#end = new Int32Array(0);
    this.#data = new Uint8Array(0);
    this.#used = 0;
    this.#scale = -1;
    this.#datums = [];
    this.#nulls = null;
    this.#capacity = 0;
  }

  #grow(row: number): void {
    const capacity = Math.max(this.#startRows, this.#capacity * 2, row + 1);
    switch (this.#form) {
      case 'f64': case 'dec': { const a = new Float64Array(capacity); a.set(this.#f64); this.#f64 = a; break; }
      case 'i64': { const a = new BigInt64Array(capacity); a.set(this.#i64); this.#i64 = a; break; }
      case 'bool': { const a = new Uint8Array(capacity); a.set(this.#bool); this.#bool = a; break; }
      case 'bytes': {
        const s = new Int32Array(capacity);
        const e = new Int32Array(capacity);
        s.set(this.#start);
        e.set(this.#end);
        this.#start = s;
        this.#end = e;
        break;
      }
      case 'datum': break;
    }
    if (this.#nulls !== null) { const a = new Uint8Array(capacity); a.set(this.#nulls); this.#nulls = a; }
    this.#capacity = capacity;
  }

  appendNull(row: number): void {
    if (this.#form === 'datum') { this.#datums.push(null); return; }
    if (row >= this.#capacity) this.#grow(row);
    this.#nulls ??= new Uint8Array(this.#capacity);
    this.#nulls[row] = 1;
    if (this.#form === 'bytes') { this.#start[row] = this.#used; this.#end[row] = this.#used; }
  }

  appendNumber(row: number, v: number): void {
    if (row >= this.#capacity) this.#grow(row);
    if (this.#form === 'f64') this.#f64[row] = v;
    else this.#appendWide(row, v);
  }

  #appendWide(row: number, v: number): void {
    if (this.#form === 'i64' && Number.isFinite(v)) { this.#i64[row] = BigInt(v); return; }
    if (this.#form !== 'datum') this.#toDatums(row);
    this.#datums.push(v);
  }

  appendBigInt(row: number, v: bigint): void {
    if (this.#form === 'f64') this.#widen(row);
    if (row >= this.#capacity) this.#grow(row);
    if (this.#form === 'i64') this.#i64[row] = v;
    else this.#datums.push(v >= -9007199254740992n && v <= 9007199254740992n ? Number(v) : v);
  }

  /** f64 → i64; with an infinity among the values (timestamps) → datum. */
  #widen(rows: number): void {
    for (let i = 0; i < rows; i++) if (!Number.isFinite(this.#f64[i]) && !(this.#nulls !== null && this.#nulls[i] === 1)) { this.#toDatums(rows); return; }
    const wide = new BigInt64Array(Math.max(this.#capacity, rows + 1));
    for (let i = 0; i < rows; i++) if (this.#nulls === null || this.#nulls[i] === 0) wide[i] = BigInt(this.#f64[i]);
    this.#i64 = wide;
    if (wide.length !== this.#capacity && this.#nulls !== null) { const a = new Uint8Array(wide.length); a.set(this.#nulls); this.#nulls = a; }
    this.#capacity = wide.length;
    this.#form = 'i64';
  }

  #toDatums(rows: number): void {
    const datums: Datum[] = [];
    for (let i = 0; i < rows; i++) {
      if (this.#nulls !== null && this.#nulls[i] === 1) datums.push(null);
      else if (this.#form === 'dec') datums.push(Numeric.of(this.#f64[i], this.#scale));
      else if (this.#form === 'i64') { const b = this.#i64[i]; datums.push(b >= -9007199254740992n && b <= 9007199254740992n ? Number(b) : b); }
      else datums.push(this.#f64[i]);
    }
    this.#datums = datums;
    this.#nulls = null;
    this.#form = 'datum';
  }

  appendNumeric(row: number, v: Numeric): void {
    if (this.#form === 'dec') {
      if (v.kind === 'finite' && typeof v.coef === 'number' && (this.#scale === v.scale || this.#scale < 0)) {
        if (row >= this.#capacity) this.#grow(row);
        this.#scale = v.scale;
        this.#f64[row] = v.coef;
        return;
      }
      this.#toDatums(row);
    }
    this.#datums.push(v);
  }

  /** Unscaled double of a numeric with this scale. */
  appendDecimal(row: number, unscaled: number, scale: number): void {
    if (this.#form === 'dec' && (this.#scale === scale || this.#scale < 0)) {
      if (row >= this.#capacity) this.#grow(row);
      this.#scale = scale;
      this.#f64[row] = unscaled;
    } else this.appendNumeric(row, Numeric.of(unscaled, scale));
  }

  appendBool(row: number, v: boolean): void {
    if (row >= this.#capacity) this.#grow(row);
    this.#bool[row] = v ? 1 : 0;
  }

  #room(n: number): void {
    if (this.#used + n <= this.#data.length) return;
    const a = new Uint8Array(Math.max(this.#startBytes, this.#data.length * 2, this.#used + n));
    a.set(this.#data.subarray(0, this.#used));
    this.#data = a;
  }

  appendSpan(row: number, data: Uint8Array, start: number, end: number): void {
    if (this.#form === 'datum') { this.#datums.push(this.#fromBytes(data, start, end)); return; }
    if (row >= this.#capacity) this.#grow(row);
    const n = end - start;
    this.#room(n);
    const p = this.#used;
    copyBytes(data, start, end, this.#data, p);
    this.#start[row] = p;
    this.#end[row] = this.#used = p + n;
  }

  appendText(row: number, s: string): void {
    if (row >= this.#capacity) this.#grow(row);
    const n = utf8Length(s);
    this.#room(n);
    const p = this.#used;
    if (n === s.length) for (let i = 0; i < n; i++) this.#data[p + i] = s.charCodeAt(i);
    else Buffer.from(this.#data.buffer, p, n).write(s, 'utf8');
    this.#start[row] = p;
    this.#end[row] = this.#used = p + n;
  }

  /** The text (bytes) of the row before, which is not NULL: the same span. */
  appendSameText(row: number): void {
    if (row >= this.#capacity) this.#grow(row);
    this.#start[row] = this.#start[row - 1];
    this.#end[row] = this.#end[row - 1];
  }

  #fromBytes(data: Uint8Array, start: number, end: number): Datum {
    const text = utf8Text(data, start, end);
    return this.type.kind === 'jsonb' ? Json.jsonb(text) : this.type.kind === 'json' ? Json.json(text) : text;
  }

  appendDatum(row: number, v: Datum): void {
    if (v === null) { this.appendNull(row); return; }
    switch (this.#layout) {
      case 'number': case 'big': case 'float': if (typeof v === 'bigint') this.appendBigInt(row, v); else this.appendNumber(row, v as number); return;
      case 'bool': this.appendBool(row, v === true); return;
      case 'bytes': if (v instanceof Uint8Array) this.appendSpan(row, v, 0, v.length); else this.appendText(row, v as string); return;
      case 'numeric': this.appendNumeric(row, v as Numeric); return;
      default: this.#datums.push(v);
    }
  }

  /** Row i of a vector of the same type. */
  appendFrom(row: number, v: Vector, i: number): void {
    switch (v.form) {
      case 'datum': this.appendDatum(row, v.values[i]); return;
      default:
        if (v.nulls !== null && v.nulls[i] === 1) { this.appendNull(row); return; }
    }
    switch (v.form) {
      case 'f64': this.appendNumber(row, v.values[i]); return;
      case 'i64': this.appendBigInt(row, v.values[i]); return;
      case 'bool': this.appendBool(row, v.values[i] === 1); return;
      case 'dec': this.appendDecimal(row, v.values[i], v.scale); return;
      case 'bytes': this.appendSpan(row, v.data, v.start[i], v.end[i]); return;
    }
  }

  /** The next value of stored row bytes (identity encoding). */
  appendStored(row: number, r: ByteReader): void {
    switch (this.#layout) {
      case 'number':
        if (this.type.kind === 'oid' || this.type.kind.startsWith('reg')) this.appendNumber(row, r.i32() >>> 0);
        else this.appendNumber(row, isInt32(this.type) ? readInt32(r, this.type.kind === 'date') : r.f64());
        return;
      case 'big':
        if (this.#short) {
          const code = r.varint();
          if (code !== 0) { this.appendNumber(row, fromShortCode(code)); return; }
        }
        if (isBigAhead(r)) this.appendBigInt(row, readBigInt(r));
        else this.appendNumber(row, r.f64());
        return;
      case 'bool': this.appendBool(row, r.u8() === 1); return;
      case 'bytes': {
        const n = r.varint();
        this.appendSpan(row, r.data, r.pos, r.pos + n);
        r.pos += n;
        return;
      }
      case 'numeric': this.appendNumeric(row, readNumeric(r)); return;
      default: this.appendDatum(row, readIdentity(r, this.type));
    }
  }

  finish(): Vector {
    const nulls = this.#nulls;
    switch (this.#form) {
      case 'f64': return { form: 'f64', values: this.#f64, nulls };
      case 'i64': return { form: 'i64', values: this.#i64, nulls };
      case 'bool': return { form: 'bool', values: this.#bool, nulls };
      case 'dec': return { form: 'dec', values: this.#f64, scale: Math.max(this.#scale, 0), nulls };
      case 'bytes': return { form: 'bytes', data: this.#data, start: this.#start, end: this.#end, nulls };
      case 'datum': return { form: 'datum', values: this.#datums, nulls: null };
    }
  }
}

function firstForm(layout: Layout): Vector['form'] {
  switch (layout) {
    case 'number': case 'big': case 'float': return 'f64';
    case 'bool': return 'bool';
    case 'bytes': return 'bytes';
    case 'numeric': return 'dec';
    default: return 'datum';
  }
}

export class BatchBuilder {
  readonly types: readonly SqlType[];
  readonly columns: readonly ColumnBuilder[];
  #length = 0;
  #weights: Int32Array | null = null;
  readonly #reader = new ByteReader(new Uint8Array(0));

  constructor(types: readonly SqlType[]) {
    this.types = types;
    this.columns = types.map(t => new ColumnBuilder(t));
  }

  get length(): number { return this.#length; }

  /** Ends a row whose columns were appended one by one (each at row index `length`). */
  endRow(weight: number): void {
    const row = this.#length++;
    if (this.#weights === null) {
      if (weight === 1) return;
      this.#weights = new Int32Array(Math.max(START_ROWS, row * 2)).fill(1, 0, row);
    }
    if (row >= this.#weights.length) { const a = new Int32Array(this.#weights.length * 2 + 1); a.set(this.#weights); this.#weights = a; }
    this.#weights[row] = weight;
  }

  appendDatums(row: readonly Datum[], weight = 1): void {
    const at = this.#length;
    for (let c = 0; c < this.columns.length; c++) this.columns[c].appendDatum(at, row[c]);
    this.endRow(weight);
  }

  appendRow(batch: Batch, i: number, weight = 1): void {
    const at = this.#length;
    for (let c = 0; c < this.columns.length; c++) this.columns[c].appendFrom(at, batch.columns[c], i);
    this.endRow(weight);
  }

  /** Columns of `left` row i, then of `right` row j; null gives NULLs for that side. */
  appendPair(left: Batch | null, i: number, leftWidth: number, right: Batch | null, j: number, weight: number): void {
    const at = this.#length;
    for (let c = 0; c < leftWidth; c++) if (left === null) this.columns[c].appendNull(at); else this.columns[c].appendFrom(at, left.columns[c], i);
    for (let c = leftWidth; c < this.columns.length; c++) if (right === null) this.columns[c].appendNull(at); else this.columns[c].appendFrom(at, right.columns[c - leftWidth], j);
    this.endRow(weight);
  }

  appendBatch(batch: Batch): void {
    for (let i = 0; i < batch.length; i++) this.appendRow(batch, i, batch.weights === null ? 1 : batch.weights[i]);
  }

  /** A stored row (row codec) over all columns. */
  appendStored(data: Uint8Array, start: number, weight = 1): void {
    this.appendStoredColumns(data, start, 0, this.columns.length);
    this.endRow(weight);
  }

  /** A stored row of `count` columns into columns [first, first + count) of the row being built; `endRow` is the caller's. */
  appendStoredColumns(data: Uint8Array, start: number, first: number, count: number): void {
    const r = this.#reader;
    r.reset(data, start + ((count + 7) >> 3));
    const at = this.#length;
    for (let c = 0; c < count; c++) {
      if ((data[start + (c >> 3)] & (1 << (c & 7))) !== 0) this.columns[first + c].appendNull(at);
      else this.columns[first + c].appendStored(at, r);
    }
  }

  /** The rows as a batch; the builder is empty afterwards. */
  finish(): Batch {
    const length = this.#length;
    const columns = this.columns.map(c => c.finish());
    const weights = this.#weights;
    for (const c of this.columns) c.reset(length);
    this.#length = 0;
    this.#weights = null;
    return { length, columns, weights };
  }
}

export type { ColumnBuilder };
