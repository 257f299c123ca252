/**
 * Restart strategies: how long a failed job waits before it starts again from its newest usable checkpoint, or that it stays failed.
 * Pure: the clock and chance are arguments. Semantics and names are Apache Flink's.
 *
 *   none               never
 *   fixed_delay        at most restart_attempts times in the job's run, restart_delay apart
 *   exponential_delay  restart_backoff_initial × multiplier^k up to _max, ± jitter; k goes back to 0 after _reset without a failure
 *   failure_rate       at most restart_max_failures times within restart_failure_interval (what Flink documents; its code counts the failure
 *                      at hand, and so restarts once less)
 *
 * Errors of the user (class 22, 0A, 42: the same rows would fail again) fail the job at once, whatever the strategy.
 */
import type { JobSettings } from '../../types/settings.js';
import { unreachable } from '../../types/error.js';

export interface RestartStrategy {
  /** Delay in ms before the restart, or null: the job is failed. */
  next(nowMs: number, random: number): number | null;
}

export type RestartSettings = Pick<JobSettings, Extract<keyof JobSettings, `restart_${string}`>>;

class Never implements RestartStrategy {
  next(): number | null { return null; }
}

class FixedDelay implements RestartStrategy {
  readonly #attempts: number;
  readonly #delay: number;
  #used = 0;
  constructor(attempts: number, delay: number) {
    this.#attempts = attempts;
    this.#delay = delay;
  }
  next(): number | null { return this.#used++ < this.#attempts ? this.#delay : null; }
}

class ExponentialDelay implements RestartStrategy {
  readonly #s: RestartSettings;
  #delay: number;
  #lastFailureMs = -Infinity;
  constructor(settings: RestartSettings) {
    this.#s = settings;
    this.#delay = settings.restart_backoff_initial;
  }
  next(nowMs: number, random: number): number | null {
    const s = this.#s;
    // The time until the failure counts from the restart, which came `delay` after the failure before.
    if (nowMs - this.#lastFailureMs >= s.restart_backoff_reset + this.#delay) this.#delay = s.restart_backoff_initial;
    this.#lastFailureMs = nowMs;
    const base = this.#delay;
    this.#delay = Math.min(base * s.restart_backoff_multiplier, s.restart_backoff_max);
    return Math.max(0, Math.round(base * (1 + s.restart_backoff_jitter * (2 * random - 1))));
  }
}

class FailureRate implements RestartStrategy {
  readonly #s: RestartSettings;
  #failures: number[] = [];
  constructor(settings: RestartSettings) { this.#s = settings; }
  next(nowMs: number): number | null {
    const s = this.#s;
    this.#failures = this.#failures.filter(t => nowMs - t < s.restart_failure_interval);
    if (this.#failures.length >= s.restart_max_failures) return null;
    this.#failures.push(nowMs);
    return s.restart_failure_delay;
  }
}

/** 'fallback' must have been resolved to the server's default by the caller; left as it is, it means exponential_delay. */
export function restartStrategy(settings: RestartSettings): RestartStrategy {
  switch (settings.restart_strategy) {
    case 'none': return new Never();
    case 'fixed_delay': return new FixedDelay(settings.restart_attempts, settings.restart_delay);
    case 'exponential_delay': case 'fallback': return new ExponentialDelay(settings);
    case 'failure_rate': return new FailureRate(settings);
    default: return unreachable(settings.restart_strategy);
  }
}

/** Whether a restart cannot help: the same input would fail again. */
export function isUserError(code: string): boolean {
  const c = code.slice(0, 2);
  return c === '22' || c === '0A' || c === '42' || c === '23' || c === '21';
}
