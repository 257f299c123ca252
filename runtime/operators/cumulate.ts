/**
 * Cumulate: CUMULATE. Windows that begin at multiples of size plus offset and grow by a step up to size: each row is emitted once for every one that
 * ends after its event time: [start, start + k·step). Late windows and rows without event time as in window.ts. Stateless.
 * Cost: up to size / step output rows a row.
 */
import type { WindowNode } from '../../types/plan.js';
import type { Batch } from '../batch.js';
import type { Operator, OperatorContext } from '../operator.js';
import { EventTimes } from './eventtimes.js';
import { emitWindows, inParts } from './window.js';

export class CumulateOperator implements Operator {
  readonly node: WindowNode;
  readonly #context: OperatorContext;

  constructor(node: WindowNode, context: OperatorContext) {
    this.node = node;
    this.#context = context;
  }

  process(batch: Batch): void { inParts(batch, Math.ceil(this.node.sizeUs / this.node.slideUs), piece => { this.#part(piece); }); }

  #part(batch: Batch): void {
    const { timeColumn, sizeUs, slideUs, offsetUs, lateColumn } = this.node;
    const times = new EventTimes(batch, timeColumn, lateColumn);
    const rows = new Int32Array(batch.length * Math.ceil(sizeUs / slideUs));
    const starts = new Float64Array(rows.length);
    const ends = new Float64Array(rows.length);
    let count = 0;
    for (let i = 0; i < batch.length; i++) {
      const time = times.time(i);
      if (time !== time) continue;
      const mark = times.mark(i);
      const start = Math.floor((time - offsetUs) / sizeUs) * sizeUs + offsetUs;
      for (let end = start + (Math.floor((time - start) / slideUs) + 1) * slideUs; end <= start + sizeUs; end += slideUs) {
        if (end <= mark) { times.late++; continue; }
        rows[count] = i;
        starts[count] = start;
        ends[count++] = end;
      }
    }
    times.tell(this.#context);
    emitWindows(this.#context, batch, rows, count, starts, ends);
  }
}
