/**
 * Joins: of the AND-ed condition the equalities between both sides become hash keys (cast to their common type by the calcs below), the rest
 * is the residual. Without keys the join is a cross join in one subtask.
 *
 * Stream key: both sides' keys, without those columns of the one side that the join makes equal to columns of the other (inner and left: the
 * right side's; right: the left side's; full: none).
 */
import type { Expr } from '../../types/expr.js';
import type { JoinNode } from '../../types/plan.js';
import { sameType, type SqlType } from '../../types/sqltype.js';
import { castFor } from '../../types/functions/cast.js';
import { column, columnsOf, conjunction } from '../bind/exprs.js';
import { functionById } from '../bind/functions.js';
import { outputIds, type ColId, type Item, type JoinRel } from '../bind/rel.js';
import { positional, positionOf, type Distribution, type Edge } from './builder.js';
import { mayEnd, rowsEnd, timeBounds } from './jointime.js';
import { lowerLookup } from './lookup.js';
import { hashed, narrow, single, type Lowering } from './lower.js';
import { ownMax } from './ownmax.js';

export interface KeyPair { readonly left: Item; readonly right: Item }

export function lowerJoin(l: Lowering, rel: JoinRel, needed: ReadonlySet<ColId>): Edge {
  if (rel.lookup !== undefined && l.job && (rel.kind === 'inner' || rel.kind === 'left')) return lowerLookup(l, { ...rel, kind: rel.kind }, rel.lookup.position, needed);
  const { left, right, pairs, residual } = joinSides(l, rel, needed);
  const half = rel.kind === 'semi' || rel.kind === 'anti';
  if (pairs.length === 0 && l.job) l.ctx.notices.add(`a ${half ? `${rel.kind} join` : 'join'} without an equality between both sides runs in one task and compares every pair of rows`);
  const [a, b] = distribute(l, left, right, pairs);
  const most = ownMax(l, rel, a, b, pairs, residual, joinKey(rel, a, b, pairs), distribution(rel, a, b));
  if (most !== null) return most;
  const both = [...a.layout, ...b.layout];
  const condition = conjunction(residual);
  // A batch join gives its rows once, at the end where it must.
  const appendOnly = (!l.job || rel.kind === 'inner' || rel.kind === 'semi') && a.appendOnly && b.appendOnly;
  return l.builder.add({
    op: 'join', kind: rel.kind, leftKeys: pairs.map((p) => positionOf(a.layout, p.left.id)), rightKeys: pairs.map((p) => positionOf(b.layout, p.right.id)),
    residual: condition === null ? null : positional(condition, both), leftAppendOnly: a.appendOnly, rightAppendOnly: b.appendOnly, ...ends(l, rel, a, b),
  }, [a, b], { layout: half ? a.layout : both, key: joinKey(rel, a, b, pairs), appendOnly, dist: distribution(rel, a, b) });
}

/** Both sides with what is needed of them; the condition as equal keys and the rest. */
export function joinSides(l: Lowering, rel: JoinRel, needed: ReadonlySet<ColId>): { readonly left: Edge; readonly right: Edge; readonly pairs: readonly KeyPair[]; readonly residual: readonly Expr[] } {
  const leftIds = new Set(outputIds(rel.left));
  const rightIds = new Set(outputIds(rel.right));
  const pairs: KeyPair[] = [];
  const residual: Expr[] = [];
  for (const p of rel.on) {
    const pair = keyPair(l, p, leftIds, rightIds);
    if (pair === null) residual.push(p);
    else if (!pairs.some((x) => x.left.id === pair.left.id && x.right.id === pair.right.id)) pairs.push(pair);
  }
  const used = new Set(needed);
  for (const r of residual) columnsOf(r, used);
  const left = side(l, rel.left, leftIds, used, pairs.map((p) => p.left));
  const right = side(l, rel.right, rightIds, used, pairs.map((p) => p.right));
  return { left, right, pairs, residual };
}

/** Append-only sides whose rows are freed by time. */
function ends(l: Lowering, rel: JoinRel, a: Edge, b: Edge): Pick<JoinNode, 'leftEnds' | 'rightEnds'> {
  if (!l.job) return {};
  const bounds = timeBounds(rel.on);
  const may = mayEnd(rel.kind);
  const left = may.left && a.appendOnly ? rowsEnd(l, rel.right, bounds, (id) => a.layout.indexOf(id)) : null;
  const right = may.right && b.appendOnly ? rowsEnd(l, rel.left, bounds, (id) => b.layout.indexOf(id)) : null;
  return { ...(left === null ? {} : { leftEnds: left }), ...(right === null ? {} : { rightEnds: right }) };
}

/** One side with the needed columns and its keys. */
function side(l: Lowering, rel: JoinRel['left'], own: ReadonlySet<ColId>, used: ReadonlySet<ColId>, keys: readonly Item[]): Edge {
  const items: Item[] = [...used].filter((id) => own.has(id)).map((id) => ({ id, expr: column(id, l.ctx.info(id).type) }));
  for (const k of keys) if (!items.some((i) => i.id === k.id)) items.push(k);
  return narrow(l, rel, items);
}

const pairsOf = new WeakMap<Expr, KeyPair | null>();

function keyPair(l: Lowering, p: Expr, leftIds: ReadonlySet<ColId>, rightIds: ReadonlySet<ColId>): KeyPair | null {
  const known = pairsOf.get(p);
  if (known !== undefined) return known;
  const pair = makePair(l, p, leftIds, rightIds);
  pairsOf.set(p, pair);
  return pair;
}

function makePair(l: Lowering, p: Expr, leftIds: ReadonlySet<ColId>, rightIds: ReadonlySet<ColId>): KeyPair | null {
  if (p.node !== 'call' || functionById(p.fn)?.name !== '=') return null;
  const [a, b] = p.args;
  if (a === undefined || b === undefined) return null;
  const within = (e: Expr, ids: ReadonlySet<ColId>): boolean => { const c = columnsOf(e); return c.size > 0 && [...c].every((id) => ids.has(id)); };
  const [x, y] = within(a, leftIds) && within(b, rightIds) ? [a, b] : within(b, leftIds) && within(a, rightIds) ? [b, a] : [null, null];
  if (x === null || y === null) return null;
  const type = keyType(x.type, y.type);
  if (type === null) return null;
  return { left: item(l, x, type), right: item(l, y, type) };
}

function keyType(a: SqlType, b: SqlType): SqlType | null {
  if (sameType(a, b)) return a;
  if (castFor(a, b)?.context === 'implicit') return b;
  if (castFor(b, a)?.context === 'implicit') return a;
  return null;
}

function item(l: Lowering, e: Expr, type: SqlType): Item {
  const expr: Expr = sameType(e.type, type) ? e : { node: 'cast', arg: e, explicit: false, type };
  return { id: expr.node === 'column' ? expr.index : l.ctx.newColumn('key', type).id, expr };
}

export function distribute(l: Lowering, left: Edge, right: Edge, pairs: readonly KeyPair[]): [Edge, Edge] {
  if (pairs.length === 0) return [single(l, left), single(l, right)];
  const leftKeys = pairs.map((p) => p.left.id);
  const rightKeys = pairs.map((p) => p.right.id);
  if (!l.job || (left.dist === 'single' && right.dist === 'single')) return [left, right];
  const fits = (d: Distribution, keys: readonly ColId[]): readonly number[] | null => {
    if (d === null || d === 'single' || d.length === 0) return null;
    const at = d.map((id) => keys.indexOf(id));
    return at.includes(-1) ? null : at;
  };
  const spread = (e: Edge, keys: readonly ColId[]): Edge => (sameIds(e.dist, keys) ? e : hashed(l, { ...e, dist: null }, keys));
  const byLeft = fits(left.dist, leftKeys);
  if (byLeft !== null) return [left, spread(right, byLeft.map((i) => rightKeys[i] as number))];
  const byRight = fits(right.dist, rightKeys);
  if (byRight !== null) return [spread(left, byRight.map((i) => leftKeys[i] as number)), right];
  return [spread(left, leftKeys), spread(right, rightKeys)];
}

function sameIds(d: Distribution, keys: readonly ColId[]): boolean {
  return d !== null && d !== 'single' && d.length === keys.length && d.every((id, i) => id === keys[i]);
}

function distribution(rel: JoinRel, a: Edge, b: Edge): Distribution {
  if (a.dist === 'single' && b.dist === 'single') return 'single';
  return rel.kind === 'full' ? null : rel.kind === 'right' ? b.dist : a.dist;
}

export function joinKey(rel: JoinRel, a: Edge, b: Edge, pairs: readonly KeyPair[]): readonly ColId[] | null {
  if (rel.kind === 'semi' || rel.kind === 'anti') return a.key;
  if (a.key === null || b.key === null) return null;
  const equalLeft = new Set(pairs.map((p) => p.left.id));
  const equalRight = new Set(pairs.map((p) => p.right.id));
  if (rel.kind === 'full') return [...a.key, ...b.key];
  if (rel.kind === 'right') return [...a.key.filter((id) => !equalLeft.has(id)), ...b.key];
  return [...a.key, ...b.key.filter((id) => !equalRight.has(id))];
}

