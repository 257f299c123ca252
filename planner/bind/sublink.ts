/**
 * Subqueries in expressions: EXISTS, IN, op ANY/ALL, ARRAY(SELECT …), scalar. In batch queries they become subplans, which get the enclosing
 * row's values as `outer`; where.ts has turned those that are semi-joins into joins before.
 */
import type { SelectStmt, SubLink } from 'libpg-query';
import type { Expr, SubplanExpr } from '../../types/expr.js';
import { arrayOf, BOOL, type SqlType } from '../../types/sqltype.js';
import { bindExpr } from './expr.js';
import { column, located } from './exprs.js';
import { callOperator } from './operator.js';
import type { BoundQuery } from './select.js';
import { bindQuery } from './select.js';
import { givesOneRow, joinLateral } from './lateral.js';
import type { BindContext } from './context.js';
import type { Rel } from './rel.js';
import type { Env, ScalarSubquery } from './scope.js';
import { strings } from './typename.js';

export function selectOf(env: Env, link: SubLink): SelectStmt {
  if (link.subselect === undefined || !('SelectStmt' in link.subselect)) throw env.ctx.unsupported('this subquery', link.location);
  return link.subselect.SelectStmt;
}

/** The subquery over its own `outer` list. */
export function bindSubquery(env: Env, link: SubLink): { bound: BoundQuery; outer: Expr[] } {
  const outer: Expr[] = [];
  return { bound: bindQuery({ ctx: env.ctx, parent: env, ctes: env.ctes, outer }, selectOf(env, link)), outer };
}

function oneColumn(env: Env, bound: BoundQuery, at: number): { id: number; type: SqlType } {
  const [only] = bound.columns;
  if (only === undefined || bound.columns.length > 1) throw env.ctx.error('42601', bound.columns.length > 1 ? 'subquery must return only one column' : 'subquery must return a column', at);
  return { id: only.id, type: env.ctx.info(only.id).type };
}

/** `(a, b) IN (SELECT c, d …)` as conditions on the subquery's columns; null: not of that form. */
export function rowComparisons(env: Env, link: SubLink, bound: BoundQuery): Expr[] | null {
  const test = link.testexpr;
  if (test === undefined || !('RowExpr' in test) || (strings(link.operName).at(-1) ?? '=') !== '=') return null;
  const parts = test.RowExpr.args ?? [];
  if (parts.length !== bound.columns.length) return null;
  return parts.map((p, i) => {
    const { id } = bound.columns[i] ?? { id: -1 };
    return callOperator(env, '=', [bindExpr(env, p), column(id, env.ctx.info(id).type)], link.location ?? 0);
  });
}

/** Comparison of a test value with the subquery's column: the operator's call over both, casts included. */
export function comparison(env: Env, link: SubLink, bound: BoundQuery): Expr {
  const at = link.location ?? 0;
  const test = link.testexpr;
  if (test !== undefined && 'RowExpr' in test) {
    const parts = test.RowExpr.args ?? [];
    if (parts.length !== bound.columns.length) throw env.ctx.error('42601', `subquery has too ${bound.columns.length > parts.length ? 'many' : 'few'} columns`, at);
    throw env.ctx.unsupported('a row compared with a subquery', at, 'Use EXISTS.');
  }
  if (test === undefined) throw env.ctx.unsupported('this subquery', at);
  if (bound.columns.length !== 1) throw env.ctx.error('42601', `subquery has too ${bound.columns.length > 1 ? 'many' : 'few'} columns`, at);
  const col = oneColumn(env, bound, at);
  const name = strings(link.operName).at(-1) ?? '=';
  return callOperator(env, name, [bindExpr(env, test), column(col.id, col.type)], at);
}

export function bindSubLink(env: Env, link: SubLink): Expr {
  const { ctx } = env;
  const at = link.location ?? 0;
  if (ctx.job) {
    const joined = scalarJoin(env, link, at);
    if (joined !== null) return joined;
    throw ctx.unsupported('a subquery in this place of a continuous query', at, 'Write it as a join. IN (SELECT …) and EXISTS (SELECT …) work as conditions of WHERE that stand alone or between ANDs, (SELECT aggregate …) in WHERE, HAVING and the select list.');
  }
  const { bound, outer } = bindSubquery(env, link);
  const subplan = (form: SubplanExpr['form'], type: SqlType, rest: { left?: Expr; fn?: string } = {}): Expr => located({
    node: 'subplan', form, plan: ctx.lowerSubplan(bound), outer, left: rest.left ?? null, fn: rest.fn ?? null, type,
  }, at);
  switch (link.subLinkType) {
    case 'EXISTS_SUBLINK': return subplan('exists', BOOL);
    case 'ARRAY_SUBLINK': {
      const { type } = oneColumn(env, bound, at);
      return subplan('array', type.kind === 'array' ? type : arrayOf(type));
    }
    case 'EXPR_SUBLINK': return subplan('scalar', oneColumn(env, bound, at).type);
    case 'ANY_SUBLINK': case 'ALL_SUBLINK': {
      const call = comparison(env, link, bound);
      const [left, right] = call.node === 'call' ? call.args : [];
      if (call.node !== 'call' || left === undefined || right === undefined) throw ctx.unsupported('this comparison with a subquery', at);
      // A cast of the subquery's column belongs into the subquery.
      const cast = right.node === 'column' ? bound : withCast(env, bound, right);
      const plan = ctx.lowerSubplan(cast);
      return located({ node: 'subplan', form: link.subLinkType === 'ALL_SUBLINK' ? 'all' : 'any', plan, outer, left, fn: call.fn, type: BOOL }, at);
    }
    default: throw ctx.unsupported('this form of subquery', at);
  }
}

/** A subquery with one aggregated row becomes a join of the query it stands in. */
function scalarJoin(env: Env, link: SubLink, at: number): Expr | null {
  if (link.subLinkType !== 'EXPR_SUBLINK' || env.scalars === undefined || env.scalars === null || env.insideAggregate) return null;
  const { bound, outer } = bindSubquery(env, link);
  if (!givesOneRow(bound.rel)) return null;
  const { id, type } = oneColumn(env, bound, at);
  env.scalars.push({ bound, outer });
  return located(column(id, type), at);
}

/** The relation joined with the scalar subqueries found in its expressions. */
export function withScalars(ctx: BindContext, rel: Rel, scalars: readonly ScalarSubquery[], rewrite: (e: Expr) => Expr = (e) => e): Rel {
  return scalars.reduce((input, s) => {
    const joined = joinLateral(ctx, input, s.bound, s.outer.map(rewrite), 'inner', []);
    if (joined === null) throw ctx.unsupported('a scalar subquery of this form in a continuous query', undefined, 'Columns of the outer query must be compared with = in its WHERE.');
    return joined;
  }, rel);
}

function withCast(env: Env, bound: BoundQuery, expr: Expr): BoundQuery {
  const id = env.ctx.newColumn(bound.columns[0]?.name ?? '', expr.type).id;
  return { ...bound, rel: { rel: 'project', input: bound.rel, items: [{ id, expr }] }, columns: [{ name: bound.columns[0]?.name ?? '', id }] };
}
