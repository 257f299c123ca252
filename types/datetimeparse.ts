/**
 * Reading dates and times as PostgreSQL does with DateStyle 'ISO, MDY'. The everyday ISO forms go through one regular
 * expression; the rest is cut into fields (numbers, dates, times, words, offsets) which fill year, month, day, time and zone in
 * the order they come, as DecodeDateTime does.
 *
 * Errors: 22007 not a date/time at all; 22008 a field out of range; 22009 an impossible offset; 22023 an unknown zone.
 */
import type { TimestampUs } from './calendar.js';
import { DATE_END, DATE_MIN, daysFromCivil, daysInMonth, joinTimestamp, timestampDays, timestampTime } from './calendar.js';
import { SqlError } from './error.js';
import { US_PER_DAY, US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND, roundEven } from './interval.js';
import type { TimeZone } from './timezone.js';
import { UTC, abbreviationOffset, findTimeZone, fromLocal, toLocal } from './timezone.js';

/** What reading needs of its surroundings: 'now' and the session's zone. */
export interface TimeContext {
  readonly nowUs: number;
  readonly timeZone: string;
}

export const UTC_CONTEXT: TimeContext = { nowUs: 0, timeZone: 'UTC' };

export type TimeTypeName = 'date' | 'time' | 'timestamp' | 'timestamp with time zone';

interface Parsed {
  /** Set for 'infinity', '-infinity', 'epoch', 'now': the whole value as timestamptz. */
  special: TimestampUs | null;
  days: number | null;
  us: number | null;
  zone: number | TimeZone | null;
}

const ISO = /^\s*(\d{4})-(\d{2})-(\d{2})(?:(?:[ T]|\s+)(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:\s?(Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?))?)?\s*$/;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH_NAMES = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];
const WEEKDAYS = /^(sun|mon|tue|tues|wed|weds|thu|thur|thurs|fri|sat|sunday|monday|tuesday|wednesday|thursday|friday|saturday)$/;

function badSyntax(type: TimeTypeName, text: string): SqlError {
  return new SqlError('22007', `invalid input syntax for type ${type}: "${text}"`);
}

function outOfRange(text: string, monthOrDay = false): SqlError {
  return new SqlError('22008', `date/time field value out of range: "${text}"`, monthOrDay ? { hint: 'Perhaps you need a different "datestyle" setting.' } : {});
}

/** 'MM'/'DD' checks of ValidateDate. */
function checkedDays(year: number, month: number, day: number, text: string): number {
  if (month < 1 || month > 12 || day < 1 || day > 31) throw outOfRange(text, true);
  if (day > daysInMonth(year, month)) throw outOfRange(text);
  return daysFromCivil(year, month, day);
}

function parseFraction(digits: string): number {
  return digits.length <= 6 ? Number(digits.padEnd(6, '0')) : roundEven(Number(`0.${digits}`) * US_PER_SECOND);
}

function parseOffset(s: string, text: string): number {
  if (s === 'Z' || s === 'z') return 0;
  const m = /^([+-])(\d+)(?::(\d+))?(?::(\d+))?$/.exec(s);
  if (m === null) throw new SqlError('22007', `invalid input syntax for type timestamp with time zone: "${text}"`);
  let hours = Number(m[2]);
  let minutes = Number(m[3] ?? 0);
  const seconds = Number(m[4] ?? 0);
  if (m[3] === undefined && m[2].length > 2) {
    hours = Number(m[2].slice(0, -2));
    minutes = Number(m[2].slice(-2));
  }
  if (hours > 15 || minutes > 59 || seconds > 59) throw new SqlError('22009', `time zone displacement out of range: "${text}"`);
  const total = hours * 3600 + minutes * 60 + seconds;
  return m[1] === '-' ? 0 - total : total;
}

function clock(h: number, m: number, s: number, us: number, text: string): number {
  if (m > 59 || s > 60 || h > 24 || (h === 24 && (m > 0 || s > 0 || us > 0))) throw outOfRange(text);
  return h * US_PER_HOUR + m * US_PER_MINUTE + s * US_PER_SECOND + us;
}

function parse(text: string, type: TimeTypeName, ctx: TimeContext): Parsed {
  const m = type === 'time' ? null : ISO.exec(text);
  if (m === null) return new FieldReader(text, type, ctx).read();
  const days = checkedDays(Number(m[1]), Number(m[2]), Number(m[3]), text);
  if (Number(m[1]) === 0) throw outOfRange(text);
  if (m[4] === undefined) return { special: null, days, us: null, zone: null };
  const us = clock(Number(m[4]), Number(m[5]), Number(m[6] ?? 0), m[7] === undefined ? 0 : parseFraction(m[7]), text);
  return { special: null, days, us, zone: m[8] === undefined ? null : parseOffset(m[8], text) };
}

const TOKEN = /[\s,]*(?:(\d+(?::\d+)+(?:\.\d*)?|\d+:\d+\.\d*)|(\d+(?:[-/]\d+[-/]\d+|[-/][A-Za-z]{3,9}[-/]\d+|\.\d+\.\d+)(?!\d))|(\d{2,}[-/][A-Za-z]+[-/]\d+)|([A-Za-z]{3,9}-\d{1,2}-\d+)|(\d+\.\d*|\.\d+|\d+)|([+-]\d+(?::\d+)*)|([A-Za-z]{3}\d[A-Za-z]{3}|[+-]?[A-Za-z][A-Za-z_]*(?:\/[A-Za-z0-9_+\-/]+)?)|(-)|([^\s]))/y;

/** The general form: fields in any sensible order. */
class FieldReader {
  readonly #text: string;
  readonly #type: TimeTypeName;
  readonly #ctx: TimeContext;
  #year: number | null = null;
  #yearDigits = 4;
  #month: number | null = null;
  #day: number | null = null;
  #days: number | null = null;
  #us: number | null = null;
  #zone: number | TimeZone | null = null;
  #special: TimestampUs | null = null;
  #bc = false;
  #meridian: 'am' | 'pm' | null = null;
  #julian = false;

  constructor(text: string, type: TimeTypeName, ctx: TimeContext) {
    this.#text = text;
    this.#type = type;
    this.#ctx = ctx;
  }

  #bad(): SqlError {
    return badSyntax(this.#type, this.#text);
  }

  read(): Parsed {
    const text = this.#text.trim();
    if (text === '') throw this.#bad();
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const m = TOKEN.exec(text);
      if (m === null) throw this.#bad();
      if (m[1] !== undefined) this.#time(m[1]);
      else if (m[2] !== undefined || m[3] !== undefined || m[4] !== undefined) this.#date(m[2] ?? m[3] ?? m[4]);
      else if (m[5] !== undefined) this.#number(m[5]);
      else if (m[6] !== undefined) this.#offset(m[6]);
      else if (m[7] !== undefined) this.#word(m[7]);
      else throw this.#bad();
    }
    return this.#finish();
  }

  #time(s: string): void {
    if (this.#us !== null) throw this.#bad();
    const [whole, fraction] = s.split('.');
    const parts = whole.split(':').map(Number);
    if (parts.length > 3) throw this.#bad();
    if (parts.length === 2 && fraction !== undefined && fraction !== '') throw this.#bad();
    this.#us = clock(parts[0], parts[1], parts[2] ?? 0, fraction === undefined || fraction === '' ? 0 : parseFraction(fraction), this.#text);
  }

  #date(s: string): void {
    if (this.#day !== null || this.#days !== null) throw this.#bad();
    const parts = s.split(/[-/.]/);
    const word = parts.findIndex((p) => /^[A-Za-z]/.test(p));
    if (word >= 0) {
      this.#month = this.#monthOf(parts[word].toLowerCase());
      if (this.#month === null) throw this.#bad();
      const rest = parts.filter((_, i) => i !== word);
      // 1999-Jan-08, 08-Jan-1999, Jan-08-1999, 08-Jan-99
      const yearFirst = rest[0].length > 2;
      this.#setYear(rest[yearFirst ? 0 : 1]);
      this.#day = Number(rest[yearFirst ? 1 : 0]);
      return;
    }
    if (parts[0].length >= 3) {
      this.#setYear(parts[0]);
      this.#month = Number(parts[1]);
      this.#day = Number(parts[2]);
    } else {
      this.#month = Number(parts[0]);
      this.#day = Number(parts[1]);
      this.#setYear(parts[2]);
    }
  }

  #setYear(digits: string): void {
    if (this.#year !== null) throw this.#bad();
    this.#year = Number(digits);
    this.#yearDigits = digits.length;
  }

  #number(s: string): void {
    if (this.#julian && this.#days === null) {
      this.#days = Math.floor(Number(s)) - 2440588;
      return;
    }
    const [whole, fraction] = s.split('.');
    const dateDone = this.#day !== null || this.#days !== null;
    if (dateDone && this.#us === null && (whole.length === 6 || whole.length === 4) && (this.#year !== null || this.#days !== null)) return this.#bareTime(whole, fraction);
    if (fraction !== undefined && fraction !== '' && this.#type !== 'time') {
      if (whole.length === 4 && fraction.length === 3 && this.#year === null) {
        this.#setYear(whole);
        this.#days = daysFromCivil(Number(whole), 1, 1) + Number(fraction) - 1;
        return;
      }
      throw this.#bad();
    }
    if (this.#type === 'time' && this.#us === null && (whole.length === 6 || whole.length === 4)) return this.#bareTime(whole, fraction);
    if (whole.length >= 6 && !dateDone && this.#month === null && this.#year === null) {
      // yyyymmdd or yymmdd
      const yearLength = whole.length - 4;
      this.#setYear(whole.slice(0, yearLength));
      this.#month = Number(whole.slice(yearLength, yearLength + 2));
      this.#day = Number(whole.slice(yearLength + 2));
      return;
    }
    if (whole.length >= 3) {
      this.#setYear(whole);
      return;
    }
    const v = Number(whole);
    if (this.#month === null && this.#year === null) this.#month = v;
    else if (this.#month === null) this.#month = v;
    else if (this.#day === null) this.#day = v;
    else if (this.#year === null) this.#setYear(whole);
    else throw this.#bad();
  }

  #bareTime(whole: string, fraction: string | undefined): void {
    const h = Number(whole.slice(0, 2));
    const mi = Number(whole.slice(2, 4));
    const sec = whole.length === 6 ? Number(whole.slice(4)) : 0;
    this.#us = clock(h, mi, sec, fraction === undefined || fraction === '' ? 0 : parseFraction(fraction), this.#text);
  }

  #offset(s: string): void {
    if (this.#us === null && this.#day !== null && this.#year === null && s.startsWith('-')) {
      this.#setYear(s.slice(1));
      return;
    }
    if (this.#us === null || typeof this.#zone === 'number' && this.#zone !== 0) throw this.#bad();
    this.#zone = parseOffset(s, this.#text);
  }

  #monthOf(word: string): number | null {
    const i = MONTHS.indexOf(word === 'sept' ? 'sep' : word);
    const j = i >= 0 ? i : MONTH_NAMES.indexOf(word);
    return j < 0 ? null : j + 1;
  }

  #word(raw: string): void {
    const word = raw.toLowerCase();
    const month = this.#monthOf(word);
    if (month !== null) {
      // '8 January 1999': the number taken as a month was the day.
      if (this.#month !== null && this.#day === null) this.#day = this.#month;
      this.#month = month;
      return;
    }
    if (WEEKDAYS.test(word)) return;
    switch (word) {
      case 'am': case 'pm': this.#meridian = word; return;
      case 'bc': this.#bc = true; return;
      case 'ad': case 'at': case 'on': return;
      case 't': if (this.#day === null && this.#days === null && this.#type !== 'time') throw this.#bad(); return;
      case 'j': this.#julian = true; return;
      case 'infinity': case '+infinity': this.#special = Infinity; return;
      case '-infinity': this.#special = -Infinity; return;
      case 'epoch': this.#special = 0; return;
      case 'now': this.#special = this.#ctx.nowUs; return;
      case 'today': this.#relative(0); return;
      case 'tomorrow': this.#relative(1); return;
      case 'yesterday': this.#relative(-1); return;
      case 'allballs': this.#us = 0; this.#zone = 0; return;
      default:
    }
    const offset = abbreviationOffset(word);
    if (offset !== undefined) {
      this.#zone = offset;
      return;
    }
    if (/^j\d+$/.test(word)) {
      this.#days = Number(word.slice(1)) - 2440588;
      return;
    }
    const zone = this.#us !== null || this.#day !== null ? findTimeZone(raw) : null;
    if (zone === null) {
      if (raw.includes('/')) throw new SqlError('22023', `time zone "${raw.toLowerCase()}" not recognized`);
      throw this.#bad();
    }
    this.#zone = zone;
  }

  #relative(plus: number): void {
    this.#days = timestampDays(toLocal(this.#ctx.nowUs, findTimeZone(this.#ctx.timeZone) ?? UTC)) + plus;
  }

  #finish(): Parsed {
    let us = this.#us;
    if (this.#meridian !== null) {
      if (us === null) throw this.#bad();
      const hour = Math.floor(us / US_PER_HOUR);
      if (hour > 12) throw outOfRange(this.#text);
      if (this.#meridian === 'am' && hour === 12) us -= 12 * US_PER_HOUR;
      if (this.#meridian === 'pm' && hour !== 12) us += 12 * US_PER_HOUR;
    }
    if (this.#special !== null) return { special: this.#special, days: null, us, zone: null };
    if (this.#days === null && (this.#year !== null || this.#month !== null || this.#day !== null)) {
      if (this.#year === null || this.#month === null || this.#day === null) throw this.#bad();
      this.#days = this.#civil(this.#year, this.#month, this.#day);
    } else if (this.#days !== null && this.#bc && this.#year !== null) {
      this.#days = daysFromCivil(1 - this.#year, 1, 1) + (this.#days - daysFromCivil(this.#year, 1, 1));
    }
    if (this.#days === null && us === null) throw this.#bad();
    return { special: null, days: this.#days, us, zone: this.#zone };
  }

  #civil(year: number, month: number, day: number): number {
    let y = year;
    if (this.#bc) {
      if (y <= 0) throw outOfRange(this.#text);
      y = 1 - y;
    } else if (this.#yearDigits <= 2) y += y < 70 ? 2000 : 1900;
    else if (y === 0) throw outOfRange(this.#text);
    return checkedDays(y, month, day, this.#text);
  }
}

export function parseDate(text: string, ctx: TimeContext): number {
  const p = parse(text, 'date', ctx);
  if (p.special !== null) {
    if (p.special === Infinity || p.special === -Infinity) return Number(p.special);
    return timestampDays(p.special === 0 ? 0 : toLocal(p.special, findTimeZone(ctx.timeZone) ?? UTC));
  }
  if (p.days === null) throw badSyntax('date', text);
  if (p.days < DATE_MIN || p.days >= DATE_END) throw new SqlError('22008', `date out of range: "${text}"`);
  return p.days;
}

/** Microseconds since midnight; 24:00:00 is allowed. */
export function parseTime(text: string, ctx: TimeContext): number {
  const p = parse(text, 'time', ctx);
  if (p.special !== null) {
    if (p.special === Infinity || p.special === -Infinity || p.special === 0) throw badSyntax('time', text);
    return timestampTime(toLocal(p.special, findTimeZone(ctx.timeZone) ?? UTC));
  }
  // The offset of a named zone depends on the date.
  if (p.us === null || (p.days === null && p.zone !== null && typeof p.zone !== 'number')) throw badSyntax('time', text);
  if (p.us > US_PER_DAY) throw outOfRange(text);
  return p.us;
}

function joined(p: Parsed, text: string, type: TimeTypeName): TimestampUs {
  if (p.days === null) throw badSyntax(type, text);
  try {
    return joinTimestamp(p.days, p.us ?? 0);
  } catch (cause) {
    throw new SqlError('22008', `timestamp out of range: "${text}"`, { cause });
  }
}

export function parseTimestamp(text: string, ctx: TimeContext): TimestampUs {
  const p = parse(text, 'timestamp', ctx);
  if (p.special !== null) return p.special === 0 ? 0 : toLocal(p.special, findTimeZone(ctx.timeZone) ?? UTC);
  return joined(p, text, 'timestamp');
}

export function parseTimestamptz(text: string, ctx: TimeContext): TimestampUs {
  const p = parse(text, 'timestamp with time zone', ctx);
  if (p.special !== null) return p.special;
  const local = joined(p, text, 'timestamp with time zone');
  if (typeof p.zone === 'number') {
    const shifted = { special: null, days: timestampDays(local), us: timestampTime(local) - p.zone * US_PER_SECOND, zone: null };
    return joined(shifted, text, 'timestamp with time zone');
  }
  return fromLocal(local, p.zone ?? findTimeZone(ctx.timeZone) ?? UTC);
}

