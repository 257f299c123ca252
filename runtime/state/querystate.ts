/**
 * QueryState: the state tables of one ad-hoc query, in memory only: no dirty lists, no tombstones, nothing to restore. Given up whole
 * when the query ends. Past `bytesMax` a query fails with 53200 (checked by `check`, which the task calls between batches).
 */
import { hashBytes } from '../../types/encoding/hash.js';
import { SqlError } from '../../types/error.js';
import { NODES_TABLE, nodesOptions, PackedGroupTable } from './grouptable.js';
import { PageAllocator } from './pages.js';
import { HashStateTable, type StateTableOptions } from './statetable.js';
import type { GroupTable, StateTable } from './table.js';

export class QueryState {
  readonly #pages = new PageAllocator();
  readonly #tables = new Map<number, HashStateTable>();
  readonly #bytesMax: number;

  constructor(bytesMax: number) { this.#bytesMax = bytesMax; }

  stateTable(tableId: number): StateTable { return this.#table(tableId); }

  groupTable(tableId: number, order: 'bag' | 'ordered'): GroupTable {
    return new PackedGroupTable(this.#options(tableId), order, { roots: this.#table(tableId), nodes: this.#table(tableId + NODES_TABLE) });
  }

  #options(tableId: number): StateTableOptions {
    return { tableId, maxParallelism: 128, pages: this.#pages, hash: hashBytes, tracking: false, cold: null };
  }

  #table(tableId: number): HashStateTable {
    let table = this.#tables.get(tableId);
    if (table === undefined) {
      table = new HashStateTable(tableId >= NODES_TABLE ? nodesOptions(this.#options(tableId - NODES_TABLE)) : this.#options(tableId));
      this.#tables.set(tableId, table);
    }
    return table;
  }

  get memoryUsed(): number {
    let bytes = this.#pages.totalBytes;
    for (const table of this.#tables.values()) bytes += table.overheadBytes;
    return bytes;
  }

  check(): void {
    if (this.memoryUsed > this.#bytesMax) {
      throw new SqlError('53200', 'out of memory', { detail: `The query needs more than ${this.#bytesMax} bytes.`, hint: 'Raise memory_limit, or let a materialized view compute it.' });
    }
  }
}
