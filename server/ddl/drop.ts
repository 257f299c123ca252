/** DROP of streams, tables, views, materialized views and sinks, with CASCADE. Jobs lose the dropped views at a barrier, or end. */
import type { DropObject, RelationName } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import { nearest } from '../../types/settings.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import type { StoredJob, StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { dropSecrets } from './secret.js';

export async function drop(database: Database, object: DropObject, names: readonly RelationName[], ifExists: boolean, cascade: boolean, context: ExecuteContext): Promise<void> {
  if (object === 'secret') { await dropSecrets(database, names, ifExists, cascade, context); return; }
  if (object === 'schema' || object === 'function' || object === 'connection' || object === 'index') {
    const name = names[0];
    if (ifExists) { context.notice({ severity: 'NOTICE', message: `${object} "${name?.name ?? ''}" does not exist, skipping` }); return; }
    throw new SqlError('42704', `${object} "${name?.name ?? ''}" does not exist`, { position: name?.position });
  }
  const targets: StoredRelation[] = [];
  for (const name of names) {
    const relation = database.catalog.stored(name.schema, name.name);
    if (relation === null) {
      if (ifExists) { context.notice({ severity: 'NOTICE', message: `${object} "${name.name}" does not exist, skipping` }); continue; }
      const near = nearest(name.name, database.catalog.relationNames());
      throw new SqlError('42P01', `${object} "${name.name}" does not exist`, { position: name.position, hint: near === null ? undefined : `Perhaps you meant "${near}".` });
    }
    if (relation.kind !== object) {
      throw new SqlError('42809', `"${relation.name}" is not a ${object}`, { position: name.position, hint: `Use DROP ${relation.kind.toUpperCase()} ${relation.name};` });
    }
    targets.push(relation);
  }
  const all = withDependents(database, targets, cascade);
  for (const r of all) if (!targets.includes(r)) context.notice({ severity: 'NOTICE', message: `drop cascades to ${r.kind} ${r.name}` });
  await dropRelations(database, all);
}

/** The targets and everything that reads them, readers first; 2BP01 when there are readers and no CASCADE. */
function withDependents(database: Database, targets: readonly StoredRelation[], cascade: boolean): StoredRelation[] {
  const order: StoredRelation[] = [];
  const visit = (r: StoredRelation): void => {
    if (order.includes(r)) return;
    for (const d of database.catalog.dependents(r.id)) {
      if (!cascade && !targets.includes(d)) {
        throw new SqlError('2BP01', `cannot drop ${r.kind} ${r.name} because other objects depend on it`, {
          detail: `${d.kind} ${d.name} depends on ${r.kind} ${r.name}`, hint: `Use DROP ${r.kind.toUpperCase()} ${r.name} CASCADE to drop the dependent objects too.`,
        });
      }
      visit(d);
    }
    order.push(r);
  };
  for (const r of targets) visit(r);
  return order;
}

async function dropRelations(database: Database, relations: readonly StoredRelation[]): Promise<void> {
  const gone = new Set(relations.map(r => r.id));
  const jobs = new Map<number, StoredJob>();
  for (const r of relations) {
    const job = 'jobId' in r ? database.catalog.job(r.jobId) : null;
    if (job !== null) jobs.set(job.jobId, job);
  }
  const putJobs: StoredJob[] = [];
  const dropJobs: number[] = [];
  for (const job of jobs.values()) {
    const kept = job.relations.filter(id => !gone.has(id));
    if (kept.length === 0) { dropJobs.push(job.jobId); continue; }
    const plan = withoutRoots(job.plan, gone);
    putJobs.push({ ...job, plan, relations: kept });
  }
  // The engine first for a job that goes on (it may refuse); the catalog first for one that ends (a crash leaves only files behind).
  for (const job of putJobs) await database.engine.shrinkJob(job.jobId, job.plan);
  await database.catalog.change(() => ({ dropRelations: [...gone], dropJobs, putJobs: putJobs.map(job => ({ ...database.catalog.job(job.jobId) ?? job, plan: job.plan, relations: job.relations })) }));
  for (const id of dropJobs) await database.engine.dropJob(id);
  for (const r of relations) if (r.kind === 'table' || (r.kind === 'stream' && r.connector === null)) await database.tables.drop(r.id);
}

/** The plan without the roots of dropped relations and without nodes that nothing reads any more. */
function withoutRoots(plan: Plan, gone: ReadonlySet<number>): Plan {
  const dead = (n: PlanNode): boolean => (n.op === 'materialize' || n.op === 'sink') && gone.has(n.relationId);
  const roots = plan.roots.filter(id => !plan.nodes.some(n => n.id === id && dead(n)));
  const needed = new Set<number>(roots);
  for (let i = plan.nodes.length - 1; i >= 0; i--) {
    const n = plan.nodes[i];
    if (n === undefined || !needed.has(n.id)) continue;
    for (const input of n.inputs) needed.add(input);
    if (n.op === 'view') needed.add(n.nodeId);
  }
  return { ...plan, nodes: plan.nodes.filter(n => needed.has(n.id)), roots };
}
