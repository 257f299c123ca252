/**
 * SESSION → session node, which keeps its sessions' rows; or, under a GROUP BY of the partition and the session's edges whose aggregates can be
 * merged, one sessionaggregate node, which keeps the aggregates' states: the arguments are computed below it.
 */
import { unsupported } from '../../types/error.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import type { Expr } from '../../types/expr.js';
import type { Sessions } from '../../types/plan.js';
import { isMergeable } from '../../runtime/aggregates/make.js';
import { columnsOf, isVolatile, sameExpr, substitute } from '../bind/exprs.js';
import type { AggregateRel, ColId, Item, Rel, SessionRel } from '../bind/rel.js';
import { argumentId, guarded } from './aggregate.js';
import { PlanBuilder, positionOf, type Edge } from './builder.js';
import { hashed, itemsOf, narrow, single, type Lowering } from './lower.js';
import { Demand } from './scan.js';

export function lowerSession(l: Lowering, rel: SessionRel, needed: ReadonlySet<ColId>): Edge {
  const kept = new Set([...needed].filter((id) => id !== rel.start && id !== rel.end));
  const inner = new Set([...kept, rel.time, ...rel.partition]);
  const late = lateOf(l, rel);
  if (late !== null) inner.add(late);
  const below = spread(l, rel, narrow(l, rel.input, itemsOf(l, inner)));
  const sessions = sessionsOf(l, rel, below);
  const keep = below.layout.filter((id) => id !== late);
  return l.builder.add({ op: 'session', ...sessions, keep: keep.map((id) => positionOf(below.layout, id)), inputAppendOnly: below.appendOnly }, [below], {
    layout: [...keep, rel.start, rel.end], key: below.key, appendOnly: !l.job || sessions.emitOnClose, dist: below.dist,
  });
}

/** In a query that ends there is no watermark before the end. */
const lateOf = (l: Lowering, rel: SessionRel): ColId | null => (l.job ? rel.late : null);

function spread(l: Lowering, rel: SessionRel, below: Edge): Edge {
  return rel.partition.length === 0 ? single(l, below) : hashed(l, below, rel.partition);
}

function sessionsOf(l: Lowering, rel: SessionRel, below: Edge): Sessions {
  const late = lateOf(l, rel);
  if (late !== null && !below.appendOnly) throw unsupported('SESSION over the event time of rows that change', rel.position);
  if (l.job && l.emitOnClose && late === null) {
    throw unsupported('EMIT ON WINDOW CLOSE over a SESSION that no watermark closes', rel.position, 'The time column must be the one of a stream that WATERMARK FOR names, passed on as it is.');
  }
  return {
    timeColumn: positionOf(below.layout, rel.time), partition: rel.partition.map((id) => positionOf(below.layout, id)), gapUs: rel.gapUs,
    lateColumn: late === null ? null : positionOf(below.layout, late), emitOnClose: l.job && l.emitOnClose,
  };
}

/** A session under projections, and what columns above them are in its terms. */
function sessionUnder(rel: Rel): { readonly session: SessionRel; readonly inner: (e: Expr) => Expr } | null {
  const steps: ReadonlyMap<ColId, Expr>[] = [];
  let at = rel;
  while (at.rel === 'project') {
    if (at.items.some((i) => isVolatile(i.expr))) return null;
    steps.push(new Map(at.items.map((i) => [i.id, i.expr])));
    at = at.input;
  }
  return at.rel === 'session' ? { session: at, inner: (e) => steps.reduce((x, by) => substitute(x, (id) => by.get(id)), e) } : null;
}

interface Fused {
  readonly session: SessionRel;
  readonly keys: readonly (number | 'start' | 'end')[];
  /** By position in the partition: the key that names it. */
  readonly partition: readonly ColId[];
  readonly calls: readonly { readonly args: readonly Expr[]; readonly filter: Expr | null }[];
}

/** Kept with the tree, so that repeated lowering names its columns alike. */
const fusions = new WeakMap<AggregateRel, Fused | { readonly session: null }>();

function fused(l: Lowering, rel: AggregateRel): Fused | null {
  let known = fusions.get(rel);
  if (known === undefined) {
    known = fuse(l, rel) ?? { session: null };
    fusions.set(rel, known);
  }
  return known.session === null ? null : known;
}

function fuse(l: Lowering, rel: AggregateRel): Fused | null {
  const below = sessionUnder(rel.input);
  if (below === null) return null;
  const { session, inner } = below;
  if (!session.partition.every((id) => equalityIsIdentity(l.ctx.info(id).type))) return null;
  const partition: ColId[] = [];
  const keys: (number | 'start' | 'end')[] = [];
  for (const k of rel.keys) {
    const e = inner(k.expr);
    if (e.node !== 'column') return null;
    const at = session.partition.indexOf(e.index);
    if (at < 0 && e.index !== session.start && e.index !== session.end) return null;
    const key = at >= 0 ? at : e.index === session.start ? 'start' : 'end';
    if (keys.includes(key)) return null;
    keys.push(key);
    if (at >= 0) partition[at] = k.id;
  }
  if (!session.partition.every((_, i) => partition[i] !== undefined) || (!keys.includes('start') && !keys.includes('end'))) return null;
  const edges = new Set([session.start, session.end]);
  const calls = rel.calls.map((c) => ({ args: c.args.map((a) => inner(c.filter === null ? a : guarded(a, c.filter))), filter: c.filter === null ? null : inner(c.filter) }));
  const fits = rel.calls.every((c, i) => c.orderBy.length === 0 && isMergeable(c, c.args.map((a) => a.type))
    && [...calls[i]?.args ?? [], calls[i]?.filter ?? null].every((e) => e === null || [...columnsOf(e)].every((id) => !edges.has(id))));
  return fits ? { session, keys, partition, calls } : null;
}

/** Found without leaving nodes in the plan. */
const isAppendOnly = (l: Lowering, rel: Rel, items: readonly Item[]): boolean => narrow({ ...l, builder: new PlanBuilder(l.ctx, 0), demand: new Demand() }, rel, items).appendOnly;

/** null: not a GROUP BY of whole sessions. */
export function lowerSessionAggregate(l: Lowering, rel: AggregateRel): Edge | null {
  const fusion = fused(l, rel);
  if (fusion === null) return null;
  const { session, partition } = fusion;
  const items: Item[] = session.partition.map((id, i) => ({ id: partition[i] ?? id, expr: { node: 'column', index: id, type: l.ctx.info(id).type } }));
  const idOf = (expr: Expr, name: string): ColId => {
    const known = items.find((i) => sameExpr(i.expr, expr));
    if (known !== undefined) return known.id;
    const id = expr.node === 'column' ? expr.index : argumentId(l, expr, name);
    items.push({ id, expr });
    return id;
  };
  const time = idOf({ node: 'column', index: session.time, type: l.ctx.info(session.time).type }, 'time');
  const late = lateOf(l, session);
  if (late !== null) idOf({ node: 'column', index: late, type: l.ctx.info(late).type }, 'late');
  const calls = rel.calls.map((call, i) => ({ call, args: (fusion.calls[i]?.args ?? []).map((a) => idOf(a, 'arg')), filter: fusion.calls[i]?.filter ?? null }))
    .map(({ call, args, filter }) => ({ call, args, filter: filter === null ? null : idOf(filter, 'filter') }));
  const renamed: SessionRel = { ...session, partition, time };
  if (!isAppendOnly(l, session.input, items)) return null;
  const below = spread(l, renamed, narrow(l, session.input, items));
  const sessions = sessionsOf(l, renamed, below);
  const at = (id: ColId): number => positionOf(below.layout, id);
  return l.builder.add({
    op: 'sessionaggregate', ...sessions, keys: fusion.keys,
    calls: calls.map(({ call, args, filter }) => ({ fn: call.fn, args: args.map(at), distinct: false, filter: filter === null ? null : at(filter), orderBy: [], type: call.type })),
  }, [below], {
    layout: [...rel.keys.map((k) => k.id), ...rel.calls.map((c) => c.id)], key: rel.keys.map((k) => k.id), appendOnly: !l.job || sessions.emitOnClose, dist: below.dist,
  });
}
