/**
 * Recursive-descent parser for the statements that Postgres' grammar does not know, or knows without our clauses inside:
 * jobs, checkpoints, savepoints, SUBSCRIBE, SHOW lists, DESCRIBE, EXPLAIN, settings with quoted keys, CREATE of relations, DROP,
 * PREPARE, DECLARE and COPY of queries. Returns null for everything else (parser.ts then asks Postgres' grammar).
 */
import { SqlError } from '../../types/error.js';
import { parseCreate, notExplainable } from './create.js';
import { convertCopyOptions } from './copyoptions.js';
import { parseAlterJob, parseCheckpoint, parseDropSavepoint, parseExplainCheckpoint, parseExplainRestore, parseJobCommand } from './jobs.js';
import { parseRaw } from './raw.js';
import { paramCount, subPiece, type Piece } from './split.js';
import { SourceText } from './sourcetext.js';
import { TokenReader, parseQueryPiece } from './reader.js';
import type { DropObject, Explainable, Option, ParsedStatement, ShowObjects, Statement, Subscribe, TypeRef } from './statement.js';

/** Parses a piece as any statement; given to the statements that hold another one. */
export type ParseStatement = (piece: Piece) => Statement;

export function parseOwn(piece: Piece, parse: ParseStatement): Statement | null {
  const r = new TokenReader(piece);
  const first = r.word();
  const position = r.position();
  if (first === null) return null;
  r.at = 1;
  switch (first) {
    case 'create': return parseCreate(r);
    case 'drop': return parseDrop(r, position);
    case 'explain': return parseExplain(r, position, parse);
    case 'subscribe': r.at = 0; return parseSubscribe(r, r.last());
    case 'copy': return r.isSymbol('(') ? parseCopyQuery(r, position) : null;
    case 'prepare': return r.word() === 'transaction' ? null : parsePrepare(r, parse);
    case 'declare': return parseDeclare(r, position);
    case 'show': return parseShow(r);
    case 'describe': case 'desc': return parseDescribe(r);
    case 'set': return parseSetQuoted(r);
    case 'reset': return r.peek()?.kind === 'string' ? parseResetQuoted(r) : null;
    case 'alter': return parseAlter(r);
    case 'flush': r.finish(); return { kind: 'flush' };
    case 'checkpoint': return parseCheckpoint(r, position);
    case 'stop': case 'cancel': case 'pause': case 'resume': return parseJobCommand(r, first);
    default: return null;
  }
}

const DROP_OBJECTS: readonly (readonly [readonly string[], DropObject])[] = [
  [['table'], 'table'], [['materialized', 'view'], 'materialized view'], [['view'], 'view'], [['stream'], 'stream'], [['sink'], 'sink'],
  [['index'], 'index'], [['schema'], 'schema'], [['secret'], 'secret'], [['connection'], 'connection'],
];

function parseDrop(r: TokenReader, position: number): Statement | null {
  if (r.accept('savepoint')) return parseDropSavepoint(r, position);
  if (r.word() === 'source') throw r.syntaxError('DROP STREAM name');
  const found = DROP_OBJECTS.find(([words]) => words.every((w, i) => r.word(i) === w));
  if (found === undefined) return null;
  r.at += found[0].length;
  if (found[1] === 'index') r.accept('concurrently');
  const ifExists = r.accept('if', 'exists');
  const names = r.relationNames();
  const cascade = r.accept('cascade');
  if (!cascade) r.accept('restrict');
  r.finish();
  return { kind: 'drop', object: found[1], names, ifExists, cascade };
}

function parseExplain(r: TokenReader, position: number, parse: ParseStatement): Statement {
  if (r.accept('restore')) return parseExplainRestore(r, position);
  if (r.accept('analyze', 'checkpoint') || r.accept('analyse', 'checkpoint')) return parseExplainCheckpoint(r);
  const options: Option[] = [];
  if (r.isSymbol('(') && !['select', 'with', 'values', 'table'].includes(r.word(1) ?? 'select')) {
    r.expectSymbol('(');
    do {
      const at = r.position();
      const key = r.optionKey();
      const value = r.isSymbol(',') || r.isSymbol(')') ? { value: 'true', form: 'word' as const } : r.optionValue();
      options.push({ key, ...value, position: at, valuePosition: at });
    } while (r.acceptSymbol(','));
    r.expectSymbol(')');
  }
  const flag = (word: string): boolean => {
    if (r.accept(word)) return true;
    const value = options.find((o) => o.key === word)?.value.toLowerCase();
    return value !== undefined && value !== 'false' && value !== 'off' && value !== '0';
  };
  const analyze = flag('analyze') || flag('analyse');
  if (analyze && options.length === 1 && r.accept('checkpoint')) return parseExplainCheckpoint(r);
  const verbose = flag('verbose');
  let format: 'text' | 'json' = 'text';
  for (const o of options) {
    if (!EXPLAIN_OPTIONS.has(o.key)) throw new SqlError('42601', `unrecognized EXPLAIN option "${o.key}"`, { position: o.position });
    if (o.key !== 'format') continue;
    const value = o.value.toLowerCase();
    if (value !== 'text' && value !== 'json') throw new SqlError('0A000', `EXPLAIN format "${o.value}" is not supported`, { position: o.position, hint: 'Formats: text, json.' });
    format = value;
  }
  if (r.atEnd()) throw r.syntaxError();
  const at = r.position();
  return { kind: 'explain', analyze, verbose, format, options, statement: explainable(parse(subPiece(r.piece, r.at, r.piece.tokens.length)), at), position };
}

const EXPLAIN_OPTIONS = new Set(['analyze', 'verbose', 'costs', 'settings', 'buffers', 'wal', 'timing', 'summary', 'format', 'generic_plan', 'memory', 'serialize']);

function explainable(statement: Statement, position: number): Explainable {
  switch (statement.kind) {
    case 'select': case 'insert': case 'update': case 'delete': case 'create table as': case 'create view': case 'create materialized view': case 'create derived stream': case 'create sink': case 'subscribe':
      return statement;
    default:
      throw notExplainable(position);
  }
}

function parseSubscribe(r: TokenReader, last: number): Subscribe {
  const position = r.position();
  r.expect('subscribe');
  r.accept('to');
  let target: Subscribe['target'];
  if (r.isSymbol('(')) {
    r.expectSymbol('(');
    target = { kind: 'query', query: r.query(r.scan(r.at, () => false)) };
    r.expectSymbol(')');
  } else if (r.word() === 'select' || r.word() === 'values') {
    throw r.syntaxError('SUBSCRIBE TO (query)');
  } else {
    target = { kind: 'relation', name: r.relationName() };
  }
  const options = r.accept('with') ? r.options() : [];
  if (r.at !== last) throw r.syntaxError();
  return { kind: 'subscribe', target, options, position };
}

/**
 * COPY (query | SUBSCRIBE …) TO …. The inner part is parsed on its own; in its place the shortest query of equal length lets Postgres' grammar
 * read the rest.
 */
function parseCopyQuery(r: TokenReader, position: number): Statement {
  r.expectSymbol('(');
  const open = r.at;
  const close = r.scan(open, () => false);
  if (!r.isSymbol(')', close - r.at)) throw r.syntaxError(undefined, r.last());
  const inner = subPiece(r.piece, open, close);
  if (inner.tokens.length === 0) throw r.syntaxError();
  const text = r.piece.source.text;
  const start = r.piece.tokens[open]?.start ?? 0;
  const end = r.piece.tokens[close]?.start ?? 0;
  const word = r.word();
  if (word === 'insert' || word === 'update' || word === 'delete') throw new SqlError('0A000', 'COPY of a statement that changes data is not supported', { position: r.position() });
  const source = word === 'subscribe'
    ? { kind: 'subscribe' as const, subscribe: parseSubscribe(r, close) }
    : { kind: 'query' as const, query: parseQueryPiece(inner) };
  const blanked = text.slice(0, start) + 'SELECT' + blank(text.slice(start + 6, end)) + text.slice(end);
  const raw = parseRaw(new SourceText(blanked, r.piece.source.base));
  if (!('CopyStmt' in raw)) throw r.syntaxError();
  const copy = raw.CopyStmt;
  if (copy.is_from === true) throw r.syntaxError(undefined, close + 1);
  if (copy.filename !== undefined || copy.is_program === true) throw new SqlError('0A000', 'COPY to a file of the server is not supported', { position, hint: 'COPY … TO STDOUT, or psql\'s \\copy.' });
  return { kind: 'copy to', source, options: convertCopyOptions(copy.options ?? [], r.piece.source), position };
}

/** Spaces of the same number of characters and bytes: multi-byte characters stay, inside a comment. */
function blank(text: string): string {
  const kept = [...text].map((c) => (c > '\x7f' ? c : ' ')).join('');
  if (kept.trim() === '') return kept;
  // '/*' and '*/' need four ASCII characters around the kept ones; without them positions behind the query are only approximate.
  return /^ {2}.* {2}$/s.test(kept) ? `/*${kept.slice(2, -2)}*/` : ' '.repeat(text.length);
}

function parsePrepare(r: TokenReader, parse: ParseStatement): Statement {
  const name = r.identifier();
  const types: TypeRef[] = [];
  if (r.acceptSymbol('(')) {
    do types.push(r.type(r.scan(r.at, (t) => t.kind === 'symbol' && t.text === ','))); while (r.acceptSymbol(','));
    r.expectSymbol(')');
  }
  r.expect('as');
  if (r.atEnd()) throw r.syntaxError();
  const piece = subPiece(r.piece, r.at, r.last());
  const statement = parse(piece);
  if (!['select', 'insert', 'update', 'delete', 'subscribe'].includes(statement.kind)) throw r.syntaxError();
  const parsed: ParsedStatement = { statement, sql: piece.source.text, base: piece.source.base, paramCount: paramCount(piece.tokens) };
  return { kind: 'prepare', name, types, statement: parsed };
}

function parseDeclare(r: TokenReader, position: number): Statement {
  const name = r.identifier();
  let binary = false;
  let scroll = false;
  for (;;) {
    if (r.accept('binary')) binary = true;
    else if (r.accept('no', 'scroll')) scroll = false;
    else if (r.accept('scroll')) scroll = true;
    else if (!r.accept('insensitive') && !r.accept('asensitive')) break;
  }
  r.expect('cursor');
  const hold = r.accept('with', 'hold');
  if (!hold) r.accept('without', 'hold');
  r.expect('for');
  if (r.word() === 'subscribe') return { kind: 'declare cursor', name, query: parseSubscribe(r, r.last()), hold, binary, scroll, position };
  return { kind: 'declare cursor', name, query: { kind: 'select', query: r.query(r.last()) }, hold, binary, scroll, position };
}

const SHOW_OBJECTS: readonly (readonly [readonly string[], ShowObjects])[] = [
  [['jobs'], 'jobs'], [['streams'], 'streams'], [['tables'], 'tables'], [['views'], 'views'], [['materialized', 'views'], 'materialized views'], [['sinks'], 'sinks'],
  [['checkpoints'], 'checkpoints'], [['sources'], 'sources'], [['indexes'], 'indexes'], [['schemas'], 'schemas'], [['functions'], 'functions'], [['secrets'], 'secrets'],
  [['connections'], 'connections'], [['savepoints'], 'savepoints'], [['databases'], 'databases'],
];

function parseShow(r: TokenReader): Statement | null {
  const position = r.position();
  if (r.peek()?.kind === 'string') {
    const name = r.string();
    r.finish();
    return { kind: 'show', name, position };
  }
  if (r.accept('create')) {
    if (!r.accept('materialized', 'view') && !r.accept('table') && !r.accept('view') && !r.accept('stream') && !r.accept('sink')) throw r.syntaxError();
    const name = r.relationName();
    r.finish();
    return { kind: 'show create', name };
  }
  if (r.accept('columns')) {
    if (!r.accept('from')) r.expect('in');
    const name = r.relationName();
    r.finish();
    return { kind: 'describe', name };
  }
  const found = SHOW_OBJECTS.find(([words]) => words.every((w, i) => r.word(i) === w));
  if (found === undefined) return null;
  r.at += found[0].length;
  const job = (found[1] === 'checkpoints' || found[1] === 'savepoints') && r.accept('for', 'job') ? r.jobName() : null;
  const like = r.accept('like') ? r.string() : null;
  r.finish();
  return { kind: 'show objects', objects: found[1], job, like, position };
}

function parseDescribe(r: TokenReader): Statement {
  if (!r.accept('materialized', 'view') && r.peek(1) !== undefined && !r.isSymbol(';', 1) && !r.isSymbol('.', 1)) {
    if (!r.accept('table') && !r.accept('view') && !r.accept('stream') && !r.accept('sink')) r.relationName();
  }
  const name = r.relationName();
  r.finish();
  return { kind: 'describe', name };
}

/** SET [SESSION | LOCAL] 'quoted.key' = value; other forms are Postgres' own. */
function parseSetQuoted(r: TokenReader): Statement | null {
  const local = r.accept('local');
  if (!local) r.accept('session');
  if (r.peek()?.kind !== 'string') { refuseHyphens(r); return null; }
  return { kind: 'set', ...assignment(r), local };
}

/** Flink's keys have hyphens: without quotes they are no names. */
function refuseHyphens(r: TokenReader): void {
  const equals = r.scan(r.at, (t) => t.text === '=' || (t.kind === 'word' && t.text === 'to'));
  for (let i = r.at + 1; i < equals; i++) {
    const t = r.piece.tokens[i];
    if (t?.kind !== 'symbol' || t.text !== '-') continue;
    const key = r.piece.source.text.slice(r.peek()?.start, r.piece.tokens[equals - 1]?.end);
    throw r.syntaxError(`A key with hyphens is quoted: SET '${key}' = …`, i);
  }
}

function assignment(r: TokenReader): { name: string; value: string | null; position: number } {
  const position = r.position();
  const name = r.peek()?.kind === 'string' ? r.string() : dottedName(r);
  if (!r.acceptSymbol('=') && !r.accept('to')) throw r.syntaxError();
  if (r.accept('default')) { r.finish(); return { name, value: null, position }; }
  const values = [r.optionValue().value];
  while (r.acceptSymbol(',')) values.push(r.optionValue().value);
  r.finish();
  return { name, value: values.join(', '), position };
}

function dottedName(r: TokenReader): string {
  const parts = [r.identifier()];
  while (r.acceptSymbol('.')) parts.push(r.identifier());
  return parts.join('.');
}

function parseResetQuoted(r: TokenReader): Statement {
  const position = r.position();
  const name = r.string();
  r.finish();
  return { kind: 'reset', name, position };
}

function parseAlter(r: TokenReader): Statement | null {
  if (r.accept('system')) {
    if (r.accept('reset')) {
      const at = r.position();
      const name = r.accept('all') ? null : r.peek()?.kind === 'string' ? r.string() : dottedName(r);
      r.finish();
      return { kind: 'alter system', name, value: null, position: at };
    }
    r.expect('set');
    return { kind: 'alter system', ...assignment(r) };
  }
  return r.accept('job') ? parseAlterJob(r) : null;
}
