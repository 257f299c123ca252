/**
 * COPY's text and CSV formats, both directions. Pure but for `copyOut`'s iteration over batches.
 *
 * In: bytes in any pieces → rows of fields as text (null = NULL). A record ends at a line break (in CSV: outside quotes); the incomplete
 * rest is kept for the next piece, and must stay under RECORD_BYTES_MAX. Text format: backslash escapes, `\.` ends the data. Errors name the line.
 * Out: rows of batches → lines.
 */
import { isUtf8 } from 'node:buffer';
import type { Batch } from '../../runtime/batch.js';
import { datumAt } from '../../runtime/vectors.js';
import { SqlError } from '../../types/error.js';
import { formatDatum, type IoContext } from '../../types/textio.js';
import type { Column } from '../../types/sqltype.js';
import type { CopyOptions } from '../../planner/parse/statement.js';
import { invalidUtf8 } from '../wire/decoder.js';
import type { CopyRows } from './backend.js';

/** Named limit of one record of COPY … FROM STDIN. */
export const RECORD_BYTES_MAX = 64 << 20;

const LF = 10;
const CR = 13;

type Fields = (string | null)[];

export class CopyDecoder {
  readonly #columns: readonly string[];
  readonly #csv: boolean;
  readonly #delimiter: string;
  readonly #null: string;
  readonly #quote: number;
  readonly #escape: number;
  readonly #header: boolean | 'match';
  readonly #forceNotNull: ReadonlySet<number>;
  readonly #forceNull: ReadonlySet<number>;
  #rest: Buffer = Buffer.alloc(0);
  /** How far the rest is known to hold no end of a record, and whether that place is inside quotes. */
  #scanned = 0;
  #quoted = false;
  #line = 1;
  #ended = false;
  #headerDone: boolean;

  constructor(columns: readonly string[], options: CopyOptions) {
    this.#columns = columns;
    this.#csv = options.format === 'csv';
    this.#delimiter = options.delimiter ?? (this.#csv ? ',' : '\t');
    this.#null = options.nullText ?? (this.#csv ? '' : '\\N');
    this.#quote = (options.quote ?? '"').charCodeAt(0);
    this.#escape = (options.escape ?? options.quote ?? '"').charCodeAt(0);
    this.#header = options.header;
    this.#headerDone = options.header === false;
    const indexes = (names: readonly string[] | '*' | null): ReadonlySet<number> =>
      new Set(names === null ? [] : names === '*' ? columns.map((_, i) => i) : names.map((n) => columns.indexOf(n)));
    this.#forceNotNull = indexes(options.forceNotNull);
    this.#forceNull = indexes(options.forceNull);
  }

  /** Rows that are complete with this piece. */
  push(piece: Buffer): CopyRows {
    if (this.#ended) return { firstLine: this.#line, rows: [] };
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const rows = this.#records(false);
    if (this.#rest.length > RECORD_BYTES_MAX) throw new SqlError('54000', `a record of COPY is longer than ${RECORD_BYTES_MAX} bytes`, { detail: `COPY line ${this.#line}` });
    return rows;
  }

  /** The last row, when it has no line break. */
  end(): CopyRows {
    if (this.#ended || this.#rest.length === 0) return { firstLine: this.#line, rows: [] };
    return this.#records(true);
  }

  #records(last: boolean): CopyRows {
    const rows: Fields[] = [];
    let firstLine = this.#line;
    let start = 0;
    const data = this.#rest;
    while (start < data.length && !this.#ended) {
      const end = this.#recordEnd(data, start);
      if (end < 0 && !last) break;
      if (end < 0 && this.#quoted) throw new SqlError('22P04', 'unterminated CSV quoted field', { detail: `COPY line ${this.#line}` });
      let stop = end < 0 ? data.length : end;
      const next = end < 0 ? data.length : end + (data[end] === CR && data[end + 1] === LF ? 2 : 1);
      if (stop > start && data[stop - 1] === CR && !this.#csv) stop--;
      const raw = data.subarray(start, stop);
      if (!isUtf8(raw)) throw invalidUtf8(raw);
      const text = raw.toString('utf8');
      if (rows.length === 0) firstLine = this.#line;
      const fields = this.#record(text);
      if (fields !== null) rows.push(fields);
      this.#line += 1;
      for (let i = start; i < stop; i++) if (data[i] === LF && this.#csv) this.#line++;
      start = next;
      this.#scanned = start;
    }
    this.#rest = data.subarray(start);
    this.#scanned = Math.max(0, this.#scanned - start);
    return { firstLine, rows };
  }

  /** Index of the line break that ends the record beginning at `start`; −1 when it is not there yet. */
  #recordEnd(data: Buffer, start: number): number {
    if (!this.#csv) {
      const from = Math.max(start, this.#scanned);
      const end = data.indexOf(LF, from);
      this.#scanned = end < 0 ? data.length : from;
      return end;
    }
    for (let i = Math.max(start, this.#scanned); i < data.length; i++) {
      const c = data[i];
      if (this.#quoted && c === this.#escape && this.#escape !== this.#quote) {
        if (i + 1 === data.length) { this.#scanned = i; return -1; }
        if (data[i + 1] === this.#quote || data[i + 1] === this.#escape) { i++; continue; }
      }
      if (c === this.#quote) this.#quoted = !this.#quoted;
      else if (c === LF && !this.#quoted) return data[i - 1] === CR && i - 1 >= start ? i - 1 : i;
    }
    this.#scanned = data.length;
    return -1;
  }

  /** Fields of one record; null for the header and the end marker. */
  #record(text: string): Fields | null {
    if (text === '\\.') { this.#ended = true; return null; }
    if (!this.#headerDone) {
      this.#headerDone = true;
      if (this.#header === 'match') this.#matchHeader(this.#split(text));
      return null;
    }
    const fields = this.#split(text);
    const expected = this.#columns.length;
    if (fields.length > expected && !(expected === 0 && text === '')) throw new SqlError('22P04', 'extra data after last expected column', { detail: `COPY line ${this.#line}: "${shorten(text)}"` });
    if (fields.length < expected) throw new SqlError('22P04', `missing data for column "${this.#columns[fields.length] ?? ''}"`, { detail: `COPY line ${this.#line}: "${shorten(text)}"` });
    return fields;
  }

  #matchHeader(names: Fields): void {
    if (names.length !== this.#columns.length) throw new SqlError('22P04', `wrong number of fields in header line: got ${names.length}, expected ${this.#columns.length}`);
    names.forEach((name, i) => {
      if (name !== this.#columns[i]) throw new SqlError('22P04', `column name mismatch in header line field ${i + 1}: got "${name ?? ''}", expected "${this.#columns[i] ?? ''}"`);
    });
  }

  #split(text: string): Fields {
    return this.#csv ? this.#splitCsv(text) : text.split('\\').length === 1 ? text.split(this.#delimiter).map((f) => (f === this.#null ? null : f)) : this.#splitText(text);
  }

  #splitText(text: string): Fields {
    const fields: Fields = [];
    let raw = '';
    for (let i = 0; i <= text.length; i++) {
      const c = text.charAt(i);
      if (i === text.length || c === this.#delimiter) {
        fields.push(raw === this.#null ? null : unescape(raw));
        raw = '';
      } else if (c === '\\' && i + 1 < text.length) {
        raw += c + text.charAt(i + 1);
        i++;
      } else raw += c;
    }
    return fields;
  }

  #splitCsv(text: string): Fields {
    const quote = String.fromCharCode(this.#quote);
    const escape = String.fromCharCode(this.#escape);
    const fields: Fields = [];
    let value = '';
    let quotedField = false;
    let inside = false;
    for (let i = 0; i <= text.length; i++) {
      const c = text.charAt(i);
      if (!inside && (i === text.length || c === this.#delimiter)) {
        fields.push(this.#csvValue(value, quotedField, fields.length));
        value = '';
        quotedField = false;
      } else if (inside && c === escape && (text.charAt(i + 1) === quote || (escape !== quote && text.charAt(i + 1) === escape))) {
        value += text.charAt(i + 1);
        i++;
      } else if (c === quote) {
        inside = !inside;
        quotedField = true;
      } else value += c;
    }
    return fields;
  }

  #csvValue(value: string, quoted: boolean, index: number): string | null {
    if (value !== this.#null) return value;
    if (quoted) return this.#forceNull.has(index) ? null : value;
    return this.#forceNotNull.has(index) ? value : null;
  }
}

function shorten(text: string): string { return text.length > 100 ? `${text.slice(0, 100)}…` : text; }

const UNESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** Backslash escapes of the text format. Octal and hexadecimal ones give bytes of UTF-8. */
function unescape(raw: string): string {
  if (!raw.includes('\\')) return raw;
  if (!/\\(?:[0-7]|x[0-9A-Fa-f])/.test(raw)) return raw.replace(/\\([\s\S])/g, (_, c: string) => UNESCAPED[c] ?? c);
  const out: Buffer[] = [];
  for (const m of raw.matchAll(/\\([0-7]{1,3})|\\x([0-9A-Fa-f]{1,2})|\\([\s\S])|([^\\]+|\\)/g)) {
    if (m[1] !== undefined) out.push(Buffer.from([Number.parseInt(m[1], 8) & 0xff]));
    else if (m[2] !== undefined) out.push(Buffer.from([Number.parseInt(m[2], 16)]));
    else out.push(Buffer.from(m[3] === undefined ? m[4] ?? '' : UNESCAPED[m[3]] ?? m[3]));
  }
  const bytes = Buffer.concat(out);
  if (!isUtf8(bytes)) throw invalidUtf8(bytes);
  if (bytes.includes(0)) throw new SqlError('22021', 'invalid byte sequence for encoding "UTF8": 0x00');
  return bytes.toString('utf8');
}

export class CopyEncoder {
  readonly #columns: readonly Column[];
  readonly #io: IoContext;
  readonly #csv: boolean;
  readonly #delimiter: string;
  readonly #null: string;
  readonly #quote: string;
  readonly #escape: string;
  readonly #forceQuote: ReadonlySet<number>;

  constructor(columns: readonly Column[], options: CopyOptions, io: IoContext) {
    this.#columns = columns;
    this.#io = io;
    this.#csv = options.format === 'csv';
    this.#delimiter = options.delimiter ?? (this.#csv ? ',' : '\t');
    this.#null = options.nullText ?? (this.#csv ? '' : '\\N');
    this.#quote = options.quote ?? '"';
    this.#escape = options.escape ?? this.#quote;
    const force = options.forceQuote;
    this.#forceQuote = new Set(force === null ? [] : columns.flatMap((c, i) => (force === '*' || force.includes(c.name) ? [i] : [])));
  }

  header(): string {
    return `${this.#columns.map((c) => (this.#csv ? this.#csvField(c.name, false) : escapeText(c.name, this.#delimiter))).join(this.#delimiter)}\n`;
  }

  /** One line per row of the batch. */
  lines(batch: Batch): string[] {
    const lines: string[] = [];
    for (let row = 0; row < batch.length; row++) {
      let line = '';
      for (let c = 0; c < this.#columns.length; c++) {
        const column = this.#columns[c];
        const vector = batch.columns[c];
        if (column === undefined || vector === undefined) throw new Error(`column ${c} is missing in the batch`);
        if (c > 0) line += this.#delimiter;
        const value = datumAt(column.type, vector, row);
        if (value === null) { line += this.#null; continue; }
        const text = formatDatum(column.type, value, this.#io);
        line += this.#csv ? this.#csvField(text, this.#forceQuote.has(c)) : escapeText(text, this.#delimiter);
      }
      lines.push(`${line}\n`);
    }
    return lines;
  }

  #csvField(text: string, force: boolean): string {
    const needs = force || text === this.#null || text.includes(this.#delimiter) || text.includes(this.#quote) || /[\r\n]/.test(text)
      || (this.#columns.length === 1 && text === '\\.');
    if (!needs) return text;
    let out = '';
    for (const c of text) out += c === this.#quote || c === this.#escape ? this.#escape + c : c;
    return this.#quote + out + this.#quote;
  }
}

const ESCAPED: Readonly<Record<string, string>> = { '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\' };

function escapeText(text: string, delimiter: string): string {
  const escaped = text.replace(/[\b\f\n\r\t\v\\]/g, (c) => ESCAPED[c] ?? c);
  return delimiter === '\t' ? escaped : escaped.replaceAll(delimiter, `\\${delimiter}`);
}
