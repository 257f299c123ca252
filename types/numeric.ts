/**
 * Numeric: PostgreSQL's exact decimal. A finite value is coefficient / 10^scale; `scale` is also the display scale
 * (trailing zeros are kept: 1.0 and 1.00 are different Numerics that compare equal). NaN and ±Infinity are the three
 * shared special values.
 *
 * The coefficient is a number while |coefficient| <= 2^53 and a bigint beyond (never a bigint within), so that + − × and
 * comparisons of everyday amounts run on doubles: a checked number operation costs a few ns, a BigInt one 20–100 ns.
 * Result scales are those of PostgreSQL's numeric.c (select_div_scale and its relatives); functions that need series
 * (sqrt, exp, ln, power) are in numericmath.ts. Immutable.
 */
import { SqlError } from './error.js';

export type NumericKind = 'finite' | 'nan' | 'inf' | '-inf';

const SAFE = 9007199254740992;
const SAFE_BIG = 9007199254740992n;
/** Digits before the decimal point that numeric can hold. */
const WEIGHT_DIGITS_MAX = 131072;
export const NUMERIC_SCALE_MAX = 16383;
export const NUMERIC_DISPLAY_SCALE_MAX = 1000;
export const NUMERIC_SIG_DIGITS_MIN = 16;

const POW10_NUMBER: readonly number[] = Array.from({ length: 16 }, (_, i) => 10 ** i);
const POW10_BIG: bigint[] = [1n];

/** 10^n as a bigint (cached up to 400). */
export function pow10(n: number): bigint {
  if (n > 400) return 10n ** BigInt(n);
  for (let i = POW10_BIG.length; i <= n; i++) POW10_BIG.push(POW10_BIG[i - 1] * 10n);
  return POW10_BIG[n];
}

function normal(c: bigint): number | bigint {
  return c <= SAFE_BIG && c >= -SAFE_BIG ? Number(c) : c;
}

export function bigAbs(v: bigint): bigint {
  return v < 0n ? -v : v;
}

/** Integer quotient rounded half away from zero, as numeric rounds. */
export function divRound(a: bigint, b: bigint): bigint {
  const q = a / b;
  const r = a - q * b;
  if (bigAbs(r) * 2n >= bigAbs(b)) return (a < 0n) !== (b < 0n) ? q - 1n : q + 1n;
  return q;
}

export function numericOverflow(): SqlError {
  return new SqlError('22003', 'value overflows numeric format');
}

export function divisionByZero(): SqlError {
  return new SqlError('22012', 'division by zero');
}

/** Has fewer digits than any limit. */
const SHORT_BIG = 1n << 4096n;

const SYNTAX = /^[ \t\n\r\v\f]*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?[ \t\n\r\v\f]*$/;

export class Numeric {
  readonly kind: NumericKind;
  /** Unscaled value: a number when |v| <= 2^53, else a bigint; 0 for the special values. */
  readonly coef: number | bigint;
  readonly scale: number;

  /** Use `of` and `parse`: a coefficient must be in its canonical form. */
  constructor(kind: NumericKind, coef: number | bigint, scale: number) {
    this.kind = kind;
    this.coef = coef;
    this.scale = scale;
  }

  static readonly NAN: Numeric = new Numeric('nan', 0, 0);
  static readonly INF: Numeric = new Numeric('inf', 0, 0);
  static readonly NEG_INF: Numeric = new Numeric('-inf', 0, 0);
  static readonly ZERO: Numeric = new Numeric('finite', 0, 0);
  static readonly ONE: Numeric = new Numeric('finite', 1, 0);

  /** coefficient / 10^scale; 22003 past numeric's range. A number must be an integer. */
  static of(coef: number | bigint, scale: number): Numeric {
    if (typeof coef === 'bigint') {
      const c = normal(coef);
      // Text only of what may be too long: it is dear.
      if (typeof c === 'bigint' && (c > SHORT_BIG || c < -SHORT_BIG) && c.toString().length - scale > WEIGHT_DIGITS_MAX) throw numericOverflow();
      return new Numeric('finite', c, scale);
    }
    if (coef > SAFE || coef < -SAFE) return new Numeric('finite', BigInt(coef), scale);
    return new Numeric('finite', coef === 0 ? 0 : coef, scale);
  }

  static fromInt(v: number | bigint): Numeric {
    return Numeric.of(v, 0);
  }

  /** float8 → numeric as PostgreSQL does it: through 15 significant digits (6 for float4). */
  static fromNumber(v: number, digits = 15): Numeric {
    if (Number.isNaN(v)) return Numeric.NAN;
    if (v === Infinity) return Numeric.INF;
    if (v === -Infinity) return Numeric.NEG_INF;
    if (Number.isInteger(v) && v < POW10_NUMBER[digits] && v > -POW10_NUMBER[digits]) return Numeric.of(v, 0);
    // %g drops trailing zeros of the mantissa.
    const [mantissa, exponent] = v.toExponential(digits - 1).split('e');
    return Numeric.parse(`${mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa}e${exponent}`);
  }

  /** Text → numeric; 22P02 when it is none. */
  static parse(text: string): Numeric {
    const n = Numeric.tryParse(text);
    if (n === null) throw new SqlError('22P02', `invalid input syntax for type numeric: "${text}"`);
    return n;
  }

  /** As parse, but null when the text is no numeric (a value out of range still throws 22003). */
  static tryParse(text: string): Numeric | null {
    const m = SYNTAX.exec(text);
    if (m === null) return special(text);
    const int = m[2];
    const frac = m[3] ?? '';
    if (int === '' && frac === '') return null;
    const exponent = m[4] === undefined ? 0 : Number(m[4]);
    if (exponent > WEIGHT_DIGITS_MAX * 2 || exponent < -WEIGHT_DIGITS_MAX * 2) {
      if (/^0*$/.test(int + frac) && exponent < 0) return Numeric.of(0, NUMERIC_SCALE_MAX);
      if (exponent < 0) return Numeric.of(0, NUMERIC_SCALE_MAX);
      throw numericOverflow();
    }
    const digits = int + frac;
    let scale = frac.length - exponent;
    let coef: number | bigint = digits.length <= 15 ? Number(digits) : BigInt(digits);
    if (scale < 0) {
      if (digits.length - scale > WEIGHT_DIGITS_MAX && !/^0*$/.test(digits)) throw numericOverflow();
      coef = BigInt(coef) * pow10(-scale);
      scale = 0;
    } else if (scale > NUMERIC_SCALE_MAX) {
      coef = divRound(BigInt(coef), pow10(scale - NUMERIC_SCALE_MAX));
      scale = NUMERIC_SCALE_MAX;
    }
    return Numeric.of(m[1] === '-' ? -coef : coef, scale);
  }

  get unscaled(): bigint {
    return typeof this.coef === 'bigint' ? this.coef : BigInt(this.coef);
  }

  isFinite(): boolean {
    return this.kind === 'finite';
  }

  isNaN(): boolean {
    return this.kind === 'nan';
  }

  /** −1, 0 or 1; NaN counts as +1 (it sorts last). */
  sign(): number {
    if (this.kind !== 'finite') return this.kind === '-inf' ? -1 : 1;
    return this.coef > 0 ? 1 : this.coef < 0 ? -1 : 0;
  }

  isZero(): boolean {
    return this.kind === 'finite' && this.coef === 0;
  }

  toString(): string {
    if (this.kind !== 'finite') return this.kind === 'nan' ? 'NaN' : this.kind === 'inf' ? 'Infinity' : '-Infinity';
    if (this.scale === 0) return this.coef.toString();
    const negative = this.coef < 0;
    const digits = (negative ? -this.coef : this.coef).toString().padStart(this.scale + 1, '0');
    const cut = digits.length - this.scale;
    return `${negative ? '-' : ''}${digits.slice(0, cut)}.${digits.slice(cut)}`;
  }

  toJSON(): string {
    return this.toString();
  }

  toNumber(): number {
    if (this.kind !== 'finite') return this.kind === 'nan' ? NaN : this.kind === 'inf' ? Infinity : -Infinity;
    if (this.scale === 0) return Number(this.coef);
    // Both operands exact and the divisor a power of ten that a double holds exactly: the division rounds once.
    if (typeof this.coef === 'number' && this.scale <= 15) return this.coef / POW10_NUMBER[this.scale];
    return Number(this.toString());
  }

  compare(o: Numeric): number {
    if (this.kind !== 'finite' || o.kind !== 'finite') {
      const a = specialRank(this.kind);
      const b = specialRank(o.kind);
      return a < b ? -1 : a > b ? 1 : 0;
    }
    const s = this.scale > o.scale ? this.scale : o.scale;
    const a = smallAt(this, s);
    const b = smallAt(o, s);
    // NaN (not small) makes all three comparisons false.
    if (a < b) return -1;
    if (a > b) return 1;
    if (a === b) return 0;
    const x = coefAt(this, s);
    const y = coefAt(o, s);
    return x < y ? -1 : x > y ? 1 : 0;
  }

  equals(o: Numeric): boolean {
    return this.compare(o) === 0;
  }

  neg(): Numeric {
    if (this.kind !== 'finite') return this.kind === 'nan' ? this : this.kind === 'inf' ? Numeric.NEG_INF : Numeric.INF;
    return new Numeric('finite', this.coef === 0 ? 0 : -this.coef, this.scale);
  }

  abs(): Numeric {
    if (this.kind !== 'finite') return this.kind === '-inf' ? Numeric.INF : this;
    return this.coef < 0 ? this.neg() : this;
  }

  add(o: Numeric): Numeric {
    if (this.kind !== 'finite' || o.kind !== 'finite') {
      if (this.kind === 'nan' || o.kind === 'nan') return Numeric.NAN;
      if (this.kind === 'finite') return o;
      if (o.kind === 'finite' || o.kind === this.kind) return this;
      return Numeric.NAN;
    }
    const s = this.scale > o.scale ? this.scale : o.scale;
    const r = smallAt(this, s) + smallAt(o, s);
    if (r < SAFE && r > -SAFE) return new Numeric('finite', r, s);
    return Numeric.of(coefAt(this, s) + coefAt(o, s), s);
  }

  sub(o: Numeric): Numeric {
    if (this.kind === 'finite' && o.kind === 'finite') {
      const s = this.scale > o.scale ? this.scale : o.scale;
      const r = smallAt(this, s) - smallAt(o, s);
      if (r < SAFE && r > -SAFE) return new Numeric('finite', r, s);
    }
    return this.add(o.neg());
  }

  mul(o: Numeric): Numeric {
    if (this.kind !== 'finite' || o.kind !== 'finite') {
      if (this.kind === 'nan' || o.kind === 'nan') return Numeric.NAN;
      const sign = this.sign() * o.sign();
      return sign === 0 ? Numeric.NAN : sign > 0 ? Numeric.INF : Numeric.NEG_INF;
    }
    const s = this.scale + o.scale;
    if (typeof this.coef === 'number' && typeof o.coef === 'number' && s <= NUMERIC_SCALE_MAX) {
      const r = this.coef * o.coef;
      if (r < SAFE && r > -SAFE) return new Numeric('finite', r === 0 ? 0 : r, s);
    }
    const r = Numeric.of(this.unscaled * o.unscaled, s);
    return s > NUMERIC_SCALE_MAX ? r.round(NUMERIC_SCALE_MAX) : r;
  }

  div(o: Numeric): Numeric {
    if (this.kind !== 'finite' || o.kind !== 'finite') {
      if (this.kind === 'nan' || o.kind === 'nan') return Numeric.NAN;
      if (this.kind !== 'finite') {
        if (o.kind !== 'finite') return Numeric.NAN;
        if (o.coef === 0) throw divisionByZero();
        return this.sign() * o.sign() > 0 ? Numeric.INF : Numeric.NEG_INF;
      }
      return Numeric.ZERO;
    }
    if (o.coef === 0) throw divisionByZero();
    return this.divToScale(o, divScale(this, o));
  }

  /** Quotient rounded half away from zero at `scale`; both finite, divisor not zero. */
  divToScale(o: Numeric, scale: number): Numeric {
    const shift = scale + o.scale - this.scale;
    if (shift >= 0) return Numeric.of(divRound(this.unscaled * pow10(shift), o.unscaled), scale);
    return Numeric.of(divRound(this.unscaled, o.unscaled * pow10(-shift)), scale);
  }

  /** div(): the quotient truncated to an integer. */
  divTrunc(o: Numeric): Numeric {
    if (this.kind !== 'finite' || o.kind !== 'finite') return this.div(o);
    if (o.coef === 0) throw divisionByZero();
    const s = Math.max(this.scale, o.scale);
    return Numeric.of(coefAt(this, s) / coefAt(o, s), 0);
  }

  mod(o: Numeric): Numeric {
    if (this.kind !== 'finite' || o.kind !== 'finite') {
      if (this.kind === 'nan' || o.kind === 'nan') return Numeric.NAN;
      if (o.kind === 'finite' && o.coef === 0) throw divisionByZero();
      return this.kind === 'finite' ? this : Numeric.NAN;
    }
    if (o.coef === 0) throw divisionByZero();
    const s = Math.max(this.scale, o.scale);
    const a = smallAt(this, s);
    const b = smallAt(o, s);
    if (a === a && b === b) return new Numeric('finite', (a % b) + 0, s);
    return Numeric.of(coefAt(this, s) % coefAt(o, s), s);
  }

  /** Round half away from zero to `scale` digits (negative: tens, hundreds, …). */
  round(scale: number): Numeric {
    return toScale(this, scale, divRound);
  }

  trunc(scale: number): Numeric {
    return toScale(this, scale, (a, b) => a / b);
  }

  floor(): Numeric {
    return toScale(this, 0, (a, b) => (a < 0n && a % b !== 0n ? a / b - 1n : a / b));
  }

  ceil(): Numeric {
    return toScale(this, 0, (a, b) => (a > 0n && a % b !== 0n ? a / b + 1n : a / b));
  }

  /** Rounded to an integer, or null for the special values. */
  toBigInt(): bigint | null {
    return this.kind === 'finite' ? this.round(0).unscaled : null;
  }

  /** numeric → int8, rounded; 22003 out of range, 0A000 for NaN and infinities. */
  toInt8(): number | bigint {
    return this.toInteger('bigint', -9223372036854775808n, 9223372036854775807n);
  }

  /** numeric → an integer type within [min, max], rounded half away from zero. */
  toInteger(typeName: string, min: bigint, max: bigint): number | bigint {
    if (this.kind !== 'finite') {
      throw new SqlError('0A000', `cannot convert ${this.kind === 'nan' ? 'NaN' : 'infinity'} to ${typeName}`);
    }
    const v = this.round(0).coef;
    if (v < min || v > max) throw new SqlError('22003', `${typeName} out of range`);
    return v;
  }

  /** Without trailing zeros of the fraction. */
  trimScale(): Numeric {
    if (this.kind !== 'finite') return this;
    return this.trunc(this.minScale());
  }

  /** Smallest scale that represents the value exactly. */
  minScale(): number {
    let s = this.scale;
    if (s === 0 || this.coef === 0) return 0;
    const digits = this.coef.toString();
    for (let i = digits.length - 1; s > 0 && digits.charCodeAt(i) === 48; i--) s--;
    return s;
  }

  /** Digits of |coefficient| without leading zeros (0 has one). */
  digits(): string {
    return (this.coef < 0 ? -this.coef : this.coef).toString();
  }

  /** typmod numeric(precision, scale): rounds, then checks; 22003 numeric field overflow. */
  withPrecision(precision: number, scale: number): Numeric {
    if (this.kind === 'nan') return this;
    const fail = (bound: string): SqlError => new SqlError('22003', 'numeric field overflow', {
      detail: `A field with precision ${precision}, scale ${scale} ${bound}.`,
    });
    if (this.kind !== 'finite') throw fail('cannot hold an infinite value');
    const r = this.round(scale);
    if (r.coef !== 0 && r.digits().length - r.scale > precision - scale) {
      const bound = precision - scale;
      throw fail(`must round to an absolute value less than ${bound === 0 ? '1' : `10^${bound}`}`);
    }
    return r;
  }
}

function special(text: string): Numeric | null {
  switch (text.trim().toLowerCase()) {
    case 'nan': return Numeric.NAN;
    case 'inf': case '+inf': case 'infinity': case '+infinity': return Numeric.INF;
    case '-inf': case '-infinity': return Numeric.NEG_INF;
    default: return null;
  }
}

function specialRank(k: NumericKind): number {
  return k === '-inf' ? 0 : k === 'finite' ? 1 : k === 'inf' ? 2 : 3;
}

/** Base-10000 weight and first digit: numeric.c reasons about scales in these. */
export function nbaseHead(v: Numeric): { weight: number; first: number; second: number | null } {
  if (v.coef === 0) return { weight: 0, first: 0, second: null };
  const digits = v.digits();
  const exponent = digits.length - v.scale - 1;
  const weight = Math.floor(exponent / 4);
  const headLength = exponent - weight * 4 + 1;
  const head = digits.slice(0, headLength).padEnd(headLength, '0');
  const rest = digits.slice(headLength);
  const second = /[1-9]/.test(rest) ? Number(rest.slice(0, 4).padEnd(4, '0')) : null;
  return { weight, first: Number(head), second };
}

/** nbaseHead's weight and first digit; those of a small integer without its text. */
function nbaseStart(v: Numeric): { weight: number; first: number } {
  if (v.scale !== 0 || typeof v.coef !== 'number') return nbaseHead(v);
  let first = Math.abs(v.coef);
  let weight = 0;
  for (; first >= 10000; weight++) first = Math.floor(first / 10000);
  return { weight, first };
}

/** select_div_scale of numeric.c: at least 16 significant digits, no less scale than either input. */
export function divScale(a: Numeric, b: Numeric): number {
  const x = nbaseStart(a);
  const y = nbaseStart(b);
  let weight = x.weight - y.weight;
  if (x.first <= y.first) weight--;
  return Math.min(Math.max(NUMERIC_SIG_DIGITS_MIN - weight * 4, a.scale, b.scale, 0), NUMERIC_DISPLAY_SCALE_MAX);
}

/** The value times 10^scale as an exact integer; `scale` must be >= n.scale. */
function coefAt(n: Numeric, scale: number): bigint {
  const c = n.unscaled;
  return scale === n.scale ? c : c * pow10(scale - n.scale);
}

/** Coefficient at a larger scale as a number, or NaN when it is not exact. */
function smallAt(n: Numeric, scale: number): number {
  if (typeof n.coef !== 'number') return NaN;
  const shift = scale - n.scale;
  if (shift === 0) return n.coef;
  if (shift > 15) return n.coef === 0 ? 0 : NaN;
  const v = n.coef * POW10_NUMBER[shift];
  return v <= SAFE && v >= -SAFE ? v : NaN;
}

function toScale(n: Numeric, scale: number, divide: (a: bigint, b: bigint) => bigint): Numeric {
  if (n.kind !== 'finite' || scale === n.scale) return n;
  if (scale > NUMERIC_SCALE_MAX) scale = NUMERIC_SCALE_MAX;
  if (scale > n.scale) {
    const small = smallAt(n, scale);
    return small === small ? new Numeric('finite', small, scale) : Numeric.of(coefAt(n, scale), scale);
  }
  if (scale < -WEIGHT_DIGITS_MAX) return Numeric.ZERO;
  const cut = divide(n.unscaled, pow10(n.scale - scale));
  return scale >= 0 ? Numeric.of(cut, scale) : Numeric.of(cut * pow10(-scale), 0);
}
