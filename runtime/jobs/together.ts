/**
 * The jobs of a server that starts begin together: each waits, its state read, until all others have come as far. What ran before them would take the workers'
 * time from what is still being read, at every turn of the event loop. Nobody waits for one that takes long (a restore from remote storage).
 */
import type { Env, Timer } from '../../types/env.js';

/** Named limit. */
const TOGETHER_MS = 5000;

export class Together {
  readonly #missing: Set<number>;
  readonly #all: Promise<void>;
  #begin: () => void = () => undefined;
  readonly #timer: Timer | null;

  constructor(jobIds: readonly number[], env: Env) {
    this.#missing = new Set(jobIds);
    this.#all = new Promise<void>(resolve => { this.#begin = resolve; });
    this.#timer = jobIds.length < 2 ? null : env.after(TOGETHER_MS, this.#begin);
  }

  /** The job is ready to begin, or will not: resolves when all are. May be repeated. */
  arrived(jobId: number): Promise<void> {
    this.#missing.delete(jobId);
    if (this.#missing.size === 0) {
      this.#timer?.cancel();
      this.#begin();
    }
    return this.#all;
  }
}
