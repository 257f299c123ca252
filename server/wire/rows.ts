/**
 * RowEncoder: batches → DataRow messages, column bytes straight into one buffer.
 *
 * For every batch a writer per column is chosen from the vector's form, the type and the format; then rows are written one after the
 * other: integers digit by digit, booleans, text spans copied, scaled decimals with their point, everything else through the type's
 * text or binary output. No object, string or buffer is made per row for those. The caller takes the buffer when it is full enough.
 */
import type { Batch, BytesVector, DecVector, F64Vector, Vector } from '../../runtime/batch.js';
import { datumAt } from '../../runtime/vectors.js';
import { sendDatum } from '../../types/binaryio.js';
import { formatDatum, type IoContext } from '../../types/textio.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { formatOf } from './encoder.js';
import type { Format } from './messages.js';

const DATA_ROW = 'D'.charCodeAt(0);
const ZERO = 48;
const MINUS = 45;
const POINT = 46;
const FIRST_BYTES = 16 << 10;

/** Writes the value of a row that is not NULL, without its length. */
type Write = (row: number) => void;

export class RowEncoder {
  readonly #types: readonly SqlType[];
  readonly #formats: readonly Format[];
  readonly #io: IoContext;
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;

  constructor(columns: readonly Column[], formats: readonly Format[], io: IoContext) {
    this.#types = columns.map((c) => (c.type.kind === 'unknown' ? { kind: 'text' } : c.type));
    this.#formats = columns.map((_, i) => formatOf(formats, i));
    this.#io = io;
  }

  /** DataRow messages of rows [from, to) of a batch. */
  encode(batch: Batch, from: number, to: number): Buffer {
    this.#buffer = Buffer.allocUnsafe(Math.max(FIRST_BYTES, Math.min(1 << 20, (to - from) * 32)));
    this.#at = 0;
    const count = this.#types.length;
    const nulls: (Uint8Array | null)[] = [];
    const datums: (readonly unknown[] | null)[] = [];
    const writes: Write[] = [];
    for (let c = 0; c < count; c++) {
      const vector = batch.columns[c];
      if (vector === undefined) throw new Error(`column ${c} is missing in the batch`);
      nulls.push(vector.nulls);
      datums.push(vector.form === 'datum' ? vector.values : null);
      writes.push(this.#write(c, vector));
    }
    for (let row = from; row < to; row++) {
      this.#room(7);
      const start = this.#at;
      this.#buffer[start] = DATA_ROW;
      this.#at = start + 5;
      this.#int16(count);
      for (let c = 0; c < count; c++) {
        const map = nulls[c];
        const values = datums[c];
        const isNull = values === null || values === undefined ? map !== null && map !== undefined && map[row] === 1 : values[row] === null;
        this.#room(4);
        if (isNull) { this.#int32(-1); continue; }
        const at = this.#at;
        this.#at = at + 4;
        writes[c]?.(row);
        this.#buffer.writeInt32BE(this.#at - at - 4, at);
      }
      this.#buffer.writeInt32BE(this.#at - start - 1, start + 1);
    }
    return this.#buffer.subarray(0, this.#at);
  }

  #write(column: number, vector: Vector): Write {
    const type = this.#types[column] ?? { kind: 'text' };
    const kind = type.kind;
    if (this.#formats[column] === 1) return this.#writeBinary(type, vector);
    if (vector.form === 'f64' && (kind === 'int2' || kind === 'int4' || kind === 'int8' || kind === 'oid')) return this.#textInteger(vector);
    if (vector.form === 'bool') return (row) => { this.#room(1); this.#buffer[this.#at++] = vector.values[row] === 1 ? 116 : 102; };
    if (vector.form === 'bytes' && kind !== 'bytea') return this.#span(vector);
    if (vector.form === 'dec' && kind === 'numeric') return this.#textDecimal(vector);
    return (row) => { this.#string(formatDatum(type, datumAt(type, vector, row), this.#io)); };
  }

  #writeBinary(type: SqlType, vector: Vector): Write {
    const kind = type.kind;
    if (vector.form === 'f64') {
      const { values } = vector;
      if (kind === 'int2') return (row) => { this.#room(2); this.#int16(values[row] ?? 0); };
      if (kind === 'int4') return (row) => { this.#room(4); this.#int32(values[row] ?? 0); };
      if (kind === 'float8') return (row) => { this.#room(8); this.#at = this.#buffer.writeDoubleBE(values[row] ?? 0, this.#at); };
      if (kind === 'float4') return (row) => { this.#room(4); this.#at = this.#buffer.writeFloatBE(values[row] ?? 0, this.#at); };
      if (kind === 'int8') {
        return (row) => {
          const v = values[row] ?? 0;
          this.#room(8);
          const high = Math.floor(v / 4294967296);
          this.#int32(high);
          this.#int32((v - high * 4294967296) | 0);
        };
      }
    }
    if (vector.form === 'bool') return (row) => { this.#room(1); this.#buffer[this.#at++] = vector.values[row] ?? 0; };
    if (vector.form === 'bytes' && (kind === 'text' || kind === 'varchar' || kind === 'bpchar' || kind === 'name' || kind === 'bytea' || kind === 'json')) return this.#span(vector);
    return (row) => { this.#bytes(sendDatum(type, datumAt(type, vector, row), this.#io)); };
  }

  #textInteger(vector: F64Vector): Write {
    const { values } = vector;
    return (row) => {
      this.#room(20);
      let v = values[row] ?? 0;
      if (v < 0) { this.#buffer[this.#at++] = MINUS; v = -v; }
      this.#digits(v);
    };
  }

  /** unscaled / 10^scale with exactly `scale` digits behind the point. */
  #textDecimal(vector: DecVector): Write {
    const { values, scale } = vector;
    const power = 10 ** scale;
    if (scale > 15) return (row) => { this.#string(formatDatum({ kind: 'numeric' }, datumAt({ kind: 'numeric' }, vector, row), this.#io)); };
    return (row) => {
      this.#room(36);
      let v = values[row] ?? 0;
      if (v < 0) { this.#buffer[this.#at++] = MINUS; v = -v; }
      const whole = Math.floor(v / power);
      this.#digits(whole);
      if (scale === 0) return;
      this.#buffer[this.#at++] = POINT;
      let fraction = v - whole * power;
      const end = this.#at + scale;
      for (let k = end - 1; k >= this.#at; k--) {
        const next = Math.floor(fraction / 10);
        this.#buffer[k] = ZERO + (fraction - next * 10);
        fraction = next;
      }
      this.#at = end;
    };
  }

  /** Digits of an integer 0 <= v <= 2^53. */
  #digits(v: number): void {
    let length = 1;
    for (let limit = 10; v >= limit; limit *= 10) length++;
    const end = this.#at + length;
    let rest = v;
    for (let k = end - 1; k >= this.#at; k--) {
      const next = Math.floor(rest / 10);
      this.#buffer[k] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.#at = end;
  }

  #span(vector: BytesVector): Write {
    const { data, start, end } = vector;
    return (row) => {
      const from = start[row] ?? 0;
      const to = end[row] ?? 0;
      this.#room(to - from);
      // Short spans: a loop beats the call into native code.
      if (to - from < 24) for (let k = from; k < to; k++) this.#buffer[this.#at++] = data[k] ?? 0;
      else { this.#buffer.set(data.subarray(from, to), this.#at); this.#at += to - from; }
    };
  }

  #string(text: string): void {
    this.#room(text.length * 3);
    this.#at += this.#buffer.write(text, this.#at, 'utf8');
  }
  #bytes(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }
  #int16(v: number): void {
    this.#buffer[this.#at++] = (v >> 8) & 0xff;
    this.#buffer[this.#at++] = v & 0xff;
  }
  #int32(v: number): void {
    this.#buffer[this.#at++] = (v >>> 24) & 0xff;
    this.#buffer[this.#at++] = (v >>> 16) & 0xff;
    this.#buffer[this.#at++] = (v >>> 8) & 0xff;
    this.#buffer[this.#at++] = v & 0xff;
  }
  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
