/**
 * Kv in memory, for tests and for state that need not last: a sorted array of immutable entries. A write makes a new array
 * (copy on write), so that snapshots and iterators are references to an old one. Cost: O(n) a batch; meant for small data.
 * `MemoryKvs` keeps the content by directory, so that closing and opening again finds what was written (a restart).
 */
import { compareBytes, type Kv, type KvBatch, type KvIterator, type KvOpener, type KvRange, type KvSnapshot } from './kv.js';

type Entry = readonly [Uint8Array, Uint8Array];
/** `unsynced`: the contents after each of the newest batches since the last sync. */
interface Store { entries: readonly Entry[]; synced: readonly Entry[]; unsynced: (readonly Entry[])[] }
/** Named limit: contents remembered for a power loss. */
const UNSYNCED_MAX = 64;

class MemorySnapshot implements KvSnapshot {
  readonly entries: readonly Entry[];
  constructor(entries: readonly Entry[]) { this.entries = entries; }
  close(): void { /* garbage collection does it */ }
}

export class MemoryKvs implements KvOpener {
  readonly #stores = new Map<string, Store>();

  async open(directory: string): Promise<Kv> {
    let store = this.#stores.get(directory);
    if (store === undefined) {
      store = { entries: [], synced: [], unsynced: [] };
      this.#stores.set(directory, store);
    }
    return new MemoryKv(store);
  }

  /**
   * Power loss: what was not synced is gone, from some batch on (LevelDB's log is a prefix: a sync keeps all before it too). `pick(n)` in [0, n) says
   * how many of the last batches stay; default: none.
   */
  loseUnsynced(pick: (n: number) => number = () => 0): void {
    for (const store of this.#stores.values()) {
      const kept = pick(store.unsynced.length + 1);
      store.entries = store.synced = kept === 0 ? store.synced : store.unsynced[kept - 1];
      store.unsynced = [];
    }
  }
}

/** Index of the first entry whose key is >= key. */
function lowerBound(entries: readonly Entry[], key: Uint8Array): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (compareBytes(entries[mid][0], key) < 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

function find(entries: readonly Entry[], key: Uint8Array): Uint8Array | undefined {
  const at = lowerBound(entries, key);
  return at < entries.length && compareBytes(entries[at][0], key) === 0 ? entries[at][1].slice() : undefined;
}

class MemoryKv implements Kv {
  readonly #store: Store;
  constructor(store: Store) { this.#store = store; }

  #entries(snapshot: KvSnapshot | undefined): readonly Entry[] { return snapshot === undefined ? this.#store.entries : (snapshot as MemorySnapshot).entries; }
  async get(key: Uint8Array, snapshot?: KvSnapshot): Promise<Uint8Array | undefined> { return find(this.#entries(snapshot), key); }
  getSync(key: Uint8Array, snapshot?: KvSnapshot): Uint8Array | undefined { return find(this.#entries(snapshot), key); }
  async getMany(keys: readonly Uint8Array[], snapshot?: KvSnapshot): Promise<(Uint8Array | undefined)[]> {
    const entries = this.#entries(snapshot);
    return keys.map((key) => find(entries, key));
  }

  batch(): KvBatch {
    const store = this.#store;
    const operations: (readonly [Uint8Array, Uint8Array | null])[] = [];
    let bytes = 0;
    return {
      put(key, value) {
        // A Buffer's slice would share its bytes.
        operations.push([Uint8Array.from(key), Uint8Array.from(value)]);
        bytes += key.length + value.length;
      },
      del(key) {
        operations.push([Uint8Array.from(key), null]);
        bytes += key.length;
      },
      get length() { return operations.length; },
      get bytes() { return bytes; },
      async write(sync) {
        store.entries = merged(store.entries, operations);
        if (sync) {
          store.synced = store.entries;
          store.unsynced = [];
        } else {
          store.unsynced.push(store.entries);
          if (store.unsynced.length > UNSYNCED_MAX) store.unsynced.shift();
        }
      },
      discard() { operations.length = 0; },
    };
  }

  iterate(range: KvRange, snapshot?: KvSnapshot): KvIterator {
    const entries = this.#entries(snapshot);
    let from = 0;
    if (range.gte !== undefined) from = lowerBound(entries, range.gte);
    if (range.gt !== undefined) {
      const at = lowerBound(entries, range.gt);
      from = Math.max(from, at < entries.length && compareBytes(entries[at][0], range.gt) === 0 ? at + 1 : at);
    }
    const to = range.lt === undefined ? entries.length : lowerBound(entries, range.lt);
    const found = from < to ? entries.slice(from, to) : [];
    if (range.reverse === true) found.reverse();
    let at = 0;
    return {
      async next(count) {
        const part = found.slice(at, at + count).map(([k, v]): [Uint8Array, Uint8Array] => [k.slice(), v.slice()]);
        at += part.length;
        return part;
      },
      async close() { at = found.length; },
    };
  }

  snapshot(): KvSnapshot { return new MemorySnapshot(this.#store.entries); }

  async approximateSize(start: Uint8Array, end: Uint8Array): Promise<number> {
    const entries = this.#store.entries;
    let bytes = 0;
    for (let k = lowerBound(entries, start); k < lowerBound(entries, end); k++) bytes += entries[k][0].length + entries[k][1].length;
    return bytes;
  }

  async close(): Promise<void> { /* content stays for the next open */ }
}

/** Old entries with the operations applied; the last operation on a key wins. */
function merged(old: readonly Entry[], operations: readonly (readonly [Uint8Array, Uint8Array | null])[]): readonly Entry[] {
  const sorted = operations.map((op, order) => ({ op, order })).sort((a, b) => compareBytes(a.op[0], b.op[0]) || a.order - b.order);
  const out: Entry[] = [];
  let at = 0;
  for (let k = 0; k < sorted.length; k++) {
    const [key, value] = sorted[k].op;
    if (k + 1 < sorted.length && compareBytes(sorted[k + 1].op[0], key) === 0) continue;
    while (at < old.length && compareBytes(old[at][0], key) < 0) out.push(old[at++]);
    if (at < old.length && compareBytes(old[at][0], key) === 0) at++;
    if (value !== null) out.push([key, value]);
  }
  while (at < old.length) out.push(old[at++]);
  return out;
}
