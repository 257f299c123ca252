/**
 * Window: TUMBLE and HOP. Each row is emitted once for every window [start, start + size) that holds its event time, starts being multiples of
 * slide plus offset; the window's start and end come as two more columns. A row comes late for a window that ended at or before the row's split
 * watermark; such windows are left out and counted, as are rows without event time. Stateless. Cost: size / slide output rows a row.
 *
 * `ranges`: a row comes out once, beside the start of its first window and the end of its last; an aggregate adds ranges up.
 */
import type { WindowNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { Operator, OperatorContext } from '../operator.js';
import { gather, slice } from '../vectors.js';
import { EventTimes } from './eventtimes.js';

/** Rows that one emitted batch may have: hops of many slides multiply rows. */
const OUTPUT_ROWS_MAX = 32768;

/** Calls `part` for pieces of the batch of which every row may go into `perRow` windows. */
export function inParts(batch: Batch, perRow: number, part: (piece: Batch) => void): void {
  const step = Math.max(1, Math.floor(OUTPUT_ROWS_MAX / perRow));
  if (batch.length <= step) part(batch);
  else for (let from = 0; from < batch.length; from += step) part(slice(batch, from, Math.min(from + step, batch.length)));
}

/** Emits `count` rows of the batch with the start and end of a window each; `rows` null: each row once, in order. */
export function emitWindows(context: OperatorContext, batch: Batch, rows: Int32Array | null, count: number, starts: Float64Array, ends: Float64Array): void {
  if (count === 0) return;
  const base = rows === null ? batch : gather(batch, rows, count);
  const bounds = [starts, ends].map(values => ({ form: 'f64', values: values.subarray(0, count), nulls: null } as const));
  context.emit({ length: count, weights: base.weights, columns: [...base.columns, ...bounds] });
}

export class WindowOperator implements Operator {
  readonly node: WindowNode;
  readonly #context: OperatorContext;
  /** Windows of a row, late ones included. */
  readonly #perRow: number;
  #rows = new Int32Array(0);

  constructor(node: WindowNode, context: OperatorContext) {
    this.node = node;
    this.#context = context;
    this.#perRow = Math.ceil(node.sizeUs / node.slideUs);
  }

  process(batch: Batch): void {
    const { ranges } = this.node;
    inParts(batch, ranges === true ? 1 : this.#perRow, piece => { if (ranges === true) this.#ranges(piece); else this.#windows(piece); });
  }

  #room(length: number): Int32Array {
    if (this.#rows.length < length) this.#rows = new Int32Array(length);
    return this.#rows;
  }

  #windows(batch: Batch): void {
    const { timeColumn, sizeUs, slideUs, offsetUs, lateColumn } = this.node;
    const times = new EventTimes(batch, timeColumn, lateColumn);
    const perRow = this.#perRow;
    const rows = this.#room(batch.length * perRow);
    const starts = new Float64Array(batch.length * perRow);
    const ends = new Float64Array(batch.length * perRow);
    let count = 0;
    for (let i = 0; i < batch.length; i++) {
      const time = times.time(i);
      if (time !== time) continue;
      const mark = times.mark(i);
      const last = Math.floor((time - offsetUs) / slideUs) * slideUs + offsetUs;
      for (let start = last - (perRow - 1) * slideUs; start <= last; start += slideUs) {
        const end = start + sizeUs;
        if (end <= time) continue;
        if (end <= mark) { times.late++; continue; }
        rows[count] = i;
        starts[count] = start;
        ends[count++] = end;
      }
    }
    times.tell(this.#context);
    emitWindows(this.#context, batch, count === batch.length && perRow === 1 ? null : rows, count, starts, ends);
  }

  /** A late window is never after one that is not: what is left of a row's windows is a range. */
  #ranges(batch: Batch): void {
    const { timeColumn, sizeUs, slideUs, offsetUs, lateColumn } = this.node;
    const times = new EventTimes(batch, timeColumn, lateColumn);
    const n = batch.length;
    const perRow = this.#perRow;
    const rows = this.#room(n);
    const first = new Float64Array(n);
    const end = new Float64Array(n);
    let count = 0;
    for (let i = 0; i < n; i++) {
      const time = times.time(i);
      if (time !== time) continue;
      const last = Math.floor((time - offsetUs) / slideUs) * slideUs + offsetUs;
      let start = last - (perRow - 1) * slideUs;
      if (start + sizeUs <= time) start += slideUs;
      const mark = times.mark(i);
      for (; start + sizeUs <= mark && start <= last; start += slideUs) times.late++;
      if (start > last) continue;
      rows[count] = i;
      first[count] = start;
      end[count++] = last + sizeUs;
    }
    times.tell(this.#context);
    emitWindows(this.#context, batch, count === n ? null : rows, count, first, end);
  }
}
