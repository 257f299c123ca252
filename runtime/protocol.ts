/**
 * Messages between the main thread and the pool's workers: two method tables (see rpc.ts) and the plain data they carry.
 * A job runs in attempts: every restart, extension and shrinking is a new one; what comes from an older attempt is ignored.
 */
import type { StorageLocation } from '../storage/location.js';
import type { Plan } from '../types/plan.js';
import type { Json } from '../types/connect.js';
import type { ErrorData } from '../types/error.js';
import type { JobSettings } from '../types/settings.js';
import type { Barrier } from './operator.js';
import type { SqlType } from '../types/sqltype.js';
import type { FaultPlan } from '../storage/faults.js';
import type { TaskMetadata } from '../storage/checkpoint/metadata.js';
import type { PastSpec } from './task/past.js';
import type { WireBatch } from './vectors.js';
import type { CatalogSnapshot } from './query.js';
import type { DeadLetterInfo, OperatorInfo, SinkInfo, SourceInfo, RestoreInfo, StateTableInfo, TaskInfo, WatermarkInfo, ChannelInfo } from './engine.js';

export interface WorkerData {
  readonly index: number;
  /** One cell: the job whose task runs in the worker at this moment, 0 = none. Read by the main thread when the worker has died. */
  readonly running: Int32Array;
  readonly dataDir: string;
  /** Workers in the pool: places of subtasks follow from it. */
  readonly workers: number;
  /** Module that exports `connectors`. */
  readonly connectorsModule: string;
  /** Modules of users with own functions, sources and sinks. */
  readonly extensions: readonly string[];
  /** For tests. */
  readonly faults: FaultPlan | null;
}

/** A barrier on its way, with what is to be opened exactly at it: the same epoch in every task of the job. */
export interface Injected {
  readonly barrier: Barrier;
  readonly pins: readonly PinSpec[];
  readonly taps: readonly SubscribeSpec[];
  /** All tables of the job had been read at an earlier epoch: streams that are looked up in them may begin. */
  readonly tablesRead: boolean;
}

export interface TaskSpec { readonly fragment: number; readonly subtask: number }
/** What a channel between workers needs of a MessagePort. */
export interface ChannelPort {
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', run: (message: unknown) => void): unknown;
  close(): void;
}
/** One end of a channel whose other end is in another worker. */
export interface PortSpec { readonly key: string; readonly port: ChannelPort }

/** The restored state is of tasks of another parallelism (`from` null), or of another job in the folder `name` of a place. */
export interface MovedSpec {
  readonly from: { readonly location: StorageLocation; readonly name: string } | null;
  /** Nodes whose state is taken. */
  readonly nodes: readonly number[];
}

export interface DeploySpec {
  readonly jobId: number;
  readonly attempt: number;
  readonly name: string;
  readonly plan: Plan;
  readonly settings: JobSettings;
  /** Bytes of state that all the job's tasks of this worker together may hold in memory. */
  readonly stateMemory: number;
  /** Holds `<job id>/chk-<N>`. */
  readonly checkpoints: StorageLocation;
  /** Checkpoint to restore, or null for an empty start. */
  readonly restore: { readonly checkpointId: number; readonly tasks: readonly TaskMetadata[]; readonly moved?: MovedSpec } | null;
  /** Nodes that the plan gained since that checkpoint: backfilled from the materialize nodes they read before any other input flows. */
  readonly freshNodes: readonly number[];
  /** Epoch of the last barrier before this attempt. */
  readonly epoch: number;
  readonly nowUs: number;
  /** Only to be read from: no source is opened, no barrier comes. */
  readonly readOnly: boolean;
  readonly tasks: readonly TaskSpec[];
  readonly ports: readonly PortSpec[];
}

export interface TaskRef { readonly jobId: number; readonly attempt: number; readonly task: string }

export interface AckTimes { readonly startDelayMs: number; readonly alignmentMs: number; readonly syncMs: number; readonly asyncMs: number }

export interface CheckpointAck extends TaskRef, AckTimes {
  readonly checkpointId: number;
  readonly since: number;
  readonly metadata: TaskMetadata;
  readonly stateBytes: number;
  readonly checkpointedBytes: number;
  /** The task did not wait for its barrier to be aligned. */
  readonly unaligned: boolean;
  /** Taken from channels between the first barrier and the snapshot. */
  readonly processedInflightBytes: number;
  readonly persistedInflightBytes: number;
  /** Oldest log position the snapshot needs; Infinity = none. */
  readonly logPosition: number;
}

export interface EpochPassed extends TaskRef {
  readonly epoch: number;
  /** False when nothing went through the task since the barrier before. */
  readonly changed: boolean;
  /** Every table source has finished its backfill, and has read up to the barrier's log position. */
  readonly caughtUp: boolean;
  /** Every table source has finished its backfill. */
  readonly tablesRead: boolean;
  /** Oldest log position this task still needs; Infinity = none. */
  readonly logPosition: number;
  readonly rowsIn: number;
  readonly rowsOut: number;
  /** All inputs have ended before this barrier. */
  readonly ended: boolean;
  /** A source is far behind: a table still being read for the first time, or a stream whose end was not reached since the job (re)started. */
  readonly backlog: boolean;
}

export interface QuerySpec {
  readonly queryId: number;
  readonly plan: Plan;
  readonly system: readonly { readonly name: string; readonly batches: readonly WireBatch[]; readonly types: readonly SqlType[] }[];
  readonly catalog: CatalogSnapshot | null;
  readonly user: string;
  readonly timeZone: string;
  readonly nowUs: number;
  /** Pinned reads of the view nodes, in the order of `viewNodesOf`; one part a task that keeps rows of the view. */
  readonly pins: readonly (readonly Pin[])[];
  /** Checkpoints to be read by the plan's past nodes, in the order of `pastNodesOf`. */
  readonly past: readonly PastSpec[];
  /** Open these pins here and now, when nothing has gone through the job since its last barrier; else the query ends as `busy`. */
  readonly quiet: { readonly jobId: number; readonly attempt: number; readonly pins: readonly PinSpec[] } | null;
  /** The table log's end when the query began. */
  readonly logPosition: number;
}

/** Every task that keeps rows of the node opens a reader under this id in its worker. */
export interface PinSpec {
  readonly pinId: number;
  readonly nodeId: number;
  readonly fields: readonly number[];
  /** Only the row of this key is wanted; null = all rows. */
  readonly point: readonly KeyValue[] | null;
}
/** Text form of a value of a stored column. */
export interface KeyValue { readonly column: number; readonly text: string; readonly type: SqlType }
export interface Pin { readonly worker: number; readonly pinId: number }

export interface SubscribeSpec { readonly nodeId: number; readonly subscriptionId: number; readonly snapshot: boolean }

export interface TaskInfos {
  readonly operators: OperatorInfo[];
  readonly tasks: TaskInfo[];
  readonly channels: ChannelInfo[];
  readonly sources: SourceInfo[];
  readonly sinks: SinkInfo[];
  readonly watermarks: WatermarkInfo[];
  readonly stateTables: StateTableInfo[];
  readonly restores: RestoreInfo[];
}

/** Answered by a worker. A type, not an interface, so that it is assignable to a table of methods. */
export type WorkerMethods = {
  deploy(spec: DeploySpec): void;
  /** After every task of the job is deployed: sources begin. */
  start(job: { jobId: number; attempt: number }): void;
  barrier(arg: { jobId: number; attempt: number; injected: Injected }): void;
  completed(arg: { jobId: number; attempt: number; checkpointId: number }): void;
  aborted(arg: { jobId: number; attempt: number; checkpointId: number }): void;
  /** Answers when the job's sinks here have committed what completed checkpoints brought. */
  committed(arg: { jobId: number; attempt: number }): void;
  stop(arg: { jobId: number; attempt: number }): void;
  /** Opens readers at the last barrier of the only task, or of a job that is only read. Ids are the caller's. */
  pin(arg: { jobId: number; attempt: number; pins: readonly PinSpec[] }): void;
  readChunk(arg: { pinId: number }): WireBatch | null;
  unpin(arg: { pinId: number }): void;
  query(spec: QuerySpec): void;
  /** The client took a batch: one more may be made. */
  queryMore(arg: { queryId: number }): void;
  queryCancel(arg: { queryId: number }): void;
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
  queryBatch(arg: { queryId: number; batch: WireBatch }): void;
  /** `last`: the batch before the end, unless it went ahead. `busy`: it did not begin, its job was not quiet. */
  queryEnd(arg: { queryId: number; error: ErrorData | null; last: WireBatch | null; busy: boolean }): void;
  /** Chunk of a read pinned in another worker. */
  remoteChunk(arg: Pin): WireBatch | null;
  /** `snapshot` with a null batch: this task's part of the snapshot is complete. */
  subscriptionBatch(arg: { subscriptionId: number; epoch: number; snapshot: boolean; batch: WireBatch | null }): void;
  subscriptionFailed(arg: { subscriptionId: number; error: ErrorData }): void;
  deadLetter(arg: DeadLetterInfo): void;
  log(arg: { level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields: Readonly<Record<string, Json>> }): void;
};
