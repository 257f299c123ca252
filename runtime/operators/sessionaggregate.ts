/**
 * Session aggregate: GROUP BY the sessions of a partition, over append-only input. Rows at most a gap apart are one session; a row between two makes
 * them one, whose aggregates are the two's merged. No rows are kept.
 *
 * State, table 0: partition key → doubles [touched, sessions], then each session: [start, end, old, noted, accumulators…]; `end` is the last row's time plus
 * the gap. Sessions of a key stand in no order; there are one or two. touched and old are 0 after every barrier.
 *
 * A batch: (1) each row finds its key (RecentKeys, then the table) and in it the sessions it touches that are not closed to it: none → a new one;
 * several → merged, the others being left behind as forwards until the batch is done; (2) one loop per aggregate; (3) forwards go.
 * Late: what ended by the row's split watermark is closed to it. A row whose own [time, time + gap) is over counts only inside a session that is not.
 * So no two sessions of a key ever begin or end at the same time.
 *
 * Barrier: each touched session gives −old and +new, those merged into another −old. The watermark frees sessions that ended by it (sessiontimers.ts
 * knows their keys) after the epoch's results; with emitOnClose they are put out then, and only then.
 *
 * Cost: 40–100 ns a row for the key, 10 ns for the session, 2–10 ns an aggregate; per epoch and touched session two result rows.
 */
import type { SessionAggregateNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { KeyColumns, KeyList, RecentKeys } from '../aggregates/groupkeys.js';
import type { FixedAccumulator, Selection } from '../aggregates/fixed.js';
import { makeAccumulator } from '../aggregates/make.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { changePairs } from '../changepairs.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { Slot, StateTable } from '../state/table.js';
import { isNullAt } from '../vectors.js';
import { EventTimes } from './eventtimes.js';
import { SessionTimers } from './sessiontimers.js';

// Cells of a key.
/** Position in the epoch's touched list, plus 1; 0 = not touched. */
const TOUCHED = 0;
const SESSIONS = 1;
const KEY_HEAD = 2;
// Cells of a session.
/** NaN: this one was merged into the one whose number is in END. */
const START = 0;
const END = 1;
/** 0 = not touched in this epoch, 1 = without an old result, else row of the old result plus 2. */
const OLD = 2;
/** The timers' bucket it is noted in. */
const NOTED = 3;
const HEAD = 4;
const WITHOUT_OLD = 1;
const FIRST_OLD = 2;

interface Inputs { readonly filter: number | null; readonly fixed: FixedAccumulator[]; filtered: Int32Array }

export class SessionAggregateOperator implements Operator {
  readonly node: SessionAggregateNode;
  readonly #context: OperatorContext;
  readonly #keyTypes: readonly SqlType[];
  readonly #keyColumns: KeyColumns;
  readonly #encode: KeyEncoder;
  readonly #table: StateTable;
  readonly #inputs: Inputs[] = [];
  readonly #results: FixedAccumulator[] = [];
  /** Doubles of a session. */
  readonly #width: number;
  /** Results go out when a session closes, or at the end of a batch query: nothing is remembered per epoch. */
  readonly #late: boolean;
  readonly #closes: boolean;
  readonly #timers: SessionTimers;

  /** Builders have the partition, start, end, aggregates; `order` makes the node's columns of them. */
  readonly #built: readonly SqlType[];
  readonly #order: readonly number[];
  readonly #outTypes: readonly SqlType[];
  readonly #old: BatchBuilder;
  readonly #touched = new KeyList();
  /** Old results of sessions merged into others. */
  #merged: number[] = [];

  #closedUpTo = -Infinity;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;

  readonly #recent = new RecentKeys();
  #slots = new Int32Array(0);
  #session = new Int32Array(0);
  #accepted = new Int32Array(0);
  #pages: Float64Array[] = [];
  #at = new Int32Array(0);
  /** Keys with forwards. */
  #toCompact: Slot[] = [];

  constructor(node: SessionAggregateNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    const types = input.map((c) => c.type);
    this.#keyTypes = node.partition.map((k) => types[k]);
    this.#keyColumns = new KeyColumns(this.#keyTypes);
    this.#encode = keyEncoder(types, node.partition);
    this.#table = context.stateTable(0);
    this.#late = context.batchMode || node.emitOnClose;
    this.#closes = node.lateColumn !== null && !context.batchMode;
    this.#width = this.#layOut(types);
    this.#timers = new SessionTimers(node.gapUs, this.#table, { count: SESSIONS, first: KEY_HEAD, width: this.#width, noted: NOTED });
    const time = types[node.timeColumn];
    const edge = node.partition.length;
    this.#built = [...this.#keyTypes, time, time, ...node.calls.map((c) => c.type)];
    this.#order = [...node.keys.map((k) => (k === 'start' ? edge : k === 'end' ? edge + 1 : k)), ...node.calls.map((_, i) => edge + 2 + i)];
    this.#outTypes = this.#order.map((c) => this.#built[c]);
    this.#old = new BatchBuilder(this.#built);
  }

  /** Makes the accumulators and gives each its cells; the number of doubles of a session. */
  #layOut(types: readonly SqlType[]): number {
    let first = HEAD;
    for (const call of this.node.calls) {
      const made = makeAccumulator(call, { node: { inputAppendOnly: true }, types, session: this.#context.session, batchMode: this.#context.batchMode, nextTable: () => this.#context.groupTable(1, 'ordered') });
      assert('fixed' in made, `a session aggregate cannot hold ${call.fn}`);
      made.fixed.first = first;
      first += made.fixed.slots;
      this.#results.push(made.fixed);
      const known = this.#inputs.find((x) => x.filter === call.filter);
      if (known === undefined) this.#inputs.push({ filter: call.filter, fixed: [made.fixed], filtered: new Int32Array(0) });
      else known.fixed.push(made.fixed);
    }
    return first;
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#table.prefetch(keys);
  }

  process(batch: Batch): void {
    const keys = this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    this.#room(batch.length);
    const accepted = this.#place(batch, keys);
    if (accepted === 0) return;
    const table = this.#table;
    const pages = this.#pages;
    const at = this.#at;
    const width = this.#width;
    for (let k = 0; k < accepted; k++) {
      const i = this.#accepted[k];
      const slot = this.#slots[i];
      const page = table.page(slot).f64;
      const sessions = (table.offset(slot) >>> 3) + KEY_HEAD;
      let p = sessions + this.#session[i] * width;
      while (page[p + START] !== page[p + START]) p = sessions + page[p + END] * width;
      pages[i] = page;
      at[i] = p;
    }
    const everything: Selection = { rows: this.#accepted, count: accepted, weights: batch.weights };
    const cells = { pages, at };
    for (const inputs of this.#inputs) {
      const selection = inputs.filter === null ? everything : filtered(batch, everything, inputs, inputs.filter);
      for (const a of inputs.fixed) a.update(batch, selection, cells);
    }
    if (this.#toCompact.length > 0) {
      for (const slot of this.#toCompact) this.#compact(slot);
      this.#toCompact = [];
    }
  }

  #room(n: number): void {
    if (this.#slots.length >= n) return;
    this.#slots = new Int32Array(n);
    this.#session = new Int32Array(n);
    this.#accepted = new Int32Array(n);
    this.#at = new Int32Array(n);
    const nowhere = new Float64Array(0);
    this.#pages = Array.from({ length: n }, () => nowhere);
  }

  /** Finds or makes each row's session; the number of rows that have one. */
  #place(batch: Batch, keys: KeyBatch): number {
    const { timeColumn, lateColumn, gapUs } = this.node;
    const times = new EventTimes(batch, timeColumn, this.#closes ? lateColumn : null);
    const table = this.#table;
    const slots = this.#slots;
    const recent = this.#recent;
    recent.begin(keys);
    let accepted = 0;
    for (let i = 0; i < batch.length; i++) {
      const time = times.time(i);
      if (time !== time) { slots[i] = -1; continue; }
      const mark = times.mark(i);
      const over = time + gapUs <= mark;
      const same = recent.row(keys, i);
      let slot = same >= 0 ? slots[same] : -1;
      if (slot < 0) slot = over ? table.find(keys, i) : table.findOrInsert(keys, i, (KEY_HEAD + this.#width) * 8);
      slots[i] = slot;
      if (slot < 0) { times.late++; continue; }
      const s = this.#sessionOf(slot, keys, i, time, mark);
      if (s < 0) { times.late++; continue; }
      this.#session[i] = s;
      this.#accepted[accepted++] = i;
    }
    times.tell(this.#context);
    return accepted;
  }

  /** The number of the session that the row is in from now on; −1 = it is late. */
  #sessionOf(slot: Slot, keys: KeyBatch, i: number, time: number, mark: number): number {
    const table = this.#table;
    const width = this.#width;
    const end = time + this.node.gapUs;
    const over = end <= mark;
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    const sessions = at + KEY_HEAD;
    const count = page[at + SESSIONS];
    let into = -1;
    for (let s = 0; s < count; s++) {
      const p = sessions + s * width;
      const a = page[p + START];
      const b = page[p + END];
      // A forward's start is NaN: nothing compares with it.
      if (b <= mark || time > b || !(end >= a) || (over && time < a)) continue;
      table.changed(slot);
      this.#touch(slot, keys, i, p);
      if (into < 0) {
        into = s;
        if (time < a) page[p + START] = time;
        if (end > b) page[p + END] = end;
      } else this.#mergeInto(slot, page, sessions, into, s);
    }
    if (into >= 0) return into;
    return over ? -1 : this.#begin(slot, keys, i, time, end);
  }

  /** Adds a session to the key's. */
  #begin(slot: Slot, keys: KeyBatch, i: number, time: number, end: number): number {
    const table = this.#table;
    const width = this.#width;
    table.changed(slot);
    const s = table.page(slot).f64[(table.offset(slot) >>> 3) + SESSIONS];
    const bytes = (KEY_HEAD + (s + 1) * width) * 8;
    if (table.length(slot) !== bytes) table.resize(slot, bytes);
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    const p = at + KEY_HEAD + s * width;
    page[at + SESSIONS] = s + 1;
    page[p + START] = time;
    page[p + END] = end;
    if (this.#closes) {
      page[p + NOTED] = this.#timers.bucketOf(end);
      this.#timers.add(page[p + NOTED], keys, i);
    }
    if (!this.#late) {
      page[p + OLD] = WITHOUT_OLD;
      this.#touchKey(page, at, keys, i);
    }
    return s;
  }

  /** Before a session changes: its old result, once an epoch. */
  #touch(slot: Slot, keys: KeyBatch, i: number, p: number): void {
    if (this.#late) return;
    const page = this.#table.page(slot).f64;
    if (page[p + OLD] !== 0) return;
    this.#touchKey(page, this.#table.offset(slot) >>> 3, keys, i);
    page[p + OLD] = this.#old.length + FIRST_OLD;
    this.#appendResult(this.#old, slot, p);
  }

  #touchKey(page: Float64Array, at: number, keys: KeyBatch, i: number): void {
    if (page[at + TOUCHED] === 0) page[at + TOUCHED] = this.#touched.push(keys.data, keys.start[i], keys.end[i], keys.hash[i]) + 1;
  }

  /** Session s becomes part of `into`; rows of the batch that were placed in it find the way. */
  #mergeInto(slot: Slot, page: Float64Array, sessions: number, into: number, s: number): void {
    const to = sessions + into * this.#width;
    const from = sessions + s * this.#width;
    if (page[from + START] < page[to + START]) page[to + START] = page[from + START];
    if (page[from + END] > page[to + END]) page[to + END] = page[from + END];
    if (page[from + NOTED] < page[to + NOTED]) page[to + NOTED] = page[from + NOTED];
    for (const a of this.#results) a.merge(page, to + a.first, page, from + a.first);
    if (page[from + OLD] >= FIRST_OLD) this.#merged.push(page[from + OLD] - FIRST_OLD);
    page[from + START] = NaN;
    page[from + END] = into;
    this.#toCompact.push(slot);
  }

  #compact(slot: Slot): void {
    const table = this.#table;
    const width = this.#width;
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    const sessions = at + KEY_HEAD;
    let left = 0;
    for (let s = 0; s < page[at + SESSIONS]; s++) {
      const p = sessions + s * width;
      if (page[p + START] !== page[p + START]) continue;
      if (left < s) page.copyWithin(sessions + left * width, p, p + width);
      left++;
    }
    page[at + SESSIONS] = left;
    table.resize(slot, (KEY_HEAD + left * width) * 8);
  }

  /** One result, of the session at p, in the builders' order of columns. */
  #appendResult(builder: BatchBuilder, slot: Slot, p: number): void {
    const page = this.#table.page(slot);
    const edge = this.#keyTypes.length;
    const row = builder.length;
    this.#keyColumns.append(builder, page.bytes, this.#table.keyOffset(slot), page.view);
    builder.columns[edge].appendNumber(row, page.f64[p + START]);
    builder.columns[edge + 1].appendNumber(row, page.f64[p + END]);
    for (let c = 0; c < this.#results.length; c++) {
      const a = this.#results[c];
      a.emit(page.f64, p + a.first, builder.columns[edge + 2 + c], row);
    }
    builder.endRow(1);
  }

  #finish(builder: BatchBuilder): Batch {
    const { length, columns, weights } = builder.finish();
    return { length, columns: this.#order.map((c) => columns[c]), weights };
  }

  #emitIfFull(out: BatchBuilder): void { if (out.length >= BATCH_ROWS_MAX) this.#context.emit(this.#finish(out)); }

  // ---- barrier ----

  prefetchBarrier(_barrier: Barrier): Promise<void> | null {
    if (this.#late) return null;
    const touched = this.#touched.length === 0 ? null : this.#table.prefetch(this.#touched);
    const due = this.#closedUpTo > -Infinity ? this.#prefetchDue(this.#closedUpTo) : null;
    return touched === null ? due : due === null ? touched : Promise.all([touched, due]).then(() => undefined);
  }

  barrier(barrier: Barrier): void {
    if (this.#late) return;
    if (this.#touched.length > 0) this.#emitTouched();
    // Rows of closing sessions may come until the epoch ends.
    if (this.#closedUpTo > -Infinity && barrier.midEpoch === undefined) {
      this.#close(this.#closedUpTo, null);
      this.#closedUpTo = -Infinity;
    }
  }

  #emitTouched(): void {
    const old = this.#finish(this.#old);
    const touched = this.#touched;
    const step = BATCH_ROWS_MAX >> 1;
    for (let from = 0; from < touched.length; from += step) this.#emitKeys(old, from, Math.min(from + step, touched.length));
    touched.clear();
    if (this.#merged.length === 0) return;
    const gone = new BatchBuilder(this.#outTypes);
    for (const row of this.#merged) gone.appendRow(old, row, -1);
    this.#merged = [];
    this.#context.emit(gone.finish());
  }

  #emitKeys(old: Batch, from: number, to: number): void {
    const table = this.#table;
    const fresh = new BatchBuilder(this.#built);
    const olds: number[] = [];
    for (let k = from; k < to; k++) {
      const slot = table.find(this.#touched, k);
      assert(slot >= 0, 'a touched session is gone');
      table.changed(slot);
      const page = table.page(slot).f64;
      const at = table.offset(slot) >>> 3;
      page[at + TOUCHED] = 0;
      const count = page[at + SESSIONS];
      for (let s = 0, p = at + KEY_HEAD; s < count; s++, p += this.#width) {
        if (page[p + OLD] === 0) continue;
        olds.push(page[p + OLD] - FIRST_OLD);
        page[p + OLD] = 0;
        this.#appendResult(fresh, slot, p);
      }
    }
    const changes = changePairs(this.#outTypes, old, Int32Array.from(olds), this.#finish(fresh), Int32Array.from(olds, (_, b) => b), olds.length, 0);
    if (changes !== null) this.#context.emit(changes);
  }

  // ---- closing ----

  prefetchWatermark(us: number): Promise<void> | null { return this.#closes && this.node.emitOnClose ? this.#prefetchDue(us) : null; }

  watermark(us: number): void {
    if (!this.#closes) return;
    if (!this.node.emitOnClose) { this.#closedUpTo = us; return; }
    const out = new BatchBuilder(this.#built);
    this.#close(us, out);
    if (out.length > 0) this.#context.emit(this.#finish(out));
  }

  #prefetchDue(us: number): Promise<void> | null { return this.#timers.prefetch(us, (keys) => this.#table.prefetch(keys)); }

  /** Takes sessions out that ended by `us`; their results go to `out`. */
  #close(us: number, out: BatchBuilder | null): void {
    const due = this.#timers.take();
    if (due === null) return;
    const passed = this.#timers.bucketOf(us);
    for (let k = 0; k < due.length; k++) {
      const slot = this.#table.find(due, k);
      if (slot >= 0) this.#closeKey(slot, due, k, us, passed, out);
      if (out !== null) this.#emitIfFull(out);
    }
  }

  #closeKey(slot: Slot, due: KeyBatch, k: number, us: number, passed: number, out: BatchBuilder | null): void {
    const table = this.#table;
    table.changed(slot);
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    const count = page[at + SESSIONS];
    let left = count;
    for (let s = 0, p = at + KEY_HEAD; s < count; s++, p += this.#width) {
      if (page[p + NOTED] > passed) continue;
      if (page[p + END] <= us) {
        if (out !== null) this.#appendResult(out, slot, p);
        page[p + START] = NaN;
        left--;
      } else {
        page[p + NOTED] = this.#timers.bucketOf(page[p + END]);
        this.#timers.add(page[p + NOTED], due, k);
      }
    }
    if (left === 0) table.delete(slot);
    else if (left < count) this.#compact(slot);
  }

  // ---- batch queries ----

  end(): void { if (this.#context.batchMode) this.readState(); }

  /** All sessions. */
  readState(): void {
    const table = this.#table;
    const out = new BatchBuilder(this.#built);
    table.forEachResident((slot) => {
      const page = table.page(slot).f64;
      const at = table.offset(slot) >>> 3;
      for (let s = 0, p = at + KEY_HEAD; s < page[at + SESSIONS]; s++, p += this.#width) {
        this.#appendResult(out, slot, p);
        this.#emitIfFull(out);
      }
    });
    if (out.length > 0) this.#context.emit(this.#finish(out));
  }
}

/** The rows of a selection where the column is true. */
function filtered(batch: Batch, s: Selection, inputs: Inputs, column: number): Selection {
  const v = batch.columns[column];
  if (inputs.filtered.length < batch.length) inputs.filtered = new Int32Array(batch.length);
  const rows = inputs.filtered;
  let count = 0;
  for (let k = 0; k < s.count; k++) {
    const i = s.rows[k];
    if (isNullAt(v, i)) continue;
    if (v.form === 'bool' ? v.values[i] === 1 : v.form === 'datum' && v.values[i] === true) rows[count++] = i;
  }
  return { rows, count, weights: s.weights };
}
