/**
 * Kv: an ordered map from bytes to bytes, as LevelDB is one. The one storage face below state, tables and catalog.
 *
 * Contract, held by every implementation (storage/kvsuite.ts checks it):
 *   - keys are ordered by memcmp; the empty key is not allowed; values may be empty
 *   - a batch is applied whole or not at all; with `sync` it is on disk when `write` resolves
 *   - reads see every batch whose `write` resolved before; a read with a snapshot sees exactly what was written when it was taken
 *   - arrays given to put/del may be reused at once; arrays returned belong to the caller
 *   - after a failed write every later write fails too, until the store is opened again: a torn log record must stay the last one
 *   - errors are the environment's: the code of the operating system where there is one (ENOSPC, EIO)
 */
export interface KvSnapshot { close(): void }

export interface KvRange {
  readonly gt?: Uint8Array;
  readonly gte?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly reverse?: boolean;
}

export interface KvIterator {
  /** Up to `count` entries (fewer only because of size limits or the end); an empty array is the end. */
  next(count: number): Promise<[Uint8Array, Uint8Array][]>;
  close(): Promise<void>;
}

export interface KvBatch {
  put(key: Uint8Array, value: Uint8Array): void;
  del(key: Uint8Array): void;
  /** Operations so far. */
  readonly length: number;
  /** Key and value bytes so far. */
  readonly bytes: number;
  /** Applies the batch, once. */
  write(sync: boolean): Promise<void>;
  /** Gives the batch up. */
  discard(): void;
}

export interface Kv {
  get(key: Uint8Array, snapshot?: KvSnapshot): Promise<Uint8Array | undefined>;
  /** Blocks the thread: 7–17 µs from LevelDB's cache. */
  getSync(key: Uint8Array, snapshot?: KvSnapshot): Uint8Array | undefined;
  getMany(keys: readonly Uint8Array[], snapshot?: KvSnapshot): Promise<(Uint8Array | undefined)[]>;
  batch(): KvBatch;
  iterate(range: KvRange, snapshot?: KvSnapshot): KvIterator;
  snapshot(): KvSnapshot;
  /** Bytes on disk of keys in [start, end), roughly. */
  approximateSize(start: Uint8Array, end: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Opens a Kv in a directory; who holds one decides what is real, in memory or faulty. */
export interface KvOptions {
  readonly cacheBytes?: number;
  /** Refuse the directory when it is open already, also in this process. */
  readonly exclusive?: boolean;
}
export interface KvOpener { open(directory: string, options?: KvOptions): Promise<Kv> }

/** Named limits of one written batch: LevelDB builds it while its thread is blocked. */
export const BATCH_OPERATIONS_MAX = 2000;
export const BATCH_BYTES_MAX = 512 * 1024;

/** Deletes a range in chunks; not atomic. */
export async function clearRange(kv: Kv, range: KvRange, sync: boolean): Promise<number> {
  const iterator = kv.iterate(range);
  let count = 0;
  try {
    for (;;) {
      const entries = await iterator.next(BATCH_OPERATIONS_MAX);
      if (entries.length === 0) return count;
      const batch = kv.batch();
      for (const [key] of entries) batch.del(key);
      await batch.write(sync);
      count += entries.length;
    }
  } finally {
    await iterator.close();
  }
}

/** Calls visit for every entry of the range, in order. */
export async function forEachEntry(kv: Kv, range: KvRange, visit: (key: Uint8Array, value: Uint8Array) => void | Promise<void>, snapshot?: KvSnapshot): Promise<void> {
  const iterator = kv.iterate(range, snapshot);
  try {
    for (;;) {
      const entries = await iterator.next(1000);
      if (entries.length === 0) return;
      for (const [key, value] of entries) {
        const wait = visit(key, value);
        if (wait !== undefined) await wait;
      }
    }
  } finally {
    await iterator.close();
  }
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = Math.min(a.length, b.length);
  for (let k = 0; k < n; k++) if (a[k] !== b[k]) return a[k] - b[k];
  return a.length - b.length;
}
