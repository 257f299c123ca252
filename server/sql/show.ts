/** SHOW, DESCRIBE and EXPLAIN: small answers made here, without the engine. */
import type { Identity } from '../../planner/catalog.js';
import type { Explainable, ShowObjects } from '../../planner/parse/statement.js';
import { explain } from '../../planner/explain/explain.js';
import type { Session } from '../../planner/bind/context.js';
import { planQuery } from '../../planner/plan/planquery.js';
import { withStateTtl } from '../../planner/plan/statettl.js';
import type { PlannedQuery } from '../../planner/planner.js';
import { SqlError, unsupported } from '../../types/error.js';
import { type Column, TEXT } from '../../types/sqltype.js';
import { settingSpecs, type Settings } from '../../types/settings.js';
import { formatType } from '../../types/typeinfo.js';
import { shownDefault } from '../catalog/identity.js';
import type { StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import { planTableAs } from '../ddl/tableas.js';
import { findRelation } from './findrelation.js';
import { primaryKeyOf, visibleColumns } from '../system/pgcatalog.js';

/** Rows of text under named text columns. */
export interface TextTable { readonly columns: readonly Column[]; readonly rows: readonly (readonly (string | number | null)[])[] }

const table = (names: readonly string[], rows: readonly (readonly (string | null)[])[]): TextTable => ({ columns: names.map(name => ({ name, type: TEXT })), rows });

/** Of every EXPLAIN. */
export const PLAN_COLUMNS: readonly Column[] = [{ name: 'QUERY PLAN', type: TEXT }];

export function showSetting(settings: Settings, name: string | null, position: number): TextTable {
  if (name !== null) {
    try {
      return table([name], [[settings.show(name)]]);
    } catch (e) {
      if (e instanceof SqlError) e.position ??= position;
      throw e;
    }
  }
  return table(['name', 'setting', 'description'], settingSpecs.map(s => [s.name, settings.show(s.name), s.description]));
}

const OF_KIND: Readonly<Partial<Record<ShowObjects, StoredRelation['kind']>>> = { streams: 'stream', tables: 'table', views: 'view', 'materialized views': 'materialized view', sinks: 'sink' };

/** SELECT that answers SHOW JOBS and the like, where a system table has the rows; otherwise null. */
export function showQuery(objects: ShowObjects, job: string | null): string | null {
  const where = job === null ? '' : ` WHERE job_name = '${job.replace(/'/g, "''")}'`;
  switch (objects) {
    case 'jobs': return 'SELECT job_id, job_name, kind, status, parallelism, restarts, rows_in, rows_out, last_checkpoint_id FROM millrace.jobs ORDER BY job_id';
    case 'checkpoints': return `SELECT job_name, checkpoint_id, status, mode, trigger_time, duration, state_bytes, failure_reason FROM millrace.checkpoints${where} ORDER BY trigger_time DESC LIMIT 20`;
    case 'sources': return 'SELECT job_name, relation, split, position, lag, rows, watermark FROM millrace.sources ORDER BY job_name, relation, split';
    case 'savepoints': return `SELECT savepoint_id, job_name, status, trigger_time, bytes, path FROM millrace.savepoints${where} ORDER BY trigger_time DESC`;
    case 'secrets': return 'SELECT name, keys, used_by, created_at FROM millrace.secrets ORDER BY name';
    case 'schemas': return 'SELECT nspname AS schema FROM pg_catalog.pg_namespace ORDER BY 1';
    case 'databases': return 'SELECT datname AS database FROM pg_catalog.pg_database ORDER BY 1';
    default: return null;
  }
}

export function showRelations(database: Database, objects: ShowObjects, like: string | null, position: number): TextTable {
  const kind = OF_KIND[objects];
  if (kind === undefined) throw unsupported(`SHOW ${objects.toUpperCase()}`, position);
  const pattern = like === null ? null : new RegExp(`^${like.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/%/g, '.*').replace(/_/g, '.')}$`, 'i');
  const found = [...database.catalog.relations()].filter(r => r.kind === kind && (pattern === null || pattern.test(r.name))).sort((a, b) => (a.name < b.name ? -1 : 1));
  switch (kind) {
    case 'stream': return table(['name', 'connector', 'columns'], found.map(r => [r.name, r.kind === 'stream' ? r.connector ?? 'INSERT' : null, columnList(r)]));
    case 'sink': return table(['name', 'connector'], found.map(r => [r.name, r.kind === 'sink' ? r.connector : null]));
    case 'materialized view': return table(['name', 'job', 'status'], found.map(r => [r.name, ...jobOf(database, r)]));
    default: return table(['name', 'columns'], found.map(r => [r.name, columnList(r)]));
  }
}

const columnList = (r: StoredRelation): string => visibleColumns(r).map(c => c.name).join(', ');
function jobOf(database: Database, r: StoredRelation): [string | null, string | null] {
  if (!('jobId' in r)) return [null, null];
  const info = database.engine.jobs().find(j => j.jobId === r.jobId);
  return [database.catalog.job(r.jobId)?.name ?? null, info?.status ?? null];
}

export function describe(database: Database, name: { readonly schema: string | null; readonly name: string; readonly position: number }): TextTable {
  const relation = findRelation(database, name);
  const stored = database.catalog.relationById(relation.id);
  const key = stored === null ? null : primaryKeyOf(stored);
  const columns = visibleColumns(relation);
  const watermark = relation.kind === 'stream' ? relation.watermark : null;
  return table(['column', 'type', 'nullable', 'default', 'notes'], columns.map((c, i) => {
    const extra: { notNull?: boolean; defaultSql?: string | null; generatedSql?: string | null; identity?: Identity; path?: string | null; metadata?: string | null } & typeof c = c;
    const notes: string[] = [];
    if (key?.includes(i + 1) === true) notes.push('primary key');
    if (extra.path !== undefined && extra.path !== null) notes.push(`path ${extra.path}`);
    if (extra.metadata !== undefined && extra.metadata !== null) notes.push(`metadata ${extra.metadata}`);
    if (extra.generatedSql !== undefined && extra.generatedSql !== null) notes.push(`generated as (${extra.generatedSql})`);
    if (extra.identity !== undefined && extra.identity.kind !== 'serial') notes.push(`generated ${extra.identity.kind} as identity`);
    if (watermark?.column === c.name) notes.push(`watermark ${watermark.sql}`);
    return [c.name, formatType(c.type), extra.notNull === true || key?.includes(i + 1) === true ? 'no' : 'yes', shownDefault(relation.name, extra), notes.join(', ')];
  }));
}

export function showCreate(database: Database, name: { readonly schema: string | null; readonly name: string; readonly position: number }): TextTable {
  const relation = findRelation(database, name);
  return table(['name', 'create'], [[relation.name, database.catalog.relationById(relation.id)?.createSql ?? null]]);
}

/** The plan a statement would run, as EXPLAIN's lines. */
export function explainStatement(database: Database, statement: Explainable, position: number, settings: Settings, session: Session): TextTable {
  const { plan } = plannedFor(database, statement, position, session);
  const shown = statement.kind === 'create materialized view' && settings.get('state_ttl') !== 0 ? withStateTtl(plan, position) : plan;
  return { columns: PLAN_COLUMNS, rows: explain(shown).map(line => [line]) };
}

function plannedFor(database: Database, statement: Explainable, position: number, session: Session): PlannedQuery {
  const job = { kind: 'job', firstNodeId: 1, relationId: 0, relationName: 'explained' } as const;
  switch (statement.kind) {
    case 'select': return planQuery(statement.query, database.catalog, statement.query.emit === 'changes' ? job : { kind: 'batch' }, [], session);
    case 'create table as': return planTableAs(database, statement, [], session);
    case 'create view': case 'create materialized view': case 'create derived stream': return planQuery(statement.query, database.catalog, { ...job, relationName: statement.name.name }, [], session);
    case 'create sink':
      if (statement.from.kind === 'query') return planQuery(statement.from.query, database.catalog, { ...job, relationName: statement.name.name }, [], session);
      throw unsupported('EXPLAIN of CREATE SINK … FROM', position, 'EXPLAIN the SELECT it stands for.');
    case 'subscribe':
      if (statement.target.kind === 'query') return planQuery(statement.target.query, database.catalog, job, [], session);
      throw unsupported('EXPLAIN of SUBSCRIBE TO a relation', position, 'EXPLAIN CREATE MATERIALIZED VIEW … shows the view\'s plan.');
    case 'insert': case 'update': case 'delete': throw unsupported(`EXPLAIN of ${statement.kind.toUpperCase()}`, position);
  }
}
