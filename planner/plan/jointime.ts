/**
 * When rows that a join keeps can match no more. A column of one side *ends* at its value plus e when no row (nor a taken back one) can come with
 * that value after a barrier at which the watermark had reached value + e: the edge of a time window, of which late rows were dropped below. A condition
 * that bounds it by a time column of the other side (b.end <= a.time + u) makes a's rows end: at a.time + u + e nothing can meet them.
 *
 * Only the time a row is kept changes, never a result: nothing is dropped that could still match. Two streams' own time columns do not end
 * (their late rows come), so such a join keeps its rows.
 */
import type { Expr } from '../../types/expr.js';
import type { JoinNode } from '../../types/plan.js';
import { parseDatum } from '../../types/textio.js';
import { Interval } from '../../types/interval.js';
import { functionById } from '../bind/functions.js';
import type { ColId, Item, JoinKind, Rel } from '../bind/rel.js';
import { closesAt } from './aggregate.js';
import type { Lowering } from './lower.js';

type RowsEnd = NonNullable<JoinNode['leftEnds']>;
/** A column plus a constant. */
interface Shifted { readonly id: ColId; readonly us: number }
/** first.id + us >= second.id. */
interface Bound { readonly larger: ColId; readonly smaller: ColId; readonly us: number }

const DAY_US = 86_400_000_000;

/** `position`: of a column in the side's rows, or -1. */
export function rowsEnd(l: Lowering, other: Rel, bounds: readonly Bound[], position: (id: ColId) => number): RowsEnd | null {
  for (const b of bounds) {
    const column = position(b.larger);
    if (column < 0) continue;
    const ends = endsAt(l, other, b.smaller);
    if (ends !== null) return { column, addUs: b.us + ends };
  }
  return null;
}

/** Sides whose rows may go: none that decides whether rows of the other one show. */
export function mayEnd(kind: JoinKind): { readonly left: boolean; readonly right: boolean } {
  return { left: kind === 'inner' || kind === 'left' || kind === 'semi' || kind === 'anti', right: kind === 'inner' || kind === 'right' };
}

/** µs after its value at which no change with that value of the column comes; null: it may always. */
function endsAt(l: Lowering, rel: Rel, id: ColId): number | null {
  switch (rel.rel) {
    case 'aggregate': return through(rel.keys, id, (below) => closesAt(l, rel.input, below));
    case 'project': return through(rel.items, id, (below) => endsAt(l, rel.input, below));
    case 'filter': case 'sort': case 'unnest': case 'expand': return endsAt(l, rel.input, id);
    case 'window': case 'session': return closesAt(l, rel, id);
    case 'union': {
      const from = rel.cols.find((c) => c.id === id)?.from ?? [];
      const all = rel.inputs.map((input, k) => endsAt(l, input, from[k] ?? -1));
      return all.includes(null) ? null : Math.max(...all.map((x) => x ?? 0));
    }
    case 'scan': case 'rows': case 'process': case 'join': case 'limit': case 'over': case 'topn': return null;
  }
}

function through(items: readonly Item[], id: ColId, below: (id: ColId) => number | null): number | null {
  const expr = items.find((i) => i.id === id)?.expr;
  return expr?.node === 'column' ? below(expr.index) : null;
}

/** What a join's condition says about pairs of time columns. */
export function timeBounds(condition: readonly Expr[]): Bound[] {
  const bounds: Bound[] = [];
  for (const p of condition) {
    if (p.node !== 'call') continue;
    const name = functionById(p.fn)?.name;
    const [x, y] = p.args.map(shifted);
    if (x === undefined || y === undefined || x === null || y === null) continue;
    if (name === '=' || name === '>=' || name === '>') bounds.push({ larger: x.id, smaller: y.id, us: x.us - y.us });
    if (name === '=' || name === '<=' || name === '<') bounds.push({ larger: y.id, smaller: x.id, us: y.us - x.us });
  }
  return bounds;
}

function shifted(e: Expr): Shifted | null {
  if (e.type.kind !== 'timestamp' && e.type.kind !== 'timestamptz') return null;
  if (e.node === 'column') return { id: e.index, us: 0 };
  if (e.node !== 'call') return null;
  const name = functionById(e.fn)?.name;
  const [a, b] = e.args;
  if (a === undefined || b === undefined || (name !== '+' && name !== '-')) return null;
  const [time, by] = a.type.kind === 'interval' && name === '+' ? [b, a] : [a, b];
  const base = shifted(time);
  const us = constantUs(by, e.type.kind === 'timestamptz');
  return base === null || us === null ? null : { id: base.id, us: base.us + (name === '+' ? us : -us) };
}

/** An interval's length when it is the same anywhere: no months, and no days where they follow a time zone. */
function constantUs(e: Expr, zoned: boolean): number | null {
  if (e.node !== 'literal' || e.text === null || e.type.kind !== 'interval') return null;
  const value = parseDatum(e.type, e.text);
  if (!(value instanceof Interval) || value.months !== 0 || (zoned && value.days !== 0)) return null;
  return value.days * DAY_US + value.us;
}
