/** CREATE VIEW and CREATE MATERIALIZED VIEW. */
import type { ViewRelation, MaterializedViewRelation } from '../../planner/catalog.js';
import type { PlannedQuery } from '../../planner/planner.js';
import type { Session } from '../../planner/bind/context.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { CreateMaterializedView, CreateView, Query } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import type { Settings } from '../../types/settings.js';
import type { Column } from '../../types/sqltype.js';
import type { StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { deploy, placeOf, withTtl } from './job.js';
import { plannedRestore } from '../sql/savepoints.js';
import { refuseUnknown } from './options.js';

export async function createView(database: Database, statement: CreateView, sql: string): Promise<void> {
  const { name } = statement;
  const existing = database.catalog.stored(name.schema, name.name);
  if (!(statement.orReplace && existing?.kind === 'view')) database.catalog.checkFree(name.schema, name.name, name.position);
  // Bound once as a job's query, so that mistakes show here; batch-only constructs are allowed too.
  const planned = planEither(database, statement.query, name.name);
  const columns = rename(planned.columns, statement.columns, name.position);
  if (existing !== null && existing.kind === 'view' && database.catalog.dependents(existing.id).length > 0) {
    const same = existing.columns.every((c, i) => columns[i]?.name === c.name && columns[i]?.type.kind === c.type.kind);
    if (!same) throw new SqlError('42P16', `cannot change the columns of view "${name.name}" while others read it`, { position: name.position });
  }
  const stored: ViewRelation & StoredRelation = {
    kind: 'view', id: existing?.id ?? await database.catalog.allocateId(), schema: 'public', name: name.name, columns,
    sql: statement.query.sql, createSql: sql, createdMs: Date.now(), dependsOn: planned.reads, comment: null,
  };
  await database.catalog.change({ putRelations: [stored] });
}

function planEither(database: Database, query: Query, name: string): PlannedQuery {
  try {
    return planQuery(query, database.catalog, { kind: 'job', firstNodeId: 1, relationId: 0, relationName: name }, []);
  } catch (e) {
    if (e instanceof SqlError && e.code === '0A000') return planQuery(query, database.catalog, { kind: 'batch' }, []);
    throw e;
  }
}

export async function createMaterializedView(database: Database, statement: CreateMaterializedView, sql: string, settings: Settings, session: Session, context: ExecuteContext): Promise<{ created: boolean }> {
  const { name } = statement;
  if (statement.ifNotExists && database.catalog.stored(name.schema, name.name) !== null) return { created: false };
  database.catalog.checkFree(name.schema, name.name, name.position);
  refuseUnknown(statement.options, ['restore_from'], 'CREATE MATERIALIZED VIEW');
  const id = await database.catalog.allocateId();
  const plan = (firstNodeId: number): PlannedQuery => planQuery(statement.query, database.catalog, { kind: 'job', firstNodeId, relationId: id, relationName: name.name }, [], session);
  const first = plan(1);
  const place = await placeOf(database, first.readsJobs);
  const fresh = withTtl(place.firstNodeId === 1 ? first : plan(place.firstNodeId), place, settings, name.position);
  const restored = await plannedRestore(database, statement.options, fresh.plan, fresh.readsJobs, settings, context);
  const planned = restored === null ? fresh : { ...fresh, plan: restored.plan };
  for (const message of planned.notices) context.notice({ severity: 'NOTICE', message });
  const root = planned.plan.nodes.find(n => n.id === planned.plan.roots[0]);
  if (root === undefined || root.op !== 'materialize') throw new SqlError('XX000', 'internal error: the plan of a view ends in no materialize node');
  const stored: MaterializedViewRelation & StoredRelation = {
    kind: 'materialized view', id, schema: 'public', name: name.name, columns: rename(planned.columns, statement.columns, name.position), jobId: place.jobId, nodeId: root.id,
    key: root.key, appendOnly: root.appendOnly, storedColumns: root.columns, sql: statement.query.sql, createSql: sql, createdMs: Date.now(), dependsOn: planned.reads, comment: null,
  };
  await deploy(database, place, planned, stored, settings, context, restored);
  return { created: true };
}

export function rename(columns: readonly Column[], names: readonly string[] | null, position: number): readonly Column[] {
  if (names !== null && names.length > columns.length) throw new SqlError('42601', 'too many column names were specified', { position });
  const renamed = columns.map((c, i) => ({ ...c, name: names?.[i] ?? c.name }));
  const seen = new Set<string>();
  for (const c of renamed) {
    if (seen.has(c.name)) throw new SqlError('42701', `column "${c.name}" specified more than once`, { position, hint: 'Give each column of the query its own name with AS.' });
    seen.add(c.name);
  }
  return renamed;
}
