/**
 * When a job's next checkpoint begins. Pure: settings (read anew at each decision, so that ALTER JOB takes effect at the next trigger) and the
 * state of the coordinator in, a time or null out.
 *
 *   periodic   checkpoint_interval after the trigger of the one before, but not before checkpoint_min_pause after the last *completion*;
 *              while a source is in backlog the interval is checkpoint_interval_during_backlog (0 = none, -1 = the same); when the backlog
 *              ends, the usual interval counts from the last trigger: mostly at once
 *   early      the changed state nears its memory limit: as soon as the minimum pause allows
 *   last       everything ended: at once, and again until one completes, whatever the settings
 *   requested  CHECKPOINT: at once; neither the interval nor the pause holds it
 *
 * None begins while max_concurrent_checkpoints are in progress, or while one still waits for its barrier. A job that nothing went through
 * since its last checkpoint takes no periodic one: it would hold the same (docs/decisions/013-idle-jobs.md).
 */
import type { JobSettings } from '../../types/settings.js';

export type TriggerSettings = Pick<JobSettings, 'checkpoint_interval' | 'checkpoint_min_pause' | 'checkpoint_interval_during_backlog' | 'max_concurrent_checkpoints'>;

/** Between two attempts at the last checkpoint of an ended job without checkpoint_interval. */
const LAST_RETRY_MS = 1000;

export interface TriggerState {
  readonly nowMs: number;
  readonly lastTriggerMs: number;
  /** −Infinity before the first. */
  readonly lastCompletionMs: number;
  readonly inProgress: number;
  readonly awaitsBarrier: boolean;
  /** Something went through the job since the last trigger, or that checkpoint failed. */
  readonly changed: boolean;
  readonly backlog: boolean;
  readonly early: boolean;
  readonly requested: boolean;
  /** Everything ended; the attempts at a last checkpoint so far, or null. */
  readonly lastAttempts: number | null;
}

/** When to trigger (now or later), or null: not before something changes. */
export function nextTriggerMs(settings: TriggerSettings, s: TriggerState): number | null {
  if (s.inProgress >= settings.max_concurrent_checkpoints || s.awaitsBarrier) return null;
  if (s.requested) return s.nowMs;
  const interval = settings.checkpoint_interval;
  if (s.lastAttempts !== null) return s.lastAttempts === 0 ? s.nowMs : Math.max(s.nowMs, s.lastTriggerMs + (interval === 0 ? LAST_RETRY_MS : interval));
  if (interval === 0 || !s.changed) return null;
  const paused = Math.max(s.nowMs, s.lastCompletionMs + settings.checkpoint_min_pause);
  if (s.early) return paused;
  const own = settings.checkpoint_interval_during_backlog;
  const current = s.backlog && own >= 0 ? own : interval;
  return current === 0 ? null : Math.max(paused, s.lastTriggerMs + current);
}
