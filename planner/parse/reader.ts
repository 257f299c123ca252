/**
 * TokenReader: the recursive-descent parser's cursor over one statement's tokens. Messages of syntax errors are Postgres'.
 * Embedded queries, expressions and types are handed to Postgres' grammar by source slice.
 */
import { SqlError, unsupported } from '../../types/error.js';
import type { Token } from './lexer.js';
import { subPiece, type Piece } from './split.js';
import { checkPlaces, liftClauses } from './clauses.js';
import { parseExpressionText, parseSelect, parseTypeText } from './raw.js';
import type { Expression, Option, Query, RelationName, TypeRef } from './statement.js';

/** Postgres' reserved words: not usable as names without quotes. */
const RESERVED = new Set([
  'all', 'analyse', 'analyze', 'and', 'any', 'array', 'as', 'asc', 'asymmetric', 'both', 'case', 'cast', 'check', 'collate', 'column', 'constraint', 'create', 'current_catalog', 'current_date',
  'current_role', 'current_time', 'current_timestamp', 'current_user', 'default', 'deferrable', 'desc', 'distinct', 'do', 'else', 'end', 'except', 'false', 'fetch', 'for', 'foreign', 'from',
  'grant', 'group', 'having', 'in', 'initially', 'intersect', 'into', 'lateral', 'leading', 'limit', 'localtime', 'localtimestamp', 'not', 'null', 'offset', 'on', 'only', 'or', 'order', 'placing',
  'primary', 'references', 'returning', 'select', 'session_user', 'some', 'symmetric', 'system_user', 'table', 'then', 'to', 'trailing', 'true', 'union', 'unique', 'user', 'using', 'variadic',
  'when', 'where', 'window', 'with',
]);

export class TokenReader {
  readonly piece: Piece;
  /** Index of the next token. */
  at = 0;

  constructor(piece: Piece) { this.piece = piece; }

  peek(ahead = 0): Token | undefined { return this.piece.tokens[this.at + ahead]; }
  /** The next token's text when it is an unquoted word. */
  word(ahead = 0): string | null {
    const t = this.peek(ahead);
    return t !== undefined && t.kind === 'word' ? t.text : null;
  }
  isSymbol(symbol: string, ahead = 0): boolean {
    const t = this.peek(ahead);
    return t !== undefined && t.kind === 'symbol' && t.text === symbol;
  }
  /** Takes these words when they all follow. */
  accept(...words: readonly string[]): boolean {
    for (let i = 0; i < words.length; i++) if (this.word(i) !== words[i]) return false;
    this.at += words.length;
    return true;
  }
  expect(...words: readonly string[]): void {
    for (const w of words) if (!this.accept(w)) throw this.syntaxError();
  }
  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.at++;
    return true;
  }
  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) throw this.syntaxError();
  }
  atEnd(): boolean { return this.peek() === undefined || this.isSymbol(';'); }
  finish(hint?: string): void {
    if (!this.atEnd()) throw this.syntaxError(hint);
  }
  /** Index one past the statement's last token, without the semicolon. */
  last(): number { return this.piece.tokens.length - (this.piece.closed ? 1 : 0); }

  position(index = this.at): number {
    const t = this.piece.tokens[index];
    return this.piece.source.positionOfUnit(t === undefined ? this.piece.source.text.length : t.start);
  }
  syntaxError(hint?: string, index = this.at): SqlError {
    const t = this.piece.tokens[index];
    const message = t === undefined ? 'syntax error at end of input' : `syntax error at or near "${this.piece.source.text.slice(t.start, t.end)}"`;
    return new SqlError('42601', message, { position: this.position(index), hint });
  }

  identifier(): string {
    const t = this.peek();
    if (t === undefined || (t.kind !== 'quoted' && (t.kind !== 'word' || RESERVED.has(t.text)))) throw this.syntaxError();
    this.at++;
    return t.text;
  }
  string(): string {
    const t = this.peek();
    if (t === undefined || t.kind !== 'string') throw this.syntaxError();
    this.at++;
    return t.text;
  }
  /** A job's name: identifier, string or its number. */
  jobName(): string {
    const t = this.peek();
    if (t !== undefined && (t.kind === 'string' || t.kind === 'number')) { this.at++; return t.text; }
    return this.identifier();
  }
  relationName(): RelationName {
    const position = this.position();
    const parts = [this.identifier()];
    while (this.acceptSymbol('.')) {
      const t = this.peek();
      if (t === undefined || (t.kind !== 'word' && t.kind !== 'quoted')) throw this.syntaxError();
      parts.push(t.text);
      this.at++;
    }
    if (parts.length > 2) throw unsupported('cross-database reference', position);
    const name = parts[parts.length - 1] ?? '';
    return { schema: parts.length === 2 ? parts[0] ?? null : null, name, position };
  }
  relationNames(): RelationName[] {
    const names = [this.relationName()];
    while (this.acceptSymbol(',')) names.push(this.relationName());
    return names;
  }
  /** ( name, … ) */
  nameList(): string[] {
    this.expectSymbol('(');
    const names = [this.identifier()];
    while (this.acceptSymbol(',')) names.push(this.identifier());
    this.expectSymbol(')');
    return names;
  }

  /** ( key = value, … ) after WITH or SET. */
  options(): Option[] {
    this.expectSymbol('(');
    const options: Option[] = [];
    if (this.acceptSymbol(')')) return options;
    do {
      const option = this.option();
      if (options.some((o) => o.key === option.key)) throw new SqlError('42601', `option "${option.key}" is given more than once`, { position: option.position });
      options.push(option);
    } while (this.acceptSymbol(','));
    this.expectSymbol(')');
    return options;
  }
  option(): Option {
    const position = this.position();
    const key = this.optionKey();
    if (!this.acceptSymbol('=') && !this.acceptSymbol('=>')) throw this.syntaxError();
    const valuePosition = this.position();
    return { key, ...this.optionValue(), position, valuePosition };
  }
  /** A key may be any word (also a reserved one: `table = 'bid'`), quoted either way, and dotted. */
  optionKey(): string {
    const parts: string[] = [];
    do {
      const t = this.peek();
      if (t === undefined || (t.kind !== 'word' && t.kind !== 'quoted' && t.kind !== 'string')) throw this.syntaxError();
      parts.push(t.text);
      this.at++;
    } while (this.acceptSymbol('.'));
    return parts.join('.');
  }
  optionValue(): { value: string; form: Option['form'] } {
    const sign = this.acceptSymbol('-') ? '-' : this.acceptSymbol('+') ? '' : null;
    const t = this.peek();
    if (t === undefined) throw this.syntaxError();
    if (t.kind === 'number') { this.at++; return { value: (sign ?? '') + t.text, form: 'number' }; }
    if (sign !== null) throw this.syntaxError();
    if (t.kind === 'string') { this.at++; return { value: t.text, form: 'string' }; }
    if (this.word() === 'interval' && this.peek(1)?.kind === 'string') { this.at++; return { value: this.string(), form: 'string' }; }
    if (t.kind !== 'word' && t.kind !== 'quoted') throw this.syntaxError();
    const name = this.peek(1);
    if (this.word() === 'secret' && (name?.kind === 'word' || name?.kind === 'quoted')) { this.at++; return { value: this.identifier(), form: 'secret' }; }
    return { value: this.optionKey(), form: 'word' };
  }

  /** Index of the first token at or after `from`, at this level of parentheses, for which `stop` holds; the level's end otherwise. */
  scan(from: number, stop: (t: Token, index: number) => boolean): number {
    let depth = 0;
    for (let i = from; i < this.last(); i++) {
      const t = this.piece.tokens[i];
      if (t === undefined) break;
      if (depth === 0 && (stop(t, i) || (t.kind === 'symbol' && (t.text === ')' || t.text === ']')))) return i;
      if (t.kind !== 'symbol') continue;
      if (t.text === '(' || t.text === '[') depth++;
      else if (t.text === ')' || t.text === ']') depth--;
    }
    return this.last();
  }

  /** Tokens from the cursor to `end` as a query; the cursor moves there. */
  query(end: number): Query {
    const start = this.at;
    if (end <= start) throw this.syntaxError();
    const part = subPiece(this.piece, start, end);
    this.at = end;
    return this.#atEndOf(end, () => parseQueryPiece(part));
  }
  expression(end: number): Expression {
    const start = this.at;
    if (end <= start) throw this.syntaxError();
    const part = subPiece(this.piece, start, end);
    this.at = end;
    return this.#atEndOf(end, () => {
      const { ast, source } = parseExpressionText(part.source);
      return { ast, source, sql: part.source.text, position: part.source.positionOfUnit(0) };
    });
  }
  type(end: number): TypeRef {
    const start = this.at;
    if (end <= start) throw this.syntaxError();
    const part = subPiece(this.piece, start, end);
    this.at = end;
    return this.#atEndOf(end, () => {
      const { ast, source } = parseTypeText(part.source);
      return { ast, source, sql: part.source.text, position: part.source.positionOfUnit(0) };
    });
  }

  /** A part that ends too early: the error names the token that follows it in the whole statement. */
  #atEndOf<T>(end: number, parse: () => T): T {
    try {
      return parse();
    } catch (e) {
      if (e instanceof SqlError && e.message === 'syntax error at end of input') throw this.syntaxError(e.hint, end);
      throw e;
    }
  }
}

export function parseQueryPiece(piece: Piece): Query {
  const lifted = liftClauses(piece);
  const ast = parseSelect(lifted.source);
  checkPlaces(ast, lifted);
  return { ast, source: lifted.source, sql: piece.source.text, position: piece.source.positionOfUnit(0), emit: lifted.emit, asOf: lifted.asOf, lookups: lifted.lookups };
}
