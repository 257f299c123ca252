/**
 * CatalogStore: what the server remembers: JSON documents by kind and id, ids that are never used twice, and histories.
 *
 *   documents   all in memory; a commit of several is one synced batch: after a crash all of it is there or nothing
 *   ids         per sequence name ('oid' from 16384, 'job' from 1); taken in blocks that are synced before the first id is given out
 *   histories   append-only rows by collection and group (checkpoints of a job, failures, dead letters), at most rowsMax a group, oldest go
 *               first; not synced (a power cut may lose the last rows), written in order
 *
 * The catalog's LevelDB is open exclusively: it is also what keeps a second server off the data directory.
 */
import type { Json } from '../types/connect.js';
import { SqlError } from '../types/error.js';
import { clearRange, forEachEntry, type Kv } from './kv.js';

const FORMAT = 1;
const ID_BLOCK = 32;
const FIRST_ID: Readonly<Record<string, number>> = { oid: 16384 };

export interface Document { readonly kind: string; readonly id: number; readonly value: Json }
export interface DocumentChange { readonly kind: string; readonly id: number; /** null deletes */ readonly value: Json | null }

function utf8(text: string): Uint8Array { return new TextEncoder().encode(text); }
function decode(bytes: Uint8Array): string { return new TextDecoder().decode(bytes); }
function padded(n: number): string { return n.toString().padStart(16, '0'); }
function documentKey(kind: string, id: number): Uint8Array { return utf8(`d/${kind}/${padded(id)}`); }
function historyPrefix(collection: string, group: number): string { return `h/${collection}/${padded(group)}/`; }

interface History { first: number; next: number }

export class CatalogStore {
  readonly #kv: Kv;
  readonly #documents = new Map<string, Map<number, Json>>();
  readonly #ids = new Map<string, { next: number; limit: number; pending: Promise<void> | null }>();
  readonly #histories = new Map<string, History>();
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(kv: Kv) { this.#kv = kv; }

  static async open(kv: Kv): Promise<CatalogStore> {
    const store = new CatalogStore(kv);
    const format = await kv.get(utf8('format'));
    if (format === undefined) {
      const batch = kv.batch();
      batch.put(utf8('format'), utf8(String(FORMAT)));
      await batch.write(true);
    } else if (Number(decode(format)) !== FORMAT) {
      throw new SqlError('0A000', `catalog format ${decode(format)} is not supported`, { hint: 'Start the version of the server that wrote it.' });
    }
    await forEachEntry(kv, { gte: utf8('d/'), lt: utf8('d0') }, (key, value) => {
      const [, kind, id] = decode(key).split('/');
      store.#kind(kind).set(Number(id), JSON.parse(decode(value)) as Json);
    });
    await forEachEntry(kv, { gte: utf8('i/'), lt: utf8('i0') }, (key, value) => {
      const limit = Number(decode(value));
      store.#ids.set(decode(key).slice(2), { next: limit, limit, pending: null });
    });
    await forEachEntry(kv, { gte: utf8('h/'), lt: utf8('h0') }, (key) => {
      const text = decode(key);
      const prefix = text.slice(0, -16);
      const n = Number(text.slice(-16));
      const history = store.#histories.get(prefix);
      if (history === undefined) store.#histories.set(prefix, { first: n, next: n + 1 });
      else history.next = n + 1;
    });
    return store;
  }

  #kind(kind: string): Map<number, Json> {
    let documents = this.#documents.get(kind);
    if (documents === undefined) this.#documents.set(kind, documents = new Map());
    return documents;
  }

  // ---- documents ----

  get(kind: string, id: number): Json | undefined { return this.#documents.get(kind)?.get(id); }

  /** Documents of a kind by rising id. */
  all(kind: string): Document[] {
    return [...(this.#documents.get(kind) ?? [])].sort((a, b) => a[0] - b[0]).map(([id, value]) => ({ kind, id, value }));
  }

  /** All changes or none, on disk when it resolves; readers see them from then on. */
  async commit(changes: readonly DocumentChange[]): Promise<void> {
    await this.#serial(async () => {
      const batch = this.#kv.batch();
      for (const { kind, id, value } of changes) {
        if (value === null) batch.del(documentKey(kind, id));
        else batch.put(documentKey(kind, id), utf8(JSON.stringify(value)));
      }
      await batch.write(true);
      for (const { kind, id, value } of changes) {
        if (value === null) this.#kind(kind).delete(id);
        else this.#kind(kind).set(id, value);
      }
    });
  }

  async #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined); // the caller has the error; the next in line goes on
    return await result;
  }

  // ---- ids ----

  /** An id that was never given out before, nor ever will be again. */
  async allocateId(sequence: string): Promise<number> {
    return await this.#serial(async () => {
      let ids = this.#ids.get(sequence);
      if (ids === undefined) {
        const first = FIRST_ID[sequence] ?? 1;
        this.#ids.set(sequence, ids = { next: first, limit: first, pending: null });
      }
      if (ids.next >= ids.limit) {
        const batch = this.#kv.batch();
        batch.put(utf8(`i/${sequence}`), utf8(String(ids.next + ID_BLOCK)));
        await batch.write(true);
        ids.limit = ids.next + ID_BLOCK;
      }
      return ids.next++;
    });
  }

  // ---- histories ----

  /** Appends a row; beyond rowsMax the group's oldest rows go. */
  async append(collection: string, group: number, row: Json, rowsMax: number): Promise<void> {
    await this.#serial(async () => {
      const prefix = historyPrefix(collection, group);
      let history = this.#histories.get(prefix);
      if (history === undefined) this.#histories.set(prefix, history = { first: 0, next: 0 });
      const batch = this.#kv.batch();
      batch.put(utf8(prefix + padded(history.next)), utf8(JSON.stringify(row)));
      let first = history.first;
      for (; history.next + 1 - first > rowsMax; first++) batch.del(utf8(prefix + padded(first)));
      await batch.write(false);
      history.next++;
      history.first = first;
    });
  }

  /** Rows of a group, oldest first. */
  async history(collection: string, group: number): Promise<Json[]> {
    const prefix = historyPrefix(collection, group);
    const rows: Json[] = [];
    await forEachEntry(this.#kv, { gte: utf8(prefix), lt: utf8(`${prefix.slice(0, -1)}0`) }, (_key, value) => { rows.push(JSON.parse(decode(value)) as Json); });
    return rows;
  }

  /** Groups that have rows. */
  groups(collection: string): number[] {
    const prefix = `h/${collection}/`;
    return [...this.#histories.keys()].filter((key) => key.startsWith(prefix)).map((key) => Number(key.slice(prefix.length, -1)));
  }

  async dropHistory(collection: string, group: number): Promise<void> {
    await this.#serial(async () => {
      const prefix = historyPrefix(collection, group);
      await clearRange(this.#kv, { gte: utf8(prefix), lt: utf8(`${prefix.slice(0, -1)}0`) }, false);
      this.#histories.delete(prefix);
    });
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#kv.close();
  }
}
