import { SqlError } from '../../types/error.js';

/** Runs the extension's code: what it throws, or rejects with, gets its name. */
export function guarded<T>(what: string, run: () => T): T {
  const named = (e: unknown): never => {
    if (e instanceof SqlError) throw e;
    throw new SqlError('38000', `${what} failed: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  };
  try {
    const result = run();
    return result instanceof Promise ? result.catch(named) as T : result;
  } catch (e) {
    return named(e);
  }
}
