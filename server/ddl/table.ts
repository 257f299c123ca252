/** CREATE TABLE: columns, defaults and key checked by binding them once; rows live in the table store under the relation's id. */
import type { TableColumn, TableRelation } from '../../planner/catalog.js';
import type { ColumnDefinition, CreateTable, PrimaryKeyDefinition } from '../../planner/parse/statement.js';
import { bindDefault, resolveType } from '../../planner/bind/column.js';
import { SqlError, unsupported } from '../../types/error.js';
import { INT8, type Column } from '../../types/sqltype.js';
import { identityOf } from '../catalog/identity.js';
import type { StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import { refuseUnknown } from './options.js';

/** Name of the hidden key column of a table without PRIMARY KEY. */
export const ROW_ID = '_row_id';

export async function createTable(database: Database, statement: CreateTable, sql: string): Promise<{ created: boolean }> {
  const { name } = statement;
  if (statement.ifNotExists && database.catalog.stored(name.schema, name.name) !== null) return { created: false };
  database.catalog.checkFree(name.schema, name.name, name.position);
  refuseUnknown(statement.options, [], 'CREATE TABLE');
  checkColumnNames(statement.columns);
  const columns = statement.columns.map(c => tableColumn(c));
  const key = keyColumns(statement.primaryKey, columns);
  const id = await database.catalog.allocateId();
  const table: TableRelation = key === null ? keylessTable(id, name.name, columns)
    : { kind: 'table', id, schema: 'public', name: name.name, columns: columns.map((c, i) => (key.includes(i) ? { ...c, notNull: true } : c)), primaryKey: key, hiddenRowId: false };
  const stored: StoredRelation = { ...table, createSql: sql, createdMs: Date.now(), dependsOn: [], comment: null };
  await database.catalog.change({ putRelations: [stored] });
  return { created: true };
}

/** A table without PRIMARY KEY: its key is a hidden row id. */
export function keylessTable(id: number, name: string, columns: readonly TableColumn[]): TableRelation {
  return {
    kind: 'table', id, schema: 'public', name, columns: [...columns, { name: ROW_ID, type: INT8, notNull: true, defaultSql: null, generatedSql: null }], primaryKey: [columns.length], hiddenRowId: true,
  };
}

function tableColumn(c: ColumnDefinition): TableColumn {
  if (c.generated !== null) throw unsupported('a generated column of a table', c.position, 'Compute it in a view over the table.');
  const type = resolveType(c.type);
  if (c.default !== null) bindDefault(c.default, type);
  return { name: c.name, type, notNull: c.notNull, defaultSql: c.default?.sql ?? null, generatedSql: null, ...(c.identity === null ? {} : { identity: identityOf(c.identity, type) }) };
}

export function checkColumnNames(columns: readonly { readonly name: string; readonly position: number }[]): void {
  const seen = new Set<string>();
  for (const c of columns) {
    if (seen.has(c.name)) throw new SqlError('42701', `column "${c.name}" specified more than once`, { position: c.position });
    seen.add(c.name);
  }
}

/** Indexes of the key's columns, or null when no key is declared. */
export function keyColumns(key: PrimaryKeyDefinition | null, columns: readonly Column[]): number[] | null {
  if (key === null) return null;
  return key.columns.map(name => {
    const i = columns.findIndex(c => c.name === name);
    if (i < 0) throw new SqlError('42703', `column "${name}" named in key does not exist`, { position: key.position });
    const kind = columns[i]?.type.kind;
    if (kind === 'json') throw new SqlError('42704', `data type json has no default operator class for access method "btree"`, { position: key.position });
    return i;
  });
}
