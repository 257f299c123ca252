/**
 * The checkpoint coordinator of one job: pending → completed or failed(reason), as a small object beside the job. The job injects barriers and
 * hands acknowledgements in; the coordinator decides when to trigger, writes `_metadata`, keeps retention and the history, and counts failures.
 *
 * Rules (Flink's): the tolerance counts consecutive failures (declined, expired, storage errors at completion), a success resets it; the
 * minimum pause runs from the completion of the checkpoint before; one checkpoint is in progress at a time.
 */
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { METADATA_FORMAT, type CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { faultPoint } from '../../storage/faults.js';
import { HASH_VERSION } from '../../types/encoding/hash.js';
import type { Env, Timer } from '../../types/env.js';
import { SqlError, toErrorData } from '../../types/error.js';
import type { Plan } from '../../types/plan.js';
import type { JobSettings } from '../../types/settings.js';
import type { CheckpointRow } from '../engine.js';
import type { CheckpointAck } from '../protocol.js';
import { abortReason, onAbort } from './abort.js';
import type { History } from './history.js';

export interface CoordinatedJob {
  readonly jobId: number;
  readonly name: string;
  readonly plan: Plan;
  readonly settings: JobSettings;
  readonly totalTasks: number;
  /** Asks for a barrier that carries the checkpoint; called at once, the barrier may have to wait for the one in flight. */
  requestBarrier(): void;
  notifyCompleted(checkpointId: number): void;
  notifyAborted(checkpointId: number): void;
  /** Too many failures: the job fails over. */
  failOver(error: SqlError): void;
  /** `epoch`: of the barrier that carried it, 0 when none did. */
  checkpointEnded(row: CheckpointRow, epoch: number): void;
  /** Everything ended, and the last checkpoint was taken: no other follows. */
  readonly finished: boolean;
  /** Oldest log position that the tasks need at this epoch. */
  neededSeqAt(epoch: number): number;
}

interface Pending {
  readonly id: number;
  readonly row: CheckpointRow;
  readonly acks: Map<string, CheckpointAck>;
  timer: Timer | null;
  epoch: number;
  logPosition: number;
  completing: boolean;
}

/** The golden ratio's fraction: multiples of it lie evenly between 0 and 1, however many there are. */
const PHASE = 0.618033988749895;

interface Waiter { readonly after: number; resolve(row: CheckpointRow): void; reject(e: SqlError): void }

export class CheckpointCoordinator {
  readonly #job: CoordinatedJob;
  readonly #storage: CheckpointStorage;
  readonly #history: History;
  readonly #env: Env;
  #pending: Pending | null = null;
  #nextId: number;
  #lastCompleted: number;
  #lastTriggerMs: number;
  #lastCompletionMs = -Infinity;
  #failures = 0;
  #timer: Timer | null = null;
  #retained: CheckpointMetadata[];
  #waiters: Waiter[] = [];
  #changed = true;
  #stopped = false;

  /** `retained`: complete checkpoints on disk, newest first, that the job may go on from. */
  constructor(job: CoordinatedJob, storage: CheckpointStorage, history: History, env: Env, retained: readonly CheckpointMetadata[], restored: number) {
    this.#job = job;
    this.#storage = storage;
    this.#history = history;
    this.#env = env;
    this.#retained = [...retained];
    this.#lastCompleted = restored;
    this.#nextId = Math.max(restored, history.lastCheckpointId(job.jobId), ...retained.map(r => r.checkpointId)) + 1;
    // Jobs that a server starts together do not take their checkpoints together: the first comes a part of the interval early, by the job's id.
    this.#lastTriggerMs = env.now() - job.settings.checkpoint_interval * (job.jobId * PHASE % 1);
  }

  get lastCompleted(): number { return this.#lastCompleted; }
  get pendingId(): number | null { return this.#pending?.id ?? null; }
  /** Log position below which no retained checkpoint reads; 0 before the first. */
  get neededSeq(): number { return this.#retained.length === 0 ? 0 : Math.min(...this.#retained.map(r => r.logPosition)); }
  /** Something went through the job: the next periodic checkpoint is worth taking. */
  changed(): void {
    this.#changed = true;
    if (this.#timer === null) this.schedule();
  }

  /** Sets the timer for the next periodic checkpoint. */
  schedule(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const { checkpoint_interval, checkpoint_min_pause } = this.#job.settings;
    if (this.#stopped || checkpoint_interval === 0 || this.#pending !== null || !this.#changed) return;
    const at = Math.max(this.#lastTriggerMs + checkpoint_interval, this.#lastCompletionMs + checkpoint_min_pause);
    this.#timer = this.#env.after(Math.max(0, at - this.#env.now()), () => { this.#timer = null; this.trigger(); });
  }

  /** Begins a checkpoint unless one is in progress. */
  trigger(): void {
    if (this.#pending !== null || this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = null;
    const { jobId, name, settings, totalTasks } = this.#job;
    const now = this.#env.now();
    const row: CheckpointRow = {
      jobId, jobName: name, checkpointId: this.#nextId++, kind: 'checkpoint', status: 'in_progress', mode: settings.checkpoint_mode, unaligned: false, incremental: true, triggerMs: now, completionMs: null,
      acknowledgedTasks: 0, totalTasks, stateBytes: 0, checkpointedBytes: 0, persistedInflightBytes: 0, path: null, discarded: false, failureReason: null, failureMessage: null,
    };
    this.#lastTriggerMs = now;
    this.#history.begin(row, settings.checkpoint_history);
    const pending: Pending = { id: row.checkpointId, row, acks: new Map(), timer: null, epoch: 0, logPosition: 0, completing: false };
    pending.timer = this.#env.after(settings.checkpoint_timeout, () => { this.#fail(pending, 'expired', 'CHECKPOINT_EXPIRED', `checkpoint ${pending.id} was not complete after ${settings.checkpoint_timeout} ms`); });
    this.#pending = pending;
    this.#changed = false;
    if (faultPoint === null) this.#job.requestBarrier();
    else {
      faultPoint('checkpoint.trigger', name).then(
        () => { if (this.#pending === pending) this.#job.requestBarrier(); },
        (e: unknown) => { this.#fail(pending, 'failed', 'IO_EXCEPTION', toErrorData(e).message); });
    }
  }

  /** The checkpoint that the next barrier carries, once. */
  take(epoch: number, logPosition: number): { readonly id: number; readonly since: number } | null {
    const p = this.#pending;
    if (p === null || p.epoch !== 0) return null;
    p.epoch = epoch;
    p.logPosition = logPosition;
    return { id: p.id, since: this.#lastCompleted };
  }
  get wantsBarrier(): boolean { return this.#pending !== null && this.#pending.epoch === 0; }

  acknowledged(ack: CheckpointAck): void {
    const p = this.#pending;
    if (p === null || p.id !== ack.checkpointId || p.completing) return;
    p.acks.set(ack.task, ack);
    p.row.acknowledgedTasks = p.acks.size;
    p.row.stateBytes += ack.stateBytes;
    p.row.checkpointedBytes += ack.checkpointedBytes;
    this.#history.task({
      jobId: this.#job.jobId, checkpointId: p.id, task: ack.task, subtask: ack.metadata.subtask, status: 'acknowledged', ackMs: this.#env.now(), startDelayMs: ack.startDelayMs, alignmentMs: ack.alignmentMs,
      syncMs: ack.syncMs, asyncMs: ack.asyncMs, checkpointedBytes: ack.checkpointedBytes, processedInflightBytes: 0, persistedInflightBytes: 0,
    });
    if (p.acks.size === this.#job.totalTasks) void this.#complete(p);
  }

  async #complete(p: Pending): Promise<void> {
    p.completing = true;
    const { jobId, name, plan, settings } = this.#job;
    const metadata: CheckpointMetadata = {
      format: METADATA_FORMAT, jobId, jobName: name, checkpointId: p.id, kind: 'checkpoint', mode: settings.checkpoint_mode, plan, hashVersion: HASH_VERSION, parallelism: settings.parallelism,
      maxParallelism: settings.max_parallelism, epoch: p.epoch, logPosition: Math.min(p.logPosition, this.#job.neededSeqAt(p.epoch)), watermarkUs: null, triggerMs: p.row.triggerMs, completionMs: this.#env.now(),
      stateBytes: p.row.stateBytes, checkpointedBytes: p.row.checkpointedBytes, tasks: [...p.acks.values()].map(a => a.metadata),
    };
    try {
      p.row.path = await this.#storage.complete(metadata);
    } catch (e) {
      if (this.#pending === p) this.#fail(p, 'failed', 'FINALIZE_CHECKPOINT_FAILURE', toErrorData(e).message);
      return;
    }
    // The job failed over meanwhile: the checkpoint stands on disk and may be restored, nothing more is to be told.
    if (this.#pending !== p) return;
    this.#pending = null;
    p.timer?.cancel();
    p.row.status = 'completed';
    p.row.completionMs = metadata.completionMs;
    this.#lastCompleted = p.id;
    this.#lastCompletionMs = this.#env.now();
    this.#failures = 0;
    this.#retained.unshift(metadata);
    this.#job.notifyCompleted(p.id);
    this.#end(p);
    await this.#retain();
  }

  async #retain(): Promise<void> {
    try {
      const gone = await this.#storage.retain(this.#retained, this.#job.settings.retained_checkpoints);
      this.#retained = this.#retained.filter(m => !gone.includes(m.checkpointId));
      this.#history.discarded(this.#job.jobId, gone);
    } catch {
      // Old files that could not be deleted are tried again with the next checkpoint, and at the next start.
    }
  }

  #end(p: Pending): void {
    this.#history.end(p.row, this.#job.settings.checkpoint_history);
    this.#job.checkpointEnded(p.row, p.epoch);
    // Of a finished job the last checkpoint is what a later one would be.
    const { finished } = this.#job;
    const done = this.#waiters.filter(w => finished || w.after < p.id);
    this.#waiters = this.#waiters.filter(w => !done.includes(w));
    for (const w of done) {
      if (p.row.status === 'completed') w.resolve(p.row);
      else w.reject(new SqlError(p.row.status === 'expired' ? '57014' : '58000', `checkpoint ${p.id} of job "${this.#job.name}" ${p.row.status}`, { detail: `${p.row.failureReason ?? ''}: ${p.row.failureMessage ?? ''}` }));
    }
    // Somebody asked while this one was in progress.
    if (finished) return;
    if (this.#waiters.length > 0) this.trigger();
    else this.schedule();
  }

  declined(checkpointId: number, reason: string, message: string): void {
    const p = this.#pending;
    if (p !== null && p.id === checkpointId) this.#fail(p, 'failed', reason, message);
  }

  #fail(p: Pending, status: 'failed' | 'expired' | 'aborted', reason: string, message: string): void {
    if (this.#pending !== p) return;
    this.#pending = null;
    p.timer?.cancel();
    p.row.status = status;
    p.row.completionMs = this.#env.now();
    p.row.failureReason = reason;
    p.row.failureMessage = message;
    this.#changed = true;
    this.#job.notifyAborted(p.id);
    this.#end(p);
    if (status === 'aborted') return;
    this.#failures++;
    if (this.#failures > this.#job.settings.tolerable_failed_checkpoints) {
      this.#job.failOver(new SqlError('58000', 'exceeded checkpoint tolerable failure threshold', { detail: `checkpoint ${p.id}: ${reason}: ${message}`, hint: 'SET tolerable_failed_checkpoints = N; before creating the job lets it survive N in a row.' }));
    }
  }

  /** Resolves with the next checkpoint that begins after this call, triggering it as soon as possible. */
  next(signal: AbortSignal): Promise<CheckpointRow> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) { reject(abortReason(signal)); return; }
      const off = onAbort(signal, reason => { this.#waiters = this.#waiters.filter(w => w !== waiter); reject(reason); });
      const waiter: Waiter = { after: this.#pending?.id ?? this.#nextId - 1, resolve: row => { off(); resolve(row); }, reject: e => { off(); reject(e); } };
      this.#waiters.push(waiter);
      this.#changed = true;
      if (this.#pending === null) this.trigger();
    });
  }
  /** The job's tasks are gone: what is in progress is aborted. */
  stop(message: string): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    const p = this.#pending;
    if (p !== null && !p.completing) this.#fail(p, 'aborted', 'CHECKPOINT_COORDINATOR_SHUTDOWN', message);
    else if (p !== null) this.#pending = null;
    for (const w of this.#waiters) w.reject(new SqlError('55000', `job "${this.#job.name}" took no checkpoint: ${message}`));
    this.#waiters = [];
  }
}
