/**
 * Compaction of one task's checkpoint files: a chain is a base and the deltas after it, and it is made shorter when it got long or its deltas outgrew the base.
 *
 *   new base     with LevelDB: its entries at the applied state; in memory: the old base's but those that deltas have anew, then the deltas'
 *   merge        otherwise: the newest deltas become one, so that a byte is rewritten a logarithmic number of times
 *
 * Only files up to the applied state are touched; what replaces them is put into every chain that has them. Runs in the background, once at a time.
 */
import type { EntryBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import type { Kv } from '../../storage/kv.js';
import { SqlError } from '../../types/error.js';
import { EntryMerger } from './merge.js';
import { MERGE_BYTES_MAX, stateFileHeader, type Applied, type StoredState, type StoredStateOptions } from './storedstate.js';
import type { TaskFiles } from './taskfiles.js';

/** Named limit: files of a checkpoint of one task before they are merged. */
const CHAIN_FILES_MAX = 20;
/** Deltas are at most this many times their base before a new base is written, whatever the number of files. */
const DELTA_SHARE_MAX = 8;
/** Deltas below this are not worth a new base. */
const BASE_BYTES_MIN = 256 * 1024;

export interface CompactionOptions extends StoredStateOptions {
  readonly kv: Kv | null;
  readonly onBackgroundError?: (error: unknown) => void;
}

export class Compaction {
  readonly #o: CompactionOptions;
  readonly #stored: StoredState | null;
  readonly #chains: Map<number, readonly FileRef[]>;
  readonly #applied: Applied;
  readonly #files: TaskFiles;
  readonly #wantFull: () => void;
  #running: Promise<void> | null = null;
  /** A file of the chain turned out damaged: a new base, as soon as it can be. */
  #damaged = false;

  /** `chains`: files by checkpoint, shared with the TaskState, as is `applied`. `wantFull`: the next checkpoint must be a base, since nothing else can make one. */
  constructor(options: CompactionOptions, stored: StoredState | null, chains: Map<number, readonly FileRef[]>, applied: Applied, files: TaskFiles, wantFull: () => void) {
    this.#o = options;
    this.#stored = stored;
    this.#chains = chains;
    this.#applied = applied;
    this.#files = files;
    this.#wantFull = wantFull;
  }

  async settled(): Promise<void> { await this.#running; }

  /** After an apply, while LevelDB is exactly at the applied state: the snapshot is taken before this returns. */
  start(completed: number): void {
    if (this.#running !== null) return;
    const chain = this.#chains.get(completed) ?? [];
    const end = chain.findIndex((ref) => ref.state === this.#applied.state);
    if (end < 1) return;
    const part = chain.slice(0, end + 1);
    const work = this.#work(part, part[end].state);
    if (work === null) return;
    this.#running = work.then((files) => {
      for (const ref of files) if (!part.includes(ref)) this.#files.replacement(ref);
      this.#replace(part[end].state, files);
      this.#damaged = false;
    })
      .catch((e: unknown) => {
        if (this.#files.closed) return;
        // A damaged file makes all checkpoints that refer to it worthless: memory, or LevelDB, has what is in it.
        if (e instanceof SqlError && e.code === 'XX001') this.#damaged = true;
        if (this.#damaged && this.#o.kv === null) this.#wantFull();
        this.#o.onBackgroundError?.(e);
      })
      .finally(() => { this.#running = null; });
  }

  #work(part: readonly FileRef[], state: string): Promise<readonly FileRef[]> | null {
    const { kv } = this.#o;
    const stored = this.#stored;
    const [{ bytes: baseBytes }] = part;
    let deltaBytes = 0;
    for (const ref of part.slice(1)) deltaBytes += ref.bytes;
    if (!this.#damaged && part.length <= CHAIN_FILES_MAX && deltaBytes <= Math.max(baseBytes * DELTA_SHARE_MAX, BASE_BYTES_MIN)) return null;
    const newBase = (this.#damaged && kv !== null) || deltaBytes > Math.max(baseBytes, BASE_BYTES_MIN);
    if (!newBase) return this.#mergeDeltas(part);
    return kv !== null && stored !== null ? stored.writeBase(kv.snapshot(), state).then((ref) => [ref]) : this.#mergeAll(part);
  }

  /** From the first delta that is not much larger than all after it. */
  async #mergeDeltas(part: readonly FileRef[]): Promise<readonly FileRef[]> {
    let first = part.length - 1;
    let bytes = part[first].bytes;
    while (first > 1 && (part[first - 1].bytes <= bytes * 2 || first + 3 > part.length) && bytes + part[first - 1].bytes <= MERGE_BYTES_MAX) bytes += part[--first].bytes;
    const deltas = part.slice(first);
    const checkpoint = this.#applied.checkpoint;
    const tableSizes = this.#applied.sizes;
    const merger = new EntryMerger();
    for (const ref of deltas) for await (const block of this.#o.storage.readStateFile(ref)) merger.add(block);
    const counter = { entries: 0 };
    const merged = await this.#files.write({
      header: stateFileHeader(this.#o, 'delta', checkpoint, part[first - 1].checkpoint), state: deltas[deltas.length - 1].state, ...(this.#stored === null ? {} : { applied: true as const }),
      covers: deltas.flatMap((ref) => [ref.state, ...(ref.covers ?? [])]),
      blocks: merger.finish(counter), end: () => ({ entries: counter.entries, tableSizes }),
    });
    return [...part.slice(0, first), merged];
  }

  /** Memory: the deltas. */
  async #mergeAll(part: readonly FileRef[]): Promise<readonly FileRef[]> {
    const { storage } = this.#o;
    const { checkpoint, sizes: tableSizes } = this.#applied;
    const merger = new EntryMerger();
    for (const ref of part.slice(1)) for await (const block of storage.readStateFile(ref)) merger.add(block);
    const counter = { entries: 0 };
    async function* blocks(): AsyncGenerator<EntryBlock> {
      for await (const block of storage.readStateFile(part[0])) yield* merger.others(block, counter);
      yield* merger.finish(counter);
    }
    return [await this.#files.write({ header: stateFileHeader(this.#o, 'base', checkpoint, 0), state: part[part.length - 1].state, blocks: blocks(), end: () => ({ entries: counter.entries, tableSizes }) })];
  }

  /** Puts `files` in place of everything up to the file of `state`, in all chains that have it. */
  #replace(state: string, files: readonly FileRef[]): void {
    for (const [id, chain] of this.#chains) {
      const at = chain.findIndex((ref) => ref.state === state);
      if (at >= 0) this.#chains.set(id, [...files, ...chain.slice(at + 1)]);
    }
  }
}
