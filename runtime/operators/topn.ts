/**
 * Top-N: the rows of each partition that rank from `from` to `to`, by row_number, rank or dense_rank.
 *
 * This is the general form: the input may take rows back, ranks may tie, N may be large. All rows of a partition are kept in order
 * (partitions.ts); over append-only input and by row_number only the first `to`. At the barrier a touched partition's first rows are compared
 * with those it had when the epoch began, and the difference goes out. Few rows a partition over append-only input: topfew.ts.
 *
 * Cost: one add to the partition's tree a row; an epoch and touched partition a walk over its first `to` rows.
 */
import type { TopNNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { KeyBatch } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import { OrderedPartitions, type PartitionVisitor } from './partitions.js';
import { appendDifference, RowLists } from './rowlists.js';

export class TopNOperator implements Operator {
  readonly node: TopNNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #partitions: OrderedPartitions;
  readonly #rowsMax: number | null;
  readonly #to: number;
  readonly #builder: BatchBuilder;
  readonly #now = new RowLists();

  constructor(node: TopNNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#to = node.to ?? Infinity;
    // In a batch query nothing is taken back either.
    this.#rowsMax = (node.inputAppendOnly || context.batchMode) && node.fn === 'row_number' ? node.to : null;
    this.#partitions = new OrderedPartitions(context, this.#types, node.partition, node.order, (keys, i, into) => { this.#collect(keys, i, into); });
    this.#builder = new BatchBuilder(node.columns.map((c) => c.type));
  }

  prefetch(batch: Batch): Promise<void> | null { return this.#partitions.prefetch(batch); }
  process(batch: Batch): void { this.#partitions.add(batch, this.#rowsMax); }
  prefetchBarrier(_barrier: Barrier): Promise<void> | null { return this.#partitions.prefetchTouched(); }
  barrier(_barrier: Barrier): void { this.#emitTouched(); }
  readState(): void { this.#partitions.readAll(this.#types, (batch) => { this.#context.emit(batch); }); }
  end(): void { if (this.#context.batchMode) this.#emitTouched(); }

  #emitTouched(): void {
    const { touched, old } = this.#partitions;
    const { rank, fn, from, to } = this.node;
    const byRank = fn === 'row_number' && (rank || from === to);
    for (let k = 0; k < touched.keys.length; k++) {
      this.#now.clear();
      this.#collect(touched.keys, k, this.#now);
      appendDifference(this.#builder, old, this.#partitions.oldFrom(k), this.#partitions.oldFrom(k + 1), this.#now, 0, this.#now.length, rank, byRank);
      if (this.#builder.length >= BATCH_ROWS_MAX) this.#context.emit(this.#builder.finish());
    }
    if (this.#builder.length > 0) this.#context.emit(this.#builder.finish());
    this.#partitions.clear();
  }

  // What the visitors read and write: no closure a partition.
  #into: RowLists = this.#now;
  #before = 0;
  #peersFrom = 0;
  #group = 0;
  #last = new Uint8Array(64);
  #lastBytes = -1;

  /** The rows that rank from `from` to `to`. */
  #collect(keys: KeyBatch, i: number, into: RowLists): void {
    this.#into = into;
    this.#before = 0;
    this.#peersFrom = 0;
    this.#group = 0;
    this.#lastBytes = -1;
    this.#partitions.visit(keys, i, this.node.fn === 'row_number' ? this.#byNumber : this.#byRank);
  }

  readonly #byNumber: PartitionVisitor = (data, orderStart, orderEnd, rowStart, rowEnd, count) => {
    if (count <= 0) return true;
    const first = Math.max(this.#before + 1, this.node.from);
    const last = Math.min(this.#before + count, this.#to);
    this.#before += count;
    if (!this.node.rank) {
      if (last >= first) this.#into.add(data, orderStart, orderEnd, data, rowStart, rowEnd, last - first + 1, 0);
    } else for (let rank = first; rank <= last; rank++) this.#into.add(data, orderStart, orderEnd, data, rowStart, rowEnd, 1, rank);
    return this.#before < this.#to;
  };

  readonly #byRank: PartitionVisitor = (data, orderStart, orderEnd, rowStart, rowEnd, count) => {
    if (count <= 0) return true;
    if (!this.#isPeer(data, orderStart, orderEnd)) {
      this.#peersFrom = this.#before + 1;
      this.#group++;
    }
    this.#before += count;
    const rank = this.node.fn === 'rank' ? this.#peersFrom : this.#group;
    if (rank > this.#to) return false;
    if (rank >= this.node.from) this.#into.add(data, orderStart, orderEnd, data, rowStart, rowEnd, count, rank);
    return true;
  };

  /** Whether the order key is the one of the row before; it is remembered. */
  #isPeer(data: Uint8Array, from: number, to: number): boolean {
    const n = to - from;
    const last = this.#last;
    if (n === this.#lastBytes) {
      let p = 0;
      while (p < n && last[p] === data[from + p]) p++;
      if (p === n) return true;
    }
    if (last.length < n) this.#last = new Uint8Array(n * 2);
    this.#last.set(data.subarray(from, to));
    this.#lastBytes = n;
    return false;
  }
}
