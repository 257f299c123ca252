/**
 * Identity encoding: exact bytes of a value (1.0 and 1.00 differ, '1 mon' and '30 days' differ). Equal datums give equal bytes, so that
 * rows can be told apart and found again by their bytes. Also what rows are stored as (row.ts). NULL is not encoded here.
 *
 *   number    int2 int4 date oid reg*: 4 bytes (±Infinity of dates: the extremes of int32); time: as big
 *   int8      varint of 2v + 1 (v ≥ 0) or −2v while |v| < 2^30: 1 to 5 bytes, 3 of most identifiers; else the byte 0, then as big
 *   big       8 bytes of double; beyond 2^53: the double MARK (a NaN no number is), then 8 bytes of int64
 *   float     8 bytes of double, −0 kept, one NaN;  float4: 4 bytes
 *   bool      1 byte;  bytes: varint length + bytes
 *   numeric   1 byte tag: 0..254 = scale, then 8 bytes of unscaled double; 255 = varint length + text
 *   interval  4 + 4 + 8 bytes: months, days, µs;  json: varint + text
 *   array     varint dimensions, each varint length and int32 lower bound, then per element 1 byte (0 = NULL) and its encoding
 */
import { SqlArray } from '../array.js';
import { unreachable } from '../error.js';
import { Interval } from '../interval.js';
import { Json } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import type { Datum } from '../value.js';
import { type ByteWriter, utf8Text, viewOf } from './bytes.js';
import { layoutOf } from './kinds.js';

const MARK_HIGH = 0x7ff80000;
const MARK_LOW = 0x4d494c4c;
const NUMERIC_TEXT = 255;
const INT4_MAX = 2147483647;
const INT4_MIN = -2147483648;

/** Number kinds of 4 bytes; `time` needs 8. */
export const isInt32 = (type: SqlType): boolean => type.kind !== 'time';

/** Of the `big` kinds: integers are mostly short, timestamps never. */
export const isShort = (type: SqlType): boolean => type.kind === 'int8';

function writeBig(w: ByteWriter, v: number | bigint): void {
  if (typeof v === 'number') { w.f64(v === 0 ? 0 : v); return; }
  w.ensure(16);
  w.view.setUint32(w.pos, MARK_LOW, true);
  w.view.setUint32(w.pos + 4, MARK_HIGH, true);
  w.pos += 8;
  w.i64(v);
}

/** Named limit: integers from here on are not of the short form. */
const SHORT_MAX = 1 << 30;

/** An int8 in its short form as the number that a varint holds; 0 = it has none. */
export function shortCode(v: number): number {
  const i = v | 0;
  return i !== v || i >= SHORT_MAX || i <= -SHORT_MAX ? 0 : i >= 0 ? (i << 1) | 1 : -i << 1;
}
/** The int8 of a short form that is not 0. */
export const fromShortCode = (code: number): number => ((code & 1) === 1 ? code >>> 1 : -(code >>> 1));

function writeInt8(w: ByteWriter, v: number | bigint): void {
  const code = typeof v === 'number' ? shortCode(v) : 0;
  w.varint(code);
  if (code === 0) writeBig(w, v);
}

export function writeInt32(w: ByteWriter, v: number): void { w.i32(v === Infinity ? INT4_MAX : v === -Infinity ? INT4_MIN : v); }

export function writeNumeric(w: ByteWriter, v: Numeric): void {
  if (v.kind === 'finite' && typeof v.coef === 'number' && v.scale < NUMERIC_TEXT) {
    w.u8(v.scale);
    w.f64(v.coef === 0 ? 0 : v.coef);
    return;
  }
  w.u8(NUMERIC_TEXT);
  w.text(v.toString());
}

/** Appends the value; `v` is not NULL and of the type's canonical form. */
export function writeIdentity(w: ByteWriter, type: SqlType, v: Exclude<Datum, null>): void {
  const layout = layoutOf(type);
  switch (layout) {
    case 'number': if (isInt32(type)) writeInt32(w, v as number); else w.f64(v as number); return;
    case 'big': if (isShort(type)) writeInt8(w, v as number | bigint); else writeBig(w, v as number | bigint); return;
    case 'float': if (type.kind === 'float4') w.f32(v as number); else w.f64(v as number); return;
    case 'bool': w.u8(v === true ? 1 : 0); return;
    case 'bytes':
      if (v instanceof Uint8Array) { w.varint(v.length); w.span(v, 0, v.length); } else w.text(v as string);
      return;
    case 'numeric': writeNumeric(w, v as Numeric); return;
    case 'interval': { const i = v as Interval; w.i32(i.months); w.i32(i.days); w.f64(i.us); return; }
    case 'json': w.text((v as Json).toString()); return;
    case 'array': writeArray(w, type, v as SqlArray); return;
    default: unreachable(layout);
  }
}

function writeArray(w: ByteWriter, type: SqlType, v: SqlArray): void {
  const elem = type.kind === 'array' ? type.elem : type;
  w.varint(v.dims.length);
  v.dims.forEach((d, i) => { w.varint(d); w.i32(v.lower[i]); });
  for (const e of v.elems) {
    if (e === null) { w.u8(0); continue; }
    w.u8(1);
    writeIdentity(w, elem, e);
  }
}

/** Reads values one after the other. */
export class ByteReader {
  data: Uint8Array;
  view: DataView;
  pos: number;
  constructor(data: Uint8Array, pos = 0) {
    this.data = data;
    this.view = viewOf(data);
    this.pos = pos;
  }
  /** `view`: of `data`, where there is one. */
  reset(data: Uint8Array, pos: number, view?: DataView): void {
    if (data !== this.data) {
      this.data = data;
      this.view = view ?? viewOf(data);
    }
    this.pos = pos;
  }
  u8(): number { return this.data[this.pos++]; }
  i32(): number { const v = this.view.getInt32(this.pos, true); this.pos += 4; return v; }
  f64(): number { const v = this.view.getFloat64(this.pos, true); this.pos += 8; return v; }
  varint(): number {
    const { data } = this;
    let { pos } = this;
    let b = data[pos++];
    let v = b & 127;
    for (let shift = 7; b > 127; shift += 7) {
      b = data[pos++];
      v |= (b & 127) << shift;
    }
    this.pos = pos;
    return v;
  }
  text(): string {
    const n = this.varint();
    const s = utf8Text(this.data, this.pos, this.pos + n);
    this.pos += n;
    return s;
  }
}

export function readInt32(r: ByteReader, date: boolean): number {
  const v = r.i32();
  return date && v === INT4_MAX ? Infinity : date && v === INT4_MIN ? -Infinity : v;
}

/** True when the next `big` is a bigint: then `readBigInt` reads it, else `f64`. */
export const isBigAhead = (r: ByteReader): boolean => r.view.getUint32(r.pos + 4, true) === MARK_HIGH && r.view.getUint32(r.pos, true) === MARK_LOW;
export function readBigInt(r: ByteReader): bigint { const v = r.view.getBigInt64(r.pos + 8, true); r.pos += 16; return v; }

export function readNumeric(r: ByteReader): Numeric {
  const tag = r.u8();
  return tag === NUMERIC_TEXT ? Numeric.parse(r.text()) : Numeric.of(r.f64(), tag);
}

export function readIdentity(r: ByteReader, type: SqlType): Exclude<Datum, null> {
  const layout = layoutOf(type);
  switch (layout) {
    case 'number': return type.kind === 'oid' || type.kind.startsWith('reg') ? r.i32() >>> 0 : isInt32(type) ? readInt32(r, type.kind === 'date') : r.f64();
    case 'big': {
      const code = isShort(type) ? r.varint() : 0;
      return code !== 0 ? fromShortCode(code) : isBigAhead(r) ? readBigInt(r) : r.f64();
    }
    case 'float': if (type.kind === 'float4') { const v = r.view.getFloat32(r.pos, true); r.pos += 4; return v; } return r.f64();
    case 'bool': return r.u8() === 1;
    case 'bytes': {
      if (type.kind !== 'bytea') return r.text();
      const n = r.varint();
      const v = r.data.slice(r.pos, r.pos + n);
      r.pos += n;
      return v;
    }
    case 'numeric': return readNumeric(r);
    case 'interval': return new Interval(r.i32(), r.i32(), r.f64());
    case 'json': return Json.trusted(r.text(), type.kind === 'jsonb');
    case 'array': return readArray(r, type);
    default: return unreachable(layout);
  }
}

function readArray(r: ByteReader, type: SqlType): SqlArray {
  const elem = type.kind === 'array' ? type.elem : type;
  const dims: number[] = [];
  const lower: number[] = [];
  for (let n = r.varint(); n > 0; n--) { dims.push(r.varint()); lower.push(r.i32()); }
  const count = dims.length === 0 ? 0 : dims.reduce((a, b) => a * b, 1);
  const elems: Datum[] = [];
  for (let i = 0; i < count; i++) elems.push(r.u8() === 0 ? null : readIdentity(r, elem));
  return new SqlArray(elems, dims, lower);
}
