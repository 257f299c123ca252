/**
 * Unnest: a set-returning function of each input row; the row is repeated beside the function's rows (and their ordinality). Between
 * batches it has no state; a long series is made in runs, and others of the thread get their turn between two.
 */
import type { UnnestNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { setFunctionById } from '../../types/functions/registry.js';
import { assert } from '../../types/error.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { interpret, type RowFunction } from '../codegen/interpret.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { Operator, OperatorContext } from '../operator.js';
import { datumRow } from '../vectors.js';

/** Named limit: rows made in one go. */
const RUN_ROWS = 16 * BATCH_ROWS_MAX;

export class UnnestOperator implements Operator {
  readonly node: UnnestNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #args: readonly RowFunction[];
  readonly #argTypes: readonly SqlType[];
  readonly #builder: BatchBuilder;
  /** Rows of the batch in hand that are not made yet. */
  #rest: Generator<void> | null = null;

  constructor(node: UnnestNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
    this.#args = node.args.map(a => interpret(a, subplans));
    this.#argTypes = node.args.map(a => a.type);
    this.#builder = new BatchBuilder(node.columns.map(c => c.type));
  }

  process(batch: Batch): void {
    this.#rest = this.#rows(batch);
    this.resume();
  }

  get unfinished(): boolean { return this.#rest !== null; }

  /** As many rows as make some batches: a series of millions holds neither its thread nor their memory. */
  resume(): void {
    if (this.#rest === null) return;
    let step = this.#rest.next();
    for (let n = 1; step.done !== true && n < RUN_ROWS; n++) step = this.#rest.next();
    if (step.done === true) this.#rest = null;
    if (this.#builder.length > 0) this.#context.emit(this.#builder.finish());
  }

  /** Adds the rows one by one. */
  *#rows(batch: Batch): Generator<void> {
    const def = setFunctionById(this.node.fn);
    assert(def !== null, `set function ${this.node.fn} is not in the catalogue`);
    const width = this.node.columns.length - this.#types.length - (this.node.ordinality ? 1 : 0);
    const ctx = this.#context.session;
    for (let i = 0; i < batch.length; i++) {
      const row = datumRow(this.#types, batch, i);
      const weight = batch.weights === null ? 1 : batch.weights[i];
      const args = this.#args.map(a => a(row, ctx));
      let ordinal = 0;
      if (!(def.strict && args.includes(null))) {
        for (const out of def.evaluate(ctx, args, this.#argTypes)) {
          ordinal++;
          this.#add([...row, ...out, ...(this.node.ordinality ? [ordinal] : [])], weight);
          yield;
        }
      }
      if (ordinal === 0 && this.node.outer) {
        this.#add([...row, ...Array.from({ length: width + (this.node.ordinality ? 1 : 0) }, (): Datum => null)], weight);
        yield;
      }
    }
  }

  #add(row: readonly Datum[], weight: number): void {
    this.#builder.appendDatums(row, weight);
    if (this.#builder.length >= BATCH_ROWS_MAX) this.#context.emit(this.#builder.finish());
  }
}
