/**
 * RowLists: stored rows behind their order keys in one block of bytes, with weights and ranks: what partitions held when an epoch began, and hold
 * now. `appendDifference` gives the changes from one list to the other, both in order.
 *
 *   row k     [order key | stored row]: order key from start[k] to row[k], stored row from row[k] to end[k]
 */
import type { BatchBuilder } from '../batchbuilder.js';
import { copyBytes } from '../../types/encoding/bytes.js';

/** Up to these sizes buffers are kept in any case. */
const KEPT_BYTES = 1 << 20;
const KEPT_ROWS = 1 << 14;

export class RowLists {
  length = 0;
  data: Uint8Array = new Uint8Array(4096);
  start: Int32Array = new Int32Array(64);
  row: Int32Array = new Int32Array(64);
  end: Int32Array = new Int32Array(64);
  weight: Int32Array = new Int32Array(64);
  rank: Float64Array = new Float64Array(64);
  #used = 0;

  add(order: Uint8Array, orderStart: number, orderEnd: number, row: Uint8Array, rowStart: number, rowEnd: number, weight: number, rank: number): void {
    const k = this.length++;
    if (k === this.start.length) this.#growRows(k * 2);
    const orderBytes = orderEnd - orderStart;
    const bytes = orderBytes + rowEnd - rowStart;
    if (this.#used + bytes > this.data.length) this.#growBytes(bytes);
    const at = this.#used;
    copyBytes(order, orderStart, orderEnd, this.data, at);
    copyBytes(row, rowStart, rowEnd, this.data, at + orderBytes);
    this.start[k] = at;
    this.row[k] = at + orderBytes;
    this.end[k] = this.#used = at + bytes;
    this.weight[k] = weight;
    this.rank[k] = rank;
  }

  #growRows(n: number): void {
    const grown = (a: Int32Array): Int32Array => { const b = new Int32Array(n); b.set(a); return b; };
    this.start = grown(this.start);
    this.row = grown(this.row);
    this.end = grown(this.end);
    this.weight = grown(this.weight);
    const rank = new Float64Array(n);
    rank.set(this.rank);
    this.rank = rank;
  }

  #growBytes(bytes: number): void {
    const data = new Uint8Array(Math.max(this.data.length * 2, this.#used + bytes));
    data.set(this.data.subarray(0, this.#used));
    this.data = data;
  }

  /** Buffers stay as large as epochs need them: growing anew in each would cost a full collection an epoch. A burst's are given back by and by. */
  clear(): void {
    const rows = this.length;
    const bytes = this.#used;
    this.length = 0;
    this.#used = 0;
    if (this.data.length > KEPT_BYTES && bytes < this.data.length >>> 3) this.data = new Uint8Array(this.data.length >>> 1);
    if (this.start.length > KEPT_ROWS && rows < this.start.length >>> 3) this.#makeRows(this.start.length >>> 1);
  }

  #makeRows(n: number): void {
    this.start = new Int32Array(n);
    this.row = new Int32Array(n);
    this.end = new Int32Array(n);
    this.weight = new Int32Array(n);
    this.rank = new Float64Array(n);
  }

  /** Order of row i here and row j there: by order key and row. */
  compare(i: number, other: RowLists, j: number): number {
    const a = this.data;
    const b = other.data;
    let p = this.start[i];
    let q = other.start[j];
    const n = this.end[i] - p;
    const m = other.end[j] - q;
    for (const stop = p + Math.min(n, m); p < stop; p++, q++) if (a[p] !== b[q]) return a[p] - b[q];
    return n - m;
  }

  /** Whether rows i and j of this list are equal in the order. */
  peers(i: number, j: number): boolean {
    const { data, start, row } = this;
    let p = start[i];
    let q = start[j];
    const stop = row[i];
    if (stop - p !== row[j] - q) return false;
    while (p < stop) if (data[p++] !== data[q++]) return false;
    return true;
  }

  /** Row k with `weight` into the builder; with `ranked` its rank is the last column. */
  append(builder: BatchBuilder, k: number, weight: number, ranked: boolean): void {
    const width = builder.columns.length - (ranked ? 1 : 0);
    builder.appendStoredColumns(this.data, this.row[k], 0, width);
    if (ranked) builder.columns[width].appendNumber(builder.length, this.rank[k]);
    builder.endRow(weight);
  }
}

/**
 * Changes from `old`[i, iEnd) to `now`[j, jEnd). `byRank`: rows are compared rank by rank (each rank once, ascending; ranks are in the stream key, or
 * there is one row): what is taken back comes right before what takes its place. Else as sets of rows with
 * weights, each with its rank when `ranked`.
 */
export function appendDifference(builder: BatchBuilder, old: RowLists, i: number, iEnd: number, now: RowLists, j: number, jEnd: number, ranked: boolean, byRank: boolean): void {
  while (i < iEnd || j < jEnd) {
    if (j === jEnd) { old.append(builder, i, -old.weight[i], ranked); i++; continue; }
    if (i === iEnd) { now.append(builder, j, now.weight[j], ranked); j++; continue; }
    const order = byRank ? old.rank[i] - now.rank[j] : old.compare(i, now, j);
    if (order < 0) { old.append(builder, i, -old.weight[i], ranked); i++; continue; }
    if (order > 0) { now.append(builder, j, now.weight[j], ranked); j++; continue; }
    const same = byRank ? old.compare(i, now, j) === 0 : !ranked || old.rank[i] === now.rank[j];
    if (!same) {
      old.append(builder, i, -old.weight[i], ranked);
      now.append(builder, j, now.weight[j], ranked);
    } else if (old.weight[i] !== now.weight[j]) now.append(builder, j, now.weight[j] - old.weight[i], ranked);
    i++;
    j++;
  }
}
