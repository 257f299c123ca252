/**
 * The parenthesised elements of CREATE TABLE and CREATE STREAM: columns, PRIMARY KEY, WATERMARK.
 * A type or an expression reaches to the next word that can only begin a constraint, at the same level of parentheses.
 */
import { OWN_KEYS, SqlError, unsupported } from '../../types/error.js';
import type { Token } from './lexer.js';
import { parseIdentity, serialType } from './identity.js';
import type { TokenReader } from './reader.js';
import type { CreateStream, Expression, IdentityDefinition, PrimaryKeyDefinition, StreamColumnDefinition } from './statement.js';

export interface Elements {
  readonly columns: readonly StreamColumnDefinition[];
  readonly primaryKey: PrimaryKeyDefinition | null;
  readonly watermark: CreateStream['watermark'];
}

const CONSTRAINT_WORDS = new Set(['not', 'null', 'default', 'primary', 'unique', 'check', 'references', 'generated', 'collate', 'constraint', 'deferrable', 'initially', 'as']);
const STREAM_WORDS = new Set([...CONSTRAINT_WORDS, 'path', 'metadata', 'comment']);

export function parseElements(r: TokenReader, stream: boolean): Elements {
  r.expectSymbol('(');
  const columns: StreamColumnDefinition[] = [];
  let primaryKey: PrimaryKeyDefinition | null = null;
  let watermark: CreateStream['watermark'] = null;
  if (r.acceptSymbol(')')) return { columns, primaryKey, watermark };
  const setKey = (key: PrimaryKeyDefinition, relation: string): void => {
    if (primaryKey !== null) throw new SqlError('42P16', `multiple primary keys for ${relation} are not allowed`, { position: key.position });
    primaryKey = key;
  };
  const what = stream ? 'the stream' : 'the table';
  do {
    const position = r.position();
    if (r.word() === 'watermark' && r.word(1) === 'for') {
      if (!stream) throw new SqlError('42601', 'a table has no watermark', { position, hint: 'Event time belongs to a stream: CREATE STREAM … (…, WATERMARK FOR column AS expression).' });
      if (watermark !== null) throw new SqlError('42601', 'a stream has one watermark', { position });
      watermark = parseWatermark(r);
      continue;
    }
    if (r.word() === 'constraint' && r.peek(1)?.kind !== 'symbol') { r.expect('constraint'); r.identifier(); if (!isTableConstraint(r)) throw r.syntaxError(); }
    if (isTableConstraint(r)) {
      setKey(tableConstraint(r), what);
      continue;
    }
    if (r.word() === 'like') throw unsupported('LIKE in CREATE TABLE', position);
    const column = parseColumn(r, stream);
    const same = columns.some((c) => c.name === column.definition.name);
    if (same) throw new SqlError('42701', `column "${column.definition.name}" specified more than once`, { position });
    columns.push(column.definition);
    if (column.key !== null) setKey(column.key, what);
  } while (r.acceptSymbol(','));
  r.expectSymbol(')');
  return { columns, primaryKey, watermark };
}

function isTableConstraint(r: TokenReader): boolean {
  const next = r.word(1);
  switch (r.word()) {
    case 'primary': return next === 'key';
    case 'foreign': return next === 'key';
    case 'unique': case 'check': case 'exclude': return r.isSymbol('(', 1) || next === 'using' || next === 'nulls';
    default: return false;
  }
}

/** PRIMARY KEY (…); the others are refused by name. */
function tableConstraint(r: TokenReader): PrimaryKeyDefinition {
  const position = r.position();
  if (r.accept('primary', 'key')) {
    const columns = r.nameList();
    r.accept('not', 'enforced');
    return { columns, position };
  }
  throw constraintUnsupported(r.word() ?? '', position);
}

function constraintUnsupported(word: string, position: number): SqlError {
  switch (word) {
    case 'unique': return unsupported('UNIQUE constraint', position, 'Declare the column PRIMARY KEY.');
    case 'check': return unsupported('CHECK constraint', position);
    case 'foreign': case 'references': return unsupported('FOREIGN KEY constraint', position);
    default: return unsupported(`${word.toUpperCase()} constraint`, position);
  }
}

function parseWatermark(r: TokenReader): NonNullable<CreateStream['watermark']> {
  const position = r.position();
  r.expect('watermark', 'for');
  const column = r.identifier();
  r.expect('as');
  return { column, expression: r.expression(r.scan(r.at, comma)), position };
}

const comma = (t: Token): boolean => t.kind === 'symbol' && t.text === ',';

function parseColumn(r: TokenReader, stream: boolean): { definition: StreamColumnDefinition; key: PrimaryKeyDefinition | null } {
  const position = r.position();
  const name = r.identifier();
  const words = stream ? STREAM_WORDS : CONSTRAINT_WORDS;
  const stop = (t: Token): boolean => comma(t) || (t.kind === 'word' && words.has(t.text));
  if (r.word() === 'as') throw r.syntaxError(`A computed column is written ${name} type GENERATED ALWAYS AS (expression) VIRTUAL.`);
  const written = r.type(r.scan(r.at, stop));
  const serial = stream ? null : serialType(written);
  const type = serial?.type ?? written;
  let identity = serial?.identity ?? null;
  let notNull = false;
  let nullAt: number | null = null;
  let defaultExpression: Expression | null = null;
  let generated: StreamColumnDefinition['generated'] = null;
  let path: string | null = null;
  let metadata: string | null = null;
  let key: PrimaryKeyDefinition | null = null;
  while (!r.isSymbol(',') && !r.isSymbol(')')) {
    if (r.atEnd()) throw r.syntaxError();
    const at = r.position();
    if (r.accept('constraint')) { r.identifier(); continue; }
    if (r.accept('not', 'null')) { notNull = true; continue; }
    if (r.accept('null')) { nullAt = at; continue; }
    if (r.accept('default')) {
      if (defaultExpression !== null) throw new SqlError('42601', `multiple default values specified for column "${name}"`, { position: at });
      // DEFAULT NULL: its first token is never a constraint.
      defaultExpression = r.expression(r.scan(r.at + 1, stop));
      continue;
    }
    if (r.accept('primary', 'key')) {
      r.accept('not', 'enforced');
      if (key !== null) throw new SqlError('42P16', 'multiple primary keys for one column are not allowed', { position: at });
      key = { columns: [name], position: at };
      continue;
    }
    if (r.accept('generated')) {
      const counts = parseIdentity(r, at);
      if (counts === null) { generated = parseGenerated(r); continue; }
      if (stream) throw unsupported('identity column of a stream', at, OWN_KEYS);
      if (identity?.kind === 'serial') throw new SqlError('42601', `both default and identity specified for column "${name}"`, { position: at, hint: COUNTS });
      if (identity !== null) throw new SqlError('42601', `multiple identity specifications for column "${name}"`, { position: at, hint: COUNTS });
      identity = counts;
      continue;
    }
    if (r.accept('collate')) { checkCollation(r, at); continue; }
    if (stream && r.accept('path')) { path = r.string(); continue; }
    if (stream && r.accept('metadata')) {
      if (!r.accept('from')) throw r.syntaxError(`A metadata column is written ${name} type METADATA FROM 'offset' (or 'partition', 'timestamp', 'key', 'headers', 'file', 'line').`);
      metadata = r.string();
      continue;
    }
    const word = r.word();
    if (word === 'as') throw r.syntaxError(`A computed column is written ${name} ${type.sql} GENERATED ALWAYS AS (expression) ${stream ? 'VIRTUAL' : 'STORED'}.`);
    if (word === 'unique' || word === 'check' || word === 'references') throw constraintUnsupported(word, at);
    if (word === 'deferrable' || word === 'initially') throw unsupported('deferrable constraint', at);
    throw r.syntaxError();
  }
  if (generated !== null && defaultExpression !== null) throw new SqlError('42601', `both default and generation expression specified for column "${name}"`, { position });
  if (identity !== null) checkIdentity(name, position, identity, nullAt, defaultExpression, generated);
  return { definition: { name, position, type, notNull: notNull || identity !== null, default: defaultExpression, generated, identity, path, metadata }, key };
}

const COUNTS = 'A serial or identity column is NOT NULL and takes its values from one counter.';

/** What a column that counts cannot have beside. */
function checkIdentity(name: string, position: number, { kind }: IdentityDefinition, nullAt: number | null, defaultExpression: Expression | null, generated: StreamColumnDefinition['generated']): void {
  if (nullAt !== null) throw new SqlError('42601', `conflicting NULL/NOT NULL declarations for column "${name}"`, { position: nullAt, hint: COUNTS });
  if (defaultExpression !== null) throw new SqlError('42601', kind === 'serial' ? `multiple default values specified for column "${name}"` : `both default and identity specified for column "${name}"`, { position, hint: COUNTS });
  if (generated !== null) throw new SqlError('42601', `both ${kind === 'serial' ? 'default' : 'identity'} and generation expression specified for column "${name}"`, { position, hint: COUNTS });
}

function parseGenerated(r: TokenReader): NonNullable<StreamColumnDefinition['generated']> {
  r.expect('always', 'as');
  r.expectSymbol('(');
  const expression = r.expression(r.scan(r.at, () => false));
  r.expectSymbol(')');
  const stored = r.accept('stored');
  if (!stored) r.accept('virtual');
  return { expression, stored };
}

function checkCollation(r: TokenReader, position: number): void {
  let name = r.identifier();
  if (r.acceptSymbol('.')) name = r.identifier();
  if (name !== 'C' && name !== 'POSIX' && name !== 'default' && name !== 'ucs_basic') throw unsupported(`collation "${name}"`, position, 'Text is compared by code points, as with COLLATE "C".');
}
