/**
 * Stripes: one bounded file of lines read by several subtasks. The file is cut into blocks of STRIPE_BYTES; stripe k of S has the blocks k,
 * k + S, k + 2S, …, so that all stripes go through the file, and its event time, together. A line belongs to the block in which it begins.
 *
 *   block [s, e):  read from s − 1; the first record begins after the first '\n' there (in block 0 at 0)
 *                  the last record ends with the first '\n' at e − 1 or later, or with the file
 *
 * Position: the byte after the last row given, X. If X lies in a block of the stripe a record begins at X; else the stripe goes on with its
 * next block. So positions mean the same for every reader of the stripe.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { SqlError } from '../../types/error.js';
import { endBlock } from '../formats/format.js';
import { BlockReader, OpenFile, RECORD_BYTES_MAX } from './tail.js';
import type { FileBlock, FileTail } from './tail.js';

export const STRIPE_BYTES = 1 << 20;
/** Bytes read after a block for its last line. */
const OVERLAP_BYTES = 4096;
const LINE_END = 10;

export interface Stripe { readonly index: number; readonly count: number }

/** Name of a stripe as a split. */
export const stripeName = (file: string, stripe: Stripe): string => `${file}#${stripe.index}/${stripe.count}`;

export class StripeTail extends BlockReader implements Pick<FileTail, 'next' | 'recycle' | 'head' | 'close' | 'size'> {
  readonly #stripe: Stripe;
  readonly #blockBytes: number;
  /** The block to read next, and the record in it to begin with (−1 = its first). */
  #block: number;
  #from: number;
  /** End of what was read. */
  #known = 0;

  private constructor(file: OpenFile, at: number, stripe: Stripe, reuses: boolean, blockBytes: number) {
    super(file, reuses);
    this.#stripe = stripe;
    this.#blockBytes = blockBytes;
    const here = Math.floor(at / blockBytes);
    const own = here % stripe.count === stripe.index;
    this.#block = own ? here : here + ((stripe.index - (here % stripe.count) + stripe.count) % stripe.count);
    this.#from = own ? at : -1;
    this.#known = at;
  }

  static async openAt(path: string, at: number, stripe: Stripe, reuses: boolean, blockBytes = STRIPE_BYTES): Promise<StripeTail> {
    return new StripeTail(await OpenFile.open(path), at, stripe, reuses, blockBytes);
  }

  /** The next block with a record; null at the file's end. */
  protected override async read(): Promise<FileBlock | null> {
    for (;;) {
      const start = this.#block * this.#blockBytes;
      const end = start + this.#blockBytes;
      const from = this.#from >= 0 ? this.#from : Math.max(start - 1, 0);
      if (this.size < end + OVERLAP_BYTES) await this.look(this.#known);
      if (from >= this.size) {
        this.ended = true;
        return null;
      }
      const found = await this.#records(from, end);
      this.#block += this.#stripe.count;
      this.#from = -1;
      if (found !== null) return found;
    }
  }

  /** Records that begin in [from, end): from the first byte when a record is known to begin there. */
  async #records(from: number, end: number): Promise<FileBlock | null> {
    for (let more = OVERLAP_BYTES; ; more *= 8) {
      const want = Math.min(end + more, this.size) - from;
      const block = this.buffer(want);
      const filled = await this.fill(block, from, want);
      endBlock(block, filled);
      this.#known = Math.max(this.#known, from + filled);
      const whole = from + filled >= this.size || filled < want;
      let first = 0;
      if (this.#from < 0 && this.#block > 0) {
        const before = block.indexOf(LINE_END);
        // No line begins in this block, or not as far as was read.
        if (before < 0 || before >= filled || from + before + 1 >= end) return null;
        first = before + 1;
      }
      const last = end - 1 - from < filled ? block.indexOf(LINE_END, end - 1 - from) : -1;
      if (last >= 0 && last < filled) return { block, from: first, to: last + 1, base: from };
      if (whole) return first < filled ? { block, from: first, to: filled, base: from } : null;
      if (filled > RECORD_BYTES_MAX + this.#blockBytes) throw new SqlError('54000', `a record of file "${this.path}" is longer than ${RECORD_BYTES_MAX} bytes`, { detail: `It ends after byte ${from + filled}.` });
    }
  }
}

const COUNTED_BYTES = 1 << 20;

/** Line numbers of places in a file, for messages: counted from the last place asked for, since a stripe sees a part of the lines. */
export class LineCounter {
  readonly #path: string;
  #at = 0;
  #line = 1;

  constructor(path: string) {
    this.#path = path;
  }

  lineAt(byte: number): number {
    if (byte < this.#at) {
      this.#at = 0;
      this.#line = 1;
    }
    const fd = openSync(this.#path, 'r');
    try {
      const b = Buffer.allocUnsafe(COUNTED_BYTES);
      while (this.#at < byte) {
        const n = readSync(fd, b, 0, Math.min(b.length, byte - this.#at), this.#at);
        if (n === 0) break;
        for (let i = 0; i < n; i++) if (b[i] === LINE_END) this.#line++;
        this.#at += n;
      }
    } finally {
      closeSync(fd);
    }
    return this.#line;
  }
}
