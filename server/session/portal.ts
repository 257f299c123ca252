/**
 * Portal: a statement with its parameters, ready to run, running, or suspended by a row limit. Also what a SQL cursor is.
 *
 * Rows are taken as slices of the execution's batches, never row by row. Every portal has its own abort signal, since a suspended one
 * outlives the Execute that started it.
 */
import type { Batch } from '../../runtime/batch.js';
import type { Column } from '../../types/sqltype.js';
import type { Format } from '../wire/messages.js';
import type { Execution, Prepared } from './backend.js';
import type { ParsedStatement } from '../../planner/parse/statement.js';
import type { SqlType } from '../../types/sqltype.js';

/** Named limit: wait for the backend to take back an aborted execution. */
const ABANDON_MS = 2_000;

export interface Slice { readonly batch: Batch; readonly from: number; readonly to: number }

/** A prepared statement of the session. `parsed` null: the empty statement. `prepared` null: empty, or a statement that the session runs itself. */
export interface SessionStatement {
  readonly parsed: ParsedStatement | null;
  readonly prepared: Prepared | null;
  readonly paramTypes: readonly SqlType[];
}

export type PortalExecution =
  | Exclude<Execution, { kind: 'rows' }>
  | { readonly kind: 'slices'; readonly columns: readonly Column[]; readonly slices: AsyncIterator<Slice>; readonly tag: (rows: number) => string; readonly streaming: boolean };

export class Portal {
  readonly name: string;
  readonly statement: SessionStatement;
  readonly params: readonly (string | null)[];
  formats: readonly Format[];
  readonly controller = new AbortController();
  /** A SQL cursor: FETCH takes from it, Execute does not. */
  cursor = false;
  /** Outlives its transaction. */
  hold = false;
  /** null until started. */
  execution: PortalExecution | null = null;
  /** Rows given so far, and whether the end was met. */
  position = 0;
  done = false;
  #slice: Slice | null = null;

  constructor(name: string, statement: SessionStatement, params: readonly (string | null)[], formats: readonly Format[]) {
    this.name = name;
    this.statement = statement;
    this.params = params;
    this.formats = formats;
  }

  /** Up to `rowsMax` rows of what comes next; null at the end. Empty batches are passed over. */
  async next(rowsMax: number): Promise<Slice | null> {
    const execution = this.execution;
    if (execution === null || execution.kind !== 'slices' || this.done) return null;
    while (this.#slice === null) {
      const result = await withAbort(execution.slices.next(), this.controller.signal);
      if (result.done === true) { this.done = true; return null; }
      if (result.value.to > result.value.from) this.#slice = result.value;
    }
    const { batch, from, to } = this.#slice;
    const end = Math.min(to, from + rowsMax);
    this.#slice = end < to ? { batch, from: end, to } : null;
    this.position += end - from;
    return { batch, from, to: end };
  }

  /** Gives the execution back. Never throws. */
  async close(): Promise<void> {
    const execution = this.execution;
    this.done = true;
    this.#slice = null;
    if (execution === null || execution.kind !== 'slices') return;
    this.execution = null;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => { timer = setTimeout(resolve, ABANDON_MS); });
    // What the execution throws while it is taken back has nobody to tell: its statement has ended already.
    const returned = Promise.resolve(execution.slices.return?.()).then(() => undefined, () => undefined);
    await Promise.race([returned, patience]);
    clearTimeout(timer);
  }
}

export async function* wholeBatches(batches: AsyncIterable<Batch>): AsyncGenerator<Slice> {
  for await (const batch of batches) yield { batch, from: 0, to: batch.length };
}

export function portalExecution(execution: Execution): PortalExecution {
  if (execution.kind !== 'rows') return execution;
  return { kind: 'slices', columns: execution.columns, slices: wholeBatches(execution.batches), tag: execution.tag, streaming: execution.streaming };
}

/** The promise's result, or the abort's reason as soon as that comes. */
export function withAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => { reject(signal.reason as Error); };
    if (signal.aborted) { promise.catch(() => undefined); abort(); return; }
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => { signal.removeEventListener('abort', abort); });
  });
}
