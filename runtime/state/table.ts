/**
 * State tables: the only place where operators keep state that outlives a batch. Contracts; the implementation is beside this file.
 *
 * StateTable: state key bytes → value bytes. Hot entries live in memory: an open-addressing index over slots, key and value bytes
 * in 8-byte-aligned records of large pages, so that fixed-layout values are read in place as Float64Array. Everything as of the last
 * completed checkpoint is in LevelDB under (table id, key group, key); clean entries are evicted under memory pressure and come back
 * through `prefetch`, in bulk. A `find` that meets an evicted key nobody prefetched reads it with getSync and counts it.
 * Key group of an entry = (hash >>> 0) % maxParallelism; where that is not the task's (a keyless view needs no exchange), one of the task's own.
 *
 * Slots are stable until `delete`; page/offset of a value are stable until the next call that may insert, resize or evict
 * (never during one `process` except by the operator's own inserts and resizes).
 */
import type { KeyBatch } from '../keys.js';

export type Slot = number;

/** A memory page; the three views share one buffer. */
export interface Page { readonly bytes: Uint8Array; readonly view: DataView; readonly f64: Float64Array; readonly i32: Int32Array }

export interface StateTable {
  readonly tableId: number;
  /** Live entries, in memory and evicted (exact as of the last checkpoint plus changes). */
  readonly size: number;
  /** null when every key of the batch is in memory or known to be absent. */
  prefetch(keys: KeyBatch): Promise<void> | null;
  /** Slot of row i's key, or -1. */
  find(keys: KeyBatch, i: number): Slot;
  /**
   * As find, inserting an entry with `bytes` zero bytes when absent; `inserted` then reads true. Marks the entry changed when inserted. `zeroed`: only
   * the first that many are cleared, the caller writes the others.
   */
  findOrInsert(keys: KeyBatch, i: number, bytes: number, zeroed?: number): Slot;
  readonly inserted: boolean;
  /** Removes the entry (a tombstone is kept until a checkpoint holds it). */
  delete(slot: Slot): void;
  page(slot: Slot): Page;
  /** Byte offset of the value in its page, a multiple of 8. */
  offset(slot: Slot): number;
  /** Length of the value in bytes. */
  length(slot: Slot): number;
  keyOffset(slot: Slot): number;
  keyLength(slot: Slot): number;
  /** Changes the value's length, keeping the common prefix, new bytes zero; may move it. Marks the entry changed. */
  resize(slot: Slot, bytes: number): void;
  /** Must be called BEFORE the value's bytes are changed in place (open readers save the old value then). Cheap when repeated. */
  changed(slot: Slot): void;
  /** Calls visit for every live entry, evicted ones included (read back in chunks). Order: unspecified. */
  scan(visit: (key: Uint8Array, value: Uint8Array) => void): Promise<void>;
  /** Slots now in memory, live: for walks like "close all windows up to the watermark"; evicted entries are not among them. */
  forEachResident(visit: (slot: Slot) => void): void;
  /** True while nothing is evicted: forEachResident then sees everything. */
  readonly allResident: boolean;
  /** Snapshot-consistent reading across epochs for clients: see SnapshotReader. */
  openReader(): SnapshotReader;
}

/**
 * Rows of a table as of the moment `openReader` was called, in chunks, while the table goes on changing (an undo map holds old
 * values of entries changed before they were read). Fails with 53400 past UNDO_BYTES_MAX. Unordered; the caller sorts.
 */
export interface SnapshotReader {
  /** Visits up to about `rowsMax` entries; false when there are no more. */
  next(rowsMax: number, visit: (key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number) => void): Promise<boolean>;
  close(): void;
}

/**
 * Group key → collection of (subkey, payload, count), packed: small groups are one value, larger ones are split into chunks
 * by subkey order, so that the cost of a change follows what changed (design §6). Built on StateTable.
 *
 *   'bag'      append-only: no subkeys, entries stay in order of arrival, counts are positive, no removal of single entries
 *   'ordered'  entries sorted by subkey bytes (memcmp); `add` merges equal subkeys by adding counts; an entry of count 0 goes away.
 *              Counts may pass through negative values inside an epoch.
 */
export interface GroupTable {
  readonly tableId: number;
  /** Where the groups stand, for structures of their own over the same two tables: by group key; by group key and four bytes of a node's number. */
  readonly roots: StateTable;
  readonly nodes: StateTable;
  /** Hash of a node's key: of the group's key group. */
  nodeHash(groupHash: number, node: number): number;
  prefetch(keys: KeyBatch): Promise<void> | null;
  /**
   * Adds `count` to entry `subkey` of row i's group. Payload belongs to the entry's first add (later adds with equal subkey keep it).
   * Returns the entry's new count. For 'bag' the subkey range must be empty.
   */
  add(keys: KeyBatch, i: number, subkey: Uint8Array, subStart: number, subEnd: number, payload: Uint8Array, payStart: number, payEnd: number, count: number): number;
  /** Number of entries in row i's group with count != 0 (bag: sum of counts). */
  entries(keys: KeyBatch, i: number): number;
  /**
   * Visits entries of row i's group in order until visit returns false. `descending`: from the last. Spans point into `data`
   * and are valid during the call only; the group must not be changed inside visit.
   */
  visit(keys: KeyBatch, i: number, descending: boolean, visit: GroupVisitor): void;
  /** A copy of the payload of one entry; null when there is none. Ordered groups only, as the next. */
  payload(keys: KeyBatch, i: number, subkey: Uint8Array): Uint8Array | null;
  /** As visit, of the entries whose subkeys begin so. */
  visitPrefix(keys: KeyBatch, i: number, prefix: Uint8Array, visit: GroupVisitor): void;
  /** Drops the whole group. */
  clear(keys: KeyBatch, i: number): void;
}

export type GroupVisitor = (data: Uint8Array, subStart: number, subEnd: number, payStart: number, payEnd: number, count: number) => boolean;

/** What one frozen table contributes to a delta: absolute values of everything changed since C. */
export interface FrozenEntries {
  readonly tableId: number;
  readonly count: number;
  readonly bytes: number;
}
