/**
 * LogFiles: the row logs of one task in checkpoints. What was added between two checkpoints is a range of positions of each log; a log
 * file holds them as entries: key = position (f64), value = the bytes. A checkpoint's log files, in order, are the logs' contents.
 *
 * Files whose rows are all trimmed leave the front of the chain. When there are many, the newest are written as one (each byte a logarithmic
 * number of times); large ones stay as they are: there is no base that grows with the state.
 */
import { BlockCursor, EntryWriter, singleEntry, type EntryBlock, type SplitBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import { assert } from '../../types/error.js';
import type { LogRange, RowLog } from './rowlog.js';
import { MERGE_BYTES_MAX, stateFileHeader, type StoredStateOptions } from './storedstate.js';
import type { TaskFiles } from './taskfiles.js';

/** Named limit: log files of a checkpoint before the newest are merged. */
const LOG_FILES_MAX = 20;

/** Where the rows of a restore come from. */
export interface LogSource {
  read(ref: FileRef): AsyncIterable<EntryBlock>;
  /** The log is one of this task's. */
  has(tableId: number): boolean;
  /** Of other tasks' logs: the row with this key is this task's. */
  keeps(tableId: number, data: Uint8Array, start: number, end: number): boolean;
}

interface Mark { readonly begin: number; readonly end: number; readonly rows: number }
type Marks = ReadonlyMap<number, Mark>;

/** What a barrier froze of the logs. */
export interface FrozenLogs {
  readonly since: number;
  readonly whole: boolean;
  readonly ranges: readonly { readonly log: RowLog; readonly ranges: readonly LogRange[] }[];
  readonly marks: Marks;
  readonly bytes: number;
  readonly rows: number;
  ref: FileRef | null;
}

export class LogFiles {
  readonly #o: StoredStateOptions;
  readonly #files: TaskFiles;
  readonly #logs: ReadonlyMap<number, RowLog>;
  readonly #chains = new Map<number, readonly FileRef[]>([[0, []]]);
  /** Where each log was at a checkpoint. */
  readonly #marks = new Map<number, Marks>([[0, new Map()]]);
  readonly #frozen = new Map<number, FrozenLogs>();
  #completed = 0;
  #merging: Promise<void> | null = null;
  readonly #onError: ((error: unknown) => void) | undefined;

  constructor(options: StoredStateOptions, files: TaskFiles, logs: ReadonlyMap<number, RowLog>, onError: ((error: unknown) => void) | undefined) {
    this.#o = options;
    this.#files = files;
    this.#logs = logs;
    this.#onError = onError;
  }

  /** At barrier N: what was added since checkpoint `since`, or all that is there (`whole`). Nothing is copied. */
  freeze(checkpointId: number, since: number, whole = false): FrozenLogs {
    const before = whole ? new Map<number, Mark>() : this.#marks.get(since);
    assert(before !== undefined, `logs of checkpoint ${since} are not known to task ${this.#o.task}`);
    const ranges: { log: RowLog; ranges: LogRange[] }[] = [];
    const marks = new Map<number, Mark>();
    let bytes = 0;
    let rows = 0;
    for (const [tableId, log] of this.#logs) {
      marks.set(tableId, { begin: log.begin, end: log.position, rows: log.added });
      const captured = log.capture(Math.max(before.get(tableId)?.end ?? 0, whole ? log.begin : 0));
      for (const range of captured) bytes += range.length;
      rows += log.added - (before.get(tableId)?.rows ?? 0);
      ranges.push({ log, ranges: captured });
    }
    const frozen: FrozenLogs = { since, whole, ranges, marks, bytes, rows, ref: null };
    this.#marks.set(checkpointId, marks);
    this.#frozen.set(checkpointId, frozen);
    return frozen;
  }

  /** Writes what was frozen; resolves with all log files of the checkpoint. */
  async write(checkpointId: number, frozen: FrozenLogs): Promise<readonly FileRef[]> {
    try {
      if (frozen.bytes > 0) {
        const ends: Record<string, number> = {};
        for (const { log, ranges } of frozen.ranges) if (ranges.length > 0) ends[log.tableId] = frozen.marks.get(log.tableId)?.end ?? 0;
        frozen.ref = await this.#files.write({
          header: stateFileHeader(this.#o, 'log', checkpointId, frozen.since), ends, blocks: rangeBlocks(frozen.ranges), end: () => ({ entries: frozen.rows, tableSizes: {} }),
        });
      }
    } finally {
      for (const { log } of frozen.ranges) log.release();
    }
    if (this.#files.closed || this.#frozen.get(checkpointId) !== frozen) {
      // Given up while it was written: nobody will refer to the file.
      await this.#files.remove(frozen.ref);
      return [];
    }
    // Read only now: the files of `since` may have been merged meanwhile.
    const chain = frozen.whole ? [] : this.#chains.get(frozen.since) ?? [];
    const files = frozen.ref === null ? chain : [...chain, frozen.ref];
    const kept = files.slice(files.findIndex((ref) => !trimmed(ref, frozen.marks)));
    this.#chains.set(checkpointId, files.every((ref) => trimmed(ref, frozen.marks)) ? [] : kept);
    return this.#chains.get(checkpointId) ?? [];
  }

  /** `needed`: the oldest checkpoint that one in progress reaches back to. */
  completed(checkpointId: number, needed: number): void {
    this.#completed = checkpointId;
    for (const map of [this.#chains, this.#marks]) for (const id of map.keys()) if (id < needed) map.delete(id);
    this.#frozen.delete(checkpointId);
    this.#startMerge();
  }

  aborted(checkpointId: number): void {
    const frozen = this.#frozen.get(checkpointId);
    if (frozen === undefined) return;
    this.#frozen.delete(checkpointId);
    this.#chains.delete(checkpointId);
    this.#marks.delete(checkpointId);
    void this.#files.remove(frozen.ref);
  }

  /** Of each checkpoint that is not over. */
  chains(): (readonly FileRef[])[] { return [...this.#chains.values()]; }

  /** Resolves when no merge is running. */
  async settled(): Promise<void> {
    await this.#merging;
    for (const log of this.#logs.values()) await log.settled();
  }

  // ---- fewer files ----

  #startMerge(): void {
    const chain = this.#chains.get(this.#completed) ?? [];
    const marks = this.#marks.get(this.#completed);
    if (this.#merging !== null || chain.length <= LOG_FILES_MAX || marks === undefined) return;
    // From the first that is not much larger than all after it.
    let first = chain.length - 1;
    let bytes = chain[first].bytes;
    while (first > 0 && (chain[first - 1].bytes <= bytes * 2 || first + 3 > chain.length) && bytes + chain[first - 1].bytes <= MERGE_BYTES_MAX) bytes += chain[--first].bytes;
    const run = chain.slice(first);
    if (run.length < 2) return;
    this.#merging = this.#merge(run, marks).then((merged) => {
      this.#files.replacement(merged);
      this.#replace(run, merged);
    })
      .catch((e: unknown) => { if (!this.#files.closed) this.#onError?.(e); })
      .finally(() => { this.#merging = null; });
  }

  async #merge(run: readonly FileRef[], marks: Marks): Promise<FileRef> {
    const ends: Record<string, number> = {};
    for (const ref of run) Object.assign(ends, ref.ends);
    const { storage } = this.#o;
    async function* blocks(): AsyncGenerator<EntryBlock> {
      let ready: EntryBlock[] = [];
      const writer = new EntryWriter((block) => { ready.push(block); });
      for (const ref of run) {
        for await (const block of storage.readStateFile(ref)) {
          const cursor = new BlockCursor(block);
          writer.table(cursor.tableId);
          while (cursor.next()) {
            const mark = marks.get(cursor.tableId);
            if (mark === undefined || positionOf(cursor) + cursor.valueEnd - cursor.valueStart <= mark.begin) continue;
            writer.entry(cursor.keyGroup, block, cursor.keyStart, cursor.keyEnd, cursor.valueStart, cursor.valueEnd);
          }
          yield* ready;
          ready = [];
        }
      }
      writer.finish();
      yield* ready;
    }
    const last = run[run.length - 1];
    return await this.#files.write({
      header: stateFileHeader(this.#o, 'log', last.checkpoint, run[0].checkpoint), ends, blocks: blocks(),
      end: () => ({ entries: run.reduce((n, ref) => n + ref.entries, 0), tableSizes: {} }),
    });
  }

  /** Puts `merged` in place of the run, in all chains that have the whole of it: one that branched off inside it has its rows otherwise. */
  #replace(run: readonly FileRef[], merged: FileRef): void {
    const paths = new Set(run.map((ref) => ref.path));
    for (const [id, chain] of this.#chains) {
      const at = chain.findIndex((ref) => paths.has(ref.path));
      if (at >= 0 && chain.filter((ref) => paths.has(ref.path)).length === run.length) this.#chains.set(id, [...chain.slice(0, at), merged, ...chain.slice(at).filter((ref) => !paths.has(ref.path))]);
    }
  }

  // ---- restore ----

  /** Puts the rows of a checkpoint's log files back. `own`: the files are this task's, otherwise its rows are picked from those of others. */
  async restore(checkpointId: number, files: readonly FileRef[], own: boolean, from: LogSource, log: (tableId: number) => RowLog, relieve: () => Promise<void> | null): Promise<void> {
    for (const ref of files) {
      for await (const block of from.read(ref)) {
        const cursor = new BlockCursor(block);
        if (!from.has(cursor.tableId)) continue;
        const into = log(cursor.tableId);
        const keep = (data: Uint8Array, start: number, end: number): boolean => from.keeps(cursor.tableId, data, start, end);
        while (cursor.next()) {
          const bytes = block.subarray(cursor.valueStart, cursor.valueEnd);
          if (own) into.restore(positionOf(cursor), bytes);
          else into.merge(bytes, keep);
        }
        await relieve();
      }
    }
    this.#completed = checkpointId;
    this.#chains.set(checkpointId, own ? files : []);
    this.#marks.set(checkpointId, own ? this.#now() : new Map());
    if (own || ![...this.#logs.values()].some((l) => l.added > 0)) return;
    // Files of other tasks: from now on this task has a file of its own.
    const frozen = this.freeze(checkpointId, checkpointId);
    await this.write(checkpointId, frozen);
    this.#frozen.delete(checkpointId);
  }

  #now(): Marks { return new Map([...this.#logs].map(([id, log]) => [id, { begin: log.begin, end: log.position, rows: log.added }])); }
}

/** True when nobody needs any row of the file. */
function trimmed(ref: FileRef, marks: Marks): boolean {
  for (const [tableId, end] of Object.entries(ref.ends ?? {})) {
    const mark = marks.get(Number(tableId));
    if (mark !== undefined && end > mark.begin) return false;
  }
  return true;
}

function positionOf(cursor: BlockCursor): number {
  return new DataView(cursor.block.buffer, cursor.block.byteOffset + cursor.keyStart, 8).getFloat64(0, true);
}

async function* rangeBlocks(logs: FrozenLogs['ranges']): AsyncGenerator<SplitBlock> {
  for (const { log, ranges } of logs) {
    for (const range of ranges) {
      const key = new Uint8Array(8);
      new DataView(key.buffer).setFloat64(0, range.position, true);
      yield singleEntry(log.tableId, 0, key, await log.read(range));
    }
  }
}
