/**
 * Mathematical functions on int, numeric and double, with PostgreSQL's choice of types (round of double is half to even, of
 * numeric half away from zero; ceil of an integer goes through double) and errors.
 */
import { SqlError } from '../error.js';
import { roundEven } from '../interval.js';
import { Numeric } from '../numeric.js';
import { numericExp, numericLn, numericLog, numericLog10, numericPower, numericSqrt } from '../numericmath.js';
import type { FunctionDef } from './catalogue.js';
import { checkFloat, floatPower, floatSqrt } from './arithmetic.js';
import type { Int8 } from './define.js';
import { bounded, contextFn, fn, int8, int8Mod, int8Sub } from './define.js';
import type { EvalContext } from './evalcontext.js';

function floatLog(v: number, log: (x: number) => number): number {
  if (v === 0) throw new SqlError('2201E', 'cannot take logarithm of zero');
  if (v < 0) throw new SqlError('2201E', 'cannot take logarithm of a negative number');
  return log(v);
}

function floatExp(v: number): number {
  return checkFloat(Math.exp(v), !Number.isFinite(v), v === -Infinity);
}

function domain(v: number, ok: boolean): number {
  if (!ok && v === v) throw new SqlError('22003', 'input is out of range');
  return v;
}

const DEG = Math.PI / 180;
const SIN_30 = Math.sin(30 * DEG);
const ONE_MINUS_COS_60 = 1 - Math.cos(60 * DEG);
const ASIN_HALF = Math.asin(0.5);
const ACOS_HALF = Math.acos(0.5);
const ATAN_1 = Math.atan(1);

/** Degrees, as PostgreSQL has them: the first quadrant in terms of its round angles, so that those are exact; the others by symmetry. */
const sin0To30 = (v: number): number => Math.sin(v * DEG) / SIN_30 / 2;
const cos0To60 = (v: number): number => 1 - (1 - Math.cos(v * DEG)) / ONE_MINUS_COS_60 / 2;
const sinQuadrant = (v: number): number => (v <= 30 ? sin0To30(v) : cos0To60(90 - v));
const cosQuadrant = (v: number): number => (v <= 60 ? cos0To60(v) : sin0To30(90 - v));
const asinQuadrant = (v: number): number => (v <= 0.5 ? (Math.asin(v) / ASIN_HALF) * 30 : 90 - (Math.acos(v) / ACOS_HALF) * 60);
const acosQuadrant = (v: number): number => (v <= 0.5 ? 90 - (Math.asin(v) / ASIN_HALF) * 30 : (Math.acos(v) / ACOS_HALF) * 60);
const TAN_45 = sinQuadrant(45) / cosQuadrant(45);
const COT_45 = cosQuadrant(45) / sinQuadrant(45);

/** The angle's mirror image in the first quadrant, and how often a mirror changed the signs of sine (odd) and cosine. */
function quadrant(v: number): { angle: number; sin: number; cos: number } {
  let angle = domain(v, v !== v || Number.isFinite(v)) % 360;
  let [sin, cos] = [1, 1];
  if (angle < 0) [angle, sin] = [-angle, -sin];
  if (angle > 180) [angle, sin] = [360 - angle, -sin];
  if (angle > 90) [angle, cos] = [180 - angle, -cos];
  return { angle, sin, cos };
}
function sind(v: number): number {
  const q = quadrant(v);
  return q.sin * sinQuadrant(q.angle);
}
function cosd(v: number): number {
  const q = quadrant(v);
  return q.cos * cosQuadrant(q.angle);
}
function tand(v: number): number {
  const q = quadrant(v);
  const tan = (q.sin * q.cos * (sinQuadrant(q.angle) / cosQuadrant(q.angle))) / TAN_45;
  return tan === 0 ? 0 : tan;
}
function cotd(v: number): number {
  const q = quadrant(v);
  const cot = (q.sin * q.cos * (cosQuadrant(q.angle) / sinQuadrant(q.angle))) / COT_45;
  return cot === 0 ? 0 : cot;
}
function asind(v: number): number {
  domain(v, v !== v || (v >= -1 && v <= 1));
  return v < 0 ? -asinQuadrant(-v) : asinQuadrant(v);
}
function acosd(v: number): number {
  domain(v, v !== v || (v >= -1 && v <= 1));
  return v < 0 ? 90 + asinQuadrant(-v) : acosQuadrant(v);
}
const atand = (v: number): number => (Math.atan(v) / ATAN_1) * 45;

const FLOATS: readonly (readonly [string, (v: number) => number])[] = [
  ['ceil', Math.ceil], ['ceiling', Math.ceil], ['floor', Math.floor], ['round', roundEven], ['trunc', Math.trunc], ['sqrt', floatSqrt], ['cbrt', Math.cbrt],
  ['exp', floatExp], ['ln', (v) => floatLog(v, Math.log)], ['log', (v) => floatLog(v, Math.log10)], ['log10', (v) => floatLog(v, Math.log10)],
  ['sign', (v) => (v > 0 ? 1 : v < 0 ? -1 : 0)], ['degrees', (v) => checkFloat(v / DEG, !Number.isFinite(v), v === 0)], ['radians', (v) => v * DEG],
  ['sin', (v) => Math.sin(domain(v, Number.isFinite(v)))], ['cos', (v) => Math.cos(domain(v, Number.isFinite(v)))], ['tan', (v) => Math.tan(domain(v, Number.isFinite(v)))],
  ['cot', (v) => 1 / Math.tan(domain(v, Number.isFinite(v)))], ['asin', (v) => Math.asin(domain(v, v >= -1 && v <= 1))], ['acos', (v) => Math.acos(domain(v, v >= -1 && v <= 1))],
  ['atan', Math.atan], ['sind', sind], ['cosd', cosd], ['tand', tand], ['cotd', cotd], ['asind', asind], ['acosd', acosd],
  ['atand', atand], ['sinh', (v) => checkFloat(Math.sinh(v), !Number.isFinite(v), true)], ['cosh', (v) => checkFloat(Math.cosh(v), !Number.isFinite(v), true)], ['tanh', Math.tanh],
  ['asinh', Math.asinh], ['acosh', (v) => Math.acosh(domain(v, v >= 1))], ['atanh', (v) => Math.atanh(domain(v, v >= -1 && v <= 1))],
];

function gcd(a: bigint, b: bigint): bigint {
  let x = a < 0n ? -a : a;
  let y = b < 0n ? -b : b;
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function lcm(a: bigint, b: bigint): bigint {
  if (a === 0n || b === 0n) return 0n;
  const r = (a / gcd(a, b)) * b;
  return r < 0n ? -r : r;
}

function onNumeric(f: (a: bigint, b: bigint) => bigint): (a: Numeric, b: Numeric) => Numeric {
  return (a, b) => {
    if (!a.isFinite() || !b.isFinite()) return Numeric.NAN;
    const s = Math.max(a.scale, b.scale);
    return Numeric.of(f(a.round(s).unscaled, b.round(s).unscaled), s);
  };
}

function widthBucket(v: Numeric, low: Numeric, high: Numeric, count: number): number {
  if (count <= 0) throw new SqlError('2201G', 'count must be greater than zero');
  if (v.isNaN() || low.isNaN() || high.isNaN()) throw new SqlError('2201G', 'operand, lower bound, and upper bound cannot be NaN');
  if (!low.isFinite() || !high.isFinite()) throw new SqlError('2201G', 'lower and upper bounds must be finite');
  const c = low.compare(high);
  if (c === 0) throw new SqlError('2201G', 'lower bound cannot equal upper bound');
  const up = c < 0;
  if ((up ? v.compare(low) : low.compare(v)) < 0) return 0;
  if ((up ? v.compare(high) : high.compare(v)) >= 0) return bounded(count + 1, 2147483647, 'integer');
  const ratio = v.sub(low).mul(Numeric.fromInt(count)).divTrunc(high.sub(low));
  return Number(ratio.coef) + 1;
}

function floatBucket(v: number, low: number, high: number, count: number): number {
  if (count <= 0) throw new SqlError('2201G', 'count must be greater than zero');
  if (v !== v || low !== low || high !== high) throw new SqlError('2201G', 'operand, lower bound, and upper bound cannot be NaN');
  if (!Number.isFinite(low) || !Number.isFinite(high)) throw new SqlError('2201G', 'lower and upper bounds must be finite');
  if (low === high) throw new SqlError('2201G', 'lower bound cannot equal upper bound');
  if (low < high) {
    if (v < low) return 0;
    if (v >= high) return bounded(count + 1, 2147483647, 'integer');
    return Math.min(Math.floor((count * (v - low)) / (high - low)), count - 1) + 1;
  }
  if (v > low) return 0;
  if (v <= high) return bounded(count + 1, 2147483647, 'integer');
  return Math.min(Math.floor((count * (low - v)) / (low - high)), count - 1) + 1;
}

function factorial(n: Int8): Numeric {
  if (n < 0) throw new SqlError('22003', 'factorial of a negative number is undefined');
  if (n > 32177) throw new SqlError('22003', 'value overflows numeric format');
  let r = 1n;
  for (let i = 2n; i <= BigInt(n); i++) r *= i;
  return Numeric.of(r, 0);
}

const sign = (n: Numeric): Numeric => (n.isNaN() ? n : Numeric.of(n.sign(), 0));

export const mathFunctions: readonly FunctionDef[] = [
  ...FLOATS.map(([name, f]) => fn(`${name}(float8)`, 'float8', f)),
  fn('abs(int2)', 'int2', (v: number) => bounded(Math.abs(v), 32767, 'smallint')),
  fn('abs(int4)', 'int4', (v: number) => bounded(Math.abs(v), 2147483647, 'integer')),
  fn('abs(int8)', 'int8', (v: Int8) => (v < 0 ? int8Sub(0, v) : v)),
  fn('abs(float4)', 'float4', Math.abs),
  fn('abs(float8)', 'float8', Math.abs),
  fn('abs(numeric)', 'numeric', (v: Numeric) => v.abs()),
  fn('ceil(numeric)', 'numeric', (v: Numeric) => v.ceil()),
  fn('ceiling(numeric)', 'numeric', (v: Numeric) => v.ceil()),
  fn('floor(numeric)', 'numeric', (v: Numeric) => v.floor()),
  fn('round(numeric)', 'numeric', (v: Numeric) => v.round(0)),
  fn('round(numeric,int4)', 'numeric', (v: Numeric, n: number) => v.round(Math.max(Math.min(n, 2000), -2000))),
  fn('trunc(numeric)', 'numeric', (v: Numeric) => v.trunc(0)),
  fn('trunc(numeric,int4)', 'numeric', (v: Numeric, n: number) => v.trunc(Math.max(Math.min(n, 2000), -2000))),
  fn('sign(numeric)', 'numeric', sign),
  fn('sqrt(numeric)', 'numeric', numericSqrt),
  fn('exp(numeric)', 'numeric', numericExp),
  fn('ln(numeric)', 'numeric', numericLn),
  fn('log(numeric)', 'numeric', numericLog10),
  fn('log10(numeric)', 'numeric', numericLog10),
  fn('log(numeric,numeric)', 'numeric', numericLog),
  fn('power(numeric,numeric)', 'numeric', numericPower),
  fn('pow(numeric,numeric)', 'numeric', numericPower),
  fn('power(float8,float8)', 'float8', floatPower),
  fn('pow(float8,float8)', 'float8', floatPower),
  fn('atan2(float8,float8)', 'float8', Math.atan2),
  fn('atan2d(float8,float8)', 'float8', (y: number, x: number) => (Math.atan2(y, x) / ATAN_1) * 45),
  fn('pi()', 'float8', () => Math.PI),
  contextFn('random()', 'float8', (ctx: EvalContext) => ctx.random(), { volatility: 'volatile' }),
  fn('div(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.divTrunc(b)),
  fn('mod(numeric,numeric)', 'numeric', (a: Numeric, b: Numeric) => a.mod(b)),
  fn('mod(int2,int2)', 'int2', int8Mod),
  fn('mod(int4,int4)', 'int4', int8Mod),
  fn('mod(int8,int8)', 'int8', int8Mod),
  fn('gcd(int4,int4)', 'int4', (a: number, b: number) => bounded(Number(gcd(BigInt(a), BigInt(b))), 2147483647, 'integer')),
  fn('gcd(int8,int8)', 'int8', (a: Int8, b: Int8) => int8(gcd(BigInt(a), BigInt(b)))),
  fn('gcd(numeric,numeric)', 'numeric', onNumeric(gcd)),
  fn('lcm(int4,int4)', 'int4', (a: number, b: number) => bounded(Number(lcm(BigInt(a), BigInt(b))), 2147483647, 'integer')),
  fn('lcm(int8,int8)', 'int8', (a: Int8, b: Int8) => int8(lcm(BigInt(a), BigInt(b)))),
  fn('lcm(numeric,numeric)', 'numeric', onNumeric(lcm)),
  fn('factorial(int8)', 'numeric', factorial),
  fn('scale(numeric)', 'int4', (v: Numeric) => (v.isFinite() ? v.scale : null)),
  fn('min_scale(numeric)', 'int4', (v: Numeric) => (v.isFinite() ? v.minScale() : null)),
  fn('trim_scale(numeric)', 'numeric', (v: Numeric) => v.trimScale()),
  fn('width_bucket(numeric,numeric,numeric,int4)', 'int4', widthBucket),
  fn('width_bucket(float8,float8,float8,int4)', 'int4', floatBucket),
];

