/**
 * Materialize: keeps the rows of a view and hands its input on to readers in the same job.
 *
 * State (table 0): with a stream key, key (equality encoding) → entries [int32 count, int32 length, stored row, padding to 8 bytes], almost always
 * one: −old and +new of an update may come in either order inside an epoch, so that a key may hold two rows, or a negative count, until the
 * barrier. Keyless: stored row → count as a double. Batches are applied at once; the table is whole epochs only at a barrier.
 *
 * Reading (called by the task, between barriers' end and the next batch): a reader opened right after a barrier shows exactly that epoch,
 * however the table goes on. All tasks of a job open theirs at the same barrier: one read is one epoch in all views of the job.
 *
 * `replaces` (below state that expires): a key has one row, the one that came last. What is handed on is the change that this makes.
 *
 *   openReader(fields)    rows of now, in chunks
 *   listen(listener)      each later epoch's net changes, at its barrier (collected only while somebody listens)
 *   backfill(push)        the whole content, to a reader added later, before it gets anything else
 *
 * Cost: one table look-up and one copy of the row a change.
 */
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { MaterializeNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { viewOf } from '../../types/encoding/bytes.js';
import { hashBytes } from '../../types/encoding/hash.js';
import type { Datum } from '../../types/value.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { keyEncoder, type KeyBatch, type KeyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { SnapshotReader, StateTable } from '../state/table.js';
import { batchFromDatums } from '../vectors.js';
import { consolidate } from '../zset.js';

/** Bytes before an entry's row: count and length. */
const ENTRY_HEAD = 8;
const entryBytes = (length: number): number => ENTRY_HEAD + ((length + 7) & ~7);

/** Net changes of one epoch over all columns of the node (hidden ones too), consolidated by stream key. */
export type EpochListener = (epoch: number, changes: readonly Batch[]) => void;

export interface ViewReader {
  /** The next rows of the view, all weights positive; null at the end. */
  next(): Promise<Batch | null>;
  close(): void;
}

export class MaterializeOperator implements Operator {
  readonly node: MaterializeNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #table: StateTable;
  readonly #rows: (batch: Batch) => RowBytes;
  readonly #keys: KeyEncoder | null;
  readonly #listeners = new Set<EpochListener>();
  #changes: Batch[] = [];
  #changed: BatchBuilder | null = null;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch; readonly rows: RowBytes } | null = null;
  #hash = new Int32Array(0);

  constructor(node: MaterializeNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
    this.#table = context.stateTable(0);
    this.#rows = rowEncoder(this.#types);
    this.#keys = node.key === null ? null : keyEncoder(this.#types, node.key);
  }

  #encode(batch: Batch): { readonly batch: Batch; readonly keys: KeyBatch; readonly rows: RowBytes } {
    const rows = this.#rows(batch);
    return { batch, rows, keys: this.#keys === null ? this.#rowKeys(batch, rows) : this.#keys(batch) };
  }

  #rowKeys(batch: Batch, rows: RowBytes): KeyBatch {
    if (this.#hash.length < batch.length) this.#hash = new Int32Array(batch.length);
    const hash = this.#hash;
    for (let i = 0; i < batch.length; i++) hash[i] = hashBytes(rows.data, rows.start[i], rows.end[i]);
    return { length: batch.length, data: rows.data, start: rows.start, end: rows.end, hash, anyNull: null };
  }

  prefetch(batch: Batch): Promise<void> | null {
    this.#prepared = this.#encode(batch);
    return this.#table.prefetch(this.#prepared.keys);
  }

  process(batch: Batch): void {
    const { keys, rows } = this.#prepared !== null && this.#prepared.batch === batch ? this.#prepared : this.#encode(batch);
    this.#prepared = null;
    if (this.node.replaces === true) {
      this.#replace(batch, keys, rows);
      return;
    }
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      if (weight === 0) continue;
      if (this.#keys === null) this.#addKeyless(keys, i, weight);
      else this.#addKeyed(keys, i, rows, weight);
    }
    if (this.#listeners.size > 0) this.#changes.push(batch);
    this.#context.emit(batch);
  }

  #replace(batch: Batch, keys: KeyBatch, rows: RowBytes): void {
    const table = this.#table;
    const out = this.#changed ??= new BatchBuilder(this.#types);
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      const from = rows.start[i];
      const length = rows.end[i] - from;
      const bytes = entryBytes(length);
      const slot = weight > 0 ? table.findOrInsert(keys, i, bytes) : weight < 0 ? table.find(keys, i) : -1;
      if (slot < 0) continue;
      if (weight < 0 || !table.inserted) {
        const { bytes: there, i32 } = table.page(slot);
        const at = table.offset(slot);
        const same = i32[(at >> 2) + 1] === length && sameBytes(there, at + ENTRY_HEAD, rows.data, from, length);
        // A key that came anew with what it had; something taken back that another row has replaced; DISTINCT shows a key as it first came.
        if (same === weight > 0 || (weight > 0 && this.node.appendOnly)) continue;
        out.appendStored(there, at + ENTRY_HEAD, -1);
        if (weight < 0) {
          table.delete(slot);
          continue;
        }
        table.changed(slot);
        if (table.length(slot) !== bytes) table.resize(slot, bytes);
      } else table.changed(slot);
      const page = table.page(slot);
      const at = table.offset(slot);
      page.i32[at >> 2] = 1;
      page.i32[(at >> 2) + 1] = length;
      page.bytes.set(rows.data.subarray(from, from + length), at + ENTRY_HEAD);
      out.appendStored(page.bytes, at + ENTRY_HEAD, 1);
    }
    if (out.length === 0) return;
    const made = out.finish();
    if (this.#listeners.size > 0) this.#changes.push(made);
    this.#context.emit(made);
  }

  #addKeyless(keys: KeyBatch, i: number, weight: number): void {
    const table = this.#table;
    const slot = table.findOrInsert(keys, i, 8);
    // Before the change: open readers save the old value.
    table.changed(slot);
    const cell = table.offset(slot) >> 3;
    const { f64 } = table.page(slot);
    if (f64[cell] + weight === 0) table.delete(slot);
    else f64[cell] += weight;
  }

  #addKeyed(keys: KeyBatch, i: number, rows: RowBytes, weight: number): void {
    const table = this.#table;
    const from = rows.start[i];
    const length = rows.end[i] - from;
    const slot = table.findOrInsert(keys, i, entryBytes(length));
    // Before the change: open readers save the old value.
    table.changed(slot);
    const total = table.length(slot);
    const offset = table.offset(slot);
    const page = table.page(slot);
    if (table.inserted) {
      page.i32[offset >> 2] = weight;
      page.i32[(offset >> 2) + 1] = length;
      page.bytes.set(rows.data.subarray(from, from + length), offset + ENTRY_HEAD);
      return;
    }
    for (let at = 0; at < total;) {
      const word = (offset + at) >> 2;
      const size = page.i32[word + 1];
      if (size === length && sameBytes(page.bytes, offset + at + ENTRY_HEAD, rows.data, from, length)) {
        const count = page.i32[word] + weight;
        if (count !== 0) page.i32[word] = count;
        else this.#removeEntry(slot, at, entryBytes(size), total);
        return;
      }
      at += entryBytes(size);
    }
    table.resize(slot, total + entryBytes(length));
    const grown = table.page(slot);
    const at = table.offset(slot) + total;
    grown.i32[at >> 2] = weight;
    grown.i32[(at >> 2) + 1] = length;
    grown.bytes.set(rows.data.subarray(from, from + length), at + ENTRY_HEAD);
  }

  #removeEntry(slot: number, at: number, size: number, total: number): void {
    const table = this.#table;
    if (total === size) { table.delete(slot); return; }
    const { bytes } = table.page(slot);
    const offset = table.offset(slot);
    bytes.copyWithin(offset + at, offset + at + size, offset + total);
    table.resize(slot, total - size);
  }

  barrier(barrier: Barrier): void {
    if (this.#listeners.size === 0 || barrier.midEpoch !== undefined) return;
    const changes = consolidate(this.#types, this.#changes, this.node.key, this.node.appendOnly);
    this.#changes = [];
    for (const listener of this.#listeners) listener(barrier.epoch, changes);
  }

  /** Changes from the next epoch on; call right after a barrier. Returns the function that ends it. */
  listen(listener: EpochListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#changes = [];
    };
  }

  /** Rows of now, of the columns `fields` (null: all stored columns); right after a barrier that is the barrier's epoch. */
  openReader(fields: readonly number[] | null): ViewReader { return new TableViewReader(this.#table.openReader(), this.#types, fields, this.#keys === null); }

  /** Rows of now with this key: values by column; null when they are not those of all key columns. */
  openPoint(fields: readonly number[], values: ReadonlyMap<number, Datum>): ViewReader | null {
    const { key } = this.node;
    if (this.#keys === null || key === null || key.length !== values.size || !key.every(k => values.has(k))) return null;
    const table = this.#table;
    const slot = table.find(this.#keys(batchFromDatums(this.#types, [this.#types.map((_, c) => values.get(c) ?? null)])), 0);
    const builder = new BatchBuilder(this.#types);
    if (slot >= 0) {
      const from = table.offset(slot);
      appendEntries(builder, table.page(slot).bytes, from, from + table.length(slot));
    }
    const batch = builder.length === 0 ? null : builder.finish();
    let rest: Batch | null = batch === null ? null : { length: batch.length, weights: batch.weights, columns: fields.map(f => batch.columns[f]) };
    return {
      next: () => { const given = rest; rest = null; return Promise.resolve(given); },
      close: () => { rest = null; },
    };
  }

  /** Gives the whole content to a reader that was added to the job later; in the midst of an epoch with counts below 0, which the rest of it makes up for. */
  async backfill(push: (batch: Batch) => Promise<void> | null): Promise<void> {
    const reader = new TableViewReader(this.#table.openReader(), this.#types, null, this.#keys === null, true);
    try {
      for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
        const waiting = push(batch);
        if (waiting !== null) await waiting;
      }
    } finally {
      reader.close();
    }
  }

  readState(): void {
    const table = this.#table;
    const out = new BatchBuilder(this.#types);
    table.forEachResident((slot) => {
      const { bytes } = table.page(slot);
      const from = table.offset(slot);
      if (this.#keys === null) appendKeyless(out, bytes, table.keyOffset(slot), bytes, from);
      else appendEntries(out, bytes, from, from + table.length(slot));
      if (out.length >= BATCH_ROWS_MAX) this.#context.emit(out.finish());
    });
    if (out.length > 0) this.#context.emit(out.finish());
  }

  get rowCount(): number { return this.#table.size; }
}

class TableViewReader implements ViewReader {
  readonly #reader: SnapshotReader;
  readonly #builder: BatchBuilder;
  readonly #fields: readonly number[] | null;
  readonly #keyless: boolean;
  readonly #negative: boolean;
  #more = true;

  /** `negative`: rows with counts below 0, too. */
  constructor(reader: SnapshotReader, types: readonly SqlType[], fields: readonly number[] | null, keyless: boolean, negative = false) {
    this.#reader = reader;
    this.#builder = new BatchBuilder(types);
    this.#fields = fields;
    this.#keyless = keyless;
    this.#negative = negative;
  }

  async next(): Promise<Batch | null> {
    while (this.#more) {
      this.#more = await this.#reader.next(BATCH_ROWS_MAX, (key, keyStart, _keyEnd, value, valueStart, valueEnd) => {
        if (this.#keyless) appendKeyless(this.#builder, key, keyStart, value, valueStart, this.#negative);
        else appendEntries(this.#builder, value, valueStart, valueEnd, this.#negative);
      });
      if (this.#builder.length === 0) continue;
      const batch = this.#builder.finish();
      return this.#fields === null ? batch : { length: batch.length, weights: batch.weights, columns: this.#fields.map(f => batch.columns[f]) };
    }
    return null;
  }

  close(): void { this.#more = false; this.#reader.close(); }
}

function appendKeyless(builder: BatchBuilder, row: Uint8Array, rowStart: number, value: Uint8Array, valueStart: number, negative = false): void {
  const count = new DataView(value.buffer, value.byteOffset + valueStart, 8).getFloat64(0, true);
  if (count > 0 || negative) builder.appendStored(row, rowStart, count);
}

/** Rows of one key's entries that count. */
function appendEntries(builder: BatchBuilder, value: Uint8Array, start: number, end: number, negative = false): void {
  const view = viewOf(value);
  for (let at = start; at < end;) {
    const count = view.getInt32(at, true);
    if (count > 0 || negative) builder.appendStored(value, at + ENTRY_HEAD, count);
    at += entryBytes(view.getInt32(at + 4, true));
  }
}

function sameBytes(a: Uint8Array, from: number, b: Uint8Array, start: number, length: number): boolean {
  for (let k = 0; k < length; k++) if (a[from + k] !== b[start + k]) return false;
  return true;
}
