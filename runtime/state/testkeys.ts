/** For tests and benches of state tables: KeyBatches of keys given as strings or bytes, seeded random numbers, a cold store in memory. */
import type { KeyBatch } from '../keys.js';
import type { RowLogStore, RowLogWriter } from './rowchunks.js';

/** FNV-1a with a final mix: any hash does, as long as table and batch use the same. */
export function testHash(data: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let p = start; p < end; p++) h = Math.imul(h ^ data[p], 0x01000193);
  return Math.imul(h ^ (h >>> 15), 0x85ebca6b);
}

export function testKeys(keys: readonly (string | Uint8Array)[]): KeyBatch {
  const parts = keys.map((k) => (typeof k === 'string' ? new TextEncoder().encode(k) : k));
  const data = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  const start = new Int32Array(keys.length);
  const end = new Int32Array(keys.length);
  const hash = new Int32Array(keys.length);
  let at = 0;
  for (let i = 0; i < parts.length; i++) {
    start[i] = at;
    data.set(parts[i], at);
    at += parts[i].length;
    end[i] = at;
    hash[i] = testHash(data, start[i], end[i]);
  }
  return { length: keys.length, data, start, end, hash, anyNull: null };
}

/** Chunks of one row log that left memory. */
export class MapLogStore implements RowLogStore {
  readonly pieces = new Map<string, { readonly chunk: number; readonly bytes: Uint8Array }>();
  writer(): RowLogWriter {
    return {
      put: (chunk, hash, bytes) => { this.pieces.set(`${chunk} ${hash}`, { chunk, bytes: bytes.slice() }); },
      flush: () => Promise.resolve(),
    };
  }
  async getMany(tableId: number, wanted: readonly { readonly chunk: number; readonly hash: number }[]): Promise<(Uint8Array | undefined)[]> {
    await Promise.resolve();
    return wanted.map(({ chunk, hash }) => this.getSync(tableId, chunk, hash));
  }
  getSync(_tableId: number, chunk: number, hash: number): Uint8Array | undefined { return this.pieces.get(`${chunk} ${hash}`)?.bytes; }
  readChunk(_tableId: number, chunk: number): Promise<Uint8Array[]> { return Promise.resolve([...this.pieces.values()].filter((p) => p.chunk === chunk).map((p) => p.bytes)); }
  drop(_tableId: number, from: number, to: number): Promise<void> {
    for (const [key, { chunk }] of this.pieces) if (chunk >= from && chunk < to) this.pieces.delete(key);
    return Promise.resolve();
  }
}
