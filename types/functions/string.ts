/**
 * String functions and concatenation, by characters (code points). text stands for varchar, bpchar and name too: the planner
 * casts (bpchar loses its trailing blanks on the way).
 */
import { createHash } from 'node:crypto';
import { SqlArray } from '../array.js';
import { SqlError } from '../error.js';
import type { SqlType } from '../sqltype.js';
import { charIndexOf, charLength, charSlice, hasSurrogate } from '../strings.js';
import { formatDatum, quoteIdentifier, splitName } from '../textio.js';
import type { Datum } from '../value.js';
import type { BoundEvaluate, FunctionDef } from './catalogue.js';
import { castFor } from './cast.js';
import { boundFn, fn } from './define.js';

/** Bytes that one text value may have, as PostgreSQL's 1 GB. */
const TEXT_MAX = 268435456;

function tooLong(): SqlError {
  return new SqlError('54000', 'requested length too large');
}

/** substring(s FROM start FOR count) by SQL's arithmetic: positions before 1 count. */
export function substring(s: string, start: number, count = Infinity): string {
  if (count < 0) throw new SqlError('22011', 'negative substring length not allowed');
  const end = start + count;
  return charSlice(s, Math.max(start - 1, 0), Math.max(end - 1, 0));
}

function overlay(s: string, part: string, start: number, count: number): string {
  if (start <= 0) throw new SqlError('22011', 'negative substring length not allowed');
  return charSlice(s, 0, start - 1) + part + charSlice(s, Math.max(start + count - 1, 0), Infinity);
}

function repeat(s: string, n: number): string {
  if (n <= 0) return '';
  if (s.length * n > TEXT_MAX) throw tooLong();
  return s.repeat(n);
}

function pad(s: string, length: number, fill: string, left: boolean): string {
  if (length <= 0) return '';
  if (length > TEXT_MAX) throw tooLong();
  const missing = length - charLength(s);
  if (missing <= 0) return charSlice(s, 0, length);
  const width = charLength(fill);
  if (width === 0) return s;
  const padding = charSlice(fill.repeat(Math.ceil(missing / width)), 0, missing);
  return left ? padding + s : s + padding;
}

function trim(s: string, set: string, start: boolean, end: boolean): string {
  const chars = new Set(hasSurrogate(set) ? Array.from(set) : set);
  const units = hasSurrogate(s) ? Array.from(s) : null;
  const at = (i: number): string => (units === null ? s[i] : units[i]);
  let a = 0;
  let b = units === null ? s.length : units.length;
  if (start) while (a < b && chars.has(at(a))) a++;
  if (end) while (b > a && chars.has(at(b - 1))) b--;
  return units === null ? s.slice(a, b) : units.slice(a, b).join('');
}

function translate(s: string, from: string, to: string): string {
  const source = Array.from(from);
  const target = Array.from(to);
  const map = new Map<string, string>();
  source.forEach((c, i) => { if (!map.has(c)) map.set(c, target[i] ?? ''); });
  let out = '';
  for (const c of s) out += map.get(c) ?? c;
  return out;
}

/** One character to one character, as PostgreSQL's libc does: ß stays. */
function upper(s: string): string {
  const r = s.toUpperCase();
  if (r.length === s.length) return r;
  let out = '';
  for (const c of s) {
    const u = c.toUpperCase();
    out += u.length === c.length ? u : c;
  }
  return out;
}

function initcap(s: string): string {
  return s.toLowerCase().replace(/[\p{L}\p{N}]+/gu, (w) => {
    const first = String.fromCodePoint(w.codePointAt(0) ?? 0);
    return upper(first) + w.slice(first.length);
  });
}

function splitPart(s: string, separator: string, n: number): string {
  if (n === 0) throw new SqlError('22023', 'field position must not be zero');
  const parts = separator === '' ? [s] : s.split(separator);
  return parts[n > 0 ? n - 1 : parts.length + n] ?? '';
}

function split(s: string, separator: string | null, nullText: string | null): Datum[] {
  if (s === '') return [];
  const parts: string[] = separator === null ? Array.from(s) : separator === '' ? [s] : s.split(separator);
  return nullText === null ? parts : parts.map((p) => (p === nullText ? null : p));
}

export function stringToArray(s: string | null, separator: string | null, nullText: string | null): SqlArray | null {
  return s === null ? null : SqlArray.of(split(s, separator, nullText));
}

function chr(n: number): string {
  if (n === 0) throw new SqlError('54000', 'null character not permitted');
  if (n < 0) throw new SqlError('22023', 'character number must be positive');
  if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) throw new SqlError('54000', `requested character too large for encoding: ${n}`);
  return String.fromCodePoint(n);
}

function reverse(s: string): string {
  return Array.from(s).reverse().join('');
}

function leftOf(s: string, n: number): string {
  return charSlice(s, 0, n >= 0 ? n : Math.max(charLength(s) + n, 0));
}

function rightOf(s: string, n: number): string {
  const length = charLength(s);
  return charSlice(s, n >= 0 ? Math.max(length - n, 0) : Math.min(-n, length), Infinity);
}

export function quoteLiteral(s: string): string {
  const quoted = `'${s.replace(/'/g, "''").replace(/\\/g, '\\\\')}'`;
  return s.includes('\\') ? `E${quoted}` : quoted;
}

function hex(v: number | bigint, bits: 32 | 64): string {
  return BigInt.asUintN(bits, BigInt(v)).toString(16);
}

/** format(): %s %I %L %%, positions %n$, widths with - and *. */
function format(texts: readonly (string | null)[], widths: readonly Datum[]): string | null {
  const [template] = texts;
  if (template === null) return null;
  let next = 1;
  const argument = (position: string | undefined): { text: string | null; raw: Datum } => {
    const i = position === undefined ? next : Number(position);
    if (i === 0) throw new SqlError('22023', 'format specifies argument 0, but arguments are numbered from 1');
    if (i >= texts.length) throw new SqlError('22023', 'too few arguments for format()');
    next = i + 1;
    return { text: texts[i], raw: widths[i] };
  };
  const re = /%(?:(\d+)\$)?(-*)(?:(\d+)|\*(?:(\d+)\$)?)?([\s\S]?)/gy;
  let out = '';
  let at = 0;
  for (let p = template.indexOf('%'); p >= 0; p = template.indexOf('%', at)) {
    out += template.slice(at, p);
    if (template[p + 1] === '%') {
      out += '%';
      at = p + 2;
      continue;
    }
    re.lastIndex = p;
    const m = re.exec(template);
    if (m === null || m[5] === '') throw new SqlError('22023', 'unterminated format() type specifier', { hint: 'For a single "%" use "%%".' });
    at = re.lastIndex;
    let width = m[3] === undefined ? 0 : Number(m[3]);
    if (m[0].includes('*')) width = Number(argument(m[4]).raw ?? 0);
    if (!'sIL'.includes(m[5])) throw new SqlError('22023', `unrecognized format() type specifier "${m[5]}"`, { hint: 'For a single "%" use "%%".' });
    const { text } = argument(m[1]);
    if (m[5] === 'I' && text === null) throw new SqlError('22004', 'null values cannot be formatted as an SQL identifier');
    const shown = m[5] === 's' ? text ?? '' : m[5] === 'I' ? quoteIdentifier(text ?? '') : text === null ? 'NULL' : quoteLiteral(text);
    const left = m[2] !== '' || width < 0;
    out += pad2(shown, Math.abs(width), left);
  }
  return out + template.slice(at);
}

function pad2(s: string, width: number, left: boolean): string {
  const missing = width - charLength(s);
  if (missing <= 0) return s;
  return left ? s + ' '.repeat(missing) : ' '.repeat(missing) + s;
}

/** Output text of each argument; null for NULL. */
function texts(types: readonly SqlType[], args: readonly Datum[], ctx: Parameters<BoundEvaluate>[0]): (string | null)[] {
  return args.map((v, i) => (v === null ? null : formatDatum(types[i], v, ctx)));
}

/** text || any other type: through the cast to text. */
function concatAny(side: 0 | 1): (types: readonly SqlType[]) => BoundEvaluate {
  return (types) => {
    const cast = castFor(types[side], { kind: 'text' });
    return (ctx, a, b) => {
      const v = side === 0 ? a : b;
      const text = cast === null ? formatDatum(types[side], v, ctx) : String(cast.evaluate(v, { kind: 'text' }, true, ctx, types[side]));
      return side === 0 ? text + String(b) : String(a) + text;
    };
  };
}

const utf8 = (s: string): Buffer => Buffer.from(s, 'utf8');

export const stringFunctions: readonly FunctionDef[] = [
  fn('||(text,text)', 'text', (a: string, b: string) => a + b),
  boundFn('||(anynonarray,text)', 'text', concatAny(0), { volatility: 'stable' }),
  boundFn('||(text,anynonarray)', 'text', concatAny(1), { volatility: 'stable' }),
  fn('^@(text,text)', 'bool', (s: string, p: string) => s.startsWith(p)),
  fn('lower(text)', 'text', (s: string) => s.toLowerCase()),
  fn('upper(text)', 'text', upper),
  fn('initcap(text)', 'text', initcap),
  fn('length(text)', 'int4', charLength),
  fn('length(bpchar)', 'int4', (s: string) => charLength(trim(s, ' ', false, true))),
  fn('char_length(text)', 'int4', charLength),
  fn('char_length(bpchar)', 'int4', (s: string) => charLength(trim(s, ' ', false, true))),
  fn('character_length(text)', 'int4', charLength),
  fn('character_length(bpchar)', 'int4', (s: string) => charLength(trim(s, ' ', false, true))),
  fn('octet_length(text)', 'int4', (s: string) => Buffer.byteLength(s)),
  fn('octet_length(bpchar)', 'int4', (s: string) => Buffer.byteLength(s)),
  fn('bit_length(text)', 'int4', (s: string) => Buffer.byteLength(s) * 8),
  fn('substring(text,int4)', 'text', (s: string, start: number) => substring(s, start)),
  fn('substring(text,int4,int4)', 'text', (s: string, start: number, n: number) => substring(s, start, n)),
  fn('substr(text,int4)', 'text', (s: string, start: number) => substring(s, start)),
  fn('substr(text,int4,int4)', 'text', (s: string, start: number, n: number) => substring(s, start, n)),
  fn('overlay(text,text,int4)', 'text', (s: string, p: string, start: number) => overlay(s, p, start, charLength(p))),
  fn('overlay(text,text,int4,int4)', 'text', overlay),
  fn('position(text,text)', 'int4', (s: string, p: string) => charIndexOf(s, p) + 1),
  fn('strpos(text,text)', 'int4', (s: string, p: string) => charIndexOf(s, p) + 1),
  fn('left(text,int4)', 'text', leftOf),
  fn('right(text,int4)', 'text', rightOf),
  fn('lpad(text,int4)', 'text', (s: string, n: number) => pad(s, n, ' ', true)),
  fn('lpad(text,int4,text)', 'text', (s: string, n: number, f: string) => pad(s, n, f, true)),
  fn('rpad(text,int4)', 'text', (s: string, n: number) => pad(s, n, ' ', false)),
  fn('rpad(text,int4,text)', 'text', (s: string, n: number, f: string) => pad(s, n, f, false)),
  fn('btrim(text)', 'text', (s: string) => trim(s, ' ', true, true)),
  fn('btrim(text,text)', 'text', (s: string, set: string) => trim(s, set, true, true)),
  fn('ltrim(text)', 'text', (s: string) => trim(s, ' ', true, false)),
  fn('ltrim(text,text)', 'text', (s: string, set: string) => trim(s, set, true, false)),
  fn('rtrim(text)', 'text', (s: string) => trim(s, ' ', false, true)),
  fn('rtrim(text,text)', 'text', (s: string, set: string) => trim(s, set, false, true)),
  fn('replace(text,text,text)', 'text', (s: string, from: string, to: string) => (from === '' ? s : s.split(from).join(to))),
  fn('translate(text,text,text)', 'text', translate),
  fn('reverse(text)', 'text', reverse),
  fn('repeat(text,int4)', 'text', repeat),
  fn('split_part(text,text,int4)', 'text', splitPart),
  fn('string_to_array(text,text)', 'text[]', (s: string | null, sep: string | null) => stringToArray(s, sep, null), { strict: false }),
  fn('string_to_array(text,text,text)', 'text[]', stringToArray, { strict: false }),
  fn('starts_with(text,text)', 'bool', (s: string, p: string) => s.startsWith(p)),
  fn('chr(int4)', 'text', chr),
  fn('ascii(text)', 'int4', (s: string) => s.codePointAt(0) ?? 0),
  fn('md5(text)', 'text', (s: string) => createHash('md5').update(s, 'utf8').digest('hex')),
  fn('to_hex(int4)', 'text', (v: number) => hex(v, 32)),
  fn('to_hex(int8)', 'text', (v: number | bigint) => hex(v, 64)),
  fn('quote_ident(text)', 'text', quoteIdentifier),
  fn('quote_literal(text)', 'text', quoteLiteral),
  boundFn('quote_literal(anyelement)', 'text', (types) => (ctx, v) => quoteLiteral(formatDatum(types[0], v, ctx)), { volatility: 'stable' }),
  fn('quote_nullable(text)', 'text', (s: string | null) => (s === null ? 'NULL' : quoteLiteral(s)), { strict: false }),
  boundFn('quote_nullable(anyelement)', 'text', (types) => (ctx, v) => (v === null ? 'NULL' : quoteLiteral(formatDatum(types[0], v, ctx))), { strict: false, volatility: 'stable' }),
  fn('parse_ident(text)', 'text[]', (s: string) => {
    const parts = splitName(s);
    if (parts === null || !/^\s*(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))*\s*$/.test(s)) throw new SqlError('22023', `string is not a valid identifier: "${s}"`);
    return SqlArray.of(parts);
  }, { argNames: ['str'] }),
  fn('unistr(text)', 'text', (s: string) => s.replace(/\\(?!u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\+[0-9a-fA-F]{6}|[0-9a-fA-F]{4}|\\)|\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})|(\\))/g, (all: string, a?: string, b?: string, c?: string, d?: string) => {
    const code = a ?? b ?? c ?? d;
    if (code === undefined && all === '\\') throw new SqlError('42601', 'invalid Unicode escape', { hint: 'Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.' });
    return code === undefined ? '\\' : String.fromCodePoint(parseInt(code, 16));
  })),
  fn('normalize(text)', 'text', (s: string) => s.normalize('NFC')),
  fn('normalize(text,text)', 'text', (s: string, form: string) => {
    const f = form.toUpperCase();
    if (f !== 'NFC' && f !== 'NFD' && f !== 'NFKC' && f !== 'NFKD') throw new SqlError('22023', `invalid normalization form: ${form}`);
    return s.normalize(f);
  }),
  fn('sha256(bytea)', 'bytea', (v: Uint8Array) => Uint8Array.from(createHash('sha256').update(v).digest())),
  fn('convert_to(text,name)', 'bytea', (s: string, encoding: string) => {
    if (!/^utf-?8$/i.test(encoding)) throw new SqlError('0A000', `encoding ${encoding} is not supported`);
    return Uint8Array.from(utf8(s));
  }),
  boundFn('concat(any…)', 'text', (types) => (ctx, ...args) => {
    let out = '';
    for (let i = 0; i < args.length; i++) if (args[i] !== null) out += formatDatum(types[i], args[i], ctx);
    return out;
  }, { strict: false, volatility: 'stable' }),
  boundFn('concat_ws(text,any…)', 'text', (types) => (ctx, ...args) => {
    if (args[0] === null) return null;
    return texts(types, args, ctx).slice(1).filter((t) => t !== null).join(String(args[0]));
  }, { strict: false, volatility: 'stable' }),
  boundFn('format(text,any…)', 'text', (types) => (ctx, ...args) => format(texts(types, args, ctx), args), { strict: false, volatility: 'stable' }),
];
