/**
 * What an operator is. Operators are synchronous; only the task loop (runtime/task.ts) awaits.
 *
 * Contract, in the order the task loop keeps it, for one operator instance (one node of the plan in one subtask):
 *   1. constructor(node, context); `restore` state tables are already attached when `open` is called.
 *   2. For each batch: `prefetch(batch, input)`; when it gives a promise the loop awaits it (state keys not in memory);
 *      then `process(batch, input)`. Nothing else runs on the operator in between.
 *   3. `watermark(us)`: the combined minimum over the operator's inputs rose to `us` (Infinity = input ended). The loop passes
 *      it on to the readers after the call. An operator that must read evicted state first gives a promise from `prefetchWatermark`.
 *   4. `barrier(barrier)`: all inputs reached the barrier. The operator emits what it owes for the epoch (aggregates: −old, +new).
 *      Readers have got it before their own `barrier` call. Its state tables are then frozen by the task when the barrier carries a checkpoint.
 *      With `midEpoch` the epoch goes on afterwards, and rows that belong to it are still to come.
 *   5. `end()`: bounded input is over (after watermark Infinity and before the final barrier). Batch queries: emit everything owed.
 *
 * Output goes to `context.emit(batch)`, any number of times inside process/watermark/barrier/end; the loop queues it for the readers.
 * Operators accept any order inside an epoch, and counts that pass through negative values; by the barrier counts are >= 0.
 */
import type { PlanNode } from '../types/plan.js';
import type { Batch } from './batch.js';
import type { StateTable, GroupTable } from './state/table.js';
import type { RowLog } from './state/rowlog.js';
import type { Json } from '../types/connect.js';
import type { TableFunctionDefinition } from './functions/api.js';

export interface Barrier {
  /** Rises by one with every barrier of the job; results become visible one whole epoch at a time. */
  readonly epoch: number;
  /** Checkpoint that tasks snapshot at this barrier, or null for a light barrier. */
  readonly checkpoint: {
    readonly id: number;
    /** C: last completed checkpoint when triggered; 0 = none. */
    readonly since: number;
    /** incremental_checkpoints is off: the whole state is written, as if nothing had been before. */
    readonly whole?: true;
    /** It is a savepoint: newer checkpoints do not supersede it, and it ends without being one. */
    readonly savepoint?: true;
    /** The job stops with it: after this barrier sources give nothing. */
    readonly last?: true;
  } | null;
  /** Table-log position S: table sources emit exactly the transactions <= S before this barrier. */
  readonly logPosition: number;
  /** Wall clock at injection, microseconds: now() in continuous queries of the next epoch. */
  readonly timeUs: number;
  /**
   * A checkpoint barrier that ends no epoch (docs/decisions/012-unaligned.md): operators emit what they owe, but free nothing that the rest of the
   * epoch may need, and show nothing. `unalignedAfterMs`: start delay from which on it overtakes what is queued; null = it never does, and blocks nothing.
   */
  readonly midEpoch?: { readonly unalignedAfterMs: number | null };
}

export interface OperatorContext {
  readonly jobId: number;
  readonly subtask: number;
  readonly parallelism: number;
  /** True in ad-hoc queries: bounded, no state kept, no barriers but the end. */
  readonly batchMode: boolean;
  emit(batch: Batch): void;
  /** k-th state table of this node (id = node.id * 16 + k). Call only in the constructor. */
  stateTable(k: number): StateTable;
  groupTable(k: number, order: 'bag' | 'ordered'): GroupTable;
  /** As a state table: rows that are only added, by key. */
  rowLog(k: number): RowLog;
  /** Counts shown in system tables: 'late_rows', 'null_event_time', 'sync_reads'. */
  count(name: string, by: number): void;
  /** What own functions need: those there are, and the wall clock (ms). Absent where none runs. */
  readonly own?: { readonly functions: readonly TableFunctionDefinition[]; now(): number };
  /** state_ttl, where it is set: for nodes that expire. `nowUs` reads the clock that barriers are stamped by. */
  readonly ttl?: { readonly us: number; nowUs(): number };
  /** Session facts for functions: now() (µs), time zone, current user, catalog lookups in batch queries. */
  readonly session: import('./codegen/context.js').EvalContext;
}

export interface Owed {
  readonly input: number;
  readonly batch: Batch;
  /** Columns by which the input's rows are spread over subtasks; null = a row may go to any, before all later ones. */
  readonly keys: readonly number[] | null;
}

export interface Operator {
  readonly node: PlanNode;
  /** True once it needs no more input (a LIMIT is full); batch queries stop their sources then. */
  readonly done?: boolean;
  prefetch?(batch: Batch, input: number): Promise<void> | null;
  process(batch: Batch, input: number): void;
  /** True after `process` or `resume`: rows of that batch are left (a long series). The loop calls `resume` when what was emitted has gone on. */
  readonly unfinished?: boolean;
  resume?(): void;
  prefetchWatermark?(us: number): Promise<void> | null;
  watermark?(us: number): void;
  prefetchBarrier?(barrier: Barrier): Promise<void> | null;
  barrier?(barrier: Barrier): void;
  end?(): void;
  /** Input that waits for the end of the epoch: a checkpoint in its midst keeps it, and gives it again after a restore. */
  owed?(): readonly Owed[];
  /** Small operator state outside state tables (source positions, sink parts): JSON kept with the checkpoint. */
  snapshot?(barrier: Barrier): Json | Promise<Json>;
  restore?(state: Json): void;
  /** After `restore` (which is not called where there is nothing to restore), before anything else. */
  begin?(restoredCheckpoint: number | null): void;
  /** The checkpoint completed; older ones that were not heard of are superseded by it. Between two batches. */
  completed?(checkpointId: number): void;
  /** The checkpoint ended without completing. Not told of those that end with the job's attempt. */
  aborted?(checkpointId: number): void;
  /**
   * Emits all rows of its k-th table of `stateTablesOf` (operators/statetables.ts): for people who look at a checkpoint. Everything is in memory, and
   * nothing else is asked of this instance.
   */
  readState?(k: number): void;
  close?(): void;
}
