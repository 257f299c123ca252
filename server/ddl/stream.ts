/** CREATE STREAM: options checked by the connector, expressions (DEFAULT, generated columns, WATERMARK) bound once so that mistakes show here. */
import type { StreamColumn, StreamRelation } from '../../planner/catalog.js';
import type { CreateStream, StreamColumnDefinition } from '../../planner/parse/statement.js';
import { bindColumnExpression, bindDefault, resolveType } from '../../planner/bind/column.js';
import { SqlError } from '../../types/error.js';
import type { Column } from '../../types/sqltype.js';
import type { SourceConnector } from '../../runtime/connector.js';
import type { StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import { maskSecrets, optionRecord, optionsWithSecrets, refuseUnknown, withReferences } from './options.js';
import { checkColumnNames, keyColumns } from './table.js';

const METADATA: readonly string[] = ['offset', 'partition', 'timestamp', 'key', 'headers', 'file', 'line'];

export async function createStream(database: Database, statement: CreateStream, sql: string): Promise<{ created: boolean }> {
  const { name } = statement;
  if (statement.ifNotExists && database.catalog.stored(name.schema, name.name) !== null) return { created: false };
  database.catalog.checkFree(name.schema, name.name, name.position);
  const given = optionRecord(statement.options);
  const { connector: connectorName, ...rest } = given;
  if (connectorName === undefined) refuseUnknown(statement.options, ['connector', 'retention'], 'a stream without connector');
  const validated = connectorName === undefined ? null : database.locate(statement.options, () => database.options.validateSource(connectorName, optionsWithSecrets(database, rest, statement.options)));
  const connector: SourceConnector | null = validated?.connector ?? null;
  const options = validated?.options ?? rest;
  const columns = streamColumns(statement, connector, options);
  checkColumnNames(statement.columns ?? []);
  if (columns.length === 0) throw new SqlError('42P16', `stream "${name.name}" has no columns`, { position: name.position });
  const physical = columns.filter(c => c.generatedSql === null);
  for (const definition of statement.columns ?? []) checkExpressions(definition, physical);
  let watermark: StreamRelation['watermark'] = null;
  if (statement.watermark !== null) {
    const w = statement.watermark;
    const column = columns.find(c => c.name === w.column);
    if (column === undefined) throw new SqlError('42703', `column "${w.column}" does not exist`, { position: w.position, hint: `Columns of the stream: ${columns.map(c => c.name).join(', ')}.` });
    if (column.type.kind !== 'timestamp' && column.type.kind !== 'timestamptz') {
      throw new SqlError('42804', `a watermark needs a column of type timestamp, not ${column.type.kind}`, { position: w.position });
    }
    bindColumnExpression(w.expression, columns, column.type);
    watermark = { column: w.column, sql: w.expression.sql };
  }
  if (connector !== null) {
    connector.validate?.(options, physical);
    await connector.check?.(options);
  }
  const id = await database.catalog.allocateId();
  const stored: StreamRelation & StoredRelation = {
    kind: 'stream', id, schema: 'public', name: name.name, columns, connector: connectorName ?? null, options: withReferences(options, rest), watermark,
    primaryKey: keyColumns(statement.primaryKey, columns), bounded: connector?.bounded(options) ?? false,
    createSql: maskSecrets(sql, statement.options), createdMs: Date.now(), dependsOn: [], comment: null,
  };
  await database.catalog.change({ putRelations: [stored] });
  return { created: true };
}

function streamColumns(statement: CreateStream, connector: SourceConnector | null, options: Readonly<Record<string, string>>): StreamColumn[] {
  if (statement.columns !== null && statement.columns.length > 0) return statement.columns.map(streamColumn);
  const own: readonly Column[] | null = connector?.columns?.(options) ?? null;
  if (own === null) throw new SqlError('42601', `stream "${statement.name.name}" needs columns`, { position: statement.name.position, hint: `CREATE STREAM ${statement.name.name} (id bigint, …) WITH (…);` });
  return own.map(c => ({ ...c, notNull: false, path: null, metadata: null, defaultSql: null, generatedSql: null }));
}

function streamColumn(c: StreamColumnDefinition): StreamColumn {
  if (c.metadata !== null && !METADATA.includes(c.metadata)) {
    throw new SqlError('42601', `unknown metadata "${c.metadata}" of column "${c.name}"`, { position: c.position, hint: `Allowed: ${METADATA.join(', ')}.` });
  }
  return { name: c.name, type: resolveType(c.type), notNull: c.notNull, path: c.path, metadata: c.metadata, defaultSql: c.default?.sql ?? null, generatedSql: c.generated?.expression.sql ?? null };
}

function checkExpressions(c: StreamColumnDefinition, physical: readonly Column[]): void {
  const type = resolveType(c.type);
  if (c.default !== null) bindDefault(c.default, type);
  if (c.generated !== null) bindColumnExpression(c.generated.expression, physical, type);
}
