/**
 * BlockBatchBuilder: the columns of a batch while a decoder or generator fills them, row by row.
 *
 * A column has the vector form that its type usually takes (runtime/batch.ts); NULL is the state of an untouched cell, so a decoder
 * clears one null byte for each value it finds and does nothing for a missing one. A value that the form cannot hold (an int8
 * beyond 2^53, an unescaped text that is not in the block, a numeric of another scale) goes to `extras`, and `finish` then widens the
 * column's form for that batch only. Arrays are fresh for every batch, since batches are immutable once emitted.
 *
 * Cost: one typed-array store a value on the usual path; a Map entry a value in extras.
 */
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch, Vector } from '../../runtime/batch.js';
import { Numeric } from '../../types/numeric.js';
import type { SqlType } from '../../types/sqltype.js';
import { SAFE_MAX } from '../../types/value.js';
import type { Datum } from '../../types/value.js';
import { formatDatum } from '../../types/textio.js';

export type BuilderForm = 'f64' | 'bool' | 'bytes' | 'dec' | 'datum';

/** The form that a batch's vector of this type usually has. */
export function usualForm(type: SqlType): BuilderForm {
  switch (type.kind) {
    case 'int2': case 'int4': case 'int8': case 'float4': case 'float8': case 'date': case 'time': case 'timestamp': case 'timestamptz':
    case 'oid': case 'regclass': case 'regtype': case 'regproc': case 'regnamespace': case 'regrole':
      return 'f64';
    case 'bool':
      return 'bool';
    case 'text': case 'varchar': case 'bpchar': case 'name': case 'char': case 'uuid': case 'bytea':
      return 'bytes';
    case 'numeric':
      return 'dec';
    default:
      return 'datum';
  }
}

const EMPTY_BYTES = new Uint8Array(0);
const EMPTY_I32 = new Int32Array(0);
const EMPTY_F64 = new Float64Array(0);

export class ColumnBuilder {
  readonly type: SqlType;
  readonly form: BuilderForm;
  values: Float64Array | Uint8Array = EMPTY_F64;
  start: Int32Array = EMPTY_I32;
  end: Int32Array = EMPTY_I32;
  nulls: Uint8Array = EMPTY_BYTES;
  datums: Datum[] = [];
  /** Values that the form cannot hold, by row; their null byte is 0. */
  extras: Map<number, Datum> | null = null;
  /** Scale of a dec column: the declared one, else that of the batch's first value (-1 = none yet). */
  scale = -1;
  readonly #declaredScale: number;

  constructor(type: SqlType) {
    this.type = type;
    this.form = usualForm(type);
    const mod = type.kind === 'numeric' ? type.mod : undefined;
    this.#declaredScale = mod === undefined || mod < 0 ? -1 : numericScale(mod);
  }

  reset(): void {
    this.extras = null;
    this.scale = this.#declaredScale;
    if (this.form === 'datum') {
      this.datums = [];
      return;
    }
    this.nulls = new Uint8Array(BATCH_ROWS_MAX).fill(1);
    if (this.form === 'bool') this.values = new Uint8Array(BATCH_ROWS_MAX);
    else if (this.form === 'bytes') {
      this.start = new Int32Array(BATCH_ROWS_MAX);
      this.end = new Int32Array(BATCH_ROWS_MAX);
    } else this.values = new Float64Array(BATCH_ROWS_MAX);
  }

  /** The row's cell becomes NULL again (a record that turned out bad half-way). */
  clear(row: number): void {
    if (this.form === 'datum') this.datums[row] = null;
    else this.nulls[row] = 1;
    if (this.extras !== null) this.extras.delete(row);
  }

  /** A datum of the column's type, in its canonical form. Clear cell only. */
  set(row: number, v: Datum): void {
    if (this.form === 'datum') {
      this.datums[row] = v;
      return;
    }
    if (v === null) return;
    this.nulls[row] = 0;
    if (this.form === 'f64' && typeof v === 'number') this.values[row] = v;
    else if (this.form === 'bool' && typeof v === 'boolean') this.values[row] = v ? 1 : 0;
    else if (this.form === 'dec' && v instanceof Numeric && this.#fits(v)) this.values[row] = Number(v.coef);
    else (this.extras ??= new Map()).set(row, v);
  }

  /** A span of the block, for bytes columns. Clear cell only. */
  setSpan(row: number, start: number, end: number): void {
    this.nulls[row] = 0;
    this.start[row] = start;
    this.end[row] = end;
  }

  #fits(v: Numeric): boolean {
    if (v.kind !== 'finite' || typeof v.coef === 'bigint' || v.coef > SAFE_MAX || v.coef < -SAFE_MAX) return false;
    if (this.scale < 0) this.scale = v.scale;
    return this.scale === v.scale;
  }

  finish(rows: number, data: Uint8Array): Vector {
    if (this.form === 'datum') {
      for (let i = 0; i < rows; i++) if (this.datums[i] === undefined) this.datums[i] = null;
      this.datums.length = rows;
      return { form: 'datum', values: this.datums, nulls: null };
    }
    if (this.extras !== null && this.extras.size > 0) return this.#widen(rows, data, this.extras);
    const firstNull = this.nulls.indexOf(1);
    const nulls = firstNull >= 0 && firstNull < rows ? this.nulls.subarray(0, rows) : null;
    switch (this.form) {
      case 'bytes': return { form: 'bytes', data, start: this.start.subarray(0, rows), end: this.end.subarray(0, rows), nulls };
      case 'bool': return { form: 'bool', values: this.values.subarray(0, rows) as Uint8Array, nulls };
      case 'dec': return { form: 'dec', values: this.values.subarray(0, rows) as Float64Array, scale: Math.max(this.scale, 0), nulls };
      case 'f64': return { form: 'f64', values: this.values.subarray(0, rows) as Float64Array, nulls };
    }
  }

  /** i64 when every value is an integer within 64 bits, else datums. */
  #widen(rows: number, data: Uint8Array, extras: ReadonlyMap<number, Datum>): Vector {
    const integer = this.form === 'f64' && [...extras.values()].every((v) => typeof v === 'bigint') && this.type.kind !== 'float8';
    if (integer) {
      const out = new BigInt64Array(rows);
      let finite = true;
      for (let i = 0; i < rows && finite; i++) {
        if (this.nulls[i] === 1) continue;
        const extra = extras.get(i);
        const v = this.values[i];
        if (typeof extra === 'bigint') out[i] = extra;
        else if (Number.isFinite(v)) out[i] = BigInt(v);
        else finite = false;
      }
      const nulls = this.nulls.subarray(0, rows);
      if (finite) return { form: 'i64', values: out, nulls: nulls.includes(1) ? nulls : null };
    }
    if (this.form === 'bytes') return this.#textWidened(rows, data, extras);
    const values: Datum[] = [];
    for (let i = 0; i < rows; i++) values.push(this.nulls[i] === 1 ? null : (extras.get(i) ?? this.#datum(i)));
    return { form: 'datum', values, nulls: null };
  }

  #datum(i: number): Datum {
    const v = this.values[i];
    if (this.form === 'bool') return v === 1;
    return this.form === 'dec' ? Numeric.of(v, this.scale) : v;
  }

  /** Copies the block's spans and the extra values into bytes of the column's own. */
  #textWidened(rows: number, data: Uint8Array, extras: ReadonlyMap<number, Datum>): Vector {
    const bytes = new Map<number, Uint8Array>();
    let total = 0;
    for (let i = 0; i < rows; i++) {
      if (this.nulls[i] === 1) continue;
      const v = extras.get(i);
      if (v === undefined || v === null) total += this.end[i] - this.start[i];
      else {
        const b = v instanceof Uint8Array ? v : Buffer.from(typeof v === 'string' ? v : formatDatum(this.type, v));
        bytes.set(i, b);
        total += b.length;
      }
    }
    const out = new Uint8Array(total);
    const start = new Int32Array(rows);
    const end = new Int32Array(rows);
    let at = 0;
    for (let i = 0; i < rows; i++) {
      start[i] = at;
      if (this.nulls[i] === 0) {
        const b = bytes.get(i) ?? data.subarray(this.start[i], this.end[i]);
        out.set(b, at);
        at += b.length;
      }
      end[i] = at;
    }
    const nulls = this.nulls.subarray(0, rows);
    return { form: 'bytes', data: out, start, end, nulls: nulls.includes(1) ? nulls : null };
  }
}

/** Scale of a numeric's typmod as PostgreSQL packs it: ((precision << 16) | (scale & 0x7ff)) + 4. A negative scale counts as 0 digits. */
function numericScale(mod: number): number {
  const s = (mod - 4) & 0x7ff;
  return Math.max((s ^ 1024) - 1024, 0);
}

export class BlockBatchBuilder {
  readonly columns: readonly ColumnBuilder[];
  rows = 0;
  /** Where each row's record starts in the block. */
  rowStart = new Int32Array(BATCH_ROWS_MAX);
  /** Which line or message of the block each row came from. */
  rowIndex = new Int32Array(BATCH_ROWS_MAX);

  constructor(types: readonly SqlType[]) {
    this.columns = types.map((t) => new ColumnBuilder(t));
    this.reset();
  }

  /** Whether batches hold spans of `data`. */
  get refers(): boolean { return this.columns.some((c) => c.form === 'bytes'); }

  reset(): void {
    this.rows = 0;
    for (const c of this.columns) c.reset();
  }

  clearRow(row: number): void {
    for (const c of this.columns) c.clear(row);
  }

  /** The batch of the rows so far; spans lie in `data`. The builder is empty afterwards. */
  finish(data: Uint8Array): Batch {
    const rows = this.rows;
    const batch: Batch = { length: rows, columns: this.columns.map((c) => c.finish(rows, data)), weights: null };
    this.reset();
    return batch;
  }
}
