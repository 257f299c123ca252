/**
 * Time zones: IANA names (through Intl), PostgreSQL's abbreviations, POSIX strings ('EST5EDT' is an IANA name; '<+03>-3',
 * 'UTC+3', '+3': positive is west) and ISO offsets inside timestamps ('+02:00': positive is east).
 *
 * Intl costs ~3 µs a question, so offsets are kept per zone and year as a list of (from, offset): thirteen probes a year, and
 * a bisection where two neighbours differ. A lookup is then a short scan. Cache sizes are bounded.
 */
import type { TimestampUs } from './calendar.js';
import { addUs, civilFromDays, daysFromCivil } from './calendar.js';
import { SqlError } from './error.js';
import { US_PER_SECOND } from './interval.js';

export interface TimeZone {
  readonly name: string;
  /** Seconds east of UTC at a moment given in seconds since 1970 UTC. */
  offsetAt(utcSeconds: number): number;
  /** Abbreviation at that moment ('CET', 'UTC', or '+03'). */
  abbreviationAt(utcSeconds: number): string;
}

const ZONES_MAX = 1000;
const YEARS_MAX = 4000;
const PROBE_SECONDS = 28 * 86400;

class FixedZone implements TimeZone {
  readonly name: string;
  readonly #offset: number;
  readonly #abbreviation: string;

  constructor(name: string, offset: number, abbreviation: string) {
    this.name = name;
    this.#offset = offset;
    this.#abbreviation = abbreviation;
  }

  offsetAt(): number {
    return this.#offset;
  }

  abbreviationAt(): string {
    return this.#abbreviation;
  }
}

interface YearOffsets { readonly from: readonly number[]; readonly offset: readonly number[] }

class IanaZone implements TimeZone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #years = new Map<number, YearOffsets>();
  #lastFrom = NaN;
  #lastEnd = NaN;
  #lastOffset = 0;

  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
    });
  }

  offsetAt(utcSeconds: number): number {
    if (utcSeconds >= this.#lastFrom && utcSeconds < this.#lastEnd) return this.#lastOffset;
    // Intl's Date ends at ±8.64e12 s; far moments use the edge years' rules of the same place in a 400-year cycle.
    let probe = utcSeconds;
    const cycle = 146097 * 86400;
    if (probe > 4e11) probe = (probe % cycle) + cycle;
    if (probe < -4e10) probe = -4e10;
    const year = civilFromDays(Math.floor(probe / 86400)).year;
    const y = this.#year(year);
    let i = y.from.length - 1;
    while (i > 0 && y.from[i] > probe) i--;
    if (probe === utcSeconds) {
      this.#lastFrom = y.from[i];
      this.#lastEnd = i + 1 < y.from.length ? y.from[i + 1] : daysFromCivil(year + 1, 1, 1) * 86400;
      this.#lastOffset = y.offset[i];
    }
    return y.offset[i];
  }

  abbreviationAt(utcSeconds: number): string {
    const offset = this.offsetAt(utcSeconds);
    const summer = offset > Math.min(this.offsetAt(utcSeconds - 182 * 86400), this.offsetAt(utcSeconds + 182 * 86400));
    const known = ABBREVIATION_OF.get(this.name)?.[summer ? 1 : 0];
    if (known !== undefined && offset % 60 === 0) return known;
    const parts = new Intl.DateTimeFormat('en-US', { timeZone: this.name, timeZoneName: 'short' }).formatToParts(utcSeconds * 1000);
    const short = parts.find((p) => p.type === 'timeZoneName')?.value ?? '';
    if (offset % 60 !== 0) return 'LMT';
    return /^[A-Z]{3,5}$/.test(short) ? short : formatOffset(offset);
  }

  #year(year: number): YearOffsets {
    const known = this.#years.get(year);
    if (known !== undefined) return known;
    const start = daysFromCivil(year, 1, 1) * 86400;
    const end = daysFromCivil(year + 1, 1, 1) * 86400;
    const from = [start];
    const offset = [this.#ask(start)];
    for (let lo = start; lo < end; lo += PROBE_SECONDS) {
      let a = lo;
      let b = Math.min(lo + PROBE_SECONDS, end - 1);
      const before = this.#ask(a);
      const after = this.#ask(b);
      if (before === after) continue;
      while (b - a > 1) {
        const mid = Math.floor((a + b) / 2);
        if (this.#ask(mid) === before) a = mid;
        else b = mid;
      }
      from.push(b);
      offset.push(after);
    }
    if (this.#years.size >= YEARS_MAX) this.#years.clear();
    const made = { from, offset };
    this.#years.set(year, made);
    return made;
  }

  #ask(utcSeconds: number): number {
    let year = 0;
    let month = 1;
    let day = 1;
    let clock = 0;
    let bc = false;
    for (const p of this.#format.formatToParts(utcSeconds * 1000)) {
      if (p.type === 'year') year = Number(p.value);
      else if (p.type === 'month') month = Number(p.value);
      else if (p.type === 'day') day = Number(p.value);
      else if (p.type === 'hour') clock += Number(p.value) * 3600;
      else if (p.type === 'minute') clock += Number(p.value) * 60;
      else if (p.type === 'second') clock += Number(p.value);
      else if (p.type === 'era') bc = p.value.startsWith('B');
    }
    return daysFromCivil(bc ? 1 - year : year, month, day) * 86400 + clock - utcSeconds;
  }
}

/** '+HH[:MM[:SS]]' */
export function formatOffset(seconds: number): string {
  const a = Math.abs(seconds);
  const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
  let out = (seconds < 0 ? '-' : '+') + two(Math.floor(a / 3600));
  if (a % 3600 !== 0) out += `:${two(Math.floor((a % 3600) / 60))}`;
  if (a % 60 !== 0) out += `:${two(a % 60)}`;
  return out;
}

/** Abbreviations of PostgreSQL's default set, in hours east. */
const ABBREVIATIONS: ReadonlyMap<string, number> = new Map(Object.entries({
  UTC: 0, UT: 0, GMT: 0, Z: 0, ZULU: 0, WET: 0, WEST: 1, WETDST: 1, BST: 1, CET: 1, CEST: 2, CETDST: 2, MET: 1, MEST: 2, MEZ: 1, MESZ: 2, EET: 2, EEST: 3, EETDST: 3,
  SAST: 2, IST: 2, IDT: 3, MSK: 3, MSD: 4, EAT: 3, PKT: 5, UZT: 5, NPT: 5.75, BDT: 6, ICT: 7, WIB: 7, CCT: 8, HKT: 8, SGT: 8, PHT: 8, AWST: 8, JST: 9, KST: 9,
  ACST: 9.5, ACDT: 10.5, AEST: 10, AEDT: 11, NZST: 12, NZDT: 13,
  NST: -3.5, NDT: -2.5, AST: -4, ADT: -3, EST: -5, EDT: -4, CST: -6, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7, AKST: -9, AKDT: -8, HST: -10,
  BRT: -3, BRST: -2, ART: -3, CLT: -4, CLST: -3, COT: -5, PET: -5, VET: -4, UYT: -3,
}));

/** Names that Intl does not shorten the way PostgreSQL does: [standard, summer]. */
const ABBREVIATION_OF: ReadonlyMap<string, readonly [string, string]> = new Map(abbreviationTable());

function abbreviationTable(): [string, readonly [string, string]][] {
  const groups: readonly [string, string, string][] = [
    ['CET', 'CEST', 'Europe/Berlin Europe/Paris Europe/Madrid Europe/Rome Europe/Vienna Europe/Zurich Europe/Amsterdam Europe/Brussels Europe/Prague Europe/Warsaw Europe/Budapest Europe/Stockholm Europe/Oslo Europe/Copenhagen'],
    ['EET', 'EEST', 'Europe/Athens Europe/Helsinki Europe/Kiev Europe/Kyiv Europe/Bucharest Europe/Sofia Europe/Riga Europe/Tallinn Europe/Vilnius'],
    ['GMT', 'BST', 'Europe/London'], ['GMT', 'IST', 'Europe/Dublin'], ['WET', 'WEST', 'Europe/Lisbon'], ['MSK', 'MSD', 'Europe/Moscow'],
    ['JST', 'JDT', 'Asia/Tokyo'], ['KST', 'KDT', 'Asia/Seoul'], ['IST', 'IST', 'Asia/Kolkata Asia/Calcutta'], ['CST', 'CDT', 'Asia/Shanghai'], ['HKT', 'HKST', 'Asia/Hong_Kong'],
    ['AEST', 'AEDT', 'Australia/Sydney Australia/Melbourne'], ['AEST', 'AEST', 'Australia/Brisbane'], ['ACST', 'ACDT', 'Australia/Adelaide'], ['AWST', 'AWDT', 'Australia/Perth'],
    ['NZST', 'NZDT', 'Pacific/Auckland'], ['SAST', 'SAST', 'Africa/Johannesburg'], ['EET', 'EEST', 'Africa/Cairo'],
  ];
  return groups.flatMap(([standard, summer, names]) => names.split(' ').map((n): [string, readonly [string, string]] => [n, [standard, summer]]));
}

export const UTC: TimeZone = new FixedZone('UTC', 0, 'UTC');

const zones = new Map<string, TimeZone | null>();

/** Zone by the name a user writes, or null. */
export function findTimeZone(name: string): TimeZone | null {
  const key = name.toLowerCase();
  const known = zones.get(key);
  if (known !== undefined) return known;
  const made = makeZone(name.trim());
  if (zones.size >= ZONES_MAX) zones.clear();
  zones.set(key, made);
  return made;
}

/** As findTimeZone; 22023 when there is none. */
export function timeZoneByName(name: string): TimeZone {
  const z = findTimeZone(name);
  if (z === null) throw new SqlError('22023', `time zone "${name}" not recognized`);
  return z;
}

function makeZone(name: string): TimeZone | null {
  if (name === '') return null;
  const upper = name.toUpperCase();
  if (upper === 'UTC' || upper === 'ETC/UTC' || upper === 'Z' || upper === 'ZULU') return new FixedZone(upper === 'ETC/UTC' ? 'Etc/UTC' : 'UTC', 0, 'UTC');
  const hours = ABBREVIATIONS.get(upper);
  if (hours !== undefined) return new FixedZone(upper, hours * 3600, upper);
  if (/^[A-Za-z]/.test(name) && !/\d[:\d]*$/.test(name) || /^(Etc\/GMT|EST5EDT|CST6CDT|MST7MDT|PST8PDT)/i.test(name)) {
    try {
      const canonical = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
      return new IanaZone(canonical.toLowerCase() === name.toLowerCase() ? canonical : properCase(name));
    } catch (e) {
      if (!(e instanceof RangeError)) throw e;
    }
  }
  const posix = /^(?:<([^>]+)>|([A-Za-z]*))([+-]?)(\d{1,3})(?::(\d{1,2}))?(?::(\d{1,2}))?$/.exec(name);
  if (posix === null) return null;
  const west = Number(posix[4]) * 3600 + Number(posix[5] ?? 0) * 60 + Number(posix[6] ?? 0);
  if (west > 167 * 3600) return null;
  const east = posix[3] === '-' ? west : west === 0 ? 0 : -west;
  return new FixedZone(name, east, posix[1] ?? (posix[2] === '' || posix[2] === undefined ? formatOffset(east) : posix[2].toUpperCase()));
}

function properCase(name: string): string {
  return name.toLowerCase().replace(/(^|[/_-])([a-z])/g, (_, sep: string, c: string) => sep + c.toUpperCase());
}

/** Fixed zone of an interval given to AT TIME ZONE. */
export function fixedZone(offsetSeconds: number): TimeZone {
  return new FixedZone(formatOffset(offsetSeconds), offsetSeconds, formatOffset(offsetSeconds));
}

/** Seconds east that a word used inside a timestamp means ('EST', 'utc', 'z'); undefined when it is no abbreviation. */
export function abbreviationOffset(word: string): number | undefined {
  const hours = ABBREVIATIONS.get(word.toUpperCase());
  return hours === undefined ? undefined : hours * 3600;
}

function secondsOf(t: TimestampUs): number {
  return typeof t === 'number' ? Math.floor(t / US_PER_SECOND) : Number(t / 1000000n) - (t < 0n && t % 1000000n !== 0n ? 1 : 0);
}

/** timestamptz → local timestamp. Infinities stay. */
export function toLocal(t: TimestampUs, zone: TimeZone): TimestampUs {
  if (t === Infinity || t === -Infinity) return t;
  return addUs(t, zone.offsetAt(secondsOf(t)) * US_PER_SECOND);
}

/** Seconds east of UTC at a timestamptz. */
export function offsetOf(t: TimestampUs, zone: TimeZone): number {
  return zone.offsetAt(secondsOf(t));
}

export function abbreviationOf(t: TimestampUs, zone: TimeZone): string {
  return zone.abbreviationAt(secondsOf(t));
}

/**
 * Local timestamp → timestamptz. A local time that a spring change skips is read with the offset before it, one that an autumn
 * change repeats with the offset after it (as PostgreSQL's DetermineTimeZoneOffset).
 */
export function fromLocal(local: TimestampUs, zone: TimeZone): TimestampUs {
  if (local === Infinity || local === -Infinity) return local;
  const s = secondsOf(local);
  const before = zone.offsetAt(s - 86400);
  const after = zone.offsetAt(s + 86400);
  let offset = before;
  if (before !== after) {
    const beforeHolds = zone.offsetAt(s - before) === before;
    const afterHolds = zone.offsetAt(s - after) === after;
    if (afterHolds && !beforeHolds) offset = after;
    else if (afterHolds && beforeHolds) offset = after;
    else if (!afterHolds && !beforeHolds) offset = before;
  }
  return addUs(local, -offset * US_PER_SECOND);
}
