/**
 * Z-set consolidation: changes of an epoch with equal rows merged. By key: at most one −old and one +new a key, next to each other in that
 * order, and nothing where they are equal; keyless: one row with its net weight. What sinks, subscriptions and views of an epoch see.
 *
 * Operators that emit at barriers mostly give changes in this form already: then the batches go on as they are, and only keys were looked at (a quarter
 * of the cost). Otherwise all rows' bytes (and key bytes) go into one block; an open-addressing table over the hashes of the keys finds a key's first row, a chain
 * links the distinct rows of a key (nearly always one or two). Memory: the rows' bytes once, 20 bytes a row of index. No objects, no strings.
 */
import { hashBytes } from '../types/encoding/hash.js';
import type { SqlType } from '../types/sqltype.js';
import type { Batch } from './batch.js';
import { BatchBuilder } from './batchbuilder.js';
import { keyEncoder, rowEncoder } from './keys.js';
import { rowsEqual } from './rowsequal.js';

/** Bytes of many batches' spans behind each other. */
class Spans {
  data: Uint8Array = new Uint8Array(0);
  readonly start: Int32Array;
  readonly end: Int32Array;
  #used = 0;
  constructor(rows: number) {
    this.start = new Int32Array(rows);
    this.end = new Int32Array(rows);
  }
  /** Takes over `n` contiguous spans as rows from `at`. */
  add(at: number, n: number, data: Uint8Array, start: Int32Array, end: Int32Array): void {
    if (n === 0) return;
    const from = start[0];
    const bytes = end[n - 1] - from;
    if (this.#used + bytes > this.data.length) {
      const grown = new Uint8Array(Math.max(this.#used + bytes, this.data.length * 2));
      grown.set(this.data.subarray(0, this.#used));
      this.data = grown;
    }
    this.data.set(data.subarray(from, from + bytes), this.#used);
    const shift = this.#used - from;
    for (let i = 0; i < n; i++) { this.start[at + i] = start[i] + shift; this.end[at + i] = end[i] + shift; }
    this.#used += bytes;
  }
  equal(a: number, b: number): boolean {
    const { data, start, end } = this;
    let p = start[a];
    let q = start[b];
    const stop = end[a];
    if (stop - p !== end[b] - q) return false;
    while (p < stop) if (data[p++] !== data[q++]) return false;
    return true;
  }
}

/**
 * The net changes of the batches, keys in order of first appearance. `key` null: keyless. Batches that are all inserts with distinct rows
 * come back as they are only when `appendOnly` says so.
 */
export function consolidate(types: readonly SqlType[], batches: readonly Batch[], key: readonly number[] | null, appendOnly: boolean): Batch[] {
  if (appendOnly && batches.every(b => b.weights === null)) return [...batches];
  let total = 0;
  for (const b of batches) total += b.length;
  const rows = new Spans(total);
  const keys = key === null ? rows : new Spans(total);
  const hash = new Int32Array(total);
  const weight = new Int32Array(total);
  encodeKeys(types, batches, key, keys, hash, weight);
  if (key !== null) {
    if (isNet(types, batches, keys, hash, weight)) return batches.filter(b => b.length > 0);
    encodeRows(types, batches, rows);
  }
  const next = new Int32Array(total).fill(-1);
  const firsts = linkRows(rows, keys, hash, weight, next, total);
  return emitNet(types, batches, firsts, next, weight);
}

/** Keys (the rows themselves when keyless), their hashes, and weights. */
function encodeKeys(types: readonly SqlType[], batches: readonly Batch[], key: readonly number[] | null, keys: Spans, hash: Int32Array, weight: Int32Array): void {
  const encode = key === null ? null : keyEncoder(types, key);
  let at = 0;
  for (const b of batches) {
    if (encode === null) continue;
    const k = encode(b);
    keys.add(at, b.length, k.data, k.start, k.end);
    hash.set(k.hash.subarray(0, b.length), at);
    at += b.length;
  }
  if (encode === null) {
    encodeRows(types, batches, keys);
    for (let g = 0; g < hash.length; g++) hash[g] = hashBytes(keys.data, keys.start[g], keys.end[g]);
  }
  at = 0;
  for (const b of batches) {
    if (b.weights === null) weight.fill(1, at, at + b.length);
    else weight.set(b.weights.subarray(0, b.length), at);
    at += b.length;
  }
}

function encodeRows(types: readonly SqlType[], batches: readonly Batch[], rows: Spans): void {
  const encode = rowEncoder(types);
  let at = 0;
  for (const b of batches) {
    const bytes = encode(b);
    rows.add(at, b.length, bytes.data, bytes.start, bytes.end);
    at += b.length;
  }
}

/** Whether every key has one row, or two different ones next to each other, first the one taken back. */
function isNet(types: readonly SqlType[], batches: readonly Batch[], keys: Spans, hash: Int32Array, weight: Int32Array): boolean {
  const total = hash.length;
  let capacity = 16;
  while (capacity < total * 2) capacity *= 2;
  const mask = capacity - 1;
  const slots = new Int32Array(capacity);
  let g = 0;
  for (const b of batches) {
    for (let i = 0; i < b.length; i++, g++) {
      if (weight[g] === 0) return false;
      let s = hash[g] & mask;
      let first = slots[s] - 1;
      while (first >= 0 && !(hash[first] === hash[g] && keys.equal(first, g))) {
        s = (s + 1) & mask;
        first = slots[s] - 1;
      }
      if (first < 0) slots[s] = g + 1;
      else if (i === 0 || first !== g - 1 || weight[first] > 0 || weight[g] < 0 || rowsEqual(types, b, i - 1, b, i)) return false;
    }
  }
  return true;
}

/** Sums weights into the first of equal rows and chains the distinct rows of a key; gives the first row of each key. */
function linkRows(rows: Spans, keys: Spans, hash: Int32Array, weight: Int32Array, next: Int32Array, total: number): number[] {
  let capacity = 16;
  while (capacity < total * 2) capacity *= 2;
  const mask = capacity - 1;
  const slots = new Int32Array(capacity);
  const firsts: number[] = [];
  for (let g = 0; g < total; g++) {
    let s = hash[g] & mask;
    let first = slots[s] - 1;
    while (first >= 0 && !(hash[first] === hash[g] && keys.equal(first, g))) {
      s = (s + 1) & mask;
      first = slots[s] - 1;
    }
    if (first < 0) {
      slots[s] = g + 1;
      firsts.push(g);
      continue;
    }
    let r = first;
    while (!rows.equal(r, g)) {
      if (next[r] < 0) { next[r] = g; r = g; break; }
      r = next[r];
    }
    if (r !== g) weight[r] += weight[g];
  }
  return firsts;
}

function emitNet(types: readonly SqlType[], batches: readonly Batch[], firsts: readonly number[], next: Int32Array, weight: Int32Array): Batch[] {
  const batchOf = new Int32Array(weight.length);
  const rowOf = new Int32Array(weight.length);
  let at = 0;
  for (let b = 0; b < batches.length; b++) for (let i = 0; i < batches[b].length; i++) { batchOf[at] = b; rowOf[at++] = i; }
  const builder = new BatchBuilder(types);
  for (const first of firsts) {
    // Deletes of a key before its inserts.
    if (next[first] >= 0) for (let r = first; r >= 0; r = next[r]) if (weight[r] < 0) builder.appendRow(batches[batchOf[r]], rowOf[r], weight[r]);
    for (let r = first; r >= 0; r = next[r]) if (weight[r] > 0 || (weight[r] < 0 && next[first] < 0)) builder.appendRow(batches[batchOf[r]], rowOf[r], weight[r]);
  }
  return builder.length === 0 ? [] : [builder.finish()];
}
