/**
 * One job on the main thread: deploys its tasks to the pool, injects barriers, publishes epochs, takes checkpoints through its coordinator,
 * and starts again from the newest usable checkpoint when a task fails. Every deployment is an attempt; what comes from an older one is ignored.
 * Barriers and epochs: epochs.ts.
 */
import { writeSavepoint } from '../../storage/checkpoint/folder.js';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { faultPoint } from '../../storage/faults.js';
import { jobStatePath } from '../../storage/datadir.js';
import type { Kv, KvOpener } from '../../storage/kv.js';
import type { Env, Timer } from '../../types/env.js';
import { fromErrorData, SqlError, toErrorData } from '../../types/error.js';
import type { MaterializeNode, Plan, ViewNode } from '../../types/plan.js';
import type { CheckpointRow, JobInfo, JobSpec, JobStatus, RestoreSource, RestoreEvent, SubscriptionEvent } from '../engine.js';
import type { Pool } from '../pool.js';
import type { CheckpointAck, DeploySpec, EpochPassed, MovedSpec, Pin, PinSpec, TaskRef } from '../protocol.js';
import { withSecrets } from '../secrets.js';
import { cutPlan, type Fragment, workerOf } from '../task/fragment.js';
import type { PastSpec } from '../task/past.js';
import { onAbort } from './abort.js';
import { CheckpointCoordinator } from './coordinator.js';
import type { History } from './history.js';
import { isFailed, noCheckpoint, nothingToRead, restartingAgain, standsStill, subscriptionEnded } from './joberrors.js';
import { JobReads, type ViewRead } from './jobreads.js';
import { JobSubscriptions } from './jobsubscriptions.js';
import { JobStorage, type JobStorageDeps } from './jobstorage.js';
import { Epochs, type EpochsJob } from './epochs.js';
import { isFailureReason } from './failures.js';
import { pastCheckpoint } from './past.js';
import { newerSavepoint, type OwnSavepoint } from './newersavepoint.js';
import { placeTasks } from './placement.js';
import { isUserError, restartStrategy, type RestartStrategy } from './restart.js';
import { deleteClaimed, restoreStart } from './restore.js';
import { Snapshots, type SavepointPlace } from './savepoint.js';
import { SeqWaiters } from './seqwaiters.js';
import { SubscriptionBuffer } from './subscriptions.js';
import { UsableCheckpoints, wholeEpochs } from './usable.js';

export interface JobDeps extends JobStorageDeps {
  readonly pool: Pool;
  readonly kvs: KvOpener;
  readonly env: Env;
  readonly history: History;
  readonly serverId: string;
  lastSeq(): number;
  /** Bytes for the state of a job that names none. */
  fairShare(): number;
  /** Its tasks have their state and are about to begin. */
  together(): Promise<void>;
  statusChanged(job: Job, status: JobStatus, failure: SqlError | null): void;
  checkpointEnded(job: Job, row: CheckpointRow): void;
  /** Its newest complete savepoint of this server. */
  newestSavepoint?(jobId: number): OwnSavepoint | null;
  /** `beginsWith` of all jobs. */
  restoredFrom?(): readonly string[];
  /** A folder that the job had claimed is deleted. */
  claimDeleted?(path: string): void;
  restored(event: RestoreEvent): void;
  nextId(): number;
}

/** A checkpoint whose files turn out damaged is left out at the next attempt; so many are tried. */
const RESTORE_ATTEMPTS_MAX = 100;
/** A job whose tasks ended worker threads so often, since the server started, is failed. */
const WORKER_KILLS_MAX = 3;

export class Job {
  readonly jobId: number;
  readonly name: string;
  readonly createdMs: number;
  #settings: JobSpec['settings'];
  plan: Plan;
  status: JobStatus;
  failure: SqlError | null = null;
  restarts = 0;
  startedMs: number | null = null;
  finishedMs: number | null = null;
  readonly storage: JobStorage;
  readonly #deps: JobDeps;
  #strategy: RestartStrategy;
  readonly #usable: UsableCheckpoints;
  /** Where its state comes from while it has no checkpoint of its own. */
  readonly #source: RestoreSource | null;
  #attempt = 0;
  #workersKilled = 0;
  /** Times it failed, since the server started. */
  #failures = 0;
  #fragments: Fragment[] = [];
  #workers: number[] = [];
  #totalTasks = 0;
  #coordinator: CheckpointCoordinator | null = null;
  #snapshots: Snapshots | null = null;
  readonly #epochs: Epochs;
  readonly #reads: JobReads;
  readonly #subscriptions = new JobSubscriptions();
  readonly #waiters = new SeqWaiters();
  readonly #rows = new Map<string, { in: number; out: number }>();
  #restartTimer: Timer | null = null;
  #running: Promise<void> = Promise.resolve();
  #deployed = false;
  #dropped = false;
  /** Local state may be torn: rebuilt from the checkpoint's files at the next attempt. */
  #localSuspect = false;
  /** Held open while workers have the job's LevelDB open: see openLevelDb. */
  #stateStore: Kv | null = null;

  constructor(spec: JobSpec, deps: JobDeps) {
    this.jobId = spec.jobId;
    this.name = spec.name;
    this.createdMs = spec.createdMs;
    this.#settings = spec.settings;
    this.plan = spec.plan;
    this.status = spec.status;
    this.storage = new JobStorage(this, deps, spec.status !== 'created');
    this.#deps = deps;
    this.#source = spec.restore ?? null;
    this.#strategy = restartStrategy(spec.settings);
    this.#reads = new JobReads({ pool: deps.pool, nextId: () => deps.nextId(), workersOf: nodeId => this.#workersOf(nodeId) });
    this.#epochs = new Epochs(this.#asEpochsSeeIt());
    this.#usable = new UsableCheckpoints({ jobId: spec.jobId, name: spec.name, history: deps.history, retained: () => this.settings.retained_checkpoints, warn: (message, fields) => { deps.log('warn', message, fields); },
      passedOver: error => { deps.history.failure({ jobId: spec.jobId, jobName: spec.name, timeMs: deps.env.now(), task: null, code: error.code, message: error.message, detail: null, restarts: this.restarts, action: 'older_checkpoint' }); } });
  }

  /** Of now: ALTER JOB replaces them, so nobody keeps a copy. */
  get settings(): JobSpec['settings'] { return this.#settings; }
  alter(changes: Partial<JobSpec['settings']>): void {
    this.#settings = { ...this.#settings, ...changes };
    // A strategy counts what happened; one whose parameters stay goes on counting.
    if (Object.keys(changes).some(name => name.startsWith('restart_'))) this.#strategy = restartStrategy(this.#settings);
    this.#coordinator?.schedule();
  }

  get readsLog(): boolean { return this.plan.nodes.some(n => n.op === 'table' || (n.op === 'source' && n.logId !== null)); }
  get dropped(): boolean { return this.#dropped; }
  get live(): boolean { return this.status === 'running' || this.status === 'restarting' || this.status === 'created'; }
  /** Log position below which the job reads nothing any more. */
  get neededSeq(): number {
    if (!this.readsLog || this.status === 'finished' || this.status === 'cancelled') return Infinity;
    return Math.min(this.#coordinator?.neededSeq ?? 0, this.#epochs.neededSeq);
  }

  // ---- deployment ----

  /** First start, or after the server's: from the newest usable checkpoint. */
  async start(): Promise<void> {
    if (this.status === 'created') {
      // Storage that takes nothing, or is another server's, is refused now, not at the first checkpoint.
      await this.storage.checkpoints().begin(this.#deps.serverId);
      this.storage.owned = true;
      await this.#serial(() => this.#deploy(false, null)).catch((e: unknown) => {
        if (!(e instanceof SqlError && e.code === 'XX001' && this.#source !== null)) throw e;
        throw new SqlError(e.code, e.message, { detail: e.detail, cause: e, hint: 'A running job deletes its older checkpoints (retained_checkpoints), this one perhaps meanwhile: restore its newest one, or a savepoint of it.' });
      });
      return;
    }
    if (this.status === 'cancelled') {
      if (this.settings.externalized_checkpoints === 'delete_on_cancellation') this.#deps.history.retainedAre(this.jobId, [], this.settings.checkpoint_history);
      return;
    }
    if (this.status === 'running') this.status = 'restarting';
    const last = this.status === 'failed' ? this.#deps.history.lastFailure(this.jobId) : undefined;
    if (last !== undefined) this.failure = new SqlError(last.code, last.message, last.detail === null ? {} : { detail: last.detail });
    // The server opens whatever has become of one job's storage.
    const before = this.#failures;
    try {
      await this.#serial(() => this.#deploy(!this.live, null));
    } catch (e) {
      const error = fromErrorData(toErrorData(e));
      if (!this.live) { this.#deps.log('error', `job "${this.name}" could not be opened for reading`, { job: this.name, reason: error.message }); return; }
      if (this.#failures > before) return;
      this.#deployed = true;
      this.fail(error, null);
    }
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#running.then(work);
    this.#running = result.then(() => undefined, () => undefined);
    return result;
  }

  #setStatus(status: JobStatus, failure: SqlError | null): void {
    this.status = status;
    this.failure = failure;
    const now = this.#deps.env.now();
    if (status === 'running') this.startedMs = now;
    if (status === 'finished' || status === 'failed' || status === 'cancelled') this.finishedMs = now;
    this.#deps.statusChanged(this, status, failure);
  }

  async #deploy(readOnly: boolean, freshNodes: readonly number[] | null): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await this.#deployOnce(readOnly, freshNodes);
        return;
      } catch (e) {
        // A file turns out damaged when it is read: the next older checkpoint.
        if (!(e instanceof SqlError) || tries > RESTORE_ATTEMPTS_MAX || this.#restoring === null || !this.#usable.skips(this.#restoring, this.storage.checkpoints().path(this.#restoring), e)) {
          if (readOnly) this.#notOpened(fromErrorData(toErrorData(e)));
          throw e;
        }
      }
    }
  }

  #restoring: number | null = null;
  /** Why what does not run could not be opened for reading: there are no tasks to read from, which is not the same as no rows. The next read tries again. */
  #unopened: SqlError | null = null;
  #notOpened(error: SqlError): void {
    this.#unopened = error;
    this.#reads.rejectAll(nothingToRead(this.name, error));
  }
  /** No checkpoint is usable: there is nothing to go on from, and nothing to read. */
  #nothingUsable: SqlError | null = null;

  async #deployOnce(readOnly: boolean, freshNodes: readonly number[] | null): Promise<void> {
    const { pool, env, history } = this.#deps;
    await this.#undeploy();
    this.#restoring = null;
    this.#nothingUsable = null;
    this.#unopened = null;
    if (this.#localSuspect || !this.settings.local_recovery) {
      // A write to LevelDB failed: what followed it may be lost in silence. The checkpoint's files are whole.
      await this.#deps.files.removeDirectory(jobStatePath(this.#deps.dataDir, this.jobId));
      this.#localSuspect = false;
    }
    const attempt = ++this.#attempt;
    if (faultPoint !== null) await faultPoint('job.restore', this.name);
    const location = this.storage.location();
    const storage = this.storage.checkpoints(location);
    const usable = await this.#usable.choose(storage);
    this.storage.owned = false;
    storage.checkOwner(usable.stored, this.#deps.serverId);
    this.storage.owned = true;
    const { chosen, retained, stored, lost } = readOnly ? wholeEpochs(usable, this.name) : usable;
    const newer = readOnly || this.settings.prefer_checkpoint_for_recovery ? null : await newerSavepoint(this.#deps.newestSavepoint?.(this.jobId) ?? null, chosen?.checkpointId ?? 0, { jobId: this.jobId, serverId: this.#deps.serverId },
      root => this.storage.folder(root), (path, reason) => { this.#deps.log('warn', `the savepoint of job "${this.name}" cannot be used, its checkpoint is`, { job: this.name, path, reason }); });
    this.#restoring = newer === null ? chosen?.checkpointId ?? null : null;
    // No rows would be taken for its result.
    this.#nothingUsable = lost ?? (this.status === 'failed' && chosen === null && this.#source === null && readOnly ? noCheckpoint(this.name, this.failure) : null);
    if (this.#nothingUsable !== null) throw this.#nothingUsable;
    if (chosen !== null && !readOnly) await storage.secure(chosen.checkpointId);
    // Of a job that is only read, too: what its tasks had merged after the last checkpoint. There it can wait.
    await storage.cleanUp(stored).catch((e: unknown) => { if (!readOnly) throw e; });
    history.retainedAre(this.jobId, retained, this.settings.checkpoint_history);
    if ((newer ?? chosen) !== null && !readOnly) history.restored(this.jobId);
    const source = this.#source;
    const begun = chosen !== null || source === null ? null : await restoreStart(source, root => this.storage.folder(root));
    const moved: MovedSpec | null = newer !== null ? { from: this.storage.placeOf(newer.path), nodes: newer.plan.nodes.map(n => n.id) }
      : begun !== null && source !== null ? { from: this.storage.placeOf(source.path), nodes: begun.nodes }
      : chosen === null || chosen.parallelism === this.settings.parallelism ? null : { from: null, nodes: chosen.plan.nodes.map(n => n.id) };
    // Of other tasks' layout.
    if (moved !== null) await this.#deps.files.removeDirectory(jobStatePath(this.#deps.dataDir, this.jobId));
    const from = newer ?? chosen ?? begun;
    const whole = newer ?? chosen;
    this.#fragments = cutPlan(this.plan, this.settings.parallelism);
    const { byWorker, totalTasks } = placeTasks(this.jobId, this.#fragments, pool);
    this.#totalTasks = totalTasks;
    this.#workers = [...byWorker.keys()];
    this.#epochs.begin(from?.epoch ?? 0);
    const stateMemory = (this.settings.state_memory === 0 ? this.#deps.fairShare() : this.settings.state_memory) / this.#workers.length;
    const known = new Set(whole?.plan.nodes.map(n => n.id) ?? []);
    this.#deployed = true;
    if (this.settings.state_backend !== 'memory') this.#stateStore = await this.#deps.kvs.open(jobStatePath(this.#deps.dataDir, this.jobId));
    await Promise.all([...byWorker].map(async ([worker, { tasks, ports }]) => {
      const spec: DeploySpec = {
        jobId: this.jobId, attempt, name: this.name, plan: withSecrets(this.plan, this.#deps.secrets), settings: this.settings, stateMemory, checkpoints: location,
        restore: from === null ? null : { checkpointId: from.checkpointId, tasks: from.tasks, ...(moved === null ? {} : { moved }) },
        freshNodes: freshNodes ?? (whole === null ? [] : this.plan.nodes.filter(n => !known.has(n.id)).map(n => n.id)), epoch: this.#epochs.epoch, nowUs: env.nowUs(), readOnly, tasks, ports,
      };
      // Ports are transferred like buffers; the types of Rpc name buffers only.
      await pool.rpc(worker).call('deploy', spec, ports.map(p => p.port) as unknown as ArrayBuffer[]);
    }));
    if (!readOnly) await this.#deps.together();
    // Failed while it was deployed (a worker died): another attempt is due.
    if (this.#attempt !== attempt) throw this.failure ?? new SqlError('57014', `job "${this.name}" was stopped while it was deployed`);
    const coordinator = this.#coordinator = new CheckpointCoordinator(this.#coordinated(), storage, history, env, retained, from?.checkpointId ?? 0);
    if (readOnly) { this.#serveReadOnly(); return; }
    this.#snapshots = new Snapshots(this.#coordinated(), coordinator, storage, history, env);
    // Before its sources begin: a task that fails at once must find the job running.
    this.#setStatus('running', null);
    await Promise.all(this.#workers.map(worker => pool.rpc(worker).call('start', { jobId: this.jobId, attempt })));
    if (whole !== null) this.#deps.restored({ jobId: this.jobId, jobName: this.name, checkpointId: whole.checkpointId, kind: whole.kind, restoreMs: env.now(), restarts: this.restarts });
    this.#coordinator.schedule();
    this.requestBarrier(true);
  }

  /** The job as its coordinator sees it. */
  #coordinated(): ConstructorParameters<typeof CheckpointCoordinator>[0] {
    const finished = (): boolean => this.status === 'finished' || this.#finishing === this.#attempt;
    const settings = (): JobSpec['settings'] => this.#settings;
    const each = (method: 'completed' | 'aborted', checkpointId: number): void => {
      for (const worker of this.#workers) this.#deps.pool.rpc(worker).notify(method, { jobId: this.jobId, attempt: this.#attempt, checkpointId });
    };
    // A coordinator lives as long as one deployment: plan and tasks are those of now.
    return {
      jobId: this.jobId, name: this.name, plan: this.plan, totalTasks: this.#totalTasks, serverId: this.#deps.serverId,
      get settings() { return settings(); },
      requestBarrier: () => { this.requestBarrier(true); },
      sendMidEpoch: (checkpoint, midEpoch) => this.#epochs.sendMidEpoch(checkpoint, midEpoch),
      notifyCompleted: id => { each('completed', id); },
      notifyAborted: id => { each('aborted', id); },
      failOver: error => { this.fail(error, null); },
      checkpointEnded: (row, epoch) => { this.#checkpointEnded(row, epoch); },
      restoredFrom: () => this.#deps.restoredFrom?.() ?? [],
      get finished() { return finished(); },
    };
  }

  /** What all tasks acknowledged may still complete; the tasks are stopped afterwards. */
  async #endCoordinator(): Promise<void> {
    const coordinator = this.#coordinator;
    this.#coordinator = null;
    if (coordinator === null) return;
    const message = 'its tasks were stopped';
    coordinator.abort('CHECKPOINT_COORDINATOR_SUSPEND', message);
    await coordinator.settled('CHECKPOINT_COORDINATOR_SUSPEND', message);
  }

  async #undeploy(): Promise<void> {
    this.#epochs.stopClock();
    this.#snapshots?.stop('its tasks were stopped');
    this.#snapshots = null;
    await this.#endCoordinator();
    this.#epochs.end();
    if (!this.#deployed) return;
    this.#deployed = false;
    const attempt = this.#attempt;
    // A worker that died has nothing to stop.
    await Promise.all(this.#workers.map(worker => this.#deps.pool.rpc(worker).call('stop', { jobId: this.jobId, attempt }).catch(() => undefined)));
    await this.#stateStore?.close();
    this.#stateStore = null;
  }

  // ---- barriers and epochs ----

  /** The job as its barriers need it; tasks, coordinator and settings are those of now. */
  #asEpochsSeeIt(): EpochsJob {
    const job = (): Job => this;
    const { env, pool, lastSeq } = this.#deps;
    return {
      env, reads: this.#reads, subscriptions: this.#subscriptions, waiters: this.#waiters, lastSeq: () => lastSeq(),
      get live() { return job().live; },
      get barrierInterval() { return job().settings.barrier_interval; },
      get totalTasks() { return job().#totalTasks; },
      get looksUp() { return job().plan.nodes.some(n => n.op === 'lookup'); },
      get coordinator() { return job().#coordinator; },
      get snapshots() { return job().#snapshots; },
      send: injected => { for (const worker of this.#workers) pool.rpc(worker).notify('barrier', { jobId: this.jobId, attempt: this.#attempt, injected }); },
    };
  }
  requestBarrier(urgent: boolean): void { this.#epochs.request(urgent); }

  #current(ref: { readonly attempt: number }): boolean { return ref.attempt === this.#attempt && this.#deployed; }

  active(attempt: number): void { if (this.#current({ attempt })) this.#epochs.active(); }
  logAdvanced(): void {
    if (!this.readsLog || !this.live) return;
    this.#coordinator?.changed();
    this.requestBarrier(false);
  }
  passed(p: EpochPassed): void {
    if (!this.#current(p)) return;
    this.#rows.set(p.task, { in: p.rowsIn, out: p.rowsOut });
    this.#epochs.passed(p);
  }

  #workersOf(nodeId: number): number[] {
    const f = this.#fragments.find(x => x.nodes.some(n => n.id === nodeId));
    if (f === undefined) throw new SqlError('XX000', `internal error: node ${nodeId} is in no task of job "${this.name}"`);
    return [...new Set(Array.from({ length: f.parallelism }, (_, s) => workerOf(this.jobId, s, this.#deps.pool.size)))];
  }

  // ---- checkpoints, end, failure ----

  acknowledged(ack: CheckpointAck): void { if (this.#current(ack) && this.#snapshots?.acknowledged(ack) !== true) this.#coordinator?.acknowledged(ack); }
  declined(ref: TaskRef & { checkpointId: number; reason: string; error: Parameters<typeof fromErrorData>[0] }): void {
    if (!this.#current(ref) || this.#snapshots?.declined(ref.checkpointId, `task ${ref.task}: ${ref.error.message}`) === true) return;
    this.#coordinator?.declined(ref.checkpointId, isFailureReason(ref.reason) ? ref.reason : 'CHECKPOINT_DECLINED', `task ${ref.task}: ${ref.error.message}`);
  }
  wantCheckpoint(attempt: number): void { if (this.#current({ attempt })) this.#coordinator?.wanted(); }
  /** A task's inputs ended: the barrier that follows tells whether all have. */
  taskEnded(ref: TaskRef): void { if (this.#current(ref)) this.requestBarrier(true); }

  /** Resolves when all that the job was given before is in a completed checkpoint; null: a finished job's last one holds it. `wholeEpoch`: aligned, at the end of an epoch, whatever the settings. */
  async checkpoint(signal: AbortSignal, wholeEpoch = false): Promise<CheckpointRow | null> {
    if (this.status === 'finished') return null;
    // A view is being added to it, or dropped: its tasks come back with the new plan.
    for (let awaited: Promise<void> | null = null; this.status === 'running' && this.#coordinator === null && awaited !== this.#running;) {
      awaited = this.#running;
      await awaited;
    }
    const coordinator = this.#coordinator;
    if (coordinator === null || this.status !== 'running') throw new SqlError('55000', `job "${this.name}" is ${this.status}: it takes no checkpoint`);
    try {
      return await coordinator.next(signal, wholeEpoch);
    } catch (e) {
      if (coordinator === this.#coordinator || this.status !== 'running' || this.#dropped || signal.aborted) throw e;
      return this.checkpoint(signal, wholeEpoch);
    }
  }

  #checkpointEnded(row: CheckpointRow, epoch: number): void {
    this.#deps.checkpointEnded(this, row);
    if (row.kind === 'checkpoint' && row.status === 'completed') this.#deleteClaimed();
    // The last one is of the barrier at which everything had ended, or a later one: not the one that was in progress then.
    if (row.kind === 'checkpoint' && row.status === 'completed' && this.#epochs.endedAt > 0 && epoch >= this.#epochs.endedAt && this.#coordinator !== null) this.#finish();
  }

  /** A claimed folder goes as the job's own checkpoints do: when as many newer ones are there as are retained. */
  #deleteClaimed(): void {
    const source = this.#source;
    if (source?.claim !== true || this.#claimDone || (this.#coordinator?.retained.length ?? 0) < this.settings.retained_checkpoints) return;
    this.#claimDone = true;
    deleteClaimed(source, root => this.storage.folder(root)).then(() => { this.#deps.claimDeleted?.(source.path); }).catch((e: unknown) => {
      this.#deps.log('warn', `the claimed folder of job "${this.name}" could not be deleted`, { job: this.name, folder: source.path, reason: toErrorData(e).message });
    });
  }
  #claimDone = false;
  /** Path that the job would begin with again if it failed now; null once it has a checkpoint of its own. */
  get restoresFrom(): string | null { return this.#source !== null && this.#coordinator?.retained.length === 0 ? this.#source.path : null; }
  /** Path whose files it begins with, now or when it starts again: it has no checkpoint of its own. */
  get beginsWith(): string | null { return this.#source !== null && (this.live || this.status === 'failed') && (this.#coordinator?.retained.length ?? 0) === 0 ? this.#source.path : null; }
  get claims(): string | null { return this.#source?.claim === true ? this.#source.path : null; }

  /** Once sinks have committed what the last checkpoint brought: a finished job's sinks are not opened again. */
  #finish(): void {
    const attempt = this.#attempt;
    if (this.#finishing === attempt || this.status === 'finished') return;
    this.#finishing = attempt;
    if (!this.plan.nodes.some(n => n.op === 'sink')) { this.#finished(); return; }
    Promise.all(this.#workers.map(worker => this.#deps.pool.rpc(worker).call('committed', { jobId: this.jobId, attempt }))).then(
      () => { if (this.#current({ attempt }) && this.live) this.#finished(); },
      () => undefined); // its task or worker failed, which is told by itself: the next attempt commits and ends again
  }
  #finishing = 0;

  #finished(): void {
    this.#coordinator?.finish();
    this.#epochs.stopClock();
    this.#setStatus('finished', null);
    this.#waiters.resolveAll();
    this.#serveReadOnly();
  }

  /** A task failed, a worker died, or too many checkpoints did. `innocent`: another job's task ended the worker; no strategy counts that. */
  fail(cause: SqlError, task: string | null, innocent = false): void {
    if (!this.#deployed || !this.live || this.#dropped) return;
    const { env, history } = this.#deps;
    this.#failures++;
    const stuck = this.#stuck = !this.#epochs.publishedAny;
    const killer = this.#workersKilled >= WORKER_KILLS_MAX;
    const error = !killer ? cause : new SqlError(cause.code, `job "${this.name}" ended its worker ${this.#workersKilled} times: ${cause.message}`, {
      detail: cause.detail, cause, hint: 'It takes other jobs down with it, and is not started again. DROP it, and create it anew when the cause is mended.',
    });
    if (error.code.startsWith('53') || error.code === '58030') this.#localSuspect = true;
    const delay = killer || isUserError(error.code) || this.#nothingUsable !== null ? null : innocent ? 0 : this.#strategy.next(env.now(), env.random());
    history.failure({
      jobId: this.jobId, jobName: this.name, timeMs: env.now(), task, code: error.code, message: error.message, detail: error.detail ?? null, restarts: this.restarts, action: delay === null ? 'failed' : 'restarted',
    });
    this.#coordinator?.abort(delay === null ? 'JOB_FAILURE' : 'JOB_FAILOVER_REGION', error.message, task);
    const attempt = ++this.#attempt; // later messages of the failed attempt are ignored
    this.#deps.log('warn', `job "${this.name}" ${delay === null ? 'failed' : `restarts in ${delay} ms`}: ${error.message}`, { job: this.name, sqlstate: error.code, task, detail: error.detail });
    const gone = subscriptionEnded(this.name, delay === null ? 'failed' : 'restarted');
    if (delay === null) this.#subscriptions.endAll(gone);
    else this.#subscriptions.failAll(gone);
    this.#epochs.requeueReads();
    this.#setStatus(delay === null ? 'failed' : 'restarting', error);
    if (delay === null) this.#waiters.rejectAll(isFailed(this.name, error));
    if (this.#nothingUsable !== null) this.#reads.rejectAll(nothingToRead(this.name, this.#nothingUsable));
    else if (stuck && delay !== null) this.#reads.rejectAll(restartingAgain(this.name, error));
    void this.#serial(async () => {
      this.#attempt = attempt - 1; // stop what is deployed
      await this.#undeploy();
      this.#attempt = attempt;
      if (delay === null) await this.#deploy(true, null);
    }).catch((e: unknown) => { this.#deps.log('error', `job "${this.name}" could not be opened for reading`, { job: this.name, reason: toErrorData(e).message }); });
    if (delay !== null) this.#restartTimer = env.after(delay, () => { void this.#restart(); });
  }

  async #restart(): Promise<void> {
    this.#restartTimer = null;
    if (this.#dropped || this.status !== 'restarting') return;
    this.restarts++;
    await this.#goOn();
  }

  /** From its newest checkpoint; when that fails, its restart strategy says what comes. */
  async #goOn(): Promise<void> {
    const before = this.#failures;
    try {
      await this.#serial(() => this.#deploy(false, null));
    } catch (e) {
      // A worker that died in the meantime has failed the job already.
      if (this.#failures > before) return;
      this.#deployed = true;
      this.fail(fromErrorData(toErrorData(e)), null);
    }
  }

  /** It failed, and no epoch had been published since it last started: it may never go on by itself, so readers are told in place of waiting. */
  #stuck = false;
  // ---- savepoints, stopping, going on ----

  /** Of the running job, or of the newest checkpoint of one that does not run. */
  async savepoint(place: SavepointPlace, signal: AbortSignal): Promise<CheckpointMetadata> {
    if (this.#snapshots !== null && this.status === 'running') return (await this.#snapshots.take(place, signal)).metadata;
    if (this.live) throw new SqlError('55000', `job "${this.name}" is ${this.status}: it takes no savepoint now`);
    return this.#savepointOfCheckpoint(place);
  }

  async #savepointOfCheckpoint(place: SavepointPlace): Promise<CheckpointMetadata> {
    const storage = this.storage.checkpoints();
    const { chosen } = await this.#usable.choose(storage);
    if (chosen === null) throw new SqlError('55000', `job "${this.name}" is ${this.status} and has no checkpoint that a savepoint could be made of`);
    return writeSavepoint(storage, chosen, place.store, place.name);
  }

  /**
   * A last checkpoint, after which sources give nothing, and its copy when `place` is given; then the tasks go. 'finished': for good; 'paused': until
   * `resume`. Views stay readable. When any of it fails the job goes on from its newest checkpoint.
   */
  async stopWith(status: 'finished' | 'paused', place: SavepointPlace | null, signal: AbortSignal): Promise<CheckpointMetadata> {
    const snapshots = this.#snapshots;
    if (snapshots === null || this.status !== 'running') throw new SqlError('55000', `job "${this.name}" is ${this.status}, not running`);
    const attempt = this.#attempt;
    try {
      const { metadata } = await snapshots.take(null, signal);
      if (place !== null) await writeSavepoint(this.storage.checkpoints(), metadata, place.store, place.name);
      // What sinks prepared is committed before anybody hears that the job has stopped.
      await Promise.all(this.#workers.map(worker => this.#deps.pool.rpc(worker).call('committed', { jobId: this.jobId, attempt })));
      if (this.#attempt === attempt && this.#hasFinished()) {
        // Its sources came to their end meanwhile.
        if (status === 'finished') return metadata;
        throw new SqlError('55000', `job "${this.name}" is finished`);
      }
      if (this.#attempt !== attempt || this.status !== 'running') throw new SqlError('55000', `job "${this.name}" failed while it was being stopped`, { detail: (this.failure as SqlError | null)?.message });
      this.#ended(new SqlError('55000', `job "${this.name}" was ${status === 'paused' ? 'paused' : 'stopped'}`));
      this.#setStatus(status, null);
      await this.#serial(() => this.#deploy(true, null));
      return metadata;
    } catch (e) {
      if (this.#attempt === attempt && this.#epochs.draining && this.status === 'running') {
        // Its sources stand still: they go on from its newest checkpoint.
        this.#subscriptions.failAll(subscriptionEnded(this.name, 'restarted'));
        await this.#goOn();
      }
      throw e;
    }
  }

  #hasFinished(): boolean { return this.status === 'finished'; }

  /** Subscriptions end; reads go on with the views as they are left; who waits for more is told. */
  #ended(error: SqlError): void {
    this.#subscriptions.endAll(error);
    this.#epochs.requeueReads();
    this.#waiters.rejectAll(error);
  }

  /** Goes on where it was paused, or from the newest usable checkpoint when it failed; with another parallelism its state is spread anew. */
  async resume(parallelism: number | undefined): Promise<void> {
    if (this.status !== 'paused' && this.status !== 'failed') throw new SqlError('55000', `job "${this.name}" is ${this.status}: only a paused or failed job is resumed`);
    const before = this.#settings;
    if (parallelism !== undefined) this.#settings = { ...before, parallelism };
    if (this.status === 'failed') {
      // Somebody looked after it: files may be back, and its restart strategy begins anew.
      this.#usable.forget();
      this.#strategy = restartStrategy(this.#settings);
      this.#workersKilled = 0;
    }
    try {
      await this.#serial(() => this.#deploy(false, null));
    } catch (e) {
      this.#settings = before;
      await this.#serial(() => this.#deploy(true, null)).catch(() => undefined);
      throw e;
    }
  }

  // ---- growing, shrinking, ending ----

  /** Runs the new plan from a checkpoint taken now; nodes the checkpoint does not know are filled from the views they read. */
  async replacePlan(plan: Plan, fresh: boolean): Promise<void> {
    if (this.status === 'running') await this.checkpoint(new AbortController().signal, true);
    const before = this.plan;
    const known = new Set(before.nodes.map(n => n.id));
    const wasLive = this.live;
    this.plan = plan;
    try {
      await this.#serial(() => this.#deploy(!wasLive && !fresh, fresh ? plan.nodes.filter(n => !known.has(n.id)).map(n => n.id) : []));
    } catch (e) {
      this.plan = before;
      if (wasLive) await this.#goOn();
      else await this.#serial(() => this.#deploy(true, null)).catch(() => undefined);
      throw e;
    }
  }

  async stop(): Promise<void> {
    this.#restartTimer?.cancel();
    await this.#serial(() => this.#undeploy());
  }

  async drop(): Promise<void> {
    this.#dropped = true;
    const gone = new SqlError('42P01', `job "${this.name}" was dropped`);
    this.#subscriptions.endAll(gone);
    this.#epochs.rejectReads(gone);
    this.#reads.rejectAll(gone);
    this.#waiters.rejectAll(gone);
    await this.stop();
    // A view that is dropped ends its job as CANCEL does: what is retained then is for a restore.
    if (this.settings.externalized_checkpoints === 'delete_on_cancellation' || this.#deps.history.completedAfter(this.jobId, 0).length === 0) await this.storage.drop();
    else await this.storage.retain();
  }

  async cancel(): Promise<void> {
    if (!this.live && this.status !== 'paused') throw new SqlError('55000', `job "${this.name}" is ${this.status} already`);
    await this.stop();
    if (this.settings.externalized_checkpoints === 'delete_on_cancellation') {
      await this.storage.drop();
      this.#deps.history.retainedAre(this.jobId, [], this.settings.checkpoint_history);
    } else await this.storage.retain();
    this.#setStatus('cancelled', null);
    this.#waiters.rejectAll(standsStill(this.name, 'cancelled'));
    const cancelled = new SqlError('55000', `job "${this.name}" was cancelled`);
    this.#reads.rejectAll(cancelled);
    this.#subscriptions.endAll(cancelled);
  }

  // ---- reading ----

  /** The checkpoint that the node reads, for the worker of the query. */
  async past(node: ViewNode): Promise<PastSpec> {
    return { place: { jobId: this.jobId, location: this.storage.location(), dataDir: this.#deps.dataDir, localRecovery: this.settings.local_recovery }, metadata: await pastCheckpoint(this.name, this.storage.checkpoints(), node) };
  }

  /** Readers of the views, all opened at one epoch: workers and pins of the parts of each. */
  pin(views: readonly ViewRead[], signal: AbortSignal): Promise<readonly (readonly Pin[])[]> {
    if (this.status === 'cancelled') return Promise.reject(new SqlError('55000', `job "${this.name}" is cancelled: its views cannot be read`, { hint: 'DROP the view and create it again.' }));
    if (this.#nothingUsable !== null && !this.live) return Promise.reject(nothingToRead(this.name, this.#nothingUsable));
    if (this.#stuck && this.status === 'restarting' && this.failure !== null) return Promise.reject(restartingAgain(this.name, this.failure));
    if (this.#unopened !== null && !this.live) return this.#reopen().then(() => this.pin(views, signal));
    return this.#reads.add(views, signal, () => {
      if (this.live) this.requestBarrier(true);
      else this.#serveReadOnly();
    });
  }

  /** Its storage was away when it was to be opened for reading, and may be back. Reads that come together try once. */
  #reopen(): Promise<void> {
    return this.#reopening ??= this.#serial(async () => {
      if (this.#unopened === null || this.live || this.#dropped) return;
      await this.#deploy(true, null);
    }).catch((e: unknown) => { throw nothingToRead(this.name, fromErrorData(toErrorData(e))); }).finally(() => { this.#reopening = null; });
  }
  #reopening: Promise<void> | null = null;

  /**
   * A read that needs no barrier: everything is in one worker, and nothing is known to have gone through since the last barrier, which held the
   * table log to its end. The worker knows for sure, and refuses otherwise.
   */
  quietPin(views: readonly ViewRead[]): { readonly worker: number; readonly attempt: number; readonly pins: readonly PinSpec[] } | null {
    if (this.status !== 'running' || this.#coordinator === null || this.#workers.length !== 1) return null;
    // With an idle timeout a barrier may bring results though nothing came.
    if (this.settings.idle_source_timeout > 0) return null;
    if (!this.#epochs.isQuiet(this.readsLog ? this.#deps.lastSeq() : 0)) return null;
    return { worker: this.#workers[0], attempt: this.#attempt, pins: this.#reads.pinsFor(views) };
  }

  /** Finished and failed jobs have no barriers: readers are opened where the job stopped. */
  #serveReadOnly(): void {
    const reads = this.#reads.take();
    if (reads.length === 0) return;
    void this.#serial(async () => {
      for (const r of reads) {
        try {
          // They came while it was being opened.
          if (this.#unopened !== null) throw nothingToRead(this.name, this.#unopened);
          await Promise.all(this.#workers.map(worker => this.#deps.pool.rpc(worker).call('pin', { jobId: this.jobId, attempt: this.#attempt, pins: r.pins })));
          this.#reads.resolve(r);
        } catch (e) {
          r.reject(e);
        }
      }
    });
  }

  subscribe(nodeId: number, snapshot: boolean, signal: AbortSignal): AsyncIterable<SubscriptionEvent> {
    const node = this.plan.nodes.find((n): n is MaterializeNode => n.id === nodeId && n.op === 'materialize');
    if (node === undefined) throw new SqlError('XX000', `internal error: no view at node ${nodeId}`);
    if (this.status === 'cancelled' || this.status === 'failed' || this.status === 'paused' || this.status === 'finished') {
      throw new SqlError('55000', `job "${this.name}" is ${this.status}: nothing changes in its views`, { hint: `SELECT * FROM ${node.relationName};` });
    }
    const subscriptionId = this.#deps.nextId();
    const fragment = this.#fragments.find(f => f.nodes.some(n => n.id === nodeId));
    const parts = snapshot ? fragment?.parallelism ?? 1 : 0;
    const buffer = new SubscriptionBuffer(node.columns.map(c => c.type), parts, () => {
      this.#subscriptions.remove(subscriptionId);
      for (const worker of this.#workers) this.#deps.pool.rpc(worker).notify('unsubscribe', { subscriptionId });
    });
    onAbort(signal, reason => { buffer.fail(reason); });
    this.#subscriptions.add({ nodeId, subscriptionId, snapshot }, buffer);
    if (this.live) this.requestBarrier(true);
    return buffer.events;
  }

  hasSubscription(id: number): boolean { return this.#subscriptions.has(id); }
  taskFailed(ref: TaskRef, error: SqlError): void { if (this.#current(ref)) this.fail(error, ref.task); }
  subscriptionBatch(subscriptionId: number, epoch: number, snapshot: boolean, batch: Parameters<SubscriptionBuffer['receive']>[2]): void {
    this.#subscriptions.receive(subscriptionId, epoch, snapshot, batch, this.#epochs.published);
  }
  subscriptionFailed(subscriptionId: number, error: SqlError): void { this.#subscriptions.fail(subscriptionId, error); }

  /** Resolves at an epoch after now that holds the log up to `seq`, with every table wholly read. */
  reached(seq: number, signal: AbortSignal): Promise<void> {
    if (this.status === 'finished' && !this.readsLog) return Promise.resolve();
    if (this.status === 'failed' && this.failure !== null) return Promise.reject(isFailed(this.name, this.failure));
    if (!this.live) return Promise.reject(standsStill(this.name, this.status));
    const reached = this.#waiters.add(seq, this.#epochs.latest, signal);
    this.requestBarrier(true);
    return reached;
  }

  /** `culprit`: the job whose task was running when the worker died, null = not known. */
  workerLost(worker: number, error: SqlError, culprit: number | null = null): void {
    if (!this.#deployed || !this.#workers.includes(worker)) return;
    if (culprit === this.jobId) this.#workersKilled++;
    if (this.live) this.fail(error, null, culprit !== null && culprit !== this.jobId);
    else void this.#serial(() => this.#deploy(true, null)).catch(() => undefined);
  }

  info(): JobInfo {
    let rowsIn = 0;
    let rowsOut = 0;
    for (const r of this.#rows.values()) { rowsIn += r.in; rowsOut += r.out; }
    return {
      jobId: this.jobId, name: this.name, status: this.status, parallelism: this.settings.parallelism, createdMs: this.createdMs, startedMs: this.startedMs, finishedMs: this.finishedMs, restarts: this.restarts,
      rowsIn, rowsOut, lastCheckpointId: (this.#coordinator?.lastCompleted ?? 0) === 0 ? null : this.#coordinator?.lastCompleted ?? null, failure: this.failure?.message ?? null, epoch: this.#epochs.published,
    };
  }
}
