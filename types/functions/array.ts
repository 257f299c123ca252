/**
 * Functions on arrays. Elements are compared by the btree order of the element type, which `bind` takes from the argument types.
 * Subscripts and slices are functions for the planner: array_subscript(anyarray,int4…) and array_slice(anyarray,int4…).
 */
import { ARRAY_ELEMENTS_MAX, SqlArray, stackArrays } from '../array.js';
import type { Comparator } from '../compare.js';
import { comparatorOf } from '../compare.js';
import { SqlError } from '../error.js';
import type { SqlType } from '../sqltype.js';
import { arrayOf } from '../sqltype.js';
import { formatDatum } from '../textio.js';
import type { Datum } from '../value.js';
import type { BoundEvaluate, FunctionDef } from './catalogue.js';
import { boundFn, fn } from './define.js';

function innermost(t: SqlType): SqlType {
  return t.kind === 'array' ? innermost(t.elem) : t;
}

function elementComparator(types: readonly SqlType[]): Comparator {
  const array = types.find((t) => t.kind === 'array') ?? types[0];
  return comparatorOf(innermost(array));
}

/** How many of the thresholds, which are ascending, the value reaches. */
function widthBucket(types: readonly SqlType[]): BoundEvaluate {
  const compare = elementComparator(types);
  return (_ctx, value: Datum, thresholds: SqlArray) => {
    if (thresholds.ndims > 1) throw new SqlError('2202E', 'thresholds must be one-dimensional array');
    if (thresholds.elems.includes(null)) throw new SqlError('22004', 'thresholds array must not contain NULLs');
    let [low, high] = [0, thresholds.elems.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(value, thresholds.elems[middle]) < 0) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** Equality in which NULL equals NULL (IS NOT DISTINCT FROM). */
function equality(types: readonly SqlType[]): (a: Datum, b: Datum) => boolean {
  const compare = elementComparator(types);
  return (a, b) => (a === null || b === null ? a === b : compare(a, b) === 0);
}

function append(a: SqlArray | null, v: Datum): SqlArray {
  if (a === null || a.ndims === 0) return SqlArray.of([v]);
  if (a.ndims > 1) throw oneDimension();
  return new SqlArray([...a.elems, v], [a.elems.length + 1], a.lower);
}

function prepend(v: Datum, a: SqlArray | null): SqlArray {
  if (a === null || a.ndims === 0) return SqlArray.of([v]);
  if (a.ndims > 1) throw oneDimension();
  return new SqlArray([v, ...a.elems], [a.elems.length + 1], a.lower);
}

function oneDimension(): SqlError {
  return new SqlError('22000', 'argument must be empty or one-dimensional array');
}

function incompatible(detail: string): SqlError {
  return new SqlError('2202E', 'cannot concatenate incompatible arrays', { detail });
}

function concat(a: SqlArray | null, b: SqlArray | null): SqlArray | null {
  if (a === null || b === null) return a ?? b;
  if (a.ndims === 0) return b;
  if (b.ndims === 0) return a;
  const same = (x: readonly number[], y: readonly number[]): boolean => x.length === y.length && x.every((n, i) => n === y[i]);
  const elems = [...a.elems, ...b.elems];
  if (a.ndims === b.ndims) {
    if (!same(a.dims.slice(1), b.dims.slice(1))) throw incompatible('Arrays with differing element dimensions are not compatible for concatenation.');
    return new SqlArray(elems, [a.dims[0] + b.dims[0], ...a.dims.slice(1)], a.lower);
  }
  if (a.ndims === b.ndims - 1 && same(a.dims, b.dims.slice(1)) && same(a.lower, b.lower.slice(1))) return new SqlArray(elems, [b.dims[0] + 1, ...a.dims], b.lower);
  if (b.ndims === a.ndims - 1 && same(b.dims, a.dims.slice(1)) && same(b.lower, a.lower.slice(1))) return new SqlArray(elems, [a.dims[0] + 1, ...b.dims], a.lower);
  if (Math.abs(a.ndims - b.ndims) > 1) throw incompatible(`Arrays of ${a.ndims} and ${b.ndims} dimensions are not compatible for concatenation.`);
  throw incompatible('Arrays with differing dimensions are not compatible for concatenation.');
}

function toText(types: readonly SqlType[]): BoundEvaluate {
  const elem = innermost(types[0]);
  return (ctx, a, separator, nullText) => {
    if (!(a instanceof SqlArray) || separator === null) return null;
    const parts: string[] = [];
    for (const e of a.elems) {
      if (e !== null) parts.push(formatDatum(elem, e, ctx));
      else if (nullText !== null && nullText !== undefined) parts.push(String(nullText));
    }
    return parts.join(String(separator));
  };
}

/** Array of NULLs or values in given dimensions. */
function fill(v: Datum, dims: SqlArray, lower: SqlArray | null): SqlArray {
  for (const a of lower === null ? [dims] : [dims, lower]) {
    if (a.ndims > 1) throw new SqlError('2202E', 'wrong number of array subscripts', { detail: 'Dimension array must be one dimensional.' });
    if (a.elems.includes(null)) throw new SqlError('22004', 'dimension values cannot be null');
  }
  if (lower !== null && lower.elems.length !== dims.elems.length) throw new SqlError('2202E', 'wrong number of array subscripts', { detail: 'Low bound array has different size than dimensions array.' });
  const sizes = dims.elems.map(Number);
  const count = sizes.reduce((a, b) => a * b, sizes.length === 0 ? 0 : 1);
  if (count > ARRAY_ELEMENTS_MAX || sizes.some((n) => n < 0)) throw new SqlError('54000', `array size exceeds the maximum allowed (${ARRAY_ELEMENTS_MAX})`);
  if (count === 0) return SqlArray.EMPTY;
  return new SqlArray(Array.from({ length: count }, () => v), sizes, lower === null ? sizes.map(() => 1) : lower.elems.map(Number));
}

function slice(a: SqlArray, bounds: readonly Datum[]): SqlArray {
  const given = bounds.length / 2;
  if (a.ndims === 0 || given > a.ndims) return SqlArray.EMPTY;
  const from: number[] = [];
  const to: number[] = [];
  for (let d = 0; d < a.ndims; d++) {
    const last = a.lower[d] + a.dims[d] - 1;
    // Open bounds come as NULL: the planner puts NULL where SQL wrote nothing.
    const lo = d < given ? bounds[d * 2] : null;
    const hi = d < given ? bounds[d * 2 + 1] : null;
    from.push(lo === null ? a.lower[d] : Math.max(Number(lo), a.lower[d]));
    to.push(hi === null ? last : Math.min(Number(hi), last));
    if (to[d] < from[d]) return SqlArray.EMPTY;
  }
  const out: Datum[] = [];
  const walk = (d: number, base: number): void => {
    for (let i = from[d]; i <= to[d]; i++) {
      const index = base * a.dims[d] + (i - a.lower[d]);
      if (d + 1 < a.ndims) walk(d + 1, index);
      else out.push(a.elems[index]);
    }
  };
  walk(0, 0);
  return new SqlArray(out, from.map((f, d) => to[d] - f + 1), from.map(() => 1));
}

function position(types: readonly SqlType[]): BoundEvaluate {
  const same = equality(types);
  return (_ctx, a, v, start) => {
    if (!(a instanceof SqlArray)) return null;
    if (a.ndims > 1) throw new SqlError('0A000', 'searching for elements in multidimensional arrays is not supported');
    if (start === null) throw new SqlError('22004', 'initial position must not be null');
    const lower = a.lower[0] ?? 1;
    for (let i = start === undefined ? 0 : Math.max(Number(start) - lower, 0); i < a.elems.length; i++) if (same(a.elems[i], v)) return i + lower;
    return null;
  };
}

function positions(types: readonly SqlType[]): BoundEvaluate {
  const same = equality(types);
  return (_ctx, a, v) => {
    if (!(a instanceof SqlArray)) return null;
    if (a.ndims > 1) throw new SqlError('0A000', 'searching for elements in multidimensional arrays is not supported');
    const out: Datum[] = [];
    a.elems.forEach((e, i) => { if (same(e, v)) out.push(i + a.lower[0]); });
    return SqlArray.of(out);
  };
}

function removeAll(types: readonly SqlType[]): BoundEvaluate {
  const same = equality(types);
  return (_ctx, a, v) => {
    if (!(a instanceof SqlArray)) return null;
    if (a.ndims > 1) throw new SqlError('0A000', 'removing elements from multidimensional arrays is not supported');
    const kept = a.elems.filter((e) => !same(e, v));
    return kept.length === a.elems.length ? a : kept.length === 0 ? SqlArray.EMPTY : new SqlArray(kept, [kept.length], a.lower);
  };
}

function replaceAll(types: readonly SqlType[]): BoundEvaluate {
  const same = equality(types);
  return (_ctx, a, from, to) => (a instanceof SqlArray ? new SqlArray(a.elems.map((e) => (same(e, from) ? to : e)), a.dims, a.lower) : null);
}

function contains(types: readonly SqlType[]): (a: SqlArray, b: SqlArray) => boolean {
  const compare = elementComparator(types);
  return (a, b) => b.elems.every((y) => y !== null && a.elems.some((x) => x !== null && compare(x, y) === 0));
}

function setOperator(f: (types: readonly SqlType[]) => (a: SqlArray, b: SqlArray) => boolean): (types: readonly SqlType[]) => BoundEvaluate {
  return (types) => {
    const test = f(types);
    return (_ctx, a, b) => a instanceof SqlArray && b instanceof SqlArray && test(a, b);
  };
}

function overlaps(types: readonly SqlType[]): (a: SqlArray, b: SqlArray) => boolean {
  const compare = elementComparator(types);
  return (a, b) => a.elems.some((x) => x !== null && b.elems.some((y) => y !== null && compare(x, y) === 0));
}

function dimsText(a: SqlArray): string | null {
  return a.ndims === 0 ? null : a.dims.map((n, d) => `[${a.lower[d]}:${a.lower[d] + n - 1}]`).join('');
}

function dimension(a: SqlArray, n: number, f: (d: number) => number): number | null {
  return n < 1 || n > a.ndims ? null : f(n - 1);
}

const elemOf = (types: readonly SqlType[]): SqlType => (types[0].kind === 'array' ? types[0].elem : { kind: 'text' });

export const arrayFunctions: readonly FunctionDef[] = [
  fn('||(anycompatiblearray,anycompatiblearray)', 'anycompatiblearray', concat, { strict: false }),
  fn('||(anycompatiblearray,anycompatible)', 'anycompatiblearray', append, { strict: false }),
  fn('||(anycompatible,anycompatiblearray)', 'anycompatiblearray', prepend, { strict: false }),
  boundFn('width_bucket(anycompatible,anycompatiblearray)', 'int4', widthBucket),
  fn('array_cat(anycompatiblearray,anycompatiblearray)', 'anycompatiblearray', concat, { strict: false }),
  fn('array_append(anycompatiblearray,anycompatible)', 'anycompatiblearray', append, { strict: false }),
  fn('array_prepend(anycompatible,anycompatiblearray)', 'anycompatiblearray', prepend, { strict: false }),
  boundFn('@>(anyarray,anyarray)', 'bool', setOperator(contains)),
  boundFn('<@(anyarray,anyarray)', 'bool', setOperator((types) => { const f = contains(types); return (a, b) => f(b, a); })),
  boundFn('&&(anyarray,anyarray)', 'bool', setOperator(overlaps)),
  fn('array_length(anyarray,int4)', 'int4', (a: SqlArray, n: number) => dimension(a, n, (d) => a.dims[d])),
  fn('array_lower(anyarray,int4)', 'int4', (a: SqlArray, n: number) => dimension(a, n, (d) => a.lower[d])),
  fn('array_upper(anyarray,int4)', 'int4', (a: SqlArray, n: number) => dimension(a, n, (d) => a.lower[d] + a.dims[d] - 1)),
  fn('array_ndims(anyarray)', 'int4', (a: SqlArray) => (a.ndims === 0 ? null : a.ndims)),
  fn('array_dims(anyarray)', 'text', dimsText),
  fn('cardinality(anyarray)', 'int4', (a: SqlArray) => a.elems.length),
  boundFn('array_position(anycompatiblearray,anycompatible)', 'int4', position, { strict: false }),
  boundFn('array_position(anycompatiblearray,anycompatible,int4)', 'int4', position, { strict: false }),
  boundFn('array_positions(anycompatiblearray,anycompatible)', 'int4[]', positions, { strict: false }),
  boundFn('array_remove(anycompatiblearray,anycompatible)', 'anycompatiblearray', removeAll, { strict: false }),
  boundFn('array_replace(anycompatiblearray,anycompatible,anycompatible)', 'anycompatiblearray', replaceAll, { strict: false }),
  boundFn('array_to_string(anyarray,text)', 'text', toText, { volatility: 'stable' }),
  boundFn('array_to_string(anyarray,text,text)', 'text', toText, { strict: false, volatility: 'stable' }),
  fn('array_fill(anyelement,int4[])', 'anyarray', (v: Datum, dims: SqlArray | null) => {
    if (dims === null) throw new SqlError('22004', 'dimension array or low bound array cannot be null');
    return fill(v, dims, null);
  }, { strict: false, resultType: (types) => arrayOf(types[0]) }),
  fn('array_fill(anyelement,int4[],int4[])', 'anyarray', (v: Datum, dims: SqlArray | null, lower: SqlArray | null) => {
    if (dims === null || lower === null) throw new SqlError('22004', 'dimension array or low bound array cannot be null');
    return fill(v, dims, lower);
  }, { strict: false, resultType: (types) => arrayOf(types[0]) }),
  fn('trim_array(anyarray,int4)', 'anyarray', (a: SqlArray, n: number) => {
    const size = a.dims[0] ?? 0;
    if (n < 0 || n > size) throw new SqlError('2202E', `number of elements to trim must be between 0 and ${size}`);
    return slice(a, [null, (a.lower[0] ?? 1) + size - n - 1]);
  }),
  fn('array_subscript(anyarray,int4…)', 'anyelement', (a: SqlArray, ...subscripts: number[]) => a.at(...subscripts), { resultType: elemOf }),
  // Bounds come in pairs, NULL = left open; the planner keeps a NULL bound of the user's as NULL result.
  fn('array_slice(anyarray,int4…)', 'anyarray', (a: SqlArray | null, ...bounds: Datum[]) => (a === null ? null : slice(a, bounds)), { strict: false }),
  fn('array_stack(anyarray…)', 'anyarray', (...parts: (SqlArray | null)[]) => stackArrays(parts), { strict: false }),
];
