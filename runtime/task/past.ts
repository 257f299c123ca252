/**
 * What a checkpoint holds, read from its files in the worker of the query that asks, without the job: the rows of a view, or of an operator's state.
 *
 * One task of the checkpoint after the other: its entries of that operator are loaded into memory, the operator is made over them and gives its rows
 * (`Operator.readState`). Cost: reading the task's files (base and deltas, all operators), memory for one task's entries of the operator.
 */
import type { CheckpointMetadata, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import { openCheckpointStorage, type CheckpointPlace } from '../../storage/checkpoint/open.js';
import type { FileSystem } from '../../storage/filesystem.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import { SqlError } from '../../types/error.js';
import type { PlanNode, ViewNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import type { Batch, Vector } from '../batch.js';
import type { OperatorContext } from '../operator.js';
import { createOperator } from '../operators/registry.js';
import { STATE_HEAD, stateTablesOf, stateUnion } from '../operators/statetables.js';
import { TaskState } from '../state/taskstate.js';
import { batchFromDatums } from '../vectors.js';
import { normalisePlan } from './fragment.js';

/** Plain data: goes to the worker with the query. */
export interface PastSpec { readonly place: CheckpointPlace; readonly metadata: CheckpointMetadata }

export interface PastHost { readonly files: FileSystem; readonly dataDir: string; readonly session: EvalContext }

/** Batches of the columns `node.fields`. Throws XX001 for a damaged file. */
export async function* readPast(node: ViewNode, { place, metadata }: PastSpec, host: PastHost): AsyncGenerator<Batch> {
  const { nodes } = normalisePlan(metadata.plan);
  const kept = nodes.find(n => n.id === node.nodeId);
  if (kept === undefined) throw new SqlError('42704', `checkpoint ${metadata.checkpointId} of job "${metadata.jobName}" has no operator ${node.nodeId}: it joined the job later`);
  const inputs = kept.inputs.map(i => nodes.find(n => n.id === i)?.columns ?? []);
  const rows = node.checkpoint?.state === true ? stateRows : viewRows;
  const storage = openCheckpointStorage({ ...place, dataDir: host.dataDir }, host.files);
  for (const task of metadata.tasks) {
    if (!task.nodeIds.includes(kept.id)) continue;
    const state = await TaskState.restore({
      task: task.task, nodeIds: [kept.id], keyGroupFirst: task.keyGroupFirst, keyGroupLast: task.keyGroupLast, maxParallelism: metadata.maxParallelism, storage, kv: null, memoryBytes: Infinity,
    }, { checkpointId: metadata.checkpointId, tasks: [task] });
    try {
      for (const batch of rows(kept, inputs, task, state, host.session)) yield { length: batch.length, weights: batch.weights, columns: node.fields.map(f => batch.columns[f]) };
    } finally {
      await state.close();
    }
  }
}

function viewRows(node: PlanNode, inputs: readonly (readonly Column[])[], task: TaskMetadata, state: TaskState, session: EvalContext): Batch[] {
  return tableRows(node, inputs, task, state, session, 0);
}

/** Rows of the k-th table of an operator's state. */
function tableRows(node: PlanNode, inputs: readonly (readonly Column[])[], task: TaskMetadata, state: TaskState, session: EvalContext, k: number): Batch[] {
  const given: Batch[] = [];
  const context: OperatorContext = {
    jobId: 0, subtask: task.subtask, parallelism: 1, batchMode: false, session, emit: batch => { given.push(batch); },
    stateTable: t => state.stateTable(node.id * 16 + t), groupTable: (t, order) => state.groupTable(node.id * 16 + t, order), rowLog: t => state.rowLog(node.id * 16 + t),
    count: () => undefined,
  };
  const operator = createOperator(node, context, inputs);
  operator?.readState?.(k);
  operator?.close?.();
  return given;
}

function stateRows(node: PlanNode, inputs: readonly (readonly Column[])[], task: TaskMetadata, state: TaskState, session: EvalContext): Batch[] {
  const tables = stateTablesOf(node, inputs);
  const union = stateUnion(tables);
  return tables.flatMap((table, k) => {
    const small = table.columns.length === 1 && table.columns[0].type.kind === 'jsonb' && table.name === 'position';
    const batches = small ? position(table.columns, task, node.id) : tableRows(node, inputs, task, state, session, k);
    return batches.map(batch => {
      const head = [task.subtask, table.name].map((value, c) => repeated(STATE_HEAD[c], value, batch.length));
      const own = union.columns.map((column, c) => {
        const at = union.places[k].indexOf(c);
        return at < 0 ? repeated(column, null, batch.length) : batch.columns[at];
      });
      return { length: batch.length, weights: batch.weights, columns: [...head, ...own] };
    });
  });
}

function position(columns: readonly Column[], task: TaskMetadata, nodeId: number): Batch[] {
  const state = task.operators[String(nodeId)];
  return state === undefined ? [] : [batchFromDatums(columns.map(c => c.type), [[parseDatum(columns[0].type, JSON.stringify(state))]])];
}

function repeated(column: Column, value: Datum, length: number): Vector {
  return batchFromDatums([column.type], Array.from({ length }, () => [value])).columns[0];
}
