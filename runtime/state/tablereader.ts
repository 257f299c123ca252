/**
 * TableReaderState: reads a state table as of one moment, in chunks, while the table goes on changing.
 *
 *   1. a cursor walks the slots that existed at the start; an entry changed or deleted ahead of the cursor is first copied to the undo
 *      list (once), a slot filled ahead of it is skipped;
 *   2. then entries outside memory come from a LevelDB snapshot taken at the start, without the keys memory answered for.
 *      Nothing is evicted from the table while a reader is open, so that "in memory at the start" can still be told.
 *
 * State: one byte a slot, and the undo list (at most UNDO_BYTES_MAX, else 53400).
 */
import { SqlError } from '../../types/error.js';
import type { SnapshotReader, StateTable } from './table.js';
import type { ColdScan } from './statetable.js';

/** Named limit: bytes of old values kept for one reader. */
export const UNDO_BYTES_MAX = 64 * 1024 * 1024;

/** The slot is not to be read: read already, saved, or filled after the start. */
const DONE = 1;
/** The slot was loaded from outside memory after the start. */
const FRESH = 2;

interface LiveTable extends StateTable { isLive(slot: number): boolean }
type Visit = Parameters<SnapshotReader['next']>[1];

export class TableReaderState implements SnapshotReader {
  cold: ColdScan | null = null;
  readonly #table: LiveTable;
  readonly #limit: number;
  readonly #onClose: (reader: TableReaderState) => void;
  #marks: Uint8Array;
  #cursor = 0;
  #undo: Uint8Array[] = []; // key, value, key, value, …
  #undoBytes = 0;
  #failure: SqlError | null = null;
  #closed = false;

  constructor(table: LiveTable, slotCount: number, onClose: (reader: TableReaderState) => void) {
    this.#table = table;
    this.#limit = slotCount;
    this.#marks = new Uint8Array(slotCount);
    this.#onClose = onClose;
  }

  /** Before the entry of `slot` changes. */
  save(slot: number): void {
    if (slot < this.#cursor || slot >= this.#limit || (this.#marks[slot] & DONE) !== 0) return;
    this.#marks[slot] |= DONE;
    const table = this.#table;
    if (this.#failure !== null || !table.isLive(slot)) return;
    const bytes = table.page(slot).bytes;
    const keyAt = table.keyOffset(slot);
    const valueAt = table.offset(slot);
    const key = bytes.slice(keyAt, keyAt + table.keyLength(slot));
    const value = bytes.slice(valueAt, valueAt + table.length(slot));
    this.#undoBytes += key.length + value.length + 64;
    if (this.#undoBytes > UNDO_BYTES_MAX) {
      this.fail(new SqlError('53400', 'too many changes while the view was being read', {
        detail: `More than ${UNDO_BYTES_MAX} bytes of old rows would be kept for the reader.`, hint: 'Read the result faster, or in smaller parts.',
      }));
      return;
    }
    this.#undo.push(key, value);
  }

  /** A new key was put into `slot`. */
  skip(slot: number): void {
    if (slot >= this.#cursor && slot < this.#limit) this.#marks[slot] |= DONE;
  }

  /** A key from outside memory was put into `slot`. */
  fresh(slot: number): void {
    if (slot >= this.#marks.length) {
      const marks = new Uint8Array(slot * 2 + 64);
      marks.set(this.#marks);
      this.#marks = marks;
    }
    this.#marks[slot] |= DONE | FRESH;
  }

  isFresh(slot: number): boolean { return slot < this.#marks.length && (this.#marks[slot] & FRESH) !== 0; }

  fail(error: SqlError): void {
    this.#failure ??= error;
    this.close();
  }

  async next(rowsMax: number, visit: Visit): Promise<boolean> {
    if (this.#failure !== null) throw this.#failure;
    if (this.#closed) return false;
    if (this.#nextInMemory(rowsMax, visit) || this.#undo.length > 0 || this.#cursor < this.#limit) return true;
    if (this.cold !== null) {
      const entries = await this.cold.next(rowsMax);
      this.#throwIfFailed();
      for (const { key, value } of entries) visit(key, 0, key.length, value, 0, value.length);
      if (entries.length > 0) return true;
    }
    return false;
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** True when some row was visited. */
  #nextInMemory(rowsMax: number, visit: Visit): boolean {
    let rows = 0;
    if (this.#undo.length > 0) {
      const undo = this.#undo;
      this.#undo = [];
      this.#undoBytes = 0;
      for (let k = 0; k < undo.length; k += 2) visit(undo[k], 0, undo[k].length, undo[k + 1], 0, undo[k + 1].length);
      rows += undo.length >> 1;
    }
    const table = this.#table;
    while (rows < rowsMax && this.#cursor < this.#limit) {
      const slot = this.#cursor++;
      if ((this.#marks[slot] & DONE) !== 0 || !table.isLive(slot)) continue;
      const bytes = table.page(slot).bytes;
      const keyAt = table.keyOffset(slot);
      const valueAt = table.offset(slot);
      visit(bytes, keyAt, keyAt + table.keyLength(slot), bytes, valueAt, valueAt + table.length(slot));
      rows++;
    }
    return rows > 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#undo = [];
    this.#onClose(this);
    const cold = this.cold;
    this.cold = null;
    // Closing a LevelDB iterator cannot fail in a way a reader could act on; the database's close reports what matters.
    if (cold !== null) cold.close().catch(() => undefined);
  }
}
