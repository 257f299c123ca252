/**
 * The durable catalog: JSON documents by (kind, id) in a small Kv, committed several at a time (fsync), ids that are never reused, and
 * bounded histories (checkpoints, failures, dead letters) that outlive a restart.
 *
 *   'd' kind 0 id(8 bytes BE)   document          'n' kind   next id          'h' name 0 key   history row
 */
import type { Json } from '../types/connect.js';
import { type Kv, forEachEntry } from './kv.js';
import { openLevelDb } from './leveldb.js';

/** Relation ids are oids: those below are Postgres' own and the system tables'. */
const FIRST_ID: Readonly<Record<string, number>> = { relation: 16384 };

export interface CatalogDocument {
  readonly kind: string;
  readonly id: number;
  /** null deletes. */
  readonly value: Json | null;
}

const text = (s: string): Uint8Array => Buffer.from(s, 'utf8');
const parse = (bytes: Uint8Array): Json => JSON.parse(Buffer.from(bytes).toString('utf8')) as Json;

function documentKey(kind: string, id: number): Uint8Array {
  const key = Buffer.alloc(kind.length + 10);
  key.write(`d${kind}\0`, 'latin1');
  key.writeBigUInt64BE(BigInt(id), kind.length + 2);
  return key;
}

/** Keys after every key with this prefix (ASCII). */
const after = (prefix: string): Uint8Array => text(prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1));

export class CatalogStore {
  readonly #kv: Kv;
  readonly #next = new Map<string, number>();

  private constructor(kv: Kv) { this.#kv = kv; }

  static async open(directory: string, open: (directory: string) => Promise<Kv> = openLevelDb): Promise<CatalogStore> { return new CatalogStore(await open(directory)); }

  async get(kind: string, id: number): Promise<Json | undefined> {
    const bytes = await this.#kv.get(documentKey(kind, id));
    return bytes === undefined ? undefined : parse(bytes);
  }

  /** Documents of a kind in order of id. */
  async list(kind: string): Promise<{ id: number; value: Json }[]> {
    const found: { id: number; value: Json }[] = [];
    const prefix = `d${kind}\0`;
    await forEachEntry(this.#kv, { gte: text(prefix), lt: after(prefix) }, (key, value) => {
      found.push({ id: Number(Buffer.from(key).readBigUInt64BE(prefix.length)), value: parse(value) });
    });
    return found;
  }

  /** Writes all documents or none; on disk when it resolves. */
  async commit(documents: readonly CatalogDocument[]): Promise<void> {
    const batch = this.#kv.batch();
    for (const { kind, id, value } of documents) {
      if (value === null) batch.del(documentKey(kind, id));
      else batch.put(documentKey(kind, id), text(JSON.stringify(value)));
    }
    await batch.write(true);
  }

  /** A fresh id, durable before it is given: a crash may skip ids, never repeat one. */
  async allocateId(kind: string): Promise<number> {
    const key = text(`n${kind}`);
    let next = this.#next.get(kind);
    if (next === undefined) {
      const stored = await this.#kv.get(key);
      next = stored === undefined ? FIRST_ID[kind] ?? 1 : Number(parse(stored));
    }
    this.#next.set(kind, next + 1);
    const batch = this.#kv.batch();
    batch.put(key, text(String(next + 1)));
    await batch.write(true);
    return next;
  }

  /** Puts a history row; the same key again replaces it. `name` has no NUL. Not fsynced: history is no state. */
  async putHistory(name: string, key: string, row: Json): Promise<void> {
    const batch = this.#kv.batch();
    batch.put(text(`h${name}\0${key}`), text(JSON.stringify(row)));
    await batch.write(false);
  }

  async deleteHistory(name: string, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const batch = this.#kv.batch();
    for (const key of keys) batch.del(text(`h${name}\0${key}`));
    await batch.write(false);
  }

  /** All rows of a history in order of key. */
  async history(name: string): Promise<{ key: string; row: Json }[]> {
    const found: { key: string; row: Json }[] = [];
    const prefix = `h${name}\0`;
    await forEachEntry(this.#kv, { gte: text(prefix), lt: after(prefix) }, (key, value) => {
      found.push({ key: Buffer.from(key).toString('utf8').slice(prefix.length), row: parse(value) });
    });
    return found;
  }

  async close(): Promise<void> { await this.#kv.close(); }
}
