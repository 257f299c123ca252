/** LIMIT and OFFSET of constant expressions. 2201W and 2201X for negative values. */
import { SqlError } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';

/** A count past 2^53 rows is no limit. */
export function count(e: Expr | null, word: string, code: string): number | null {
  if (e === null || e.node !== 'literal' || e.text === null) return null;
  const n = Number(e.text);
  if (n < 0) throw new SqlError(code, `${word} must not be negative`);
  return n > Number.MAX_SAFE_INTEGER ? null : n;
}
