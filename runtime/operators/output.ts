/** Output: root of a batch query. Hands each batch, cut to the visible columns and with rows of weight n repeated, to `emit`: the query's client. */
import type { OutputNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import type { Operator, OperatorContext } from '../operator.js';
import { expand } from './limit.js';

export class OutputOperator implements Operator {
  readonly node: OutputNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];

  constructor(node: OutputNode, context: OperatorContext, input: readonly Column[]) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
  }

  process(batch: Batch): void {
    const rows = expand(this.#types, batch);
    this.#context.emit({ length: rows.length, columns: rows.columns.slice(0, this.node.visible), weights: null });
  }
}
