/**
 * StoredState: one task's entries in LevelDB, and which state of its checkpoints they are at.
 *
 *   apply     writes entries in small batches between the stamps `applying` (from a state, to a state) and `applied`. LevelDB's log keeps
 *             order, so after any crash the entries are at the stamp's state, or somewhere on the way to it
 *   catchUp   at a state of the chain: what follows it is applied; half applied: everything after the state it started from, again
 *   rebuild   otherwise: the task's range is emptied and filled from base and deltas
 */
import { BlockCursor, EntryWriter, type EntryBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { Kv, KvSnapshot } from '../../storage/kv.js';
import { HASH_VERSION } from '../../types/encoding/hash.js';
import { scratchContent, scratchInterval } from './coldstore.js';
import { NODES_TABLE } from './grouptable.js';
import { deleteStamp, entryKey, putStamp, readStamp, tableRange, tablesPresent, TABLES_PER_NODE, wipe } from './keyspace.js';
import { EntryMerger } from './merge.js';
import type { RestoreProgress } from './restoreprogress.js';
import type { TaskFiles } from './taskfiles.js';

/** Named limit: operations of one LevelDB batch of an apply; building one blocks the task's thread for about two milliseconds. */
export const APPLY_OPERATIONS = 500;
/** Named limit: bytes of delta files merged in memory. */
export const MERGE_BYTES_MAX = 128 * 1024 * 1024;

export interface StoredStateOptions {
  /** Name of the task, unique in the job and the same after a restart, e.g. `3.0`. */
  readonly task: string;
  readonly nodeIds: readonly number[];
  readonly keyGroupFirst: number;
  readonly keyGroupLast: number;
  readonly maxParallelism: number;
  readonly storage: CheckpointStorage;
}

export interface Applied { state: string; checkpoint: number; sizes: Readonly<Record<string, number>> }

export function stateFileHeader(o: StoredStateOptions, kind: FileRef['kind'], checkpoint: number, since: number): { kind: FileRef['kind']; task: string; checkpoint: number; since: number; maxParallelism: number; hashVersion: number } {
  return { kind, task: o.task, checkpoint, since, maxParallelism: o.maxParallelism, hashVersion: HASH_VERSION };
}

/** True when the entry belongs to the task: its nodes, its key groups. */
export function isOwnEntry(o: StoredStateOptions, tableId: number, keyGroup: number): boolean {
  const node = Math.floor((tableId >= NODES_TABLE ? tableId - NODES_TABLE : tableId) / TABLES_PER_NODE);
  return keyGroup >= o.keyGroupFirst && keyGroup <= o.keyGroupLast && o.nodeIds.includes(node);
}

export class StoredState {
  readonly #o: StoredStateOptions;
  readonly #kv: Kv;
  readonly #progress: RestoreProgress;
  readonly #files: TaskFiles;
  /** What the entries are at; shared with the TaskState. */
  readonly applied: Applied;

  constructor(options: StoredStateOptions, kv: Kv, applied: Applied, files: TaskFiles, progress: RestoreProgress) {
    this.#o = options;
    this.#kv = kv;
    this.#files = files;
    this.#progress = progress;
    this.applied = applied;
  }

  /** Writes entries between stamps; `keep` filters (a restore of other key groups). */
  async apply(blocks: AsyncIterable<EntryBlock>, to: { checkpoint: number; state: string; tableSizes: Readonly<Record<string, number>> }, keep: ((c: BlockCursor) => boolean) | null = null): Promise<void> {
    let batch = this.#kv.batch();
    const from = this.applied.state;
    putStamp(batch, this.#o.task, { status: 'applying', from, ...to });
    for await (const block of blocks) {
      const cursor = new BlockCursor(block);
      while (cursor.next()) {
        if (keep !== null && !keep(cursor)) continue;
        const key = entryKey(cursor.tableId, cursor.keyGroup, block, cursor.keyStart, cursor.keyEnd);
        if (cursor.valueStart < 0) batch.del(key);
        else batch.put(key, Buffer.from(block.buffer, block.byteOffset + cursor.valueStart, cursor.valueEnd - cursor.valueStart));
        if (batch.length >= APPLY_OPERATIONS) {
          await batch.write(false);
          batch = this.#kv.batch();
        }
      }
    }
    putStamp(batch, this.#o.task, { status: 'applied', from, ...to });
    await batch.write(false);
    this.applied.state = to.state;
  }

  async writeBase(snapshot: KvSnapshot, state: string): Promise<FileRef> {
    const tableSizes = this.applied.sizes;
    const checkpoint = this.applied.checkpoint;
    const counter = { entries: 0 };
    try {
      return await this.#files.write({
        header: stateFileHeader(this.#o, 'base', checkpoint, 0), state, applied: true, blocks: this.blocks(snapshot, 0, null, counter), end: () => ({ entries: counter.entries, tableSizes }),
      });
    } finally {
      snapshot.close();
    }
  }

  /** Entries of the task in a LevelDB snapshot as blocks: the tables (`offset` 0), or of the scratch copies those after `sinceInterval`. */
  async *blocks(snapshot: KvSnapshot, offset: number, scratch: { readonly tables: readonly number[]; readonly sinceInterval: number } | null, counter: { entries: number }): AsyncGenerator<EntryBlock> {
    let ready: EntryBlock[] = [];
    const writer = new EntryWriter((block) => { ready.push(block); });
    for (const tableId of scratch?.tables ?? await tablesPresent(this.#kv, this.#o.nodeIds, false)) {
      writer.table(tableId);
      const iterator = this.#kv.iterate(tableRange(tableId + offset, this.#o.keyGroupFirst, this.#o.keyGroupLast), snapshot);
      try {
        for (let part = await iterator.next(1000); part.length > 0; part = await iterator.next(1000)) {
          for (const [key, value] of part) {
            if (scratch !== null && scratchInterval(value) <= scratch.sinceInterval) continue;
            const content = scratch === null ? value : scratchContent(value);
            writer.put((key[4] << 8) | key[5], key, 6, key.length, content ?? key, content === null ? -1 : 0, content === null ? -1 : content.length);
          }
          yield* ready;
          ready = [];
        }
      } finally {
        await iterator.close();
      }
    }
    writer.finish();
    yield* ready;
    counter.entries += writer.entries;
  }

  /** True when LevelDB stood at a state of the chain and is now at its end. */
  async catchUp(files: readonly FileRef[]): Promise<boolean> {
    const stamp = await readStamp(this.#kv, this.#o.task);
    if (stamp === null) return files.length === 0 && (await tablesPresent(this.#kv, this.#o.nodeIds, false)).length === 0;
    const next = (state: string): number => {
      const exact = files.findIndex((ref) => ref.state === state);
      // Inside a merged delta: the whole of it, as its values are absolute.
      return exact >= 0 ? exact + 1 : files.findIndex((ref) => ref.covers?.includes(state) === true);
    };
    let first = next(stamp.state);
    if (first < 0) return false;
    // Half applied: everything after the state it started from, again.
    if (stamp.status === 'applying') first = stamp.from === '' ? 0 : next(stamp.from);
    if (first < 0) return false;
    this.applied.state = stamp.status === 'applying' ? stamp.from : stamp.state;
    this.applied.sizes = stamp.tableSizes;
    this.#progress.begin('files', files.slice(first));
    await this.#applyFiles(files.slice(first), null);
    if (first === files.length) this.applied.state = files[first - 1].state;
    return true;
  }

  /** Deltas are merged first, as far as memory allows: a hot key is in all of them. */
  async #applyFiles(files: readonly FileRef[], keep: ((c: BlockCursor) => boolean) | null): Promise<void> {
    for (let at = 0; at < files.length;) {
      let end = at + 1;
      let bytes = files[at].bytes;
      while (files[at].kind === 'delta' && end < files.length && files[end].kind === 'delta' && bytes + files[end].bytes <= MERGE_BYTES_MAX) bytes += files[end++].bytes;
      await this.#applyRun(files.slice(at, end), keep);
      at = end;
    }
  }

  async #applyRun(run: readonly FileRef[], keep: ((c: BlockCursor) => boolean) | null): Promise<void> {
    const { storage } = this.#o;
    const progress = this.#progress;
    const last = run[run.length - 1];
    let sizes = this.applied.sizes;
    async function* blocks(): AsyncGenerator<EntryBlock> {
      const merger = run.length > 1 ? new EntryMerger() : null;
      for (const ref of run) {
        for await (const block of progress.reading(ref, storage.readStateFile(ref, (end) => { sizes = end.tableSizes; }))) {
          if (merger === null) yield block;
          else merger.add(block);
        }
      }
      if (merger !== null) yield* merger.finish({ entries: 0 });
    }
    // The sizes come with the file's end, the stamp `applied` after it.
    await this.apply(blocks(), { checkpoint: last.checkpoint, state: last.state, get tableSizes() { return sizes; } }, keep);
    this.applied.sizes = sizes;
  }

  async rebuild(files: readonly FileRef[]): Promise<void> {
    await this.wipe();
    this.applied.state = '';
    this.#progress.begin('files', files);
    await this.#applyFiles(files, (c) => isOwnEntry(this.#o, c.tableId, c.keyGroup));
  }

  async wipe(): Promise<void> {
    await deleteStamp(this.#kv, this.#o.task);
    await wipe(this.#kv, this.#o.nodeIds, this.#o.keyGroupFirst, this.#o.keyGroupLast, false);
  }

  /** The entries, rebuilt from other tasks' files, are at a state of their own now: a base of it, and its stamp. */
  async ownBase(state: string): Promise<FileRef> {
    const { checkpoint, sizes } = this.applied;
    const ref = await this.writeBase(this.#kv.snapshot(), state);
    const batch = this.#kv.batch();
    putStamp(batch, this.#o.task, { status: 'applied', checkpoint, state, from: '', tableSizes: sizes });
    await batch.write(false);
    this.applied.state = state;
    return ref;
  }
}
