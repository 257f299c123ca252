/** CREATE of relations: tables, views, materialized views, streams, derived streams, sinks. And what EXPLAIN takes of them. */
import { SqlError, unsupported } from '../../types/error.js';
import { SECRET_VALUE } from '../../types/secretref.js';
import { parseElements } from './columns.js';
import { parseCreateSavepoint } from './jobs.js';
import type { TokenReader } from './reader.js';
import type { CreateMaterializedView, CreateSink, CreateTable, CreateTableAs, CreateView, Option, PrimaryKeyDefinition, Query, RelationName, Statement } from './statement.js';

function ifNotExists(r: TokenReader): boolean {
  return r.accept('if', 'not', 'exists');
}

/** CREATE …, cursor after CREATE. null: not one of ours to parse. */
export function parseCreate(r: TokenReader): Statement | null {
  const position = r.position(0);
  const orReplace = r.accept('or', 'replace');
  const kindAt = r.position();
  if ((r.word() === 'temp' || r.word() === 'temporary') || ((r.word() === 'local' || r.word() === 'global') && (r.word(1) === 'temp' || r.word(1) === 'temporary'))) {
    const words = r.word() === 'local' || r.word() === 'global' ? 2 : 1;
    if (r.word(words) === 'table') throw unsupported('temporary table', kindAt);
    if (r.word(words) === 'view') throw unsupported('temporary view', kindAt);
    return null;
  }
  if (r.word() === 'unlogged' && r.word(1) === 'table') throw unsupported('unlogged table', kindAt);
  if (r.accept('recursive', 'view')) throw unsupported('recursive view', kindAt);
  if (r.accept('view')) return createView(r, orReplace);
  if (r.accept('materialized', 'view')) {
    if (orReplace) throw unsupported('CREATE OR REPLACE MATERIALIZED VIEW', position);
    return createMaterializedView(r);
  }
  const replaced = (what: string): void => { if (orReplace) throw unsupported(`CREATE OR REPLACE ${what}`, position); };
  if (r.accept('table')) { replaced('TABLE'); return createTable(r); }
  if (r.accept('stream')) { replaced('STREAM'); return createStream(r); }
  if (r.accept('sink')) { replaced('SINK'); return createSink(r); }
  if (r.word() === 'source') throw r.syntaxError('A source of rows is a stream: CREATE STREAM name (column type, …) WITH (connector = …).');
  if (r.accept('savepoint')) return parseCreateSavepoint(r);
  if (r.accept('secret')) return createSecret(r, orReplace, position);
  if (r.accept('connection')) {
    const exists = ifNotExists(r);
    const name = r.relationName();
    const options = r.accept('with') || r.isSymbol('(') ? r.options() : [];
    r.finish();
    return { kind: 'create connection', name, ifNotExists: exists, options, position };
  }
  return null;
}

/** CREATE SECRET name AS 'value', or [WITH] (key = 'value', …). */
function createSecret(r: TokenReader, orReplace: boolean, position: number): Statement {
  const exists = ifNotExists(r);
  if (exists && orReplace) throw r.syntaxError('OR REPLACE or IF NOT EXISTS, not both.', r.at - 1);
  const name = r.relationName();
  if (r.accept('as')) {
    const valuePosition = r.position();
    const value = r.string();
    r.finish();
    return { kind: 'create secret', name, ifNotExists: exists, orReplace, options: [{ key: SECRET_VALUE, value, form: 'string', position: valuePosition, valuePosition }], position };
  }
  r.accept('with');
  const options = r.isSymbol('(') ? r.options() : [];
  r.finish("CREATE SECRET name AS 'value'; or CREATE SECRET name WITH (key = 'value', …);");
  return { kind: 'create secret', name, ifNotExists: exists, orReplace, options, position };
}

function createView(r: TokenReader, orReplace: boolean): CreateView {
  const name = r.relationName();
  const columns = r.isSymbol('(') ? r.nameList() : null;
  if (r.word() === 'with') throw unsupported('WITH options of a view', r.position());
  r.expect('as');
  const end = r.scan(r.at, (t, i) => t.kind === 'word' && t.text === 'with' && isCheckOption(r, i));
  if (end < r.last()) throw unsupported('WITH CHECK OPTION', r.position(end));
  return { kind: 'create view', name, orReplace, columns, query: r.query(end) };
}

function isCheckOption(r: TokenReader, withAt: number): boolean {
  const word = (i: number): string | null => r.word(i - r.at);
  return word(withAt + 1) === 'check' || ((word(withAt + 1) === 'local' || word(withAt + 1) === 'cascaded') && word(withAt + 2) === 'check');
}

function createMaterializedView(r: TokenReader): CreateMaterializedView {
  const exists = ifNotExists(r);
  const name = r.relationName();
  const columns = r.isSymbol('(') ? r.nameList() : null;
  if (r.word() === 'using') throw unsupported('USING in CREATE MATERIALIZED VIEW', r.position());
  const before = r.accept('with') ? r.options() : null;
  if (r.word() === 'tablespace') throw unsupported('TABLESPACE', r.position());
  r.expect('as');
  const data = dataClause(r);
  if (data < r.last()) {
    if (r.word(data + 1 - r.at) === 'no') throw unsupported('WITH NO DATA', r.position(data));
    const query = r.query(data);
    r.expect('with', 'data');
    r.finish();
    return { kind: 'create materialized view', name, ifNotExists: exists, columns, options: before ?? [], query };
  }
  const { query, options } = queryAndOptions(r, before);
  return { kind: 'create materialized view', name, ifNotExists: exists, columns, options, query };
}

/** Index of WITH [NO] DATA at the end of the statement; the statement's end when there is none. */
function dataClause(r: TokenReader): number {
  return r.scan(r.at, (t, i) => t.kind === 'word' && t.text === 'with' && (r.word(i + 1 - r.at) === 'data' || r.word(i + 1 - r.at) === 'no') && i >= r.last() - 3);
}

/** The rest of the statement: a query, with WITH (…) at its end unless it stood before. */
function queryAndOptions(r: TokenReader, before: readonly Option[] | null): { query: Query; options: readonly Option[] } {
  const end = r.scan(r.at, (t, i) => t.kind === 'word' && t.text === 'with' && isLastGroup(r, i + 1));
  const query = r.query(end);
  if (!r.accept('with')) { r.finish(); return { query, options: before ?? [] }; }
  if (before !== null) throw r.syntaxError('WITH (…) stands before AS or at the end, not both.', r.at - 1);
  const options = r.options();
  r.finish();
  return { query, options };
}

/** Token `open` is a parenthesis that closes with the statement. (A query's own WITH is never followed by one.) */
function isLastGroup(r: TokenReader, open: number): boolean {
  if (!r.isSymbol('(', open - r.at)) return false;
  const close = r.scan(open + 1, () => false);
  return close === r.last() - 1;
}

function createTable(r: TokenReader): CreateTable | CreateTableAs {
  const exists = ifNotExists(r);
  const name = r.relationName();
  if (r.word() === 'as') return createTableAs(r, name, exists, null);
  if (r.word() === 'of' || (r.word() === 'partition' && r.word(1) === 'of')) throw unsupported(r.word() === 'of' ? 'typed table' : 'partitioned table', r.position());
  const open = r.at;
  if (!r.isSymbol('(')) throw r.syntaxError();
  // A list of names, without types: the columns come from a query.
  if (r.isSymbol(',', 2) || (r.isSymbol(')', 2) && r.scan(open + 1, () => false) === open + 2)) return createTableAs(r, name, exists, r.nameList());
  const elements = parseElements(r, false);
  refuseStorage(r);
  if (r.word() === 'append' && r.word(1) === 'only') throw r.syntaxError('A relation that is only appended to is a stream: CREATE STREAM name (column type, …).');
  const options = r.accept('with') ? r.options() : [];
  r.finish();
  return { kind: 'create table', name, ifNotExists: exists, columns: elements.columns, primaryKey: elements.primaryKey, options };
}

/** What Postgres lets one say of how a table is stored. */
function refuseStorage(r: TokenReader): void {
  const refused: Readonly<Record<string, string>> = { inherits: 'INHERITS', partition: 'partitioned table', using: 'USING in CREATE TABLE', on: r.word(1) === 'conflict' ? 'ON CONFLICT in CREATE TABLE' : 'ON COMMIT', tablespace: 'TABLESPACE' };
  const feature = refused[r.word() ?? ''];
  if (feature !== undefined) throw unsupported(feature, r.position());
}

/** The rest, from AS (or what may stand before it) on. */
function createTableAs(r: TokenReader, name: RelationName, exists: boolean, columns: string[] | null): CreateTableAs {
  refuseStorage(r);
  if (r.word() === 'with') throw unsupported('WITH options in CREATE TABLE AS', r.position());
  r.expect('as');
  if (r.word() === 'execute') throw unsupported('CREATE TABLE … AS EXECUTE', r.position());
  const data = dataClause(r);
  const query = r.query(data);
  const withData = data === r.last() || r.word(1) === 'data';
  r.at = r.last();
  return { kind: 'create table as', name, ifNotExists: exists, columns, query, withData };
}

function createStream(r: TokenReader): Statement {
  const exists = ifNotExists(r);
  const name = r.relationName();
  if (r.isSymbol('(') && isDerived(r)) {
    const { columns, primaryKey } = derivedColumns(r);
    return derivedStream(r, name, exists, columns, primaryKey);
  }
  const elements = r.isSymbol('(') ? parseElements(r, true) : null;
  if (elements === null && (r.word() === 'as' || withThenAs(r))) return derivedStream(r, name, exists, null, null);
  const options = r.accept('with') ? r.options() : [];
  if (r.word() === 'as') throw r.syntaxError('CREATE STREAM … AS takes the columns from the query: name them without types.');
  r.finish();
  return {
    kind: 'create stream', name, ifNotExists: exists, columns: elements?.columns ?? null, primaryKey: elements?.primaryKey ?? null,
    watermark: elements?.watermark ?? null, options,
  };
}

/** `( … ) [WITH (…)] AS`: the parentheses hold names, not definitions. */
function isDerived(r: TokenReader): boolean {
  let after = r.scan(r.at + 1, () => false) + 1;
  if (r.word(after - r.at) === 'with') after = r.scan(after + 2, () => false) + 1;
  return r.word(after - r.at) === 'as' && (r.isSymbol(',', 2) || r.isSymbol(')', 2) || (r.word(1) === 'primary' && r.word(2) === 'key'));
}

function withThenAs(r: TokenReader): boolean {
  return r.word() === 'with' && r.isSymbol('(', 1) && r.word(r.scan(r.at + 2, () => false) + 1 - r.at) === 'as';
}

function derivedColumns(r: TokenReader): { columns: string[] | null; primaryKey: PrimaryKeyDefinition | null } {
  r.expectSymbol('(');
  const columns: string[] = [];
  let primaryKey: PrimaryKeyDefinition | null = null;
  do {
    if (r.word() === 'primary' && r.word(1) === 'key') {
      const position = r.position();
      r.expect('primary', 'key');
      primaryKey = { columns: r.nameList(), position };
      r.accept('not', 'enforced');
    } else columns.push(r.identifier());
  } while (r.acceptSymbol(','));
  r.expectSymbol(')');
  return { columns: columns.length === 0 ? null : columns, primaryKey };
}

function derivedStream(r: TokenReader, name: CreateView['name'], exists: boolean, columns: string[] | null, primaryKey: PrimaryKeyDefinition | null): Statement {
  const before = r.accept('with') ? r.options() : null;
  r.expect('as');
  const { query, options } = queryAndOptions(r, before);
  return { kind: 'create derived stream', name, ifNotExists: exists, columns, primaryKey, options, query };
}

function createSink(r: TokenReader): CreateSink {
  const exists = ifNotExists(r);
  const name = r.relationName();
  if (r.accept('from')) {
    const from = { kind: 'relation', name: r.relationName() } as const;
    const options = r.accept('with') ? r.options() : [];
    r.finish();
    return { kind: 'create sink', name, ifNotExists: exists, from, options };
  }
  const before = r.accept('with') ? r.options() : null;
  if (before !== null && r.accept('from')) {
    const from = { kind: 'relation', name: r.relationName() } as const;
    r.finish();
    return { kind: 'create sink', name, ifNotExists: exists, from, options: before };
  }
  if (r.isSymbol('(')) throw r.syntaxError('A sink takes its columns from what it reads: CREATE SINK name FROM relation WITH (…), or AS query.');
  r.expect('as');
  const { query, options } = queryAndOptions(r, before);
  return { kind: 'create sink', name, ifNotExists: exists, from: { kind: 'query', query }, options };
}

export function notExplainable(position: number): SqlError {
  return unsupported('EXPLAIN of this statement', position, 'EXPLAIN takes a query, INSERT, UPDATE, DELETE, SUBSCRIBE, CREATE TABLE … AS, CREATE MATERIALIZED VIEW, CREATE VIEW, CREATE STREAM … AS or CREATE SINK.');
}
