/**
 * Why checkpoints end without completing, and what that does to the job. Names and rules are Apache Flink's (CheckpointFailureReason,
 * CheckpointFailureManager): the tolerance counts *consecutive* failed checkpoints, each once, and only those whose reason counts; a
 * completed checkpoint resets it. What does not count is not the storage's or a task's fault: superseded, shut down, ended with its job.
 *
 * A task whose snapshot fails in the synchronous phase is not here: the task fails, and the job with it (TASK_FAILURE, not counted).
 */
import type { CheckpointRow } from '../engine.js';

interface ReasonSpec { readonly status: 'failed' | 'expired' | 'aborted'; readonly counts: boolean; readonly meaning: string }

/** Every reason that `failure_reason` may show. */
export const failureReasons = {
  CHECKPOINT_EXPIRED: { status: 'expired', counts: true, meaning: 'it was not complete within checkpoint_timeout' },
  CHECKPOINT_DECLINED: { status: 'failed', counts: true, meaning: 'a task declined it' },
  CHECKPOINT_ASYNC_EXCEPTION: { status: 'failed', counts: true, meaning: "a task's background phase failed: its files could not be written" },
  IO_EXCEPTION: { status: 'failed', counts: true, meaning: 'the coordinator met an I/O error' },
  FINALIZE_CHECKPOINT_FAILURE: { status: 'failed', counts: true, meaning: 'every task acknowledged, but _metadata could not be written' },
  TASK_FAILURE: { status: 'failed', counts: false, meaning: 'a task failed before it acknowledged; the job goes back to an older checkpoint' },
  JOB_FAILOVER_REGION: { status: 'aborted', counts: false, meaning: 'the job restarted meanwhile' },
  JOB_FAILURE: { status: 'aborted', counts: false, meaning: 'the job failed meanwhile, for good' },
  CHECKPOINT_SUBSUMED: { status: 'aborted', counts: false, meaning: 'a newer checkpoint completed first' },
  CHECKPOINT_COORDINATOR_SUSPEND: { status: 'aborted', counts: false, meaning: 'the job was stopped, to go on in another form' },
  CHECKPOINT_COORDINATOR_SHUTDOWN: { status: 'aborted', counts: false, meaning: 'the job or the server ended' },
} as const satisfies Readonly<Record<string, ReasonSpec>>;

export type CheckpointFailureReason = keyof typeof failureReasons;

export function isFailureReason(text: string): text is CheckpointFailureReason { return Object.hasOwn(failureReasons, text); }
export function statusOf(reason: CheckpointFailureReason): Exclude<CheckpointRow['status'], 'in_progress' | 'completed'> { return failureReasons[reason].status; }

/** Consecutive checkpoints that failed for a reason that counts. */
export class FailureCounter {
  #consecutive = 0;

  get consecutive(): number { return this.#consecutive; }

  /** A checkpoint ended so; told once of each. True when the job must fail over: there are more than it tolerates now. */
  failed(reason: CheckpointFailureReason, tolerable: number): boolean {
    return failureReasons[reason].counts && ++this.#consecutive > tolerable;
  }

  completed(): void { this.#consecutive = 0; }
}
