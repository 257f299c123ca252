/**
 * JOIN … FOR SYSTEM_TIME AS OF processing time → lookup node: the stream's rows meet the table's as these are in their epoch, and are not kept. In a query that
 * ends the table is as it is: a plain join.
 */
import { unsupported } from '../../types/error.js';
import { conjunction } from '../bind/exprs.js';
import type { ColId, JoinRel, Rel } from '../bind/rel.js';
import { inputsOf } from '../bind/relexprs.js';
import { positional, positionOf, type Edge } from './builder.js';
import { distribute, joinKey, joinSides } from './join.js';
import type { Lowering } from './lower.js';

export function lowerLookup(l: Lowering, rel: JoinRel & { readonly kind: 'inner' | 'left' }, position: number | undefined, needed: ReadonlySet<ColId>): Edge {
  const what = 'FOR SYSTEM_TIME AS OF';
  if (!onlyTables(rel.right)) throw unsupported(`${what} on anything but a table`, position, 'Keep the rows to look up in a table: CREATE TABLE …. A plain join takes any relation.');
  // A view's content comes at once when its job takes another view in: before the table is read.
  if (readsView(rel.left)) throw unsupported(`${what} from a materialized view`, position, 'Look up from the stream itself.');
  const { left, right, pairs, residual } = joinSides(l, rel, needed);
  if (pairs.length === 0) throw unsupported(`${what} without an equality between both sides`, position);
  if (!left.appendOnly) throw unsupported(`${what} from rows that change`, position, 'Look up from a stream, or use a plain join, which follows both sides.');
  const [a, b] = distribute(l, left, right, pairs);
  const both = [...a.layout, ...b.layout];
  const condition = conjunction(residual);
  return l.builder.add({
    op: 'lookup', kind: rel.kind, leftKeys: pairs.map((p) => positionOf(a.layout, p.left.id)), rightKeys: pairs.map((p) => positionOf(b.layout, p.right.id)),
    residual: condition === null ? null : positional(condition, both),
  }, [a, b], { layout: both, key: joinKey(rel, a, b, pairs), appendOnly: true, dist: a.dist });
}

const readsView = (rel: Rel): boolean => (rel.rel === 'scan' ? rel.relation.kind === 'materialized view' : inputsOf(rel).some(readsView));
const onlyTables = (rel: Rel): boolean => (rel.rel === 'scan' ? rel.relation.kind === 'table' : inputsOf(rel).every(onlyTables));
