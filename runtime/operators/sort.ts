/**
 * Sort (batch queries): all rows kept with their order-encoded keys, sorted by bytes at the end; with `top`, cut to that many whenever twice
 * as many are held. Ties keep the order of arrival. Rows of weight n come n times. Cost: n log n comparisons of key bytes.
 */
import type { SortNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { keyEncoder, type KeyEncoder } from '../keys.js';
import type { Operator, OperatorContext } from '../operator.js';

/** Rows held beyond `top` before they are cut. */
const TOP_SLACK_ROWS = 8192;

interface Kept { readonly batch: Batch; readonly row: number; readonly weight: number; readonly key: Uint8Array; readonly arrival: number }

export class SortOperator implements Operator {
  readonly node: SortNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #keys: KeyEncoder;
  #kept: Kept[] = [];
  #arrivals = 0;

  constructor(node: SortNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
    this.#keys = keyEncoder(this.#types, node.keys.map(k => k.column), 'order', node.keys);
  }

  process(batch: Batch): void {
    const keys = this.#keys(batch);
    const arena = keys.data.slice(0, batch.length === 0 ? 0 : keys.end[batch.length - 1]);
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      this.#kept.push({ batch, row: i, weight, key: arena.subarray(keys.start[i], keys.end[i]), arrival: this.#arrivals++ });
    }
    const { top } = this.node;
    if (top !== null && this.#kept.length > 2 * top + TOP_SLACK_ROWS && this.#kept.every(k => k.weight > 0)) this.#cut(top);
  }

  #order(): void { this.#kept.sort((a, b) => Buffer.compare(a.key, b.key) || a.arrival - b.arrival); }
  #cut(top: number): void {
    this.#order();
    this.#kept.length = Math.min(this.#kept.length, top);
  }

  end(): void {
    this.#order();
    const builder = new BatchBuilder(this.#types);
    let left = this.node.top ?? Infinity;
    for (const { batch, row, weight } of this.#kept) {
      for (let n = 0; n < weight && left > 0; n++, left--) {
        builder.appendRow(batch, row);
        if (builder.length >= BATCH_ROWS_MAX) this.#context.emit(builder.finish());
      }
    }
    this.#kept = [];
    if (builder.length > 0) this.#context.emit(builder.finish());
  }
}
