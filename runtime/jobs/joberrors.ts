/** What those are told who read, follow or wait for a job that cannot serve them: why, and the statement to type next. */
import { SqlError } from '../../types/error.js';
import { quoteIdentifier } from '../../types/textio.js';
import type { JobStatus } from '../engine.js';

const failuresOf = (job: string): string => `SELECT * FROM job_failures WHERE job_name = '${job}';`;

/** It failed, and may never go on by itself. */
export function restartingAgain(job: string, cause: SqlError): SqlError {
  return new SqlError('55000', `job "${job}" is restarting: ${cause.message}`, { detail: cause.detail, hint: `${failuresOf(job)} its views can be read when it goes on.` });
}

export function nothingToRead(job: string, lost: SqlError): SqlError {
  return new SqlError('55000', `the views of job "${job}" cannot be read: ${lost.message}`, { detail: lost.detail, hint: lost.hint ?? 'Its checkpoint storage is looked into again at the next read.' });
}

/** Why a failed job has no rows to show. */
export function noCheckpoint(job: string, failure: SqlError | null): SqlError {
  return new SqlError('55000', 'it failed before its first checkpoint', { detail: failure?.message, hint: `${failuresOf(job)} then RESUME JOB ${quoteIdentifier(job)};, or DROP and create it again.` });
}

export function isFailed(job: string, error: SqlError): SqlError {
  return new SqlError('55000', `job "${job}" is failed: ${error.message}`, { detail: error.detail, hint: `${failuresOf(job)} then RESUME JOB, or DROP and create it again.` });
}

export function subscriptionEnded(job: string, event: 'failed' | 'restarted'): SqlError {
  return new SqlError('40001', `job "${job}" ${event}: the subscription ended`, { hint: 'SUBSCRIBE again: the snapshot comes first.' });
}

/** Nothing new becomes visible in a job that was ended or stands still. */
export function standsStill(job: string, status: JobStatus): SqlError {
  // What reads the table log never ends by itself.
  if (status === 'finished') return new SqlError('55000', `job "${job}" was stopped: nothing new is visible in its views`);
  return new SqlError('55000', `job "${job}" is ${status}`, { hint: failuresOf(job) });
}
