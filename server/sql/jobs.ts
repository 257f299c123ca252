/**
 * Statements about jobs: CHECKPOINT, ALTER JOB. None waits for the DDL lock: a CREATE that does not come to its end can be helped or cancelled.
 *
 * ALTER JOB checks every change, and the rules between settings with all changes applied, then stores the new values with who made them and when
 * (millrace.checkpoint_settings), then hands them to the job: a crash between the two starts the job with the new values.
 */
import type { Statement } from '../../planner/parse/statement.js';
import { SqlError, unreachable } from '../../types/error.js';
import { brokenRule } from '../../types/settingrules.js';
import { formatSetting, nearest, parseNamed, settingSpec, type JobSettings, type SettingSpec, type SettingValue } from '../../types/settings.js';
import { quoteIdentifier } from '../../types/textio.js';
import type { SettingChange, StoredJob } from '../catalog/relation.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';

type AlterJob = Extract<Statement, { kind: 'alter job' }>;

/** Changes of settings kept for a job; older ones are forgotten. */
const SETTING_CHANGES_MAX = 1000;

/** The job of this name, or of the relation of this name, or of this number; 42704. */
export function jobNamed(database: Database, name: string, position: number): StoredJob {
  const { catalog } = database;
  const job = catalog.jobByName(name) ?? (/^\d{1,15}$/.test(name) ? catalog.job(Number(name)) : null);
  if (job !== null) return job;
  const relation = catalog.relation(null, name);
  const near = nearest(name, [...catalog.jobs()].map(j => j.name));
  throw new SqlError('42704', `job "${name}" does not exist`, {
    position, hint: relation !== null ? `${relation.kind} "${name}" has no job: jobs belong to materialized views and sinks. SHOW JOBS; lists them.` : near !== null ? `Perhaps you meant "${near}".` : 'SHOW JOBS; lists them.',
  });
}

export async function checkpointJobs(database: Database, name: string | null, position: number, context: ExecuteContext): Promise<void> {
  await database.engine.checkpoint(name === null ? null : jobNamed(database, name, position).jobId, context.signal);
}

/** ALTER JOB … SET / RESET. */
export async function alterJob(database: Database, statement: AlterJob, user: string): Promise<void> {
  const job = jobNamed(database, statement.job, statement.position);
  const status = database.engine.jobs().find(j => j.jobId === job.jobId)?.status;
  if (status === undefined) throw new SqlError('55000', `job "${job.name}" is being created`, { position: statement.position });
  if (status === 'finished' || status === 'cancelled') throw new SqlError('55000', `job "${job.name}" is ${status}: its settings do nothing any more`, { position: statement.position });
  const running = status === 'running' || status === 'restarting' || status === 'created';
  const changes: Record<string, SettingValue> = {};
  for (const change of statement.changes) {
    const { spec, value } = located(change.position, () => valueOf(database, change));
    if (spec.name in changes) throw new SqlError('42601', `setting "${spec.name}" is given more than once`, { position: change.position });
    if (value === job.settings[spec.name as keyof JobSettings]) continue;
    located(change.position, () => { refuseFixed(job, spec, value, running); });
    changes[spec.name] = value;
  }
  const changed = Object.keys(changes);
  const settings = { ...job.settings, ...changes } as JobSettings;
  for (const name of changed) {
    const broken = brokenRule(n => settings[n as keyof JobSettings], name, (n, v) => `ALTER JOB ${quoteIdentifier(job.name)} SET (${n} = ${v});`);
    if (broken !== null) { broken.position = statement.changes.find(c => settingSpec(c.name).name === name)?.position; throw broken; }
  }
  if (changed.length === 0) return;
  const ms = Date.now();
  const made = changed.map((name): SettingChange => ({ name, from: job.settings[name as keyof JobSettings], to: changes[name], ms, by: user }));
  await database.catalog.change(() => {
    const now = database.catalog.job(job.jobId);
    return now === null ? {} : { putJobs: [{ ...now, settings: { ...now.settings, ...changes }, settingChanges: [...now.settingChanges ?? [], ...made].slice(-SETTING_CHANGES_MAX) }] };
  });
  await database.engine.alterJob(job.jobId, changes);
}

/** The value a change asks for: RESET takes what a new job would get from the server. */
function valueOf(database: Database, change: AlterJob['changes'][number]): { spec: SettingSpec; value: SettingValue } {
  const found = change.value === null ? { spec: settingSpec(change.name), value: database.settings.get(change.name) } : parseNamed(change.name, change.value);
  const { spec } = found;
  if (spec.scope !== 'job') throw new SqlError('22023', `"${spec.name}" is not a setting of a job`, { hint: spec.scope === 'server' ? `Start with --config FILE that holds ${spec.name} = ….` : `SET ${spec.name} = …; holds for the session.` });
  if (spec.name === 'restart_strategy' && found.value === 'fallback') {
    const server = database.settings.get(spec.name);
    return { spec, value: server === 'fallback' ? database.settings.fallback(spec.name, v => v !== 'fallback') : server };
  }
  return found;
}

/** 55000 or 0A000, with what to type instead, for a setting that the job cannot take now. */
function refuseFixed(job: StoredJob, spec: SettingSpec, value: SettingValue, running: boolean): void {
  if (spec.alter === undefined || (spec.alter === 'paused' && !running)) return;
  const name = quoteIdentifier(job.name);
  const literal = `'${formatSetting(spec, value)}'`;
  switch (spec.alter) {
    case 'paused':
      throw new SqlError('55000', `setting "${spec.name}" of a running job cannot be changed`, { hint: `PAUSE JOB ${name}; ALTER JOB ${name} SET (${spec.name} = ${literal}); RESUME JOB ${name};` });
    case 'fixed':
      if (spec.name === 'parallelism') {
        if (Number(value) > job.settings.max_parallelism) {
          throw new SqlError('22023', `parallelism (${String(value)}) is above max_parallelism (${job.settings.max_parallelism})`, { hint: 'max_parallelism is fixed when a job is created.' });
        }
        throw new SqlError('55000', 'the parallelism of a job changes when it resumes', { hint: `${running ? `PAUSE JOB ${name}; ` : ''}RESUME JOB ${name} WITH (parallelism = ${String(value)});` });
      }
      if (spec.name === 'restore_claim_mode' || spec.name === 'allow_non_restored_state') {
        throw new SqlError('55000', `setting "${spec.name}" is read when a job is created`, { hint: `SET ${spec.name} = ${literal}; before CREATE … WITH (restore_from = '…').` });
      }
      throw new SqlError('0A000', `changing "${spec.name}" of a job is not supported`, {
        hint: `STOP JOB ${name} WITH SAVEPOINT; then SET ${spec.name} = ${literal}; and CREATE … WITH (restore_from = '…') from the savepoint.`,
      });
    default: unreachable(spec.alter);
  }
}

function located<T>(position: number, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof SqlError) e.position ??= position;
    throw e;
  }
}
