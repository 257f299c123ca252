/** Calc: filter, then project. Stateless; plain columns pass through by reference. Cost: one compiled loop for the filter and all expressions. */
import type { CalcNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { type Batch } from '../batch.js';
import { type CalcFunction, compileCalc, compileProject } from '../codegen/compile.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { Operator, OperatorContext } from '../operator.js';

export class CalcOperator implements Operator {
  readonly node: CalcNode;
  readonly #context: OperatorContext;
  readonly #calc: CalcFunction;

  constructor(node: CalcNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    const types: SqlType[] = input.map(c => c.type);
    if (node.filter === null) {
      const project = compileProject(node.project, types, subplans);
      this.#calc = (batch, ctx) => ({ columns: project(batch, null, ctx), selection: null });
    } else this.#calc = compileCalc(node.filter, node.project, types, subplans);
  }

  process(batch: Batch): void {
    const made = this.#calc(batch, this.#context.session);
    if (made === null) return;
    const { columns, selection } = made;
    let { weights } = batch;
    if (selection !== null && weights !== null) {
      weights = new Int32Array(selection.count);
      for (let i = 0; i < selection.count; i++) weights[i] = batch.weights === null ? 1 : batch.weights[selection.rows[i]];
    }
    this.#context.emit({ length: selection === null ? batch.length : selection.count, columns, weights });
  }
}
