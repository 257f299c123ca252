/**
 * Binary wire format of every type: PostgreSQL's send and receive functions (big-endian; numeric in base 10000, timestamps in µs
 * since 2000-01-01, arrays with their header). A malformed value is 22P03.
 */
import { SqlArray } from './array.js';
import { DATE_END, DATE_MIN, canonicalUs, checkTimestamp } from './calendar.js';
import { checkDate } from './datetime.js';
import { SqlError, unreachable, unsupported } from './error.js';
import { Interval } from './interval.js';
import { Json } from './json.js';
import { Numeric, pow10 } from './numeric.js';
import type { SqlType } from './sqltype.js';
import type { IoContext } from './textio.js';
import { PLAIN_IO, applyTypmod, formatDatum } from './textio.js';
import { formatType, typeByOid, typeOid } from './typeinfo.js';
import type { Datum } from './value.js';

/** 2000-01-01 in days and µs since 1970. */
const EPOCH_2000_DAYS = 10957;
const EPOCH_2000_US = 946684800000000n;
const INT8_MAX = 9223372036854775807n;
const INT8_MIN = -9223372036854775808n;

function bad(t: SqlType): SqlError {
  return new SqlError('22P03', `incorrect binary data format in type ${formatType(t)}`);
}

function int8Buffer(v: bigint): Buffer {
  const b = Buffer.allocUnsafe(8);
  b.writeBigInt64BE(v);
  return b;
}

function sendTimestamp(v: Datum): Buffer {
  if (v === Infinity) return int8Buffer(INT8_MAX);
  if (v === -Infinity) return int8Buffer(INT8_MIN);
  return int8Buffer(BigInt(typeof v === 'bigint' ? v : Number(v)) - EPOCH_2000_US);
}

function sendNumeric(n: Numeric): Buffer {
  if (n.kind !== 'finite') {
    const b = Buffer.alloc(8);
    b.writeUInt16BE(n.kind === 'nan' ? 0xc000 : n.kind === 'inf' ? 0xd000 : 0xf000, 4);
    if (n.kind !== 'nan') b.writeUInt16BE(0x20, 6);
    return b;
  }
  // Align the decimal point to a border of four digits.
  const text = n.digits();
  const fractionPad = (4 - (n.scale % 4)) % 4;
  const aligned = n.isZero() ? '' : text + '0'.repeat(fractionPad);
  const padded = aligned.padStart(Math.ceil(aligned.length / 4) * 4, '0');
  const groups: number[] = [];
  for (let i = 0; i < padded.length; i += 4) groups.push(Number(padded.slice(i, i + 4)));
  let weight = groups.length - Math.ceil(n.scale / 4) - 1;
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.length > 0 && groups[groups.length - 1] === 0) groups.pop();
  if (groups.length === 0) weight = 0;
  const b = Buffer.allocUnsafe(8 + groups.length * 2);
  b.writeInt16BE(groups.length, 0);
  b.writeInt16BE(weight, 2);
  b.writeUInt16BE(n.sign() < 0 ? 0x4000 : 0, 4);
  b.writeUInt16BE(n.scale, 6);
  groups.forEach((g, i) => b.writeUInt16BE(g, 8 + i * 2));
  return b;
}

function receiveNumeric(t: SqlType, b: Buffer): Numeric {
  if (b.length < 8) throw bad(t);
  const count = b.readInt16BE(0);
  const weight = b.readInt16BE(2);
  const sign = b.readUInt16BE(4);
  const scale = b.readUInt16BE(6);
  if (sign === 0xc000) return Numeric.NAN;
  if (sign === 0xd000) return Numeric.INF;
  if (sign === 0xf000) return Numeric.NEG_INF;
  if (count < 0 || b.length !== 8 + count * 2 || (sign !== 0 && sign !== 0x4000) || scale > 0x3fff) throw new SqlError('22P03', 'invalid length in external "numeric" value');
  let coef = 0n;
  for (let i = 0; i < count; i++) {
    const digit = b.readUInt16BE(8 + i * 2);
    if (digit > 9999) throw new SqlError('22P03', 'invalid digit in external "numeric" value');
    coef = coef * 10000n + BigInt(digit);
  }
  // The last group stands for 10000^(weight − count + 1).
  const shift = (weight - count + 1) * 4 + scale;
  coef = shift >= 0 ? coef * pow10(shift) : coef / pow10(-shift);
  return Numeric.of(sign === 0 ? coef : -coef, scale);
}

function sendArray(t: SqlType, a: SqlArray, ctx: IoContext): Buffer {
  const elem = innermost(t);
  const header = Buffer.allocUnsafe(12 + a.dims.length * 8);
  header.writeInt32BE(a.dims.length, 0);
  header.writeInt32BE(a.elems.includes(null) ? 1 : 0, 4);
  header.writeUInt32BE(typeOid(elem), 8);
  a.dims.forEach((n, d) => {
    header.writeInt32BE(n, 12 + d * 8);
    header.writeInt32BE(a.lower[d], 16 + d * 8);
  });
  const parts: Buffer[] = [header];
  for (const e of a.elems) {
    const length = Buffer.allocUnsafe(4);
    if (e === null) {
      length.writeInt32BE(-1);
      parts.push(length);
    } else {
      const body = sendDatum(elem, e, ctx);
      length.writeInt32BE(body.length);
      parts.push(length, body);
    }
  }
  return Buffer.concat(parts);
}

function receiveArray(t: SqlType, b: Buffer, ctx: IoContext): SqlArray {
  const elem = innermost(t);
  if (b.length < 12) throw bad(t);
  const ndims = b.readInt32BE(0);
  if (ndims < 0 || ndims > 6 || b.length < 12 + ndims * 8) throw bad(t);
  const oid = b.readUInt32BE(8);
  if (oid !== typeOid(elem)) throw new SqlError('42804', `binary data has array element type ${oid} (${nameOf(oid)}) instead of expected ${typeOid(elem)} (${formatType(elem)})`);
  const dims: number[] = [];
  const lower: number[] = [];
  let count = ndims === 0 ? 0 : 1;
  for (let d = 0; d < ndims; d++) {
    dims.push(b.readInt32BE(12 + d * 8));
    lower.push(b.readInt32BE(16 + d * 8));
    if (dims[d] < 0) throw bad(t);
    count *= dims[d];
  }
  if (count > b.length / 4) throw bad(t);
  if (count === 0) return SqlArray.EMPTY;
  const elems: Datum[] = [];
  let at = 12 + ndims * 8;
  for (let i = 0; i < count; i++) {
    if (at + 4 > b.length) throw bad(t);
    const length = b.readInt32BE(at);
    at += 4;
    if (length === -1) {
      elems.push(null);
      continue;
    }
    if (length < 0 || at + length > b.length) throw bad(t);
    elems.push(receiveDatum(elem, b.subarray(at, at + length), ctx));
    at += length;
  }
  if (at !== b.length) throw bad(t);
  return new SqlArray(elems, dims, lower);
}

function nameOf(oid: number): string {
  const t = typeByOid(oid);
  return t === null ? '???' : formatType(t);
}

function innermost(t: SqlType): SqlType {
  return t.kind === 'array' ? innermost(t.elem) : t;
}

/** Datum (not NULL) → the type's binary form. */
export function sendDatum(t: SqlType, v: Datum, ctx: IoContext = PLAIN_IO): Buffer {
  switch (t.kind) {
    case 'bool': return Buffer.from([v === true ? 1 : 0]);
    case 'int2': { const b = Buffer.allocUnsafe(2); b.writeInt16BE(Number(v)); return b; }
    case 'int4': { const b = Buffer.allocUnsafe(4); b.writeInt32BE(Number(v)); return b; }
    case 'oid': case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole': {
      const b = Buffer.allocUnsafe(4);
      b.writeUInt32BE(Number(v));
      return b;
    }
    case 'int8': return int8Buffer(typeof v === 'bigint' ? v : BigInt(Number(v)));
    case 'float4': { const b = Buffer.allocUnsafe(4); b.writeFloatBE(Number(v)); return b; }
    case 'float8': { const b = Buffer.allocUnsafe(8); b.writeDoubleBE(Number(v)); return b; }
    case 'numeric': return sendNumeric(v instanceof Numeric ? v : Numeric.NAN);
    case 'text': case 'varchar': case 'bpchar': case 'name': case 'char': case 'unknown': case 'json': case 'void':
      return Buffer.from(formatDatum(t, v, ctx), 'utf8');
    case 'jsonb': return Buffer.concat([Buffer.from([1]), Buffer.from(formatDatum(t, v, ctx), 'utf8')]);
    case 'bytea': return v instanceof Uint8Array ? Buffer.from(v.buffer, v.byteOffset, v.byteLength) : Buffer.alloc(0);
    case 'date': {
      const b = Buffer.allocUnsafe(4);
      b.writeInt32BE(v === Infinity ? 2147483647 : v === -Infinity ? -2147483648 : Number(v) - EPOCH_2000_DAYS);
      return b;
    }
    case 'time': return int8Buffer(BigInt(Number(v)));
    case 'timestamp': case 'timestamptz': return sendTimestamp(v);
    case 'interval': {
      const i = v instanceof Interval ? v : Interval.ZERO;
      const b = Buffer.allocUnsafe(16);
      b.writeBigInt64BE(BigInt(i.us), 0);
      b.writeInt32BE(i.days, 8);
      b.writeInt32BE(i.months, 12);
      return b;
    }
    case 'uuid': return Buffer.from(String(v).replace(/-/g, ''), 'hex');
    case 'array': return sendArray(t, v instanceof SqlArray ? v : SqlArray.EMPTY, ctx);
    case 'record': throw unsupported('binary output of type record');
    default: return unreachable(t);
  }
}

function utf8(b: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(b);
  } catch (cause) {
    throw new SqlError('22021', 'invalid byte sequence for encoding "UTF8"', { cause });
  }
}

/** The type's binary form → datum; its typmod is applied as by assignment. */
export function receiveDatum(t: SqlType, bytes: Uint8Array, ctx: IoContext = PLAIN_IO): Datum {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const v = receive(t, b, ctx);
  return t.kind !== 'array' && t.mod !== undefined ? applyTypmod(t, v, false) : v;
}

function need(t: SqlType, b: Buffer, length: number): Buffer {
  if (b.length < length) throw new SqlError('08P01', 'insufficient data left in message');
  if (b.length > length) throw bad(t);
  return b;
}

function receive(t: SqlType, b: Buffer, ctx: IoContext): Datum {
  switch (t.kind) {
    case 'bool': return need(t, b, 1)[0] !== 0;
    case 'int2': return need(t, b, 2).readInt16BE();
    case 'int4': return need(t, b, 4).readInt32BE();
    case 'oid': case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole': return need(t, b, 4).readUInt32BE();
    case 'int8': return canonicalUs(need(t, b, 8).readBigInt64BE());
    case 'float4': return need(t, b, 4).readFloatBE();
    case 'float8': return need(t, b, 8).readDoubleBE();
    case 'numeric': return receiveNumeric(t, b);
    case 'text': case 'varchar': case 'bpchar': case 'name': case 'char': case 'unknown': return utf8(b);
    case 'json': return Json.json(utf8(b));
    case 'jsonb':
      if (b[0] !== 1) throw new SqlError('22P03', `unsupported jsonb version number ${b[0] ?? 0}`);
      return Json.jsonb(utf8(b.subarray(1)));
    case 'bytea': return Uint8Array.from(b);
    case 'date': {
      const v = need(t, b, 4).readInt32BE();
      if (v === 2147483647) return Infinity;
      if (v === -2147483648) return -Infinity;
      const days = v + EPOCH_2000_DAYS;
      if (days < DATE_MIN || days >= DATE_END) throw new SqlError('22008', 'date out of range');
      return checkDate(days);
    }
    case 'time': {
      const v = Number(need(t, b, 8).readBigInt64BE());
      if (v < 0 || v > 86400000000) throw new SqlError('22008', 'time out of range');
      return v;
    }
    case 'timestamp': case 'timestamptz': {
      const v = need(t, b, 8).readBigInt64BE();
      return v === INT8_MAX ? Infinity : v === INT8_MIN ? -Infinity : checkTimestamp(v + EPOCH_2000_US);
    }
    case 'interval': {
      need(t, b, 16);
      return new Interval(b.readInt32BE(12), b.readInt32BE(8), Number(b.readBigInt64BE(0)));
    }
    case 'uuid': {
      const h = need(t, b, 16).toString('hex');
      return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
    }
    case 'array': return receiveArray(t, b, ctx);
    case 'record': throw new SqlError('0A000', 'input of anonymous composite types is not implemented');
    case 'void': return '';
    default: return unreachable(t);
  }
}
