/**
 * to_char and to_number for numbers: templates of PostgreSQL's formatting.c (9, 0, '.', ',', D, G, L, S, MI, PL, SG, PR, RN, TH, V,
 * EEEE, FM). The writer follows NUM_processor step by step, because its blanks and signs have no simpler rule.
 */
import { SqlError } from '../error.js';
import { Numeric } from '../numeric.js';
import { roundEven } from '../interval.js';
import { ordinal } from './formatdatetime.js';
import { RegexCache } from './regex.js';

type Kind = '9' | '0' | '.' | ',' | 'L' | 'S' | 'MI' | 'PL' | 'SG' | 'PR' | 'RN' | 'rn' | 'TH' | 'th' | 'V' | 'EEEE' | 'B' | 'text' | 'quoted';

interface Node { readonly kind: Kind; readonly text: string }

interface Template {
  readonly nodes: readonly Node[];
  pre: number; post: number; multi: number; zeroStart: number; zeroEnd: number; preLsign: number;
  fill: boolean; zero: boolean; decimal: boolean; lsign: 'pre' | 'post' | null; bracket: boolean; minus: boolean; plus: boolean; v: boolean; roman: 'RN' | 'rn' | null; eeee: boolean;
}

const TOKEN = /"((?:[^"\\]|\\.)*)"?|FM|EEEE|MI|PL|SG|PR|RN|TH|[.,DGLSVB90]|[^]/giy;

function compile(format: string): Template {
  const nodes: Node[] = [];
  const t: Template = {
    nodes, pre: 0, post: 0, multi: 0, zeroStart: 0, zeroEnd: 0, preLsign: 0, fill: false, zero: false, decimal: false, lsign: null, bracket: false, minus: false, plus: false, v: false, roman: null, eeee: false,
  };
  TOKEN.lastIndex = 0;
  for (let m = TOKEN.exec(format); m !== null; m = TOKEN.exec(format)) {
    if (m[1] !== undefined || m[0].startsWith('"')) {
      nodes.push({ kind: 'quoted', text: (m[1] ?? '').replace(/\\(.)/g, '$1') });
      continue;
    }
    const word = m[0].toUpperCase();
    switch (word) {
      case 'FM': t.fill = true; break;
      case '9':
        if (t.bracket) throw syntax('"9" must be ahead of "PR"');
        if (t.v) t.multi++;
        else if (t.decimal) t.post++;
        else t.pre++;
        nodes.push({ kind: '9', text: '' });
        break;
      case '0':
        if (t.bracket) throw syntax('"0" must be ahead of "PR"');
        if (!t.zero && !t.decimal) {
          t.zero = true;
          t.zeroStart = t.pre + 1;
        }
        if (t.decimal) t.post++;
        else t.pre++;
        t.zeroEnd = t.pre + t.post;
        nodes.push({ kind: '0', text: '' });
        break;
      case '.': case 'D':
        if (t.decimal) throw syntax('multiple decimal points');
        if (t.v) throw syntax('cannot use "V" and decimal point together');
        t.decimal = true;
        nodes.push({ kind: '.', text: '' });
        break;
      case ',': case 'G': nodes.push({ kind: ',', text: '' }); break;
      case 'L': nodes.push({ kind: 'L', text: '' }); break;
      case 'S':
        if (t.lsign !== null) throw syntax('cannot use "S" twice');
        if (t.plus || t.minus || t.bracket) throw syntax('cannot use "S" and "PL"/"MI"/"SG"/"PR" together');
        if (!t.decimal) {
          t.lsign = 'pre';
          t.preLsign = t.pre;
        } else t.lsign = 'post';
        nodes.push({ kind: 'S', text: '' });
        break;
      case 'MI': case 'PL': case 'SG':
        if (t.lsign !== null) throw syntax(`cannot use "S" and "${word}" together`);
        if (word !== 'PL') t.minus = true;
        if (word !== 'MI') t.plus = true;
        nodes.push({ kind: word, text: '' });
        break;
      case 'PR':
        if (t.lsign !== null || t.plus || t.minus) throw syntax('cannot use "PR" and "S"/"PL"/"MI"/"SG" together');
        t.bracket = true;
        nodes.push({ kind: 'PR', text: '' });
        break;
      case 'RN':
        t.roman = m[0] === 'rn' ? 'rn' : 'RN';
        nodes.push({ kind: t.roman, text: '' });
        break;
      case 'TH': nodes.push({ kind: m[0] === 'th' ? 'th' : 'TH', text: '' }); break;
      case 'V':
        if (t.decimal) throw syntax('cannot use "V" and decimal point together');
        t.v = true;
        break;
      case 'EEEE':
        if (t.eeee) throw syntax('cannot use "EEEE" twice');
        t.eeee = true;
        nodes.push({ kind: 'EEEE', text: '' });
        break;
      case 'B': break;
      default: nodes.push({ kind: 'text', text: m[0] });
    }
  }
  return t;
}

function syntax(why: string): SqlError {
  return new SqlError('42601', why);
}

const templates = new RegexCache((format) => compile(format));

const ROMAN: readonly (readonly [number, string])[] = [
  [1000, 'M'], [900, 'CM'], [500, 'D'], [400, 'CD'], [100, 'C'], [90, 'XC'], [50, 'L'], [40, 'XL'], [10, 'X'], [9, 'IX'], [5, 'V'], [4, 'IV'], [1, 'I'],
];

function roman(v: Numeric, t: Template): string {
  const n = v.isFinite() ? v.round(0).toNumber() : NaN;
  let out = '';
  if (n >= 1 && n <= 3999) {
    let rest = n;
    for (const [value, digits] of ROMAN) {
      while (rest >= value) {
        out += digits;
        rest -= value;
      }
    }
  } else out = '#'.repeat(15);
  if (t.roman === 'rn') out = out.toLowerCase();
  return t.fill ? out : out.padStart(15, ' ');
}

function scientific(v: Numeric, t: Template): string {
  if (!v.isFinite()) return ` ${'#'.repeat(1)}.${'#'.repeat(t.post)}####`;
  let digits = v.abs().digits();
  let exponent = digits.length - 1 - v.scale;
  if (v.isZero()) exponent = 0;
  const rounded = Numeric.of(BigInt(digits), Math.max(digits.length - 1, 0)).round(t.post);
  digits = rounded.toString();
  if (digits.startsWith('10')) {
    exponent++;
    digits = Numeric.of(1, 0).round(t.post).toString();
  }
  const sign = v.sign() < 0 ? '-' : ' ';
  const e = Math.abs(exponent);
  return `${sign}${digits}e${exponent < 0 ? '-' : '+'}${e < 10 ? '0' : ''}${e}`;
}

/** Fraction digits within which exact ties of doubles show. */
const FRACTION_DIGITS = 60;

/** to_char(double, format): at most `digits` significant digits, exact ties to even, −0 kept: as C's printf. */
export function floatToChar(value: number, format: string, digits: number): string {
  const t = templates.get(format);
  if (t.roman !== null && Number.isFinite(value)) return roman(Numeric.fromNumber(roundEven(value)), t);
  if (t.roman !== null || t.eeee) return numberToChar(Numeric.fromNumber(value, digits), format);
  if (!Number.isFinite(value) || !Number.isFinite(value * 10 ** t.multi)) return special(Numeric.fromNumber(value > 0 ? Infinity : value < 0 ? -Infinity : NaN), t, t.pre + t.multi, Math.max(0, Math.min(t.post, digits - (value !== value ? 3 : 8))));
  const v = t.v ? value * 10 ** t.multi : value;
  const size = Math.abs(v);
  const integerDigits = size < 1 ? 1 : Math.floor(Math.log10(size)) + 1;
  const post = Math.max(0, Math.min(t.post, digits - integerDigits));
  const exact = size >= 1e21 ? Numeric.of(BigInt(size), 0) : Numeric.parse(size.toFixed(FRACTION_DIGITS));
  let rounded = exact.round(post);
  const half = Numeric.of(5, post + 1);
  if (rounded.sub(exact).equals(half) && (rounded.unscaled & 1n) === 1n) rounded = rounded.sub(Numeric.of(1, post));
  return new NumberWriter(t, rounded.toString(), v < 0 || Object.is(v, -0), t.pre + t.multi, post).write();
}

/** to_char(number, format). */
export function numberToChar(value: Numeric, format: string): string {
  const t = templates.get(format);
  if (t.roman !== null) return roman(value, t);
  if (t.eeee) return scientific(value, t);
  let v = value;
  if (t.v && v.isFinite()) v = v.mul(Numeric.of(10n ** BigInt(t.multi), 0));
  const pre = t.pre + t.multi;
  if (!v.isFinite()) return special(v, t, pre);
  const rounded = v.round(t.post);
  return new NumberWriter(t, rounded.abs().toString(), rounded.sign() < 0, pre).write();
}

function special(v: Numeric, t: Template, pre: number, post = t.post): string {
  const word = v.isNaN() ? 'NaN' : 'Infinity';
  const fits = word.length <= pre;
  return new NumberWriter(t, fits ? word : `${'#'.repeat(pre)}${t.post > 0 ? `.${'#'.repeat(post)}` : ''}`, v.sign() < 0, pre, post).write();
}

class NumberWriter {
  readonly #t: Template;
  readonly #number: string;
  readonly #negative: boolean;
  readonly #preSpaces: number;
  readonly #count: number;
  /** Index of the last fraction digit that FM keeps; −1 = keep all. */
  #lastRelevant = -1;
  #lsign: 'pre' | 'post' | null;
  #bracket: boolean;
  #signWrote: boolean;
  #at = 0;
  #current = 0;
  #in = false;
  #out = '';

  constructor(t: Template, number: string, negative: boolean, pre: number, post = t.post) {
    this.#t = t;
    this.#negative = negative;
    const dot = number.indexOf('.');
    const intLength = dot < 0 ? number.length : dot;
    if (intLength > pre) {
      number = '#'.repeat(pre) + (t.decimal ? `.${'#'.repeat(post)}` : '');
      this.#preSpaces = 0;
    } else this.#preSpaces = pre - intLength;
    this.#number = number;
    this.#count = t.post + pre - 1;
    this.#lsign = t.lsign;
    this.#bracket = t.bracket;
    if (t.plus || t.minus) this.#signWrote = !(t.plus && !t.minus);
    else {
      if (!negative && t.fill) this.#bracket = false;
      this.#signWrote = !negative && t.fill && t.lsign === null;
      if (this.#lsign === 'pre' && t.pre === t.preLsign) this.#lsign = 'post';
    }
    if (t.fill && t.decimal) {
      const d = number.indexOf('.');
      if (d >= 0) {
        this.#lastRelevant = d;
        for (let i = d + 1; i < number.length; i++) if (number[i] !== '0') this.#lastRelevant = i;
      }
      // Digits asked for by '0' are not stripped.
      if (this.#lastRelevant >= 0 && t.zeroEnd > this.#preSpaces) {
        const keep = Math.min(number.length - 1, t.zeroEnd - this.#preSpaces);
        if (this.#lastRelevant < keep) this.#lastRelevant = keep;
      }
    }
  }

  write(): string {
    const t = this.#t;
    const sign = this.#negative ? '-' : '+';
    for (const n of t.nodes) {
      switch (n.kind) {
        case '9': case '0': case '.': this.#part(n.kind); break;
        case ',':
          if (this.#in) this.#out += ',';
          else if (!t.fill) this.#out += ' ';
          break;
        case 'L': this.#out += ' '; break;
        case 'TH': case 'th':
          if (t.roman !== null || this.#number.startsWith('#') || this.#negative || t.decimal) break;
          this.#out += ordinal(this.#number, n.kind === 'TH');
          break;
        case 'MI': this.#out += this.#negative ? '-' : t.fill ? '' : ' '; break;
        case 'PL': this.#out += this.#negative ? (t.fill ? '' : ' ') : '+'; break;
        case 'SG': this.#out += sign; break;
        case 'text': case 'quoted': this.#out += n.text; break;
        default:
      }
    }
    return this.#out;
  }

  #part(kind: '9' | '0' | '.'): void {
    const t = this.#t;
    const zeroStart = t.zeroStart > 0 ? t.zeroStart - 1 : 0;
    const predecSpace = (): boolean => !t.zero && this.#at === 0 && this.#number[0] === '0' && t.post !== 0;
    const onDot = (): boolean => this.#lastRelevant >= 0 && this.#number[this.#lastRelevant] === '.';
    if (!this.#signWrote && (this.#current >= this.#preSpaces || (t.zero && zeroStart === this.#current)) && (!predecSpace() || onDot())) {
      if (this.#lsign !== null) {
        if (this.#lsign === 'pre') {
          this.#out += this.#negative ? '-' : '+';
          this.#signWrote = true;
        }
      } else if (this.#bracket) {
        this.#out += this.#negative ? '<' : ' ';
        this.#signWrote = true;
      } else {
        if (this.#negative) this.#out += '-';
        else if (!t.fill) this.#out += ' ';
        this.#signWrote = true;
      }
    }
    if (this.#current < this.#preSpaces && (zeroStart > this.#current || !t.zero)) {
      if (!t.fill) this.#out += ' ';
    } else if (t.zero && this.#current < this.#preSpaces && zeroStart <= this.#current) {
      this.#out += '0';
      this.#in = true;
    } else {
      const c = this.#number[this.#at];
      if (kind === '.') {
        // FM drops nothing here: the point stays even when all digits after it go.
        if (c === '.') this.#out += '.';
      } else if (this.#lastRelevant >= 0 && this.#at > this.#lastRelevant && kind !== '0') {
        // a trailing zero that FM strips
      } else if (predecSpace()) {
        if (!t.fill) this.#out += ' ';
        else if (onDot()) this.#out += '0';
      } else if (c !== undefined && c !== '.') {
        this.#out += c;
        this.#in = true;
      }
      if (this.#at < this.#number.length) this.#at++;
    }
    let end = this.#count + (this.#preSpaces > 0 ? 1 : 0) + (t.decimal ? 1 : 0);
    if (this.#lastRelevant >= 0 && this.#lastRelevant === this.#at) end = this.#current;
    if (this.#preSpaces === 0) end += 1;
    if (this.#current + 1 === end) this.#finishSign();
    this.#current++;
  }

  #finishSign(): void {
    if (this.#signWrote && this.#bracket) this.#out += this.#negative ? '>' : ' ';
    else if (this.#lsign === 'post') this.#out += this.#negative ? '-' : '+';
  }
}

/** to_number(text, format). */
export function toNumber(text: string, format: string): Numeric {
  const t = templates.get(format);
  if (t.eeee) throw new SqlError('0A000', '"EEEE" not supported for input');
  if (t.roman !== null) throw new SqlError('0A000', '"RN" not supported for input');
  let digits = '';
  let negative = false;
  let fraction = false;
  let at = 0;
  const peek = (): string => text[at] ?? '';
  const signs = (): void => {
    while (peek() === ' ') at++;
    if (peek() === '-' || peek() === '<') {
      negative = true;
      at++;
    } else if (peek() === '+') at++;
  };
  // A 9, a 0 or a point takes one character; what is neither digit nor point is passed over.
  const take = (): void => {
    if (/\d/.test(peek())) digits += peek();
    else if (peek() === '.' && t.decimal && !fraction) {
      digits += '.';
      fraction = true;
    }
    if (at < text.length) at++;
  };
  for (const n of t.nodes) {
    switch (n.kind) {
      case '9': case '0':
        if (digits === '') signs();
        take();
        break;
      case '.': take(); break;
      case ',': if (peek() === ',') at++; break;
      case 'text': at++; break;
      case 'quoted': for (let i = 0; i < n.text.length; i++) if (!/[\d.,+-]/.test(peek())) at++; break;
      case 'L': if (/[^\d.,+-]/.test(peek())) at++; break;
      case 'TH': case 'th': at += 2; break;
      case 'S': case 'MI': case 'SG': case 'PL': case 'PR': signs(); break;
      default:
    }
  }
  if (/^\s*-/.test(text.slice(at)) && (t.lsign !== null || t.minus)) negative = true;
  if (!/\d/.test(digits)) throw new SqlError('22P02', `invalid input syntax for type numeric: "${digits === '' ? ' ' : digits}"`);
  if ((digits.split('.')[0] ?? '').length > t.pre + t.multi) throw new SqlError('22003', 'numeric field overflow');
  const v = Numeric.parse(digits.endsWith('.') ? digits.slice(0, -1) : digits);
  const scaled = t.v ? v.div(Numeric.of(10n ** BigInt(t.multi), 0)) : v;
  return negative ? scaled.neg() : scaled;
}
