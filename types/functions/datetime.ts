/**
 * Date and time functions and operators over types/datetime.ts. What depends on the session's zone or on now takes the context.
 */
import type { TimestampUs } from '../calendar.js';
import { addUs, isFiniteTimestamp, joinTimestamp, timestampDays } from '../calendar.js';
import {
  age, checkDate, dateBin, dateToTimestamp, extractDate, extractInterval, extractTime, extractTimestamp, extractTimestamptz, makeDate, makeTime, roundTime, roundTimestamp,
  timestampMinus, timestampPlus, timestampToDate, timestamptzPlus, truncInterval, truncTimestamp, truncTimestamptz,
} from '../datetime.js';
import { timestampTime } from '../calendar.js';
import { SqlError } from '../error.js';
import { Interval, US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND } from '../interval.js';
import { Numeric } from '../numeric.js';
import type { TimeZone } from '../timezone.js';
import { fixedZone, fromLocal, timeZoneByName, toLocal } from '../timezone.js';
import type { Datum } from '../value.js';
import type { FunctionDef } from './catalogue.js';
import { contextFn, fn } from './define.js';
import type { EvalContext } from './evalcontext.js';
import { intervalToChar, timestampToChar, toDate, toTimestamp, zoneFields } from './formatdatetime.js';
import { floatToChar, numberToChar, toNumber } from './formatnumber.js';
import { intervalOutOfRange } from '../interval.js';

type Ts = TimestampUs;

function zoneOf(ctx: EvalContext): TimeZone {
  return timeZoneByName(ctx.timeZone);
}

/** Time of day moved by an interval, around midnight. */
function timePlus(us: number, i: Interval): number {
  const r = (us + (i.us % US_PER_DAY)) % US_PER_DAY;
  return r < 0 ? r + US_PER_DAY : r;
}

function datePlus(d: number, n: number): number {
  return Number.isFinite(d) ? checkDate(d + n) : d;
}

function dateMinus(a: number, b: number): number {
  if (!Number.isFinite(a) || !Number.isFinite(b)) throw new SqlError('22008', 'cannot subtract infinite dates');
  return a - b;
}

function dateTime(d: number, us: number): Ts {
  return Number.isFinite(d) ? addUs(dateToTimestamp(d), us) : d;
}

const operators: readonly FunctionDef[] = [
  fn('+(date,int4)', 'date', datePlus),
  fn('+(int4,date)', 'date', (n: number, d: number) => datePlus(d, n)),
  fn('-(date,int4)', 'date', (d: number, n: number) => datePlus(d, -n)),
  fn('-(date,date)', 'int4', dateMinus),
  fn('+(date,interval)', 'timestamp', (d: number, i: Interval) => timestampPlus(dateToTimestamp(d), i)),
  fn('+(interval,date)', 'timestamp', (i: Interval, d: number) => timestampPlus(dateToTimestamp(d), i)),
  fn('-(date,interval)', 'timestamp', (d: number, i: Interval) => timestampPlus(dateToTimestamp(d), i.neg())),
  fn('+(date,time)', 'timestamp', dateTime),
  fn('+(time,date)', 'timestamp', (us: number, d: number) => dateTime(d, us)),
  fn('+(timestamp,interval)', 'timestamp', timestampPlus),
  fn('+(interval,timestamp)', 'timestamp', (i: Interval, t: Ts) => timestampPlus(t, i)),
  fn('-(timestamp,interval)', 'timestamp', (t: Ts, i: Interval) => timestampPlus(t, i.neg())),
  fn('-(timestamp,timestamp)', 'interval', timestampMinus),
  contextFn('+(timestamptz,interval)', 'timestamptz', (ctx: EvalContext, t: Ts, i: Interval) => timestamptzPlus(t, i, zoneOf(ctx))),
  contextFn('+(interval,timestamptz)', 'timestamptz', (ctx: EvalContext, i: Interval, t: Ts) => timestamptzPlus(t, i, zoneOf(ctx))),
  contextFn('-(timestamptz,interval)', 'timestamptz', (ctx: EvalContext, t: Ts, i: Interval) => timestamptzPlus(t, i.neg(), zoneOf(ctx))),
  fn('-(timestamptz,timestamptz)', 'interval', timestampMinus),
  fn('+(time,interval)', 'time', timePlus),
  fn('+(interval,time)', 'time', (i: Interval, us: number) => timePlus(us, i)),
  fn('-(time,interval)', 'time', (us: number, i: Interval) => timePlus(us, i.neg())),
  fn('-(time,time)', 'interval', (a: number, b: number) => new Interval(0, 0, a - b)),
  fn('+(interval,interval)', 'interval', (a: Interval, b: Interval) => a.add(b)),
  fn('-(interval,interval)', 'interval', (a: Interval, b: Interval) => a.sub(b)),
  fn('-(interval)', 'interval', (a: Interval) => a.neg()),
  fn('+(interval)', 'interval', (a: Interval) => a),
  fn('*(interval,float8)', 'interval', (i: Interval, f: number) => i.mul(f)),
  fn('*(float8,interval)', 'interval', (f: number, i: Interval) => i.mul(f)),
  fn('/(interval,float8)', 'interval', (i: Interval, f: number) => i.div(f)),
];

/** date_part('epoch', …) as PostgreSQL computes it: in doubles. Null for other units. */
function epochSeconds(unit: string, v: Datum): number | null {
  if (unit.toLowerCase() !== 'epoch') return null;
  if (v instanceof Interval) return v.us / US_PER_SECOND + 31557600 * Math.trunc(v.months / 12) + 2592000 * (v.months % 12) + 86400 * v.days;
  return Number(v) / US_PER_SECOND;
}

/** extract gives numeric, date_part the same as double. */
function extraction(kind: string, f: (unit: string, v: never, ctx: EvalContext) => Numeric | null, context: boolean): FunctionDef[] {
  if (context) {
    return [
      contextFn(`extract(text,${kind})`, 'numeric', (ctx: EvalContext, unit: string, v: never) => f(unit, v, ctx)),
      contextFn(`date_part(text,${kind})`, 'float8', (ctx: EvalContext, unit: string, v: never) => epochSeconds(unit, v) ?? f(unit, v, ctx)?.toNumber() ?? null),
    ];
  }
  const none: EvalContext = { nowUs: 0, timeZone: 'UTC', user: '', database: '', outer: [], catalog: null, random: () => 0 };
  return [
    fn(`extract(text,${kind})`, 'numeric', (unit: string, v: never) => f(unit, v, none)),
    fn(`date_part(text,${kind})`, 'float8', (unit: string, v: never) => epochSeconds(unit, v) ?? f(unit, v, none)?.toNumber() ?? null),
  ];
}

function midnight(ctx: EvalContext): Ts {
  return joinTimestamp(timestampDays(toLocal(ctx.nowUs, zoneOf(ctx))), 0);
}

function intervalZone(i: Interval): TimeZone {
  if (i.months !== 0 || i.days !== 0) throw new SqlError('22023', `interval time zone "${i.toString()}" must not include months or days`);
  return fixedZone(Math.trunc(i.us / US_PER_SECOND));
}

function makeTimestamp(y: number, mo: number, d: number, h: number, mi: number, s: number): Ts {
  let days: number;
  try {
    days = makeDate(y, mo, d);
  } catch (cause) {
    throw new SqlError('22008', `date field value out of range: ${y}-${String(mo).padStart(2, '0')}-${String(d).padStart(2, '0')}`, { cause });
  }
  return joinTimestamp(days, makeTime(h, mi, s));
}

/** make_timestamptz reads '+03' as ISO 8601 does, east of UTC. */
function isoZone(name: string): TimeZone {
  const m = /^([+-])(\d{1,2})(?::?(\d{2}))?$/.exec(name.trim());
  if (m === null) return timeZoneByName(name);
  return fixedZone((m[1] === '-' ? -1 : 1) * (Number(m[2]) * 3600 + Number(m[3] ?? 0) * 60));
}

function makeInterval(...parts: readonly number[]): Interval {
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, mins = 0, secs = 0] = parts;
  if (!Number.isFinite(secs)) throw intervalOutOfRange();
  return new Interval(years * 12 + months, weeks * 7 + days, hours * US_PER_HOUR + mins * US_PER_MINUTE + Math.round(secs * US_PER_SECOND));
}

function epochToTimestamp(seconds: number): Ts {
  if (seconds !== seconds) throw new SqlError('22008', 'timestamp cannot be NaN');
  if (!Number.isFinite(seconds)) return seconds;
  if (seconds < -210866803200 || seconds >= 9224318016000) throw new SqlError('22008', `timestamp out of range: "${seconds}"`);
  const us = seconds * US_PER_SECOND;
  if (Math.abs(us) < 9007199254740992) return Math.round(us) + 0;
  return addUs(joinTimestamp(Math.floor(seconds / 86400), 0), Math.round((seconds - Math.floor(seconds / 86400) * 86400) * US_PER_SECOND));
}

function nowFunctions(): FunctionDef[] {
  const out: FunctionDef[] = [];
  for (const name of ['now', 'transaction_timestamp', 'statement_timestamp', 'current_timestamp']) out.push(contextFn(`${name}()`, 'timestamptz', (ctx: EvalContext) => ctx.nowUs));
  out.push(
    contextFn('clock_timestamp()', 'timestamptz', (ctx: EvalContext) => ctx.clockUs?.() ?? ctx.nowUs, { volatility: 'volatile' }),
    contextFn('current_timestamp(int4)', 'timestamptz', (ctx: EvalContext, n: number) => roundTimestamp(ctx.nowUs, n)),
    contextFn('current_date()', 'date', (ctx: EvalContext) => timestampDays(toLocal(ctx.nowUs, zoneOf(ctx)))),
    contextFn('localtimestamp()', 'timestamp', (ctx: EvalContext) => toLocal(ctx.nowUs, zoneOf(ctx))),
    contextFn('localtimestamp(int4)', 'timestamp', (ctx: EvalContext, n: number) => roundTimestamp(toLocal(ctx.nowUs, zoneOf(ctx)), n)),
    contextFn('localtime()', 'time', (ctx: EvalContext) => timestampTime(toLocal(ctx.nowUs, zoneOf(ctx)))),
    contextFn('localtime(int4)', 'time', (ctx: EvalContext, n: number) => roundTime(timestampTime(toLocal(ctx.nowUs, zoneOf(ctx))), n)),
  );
  return out;
}

/** (start1, end1) OVERLAPS (start2, end2): half-open, ends in any order; NULL ends as in the standard. */
function overlaps(s1: Datum, e1: Datum, s2: Datum, e2: Datum): boolean | null {
  const order = (s: Datum, e: Datum): [Ts | null, Ts | null] | null => {
    const a = s as Ts | null;
    const b = e as Ts | null;
    if (a === null && b === null) return null;
    if (a === null) return [b, null];
    if (b === null) return [a, null];
    return a > b ? [b, a] : [a, b];
  };
  const p = order(s1, e1);
  const q = order(s2, e2);
  if (p === null || q === null) return null;
  let [ts1, te1] = p;
  let [ts2, te2] = q;
  if (ts1 === null || ts2 === null) return null;
  if (ts1 < ts2) [ts1, te1, ts2, te2] = [ts2, te2, ts1, te1];
  if (ts1 > ts2) {
    if (te2 === null) return null;
    if (ts1 < te2) return true;
    return te1 === null ? null : false;
  }
  return te1 === null || te2 === null ? null : true;
}

const INTERVAL_NAMES = ['years', 'months', 'weeks', 'days', 'hours', 'mins', 'secs'];

export const datetimeFunctions: readonly FunctionDef[] = [
  ...operators,
  ...nowFunctions(),
  fn('extract(text,date)', 'numeric', extractDate),
  // As in PostgreSQL, date_part of a date goes through timestamp: an hour of it is 0, not an error.
  fn('date_part(text,date)', 'float8', (u: string, d: number) => extractTimestamp(u, dateToTimestamp(d))?.toNumber() ?? null),
  ...extraction('time', (u, v) => extractTime(u, v), false),
  ...extraction('timestamp', (u, v) => extractTimestamp(u, v), false),
  ...extraction('interval', (u, v) => extractInterval(u, v), false),
  ...extraction('timestamptz', (u, v, ctx) => extractTimestamptz(u, v, zoneOf(ctx)), true),
  fn('date_trunc(text,timestamp)', 'timestamp', (u: string, t: Ts) => truncTimestamp(u, t, 'timestamp without time zone')),
  contextFn('date_trunc(text,timestamptz)', 'timestamptz', (ctx: EvalContext, u: string, t: Ts) => truncTimestamptz(u, t, zoneOf(ctx))),
  fn('date_trunc(text,timestamptz,text)', 'timestamptz', (u: string, t: Ts, zone: string) => truncTimestamptz(u, t, timeZoneByName(zone))),
  fn('date_trunc(text,interval)', 'interval', truncInterval),
  fn('date_bin(interval,timestamp,timestamp)', 'timestamp', dateBin),
  fn('date_bin(interval,timestamptz,timestamptz)', 'timestamptz', dateBin),
  fn('timezone(text,timestamp)', 'timestamptz', (z: string, t: Ts) => (isFiniteTimestamp(t) ? fromLocal(t, timeZoneByName(z)) : t)),
  fn('timezone(text,timestamptz)', 'timestamp', (z: string, t: Ts) => (isFiniteTimestamp(t) ? toLocal(t, timeZoneByName(z)) : t)),
  fn('timezone(interval,timestamp)', 'timestamptz', (i: Interval, t: Ts) => (isFiniteTimestamp(t) ? fromLocal(t, intervalZone(i)) : t)),
  fn('timezone(interval,timestamptz)', 'timestamp', (i: Interval, t: Ts) => (isFiniteTimestamp(t) ? toLocal(t, intervalZone(i)) : t)),
  fn('age(timestamp,timestamp)', 'interval', age),
  contextFn('age(timestamptz,timestamptz)', 'interval', (ctx: EvalContext, a: Ts, b: Ts) => age(toLocal(a, zoneOf(ctx)), toLocal(b, zoneOf(ctx)))),
  contextFn('age(timestamp)', 'interval', (ctx: EvalContext, t: Ts) => age(midnight(ctx), t)),
  contextFn('age(timestamptz)', 'interval', (ctx: EvalContext, t: Ts) => age(midnight(ctx), toLocal(t, zoneOf(ctx)))),
  fn('isfinite(date)', 'bool', (d: number) => Number.isFinite(d)),
  fn('isfinite(timestamp)', 'bool', (t: Ts) => isFiniteTimestamp(t)),
  fn('isfinite(timestamptz)', 'bool', (t: Ts) => isFiniteTimestamp(t)),
  fn('isfinite(interval)', 'bool', () => true),
  fn('justify_hours(interval)', 'interval', (i: Interval) => i.justifyHours()),
  fn('justify_days(interval)', 'interval', (i: Interval) => i.justifyDays()),
  fn('justify_interval(interval)', 'interval', (i: Interval) => i.justifyInterval()),
  fn('make_date(int4,int4,int4)', 'date', makeDate, { argNames: ['year', 'month', 'day'] }),
  fn('make_time(int4,int4,float8)', 'time', makeTime, { argNames: ['hour', 'min', 'sec'] }),
  fn('make_timestamp(int4,int4,int4,int4,int4,float8)', 'timestamp', makeTimestamp, { argNames: ['year', 'month', 'mday', 'hour', 'min', 'sec'] }),
  contextFn('make_timestamptz(int4,int4,int4,int4,int4,float8)', 'timestamptz', (ctx: EvalContext, ...p: [number, number, number, number, number, number]) => fromLocal(makeTimestamp(...p), zoneOf(ctx)), { argNames: ['year', 'month', 'mday', 'hour', 'min', 'sec'] }),
  fn('make_timestamptz(int4,int4,int4,int4,int4,float8,text)', 'timestamptz', (y: number, mo: number, d: number, h: number, mi: number, s: number, zone: string) => fromLocal(makeTimestamp(y, mo, d, h, mi, s), isoZone(zone)), { argNames: ['year', 'month', 'mday', 'hour', 'min', 'sec', 'timezone'] }),
  fn('make_interval(int4,int4,int4,int4,int4,int4,float8)', 'interval', makeInterval, { argNames: INTERVAL_NAMES, defaults: ['0', '0', '0', '0', '0', '0', '0.0'] }),
  fn('to_timestamp(float8)', 'timestamptz', epochToTimestamp),
  contextFn('to_timestamp(text,text)', 'timestamptz', (ctx: EvalContext, s: string, f: string) => toTimestamp(s, f, zoneOf(ctx))),
  fn('to_date(text,text)', 'date', toDate),
  fn('to_char(timestamp,text)', 'text', (t: Ts, f: string) => timestampToChar(t, f, null)),
  contextFn('to_char(timestamptz,text)', 'text', (ctx: EvalContext, t: Ts, f: string) => (isFiniteTimestamp(t) ? timestampToChar(toLocal(t, zoneOf(ctx)), f, zoneFields(t, zoneOf(ctx))) : null)),
  fn('to_char(interval,text)', 'text', intervalToChar),
  fn('to_char(numeric,text)', 'text', (v: Numeric, f: string) => numberToChar(v, f)),
  fn('to_char(int4,text)', 'text', (v: number, f: string) => numberToChar(Numeric.fromInt(v), f)),
  fn('to_char(int8,text)', 'text', (v: number | bigint, f: string) => numberToChar(Numeric.fromInt(v), f)),
  fn('to_char(float4,text)', 'text', (v: number, f: string) => floatToChar(v, f, 6)),
  fn('to_char(float8,text)', 'text', (v: number, f: string) => floatToChar(v, f, 15)),
  fn('to_number(text,text)', 'numeric', toNumber),
  ...['timestamp', 'timestamptz', 'time'].map((k) => fn(`overlaps(${k},${k},${k},${k})`, 'bool', overlaps, { strict: false })),
  fn('date(timestamp)', 'date', timestampToDate),
  contextFn('date(timestamptz)', 'date', (ctx: EvalContext, t: Ts) => timestampToDate(toLocal(t, zoneOf(ctx)))),
];
