/**
 * The catalogue of scalar functions, operators, casts, set-returning functions and aggregates' signatures: one table that the
 * planner resolves names and types from, and that runtime/codegen takes implementations from (inlining the hot ones).
 *
 * An operator is a function whose name is its symbol ('+', '||', '->>'; prefix operators have one argument).
 * `id` = name(argkind,argkind…) with array kinds as 'int4[]' and pseudo-types by name, e.g. '+(int8,int8)', 'lower(text)',
 * 'array_append(anyarray,anyelement)'. Ids are stored in plans: they are never reused for another meaning.
 */
import type { SqlType, TypeKind } from '../sqltype.js';
import type { Datum } from '../value.js';
import type { EvalContext } from './evalcontext.js';

/** Pseudo-types of signatures: anyelement/anyarray/anycompatible bind to one type across the signature; any: each its own. */
export type ArgPattern = SqlType | { readonly pseudo: 'anyelement' | 'anyarray' | 'anynonarray' | 'any' };

export interface FunctionDef {
  readonly id: string;
  readonly name: string;
  readonly args: readonly ArgPattern[];
  /** The last argument's type may repeat (its pattern is the element's), e.g. concat, jsonb_build_object. */
  readonly variadic: boolean;
  readonly result: ArgPattern;
  /** NULL in → NULL out, without calling `evaluate`. */
  readonly strict: boolean;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** Needs the surroundings (now, time zone, catalog): called as evaluateIn(ctx, ...args). */
  readonly needsContext: boolean;
  readonly evaluate: (...args: readonly never[]) => Datum;
  /** For typmod-dependent or polymorphic functions: the planner passes the bound types, appended as data. */
  readonly resultType?: (args: readonly SqlType[]) => SqlType;
}

export interface SetFunctionDef {
  readonly id: string;
  readonly name: string;
  readonly args: readonly ArgPattern[];
  readonly columns: (args: readonly SqlType[]) => readonly { readonly name: string; readonly type: SqlType }[];
  readonly strict: boolean;
  /** Rows as arrays of datums. */
  readonly evaluate: (ctx: EvalContext, ...args: readonly Datum[]) => Iterable<readonly Datum[]>;
}

export interface AggregateDef {
  readonly id: string;
  readonly name: string;
  readonly args: readonly ArgPattern[];
  readonly variadic: boolean;
  readonly resultType: (args: readonly SqlType[]) => SqlType;
  /** Result depends on the order of its input (array_agg, string_agg): without ORDER BY the runtime orders by stream key. */
  readonly ordered: boolean;
}

export type CastContext = 'implicit' | 'assignment' | 'explicit';

export interface CastDef {
  readonly from: TypeKind;
  readonly to: TypeKind;
  readonly context: CastContext;
  /** Target type carries the typmod (varchar length, numeric scale, time precision). */
  readonly evaluate: (value: Datum, to: SqlType, explicit: boolean, ctx: EvalContext) => Datum;
}
