/**
 * Partitions of rows in order, for operators that look at a partition as a whole (Top-N over rows that change, window functions).
 *
 * State, group table 0 ('ordered'): partition key (equality encoding) → rows, each as
 *   continuous    subkey = order key, then the stored row (ties come by their bytes); payload = length of the order key, int32
 *   batch query   subkey = order key, then 8 bytes of arrival number (ties come as they arrived, as in PostgreSQL); payload = the stored row
 *
 * Per epoch: the partitions touched (a hash set of their keys), and what `collect` found in each before its first change. Cost: one look-up in
 * the set and one add to the partition's tree a row.
 */
import type { SortKey } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { KeyList, residentKeys } from '../aggregates/groupkeys.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { OperatorContext } from '../operator.js';
import type { GroupTable } from '../state/table.js';
import { RowLists } from './rowlists.js';

const ARRIVAL_BYTES = 8;
const TWO_32 = 4294967296;

/** One row of a partition: false ends the walk. */
export type PartitionVisitor = (data: Uint8Array, orderStart: number, orderEnd: number, rowStart: number, rowEnd: number, count: number) => boolean;

/** Keys met in an epoch, each once. */
export class TouchedKeys {
  readonly keys = new KeyList();
  /** Whether the last `index` met a new key. */
  added = false;
  #slots = new Int32Array(256);

  index(keys: KeyBatch, i: number): number {
    const mask = this.#slots.length - 1;
    const hash = keys.hash[i];
    for (let s = Math.imul(hash, 0x9e3779b1) >>> 7 & mask; ; s = (s + 1) & mask) {
      const k = this.#slots[s] - 1;
      if (k >= 0) {
        if (!this.keys.equals(k, keys, i)) continue;
        this.added = false;
        return k;
      }
      this.added = true;
      const added = this.keys.push(keys.data, keys.start[i], keys.end[i], hash);
      this.#slots[s] = added + 1;
      if (this.keys.length * 2 > this.#slots.length) this.#grow();
      return added;
    }
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 4);
    const mask = slots.length - 1;
    for (let k = 0; k < this.keys.length; k++) {
      let s = Math.imul(this.keys.hash[k], 0x9e3779b1) >>> 7 & mask;
      while (slots[s] !== 0) s = (s + 1) & mask;
      slots[s] = k + 1;
    }
    this.#slots = slots;
  }

  clear(): void {
    this.keys.clear();
    if (this.#slots.length > 1 << 16) this.#slots = new Int32Array(256);
    else this.#slots.fill(0);
  }
}

export class OrderedPartitions {
  readonly touched = new TouchedKeys();
  /** Rows that touched partition k held before the epoch: [oldFrom(k), oldFrom(k + 1)) of `old`. */
  readonly old = new RowLists();
  readonly #table: GroupTable;
  readonly #keys: KeyEncoder;
  readonly #order: KeyEncoder;
  readonly #rows: (batch: Batch) => RowBytes;
  readonly #arrival: boolean;
  readonly #collect: (keys: KeyBatch, i: number, into: RowLists) => void;
  #oldFrom = new Int32Array(64);
  #arrived = 0;
  #subkey = new Uint8Array(256);
  readonly #length = new Uint8Array(4);
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;

  constructor(context: OperatorContext, types: readonly SqlType[], partition: readonly number[], order: readonly SortKey[], collect: (keys: KeyBatch, i: number, into: RowLists) => void) {
    this.#table = context.groupTable(0, 'ordered');
    this.#keys = keyEncoder(types, partition);
    this.#order = keyEncoder(types, order.map((k) => k.column), 'order', order);
    this.#rows = rowEncoder(types);
    this.#arrival = context.batchMode;
    this.#collect = collect;
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#keys(batch);
    this.#prepared = { batch, keys };
    return this.#table.prefetch(keys);
  }

  /** Before a barrier: partitions that were touched and left memory since. */
  prefetchTouched(): Promise<void> | null { return this.touched.keys.length === 0 ? null : this.#table.prefetch(this.touched.keys); }

  oldFrom(k: number): number { return k === this.touched.keys.length ? this.old.length : this.#oldFrom[k]; }

  /** Adds the rows of a batch. `rowsMax`: only the first that many entries of a partition are kept (append-only input). */
  add(batch: Batch, rowsMax: number | null): void {
    const keys = this.#prepared !== null && this.#prepared.batch === batch ? this.#prepared.keys : this.#keys(batch);
    this.#prepared = null;
    const order = this.#order(batch);
    const rows = this.#rows(batch);
    const { weights } = batch;
    for (let i = 0; i < batch.length; i++) {
      const weight = weights === null ? 1 : weights[i];
      if (weight === 0) continue;
      this.#touch(keys, i);
      this.#addRow(keys, i, order, rows, weight);
      if (rowsMax !== null && this.#table.entries(keys, i) > rowsMax) this.#dropLast(keys, i);
    }
  }

  #touch(keys: KeyBatch, i: number): void {
    const k = this.touched.index(keys, i);
    if (!this.touched.added) return;
    if (k === this.#oldFrom.length) {
      const grown = new Int32Array(k * 2);
      grown.set(this.#oldFrom);
      this.#oldFrom = grown;
    }
    this.#oldFrom[k] = this.old.length;
    if (!this.#arrival) this.#collect(keys, i, this.old);
  }

  #addRow(keys: KeyBatch, i: number, order: KeyBatch, rows: RowBytes, weight: number): void {
    const orderFrom = order.start[i];
    const orderBytes = order.end[i] - orderFrom;
    const from = rows.start[i];
    const to = rows.end[i];
    const bytes = orderBytes + (this.#arrival ? ARRIVAL_BYTES : to - from);
    if (this.#subkey.length < bytes) this.#subkey = new Uint8Array(bytes * 2);
    const subkey = this.#subkey;
    for (let p = 0; p < orderBytes; p++) subkey[p] = order.data[orderFrom + p];
    if (this.#arrival) {
      const n = this.#arrived++;
      putBigEndian(subkey, orderBytes, Math.floor(n / TWO_32));
      putBigEndian(subkey, orderBytes + 4, n % TWO_32);
      this.#table.add(keys, i, subkey, 0, bytes, rows.data, from, to, weight);
      return;
    }
    if (to - from < 48) for (let p = from, at = orderBytes; p < to; p++) subkey[at++] = rows.data[p];
    else subkey.set(rows.data.subarray(from, to), orderBytes);
    putBigEndian(this.#length, 0, orderBytes);
    this.#table.add(keys, i, subkey, 0, bytes, this.#length, 0, 4, weight);
  }

  #dropLast(keys: KeyBatch, i: number): void {
    let bytes = 0;
    let dropped = 0;
    this.#table.visit(keys, i, true, (data, subStart, subEnd, _payStart, _payEnd, count) => {
      bytes = subEnd - subStart;
      dropped = count;
      if (this.#subkey.length < bytes) this.#subkey = new Uint8Array(bytes * 2);
      this.#subkey.set(data.subarray(subStart, subEnd));
      return false;
    });
    this.#table.add(keys, i, this.#subkey, 0, bytes, this.#length, 0, 0, -dropped);
  }

  /** Rows of row i's partition in order. */
  visit(keys: KeyBatch, i: number, visit: PartitionVisitor): void {
    if (this.#arrival) {
      this.#table.visit(keys, i, false, (data, subStart, subEnd, payStart, payEnd, count) => visit(data, subStart, subEnd - ARRIVAL_BYTES, payStart, payEnd, count));
    } else {
      this.#table.visit(keys, i, false, (data, subStart, subEnd, payStart, _payEnd, count) => {
        const orderEnd = subStart + ((data[payStart] << 24) | (data[payStart + 1] << 16) | (data[payStart + 2] << 8) | data[payStart + 3]);
        return visit(data, subStart, orderEnd, orderEnd, subEnd, count);
      });
    }
  }

  /** All rows, with counts. */
  readAll(types: readonly SqlType[], give: (batch: Batch) => void): void {
    const out = new BatchBuilder(types);
    const keys = residentKeys(this.#table.roots);
    for (let k = 0; k < keys.length; k++) {
      this.visit(keys, k, (data, _orderStart, _orderEnd, rowStart, _rowEnd, count) => {
        if (count > 0) out.appendStored(data, rowStart, count);
        return true;
      });
      if (out.length >= BATCH_ROWS_MAX) give(out.finish());
    }
    if (out.length > 0) give(out.finish());
  }

  /** The epoch's results are out. */
  clear(): void {
    this.touched.clear();
    this.old.clear();
    if (this.#oldFrom.length > 1 << 18) this.#oldFrom = new Int32Array(64);
  }
}

function putBigEndian(bytes: Uint8Array, at: number, n: number): void {
  bytes[at] = n >>> 24;
  bytes[at + 1] = n >>> 16;
  bytes[at + 2] = n >>> 8;
  bytes[at + 3] = n;
}
