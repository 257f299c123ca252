/**
 * ExtremeRows: the rows of each partition whose value in `column` is the largest, ties included, over input in which a row's value only grows
 * (its −old is never after its +new by more than an epoch, and below it). Rows with a NULL among partition or value never come out.
 *
 * State, table 0: partition key (equality encoding) → doubles [largest value, touched]; table 1: partition → the rows that have it, with counts
 * (subkey: the stored row). What is below the largest is passed over: such a row comes to the front only by a larger value. `touched` is the
 * position in the epoch's list, plus 1; it may be stale. Barrier: −old and +new rows of touched partitions.
 *
 * Cost: 10–20 ns a row below the largest.
 */
import type { ExtremeRowsNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { KeyList, RecentKeys, residentKeys } from '../aggregates/groupkeys.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { GroupTable, GroupVisitor, StateTable } from '../state/table.js';
import { consolidate } from '../zset.js';

const LARGEST = 0;
const TOUCHED = 1;
const STATE_BYTES = 16;
const EMPTY = new Uint8Array(0);

export class ExtremeRowsOperator implements Operator {
  readonly node: ExtremeRowsNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #encode: KeyEncoder;
  readonly #rows: (batch: Batch) => RowBytes;
  readonly #table: StateTable;
  readonly #ties: GroupTable;
  readonly #touched = new KeyList();
  readonly #changes: BatchBuilder;
  readonly #recent = new RecentKeys();
  #largest = new Float64Array(0);
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;
  #sign = 1;
  readonly #visitRow: GroupVisitor = (data, subStart, _subEnd, _payStart, _payEnd, count) => {
    this.#changes.appendStored(data, subStart, this.#sign * count);
    return true;
  };

  constructor(node: ExtremeRowsNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#encode = keyEncoder(this.#types, node.partition);
    this.#rows = rowEncoder(this.#types);
    this.#table = context.stateTable(0);
    this.#ties = context.groupTable(1, 'ordered');
    this.#changes = new BatchBuilder(this.#types);
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#prefetchKeys(keys);
  }

  #prefetchKeys(keys: KeyBatch): Promise<void> | null {
    const own = this.#table.prefetch(keys);
    const ties = this.#ties.prefetch(keys);
    return own === null ? ties : ties === null ? own : Promise.all([own, ties]).then(() => undefined);
  }

  process(batch: Batch): void {
    const keys = this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    const n = batch.length;
    const v = batch.columns[this.node.column];
    assert(v.form === 'f64', 'a count past 2^53');
    const { values, nulls } = v;
    const { weights } = batch;
    if (this.#largest.length < n) this.#largest = new Float64Array(n);
    const largest = this.#largest;
    const recent = this.#recent;
    recent.begin(keys);
    let rows: RowBytes | null = null;
    for (let i = 0; i < n; i++) {
      const known = recent.row(keys, i);
      const at = known >= 0 ? known : i;
      if (known < 0) largest[i] = this.#known(keys, i);
      const value = values[i];
      if (value < largest[at] || (keys.anyNull !== null && keys.anyNull[i] === 1) || (nulls !== null && nulls[i] === 1)) continue;
      rows ??= this.#rows(batch);
      const weight = weights === null ? 1 : weights[i];
      this.#touch(keys, i);
      if (value > largest[at]) {
        assert(weight > 0, 'a row is taken back that was never there');
        this.#ties.clear(keys, i);
        this.#setLargest(keys, i, value);
        largest[at] = value;
      }
      this.#ties.add(keys, i, rows.data, rows.start[i], rows.end[i], EMPTY, 0, 0, weight);
    }
  }

  #known(keys: KeyBatch, i: number): number {
    const slot = this.#table.find(keys, i);
    return slot < 0 ? -Infinity : this.#table.page(slot).f64[(this.#table.offset(slot) >>> 3) + LARGEST];
  }

  #setLargest(keys: KeyBatch, i: number, value: number): void {
    const slot = this.#table.find(keys, i);
    this.#table.changed(slot);
    this.#table.page(slot).f64[(this.#table.offset(slot) >>> 3) + LARGEST] = value;
  }

  /** Before the partition's first change of the epoch: its rows are taken back. */
  #touch(keys: KeyBatch, i: number): void {
    const table = this.#table;
    const slot = table.findOrInsert(keys, i, STATE_BYTES);
    const at = table.offset(slot) >>> 3;
    const page = table.page(slot).f64;
    if (table.inserted) page[at + LARGEST] = -Infinity;
    const k = page[at + TOUCHED] - 1;
    if (k >= 0 && k < this.#touched.length && this.#touched.equals(k, keys, i)) return;
    table.changed(slot);
    page[at + TOUCHED] = this.#touched.push(keys.data, keys.start[i], keys.end[i], keys.hash[i]) + 1;
    this.#sign = -1;
    this.#ties.visit(keys, i, false, this.#visitRow);
  }

  prefetchBarrier(_barrier: Barrier): Promise<void> | null { return this.#touched.length === 0 ? null : this.#prefetchKeys(this.#touched); }

  barrier(_barrier: Barrier): void { this.#emit(); }

  end(): void { if (this.#context.batchMode) this.#emit(); }

  readState(): void {
    const keys = residentKeys(this.#table);
    this.#sign = 1;
    for (let k = 0; k < keys.length; k++) {
      this.#ties.visit(keys, k, false, this.#visitRow);
      if (this.#changes.length >= BATCH_ROWS_MAX) this.#context.emit(this.#changes.finish());
    }
    if (this.#changes.length > 0) this.#context.emit(this.#changes.finish());
  }

  #emit(): void {
    if (this.#touched.length === 0) return;
    this.#sign = 1;
    for (let k = 0; k < this.#touched.length; k++) this.#ties.visit(this.#touched, k, false, this.#visitRow);
    this.#touched.clear();
    // Rows that stay meet their own taking back.
    for (const batch of consolidate(this.#types, [this.#changes.finish()], null, false)) this.#context.emit(batch);
  }
}
