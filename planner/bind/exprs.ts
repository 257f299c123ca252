/** Walks, rewrites and comparisons of bound expressions. All are pure; source locations are kept aside (see `located`). */
import type { Expr } from '../../types/expr.js';
import { BOOL, type SqlType } from '../../types/sqltype.js';
import { functionById } from './functions.js';

/** Byte location of the text an expression was bound from: for errors that are found later (GROUP BY). */
const locations = new WeakMap<Expr, number>();
export function located<E extends Expr>(expr: E, location: number | undefined): E {
  if (location !== undefined && location >= 0) locations.set(expr, location);
  return expr;
}
export const locationOf = (expr: Expr): number | undefined => locations.get(expr);

/** The kind of syntax an expression was bound from: x IS NOT NULL has an isnull inside that nobody wrote. */
const forms = new WeakMap<Expr, string>();
export function written<E extends Expr>(expr: E, form: string | undefined): E {
  if (form !== undefined && !forms.has(expr)) forms.set(expr, form);
  return expr;
}
export const formOf = (expr: Expr): string | undefined => forms.get(expr);

export const column = (index: number, type: SqlType): Expr => ({ node: 'column', index, type });
export const literal = (text: string | null, type: SqlType): Expr => ({ node: 'literal', text, type });
export const TRUE: Expr = literal('t', BOOL);

export function conjunction(preds: readonly Expr[]): Expr | null {
  const first = preds[0];
  if (first === undefined) return null;
  return preds.length === 1 ? first : { node: 'and', args: preds.flatMap(conjuncts), type: BOOL };
}
export function conjuncts(e: Expr): readonly Expr[] {
  return e.node === 'and' ? e.args.flatMap(conjuncts) : [e];
}

export function children(e: Expr): readonly Expr[] {
  switch (e.node) {
    case 'column': case 'literal': case 'param': case 'outer': return [];
    case 'call': case 'and': case 'or': case 'coalesce': return e.args;
    case 'cast': case 'not': case 'isnull': return [e.arg];
    case 'distinct': case 'anyall': return [e.left, e.right];
    case 'case': return [...e.whens.flatMap((w) => [w.when, w.then]), ...(e.otherwise === null ? [] : [e.otherwise])];
    case 'in': return [e.arg, ...e.list];
    case 'array': return e.elems;
    case 'subplan': return e.left === null ? e.outer : [...e.outer, e.left];
  }
}

/** The same node over other children, each made by `f`. */
export function mapChildren(e: Expr, f: (child: Expr) => Expr): Expr {
  switch (e.node) {
    case 'column': case 'literal': case 'param': case 'outer': return e;
    case 'call': case 'and': case 'or': case 'coalesce': return { ...e, args: e.args.map(f) };
    case 'cast': case 'not': case 'isnull': return { ...e, arg: f(e.arg) };
    case 'distinct': case 'anyall': return { ...e, left: f(e.left), right: f(e.right) };
    case 'case': return { ...e, whens: e.whens.map((w) => ({ when: f(w.when), then: f(w.then) })), otherwise: e.otherwise === null ? null : f(e.otherwise) };
    case 'in': return { ...e, arg: f(e.arg), list: e.list.map(f) };
    case 'array': return { ...e, elems: e.elems.map(f) };
    case 'subplan': return { ...e, outer: e.outer.map(f), left: e.left === null ? null : f(e.left) };
  }
}

export function some(e: Expr, test: (e: Expr) => boolean): boolean {
  return test(e) || children(e).some((c) => some(c, test));
}

export function columnsOf(e: Expr, into: Set<number> = new Set()): Set<number> {
  if (e.node === 'column') into.add(e.index);
  for (const c of children(e)) columnsOf(c, into);
  return into;
}

/** Replaces columns; those that `by` does not know stay. */
export function substitute(e: Expr, by: (id: number) => Expr | undefined): Expr {
  if (e.node === 'column') return by(e.index) ?? e;
  return mapChildren(e, (c) => substitute(c, by));
}

export const sameExpr = (a: Expr, b: Expr): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

export const isConstant = (e: Expr): boolean => !some(e, (x) => x.node === 'column' || x.node === 'param' || x.node === 'outer' || x.node === 'subplan');

export function isVolatile(e: Expr): boolean {
  return some(e, (x) => x.node === 'call' && functionById(x.fn)?.volatility === 'volatile');
}
export const hasSubplan = (e: Expr): boolean => some(e, (x) => x.node === 'subplan');
