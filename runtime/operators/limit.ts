/** Limit (batch queries): skips `offset` rows, lets `limit` pass, then wants no more. Rows of weight n count n times. */
import { SqlError } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { LimitNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import type { Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { interpret } from '../codegen/interpret.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { Operator, OperatorContext } from '../operator.js';
import { slice } from '../vectors.js';

export class LimitOperator implements Operator {
  readonly node: LimitNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  #skip: number;
  #left: number;

  constructor(node: LimitNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#types = input.map(c => c.type);
    const { given } = node;
    const value = (e: Expr | null, word: string, code: string): number | null => (e === null ? null : count(interpret(e, subplans)([], context.session), word, code));
    this.#left = (given === undefined ? node.limit : value(given.limit, 'LIMIT', '2201W')) ?? Infinity;
    this.#skip = (given === undefined ? node.offset : value(given.offset, 'OFFSET', '2201X')) ?? 0;
  }

  /** A full limit wants no more rows: sources stop. */
  get done(): boolean { return this.#left <= 0; }

  process(batch: Batch): void {
    const rows = batch.weights === null ? batch : expand(this.#types, batch);
    const from = Math.min(this.#skip, rows.length);
    this.#skip -= from;
    const to = Math.min(rows.length, from + this.#left);
    this.#left -= to - from;
    if (to > from) this.#context.emit(slice(rows, from, to));
  }
}

function count(value: Datum, word: string, code: string): number | null {
  if (value !== null && Number(value) < 0) throw new SqlError(code, `${word} must not be negative`);
  return value === null ? null : Number(value);
}

/** Rows of weight n as n rows. */
export function expand(types: readonly SqlType[], batch: Batch): Batch {
  if (batch.weights === null || batch.weights.subarray(0, batch.length).every(w => w === 1)) return { ...batch, weights: null };
  const builder = new BatchBuilder(types);
  for (let i = 0; i < batch.length; i++) for (let n = 0; n < batch.weights[i]; n++) builder.appendRow(batch, i);
  return builder.finish();
}
