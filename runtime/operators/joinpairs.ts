/**
 * Pairs of a join: rows of the batch at hand beside stored rows of the other side, made into batches. A stored row is decoded once however many rows
 * of the batch meet it (bids of a batch have few auctions), and pairs are two numbers until the residual condition has been asked; its columns alone
 * are gathered for that, all others once, for the pairs that pass.
 */
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import { BATCH_ROWS_MAX, type Batch, type Vector } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { FilterFunction } from '../codegen/compile.js';
import type { EvalContext } from '../codegen/context.js';
import { columnsOf } from '../codegen/expressions.js';
import { gatherVector } from '../vectors.js';

/** Stored rows remembered of the pairs at hand: a direct-mapped table by place. */
const RECENT_ROWS = 1024;

export class JoinPairs {
  length = 0;
  readonly #stored: BatchBuilder;
  /** The stored side's columns come first. */
  readonly #storedFirst: boolean;
  readonly #filter: FilterFunction | null;
  readonly #filtered: ReadonlySet<number>;
  #rows = new Int32Array(BATCH_ROWS_MAX);
  #others = new Int32Array(BATCH_ROWS_MAX);
  /** null: all 1. */
  #weights: Int32Array<ArrayBuffer> | null = null;
  readonly #recentData: (Uint8Array | null)[] = Array.from({ length: RECENT_ROWS }, () => null);
  readonly #recentAt = new Int32Array(RECENT_ROWS);
  readonly #recentIndex = new Int32Array(RECENT_ROWS);

  constructor(storedTypes: readonly SqlType[], storedFirst: boolean, residual: Expr | null, filter: FilterFunction | null) {
    this.#stored = new BatchBuilder(storedTypes);
    this.#storedFirst = storedFirst;
    this.#filter = filter;
    this.#filtered = residual === null ? new Set() : columnsOf(residual);
  }

  /** Row i of the batch beside the stored row in `data` from `rowAt`. */
  add(i: number, data: Uint8Array, rowAt: number, weight: number): void {
    const n = this.length++;
    if (n === this.#rows.length) this.#grow();
    const slot = (rowAt >>> 3) & (RECENT_ROWS - 1);
    let other: number;
    if (this.#recentData[slot] === data && this.#recentAt[slot] === rowAt) other = this.#recentIndex[slot];
    else {
      other = this.#stored.length;
      this.#stored.appendStored(data, rowAt);
      this.#recentData[slot] = data;
      this.#recentAt[slot] = rowAt;
      this.#recentIndex[slot] = other;
    }
    this.#rows[n] = i;
    this.#others[n] = other;
    if (weight !== 1 && this.#weights === null) this.#weights = new Int32Array(this.#rows.length).fill(1, 0, n);
    if (this.#weights !== null) this.#weights[n] = weight;
  }

  #grow(): void {
    this.#rows = larger(this.#rows);
    this.#others = larger(this.#others);
    if (this.#weights !== null) this.#weights = larger(this.#weights);
  }

  /** Column c of the pairs: where its values are, which of them, and whether those are all in their order. */
  #column(c: number, batch: Batch, stored: Batch, whole: Whole): { readonly vector: Vector; readonly at: Int32Array; readonly whole: boolean } {
    const width = this.#storedFirst ? stored.columns.length : batch.columns.length;
    const from = c < width ? c : c - width;
    return (c < width) === this.#storedFirst ? { vector: stored.columns[from], at: this.#others, whole: whole.others } : { vector: batch.columns[from], at: this.#rows, whole: whole.rows };
  }

  #whole(n: number, batch: Batch, stored: Batch): Whole {
    return { rows: n === batch.length && isSequence(this.#rows, n), others: n === stored.length && isSequence(this.#others, n) };
  }

  /** The pairs that satisfy the residual condition, as a batch; null = none. Starts anew. */
  take(batch: Batch, context: EvalContext): Batch | null {
    let n = this.length;
    if (n === 0) return null;
    this.length = 0;
    this.#recentData.fill(null);
    const stored = this.#stored.finish();
    let weights: Int32Array | null = this.#weights;
    this.#weights = null;
    const total = batch.columns.length + stored.columns.length;
    if (this.#filter !== null) {
      const all = this.#whole(n, batch, stored);
      const columns: Vector[] = [];
      for (let c = 0; c < total; c++) {
        const { vector, at, whole } = this.#column(c, batch, stored, all);
        // The condition does not look at the others.
        columns.push(whole || !this.#filtered.has(c) ? vector : gatherVector(vector, at, n));
      }
      const kept = this.#filter({ length: n, columns, weights: null }, context);
      if (kept.count === 0) return null;
      if (kept.count < n) {
        n = kept.count;
        const passed = kept.rows;
        // In place: kept.rows[k] >= k.
        for (let k = 0; k < n; k++) {
          this.#rows[k] = this.#rows[passed[k]];
          this.#others[k] = this.#others[passed[k]];
        }
        if (weights !== null) for (let k = 0; k < n; k++) weights[k] = weights[passed[k]];
      }
    }
    const all = this.#whole(n, batch, stored);
    const columns: Vector[] = [];
    for (let c = 0; c < total; c++) {
      const { vector, at, whole } = this.#column(c, batch, stored, all);
      columns.push(whole ? vector : gatherVector(vector, at, n));
    }
    if (weights !== null && weights.length !== n) weights = weights.subarray(0, n);
    return { length: n, columns, weights };
  }
}

interface Whole { readonly rows: boolean; readonly others: boolean }

function larger(a: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const b = new Int32Array(a.length * 2);
  b.set(a);
  return b;
}

function isSequence(rows: Int32Array, n: number): boolean {
  for (let k = 0; k < n; k++) if (rows[k] !== k) return false;
  return true;
}
