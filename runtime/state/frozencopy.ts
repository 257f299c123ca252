/**
 * The copy of what a checkpoint froze, made while the task goes on: a task must not stop for as long as a large changed state takes to copy.
 *
 * At the barrier every table begins a walk over its changed entries (statetable.ts), and the first of them are copied at once: mostly that is all.
 * The rest follows in slices between the task's steps, as fast as their blocks are taken: a large copy is never whole in memory. An entry that the
 * task is about to change before the walk has come to it is copied first, by the table: so every entry is copied as it was at the barrier. An entry
 * that the walk had passed before may stand there twice, with the same value.
 *
 * Cost: as of copying at once, and one comparison at an entry's first change after the barrier.
 */
import { EntryWriter, type EntryBlock } from '../../storage/checkpoint/format.js';
import type { FreezeWalk, HashStateTable } from './statetable.js';

/** Named limits of a slice: what takes one or two milliseconds. An entry of a large table is in no cache: half a microsecond. */
const SLICE_ENTRIES = 4 * 1024;
const SLICE_BYTES = 2 * 1024 * 1024;
const STEPS = 1024;

export class FrozenCopy {
  #blocks: EntryBlock[] = [];
  readonly #parts: { readonly table: HashStateTable; readonly walk: FreezeWalk; readonly kept: EntryWriter }[] = [];
  readonly #walked = this.#writer();
  #at = 0;

  /** Right after `cut` of every table. `since` null: everything, not only what changed after that interval. */
  constructor(tables: Iterable<HashStateTable>, since: number | null) {
    for (const table of tables) {
      const kept = this.#writer();
      kept.table(table.tableId);
      this.#parts.push({ table, kept, walk: table.beginFreeze(since, kept) });
    }
  }

  /** One slice; false when everything is copied. */
  more(): boolean {
    let entries = SLICE_ENTRIES;
    const bytes = this.#walked.written + SLICE_BYTES;
    for (; this.#at < this.#parts.length; this.#at++) {
      const { table, walk } = this.#parts[this.#at];
      this.#walked.table(table.tableId);
      while (table.freezing(walk)) {
        if (entries <= 0 || this.#walked.written > bytes) return true;
        entries -= STEPS;
        table.freezeSome(walk, STEPS, this.#walked);
      }
    }
    return false;
  }

  /** Blocks filled since the last call. */
  take(): EntryBlock[] {
    const blocks = this.#blocks;
    this.#blocks = [];
    return blocks;
  }

  /** After `more` gave false: the last blocks are there to be taken. */
  finish(): { readonly entries: number; readonly bytes: number } {
    const writers = [this.#walked, ...this.#parts.map((p) => p.kept)];
    for (const w of writers) w.finish();
    return { entries: writers.reduce((n, w) => n + w.entries, 0), bytes: writers.reduce((n, w) => n + w.bytes, 0) };
  }

  #writer(): EntryWriter { return new EntryWriter((block) => { this.#blocks.push(block); }); }

  /** The checkpoint was given up. */
  cancel(): void {
    for (const { table, walk } of this.#parts) table.endFreeze(walk);
    this.#at = this.#parts.length;
  }
}
