/**
 * One side of a join: its keys, and the rows it keeps. An append-only side keeps them in a row log (rows are only added: no counts to merge, no
 * search), another one in a group table, ordered by a hash of the row and its bytes, with counts.
 */
import { hashBytes } from '../../types/encoding/hash.js';
import { RowCodec } from '../../types/encoding/row.js';
import type { JoinNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { KeyList, residentKeys } from '../aggregates/groupkeys.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { keyEncoder, type KeyBatch, type KeyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { OperatorContext } from '../operator.js';
import type { RowLog } from '../state/rowlog.js';
import type { GroupTable } from '../state/table.js';
import { datumAt } from '../vectors.js';

/** An ordered entry's subkey: hash of the row, then the row. Rows of a group have long common beginnings; their hashes differ in the first byte. */
const ROW_AT = 4;

/** A stored row in `data` from `rowAt` to `rowEnd`. */
export type RowVisitor = (data: Uint8Array, rowAt: number, rowEnd: number, count: number) => void;

export class JoinSide {
  readonly types: readonly SqlType[];
  readonly keys: KeyEncoder;
  readonly rows: (batch: Batch) => RowBytes;
  /** Append-only sides. */
  readonly log: RowLog | null;
  /** First output column of this side. */
  readonly first: number;
  /** This side's rows come with NULLs for the other one when nothing matches. */
  readonly preserved: boolean;
  /** Time of each row of the last batch given to `times`. */
  #ends: Float64Array = new Float64Array(0);
  readonly #end: { readonly column: number; readonly addUs: number } | null;
  /** state_ttl, of a side whose rows have no end. */
  readonly #ttl: NonNullable<OperatorContext['ttl']> | null;
  readonly #table: GroupTable | null;
  readonly #codec: RowCodec;
  #subkey = new Uint8Array(256);

  constructor(context: OperatorContext, k: 0 | 1, columns: readonly Column[], keys: readonly number[], appendOnly: boolean, first: number, preserved: boolean, end: JoinNode['leftEnds'], expires = false) {
    this.types = columns.map(c => c.type);
    this.keys = keyEncoder(this.types, keys);
    this.rows = rowEncoder(this.types);
    this.log = appendOnly ? context.rowLog(k) : null;
    this.#end = end ?? null;
    this.#ttl = expires && end === undefined && this.log !== null && !context.batchMode ? context.ttl ?? null : null;
    if (this.log !== null && (end !== undefined || this.#ttl !== null)) this.log.timed = true;
    this.#table = appendOnly ? null : context.groupTable(k, 'ordered');
    this.#codec = new RowCodec(this.types);
    this.first = first;
    this.preserved = preserved;
  }

  prefetch(keys: KeyBatch): Promise<void> | null { return this.log !== null ? this.log.prefetch(keys) : this.#table === null ? null : this.#table.prefetch(keys); }

  /** Before `add` of a batch's rows: when they end. */
  times(batch: Batch): void {
    if (this.#end === null) {
      const ttl = this.#ttl;
      if (ttl !== null) this.#oldAfter(batch.length, ttl.nowUs() + ttl.us);
      return;
    }
    const { column, addUs } = this.#end;
    const v = batch.columns[column];
    if (this.#ends.length < batch.length) this.#ends = new Float64Array(batch.length);
    const ends = this.#ends;
    if (v.form === 'f64' && v.nulls === null) {
      for (let i = 0; i < batch.length; i++) ends[i] = v.values[i] + addUs;
      return;
    }
    for (let i = 0; i < batch.length; i++) {
      const us = datumAt(this.types[column], v, i);
      // A NULL meets nothing.
      ends[i] = us === null ? -Infinity : Number(us) + addUs;
    }
  }

  #oldAfter(rows: number, us: number): void {
    if (this.#ends.length < rows) this.#ends = new Float64Array(rows);
    this.#ends.fill(us, 0, rows);
  }

  /** At a barrier: rows that ended, or are too old, go. */
  free(watermarkUs: number, nowUs: number): void {
    if (this.#end !== null) this.log?.trim(watermarkUs);
    else if (this.#ttl !== null) this.log?.trim(nowUs);
  }

  add(keys: KeyBatch, i: number, rows: RowBytes, weight: number): void {
    if (this.log !== null) {
      if (!this.log.timed) this.log.add(keys, i, rows, weight);
      else this.log.add(keys, i, rows, weight, this.#ends[i]);
      return;
    }
    const { data } = rows;
    const from = rows.start[i];
    const to = rows.end[i];
    const length = ROW_AT + to - from;
    if (this.#subkey.length < length) this.#subkey = new Uint8Array(length * 2);
    const subkey = this.#subkey;
    const hash = hashBytes(data, from, to);
    subkey[0] = hash;
    subkey[1] = hash >>> 8;
    subkey[2] = hash >>> 16;
    subkey[3] = hash >>> 24;
    for (let p = from, at = ROW_AT; p < to; p++) subkey[at++] = data[p];
    this.#table?.add(keys, i, subkey, 0, length, data, 0, 0, weight);
  }

  /** True when no row has the key. */
  isEmpty(keys: KeyBatch, i: number): boolean { return this.log !== null ? !this.log.first(keys, i) : this.#table === null || this.#table.entries(keys, i) === 0; }

  /** Visits the rows with row i's key; the side must not be changed meanwhile. */
  visit(keys: KeyBatch, i: number, visit: RowVisitor): void {
    const { log } = this;
    if (log === null) {
      this.#table?.visit(keys, i, false, (data, subStart, subEnd, _payStart, _payEnd, count) => {
        visit(data, subStart + ROW_AT, subEnd, count);
        return true;
      });
      return;
    }
    for (let more = log.first(keys, i); more; more = log.next()) visit(log.data, log.rowAt, log.rowEnd, log.count);
  }

  /** All rows, with counts. */
  readAll(give: (batch: Batch) => void): void {
    const out = new BatchBuilder(this.types);
    const add: RowVisitor = (data, rowAt, _rowEnd, count) => {
      if (count > 0) out.appendStored(data, rowAt, count);
      if (out.length >= BATCH_ROWS_MAX) give(out.finish());
    };
    this.log?.forEach(add);
    const roots = this.#table?.roots;
    const keys = roots === undefined ? new KeyList() : residentKeys(roots);
    for (let k = 0; k < keys.length; k++) this.visit(keys, k, add);
    if (out.length > 0) give(out.finish());
  }

  /** The rows with row i's key as datums. */
  rowsOf(keys: KeyBatch, i: number): { readonly row: readonly Datum[]; readonly count: number }[] {
    const found: { row: readonly Datum[]; count: number }[] = [];
    this.visit(keys, i, (data, rowAt, rowEnd, count) => { found.push({ row: this.#codec.decode(data, rowAt, rowEnd), count }); });
    return found;
  }
}
