/**
 * Predicate pushdown: every AND-ed condition moves as far down as its meaning allows: through projections (substituted), into both sides of
 * joins and unions, below grouping when it is over keys. What belongs to a join becomes part of its condition, from where lower.ts takes the
 * equi-keys. A LEFT JOIN whose right side a WHERE condition rejects when NULL is an inner join.
 *
 * Conditions keep their order, those from inside a view or subquery first. Volatile ones stay where they were written.
 */
import type { Expr } from '../../types/expr.js';
import { column, columnsOf, conjuncts, isVolatile, some, substitute } from '../bind/exprs.js';
import { functionById } from '../bind/functions.js';
import type { BindContext } from '../bind/context.js';
import { pushOver, pushTopN } from './over.js';
import { expandedIds, outputIds, unnestColumns, type JoinKind, type JoinRel, type Rel } from '../bind/rel.js';

export function pushdown(ctx: BindContext, rel: Rel, preds: readonly Expr[] = []): Rel {
  switch (rel.rel) {
    case 'scan': case 'rows': return wrap(rel, preds);
    case 'filter': {
      const own = rel.preds.flatMap(conjuncts).filter((p) => !isTrue(p));
      const fixed = own.filter(isVolatile);
      if (fixed.length > 0) return wrap(pushdown(ctx, rel.input, own.filter((p) => !isVolatile(p))), [...fixed, ...preds]);
      return pushdown(ctx, rel.input, [...own, ...preds]);
    }
    case 'project': {
      const byId = new Map(rel.items.map((i) => [i.id, i.expr]));
      const [down, stay] = split(preds, (p) => [...columnsOf(p)].every((id) => { const e = byId.get(id); return e === undefined || !isVolatile(e); }));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down.map((p) => substitute(p, (id) => byId.get(id)))) }, stay);
    }
    case 'window': {
      const [stay, down] = split(preds, (p) => uses(p, [rel.start, rel.end]));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down) }, stay);
    }
    case 'session': {
      // A condition on the partition leaves whole sessions; any other would take rows out of them.
      const [down, stay] = split(preds, (p) => columnsOf(p).size > 0 && [...columnsOf(p)].every((id) => rel.partition.includes(id)));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down) }, stay);
    }
    // Every row may change what comes of others.
    case 'process': return wrap({ ...rel, input: pushdown(ctx, rel.input) }, preds);
    case 'unnest': {
      const own = unnestColumns(rel);
      const [stay, down] = split(preds, (p) => uses(p, own));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down) }, stay);
    }
    case 'expand': {
      const own = expandedIds(rel);
      const [stay, down] = split(preds, (p) => uses(p, own));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down) }, stay);
    }
    case 'aggregate': {
      const keys = new Map(rel.keys.map((k) => [k.id, k.expr]));
      const [down, stay] = split(preds, (p) => keys.size > 0 && columnsOf(p).size > 0 && [...columnsOf(p)].every((id) => keys.has(id)));
      return wrap({ ...rel, input: pushdown(ctx, rel.input, down.map((p) => substitute(p, (id) => keys.get(id)))) }, stay);
    }
    case 'over': case 'topn': {
      const below = (input: Rel, down: readonly Expr[]): Rel => pushdown(ctx, input, down);
      const pushed = rel.rel === 'over' ? pushOver(rel, preds, below) : pushTopN(rel, preds, below);
      return wrap(pushed.rel, pushed.stay);
    }
    case 'union':
      return {
        ...rel,
        inputs: rel.inputs.map((input, k) => pushdown(ctx, input, preds.map((p) => substitute(p, (id) => {
          const c = rel.cols.find((x) => x.id === id);
          const from = c?.from[k];
          return from === undefined ? undefined : column(from, ctx.info(from).type);
        })))),
      };
    case 'sort': return { ...rel, input: pushdown(ctx, rel.input, preds) };
    case 'limit': return wrap({ ...rel, input: pushdown(ctx, rel.input) }, preds);
    case 'join': return pushJoin(ctx, rel, preds);
  }
}

const isTrue = (e: Expr): boolean => e.node === 'literal' && e.text === 't';
const uses = (p: Expr, ids: readonly number[]): boolean => some(p, (x) => x.node === 'column' && ids.includes(x.index));

function wrap(rel: Rel, preds: readonly Expr[]): Rel {
  return preds.length === 0 ? rel : { rel: 'filter', input: rel, preds };
}

function split<T>(list: readonly T[], test: (t: T) => boolean): [T[], T[]] {
  const yes: T[] = [];
  const no: T[] = [];
  for (const t of list) (test(t) ? yes : no).push(t);
  return [yes, no];
}

function pushJoin(ctx: BindContext, rel: JoinRel, preds: readonly Expr[]): Rel {
  const leftIds = new Set(outputIds(rel.left));
  const rightIds = new Set(outputIds(rel.right));
  const within = (p: Expr, ids: ReadonlySet<number>): boolean => [...columnsOf(p)].every((id) => ids.has(id));
  const kind = innerWhereRejecting(rel.kind, preds, leftIds, rightIds);
  const toLeft: Expr[] = [];
  const toRight: Expr[] = [];
  const on: Expr[] = [];
  const above: Expr[] = [];
  for (const p of preds) {
    if (kind === 'semi' || kind === 'anti') toLeft.push(p);
    else if (kind === 'inner') (within(p, leftIds) ? toLeft : within(p, rightIds) ? toRight : on).push(p);
    else if (kind === 'left' && within(p, leftIds)) toLeft.push(p);
    else if (kind === 'right' && within(p, rightIds)) toRight.push(p);
    else above.push(p);
  }
  for (const p of rel.on.flatMap(conjuncts)) {
    if (isTrue(p)) continue;
    const constant = columnsOf(p).size === 0;
    const canLeft = kind === 'inner' || kind === 'right' || kind === 'semi';
    const canRight = kind === 'inner' || kind === 'left' || kind === 'semi' || kind === 'anti';
    if (isVolatile(p)) on.push(p);
    else if (canLeft && within(p, leftIds) && !(constant && !canRight)) toLeft.push(p);
    else if (canRight && within(p, rightIds)) toRight.push(p);
    else on.push(p);
  }
  // Conditions of an inner join written in WHERE come after those of ON.
  const ordered = kind === 'inner' ? [...on.filter((p) => !preds.includes(p)), ...on.filter((p) => preds.includes(p))] : on;
  return wrap({ ...rel, kind, left: pushdown(ctx, rel.left, toLeft), right: pushdown(ctx, rel.right, toRight), on: ordered }, above);
}

function innerWhereRejecting(kind: JoinKind, preds: readonly Expr[], left: ReadonlySet<number>, right: ReadonlySet<number>): JoinKind {
  const rejects = (ids: ReadonlySet<number>): boolean => preds.some((p) => rejectsNull(p, ids));
  if (kind === 'left') return rejects(right) ? 'inner' : kind;
  if (kind === 'right') return rejects(left) ? 'inner' : kind;
  if (kind !== 'full') return kind;
  const [l, r] = [rejects(left), rejects(right)];
  return l && r ? 'inner' : l ? 'left' : r ? 'right' : kind;
}

/** Whether the condition cannot be true when all of `ids` are NULL. */
function rejectsNull(p: Expr, ids: ReadonlySet<number>): boolean {
  switch (p.node) {
    case 'and': return p.args.some((a) => rejectsNull(a, ids));
    case 'or': return p.args.every((a) => rejectsNull(a, ids));
    case 'not': return p.arg.node === 'isnull' ? isNullWith(p.arg.arg, ids) : isNullWith(p.arg, ids);
    default: return isNullWith(p, ids);
  }
}

/** Whether the value is NULL when all of `ids` are NULL. */
function isNullWith(e: Expr, ids: ReadonlySet<number>): boolean {
  switch (e.node) {
    case 'column': return ids.has(e.index);
    case 'cast': return isNullWith(e.arg, ids);
    case 'call': return functionById(e.fn)?.strict === true && e.args.some((a) => isNullWith(a, ids));
    case 'in': return isNullWith(e.arg, ids);
    case 'anyall': return isNullWith(e.left, ids) && !e.all;
    default: return false;
  }
}
