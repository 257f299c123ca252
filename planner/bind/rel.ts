/**
 * The logical algebra between binding and physical plans.
 *
 * Every column of every relation occurrence has its own id (ColId), unique in the query; expressions refer to columns by id
 * (`column.index` = ColId), so that moving a predicate or dropping a column never renumbers anything. planner/plan/lower.ts turns ids
 * into positions. CTEs and views are bound anew where they are used; equal physical nodes are merged at the end.
 */
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Frame, RangeLimits, RankFunction, Recursion } from '../../types/plan.js';
import type { MaterializedViewRelation, StreamRelation, SystemRelation, TableRelation } from '../catalog.js';

export type ColId = number;

export interface ColInfo {
  readonly id: ColId;
  readonly name: string;
  readonly type: SqlType;
  /** Event time: id of the hidden column with the row's split watermark; null = an ordinary column. */
  readonly rowtime: ColId | null;
  /** A generated column that is now(): processing time. */
  readonly processingTime: boolean;
}

export type Rel =
  | ScanRel | RowsRel | FilterRel | ProjectRel | WindowRel | SessionRel | ProcessRel | UnnestRel | ExpandRel | AggregateRel | OverRel | TopNRel | JoinRel | UnionRel | SortRel | LimitRel;

export type ScannedRelation = StreamRelation | TableRelation | MaterializedViewRelation | SystemRelation;

/** `cols[i]` is column i of the relation (a stream's generated columns stand in a project above; their ids are unused here). */
export interface ScanRel {
  readonly rel: 'scan';
  readonly relation: ScannedRelation;
  readonly cols: readonly ColId[];
  /** Streams with a WATERMARK: the hidden column's id, and both expressions over `cols`. */
  readonly watermark: { readonly id: ColId; readonly timeExpr: Expr; readonly watermarkExpr: Expr } | null;
  /** DEFAULTs of a stream's columns, by column index. */
  readonly defaults: ReadonlyMap<number, Expr>;
}
export interface RowsRel {
  readonly rel: 'rows';
  readonly cols: readonly ColId[];
  readonly rows: readonly (readonly Expr[])[];
  /** As a RowsNode's. */
  readonly recursion?: Recursion;
  readonly working?: number;
}
export interface FilterRel { readonly rel: 'filter'; readonly input: Rel; readonly preds: readonly Expr[] }
export interface Item { readonly id: ColId; readonly expr: Expr }
/** `items` may grow: hidden columns (split watermark, stream key) are threaded through when a reader needs them. */
export interface ProjectRel { readonly rel: 'project'; readonly input: Rel; readonly items: Item[] }
export interface WindowRel {
  readonly rel: 'window';
  readonly input: Rel;
  readonly time: ColId;
  readonly start: ColId;
  readonly end: ColId;
  readonly sizeUs: number;
  readonly slideUs: number;
  readonly offsetUs: number;
  readonly late: ColId | null;
  readonly cumulate: boolean;
  /** Set while lowering: see WindowNode. */
  readonly ranges?: true;
}
export interface SessionRel {
  readonly rel: 'session';
  readonly input: Rel;
  readonly time: ColId;
  readonly start: ColId;
  readonly end: ColId;
  readonly gapUs: number;
  readonly partition: readonly ColId[];
  readonly late: ColId | null;
  /** Of SESSION in the client's text, for errors. */
  readonly position: number | undefined;
}
/** An own function: sees the columns `seen` of its input by `names`, puts out `cols`. */
export interface ProcessRel {
  readonly rel: 'process';
  readonly input: Rel;
  readonly fn: string;
  readonly args: Readonly<Record<string, string | number | boolean | null>>;
  readonly seen: readonly ColId[];
  readonly partition: readonly ColId[];
  readonly time: ColId | null;
  readonly cols: readonly ColId[];
  /** Of its name in the client's text, for errors. */
  readonly position: number | undefined;
}
export interface SetFunction { readonly fn: string; readonly args: readonly Expr[]; readonly cols: readonly ColId[] }
/** Puts out its input's columns, those of the functions, the ordinality. */
export interface UnnestRel extends SetFunction {
  readonly rel: 'unnest';
  readonly input: Rel;
  /** Functions in lockstep with the first. */
  readonly beside: readonly SetFunction[];
  readonly ordinality: ColId | null;
  readonly outer: boolean;
}
export interface OrderItem { readonly expr: Expr; readonly descending: boolean; readonly nullsFirst: boolean }
export interface AggCall {
  readonly id: ColId;
  readonly fn: string;
  readonly args: readonly Expr[];
  readonly distinct: boolean;
  readonly filter: Expr | null;
  readonly orderBy: readonly OrderItem[];
  /** Of an aggregate WITHIN GROUP: over FROM's columns until it stands in an AggregateRel, then over its keys. */
  readonly direct?: readonly Expr[];
  readonly type: SqlType;
}
/**
 * Grouping sets: each row once for each set, with the set's number in `set`; `keys` (those that some set lacks) are NULL in rows of sets that lack
 * them. Puts out its input's columns too. A set without keys has one row more, of NULLs, in which `present` is false; null: there is no such set.
 */
export interface ExpandRel {
  readonly rel: 'expand';
  readonly input: Rel;
  readonly keys: readonly Item[];
  /** Ids of the keys that each set has. */
  readonly sets: readonly ReadonlySet<ColId>[];
  readonly set: ColId;
  readonly present: ColId | null;
}
export interface AggregateRel {
  readonly rel: 'aggregate';
  readonly input: Rel;
  readonly keys: readonly Item[];
  readonly calls: readonly AggCall[];
}
export interface OrderedItem { readonly item: Item; readonly descending: boolean; readonly nullsFirst: boolean }
/** Window functions of one PARTITION BY and ORDER BY. Puts out its input's columns and one for each call. Items that are columns keep the column's id. */
export interface OverRel {
  readonly rel: 'over';
  readonly input: Rel;
  readonly partition: readonly Item[];
  readonly order: readonly OrderedItem[];
  readonly calls: readonly OverCallItem[];
}
export interface OverCallItem {
  readonly id: ColId;
  readonly fn: string;
  readonly args: readonly Item[];
  readonly filter: Item | null;
  readonly frame: Frame;
  readonly limits: RangeLimits<Item> | null;
  readonly type: SqlType;
}
/** Rows that rank `from` to `to` (null: no end) in their partition; `rank`: id of the rank's column. */
export interface TopNRel {
  readonly rel: 'topn';
  readonly input: Rel;
  readonly fn: RankFunction;
  readonly partition: readonly Item[];
  readonly order: readonly OrderedItem[];
  readonly from: number;
  readonly to: number | null;
  readonly rank: ColId | null;
}
export type JoinKind = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti';
export interface JoinRel { readonly rel: 'join'; readonly kind: JoinKind; readonly left: Rel; readonly right: Rel; readonly on: readonly Expr[]; /** FOR SYSTEM_TIME AS OF processing time. */ readonly lookup?: { readonly position: number | undefined } }
/** UNION ALL: `from[k]` is the column of input k. May grow like a project's items. */
export interface UnionRel { readonly rel: 'union'; readonly inputs: readonly Rel[]; readonly cols: { readonly id: ColId; readonly from: readonly ColId[] }[] }
export interface SortRel { readonly rel: 'sort'; readonly input: Rel; readonly keys: readonly { readonly col: ColId; readonly descending: boolean; readonly nullsFirst: boolean }[] }
export interface LimitRel { readonly rel: 'limit'; readonly input: Rel; readonly limit: Expr | null; readonly offset: Expr | null }

/** Ids of all columns a relation puts out (hidden ones included only where they have been threaded). */
export function outputIds(rel: Rel): ColId[] {
  switch (rel.rel) {
    case 'scan': return rel.watermark === null ? [...rel.cols] : [...rel.cols, rel.watermark.id];
    case 'rows': return [...rel.cols];
    case 'filter': case 'sort': case 'limit': return outputIds(rel.input);
    case 'project': return rel.items.map((i) => i.id);
    case 'window': case 'session': return [...outputIds(rel.input), rel.start, rel.end];
    case 'process': return [...rel.cols];
    case 'unnest': return [...outputIds(rel.input), ...unnestColumns(rel)];
    case 'expand': return [...outputIds(rel.input), ...expandedIds(rel)];
    case 'aggregate': return [...rel.keys.map((k) => k.id), ...rel.calls.map((c) => c.id)];
    case 'over': return [...outputIds(rel.input), ...rel.calls.map((c) => c.id)];
    case 'topn': return rel.rank === null ? outputIds(rel.input) : [...outputIds(rel.input), rel.rank];
    case 'join': return rel.kind === 'semi' || rel.kind === 'anti' ? outputIds(rel.left) : [...outputIds(rel.left), ...outputIds(rel.right)];
    case 'union': return rel.cols.map((c) => c.id);
  }
}

export const unnestColumns = (rel: UnnestRel): ColId[] => [...rel.cols, ...rel.beside.flatMap((f) => f.cols), ...(rel.ordinality === null ? [] : [rel.ordinality])];

/** The columns that an expand adds. */
export const expandedIds = (rel: ExpandRel): ColId[] => [...rel.keys.map((k) => k.id), rel.set, ...(rel.present === null ? [] : [rel.present])];

/**
 * Makes column `id`, which some relation below puts out, a column of `rel` as well. False where an aggregate hides it, and for
 * `rowOnly` also at joins: a joined row may come out long after its own time.
 */
export function threadColumn(rel: Rel, id: ColId, type: SqlType, rowOnly: boolean): boolean {
  switch (rel.rel) {
    case 'scan': case 'rows': case 'process': return outputIds(rel).includes(id);
    case 'filter': case 'sort': case 'limit': case 'window': case 'unnest': case 'expand':
      return threadColumn(rel.input, id, type, rowOnly) || (!rowOnly && outputIds(rel).includes(id));
    case 'session':
      // Its rows come out long after their own time.
      return !rowOnly && (threadColumn(rel.input, id, type, rowOnly) || outputIds(rel).includes(id));
    case 'project':
      if (rel.items.some((i) => i.id === id)) return !rowOnly || threadColumn(rel.input, id, type, rowOnly);
      if (!threadColumn(rel.input, id, type, rowOnly)) return false;
      rel.items.push({ id, expr: { node: 'column', index: id, type } });
      return true;
    case 'over': case 'topn':
      // Their rows come again when others change: not with their own time.
      return !rowOnly && (rel.partition.some((i) => i.id === id) || threadColumn(rel.input, id, type, rowOnly) || outputIds(rel).includes(id));
    case 'join':
      if (rowOnly) return false;
      if (threadColumn(rel.left, id, type, rowOnly)) return true;
      return rel.kind !== 'semi' && rel.kind !== 'anti' && threadColumn(rel.right, id, type, rowOnly);
    case 'aggregate': case 'union': return outputIds(rel).includes(id);
  }
}
