/**
 * sqrt, exp, ln, log and power of numeric: computed in integers with guard digits, then rounded to the scale that
 * numeric.c of PostgreSQL 15 chooses (later versions show fewer digits of integer powers).
 *
 *   sqrt   integer Newton iteration
 *   exp    argument halved until small, Taylor series, squared back
 *   ln     argument brought near 1 by square roots, then 2·atanh((x−1)/(x+1))
 */
import { SqlError } from './error.js';
import {
  NUMERIC_DISPLAY_SCALE_MAX, NUMERIC_SIG_DIGITS_MIN, Numeric, divRound, divisionByZero, nbaseHead, numericOverflow, pow10,
} from './numeric.js';

function clampScale(scale: number, ...atLeast: readonly number[]): number {
  return Math.min(Math.max(scale, 0, ...atLeast), NUMERIC_DISPLAY_SCALE_MAX);
}

function isqrt(n: bigint): bigint {
  if (n < 2n) return n;
  let x = 1n << BigInt((n.toString(2).length + 1) >> 1);
  for (;;) {
    const y = (x + n / x) >> 1n;
    if (y >= x) return x;
    x = y;
  }
}

export function numericSqrt(v: Numeric): Numeric {
  if (v.kind === 'nan' || v.kind === 'inf') return v;
  if (v.sign() < 0) throw new SqlError('2201F', 'cannot take square root of a negative number');
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN - (Math.trunc((nbaseHead(v).weight * 4) / 2) + 1), v.scale);
  // floor(sqrt(v·10^(2·(scale+1)))) has one digit more than asked for; the next bit decides the rounding.
  const s = scale + 1;
  const shifted = 2 * s - v.scale;
  const n = shifted >= 0 ? v.unscaled * pow10(shifted) : v.unscaled / pow10(-shifted);
  return Numeric.of(divRound(isqrt(n), 10n), scale);
}

/** e^(x/10^p) at p fractional digits, for any x. */
function expFixed(x: bigint, p: number): bigint {
  const one = pow10(p);
  let halvings = 0;
  let r = x;
  while ((r < 0n ? -r : r) * 256n > one) {
    r /= 2n;
    halvings++;
  }
  let sum = one;
  let term = one;
  for (let k = 1n; term !== 0n; k++) {
    term = (term * r) / (one * k);
    sum += term;
  }
  for (let i = 0; i < halvings; i++) sum = (sum * sum) / one;
  return sum;
}

/** ln(x/10^p) at p fractional digits, x > 0. */
function lnFixed(x: bigint, p: number): bigint {
  const one = pow10(p);
  let r = x;
  let doublings = 0n;
  // Square roots halve the logarithm; stop near 1 where the series converges fast.
  for (;;) {
    const d = r - one;
    if ((d < 0n ? -d : d) * 32n < one) break;
    r = isqrt(r * one);
    doublings++;
  }
  const z = ((r - one) * one) / (r + one);
  const z2 = (z * z) / one;
  let sum = 0n;
  let term = z;
  for (let k = 1n; term !== 0n; k += 2n) {
    sum += term / k;
    term = (term * z2) / one;
  }
  return (sum * 2n) << doublings;
}

/** Value as an integer at p fractional digits. */
function fixed(v: Numeric, p: number): bigint {
  return p >= v.scale ? v.unscaled * pow10(p - v.scale) : divRound(v.unscaled, pow10(v.scale - p));
}

function fromFixed(x: bigint, p: number, scale: number): Numeric {
  return Numeric.of(divRound(x, pow10(p - scale)), scale);
}

export function numericExp(v: Numeric): Numeric {
  if (v.kind !== 'finite') return v.kind === '-inf' ? Numeric.ZERO : v;
  const val = v.toNumber();
  const decimals = Math.max(Math.min(val * 0.434294481903252, 2000), -2000);
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN - Math.trunc(decimals), v.scale);
  return expToScale(v, scale);
}

function expToScale(v: Numeric, scale: number): Numeric {
  const val = v.toNumber();
  if (Math.abs(val) >= 6000) {
    if (val > 0) throw numericOverflow();
    return Numeric.of(0, scale);
  }
  const size = Math.ceil(Math.abs(val) * 0.4343);
  // Negative exponents by the reciprocal: e^-x loses its digits in fixed point, e^x does not.
  const p = scale + size + 25;
  if (val >= 0) return fromFixed(expFixed(fixed(v, p), p), p, scale);
  const positive = expFixed(-fixed(v, p), p);
  return fromFixed((pow10(p) * pow10(p)) / positive, p, scale);
}

/** estimate_ln_dweight of numeric.c: decimal weight of ln(v). */
function lnWeight(v: Numeric): number {
  if (v.sign() <= 0) return 0;
  const asNumber = v.toNumber();
  if (asNumber >= 0.9 && asNumber <= 1.1) {
    const x = v.sub(Numeric.ONE);
    if (x.isZero()) return 0;
    const h = nbaseHead(x);
    return h.weight * 4 + Math.trunc(Math.log10(h.first));
  }
  const h = nbaseHead(v);
  let digits = h.first;
  let weight = h.weight * 4;
  if (h.second !== null) {
    digits = digits * 10000 + h.second;
    weight -= 4;
  }
  return Math.trunc(Math.log10(Math.abs(Math.log(digits) + weight * 2.302585092994046)));
}

function requirePositive(v: Numeric): void {
  if (v.sign() < 0) throw new SqlError('2201E', 'cannot take logarithm of a negative number');
  if (v.isZero()) throw new SqlError('2201E', 'cannot take logarithm of zero');
}

/** ln(v) as an integer at p fractional digits. */
function lnAt(v: Numeric, p: number): bigint {
  // The working value needs digits below the point when v is tiny, and room when it is huge.
  const headroom = Math.max(0, v.scale - v.digits().length) + 15;
  const q = p + headroom + 15;
  return divRound(lnFixed(fixed(v, q), q), pow10(q - p));
}

export function numericLn(v: Numeric): Numeric {
  if (v.kind === 'nan') return v;
  requirePositive(v);
  if (v.kind === 'inf') return v;
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN - lnWeight(v), v.scale);
  return fromFixed(lnAt(v, scale + 10), scale + 10, scale);
}

export function numericLog(base: Numeric, v: Numeric): Numeric {
  if (base.kind === 'nan' || v.kind === 'nan') return Numeric.NAN;
  if ((v.kind !== 'finite' || base.kind !== 'finite') && v.sign() < 0) requirePositive(v);
  requirePositive(base);
  requirePositive(v);
  if (base.kind === 'inf') return v.kind === 'inf' ? Numeric.NAN : Numeric.ZERO;
  if (v.kind === 'inf') return v;
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN - (lnWeight(v) - lnWeight(base)), base.scale, v.scale);
  const p = scale + 25;
  const lnBase = lnAt(base, p + 10);
  if (lnBase === 0n) throw divisionByZero();
  return fromFixed(divRound(lnAt(v, p + 10) * pow10(p), lnBase), p, scale);
}

export function numericLog10(v: Numeric): Numeric {
  return numericLog(Numeric.of(10, 0), v);
}

function powerSpecial(base: Numeric, exp: Numeric): Numeric {
  if (base.kind === 'nan') return exp.isZero() ? Numeric.ONE : Numeric.NAN;
  if (exp.kind === 'nan') return base.equals(Numeric.ONE) ? Numeric.ONE : Numeric.NAN;
  if (base.equals(Numeric.ONE) || exp.isZero()) return Numeric.ONE;
  const integral = exp.kind === 'finite' && exp.minScale() === 0;
  if (base.sign() < 0 && exp.kind === 'finite' && !integral) throw complexPower();
  if (base.isZero() && exp.sign() < 0) throw zeroPower();
  if (exp.kind !== 'finite') {
    if (base.sign() < 0 && base.kind === 'finite' && base.equals(Numeric.of(-1, 0))) return Numeric.ONE;
    const big = base.abs().compare(Numeric.ONE) > 0;
    return big === (exp.kind === 'inf') ? Numeric.INF : Numeric.ZERO;
  }
  if (exp.sign() < 0) return Numeric.ZERO;
  return base.kind === 'inf' || exp.toBigInt() !== null && (exp.round(0).unscaled & 1n) === 0n ? Numeric.INF : Numeric.NEG_INF;
}

function complexPower(): SqlError {
  return new SqlError('2201F', 'a negative number raised to a non-integer power yields a complex result');
}

function zeroPower(): SqlError {
  return new SqlError('2201F', 'zero raised to a negative power is undefined');
}

export function numericPower(base: Numeric, exp: Numeric): Numeric {
  if (base.kind !== 'finite' || exp.kind !== 'finite') return powerSpecial(base, exp);
  if (base.isZero() && exp.sign() < 0) throw zeroPower();
  if (exp.minScale() === 0) {
    const e = exp.round(0).coef;
    if (typeof e === 'number' && e >= -2147483648 && e <= 2147483647) return powerInt(base, e);
  }
  if (base.isZero()) return Numeric.of(0, NUMERIC_SIG_DIGITS_MIN);
  let negative = false;
  if (base.sign() < 0) {
    if (exp.minScale() !== 0) throw complexPower();
    negative = (exp.round(0).unscaled & 1n) === 1n;
    base = base.abs();
  }
  const rough = Number(lnAt(base, 30)) / 1e30 * exp.toNumber();
  if (Math.abs(rough) > 6020) {
    if (rough > 0) throw numericOverflow();
    return Numeric.of(0, NUMERIC_DISPLAY_SCALE_MAX);
  }
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN - Math.trunc(rough * 0.434294481903252), base.scale, exp.scale);
  const p = scale + Math.ceil(Math.abs(rough) * 0.4343) + exp.digits().length + 30;
  const product = Numeric.of(lnAt(base, p), p).mul(exp);
  const r = expToScale(product, scale);
  return negative ? r.neg() : r;
}

function powerInt(base: Numeric, e: number): Numeric {
  let weight = 0;
  if (!base.isZero()) {
    const text = base.digits();
    const head = text.slice(0, 16);
    weight = e * (Math.log10(Number(head)) + (text.length - head.length) - base.scale);
  }
  if (weight > 131076) throw numericOverflow();
  const scale = clampScale(NUMERIC_SIG_DIGITS_MIN, base.scale);
  if (weight + 1 < -scale) return Numeric.of(0, scale);
  if (e === 0) return Numeric.ONE.round(scale);
  if (e === 1) return base.round(scale);
  if (e === 2) return base.mul(base).round(scale);
  const size = Math.abs(e);
  // Exact powers stay small enough for everyday exponents; huge ones go through guard digits.
  if (base.digits().length * size < 20000) {
    const exact = Numeric.of(base.unscaled ** BigInt(size), base.scale * size);
    return e > 0 ? exact.round(scale) : Numeric.ONE.divToScale(exact, scale);
  }
  const p = scale + Math.ceil(Math.abs(weight)) + 30;
  let result = pow10(p);
  let square = e > 0 ? fixed(base, p) : divRound(pow10(2 * p), fixed(base, p));
  for (let n = size; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result = divRound(result * square, pow10(p));
    if (n > 1) square = divRound(square * square, pow10(p));
  }
  return fromFixed(result, p, scale);
}
