/**
 * Window functions: f(…) OVER (PARTITION BY … ORDER BY … frame) and OVER w. They are evaluated after GROUP BY and HAVING, before DISTINCT, ORDER
 * BY and LIMIT: found while the select list and ORDER BY are bound, they stand there as columns, and `overRels` puts the relations that
 * compute them on top of the grouped input, one for each different (PARTITION BY, ORDER BY).
 */
import type { FuncCall, Node, WindowDef } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { SqlType } from '../../types/sqltype.js';
import { limitsOf, mapLimits, type Frame, type RangeLimits } from '../../types/plan.js';
import { functionError, typesOf } from './call.js';
import { coerce, coerceBoolean, known } from './coerce.js';
import type { BindContext } from './context.js';
import { bindExpr } from './expr.js';
import { column, located, locationOf, sameExpr } from './exprs.js';
import { bindFrame, type BoundFrame } from './frame.js';
import { aggregatesNamed, functionsNamed, windowFunctionsNamed } from './functions.js';
import { requireEquality } from './operator.js';
import { bindOrder } from './order.js';
import type { Item, OrderItem, OverCallItem, Rel } from './rel.js';
import { resolveOverload } from './resolve.js';
import type { Env } from './scope.js';

export interface WindowCall {
  readonly id: number;
  readonly fn: string;
  readonly args: readonly Expr[];
  readonly filter: Expr | null;
  readonly frame: Frame;
  readonly limits: RangeLimits<Expr> | null;
  readonly type: SqlType;
}

interface WindowSpec { readonly partition: readonly Expr[]; readonly order: readonly OrderItem[] }

/** What a query's binding collects of them. `defs`: its WINDOW clause. */
export interface Windows {
  readonly defs: readonly WindowDef[];
  readonly specs: { readonly spec: WindowSpec; readonly calls: WindowCall[] }[];
}

export function newWindows(ctx: BindContext, clause: readonly Node[] | undefined): Windows {
  const defs: WindowDef[] = [];
  for (const node of clause ?? []) {
    if (!('WindowDef' in node)) continue;
    if (defs.some((d) => d.name === node.WindowDef.name)) throw ctx.error('42P20', `window "${node.WindowDef.name ?? ''}" is already defined`, node.WindowDef.location);
    defs.push(node.WindowDef);
  }
  return { defs, specs: [] };
}

export function bindWindowCall(env: Env, name: string, call: FuncCall, over: WindowDef, at: number): Expr {
  const { ctx } = env;
  const aggregates = aggregatesNamed(name);
  const own = windowFunctionsNamed(name);
  if (env.insideAggregate) throw ctx.error('42803', 'aggregate function calls cannot contain window function calls', at);
  if (env.insideWindow === true) throw ctx.error('42P20', 'window function calls cannot be nested', at);
  const windows = env.windows ?? null;
  if (windows === null) throw ctx.error('42P20', `window functions are not allowed in ${env.clause}`, at);
  if (aggregates.length === 0 && own.length === 0) {
    if (functionsNamed(name).length > 0) throw ctx.error('42809', `OVER specified, but ${name} is not a window function nor an aggregate function`, at);
    throw functionError(env, name, [], { kind: 'none' }, at);
  }
  if (call.agg_distinct === true) throw ctx.error('0A000', 'DISTINCT is not implemented for window functions', at);
  if (call.agg_order !== undefined) throw ctx.error('0A000', 'aggregate ORDER BY is not implemented for window functions', at);
  if (call.agg_filter !== undefined && own.length > 0) throw ctx.error('0A000', 'FILTER is not implemented for non-aggregate window functions', at);
  const inner: Env = { ...env, insideWindow: true, setCalls: null, setsRefused: 'window function calls cannot contain set-returning function calls' };
  const args = (call.args ?? []).map((a) => bindExpr(inner, a));
  if (args.length === 0 && call.agg_star !== true && name === 'count') throw ctx.error('42809', 'count(*) must be used to call a parameterless aggregate function', at);
  const types = typesOf(env, args);
  const r = resolveOverload([...own, ...aggregates], types, false);
  if (r.kind !== 'found') throw functionError(env, name, types, r, at);
  if (r.def.within !== undefined) throw ctx.error('42809', `WITHIN GROUP is required for ordered-set aggregate ${name}`, at);
  const bound = args.map((a, i) => known(ctx, coerce(ctx, a, r.types[i] as SqlType, 'implicit')));
  const filter = call.agg_filter === undefined ? null : coerceBoolean(ctx, bindExpr({ ...inner, clause: 'FILTER', windows: null }, call.agg_filter), 'FILTER');
  const { spec, frame, limits } = bindSpec({ ...env, insideWindow: true }, over, windows.defs);
  const type = r.def.resultType(bound.map((b) => b.type));
  const wanted = { fn: r.def.id, args: bound, filter, frame, limits, type };
  let group = windows.specs.find((s) => JSON.stringify(s.spec) === JSON.stringify(spec));
  if (group === undefined) {
    group = { spec, calls: [] };
    windows.specs.push(group);
  }
  const same = group.calls.find((c) => JSON.stringify({ ...c, id: 0 }) === JSON.stringify({ id: 0, ...wanted }));
  const id = same?.id ?? ctx.newColumn(name, type).id;
  if (same === undefined) group.calls.push({ id, ...wanted });
  return located(column(id, type), at);
}

/** OVER w; OVER (w ORDER BY …): PARTITION BY is the named window's, ORDER BY too where it has one; a frame is never taken over. */
function bindSpec(env: Env, over: WindowDef, defs: readonly WindowDef[]): BoundFrame & { readonly spec: WindowSpec } {
  const { ctx } = env;
  if (over.name !== undefined) return bindSpec(env, named(ctx, defs, over.name, over.location), defs);
  let base: { readonly spec: WindowSpec } | null = null;
  if (over.refname !== undefined) {
    const def = named(ctx, defs, over.refname, over.location);
    if ((over.partitionClause ?? []).length > 0) throw ctx.error('42P20', `cannot override PARTITION BY clause of window "${over.refname}"`, over.location);
    if ((over.orderClause ?? []).length > 0 && (def.orderClause ?? []).length > 0) throw ctx.error('42P20', `cannot override ORDER BY clause of window "${over.refname}"`, over.location);
    if (((def.frameOptions ?? 0) & NONDEFAULT) !== 0) throw ctx.error('42P20', `cannot copy window "${over.refname}" because it has a frame clause`, over.location, { hint: 'Omit the parentheses in this OVER clause.' });
    base = bindSpec(env, def, defs);
  }
  const partition = base?.spec.partition ?? (over.partitionClause ?? []).map((n) => distinctValue(env, known(ctx, bindExpr(env, n))));
  const own = (over.orderClause ?? []).map((s): OrderItem => bindOrder(env, s, (n) => orderable(env, known(ctx, bindExpr(env, n)))));
  const order = own.length > 0 ? own : base?.spec.order ?? [];
  return { spec: { partition, order }, ...bindFrame(env, over, order) };
}

function named(ctx: BindContext, defs: readonly WindowDef[], name: string, location: number | undefined): WindowDef {
  const index = defs.findIndex((d) => d.name === name);
  const def = defs[index];
  if (def === undefined) throw ctx.error('42704', `window "${name}" does not exist`, location);
  // A named window sees those before it; its own name is not one of them.
  const { name: _own, ...rest } = def;
  return rest;
}

function distinctValue(env: Env, e: Expr): Expr {
  requireEquality(env, e, locationOf(e));
  return e;
}

function orderable(env: Env, e: Expr): Expr {
  if (e.type.kind === 'json') throw env.ctx.error('42883', 'could not identify an ordering operator for type json', locationOf(e));
  return e;
}

/** Bit of WindowDef.frameOptions (nodes/parsenodes.h): a frame was written. */
const NONDEFAULT = 0x1;

/** The relation with the columns of all window functions. `rewrite`: expressions over FROM → over the grouped input. */
export function overRels(ctx: BindContext, input: Rel, windows: Windows, rewrite: (e: Expr) => Expr): Rel {
  let rel = input;
  for (const { spec, calls } of windows.specs) {
    const items: Item[] = [];
    const item = (e: Expr, name: string): Item => {
      const expr = rewrite(e);
      const found = items.find((i) => sameExpr(i.expr, expr)) ?? { id: expr.node === 'column' ? expr.index : ctx.newColumn(name, expr.type).id, expr };
      items.push(found);
      return found;
    };
    rel = {
      rel: 'over', input: rel, partition: spec.partition.map((e) => item(e, 'partition')),
      order: spec.order.map((o) => ({ item: item(o.expr, 'order'), descending: o.descending, nullsFirst: o.nullsFirst })),
      calls: calls.map((c): OverCallItem => ({ ...c, args: c.args.map((a) => item(a, 'arg')), filter: c.filter === null ? null : item(c.filter, 'filter'), limits: c.limits === null ? null : mapLimits(c.limits, (e) => item(e, 'limit')) })),
    };
  }
  return rel;
}

export const windowIds = (windows: Windows): ReadonlySet<number> => new Set(windows.specs.flatMap((s) => s.calls.map((c) => c.id)));

/** Expressions of all window functions, as bound over FROM. */
export function windowExprs(windows: Windows): Expr[] {
  return windows.specs.flatMap(({ spec, calls }) => [
    ...spec.partition, ...spec.order.map((o) => o.expr), ...calls.flatMap((c) => [...c.args, ...(c.filter === null ? [] : [c.filter]), ...limitsOf(c.limits)]),
  ]);
}
