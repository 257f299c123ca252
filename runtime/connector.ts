/**
 * Contracts of connectors. A connector never sees operators, barriers or LevelDB: it reads splits, or writes epochs.
 *
 * Source, per subtask: `open(positions)` with the positions of the splits restored from the checkpoint (or none); then `next()` gives
 * batches, each from exactly one split, in the split's order; `positions()` tells, at any time between two `next` calls, where each
 * split stands after all batches given so far: that is what a checkpoint keeps. Splits are shared out by `ownsSplit`.
 * After `positions` are restored the same batches' rows follow (batch borders may differ).
 */
import type { Column, SqlType } from '../types/sqltype.js';
import type { SourceField } from '../types/plan.js';
import type { Json } from '../types/connect.js';
import type { Batch } from './batch.js';
import type { TableFunctionDefinition } from './functions/api.js';

/** One option of WITH (…). Options not listed are refused with a HINT naming the nearest; 'kafka.' prefixes pass when `prefixes` has it. */
export interface OptionSpec {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
  readonly default?: string;
  /** Allowed words, for options that are one of a set. */
  readonly values?: readonly string[];
  readonly kind: 'text' | 'integer' | 'number' | 'boolean' | 'size' | 'duration' | 'timestamp' | 'secret';
  readonly min?: number;
  readonly max?: number;
}

export interface SourceSpec {
  readonly jobId: number;
  readonly nodeId: number;
  readonly relationName: string;
  readonly options: Readonly<Record<string, string>>;
  readonly fields: readonly SourceField[];
  readonly subtask: number;
  readonly parallelism: number;
}

export type OnError = 'fail' | 'skip' | 'dead_letter';

export interface BadRecord {
  readonly split: string;
  /** Position of the record as a user finds it: byte offset and line, or Kafka offset. */
  readonly position: string;
  readonly reason: string;
  /** The record's bytes, cut to BAD_RECORD_BYTES_MAX. */
  readonly raw: Uint8Array;
}

export interface SourceContext {
  /** Applies `on_error`: throws (22P02 …, with position in DETAIL) for 'fail', counts for 'skip', keeps the row for 'dead_letter'. */
  badRecord(record: BadRecord): void;
  /** Called when next() would now give something after it gave 'idle'. */
  wake(): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, Json>>): void;
  /** Wall clock, ms. */
  now(): number;
}

export interface SplitBatch {
  readonly split: string;
  /** Columns = fields of the SourceSpec, all weights +1. */
  readonly batch: Batch;
}

export interface SourceReader {
  open(positions: Readonly<Record<string, Json>>): Promise<void>;
  /**
   * The next batch (at most BATCH_ROWS_MAX rows); 'idle' when there is none now (wake() follows); 'end' when every split is bounded and read.
   * May be synchronous: the hot path of a file gives batches of a block already in memory without a promise.
   */
  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'>;
  /** Positions of all owned splits, after everything given by next() so far. Plain JSON. */
  positions(): Record<string, Json>;
  /** Known splits not read yet (the next file of a folder): they hold the watermark back. */
  unreadSplits(): readonly string[];
  /** Splits read to their end for good (a file of a folder): they no longer hold the watermark back. Absent = none ends before all do. */
  finishedSplits?(): ReadonlySet<string>;
  /** It gives nothing now though there may be more, since it waits for other readers of the stream: no split counts as idle for that. Absent = never. */
  waits?(): boolean;
  /** Rows for millrace.sources: split, position, lag (rows or bytes behind the end; null = unknown). */
  progress(): readonly { readonly split: string; readonly position: string; readonly lag: number | null }[];
  /** Far behind the end (checkpoint_interval_during_backlog). Absent = until `next` first gave 'idle'. */
  backlog?(): boolean;
  /**
   * Until told otherwise no row past these positions: a split that is not named gives none, and `next` gives 'idle' where nothing else is left.
   * Minded from the next block on at the latest. Null: no border any more. Readers of connectors with `sharing` have it.
   */
  bound?(positions: Readonly<Record<string, Json>> | null): void;
  /** A checkpoint completed that held these positions (Kafka: commit the group's offsets, for monitoring only). */
  committed?(positions: Readonly<Record<string, Json>>, checkpointId: number): Promise<void>;
  /** The checkpoint ended without completing: positions it held are in a later one. Not told of those that end with the job's attempt. */
  aborted?(checkpointId: number): void;
  close(): Promise<void>;
}

/** What lets several jobs of a worker read a stream with one reader. */
export interface StreamSharing {
  /** Where a position stands in the order of its split, in `unit`s; 0 or more. */
  place(position: Json): number;
  readonly unit: 'bytes' | 'rows';
  /** Readers of one stream whose splits differ by their fields: only those of one variant read together. Absent = one. */
  variant?(spec: SourceSpec): string;
}

export interface SourceConnector {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionSpec[];
  /** Option name prefixes that pass through ('kafka.'), and the options that exist with them, for the documentation. */
  readonly prefixes?: readonly string[];
  readonly prefixed?: readonly OptionSpec[];
  /** True when the source ends by itself with these options. */
  bounded(options: Readonly<Record<string, string>>): boolean;
  /** Columns the connector itself gives (nexmark), when the statement declares none; null = the statement must declare them. */
  columns?(options: Readonly<Record<string, string>>): readonly Column[] | null;
  /** Checks beyond OptionSpec (combinations, formats); throws SqlError 22023/42601 with a hint. Runs on the main thread, no I/O. */
  validate?(options: Readonly<Record<string, string>>, columns: readonly Column[]): void;
  /** I/O check at CREATE (topic exists, file readable): throws with a hint; runs on the main thread. */
  check?(options: Readonly<Record<string, string>>): Promise<void>;
  /** Absent or null: each job reads for itself. Readers of equal options give the same rows from the same positions. */
  sharing?(options: Readonly<Record<string, string>>): StreamSharing | null;
  create(spec: SourceSpec, context: SourceContext): SourceReader;
}

export interface SinkSpec {
  readonly jobId: number;
  readonly nodeId: number;
  readonly relationName: string;
  readonly options: Readonly<Record<string, string>>;
  /** Of batches. */
  readonly columns: readonly Column[];
  /** What the query asked for: the first of them. The others are columns of the key that it leaves out: they tell rows apart, and are not written. */
  readonly visible: readonly Column[];
  readonly key: readonly number[] | null;
  readonly appendOnly: boolean;
  readonly subtask: number;
  readonly parallelism: number;
}

/**
 * Sink, per subtask. `write` gets each epoch's changes, consolidated by stream key (an update stands as −old, +new next to each other).
 *   prepare(id)  at a checkpoint barrier, after the epoch's writes: flush what must be durable; returns state kept in the checkpoint
 *   commit(id)   the checkpoint completed: make its output visible; may be repeated after a recovery
 *   aborted(id)  the checkpoint ended without completing (failed, expired, or superseded by a newer one): what was prepared for it is owed with the
 *                next that completes; nothing is to be taken back. Not told of those that end with the job's attempt
 *   restore      state of the checkpoint that the job was restored from: first finish its commit, then drop anything newer
 */
export interface SinkWriter {
  open(restored: Json | null, restoredCheckpoint: number): Promise<void>;
  write(batch: Batch): void | Promise<void>;
  prepare(checkpointId: number): Json | Promise<Json>;
  /** Of this checkpoint and of all prepared before it: older ones may have been superseded. One after the other. */
  commit(checkpointId: number): Promise<void>;
  aborted?(checkpointId: number): void;
  close(): Promise<void>;
}

export interface SinkConnector {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionSpec[];
  readonly prefixes?: readonly string[];
  readonly prefixed?: readonly OptionSpec[];
  /** What CREATE SINK says in its NOTICE. */
  readonly guarantee: 'exactly_once' | 'at_least_once' | 'none';
  /** Whether updates can be written; else an append-only edge is required (0A000 with a hint). */
  acceptsUpdates(options: Readonly<Record<string, string>>): 'no' | 'with_key' | 'yes';
  validate?(options: Readonly<Record<string, string>>, columns: readonly Column[]): void;
  check?(options: Readonly<Record<string, string>>): Promise<void>;
  /**
   * The job goes on at another parallelism: what `prepare` gave, by subtask (null: nothing), for the new subtasks. Everything that was prepared must
   * still be committed by one of them. `otherJob`: it is what another job prepared, whose names are its own. Absent: subtasks keep no state.
   */
  redistribute?(states: readonly Json[], parallelism: number, otherJob: boolean): Json[];
  /** The job goes on at the same parallelism: what a subtask is given, of its own (null: nothing) and all subtasks' states. Absent: its own. */
  restore?(own: Json, states: readonly Json[]): Json;
  create(spec: SinkSpec, context: Pick<SourceContext, 'log' | 'now'>): SinkWriter;
}

/** Wired by server's composition root (main thread) and by the worker's entry, from the same list: connectors/registry.ts. */
export interface Connectors {
  readonly sources: readonly SourceConnector[];
  readonly sinks: readonly SinkConnector[];
  /** Own functions, from extensions. */
  readonly functions?: readonly TableFunctionDefinition[];
}

/** Options every source has, beside its connector's own. */
export type { Column, SqlType };
