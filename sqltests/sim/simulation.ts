/**
 * Deterministic simulation of a job: the product's Job, coordinator, tasks, state, operators and checkpoint storage over a plan from the planner, in one thread, in a
 * world where one seed decides everything: how long messages, reads and writes take, what fails, when workers die, the process is killed or power is lost.
 *
 *   1. a seed draws the query, its rows, the settings and how much goes wrong, and when
 *   2. the job runs until it has finished; from some time on nothing more goes wrong, so it must
 *   3. held all the time: readers see whole epochs; a completed checkpoint can be restored (the next start goes on from it or a newer one);
 *      at the end: view or sink hold exactly the rows computed by hand (at least once: not fewer)
 *
 * The same seed gives the same run, event by event; `trace` tells runs apart.
 */
import { isDeepStrictEqual } from 'node:util';
import type { JobStatus } from '../../runtime/engine.js';
import { History } from '../../runtime/jobs/history.js';
import { Job, type JobDeps } from '../../runtime/jobs/job.js';
import type { Pool } from '../../runtime/pool.js';
import type { ChannelPort, MainMethods, WorkerMethods } from '../../runtime/protocol.js';
import { Rpc, type Handlers } from '../../runtime/rpc.js';
import { serveWorker } from '../../runtime/serveworker.js';
import { datumRow, fromTransferable } from '../../runtime/vectors.js';
import { CatalogStore } from '../../storage/catalogstore.js';
import type { TableReader } from '../../storage/tablestore.js';
import { fromErrorData, SqlError } from '../../types/error.js';
import { jobSettings, Settings, type JobSettings } from '../../types/settings.js';
import { formatDatum } from '../../types/textio.js';
import { Outside, simConnectors } from './connectors.js';
import { Disk } from './disk.js';
import { drawRows, planOf, QUERIES, type Line, type SimPlan, type SimQuery } from './queries.js';
import { Domain, Wire, World } from './world.js';

/** Named limit: times that the last reader asks. */
const READS_MAX = 5;
const JOB = 1;
const DATA = '/data';

export interface SimResult { readonly trace: number; readonly events: number; readonly checkpoints: number; readonly restarts: number; readonly crashes: number; readonly reads: number; readonly query: string }

/** Throws what is wrong. `log` gets every event. */
export async function simulate(seed: number, log: ((line: string) => void) | null = null): Promise<SimResult> {
  const simulation = new Simulation(seed, log);
  return simulation.run();
}

const PLANS = new Map<string, SimPlan>();

class Simulation {
  readonly #world: World;
  readonly #disk: Disk;
  readonly #outside: Outside;
  readonly #query: SimQuery;
  readonly #plan: SimPlan;
  readonly #settings: JobSettings;
  readonly #workers: number;
  #process: Process | null = null;
  #finished = false;
  #broken: unknown = null;
  /** CREATE was answered: the catalog has the job. */
  #known = false;
  /** The newest checkpoint that anybody was told of. */
  #completed = 0;
  #checkpoints = 0;
  #restarts = 0;
  #crashes = 0;
  #reads = 0;

  constructor(seed: number, log: ((line: string) => void) | null) {
    const world = this.#world = new World(seed, log);
    const { random } = world;
    this.#disk = new Disk(world);
    const query = QUERIES[random(QUERIES.length)];
    this.#query = query;
    let plan = PLANS.get(query.name);
    if (plan === undefined) PLANS.set(query.name, plan = planOf(query));
    this.#plan = plan;
    this.#outside = new Outside(drawRows(random, 1 + random(3), 3 + random(12)));
    this.#workers = 1 + random(2);
    const unaligned = random(3) === 0;
    const atLeastOnce = !unaligned && random(6) === 0;
    this.#settings = {
      ...jobSettings(new Settings(null), 1), parallelism: 1 + random(2), max_parallelism: 8, checkpoint_interval: 10 + random(60), barrier_interval: 1 + random(20), checkpoint_timeout: 100 + random(400),
      tolerable_failed_checkpoints: [0, 2, 1000][random(3)], restart_strategy: 'fixed_delay', restart_attempts: 1_000_000, restart_delay: random(30), retained_checkpoints: 1 + random(3),
      checkpoint_mode: atLeastOnce ? 'at_least_once' : 'exactly_once', unaligned_checkpoints: unaligned, state_backend: random(5) === 0 ? 'memory' : 'leveldb',
      max_concurrent_checkpoints: unaligned ? 1 : 1 + random(2), checkpoint_min_pause: random(2) * random(30), incremental_checkpoints: random(5) > 0,
    };
    world.note(`${query.name} ${JSON.stringify(this.#settings)}`);
  }

  async run(): Promise<SimResult> {
    const world = this.#world;
    const { random } = world;
    if (random(2) === 0) this.#disk.failing = [0.2, 1, 4][random(3)];
    if (random(3) === 0) this.#disk.stalling = [0.2, 2][random(2)];
    const troubleMs = 200 + random(1500);
    world.at(troubleMs, null, 'trouble ends', () => { this.#disk.failing = this.#disk.stalling = 0; });
    for (let n = random(4); n > 0; n--) world.at(random(troubleMs), null, 'crash', () => { this.#crash(); });
    for (let n = random(4); n > 0; n--) world.at(random(1000), null, 'read', () => { this.#read(); });
    this.#start('created');
    const ended = await world.run(() => this.#finished || this.#broken !== null);
    if (this.#broken !== null) throw this.#broken;
    if (!ended) throw new Error(`the job has not finished: ${this.#process?.job?.status ?? 'no process'} after ${world.events} events`);
    await this.#compare();
    return { trace: world.trace >>> 0, events: world.events, checkpoints: this.#checkpoints, restarts: this.#restarts, crashes: this.#crashes, reads: this.#reads, query: this.#query.name };
  }

  // ---- processes and crashes ----

  #start(status: JobStatus): void {
    const started = new Process(this.#world, this.#disk, this.#outside, this.#workers, e => { if (this.#process === started) this.#broken ??= e; });
    this.#process = started;
    started.open(this.#plan, this.#settings, status, {
      status: (job, now, failure) => {
        this.#world.note(`status ${now} ${failure?.message ?? ''}`);
        if (now === 'failed') this.#broken ??= failure;
        if (now === 'finished') this.#finished = true;
        if (now === 'restarting') this.#restarts++;
        if (now === 'running') this.#restored(job);
      },
      checkpoint: row => {
        this.#world.note(`checkpoint ${row.checkpointId} ${row.status} ${row.failureReason ?? ''}`);
        if (row.status !== 'completed') return;
        this.#checkpoints++;
        this.#completed = Math.max(this.#completed, row.checkpointId);
      },
    }).catch((e: unknown) => {
      // CREATE fails for the user when the disk does; he tries again.
      if (this.#process !== started) return;
      this.#world.note(`not opened: ${e instanceof Error ? e.message : String(e)}`);
      started.kill();
      this.#process = null;
      this.#world.at(20, null, 'again', () => { this.#start(status); });
    });
  }

  /** What was announced as complete, sinks have committed and logs may have been trimmed for: the job must not go back behind it. */
  #restored(job: Job): void {
    const from = job.info().lastCheckpointId ?? 0;
    if (from < this.#completed) this.#broken ??= new Error(`checkpoint ${this.#completed} was completed, and the job went on from ${from}`);
  }

  #crash(): void {
    const running = this.#process;
    if (running === null || this.#finished) return;
    this.#crashes++;
    const kind = this.#world.random(3);
    if (kind === 0) {
      const worker = this.#world.random(this.#workers);
      this.#world.note(`worker ${worker} dies`);
      running.killWorker(worker);
      return;
    }
    this.#world.note(kind === 1 ? 'kill -9' : 'power loss');
    running.kill();
    if (kind === 2) this.#disk.powerLoss();
    this.#known ||= running.known;
    this.#process = null;
    this.#world.at(this.#world.random(50), null, 'start', () => { this.#start(this.#known ? 'running' : 'created'); });
  }

  // ---- readers ----

  #read(): void {
    const running = this.#process;
    if (running?.job == null || this.#query.sink || this.#finished) return;
    running.read(this.#plan).then(lines => {
      this.#reads++;
      try {
        if (this.#settings.checkpoint_mode === 'exactly_once') this.#query.check?.(lines);
      } catch (e) {
        this.#broken ??= e;
      }
    }, () => undefined); // a read of a job that failed over may be refused
  }

  async #compare(): Promise<void> {
    const expected = [...this.#query.expected(this.#outside.splits)].sort();
    const running = this.#process;
    const open = (): number[] => running?.history?.checkpoints().filter(c => c.status === 'in_progress').map(c => c.checkpointId) ?? [];
    if (!(await this.#world.run(() => open().length === 0))) throw new Error(`the job has finished, and checkpoint ${open().join()} is in progress for ever`);
    let actual: Line[] | null = null;
    let failure: unknown = null;
    if (this.#query.sink) {
      // The last commit is under way when the job has finished.
      await this.#world.run(() => isDeepStrictEqual(this.#outside.lines().sort(), expected));
      actual = this.#outside.lines().sort();
    } else {
      // A worker may have died with the end of the job: then a reader has to ask again.
      for (let tries = 0; actual === null; tries++) {
        failure = null;
        running?.read(this.#plan).then(lines => { actual = [...lines].sort(); }, (e: unknown) => { failure = e; });
        await this.#world.run(() => actual !== null || failure !== null);
        if (tries === READS_MAX) throw failure;
      }
    }
    const lines: readonly Line[] = actual ?? [];
    if (this.#settings.checkpoint_mode === 'at_least_once') {
      const had = new Set(lines.map(l => l.split(' ')[0]));
      if (!expected.every(l => had.has(l.split(' ')[0]))) throw new Error(`lost: expected ${expected.join('; ')}\nactual ${lines.join('; ')}`);
    } else if (!isDeepStrictEqual(lines, expected)) throw new Error(`wrong rows: expected ${expected.join('; ')}\nactual   ${lines.join('; ')}`);
  }
}

interface ProcessEvents {
  status(job: Job, status: JobStatus, failure: SqlError | null): void;
  checkpoint(row: Parameters<JobDeps['checkpointEnded']>[1]): void;
}

/** One process: main thread and workers, from its start to its end. */
class Process {
  job: Job | null = null;
  history: History | null = null;
  /** CREATE was answered: the catalog has the job. */
  known = false;
  readonly #world: World;
  readonly #disk: Disk;
  readonly #main = new Domain('main');
  readonly #pool: SimPool;

  constructor(world: World, disk: Disk, outside: Outside, workers: number, onError: (e: unknown) => void) {
    this.#world = world;
    this.#disk = disk;
    this.#pool = new SimPool(world, disk, outside, workers, this.#main, {
      handlers: () => this.#handlers(), onError,
      lost: (worker, error) => { this.job?.workerLost(worker, error); },
    });
  }

  async open(plan: SimPlan, settings: JobSettings, status: JobStatus, events: ProcessEvents): Promise<void> {
    const world = this.#world;
    const store = await CatalogStore.open(await this.#disk.stores(this.#main, false).open(`${DATA}/catalog`));
    const history = await History.open(store, () => undefined);
    this.history = history;
    let ids = 1;
    const job: Job = new Job({ jobId: JOB, name: 'sim', plan: plan.plan, settings, status, createdMs: 0 }, {
      pool: this.#pool, files: this.#disk.files(this.#main), kvs: this.#disk.stores(this.#main), env: world.env(this.#main), history, dataDir: DATA, secrets: () => null, serverId: 'sim',
      together: () => Promise.resolve(), lastSeq: () => 0, fairShare: () => 16 * 1024 * 1024, nextId: () => ids++, restored: () => undefined,
      statusChanged: (_, now, failure) => { events.status(job, now, failure); },
      checkpointEnded: (_, row) => { events.checkpoint(row); },
      log: (_, message) => { world.note(message); },
    });
    this.job = job;
    await job.start();
    this.known = true;
  }

  kill(): void {
    this.#main.alive = false;
    this.#pool.kill();
  }
  killWorker(worker: number): void { this.#pool.killWorker(worker); }

  async read(plan: SimPlan): Promise<Line[]> {
    const { job } = this;
    if (job === null) return [];
    const [parts] = await job.pin([{ nodeId: plan.root, fields: plan.columns.map((_, i) => i), point: null }], new AbortController().signal);
    const types = plan.columns.map(c => c.type);
    const lines: Line[] = [];
    for (const { worker, pinId } of parts ?? []) {
      for (let wire = await this.#pool.rpc(worker).call('readChunk', { pinId }); wire !== null; wire = await this.#pool.rpc(worker).call('readChunk', { pinId })) {
        const batch = fromTransferable(types, wire);
        for (let i = 0; i < batch.length; i++) lines.push(datumRow(types, batch, i).map((v, c) => (v === null ? 'NULL' : formatDatum(types[c], v))).join(' '));
      }
    }
    return lines;
  }

  #handlers(): Handlers<MainMethods> {
    const unused = (): never => { throw new SqlError('XX000', 'internal error: not simulated'); };
    return {
      passed: p => { this.job?.passed(p); },
      acknowledged: a => { this.job?.acknowledged(a); },
      declined: d => { this.job?.declined(d); },
      taskFailed: f => { this.job?.taskFailed(f, fromErrorData(f.error)); },
      taskEnded: t => { this.job?.taskEnded(t); },
      active: a => { this.job?.active(a.attempt); },
      wantCheckpoint: w => { this.job?.wantCheckpoint(w.attempt); },
      log: ({ message }) => { this.#world.note(message); },
      deadLetter: unused, queryBatch: unused, queryEnd: unused, remoteChunk: unused, subscriptionBatch: unused, subscriptionFailed: unused,
    };
  }
}

interface PoolEvents {
  handlers(): Handlers<MainMethods>;
  lost(worker: number, error: SqlError): void;
  onError(e: unknown): void;
}
interface Member { readonly domain: Domain; readonly rpc: Rpc<MainMethods, WorkerMethods> }

/** The pool's workers as domains of one thread; messages are copied, as between threads, but for the ends of channels. */
class SimPool implements Pool {
  readonly size: number;
  readonly #world: World;
  readonly #disk: Disk;
  readonly #outside: Outside;
  readonly #main: Domain;
  readonly #events: PoolEvents;
  readonly #members: Member[];

  constructor(world: World, disk: Disk, outside: Outside, size: number, main: Domain, events: PoolEvents) {
    this.#world = world;
    this.#disk = disk;
    this.#outside = outside;
    this.#main = main;
    this.#events = events;
    this.size = size;
    this.#members = Array.from({ length: size }, (_, w) => this.#start(w));
  }

  rpc(worker: number): Rpc<MainMethods, WorkerMethods> { return this.#members[worker].rpc; }

  channel(): readonly [ChannelPort, ChannelPort] {
    const a = new SimPort(this.#world);
    const b = new SimPort(this.#world);
    a.other = b;
    b.other = a;
    return [a, b];
  }

  kill(): void { for (const m of this.#members) m.domain.alive = false; }

  killWorker(worker: number): void {
    const member = this.#members[worker];
    const error = new SqlError('58000', `worker ${worker} died`);
    member.domain.alive = false;
    this.#world.at(1, this.#main, 'worker lost', () => {
      member.rpc.close(error);
      this.#members[worker] = this.#start(worker);
      this.#events.lost(worker, error);
    });
  }

  #start(index: number): Member {
    const world = this.#world;
    const domain = new Domain(`worker ${index}`);
    const env = world.env(domain);
    const toWorker = new Wire(world, domain, `→ worker ${index}`);
    const toMain = new Wire(world, this.#main, `← worker ${index}`);
    const rpc: Rpc<MainMethods, WorkerMethods> = new Rpc(
      { post: message => { const copy = copied(message, domain); toWorker.send(() => { worker.receive(copy); }); } },
      this.#events.handlers(), e => { this.#events.onError(e); });
    const worker: Rpc<WorkerMethods, MainMethods> = serveWorker({
      place: { index, workers: this.size, dataDir: DATA }, connectors: simConnectors(this.#outside, world, domain, env), tables: NO_TABLES, env,
      files: this.#disk.files(domain), kvs: this.#disk.stores(domain),
      link: { post: message => { const copy = copied(message, domain); toMain.send(() => { rpc.receive(copy); }); } },
    });
    return { domain, rpc };
  }
}

const NO_TABLES: TableReader = {
  snapshot: () => Promise.reject(new Error('no tables')), log: () => Promise.reject(new Error('no tables')), oldestSeq: () => Promise.resolve(0), close: () => Promise.resolve(),
};

/** A message as it arrives. A deployment's ports go to the worker. */
function copied(message: unknown, worker: Domain): unknown {
  const ports = (message as { readonly arg?: { readonly ports?: readonly { readonly key: string; readonly port: SimPort }[] } | null }).arg?.ports;
  if (ports === undefined) return clone(message);
  const { arg, ...rest } = message as { readonly arg: { readonly ports: readonly { readonly key: string; readonly port: SimPort }[] } };
  const { ports: _, ...spec } = arg;
  for (const { port } of ports) port.owner(worker);
  return { ...rest, arg: { ...clone(spec) as object, ports } };
}

/** What structured cloning gives, of messages: plain objects, arrays, and arrays of numbers, which are moved. */
function clone(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(clone);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = clone((value as Record<string, unknown>)[key]);
  return copy;
}

class SimPort implements ChannelPort {
  other: SimPort | null = null;
  readonly #world: World;
  #wire: Wire | null = null;
  #run: ((message: unknown) => void) | null = null;
  #closed = false;
  /** Came before anybody listened. */
  #early: unknown[] = [];

  constructor(world: World) { this.#world = world; }

  owner(domain: Domain): void { this.#wire = new Wire(this.#world, domain, 'channel'); }
  postMessage(message: unknown): void { this.other?.deliver(message); }
  deliver(message: unknown): void {
    this.#wire?.send(() => {
      if (this.#closed) return;
      if (this.#run === null) this.#early.push(message);
      else this.#run(message);
    });
  }
  on(_: 'message', run: (message: unknown) => void): void {
    this.#run = run;
    for (const message of this.#early) run(message);
    this.#early = [];
  }
  close(): void { this.#closed = true; }
}
