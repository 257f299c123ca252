/**
 * FileTail: one open file as blocks of whole records, from a byte position on. The next blocks are read while the caller decodes the
 * last one, into those it gave back. What stands after a block's last record is carried into the next; at the end of a bounded file it is a record too, in a
 * followed one it waits for its line end. A record beyond RECORD_BYTES_MAX is 54000; a file shorter than what was read is 55000.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { SqlError } from '../../types/error.js';
import { DECODE_PAD, endBlock, newBlock } from '../formats/format.js';
import type { BlockDecoder } from '../formats/format.js';
import { openError } from './files.js';

const BLOCK_BYTES = 1 << 20;
export const RECORD_BYTES_MAX = 64 << 20;
/** Bytes at a file's start that tell it from another one put in its place. */
const HEAD_BYTES = 256;

export interface FileBlock {
  readonly block: Buffer;
  /** Records stand in [from, to). */
  readonly from: number;
  readonly to: number;
  /** File offset of block[0]. */
  readonly base: number;
}

export interface FileHead { readonly bytes: number; readonly hash: number }

/** A file that is open for reading, and its size when last looked at. */
export class OpenFile {
  readonly path: string;
  readonly handle: FileHandle;
  size = 0;

  constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.handle = handle;
  }

  static async open(path: string): Promise<OpenFile> {
    try {
      return new OpenFile(path, await open(path, 'r'));
    } catch (e) {
      throw openError(path, e);
    }
  }

  /** Fingerprint of the file's first bytes (of `bytes` of them when given). */
  async head(bytes = HEAD_BYTES): Promise<FileHead> {
    const b = Buffer.alloc(bytes);
    const bytesRead = await this.fill(b, 0, bytes);
    let hash = 0x811c9dc5;
    for (let i = 0; i < bytesRead; i++) hash = Math.imul(hash ^ b[i], 0x01000193);
    return { bytes: bytesRead, hash: hash >>> 0 };
  }

  /** Looks at the size anew; 55000 when less is there than was read. */
  async look(read: number): Promise<void> {
    this.size = (await this.handle.stat()).size;
    if (this.size < read) {
      throw new SqlError('55000', `file "${this.path}" was truncated while it was read`, { detail: `It has ${this.size} bytes, ${read} were read.`, hint: 'Files of a stream may only grow; drop the stream and create it anew to read the file from its start.' });
    }
  }

  /** Reads [at, at + bytes) to the start of `to`; gives how much there was. */
  async fill(to: Buffer, at: number, bytes: number): Promise<number> {
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = await this.handle.read(to, filled, bytes - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async close(): Promise<void> { await this.handle.close(); }
}

/** Named limit: blocks read before the caller asks for them. One is not enough when the reads' thread waits for its turn. */
const BLOCKS_AHEAD = 2;
/** What a block for reuse holds beside BLOCK_BYTES: a record carried over, usually. */
const SPARE_BYTES = 64 << 10;

/** Blocks of a file one after another; the next ones are read while the caller decodes the last. */
export abstract class BlockReader extends OpenFile {
  /** Reads under way or done, one after the other. */
  readonly #ahead: Promise<FileBlock | null>[] = [];
  readonly #free: Buffer[] = [];
  /** Whether the caller gives blocks back. */
  readonly #reuses: boolean;

  constructor(file: OpenFile, reuses: boolean) {
    super(file.path, file.handle);
    this.#reuses = reuses;
  }

  /** The next block; null when there is none now. */
  protected abstract read(): Promise<FileBlock | null>;
  /** `read` gave the last block that there is now. */
  protected ended = false;

  /** A buffer for so many bytes; those of a block given back stay in the processor's cache. */
  protected buffer(bytes: number): Buffer {
    const free = this.#free.pop();
    if (free !== undefined && free.length >= bytes + DECODE_PAD) return free;
    return newBlock(this.#reuses ? Math.max(bytes, BLOCK_BYTES + SPARE_BYTES) : bytes);
  }

  /** Takes back a block that nobody refers to any more. */
  recycle({ block }: FileBlock): void {
    if (this.#reuses && this.#free.length <= BLOCKS_AHEAD) this.#free.push(block);
  }

  /** The next block of records; null at the end of what is there now. */
  async next(): Promise<FileBlock | null> {
    const block = await (this.#ahead.shift() ?? this.read());
    while (block !== null && !this.ended && this.#ahead.length < BLOCKS_AHEAD) {
      const before = this.#ahead.at(-1);
      const read = before === undefined ? this.read() : before.then(b => (b === null || this.ended ? null : this.read()));
      // Awaited by a later call; a failure meanwhile must not count as unhandled.
      read.catch(() => undefined);
      this.#ahead.push(read);
    }
    return block;
  }

  override async close(): Promise<void> {
    await Promise.allSettled(this.#ahead);
    await super.close();
  }
}

export class FileTail extends BlockReader {
  readonly #bounded: boolean;
  readonly #decoder: BlockDecoder;
  #at: number;
  #carry: Buffer = Buffer.alloc(0);

  private constructor(file: OpenFile, at: number, bounded: boolean, decoder: BlockDecoder) {
    super(file, !decoder.refers);
    this.#at = at;
    this.#bounded = bounded;
    this.#decoder = decoder;
  }

  static async openAt(path: string, at: number, bounded: boolean, decoder: BlockDecoder): Promise<FileTail> {
    return new FileTail(await OpenFile.open(path), at, bounded, decoder);
  }

  /** The first record of the file (CSV's header), with its line end; null when it is not there yet. */
  async firstRecord(): Promise<Buffer | null> {
    for (let bytes = 1 << 16; ; bytes *= 4) {
      const b = Buffer.alloc(bytes);
      const { bytesRead } = await this.handle.read(b, 0, bytes, 0);
      const end = this.#decoder.recordEnd(b, 0, bytesRead);
      if (end > 0) return b.subarray(0, end);
      if (bytesRead < bytes) return this.#bounded && bytesRead > 0 ? b.subarray(0, bytesRead) : null;
      if (bytes > RECORD_BYTES_MAX) throw this.#tooLong(0);
    }
  }

  /** Continue reading here: only before the first block. */
  seek(at: number): void {
    this.#at = at;
  }

  protected override async read(): Promise<FileBlock | null> {
    for (;;) {
      const carried = this.#carry.length;
      // A bounded file is looked at anew only where its known size ends: the read is then under way before the caller decodes the last block.
      if (!this.#bounded || this.size < this.#at + BLOCK_BYTES) await this.look(this.#at);
      const want = Math.min(Math.max(BLOCK_BYTES, carried), this.size - this.#at);
      const base = this.#at - carried;
      if (want === 0) {
        this.ended = true;
        if (!this.#bounded || carried === 0) return null;
        const last = newBlock(carried);
        this.#carry.copy(last);
        this.#carry = Buffer.alloc(0);
        return { block: last, from: 0, to: carried, base };
      }
      const block = this.buffer(carried + want);
      this.#carry.copy(block);
      const { bytesRead } = await this.handle.read(block, carried, want, this.#at);
      if (bytesRead === 0) {
        this.size = 0;
        continue;
      }
      this.#at += bytesRead;
      const filled = carried + bytesRead;
      endBlock(block, filled);
      const to = this.#decoder.lastBorder(block, 0, filled);
      if (to > 0) {
        this.#carry = block.subarray(to, filled);
        return { block, from: 0, to, base };
      }
      if (filled > RECORD_BYTES_MAX) throw this.#tooLong(base);
      this.#carry = block.subarray(0, filled);
    }
  }

  #tooLong(at: number): SqlError {
    return new SqlError('54000', `a record of file "${this.path}" is longer than ${RECORD_BYTES_MAX} bytes`, { detail: `It begins at byte ${at}.` });
  }
}
