/** Walking over expressions: columns they read, children, renumbering, whether one may be evaluated once for two places. */
import type { Expr } from '../../types/expr.js';
import { functionById } from '../../types/functions/registry.js';

/** Input columns an expression reads; a subplan's own plan is not looked into, its outer values are. */
export function columnsOf(e: Expr, into: Set<number> = new Set()): Set<number> {
  if (e.node === 'column') { into.add(e.index); return into; }
  for (const child of childrenOf(e)) columnsOf(child, into);
  return into;
}

export function childrenOf(e: Expr): readonly Expr[] {
  switch (e.node) {
    case 'column': case 'literal': case 'param': case 'outer': return [];
    case 'call': case 'and': case 'or': case 'coalesce': return e.args;
    case 'cast': case 'not': case 'isnull': return [e.arg];
    case 'distinct': case 'anyall': return [e.left, e.right];
    case 'case': return [...e.whens.flatMap(w => [w.when, w.then]), ...(e.otherwise === null ? [] : [e.otherwise])];
    case 'in': return [e.arg, ...e.list];
    case 'array': return e.elems;
    case 'subplan': return [...e.outer, ...(e.left === null ? [] : [e.left])];
  }
}

/** The expression over other column numbers. */
export function remap(e: Expr, to: ReadonlyMap<number, number>): Expr {
  const go = (x: Expr): Expr => remap(x, to);
  switch (e.node) {
    case 'column': return { ...e, index: to.get(e.index) ?? e.index };
    case 'literal': case 'param': case 'outer': return e;
    case 'call': return { ...e, args: e.args.map(go) };
    case 'and': case 'or': return { ...e, args: e.args.map(go) };
    case 'coalesce': return { ...e, args: e.args.map(go) };
    case 'cast': return { ...e, arg: go(e.arg) };
    case 'not': return { ...e, arg: go(e.arg) };
    case 'isnull': return { ...e, arg: go(e.arg) };
    case 'distinct': return { ...e, left: go(e.left), right: go(e.right) };
    case 'anyall': return { ...e, left: go(e.left), right: go(e.right) };
    case 'case': return { ...e, whens: e.whens.map(w => ({ when: go(w.when), then: go(w.then) })), otherwise: e.otherwise === null ? null : go(e.otherwise) };
    case 'in': return { ...e, arg: go(e.arg), list: e.list.map(go) };
    case 'array': return { ...e, elems: e.elems.map(go) };
    case 'subplan': return { ...e, outer: e.outer.map(go), left: e.left === null ? null : go(e.left) };
  }
}

/** The same value wherever it stands in a row: no volatile function, no subquery. */
export function repeatable(e: Expr): boolean {
  if (e.node === 'subplan') return false;
  if (e.node === 'call' && functionById(e.fn)?.volatility === 'volatile') return false;
  return childrenOf(e).every(repeatable);
}
