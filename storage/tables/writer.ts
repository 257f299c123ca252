/**
 * LevelTableWriter: the TableWriter of storage/tablestore.ts. Group commit: transactions that arrive while a batch is being synced share
 * the next one. A batch holds rows, log records, the last sequence and the row id limits, so they never disagree after a crash.
 * After a failed write the store takes no more (its log may be torn): commits fail until the server is started again.
 */
import { environmentCode, SqlError } from '../../types/error.js';
import { BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, clearRange, forEachEntry, type Kv } from '../kv.js';
import type { Numbering, Restart, Retention, RowChange, TableWriter } from '../tablestore.js';
import { decodeMeta, decodeRecord, encodeMeta, encodeRecord, logKey, logSeq, metaKey, rowKey, rowRange } from './layout.js';

/** Taken from the stored limit at once; those left over at a crash are skipped. Numbers of columns are few in a smallint: as many as Postgres takes. */
const ROW_IDS = 100000;
const NUMBERS = 32;

interface Waiting { readonly changes: readonly RowChange[]; readonly restarts: readonly Restart[]; readonly bytes: number; resolve(seq: number): void; reject(e: unknown): void }
interface Counter { next: number; limit: number }

export async function openTableWriter(kv: Kv, now: () => number = Date.now): Promise<TableWriter> {
  const lastSeq = decodeMeta(await kv.get(metaKey('lastSeq')));
  const counters = new Map<string, Counter>();
  for (const kind of ['rowid', 'number']) {
    await forEachEntry(kv, { gte: metaKey(`${kind}/`), lt: metaKey(`${kind}0`) }, (key, value) => {
      const limit = decodeMeta(value);
      counters.set(new TextDecoder().decode(key.subarray(1)), { next: limit, limit });
    });
  }
  return new LevelTableWriter(kv, lastSeq, counters, now);
}

class LevelTableWriter implements TableWriter {
  readonly #kv: Kv;
  readonly #now: () => number;
  /** Row ids and numbers of columns, by the names that their limits are stored under. */
  readonly #counters: Map<string, Counter>;
  readonly #numbering = new Map<number, Numbering>();
  /** Counters whose limit must be stored with the next batch. */
  readonly #limitsToStore = new Set<string>();
  readonly #retentions = new Map<number, Retention>();
  readonly #listeners: ((lastSeq: number) => void)[] = [];
  #lastSeq: number;
  #waiting: Waiting[] = [];
  #pump: Promise<void> | null = null;
  #failure: SqlError | null = null;
  #closed = false;

  constructor(kv: Kv, lastSeq: number, counters: Map<string, Counter>, now: () => number) {
    this.#kv = kv;
    this.#lastSeq = lastSeq;
    this.#counters = counters;
    this.#now = now;
  }

  get lastSeq(): number { return this.#lastSeq; }

  commit(changes: readonly RowChange[], restarts: readonly Restart[] = []): Promise<number> {
    if (this.#closed) return Promise.reject(new SqlError('57P01', 'the table store is closed'));
    let bytes = 0;
    for (const c of changes) bytes += c.key.length * 2 + (c.old?.length ?? 0) + 2 * (c.new?.length ?? 0) + 32;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, restarts, bytes, resolve, reject });
      this.#pump ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // One turn later: transactions that arrive together share the first batch too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      let bytes = 0;
      let operations = 0;
      let n = 0;
      while (n < this.#waiting.length && (n === 0 || (bytes < BATCH_BYTES_MAX && operations < BATCH_OPERATIONS_MAX))) {
        bytes += this.#waiting[n].bytes;
        operations += this.#waiting[n].changes.length;
        n++;
      }
      const group = this.#waiting.splice(0, n);
      try {
        const first = await this.#write(group);
        for (let k = 0; k < group.length; k++) group[k].resolve(first + k);
        for (const listener of this.#listeners) listener(this.#lastSeq);
      } catch (e) {
        for (const w of group) w.reject(e);
      }
    }
    this.#pump = null;
  }

  /** Returns the sequence of the group's first transaction. */
  async #write(group: readonly Waiting[]): Promise<number> {
    if (this.#failure !== null) throw this.#failure;
    const first = this.#lastSeq + 1;
    const batch = this.#kv.batch();
    let seq = this.#lastSeq;
    for (const { changes, restarts } of group) {
      seq++;
      for (const restart of restarts) this.#restart(restart);
      for (const c of changes) {
        if (c.key.length === 0) continue; // a stream's rows are in the log only
        if (c.new === null) batch.del(rowKey(c.tableId, c.key));
        else batch.put(rowKey(c.tableId, c.key), c.new);
      }
      batch.put(logKey(seq), encodeRecord(this.#now(), changes));
    }
    batch.put(metaKey('lastSeq'), encodeMeta(seq));
    for (const name of this.#limitsToStore) batch.put(metaKey(name), encodeMeta(this.#counters.get(name)?.limit ?? 0));
    this.#limitsToStore.clear();
    try {
      await batch.write(true);
    } catch (e) {
      const code = e instanceof Error ? environmentCode(e) : undefined;
      this.#failure = new SqlError(code ?? '58030', 'could not write to the table store', {
        detail: e instanceof Error ? e.message : String(e), hint: 'Tables take no more changes until the server is started again.', cause: e,
      });
      throw this.#failure;
    }
    this.#lastSeq = seq;
    return first;
  }

  async get(tableId: number, key: Uint8Array): Promise<Uint8Array | undefined> { return await this.#kv.get(rowKey(tableId, key)); }

  async getMany(tableId: number, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return await this.#kv.getMany(keys.map((key) => rowKey(tableId, key)));
  }

  nextRowId(tableId: number): number { return this.#next(`rowid/${tableId}`, 1, ROW_IDS); }
  nextNumber(tableId: number, column: number): number {
    const { given, restarts } = this.numbering(tableId);
    this.#numbering.set(tableId, { given: given + 1, restarts });
    return this.#next(`number/${tableId}/${column}`, 0, NUMBERS);
  }
  numbering(tableId: number): Numbering { return this.#numbering.get(tableId) ?? { given: 0, restarts: 0 }; }

  #restart({ tableId, column, next }: Restart): void {
    const name = `number/${tableId}/${column}`;
    this.#counters.set(name, { next, limit: next });
    this.#limitsToStore.add(name);
    const { given, restarts } = this.numbering(tableId);
    this.#numbering.set(tableId, { given, restarts: restarts + 1 });
  }

  #next(name: string, first: number, block: number): number {
    let counter = this.#counters.get(name);
    if (counter === undefined) this.#counters.set(name, counter = { next: first, limit: first });
    if (counter.next >= counter.limit) {
      // Stored with the batch that holds the first row using it.
      counter.limit = counter.next + block;
      this.#limitsToStore.add(name);
    }
    return counter.next++;
  }

  async drop(tableId: number): Promise<void> {
    await clearRange(this.#kv, rowRange(tableId, null), false);
    this.#retentions.delete(tableId);
    this.#numbering.delete(tableId);
    const batch = this.#kv.batch();
    for (const name of this.#counters.keys()) {
      if (name !== `rowid/${tableId}` && !name.startsWith(`number/${tableId}/`)) continue;
      this.#counters.delete(name);
      this.#limitsToStore.delete(name);
      batch.del(metaKey(name));
    }
    await batch.write(false);
  }

  setRetention(streamId: number, retention: Retention | null): void {
    if (retention === null) this.#retentions.delete(streamId);
    else this.#retentions.set(streamId, retention);
  }

  async trim(upTo: number): Promise<void> {
    const to = Math.min(upTo, this.#lastSeq);
    const streams = new Set(this.#retentions.keys());
    const keptFrom = await this.#retentionStarts(streams);
    const marker = this.#kv.batch();
    const trimmed = decodeMeta(await this.#kv.get(metaKey('trimmed')));
    marker.put(metaKey('trimmed'), encodeMeta(Math.max(trimmed, to)));
    await marker.write(false);
    const iterator = this.#kv.iterate({ gte: logKey(0), lt: logKey(to + 1) });
    try {
      for (let part = await iterator.next(500); part.length > 0; part = await iterator.next(500)) {
        const batch = this.#kv.batch();
        for (const [key, value] of part) {
          const seq = logSeq(key);
          const record = streams.size === 0 ? null : decodeRecord(seq, value, streams);
          const kept = record === null ? [] : record.changes.filter((c) => seq >= (keptFrom.get(c.tableId) ?? Infinity));
          if (record === null || kept.length === 0) batch.del(key);
          else {
            const shorter = encodeRecord(record.timeMs, kept);
            if (shorter.length < value.length) batch.put(key, shorter);
          }
        }
        await batch.write(false);
      }
    } finally {
      await iterator.close();
    }
  }

  /** Per stream: the sequence from which its rows are still young enough, and few enough bytes. */
  async #retentionStarts(streams: ReadonlySet<number>): Promise<Map<number, number>> {
    const starts = new Map<number, number>();
    if (streams.size === 0) return starts;
    const bytes = new Map<number, number>();
    const done = new Set<number>();
    const iterator = this.#kv.iterate({ gte: logKey(0), lt: logKey(this.#lastSeq + 1), reverse: true });
    try {
      for (let part = await iterator.next(500); part.length > 0 && done.size < streams.size; part = await iterator.next(500)) {
        for (const [key, value] of part) {
          const record = decodeRecord(logSeq(key), value, streams);
          for (const c of record.changes) {
            const retention = this.#retentions.get(c.tableId);
            if (retention === undefined || done.has(c.tableId)) continue;
            const sum = (bytes.get(c.tableId) ?? 0) + (c.new?.length ?? 0);
            bytes.set(c.tableId, sum);
            if (sum > retention.bytes || record.timeMs < this.#now() - retention.ms) done.add(c.tableId);
            else starts.set(c.tableId, record.seq);
          }
        }
      }
    } finally {
      await iterator.close();
    }
    return starts;
  }

  onCommit(listener: (lastSeq: number) => void): void { this.#listeners.push(listener); }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#pump !== null) await this.#pump;
    if (this.#failure === null) await this.#returnUnused();
    await this.#kv.close();
  }

  /** After an orderly end the counters go on without a gap. */
  async #returnUnused(): Promise<void> {
    const batch = this.#kv.batch();
    for (const [name, { next, limit }] of this.#counters) if (next < limit) batch.put(metaKey(name), encodeMeta(next));
    await batch.write(true).catch(() => undefined); // the limits stored before hold
  }
}
