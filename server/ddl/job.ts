/**
 * Creating and growing jobs: the common end of CREATE MATERIALIZED VIEW and CREATE SINK. A query over no materialized view becomes
 * a job of its own; one over views of a job joins that job at a barrier. The catalog commits first, then the engine starts: a crash
 * between the two starts the job at the next start-up.
 */
import type { PlannedQuery } from '../../planner/planner.js';
import { withStateTtl } from '../../planner/plan/statettl.js';
import type { ExecuteContext } from '../session/backend.js';
import { SqlError } from '../../types/error.js';
import type { RestoreSource } from '../../runtime/engine.js';
import { jobSettings, type JobSettings, type Settings } from '../../types/settings.js';
import { PLAN_VERSION, type Plan } from '../../types/plan.js';
import type { StoredJob, StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';

/** Where the new nodes go: ids are allocated from `firstNodeId`. */
export interface JobPlace { readonly job: StoredJob | null; readonly jobId: number; readonly firstNodeId: number }

/** Finds the place of a query that reads `readsJobs` (none: a new job). */
export async function placeOf(database: Database, readsJobs: readonly number[]): Promise<JobPlace> {
  const first = readsJobs[0];
  if (first === undefined) return { job: null, jobId: await database.catalog.allocateJobId(), firstNodeId: 1 };
  const job = database.catalog.job(first);
  if (job === null) throw new SqlError('XX000', `internal error: job ${first} is not in the catalog`);
  if (job.status === 'failed' || job.status === 'paused' || job.status === 'cancelled') {
    throw new SqlError('55000', `job "${job.name}" is ${job.status}, no view can join it`, { detail: job.failure ?? undefined, hint: `SELECT * FROM job_failures WHERE job_name = '${job.name}';` });
  }
  return { job, jobId: first, firstNodeId: job.nextNodeId };
}

/** The query's plan with what state_ttl does to it: the session's, or that of the job which the query joins. */
export function withTtl(planned: PlannedQuery, place: JobPlace, settings: Settings, position: number): PlannedQuery {
  // Jobs of older versions know no such setting.
  const ttl = place.job === null ? settings.get('state_ttl') : (place.job.settings.state_ttl as number | undefined) ?? 0;
  return ttl === 0 ? planned : { ...planned, plan: withStateTtl(planned.plan, position) };
}

/** A restored job keeps the number of key groups that its state was written with. */
function settingsOf(settings: Settings, cores: number, maxParallelism: number | null): JobSettings {
  const own = jobSettings(settings, cores);
  if (maxParallelism === null) return own;
  if (own.parallelism > maxParallelism) throw new SqlError('22023', `parallelism (${own.parallelism}) is above the max_parallelism of the restored state (${maxParallelism})`, { hint: `SET parallelism = ${maxParallelism};` });
  return { ...own, max_parallelism: maxParallelism };
}

/** Commits relation and job, starts or grows the job, and waits until what the query reads now is visible in it. */
export async function deploy(database: Database, place: JobPlace, planned: PlannedQuery, relation: StoredRelation, settings: Settings, context: ExecuteContext, restored: { readonly source: RestoreSource; readonly maxParallelism: number } | null = null): Promise<void> {
  const { job, jobId } = place;
  const nextNodeId = Math.max(...planned.plan.nodes.map(n => n.id)) + 1;
  const position = database.tables.lastSeq;
  if (job === null) {
    const created: StoredJob = {
      jobId, name: relation.name, plan: planned.plan, settings: settingsOf(settings, database.options.workers, restored?.maxParallelism ?? null), status: 'running', relations: [relation.id], sql: relation.createSql,
      createdMs: relation.createdMs, nextNodeId, failure: null, ...(restored === null ? {} : { restore: restored.source }),
    };
    await database.catalog.change({ putRelations: [relation], putJobs: [created] });
    try {
      await database.engine.startJob({ jobId, name: created.name, plan: created.plan, settings: created.settings, status: 'created', createdMs: created.createdMs, ...(restored === null ? {} : { restore: restored.source }) });
    } catch (e) {
      await database.engine.dropJob(jobId).catch(() => undefined);
      await database.catalog.change({ dropRelations: [relation.id], dropJobs: [jobId] });
      throw e;
    }
  } else {
    context.notice({ severity: 'NOTICE', code: '00000', message: `"${relation.name}" joins job "${job.name}" and shares its settings and checkpoints` });
    const plan: Plan = { version: PLAN_VERSION, nodes: [...job.plan.nodes, ...planned.plan.nodes], roots: [...job.plan.roots, ...planned.plan.roots] };
    await database.engine.extendJob(jobId, plan);
    await database.catalog.change(() => ({ putRelations: [relation], putJobs: [{ ...database.catalog.job(jobId) ?? job, plan, nextNodeId, relations: [...job.relations, relation.id] }] }));
  }
  await database.engine.caughtUp(jobId, position, context.signal);
}
