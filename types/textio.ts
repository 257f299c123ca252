/**
 * Text input and output of every type: PostgreSQL's input and output functions, their errors (22P02, 22003, 22007, 22008) and
 * typmods (varchar length, numeric scale, time precision).
 *
 * parseDatum(type, text) reads; formatDatum(type, datum) writes; applyTypmod(type, datum, explicit) coerces to the type's typmod.
 * `parserOf` gives the reader of one type for loops.
 */
import { SqlArray, formatArray, parseArray } from './array.js';
import { SqlError, unreachable } from './error.js';
import { formatDate, formatTime, formatTimestamp, formatTimestamptz, roundTime, roundTimestamp } from './datetime.js';
import { parseDate, parseTime, parseTimestamp, parseTimestamptz } from './datetimeparse.js';
import type { CatalogLookup } from './functions/evalcontext.js';
import { Interval, US_PER_HOUR, US_PER_MINUTE, parseInterval } from './interval.js';
import { Json } from './json.js';
import { Numeric } from './numeric.js';
import type { SqlType } from './sqltype.js';
import { charLength, charSlice } from './strings.js';
import { UTC, findTimeZone } from './timezone.js';
import { formatType, intervalFields, intervalMod, numericPrecision, typeByName, typeByOid, typeOid } from './typeinfo.js';
import type { Datum } from './value.js';

/** What input and output may depend on. */
export interface IoContext {
  readonly nowUs: number;
  readonly timeZone: string;
  readonly catalog?: CatalogLookup | null | undefined;
}

export const PLAIN_IO: IoContext = { nowUs: 0, timeZone: 'UTC' };

export type Parser = (text: string, ctx: IoContext) => Datum;

function invalid(typeName: string, text: string): SqlError {
  return new SqlError('22P02', `invalid input syntax for type ${typeName}: "${text}"`);
}

const INTEGER = /^\s*([+-]?\d+)\s*$/;

function parseInteger(text: string, typeName: string, min: number, max: number): number {
  const m = INTEGER.exec(text);
  if (m === null) throw invalid(typeName, text);
  const v = Number(m[1]);
  if (!(v >= min && v <= max)) throw outOfRange(text, typeName);
  return v + 0;
}

function outOfRange(text: string, typeName: string): SqlError {
  return new SqlError('22003', `value "${text}" is out of range for type ${typeName}`);
}

export function parseInt8(text: string): number | bigint {
  const m = INTEGER.exec(text);
  if (m === null) throw invalid('bigint', text);
  const v = Number(m[1]);
  if (v < 9007199254740992 && v > -9007199254740992) return v + 0;
  const big = BigInt(m[1]);
  if (big > 9223372036854775807n || big < -9223372036854775808n) throw outOfRange(text, 'bigint');
  return big === 9007199254740992n || big === -9007199254740992n ? Number(big) : big;
}

const FLOAT = /^\s*[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*$/;

/** The least float4 above zero. */
const FLOAT4_LEAST = 2 ** -149;

/**
 * The float4 nearest to the decimal. Rounding through float8 is wrong where that lands halfway between two float4 and the decimal does not:
 * then the decimal itself decides.
 */
function nearestFloat4(text: string): number {
  const wide = Number(text);
  const near = Math.fround(wide);
  if (near === wide || !Number.isFinite(near)) return near;
  const other = neighbourFloat4(near, wide > near);
  if (wide - near !== other - wide) return near;
  const order = compareDecimal(text, wide);
  if (order === 0) return near;
  return order > 0 ? Math.max(near, other) : Math.min(near, other);
}

/** The float4 next to v, above or below it. */
function neighbourFloat4(v: number, above: boolean): number {
  const cell = new Float32Array([v]);
  const bits = new Int32Array(cell.buffer);
  if (v === 0) cell[0] = above ? FLOAT4_LEAST : -FLOAT4_LEAST;
  else bits[0] += above === (v > 0) ? 1 : -1;
  return cell[0];
}

/** Sign of decimal text − v, for a v that is a multiple of half the least float4. */
function compareDecimal(text: string, v: number): number {
  const m = /^\s*([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?/i.exec(text);
  if (m === null) return 0;
  const exponent = Number(m[4] ?? '0') - m[3].length;
  const digits = BigInt(`${m[2]}${m[3]}`) * (m[1] === '-' ? -1n : 1n);
  const left = (digits * 10n ** BigInt(Math.max(0, exponent))) << 150n;
  const right = BigInt(v * 2 ** 150) * 10n ** BigInt(Math.max(0, -exponent));
  return left < right ? -1 : left > right ? 1 : 0;
}

function parseFloatText(text: string, typeName: string, single: boolean): number {
  if (!FLOAT.test(text)) {
    switch (text.trim().toLowerCase()) {
      case 'nan': return NaN;
      case 'infinity': case '+infinity': case 'inf': case '+inf': return Infinity;
      case '-infinity': case '-inf': return -Infinity;
      default: throw invalid(typeName, text);
    }
  }
  const v = single ? nearestFloat4(text) : Number(text);
  if ((v === Infinity || v === -Infinity) || (v === 0 && /[1-9]/.test(text.replace(/[eE].*/, '')))) {
    throw new SqlError('22003', single ? `"${text.trim()}" is out of range for type real` : `"${text.trim()}" is out of range for type double precision`);
  }
  return v;
}

/** Shortest text that reads back the same, in PostgreSQL's layout (exponent from 1e+15, below 1e-04). */
export function formatFloat8(v: number): string {
  if (Number.isInteger(v) && v < 1e15 && v > -1e15) return v === 0 ? (Object.is(v, -0) ? '-0' : '0') : String(v);
  // In this range JavaScript's layout is PostgreSQL's.
  if ((v >= 1e-4 && v < 1e15) || (v <= -1e-4 && v > -1e15)) return String(v);
  if (v !== v) return 'NaN';
  if (v === Infinity) return 'Infinity';
  if (v === -Infinity) return '-Infinity';
  return layoutFloat(v >= 18014398509481984 || v <= -18014398509481984 ? shortestStrict(v) : v.toExponential(), 15);
}

/**
 * JavaScript takes a shortest decimal that lies halfway to the next double (1e23), PostgreSQL only one strictly inside. Such
 * decimals exist for large integers only.
 */
function shortestStrict(v: number): string {
  const s = v.toExponential();
  if (!isFloat8Border(s, v)) return s;
  for (let p = 1; p < 17; p++) {
    const longer = v.toExponential(p);
    if (Number(longer) === v && !isFloat8Border(longer, v)) return longer;
  }
  return s;
}

/** Does the decimal lie halfway between v and a neighbour? */
function isFloat8Border(decimal: string, v: number): boolean {
  const [mantissa, exponent] = decimal.split('e');
  const digits = mantissa.replace('.', '');
  const shift = Number(exponent) - (mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0);
  // Halfway points are multiples of a large power of two: no short decimal is one beyond 10^40.
  if (shift < 0 || shift > 40) return false;
  const diff = BigInt(digits) * 10n ** BigInt(shift) - BigInt(v);
  const neighbour = BigInt(v) + 2n * diff;
  return diff !== 0n && BigInt(Number(neighbour)) === neighbour;
}

function layoutFloat(exponential: string, exponentFrom: number): string {
  const [mantissa, exp] = exponential.split('e');
  const e = Number(exp);
  if (e < -4 || e >= exponentFrom) {
    const abs = Math.abs(e);
    return `${mantissa}e${e < 0 ? '-' : '+'}${abs < 10 ? '0' : ''}${abs}`;
  }
  const negative = mantissa.startsWith('-');
  const digits = mantissa.replace(/[-.]/g, '');
  const point = e + 1;
  let body: string;
  if (point <= 0) body = `0.${'0'.repeat(-point)}${digits}`;
  else if (point >= digits.length) body = digits + '0'.repeat(point - digits.length);
  else body = `${digits.slice(0, point)}.${digits.slice(point)}`;
  return negative ? `-${body}` : body;
}

/** Digits that show every float4 of everyday size exactly. */
const EXACT_DIGITS = 40;

/** toExponential with an exact tie to the even digit (JavaScript takes the larger one). */
function evenTie(v: number, precision: number): string {
  const s = v.toExponential(precision);
  const [mantissa, exponent] = s.split('e');
  const exact = v.toExponential(EXACT_DIGITS);
  const cut = exact.indexOf('.') + precision + 1;
  if (precision === 0 || !/^50*e/.test(exact.slice(cut)) || Number(mantissa.at(-1)) % 2 === 0) return s;
  return `${exact.slice(0, cut)}e${exponent}`;
}

/** Halfway between two float4: PostgreSQL's shortest text lies strictly inside the value's interval. */
function isFloat4Border(c: number): boolean {
  const near = Math.fround(c);
  return near !== c && (near + neighbourFloat4(near, c > near)) / 2 === c;
}

export function formatFloat4(v: number): string {
  if (v !== v) return 'NaN';
  if (v === Infinity) return 'Infinity';
  if (v === -Infinity) return '-Infinity';
  if (v === 0) return Object.is(v, -0) ? '-0' : '0';
  for (let precision = 0; precision < 9; precision++) {
    const s = evenTie(v, precision);
    const c = Number(s);
    if (Math.fround(c) === v && !isFloat4Border(c)) return layoutFloat(s.replace(/(\.\d*?)0+e/, '$1e').replace('.e', 'e'), 6);
  }
  return layoutFloat(v.toExponential(), 6);
}

function parseBool(text: string): boolean {
  const s = text.trim().toLowerCase();
  if (s !== '') {
    if (s === '1' || 'true'.startsWith(s) || 'yes'.startsWith(s) || s === 'on') return true;
    if (s === '0' || 'false'.startsWith(s) || 'no'.startsWith(s) || s === 'of' || s === 'off') return false;
  }
  throw invalid('boolean', text);
}

const UUID = /^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i;

function parseUuid(text: string): string {
  const body = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
  if (!UUID.test(body)) throw invalid('uuid', text);
  const h = body.replace(/-/g, '').toLowerCase();
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
}

function parseBytea(text: string): Uint8Array {
  if (text.startsWith('\\x')) {
    const hex = text.slice(2).replace(/\s+/g, '');
    const bad = /[^0-9a-fA-F]/.exec(hex);
    if (bad !== null) throw new SqlError('22023', `invalid hexadecimal digit: "${bad[0]}"`);
    if (hex.length % 2 !== 0) throw new SqlError('22023', 'invalid hexadecimal data: odd number of digits');
    return Uint8Array.from(Buffer.from(hex, 'hex'));
  }
  return parseByteaEscape(text);
}

/** bytea's escape form: a doubled backslash, or one with three octal digits. 22P02. */
export function parseByteaEscape(text: string): Uint8Array {
  const out: number[] = [];
  const bytes = Buffer.from(text, 'utf8');
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== 92) out.push(bytes[i]);
    else if (bytes[i + 1] === 92) {
      out.push(92);
      i++;
    } else {
      const octal = /^[0-3][0-7]{2}/.exec(bytes.toString('latin1', i + 1, i + 4));
      if (octal === null) throw new SqlError('22P02', 'invalid input syntax for type bytea');
      out.push(parseInt(octal[0], 8));
      i += 3;
    }
  }
  return Uint8Array.from(out);
}

export function formatBytea(v: Uint8Array): string {
  return `\\x${Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('hex')}`;
}

const OID_MAX = 4294967295;

function parseOid(text: string): number {
  const m = INTEGER.exec(text);
  if (m === null) throw invalid('oid', text);
  const v = Number(m[1]);
  if (v > OID_MAX || v < -2147483648) throw outOfRange(text, 'oid');
  return v < 0 ? v + OID_MAX + 1 : v;
}

/** Splits a possibly quoted, qualified name: `a."B c"` → ['a', 'B c']; unquoted parts are folded. */
export function splitName(text: string): string[] | null {
  const parts: string[] = [];
  const re = /\s*(?:"((?:[^"]|"")+)"|([^".\s]+))\s*(\.|$)/y;
  while (re.lastIndex < text.length || parts.length === 0) {
    const m = re.exec(text);
    if (m === null) return null;
    parts.push(m[1] === undefined ? m[2].toLowerCase() : m[1].replace(/""/g, '"'));
    if (m[3] === '') break;
    if (re.lastIndex >= text.length) return null;
  }
  return parts;
}

const IDENTIFIER = /^[a-z_][a-z0-9_$]*$/;
/** Reserved words, which quote_ident must quote. */
const RESERVED = new Set(`all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character check coalesce collate
 collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user dec decimal default
 deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int
 integer intersect interval into is isnull join lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif
 numeric offset on only or order out outer overlaps overlay placing position precision primary real references returning right row select session_user setof similar smallint some
 substring symmetric system_user table tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window with
 xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`.split(/\s+/));

export function quoteIdentifier(name: string): string {
  return IDENTIFIER.test(name) && !RESERVED.has(name) ? name : `"${name.replace(/"/g, '""')}"`;
}

type RegKind = 'regclass' | 'regtype' | 'regproc' | 'regnamespace' | 'regrole';

/** Everything is owned by the one bootstrap role. */
export const OWNER_OID = 10;

function parseReg(kind: RegKind, text: string, ctx: IoContext): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (text === '-') return 0;
  if (kind === 'regtype') {
    const array = /^(.*?)((?:\[\d*\])+)$/.exec(text.trim());
    const name = array === null ? text.trim() : array[1];
    const bare = name.replace(/\s*\([^)]*\)/, '');
    const t = typeByName([bare.toLowerCase()]) ?? typeByName(splitName(bare) ?? [bare]);
    if (t === null) throw new SqlError('42704', `type "${text}" does not exist`);
    return typeOid(array === null ? t : { kind: 'array', elem: t });
  }
  const parts = splitName(text);
  if (parts === null) throw new SqlError('42602', 'invalid name syntax');
  const catalog = ctx.catalog ?? null;
  const name = parts[parts.length - 1];
  if (kind === 'regnamespace') {
    const oid = catalog?.schemaOid(name) ?? null;
    if (oid === null) throw new SqlError('3F000', `schema "${name}" does not exist`);
    return oid;
  }
  if (kind === 'regrole') return OWNER_OID;
  if (kind === 'regproc') throw new SqlError('42883', `function "${text}" does not exist`);
  const oid = catalog?.relationOid(parts.length > 1 ? parts[parts.length - 2] : null, name) ?? null;
  if (oid === null) throw new SqlError('42P01', `relation "${text}" does not exist`);
  return oid;
}

function formatReg(kind: RegKind, oid: number, ctx: IoContext): string {
  if (oid === 0) return '-';
  if (kind === 'regtype') {
    const t = typeByOid(oid);
    return t === null ? String(oid) : formatType(t);
  }
  const catalog = ctx.catalog ?? null;
  if (kind === 'regnamespace') {
    const name = catalog?.schemaName(oid) ?? null;
    return name === null ? String(oid) : quoteIdentifier(name);
  }
  if (kind !== 'regclass') return String(oid);
  const r = catalog?.relationName(oid) ?? null;
  if (r === null) return String(oid);
  return r.visible ? quoteIdentifier(r.name) : `${quoteIdentifier(r.schema)}.${quoteIdentifier(r.name)}`;
}

/** Reader of a type without its typmod. */
export function parserOf(t: SqlType): Parser {
  switch (t.kind) {
    case 'bool': return parseBool;
    case 'int2': return (s) => parseInteger(s, 'smallint', -32768, 32767);
    case 'int4': return (s) => parseInteger(s, 'integer', -2147483648, 2147483647);
    case 'int8': return parseInt8;
    case 'oid': return parseOid;
    case 'float4': return (s) => parseFloatText(s, 'real', true);
    case 'float8': return (s) => parseFloatText(s, 'double precision', false);
    case 'numeric': return (s) => Numeric.parse(s);
    case 'text': case 'varchar': case 'bpchar': case 'unknown': return (s) => s;
    case 'name': return (s) => (Buffer.byteLength(s) > 63 ? Buffer.from(s).subarray(0, 63).toString().replace(/\ufffd+$/, '') : s);
    case 'char': return (s) => charSlice(s, 0, 1);
    case 'bytea': return parseBytea;
    case 'date': return parseDate;
    case 'time': return parseTime;
    case 'timestamp': return parseTimestamp;
    case 'timestamptz': return parseTimestamptz;
    case 'interval': {
      const fields = intervalFieldsOf(t.mod);
      const unit = fields.split(' ').at(-1);
      return (s) => parseInterval(s, unit, fields === 'minute to second');
    }
    case 'json': return (s) => Json.json(s);
    case 'jsonb': return (s) => Json.jsonb(s);
    case 'uuid': return parseUuid;
    case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole': {
      const kind = t.kind;
      return (s, ctx) => parseReg(kind, s, ctx);
    }
    case 'array': {
      const elem = withTypmod(innermost(t));
      return (s, ctx) => parseArray(s, (e) => elem(e, ctx));
    }
    case 'record': return () => { throw new SqlError('0A000', 'input of anonymous composite types is not implemented'); };
    case 'void': return () => '';
    default: return unreachable(t);
  }
}

/** INTERVAL '5' DAY: a bare number counts the last field. */
function intervalFieldsOf(mod: number | undefined): string {
  if (mod === undefined || mod < 0) return 'second';
  return intervalFields(intervalMod(mod).range) ?? 'second';
}

function innermost(t: SqlType): SqlType {
  return t.kind === 'array' ? innermost(t.elem) : t;
}

function withTypmod(t: SqlType): Parser {
  const parser = parserOf(t);
  if (t.kind === 'array' || t.mod === undefined || t.mod < 0) return parser;
  return (s, ctx) => applyTypmod(t, parser(s, ctx), false);
}

/** Text → datum of the type, typmod applied as by assignment (a varchar that is too long is 22001). */
export function parseDatum(t: SqlType, text: string, ctx: IoContext = PLAIN_IO): Datum {
  const v = parserOf(t)(text, ctx);
  return t.kind === 'array' || t.mod === undefined || t.mod < 0 ? v : applyTypmod(t, v, false);
}

/** Datum coerced to the type's typmod. `explicit`: a cast truncates strings in silence. */
export function applyTypmod(t: SqlType, v: Datum, explicit: boolean): Datum {
  if (v === null) return null;
  if (t.kind === 'array') {
    const elem = innermost(t);
    if (elem.kind === 'array' || elem.mod === undefined || elem.mod < 0 || !(v instanceof SqlArray)) return v;
    return v.map((e) => applyTypmod(elem, e, explicit));
  }
  const mod = t.mod;
  if (mod === undefined || mod < 0) return v;
  switch (t.kind) {
    case 'numeric': {
      if (!(v instanceof Numeric)) return v;
      const { precision, scale } = numericPrecision(mod);
      return v.withPrecision(precision, scale);
    }
    case 'varchar': return typeof v === 'string' ? limitLength(v, mod - 4, explicit, 'character varying') : v;
    case 'bpchar': {
      if (typeof v !== 'string') return v;
      const cut = limitLength(v, mod - 4, explicit, 'character');
      const missing = mod - 4 - charLength(cut);
      return missing > 0 ? cut + ' '.repeat(missing) : cut;
    }
    case 'time': return typeof v === 'number' ? roundTime(v, mod) : v;
    case 'timestamp': case 'timestamptz': return typeof v === 'number' || typeof v === 'bigint' ? roundTimestamp(v, mod) : v;
    case 'interval': return v instanceof Interval ? limitInterval(v, mod) : v;
    default: return v;
  }
}

function limitLength(s: string, max: number, explicit: boolean, typeName: string): string {
  if (s.length <= max || charLength(s) <= max) return s;
  const cut = charSlice(s, 0, max);
  if (!explicit && !/^ *$/.test(s.slice(cut.length))) throw new SqlError('22001', `value too long for type ${typeName}(${max})`);
  return cut;
}

function limitInterval(v: Interval, mod: number): Interval {
  const { range, precision } = intervalMod(mod);
  let { months, days, us } = v;
  const fields = intervalFields(range);
  if (fields !== null) {
    const last = fields.split(' ').at(-1);
    const step = last === 'second' ? 1 : last === 'minute' ? US_PER_MINUTE : last === 'hour' ? US_PER_HOUR : 0;
    if (last === 'year') months -= months % 12;
    if (last === 'year' || last === 'month') days = 0;
    us = step === 0 ? 0 : us - (us % step);
  }
  return new Interval(months, days, precision === null ? us : roundTime(us, precision));
}

/** Datum → text, as the type's output function. The datum is not NULL. */
export function formatDatum(t: SqlType, v: Datum, ctx: IoContext = PLAIN_IO): string {
  if (typeof v === 'string') return v;
  if (v === null) throw new SqlError('XX000', 'internal error: NULL has no text');
  switch (t.kind) {
    case 'bool': return v === true ? 't' : 'f';
    case 'float4': return typeof v === 'number' ? formatFloat4(v) : String(v);
    case 'float8': return typeof v === 'number' ? formatFloat8(v) : String(v);
    case 'bytea': return v instanceof Uint8Array ? formatBytea(v) : String(v);
    case 'date': return formatDate(Number(v));
    case 'time': return formatTime(Number(v));
    case 'timestamp': return typeof v === 'number' || typeof v === 'bigint' ? formatTimestamp(v) : String(v);
    case 'timestamptz': return typeof v === 'number' || typeof v === 'bigint' ? formatTimestamptz(v, findTimeZone(ctx.timeZone) ?? UTC) : String(v);
    case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole': return formatReg(t.kind, Number(v), ctx);
    case 'array': {
      if (!(v instanceof SqlArray)) return String(v);
      const elem = innermost(t);
      return formatArray(v, (e) => formatDatum(elem, e, ctx));
    }
    case 'int2': case 'int4': case 'int8': case 'oid': case 'numeric': case 'interval': case 'json': case 'jsonb':
    case 'text': case 'varchar': case 'bpchar': case 'name': case 'char': case 'uuid': case 'unknown': case 'record': case 'void':
      return v.toString();
    default: return unreachable(t);
  }
}

