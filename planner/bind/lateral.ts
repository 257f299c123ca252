/**
 * Correlated subqueries as joins: LATERAL in FROM, and scalar subqueries of one aggregated row in continuous queries.
 *
 * `free` takes the outer columns out of the subquery's relation: conditions over them become the join's, values computed from them are computed
 * above the join ("late"). An aggregate is grouped by what its outer columns are compared with (equality only); one without GROUP BY gives a row
 * for no input too ("single"): it is a left join whose defaults (count: 0) and everything over them are late. ORDER BY … LIMIT becomes a Top-N for each
 * value that the outer columns are compared with (equality only). Other forms stay unsupported.
 */
import type { Expr } from '../../types/expr.js';
import { BOOL } from '../../types/sqltype.js';
import type { BindContext } from './context.js';
import { column, columnsOf, conjuncts, hasSubplan, isVolatile, literal, mapChildren, some, substitute } from './exprs.js';
import { outputIds, type AggregateRel, type ColId, type Item, type LimitRel, type Rel, type TopNRel } from './rel.js';
import { relExprs } from './relexprs.js';
import type { BoundQuery } from './select.js';

interface Freed {
  readonly rel: Rel;
  /** Conditions of the join: over columns of `rel` and outer ones. */
  readonly preds: readonly Expr[];
  /** Columns that exist only above the join. */
  readonly late: ReadonlyMap<ColId, Expr>;
  /** Exactly one row for each outer row, before `after`: conditions above the join. */
  readonly single: boolean;
  readonly after: readonly Expr[];
}

export const usesOuter = (e: Expr): boolean => some(e, (x) => x.node === 'outer');

export function replaceOuter(e: Expr, outer: readonly Expr[]): Expr {
  if (e.node === 'outer') return outer[e.index] ?? e;
  return mapChildren(e, (c) => replaceOuter(c, outer));
}

const NONE: ReadonlyMap<ColId, Expr> = new Map();
const plain = (rel: Rel): Freed => ({ rel, preds: [], late: NONE, single: false, after: [] });

/** null: outer columns stand where no join can give them. */
function free(ctx: BindContext, rel: Rel): Freed | null {
  if (!relExprs(rel).some(usesOuter)) return plain(rel);
  switch (rel.rel) {
    case 'filter': {
      const f = free(ctx, rel.input);
      if (f === null) return null;
      const own = rel.preds.flatMap(conjuncts).map((p) => substitute(p, (id) => f.late.get(id)));
      if (f.single) return { ...f, after: [...f.after, ...own] };
      const kept = own.filter((p) => !usesOuter(p));
      return { ...f, rel: kept.length === 0 ? f.rel : { rel: 'filter', input: f.rel, preds: kept }, preds: [...f.preds, ...own.filter(usesOuter)] };
    }
    case 'project': return freeProject(ctx, rel.items, rel.input);
    case 'sort': return free(ctx, rel.input);
    case 'aggregate': return freeAggregate(ctx, rel);
    case 'topn': return freeTopN(ctx, rel);
    case 'limit': { const first = firstRows(ctx, rel); return first === null ? null : freeTopN(ctx, first); }
    case 'join': {
      if (rel.kind === 'full' || rel.kind === 'right') return null;
      const left = free(ctx, rel.left);
      const right = rel.kind === 'inner' ? free(ctx, rel.right) : relExprs(rel.right).some(usesOuter) ? null : plain(rel.right);
      if (left === null || right === null || left.single || right.single) return null;
      const late = new Map([...left.late, ...right.late]);
      const on = rel.on.flatMap(conjuncts).map((p) => substitute(p, (id) => late.get(id)));
      if (rel.kind !== 'inner' && on.some(usesOuter)) return null;
      return { rel: { ...rel, left: left.rel, right: right.rel, on: on.filter((p) => !usesOuter(p)) }, preds: [...left.preds, ...right.preds, ...on.filter(usesOuter)], late, single: false, after: [] };
    }
    default: return null;
  }
}

function freeProject(ctx: BindContext, own: readonly Item[], input: Rel): Freed | null {
  const f = free(ctx, input);
  if (f === null) return null;
  const late = new Map<ColId, Expr>();
  const items: Item[] = [];
  for (const i of own) {
    const expr = substitute(i.expr, (id) => f.late.get(id));
    if (f.single || usesOuter(expr)) late.set(i.id, expr);
    else items.push({ id: i.id, expr });
  }
  // What stands above the join needs its columns.
  const needed = new Set<ColId>();
  for (const e of [...f.preds, ...f.after, ...late.values()]) columnsOf(e, needed);
  for (const id of needed) if (!items.some((i) => i.id === id)) items.push({ id, expr: column(id, ctx.info(id).type) });
  return { ...f, rel: { rel: 'project', input: f.rel, items }, late };
}

/** Aggregates whose result over no rows is not NULL. */
const OF_NO_ROWS: ReadonlyMap<string, string> = new Map([['count', '0'], ['rank', '1'], ['dense_rank', '1'], ['percent_rank', '0'], ['cume_dist', '1']]);

function freeAggregate(ctx: BindContext, rel: AggregateRel): Freed | null {
  const f = free(ctx, rel.input);
  if (f === null || f.single) return null;
  const map = (e: Expr): Expr => substitute(e, (id) => f.late.get(id));
  const keys = rel.keys.map((k) => ({ id: k.id, expr: map(k.expr) }));
  const calls = rel.calls.map((c) => ({ ...c, args: c.args.map(map), filter: c.filter === null ? null : map(c.filter), orderBy: c.orderBy.map((o) => ({ ...o, expr: map(o.expr) })) }));
  if (relExprs({ ...rel, keys, calls, input: { rel: 'rows', cols: [], rows: [] } }).some(usesOuter)) return null;
  const preds: Expr[] = [];
  for (const p of f.preds) {
    const c = correlation(ctx, p);
    if (c === null) return null;
    keys.push({ id: c.id, expr: c.inner });
    preds.push(c.pred);
  }
  if (rel.keys.length > 0) return { rel: { ...rel, input: f.rel, keys, calls }, preds, late: NONE, single: false, after: [] };
  const late = new Map<ColId, Expr>();
  const renamed = calls.map((c) => {
    const id = ctx.newColumn(ctx.info(c.id).name, c.type).id;
    const value = column(id, c.type);
    const empty = OF_NO_ROWS.get(c.fn.slice(0, c.fn.indexOf('(')));
    late.set(c.id, empty === undefined ? value : { node: 'coalesce', args: [value, literal(empty, c.type)], type: c.type });
    return { ...c, id };
  });
  return { rel: { ...rel, input: f.rel, keys, calls: renamed }, preds, late, single: true, after: [] };
}

/** ORDER BY … LIMIT with constant numbers as a Top-N over everything. */
function firstRows(ctx: BindContext, rel: LimitRel): TopNRel | null {
  const number = (e: Expr | null): number | null => (e === null || e.node !== 'literal' || e.text === null ? null : Number(e.text));
  const limit = number(rel.limit);
  const offset = rel.offset === null ? 0 : number(rel.offset);
  if (limit === null || limit === 0 || offset === null || rel.input.rel !== 'sort') return null;
  const order = rel.input.keys.map((k) => ({ item: { id: k.col, expr: column(k.col, ctx.info(k.col).type) }, descending: k.descending, nullsFirst: k.nullsFirst }));
  return { rel: 'topn', input: rel.input.input, fn: 'row_number', partition: [], order, from: offset + 1, to: offset + limit, rank: null };
}

/** The first rows of each outer row are the first rows of each value that its columns are compared with. */
function freeTopN(ctx: BindContext, rel: TopNRel): Freed | null {
  const f = free(ctx, rel.input);
  if (f === null || f.single) return null;
  const item = (i: Item): Item => ({ id: i.id, expr: substitute(i.expr, (id) => f.late.get(id)) });
  const partition = rel.partition.map(item);
  const order = rel.order.map((o) => ({ ...o, item: item(o.item) }));
  if ([...partition, ...order.map((o) => o.item)].some((i) => usesOuter(i.expr))) return null;
  const items: Item[] = [...new Set(outputIds(f.rel))].map((id) => ({ id, expr: column(id, ctx.info(id).type) }));
  const preds: Expr[] = [];
  for (const p of f.preds) {
    const c = correlation(ctx, p);
    if (c === null) return null;
    items.push({ id: c.id, expr: c.inner });
    partition.push({ id: c.id, expr: column(c.id, c.inner.type) });
    preds.push(c.pred);
  }
  return { rel: { ...rel, input: { rel: 'project', input: f.rel, items }, partition, order }, preds, late: f.late, single: false, after: [] };
}

/** inner = outer: a column for the inner value, and the condition over it. */
function correlation(ctx: BindContext, p: Expr): { readonly id: ColId; readonly inner: Expr; readonly pred: Expr } | null {
  const [a, b] = p.node === 'call' && p.fn.startsWith('=(') ? p.args : [];
  if (p.node !== 'call' || a === undefined || b === undefined) return null;
  const [inner, turned] = usesOuter(a) ? [b, true] : [a, false];
  const outside = turned ? a : b;
  if (usesOuter(inner) || columnsOf(outside).size > 0 || isVolatile(p) || hasSubplan(p)) return null;
  const id = ctx.newColumn('correlation', inner.type).id;
  const key = column(id, inner.type);
  return { id, inner, pred: { ...p, args: turned ? [outside, key] : [key, outside] } };
}

/** `left` joined with a subquery over its columns (`outer`); `on` is null for the comma and CROSS JOIN. null: not of a form that is a join. */
export function joinLateral(ctx: BindContext, left: Rel, bound: BoundQuery, outer: readonly Expr[], kind: 'inner' | 'left', on: readonly Expr[]): Rel | null {
  if (bound.volatile) return null;
  const f = free(ctx, bound.rel);
  if (f === null) return null;
  const here = (e: Expr): Expr => replaceOuter(e, outer);
  const late = new Map([...f.late].map(([id, e]) => [id, here(e)]));
  const condition = on.map((e) => substitute(e, (id) => late.get(id)));
  const preds = f.preds.map(here);
  if (f.single) {
    if (kind === 'left' && (f.after.length > 0 || on.length > 0)) return null;
    const joined = above(ctx, { rel: 'join', kind: 'left', left, right: f.rel, on: preds }, late);
    const after = [...f.after.map(here), ...on];
    return after.length === 0 ? joined : { rel: 'filter', input: joined, preds: after };
  }
  if (kind === 'inner' || late.size === 0) return above(ctx, { rel: 'join', kind, left, right: f.rel, on: [...preds, ...condition] }, late);
  // A row without match has NULLs, whatever its late columns would be computed as.
  const mark = ctx.newColumn('matched', BOOL).id;
  const ids = outputIds(f.rel);
  const right: Rel = { rel: 'project', input: f.rel, items: [...ids.map((id) => ({ id, expr: column(id, ctx.info(id).type) })), { id: mark, expr: literal('t', BOOL) }] };
  const whenMatched = new Map([...late].map(([id, then]): [ColId, Expr] => [id, {
    node: 'case', whens: [{ when: { node: 'not', arg: { node: 'isnull', arg: column(mark, BOOL), type: BOOL }, type: BOOL }, then }], otherwise: literal(null, then.type), type: then.type,
  }]));
  return above(ctx, { rel: 'join', kind, left, right, on: [...preds, ...condition] }, whenMatched);
}

function above(ctx: BindContext, rel: Rel, late: ReadonlyMap<ColId, Expr>): Rel {
  if (late.size === 0) return rel;
  const items: Item[] = [...new Set(outputIds(rel))].map((id) => ({ id, expr: column(id, ctx.info(id).type) }));
  return { rel: 'project', input: rel, items: [...items, ...[...late].map(([id, expr]) => ({ id, expr }))] };
}

/** Whether the subquery gives exactly one row for each outer row. */
export function givesOneRow(rel: Rel): boolean {
  return rel.rel === 'project' || rel.rel === 'sort' ? givesOneRow(rel.input) : rel.rel === 'aggregate' && rel.keys.length === 0;
}
