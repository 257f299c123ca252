/** ByteWriter: a growing byte buffer that encoders append to. One DataView over the buffer; all multi-byte numbers little-endian unless said. */
const START_BYTES = 256;

export class ByteWriter {
  bytes: Uint8Array;
  view: DataView;
  pos = 0;

  constructor(bytes = START_BYTES) {
    this.bytes = new Uint8Array(bytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `n` more bytes. */
  ensure(n: number): void {
    if (this.pos + n <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.pos + n));
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
  u8(v: number): void { this.ensure(1); this.bytes[this.pos++] = v; }
  i32(v: number): void { this.ensure(4); this.view.setInt32(this.pos, v, true); this.pos += 4; }
  /** One NaN: engines keep a NaN's sign and payload, and encodings give NaNs of other payloads a meaning. */
  f64(v: number): void {
    this.ensure(8);
    if (v === v) this.view.setFloat64(this.pos, v, true);
    else { this.view.setUint32(this.pos, 0, true); this.view.setUint32(this.pos + 4, 0x7ff80000, true); }
    this.pos += 8;
  }
  f32(v: number): void {
    this.ensure(4);
    if (v === v) this.view.setFloat32(this.pos, v, true);
    else this.view.setUint32(this.pos, 0x7fc00000, true);
    this.pos += 4;
  }
  i64(v: bigint): void { this.ensure(8); this.view.setBigInt64(this.pos, v, true); this.pos += 8; }
  /** Unsigned LEB128, up to 2^31. */
  varint(v: number): void {
    this.ensure(5);
    this.pos = putVarint(this.bytes, this.pos, v);
  }
  span(data: Uint8Array, start: number, end: number): void {
    const n = end - start;
    this.ensure(n);
    copyBytes(data, start, end, this.bytes, this.pos);
    this.pos += n;
  }
  /** Text as UTF-8 after its varint length. */
  text(s: string): void {
    const n = utf8Length(s);
    this.varint(n);
    this.utf8(s, n);
  }
  utf8(s: string, n = utf8Length(s)): void {
    this.ensure(n);
    if (n === s.length) { const to = this.bytes; let p = this.pos; for (let i = 0; i < n; i++) to[p++] = s.charCodeAt(i); }
    else Buffer.from(this.bytes.buffer, this.pos, n).write(s, 'utf8');
    this.pos += n;
  }
  /** A copy of what was written; the writer is empty afterwards. */
  take(): Uint8Array {
    const out = this.bytes.slice(0, this.pos);
    this.pos = 0;
    return out;
  }
}

/** Length of a string in UTF-8 (lone surrogates count as the 3 bytes of U+FFFD). */
export function utf8Length(s: string): number {
  let n = s.length;
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c < 0x80) continue;
    if (c < 0x800) n += 1;
    else if (c >= 0xd800 && c < 0xdc00 && i + 1 < s.length && (s.charCodeAt(i + 1) & 0xfc00) === 0xdc00) { n += 2; i++; }
    else n += 2;
  }
  return n;
}

const ASCII_MAX = 24;

/** The Buffer over the bytes last asked for: values of one batch lie in one array, and making a Buffer costs more than most texts. */
let viewed: Uint8Array | null = null;
let view: Buffer = Buffer.alloc(0);

/** UTF-8 bytes as a string; short ASCII without a call into the decoder. */
export function utf8Text(data: Uint8Array, start: number, end: number): string {
  if (end - start <= ASCII_MAX) {
    let s = '';
    let i = start;
    for (; i < end; i++) { const c = data[i]; if (c > 127) break; s += String.fromCharCode(c); }
    if (i === end) return s;
  }
  if (data !== viewed) {
    view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    viewed = data;
  }
  return view.toString('utf8', start, end);
}

/** Bytes of a varint: one for each 7 bits begun. */
export const varintBytes = (v: number): number => ((38 - Math.clz32(v | 1)) * 37) >> 8;

/** Writes a varint into `to`, which has room; gives the position after it. */
export function putVarint(to: Uint8Array, at: number, v: number): number {
  while (v > 127) { to[at++] = (v & 127) | 128; v >>>= 7; }
  to[at++] = v;
  return at;
}

/** A 32-bit integer as an unsigned one: small ones of either sign are small. */
export const zigzag = (v: number): number => ((v << 1) ^ (v >> 31)) >>> 0;

/** Sign by the bytes' order; of two that begin alike the shorter comes first. */
export function compareSpans(a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number): number {
  const n = Math.min(aEnd - aStart, bEnd - bStart);
  for (let k = 0; k < n; k++) {
    const d = a[aStart + k] - b[bStart + k];
    if (d !== 0) return d;
  }
  return aEnd - aStart - (bEnd - bStart);
}

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Short copies as a loop: `set(subarray())` costs two objects and a call, as much as 40 turns. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > 40) to.set(from.subarray(start, end), at);
  else for (let p = start; p < end; p++) to[at++] = from[p];
}
