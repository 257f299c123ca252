/** One ORDER BY element. NULLs sort as larger than every value, as in Postgres: last ascending, first descending, unless told. */
import type { Node } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { Env } from './scope.js';
import type { OrderItem } from './rel.js';
import { strings } from './typename.js';

export function bindOrder(env: Env, node: Node, bind: (node: Node) => Expr): OrderItem {
  if (!('SortBy' in node) || node.SortBy.node === undefined) throw env.ctx.unsupported('this ORDER BY', undefined);
  const { sortby_dir, sortby_nulls, useOp, location } = node.SortBy;
  let descending = sortby_dir === 'SORTBY_DESC';
  if (sortby_dir === 'SORTBY_USING') {
    const op = strings(useOp).at(-1);
    if (op !== '<' && op !== '>') throw env.ctx.unsupported(`ORDER BY … USING ${op ?? ''}`, location);
    descending = op === '>';
  }
  const nullsFirst = sortby_nulls === 'SORTBY_NULLS_FIRST' || (sortby_nulls !== 'SORTBY_NULLS_LAST' && descending);
  return { expr: bind(node.SortBy.node), descending, nullsFirst };
}
