/**
 * Env: the clock, timers and randomness that jobs use. Injected, so that a test can drive time and a seed can drive chance.
 * Nothing below the composition root calls Date.now, Math.random or setTimeout for a decision that a user can observe.
 */
export interface Timer { cancel(): void }

export interface Env {
  /** Wall clock, ms since 1970. */
  now(): number;
  /** Wall clock, microseconds since 1970. */
  nowUs(): number;
  /** Uniform in [0, 1). */
  random(): number;
  /** Calls `run` once after `ms`; the timer does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
  /** Ms since some moment, never going back: how long work took, and when a loop has worked long enough. */
  monotonic(): number;
  /** Resolves after everything else that is due has had its turn. */
  turn(): Promise<void>;
}

const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve); });

export const systemEnv: Env = {
  now: () => Date.now(),
  nowUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  random: () => Math.random(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => { clearTimeout(timer); } };
  },
  monotonic: () => performance.now(),
  turn,
};

/** A clock that moves only when told: `advance` runs the timers that fall due, in order. */
export class ManualEnv implements Env {
  #ms: number;
  #timers: { at: number; run: () => void }[] = [];
  readonly #random: () => number;

  constructor(startMs = 0, random: () => number = () => 0.5) {
    this.#ms = startMs;
    this.#random = random;
  }

  now(): number { return this.#ms; }
  nowUs(): number { return this.#ms * 1000; }
  random(): number { return this.#random(); }
  monotonic(): number { return this.#ms; }
  turn(): Promise<void> { return turn(); }

  after(ms: number, run: () => void): Timer {
    const timer = { at: this.#ms + ms, run };
    this.#timers.push(timer);
    return { cancel: () => { this.#timers = this.#timers.filter(t => t !== timer); } };
  }

  advance(ms: number): void {
    const end = this.#ms + ms;
    for (;;) {
      let next: { at: number; run: () => void } | null = null;
      for (const t of this.#timers) if (t.at <= end && (next === null || t.at < next.at)) next = t;
      if (next === null) break;
      const due = next;
      this.#timers = this.#timers.filter(t => t !== due);
      this.#ms = due.at;
      due.run();
    }
    this.#ms = end;
  }
}
