/**
 * The engine as the server sees it: jobs, batch queries, reads, subscriptions, checkpoints. Lives on the main thread; all tasks and
 * queries run in a fixed pool of worker threads. Contract; implemented by runtime/jobs/*.
 */
import type { S3Settings } from '../storage/location.js';
import type { Plan } from '../types/plan.js';
import type { JobSettings } from '../types/settings.js';
import type { SqlError } from '../types/error.js';
import type { RestorePhase } from './state/restoreprogress.js';
import type { CheckpointContent } from './jobs/checkpointcontent.js';
import type { CatalogSnapshot } from './query.js';
import type { Batch } from './batch.js';
import type { Column } from '../types/sqltype.js';

export type JobStatus = 'created' | 'running' | 'restarting' | 'paused' | 'finished' | 'failed' | 'cancelled';

export interface JobSpec {
  readonly jobId: number;
  readonly name: string;
  /** Stored plan; run as it is, also after a restart. */
  readonly plan: Plan;
  readonly settings: JobSettings;
  /** Given to a job created from a checkpoint or savepoint. */
  readonly restore?: RestoreSource;
  /** Status the catalog remembers: a finished, failed or paused job is opened for reading only. */
  readonly status: JobStatus;
  readonly createdMs: number;
}

export interface QueryOptions {
  /** Rows of system tables the plan reads, by name. */
  readonly system: ReadonlyMap<string, readonly Batch[]>;
  readonly catalog: CatalogSnapshot | null;
  readonly user: string;
  readonly timeZone: string;
  readonly nowUs: number;
  readonly signal: AbortSignal;
}

/** A running batch query. Iterate to the end or call `return` (closing a portal); backpressure: batches are made as they are taken. */
export interface QueryResult extends AsyncIterable<Batch> {
  readonly columns: readonly Column[];
}

export interface SubscriptionEvent {
  readonly epoch: number;
  /** True on the batches of the first epoch: the content of the view when the subscription began. */
  readonly snapshot: boolean;
  /** The view's changes (visible columns, weights); null: only the epoch moved on. */
  readonly batch: Batch | null;
}

export interface JobEvents {
  status(jobId: number, status: JobStatus, failure: SqlError | null): void;
  /** For LISTEN checkpoints and logs. */
  checkpoint(jobId: number, event: CheckpointRow): void;
  restored?(jobId: number, event: RestoreEvent): void;
}

/** A job's tasks began from a checkpoint. */
export interface RestoreEvent { readonly jobId: number; readonly jobName: string; readonly checkpointId: number; readonly kind: 'checkpoint' | 'savepoint'; readonly restoreMs: number; readonly restarts: number }

export interface CheckpointRow {
  jobId: number; jobName: string; checkpointId: number; kind: 'checkpoint' | 'savepoint';
  status: 'in_progress' | 'completed' | 'failed' | 'expired' | 'aborted';
  mode: 'exactly_once' | 'at_least_once'; unaligned: boolean; incremental: boolean;
  triggerMs: number; completionMs: number | null; acknowledgedTasks: number; totalTasks: number;
  stateBytes: number; checkpointedBytes: number; processedInflightBytes: number; persistedInflightBytes: number;
  /** Of the task that aligned longest. */
  alignmentMs: number;
  path: string | null; discarded: boolean; failureReason: string | null; failureMessage: string | null;
}
export interface CheckpointTaskRow {
  jobId: number; checkpointId: number; task: string; subtask: number; status: string; ackMs: number | null;
  startDelayMs: number; alignmentMs: number; syncMs: number; asyncMs: number;
  checkpointedBytes: number; processedInflightBytes: number; persistedInflightBytes: number; unaligned?: boolean;
}

export type CheckpointMetric = 'duration_ms' | 'alignment_ms' | 'state_bytes' | 'checkpointed_bytes' | 'processed_inflight_bytes' | 'persisted_inflight_bytes';
/** One metric over the completed checkpoints of a job that its history holds. */
export interface CheckpointSummaryRow {
  jobId: number; jobName: string; metric: CheckpointMetric; checkpoints: number;
  min: number; avg: number; p50: number; p90: number; p95: number; p99: number; max: number;
}
/** Since the job was created, also those that its history holds no more. */
export interface CheckpointCounts { jobId: number; jobName: string; restored: number; total: number; inProgress: number; completed: number; failed: number }

export interface SavepointRow {
  savepointId: number; jobId: number; jobName: string; path: string; checkpointId: number | null; triggerMs: number; completionMs: number | null;
  status: 'in_progress' | 'completed' | 'failed'; bytes: number; failureMessage: string | null;
}

/** Where a new job's state comes from until it has a checkpoint of its own. */
export interface RestoreSource {
  readonly path: string;
  /** Nodes of the job's plan whose state is there, under the same ids. */
  readonly nodes: readonly number[];
  /** Among them: streams whose log is another one, read from its start. */
  readonly resetLogs: readonly number[];
  /** The job owns the folder, and deletes it. */
  readonly claim: boolean;
}

export interface RestoreOptions { readonly allowNonRestored: boolean; readonly claim: boolean; readonly access: S3Settings }

/** One operator in EXPLAIN RESTORE. `operator` null: of the snapshot only. */
export interface RestoreRow { operator: string | null; matched: string | null; bytes: number | null; action: 'restored' | 'starts empty' | 'starts anew' | 'dropped'; why: string }

export interface JobInfo {
  jobId: number; name: string; status: JobStatus; parallelism: number; createdMs: number; startedMs: number | null; finishedMs: number | null;
  restarts: number; rowsIn: number; rowsOut: number; lastCheckpointId: number | null; failure: string | null; epoch: number;
}
export interface OperatorInfo { jobId: number; operatorId: number; operator: string; task: string; subtask: number; rowsIn: number; rowsOut: number; batchesIn: number; busyMs: number; counters: Record<string, number> }
export interface TaskInfo { jobId: number; task: string; subtask: number; worker: number; status: string; rowsIn: number; rowsOut: number; busyMs: number; idleMs: number; backpressuredMs: number; stateBytes: number; dirtyBytes: number }
export interface ChannelInfo { jobId: number; fromTask: string; fromSubtask: number; toTask: string; toSubtask: number; queuedBytes: number; backpressuredMs: number }
export interface SourceInfo { jobId: number; relationName: string; operatorId: number; subtask: number; split: string; position: string; lag: number | null; rows: number; skipped: number; watermarkUs: number | null }
export interface SinkInfo { jobId: number; relationName: string; operatorId: number; subtask: number; connector: string; rows: number; committedCheckpoint: number | null }
export interface WatermarkInfo { jobId: number; operatorId: number; operator: string; subtask: number; watermarkUs: number | null; lateRows: number; nullEventTimes: number }
export interface StateTableInfo { jobId: number; operatorId: number; operator: string; tableId: number; subtask: number; entries: number; residentEntries: number; bytes: number; dirtyBytes: number }
/** A task that gets its state back. */
export interface RestoreInfo {
  jobId: number; task: string; subtask: number; worker: number; checkpointId: number; phase: RestorePhase; startedMs: number;
  bytesDone: number; bytesTotal: number; entriesDone: number; entriesTotal: number | null;
}
export interface FailureInfo { jobId: number; jobName: string; timeMs: number; task: string | null; code: string; message: string; detail: string | null; restarts: number; action: 'restarted' | 'failed' | 'older_checkpoint' }
export interface DeadLetterInfo { jobId: number; relationName: string; split: string; position: string; reason: string; raw: Uint8Array; timeMs: number }

export interface Engine {
  /** Restores from the job's newest usable checkpoint, or starts from nothing. Resolves when its tasks run (or it is opened for reading). */
  startJob(spec: JobSpec): Promise<void>;
  /** The same of all jobs of a server that starts. */
  startJobs(specs: readonly JobSpec[]): Promise<void>;
  /** Adds views to a job at a barrier: `plan` is the whole new plan; nodes of fresh ids are backfilled from the materialize nodes they read. */
  extendJob(jobId: number, plan: Plan): Promise<void>;
  /** Takes nodes out at a barrier (DROP of one view of several). */
  shrinkJob(jobId: number, plan: Plan): Promise<void>;
  /** Stops the job and deletes its state and checkpoints (checkpoints are kept when externalized_checkpoints says so and `drop` is false). */
  dropJob(jobId: number): Promise<void>;
  cancelJob(jobId: number): Promise<void>;
  /** Other settings from now on: triggers, restarts and barriers that come read them. Only such as may change while a job runs. */
  alterJob(jobId: number, changes: Partial<JobSettings>): Promise<void>;
  /** Resolves when everything the job read of tables and views at creation is visible. */
  caughtUp(jobId: number, logPosition: number, signal: AbortSignal): Promise<void>;
  /** Resolves when log position `seq` is visible in all given jobs; 55000 naming a job that is failed or paused. */
  flush(seq: number, jobIds: readonly number[], signal: AbortSignal): Promise<void>;
  /** Triggers and awaits a checkpoint of one job, or all running ones; none of a finished one. Rejects with the failure's reason. */
  checkpoint(jobId: number | null, signal: AbortSignal): Promise<CheckpointRow[]>;
  /** Takes a savepoint into a new folder of `target` (null: savepoint_directory). Of a job that does not run: of its newest checkpoint. */
  savepoint(jobId: number, target: string | null, signal: AbortSignal): Promise<SavepointRow>;
  /** `access`: how s3:// is reached. */
  dropSavepoint(path: string, access: S3Settings): Promise<void>;
  savepoints(): SavepointRow[];
  /** A last checkpoint after which sources give nothing, and a savepoint of it (a folder's name, null: savepoint_directory, false: none); then the job is finished. */
  stopJob(jobId: number, options: { readonly savepoint: string | null | false }, signal: AbortSignal): Promise<SavepointRow | null>;
  /** The same without end: its tasks go, its views stay readable, `resumeJob` goes on. */
  pauseJob(jobId: number, signal: AbortSignal): Promise<void>;
  resumeJob(jobId: number, parallelism?: number): Promise<void>;
  /** The plan of a new job that goes on from `path`, and what it is told apart by; 55000 when it does not match. Reads the whole snapshot. */
  planRestore(plan: Plan, path: string, options: RestoreOptions): Promise<{ readonly plan: Plan; readonly source: RestoreSource; readonly notices: readonly string[]; readonly maxParallelism: number }>;
  explainRestore(plan: Plan, path: string, access: S3Settings): Promise<RestoreRow[]>;
  /** Called by the table store after each commit. */
  logAdvanced(seq: number): void;
  query(plan: Plan, options: QueryOptions): QueryResult;
  /** Snapshot, then changes epoch by epoch; ends with 40001 on a restart of the job, 53400 when the reader is too slow. */
  subscribe(jobId: number, nodeId: number, options: { snapshot: boolean; signal: AbortSignal }): AsyncIterable<SubscriptionEvent>;
  /** SELECT … EMIT CHANGES over streams: an ephemeral job without checkpoints whose single root is a materialize node read as a subscription. */
  subscribePlan(plan: Plan, settings: JobSettings, signal: AbortSignal): AsyncIterable<SubscriptionEvent>;
  /** Sequence below which no job needs the table log any more. */
  neededLogSeq(): number;

  jobs(): JobInfo[];
  operators(): Promise<OperatorInfo[]>;
  tasks(): Promise<TaskInfo[]>;
  channels(): Promise<ChannelInfo[]>;
  sources(): Promise<SourceInfo[]>;
  sinks(): Promise<SinkInfo[]>;
  watermarks(): Promise<WatermarkInfo[]>;
  stateTables(): Promise<StateTableInfo[]>;
  restores(): Promise<RestoreInfo[]>;
  checkpoints(): CheckpointRow[];
  checkpointTasks(): Promise<CheckpointTaskRow[]>;
  /** What a completed checkpoint wrote, by operator; 42704 when it is not retained. */
  checkpointContent(jobId: number, checkpointId: number): Promise<CheckpointContent>;
  checkpointSummary(): CheckpointSummaryRow[];
  checkpointCounts(): CheckpointCounts[];
  failures(): FailureInfo[];
  deadLetters(): DeadLetterInfo[];
  /** Takes a last checkpoint of every running job (SIGTERM), then stops the pool. */
  close(): Promise<void>;
}
