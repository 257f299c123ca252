/**
 * Writes record batches (magic 2, KIP-98) into one buffer, record by record, without an object per record:
 *
 *   header, 61 bytes: base offset 8, length 4, leader epoch 4, magic 1, CRC32C 4 (of all that follows), attributes 2, last offset delta 4,
 *                     first and last timestamp 8 + 8, producer id 8, producer epoch 2, base sequence 4, record count 4
 *   record:           length, attributes 0, timestamp delta 0, offset delta, key length (−1 = null) and key, value length and value, header count 0
 *
 * Lengths and deltas are zigzag varints. All records of a batch carry its one timestamp. Compression takes everything after the header.
 */
import { gzipSync } from 'node:zlib';
import { crc32c } from '../../types/crc32c.js';
import { putVarint, varintBytes, zigzag } from '../../types/encoding/bytes.js';

export const BATCH_HEADER_BYTES = 61;
export const COMPRESSION_NONE = 0;
export const COMPRESSION_GZIP = 1;
/** Most that the varints and fixed bytes of one record take beside key and value. */
const RECORD_EXTRA_BYTES = 32;
const GZIP_LEVEL = 1;

/** Who produces, for brokers that drop what they have already: KIP-98. −1 = nobody is told. */
export interface ProducerIdentity { readonly id: bigint; readonly epoch: number }
export const NO_PRODUCER: ProducerIdentity = { id: -1n, epoch: -1 };

const zigzagBytes = (value: number): number => varintBytes(zigzag(value));
const putZigzag = (b: Uint8Array, at: number, value: number): number => putVarint(b, at, zigzag(value));

export class RecordBatchWriter {
  #buffer: Buffer;
  #at = BATCH_HEADER_BYTES;
  #count = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes + BATCH_HEADER_BYTES);
  }

  get count(): number { return this.#count; }
  /** Bytes of the uncompressed batch so far. */
  get bytes(): number { return this.#at; }

  /** key[keyFrom, keyTo) and value[from, to); null = no key, a tombstone. */
  add(key: Uint8Array | null, keyFrom: number, keyTo: number, value: Uint8Array | null, from: number, to: number): void {
    const delta = this.#count++;
    const keyBytes = key === null ? 0 : keyTo - keyFrom;
    const valueBytes = value === null ? 0 : to - from;
    this.#room(keyBytes + valueBytes + RECORD_EXTRA_BYTES);
    const b = this.#buffer;
    const keyLength = key === null ? -1 : keyBytes;
    const valueLength = value === null ? -1 : valueBytes;
    let at = putZigzag(b, this.#at, 3 + zigzagBytes(delta) + zigzagBytes(keyLength) + keyBytes + zigzagBytes(valueLength) + valueBytes);
    b[at++] = 0;
    b[at++] = 0;
    at = putZigzag(b, at, delta);
    at = putZigzag(b, at, keyLength);
    if (key !== null) at = put(b, at, key, keyFrom, keyTo);
    at = putZigzag(b, at, valueLength);
    if (value !== null) at = put(b, at, value, from, to);
    b[at++] = 0;
    this.#at = at;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(wider, 0, 0, this.#at);
    this.#buffer = wider;
  }

  /** The whole batch, at least one record; the writer is empty afterwards. Uncompressed it lies in the writer's own buffer, until the next `add`. */
  finish(compression: number, timestampMs: number, producer: ProducerIdentity = NO_PRODUCER, sequence = -1): Buffer {
    let b = this.#buffer.subarray(0, this.#at);
    if (compression === COMPRESSION_GZIP) {
      const packed = gzipSync(b.subarray(BATCH_HEADER_BYTES), { level: GZIP_LEVEL });
      const whole = Buffer.allocUnsafe(BATCH_HEADER_BYTES + packed.length);
      packed.copy(whole, BATCH_HEADER_BYTES);
      b = whole;
    }
    b.writeBigInt64BE(0n, 0);
    b.writeInt32BE(b.length - 12, 8);
    b.writeInt32BE(-1, 12);
    b[16] = 2;
    b.writeInt16BE(compression, 21);
    b.writeInt32BE(this.#count - 1, 23);
    b.writeBigInt64BE(BigInt(timestampMs), 27);
    b.writeBigInt64BE(BigInt(timestampMs), 35);
    b.writeBigInt64BE(producer.id, 43);
    b.writeInt16BE(producer.epoch, 51);
    b.writeInt32BE(sequence, 53);
    b.writeInt32BE(this.#count, 57);
    b.writeUInt32BE(crc32c(b, 21), 17);
    this.#at = BATCH_HEADER_BYTES;
    this.#count = 0;
    return b;
  }
}

function put(b: Buffer, at: number, from: Uint8Array, start: number, end: number): number {
  b.set(start === 0 && end === from.length ? from : from.subarray(start, end), at);
  return at + (end - start);
}
