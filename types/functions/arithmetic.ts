/**
 * Arithmetic and bit operators of the number types, as in PostgreSQL's pg_operator: integers of mixed sizes give the larger one,
 * real with double gives double; numeric stands alone (the planner casts to it). Checked: 22003 out of range, 22012 division by zero.
 */
import { SqlError } from '../error.js';
import { Numeric } from '../numeric.js';
import { numericPower } from '../numericmath.js';
import type { FunctionDef } from './catalogue.js';
import type { Int8 } from './define.js';
import { bounded, fn, int8, int8Add, int8Div, int8Mod, int8Mul, int8Sub } from './define.js';

function divideByZero(): SqlError {
  return new SqlError('22012', 'division by zero');
}

/** A float result: an infinity or zero that the operands do not explain is an error. */
export function checkFloat(r: number, inputInfinite: boolean, zeroAllowed: boolean): number {
  if ((r === Infinity || r === -Infinity) && !inputInfinite) throw new SqlError('22003', 'value out of range: overflow');
  if (r === 0 && !zeroAllowed) throw new SqlError('22003', 'value out of range: underflow');
  return r;
}

function infinite(a: number): boolean {
  return a === Infinity || a === -Infinity;
}

const floatOps = {
  '+': (a: number, b: number) => checkFloat(a + b, infinite(a) || infinite(b), true),
  '-': (a: number, b: number) => checkFloat(a - b, infinite(a) || infinite(b), true),
  '*': (a: number, b: number) => checkFloat(a * b, infinite(a) || infinite(b), a === 0 || b === 0),
  '/': (a: number, b: number) => {
    if (b === 0 && a === a) throw divideByZero();
    return checkFloat(a / b, infinite(a) || infinite(b), a === 0 || infinite(b));
  },
} as const;

const float4Ops = {
  '+': (a: number, b: number) => checkFloat(Math.fround(a + b), infinite(a) || infinite(b), true),
  '-': (a: number, b: number) => checkFloat(Math.fround(a - b), infinite(a) || infinite(b), true),
  '*': (a: number, b: number) => checkFloat(Math.fround(a * b), infinite(a) || infinite(b), a === 0 || b === 0),
  '/': (a: number, b: number) => {
    if (b === 0 && a === a) throw divideByZero();
    return checkFloat(Math.fround(a / b), infinite(a) || infinite(b), a === 0 || infinite(b));
  },
} as const;

const INTEGERS = [
  { kind: 'int2', limit: 32767, name: 'smallint', bits: 16 },
  { kind: 'int4', limit: 2147483647, name: 'integer', bits: 32 },
] as const;

function smallOps(limit: number, name: string): Record<string, (a: number, b: number) => number> {
  return {
    '+': (a, b) => bounded(a + b, limit, name),
    '-': (a, b) => bounded(a - b, limit, name),
    '*': (a, b) => bounded(a * b, limit, name),
    '/': (a, b) => {
      if (b === 0) throw divideByZero();
      return bounded(Math.trunc(a / b), limit, name);
    },
    '%': (a, b) => {
      if (b === 0) throw divideByZero();
      return (a % b) + 0;
    },
  };
}

const bigOps: Record<string, (a: Int8, b: Int8) => Int8> = { '+': int8Add, '-': int8Sub, '*': int8Mul, '/': int8Div, '%': int8Mod };

function integerOperators(): FunctionDef[] {
  const out: FunctionDef[] = [];
  const [i2, i4] = INTEGERS.map((t) => smallOps(t.limit, t.name));
  for (const op of ['+', '-', '*', '/', '%']) {
    out.push(fn(`${op}(int2,int2)`, 'int2', i2[op]));
    // PostgreSQL's % has no mixed forms: the planner widens.
    if (op !== '%') out.push(fn(`${op}(int2,int4)`, 'int4', i4[op]), fn(`${op}(int4,int2)`, 'int4', i4[op]));
    out.push(fn(`${op}(int4,int4)`, 'int4', i4[op]));
    out.push(fn(`${op}(int8,int8)`, 'int8', bigOps[op]));
    if (op !== '%') for (const k of ['int2', 'int4']) out.push(fn(`${op}(${k},int8)`, 'int8', bigOps[op]), fn(`${op}(int8,${k})`, 'int8', bigOps[op]));
    if (op !== '%') out.push(fn(`${op}(oid,oid)`, 'int8', bigOps[op]));
  }
  for (const t of INTEGERS) {
    out.push(
      fn(`-(${t.kind})`, t.kind, (a: number) => bounded(-a, t.limit, t.name)),
      fn(`+(${t.kind})`, t.kind, (a: number) => a),
      fn(`@(${t.kind})`, t.kind, (a: number) => bounded(Math.abs(a), t.limit, t.name)),
      fn(`&(${t.kind},${t.kind})`, t.kind, (a: number, b: number) => a & b),
      fn(`|(${t.kind},${t.kind})`, t.kind, (a: number, b: number) => a | b),
      fn(`#(${t.kind},${t.kind})`, t.kind, (a: number, b: number) => a ^ b),
      fn(`~(${t.kind})`, t.kind, (a: number) => ~a),
      fn(`<<(${t.kind},int4)`, t.kind, (a: number, b: number) => (t.bits === 16 ? (a << (b & 31)) << 16 >> 16 : a << b)),
      fn(`>>(${t.kind},int4)`, t.kind, (a: number, b: number) => a >> b),
    );
  }
  out.push(
    fn('-(int8)', 'int8', (a: Int8) => int8Sub(0, a)),
    fn('+(int8)', 'int8', (a: Int8) => a),
    fn('@(int8)', 'int8', (a: Int8) => (a < 0 ? int8Sub(0, a) : a)),
    fn('&(int8,int8)', 'int8', (a: Int8, b: Int8) => int8(BigInt(a) & BigInt(b))),
    fn('|(int8,int8)', 'int8', (a: Int8, b: Int8) => int8(BigInt(a) | BigInt(b))),
    fn('#(int8,int8)', 'int8', (a: Int8, b: Int8) => int8(BigInt(a) ^ BigInt(b))),
    fn('~(int8)', 'int8', (a: Int8) => int8(~BigInt(a))),
    fn('<<(int8,int4)', 'int8', (a: Int8, b: number) => int8(BigInt.asIntN(64, BigInt(a) << BigInt(b & 63)))),
    fn('>>(int8,int4)', 'int8', (a: Int8, b: number) => int8(BigInt(a) >> BigInt(b & 63))),
  );
  return out;
}

/** power of float8 with PostgreSQL's errors. */
export function floatPower(a: number, b: number): number {
  if (a !== a) return b === 0 ? 1 : NaN;
  if (b !== b) return a === 1 ? 1 : NaN;
  if (a === 0 && b < 0) throw new SqlError('2201F', 'zero raised to a negative power is undefined');
  if (a < 0 && Number.isFinite(b) && !Number.isInteger(b)) throw new SqlError('2201F', 'a negative number raised to a non-integer power yields a complex result');
  // JavaScript says NaN for (±1)^±Infinity, C says 1.
  if (Math.abs(a) === 1 && infinite(b)) return 1;
  return checkFloat(a ** b, infinite(a) || infinite(b), a === 0 || infinite(a) || infinite(b));
}

function floatOperators(): FunctionDef[] {
  const out: FunctionDef[] = [];
  for (const op of ['+', '-', '*', '/'] as const) {
    out.push(fn(`${op}(float4,float4)`, 'float4', float4Ops[op]), fn(`${op}(float8,float8)`, 'float8', floatOps[op]));
    out.push(fn(`${op}(float4,float8)`, 'float8', floatOps[op]), fn(`${op}(float8,float4)`, 'float8', floatOps[op]));
  }
  for (const k of ['float4', 'float8']) {
    out.push(fn(`-(${k})`, k, (a: number) => -a), fn(`+(${k})`, k, (a: number) => a), fn(`@(${k})`, k, (a: number) => Math.abs(a)));
  }
  out.push(fn('^(float8,float8)', 'float8', floatPower));
  out.push(fn('|/(float8)', 'float8', floatSqrt), fn('||/(float8)', 'float8', (a: number) => Math.cbrt(a)));
  return out;
}

export function floatSqrt(a: number): number {
  if (a < 0) throw new SqlError('2201F', 'cannot take square root of a negative number');
  return Math.sqrt(a);
}

const numericOperators: readonly FunctionDef[] = [
  fn('+(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.add(b)),
  fn('-(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.sub(b)),
  fn('*(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.mul(b)),
  fn('/(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.div(b)),
  fn('%(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.mod(b)),
  fn('^(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => numericPower(a, b)),
  fn('-(numeric)', 'numeric', (a: Numeric) => a.neg()),
  fn('+(numeric)', 'numeric', (a: Numeric) => a),
  fn('@(numeric)', 'numeric', (a: Numeric) => a.abs()),
];

export const arithmeticFunctions: readonly FunctionDef[] = [...integerOperators(), ...floatOperators(), ...numericOperators];
