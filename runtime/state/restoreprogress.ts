/** RestoreProgress: how far a task is that gets its state back; a row of millrace.restore_progress until the task runs. */
import type { EntryBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';

/** In this order; a task passes only those that it needs. `files`: what LevelDB lacks (or all, in the memory backend). */
export type RestorePhase = 'waiting' | 'files' | 'memory' | 'row logs' | 'base file' | 'opening';

export class RestoreProgress {
  phase: RestorePhase = 'waiting';
  /** Of the phase's files: 0 of 0 in a phase that reads none. */
  bytesDone = 0;
  bytesTotal = 0;
  /** Entries of state tables read from LevelDB into memory; `entriesTotal`: all of the task's, which need not fit there; null where it is not known beforehand. */
  entriesDone = 0;
  entriesTotal: number | null = null;

  begin(phase: RestorePhase, files: readonly FileRef[] = []): void {
    this.phase = phase;
    this.bytesDone = 0;
    this.bytesTotal = files.reduce((bytes, ref) => bytes + ref.bytes, 0);
  }

  /** The blocks of one of the phase's files, counted as they are taken. */
  async *reading(ref: FileRef, blocks: AsyncIterable<EntryBlock>): AsyncGenerator<EntryBlock> {
    const before = this.bytesDone;
    for await (const block of blocks) {
      this.bytesDone += block.length;
      yield block;
    }
    this.bytesDone = before + ref.bytes;
  }

  /** The same source of files, counted. */
  watching<S extends { read(ref: FileRef): AsyncIterable<EntryBlock> }>(source: S): S {
    return { ...source, read: (ref: FileRef) => this.reading(ref, source.read(ref)) };
  }
}
