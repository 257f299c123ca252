/**
 * Cumulate: CUMULATE. Windows that begin at multiples of size plus offset and grow by a step up to size: each row is emitted once for every one that
 * ends after its event time: [start, start + k·step). Late windows and rows without event time as in window.ts. Stateless.
 * Cost: up to size / step output rows a row.
 */
import type { WindowNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { Operator, OperatorContext } from '../operator.js';
import { gather, slice } from '../vectors.js';
import { doubles, OUTPUT_ROWS_MAX } from './window.js';

export class CumulateOperator implements Operator {
  readonly node: WindowNode;
  readonly #context: OperatorContext;

  constructor(node: WindowNode, context: OperatorContext) {
    this.node = node;
    this.#context = context;
  }

  process(batch: Batch): void {
    const step = Math.max(1, Math.floor(OUTPUT_ROWS_MAX / Math.ceil(this.node.sizeUs / this.node.slideUs)));
    if (batch.length <= step) this.#part(batch);
    else for (let from = 0; from < batch.length; from += step) this.#part(slice(batch, from, Math.min(from + step, batch.length)));
  }

  #part(batch: Batch): void {
    const { timeColumn, sizeUs, slideUs, offsetUs, lateColumn } = this.node;
    const times = doubles(batch, timeColumn);
    const marks = lateColumn === null ? null : doubles(batch, lateColumn);
    const perRow = Math.ceil(sizeUs / slideUs);
    const rows = new Int32Array(batch.length * perRow);
    const starts = new Float64Array(rows.length);
    const ends = new Float64Array(rows.length);
    let count = 0;
    let late = 0;
    let noTime = 0;
    for (let i = 0; i < batch.length; i++) {
      const time = times.values[i];
      if ((times.nulls !== null && times.nulls[i] === 1) || time === Infinity || time === -Infinity) { noTime++; continue; }
      const mark = marks === null || (marks.nulls !== null && marks.nulls[i] === 1) ? -Infinity : marks.values[i];
      const start = Math.floor((time - offsetUs) / sizeUs) * sizeUs + offsetUs;
      for (let end = start + (Math.floor((time - start) / slideUs) + 1) * slideUs; end <= start + sizeUs; end += slideUs) {
        if (end <= mark) { late++; continue; }
        rows[count] = i;
        starts[count] = start;
        ends[count++] = end;
      }
    }
    if (late > 0) this.#context.count('late_rows', late);
    if (noTime > 0) this.#context.count('null_event_time', noTime);
    if (count === 0) return;
    const base = gather(batch, rows, count);
    this.#context.emit({
      length: count, weights: base.weights,
      columns: [...base.columns, { form: 'f64', values: starts.subarray(0, count), nulls: null }, { form: 'f64', values: ends.subarray(0, count), nulls: null }],
    });
  }
}
