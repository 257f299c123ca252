/**
 * The engine: jobs by id, batch queries, and the pool under them. Messages from workers come in here and go to the job or query they name.
 */
import { randomUUID } from 'node:crypto';
import type { CatalogStore } from '../../storage/catalogstore.js';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { jobStatePath } from '../../storage/datadir.js';
import { realFiles, type FileSystem } from '../../storage/filesystem.js';
import { armFaults, Faults, type FaultPlan } from '../../storage/faults.js';
import { faultyFiles } from '../../storage/faultyfiles.js';
import type { FileStore } from '../../storage/filestore.js';
import { openStore, storageLocation, type S3Settings } from '../../storage/location.js';
import { levelDb } from '../../storage/leveldb.js';
import type { Env } from '../../types/env.js';
import { systemEnv } from '../../types/env.js';
import { fromErrorData, SqlError, toErrorData } from '../../types/error.js';
import type { Plan, RowsNode, ViewNode, PlanNode } from '../../types/plan.js';
import type { Secrets } from '../../types/secretref.js';
import type { JobSettings } from '../../types/settings.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import type { CheckpointRow, Engine, RestoreOptions, RestoreRow, SavepointRow, JobEvents, JobInfo, JobSpec, QueryOptions, QueryResult, SubscriptionEvent } from '../engine.js';
import { WorkerPool } from '../pool.js';
import type { MainMethods, Pin, QuerySpec, TaskInfos } from '../protocol.js';
import { Transfer, type Handlers } from '../rpc.js';
import { withSecrets } from '../secrets.js';
import { subplansOf } from '../subplan.js';
import { pastNodesOf, viewNodesOf } from '../task/query.js';
import { fromTransferable, toTransferable, type WireBatch } from '../vectors.js';
import { onAbort } from './abort.js';
import { checkpointContent, type CheckpointContent } from './checkpointcontent.js';
import { History } from './history.js';
import { Job, type JobDeps } from './job.js';
import type { ViewRead } from './jobreads.js';
import { retainedCheckpoint } from './past.js';
import { pointOf } from './pointread.js';
import { explainRestore, openRestorable, restorePlan } from './restore.js';
import type { SavepointPlace } from './savepoint.js';
import { Savepoints, wholePath } from './savepoints.js';
import { Queue } from './subscriptions.js';
import { Together } from './together.js';

export interface EngineLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface EngineOptions {
  readonly dataDir: string;
  readonly workers: number;
  /** Bytes for the state of all jobs. */
  readonly memoryLimit: number;
  /** Module that exports `connectors`, imported by each worker. */
  readonly connectorsModule: URL;
  /** Modules of users, by URL. */
  readonly extensions?: readonly string[];
  readonly log: EngineLog;
  readonly history: CatalogStore;
  /** Last committed sequence of the table log. */
  readonly lastSeq: () => number;
  readonly events: JobEvents;
  readonly env?: Env;
  readonly files?: FileSystem;
  /** Content of secrets, for s3:// storage and connectors. */
  readonly secrets?: Secrets;
  /** For tests: by which storage and the steps of checkpoints fail, in all threads. */
  readonly faults?: FaultPlan;
}

/** Ids of ephemeral jobs (EMIT CHANGES) begin here: they are in no catalog. */
const EPHEMERAL_FIRST = 1_000_000_000;
/** Jobs that memory_limit is shared among at least, so that the first one does not take all. */
const FAIR_SHARES_MIN = 4;
/** Access to s3:// by the environment alone. */
const LOCAL: S3Settings = { s3_endpoint: '', s3_region: '', s3_path_style: false, s3_secret: '' };
/** How long closing waits for the last checkpoints. */
const CLOSE_CHECKPOINT_MS = 30_000;

interface RunningQuery {
  readonly worker: number;
  readonly types: readonly SqlType[];
  readonly queue: Queue<Batch>;
  readonly pins: readonly Pin[];
  /** Begins anew, its readers opened at a barrier: the job was not quiet after all. */
  again(): void;
}

export async function createEngine(options: EngineOptions): Promise<Engine & { readonly pool: WorkerPool }> {
  const history = await History.open(options.history, e => { options.log.error({ reason: toErrorData(e).message }, 'history not written'); });
  const engine = new LocalEngine(options, history, await serverIdOf(options.history));
  await engine.recoverSavepoints();
  return engine;
}

/** Tells this server's table log from others': made once, kept in the catalog. */
async function serverIdOf(store: CatalogStore): Promise<string> {
  const known = store.get('server', 0) as { readonly id: string } | undefined;
  if (known !== undefined) return known.id;
  const id = randomUUID();
  await store.commit([{ kind: 'server', id: 0, value: { id } }]);
  return id;
}

class LocalEngine implements Engine {
  readonly pool: WorkerPool;
  readonly #options: EngineOptions;
  readonly #env: Env;
  readonly #files: FileSystem;
  readonly #history: History;
  readonly #savepoints: Savepoints;
  readonly #serverId: string;
  readonly #jobs = new Map<number, Job>();
  readonly #queries = new Map<number, RunningQuery>();
  #ids = 1;
  #ephemeral = EPHEMERAL_FIRST;
  #nextWorker = 0;
  #closed = false;

  constructor(options: EngineOptions, history: History, serverId: string) {
    this.#serverId = serverId;
    this.#options = options;
    this.#history = history;
    this.#savepoints = new Savepoints(options.history, options.env ?? systemEnv);
    this.#env = options.env ?? systemEnv;
    this.#files = options.files ?? realFiles;
    const { faults } = options;
    if (faults !== undefined) {
      const armed = new Faults(faults.rules, faults.hits);
      armFaults(armed);
      this.#files = faultyFiles(this.#files, armed);
    }
    this.pool = new WorkerPool(options.workers, { dataDir: options.dataDir, connectorsModule: options.connectorsModule.href, extensions: options.extensions ?? [], faults: faults ?? null }, {
      handlers: () => this.#handlers(),
      lost: (worker, error, jobId) => { this.#workerLost(worker, error, jobId); },
      noteError: e => { options.log.error({ reason: toErrorData(e).message, stack: toErrorData(e).stack }, 'a message could not be handled'); },
    });
  }

  #handlers(): Handlers<MainMethods> {
    const job = (ref: { readonly jobId: number }): Job | undefined => this.#jobs.get(ref.jobId);
    return {
      passed: p => { job(p)?.passed(p); },
      acknowledged: a => { job(a)?.acknowledged(a); },
      declined: d => { job(d)?.declined(d); },
      taskFailed: f => { job(f)?.taskFailed(f, fromErrorData(f.error)); },
      taskEnded: t => { job(t)?.taskEnded(t); },
      active: a => { job(a)?.active(a.attempt); },
      wantCheckpoint: w => { job(w)?.wantCheckpoint(w.attempt); },
      queryBatch: ({ queryId, batch }) => { const q = this.#queries.get(queryId); q?.queue.push(fromTransferable(q.types, batch)); },
      queryEnd: ({ queryId, error, last, busy }) => {
        const q = this.#queries.get(queryId);
        if (busy) { q?.again(); return; }
        if (q !== undefined && last !== null) q.queue.push(fromTransferable(q.types, last));
        this.#endQuery(queryId, error === null ? null : fromErrorData(error), true);
      },
      remoteChunk: async pin => {
        const chunk = await this.pool.rpc(pin.worker).call('readChunk', { pinId: pin.pinId });
        return new Transfer(chunk, chunk === null ? [] : buffersOf(chunk));
      },
      subscriptionBatch: s => { this.#subscriptionJob(s.subscriptionId)?.subscriptionBatch(s.subscriptionId, s.epoch, s.snapshot, s.batch); },
      subscriptionFailed: s => { this.#subscriptionJob(s.subscriptionId)?.subscriptionFailed(s.subscriptionId, fromErrorData(s.error)); },
      deadLetter: d => { this.#history.deadLetter(d); },
      log: ({ level, message, fields }) => { this.#options.log[level](fields, message); },
    };
  }

  #subscriptionJob(id: number): Job | undefined {
    for (const j of this.#jobs.values()) if (j.hasSubscription(id)) return j;
    return undefined;
  }

  #workerLost(worker: number, error: SqlError, culprit: number | null): void {
    if (this.#closed) return;
    this.#options.log.error({ worker, reason: error.message, job: culprit === null ? null : this.#jobs.get(culprit)?.name ?? null }, 'a worker died');
    for (const [id, q] of this.#queries) if (q.worker === worker) this.#endQuery(id, new SqlError('58000', 'the worker of this query died', { detail: error.message }));
    for (const j of this.#jobs.values()) j.workerLost(worker, error, culprit);
  }

  #deps(together: () => Promise<void>): JobDeps {
    const { events, log } = this.#options;
    return {
      pool: this.pool, files: this.#files, kvs: levelDb, env: this.#env, history: this.#history, dataDir: this.#options.dataDir, secrets: this.#options.secrets ?? (() => null), serverId: this.#serverId, lastSeq: this.#options.lastSeq,
      fairShare: () => Math.floor(this.#options.memoryLimit / Math.max(FAIR_SHARES_MIN, this.#jobs.size)),
      statusChanged: (job, status, failure) => { if (job.jobId < EPHEMERAL_FIRST) events.status(job.jobId, status, failure); },
      restored: event => { if (event.jobId < EPHEMERAL_FIRST) events.restored?.(event.jobId, event); },
      restoredFrom: () => [...this.#jobs.values()].flatMap(j => j.beginsWith ?? []),
      newestSavepoint: jobId => this.#savepoints.newestOf(jobId),
      claimDeleted: path => { this.#savepoints.claimed(path).catch((e: unknown) => { log.error({ path, reason: toErrorData(e).message }, 'row of a savepoint not deleted'); }); },
      checkpointEnded: (job, row) => { if (job.jobId < EPHEMERAL_FIRST) events.checkpoint(job.jobId, row); },
      log: (level, message, fields) => { log[level](fields, message); },
      nextId: () => this.#ids++,
      together,
    };
  }

  #job(jobId: number): Job {
    const job = this.#jobs.get(jobId);
    if (job === undefined) throw new SqlError('42704', `job ${jobId} does not exist`);
    return job;
  }

  async startJob(spec: JobSpec): Promise<void> { await this.startJobs([spec]); }
  async startJobs(specs: readonly JobSpec[]): Promise<void> {
    const together = new Together(specs.map(spec => spec.jobId), this.#env);
    const jobs = specs.map(spec => new Job(spec, this.#deps(() => together.arrived(spec.jobId))));
    // All are known before the first begins: the table log is kept for each.
    for (const job of jobs) this.#jobs.set(job.jobId, job);
    await Promise.all(jobs.map(job => job.start().finally(() => { void together.arrived(job.jobId); })));
  }
  async extendJob(jobId: number, plan: Plan): Promise<void> { await this.#job(jobId).replacePlan(plan, true); }
  async shrinkJob(jobId: number, plan: Plan): Promise<void> { await this.#job(jobId).replacePlan(plan, false); }

  async dropJob(jobId: number): Promise<void> {
    const job = this.#jobs.get(jobId);
    if (job === undefined) return;
    await job.drop();
    this.#jobs.delete(jobId);
    await this.#files.removeDirectory(jobStatePath(this.#options.dataDir, jobId));
    await this.#history.drop(jobId);
  }
  async alterJob(jobId: number, changes: Partial<JobSettings>): Promise<void> { this.#job(jobId).alter(changes); }

  async cancelJob(jobId: number): Promise<void> { await this.#job(jobId).cancel(); }

  async caughtUp(jobId: number, logPosition: number, signal: AbortSignal): Promise<void> { await this.#job(jobId).reached(logPosition, signal); }

  async flush(seq: number, jobIds: readonly number[], signal: AbortSignal): Promise<void> {
    await Promise.all(jobIds.map(async id => {
      const job = this.#jobs.get(id);
      if (job === undefined || !job.readsLog) return;
      try {
        await job.reached(seq, signal);
      } catch (e) {
        // Nobody will look whether it holds them.
        if (!job.dropped) throw e;
      }
    }));
  }

  async checkpoint(jobId: number | null, signal: AbortSignal): Promise<CheckpointRow[]> {
    const jobs = jobId === null ? [...this.#jobs.values()].filter(j => j.status === 'running' && j.jobId < EPHEMERAL_FIRST) : [this.#job(jobId)];
    return (await Promise.all(jobs.map(j => j.checkpoint(signal)))).filter(row => row !== null);
  }

  // ---- savepoints, stopping, pausing ----

  #takeSavepoint(job: Job, target: string | null, take: (place: SavepointPlace) => Promise<CheckpointMetadata>): Promise<SavepointRow> {
    const named = target ?? job.settings.savepoint_directory;
    const where = named === '' ? `${this.#options.dataDir}/savepoints` : named;
    const { s3_endpoint, s3_region, s3_path_style, s3_secret } = job.settings;
    return this.#savepoints.take({ jobId: job.jobId, jobName: job.name, readsLog: job.readsLog, neededSeq: job.neededSeq, access: { s3_endpoint, s3_region, s3_path_style, s3_secret } }, job.storage.folder(wholePath(where)), take);
  }

  /** Those that a crash left half written. */
  async recoverSavepoints(): Promise<void> {
    await this.#savepoints.recover((root, access) => this.#openPlace(root, access ?? LOCAL), (message, fields) => { this.#options.log.warn(fields, message); });
  }

  async savepoint(jobId: number, target: string | null, signal: AbortSignal): Promise<SavepointRow> {
    const job = this.#job(jobId);
    return this.#takeSavepoint(job, target, place => job.savepoint(place, signal));
  }
  savepoints(): SavepointRow[] { return this.#savepoints.rows(); }

  async dropSavepoint(path: string, access: S3Settings): Promise<void> {
    const user = [...this.#jobs.values()].find(j => j.restoresFrom === wholePath(path));
    if (user !== undefined) throw new SqlError('55006', `job "${user.name}" was restored from "${path}" and has no checkpoint of its own yet`, { hint: `CHECKPOINT JOB "${user.name}";` });
    await this.#savepoints.drop(wholePath(path), root => this.#openPlace(root, access));
  }

  #openPlace(root: string, access: S3Settings): FileStore { return openStore(storageLocation(root, access, this.#options.secrets ?? (() => null)), this.#files); }

  async stopJob(jobId: number, { savepoint }: { readonly savepoint: string | null | false }, signal: AbortSignal): Promise<SavepointRow | null> {
    const job = this.#job(jobId);
    if (job.status !== 'running') throw new SqlError('55000', `job "${job.name}" is ${job.status}, not running`, { hint: savepoint === false ? undefined : `CREATE SAVEPOINT FOR JOB "${job.name}"; makes one of its newest checkpoint.` });
    if (savepoint !== false) return this.#takeSavepoint(job, savepoint, place => job.stopWith('finished', place, signal));
    await job.stopWith('finished', null, signal);
    return null;
  }
  async pauseJob(jobId: number, signal: AbortSignal): Promise<void> { await this.#job(jobId).stopWith('paused', null, signal); }
  async resumeJob(jobId: number, parallelism?: number): Promise<void> { await this.#job(jobId).resume(parallelism); }

  async planRestore(plan: Plan, path: string, options: RestoreOptions): ReturnType<Engine['planRestore']> {
    const restorable = await openRestorable(wholePath(path), plan, this.#serverId, root => this.#openPlace(root, options.access));
    const { metadata } = restorable.folder;
    if (options.claim) this.#checkClaim(metadata, wholePath(path), restorable.sameServer);
    return { ...restorePlan(restorable, plan, wholePath(path), options), maxParallelism: metadata.maxParallelism };
  }

  /** One owner: neither the job whose checkpoint it is, nor another that claimed it. */
  #checkClaim(metadata: CheckpointMetadata, path: string, sameServer: boolean): void {
    const hint = "SET restore_claim_mode = 'no_claim';";
    const other = [...this.#jobs.values()].find(j => j.claims === path);
    if (other !== undefined) throw new SqlError('55006', `"${path}" is claimed by job "${other.name}"`, { hint });
    const owner = sameServer && metadata.kind === 'checkpoint' ? this.#jobs.get(metadata.jobId) : undefined;
    if (owner !== undefined && owner.status !== 'cancelled') throw new SqlError('55006', `"${path}" is a checkpoint of job "${owner.name}", which still needs it`, { hint });
  }

  async explainRestore(plan: Plan, path: string, access: S3Settings): Promise<RestoreRow[]> {
    return explainRestore(await openRestorable(wholePath(path), plan, this.#serverId, root => this.#openPlace(root, access)));
  }

  logAdvanced(_seq: number): void { for (const j of this.#jobs.values()) j.logAdvanced(); }

  // ---- batch queries ----

  query(plan: Plan, options: QueryOptions): QueryResult {
    const root = plan.nodes.find(n => n.id === plan.roots[0]);
    if (root?.op !== 'output') throw new SqlError('XX000', 'internal error: a query without an output node');
    const columns: readonly Column[] = root.columns.slice(0, root.visible);
    let started: Promise<Queue<Batch>> | null = null;
    const start = (): Promise<Queue<Batch>> => started ??= this.#startQuery(plan, options, columns.map(c => c.type));
    return {
      columns,
      [Symbol.asyncIterator]: () => ({
        next: async () => (await start()).next(),
        return: async () => (started === null ? { done: true as const, value: undefined } : (await start()).return()),
      }),
    };
  }

  async #startQuery(plan: Plan, options: QueryOptions, types: readonly SqlType[]): Promise<Queue<Batch>> {
    const queryId = this.#ids++;
    const tell = (method: 'queryMore' | 'queryCancel'): void => {
      const q = this.#queries.get(queryId);
      if (q !== undefined) this.pool.rpc(q.worker).notify(method, { queryId });
    };
    const queue = new Queue<Batch>(() => { tell('queryMore'); }, () => {
      tell('queryCancel');
      this.#endQuery(queryId, null);
    });
    const views = viewNodesOf(plan);
    const past = await Promise.all(pastNodesOf(plan).map(node => this.#job(node.jobId).past(node)));
    const atBarrier = async (): Promise<void> => {
      const pins = await this.#pinViews(plan, views, options.signal);
      const worker = this.#nextWorker++ % this.pool.size;
      this.#queries.set(queryId, { worker, types, queue, pins: pins.flat(), again: () => undefined });
      this.#send(queryId, plan, options, worker, pins, past, null);
    };
    const quiet = this.#quietPins(plan, views);
    if (quiet === null) await atBarrier();
    else {
      const { worker, jobId, attempt, pins } = quiet;
      const again = (): void => {
        atBarrier().then(() => {
          // Cancelled while it waited for the barrier.
          if (queue.ended) { tell('queryCancel'); this.#endQuery(queryId, null); }
        }, (e: unknown) => { this.#endQuery(queryId, fromErrorData(toErrorData(e))); });
      };
      this.#queries.set(queryId, { worker, types, queue, pins: pins.map(p => ({ worker, pinId: p.pinId })), again });
      this.#send(queryId, plan, options, worker, pins.map(p => [{ worker, pinId: p.pinId }]), past, { jobId, attempt, pins });
    }
    onAbort(options.signal, reason => { queue.fail(reason); });
    return queue;
  }

  /** All views are of one job that nothing goes through: read without a barrier, in the worker that has them. */
  #quietPins(plan: Plan, views: readonly ViewNode[]): (NonNullable<ReturnType<Job['quietPin']>> & { readonly jobId: number }) | null {
    const [first] = views;
    if (first === undefined || views.some(v => v.jobId !== first.jobId)) return null;
    const pins = this.#job(first.jobId).quietPin(views.map(v => viewRead(plan, v)));
    return pins === null ? null : { ...pins, jobId: first.jobId };
  }

  #send(queryId: number, plan: Plan, options: QueryOptions, worker: number, pins: readonly (readonly Pin[])[], past: QuerySpec['past'], quiet: QuerySpec['quiet']): void {
    const transfer: ArrayBuffer[] = [];
    const system: { name: string; batches: WireBatch[]; types: SqlType[] }[] = [];
    const entries = entriesOf(plan);
    const named = entries.filter((n): n is RowsNode => n.op === 'rows' && n.system !== null);
    for (const [name, batches] of options.system) {
      const node = named.find(n => n.system === name);
      if (node === undefined) continue;
      const nodeTypes = node.columns.map(c => c.type);
      system.push({ name, types: nodeTypes, batches: batches.map(b => { const t = toTransferable(nodeTypes, b); transfer.push(...t.transfer); return t.wire; }) });
    }
    const spec: QuerySpec = { queryId, plan: entries.some(n => n.op === 'source') ? withSecrets(plan, this.#options.secrets ?? (() => null)) : plan, system, catalog: options.catalog, user: options.user, timeZone: options.timeZone, nowUs: options.nowUs, logPosition: this.#options.lastSeq(), pins, past, quiet };
    this.pool.rpc(worker).notify('query', spec, transfer);
  }

  /** One read of each job, so that its views are seen at one epoch. */
  async #pinViews(plan: Plan, views: readonly ViewNode[], signal: AbortSignal): Promise<(readonly Pin[])[]> {
    const pins: (readonly Pin[])[] = views.map(() => []);
    await Promise.all([...new Set(views.map(v => v.jobId))].map(async jobId => {
      const own = views.flatMap((v, i) => (v.jobId === jobId ? [{ v, i }] : []));
      const parts = await this.#job(jobId).pin(own.map(({ v }) => viewRead(plan, v)), signal);
      own.forEach(({ i }, k) => { pins[i] = parts[k]; });
    }));
    return pins;
  }

  /** `ended`: by its worker, which has closed the readers it had itself. */
  #endQuery(queryId: number, error: SqlError | null, ended = false): void {
    const q = this.#queries.get(queryId);
    if (q === undefined) return;
    this.#queries.delete(queryId);
    for (const p of q.pins) if (!ended || p.worker !== q.worker) this.pool.rpc(p.worker).notify('unpin', { pinId: p.pinId });
    if (error === null) q.queue.end();
    else q.queue.fail(error);
  }

  // ---- subscriptions ----

  subscribe(jobId: number, nodeId: number, options: { snapshot: boolean; signal: AbortSignal }): AsyncIterable<SubscriptionEvent> {
    return this.#job(jobId).subscribe(nodeId, options.snapshot, options.signal);
  }

  async *subscribePlan(plan: Plan, settings: JobSettings, signal: AbortSignal): AsyncGenerator<SubscriptionEvent> {
    const jobId = this.#ephemeral++;
    const root = plan.roots[0];
    await this.startJob({ jobId, name: `subscription ${jobId - EPHEMERAL_FIRST}`, plan, settings: { ...settings, checkpoint_interval: 0, checkpoint_storage: '', state_backend: 'memory', restart_strategy: 'none' }, status: 'created', createdMs: this.#env.now() });
    try {
      for await (const event of this.#job(jobId).subscribe(root, true, signal)) yield event;
    } finally {
      await this.dropJob(jobId);
    }
  }

  neededLogSeq(): number { return Math.min(this.#savepoints.neededSeq, ...[...this.#jobs.values()].map(j => j.neededSeq)); }

  // ---- what there is to see ----

  jobs(): JobInfo[] { return [...this.#jobs.values()].filter(j => j.jobId < EPHEMERAL_FIRST).map(j => j.info()); }

  async #infos<K extends keyof TaskInfos>(kind: K): Promise<TaskInfos[K][number][]> {
    const all = await Promise.all(Array.from({ length: this.pool.size }, (_, w) => this.pool.rpc(w).call('infos', null).catch(() => null)));
    return all.flatMap((infos): TaskInfos[K][number][] => (infos === null ? [] : infos[kind])).filter(i => i.jobId < EPHEMERAL_FIRST);
  }
  operators(): Promise<TaskInfos['operators']> { return this.#infos('operators'); }
  tasks(): Promise<TaskInfos['tasks']> { return this.#infos('tasks'); }
  channels(): Promise<TaskInfos['channels']> { return this.#infos('channels'); }
  sources(): Promise<TaskInfos['sources']> { return this.#infos('sources'); }
  sinks(): Promise<TaskInfos['sinks']> { return this.#infos('sinks'); }
  watermarks(): Promise<TaskInfos['watermarks']> { return this.#infos('watermarks'); }
  stateTables(): Promise<TaskInfos['stateTables']> { return this.#infos('stateTables'); }
  restores(): Promise<TaskInfos['restores']> { return this.#infos('restores'); }
  checkpoints(): ReturnType<Engine['checkpoints']> { return this.#history.checkpoints().filter(c => c.jobId < EPHEMERAL_FIRST); }
  async checkpointTasks(): ReturnType<Engine['checkpointTasks']> { return (await this.#history.checkpointTasks()).filter(t => t.jobId < EPHEMERAL_FIRST); }
  async checkpointContent(jobId: number, checkpointId: number): Promise<CheckpointContent> {
    const job = this.#job(jobId);
    const storage = job.storage.checkpoints();
    return checkpointContent(storage, await retainedCheckpoint(job.name, storage, checkpointId));
  }
  checkpointSummary(): ReturnType<Engine['checkpointSummary']> { return this.#history.summary().filter(s => s.jobId < EPHEMERAL_FIRST); }
  checkpointCounts(): ReturnType<Engine['checkpointCounts']> { return this.#history.counts().filter(c => c.jobId < EPHEMERAL_FIRST); }
  failures(): ReturnType<Engine['failures']> { return this.#history.failures(); }
  deadLetters(): ReturnType<Engine['deadLetters']> { return this.#history.deadLetters(); }

  async close(): Promise<void> {
    const timeout = AbortSignal.timeout(CLOSE_CHECKPOINT_MS);
    await Promise.all([...this.#jobs.values()].map(async j => {
      if (j.status === 'running' && j.jobId < EPHEMERAL_FIRST) {
        await j.checkpoint(timeout).catch((e: unknown) => { this.#options.log.warn({ job: j.name, reason: toErrorData(e).message }, 'no last checkpoint'); });
      }
      await j.stop().catch(() => undefined);
    }));
    this.#closed = true;
    await this.pool.close();
  }
}

/** Entry nodes of a plan and of the subplans in its expressions. */
function entriesOf(plan: Plan): PlanNode[] { return [plan, ...subplansOf(plan)].flatMap(p => p.nodes); }

function viewRead(plan: Plan, view: ViewNode): ViewRead {
  return { nodeId: view.nodeId, fields: view.fields, point: plan.nodes.includes(view) ? pointOf(plan, view) : null };
}

function buffersOf(wire: WireBatch): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const add = (a: { readonly buffer: ArrayBufferLike } | null): void => { if (a !== null) buffers.add(a.buffer as ArrayBuffer); };
  for (const c of wire.columns) {
    if (c.form === 'bytes') { add(c.data); add(c.start); add(c.end); add(c.nulls); }
    else if (c.form === 'identity') add(c.data);
    else { add(c.values); add(c.nulls); }
  }
  add(wire.weights);
  return [...buffers];
}
