/** RowsFeed: the constant rows of a job (VALUES, SELECT without FROM): given once, by subtask 0, then the feed ends. State: whether they were given. */
import type { Json } from '../../types/connect.js';
import type { RowsNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { EvalContext } from '../codegen/context.js';
import type { SourceInfo } from '../engine.js';
import { constantRows } from '../operators/rows.js';
import type { Feed } from './feed.js';

export interface RowsState { readonly given: boolean }

export class RowsFeed implements Feed {
  readonly nodeId: number;
  /** Constants hold no window open. */
  readonly watermarkUs = Infinity;
  readonly idle = false;
  readonly nullEventTimes = 0;
  readonly logPosition = Infinity;
  rows = 0;
  readonly #node: RowsNode;
  readonly #session: EvalContext;
  #given: boolean;

  constructor(node: RowsNode, session: EvalContext, gives: boolean) {
    this.nodeId = node.id;
    this.#node = node;
    this.#session = session;
    this.#given = !gives || node.rows.length === 0;
  }

  get backfilled(): boolean { return this.#given; }
  get backlog(): boolean { return !this.#given; }

  open(state: Json | undefined): Promise<void> {
    if (state !== undefined && (state as unknown as RowsState).given) this.#given = true;
    return Promise.resolve();
  }

  next(): 'rows' | 'end' { return this.#given ? 'end' : 'rows'; }

  take(raw: unknown): Batch | 'end' {
    if (raw === 'end' || this.#given) return 'end';
    const batch = constantRows(this.#node, this.#session);
    this.#given = true;
    this.rows = batch.length;
    return batch;
  }

  untilBarrier(): null { return null; }

  snapshot(): Json { return { given: this.#given } satisfies RowsState; }

  completed(): Promise<void> { return Promise.resolve(); }

  infos(): Omit<SourceInfo, 'jobId' | 'subtask'>[] { return []; }

  close(): Promise<void> { return Promise.resolve(); }
}
