/**
 * The checkpoint coordinator of one job, for one attempt of it: decides when a checkpoint begins (triggering.ts), hands it to the next barrier,
 * gathers acknowledgements (pendingcheckpoint.ts), writes `_metadata`, tells the tasks, keeps retention and the history, and counts failures
 * (failures.ts). The job injects the barriers and hands messages in. Rules and names are Flink's.
 *
 * One barrier of a job is on its way at a time, but a checkpoint waits for its files long after its barrier passed: so several may be in
 * progress (max_concurrent_checkpoints). They are finalized one after the other; one that completes supersedes the older ones in progress.
 * Each of them may reach back to C, the last completed when its barrier left: a completed checkpoint that one in progress reaches back to is
 * not deleted. A checkpoint that ends without completing leaves no file: its tasks remove theirs, and _metadata that was being written goes.
 */
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { faultPoint } from '../../storage/faults.js';
import type { Env, Timer } from '../../types/env.js';
import { SqlError, toErrorData } from '../../types/error.js';
import type { JobSettings } from '../../types/settings.js';
import type { CheckpointRow } from '../engine.js';
import type { Barrier } from '../operator.js';
import type { CheckpointAck } from '../protocol.js';
import { abortReason, onAbort } from './abort.js';
import { FailureCounter, type CheckpointFailureReason } from './failures.js';
import type { History } from './history.js';
import { PendingCheckpoint, type PendingJob } from './pendingcheckpoint.js';
import { nextTriggerMs } from './triggering.js';

export interface CoordinatedJob extends PendingJob {
  /** Asks for a barrier that carries the checkpoint; called at once, the barrier may have to wait for the one in flight. */
  requestBarrier(): void;
  /** Sends a barrier that ends no epoch, beside one that is on its way; null: only one that ends an epoch can go now. */
  sendMidEpoch(checkpoint: NonNullable<Barrier['checkpoint']>, midEpoch: NonNullable<Barrier['midEpoch']>): { readonly epoch: number; readonly logPosition: number } | null;
  notifyCompleted(checkpointId: number): void;
  notifyAborted(checkpointId: number): void;
  /** Too many failures: the job fails over. */
  failOver(error: SqlError): void;
  /** `epoch`: that its barrier ended, 0 when it ended none. */
  checkpointEnded(row: CheckpointRow, epoch: number): void;
  /** Paths that jobs begin with which have no checkpoint of their own yet: of these, nothing is deleted. */
  restoredFrom?(): readonly string[];
  /** Everything ended, and the last checkpoint was taken: no other follows. */
  readonly finished: boolean;
}

export type CompletedStore = Pick<CheckpointStorage, 'complete' | 'retain' | 'discard' | 'path'>;
export type CheckpointHistory = Pick<History, 'begin' | 'task' | 'end' | 'discarded' | 'lastCheckpointId'>;

/** The golden ratio's fraction: multiples of it lie evenly between 0 and 1, however many there are. */
const PHASE = 0.618033988749895;
/** Named limit: how long the end of an attempt waits for a _metadata that is being written. */
const FINALIZE_WAIT_MS = 10_000;

interface Waiter { readonly after: number; resolve(row: CheckpointRow): void; reject(e: SqlError): void }

/** The settings' barrier when it ends no epoch; null = the epoch's barrier carries the checkpoint, aligned. */
function midEpochOf(settings: JobSettings): NonNullable<Barrier['midEpoch']> | null {
  if (settings.checkpoint_mode === 'at_least_once') return { unalignedAfterMs: null };
  return settings.unaligned_checkpoints ? { unalignedAfterMs: settings.aligned_checkpoint_timeout } : null;
}

export class CheckpointCoordinator {
  readonly #job: CoordinatedJob;
  readonly #storage: CompletedStore;
  readonly #history: CheckpointHistory;
  readonly #env: Env;
  readonly #failures = new FailureCounter();
  /** In progress, oldest first. */
  #pending: PendingCheckpoint[] = [];
  #nextId: number;
  #lastCompleted: number;
  #lastTriggerMs: number;
  #lastCompletionMs = -Infinity;
  #lastRow: CheckpointRow | null = null;
  #timer: Timer | null = null;
  /** Complete ones on disk, newest first. */
  #retained: CheckpointMetadata[];
  #waiters: Waiter[] = [];
  #changed = true;
  /** Until the first epoch tells. */
  #backlog = true;
  #early = false;
  #requested = false;
  /** The next one has to end an epoch. */
  #wholeEpoch = false;
  #lastAttempts: number | null = null;
  #stopped = false;
  /** Finalizations, one after the other. */
  #finalizing: Promise<void> = Promise.resolve();
  /** Deletions of what is no longer retained: they hold no finalization up. */
  #retaining: Promise<void> = Promise.resolve();

  /** `retained`: complete checkpoints on disk, newest first, that the job may go on from. */
  constructor(job: CoordinatedJob, storage: CompletedStore, history: CheckpointHistory, env: Env, retained: readonly CheckpointMetadata[], restored: number) {
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
  /** Log position below which no retained checkpoint reads; 0 before the first. */
  get neededSeq(): number { return this.#retained.length === 0 ? 0 : Math.min(...this.#retained.map(r => r.logPosition)); }
  get retained(): readonly CheckpointMetadata[] { return this.#retained; }
  /** An id for a snapshot that is none of the coordinator's checkpoints (savepoint.ts): who waits for the next checkpoint still does. */
  newId(): number { return this.#nextId++; }

  // ---- what makes checkpoints begin ----

  /** Something went through the job: the next periodic checkpoint is worth taking. */
  changed(): void {
    if (this.#changed) return;
    this.#changed = true;
    this.schedule();
  }
  /** A source is far behind, or no source is any more. */
  backlog(backlog: boolean): void {
    if (this.#backlog === backlog) return;
    this.#backlog = backlog;
    this.schedule();
  }
  /** The changed state nears its memory limit: an early checkpoint lets it go. Not when the job takes none by itself. */
  wanted(): void {
    this.#early = true;
    this.schedule();
  }
  /** Everything ended: the last checkpoint, tried until one completes. Also called when one completed that began before the end. */
  takeLast(): void {
    this.#lastAttempts ??= 0;
    this.schedule();
  }
  /** Resolves with the next checkpoint that begins after this call, triggering it as soon as possible. `wholeEpoch`: aligned, at the end of an epoch. */
  next(signal: AbortSignal, wholeEpoch = false): Promise<CheckpointRow> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) { reject(abortReason(signal)); return; }
      const off = onAbort(signal, reason => { this.#waiters = this.#waiters.filter(w => w !== waiter); reject(reason); });
      const waiter: Waiter = { after: this.#nextId - 1, resolve: row => { off(); resolve(row); }, reject: e => { off(); reject(e); } };
      this.#waiters.push(waiter);
      this.#requested = true;
      this.#wholeEpoch ||= wholeEpoch;
      this.schedule();
    });
  }

  /** Decides anew when the next checkpoint begins, by the settings of now. */
  schedule(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#stopped || this.#job.finished) return;
    const nowMs = this.#env.now();
    const at = nextTriggerMs(this.#job.settings, {
      nowMs, lastTriggerMs: this.#lastTriggerMs, lastCompletionMs: this.#lastCompletionMs, inProgress: this.#pending.length, awaitsBarrier: this.wantsBarrier, changed: this.#changed, backlog: this.#backlog,
      early: this.#early, requested: this.#requested, lastAttempts: this.#lastAttempts,
    });
    if (at === null) return;
    if (at <= nowMs) this.#trigger(nowMs);
    else this.#timer = this.#env.after(at - nowMs, () => { this.#timer = null; this.schedule(); });
  }

  #trigger(nowMs: number): void {
    const { settings } = this.#job;
    const p = new PendingCheckpoint(this.#nextId++, this.#job, nowMs);
    this.#lastTriggerMs = nowMs;
    this.#changed = false;
    this.#early = false;
    this.#requested = false;
    if (this.#lastAttempts !== null) this.#lastAttempts++;
    this.#pending.push(p);
    this.#history.begin(p.row, settings.checkpoint_history);
    const timeout = settings.checkpoint_timeout;
    p.timer = this.#env.after(timeout, () => { this.#fail(p, 'CHECKPOINT_EXPIRED', `checkpoint ${p.id} was not complete after ${timeout} ms: ${p.acks.size} of ${p.row.totalTasks} tasks had acknowledged`); });
    if (faultPoint === null) this.#sendBarrier(p);
    else faultPoint('checkpoint.trigger', this.#job.name).then(() => { if (p.state === 'triggered' && this.#pending.includes(p)) this.#sendBarrier(p); }, (e: unknown) => { this.#fail(p, 'IO_EXCEPTION', toErrorData(e).message); });
    this.schedule();
  }

  #sendBarrier(p: PendingCheckpoint): void {
    const midEpoch = this.#wholeEpoch || this.#lastAttempts !== null ? null : midEpochOf(this.#job.settings);
    this.#wholeEpoch = false;
    const sent = midEpoch === null ? null : this.#job.sendMidEpoch({ id: p.id, since: this.#lastCompleted, ...this.#whole }, midEpoch);
    if (sent === null) {
      this.#job.requestBarrier();
      return;
    }
    p.midEpoch = true;
    p.carried(sent.epoch, sent.logPosition, this.#lastCompleted);
  }

  // ---- its barrier ----

  get wantsBarrier(): boolean { return this.#pending.some(p => p.state === 'triggered'); }
  /** The checkpoint that the next barrier carries, once. */
  take(epoch: number, logPosition: number): Barrier['checkpoint'] {
    const p = this.#pending.find(x => x.state === 'triggered');
    if (p === undefined) return null;
    p.carried(epoch, logPosition, this.#lastCompleted);
    this.schedule();
    return { id: p.id, since: p.since, ...this.#whole };
  }
  get #whole(): { readonly whole?: true } { return this.#job.settings.incremental_checkpoints ? {} : { whole: true }; }

  // ---- what tasks say ----

  acknowledged(ack: CheckpointAck): void {
    const p = this.#pending.find(x => x.id === ack.checkpointId);
    if (p === undefined) {
      // It ended while its barrier was still on its way to this task, which had nothing to give up then.
      this.#job.notifyAborted(ack.checkpointId);
      return;
    }
    if (!p.acknowledge(ack)) return;
    this.#history.task(p.taskRow(ack, this.#env.now()));
    if (!p.acknowledgedByAll) return;
    p.state = 'finalizing';
    this.#finalizing = this.#finalizing.then(() => this.#finalize(p));
  }

  declined(checkpointId: number, reason: CheckpointFailureReason, message: string): void {
    const p = this.#pending.find(x => x.id === checkpointId);
    if (p?.open === true) this.#fail(p, reason, message);
  }

  // ---- how they end ----

  async #finalize(p: PendingCheckpoint): Promise<void> {
    if (p.state !== 'finalizing') {
      // It ended while another was being finalized.
      this.#tellAborted(p.id);
      return;
    }
    const metadata = p.metadata(this.#env.now());
    let path: string;
    try {
      path = await this.#storage.complete(metadata);
    } catch (e) {
      const ended = this.#withdraw(p.id);
      this.#fail(p, 'FINALIZE_CHECKPOINT_FAILURE', toErrorData(e).message);
      await ended;
      return;
    }
    if (!this.#pending.includes(p)) {
      // It ended while _metadata was being written (expired, or the attempt is over).
      await this.#withdraw(p.id);
      return;
    }
    this.#pending = this.#pending.filter(x => x !== p);
    p.completed(path, metadata.completionMs);
    this.#lastCompleted = p.id;
    this.#lastCompletionMs = this.#env.now();
    this.#lastRow = p.row;
    this.#failures.completed();
    this.#retained.unshift(metadata);
    this.#job.notifyCompleted(p.id);
    // Nobody needs the older ones any more: the newer one holds everything they would.
    for (const older of this.#pending.filter(x => x.id < p.id)) this.#fail(older, 'CHECKPOINT_SUBSUMED', `checkpoint ${p.id} completed first`);
    this.#ended(p);
    this.#retaining = this.#retaining.then(() => this.#retain());
  }

  /**
   * What was written of a _metadata that does not count. State files are their tasks' business: of those it names, others may be in use. Tasks hear of
   * it last: after a crash a _metadata whose files are gone would pass for a checkpoint that was damaged.
   */
  async #withdraw(checkpointId: number): Promise<void> {
    await this.#storage.discard(checkpointId, [], this.#retained).catch(() => undefined); // a leftover goes at the next start
    this.#tellAborted(checkpointId);
  }

  /** Tasks of a failed attempt hear nothing more: the next attempt removes what they left. After a finished job's there is none. */
  #tellAborted(checkpointId: number): void { if (!this.#stopped || this.#job.finished) this.#job.notifyAborted(checkpointId); }

  async #retain(): Promise<void> {
    const { jobId, settings } = this.#job;
    // What one in progress reaches back to stays: its chain of files has not been written down yet.
    const used = this.#job.restoredFrom?.() ?? [];
    const reach = Math.min(...this.#pending.filter(p => p.state !== 'triggered').map(p => p.since), ...this.#retained.map(m => m.checkpointId).filter(id => used.includes(this.#storage.path(id))));
    const needed = this.#retained.findLastIndex(m => m.checkpointId >= reach) + 1;
    const count = Math.max(settings.retained_checkpoints, needed);
    if (this.#retained.length <= count) return;
    try {
      const gone = await this.#storage.retain(this.#retained, count);
      this.#retained = this.#retained.filter(m => !gone.includes(m.checkpointId));
      this.#history.discarded(jobId, gone);
    } catch {
      // Old files that could not be deleted are tried again with the next checkpoint, and at the next start.
    }
  }

  #fail(p: PendingCheckpoint, reason: CheckpointFailureReason, message: string): void {
    if (!this.#pending.includes(p)) return;
    this.#pending = this.#pending.filter(x => x !== p);
    const finalizing = p.state === 'finalizing';
    p.failed(reason, message, this.#env.now());
    if (reason !== 'CHECKPOINT_SUBSUMED') this.#changed = true;
    if (!finalizing) this.#job.notifyAborted(p.id);
    const { tolerable_failed_checkpoints: tolerable } = this.#job.settings;
    const tooMany = this.#failures.failed(reason, tolerable);
    // None begins that the failing over would end.
    if (tooMany) this.#stopped = true;
    this.#ended(p);
    if (!tooMany) return;
    this.#job.failOver(new SqlError('58000', 'exceeded checkpoint tolerable failure threshold', {
      detail: `checkpoint ${p.id}: ${reason}: ${message}`, hint: `ALTER JOB "${this.#job.name}" SET (tolerable_failed_checkpoints = ${Math.min(2147483647, tolerable + 1)}); lets it survive one more in a row.`,
    }));
  }

  #ended(p: PendingCheckpoint): void {
    this.#history.end(p.row, this.#job.settings.checkpoint_history);
    this.#job.checkpointEnded(p.row, p.midEpoch ? 0 : p.epoch);
    const completed = p.row.status === 'completed';
    // Of a finished job the last checkpoint is what a later one would be. One that was superseded: a newer one answered already, or will.
    const { finished } = this.#job;
    const done = this.#waiters.filter(w => finished || (w.after < p.id && p.row.failureReason !== 'CHECKPOINT_SUBSUMED'));
    this.#waiters = this.#waiters.filter(w => !done.includes(w));
    for (const w of done) {
      if (completed) w.resolve(p.row);
      else w.reject(new SqlError(p.row.status === 'expired' ? '57014' : '58000', `checkpoint ${p.id} of job "${this.#job.name}" ${p.row.status}`, { detail: `${p.row.failureReason ?? ''}: ${p.row.failureMessage ?? ''}` }));
    }
    this.schedule();
  }

  // ---- the end of the attempt ----

  /** The job has finished with the last checkpoint that completed: it is what a later one would be, also for who asked meanwhile. */
  finish(): void {
    const row = this.#lastRow;
    const waiters = row === null ? [] : this.#waiters;
    if (row !== null) this.#waiters = [];
    this.abort('CHECKPOINT_COORDINATOR_SHUTDOWN', 'the job has finished');
    if (row !== null) for (const w of waiters) w.resolve(row);
  }

  /**
   * The attempt is over, no checkpoint begins any more, and those in progress end. A task that failed before it acknowledged is the reason;
   * otherwise it is `reason`. What all tasks acknowledged may still complete: `settled` tells when.
   */
  abort(reason: CheckpointFailureReason, message: string, failedTask: string | null = null): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (const p of this.#pending.filter(x => x.open)) this.#fail(p, failedTask !== null && !p.acks.has(failedTask) ? 'TASK_FAILURE' : reason, message);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const w of waiters) w.reject(new SqlError('55000', `job "${this.#job.name}" took no checkpoint: ${message}`));
  }

  /** After `abort`: resolves when nothing is being written, or has not ended for too long; that is given up then. */
  async settled(reason: CheckpointFailureReason, message: string): Promise<void> {
    let timer: Timer | null = null;
    const late = new Promise<void>(resolve => { timer = this.#env.after(FINALIZE_WAIT_MS, resolve); });
    await Promise.race([this.#finalizing.then(() => this.#retaining), late]);
    (timer as Timer | null)?.cancel();
    for (const p of this.#pending) this.#fail(p, reason, message);
  }
}
