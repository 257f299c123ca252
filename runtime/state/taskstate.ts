/**
 * TaskState: the state of one task: its tables and logs (tasktables.ts), their checkpoints, and their place in LevelDB.
 *
 *   freeze(N, C)   at barrier N: copies everything changed since the last completed checkpoint C into entry blocks; what takes more than a
 *                  moment goes on while the task does (frozencopy.ts)
 *   write          in the background: one delta file; the checkpoint's files are those of C and this one
 *   completed(N)   from now on N is what deltas reach back to; its delta is queued for LevelDB
 *   apply          several completed deltas at once (hot keys are written once), in small batches between the stamps `applying` and
 *                  `applied`. LevelDB's log keeps order, so after any crash LevelDB is at the state that the stamp names, or between two.
 *                  Entries become clean, and may be evicted, only then.
 *   compaction     after an apply: many deltas are merged into one file, or a new base is written from a LevelDB snapshot
 *   maintain       between batches: evicts above the memory share; when too much is dirty asks for a checkpoint; far above it spills
 *                  dirty entries to the scratch keyspace, which recovery discards
 *   restore        LevelDB at a state of the chain: the deltas after it are applied; otherwise the task's entries are rebuilt from the files
 *
 * The memory backend keeps everything in memory and has files only. All methods run on the task's thread.
 */
import { BlockCursor, EntryWriter, type EntryBlock } from '../../storage/checkpoint/format.js';
import type { FileRef, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import { clearRange, type Kv, type KvSnapshot } from '../../storage/kv.js';
import { systemEnv } from '../../types/env.js';
import { assert, SqlError } from '../../types/error.js';
import { Compaction } from './compaction.js';
import { FrozenCopy } from './frozencopy.js';
import { LogFiles, type FrozenLogs } from './logfiles.js';
import { SCRATCH, tableRange, tablesPresent, wipe } from './keyspace.js';
import { EntryMerger } from './merge.js';
import { loadMoved, logSource, storeMoved, type Moved } from './moved.js';
import { RestoreProgress } from './restoreprogress.js';
import type { RowLog } from './rowlog.js';
import { isOwnEntry, StoredState, stateFileHeader, type Applied, type StoredStateOptions } from './storedstate.js';
import type { GroupTable, StateTable } from './table.js';
import { TaskFiles } from './taskfiles.js';
import { TaskTables, type TableStats, type TaskTablesOptions } from './tasktables.js';

/** Completed deltas wait for LevelDB (a hot key is then written once for all of them) until they have this many bytes, or a quarter of the memory share … */
const APPLY_BYTES_MAX = 64 * 1024 * 1024;
/** … or this many checkpoints … */
const APPLY_CHECKPOINTS_MAX = 16;
/** … or this age. */
const APPLY_DELAY_MS = 30000;
/** Named limit: bytes of frozen blocks kept for their apply; larger ones are read back from their file. */
const KEEP_BLOCKS_BYTES = 16 * 1024 * 1024;
/** Entries read from LevelDB at a time when a task's tables are loaded. */
const LOAD_ENTRIES = 2000;

export interface TaskStateOptions extends StoredStateOptions, TaskTablesOptions {
  /** null: state_backend memory. */
  readonly kv: Kv | null;
  /** Share of state_memory in bytes. */
  readonly memoryBytes: number;
  /** Too much is dirty: a checkpoint would help. Called once until the next freeze. */
  readonly onDirtyLimit?: () => void;
  /** An apply or a compaction failed; it is tried again after the next completed checkpoint. */
  readonly onBackgroundError?: (error: unknown) => void;
  /** Wall clock, ms. */
  readonly now?: () => number;
  /** A turn for others, between slices of a long copy. */
  readonly turn?: () => Promise<void>;
  /** Only views are read (a finished job): row logs stay in their files. */
  readonly readOnly?: boolean;
  /** Told of a restore's steps. */
  readonly progress?: RestoreProgress;
}

/** What a barrier froze. */
export interface FrozenState {
  readonly checkpointId: number;
  /** C that the delta reaches back to (the barrier's, or a newer one completed since). */
  readonly since: number;
  /** Entries and bytes: known when `write` has resolved. */
  readonly entries: number;
  readonly bytes: number;
  /** Of the synchronous part. */
  readonly freezeMs: number;
}

interface Frozen extends FrozenState {
  entries: number;
  bytes: number;
  freezeMs: number;
  /** Null when everything is copied. */
  copy: FrozenCopy | null;
  readonly interval: number;
  readonly full: boolean;
  /** A base: LevelDB's entries at `since` come before the blocks. */
  readonly onto: boolean;
  blocks: EntryBlock[] | null;
  /** Of state tables alone. */
  keyed: { readonly entries: number; readonly bytes: number };
  readonly sizes: Readonly<Record<string, number>>;
  readonly scratch: { readonly snapshot: KvSnapshot; readonly tables: readonly number[]; readonly sinceInterval: number } | null;
  readonly logs: FrozenLogs;
  ref: FileRef | null;
  /** The checkpoint's, as far as they are known; `written`: all are. */
  readonly files: FileRef[];
  written: boolean;
  writing: boolean;
  completedMs: number;
}

/** The last slice was copied. */
function copied(frozen: Frozen, copy: FrozenCopy): void {
  frozen.copy = null;
  frozen.keyed = copy.finish();
  frozen.entries = frozen.keyed.entries + frozen.logs.rows;
  frozen.bytes = frozen.keyed.bytes + frozen.logs.bytes;
}

function givenUp(checkpointId: number): SqlError { return new SqlError('57014', `checkpoint ${checkpointId} was given up`); }

export class TaskState {
  readonly #o: TaskStateOptions;
  readonly #tables: TaskTables;
  readonly files: TaskFiles;
  readonly #logFiles: LogFiles;
  readonly #progress: RestoreProgress;
  readonly #now: () => number;
  readonly #turn: () => Promise<void>;

  #completed = 0;
  /** Interval that a checkpoint's barrier ended. */
  readonly #intervals = new Map<number, number>([[0, 0]]);
  readonly #chains = new Map<number, readonly FileRef[]>([[0, []]]);
  readonly #frozen = new Map<number, Frozen>();
  /** Savepoints among them, which newer checkpoints do not supersede. */
  readonly #kept = new Set<number>();
  #pending: Frozen[] = [];
  readonly #applied: Applied = { state: '', checkpoint: 0, sizes: {} };
  readonly #stored: StoredState | null;
  readonly #compaction: Compaction;
  /** Applies, compactions and spills, one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #applyQueued = false;
  #fullNext = false;
  #limitAsked = false;
  #allDirty = false;
  #spilling = false;

  private constructor(options: TaskStateOptions) {
    this.#o = options;
    this.#tables = new TaskTables(options);
    this.#progress = options.progress ?? new RestoreProgress();
    this.files = new TaskFiles(options.storage);
    this.#stored = options.kv === null ? null : new StoredState(options, options.kv, this.#applied, this.files, this.#progress);
    this.#compaction = new Compaction(options, this.#stored, this.#chains, this.#applied, this.files, () => { this.#fullNext = true; });
    this.#logFiles = new LogFiles(options, this.files, this.#tables.logs, options.onBackgroundError);
    this.#now = options.now ?? Date.now;
    this.#turn = options.turn ?? (() => systemEnv.turn());
  }

  // ---- tables ----

  stateTable(tableId: number): StateTable { return this.#tables.table(tableId); }
  groupTable(tableId: number, order: 'bag' | 'ordered'): GroupTable { return this.#tables.group(tableId, order); }
  rowLog(tableId: number): RowLog { return this.#tables.log(tableId); }

  // ---- checkpoint ----

  /** What was frozen for N is a savepoint's: only `aborted` ends it. */
  keep(checkpointId: number): void { this.#kept.add(checkpointId); }

  /**
   * Synchronous: right after the task handled barrier N. `since` = C of the barrier. `whole`: the checkpoint refers to no file of an older one. LevelDB's
   * entries at C are written first then, and what changed since after them; nothing more than otherwise is copied here.
   */
  freeze(checkpointId: number, since: number, whole = false): FrozenState {
    const startMs = performance.now();
    // The barrier says that C is complete, be it heard of or not: LevelDB can be brought to it.
    if (whole) this.completed(since);
    const sinceId = Math.max(since, this.#completed);
    const sinceInterval = this.#intervals.get(sinceId);
    assert(sinceInterval !== undefined, `state of checkpoint ${sinceId} is not known to task ${this.#o.task}`);
    const inMemory = this.#o.kv === null && (whole || this.#fullNext);
    const full = inMemory || whole || sinceId === 0;
    const tables = this.#tables;
    const sizes = tables.cut();
    const copy = new FrozenCopy(tables.tables.values(), inMemory ? null : sinceInterval);
    const logs = this.#logFiles.freeze(checkpointId, sinceId, whole);
    this.#intervals.set(checkpointId, tables.interval);
    const spilled = tables.spilledTables();
    const frozen: Frozen = {
      checkpointId, since: sinceId, entries: 0, bytes: 0, freezeMs: 0, copy,
      interval: tables.interval, full, onto: whole && sinceId > 0 && this.#o.kv !== null, blocks: null, keyed: { entries: 0, bytes: 0 }, sizes, logs, ref: null, files: [], written: false, writing: false, completedMs: 0,
      scratch: spilled.length === 0 || this.#o.kv === null ? null : { snapshot: this.#o.kv.snapshot(), tables: spilled, sinceInterval },
    };
    tables.interval++;
    this.#fullNext = false;
    this.#limitAsked = false;
    this.#frozen.set(checkpointId, frozen);
    if (!copy.more()) {
      copied(frozen, copy);
      frozen.blocks = copy.take();
    }
    frozen.freezeMs = performance.now() - startMs;
    return frozen;
  }

  /** What the first slice has left, with what it has copied: the task has its turn between two slices. Few blocks are kept for their apply. */
  async *#copying(frozen: Frozen): AsyncGenerator<EntryBlock> {
    let blocks: EntryBlock[] | null = [];
    let bytes = 0;
    for (let more = true; more;) {
      await this.#turn();
      const { copy } = frozen;
      if (copy === null) throw givenUp(frozen.checkpointId);
      more = copy.more();
      if (!more) copied(frozen, copy);
      for (const block of copy.take()) {
        bytes += block.length;
        if (bytes > KEEP_BLOCKS_BYTES) blocks = null;
        blocks?.push(block);
        yield block;
      }
    }
    frozen.blocks = blocks;
  }

  /** Writes the delta file and resolves with all files of the checkpoint. Rejects with the environment's error: the task declines. */
  write(state: FrozenState): Promise<readonly FileRef[]> {
    const frozen = this.#frozen.get(state.checkpointId);
    return frozen === undefined ? Promise.reject(givenUp(state.checkpointId)) : this.files.during(this.#write(frozen));
  }

  async #write(frozen: Frozen): Promise<readonly FileRef[]> {
    // Both to their end: nothing is written any more when it fails.
    const parts = [this.#writeKeyed(frozen), this.#logFiles.write(frozen.checkpointId, frozen.logs)];
    for (const ended of await Promise.allSettled(parts.map(part => part.then((files) => { frozen.files.push(...files); })))) if (ended.status === 'rejected') throw ended.reason as Error;
    frozen.written = true;
    return frozen.files;
  }

  async #writeKeyed(frozen: Frozen): Promise<readonly FileRef[]> {
    const before = this.#chains.get(frozen.since);
    assert(before !== undefined, `files of checkpoint ${frozen.since} are not known to task ${this.#o.task}`);
    frozen.writing = true;
    try {
      if (frozen.copy !== null || frozen.keyed.entries > 0 || frozen.scratch !== null || frozen.full) {
        const older = { entries: 0 };
        frozen.ref = await this.files.write({
          header: stateFileHeader(this.#o, frozen.full ? 'base' : 'delta', frozen.checkpointId, frozen.since),
          blocks: this.#frozenBlocks(frozen, older),
          end: () => ({ entries: older.entries + frozen.keyed.entries, tableSizes: frozen.sizes }),
        });
      }
    } finally {
      frozen.writing = false;
      frozen.scratch?.snapshot.close();
    }
    // Read again: a compaction may have replaced the files of `since` meanwhile.
    const chain = frozen.full ? [] : (this.#chains.get(frozen.since) ?? before);
    if (this.files.closed || this.#frozen.get(frozen.checkpointId) !== frozen) {
      // Given up while it was written: nobody will refer to the file.
      await this.files.remove(frozen.ref);
      throw givenUp(frozen.checkpointId);
    }
    const files = frozen.ref === null ? chain : [...chain, frozen.ref];
    this.#chains.set(frozen.checkpointId, files);
    return files;
  }

  /** LevelDB at the last completed checkpoint. */
  #completedSnapshot(): Promise<KvSnapshot> {
    return new Promise((resolve, reject) => {
      this.#queue = this.#queue.then(async () => {
        const { kv } = this.#o;
        if (this.files.closed || kv === null) throw new SqlError('57014', 'the task was stopped');
        await this.#applyPending();
        resolve(kv.snapshot());
      }).catch(reject);
    });
  }

  /** Spilled entries first: what memory holds of the same key is newer. */
  async *#frozenBlocks(frozen: Frozen, counter: { entries: number }): AsyncGenerator<EntryBlock> {
    const { scratch } = frozen;
    if (frozen.onto && this.#stored !== null) {
      const snapshot = await this.#completedSnapshot();
      try {
        yield* this.#stored.blocks(snapshot, 0, null, counter);
      } finally {
        snapshot.close();
      }
    }
    if (scratch !== null && this.#stored !== null) yield* this.#stored.blocks(scratch.snapshot, SCRATCH, scratch, counter);
    yield* frozen.copy === null ? (frozen.blocks ?? []) : this.#copying(frozen);
  }

  /** Checkpoint N is complete. May be repeated. */
  completed(checkpointId: number): void {
    const frozen = this.#frozen.get(checkpointId);
    if (frozen === undefined || checkpointId <= this.#completed) return;
    this.#completed = checkpointId;
    // Older ones in progress are superseded: this one has all that they would.
    for (const id of this.#frozen.keys()) if (id < checkpointId && !this.#kept.has(id)) this.aborted(id);
    this.#frozen.delete(checkpointId);
    // A newer one may reach back past this one.
    const needed = Math.min(checkpointId, ...[...this.#frozen.values()].map((f) => f.since));
    this.#logFiles.completed(checkpointId, needed);
    frozen.completedMs = this.#now();
    for (const id of this.#intervals.keys()) if (id < checkpointId) this.#intervals.delete(id);
    for (const id of this.#chains.keys()) if (id < needed) this.#chains.delete(id);
    this.files.named(frozen.files);
    this.files.sweep([...this.#inProgress(), ...this.#chains.values(), ...this.#logFiles.chains()]);
    if (this.#o.kv === null) {
      this.#tables.clean(frozen.interval);
      frozen.blocks = null;
      this.#applied.state = frozen.ref?.state ?? this.#applied.state;
      this.#applied.checkpoint = checkpointId;
      this.#applied.sizes = frozen.sizes;
      if (!this.files.closed) this.#compaction.start(this.#completed);
      return;
    }
    this.#pending.push(frozen);
    let bytes = 0;
    for (const p of this.#pending) bytes += p.keyed.bytes;
    if (bytes > KEEP_BLOCKS_BYTES && frozen.ref !== null) frozen.blocks = null;
    if (bytes > Math.min(APPLY_BYTES_MAX, this.#o.memoryBytes / 4) || this.#pending.length >= APPLY_CHECKPOINTS_MAX || frozen.scratch !== null
      || this.#now() - this.#pending[0].completedMs >= APPLY_DELAY_MS) this.#queueApply();
  }

  /** Files of the checkpoints in progress: they may still complete. */
  #inProgress(): (readonly FileRef[])[] { return [...this.#frozen.values()].map((f) => f.files); }

  /** Checkpoint N will not complete: what changed stays dirty and goes into the next delta. */
  aborted(checkpointId: number): void {
    const frozen = this.#frozen.get(checkpointId);
    if (frozen === undefined) return;
    frozen.copy?.cancel();
    frozen.copy = null;
    // While it is being written, `write` needs the snapshot, closes it, and removes the file.
    if (!frozen.writing) frozen.scratch?.snapshot.close();
    this.#logFiles.aborted(checkpointId);
    this.#frozen.delete(checkpointId);
    this.#kept.delete(checkpointId);
    this.#intervals.delete(checkpointId);
    this.#chains.delete(checkpointId);
    void this.files.remove(frozen.ref);
  }

  // ---- apply ----

  #enqueue(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(async () => {
      if (!this.files.closed) await work();
    }).catch((e: unknown) => { this.#o.onBackgroundError?.(e); });
  }

  #queueApply(): void {
    if (this.#applyQueued) return;
    this.#applyQueued = true;
    this.#enqueue(async () => {
      this.#applyQueued = false;
      await this.#applyPending();
      if (!this.files.closed) this.#compaction.start(this.#completed);
    });
  }

  /** Resolves when everything queued so far is done. */
  async settled(): Promise<void> {
    await this.#queue;
    await this.#compaction.settled();
    await this.#logFiles.settled();
    await this.files.settled();
  }

  /** Brings LevelDB to the last completed checkpoint now. */
  async applyNow(): Promise<void> {
    if (this.#pending.length > 0) this.#queueApply();
    await this.#queue;
  }

  async #applyPending(): Promise<void> {
    const { kv } = this.#o;
    const stored = this.#stored;
    const run = this.#pending.slice();
    if (kv === null || stored === null || run.length === 0) return;
    const last = run[run.length - 1];
    const withFiles = run.filter((f) => f.ref !== null);
    if (withFiles.length > 0) {
      const state = withFiles[withFiles.length - 1].ref?.state ?? '';
      await stored.apply(this.#runBlocks(withFiles), { checkpoint: last.checkpointId, state, tableSizes: last.sizes });
    }
    this.#applied.checkpoint = last.checkpointId;
    this.#applied.sizes = last.sizes;
    await this.#tables.clearScratch(kv, last.interval);
    this.#tables.clean(last.interval);
    this.#allDirty = false;
    this.#pending = this.#pending.slice(run.length);
    await this.#o.storage.dropCopies(withFiles.flatMap((f) => f.ref ?? []));
  }

  async *#runBlocks(run: readonly Frozen[]): AsyncGenerator<EntryBlock> {
    const merger = run.length > 1 ? new EntryMerger() : null;
    for (const frozen of run) {
      const blocks = frozen.blocks !== null && frozen.scratch === null ? frozen.blocks : frozen.ref === null ? [] : this.#o.storage.readStateFile(frozen.ref);
      for await (const block of blocks) {
        if (merger === null) yield block;
        else merger.add(block);
      }
    }
    if (merger !== null) yield* merger.finish({ entries: 0 });
  }

  // ---- memory ----

  get memoryUsed(): number { return this.#tables.memoryUsed; }
  get dirtyBytes(): number { return this.#tables.dirtyBytes; }
  stats(): TableStats[] { return this.#tables.stats(); }

  /** Between batches (no operator is running): keeps memory at its share. A promise must be awaited before the next batch. */
  maintain(): Promise<void> | null {
    const limit = this.#o.memoryBytes;
    if (this.#o.kv === null || this.memoryUsed <= limit) return null;
    this.#evict(this.memoryUsed - limit * 0.9);
    let used = this.memoryUsed;
    if (used <= limit) return null;
    if (this.#spillLogs(used - limit * 0.75)) return used > limit * 1.25 ? this.#relieve() : null;
    used = this.memoryUsed;
    // Nothing clean is left: the clock need not go round again before the next apply.
    this.#allDirty = true;
    if (this.#pending.length > 0) this.#queueApply();
    else if (!this.#limitAsked && this.#frozen.size === 0) {
      this.#limitAsked = true;
      this.#o.onDirtyLimit?.();
    }
    return used > limit * 1.25 ? this.#relieve() : null;
  }

  #evict(bytes: number): void { this.#tables.evict(bytes, this.#allDirty); }

  /** Writes rows of logs to LevelDB in the background, so that they can be evicted. False when there are none. */
  #spillLogs(bytes: number): boolean {
    if (this.#spilling) return true;
    const largest = this.#tables.spillableLogs();
    if (largest.length === 0) return false;
    this.#spilling = true;
    this.#enqueue(async () => {
      try {
        let left = bytes;
        for (const log of largest) if (left > 0) left -= await log.spill(left);
      } finally { this.#spilling = false; }
    });
    return true;
  }

  async #relieve(): Promise<void> {
    const kv = this.#o.kv;
    const limit = this.#o.memoryBytes;
    if (kv === null) return;
    await this.#queue;
    this.#evict(this.memoryUsed - limit * 0.9);
    if (this.memoryUsed <= limit * 1.1) return;
    await this.applyNow();
    this.#evict(this.memoryUsed - limit * 0.9);
    if (this.memoryUsed <= limit * 1.1) return;
    this.#tables.failReaders(this.memoryUsed - limit);
    this.#evict(this.memoryUsed - limit * 0.9);
    if (this.memoryUsed <= limit * 1.1) return;
    // In the queue: the clean-up of scratch entries after an apply must not meet a spill.
    let failure: unknown = null;
    this.#enqueue(async () => {
      try {
        await this.#tables.spill(kv, limit);
      } catch (e) { failure = e; }
    });
    await this.#queue;
    if (failure !== null) throw failure;
  }

  // ---- restore ----

  /** `restored` null: the job starts from nothing. Throws XX001 naming a damaged file: the caller goes to the next older checkpoint. */
  static async restore(options: TaskStateOptions, restored: { readonly checkpointId: number; readonly tasks: readonly TaskMetadata[]; readonly moved?: Moved } | null): Promise<TaskState> {
    const state = new TaskState(options);
    const { kv } = options;
    const stored = state.#stored;
    const progress = state.#progress;
    // What a finished job left there is not looked at.
    if (kv !== null && options.readOnly !== true) await wipe(kv, options.nodeIds, options.keyGroupFirst, options.keyGroupLast, true);
    if (restored === null) {
      await stored?.wipe();
      return state;
    }
    state.#intervals.set(restored.checkpointId, 0);
    state.#completed = state.#applied.checkpoint = restored.checkpointId;
    const nodes = new Set(options.nodeIds);
    const { moved } = restored;
    const sources = restored.tasks.filter((t) => (moved !== undefined || (t.keyGroupLast >= options.keyGroupFirst && t.keyGroupFirst <= options.keyGroupLast)) && t.nodeIds.some((id) => nodes.has(id)));
    const own = moved === undefined && sources.length === 1 && sources[0].task === options.task && sources[0].keyGroupFirst === options.keyGroupFirst && sources[0].keyGroupLast === options.keyGroupLast ? sources[0] : null;
    const files = sources.flatMap((t) => t.files).filter((ref) => ref.kind === 'base' || ref.kind === 'delta');
    const logs = sources.flatMap((t) => t.files).filter((ref) => ref.kind === 'log');
    state.#chains.set(restored.checkpointId, own === null ? [] : files);
    const chains = (): (readonly FileRef[])[] => sources.map((t) => t.files.filter((ref) => ref.kind === 'base' || ref.kind === 'delta'));
    if (kv === null || stored === null) {
      progress.begin('files', files);
      if (moved === undefined) await state.#loadFiles(files);
      else await loadMoved(options, chains(), progress.watching(moved), (tableId, key, value) => { state.#tables.table(tableId).restoreEntry(key, 0, key.length, value, 0, value.length); });
    } else {
      if (moved !== undefined) {
        await stored.wipe();
        progress.begin('files', files);
        await storeMoved(kv, options, chains(), progress.watching(moved));
      } else if (own === null || !(await stored.catchUp(files))) await stored.rebuild(files);
      if (own !== null) await options.storage.dropCopies(files);
      progress.begin('memory');
      await state.#loadTables(kv, own !== null);
    }
    progress.begin('row logs', logs);
    if (options.readOnly !== true) await state.#logFiles.restore(restored.checkpointId, logs, own !== null, progress.watching(logSource(options, moved)), (id) => state.rowLog(id), () => state.maintain() ?? Promise.resolve());
    // Files of other tasks (rescaled): from now on this task has a base of its own.
    if (own === null && files.length > 0) {
      progress.begin('base file');
      await state.#ownBase(restored.checkpointId);
    }
    return state;
  }

  async #loadFiles(files: readonly FileRef[]): Promise<void> {
    for (const ref of files) {
      for await (const block of this.#progress.reading(ref, this.#o.storage.readStateFile(ref))) {
        const cursor = new BlockCursor(block);
        while (cursor.next()) {
          if (!isOwnEntry(this.#o, cursor.tableId, cursor.keyGroup)) continue;
          this.#tables.table(cursor.tableId).restoreEntry(block, cursor.keyStart, cursor.keyEnd, cursor.valueStart < 0 ? null : block, cursor.valueStart, cursor.valueEnd);
        }
      }
      this.#applied.state = ref.state;
    }
  }

  /** Loads entries until the memory share is nearly full; the rest stays in LevelDB. */
  async #loadTables(kv: Kv, sizesKnown: boolean): Promise<void> {
    const budget = this.#o.memoryBytes * 0.75;
    if (sizesKnown) this.#progress.entriesTotal = Object.values(this.#applied.sizes).reduce((n, size) => n + size, 0);
    for (const tableId of await tablesPresent(kv, this.#o.nodeIds, false)) {
      const table = this.#tables.table(tableId);
      const iterator = kv.iterate(tableRange(tableId, this.#o.keyGroupFirst, this.#o.keyGroupLast));
      let left = 0;
      let ended = false;
      try {
        let next = iterator.next(LOAD_ENTRIES);
        for (;;) {
          const part = await next;
          ended = part.length === 0;
          if (ended) break;
          // Read meanwhile, in LevelDB's thread. Awaited in the next round, or not wanted any more.
          next = iterator.next(LOAD_ENTRIES);
          next.catch(() => undefined);
          this.#progress.entriesDone += part.length;
          if (this.memoryUsed < budget) for (const [key, value] of part) table.restoreEntry(key, 6, key.length, value, 0, value.length);
          else if (sizesKnown) break;
          else left += part.length;
        }
      } finally {
        await iterator.close();
      }
      table.addCold(ended ? left : (this.#applied.sizes[tableId] ?? 0) - table.size);
    }
  }

  async #ownBase(checkpointId: number): Promise<void> {
    const { task } = this.#o;
    const sizes = this.#tables.sizes();
    this.#applied.sizes = sizes;
    const state = `restored-${checkpointId}-${task}-${this.#now()}`;
    if (this.#stored !== null) {
      this.#chains.set(checkpointId, [await this.#stored.ownBase(state)]);
      return;
    }
    const writer = new EntryWriter();
    this.#tables.freezeAll(writer);
    this.#applied.state = state;
    this.#chains.set(checkpointId, [await this.files.write({ header: stateFileHeader(this.#o, 'base', checkpointId, 0), state, blocks: writer.blocks, end: () => ({ entries: writer.entries, tableSizes: sizes }) })]);
  }

  /** Waits for what is running; nothing is applied after it. LevelDB itself is closed by who opened it. */
  async close(): Promise<void> {
    this.files.close();
    for (const frozen of this.#frozen.values()) frozen.copy?.cancel();
    await this.settled();
    for (const [id, frozen] of this.#frozen) if (!frozen.written) this.aborted(id);
    this.files.sweep(this.#inProgress());
    await this.files.settled();
    for (const frozen of this.#frozen.values()) frozen.scratch?.snapshot.close();
  }

  /** Deletes the task's entries in LevelDB (a node was dropped). */
  static async dropNodes(kv: Kv, nodeIds: readonly number[], maxParallelism: number): Promise<void> {
    for (const high of [0, SCRATCH]) {
      for (const id of await tablesPresent(kv, nodeIds, high !== 0)) await clearRange(kv, tableRange(id + high, 0, maxParallelism - 1), false);
    }
  }
}
