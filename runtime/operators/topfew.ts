/**
 * Top-N of few rows by row_number over append-only input: what each partition keeps is one value, its first `to` rows in order, so that a row costs
 * one look-up and, when it comes in, one write. N = 1 is "keep the first (or last) row of each key".
 *
 * State, table 0: partition key (equality encoding) → [f64 touched][i32 rows][i32 offset of the last entry] entries…, in order, each
 *   [i32 bytes of the order key][i32 bytes of the row][order key][stored row], padded to 4 bytes
 * `touched` is the partition's position in the epoch's list, plus 1; it may be stale: the list decides.
 *
 * A batch, in two steps: (1) by its order key alone, which rows come in before the last one their partition keeps (N = 1: and before the batch's
 * other rows of the key); (2) only these are encoded and inserted. When nearly all come in (new keys) step 1 is left out. Rows equal in the order come by their bytes; in a
 * batch query as they arrived. Barrier: a touched partition's rows are compared with those it had when the epoch began.
 *
 * Cost: 50–150 ns for a row that stays out; inserting moves the entries behind it. FEW_ROWS_MAX bounds the value.
 */
import type { TopNNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { KeyList, RecentKeys } from '../aggregates/groupkeys.js';
import { IdleSweep } from '../aggregates/idlesweep.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import { compareSpans, copyBytes } from '../../types/encoding/bytes.js';
import type { Page, Slot, StateTable } from '../state/table.js';
import { gather } from '../vectors.js';
import { appendDifference, RowLists } from './rowlists.js';

/** Named limit: rows of a partition kept in one value; more go to a tree (topn.ts). */
export const FEW_ROWS_MAX = 32;

/** With state_ttl `touched` is, after the epoch, the negative time of the barrier after the last write. */
const HEADER = 16;
const ENTRY_HEAD = 8;
const ROWS_WORD = 2;
const LAST_WORD = 3;
/** Share of candidates above which all rows of the next batches are tried at once; every 16th batch asks again. */
const MOST = 0.75;
const PROBE_MASK = 15;

const entryBytes = (order: number, row: number): number => ENTRY_HEAD + ((order + row + 3) & ~3);

export class TopFewOperator implements Operator {
  readonly node: TopNNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #max: number;
  readonly #table: StateTable;
  readonly #encodeKeys: KeyEncoder;
  readonly #encodeOrder: KeyEncoder;
  readonly #encodeRows: (batch: Batch) => RowBytes;
  readonly #arrival: boolean;
  readonly #builder: BatchBuilder;
  readonly #idle: IdleSweep | null;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;

  readonly #touched = new KeyList();
  #touchedSlot = new Int32Array(64);
  /** Rows of touched partition k when the epoch began: [oldFrom[k], oldFrom[k + 1]) of #old. */
  readonly #old = new RowLists();
  #oldFrom = new Int32Array(65);
  readonly #now = new RowLists();

  #candidates = new Int32Array(0);
  /** N = 1: position among the candidates of the row that the batch's recent keys name; −1 = it stays out. */
  #candidateOf = new Int32Array(0);
  readonly #recent: RecentKeys | null;
  #all = false;
  #batches = 0;

  constructor(node: TopNNode, context: OperatorContext, input: readonly Column[], to: number) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#max = to;
    this.#table = context.stateTable(0);
    this.#idle = node.expires === true && context.ttl !== undefined && !context.batchMode ? new IdleSweep(this.#table, context.ttl.us, 0, true) : null;
    this.#encodeKeys = keyEncoder(this.#types, node.partition);
    this.#encodeOrder = keyEncoder(this.#types, node.order.map((k) => k.column), 'order', node.order);
    this.#encodeRows = rowEncoder(this.#types);
    this.#arrival = context.batchMode;
    this.#recent = to === 1 ? new RecentKeys() : null;
    this.#builder = new BatchBuilder(node.columns.map((c) => c.type));
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#encodeKeys(batch);
    this.#prepared = { batch, keys };
    return this.#table.prefetch(keys);
  }

  process(batch: Batch): void {
    const keys = this.#prepared !== null && this.#prepared.batch === batch ? this.#prepared.keys : this.#encodeKeys(batch);
    this.#prepared = null;
    const order = this.#encodeOrder(batch);
    const n = batch.length;
    if (this.#all && (++this.#batches & PROBE_MASK) !== 0) {
      const rows = this.#encodeRows(batch);
      for (let i = 0; i < n; i++) this.#insert(keys, i, order, i, rows, i, batch.weights === null ? 1 : batch.weights[i]);
      return;
    }
    const count = this.#choose(keys, order, n);
    this.#all = count > n * MOST;
    if (count === 0) return;
    const candidates = this.#candidates;
    const rows = this.#encodeRows(count === n ? batch : gather({ ...batch, weights: null }, candidates, count));
    for (let c = 0; c < count; c++) {
      const i = candidates[c];
      this.#insert(keys, i, order, i, rows, c, batch.weights === null ? 1 : batch.weights[i]);
    }
  }

  /** Rows that come before the last one of their partition, or whose partition is not full. */
  #choose(keys: KeyBatch, order: KeyBatch, n: number): number {
    if (this.#candidates.length < n) { this.#candidates = new Int32Array(n); this.#candidateOf = new Int32Array(n); }
    const candidates = this.#candidates;
    const candidateOf = this.#candidateOf;
    const recent = this.#recent;
    recent?.begin(keys);
    let count = 0;
    for (let i = 0; i < n; i++) {
      let known = -1;
      if (recent !== null) {
        known = recent.row(keys, i);
        const at = known < 0 ? -1 : candidateOf[known];
        if (at >= 0) {
          const other = candidates[at];
          const c = compareSpans(order.data, order.start[i], order.end[i], order.data, order.start[other], order.end[other]);
          if (c < 0) candidates[at] = i;
          // Equal in the order: their bytes decide, once they are encoded.
          if (c !== 0 || this.#arrival) continue;
        }
      }
      const enters = this.#enters(keys, i, order);
      candidateOf[known < 0 ? i : known] = enters ? count : -1;
      if (enters) candidates[count++] = i;
    }
    return count;
  }

  #enters(keys: KeyBatch, i: number, order: KeyBatch): boolean {
    const slot = this.#table.find(keys, i);
    if (slot < 0) return true;
    const page = this.#table.page(slot);
    const base = this.#table.offset(slot);
    if (page.i32[(base >>> 2) + ROWS_WORD] < this.#max) return true;
    const last = base + page.i32[(base >>> 2) + LAST_WORD];
    const c = compareSpans(order.data, order.start[i], order.end[i], page.bytes, last + ENTRY_HEAD, last + ENTRY_HEAD + page.i32[last >>> 2]);
    return c < 0 || (c === 0 && !this.#arrival);
  }

  /** Row i (order key o, bytes r) into its partition, `weight` times at most as often as it can rank. */
  #insert(keys: KeyBatch, i: number, order: KeyBatch, o: number, rows: RowBytes, r: number, weight: number): void {
    if (weight <= 0) return;
    const table = this.#table;
    const orderBytes = order.end[o] - order.start[o];
    const rowBytes = rows.end[r] - rows.start[r];
    const size = entryBytes(orderBytes, rowBytes);
    const slot = table.findOrInsert(keys, i, HEADER + size, HEADER);
    let times = Math.min(weight, this.#max);
    if (table.inserted) {
      const page = table.page(slot);
      const base = table.offset(slot);
      page.i32[(base >>> 2) + ROWS_WORD] = 1;
      page.i32[(base >>> 2) + LAST_WORD] = HEADER;
      writeEntry(page, base + HEADER, order, o, rows, r);
      this.#touch(slot, keys, i);
      times--;
    }
    for (; times > 0; times--) if (!this.#insertInto(slot, keys, i, order, o, rows, r, size)) return;
  }

  /** False: the row ranks behind the last one kept. */
  #insertInto(slot: Slot, keys: KeyBatch, i: number, order: KeyBatch, o: number, rows: RowBytes, r: number, size: number): boolean {
    const table = this.#table;
    let page = table.page(slot);
    let base = table.offset(slot);
    let count = page.i32[(base >>> 2) + ROWS_WORD];
    let length = table.length(slot);
    const at = this.#position(page, base, length, order, o, rows, r);
    if (at === length && count === this.#max) return false;
    this.#touchOnce(slot, keys, i);
    table.changed(slot);
    if (count === this.#max) {
      length = page.i32[(base >>> 2) + LAST_WORD];
      count--;
    }
    // Old bytes behind `length` are of the entry that goes.
    const behind = length - at;
    if (length + size > table.length(slot)) {
      table.resize(slot, length + size);
      page = table.page(slot);
      base = table.offset(slot);
    }
    if (behind > 0) page.bytes.copyWithin(base + at + size, base + at, base + length);
    writeEntry(page, base + at, order, o, rows, r);
    if (table.length(slot) > length + size) {
      table.resize(slot, length + size);
      page = table.page(slot);
      base = table.offset(slot);
    }
    const i32 = page.i32;
    i32[(base >>> 2) + ROWS_WORD] = count + 1;
    i32[(base >>> 2) + LAST_WORD] = behind === 0 ? at : lastOffset(i32, base, length + size);
    return true;
  }

  /** Where the row belongs: the offset of the first entry behind it. */
  #position(page: Page, base: number, length: number, order: KeyBatch, o: number, rows: RowBytes, r: number): number {
    const { bytes, i32 } = page;
    let at = HEADER;
    while (at < length) {
      const word = (base + at) >>> 2;
      const from = base + at + ENTRY_HEAD;
      const to = from + i32[word];
      const rowTo = to + i32[word + 1];
      let c = compareSpans(order.data, order.start[o], order.end[o], bytes, from, to);
      if (c === 0) c = this.#arrival ? 1 : compareSpans(rows.data, rows.start[r], rows.end[r], bytes, to, rowTo);
      if (c < 0) return at;
      at = (rowTo + 3 & ~3) - base;
    }
    return at;
  }

  #touchOnce(slot: Slot, keys: KeyBatch, i: number): void {
    const k = this.#table.page(slot).f64[this.#table.offset(slot) >>> 3] - 1;
    // Slot and hash are enough while the entry stays in memory; one that left it and came back is known by its key.
    if (k >= 0 && k < this.#touched.length && ((this.#touchedSlot[k] === slot && this.#touched.hash[k] === keys.hash[i]) || this.#touched.equals(k, keys, i))) return;
    if (!this.#arrival) this.#collect(slot, this.#old);
    this.#table.changed(slot);
    this.#touch(slot, keys, i);
  }

  #touch(slot: Slot, keys: KeyBatch, i: number): void {
    const k = this.#touched.push(keys.data, keys.start[i], keys.end[i], keys.hash[i]);
    if (k >= this.#touchedSlot.length) {
      const slots = new Int32Array(k * 2);
      slots.set(this.#touchedSlot);
      this.#touchedSlot = slots;
      const from = new Int32Array(k * 2 + 1);
      from.set(this.#oldFrom);
      this.#oldFrom = from;
    }
    this.#touchedSlot[k] = slot;
    this.#oldFrom[k + 1] = this.#old.length;
    this.#table.page(slot).f64[this.#table.offset(slot) >>> 3] = k + 1;
  }

  /** The rows that rank from `from` on. */
  #collect(slot: Slot, into: RowLists): void {
    const { bytes, i32 } = this.#table.page(slot);
    const base = this.#table.offset(slot);
    const end = base + this.#table.length(slot);
    let rank = 1;
    for (let at = base + HEADER; at < end; rank++) {
      const order = at + ENTRY_HEAD;
      const row = order + i32[at >>> 2];
      const rowEnd = row + i32[(at >>> 2) + 1];
      if (rank >= this.node.from) into.add(bytes, order, row, bytes, row, rowEnd, 1, rank);
      at = rowEnd + 3 & ~3;
    }
  }

  prefetchBarrier(barrier: Barrier): Promise<void> | null {
    const idle = this.#idle;
    const waiting = this.#touched.length === 0 ? null : this.#table.prefetch(this.#touched);
    if (idle === null || barrier.midEpoch !== undefined) return waiting;
    const sweep = (): Promise<void> | null => idle.collect(barrier.timeUs, (keys) => this.#table.prefetch(keys));
    return waiting === null ? sweep() : waiting.then(() => sweep() ?? undefined);
  }

  barrier(barrier: Barrier): void {
    this.#emitTouched(barrier.timeUs);
    if (this.#idle !== null && barrier.midEpoch === undefined) this.#freeIdle(this.#idle, barrier.timeUs);
  }

  end(): void { if (this.#context.batchMode) this.#emitTouched(0); }
  close(): void { this.#idle?.close(); }

  #freeIdle(idle: IdleSweep, nowUs: number): void {
    const due = idle.take();
    if (due === null) return;
    const table = this.#table;
    for (let k = 0; k < due.length; k++) {
      const slot = table.find(due, k);
      if (slot >= 0 && idle.isIdle(-table.page(slot).f64[table.offset(slot) >>> 3], nowUs)) table.delete(slot);
    }
  }

  /** All rows kept, those before `from` too. */
  readState(): void {
    const table = this.#table;
    const out = new BatchBuilder(this.#types);
    table.forEachResident((slot) => {
      const { bytes, i32 } = table.page(slot);
      const base = table.offset(slot);
      const end = base + table.length(slot);
      for (let at = base + HEADER; at < end;) {
        const row = at + ENTRY_HEAD + i32[at >>> 2];
        out.appendStored(bytes, row);
        at = row + i32[(at >>> 2) + 1] + 3 & ~3;
      }
      if (out.length >= BATCH_ROWS_MAX) this.#context.emit(out.finish());
    });
    if (out.length > 0) this.#context.emit(out.finish());
  }

  #emitTouched(nowUs: number): void {
    const touched = this.#touched;
    const builder = this.#builder;
    const { rank, from: first, to: last } = this.node;
    const byRank = rank || first === last;
    for (let k = 0; k < touched.length; k++) {
      const slot = this.#table.find(touched, k);
      if (slot < 0) continue;
      if (this.#idle !== null) {
        this.#table.changed(slot);
        this.#table.page(slot).f64[this.#table.offset(slot) >>> 3] = -nowUs;
      }
      const from = this.#oldFrom[k];
      const to = this.#oldFrom[k + 1];
      if (from === to) this.#appendAll(builder, slot);
      else {
        this.#now.clear();
        this.#collect(slot, this.#now);
        appendDifference(builder, this.#old, from, to, this.#now, 0, this.#now.length, rank, byRank);
      }
      if (builder.length >= BATCH_ROWS_MAX) this.#context.emit(builder.finish());
    }
    if (builder.length > 0) this.#context.emit(builder.finish());
    touched.clear();
    this.#old.clear();
  }

  /** A partition that showed nothing before: straight from its value. */
  #appendAll(builder: BatchBuilder, slot: Slot): void {
    const { bytes, i32 } = this.#table.page(slot);
    const base = this.#table.offset(slot);
    const end = base + this.#table.length(slot);
    const width = this.#types.length;
    let rank = 1;
    for (let at = base + HEADER; at < end; rank++) {
      const row = at + ENTRY_HEAD + i32[at >>> 2];
      if (rank >= this.node.from) {
        builder.appendStoredColumns(bytes, row, 0, width);
        if (this.node.rank) builder.columns[width].appendNumber(builder.length, rank);
        builder.endRow(1);
      }
      at = row + i32[(at >>> 2) + 1] + 3 & ~3;
    }
  }
}

function writeEntry(page: Page, at: number, order: KeyBatch, o: number, rows: RowBytes, r: number): void {
  const orderBytes = order.end[o] - order.start[o];
  page.i32[at >>> 2] = orderBytes;
  page.i32[(at >>> 2) + 1] = rows.end[r] - rows.start[r];
  copyBytes(order.data, order.start[o], order.end[o], page.bytes, at + ENTRY_HEAD);
  copyBytes(rows.data, rows.start[r], rows.end[r], page.bytes, at + ENTRY_HEAD + orderBytes);
}

/** Offset of the last entry of a value of `length` bytes. */
function lastOffset(i32: Int32Array, base: number, length: number): number {
  let at = HEADER;
  for (;;) {
    const word = (base + at) >>> 2;
    const next = at + entryBytes(i32[word], i32[word + 1]);
    if (next >= length) return at;
    at = next;
  }
}
