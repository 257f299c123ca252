/**
 * The developer's interface: own functions over streams with state that checkpoints keep. Types only; users import them as `millrace/functions`.
 * Names and meanings are Apache Flink's (KeyedProcessFunction, CheckpointedFunction, CheckpointListener, state descriptors, StateTtlConfig).
 *
 * A module given to the server (`--extension FILE`, `open({ extensions })`) exports `functions`, `sources` and `sinks`, each an array. Every
 * worker imports it: an instance is made for each subtask, and everything but its state is gone after a failure.
 *
 * Order of calls on one instance, none of which overlap:  create → initializeState → open → (processElement | onTimer | snapshotState | notifyCheckpoint…)* → close.
 * All of them are synchronous. What one of them throws fails the job, which goes on from its last checkpoint as `restart_strategy` says.
 */
import type { Json } from '../../types/connect.js';

export type { Json };

/**
 * A value of a row. int2, int4: number; int8: number, or bigint beyond ±2^53; float: number; bool: boolean; text: string; bytea: Uint8Array;
 * timestamp, timestamptz: microseconds since 1970 as number (bigint beyond ±2^53); every other type (numeric, date, interval, jsonb, arrays …): its SQL text.
 */
export type Value = null | boolean | number | bigint | string | Uint8Array;
/** By column name. A column that a row given to `out` lacks is NULL. */
export type Row = Readonly<Record<string, Value>>;
/** `type`: as in SQL, 'numeric(10,2)'. */
export interface Field { readonly name: string; readonly type: string }

// ---- functions of SQL ----

export interface Parameter {
  readonly name: string;
  /** 'interval' arrives as microseconds. */
  readonly kind: 'text' | 'number' | 'integer' | 'boolean' | 'interval';
  /** Absent: the call must give it. */
  readonly default?: string | number | boolean | null;
}
export type Arguments = Readonly<Record<string, string | number | boolean | null>>;

/** A function in FROM: `SELECT … FROM name(relation, arguments …, partition_by => key, on_time => column)`. */
export interface TableFunctionDefinition {
  /** In lower case: a name of SQL. */
  readonly name: string;
  readonly description: string;
  /** After the relation, in order; also by name (`name => value`). Constants. */
  readonly parameters?: readonly Parameter[];
  /** Columns of the result. May throw: the statement fails with the message. Must give the same for the same. */
  columns(input: readonly Field[], args: Arguments): readonly Field[];
  create(spec: ProcessSpec): ProcessFunction;
}

export interface ProcessSpec {
  readonly jobId: number;
  readonly subtask: number;
  readonly parallelism: number;
  readonly args: Arguments;
  readonly input: readonly Field[];
  readonly columns: readonly Field[];
}

export interface Collector {
  /** Checked and converted at once: 22xxx names function and column. */
  collect(row: Row): void;
}

export interface RuntimeContext {
  readonly subtask: number;
  readonly parallelism: number;
  /** State of the key of the row (or timer) in hand. Without partition_by every use of it is an error. */
  readonly keyedStateStore: KeyedStateStore;
  /** Wall clock, ms. */
  now(): number;
}

export interface ProcessContext {
  /** µs; null without a time column, or where it is NULL. */
  readonly timestampUs: number | null;
  /** Columns of partition_by with the key's values. */
  readonly key: Row;
  readonly timerService: TimerService;
}

/** Event time. Timers are part of the key's state; one a key and time, however often it is registered. Without partition_by registering is an error. */
export interface TimerService {
  /** −Infinity before the first one. Rows at or below it are late: the function decides what they are worth. */
  currentWatermarkUs(): number;
  /** Fires when the watermark reaches it: at once, after this call, when it has. */
  registerEventTimeTimer(us: number): void;
  deleteEventTimeTimer(us: number): void;
}

export interface ProcessFunction extends Partial<CheckpointedFunction>, Partial<CheckpointListener> {
  open?(context: RuntimeContext): void;
  processElement(row: Row, context: ProcessContext, out: Collector): void;
  /** `context.timestampUs` is the timer's. In the order of time. At the end of a bounded input all timers fire. */
  onTimer?(timestampUs: number, context: ProcessContext, out: Collector): void;
  close?(): void;
}

// ---- checkpoints ----

export interface FunctionSnapshotContext {
  /** Null in own sources: what they give here is kept with whatever checkpoint comes next. */
  readonly checkpointId: number | null;
  readonly checkpointTimestampMs: number | null;
}

export interface FunctionInitializationContext {
  /** False on the job's first start. */
  readonly isRestored: boolean;
  readonly restoredCheckpointId: number | null;
  readonly operatorStateStore: OperatorStateStore;
  readonly keyedStateStore: KeyedStateStore;
}

export interface CheckpointedFunction {
  /** At a checkpoint's barrier, after every row before it and before any row behind it: put into operator state what is not there yet. */
  snapshotState(context: FunctionSnapshotContext): void;
  /** Before anything else, also after a failure and on another parallelism: get the states, and go on from what they hold. */
  initializeState(context: FunctionInitializationContext): void;
}

/** Told between rows. Some checkpoints may never be told of: their job ended, or a newer one stands for them. */
export interface CheckpointListener {
  notifyCheckpointComplete(checkpointId: number): void;
  notifyCheckpointAborted(checkpointId: number): void;
}

// ---- operator state: of a subtask ----

/** Elements are JSON. On another parallelism: list state is dealt out in turn, union list state is given whole to each, broadcast state is the same everywhere. */
export interface OperatorStateStore {
  listState<T extends Json>(descriptor: OperatorStateDescriptor): ListState<T>;
  /** After every restore it holds the elements of all subtasks. */
  unionListState<T extends Json>(descriptor: OperatorStateDescriptor): ListState<T>;
  /** Every subtask must keep the same in it. */
  broadcastState<K extends MapKey, V extends Json>(descriptor: OperatorStateDescriptor): MapState<K, V>;
}
export interface OperatorStateDescriptor { readonly name: string }

// ---- keyed state ----

/** Values are what structured clone takes (objects, Map, Set, Date, bigint, typed arrays …). What `value()` or `get()` gave must not be changed in place: call `update`. */
export interface KeyedStateStore {
  valueState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T>;
  listState<T>(descriptor: StateDescriptor): ListState<T>;
  mapState<K extends MapKey, V>(descriptor: StateDescriptor): MapState<K, V>;
  reducingState<T>(descriptor: ReducingStateDescriptor<T>): ReducingState<T>;
  aggregatingState<In, Acc, Out>(descriptor: AggregatingStateDescriptor<In, Acc, Out>): AggregatingState<In, Out>;
}

export interface StateDescriptor {
  /** What it is found by after a restore. One kind a name, without NUL characters. */
  readonly name: string;
  readonly ttl?: StateTtl;
}
export interface ValueStateDescriptor<T> extends StateDescriptor { readonly default?: T }
export interface ReducingStateDescriptor<T> extends StateDescriptor { reduce(a: T, b: T): T }
export interface AggregatingStateDescriptor<In, Acc, Out> extends StateDescriptor {
  createAccumulator(): Acc;
  /** Gives the new accumulator; may change the one given. */
  add(value: In, accumulator: Acc): Acc;
  getResult(accumulator: Acc): Out;
}

/**
 * Time to live, by the wall clock. Lists and maps: of each element. Expired values go when they are met, and in any case at the barrier of a
 * checkpoint about `ms` later.
 */
export interface StateTtl {
  readonly ms: number;
  /** What begins the time anew. Default 'OnCreateAndWrite'. */
  readonly updateType?: 'OnCreateAndWrite' | 'OnReadAndWrite';
  /** Default 'NeverReturnExpired'. */
  readonly visibility?: 'NeverReturnExpired' | 'ReturnExpiredIfNotCleanedUp';
}

export interface ValueState<T> {
  /** The default, or null, when there is none. */
  value(): T | null;
  update(value: T): void;
  clear(): void;
}
export interface ListState<T> {
  get(): T[];
  add(value: T): void;
  addAll(values: readonly T[]): void;
  /** In place of all that was there. */
  update(values: readonly T[]): void;
  clear(): void;
}
export type MapKey = string | number | bigint | boolean;
/** Keyed: each entry is stored by itself. Order: by the bytes of the key. */
export interface MapState<K extends MapKey, V> {
  get(key: K): V | null;
  put(key: K, value: V): void;
  remove(key: K): void;
  contains(key: K): boolean;
  entries(): [K, V][];
  keys(): K[];
  values(): V[];
  isEmpty(): boolean;
  clear(): void;
}
export interface ReducingState<T> { get(): T | null; add(value: T): void; clear(): void }
export interface AggregatingState<In, Out> { get(): Out | null; add(value: In): void; clear(): void }

// ---- own sources and sinks ----

export interface ConnectorSpec {
  readonly jobId: number;
  readonly relationName: string;
  /** WITH options, with the defaults of those not given. */
  readonly options: Readonly<Record<string, string>>;
  readonly columns: readonly Field[];
  readonly subtask: number;
  readonly parallelism: number;
}

export interface ConnectorOption {
  readonly name: string;
  readonly description: string;
  readonly kind: 'text' | 'integer' | 'number' | 'boolean' | 'duration' | 'size';
  readonly required?: boolean;
  readonly default?: string;
}

export interface SourceContext {
  /** `next()` would now give something after it gave 'idle'. */
  wake(): void;
  now(): number;
}

/**
 * A stream of `CREATE STREAM … WITH (connector = 'name')`. Which subtask reads what is the source's matter; what it has read is in its operator
 * state: `snapshotState` is called after every `next`, and a barrier that comes in between keeps what that call left.
 */
/** Rows of one split, as `splits` names it. */
export interface SplitRows { readonly split: string; readonly rows: readonly Row[] }
type Given = readonly Row[] | SplitRows | 'idle' | 'end';

export interface SourceFunction extends CheckpointedFunction, Partial<CheckpointListener> {
  open?(): void | Promise<void>;
  /** Some rows (a few thousand at most), 'idle' when there are none now (`context.wake()` follows), 'end' when none will come. */
  next(): Given | Promise<Given>;
  /**
   * Names of the splits (partitions, files) of this subtask that rows may still come from; `next` then gives SplitRows. Each has a watermark of its own, the subtask's is the
   * least of them, so that a split which is behind makes none of its rows late. Without it the subtask is one split.
   */
  splits?(): readonly string[];
  close?(): void | Promise<void>;
}

export interface SourceDefinition {
  readonly name: string;
  readonly description: string;
  readonly options?: readonly ConnectorOption[];
  /** It ends by itself with these options. */
  bounded(options: Readonly<Record<string, string>>): boolean;
  createFunction(spec: ConnectorSpec, context: SourceContext): SourceFunction;
}

/** `kind` +1: the row came; −1: it is taken back (updates are the two next to each other). Append-only input has +1 only. */
export interface Change { readonly row: Row; readonly kind: 1 | -1 }

/**
 * Exactly once: keep what came since the last checkpoint; `snapshotState` puts it into operator state (or its name, when it is durable elsewhere);
 * `notifyCheckpointComplete(id)` makes visible what checkpoints up to `id` held, and may be repeated after a recovery; `initializeState` finds what a
 * checkpoint held of which nobody knows whether it became visible, and makes it visible.
 */
export interface SinkFunction extends Partial<CheckpointedFunction> {
  open?(): void | Promise<void>;
  write(changes: readonly Change[]): void | Promise<void>;
  /** At a checkpoint, before `snapshotState`. */
  flush?(): void | Promise<void>;
  notifyCheckpointComplete?(checkpointId: number): void | Promise<void>;
  notifyCheckpointAborted?(checkpointId: number): void;
  close?(): void | Promise<void>;
}

export interface SinkDefinition {
  readonly name: string;
  readonly description: string;
  readonly options?: readonly ConnectorOption[];
  readonly guarantee: 'exactly_once' | 'at_least_once' | 'none';
  /** False: only append-only queries can be written. */
  readonly acceptsUpdates: boolean;
  createFunction(spec: ConnectorSpec): SinkFunction;
}

/** What an extension module may export. */
export interface Extension {
  readonly functions?: readonly TableFunctionDefinition[];
  readonly sources?: readonly SourceDefinition[];
  readonly sinks?: readonly SinkDefinition[];
}
