/**
 * What a format gives a source: a decoder that turns blocks of bytes into batches, and what both share.
 *
 * A block is a buffer whose last DECODE_PAD bytes are '"' (they stop scans), filled with whole records from `from` to `to`.
 * Batches' text columns are spans of the block: where there are some (`refers`) it is not written to again, except that a decoder unescapes strings in place.
 */
import type { Batch, Vector } from '../../runtime/batch.js';
import type { SourceField } from '../../types/plan.js';
import type { Expr } from '../../types/expr.js';
import { SqlError } from '../../types/error.js';
import { parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import type { SqlType } from '../../types/sqltype.js';

/** Bytes after a block's records that a decoder may read. */
export const DECODE_PAD = 256;

export function newBlock(bytes: number): Buffer {
  const b = Buffer.allocUnsafeSlow(bytes + DECODE_PAD);
  b.fill(34, bytes);
  return b;
}

/** Puts what stops scans behind the bytes of a block that is used again. */
export function endBlock(block: Buffer, bytes: number): void { block.fill(34, bytes, bytes + DECODE_PAD); }

export interface BadSpan {
  readonly start: number;
  readonly end: number;
  /** Line or message of the block, from 0. */
  readonly index: number;
  readonly reason: string;
}

/** Vector of a metadata column for `rows` rows; where each came from is in rowStart (block offset) and rowIndex (line or message of the block). */
export type Metadata = (field: SourceField, rows: number, rowStart: Int32Array, rowIndex: Int32Array) => Vector;

export interface BlockDecoder {
  /** Rows decoded since the last finish(). */
  readonly rows: number;
  /** Lines consumed since begin(). */
  readonly lines: number;
  /** A new block; the rows of the old one must be finished. */
  begin(block: Buffer): void;
  /** Records in [from, to), until `rowsMax` (at most BATCH_ROWS_MAX) rows are there; gives the position after the last record. Bad ones go to `bad`, which may throw. */
  decode(from: number, to: number, rowsMax: number, bad: (span: BadSpan) => void): number;
  finish(metadata: Metadata): Batch;
  /** Position after the last whole record in [from, to), or −1. */
  lastBorder(block: Buffer, from: number, to: number): number;
  /** Position after the record that starts at `from`, or −1 when its end is not there. */
  recordEnd(block: Buffer, from: number, to: number): number;
  /** Whether batches hold spans of the block; else it may be written to again when the next one has begun. */
  readonly refers: boolean;
  /** CSV: the first record of a file names the columns. */
  readonly needsHeader: boolean;
  header(record: Buffer): void;
}

/** Records that stand in a block with other bytes between them: record i is block[starts[i], ends[i]). */
export interface RecordList { readonly starts: Int32Array; readonly ends: Int32Array; readonly count: number }

/** A decoder of records that a source found in a block itself (messages), which are decoded where they stand. */
export interface RecordDecoder extends BlockDecoder {
  /** A new block, in place of `begin`. The bytes between its records are ASCII, as the source has overwritten them. */
  beginRecords(block: Buffer, records: RecordList): void;
  /** Goes on up to record `to`, or until `rowsMax` rows are there; gives the record after the last one read (`lines`, too). An empty record is a bad one. */
  decodeRecords(to: number, rowsMax: number, bad: (span: BadSpan) => void): number;
}

/** Constant of a DEFAULT expression; undefined when the field has none. */
export function defaultDatum(field: SourceField): Datum | undefined {
  if (field.defaultExpr === null) return undefined;
  const c = constant(field.defaultExpr);
  if (c === undefined) throw new SqlError('0A000', `DEFAULT of column "${field.name}" is not a constant, which is not supported in a stream`);
  return c.text === null ? null : parseDatum(field.type, c.text, { timeZone: 'UTC', nowUs: 0 });
}

function constant(e: Expr): { text: string | null; type: SqlType } | undefined {
  if (e.node === 'literal') return e;
  if (e.node === 'cast') return constant(e.arg);
  if (e.node === 'call' && e.fn.startsWith('-(') && e.args.length === 1) {
    const c = constant(e.args[0]);
    if (c === undefined || c.text === null) return c;
    return { text: c.text.startsWith('-') ? c.text.slice(1) : `-${c.text}`, type: c.type };
  }
  return undefined;
}
