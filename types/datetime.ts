/**
 * Dates and times: ISO output as PostgreSQL prints it, arithmetic with intervals, truncation, extraction, age.
 * Values are those of types/value.ts: days, microseconds, ±Infinity. Local-time work on timestamptz takes the session's zone.
 */
import type { TimestampUs } from './calendar.js';
import {
  DATE_END, DATE_MIN, TIMESTAMP_DAYS_END, addUs, checkTimestamp, civilFromDays, dayOfWeek, daysFromCivil, daysInMonth, isFiniteTimestamp, isoWeek, joinTimestamp,
  timestampDays, timestampTime,
} from './calendar.js';
import { SqlError } from './error.js';
import { Interval, US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, formatClock } from './interval.js';
import { Numeric } from './numeric.js';
import type { TimeZone } from './timezone.js';
import { formatOffset, fromLocal, offsetOf, toLocal } from './timezone.js';

function two(n: number): string {
  return n < 10 ? `0${n}` : String(n);
}

function formatDay(days: number): { text: string; bc: boolean } {
  const { year, month, day } = civilFromDays(days);
  const bc = year <= 0;
  const y = bc ? 1 - year : year;
  return { text: `${y < 1000 ? String(y).padStart(4, '0') : y}-${two(month)}-${two(day)}`, bc };
}

export function formatDate(days: number): string {
  if (days === Infinity) return 'infinity';
  if (days === -Infinity) return '-infinity';
  const d = formatDay(days);
  return d.bc ? `${d.text} BC` : d.text;
}

export function formatTime(us: number): string {
  return formatClock(us);
}

export function formatTimestamp(t: TimestampUs): string {
  if (t === Infinity) return 'infinity';
  if (t === -Infinity) return '-infinity';
  const d = formatDay(timestampDays(t));
  return `${d.text} ${formatClock(timestampTime(t))}${d.bc ? ' BC' : ''}`;
}

export function formatTimestamptz(t: TimestampUs, zone: TimeZone): string {
  if (t === Infinity) return 'infinity';
  if (t === -Infinity) return '-infinity';
  const offset = offsetOf(t, zone);
  const local = shiftUnchecked(t, offset);
  const d = formatDay(timestampDays(local));
  return `${d.text} ${formatClock(timestampTime(local))}${formatOffset(offset)}${d.bc ? ' BC' : ''}`;
}

/** Local time for printing: may pass the range by the offset. */
function shiftUnchecked(t: TimestampUs, offset: number): TimestampUs {
  if (typeof t === 'number' && t < 9e15 && t > -9e15) return t + offset * US_PER_SECOND;
  return BigInt(t) + BigInt(offset) * 1000000n;
}

/** Rounds microseconds to 10^-precision seconds (typmod of time, timestamp and interval). */
export function roundTime(us: number, precision: number): number {
  if (precision >= 6) return us;
  const unit = 10 ** (6 - precision);
  const half = unit / 2;
  return us >= 0 ? Math.floor((us + half) / unit) * unit : -Math.floor((-us + half) / unit) * unit;
}

export function roundTimestamp(t: TimestampUs, precision: number): TimestampUs {
  if (precision >= 6 || !isFiniteTimestamp(t)) return t;
  if (typeof t === 'number') return roundTime(t, precision);
  const unit = 10n ** BigInt(6 - precision);
  const half = unit / 2n;
  return checkTimestamp(t >= 0n ? ((t + half) / unit) * unit : -((-t + half) / unit) * unit);
}

/** days ↔ timestamps. */
export function dateToTimestamp(days: number): TimestampUs {
  if (!Number.isFinite(days)) return days;
  if (days >= TIMESTAMP_DAYS_END) throw new SqlError('22008', 'date out of range for timestamp');
  return joinTimestamp(days, 0);
}

export function timestampToDate(t: TimestampUs): number {
  return isFiniteTimestamp(t) ? timestampDays(t) : Number(t);
}

export function checkDate(days: number): number {
  if (Number.isFinite(days) && (days < DATE_MIN || days >= DATE_END)) throw new SqlError('22008', 'date out of range');
  return days;
}

/** timestamp + interval: months first (day clipped to the month), then days, then time. */
export function timestampPlus(t: TimestampUs, i: Interval): TimestampUs {
  if (!isFiniteTimestamp(t)) return t;
  let r = t;
  if (i.months !== 0) r = joinTimestamp(plusMonths(timestampDays(r), i.months), timestampTime(r));
  if (i.days !== 0) r = joinTimestamp(timestampDays(r) + i.days, timestampTime(r));
  return i.us === 0 ? r : addUs(r, i.us);
}

function plusMonths(days: number, months: number): number {
  const c = civilFromDays(days);
  const total = c.year * 12 + c.month - 1 + months;
  const year = Math.floor(total / 12);
  const month = total - year * 12 + 1;
  return daysFromCivil(year, month, Math.min(c.day, daysInMonth(year, month)));
}

/** timestamptz + interval: months and days in local time. */
export function timestamptzPlus(t: TimestampUs, i: Interval, zone: TimeZone): TimestampUs {
  if (!isFiniteTimestamp(t)) return t;
  let r = t;
  if (i.months !== 0 || i.days !== 0) {
    let local = toLocal(r, zone);
    if (i.months !== 0) {
      local = joinTimestamp(plusMonths(timestampDays(local), i.months), timestampTime(local));
      if (i.days !== 0) local = toLocal(fromLocal(local, zone), zone);
    }
    if (i.days !== 0) local = joinTimestamp(timestampDays(local) + i.days, timestampTime(local));
    r = fromLocal(local, zone);
  }
  return i.us === 0 ? r : addUs(r, i.us);
}

/** a − b as days and time (timestamp_mi). */
export function timestampMinus(a: TimestampUs, b: TimestampUs): Interval {
  if (!isFiniteTimestamp(a) || !isFiniteTimestamp(b)) throw new SqlError('22008', 'cannot subtract infinite timestamps');
  const us = typeof a === 'number' && typeof b === 'number' ? a - b : NaN;
  if (us === us && us <= 9007199254740992 && us >= -9007199254740992) {
    const days = Math.trunc(us / US_PER_DAY);
    return new Interval(0, days, us - days * US_PER_DAY);
  }
  const big = BigInt(a) - BigInt(b);
  if (big > 9223372036854775807n || big < -9223372036854775808n) throw new SqlError('22008', 'interval out of range');
  const d = BigInt(US_PER_DAY);
  return new Interval(0, Number(big / d), Number(big % d));
}

/** age(a, b): years, months and days by the calendar. Both local. */
export function age(a: TimestampUs, b: TimestampUs): Interval {
  if (!isFiniteTimestamp(a) || !isFiniteTimestamp(b)) throw new SqlError('22008', 'cannot subtract infinite timestamps');
  const negative = a < b;
  const [lo, hi] = negative ? [a, b] : [b, a];
  const x = civilFromDays(timestampDays(lo));
  const y = civilFromDays(timestampDays(hi));
  let us = timestampTime(hi) - timestampTime(lo);
  let days = y.day - x.day;
  let months = y.month - x.month;
  let years = y.year - x.year;
  if (us < 0) { us += US_PER_DAY; days--; }
  while (days < 0) {
    // Borrow the month of the earlier moment.
    days += daysInMonth(x.year, x.month);
    months--;
  }
  while (months < 0) { months += 12; years--; }
  const r = new Interval(years * 12 + months, days, us);
  return negative ? r.neg() : r;
}

const UNIT_NAMES: ReadonlyMap<string, string> = new Map(unitNames());

function unitNames(): [string, string][] {
  const groups: Record<string, string> = {
    microseconds: 'microsecond microseconds us usec usecs usecond useconds', milliseconds: 'millisecond milliseconds ms msec msecs mseconds',
    second: 'second seconds sec secs s', minute: 'minute minutes min mins m', hour: 'hour hours hr hrs h', day: 'day days d', week: 'week weeks w',
    month: 'month months mon mons', quarter: 'quarter qtr', year: 'year years yr yrs y', decade: 'decade decades dec decs', century: 'century centuries cent c',
    millennium: 'millennium millennia mil mils', dow: 'dow', doy: 'doy', isodow: 'isodow', isoyear: 'isoyear', epoch: 'epoch', julian: 'julian jd',
    timezone: 'timezone', timezone_hour: 'timezone_hour timezone_h', timezone_minute: 'timezone_minute timezone_m',
  };
  return Object.entries(groups).flatMap(([unit, names]) => names.split(' ').map((n): [string, string] => [n, unit]));
}

/** Canonical unit, or 22023 `unit "x" not recognized for type …`. */
export function timeUnit(name: string, type: string): string {
  const unit = UNIT_NAMES.get(name.toLowerCase());
  if (unit === undefined) throw new SqlError('22023', `unit "${name}" not recognized for type ${type}`);
  return unit;
}

export function unitNotSupported(name: string, type: string): SqlError {
  return new SqlError('0A000', `unit "${name}" not supported for type ${type}`);
}

/** Units that date_trunc does not know although extract does. */
const EXTRACT_ONLY = new Set(['dow', 'doy', 'isodow', 'isoyear', 'epoch', 'julian']);

function truncUnit(name: string, type: string): string {
  const unit = timeUnit(name, type);
  if (EXTRACT_ONLY.has(unit)) throw new SqlError('22023', `unit "${name}" not recognized for type ${type}`);
  return unit;
}

/** date_trunc on a local timestamp. */
export function truncTimestamp(unitName: string, t: TimestampUs, type: string): TimestampUs {
  if (!isFiniteTimestamp(t)) return t;
  const unit = truncUnit(unitName, type);
  const days = timestampDays(t);
  const us = timestampTime(t);
  const within = (step: number): TimestampUs => joinTimestamp(days, us - (us % step));
  switch (unit) {
    case 'microseconds': return t;
    case 'milliseconds': return within(1000);
    case 'second': return within(US_PER_SECOND);
    case 'minute': return within(US_PER_MINUTE);
    case 'hour': return within(US_PER_HOUR);
    case 'day': return joinTimestamp(days, 0);
    case 'week': return joinTimestamp(days - ((dayOfWeek(days) + 6) % 7), 0);
    default: return joinTimestamp(truncDay(unit, unitName, days, type), 0);
  }
}

function truncDay(unit: string, unitName: string, days: number, type: string): number {
  const { year, month } = civilFromDays(days);
  switch (unit) {
    case 'month': return daysFromCivil(year, month, 1);
    case 'quarter': return daysFromCivil(year, month - ((month - 1) % 3), 1);
    case 'year': return daysFromCivil(year, 1, 1);
    case 'decade': return daysFromCivil(Math.floor(year / 10) * 10, 1, 1);
    case 'century': return daysFromCivil(Math.floor((year - 1) / 100) * 100 + 1, 1, 1);
    case 'millennium': return daysFromCivil(Math.floor((year - 1) / 1000) * 1000 + 1, 1, 1);
    default: throw unitNotSupported(unitName, type);
  }
}

export function truncTimestamptz(unitName: string, t: TimestampUs, zone: TimeZone): TimestampUs {
  const type = 'timestamp with time zone';
  if (!isFiniteTimestamp(t)) return t;
  const unit = truncUnit(unitName, type);
  const local = truncTimestamp(unitName, toLocal(t, zone), type);
  // Below a day the offset of the value itself holds: an hour that a change repeats stays the hour it was.
  const small = unit === 'hour' || unit === 'minute' || unit === 'second' || unit === 'milliseconds' || unit === 'microseconds';
  return small ? addUs(local, -offsetOf(t, zone) * US_PER_SECOND) : fromLocal(local, zone);
}

export function truncInterval(unitName: string, v: Interval): Interval {
  const unit = truncUnit(unitName, 'interval');
  const us = (step: number): Interval => new Interval(v.months, v.days, v.us - (v.us % step));
  const months = (step: number): Interval => new Interval(v.months - (v.months % step), 0, 0);
  switch (unit) {
    case 'microseconds': return v;
    case 'milliseconds': return us(1000);
    case 'second': return us(US_PER_SECOND);
    case 'minute': return us(US_PER_MINUTE);
    case 'hour': return us(US_PER_HOUR);
    case 'day': return new Interval(v.months, v.days, 0);
    case 'month': return new Interval(v.months, 0, 0);
    case 'quarter': return months(3);
    case 'year': return months(12);
    case 'decade': return months(120);
    case 'century': return months(1200);
    case 'millennium': return months(12000);
    case 'week':
      throw new SqlError('0A000', `unit "${unitName}" not supported for type interval`, { detail: 'Months usually have fractional weeks.' });
    default: throw unitNotSupported(unitName, 'interval');
  }
}

function int(v: number): Numeric {
  return Numeric.of(v, 0);
}

/** Time-of-day fields shared by time, timestamp and interval; null when the unit is not of them. */
function extractClock(unit: string, us: number): Numeric | null {
  switch (unit) {
    case 'microseconds': return int(us % US_PER_MINUTE);
    case 'milliseconds': return Numeric.of(us % US_PER_MINUTE, 3);
    case 'second': return Numeric.of(us % US_PER_MINUTE, 6);
    case 'minute': return int(Math.trunc((us % US_PER_HOUR) / US_PER_MINUTE));
    case 'hour': return int(Math.trunc(us / US_PER_HOUR));
    default: return null;
  }
}

const UNBOUNDED = new Set(['year', 'decade', 'century', 'millennium', 'isoyear', 'epoch', 'julian']);

function extractDay(unit: string, days: number): Numeric | null {
  const { year, month, day } = civilFromDays(days);
  switch (unit) {
    case 'day': return int(day);
    case 'month': return int(month);
    case 'quarter': return int(Math.floor((month - 1) / 3) + 1);
    case 'week': return int(isoWeek(days).week);
    case 'year': return int(year > 0 ? year : year - 1);
    case 'isoyear': { const y = isoWeek(days).year; return int(y > 0 ? y : y - 1); }
    case 'decade': return int(Math.floor(year / 10));
    case 'century': return int(year > 0 ? Math.floor((year + 99) / 100) : -Math.floor((100 - year) / 100));
    case 'millennium': return int(year > 0 ? Math.floor((year + 999) / 1000) : -Math.floor((1000 - year) / 1000));
    case 'dow': return int(dayOfWeek(days));
    case 'isodow': return int(dayOfWeek(days) || 7);
    case 'doy': return int(days - daysFromCivil(year, 1, 1) + 1);
    default: return null;
  }
}

/** extract(unit FROM local timestamp). NULL for bounded fields of infinities. */
export function extractTimestamp(unitName: string, t: TimestampUs, type = 'timestamp without time zone'): Numeric | null {
  const unit = timeUnit(unitName, type);
  if (!isFiniteTimestamp(t)) return extractInfinite(unit, t === Infinity);
  if (unit === 'epoch') return Numeric.of(t, 6);
  const days = timestampDays(t);
  if (unit === 'julian') return julian(days, timestampTime(t));
  const r = extractClock(unit, timestampTime(t)) ?? extractDay(unit, days);
  if (r === null) throw unitNotSupported(unitName, type);
  return r;
}

function julian(days: number, us: number): Numeric {
  const whole = int(days + 2440588);
  return us === 0 ? whole.add(Numeric.of(0, 0).div(int(86400 * 1000000))) : whole.add(int(us).div(Numeric.of(US_PER_DAY, 0)));
}

function extractInfinite(unit: string, positive: boolean): Numeric | null {
  if (UNBOUNDED.has(unit)) return positive ? Numeric.INF : Numeric.NEG_INF;
  return null;
}

export function extractTimestamptz(unitName: string, t: TimestampUs, zone: TimeZone): Numeric | null {
  const type = 'timestamp with time zone';
  const unit = timeUnit(unitName, type);
  if (!isFiniteTimestamp(t)) return extractInfinite(unit, t === Infinity);
  if (unit === 'epoch') return Numeric.of(t, 6);
  const offset = offsetOf(t, zone);
  if (unit === 'timezone') return int(offset);
  if (unit === 'timezone_hour') return int(Math.trunc(offset / 3600));
  if (unit === 'timezone_minute') return int(Math.trunc((offset % 3600) / 60));
  return extractTimestamp(unitName, toLocal(t, zone), type);
}

export function extractDate(unitName: string, days: number): Numeric | null {
  const unit = timeUnit(unitName, 'date');
  if (!Number.isFinite(days)) {
    if (['microseconds', 'milliseconds', 'second', 'minute', 'hour', 'timezone', 'timezone_hour', 'timezone_minute'].includes(unit)) throw unitNotSupported(unitName, 'date');
    return extractInfinite(unit, days > 0);
  }
  if (unit === 'epoch') return int(days * 86400);
  if (unit === 'julian') return int(days + 2440588);
  const r = extractDay(unit, days);
  if (r === null) throw unitNotSupported(unitName, 'date');
  return r;
}

export function extractTime(unitName: string, us: number): Numeric {
  const type = 'time without time zone';
  const unit = timeUnit(unitName, type);
  if (unit === 'epoch') return Numeric.of(us, 6);
  const r = extractClock(unit, us);
  if (r === null) throw unitNotSupported(unitName, type);
  return r;
}

export function extractInterval(unitName: string, v: Interval): Numeric {
  const unit = timeUnit(unitName, 'interval');
  const years = Math.trunc(v.months / 12);
  switch (unit) {
    case 'day': return int(v.days);
    case 'month': return int(v.months % 12);
    case 'quarter': return int(Math.trunc((v.months % 12) / 3) + 1);
    case 'year': return int(years);
    case 'decade': return int(Math.trunc(years / 10));
    case 'century': return int(Math.trunc(years / 100));
    case 'millennium': return int(Math.trunc(years / 1000));
    case 'week': throw unitNotSupported(unitName, 'interval');
    case 'epoch': {
      // Years count 365.25 days, the other months 30.
      const quarterDays = years * 1461 + (v.months % 12) * 120 + v.days * 4;
      return Numeric.of(BigInt(quarterDays) * 21600000000n + BigInt(v.us), 6);
    }
    default: {
      const r = extractClock(unit, v.us);
      if (r === null) throw unitNotSupported(unitName, 'interval');
      return r;
    }
  }
}

/** date_bin(stride, source, origin). */
export function dateBin(stride: Interval, t: TimestampUs, origin: TimestampUs): TimestampUs {
  if (!isFiniteTimestamp(t)) return t;
  if (!isFiniteTimestamp(origin)) throw new SqlError('22008', 'origin out of range');
  if (stride.months !== 0) throw new SqlError('0A000', 'timestamps cannot be binned into intervals containing months or years');
  const step = stride.span();
  if (step <= 0n) throw new SqlError('22008', 'stride must be greater than zero');
  const o = BigInt(origin);
  const diff = BigInt(t) - o;
  let r = diff % step;
  if (r < 0n) r += step;
  return checkTimestamp(BigInt(t) - r);
}

/** make_date: negative years are BC. */
export function makeDate(year: number, month: number, day: number): number {
  const fail = (): SqlError => new SqlError('22008', `date field value out of range: ${year}-${two(month)}-${two(day)}`);
  if (year === 0 || month < 1 || month > 12) throw fail();
  const y = year < 0 ? year + 1 : year;
  if (day < 1 || day > daysInMonth(y, month)) throw fail();
  const days = daysFromCivil(y, month, day);
  if (days < DATE_MIN || days >= DATE_END) throw new SqlError('22008', `date out of range: ${year}-${two(month)}-${two(day)}`);
  return days;
}

export function makeTime(hour: number, minute: number, second: number): number {
  const us = Math.round(second * US_PER_SECOND);
  if (hour < 0 || hour > 24 || minute < 0 || minute > 59 || !(second >= 0) || us > 60 * US_PER_SECOND || (hour === 24 && (minute > 0 || us > 0))) {
    throw new SqlError('22008', `time field value out of range: ${hour}:${two(minute)}:${second < 10 ? '0' : ''}${second}`);
  }
  return hour * US_PER_HOUR + minute * US_PER_MINUTE + us;
}

