/**
 * LevelTableWriter: the TableWriter of storage/tablestore.ts. Group commit: transactions that arrive while a batch is being synced share
 * the next one. A batch holds rows, log records, the last sequence and the row id limits, so they never disagree after a crash.
 * After a failed write the store takes no more (its log may be torn): commits fail until the server is started again.
 */
import { environmentCode, SqlError } from '../../types/error.js';
import { BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, clearRange, type Kv } from '../kv.js';
import type { Retention, RowChange, TableWriter } from '../tablestore.js';
import { decodeMeta, decodeRecord, encodeMeta, encodeRecord, logKey, logSeq, metaKey, rowKey, rowRange } from './layout.js';

/** Row ids taken from the stored limit at once; those left over at a crash are skipped. */
const ROW_IDS = 100000;

interface Waiting { readonly changes: readonly RowChange[]; readonly bytes: number; resolve(seq: number): void; reject(e: unknown): void }
interface RowIds { next: number; limit: number }

export async function openTableWriter(kv: Kv, now: () => number = Date.now): Promise<TableWriter> {
  const lastSeq = decodeMeta(await kv.get(metaKey('lastSeq')));
  const rowIds = new Map<number, RowIds>();
  const iterator = kv.iterate({ gte: metaKey('rowid/'), lt: metaKey('rowid0') });
  try {
    for (let part = await iterator.next(1000); part.length > 0; part = await iterator.next(1000)) {
      for (const [key, value] of part) {
        const limit = decodeMeta(value);
        rowIds.set(Number(new TextDecoder().decode(key.subarray(7))), { next: limit, limit });
      }
    }
  } finally {
    await iterator.close();
  }
  return new LevelTableWriter(kv, lastSeq, rowIds, now);
}

class LevelTableWriter implements TableWriter {
  readonly #kv: Kv;
  readonly #now: () => number;
  readonly #rowIds: Map<number, RowIds>;
  /** Tables whose row id limit must be stored with the next batch. */
  readonly #limitsToStore = new Set<number>();
  readonly #retentions = new Map<number, Retention>();
  readonly #listeners: ((lastSeq: number) => void)[] = [];
  #lastSeq: number;
  #waiting: Waiting[] = [];
  #pump: Promise<void> | null = null;
  #failure: SqlError | null = null;
  #closed = false;

  constructor(kv: Kv, lastSeq: number, rowIds: Map<number, RowIds>, now: () => number) {
    this.#kv = kv;
    this.#lastSeq = lastSeq;
    this.#rowIds = rowIds;
    this.#now = now;
  }

  get lastSeq(): number { return this.#lastSeq; }

  commit(changes: readonly RowChange[]): Promise<number> {
    if (this.#closed) return Promise.reject(new SqlError('57P01', 'the table store is closed'));
    let bytes = 0;
    for (const c of changes) bytes += c.key.length * 2 + (c.old?.length ?? 0) + 2 * (c.new?.length ?? 0) + 32;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, bytes, resolve, reject });
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
    for (const { changes } of group) {
      seq++;
      for (const c of changes) {
        if (c.key.length === 0) continue; // a stream's rows are in the log only
        if (c.new === null) batch.del(rowKey(c.tableId, c.key));
        else batch.put(rowKey(c.tableId, c.key), c.new);
      }
      batch.put(logKey(seq), encodeRecord(this.#now(), changes));
    }
    batch.put(metaKey('lastSeq'), encodeMeta(seq));
    for (const tableId of this.#limitsToStore) batch.put(metaKey(`rowid/${tableId}`), encodeMeta(this.#rowIds.get(tableId)?.limit ?? 0));
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

  nextRowId(tableId: number): number {
    let ids = this.#rowIds.get(tableId);
    if (ids === undefined) this.#rowIds.set(tableId, ids = { next: 1, limit: 1 });
    if (ids.next >= ids.limit) {
      // Stored with the batch that holds the first row using it.
      ids.limit = ids.next + ROW_IDS;
      this.#limitsToStore.add(tableId);
    }
    return ids.next++;
  }

  async drop(tableId: number): Promise<void> {
    await clearRange(this.#kv, rowRange(tableId, null), false);
    this.#retentions.delete(tableId);
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
    await this.#kv.close();
  }
}
