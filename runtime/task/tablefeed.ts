/**
 * Feeds over the table store.
 *
 * TableFeed: a table's rows, then its changes.
 *   backfill (s, k)   rows with key <= k as of sequence s were given; chunks of a snapshot come between barriers
 *                     after a restart the snapshot is a newer one, s1: first the log (s, s1] for keys <= k, then rows after k
 *   log (s)           at a barrier with log position S: every change of (s, S], transactions whole, before it
 * At parallelism p subtask i gives the rows whose key's hash is i modulo p.
 *
 * StreamLogFeed: a stream without connector: its rows of the log from the oldest kept one on, in the same way; one split, subtask 0 only.
 */
import type { Json } from '../../types/connect.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { SqlError } from '../../types/error.js';
import type { SourceNode, TableNode } from '../../types/plan.js';
import { compareBytes } from '../../storage/kv.js';
import type { LogRecord, TableReader, TableSnapshot } from '../../storage/tablestore.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { EvalContext } from '../codegen/context.js';
import type { SourceInfo } from '../engine.js';
import { EventTime } from './eventtime.js';
import { watermarkJson, watermarkOf, type Feed } from './feed.js';

/** Named limit: log bytes read at once. */
const LOG_BYTES_MAX = 1024 * 1024;

export interface TableState { readonly seq: number; readonly after: string | null; readonly backfilled: boolean; readonly rows: number }

/** What next() reads: applied to the feed's position only when the task takes it. */
interface Chunk { readonly batch: Batch | null; readonly seq: number; readonly after: Uint8Array | null; readonly done: boolean }

async function checkTrimmed(reader: TableReader, name: string, seq: number): Promise<void> {
  const oldest = await reader.oldestSeq();
  if (oldest > seq + 1) throw new SqlError('55000', `the table log no longer holds what "${name}" still has to read`, { detail: `The job stands at sequence ${seq}; the oldest kept one is ${oldest}.` });
}

export class TableFeed implements Feed {
  readonly nodeId: number;
  readonly watermarkUs = -Infinity;
  readonly idle = false;
  readonly nullEventTimes = 0;
  rows = 0;
  backfilled = false;
  get backlog(): boolean { return !this.backfilled; }
  readonly #node: TableNode;
  readonly #reader: TableReader;
  readonly #subtask: number;
  readonly #parallelism: number;
  readonly #builder: BatchBuilder;
  #seq = 0;
  #after: Uint8Array | null = null;
  #snapshot: TableSnapshot | null = null;

  constructor(node: TableNode, reader: TableReader, subtask: number, parallelism: number) {
    this.nodeId = node.id;
    this.#node = node;
    this.#reader = reader;
    this.#subtask = subtask;
    this.#parallelism = parallelism;
    this.#builder = new BatchBuilder(node.storedTypes);
  }

  get logPosition(): number { return this.#seq; }

  async open(state: Json | undefined): Promise<void> {
    if (state === undefined) {
      this.#snapshot = await this.#reader.snapshot(this.#node.tableId);
      this.#seq = this.#snapshot.seq;
      return;
    }
    const s = state as unknown as TableState;
    this.#seq = s.seq;
    this.#after = s.after === null ? null : Buffer.from(s.after, 'base64');
    this.backfilled = s.backfilled;
    this.rows = s.rows;
    await checkTrimmed(this.#reader, this.#node.tableName, s.seq);
  }

  next(): 'idle' | Promise<unknown> { return this.backfilled ? 'idle' : this.#chunk(); }

  take(raw: unknown): Batch | 'idle' | 'end' {
    if (raw === 'idle') return 'idle';
    const chunk = raw as Chunk;
    this.#seq = chunk.seq;
    this.#after = chunk.after;
    this.backfilled = chunk.done;
    if (chunk.batch === null) return 'idle';
    this.rows += chunk.batch.length;
    return chunk.batch;
  }

  async *untilBarrier(logPosition: number): AsyncIterable<Batch> {
    if (!this.backfilled) return;
    while (this.#seq < logPosition) {
      const { records, next } = await this.#reader.log(new Set([this.#node.tableId]), this.#seq, logPosition, LOG_BYTES_MAX);
      for (const batch of this.#changes(records, null)) {
        this.rows += batch.length;
        yield batch;
      }
      this.#seq = next;
    }
  }

  snapshot(): Json {
    return { seq: this.#seq, after: this.#after === null ? null : Buffer.from(this.#after).toString('base64'), backfilled: this.backfilled, rows: this.rows } satisfies TableState;
  }

  completed(): Promise<void> { return Promise.resolve(); }

  infos(): Omit<SourceInfo, 'jobId' | 'subtask'>[] {
    return [{ relationName: this.#node.tableName, operatorId: this.nodeId, split: 'log', position: String(this.#seq), lag: null, rows: this.rows, skipped: 0, watermarkUs: null }];
  }

  async close(): Promise<void> { await this.#snapshot?.close(); }

  async #chunk(): Promise<Chunk> {
    if (this.#snapshot === null) {
      const snapshot = await this.#reader.snapshot(this.#node.tableId);
      this.#snapshot = snapshot;
      // The rows given so far are as of an older sequence: bring them to the new snapshot's. One piece: it ends in one epoch.
      if (this.#after !== null && snapshot.seq > this.#seq) {
        const builder: Batch[] = [];
        let at = this.#seq;
        while (at < snapshot.seq) {
          const { records, next } = await this.#reader.log(new Set([this.#node.tableId]), at, snapshot.seq, LOG_BYTES_MAX);
          builder.push(...this.#changes(records, this.#after));
          at = next;
        }
        return { batch: joined(builder, this.#node), seq: snapshot.seq, after: this.#after, done: false };
      }
    }
    const snapshot = this.#snapshot;
    const rows = await snapshot.rows(this.#after, BATCH_ROWS_MAX);
    for (const { key, row } of rows) if (this.#owns(key)) this.#builder.appendStored(row, 0);
    const done = rows.length < BATCH_ROWS_MAX;
    if (done) {
      this.#snapshot = null;
      await snapshot.close();
    }
    const last = rows[rows.length - 1];
    return { batch: this.#finish(), seq: snapshot.seq, after: done ? null : last?.key ?? null, done };
  }

  /** `upTo`: only rows with key <= it. */
  *#changes(records: readonly LogRecord[], upTo: Uint8Array | null): Iterable<Batch> {
    for (const record of records) {
      for (const c of record.changes) {
        if (c.tableId !== this.#node.tableId || !this.#owns(c.key) || (upTo !== null && compareBytes(c.key, upTo) > 0)) continue;
        if (c.old !== null) this.#builder.appendStored(c.old, 0, -1);
        if (c.new !== null) this.#builder.appendStored(c.new, 0, 1);
      }
      if (this.#builder.length >= BATCH_ROWS_MAX) {
        const batch = this.#finish();
        if (batch !== null) yield batch;
      }
    }
    const batch = this.#finish();
    if (batch !== null) yield batch;
  }

  #owns(key: Uint8Array): boolean {
    return this.#parallelism === 1 || (hashBytes(key, 0, key.length) >>> 0) % this.#parallelism === this.#subtask;
  }

  #finish(): Batch | null {
    if (this.#builder.length === 0) return null;
    return picked(this.#builder.finish(), this.#node.fields);
  }
}

function picked(batch: Batch, fields: readonly number[]): Batch {
  return { length: batch.length, columns: fields.map(f => batch.columns[f]), weights: batch.weights };
}

function joined(batches: readonly Batch[], node: TableNode): Batch | null {
  if (batches.length <= 1) return batches[0] ?? null;
  const builder = new BatchBuilder(node.columns.map(c => c.type));
  for (const b of batches) builder.appendBatch(b);
  return builder.finish();
}

export interface StreamState { readonly seq: number; readonly watermark: number | null; readonly rows: number; readonly nullEventTimes: number }

export class StreamLogFeed implements Feed {
  readonly nodeId: number;
  readonly idle = false;
  watermarkUs = -Infinity;
  rows = 0;
  readonly #node: SourceNode;
  readonly #logId: number;
  readonly #reader: TableReader;
  readonly #builder: BatchBuilder;
  readonly #time: EventTime;
  readonly #reads: boolean;
  #seq = 0;
  #read = false;

  /** `reads`: false on all subtasks but one, which give nothing and hold no watermark back. */
  constructor(node: SourceNode, logId: number, reader: TableReader, session: EvalContext, reads: boolean) {
    this.nodeId = node.id;
    this.#reads = reads;
    if (!reads) this.watermarkUs = Infinity;
    this.#node = node;
    this.#logId = logId;
    this.#reader = reader;
    this.#builder = new BatchBuilder(node.logTypes ?? node.fields.map(f => f.type));
    this.#time = new EventTime(node, node.fields.map(f => f.type), session);
  }

  get logPosition(): number { return this.#seq; }
  get nullEventTimes(): number { return this.#time.nullEventTimes; }
  /** The log as it stood at the first barrier belongs to the start. */
  get backfilled(): boolean { return this.#read; }
  get backlog(): boolean { return !this.#read; }

  async open(state: Json | undefined): Promise<void> {
    if (state === undefined) return;
    const s = state as unknown as StreamState;
    this.#seq = s.seq;
    if (this.#reads) this.watermarkUs = watermarkOf(s.watermark);
    this.rows = s.rows;
    this.#time.nullEventTimes = s.nullEventTimes;
  }

  next(): 'idle' { return 'idle'; }
  take(): 'idle' { return 'idle'; }

  async *untilBarrier(logPosition: number): AsyncIterable<Batch> {
    if (!this.#reads) this.#seq = Math.max(this.#seq, logPosition);
    while (this.#seq < logPosition) {
      const { records, next } = await this.#reader.log(new Set([this.#logId]), this.#seq, logPosition, LOG_BYTES_MAX);
      for (const record of records) {
        for (const c of record.changes) {
          if (c.tableId !== this.#logId || c.new === null) continue;
          this.#builder.appendStored(c.new, 0);
          if (this.#builder.length >= BATCH_ROWS_MAX) yield this.#finish();
        }
      }
      if (this.#builder.length > 0) yield this.#finish();
      this.#seq = next;
    }
    this.#read = true;
  }

  snapshot(): Json {
    return { seq: this.#seq, watermark: watermarkJson(this.watermarkUs), rows: this.rows, nullEventTimes: this.nullEventTimes } satisfies StreamState;
  }

  completed(): Promise<void> { return Promise.resolve(); }

  infos(): Omit<SourceInfo, 'jobId' | 'subtask'>[] {
    return [{ relationName: this.#node.relationName, operatorId: this.nodeId, split: 'log', position: String(this.#seq), lag: null, rows: this.rows, skipped: 0, watermarkUs: watermarkJson(this.watermarkUs) }];
  }

  close(): Promise<void> { return Promise.resolve(); }

  #finish(): Batch {
    const batch = picked(this.#builder.finish(), this.#node.fields.map((f, i) => this.#node.logTypes === undefined ? i : f.ordinal));
    this.rows += batch.length;
    const timed = this.#time.apply(batch, this.watermarkUs);
    this.watermarkUs = this.#time.watermarkUs;
    return timed;
  }
}
