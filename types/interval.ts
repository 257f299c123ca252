/**
 * Interval: months, days and microseconds, kept apart as PostgreSQL does (a month has no fixed number of days).
 *
 * Reads the 'postgres' style ('1 year 2 mons 3 days 04:05:06.7', '1 day ago', '@ 1 hour'), SQL standard forms ('1-2', '3 4:05:06')
 * and ISO 8601 ('P1Y2M3DT4H5M6S', 'P0001-02-03T04:05:06'); prints the 'postgres' style. Comparison is by 30-day months and 24-hour days.
 * Microseconds are a number: 2^53 µs are 285 years of pure time, checked (22008 beyond).
 */
import { SqlError } from './error.js';

export const US_PER_SECOND = 1000000;
export const US_PER_MINUTE = 60 * US_PER_SECOND;
export const US_PER_HOUR = 60 * US_PER_MINUTE;
export const US_PER_DAY = 24 * US_PER_HOUR;
const US_SAFE_MAX = 9007199254740992;
const INT4_MAX = 2147483647;
const INT4_MIN = -2147483648;

export class Interval {
  readonly months: number;
  readonly days: number;
  readonly us: number;

  /** Whole numbers; 22008 when a field leaves its range. */
  constructor(months: number, days: number, us: number) {
    if (!(months >= INT4_MIN && months <= INT4_MAX && days >= INT4_MIN && days <= INT4_MAX && us >= -US_SAFE_MAX && us <= US_SAFE_MAX)) {
      throw intervalOutOfRange();
    }
    this.months = months + 0;
    this.days = days + 0;
    this.us = us + 0;
  }

  static readonly ZERO = new Interval(0, 0, 0);

  static parse(text: string): Interval {
    return parseInterval(text);
  }

  toString(): string {
    return formatInterval(this);
  }

  toJSON(): string {
    return formatInterval(this);
  }

  add(o: Interval): Interval {
    return new Interval(this.months + o.months, this.days + o.days, this.us + o.us);
  }

  sub(o: Interval): Interval {
    return new Interval(this.months - o.months, this.days - o.days, this.us - o.us);
  }

  neg(): Interval {
    return new Interval(-this.months, -this.days, -this.us);
  }

  /** interval * float8: fractions of months spill to days, fractions of days to time (interval_mul). */
  mul(factor: number): Interval {
    if (Number.isNaN(factor) || !Number.isFinite(factor)) throw intervalOutOfRange();
    const months = Math.trunc(this.months * factor);
    const days = Math.trunc(this.days * factor);
    let monthDays = tsRound((this.months * factor - months) * 30);
    let seconds = tsRound((this.days * factor - days + monthDays - Math.trunc(monthDays)) * 86400);
    monthDays = Math.trunc(monthDays);
    let extra = 0;
    if (Math.abs(seconds) >= 86400) {
      extra = Math.trunc(seconds / 86400);
      seconds -= extra * 86400;
    }
    return new Interval(months, days + monthDays + extra, roundEven(this.us * factor + seconds * US_PER_SECOND));
  }

  div(divisor: number): Interval {
    if (divisor === 0) throw new SqlError('22012', 'division by zero');
    const months = Math.trunc(this.months / divisor);
    const days = Math.trunc(this.days / divisor);
    let monthDays = tsRound((this.months / divisor - months) * 30);
    let seconds = tsRound((this.days / divisor - days + monthDays - Math.trunc(monthDays)) * 86400);
    monthDays = Math.trunc(monthDays);
    let extra = 0;
    if (Math.abs(seconds) >= 86400) {
      extra = Math.trunc(seconds / 86400);
      seconds -= extra * 86400;
    }
    return new Interval(months, days + monthDays + extra, roundEven(this.us / divisor + seconds * US_PER_SECOND));
  }

  compare(o: Interval): number {
    const a = this.#days();
    const b = o.#days();
    if (a !== b) return a < b ? -1 : 1;
    const x = this.us % US_PER_DAY;
    const y = o.us % US_PER_DAY;
    // Same whole days by truncation may still differ by sign of the rest: compare the exact span.
    if (x === y) return 0;
    return x < y ? -1 : 1;
  }

  /** Whole days of the span, with the rest of `us` of the same sign as us. */
  #days(): number {
    return this.months * 30 + this.days + Math.trunc(this.us / US_PER_DAY);
  }

  /** The span in microseconds with 30-day months, exact; equal intervals have equal spans. */
  span(): bigint {
    return BigInt(this.months * 30 + this.days) * BigInt(US_PER_DAY) + BigInt(this.us);
  }

  justifyHours(): Interval {
    const whole = Math.trunc(this.us / US_PER_DAY);
    let days = this.days + whole;
    let us = this.us - whole * US_PER_DAY;
    if (days > 0 && us < 0) { us += US_PER_DAY; days--; }
    else if (days < 0 && us > 0) { us -= US_PER_DAY; days++; }
    return new Interval(this.months, days, us);
  }

  justifyDays(): Interval {
    const whole = Math.trunc(this.days / 30);
    let months = this.months + whole;
    let days = this.days - whole * 30;
    if (months > 0 && days < 0) { days += 30; months--; }
    else if (months < 0 && days > 0) { days -= 30; months++; }
    return new Interval(months, days, this.us);
  }

  justifyInterval(): Interval {
    let { months, days, us } = this;
    if ((days > 0 && us > 0) || (days < 0 && us < 0)) {
      const wholeDays = Math.trunc(us / US_PER_DAY);
      days += wholeDays;
      us -= wholeDays * US_PER_DAY;
    }
    let whole = Math.trunc(us / US_PER_DAY);
    us -= whole * US_PER_DAY;
    days += whole;
    whole = Math.trunc(days / 30);
    days -= whole * 30;
    months += whole;
    if (months > 0 && (days < 0 || (days === 0 && us < 0))) { days += 30; months--; }
    else if (months < 0 && (days > 0 || (days === 0 && us > 0))) { days -= 30; months++; }
    if (days > 0 && us < 0) { us += US_PER_DAY; days--; }
    else if (days < 0 && us > 0) { us -= US_PER_DAY; days++; }
    return new Interval(months, days, us);
  }
}

export function intervalOutOfRange(): SqlError {
  return new SqlError('22008', 'interval out of range');
}

/** TSROUND of timestamp.c: to microseconds, so that 0.1 * 30 days does not show binary dust. */
function tsRound(v: number): number {
  return roundEven(v * 1e6) / 1e6;
}

/** C's rint: half to even. */
export function roundEven(v: number): number {
  const r = Math.round(v);
  return Math.abs(v % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

function formatInterval(v: Interval): string {
  const parts: string[] = [];
  const years = Math.trunc(v.months / 12);
  const months = v.months % 12;
  let negativeBefore = false;
  const field = (n: number, unit: string): void => {
    if (n === 0) return;
    parts.push(`${negativeBefore && n > 0 ? '+' : ''}${n} ${unit}${n === 1 ? '' : 's'}`);
    negativeBefore = n < 0;
  };
  field(years, 'year');
  field(months, 'mon');
  field(v.days, 'day');
  if (v.us !== 0 || parts.length === 0) {
    const sign = v.us < 0 ? '-' : negativeBefore ? '+' : '';
    parts.push(sign + formatClock(Math.abs(v.us)));
  }
  return parts.join(' ');
}

/** hh:mm:ss[.ffffff] of microseconds >= 0; hours may exceed 24. */
export function formatClock(us: number): string {
  const hours = Math.floor(us / US_PER_HOUR);
  const minutes = Math.floor((us % US_PER_HOUR) / US_PER_MINUTE);
  const seconds = Math.floor((us % US_PER_MINUTE) / US_PER_SECOND);
  const fraction = us % US_PER_SECOND;
  const base = `${hours < 10 ? '0' : ''}${hours}:${minutes < 10 ? '0' : ''}${minutes}:${seconds < 10 ? '0' : ''}${seconds}`;
  return fraction === 0 ? base : `${base}.${fraction.toString().padStart(6, '0').replace(/0+$/, '')}`;
}

/** Accumulates fields exactly: a fraction of a unit spills into smaller ones as PostgreSQL does. */
class IntervalFields {
  months = 0;
  days = 0;
  us = 0;

  addUs(value: number, fraction: number, unitUs: number): void {
    this.us += value * unitUs + roundEven(fraction * unitUs);
  }

  addDays(value: number, fraction: number, unitDays: number): void {
    this.days += value * unitDays;
    const rest = fraction * unitDays;
    const whole = Math.trunc(rest);
    this.days += whole;
    this.us += roundEven((rest - whole) * US_PER_DAY);
  }

  addMonths(value: number, fraction: number): void {
    this.months += value;
    if (fraction !== 0) this.addDays(0, fraction, 30);
  }

  addYears(value: number, fraction: number, unitYears: number): void {
    this.months += value * unitYears * 12 + roundEven(fraction * unitYears * 12);
  }
}

type UnitAdder = (f: IntervalFields, value: number, fraction: number) => void;

const UNITS: ReadonlyMap<string, UnitAdder> = new Map(unitTable());

function unitTable(): [string, UnitAdder][] {
  const table: [string, UnitAdder][] = [];
  const add = (names: string, adder: UnitAdder): void => {
    for (const n of names.split(' ')) table.push([n, adder]);
  };
  add('us usec usecs usecond useconds microsecond microseconds microsecon', (f, v, r) => f.addUs(v, r, 1));
  add('ms msec msecs msecond mseconds millisecond milliseconds millisecon', (f, v, r) => f.addUs(v, r, 1000));
  add('s sec secs second seconds', (f, v, r) => f.addUs(v, r, US_PER_SECOND));
  add('m min mins minute minutes', (f, v, r) => f.addUs(v, r, US_PER_MINUTE));
  add('h hr hrs hour hours', (f, v, r) => f.addUs(v, r, US_PER_HOUR));
  add('d day days', (f, v, r) => f.addDays(v, r, 1));
  add('w week weeks', (f, v, r) => f.addDays(v, r, 7));
  add('mon mons month months', (f, v, r) => f.addMonths(v, r));
  add('y yr yrs year years', (f, v, r) => f.addYears(v, r, 1));
  add('dec decs decade decades', (f, v, r) => f.addYears(v, r, 10));
  add('c cent century centuries', (f, v, r) => f.addYears(v, r, 100));
  add('mil mils millennia millennium millenniums', (f, v, r) => f.addYears(v, r, 1000));
  return table;
}

function badInterval(text: string): SqlError {
  return new SqlError('22007', `invalid input syntax for type interval: "${text}"`);
}

/** Sign, whole part and signed fraction of '-12.5'; exact for the digits a double holds. */
function splitNumber(s: string): { value: number; fraction: number } {
  const negative = s.startsWith('-');
  const body = s.replace(/^[+-]/, '');
  const dot = body.indexOf('.');
  const whole = Number(dot < 0 ? body : body.slice(0, dot) || '0');
  const fraction = dot < 0 || dot === body.length - 1 ? 0 : Number(`0${body.slice(dot)}`);
  if (whole > US_SAFE_MAX) throw new SqlError('22015', `interval field value out of range: "${s}"`);
  return negative ? { value: -whole, fraction: -fraction } : { value: whole, fraction };
}

const TOKEN = /\s*(?:([+-]?\d+-\d+)(?![\d.:-])|([+-]?\d+:\d+(?::\d+)?(?:\.\d*)?)|([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\d.+-])|([a-zA-Z]+)|(@))/y;

/** A field may stand once; fractional seconds take their parts with them. */
class Written {
  readonly #text: string;
  readonly #fields = new Set<UnitAdder>();

  constructor(text: string) {
    this.#text = text;
  }

  add(unit: UnitAdder, fraction: number): void {
    if (unit === unitNamed('second') && fraction !== 0) this.#addAll('second', 'millisecond', 'microsecond');
    else this.#add(unit);
  }

  addClock(): void {
    this.#addAll('hour', 'minute', 'second', 'millisecond', 'microsecond');
  }

  #addAll(...names: readonly string[]): void {
    for (const n of names) this.#add(unitNamed(n));
  }

  #add(unit: UnitAdder): void {
    if (this.#fields.has(unit)) throw badInterval(this.#text);
    this.#fields.add(unit);
  }
}

function unitNamed(name: string): UnitAdder {
  const unit = UNITS.get(name);
  if (unit === undefined) throw new Error(`internal error: no interval unit ${name}`);
  return unit;
}

/** `bareUnit` is the unit of a bare trailing number, and `minuteFirst` reads 'a:b' as minutes and seconds: fields (DAY, MINUTE TO SECOND) set them. */
export function parseInterval(text: string, bareUnit = 'second', minuteFirst = false): Interval {
  const trimmed = text.trim();
  if (trimmed === '') throw badInterval(text);
  if (/^-?P/i.test(trimmed)) return parseIso(trimmed, text);
  const f = new IntervalFields();
  const written = new Written(text);
  let pending: { value: number; fraction: number } | null = null;
  /** The number before `pending`: days, when `pending` turns out to be hours. */
  let before: { value: number; fraction: number } | null = null;
  const addDays = (n: { value: number; fraction: number }): void => {
    written.add(unitNamed('day'), 0);
    f.addDays(n.value, n.fraction, 1);
  };
  const addUnit = (n: { value: number; fraction: number }, unit: UnitAdder): void => {
    if (before !== null) {
      if (unit !== unitNamed('hour')) throw badInterval(text);
      addDays(before);
      before = null;
    }
    written.add(unit, n.fraction);
    unit(f, n.value, n.fraction);
  };
  let ago = false;
  let any = false;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const m = TOKEN.exec(trimmed);
    if (m === null) throw badInterval(text);
    if (m[1] !== undefined) {
      const negative = m[1].startsWith('-');
      const [y, mo] = m[1].replace(/^[+-]/, '').split('-').map(Number);
      if (mo > 11) throw new SqlError('22015', `interval field value out of range: "${text}"`);
      written.add(unitNamed('month'), 0);
      f.months += (negative ? -1 : 1) * (y * 12 + mo);
      any = true;
    } else if (m[2] !== undefined) {
      // '3 4:05:06': a bare number before a time is days.
      if (before !== null) throw badInterval(text);
      if (pending !== null) addDays(pending);
      pending = null;
      written.addClock();
      f.us += parseClock(m[2], text, minuteFirst);
      any = true;
    } else if (m[3] !== undefined) {
      if (before !== null) throw badInterval(text);
      before = pending;
      pending = splitNumber(/[eE]/.test(m[3]) ? Number(m[3]).toFixed(9) : m[3]);
    } else if (m[4] !== undefined) {
      const word = m[4].toLowerCase();
      if (word === 'ago') {
        if (TOKEN.lastIndex < trimmed.length || !any) throw badInterval(text);
        ago = true;
        continue;
      }
      const unit = UNITS.get(word);
      if (unit === undefined || pending === null) throw badInterval(text);
      addUnit(pending, unit);
      pending = null;
      any = true;
    }
  }
  if (pending !== null) {
    const unit = UNITS.get(bareUnit);
    if (unit === undefined) throw badInterval(text);
    addUnit(pending, unit);
    any = true;
  }
  if (!any) throw badInterval(text);
  return build(ago ? { months: -f.months, days: -f.days, us: -f.us } : f, text);
}

function build(f: { months: number; days: number; us: number }, text: string): Interval {
  if (f.months > INT4_MAX || f.months < INT4_MIN || f.days > INT4_MAX || f.days < INT4_MIN || Math.abs(f.us) > US_SAFE_MAX) {
    throw new SqlError('22015', `interval field value out of range: "${text}"`);
  }
  return new Interval(f.months, f.days, f.us);
}

/** '[-]h:m[:s[.f]]', 'm:s.f' → microseconds. */
function parseClock(s: string, text: string, minuteFirst = false): number {
  const negative = s.startsWith('-');
  const parts = s.replace(/^[+-]/, '').split(':');
  let hours = Number(parts[0]);
  let minutes = Number(parts[1]);
  let seconds = parts.length > 2 ? parts[2] : '0';
  if (parts.length === 2 && (minuteFirst || parts[1].includes('.'))) {
    seconds = parts[1];
    minutes = hours;
    hours = 0;
  }
  const whole = Number(seconds.split('.')[0]);
  if (minutes > 59 || whole > 60) throw new SqlError('22015', `interval field value out of range: "${text}"`);
  const us = hours * US_PER_HOUR + minutes * US_PER_MINUTE + roundEven(Number(seconds) * US_PER_SECOND);
  return negative ? -us : us;
}

function parseIso(s: string, text: string): Interval {
  const alternative = /^P(\d+)-(\d+)-(\d+)(?:T(\d+):(\d+):(\d+(?:\.\d*)?))?$/i.exec(s);
  const f = new IntervalFields();
  if (alternative !== null) {
    f.months = Number(alternative[1]) * 12 + Number(alternative[2]);
    f.days = Number(alternative[3]);
    if (alternative[4] !== undefined) f.us = parseClock(`${alternative[4]}:${alternative[5]}:${alternative[6]}`, text);
    return build(f, text);
  }
  const body = s.replace(/^-?P/i, '');
  const sign = s.startsWith('-') ? -1 : 1;
  const [datePart, timePart, ...rest] = body.split(/T/i);
  if (rest.length > 0 || (datePart === '' && (timePart ?? '') === '')) throw badInterval(text);
  const units = (part: string, map: Readonly<Record<string, string>>): void => {
    const re = /([+-]?(?:\d+\.?\d*|\.\d+))([A-Z])/giy;
    while (re.lastIndex < part.length) {
      const m = re.exec(part);
      const unit = m === null ? undefined : UNITS.get(map[m[2].toUpperCase()] ?? '');
      if (m === null || unit === undefined) throw badInterval(text);
      const n = splitNumber(m[1]);
      unit(f, n.value * sign, n.fraction * sign);
    }
  };
  units(datePart, { Y: 'year', M: 'month', W: 'week', D: 'day' });
  if (timePart !== undefined) units(timePart, { H: 'hour', M: 'minute', S: 'second' });
  return build(f, text);
}
