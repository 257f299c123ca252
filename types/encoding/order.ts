/**
 * Order encoding: bytes whose memcmp order is Postgres' order of the values (C collation, NaN above all numbers, NULLs last unless asked
 * otherwise). Self-delimiting: several columns stand one after the other. Not meant to be read back.
 *
 * Each value: 1 byte (NULL: 2, or 0 with nulls first; else 1), then
 *   number, big      8 bytes big-endian of int64 with the sign bit flipped (±infinity: the extremes)
 *   float            8 bytes big-endian of the double, sign-flipped, negatives inverted; NaN = all ones
 *   bool             1 byte
 *   bytes            the bytes with 00 as 00 FF, then 00 00 (bpchar without trailing blanks)
 *   numeric          class byte (−inf 0, negative 1, zero 2, positive 3, +inf 4, NaN 5), exponent int32, digits, 00; inverted for negatives
 *   interval         µs as 16 bytes
 *   jsonb            class byte (null 0, string 1, number 2, boolean 3, array 4, object 5); arrays and objects: count, then members. At the
 *                    root one byte before: empty array 0, scalar 1, others 2 (Postgres keeps a root scalar as an array of one)
 *   array            per element 01 + value, then 00, then the dimensions: count, lengths, lower bounds
 * A descending column's bytes are inverted (its NULL byte is chosen apart).
 */
import type { SqlArray } from '../array.js';
import type { Interval } from '../interval.js';
import { type Json, JsonObject, type JsonNode } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import type { Datum } from '../value.js';
import { ByteWriter } from './bytes.js';
import { intervalUs } from './equality.js';
import { layoutOf } from './kinds.js';

export interface OrderOptions { readonly descending: boolean; readonly nullsFirst: boolean }
const ASCENDING: OrderOptions = { descending: false, nullsFirst: false };
const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;
const TWO_32 = 4294967296;

export function writeOrder(w: ByteWriter, type: SqlType, v: Datum, options: OrderOptions = ASCENDING): void {
  if (v === null) { w.u8(options.nullsFirst ? 0 : 2); return; }
  w.u8(1);
  const from = w.pos;
  writeValue(w, type, v);
  if (options.descending) for (let i = from; i < w.pos; i++) w.bytes[i] = 255 - w.bytes[i];
}

/** Whole number as 8 sortable bytes. */
export function writeOrderInteger(w: ByteWriter, v: number | bigint): void {
  w.ensure(8);
  if (typeof v === 'number' && v >= -9007199254740992 && v <= 9007199254740992) {
    const high = Math.floor(v / TWO_32);
    w.view.setUint32(w.pos, (high ^ 0x80000000) >>> 0, false);
    w.view.setUint32(w.pos + 4, v - high * TWO_32, false);
  } else {
    const big = typeof v === 'bigint' ? v : v > 0 ? INT64_MAX : INT64_MIN;
    w.view.setBigUint64(w.pos, BigInt.asUintN(64, big) ^ 0x8000000000000000n, false);
  }
  w.pos += 8;
}

export function writeOrderFloat(w: ByteWriter, v: number): void {
  w.ensure(8);
  const at = w.pos;
  w.pos += 8;
  if (Number.isNaN(v)) { w.bytes.fill(255, at, at + 8); return; }
  w.view.setFloat64(at, v === 0 ? 0 : v, false);
  if (w.bytes[at] < 128) w.bytes[at] |= 128;
  else for (let i = at; i < at + 8; i++) w.bytes[i] = 255 - w.bytes[i];
}

function writeValue(w: ByteWriter, type: SqlType, v: Exclude<Datum, null>): void {
  switch (layoutOf(type)) {
    case 'number': case 'big': writeOrderInteger(w, v as number | bigint); return;
    case 'float': writeOrderFloat(w, v as number); return;
    case 'bool': w.u8(v === true ? 1 : 0); return;
    case 'bytes': {
      const bytes = v instanceof Uint8Array ? v : Buffer.from(type.kind === 'bpchar' ? (v as string).replace(/ +$/, '') : v as string, 'utf8');
      writeOrderBytes(w, bytes, 0, bytes.length);
      return;
    }
    case 'numeric': writeNumeric(w, v as Numeric); return;
    case 'interval': {
      const us = intervalUs(v as Interval);
      w.ensure(16);
      w.view.setBigUint64(w.pos, BigInt.asUintN(64, us >> 64n) ^ 0x8000000000000000n, false);
      w.view.setBigUint64(w.pos + 8, BigInt.asUintN(64, us), false);
      w.pos += 16;
      return;
    }
    case 'json': writeJson(w, (v as Json).root); return;
    case 'array': {
      const elem = type.kind === 'array' ? type.elem : type;
      const { elems, dims, lower } = v as SqlArray;
      for (const e of elems) { w.u8(1); writeOrder(w, elem, e); }
      w.u8(0);
      w.u8(dims.length);
      for (const d of dims) writeCount(w, d);
      for (const l of lower) writeOrderInteger(w, l);
    }
  }
}

export function writeOrderBytes(w: ByteWriter, data: Uint8Array, start: number, end: number): void {
  w.ensure(2 * (end - start) + 2);
  const to = w.bytes;
  let p = w.pos;
  for (let i = start; i < end; i++) {
    const b = data[i];
    to[p++] = b;
    if (b === 0) to[p++] = 255;
  }
  to[p++] = 0;
  to[p++] = 0;
  w.pos = p;
}

function writeNumeric(w: ByteWriter, v: Numeric): void {
  if (v.kind === 'nan') { w.u8(5); return; }
  if (v.kind === 'inf') { w.u8(4); return; }
  if (v.kind === '-inf') { w.u8(0); return; }
  const sign = v.sign();
  if (sign === 0) { w.u8(2); return; }
  w.u8(sign > 0 ? 3 : 1);
  const from = w.pos;
  const digits = v.abs().unscaled.toString();
  const exponent = digits.length - v.scale;
  w.ensure(4);
  w.view.setUint32(w.pos, (exponent ^ 0x80000000) >>> 0, false);
  w.pos += 4;
  w.utf8(digits.replace(/0+$/, ''));
  w.u8(0);
  if (sign < 0) for (let i = from; i < w.pos; i++) w.bytes[i] = 255 - w.bytes[i];
}

function writeCount(w: ByteWriter, n: number): void {
  w.ensure(4);
  w.view.setUint32(w.pos, n, false);
  w.pos += 4;
}

function writeJson(w: ByteWriter, root: JsonNode): void {
  const nested = root instanceof JsonObject || Array.isArray(root);
  w.u8(!nested ? 1 : Array.isArray(root) && root.length === 0 ? 0 : 2);
  writeNode(w, root);
}

function writeNode(w: ByteWriter, node: JsonNode): void {
  if (node === null) { w.u8(0); return; }
  if (typeof node === 'string') { w.u8(1); writeText(w, node); return; }
  if (node instanceof Numeric) { w.u8(2); writeNumeric(w, node); return; }
  if (typeof node === 'boolean') { w.u8(3); w.u8(node ? 1 : 0); return; }
  if (node instanceof JsonObject) {
    w.u8(5);
    writeCount(w, node.keys.length);
    node.keys.forEach((k, i) => { writeText(w, k); writeNode(w, node.values[i]); });
    return;
  }
  w.u8(4);
  writeCount(w, node.length);
  for (const n of node) writeNode(w, n);
}

function writeText(w: ByteWriter, s: string): void {
  const bytes = Buffer.from(s, 'utf8');
  writeOrderBytes(w, bytes, 0, bytes.length);
}

const scratch = new ByteWriter();

/** Order encoding of a key of several values, as a new array: primary keys in the table store. */
export function encodeOrderKey(types: readonly SqlType[], values: readonly Datum[]): Uint8Array {
  scratch.pos = 0;
  for (let i = 0; i < types.length; i++) writeOrder(scratch, types[i], values[i]);
  return scratch.take();
}
