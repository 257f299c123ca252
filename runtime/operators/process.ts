/**
 * An own function (runtime/functions/api.ts) as an operator.
 *
 *   batch       each row as an object, its key in hand; what the function collects goes out at the end of the batch
 *   watermark   timers that are due fire in order of time, each with its key in hand; those they register at or below the watermark fire, too
 *   barrier     with a checkpoint: values whose time to live is over go; then `snapshotState`, and operator state as JSON
 *
 * Keyed state is prefetched for a batch's keys and for those of due timers; an element of a large list or map may be read when it is met.
 * After a restore, timers are read from the whole table once, before the first batch or watermark.
 */
import type { ProcessNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Json } from '../../types/connect.js';
import { assert, SqlError } from '../../types/error.js';
import { Json as SqlJson } from '../../types/json.js';
import { formatDatum } from '../../types/textio.js';
import { KeyColumns, residentKeys } from '../aggregates/groupkeys.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { Collector, ProcessContext, ProcessFunction, Row, RuntimeContext, Value } from '../functions/api.js';
import { guarded } from '../functions/guarded.js';
import { decodeElement, decodeRecord, elementOf, KeyedState } from '../functions/keyedstate.js';
import { OperatorStates, type OperatorStateJson } from '../functions/operatorstate.js';
import { fieldsOf, rowReader, rowWriter, valueOf } from '../functions/rowvalues.js';
import { type KeyBatch, keyEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { GroupTable, StateTable } from '../state/table.js';
import { datumRow } from '../vectors.js';
import { doubles } from './eventtimes.js';

export class ProcessOperator implements Operator {
  readonly node: ProcessNode;
  readonly #context: OperatorContext;
  readonly #input: readonly Column[];
  readonly #what: string;
  readonly #encode: ((batch: Batch) => KeyBatch) | null;
  readonly #table: StateTable;
  readonly #groups: GroupTable;
  readonly #state: KeyedState;
  readonly #read: (batch: Batch, i: number) => Row;
  readonly #write: (builder: BatchBuilder, row: Row) => void;
  readonly #out: BatchBuilder;
  readonly #collector: Collector;
  #function: ProcessFunction | null = null;
  #operatorState = new OperatorStates(null);
  #restored: Json | undefined = undefined;
  /** Timers of a restored table are known. */
  #noted = true;
  #watermarkUs = -Infinity;
  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;

  constructor(node: ProcessNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#input = input;
    this.#what = `function "${node.fn}"`;
    this.#encode = node.partition.length === 0 ? null : keyEncoder(input.map(c => c.type), node.partition);
    this.#table = context.stateTable(0);
    this.#groups = context.groupTable(1, 'ordered');
    this.#state = new KeyedState(this.#table, this.#groups, () => this.#now(), this.#what);
    this.#read = rowReader(input);
    this.#write = rowWriter(this.#what, node.columns);
    this.#out = new BatchBuilder(node.columns.map(c => c.type));
    this.#collector = {
      collect: row => {
        this.#write(this.#out, row);
        if (this.#out.length >= BATCH_ROWS_MAX) this.#flush();
      },
    };
  }

  #now(): number { return this.#context.own?.now() ?? 0; }

  restore(state: Json): void { this.#restored = state; }

  begin(restoredCheckpoint: number | null): void {
    const { node, own, jobId, subtask, parallelism } = { node: this.node, ...this.#context };
    const definition = own?.functions.find(f => f.name === node.fn);
    if (own === undefined || definition === undefined) throw new SqlError('42883', `function "${node.fn}" does not exist`, { hint: 'The server must be started with the extension that has it: --extension FILE.' });
    const isRestored = this.#restored !== undefined && restoredCheckpoint !== null;
    this.#operatorState = new OperatorStates((this.#restored ?? null) as OperatorStateJson | null);
    this.#noted = this.#encode === null || restoredCheckpoint === null;
    const runtime: RuntimeContext = { subtask, parallelism, keyedStateStore: this.#state, now: () => own.now() };
    guarded(this.#what, () => {
      const f = definition.create({ jobId, subtask, parallelism, args: node.args, input: fieldsOf(this.#input), columns: fieldsOf(node.columns) });
      this.#function = f;
      f.initializeState?.({ isRestored, restoredCheckpointId: isRestored ? restoredCheckpoint : null, operatorStateStore: this.#operatorState, keyedStateStore: this.#state });
      f.open?.(runtime);
    });
  }

  #own(): ProcessFunction {
    assert(this.#function !== null, 'an own function that was not opened');
    return this.#function;
  }

  // ---- rows ----

  prefetch(batch: Batch): Promise<void> | null {
    if (this.#encode === null) return null;
    if (!this.#noted) return this.#noteAll().then(() => this.#prefetch(batch) ?? undefined);
    return this.#prefetch(batch);
  }

  #prefetch(batch: Batch): Promise<void> | null {
    if (this.#encode === null) return null;
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#state.prefetch(keys);
  }

  async #noteAll(): Promise<void> {
    await this.#state.noteAll();
    this.#noted = true;
  }

  process(batch: Batch): void {
    const f = this.#own();
    const keys = this.#encode === null ? null : this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    const { timeColumn } = this.node;
    const times = timeColumn === null ? null : doubles(batch, timeColumn);
    const element = new Element(this.node, this.#input, this.#state, () => this.#watermarkUs);
    guarded(this.#what, () => {
      for (let i = 0; i < batch.length; i++) {
        const weight = batch.weights === null ? 1 : batch.weights[i];
        assert(weight > 0, 'a row was taken back from an own function');
        const row = this.#read(batch, i);
        element.at(row, times === null || (times.nulls !== null && times.nulls[i] === 1) ? null : times.values[i]);
        this.#state.setKey(keys, i);
        for (let n = 0; n < weight; n++) f.processElement(row, element, this.#collector);
      }
      this.#state.flush();
    });
    // Timers at or below the watermark fire now; it does not come again.
    if (this.#state.timers.first <= this.#watermarkUs) this.#fire();
    this.#flush();
  }

  #flush(): void { if (this.#out.length > 0) this.#context.emit(this.#out.finish()); }

  // ---- timers ----

  prefetchWatermark(us: number): Promise<void> | null {
    if (this.#encode === null) return null;
    if (!this.#noted) return this.#noteAll().then(() => this.#prefetchDue(us) ?? undefined);
    return this.#prefetchDue(us);
  }

  #prefetchDue(us: number): Promise<void> | null {
    const due = this.#state.timers.due(us);
    return due === null ? null : this.#state.prefetch(due);
  }

  watermark(us: number): void {
    this.#watermarkUs = us;
    this.#fire();
    this.#flush();
  }

  #fire(): void {
    const state = this.#state;
    const { timers } = state;
    if (timers.first > this.#watermarkUs) return;
    const f = this.#own();
    const element = new Element(this.node, this.#input, state, () => this.#watermarkUs);
    guarded(this.#what, () => {
      while (timers.first <= this.#watermarkUs && timers.first < Infinity) {
        const us = timers.first;
        const keys = timers.take();
        for (let k = 0; k < keys.length; k++) {
          state.setKey(keys, k);
          if (!state.deleteTimer(us)) continue;
          element.atKey(keys, k, us);
          f.onTimer?.(us, element, this.#collector);
        }
        state.flush();
      }
    });
  }

  // ---- checkpoints ----

  prefetchBarrier(barrier: Barrier): Promise<void> | null {
    if (this.#encode === null || barrier.checkpoint === null) return null;
    return this.#noted ? this.#state.prefetchCleanup() : this.#noteAll().then(() => this.#state.prefetchCleanup() ?? undefined);
  }

  barrier(barrier: Barrier): void { if (this.#encode !== null && barrier.checkpoint !== null) this.#state.cleanup(); }

  snapshot(barrier: Barrier): Json {
    guarded(this.#what, () => this.#own().snapshotState?.({ checkpointId: barrier.checkpoint?.id ?? null, checkpointTimestampMs: Math.floor(barrier.timeUs / 1000) }));
    return this.#operatorState.snapshot() as unknown as Json;
  }

  completed(checkpointId: number): void { guarded(this.#what, () => { this.#own().notifyCheckpointComplete?.(checkpointId); }); }
  aborted(checkpointId: number): void { guarded(this.#what, () => { this.#own().notifyCheckpointAborted?.(checkpointId); }); }

  close(): void { guarded(this.#what, () => { this.#function?.close?.(); }); }

  // ---- for people ----

  /** Columns of `stateTablesOf`: the key's, then state, map_key, value; timers are rows of a state of that name. */
  readState(): void {
    const { node } = this;
    const types = node.partition.map(c => this.#input[c].type);
    const keyColumns = new KeyColumns(types);
    const shown = new BatchBuilder([...types, { kind: 'text' }, { kind: 'jsonb' }, { kind: 'jsonb' }]);
    const add = (keys: KeyBatch, k: number, name: string, key: unknown, value: unknown): void => {
      keyColumns.append(shown, keys.data.slice(keys.start[k], keys.end[k]), 0);
      const row = shown.length;
      shown.columns[types.length].appendText(row, name);
      shown.columns[types.length + 1].appendDatum(row, key === undefined ? null : readable(key));
      shown.columns[types.length + 2].appendDatum(row, readable(value));
      shown.endRow(1);
      if (shown.length >= BATCH_ROWS_MAX) this.#context.emit(shown.finish());
    };
    const records = residentKeys(this.#table);
    for (let k = 0; k < records.length; k++) {
      const slot = this.#table.find(records, k);
      const at = this.#table.offset(slot);
      const { timers, values } = decodeRecord(this.#table.page(slot).bytes.subarray(at, at + this.#table.length(slot)));
      const lists = new Set<string>();
      this.#groups.visit(records, k, false, (data, subStart, subEnd) => { lists.add(elementOf(data.slice(subStart, subEnd)).name); return true; });
      for (const us of timers) add(records, k, 'timer', undefined, formatDatum({ kind: 'timestamp' }, us));
      // A list's own entry is a counter.
      for (const [name, [value]] of values) if (!lists.has(name)) add(records, k, name, undefined, value);
    }
    const groups = residentKeys(this.#groups.roots);
    for (let k = 0; k < groups.length; k++) {
      const found: [string, unknown, unknown][] = [];
      this.#groups.visit(groups, k, false, (data, subStart, subEnd, payStart, payEnd) => {
        const { name, key } = elementOf(data.slice(subStart, subEnd));
        found.push([name, key, decodeElement(data.subarray(payStart, payEnd))[0]]);
        return true;
      });
      for (const [name, key, value] of found) add(groups, k, name, key, value);
    }
    if (shown.length > 0) this.#context.emit(shown.finish());
  }
}

/** What a call sees of the row or timer in hand: one object for a batch. */
class Element implements ProcessContext {
  timestampUs: number | null = null;
  readonly timerService;
  readonly #columns: readonly Column[];
  readonly #types: readonly SqlType[];
  readonly #keyColumns: KeyColumns;
  #row: Row | null = null;
  #keys: KeyBatch | null = null;
  #k = 0;

  constructor(node: ProcessNode, input: readonly Column[], state: KeyedState, watermarkUs: () => number) {
    this.#columns = node.partition.map(c => input[c]);
    this.#types = this.#columns.map(c => c.type);
    this.#keyColumns = new KeyColumns(this.#types);
    this.timerService = {
      currentWatermarkUs: watermarkUs,
      registerEventTimeTimer: (us: number) => { state.registerTimer(us); },
      deleteEventTimeTimer: (us: number) => { state.deleteTimer(us); },
    };
  }

  at(row: Row, timestampUs: number | null): void {
    this.#row = row;
    this.timestampUs = timestampUs;
  }

  atKey(keys: KeyBatch, k: number, timestampUs: number): void {
    this.#row = null;
    this.#keys = keys;
    this.#k = k;
    this.timestampUs = timestampUs;
  }

  get key(): Row {
    const row = this.#row;
    const key: Record<string, Value> = {};
    if (row !== null) {
      for (const { name } of this.#columns) key[name] = row[name];
      return key;
    }
    const keys = this.#keys;
    assert(keys !== null, 'no key in hand');
    const builder = new BatchBuilder(this.#types);
    this.#keyColumns.append(builder, keys.data.slice(keys.start[this.#k], keys.end[this.#k]), 0);
    builder.endRow(1);
    datumRow(this.#types, builder.finish(), 0).forEach((datum, c) => { key[this.#columns[c].name] = valueOf(this.#types[c], datum); });
    return key;
  }
}

/** Any value as JSON for people: bigints and Dates as text, Maps and Sets as arrays. */
function readable(value: unknown): SqlJson {
  const text = JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === 'bigint') return String(v);
    if (v instanceof Map || v instanceof Set) return [...v] as unknown[];
    if (ArrayBuffer.isView(v)) return Buffer.from(v.buffer, v.byteOffset, v.byteLength).toString('hex');
    return v;
  }) as string | undefined;
  return SqlJson.jsonb(text ?? 'null');
}
