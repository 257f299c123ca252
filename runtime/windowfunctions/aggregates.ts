/**
 * Aggregates as window functions: the accumulators of GROUP BY slide over the frame: rows that come in are added with weight +1, rows that
 * leave with −1 (every accumulator takes rows back; sums are exact, so that nothing drifts). EXCLUDE takes its rows out for the one result and puts
 * them back. Ordered lists (string_agg, array_agg, json) are made from the frame's rows anew, and so are sums of numerics whose shown scale
 * would not shrink again.
 *
 * Cost: each row comes in and leaves once; lists, and frames with EXCLUDE GROUP or TIES, the rows concerned for each row.
 */
import type { AggregateCall, AggregateNode, OverCall, OverNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { listFinish } from '../aggregates/ordered.js';
import { makeAccumulator } from '../aggregates/make.js';
import type { Selection } from '../aggregates/fixed.js';
import type { Batch } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import type { EvalContext } from '../codegen/context.js';
import type { KeyBatch } from '../keys.js';
import { QueryState } from '../state/querystate.js';
import { datumAt, isNullAt } from '../vectors.js';
import { Frames, isExcluded, onlyGrows, type Partition, type Range } from './frame.js';
import type { PartitionFunction } from './ranking.js';

export function aggregateFunction(call: OverCall, node: OverNode, types: readonly SqlType[], session: EvalContext): PartitionFunction {
  const name = call.fn.slice(0, call.fn.indexOf('('));
  const finish = listFinish(name, call.args.map((a) => types[a]), session);
  if (finish !== null) return listOfFrame(call, types, (rows) => (rows.length === 0 ? null : finish(rows)), name === 'string_agg');
  const sliding = new SlidingAggregate(call, node, types, session);
  return (batch, p, out) => { sliding.run(batch, p, out); };
}

const passes = (batch: Batch, filter: number | null, i: number): boolean => {
  if (filter === null) return true;
  const v = batch.columns[filter];
  return !isNullAt(v, i) && (v.form === 'bool' ? v.values[i] === 1 : v.form === 'datum' && v.values[i] === true);
};

function listOfFrame(call: OverCall, types: readonly SqlType[], finish: (rows: readonly (readonly Datum[])[]) => Datum, skipNull: boolean): PartitionFunction {
  const { frame, args, filter } = call;
  const frames = new Frames(call, types);
  return (batch, p, out) => {
    const range: Range = { start: 0, end: 0 };
    frames.begin(batch, p);
    for (let i = p.from; i < p.to; i++) {
      frames.at(i, range);
      const rows: Datum[][] = [];
      for (let j = range.start; j < range.end; j++) {
        if (isExcluded(frame.exclude, p, i, j) || !passes(batch, filter, j) || (skipNull && isNullAt(batch.columns[args[0]], j))) continue;
        rows.push(args.map((a) => datumAt(types[a], batch.columns[a], j)));
      }
      out.appendDatum(i, finish(rows));
    }
  };
}

class SlidingAggregate {
  readonly #call: OverCall;
  readonly #types: readonly SqlType[];
  readonly #frames: Frames;
  readonly #made: ReturnType<typeof makeAccumulator>;
  readonly #state = new QueryState(Infinity);
  readonly #page: Float64Array;
  /** One group for all rows: no key. */
  #keys: KeyBatch = { length: 0, data: new Uint8Array(0), start: new Int32Array(0), end: new Int32Array(0), hash: new Int32Array(0), anyNull: null };
  #pages: Float64Array[] = [];
  #at = new Int32Array(0);
  #rows = new Int32Array(0);
  #taken = new Int32Array(0);
  #lo = 0;
  #hi = 0;

  constructor(call: OverCall, node: OverNode, types: readonly SqlType[], session: EvalContext) {
    this.#call = call;
    this.#types = types;
    this.#frames = new Frames(call, types);
    const aggregate: AggregateCall = { fn: call.fn, args: call.args, distinct: false, filter: null, orderBy: [], type: call.type };
    const { id, inputs, columns, partition } = node;
    const grouped: AggregateNode = { op: 'aggregate', id, inputs, columns, appendOnly: false, key: null, groupKeys: partition, calls: [aggregate], inputAppendOnly: onlyGrows(call.frame), closes: null };
    let tables = 0;
    this.#made = makeAccumulator(aggregate, { node: grouped, types, session, batchMode: false, nextTable: () => this.#state.groupTable(++tables, 'ordered') });
    const { fixed } = 'fixed' in this.#made ? this.#made : { fixed: null };
    if (fixed !== null) fixed.first = 0;
    this.#page = new Float64Array(fixed?.slots ?? 0);
  }

  run(batch: Batch, p: Partition, out: ColumnBuilder): void {
    this.#room(batch.length);
    this.#clear(p.from);
    this.#frames.begin(batch, p);
    const { frame } = this.#call;
    // A sum of numerics shows the largest scale it met.
    const anew = !onlyGrows(frame) && this.#call.args.some((a) => this.#types[a].kind === 'numeric' && batch.columns[a].form === 'datum');
    const range: Range = { start: 0, end: 0 };
    for (let i = p.from; i < p.to; i++) {
      this.#frames.at(i, range);
      if (range.start >= this.#hi || (anew && range.start > this.#lo) || (anew && frame.exclude !== 'none')) this.#clear(range.start);
      if (range.start > this.#lo) { this.#update(batch, this.#lo, range.start, -1, null); this.#lo = range.start; }
      if (anew && frame.exclude !== 'none') {
        this.#update(batch, range.start, range.end, 1, (j) => !isExcluded(frame.exclude, p, i, j));
        this.#emit(i, out);
        continue;
      }
      if (range.end > this.#hi) { this.#update(batch, this.#hi, range.end, 1, null); this.#hi = range.end; }
      const excluded = frame.exclude === 'none' ? null : (j: number): boolean => isExcluded(frame.exclude, p, i, j);
      const g = p.groupOf[i - p.from];
      const from = Math.max(range.start, p.groupStart[g]);
      const to = Math.min(range.end, p.groupStart[g + 1]);
      if (excluded !== null) this.#update(batch, from, to, -1, excluded);
      this.#emit(i, out);
      if (excluded !== null) this.#update(batch, from, to, 1, excluded);
    }
  }

  #room(n: number): void {
    if (this.#rows.length >= n) return;
    this.#keys = { length: n, data: new Uint8Array(0), start: new Int32Array(n), end: new Int32Array(n), hash: new Int32Array(n).fill(hashBytes(new Uint8Array(0), 0, 0)), anyNull: null };
    this.#pages = Array.from({ length: n }, () => this.#page);
    this.#at = new Int32Array(n);
    this.#rows = new Int32Array(n);
    this.#taken = new Int32Array(n).fill(-1);
  }

  #clear(at: number): void {
    this.#lo = at;
    this.#hi = at;
    this.#page.fill(0);
    if ('group' in this.#made && this.#keys.length > 0) this.#made.group.table.clear(this.#keys, 0);
  }

  #update(batch: Batch, from: number, to: number, weight: 1 | -1, wanted: ((j: number) => boolean) | null): void {
    const rows = this.#rows;
    let count = 0;
    for (let j = from; j < to; j++) if (passes(batch, this.#call.filter, j) && (wanted === null || wanted(j))) rows[count++] = j;
    if (count === 0) return;
    const selection: Selection = { rows, count, weights: weight === 1 ? null : this.#taken };
    if ('fixed' in this.#made) this.#made.fixed.update(batch, selection, { pages: this.#pages, at: this.#at });
    else this.#made.group.update(batch, selection, this.#keys);
  }

  #emit(i: number, out: ColumnBuilder): void {
    if ('fixed' in this.#made) this.#made.fixed.emit(this.#page, 0, out, i);
    else this.#made.group.emit(this.#keys, 0, out, i, []);
  }
}
