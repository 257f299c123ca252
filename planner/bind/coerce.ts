/**
 * Type coercion as Postgres does it (parse_coerce.c): which conversions a context allows, how unknown literals and untyped
 * parameters take a type from their surroundings, and the common type of CASE, UNION, VALUES, ARRAY, COALESCE and IN.
 */
import type { Expr } from '../../types/expr.js';
import { arrayOf, sameType, TEXT, type SqlType } from '../../types/sqltype.js';
import type { CastContext } from '../../types/functions/catalogue.js';
import { SqlError } from '../../types/error.js';
import type { BindContext } from './context.js';
import { castFor } from '../../types/functions/cast.js';
import { formatDatum, parseDatum } from '../../types/textio.js';
import { foldCast } from './fold.js';
import { locationOf, located } from './exprs.js';
import { category, isPreferred, typeWords } from './typename.js';

const RANK: Readonly<Record<CastContext, number>> = { implicit: 0, assignment: 1, explicit: 2 };
/** Types whose input asks the catalog: their literals stay casts, evaluated when the query runs. */
const CATALOG_KINDS: ReadonlySet<string> = new Set(['regclass', 'regtype', 'regproc', 'regnamespace', 'regrole']);

/** Whether `from` converts to `to` in `context`. */
export function canCoerce(from: SqlType, to: SqlType, context: CastContext): boolean {
  if (sameType(from, to) || from.kind === 'unknown') return true;
  const cast = castFor(from, to);
  return cast !== null && RANK[cast.context] <= RANK[context];
}

const modOf = (t: SqlType): number => (t.kind === 'array' ? modOf(t.elem) : t.mod ?? -1);

/** Converts, or throws 42804 (assignment), 42846 (explicit), in Postgres' words. Implicit callers have asked `canCoerce`. */
export function coerce(ctx: BindContext, expr: Expr, to: SqlType, context: CastContext, location?: number): Expr {
  const at = location ?? locationOf(expr);
  if (expr.node === 'param' && expr.type.kind === 'unknown') return coerceParam(ctx, expr.index, to, at, context);
  if (expr.node === 'literal' && expr.type.kind === 'unknown') return located(coerceLiteral(ctx, expr.text, to, context === 'explicit', at), at);
  if (sameType(expr.type, to)) {
    if (modOf(to) < 0 || modOf(to) === modOf(expr.type) || context === 'implicit') return expr;
  } else if (expr.type.kind !== 'unknown' && !canCoerce(expr.type, to, context)) {
    throw ctx.error('42846', `cannot cast type ${typeWords(expr.type)} to ${typeWords(to)}`, at);
  }
  return located(foldCast(ctx, { node: 'cast', arg: expr, explicit: context === 'explicit', type: to }), at);
}

function coerceParam(ctx: BindContext, index: number, to: SqlType, at: number | undefined, context: CastContext): Expr {
  const known = ctx.paramType(index);
  const bare: SqlType = to.kind === 'array' ? arrayOf({ kind: to.elem.kind } as SqlType) : { kind: to.kind };
  if (known === null || known.kind === 'unknown') {
    ctx.setParamType(index, bare);
    return coerce(ctx, located({ node: 'param', index, type: bare }, at), to, context, at);
  }
  const param: Expr = located({ node: 'param', index, type: known }, at);
  if (sameType(known, to)) return coerce(ctx, param, to, context, at);
  if (canCoerce(known, to, context)) return coerce(ctx, param, to, context, at);
  throw ctx.error('42P08', `inconsistent types deduced for parameter $${index + 1}`, at, { detail: `${typeWords(known)} versus ${typeWords(to)}` });
}

function coerceLiteral(ctx: BindContext, text: string | null, to: SqlType, explicit: boolean, at: number | undefined): Expr {
  if (text === null || to.kind === 'unknown') return { node: 'literal', text, type: to };
  if (to.kind !== 'array' && CATALOG_KINDS.has(to.kind)) {
    if (ctx.job) throw ctx.unsupported(`type ${to.kind} in a continuous query`, at);
    return { node: 'cast', arg: { node: 'literal', text, type: TEXT }, explicit: true, type: to };
  }
  const bare: SqlType = to.kind === 'array' || to.mod === undefined || to.kind === 'interval' ? to : { kind: to.kind };
  let canonical: string;
  try {
    canonical = formatDatum(bare, parseDatum(bare, text, ctx.evalContext), { ...ctx.evalContext, timeZone: 'UTC' });
  } catch (e) {
    if (e instanceof SqlError && e.position === undefined && at !== undefined) e.position = ctx.position(at);
    throw e;
  }
  const lit: Expr = { node: 'literal', text: canonical, type: bare };
  return bare === to ? lit : foldCast(ctx, { node: 'cast', arg: lit, explicit, type: to });
}

/** An expression of unknown type left over at the end (SELECT 'x', SELECT $1) becomes text. */
export function known(ctx: BindContext, expr: Expr): Expr {
  return expr.type.kind === 'unknown' ? coerce(ctx, expr, TEXT, 'implicit') : expr;
}

/**
 * The common type of several expressions (select_common_type): the first known type, replaced by a later one of the same category that it converts
 * to implicitly but not back, or that is preferred. Throws 42804 naming `what` (CASE, UNION, …).
 */
export function commonType(ctx: BindContext, exprs: readonly Expr[], what: string): SqlType {
  let type: SqlType | null = null;
  for (const e of exprs) {
    const t = e.node === 'param' && e.type.kind === 'unknown' ? ctx.paramType(e.index) ?? e.type : e.type;
    if (t.kind === 'unknown') continue;
    if (type === null) { type = t; continue; }
    if (sameType(type, t)) { if (modOf(type) !== modOf(t)) type = withoutMod(type); continue; }
    if (category(t) !== category(type)) {
      throw ctx.error('42804', `${what} types ${typeWords(withoutMod(type))} and ${typeWords(withoutMod(t))} cannot be matched`, locationOf(e));
    }
    if (!isPreferred(type) && canCoerce(type, t, 'implicit') && !canCoerce(t, type, 'implicit')) type = t;
    else type = withoutMod(type);
  }
  if (type === null) return TEXT;
  for (const e of exprs) {
    if (e.type.kind !== 'unknown' && !canCoerce(e.type, type, 'implicit')) {
      throw ctx.error('42846', `${what} could not convert type ${typeWords(e.type)} to ${typeWords(type)}`, locationOf(e));
    }
  }
  return type;
}

export function withoutMod(t: SqlType): SqlType {
  return t.kind === 'array' ? arrayOf(withoutMod(t.elem)) : t.mod === undefined ? t : { kind: t.kind };
}

/** Brings several expressions to their common type. */
export function unify(ctx: BindContext, exprs: readonly Expr[], what: string): { exprs: Expr[]; type: SqlType } {
  const type = commonType(ctx, exprs, what);
  return { exprs: exprs.map((e) => coerce(ctx, e, type, 'implicit')), type };
}

/** For a condition: boolean, or 42804 naming the clause. */
export function coerceBoolean(ctx: BindContext, expr: Expr, clause: string): Expr {
  if (expr.type.kind === 'bool') return expr;
  if (expr.type.kind === 'unknown') return coerce(ctx, expr, { kind: 'bool' }, 'implicit');
  throw ctx.error('42804', `argument of ${clause} must be type boolean, not type ${typeWords(expr.type)}`, locationOf(expr));
}
