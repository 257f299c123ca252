/** Calc: filter, then project. Stateless; plain columns pass through by reference. Cost: one compiled loop for the filter, one an expression. */
import type { CalcNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { type Batch } from '../batch.js';
import { compileFilter, compileProject, type FilterFunction, type ProjectFunction } from '../codegen/compile.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { Operator, OperatorContext } from '../operator.js';

export class CalcOperator implements Operator {
  readonly node: CalcNode;
  readonly #context: OperatorContext;
  readonly #filter: FilterFunction | null;
  readonly #project: ProjectFunction;

  constructor(node: CalcNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    const types: SqlType[] = input.map(c => c.type);
    this.#filter = node.filter === null ? null : compileFilter(node.filter, types, subplans);
    this.#project = compileProject(node.project, types, subplans);
  }

  process(batch: Batch): void {
    const ctx = this.#context.session;
    const selection = this.#filter === null ? null : this.#filter(batch, ctx);
    if (selection !== null && selection.count === 0) return;
    const all = selection === null || selection.count === batch.length;
    const length = selection === null ? batch.length : selection.count;
    let weights: Int32Array | null = batch.weights;
    if (!all && selection !== null && batch.weights !== null) {
      weights = new Int32Array(length);
      for (let i = 0; i < length; i++) weights[i] = batch.weights[selection.rows[i]];
    }
    this.#context.emit({ length, columns: this.#project(batch, all ? null : selection, ctx), weights });
  }
}
