/**
 * Queries: SELECT, VALUES, UNION / INTERSECT / EXCEPT, WITH, ORDER BY, LIMIT → Rel. `columns` are the visible output columns in order;
 * `rel` may put out more (sort keys).
 */
import type { Node, SelectStmt } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { BOOL, INT8, type SqlType } from '../../types/sqltype.js';
import { coerce, coerceBoolean, known } from './coerce.js';
import { columnName } from './colname.js';
import type { BindContext } from './context.js';
import { bindExpr } from './expr.js';
import { column, columnsOf, conjuncts, formOf, isVolatile, literal, located, locationOf, sameExpr, some, substitute, written } from './exprs.js';
import { bindCte, bindFrom } from './from.js';
import { containsColumn, Grouping, type GroupingCall } from './grouping.js';
import { bindGroupingSets } from './groupingsets.js';
import { requireEquality } from './operator.js';
import { bindOrder } from './order.js';
import { newWindows, overRels, windowExprs, windowIds, type Windows } from './over.js';
import { inDependencyOrder, namesInFrom } from './recursion.js';
import { bindRecursive } from './recursivequery.js';
import type { AggCall, Item, OrderItem, Rel } from './rel.js';
import { findCte, findItem, Scope, type Cte, type CteScope, type Env, type ScalarSubquery, type ScopeColumn, type SetCall } from './scope.js';
import { setsAmong, withSets } from './setcalls.js';
import { bindSetOperation, bindValues } from './setop.js';
import { withScalars } from './sublink.js';
import { strings } from './typename.js';
import { bindWhere } from './where.js';

export interface QueryEnv {
  readonly ctx: BindContext;
  /** Where the enclosing query's columns may be used; null = nowhere. */
  readonly parent: Env | null;
  readonly ctes: CteScope | null;
  readonly outer: Expr[];
  /** Leave untyped literals untyped: the reader (UNION, INSERT) gives them their type. */
  readonly keepUnknown?: boolean;
}

export interface BoundQuery { readonly rel: Rel; readonly columns: readonly ScopeColumn[]; readonly volatile: boolean }

/** Nested queries deeper than this are 54001 rather than an overflowing stack. */
const DEPTH_MAX = 200;
let depth = 0;

export function bindQuery(q: QueryEnv, stmt: SelectStmt): BoundQuery {
  if (depth >= DEPTH_MAX) throw q.ctx.error('54001', 'the query is nested too deeply', undefined);
  depth++;
  try {
    return bindStatement(q, stmt);
  } finally {
    depth--;
  }
}

function bindStatement(q: QueryEnv, stmt: SelectStmt): BoundQuery {
  const { ctx } = q;
  if (stmt.intoClause !== undefined) throw ctx.error('42601', 'SELECT ... INTO is not allowed here', stmt.intoClause.rel?.location);
  if (stmt.lockingClause !== undefined) throw ctx.unsupported('a row-locking clause (FOR UPDATE, FOR SHARE)', undefined);
  const env = withCtes(q, stmt);
  let bound: BoundQuery;
  if (stmt.op !== undefined && stmt.op !== 'SETOP_NONE') bound = bindSetOperation(env, stmt);
  else if (stmt.valuesLists !== undefined) bound = bindValues(env, stmt.valuesLists);
  else {
    const scope = new Scope(env.parent, env.outer);
    return limited(env, stmt, bindSimple(env, stmt, scope), scope);
  }
  return limited(env, stmt, sortedByOutput(env, stmt, bound), new Scope(env.parent, env.outer));
}

export function withCtes(q: QueryEnv, stmt: Pick<SelectStmt, 'withClause'>): QueryEnv {
  const clause = stmt.withClause;
  if (clause === undefined) return q;
  let ctes = q.ctes;
  const items = (clause.ctes ?? []).flatMap((n) => ('CommonTableExpr' in n ? [n.CommonTableExpr] : []));
  for (const [i, ast] of items.entries()) {
    if (items.slice(0, i).some((x) => x.ctename === ast.ctename)) throw q.ctx.error('42712', `WITH query name "${ast.ctename ?? ''}" specified more than once`, ast.location);
    if (ast.search_clause !== undefined) throw q.ctx.unsupported('SEARCH of a WITH query', ast.search_clause.location);
    if (ast.cycle_clause !== undefined) throw q.ctx.unsupported('CYCLE of a WITH query', ast.cycle_clause.location);
  }
  const ordered = clause.recursive === true ? inDependencyOrder(q.ctx, items) : items.map((ast) => ({ ast, recursive: false }));
  for (const { ast, recursive } of ordered) {
    const name = ast.ctename ?? '';
    // Each CTE sees those before it.
    const before: CteScope = ctes ?? { own: new Map(), parent: null };
    const cte: Cte = { name, ast, ctes: before, uses: 0, ...(recursive ? { recursive: bindRecursive(q.ctx, ast, before) } : {}) };
    ctes = { own: new Map([[name, cte]]), parent: ctes };
    // Bound once for its errors, also when nothing uses it.
    bindCte({ ctx: q.ctx, scope: new Scope(null, []), ctes: cte.ctes, clause: 'WITH', aggregates: null, setCalls: null, insideAggregate: false }, cte);
    cte.uses = 0;
  }
  return { ...q, ctes };
}

interface Target { readonly name: string; readonly expr: Expr }

/** Fills the scope. */
function bindSimple(q: QueryEnv, stmt: SelectStmt, scope: Scope): BoundQuery {
  const { ctx } = q;
  const base: Env = { ctx, scope, ctes: q.ctes, clause: 'FROM', aggregates: null, setCalls: null, insideAggregate: false };
  let rel: Rel = bindFrom(base, stmt.fromClause) ?? { rel: 'rows', cols: [], rows: [[]] };
  rel = bindWhere({ ...base, clause: 'WHERE' }, rel, stmt.whereClause);
  const calls: AggCall[] = [];
  const sets: SetCall[] = [];
  const scalars: ScalarSubquery[] = [];
  const windows = newWindows(ctx, stmt.windowClause);
  const groupings: GroupingCall[] = [];
  const inSelect: Env = { ...base, clause: 'SELECT', aggregates: calls, groupings, setCalls: sets, windows, scalars: ctx.job ? scalars : null };
  const targets = bindTargets(inSelect, stmt.targetList ?? [], q.keepUnknown === true);
  const groups = bindGroupingSets(ctx, stmt.groupClause ?? [], stmt.groupDistinct === true, targets.map((t) => t.expr), (g) => bindGroupKey({ ...base, clause: 'GROUP BY', setCalls: sets }, g, targets, calls, windows));
  const having = stmt.havingClause === undefined ? [] : bindHaving({ ...base, clause: 'HAVING', aggregates: calls, groupings, scalars: ctx.job ? scalars : null }, stmt.havingClause);
  const order = (stmt.sortClause ?? []).map((s) => bindOrder(inSelect, s, (n) => orderExpr(inSelect, n, targets, 'ORDER BY')));
  const onNodes = (stmt.distinctClause ?? []).filter((d) => Object.keys(d).length > 0);
  const on = onNodes.length === 0 ? null : onNodes.map((n) => {
    const expr = orderExpr({ ...inSelect, clause: 'DISTINCT ON' }, n, targets, 'DISTINCT ON');
    return written(located({ ...expr }, 'ColumnRef' in n ? n.ColumnRef.location : undefined), formOf(expr));
  });
  if (calls.length > 0 && namesInFrom(stmt.fromClause ?? [], (name) => findCte(q.ctes, name)?.working !== undefined)) {
    const ids = new Set(calls.map((c) => c.id));
    let at: number | undefined;
    for (const e of [...targets, ...order].map((x) => x.expr).concat(having)) some(e, (x) => { if (x.node === 'column' && ids.has(x.index)) at ??= locationOf(x); return false; });
    throw ctx.error('42P19', "aggregate functions are not allowed in a recursive query's recursive term", at);
  }
  let rewrite = (e: Expr): Expr => e;
  let setId = (id: number): number => id;
  const setsAbove = (): SetCall[] => {
    const used = [...targets, ...order].map((x) => x.expr).concat(on ?? []).reduce((ids, e) => columnsOf(rewrite(e), ids), new Set<number>());
    return setsAmong(sets, used, rewrite, setId);
  };
  if (stmt.groupClause !== undefined || calls.length > 0 || groupings.length > 0 || stmt.havingClause !== undefined) {
    for (const k of groups.keys) requireEquality(base, k, locationOf(k));
    // Set-returning functions in GROUP BY run below it; those of the same text elsewhere that are no key run again above.
    const inKeys = setsAmong(sets, groups.keys.reduce((ids, k) => columnsOf(k, ids), new Set<number>()));
    rel = withSets(rel, inKeys);
    const again = new Map(inKeys.map((s) => [s.id, ctx.newColumn(ctx.info(s.id).name, ctx.info(s.id).type)]));
    // Results of set-returning functions and scalar subqueries stand above the grouping: they are no columns of FROM.
    const above = new Set([...sets.map((s) => s.id), ...windowIds(windows), ...scalars.flatMap((s) => s.bound.columns.map((c) => c.id))]);
    const grouping = new Grouping(base, groups, calls, groupings, above);
    rewrite = (e) => substitute(grouping.rewrite(e), (id) => { const to = again.get(id); return to === undefined ? undefined : column(to.id, to.type); });
    setId = (id) => again.get(id)?.id ?? id;
    // Rewriting may add keys (columns that a primary key determines), so it comes before the node is built.
    const all = [...targets.map((t) => t.expr), ...order.map((o) => o.expr), ...having, ...(on ?? []), ...windowExprs(windows), ...scalars.flatMap((s) => s.outer)];
    for (const e of all) rewrite(e);
    setsAbove();
    rel = withScalars(ctx, grouping.rel(rel), scalars, rewrite);
    if (having.length > 0) rel = { rel: 'filter', input: rel, preds: having.map(rewrite) };
  } else rel = withScalars(ctx, rel, scalars);
  const ahead = windowExprs(windows).find((e) => containsColumn(rewrite(e), new Set(sets.map((s) => setId(s.id)))));
  if (ahead !== undefined) throw ctx.unsupported('a set-returning function in a window of a query that is not grouped by it', locationOf(ahead), 'Write it in FROM.');
  rel = overRels(ctx, rel, windows, rewrite);
  const called = setsAbove();
  rel = withSets(rel, called);
  const ids = new Set(called.map((s) => s.id));
  const isSet = (e: Expr): boolean => containsColumn(rewrite(e), ids);
  if (on !== null && order.length > 0 && called.length > 0 && ![...on, ...order.map((o) => o.expr)].some(isSet)) {
    // PostgreSQL calls these for the rows that DISTINCT ON leaves.
    throw ctx.unsupported('a set-returning function in the select list of DISTINCT ON with ORDER BY', targets.map((t) => t.expr).filter(isSet).map(locationOf)[0], 'Write SELECT …, f(…) FROM (SELECT DISTINCT ON … ORDER BY …) q.');
  }
  return project(base, stmt, rel, targets.map((t) => ({ ...t, expr: rewrite(t.expr) })), order.map((o) => ({ ...o, expr: rewrite(o.expr) })), on?.map(rewrite) ?? null);
}

function bindHaving(env: Env, node: Node): readonly Expr[] {
  return conjuncts(coerceBoolean(env.ctx, bindExpr(env, node), 'HAVING'));
}

function bindTargets(env: Env, list: readonly Node[], keepUnknown: boolean): Target[] {
  const { ctx } = env;
  const out: Target[] = [];
  for (const node of list) {
    if (!('ResTarget' in node) || node.ResTarget.val === undefined) continue;
    const { val, name, location } = node.ResTarget;
    const star = 'ColumnRef' in val && (val.ColumnRef.fields ?? []).some((f) => 'A_Star' in f) ? val.ColumnRef : null;
    if (star !== null) {
      out.push(...expandStar(env, strings(star.fields), star.location ?? location ?? 0));
      continue;
    }
    const bound = bindExpr(env, val);
    out.push({ name: name ?? columnName(val), expr: keepUnknown ? bound : known(ctx, bound) });
  }
  return out;
}

function expandStar(env: Env, qualifier: readonly string[], location: number): Target[] {
  const { ctx, scope } = env;
  const table = qualifier.at(-1);
  if (table === undefined && scope.items.length === 0) throw ctx.error('42601', 'SELECT * with no tables specified is not valid', location);
  const item = table === undefined ? null : scope.items.find((i) => i.alias === table) ?? null;
  if (table !== undefined && item === null) {
    if (findItem(env, table) !== null) throw ctx.unsupported("the columns of an outer query's table (t.*)", location);
    throw ctx.error('42P01', `missing FROM-clause entry for table "${table}"`, location);
  }
  return (item?.columns ?? scope.columns).map((c) => ({ name: c.name, expr: column(c.id, ctx.info(c.id).type) }));
}

function intConstant(node: Node): number | null {
  return 'A_Const' in node && node.A_Const.ival !== undefined ? node.A_Const.ival.ival ?? 0 : null;
}

function byOrdinal(env: Env, node: Node, targets: readonly Target[], clause: string): Expr | null {
  if (!('A_Const' in node)) return null;
  const n = intConstant(node);
  if (n === null) {
    if (node.A_Const.isnull === true || node.A_Const.sval !== undefined || node.A_Const.fval !== undefined) throw env.ctx.error('42601', `non-integer constant in ${clause}`, node.A_Const.location);
    return null;
  }
  const t = targets[n - 1];
  if (t === undefined) throw env.ctx.error('42P10', `${clause} position ${n} is not in select list`, node.A_Const.location);
  return t.expr;
}

/** The one output column of that name; 42702 when several differ. */
function byAlias(env: Env, node: Node, targets: readonly Target[], clause: string): Expr | null {
  const fields = 'ColumnRef' in node ? node.ColumnRef.fields ?? [] : [];
  const name = fields.length === 1 ? strings(fields)[0] : undefined;
  if (name === undefined) return null;
  const hits = targets.filter((t) => t.name === name);
  const [first] = hits;
  if (first === undefined) return null;
  if (hits.some((h) => !sameExpr(h.expr, first.expr))) throw env.ctx.error('42702', `${clause} "${name}" is ambiguous`, 'ColumnRef' in node ? node.ColumnRef.location : undefined);
  return first.expr;
}

/** GROUP BY n, name or expression: a name is first a column of FROM, then an output column. */
function bindGroupKey(env: Env, node: Node, targets: readonly Target[], calls: readonly AggCall[], windows: Windows): Expr {
  const { ctx, scope } = env;
  if ('RowExpr' in node) throw ctx.unsupported('a row in GROUP BY', node.RowExpr.location);
  const ordinal = byOrdinal(env, node, targets, 'GROUP BY');
  const fields = 'ColumnRef' in node ? strings(node.ColumnRef.fields) : [];
  const inFrom = fields.length === 1 && scope.columns.some((c) => c.name === fields[0]);
  const picked = ordinal ?? (inFrom ? null : byAlias(env, node, targets, 'GROUP BY'));
  if (picked !== null) {
    const at = locationOf(picked);
    if (containsColumn(picked, new Set(calls.map((c) => c.id)))) throw ctx.error('42803', 'aggregate functions are not allowed in GROUP BY', at);
    if (containsColumn(picked, windowIds(windows))) throw ctx.error('42P20', 'window functions are not allowed in GROUP BY', at);
    return picked;
  }
  const expr = known(ctx, bindExpr(env, node));
  // A constant is a key of the select list's: one that is not there is a value like any other.
  return expr.node === 'literal' ? targets.find((t) => sameExpr(t.expr, expr))?.expr ?? expr : expr;
}

function orderExpr(env: Env, node: Node, targets: readonly Target[], clause: string): Expr {
  return byOrdinal(env, node, targets, clause) ?? byAlias(env, node, targets, clause) ?? known(env.ctx, bindExpr(env, node));
}

/** Select list, DISTINCT, ORDER BY. */
function project(env: Env, stmt: SelectStmt, input: Rel, targets: readonly Target[], order: readonly OrderItem[], on: readonly Expr[] | null): BoundQuery {
  const { ctx } = env;
  const items: Item[] = [];
  const columns: ScopeColumn[] = targets.map((t) => {
    const info = t.expr.node === 'column' ? ctx.info(t.expr.index) : null;
    const id = ctx.newColumn(t.name, t.expr.type, { rowtime: info?.rowtime ?? null, processingTime: info?.processingTime ?? false }).id;
    items.push({ id, expr: t.expr });
    return { name: t.name, id };
  });
  const volatile = targets.some((t) => isVolatile(t.expr));
  let rel: Rel = { rel: 'project', input, items };
  const distinct = stmt.distinctClause !== undefined && on === null;
  const sortIds: number[] = [];
  for (const o of order) {
    requireEquality(env, o.expr, locationOf(o.expr));
    const at = targets.findIndex((t) => sameExpr(t.expr, o.expr));
    if (at >= 0) { sortIds.push(columns[at]?.id ?? -1); continue; }
    if (distinct) throw ctx.error('42P10', 'for SELECT DISTINCT, ORDER BY expressions must appear in select list', locationOf(o.expr));
    const id = ctx.newColumn('sort', o.expr.type).id;
    items.push({ id, expr: o.expr });
    sortIds.push(id);
  }
  if (distinct) for (const t of targets) requireEquality(env, t.expr, locationOf(t.expr));
  let visible: readonly ScopeColumn[] = columns;
  if (distinct) {
    const d = distinctRel(ctx, rel, columns);
    rel = d.rel;
    visible = d.columns;
    sortIds.forEach((id, i) => { sortIds[i] = d.columns[columns.findIndex((c) => c.id === id)]?.id ?? id; });
  }
  if (on !== null) rel = distinctOnRel(env, rel, on, order, items, sortIds);
  if (order.length > 0) {
    rel = { rel: 'sort', input: rel, keys: order.map((o, i) => ({ col: sortIds[i] ?? -1, descending: o.descending, nullsFirst: o.nullsFirst })) };
  }
  return { rel, columns: visible, volatile };
}

/** DISTINCT ON: the first row in order of each combination of values. Its expressions are the first ones of ORDER BY, in any order. */
function distinctOnRel(env: Env, input: Rel, on: readonly Expr[], order: readonly OrderItem[], items: Item[], sortIds: readonly number[]): Rel {
  const { ctx } = env;
  const leading = order.slice(0, on.length);
  for (const [k, o] of leading.entries()) {
    // Every leading ORDER BY expression is one of ON, until all of ON have been named.
    const unnamed = on.find((e) => !leading.slice(0, k).some((l) => sameExpr(l.expr, e)));
    if (unnamed !== undefined && !on.some((e) => sameExpr(e, o.expr))) {
      throw ctx.error('42P10', 'SELECT DISTINCT ON expressions must match initial ORDER BY expressions', locationOf(unnamed));
    }
  }
  const itemOf = (expr: Expr, known: number | undefined): Item => {
    let id = known ?? items.find((i) => sameExpr(i.expr, expr))?.id;
    if (id === undefined) {
      id = ctx.newColumn('on', expr.type).id;
      items.push({ id, expr });
    }
    return { id, expr: column(id, expr.type) };
  };
  return {
    rel: 'topn', input, fn: 'row_number', partition: on.map((e) => { requireEquality(env, e, locationOf(e)); return itemOf(e, undefined); }),
    order: order.map((o, k) => ({ item: itemOf(o.expr, sortIds[k]), descending: o.descending, nullsFirst: o.nullsFirst })), from: 1, to: 1, rank: null,
  };
}

/** DISTINCT: an aggregate without calls. */
export function distinctRel(ctx: BindContext, input: Rel, columns: readonly ScopeColumn[]): { rel: Rel; columns: ScopeColumn[] } {
  const keys = columns.map((c): Item => {
    const info = ctx.info(c.id);
    return { id: ctx.newColumn(c.name, info.type).id, expr: column(c.id, info.type) };
  });
  return { rel: { rel: 'aggregate', input, keys, calls: [] }, columns: columns.map((c, i) => ({ name: c.name, id: keys[i]?.id ?? c.id })) };
}

/** ORDER BY of a UNION or VALUES: output names and ordinals only. */
function sortedByOutput(q: QueryEnv, stmt: SelectStmt, bound: BoundQuery): BoundQuery {
  if (stmt.sortClause === undefined) return bound;
  const { ctx } = q;
  const env: Env = { ctx, scope: new Scope(q.parent, q.outer), ctes: q.ctes, clause: 'ORDER BY', aggregates: null, setCalls: null, insideAggregate: false };
  const targets = bound.columns.map((c) => ({ name: c.name, expr: column(c.id, ctx.info(c.id).type) }));
  const keys = stmt.sortClause.map((s) => bindOrder(env, s, (n) => {
    const found = byOrdinal(env, n, targets, 'ORDER BY') ?? byAlias(env, n, targets, 'ORDER BY');
    if (found !== null) return found;
    if ('ColumnRef' in n) throw ctx.error('42703', `column "${strings(n.ColumnRef.fields).at(-1) ?? ''}" does not exist`, n.ColumnRef.location);
    throw ctx.error('0A000', 'invalid UNION/INTERSECT/EXCEPT ORDER BY clause', undefined, { detail: 'Only result column names can be used, not expressions or functions.', hint: 'Add the expression/function to every SELECT, or move the UNION into a FROM clause.' });
  }));
  const rel: Rel = { rel: 'sort', input: bound.rel, keys: keys.map((k) => ({ col: k.expr.node === 'column' ? k.expr.index : -1, descending: k.descending, nullsFirst: k.nullsFirst })) };
  return { ...bound, rel };
}

/** LIMIT and OFFSET: values that are the same for all rows. Columns in them are `scope`'s before they are an outer query's. */
function limited(q: QueryEnv, stmt: SelectStmt, bound: BoundQuery, scope: Scope): BoundQuery {
  if (stmt.limitCount === undefined && stmt.limitOffset === undefined) return bound;
  const { ctx } = q;
  if (stmt.limitOption === 'LIMIT_OPTION_WITH_TIES') throw ctx.unsupported('FETCH … WITH TIES', undefined);
  const count = (node: Node | undefined, clause: string): Expr | null => {
    if (node === undefined) return null;
    const e = coerce(ctx, bindExpr({ ctx, scope, ctes: q.ctes, clause, aggregates: null, setCalls: null, insideAggregate: false }, node), INT8, 'assignment');
    if (e.node === 'literal' && e.text === null) return null;
    some(e, (x) => { if (x.node === 'column') throw ctx.error('42P10', `argument of ${clause} must not contain variables`, locationOf(x)); return false; });
    if (ctx.job && e.node !== 'literal' && e.node !== 'param') throw ctx.unsupported(`an expression that is not constant in LIMIT or OFFSET of a continuous query`, locationOf(e));
    return e;
  };
  const limit = count(stmt.limitCount, 'LIMIT');
  const offset = count(stmt.limitOffset, 'OFFSET');
  for (const [e, word, code] of [[limit, 'LIMIT', '2201W'], [offset, 'OFFSET', '2201X']] as const) {
    if (e !== null && e.node === 'literal' && e.text?.startsWith('-') === true) throw ctx.error(code, `${word} must not be negative`, undefined);
  }
  if (ctx.job) return { ...bound, rel: firstRows(ctx, bound.rel, limit, offset) };
  return { ...bound, rel: { rel: 'limit', input: bound.rel, limit, offset } };
}

/** ORDER BY … LIMIT of a continuous query: the first rows of all, kept up to date. */
function firstRows(ctx: BindContext, rel: Rel, limit: Expr | null, offset: Expr | null): Rel {
  const count = (e: Expr | null): number | null => {
    if (e === null) return null;
    if (e.node !== 'literal') throw ctx.unsupported('a parameter in LIMIT or OFFSET of a continuous query', locationOf(e));
    return Number(e.text);
  };
  const [rows, skipped] = [count(limit), count(offset) ?? 0];
  if (rows === null && skipped === 0) return rel;
  if (rows === 0) return { rel: 'filter', input: rel, preds: [literal('f', BOOL)] };
  if (rel.rel !== 'sort') {
    const at = limit ?? offset;
    throw ctx.unsupported('LIMIT without ORDER BY in a continuous query', at === null ? undefined : locationOf(at), 'Which rows come first is not determined: add ORDER BY, or LIMIT when the view is read.');
  }
  const order = rel.keys.map((k) => ({ item: { id: k.col, expr: column(k.col, ctx.info(k.col).type) }, descending: k.descending, nullsFirst: k.nullsFirst }));
  return { rel: 'topn', input: rel.input, fn: 'row_number', partition: [], order, from: skipped + 1, to: rows === null ? null : skipped + rows, rank: null };
}

/** Output columns converted to `types` (INSERT … SELECT, UNION): literals of the select list still without a type are converted in place. */
export function coerceOutput(ctx: BindContext, bound: BoundQuery, types: readonly SqlType[], convert: (e: Expr, type: SqlType, index: number) => Expr): BoundQuery {
  const items: Item[] = [];
  const source = bound.rel.rel === 'project' ? bound.rel.items : [];
  const columns = bound.columns.map((c, i): ScopeColumn => {
    const info = ctx.info(c.id);
    const type = types[i] ?? info.type;
    const from = source.find((s) => s.id === c.id)?.expr;
    const raw = from !== undefined && from.type.kind === 'unknown' ? from : column(c.id, info.type);
    const expr = convert(raw, type, i);
    const id = ctx.newColumn(c.name, expr.type, expr.node === 'column' ? { rowtime: info.rowtime, processingTime: info.processingTime } : {}).id;
    items.push({ id, expr });
    return { name: c.name, id };
  });
  return { ...bound, rel: { rel: 'project', input: bound.rel, items }, columns };
}
