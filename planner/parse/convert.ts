/** Postgres' raw trees → Statement, for the statements whose form is Postgres' own. Whatever has no place here is kind 'unsupported', named. */
import type { CommentStmt, CopyStmt, FetchStmt, IntoClause, Node, RangeVar, SelectStmt, TransactionStmt, VariableSetStmt } from 'libpg-query';
import { SqlError, assert, unsupported } from '../../types/error.js';
import type { SourceText } from './sourcetext.js';
import type { Piece } from './split.js';
import { checkPlaces, type Lifted } from './clauses.js';
import { convertCopyOptions } from './copyoptions.js';
import { TokenReader } from './reader.js';
import type { CreateTableAs, Expression, Query, RelationName, Statement } from './statement.js';

export function convert(raw: Node, piece: Piece, lifted: Lifted): Statement {
  const source = lifted.source;
  const position = piece.source.positionOfUnit(0);
  const last = piece.tokens[piece.tokens.length - (piece.closed ? 2 : 1)];
  const sql = piece.source.text.slice(0, last?.end);
  const notOnQuery = lifted.emit !== null || lifted.asOf.length > 0 || lifted.lookups.length > 0;
  if ('SelectStmt' in raw) {
    checkPlaces(raw, lifted);
    const { into, ast } = withoutInto(raw.SelectStmt);
    const query = { ast, source, sql, position, emit: lifted.emit, asOf: lifted.asOf, lookups: lifted.lookups };
    return into === null ? { kind: 'select', query } : selectInto(into, query);
  }
  if (notOnQuery) throw unsupported(`${lifted.emit !== null ? 'EMIT' : lifted.asOf.length > 0 ? 'AS OF CHECKPOINT' : 'FOR SYSTEM_TIME AS OF'} in this statement`, lifted.asOf[0]?.position ?? lifted.lookups[0]?.position ?? position);
  if ('InsertStmt' in raw) return { kind: 'insert', ast: raw.InsertStmt, source, target: relation(raw.InsertStmt.relation, source), sql };
  if ('UpdateStmt' in raw) return { kind: 'update', ast: raw.UpdateStmt, source, target: relation(raw.UpdateStmt.relation, source), sql };
  if ('DeleteStmt' in raw) return { kind: 'delete', ast: raw.DeleteStmt, source, target: relation(raw.DeleteStmt.relation, source), sql };
  if ('TruncateStmt' in raw) {
    const names = (raw.TruncateStmt.relations ?? []).map((n) => relation('RangeVar' in n ? n.RangeVar : undefined, source));
    return { kind: 'truncate', names, restartIdentity: raw.TruncateStmt.restart_seqs === true };
  }
  if ('TransactionStmt' in raw) return transaction(raw.TransactionStmt, piece);
  if ('VariableSetStmt' in raw) return variableSet(raw.VariableSetStmt, piece);
  if ('VariableShowStmt' in raw) {
    const name = raw.VariableShowStmt.name ?? '';
    return { kind: 'show', name: name === 'all' ? null : name, position: wordPosition(piece, 1) };
  }
  if ('CopyStmt' in raw) return copy(raw.CopyStmt, source, position);
  if ('ExecuteStmt' in raw) return executeStatement(raw.ExecuteStmt.name ?? '', piece);
  if ('DeallocateStmt' in raw) return { kind: 'deallocate', name: raw.DeallocateStmt.isall === true ? null : raw.DeallocateStmt.name ?? null };
  if ('FetchStmt' in raw) return fetch(raw.FetchStmt, position);
  if ('ClosePortalStmt' in raw) return { kind: 'close', name: raw.ClosePortalStmt.portalname ?? null };
  if ('DiscardStmt' in raw) {
    const what = { DISCARD_ALL: 'all', DISCARD_PLANS: 'plans', DISCARD_SEQUENCES: 'sequences', DISCARD_TEMP: 'temp' } as const;
    return { kind: 'discard', what: what[raw.DiscardStmt.target ?? 'DISCARD_ALL'] };
  }
  if ('ListenStmt' in raw) return { kind: 'listen', channel: raw.ListenStmt.conditionname ?? '' };
  if ('UnlistenStmt' in raw) return { kind: 'unlisten', channel: raw.UnlistenStmt.conditionname ?? null };
  if ('NotifyStmt' in raw) return { kind: 'notify', channel: raw.NotifyStmt.conditionname ?? '', payload: raw.NotifyStmt.payload ?? '' };
  if ('CommentStmt' in raw) return comment(raw.CommentStmt);
  if ('CreateSchemaStmt' in raw) {
    const s = raw.CreateSchemaStmt;
    if (s.schemaname === undefined || s.authrole !== undefined) throw unsupported('CREATE SCHEMA AUTHORIZATION', position);
    if ((s.schemaElts ?? []).length > 0) throw unsupported('elements in CREATE SCHEMA', position);
    return { kind: 'create schema', name: s.schemaname, ifNotExists: s.if_not_exists === true, position };
  }
  if ('IndexStmt' in raw) {
    const s = raw.IndexStmt;
    const columns = (s.indexParams ?? []).map((p) => {
      if ('IndexElem' in p && p.IndexElem.name !== undefined) return p.IndexElem.name;
      throw unsupported('index on an expression', position);
    });
    if (s.whereClause !== undefined) throw unsupported('partial index', position);
    return { kind: 'create index', name: s.idxname ?? null, table: relation(s.relation, source), columns, ifNotExists: s.if_not_exists === true, unique: s.unique === true, position };
  }
  return { kind: 'unsupported', feature: commandName(piece), position, hint: commandHint(raw) };
}

/** INTO stands in the first SELECT of a query. */
function withoutInto(ast: SelectStmt): { into: IntoClause | null; ast: SelectStmt } {
  if (ast.intoClause !== undefined) {
    const { intoClause, ...rest } = ast;
    return { into: intoClause, ast: rest };
  }
  if (ast.larg === undefined) return { into: null, ast };
  const first = withoutInto(ast.larg);
  return first.into === null ? { into: null, ast } : { into: first.into, ast: { ...ast, larg: first.ast } };
}

function selectInto(into: IntoClause, query: Query): CreateTableAs {
  const name = relation(into.rel, query.source);
  if (into.rel?.relpersistence === 't') throw unsupported('temporary table', name.position);
  if (into.rel?.relpersistence === 'u') throw unsupported('unlogged table', name.position);
  return { kind: 'create table as', name, ifNotExists: false, columns: null, query, withData: true };
}

export function relation(range: RangeVar | undefined, source: SourceText): RelationName {
  assert(range !== undefined, 'a relation is expected in the tree');
  const position = source.position(range.location) ?? 1;
  if (range.catalogname !== undefined) throw unsupported('cross-database reference', position);
  return { schema: range.schemaname ?? null, name: range.relname ?? '', position };
}

function wordPosition(piece: Piece, index: number): number {
  const t = piece.tokens[index];
  return piece.source.positionOfUnit(t === undefined ? 0 : t.start);
}

function transactionOptions(options: readonly Node[]): { isolation: string | null; readOnly: boolean | null } {
  let isolation: string | null = null;
  let readOnly: boolean | null = null;
  for (const node of options) {
    if (!('DefElem' in node)) continue;
    const { defname, arg } = node.DefElem;
    const value = arg === undefined ? '' : constant(arg);
    if (defname === 'transaction_isolation') isolation = value;
    if (defname === 'transaction_read_only') readOnly = value === '1' || value === 'true';
  }
  return { isolation, readOnly };
}

function transaction(t: TransactionStmt, piece: Piece): Statement {
  const chain = t.chain === true;
  switch (t.kind) {
    case 'TRANS_STMT_BEGIN': case 'TRANS_STMT_START': return { kind: 'begin', ...transactionOptions(t.options ?? []) };
    case 'TRANS_STMT_COMMIT': return { kind: 'commit', chain };
    case 'TRANS_STMT_ROLLBACK': return { kind: 'rollback', chain };
    case 'TRANS_STMT_SAVEPOINT': return { kind: 'unsupported', feature: 'SAVEPOINT', position: wordPosition(piece, 0), hint: 'Savepoints within a transaction are not supported. The savepoint of a job: CREATE SAVEPOINT FOR JOB name;' };
    case 'TRANS_STMT_RELEASE': return { kind: 'unsupported', feature: 'RELEASE SAVEPOINT', position: wordPosition(piece, 0), hint: null };
    case 'TRANS_STMT_ROLLBACK_TO': return { kind: 'unsupported', feature: 'ROLLBACK TO SAVEPOINT', position: wordPosition(piece, 0), hint: 'ROLLBACK' };
    default: return { kind: 'unsupported', feature: 'two-phase commit', position: wordPosition(piece, 0), hint: null };
  }
}

function variableSet(v: VariableSetStmt, piece: Piece): Statement {
  const local = v.is_local === true;
  const name = v.name ?? '';
  let at = 1;
  while (['session', 'local'].includes(piece.tokens[at]?.text ?? '') && piece.tokens[at + 1]?.text !== '=') at++;
  const position = wordPosition(piece, at);
  switch (v.kind) {
    case 'VAR_SET_VALUE': return { kind: 'set', name, value: (v.args ?? []).map(constant).join(', '), local, position };
    case 'VAR_SET_DEFAULT': return { kind: 'set', name, value: null, local, position };
    case 'VAR_SET_CURRENT': throw unsupported('SET … FROM CURRENT', position);
    case 'VAR_SET_MULTI': {
      if (name !== 'TRANSACTION' && name !== 'SESSION CHARACTERISTICS') throw unsupported(`SET ${name}`, position);
      const options = (v.args ?? []).flatMap((a) => ('List' in a ? a.List.items ?? [] : [a]));
      return { kind: 'set transaction', session: name !== 'TRANSACTION', ...transactionOptions(options) };
    }
    case 'VAR_RESET': return { kind: 'reset', name, position };
    case 'VAR_RESET_ALL': return { kind: 'reset', name: null, position };
    default: throw unsupported('this form of SET', position);
  }
}

/** Text of a constant argument of SET and the like. */
function constant(node: Node): string {
  if ('TypeCast' in node && node.TypeCast.arg !== undefined) return constant(node.TypeCast.arg);
  if ('A_Const' in node) {
    const c = node.A_Const;
    if (c.sval !== undefined) return c.sval.sval ?? '';
    if (c.ival !== undefined) return String(c.ival.ival ?? 0);
    if (c.fval !== undefined) return c.fval.fval ?? '0';
    if (c.boolval !== undefined) return String(c.boolval.boolval ?? false);
    return '';
  }
  if ('String' in node) return node.String.sval ?? '';
  if ('Integer' in node) return String(node.Integer.ival ?? 0);
  if ('Float' in node) return node.Float.fval ?? '0';
  throw new SqlError('42601', 'a constant is expected');
}

function copy(c: CopyStmt, source: SourceText, position: number): Statement {
  const name = relation(c.relation, source);
  if (c.is_program === true) throw unsupported('COPY PROGRAM', position);
  if (c.filename !== undefined) throw unsupported('COPY with a file of the server', position, c.is_from === true ? 'COPY … FROM STDIN, or psql\'s \\copy; or CREATE STREAM … WITH (connector = \'file\', path = …).' : 'COPY … TO STDOUT, or psql\'s \\copy.');
  const options = convertCopyOptions(c.options ?? [], source);
  const columns = c.attlist === undefined ? null : c.attlist.map((n) => ('String' in n ? n.String.sval ?? '' : ''));
  if (c.is_from !== true) return { kind: 'copy to', source: { kind: 'table', name, columns }, options, position };
  if (c.whereClause !== undefined) throw unsupported('COPY … WHERE', position);
  return { kind: 'copy from', table: name, columns, options, position };
}

function executeStatement(name: string, piece: Piece): Statement {
  const r = new TokenReader(piece);
  r.expect('execute');
  const position = r.position();
  r.identifier();
  const args: Expression[] = [];
  if (r.acceptSymbol('(')) {
    do args.push(r.expression(r.scan(r.at, (t) => t.kind === 'symbol' && t.text === ','))); while (r.acceptSymbol(','));
    r.expectSymbol(')');
  }
  r.finish();
  return { kind: 'execute', name, args, position };
}

function fetch(f: FetchStmt, position: number): Statement {
  const direction = { FETCH_FORWARD: 'forward', FETCH_BACKWARD: 'backward', FETCH_ABSOLUTE: 'absolute', FETCH_RELATIVE: 'relative' } as const;
  const count = Number(f.howMany ?? 0);
  // FETCH_ALL is the largest long.
  return { kind: 'fetch', move: f.ismove === true, cursor: f.portalname ?? '', direction: direction[f.direction ?? 'FETCH_FORWARD'], count: count >= 2147483647 ? null : count, position };
}

function comment(_: CommentStmt): Statement { return { kind: 'comment' }; }

const TWO_WORDS = new Set(['create', 'alter', 'drop', 'refresh', 'import', 'security', 'reassign', 'lock', 'set']);
const THREE_WORDS = new Set(['materialized', 'foreign', 'event', 'text', 'access', 'default', 'user', 'large']);

/** GRANT, ALTER TABLE, REFRESH MATERIALIZED VIEW, …: as much of the statement's beginning as names the command. */
function commandName(piece: Piece): string {
  const words: string[] = [];
  for (const t of piece.tokens) {
    if (t.kind !== 'word') break;
    if (['or', 'replace', 'unique', 'trusted', 'constraint', 'temp', 'temporary'].includes(t.text) && words.length === 1) continue;
    words.push(t.text.toUpperCase());
    const first = words[0]?.toLowerCase() ?? '';
    if (!TWO_WORDS.has(first) || words.length === 3 || (words.length === 2 && !THREE_WORDS.has(t.text))) break;
  }
  return words.join(' ');
}

function commandHint(raw: Node): string | null {
  if ('RefreshMatViewStmt' in raw) return 'Materialized views are always up to date; FLUSH waits until all writes before it are visible.';
  if ('CallStmt' in raw || 'DoStmt' in raw) return 'No code runs from SQL text.';
  return null;
}

