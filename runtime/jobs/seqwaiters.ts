/** Who waits until a position of the table log is visible in a job: FLUSH, CREATE. */
import { abortReason, onAbort } from './abort.js';

interface Waiter { readonly seq: number; readonly from: number; resolve(): void; reject(e: unknown): void }

export class SeqWaiters {
  #waiting: Waiter[] = [];

  get any(): boolean { return this.#waiting.length > 0; }

  /** Resolves at an epoch after `from` that holds the log up to `seq`. */
  add(seq: number, from: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) { reject(abortReason(signal)); return; }
      const off = onAbort(signal, reason => { this.#waiting = this.#waiting.filter(w => w !== waiter); reject(reason); });
      const waiter: Waiter = { seq, from, resolve: () => { off(); resolve(); }, reject: e => { off(); reject(e); } };
      this.#waiting.push(waiter);
    });
  }

  /** The epoch is published; it holds the log up to `position`. */
  reached(position: number, epoch: number): void {
    const reached = this.#waiting.filter(w => position >= w.seq && epoch > w.from);
    this.#waiting = this.#waiting.filter(w => !reached.includes(w));
    for (const w of reached) w.resolve();
  }

  resolveAll(): void { for (const w of this.#take()) w.resolve(); }
  rejectAll(error: unknown): void { for (const w of this.#take()) w.reject(error); }
  #take(): Waiter[] {
    const all = this.#waiting;
    this.#waiting = [];
    return all;
  }
}
