/**
 * GROUP BY: once the select list, HAVING and ORDER BY are bound over FROM's columns (aggregates standing as columns already), every
 * expression is rewritten over the aggregate's output; a column that is neither a key nor inside an aggregate is 42803, as in Postgres.
 *
 * Of several grouping sets, each row comes once for each set (ExpandRel), and the aggregate's last key is the set's number: it tells groups of
 * NULL values from those whose set lacks the column, and GROUPING is a CASE over it.
 */
import type { GroupingFunc } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { BOOL, INT4 } from '../../types/sqltype.js';
import { known } from './coerce.js';
import { bindExpr } from './expr.js';
import { children, column, conjunction, literal, located, locationOf, mapChildren, sameExpr, some } from './exprs.js';
import { sameKey, type GroupingSets } from './groupingsets.js';
import { equalityOperator } from './operator.js';
import type { AggCall, ColId, Item, Rel } from './rel.js';
import type { Env } from './scope.js';

/** GROUPING (args): bit k from the right is 1 where the set of the group lacks argument k from the right. */
export interface GroupingCall { readonly id: ColId; readonly args: readonly Expr[] }

const ARGS_MAX = 31;

export function bindGrouping(env: Env, node: GroupingFunc): Expr {
  const { ctx } = env;
  const at = node.location ?? 0;
  if (env.insideAggregate && env.clause !== 'FILTER') throw ctx.error('42803', 'aggregate function calls cannot be nested', at);
  if (env.insideAggregate || env.aggregates === null || env.groupings === undefined) throw ctx.error('42803', `grouping operations are not allowed in ${env.clause}`, at);
  const args = (node.args ?? []).map((a) => known(ctx, bindExpr(env, a)));
  if (args.length > ARGS_MAX) throw ctx.error('54023', `GROUPING must have fewer than ${ARGS_MAX + 1} arguments`, at);
  if (args.some((a) => some(a, (x) => x.node === 'outer'))) throw ctx.unsupported("GROUPING of the outer query's columns in a subquery", at);
  const { id } = ctx.newColumn('grouping', INT4);
  env.groupings.push({ id, args });
  return located(column(id, INT4), at);
}

export class Grouping {
  readonly #env: Env;
  readonly #aggregateIds: ReadonlySet<number>;
  readonly #calls: readonly AggCall[];
  readonly #above: ReadonlySet<number>;
  readonly #sets: GroupingSets['sets'];
  /** The number of a group's set; null: there is one set. */
  readonly #set: ColId | null;
  readonly #groupings: ReadonlyMap<ColId, Expr>;
  /** GROUP BY's keys, `#count` of them, then columns that keys of every set determine. */
  readonly keys: Item[] = [];
  readonly #count: number;

  /** `above`: columns made above the grouping, which stay as they are. */
  constructor(env: Env, by: GroupingSets, calls: readonly AggCall[], groupings: readonly GroupingCall[], above: ReadonlySet<number> = new Set()) {
    this.#env = env;
    this.#above = above;
    this.#calls = calls;
    this.#aggregateIds = new Set(calls.map((c) => c.id));
    this.#sets = by.sets;
    this.#set = by.sets.length === 1 ? null : env.ctx.newColumn('grouping_set', INT4).id;
    for (const k of by.keys) this.#key(k);
    this.#count = this.keys.length;
    this.#groupings = new Map(groupings.map((g) => [g.id, this.#grouping(g)]));
  }

  #key(expr: Expr): Item {
    const { ctx } = this.#env;
    const from = expr.node === 'column' ? ctx.info(expr.index) : null;
    const item: Item = { id: ctx.newColumn(from?.name ?? 'key', expr.type).id, expr };
    this.keys.push(item);
    return item;
  }

  #grouping(call: GroupingCall): Expr {
    const args = call.args.map((a) => {
      const key = this.keys.findIndex((k) => sameKey(k.expr, a));
      if (key < 0) throw this.#env.ctx.error('42803', 'arguments to GROUPING must be grouping expressions of the associated query level', leftmost(a));
      return key;
    });
    const byValue = new Map<number, number[]>();
    this.#sets.forEach((s, n) => {
      const value = args.reduce((bits, key) => bits * 2 + (s.has(key) ? 0 : 1), 0);
      byValue.set(value, [...byValue.get(value) ?? [], n]);
    });
    const [[otherwise] = [0], ...rest] = [...byValue].sort((a, b) => b[1].length - a[1].length);
    if (this.#set === null || rest.length === 0) return int(otherwise);
    const set = column(this.#set, INT4);
    const equal = equalityOperator(this.#env, INT4, undefined);
    const whens = rest.map(([value, sets]) => ({ when: { node: 'in' as const, arg: set, list: sets.map(int), equal, type: BOOL }, then: int(value) }));
    return { node: 'case', whens, otherwise: int(otherwise), type: INT4 };
  }

  #inEverySet(key: number): boolean { return key >= this.#count || this.#sets.every((s) => s.has(key)); }

  rel(input: Rel): Rel {
    const set = this.#set;
    // First: it may add keys.
    const calls = this.#calls.map((c): AggCall => (c.direct === undefined ? c : { ...c, direct: c.direct.map((e) => this.rewrite(e, 'Direct arguments of an ordered-set aggregate must use only grouped columns.')) }));
    return set === null ? { rel: 'aggregate', input, keys: this.keys, calls } : this.#bySets(input, set, calls);
  }

  /** Groups of a set that has no key are there also without rows: such a set has a row more, which no aggregate counts. */
  #bySets(input: Rel, set: ColId, given: readonly AggCall[]): Rel {
    const { ctx } = this.#env;
    const own = ctx.newColumn('grouping_set', INT4).id;
    const present = this.#sets.some((s) => s.size === 0) ? ctx.newColumn('present', BOOL).id : null;
    const expanded = new Map<number, Item>();
    const keys = this.keys.map((k, i): Item => {
      if (this.#inEverySet(i)) return k;
      const item = { id: ctx.newColumn(ctx.info(k.id).name, k.expr.type).id, expr: k.expr };
      expanded.set(i, item);
      return { id: k.id, expr: column(item.id, k.expr.type) };
    });
    const sets = this.#sets.map((s) => new Set([...s].flatMap((i) => expanded.get(i)?.id ?? [])));
    const calls = present === null ? given : given.map((c): AggCall => ({ ...c, filter: conjunction([column(present, BOOL), ...(c.filter === null ? [] : [c.filter])]) }));
    const expand: Rel = { rel: 'expand', input, keys: [...expanded.values()], sets, set: own, present };
    return { rel: 'aggregate', input: expand, keys: [...keys, { id: set, expr: column(own, INT4) }], calls };
  }

  /** The expression over the aggregate's output. `detail`: of the error for a column that is no key. */
  rewrite(e: Expr, detail?: string): Expr {
    const key = this.keys.find((k) => (this.#set === null ? sameExpr(k.expr, e) : sameKey(k.expr, e)));
    if (key !== undefined) return column(key.id, e.type);
    if (e.node === 'column') {
      if (this.#aggregateIds.has(e.index) || this.#above.has(e.index)) return e;
      return this.#groupings.get(e.index) ?? column(this.#dependent(e, e.index, detail).id, e.type);
    }
    return mapChildren(e, (c) => this.rewrite(c, detail));
  }

  /** A column that a table's whole primary key among the keys determines becomes one more key; any other is an error. */
  #dependent(e: Expr, id: number, detail: string | undefined): Item {
    const { ctx, scope } = this.#env;
    const owner = scope.items.find((i) => i.columns.some((c) => c.id === id));
    const inKeys = (k: number): boolean => this.keys.some((x, i) => x.expr.node === 'column' && x.expr.index === k && this.#inEverySet(i));
    if (owner?.primaryKey !== undefined && owner.primaryKey !== null && owner.primaryKey.length > 0 && owner.primaryKey.every(inKeys)) return this.#key(e);
    const name = owner?.columns.find((c) => c.id === id)?.name ?? ctx.info(id).name;
    const alias = owner?.alias ?? '';
    throw ctx.error('42803', `column "${alias === '' ? name : `${alias}.${name}`}" must appear in the GROUP BY clause or be used in an aggregate function`, locationOf(e), { detail });
  }
}

const int = (n: number): Expr => literal(String(n), INT4);

/** Where the expression's text begins. */
function leftmost(e: Expr): number | undefined {
  return [locationOf(e), ...children(e).map(leftmost)].reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a));
}

export const containsColumn = (e: Expr, ids: ReadonlySet<number>): boolean => some(e, (x) => x.node === 'column' && ids.has(x.index));
