/**
 * PackedGroupTable: the GroupTable of table.ts. A group is a B+tree of packed nodes of at most about NODE_BYTES_MAX: small groups
 * are one value (the root is a leaf), so one look-up reads the whole group; large ones split by subkey order.
 * The root stands in the state table `tableId` under the group key, all other nodes in table `tableId + NODES_TABLE` under
 * (group key, node number): a change dirties a root and one leaf, whatever the group's size.
 *
 *   node     [f64 total][i32 level | next node number << 8][i32 offset of the last entry, 0 = unknown] entries…
 *   entry    varint subkey length, varint payload length, varint zigzag count, subkey, payload
 *
 * In an inner node an entry is a child: its subkey is a lower bound of the child's (the first child has none), its count the node
 * number. `total` counts entries ('ordered') or adds up counts ('bag'), of the whole group in the root, of the node elsewhere.
 * 'bag' is the same tree that only grows at its right edge. Nodes are searched front to back; an add past the last entry is found at once.
 *
 * Cost: 40–300 ns an add to a small group. Nodes of big groups beyond PREFETCH_NODES_MAX are read when met.
 */
import { assert } from '../../types/error.js';
import type { KeyBatch } from '../keys.js';
import { compareSpans, copyBytes, putVarint, varintBytes, zigzag } from '../../types/encoding/bytes.js';
import { HashStateTable, type StateTableOptions } from './statetable.js';
import type { GroupTable, GroupVisitor } from './table.js';

/** Named limit: bytes of a node before it splits (a single larger entry is kept whole). */
const NODE_BYTES_MAX = 4096;
/** Named limit: nodes of one group brought by prefetch. */
const PREFETCH_NODES_MAX = 256;
const HEADER = 16;
/** Added to the table id for the nodes below the roots. */
export const NODES_TABLE = 0x80000000;
const LEVELS_MAX = 16;

/** Hash of a node's key from its group's: same key group, spread otherwise. */
function nodeHash(groupHash: number, node: number, maxParallelism: number): number {
  let h = (groupHash >>> 0) ^ Math.imul(node, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  const mixed = (h ^ (h >>> 13)) >>> 0;
  const aligned = mixed - (mixed % maxParallelism) + ((groupHash >>> 0) % maxParallelism);
  return (aligned > 0xffffffff ? aligned - maxParallelism : aligned) | 0;
}

export class PackedGroupTable implements GroupTable {
  readonly tableId: number;
  readonly roots: HashStateTable;
  readonly nodes: HashStateTable;
  readonly #bag: boolean;
  readonly #maxParallelism: number;

  /** The node key being looked up, as a batch of one row. */
  readonly #nodeKey: { length: number; data: Uint8Array; start: Int32Array; end: Int32Array; hash: Int32Array; anyNull: null } =
    { length: 1, data: new Uint8Array(64), start: new Int32Array(1), end: new Int32Array(1), hash: new Int32Array(1), anyNull: null };
  /** The way down of the current add: slots by depth (0 = root), and the offset of the child's entry in each. */
  readonly #pathSlot = new Int32Array(LEVELS_MAX);
  readonly #pathEntry = new Int32Array(LEVELS_MAX);

  // The entry last read by #read; fields instead of an object.
  #subStart = 0;
  #payStart = 0;
  #end = 0;
  #count = 0;
  #countAt = 0;
  /** Set by #seek: whether the subkey was found. */
  #found = false;
  #offsets = new Int32Array(256);

  /** `tables`: the two tables, when a restore made them already. */
  constructor(options: StateTableOptions, order: 'bag' | 'ordered', tables?: { readonly roots: HashStateTable; readonly nodes: HashStateTable }) {
    this.tableId = options.tableId;
    this.#bag = order === 'bag';
    this.#maxParallelism = options.maxParallelism;
    this.roots = tables?.roots ?? new HashStateTable(options);
    this.nodes = tables?.nodes ?? new HashStateTable(nodesOptions(options));
  }

  nodeHash(groupHash: number, node: number): number { return nodeHash(groupHash, node, this.#maxParallelism); }

  // ---- contract ----

  prefetch(keys: KeyBatch): Promise<void> | null {
    const roots = this.roots.prefetch(keys);
    if (roots === null && this.nodes.allResident) return null;
    return this.#prefetchNodes(keys, roots);
  }

  add(keys: KeyBatch, i: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): number {
    const roots = this.roots;
    const size = HEADER + entryBytes(subEnd - subStart, payEnd - payStart, count);
    const root = roots.findOrInsert(keys, i, size, HEADER);
    if (roots.inserted) {
      // A new group in one piece: growing an empty one would move it.
      this.#first(root, subkey, subStart, subEnd, payload, payStart, payEnd, count);
      return count === 0 ? 0 : count;
    }
    const level = roots.page(root).i32[(roots.offset(root) >>> 2) + 2] & 255;
    this.#pathSlot[0] = root;
    if (level > 0) this.#descend(keys, i, level, subkey, subStart, subEnd);
    const before = this.#totalOf(level);
    const result = this.#addToLeaf(level, subkey, subStart, subEnd, payload, payStart, payEnd, count);
    const leaf = this.#table(level);
    const slot = this.#pathSlot[level];
    const change = this.#totalOf(level) - before;
    if (level > 0 && change !== 0) {
      roots.changed(root);
      roots.page(root).f64[roots.offset(root) >>> 3] += change;
    }
    if (leaf.length(slot) === HEADER) this.#removeEmpty(keys, i, level);
    else if (leaf.length(slot) > NODE_BYTES_MAX) this.#split(keys, i, level);
    return result;
  }

  entries(keys: KeyBatch, i: number): number {
    const root = this.roots.find(keys, i);
    return root < 0 ? 0 : this.roots.page(root).f64[this.roots.offset(root) >>> 3];
  }

  visit(keys: KeyBatch, i: number, descending: boolean, visit: GroupVisitor): void {
    const root = this.roots.find(keys, i);
    if (root >= 0) this.#visitNode(this.roots, root, keys, i, descending, visit);
  }

  payload(keys: KeyBatch, i: number, subkey: Uint8Array): Uint8Array | null {
    const root = this.roots.find(keys, i);
    if (root < 0) return null;
    const level = this.roots.page(root).i32[(this.roots.offset(root) >>> 2) + 2] & 255;
    this.#pathSlot[0] = root;
    if (level > 0) this.#descend(keys, i, level, subkey, 0, subkey.length);
    const t = this.#table(level);
    const slot = this.#pathSlot[level];
    this.#seek(t, slot, subkey, 0, subkey.length);
    return this.#found ? t.page(slot).bytes.slice(this.#payStart, this.#end) : null;
  }

  visitPrefix(keys: KeyBatch, i: number, prefix: Uint8Array, visit: GroupVisitor): void {
    const root = this.roots.find(keys, i);
    if (root >= 0) this.#visitPrefix(this.roots, root, keys, i, prefix, visit);
  }

  clear(keys: KeyBatch, i: number): void {
    const root = this.roots.find(keys, i);
    if (root < 0) return;
    this.#clearBelow(this.roots, root, keys, i);
    this.roots.delete(root);
  }

  // ---- prefetch ----

  async #prefetchNodes(keys: KeyBatch, roots: Promise<void> | null): Promise<void> {
    // Copied: the encoder's buffers may be reused while we wait.
    const copy: KeyBatch = { length: keys.length, data: keys.data.slice(), start: keys.start.slice(), end: keys.end.slice(), hash: keys.hash.slice(), anyNull: null };
    if (roots !== null) await roots;
    if (this.nodes.allResident) return;
    // Level by level: the children of all groups' nodes, in one bulk read each.
    let parents: { row: number; table: HashStateTable; slot: number }[] = [];
    const seen = new Set<number>();
    for (let row = 0; row < copy.length; row++) {
      const slot = this.roots.find(copy, row);
      if (slot < 0 || seen.has(slot)) continue;
      seen.add(slot);
      if ((this.roots.page(slot).i32[(this.roots.offset(slot) >>> 2) + 2] & 255) > 0) parents.push({ row, table: this.roots, slot });
    }
    while (parents.length > 0) {
      const children: { row: number; node: number }[] = [];
      for (const { row, table, slot } of parents) {
        const bytes = table.page(slot).bytes;
        const end = table.offset(slot) + table.length(slot);
        let taken = 0;
        for (let at = table.offset(slot) + HEADER; at < end && taken < PREFETCH_NODES_MAX; at = this.#end, taken++) {
          this.#read(bytes, at);
          children.push({ row, node: this.#count });
        }
      }
      const batch = this.#nodeKeys(copy, children);
      const pending = this.nodes.prefetch(batch);
      if (pending !== null) await pending;
      parents = [];
      for (let k = 0; k < children.length; k++) {
        const slot = this.nodes.find(batch, k);
        assert(slot >= 0, 'a node of a group is missing');
        if ((this.nodes.page(slot).i32[(this.nodes.offset(slot) >>> 2) + 2] & 255) > 0) parents.push({ row: children[k].row, table: this.nodes, slot });
      }
    }
  }

  #nodeKeys(keys: KeyBatch, nodes: readonly { row: number; node: number }[]): KeyBatch {
    let bytes = 0;
    for (const { row } of nodes) bytes += keys.end[row] - keys.start[row] + 4;
    const batch = { length: nodes.length, data: new Uint8Array(bytes), start: new Int32Array(nodes.length), end: new Int32Array(nodes.length), hash: new Int32Array(nodes.length), anyNull: null };
    let at = 0;
    for (let k = 0; k < nodes.length; k++) {
      const { row, node } = nodes[k];
      batch.start[k] = at;
      copyBytes(keys.data, keys.start[row], keys.end[row], batch.data, at);
      at += keys.end[row] - keys.start[row];
      batch.data[at++] = node >>> 24; batch.data[at++] = node >>> 16; batch.data[at++] = node >>> 8; batch.data[at++] = node;
      batch.end[k] = at;
      batch.hash[k] = nodeHash(keys.hash[row], node, this.#maxParallelism);
    }
    return batch;
  }

  // ---- way down ----

  #table(depth: number): HashStateTable { return depth === 0 ? this.roots : this.nodes; }

  #first(slot: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): void {
    const t = this.roots;
    if (count === 0) { t.delete(slot); return; }
    assert(count >= -0x40000000 && count < 0x40000000, 'count of a group entry out of range');
    const base = t.offset(slot);
    const page = t.page(slot);
    page.f64[base >>> 3] = this.#bag ? count : 1;
    page.i32[(base >>> 2) + 3] = HEADER;
    this.#write(page.bytes, base + HEADER, subkey, subStart, subEnd, payload, payStart, payEnd, count);
  }

  #write(bytes: Uint8Array, at: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): void {
    let p = putVarint(bytes, at, subEnd - subStart);
    p = putVarint(bytes, p, payEnd - payStart);
    p = putVarint(bytes, p, zigzag(count));
    copyBytes(subkey, subStart, subEnd, bytes, p);
    copyBytes(payload, payStart, payEnd, bytes, p + subEnd - subStart);
  }

  /** Total of the node at the path's end; only its difference is used. */
  #totalOf(depth: number): number {
    const t = this.#table(depth);
    const slot = this.#pathSlot[depth];
    return t.page(slot).f64[t.offset(slot) >>> 3];
  }

  #setNodeKey(keys: KeyBatch, i: number, node: number): void {
    const k = this.#nodeKey;
    const length = keys.end[i] - keys.start[i];
    if (k.data.length < length + 4) k.data = new Uint8Array((length + 4) * 2);
    copyBytes(keys.data, keys.start[i], keys.end[i], k.data, 0);
    k.data[length] = node >>> 24; k.data[length + 1] = node >>> 16; k.data[length + 2] = node >>> 8; k.data[length + 3] = node;
    k.end[0] = length + 4;
    k.hash[0] = nodeHash(keys.hash[i], node, this.#maxParallelism);
  }

  #findNode(keys: KeyBatch, i: number, node: number): number {
    this.#setNodeKey(keys, i, node);
    const slot = this.nodes.find(this.#nodeKey, 0);
    assert(slot >= 0, 'a node of a group is missing');
    return slot;
  }

  #descend(keys: KeyBatch, i: number, level: number, subkey: Uint8Array, subStart: number, subEnd: number): void {
    for (let depth = 0; depth < level; depth++) {
      const t = this.#table(depth);
      const slot = this.#pathSlot[depth];
      const bytes = t.page(slot).bytes;
      const start = t.offset(slot);
      const end = start + t.length(slot);
      let child: number;
      const last = start + this.#lastOffset(t, slot);
      this.#read(bytes, last);
      if (this.#bag || compareSpans(bytes, this.#subStart, this.#payStart, subkey, subStart, subEnd) <= 0) {
        child = last;
      } else {
        // The last child whose lower bound is not above the subkey; the first child has no bound.
        child = start + HEADER;
        this.#read(bytes, child);
        for (let at = this.#end; at < end; at = this.#end) {
          this.#read(bytes, at);
          if (compareSpans(bytes, this.#subStart, this.#payStart, subkey, subStart, subEnd) > 0) break;
          child = at;
        }
      }
      this.#read(bytes, child);
      this.#pathEntry[depth] = child - start;
      this.#pathSlot[depth + 1] = this.#findNode(keys, i, this.#count);
    }
  }

  // ---- entries ----

  #read(bytes: Uint8Array, at: number): void {
    let sub = bytes[at++];
    if (sub >= 128) {
      sub &= 127;
      let shift = 7;
      for (;;) { const b = bytes[at++]; sub |= (b & 127) << shift; if (b < 128) break; shift += 7; }
    }
    let pay = bytes[at++];
    if (pay >= 128) {
      pay &= 127;
      let shift = 7;
      for (;;) { const b = bytes[at++]; pay |= (b & 127) << shift; if (b < 128) break; shift += 7; }
    }
    this.#countAt = at;
    let zigzag = bytes[at++];
    if (zigzag >= 128) {
      zigzag &= 127;
      let shift = 7;
      for (;;) { const b = bytes[at++]; zigzag |= (b & 127) << shift; if (b < 128) break; shift += 7; }
    }
    this.#count = (zigzag >>> 1) ^ -(zigzag & 1);
    this.#subStart = at;
    this.#payStart = at + sub;
    this.#end = at + sub + pay;
  }

  #lastOffset(t: HashStateTable, slot: number): number {
    const i32 = t.page(slot).i32;
    const start = t.offset(slot);
    const known = i32[(start >>> 2) + 3];
    if (known !== 0) return known;
    const bytes = t.page(slot).bytes;
    const end = start + t.length(slot);
    let last = start + HEADER;
    for (let at = last; at < end; at = this.#end) {
      last = at;
      this.#read(bytes, at);
    }
    return last - start;
  }

  /** Offset in the node of the entry equal to the subkey (#found, and the entry is read), or of where it belongs. */
  #seek(t: HashStateTable, slot: number, subkey: Uint8Array, subStart: number, subEnd: number): number {
    const bytes = t.page(slot).bytes;
    const start = t.offset(slot);
    const end = start + t.length(slot);
    this.#found = false;
    if (this.#bag || end === start + HEADER) return end - start;
    const known = t.page(slot).i32[(start >>> 2) + 3];
    if (known !== 0) {
      this.#read(bytes, start + known);
      const c = compareSpans(bytes, this.#subStart, this.#payStart, subkey, subStart, subEnd);
      if (c < 0) return end - start;
      if (c === 0) {
        this.#found = true;
        return known;
      }
    }
    for (let at = start + HEADER; at < end; at = this.#end) {
      this.#read(bytes, at);
      const c = compareSpans(bytes, this.#subStart, this.#payStart, subkey, subStart, subEnd);
      if (c < 0) continue;
      this.#found = c === 0;
      return at - start;
    }
    return end - start;
  }

  #addToLeaf(depth: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): number {
    const t = this.#table(depth);
    const slot = this.#pathSlot[depth];
    const at = this.#seek(t, slot, subkey, subStart, subEnd);
    if (!this.#found) {
      if (count === 0) return 0;
      assert(count >= -0x40000000 && count < 0x40000000, 'count of a group entry out of range');
      this.#insert(t, slot, at, subkey, subStart, subEnd, payload, payStart, payEnd, count);
      const start = t.offset(slot);
      t.page(slot).f64[start >>> 3] += this.#bag ? count : 1;
      return count;
    }
    const sum = this.#count + count;
    assert(sum >= -0x40000000 && sum < 0x40000000, 'count of a group entry out of range');
    const start = t.offset(slot);
    if (sum === 0) {
      this.#cut(t, slot, at, this.#end - start - at);
      t.page(slot).f64[t.offset(slot) >>> 3]--;
      return 0;
    }
    const grow = varintBytes(zigzag(sum)) - (this.#subStart - this.#countAt);
    const countAt = this.#countAt - start;
    if (grow === 0) t.changed(slot);
    else {
      const tail = this.#subStart - start;
      const length = t.length(slot);
      if (grow > 0) t.resize(slot, length + grow);
      else t.changed(slot);
      const base = t.offset(slot);
      t.page(slot).bytes.copyWithin(base + tail + grow, base + tail, base + length);
      if (grow < 0) t.resize(slot, length + grow);
      this.#shiftLast(t, slot, at, grow);
    }
    putVarint(t.page(slot).bytes, t.offset(slot) + countAt, zigzag(sum));
    return sum;
  }

  /** After the entry at `at` changed its length: the last entry's offset moves along when it is behind. */
  #shiftLast(t: HashStateTable, slot: number, at: number, by: number): void {
    const word = (t.offset(slot) >>> 2) + 3;
    const i32 = t.page(slot).i32;
    if (i32[word] > at) i32[word] += by;
  }

  #insert(t: HashStateTable, slot: number, at: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): void {
    const need = entryBytes(subEnd - subStart, payEnd - payStart, count);
    const length = t.length(slot);
    t.resize(slot, length + need);
    const base = t.offset(slot);
    const page = t.page(slot);
    const bytes = page.bytes;
    const word = (base >>> 2) + 3;
    if (at < length) {
      bytes.copyWithin(base + at + need, base + at, base + length);
      if (page.i32[word] !== 0) page.i32[word] += need;
    } else page.i32[word] = at;
    this.#write(bytes, base + at, subkey, subStart, subEnd, payload, payStart, payEnd, count);
  }

  /** Removes `size` bytes at `at`. */
  #cut(t: HashStateTable, slot: number, at: number, size: number): void {
    t.changed(slot);
    const base = t.offset(slot);
    const length = t.length(slot);
    const page = t.page(slot);
    page.bytes.copyWithin(base + at, base + at + size, base + length);
    const word = (base >>> 2) + 3;
    const last = page.i32[word];
    page.i32[word] = last === at ? 0 : last > at ? last - size : last;
    t.resize(slot, length - size);
  }

  // ---- splitting and emptying ----

  #newNode(keys: KeyBatch, i: number, level: number, bytes: Uint8Array, start: number, end: number): number {
    const root = this.#pathSlot[0];
    const roots = this.roots;
    roots.changed(root);
    const word = (roots.offset(root) >>> 2) + 2;
    const i32 = roots.page(root).i32;
    const number = i32[word] >>> 8;
    assert(number < 0xffffff, 'too many nodes in a group');
    i32[word] = (i32[word] & 255) | ((number + 1) << 8);
    this.#setNodeKey(keys, i, number);
    const slot = this.nodes.findOrInsert(this.#nodeKey, 0, HEADER + end - start, HEADER);
    const page = this.nodes.page(slot);
    const base = this.nodes.offset(slot);
    page.bytes.set(bytes.subarray(start, end), base + HEADER);
    page.i32[(base >>> 2) + 2] = level;
    this.#recount(this.nodes, slot);
    return number;
  }

  /** Sets a node's total and last offset from its entries. */
  #recount(t: HashStateTable, slot: number): void {
    const page = t.page(slot);
    const base = t.offset(slot);
    const end = base + t.length(slot);
    let total = 0;
    let last = 0;
    for (let at = base + HEADER; at < end; at = this.#end) {
      this.#read(page.bytes, at);
      total += this.#bag ? this.#count : 1;
      last = at - base;
    }
    page.f64[base >>> 3] = total;
    page.i32[(base >>> 2) + 3] = last;
  }

  /** Splits the node at `depth` of the path, and those above that get too large by it. */
  #split(keys: KeyBatch, i: number, depth: number): void {
    const t = this.#table(depth);
    const slot = this.#pathSlot[depth];
    const start = t.offset(slot);
    const length = t.length(slot);
    const cut = this.#splitPoint(t, slot);
    if (cut === 0) return;
    // A copy: creating nodes may move records.
    const old = t.page(slot).bytes.slice(start, start + length);
    const level = t.page(slot).i32[(start >>> 2) + 2] & 255;
    this.#read(old, cut);
    const separator = old.slice(this.#subStart, this.#payStart);
    const right = this.#newNode(keys, i, level, old, cut, length);
    const empty = new Uint8Array(0);
    if (depth === 0) {
      const left = this.#newNode(keys, i, level, old, HEADER, cut);
      const root = this.#pathSlot[0];
      this.roots.resize(root, HEADER);
      const i32 = this.roots.page(root).i32;
      const word = (this.roots.offset(root) >>> 2) + 2;
      assert(level + 2 < LEVELS_MAX, 'a group is too deep');
      i32[word] = (i32[word] & ~255) | (level + 1);
      i32[word + 1] = 0;
      this.#insert(this.roots, root, HEADER, empty, 0, 0, empty, 0, 0, left);
      this.#insert(this.roots, root, this.roots.length(root), separator, 0, separator.length, empty, 0, 0, right);
      return;
    }
    t.resize(slot, cut);
    this.#recount(t, slot);
    const parent = this.#table(depth - 1);
    const parentSlot = this.#pathSlot[depth - 1];
    this.#read(parent.page(parentSlot).bytes, parent.offset(parentSlot) + this.#pathEntry[depth - 1]);
    this.#insert(parent, parentSlot, this.#end - parent.offset(parentSlot), separator, 0, separator.length, empty, 0, 0, right);
    if (parent.length(parentSlot) > NODE_BYTES_MAX) this.#split(keys, i, depth - 1);
  }

  /** Offset of the first entry of the right half; 0 = one entry only. A bag only grows at its end: there the left half stays full. */
  #splitPoint(t: HashStateTable, slot: number): number {
    const bytes = t.page(slot).bytes;
    const start = t.offset(slot);
    const length = t.length(slot);
    const last = this.#lastOffset(t, slot);
    if (last === HEADER) return 0;
    if (this.#bag) return last;
    let at = HEADER;
    while (at < length >>> 1 && at < last) {
      this.#read(bytes, start + at);
      at = this.#end - start;
    }
    return at === HEADER ? last : at;
  }

  /** The leaf at `depth` has no entries: it goes, and every node above that gets empty. */
  #removeEmpty(keys: KeyBatch, i: number, depth: number): void {
    if (depth === 0) {
      this.roots.delete(this.#pathSlot[0]);
      return;
    }
    this.nodes.delete(this.#pathSlot[depth]);
    const parent = this.#table(depth - 1);
    const slot = this.#pathSlot[depth - 1];
    const at = this.#pathEntry[depth - 1];
    this.#read(parent.page(slot).bytes, parent.offset(slot) + at);
    this.#cut(parent, slot, at, this.#end - parent.offset(slot) - at);
    if (parent.length(slot) === HEADER) this.#removeEmpty(keys, i, depth - 1);
  }

  // ---- walks ----

  #visitNode(t: HashStateTable, slot: number, keys: KeyBatch, i: number, descending: boolean, visit: GroupVisitor): boolean {
    const bytes = t.page(slot).bytes;
    const start = t.offset(slot);
    const end = start + t.length(slot);
    const leaf = (t.page(slot).i32[(start >>> 2) + 2] & 255) === 0;
    if (leaf && !descending) {
      for (let at = start + HEADER; at < end;) {
        this.#read(bytes, at);
        at = this.#end;
        if (!visit(bytes, this.#subStart, this.#payStart, this.#payStart, at, this.#count)) return false;
      }
      return true;
    }
    const offsets = this.#entryOffsets(bytes, start + HEADER, end, leaf);
    const n = offsets.length;
    for (let k = 0; k < n; k++) {
      this.#read(bytes, offsets[descending ? n - 1 - k : k]);
      const go = leaf
        ? visit(bytes, this.#subStart, this.#payStart, this.#payStart, this.#end, this.#count)
        : this.#visitNode(this.nodes, this.#findNode(keys, i, this.#count), keys, i, descending, visit);
      if (!go) return false;
    }
    return true;
  }

  /** False: no later entry has the prefix. */
  #visitPrefix(t: HashStateTable, slot: number, keys: KeyBatch, i: number, prefix: Uint8Array, visit: GroupVisitor): boolean {
    const { bytes } = t.page(slot);
    const start = t.offset(slot);
    const leaf = (t.page(slot).i32[(start >>> 2) + 2] & 255) === 0;
    const offsets = this.#entryOffsets(bytes, start + HEADER, start + t.length(slot), false);
    for (let k = 0; k < offsets.length; k++) {
      if (!leaf && k + 1 < offsets.length) {
        // A child's subkeys lie below the next one's bound.
        this.#read(bytes, offsets[k + 1]);
        if (compareSpans(bytes, this.#subStart, this.#payStart, prefix, 0, prefix.length) <= 0) continue;
      }
      this.#read(bytes, offsets[k]);
      const head = compareSpans(bytes, this.#subStart, Math.min(this.#payStart, this.#subStart + prefix.length), prefix, 0, prefix.length);
      // The first child has no bound.
      if (head > 0 && (leaf || k > 0)) return false;
      if (leaf ? head === 0 && !visit(bytes, this.#subStart, this.#payStart, this.#payStart, this.#end, this.#count)
        : !this.#visitPrefix(this.nodes, this.#findNode(keys, i, this.#count), keys, i, prefix, visit)) return false;
    }
    return true;
  }

  #entryOffsets(bytes: Uint8Array, from: number, end: number, shared: boolean): Int32Array {
    let n = 0;
    for (let at = from; at < end; at = this.#end) {
      if (n === this.#offsets.length) {
        const larger = new Int32Array(n * 2);
        larger.set(this.#offsets);
        this.#offsets = larger;
      }
      this.#offsets[n++] = at;
      this.#read(bytes, at);
    }
    return shared ? this.#offsets.subarray(0, n) : this.#offsets.slice(0, n);
  }

  #clearBelow(t: HashStateTable, slot: number, keys: KeyBatch, i: number): void {
    const start = t.offset(slot);
    if ((t.page(slot).i32[(start >>> 2) + 2] & 255) === 0) return;
    const bytes = t.page(slot).bytes;
    for (const at of this.#entryOffsets(bytes, start + HEADER, start + t.length(slot), false)) {
      this.#read(bytes, at);
      const child = this.#findNode(keys, i, this.#count);
      this.#clearBelow(this.nodes, child, keys, i);
      this.nodes.delete(child);
    }
  }
}

/** Options of the table of a group table's nodes. */
export function nodesOptions(options: StateTableOptions): StateTableOptions {
  const { hash, maxParallelism } = options;
  return {
    ...options,
    tableId: options.tableId + NODES_TABLE,
    hash: (data, start, end) => nodeHash(hash(data, start, end - 4), (data[end - 4] << 24) | (data[end - 3] << 16) | (data[end - 2] << 8) | data[end - 1], maxParallelism),
  };
}

/** Bytes of an entry in its node. */
function entryBytes(subkey: number, payload: number, count: number): number {
  return varintBytes(subkey) + varintBytes(payload) + varintBytes(zigzag(count)) + subkey + payload;
}
