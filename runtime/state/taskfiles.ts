/**
 * The state files that one task writes: what is being written or removed, and which files no completed checkpoint names yet.
 *
 *   a delta, base or log file of checkpoint N    is removed when N is given up: TaskState and LogFiles know it by N
 *   a file that replaces others (a compaction)   is named by the checkpoints after it. Until one of them completes it is the task's to remove, as
 *                                                soon as no chain has it any more: it was replaced in turn, or its rows were trimmed meanwhile
 *
 * When the task is closed, what is being written ends with its next block, and leaves nothing.
 */
import type { EntryBlock, SplitBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import type { StateFileSource } from '../../storage/checkpoint/statefile.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { SqlError } from '../../types/error.js';

type Storage = Pick<CheckpointStorage, 'writeStateFile' | 'removeStateFile'>;

export class TaskFiles {
  readonly #storage: Storage;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Replacements that no completed checkpoint names, by path. */
  readonly #unnamed = new Map<string, FileRef>();
  #closed = false;

  constructor(storage: Storage) { this.#storage = storage; }

  get closed(): boolean { return this.#closed; }
  close(): void { this.#closed = true; }

  /** Rejects with 57014 when the task is closed meanwhile. */
  write(source: StateFileSource): Promise<FileRef> { return this.#storage.writeStateFile({ ...source, blocks: this.#untilClosed(source.blocks) }); }

  async *#untilClosed(blocks: StateFileSource['blocks']): AsyncGenerator<EntryBlock | SplitBlock> {
    for await (const block of blocks) {
      if (this.#closed) throw new SqlError('57014', 'the task was stopped');
      yield block;
    }
  }

  /** `settled` waits for the work; gives it back. */
  during<T>(work: Promise<T>): Promise<T> {
    const ended = work.catch(() => undefined).finally(() => { this.#underWay.delete(ended); });
    this.#underWay.add(ended);
    return work;
  }

  remove(ref: FileRef | null): Promise<void> {
    if (ref === null) return Promise.resolve();
    this.#unnamed.delete(ref.path);
    return this.during(this.#storage.removeStateFile(ref).catch(() => undefined)); // a leftover goes at the next start
  }

  replacement(ref: FileRef): void { this.#unnamed.set(ref.path, ref); }

  /** A checkpoint of these files is complete: its coordinator removes them. */
  named(files: readonly FileRef[]): void { for (const ref of files) this.#unnamed.delete(ref.path); }

  /** Removes the replacements that are in none of `used`. */
  sweep(used: readonly (readonly FileRef[])[]): void {
    if (this.#unnamed.size === 0) return;
    const paths = new Set(used.flatMap(files => files.map(ref => ref.path)));
    for (const [path, ref] of this.#unnamed) if (!paths.has(path)) void this.remove(ref);
  }

  /** Resolves when nothing is being written or removed. */
  async settled(): Promise<void> { while (this.#underWay.size > 0) await Promise.all(this.#underWay); }
}
