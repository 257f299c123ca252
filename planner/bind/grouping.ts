/**
 * GROUP BY: once the select list, HAVING and ORDER BY are bound over FROM's columns (aggregates standing as columns already), every
 * expression is rewritten over the aggregate's output; a column that is neither a key nor inside an aggregate is 42803, as in Postgres.
 */
import type { Expr } from '../../types/expr.js';
import { column, locationOf, mapChildren, sameExpr, some } from './exprs.js';
import type { AggCall, Item, Rel } from './rel.js';
import type { Env } from './scope.js';

export class Grouping {
  readonly #env: Env;
  readonly #aggregateIds: ReadonlySet<number>;
  readonly #calls: readonly AggCall[];
  readonly #above: ReadonlySet<number>;
  readonly keys: Item[] = [];

  /** `above`: columns made above the grouping, which stay as they are. */
  constructor(env: Env, keys: readonly Expr[], calls: readonly AggCall[], above: ReadonlySet<number> = new Set()) {
    this.#env = env;
    this.#above = above;
    this.#calls = calls;
    this.#aggregateIds = new Set(calls.map((c) => c.id));
    for (const k of keys) this.#key(k);
  }

  #key(expr: Expr): Item {
    const known = this.keys.find((k) => sameExpr(k.expr, expr));
    if (known !== undefined) return known;
    const { ctx } = this.#env;
    const from = expr.node === 'column' ? ctx.info(expr.index) : null;
    const item: Item = { id: ctx.newColumn(from?.name ?? 'key', expr.type).id, expr };
    this.keys.push(item);
    return item;
  }

  rel(input: Rel): Rel { return { rel: 'aggregate', input, keys: this.keys, calls: this.#calls }; }

  /** The expression over the aggregate's output. */
  rewrite(e: Expr): Expr {
    const key = this.keys.find((k) => sameExpr(k.expr, e));
    if (key !== undefined) return column(key.id, e.type);
    if (e.node === 'column') {
      if (this.#aggregateIds.has(e.index) || this.#above.has(e.index)) return e;
      return column(this.#dependent(e, e.index).id, e.type);
    }
    return mapChildren(e, (c) => this.rewrite(c));
  }

  /** A column that a table's whole primary key among the keys determines becomes one more key; any other is an error. */
  #dependent(e: Expr, id: number): Item {
    const { ctx, scope } = this.#env;
    const owner = scope.items.find((i) => i.columns.some((c) => c.id === id));
    const inKeys = (k: number): boolean => this.keys.some((x) => x.expr.node === 'column' && x.expr.index === k);
    if (owner?.primaryKey !== undefined && owner.primaryKey !== null && owner.primaryKey.length > 0 && owner.primaryKey.every(inKeys)) return this.#key(e);
    const name = owner?.columns.find((c) => c.id === id)?.name ?? ctx.info(id).name;
    const alias = owner?.alias ?? '';
    throw ctx.error('42803', `column "${alias === '' ? name : `${alias}.${name}`}" must appear in the GROUP BY clause or be used in an aggregate function`, locationOf(e));
  }
}

export const containsColumn = (e: Expr, ids: ReadonlySet<number>): boolean => some(e, (x) => x.node === 'column' && ids.has(x.index));
