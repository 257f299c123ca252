/**
 * CSV decoder (RFC 4180): records end at a line end outside of quotes, a quoted field may hold delimiters, line ends and doubled quotes.
 * With a header columns are found by name (exactly, else without case), without by their place among the stream's columns.
 * An unquoted field equal to null_text is NULL. A record with more or fewer fields than the header (or than the highest column that is read)
 * is bad. Values are the types' text forms; JSON paths do not apply.
 *
 * One pass over the bytes; text is a span of the block, integers are read in place; other types, and text with doubled quotes, go
 * through a string.
 */
import { isUtf8 } from 'node:buffer';
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch, Vector } from '../../runtime/batch.js';
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import type { Datum } from '../../types/value.js';
import { BlockBatchBuilder } from './builder.js';
import { BadValue, fromText } from './convert.js';
import { defaultDatum } from './format.js';
import type { BadSpan, BlockDecoder, Metadata } from './format.js';

export interface CsvOptions { readonly header: boolean; readonly delimiter: string; readonly nullText: string }

const QUOTE = 34;
const DIGITS_FAST_MAX = 15;
const INT_MAX: Readonly<Record<string, number>> = { int2: 32767, int4: 2147483647, int8: Number.MAX_SAFE_INTEGER };

export class CsvDecoder implements BlockDecoder {
  readonly needsHeader: boolean;
  readonly #fields: readonly SourceField[];
  readonly #read: readonly SourceField[];
  readonly #defaults: readonly (Datum | undefined)[];
  readonly #builder: BlockBatchBuilder;
  readonly #delimiter: number;
  readonly #nullText: Buffer;
  /** Builder column of each CSV field; −1 = not read. */
  #columnAt: number[] = [];
  /** Fields a record must have; −1 = at least #columnAt.length. */
  #width = -1;
  #missing: number[] = [];
  #block: Buffer = Buffer.alloc(0);
  #lines = 0;
  // The last field that #field read.
  #from = 0;
  #to = 0;
  #quoted = false;

  constructor(fields: readonly SourceField[], options: CsvOptions) {
    this.needsHeader = options.header;
    this.#fields = fields;
    this.#read = fields.filter((f) => f.metadata === null);
    this.#defaults = this.#read.map(defaultDatum);
    this.#builder = new BlockBatchBuilder(this.#read.map((f) => f.type));
    this.#delimiter = options.delimiter.charCodeAt(0);
    this.#nullText = Buffer.from(options.nullText);
    this.#read.forEach((f, c) => {
      while (this.#columnAt.length <= f.ordinal) this.#columnAt.push(-1);
      this.#columnAt[f.ordinal] = c;
    });
  }

  get rows(): number { return this.#builder.rows; }
  get refers(): boolean { return this.#builder.refers; }
  get lines(): number { return this.#lines; }

  /** 42703 when no column of the stream is in the header. */
  header(record: Buffer): void {
    const names: string[] = [];
    this.#block = record;
    let p = record[0] === 0xef && record[1] === 0xbb && record[2] === 0xbf ? 3 : 0;
    for (;;) {
      p = this.#field(p, record.length);
      names.push(record.toString('utf8', this.#from, this.#to).replaceAll('""', '"').trim());
      if (p >= record.length || record[p] !== this.#delimiter) break;
      p++;
    }
    const folded = names.map((n) => n.toLowerCase());
    this.#columnAt = names.map(() => -1);
    this.#missing = [];
    this.#width = names.length;
    this.#read.forEach((f, c) => {
      const exact = names.indexOf(f.name);
      const at = exact >= 0 ? exact : folded.indexOf(f.name.toLowerCase());
      if (at < 0) this.#missing.push(c);
      else this.#columnAt[at] = c;
    });
    if (this.#read.length > 0 && this.#missing.length === this.#read.length) {
      throw new SqlError('42703', `the CSV header has none of the columns ${this.#read.map((f) => `"${f.name}"`).join(', ')}`, {
        detail: `The header is: ${names.join(', ')}`, hint: 'If the file has no header, use header = \'false\'; see also delimiter.',
      });
    }
  }

  begin(block: Buffer): void {
    this.#block = block;
    this.#lines = 0;
  }

  decode(from: number, to: number, rowsMax: number, bad: (span: BadSpan) => void): number {
    const b = this.#builder;
    const max = Math.min(rowsMax, BATCH_ROWS_MAX);
    let p = from;
    while (p < to && b.rows < max) {
      const start = p;
      const index = this.#lines;
      const row = b.rows;
      try {
        p = this.#record(row, p, to);
        if (p < 0) {
          p = -p;
          continue;
        }
        b.rowStart[row] = start;
        b.rowIndex[row] = index;
        b.rows++;
      } catch (e) {
        if (!(e instanceof BadValue)) throw e;
        b.clearRow(row);
        this.#lines = index;
        const end = this.#end(start, to);
        p = end;
        bad({ start, end: lineEnd(this.#block, start, end), index, reason: e.message });
      }
    }
    return p;
  }

  /** End of the record, counting its lines. An unclosed quote ends the record at its first line's end. */
  #end(start: number, to: number): number {
    let end = this.recordEnd(this.#block, start, to);
    if (end < 0) {
      const line = this.#block.indexOf(10, start);
      end = line < 0 || line >= to ? to : line + 1;
    }
    for (let i = start; i < end; i++) if (this.#block[i] === 10) this.#lines++;
    return end;
  }

  /** Reads a record; gives the position after it, negated when it was a blank line. */
  #record(row: number, start: number, to: number): number {
    const d = this.#block;
    let p = start;
    let count = 0;
    if (d[p] === 10 || (d[p] === 13 && d[p + 1] === 10)) {
      this.#lines++;
      return -(p + (d[p] === 10 ? 1 : 2));
    }
    for (;;) {
      p = this.#field(p, to);
      const c = count < this.#columnAt.length ? this.#columnAt[count] : -1;
      count++;
      if (c >= 0) this.#set(c, row);
      if (p >= to || d[p] !== this.#delimiter) break;
      p++;
    }
    if (this.#width >= 0 ? count !== this.#width : count < this.#columnAt.length) {
      throw new BadValue(`expected ${this.#width >= 0 ? '' : 'at least '}${this.#width >= 0 ? this.#width : this.#columnAt.length} fields, found ${count}`);
    }
    for (const c of this.#missing) {
      const f = this.#read[c];
      const fallback = this.#defaults[c];
      if (fallback !== undefined) this.#builder.columns[c].set(row, fallback);
      if (f.notNull && (fallback ?? null) === null) throw new BadValue(`field "${f.name}" is missing, but NOT NULL`);
    }
    if (p < to) {
      if (d[p] === 13) p++;
      if (p < to && d[p] === 10) p++;
    }
    this.#lines++;
    return p;
  }

  /** Sets #from, #to (without quotes) and #quoted; gives the position of what ends the field. */
  #field(at: number, to: number): number {
    const d = this.#block;
    let p = at;
    if (d[p] === QUOTE && p < to) {
      this.#quoted = true;
      this.#from = p + 1;
      for (p++; ; p++) {
        p = d.indexOf(QUOTE, p);
        if (p < 0 || p >= to) throw new BadValue('a quoted field without its closing quote');
        if (d[p + 1] !== QUOTE || p + 1 >= to) break;
        p++;
      }
      this.#to = p;
      p++;
      if (p < to && d[p] !== this.#delimiter && d[p] !== 10 && d[p] !== 13) throw new BadValue('expected a delimiter after a quoted field');
      for (let i = this.#from; i < this.#to; i++) if (d[i] === 10) this.#lines++;
      return p;
    }
    this.#quoted = false;
    this.#from = p;
    while (p < to && d[p] !== this.#delimiter && d[p] !== 10) p++;
    this.#to = p > at && (p >= to || d[p] === 10) && d[p - 1] === 13 ? p - 1 : p;
    return p;
  }

  #set(c: number, row: number): void {
    const d = this.#block;
    const f = this.#read[c];
    const column = this.#builder.columns[c];
    const from = this.#from;
    const raw = this.#to;
    if (!this.#quoted && raw - from === this.#nullText.length && this.#nullText.compare(d, from, raw) === 0) {
      if (f.notNull) throw new BadValue(`field "${f.name}" is null, but NOT NULL`);
      return;
    }
    const kind = f.type.kind;
    if (kind === 'int8' || kind === 'int4' || kind === 'int2') {
      const v = smallInteger(d, from, raw, INT_MAX[kind]);
      if (v === v) {
        column.values[row] = v;
        column.nulls[row] = 0;
        return;
      }
    }
    if (!isUtf8(d.subarray(from, raw))) throw new BadValue(`field "${f.name}": invalid byte sequence for encoding "UTF8"`);
    if (kind === 'text' || (kind === 'varchar' && f.type.mod === undefined)) {
      if (d.subarray(from, raw).includes(0)) throw new BadValue(`field "${f.name}": a zero byte has no place in text`);
      column.setSpan(row, from, raw);
      if (this.#quoted && d.subarray(from, raw).includes(QUOTE)) column.set(row, d.toString('utf8', from, raw).replaceAll('""', '"'));
      return;
    }
    const text = d.toString('utf8', from, raw);
    try {
      column.set(row, fromText(f.type, this.#quoted ? text.replaceAll('""', '"') : text));
    } catch (e) {
      if (e instanceof BadValue) throw new BadValue(`field "${f.name}": ${e.message}`);
      throw e;
    }
  }

  finish(metadata: Metadata): Batch {
    const { rows, rowStart, rowIndex } = this.#builder;
    const extra = this.#fields.map((f): Vector | null => (f.metadata === null ? null : metadata(f, rows, rowStart, rowIndex)));
    const read = this.#builder.finish(this.#block);
    let next = 0;
    return { length: rows, columns: extra.map((v) => v ?? read.columns[next++]), weights: null };
  }

  lastBorder(block: Buffer, from: number, to: number): number {
    let border = -1;
    let quoted = false;
    for (let i = from; i < to; i++) {
      if (block[i] === QUOTE) quoted = !quoted;
      else if (block[i] === 10 && !quoted) border = i + 1;
    }
    return border;
  }

  recordEnd(block: Buffer, from: number, to: number): number {
    let quoted = false;
    for (let i = from; i < to; i++) {
      if (block[i] === QUOTE) quoted = !quoted;
      else if (block[i] === 10 && !quoted) return i + 1;
    }
    return -1;
  }
}

function lineEnd(d: Uint8Array, start: number, end: number): number {
  let e = end;
  while (e > start && (d[e - 1] === 10 || d[e - 1] === 13)) e--;
  return e;
}

/** A plain integer within ±max, NaN when it is not of that form. */
function smallInteger(d: Uint8Array, from: number, to: number, max: number): number {
  const negative = d[from] === 45;
  const first = negative ? from + 1 : from;
  if (to === first || to - first > DIGITS_FAST_MAX) return NaN;
  let x = 0;
  for (let i = first; i < to; i++) {
    const c = d[i] - 48;
    if (c < 0 || c > 9) return NaN;
    x = x * 10 + c;
  }
  return x > max ? NaN : negative ? 0 - x : x;
}
