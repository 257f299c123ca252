/**
 * Comparison operators (= <> < <= > >=) of every type, the mixed ones that PostgreSQL has (integers, floats, dates with
 * timestamps), arrays by element type; greatest and least.
 */
import { TIMESTAMP_DAYS_END } from '../calendar.js';
import { US_PER_DAY } from '../interval.js';
import { dateToTimestamp } from '../datetime.js';
import type { Comparator } from '../compare.js';
import { compareNumbers, comparatorOf } from '../compare.js';
import type { SqlType } from '../sqltype.js';
import { timeZoneByName, fromLocal } from '../timezone.js';
import type { Datum } from '../value.js';
import type { BoundEvaluate, FunctionDef } from './catalogue.js';
import { boundFn, contextFn, fn, pattern } from './define.js';
import type { EvalContext } from './evalcontext.js';

const TESTS: readonly (readonly [string, (c: number) => boolean])[] = [
  ['=', (c) => c === 0], ['<>', (c) => c !== 0], ['<', (c) => c < 0], ['<=', (c) => c <= 0], ['>', (c) => c > 0], ['>=', (c) => c >= 0],
];

const ORDERED = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'bpchar', 'name', 'char', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'jsonb', 'uuid', 'oid'];

const MIXED_NUMBERS = [
  ['int2', 'int4'], ['int4', 'int2'], ['int2', 'int8'], ['int8', 'int2'], ['int4', 'int8'], ['int8', 'int4'], ['float4', 'float8'], ['float8', 'float4'],
];
const MIXED_TEXT = [['name', 'text'], ['text', 'name']];

function pairs(left: string, right: string, compare: Comparator): FunctionDef[] {
  return TESTS.map(([op, test]) => fn(`${op}(${left},${right})`, 'bool', (a: Datum, b: Datum) => test(compare(a, b))));
}

type Ts = number | bigint;

/** Local values compared with timestamptz are read in the session's zone. */
function zoned(left: string, right: string, a: (v: Ts, ctx: EvalContext) => Ts, b: (v: Ts, ctx: EvalContext) => Ts): FunctionDef[] {
  return TESTS.map(([op, test]) => contextFn(`${op}(${left},${right})`, 'bool', (ctx: EvalContext, x: Ts, y: Ts) => test(compareNumbers(a(x, ctx), b(y, ctx)))));
}

const same = (v: Ts): Ts => v;
const asDate = (v: Ts): Ts => (v === Infinity || v === -Infinity ? v : clampDate(Number(v)));
const local = (v: Ts, ctx: EvalContext): Ts => fromLocal(v, timeZoneByName(ctx.timeZone));
const localDate = (v: Ts, ctx: EvalContext): Ts => (v >= TIMESTAMP_DAYS_END ? asDate(v) : local(asDate(v), ctx));

/** A date past the timestamps' range still compares: rounded to a double, larger than every timestamp. */
function clampDate(days: number): Ts {
  return days >= TIMESTAMP_DAYS_END ? days * US_PER_DAY : dateToTimestamp(days);
}

function extreme(name: string, keep: (c: number) => boolean): FunctionDef {
  return boundFn(`${name}(anycompatible…)`, 'anycompatible', (types): BoundEvaluate => {
    const compare = comparatorOf(types[0]);
    return (_ctx, ...args) => {
      let best: Datum = null;
      for (const v of args) if (v !== null && (best === null || keep(compare(v, best)))) best = v;
      return best;
    };
  }, { strict: false });
}

function arrays(): FunctionDef[] {
  return TESTS.map(([op, test]) => boundFn(`${op}(anyarray,anyarray)`, 'bool', (types) => {
    const compare = comparatorOf(types[0]);
    return (_ctx, a, b) => test(compare(a, b));
  }));
}

export const comparisonFunctions: readonly FunctionDef[] = [
  ...ORDERED.flatMap((k) => pairs(k, k, comparatorOf(pattern(k) as SqlType))),
  ...MIXED_NUMBERS.flatMap(([a, b]) => pairs(a, b, compareNumbers)),
  ...MIXED_TEXT.flatMap(([a, b]) => pairs(a, b, comparatorOf({ kind: 'text' }))),
  ...pairs('date', 'timestamp', (a, b) => compareNumbers(asDate(a as Ts), b)),
  ...pairs('timestamp', 'date', (a, b) => compareNumbers(a, asDate(b as Ts))),
  ...zoned('date', 'timestamptz', localDate, same),
  ...zoned('timestamptz', 'date', same, localDate),
  ...zoned('timestamp', 'timestamptz', local, same),
  ...zoned('timestamptz', 'timestamp', same, local),
  ...arrays(),
  extreme('greatest', (c) => c > 0),
  extreme('least', (c) => c < 0),
];
