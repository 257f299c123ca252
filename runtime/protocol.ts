/**
 * Messages between the main thread and the pool's workers: two method tables (see rpc.ts) and the plain data they carry.
 * A job runs in attempts: every restart, extension and shrinking is a new one; what comes from an older attempt is ignored.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Plan } from '../types/plan.js';
import type { Json } from '../types/connect.js';
import type { ErrorData } from '../types/error.js';
import type { JobSettings } from '../types/settings.js';
import type { Barrier } from './operator.js';
import type { Batch } from './batch.js';
import type { CatalogSnapshot } from './query.js';
import type { DeadLetterInfo, OperatorInfo, SinkInfo, SourceInfo, StateTableInfo, TaskInfo, WatermarkInfo, ChannelInfo } from './engine.js';

export interface WorkerData {
  readonly index: number;
  readonly dataDir: string;
  readonly connectorsModule: string;
}

/** One inbound exchange of a task: its hash partitions come from `from` subtasks of the fragment that holds the exchange's input. */
export interface ChannelSpec {
  readonly exchangeId: number;
  readonly fromFragment: number;
  readonly fromSubtask: number;
  readonly toFragment: number;
  readonly toSubtask: number;
  /** null: both ends are in this worker, or this is the description of a remote end whose port is in `ports`. */
  readonly port: MessagePort | null;
}

export interface TaskSpec {
  readonly fragment: number;
  readonly subtask: number;
  readonly parallelism: number;
  readonly nodes: readonly number[];
  readonly inbound: readonly ChannelSpec[];
  readonly outbound: readonly ChannelSpec[];
}

/** State of one task in the checkpoint a job starts from, as its acknowledgement gave it. */
export interface TaskSnapshot {
  readonly task: string;
  /** Operator state outside state tables, by node id. */
  readonly operators: Readonly<Record<string, Json>>;
  /** The state layer's description of what it wrote (files, positions of stamps). */
  readonly state: Json;
}

export interface DeploySpec {
  readonly jobId: number;
  readonly attempt: number;
  readonly name: string;
  readonly plan: Plan;
  readonly settings: JobSettings;
  /** Bytes of state all the job's tasks of this worker may hold in memory. */
  readonly stateMemory: number;
  readonly checkpointDir: string;
  /** Checkpoint to restore, or null for an empty start. */
  readonly restore: { readonly checkpointId: number; readonly tasks: readonly TaskSnapshot[] } | null;
  /** Nodes that the plan gained since that checkpoint: backfilled from the materialize nodes they read. */
  readonly freshNodes: readonly number[];
  /** Epoch of the last barrier before this attempt. */
  readonly epoch: number;
  readonly nowUs: number;
  /** Only to be read from: no source is opened, no barrier comes. */
  readonly readOnly: boolean;
  readonly tasks: readonly TaskSpec[];
}

export interface TaskRef { readonly jobId: number; readonly attempt: number; readonly task: string }

export interface AckTimes { readonly startDelayMs: number; readonly alignmentMs: number; readonly syncMs: number; readonly asyncMs: number }

export interface CheckpointAck extends TaskRef, AckTimes {
  readonly checkpointId: number;
  readonly since: number;
  readonly snapshot: TaskSnapshot;
  readonly stateBytes: number;
  readonly checkpointedBytes: number;
}

export interface EpochPassed extends TaskRef {
  readonly epoch: number;
  /** False when nothing went through the task since the barrier before. */
  readonly changed: boolean;
  /** Every table source has finished its backfill, and has read up to the barrier's log position. */
  readonly caughtUp: boolean;
  /** Oldest log position this task still needs; Infinity = none. */
  readonly logPosition: number;
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** All inputs have ended before this barrier. */
  readonly ended: boolean;
}

export interface QuerySpec {
  readonly queryId: number;
  readonly plan: Plan;
  readonly system: readonly { readonly name: string; readonly batches: readonly Batch[] }[];
  readonly catalog: CatalogSnapshot | null;
  readonly user: string;
  readonly timeZone: string;
  readonly nowUs: number;
  /** Pinned reads of the plan's view nodes: node id of the view node → pins in workers. */
  readonly pins: readonly { readonly viewNodeId: number; readonly parts: readonly Pin[] }[];
}

export interface Pin { readonly worker: number; readonly readId: number }

export interface SubscribeSpec { readonly jobId: number; readonly attempt: number; readonly nodeId: number; readonly subscriptionId: number; readonly snapshot: boolean }

export interface TaskInfos {
  readonly operators: OperatorInfo[];
  readonly tasks: TaskInfo[];
  readonly channels: ChannelInfo[];
  readonly sources: SourceInfo[];
  readonly sinks: SinkInfo[];
  readonly watermarks: WatermarkInfo[];
  readonly stateTables: StateTableInfo[];
}

/** Answered by a worker. A type, not an interface, so that it is assignable to a table of methods. */
export type WorkerMethods = {
  deploy(spec: DeploySpec): void;
  /** After every task of the job is deployed: sources begin. */
  start(job: { jobId: number; attempt: number }): void;
  barrier(arg: { jobId: number; attempt: number; barrier: Barrier }): void;
  completed(arg: { jobId: number; attempt: number; checkpointId: number }): void;
  aborted(arg: { jobId: number; attempt: number; checkpointId: number }): void;
  stop(arg: { jobId: number; attempt: number }): void;
  /** Opens readers on the materialize nodes; all at the tasks' last barrier. Gives one read id a node. */
  pin(arg: { jobId: number; attempt: number; nodeIds: readonly number[] }): number[];
  /** Readers opened while passing barrier `epoch` (see openReads of `barrierReads`). */
  readChunk(arg: { readId: number }): Batch | null;
  unpin(arg: { readId: number }): void;
  query(spec: QuerySpec): void;
  /** The client took a batch: one more may be made. */
  queryMore(arg: { queryId: number }): void;
  queryCancel(arg: { queryId: number }): void;
  subscribe(spec: SubscribeSpec): void;
  unsubscribe(arg: { subscriptionId: number }): void;
  infos(arg: null): TaskInfos;
  ping(arg: null): void;
};

/** Answered by the main thread. */
export type MainMethods = {
  passed(arg: EpochPassed): void;
  acknowledged(arg: CheckpointAck): void;
  declined(arg: TaskRef & { checkpointId: number; reason: string; error: ErrorData }): void;
  taskFailed(arg: TaskRef & { error: ErrorData }): void;
  /** All inputs of the task ended: the job needs a final barrier. */
  taskEnded(arg: TaskRef): void;
  /** Rows went through a task that was idle since its last barrier. */
  active(arg: { jobId: number; attempt: number }): void;
  /** The dirty state is over its share: a checkpoint would let it go. */
  wantCheckpoint(arg: { jobId: number; attempt: number }): void;
  queryBatch(arg: { queryId: number; batch: Batch }): void;
  queryEnd(arg: { queryId: number; error: ErrorData | null }): void;
  /** Chunk of a read pinned in another worker. */
  remoteChunk(arg: { worker: number; readId: number }): Batch | null;
  subscriptionBatch(arg: { subscriptionId: number; epoch: number; snapshot: boolean; batch: Batch | null }): void;
  deadLetter(arg: DeadLetterInfo): void;
  log(arg: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields: Readonly<Record<string, Json>> }): void;
};
