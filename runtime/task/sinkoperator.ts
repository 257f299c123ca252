/**
 * Sink: hands each epoch's changes to a connector's SinkWriter. Append-only edges and changes that are net (comesNet) are written as they come; others are gathered and
 * consolidated by stream key at the epoch's barrier; a checkpoint in the midst of the epoch keeps them (`owed`). At a checkpoint barrier `snapshot` waits for the writes and prepares; the next batch waits for
 * it (backpressure: `prefetch` gives the write under way). `committed` runs when the checkpoint completed.
 */
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { PlanNode, SinkNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { withoutEqualPairs } from '../changepairs.js';
import type { SinkConnector, SinkWriter, SourceContext } from '../connector.js';
import type { SinkInfo } from '../engine.js';
import type { Barrier, Operator, Owed } from '../operator.js';
import { consolidate } from '../zset.js';

/**
 * Whether an epoch's changes come from an operator that gives at most one −old and one +new for each key of the sink, next to each other and only where they differ:
 * one GROUP BY, or one Top-N by row number, and behind it nothing but choices of rows and columns. Gathering and consolidating them would hold the epoch's rows
 * for nothing. 'pairs': rows that differed may be equal by now, since a column was left out or computed from.
 */
export function comesNet(sink: SinkNode, nodes: readonly PlanNode[]): 'net' | 'pairs' | null {
  let key = sink.key;
  let pairs = false;
  let from = nodes.find(n => n.id === sink.inputs[0]);
  while (from !== undefined && from.op === 'calc' && key !== null) {
    const [input] = from.inputs;
    const before = nodes.find(n => n.id === input);
    const columns = from.project.map(e => (e.node === 'column' ? e.index : -1));
    if (before === undefined) return null;
    if (new Set(columns).size !== before.columns.length || columns.includes(-1)) pairs = true;
    key = key.map(k => columns[k]);
    from = before;
  }
  if (from === undefined || key === null) return null;
  const one = from.op === 'aggregate' ? from.closes?.emitOnClose !== true : from.op === 'topn' && from.fn === 'row_number' && (from.rank || from.from === from.to);
  const own = from.key;
  if (!one || own === null || own.length !== key.length || !own.every(k => key.includes(k))) return null;
  return pairs ? 'pairs' : 'net';
}

export class SinkOperator implements Operator {
  readonly node: SinkNode;
  readonly #types: readonly SqlType[];
  readonly #writer: SinkWriter;
  readonly #subtask: number;
  /** What is written as it comes: 'pairs' without pairs of equal rows; null = an epoch's changes are gathered and consolidated. */
  readonly #direct: ReturnType<typeof comesNet>;
  #changes: Batch[] = [];
  #writing: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #rows = 0;
  #committed: number | null = null;
  #committing: Promise<void> = Promise.resolve();

  constructor(node: SinkNode, connector: SinkConnector, job: { jobId: number; subtask: number; parallelism: number }, context: Pick<SourceContext, 'log' | 'now'>, net: ReturnType<typeof comesNet> = null) {
    this.node = node;
    this.#direct = node.appendOnly ? 'net' : net;
    this.#types = node.columns.map(c => c.type);
    this.#subtask = job.subtask;
    this.#writer = connector.create({ ...job, nodeId: node.id, relationName: node.relationName, options: node.options, columns: node.columns, visible: node.columns.slice(0, node.visible), key: node.key, appendOnly: node.appendOnly }, context);
  }

  async open(restored: Json | undefined, checkpointId: number): Promise<void> {
    const state = restored as { rows: number; sink: Json } | undefined;
    this.#rows = state?.rows ?? 0;
    if (state !== undefined) this.#committed = checkpointId;
    await this.#writer.open(state?.sink ?? null, checkpointId);
  }

  prefetch(): Promise<void> | null {
    this.#check();
    return this.#writing;
  }

  process(batch: Batch): void {
    this.#rows += batch.length;
    if (this.#direct === null) { this.#changes.push(batch); return; }
    const changes = this.#direct === 'pairs' ? withoutEqualPairs(this.#types, batch) : batch;
    if (changes.length > 0) this.#write(changes);
  }

  prefetchBarrier(): Promise<void> | null { return this.#writing; }

  owed(): Owed[] { return this.#changes.map(batch => ({ input: 0, batch, keys: null })); }

  /** What was owed in other subtasks, when the parallelism has changed: before the job starts, so that no later change of a row comes before it. */
  async writeNow(batches: readonly Batch[]): Promise<void> {
    for (const batch of consolidate(this.#types, batches, this.node.key, false)) this.#write(batch);
    await this.settled();
  }

  barrier(barrier: Barrier): void {
    if (barrier.midEpoch !== undefined) return;
    const changes = this.#changes;
    if (changes.length === 0) return;
    this.#changes = [];
    for (const batch of consolidate(this.#types, changes, this.node.key, false)) this.#write(batch);
  }

  async snapshot(barrier: Barrier): Promise<Json> {
    await this.#writing;
    this.#check();
    return { rows: this.#rows, sink: barrier.checkpoint === null ? null : await this.#writer.prepare(barrier.checkpoint.id) };
  }

  /** One commit after the other, however fast checkpoints complete. */
  async committed(checkpointId: number): Promise<void> {
    const commit = this.#committing.then(() => this.#writer.commit(checkpointId));
    this.#committing = commit;
    await commit;
    this.#committed = checkpointId;
  }

  aborted(checkpointId: number): void { this.#writer.aborted?.(checkpointId); }

  /** Resolves when everything given so far is written. */
  async settled(): Promise<void> {
    await this.#writing;
    this.#check();
  }

  info(): Omit<SinkInfo, 'jobId'> {
    return { relationName: this.node.relationName, operatorId: this.node.id, subtask: this.#subtask, connector: this.node.connector, rows: this.#rows, committedCheckpoint: this.#committed };
  }

  async closeWriter(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    await this.#writer.close();
  }

  #write(batch: Batch): void {
    const after = this.#writing;
    if (after === null) {
      const result = this.#writer.write(batch);
      if (result instanceof Promise) this.#track(result);
    } else this.#track(after.then(() => this.#writer.write(batch)));
  }

  #track(write: Promise<void>): void {
    const tracked: Promise<void> = write.then(
      () => { if (this.#writing === tracked) this.#writing = null; },
      (error: unknown) => {
        this.#failure ??= { error };
        if (this.#writing === tracked) this.#writing = null;
      });
    this.#writing = tracked;
  }

  #check(): void {
    if (this.#failure === null) return;
    const { error } = this.#failure;
    throw error instanceof Error ? error : new SqlError('58030', String(error));
  }
}
