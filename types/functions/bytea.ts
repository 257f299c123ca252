/** Functions on bytea: length, parts, bits, encodings and hashes. */
import { createHash } from 'node:crypto';
import { SqlError } from '../error.js';
import { sendDatum } from '../binaryio.js';
import type { SqlType } from '../sqltype.js';
import { parseByteaEscape } from '../textio.js';
import type { Datum } from '../value.js';
import type { FunctionDef } from './catalogue.js';
import { fn } from './define.js';

function view(v: Uint8Array): Buffer {
  return Buffer.from(v.buffer, v.byteOffset, v.byteLength);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const r = new Uint8Array(a.length + b.length);
  r.set(a);
  r.set(b, a.length);
  return r;
}

function slice(v: Uint8Array, start: number, count: number): Uint8Array {
  if (count < 0) throw new SqlError('22011', 'negative substring length not allowed');
  const from = Math.max(start - 1, 0);
  return v.slice(from, Math.max(Math.min(start - 1 + count, v.length), from));
}

function indexOf(v: Uint8Array, part: Uint8Array): number {
  return view(v).indexOf(view(part)) + 1;
}

function checkedIndex(v: Uint8Array, n: number, bits: boolean): void {
  const size = bits ? v.length * 8 : v.length;
  if (n < 0 || n >= size) throw new SqlError('2202E', `index ${n} out of valid range, 0..${size - 1}`);
}

function trim(v: Uint8Array, set: Uint8Array, start: boolean, end: boolean): Uint8Array {
  const drop = new Set(set);
  let a = 0;
  let b = v.length;
  if (start) while (a < b && drop.has(v[a])) a++;
  if (end) while (b > a && drop.has(v[b - 1])) b--;
  return v.slice(a, b);
}

function encode(v: Uint8Array, format: string): string {
  switch (format.toLowerCase()) {
    case 'hex': return view(v).toString('hex');
    case 'base64': return (view(v).toString('base64').match(/.{1,76}/g) ?? []).join('\n');
    case 'escape': {
      let out = '';
      for (const b of v) out += b === 92 ? '\\\\' : b === 0 || b >= 128 ? `\\${b.toString(8).padStart(3, '0')}` : String.fromCharCode(b);
      return out;
    }
    default: throw unknownEncoding(format);
  }
}

function unknownEncoding(format: string): SqlError {
  return new SqlError('22023', `unrecognized encoding: "${format}"`);
}

function decode(s: string, format: string): Uint8Array {
  switch (format.toLowerCase()) {
    case 'hex': {
      const hex = s.replace(/[\s]/g, '');
      const bad = /[^0-9a-fA-F]/.exec(hex);
      if (bad !== null) throw new SqlError('22023', `invalid hexadecimal digit: "${bad[0]}"`);
      if (hex.length % 2 !== 0) throw new SqlError('22023', 'invalid hexadecimal data: odd number of digits');
      return Uint8Array.from(Buffer.from(hex, 'hex'));
    }
    case 'base64': {
      const body = s.replace(/\s/g, '');
      const bad = /[^A-Za-z0-9+/=]/.exec(body);
      if (bad !== null) throw new SqlError('22023', `invalid symbol "${bad[0]}" found while decoding base64 sequence`);
      if (body.length % 4 !== 0) throw new SqlError('22023', 'invalid base64 end sequence', { hint: 'Input data is missing padding, is truncated, or is otherwise corrupted.' });
      return Uint8Array.from(Buffer.from(body, 'base64'));
    }
    case 'escape': return parseByteaEscape(s);
    default: throw unknownEncoding(format);
  }
}

function setByte(v: Uint8Array, n: number, to: number): Uint8Array {
  checkedIndex(v, n, false);
  const r = v.slice();
  r[n] = to;
  return r;
}

function setBit(v: Uint8Array, n: number, to: number): Uint8Array {
  checkedIndex(v, n, true);
  if (to !== 0 && to !== 1) throw new SqlError('22023', 'new bit must be 0 or 1');
  const r = v.slice();
  const mask = 1 << (n % 8);
  r[n >> 3] = to === 1 ? r[n >> 3] | mask : r[n >> 3] & ~mask;
  return r;
}

function bitCount(v: Uint8Array): number {
  let n = 0;
  for (let b of v) for (; b !== 0; b &= b - 1) n++;
  return n;
}

function overlay(v: Uint8Array, part: Uint8Array, start: number, count: number): Uint8Array {
  if (start <= 0) throw new SqlError('22011', 'negative substring length not allowed');
  return concat(concat(v.slice(0, start - 1), part), v.slice(Math.max(start - 1 + count, 0)));
}

const hash = (name: string) => (v: Uint8Array): Datum => Uint8Array.from(createHash(name).update(v).digest());

function fromUtf8(v: Uint8Array, encoding: string): string {
  if (!/^utf-?8$/i.test(encoding)) throw new SqlError('0A000', `encoding ${encoding} is not supported`);
  if (v.includes(0)) throw new SqlError('22021', 'invalid byte sequence for encoding "UTF8": 0x00');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(v);
  } catch (cause) {
    throw new SqlError('22021', 'invalid byte sequence for encoding "UTF8"', { cause });
  }
}

/** The types' binary output functions: int4send(int4), numeric_send(numeric), … */
function sendFunctions(): FunctionDef[] {
  const short = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'text', 'name', 'oid', 'bytea'];
  const long = ['numeric', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'uuid', 'json', 'jsonb'];
  return [...short.map((k) => [k, `${k}send`]), ...long.map((k) => [k, `${k}_send`])]
    .map(([kind, name]) => fn(`${name}(${kind})`, 'bytea', (v: Datum) => Uint8Array.from(sendDatum({ kind } as SqlType, v))));
}

export const byteaFunctions: readonly FunctionDef[] = [
  ...sendFunctions(),
  fn('||(bytea,bytea)', 'bytea', concat),
  fn('length(bytea)', 'int4', (v: Uint8Array) => v.length),
  fn('octet_length(bytea)', 'int4', (v: Uint8Array) => v.length),
  fn('bit_length(bytea)', 'int4', (v: Uint8Array) => v.length * 8),
  fn('bit_count(bytea)', 'int8', bitCount),
  fn('substring(bytea,int4)', 'bytea', (v: Uint8Array, start: number) => slice(v, start, Infinity)),
  fn('substring(bytea,int4,int4)', 'bytea', slice),
  fn('substr(bytea,int4)', 'bytea', (v: Uint8Array, start: number) => slice(v, start, Infinity)),
  fn('substr(bytea,int4,int4)', 'bytea', slice),
  fn('overlay(bytea,bytea,int4)', 'bytea', (v: Uint8Array, p: Uint8Array, start: number) => overlay(v, p, start, p.length)),
  fn('overlay(bytea,bytea,int4,int4)', 'bytea', overlay),
  fn('position(bytea,bytea)', 'int4', indexOf),
  fn('btrim(bytea,bytea)', 'bytea', (v: Uint8Array, s: Uint8Array) => trim(v, s, true, true)),
  fn('ltrim(bytea,bytea)', 'bytea', (v: Uint8Array, s: Uint8Array) => trim(v, s, true, false)),
  fn('rtrim(bytea,bytea)', 'bytea', (v: Uint8Array, s: Uint8Array) => trim(v, s, false, true)),
  fn('get_byte(bytea,int4)', 'int4', (v: Uint8Array, n: number) => { checkedIndex(v, n, false); return v[n]; }),
  fn('set_byte(bytea,int4,int4)', 'bytea', setByte),
  fn('get_bit(bytea,int8)', 'int4', (v: Uint8Array, n: number) => { checkedIndex(v, n, true); return (v[n >> 3] >> (n % 8)) & 1; }),
  fn('set_bit(bytea,int8,int4)', 'bytea', setBit),
  fn('encode(bytea,text)', 'text', encode),
  fn('decode(text,text)', 'bytea', decode),
  fn('md5(bytea)', 'text', (v: Uint8Array) => createHash('md5').update(v).digest('hex')),
  fn('sha224(bytea)', 'bytea', hash('sha224')),
  fn('sha384(bytea)', 'bytea', hash('sha384')),
  fn('sha512(bytea)', 'bytea', hash('sha512')),
  fn('convert_from(bytea,name)', 'text', fromUtf8),
];
