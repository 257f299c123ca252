/**
 * INSERT, UPDATE and DELETE as batch plans whose rows are stored rows of the target; server/sql/write.ts checks, encodes and commits them.
 *
 *   insert   the stored physical columns in order, without a table's hidden _row_id; defaults filled in, assignment casts done
 *   update   the stored row before (all stored columns, hidden row id too), then the stored row after: twice the width
 *   delete   the stored row before
 */
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Plan } from '../../types/plan.js';
import type { Datum } from '../../types/value.js';

export interface DmlPlan {
  readonly plan: Plan;
  readonly paramTypes: readonly SqlType[];
  /** Columns of RETURNING, null = none. */
  readonly returning: readonly Column[] | null;
  /** RETURNING over one stored row. */
  readonly project: ((stored: readonly Datum[]) => readonly Datum[]) | null;
  /** null = a taken key is an error; `update` gives the row to store, null when its WHERE is not true. */
  readonly onConflict: null | { readonly kind: 'nothing' } | { readonly kind: 'update'; readonly update: (existing: readonly Datum[], proposed: readonly Datum[]) => readonly Datum[] | null };
}

/*
 * Functions of this file, as server/ calls them:
 *   planInsert(statement: Insert, target: TableRelation | StreamRelation, catalog: PlannerCatalog, given: readonly (SqlType | null)[]): DmlPlan
 *   planUpdate(statement: Update, target: TableRelation, catalog, given): DmlPlan
 *   planDelete(statement: Delete, target: TableRelation, catalog, given): DmlPlan
 *   planInsertRows(target, columnNames: readonly string[] | null, position: number): { columns: readonly Column[]; complete(given: readonly Datum[]): readonly Datum[] }   COPY
 * and of its neighbours:
 *   planner/bind/column.ts      resolveType(ref: TypeRef): SqlType; bindDefault(e: Expression, type): Expr; bindColumnExpression(e: Expression, columns, type): Expr
 *   planner/plan/planquery.ts   planQuery(query: Query, catalog, mode: PlanMode, given): PlannedQuery
 *   planner/explain/explain.ts  explain(plan: Plan): string[]
 */
