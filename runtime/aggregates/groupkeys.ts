/**
 * Group keys outside of a batch: the list of groups touched in an epoch, the key of one group in memory, and key bytes back to columns.
 */
import type { SqlType } from '../../types/sqltype.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { ByteReader, isBigAhead, readBigInt } from '../../types/encoding/identity.js';
import { type Layout, layoutOf } from '../../types/encoding/kinds.js';
import type { BatchBuilder } from '../batchbuilder.js';
import type { KeyBatch } from '../keys.js';
import type { StateTable } from '../state/table.js';

const NULL_LOW = 0x4e554c4c;
const NULL_HIGH = 0x7ff80000;

/** A growing KeyBatch: keys copied one by one. Positions are stable until `clear`. */
export class KeyList implements KeyBatch {
  length = 0;
  data = new Uint8Array(1024);
  start = new Int32Array(64);
  end = new Int32Array(64);
  hash = new Int32Array(64);
  readonly anyNull = null;
  #used = 0;

  push(data: Uint8Array, from: number, to: number, hash: number): number {
    const k = this.length++;
    if (k === this.start.length) {
      this.start = doubled(this.start);
      this.end = doubled(this.end);
      this.hash = doubled(this.hash);
    }
    const n = to - from;
    if (this.#used + n > this.data.length) {
      const grown = new Uint8Array(Math.max(this.data.length * 2, this.#used + n));
      grown.set(this.data.subarray(0, this.#used));
      this.data = grown;
    }
    const bytes = this.data;
    let p = this.#used;
    this.start[k] = p;
    for (let i = from; i < to; i++) bytes[p++] = data[i];
    this.end[k] = this.#used = p;
    this.hash[k] = hash;
    return k;
  }

  /** Whether entry k is row i's key of `keys`. */
  equals(k: number, keys: KeyBatch, i: number): boolean {
    if (this.hash[k] !== keys.hash[i]) return false;
    const from = this.start[k];
    const n = this.end[k] - from;
    if (keys.end[i] - keys.start[i] !== n) return false;
    const at = keys.start[i];
    for (let p = 0; p < n; p++) if (this.data[from + p] !== keys.data[at + p]) return false;
    return true;
  }

  clear(): void {
    this.length = 0;
    this.#used = 0;
    // A burst's arrays are not kept for ever.
    if (this.data.length > 1 << 22) { this.data = new Uint8Array(1024); this.start = new Int32Array(64); this.end = new Int32Array(64); this.hash = new Int32Array(64); }
  }
}

/** Keys of all entries in memory. */
export function residentKeys(table: StateTable): KeyList {
  const all = new KeyList();
  table.forEachResident((slot) => {
    const { bytes } = table.page(slot);
    const from = table.keyOffset(slot);
    const to = from + table.keyLength(slot);
    all.push(bytes, from, to, hashBytes(bytes, from, to));
  });
  return all;
}

function doubled(a: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(a.length * 2);
  grown.set(a);
  return grown;
}

const RECENT_BITS = 12;

/**
 * Rows of one batch by their key, direct-mapped: what was met last under a hash. Batches repeat few keys (a hop window's rows, hot keys): a small
 * table in the cache answers for them, not the state's large one. A key that another pushed out is merely looked up again.
 */
export class RecentKeys {
  readonly #rows = new Int32Array(1 << RECENT_BITS);
  /** The keys' bytes by words: most keys begin and end at one. */
  #words = new Int32Array(0);

  /** Before a batch's rows. */
  begin(keys: KeyBatch): void {
    this.#rows.fill(0);
    const { data } = keys;
    this.#words = (data.byteOffset & 3) === 0 ? new Int32Array(data.buffer as ArrayBuffer, data.byteOffset, data.length >>> 2) : new Int32Array(0);
  }

  /** An earlier row of the batch with row i's key; −1 = not known, and row i is noted. */
  row(keys: KeyBatch, i: number): number {
    const { hash, start, end, data } = keys;
    const h = hash[i];
    const at = Math.imul(h, 0x9e3779b1) >>> (32 - RECENT_BITS);
    const k = this.#rows[at] - 1;
    if (k >= 0 && hash[k] === h) {
      const from = start[k];
      const n = end[k] - from;
      const own = start[i];
      if (end[i] - own === n) {
        if (((from | own | n) & 3) === 0 && this.#words.length > 0) {
          const words = this.#words;
          let a = from >>> 2;
          let b = own >>> 2;
          const to = a + (n >>> 2);
          while (a < to && words[a] === words[b]) { a++; b++; }
          if (a === to) return k;
        } else {
          let p = 0;
          while (p < n && data[from + p] === data[own + p]) p++;
          if (p === n) return k;
        }
      }
    }
    this.#rows[at] = i + 1;
    return -1;
  }
}

/** The KeyBatch of no key columns: one row, no bytes. */
export function emptyKey(): KeyBatch {
  return { length: 1, data: new Uint8Array(0), start: new Int32Array(1), end: new Int32Array(1), hash: Int32Array.of(hashBytes(new Uint8Array(0), 0, 0)), anyNull: null };
}

/** True when the columns can be read back from their equality encoding. */
export const keysReadable = (types: readonly SqlType[]): boolean => types.every(equalityIsIdentity);

/** Makes columns of keys again. Only for keysReadable types. */
export class KeyColumns {
  readonly #layouts: readonly Layout[];
  readonly #reader = new ByteReader(new Uint8Array(0));

  constructor(types: readonly SqlType[]) { this.#layouts = types.map(layoutOf); }

  /** Appends the key at `pos` of `data` to the builder's first columns (the row is not ended). `view`: of `data`, where there is one. */
  append(builder: BatchBuilder, data: Uint8Array, pos: number, view?: DataView): void {
    const r = this.#reader;
    r.reset(data, pos, view);
    const row = builder.length;
    for (let c = 0; c < this.#layouts.length; c++) {
      const column = builder.columns[c];
      const layout = this.#layouts[c];
      if (layout === 'bool') {
        const v = r.u8();
        if (v === 2) column.appendNull(row);
        else column.appendBool(row, v === 1);
      } else if (layout === 'bytes') {
        const n = r.i32();
        if (n < 0) column.appendNull(row);
        else { column.appendSpan(row, r.data, r.pos, r.pos + n); r.pos += n; }
      } else if (r.view.getUint32(r.pos + 4, true) === NULL_HIGH && r.view.getUint32(r.pos, true) === NULL_LOW) {
        column.appendNull(row);
        r.pos += 8;
      } else if (isBigAhead(r)) column.appendBigInt(row, readBigInt(r));
      else column.appendNumber(row, r.f64());
    }
  }
}
