/**
 * Logical algebra → physical nodes, top down over the columns that are needed.
 *
 *   - adjacent filters and projections are fused into one calc (filter first), by substitution; an expression that would be computed more than
 *     once and is not trivial keeps its own calc below;
 *   - only needed columns go into joins, aggregates and exchanges;
 *   - a source reads the union of the columns that all its occurrences in the query need (collected by a dry run: `Demand`);
 *   - exchanges are put before keyed operators unless the input is spread by a subset of the key already (jobs only).
 *
 * Runs several times over one tree (see planquery.ts): it must not change the tree.
 */
import type { Expr } from '../../types/expr.js';
import type { LockstepFunction, SortKey } from '../../types/plan.js';
import type { BindContext } from '../bind/context.js';
import { children, column, columnsOf, conjunction, hasSubplan, isVolatile, literal, substitute } from '../bind/exprs.js';
import { expandedIds, unnestColumns, type ColId, type ExpandRel, type Item, type LimitRel, type ProjectRel, type Rel, type SetFunction, type SortRel, type UnionRel, type UnnestRel, type WindowRel } from '../bind/rel.js';
import { lowerAggregate } from './aggregate.js';
import { positional, positionOf, type Distribution, type Edge, type PlanBuilder } from './builder.js';
import { lowerJoin } from './join.js';
import { count } from './limits.js';
import { lowerProcess } from './process.js';
import { lowerOver, lowerTopN } from './over.js';
import { lowerScan, type Demand } from './scan.js';
import { lowerSession } from './session.js';

export interface Lowering {
  readonly ctx: BindContext;
  readonly builder: PlanBuilder;
  readonly demand: Demand;
  readonly job: boolean;
  /** EMIT ON WINDOW CLOSE. */
  readonly emitOnClose: boolean;
}

export function lower(l: Lowering, rel: Rel, needed: ReadonlySet<ColId>): Edge {
  switch (rel.rel) {
    case 'scan': return lowerScan(l, rel, needed);
    case 'rows': return l.builder.add({ op: 'rows', rows: rel.rows, system: null, ...(rel.recursion === undefined ? {} : { recursion: rel.recursion }), ...(rel.working === undefined ? {} : { working: rel.working }) }, [], { layout: rel.cols, key: null, appendOnly: true, dist: l.job ? null : 'single' });
    case 'filter': case 'project': return calc(l, rel, [], [...needed].map((id) => ({ id, expr: column(id, l.ctx.info(id).type) })), 'loose');
    case 'window': return lowerWindow(l, rel, needed);
    case 'session': return lowerSession(l, rel, needed);
    case 'process': return lowerProcess(l, rel);
    case 'unnest': return lowerUnnest(l, rel, needed);
    case 'expand': return lowerExpand(l, rel, needed);
    case 'aggregate': return lowerAggregate(l, rel);
    case 'over': return lowerOver(l, rel, needed);
    case 'topn': return lowerTopN(l, rel, needed);
    case 'join': return lowerJoin(l, rel, needed);
    case 'union': return lowerUnion(l, rel, needed);
    case 'sort': return lowerSort(l, rel, needed, null);
    case 'limit': return lowerLimit(l, rel, needed);
  }
}

export const itemsOf = (l: Lowering, ids: Iterable<ColId>): Item[] => [...ids].map((id) => ({ id, expr: column(id, l.ctx.info(id).type) }));

/** Exactly the columns `ids`, in that order. */
export function exactly(l: Lowering, rel: Rel, ids: readonly ColId[]): Edge { return calc(l, rel, [], itemsOf(l, ids), 'exact'); }

/** At least the items, and nothing that nobody needs; any order. */
export function narrow(l: Lowering, rel: Rel, items: readonly Item[]): Edge { return calc(l, rel, [], items, 'narrow'); }

type Shape = /** Extra columns may stay. */ 'loose' | /** No extra columns. */ 'narrow' | /** No extra columns, in this order. */ 'exact';

function calc(l: Lowering, rel: Rel, filters: readonly Expr[], wanted: readonly Item[], shape: Shape): Edge {
  let base: Rel = rel;
  let preds = [...filters];
  let items = [...wanted];
  while (base.rel === 'filter' || base.rel === 'project' || (base.rel === 'sort' && l.job)) {
    if (base.rel === 'sort') { base = base.input; continue; }
    if (base.rel === 'filter') { preds = [...base.preds, ...preds]; base = base.input; continue; }
    if (!canFuse(base, preds, items)) break;
    const byId = new Map(base.items.map((i) => [i.id, i.expr]));
    const by = (id: number): Expr | undefined => byId.get(id);
    preds = preds.map((p) => substitute(p, by));
    items = items.map((i) => ({ id: i.id, expr: substitute(i.expr, by) }));
    base = base.input;
  }
  const needed = new Set<ColId>();
  for (const p of preds) columnsOf(p, needed);
  for (const i of items) columnsOf(i.expr, needed);
  const below = base.rel === 'project' ? separateCalc(l, base, needed) : lower(l, base, needed);
  return emit(l, below, preds, items, shape);
}

/** A projection that is not fused: its own calc. */
function separateCalc(l: Lowering, rel: ProjectRel, needed: ReadonlySet<ColId>): Edge {
  return calc(l, rel.input, [], rel.items.filter((i) => needed.has(i.id)), 'narrow');
}

const DUPLICATED_SIZE_MAX = 3;
const size = (e: Expr): number => 1 + children(e).reduce((n, c) => n + size(c), 0);
const isTrivial = (e: Expr): boolean => !isVolatile(e) && !hasSubplan(e) && (size(e) <= DUPLICATED_SIZE_MAX || (e.node === 'coalesce' && e.args.every((a) => a.node === 'column' || a.node === 'literal')));

/** Whether substituting the projection's expressions computes none of the costly ones twice. */
function canFuse(rel: ProjectRel, preds: readonly Expr[], items: readonly Item[]): boolean {
  const uses = new Map<ColId, number>();
  const visit = (e: Expr): void => {
    if (e.node === 'column') uses.set(e.index, (uses.get(e.index) ?? 0) + 1);
    for (const c of children(e)) visit(c);
  };
  preds.forEach(visit);
  items.forEach((i) => visit(i.expr));
  return rel.items.every((i) => {
    const n = uses.get(i.id) ?? 0;
    if (n > 0 && preds.length > 0 && isVolatile(i.expr)) return false;
    return n <= 1 || isTrivial(i.expr);
  });
}

function emit(l: Lowering, below: Edge, preds: readonly Expr[], items: readonly Item[], shape: Shape): Edge {
  const filter = conjunction(preds);
  const renamed = filter === null ? relabel(below, items, shape) : null;
  if (renamed !== null) return renamed;
  const at = new Map<ColId, ColId>();
  for (const i of items) if (i.expr.node === 'column' && !at.has(i.expr.index)) at.set(i.expr.index, i.id);
  const map = (ids: readonly ColId[]): ColId[] => ids.map((id) => at.get(id) ?? id);
  return l.builder.add(
    { op: 'calc', filter: filter === null ? null : positional(filter, below.layout), project: items.map((i) => positional(i.expr, below.layout)) },
    [below],
    { layout: items.map((i) => i.id), key: below.key === null ? null : map(below.key), appendOnly: below.appendOnly, dist: mapDistribution(below.dist, map) },
  );
}

function mapDistribution(dist: Distribution, map: (ids: readonly ColId[]) => ColId[]): Distribution {
  return dist === null || dist === 'single' ? dist : map(dist);
}

/** Only columns: no calc is needed, they are known by other ids. Null where a calc is needed after all. */
function relabel(below: Edge, items: readonly Item[], shape: Shape): Edge | null {
  const names = new Map<number, ColId>();
  for (const i of items) {
    if (i.expr.node !== 'column') return null;
    const at = below.layout.indexOf(i.expr.index);
    if (at < 0 || names.has(at)) return null;
    names.set(at, i.id);
  }
  if (shape !== 'loose' && items.length !== below.layout.length) return null;
  const layout = below.layout.map((id, p) => names.get(p) ?? id);
  if (shape === 'exact' && items.some((i, p) => layout[p] !== i.id)) return null;
  const at = new Map(below.layout.map((id, p) => [id, layout[p] ?? id]));
  const map = (ids: readonly ColId[]): ColId[] => ids.map((id) => at.get(id) ?? id);
  return { ...below, layout, key: below.key === null ? null : map(below.key), dist: mapDistribution(below.dist, map) };
}

function lowerWindow(l: Lowering, rel: WindowRel, needed: ReadonlySet<ColId>): Edge {
  const inner = new Set([...needed].filter((id) => id !== rel.start && id !== rel.end));
  inner.add(rel.time);
  const late = l.job ? rel.late : null;
  if (late !== null) inner.add(late);
  const below = narrow(l, rel.input, itemsOf(l, inner));
  return l.builder.add({
    op: 'window', timeColumn: positionOf(below.layout, rel.time), sizeUs: rel.sizeUs, slideUs: rel.slideUs, offsetUs: rel.offsetUs,
    lateColumn: late === null ? null : positionOf(below.layout, late), ...(rel.cumulate ? { cumulate: true } : {}), ...(rel.ranges === true ? { ranges: true } : {}),
  }, [below], {
    layout: [...below.layout, rel.start, rel.end], key: below.key === null ? null : [...below.key, rel.cumulate ? rel.end : rel.start], appendOnly: below.appendOnly, dist: below.dist,
  });
}

function lowerUnnest(l: Lowering, rel: UnnestRel, needed: ReadonlySet<ColId>): Edge {
  const own = new Set(unnestColumns(rel));
  const inner = new Set([...needed].filter((id) => !own.has(id)));
  for (const f of [rel, ...rel.beside]) for (const a of f.args) columnsOf(a, inner);
  const below = narrow(l, rel.input, itemsOf(l, inner));
  const fn = (f: SetFunction): LockstepFunction => ({ fn: f.fn, args: f.args.map((a) => positional(a, below.layout)) });
  return l.builder.add(
    { op: 'unnest', ...fn(rel), ...(rel.beside.length === 0 ? {} : { beside: rel.beside.map(fn) }), ordinality: rel.ordinality !== null, outer: rel.outer },
    [below],
    { layout: [...below.layout, ...own], key: null, appendOnly: below.appendOnly, dist: below.dist },
  );
}

/** A calc for each set over one input, put together. */
function lowerExpand(l: Lowering, rel: ExpandRel, needed: ReadonlySet<ColId>): Edge {
  const own = expandedIds(rel);
  const passed = itemsOf(l, [...needed].filter((id) => !own.includes(id)));
  const keys = rel.keys.filter((k) => needed.has(k.id));
  const below = narrow(l, rel.input, [...passed, ...keys]);
  const literalOf = (id: ColId, text: string | null): Item => ({ id, expr: literal(text, l.ctx.info(id).type) });
  const marks = (n: number, present: 't' | 'f'): Item[] => [rel.set, rel.present].flatMap((id) => (id === null || !needed.has(id) ? [] : [literalOf(id, id === rel.set ? String(n) : present)]));
  const branches = rel.sets.map((set, n) => {
    const values = keys.map((k) => (set.has(k.id) ? { id: k.id, expr: column(k.id, k.expr.type) } : literalOf(k.id, null)));
    return emit(l, below, [], [...passed, ...values, ...marks(n, 't')], 'exact');
  });
  const layout = branches[0]?.layout ?? [];
  const nulls = [...passed, ...keys].map((i) => literalOf(i.id, null));
  const seeds = rel.sets.flatMap((set, n) => (rel.present === null || set.size > 0 ? [] : [[...nulls, ...marks(n, 'f')].map((i) => i.expr)]));
  const rows = seeds.length === 0 ? [] : [l.builder.add({ op: 'rows', rows: seeds, system: null }, [], { layout, key: null, appendOnly: true, dist: l.job ? null : 'single' })];
  const inputs = [...branches, ...rows];
  return l.builder.add({ op: 'union' }, inputs, { layout, key: null, appendOnly: below.appendOnly, dist: inputs.every((i) => i.dist === 'single') ? 'single' : null });
}

function lowerUnion(l: Lowering, rel: UnionRel, needed: ReadonlySet<ColId>): Edge {
  const cols = rel.cols.filter((c) => needed.has(c.id));
  const inputs = rel.inputs.map((input, k) => {
    const items: Item[] = cols.map((c) => { const from = c.from[k] ?? -1; return { id: c.id, expr: column(from, l.ctx.info(from).type) }; });
    return calc(l, input, [], items, 'exact');
  });
  return l.builder.add({ op: 'union' }, inputs, { layout: cols.map((c) => c.id), key: null, appendOnly: inputs.every((i) => i.appendOnly), dist: inputs.every((i) => i.dist === 'single') ? 'single' : null });
}

function lowerSort(l: Lowering, rel: SortRel, needed: ReadonlySet<ColId>, top: number | null): Edge {
  const inner = new Set(needed);
  for (const k of rel.keys) inner.add(k.col);
  const below = narrow(l, rel.input, itemsOf(l, inner));
  if (l.job) return below;
  const keys = rel.keys.map((k): SortKey => ({ column: positionOf(below.layout, k.col), descending: k.descending, nullsFirst: k.nullsFirst }));
  return l.builder.add({ op: 'sort', keys, top }, [below], { layout: below.layout, key: below.key, appendOnly: true, dist: 'single' });
}

function lowerLimit(l: Lowering, rel: LimitRel, needed: ReadonlySet<ColId>): Edge {
  const isOpen = (e: Expr | null): boolean => e !== null && e.node !== 'literal';
  const limit = count(rel.limit, 'LIMIT', '2201W');
  const offset = count(rel.offset, 'OFFSET', '2201X') ?? 0;
  const given = isOpen(rel.limit) || isOpen(rel.offset) ? { limit: rel.limit, offset: rel.offset } : null;
  const sort = sortBelow(rel.input);
  const top = limit === null || given !== null ? null : limit + offset;
  const below = sort !== null && top !== null ? lowerSort(l, sort, needed, top) : lower(l, rel.input, needed);
  return l.builder.add(given === null ? { op: 'limit', limit, offset } : { op: 'limit', limit, offset, given }, [below], { ...facts(below), dist: 'single' });
}

const facts = (e: Edge): Omit<Edge, 'node'> => ({ layout: e.layout, key: e.key, appendOnly: e.appendOnly, dist: e.dist });
const sortBelow = (rel: Rel): SortRel | null => (rel.rel === 'sort' ? rel : null);

/** Spreads rows by hash of `keys` unless they are already spread by some of them. */
export function hashed(l: Lowering, below: Edge, keys: readonly ColId[]): Edge {
  if (!l.job || below.dist === 'single' || (below.dist !== null && below.dist.length > 0 && below.dist.every((id) => keys.includes(id)))) return below;
  if (keys.length === 0) return single(l, below);
  return l.builder.add({ op: 'exchange', kind: 'hash', keys: keys.map((k) => positionOf(below.layout, k)) }, [below], { ...facts(below), dist: keys });
}

export function single(l: Lowering, below: Edge): Edge {
  if (!l.job || below.dist === 'single') return below;
  return l.builder.add({ op: 'exchange', kind: 'single', keys: [] }, [below], { ...facts(below), dist: 'single' });
}
