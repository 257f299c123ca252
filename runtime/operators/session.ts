/**
 * Session: SESSION whose rows are wanted, not (only) their aggregates. Each row comes with its session's edges; when a session grows, its rows are
 * taken back and come with the new ones. For GROUP BY of whole sessions there is sessionaggregate.ts, which keeps no rows.
 *
 * State. Table 0: partition key → doubles [touched, sessions, then start, end, noted of each, by start]. Table 1: partition key → rows, ordered by time, with counts.
 *
 * With a watermark (append-only input) sessions grow row by row, late rows are left out, and the watermark frees what ended by it: rules and
 * timers as in sessionaggregate.ts. Rows of different sessions of a key never interleave, so a row's time says which it is in. Without one
 * the sessions of a changed key follow at the barrier from its rows in order: rows may be taken back.
 *
 * Output of an epoch, with the windows W before it and W' after it:   Σ count'·(row, W') − Σ count·(row, W)  =  Σ change·(row, P) + Σ count'·((row, W') − (row, P))
 * for any P that is W for rows there were: the old session around the row's time, or [time, time + gap). The first sum goes out as rows
 * come; the second at the barrier, for rows with P ≠ W'. emitOnClose: rows once, when their session closes.
 *
 * Cost: a row's place in its key's tree; at a barrier a walk over the rows of every changed key.
 */
import type { SessionNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { KeyList, residentKeys } from '../aggregates/groupkeys.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { GroupTable, Slot, StateTable } from '../state/table.js';
import { EventTimes } from './eventtimes.js';
import { SessionTimers } from './sessiontimers.js';

const TOUCHED = 0;
const SESSIONS = 1;
const KEY_HEAD = 2;
const START = 0;
const END = 1;
const NOTED = 2;
const WIDTH = 3;
/** Bytes of the time before a row in its subkey. */
const TIME_BYTES = 8;

/** What is done with a stored row. */
type Visit = (data: Uint8Array, rowStart: number, rowEnd: number, time: number, count: number) => void;

export class SessionOperator implements Operator {
  readonly node: SessionNode;
  readonly #context: OperatorContext;
  readonly #encode: KeyEncoder;
  readonly #rowBytes: (batch: Batch) => RowBytes;
  readonly #table: StateTable;
  readonly #rows: GroupTable;
  readonly #outTypes: readonly SqlType[];
  readonly #width: number;
  readonly #closes: boolean;
  /** Rows go out when their session closes, or at the end of a batch query. */
  readonly #late: boolean;
  readonly #timers: SessionTimers;

  readonly #touched = new KeyList();
  /** Of each touched key: start and end of its sessions when the epoch began. */
  #before: Float64Array[] = [];
  #out: BatchBuilder;

  #closedUpTo = -Infinity;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;
  #subkey = new Uint8Array(256);
  #subkeyView = new DataView(this.#subkey.buffer);

  constructor(node: SessionNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    const types = input.map((c) => c.type);
    this.#encode = keyEncoder(types, node.partition);
    this.#rowBytes = rowEncoder(types, node.keep);
    this.#table = context.stateTable(0);
    this.#rows = context.groupTable(1, 'ordered');
    this.#width = node.keep.length;
    const time = types[node.timeColumn];
    this.#outTypes = [...node.keep.map((c) => types[c]), time, time];
    this.#closes = node.lateColumn !== null && !context.batchMode;
    this.#late = context.batchMode || node.emitOnClose;
    this.#timers = new SessionTimers(node.gapUs, this.#table, { count: SESSIONS, first: KEY_HEAD, width: WIDTH, noted: NOTED });
    this.#out = new BatchBuilder(this.#outTypes);
  }

  prefetch(batch: Batch): Promise<void> | null {
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#prefetchKeys(keys);
  }

  #prefetchKeys(keys: KeyBatch): Promise<void> | null {
    const table = this.#table.prefetch(keys);
    const rows = this.#rows.prefetch(keys);
    return table === null ? rows : rows === null ? table : Promise.all([table, rows]).then(() => undefined);
  }

  process(batch: Batch): void {
    const keys = this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    const { timeColumn, lateColumn, gapUs } = this.node;
    const times = new EventTimes(batch, timeColumn, this.#closes ? lateColumn : null);
    const rows = this.#rowBytes(batch);
    for (let i = 0; i < batch.length; i++) {
      const time = times.time(i);
      if (time !== time) continue;
      const weight = batch.weights === null ? 1 : batch.weights[i];
      const mark = times.mark(i);
      const over = time + gapUs <= mark;
      const slot = over ? this.#table.find(keys, i) : this.#table.findOrInsert(keys, i, KEY_HEAD * 8);
      if (slot < 0 || (over && !this.#isInside(slot, time, mark))) { times.late++; continue; }
      const before = this.#late ? null : this.#touch(slot, keys, i);
      if (this.#closes) this.#place(slot, keys, i, time, mark);
      const end = this.#writeSubkey(time, rows, i);
      this.#rows.add(keys, i, this.#subkey, 0, end, this.#subkey, 0, 0, weight);
      if (before !== null) this.#emitStored(rows.data, rows.start[i], before, time, weight);
    }
    times.tell(this.#context);
    this.#flush();
  }

  /** Whether the time is in a session that is not closed to a row with this mark. */
  #isInside(slot: Slot, time: number, mark: number): boolean {
    const page = this.#table.page(slot).f64;
    const at = this.#table.offset(slot) >>> 3;
    for (let s = 0, p = at + KEY_HEAD; s < page[at + SESSIONS]; s++, p += WIDTH) if (page[p + END] > mark && time >= page[p + START] && time < page[p + END]) return true;
    return false;
  }

  /** Notes the key's sessions before its first change in the epoch. */
  #touch(slot: Slot, keys: KeyBatch, i: number): Float64Array {
    const table = this.#table;
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    if (page[at + TOUCHED] !== 0) return this.#before[page[at + TOUCHED] - 1];
    table.changed(slot);
    page[at + TOUCHED] = this.#touched.push(keys.data, keys.start[i], keys.end[i], keys.hash[i]) + 1;
    const count = page[at + SESSIONS];
    const before = new Float64Array(count * 2);
    for (let s = 0, p = at + KEY_HEAD; s < count; s++, p += WIDTH) { before[s * 2] = page[p + START]; before[s * 2 + 1] = page[p + END]; }
    this.#before.push(before);
    return before;
  }

  /** Puts the row's time into the sessions it touches, or makes one. */
  #place(slot: Slot, keys: KeyBatch, i: number, time: number, mark: number): void {
    const table = this.#table;
    table.changed(slot);
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    const count = page[at + SESSIONS];
    const end = time + this.node.gapUs;
    let first = -1;
    let last = -1;
    for (let s = 0, p = at + KEY_HEAD; s < count; s++, p += WIDTH) {
      if (page[p + END] <= mark || time > page[p + END] || end < page[p + START] || (end <= mark && time < page[p + START])) continue;
      if (first < 0) first = s;
      last = s;
    }
    if (first >= 0 && first === last) {
      const p = at + KEY_HEAD + first * WIDTH;
      if (time < page[p + START]) page[p + START] = time;
      if (end > page[p + END]) page[p + END] = end;
      return;
    }
    const list = this.#list(slot);
    if (first < 0) {
      const bucket = this.#timers.bucketOf(end);
      this.#timers.add(bucket, keys, i);
      const place = list.findIndex((s) => s[START] > time);
      list.splice(place < 0 ? list.length : place, 0, [time, end, bucket]);
    } else {
      const joined = list.slice(first, last + 1);
      list.splice(first, joined.length, [Math.min(time, ...joined.map((s) => s[START])), Math.max(end, ...joined.map((s) => s[END])), Math.min(...joined.map((s) => s[NOTED]))]);
    }
    this.#setList(slot, list);
  }

  #list(slot: Slot): number[][] {
    const page = this.#table.page(slot).f64;
    const at = this.#table.offset(slot) >>> 3;
    return Array.from({ length: page[at + SESSIONS] }, (_, s) => [...page.subarray(at + KEY_HEAD + s * WIDTH, at + KEY_HEAD + (s + 1) * WIDTH)]);
  }

  #setList(slot: Slot, list: readonly (readonly number[])[]): void {
    const table = this.#table;
    table.resize(slot, (KEY_HEAD + list.length * WIDTH) * 8);
    const page = table.page(slot).f64;
    const at = table.offset(slot) >>> 3;
    page[at + SESSIONS] = list.length;
    list.forEach((s, k) => page.set(s, at + KEY_HEAD + k * WIDTH));
  }

  /** Time in bytes that order like it, then the row; gives the length. */
  #writeSubkey(time: number, rows: RowBytes, i: number): number {
    const length = TIME_BYTES + rows.end[i] - rows.start[i];
    if (this.#subkey.length < length) {
      this.#subkey = new Uint8Array(length * 2);
      this.#subkeyView = new DataView(this.#subkey.buffer);
    }
    const view = this.#subkeyView;
    view.setFloat64(0, time + 0);
    const high = view.getInt32(0);
    view.setInt32(0, high < 0 ? ~high : high ^ 0x80000000);
    if (high < 0) view.setInt32(4, ~view.getInt32(4));
    this.#subkey.set(rows.data.subarray(rows.start[i], rows.end[i]), TIME_BYTES);
    return length;
  }

  /** Rows of key i in order of time, to the one after `until`. */
  #visit(keys: KeyBatch, i: number, until: number, visit: Visit): void {
    this.#rows.visit(keys, i, false, (data, subStart, subEnd, _payStart, _payEnd, count) => {
      const time = readTime(data, subStart);
      if (time > until) return false;
      if (count !== 0) visit(data, subStart + TIME_BYTES, subEnd, time, count);
      return true;
    });
  }

  /** The row with the window it had, or that of its own. */
  #emitStored(data: Uint8Array, rowStart: number, before: Float64Array, time: number, weight: number): void {
    const s = sessionAt(before, time, this.node.gapUs);
    if (s < 0) this.#append(data, rowStart, time, time + this.node.gapUs, weight);
    else this.#append(data, rowStart, before[s], before[s + 1], weight);
  }

  #append(data: Uint8Array, rowStart: number, start: number, end: number, weight: number): void {
    const out = this.#out;
    out.appendStoredColumns(data, rowStart, 0, this.#width);
    out.columns[this.#width].appendNumber(out.length, start);
    out.columns[this.#width + 1].appendNumber(out.length, end);
    out.endRow(weight);
    if (out.length >= BATCH_ROWS_MAX) this.#flush();
  }

  #flush(): void { if (this.#out.length > 0) this.#context.emit(this.#out.finish()); }

  // ---- barrier ----

  prefetchBarrier(_barrier: Barrier): Promise<void> | null {
    if (this.#late) return null;
    const touched = this.#touched.length === 0 ? null : this.#prefetchKeys(this.#touched);
    const due = this.#closedUpTo > -Infinity ? this.#prefetchDue(this.#closedUpTo) : null;
    return touched === null ? due : due === null ? touched : Promise.all([touched, due]).then(() => undefined);
  }

  barrier(barrier: Barrier): void {
    if (this.#late) return;
    for (let k = 0; k < this.#touched.length; k++) this.#emitChanges(k);
    this.#flush();
    this.#touched.clear();
    this.#before = [];
    // Rows of closing sessions may come until the epoch ends.
    if (this.#closedUpTo > -Infinity && barrier.midEpoch === undefined) {
      this.#close(this.#closedUpTo, false);
      this.#closedUpTo = -Infinity;
    }
  }

  #emitChanges(k: number): void {
    const table = this.#table;
    const keys = this.#touched;
    const slot = table.find(keys, k);
    assert(slot >= 0, 'a touched session is gone');
    table.changed(slot);
    table.page(slot).f64[(table.offset(slot) >>> 3) + TOUCHED] = 0;
    if (!this.#closes) this.#setList(slot, this.#fromRows(keys, k));
    const before = this.#before[k];
    const now = Float64Array.from(this.#list(slot).flatMap((s) => [s[START], s[END]]));
    const gapUs = this.node.gapUs;
    this.#visit(keys, k, Infinity, (data, row, _rowEnd, time, count) => {
      const a = sessionAt(before, time, gapUs);
      const b = sessionAt(now, time, gapUs);
      const start = a < 0 ? time : before[a];
      const end = a < 0 ? time + gapUs : before[a + 1];
      if (b < 0 || (start === now[b] && end === now[b + 1])) return;
      this.#append(data, row, start, end, -count);
      this.#append(data, row, now[b], now[b + 1], count);
    });
    if (now.length === 0) table.delete(slot);
  }

  /** The sessions that key i's rows make. */
  #fromRows(keys: KeyBatch, i: number): number[][] {
    const list: number[][] = [];
    let open: number[] | null = null;
    this.#visit(keys, i, Infinity, (_data, _row, _rowEnd, time, count) => {
      if (count <= 0) return;
      if (open === null || time > open[END]) { open = [time, time + this.node.gapUs, 0]; list.push(open); }
      else open[END] = time + this.node.gapUs;
    });
    return list;
  }

  // ---- closing ----

  prefetchWatermark(us: number): Promise<void> | null { return this.#closes && this.node.emitOnClose ? this.#prefetchDue(us) : null; }

  watermark(us: number): void {
    if (!this.#closes) return;
    if (!this.node.emitOnClose) { this.#closedUpTo = us; return; }
    this.#close(us, true);
    this.#flush();
  }

  #prefetchDue(us: number): Promise<void> | null { return this.#timers.prefetch(us, (keys) => this.#prefetchKeys(keys)); }

  /** Takes sessions out that ended by `us`, with their rows. */
  #close(us: number, emit: boolean): void {
    const due = this.#timers.take();
    if (due === null) return;
    const passed = this.#timers.bucketOf(us);
    for (let k = 0; k < due.length; k++) {
      const slot = this.#table.find(due, k);
      if (slot < 0) continue;
      const left: number[][] = [];
      const over: number[][] = [];
      for (const s of this.#list(slot)) {
        if (s[END] <= us) { over.push(s); continue; }
        left.push(s);
        if (s[NOTED] > passed) continue;
        s[NOTED] = this.#timers.bucketOf(s[END]);
        this.#timers.add(s[NOTED], due, k);
      }
      for (const s of over) this.#closeSession(due, k, s, emit, left.length === 0);
      if (left.length > 0) { this.#setList(slot, left); continue; }
      this.#rows.clear(due, k);
      this.#table.delete(slot);
    }
  }

  #closeSession(keys: KeyBatch, k: number, session: readonly number[], emit: boolean, last: boolean): void {
    const rows: { readonly subkey: Uint8Array; readonly count: number }[] = [];
    this.#visit(keys, k, session[END] - this.node.gapUs, (data, row, rowEnd, time, count) => {
      if (time < session[START]) return;
      if (emit) this.#append(data, row, session[START], session[END], count);
      if (!last) rows.push({ subkey: data.slice(row - TIME_BYTES, rowEnd), count });
    });
    for (const r of rows) this.#rows.add(keys, k, r.subkey, 0, r.subkey.length, r.subkey, 0, 0, -r.count);
  }

  // ---- batch queries ----

  end(): void { if (this.#context.batchMode) this.readState(); }

  /** All rows with the sessions they make. */
  readState(): void {
    const all = residentKeys(this.#table);
    for (let k = 0; k < all.length; k++) {
      const sessions = Float64Array.from(this.#fromRows(all, k).flatMap((s) => [s[START], s[END]]));
      this.#visit(all, k, Infinity, (data, row, _rowEnd, time, count) => {
        const s = sessionAt(sessions, time, this.node.gapUs);
        if (s >= 0 && count > 0) this.#append(data, row, sessions[s], sessions[s + 1], count);
      });
    }
    this.#flush();
  }
}

/** Position of the session (pairs of start and end, by start) whose first and last row enclose the time; −1 = none. */
function sessionAt(sessions: Float64Array, time: number, gapUs: number): number {
  let low = 0;
  let high = sessions.length / 2 - 1;
  while (low <= high) {
    const mid = (low + high) >> 1;
    if (sessions[mid * 2] > time) high = mid - 1;
    else if (sessions[mid * 2 + 1] - gapUs < time) low = mid + 1;
    else return mid * 2;
  }
  return -1;
}

const scratch = new DataView(new ArrayBuffer(8));

function readTime(data: Uint8Array, at: number): number {
  for (let k = 0; k < TIME_BYTES; k++) scratch.setUint8(k, data[at + k]);
  const high = scratch.getInt32(0);
  if (high < 0) scratch.setInt32(0, high ^ 0x80000000);
  else { scratch.setInt32(0, ~high); scratch.setInt32(4, ~scratch.getInt32(4)); }
  return scratch.getFloat64(0);
}
