/**
 * Event times of a batch's rows, and how far each row's split watermark had come before it, as the window operators read them. Rows without event
 * time and late rows are counted here and told once a batch.
 */
import type { Batch, F64Vector } from '../batch.js';
import { assert } from '../../types/error.js';
import type { OperatorContext } from '../operator.js';

export class EventTimes {
  /** Late rows; of a row in several windows, late windows. */
  late = 0;
  #without = 0;
  readonly #times: F64Vector;
  readonly #marks: F64Vector | null;

  /** `lateColumn` null: nothing is late. */
  constructor(batch: Batch, timeColumn: number, lateColumn: number | null) {
    this.#times = doubles(batch, timeColumn);
    this.#marks = lateColumn === null ? null : doubles(batch, lateColumn);
  }

  /** Event time of row i in µs; NaN when it has none, which is counted. */
  time(i: number): number {
    const { values, nulls } = this.#times;
    const time = values[i];
    if ((nulls !== null && nulls[i] === 1) || time === Infinity || time === -Infinity) { this.#without++; return NaN; }
    return time;
  }

  /** The row's split watermark before it: a window that ended by it is closed to the row. */
  mark(i: number): number {
    const marks = this.#marks;
    return marks === null || (marks.nulls !== null && marks.nulls[i] === 1) ? -Infinity : marks.values[i];
  }

  tell(context: OperatorContext): void {
    if (this.late > 0) context.count('late_rows', this.late);
    if (this.#without > 0) context.count('null_event_time', this.#without);
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
