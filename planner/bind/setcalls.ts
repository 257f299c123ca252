/**
 * Set-returning functions of a select list, ORDER BY or GROUP BY, above the rows they are called for. Those of one level of nesting run in
 * lockstep, the shorter ones padded with NULL; arguments are of the levels below.
 */
import type { Expr } from '../../types/expr.js';
import { columnsOf } from './exprs.js';
import type { Rel, SetFunction } from './rel.js';
import type { SetCall } from './scope.js';

export function withSets(input: Rel, sets: readonly SetCall[]): Rel {
  const levels = new Map<number, number>();
  const byLevel: SetFunction[][] = [];
  // A call stands behind those in its arguments.
  for (const s of sets) {
    const below = s.args.flatMap((a) => [...columnsOf(a)]).map((id) => levels.get(id) ?? -1);
    const level = Math.max(-1, ...below) + 1;
    levels.set(s.id, level);
    (byLevel[level] ??= []).push({ fn: s.fn, args: s.args, cols: [s.id] });
  }
  return byLevel.reduce<Rel>((rel, [first, ...beside]) => (first === undefined ? rel : { rel: 'unnest', input: rel, ...first, beside, ordinality: null, outer: false }), input);
}

/** The calls whose columns `ids` holds, those in their arguments included. `rewrite` and `rename`: what arguments and columns are in the rows at hand. */
export function setsAmong(sets: readonly SetCall[], ids: ReadonlySet<number>, rewrite = (e: Expr): Expr => e, rename = (id: number): number => id): SetCall[] {
  const wanted = new Set(ids);
  const found: SetCall[] = [];
  for (const s of [...sets].reverse()) {
    const id = rename(s.id);
    if (!wanted.has(id)) continue;
    const args = s.args.map(rewrite);
    for (const a of args) columnsOf(a, wanted);
    found.unshift({ fn: s.fn, args, id });
  }
  return found;
}
