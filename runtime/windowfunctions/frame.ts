/**
 * Partitions, peers and frames over a batch of rows that stand partition after partition, each in order.
 *
 * Frames are given as [start, end) of rows. Both ends move forward only as the current row does: what a sliding evaluation relies on.
 */
import type { Frame, FrameBound } from '../../types/plan.js';

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

/** Sets `range` to row i's frame, without regard to EXCLUDE; start ≤ end. */
export function frameOf(frame: Frame, p: Partition, i: number, range: Range): void {
  const start = clamp(p, edge(frame.mode, frame.start, p, i, false));
  range.start = start;
  range.end = Math.max(start, clamp(p, edge(frame.mode, frame.end, p, i, true)));
}

const clamp = (p: Partition, row: number): number => (row < p.from ? p.from : row > p.to ? p.to : row);

/** First row of the frame, or (`end`) the first row behind it. */
function edge(mode: Frame['mode'], bound: FrameBound, p: Partition, i: number, end: boolean): number {
  switch (bound.at) {
    case 'unbounded preceding': return p.from;
    case 'unbounded following': return p.to;
    default:
  }
  const by = bound.at === 'current row' ? 0 : bound.at === 'preceding' ? -bound.offset : bound.offset;
  if (mode === 'rows') return i + by + (end ? 1 : 0);
  const group = p.groupOf[i - p.from] + by + (end ? 1 : 0);
  return group < 0 ? p.from : group >= p.groups ? p.to : p.groupStart[group];
}

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
