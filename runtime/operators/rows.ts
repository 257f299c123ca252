/** Given rows: VALUES and FROM-less SELECT, evaluated once, as one batch. System relations' rows come with the query instead. */
import type { RowsNode } from '../../types/plan.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import type { Batch } from '../batch.js';
import { interpret } from '../codegen/interpret.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import { batchFromDatums } from '../vectors.js';

export function constantRows(node: RowsNode, ctx: EvalContext, subplans: SubplanRunner | null = null): Batch {
  const rows = node.rows.map(row => row.map(e => interpret(e, subplans)([], ctx)));
  const batch = batchFromDatums(node.columns.map(c => c.type), rows);
  return { ...batch, length: rows.length };
}
