/** Operators that hand batches on as they are: UNION ALL, and an exchange where both sides run in one task. */
import type { ExchangeNode, UnionNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { Operator, OperatorContext } from '../operator.js';

export class PassThroughOperator implements Operator {
  readonly node: UnionNode | ExchangeNode;
  readonly #context: OperatorContext;
  constructor(node: UnionNode | ExchangeNode, context: OperatorContext) {
    this.node = node;
    this.#context = context;
  }
  process(batch: Batch): void { this.#context.emit(batch); }
}
