/**
 * to_char, to_timestamp and to_date: templates of PostgreSQL's formatting.c (YYYY, MM, HH24, Mon, TH, FM, "quoted", …).
 *
 * A template is cut once into nodes (keyword or literal) and kept in a bounded cache; writing and reading walk the nodes.
 */
import type { TimestampUs } from '../calendar.js';
import { DATE_END, DATE_MIN, civilFromDays, dayOfWeek, daysFromCivil, daysInMonth, isoWeek, isoYearStart, joinTimestamp, timestampDays, timestampTime } from '../calendar.js';
import { SqlError } from '../error.js';
import type { Interval } from '../interval.js';
import { US_PER_HOUR, US_PER_MINUTE, US_PER_SECOND } from '../interval.js';
import type { TimeZone } from '../timezone.js';
import { abbreviationOf, formatOffset, fromLocal, offsetOf } from '../timezone.js';
import { RegexCache } from './regex.js';

interface Node { readonly key: string | null; readonly text: string; readonly fill: boolean; readonly th: 'TH' | 'th' | null }

const KEYS = [
  'A.D.', 'A.M.', 'AD', 'AM', 'B.C.', 'BC', 'CC', 'DAY', 'DDD', 'DD', 'DY', 'Day', 'Dy', 'D', 'FF1', 'FF2', 'FF3', 'FF4', 'FF5', 'FF6', 'FX', 'HH24', 'HH12', 'HH', 'IDDD', 'ID', 'IW', 'IYYY', 'IYY', 'IY', 'I',
  'J', 'MI', 'MM', 'MONTH', 'MON', 'MS', 'Month', 'Mon', 'OF', 'P.M.', 'PM', 'Q', 'RM', 'SSSSS', 'SSSS', 'SS', 'TZH', 'TZM', 'TZ', 'US', 'WW', 'W', 'Y,YYY', 'YYYY', 'YYY', 'YY', 'Y',
  'a.d.', 'a.m.', 'ad', 'am', 'b.c.', 'bc', 'cc', 'day', 'ddd', 'dd', 'dy', 'd', 'ff1', 'ff2', 'ff3', 'ff4', 'ff5', 'ff6', 'fx', 'hh24', 'hh12', 'hh', 'iddd', 'id', 'iw', 'iyyy', 'iyy', 'iy', 'i', 'j', 'mi', 'mm', 'month', 'mon', 'ms', 'of',
  'p.m.', 'pm', 'q', 'rm', 'sssss', 'ssss', 'ss', 'tzh', 'tzm', 'tz', 'us', 'ww', 'w', 'y,yyy', 'yyyy', 'yyy', 'yy', 'y',
];
/** Keywords whose letter case shows in the result. */
const CASED = new Set(['MONTH', 'MON', 'DAY', 'DY', 'RM', 'TZ', 'AM', 'PM', 'A.M.', 'P.M.', 'AD', 'BC', 'A.D.', 'B.C.']);

function compile(template: string): readonly Node[] {
  const nodes: Node[] = [];
  let i = 0;
  const literal = (text: string): void => { nodes.push({ key: null, text, fill: false, th: null }); };
  while (i < template.length) {
    if (template[i] === '"') {
      let text = '';
      i++;
      while (i < template.length && template[i] !== '"') {
        if (template[i] === '\\' && i + 1 < template.length) i++;
        text += template[i++];
      }
      i++;
      literal(text);
      continue;
    }
    if (template[i] === '\\' && template[i + 1] === '"') {
      literal('"');
      i += 2;
      continue;
    }
    let at = i;
    let fill = false;
    let local = false;
    for (;;) {
      const two = template.slice(at, at + 2).toUpperCase();
      if (two !== 'FM' && two !== 'TM') break;
      if (two === 'FM') fill = true;
      else local = true;
      at += 2;
    }
    const key = KEYS.find((k) => template.startsWith(k, at)) ?? KEYS.find((k) => template.slice(at, at + k.length).toUpperCase() === k);
    if (key === undefined) {
      if (at > i) {
        i = at;
        continue;
      }
      const ch = String.fromCodePoint(template.codePointAt(i) ?? 0);
      literal(ch);
      i += ch.length;
      continue;
    }
    at += key.length;
    const suffix = template.slice(at, at + 2);
    const th = suffix === 'TH' ? 'TH' : suffix === 'th' ? 'th' : null;
    if (th !== null) at += 2;
    i = at;
    // TM names are not padded.
    const unpadded = fill || (local && /^(month|day)$/i.test(key));
    nodes.push({ key: CASED.has(key.toUpperCase()) ? key : key.toUpperCase(), text: '', fill: unpadded, th });
  }
  return nodes;
}

const templates = new RegexCache((template) => compile(template));

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const ROMAN = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'];

/** st, nd, rd, th. */
export function ordinal(digits: string, upper: boolean): string {
  const n = Number(digits.slice(-2));
  const last = n % 10;
  const s = n >= 11 && n <= 13 ? 'th' : last === 1 ? 'st' : last === 2 ? 'nd' : last === 3 ? 'rd' : 'th';
  return upper ? s.toUpperCase() : s;
}

/** What to_char shows: calendar fields, or an interval's. */
interface Fields {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  /** Days since 1970; null for intervals. */
  readonly days: number | null;
  /** Signed for intervals. */
  readonly us: number;
  readonly zone: { readonly name: string; readonly offset: number } | null;
}

function zero(v: number, width: number, fill: boolean): string {
  const s = String(Math.abs(v));
  return (v < 0 ? '-' : '') + (fill ? s : s.padStart(width, '0'));
}

function cased(word: string, key: string): string {
  if (key === key.toUpperCase()) return word.toUpperCase();
  return key === key.toLowerCase() ? word.toLowerCase() : word;
}

function needDate(f: Fields): number {
  if (f.days === null) {
    throw new SqlError('22007', 'invalid format specification for an interval value', { hint: 'Intervals are not tied to specific calendar dates.' });
  }
  return f.days;
}

function field(n: Node, f: Fields): string {
  const key = n.key ?? '';
  const hours = Math.trunc(f.us / US_PER_HOUR);
  const minutes = Math.trunc((f.us % US_PER_HOUR) / US_PER_MINUTE);
  const seconds = Math.trunc((f.us % US_PER_MINUTE) / US_PER_SECOND);
  const fraction = f.us % US_PER_SECOND;
  // Years before 1 AD are shown as positive BC years.
  const year = f.days !== null && f.year <= 0 ? 1 - f.year : f.year;
  switch (key.toUpperCase()) {
    case 'AM': case 'PM': return cased(((hours % 24) + 24) % 24 >= 12 ? 'PM' : 'AM', key);
    case 'A.M.': case 'P.M.': return cased(((hours % 24) + 24) % 24 >= 12 ? 'P.M.' : 'A.M.', key);
    case 'HH': case 'HH12': return zero(hours % 12 === 0 ? 12 : hours % 12, 2, n.fill);
    case 'HH24': return zero(hours, 2, n.fill);
    case 'MI': return zero(minutes, 2, n.fill);
    case 'SS': return zero(seconds, 2, n.fill);
    case 'MS': return zero(Math.trunc(fraction / 1000), 3, n.fill && false);
    case 'US': return zero(fraction, 6, false);
    case 'FF1': case 'FF2': case 'FF3': case 'FF4': case 'FF5': case 'FF6': {
      const digits = Number(key.slice(2));
      return zero(Math.trunc(fraction / 10 ** (6 - digits)), digits, false);
    }
    case 'SSSS': case 'SSSSS': return String(Math.trunc(f.us / US_PER_SECOND));
    case 'TZ': return f.zone === null ? noZone() : cased(f.zone.name, key);
    case 'TZH': return f.zone === null ? noZone() : `${f.zone.offset < 0 ? '-' : '+'}${zero(Math.trunc(Math.abs(f.zone.offset) / 3600), 2, false)}`;
    case 'TZM': return f.zone === null ? noZone() : zero(Math.trunc((Math.abs(f.zone.offset) % 3600) / 60), 2, false);
    case 'OF': return f.zone === null ? noZone() : formatOffset(Math.trunc(f.zone.offset / 60) * 60);
    case 'AD': case 'BC': needDate(f); return cased(f.year <= 0 ? 'BC' : 'AD', key);
    case 'A.D.': case 'B.C.': needDate(f); return cased(f.year <= 0 ? 'B.C.' : 'A.D.', key);
    case 'MONTH': return padWord(cased(MONTHS[monthIndex(f)], key), 9, n.fill);
    case 'MON': return cased(MONTHS[monthIndex(f)].slice(0, 3), key);
    case 'MM': return zero(f.month, 2, n.fill);
    case 'DAY': return padWord(cased(DAYS[dayOfWeek(needDate(f))], key), 9, n.fill);
    case 'DY': return cased(DAYS[dayOfWeek(needDate(f))].slice(0, 3), key);
    case 'DDD': return zero(f.days === null ? f.year * 360 + f.month * 30 + f.day : f.days - daysFromCivil(f.year, 1, 1) + 1, 3, n.fill);
    case 'IDDD': { const d = needDate(f); return zero(d - isoYearStart(isoWeek(d).year) + 1, 3, n.fill); }
    case 'DD': return f.day < 0 ? String(f.day) : zero(f.day, 2, n.fill);
    case 'D': return String(dayOfWeek(needDate(f)) + 1);
    case 'ID': return String(dayOfWeek(needDate(f)) || 7);
    case 'W': return String(Math.trunc((f.day - 1) / 7) + 1);
    case 'WW': return zero(Math.trunc((needDate(f) - daysFromCivil(f.year, 1, 1)) / 7) + 1, 2, n.fill);
    case 'IW': return zero(isoWeek(needDate(f)).week, 2, n.fill);
    case 'Q': return f.month === 0 ? '' : String(Math.trunc((f.month - 1) / 3) + 1);
    case 'CC': return centuryOf(f, year, n.fill);
    case 'Y,YYY': return `${Math.trunc(year / 1000)},${zero(year % 1000, 3, false)}`;
    case 'YYYY': return zero(year, 4, n.fill);
    case 'YYY': return zero(year % 1000, 3, n.fill);
    case 'YY': return zero(year % 100, 2, n.fill);
    case 'Y': return String(year % 10);
    case 'IYYY': return zero(isoYear(f), 4, n.fill);
    case 'IYY': return zero(isoYear(f) % 1000, 3, n.fill);
    case 'IY': return zero(isoYear(f) % 100, 2, n.fill);
    case 'I': return String(isoYear(f) % 10);
    case 'RM': return f.month === 0 ? '' : padWord(cased(ROMAN[monthIndex(f)], key), 4, n.fill);
    case 'J': return String(needDate(f) + 2440588);
    default: return '';
  }
}

function centuryOf(f: Fields, year: number, fill: boolean): string {
  if (f.days === null) return zero(Math.trunc(year / 100), 2, fill);
  const century = f.year > 0 ? Math.trunc((f.year - 1) / 100) + 1 : -Math.trunc((year - 1) / 100) - 1;
  return century <= 99 && century >= -99 ? zero(century, 2, fill) : String(century);
}

function noZone(): never {
  throw new SqlError('22007', 'invalid format specification for an interval value', { hint: 'Intervals are not tied to specific calendar dates.' });
}

function isoYear(f: Fields): number {
  const y = isoWeek(needDate(f)).year;
  return y <= 0 ? 1 - y : y;
}

function monthIndex(f: Fields): number {
  return (((f.month - 1) % 12) + 12) % 12;
}

function padWord(s: string, width: number, fill: boolean): string {
  return fill ? s : s.padEnd(width, ' ');
}

function write(template: string, f: Fields): string {
  let out = '';
  for (const n of templates.get(template)) {
    if (n.key === null) {
      out += n.text;
      continue;
    }
    const s = field(n, f);
    out += n.th === null || !/\d$/.test(s) ? s : s + ordinal(s, n.th === 'TH');
  }
  return out;
}

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(MS|US|FF\d)$/i, 1], [/^(SS|SSSSS?)$/i, US_PER_SECOND], [/^MI$/i, US_PER_MINUTE], [/^(HH|HH12|HH24|[AP]M|[AP]\.M\.)$/i, US_PER_HOUR],
];

/** µs of the smallest unit that the template shows, a day at most: timestamps without zone that are equal when cut to it have the same text. */
export function templateUnit(template: string): number {
  let unit = 24 * US_PER_HOUR;
  for (const n of templates.get(template)) for (const [keys, us] of UNITS) if (n.key !== null && keys.test(n.key)) unit = Math.min(unit, us);
  return unit;
}

/** to_char of a local timestamp; `zone` is null for timestamp without time zone (TZ is then empty). */
export function timestampToChar(local: TimestampUs, template: string, zone: { name: string; offset: number } | null): string | null {
  if (template === '' || local === Infinity || local === -Infinity) return null;
  const days = timestampDays(local);
  const c = civilFromDays(days);
  return write(template, { ...c, days, us: timestampTime(local), zone: zone ?? { name: '', offset: 0 } });
}

export function zoneFields(t: TimestampUs, zone: TimeZone): { name: string; offset: number } {
  return { name: abbreviationOf(t, zone), offset: offsetOf(t, zone) };
}

export function intervalToChar(v: Interval, template: string): string | null {
  if (template === '') return null;
  return write(template, { year: Math.trunc(v.months / 12), month: v.months % 12, day: v.days, days: null, us: v.us, zone: null });
}

/** Fields read by to_timestamp. */
interface Read {
  year: number | null; yearDigits: number; month: number | null; day: number | null; doy: number | null; julian: number | null; century: number | null;
  isoYear: number | null; isoWeek: number | null; isoDay: number | null; week: number | null; monthWeek: number | null; weekday: number | null;
  hour: number | null; hour12: boolean; minute: number; second: number; us: number; seconds: number | null; pm: boolean | null; bc: boolean; offset: number | null; offsetSign: number; offsetHours: number | null; offsetMinutes: number;
}

function outOfRange(text: string): SqlError {
  return new SqlError('22008', `date/time field value out of range: "${text}"`);
}

class TemplateReader {
  readonly #text: string;
  #at = 0;
  readonly r: Read = {
    year: null, yearDigits: 4, month: null, day: null, doy: null, julian: null, century: null, isoYear: null, isoWeek: null, isoDay: null, week: null, monthWeek: null, weekday: null,
    hour: null, hour12: false, minute: 0, second: 0, us: 0, seconds: null, pm: null, bc: false, offset: null, offsetSign: 1, offsetHours: null, offsetMinutes: 0,
  };

  constructor(text: string) {
    this.#text = text;
  }

  read(nodes: readonly Node[]): Read {
    const exact = nodes.some((n) => n.key === 'FX');
    for (let i = 0; i < nodes.length; i++) {
      const n = nodes[i];
      if (n.key === 'FX') continue;
      if (n.key === null) {
        this.#literal(n.text, exact, nodes[i + 1]?.key === 'TZH');
        continue;
      }
      if (!exact) this.#skip(/\s/);
      if (this.#at >= this.#text.length) break;
      // A field followed directly by another field takes only its own width.
      const next = nodes[i + 1];
      const tight = exact || (next !== undefined && (next.key !== null || /^\d/.test(next.text)));
      this.#field(n, tight);
      if (n.th !== null) this.#at += 2;
    }
    return this.r;
  }

  #skip(set: RegExp): void {
    while (this.#at < this.#text.length && set.test(this.#text[this.#at])) this.#at++;
  }

  #literal(text: string, exact: boolean, signFollows: boolean): void {
    for (const c of text) {
      if (exact) {
        this.#at++;
        continue;
      }
      if (/\s/.test(c)) this.#skip(/\s/);
      const at = this.#text[this.#at];
      if (at === undefined) return;
      if (/[^A-Za-z0-9\s]/.test(c)) {
        this.#skip(/\s/);
        if (/[^A-Za-z0-9\s]/.test(this.#text[this.#at] ?? '0')) this.#at++;
      } else if (/\s/.test(c)) {
        if (/[^A-Za-z0-9\s]/.test(at) && !(signFollows && /[+-]/.test(at))) this.#at++;
      } else this.#at++;
    }
  }

  #number(width: number, name: string, tight: boolean): number {
    const rest = this.#text.slice(this.#at);
    const hint = 'If your source string is not fixed-width, try using the "FM" modifier.';
    if (tight && rest.length < width) {
      throw new SqlError('22007', `source string too short for "${name}" formatting field`, { detail: `Field requires ${width} characters, but only ${rest.length} remain.`, hint });
    }
    const m = /^[+-]?\d+/.exec(tight ? rest.slice(0, width) : rest);
    if (m !== null && tight && m[0].length < width) {
      throw new SqlError('22007', `invalid value "${rest.slice(0, width)}" for "${name}"`, {
        detail: `Field requires ${width} characters, but only ${m[0].length} could be parsed.`, hint,
      });
    }
    if (m === null) {
      throw new SqlError('22007', `invalid value "${rest.slice(0, width)}" for "${name}"`, { detail: 'Value must be an integer.' });
    }
    this.#at += m[0].length;
    return Number(m[0]);
  }

  #word(words: readonly string[], name: string): number {
    const rest = this.#text.slice(this.#at).toLowerCase();
    let best = -1;
    words.forEach((w, i) => { if (rest.startsWith(w.toLowerCase()) && (best < 0 || w.length > words[best].length)) best = i; });
    if (best < 0) {
      throw new SqlError('22007', `invalid value "${/^\S*/.exec(this.#text.slice(this.#at))?.[0] ?? ''}" for "${name}"`, { detail: 'The given value did not match any of the allowed values for this field.' });
    }
    this.#at += words[best].length;
    return best;
  }

  #fractionUs(width: number): number {
    const m = /^\d+/.exec(this.#text.slice(this.#at));
    if (m === null) throw new SqlError('22007', `invalid value "${this.#text.slice(this.#at, this.#at + width)}" for "${width === 3 ? 'MS' : 'US'}"`, { detail: 'Value must be an integer.' });
    const digits = m[0].slice(0, width);
    this.#at += digits.length;
    return Number(digits.padEnd(6, '0'));
  }

  #field(n: Node, tight: boolean): void {
    const r = this.r;
    const key = (n.key ?? '').toUpperCase();
    const num = (width: number): number => this.#number(width, n.key ?? '', tight);
    switch (key) {
      case 'AM': case 'PM': r.pm = this.#word(['am', 'pm'], key) === 1; r.hour12 = true; return;
      case 'A.M.': case 'P.M.': r.pm = this.#word(['a.m.', 'p.m.'], key) === 1; r.hour12 = true; return;
      case 'HH': case 'HH12': r.hour = num(2); r.hour12 = true; return;
      case 'HH24': r.hour = num(2); return;
      case 'MI': r.minute = num(2); return;
      case 'SS': r.second = num(2); return;
      case 'MS': r.us += this.#fractionUs(3); return;
      case 'US': r.us += this.#fractionUs(6); return;
      case 'FF1': case 'FF2': case 'FF3': case 'FF4': case 'FF5': case 'FF6': r.us += this.#fractionUs(Number(key.slice(2))); return;
      case 'SSSS': case 'SSSSS': r.seconds = num(5); return;
      case 'TZH': {
        const c = this.#text[this.#at];
        r.offsetSign = c === '-' ? -1 : 1;
        if (c === '-' || c === '+') this.#at++;
        r.offsetHours = num(2);
        return;
      }
      case 'TZM': r.offsetMinutes = num(2); r.offsetHours ??= 0; return;
      case 'TZ': case 'OF': throw new SqlError('0A000', `formatting field "${n.key ?? ''}" is only supported in to_char`);
      case 'AD': case 'BC': r.bc = this.#word(['ad', 'bc'], key) === 1; return;
      case 'A.D.': case 'B.C.': r.bc = this.#word(['a.d.', 'b.c.'], key) === 1; return;
      case 'MONTH': r.month = this.#word(MONTHS, n.key ?? '') + 1; return;
      case 'MON': r.month = this.#word(MONTHS.map((m) => m.slice(0, 3)), n.key ?? '') + 1; return;
      case 'MM': r.month = num(2) || null; return;
      case 'DAY': r.weekday = this.#word(DAYS, n.key ?? ''); return;
      case 'DY': r.weekday = this.#word(DAYS.map((d) => d.slice(0, 3)), n.key ?? ''); return;
      case 'DDD': r.doy = num(3); return;
      case 'IDDD': r.doy = num(3); return;
      case 'DD': r.day = num(2); return;
      case 'D': r.weekday = num(1) - 1; return;
      case 'ID': r.isoDay = num(1); return;
      case 'WW': r.week = num(2); return;
      case 'W': r.monthWeek = num(1); return;
      case 'IW': r.isoWeek = num(2); return;
      case 'Q': num(1); return;
      case 'CC': r.century = num(2); return;
      case 'J': r.julian = num(7); return;
      case 'RM': r.month = this.#word(ROMAN, n.key ?? '') + 1; return;
      case 'Y,YYY': {
        const m = /^(\d+),(\d{3})/.exec(this.#text.slice(this.#at));
        if (m === null) throw new SqlError('22007', 'invalid input string for "Y,YYY"');
        this.#at += m[0].length;
        r.year = Number(m[1]) * 1000 + Number(m[2]);
        return;
      }
      case 'IYYY': case 'IYY': case 'IY': case 'I': r.isoYear = this.#shortYear(key.length, n, tight); return;
      case 'YYYY': case 'YYY': case 'YY': case 'Y': r.year = this.#shortYear(key.length, n, tight); return;
      default:
    }
  }

  /** Fewer than four digits: nearest to 2020, as adjust_partial_year_to_2020. */
  #shortYear(width: number, n: Node, tight: boolean): number {
    const start = this.#at;
    const v = this.#number(width, n.key ?? '', tight);
    const digits = this.#at - start;
    if (width === 4 || digits > 3) {
      this.r.yearDigits = 4;
      return v;
    }
    this.r.yearDigits = digits;
    if (v < 70) return v + 2000;
    if (v < 100) return v + 1900;
    if (v < 520) return v + 2000;
    return v < 1000 ? v + 1000 : v;
  }
}

function dateOf(r: Read, text: string): number {
  if (r.julian !== null) return r.julian - 2440588;
  let year = r.year;
  if (r.century !== null) {
    year = year === null ? (r.century > 0 ? r.century * 100 - 99 : r.century * 100 + 1) : (r.yearDigits <= 2 ? (r.century - 1) * 100 + (year % 100) : year);
  }
  if (r.isoYear !== null || r.isoWeek !== null) {
    const start = isoYearStart(r.isoYear ?? year ?? 1);
    const day = r.isoDay !== null ? Math.min(r.isoDay, 7) : (r.weekday === null ? 1 : r.weekday === 0 ? 7 : r.weekday);
    return start + ((r.isoWeek ?? 1) - 1) * 7 + day - 1;
  }
  if (year !== null && (r.bc || year < 0)) year = r.bc && year < 0 ? -year : 1 - Math.abs(year);
  if (year === 0 && !r.bc) year = 0;
  const y = year ?? 0;
  if (r.doy !== null && r.month === null) {
    if (r.doy < 1 || r.doy > (daysFromCivil(y + 1, 1, 1) - daysFromCivil(y, 1, 1))) throw outOfRange(text);
    return daysFromCivil(y, 1, 1) + r.doy - 1;
  }
  if (r.week !== null && r.month === null) return daysFromCivil(y, 1, 1) + (r.week - 1) * 7;
  const month = r.month ?? 1;
  const day = r.day ?? (r.monthWeek === null ? 1 : (r.monthWeek - 1) * 7 + 1);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(y, month)) throw outOfRange(text);
  return daysFromCivil(y, month, day);
}

function parsed(text: string, template: string): { days: number; us: number; offset: number | null } {
  const r = new TemplateReader(text).read(templates.get(template));
  let hour = r.hour ?? 0;
  if (r.hour12 && r.hour !== null) {
    if (hour < 1 || hour > 12) throw new SqlError('22007', `hour "${hour}" is invalid for the 12-hour clock`, { hint: 'Use the 24-hour clock, or give an hour between 1 and 12.' });
    if (r.pm === true && hour < 12) hour += 12;
    else if (r.pm !== true && hour === 12) hour = 0;
  }
  if (hour > 23 || hour < 0 || r.minute > 59 || r.second > 59 && r.second !== 60) throw outOfRange(text);
  let us = hour * US_PER_HOUR + r.minute * US_PER_MINUTE + r.second * US_PER_SECOND + r.us;
  if (r.seconds !== null) us = r.seconds * US_PER_SECOND + r.us;
  const offset = r.offsetHours === null ? null : r.offsetSign * (r.offsetHours * 3600 + r.offsetMinutes * 60);
  return { days: dateOf(r, text), us, offset };
}

export function toTimestamp(text: string, template: string, zone: TimeZone): TimestampUs {
  const p = parsed(text, template);
  if (p.offset !== null) return joinTimestamp(p.days, p.us - p.offset * US_PER_SECOND);
  return fromLocal(joinTimestamp(p.days, p.us), zone);
}

export function toDate(text: string, template: string): number {
  const { days } = parsed(text, template);
  if (days < DATE_MIN || days >= DATE_END) throw new SqlError('22008', `date out of range: "${text}"`);
  return days;
}
