/**
 * parseStatements: SQL text → typed statements.
 *
 *   split (tokens) → ours? → recursive descent (own.ts, create.ts)
 *                  → else lift our clauses (clauses.ts) → Postgres' grammar (raw.ts) → convert.ts
 *
 * All statements of a text are parsed before any is executed, as in Postgres: a syntax error anywhere refuses the whole text.
 * Errors are 42601 with the 1-based character position in the whole text; their HINT names another dialect that would accept the
 * statement, where there is one. Cost: about 0.1 ms for a short statement.
 */
import { SqlError } from '../../types/error.js';
import { convert } from './convert.js';
import { dialectHint } from './dialect.js';
import { liftClauses } from './clauses.js';
import { tokenize } from './lexer.js';
import { parseOwn } from './own.js';
import { parseExpressionText, parseRaw, parseTypeText } from './raw.js';
import { parseQueryPiece } from './reader.js';
import { SourceText } from './sourcetext.js';
import { paramCount, splitStatements, tooDeep, type Piece } from './split.js';
import type { Expression, ParsedStatement, Query, Statement, TypeRef } from './statement.js';

export { loadParser } from './raw.js';

export function parseStatements(sql: string): ParsedStatement[] {
  return splitStatements(new SourceText(sql)).map((piece) => {
    const last = piece.tokens[piece.tokens.length - (piece.closed ? 2 : 1)];
    return {
      statement: parseTop(piece),
      sql: piece.source.text.slice(0, last?.end),
      base: piece.source.base,
      paramCount: paramCount(piece.tokens),
    };
  });
}

function parseTop(piece: Piece): Statement {
  try {
    return parsePiece(piece);
  } catch (e) {
    if (e instanceof RangeError) throw tooDeep(piece.source.positionOfUnit(0));
    if (e instanceof SqlError && e.code === '42601' && e.hint === undefined) {
      const hint = dialectHint(piece, accepts);
      if (hint !== null) throw new SqlError(e.code, e.message, { position: e.position, detail: e.detail, hint });
    }
    throw e;
  }
}

function accepts(sql: string): boolean {
  try {
    const pieces = splitStatements(new SourceText(sql));
    for (const p of pieces) parsePiece(p);
    return pieces.length > 0;
  } catch {
    return false;
  }
}

function parsePiece(piece: Piece): Statement {
  let own: Statement | null;
  try {
    own = parseOwn(piece, parsePiece);
  } catch (e) {
    throw preferRawError(e, piece);
  }
  if (own !== null) return own;
  const lifted = liftClauses(piece);
  return convert(parseRaw(lifted.source), piece, lifted);
}

/**
 * A syntax error of the descent in a statement whose beginning Postgres knows too (CREATE TABLE, DECLARE, …): where Postgres' grammar
 * accepts it, it is a form of Postgres' that is not supported here rather than a mistake.
 */
function preferRawError(e: unknown, piece: Piece): unknown {
  if (!(e instanceof SqlError) || e.code !== '42601' || !e.message.startsWith('syntax error') || e.hint !== undefined) return e;
  try {
    parseRaw(piece.source);
  } catch {
    return e;
  }
  const near = /near "(.*)"$/s.exec(e.message)?.[1];
  return new SqlError('0A000', near === undefined ? 'this form of the statement is not supported' : `"${near}" in this place of the statement is not supported`, { position: e.position });
}

/** One query, e.g. the stored text of a view. Positions are in that text, moved by `base` characters. */
export function parseQuery(sql: string, base = 0): Query {
  return parseQueryPiece(singlePiece(sql, base));
}

/** One expression, e.g. a stored DEFAULT. */
export function parseExpression(sql: string, base = 0): Expression {
  const piece = singlePiece(sql, base);
  const { ast, source } = parseExpressionText(piece.source);
  return { ast, source, sql, position: piece.source.positionOfUnit(0) };
}

export function parseTypeName(sql: string, base = 0): TypeRef {
  const piece = singlePiece(sql, base);
  const { ast, source } = parseTypeText(piece.source);
  return { ast, source, sql, position: piece.source.positionOfUnit(0) };
}

function singlePiece(sql: string, base: number): Piece {
  const source = new SourceText(sql, base);
  return { source, tokens: tokenize(source), closed: false };
}
