/**
 * UNION, INTERSECT, EXCEPT, VALUES. Column types are each position's common type.
 *   UNION      = DISTINCT over UNION ALL
 *   INTERSECT  = both sides tagged and put together, grouped by the whole row, groups with rows of both sides; EXCEPT = of the left side only
 *   … ALL      = of each such group as many copies as the lesser count of rows; EXCEPT: as the left side has rows more than the right one
 */
import type { Node, SelectStmt } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { BOOL, INT8, type SqlType } from '../../types/sqltype.js';
import { callFunction, resolveSetCall } from './call.js';
import { coerce, commonType, known } from './coerce.js';
import { bindExpr } from './expr.js';
import { column, isVolatile, literal, locationOf } from './exprs.js';
import { callOperator, requireEquality } from './operator.js';
import type { Item, Rel } from './rel.js';
import { Scope, type Env, type ScopeColumn } from './scope.js';
import { bindQuery, coerceOutput, distinctRel, type BoundQuery, type QueryEnv } from './select.js';

const WORDS: Readonly<Record<string, string>> = { SETOP_UNION: 'UNION', SETOP_INTERSECT: 'INTERSECT', SETOP_EXCEPT: 'EXCEPT' };

const plainEnv = (q: QueryEnv, clause: string): Env => ({ ctx: q.ctx, scope: new Scope(q.parent, q.outer), ctes: q.ctes, clause, aggregates: null, setCalls: null, insideAggregate: false });

export function bindSetOperation(q: QueryEnv, stmt: SelectStmt): BoundQuery {
  const { ctx } = q;
  const word = WORDS[stmt.op ?? ''] ?? 'UNION';
  if (stmt.larg === undefined || stmt.rarg === undefined) throw ctx.unsupported(word, undefined);
  // a UNION ALL b UNION ALL c … is one node, however long.
  const branches = word === 'UNION' && stmt.all === true ? [...flatten(stmt.larg), ...flatten(stmt.rarg)] : [stmt.larg, stmt.rarg];
  const bound = branches.map((b) => bindQuery({ ...q, keepUnknown: true }, b));
  const first = bound[0] as BoundQuery;
  for (const b of bound) {
    if (b.columns.length !== first.columns.length) throw ctx.error('42601', `each ${word} query must have the same number of columns`, branchLocation(branches[bound.indexOf(b)]));
  }
  const types = first.columns.map((_, i) => commonType(ctx, bound.map((b) => outputExpr(q, b, i)), word));
  const sides = bound.map((b) => coerceOutput(ctx, b, types, (e, type) => coerce(ctx, e, type, 'implicit')));
  const volatile = bound.some((b) => b.volatile);
  if (word === 'UNION') {
    const all = unionAll(q, sides, types);
    if (stmt.all === true) return { ...all, volatile };
    return { ...distinctOf(q, all), volatile };
  }
  return { ...counted(q, sides, types, word === 'EXCEPT', stmt.all === true), volatile };
}

/** Branches of a UNION ALL that has no clause of its own (ORDER BY, LIMIT, WITH); anything else is one branch. */
function flatten(stmt: SelectStmt): SelectStmt[] {
  const plain = stmt.op === 'SETOP_UNION' && stmt.all === true && stmt.sortClause === undefined && stmt.limitCount === undefined && stmt.limitOffset === undefined && stmt.withClause === undefined;
  if (!plain || stmt.larg === undefined || stmt.rarg === undefined) return [stmt];
  return [...flatten(stmt.larg), ...flatten(stmt.rarg)];
}

export function branchLocation(stmt: SelectStmt | undefined): number | undefined {
  const first = stmt?.targetList?.[0];
  return first !== undefined && 'ResTarget' in first ? first.ResTarget.location ?? 0 : undefined;
}

/** What decides a column's type: the literal itself where it has none. */
export function outputExpr(q: Pick<QueryEnv, 'ctx'>, b: BoundQuery, i: number): Expr {
  const id = b.columns[i]?.id ?? -1;
  const item = b.rel.rel === 'project' ? b.rel.items.find((s) => s.id === id)?.expr : undefined;
  return item !== undefined ? item : column(id, q.ctx.info(id).type);
}

function unionAll(q: QueryEnv, sides: readonly BoundQuery[], types: readonly SqlType[]): BoundQuery {
  const { ctx } = q;
  const names = (sides[0] as BoundQuery).columns.map((c) => c.name);
  const cols = names.map((name, i) => {
    const from = sides.map((s) => s.columns[i]?.id ?? -1);
    return { id: ctx.newColumn(name, types[i] as SqlType).id, from };
  });
  return { rel: { rel: 'union', inputs: sides.map((s) => s.rel), cols }, columns: names.map((name, i) => ({ name, id: cols[i]?.id ?? -1 })), volatile: false };
}

function distinctOf(q: QueryEnv, b: BoundQuery): BoundQuery {
  const env = plainEnv(q, 'UNION');
  for (const c of b.columns) requireEquality(env, column(c.id, q.ctx.info(c.id).type), undefined);
  return { ...b, ...distinctRel(q.ctx, b.rel, b.columns) };
}

function counted(q: QueryEnv, sides: readonly BoundQuery[], types: readonly SqlType[], except: boolean, copies: boolean): BoundQuery {
  const { ctx } = q;
  const env = plainEnv(q, except ? 'EXCEPT' : 'INTERSECT');
  const tagged = sides.map((s, k): BoundQuery => {
    const items: Item[] = s.columns.map((c) => ({ id: c.id, expr: column(c.id, ctx.info(c.id).type) }));
    const tag = ctx.newColumn('side', BOOL).id;
    return { ...s, rel: { rel: 'project', input: s.rel, items: [...items, { id: tag, expr: literal(k === 0 ? 't' : 'f', BOOL) }] }, columns: [...s.columns, { name: 'side', id: tag }] };
  });
  const all = unionAll(q, tagged, [...types, BOOL]);
  const rows = all.columns.slice(0, -1);
  const side = column(all.columns.at(-1)?.id ?? -1, BOOL);
  const keys: Item[] = rows.map((c) => ({ id: ctx.newColumn(c.name, ctx.info(c.id).type).id, expr: column(c.id, ctx.info(c.id).type) }));
  for (const k of keys) requireEquality(env, k.expr, undefined);
  const call = (filter: Expr) => ({ id: ctx.newColumn('rows', INT8).id, fn: 'count()', args: [], distinct: false, filter, orderBy: [], type: INT8 });
  const left = call(side);
  const right = call({ node: 'not', arg: side, type: BOOL });
  const compare = (id: number, op: string): Expr => callOperator(env, op, [column(id, INT8), literal('0', INT8)], 0);
  const preds = [compare(left.id, '>'), compare(right.id, except ? '=' : '>')];
  const groups: Rel = { rel: 'aggregate', input: all.rel, keys, calls: [left, right] };
  const counts = [left, right].map((c) => column(c.id, INT8));
  const rel: Rel = copies
    ? repeated(env, groups, except ? callOperator(env, '-', counts, 0) : callFunction(env, ['least'], counts, undefined))
    : { rel: 'filter', input: groups, preds };
  return { rel, columns: rows.map((c, i) => ({ name: c.name, id: keys[i]?.id ?? -1 })), volatile: false };
}

/** Each row as many times as `count` says; none below 1. */
function repeated(env: Env, input: Rel, count: Expr): Rel {
  const call = resolveSetCall(env, 'generate_series', [literal('1', INT8), count], undefined);
  return { rel: 'unnest', input, fn: call.fn, args: call.args, cols: [env.ctx.newColumn('copy', INT8).id], beside: [], ordinality: null, outer: false };
}

export function bindValues(q: QueryEnv, lists: readonly Node[]): BoundQuery {
  const env = plainEnv(q, 'VALUES');
  const rows = lists.map((l) => ('List' in l ? l.List.items ?? [] : []).map((n) => bindExpr(env, n)));
  return valuesOf(q, rows);
}

/** Rows of bound expressions; each column takes its common type unless the reader still gives it one. */
export function valuesOf(q: QueryEnv, rows: readonly (readonly Expr[])[]): BoundQuery {
  const { ctx } = q;
  const width = rows[0]?.length ?? 0;
  for (const r of rows) {
    if (r.length !== width) throw ctx.error('42601', 'VALUES lists must all be the same length', r[0] === undefined ? undefined : locationOf(r[0]));
  }
  const types = Array.from({ length: width }, (_, i) => commonType(ctx, rows.map((r) => r[i] as Expr), 'VALUES'));
  const cast = rows.map((r) => r.map((e, i) => known(ctx, coerce(ctx, e, types[i] as SqlType, 'implicit'))));
  const columns: ScopeColumn[] = types.map((t, i) => ({ name: `column${i + 1}`, id: ctx.newColumn(`column${i + 1}`, t).id }));
  return { rel: { rel: 'rows', cols: columns.map((c) => c.id), rows: cast }, columns, volatile: cast.some((r) => r.some(isVolatile)) };
}
