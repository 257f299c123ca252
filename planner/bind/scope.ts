/**
 * Scopes: what names an expression may use. One Scope for one FROM clause; `parent` is the enclosing query's, whose columns become
 * `outer` expressions (values handed to the subplan). Aggregates and set-returning functions found while binding are collected in the Level.
 */
import type { CommonTableExpr } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { SqlError } from '../../types/error.js';
import type { Recursion } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import type { BindContext } from './context.js';
import { column, located, sameExpr } from './exprs.js';
import type { GroupingCall } from './grouping.js';
import { nearest } from './hints.js';
import type { Windows } from './over.js';
import type { AggCall, ColId } from './rel.js';
import type { BoundQuery } from './select.js';

export interface ScopeColumn { readonly name: string; readonly id: ColId }

/** One FROM item as its alias shows it. */
export interface ScopeItem {
  readonly alias: string;
  readonly columns: readonly ScopeColumn[];
  /** Columns of the primary key of a plain table: GROUP BY them covers the others. */
  readonly primaryKey: readonly ColId[] | null;
  /** Name of the relation behind the alias, for HINTs. */
  readonly relation?: string;
}

export interface Cte {
  readonly name: string;
  readonly ast: CommonTableExpr;
  readonly ctes: CteScope;
  uses: number;
  readonly recursive?: RecursiveCte;
  /** Inside its own recursive term. */
  readonly working?: { readonly id: number; readonly columns: readonly Column[] };
}
export interface RecursiveCte { readonly columns: readonly Column[]; readonly volatile: boolean; readonly recursion: Recursion }
export interface CteScope { readonly own: Map<string, Cte>; readonly parent: CteScope | null }

export function findCte(scope: CteScope | null, name: string): Cte | null {
  for (let s = scope; s !== null; s = s.parent) {
    const c = s.own.get(name);
    if (c !== undefined) return c;
  }
  return null;
}

export class Scope {
  readonly parent: Env | null;
  items: ScopeItem[] = [];
  /** What an unqualified name and `*` see: columns of the items, merged where USING joined them. */
  columns: ScopeColumn[] = [];
  /** Values over the parent's columns of this query's `outer` expressions. */
  readonly outer: Expr[];

  /** `outer` is shared by all scopes of one subplan: derived tables, branches of a UNION. */
  constructor(parent: Env | null, outer: Expr[]) {
    this.parent = parent;
    this.outer = outer;
  }
}

export interface SetCall { readonly fn: string; readonly args: readonly Expr[]; readonly id: ColId }

/** A scalar subquery that always gives one row, over values (`outer`) of the query around it. */
export interface ScalarSubquery { readonly bound: BoundQuery; readonly outer: readonly Expr[] }

/** Where an expression stands. */
export interface Env {
  readonly ctx: BindContext;
  readonly scope: Scope;
  readonly ctes: CteScope | null;
  /** As error messages call it: WHERE, JOIN/ON, GROUP BY, … */
  readonly clause: string;
  /** Collects aggregates; null where they are not allowed. */
  readonly aggregates: AggCall[] | null;
  /** Collects set-returning functions of the select list; null where they are not allowed. */
  readonly setCalls: SetCall[] | null;
  /** In place of "set-returning functions are not allowed in (clause)", with the HINT that FROM is the place. */
  readonly setsRefused?: string | undefined;
  readonly insideAggregate: boolean;
  /** Collects GROUPING, where aggregates are allowed. */
  readonly groupings?: GroupingCall[];
  /** Collects window functions; null or absent where they are not allowed. */
  readonly windows?: Windows | null;
  readonly insideWindow?: boolean;
  /** Continuous queries: collects scalar subqueries of one row, which the query is joined with; absent where that is not done. */
  readonly scalars?: ScalarSubquery[] | null;
}

export const withClause = (env: Env, clause: string): Env => ({ ...env, clause, aggregates: null, setCalls: null, windows: null });

/** The value of `schema.table.column`, `table.column` or `column`: here, or in an enclosing query. Throws 42703, 42702, 42P01. */
export function resolveColumn(env: Env, table: string | null, name: string, location: number | undefined): Expr {
  const found = lookup(env, table, name, location);
  if (found !== null) return located(found, location);
  throw table === null ? missingColumn(env, name, location) : missingQualified(env, table, name, location);
}

function lookup(env: Env, table: string | null, name: string, location: number | undefined): Expr | null {
  const { scope, ctx } = env;
  const columns = table === null ? scope.columns : itemsNamed(env, table, location).flatMap((i) => i.columns);
  let hit: ScopeColumn | null = null;
  for (const c of columns) {
    if (c.name !== name) continue;
    if (hit !== null && hit.id !== c.id) throw ctx.error('42702', `column reference "${name}" is ambiguous`, location);
    hit = c;
  }
  if (hit !== null) return column(hit.id, ctx.info(hit.id).type);
  if (scope.parent === null) return null;
  const above = lookup(scope.parent, table, name, location);
  if (above === null) return null;
  let index = scope.outer.findIndex((e) => sameExpr(e, above));
  if (index < 0) index = scope.outer.push(located(above, location)) - 1;
  return { node: 'outer', index, type: above.type };
}

function itemsNamed(env: Env, table: string, location: number | undefined): readonly ScopeItem[] {
  const items = env.scope.items.filter((i) => i.alias === table);
  if (items.length > 1) throw env.ctx.error('42P09', `table reference "${table}" is ambiguous`, location);
  return items;
}

export function findItem(env: Env, table: string): ScopeItem | null {
  for (let e: Env | null = env; e !== null; e = e.scope.parent) {
    const item = e.scope.items.find((i) => i.alias === table);
    if (item !== undefined) return item;
  }
  return null;
}

function missingColumn(env: Env, name: string, location: number | undefined): SqlError {
  const names = new Map<string, string>();
  for (let e: Env | null = env; e !== null; e = e.scope.parent) {
    for (const item of e.scope.items) for (const c of item.columns) if (!names.has(c.name)) names.set(c.name, `${item.alias}.${c.name}`);
  }
  const near = nearest(name, names.keys());
  const hint = near === null ? undefined : `Perhaps you meant to reference the column "${names.get(near) ?? near}".`;
  return env.ctx.error('42703', `column "${name}" does not exist`, location, { hint });
}

function missingQualified(env: Env, table: string, name: string, location: number | undefined): SqlError {
  const item = findItem(env, table);
  if (item === null) {
    for (let e: Env | null = env; e !== null; e = e.scope.parent) {
      const hidden = e.scope.items.find((i) => i.relation === table);
      if (hidden !== undefined) return env.ctx.error('42P01', `invalid reference to FROM-clause entry for table "${table}"`, location, { hint: `Perhaps you meant to reference the table alias "${hidden.alias}".` });
    }
    const aliases: string[] = [];
    for (let e: Env | null = env; e !== null; e = e.scope.parent) aliases.push(...e.scope.items.map((i) => i.alias));
    const near = nearest(table, aliases);
    return env.ctx.error('42P01', `missing FROM-clause entry for table "${table}"`, location, near === null ? {} : { hint: `Perhaps you meant to reference the table alias "${near}".` });
  }
  const near = nearest(name, item.columns.map((c) => c.name));
  return env.ctx.error('42703', `column ${table}.${name} does not exist`, location, near === null ? {} : { hint: `Perhaps you meant to reference the column "${table}.${near}".` });
}
