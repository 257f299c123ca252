/** All expressions of a relation and of everything below it. */
import type { Expr } from '../../types/expr.js';
import { limitsOf } from '../../types/plan.js';
import type { OverRel, Rel } from './rel.js';

export function ownExprs(rel: Rel): Expr[] {
  switch (rel.rel) {
    case 'scan': case 'window': case 'session': case 'process': case 'union': case 'sort': return [];
    case 'rows': return rel.rows.flat();
    case 'filter': return [...rel.preds];
    case 'project': return rel.items.map((i) => i.expr);
    case 'unnest': return [...rel.args, ...rel.beside.flatMap((f) => f.args)];
    case 'expand': return rel.keys.map((k) => k.expr);
    case 'aggregate': return [...rel.keys.map((k) => k.expr), ...rel.calls.flatMap((c) => [...c.args, ...(c.filter === null ? [] : [c.filter]), ...c.orderBy.map((o) => o.expr), ...c.direct ?? []])];
    case 'over': return [...rankingExprs(rel), ...rel.calls.flatMap((c) => [...c.args.map((a) => a.expr), ...(c.filter === null ? [] : [c.filter.expr]), ...limitsOf(c.limits).map((i) => i.expr)])];
    case 'topn': return rankingExprs(rel);
    case 'join': return [...rel.on];
    case 'limit': return [rel.limit, rel.offset].filter((e) => e !== null);
  }
}

const rankingExprs = (rel: Pick<OverRel, 'partition' | 'order'>): Expr[] => [...rel.partition.map((i) => i.expr), ...rel.order.map((o) => o.item.expr)];

export function inputsOf(rel: Rel): readonly Rel[] {
  switch (rel.rel) {
    case 'scan': case 'rows': return [];
    case 'join': return [rel.left, rel.right];
    case 'union': return rel.inputs;
    default: return [rel.input];
  }
}

export function relExprs(rel: Rel): Expr[] { return [...ownExprs(rel), ...inputsOf(rel).flatMap(relExprs)]; }
