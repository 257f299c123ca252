/**
 * Typed scalar expressions as plain data: bound by the planner, compiled by runtime/codegen, stored in plans.
 *
 * `column` is an index into the operator's input columns (for a join's residual: left columns, then right columns).
 * A `call` names a function of the catalogue (types/functions) by its id: 'lower(text)', '+(int8,int8)', …; operators are
 * functions whose name is the operator's symbol. Strictness and volatility are facts of the catalogue, not of the node.
 * Literals are carried as the type's text form, so that a plan is JSON.
 */
import type { SqlType } from './sqltype.js';
import type { Plan } from './plan.js';

export type Expr =
  | { readonly node: 'column'; readonly index: number; readonly type: SqlType }
  | { readonly node: 'literal'; readonly text: string | null; readonly type: SqlType }
  /** Value of a parameter ($1 = index 0): only between Parse and Bind; plans that run hold literals instead. */
  | { readonly node: 'param'; readonly index: number; readonly type: SqlType }
  /** A column of the enclosing query, inside a subplan: index into `SubplanExpr.outer`. */
  | { readonly node: 'outer'; readonly index: number; readonly type: SqlType }
  | { readonly node: 'call'; readonly fn: string; readonly args: readonly Expr[]; readonly type: SqlType }
  /** Conversion between types; `explicit` selects Postgres' explicit rules (truncation of varchar(n)). */
  | { readonly node: 'cast'; readonly arg: Expr; readonly explicit: boolean; readonly type: SqlType }
  | { readonly node: 'and' | 'or'; readonly args: readonly Expr[]; readonly type: SqlType }
  | { readonly node: 'not'; readonly arg: Expr; readonly type: SqlType }
  | { readonly node: 'isnull'; readonly arg: Expr; readonly type: SqlType }
  /** IS [NOT] DISTINCT FROM: `equal` is the id of the '=' function of both sides' common type. */
  | { readonly node: 'distinct'; readonly left: Expr; readonly right: Expr; readonly equal: string; readonly type: SqlType }
  | { readonly node: 'case'; readonly whens: readonly { readonly when: Expr; readonly then: Expr }[]; readonly otherwise: Expr | null; readonly type: SqlType }
  | { readonly node: 'coalesce'; readonly args: readonly Expr[]; readonly type: SqlType }
  /** arg = ANY (list), with SQL's null rules; `equal` is the id of '='. NOT IN is not(in). */
  | { readonly node: 'in'; readonly arg: Expr; readonly list: readonly Expr[]; readonly equal: string; readonly type: SqlType }
  | { readonly node: 'array'; readonly elems: readonly Expr[]; readonly type: SqlType }
  /** op ANY/ALL (array): `fn` is a boolean operator's id taking (type of left, element type). */
  | { readonly node: 'anyall'; readonly all: boolean; readonly fn: string; readonly left: Expr; readonly right: Expr; readonly type: SqlType }
  | SubplanExpr;

/**
 * A subquery in an expression; batch queries only.
 * scalar: the one value (21000 when more than one row); exists: boolean; array: ARRAY(SELECT …);
 * any/all: `left fn column0` for the rows (IN is any with '=').
 */
export interface SubplanExpr {
  readonly node: 'subplan';
  readonly form: 'scalar' | 'exists' | 'array' | 'any' | 'all';
  readonly plan: Plan;
  /** Values, over the enclosing operator's columns, of the plan's `outer` nodes. */
  readonly outer: readonly Expr[];
  readonly left: Expr | null;
  readonly fn: string | null;
  readonly type: SqlType;
}
