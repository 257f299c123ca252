/**
 * Format of state files (base, delta and log): a run of blocks, each checked by CRC32C.
 *
 *   file     "MRSTATE1" block…
 *   block    u32 payload length, u32 CRC32C of kind and payload, u8 kind, payload            (little endian)
 *   kind 1   header: JSON of StateFileHeader; the first block
 *   kind 2   entries: u32 table id, u32 count, then per entry u16 key group, u32 key length, i32 value length (−1 = deleted), key, value
 *   kind 3   end: JSON of StateFileEnd; the last block: a file without it was cut
 *
 * The blocks of kind 2 of a file in flight hold batches instead (runtime/task/inflight.ts). A later entry of a file stands over an earlier one with the same key. The file's own checksum is the CRC32C of all block heads (which hold the
 * blocks' CRCs), so that every byte is covered once. EntryWriter builds entry blocks in memory, in the form the file has them.
 */
import { crc32c } from '../../types/crc32c.js';
import { copyBytes, viewOf } from '../../types/encoding/bytes.js';

export const STATE_FORMAT = 2;
export const MAGIC = new TextEncoder().encode('MRSTATE1');
export const HEAD_BYTES = 9;
export const KIND_HEADER = 1;
export const KIND_ENTRIES = 2;
export const KIND_END = 3;

/** Named limit: bytes of an entry block before the next begins (one entry may be larger). */
export const BLOCK_BYTES = 256 * 1024;
/** Named limit: a block length beyond this is damage, not data. */
export const BLOCK_BYTES_MAX = 2 ** 31 - 1;
const ENTRY_HEAD = 10;
const BLOCK_HEAD = 8;

export interface StateFileHeader {
  readonly format: number;
  readonly jobId: number;
  readonly task: string;
  readonly kind: 'base' | 'delta' | 'log' | 'inflight';
  readonly checkpoint: number;
  readonly since: number;
  readonly maxParallelism: number;
  readonly hashVersion: number;
}

export interface StateFileEnd {
  readonly entries: number;
  /** Live entries of each table of the task at the checkpoint. */
  readonly tableSizes: Readonly<Record<string, number>>;
}

/** One entry block's payload. */
export type EntryBlock = Uint8Array;
/** The same in two parts. */
export type SplitBlock = readonly [Uint8Array, Uint8Array];

/** Collects entries of one table after another into blocks. */
export class EntryWriter {
  readonly blocks: EntryBlock[] = [];
  entries = 0;
  bytes = 0;
  #tableId = 0;
  #block = new Uint8Array(0);
  #view = new DataView(this.#block.buffer);
  #at = 0;
  #count = 0;
  /** The table filled a block: the next one is likely to be filled too. */
  #large = false;
  #onBlock: ((block: EntryBlock) => void) | null;

  /** `onBlock`: takes finished blocks instead of `blocks`. */
  constructor(onBlock: ((block: EntryBlock) => void) | null = null) { this.#onBlock = onBlock; }

  table(tableId: number): void {
    if (tableId === this.#tableId && this.#count > 0) return;
    this.finish();
    this.#large = false;
    this.#tableId = tableId;
  }

  entry(keyGroup: number, data: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    this.put(keyGroup, data, keyStart, keyEnd, data, valueStart, valueEnd);
  }

  /** valueStart < 0 = deleted. */
  put(keyGroup: number, key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number): void {
    const keyBytes = keyEnd - keyStart;
    const valueBytes = valueStart < 0 ? 0 : valueEnd - valueStart;
    const need = ENTRY_HEAD + keyBytes + valueBytes;
    if (this.#count > 0 && this.#at + need > BLOCK_BYTES) {
      this.finish();
      this.#large = true;
    }
    if (this.#at + need > this.#block.length || this.#count === 0) this.#reserve(need);
    const view = this.#view;
    const block = this.#block;
    let at = this.#at;
    view.setUint16(at, keyGroup, true);
    view.setUint32(at + 2, keyBytes, true);
    view.setInt32(at + 6, valueStart < 0 ? -1 : valueBytes, true);
    at += ENTRY_HEAD;
    copyBytes(key, keyStart, keyEnd, block, at);
    at += keyBytes;
    copyBytes(value, valueStart, valueStart + valueBytes, block, at);
    this.#at = at + valueBytes;
    this.#count++;
    this.entries++;
  }

  #reserve(need: number): void {
    if (this.#count === 0) this.#at = BLOCK_HEAD;
    // Small deltas take small blocks: doubling from 4 KB.
    const bytes = Math.max(this.#at + need, this.#large ? BLOCK_BYTES : Math.min(BLOCK_BYTES, Math.max(4096, this.#block.length * 2)));
    const grown = new Uint8Array(bytes);
    grown.set(this.#block.subarray(0, this.#count === 0 ? 0 : this.#at));
    this.#block = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** Bytes so far, with those of the block at hand. */
  get written(): number { return this.bytes + (this.#count === 0 ? 0 : this.#at); }

  /** Ends the current block. */
  finish(): void {
    if (this.#count === 0) return;
    this.#view.setUint32(0, this.#tableId, true);
    this.#view.setUint32(4, this.#count, true);
    const block = this.#block.subarray(0, this.#at);
    this.bytes += block.length;
    if (this.#onBlock === null) this.blocks.push(block);
    else this.#onBlock(block);
    this.#block = new Uint8Array(0);
    this.#count = 0;
    this.#at = 0;
  }
}

/** Walks the entries of a block: call `next`, then read the fields. valueStart −1 = deleted. */
export class BlockCursor {
  readonly block: EntryBlock;
  readonly tableId: number;
  /** Entries of the block. */
  readonly count: number;
  keyGroup = 0;
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;
  readonly #view: DataView;
  #left: number;
  #at = BLOCK_HEAD;

  constructor(block: EntryBlock) {
    this.block = block;
    this.#view = viewOf(block);
    this.tableId = this.#view.getUint32(0, true);
    this.#left = this.count = this.#view.getUint32(4, true);
  }

  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const view = this.#view;
    const at = this.#at;
    this.keyGroup = view.getUint16(at, true);
    const valueBytes = view.getInt32(at + 6, true);
    this.keyStart = at + ENTRY_HEAD;
    this.keyEnd = this.keyStart + view.getUint32(at + 2, true);
    this.valueStart = valueBytes < 0 ? -1 : this.keyEnd;
    this.valueEnd = valueBytes < 0 ? -1 : this.keyEnd + valueBytes;
    this.#at = valueBytes < 0 ? this.keyEnd : this.valueEnd;
    return true;
  }
}

/** Head of a block: length, CRC, kind. */
export function blockHead(kind: number, parts: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  head[8] = kind;
  let length = 0;
  let crc = crc32c(head, 8, 9);
  for (const part of parts) {
    length += part.length;
    crc = crc32c(part, 0, part.length, crc);
  }
  view.setUint32(0, length, true);
  view.setUint32(4, crc, true);
  return head;
}

/** A block of one entry: its value is not copied. */
export function singleEntry(tableId: number, keyGroup: number, key: Uint8Array, value: Uint8Array): SplitBlock {
  const head = new Uint8Array(BLOCK_HEAD + ENTRY_HEAD + key.length);
  const view = new DataView(head.buffer);
  view.setUint32(0, tableId, true);
  view.setUint32(4, 1, true);
  view.setUint16(BLOCK_HEAD, keyGroup, true);
  view.setUint32(BLOCK_HEAD + 2, key.length, true);
  view.setInt32(BLOCK_HEAD + 6, value.length, true);
  head.set(key, BLOCK_HEAD + ENTRY_HEAD);
  return [head, value];
}

export function jsonBlock(value: unknown): Uint8Array { return new TextEncoder().encode(JSON.stringify(value)); }
