/**
 * Equality encoding: values that SQL's `=` calls equal give equal bytes (1.0 = 1.00, −0 = 0, NaN = NaN, '1 mon' = '30 days', 'a ' = 'a' as
 * char(n), jsonb numbers by value). Self-delimiting, so that several columns stand one after the other; NULL has a form of its own
 * (GROUP BY and DISTINCT put NULLs together).
 *
 *   number, big, float   8 bytes of double; NULL and bigint are NaNs with a mark (bigint: 8 more bytes)
 *   bool                 1 byte: 0, 1, 2 = NULL
 *   all others           4 bytes length (−1 = NULL), then bytes: text; numeric without trailing zeros; interval as µs; jsonb's text with normal numbers; array
 */
import type { SqlArray } from '../array.js';
import type { Interval } from '../interval.js';
import { type Json, JsonObject, type JsonNode } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import type { Datum } from '../value.js';
import type { ByteWriter } from './bytes.js';
import { layoutOf } from './kinds.js';

const HIGH = 0x7ff80000;
const NULL_LOW = 0x4e554c4c;
const BIG_LOW = 0x4d494c4c;
export const NULL_LENGTH = -1;
const US_PER_DAY = 86_400_000_000n;

export function writeNullNumber(w: ByteWriter): void {
  w.ensure(8);
  w.view.setUint32(w.pos, NULL_LOW, true);
  w.view.setUint32(w.pos + 4, HIGH, true);
  w.pos += 8;
}
export function writeEqualBig(w: ByteWriter, v: bigint): void {
  w.ensure(16);
  w.view.setUint32(w.pos, BIG_LOW, true);
  w.view.setUint32(w.pos + 4, HIGH, true);
  w.pos += 8;
  w.i64(v);
}
/** A double with one zero and one NaN. */
export function writeEqualNumber(w: ByteWriter, v: number): void { w.f64(v === 0 ? 0 : v); }

export function writeEqualNumeric(w: ByteWriter, v: Numeric): void {
  const at = w.pos;
  w.i32(0);
  w.utf8(v.trimScale().toString());
  w.view.setInt32(at, w.pos - at - 4, true);
}

/** True when the equality encoding keeps everything, so that the value can be read back from it. */
export function equalityIsIdentity(type: SqlType): boolean {
  switch (layoutOf(type)) {
    case 'number': case 'big': case 'bool': return true;
    case 'bytes': return type.kind !== 'bpchar';
    default: return false;
  }
}

export function writeEquality(w: ByteWriter, type: SqlType, v: Datum): void {
  const layout = layoutOf(type);
  switch (layout) {
    case 'number': case 'big': case 'float':
      if (v === null) writeNullNumber(w);
      else if (typeof v === 'bigint') writeEqualBig(w, v);
      else writeEqualNumber(w, v as number);
      return;
    case 'bool': w.u8(v === null ? 2 : v === true ? 1 : 0); return;
    default: {
      if (v === null) { w.i32(NULL_LENGTH); return; }
      if (layout === 'numeric') { writeEqualNumeric(w, v as Numeric); return; }
      const at = w.pos;
      w.i32(0);
      switch (layout) {
        case 'bytes':
          if (v instanceof Uint8Array) w.span(v, 0, v.length);
          else w.utf8(type.kind === 'bpchar' ? (v as string).replace(/ +$/, '') : v as string);
          break;
        case 'interval': w.utf8(String(intervalUs(v as Interval))); break;
        case 'json': writeJson(w, (v as Json).root); break;
        case 'array': writeArray(w, type, v as SqlArray); break;
      }
      w.view.setInt32(at, w.pos - at - 4, true);
    }
  }
}

/** An interval as µs of 30-day months and 24-hour days: what its comparisons go by. */
export const intervalUs = (i: Interval): bigint => BigInt(i.months * 30 + i.days) * US_PER_DAY + BigInt(i.us);

function writeArray(w: ByteWriter, type: SqlType, v: SqlArray): void {
  const elem = type.kind === 'array' ? type.elem : type;
  w.varint(v.dims.length);
  v.dims.forEach((d, i) => { w.varint(d); w.i32(v.lower[i]); });
  for (const e of v.elems) writeEquality(w, elem, e);
}

function writeJson(w: ByteWriter, node: JsonNode): void {
  if (node === null) { w.u8(0); return; }
  if (typeof node === 'boolean') { w.u8(node ? 1 : 2); return; }
  if (typeof node === 'string') { w.u8(3); w.text(node); return; }
  if (node instanceof Numeric) { w.u8(4); w.text(node.trimScale().toString()); return; }
  if (node instanceof JsonObject) {
    w.u8(5);
    w.varint(node.keys.length);
    node.keys.forEach((k, i) => { w.text(k); writeJson(w, node.values[i]); });
    return;
  }
  w.u8(6);
  w.varint(node.length);
  for (const n of node) writeJson(w, n);
}
