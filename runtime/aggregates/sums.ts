/**
 * Exact sums of integers, numerics and intervals, and what is made of them: sum, avg, variance, stddev.
 *
 * A sum is kept in limbs, doubles of base 2^52: value = l0 + l1·2^52 + … . The usual addend is an integer up to 2^52 and touches l0
 * only (one addition, one comparison); anything larger, and carries, go through BigInt. Signs of limbs may differ; nothing rounds.
 * Numerics are unscaled integers of the sum's scale, the largest scale met; smaller ones are scaled up.
 */
import type { SqlType } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import { Interval } from '../../types/interval.js';
import { Numeric, pow10 } from '../../types/numeric.js';
import { numericSqrt } from '../../types/numericmath.js';
import type { Batch, Vector } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import { datumAt, isNullAt } from '../vectors.js';
import { type Cells, type FixedAccumulator, type Selection, weightAt } from './fixed.js';

const BASE = 4503599627370496;
const BASE_BIG = 4503599627370496n;
const SAFE_BIG = 9007199254740992n;
const INT8_MAX = 9223372036854775807n;
const INT8_MIN = -9223372036854775808n;

/** Limbs of a sum of int8: 2^105 is 2^42 of the largest values. */
const INTEGER_LIMBS = 2;
/** Named limits: a numeric sum holds 2^261 unscaled (78 digits), a sum of squares 2^417. */
const NUMERIC_LIMBS = 5;
const SQUARE_LIMBS = 8;

export function readLimbs(page: Float64Array, p: number, limbs: number): bigint {
  let total = 0n;
  for (let k = limbs - 1; k >= 0; k--) total = total * BASE_BIG + BigInt(page[p + k]);
  return total;
}

function writeLimbs(page: Float64Array, p: number, limbs: number, value: bigint): void {
  let rest = value;
  for (let k = 0; k < limbs - 1; k++) {
    const high = rest / BASE_BIG;
    page[p + k] = Number(rest - high * BASE_BIG);
    rest = high;
  }
  if (rest > SAFE_BIG || rest < -SAFE_BIG) throw new SqlError('22003', 'value out of range: a sum exceeds 78 digits');
  page[p + limbs - 1] = Number(rest);
}

function addBig(page: Float64Array, p: number, limbs: number, value: bigint): void {
  writeLimbs(page, p, limbs, readLimbs(page, p, limbs) + value);
}

function addLimbs(page: Float64Array, p: number, limbs: number, from: Float64Array, q: number): void {
  for (let k = 1; k < limbs; k++) if (from[q + k] !== 0) { addBig(page, p, limbs, readLimbs(from, q, limbs)); return; }
  addNumber(page, p, limbs, from[q]);
}

/** Adds an integral double, exact when |x| <= 2^52; larger ones go through BigInt and must be exact integers themselves. */
function addNumber(page: Float64Array, p: number, limbs: number, x: number): void {
  if (x > BASE || x < -BASE) { addBig(page, p, limbs, BigInt(x)); return; }
  const low = page[p] + x;
  page[p] = low;
  if (low > BASE || low < -BASE) addBig(page, p, limbs, 0n);
}

/** w times the value of weight w: a product past 2^53 is no double. */
function addProduct(page: Float64Array, p: number, limbs: number, v: number, w: number): void {
  const x = v * w;
  if (x <= BASE && x >= -BASE) addNumber(page, p, limbs, x);
  else addBig(page, p, limbs, BigInt(v) * BigInt(w));
}

/** sum and avg of int2, int4, int8: [count, limbs]. */
export class IntegerSum implements FixedAccumulator {
  readonly slots = 1 + INTEGER_LIMBS;
  first = 0;
  readonly #column: number;
  readonly #form: 'int8' | 'numeric' | 'avg';
  constructor(column: number, form: 'int8' | 'numeric' | 'avg') { this.#column = column; this.#form = form; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    const { rows, count, weights } = s;
    const { pages, at } = cells;
    const first = this.first;
    if (v.form !== 'f64') { this.#slow(v, s, cells); return; }
    const values = v.values;
    const nulls = v.nulls;
    for (let k = 0; k < count; k++) {
      const i = rows[k];
      if (nulls !== null && nulls[i] === 1) continue;
      const w = weights === null ? 1 : weights[i];
      const page = pages[i];
      const p = at[i] + first;
      page[p] += w;
      const x = values[i] * w;
      const low = page[p + 1] + x;
      if (x <= BASE && x >= -BASE && low <= BASE && low >= -BASE) page[p + 1] = low;
      else addProduct(page, p + 1, INTEGER_LIMBS, values[i], w);
    }
  }

  #slow(v: Vector, s: Selection, cells: Cells): void {
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      if (isNullAt(v, i)) continue;
      const w = weightAt(s, i);
      const d = v.form === 'i64' ? v.values[i] : v.form === 'datum' ? v.values[i] : null;
      if (typeof d !== 'bigint' && typeof d !== 'number') continue;
      cells.pages[i][cells.at[i] + this.first] += w;
      addBig(cells.pages[i], cells.at[i] + this.first + 1, INTEGER_LIMBS, BigInt(d) * BigInt(w));
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at];
    if (n === 0) { column.appendNull(row); return; }
    const small = page[at + 2] === 0;
    if (this.#form === 'int8') {
      if (small) { column.appendNumber(row, page[at + 1]); return; }
      const total = readLimbs(page, at + 1, INTEGER_LIMBS);
      if (total > INT8_MAX || total < INT8_MIN) throw new SqlError('22003', 'bigint out of range');
      if (total > SAFE_BIG || total < -SAFE_BIG) column.appendBigInt(row, total);
      else column.appendNumber(row, Number(total));
      return;
    }
    const total = Numeric.of(small ? page[at + 1] : readLimbs(page, at + 1, INTEGER_LIMBS), 0);
    column.appendNumeric(row, this.#form === 'avg' ? total.div(Numeric.fromInt(n)) : total);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void {
    page[at] += from[fromAt];
    addLimbs(page, at + 1, INTEGER_LIMBS, from, fromAt + 1);
  }
}

// Cells of a numeric sum.
const N = 0;
const SCALE = 1;
const NANS = 2;
const INFS = 3;
const NEG_INFS = 4;
const LIMBS = 5;

/** What the special values among the inputs make of the result, or null when there are none. */
function specialSum(page: Float64Array, at: number): Numeric | null {
  if (page[at + NANS] !== 0 || (page[at + INFS] !== 0 && page[at + NEG_INFS] !== 0)) return Numeric.NAN;
  if (page[at + INFS] !== 0) return Numeric.INF;
  return page[at + NEG_INFS] !== 0 ? Numeric.NEG_INF : null;
}

function addSpecial(page: Float64Array, p: number, v: Numeric, w: number): void {
  page[p + (v.kind === 'nan' ? NANS : v.kind === 'inf' ? INFS : NEG_INFS)] += w;
}

function isZero(page: Float64Array, p: number, limbs: number): boolean {
  for (let k = 0; k < limbs; k++) if (page[p + k] !== 0) return false;
  return true;
}

/** Makes the sum's scale at least `scale`; gives what an addend of that scale must be multiplied with (as a power of ten). */
function raiseScale(page: Float64Array, p: number, scale: number, squares: boolean): number {
  // Rows of both signs may leave a sum without a count.
  if (page[p + N] === 0 && isZero(page, p + LIMBS, NUMERIC_LIMBS)) { page[p + SCALE] = scale; return 0; }
  const now = page[p + SCALE];
  if (scale <= now) return now - scale;
  const by = scale - now;
  writeLimbs(page, p + LIMBS, NUMERIC_LIMBS, readLimbs(page, p + LIMBS, NUMERIC_LIMBS) * pow10(by));
  if (squares) writeLimbs(page, p + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS, readLimbs(page, p + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS) * pow10(2 * by));
  page[p + SCALE] = scale;
  return 0;
}

/** Adds a numeric sum (with its squares) to another: the smaller scale is raised. */
function mergeNumeric(page: Float64Array, p: number, from: Float64Array, q: number, squares: boolean): void {
  if (isZero(from, q, LIMBS + NUMERIC_LIMBS + (squares ? SQUARE_LIMBS : 0))) return;
  const up = raiseScale(page, p, from[q + SCALE], squares);
  page[p + N] += from[q + N];
  for (const k of [NANS, INFS, NEG_INFS]) page[p + k] += from[q + k];
  if (up === 0) addLimbs(page, p + LIMBS, NUMERIC_LIMBS, from, q + LIMBS);
  else addBig(page, p + LIMBS, NUMERIC_LIMBS, readLimbs(from, q + LIMBS, NUMERIC_LIMBS) * pow10(up));
  if (squares) addBig(page, p + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS, readLimbs(from, q + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS) * pow10(2 * up));
}

/** sum and avg of numeric: [count, scale, NaNs, infinities, −infinities, limbs]. The result's display scale is the largest that was met. */
export class NumericSum implements FixedAccumulator {
  readonly slots = LIMBS + NUMERIC_LIMBS;
  first = 0;
  readonly #column: number;
  readonly #average: boolean;
  constructor(column: number, average: boolean) { this.#column = column; this.#average = average; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      if (v.form === 'dec') {
        if (v.nulls !== null && v.nulls[i] === 1) continue;
        const up = page[p + SCALE] === v.scale ? 0 : raiseScale(page, p, v.scale, false);
        page[p + N] += w;
        if (up === 0) addProduct(page, p + LIMBS, NUMERIC_LIMBS, v.values[i], w);
        else addBig(page, p + LIMBS, NUMERIC_LIMBS, BigInt(v.values[i]) * BigInt(w) * pow10(up));
        continue;
      }
      const d = v.form === 'datum' ? v.values[i] : null;
      if (!(d instanceof Numeric)) continue;
      if (d.kind !== 'finite') addSpecial(page, p, d, w);
      else addBig(page, p + LIMBS, NUMERIC_LIMBS, d.unscaled * BigInt(w) * pow10(raiseScale(page, p, d.scale, false)));
      page[p + N] += w;
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    if (page[at + N] === 0) { column.appendNull(row); return; }
    const special = specialSum(page, at);
    if (special !== null) { column.appendNumeric(row, special); return; }
    const total = Numeric.of(readLimbs(page, at + LIMBS, NUMERIC_LIMBS), page[at + SCALE]);
    column.appendNumeric(row, this.#average ? total.div(Numeric.fromInt(page[at + N])) : total);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { mergeNumeric(page, at, from, fromAt, false); }
}

export interface VarianceForm { readonly root: boolean; readonly sample: boolean }

/** variance and stddev of integers and numerics: as NumericSum, then the sum of squares. (N·Σx² − (Σx)²) / (N·(N−1)) as PostgreSQL has it. */
export class NumericVariance implements FixedAccumulator {
  readonly slots = LIMBS + NUMERIC_LIMBS + SQUARE_LIMBS;
  first = 0;
  readonly #column: number;
  readonly #type: SqlType;
  readonly #form: VarianceForm;
  constructor(column: number, type: SqlType, form: VarianceForm) { this.#column = column; this.#type = type; this.#form = form; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const d = datumAt(this.#type, v, i);
      if (d === null) continue;
      const x = d instanceof Numeric ? d : typeof d === 'number' || typeof d === 'bigint' ? Numeric.fromInt(d) : Numeric.ZERO;
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      if (x.kind !== 'finite') addSpecial(page, p, x, w);
      else {
        const unscaled = x.unscaled * pow10(raiseScale(page, p, x.scale, true));
        addBig(page, p + LIMBS, NUMERIC_LIMBS, unscaled * BigInt(w));
        addBig(page, p + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS, unscaled * unscaled * BigInt(w));
      }
      page[p + N] += w;
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at + N];
    if (n < (this.#form.sample ? 2 : 1)) { column.appendNull(row); return; }
    if (specialSum(page, at) !== null) { column.appendNumeric(row, Numeric.NAN); return; }
    const sum = readLimbs(page, at + LIMBS, NUMERIC_LIMBS);
    const squares = readLimbs(page, at + LIMBS + NUMERIC_LIMBS, SQUARE_LIMBS);
    const spread = BigInt(n) * squares - sum * sum;
    if (spread <= 0n) { column.appendNumeric(row, Numeric.ZERO); return; }
    const variance = Numeric.of(spread, 2 * page[at + SCALE]).div(Numeric.fromInt(n * (this.#form.sample ? n - 1 : n)));
    column.appendNumeric(row, this.#form.root ? numericSqrt(variance).round(variance.scale) : variance);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { mergeNumeric(page, at, from, fromAt, true); }
}

/** sum and avg of interval: [count, months, days, µs limbs]. */
export class IntervalSum implements FixedAccumulator {
  readonly slots = 3 + INTEGER_LIMBS;
  first = 0;
  readonly #column: number;
  readonly #average: boolean;
  constructor(column: number, average: boolean) { this.#column = column; this.#average = average; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    if (v.form !== 'datum') return;
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const d = v.values[i];
      if (!(d instanceof Interval)) continue;
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      page[p] += w;
      page[p + 1] += d.months * w;
      page[p + 2] += d.days * w;
      addProduct(page, p + 3, INTEGER_LIMBS, d.us, w);
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    if (page[at] === 0) { column.appendNull(row); return; }
    const us = readLimbs(page, at + 3, INTEGER_LIMBS);
    if (us > INT8_MAX || us < INT8_MIN || Math.abs(page[at + 1]) > 2147483647 || Math.abs(page[at + 2]) > 2147483647) throw new SqlError('22008', 'interval out of range');
    const total = new Interval(page[at + 1], page[at + 2], Number(us));
    column.appendDatum(row, this.#average ? total.div(page[at]) : total);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void {
    for (let k = 0; k < 3; k++) page[at + k] += from[fromAt + k];
    addLimbs(page, at + 3, INTEGER_LIMBS, from, fromAt + 3);
  }
}
