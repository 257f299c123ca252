/**
 * Exact sums of float8: a superaccumulator (Kulisch; the limbs of Neal, "Fast exact summation using small and large superaccumulators",
 * 2015), so that neither the order of the additions nor a later retraction changes a bit of the result, which is the exact sum rounded once.
 *
 * A double is an integer of 53 bits times 2^(p − 1074). The sum is an integer in units of 2^−1074 in LIMBS limbs of 32 bits, each a double
 * that may hold far more than 32 bits before it must be carried: after CARRY_AFTER additions.
 * Cells: [count, NaNs, infinities, −infinities, additions since the last carry, limbs…]: 71 doubles a sum. Cost: about 20 ns an addition.
 */
import type { Batch } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import type { SqlType } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import { datumAt } from '../vectors.js';
import { type Cells, type FixedAccumulator, type Selection, weightAt } from './fixed.js';
import type { VarianceForm } from './sums.js';

const N = 0;
const NANS = 1;
const INFS = 2;
const NEG_INFS = 3;
const ADDED = 4;
const HEAD = 5;
/** 2^−1074 … 2^1024, and 2^64 of headroom. */
const LIMBS = 69;
const SUM_SLOTS = HEAD + LIMBS;
const TWO_32 = 4294967296;
const CARRY_AFTER = 1 << 18;
const WEIGHT_MAX = 1 << 17;

const bits = new DataView(new ArrayBuffer(8));

function carry(page: Float64Array, p: number): void {
  let over = 0;
  for (let k = 0; k < LIMBS - 1; k++) {
    const v = page[p + HEAD + k] + over;
    over = Math.trunc(v / TWO_32);
    page[p + HEAD + k] = v - over * TWO_32;
  }
  page[p + HEAD + LIMBS - 1] += over;
  page[p + ADDED] = 0;
}

/** Adds w·x. */
function addFloat(page: Float64Array, p: number, x: number, w: number): void {
  if (x !== x) { page[p + NANS] += w; return; }
  if (x === Infinity) { page[p + INFS] += w; return; }
  if (x === -Infinity) { page[p + NEG_INFS] += w; return; }
  if (x === 0) return;
  for (let rest = w; rest !== 0;) {
    const part = rest > WEIGHT_MAX ? WEIGHT_MAX : rest < -WEIGHT_MAX ? -WEIGHT_MAX : rest;
    rest -= part;
    if ((page[p + ADDED] += Math.abs(part)) > CARRY_AFTER) { carry(page, p); page[p + ADDED] = Math.abs(part); }
    addParts(page, p + HEAD, x, part);
  }
}

function addParts(page: Float64Array, limbs: number, x: number, w: number): void {
  bits.setFloat64(0, x);
  const high = bits.getUint32(0);
  const low = bits.getUint32(4);
  const exponent = (high >>> 20) & 0x7ff;
  const sign = (high >>> 31) === 1 ? -w : w;
  const top = (high & 0xfffff) + (exponent === 0 ? 0 : 0x100000);
  const position = exponent === 0 ? 0 : exponent - 1;
  const at = limbs + (position >>> 5);
  const shift = 2 ** (position & 31);
  const a = low * shift;
  const aHigh = Math.floor(a / TWO_32);
  const b = top * shift;
  const bHigh = Math.floor(b / TWO_32);
  page[at] += (a - aHigh * TWO_32) * sign;
  page[at + 1] += (aHigh + (b - bHigh * TWO_32)) * sign;
  page[at + 2] += bHigh * sign;
}

/** Adds another sum. Both are carried first: their limbs then are below 2^32, as those of one addition. */
function mergeFloat(page: Float64Array, p: number, from: Float64Array, q: number): void {
  carry(page, p);
  carry(from, q);
  for (let k = 0; k < LIMBS; k++) page[p + HEAD + k] += from[q + HEAD + k];
  for (const k of [N, NANS, INFS, NEG_INFS]) page[p + k] += from[q + k];
  page[p + ADDED] = 1;
}

/** The exact sum in units of 2^−1074. */
function exact(page: Float64Array, p: number): bigint {
  let total = 0n;
  for (let k = LIMBS - 1; k >= 0; k--) total = (total << 32n) + BigInt(page[p + HEAD + k]);
  return total;
}

function bitLength(v: bigint): number {
  const hex = v.toString(16);
  return (hex.length - 1) * 4 + (32 - Math.clz32(parseInt(hex[0], 16)));
}

/** numerator / denominator · 2^exponent as the nearest double. */
export function ratioToDouble(numerator: bigint, denominator: bigint, exponent: number): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n;
  let n = negative ? -numerator : numerator;
  let d = denominator;
  let e = exponent;
  // A quotient of 64 to 66 bits, its last bit sticky: Number() then rounds once, unless the result is subnormal.
  const shift = 65 - (bitLength(n) - bitLength(d));
  if (shift > 0) n <<= BigInt(shift);
  else d <<= BigInt(-shift);
  e -= shift;
  let q = n / d;
  if (q * d !== n) q |= 1n;
  const length = bitLength(q);
  const below = -1074 - e;
  if (below > length - 53) {
    // Subnormal: cut to whole units of 2^−1074 with the sticky bit two below.
    const cut = BigInt(below);
    const unit = 1n << cut;
    let whole = q >> cut;
    const rest = q - (whole << cut);
    if (rest * 2n > unit || (rest * 2n === unit && (whole & 1n) === 1n)) whole += 1n;
    const v = Number(whole) * Number.MIN_VALUE;
    return negative ? -v : v;
  }
  const top = length + e;
  if (top > 1025) return negative ? -Infinity : Infinity;
  const half = Math.trunc(e / 2);
  const v = Number(q) * 2 ** half * 2 ** (e - half);
  return negative ? -v : v;
}

function special(page: Float64Array, p: number): number | null {
  if (page[p + NANS] !== 0 || (page[p + INFS] !== 0 && page[p + NEG_INFS] !== 0)) return NaN;
  if (page[p + INFS] !== 0) return Infinity;
  return page[p + NEG_INFS] !== 0 ? -Infinity : null;
}

function checked(v: number): number {
  if (v === Infinity || v === -Infinity) throw new SqlError('22003', 'value out of range: overflow');
  return v;
}

/** sum and avg of float4 and float8. */
export class FloatSum implements FixedAccumulator {
  readonly slots = SUM_SLOTS;
  first = 0;
  readonly #column: number;
  readonly #average: boolean;
  readonly #single: boolean;
  /** `single`: the result is a float4. */
  constructor(column: number, average: boolean, single: boolean) { this.#column = column; this.#average = average; this.#single = single; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const x = v.form === 'f64' ? (v.nulls !== null && v.nulls[i] === 1 ? null : v.values[i]) : v.form === 'datum' ? v.values[i] : null;
      if (typeof x !== 'number') continue;
      const w = weightAt(s, i);
      const p = cells.at[i] + this.first;
      cells.pages[i][p + N] += w;
      addFloat(cells.pages[i], p, x, w);
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at + N];
    if (n === 0) { column.appendNull(row); return; }
    const odd = special(page, at);
    const v = odd ?? checked(ratioToDouble(exact(page, at), this.#average ? BigInt(n) : 1n, -1074));
    column.appendNumber(row, this.#single ? (odd ?? checked(Math.fround(v))) : v);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { mergeFloat(page, at, from, fromAt); }
}

/** x·y as an unevaluated sum of two doubles (Dekker); exact unless it over- or underflows. */
function addProduct(page: Float64Array, p: number, x: number, y: number, w: number): void {
  const high = x * y;
  addFloat(page, p, high, w);
  if (!Number.isFinite(high)) return;
  const xs = x * 134217729;
  const xh = xs - (xs - x);
  const xl = x - xh;
  const ys = y * 134217729;
  const yh = ys - (ys - y);
  const yl = y - yh;
  const low = xl * yl - (((high - xh * yh) - xl * yh) - xh * yl);
  if (Number.isFinite(low)) addFloat(page, p, low, w);
}

/** variance and stddev of floats: sums of x and x², exactly; one rounding at the end. */
export class FloatVariance implements FixedAccumulator {
  readonly slots = 2 * SUM_SLOTS;
  first = 0;
  readonly #column: number;
  readonly #type: SqlType;
  readonly #form: VarianceForm;
  constructor(column: number, type: SqlType, form: VarianceForm) { this.#column = column; this.#type = type; this.#form = form; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const x = datumAt(this.#type, v, i);
      if (typeof x !== 'number') continue;
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      page[p + N] += w;
      addFloat(page, p, x, w);
      addProduct(page, p + SUM_SLOTS, x, x, w);
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at + N];
    if (n < (this.#form.sample ? 2 : 1)) { column.appendNull(row); return; }
    if (special(page, at) !== null) { column.appendNumber(row, NaN); return; }
    const sum = exact(page, at);
    // Units: x in 2^−1074, x² in 2^−1074 too; N·Σx²·2^1074 − (Σx)² is in 2^−2148.
    const spread = ((BigInt(n) * exact(page, at + SUM_SLOTS)) << 1074n) - sum * sum;
    const variance = spread <= 0n ? 0 : ratioToDouble(spread, BigInt(n) * BigInt(this.#form.sample ? n - 1 : n), -2148);
    column.appendNumber(row, checked(this.#form.root ? Math.sqrt(variance) : variance));
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { for (let k = 0; k < 2; k++) mergeFloat(page, at + k * SUM_SLOTS, from, fromAt + k * SUM_SLOTS); }
}

export type RegressionForm = 'corr' | 'covar_pop' | 'covar_samp' | 'regr_slope' | 'regr_intercept' | 'regr_r2' | 'regr_avgx' | 'regr_avgy' | 'regr_sxx' | 'regr_syy' | 'regr_sxy' | 'regr_count';

/** Aggregates of (y, x) pairs: sums of x, y, x², y², xy. Pairs with a NULL do not count. */
export class RegressionAccumulator implements FixedAccumulator {
  readonly slots = 5 * SUM_SLOTS;
  first = 0;
  readonly #y: number;
  readonly #x: number;
  readonly #form: RegressionForm;
  constructor(y: number, x: number, form: RegressionForm) { this.#y = y; this.#x = x; this.#form = form; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const y = datumAt({ kind: 'float8' }, batch.columns[this.#y], i);
      const x = datumAt({ kind: 'float8' }, batch.columns[this.#x], i);
      if (typeof x !== 'number' || typeof y !== 'number') continue;
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      page[p + N] += w;
      addFloat(page, p, x, w);
      addFloat(page, p + SUM_SLOTS, y, w);
      addProduct(page, p + 2 * SUM_SLOTS, x, x, w);
      addProduct(page, p + 3 * SUM_SLOTS, y, y, w);
      addProduct(page, p + 4 * SUM_SLOTS, x, y, w);
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at + N];
    if (this.#form === 'regr_count') { column.appendNumber(row, n); return; }
    const x = special(page, at);
    const y = special(page, at + SUM_SLOTS);
    const result = n === 0 || (n < 2 && this.#form === 'covar_samp') ? null : x !== null || y !== null ? this.#notFinite(page, at, n, x, y) : this.#result(page, at, n);
    if (result === null) column.appendNull(row);
    else column.appendNumber(row, result);
  }

  /** An infinity or NaN in x or y (null = the sum is finite): moments with it are NaN, but a constant other side still decides as among finite values. */
  #notFinite(page: Float64Array, at: number, n: number, x: number | null, y: number | null): number | null {
    const constant = (k: number): boolean => {
      const sum = exact(page, at + k * SUM_SLOTS);
      return ((BigInt(n) * exact(page, at + (2 + k) * SUM_SLOTS)) << 1074n) === sum * sum;
    };
    switch (this.#form) {
      case 'regr_avgx': return x ?? this.#result(page, at, n);
      case 'regr_avgy': return y ?? this.#result(page, at, n);
      case 'regr_sxx': return x === null ? this.#result(page, at, n) : NaN;
      case 'regr_syy': return y === null ? this.#result(page, at, n) : NaN;
      case 'corr': return (x === null && constant(0)) || (y === null && constant(1)) ? null : NaN;
      case 'regr_r2': return x === null && constant(0) ? null : y === null && constant(1) ? 1 : NaN;
      case 'regr_slope': case 'regr_intercept': return x === null && constant(0) ? null : NaN;
      default: return NaN;
    }
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { for (let k = 0; k < 5; k++) mergeFloat(page, at + k * SUM_SLOTS, from, fromAt + k * SUM_SLOTS); }

  #result(page: Float64Array, at: number, n: number): number | null {
    const count = BigInt(n);
    const sx = exact(page, at);
    const sy = exact(page, at + SUM_SLOTS);
    const moment = (k: number, a: bigint, b: bigint): bigint => ((count * exact(page, at + k * SUM_SLOTS)) << 1074n) - a * b;
    const xx = moment(2, sx, sx);
    const yy = moment(3, sy, sy);
    const xy = moment(4, sx, sy);
    const per = (m: bigint, d: bigint): number => ratioToDouble(m, d, -2148);
    switch (this.#form) {
      case 'regr_avgx': return ratioToDouble(sx, count, -1074);
      case 'regr_avgy': return ratioToDouble(sy, count, -1074);
      case 'regr_sxx': return per(xx, count);
      case 'regr_syy': return per(yy, count);
      case 'regr_sxy': return per(xy, count);
      case 'covar_pop': return per(xy, count * count);
      case 'covar_samp': return per(xy, count * (count - 1n));
      case 'corr': return xx === 0n || yy === 0n ? null : per(xy, count) / Math.sqrt(per(xx, count) * per(yy, count));
      case 'regr_r2': return xx === 0n ? null : yy === 0n ? 1 : (per(xy, count) * per(xy, count)) / (per(xx, count) * per(yy, count));
      case 'regr_slope': return xx === 0n ? null : per(xy, count) / per(xx, count);
      case 'regr_intercept': return xx === 0n ? null : (per(sy * (1n << 1074n), 1n) - (per(sx * (1n << 1074n), 1n) * per(xy, count)) / per(xx, count)) / n;
      case 'regr_count': return n;
    }
  }
}
