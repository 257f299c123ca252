/**
 * Barrier alignment of one task, as a pure object outside operators (the Chandy–Lamport cut of Apache Flink's tasks).
 *
 * A task has n inputs (channels, and the coordinator when it holds sources). `arrived` is told of each barrier; when it has come on
 * every live input the barrier is complete and the task handles it. Until then the inputs it came on are blocked:
 *   EXACTLY_ONCE, and every light barrier: blocked, so that an epoch holds exactly what came before its barrier;
 *   AT_LEAST_ONCE, checkpoint barrier: not blocked; rows that overtake the barrier are in the snapshot and come again on recovery.
 * Barriers of one job are totally ordered and come in the same order on every input, so those that overtake one another in an unblocked
 * input wait in a queue per epoch. Inputs that have ended still carry every barrier.
 * State: one set of arrived inputs per open epoch. Cost: O(1) a barrier and input.
 */
import type { Barrier } from '../operator.js';
import { assert } from '../../types/error.js';

interface Open { readonly barrier: Barrier; readonly arrived: Set<number>; readonly firstMs: number }

export interface Completed { readonly barrier: Barrier; /** From the first input's barrier to the last one's. */ readonly alignmentMs: number }

export class Alignment {
  readonly #inputs: number;
  readonly #exactlyOnce: boolean;
  #open: Open[] = [];

  constructor(inputs: number, exactlyOnce: boolean) {
    this.#inputs = inputs;
    this.#exactlyOnce = exactlyOnce;
  }

  /** May the task read from `input` now? */
  blocked(input: number): boolean {
    for (const o of this.#open) if (this.#blocks(o.barrier) && o.arrived.has(input)) return true;
    return false;
  }

  /** Barriers that are now complete, in order. */
  arrived(input: number, barrier: Barrier, nowMs: number): Completed[] {
    assert(!this.blocked(input), `barrier ${barrier.epoch} on a blocked input`);
    let open = this.#open.find(o => o.barrier.epoch === barrier.epoch);
    if (open === undefined) {
      open = { barrier, arrived: new Set(), firstMs: nowMs };
      this.#open.push(open);
    }
    open.arrived.add(input);
    return this.#complete(nowMs);
  }

  #blocks(barrier: Barrier): boolean { return this.#exactlyOnce || barrier.checkpoint === null; }

  #complete(nowMs: number): Completed[] {
    const done: Completed[] = [];
    while (this.#open.length > 0) {
      const first = this.#open[0];
      if (first === undefined || first.arrived.size < this.#inputs) break;
      this.#open.shift();
      done.push({ barrier: first.barrier, alignmentMs: nowMs - first.firstMs });
    }
    return done;
  }
}
