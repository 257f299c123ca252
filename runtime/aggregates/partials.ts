/**
 * Partial results of an aggregation, as they go over an exchange: one row a group of the sender's epoch. First the epoch's keys (epochgroups.ts) in
 * their own types, then a column of bytes: the group's doubles [rows, accumulators…], laid out as in the state's rows without what only the
 * state needs, in the machine's byte order (channels do not leave the process).
 *
 * For aggregations of fixed accumulators that can be collected by epoch. DISTINCT and extremes of texts send their rows.
 */
import type { AggregateNode, ExchangeNode, PlanNode } from '../../types/plan.js';
import { BYTEA, type Column, type SqlType } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { CONSTANT_CONTEXT } from '../codegen/interpret.js';
import { canPreaggregate, epochKeyColumns, isDistinct, isTextExtreme } from './epochgroups.js';
import type { FixedAccumulator } from './fixed.js';
import { HEAD } from './groupstate.js';
import { makeAccumulator } from './make.js';

/** Named limit: doubles of a group that goes over a hash exchange. A sum of floats has 74: rows are smaller than that. */
const CELLS_MAX = 48;

export interface FixedLayout {
  readonly inputs: readonly { readonly filter: number | null; readonly fixed: readonly FixedAccumulator[] }[];
  /** Doubles of a group in the state. */
  readonly cells: number;
}

/** Accumulators and their places for an aggregation of fixed ones only: the places are those that the aggregate itself gives. */
export function layOutFixed(node: Pick<AggregateNode, 'calls' | 'inputAppendOnly'>, types: readonly SqlType[]): FixedLayout {
  const inputs: { readonly filter: number | null; readonly fixed: FixedAccumulator[] }[] = [];
  let cells = HEAD;
  for (const call of node.calls) {
    const made = makeAccumulator(call, { node, types, session: CONSTANT_CONTEXT, batchMode: false, nextTable: () => { throw new Error('an aggregate that needs its rows'); } });
    assert('fixed' in made, 'an aggregate that needs its rows');
    made.fixed.first = cells;
    cells += made.fixed.slots;
    const known = inputs.find((i) => i.filter === call.filter);
    if (known === undefined) inputs.push({ filter: call.filter, fixed: [made.fixed] });
    else known.fixed.push(made.fixed);
  }
  return { inputs, cells };
}

/** Whether `reader`, the only reader of the exchange, gets partial results in place of rows. */
export function takesPartials(exchange: ExchangeNode, reader: PlanNode): reader is AggregateNode {
  if (reader.op !== 'aggregate') return false;
  const types = exchange.columns.map((c) => c.type);
  if (!canPreaggregate(reader, types) || reader.calls.some((c) => isDistinct(c) || isTextExtreme(c, types))) return false;
  const keys = epochKeyColumns(reader);
  if (!exchange.keys.every((k) => keys.includes(k))) return false;
  return keys.length === 0 || layOutFixed(reader, types).cells <= CELLS_MAX;
}

/** Columns of the partial results; `input`: the aggregate's input columns. */
export const partialColumns = (node: AggregateNode, input: readonly Column[]): Column[] => [...epochKeyColumns(node).map((k) => input[k]), { name: 'partial', type: BYTEA }];

/** The exchange's keys among them. */
export const partialKeys = (node: AggregateNode, keys: readonly number[]): number[] => keys.map((k) => epochKeyColumns(node).indexOf(k));
