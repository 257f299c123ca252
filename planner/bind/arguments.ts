/**
 * Arguments of a call by position and by name (`days => 1`, `days := 1`), and those left out that have a default: which function's parameters they
 * are, as parse_func.c's MatchNamedCall finds it.
 */
import type { Node } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import type { ArgPattern, FunctionDef } from '../../types/functions/catalogue.js';
import type { SqlType } from '../../types/sqltype.js';
import type { BindContext } from './context.js';
import { literal } from './exprs.js';
import type { Signature } from './resolve.js';

/** Names of a call's last arguments, lower-cased by the parser; null by position. */
export type ArgumentNames = readonly (string | null)[];

/** The arguments' expressions and names. 42601 where a position follows a name, or a name comes twice. */
export function callArguments(ctx: BindContext, args: readonly Node[]): { readonly values: readonly Node[]; readonly names: ArgumentNames } {
  const values: Node[] = [];
  const names: (string | null)[] = [];
  for (const a of args) {
    if (!('NamedArgExpr' in a)) {
      if (names.some((n) => n !== null)) throw ctx.error('42601', 'positional argument cannot follow named argument', locationIn(a));
      values.push(a);
      names.push(null);
      continue;
    }
    const { name = '', arg, location } = a.NamedArgExpr;
    if (names.includes(name)) throw ctx.error('42601', `argument name "${name}" used more than once`, location);
    if (arg !== undefined) values.push(arg);
    names.push(name);
  }
  return { values, names };
}

/** The place of an expression as it was parsed. */
export function locationIn(node: Node): number | undefined {
  const first = 'A_Expr' in node ? node.A_Expr.lexpr : 'TypeCast' in node ? node.TypeCast.arg : undefined;
  if (first !== undefined) return locationIn(first);
  const [body] = Object.values(node) as { location?: number }[];
  return body?.location ?? 0;
}

/** A function as a call's arguments meet it: `args` in the order they were given; `parameters[i]` is the one that argument i is for. */
export interface Arranged extends Signature { readonly def: FunctionDef; readonly args: readonly ArgPattern[]; readonly parameters: readonly number[] }

/** The functions that take so many arguments, by these names. */
export function arranged(defs: readonly FunctionDef[], names: ArgumentNames): Arranged[] {
  return defs.flatMap((def): Arranged[] => {
    const count = names.length;
    const named = names.some((n) => n !== null);
    if (def.variadic) return named ? [] : [{ def, args: def.args, variadic: true, parameters: [] }];
    const parameters = names.map((n, i) => (n === null ? i : def.argNames?.indexOf(n) ?? -1));
    const left = def.args.map((_, k) => k).filter((k) => !parameters.includes(k));
    const optional = def.args.length - (def.defaults?.length ?? 0);
    if (count > def.args.length || parameters.includes(-1) || new Set(parameters).size < count || left.some((k) => k < optional)) return [];
    return [{ def, args: parameters.map((k) => def.args[k] as ArgPattern), variadic: false, parameters }];
  });
}

/** All arguments in the function's order: those given, defaults for the others. */
export function inOrder(call: Arranged, given: readonly Expr[]): Expr[] {
  if (call.variadic) return [...given];
  const { args, defaults = [] } = call.def;
  return args.map((type, k) => given[call.parameters.indexOf(k)] ?? literal(defaults[k - args.length + defaults.length] ?? null, type as SqlType));
}
