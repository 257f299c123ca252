/**
 * JSON decoder: JSON objects, a line each or where a list says, → typed columns, by code compiled for the columns and for the records' layout.
 *
 * Records of one stream repeat the same keys in the same order and spelling. The exact reader (jsonexact.ts) reads the first records
 * and notes that layout; from it a function is compiled (jsoncompile.ts) that compares each expected key four bytes at a time, parses
 * wanted values in place and finds the end of unwanted strings with one memchr. An absent key is stepped over; anything else (an
 * unknown key, an odd number, white space where there was none) sends that record to the exact reader, which may
 * extend the layout, at most LAYOUT_COMPILES_MAX times.
 *
 * Every byte of a record is checked for syntax on both ways, so whether a record is bad does not depend on the columns
 * that a query reads, except for types. UTF-8 is checked once for a block. Measured: bench/kernels/decode.ts.
 */
import { isUtf8 } from 'node:buffer';
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch, Vector } from '../../runtime/batch.js';
import { viewOf } from '../../types/encoding/bytes.js';
import { assert } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import { BlockBatchBuilder } from './builder.js';
import { BadValue } from './convert.js';
import type { TimestampFormat } from './convert.js';
import { defaultDatum, newBlock } from './format.js';
import type { BadSpan, Metadata, RecordDecoder, RecordList } from './format.js';
import { JsonExact } from './jsonexact.js';
import { compileLayout } from './jsoncompile.js';
import type { LayoutDecoder, LayoutState } from './jsoncompile.js';

const LAYOUT_COMPILES_MAX = 24;
/** Named limit: of a record kept to train the compiled code, and how often it takes each. */
const SAMPLE_BYTES_MAX = 4096;
const TRAINING_ROUNDS = 16;
const LINE_END = Buffer.from('\n');
const NO_RECORDS = new Int32Array(0);

export class JsonDecoder implements RecordDecoder {
  readonly #fields: readonly SourceField[];
  readonly #builder: BlockBatchBuilder;
  readonly #exact: JsonExact;
  readonly #state: LayoutState;
  #block: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #compiled: LayoutDecoder | null = null;
  /** Blocks are lists of records: decided by the first. */
  #apart = false;
  #compiledVersion = 0;
  #compiles = 0;
  /** Records that the layout was learnt from. */
  readonly #samples: Buffer[] = [];
  readonly #sample = Buffer.allocUnsafeSlow(SAMPLE_BYTES_MAX);
  /** Whether the records up to #utf8To are all valid UTF-8. */
  #utf8 = true;
  #utf8To = -1;

  constructor(fields: readonly SourceField[], timestamps: TimestampFormat = 'text') {
    this.#fields = fields;
    const columnOf: number[] = [];
    const read: SourceField[] = [];
    for (const f of fields) columnOf.push(f.metadata === null ? read.push(f) - 1 : -1);
    this.#builder = new BlockBatchBuilder(read.map((f) => f.type));
    this.#exact = new JsonExact(fields, columnOf, this.#builder, fields.map(defaultDatum), timestamps);
    this.#state = { exact: this.#exact, builder: this.#builder, columnOf, p: 0, end: 0, row: 0, rowsMax: BATCH_ROWS_MAX, line: 0, starts: NO_RECORDS, ends: NO_RECORDS, backslash: -1 };
  }

  get rows(): number {
    return this.#builder.rows;
  }

  get lines(): number {
    return this.#state.line;
  }

  begin(block: Buffer): void {
    this.#block = block;
    this.#view = viewOf(block);
    this.#state.line = 0;
    this.#state.backslash = -1;
    this.#exact.begin(block);
    this.#utf8To = -1;
  }

  beginRecords(block: Buffer, records: RecordList): void {
    assert(this.#apart || this.#compiles === 0, 'a decoder takes lines or records, not both');
    this.#apart = true;
    this.begin(block);
    this.#state.starts = records.starts;
    this.#state.ends = records.ends;
    const { count } = records;
    this.#utf8 = count === 0 || isUtf8(block.subarray(records.starts[0], records.ends[count - 1]));
  }

  decodeRecords(to: number, rowsMax: number, bad: (span: BadSpan) => void): number {
    const s = this.#state;
    const b = this.#builder;
    s.row = b.rows;
    s.rowsMax = Math.min(rowsMax, BATCH_ROWS_MAX);
    while (s.line < to && s.row < s.rowsMax) {
      if (this.#compiled !== null && this.#utf8) {
        const unread = this.#compiled(s, this.#block, this.#view, to);
        b.rows = s.row;
        if (!unread) break;
      } else {
        s.p = s.starts[s.line];
        s.end = s.ends[s.line];
      }
      this.#slow(bad);
      b.rows = s.row;
    }
    return s.line;
  }

  decode(from: number, to: number, rowsMax: number, bad: (span: BadSpan) => void): number {
    const s = this.#state;
    const b = this.#builder;
    if (to !== this.#utf8To) {
      this.#utf8 = isUtf8(this.#block.subarray(from, to));
      this.#utf8To = to;
    }
    s.p = from;
    s.row = b.rows;
    s.rowsMax = Math.min(rowsMax, BATCH_ROWS_MAX);
    while (s.p < to && s.row < s.rowsMax) {
      if (this.#compiled !== null && this.#utf8) {
        const unread = this.#compiled(s, this.#block, this.#view, to);
        b.rows = s.row;
        if (!unread) break;
      } else {
        const e = this.#block.indexOf(10, s.p);
        s.end = e < 0 || e > to ? to : e;
      }
      this.#slow(bad);
      b.rows = s.row;
    }
    return Math.min(s.p, to);
  }

  #slow(bad: (span: BadSpan) => void): void {
    const s = this.#state;
    const b = this.#builder;
    const start = s.p;
    const end = s.end;
    const index = s.line;
    // As it came: reading a record unescapes its texts in the block.
    const sample = this.#compiles < LAYOUT_COMPILES_MAX && end - start <= SAMPLE_BYTES_MAX ? this.#copied(start, end) : null;
    s.p = end + 1;
    s.line++;
    b.clearRow(s.row);
    this.#exact.abandon();
    if (isBlank(this.#block, start, end)) {
      if (this.#apart) bad({ start, end, index, reason: 'the value is empty' });
      return;
    }
    try {
      if (!this.#utf8 && !isUtf8(this.#block.subarray(start, end))) throw new BadValue('invalid byte sequence for encoding "UTF8"');
      this.#exact.record(s.row, start, end);
    } catch (e) {
      if (!(e instanceof BadValue)) throw e;
      b.clearRow(s.row);
      this.#exact.abandon();
      b.rows = s.row;
      bad({ start, end, index, reason: e.message });
      return;
    }
    b.rowStart[s.row] = start;
    b.rowIndex[s.row] = index;
    s.row++;
    if (this.#exact.layoutVersion !== this.#compiledVersion && this.#compiles < LAYOUT_COMPILES_MAX) {
      this.#compiledVersion = this.#exact.layoutVersion;
      this.#compiles++;
      this.#compiled = compileLayout(this.#exact, this.#fields, this.#state, this.#apart, this.#compiles < LAYOUT_COMPILES_MAX);
      if (sample !== null) this.#samples.push(Buffer.from(sample));
      b.rows = s.row;
      this.#train(this.#compiled);
    }
  }

  #copied(start: number, end: number): Buffer {
    this.#block.copy(this.#sample, 0, start, end);
    return this.#sample.subarray(0, end - start);
  }

  /**
   * Runs the code over the records that the layout came from, and drops their rows. The engine optimises the code after some hundred records, for the
   * ways through it that were taken by then, and has to begin again when a rare kind of record (one in fifty) takes another.
   */
  #train(compiled: LayoutDecoder): void {
    const s = this.#state;
    const b = this.#builder;
    const records = this.#samples;
    if (s.row + records.length > BATCH_ROWS_MAX) return;
    const whole = Buffer.concat(records.flatMap((r) => [r, LINE_END]));
    const block = newBlock(whole.length);
    const starts = new Int32Array(records.length);
    const ends = new Int32Array(records.length);
    let to = 0;
    records.forEach((r, i) => {
      starts[i] = to;
      ends[i] = to + r.length;
      to = ends[i] + 1;
    });
    const { p, end, row, rowsMax, line, backslash } = s;
    const given = { starts: s.starts, ends: s.ends };
    const scales = b.columns.map((c) => c.scale);
    const view = viewOf(block);
    let most = row;
    // Each time as a block of its own: what happens once a block is seen as often, and a round leaves its texts unescaped.
    for (let k = 0; k < TRAINING_ROUNDS; k++) {
      whole.copy(block);
      this.#exact.begin(block);
      Object.assign(s, { p: 0, row, line: 0, rowsMax: BATCH_ROWS_MAX, backslash: -1, starts, ends });
      compiled(s, block, view, this.#apart ? records.length : to);
      most = Math.max(most, s.row);
    }
    // The one at `most` may have been begun.
    for (let r = row; r <= Math.min(most, BATCH_ROWS_MAX - 1); r++) b.clearRow(r);
    b.columns.forEach((c, i) => { c.scale = scales[i]; });
    Object.assign(s, { p, end, row, rowsMax, line, backslash, ...given });
    this.#exact.begin(this.#block);
  }

  finish(metadata: Metadata): Batch {
    const { rows, rowStart, rowIndex } = this.#builder;
    const extra = this.#fields.map((f): Vector | null => (f.metadata === null ? null : metadata(f, rows, rowStart, rowIndex)));
    const read = this.#builder.finish(this.#block);
    let next = 0;
    return { length: rows, columns: extra.map((v) => v ?? read.columns[next++]), weights: null };
  }

  lastBorder(block: Buffer, from: number, to: number): number {
    const at = block.subarray(0, to).lastIndexOf(10);
    return at < from ? -1 : at + 1;
  }

  recordEnd(block: Buffer, from: number, to: number): number {
    const at = block.indexOf(10, from);
    return at < 0 || at >= to ? -1 : at + 1;
  }

  get refers(): boolean { return this.#builder.refers; }
  readonly needsHeader = false;
  header(): void { /* JSON has none */ }
}

function isBlank(d: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (d[i] !== 32 && d[i] !== 9 && d[i] !== 13) return false;
  return true;
}
