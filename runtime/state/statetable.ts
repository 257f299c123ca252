/**
 * HashStateTable: the StateTable of one task (see table.ts for the contract).
 *
 * Memory: an open-addressing index (linear probing, backward-shift deletion; pairs of hash and slot + 1) over slots of eight 32-bit
 * words, over records in the task's pages. A record is the key, padded to 8 bytes, then the value: `[key | pad | value | slack]`.
 *
 * Changes: checkpoint barriers cut time into intervals 1, 2, …; a slot knows the interval of its last change, and every interval has
 * the list of slots first changed in it. Changed since C = the slots of the lists after C whose interval equals their list's.
 * A deleted entry that a checkpoint or LevelDB may know stays as a tombstone until a checkpoint that holds it is applied;
 * one that never left memory goes at once.
 *
 * Cold entries: what is not in memory is looked up in the ColdStore. `cold` counts them exactly; a Bloom filter keeps keys that never
 * existed from costing I/O. A key found absent leaves a clean tombstone ("known absent") until eviction.
 * Eviction is CLOCK over clean slots, and only happens in `evict` and `spill`, which the task calls between batches.
 *
 * Cost: find 20–60 ns while the index is in cache; 32 bytes a slot and 16 to 32 a hash index entry beside the record.
 */
import { copyBytes } from '../../types/encoding/bytes.js';
import { SqlError } from '../../types/error.js';
import type { KeyBatch } from '../keys.js';
import { Bloom } from './bloom.js';
import { PageAllocator, roundedBytes } from './pages.js';
import { TableReaderState } from './tablereader.js';
import type { Page, Slot, SnapshotReader, StateTable } from './table.js';

// Words of a slot.
const HASH = 0; // free slot: next free slot
const PAGE = 1;
const RECORD = 2;
const KEY_LENGTH = 3;
const VALUE_LENGTH = 4;
const CAPACITY = 5;
const CHANGED = 6;
const FLAGS = 7;
const WORDS_SHIFT = 3;

// Flags of a slot.
const LIVE = 1;
const TOMBSTONE = 2;
const REFERENCED = 4;
/** A checkpoint file or LevelDB may hold the key: deleting it needs a tombstone. */
const PERSISTED = 8;

/** Memory a slot takes beside its record: its words and its share of the index. */
export const SLOT_BYTES = 32 + 24;
/** Named limit: keys of one getMany. */
const PREFETCH_KEYS_MAX = 1024;

/** An entry outside memory: `value` null = deleted (spilled tombstone); `dirty` = spilled, not in any applied checkpoint. */
export interface ColdValue { readonly value: Uint8Array | null; readonly dirty: boolean }

/** Where entries that are not in memory are: LevelDB, behind the task's key layout. */
export interface ColdStore {
  getSync(tableId: number, keyGroup: number, key: Uint8Array): ColdValue | undefined;
  getMany(tableId: number, keyGroups: readonly number[], keys: readonly Uint8Array[]): Promise<(ColdValue | undefined)[]>;
  /** Entries outside memory as of now, for a reader: spilled ones win over applied ones; `isResident` filters out what memory answers for. */
  openScan(tableId: number, isResident: (key: Uint8Array) => boolean): ColdScan;
}

export interface ColdScan {
  /** Up to about rowsMax live entries; empty = the end. */
  next(rowsMax: number): Promise<{ key: Uint8Array; value: Uint8Array }[]>;
  close(): Promise<void>;
}

export interface StateTableOptions {
  readonly tableId: number;
  readonly maxParallelism: number;
  /** Key groups of the task: entries stand in these, also where the task's input was not partitioned by this table's key. Absent: all. */
  readonly keyGroupFirst?: number;
  readonly keyGroupLast?: number;
  readonly pages: PageAllocator;
  /** Hash of key bytes, the same as in KeyBatch.hash. */
  readonly hash: (data: Uint8Array, start: number, end: number) => number;
  /** False in batch queries: no dirty lists, no tombstones. */
  readonly tracking: boolean;
  /** null: everything stays in memory. */
  readonly cold: ColdStore | null;
  /** Counts a cold key that nobody prefetched. */
  readonly onSyncRead?: () => void;
}

/** Where frozen or spilled entries are written: value span with valueStart < 0 = tombstone. */
export interface EntrySink {
  entry(keyGroup: number, data: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void;
}

/** A walk over the entries that a checkpoint holds, as they were when it began. */
export interface FreezeWalk {
  /** Entries changed after this interval … */
  readonly since: number;
  /** … up to this one. */
  readonly until: number;
  /** null: all live entries, up to slot `limit`. */
  readonly lists: readonly DirtyList[] | null;
  readonly limit: number;
  /** Where entries go that are about to change. */
  readonly kept: EntrySink;
  list: number;
  at: number;
}

interface DirtyList { readonly interval: number; slots: Int32Array; count: number; bytes: number; /** Some of its entries were deleted. */ tombstones: boolean }

export class HashStateTable implements StateTable {
  readonly tableId: number;
  inserted = false;
  /** Cold keys read with getSync. */
  syncReads = 0;

  readonly #options: StateTableOptions;
  readonly #pages: PageAllocator;
  readonly #tracking: boolean;
  readonly #cold: ColdStore | null;

  #index = new Int32Array(64);
  #indexMask = 31;
  #indexShift = 27;
  #entries = 0; // index entries: live and tombstones

  #words = new Int32Array(32 << WORDS_SHIFT);
  #slotCount = 0; // slots ever used; all free ones below it are in the free list
  #freeSlot = -1;
  #recordBytes = 0;
  #clockHand = 0;

  #liveResident = 0;
  #coldLive = 0;
  #coldTombstones = 0;
  readonly #filter = new Bloom();

  #interval: number;
  #cleanInterval = 0;
  #lists: DirtyList[] = [];
  #list: DirtyList;
  #readers: TableReaderState[] | null = null;
  #walk: FreezeWalk | null = null;

  constructor(options: StateTableOptions, interval = 1) {
    this.tableId = options.tableId;
    this.#options = options;
    this.#pages = options.pages;
    this.#tracking = options.tracking;
    this.#cold = options.cold;
    this.#interval = options.tracking ? interval : 0;
    this.#list = { interval: this.#interval, slots: new Int32Array(options.tracking ? 64 : 0), count: 0, bytes: 0, tombstones: false };
    this.#lists.push(this.#list);
  }

  get size(): number { return this.#liveResident + this.#coldLive; }
  get residentEntries(): number { return this.#liveResident; }
  get allResident(): boolean { return this.#coldLive === 0 && this.#coldTombstones === 0; }
  /** Slots' and index' memory; records are counted by the PageAllocator. */
  get overheadBytes(): number { return this.#words.byteLength + this.#index.byteLength + this.#filter.bytes; }
  /** Memory of this table: records, slots and index. */
  get memoryBytes(): number { return this.#recordBytes + this.overheadBytes; }
  get recordBytes(): number { return this.#recordBytes; }
  get slotsInUse(): number { return this.#entries; }
  /** Bytes changed since the last applied checkpoint (upper estimate). */
  get dirtyBytes(): number {
    let sum = 0;
    for (const list of this.#lists) sum += list.bytes;
    return sum;
  }
  get readersOpen(): number { return this.#readers === null ? 0 : this.#readers.length; }

  /** A keyless view's rows come as they were partitioned before it, if at all; outside the own groups they would meet another task's entries. */
  keyGroup(hash: number): number {
    const { maxParallelism, keyGroupFirst: first = 0, keyGroupLast: last = maxParallelism - 1 } = this.#options;
    const group = (hash >>> 0) % maxParallelism;
    return group >= first && group <= last ? group : first + group % (last - first + 1);
  }

  // ---- reading and writing one entry ----

  find(keys: KeyBatch, i: number): Slot {
    const slot = this.#lookup(keys.data, keys.start[i], keys.end[i], keys.hash[i]);
    if (slot >= 0) {
      const f = (slot << WORDS_SHIFT) + FLAGS;
      const flags = this.#words[f];
      if ((flags & REFERENCED) === 0) this.#words[f] = flags | REFERENCED;
      return (flags & TOMBSTONE) === 0 ? slot : -1;
    }
    if (this.allResident) return -1;
    const loaded = this.#fault(keys.data, keys.start[i], keys.end[i], keys.hash[i]);
    return loaded >= 0 && (this.#words[(loaded << WORDS_SHIFT) + FLAGS] & TOMBSTONE) === 0 ? loaded : -1;
  }

  /** `zeroed`: how many of a new value's bytes are cleared, when the caller writes the others itself. */
  findOrInsert(keys: KeyBatch, i: number, bytes: number, zeroed = bytes): Slot {
    const data = keys.data;
    const start = keys.start[i];
    const end = keys.end[i];
    const hash = keys.hash[i];
    let slot = this.#lookup(data, start, end, hash);
    if (slot < 0 && !this.allResident) slot = this.#fault(data, start, end, hash);
    if (slot >= 0) {
      const w = slot << WORDS_SHIFT;
      const flags = this.#words[w + FLAGS];
      if ((flags & TOMBSTONE) === 0) {
        this.inserted = false;
        if ((flags & REFERENCED) === 0) this.#words[w + FLAGS] = flags | REFERENCED;
        return slot;
      }
      this.changed(slot);
      this.#words[w + FLAGS] = (flags & ~TOMBSTONE) | REFERENCED;
      this.#liveResident++;
      this.#setLength(slot, w, bytes, 0);
      this.inserted = true;
      return slot;
    }
    slot = this.#create(data, start, end, hash, bytes, LIVE | REFERENCED);
    const w = slot << WORDS_SHIFT;
    this.#zero(w, 0, zeroed);
    this.#liveResident++;
    if (this.#readers !== null) for (const reader of this.#readers) reader.skip(slot);
    if (this.#tracking) this.#markChanged(slot, w);
    this.inserted = true;
    return slot;
  }

  delete(slot: Slot): void {
    if (this.#readers !== null) this.#saveForReaders(slot);
    const w = slot << WORDS_SHIFT;
    if (this.#walk !== null) this.#keep(w, this.#walk);
    this.#liveResident--;
    const flags = this.#words[w + FLAGS];
    if ((flags & PERSISTED) === 0) {
      this.#remove(slot);
      return;
    }
    if (this.#words[w + CHANGED] !== this.#interval) this.#markChanged(slot, w);
    this.#list.tombstones = true;
    this.#words[w + FLAGS] = flags | TOMBSTONE;
    this.#words[w + VALUE_LENGTH] = 0;
    const keyBytes = (this.#words[w + KEY_LENGTH] + 7) & ~7;
    if (this.#words[w + CAPACITY] - keyBytes > 128) this.#move(w, keyBytes, keyBytes);
  }

  page(slot: Slot): Page { return this.#pages.pages[this.#words[(slot << WORDS_SHIFT) + PAGE]]; }
  offset(slot: Slot): number {
    const w = slot << WORDS_SHIFT;
    return this.#words[w + RECORD] + ((this.#words[w + KEY_LENGTH] + 7) & ~7);
  }
  length(slot: Slot): number { return this.#words[(slot << WORDS_SHIFT) + VALUE_LENGTH]; }
  keyOffset(slot: Slot): number { return this.#words[(slot << WORDS_SHIFT) + RECORD]; }
  keyLength(slot: Slot): number { return this.#words[(slot << WORDS_SHIFT) + KEY_LENGTH]; }
  /** Hash of the slot's key. */
  hash(slot: Slot): number { return this.#words[(slot << WORDS_SHIFT) + HASH]; }

  resize(slot: Slot, bytes: number): void {
    this.changed(slot);
    const w = slot << WORDS_SHIFT;
    this.#setLength(slot, w, bytes, Math.min(bytes, this.#words[w + VALUE_LENGTH]));
  }

  changed(slot: Slot): void {
    if (this.#readers !== null) this.#saveForReaders(slot);
    const w = slot << WORDS_SHIFT;
    if (this.#words[w + CHANGED] === this.#interval) return;
    if (this.#walk !== null) this.#keep(w, this.#walk);
    this.#markChanged(slot, w);
  }

  // ---- bulk ----

  prefetch(keys: KeyBatch): Promise<void> | null {
    if (this.allResident || this.#cold === null) return null;
    const byHash = new Map<number, number>();
    const rows: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const hash = keys.hash[i];
      const slot = this.#lookup(keys.data, keys.start[i], keys.end[i], hash);
      if (slot >= 0) {
        this.#words[(slot << WORDS_SHIFT) + FLAGS] |= REFERENCED;
        continue;
      }
      if (!this.#filter.mayContain(hash)) continue;
      const before = byHash.get(hash);
      if (before !== undefined && sameKey(keys, before, i)) continue;
      byHash.set(hash, i);
      rows.push(i);
    }
    return rows.length === 0 ? null : this.#load(this.#cold, keys, rows);
  }

  async #load(cold: ColdStore, keys: KeyBatch, rows: readonly number[]): Promise<void> {
    // The KeyBatch is the encoder's: its buffers may be reused while we wait, so keys are copied first.
    const all = rows.map((i) => keys.data.slice(keys.start[i], keys.end[i]));
    const hashes = rows.map((i) => keys.hash[i]);
    for (let from = 0; from < all.length; from += PREFETCH_KEYS_MAX) {
      const part = all.slice(from, from + PREFETCH_KEYS_MAX);
      const groups = hashes.slice(from, from + PREFETCH_KEYS_MAX).map((h) => this.keyGroup(h));
      const values = await cold.getMany(this.tableId, groups, part);
      for (let k = 0; k < part.length; k++) {
        const hash = hashes[from + k];
        if (this.#lookup(part[k], 0, part[k].length, hash) < 0) this.#admit(part[k], 0, part[k].length, hash, values[k]);
      }
    }
  }

  async scan(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    const reader = this.openReader();
    try {
      let more = true;
      while (more) {
        more = await reader.next(1000, (key, ks, ke, value, vs, ve) => { visit(key.subarray(ks, ke), value.subarray(vs, ve)); });
      }
    } finally {
      reader.close();
    }
  }

  forEachResident(visit: (slot: Slot) => void): void {
    for (let slot = 0; slot < this.#slotCount; slot++) {
      if ((this.#words[(slot << WORDS_SHIFT) + FLAGS] & (LIVE | TOMBSTONE)) === LIVE) visit(slot);
    }
  }

  /** The first live slot in memory from `slot` on, or -1. */
  nextResident(slot: Slot): Slot {
    for (let s = slot; s < this.#slotCount; s++) if ((this.#words[(s << WORDS_SHIFT) + FLAGS] & (LIVE | TOMBSTONE)) === LIVE) return s;
    return -1;
  }

  openReader(): SnapshotReader {
    const reader = new TableReaderState(this, this.#slotCount, (r) => this.#closeReader(r));
    if (this.#cold !== null && !this.allResident) {
      reader.cold = this.#cold.openScan(this.tableId, (key) => {
        const slot = this.#lookup(key, 0, key.length, this.#options.hash(key, 0, key.length));
        return slot >= 0 && !reader.isFresh(slot);
      });
    }
    (this.#readers ??= []).push(reader);
    return reader;
  }

  #closeReader(reader: TableReaderState): void {
    if (this.#readers === null) return;
    const left = this.#readers.filter((r) => r !== reader);
    this.#readers = left.length === 0 ? null : left;
  }

  /** Ends open readers with 53400, so that their table can be evicted. */
  failReaders(): void {
    for (const reader of this.#readers ?? []) reader.fail(new SqlError('53400', 'a reader of the view was too slow: state memory is needed', { hint: 'Read the result faster, or give its job more: PAUSE JOB …; ALTER JOB … SET (state_memory = …); RESUME JOB …;' }));
  }

  #saveForReaders(slot: Slot): void {
    for (const reader of this.#readers ?? []) reader.save(slot);
  }

  /** For readers: true when the slot holds an entry that is neither free nor deleted. */
  isLive(slot: Slot): boolean { return (this.#words[(slot << WORDS_SHIFT) + FLAGS] & (LIVE | TOMBSTONE)) === LIVE; }

  // ---- checkpoints ----

  /** Ends the current interval; returns its number. Later changes belong to the next. */
  cut(): number {
    this.#finishWalk();
    const ended = this.#interval;
    this.#interval++;
    this.#list = { interval: this.#interval, slots: new Int32Array(64), count: 0, bytes: 0, tombstones: false };
    this.#lists.push(this.#list);
    return ended;
  }

  /**
   * Begins to write the entries in memory that changed after interval `since` (null: all live ones), as they are now. Call right after `cut`;
   * `freezeSome` goes on with it. `kept` gets those that change before it comes to them. One walk at a time: whatever else needs the lists ends it.
   */
  beginFreeze(since: number | null, kept: EntrySink): FreezeWalk {
    const lists = since === null ? null : this.#lists.filter((list) => list.interval > since && list !== this.#list);
    return this.#walk = { since: since ?? -1, until: this.#interval - 1, lists, limit: this.#slotCount, kept, list: 0, at: 0 };
  }

  /** The whole walk at once; returns the count. */
  freeze(since: number, sink: EntrySink): number {
    const walk = this.beginFreeze(since, sink);
    let count = 0;
    while (this.freezing(walk)) count += this.freezeSome(walk, 1 << 20, sink);
    return count;
  }

  /** False when the walk is over. */
  freezing(walk: FreezeWalk): boolean { return this.#walk === walk; }

  /** Passes `steps` entries of the walk; returns how many it wrote. */
  freezeSome(walk: FreezeWalk, steps: number, sink: EntrySink): number {
    const words = this.#words;
    let count = 0;
    for (; steps > 0; steps--) {
      const list = walk.lists?.[walk.list];
      let w: number;
      if (walk.lists === null) {
        if (walk.at >= walk.limit) { this.endFreeze(walk); return count; }
        w = walk.at++ << WORDS_SHIFT;
        if (words[w + CHANGED] > walk.until || (words[w + FLAGS] & (LIVE | TOMBSTONE)) !== LIVE) continue;
      } else {
        if (list === undefined) { this.endFreeze(walk); return count; }
        if (walk.at >= list.count) {
          walk.list++;
          walk.at = 0;
          continue;
        }
        w = list.slots[walk.at++] << WORDS_SHIFT;
        if (words[w + CHANGED] !== list.interval || (words[w + FLAGS] & LIVE) === 0) continue;
      }
      words[w + FLAGS] |= PERSISTED;
      this.#emit(w, sink);
      count++;
    }
    return count;
  }

  endFreeze(walk: FreezeWalk): void { if (this.#walk === walk) this.#walk = null; }

  /** Before the first change since the walk began. */
  #keep(w: number, walk: FreezeWalk): void {
    const words = this.#words;
    const changed = words[w + CHANGED];
    if (changed > walk.until || changed <= walk.since || (words[w + FLAGS] & LIVE) === 0) return;
    if (walk.lists === null && (w >> WORDS_SHIFT < walk.at || (words[w + FLAGS] & TOMBSTONE) !== 0)) return;
    words[w + FLAGS] |= PERSISTED;
    this.#emit(w, walk.kept);
  }

  /** What is left of the walk, at once. */
  #finishWalk(): void {
    const walk = this.#walk;
    while (walk !== null && this.#walk === walk) this.freezeSome(walk, 1 << 20, walk.kept);
  }

  /** Writes every live entry in memory (full snapshots of the memory backend). */
  freezeAll(sink: EntrySink): number {
    let count = 0;
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const w = slot << WORDS_SHIFT;
      if ((this.#words[w + FLAGS] & (LIVE | TOMBSTONE)) !== LIVE) continue;
      this.#words[w + FLAGS] |= PERSISTED;
      this.#emit(w, sink);
      count++;
    }
    return count;
  }

  #emit(w: number, sink: EntrySink): void {
    const words = this.#words;
    const record = words[w + RECORD];
    const keyEnd = record + words[w + KEY_LENGTH];
    const tombstone = (words[w + FLAGS] & TOMBSTONE) !== 0;
    const valueStart = tombstone ? -1 : record + ((words[w + KEY_LENGTH] + 7) & ~7);
    sink.entry(this.keyGroup(words[w + HASH]), this.#pages.pages[words[w + PAGE]].bytes, record, keyEnd, valueStart, tombstone ? -1 : valueStart + words[w + VALUE_LENGTH]);
  }

  /** A checkpoint that ended interval `interval` is applied: what it holds is clean, its tombstones go. */
  clean(interval: number): void {
    this.#finishWalk();
    this.#cleanInterval = Math.max(this.#cleanInterval, interval);
    const words = this.#words;
    for (const list of this.#lists) {
      if (list.interval > interval || !list.tombstones) continue;
      for (let k = 0; k < list.count; k++) {
        const slot = list.slots[k];
        const w = slot << WORDS_SHIFT;
        if (words[w + CHANGED] !== list.interval || (words[w + FLAGS] & (LIVE | TOMBSTONE)) !== (LIVE | TOMBSTONE)) continue;
        // An open reader may meet the key in its older LevelDB snapshot and must know it was deleted: eviction takes it later.
        if (this.#readers === null) this.#remove(slot);
      }
    }
    this.#lists = this.#lists.filter((list) => list.interval > interval);
  }

  // ---- memory pressure ----

  /**
   * CLOCK: drops clean entries not used since the hand last passed, until about `bytes` are freed or the hand went round twice.
   * Returns the bytes freed. Does nothing while a reader is open.
   */
  evict(bytes: number): number {
    if (this.#cold === null || this.#readers !== null || this.#entries === 0) return 0;
    const words = this.#words;
    let freed = 0;
    for (let steps = this.#slotCount * 2; steps > 0 && freed < bytes; steps--) {
      if (this.#clockHand >= this.#slotCount) this.#clockHand = 0;
      const slot = this.#clockHand++;
      const w = slot << WORDS_SHIFT;
      const flags = words[w + FLAGS];
      if ((flags & LIVE) === 0 || words[w + CHANGED] > this.#cleanInterval) continue;
      if ((flags & REFERENCED) !== 0) {
        words[w + FLAGS] = flags & ~REFERENCED;
        continue;
      }
      freed += words[w + CAPACITY] + SLOT_BYTES;
      this.#dropResident(slot, w, flags, false);
    }
    return freed;
  }

  /**
   * Gives about `bytes` of dirty entries to `sink` and remembers which, for `spilled`. They must not change in between.
   * Entries are chosen by CLOCK too.
   */
  collectDirty(bytes: number, sink: EntrySink, slots: number[]): number {
    if (this.#cold === null || this.#readers !== null) return 0;
    this.#finishWalk();
    const words = this.#words;
    let taken = 0;
    for (let steps = this.#slotCount; steps > 0 && taken < bytes; steps--) {
      if (this.#clockHand >= this.#slotCount) this.#clockHand = 0;
      const slot = this.#clockHand++;
      const w = slot << WORDS_SHIFT;
      const flags = words[w + FLAGS];
      if ((flags & LIVE) === 0 || words[w + CHANGED] <= this.#cleanInterval) continue;
      taken += words[w + CAPACITY] + SLOT_BYTES;
      this.#emit(w, sink);
      slots.push(slot);
    }
    return taken;
  }

  /** The interval in which the next change would be noted: spilled entries carry it. */
  get interval(): number { return this.#interval; }

  /** The entries that collectDirty gave are in the scratch keyspace now. */
  spilled(slots: readonly number[]): void {
    for (const slot of slots) {
      const w = slot << WORDS_SHIFT;
      this.#dropResident(slot, w, this.#words[w + FLAGS], true);
    }
  }

  #dropResident(slot: Slot, w: number, flags: number, dirty: boolean): void {
    if ((flags & TOMBSTONE) === 0) {
      this.#liveResident--;
      this.#coldLive++;
      this.#filter.add(this.#words[w + HASH]);
    } else if (dirty) {
      this.#coldTombstones++;
      this.#filter.add(this.#words[w + HASH]);
    }
    this.#remove(slot);
  }

  /** Spilled tombstones whose deletion was applied need no look-up any more. */
  forgetColdTombstones(count: number): void {
    this.#coldTombstones -= count;
    if (this.allResident) this.#filter.clear();
  }

  /** True when memory knows the key, be it as deleted. */
  isResident(key: Uint8Array): boolean { return this.#lookup(key, 0, key.length, this.#options.hash(key, 0, key.length)) >= 0; }

  /** Restore: `count` live entries are in the cold store and not in memory. */
  addCold(count: number): void {
    if (count <= 0) return;
    this.#coldLive += count;
    this.#filter.saturate();
  }

  /** Restore: puts a clean entry into memory (or, with value null, removes it). */
  restoreEntry(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array | null, valueStart: number, valueEnd: number): void {
    const hash = this.#options.hash(key, keyStart, keyEnd);
    let slot = this.#lookup(key, keyStart, keyEnd, hash);
    if (value === null) {
      if (slot < 0) return;
      this.#liveResident--;
      this.#remove(slot);
      return;
    }
    const bytes = valueEnd - valueStart;
    if (slot < 0) {
      slot = this.#create(key, keyStart, keyEnd, hash, bytes, LIVE | PERSISTED);
      this.#liveResident++;
    } else {
      this.#setLength(slot, slot << WORDS_SHIFT, bytes, 0);
    }
    copyBytes(value, valueStart, valueEnd, this.page(slot).bytes, this.offset(slot));
  }

  // ---- inside ----

  #lookup(data: Uint8Array, start: number, end: number, hash: number): number {
    const index = this.#index;
    const mask = this.#indexMask;
    const words = this.#words;
    const length = end - start;
    let p = Math.imul(hash, 0x9e3779b1) >>> this.#indexShift;
    for (;;) {
      const slot = index[(p << 1) + 1] - 1;
      if (slot < 0) return -1;
      if (index[p << 1] === hash) {
        const w = slot << WORDS_SHIFT;
        if (words[w + KEY_LENGTH] === length) {
          const bytes = this.#pages.pages[words[w + PAGE]].bytes;
          let a = words[w + RECORD];
          let b = start;
          while (b < end && bytes[a] === data[b]) { a++; b++; }
          if (b === end) return slot;
        }
      }
      p = (p + 1) & mask;
    }
  }

  #create(data: Uint8Array, start: number, end: number, hash: number, valueBytes: number, flags: number): Slot {
    if (this.#entries * 3 >= this.#indexMask * 2) this.#growIndex();
    let slot = this.#freeSlot;
    if (slot >= 0) this.#freeSlot = this.#words[(slot << WORDS_SHIFT) + HASH];
    else {
      slot = this.#slotCount++;
      if ((slot << WORDS_SHIFT) >= this.#words.length) this.#growSlots();
    }
    const length = end - start;
    const keyBytes = (length + 7) & ~7;
    this.#pages.alloc(keyBytes + valueBytes);
    const words = this.#words;
    const w = slot << WORDS_SHIFT;
    words[w + HASH] = hash;
    words[w + PAGE] = this.#pages.page;
    words[w + RECORD] = this.#pages.offset;
    words[w + KEY_LENGTH] = length;
    words[w + VALUE_LENGTH] = valueBytes;
    words[w + CAPACITY] = this.#pages.capacity;
    this.#recordBytes += this.#pages.capacity;
    words[w + FLAGS] = flags;
    copyBytes(data, start, end, this.#pages.pages[this.#pages.page].bytes, this.#pages.offset);
    const index = this.#index;
    const mask = this.#indexMask;
    let p = Math.imul(hash, 0x9e3779b1) >>> this.#indexShift;
    while (index[(p << 1) + 1] !== 0) p = (p + 1) & mask;
    index[p << 1] = hash;
    index[(p << 1) + 1] = slot + 1;
    this.#entries++;
    return slot;
  }

  /** Frees the slot and its record. Its CHANGED word stays: a slot reused in the same interval is already in the list. */
  #remove(slot: Slot): void {
    const words = this.#words;
    const w = slot << WORDS_SHIFT;
    const index = this.#index;
    const mask = this.#indexMask;
    const shift = this.#indexShift;
    let p = Math.imul(words[w + HASH], 0x9e3779b1) >>> shift;
    while (index[(p << 1) + 1] !== slot + 1) p = (p + 1) & mask;
    // Backward shift: entries after the hole move up when their home is not between the hole and them.
    let q = p;
    for (;;) {
      q = (q + 1) & mask;
      if (index[(q << 1) + 1] === 0) break;
      const home = Math.imul(index[q << 1], 0x9e3779b1) >>> shift;
      if (((q - home) & mask) >= ((q - p) & mask)) {
        index[p << 1] = index[q << 1];
        index[(p << 1) + 1] = index[(q << 1) + 1];
        p = q;
      }
    }
    index[(p << 1) + 1] = 0;
    this.#entries--;
    if (this.#tracking && words[w + CHANGED] === this.#interval) this.#list.bytes -= words[w + CAPACITY] + SLOT_BYTES;
    this.#recordBytes -= words[w + CAPACITY];
    this.#pages.free(words[w + PAGE], words[w + RECORD], words[w + CAPACITY]);
    words[w + FLAGS] = 0;
    words[w + KEY_LENGTH] = -1;
    words[w + HASH] = this.#freeSlot;
    this.#freeSlot = slot;
  }

  #growIndex(): void {
    const old = this.#index;
    const size = (this.#indexMask + 1) * 2;
    this.#index = new Int32Array(size * 2);
    this.#indexMask = size - 1;
    this.#indexShift--;
    const index = this.#index;
    for (let k = 0; k < old.length; k += 2) {
      if (old[k + 1] === 0) continue;
      let p = Math.imul(old[k], 0x9e3779b1) >>> this.#indexShift;
      while (index[(p << 1) + 1] !== 0) p = (p + 1) & this.#indexMask;
      index[p << 1] = old[k];
      index[(p << 1) + 1] = old[k + 1];
    }
  }

  #growSlots(): void {
    const words = new Int32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }

  /** Also called for a freed slot that is used again: then its list may have it already. */
  #markChanged(slot: Slot, w: number): void {
    const list = this.#list;
    const words = this.#words;
    list.bytes += words[w + CAPACITY] + SLOT_BYTES;
    if (words[w + CHANGED] === this.#interval) return;
    words[w + CHANGED] = this.#interval;
    if (list.count === list.slots.length) {
      const slots = new Int32Array(list.count * 2);
      slots.set(list.slots);
      list.slots = slots;
    }
    list.slots[list.count++] = slot;
  }

  /** Sets the value's length, keeping its first `keep` bytes and zeroing the rest. */
  #setLength(slot: Slot, w: number, bytes: number, keep: number): void {
    const words = this.#words;
    const keyBytes = (words[w + KEY_LENGTH] + 7) & ~7;
    const need = keyBytes + bytes;
    const capacity = words[w + CAPACITY];
    if (need > capacity || (capacity > 256 && need < capacity >>> 2)) this.#move(w, need, keyBytes + keep);
    words[w + VALUE_LENGTH] = bytes;
    if (keep < bytes) this.#zero(w, keep, bytes);
  }

  /** Moves the record to one of `need` bytes, copying the first `keep`. */
  #move(w: number, need: number, keep: number): void {
    const words = this.#words;
    const pages = this.#pages;
    const page = words[w + PAGE];
    const record = words[w + RECORD];
    const capacity = words[w + CAPACITY];
    if (roundedBytes(need) === capacity) return;
    pages.alloc(need);
    copyBytes(pages.pages[page].bytes, record, record + keep, pages.pages[pages.page].bytes, pages.offset);
    words[w + PAGE] = pages.page;
    words[w + RECORD] = pages.offset;
    words[w + CAPACITY] = pages.capacity;
    this.#recordBytes += pages.capacity - capacity;
    if (this.#tracking && words[w + CHANGED] === this.#interval) this.#list.bytes += pages.capacity - capacity;
    pages.free(page, record, capacity);
  }

  #zero(w: number, from: number, to: number): void {
    const words = this.#words;
    const at = words[w + RECORD] + ((words[w + KEY_LENGTH] + 7) & ~7);
    const bytes = this.#pages.pages[words[w + PAGE]].bytes;
    if (to - from > 64) bytes.fill(0, at + from, at + to);
    else for (let p = at + from; p < at + to; p++) bytes[p] = 0;
  }

  /** A key outside memory that no prefetch brought. */
  #fault(data: Uint8Array, start: number, end: number, hash: number): Slot {
    if (this.#cold === null || !this.#filter.mayContain(hash)) return -1;
    this.syncReads++;
    this.#options.onSyncRead?.();
    return this.#admit(data, start, end, hash, this.#cold.getSync(this.tableId, this.keyGroup(hash), data.slice(start, end)));
  }

  /** Takes what the cold store said about a key into memory; absent keys as clean tombstones. */
  #admit(data: Uint8Array, start: number, end: number, hash: number, found: ColdValue | undefined): Slot {
    const value = found === undefined ? null : found.value;
    const flags = LIVE | REFERENCED | PERSISTED | (value === null ? TOMBSTONE : 0);
    const slot = this.#create(data, start, end, hash, value === null ? 0 : value.length, flags);
    const w = slot << WORDS_SHIFT;
    if (value !== null) {
      copyBytes(value, 0, value.length, this.page(slot).bytes, this.offset(slot));
      this.#coldLive--;
      this.#liveResident++;
    } else if (found !== undefined) this.#coldTombstones--;
    if (this.#readers !== null) for (const reader of this.#readers) reader.fresh(slot);
    if (found !== undefined && found.dirty) {
      this.#markChanged(slot, w);
      this.#list.tombstones ||= value === null;
    } else if (this.#words[w + CHANGED] > this.#cleanInterval) this.#words[w + CHANGED] = 0;
    if (this.allResident) this.#filter.clear();
    return slot;
  }
}

function sameKey(keys: KeyBatch, a: number, b: number): boolean {
  const length = keys.end[a] - keys.start[a];
  if (keys.end[b] - keys.start[b] !== length) return false;
  for (let k = 0; k < length; k++) if (keys.data[keys.start[a] + k] !== keys.data[keys.start[b] + k]) return false;
  return true;
}
