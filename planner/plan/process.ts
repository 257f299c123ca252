/** Own functions → process node over exactly the relation's columns, behind an exchange by the partition. */
import { unsupported } from '../../types/error.js';
import type { ProcessRel } from '../bind/rel.js';
import { positionOf, type Edge } from './builder.js';
import { exactly, hashed, type Lowering } from './lower.js';
import { demandWatermarks } from './scan.js';

export function lowerProcess(l: Lowering, rel: ProcessRel): Edge {
  if (rel.partition.length > 0) demandWatermarks(l, rel.input);
  const input = exactly(l, rel.input, rel.seen);
  if (l.job && !input.appendOnly) {
    throw unsupported(`function ${rel.fn} over rows that change, in a continuous query`, rel.position, 'It sees rows that come; its input must be append-only: a stream, or what filters, projections and EMIT ON WINDOW CLOSE make of one.');
  }
  const below = rel.partition.length === 0 ? input : hashed(l, input, rel.partition);
  const at = (id: number): number => positionOf(below.layout, id);
  return l.builder.add({ op: 'process', fn: rel.fn, args: rel.args, partition: rel.partition.map(at), timeColumn: rel.time === null ? null : at(rel.time) }, [below], {
    layout: rel.cols, key: null, appendOnly: true, dist: below.dist === 'single' ? 'single' : null,
  });
}
