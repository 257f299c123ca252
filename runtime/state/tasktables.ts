/** TaskTables: the tables and row logs of one task, the memory they share, and what leaves it for the cold store (LevelDB). */
import type { EntryWriter } from '../../storage/checkpoint/format.js';
import type { Kv } from '../../storage/kv.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { LevelColdStore, scratchContent, scratchInterval, scratchValue } from './coldstore.js';
import { NODES_TABLE, nodesOptions, PackedGroupTable } from './grouptable.js';
import { entryKey, forEachOf, SCRATCH } from './keyspace.js';
import { PageAllocator } from './pages.js';
import { CHUNK_BYTES } from './rowchunks.js';
import { RowLog } from './rowlog.js';
import { LevelRowLogStore } from './rowlogstore.js';
import { HashStateTable, SLOT_BYTES, type StateTableOptions } from './statetable.js';
import { APPLY_OPERATIONS, type StoredStateOptions } from './storedstate.js';
import type { GroupTable } from './table.js';

/** Bytes spilled at once. */
const SPILL_BYTES = 1024 * 1024;

export interface TableStats { readonly tableId: number; readonly entries: number; readonly residentEntries: number; readonly memoryBytes: number; readonly dirtyBytes: number }

export interface TaskTablesOptions extends Pick<StoredStateOptions, 'maxParallelism' | 'keyGroupFirst' | 'keyGroupLast'> {
  /** null: everything stays in memory. */
  readonly kv: Kv | null;
  readonly onSyncRead?: () => void;
}

export class TaskTables {
  /** What entries written now are marked with: grows by one at each barrier. */
  interval = 1;
  readonly tables = new Map<number, HashStateTable>();
  readonly logs = new Map<number, RowLog>();
  readonly #o: TaskTablesOptions;
  readonly #pages = new PageAllocator();
  readonly #groups = new Map<number, PackedGroupTable>();
  readonly #cold: LevelColdStore | null;
  readonly #logStore: LevelRowLogStore | null;

  constructor(options: TaskTablesOptions) {
    this.#o = options;
    const { kv, keyGroupFirst, keyGroupLast } = options;
    this.#cold = kv === null ? null : new LevelColdStore(kv, keyGroupFirst, keyGroupLast);
    this.#logStore = kv === null ? null : new LevelRowLogStore(kv, keyGroupFirst);
  }

  table(tableId: number): HashStateTable {
    let table = this.tables.get(tableId);
    if (table === undefined) {
      const options = tableId >= NODES_TABLE ? nodesOptions(this.#tableOptions(tableId - NODES_TABLE)) : this.#tableOptions(tableId);
      table = new HashStateTable(options, this.interval);
      this.tables.set(tableId, table);
    }
    return table;
  }

  group(tableId: number, order: 'bag' | 'ordered'): GroupTable {
    let group = this.#groups.get(tableId);
    if (group === undefined) {
      group = new PackedGroupTable(this.#tableOptions(tableId), order, { roots: this.table(tableId), nodes: this.table(tableId + NODES_TABLE) });
      this.#groups.set(tableId, group);
    }
    return group;
  }

  log(tableId: number): RowLog {
    let log = this.logs.get(tableId);
    if (log === undefined) {
      log = new RowLog({ tableId, pages: this.#pages, hash: hashBytes, store: this.#logStore, ...(this.#o.onSyncRead === undefined ? {} : { onSyncRead: this.#o.onSyncRead }) });
      this.logs.set(tableId, log);
    }
    return log;
  }

  #tableOptions(tableId: number): StateTableOptions {
    return {
      tableId, maxParallelism: this.#o.maxParallelism, keyGroupFirst: this.#o.keyGroupFirst, keyGroupLast: this.#o.keyGroupLast, pages: this.#pages, hash: hashBytes, tracking: true, cold: this.#cold,
      ...(this.#o.onSyncRead === undefined ? {} : { onSyncRead: this.#o.onSyncRead }),
    };
  }

  /** Ends an interval: entries of each table, by its id. */
  cut(): Record<string, number> {
    for (const table of this.tables.values()) table.cut();
    return this.sizes();
  }

  sizes(): Record<string, number> { return Object.fromEntries([...this.tables.values()].map((t) => [t.tableId, t.size])); }

  /** All entries of all tables. */
  freezeAll(writer: EntryWriter): void {
    for (const [tableId, table] of this.tables) {
      writer.table(tableId);
      table.freezeAll(writer);
    }
    writer.finish();
  }

  /** Entries up to `interval` are in the cold store now, or in no need of it. */
  clean(interval: number): void { for (const table of this.tables.values()) table.clean(interval); }

  // ---- memory ----

  get memoryUsed(): number {
    let bytes = this.#pages.usedBytes;
    for (const table of this.tables.values()) bytes += table.slotsInUse * SLOT_BYTES;
    return bytes;
  }

  get dirtyBytes(): number {
    let bytes = 0;
    for (const table of this.tables.values()) bytes += table.dirtyBytes;
    return bytes;
  }

  stats(): TableStats[] {
    const tables = [...this.tables.values()].map((t) => ({ tableId: t.tableId, entries: t.size, residentEntries: t.residentEntries, memoryBytes: t.memoryBytes, dirtyBytes: t.dirtyBytes }));
    return [...tables, ...[...this.logs.values()].map((l) => ({ tableId: l.tableId, entries: l.rows, residentEntries: l.rows, memoryBytes: l.memoryBytes, dirtyBytes: 0 }))];
  }

  /** Drops about `bytes` of what is in the cold store too; the largest give first. `logsOnly`: no table has any. */
  evict(bytes: number, logsOnly: boolean): void {
    const evictable = [...(logsOnly ? [] : this.tables.values()), ...this.logs.values()].map((t) => ({ t, size: t.memoryBytes })).sort((a, b) => b.size - a.size);
    let left = bytes;
    for (const { t } of evictable) {
      if (left <= 0) return;
      left -= t.evict(left);
    }
  }

  /** Logs with rows that `spill` could write, the largest first. */
  spillableLogs(): RowLog[] { return [...this.logs.values()].filter((l) => l.unspilledBytes > CHUNK_BYTES).sort((a, b) => b.unspilledBytes - a.unspilledBytes); }

  /** Ends open readers, whose tables give nothing up while they are read, if that frees a good part of the `excess` bytes: else they would end for nothing. */
  failReaders(excess: number): void {
    const read = [...this.tables.values()].filter((t) => t.readersOpen > 0);
    const held = read.reduce((bytes, t) => bytes + t.recordBytes + t.slotsInUse * SLOT_BYTES, 0);
    if (held >= excess / 2) for (const table of read) table.failReaders();
  }

  /** Writes dirty entries to the scratch keyspace until `limit` bytes are left in memory. */
  async spill(kv: Kv, limit: number): Promise<void> {
    const cold = this.#cold;
    if (cold === null) return;
    for (const table of [...this.tables.values()].sort((a, b) => b.slotsInUse - a.slotsInUse)) {
      while (this.memoryUsed > limit) {
        let batch = kv.batch();
        const batches = [batch];
        const slots: number[] = [];
        table.collectDirty(SPILL_BYTES, {
          entry: (keyGroup, data, keyStart, keyEnd, valueStart, valueEnd) => {
            if (batch.length >= APPLY_OPERATIONS) batches.push(batch = kv.batch());
            batch.put(entryKey(table.tableId + SCRATCH, keyGroup, data, keyStart, keyEnd), scratchValue(table.interval, data, valueStart, valueEnd));
          },
        }, slots);
        if (slots.length === 0) break;
        for (const b of batches) await b.write(false);
        cold.scratchEntries.set(table.tableId, (cold.scratchEntries.get(table.tableId) ?? 0) + slots.length);
        table.spilled(slots);
      }
    }
  }

  /** Tables with entries in the scratch keyspace. */
  spilledTables(): number[] { return [...(this.#cold?.scratchEntries ?? [])].filter(([, count]) => count > 0).map(([id]) => id); }

  /** Spilled entries up to the applied interval are in the tables of LevelDB now. */
  async clearScratch(kv: Kv, interval: number): Promise<void> {
    const cold = this.#cold;
    if (cold === null) return;
    for (const [tableId, count] of cold.scratchEntries) {
      if (count === 0) continue;
      const table = this.table(tableId);
      let left = 0;
      let batch = kv.batch();
      const gone: { key: Uint8Array; deleted: boolean }[] = [];
      await forEachOf(kv, tableId + SCRATCH, this.#o.keyGroupFirst, this.#o.keyGroupLast, async (keyGroup, key, value) => {
        if (scratchInterval(value) > interval) {
          left++;
          return;
        }
        batch.del(entryKey(tableId + SCRATCH, keyGroup, key));
        gone.push({ key, deleted: scratchContent(value) === null });
        if (batch.length >= APPLY_OPERATIONS) {
          await batch.write(false);
          batch = kv.batch();
        }
      });
      await batch.write(false);
      table.forgetColdTombstones(gone.filter((g) => g.deleted && !table.isResident(g.key)).length);
      cold.scratchEntries.set(tableId, left);
    }
  }
}
