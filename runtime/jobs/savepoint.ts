/**
 * Snapshots of a running job that somebody asked for, for one attempt of it, beside the coordinator's checkpoints:
 *
 *   savepoint   its barrier is always aligned. When all tasks acknowledged, its files are copied into a folder of its own; then the tasks are told
 *               that it is no checkpoint (`aborted`): what changed stays changed for the next one, nothing is committed, and their files of it go.
 *               It counts as no failed checkpoint, and holds nothing up but the deletion of files that it copies.
 *   last        of STOP and PAUSE: after its barrier no source gives anything. It completes as a checkpoint of the job, and sinks commit it.
 *
 * One at a time; the barrier of one carries no checkpoint of the coordinator's. Ids are the coordinator's, so that they stay unique.
 */
import { writeSavepoint } from '../../storage/checkpoint/folder.js';
import type { CheckpointMetadata, FileRef } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { FileStore } from '../../storage/filestore.js';
import type { Env } from '../../types/env.js';
import { fromErrorData, SqlError, toErrorData } from '../../types/error.js';
import type { CheckpointRow } from '../engine.js';
import type { CheckpointAck } from '../protocol.js';
import { abortReason, onAbort } from './abort.js';
import type { History } from './history.js';
import type { CheckpointCoordinator, CoordinatedJob } from './coordinator.js';
import { PendingCheckpoint, type PendingJob } from './pendingcheckpoint.js';

export type SnapshotJob = PendingJob & Pick<CoordinatedJob, 'requestBarrier' | 'notifyAborted' | 'notifyCompleted' | 'checkpointEnded'>;

/** Where a savepoint goes: the store of the folder above, and its folder's name. */
export interface SavepointPlace { readonly store: FileStore; readonly name: string }

interface Snapshot {
  readonly place: SavepointPlace | null;
  pending: PendingCheckpoint | null;
  /** Files that it may need are not deleted until then. */
  release: (() => Promise<void>) | null;
  resolve(result: { readonly row: CheckpointRow; readonly metadata: CheckpointMetadata }): void;
  reject(error: SqlError): void;
}

export class Snapshots {
  readonly #job: SnapshotJob;
  readonly #coordinator: Pick<CheckpointCoordinator, 'newId' | 'lastCompleted'>;
  readonly #storage: CheckpointStorage;
  readonly #history: History;
  readonly #env: Env;
  #waiting: Snapshot[] = [];
  #current: Snapshot | null = null;
  #stopped: SqlError | null = null;

  constructor(job: SnapshotJob, coordinator: Pick<CheckpointCoordinator, 'newId' | 'lastCompleted'>, storage: CheckpointStorage, history: History, env: Env) {
    this.#job = job;
    this.#coordinator = coordinator;
    this.#storage = storage;
    this.#history = history;
    this.#env = env;
  }

  /** `place` null: the last checkpoint before the job stops. */
  take(place: SavepointPlace | null, signal: AbortSignal): Promise<{ readonly row: CheckpointRow; readonly metadata: CheckpointMetadata }> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) { reject(abortReason(signal)); return; }
      if (this.#stopped !== null) { reject(this.#stopped); return; }
      const off = onAbort(signal, reason => { this.#giveUp(snapshot, fromErrorData(toErrorData(reason))); });
      const snapshot: Snapshot = { place, pending: null, release: null, resolve: r => { off(); resolve(r); }, reject: e => { off(); reject(e); } };
      this.#waiting.push(snapshot);
      this.#next();
    });
  }

  #next(): void {
    const next = this.#current === null ? this.#waiting.shift() : undefined;
    if (next === undefined) return;
    const { settings } = this.#job;
    const p = new PendingCheckpoint(this.#coordinator.newId(), this.#job, this.#env.now());
    if (next.place !== null) p.row.kind = 'savepoint';
    next.pending = p;
    next.release = this.#storage.hold();
    this.#current = next;
    this.#history.begin(p.row, settings.checkpoint_history);
    const timeout = settings.checkpoint_timeout;
    p.timer = this.#env.after(timeout, () => { this.#fail(next, 'CHECKPOINT_EXPIRED', `${next.place === null ? 'the last checkpoint' : 'the savepoint'} was not complete after ${timeout} ms: ${p.acks.size} of ${p.row.totalTasks} tasks had acknowledged`); });
    this.#job.requestBarrier();
  }

  // ---- its barrier ----

  get wantsBarrier(): boolean { return this.#current?.pending?.state === 'triggered'; }

  /** The snapshot that the next barrier carries, once. It ends an epoch, and is aligned. */
  takeBarrier(epoch: number, logPosition: number): { readonly id: number; readonly since: number; readonly last?: true; readonly savepoint?: true } | null {
    const p = this.#current?.pending;
    if (p?.state !== 'triggered') return null;
    p.carried(epoch, logPosition, this.#coordinator.lastCompleted);
    return { id: p.id, since: p.since, ...(this.#current?.place === null ? { last: true as const } : { savepoint: true as const }) };
  }

  // ---- what tasks say; false: of no snapshot of these ----

  acknowledged(ack: CheckpointAck): boolean {
    const snapshot = this.#current;
    const p = snapshot?.pending;
    if (snapshot === null || p?.id !== ack.checkpointId) return false;
    if (!p.acknowledge(ack)) return true;
    this.#history.task(p.taskRow(ack, this.#env.now()));
    if (p.acknowledgedByAll) {
      p.state = 'finalizing';
      void this.#finalize(snapshot, p);
    }
    return true;
  }

  declined(checkpointId: number, message: string): boolean {
    const snapshot = this.#current;
    if (snapshot?.pending?.id !== checkpointId) return false;
    if (snapshot.pending.open) this.#fail(snapshot, 'CHECKPOINT_DECLINED', message);
    return true;
  }

  async #finalize(snapshot: Snapshot, p: PendingCheckpoint): Promise<void> {
    let metadata = p.metadata(this.#env.now());
    const { place } = snapshot;
    try {
      let path: string;
      if (place === null) path = await this.#storage.complete(metadata);
      else {
        metadata = await writeSavepoint(this.#storage, metadata, place.store, place.name);
        path = `${place.store.root}/${place.name}`;
      }
      // Given up while it was written: it must not look complete.
      if (this.#current !== snapshot) {
        await place?.store.remove([`${place.name}/_metadata`]).catch(() => undefined);
        await place?.store.removeFolder(place.name).catch(() => undefined);
        return;
      }
      p.completed(path, metadata.completionMs);
      this.#end(snapshot, p, place === null);
      snapshot.resolve({ row: p.row, metadata });
    } catch (e) {
      this.#fail(snapshot, 'FINALIZE_CHECKPOINT_FAILURE', toErrorData(e).message, fromErrorData(toErrorData(e)));
    } finally {
      if (place !== null) await this.#removeFiles(p);
    }
  }

  /** Files that tasks wrote for a savepoint alone: they have copies now. */
  async #removeFiles(p: PendingCheckpoint): Promise<void> {
    const own = (ref: FileRef): boolean => ref.checkpoint === p.id;
    for (const ref of [...p.acks.values()].flatMap(a => a.metadata.files).filter(own)) await this.#storage.removeStateFile(ref).catch(() => undefined); // a leftover goes at the next start
  }

  #end(snapshot: Snapshot, p: PendingCheckpoint, completed: boolean): void {
    this.#current = null;
    snapshot.release?.().catch(() => undefined); // what is left goes at the next start
    this.#history.end(p.row, this.#job.settings.checkpoint_history);
    if (completed) this.#job.notifyCompleted(p.id);
    else this.#job.notifyAborted(p.id);
    this.#job.checkpointEnded(p.row, p.epoch);
    this.#next();
  }

  #fail(snapshot: Snapshot, reason: Parameters<PendingCheckpoint['failed']>[0], message: string, error: SqlError | null = null): void {
    const p = snapshot.pending;
    if (this.#current !== snapshot || p === null) return;
    p.failed(reason, message, this.#env.now());
    const what = snapshot.place === null ? 'last checkpoint' : 'savepoint';
    snapshot.reject(error !== null && error.code !== 'XX000' ? error : new SqlError(reason === 'CHECKPOINT_EXPIRED' ? '57014' : '58000', `the ${what} of job "${this.#job.name}" ${p.row.status}`, { detail: `${reason}: ${message}` }));
    this.#end(snapshot, p, false);
  }

  #giveUp(snapshot: Snapshot, error: SqlError): void {
    this.#waiting = this.#waiting.filter(s => s !== snapshot);
    if (this.#current === snapshot) this.#fail(snapshot, 'CHECKPOINT_COORDINATOR_SUSPEND', error.message, error);
    else snapshot.reject(error);
  }

  /** The attempt is over. */
  stop(message: string): void {
    const error = new SqlError('55000', `job "${this.#job.name}" took no savepoint: ${message}`);
    this.#stopped = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const s of waiting) s.reject(error);
    if (this.#current !== null) this.#fail(this.#current, 'JOB_FAILOVER_REGION', message, error);
  }

  /** Something waits for its barrier or its files. */
  get busy(): boolean { return this.#current !== null || this.#waiting.length > 0; }
}
