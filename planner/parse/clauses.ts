/**
 * Clauses of ours inside queries, lifted out before Postgres' grammar sees the text and blanked with spaces of equal length, so that
 * positions hold:
 *
 *   … EMIT CHANGES | EMIT ON WINDOW CLOSE                       at the end of a query          → `emit`
 *   relation AS OF CHECKPOINT n                                 in FROM                        → `asOf`
 *   relation FOR SYSTEM_TIME AS OF PROCTIME()                   in JOIN                        → `lookups`
 *   own_function(TABLE t PARTITION BY k, …) → own_function(t, +k, …)
 *   TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), INTERVAL '10' SECOND)) the standard's window function → TUMBLE(t, c, INTERVAL '10' SECOND)
 *   SESSION(TABLE t PARTITION BY k, DESCRIPTOR(c), gap)         likewise                       → SESSION(t, ROW(k), c, gap)
 *
 * And words that Postgres' grammar would silently take for aliases (`a ASOF JOIN b` parses as `a AS asof JOIN b`, `FROM hot EMIT` as an
 * alias) are refused: features by name (0A000), the rest as syntax errors with a hint (42601).
 */
import { SqlError, unsupported } from '../../types/error.js';
import { SourceText } from './sourcetext.js';
import type { Token } from './lexer.js';
import type { Piece } from './split.js';
import type { AsOfCheckpoint, Emit, Lookup } from './statement.js';

export interface Lifted {
  readonly source: SourceText;
  readonly emit: Emit | null;
  readonly asOf: readonly AsOfCheckpoint[];
  readonly lookups: readonly Lookup[];
}

const WINDOW_FUNCTIONS = new Set(['tumble', 'hop', 'session', 'cumulate']);
const CLOCKS = new Set(['proctime', 'now', 'current_timestamp', 'localtimestamp', 'transaction_timestamp']);
const NOT_ALIASES = new Set(['asof', 'emit', 'of', 'qualify', 'match_recognize']);
/** Words after which one of NOT_ALIASES is a column or keyword, not an alias. */
const BEFORE_NAME = new Set([
  'all', 'analyse', 'analyze', 'and', 'any', 'array', 'asc', 'both', 'by', 'case', 'check', 'column', 'current', 'desc', 'distinct', 'do', 'else', 'except', 'for', 'from',
  'group', 'having', 'in', 'instead', 'intersect', 'into', 'is', 'join', 'leading', 'like', 'ilike', 'limit', 'not', 'offset', 'on', 'only', 'or', 'order', 'returning', 'select', 'set',
  'share', 'similar', 'some', 'symmetric', 'table', 'then', 'to', 'trailing', 'union', 'unique', 'update', 'using', 'values', 'variadic', 'when', 'where', 'with', 'between', 'add', 'rename', 'exists',
]);

const HINTS: Readonly<Record<string, string>> = {
  emit: 'EMIT CHANGES or EMIT ON WINDOW CLOSE stands at the end of a query. As a name it must be quoted: "emit".',
  asof: 'ASOF joins are not supported. As a name it must be quoted: "asof".',
  of: 'A past state is read with relation AS OF CHECKPOINT n. As a name it must be quoted: "of".',
  qualify: 'QUALIFY is of BigQuery, Snowflake and Teradata. Put the window function into a subquery and filter outside: SELECT * FROM (SELECT …, row_number() OVER (…) AS rn FROM …) q WHERE rn = 1.',
  match_recognize: 'As a name it must be quoted: "match_recognize".',
};

export function liftClauses(piece: Piece): Lifted {
  const lifting = new Lifting(piece);
  lifting.run();
  return lifting.result();
}

/** Refuses a clause that was lifted from behind something else than a relation (a subquery's alias, an alias): nothing would read it. */
export function checkPlaces(ast: unknown, lifted: Pick<Lifted, 'asOf' | 'lookups'>): void {
  if (lifted.asOf.length === 0 && lifted.lookups.length === 0) return;
  const places = new Set<number>();
  const visit = (x: unknown): void => {
    if (Array.isArray(x)) { for (const item of x) visit(item); return; }
    if (x === null || typeof x !== 'object') return;
    for (const [key, value] of Object.entries(x)) {
      if (key === 'RangeVar') places.add(Number((value as { readonly location?: number }).location ?? 0));
      visit(value);
    }
  };
  visit(ast);
  const asOf = lifted.asOf.find(a => !places.has(a.location));
  if (asOf !== undefined) throw new SqlError('42601', 'AS OF CHECKPOINT follows the name of a relation', { position: asOf.position, hint: 'FROM view AS OF CHECKPOINT n [AS alias]' });
  const lookup = lifted.lookups.find(l => !places.has(l.location));
  if (lookup !== undefined) throw new SqlError('42601', 'FOR SYSTEM_TIME AS OF follows the name of a table', { position: lookup.position, hint: 'JOIN table FOR SYSTEM_TIME AS OF PROCTIME() [AS alias]' });
}

class Lifting {
  readonly #source: SourceText;
  readonly #tokens: readonly Token[];
  readonly #blanked: Token[] = [];
  /** Shorter texts in place of tokens. */
  readonly #replaced = new Map<Token, string>();
  readonly #asOf: AsOfCheckpoint[] = [];
  readonly #lookups: Lookup[] = [];
  #emit: Emit | null = null;

  constructor(piece: Piece) {
    this.#source = piece.source;
    this.#tokens = piece.tokens;
  }

  run(): void {
    let depth = 0;
    for (let i = 0; i < this.#tokens.length; i++) {
      const t = this.#tokens[i];
      if (t === undefined) break;
      if (t.kind === 'symbol') depth += t.text === '(' ? 1 : t.text === ')' ? -1 : 0;
      if (t.kind !== 'word') continue;
      if (t.text === 'emit' && this.#emitAt(i, depth)) i = this.#tokens.length;
      else if (t.text === 'as' && this.#word(i + 1) === 'of') i = this.#asOfAt(i);
      else if (t.text === 'table' && this.#symbol(i + 1) === '(' && WINDOW_FUNCTIONS.has(this.#word(i + 2) ?? '') && this.#symbol(i + 3) === '(') this.#standardWindow(i);
      else if (WINDOW_FUNCTIONS.has(t.text) && this.#symbol(i + 1) === '(') this.#windowArguments(i + 1, t.text === 'session');
      else if (this.#isTableCall(i)) this.#ownArguments(i + 1);
      else if (NOT_ALIASES.has(t.text)) this.#refuse(i);
    }
  }

  result(): Lifted {
    if (this.#blanked.length === 0) return { source: this.#source, emit: null, asOf: [], lookups: [] };
    let text = this.#source.text;
    for (const t of this.#blanked) text = text.slice(0, t.start) + (this.#replaced.get(t) ?? '').padEnd(t.end - t.start) + text.slice(t.end);
    return { source: new SourceText(text, this.#source.base), emit: this.#emit, asOf: this.#asOf, lookups: this.#lookups };
  }

  #word(i: number): string | null {
    const t = this.#tokens[i];
    return t !== undefined && t.kind === 'word' ? t.text : null;
  }
  #symbol(i: number): string | null {
    const t = this.#tokens[i];
    return t !== undefined && t.kind === 'symbol' ? t.text : null;
  }
  #position(i: number): number {
    const t = this.#tokens[i];
    return this.#source.positionOfUnit(t === undefined ? this.#source.text.length : t.start);
  }
  #blank(i: number): void {
    const t = this.#tokens[i];
    if (t !== undefined) this.#blanked.push(t);
  }
  #replace(i: number, text: string): void {
    const t = this.#tokens[i];
    if (t === undefined) return;
    this.#blanked.push(t);
    this.#replaced.set(t, text);
  }
  #syntaxError(i: number, hint?: string): SqlError {
    const t = this.#tokens[i];
    const message = t === undefined ? 'syntax error at end of input' : `syntax error at or near "${this.#source.text.slice(t.start, t.end)}"`;
    return new SqlError('42601', message, { position: this.#position(i), hint });
  }

  /** EMIT at token i; true when it was one of ours (the query ends with it). */
  #emitAt(i: number, depth: number): boolean {
    const changes = this.#word(i + 1) === 'changes';
    const onClose = this.#word(i + 1) === 'on' && this.#word(i + 2) === 'window' && this.#word(i + 3) === 'close';
    if (!changes && !onClose) { this.#refuse(i); return false; }
    if (depth > 0) throw new SqlError('42601', 'EMIT is allowed only at the end of the whole query', { position: this.#position(i) });
    const end = i + (changes ? 2 : 4);
    if (this.#tokens[end] !== undefined && this.#symbol(end) !== ';') throw this.#syntaxError(end, 'EMIT … stands at the end of a query.');
    for (let k = i; k < end; k++) this.#blank(k);
    this.#emit = changes ? 'changes' : 'on_window_close';
    return true;
  }

  /** AS OF at token i; returns the last token it took. */
  #asOfAt(i: number): number {
    if (this.#word(i - 1) === 'system_time' && this.#word(i - 2) === 'for') return this.#systemTimeAt(i);
    if (this.#word(i + 2) !== 'checkpoint') {
      const what = this.#word(i + 2);
      if (what === 'timestamp' || what === 'system' || what === 'now') throw unsupported(`AS OF ${what.toUpperCase()}`, this.#position(i), 'A past state is read with relation AS OF CHECKPOINT n.');
      throw this.#syntaxError(i + 1, HINTS['of']);
    }
    const number = this.#tokens[i + 3];
    if (number === undefined || number.kind !== 'number' || !/^\d+$/.test(number.text)) throw this.#syntaxError(i + 3, 'AS OF CHECKPOINT takes the number of a checkpoint (millrace.checkpoints).');
    let first = i - 1;
    while (this.#symbol(first - 1) === '.') first -= 2;
    const name = this.#tokens[first];
    if (name === undefined || (name.kind !== 'word' && name.kind !== 'quoted')) throw this.#syntaxError(i, 'AS OF CHECKPOINT follows the name of a relation.');
    for (let k = i; k < i + 4; k++) this.#blank(k);
    this.#asOf.push({ location: this.#source.byteOfUnit(name.start), checkpoint: Number(number.text), position: this.#position(i) });
    return i + 3;
  }

  /** FOR SYSTEM_TIME AS OF with AS at token i: PROCTIME(), now(), CURRENT_TIMESTAMP, or a column. Returns the last token it took. */
  #systemTimeAt(i: number): number {
    const first = this.#relationBefore(i - 2);
    let end = i + 2;
    let column: string[] | null = null;
    if (CLOCKS.has(this.#word(end) ?? '')) {
      end++;
      if (this.#symbol(end) === '(' && this.#symbol(end + 1) === ')') end += 2;
    } else {
      column = [];
      for (;;) {
        const part = this.#tokens[end];
        if (part === undefined || (part.kind !== 'word' && part.kind !== 'quoted')) throw this.#syntaxError(end, 'FOR SYSTEM_TIME AS OF takes PROCTIME() or a column.');
        column.push(part.text);
        end++;
        if (this.#symbol(end) !== '.') break;
        end++;
      }
    }
    for (let k = i - 2; k < end; k++) this.#blank(k);
    this.#lookups.push({ location: this.#source.byteOfUnit(first.start), column, position: this.#position(i - 2) });
    return end - 1;
  }

  /** The first token of the relation's name that ends before token i. */
  #relationBefore(i: number): Token {
    let first = i - 1;
    while (this.#symbol(first - 1) === '.') first -= 2;
    const name = this.#tokens[first];
    if (name === undefined || (name.kind !== 'word' && name.kind !== 'quoted')) throw this.#syntaxError(i, 'FOR SYSTEM_TIME AS OF follows the name of a table.');
    return name;
  }

  /** TABLE ( window ( … ) ): the outer word and its parentheses go; the inner call's arguments are lifted when the walk reaches them. */
  #standardWindow(i: number): void {
    const close = this.#closing(i + 1);
    this.#blank(i);
    this.#blank(i + 1);
    this.#blank(close);
  }

  /** Arguments of a window function in the standard's form: TABLE t, DESCRIPTOR(c), DATA => …, TIMECOL => …. */
  #windowArguments(open: number, session: boolean): void {
    const close = this.#closing(open);
    let depth = 0;
    let partition = false;
    for (let i = open; i < close; i++) {
      const symbol = this.#symbol(i);
      if (symbol === '(') depth++;
      else if (symbol === ')') depth--;
      if (depth !== 1) continue;
      const word = this.#word(i);
      const named = this.#symbol(i + 1) === '=>';
      if ((word === 'data' || word === 'timecol') && named) { this.#blank(i); this.#blank(i + 1); }
      else if (word === 'table' && (this.#symbol(i - 1) === '(' || this.#symbol(i - 1) === ',' || this.#symbol(i - 1) === '=>')) this.#blank(i);
      else if (word === 'partition' && this.#word(i + 1) === 'by') {
        if (!session) throw unsupported('PARTITION BY in a window function other than SESSION', this.#position(i), 'Windows of a fixed size are the same for all rows: put the columns into GROUP BY.');
        this.#replace(i, ', ROW(');
        this.#blank(i + 1);
        partition = true;
      }
      else if (word === 'descriptor' && this.#symbol(i + 1) === '(') {
        if (this.#symbol(i + 3) !== ')') throw unsupported('DESCRIPTOR of several columns', this.#position(i));
        this.#replace(i, partition ? ',' : '');
        this.#blank(i + 1);
        this.#blank(i + 3);
        // The columns of PARTITION BY end at the comma before DESCRIPTOR.
        if (partition) this.#replace(this.#symbol(i - 1) === '=>' ? i - 3 : i - 1, ')');
        partition = false;
      }
    }
  }

  /** FROM name(TABLE t …: a call of an own function in the standard's form. */
  #isTableCall(i: number): boolean {
    if (this.#symbol(i + 1) !== '(' || this.#word(i + 2) !== 'table' || BEFORE_NAME.has(this.#word(i) ?? '')) return false;
    const before = this.#word(i - 1);
    return before === 'from' || before === 'join' || (this.#symbol(i - 1) === ',' && this.#word(i) !== 'lateral');
  }

  /** Its arguments: PARTITION BY k becomes an argument +k, PARTITION BY (a, b) an argument ROW (a, b), DESCRIPTOR(c) c. */
  #ownArguments(open: number): void {
    const close = this.#closing(open);
    this.#blank(open + 1);
    for (let i = open + 2, depth = 1; i < close; i++) {
      const symbol = this.#symbol(i);
      depth += symbol === '(' ? 1 : symbol === ')' ? -1 : 0;
      if (depth !== 1) continue;
      if (this.#word(i) === 'partition' && this.#word(i + 1) === 'by') {
        this.#replace(i, this.#symbol(i + 2) === '(' ? ', ROW' : ', +');
        this.#blank(i + 1);
      } else if (this.#word(i) === 'descriptor' && this.#symbol(i + 1) === '(' && this.#symbol(i + 3) === ')') {
        this.#blank(i);
        this.#blank(i + 1);
        this.#blank(i + 3);
      }
    }
  }

  #closing(open: number): number {
    let depth = 0;
    for (let i = open; i < this.#tokens.length; i++) {
      const s = this.#symbol(i);
      if (s === '(') depth++;
      else if (s === ')' && --depth === 0) return i;
    }
    throw this.#syntaxError(this.#tokens.length);
  }

  /** A word of NOT_ALIASES at token i: an error where it would be read as an alias; nothing where it is a column's name. */
  #refuse(i: number): void {
    const word = this.#word(i) ?? '';
    const before = this.#tokens[i - 1];
    if (before === undefined) return;
    const ends = before.kind === 'word' ? !BEFORE_NAME.has(before.text) : before.kind !== 'symbol' || before.text === ')' || before.text === ']';
    if (!ends) return;
    if (word === 'asof') throw unsupported('ASOF JOIN', this.#position(i));
    if (word === 'match_recognize') throw unsupported('MATCH_RECOGNIZE', this.#position(i));
    throw this.#syntaxError(i, HINTS[word]);
  }
}
