/**
 * Building blocks of the catalogue: a definition from its signature ('substring(text,int4)', which is also its id), and the
 * checked integer arithmetic that several areas share.
 */
import { SqlError } from '../error.js';
import type { SqlType } from '../sqltype.js';
import { typeByName } from '../typeinfo.js';
import type { Datum } from '../value.js';
import type { AggregateDef, ArgPattern, BoundEvaluate, Evaluate, FunctionDef, SetFunctionDef } from './catalogue.js';

const PSEUDO = new Set(['anyelement', 'anyarray', 'anynonarray', 'any', 'anycompatible', 'anycompatiblearray']);

/** 'int4', 'text[]', 'anyelement' → pattern. */
export function pattern(name: string): ArgPattern {
  if (PSEUDO.has(name)) return { pseudo: name } as ArgPattern;
  if (name.endsWith('[]')) return { kind: 'array', elem: sqlType(name.slice(0, -2)) };
  return sqlType(name);
}

function sqlType(name: string): SqlType {
  const t = typeByName([name]);
  if (t === null) throw new SqlError('XX000', `internal error: no type ${name} in a signature`);
  return t;
}

interface Signature { readonly id: string; readonly name: string; readonly args: readonly ArgPattern[]; readonly variadic: boolean }

export function signature(id: string): Signature {
  const open = id.lastIndexOf('(');
  const list = id.slice(open + 1, -1);
  const variadic = list.endsWith('…');
  const args = list === '' ? [] : (variadic ? list.slice(0, -1) : list).split(',').map(pattern);
  return { id, name: id.slice(0, open), args, variadic };
}

export interface Options {
  /** Default true. */
  readonly strict?: boolean;
  readonly volatility?: FunctionDef['volatility'];
  readonly resultType?: (args: readonly SqlType[]) => SqlType;
  readonly argNames?: readonly string[];
  readonly defaults?: readonly string[];
}

function build(id: string, result: string, options: Options, rest: Pick<FunctionDef, 'evaluate' | 'needsContext' | 'bind'>): FunctionDef {
  const { resultType, argNames, defaults } = options;
  return {
    ...signature(id), result: pattern(result), strict: options.strict ?? true, volatility: options.volatility ?? 'immutable',
    ...rest, ...(resultType === undefined ? {} : { resultType }), ...(argNames === undefined ? {} : { argNames }), ...(defaults === undefined ? {} : { defaults }),
  };
}

/** A pure function of its arguments. */
export function fn(id: string, result: string, evaluate: Evaluate, options: Options = {}): FunctionDef {
  return build(id, result, options, { evaluate, needsContext: false });
}

/** A function that takes the context first; stable unless said otherwise. */
export function contextFn(id: string, result: string, evaluate: Evaluate, options: Options = {}): FunctionDef {
  return build(id, result, { volatility: 'stable', ...options }, { evaluate, needsContext: true });
}

/** A function that is made for the types of its arguments. */
export function boundFn(id: string, result: string, bind: (types: readonly SqlType[]) => BoundEvaluate, options: Options = {}): FunctionDef {
  return build(id, result, options, { evaluate: mustBind(id), needsContext: false, bind });
}

function mustBind(id: string): Evaluate {
  return () => { throw new SqlError('XX000', `internal error: ${id} was called without being bound`); };
}

export function setFn(id: string, columns: SetFunctionDef['columns'], evaluate: SetFunctionDef['evaluate'], strict = true): SetFunctionDef {
  return { ...signature(id), columns, strict, evaluate };
}

/** An aggregate: result as a type name, or computed from the argument types. */
export function aggregate(id: string, result: string | ((args: readonly SqlType[]) => SqlType), ordered = false): AggregateDef {
  const fixed = typeof result === 'string' ? pattern(result) : null;
  const resultType = typeof result === 'string'
    ? (): SqlType => (fixed !== null && 'kind' in fixed ? fixed : { kind: 'void' })
    : result;
  return { ...signature(id), resultType, ordered };
}

const INT8_MAX = 9223372036854775807n;
const INT8_MIN = -9223372036854775808n;
const SAFE = 9007199254740992;

export type Int8 = number | bigint;

/** Canonical int8; 22003 out of range. */
export function int8(v: bigint): Int8 {
  if (v > INT8_MAX || v < INT8_MIN) throw new SqlError('22003', 'bigint out of range');
  return v <= 9007199254740992n && v >= -9007199254740992n ? Number(v) : v;
}

export function int8Add(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a + b;
    if (r < SAFE && r > -SAFE) return r;
  }
  return int8(BigInt(a) + BigInt(b));
}

export function int8Sub(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a - b;
    if (r < SAFE && r > -SAFE) return r;
  }
  return int8(BigInt(a) - BigInt(b));
}

export function int8Mul(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a * b;
    if (r < SAFE && r > -SAFE) return r + 0;
  }
  return int8(BigInt(a) * BigInt(b));
}

export function int8Div(a: Int8, b: Int8): Int8 {
  if (b === 0) throw new SqlError('22012', 'division by zero');
  // |a| <= 2^53: the double quotient never rounds across an integer.
  if (typeof a === 'number' && typeof b === 'number') return Math.trunc(a / b) + 0;
  return int8(BigInt(a) / BigInt(b));
}

export function int8Mod(a: Int8, b: Int8): Int8 {
  if (b === 0) throw new SqlError('22012', 'division by zero');
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0;
  return int8(BigInt(a) % BigInt(b));
}

/** Result within [−limit−1, limit] or 22003. */
export function bounded(v: number, limit: number, typeName: string): number {
  if (v > limit || v < -limit - 1) throw new SqlError('22003', `${typeName} out of range`);
  return v + 0;
}

export function isNumber(v: Datum): v is number {
  return typeof v === 'number';
}
