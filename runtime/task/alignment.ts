/**
 * Barrier alignment of one task, as pure objects outside operators (the Chandy–Lamport cut of Apache Flink's tasks).
 *
 * A task has n inputs (channels, and the coordinator when it holds sources). `arrived` is told of each barrier as it is taken from its input in
 * order; when it has come on all inputs the task handles it. Inputs that have ended still carry every barrier.
 *
 *   Alignment             barriers that end an epoch: the inputs they came on are blocked until they came on all, so that an epoch holds exactly
 *                         what came before its barrier
 *   CheckpointAlignment   checkpoint barriers that end no epoch
 *     at least once         nothing is blocked: rows that overtake the barrier are in the snapshot, and come again on recovery
 *     aligned, with a limit as epoch barriers, until the start delay passes the limit: then the checkpoint is `due`
 *     unaligned             `due` as soon as the barrier is announced, wherever it stands in the queue
 *
 * State: one set of arrived inputs per open barrier. Cost: O(1) a barrier and input.
 */
import type { Injected } from '../protocol.js';
import { assert } from '../../types/error.js';

export interface Completed {
  readonly injected: Injected;
  /** When the barrier came on the first input. */
  readonly firstMs: number;
  /** What had been taken from the inputs then. */
  readonly takenBytes: number;
  /** Inputs on which the barrier has come: all, but for one that was due before. */
  readonly arrived: ReadonlySet<number>;
}

interface Open extends Completed { readonly arrived: Set<number> }

export class Alignment {
  readonly #inputs: number;
  #open: Open | null = null;

  constructor(inputs: number) { this.#inputs = inputs; }

  get waiting(): boolean { return this.#open !== null; }
  /** May the task read from `input` now? */
  blocked(input: number): boolean { return this.#open !== null && this.#open.arrived.has(input); }

  /** The barrier when it has now come on all inputs. */
  arrived(input: number, injected: Injected, nowMs: number, takenBytes: number): Completed | null {
    const { epoch } = injected.barrier;
    assert(!this.blocked(input), `barrier ${epoch} on a blocked input`);
    const open = this.#open ??= { injected, firstMs: nowMs, takenBytes, arrived: new Set() };
    assert(open.injected.barrier.epoch === epoch, `barrier ${epoch} beside ${open.injected.barrier.epoch}`);
    open.arrived.add(input);
    if (open.arrived.size < this.#inputs) return null;
    this.#open = null;
    return open;
  }
}

interface OpenCheckpoint extends Open { readonly id: number; readonly limitMs: number | null; readonly deadlineMs: number }

export class CheckpointAlignment {
  readonly #inputs: number;
  #open: OpenCheckpoint[] = [];
  /** Checkpoints up to this one are through here, or given up: what is left of their barriers is passed over. */
  #done = 0;
  readonly #aborted = new Set<number>();

  constructor(inputs: number) { this.#inputs = inputs; }

  get waiting(): boolean { return this.#open.length > 0; }

  /** The barrier came into the queue of an input. How long it may take to be aligned, in ms; null = no limit, or it is known already. */
  announced(injected: Injected, nowMs: number, takenBytes: number): number | null {
    const open = this.#find(injected, nowMs, takenBytes, true);
    if (open === null || open.limitMs === null) return null;
    return open.limitMs === 0 ? 0 : Math.max(0, open.deadlineMs - nowMs);
  }

  /** The checkpoint whose time for alignment is over: it is taken now, and forgotten here. */
  due(nowMs: number): Completed | null {
    for (const open of this.#open) {
      if (open.limitMs === null || (open.limitMs > 0 && open.deadlineMs > nowMs)) continue;
      this.#close(open);
      return open;
    }
    return null;
  }

  blocked(input: number): boolean {
    for (const open of this.#open) if (open.limitMs !== null && open.arrived.has(input)) return true;
    return false;
  }

  /** The barrier when it has now come on all inputs. */
  arrived(input: number, injected: Injected, nowMs: number, takenBytes: number): Completed | null {
    const open = this.#find(injected, nowMs, takenBytes, false);
    if (open === null) return null;
    open.arrived.add(input);
    if (open.arrived.size < this.#inputs) return null;
    this.#close(open);
    return open;
  }

  /** It will not complete: its barriers end here. */
  aborted(id: number): void {
    this.#open = this.#open.filter(o => o.id !== id);
    if (id > this.#done) this.#aborted.add(id);
  }

  /** null: through already; with `fresh` also when it is not new. */
  #find(injected: Injected, nowMs: number, takenBytes: number, fresh: boolean): OpenCheckpoint | null {
    const { checkpoint, midEpoch, timeUs } = injected.barrier;
    assert(checkpoint !== null && midEpoch !== undefined, 'no checkpoint barrier');
    const { id } = checkpoint;
    if (id <= this.#done || this.#aborted.has(id)) return null;
    const known = this.#open.find(o => o.id === id);
    if (known !== undefined) return fresh ? null : known;
    const limitMs = midEpoch.unalignedAfterMs;
    const open: OpenCheckpoint = { id, injected, firstMs: nowMs, takenBytes, arrived: new Set(), limitMs, deadlineMs: timeUs / 1000 + (limitMs ?? Infinity) };
    this.#open.push(open);
    return open;
  }

  /** Barriers come in the same order on every input: older ones that are still open were given up. */
  #close(open: OpenCheckpoint): void {
    this.#done = Math.max(this.#done, open.id);
    this.#open = this.#open.filter(o => o.id > open.id);
    for (const id of this.#aborted) if (id <= this.#done) this.#aborted.delete(id);
  }
}
