/** Calls of operators: overload resolution, argument casts, Postgres' errors. */
import type { Expr } from '../../types/expr.js';
import { UNKNOWN, type SqlType } from '../../types/sqltype.js';
import { coerce } from './coerce.js';
import { located } from './exprs.js';
import { foldCall } from './fold.js';
import { functionsNamed } from './functions.js';
import { resolveOverload, resultOf } from './resolve.js';
import type { Env } from './scope.js';
import { typeWords } from './typename.js';

/** Operators that the grammar or users write in another way. */
const SYNONYMS: Readonly<Record<string, string>> = { '!=': '<>' };

/** One argument: a prefix operator. Throws 42883 and 42725. */
export function callOperator(env: Env, symbol: string, args: readonly Expr[], at: number): Expr {
  const { ctx } = env;
  const name = SYNONYMS[symbol] ?? symbol;
  const types = args.map((a) => typeOf(env, a));
  const r = resolveOverload(functionsNamed(name).filter((d) => d.args.length === args.length), types, true);
  if (r.kind !== 'found') throw operatorError(env, name, types, r.kind, at);
  const cast = args.map((a, i) => coerce(ctx, a, r.types[i] as SqlType, 'implicit'));
  const argTypes = cast.map((a) => a.type);
  const type = r.def.resultType?.(argTypes) ?? resultOf(r.def.result, r.element);
  return located(foldCall(ctx, { node: 'call', fn: r.def.id, args: cast, type }, r.def), at);
}

/** A parameter has the type that it was given elsewhere in the statement. */
function typeOf(env: Env, e: Expr): SqlType {
  return e.node === 'param' && e.type.kind === 'unknown' ? env.ctx.paramType(e.index) ?? UNKNOWN : e.type;
}

function operatorError(env: Env, name: string, types: readonly SqlType[], kind: 'none' | 'ambiguous', at: number) {
  const words = types.map(typeWords);
  const text = words.length === 1 ? `${name} ${words[0] ?? ''}` : `${words[0] ?? ''} ${name} ${words[1] ?? ''}`;
  if (kind === 'ambiguous') return env.ctx.error('42725', `operator is not unique: ${text}`, at, { hint: 'Could not choose a best candidate operator. You might need to add explicit type casts.' });
  const hint = `No operator matches the given name and argument type${types.length === 1 ? '' : 's'}. You might need to add ${types.length === 1 ? 'an explicit type cast' : 'explicit type casts'}.`;
  return env.ctx.error('42883', `operator does not exist: ${text}`, at, { hint });
}

/** Id of '=' over two values of one type: what IN, IS DISTINCT FROM, GROUP BY and joins compare with. */
export function equalityOperator(env: Env, type: SqlType, at: number | undefined): string {
  const r = resolveOverload(functionsNamed('=').filter((d) => d.args.length === 2), [type, type], true);
  if (r.kind !== 'found') {
    throw env.ctx.error('42883', `could not identify an equality operator for type ${typeWords(type)}`, at);
  }
  return r.def.id;
}

/** Types that cannot be grouped, joined or made distinct: json has no equality. */
export function requireEquality(env: Env, e: Expr, at: number | undefined): void { equalityOperator(env, e.type, at); }
