/**
 * Typed keys: rows' key columns → dense numbers 0, 1, 2, … without bytes or strings made of them. What an epoch's groups are found by before
 * the state is asked.
 *
 * A key column is a double a row: a number itself, a text its code (interned by bytes; a span that repeats the row's before is not looked at).
 * NULLs and integers past 2^53 (interned too) are marked in a word of flags beside. An open-addressing table over the mixed bits of the
 * doubles gives the number; the columns of each key are kept in typed arrays, from which `columns` makes vectors again.
 *
 * Only for types whose equality is identity (equalityIsIdentity), in vectors of any form. Cost: 8–15 ns a row of numbers, 10 more a text.
 */
import { hashBytes } from '../../types/encoding/hash.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import type { SqlType } from '../../types/sqltype.js';
import type { BytesVector, Vector } from '../batch.js';
import { isNullAt } from '../vectors.js';

const SAFE_BIG = 9007199254740992n;
const GOLDEN = 0x9e3779b1;
const START_KEYS = 256;

/** Byte strings → 0, 1, 2, … */
class Codes {
  count = 0;
  data = new Uint8Array(1024);
  start = new Int32Array(64);
  end = new Int32Array(64);
  #hash = new Int32Array(64);
  #used = 0;
  #index = new Int32Array(128);

  code(data: Uint8Array, start: number, end: number): number {
    const n = end - start;
    const h = hashBytes(data, start, end);
    const mask = this.#index.length - 1;
    let p = h & mask;
    for (;;) {
      const c = this.#index[p] - 1;
      if (c < 0) break;
      if (this.#hash[c] === h && this.end[c] - this.start[c] === n) {
        const from = this.start[c];
        let k = 0;
        while (k < n && this.data[from + k] === data[start + k]) k++;
        if (k === n) return c;
      }
      p = (p + 1) & mask;
    }
    this.#index[p] = this.count + 1;
    return this.#add(data, start, n, h);
  }

  #add(data: Uint8Array, start: number, n: number, h: number): number {
    const c = this.count++;
    if (c === this.start.length) {
      this.start = grownInts(this.start);
      this.end = grownInts(this.end);
      this.#hash = grownInts(this.#hash);
    }
    if (this.#used + n > this.data.length) {
      const grown = new Uint8Array(Math.max(this.data.length * 2, this.#used + n));
      grown.set(this.data.subarray(0, this.#used));
      this.data = grown;
    }
    for (let k = 0, p = this.#used; k < n; k++) this.data[p++] = data[start + k];
    this.start[c] = this.#used;
    this.end[c] = this.#used += n;
    this.#hash[c] = h;
    if (this.count * 2 > this.#index.length) {
      const index = new Int32Array(this.#index.length * 2);
      for (let k = 0; k < this.count; k++) {
        let p = this.#hash[k] & (index.length - 1);
        while (index[p] !== 0) p = (p + 1) & (index.length - 1);
        index[p] = k + 1;
      }
      this.#index = index;
    }
    return c;
  }

  /** Bytes that vectors share may still be read: they are left behind. */
  clear(): void {
    if (this.count === 0) return;
    this.count = 0;
    this.data = new Uint8Array(Math.min(this.data.length, 1 << 16));
    this.#used = 0;
    if (this.#index.length > 1 << 14) { this.#index = new Int32Array(128); this.start = new Int32Array(64); this.end = new Int32Array(64); this.#hash = new Int32Array(64); }
    else this.#index.fill(0);
  }
}

const grownInts = (a: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => { const b = new Int32Array(a.length * 2); b.set(a); return b; };
const grownDoubles = (a: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => { const b = new Float64Array(a.length * 2); b.set(a); return b; };

interface Part {
  readonly type: SqlType;
  readonly text: boolean;
  /** By key. */
  kept: Float64Array<ArrayBuffer>;
  /** Of the batch in hand: the vector's own values, or `scratch`. */
  values: Float64Array;
  scratch: Float64Array;
  readonly codes: Codes;
  readonly bigs: Map<bigint, number>;
}

export class TypedKeys {
  readonly #parts: readonly Part[];
  #count = 0;
  #index = new Int32Array(START_KEYS * 2);
  #shift = 32 - Math.log2(START_KEYS * 2);
  #hash = new Int32Array(START_KEYS);
  /** Per key: bit 2c: NULL in column c, bit 2c + 1: an integer past 2^53. */
  #flags = new Int32Array(START_KEYS);
  #rowFlags = new Int32Array(0);
  #anyFlags = false;

  /** Named limit: 16 key columns (KEY_COLUMNS_MAX). */
  constructor(types: readonly SqlType[]) {
    this.#parts = types.map(type => ({
      type, text: layoutOf(type) === 'bytes', kept: new Float64Array(START_KEYS), values: new Float64Array(0), scratch: new Float64Array(0), codes: new Codes(), bigs: new Map(),
    }));
  }

  get count(): number { return this.#count; }

  /** The key's number for each of the first `n` rows of the columns, into `out`. */
  assign(columns: readonly Vector[], n: number, out: Int32Array): void {
    const parts = this.#parts;
    this.#anyFlags = false;
    for (let c = 0; c < parts.length; c++) this.#read(parts[c], columns[c], n, c * 2);
    if (this.#anyFlags) this.#find(n, out);
    else if (parts.length === 1) this.#findOne(parts[0], n, out);
    else if (parts.length === 2) this.#findTwo(parts[0], parts[1], n, out);
    else if (parts.length === 3) this.#findThree(parts[0], parts[1], parts[2], n, out);
    else this.#find(n, out);
  }

  // ---- a column's rows as doubles ----

  #read(part: Part, v: Vector, n: number, bit: number): void {
    if (v.form === 'f64' && v.nulls === null) { part.values = v.values; return; }
    if (part.scratch.length < n) part.scratch = new Float64Array(n);
    const values = part.scratch;
    part.values = values;
    if (v.form === 'bytes') { this.#readTexts(part, v, n, bit); return; }
    for (let i = 0; i < n; i++) {
      values[i] = 0;
      if (isNullAt(v, i)) { this.#flag(i, n, 1 << bit); continue; }
      const d = v.values[i];
      if (typeof d === 'bigint' && (d > SAFE_BIG || d < -SAFE_BIG)) { values[i] = bigCode(part.bigs, d); this.#flag(i, n, 2 << bit); }
      else if (typeof d === 'string') { const bytes = Buffer.from(d, 'utf8'); values[i] = part.codes.code(bytes, 0, bytes.length); }
      else if (d instanceof Uint8Array) values[i] = part.codes.code(d, 0, d.length);
      else values[i] = Number(d) + 0;
    }
  }

  #readTexts(part: Part, v: BytesVector, n: number, bit: number): void {
    const { data, start, end, nulls } = v;
    const values = part.scratch;
    const codes = part.codes;
    let lastStart = -1;
    let lastEnd = -1;
    let code = 0;
    for (let i = 0; i < n; i++) {
      if (nulls !== null && nulls[i] === 1) { values[i] = 0; this.#flag(i, n, 1 << bit); continue; }
      const s = start[i];
      const e = end[i];
      if (s !== lastStart || e !== lastEnd) {
        code = codes.code(data, s, e);
        lastStart = s;
        lastEnd = e;
      }
      values[i] = code;
    }
  }

  #flag(i: number, n: number, bit: number): void {
    if (!this.#anyFlags) {
      this.#anyFlags = true;
      if (this.#rowFlags.length < n) this.#rowFlags = new Int32Array(n);
      this.#rowFlags.fill(0, 0, n);
    }
    this.#rowFlags[i] |= bit;
  }

  // ---- finding ----

  #findOne(a: Part, n: number, out: Int32Array): void {
    const values = a.values;
    let last = NaN;
    let k = 0;
    for (let i = 0; i < n; i++) {
      const x = values[i];
      // Also equal: −0 and 0, which are one key.
      if (x !== last) { k = this.#one(a, x); last = x; }
      out[i] = k;
    }
  }

  #one(a: Part, x: number): number {
    const h = Math.imul(mix(x), GOLDEN);
    const index = this.#index;
    const mask = index.length - 1;
    const kept = a.kept;
    let p = h >>> this.#shift;
    for (;;) {
      const k = index[p] - 1;
      if (k < 0) break;
      if (kept[k] === x && this.#flags[k] === 0) return k;
      p = (p + 1) & mask;
    }
    index[p] = this.#count + 1;
    const k = this.#add(h, 0);
    a.kept[k] = x + 0;
    return k;
  }

  #findTwo(a: Part, b: Part, n: number, out: Int32Array): void {
    const as = a.values;
    const bs = b.values;
    for (let i = 0; i < n; i++) out[i] = this.#two(a, b, as[i], bs[i]);
  }

  #two(a: Part, b: Part, x: number, y: number): number {
    const h = Math.imul(Math.imul(mix(x), GOLDEN) ^ mix(y), GOLDEN);
    const index = this.#index;
    const mask = index.length - 1;
    const ka = a.kept;
    const kb = b.kept;
    let p = h >>> this.#shift;
    for (;;) {
      const k = index[p] - 1;
      if (k < 0) break;
      if (ka[k] === x && kb[k] === y && this.#flags[k] === 0) return k;
      p = (p + 1) & mask;
    }
    index[p] = this.#count + 1;
    const k = this.#add(h, 0);
    a.kept[k] = x + 0;
    b.kept[k] = y + 0;
    return k;
  }

  #findThree(a: Part, b: Part, c: Part, n: number, out: Int32Array): void {
    const as = a.values;
    const bs = b.values;
    const cs = c.values;
    for (let i = 0; i < n; i++) out[i] = this.#three(a, b, c, as[i], bs[i], cs[i]);
  }

  #three(a: Part, b: Part, c: Part, x: number, y: number, z: number): number {
    const h = Math.imul(Math.imul(Math.imul(mix(x), GOLDEN) ^ mix(y), GOLDEN) ^ mix(z), GOLDEN);
    const index = this.#index;
    const mask = index.length - 1;
    const ka = a.kept;
    const kb = b.kept;
    const kc = c.kept;
    let p = h >>> this.#shift;
    for (;;) {
      const k = index[p] - 1;
      if (k < 0) break;
      if (ka[k] === x && kb[k] === y && kc[k] === z && this.#flags[k] === 0) return k;
      p = (p + 1) & mask;
    }
    index[p] = this.#count + 1;
    const k = this.#add(h, 0);
    a.kept[k] = x + 0;
    b.kept[k] = y + 0;
    c.kept[k] = z + 0;
    return k;
  }

  #find(n: number, out: Int32Array): void {
    for (let i = 0; i < n; i++) out[i] = this.#any(i, this.#anyFlags ? this.#rowFlags[i] : 0);
  }

  #any(i: number, flags: number): number {
    const parts = this.#parts;
    let h = flags;
    for (const part of parts) h = Math.imul(h, GOLDEN) ^ mix(part.values[i]);
    h = Math.imul(h, GOLDEN);
    const mask = this.#index.length - 1;
    let p = h >>> this.#shift;
    for (;;) {
      const k = this.#index[p] - 1;
      if (k < 0) break;
      if (this.#flags[k] === flags) {
        let c = 0;
        while (c < parts.length && parts[c].kept[k] === parts[c].values[i]) c++;
        if (c === parts.length) return k;
      }
      p = (p + 1) & mask;
    }
    this.#index[p] = this.#count + 1;
    const k = this.#add(h, flags);
    for (const part of parts) part.kept[k] = part.values[i] + 0;
    return k;
  }

  /** The next key; its columns are the caller's to write. */
  #add(h: number, flags: number): number {
    const k = this.#count++;
    if (k === this.#hash.length) {
      this.#hash = grownInts(this.#hash);
      this.#flags = grownInts(this.#flags);
      for (const part of this.#parts) part.kept = grownDoubles(part.kept);
    }
    this.#hash[k] = h;
    this.#flags[k] = flags;
    if (this.#count * 2 > this.#index.length) this.#growIndex();
    return k;
  }

  #growIndex(): void {
    const index = new Int32Array(this.#index.length * 2);
    const mask = index.length - 1;
    this.#shift--;
    for (let k = 0; k < this.#count; k++) {
      let p = this.#hash[k] >>> this.#shift;
      while (index[p] !== 0) p = (p + 1) & mask;
      index[p] = k + 1;
    }
    this.#index = index;
  }

  // ---- back ----

  isNull(key: number, column: number): boolean { return (this.#flags[key] & (1 << (2 * column))) !== 0; }

  /** Numbers of a column without bigints, by key: for times, where `isNull` is false. */
  numbers(column: number): Float64Array { return this.#parts[column].kept; }

  /** Column `c` of all keys as a vector; valid until `clear` (bytes also after it). */
  column(c: number): Vector {
    const part = this.#parts[c];
    const n = this.#count;
    const nulls = this.#nulls(c);
    if (part.text) {
      const { start, end, data } = part.codes;
      const s = new Int32Array(n);
      const e = new Int32Array(n);
      for (let k = 0; k < n; k++) {
        if (nulls !== null && nulls[k] === 1) continue;
        const code = part.kept[k];
        s[k] = start[code];
        e[k] = end[code];
      }
      return { form: 'bytes', data, start: s, end: e, nulls };
    }
    if (part.type.kind === 'bool') return { form: 'bool', values: Uint8Array.from({ length: n }, (_, k) => part.kept[k]), nulls };
    if (part.bigs.size === 0) return { form: 'f64', values: part.kept.slice(0, n), nulls };
    const bigs = [...part.bigs.keys()];
    const datums: (number | bigint | null)[] = [];
    for (let k = 0; k < n; k++) datums.push(nulls !== null && nulls[k] === 1 ? null : (this.#flags[k] & (2 << (2 * c))) !== 0 ? bigs[part.kept[k]] : part.kept[k]);
    return { form: 'datum', values: datums, nulls: null };
  }

  #nulls(c: number): Uint8Array | null {
    const bit = 1 << (2 * c);
    let nulls: Uint8Array | null = null;
    for (let k = 0; k < this.#count; k++) {
      if ((this.#flags[k] & bit) === 0) continue;
      nulls ??= new Uint8Array(this.#count);
      nulls[k] = 1;
    }
    return nulls;
  }

  clear(): void {
    this.#count = 0;
    for (const part of this.#parts) {
      part.codes.clear();
      part.bigs.clear();
    }
    // A burst's arrays are not kept for ever.
    if (this.#index.length > 1 << 17) {
      this.#index = new Int32Array(START_KEYS * 2);
      this.#shift = 32 - Math.log2(START_KEYS * 2);
      this.#hash = new Int32Array(START_KEYS);
      this.#flags = new Int32Array(START_KEYS);
      for (const part of this.#parts) part.kept = new Float64Array(START_KEYS);
    } else this.#index.fill(0);
  }
}

/** Key columns that the flags' word has bits for. */
export const KEY_COLUMNS_MAX = 16;

/** The bits of a double that tell integers and multiples of large units apart. */
function mix(x: number): number {
  const high = Math.floor(x / 4294967296);
  return (x | 0) ^ Math.imul(high | 0, 0x85ebca6b);
}

function bigCode(bigs: Map<bigint, number>, d: bigint): number {
  let code = bigs.get(d);
  if (code === undefined) {
    code = bigs.size;
    bigs.set(d, code);
  }
  return code;
}
