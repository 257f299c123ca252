/**
 * CREATE TABLE … AS query and SELECT … INTO: a table of the query's columns and rows, without a key.
 *
 *   plan → run → under the lock of DDL: rows to the table store under a new id → table to the catalog
 *
 * The table is there from the catalog's commit on: what fails or crashes before it leaves no table. The rows are in memory until they are written.
 */
import type { TableRelation } from '../../planner/catalog.js';
import type { Session } from '../../planner/bind/context.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { PlannedQuery } from '../../planner/planner.js';
import type { CreateTableAs } from '../../planner/parse/statement.js';
import type { QueryResult } from '../../runtime/engine.js';
import { SqlError, unsupported } from '../../types/error.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { formatType } from '../../types/typeinfo.js';
import type { StoredRelation } from '../catalog/relation.js';
import type { Database } from '../database.js';
import type { ExecuteContext } from '../session/backend.js';
import { fillTable, rowsOf } from '../sql/write.js';
import { keylessTable } from './table.js';
import { rename } from './view.js';

/** The query as an ad-hoc one; its columns are the table's. */
export function planTableAs(database: Database, statement: CreateTableAs, given: readonly (SqlType | null)[], session: Session): PlannedQuery {
  const { name, query } = statement;
  if (query.emit !== null) throw unsupported('EMIT in CREATE TABLE AS', query.position, 'CREATE MATERIALIZED VIEW keeps the result of a continuous query.');
  const planned = planQuery(query, database.catalog, { kind: 'batch' }, given, session);
  const columns = rename(planned.columns, statement.columns, name.position);
  for (const c of columns) {
    if (isPseudo(c.type)) throw new SqlError('42P16', `column "${c.name}" has pseudo-type ${formatType(c.type)}`, { position: name.position });
  }
  return { ...planned, columns };
}

const isPseudo = (t: SqlType): boolean => (t.kind === 'array' ? isPseudo(t.elem) : t.kind === 'record' || t.kind === 'void' || t.kind === 'unknown');

/** Returns the command tag. */
export async function createTableAs(database: Database, statement: CreateTableAs, sql: string, columns: readonly Column[], run: () => Promise<QueryResult>, context: ExecuteContext): Promise<string> {
  const { name, withData } = statement;
  const isThere = (): boolean => {
    if (statement.ifNotExists && database.catalog.stored(name.schema, name.name) !== null) {
      context.notice({ severity: 'NOTICE', code: '42P07', message: `relation "${name.name}" already exists, skipping` });
      return true;
    }
    database.catalog.checkFree(name.schema, name.name, name.position);
    return false;
  };
  if (isThere()) return 'CREATE TABLE AS';
  const rows = withData ? await rowsOf(await run()) : [];
  return database.ddlLock.run(async () => {
    // Somebody else may have taken the name meanwhile.
    if (isThere()) return 'CREATE TABLE AS';
    const table: TableRelation & StoredRelation = {
      ...keylessTable(await database.catalog.allocateId(), name.name, columns.map(c => ({ name: c.name, type: c.type, notNull: false, defaultSql: null, generatedSql: null }))),
      createSql: sql, createdMs: Date.now(), dependsOn: [], comment: null,
    };
    await fillTable(database, table, rows);
    try {
      context.signal.throwIfAborted();
      await database.catalog.change({ putRelations: [table] });
    } catch (e) {
      await database.tables.drop(table.id).catch(() => undefined); // nobody finds the rows: the id is not given again
      throw e;
    }
    return withData ? `SELECT ${rows.length}` : 'CREATE TABLE AS';
  });
}
