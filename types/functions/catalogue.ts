/**
 * The catalogue of scalar functions, operators, casts, set-returning functions and aggregates' signatures: one table that the
 * planner resolves names and types from, and that runtime/codegen takes implementations from (inlining the hot ones).
 * Look-ups are in types/functions/registry.ts.
 *
 * An operator is a function whose name is its symbol ('+', '||', '->>'; prefix operators have one argument).
 * `id` = name(argkind,argkind…) with array kinds as 'int4[]' and pseudo-types by name, e.g. '+(int8,int8)', 'lower(text)',
 * 'array_append(anyarray,anyelement)'. A variadic function's id ends in '…' after its last argument: 'concat(any…)'.
 * Ids are stored in plans: they are never reused for another meaning.
 *
 * How a call is evaluated, in this order:
 *   1. strict and some argument NULL: the result is NULL, nothing is called;
 *   2. `bind` present: once per call site, f = bind(types of the actual arguments); then f(ctx, ...args) per row;
 *   3. needsContext: evaluate(ctx, ...args);
 *   4. otherwise: evaluate(...args).
 */
import type { SqlType, TypeKind } from '../sqltype.js';
import type { Datum } from '../value.js';
import type { EvalContext } from './evalcontext.js';

/**
 * Pseudo-types of signatures: anyelement/anyarray bind to one type across the signature; anynonarray is an anyelement that is no
 * array; anycompatible(array) likewise after the arguments are brought to one common type; any: each its own.
 */
export interface PseudoType { readonly pseudo: 'anyelement' | 'anyarray' | 'anynonarray' | 'any' | 'anycompatible' | 'anycompatiblearray' }
export type ArgPattern = SqlType | PseudoType;

/** Method syntax makes parameters bivariant: an implementation states the datum forms that its signature guarantees. */
export type Evaluate = { evaluate(...args: readonly (Datum | EvalContext)[]): Datum }['evaluate'];
export type BoundEvaluate = { evaluate(ctx: EvalContext, ...args: readonly Datum[]): Datum }['evaluate'];

export interface FunctionDef {
  readonly id: string;
  readonly name: string;
  readonly args: readonly ArgPattern[];
  /** The last argument's type may repeat, none included (its pattern is the element's), e.g. concat, jsonb_build_object. */
  readonly variadic: boolean;
  readonly result: ArgPattern;
  /** NULL in → NULL out, without calling the implementation. */
  readonly strict: boolean;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** Needs the surroundings (now, time zone, catalog): called as evaluate(ctx, ...args). */
  readonly needsContext: boolean;
  readonly evaluate: Evaluate;
  /** For functions whose work depends on the argument types; see the order above. */
  readonly bind?: (argTypes: readonly SqlType[]) => BoundEvaluate;
  /** Argument names for calls by name (make_interval(days => 1)), and literals for trailing arguments that may be left out. */
  readonly argNames?: readonly string[];
  readonly defaults?: readonly string[];
  /** Result type where the pattern does not say it (typmods, polymorphism beyond anyelement). */
  readonly resultType?: (args: readonly SqlType[]) => SqlType;
}

export interface SetFunctionDef {
  readonly id: string;
  readonly name: string;
  readonly args: readonly ArgPattern[];
  readonly variadic: boolean;
  readonly columns: (args: readonly SqlType[]) => readonly { readonly name: string; readonly type: SqlType }[];
  /** Any NULL argument: no rows. */
  readonly strict: boolean;
  /** Rows as arrays of datums; `argTypes` are those of the actual arguments. */
  readonly evaluate: (ctx: EvalContext, args: readonly Datum[], argTypes: readonly SqlType[]) => Iterable<readonly Datum[]>;
}

export interface AggregateDef {
  readonly id: string;
  readonly name: string;
  /** Empty for count(*), whose id is 'count()'. */
  readonly args: readonly ArgPattern[];
  readonly variadic: boolean;
  readonly resultType: (args: readonly SqlType[]) => SqlType;
  /** Result depends on the order of its input (array_agg, string_agg): without ORDER BY the runtime orders by stream key. */
  readonly ordered: boolean;
  /** Takes WITHIN GROUP: `args` are the direct arguments, then what it is ordered by; a hypothetical-set aggregate's are as many as its ORDER BY has. */
  readonly within?: 'ordered-set' | 'hypothetical-set';
}

export type CastContext = 'implicit' | 'assignment' | 'explicit';

export interface CastDef {
  readonly from: TypeKind;
  readonly to: TypeKind;
  readonly context: CastContext;
  /** False when the result depends on ctx (time zone, now, catalog). */
  readonly immutable: boolean;
  /**
   * Value → value of the target type, its typmod applied (varchar length, numeric scale, time precision). Never called with NULL.
   * `explicit` selects the explicit rules (truncation of varchar(n)). `from` matters for arrays and bpchar only.
   */
  readonly evaluate: { cast(value: Datum, to: SqlType, explicit: boolean, ctx: EvalContext, from: SqlType): Datum }['cast'];
}
