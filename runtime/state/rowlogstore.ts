/**
 * LevelRowLogStore: chunks of row logs outside memory, in the scratch keyspace of the job's LevelDB (recovery discards it: the rows are in the
 * checkpoint's files). Keys are `chunk number u48, hash u32` under one key group, so that they are written in ascending order: LevelDB then
 * moves its files down without merging them.
 */
import { viewOf } from '../../types/encoding/bytes.js';
import { clearRange, type Kv } from '../../storage/kv.js';
import { entryKey, SCRATCH } from './keyspace.js';
import type { RowLogStore, RowLogWriter } from './rowchunks.js';

/** Chunk and hash; their bytes follow table id and key group. */
const EMPTY = new Uint8Array(10);
const CHUNK_AT = 6;
/** Named limits of one batch. */
const OPERATIONS_MAX = 1000;
const BYTES_MAX = 512 * 1024;
const PIECES_AT_ONCE = 1024;

export class LevelRowLogStore implements RowLogStore {
  readonly #kv: Kv;
  readonly #keyGroup: number;

  constructor(kv: Kv, keyGroup: number) {
    this.#kv = kv;
    this.#keyGroup = keyGroup;
  }

  #key(tableId: number, chunk: number, hash: number): Uint8Array {
    const key = entryKey(tableId + SCRATCH, this.#keyGroup, EMPTY);
    setKey(viewOf(key), chunk, hash);
    return key;
  }

  writer(tableId: number): RowLogWriter {
    const kv = this.#kv;
    let batch = kv.batch();
    const key = this.#key(tableId, 0, 0);
    const view = viewOf(key);
    return {
      put(chunk, hash, bytes) {
        setKey(view, chunk, hash);
        batch.put(key, bytes);
      },
      async flush(all) {
        if (batch.length === 0 || (!all && batch.length < OPERATIONS_MAX && batch.bytes < BYTES_MAX)) return;
        const full = batch;
        batch = kv.batch();
        await full.write(false);
      },
    };
  }

  async getMany(tableId: number, wanted: readonly { readonly chunk: number; readonly hash: number }[]): Promise<(Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = [];
    for (let from = 0; from < wanted.length; from += PIECES_AT_ONCE) {
      found.push(...await this.#kv.getMany(wanted.slice(from, from + PIECES_AT_ONCE).map(({ chunk, hash }) => this.#key(tableId, chunk, hash))));
    }
    return found;
  }

  getSync(tableId: number, chunk: number, hash: number): Uint8Array | undefined { return this.#kv.getSync(this.#key(tableId, chunk, hash)); }

  async readChunk(tableId: number, chunk: number): Promise<Uint8Array[]> {
    const iterator = this.#kv.iterate({ gte: this.#key(tableId, chunk, 0), lt: this.#key(tableId, chunk + 1, 0) });
    const pieces: Uint8Array[] = [];
    try {
      for (let part = await iterator.next(PIECES_AT_ONCE); part.length > 0; part = await iterator.next(PIECES_AT_ONCE)) for (const [, bytes] of part) pieces.push(bytes);
    } finally {
      await iterator.close();
    }
    return pieces;
  }

  async drop(tableId: number, from: number, to: number): Promise<void> {
    await clearRange(this.#kv, { gte: this.#key(tableId, from, 0), lt: this.#key(tableId, to, 0) }, false);
  }
}

function setKey(view: DataView, chunk: number, hash: number): void {
  view.setUint16(CHUNK_AT, Math.floor(chunk / 0x100000000));
  view.setUint32(CHUNK_AT + 2, chunk % 0x100000000);
  view.setUint32(CHUNK_AT + 6, hash >>> 0);
}
