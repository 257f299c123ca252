/**
 * Accumulators of fixed layout: a few doubles in the group's state value, updated in place by one tight loop per aggregate over the rows
 * of a batch. Weights may be negative: every accumulator is a sum (of weights, of values, of bits), so that a retraction is the addition's
 * inverse. Only min and max over append-only input are not, and are used nowhere else.
 *
 * Cells: row i's accumulators begin at pages[i][at[i] + first]. `rows[0..count)` are the rows that take part (FILTER, DISTINCT).
 */
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import type { Batch, Vector } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import { datumAt, isNullAt } from '../vectors.js';

/** Where the groups of a batch's rows keep their doubles. Arrays may be longer than the batch. */
export interface Cells {
  readonly pages: readonly Float64Array[];
  readonly at: Int32Array;
}

/** The rows that an aggregate sees: `weights` (indexed by row) null = all +1. */
export interface Selection {
  readonly rows: Int32Array;
  readonly count: number;
  readonly weights: Int32Array | null;
}

export interface FixedAccumulator {
  /** Doubles it needs; zeros are its empty state. */
  readonly slots: number;
  /** Position of its doubles in the group's cells: given once, before use. */
  first: number;
  update(batch: Batch, selection: Selection, cells: Cells): void;
  /** Appends the result over the cells at `at` (already including `first`) to `column` as row `row`. 22003 on overflow. */
  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void;
  /** Adds another state of this aggregate, over other rows, to the one at `at` (both places already include `first`). `from` is of no use afterwards. */
  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void;
}

export const weightAt = (s: Selection, i: number): number => (s.weights === null ? 1 : s.weights[i]);

/** count(*) and count(x). */
export class CountAccumulator implements FixedAccumulator {
  readonly slots = 1;
  first = 0;
  readonly #column: number | null;
  constructor(column: number | null) { this.#column = column; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const { rows, count, weights } = s;
    const { pages, at } = cells;
    const first = this.first;
    const v = this.#column === null ? null : batch.columns[this.#column];
    if (v !== null && (v.form === 'datum' || v.nulls !== null)) {
      for (let k = 0; k < count; k++) {
        const i = rows[k];
        if (!isNullAt(v, i)) pages[i][at[i] + first] += weights === null ? 1 : weights[i];
      }
    } else if (weights === null) {
      for (let k = 0; k < count; k++) { const i = rows[k]; pages[i][at[i] + first]++; }
    } else {
      for (let k = 0; k < count; k++) { const i = rows[k]; pages[i][at[i] + first] += weights[i]; }
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void { column.appendNumber(row, page[at]); }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void { page[at] += from[fromAt]; }
}

/** bool_and, every, bool_or: how many are true, how many false. */
export class BoolAccumulator implements FixedAccumulator {
  readonly slots = 2;
  first = 0;
  readonly #column: number;
  readonly #and: boolean;
  constructor(column: number, and: boolean) { this.#column = column; this.#and = and; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      if (isNullAt(v, i)) continue;
      const yes = v.form === 'bool' ? v.values[i] === 1 : v.form === 'datum' && v.values[i] === true;
      cells.pages[i][cells.at[i] + this.first + (yes ? 0 : 1)] += weightAt(s, i);
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    if (page[at] === 0 && page[at + 1] === 0) column.appendNull(row);
    else column.appendBool(row, this.#and ? page[at + 1] === 0 : page[at] !== 0);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void {
    page[at] += from[fromAt];
    page[at + 1] += from[fromAt + 1];
  }
}

/**
 * min and max of numbers (integers, floats with NaN above all, dates, times) over append-only input: [count, value, rest]. A value past
 * 2^53 is its nearest double and the rest: rounding is monotonous, so the pair compares like the integer.
 */
export class ExtremeAccumulator implements FixedAccumulator {
  readonly slots = 3;
  first = 0;
  readonly #column: number;
  readonly #type: SqlType;
  readonly #sign: number;
  constructor(column: number, type: SqlType, max: boolean) { this.#column = column; this.#type = type; this.#sign = max ? 1 : -1; }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    const { rows, count } = s;
    const { pages, at } = cells;
    const first = this.first;
    const max = this.#sign > 0;
    if (v.form !== 'f64') { this.#slow(v, s, cells); return; }
    const values = v.values;
    const nulls = v.nulls;
    for (let k = 0; k < count; k++) {
      const i = rows[k];
      if (nulls !== null && nulls[i] === 1) continue;
      const x = values[i];
      const page = pages[i];
      const p = at[i] + first;
      if (page[p] === 0) { page[p] = 1; page[p + 1] = x; page[p + 2] = 0; continue; }
      const now = page[p + 1];
      if (max ? x > now : x < now) { page[p + 1] = x; page[p + 2] = 0; }
      else if (x === now) { const rest = page[p + 2]; if (max ? rest < 0 : rest > 0) page[p + 2] = 0; }
      else if (x !== x ? max : now !== now && !max) { page[p + 1] = x; page[p + 2] = 0; }
    }
  }

  #slow(v: Vector, s: Selection, cells: Cells): void {
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const d = datumAt(this.#type, v, i);
      if (typeof d !== 'number' && typeof d !== 'bigint') continue;
      const x = Number(d);
      const rest = typeof d === 'bigint' ? Number(d - BigInt(x)) : 0;
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      if (page[p] === 0 || this.#compare(x, rest, page[p + 1], page[p + 2]) * this.#sign > 0) { page[p] = 1; page[p + 1] = x; page[p + 2] = rest; }
    }
  }

  #compare(x: number, xRest: number, y: number, yRest: number): number {
    if (x !== x || y !== y) return x === x ? -1 : y === y ? 1 : 0;
    return x !== y ? x - y : xRest - yRest;
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    if (page[at] === 0) column.appendNull(row);
    else if (page[at + 2] === 0 && (Math.abs(page[at + 1]) <= 9007199254740992 || !Number.isInteger(page[at + 1]) || this.#type.kind.startsWith('float'))) column.appendNumber(row, page[at + 1]);
    else column.appendBigInt(row, BigInt(page[at + 1]) + BigInt(page[at + 2]));
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void {
    if (from[fromAt] === 0) return;
    if (page[at] !== 0 && this.#compare(from[fromAt + 1], from[fromAt + 2], page[at + 1], page[at + 2]) * this.#sign <= 0) return;
    for (let k = 0; k < 3; k++) page[at + k] = from[fromAt + k];
  }
}

/** bit_and, bit_or, bit_xor: [count, then per bit how many have it]. */
export class BitAccumulator implements FixedAccumulator {
  readonly slots: number;
  first = 0;
  readonly #column: number;
  readonly #type: SqlType;
  readonly #form: 'and' | 'or' | 'xor';
  readonly #bits: number;
  constructor(column: number, type: SqlType, form: 'and' | 'or' | 'xor') {
    this.#column = column;
    this.#type = type;
    this.#form = form;
    this.#bits = type.kind === 'int2' ? 16 : type.kind === 'int4' ? 32 : 64;
    this.slots = 1 + this.#bits;
  }

  update(batch: Batch, s: Selection, cells: Cells): void {
    const v = batch.columns[this.#column];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const d: Datum = datumAt(this.#type, v, i);
      if (typeof d !== 'number' && typeof d !== 'bigint') continue;
      const w = weightAt(s, i);
      const page = cells.pages[i];
      const p = cells.at[i] + this.first;
      page[p] += w;
      let rest = BigInt.asUintN(this.#bits, BigInt(d));
      for (let bit = 0; rest !== 0n; bit++, rest >>= 1n) if ((rest & 1n) === 1n) page[p + 1 + bit] += w;
    }
  }

  emit(page: Float64Array, at: number, column: ColumnBuilder, row: number): void {
    const n = page[at];
    if (n === 0) { column.appendNull(row); return; }
    let bits = 0n;
    for (let bit = this.#bits - 1; bit >= 0; bit--) {
      const ones = page[at + 1 + bit];
      const set = this.#form === 'and' ? ones === n : this.#form === 'or' ? ones !== 0 : ones % 2 !== 0;
      bits = (bits << 1n) | (set ? 1n : 0n);
    }
    const value = BigInt.asIntN(this.#bits, bits);
    if (value >= -9007199254740992n && value <= 9007199254740992n) column.appendNumber(row, Number(value));
    else column.appendBigInt(row, value);
  }

  merge(page: Float64Array, at: number, from: Float64Array, fromAt: number): void {
    for (let k = 0; k < this.slots; k++) page[at + k] += from[fromAt + k];
  }
}
