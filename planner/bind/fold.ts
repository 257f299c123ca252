/**
 * Constant folding: an immutable call or cast of literals becomes a literal. An error leaves the node as it is: it is raised when a row
 * is computed, and not at all where none is (CASE WHEN false THEN 1/0 END).
 */
import type { Expr } from '../../types/expr.js';
import type { CastDef, FunctionDef } from '../../types/functions/catalogue.js';
import type { Datum } from '../../types/value.js';
import type { SqlType } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import { formatDatum, parseDatum } from '../../types/textio.js';
import type { BindContext } from './context.js';
import { castFor } from '../../types/functions/cast.js';
import { literal } from './exprs.js';

type Call = Extract<Expr, { node: 'call' }>;
type Cast = Extract<Expr, { node: 'cast' }>;

/** Results longer than this stay calls: repeat('x', 1e6) is not to be written into the plan. */
const FOLDED_TEXT_MAX = 4096;
const REG: ReadonlySet<string> = new Set(['regclass', 'regtype', 'regproc', 'regnamespace', 'regrole']);

/** Regular expressions may take for ever: they run where rows are computed, not on the thread that all clients wait for. */
const UNBOUNDED: ReadonlySet<string> = new Set([
  '~', '!~', '~*', '!~*', 'regexp_like', 'regexp_match', 'regexp_replace', 'regexp_count', 'regexp_instr', 'regexp_substr', 'regexp_split_to_array', 'substring',
]);

export function foldCall(ctx: BindContext, call: Call, def: FunctionDef): Expr {
  if (def.volatility !== 'immutable' || def.needsContext || UNBOUNDED.has(def.name) || !call.args.every(isPlainLiteral)) return call;
  if (def.strict && call.args.some((a) => a.node === 'literal' && a.text === null)) return literal(null, call.type);
  return attempt(ctx, call, () => {
    const args = call.args.map((a) => datumOf(ctx, a));
    if (def.bind !== undefined) return def.bind(call.args.map((a) => a.type))(ctx.evalContext, ...args);
    return def.evaluate(...args);
  });
}

export function foldCast(ctx: BindContext, cast: Cast): Expr {
  const { arg, type } = cast;
  if (!isPlainLiteral(arg) || arg.node !== 'literal') return cast;
  if (arg.text === null) return literal(null, type);
  if (isReg(type) || isReg(arg.type)) return cast;
  const def: CastDef | null = castFor(arg.type, type);
  if (def === null || !def.immutable) return cast;
  return attempt(ctx, cast, () => def.evaluate(datumOf(ctx, arg), type, cast.explicit, ctx.evalContext, arg.type));
}

const isReg = (t: SqlType): boolean => (t.kind === 'array' ? isReg(t.elem) : REG.has(t.kind));
const isPlainLiteral = (e: Expr): boolean => e.node === 'literal' && !isReg(e.type) && e.type.kind !== 'unknown';

function datumOf(ctx: BindContext, e: Expr): Datum {
  return e.node !== 'literal' || e.text === null ? null : parseDatum(e.type, e.text, ctx.evalContext);
}

function attempt(ctx: BindContext, unfolded: Expr, evaluate: () => Datum): Expr {
  try {
    const value = evaluate();
    const text = value === null ? null : formatDatum(unfolded.type, value, { ...ctx.evalContext, timeZone: 'UTC' });
    return text !== null && text.length > FOLDED_TEXT_MAX ? unfolded : literal(text, unfolded.type);
  } catch (e) {
    if (e instanceof SqlError && e.code.startsWith('22')) return unfolded;
    throw e;
  }
}
