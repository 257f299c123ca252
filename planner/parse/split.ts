/**
 * Splits one text into its statements: pieces between semicolons, each with its tokens. Statements without tokens are left out
 * (`;;`, comments). A piece keeps its semicolon as last token, so that an error there names it as Postgres does.
 */
import { SqlError } from '../../types/error.js';
import { SourceText } from './sourcetext.js';
import { tokenize, type Token } from './lexer.js';

/** Named limit: parentheses, brackets and CASEs open at once. Beyond, recursion over the tree is not safe (54001). */
export const NESTING_MAX = 500;

export interface Piece {
  /** From the first token to the semicolon, inclusive. */
  readonly source: SourceText;
  /** Tokens with places in `source.text`; the semicolon is the last one when `closed`. */
  readonly tokens: readonly Token[];
  readonly closed: boolean;
}

export function splitStatements(source: SourceText): Piece[] {
  if (source.text.includes('\0')) throw new SqlError('22021', 'invalid byte sequence for encoding "UTF8": 0x00');
  const tokens = tokenize(source);
  checkNesting(source, tokens);
  const pieces: Piece[] = [];
  let first = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const token = tokens[i];
    const closed = token !== undefined && token.kind === 'symbol' && token.text === ';';
    if (token !== undefined && !closed) continue;
    if (i > first) pieces.push(piece(source, tokens, first, closed ? i + 1 : i, closed));
    first = i + 1;
  }
  return pieces;
}

function piece(source: SourceText, tokens: readonly Token[], from: number, to: number, closed: boolean): Piece {
  const start = tokens[from]?.start ?? 0;
  const end = tokens[to - 1]?.end ?? 0;
  const moved: Token[] = [];
  for (let i = from; i < to; i++) {
    const t = tokens[i];
    if (t !== undefined) moved.push({ kind: t.kind, text: t.text, start: t.start - start, end: t.end - start });
  }
  return { source: source.slice(start, end), tokens: moved, closed };
}

function checkNesting(source: SourceText, tokens: readonly Token[]): void {
  let depth = 0;
  for (const t of tokens) {
    if (t.kind === 'symbol') {
      if (t.text === '(' || t.text === '[') depth++;
      else if (t.text === ')' || t.text === ']') depth--;
      else if (t.text === ';') depth = 0;
    } else if (t.kind === 'word' && t.text === 'case') depth++;
    else if (t.kind === 'word' && t.text === 'end' && depth > 0) depth--;
    if (depth > NESTING_MAX) throw tooDeep(source.positionOfUnit(t.start));
  }
}

export function tooDeep(position: number | undefined): SqlError {
  return new SqlError('54001', 'stack depth limit exceeded', { position, detail: `Expressions may be nested ${NESTING_MAX} deep.` });
}

/** Highest $n among the tokens; 0 = none. */
export function paramCount(tokens: readonly Token[]): number {
  let count = 0;
  for (const t of tokens) if (t.kind === 'param') count = Math.max(count, Number(t.text.slice(1)));
  return count;
}

/** Tokens [from, to) of a piece as a piece of their own. */
export function subPiece(whole: Piece, from: number, to: number): Piece {
  return piece(whole.source, whole.tokens, from, to, false);
}
