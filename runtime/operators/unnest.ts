/**
 * Unnest: set-returning functions of each input row; the row is repeated beside the functions' rows (and their ordinality), which run in lockstep:
 * the shorter ones are padded with NULLs. Between batches it has no state; a long series is made in runs, and others of the thread get their turn
 * between two.
 */
import type { LockstepFunction, UnnestNode } from '../../types/plan.js';
import type { SetFunctionDef } from '../../types/functions/catalogue.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
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

interface SetFunction { readonly def: SetFunctionDef; readonly args: readonly RowFunction[]; readonly argTypes: readonly SqlType[]; readonly padding: readonly Datum[] }

const nulls = (count: number): Datum[] => Array.from({ length: count }, () => null);

function setFunction(f: LockstepFunction, subplans: SubplanRunner | null): SetFunction {
  const def = setFunctionById(f.fn);
  assert(def !== null, `set function ${f.fn} is not in the catalogue`);
  const argTypes = f.args.map(a => a.type);
  return { def, args: f.args.map(a => interpret(a, subplans)), argTypes, padding: nulls(def.columns(argTypes).length) };
}

function call(f: SetFunction, row: readonly Datum[], ctx: EvalContext): Iterable<readonly Datum[]> {
  const args = f.args.map(a => a(row, ctx));
  return f.def.strict && args.includes(null) ? [] : f.def.evaluate(ctx, args, f.argTypes);
}

/** The functions' rows beside each other, until the longest ends. */
function rowsOf(functions: readonly SetFunction[], row: readonly Datum[], ctx: EvalContext): Iterable<readonly Datum[]> {
  return functions.length === 1 ? call(functions[0], row, ctx) : lockstep(functions, row, ctx);
}

function* lockstep(functions: readonly SetFunction[], row: readonly Datum[], ctx: EvalContext): Iterable<readonly Datum[]> {
  const running = functions.map(f => call(f, row, ctx)[Symbol.iterator]());
  for (;;) {
    const steps = running.map(r => r.next());
    if (steps.every(s => s.done === true)) return;
    yield steps.flatMap((s, k) => (s.done === true ? functions[k].padding : s.value));
  }
}

/** Named limit: rows made in one go. */
const RUN_ROWS = 16 * BATCH_ROWS_MAX;

export class UnnestOperator implements Operator {
  readonly node: UnnestNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #functions: readonly SetFunction[];
  readonly #builder: BatchBuilder;
  /** Rows of the batch in hand that are not made yet. */
  #rest: Generator<void> | null = null;

  constructor(node: UnnestNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
    this.#functions = [node, ...node.beside ?? []].map(f => setFunction(f, subplans));
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
    const width = this.node.columns.length - this.#types.length;
    const ctx = this.#context.session;
    for (let i = 0; i < batch.length; i++) {
      const row = datumRow(this.#types, batch, i);
      const weight = batch.weights === null ? 1 : batch.weights[i];
      let ordinal = 0;
      for (const out of rowsOf(this.#functions, row, ctx)) {
        ordinal++;
        this.#add([...row, ...out, ...(this.node.ordinality ? [ordinal] : [])], weight);
        yield;
      }
      if (ordinal === 0 && this.node.outer) {
        this.#add([...row, ...nulls(width)], weight);
        yield;
      }
    }
  }

  #add(row: readonly Datum[], weight: number): void {
    this.#builder.appendDatums(row, weight);
    if (this.#builder.length >= BATCH_ROWS_MAX) this.#context.emit(this.#builder.finish());
  }
}
