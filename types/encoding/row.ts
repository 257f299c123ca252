/**
 * Row codec: a row as bytes, for state values, deltas, the table log and tables: a NULL bitmap of ceil(n/8) bytes (bit i%8 of byte i/8
 * set = NULL), then the identity encoding of each value that is not NULL, in column order. Another layout is another FORMAT of data directories
 * and STATE_FORMAT of checkpoints.
 */
import type { SqlType } from '../sqltype.js';
import type { Datum } from '../value.js';
import { ByteWriter } from './bytes.js';
import { ByteReader, readIdentity, writeIdentity } from './identity.js';

export class RowCodec {
  readonly types: readonly SqlType[];
  readonly #writer = new ByteWriter();
  readonly #reader = new ByteReader(new Uint8Array(0));

  constructor(types: readonly SqlType[]) { this.types = types; }

  encode(row: readonly Datum[]): Uint8Array {
    const w = this.#writer;
    w.pos = 0;
    this.write(w, row);
    return w.take();
  }

  write(w: ByteWriter, row: readonly Datum[]): void {
    const n = this.types.length;
    const bitmap = w.pos;
    const bytes = (n + 7) >> 3;
    w.ensure(bytes);
    for (let i = 0; i < bytes; i++) w.bytes[w.pos++] = 0;
    for (let i = 0; i < n; i++) {
      const v = row[i];
      if (v === null || v === undefined) w.bytes[bitmap + (i >> 3)] |= 1 << (i & 7);
      else writeIdentity(w, this.types[i], v);
    }
  }

  decode(data: Uint8Array, start: number, _end: number): Datum[] {
    const r = this.#reader;
    const n = this.types.length;
    r.reset(data, start + ((n + 7) >> 3));
    const row: Datum[] = [];
    for (let i = 0; i < n; i++) row.push((data[start + (i >> 3)] & (1 << (i & 7))) !== 0 ? null : readIdentity(r, this.types[i]));
    return row;
  }
}
