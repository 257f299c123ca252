/**
 * NumberSet: group key → set of numbers, each with a mask of bits that only grow: which of several DISTINCT aggregates (one a FILTER) have seen
 * the value. Exact for integers up to ±2^53 and infinities. Append-only.
 *
 * State, the two tables of a group table: the root of a group under the group key, its further buckets under (group key, bucket number). Linear
 * hashing (Litwin 1980): when a group has more than BUCKET_VALUES a bucket, the next bucket in turn is split, so that an addition touches one
 * bucket, whatever the group's size.
 *
 *   root     [i32 level][i32 next to split][i32 values][i32 mask of NULL], then bucket 0
 *   bucket   [i32 values][i32 1 = wide], values (i32, wide: f64) × capacity, masks (u8, more than 8 bits: i32) × capacity
 *
 * A bucket is an open-addressing table; mask 0 = free. Cost: 30–100 ns a value; 7 to 14 bytes a value.
 */
import type { KeyBatch } from '../keys.js';
import { copyBytes } from '../../types/encoding/bytes.js';
import type { GroupTable, Slot, StateTable } from '../state/table.js';

const ROOT_BYTES = 16;
const BLOCK_HEAD = 8;
const LEVEL = 0;
const NEXT = 1;
const TOTAL = 2;
const NULL_MASK = 3;
/** Named limit: values a bucket has on average before one is split. */
const BUCKET_VALUES = 64;
const START_CAPACITY = 4;
const GOLDEN = 0x9e3779b1;

function hashNumber(x: number): number {
  const high = Math.floor(x / 4294967296);
  let h = Math.imul((x | 0) ^ Math.imul(high | 0, 0x85ebca6b), 0xcc9e2d51);
  h = Math.imul(h ^ (h >>> 15), 0x1b873593);
  return h ^ (h >>> 13);
}

/** Number of the bucket that has the hash. */
function bucketOf(h: number, level: number, next: number): number {
  const b = h & ((1 << level) - 1);
  return b < next ? h & ((2 << level) - 1) : b;
}

export class NumberSet {
  readonly #tables: GroupTable;
  readonly #roots: StateTable;
  readonly #nodes: StateTable;
  readonly #maskBytes: number;
  readonly #nodeKey: { length: number; data: Uint8Array; start: Int32Array; end: Int32Array; hash: Int32Array; anyNull: null } =
    { length: 1, data: new Uint8Array(64), start: new Int32Array(1), end: new Int32Array(1), hash: new Int32Array(1), anyNull: null };
  // A bucket's content while it is made anew.
  #values = new Float64Array(256);
  #masks = new Int32Array(256);
  #taken = 0;

  /** `bits`: of the masks, at most 30. */
  constructor(tables: GroupTable, bits: number) {
    this.#tables = tables;
    this.#roots = tables.roots;
    this.#nodes = tables.nodes;
    this.#maskBytes = bits <= 8 ? 1 : 4;
  }

  /** Slot of the group's root, made when absent: stable while nothing is deleted or evicted. */
  root(keys: KeyBatch, g: number): Slot { return this.#roots.findOrInsert(keys, g, ROOT_BYTES + this.#blockBytes(START_CAPACITY, false)); }

  /** Adds the mask to value x of the group; gives the mask it had. */
  or(keys: KeyBatch, g: number, root: Slot, x: number, mask: number): number {
    const roots = this.#roots;
    const h = hashNumber(x);
    const i32 = roots.page(root).i32;
    const at = roots.offset(root) >>> 2;
    const bucket = bucketOf(h, i32[at + LEVEL], i32[at + NEXT]);
    const before = bucket === 0 ? this.#orInBlock(roots, root, ROOT_BYTES, x, h, mask) : this.#orInBlock(this.#nodes, this.#bucket(keys, g, bucket), 0, x, h, mask);
    if (before === 0) this.#added(keys, g, root);
    return before;
  }

  orNull(root: Slot, mask: number): number {
    const table = this.#roots;
    const before = table.page(root).i32[(table.offset(root) >>> 2) + NULL_MASK];
    if ((mask & ~before) === 0) return before;
    table.changed(root);
    table.page(root).i32[(table.offset(root) >>> 2) + NULL_MASK] = before | mask;
    return before;
  }

  clear(keys: KeyBatch, g: number): void {
    const root = this.#roots.find(keys, g);
    if (root < 0) return;
    for (let b = this.#buckets(root) - 1; b > 0; b--) {
      this.#setNodeKey(keys, g, b);
      const slot = this.#nodes.find(this.#nodeKey, 0);
      if (slot >= 0) this.#nodes.delete(slot);
    }
    this.#roots.delete(root);
  }

  /** Brings the groups' roots into memory. */
  prefetch(keys: KeyBatch): Promise<void> | null { return this.#roots.prefetch(keys); }

  /** The buckets of values x[k] in groups g[k], when some are not in memory; after `prefetch`. NaN: a value that is none. */
  prefetchValues(keys: KeyBatch, g: Int32Array, x: Float64Array, n: number): Promise<void> | null {
    if (this.#nodes.allResident) return null;
    const table = this.#roots;
    const parts: Uint8Array[] = [];
    const hashes: number[] = [];
    for (let k = 0; k < n; k++) {
      const root = table.find(keys, g[k]);
      if (root < 0 || x[k] !== x[k]) continue;
      const at = table.offset(root) >>> 2;
      const i32 = table.page(root).i32;
      const bucket = bucketOf(hashNumber(x[k]), i32[at + LEVEL], i32[at + NEXT]);
      if (bucket === 0) continue;
      this.#setNodeKey(keys, g[k], bucket);
      parts.push(this.#nodeKey.data.slice(0, this.#nodeKey.end[0]));
      hashes.push(this.#nodeKey.hash[0]);
    }
    const start = new Int32Array(parts.length);
    const end = new Int32Array(parts.length);
    let at = 0;
    parts.forEach((p, k) => { start[k] = at; end[k] = at += p.length; });
    return this.#nodes.prefetch({ length: parts.length, data: new Uint8Array(Buffer.concat(parts)), start, end, hash: Int32Array.from(hashes), anyNull: null });
  }

  // ---- buckets ----

  #blockBytes(capacity: number, wide: boolean): number { return BLOCK_HEAD + capacity * ((wide ? 8 : 4) + this.#maskBytes); }

  #buckets(root: Slot): number {
    const at = this.#roots.offset(root) >>> 2;
    const i32 = this.#roots.page(root).i32;
    return (1 << i32[at + LEVEL]) + i32[at + NEXT];
  }

  #setNodeKey(keys: KeyBatch, g: number, bucket: number): void {
    const k = this.#nodeKey;
    const n = keys.end[g] - keys.start[g];
    if (k.data.length < n + 4) k.data = new Uint8Array((n + 4) * 2);
    copyBytes(keys.data, keys.start[g], keys.end[g], k.data, 0);
    k.data[n] = bucket >>> 24; k.data[n + 1] = bucket >>> 16; k.data[n + 2] = bucket >>> 8; k.data[n + 3] = bucket;
    k.end[0] = n + 4;
    k.hash[0] = this.#tables.nodeHash(keys.hash[g], bucket);
  }

  #bucket(keys: KeyBatch, g: number, bucket: number): Slot {
    this.#setNodeKey(keys, g, bucket);
    return this.#nodes.findOrInsert(this.#nodeKey, 0, this.#blockBytes(START_CAPACITY, false));
  }

  /** ORs into a block that begins `skip` bytes into the value; grows it when it is full or too narrow. */
  #orInBlock(table: StateTable, slot: Slot, skip: number, x: number, h: number, mask: number): number {
    const narrowValue = (x | 0) === x;
    for (;;) {
      const page = table.page(slot);
      const base = table.offset(slot) + skip;
      const i32 = page.i32;
      const wide = i32[(base >>> 2) + 1] === 1;
      if (!wide && !narrowValue) { this.#rebuild(table, slot, skip, true, 1); continue; }
      const capacity = (table.length(slot) - skip - BLOCK_HEAD) / ((wide ? 8 : 4) + this.#maskBytes);
      const masks = base + BLOCK_HEAD + capacity * (wide ? 8 : 4);
      const p = this.#seek(page, base + BLOCK_HEAD, masks, capacity, wide, x, h);
      const before = this.#maskBytes === 1 ? page.bytes[masks + p] : i32[(masks >>> 2) + p];
      if ((mask & ~before) === 0) return before;
      if (before === 0 && (i32[base >>> 2] + 1) * 4 > capacity * 3) { this.#rebuild(table, slot, skip, wide, 2); continue; }
      table.changed(slot);
      if (before === 0) {
        i32[base >>> 2]++;
        if (wide) page.f64[((base + BLOCK_HEAD) >>> 3) + p] = x;
        else i32[((base + BLOCK_HEAD) >>> 2) + p] = x;
      }
      if (this.#maskBytes === 1) page.bytes[masks + p] = before | mask;
      else i32[(masks >>> 2) + p] = before | mask;
      return before;
    }
  }

  /** Place of x, or the free one where it belongs. There is always a free one. */
  #seek(page: { readonly bytes: Uint8Array; readonly i32: Int32Array; readonly f64: Float64Array }, values: number, masks: number, capacity: number, wide: boolean, x: number, h: number): number {
    let p = (Math.imul(h, GOLDEN) >>> 8) & (capacity - 1);
    const small = this.#maskBytes === 1;
    for (;;) {
      const free = small ? page.bytes[masks + p] === 0 : page.i32[(masks >>> 2) + p] === 0;
      if (free || (wide ? page.f64[(values >>> 3) + p] : page.i32[(values >>> 2) + p]) === x) return p;
      p = (p + 1) & (capacity - 1);
    }
  }

  /** The block with `times` its capacity and, perhaps, wide values. */
  #rebuild(table: StateTable, slot: Slot, skip: number, wide: boolean, times: number): void {
    this.#taken = 0;
    const capacity = this.#take(table, slot, skip);
    this.#fill(table, slot, skip, capacity * times, wide, 0, this.#taken);
  }

  /** Copies the block's content behind what was taken; gives its capacity. */
  #take(table: StateTable, slot: Slot, skip: number): number {
    const page = table.page(slot);
    const base = table.offset(slot) + skip;
    const wide = page.i32[(base >>> 2) + 1] === 1;
    const capacity = (table.length(slot) - skip - BLOCK_HEAD) / ((wide ? 8 : 4) + this.#maskBytes);
    if (this.#taken + capacity > this.#values.length) {
      const values = new Float64Array((this.#taken + capacity) * 2);
      const masks = new Int32Array(values.length);
      values.set(this.#values);
      masks.set(this.#masks);
      this.#values = values;
      this.#masks = masks;
    }
    const masks = base + BLOCK_HEAD + capacity * (wide ? 8 : 4);
    for (let p = 0; p < capacity; p++) {
      const mask = this.#maskBytes === 1 ? page.bytes[masks + p] : page.i32[(masks >>> 2) + p];
      if (mask === 0) continue;
      this.#values[this.#taken] = wide ? page.f64[((base + BLOCK_HEAD) >>> 3) + p] : page.i32[((base + BLOCK_HEAD) >>> 2) + p];
      this.#masks[this.#taken++] = mask;
    }
    return capacity;
  }

  /** Writes taken values [from, to) as the block's content. */
  #fill(table: StateTable, slot: Slot, skip: number, capacity: number, wide: boolean, from: number, to: number): void {
    const bytes = skip + this.#blockBytes(capacity, wide);
    if (table.length(slot) !== bytes) table.resize(slot, bytes);
    else table.changed(slot);
    const page = table.page(slot);
    const base = table.offset(slot) + skip;
    page.bytes.fill(0, base, base + bytes - skip);
    page.i32[base >>> 2] = to - from;
    page.i32[(base >>> 2) + 1] = wide ? 1 : 0;
    const values = base + BLOCK_HEAD;
    const masks = values + capacity * (wide ? 8 : 4);
    for (let k = from; k < to; k++) {
      const x = this.#values[k];
      const p = this.#seek(page, values, masks, capacity, wide, x, hashNumber(x));
      if (wide) page.f64[(values >>> 3) + p] = x;
      else page.i32[(values >>> 2) + p] = x;
      if (this.#maskBytes === 1) page.bytes[masks + p] = this.#masks[k];
      else page.i32[(masks >>> 2) + p] = this.#masks[k];
    }
  }

  /** Counts a new value of the group and splits the bucket whose turn it is when there are too many. */
  #added(keys: KeyBatch, g: number, root: Slot): void {
    const table = this.#roots;
    table.changed(root);
    let i32 = table.page(root).i32;
    let at = table.offset(root) >>> 2;
    const total = ++i32[at + TOTAL];
    const level = i32[at + LEVEL];
    const next = i32[at + NEXT];
    const buckets = (1 << level) + next;
    if (total <= buckets * BUCKET_VALUES) return;
    this.#split(keys, g, root, level, next, buckets);
    i32 = table.page(root).i32;
    at = table.offset(root) >>> 2;
    i32[at + NEXT] = next + 1 === 1 << level ? 0 : next + 1;
    if (next + 1 === 1 << level) i32[at + LEVEL] = level + 1;
  }

  /** Moves what belongs there from bucket `from` to bucket `to`, which is new. */
  #split(keys: KeyBatch, g: number, root: Slot, level: number, from: number, to: number): void {
    const target = this.#bucket(keys, g, to);
    const table = from === 0 ? this.#roots : this.#nodes;
    const source = from === 0 ? root : this.#bucket(keys, g, from);
    const skip = from === 0 ? ROOT_BYTES : 0;
    const wide = table.page(source).i32[((table.offset(source) + skip) >>> 2) + 1] === 1;
    this.#taken = 0;
    this.#take(table, source, skip);
    // Those that stay first.
    let stay = 0;
    for (let k = 0; k < this.#taken; k++) {
      if ((hashNumber(this.#values[k]) & ((2 << level) - 1)) !== from) continue;
      const x = this.#values[k];
      const m = this.#masks[k];
      this.#values[k] = this.#values[stay];
      this.#masks[k] = this.#masks[stay];
      this.#values[stay] = x;
      this.#masks[stay++] = m;
    }
    this.#fill(table, source, skip, roomFor(stay), wide, 0, stay);
    this.#fill(this.#nodes, target, 0, roomFor(this.#taken - stay), wide, stay, this.#taken);
  }
}

/** A power of two with room for some more than n values. */
function roomFor(n: number): number {
  let capacity = START_CAPACITY;
  while ((n + 1) * 4 > capacity * 3) capacity *= 2;
  return capacity;
}
