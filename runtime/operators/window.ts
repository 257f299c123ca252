/**
 * Window: TUMBLE and HOP. Each row is emitted once for every window [start, start + size) that holds its event time, starts being multiples of
 * slide plus offset; the window's start and end come as two more columns. A row comes late for a window that ended at or before the row's split
 * watermark; such windows are left out and counted, as are rows without event time. Stateless. Cost: size / slide output rows a row.
 *
 * `ranges`: a row comes out once, beside the start of its first window and the end of its last; an aggregate adds ranges up.
 */
import type { WindowNode } from '../../types/plan.js';
import type { Batch, F64Vector } from '../batch.js';
import { assert } from '../../types/error.js';
import type { Operator, OperatorContext } from '../operator.js';
import { gather, slice } from '../vectors.js';

/** Rows that one emitted batch may have: hops of many slides multiply rows. */
export const OUTPUT_ROWS_MAX = 32768;

export class WindowOperator implements Operator {
  readonly node: WindowNode;
  readonly #context: OperatorContext;
  #rows = new Int32Array(0);
  #starts = new Float64Array(0);

  constructor(node: WindowNode, context: OperatorContext) {
    this.node = node;
    this.#context = context;
  }

  process(batch: Batch): void {
    const step = this.node.ranges === true ? OUTPUT_ROWS_MAX : Math.max(1, Math.floor(OUTPUT_ROWS_MAX / Math.ceil(this.node.sizeUs / this.node.slideUs)));
    if (batch.length <= step) this.#part(batch);
    else for (let from = 0; from < batch.length; from += step) this.#part(slice(batch, from, Math.min(from + step, batch.length)));
  }

  #part(batch: Batch): void {
    const { timeColumn, sizeUs, slideUs, offsetUs, lateColumn } = this.node;
    const times = doubles(batch, timeColumn);
    const marks = lateColumn === null ? null : doubles(batch, lateColumn);
    if (this.node.ranges === true) { this.#ranges(batch, times, marks); return; }
    const perRow = Math.ceil(sizeUs / slideUs);
    if (this.#rows.length < batch.length * perRow) {
      this.#rows = new Int32Array(batch.length * perRow);
      this.#starts = new Float64Array(batch.length * perRow);
    }
    const rows = this.#rows;
    const starts = this.#starts;
    let count = 0;
    let late = 0;
    let noTime = 0;
    for (let i = 0; i < batch.length; i++) {
      const time = times.values[i];
      if ((times.nulls !== null && times.nulls[i] === 1) || time === Infinity || time === -Infinity) { noTime++; continue; }
      const mark = marks === null || (marks.nulls !== null && marks.nulls[i] === 1) ? -Infinity : marks.values[i];
      const last = Math.floor((time - offsetUs) / slideUs) * slideUs + offsetUs;
      let start = last - (perRow - 1) * slideUs;
      for (; start <= last; start += slideUs) {
        if (start + sizeUs <= time) continue;
        if (start + sizeUs <= mark) { late++; continue; }
        rows[count] = i;
        starts[count++] = start;
      }
    }
    if (late > 0) this.#context.count('late_rows', late);
    if (noTime > 0) this.#context.count('null_event_time', noTime);
    if (count === 0) return;
    const same = count === batch.length && perRow === 1;
    const base = same ? batch : gather(batch, rows, count);
    const windowStart = starts.slice(0, count);
    const windowEnd = new Float64Array(count);
    for (let i = 0; i < count; i++) windowEnd[i] = windowStart[i] + sizeUs;
    this.#context.emit({
      length: count, weights: base.weights,
      columns: [...base.columns, { form: 'f64', values: windowStart, nulls: null }, { form: 'f64', values: windowEnd, nulls: null }],
    });
  }

  /** A late window is never after one that is not: what is left of a row's windows is a range. */
  #ranges(batch: Batch, times: F64Vector, marks: F64Vector | null): void {
    const { sizeUs, slideUs, offsetUs } = this.node;
    const n = batch.length;
    const perRow = Math.ceil(sizeUs / slideUs);
    if (this.#rows.length < n) this.#rows = new Int32Array(n);
    const rows = this.#rows;
    const first = new Float64Array(n);
    const end = new Float64Array(n);
    let count = 0;
    let late = 0;
    let noTime = 0;
    for (let i = 0; i < n; i++) {
      const time = times.values[i];
      if ((times.nulls !== null && times.nulls[i] === 1) || time === Infinity || time === -Infinity) { noTime++; continue; }
      const last = Math.floor((time - offsetUs) / slideUs) * slideUs + offsetUs;
      let start = last - (perRow - 1) * slideUs;
      if (start + sizeUs <= time) start += slideUs;
      const mark = marks === null || (marks.nulls !== null && marks.nulls[i] === 1) ? -Infinity : marks.values[i];
      for (; start + sizeUs <= mark && start <= last; start += slideUs) late++;
      if (start > last) continue;
      rows[count] = i;
      first[count] = start;
      end[count++] = last + sizeUs;
    }
    if (late > 0) this.#context.count('late_rows', late);
    if (noTime > 0) this.#context.count('null_event_time', noTime);
    if (count === 0) return;
    const base = count === n ? batch : gather(batch, rows, count);
    this.#context.emit({ length: count, weights: base.weights, columns: [...base.columns, { form: 'f64', values: first, nulls: null }, { form: 'f64', values: end, nulls: null }] });
  }
}

/** A column of event times. What is beyond exact doubles (the years 1685 to 2255) reads as infinite: a row without event time. */
export function doubles(batch: Batch, column: number): F64Vector {
  const v = batch.columns[column];
  if (v.form === 'f64') return v;
  assert(v.form === 'i64' || v.form === 'datum', 'event times are numbers');
  const values = new Float64Array(batch.length);
  const nulls = v.form === 'i64' ? v.nulls : new Uint8Array(batch.length);
  for (let i = 0; i < batch.length; i++) {
    const us = v.values[i];
    if (us === null && nulls !== null) nulls[i] = 1;
    else values[i] = Math.abs(Number(us)) <= Number.MAX_SAFE_INTEGER ? Number(us) : Infinity;
  }
  return { form: 'f64', values, nulls };
}
