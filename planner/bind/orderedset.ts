/**
 * f(direct arguments) WITHIN GROUP (ORDER BY …): ordered-set aggregates (percentile_cont, percentile_disc, mode) and hypothetical-set aggregates
 * (rank, dense_rank, percent_rank, cume_dist). Names are resolved over direct arguments and ordered values together, as in parse_func.c. Direct
 * arguments are values of the group: grouping.ts rewrites them over its keys.
 */
import type { FuncCall } from 'libpg-query';
import { checkedFraction } from '../../runtime/aggregates/orderedset.js';
import { evaluateConstant } from '../../runtime/codegen/interpret.js';
import { SqlArray } from '../../types/array.js';
import { SqlError } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { AggregateDef } from '../../types/functions/catalogue.js';
import type { SqlType } from '../../types/sqltype.js';
import { addAggregate, aggregateFilter, functionError, insideAggregate, typesOf } from './call.js';
import { coerce, known, unify } from './coerce.js';
import { bindExpr } from './expr.js';
import { isConstant, locationOf, some } from './exprs.js';
import { aggregatesNamed, functionsNamed, windowFunctionsNamed } from './functions.js';
import { bindOrder } from './order.js';
import type { OrderItem } from './rel.js';
import { resolveOverload, type Signature } from './resolve.js';
import type { Env } from './scope.js';
import { typeWords } from './typename.js';

interface Resolved { readonly def: AggregateDef; readonly direct: readonly Expr[]; readonly order: readonly OrderItem[]; readonly type: SqlType }

export function bindWithinGroup(env: Env, name: string, call: FuncCall, at: number): Expr {
  const { ctx } = env;
  const inner = insideAggregate(env, at);
  const direct = (call.args ?? []).map((a) => bindExpr(inner, a));
  const order = (call.agg_order ?? []).map((s) => bindOrder(inner, s, (n) => bindExpr(inner, n)));
  const { def, ...r } = resolve(env, name, direct, order, call.over !== undefined, at);
  if (call.over !== undefined) throw ctx.error('0A000', `OVER is not supported for ordered-set aggregate ${name}`, at);
  for (const o of r.order) requireOrdering(env, o.expr);
  const args = def.within === 'ordered-set' ? r.order.map((o) => o.expr) : [];
  if (ctx.job && name.startsWith('percentile_')) for (const e of r.direct) checkFractions(env, e);
  return addAggregate(env, name, { fn: def.id, args, distinct: false, filter: aggregateFilter(inner, call), orderBy: r.order, direct: r.direct, type: r.type }, at);
}

function resolve(env: Env, name: string, direct: readonly Expr[], order: readonly OrderItem[], over: boolean, at: number): Resolved {
  const { ctx } = env;
  const all = [...direct, ...order.map((o) => o.expr)];
  const types = typesOf(env, all);
  const defs = aggregatesNamed(name).filter((d) => d.within !== undefined);
  const [only] = defs;
  if (only === undefined) throw notOrderedSet(env, name, types, over, at);
  if (only.within === 'hypothetical-set') return hypothetical(env, only, direct, order, types, at);
  const r = resolveOverload(defs, types, false);
  if (r.kind !== 'found') throw functionError(env, name, types, r, at);
  const bound = all.map((a, i) => known(ctx, coerce(ctx, a, r.types[i] as SqlType, 'implicit')));
  const value = types[types.length - 1];
  if (value?.kind === 'unknown' && r.def.args.some((p) => 'pseudo' in p)) throw ctx.error('42804', 'could not determine polymorphic type because input has type unknown', undefined);
  const type = r.def.resultType(bound.map((b) => b.type));
  if (type.kind === 'array' && type.elem.kind === 'array') throw ctx.error('42704', `could not find array type for data type ${typeWords(type.elem)}`, undefined);
  return { def: r.def, direct: bound.slice(0, direct.length), order: order.map((o, i) => ({ ...o, expr: bound[direct.length + i] as Expr })), type };
}

/** Each direct argument and what it is compared with are brought to one type. */
function hypothetical(env: Env, def: AggregateDef, direct: readonly Expr[], order: readonly OrderItem[], types: readonly SqlType[], at: number): Resolved {
  const { ctx } = env;
  if (direct.length !== order.length) {
    const hint = `To use the hypothetical-set aggregate ${def.name}, the number of hypothetical direct arguments (here ${direct.length}) must match the number of ordering columns (here ${order.length}).`;
    throw ctx.error('42883', `function ${def.name}(${types.map(typeWords).join(', ')}) does not exist`, at, { hint });
  }
  const pairs = order.map((o, i) => unify(ctx, [o.expr, direct[i] as Expr], 'WITHIN GROUP').exprs as [Expr, Expr]);
  return { def, direct: pairs.map(([, arg]) => arg), order: order.map((o, i) => ({ ...o, expr: (pairs[i] as [Expr, Expr])[0] })), type: def.resultType([]) };
}

function notOrderedSet(env: Env, name: string, types: readonly SqlType[], over: boolean, at: number): SqlError {
  const fits = (defs: readonly Signature[]): boolean => resolveOverload(defs, types, false).kind === 'found';
  if (fits(aggregatesNamed(name))) return env.ctx.error('42809', `${name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP`, at);
  if (fits(windowFunctionsNamed(name))) return env.ctx.error('42809', `window function ${name} ${over ? 'cannot have WITHIN GROUP' : 'requires an OVER clause'}`, at);
  if (fits(functionsNamed(name))) return env.ctx.error('42809', `WITHIN GROUP specified, but ${name} is not an aggregate function`, at);
  return functionError(env, name, types, { kind: 'none' }, at);
}

function requireOrdering(env: Env, e: Expr): void {
  if (e.type.kind === 'json') throw env.ctx.error('42883', 'could not identify an ordering operator for type json', locationOf(e), { hint: 'Use an explicit ordering operator or modify the query.' });
}

/** A continuous query would fail at its first row: its constant fractions are checked before. */
function checkFractions(env: Env, e: Expr): void {
  if (!isConstant(e) || some(e, (x) => x.node === 'call')) return;
  const value = evaluateConstant(e, env.ctx.evalContext);
  try {
    for (const f of value instanceof SqlArray ? value.elems : [value]) if (typeof f === 'number') checkedFraction(f);
  } catch (error) {
    if (error instanceof SqlError) error.position = env.ctx.position(locationOf(e));
    throw error;
  }
}
