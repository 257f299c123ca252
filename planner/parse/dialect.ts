/**
 * The HINT of a syntax error: which other dialect would accept the statement, and how to write it here.
 *
 * Two independent steps, only after an error, only for statements up to TEXT_MAX:
 *   1. rewrites: spellings of other systems that have one in Postgres' words (`a` → "a", LIMIT 5, 10 → LIMIT 10 OFFSET 5, …); the result is shown
 *      when the parser accepts it;
 *   2. node-sql-parser's grammars, loaded on first need (about 10 ms each), name the dialect. For meaning they are not safe, for naming they are.
 */
import { createRequire } from 'node:module';
import { tokenize, type Token } from './lexer.js';
import { SourceText } from './sourcetext.js';
import type { Piece } from './split.js';

/** Named limits: longest statement that is looked at, longest one that is shown. */
const TEXT_MAX = 8_192;
const SHOWN_MAX = 400;

interface Dialect {
  readonly name: string;
  readonly module: string;
  /** Some grammars take almost anything: they are believed only where the text holds a word of theirs. */
  readonly only?: RegExp;
}

const DIALECTS: readonly Dialect[] = [
  { name: 'MySQL', module: 'mysql' },
  { name: 'Flink SQL', module: 'flinksql' },
  { name: 'BigQuery', module: 'bigquery' },
  { name: 'SQLite', module: 'sqlite' },
  { name: 'Snowflake', module: 'snowflake', only: /\b(qualify|flatten|variant|ilike\s+any|top)\b/i },
  { name: 'SQL Server', module: 'transactsql', only: /\b(top|cross\s+apply|outer\s+apply|nolock)\b|\[\w+\]/i },
  { name: 'Trino', module: 'trino' },
  { name: 'Hive', module: 'hive' },
  { name: 'Redshift', module: 'redshift' },
];

interface DialectParser { astify(sql: string, options: { database: string }): unknown }
const load = createRequire(import.meta.url);
const parsers = new Map<string, DialectParser>();

/** null: no dialect we know would accept it. `accepts`: whether our own parser takes a text. */
export function dialectHint(piece: Piece, accepts: (sql: string) => boolean): string | null {
  const sql = piece.source.text.replace(/;$/, '');
  if (sql.length > TEXT_MAX) return null;
  const dialect = DIALECTS.find((d) => (d.only === undefined || d.only.test(sql)) && accepted(d, sql));
  const rewritten = rewrite(sql, piece.tokens);
  const shown = rewritten !== null && rewritten.length <= SHOWN_MAX && accepts(rewritten) ? rewritten : null;
  if (shown !== null) return `${dialect === undefined ? '' : `${dialect.name} would accept this. `}In Postgres' words: ${shown}`;
  return dialect === undefined ? null : `${dialect.name} would accept this; Millrace speaks PostgreSQL's dialect.`;
}

function accepted(dialect: Dialect, sql: string): boolean {
  let parser = parsers.get(dialect.module);
  if (parser === undefined) {
    const { Parser } = load(`node-sql-parser/build/${dialect.module}`) as { Parser: new () => DialectParser };
    parser = new Parser();
    parsers.set(dialect.module, parser);
  }
  try {
    parser.astify(sql, { database: dialect.module });
    return true;
  } catch {
    return false;
  }
}

/** The statement with other systems' spellings replaced; null when there is none in it. */
function rewrite(sql: string, tokens: readonly Token[]): string | null {
  let text = backticks(sql, tokens);
  text = edit(text, limitComma);
  text = edit(text, top);
  text = edit(text, operators);
  text = edit(text, intervals);
  text = edit(text, types);
  text = edit(text, inserts);
  return text === sql ? null : text.replace(/[ \t]+$/, '');
}

interface Change { readonly start: number; readonly end: number; readonly text: string }

/** Applies the changes that a pass over the tokens finds; a text that is no longer tokens stays as it is. */
function edit(sql: string, find: (tokens: readonly Token[], sql: string) => readonly Change[]): string {
  let tokens: Token[];
  try { tokens = tokenize(new SourceText(sql)); } catch { return sql; }
  let text = sql;
  for (const c of [...find(tokens, sql)].sort((a, b) => b.start - a.start)) text = text.slice(0, c.start) + c.text + text.slice(c.end);
  return text;
}

/** `name` → "name", outside of strings. Back quotes are operator characters to Postgres' lexer. */
function backticks(sql: string, tokens: readonly Token[]): string {
  if (!tokens.some((t) => t.kind === 'symbol' && t.text.includes('`'))) return sql;
  return sql.replace(/'(?:[^']|'')*'|`([^`]+)`/g, (whole, name: string | undefined) => (name === undefined ? whole : /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`));
}

const isWord = (t: Token | undefined, ...words: readonly string[]): boolean => t !== undefined && t.kind === 'word' && words.includes(t.text);
const isSymbol = (t: Token | undefined, symbol: string): boolean => t !== undefined && t.kind === 'symbol' && t.text === symbol;

/** LIMIT offset, count */
function limitComma(tokens: readonly Token[]): Change[] {
  const changes: Change[] = [];
  tokens.forEach((t, i) => {
    const [offset, comma, count] = [tokens[i + 1], tokens[i + 2], tokens[i + 3]];
    if (isWord(t, 'limit') && offset?.kind === 'number' && isSymbol(comma, ',') && count?.kind === 'number') changes.push({ start: offset.start, end: count.end, text: `${count.text} OFFSET ${offset.text}` });
  });
  return changes;
}

/** SELECT TOP n … → … LIMIT n */
function top(tokens: readonly Token[], sql: string): Change[] {
  const n = tokens[2];
  if (!isWord(tokens[0], 'select') || !isWord(tokens[1], 'top') || n?.kind !== 'number') return [];
  return [{ start: tokens[1]?.start ?? 0, end: tokens[3]?.start ?? n.end, text: '' }, { start: sql.length, end: sql.length, text: ` LIMIT ${n.text}` }];
}

const OPERATORS: Readonly<Record<string, string>> = { '==': '=', '&&': 'AND', '<=>': 'IS NOT DISTINCT FROM' };
const WORD_OPERATORS: Readonly<Record<string, string>> = { rlike: '~', regexp: '~', div: '/' };

function operators(tokens: readonly Token[]): Change[] {
  const changes: Change[] = [];
  tokens.forEach((t, i) => {
    const operator = t.kind === 'symbol' ? OPERATORS[t.text] : t.kind === 'word' && i > 0 && !isSymbol(tokens[i - 1], '.') ? WORD_OPERATORS[t.text] : undefined;
    if (operator !== undefined) changes.push({ start: t.start, end: t.end, text: operator });
    // [name] of SQL Server: never a subscript when nothing that can be subscripted stands before.
    const inner = tokens[i + 1];
    const before = tokens[i - 1];
    if (isSymbol(t, '[') && inner?.kind === 'word' && isSymbol(tokens[i + 2], ']') && (before === undefined || isSymbol(before, ',') || isSymbol(before, '.') || isWord(before, 'select', 'from', 'join', 'by', 'where', 'and', 'or', 'on'))) {
      changes.push({ start: t.start, end: tokens[i + 2]?.end ?? t.end, text: `"${inner.text}"` });
    }
  });
  return changes;
}

const UNITS = new Set(['microsecond', 'millisecond', 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year']);

/** INTERVAL 10 SECOND, INTERVAL '10' SECONDS → INTERVAL '10 seconds' */
function intervals(tokens: readonly Token[]): Change[] {
  const changes: Change[] = [];
  tokens.forEach((t, i) => {
    const [amount, unit] = [tokens[i + 1], tokens[i + 2]];
    if (!isWord(t, 'interval') || amount === undefined || (amount.kind !== 'number' && amount.kind !== 'string') || unit?.kind !== 'word') return;
    const singular = unit.text.replace(/s$/, '');
    if (!UNITS.has(singular) || (amount.kind === 'string' && singular === unit.text)) return;
    changes.push({ start: amount.start, end: unit.end, text: `'${amount.text} ${singular}'` });
  });
  return changes;
}

/** ARRAY<t> → t[]; STRING → text, where a type stands; AUTO_INCREMENT and ENGINE = … go. */
function types(tokens: readonly Token[], sql: string): Change[] {
  const changes: Change[] = [];
  tokens.forEach((t, i) => {
    const [open, element, close] = [tokens[i + 1], tokens[i + 2], tokens[i + 3]];
    if (isWord(t, 'array') && isSymbol(open, '<') && element?.kind === 'word' && close !== undefined && close.text.startsWith('>')) {
      changes.push({ start: t.start, end: close.start + 1, text: `${element.text === 'string' ? 'text' : sql.slice(element.start, element.end)}[]` });
    } else if (isWord(t, 'string') && tokens[i - 1]?.kind === 'word' && !isSymbol(open, '(')) changes.push({ start: t.start, end: t.end, text: 'text' });
    else if (isWord(t, 'auto_increment')) changes.push({ start: t.start, end: t.end, text: '' });
    else if (isWord(t, 'engine') && isSymbol(open, '=') && isSymbol(tokens[i - 1], ')')) changes.push({ start: t.start, end: element?.end ?? t.end, text: '' });
  });
  return changes;
}

/** INSERT IGNORE → ON CONFLICT DO NOTHING; INSERT OVERWRITE has no counterpart. */
function inserts(tokens: readonly Token[], sql: string): Change[] {
  const ignore = tokens[1];
  if (!isWord(tokens[0], 'insert') || ignore === undefined || !isWord(ignore, 'ignore')) return [];
  return [{ start: ignore.start, end: tokens[2]?.start ?? ignore.end, text: '' }, { start: sql.length, end: sql.length, text: ' ON CONFLICT DO NOTHING' }];
}
