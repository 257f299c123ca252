/** Kv that fails by rule (storage/faults.ts): wraps a real one. Reads, iterators and batch writes may fail or stall. */
import type { Faults } from './faults.js';
import type { Kv, KvBatch, KvIterator, KvOpener, KvRange, KvSnapshot } from './kv.js';

export function faultyOpener(inner: KvOpener, faults: Faults): KvOpener {
  return { open: async (directory, options) => new FaultyKv(await inner.open(directory, options), faults, directory) };
}

class FaultyKv implements Kv {
  readonly #inner: Kv;
  readonly #faults: Faults;
  readonly #path: string;
  constructor(inner: Kv, faults: Faults, path: string) {
    this.#inner = inner;
    this.#faults = faults;
    this.#path = path;
  }

  async get(key: Uint8Array, snapshot?: KvSnapshot): Promise<Uint8Array | undefined> {
    await this.#faults.check('kv.get', this.#path);
    return await this.#inner.get(key, snapshot);
  }
  getSync(key: Uint8Array, snapshot?: KvSnapshot): Uint8Array | undefined {
    this.#faults.checkSync('kv.get', this.#path);
    return this.#inner.getSync(key, snapshot);
  }
  async getMany(keys: readonly Uint8Array[], snapshot?: KvSnapshot): Promise<(Uint8Array | undefined)[]> {
    await this.#faults.check('kv.get', this.#path);
    return await this.#inner.getMany(keys, snapshot);
  }
  batch(): KvBatch {
    const inner = this.#inner.batch();
    const faults = this.#faults;
    const path = this.#path;
    return {
      put: (key, value) => { inner.put(key, value); },
      del: (key) => { inner.del(key); },
      get length() { return inner.length; },
      get bytes() { return inner.bytes; },
      async write(sync) {
        await faults.check('kv.write', path);
        await inner.write(sync);
      },
      discard: () => { inner.discard(); },
    };
  }
  iterate(range: KvRange, snapshot?: KvSnapshot): KvIterator {
    const inner = this.#inner.iterate(range, snapshot);
    return {
      next: async (count) => {
        await this.#faults.check('kv.iterate', this.#path);
        return await inner.next(count);
      },
      close: () => inner.close(),
    };
  }
  snapshot(): KvSnapshot { return this.#inner.snapshot(); }
  async approximateSize(start: Uint8Array, end: Uint8Array): Promise<number> { return await this.#inner.approximateSize(start, end); }
  async close(): Promise<void> { await this.#inner.close(); }
}
