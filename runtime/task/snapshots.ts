/**
 * The snapshots of one task: what a checkpoint freezes (synchronous phase), what is written in the background, and what happens to it when the
 * checkpoint completes or is given up.
 *
 *   1. feeds' positions, operators' and sinks' JSON, input that waits for the epoch's end, queued input (unaligned) and keyed state are
 *      taken at one moment between two batches
 *   2. the task goes on; files are written, the one of data in flight when the barrier has come on every channel
 *   3. the task acknowledges with all of them, or declines
 *   4. completed: state and feeds are told, sinks commit
 */
import type { FileRef, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import { faultPoint } from '../../storage/faults.js';
import type { Json } from '../../types/connect.js';
import { HASH_VERSION } from '../../types/encoding/hash.js';
import { assert, toErrorData } from '../../types/error.js';
import type { SqlType } from '../../types/sqltype.js';
import type { AckTimes, Injected } from '../protocol.js';
import type { Captured } from './channel.js';
import { firstKeyGroup } from './fragment.js';
import { writeInFlight, type InFlight, type Origin, type Restored } from './inflight.js';
import type { SinkOperator } from './sinkoperator.js';
import type { TaskParts } from './task.js';

/** Named limit: checkpoints of which it is remembered that they ended; no more are in progress. */
const ENDED_KEPT = 1000;

/** How the task came to its snapshot. */
export interface SnapshotTimes extends Omit<AckTimes, 'syncMs' | 'asyncMs'> {
  /** When the barrier came on the first input. */
  readonly firstMs: number;
  /** Bytes taken from channels since. */
  readonly processedInflightBytes: number;
}

/** Queued input of one channel. */
export interface CapturedChannel { readonly origin: Origin; readonly types: readonly SqlType[]; readonly captured: Captured }

/** Of a checkpoint in progress: JSON by node, and the file of data in flight when it is written. */
interface Snapshot { readonly operators: Readonly<Record<string, Json>>; inflight: FileRef | null }

export class TaskSnapshots {
  readonly #name: string;
  readonly #parts: TaskParts;
  /** Checkpoints that the task was told have ended; a barrier of one may still be on its way. */
  readonly #ended = new Set<number>();
  readonly #snapshots = new Map<number, Snapshot>();
  /** Among the snapshots: those that a newer checkpoint does not supersede. */
  readonly #savepoints = new Set<number>();
  readonly #commits = new Set<Promise<void>>();
  readonly #fail: (error: unknown) => void;

  constructor(name: string, parts: TaskParts, fail: (error: unknown) => void) {
    this.#name = name;
    this.#parts = parts;
    this.#fail = fail;
  }

  /** Resolves when the commits under way have ended. */
  async settled(): Promise<void> { await Promise.all(this.#commits); }

  /**
   * `channels`: what an unaligned checkpoint keeps of them, null = aligned. `restored`: what an earlier one left that is not given yet.
   * `begin`: when the epoch's rows had been handed on, on the monotonic clock: what follows is the checkpoint's synchronous part.
   */
  async take(injected: Injected, times: SnapshotTimes, begin: number, channels: readonly CapturedChannel[] | null, restored: readonly Restored[]): Promise<void> {
    const { barrier } = injected;
    const { env, state, built, events, jobId, attempt } = this.#parts;
    assert(barrier.checkpoint !== null, 'no checkpoint');
    assert(state !== null, 'a checkpoint of a task that is only read');
    const { id, since, whole } = barrier.checkpoint;
    if (this.#ended.has(id)) return;
    for (const over of this.#ended) if (over < id - ENDED_KEPT) this.#ended.delete(over);
    if (faultPoint !== null) await faultPoint('checkpoint.sync', this.#name);
    const operators: Record<string, Json> = {};
    for (const feed of built.feeds) operators[String(feed.nodeId)] = feed.snapshot();
    for (const operator of built.driver.operators()) {
      if (operator.snapshot !== undefined) operators[String(operator.node.id)] = await operator.snapshot(barrier);
    }
    if (this.#ended.has(id)) return;
    const inFlight = [...this.#owed(), ...this.#left(restored)];
    const frozen = state.freeze(id, since, whole);
    if (barrier.checkpoint.savepoint === true) {
      state.keep(id);
      this.#savepoints.add(id);
    }
    const snapshot: Snapshot = { operators, inflight: null };
    this.#snapshots.set(id, snapshot);
    const began = env.monotonic();
    const syncMs = began - begin;
    const ref = { jobId, attempt, task: this.#name };
    const logPosition = Math.min(...built.feeds.map(f => f.logPosition));
    let { alignmentMs } = times;
    // In the background: the task goes on.
    const queued = async (): Promise<void> => {
      for (const c of channels ?? []) await c.captured.complete;
      if (channels !== null) alignmentMs = env.now() - times.firstMs;
      await state.files.during(this.#writeInFlight(id, snapshot, [...inFlight, ...(channels ?? []).map(c => ({ origin: c.origin, types: c.types, batches: c.captured.batches }))]));
    };
    const write = async (): Promise<readonly FileRef[]> => {
      const [files] = await Promise.all([state.write(frozen), queued()]);
      if (faultPoint !== null) await faultPoint('checkpoint.acknowledge', this.#name);
      return files;
    };
    write().then(
      files => {
        if (!this.#snapshots.has(id)) return;
        const { inflight } = snapshot;
        events.acknowledged({
          ...ref, startDelayMs: times.startDelayMs, alignmentMs, syncMs, asyncMs: env.monotonic() - began, checkpointId: id, since: frozen.since, unaligned: channels !== null, logPosition,
          metadata: this.#metadata(frozen.since, inflight === null ? files : [...files, inflight], operators), stateBytes: files.reduce((sum, f) => sum + f.bytes, 0),
          checkpointedBytes: frozen.bytes + (inflight?.bytes ?? 0), processedInflightBytes: times.processedInflightBytes, persistedInflightBytes: inflight?.bytes ?? 0,
        });
      },
      (e: unknown) => { events.declined({ ...ref, checkpointId: id, reason: 'CHECKPOINT_ASYNC_EXCEPTION', error: toErrorData(e) }); });
  }

  async #writeInFlight(id: number, snapshot: Snapshot, parts: readonly InFlight[]): Promise<void> {
    const { state, maxParallelism } = this.#parts;
    assert(state !== null, 'a checkpoint of a task that is only read');
    if (!this.#snapshots.has(id)) return;
    const file = await writeInFlight(state.files, { name: this.#name, maxParallelism, hashVersion: HASH_VERSION }, id, parts);
    if (this.#snapshots.has(id) && !state.files.closed) snapshot.inflight = file;
    else await state.files.remove(file);
  }

  /** The checkpoint will not complete. */
  #giveUp(id: number): void {
    const inflight = this.#snapshots.get(id)?.inflight;
    this.#snapshots.delete(id);
    if (inflight !== undefined) void this.#parts.state?.files.remove(inflight);
  }

  #owed(): InFlight[] {
    const { built, fragment, subtask, inputTypes } = this.#parts;
    return built.driver.operators().flatMap(operator => (operator.owed?.() ?? []).map(({ input, batch, keys }): InFlight => {
      const reader = { node: operator.node.id, input };
      return { origin: { entry: null, readers: [reader], keys, subtask, parallelism: fragment.parallelism }, types: inputTypes(reader), batches: [batch] };
    }));
  }

  /** It is this subtask's now, wherever it came from. */
  #left(restored: readonly Restored[]): InFlight[] {
    const { fragment, subtask } = this.#parts;
    return restored.map(r => ({ origin: { ...r.origin, subtask, parallelism: fragment.parallelism }, types: r.types, batches: [r.batch] }));
  }

  #metadata(since: number, files: readonly FileRef[], operators: Readonly<Record<string, Json>>): TaskMetadata {
    const { fragment, subtask, maxParallelism } = this.#parts;
    return {
      task: this.#name, subtask, since, files, operators,
      keyGroupFirst: firstKeyGroup(subtask, fragment.parallelism, maxParallelism),
      keyGroupLast: firstKeyGroup(subtask + 1, fragment.parallelism, maxParallelism) - 1,
      nodeIds: fragment.nodes.map(n => n.id),
    };
  }

  completed(checkpointId: number): void {
    this.#parts.state?.completed(checkpointId);
    const snapshot = this.#snapshots.get(checkpointId);
    this.#snapshots.delete(checkpointId);
    // Superseded.
    for (const id of this.#snapshots.keys()) if (id < checkpointId && !this.#savepoints.has(id)) this.#giveUp(id);
    if (snapshot === undefined) return;
    try {
      for (const operator of this.#parts.built.driver.operators()) operator.completed?.(checkpointId);
    } catch (e) {
      this.#fail(e);
      return;
    }
    for (const feed of this.#parts.built.feeds) {
      const state = snapshot.operators[String(feed.nodeId)];
      if (state !== undefined) feed.completed(state, checkpointId).catch((e: unknown) => { this.#fail(e); });
    }
    for (const sink of this.#parts.built.sinks) {
      const commit = this.#commit(sink, checkpointId).catch((e: unknown) => { this.#fail(e); }).finally(() => { this.#commits.delete(commit); });
      this.#commits.add(commit);
    }
  }

  async #commit(sink: SinkOperator, checkpointId: number): Promise<void> {
    if (faultPoint !== null) await faultPoint('sink.commit', this.#name);
    await sink.committed(checkpointId);
  }

  aborted(checkpointId: number): void {
    this.#giveUp(checkpointId);
    this.#savepoints.delete(checkpointId);
    this.#parts.state?.aborted(checkpointId);
    // An acknowledgement that crossed with this is answered once more.
    if (this.#ended.has(checkpointId)) return;
    this.#ended.add(checkpointId);
    const { driver, feeds } = this.#parts.built;
    try {
      // Sinks are operators: their writers are told too.
      for (const operator of driver.operators()) operator.aborted?.(checkpointId);
      for (const feed of feeds) feed.aborted?.(checkpointId);
    } catch (e) {
      this.#fail(e);
    }
  }
}
