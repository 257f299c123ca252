/**
 * What compiled kernels call for text: functions over UTF-8 spans (bytes d[s, e)), without making JavaScript strings. All of them give what
 * the catalogue's functions over strings give; where bytes alone cannot say (letter case outside of ASCII), the string function is called.
 * A function whose result is a span leaves it in the kernel's TextScratch (d, s, e): numbers in fields cost nothing, a result object does.
 */
import { copyBytes, utf8Length, utf8Text } from '../../types/encoding/bytes.js';
import { SqlError } from '../../types/error.js';
import { timestampToChar } from '../../types/functions/formatdatetime.js';
import type { BytesVector } from '../batch.js';

const SCRATCH_BYTES = 4096;
const EMPTY = Buffer.alloc(0);

/** Bytes of texts made within one row, and the span that the last call gave. Of one kernel, which is never entered again from inside. */
export class TextScratch {
  bytes: Uint8Array = Buffer.alloc(SCRATCH_BYTES);
  used = 0;
  d: Uint8Array = EMPTY;
  s = 0;
  e = 0;

  /** Room for n more bytes. Spans given out before keep the old array. */
  room(n: number): void {
    if (this.used + n <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.bytes.length * 2, this.used + n));
    grown.set(this.bytes.subarray(0, this.used));
    this.bytes = grown;
  }

  begin(): void {
    this.s = this.used;
  }

  add(d: Uint8Array, s: number, e: number): void {
    const n = e - s;
    this.room(n);
    copyBytes(d, s, e, this.bytes, this.used);
    this.used += n;
  }

  end(): void {
    this.d = this.bytes;
    this.e = this.used;
  }

  put(text: string): void {
    const n = utf8Length(text);
    this.room(n);
    const p = this.used;
    if (n === text.length) for (let i = 0; i < n; i++) this.bytes[p + i] = text.charCodeAt(i);
    else Buffer.from(this.bytes.buffer, this.bytes.byteOffset + p, n).write(text, 'utf8');
    this.used = p + n;
    this.d = this.bytes;
    this.s = p;
    this.e = this.used;
  }
}

export function same(d: Uint8Array, s: number, e: number, k: Uint8Array, from: number, to: number): boolean {
  if (e - s !== to - from) return false;
  for (let i = s, j = from; i < e; i++, j++) if (d[i] !== k[j]) return false;
  return true;
}

/** Order of UTF-8 bytes = order of code points. */
export function compare(d: Uint8Array, s: number, e: number, k: Uint8Array, from: number, to: number): number {
  for (let i = s, j = from; i < e && j < to; i++, j++) if (d[i] !== k[j]) return d[i] - k[j];
  return (e - s) - (to - from);
}

export function startsWith(d: Uint8Array, s: number, e: number, k: Uint8Array, from: number, to: number): boolean {
  return e - s >= to - from && same(d, s, s + (to - from), k, from, to);
}

export function endsWith(d: Uint8Array, s: number, e: number, k: Uint8Array, from: number, to: number): boolean {
  return e - s >= to - from && same(d, e - (to - from), e, k, from, to);
}

/** A constant to look for: its bytes, and by Horspool how far to go on from a byte that stands under its last one. */
export class Needle {
  readonly bytes: Uint8Array;
  readonly #shift: Uint8Array;

  constructor(text: string) {
    this.bytes = Buffer.from(text, 'utf8');
    const n = this.bytes.length;
    this.#shift = new Uint8Array(256).fill(Math.min(n, 255));
    for (let i = 0; i < n - 1; i++) this.#shift[this.bytes[i]] = Math.min(n - 1 - i, 255);
  }

  /** First place in d[s, e), or −1. */
  find(d: Uint8Array, s: number, e: number): number {
    const { bytes } = this;
    const n = bytes.length;
    if (n === 1) {
      const [c] = bytes;
      for (let i = s; i < e; i++) if (d[i] === c) return i;
      return -1;
    }
    const shift = this.#shift;
    const last = bytes[n - 1];
    for (let i = s + n - 1; i < e;) {
      const c = d[i];
      if (c === last) {
        let k = n - 2;
        let j = i - 1;
        while (k >= 0 && d[j] === bytes[k]) { k--; j--; }
        if (k < 0) return i - n + 1;
      }
      i += shift[c];
    }
    return -1;
  }

  /** Occurrences that do not overlap. */
  count(d: Uint8Array, s: number, e: number): number {
    const { bytes } = this;
    let found = 0;
    if (bytes.length === 1) {
      const [c] = bytes;
      for (let i = s; i < e; i++) if (d[i] === c) found++;
      return found;
    }
    for (let at = this.find(d, s, e); at >= 0; at = this.find(d, at + bytes.length, e)) found++;
    return found;
  }
}

/** Characters of UTF-8: bytes that do not continue one. */
export function charLength(d: Uint8Array, s: number, e: number): number {
  let n = 0;
  for (let i = s; i < e; i++) if ((d[i] & 0xc0) !== 0x80) n++;
  return n;
}

/** Place of the n-th character after p, at most e. */
function skip(d: Uint8Array, p: number, e: number, n: number): number {
  let at = p;
  for (let k = n; k > 0 && at < e; k--) {
    at++;
    while (at < e && (d[at] & 0xc0) === 0x80) at++;
  }
  return at;
}

/** substring(text FROM start FOR count), by SQL's arithmetic. */
export function substring(t: TextScratch, d: Uint8Array, s: number, e: number, start: number, count: number, ascii: boolean): void {
  if (count < 0) throw new SqlError('22011', 'negative substring length not allowed');
  const from = Math.max(start - 1, 0);
  const to = Math.max(start + count - 1, 0);
  if (ascii) {
    t.s = Math.min(s + from, e);
    t.e = Math.max(Math.min(s + to, e), t.s);
    return;
  }
  t.s = skip(d, s, e, from);
  t.e = to > from ? skip(d, t.s, e, to - from) : t.s;
}

/** The n-th (from 1) part between separators; an empty span at the end when there are fewer. */
export function part(t: TextScratch, d: Uint8Array, s: number, e: number, separator: Needle, n: number): void {
  const { bytes } = separator;
  const length = bytes.length;
  let at = s;
  if (length === 1) {
    const [c] = bytes;
    for (let k = n; k > 1; k--) {
      while (at < e && d[at] !== c) at++;
      if (at >= e) { t.s = t.e = e; return; }
      at++;
    }
    let end = at;
    while (end < e && d[end] !== c) end++;
    t.s = at;
    t.e = end;
    return;
  }
  for (let k = n; k > 1; k--) {
    const next = separator.find(d, at, e);
    if (next < 0) { t.s = t.e = e; return; }
    at = next + length;
  }
  const next = separator.find(d, at, e);
  t.s = at;
  t.e = next < 0 ? e : next;
}

/** lower and upper: the span itself when no letter changes; letters outside of ASCII by `convert`. */
export function changeCase(t: TextScratch, d: Uint8Array, s: number, e: number, lower: boolean, convert: (text: string) => string): void {
  const first = lower ? 65 : 97;
  let i = s;
  for (; i < e; i++) {
    const c = d[i];
    if (c > 127 || (c >= first && c < first + 26)) break;
  }
  if (i === e) {
    t.d = d;
    t.s = s;
    t.e = e;
    return;
  }
  t.room(e - s);
  const to = t.bytes;
  let p = t.used;
  for (let j = s; j < e; j++) {
    const c = d[j];
    if (c > 127) { t.put(convert(utf8Text(d, s, e))); return; }
    to[p++] = c >= first && c < first + 26 ? c ^ 32 : c;
  }
  t.d = to;
  t.s = t.used;
  t.e = t.used = p;
}

export function replace(t: TextScratch, d: Uint8Array, s: number, e: number, from: Needle, to: Uint8Array): void {
  const length = from.bytes.length;
  let at = from.find(d, s, e);
  if (at < 0) {
    t.d = d;
    t.s = s;
    t.e = e;
    return;
  }
  t.begin();
  let p = s;
  for (; at >= 0; at = from.find(d, p, e)) {
    t.add(d, p, at);
    t.add(to, 0, to.length);
    p = at + length;
  }
  t.add(d, p, e);
  t.end();
}

/** Least length of a literal that is worth a search of its own. */
const LITERAL_MIN = 3;

/** The longest run of plain letters that every match of the pattern holds; null when none is sure. Only for patterns without options. */
export function requiredLiteral(pattern: string): Needle | null {
  if (pattern.startsWith('***')) return null;
  let depth = 0;
  let run = '';
  let best = '';
  const close = (): void => { if (run.length > best.length) best = run; run = ''; };
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (/[a-zA-Z0-9_=:/,&;<>~@%"' !-]/.test(c)) {
      if (depth > 0) continue;
      // A quantifier makes the letter before it optional or repeated.
      if (/[*?+{]/.test(pattern[i + 1] ?? '')) { close(); continue; }
      run += c;
      continue;
    }
    close();
    switch (c) {
      case '|': if (depth === 0) return null; break;
      case '(': if (pattern[i + 1] === '?') return null; depth++; break;
      case ')': depth--; break;
      case '[': {
        let end = i + 1;
        if (pattern[end] === '^') end++;
        if (pattern[end] === ']') end++;
        while (end < pattern.length && pattern[end] !== ']') {
          if (pattern[end] === '[' || pattern[end] === '\\') return null;
          end++;
        }
        i = end;
        break;
      }
      case '{': while (i < pattern.length && pattern[i] !== '}') i++; break;
      case '^': case '$': case '.': case '*': case '+': case '?': break;
      default: return null;
    }
  }
  close();
  return best.length >= LITERAL_MIN ? new Needle(best) : null;
}

const CHARS_MAX = 1 << 14;

/**
 * to_char(timestamp, constant): texts by the smallest unit of time that the template shows, each kept once; the rows' spans point to the
 * same bytes. A pool past CHARS_MAX entries is left to the batches that point into it.
 */
export class CharPool {
  bytes: Uint8Array = Buffer.alloc(SCRATCH_BYTES);
  s = 0;
  e = 0;
  readonly #template: string;
  readonly #unitUs: number;
  #scratch = new TextScratch();
  #known = new Map<number, number>();
  #lastUnit = NaN;
  #lastNull = false;

  constructor(template: string, unitUs: number) {
    this.#template = template;
    this.#unitUs = unitUs;
  }

  /** Before a batch: within one, all spans lie in one array. */
  begin(): void {
    if (this.#known.size < CHARS_MAX) return;
    this.#known = new Map();
    this.#scratch = new TextScratch();
    this.#lastUnit = NaN;
  }

  /** Sets s and e; false for NULL. */
  at(us: number): boolean {
    const unitUs = this.#unitUs;
    let unit = Math.floor(us / unitUs);
    // A quotient may round up to the next unit.
    if (unit * unitUs > us) unit--;
    if (unit === this.#lastUnit) return !this.#lastNull;
    this.#lastUnit = unit;
    const known = this.#known.get(unit);
    if (known !== undefined) {
      this.#lastNull = known < 0;
      // Start and length in one number.
      this.s = Math.floor(known / 4096);
      this.e = this.s + (known % 4096);
      return known >= 0;
    }
    const text = timestampToChar(Number.isFinite(us) ? unit * unitUs : us, this.#template, null);
    this.#lastNull = text === null;
    if (text !== null) {
      this.#scratch.put(text);
      this.bytes = this.#scratch.bytes;
      this.s = this.#scratch.s;
      this.e = this.#scratch.e;
    }
    if (this.e - this.s < 4096) this.#known.set(unit, text === null ? -1 : this.s * 4096 + (this.e - this.s));
    return text !== null;
  }
}

/** A function of the day, remembered for the last one: rows mostly repeat it. */
export class DayFunction {
  readonly #f: (days: number) => number;
  #days = NaN;
  #value = 0;

  constructor(f: (days: number) => number) {
    this.#f = f;
  }

  at(days: number): number {
    if (days !== this.#days) {
      this.#value = this.#f(days);
      this.#days = days;
    }
    return this.#value;
  }
}

/** A text column as a kernel writes it; its arrays are reused, `take` copies what the batch keeps. */
export class TextOut {
  start: Int32Array = new Int32Array(0);
  end: Int32Array = new Int32Array(0);
  nulls: Uint8Array = new Uint8Array(0);
  some = false;
  /** Where the spans lie when the kernel points into bytes that are there already; null = in `#bytes`. */
  data: Uint8Array | null = null;
  readonly #bytes = new TextScratch();

  begin(rows: number): void {
    if (this.start.length < rows) {
      this.start = new Int32Array(rows);
      this.end = new Int32Array(rows);
      this.nulls = new Uint8Array(rows);
    }
    if (this.some) this.nulls.fill(0);
    this.some = false;
    this.data = null;
    this.#bytes.used = 0;
  }

  setNull(row: number): void {
    this.some = true;
    this.nulls[row] = 1;
    this.start[row] = this.end[row] = 0;
  }

  span(row: number, d: Uint8Array, s: number, e: number): void {
    const b = this.#bytes;
    this.start[row] = b.used;
    b.add(d, s, e);
    this.end[row] = b.used;
  }

  text(row: number, text: string): void {
    this.#bytes.put(text);
    this.start[row] = this.#bytes.s;
    this.end[row] = this.#bytes.e;
  }

  take(rows: number): BytesVector {
    return {
      form: 'bytes', data: this.data ?? new Uint8Array(this.#bytes.bytes.subarray(0, this.#bytes.used)),
      start: this.start.slice(0, rows), end: this.end.slice(0, rows), nulls: this.some ? this.nulls.slice(0, rows) : null,
    };
  }
}

/** us modulo a unit, 0 or more. The quotient of large values may round across a unit's border. */
export function rest(us: number, unitUs: number): number {
  const r = us - Math.floor(us / unitUs) * unitUs;
  return r < 0 ? r + unitUs : r >= unitUs ? r - unitUs : r;
}
