/**
 * PostgreSQL's own parser (libpg-query, WASM): text → raw tree, errors → SqlError with the position in the client's whole text.
 * The module is loaded when this file is imported. Large texts are parsed in a worker, which leaves its trees in `cachedTrees`.
 */
import { createRequire } from 'node:module';
import type { Node, ParseResult, SelectStmt, SqlErrorDetails, TypeName } from 'libpg-query';
import { SqlError, assert } from '../../types/error.js';
import { SourceText } from './sourcetext.js';
import { tooDeep } from './split.js';

interface Grammar {
  loadModule(): Promise<void>;
  parseSync(sql: string): ParseResult;
}

const load = createRequire(import.meta.url);
let grammar: Grammar | null = null;
let loading: Promise<void> | null = null;

/** Resolves when the grammar is loaded; awaited below, so importers need not call it. */
export async function loadParser(): Promise<void> {
  if (grammar === null) await (loading ??= instantiate());
}

async function instantiate(): Promise<void> {
  const fresh = load('libpg-query') as Grammar;
  await fresh.loadModule();
  grammar = fresh;
  loading = null;
}

await loadParser();

/**
 * After a stack overflow inside the WASM module its own stack pointer is not set back: each one loses a part of that stack, and some
 * hundreds would end the parser for good. So a new instance takes over as soon as it is loaded.
 */
function replaceGrammar(): void {
  if (loading !== null) return;
  const folder = load.resolve('libpg-query').replace(/[^/\\]*$/, '');
  for (const file of Object.keys(load.cache)) if (file.startsWith(folder)) delete load.cache[file];
  loading = instantiate();
}

/** Trees by text: filled before a parse whose raw parses another thread did; `recordTrees` is that thread's side. */
let cachedTrees: ReadonlyMap<string, Node> | null = null;
let recordedTrees: Map<string, Node> | null = null;

export function withCachedTrees<T>(trees: ReadonlyMap<string, Node>, run: () => T): T {
  cachedTrees = trees;
  try { return run(); } finally { cachedTrees = null; }
}

export function recordTrees(run: () => void): Map<string, Node> {
  const trees = new Map<string, Node>();
  recordedTrees = trees;
  try { run(); } finally { recordedTrees = null; }
  return trees;
}

/** The tree of exactly one statement. Throws 42601 (or the grammar's own SQLSTATE) with position. */
export function parseRaw(source: SourceText): Node {
  const cached = cachedTrees?.get(source.text);
  if (cached !== undefined) return cached;
  assert(grammar !== null, 'the parser is not loaded');
  let result: ParseResult;
  try {
    result = grammar.parseSync(source.text);
  } catch (e) {
    throw rawError(e, source);
  }
  const statements = result.stmts ?? [];
  const node = statements[0]?.stmt;
  assert(node !== undefined && statements.length === 1, 'one statement expected');
  recordedTrees?.set(source.text, node);
  return node;
}

function rawError(e: unknown, source: SourceText): unknown {
  if (e instanceof RangeError || isExhausted(e)) {
    replaceGrammar();
    return tooDeep(source.positionOfUnit(0));
  }
  const details = (e as { readonly sqlDetails?: SqlErrorDetails }).sqlDetails;
  if (details === undefined) return e;
  const { message, cursorPosition } = details;
  const position = source.base + cursorPosition + 1;
  if (message.startsWith('memory exhausted')) return tooDeep(position);
  return new SqlError(codeOf(message), message, { position });
}

/** The module ran out of its own stack or memory. */
function isExhausted(e: unknown): boolean {
  const name: unknown = typeof e === 'object' && e !== null && 'name' in e ? e.name : undefined;
  // The module's way of giving up also sets the process's exit code.
  if (name === 'ExitStatus') process.exitCode = undefined;
  return name === 'RuntimeError' || name === 'ExitStatus';
}

/** libpg-query hands on no SQLSTATE; the grammar raises few besides syntax errors. */
function codeOf(message: string): string {
  if (message.startsWith('LIMIT #,#')) return '42601';
  if (/not (yet )?(supported|implemented)/.test(message)) return '0A000';
  if (/ at or near | at end of input|must be|unterminated/.test(message)) return '42601';
  if (/invalid Unicode/.test(message)) return '22025';
  if (/invalid byte sequence/.test(message)) return '22021';
  if (/out of range/.test(message)) return '22003';
  return '42601';
}

export function parseSelect(source: SourceText): SelectStmt {
  const node = parseRaw(source);
  if ('SelectStmt' in node) return node.SelectStmt;
  throw new SqlError('42601', 'a query is expected here', { position: source.positionOfUnit(0) });
}

const EXPRESSION_PREFIX = 'SELECT ';
const TYPE_PREFIX = 'SELECT NULL::';

/** An expression's tree. Its locations are into `source` of the result (the text with a prefix, its base moved back to match). */
export function parseExpressionText(source: SourceText): { ast: Node; source: SourceText } {
  const wrapped = new SourceText(EXPRESSION_PREFIX + source.text, source.base - EXPRESSION_PREFIX.length);
  const select = parseSelect(wrapped);
  const targets = select.targetList ?? [];
  const first = targets[0];
  const other = select.fromClause ?? select.whereClause ?? select.groupClause ?? select.sortClause ?? select.limitCount ?? select.withClause ?? (select.op === 'SETOP_NONE' ? undefined : select);
  if (targets.length !== 1 || first === undefined || !('ResTarget' in first) || first.ResTarget.val === undefined || first.ResTarget.name !== undefined || other !== undefined) {
    throw trailing(source);
  }
  return { ast: first.ResTarget.val, source: wrapped };
}

export function parseTypeText(source: SourceText): { ast: TypeName; source: SourceText } {
  const wrapped = new SourceText(TYPE_PREFIX + source.text, source.base - TYPE_PREFIX.length);
  const { targetList } = parseSelect(wrapped);
  const first = targetList?.[0];
  const value = first !== undefined && 'ResTarget' in first && first.ResTarget.name === undefined ? first.ResTarget.val : undefined;
  if (targetList?.length === 1 && value !== undefined && 'TypeCast' in value && value.TypeCast.typeName !== undefined && value.TypeCast.arg !== undefined && 'A_Const' in value.TypeCast.arg) {
    return { ast: value.TypeCast.typeName, source: wrapped };
  }
  throw trailing(source);
}

/** Something stands behind a complete expression or type, which as a target list would be an alias. */
function trailing(source: SourceText): SqlError {
  const at = source.text.search(/\S+\s*$/);
  return new SqlError('42601', `syntax error at or near "${source.text.slice(at).trim()}"`, { position: source.positionOfUnit(Math.max(0, at)) });
}
