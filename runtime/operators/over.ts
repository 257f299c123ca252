/**
 * Over: window functions of one PARTITION BY and ORDER BY.
 *
 * State: all rows of every partition in order (partitions.ts). At the barrier the partitions touched in the epoch are computed twice, over the rows
 * they had when the epoch began (taken back) and over those they have now; what differs goes out. Batch queries: every partition once, at the end.
 *
 * Cost: one add to a tree a row; an epoch the rows of the partitions touched, twice: for partitions that grow without end use Top-N or a bounded
 * PARTITION BY. Memory: the rows of the touched partitions once more.
 */
import type { OverNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { KeyBatch } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import { negated } from '../vectors.js';
import { aggregateFunction } from '../windowfunctions/aggregates.js';
import { partitionOf } from '../windowfunctions/frame.js';
import { partitionFunction, type PartitionFunction } from '../windowfunctions/ranking.js';
import { consolidate } from '../zset.js';
import { OrderedPartitions, type PartitionVisitor } from './partitions.js';
import { RowLists } from './rowlists.js';

export class OverOperator implements Operator {
  readonly node: OverNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #outTypes: readonly SqlType[];
  readonly #partitions: OrderedPartitions;
  readonly #functions: readonly PartitionFunction[];
  readonly #rows: BatchBuilder;
  readonly #results: BatchBuilder;
  readonly #now = new RowLists();

  constructor(node: OverNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#outTypes = node.columns.map((c) => c.type);
    this.#functions = node.calls.map((c) => partitionFunction(c, this.#types) ?? aggregateFunction(c, node, this.#types, context.session));
    this.#partitions = new OrderedPartitions(context, this.#types, node.partition, node.order, (keys, i, into) => { this.#collect(keys, i, into); });
    this.#rows = new BatchBuilder(this.#types);
    this.#results = new BatchBuilder(node.calls.map((c) => c.type));
  }

  prefetch(batch: Batch): Promise<void> | null { return this.#partitions.prefetch(batch); }
  process(batch: Batch): void { this.#partitions.add(batch, null); }
  prefetchBarrier(_barrier: Barrier): Promise<void> | null { return this.#partitions.prefetchTouched(); }
  barrier(_barrier: Barrier): void { this.#emitTouched(); }
  readState(): void { this.#partitions.readAll(this.#types, (batch) => { this.#context.emit(batch); }); }
  end(): void { if (this.#context.batchMode) this.#emitTouched(); }

  #into: RowLists = this.#now;
  readonly #add: PartitionVisitor = (data, orderStart, orderEnd, rowStart, rowEnd, count) => {
    for (let n = 0; n < count; n++) this.#into.add(data, orderStart, orderEnd, data, rowStart, rowEnd, 1, 0);
    return true;
  };
  #collect(keys: KeyBatch, i: number, into: RowLists): void {
    this.#into = into;
    this.#partitions.visit(keys, i, this.#add);
  }

  /** Partitions by the batchful: a batch of many small ones costs about what one large does. */
  #emitTouched(): void {
    const { touched, old } = this.#partitions;
    const n = touched.keys.length;
    let nowFrom: number[] = [];
    for (let first = 0, k = 0; k < n; k++) {
      nowFrom.push(this.#now.length);
      this.#collect(touched.keys, k, this.#now);
      if (k + 1 < n && this.#now.length < BATCH_ROWS_MAX && this.#partitions.oldFrom(k + 1) - this.#partitions.oldFrom(first) < BATCH_ROWS_MAX) continue;
      const oldFrom: number[] = [];
      for (let j = first; j <= k; j++) oldFrom.push(this.#partitions.oldFrom(j));
      this.#emit(this.#evaluate(old, oldFrom, this.#partitions.oldFrom(k + 1)), this.#evaluate(this.#now, nowFrom, this.#now.length));
      first = k + 1;
      this.#now.clear();
      nowFrom = [];
    }
    this.#partitions.clear();
  }

  #emit(old: Batch | null, now: Batch | null): void {
    if (old === null) { if (now !== null) this.#context.emit(now); return; }
    for (const batch of consolidate(this.#outTypes, now === null ? [negated(old)] : [negated(old), now], null, false)) this.#context.emit(batch);
  }

  /** Rows [starts[0], end) of the lists, partition k from starts[k] on, with the functions' columns. */
  #evaluate(lists: RowLists, starts: readonly number[], end: number): Batch | null {
    const [first] = starts;
    const n = end - first;
    if (n === 0) return null;
    for (let i = first; i < end; i++) lists.append(this.#rows, i, 1, false);
    const batch = this.#rows.finish();
    for (let k = 0; k < starts.length; k++) {
      const from = starts[k] - first;
      const to = (k + 1 < starts.length ? starts[k + 1] : end) - first;
      if (from === to) continue;
      const partition = partitionOf(from, to, (i) => lists.peers(first + i - 1, first + i));
      for (let c = 0; c < this.#functions.length; c++) this.#functions[c](batch, partition, this.#results.columns[c]);
    }
    for (let i = 0; i < n; i++) this.#results.endRow(1);
    return { length: n, columns: [...batch.columns, ...this.#results.finish().columns], weights: null };
  }
}
