/**
 * The groups of an aggregation in the state: their rows, which of them the epoch touched, what they gave before, and their end.
 *
 * State, table 0: group key (equality encoding) → doubles [rows, touched, closes at, accumulators…], then the key's row as first met where the
 * encoding does not keep it (1.0 and 1.00 are one group). Group tables and sets of the accumulators beside it are cleared with a group.
 *
 * A group met for the first time in an epoch leaves its old result row behind; at the barrier each touched group gives −old and +new, and nothing
 * when they are equal; a group without rows goes away. `late`: results go out when the group closes, or at the end of a batch query, and
 * nothing is remembered per epoch. With state_ttl `closes at` is the time of the last write instead. The earliest closing time is kept, so that a watermark before it costs nothing; one past it walks the groups.
 */
import type { AggregateNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { RowCodec } from '../../types/encoding/row.js';
import { BATCH_ROWS_MAX, type Batch, type Vector } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { changePairs } from '../changepairs.js';
import type { KeyBatch } from '../keys.js';
import { interpret, type RowFunction } from '../codegen/interpret.js';
import { columnsOf } from '../codegen/expressions.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { OperatorContext } from '../operator.js';
import type { Slot, StateTable } from '../state/table.js';
import { datumAt, datumRow } from '../vectors.js';
import type { FixedAccumulator } from './fixed.js';
import { emptyKey, KeyColumns, KeyList, keysReadable } from './groupkeys.js';
import { IdleSweep } from './idlesweep.js';
import type { GroupAccumulator } from './ordered.js';

// Cells of a group before its accumulators.
export const ROWS = 0;
/** Position in the epoch's touched list, plus 1. May be stale: the list decides. */
const TOUCHED = 1;
const CLOSES_AT = 2;
/** Of a group that expires, which no time closes: the time of the barrier after its last write. */
const WRITTEN_AT = CLOSES_AT;
export const HEAD = 3;

const NO_DATUMS: readonly Datum[] = [];

export type Result = { readonly fixed: FixedAccumulator } | { readonly group: GroupAccumulator };

/** What else the state keeps by group. */
export interface GroupPart {
  prefetch(keys: KeyBatch): Promise<void> | null;
  clear(keys: KeyBatch, i: number): void;
}

export class GroupState {
  readonly table: StateTable;
  readonly global: boolean;
  readonly late: boolean;
  /** state_ttl: null = groups stay. */
  readonly idle: IdleSweep | null;
  readonly #node: AggregateNode;
  readonly #context: OperatorContext;
  readonly #keyTypes: readonly SqlType[];
  readonly #outTypes: readonly SqlType[];
  readonly #results: readonly Result[];
  /** Direct arguments of the calls that have them, over the group's key. */
  readonly #direct: readonly (readonly RowFunction[] | null)[];
  /** Reads the group's key for them; null where they are constant. */
  readonly #directKey: BatchBuilder | null;
  readonly #parts: readonly GroupPart[];
  readonly #readable: boolean;
  readonly #codec: RowCodec;
  readonly #fixedBytes: number;
  /** DISTINCT over append-only input: a group that is there stays as it is. */
  readonly #still: boolean;
  readonly #keyColumns: KeyColumns;

  readonly #touched = new KeyList();
  /** Row of each touched group in #old, −1 = the group gave no row. */
  #oldRow = new Int32Array(64);
  /** Slot of each touched group when it was touched. */
  #touchedSlot = new Int32Array(64);
  /** Touched groups below this may have left memory since they were touched. */
  #looseBelow = 0;
  readonly #old: BatchBuilder;

  /** No group closes before this time; −Infinity = not known (after a restore). */
  #minClose = -Infinity;
  #due: KeyList | null = null;
  readonly #oneKey = { length: 1, data: new Uint8Array(0), start: new Int32Array(1), end: new Int32Array(1), hash: new Int32Array(1), anyNull: null };

  constructor(node: AggregateNode, context: OperatorContext, keyTypes: readonly SqlType[], results: readonly Result[], parts: readonly GroupPart[], cells: number, subplans: SubplanRunner | null) {
    this.#node = node;
    this.#context = context;
    this.#keyTypes = keyTypes;
    this.#outTypes = [...keyTypes, ...node.calls.map((c) => c.type)];
    this.#results = results;
    this.#direct = node.calls.map((c) => c.direct?.map((e) => interpret(e, subplans)) ?? null);
    this.#directKey = node.calls.some((c) => c.direct?.some((e) => columnsOf(e).size > 0) === true) ? new BatchBuilder(keyTypes) : null;
    this.#parts = parts;
    this.#readable = keysReadable(keyTypes);
    this.#keyColumns = new KeyColumns(keyTypes);
    this.#codec = new RowCodec(keyTypes);
    this.#fixedBytes = cells * 8;
    this.global = node.groupKeys.length === 0;
    this.late = context.batchMode || node.closes?.emitOnClose === true;
    this.table = context.stateTable(0);
    this.idle = node.expires === true && context.ttl !== undefined && !this.late ? new IdleSweep(this.table, context.ttl.us, WRITTEN_AT) : null;
    this.#still = node.calls.length === 0 && node.inputAppendOnly && this.idle === null;
    this.#old = new BatchBuilder(this.#outTypes);
  }

  get touched(): KeyBatch { return this.#touched; }
  get minClose(): number { return this.#minClose; }
  /** `collectDue` has found groups that `emitDue` or `freeDue` will take. */
  get dueKnown(): boolean { return this.#due !== null; }

  prefetch(keys: KeyBatch): Promise<void> | null {
    let waiting = this.table.prefetch(keys);
    for (const part of this.#parts) {
      const more = part.prefetch(keys);
      if (more !== null) waiting = waiting === null ? more : Promise.all([waiting, more]).then(() => undefined);
    }
    return waiting;
  }

  /** The group of row i of `keys`, about to be changed; `columns` are the key's columns. */
  meet(keys: KeyBatch, i: number, columns: readonly Vector[]): Slot {
    const table = this.table;
    const slot = table.findOrInsert(keys, i, this.#fixedBytes);
    if (table.inserted) {
      this.#begin(slot, columns, i);
      if (!this.late) this.#touch(slot, keys, i, -1);
    } else if (this.late) table.changed(slot);
    else if (!this.#still) this.#touchOnce(slot, keys, i);
    return slot;
  }

  /** A new group: its closing time and, where needed, its key's row. */
  #begin(slot: Slot, columns: readonly Vector[], i: number): void {
    const { closes } = this.#node;
    if (closes !== null) {
      const time = datumAt(this.#keyTypes[closes.keyIndex], columns[closes.keyIndex], i);
      const at = time === null ? Infinity : Number(time) + closes.addUs;
      this.table.page(slot).f64[(this.table.offset(slot) >>> 3) + CLOSES_AT] = at;
      if (at < this.#minClose) this.#minClose = at;
    }
    if (this.#readable) return;
    const row = this.#codec.encode(columns.map((v, c) => datumAt(this.#keyTypes[c], v, i)));
    this.table.resize(slot, this.#fixedBytes + row.length);
    this.table.page(slot).bytes.set(row, this.table.offset(slot) + this.#fixedBytes);
  }

  #touchOnce(slot: Slot, keys: KeyBatch, i: number): void {
    const page = this.table.page(slot).f64;
    const p = this.table.offset(slot) >>> 3;
    const k = page[p + TOUCHED] - 1;
    // Slot and hash are enough while the entry stays in memory; one that left it and came back is known by its key.
    if (k >= 0 && k < this.#touched.length && ((this.#touchedSlot[k] === slot && this.#touched.hash[k] === keys.hash[i]) || this.#touched.equals(k, keys, i))) return;
    this.table.changed(slot);
    let old = -1;
    if (this.global || page[p + ROWS] > 0) {
      old = this.#old.length;
      this.#appendResult(this.#old, slot, keys, i);
    }
    this.#touch(slot, keys, i, old);
  }

  #touch(slot: Slot, keys: KeyBatch, i: number, old: number): void {
    const k = this.#touched.push(keys.data, keys.start[i], keys.end[i], keys.hash[i]);
    if (k >= this.#oldRow.length) {
      const grown = new Int32Array(this.#oldRow.length * 2);
      grown.set(this.#oldRow);
      this.#oldRow = grown;
      const slots = new Int32Array(grown.length);
      slots.set(this.#touchedSlot);
      this.#touchedSlot = slots;
    }
    this.#touchedSlot[k] = slot;
    this.#oldRow[k] = old;
    this.table.page(slot).f64[(this.table.offset(slot) >>> 3) + TOUCHED] = k + 1;
  }

  #appendResult(builder: BatchBuilder, slot: Slot, keys: KeyBatch, i: number): void {
    const page = this.table.page(slot);
    const offset = this.table.offset(slot);
    const width = this.#keyTypes.length;
    this.#appendKey(builder, slot);
    const row = builder.length;
    const at = offset >>> 3;
    for (let c = 0; c < this.#results.length; c++) {
      const result = this.#results[c];
      if ('fixed' in result) result.fixed.emit(page.f64, at + result.fixed.first, builder.columns[width + c], row);
    }
    const key = this.#directKey === null ? NO_DATUMS : this.#keyDatums(this.#directKey, slot);
    // Afterwards: reading a group table may bring nodes into memory.
    for (let c = 0; c < this.#results.length; c++) {
      const result = this.#results[c];
      if (!('group' in result)) continue;
      const direct = this.#direct[c];
      result.group.emit(keys, i, builder.columns[width + c], row, direct === null ? NO_DATUMS : direct.map((f) => f(key, this.#context.session)));
    }
    builder.endRow(1);
  }

  #appendKey(builder: BatchBuilder, slot: Slot): void {
    const page = this.table.page(slot);
    if (this.#readable) this.#keyColumns.append(builder, page.bytes, this.table.keyOffset(slot), page.view);
    else builder.appendStoredColumns(page.bytes, this.table.offset(slot) + this.#fixedBytes, 0, this.#keyTypes.length);
  }

  #keyDatums(builder: BatchBuilder, slot: Slot): readonly Datum[] {
    this.#appendKey(builder, slot);
    builder.endRow(1);
    return datumRow(this.#keyTypes, builder.finish(), 0);
  }

  // ---- barrier ----

  /** Groups touched so far may leave memory before the barrier; those touched from now on do not. */
  loosen(): void { this.#looseBelow = this.#touched.length; }

  ensureGlobal(): void {
    const key = emptyKey();
    const slot = this.table.findOrInsert(key, 0, this.#fixedBytes);
    if (this.table.inserted && !this.late) this.#touch(slot, key, 0, -1);
  }

  emitTouched(nowUs: number): void {
    const old = this.#old.finish();
    const step = old.length === 0 ? BATCH_ROWS_MAX : BATCH_ROWS_MAX >> 1;
    for (let from = 0; from < this.#touched.length; from += step) this.#emitPart(old, from, Math.min(from + step, this.#touched.length));
    if (this.idle !== null) this.#written(nowUs);
    this.#touched.clear();
    this.#looseBelow = 0;
  }

  /** −old and +new of the groups from `from` to `to` as one batch. */
  #emitPart(old: Batch, from: number, to: number): void {
    const fresh = new BatchBuilder(this.#outTypes);
    const newRow = new Int32Array(to - from);
    for (let k = from; k < to; k++) newRow[k - from] = this.#appendNew(fresh, k);
    const changes = changePairs(this.#outTypes, old, this.#oldRow.subarray(from, to), fresh.finish(), newRow, to - from, this.#keyTypes.length);
    if (changes !== null) this.#context.emit(changes);
  }

  /** The row of touched group k's result in `fresh`, or −1; a group without rows is removed. */
  #appendNew(fresh: BatchBuilder, k: number): number {
    const slot = k < this.#looseBelow ? this.table.find(this.#touched, k) : this.#touchedSlot[k];
    if (slot < 0) return -1;
    const rows = this.table.page(slot).f64[this.table.offset(slot) >>> 3];
    if (rows > 0 || this.global) {
      this.#appendResult(fresh, slot, this.#touched, k);
      return fresh.length - 1;
    }
    if (rows === 0) {
      for (const part of this.#parts) part.clear(this.#touched, k);
      this.table.delete(slot);
    }
    return -1;
  }

  // ---- state_ttl ----

  #written(nowUs: number): void {
    const { table } = this;
    for (let k = 0; k < this.#touched.length; k++) {
      const slot = table.find(this.#touched, k);
      if (slot < 0) continue;
      table.changed(slot);
      table.page(slot).f64[(table.offset(slot) >>> 3) + WRITTEN_AT] = nowUs;
    }
  }

  /** Groups that were not written for state_ttl go, and nothing says so. After `emitTouched`. */
  freeIdle(nowUs: number): void {
    const due = this.idle?.take() ?? null;
    if (due === null) return;
    const { table } = this;
    for (let k = 0; k < due.length; k++) {
      const slot = table.find(due, k);
      if (slot < 0 || this.idle?.isIdle(table.page(slot).f64[(table.offset(slot) >>> 3) + WRITTEN_AT], nowUs) !== true) continue;
      for (const part of this.#parts) part.clear(due, k);
      table.delete(table.find(due, k));
    }
  }

  // ---- closing ----

  /** Results of the groups that close by `us`, for the last time (`late`), and their end. */
  emitDue(us: number): void {
    if (this.#due === null) this.#collectResidentDue(us);
    const due = this.#takeDue();
    if (due === null) return;
    let out = new BatchBuilder(this.#outTypes);
    for (let k = 0; k < due.length; k++) {
      const slot = this.table.find(due, k);
      if (slot < 0) continue;
      if (this.table.page(slot).f64[this.table.offset(slot) >>> 3] > 0) this.#appendResult(out, slot, due, k);
      if (out.length >= BATCH_ROWS_MAX) { this.#context.emit(out.finish()); out = new BatchBuilder(this.#outTypes); }
    }
    if (out.length > 0) this.#context.emit(out.finish());
    this.#free(due);
  }

  freeDue(us: number): void {
    if (this.#due === null) this.#collectResidentDue(us);
    this.#free(this.#takeDue());
  }

  #takeDue(): KeyList | null {
    const due = this.#due;
    this.#due = null;
    return due;
  }

  #free(due: KeyList | null): void {
    if (due === null) return;
    for (let k = 0; k < due.length; k++) {
      for (const part of this.#parts) part.clear(due, k);
      const slot = this.table.find(due, k);
      if (slot >= 0) this.table.delete(slot);
    }
  }

  /** Finds the groups that close by `us` when some of them may not be in memory. */
  collectDue(us: number): Promise<void> | null {
    if (this.table.allResident || us < this.#minClose) return null;
    return this.#scanDue(us);
  }

  async #scanDue(us: number): Promise<void> {
    const due = new KeyList();
    let next = Infinity;
    await this.table.scan((key, value) => {
      const at = new DataView(value.buffer, value.byteOffset).getFloat64(CLOSES_AT * 8, true);
      if (at <= us) due.push(key, 0, key.length, hashBytes(key, 0, key.length));
      else if (at < next) next = at;
    });
    this.#minClose = next;
    this.#due = due;
    await this.prefetch(due);
  }

  #collectResidentDue(us: number): void {
    if (us < this.#minClose) return;
    const table = this.table;
    const due = new KeyList();
    let next = Infinity;
    table.forEachResident((slot) => {
      const at = table.page(slot).f64[(table.offset(slot) >>> 3) + CLOSES_AT];
      if (at <= us) this.#pushKey(due, slot);
      else if (at < next) next = at;
    });
    this.#minClose = next;
    this.#due = due;
  }

  #pushKey(list: KeyList, slot: Slot): void {
    const bytes = this.table.page(slot).bytes;
    const from = this.table.keyOffset(slot);
    const to = from + this.table.keyLength(slot);
    list.push(bytes, from, to, hashBytes(bytes, from, to));
  }

  // ---- batch queries ----

  emitAll(): void {
    if (this.global) this.ensureGlobal();
    const table = this.table;
    const out = new BatchBuilder(this.#outTypes);
    const key = this.#oneKey;
    table.forEachResident((slot) => {
      const page = table.page(slot);
      if (!this.global && page.f64[table.offset(slot) >>> 3] <= 0) return;
      key.data = page.bytes as Uint8Array<ArrayBuffer>;
      key.start[0] = table.keyOffset(slot);
      key.end[0] = key.start[0] + table.keyLength(slot);
      if (this.#parts.length > 0) key.hash[0] = hashBytes(key.data, key.start[0], key.end[0]);
      this.#appendResult(out, slot, key, 0);
      if (out.length >= BATCH_ROWS_MAX) this.#context.emit(out.finish());
    });
    if (out.length > 0) this.#context.emit(out.finish());
  }
}
