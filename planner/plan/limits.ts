/** LIMIT $1: once parameters are literals, the numbers of limit nodes are set from them. 2201W and 2201X for negative values. */
import { SqlError } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { LimitNode, Plan } from '../../types/plan.js';

export function settleLimits(plan: Plan): Plan {
  if (!plan.nodes.some((n) => n.op === 'limit' && n.given !== undefined)) return plan;
  return { ...plan, nodes: plan.nodes.map((n) => (n.op === 'limit' && n.given !== undefined ? settle(n, n.given) : n)) };
}

function settle(node: LimitNode, given: { readonly limit: Expr | null; readonly offset: Expr | null }): LimitNode {
  const { id, inputs, columns, appendOnly, key, op } = node;
  return { id, inputs, columns, appendOnly, key, op, limit: count(given.limit, 'LIMIT', '2201W'), offset: count(given.offset, 'OFFSET', '2201X') ?? 0 };
}

/** A count past 2^53 rows is no limit. */
export function count(e: Expr | null, word: string, code: string): number | null {
  if (e === null || e.node !== 'literal' || e.text === null) return null;
  const n = Number(e.text);
  if (n < 0) throw new SqlError(code, `${word} must not be negative`);
  return n > Number.MAX_SAFE_INTEGER ? null : n;
}
