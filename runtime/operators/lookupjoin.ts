/**
 * Lookup join: JOIN … FOR SYSTEM_TIME AS OF processing time. Each row of the left side, a stream, meets the right side's rows, a table's, as they are
 * at the end of the row's epoch: whole transactions. What came out is never taken back when the table changes.
 *
 * State: the right side's rows by join key, in a group table: [hash, row] with counts. The left side's rows are not kept: the batches of an epoch wait for its
 * barrier; past HELD_ROWS_MAX rows meet what is there when they come. Sources of streams begin when the tables have been read (runtime/task/task.ts).
 *
 * Cost: a look-up a row, a result row a pair.
 */
import type { LookupNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { compileFilter, type FilterFunction } from '../codegen/compile.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import { keyEncoder, type KeyBatch, type KeyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext, Owed } from '../operator.js';
import type { GroupTable } from '../state/table.js';
import { gather, gatherVector } from '../vectors.js';

/** Named limit: rows of the left side that wait for a barrier. */
const HELD_ROWS_MAX = 1 << 17;
/** An entry's subkey: hash of the row, then the row. */
const ROW_AT = 4;

export class LookupOperator implements Operator {
  readonly node: LookupNode;
  readonly #context: OperatorContext;
  readonly #leftKeys: KeyEncoder;
  readonly #rightKeys: KeyEncoder;
  readonly #rightRows: (batch: Batch) => RowBytes;
  readonly #rightTypes: readonly SqlType[];
  readonly #table: GroupTable;
  readonly #filter: FilterFunction | null;
  readonly #found: BatchBuilder;
  #held: Batch[] = [];
  #heldRows = 0;
  /** Left row of each row found. */
  #rows = new Int32Array(1024);
  #subkey = new Uint8Array(256);

  constructor(node: LookupNode, context: OperatorContext, left: readonly Column[], right: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#rightTypes = right.map((c) => c.type);
    this.#leftKeys = keyEncoder(left.map((c) => c.type), node.leftKeys);
    this.#rightKeys = keyEncoder(this.#rightTypes, node.rightKeys);
    this.#rightRows = rowEncoder(this.#rightTypes);
    this.#table = context.groupTable(0, 'ordered');
    this.#filter = node.residual === null ? null : compileFilter(node.residual, [...left, ...right].map((c) => c.type), subplans);
    this.#found = new BatchBuilder(this.#rightTypes);
  }

  #waits(batch: Batch): boolean { return this.#heldRows + batch.length <= HELD_ROWS_MAX; }

  prefetch(batch: Batch, input: number): Promise<void> | null {
    if (input === 1) return this.#table.prefetch(this.#rightKeys(batch));
    return this.#waits(batch) ? null : this.#table.prefetch(this.#leftKeys(batch));
  }

  process(batch: Batch, input: number): void {
    if (input === 1) this.#change(batch);
    else if (this.#waits(batch)) {
      this.#held.push(batch);
      this.#heldRows += batch.length;
    } else this.#lookUp(batch);
  }

  #change(batch: Batch): void {
    const keys = this.#rightKeys(batch);
    const rows = this.#rightRows(batch);
    for (let i = 0; i < batch.length; i++) {
      if (keys.anyNull !== null && keys.anyNull[i] === 1) continue;
      const length = ROW_AT + rows.end[i] - rows.start[i];
      if (this.#subkey.length < length) this.#subkey = new Uint8Array(length * 2);
      const subkey = this.#subkey;
      const hash = hashBytes(rows.data, rows.start[i], rows.end[i]);
      for (let b = 0; b < ROW_AT; b++) subkey[b] = hash >>> (8 * b);
      subkey.set(rows.data.subarray(rows.start[i], rows.end[i]), ROW_AT);
      this.#table.add(keys, i, subkey, 0, length, subkey, 0, 0, batch.weights === null ? 1 : batch.weights[i]);
    }
  }

  // ---- barrier ----

  prefetchBarrier(barrier: Barrier): Promise<void> | null {
    if (barrier.midEpoch !== undefined) return null;
    let waiting: Promise<void> | null = null;
    for (const batch of this.#held) {
      // The keys are copied before the encoder is used again.
      const more = this.#table.prefetch(this.#leftKeys(batch));
      if (more !== null) waiting = waiting === null ? more : Promise.all([waiting, more]).then(() => undefined);
    }
    return waiting;
  }

  owed(): Owed[] { return this.#held.map((batch) => ({ input: 0, batch, keys: this.node.leftKeys })); }

  /** The table's changes of the epoch are all here. */
  barrier(barrier: Barrier): void {
    if (barrier.midEpoch !== undefined) return;
    const held = this.#held;
    this.#held = [];
    this.#heldRows = 0;
    for (const batch of held) this.#lookUp(batch);
  }

  #lookUp(batch: Batch): void {
    const keys = this.#leftKeys(batch);
    let from = 0;
    for (let i = 0; i < batch.length; i++) {
      if (keys.anyNull === null || keys.anyNull[i] === 0) this.#find(keys, i, batch.weights === null ? 1 : batch.weights[i]);
      if (this.#found.length >= BATCH_ROWS_MAX) { this.#emit(batch, from, i + 1); from = i + 1; }
    }
    this.#emit(batch, from, batch.length);
  }

  #find(keys: KeyBatch, i: number, weight: number): void {
    const found = this.#found;
    this.#table.visit(keys, i, false, (data, subStart, _subEnd, _payStart, _payEnd, count) => {
      if (count <= 0) return true;
      if (found.length === this.#rows.length) {
        const grown = new Int32Array(this.#rows.length * 2);
        grown.set(this.#rows);
        this.#rows = grown;
      }
      this.#rows[found.length] = i;
      found.appendStored(data, subStart + ROW_AT, weight * count);
      return true;
    });
  }

  /** Pairs of left rows from..to; those without one beside NULLs when the join is a left one. */
  #emit(batch: Batch, from: number, to: number): void {
    const rows = this.#rows;
    const { length, columns, weights } = this.#found.finish();
    const pairs: Batch = { length, columns: [...batch.columns.map((v) => gatherVector(v, rows, length)), ...columns], weights };
    const kept = this.#filter === null || length === 0 ? null : this.#filter(pairs, this.#context.session);
    if (this.node.kind === 'left') this.#emitAlone(batch, from, to, length, kept);
    if (length === 0) return;
    if (kept === null || kept.count === length) this.#context.emit(pairs);
    else if (kept.count > 0) this.#context.emit(gather(pairs, kept.rows, kept.count));
  }

  #emitAlone(batch: Batch, from: number, to: number, length: number, kept: { readonly rows: Int32Array; readonly count: number } | null): void {
    const met = new Uint8Array(to - from);
    if (kept === null) for (let n = 0; n < length; n++) met[this.#rows[n] - from] = 1;
    else for (let n = 0; n < kept.count; n++) met[this.#rows[kept.rows[n]] - from] = 1;
    const out = new BatchBuilder(this.node.columns.map((c) => c.type));
    for (let i = from; i < to; i++) if (met[i - from] === 0) out.appendPair(batch, i, batch.columns.length, null, 0, batch.weights === null ? 1 : batch.weights[i]);
    if (out.length > 0) this.#context.emit(out.finish());
  }
}
