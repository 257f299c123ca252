/**
 * Casts between types, with the contexts PostgreSQL gives them (pg_cast): implicit ones may be inserted anywhere, assignment ones on
 * INSERT, explicit ones only when written. Beyond pg_cast every type casts to text on assignment and from text explicitly, through
 * its text form; arrays cast element by element.
 */
import { SqlArray } from '../array.js';
import { trimBlanks } from '../compare.js';
import { dateToTimestamp, timestampToDate } from '../datetime.js';
import { timestampTime } from '../calendar.js';
import type { TimestampUs } from '../calendar.js';
import { SqlError } from '../error.js';
import { Interval, US_PER_DAY } from '../interval.js';
import { Json, jsonTypeOf } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType, TypeKind } from '../sqltype.js';
import { applyTypmod, formatDatum, parserOf } from '../textio.js';
import { fromLocal, timeZoneByName, toLocal } from '../timezone.js';
import { charSlice } from '../strings.js';
import { formatType } from '../typeinfo.js';
import type { Datum } from '../value.js';
import type { CastContext, CastDef } from './catalogue.js';
import { bounded, int8 } from './define.js';
import { roundEven } from '../interval.js';
import type { EvalContext } from './evalcontext.js';

type Convert = (v: Exclude<Datum, null>, ctx: EvalContext) => Datum;

const table = new Map<string, CastDef>();

function add(from: TypeKind, to: TypeKind, context: CastContext, convert: Convert, immutable = true): void {
  table.set(`${from} ${to}`, {
    from, to, context, immutable,
    evaluate: (v, type, explicit, ctx) => (v === null ? null : applyTypmod(type, convert(v, ctx), explicit)),
  });
}

const keep: Convert = (v) => v;
const number = (v: Datum): number => Number(v);
const stamp = (v: Datum): TimestampUs => (typeof v === 'bigint' ? v : Number(v));

const LIMITS: Readonly<Record<string, readonly [number, string]>> = { int2: [32767, 'smallint'], int4: [2147483647, 'integer'] };

/** Any number type → integer type: rounded (floats half to even, numeric half away from zero), checked. */
function toInteger(kind: string): Convert {
  if (kind === 'int8') {
    return (v) => {
      if (v instanceof Numeric) return v.toInt8();
      if (typeof v === 'bigint') return v;
      const r = roundEven(Number(v));
      if (Math.abs(r) < 9007199254740992) return r + 0;
      if (!(r >= -9223372036854775808 && r < 9223372036854775808)) throw new SqlError('22003', 'bigint out of range');
      return int8(BigInt(r));
    };
  }
  const [limit, name] = LIMITS[kind];
  return (v) => {
    if (v instanceof Numeric) return Number(v.toInteger(name, BigInt(-limit - 1), BigInt(limit)));
    const r = roundEven(Number(v));
    if (r !== r) throw new SqlError('22003', `${name} out of range`);
    return bounded(r, limit, name);
  };
}

function toFloat4(v: Datum): number {
  const exact = v instanceof Numeric ? v.toNumber() : Number(v);
  const r = Math.fround(exact);
  if (!Number.isFinite(r) && Number.isFinite(exact)) {
    throw new SqlError('22003', v instanceof Numeric ? `"${v.toString()}" is out of range for type real` : 'value out of range: overflow');
  }
  if (r === 0 && exact !== 0) throw new SqlError('22003', 'value out of range: underflow');
  return r;
}

function toFloat8(v: Datum): number {
  if (!(v instanceof Numeric)) return Number(v);
  const r = v.toNumber();
  if (v.isFinite() && !Number.isFinite(r)) throw new SqlError('22003', `"${v.toString()}" is out of range for type double precision`);
  return r;
}

function toNumeric(from: string): Convert {
  if (from === 'float4') return (v) => Numeric.fromNumber(Number(v), 6);
  if (from === 'float8') return (v) => Numeric.fromNumber(Number(v), 15);
  return (v) => Numeric.fromInt(typeof v === 'bigint' ? v : Number(v));
}

function numberCasts(): void {
  const order = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8'] as const;
  order.forEach((from, i) => order.forEach((to, j) => {
    if (i === j) return;
    const convert = to === 'numeric' ? toNumeric(from) : to === 'float4' ? toFloat4 : to === 'float8' ? toFloat8 : toInteger(to);
    add(from, to, i < j ? 'implicit' : 'assignment', convert);
  }));
  const jsonNumber = (to: string): Convert => (v) => {
    const n = v instanceof Json ? v.root : null;
    if (!(n instanceof Numeric)) throw cannotCastJson(v, formatType({ kind: to } as SqlType));
    return to === 'numeric' ? n : to === 'float4' ? toFloat4(n) : to === 'float8' ? toFloat8(n) : toInteger(to)(n, NO_CONTEXT);
  };
  for (const to of order) add('jsonb', to, 'explicit', jsonNumber(to));
  add('jsonb', 'bool', 'explicit', (v) => {
    const n = v instanceof Json ? v.root : null;
    if (typeof n !== 'boolean') throw cannotCastJson(v, 'boolean');
    return n;
  });
  add('bool', 'int4', 'explicit', (v) => (v === true ? 1 : 0));
  add('int4', 'bool', 'explicit', (v) => v !== 0);
}

const NO_CONTEXT: EvalContext = { nowUs: 0, timeZone: 'UTC', user: '', database: '', outer: [], catalog: null, random: () => 0 };

function cannotCastJson(v: Datum, to: string): SqlError {
  const what = v instanceof Json ? jsonTypeOf(v.root) : 'null';
  const plural: Record<string, string> = { null: 'null', string: 'string', number: 'numeric', boolean: 'boolean', array: 'array', object: 'object' };
  return new SqlError('22023', `cannot cast jsonb ${plural[what]} to type ${to}`);
}

function textCasts(): void {
  add('text', 'varchar', 'implicit', keep);
  add('text', 'bpchar', 'implicit', keep);
  add('text', 'name', 'implicit', (v, ctx) => parserOf({ kind: 'name' })(String(v), ctx));
  add('varchar', 'text', 'implicit', keep);
  add('varchar', 'bpchar', 'implicit', keep);
  add('varchar', 'name', 'implicit', (v, ctx) => parserOf({ kind: 'name' })(String(v), ctx));
  add('bpchar', 'text', 'implicit', (v) => trimBlanks(String(v)));
  add('bpchar', 'varchar', 'implicit', (v) => trimBlanks(String(v)));
  add('bpchar', 'name', 'implicit', (v) => trimBlanks(String(v)));
  add('name', 'text', 'implicit', keep);
  add('name', 'varchar', 'assignment', keep);
  add('name', 'bpchar', 'assignment', keep);
  add('char', 'text', 'implicit', keep);
  add('char', 'varchar', 'assignment', keep);
  add('char', 'bpchar', 'assignment', keep);
  add('text', 'char', 'assignment', (v) => charSlice(String(v), 0, 1));
  add('varchar', 'char', 'assignment', (v) => charSlice(String(v), 0, 1));
  add('bpchar', 'char', 'assignment', (v) => charSlice(String(v), 0, 1));
  for (const to of ['text', 'varchar', 'bpchar'] as const) add('bool', to, 'assignment', (v) => (v === true ? 'true' : 'false'));
  add('json', 'jsonb', 'assignment', (v) => Json.jsonb(String(v)));
  add('jsonb', 'json', 'assignment', (v) => Json.json(String(v)));
}

function timeCasts(): void {
  add('date', 'timestamp', 'implicit', (v) => dateToTimestamp(number(v)));
  add('date', 'timestamptz', 'implicit', (v, ctx) => fromLocal(dateToTimestamp(number(v)), timeZoneByName(ctx.timeZone)), false);
  add('timestamp', 'date', 'assignment', (v) => timestampToDate(stamp(v)));
  add('timestamp', 'time', 'assignment', (v) => (v === Infinity || v === -Infinity ? null : timestampTime(stamp(v))));
  add('timestamp', 'timestamptz', 'implicit', (v, ctx) => fromLocal(stamp(v), timeZoneByName(ctx.timeZone)), false);
  add('timestamptz', 'timestamp', 'assignment', (v, ctx) => toLocal(stamp(v), timeZoneByName(ctx.timeZone)), false);
  add('timestamptz', 'date', 'assignment', (v, ctx) => timestampToDate(toLocal(stamp(v), timeZoneByName(ctx.timeZone))), false);
  add('timestamptz', 'time', 'assignment', (v, ctx) => (v === Infinity || v === -Infinity ? null : timestampTime(toLocal(stamp(v), timeZoneByName(ctx.timeZone)))), false);
  add('time', 'interval', 'implicit', (v) => new Interval(0, 0, number(v)));
  add('interval', 'time', 'assignment', (v) => {
    const us = v instanceof Interval ? v.us % US_PER_DAY : 0;
    return us < 0 ? us + US_PER_DAY : us;
  });
}

const REG = ['regclass', 'regtype', 'regproc', 'regnamespace', 'regrole'] as const;

function oidCasts(): void {
  for (const from of ['int2', 'int4', 'int8'] as const) {
    for (const to of ['oid', ...REG] as const) {
      add(from, to, 'implicit', (v) => {
        const n = number(v);
        if (n > 4294967295 || (from === 'int8' && n < 0)) throw new SqlError('22003', 'OID out of range');
        return n < 0 ? n + 4294967296 : n;
      });
    }
  }
  for (const from of ['oid', ...REG] as const) {
    add(from, 'int8', 'assignment', keep);
    add(from, 'int4', 'assignment', (v) => (number(v) > 2147483647 ? number(v) - 4294967296 : v));
    if (from !== 'oid') add(from, 'oid', 'implicit', keep);
    if (from !== 'oid') add('oid', from, 'implicit', keep);
  }
  add('text', 'regclass', 'implicit', (v, ctx) => parserOf({ kind: 'regclass' })(String(v), ctx), false);
  add('varchar', 'regclass', 'implicit', (v, ctx) => parserOf({ kind: 'regclass' })(String(v), ctx), false);
}

numberCasts();
textCasts();
timeCasts();
oidCasts();

const STRINGS = new Set<TypeKind>(['text', 'varchar', 'bpchar', 'name']);
/** Types whose text form depends on the session. */
const SESSION_TEXT = new Set<TypeKind>(['timestamptz', ...REG]);
const SESSION_INPUT = new Set<TypeKind>(['timestamptz', 'timestamp', 'date', 'time', ...REG]);

/** Conversion of one type to itself, to apply a typmod. */
function sameKind(kind: TypeKind): CastDef {
  return { from: kind, to: kind, context: 'implicit', immutable: true, evaluate: (v, to, explicit) => applyTypmod(to, v, explicit) };
}

function toText(from: SqlType, to: TypeKind): CastDef {
  return {
    from: from.kind, to, context: 'assignment', immutable: !SESSION_TEXT.has(from.kind),
    evaluate: (v, type, explicit, ctx, source) => (v === null ? null : applyTypmod(type, formatDatum(source, v, ctx), explicit)),
  };
}

function fromText(from: TypeKind, to: SqlType): CastDef {
  const parse = parserOf(to);
  // An unknown literal takes any type; a typed string only by an explicit cast.
  return {
    from, to: to.kind, context: from === 'unknown' ? 'implicit' : 'explicit', immutable: !SESSION_INPUT.has(to.kind),
    evaluate: (v, type, explicit, ctx) => {
      if (v === null) return null;
      return applyTypmod(type, (type.kind === 'array' || type.mod !== undefined ? parserOf(type) : parse)(String(v), ctx), explicit);
    },
  };
}

function arrayCast(from: SqlType, to: SqlType): CastDef | null {
  if (from.kind !== 'array' || to.kind !== 'array') return null;
  const elem = castFor(innermost(from), innermost(to));
  if (elem === null) return null;
  const source = innermost(from);
  return {
    from: 'array', to: 'array', context: elem.context, immutable: elem.immutable,
    evaluate: (v, type, explicit, ctx) => {
      if (!(v instanceof SqlArray)) return v;
      const target = innermost(type);
      return v.map((e) => elem.evaluate(e, target, explicit, ctx, source));
    },
  };
}

function innermost(t: SqlType): SqlType {
  return t.kind === 'array' ? innermost(t.elem) : t;
}

const made = new Map<string, CastDef | null>();

/** The cast from one type to another, or null when PostgreSQL has none. Typmods do not matter for the choice. */
export function castFor(from: SqlType, to: SqlType): CastDef | null {
  const key = `${keyOf(from)} ${keyOf(to)}`;
  const known = made.get(key);
  if (known !== undefined) return known;
  const c = choose(from, to);
  made.set(key, c);
  return c;
}

function keyOf(t: SqlType): string {
  return t.kind === 'array' ? `${keyOf(t.elem)}[]` : t.kind;
}

function choose(from: SqlType, to: SqlType): CastDef | null {
  if (to.kind === 'void' || to.kind === 'record' || from.kind === 'void') return null;
  if (from.kind === 'array' && to.kind === 'array') return arrayCast(from, to);
  if (from.kind === to.kind) return sameKind(from.kind);
  const direct = table.get(`${from.kind} ${to.kind}`);
  if (direct !== undefined) return direct;
  if (from.kind === 'unknown') return fromText('unknown', to);
  if (STRINGS.has(to.kind)) return toText(from, to.kind);
  if (STRINGS.has(from.kind)) return fromText(from.kind, to);
  if (from.kind === 'char' || to.kind === 'char') return null;
  return null;
}
