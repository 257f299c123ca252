/**
 * The part of one job that runs in this worker: its tasks, the channels between them and to other workers, and the job's LevelDB.
 */
import type { Json } from '../../types/connect.js';
import type { Env } from '../../types/env.js';
import { assert } from '../../types/error.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { partialColumns } from '../aggregates/partials.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { CheckpointFolder } from '../../storage/checkpoint/folder.js';
import { openCheckpointStorage } from '../../storage/checkpoint/open.js';
import { openStore } from '../../storage/location.js';
import { jobStatePath } from '../../storage/datadir.js';
import type { FileSystem } from '../../storage/filesystem.js';
import type { Kv, KvOpener } from '../../storage/kv.js';
import type { TableReader } from '../../storage/tablestore.js';
import type { Connectors } from '../connector.js';
import type { DeadLetterInfo, RestoreInfo } from '../engine.js';
import type { DeploySpec, Injected, PinSpec, TaskInfos } from '../protocol.js';
import type { SharedStreams } from '../sharing/streams.js';
import type { Moved } from '../state/moved.js';
import { ownersOf } from '../state/owners.js';
import { RestoreProgress } from '../state/restoreprogress.js';
import { TaskState } from '../state/taskstate.js';
import { buildTask, type TaskHost } from './builder.js';
import { localChannel, portIn, portOut, type ChannelIn, type ChannelOut } from './channel.js';
import { channelKey, channelPairs, cutPlan, edgeColumns, firstKeyGroup, normalisePlan, taskName, workerOf, type Edge, type Fragment } from './fragment.js';
import { readInFlight, type Reader } from './inflight.js';
import { operatorStates } from './redistribute.js';
import { Task, type TaskEvents } from './task.js';

/** A task whose state is being restored. */
export interface RestoringTask extends Pick<RestoreInfo, 'jobId' | 'task' | 'subtask' | 'checkpointId' | 'startedMs'> { readonly progress: RestoreProgress }

export interface DeployHost {
  readonly worker: number;
  readonly running: Int32Array;
  readonly workers: number;
  readonly dataDir: string;
  readonly connectors: Connectors;
  readonly tables: TableReader;
  readonly env: Env;
  readonly files: FileSystem;
  readonly kvs: KvOpener;
  readonly streams: SharedStreams;
  readonly events: TaskEvents;
  /** Of all jobs that are being deployed here. */
  readonly restoring: Set<RestoringTask>;
  wantCheckpoint(arg: { jobId: number; attempt: number }): void;
  deadLetter(row: DeadLetterInfo): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, Json>>): void;
}

interface Ends { readonly out: Map<string, ChannelOut>; readonly in: Map<string, ChannelIn>; readonly close: (() => void)[] }

export class JobPart {
  readonly spec: DeploySpec;
  readonly tasks: Task[] = [];
  readonly #kv: Kv | null;
  readonly #storage: CheckpointStorage;
  readonly #ends: Ends = { out: new Map(), in: new Map(), close: [] };

  private constructor(spec: DeploySpec, kv: Kv | null, storage: CheckpointStorage) {
    this.spec = spec;
    this.#kv = kv;
    this.#storage = storage;
  }

  static async deploy(spec: DeploySpec, host: DeployHost): Promise<JobPart> {
    const kv = spec.settings.state_backend === 'memory' ? null : await host.kvs.open(jobStatePath(host.dataDir, spec.jobId));
    const storage = openCheckpointStorage({ jobId: spec.jobId, location: spec.checkpoints, dataDir: host.dataDir, localRecovery: spec.settings.local_recovery }, host.files);
    const part = new JobPart(spec, kv, storage);
    const fragments = cutPlan(spec.plan, spec.settings.parallelism);
    const { jobId, restore } = spec;
    const tasks = spec.tasks.map(t => ({ fragment: fragments[t.fragment], subtask: t.subtask, progress: new RestoreProgress() }));
    const restoring = restore === null ? [] : tasks.map(({ fragment, subtask, progress }): RestoringTask =>
      ({ jobId, task: taskName(fragment.id, subtask), subtask, checkpointId: restore.checkpointId, startedMs: host.env.now(), progress }));
    for (const r of restoring) host.restoring.add(r);
    try {
      if (!spec.readOnly) part.#connect(fragments, host);
      for (const t of tasks) await part.#create(t.fragment, t.subtask, host, t.progress);
      return part;
    } catch (e) {
      await part.close();
      throw e;
    } finally {
      for (const r of restoring) host.restoring.delete(r);
    }
  }

  start(): void { for (const task of this.tasks) task.start(); }
  inject(injected: Injected): void { for (const task of this.tasks) task.inject(injected); }

  /** As `pin`, for a running job whose tasks are all here: false when something went through since its last barrier. */
  pinQuiet(pins: readonly PinSpec[], events: Pick<TaskEvents, 'pinned'>): boolean {
    if (this.spec.readOnly || !this.tasks.every(task => task.quiet)) return false;
    this.pin(pins, events);
    return true;
  }

  /** Opens readers at what the tasks hold now: for jobs that only are read. */
  pin(pins: readonly PinSpec[], events: Pick<TaskEvents, 'pinned'>): void {
    for (const task of this.tasks) {
      for (const pin of pins) {
        const view = task.parts.built.views.get(pin.nodeId);
        if (view !== undefined) events.pinned(pin, view);
      }
    }
  }

  infos(): TaskInfos[] { return this.tasks.map(t => t.infos()); }

  async close(): Promise<void> {
    await Promise.all(this.tasks.map(t => t.close()));
    for (const close of this.#ends.close) close();
    await this.#kv?.close();
  }

  /** Channels that begin or end here; a port was made by the main thread for each that goes to another worker. */
  #connect(fragments: readonly Fragment[], host: DeployHost): void {
    const ports = new Map(this.spec.ports.map(p => [p.key, p.port]));
    const columns = columnsOf(this.spec);
    for (const fragment of fragments) {
      for (const edge of fragment.outbound) {
        const types = edgeColumns(edge, columns).map(c => c.type);
        for (const { from, to } of channelPairs(edge, fragments)) {
          const sends = workerOf(this.spec.jobId, from, host.workers) === host.worker;
          const receives = workerOf(this.spec.jobId, to, host.workers) === host.worker;
          const key = channelKey(edge, from, to);
          if (sends && receives) {
            const channel = localChannel(key);
            this.#ends.out.set(key, channel.out);
            this.#ends.in.set(key, channel.in);
            continue;
          }
          if (!sends && !receives) continue;
          const port = ports.get(key);
          assert(port !== undefined, `no port for channel ${key}`);
          if (sends) this.#ends.out.set(key, portOut(key, port, types, host.env));
          else {
            const receiver = portIn(key, port, types);
            this.#ends.in.set(key, receiver.in);
            this.#ends.close.push(receiver.close);
          }
        }
      }
    }
  }

  async #create(fragment: Fragment, subtask: number, host: DeployHost, progress: RestoreProgress): Promise<void> {
    const { spec } = this;
    const maxParallelism = spec.settings.max_parallelism;
    const name = taskName(fragment.id, subtask);
    const columns = columnsOf(spec);
    const moved = await this.#moved(host);
    const restored = spec.restore === null ? null : { checkpointId: spec.restore.checkpointId, tasks: spec.restore.tasks, ...(moved === null ? {} : { moved }) };
    const state = await TaskState.restore({
      task: name, nodeIds: fragment.nodes.map(n => n.id), maxParallelism,
      keyGroupFirst: firstKeyGroup(subtask, fragment.parallelism, maxParallelism), keyGroupLast: firstKeyGroup(subtask + 1, fragment.parallelism, maxParallelism) - 1,
      kv: this.#kv, storage: this.#storage, memoryBytes: Math.floor(spec.stateMemory / spec.tasks.length),
      onDirtyLimit: () => { host.wantCheckpoint({ jobId: spec.jobId, attempt: spec.attempt }); },
      onBackgroundError: e => { host.log('error', 'state could not be applied', { job: spec.name, task: name, error: String(e) }); },
      now: () => host.env.now(), turn: () => host.env.turn(), readOnly: spec.readOnly, progress,
    }, restored);
    progress.begin('opening');
    let task: Task | null = null;
    const taskHost: TaskHost = {
      jobId: spec.jobId, subtask, settings: spec.settings, connectors: host.connectors, tables: host.tables, env: host.env,
      streams: host.streams, busyMs: () => task?.busyMs ?? 0,
      wake: feed => { task?.wakeFeed(feed); }, deadLetter: host.deadLetter, log: host.log,
    };
    const used: ChannelOut[] = [];
    const outs = (edge: Edge): readonly ChannelOut[] => {
      const pairs = channelPairs(edge, this.#fragments()).filter(p => p.from === subtask);
      const channels = pairs.map(p => this.#end(this.#ends.out, channelKey(edge, p.from, p.to)));
      used.push(...channels);
      return channels;
    };
    const outbound = spec.readOnly ? { ...fragment, outbound: [], inbound: [] } : fragment;
    const built = buildTask(outbound, columns, taskHost, state, outs, () => {
      assert(task !== null, 'no task yet');
      return task.passing();
    }, spec.readOnly, spec.nowUs);
    const inbound = outbound.inbound.flatMap(edge => channelPairs(edge, this.#fragments()).filter(p => p.to === subtask)
      .map(p => ({ edge, channel: this.#end(this.#ends.in, channelKey(edge, p.from, p.to)) })));
    const operators = operatorStates(spec.restore?.tasks ?? [], { moved: moved !== null, nodes: fragment.nodes, subtask, parallelism: fragment.parallelism, sinks: host.connectors.sinks });
    const edgeTypes = (edge: Edge): readonly SqlType[] => edgeColumns(edge, columns).map(c => c.type);
    const inputColumns = ({ node, input }: Reader): readonly Column[] => {
      const from = fragment.nodes.find(n => n.id === node)?.inputs[input] ?? -1;
      const edge = fragment.inbound.find(e => e.entry === from);
      return edge === undefined ? columns.get(from) ?? [] : edgeColumns(edge, columns);
    };
    const inputTypes = (reader: Reader): readonly SqlType[] => inputColumns(reader).map(c => c.type);
    const inFlight = spec.readOnly || spec.restore === null ? [] : await readInFlight(moved === null ? this.#storage : { readStateFile: ref => moved.read(ref) }, spec.restore.tasks.flatMap(t => t.files), {
      fragment, subtask, maxParallelism, edgeTypes, inputTypes,
      partialTypes: reader => {
        const aggregate = fragment.nodes.find(n => n.id === reader.node);
        assert(aggregate?.op === 'aggregate', 'partial results for no aggregate');
        return partialColumns(aggregate, inputColumns(reader)).map(c => c.type);
      },
    });
    task = new Task({
      jobId: spec.jobId, attempt: spec.attempt, fragment: outbound, subtask, worker: host.worker, running: host.running, maxParallelism,
      storage: this.#storage, state, built, inbound, outbound: used, inFlight, inputTypes, edgeTypes,
      restored: spec.restore === null ? null : { checkpointId: spec.restore.checkpointId, operators },
      freshNodes: new Set(spec.freshNodes), tablesFirst: spec.plan.nodes.some(n => n.op === 'lookup'), events: host.events, env: host.env,
    });
    this.tasks.push(task);
    if (!spec.readOnly) await task.open();
  }

  #movedState: Moved | null = null;
  /** How this part finds its state in what tasks of another layout, or of another job, left; null: it is its own. */
  async #moved(host: DeployHost): Promise<Moved | null> {
    const { spec } = this;
    if (spec.restore?.moved === undefined || this.#movedState !== null) return this.#movedState;
    const { from, nodes } = spec.restore.moved;
    const storage: Pick<CheckpointStorage, 'readStateFile'> = from === null ? this.#storage : await CheckpointFolder.open(openStore(from.location, host.files), from.name);
    this.#movedState = { owners: ownersOf(normalisePlan(spec.plan), spec.settings.max_parallelism), nodes: new Set(nodes), read: ref => storage.readStateFile(ref) };
    return this.#movedState;
  }

  #fragmentsOfPlan: readonly Fragment[] | null = null;
  #fragments(): readonly Fragment[] { return this.#fragmentsOfPlan ??= cutPlan(this.spec.plan, this.spec.settings.parallelism); }

  #end<T>(ends: ReadonlyMap<string, T>, key: string): T {
    const end = ends.get(key);
    assert(end !== undefined, `no channel ${key}`);
    return end;
  }
}

function columnsOf(spec: DeploySpec): ReadonlyMap<number, readonly Column[]> {
  return new Map(normalisePlan(spec.plan).nodes.map(n => [n.id, n.columns]));
}
