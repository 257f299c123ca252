/**
 * Feed: what brings rows into a task from outside (a connector's splits, a table and its log, a stream's log). The task asks for a batch
 * when it has nothing better to do, and at each barrier for what the barrier still owes. Everything a feed must remember is in
 * `snapshot`, taken at a barrier: positions and watermarks are operator state.
 */
import type { Json } from '../../types/connect.js';
import type { Batch } from '../batch.js';
import type { SourceInfo } from '../engine.js';

export interface Feed {
  readonly nodeId: number;
  /** Combined watermark of everything given so far, microseconds; never falls. */
  readonly watermarkUs: number;
  /** Nothing comes and nothing is held back: the watermark follows those of the task's other feeds. */
  readonly idle: boolean;
  readonly nullEventTimes: number;
  readonly rows: number;
  /** Log position below which this feed needs no record any more; Infinity = it reads no log. */
  readonly logPosition: number;
  /** False while a table's rows are still being read for the first time. */
  readonly backfilled: boolean;
  /** Far behind: what it reads now has been there for long (checkpoint_interval_during_backlog). */
  readonly backlog: boolean;
  open(state: Json | undefined): Promise<void>;
  /** What comes next, not yet taken: positions move only in `take`, so that a barrier in between does not count it. */
  next(): unknown;
  take(raw: unknown): Batch | 'idle' | 'end';
  /** The rest of what belongs before a barrier with this log position; null = nothing, at once. May run while a `next` is under way. */
  untilBarrier(logPosition: number): AsyncIterable<Batch> | null;
  snapshot(): Json;
  /** The checkpoint with this snapshot completed. */
  completed(snapshot: Json, checkpointId: number): Promise<void>;
  /** The checkpoint ended without completing. */
  aborted?(checkpointId: number): void;
  infos(): Omit<SourceInfo, 'jobId' | 'subtask'>[];
  close(): Promise<void>;
}

/** JSON has no −Infinity; a split without watermark is null. */
export const watermarkJson = (us: number): number | null => Number.isFinite(us) ? us : null;
export const watermarkOf = (json: Json | undefined): number => typeof json === 'number' ? json : -Infinity;
