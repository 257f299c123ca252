/**
 * One checkpoint in progress: waits for its barrier, then for acknowledgements, is finalized, and ends once: completed, or failed with a
 * reason. Holds what `_metadata` needs.
 *
 *   triggered → (barrier) → waiting for acks → finalizing → completed
 *        └──────────────────────┴────────────────┴────────→ failed | expired | aborted
 */
import { METADATA_FORMAT, type CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { HASH_VERSION } from '../../types/encoding/hash.js';
import type { Timer } from '../../types/env.js';
import type { Plan } from '../../types/plan.js';
import type { JobSettings } from '../../types/settings.js';
import type { CheckpointRow, CheckpointTaskRow } from '../engine.js';
import type { CheckpointAck } from '../protocol.js';
import { statusOf, type CheckpointFailureReason } from './failures.js';

export interface PendingJob {
  readonly jobId: number;
  readonly name: string;
  readonly plan: Plan;
  readonly settings: JobSettings;
  readonly totalTasks: number;
  readonly serverId?: string;
}

export class PendingCheckpoint {
  readonly id: number;
  readonly row: CheckpointRow;
  readonly acks = new Map<string, CheckpointAck>();
  readonly #job: PendingJob;
  timer: Timer | null = null;
  state: 'triggered' | 'waiting' | 'finalizing' | 'ended' = 'triggered';
  /** Of the barrier that carried it; 0 before. */
  epoch = 0;
  logPosition = 0;
  /** C: the completed checkpoint its deltas reach back to, at the oldest. */
  since = 0;
  /** Its barrier ends no epoch. */
  midEpoch = false;

  constructor(id: number, job: PendingJob, nowMs: number) {
    this.id = id;
    this.#job = job;
    const { settings } = job;
    this.row = {
      jobId: job.jobId, jobName: job.name, checkpointId: id, kind: 'checkpoint', status: 'in_progress', mode: settings.checkpoint_mode, unaligned: false, incremental: settings.incremental_checkpoints, triggerMs: nowMs,
      completionMs: null, acknowledgedTasks: 0, totalTasks: job.totalTasks, stateBytes: 0, checkpointedBytes: 0, processedInflightBytes: 0, persistedInflightBytes: 0, alignmentMs: 0, path: null, discarded: false,
      failureReason: null, failureMessage: null,
    };
  }

  get open(): boolean { return this.state === 'triggered' || this.state === 'waiting'; }

  /** A barrier carries it: deltas reach back to `since`. */
  carried(epoch: number, logPosition: number, since: number): void {
    this.state = 'waiting';
    this.epoch = epoch;
    this.logPosition = logPosition;
    this.since = since;
  }

  /** False when the task had acknowledged already, or it is too late. */
  acknowledge(ack: CheckpointAck): boolean {
    if (this.state !== 'waiting' || this.acks.has(ack.task)) return false;
    this.acks.set(ack.task, ack);
    const { row } = this;
    row.acknowledgedTasks = this.acks.size;
    row.unaligned ||= ack.unaligned;
    row.stateBytes += ack.stateBytes;
    row.checkpointedBytes += ack.checkpointedBytes;
    row.processedInflightBytes += ack.processedInflightBytes;
    row.persistedInflightBytes += ack.persistedInflightBytes;
    row.unaligned ||= ack.unaligned;
    row.alignmentMs = Math.max(row.alignmentMs, ack.alignmentMs);
    return true;
  }
  /** The task's part, as millrace.checkpoint_tasks shows it. */
  taskRow(ack: CheckpointAck, nowMs: number): CheckpointTaskRow {
    return {
      jobId: this.#job.jobId, checkpointId: this.id, task: ack.task, subtask: ack.metadata.subtask, status: 'acknowledged', ackMs: nowMs, startDelayMs: ack.startDelayMs, alignmentMs: ack.alignmentMs,
      syncMs: ack.syncMs, asyncMs: ack.asyncMs, checkpointedBytes: ack.checkpointedBytes, processedInflightBytes: ack.processedInflightBytes, persistedInflightBytes: ack.persistedInflightBytes, unaligned: ack.unaligned,
    };
  }
  get acknowledgedByAll(): boolean { return this.acks.size === this.#job.totalTasks; }

  metadata(completionMs: number): CheckpointMetadata {
    const { jobId, name, plan, settings, serverId } = this.#job;
    const { row } = this;
    return {
      format: METADATA_FORMAT, jobId, jobName: name, ...(serverId === undefined ? {} : { serverId }), checkpointId: this.id, kind: 'checkpoint', mode: row.mode, ...(this.midEpoch ? { midEpoch: true, unaligned: row.unaligned } : {}), plan, hashVersion: HASH_VERSION, parallelism: settings.parallelism, maxParallelism: settings.max_parallelism,
      epoch: this.epoch, logPosition: Math.min(this.logPosition, ...[...this.acks.values()].map(a => a.logPosition)), watermarkUs: null, triggerMs: row.triggerMs, completionMs, stateBytes: row.stateBytes, checkpointedBytes: row.checkpointedBytes,
      tasks: [...this.acks.values()].map(a => a.metadata),
    };
  }

  completed(path: string, completionMs: number): void {
    this.#end();
    this.row.status = 'completed';
    this.row.path = path;
    this.row.completionMs = completionMs;
  }

  failed(reason: CheckpointFailureReason, message: string, nowMs: number): void {
    this.#end();
    this.row.status = statusOf(reason);
    this.row.completionMs = nowMs;
    this.row.failureReason = reason;
    this.row.failureMessage = message;
  }

  #end(): void {
    this.state = 'ended';
    this.timer?.cancel();
    this.timer = null;
  }
}
