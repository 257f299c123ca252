/**
 * Feed over a connector's SourceReader: positions and one watermark a split are its state.
 *
 *   watermark = min over the splits that hold it back: those that gave rows within idle_source_timeout (0: all), and every known but
 *               unread split; it never falls. A split that appears or wakes begins with the feed's watermark.
 *
 * Positions are read right after each `next`, before the following one, so that a barrier never waits for a `next` that is under way.
 */
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { Env } from '../../types/env.js';
import type { SourceNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { EvalContext } from '../codegen/context.js';
import type { BadRecord, SourceConnector, SourceContext, SourceReader, SplitBatch } from '../connector.js';
import type { SharedStreams } from '../sharing/streams.js';
import type { DeadLetterInfo, SourceInfo } from '../engine.js';
import { EventTime } from './eventtime.js';
import { watermarkJson, watermarkOf, type Feed } from './feed.js';

export interface ConnectorFeedHost {
  readonly jobId: number;
  readonly subtask: number;
  readonly parallelism: number;
  readonly idleTimeoutMs: number;
  readonly env: Env;
  readonly session: EvalContext;
  /** Of the worker; null: the reader is the feed's own. */
  readonly streams: SharedStreams | null;
  /** How long the task has worked. */
  busyMs(): number;
  wake(): void;
  deadLetter(row: DeadLetterInfo): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, Json>>): void;
}

interface Split { watermarkUs: number; lastMs: number; rows: number }

export interface ConnectorState {
  readonly positions: Record<string, Json>; readonly watermarks: Record<string, number | null>; readonly watermark: number | null; readonly rows: number; readonly skipped: number; readonly nullEventTimes: number;
  /** Of all subtasks of another layout: splits are among them that are others' now. */
  readonly moved?: true;
}

export class ConnectorFeed implements Feed {
  readonly nodeId: number;
  readonly logPosition = Infinity;
  readonly backfilled = true;
  watermarkUs = -Infinity;
  idle = false;
  rows = 0;
  readonly #node: SourceNode;
  readonly #host: ConnectorFeedHost;
  readonly #reader: SourceReader;
  readonly #time: EventTime;
  readonly #splits = new Map<string, Split>();
  readonly #onError: string;
  #positions: Record<string, Json> = {};
  #skipped = 0;
  #reachedEnd = false;

  constructor(node: SourceNode, connector: SourceConnector, host: ConnectorFeedHost) {
    this.nodeId = node.id;
    this.#node = node;
    this.#host = host;
    this.#onError = node.options['on_error'] ?? 'fail';
    this.#time = new EventTime(node, node.fields.map(f => f.type), host.session);
    const context: SourceContext = {
      badRecord: record => { this.#badRecord(record); },
      wake: host.wake,
      log: host.log,
      now: () => host.env.now(),
    };
    const spec = {
      jobId: host.jobId, nodeId: node.id, relationName: node.relationName, options: node.options, fields: node.fields,
      subtask: host.subtask, parallelism: host.parallelism,
    };
    this.#reader = host.streams === null ? connector.create(spec, context) : host.streams.reader(connector, spec, context, host);
  }

  /** Until its end was reached once; the connector may know better. */
  get backlog(): boolean { return this.#reader.backlog?.() ?? !this.#reachedEnd; }
  get nullEventTimes(): number { return this.#time.nullEventTimes; }

  async open(state: Json | undefined): Promise<void> {
    if (state !== undefined) {
      const s = state as unknown as ConnectorState;
      this.#positions = { ...s.positions };
      this.watermarkUs = watermarkOf(s.watermark);
      this.rows = s.rows;
      this.#skipped = s.skipped;
      this.#time.nullEventTimes = s.nullEventTimes;
      for (const [split, us] of Object.entries(s.watermarks)) this.#splits.set(split, { watermarkUs: watermarkOf(us), lastMs: this.#host.env.now(), rows: 0 });
    }
    await this.#reader.open(this.#positions);
    // What `scan_startup = latest` resolved to must survive a restart before the first row.
    this.#positions = this.#reader.positions();
    if ((state as unknown as ConnectorState | undefined)?.moved === true) for (const split of this.#splits.keys()) if (!(split in this.#positions)) this.#splits.delete(split);
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> { return this.#reader.next(); }

  untilBarrier(): null {
    this.#raiseWatermark();
    return null;
  }

  snapshot(): Json {
    const watermarks: Record<string, number | null> = {};
    for (const [name, split] of this.#splits) watermarks[name] = watermarkJson(split.watermarkUs);
    return {
      positions: this.#positions, watermarks, watermark: watermarkJson(this.watermarkUs), rows: this.rows, skipped: this.#skipped,
      nullEventTimes: this.#time.nullEventTimes,
    } satisfies ConnectorState;
  }

  async completed(snapshot: Json, checkpointId: number): Promise<void> {
    await this.#reader.committed?.((snapshot as unknown as ConnectorState).positions, checkpointId);
  }
  aborted(checkpointId: number): void { this.#reader.aborted?.(checkpointId); }

  infos(): Omit<SourceInfo, 'jobId' | 'subtask'>[] {
    return this.#reader.progress().map(p => {
      const split = this.#splits.get(p.split);
      return {
        relationName: this.#node.relationName, operatorId: this.nodeId, split: p.split, position: p.position, lag: p.lag,
        rows: split?.rows ?? 0, skipped: this.#skipped, watermarkUs: split === undefined ? null : watermarkJson(split.watermarkUs),
      };
    });
  }

  async close(): Promise<void> { await this.#reader.close(); }

  take(raw: unknown): Batch | 'idle' | 'end' {
    const item = raw as SplitBatch | 'idle' | 'end';
    if (item === 'end') {
      this.#reachedEnd = true;
      this.#positions = this.#reader.positions();
      this.watermarkUs = Infinity;
      return 'end';
    }
    if (item === 'idle') {
      // Waiting for other readers of the stream is no end.
      if (this.#reader.waits?.() !== true) this.#reachedEnd = true;
      this.#positions = this.#reader.positions();
      return 'idle';
    }
    let split = this.#splits.get(item.split);
    if (split === undefined) {
      split = { watermarkUs: this.watermarkUs, lastMs: 0, rows: 0 };
      this.#splits.set(item.split, split);
    }
    const batch = this.#time.apply(item.batch, Math.max(split.watermarkUs, this.#wokeAt(split)));
    split.watermarkUs = this.#time.watermarkUs;
    split.lastMs = this.#host.env.now();
    split.rows += item.batch.length;
    this.rows += item.batch.length;
    this.#positions = this.#reader.positions();
    return batch;
  }

  /** A split that was idle does not bring the watermark back. */
  #wokeAt(split: Split): number {
    const timeout = this.#host.idleTimeoutMs;
    return timeout > 0 && split.lastMs > 0 && this.#host.env.now() - split.lastMs > timeout ? this.watermarkUs : -Infinity;
  }

  #raiseWatermark(): void {
    if (this.#node.watermark === null || this.watermarkUs === Infinity) return;
    const timeout = this.#reader.waits?.() === true ? 0 : this.#host.idleTimeoutMs;
    const now = this.#host.env.now();
    let min = Infinity;
    let active = 0;
    const finished = this.#reader.finishedSplits?.();
    for (const [name, split] of this.#splits) {
      if (finished?.has(name) === true) continue;
      if (timeout > 0 && now - split.lastMs > timeout) continue;
      active++;
      min = Math.min(min, split.watermarkUs);
    }
    this.idle = active === 0 && timeout > 0 && this.#splits.size > 0;
    if (active === 0 || this.#reader.unreadSplits().length > 0) return;
    if (min > this.watermarkUs) this.watermarkUs = min;
  }

  #badRecord(record: BadRecord): void {
    const name = this.#node.relationName;
    if (this.#onError === 'skip') { this.#skipped++; return; }
    if (this.#onError === 'dead_letter') {
      this.#skipped++;
      this.#host.deadLetter({ jobId: this.#host.jobId, relationName: name, split: record.split, position: record.position, reason: record.reason, raw: record.raw, timeMs: this.#host.env.now() });
      return;
    }
    throw new SqlError('22P02', `bad record in stream "${name}": ${record.reason}`, {
      detail: `Split ${record.split}, ${record.position}.`,
      hint: `Create the stream with on_error = 'skip' or 'dead_letter' to go on past bad records.`,
    });
  }
}
