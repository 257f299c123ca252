/**
 * Window functions → physical: `over` in general; `topn` where a condition on row_number(), rank() or dense_rank() keeps the first ranks of each
 * partition (pushOver recognises it while predicates are pushed down), for DISTINCT ON and for ORDER BY … LIMIT of a continuous query.
 *
 * Stream keys: one row a partition → the partition's columns; row numbers shown → the partition's columns and the number; else the input's.
 */
import type { Expr } from '../../types/expr.js';
import { limitsOf, mapLimits, type OverCall, type RankFunction, type SortKey } from '../../types/plan.js';
import { column, columnsOf } from '../bind/exprs.js';
import type { ColId, Item, OrderedItem, OverRel, Rel, TopNRel } from '../bind/rel.js';
import { positionOf, type Edge } from './builder.js';
import { hashed, narrow, single, type Lowering } from './lower.js';

const RANKS: ReadonlyMap<string, RankFunction> = new Map([['row_number()', 'row_number'], ['rank()', 'rank'], ['dense_rank()', 'dense_rank']]);

/** Conditions over window functions: what goes below them, the relation itself, and what stays above. `push` goes on below. */
export function pushOver(rel: OverRel, preds: readonly Expr[], push: (input: Rel, preds: readonly Expr[]) => Rel): { readonly rel: Rel; readonly stay: readonly Expr[] } {
  const { down, rest } = byPartition(rel.partition, preds);
  const input = push(rel.input, down);
  const [call] = rel.calls;
  const fn = rel.calls.length === 1 && call !== undefined ? RANKS.get(call.fn) : undefined;
  if (call === undefined || fn === undefined) return { rel: { ...rel, input }, stay: rest };
  let from = 1;
  let to = Infinity;
  const stay: Expr[] = [];
  for (const p of rest) {
    const range = rankRange(p, call.id);
    if (range === null) { stay.push(p); continue; }
    from = Math.max(from, range.from);
    to = Math.min(to, range.to);
  }
  if (to === Infinity || to < from) return { rel: { ...rel, input }, stay: rest };
  return { rel: { rel: 'topn', input, fn, partition: rel.partition, order: rel.order, from, to, rank: call.id }, stay };
}

export function pushTopN(rel: TopNRel, preds: readonly Expr[], push: (input: Rel, preds: readonly Expr[]) => Rel): { readonly rel: Rel; readonly stay: readonly Expr[] } {
  const { down, rest } = byPartition(rel.partition, preds);
  return { rel: { ...rel, input: push(rel.input, down) }, stay: rest };
}

/** A condition over columns of the PARTITION BY takes whole partitions away: it may come first. */
function byPartition(partition: readonly Item[], preds: readonly Expr[]): { readonly down: Expr[]; readonly rest: Expr[] } {
  const ids = new Set(partition.flatMap((i) => (i.expr.node === 'column' ? [i.expr.index] : [])));
  const down: Expr[] = [];
  const rest: Expr[] = [];
  for (const p of preds) {
    const used = columnsOf(p);
    (used.size > 0 && [...used].every((id) => ids.has(id)) ? down : rest).push(p);
  }
  return { down, rest };
}

const FLIPPED: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=', '=': '=' };

/** Ranks that a comparison of the rank with a number leaves; null: it is none. */
function rankRange(p: Expr, rank: ColId): { readonly from: number; readonly to: number } | null {
  const [a, b] = p.node === 'call' && p.args.length === 2 ? p.args : [];
  if (p.node !== 'call' || a === undefined || b === undefined) return null;
  const op = p.fn.slice(0, p.fn.indexOf('('));
  const turned = b.node === 'column';
  const [col, bound, name] = turned ? [b, a, FLIPPED[op]] : [a, b, op in FLIPPED ? op : undefined];
  if (name === undefined || col.node !== 'column' || col.index !== rank || bound.node !== 'literal' || bound.text === null || !/^-?\d+$/.test(bound.text)) return null;
  const n = Number(bound.text);
  if (!Number.isSafeInteger(n)) return null;
  switch (name) {
    case '<': return { from: 1, to: n - 1 };
    case '<=': return { from: 1, to: n };
    case '>': return { from: n + 1, to: Infinity };
    case '>=': return { from: n, to: Infinity };
    default: return { from: n, to: n };
  }
}

/** The input with the needed columns and the items, each once, spread by partition. */
function partitioned(l: Lowering, input: Rel, partition: readonly Item[], others: readonly Item[], needed: Iterable<ColId>): Edge {
  const items = new Map<ColId, Item>();
  for (const i of [...partition, ...others]) items.set(i.id, i);
  for (const id of needed) if (!items.has(id)) items.set(id, { id, expr: column(id, l.ctx.info(id).type) });
  const narrowed = narrow(l, input, [...items.values()]);
  return partition.length === 0 ? single(l, narrowed) : hashed(l, narrowed, [...new Set(partition.map((i) => i.id))]);
}

/** What is the same in all of a partition orders nothing. */
const sortKeys = (below: Edge, partition: readonly Item[], order: readonly OrderedItem[]): SortKey[] =>
  order.filter((o) => !partition.some((p) => p.id === o.item.id)).map((o) => ({ column: positionOf(below.layout, o.item.id), descending: o.descending, nullsFirst: o.nullsFirst }));

export function lowerTopN(l: Lowering, rel: TopNRel, needed: ReadonlySet<ColId>): Edge {
  const { fn, partition, order, from, to } = rel;
  const below = partitioned(l, rel.input, partition, order.map((o) => o.item), [...needed].filter((id) => id !== rel.rank));
  const rank = rel.rank !== null && needed.has(rel.rank) ? rel.rank : null;
  const ids = [...new Set(partition.map((i) => i.id))];
  const key = fn !== 'row_number' ? below.key : from === to ? ids : rank === null ? below.key : [...ids, rank];
  return l.builder.add(
    { op: 'topn', fn, partition: ids.map((id) => positionOf(below.layout, id)), order: sortKeys(below, partition, order), from, to, rank: rank !== null, inputAppendOnly: below.appendOnly },
    [below],
    { layout: rank === null ? below.layout : [...below.layout, rank], key, appendOnly: !l.job, dist: below.dist },
  );
}

export function lowerOver(l: Lowering, rel: OverRel, needed: ReadonlySet<ColId>): Edge {
  const calls = rel.calls.filter((c) => needed.has(c.id));
  const own = new Set(rel.calls.map((c) => c.id));
  const inner = [...needed].filter((id) => !own.has(id));
  if (calls.length === 0) {
    const items = new Map([...rel.partition, ...rel.order.map((o) => o.item)].map((i) => [i.id, i]));
    return narrow(l, rel.input, inner.map((id) => items.get(id) ?? { id, expr: column(id, l.ctx.info(id).type) }));
  }
  const below = partitioned(l, rel.input, rel.partition, [...rel.order.map((o) => o.item), ...calls.flatMap((c) => [...c.args, ...(c.filter === null ? [] : [c.filter]), ...limitsOf(c.limits)])], inner);
  const at = (i: Item): number => positionOf(below.layout, i.id);
  const physical = calls.map((c): OverCall => ({ fn: c.fn, args: c.args.map(at), filter: c.filter === null ? null : at(c.filter), frame: c.frame, ...(c.limits === null ? {} : { limits: mapLimits(c.limits, at) }), type: c.type }));
  return l.builder.add(
    { op: 'over', partition: [...new Set(rel.partition.map(at))], order: sortKeys(below, rel.partition, rel.order), calls: physical },
    [below],
    { layout: [...below.layout, ...calls.map((c) => c.id)], key: below.key, appendOnly: !l.job, dist: below.dist },
  );
}
