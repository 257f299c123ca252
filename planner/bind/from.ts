/**
 * FROM: relations, views (expanded), CTEs, joins, subqueries, functions, window functions TUMBLE and HOP, VALUES.
 *
 * Each item gives a Rel and what names see of it. Comma lists and JOINs become inner joins whose conditions pushdown sorts out later. A function
 * in FROM is an unnest over the items before it, which makes it lateral at no cost.
 */
import type { Alias, JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar } from 'libpg-query';
import { unsupported } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import { INT8, type Column } from '../../types/sqltype.js';
import { resolveSetCall } from './call.js';
import type { BindContext } from './context.js';
import { bindAsOf, bindPastFunction, pastFunction } from './past.js';
import type { Lookup } from '../parse/statement.js';
import { coerce, commonType, known } from './coerce.js';
import { bindCondition, bindExpr } from './expr.js';
import { column } from './exprs.js';
import { aggregatesNamed, setFunctionsNamed } from './functions.js';
import { callOperator } from './operator.js';
import type { Item, JoinKind, Rel, RowsRel } from './rel.js';
import { joinLateral } from './lateral.js';
import { bindRelation } from './relation.js';
import { findCte, resolveColumn, Scope, type Cte, type Env, type ScopeColumn, type ScopeItem } from './scope.js';
import { bindQuery, type BoundQuery } from './select.js';
import { strings } from './typename.js';
import { bindProcess, ownFunction } from './process.js';
import { bindWindow, isWindowFunction } from './window.js';

/** A FROM item: `columns` are what `*` and unqualified names see. */
export interface FromItem { readonly rel: Rel; readonly items: readonly ScopeItem[]; readonly columns: readonly ScopeColumn[] }

/** Fills env.scope. `null` = no FROM clause. */
export function bindFrom(env: Env, from: readonly Node[] | undefined): Rel | null {
  let left: FromItem | null = null;
  for (const node of from ?? []) {
    const item: FromItem = isLateral(node) && left !== null ? lateral(env, node.RangeSubselect, left, 'inner', null) : bindItem(env, node, left);
    left = left === null || includesLeft(env, node) ? item : combine(env, left, item, 'inner', []);
    env.scope.items = [...left.items];
    env.scope.columns = [...left.columns];
  }
  return left?.rel ?? null;
}

/** Functions in FROM are built on top of what stands before them. */
function includesLeft(env: Env, node: Node): boolean { return isLateral(node) || ('RangeFunction' in node && windowName(env, node.RangeFunction) === null); }

const isLateral = (node: Node): node is { RangeSubselect: RangeSubselect } => 'RangeSubselect' in node && node.RangeSubselect.lateral === true;

function checkDistinctAliases(env: Env, left: readonly ScopeItem[], right: readonly ScopeItem[]): void {
  for (const r of right) {
    if (r.alias !== '' && left.some((l) => l.alias === r.alias)) throw env.ctx.error('42712', `table name "${r.alias}" specified more than once`, undefined);
  }
}

function combine(env: Env, left: FromItem, right: FromItem, kind: JoinKind, on: readonly Expr[]): FromItem {
  checkDistinctAliases(env, left.items, right.items);
  return { rel: { rel: 'join', kind, left: left.rel, right: right.rel, on }, items: [...left.items, ...right.items], columns: [...left.columns, ...right.columns] };
}

/** `left`: the items before this one, which a function may use. */
function bindItem(env: Env, node: Node, left: FromItem | null): FromItem {
  const { ctx } = env;
  if ('RangeVar' in node) return rangeVar(env, node.RangeVar);
  if ('RangeSubselect' in node) return subselect(env, node.RangeSubselect);
  if ('JoinExpr' in node) return joinExpr(env, node.JoinExpr);
  if ('RangeFunction' in node) return rangeFunction(env, node.RangeFunction, left, 'inner');
  if ('RangeTableSample' in node) throw ctx.unsupported('TABLESAMPLE', node.RangeTableSample.location);
  if ('RangeTableFunc' in node) throw ctx.unsupported('XMLTABLE', node.RangeTableFunc.location);
  if ('JsonTable' in node) throw ctx.unsupported('JSON_TABLE', node.JsonTable.location);
  throw ctx.unsupported(Object.keys(node)[0] ?? 'this FROM item', undefined);
}

/** Names a relation's columns by its alias; AS t (a, b) renames the first ones. */
export function aliased(env: Env, rel: Rel, name: string, columns: readonly ScopeColumn[], alias: Alias | undefined, primaryKey: readonly number[] | null = null): FromItem {
  const renames = strings(alias?.colnames);
  if (renames.length > columns.length) {
    throw env.ctx.error('42P10', `table "${alias?.aliasname ?? name}" has ${columns.length} columns available but ${renames.length} columns specified`, undefined);
  }
  const named = columns.map((c, i) => ({ name: renames[i] ?? c.name, id: c.id }));
  return { rel, items: [{ alias: alias?.aliasname ?? name, columns: named, primaryKey, relation: name }], columns: named };
}

const lookupAt = (env: Env, v: RangeVar): Lookup | null => env.ctx.lookups.find((x) => x.location === (v.location ?? 0)) ?? null;

/** JOIN table FOR SYSTEM_TIME AS OF: by processing time only. */
function lookedUp(env: Env, j: JoinExpr, left: FromItem, right: RangeVar, kind: JoinKind, lookup: Lookup): FromItem {
  const names = lookup.column;
  // A view's text is not the client's.
  const position = env.ctx.source === null ? undefined : lookup.position;
  const hint = 'FOR SYSTEM_TIME AS OF PROCTIME() looks rows up as they are when the stream\'s row comes.';
  if (kind !== 'inner' && kind !== 'left') throw unsupported(`FOR SYSTEM_TIME AS OF in a ${kind.toUpperCase()} JOIN`, position);
  if (names !== null) {
    const scope = new Scope(env.scope.parent, env.scope.outer);
    scope.items = [...left.items];
    scope.columns = [...left.columns];
    const time = resolveColumn({ ...env, scope, clause: 'FOR SYSTEM_TIME', aggregates: null, setCalls: null }, names.at(-2) ?? null, names.at(-1) ?? '', right.location);
    if (time.node !== 'column' || !env.ctx.info(time.index).processingTime) throw unsupported(`FOR SYSTEM_TIME AS OF a column that is not processing time (GENERATED ALWAYS AS (now()))`, position, hint);
  }
  const joined = joinItems(env, j, left, rangeVar(env, right, true), kind);
  return { ...joined, rel: markLookup(joined.rel, position) };
}

/** The join, perhaps under the projection that USING makes. */
function markLookup(rel: Rel, position: number | undefined): Rel {
  if (rel.rel === 'join') return { ...rel, lookup: { position } };
  return rel.rel === 'project' ? { ...rel, input: markLookup(rel.input, position) } : rel;
}

function rangeVar(env: Env, v: RangeVar, isLookup = false): FromItem {
  const name = v.relname ?? '';
  const lookup = isLookup ? null : lookupAt(env, v);
  if (lookup !== null) throw unsupported('FOR SYSTEM_TIME AS OF anywhere but on the right of a JOIN', lookup.position, 'FROM stream s JOIN table FOR SYSTEM_TIME AS OF PROCTIME() t ON t.key = s.key');
  if (v.catalogname !== undefined && v.catalogname !== '' && v.schemaname === undefined) throw env.ctx.unsupported('a reference to another database', v.location);
  const past = env.ctx.asOf.find((x) => x.location === (v.location ?? 0));
  const source = past === undefined ? bindNamed(env, v.schemaname ?? null, name, v.location ?? 0) : bindAsOf(env, v.schemaname ?? null, name, v.location ?? 0, past.checkpoint);
  return aliased(env, source.rel, name, source.columns, v.alias, source.primaryKey);
}

export interface NamedSource { readonly rel: Rel; readonly columns: readonly ScopeColumn[]; readonly primaryKey: readonly number[] | null }

/** A CTE or a relation of the catalog. */
export function bindNamed(env: Env, schema: string | null, name: string, location: number): NamedSource {
  const cte = schema === null ? findCte(env.ctes, name) : null;
  if (cte === null) return bindRelation(env, schema, name, location);
  return bindCte(env, cte);
}

export function bindCte(env: Env, cte: Cte): NamedSource {
  const { ctx } = env;
  const query = cte.ast.ctequery;
  if (query === undefined || !('SelectStmt' in query)) throw ctx.unsupported('a data-modifying statement in WITH', cte.ast.location);
  cte.uses++;
  const { working, recursive } = cte;
  if (working !== undefined) return rowsOf(ctx, working.columns, { working: working.id });
  if (recursive !== undefined) {
    refuseTwice(env, cte, recursive.volatile);
    return rowsOf(ctx, recursive.columns, { recursion: recursive.recursion });
  }
  // Bound anew at each use; equal operators are merged in the plan. A CTE sees no columns of the queries around it.
  const bound = bindQuery({ ctx, parent: null, ctes: cte.ctes, outer: [] }, query.SelectStmt);
  const names = strings(cte.ast.aliascolnames);
  if (names.length > bound.columns.length) throw ctx.error('42P10', `WITH query "${cte.name}" has ${bound.columns.length} columns available but ${names.length} columns specified`, cte.ast.location);
  refuseTwice(env, cte, bound.volatile);
  return { rel: bound.rel, columns: bound.columns.map((c, i) => ({ name: names[i] ?? c.name, id: c.id })), primaryKey: null };
}

function refuseTwice(env: Env, cte: Cte, volatile: boolean): void {
  if (cte.uses > 1 && volatile) throw env.ctx.unsupported('a WITH query with volatile functions that is used more than once', cte.ast.location);
}

function rowsOf(ctx: BindContext, of: readonly Column[], rows: Pick<RowsRel, 'recursion' | 'working'>): NamedSource {
  const columns = of.map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
  return { rel: { rel: 'rows', cols: columns.map((c) => c.id), rows: [], ...rows }, columns, primaryKey: null };
}

function subselect(env: Env, s: RangeSubselect): FromItem {
  const { ctx } = env;
  if (s.subquery === undefined || !('SelectStmt' in s.subquery)) throw ctx.unsupported('this FROM item', undefined);
  const bound = bindQuery({ ctx, parent: env.scope.parent, ctes: env.ctes, outer: env.scope.outer }, s.subquery.SelectStmt);
  return aliased(env, bound.rel, s.alias?.aliasname ?? '', bound.columns, s.alias);
}

/** A subquery that may use the columns of `left`; with the result, `left` is joined. */
function lateral(env: Env, s: RangeSubselect, left: FromItem, kind: JoinKind, on: Node | null): FromItem {
  const { ctx } = env;
  if (s.subquery === undefined || !('SelectStmt' in s.subquery)) throw ctx.unsupported('this FROM item', undefined);
  const scope = new Scope(env.scope.parent, env.scope.outer);
  scope.items = [...left.items];
  scope.columns = [...left.columns];
  const outer: Expr[] = [];
  const { SelectStmt: select } = s.subquery;
  const bindIn = (parent: Scope, into: Expr[]): BoundQuery => bindQuery({ ctx, parent: { ...env, scope: parent, aggregates: null, setCalls: null }, ctes: env.ctes, outer: into }, select);
  const bound = orFarther(env, scope, () => bindIn(scope, outer), (wider) => bindIn(wider, []));
  const right = aliased(env, bound.rel, s.alias?.aliasname ?? '', bound.columns, s.alias);
  const both = combine(env, left, right, kind, []);
  const inside: Env = { ...env, scope: new Scope(env.scope.parent, env.scope.outer), clause: 'JOIN/ON', aggregates: null, setCalls: null };
  inside.scope.items = [...both.items];
  inside.scope.columns = [...both.columns];
  const preds = on === null ? [] : bindCondition(inside, on).filter((p) => p.node !== 'literal' || p.text !== 't');
  if (outer.length === 0) return { ...both, rel: { rel: 'join', kind, left: left.rel, right: bound.rel, on: preds } };
  if (kind !== 'inner' && kind !== 'left') throw ctx.error('42P10', 'invalid reference to FROM-clause entry in a LATERAL subquery', undefined, { detail: 'The combining JOIN type must be INNER or LEFT for a LATERAL reference.' });
  const rel = joinLateral(ctx, left.rel, bound, outer, kind, preds);
  if (rel === null) throw ctx.unsupported('a LATERAL subquery of this form', undefined, 'Its outer columns may stand in WHERE and in the select list; under an aggregate or LIMIT they must be compared with =.');
  return { ...both, rel };
}

/** FROM a, b JOIN LATERAL (… a.x …): a is not part of the join that the subquery becomes. That it exists makes the name's error another one. */
function orFarther(env: Env, near: Scope, bind: () => BoundQuery, again: (wider: Scope) => BoundQuery): BoundQuery {
  try {
    return bind();
  } catch (e) {
    const code = (e as { code?: unknown }).code;
    const farther = env.scope.items.filter((i) => !near.items.includes(i));
    if ((code !== '42P01' && code !== '42703') || farther.length === 0) throw e;
    const wider = new Scope(near.parent, near.outer);
    wider.items = [...farther, ...near.items];
    wider.columns = [...env.scope.columns, ...near.columns];
    try {
      again(wider);
    } catch {
      throw e;
    }
    throw env.ctx.unsupported('a LATERAL subquery inside a JOIN that uses an item before the JOIN', undefined, 'Join that item first: FROM a CROSS JOIN b JOIN LATERAL ….');
  }
}

function joinExpr(env: Env, j: JoinExpr): FromItem {
  const left = bindItem(env, j.larg as Node, null);
  const kind: JoinKind = j.jointype === 'JOIN_LEFT' ? 'left' : j.jointype === 'JOIN_RIGHT' ? 'right' : j.jointype === 'JOIN_FULL' ? 'full' : 'inner';
  const right = j.rarg as Node;
  const lookup = 'RangeVar' in right ? lookupAt(env, right.RangeVar) : null;
  let joined: FromItem;
  if (lookup !== null && 'RangeVar' in right) joined = lookedUp(env, j, left, right.RangeVar, kind, lookup);
  else if ('RangeFunction' in right && windowName(env, right.RangeFunction) === null) joined = joinFunction(env, j, left, right.RangeFunction, kind);
  else if (isLateral(right) && j.usingClause === undefined && j.isNatural !== true) joined = lateral(env, right.RangeSubselect, left, kind, j.quals ?? null);
  else joined = joinItems(env, j, left, bindItem(env, right, null), kind);
  if (j.join_using_alias !== undefined) joined = usingAlias(env, joined, j.join_using_alias.aliasname ?? '', strings(j.usingClause));
  if (j.alias === undefined) return joined;
  return aliased(env, joined.rel, '', joined.columns, j.alias);
}

/** Left join lateral f() ON true keeps rows without a match; any other condition on an outer join of a function does not fit an unnest. */
function joinFunction(env: Env, j: JoinExpr, left: FromItem, f: RangeFunction, kind: JoinKind): FromItem {
  const { ctx } = env;
  const scope = new Scope(env.scope.parent, env.scope.outer);
  scope.items = [...left.items];
  scope.columns = [...left.columns];
  const inner: Env = { ...env, scope };
  if (j.usingClause !== undefined || j.isNatural === true) throw ctx.unsupported('JOIN … USING a function', undefined);
  const joined = rangeFunction(inner, f, left, kind);
  scope.items = [...joined.items];
  scope.columns = [...joined.columns];
  const preds = bindCondition({ ...inner, clause: 'JOIN/ON' }, j.quals);
  const trivial = preds.every((p) => p.node === 'literal' && p.text === 't');
  if (!trivial && kind !== 'inner') throw ctx.unsupported('an outer join of a function with a condition other than ON TRUE', undefined);
  return trivial ? joined : { ...joined, rel: { rel: 'filter', input: joined.rel, preds } };
}

function joinItems(env: Env, j: JoinExpr, left: FromItem, right: FromItem, kind: JoinKind): FromItem {
  const both = combine(env, left, right, kind, []);
  const names = j.isNatural === true
    ? left.columns.map((c) => c.name).filter((n) => right.columns.some((r) => r.name === n))
    : strings(j.usingClause);
  if (names.length > 0) return joinUsing(env, left, right, kind, names);
  const scope = new Scope(env.scope.parent, env.scope.outer);
  scope.items = [...both.items];
  scope.columns = [...both.columns];
  const on = bindCondition({ ...env, scope, clause: 'JOIN/ON', aggregates: null, setCalls: null }, j.quals);
  return { ...both, rel: { rel: 'join', kind, left: left.rel, right: right.rel, on } };
}

/** JOIN … USING (a) AS x: x has the columns of USING. */
function usingAlias(env: Env, joined: FromItem, alias: string, names: readonly string[]): FromItem {
  const item: ScopeItem = { alias, columns: joined.columns.slice(0, names.length), primaryKey: null };
  checkDistinctAliases(env, joined.items, [item]);
  return { ...joined, items: [...joined.items, item] };
}

function joinUsing(env: Env, left: FromItem, right: FromItem, kind: JoinKind, names: readonly string[]): FromItem {
  const { ctx } = env;
  const on: Expr[] = [];
  const merged: { name: string; value: Expr; id: number }[] = [];
  const pick = (side: FromItem, name: string, word: string): Expr => {
    const hits = side.columns.filter((c) => c.name === name);
    const [hit] = hits;
    if (hit === undefined) throw ctx.error('42703', `column "${name}" specified in USING clause does not exist in ${word} table`, undefined);
    if (hits.length > 1) throw ctx.error('42702', `common column name "${name}" appears more than once in ${word} table`, undefined);
    return column(hit.id, ctx.info(hit.id).type);
  };
  for (const name of names) {
    const l = pick(left, name, 'left');
    const r = pick(right, name, 'right');
    on.push(callOperator(env, '=', [l, r], 0));
    const type = commonType(ctx, [l, r], 'JOIN/USING');
    const [lc, rc] = [coerce(ctx, l, type, 'implicit'), coerce(ctx, r, type, 'implicit')];
    const value: Expr = kind === 'full' ? { node: 'coalesce', args: [lc, rc], type } : kind === 'right' ? rc : lc;
    merged.push({ name, value, id: value.node === 'column' ? value.index : ctx.newColumn(name, type).id });
  }
  let rel: Rel = { rel: 'join', kind, left: left.rel, right: right.rel, on };
  const computed: Item[] = merged.filter((m) => m.value.node !== 'column').map((m) => ({ id: m.id, expr: m.value }));
  if (computed.length > 0) {
    const pass = [...left.items, ...right.items].flatMap((i) => i.columns).concat(left.columns, right.columns).map((c) => c.id);
    const items: Item[] = [...new Set(pass)].map((id) => ({ id, expr: column(id, ctx.info(id).type) }));
    rel = { rel: 'project', input: rel, items: [...items, ...computed] };
  }
  checkDistinctAliases(env, left.items, right.items);
  const rest = (side: FromItem) => side.columns.filter((c) => !names.includes(c.name));
  return { rel, items: [...left.items, ...right.items], columns: [...merged.map((m) => ({ name: m.name, id: m.id })), ...rest(left), ...rest(right)] };
}

/** Window functions, own functions and those of bind/past.ts are relations of their own, not functions over what stands before them. */
function windowName(env: Env, f: RangeFunction): string | null {
  const call = functionCall(f);
  const past = pastFunction(call);
  if (past !== null) return past;
  const name = call === null ? undefined : strings(call.funcname).at(-1);
  return name !== undefined && (isWindowFunction(name) || ownFunction(env, call) !== null) ? name : null;
}

function functionCall(f: RangeFunction) {
  const list = f.functions?.[0];
  const first = list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
  return first !== undefined && 'FuncCall' in first ? first.FuncCall : null;
}

function rangeFunction(env: Env, f: RangeFunction, left: FromItem | null, kind: JoinKind): FromItem {
  const { ctx } = env;
  const list = f.functions?.[0];
  const node = list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
  if (node === undefined || (f.functions ?? []).length !== 1 || f.is_rowsfrom === true) throw ctx.unsupported('ROWS FROM', undefined);
  if (f.coldeflist !== undefined) throw ctx.unsupported('a column definition list of a function', undefined);
  const call = functionCall(f);
  const name = call === null ? undefined : strings(call.funcname).at(-1);
  const past = pastFunction(call);
  if (call !== null && past !== null) {
    const source = bindPastFunction({ ...env, clause: 'functions in FROM', aggregates: null, setCalls: null }, past, call);
    return aliased(env, source.rel, past, source.columns, f.alias);
  }
  if (call !== null && name !== undefined && isWindowFunction(name)) {
    const w = bindWindow(env, name, call);
    return aliased(env, w.rel, w.name, w.columns, f.alias);
  }
  const own = ownFunction(env, call);
  if (call !== null && own !== null) {
    const p = bindProcess(env, own, call);
    return aliased(env, p.rel, own.name, p.columns, f.alias);
  }
  if (kind !== 'inner' && kind !== 'left') throw ctx.unsupported(`a ${kind.toUpperCase()} JOIN with a function`, call?.location);
  const inner: Env = { ...env, clause: 'functions in FROM', aggregates: null, setCalls: null };
  const input: Rel = left?.rel ?? { rel: 'rows', cols: [], rows: [[]] };
  const alias = f.alias?.aliasname ?? name ?? 'function';
  const built = call !== null && name !== undefined && setFunctionsNamed(name).length > 0
    ? setItem(inner, input, name, call.args ?? [], call.location ?? 0, f, kind === 'left')
    : scalarItem(inner, input, node, name ?? 'function', f);
  // A function of one column without column aliases: the alias names the column.
  const columns = built.columns.length === 1 + (f.ordinality === true ? 1 : 0) && f.alias?.aliasname !== undefined && built.scalar
    ? built.columns.map((c, i) => (i === 0 ? { name: f.alias?.aliasname ?? c.name, id: c.id } : c)) : built.columns;
  const item = aliased(env, built.rel, alias, columns, f.alias);
  if (left === null) return item;
  checkDistinctAliases(env, left.items, item.items);
  return { rel: item.rel, items: [...left.items, ...item.items], columns: [...left.columns, ...item.columns] };
}

interface FunctionItem { readonly rel: Rel; readonly columns: readonly ScopeColumn[]; readonly scalar: boolean }

function setItem(env: Env, input: Rel, name: string, args: readonly Node[], at: number, f: RangeFunction, outer: boolean): FunctionItem {
  const { ctx } = env;
  const call = resolveSetCall(env, name, args.map((a) => bindExpr(env, a)), at);
  const columns = call.columns.map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
  const ordinality = f.ordinality === true ? ctx.newColumn('ordinality', INT8).id : null;
  const rel: Rel = { rel: 'unnest', input, fn: call.fn, args: call.args, cols: columns.map((c) => c.id), beside: [], ordinality, outer };
  return { rel, columns: ordinality === null ? columns : [...columns, { name: 'ordinality', id: ordinality }], scalar: columns.length === 1 };
}

/** FROM now() AS t: a scalar function is a relation of one row. */
function scalarItem(env: Env, input: Rel, node: Node, name: string, f: RangeFunction): FunctionItem {
  const { ctx } = env;
  if ('FuncCall' in node && aggregatesNamed(name).length > 0) throw ctx.error('42803', 'aggregate functions are not allowed in functions in FROM', node.FuncCall.location);
  if (f.ordinality === true) throw ctx.unsupported('WITH ORDINALITY of a scalar function', undefined);
  const value = known(ctx, bindExpr(env, node));
  const id = ctx.newColumn(name, value.type).id;
  const pass = env.scope.items.flatMap((i) => i.columns).concat(env.scope.columns).map((c) => c.id);
  const items: Item[] = [...new Set(pass)].map((p) => ({ id: p, expr: column(p, ctx.info(p).type) }));
  return { rel: { rel: 'project', input, items: [...items, { id, expr: value }] }, columns: [{ name, id }], scalar: true };
}

