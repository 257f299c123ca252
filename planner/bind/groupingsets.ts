/**
 * GROUP BY's items → keys and grouping sets. GROUPING SETS (x, y, …) are the sets of x, of y, …; ROLLUP (a, b) is (a, b), (a), (); CUBE is all
 * subsets; an expression, or a row of some, is one set. Several items of a GROUP BY are their cross product. A set may come more than once.
 */
import type { GroupingSet, Node } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { BindContext } from './context.js';
import { formOf, locationOf, sameExpr } from './exprs.js';

/** Sets are indexes in `keys`. */
export interface GroupingSets { readonly keys: readonly Expr[]; readonly sets: readonly ReadonlySet<number>[] }

/** Postgres' limits. */
const SETS_MAX = 4096;
const CUBE_ELEMENTS_MAX = 12;

/**
 * Whether one is NULL where the other is because the set lacks it: by their text, not by what they mean (x IS UNKNOWN, x IS NULL). Constants are the
 * same only where they are one expression: of 1 AS a, 1 AS b each is a key of its own.
 */
export const sameKey = (a: Expr, b: Expr): boolean => a === b || (a.node !== 'literal' && sameExpr(a, b) && (a.node === 'column' || formOf(a) === formOf(b)));

/** `distinct`: GROUP BY DISTINCT, which leaves one of equal sets. `bindKey` gives an entry of the select list (`targets`) as it stands there. */
export function bindGroupingSets(ctx: BindContext, clause: readonly Node[], distinct: boolean, targets: readonly Expr[], bindKey: (node: Node) => Expr): GroupingSets {
  const keys: Expr[] = [];
  const several = clause.some((node) => 'GroupingSet' in node);
  // Postgres' keys are entries of the select list: of SELECT a, a … ROLLUP (1, 2) each is NULL by itself.
  const entryOf = (key: Expr): number => (targets.includes(key) ? targets.indexOf(key) : targets.findIndex((t) => sameKey(t, key)));
  const keysOf = (node: Node): number[] => {
    if ('RowExpr' in node && node.RowExpr.row_format === 'COERCE_IMPLICIT_CAST') return (node.RowExpr.args ?? []).flatMap(keysOf);
    const expr = bindKey(node);
    const known = keys.findIndex((k) => sameKey(k, expr));
    if (several && known >= 0 && entryOf(keys[known] as Expr) !== entryOf(expr)) throw ctx.unsupported('a grouping set with two equal entries of the select list', locationOf(expr), 'Group by one of them.');
    return [known >= 0 ? known : keys.push(expr) - 1];
  };
  const setsOf = (node: Node): Set<number>[] => {
    if (!('GroupingSet' in node)) return [new Set(keysOf(node))];
    const { kind, content = [] } = node.GroupingSet;
    switch (kind) {
      case 'GROUPING_SET_ROLLUP': return rollup(content.map(keysOf));
      case 'GROUPING_SET_CUBE': return cube(ctx, node.GroupingSet, content.map(keysOf));
      case 'GROUPING_SET_SETS': return content.flatMap(setsOf);
      default: return [new Set()];
    }
  };
  let sets: Set<number>[] = [new Set()];
  for (const item of clause) {
    const more = setsOf(item);
    if (sets.length * more.length > SETS_MAX) throw ctx.error('54001', `too many grouping sets present (maximum ${SETS_MAX})`, undefined);
    sets = sets.flatMap((s) => more.map((m) => new Set([...s, ...m])));
  }
  if (!distinct) return { keys, sets };
  const text = (s: ReadonlySet<number>): string => [...s].sort((a, b) => a - b).join();
  return { keys, sets: [...new Map(sets.map((s) => [text(s), s])).values()] };
}

function rollup(elements: readonly (readonly number[])[]): Set<number>[] {
  return Array.from({ length: elements.length + 1 }, (_, i) => new Set(elements.slice(0, elements.length - i).flat()));
}

function cube(ctx: BindContext, node: GroupingSet, elements: readonly (readonly number[])[]): Set<number>[] {
  if (elements.length > CUBE_ELEMENTS_MAX) throw ctx.error('54011', `CUBE is limited to ${CUBE_ELEMENTS_MAX} elements`, node.location);
  return Array.from({ length: 1 << elements.length }, (_, bits) => new Set(elements.filter((_e, i) => (bits & (1 << i)) === 0).flat()));
}
