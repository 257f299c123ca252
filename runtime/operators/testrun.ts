/**
 * A DAG of operators over in-memory state, for tests and benches: entries are pushed batches, every node's output is collected.
 * With `evict`, every clean entry leaves memory at each barrier and comes back through prefetch, as under memory pressure.
 */
import type { PlanNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { hashBytes } from '../../types/encoding/hash.js';
import type { Batch } from '../batch.js';
import { CONSTANT_CONTEXT } from '../codegen/interpret.js';
import { draw } from '../drawn.js';
import type { TableFunctionDefinition } from '../functions/api.js';
import { Driver } from '../driver.js';
import type { Barrier, OperatorContext } from '../operator.js';
import { PackedGroupTable, NODES_TABLE } from '../state/grouptable.js';
import { PageAllocator } from '../state/pages.js';
import { RowLog } from '../state/rowlog.js';
import { type ColdStore, type ColdValue, HashStateTable, type StateTableOptions } from '../state/statetable.js';
import { MapLogStore } from '../state/testkeys.js';
import { consolidate } from '../zset.js';
import { createOperator } from './registry.js';

const MAX_PARALLELISM = 128;

/** What left memory, by table and key. */
class MapColdStore implements ColdStore {
  readonly tables = new Map<number, Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }>>();

  table(id: number): Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }> {
    let t = this.tables.get(id);
    if (t === undefined) { t = new Map(); this.tables.set(id, t); }
    return t;
  }
  getSync(tableId: number, _keyGroup: number, key: Uint8Array): ColdValue | undefined {
    const entry = this.table(tableId).get(Buffer.from(key).toString('latin1'));
    return entry === undefined ? undefined : { value: entry.value, dirty: false };
  }
  async getMany(tableId: number, _keyGroups: readonly number[], keys: readonly Uint8Array[]): Promise<(ColdValue | undefined)[]> {
    await Promise.resolve();
    return keys.map((k) => this.getSync(tableId, 0, k));
  }
  openScan(tableId: number, isResident: (key: Uint8Array) => boolean): { next(rowsMax: number): Promise<{ key: Uint8Array; value: Uint8Array }[]>; close(): Promise<void> } {
    const rows = [...this.table(tableId).values()];
    let at = 0;
    return {
      next: (rowsMax) => {
        const out: { key: Uint8Array; value: Uint8Array }[] = [];
        while (at < rows.length && out.length < rowsMax) { const r = rows[at++]; if (!isResident(r.key)) out.push(r); }
        return Promise.resolve(out);
      },
      close: () => Promise.resolve(),
    };
  }
}

export class TestRun {
  readonly driver: Driver;
  /** Batches that each node emitted since last taken. */
  readonly emitted = new Map<number, Batch[]>();
  syncReads = 0;
  /** The clock: of the last barrier, unless it was set. */
  nowUs = 0;
  readonly #nodes: readonly PlanNode[];
  readonly #tables = new Map<number, HashStateTable>();
  readonly #groups = new Map<number, PackedGroupTable>();
  readonly #logs = new Map<number, RowLog>();
  readonly #pages = new PageAllocator();
  readonly #cold: MapColdStore | null;
  #epoch = 0;

  constructor(nodes: readonly PlanNode[], options: { readonly evict?: boolean; readonly batchMode?: boolean; readonly ttlUs?: number; readonly functions?: readonly TableFunctionDefinition[] } = {}) {
    this.#nodes = nodes;
    this.#cold = options.evict === true ? new MapColdStore() : null;
    this.driver = new Driver(nodes);
    const columns = new Map(nodes.map((n) => [n.id, n.columns]));
    for (const node of nodes) {
      const emit = this.driver.emitter(node.id);
      const out: Batch[] = [];
      this.emitted.set(node.id, out);
      const context: OperatorContext = {
        jobId: 1, subtask: 0, parallelism: 1, batchMode: options.batchMode === true,
        own: { functions: options.functions ?? [], now: () => this.nowUs / 1000 },
        emit: (batch) => { out.push(batch); emit(batch); },
        stateTable: (k) => this.#table(node.id * 16 + k),
        groupTable: (k, order) => this.#group(node.id * 16 + k, order),
        rowLog: (k) => this.#log(node.id * 16 + k),
        count: () => undefined,
        ...(options.ttlUs === undefined ? {} : { ttl: { us: options.ttlUs, nowUs: () => this.nowUs } }),
        session: { ...CONSTANT_CONTEXT },
      };
      const operator = createOperator(node, context, node.inputs.map((i) => columns.get(i) ?? []));
      if (operator !== null) this.driver.attach(node.id, operator);
      operator?.begin?.(null);
    }
  }

  #options(tableId: number): StateTableOptions {
    return { tableId, maxParallelism: MAX_PARALLELISM, pages: this.#pages, hash: hashBytes, tracking: this.#cold !== null, cold: this.#cold, onSyncRead: () => { this.syncReads++; } };
  }

  #table(id: number): HashStateTable {
    let t = this.#tables.get(id);
    if (t === undefined) { t = new HashStateTable(this.#options(id)); this.#tables.set(id, t); }
    return t;
  }

  #group(id: number, order: 'bag' | 'ordered'): PackedGroupTable {
    let g = this.#groups.get(id);
    if (g === undefined) {
      g = new PackedGroupTable(this.#options(id), order, { roots: this.#table(id), nodes: this.#table(id + NODES_TABLE) });
      this.#groups.set(id, g);
    }
    return g;
  }

  #log(id: number): RowLog {
    let log = this.#logs.get(id);
    if (log === undefined) {
      log = new RowLog({ tableId: id, pages: this.#pages, hash: hashBytes, store: this.#cold === null ? null : new MapLogStore(), onSyncRead: () => { this.syncReads++; } });
      this.#logs.set(id, log);
    }
    return log;
  }

  /** Rows that a row log keeps. */
  logRows(node: number, k: number): number { return this.#log(node * 16 + k).rows; }

  async push(entry: number, batch: Batch): Promise<void> { await this.driver.push(entry, batch); }
  async watermark(entry: number, us: number): Promise<void> { await this.driver.watermark(entry, us); }

  async barrier(timeUs = this.nowUs): Promise<void> {
    this.nowUs = timeUs;
    await this.#pass({ epoch: ++this.#epoch, checkpoint: null, logPosition: 0, timeUs });
  }

  /** A checkpoint in the midst of the epoch. */
  async checkpoint(): Promise<void> { await this.#pass({ epoch: this.#epoch, checkpoint: { id: 1, since: 0 }, logPosition: 0, timeUs: this.nowUs, midEpoch: { unalignedAfterMs: 0 } }); }

  async #pass(barrier: Barrier): Promise<void> {
    await this.driver.barrier(barrier);
    if (this.#cold === null) return;
    this.#evictAll(this.#cold);
    for (const log of this.#logs.values()) {
      // Small chunks: the one written to stays in memory.
      log.seal();
      await log.spill(Infinity);
      log.evict(Infinity);
    }
  }

  async end(): Promise<void> {
    for (const n of this.#nodes) if (n.inputs.length === 0) await this.driver.watermark(n.id, Infinity);
    await this.driver.end();
  }

  /** As a checkpoint that completed at once, then memory pressure. */
  #evictAll(cold: MapColdStore): void {
    for (const [id, table] of this.#tables) {
      const since = table.cut();
      const rows = cold.table(id);
      table.freeze(since - 1, {
        entry: (_group, data, keyStart, keyEnd, valueStart, valueEnd) => {
          const key = data.slice(keyStart, keyEnd);
          const name = Buffer.from(key).toString('latin1');
          if (valueStart < 0) rows.delete(name);
          else rows.set(name, { key, value: data.slice(valueStart, valueEnd) });
        },
      });
      table.clean(since);
      table.evict(Infinity);
    }
  }

  /** What the node emitted since last asked, as it came. */
  take(id: number): Batch[] {
    return (this.emitted.get(id) ?? []).splice(0);
  }

  /** The same drawn. */
  draw(id: number): string {
    const node = this.#nodes.find((n) => n.id === id);
    const types = (node?.columns ?? []).map((c) => c.type);
    return this.take(id).map((b) => draw(types, b)).filter((s) => s !== '').join('\n');
  }
}

/** Adds up changes: the rows there are now, drawn and sorted, each with its weight. */
export class Content {
  readonly #types: readonly SqlType[];
  #batches: Batch[] = [];
  constructor(types: readonly SqlType[]) { this.#types = types; }
  add(batches: readonly Batch[]): void { this.#batches = consolidate(this.#types, [...this.#batches, ...batches], null, false); }
  rows(): string[] { return this.#batches.flatMap((b) => draw(this.#types, b).split('\n')).filter((s) => s !== '').sort(); }
}
