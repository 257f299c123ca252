/**
 * GROUP BY and DISTINCT → aggregate: a calc below computes keys, arguments and filters, each once. Over append-only input a key that is a
 * window's edge says when a group is over: its state is freed then, and with EMIT ON WINDOW CLOSE only then it is put out.
 */
import { SqlError, unsupported } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { AggregateCall, AggregateNode } from '../../types/plan.js';
import { sameExpr, some } from '../bind/exprs.js';
import type { AggregateRel, ColId, Item, Rel } from '../bind/rel.js';
import { isNondeterministic, positional, positionOf, type Edge } from './builder.js';
import { hopRanges } from './hop.js';
import { hashed, narrow, single, type Lowering } from './lower.js';
import { lowerSessionAggregate } from './session.js';

export function lowerAggregate(l: Lowering, rel: AggregateRel): Edge {
  const bySession = lowerSessionAggregate(l, rel);
  if (bySession !== null) return bySession;
  const items: Item[] = rel.keys.map((k) => ({ id: k.id, expr: k.expr }));
  const idOf = (expr: Expr, name: string): ColId => {
    const known = items.find((i) => sameExpr(i.expr, expr));
    if (known !== undefined) return known.id;
    // A column keeps its id: a key that is made of it has another.
    const id = expr.node === 'column' ? expr.index : argumentId(l, expr, name);
    items.push({ id, expr });
    return id;
  };
  const calls = rel.calls.map((c) => ({
    call: c, args: c.args.map((a) => idOf(c.filter === null ? a : guarded(a, c.filter), 'arg')), filter: c.filter === null ? null : idOf(c.filter, 'filter'), order: c.orderBy.map((o) => idOf(c.filter === null ? o.expr : guarded(o.expr, c.filter), 'order')),
  }));
  const hop = hopRanges(l, rel);
  if (hop !== null) for (const edge of hop.edges) if (!items.some((i) => i.id === edge.id)) items.push(edge);
  const narrowed = narrow(l, hop?.input ?? rel.input, items);
  const keyIds = rel.keys.map((k) => k.id);
  // A range's rows go to several windows: they are spread by the other keys.
  const below = keyIds.length === 0 ? single(l, narrowed) : hashed(l, narrowed, hop?.spread ?? keyIds);
  const at = (id: ColId): number => positionOf(below.layout, id);
  const closes = l.job && below.appendOnly ? closing(l, rel) : null;
  if (l.emitOnClose && closes === null) throw notClosing(below.appendOnly);
  if (l.job && rel.calls.some((c) => c.direct?.some(isNondeterministic) === true)) throw unsupported('a direct argument whose value changes (now, random, …) in a continuous query', undefined);
  const physical: AggregateCall[] = calls.map(({ call, args, filter, order }) => ({
    fn: call.fn, args: args.map(at), distinct: call.distinct, filter: filter === null ? null : at(filter),
    orderBy: call.orderBy.map((o, i) => ({ column: at(order[i] as number), descending: o.descending, nullsFirst: o.nullsFirst })),
    ...(call.direct === undefined ? {} : { direct: call.direct.map((e) => positional(e, keyIds)) }), type: call.type,
  }));
  const distinctOnly = calls.length === 0 && keyIds.length > 0 && below.appendOnly;
  return l.builder.add({ op: 'aggregate', groupKeys: keyIds.map(at), calls: physical, inputAppendOnly: below.appendOnly, closes, ...(hop === null ? {} : { hop: hop.at(at) }) }, [below], {
    layout: [...keyIds, ...rel.calls.map((c) => c.id)], key: keyIds, appendOnly: !l.job || closes?.emitOnClose === true || distinctOnly, dist: below.dist === 'single' ? 'single' : below.dist,
  });
}

/** FILTER comes before the argument, which may fail for rows that do not pass: sum(1 / x) FILTER (WHERE x > 0). Kept, so that its id stays the same. */
const guards = new WeakMap<Expr, { readonly filter: Expr; readonly expr: Expr }>();
export function guarded(arg: Expr, filter: Expr): Expr {
  if (!some(arg, (x) => x.node === 'call' || x.node === 'cast' || x.node === 'subplan')) return arg;
  const known = guards.get(arg);
  if (known !== undefined && known.filter === filter) return known.expr;
  const expr: Expr = { node: 'case', whens: [{ when: filter, then: arg }], otherwise: null, type: arg.type };
  guards.set(arg, { filter, expr });
  return expr;
}

/** Ids of computed arguments stay the same over the repeated lowering of one tree. */
const argumentIds = new WeakMap<Expr, ColId>();
export function argumentId(l: Lowering, expr: Expr, name: string): ColId {
  let id = argumentIds.get(expr);
  if (id === undefined) {
    id = l.ctx.newColumn(name, expr.type).id;
    argumentIds.set(expr, id);
  }
  return id;
}

/** The key that ends soonest: a window's end (closes at it) or start (closes a size later). */
function closing(l: Lowering, rel: AggregateRel): AggregateNode['closes'] {
  let best: { keyIndex: number; addUs: number } | null = null;
  rel.keys.forEach((k, keyIndex) => {
    const closeUs = k.expr.node === 'column' ? closesAt(l, rel.input, k.expr.index) : null;
    if (closeUs !== null && (best === null || closeUs < best.addUs)) best = { keyIndex, addUs: closeUs };
  });
  return best === null ? null : { ...(best as { keyIndex: number; addUs: number }), emitOnClose: l.emitOnClose };
}

/**
 * µs after which a window is over, counted from the value of column `id`, when that is the edge of a window whose rows all come before the
 * watermark passes it; else null. Joins may put rows out long after; an aggregate that follows every epoch puts them out after the watermark.
 */
export function closesAt(l: Lowering, rel: Rel, id: ColId): number | null {
  switch (rel.rel) {
    case 'window':
      if (id !== rel.start && id !== rel.end) return closesAt(l, rel.input, id);
      return rel.late === null ? null : id === rel.start ? rel.sizeUs : 0;
    case 'session':
      // A row comes out when its session closes, before the watermark goes on.
      return id === rel.end && rel.late !== null && l.emitOnClose ? 0 : null;
    case 'filter': case 'sort': case 'unnest': case 'expand': return closesAt(l, rel.input, id);
    case 'project': return throughItem(l, rel.input, rel.items.find((i) => i.id === id));
    case 'aggregate': return l.emitOnClose ? throughItem(l, rel.input, rel.keys.find((i) => i.id === id)) : null;
    case 'union': {
      const from = rel.cols.find((c) => c.id === id)?.from ?? [];
      const all = rel.inputs.map((input, k) => closesAt(l, input, from[k] ?? -1));
      return all.every((x) => x === all[0]) ? all[0] ?? null : null;
    }
    case 'scan': case 'rows': case 'process': case 'join': case 'limit': case 'over': case 'topn': return null;
  }
}

function throughItem(l: Lowering, input: Rel, item: Item | undefined): number | null {
  return item?.expr.node === 'column' ? closesAt(l, input, item.expr.index) : null;
}

function notClosing(appendOnly: boolean): SqlError {
  return new SqlError('0A000', 'EMIT ON WINDOW CLOSE is not supported for this query', appendOnly
    ? { detail: 'A GROUP BY, or one of its grouping sets, has no window_start or window_end of a window over event time.', hint: 'Group by window_start or window_end of TUMBLE, HOP, CUMULATE or SESSION over a stream with WATERMARK FOR its time column.' }
    : { detail: 'The input of a GROUP BY takes rows back, so its windows never end.' });
}
