/**
 * WHERE. Its AND-ed conditions one by one: IN (SELECT …), EXISTS and NOT EXISTS become semi and anti joins, also correlated ones whose outer
 * columns stand only in the subquery's own WHERE; everything else is a predicate.
 */
import type { Node, SubLink } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { bindCondition } from './expr.js';
import { conjuncts, some, substitute } from './exprs.js';
import { replaceOuter, usesOuter } from './lateral.js';
import type { Rel } from './rel.js';
import { relExprs } from './relexprs.js';
import { bindSubquery, comparison, rowComparisons, withScalars } from './sublink.js';
import type { Env, ScalarSubquery } from './scope.js';

export function bindWhere(env: Env, input: Rel, where: Node | undefined): Rel {
  if (where === undefined) return input;
  const preds: Expr[] = [];
  let rel = input;
  const scalars: ScalarSubquery[] = [];
  for (const node of andNodes(where)) {
    const link = subLinkOf(node);
    const joined = link === null ? null : semiJoin(env, rel, link.link, link.negated);
    if (joined !== null) rel = joined;
    else preds.push(...bindCondition({ ...env, scalars: env.ctx.job ? scalars : null }, node));
  }
  rel = withScalars(env.ctx, rel, scalars);
  return preds.length === 0 ? rel : { rel: 'filter', input: rel, preds };
}

function andNodes(node: Node): Node[] {
  return 'BoolExpr' in node && node.BoolExpr.boolop === 'AND_EXPR' ? (node.BoolExpr.args ?? []).flatMap(andNodes) : [node];
}

function subLinkOf(node: Node): { link: SubLink; negated: boolean } | null {
  if ('SubLink' in node) return { link: node.SubLink, negated: false };
  const arg = 'BoolExpr' in node && node.BoolExpr.boolop === 'NOT_EXPR' ? node.BoolExpr.args?.[0] : undefined;
  return arg !== undefined && 'SubLink' in arg ? { link: arg.SubLink, negated: true } : null;
}

/** NOT IN is no anti join: a NULL in the subquery makes it unknown for every row. */
function semiJoin(env: Env, input: Rel, link: SubLink, negated: boolean): Rel | null {
  const isIn = link.subLinkType === 'ANY_SUBLINK';
  if (!(link.subLinkType === 'EXISTS_SUBLINK' || (isIn && !negated))) return null;
  const { bound, outer } = bindSubquery(env, link);
  const on: Expr[] = isIn ? rowComparisons(env, link, bound) ?? [comparison(env, link, bound)] : [];
  // The test itself may hold a subplan or a volatile call: leave it where it is.
  if (on.some((e) => some(e, (x) => x.node === 'subplan'))) return null;
  if (outer.length === 0) return { rel: 'join', kind: negated ? 'anti' : 'semi', left: input, right: bound.rel, on };
  const free = decorrelate(bound.rel, outer);
  if (free === null) return null;
  const shown = free.shown;
  return { rel: 'join', kind: negated ? 'anti' : 'semi', left: input, right: free.rel, on: [...on.map((e) => substitute(e, shown)), ...free.preds] };
}

/** Takes predicates over outer columns out of `project(filter(…))`; null when outer columns remain anywhere else. */
function decorrelate(rel: Rel, outer: readonly Expr[]): { rel: Rel; preds: Expr[]; shown: (id: number) => Expr | undefined } | null {
  const items = rel.rel === 'project' ? rel.items : [];
  let base = rel.rel === 'project' ? rel.input : rel;
  if (items.some((i) => usesOuter(i.expr))) return null;
  const taken: Expr[] = [];
  const kept: Expr[] = [];
  while (base.rel === 'filter') {
    for (const p of base.preds.flatMap(conjuncts)) (usesOuter(p) ? taken : kept).push(p);
    base = base.input;
  }
  if (taken.some((p) => some(p, (x) => x.node === 'subplan')) || relExprs(base).some(usesOuter) || kept.some((p) => some(p, (x) => x.node === 'subplan' && x.outer.some(usesOuter)))) return null;
  const byId = new Map(items.map((i) => [i.id, i.expr]));
  return {
    rel: kept.length === 0 ? base : { rel: 'filter', input: base, preds: kept },
    preds: taken.map((p) => replaceOuter(p, outer)),
    shown: (id) => byId.get(id),
  };
}
