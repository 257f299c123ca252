/**
 * Event time at a source: rows without one that windows can take (NULL, infinite, outside the years 1685 to 2255) are dropped and counted, and each row learns its split's watermark before it, so that what
 * is late depends on the split's own order only, and is the same after a recovery.
 *
 *   watermark of a split before row i = max over its rows < i of watermarkExpr, or what the split began with
 */
import type { SourceNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { EvalContext } from '../codegen/context.js';
import { compileProject, type ProjectFunction } from '../codegen/compile.js';
import type { Batch, F64Vector, Vector } from '../batch.js';
import { gather } from '../vectors.js';

export class EventTime {
  readonly #project: ProjectFunction | null;
  readonly #split: boolean;
  readonly #session: EvalContext;
  nullEventTimes = 0;
  /** After `apply`: the split's watermark after the batch. */
  watermarkUs = -Infinity;

  constructor(node: Pick<SourceNode, 'watermark' | 'splitWatermark'>, fieldTypes: readonly SqlType[], session: EvalContext) {
    this.#project = node.watermark === null ? null : compileProject([node.watermark.timeExpr, node.watermark.watermarkExpr], fieldTypes);
    this.#split = node.splitWatermark;
    this.#session = session;
  }

  /** The batch's rows that have an event time, with the split's watermark as last column when the plan wants it. */
  apply(batch: Batch, splitWatermarkUs: number): Batch {
    this.watermarkUs = splitWatermarkUs;
    if (this.#project === null) return this.#split ? withColumn(batch, constant(batch.length, splitWatermarkUs)) : batch;
    let [time, mark] = this.#project(batch, null, this.#session);
    let rows = batch;
    const timeless = countTimeless(time, batch.length);
    if (timeless > 0) {
      this.nullEventTimes += timeless;
      const keep = new Int32Array(batch.length - timeless);
      let k = 0;
      for (let i = 0; i < batch.length; i++) if (hasTime(time, i)) keep[k++] = i;
      rows = gather(batch, keep, k);
      [time, mark] = this.#project(rows, null, this.#session);
    }
    const before = this.#split ? new Float64Array(rows.length) : null;
    const began = splitWatermarkUs;
    let max = splitWatermarkUs;
    let unknown = 0;
    if (mark.form === 'f64' && mark.nulls === null) {
      const values = mark.values;
      for (let i = 0; i < rows.length; i++) {
        if (before !== null) before[i] = max;
        if (max === -Infinity) unknown = i + 1;
        if (values[i] > max) max = values[i];
      }
    } else {
      for (let i = 0; i < rows.length; i++) {
        if (before !== null) before[i] = max;
        if (max === -Infinity) unknown = i + 1;
        const us = microseconds(mark, i);
        if (us > max) max = us;
      }
    }
    this.watermarkUs = max;
    if (before === null) return rows;
    let nullMap: Uint8Array | null = null;
    if (began === -Infinity && unknown > 0) nullMap = new Uint8Array(rows.length).fill(1, 0, unknown);
    return withColumn(rows, { form: 'f64', values: before, nulls: nullMap });
  }
}

function microseconds(v: Vector, i: number): number {
  switch (v.form) {
    case 'f64': return v.nulls !== null && v.nulls[i] === 1 ? -Infinity : v.values[i];
    case 'i64': return v.nulls !== null && v.nulls[i] === 1 ? -Infinity : Number(v.values[i]);
    case 'datum': { const d = v.values[i]; return typeof d === 'number' || typeof d === 'bigint' ? Number(d) : -Infinity; }
    default: return -Infinity;
  }
}

function hasTime(v: Vector, i: number): boolean { return Math.abs(microseconds(v, i)) <= Number.MAX_SAFE_INTEGER; }

function countTimeless(v: Vector, length: number): number {
  let n = 0;
  if (v.form === 'f64' && v.nulls === null) {
    const { values } = v;
    for (let i = 0; i < length; i++) if (!(Math.abs(values[i]) <= Number.MAX_SAFE_INTEGER)) n++;
    return n;
  }
  for (let i = 0; i < length; i++) if (!hasTime(v, i)) n++;
  return n;
}

function constant(length: number, us: number): F64Vector {
  if (us === -Infinity) return { form: 'f64', values: new Float64Array(length), nulls: new Uint8Array(length).fill(1) };
  return { form: 'f64', values: new Float64Array(length).fill(us), nulls: null };
}

function withColumn(batch: Batch, column: Vector): Batch { return { length: batch.length, columns: [...batch.columns, column], weights: batch.weights }; }
