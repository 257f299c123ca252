/** Function calls: scalar functions, function-style casts, aggregates (collected for the query's GROUP BY), set-returning functions. */
import type { FuncCall, Node } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { sameType, UNKNOWN, type SqlType } from '../../types/sqltype.js';
import type { FunctionDef } from '../../types/functions/catalogue.js';
import { typeByName } from '../../types/typeinfo.js';
import { arranged, callArguments, inOrder, type ArgumentNames } from './arguments.js';
import { canCoerce, coerce, coerceBoolean, known } from './coerce.js';
import { bindExpr } from './expr.js';
import { column, isVolatile, located, locationOf, sameExpr, some } from './exprs.js';
import { foldCall } from './fold.js';
import { aggregatesNamed, allFunctionNames, functionsNamed, setFunctionsNamed, windowFunctionsNamed } from './functions.js';
import { nearest } from './hints.js';
import { bindOrder } from './order.js';
import { bindWindowCall } from './over.js';
import { bindWithinGroup } from './orderedset.js';
import type { AggCall, OrderItem } from './rel.js';
import { resolveOverload, resultOf, type Resolution } from './resolve.js';
import type { Env } from './scope.js';
import { category, strings, typeWords } from './typename.js';

export function bindCall(env: Env, call: FuncCall): Expr {
  const { ctx } = env;
  const at = call.location ?? 0;
  const names = strings(call.funcname);
  const name = names.at(-1) ?? '';
  if (call.func_variadic === true) throw ctx.unsupported('a VARIADIC argument', at);
  if (names.length > 1 && names[0] !== 'pg_catalog' && names[0] !== 'millrace') throw ctx.error('42883', `function ${names.join('.')}(${(call.args ?? []).length === 0 ? '' : '…'}) does not exist`, at);
  const given = callArguments(ctx, call.args ?? []);
  if (given.names.some((n) => n !== null) && [aggregatesNamed, windowFunctionsNamed, setFunctionsNamed].some((of) => of(name).length > 0)) {
    throw ctx.unsupported('a named argument of an aggregate, window or set-returning function', at);
  }
  if (call.agg_within_group === true) return bindWithinGroup(env, name, call, at);
  if (call.over !== undefined) return bindWindowCall(env, name, call, call.over, at);
  if (windowFunctionsNamed(name).length > 0 && (call.args === undefined || aggregatesNamed(name).length === 0)) throw ctx.error('42809', `window function ${name} requires an OVER clause`, at);
  if (aggregatesNamed(name).length > 0) return bindAggregate(env, name, call, at);
  const notAggregate = (what: string) => ctx.error('42809', `${what} specified, but ${name} is not an aggregate function`, at);
  if (call.agg_star === true) {
    if (resolveOverload(functionsNamed(name), [], false).kind === 'none') throw functionError(env, names.join('.'), [], { kind: 'none' }, at);
    throw notAggregate(`${name}(*)`);
  }
  if (call.agg_distinct === true) throw notAggregate('DISTINCT');
  if (call.agg_order !== undefined) throw notAggregate('ORDER BY');
  if (call.agg_filter !== undefined) throw notAggregate('FILTER');
  const args = given.values.map((a) => bindExpr(env, a));
  if (setFunctionsNamed(name).length > 0 && functionsNamed(name).length === 0) return bindSetCall(env, name, args, at);
  return callFunction(env, names, args, at, given.names);
}

export const typesOf = (env: Env, args: readonly Expr[]): SqlType[] =>
  args.map((a) => (a.node === 'param' && a.type.kind === 'unknown' ? env.ctx.paramType(a.index) ?? UNKNOWN : a.type));

/** `by`: the arguments' names; by position without them. */
export function callFunction(env: Env, names: readonly string[], args: readonly Expr[], at: number | undefined, by: ArgumentNames = args.map(() => null)): Expr {
  const { ctx } = env;
  const name = names.at(-1) ?? '';
  const types = typesOf(env, args);
  const defs = functionsNamed(name);
  const cast = by[0] !== null ? null : functionStyleCast(env, name, args, types, defs, at);
  if (cast !== null) return cast;
  const r = resolveOverload(arranged(defs, by), types, false);
  if (r.kind !== 'found') throw functionError(env, names.join('.'), types, r, at, by);
  const { def } = r.def;
  if (ctx.job && def.needsContext && CATALOG_FUNCTION.test(name)) throw ctx.unsupported(`function ${name} in a continuous query`, at);
  const bound = inOrder(r.def, args.map((a, i) => coerce(ctx, a, r.types[i] as SqlType, 'implicit')));
  const type = def.resultType?.(bound.map((a) => a.type)) ?? resultOf(def.result, r.element);
  return located(foldCall(ctx, { node: 'call', fn: def.id, args: bound, type }, def), at);
}

const CATALOG_FUNCTION = /^(pg_|has_|col_description|obj_description|shobj_description|format_type|to_reg|current_setting|current_schemas?$)/;

/** float8(x), text(x), date('…'): a call with a type's name and one argument is a cast when no function takes the argument as it is. */
function functionStyleCast(env: Env, name: string, args: readonly Expr[], types: readonly SqlType[], defs: readonly FunctionDef[], at: number | undefined): Expr | null {
  const [arg] = args;
  const [from] = types;
  if (args.length !== 1 || arg === undefined || from === undefined) return null;
  const type = castTarget(name);
  if (type === null || defs.some((d) => d.args.length === 1 && d.args[0] !== undefined && 'kind' in d.args[0] && sameType(d.args[0], from))) return null;
  if (from.kind !== 'unknown' && !canCoerce(from, type, 'explicit')) return null;
  return coerce(env.ctx, arg, type, 'explicit', at);
}

function castTarget(name: string): SqlType | null {
  try {
    const type = typeByName([name]);
    return type !== null && category(type) !== 'P' ? type : null;
  } catch {
    return null;
  }
}

export function functionError(env: Env, name: string, types: readonly SqlType[], r: Resolution<unknown>, at: number | undefined, by: ArgumentNames = []) {
  const text = `${name}(${types.map((t, i) => `${by[i] === null || by[i] === undefined ? '' : `${by[i]} => `}${typeWords(t)}`).join(', ')})`;
  if (r.kind === 'ambiguous') return env.ctx.error('42725', `function ${text} is not unique`, at, { hint: 'Could not choose a best candidate function. You might need to add explicit type casts.' });
  const near = functionsNamed(name).length + aggregatesNamed(name).length + setFunctionsNamed(name).length + windowFunctionsNamed(name).length > 0 ? null : nearest(name, allFunctionNames());
  const hint = near === null ? 'No function matches the given name and argument types. You might need to add explicit type casts.' : `Perhaps you meant the function "${near}".`;
  return env.ctx.error('42883', `function ${text} does not exist`, at, { hint });
}

/** Where an aggregate's arguments are bound; throws where it must not stand. */
export function insideAggregate(env: Env, at: number): Env {
  if (env.insideAggregate && env.clause !== 'FILTER') throw env.ctx.error('42803', 'aggregate function calls cannot be nested', at);
  if (env.insideAggregate || env.aggregates === null) throw env.ctx.error('42803', `aggregate functions are not allowed in ${env.clause}`, at);
  return { ...env, insideAggregate: true, setCalls: null, setsRefused: 'aggregate function calls cannot contain set-returning function calls', windows: null };
}

export const aggregateFilter = (inner: Env, call: FuncCall): Expr | null =>
  (call.agg_filter === undefined ? null : coerceBoolean(inner.ctx, bindExpr({ ...inner, clause: 'FILTER', setsRefused: undefined }, call.agg_filter), 'FILTER'));

function bindAggregate(env: Env, name: string, call: FuncCall, at: number): Expr {
  const { ctx } = env;
  const inner = insideAggregate(env, at);
  const args = (call.args ?? []).map((a) => bindExpr(inner, a));
  if (args.length === 0 && call.agg_star !== true) {
    if (name === 'count') throw ctx.error('42809', 'count(*) must be used to call a parameterless aggregate function', at);
  }
  const types = typesOf(env, args);
  const r = resolveOverload(aggregatesNamed(name), types, false);
  if (r.kind !== 'found') throw functionError(env, name, types, r, at);
  if (r.def.within !== undefined) throw ctx.error('42809', `WITHIN GROUP is required for ordered-set aggregate ${name}`, at);
  const bound = args.map((a, i) => known(ctx, coerce(ctx, a, r.types[i] as SqlType, 'implicit')));
  const filter = aggregateFilter(inner, call);
  const orderBy = (call.agg_order ?? []).map((s): OrderItem => bindOrder(inner, s, (node: Node) => known(ctx, bindExpr(inner, node))));
  const distinct = call.agg_distinct === true;
  for (const [k, o] of orderBy.entries()) {
    // string_agg(DISTINCT v, … ORDER BY v) of a varchar: the argument is v as text, and so is what it is ordered by.
    const unconverted = args.findIndex((a) => sameExpr(a, o.expr));
    if (distinct && unconverted >= 0) orderBy[k] = { ...o, expr: bound[unconverted] ?? o.expr };
    else if (distinct && !bound.some((b) => sameExpr(b, o.expr))) {
      throw ctx.error('42P10', 'in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list', locationOf(o.expr));
    }
  }
  const type = r.def.resultType(bound.map((b) => b.type));
  return addAggregate(env, name, { fn: r.def.id, args: bound, distinct, filter, orderBy: r.def.ordered ? orderBy : [], type }, at, orderBy);
}

/** The aggregate's column. `orderBy`: as written, where that is more than matters. */
export function addAggregate(env: Env, name: string, wanted: Omit<AggCall, 'id'>, at: number, orderBy: readonly OrderItem[] = wanted.orderBy): Expr {
  const { ctx } = env;
  const parts = [...wanted.args, ...(wanted.filter === null ? [] : [wanted.filter]), ...orderBy.map((o) => o.expr)];
  const has = (kind: Expr['node']): boolean => parts.some((p) => some(p, (x) => x.node === kind));
  if (has('outer') && !has('column')) throw ctx.unsupported("an aggregate of the outer query's columns in a subquery", at);
  const same = env.aggregates?.find((a) => JSON.stringify({ ...a, id: 0 }) === JSON.stringify({ id: 0, ...wanted }));
  const id = same?.id ?? ctx.newColumn(name, wanted.type).id;
  if (same === undefined) env.aggregates?.push({ id, ...wanted });
  return located(column(id, wanted.type), at);
}

/** Resolves a set-returning function; the caller places it. */
export function resolveSetCall(env: Env, name: string, args: readonly Expr[], at: number | undefined) {
  const { ctx } = env;
  const types = typesOf(env, args);
  const r = resolveOverload(setFunctionsNamed(name), types, false);
  if (r.kind !== 'found') throw functionError(env, name, types, r, at);
  const bound = args.map((a, i) => known(ctx, coerce(ctx, a, r.types[i] as SqlType, 'implicit')));
  return { fn: r.def.id, args: bound, columns: r.def.columns(bound.map((b) => b.type)) };
}

function bindSetCall(env: Env, name: string, args: readonly Expr[], at: number): Expr {
  const { ctx } = env;
  if (env.setsRefused !== undefined) throw ctx.error('0A000', env.setsRefused, at, { hint: 'You might be able to move the set-returning function into a LATERAL FROM item.' });
  if (env.setCalls === null || env.insideAggregate) throw ctx.error('0A000', `set-returning functions are not allowed in ${env.clause}`, at);
  const call = resolveSetCall(env, name, args, at);
  const only = call.columns[0];
  if (only === undefined || call.columns.length !== 1) throw ctx.unsupported(`${name} in the select list (it gives several columns)`, at, `Write it in FROM: SELECT … FROM ${name}(…).`);
  const same = call.args.some(isVolatile) ? undefined : env.setCalls.find((s) => s.fn === call.fn && JSON.stringify(s.args) === JSON.stringify(call.args));
  const id = same?.id ?? ctx.newColumn(name, only.type).id;
  if (same === undefined) env.setCalls.push({ fn: call.fn, args: call.args, id });
  return located(column(id, only.type), at);
}

