/**
 * The proleptic Gregorian calendar: days since 1970-01-01 ↔ year, month, day (Hinnant's civil algorithms), and timestamps in
 * microseconds split into day and time of day. Years are astronomical (year 0 = 1 BC).
 */
import { SqlError } from './error.js';
import { US_PER_DAY } from './interval.js';

/** Microseconds since 1970: a number while |v| <= 2^53, a bigint beyond, ±Infinity. */
export type TimestampUs = number | bigint;

const SAFE_US = 9007199254740992;
/** Days whose every microsecond is exact in a number. */
const SAFE_DAYS = 104248;
/**
 * Limits of timestamps: 4714-11-24 BC as in PostgreSQL, and 294247-01-10, where 64 bits of microseconds since 1970 end
 * (PostgreSQL counts from 2000 and ends thirty years later).
 */
const TIMESTAMP_DAYS_MIN = -2440588;
export const TIMESTAMP_DAYS_END = 106751991;
const TIMESTAMP_US_END = 9223372036800000000n;
/** 5874898-01-01: the end of dates. */
export const DATE_END = 2145042906;
export const DATE_MIN = -2440588;

export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719468;
}

export interface CivilDate { readonly year: number; readonly month: number; readonly day: number }

export function civilFromDays(days: number): CivilDate {
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const doe = z - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return { year: yoe + era * 400 + (month <= 2 ? 1 : 0), month, day: doy - Math.floor((153 * mp + 2) / 5) + 1 };
}

export function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

export function daysInMonth(year: number, month: number): number {
  return month === 2 ? (isLeap(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** 0 = Sunday. */
export function dayOfWeek(days: number): number {
  return (((days + 4) % 7) + 7) % 7;
}

export function timestampOutOfRange(): SqlError {
  return new SqlError('22008', 'timestamp out of range');
}

/** Canonical form of microseconds; does not check the range. */
export function canonicalUs(v: bigint): TimestampUs {
  return v <= 9007199254740992n && v >= -9007199254740992n ? Number(v) : v;
}

/** Day and microsecond of the day → timestamp; 22008 out of range. `us` may be outside of the day. */
export function joinTimestamp(days: number, us: number): TimestampUs {
  if (days <= SAFE_DAYS && days >= -SAFE_DAYS) {
    const v = days * US_PER_DAY + us;
    if (v <= SAFE_US && v >= -SAFE_US) return v;
  }
  if (!(days >= TIMESTAMP_DAYS_MIN - 2 && days <= TIMESTAMP_DAYS_END + 2)) throw timestampOutOfRange();
  return checkTimestamp(BigInt(days) * BigInt(US_PER_DAY) + BigInt(us));
}

/** 22008 when outside of PostgreSQL's range. */
export function checkTimestamp(v: bigint): TimestampUs {
  if (v < BigInt(TIMESTAMP_DAYS_MIN) * BigInt(US_PER_DAY) || v >= TIMESTAMP_US_END) throw timestampOutOfRange();
  return canonicalUs(v);
}

/** Day number of a finite timestamp. */
export function timestampDays(t: TimestampUs): number {
  if (typeof t === 'number') return Math.floor(t / US_PER_DAY);
  const d = BigInt(US_PER_DAY);
  const q = t / d;
  return Number(t < 0n && t % d !== 0n ? q - 1n : q);
}

/** Microsecond of the day, >= 0. */
export function timestampTime(t: TimestampUs): number {
  if (typeof t === 'number') {
    const r = t % US_PER_DAY;
    return r < 0 ? r + US_PER_DAY : r + 0;
  }
  const d = BigInt(US_PER_DAY);
  const r = t % d;
  return Number(r < 0n ? r + d : r);
}

/** t + us (us a safe integer); infinities stay. */
export function addUs(t: TimestampUs, us: number): TimestampUs {
  if (typeof t === 'number') {
    const v = t + us;
    if ((v < SAFE_US && v > -SAFE_US) || v - v !== 0) return v;
    return checkTimestamp(BigInt(t) + BigInt(us));
  }
  return checkTimestamp(t + BigInt(us));
}

export function isFiniteTimestamp(t: TimestampUs): boolean {
  return typeof t === 'bigint' || (t !== Infinity && t !== -Infinity);
}

/** ISO week: year, week 1–53. */
export function isoWeek(days: number): { year: number; week: number } {
  const weekday = (dayOfWeek(days) + 6) % 7;
  const thursday = days - weekday + 3;
  const year = civilFromDays(thursday).year;
  return { year, week: Math.floor((thursday - daysFromCivil(year, 1, 1)) / 7) + 1 };
}

/** Monday of ISO week 1 of a year. */
export function isoYearStart(year: number): number {
  const jan4 = daysFromCivil(year, 1, 4);
  return jan4 - ((dayOfWeek(jan4) + 6) % 7);
}
