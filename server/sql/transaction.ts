/**
 * A transaction's uncommitted changes. Writes of a block are kept here until COMMIT, which checks that the rows they replace are
 * still the same (40001 otherwise) and writes them as one log record: all tables change in one epoch.
 * Keys stand as latin1 strings of their bytes (a Map needs value equality); this is client DML, no hot path.
 */
import type { Numbering, Restart, RowChange } from '../../storage/tablestore.js';
import { SqlError } from '../../types/error.js';
import type { Database } from '../database.js';

/** Changes one transaction may hold before COMMIT. */
const CHANGES_MAX = 5_000_000;

export const keyText = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');

export class Transaction {
  readonly #changes = new Map<number, Map<string, RowChange>>();
  /** Changes without key: rows for streams, in order. */
  readonly #appends: RowChange[] = [];
  #count = 0;
  /** Of tables whose columns begin to count anew with this transaction: how many numbers each has given since. */
  readonly #restarted = new Map<number, Map<number, number>>();
  /** Tables that it took numbers of, or that begin anew: how it found them. */
  readonly #counted = new Map<number, Numbering>();

  touches(tableId: number): boolean { return this.#changes.has(tableId); }
  changesOf(tableId: number): ReadonlyMap<string, RowChange> { return this.#changes.get(tableId) ?? new Map<string, RowChange>(); }
  get empty(): boolean { return this.#count === 0 && this.#restarted.size === 0; }

  /** Adds a change made on top of the earlier ones of this transaction; `old` then stays the committed row's. */
  add(change: RowChange): void {
    if (++this.#count > CHANGES_MAX) throw new SqlError('54000', `a transaction may change at most ${CHANGES_MAX} rows`, { hint: 'Commit in smaller steps.' });
    if (change.key.length === 0) { this.#appends.push(change); return; }
    let table = this.#changes.get(change.tableId);
    if (table === undefined) { table = new Map(); this.#changes.set(change.tableId, table); }
    const text = keyText(change.key);
    const before = table.get(text);
    const merged = before === undefined ? change : { ...change, old: before.old };
    // An insert undone by a delete in the same transaction leaves the key recorded as absent, for overlays.
    table.set(text, merged);
  }

  /** As TableWriter.nextNumber. */
  nextNumber(database: Database, tableId: number, column: number): number {
    const own = this.#restarted.get(tableId);
    const next = own?.get(column);
    if (own !== undefined && next !== undefined) {
      own.set(column, next + 1);
      return next;
    }
    if (!this.#counted.has(tableId)) this.#counted.set(tableId, database.tables.numbering(tableId));
    return database.tables.nextNumber(tableId, column);
  }

  /** The columns begin to count anew: here at once, for others with the commit. */
  restart(database: Database, tableId: number, columns: readonly number[]): void {
    if (columns.length === 0) return;
    this.#counted.set(tableId, database.tables.numbering(tableId));
    this.#restarted.set(tableId, new Map(columns.map(c => [c, 0])));
  }

  /** Row of a key as this transaction sees it: undefined = not changed here, null = deleted here. */
  row(tableId: number, key: Uint8Array): Uint8Array | null | undefined { return this.#changes.get(tableId)?.get(keyText(key))?.new; }

  /** Commits under the write lock; `verify` re-reads replaced rows (a block's reads were made without the lock). */
  async commit(database: Database, verify: boolean): Promise<void> {
    if (verify) this.#verifyNumbers(database);
    const changes: RowChange[] = [];
    for (const [tableId, table] of this.#changes) {
      const list = [...table.values()].filter(c => !(c.old === null && c.new === null));
      if (verify) await verifyOld(database, tableId, [...table.values()]);
      for (const c of list) if (!(c.old !== null && c.new !== null && Buffer.compare(c.old, c.new) === 0)) changes.push(c);
    }
    for (const c of this.#appends) changes.push(c);
    const restarts = [...this.#restarted].flatMap(([tableId, columns]) => [...columns].map(([column, next]): Restart => ({ tableId, column, next })));
    if (changes.length > 0 || restarts.length > 0) await database.tables.commit(changes, restarts);
  }

  /** No number may come twice: a counter that begins anew is one that gave nobody a number since, and numbers of before it did are of no use. */
  #verifyNumbers(database: Database): void {
    for (const [tableId, found] of this.#counted) {
      const now = database.tables.numbering(tableId);
      if (now.restarts !== found.restarts || (this.#restarted.has(tableId) && now.given !== found.given)) throw changedMeanwhile();
    }
  }
}

async function verifyOld(database: Database, tableId: number, changes: readonly RowChange[]): Promise<void> {
  const now = await database.tables.getMany(tableId, changes.map(c => c.key));
  changes.forEach((c, i) => {
    const row = now[i];
    const same = c.old === null ? row === undefined : row !== undefined && Buffer.compare(c.old, row) === 0;
    if (!same) throw changedMeanwhile();
  });
}

const changedMeanwhile = (): SqlError => new SqlError('40001', 'could not serialize access due to concurrent update', { hint: 'Run the transaction again.' });
