/** CREATE SINK … FROM relation | AS query WITH (connector = …). */
import type { Session } from '../../planner/bind/context.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { PlannedQuery } from '../../planner/planner.js';
import type { CreateSink } from '../../planner/parse/statement.js';
import type { SinkConnector } from '../../runtime/connector.js';
import type { PlanNode, SinkNode } from '../../types/plan.js';
import { SqlError, unsupported } from '../../types/error.js';
import type { Settings } from '../../types/settings.js';
import type { SinkRelation, StoredFacts } from '../catalog/relation.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { deploy, placeOf, withTtl } from './job.js';
import { plannedRestore } from '../sql/savepoints.js';
import { wholeRelation } from '../sql/wholerelation.js';
import { maskSecrets, optionRecord, optionsWithSecrets, withReferences } from './options.js';

export async function createSink(database: Database, statement: CreateSink, sql: string, settings: Settings, session: Session, context: ExecuteContext): Promise<{ created: boolean }> {
  const { name } = statement;
  if (statement.ifNotExists && database.catalog.stored(name.schema, name.name) !== null) return { created: false };
  database.catalog.checkFree(name.schema, name.name, name.position);
  const { connector: connectorName, restore_from: _, ...rest } = optionRecord(statement.options);
  if (connectorName === undefined) throw new SqlError('42601', `sink "${name.name}" needs a connector`, { position: name.position, hint: `CREATE SINK ${name.name} AS … WITH (connector = 'file', path = 'out', format = 'json');` });
  const { connector, options } = database.locate(statement.options.filter(o => o.key !== 'restore_from'), () => database.options.validateSink(connectorName, optionsWithSecrets(database, rest, statement.options)));
  const storedOptions = withReferences(options, rest);
  const id = await database.catalog.allocateId();
  const query = statement.from.kind === 'query' ? statement.from.query : wholeRelation(statement.from.name.name);
  const plan = (firstNodeId: number): PlannedQuery => planQuery(query, database.catalog, { kind: 'job', firstNodeId, relationId: id, relationName: name.name }, [], session);
  const first = plan(1);
  const place = await placeOf(database, first.readsJobs);
  const fresh = withTtl(asSink(place.firstNodeId === 1 ? first : plan(place.firstNodeId), connectorName, storedOptions), place, settings, name.position);
  const restored = await plannedRestore(database, statement.options, fresh.plan, fresh.readsJobs, settings, context);
  const planned = restored === null ? fresh : { ...fresh, plan: restored.plan };
  checkUpdates(connector, options, planned, name.position);
  connector.validate?.(options, planned.columns);
  await connector.check?.(options);
  for (const message of planned.notices) context.notice({ severity: 'NOTICE', message });
  context.notice({ severity: 'NOTICE', message: guarantee(connector, name.name) });
  const stored: SinkRelation & StoredFacts = {
    kind: 'sink', id, schema: 'public', name: name.name, columns: planned.columns, jobId: place.jobId, connector: connectorName, options: storedOptions,
    createSql: maskSecrets(sql, statement.options), createdMs: Date.now(), dependsOn: planned.reads, comment: null,
  };
  await deploy(database, place, planned, stored, settings, context, restored);
  return { created: true };
}

/** The plan of a view with its root, the materialize node, turned into a sink node. */
function asSink(planned: PlannedQuery, connector: string, options: Readonly<Record<string, string>>): PlannedQuery {
  const rootId = planned.plan.roots[0];
  const nodes = planned.plan.nodes.map((n): PlanNode => {
    if (n.id !== rootId || n.op !== 'materialize') return n;
    const sink: SinkNode = {
      op: 'sink', visible: n.visible, id: n.id, inputs: n.inputs, columns: n.columns, appendOnly: n.appendOnly, key: n.key, relationId: n.relationId, relationName: n.relationName, connector, options,
    };
    return sink;
  });
  return { ...planned, plan: { ...planned.plan, nodes } };
}

function checkUpdates(connector: SinkConnector, options: Readonly<Record<string, string>>, planned: PlannedQuery, position: number): void {
  if (planned.appendOnly) return;
  const accepts = connector.acceptsUpdates(options);
  if (accepts === 'no') {
    throw unsupported(`a ${connector.name} sink of a query whose result changes`, position, connector.options.some(o => o.name === 'changelog' && o.kind === 'boolean') ? 'changelog = \'true\' writes each change with a field op; EMIT ON WINDOW CLOSE makes results that do not change.' : 'Make the query append-only (EMIT ON WINDOW CLOSE).');
  }
  if (accepts === 'with_key' && planned.key === null) {
    throw unsupported(`a keyed ${connector.name} sink of a query without a key`, position, 'Group by the key columns, or read from a table with a PRIMARY KEY.');
  }
}

function guarantee(connector: SinkConnector, name: string): string {
  switch (connector.guarantee) {
    case 'exactly_once': return `sink "${name}" delivers exactly once: output becomes visible when its checkpoint completes`;
    case 'at_least_once': return `sink "${name}" delivers at least once: rows may repeat after a failure`;
    case 'none': return `sink "${name}" keeps nothing`;
  }
}
