/**
 * Partitions, peers and frames over a batch of rows that stand partition after partition, each in order.
 *
 * Frames are given as [start, end) of rows. Both ends move forward only as the current row does: what a sliding evaluation relies on.
 */
import { mapLimits, type Frame, type FrameBound, type OverCall, type RangeLimits } from '../../types/plan.js';
import { compareSpans } from '../../types/encoding/bytes.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import { isNullAt } from '../vectors.js';

/** One partition: rows [from, to). Peers: group g is rows [groupStart[g], groupStart[g + 1]); groupOf[row − from] = g. */
export interface Partition {
  readonly from: number;
  readonly to: number;
  readonly groupOf: Int32Array;
  readonly groupStart: Int32Array;
  readonly groups: number;
}

/** `peers(i)`: row i is equal in the order to row i − 1. */
export function partitionOf(from: number, to: number, peers: (i: number) => boolean): Partition {
  const groupOf = new Int32Array(to - from);
  const groupStart = new Int32Array(to - from + 1);
  let groups = 0;
  for (let i = from; i < to; i++) {
    if (i === from || !peers(i)) groupStart[groups++] = i;
    groupOf[i - from] = groups - 1;
  }
  groupStart[groups] = to;
  return { from, to, groupOf, groupStart, groups };
}

export interface Range { start: number; end: number }

/** The frames of one call, partition by partition. */
export class Frames {
  readonly #frame: Frame;
  readonly #limits: LimitRows | null;
  #partition: Partition = { from: 0, to: 0, groupOf: new Int32Array(0), groupStart: new Int32Array(1), groups: 0 };

  constructor(call: Pick<OverCall, 'frame' | 'limits'>, types: readonly SqlType[]) {
    this.#frame = call.frame;
    this.#limits = call.limits === undefined ? null : new LimitRows(call.limits, types);
  }

  begin(batch: Batch, p: Partition): void {
    this.#partition = p;
    this.#limits?.begin(batch, p);
  }

  /** Sets `range` to row i's frame, without regard to EXCLUDE; start ≤ end. */
  at(i: number, range: Range): void {
    const { start, end } = this.#frame;
    const first = this.#edge(start, i, false);
    range.start = first;
    range.end = Math.max(first, this.#edge(end, i, true));
  }

  /** First row of the frame, or (`end`) the first row behind it. */
  #edge(bound: FrameBound, i: number, end: boolean): number {
    const p = this.#partition;
    const limits = this.#limits;
    switch (bound.at) {
      case 'unbounded preceding': return p.from;
      case 'unbounded following': return p.to;
      default:
    }
    if (limits !== null && bound.at !== 'current row') return (end ? limits.end : limits.start)[i - p.from];
    const by = bound.at === 'current row' ? 0 : bound.at === 'preceding' ? -bound.offset : bound.offset;
    if (this.#frame.mode === 'rows') return clamp(p, i + by + (end ? 1 : 0));
    const group = p.groupOf[i - p.from] + by + (end ? 1 : 0);
    return group < 0 ? p.from : group >= p.groups ? p.to : p.groupStart[group];
  }
}

const clamp = (p: Partition, row: number): number => (row < p.from ? p.from : row > p.to ? p.to : row);

/**
 * RANGE with an offset: the rows at which each row's frame starts and ends. A row without value has its peers. Both only go forward, as PostgreSQL's do
 * (limits a month before 30 and 31 March are not in the values' order).
 */
class LimitRows {
  start = new Int32Array(0);
  end = new Int32Array(0);
  readonly #limits: RangeLimits<number>;
  readonly #keys: RangeLimits<KeyEncoder>;
  #batch: Batch | null = null;
  #value: KeyBatch | null = null;
  #first: KeyBatch | null = null;
  #last: KeyBatch | null = null;

  constructor(limits: RangeLimits<number>, types: readonly SqlType[]) {
    this.#limits = limits;
    this.#keys = mapLimits(limits, (c) => keyEncoder(types, [c], 'order', [{ descending: limits.descending, nullsFirst: false }]));
  }

  begin(batch: Batch, p: Partition): void {
    if (batch !== this.#batch) {
      this.#batch = batch;
      this.#value = this.#keys.value(batch);
      this.#first = this.#keys.start?.(batch) ?? null;
      this.#last = this.#keys.end?.(batch) ?? null;
    }
    const rows = p.to - p.from;
    if (this.start.length < rows) { this.start = new Int32Array(rows); this.end = new Int32Array(rows); }
    const value = this.#value as KeyBatch;
    const column = batch.columns[this.#limits.value];
    // Rows without value stand together, at one end.
    let from = p.from;
    while (from < p.to && isNullAt(column, from)) from++;
    let to = p.to;
    while (to > from && isNullAt(column, to - 1)) to--;
    let start = from;
    let end = from;
    for (let i = p.from; i < p.to; i++) {
      if (i < from || i >= to) {
        const g = p.groupOf[i - p.from];
        this.start[i - p.from] = p.groupStart[g];
        this.end[i - p.from] = p.groupStart[g + 1];
        continue;
      }
      if (this.#first !== null) while (start < to && compareKeys(value, start, this.#first, i) < 0) start++;
      if (this.#last !== null) while (end < to && compareKeys(value, end, this.#last, i) <= 0) end++;
      this.start[i - p.from] = start;
      this.end[i - p.from] = end;
    }
  }
}

const compareKeys = (a: KeyBatch, i: number, b: KeyBatch, j: number): number => compareSpans(a.data, a.start[i], a.end[i], b.data, b.start[j], b.end[j]);

/** Whether EXCLUDE takes row j out of row i's frame. */
export function isExcluded(exclude: Frame['exclude'], p: Partition, i: number, j: number): boolean {
  switch (exclude) {
    case 'none': return false;
    case 'current row': return i === j;
    case 'group': return p.groupOf[i - p.from] === p.groupOf[j - p.from];
    case 'ties': return i !== j && p.groupOf[i - p.from] === p.groupOf[j - p.from];
  }
}

/** The frame of each row ends where its start began: rows only come in, none leaves. */
export const onlyGrows = (frame: Frame): boolean => frame.start.at === 'unbounded preceding' && frame.exclude === 'none';
