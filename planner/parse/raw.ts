/**
 * PostgreSQL's own parser (libpg-query, WASM): text → raw tree, errors → SqlError with the position in the client's whole text.
 * `loadParser` must have been awaited once in this thread. Large texts are parsed in a worker, which leaves its trees in `cachedTrees`.
 */
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import type { Node, SelectStmt, TypeName } from 'libpg-query';
import { SqlError, assert } from '../../types/error.js';
import { SourceText } from './sourcetext.js';
import { tooDeep } from './split.js';

export async function loadParser(): Promise<void> { await loadModule(); }

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
  let result;
  try {
    result = parseSync(source.text);
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
  if (e instanceof RangeError) return tooDeep(undefined);
  if (!hasSqlDetails(e) || e.sqlDetails === undefined) return e;
  const { message, cursorPosition } = e.sqlDetails;
  const position = source.base + cursorPosition + 1;
  if (message.startsWith('memory exhausted')) return tooDeep(position);
  return new SqlError(codeOf(message), message, { position });
}

/** libpg-query hands on no SQLSTATE; the grammar raises few besides syntax errors. */
function codeOf(message: string): string {
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
    throw new SqlError('42601', `syntax error at or near "${source.text}"`, { position: source.positionOfUnit(0) });
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
  throw new SqlError('42601', `syntax error at or near "${source.text}"`, { position: source.positionOfUnit(0) });
}
