/**
 * Statements about savepoints: CREATE and DROP SAVEPOINT, STOP JOB (WITH SAVEPOINT), PAUSE and RESUME JOB, EXPLAIN RESTORE, and restore_from in WITH.
 * None runs in a transaction block. Those that wait for a job's checkpoint do not hold the DDL lock while they wait.
 */
import type { Session } from '../../planner/bind/context.js';
import { withStateTtl } from '../../planner/plan/statettl.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { Option, Statement } from '../../planner/parse/statement.js';
import type { RestoreSource, SavepointRow } from '../../runtime/engine.js';
import type { S3Settings } from '../../storage/location.js';
import { SqlError } from '../../types/error.js';
import type { Plan } from '../../types/plan.js';
import type { Settings } from '../../types/settings.js';
import type { Column } from '../../types/sqltype.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { jobNamed } from './jobs.js';
import type { TextTable } from './show.js';

type Of<K extends Statement['kind']> = Extract<Statement, { kind: K }>;
type Line = readonly (string | number | null)[];

const TEXT: Column['type'] = { kind: 'text' };
const INT8: Column['type'] = { kind: 'int8' };
export const SAVEPOINT_COLUMNS: readonly Column[] = [{ name: 'savepoint_id', type: INT8 }, { name: 'path', type: TEXT }, { name: 'checkpoint_id', type: INT8 }, { name: 'bytes', type: INT8 }];
export const RESTORE_COLUMNS: readonly Column[] = [{ name: 'operator', type: TEXT }, { name: 'matched_state', type: TEXT }, { name: 'bytes', type: INT8 }, { name: 'action', type: TEXT }, { name: 'why', type: TEXT }];

const savepointTable = (row: SavepointRow): TextTable => ({ columns: SAVEPOINT_COLUMNS, rows: [[row.savepointId, row.path, row.checkpointId, row.bytes]] });

/** How s3:// is reached, by the session's settings. */
export function s3Access(settings: Settings): S3Settings {
  return { s3_endpoint: String(settings.get('s3_endpoint')), s3_region: String(settings.get('s3_region')), s3_path_style: settings.get('s3_path_style') === true, s3_secret: String(settings.get('s3_secret')) };
}

/** The folder that the statement names, else what the session has set; null: the job's own setting. */
function folderOf(target: string | null, settings: Settings): string | null {
  const ofSession = ['session', 'client'].includes(settings.sourceOf('savepoint_directory'));
  return target ?? (ofSession ? String(settings.get('savepoint_directory')) : null);
}

export async function createSavepoint(database: Database, s: Of<'create savepoint'>, settings: Settings, context: ExecuteContext): Promise<TextTable> {
  return savepointTable(await database.engine.savepoint(jobNamed(database, s.job, s.position).jobId, folderOf(s.target, settings), context.signal));
}

export async function dropSavepoint(database: Database, s: Of<'drop savepoint'>, settings: Settings): Promise<void> {
  await database.engine.dropSavepoint(s.path, s3Access(settings));
}

export async function stopJob(database: Database, s: Of<'stop job'>, settings: Settings, context: ExecuteContext): Promise<TextTable | null> {
  const job = jobNamed(database, s.job, s.position);
  const row = await database.engine.stopJob(job.jobId, { savepoint: s.savepoint === null ? false : folderOf(s.savepoint.target, settings) }, context.signal);
  return row === null ? null : savepointTable(row);
}

export async function pauseJob(database: Database, s: Of<'cancel job' | 'pause job'>, context: ExecuteContext): Promise<void> {
  await database.engine.pauseJob(jobNamed(database, s.job, s.position).jobId, context.signal);
}

/** The new parallelism is stored once the job runs with it: a crash before goes on with the old one. */
export async function resumeJob(database: Database, s: Of<'resume job'>): Promise<void> {
  const { jobId, settings } = jobNamed(database, s.job, s.position);
  const { parallelism } = s;
  if (parallelism === null) { await database.engine.resumeJob(jobId); return; }
  if (parallelism < 1 || parallelism > settings.max_parallelism) {
    throw new SqlError('22023', `parallelism (${parallelism}) is outside of 1 .. ${settings.max_parallelism}`, { position: s.position, hint: 'max_parallelism is fixed when a job is created.' });
  }
  await database.engine.resumeJob(jobId, parallelism);
  await database.catalog.change(() => {
    const job = database.catalog.job(jobId);
    if (job === null || parallelism === job.settings.parallelism) return {};
    const change = { name: 'parallelism', from: job.settings.parallelism, to: parallelism, ms: Date.now(), by: 'RESUME JOB' };
    return { putJobs: [{ ...job, settings: { ...job.settings, parallelism }, settingChanges: [...job.settingChanges ?? [], change] }] };
  });
}

export async function explainRestore(database: Database, s: Of<'explain restore'>, settings: Settings, session: Session): Promise<TextTable> {
  const planned = planQuery(s.query, database.catalog, { kind: 'job', firstNodeId: 1, relationId: 0, relationName: '' }, [], session);
  refuseViews(planned.readsJobs, s.position);
  const plan = settings.get('state_ttl') === 0 ? planned.plan : withStateTtl(planned.plan, s.position);
  const rows = await database.engine.explainRestore(plan, s.path, s3Access(settings));
  return { columns: RESTORE_COLUMNS, rows: rows.map((r): Line => [r.operator, r.matched, r.bytes, r.action, r.why]) };
}

function refuseViews(readsJobs: readonly number[], position: number | undefined): void {
  if (readsJobs.length === 0) return;
  throw new SqlError('0A000', 'restoring a query over a materialized view is not supported', { position, hint: 'Its view is filled from the views it reads: create it without restore_from.' });
}

/** What restore_from of a CREATE says: the plan with the ids of its state, and where that is. null: it is not given. */
export async function plannedRestore(database: Database, options: readonly Option[], plan: Plan, readsJobs: readonly number[], settings: Settings, context: ExecuteContext): Promise<{ readonly plan: Plan; readonly source: RestoreSource; readonly maxParallelism: number } | null> {
  const option = options.find(o => o.key === 'restore_from');
  if (option === undefined) return null;
  refuseViews(readsJobs, option.position);
  try {
    const { notices, ...restored } = await database.engine.planRestore(plan, option.value, {
      allowNonRestored: settings.get('allow_non_restored_state') === true, claim: settings.get('restore_claim_mode') === 'claim', access: s3Access(settings),
    });
    for (const message of notices) context.notice({ severity: 'NOTICE', message });
    return restored;
  } catch (e) {
    if (e instanceof SqlError && e.position === undefined) e.position = option.valuePosition;
    throw e;
  }
}
