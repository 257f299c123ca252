/**
 * Fetch responses (versions 4–11) and record batches (magic 2, KIP-98) straight from their bytes: message values are copied into one block a
 * partition, a line each, which the JSON decoder takes whole. No object per message. Transactions: control records are passed over, and so
 * are records of aborted transactions, as READ_COMMITTED asks. CRCs are not checked (TCP's are). Compression: gzip.
 *
 * Message sets of magic 0 and 1 (before Kafka 0.11) are refused: brokers from 4.0 on convert or reject them.
 */
import { gunzipSync } from 'node:zlib';
import { SqlError } from '../../types/error.js';
import { newBlock } from '../formats/format.js';

/** What stands beside the values; kept only when a column asks. */
export interface MessageParts { readonly key: boolean; readonly headers: boolean; readonly timestamp: boolean }

export interface Chunk {
  readonly partition: number;
  readonly block: Buffer;
  /** End of the lines in the block; line i is message i. */
  readonly to: number;
  readonly offsets: Float64Array;
  readonly timestampsMs: Float64Array | null;
  readonly keys: readonly (Buffer | null)[] | null;
  readonly headers: readonly (readonly (readonly [string, Buffer | null])[])[] | null;
  /** Messages whose value is no line: their index and why. Their line is empty. */
  readonly unfit: readonly { readonly index: number; readonly reason: string; readonly raw: Buffer }[];
  /** Offset after everything in this chunk, skipped records included. */
  readonly next: number;
  readonly highWatermark: number;
}

export interface FetchedPartition {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly aborted: readonly { readonly producerId: bigint; readonly firstOffset: number }[];
  readonly records: Buffer;
}

/** The partitions of a fetch response's bytes. */
export function readFetchResponse(raw: Buffer, version: number): { errorCode: number; partitions: FetchedPartition[] } {
  let p = 4;
  let errorCode = 0;
  if (version >= 7) {
    errorCode = raw.readInt16BE(p);
    p += 6;
  }
  const partitions: FetchedPartition[] = [];
  const topics = raw.readInt32BE(p);
  p += 4;
  for (let t = 0; t < topics; t++) {
    p += 2 + raw.readInt16BE(p);
    const count = raw.readInt32BE(p);
    p += 4;
    for (let i = 0; i < count; i++) {
      const partition = raw.readInt32BE(p);
      const code = raw.readInt16BE(p + 4);
      const highWatermark = Number(raw.readBigInt64BE(p + 6));
      p += version >= 5 ? 30 : 22;
      const abortedCount = raw.readInt32BE(p);
      p += 4;
      const aborted: { producerId: bigint; firstOffset: number }[] = [];
      for (let k = 0; k < abortedCount; k++, p += 16) aborted.push({ producerId: raw.readBigInt64BE(p), firstOffset: Number(raw.readBigInt64BE(p + 8)) });
      if (version >= 11) p += 4;
      const bytes = raw.readInt32BE(p);
      p += 4;
      partitions.push({ partition, errorCode: code, highWatermark, aborted, records: bytes > 0 ? raw.subarray(p, p + bytes) : raw.subarray(p, p) });
      if (bytes > 0) p += bytes;
    }
  }
  return { errorCode, partitions };
}

interface Cursor { p: number }

function varint(b: Buffer, c: Cursor): number {
  let shift = 1;
  let value = 0;
  for (;;) {
    const byte = b[c.p++];
    value += (byte & 0x7f) * shift;
    if (byte < 0x80) break;
    shift *= 128;
  }
  // Zigzag, by arithmetic: timestamps' deltas may need more than 32 bits.
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

class ChunkWriter {
  readonly #parts: MessageParts;
  readonly offsets: number[] = [];
  readonly timestamps: number[] = [];
  readonly keys: (Buffer | null)[] = [];
  readonly headers: (readonly (readonly [string, Buffer | null])[])[] = [];
  readonly unfit: { index: number; reason: string; raw: Buffer }[] = [];
  block: Buffer;
  at = 0;

  constructor(bytes: number, parts: MessageParts) {
    this.block = newBlock(bytes);
    this.#parts = parts;
  }

  #room(bytes: number): void {
    // The pad at a block's end is not ours to write to.
    const free = this.block.length - 256 - this.at;
    if (bytes <= free) return;
    const wider = newBlock(Math.max(this.block.length * 2, this.at + bytes));
    this.block.copy(wider, 0, 0, this.at);
    this.block = wider;
  }

  /** One record's fields from its attributes on. */
  record(b: Buffer, c: Cursor, baseOffset: number, baseTimestamp: number, from: number): void {
    c.p++;
    const timestamp = baseTimestamp + varint(b, c);
    const offset = baseOffset + varint(b, c);
    const keyBytes = varint(b, c);
    const keyAt = c.p;
    if (keyBytes > 0) c.p += keyBytes;
    const valueBytes = varint(b, c);
    const valueAt = c.p;
    if (valueBytes > 0) c.p += valueBytes;
    if (offset < from) return;
    const index = this.offsets.push(offset) - 1;
    if (this.#parts.timestamp) this.timestamps.push(timestamp);
    if (this.#parts.key) this.keys.push(keyBytes < 0 ? null : Buffer.from(b.subarray(keyAt, keyAt + keyBytes)));
    if (this.#parts.headers) this.headers.push(readHeaders(b, c));
    this.#value(b, index, valueAt, valueBytes);
  }

  #value(b: Buffer, index: number, at: number, bytes: number): void {
    this.#room(Math.max(bytes, 0) + 1);
    const newline = bytes > 0 ? b.indexOf(10, at) : -1;
    const reason = bytes < 0 ? 'the message has no value (a tombstone)' : bytes === 0 ? 'the message\'s value is empty' : newline >= 0 && newline < at + bytes ? this.#multiline(b, at, bytes) : null;
    if (reason !== null) this.unfit.push({ index, reason, raw: Buffer.from(b.subarray(at, at + Math.max(bytes, 0))) });
    else this.at += b.copy(this.block, this.at, at, at + bytes);
    if (reason === null && newline >= 0) for (let i = this.at - bytes; i < this.at; i++) if (this.block[i] === 10) this.block[i] = 32;
    this.block[this.at++] = 10;
  }

  /** Line ends in valid JSON are white space, and may become blanks; null when it is. */
  #multiline(b: Buffer, at: number, bytes: number): string | null {
    try {
      JSON.parse(b.toString('utf8', at, at + bytes));
      return null;
    } catch (e) {
      return `invalid JSON: ${e instanceof Error ? e.message : String(e)}`;
    }
  }
}

function readHeaders(b: Buffer, c: Cursor): (readonly [string, Buffer | null])[] {
  const headers: (readonly [string, Buffer | null])[] = [];
  for (let n = varint(b, c); n > 0; n--) {
    const keyBytes = varint(b, c);
    const key = b.toString('utf8', c.p, c.p + keyBytes);
    c.p += keyBytes;
    const bytes = varint(b, c);
    headers.push([key, bytes < 0 ? null : Buffer.from(b.subarray(c.p, c.p + bytes))]);
    if (bytes > 0) c.p += bytes;
  }
  return headers;
}

const BATCH_HEADER_BYTES = 61;
const COMPRESSION_MASK = 7;
const GZIP = 1;
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
const LOG_APPEND_TIME = 8;
const TRANSACTIONAL = 16;
const CONTROL = 32;

/** Messages from `from` on as a chunk; null when the response holds nothing whole that reaches `from`. */
export function readRecords(f: FetchedPartition, from: number, parts: MessageParts): Chunk | null {
  const b = f.records;
  const w = new ChunkWriter(b.length, parts);
  const aborting = [...f.aborted].sort((x, y) => x.firstOffset - y.firstOffset);
  const aborted = new Set<bigint>();
  let next = from;
  for (let p = 0; p + BATCH_HEADER_BYTES <= b.length;) {
    const end = p + 12 + b.readInt32BE(p + 8);
    // The last batch may be cut by the fetch's byte limit.
    if (end > b.length) break;
    const magic = b[p + 16];
    if (magic !== 2) throw new SqlError('0A000', `records of Kafka's message format ${magic} are not supported`, { hint: 'The topic was written before Kafka 0.11: copy it to a new one.' });
    const base = Number(b.readBigInt64BE(p));
    const attributes = b.readInt16BE(p + 21);
    const last = base + b.readInt32BE(p + 23);
    const producer = b.readBigInt64BE(p + 43);
    while (aborting.length > 0 && aborting[0].firstOffset <= last) aborted.add(aborting.shift()?.producerId ?? 0n);
    if ((attributes & CONTROL) !== 0) aborted.delete(producer);
    else if (last >= from && !((attributes & TRANSACTIONAL) !== 0 && aborted.has(producer))) batchRecords(b, p, end, attributes, base, from, w);
    next = Math.max(next, last + 1);
    p = end;
  }
  if (next === from) return null;
  return {
    partition: f.partition, block: w.block, to: w.at, offsets: Float64Array.from(w.offsets), timestampsMs: parts.timestamp ? Float64Array.from(w.timestamps) : null,
    keys: parts.key ? w.keys : null, headers: parts.headers ? w.headers : null, unfit: w.unfit, next, highWatermark: f.highWatermark,
  };
}

function batchRecords(b: Buffer, p: number, end: number, attributes: number, base: number, from: number, w: ChunkWriter): void {
  const first = Number(b.readBigInt64BE(p + 27));
  const max = Number(b.readBigInt64BE(p + 35));
  const count = b.readInt32BE(p + 57);
  const compression = attributes & COMPRESSION_MASK;
  if (compression > GZIP) throw new SqlError('0A000', `${COMPRESSIONS[compression] ?? 'unknown'} compression of Kafka records is not supported`, { hint: 'Produce with compression.type = gzip or none.' });
  const records = compression === GZIP ? gunzipSync(b.subarray(p + BATCH_HEADER_BYTES, end)) : b;
  const c: Cursor = { p: compression === GZIP ? 0 : p + BATCH_HEADER_BYTES };
  const appendTime = (attributes & LOG_APPEND_TIME) !== 0;
  for (let i = 0; i < count; i++) {
    const bytes = varint(records, c);
    const after = c.p + bytes;
    w.record(records, c, base, first, from);
    if (appendTime && w.timestamps.length > 0) w.timestamps[w.timestamps.length - 1] = max;
    c.p = after;
  }
}
