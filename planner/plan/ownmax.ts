/**
 * x JOIN (SELECT k, max(n) FROM x GROUP BY k) m ON x.k = m.k AND x.n >= m.max: the rows of x with the most of their k, ties included, as one
 * extremerows node that keeps those rows only. Where x is the same node on both sides and n is a count over append-only input: it only grows,
 * so that a row that is behind comes to the front by a change of its own, and nobody needs the rows behind.
 */
import type { Expr } from '../../types/expr.js';
import type { AggregateNode, PlanNode } from '../../types/plan.js';
import { functionById } from '../bind/functions.js';
import type { ColId, JoinRel } from '../bind/rel.js';
import { column } from '../bind/exprs.js';
import { positional, positionOf, type Distribution, type Edge } from './builder.js';
import type { Lowering } from './lower.js';

interface Pair { readonly left: { readonly id: ColId }; readonly right: { readonly id: ColId } }

/** The join of both edges (spread by the pairs) in that form, or null. Facts of the join's result are given. */
export function ownMax(l: Lowering, rel: JoinRel, a: Edge, b: Edge, pairs: readonly Pair[], residual: readonly Expr[], key: readonly ColId[] | null, dist: Distribution): Edge | null {
  if (!l.job || rel.kind !== 'inner' || a.appendOnly || b.appendOnly) return null;
  const equal = pairs.map((p) => [p.left.id, p.right.id] as const);
  return rowsWithMost(l, a, b, a, b, equal, residual, key, dist) ?? rowsWithMost(l, b, a, a, b, equal.map(([x, y]) => [y, x] as const), residual, key, dist);
}

/** `rows`: the side with all rows, `most`: the one with the maxima. */
function rowsWithMost(l: Lowering, rows: Edge, most: Edge, a: Edge, b: Edge, equal: readonly (readonly [ColId, ColId])[], residual: readonly Expr[], key: readonly ColId[] | null, dist: Distribution): Edge | null {
  const below = passedOn(l, rows.node);
  const maxima = passedOn(l, most.node);
  const aggregate = maxima.node;
  if (aggregate.op !== 'aggregate' || aggregate.calls.length !== 1 || aggregate.groupKeys.length === 0 || aggregate.hop !== undefined) return null;
  const [call] = aggregate.calls;
  if (call === undefined || !call.fn.startsWith('max(') || call.filter !== null) return null;
  const under = passedOn(l, aggregate.inputs[0] ?? -1);
  const counted = call.args[0] ?? -1;
  if (under.node !== below.node || !onlyGrows(below.node, under.at(counted))) return null;
  const width = aggregate.groupKeys.length;
  /** Column of x behind a column of a side. */
  const ofRows = (id: ColId): number | null => (rows.layout.includes(id) ? below.at(positionOf(rows.layout, id)) : null);
  const ofMaxima = (id: ColId): number | null => (most.layout.includes(id) ? maxima.at(positionOf(most.layout, id)) : null);
  const joined = new Set<number>();
  let most1: ColId | null = null;
  const maximumOf = (mine: ColId, theirs: ColId): boolean => ofMaxima(theirs) === width && ofRows(mine) === under.at(counted);
  for (const [mine, theirs] of equal) {
    const at = ofMaxima(theirs);
    if (at === null) return null;
    if (at === width && maximumOf(mine, theirs)) { most1 = mine; continue; }
    if (at >= width || ofRows(mine) !== under.at(aggregate.groupKeys[at] ?? -1)) return null;
    joined.add(at);
  }
  if (joined.size !== width || residual.length > 1) return null;
  const [condition] = residual;
  if (condition !== undefined) {
    const mine = comparedToMaximum(condition, maximumOf);
    if (mine === null || most1 !== null) return null;
    most1 = mine;
  }
  if (most1 === null) return null;
  const n = most1;
  const partition = equal.filter(([, theirs]) => ofMaxima(theirs) !== width);
  const found = l.builder.add(
    { op: 'extremerows', partition: partition.map(([mine]) => positionOf(rows.layout, mine)), column: positionOf(rows.layout, n) }, [rows],
    { layout: rows.layout, key: rows.key, appendOnly: false, dist: rows.dist },
  );
  const mineOf = (id: ColId): ColId => (ofMaxima(id) === width ? n : partition.find(([, theirs]) => ofMaxima(theirs) === ofMaxima(id))?.[0] ?? id);
  const layout = [...a.layout, ...b.layout];
  const project = layout.map((id, p): Expr => {
    const from = (rows === a) === p < a.layout.length ? id : mineOf(id);
    return positional(column(from, l.ctx.info(from).type), found.layout);
  });
  return l.builder.add({ op: 'calc', filter: null, project }, [found], { layout, key, appendOnly: false, dist });
}

/** v >= max or max <= v; gives v. */
function comparedToMaximum(e: Expr, maximumOf: (mine: ColId, theirs: ColId) => boolean): ColId | null {
  if (e.node !== 'call') return null;
  const [x, y] = e.args;
  if (x?.node !== 'column' || y?.node !== 'column') return null;
  const name = functionById(e.fn)?.name;
  if (name === '>=' && maximumOf(x.index, y.index)) return x.index;
  return name === '<=' && maximumOf(y.index, x.index) ? y.index : null;
}

/** The node below exchanges and calcs that only pass columns on, and where a column of the upper one comes from (−1: nowhere). */
function passedOn(l: Lowering, id: number): { readonly node: PlanNode; at(position: number): number } {
  const node = l.builder.node(id);
  if (node.op === 'exchange') return passedOn(l, node.inputs[0] ?? -1);
  if (node.op === 'calc' && node.filter === null && node.project.every((e) => e.node === 'column')) {
    const below = passedOn(l, node.inputs[0] ?? -1);
    return { node: below.node, at: (p) => { const e = node.project[p]; return e?.node === 'column' ? below.at(e.index) : -1; } };
  }
  return { node, at: (p) => p };
}

function onlyGrows(node: PlanNode, at: number): boolean {
  if (node.op !== 'aggregate' || !node.inputAppendOnly) return false;
  const call: AggregateNode['calls'][number] | undefined = node.calls[at - node.groupKeys.length];
  return call !== undefined && call.fn.startsWith('count(');
}
