/**
 * Record batches' compressions: gzip and zstd (where Node has it: from 22.15) by zlib, snappy and lz4 in JavaScript (about 0.5–1 GB/s of output).
 *
 *   snappy  raw blocks (format_description.txt of google/snappy), as librdkafka writes them, or the framing of snappy-java ("xerial"), as Java clients do:
 *           16 bytes of header, then length (4 bytes, big endian) and raw block, repeated
 *   lz4     frames (lz4_Frame_format.md): header, then blocks of length (4 bytes, little endian, top bit = not compressed) and bytes. Checksums
 *           are not looked at. Matches may reach into earlier blocks.
 *
 * What does not decode is 22P03 for the batch, never silence; more than UNPACKED_BYTES_MAX of output is 54000.
 */
import * as zlib from 'node:zlib';
import { SqlError } from '../../types/error.js';

const UNPACKED_BYTES_MAX = 256 << 20;
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;
const LZ4_MAGIC = 0x184d2204;

type Sync = (b: Uint8Array, options: { maxOutputLength: number }) => Buffer;
const zstd = (zlib as unknown as { zstdDecompressSync?: Sync }).zstdDecompressSync;

/** Whether zstd can be read by this Node. */
export const ZSTD_AVAILABLE = zstd !== undefined;

export function decompress(codec: number, packed: Buffer): Buffer {
  try {
    switch (codec) {
      case 1: return zlib.gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
      case 2: return snappy(packed);
      case 3: return lz4(packed);
      case 4: if (zstd !== undefined) return zstd(packed, { maxOutputLength: UNPACKED_BYTES_MAX });
    }
  } catch (e) {
    if (e instanceof SqlError) throw e;
    if (e instanceof Error && (e as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new SqlError('22P03', `a record batch cannot be decompressed (${COMPRESSIONS[codec]})`, { cause: e });
  }
  throw new SqlError('0A000', `${COMPRESSIONS[codec] ?? `unknown (${codec})`} compression of Kafka records is not supported${codec === 4 ? ` by Node.js ${process.versions.node}` : ''}`, {
    hint: codec === 4 ? 'Run Millrace with Node.js 22.15 or later, or produce with compression.type = lz4, snappy, gzip or none.' : 'Produce with compression.type = lz4, snappy, gzip or none.',
  });
}

function tooLarge(): SqlError {
  return new SqlError('54000', `a record batch has more than ${UNPACKED_BYTES_MAX} bytes uncompressed`);
}

class Broken extends Error {}

/** Output that grows; positions are checked by the callers. */
class Output {
  bytes: Buffer;
  at = 0;

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(Math.min(bytes, UNPACKED_BYTES_MAX));
  }

  room(bytes: number): Buffer {
    const need = this.at + bytes;
    if (need > this.bytes.length) {
      if (need > UNPACKED_BYTES_MAX) throw tooLarge();
      const wider = Buffer.allocUnsafeSlow(Math.min(Math.max(need, this.bytes.length * 2), UNPACKED_BYTES_MAX));
      this.bytes.copy(wider, 0, 0, this.at);
      this.bytes = wider;
    }
    return this.bytes;
  }

  literal(b: Buffer, from: number, bytes: number, to: number): void {
    if (from + bytes > to) throw new Broken('literal beyond the end');
    const out = this.room(bytes);
    if (bytes > 32) b.copy(out, this.at, from, from + bytes);
    else for (let i = 0; i < bytes; i++) out[this.at + i] = b[from + i];
    this.at += bytes;
  }

  match(distance: number, bytes: number): void {
    if (distance === 0 || distance > this.at) throw new Broken('match before the start');
    const out = this.room(bytes);
    const from = this.at - distance;
    if (bytes > 64 && distance >= bytes) out.copyWithin(this.at, from, from + bytes);
    else for (let i = 0; i < bytes; i++) out[this.at + i] = out[from + i];
    this.at += bytes;
  }
}

function snappy(b: Buffer): Buffer {
  const out = new Output(b.length * 4);
  if (b.length < XERIAL_HEADER_BYTES || b.compare(XERIAL, 0, XERIAL.length, 0, XERIAL.length) !== 0) snappyBlock(b, 0, b.length, out);
  else {
    for (let p = XERIAL_HEADER_BYTES; p < b.length;) {
      const to = p + 4 + b.readUInt32BE(p);
      if (to > b.length) throw new Broken('block beyond the end');
      snappyBlock(b, p + 4, to, out);
      p = to;
    }
  }
  return out.bytes.subarray(0, out.at);
}

function snappyBlock(b: Buffer, from: number, to: number, out: Output): void {
  let p = from;
  let size = 0;
  for (let shift = 1; ; shift *= 128) {
    if (p >= to || shift > 128 ** 4) throw new Broken('no length');
    const c = b[p++];
    size += (c & 0x7f) * shift;
    if (c < 0x80) break;
  }
  const end = out.at + size;
  out.room(size);
  while (p < to) {
    const tag = b[p++];
    let length = (tag >> 2) + 1;
    switch (tag & 3) {
      case 0:
        if (length > 60) {
          const extra = length - 60;
          if (p + extra > to) throw new Broken('length beyond the end');
          length = b.readUIntLE(p, extra) + 1;
          p += extra;
        }
        out.literal(b, p, length, to);
        p += length;
        break;
      case 1:
        if (p >= to) throw new Broken('offset beyond the end');
        out.match(((tag >> 5) << 8) | b[p++], ((tag >> 2) & 7) + 4);
        break;
      default: {
        const bytes = (tag & 3) === 2 ? 2 : 4;
        if (p + bytes > to) throw new Broken('offset beyond the end');
        out.match(b.readUIntLE(p, bytes), length);
        p += bytes;
      }
    }
  }
  if (out.at !== end) throw new Broken('length is not that announced');
}

function lz4(b: Buffer): Buffer {
  const out = new Output(b.length * 4);
  for (let p = 0; p < b.length;) p = lz4Frame(b, p, out);
  return out.bytes.subarray(0, out.at);
}

function lz4Frame(b: Buffer, from: number, out: Output): number {
  if (b.readUInt32LE(from) !== LZ4_MAGIC) throw new Broken('no frame');
  const flags = b[from + 4];
  let p = from + 7 + ((flags & 8) !== 0 ? 8 : 0) + ((flags & 1) !== 0 ? 4 : 0);
  for (;;) {
    const word = b.readUInt32LE(p);
    p += 4;
    if (word === 0) break;
    const to = p + (word & 0x7fffffff);
    if (to > b.length) throw new Broken('block beyond the end');
    if (word > 0x7fffffff) out.literal(b, p, to - p, to);
    else lz4Block(b, p, to, out);
    p = to + ((flags & 16) !== 0 ? 4 : 0);
  }
  return p + ((flags & 4) !== 0 ? 4 : 0);
}

function lz4Block(b: Buffer, from: number, to: number, out: Output): void {
  for (let p = from; p < to;) {
    const token = b[p++];
    let length = token >> 4;
    if (length === 15) for (let c = 255; c === 255 && p < to;) length += c = b[p++];
    out.literal(b, p, length, to);
    p += length;
    if (p >= to) return;
    const distance = b[p] | (b[p + 1] << 8);
    p += 2;
    length = token & 15;
    if (length === 15) for (let c = 255; c === 255 && p < to;) length += c = b[p++];
    out.match(distance, length + 4);
  }
}
