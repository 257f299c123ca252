/** Waiting that a signal can end, without leaving listeners on signals that live for a whole statement. */
import { setMaxListeners } from 'node:events';
import { SqlError } from '../../types/error.js';

export const abortReason = (signal: AbortSignal): Error => (signal.reason instanceof Error ? signal.reason : new SqlError('57014', 'canceling statement due to user request'));

/** Calls `run` when the signal is aborted (at once when it was); the function returned ends that. */
export function onAbort(signal: AbortSignal, run: (reason: Error) => void): () => void {
  if (signal.aborted) { run(abortReason(signal)); return () => undefined; }
  const listener = (): void => { run(abortReason(signal)); };
  // FLUSH waits for every job with one signal: many listeners are no leak here.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => { signal.removeEventListener('abort', listener); };
}
