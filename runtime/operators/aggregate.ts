/**
 * Aggregate: GROUP BY and DISTINCT.
 *
 * State, table 0: group key (equality encoding) → doubles [rows, touched, closes at, accumulators…], then the key's row as first met where the
 * encoding does not keep it (1.0 and 1.00 are one group). Tables 1…: what DISTINCT, ordered and list aggregates keep of their inputs.
 *
 * A batch: (1) find or insert each row's group, but for rows whose key the batch had shortly before (RecentKeys); a group met for the first time in the epoch leaves its old result row behind;
 * (2) one loop per aggregate over the rows' cells. Barrier: each touched group gives −old and +new, once, and nothing when they are equal; a group without
 * rows goes away. Without group keys the one group is always there. Batch queries: all groups at the end.
 *
 * `closes`: the watermark frees groups: those whose time has come are gone after the epoch's results (emitOnClose: their result is given
 * then, and only then). The earliest closing time is kept, so that a watermark before it costs nothing; one past it walks the groups.
 *
 * Cost: 40–100 ns a row for the group, 2–10 ns a fixed aggregate; per epoch and touched group two result rows.
 */
import type { AggregateNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { ByteReader } from '../../types/encoding/identity.js';
import { RowCodec } from '../../types/encoding/row.js';
import { appendKey, emptyKey, KeyList, keysReadable, RecentKeys } from '../aggregates/groupkeys.js';
import type { FixedAccumulator, Selection } from '../aggregates/fixed.js';
import { makeAccumulator } from '../aggregates/make.js';
import { DistinctSet, type GroupAccumulator } from '../aggregates/ordered.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { GroupTable, Slot, StateTable } from '../state/table.js';
import { datumAt, isNullAt } from '../vectors.js';
import { rowsEqual } from '../rowsequal.js';

// Cells of a group before its accumulators.
const ROWS = 0;
/** Position in the epoch's touched list, plus 1. May be stale: the list decides. */
const TOUCHED = 1;
const CLOSES_AT = 2;
const HEAD = 3;
/** Named limit: state tables of one operator (ids are node.id * 16 + k). */
const TABLES_MAX = 16;

/** Aggregates that see the same rows: equal FILTER, equal DISTINCT arguments. */
interface Inputs {
  readonly filter: number | null;
  readonly distinct: DistinctSet | null;
  readonly fixed: FixedAccumulator[];
  readonly groups: GroupAccumulator[];
  filtered: Int32Array;
  /** Of the batch in hand. */
  selection: Selection;
}

const NO_ROWS: Selection = { rows: new Int32Array(0), count: 0, weights: null };

type Result = { readonly fixed: FixedAccumulator } | { readonly group: GroupAccumulator };

export class AggregateOperator implements Operator {
  readonly node: AggregateNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #outTypes: readonly SqlType[];
  readonly #keyTypes: readonly SqlType[];
  readonly #encode: KeyEncoder;
  readonly #readable: boolean;
  readonly #codec: RowCodec;
  readonly #table: StateTable;
  readonly #groupTables: GroupTable[] = [];
  readonly #inputs: Inputs[] = [];
  readonly #results: Result[] = [];
  readonly #fixedBytes: number;
  readonly #global: boolean;
  /** Results go out when the group closes, or at the end of a batch query: nothing is remembered per epoch. */
  readonly #late: boolean;
  readonly #reader = new ByteReader(new Uint8Array(0));

  readonly #touched = new KeyList();
  /** Row of each touched group in #old, −1 = the group gave no row. */
  #oldRow = new Int32Array(64);
  /** Slot of each touched group when it was touched. */
  #touchedSlot = new Int32Array(64);
  readonly #old: BatchBuilder;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;

  /** No group closes before this time; −Infinity = not known (after a restore). */
  #minClose = -Infinity;
  #closedUpTo = -Infinity;
  #due: KeyList | null = null;

  readonly #recent = new RecentKeys();
  /** The slot of each row's group, or ~k: the group of row k, earlier in the batch. */
  #slots = new Int32Array(0);
  #at = new Int32Array(0);
  #pages: Float64Array[] = [];
  #all = new Int32Array(0);
  readonly #oneKey = { length: 1, data: new Uint8Array(0), start: new Int32Array(1), end: new Int32Array(1), hash: new Int32Array(1), anyNull: null };

  constructor(node: AggregateNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#keyTypes = node.groupKeys.map((k) => this.#types[k]);
    this.#outTypes = [...this.#keyTypes, ...node.calls.map((c) => c.type)];
    this.#encode = keyEncoder(this.#types, node.groupKeys);
    this.#readable = keysReadable(this.#keyTypes);
    this.#codec = new RowCodec(this.#keyTypes);
    this.#global = node.groupKeys.length === 0;
    this.#late = context.batchMode || node.closes?.emitOnClose === true;
    this.#table = context.stateTable(0);
    this.#fixedBytes = this.#layOut() * 8;
    this.#old = new BatchBuilder(this.#outTypes);
  }

  /** Makes the accumulators and gives each its cells; the number of doubles of a group. */
  #layOut(): number {
    const { node } = this;
    let first = HEAD;
    const nextTable = (): GroupTable => {
      const k = this.#groupTables.length + 1;
      assert(k < TABLES_MAX, `an aggregation with more than ${TABLES_MAX - 1} DISTINCT or ordered aggregates`);
      const table = this.#context.groupTable(k, 'ordered');
      this.#groupTables.push(table);
      return table;
    };
    for (const call of node.calls) {
      const made = makeAccumulator(call, { node, types: this.#types, session: this.#context.session, batchMode: this.#context.batchMode, nextTable });
      if ('fixed' in made) { made.fixed.first = first; first += made.fixed.slots; }
      this.#results.push(made);
      const distinct = call.distinct && !/^(min|max|bool_|every|bit_and|bit_or)/.test(call.fn);
      const inputs = this.#inputsFor(call.filter, distinct ? call.args : null, nextTable);
      if ('fixed' in made) inputs.fixed.push(made.fixed);
      else inputs.groups.push(made.group);
    }
    return first;
  }

  #inputsFor(filter: number | null, distinct: readonly number[] | null, nextTable: () => GroupTable): Inputs {
    for (const known of this.#inputs) {
      if (known.filter === filter && (distinct === null ? known.distinct === null : known.distinct !== null && known.distinct.args.join() === distinct.join())) return known;
    }
    const made: Inputs = { filter, distinct: distinct === null ? null : new DistinctSet(nextTable(), this.#types, distinct), fixed: [], groups: [], filtered: new Int32Array(0), selection: NO_ROWS };
    this.#inputs.push(made);
    return made;
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#prefetchKeys(keys);
  }

  #prefetchKeys(keys: KeyBatch): Promise<void> | null {
    let waiting = this.#table.prefetch(keys);
    for (const table of this.#groupTables) {
      const more = table.prefetch(keys);
      if (more !== null) waiting = waiting === null ? more : Promise.all([waiting, more]).then(() => undefined);
    }
    return waiting;
  }

  process(batch: Batch): void {
    const keys = this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    const n = batch.length;
    this.#room(n);
    this.#findGroups(batch, keys, n);
    const weights = batch.weights;
    // What may move records (group tables share the task's pages) comes before anybody looks into cells.
    const everything: Selection = { rows: this.#all, count: n, weights };
    for (const inputs of this.#inputs) {
      inputs.selection = inputs.filter === null ? everything : this.#filter(batch, inputs, inputs.filter);
      if (inputs.distinct !== null) inputs.selection = inputs.distinct.changes(batch, inputs.selection, keys);
      for (const a of inputs.groups) a.update(batch, inputs.selection, keys);
    }
    const table = this.#table;
    const pages = this.#pages;
    const at = this.#at;
    const slots = this.#slots;
    for (let i = 0; i < n; i++) {
      const slot = slots[i];
      const page = slot < 0 ? pages[~slot] : table.page(slot).f64;
      const p = slot < 0 ? at[~slot] : table.offset(slot) >>> 3;
      pages[i] = page;
      at[i] = p;
      page[p] += weights === null ? 1 : weights[i];
    }
    const cells = { pages, at };
    for (const inputs of this.#inputs) for (const a of inputs.fixed) a.update(batch, inputs.selection, cells);
  }

  #room(n: number): void {
    if (this.#slots.length >= n) return;
    this.#slots = new Int32Array(n);
    this.#at = new Int32Array(n);
    const nowhere = new Float64Array(0);
    this.#pages = Array.from({ length: n }, () => nowhere);
    this.#all = Int32Array.from({ length: n }, (_, i) => i);
  }

  #filter(batch: Batch, inputs: Inputs, column: number): Selection {
    const v = batch.columns[column];
    if (inputs.filtered.length < batch.length) inputs.filtered = new Int32Array(batch.length);
    const rows = inputs.filtered;
    let count = 0;
    for (let i = 0; i < batch.length; i++) {
      if (isNullAt(v, i)) continue;
      if (v.form === 'bool' ? v.values[i] === 1 : v.form === 'datum' && v.values[i] === true) rows[count++] = i;
    }
    return { rows, count, weights: batch.weights };
  }

  #findGroups(batch: Batch, keys: KeyBatch, n: number): void {
    const table = this.#table;
    const slots = this.#slots;
    const recent = this.#recent;
    recent.begin(keys);
    // DISTINCT over append-only input: a group that is there stays as it is.
    const still = this.node.calls.length === 0 && this.node.inputAppendOnly;
    for (let i = 0; i < n; i++) {
      const same = recent.row(keys, i);
      if (same >= 0) { slots[i] = ~same; continue; }
      const slot = table.findOrInsert(keys, i, this.#fixedBytes);
      slots[i] = slot;
      if (table.inserted) {
        this.#begin(slot, batch, i);
        if (!this.#late) this.#touch(slot, keys, i, -1);
      } else if (this.#late) table.changed(slot);
      else if (!still) this.#touchOnce(slot, keys, i);
    }
  }

  /** A new group: its closing time and, where needed, its key's row. */
  #begin(slot: Slot, batch: Batch, i: number): void {
    const { closes, groupKeys } = this.node;
    if (closes !== null) {
      const c = groupKeys[closes.keyIndex];
      const time = datumAt(this.#types[c], batch.columns[c], i);
      const at = time === null ? Infinity : Number(time) + closes.addUs;
      this.#table.page(slot).f64[(this.#table.offset(slot) >>> 3) + CLOSES_AT] = at;
      if (at < this.#minClose) this.#minClose = at;
    }
    if (this.#readable) return;
    const row = this.#codec.encode(groupKeys.map((c) => datumAt(this.#types[c], batch.columns[c], i)));
    this.#table.resize(slot, this.#fixedBytes + row.length);
    this.#table.page(slot).bytes.set(row, this.#table.offset(slot) + this.#fixedBytes);
  }

  #touchOnce(slot: Slot, keys: KeyBatch, i: number): void {
    const page = this.#table.page(slot).f64;
    const p = this.#table.offset(slot) >>> 3;
    const k = page[p + TOUCHED] - 1;
    // Slot and hash are enough while the entry stays in memory; one that left it and came back is known by its key.
    if (k >= 0 && k < this.#touched.length && ((this.#touchedSlot[k] === slot && this.#touched.hash[k] === keys.hash[i]) || this.#touched.equals(k, keys, i))) return;
    this.#table.changed(slot);
    let old = -1;
    if (this.#global || page[p + ROWS] > 0) {
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
    this.#table.page(slot).f64[(this.#table.offset(slot) >>> 3) + TOUCHED] = k + 1;
  }

  #appendResult(builder: BatchBuilder, slot: Slot, keys: KeyBatch, i: number): void {
    const page = this.#table.page(slot);
    const offset = this.#table.offset(slot);
    const width = this.#keyTypes.length;
    if (this.#readable) {
      this.#reader.reset(page.bytes, this.#table.keyOffset(slot));
      appendKey(builder, this.#keyTypes, this.#reader);
    } else builder.appendStoredColumns(page.bytes, offset + this.#fixedBytes, 0, width);
    const row = builder.length;
    const at = offset >>> 3;
    for (let c = 0; c < this.#results.length; c++) {
      const result = this.#results[c];
      if ('fixed' in result) result.fixed.emit(page.f64, at + result.fixed.first, builder.columns[width + c], row);
    }
    // Afterwards: reading a group table may bring nodes into memory.
    for (let c = 0; c < this.#results.length; c++) {
      const result = this.#results[c];
      if ('group' in result) result.group.emit(keys, i, builder.columns[width + c], row);
    }
    builder.endRow(1);
  }

  // ---- barrier ----

  prefetchBarrier(_barrier: Barrier): Promise<void> | null {
    if (this.#late) return null;
    const touched = this.#touched.length === 0 ? null : this.#prefetchKeys(this.#touched);
    const due = this.#closedUpTo > -Infinity ? this.#collectDue(this.#closedUpTo) : null;
    return touched === null ? due : due === null ? touched : touched.then(() => due);
  }

  barrier(_barrier: Barrier): void {
    if (this.#global && this.#context.subtask === 0) this.#ensureGlobal();
    if (this.#late) return;
    const old = this.#old.finish();
    for (let from = 0; from < this.#touched.length; from += BATCH_ROWS_MAX >> 1) this.#emitTouched(old, from, Math.min(from + (BATCH_ROWS_MAX >> 1), this.#touched.length));
    this.#touched.clear();
    if (this.#closedUpTo > -Infinity) {
      if (this.#due === null) this.#collectResidentDue(this.#closedUpTo);
      this.#free(this.#takeDue());
      this.#closedUpTo = -Infinity;
    }
  }

  #ensureGlobal(): void {
    const key = emptyKey();
    const slot = this.#table.findOrInsert(key, 0, this.#fixedBytes);
    if (this.#table.inserted && !this.#late) this.#touch(slot, key, 0, -1);
  }

  #emitTouched(old: Batch, from: number, to: number): void {
    const fresh = new BatchBuilder(this.#outTypes);
    const newRow = new Int32Array(to - from);
    let anyOld = false;
    for (let k = from; k < to; k++) {
      newRow[k - from] = -1;
      if (this.#oldRow[k] >= 0) anyOld = true;
      const slot = this.#table.find(this.#touched, k);
      if (slot < 0) continue;
      const rows = this.#table.page(slot).f64[this.#table.offset(slot) >>> 3];
      if (rows > 0 || this.#global) {
        newRow[k - from] = fresh.length;
        this.#appendResult(fresh, slot, this.#touched, k);
      } else if (rows === 0) {
        for (const table of this.#groupTables) table.clear(this.#touched, k);
        this.#table.delete(slot);
      }
    }
    const now = fresh.finish();
    if (!anyOld) { if (now.length > 0) this.#context.emit(now); return; }
    const width = this.#keyTypes.length;
    for (let k = from; k < to; k++) {
      const a = this.#oldRow[k];
      const b = newRow[k - from];
      if (a >= 0 && b >= 0 && rowsEqual(this.#outTypes, old, a, now, b, width)) continue;
      if (a >= 0) fresh.appendRow(old, a, -1);
      if (b >= 0) fresh.appendRow(now, b, 1);
    }
    if (fresh.length > 0) this.#context.emit(fresh.finish());
  }

  // ---- closing ----

  prefetchWatermark(us: number): Promise<void> | null {
    return this.node.closes?.emitOnClose === true && !this.#context.batchMode ? this.#collectDue(us) : null;
  }

  watermark(us: number): void {
    const { closes } = this.node;
    if (closes === null || this.#context.batchMode) return;
    if (!closes.emitOnClose) { if (us >= this.#minClose) this.#closedUpTo = us; return; }
    if (this.#due === null) this.#collectResidentDue(us);
    const due = this.#takeDue();
    if (due === null) return;
    let out = new BatchBuilder(this.#outTypes);
    for (let k = 0; k < due.length; k++) {
      const slot = this.#table.find(due, k);
      if (slot < 0) continue;
      if (this.#table.page(slot).f64[this.#table.offset(slot) >>> 3] > 0) this.#appendResult(out, slot, due, k);
      if (out.length >= BATCH_ROWS_MAX) { this.#context.emit(out.finish()); out = new BatchBuilder(this.#outTypes); }
    }
    if (out.length > 0) this.#context.emit(out.finish());
    this.#free(due);
  }

  #takeDue(): KeyList | null {
    const due = this.#due;
    this.#due = null;
    return due;
  }

  #free(due: KeyList | null): void {
    if (due === null) return;
    for (let k = 0; k < due.length; k++) {
      for (const table of this.#groupTables) table.clear(due, k);
      const slot = this.#table.find(due, k);
      if (slot >= 0) this.#table.delete(slot);
    }
  }

  /** Finds the groups that close by `us` when some of them may not be in memory. */
  #collectDue(us: number): Promise<void> | null {
    if (this.#table.allResident || us < this.#minClose) return null;
    return this.#scanDue(us);
  }

  async #scanDue(us: number): Promise<void> {
    const due = new KeyList();
    let next = Infinity;
    await this.#table.scan((key, value) => {
      const at = new DataView(value.buffer, value.byteOffset).getFloat64(CLOSES_AT * 8, true);
      if (at <= us) due.push(key, 0, key.length, hashBytes(key, 0, key.length));
      else if (at < next) next = at;
    });
    this.#minClose = next;
    this.#due = due;
    await this.#prefetchKeys(due);
  }

  #collectResidentDue(us: number): void {
    if (us < this.#minClose) return;
    const table = this.#table;
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
    const bytes = this.#table.page(slot).bytes;
    const from = this.#table.keyOffset(slot);
    const to = from + this.#table.keyLength(slot);
    list.push(bytes, from, to, hashBytes(bytes, from, to));
  }

  // ---- batch queries ----

  end(): void {
    if (!this.#context.batchMode) return;
    if (this.#global) this.#ensureGlobal();
    const table = this.#table;
    const out = new BatchBuilder(this.#outTypes);
    const key = this.#oneKey;
    table.forEachResident((slot) => {
      const page = table.page(slot);
      if (!this.#global && page.f64[table.offset(slot) >>> 3] <= 0) return;
      key.data = page.bytes as Uint8Array<ArrayBuffer>;
      key.start[0] = table.keyOffset(slot);
      key.end[0] = key.start[0] + table.keyLength(slot);
      if (this.#groupTables.length > 0) key.hash[0] = hashBytes(key.data, key.start[0], key.end[0]);
      this.#appendResult(out, slot, key, 0);
      if (out.length >= BATCH_ROWS_MAX) this.#context.emit(out.finish());
    });
    if (out.length > 0) this.#context.emit(out.finish());
  }
}
