/**
 * Physical plans: a DAG of operators as plain JSON data, made by the planner, stored in the catalog and in every
 * checkpoint's _metadata, run by runtime/. A node that several others read (a CTE used twice) stands once.
 *
 * `nodes` is in topological order (inputs before their readers). Node ids are unique in a job for ever (a view added to a
 * job later takes fresh ones), and state table ids derive from them: an operator's state table k has id `node.id * 16 + k`.
 */
import type { Column, SqlType } from './sqltype.js';
import type { Expr } from './expr.js';

export const PLAN_VERSION = 1;

export interface Plan {
  readonly version: number;
  readonly nodes: readonly PlanNode[];
  /** Ids of the nodes nobody reads: materialize and sink nodes of a job; one `output` node of a query. */
  readonly roots: readonly number[];
}

export interface NodeBase {
  readonly id: number;
  readonly inputs: readonly number[];
  /** Schema of this node's output batches. */
  readonly columns: readonly Column[];
  /** Proven by the planner: no batch of this edge ever carries a negative weight. */
  readonly appendOnly: boolean;
  /** Stream key: columns that identify a row of this edge; null = keyless, the whole row with its weight. */
  readonly key: readonly number[] | null;
  /** Time zone of the session that created a continuous query: its expressions are evaluated in it. Absent: UTC. */
  readonly timeZone?: string;
}

export type PlanNode =
  | SourceNode | TableNode | ViewNode | RowsNode | CalcNode | WindowNode | SessionNode | SessionAggregateNode | ProcessNode | UnnestNode | ExchangeNode
  | AggregateNode | ExtremeRowsNode | TopNNode | OverNode | JoinNode | LookupNode | UnionNode | MaterializeNode | SinkNode
  | SortNode | LimitNode | OutputNode;

/** A stream's connector. Columns = the columns the plan uses (decoders read only these), [+ the split watermark]. */
export interface SourceNode extends NodeBase {
  readonly op: 'source';
  readonly relationId: number;
  readonly relationName: string;
  readonly connector: string;
  /** WITH options, validated, as text. */
  readonly options: Readonly<Record<string, string>>;
  /** What to read from the connector, in order. Generated columns are computed by the calc above, unless the watermark needs them. */
  readonly fields: readonly SourceField[];
  /** Event time: evaluated over `fields`; `watermark` is the WATERMARK's expression (the column minus its delay). */
  readonly watermark: { readonly timeExpr: Expr; readonly watermarkExpr: Expr } | null;
  /**
   * When true the last output column (timestamp) is the row's split watermark before it: what the windows above use to
   * tell late rows. Null until the split has a watermark.
   */
  readonly splitWatermark: boolean;
  /** Set for a stream without connector: its log in the table store. */
  readonly logId: number | null;
  /** With logId: types of the stored rows (declared columns that are not generated); fields find theirs by `ordinal`. */
  readonly logTypes?: readonly SqlType[];
}

export interface SourceField {
  readonly name: string;
  readonly type: SqlType;
  /** JSON path ('$.bid.price'), or null: a JSON key or CSV column of the field's name. */
  readonly path: string | null;
  /** METADATA FROM: offset, partition, timestamp, key, headers, file, line; null = from the record. */
  readonly metadata: string | null;
  readonly notNull: boolean;
  /** DEFAULT expression (no columns), used when the field is missing from the record. */
  readonly defaultExpr: Expr | null;
  /** Index of the column among the stream's declared physical columns (CSV without header goes by position). */
  readonly ordinal: number;
}

/** A table: its rows now, then (in a job) its changes. */
export interface TableNode extends NodeBase {
  readonly op: 'table';
  readonly tableId: number;
  readonly tableName: string;
  /** Indexes of the table's columns that are read, in output order. */
  readonly fields: readonly number[];
  /** Types of all stored columns of the table: the row codec's schema. */
  readonly storedTypes: readonly SqlType[];
}

/** A materialized view, in a batch query: the rows of one published epoch. */
export interface ViewNode extends NodeBase {
  readonly op: 'view';
  readonly relationId: number;
  readonly relationName: string;
  readonly jobId: number;
  /** The materialize node that keeps the rows. */
  readonly nodeId: number;
  readonly fields: readonly number[];
  /** Batch queries: what a checkpoint holds (null: the last completed one) of the view, or of the state of the operator `nodeId`. */
  readonly checkpoint?: { readonly id: number | null; readonly state: boolean };
}

/** Constant rows: VALUES, FROM-less SELECT (one row, no columns), and system tables (rows given by the server at execution). */
export interface RowsNode extends NodeBase {
  readonly op: 'rows';
  readonly rows: readonly (readonly Expr[])[];
  /** Name of a system relation, e.g. 'pg_catalog.pg_class'; its rows are supplied with the query. */
  readonly system: string | null;
  /** Batch queries: the rows of a recursive query in place of `rows`. */
  readonly recursion?: Recursion;
  /** Inside the step of the recursion with this id: the rows that came last. */
  readonly working?: number;
}

/** WITH RECURSIVE: the rows of `base`, then those that `step` gives for the rows that came last, until there are none. `distinct`: no row comes twice (UNION). */
export interface Recursion { readonly id: number; readonly name: string; readonly distinct: boolean; readonly base: Plan; readonly step: Plan }

/** Filter then project; either may be trivial. */
export interface CalcNode extends NodeBase {
  readonly op: 'calc';
  readonly filter: Expr | null;
  readonly project: readonly Expr[];
}

/**
 * TUMBLE (slide = size), HOP and CUMULATE: adds window_start, window_end (type of the time column) as the last two columns.
 * CUMULATE: windows of slide, 2 slide, … size that all begin at a multiple of size.
 */
export interface WindowNode extends NodeBase {
  readonly op: 'window';
  readonly timeColumn: number;
  readonly sizeUs: number;
  readonly slideUs: number;
  readonly offsetUs: number;
  /** Column with the row's split watermark: windows ending at or before it are dropped as late. null = none are late. The column is kept in the output. */
  readonly lateColumn: number | null;
  readonly cumulate?: true;
  /** HOP: a row comes out once; window_start is the start of the first of its windows, window_end the end of the last. For an aggregate with `hop`. */
  readonly ranges?: true;
}

/** What SESSION windows are made of: rows of a partition at most `gapUs` apart are one session, which ends a gap after its last row. */
export interface Sessions {
  readonly timeColumn: number;
  /** No columns: all rows are one partition. */
  readonly partition: readonly number[];
  readonly gapUs: number;
  /** Column with the row's split watermark: sessions ending at or before it are closed to the row. null = none close. */
  readonly lateColumn: number | null;
  /** Output comes once, when the watermark has passed a session's end; else it follows every epoch (−old, +new). */
  readonly emitOnClose: boolean;
}

/** SESSION: the input's columns `keep`, then window_start, window_end. Keeps the rows of all sessions that are not closed. */
export interface SessionNode extends NodeBase, Sessions {
  readonly op: 'session';
  readonly keep: readonly number[];
  /** Without it there is no lateColumn. */
  readonly inputAppendOnly: boolean;
}

/** GROUP BY session: keeps the aggregates' states. Append-only input. Output: `keys`, then the aggregates. */
export interface SessionAggregateNode extends NodeBase, Sessions {
  readonly op: 'sessionaggregate';
  /** Positions in `partition`, or the session's edges. All of `partition` and at least one edge are among them. */
  readonly keys: readonly (number | 'start' | 'end')[];
  readonly calls: readonly AggregateCall[];
}

/**
 * An own function over a relation (runtime/functions/api.ts): sees its rows, puts out `columns`. Append-only input and output. Keyed state and
 * timers belong to the values of `partition`; no columns: it has none, and rows stay in the subtask where they are.
 */
export interface ProcessNode extends NodeBase {
  readonly op: 'process';
  readonly fn: string;
  readonly args: Readonly<Record<string, string | number | boolean | null>>;
  readonly partition: readonly number[];
  readonly timeColumn: number | null;
}

export interface LockstepFunction { readonly fn: string; readonly args: readonly Expr[] }

/** Set-returning functions in FROM (lateral) or in the select list: input columns, then the functions' columns (then ordinality). */
export interface UnnestNode extends NodeBase, LockstepFunction {
  readonly op: 'unnest';
  /** Functions in lockstep with the first: the shorter ones are padded with NULL. */
  readonly beside?: readonly LockstepFunction[];
  readonly ordinality: boolean;
  /** Keep the input row with NULLs when the function gives no row (LEFT JOIN LATERAL). */
  readonly outer: boolean;
}

/** Redistribution: 'hash' by the equality encoding of `keys`; 'single' to subtask 0. No-op at parallelism 1. */
export interface ExchangeNode extends NodeBase {
  readonly op: 'exchange';
  readonly kind: 'hash' | 'single';
  readonly keys: readonly number[];
}

export interface SortKey { readonly column: number; readonly descending: boolean; readonly nullsFirst: boolean }

export interface AggregateCall {
  /** Aggregate's id in the catalogue: 'count(*)', 'sum(int8)', 'string_agg(text,text)', … */
  readonly fn: string;
  /** Input columns. */
  readonly args: readonly number[];
  readonly distinct: boolean;
  /** Input boolean column; rows where it is not true do not count. */
  readonly filter: number | null;
  readonly orderBy: readonly SortKey[];
  /** Of an aggregate WITHIN GROUP: its direct arguments, over the group keys; `orderBy` and `args` are what it is ordered by then. */
  readonly direct?: readonly Expr[];
  readonly type: SqlType;
}

/**
 * GROUP BY. Output: group keys, then aggregates. No keys = one row always (also over empty input).
 * No aggregates = DISTINCT. Changes are emitted at barriers (−old, +new), once an epoch.
 */
export interface AggregateNode extends NodeBase {
  readonly op: 'aggregate';
  readonly groupKeys: readonly number[];
  readonly calls: readonly AggregateCall[];
  /** Input edge is append-only (max without its inputs). */
  readonly inputAppendOnly: boolean;
  /**
   * The group is over when the watermark reaches groupKey[keyIndex] + addUs: its state is freed then. Only over append-only input.
   * emitOnClose: output only then, once, append-only (EMIT ON WINDOW CLOSE); else output follows every epoch.
   */
  readonly closes: { readonly keyIndex: number; readonly addUs: number; readonly emitOnClose: boolean } | null;
  /** state_ttl: a group that was not written for so long goes, in silence: a later row of its key begins a new one, which takes nothing back. */
  readonly expires?: true;
  readonly hop?: HopRanges;
  /** Set when a parallel plan is cut, never in a stored one: the input has partial results (runtime/aggregates/partials.ts) in place of rows. */
  readonly partialInput?: true;
}

/**
 * The input has ranges of windows (WindowNode.ranges): start of the first in column `first`, end of the last in column `last`. Rows are added up
 * by range, and then to every window of it: of the group keys, `start` is the window's start, `end` its end (positions in groupKeys).
 */
export interface HopRanges {
  readonly first: number;
  readonly last: number;
  readonly sizeUs: number;
  readonly slideUs: number;
  readonly start: number | null;
  readonly end: number | null;
}

/**
 * The rows that rank from `from` to `to` (1-based; null = no end) in their partition: what a condition on row_number(), rank() or dense_rank() of a
 * subquery leaves, DISTINCT ON (1 to 1), and ORDER BY … LIMIT of a continuous query. Rows that are equal in the order come by their bytes.
 * Output: the input's columns, then with `rank` the rank (int8). Changes are emitted at barriers (−old, +new), once an epoch.
 */
export interface TopNNode extends NodeBase {
  readonly op: 'topn';
  readonly fn: RankFunction;
  readonly partition: readonly number[];
  readonly order: readonly SortKey[];
  readonly from: number;
  readonly to: number | null;
  readonly rank: boolean;
  /** Input edge is append-only: rows that rank behind `to` never come back. */
  readonly inputAppendOnly: boolean;
  /** As an aggregate's: a partition goes. */
  readonly expires?: true;
}

/** Rows of each partition with the largest value of `column` (int8), ties included. Input: a row's value only grows. Output: the input's columns; changes at barriers. */
export interface ExtremeRowsNode extends NodeBase {
  readonly op: 'extremerows';
  readonly partition: readonly number[];
  readonly column: number;
}

export type RankFunction = 'row_number' | 'rank' | 'dense_rank';

/** Window functions over one PARTITION BY and ORDER BY. Output: the input's columns, then one for each call. Changes are emitted at barriers. */
export interface OverNode extends NodeBase {
  readonly op: 'over';
  readonly partition: readonly number[];
  readonly order: readonly SortKey[];
  readonly calls: readonly OverCall[];
}

export interface OverCall {
  /** Id of a window function ('row_number()', 'lag(anyelement,int4)') or of an aggregate. */
  readonly fn: string;
  readonly args: readonly number[];
  /** Input boolean column (aggregates only); rows where it is not true do not count. */
  readonly filter: number | null;
  readonly frame: Frame;
  /** RANGE with an offset. */
  readonly limits?: RangeLimits<number>;
  readonly type: SqlType;
}

/** Rows, groups of peers (GROUPS), or values of the order column (RANGE) around the current row. */
export interface Frame {
  readonly mode: 'rows' | 'range' | 'groups';
  readonly start: FrameBound;
  readonly end: FrameBound;
  readonly exclude: 'none' | 'current row' | 'group' | 'ties';
}
/** `offset` only with preceding and following, of ROWS and GROUPS. */
export interface FrameBound { readonly at: 'unbounded preceding' | 'preceding' | 'current row' | 'following' | 'unbounded following'; readonly offset: number }

/** RANGE with an offset, of one type: each row's value, and where its frame starts and ends (null: that edge has no offset). */
export interface RangeLimits<T> { readonly value: T; readonly start: T | null; readonly end: T | null; readonly descending: boolean }
export const limitsOf = <T>(l: RangeLimits<T> | null | undefined): T[] => (l === null || l === undefined ? [] : [l.value, l.start, l.end].filter((x): x is NonNullable<typeof x> => x !== null) as T[]);
export const mapLimits = <T, U>(l: RangeLimits<T>, f: (x: T) => U): RangeLimits<U> => ({ value: f(l.value), start: l.start === null ? null : f(l.start), end: l.end === null ? null : f(l.end), descending: l.descending });

/** Equi-join; no keys = cross join with `residual`. Output: left columns, then right columns (semi, anti: left only). */
export interface JoinNode extends NodeBase {
  readonly op: 'join';
  readonly kind: 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti';
  /** Same length; types already equal (cast by calc nodes below). A NULL key matches nothing. */
  readonly leftKeys: readonly number[];
  readonly rightKeys: readonly number[];
  /** Over left columns then right columns; part of the join condition (matters for outer joins). */
  readonly residual: Expr | null;
  readonly leftAppendOnly: boolean;
  readonly rightAppendOnly: boolean;
  /** Of an append-only side: once the watermark has reached column + addUs at a barrier, nothing can meet the row: it is freed. Absent: rows stay. */
  readonly leftEnds?: { readonly column: number; readonly addUs: number };
  readonly rightEnds?: { readonly column: number; readonly addUs: number };
  /** state_ttl: rows of a side without end go when they are so old. */
  readonly expires?: true;
}

/**
 * JOIN … FOR SYSTEM_TIME AS OF processing time: each left row meets the right side's rows as they are in its epoch, once. Left side append-only, not kept.
 * The right side reads tables only: the job's streams begin when these have been read.
 */
export interface LookupNode extends NodeBase {
  readonly op: 'lookup';
  readonly kind: 'inner' | 'left';
  readonly leftKeys: readonly number[];
  readonly rightKeys: readonly number[];
  readonly residual: Expr | null;
}

export interface UnionNode extends NodeBase { readonly op: 'union' }

/** Keeps the result of a view; passes its input on to readers in the same job. Hidden trailing columns serve as key only. */
export interface MaterializeNode extends NodeBase {
  readonly op: 'materialize';
  readonly relationId: number;
  readonly relationName: string;
  /** Columns a reader sees: the first `visible` ones. */
  readonly visible: number;
  /** Above state that expires: a row takes the place of the one with its key, and what takes another row back than the one there is does nothing. */
  readonly replaces?: true;
}

export interface SinkNode extends NodeBase {
  readonly op: 'sink';
  /** The query's columns: the first so many. Behind them stand those of the key that it leaves out. */
  readonly visible: number;
  readonly relationId: number;
  readonly relationName: string;
  readonly connector: string;
  readonly options: Readonly<Record<string, string>>;
}

/** Batch only. */
export interface SortNode extends NodeBase { readonly op: 'sort'; readonly keys: readonly SortKey[]; /** keep this many first rows, null = all */ readonly top: number | null }
/** Batch only; expects order from below. */
export interface LimitNode extends NodeBase {
  readonly op: 'limit';
  readonly limit: number | null;
  readonly offset: number;
  /** LIMIT and OFFSET that are not numbers (int8, no columns): evaluated when the query runs, in place of the two. */
  readonly given?: { readonly limit: Expr | null; readonly offset: Expr | null };
}
/** Root of a batch query: hands batches to the client. Columns beyond `visible` (sort keys) are cut. */
export interface OutputNode extends NodeBase { readonly op: 'output'; readonly visible: number }
