/**
 * GROUP BY of a HOP's window and other keys, in a job: rows come up once, with the range of their windows, and the aggregate adds them up by range
 * before it adds each range to its windows. Work per row then does not depend on how many windows hold it.
 *
 * Only where it is the same: the window's edges are group keys or not used at all (columns passed on are; a filter over them is not), other keys
 * spread the rows, and the aggregates can be added up from parts.
 */
import { isMergeable } from '../../runtime/aggregates/make.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import type { HopRanges } from '../../types/plan.js';
import { column, columnsOf, isVolatile } from '../bind/exprs.js';
import { threadColumn, type AggregateRel, type ColId, type Item, type Rel, type WindowRel } from '../bind/rel.js';
import { PlanBuilder } from './builder.js';
import { narrow, type Lowering } from './lower.js';
import { Demand } from './scan.js';

/** Named limit: group keys, two of them for the range. */
const KEYS_MAX = 14;

export interface Hop {
  /** The aggregate's input with the window in ranges. */
  readonly input: Rel;
  /** Both edges, under ids of the input's top. */
  readonly edges: readonly Item[];
  readonly spread: readonly ColId[];
  at(position: (id: ColId) => number): HopRanges;
}

export function hopRanges(l: Lowering, rel: AggregateRel): Hop | null {
  const window = l.job ? windowUnder(rel.input) : null;
  if (window === null || window.cumulate || window.sizeUs <= window.slideUs || rel.keys.length > KEYS_MAX) return null;
  const names = namesAbove(rel.input, window);
  if (names === null) return null;
  const edgeOf = (k: Item): ColId | null => (k.expr.node === 'column' ? names.get(k.expr.index) ?? null : null);
  const others = rel.keys.filter((k) => edgeOf(k) === null);
  const starts = rel.keys.filter((k) => edgeOf(k) === window.start);
  const ends = rel.keys.filter((k) => edgeOf(k) === window.end);
  if (others.length === 0 || starts.length > 1 || ends.length > 1 || starts.length + ends.length === 0) return null;
  if (!others.every((k) => equalityIsIdentity(k.expr.type))) return null;
  const free = [...others.map((k) => k.expr), ...rel.calls.flatMap((c) => [...c.args, ...(c.filter === null ? [] : [c.filter])])];
  if (free.some((e) => [...columnsOf(e)].some((id) => names.has(id)))) return null;
  // A row of several windows would have a value in each.
  if (free.some(isVolatile)) return null;
  if (rel.calls.some((c) => c.orderBy.length > 0 || c.distinct || !isMergeable(c, c.args.map((a) => a.type)))) return null;
  // min and max of rows that can be taken back keep their inputs.
  if (rel.calls.some((c) => /^(min|max)\(/.test(c.fn)) && !isAppendOnly(l, rel)) return null;
  const { type } = l.ctx.info(window.start);
  if (!threadColumn(rel.input, window.start, type, false) || !threadColumn(rel.input, window.end, type, false)) return null;
  const first = starts[0] ?? { id: window.start, expr: column(window.start, type) };
  const last = ends[0] ?? { id: window.end, expr: column(window.end, type) };
  const indexOf = (k: Item | undefined): number | null => (k === undefined ? null : rel.keys.indexOf(k));
  return {
    input: inRanges(rel.input), edges: [first, last], spread: others.map((k) => k.id),
    at: (position) => ({ first: position(first.id), last: position(last.id), sizeUs: window.sizeUs, slideUs: window.slideUs, start: indexOf(starts[0]), end: indexOf(ends[0]) }),
  };
}

/** Found without leaving nodes in the plan. */
const isAppendOnly = (l: Lowering, rel: AggregateRel): boolean => narrow({ ...l, builder: new PlanBuilder(l.ctx, 0), demand: new Demand() }, rel.input, rel.keys).appendOnly;

function windowUnder(rel: Rel): WindowRel | null {
  if (rel.rel === 'project' || rel.rel === 'filter') return windowUnder(rel.input);
  return rel.rel === 'window' ? rel : null;
}

/** Ids above the window that are one of its edges → the edge; null where an edge is used otherwise. */
function namesAbove(rel: Rel, window: WindowRel): Map<ColId, ColId> | null {
  if (rel.rel === 'window') return new Map([[window.start, window.start], [window.end, window.end]]);
  if (rel.rel !== 'project' && rel.rel !== 'filter') return null;
  const below = namesAbove(rel.input, window);
  if (below === null) return null;
  const own = rel.rel === 'filter' ? rel.preds : rel.items.map((i) => i.expr);
  if (own.some(isVolatile)) return null;
  if (rel.rel === 'filter') return own.some((p) => [...columnsOf(p)].some((id) => below.has(id))) ? null : below;
  const names = new Map<ColId, ColId>();
  for (const item of rel.items) {
    const edge = item.expr.node === 'column' ? below.get(item.expr.index) : undefined;
    if (edge !== undefined) names.set(item.id, edge);
    else if ([...columnsOf(item.expr)].some((id) => below.has(id))) return null;
  }
  return names;
}

function inRanges(rel: Rel): Rel {
  if (rel.rel === 'project' || rel.rel === 'filter') return { ...rel, input: inRanges(rel.input) };
  return rel.rel === 'window' ? { ...rel, ranges: true } : rel;
}
