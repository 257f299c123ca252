/** SUBSCRIBE TO and SELECT … EMIT CHANGES: a view's changes as rows (epoch, weight, …columns), the content first. */
import type { Query, Subscribe } from '../../planner/parse/statement.js';
import type { Session } from '../../planner/bind/context.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { SubscriptionEvent } from '../../runtime/engine.js';
import type { Batch, Vector } from '../../runtime/batch.js';
import { SqlError } from '../../types/error.js';
import { type Column, INT8 } from '../../types/sqltype.js';
import { jobSettings, parseBoolean, type Settings } from '../../types/settings.js';
import { refuseUnknown } from '../ddl/options.js';
import type { Database } from '../database.js';
import { wholeRelation } from './wholerelation.js';

export interface Subscription {
  readonly columns: readonly Column[];
  open(settings: Settings, signal: AbortSignal): AsyncIterable<Batch>;
}

/** Columns every subscription begins with. */
const LEADING: readonly Column[] = [{ name: 'epoch', type: INT8 }, { name: 'weight', type: INT8 }];

export function planSubscription(database: Database, statement: Subscribe, session: Session): Subscription {
  refuseUnknown(statement.options, ['snapshot'], 'SUBSCRIBE');
  const option = statement.options.find(o => o.key === 'snapshot');
  const snapshot = option === undefined ? true : parseBoolean(option.value);
  if (snapshot === null) throw new SqlError('22023', `invalid value for option "snapshot": "${option?.value ?? ''}"`, { position: option?.valuePosition, hint: 'Allowed: true, false.' });
  if (statement.target.kind === 'query') return planQuerySubscription(database, statement.target.query, snapshot, session);
  const { name } = statement.target;
  const relation = database.catalog.relation(name.schema, name.name);
  if (relation === null) throw new SqlError('42P01', `relation "${name.name}" does not exist`, { position: name.position });
  if (relation.kind === 'materialized view') return ofView(database, relation.jobId, relation.nodeId, relation.columns, snapshot);
  if (relation.kind === 'sink' || relation.kind === 'index' || relation.kind === 'system table') {
    throw new SqlError('42809', `"${name.name}" is a ${relation.kind}: it has no changes to subscribe to`, { position: name.position });
  }
  return planQuerySubscription(database, wholeRelation(name.name), snapshot, session);
}

function ofView(database: Database, jobId: number, nodeId: number, columns: readonly Column[], snapshot: boolean): Subscription {
  return { columns: [...LEADING, ...columns], open: (_settings, signal) => batches(database.engine.subscribe(jobId, nodeId, { snapshot, signal }), columns.length) };
}

/** A query's changes: an ephemeral job; a query that is just a view's content follows the view itself. */
export function planQuerySubscription(database: Database, query: Query, snapshot: boolean, session: Session): Subscription {
  const planned = planQuery(query, database.catalog, { kind: 'job', firstNodeId: 1, relationId: 0, relationName: 'subscription' }, [], session);
  if (planned.readsJobs.length > 0) {
    const view = onlyView(database, planned.plan);
    if (view !== null) return ofView(database, view.jobId, view.nodeId, planned.columns, snapshot);
    throw new SqlError('0A000', 'a subscription to a query over materialized views is not supported', { hint: 'CREATE MATERIALIZED VIEW v AS …; then SUBSCRIBE TO v.' });
  }
  return { columns: [...LEADING, ...planned.columns], open: (settings, signal) => batches(database.engine.subscribePlan(planned.plan, jobSettings(settings, database.options.workers), signal), planned.columns.length) };
}

/** The view, when the plan is nothing but its whole content. */
function onlyView(database: Database, plan: { readonly nodes: readonly { readonly op: string }[] }): { jobId: number; nodeId: number } | null {
  const [first, second] = plan.nodes;
  if (plan.nodes.length !== 2 || first?.op !== 'view' || second?.op !== 'materialize') return null;
  const view = first as { op: string; relationId: number; jobId: number; nodeId: number; fields: readonly number[] };
  const relation = database.catalog.relationById(view.relationId);
  if (relation === null || view.fields.some((f, i) => f !== i)) return null;
  return { jobId: view.jobId, nodeId: view.nodeId };
}

async function* batches(events: AsyncIterable<SubscriptionEvent>, width: number): AsyncGenerator<Batch> {
  for await (const { epoch, batch } of events) {
    if (batch === null || batch.length === 0) continue;
    const epochs = new Float64Array(batch.length).fill(epoch);
    const weights = new Float64Array(batch.length).fill(1);
    if (batch.weights !== null) for (let i = 0; i < batch.length; i++) weights[i] = batch.weights[i] ?? 1;
    const leading: Vector[] = [{ form: 'f64', values: epochs, nulls: null }, { form: 'f64', values: weights, nulls: null }];
    yield { length: batch.length, columns: [...leading, ...batch.columns.slice(0, width)], weights: null };
  }
}
