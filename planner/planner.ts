/**
 * The planner's face: a bound query, from one SELECT's raw parse tree to a physical plan.
 * Statements that are not queries are parsed by planner/parse into Statement nodes and executed by server/.
 */
import type { Column, SqlType } from '../types/sqltype.js';
import type { Plan } from '../types/plan.js';
import type { PlannerCatalog } from './catalog.js';

export type PlanMode =
  /** Ad-hoc SELECT: bounded; sort, limit, subqueries allowed; unbounded streams refused (0A000 with the hint). */
  | { readonly kind: 'batch' }
  /** A materialized view, sink or subscription: incremental operators only; root is materialize or sink. `firstNodeId`: ids are allocated from here. */
  | { readonly kind: 'job'; readonly firstNodeId: number; readonly relationId: number; readonly relationName: string };

export interface PlannedQuery {
  readonly plan: Plan;
  /** Columns the user sees. */
  readonly columns: readonly Column[];
  readonly paramTypes: readonly SqlType[];
  /** Relations the query reads (ids), for dependencies. */
  readonly reads: readonly number[];
  /** Jobs whose materialized views the query reads. */
  readonly readsJobs: readonly number[];
  readonly unbounded: boolean;
  readonly appendOnly: boolean;
  readonly key: readonly number[] | null;
  /** Messages for the client, e.g. implicit nondeterminism. */
  readonly notices: readonly string[];
}
export type { PlannerCatalog };
