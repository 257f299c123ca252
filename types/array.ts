/**
 * SqlArray: elements in row-major order with the length and lower bound of each dimension, as PostgreSQL has them.
 * An empty array has no dimensions. Text form `{1,NULL,"a b"}`, `{{1,2},{3,4}}`, with bounds `[0:1]={5,6}` when they are not 1.
 * Immutable; elements are datums of the one element type that the SQL type names.
 */
import { SqlError } from './error.js';
import type { Datum } from './value.js';

/** Dimensions an array may have. */
export const DIMENSIONS_MAX = 6;
/** Elements an array may have. */
export const ARRAY_ELEMENTS_MAX = 134217727;

export class SqlArray {
  readonly elems: readonly Datum[];
  readonly dims: readonly number[];
  readonly lower: readonly number[];

  constructor(elems: readonly Datum[], dims: readonly number[], lower: readonly number[]) {
    this.elems = elems;
    this.dims = dims;
    this.lower = lower;
  }

  static readonly EMPTY = new SqlArray([], [], []);

  /** One dimension, from `lower`. */
  static of(elems: readonly Datum[], lower = 1): SqlArray {
    return elems.length === 0 ? SqlArray.EMPTY : new SqlArray(elems, [elems.length], [lower]);
  }

  get ndims(): number {
    return this.dims.length;
  }

  /** Element at the subscripts, or null outside of the bounds or with a wrong number of them. */
  at(...subscripts: readonly number[]): Datum {
    if (subscripts.length !== this.dims.length || this.dims.length === 0) return null;
    let index = 0;
    for (let d = 0; d < this.dims.length; d++) {
      const i = subscripts[d] - this.lower[d];
      if (i < 0 || i >= this.dims[d]) return null;
      index = index * this.dims[d] + i;
    }
    return this.elems[index];
  }

  /** Same shape, each element converted; NULL stays NULL. */
  map(f: (v: Exclude<Datum, null>) => Datum): SqlArray {
    return new SqlArray(this.elems.map((v) => (v === null ? null : f(v))), this.dims, this.lower);
  }
}

/** Stack arrays of equal shape as one dimension more: ARRAY[ARRAY[1,2], ARRAY[3,4]]. 2202E when shapes differ. */
export function stackArrays(parts: readonly (SqlArray | null)[]): SqlArray {
  const first = parts[0] ?? SqlArray.EMPTY;
  const elems: Datum[] = [];
  for (const p of parts) {
    if (p === null || p.dims.length !== first.dims.length || p.dims.some((n, i) => n !== first.dims[i])) {
      throw new SqlError('2202E', 'multidimensional arrays must have array expressions with matching dimensions');
    }
    for (const e of p.elems) elems.push(e);
  }
  if (first.dims.length === 0) return SqlArray.EMPTY;
  if (first.dims.length >= DIMENSIONS_MAX) throw dimensionsExceeded(first.dims.length + 1);
  return new SqlArray(elems, [parts.length, ...first.dims], [1, ...first.lower]);
}

/** array_agg and ARRAY(SELECT …) over arrays: one dimension more. */
export function accumulateArrays(parts: readonly (SqlArray | null)[]): SqlArray {
  const first = parts[0];
  if (first === undefined) return SqlArray.EMPTY;
  for (const p of parts) {
    if (p === null) throw new SqlError('22004', 'cannot accumulate null arrays');
    if (first !== null && (p.dims.length !== first.dims.length || p.dims.some((n, i) => n !== first.dims[i]))) {
      throw new SqlError('2202E', 'cannot accumulate arrays of different dimensionality');
    }
  }
  if (first !== null && first.dims.length === 0) throw new SqlError('2202E', 'cannot accumulate empty arrays');
  return stackArrays(parts);
}

function dimensionsExceeded(n: number): SqlError {
  return new SqlError('54000', `number of array dimensions (${n}) exceeds the maximum allowed (${DIMENSIONS_MAX})`);
}

/** Text of an array, elements by `format`. */
export function formatArray(a: SqlArray, format: (v: Exclude<Datum, null>) => string): string {
  if (a.dims.length === 0) return '{}';
  let out = '';
  if (a.lower.some((l) => l !== 1)) out = `${a.dims.map((n, d) => `[${a.lower[d]}:${a.lower[d] + n - 1}]`).join('')}=`;
  let next = 0;
  const write = (d: number): void => {
    out += '{';
    for (let i = 0; i < a.dims[d]; i++) {
      if (i > 0) out += ',';
      if (d + 1 < a.dims.length) write(d + 1);
      else {
        const v = a.elems[next++];
        out += v === null ? 'NULL' : quoteElement(format(v));
      }
    }
    out += '}';
  };
  write(0);
  return out;
}

function quoteElement(s: string): string {
  if (s !== '' && !/[{}",\\\s]/.test(s) && !/^null$/i.test(s)) return s;
  return `"${s.replace(/["\\]/g, '\\$&')}"`;
}

/** Parse an array's text; elements by `parse`. 22P02 when malformed. */
export function parseArray(text: string, parse: (s: string) => Datum): SqlArray {
  return new ArrayReader(text, parse).read();
}

class ArrayReader {
  readonly #text: string;
  readonly #parse: (s: string) => Datum;
  #at = 0;
  #elems: Datum[] = [];
  #dims: number[] = [];
  #seen: boolean[] = [];

  constructor(text: string, parse: (s: string) => Datum) {
    this.#text = text;
    this.#parse = parse;
  }

  read(): SqlArray {
    this.#space();
    const bounds: { lower: number; upper: number }[] = [];
    while (this.#text[this.#at] === '[') {
      const m = /^\[\s*([+-]?\d+)\s*(?::\s*([+-]?\d+)\s*)?\]/.exec(this.#text.slice(this.#at));
      if (m === null) throw this.#malformed('"[" must introduce explicitly-specified array dimensions.');
      const lower = m[2] === undefined ? 1 : Number(m[1]);
      const upper = Number(m[2] ?? m[1]);
      if (upper < lower) throw new SqlError('2202E', 'upper bound cannot be less than lower bound');
      bounds.push({ lower, upper });
      this.#at += m[0].length;
    }
    if (bounds.length > 0) {
      this.#space();
      if (this.#text[this.#at] !== '=') throw this.#malformed('Missing "=" after array dimensions.');
      this.#at++;
      this.#space();
    }
    if (this.#text[this.#at] !== '{') {
      throw this.#malformed(bounds.length > 0 ? 'Array contents must start with "{".' : 'Array value must start with "{" or dimension information.');
    }
    this.#level(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#malformed('Junk after closing right brace.');
    if (this.#elems.length === 0) return SqlArray.EMPTY;
    if (bounds.length > 0) {
      if (bounds.length !== this.#dims.length || bounds.some((b, i) => b.upper - b.lower + 1 !== this.#dims[i])) {
        throw this.#malformed('Specified array dimensions do not match array contents.');
      }
      return new SqlArray(this.#elems, this.#dims, bounds.map((b) => b.lower));
    }
    return new SqlArray(this.#elems, this.#dims, this.#dims.map(() => 1));
  }

  #malformed(detail: string): SqlError {
    return new SqlError('22P02', `malformed array literal: "${this.#text}"`, { detail });
  }

  #space(): void {
    while (/\s/.test(this.#text[this.#at] ?? 'x')) this.#at++;
  }

  /** One `{…}` at nesting `d`; sets or checks the length of dimension d. */
  #level(d: number): void {
    if (d >= DIMENSIONS_MAX) throw dimensionsExceeded(d + 1);
    this.#at++;
    let count = 0;
    this.#space();
    if (this.#text[this.#at] === '}') {
      // Only the whole array may be empty.
      if (d > 0) throw this.#malformed('Unexpected "}" character.');
      this.#at++;
      this.#close(d, 0);
      return;
    }
    for (;;) {
      this.#space();
      const c = this.#text[this.#at];
      if (c === undefined) throw this.#malformed('Unexpected end of input.');
      if (c === '{') {
        if (this.#dims.length > 0 && this.#seen.length === d + 1 && this.#seen[d]) throw this.#ragged();
        this.#level(d + 1);
      } else this.#element(d);
      count++;
      this.#space();
      const sep = this.#text[this.#at++];
      if (sep === '}') break;
      if (sep === undefined) throw this.#malformed('Unexpected end of input.');
      if (sep !== ',') throw this.#malformed('Unexpected array element.');
      this.#space();
      if (this.#text[this.#at] === '}') throw this.#malformed('Unexpected "}" character.');
    }
    this.#close(d, count);
  }

  #ragged(): SqlError {
    return this.#malformed('Multidimensional arrays must have sub-arrays with matching dimensions.');
  }

  #close(d: number, count: number): void {
    if (this.#dims[d] === undefined) this.#dims[d] = count;
    else if (this.#dims[d] !== count) throw this.#ragged();
  }

  #element(d: number): void {
    // An element at depth d means that d is the innermost dimension.
    if (this.#dims.length > d + 1) throw this.#ragged();
    this.#seen[d] = true;
    if (this.#text[this.#at] === '"') {
      let s = '';
      this.#at++;
      for (;;) {
        const c = this.#text[this.#at++];
        if (c === undefined) throw this.#malformed('Unexpected end of input.');
        if (c === '"') break;
        if (c === '\\') s += this.#text[this.#at++] ?? '';
        else s += c;
      }
      this.#space();
      if (!/[,}]/.test(this.#text[this.#at] ?? ',')) throw this.#malformed('Incorrectly quoted array element.');
      this.#elems.push(this.#parse(s));
      return;
    }
    let s = '';
    let escaped = false;
    let end = 0;
    for (;;) {
      const c = this.#text[this.#at];
      if (c === undefined) throw this.#malformed('Unexpected end of input.');
      if (c === ',' || c === '}') break;
      if (c === '"' || c === '{') throw this.#malformed(c === '{' ? 'Unexpected "{" character.' : 'Incorrectly quoted array element.');
      this.#at++;
      if (c === '\\') {
        s += this.#text[this.#at++] ?? '';
        escaped = true;
        end = s.length;
      } else {
        s += c;
        if (!/\s/.test(c)) end = s.length;
      }
    }
    s = s.slice(0, end);
    if (s === '') throw this.#malformed(`Unexpected "${this.#text[this.#at]}" character.`);
    this.#elems.push(!escaped && /^null$/i.test(s) ? null : this.#parse(s));
  }
}
