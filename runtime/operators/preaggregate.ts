/**
 * Pre-aggregation, in the task that sends to a parallel aggregate: an epoch's rows become one row of partial results a group (aggregates/partials.ts)
 * before they cross the exchange. Everything goes on at the barrier, before a watermark where one can close groups, and when the epoch's groups are
 * too many: between barriers nothing is kept, so that there is no state.
 *
 * Where most rows have a group of their own, finding it costs more than it saves: rows then go on one by one, each as the partial result
 * over itself, and from time to time it is tried again.
 */
import type { AggregateNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { EpochGroups } from '../aggregates/epochgroups.js';
import { layOutFixed } from '../aggregates/partials.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import type { Operator } from '../operator.js';
import { slice } from '../vectors.js';

/** Named limits: rows that decide, groups a row from which they go on apart, rows until it is tried again. */
const DECIDE_ROWS = 4096;
const GROUPS_PER_ROW_MAX = 0.6;
const RETRY_ROWS = 1 << 18;

export class PreaggregateOperator implements Operator {
  readonly node: AggregateNode;
  readonly #emit: (batch: Batch) => void;
  readonly #groups: EpochGroups;
  /** Rows go on one by one. */
  #apart = false;
  /** Rows in, groups out, since the last decision. */
  #rows = 0;
  #sent = 0;

  /** `node`: the aggregate behind the exchange; `input`: its input columns. */
  constructor(node: AggregateNode, input: readonly Column[], emit: (batch: Batch) => void) {
    this.node = node;
    this.#emit = emit;
    const types = input.map((c) => c.type);
    const { inputs, cells } = layOutFixed(node, types);
    this.#groups = new EpochGroups(types, node, inputs, [], [], cells);
  }

  process(batch: Batch): void {
    if (batch.length === 0) return;
    this.#rows += batch.length;
    if (this.#apart) { this.#emit(this.#groups.rowPartials(batch)); return; }
    this.#groups.add(batch);
    if (this.#groups.full) this.#flush();
  }

  #flush(): void {
    const { count } = this.#groups;
    if (count > 0) {
      const all = this.#groups.partials();
      for (let from = 0; from < count; from += BATCH_ROWS_MAX) this.#emit(slice(all, from, Math.min(count, from + BATCH_ROWS_MAX)));
      this.#groups.clear();
      this.#sent += count;
    }
    if (this.#rows < (this.#apart ? RETRY_ROWS : DECIDE_ROWS)) return;
    this.#apart = !this.#apart && this.#sent > this.#rows * GROUPS_PER_ROW_MAX;
    this.#rows = 0;
    this.#sent = 0;
  }

  /** Watermarks come with barriers: which groups it closes is not worth finding out. */
  watermark(): void { if (this.node.closes !== null) this.#flush(); }

  barrier(): void { this.#flush(); }
  end(): void { this.#flush(); }
}
