/**
 * PageAllocator: memory of state tables. Records are 8-byte aligned pieces of large pages, handed out by size class
 * (multiples of 8 up to 128 bytes, then four classes per doubling: at most a quarter is slack), with one free list per class that is threaded
 * through the free records themselves. Records above LARGE_BYTES have a page of their own, which goes back to the system when freed.
 *
 * One allocator serves all tables of a task, so that what one table gives up another one uses. Pages of small records are never
 * given back: their free records are. Cost of alloc and free: a few loads and stores, no garbage.
 */
import type { Page } from './table.js';

const PAGE_BYTES_MIN = 64 * 1024;
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
/** Records above this have their own page. */
export const LARGE_BYTES = 32 * 1024;
const CLASSES = 64;

function makePage(bytes: number): Page {
  const buffer = new ArrayBuffer(bytes);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), f64: new Float64Array(buffer), i32: new Int32Array(buffer) };
}
const NO_PAGE: Page = makePage(0);

/** Index of the smallest class that holds `bytes`. */
function classOf(bytes: number): number {
  if (bytes <= 128) return (bytes + 7) >>> 3;
  const e = 31 - Math.clz32(bytes - 1);
  return 17 + (e - 7) * 4 + ((bytes - 1 - (1 << e)) >>> (e - 2));
}

/** Bytes of a record of the class that holds `bytes`. */
export function roundedBytes(bytes: number): number {
  if (bytes <= 128) return bytes <= 8 ? 8 : (bytes + 7) & ~7;
  const e = 31 - Math.clz32(bytes - 1);
  return (1 << e) + ((((bytes - 1 - (1 << e)) >>> (e - 2)) + 1) << (e - 2));
}

export class PageAllocator {
  readonly pages: Page[] = [];
  /** Bytes of all pages. */
  totalBytes = 0;
  /** Bytes of records handed out, and of other memory of the task (row logs). */
  usedBytes = 0;

  /** Results of the last `alloc`: fields instead of an object, for the hot path. */
  page = 0;
  offset = 0;
  capacity = 0;

  #bumpPage = -1;
  #bumpOffset = 0;
  #bumpEnd = 0;
  readonly #freePage = new Int32Array(CLASSES).fill(-1);
  readonly #freeOffset = new Int32Array(CLASSES);
  readonly #freePageNumbers: number[] = [];

  /** Gives a record of at least `bytes` in `page`, `offset`, `capacity`. Its content is unspecified. */
  alloc(bytes: number): void {
    const capacity = roundedBytes(bytes);
    this.capacity = capacity;
    this.usedBytes += capacity;
    if (capacity > LARGE_BYTES) {
      this.page = this.#addPage(capacity);
      this.offset = 0;
      return;
    }
    const c = classOf(capacity);
    const page = this.#freePage[c];
    if (page >= 0) {
      const offset = this.#freeOffset[c];
      const i32 = this.pages[page].i32;
      this.#freePage[c] = i32[offset >>> 2];
      this.#freeOffset[c] = i32[(offset >>> 2) + 1];
      this.page = page;
      this.offset = offset;
      return;
    }
    if (this.#bumpOffset + capacity > this.#bumpEnd) this.#newBumpPage();
    this.page = this.#bumpPage;
    this.offset = this.#bumpOffset;
    this.#bumpOffset += capacity;
  }

  free(page: number, offset: number, capacity: number): void {
    this.usedBytes -= capacity;
    if (capacity > LARGE_BYTES) {
      this.totalBytes -= capacity;
      this.pages[page] = NO_PAGE;
      this.#freePageNumbers.push(page);
      return;
    }
    this.#pushFree(page, offset, capacity);
  }

  #pushFree(page: number, offset: number, capacity: number): void {
    const c = classOf(capacity);
    const i32 = this.pages[page].i32;
    i32[offset >>> 2] = this.#freePage[c];
    i32[(offset >>> 2) + 1] = this.#freeOffset[c];
    this.#freePage[c] = page;
    this.#freeOffset[c] = offset;
  }

  #addPage(bytes: number): number {
    const page = makePage(bytes);
    this.totalBytes += bytes;
    const number = this.#freePageNumbers.pop();
    if (number === undefined) return this.pages.push(page) - 1;
    this.pages[number] = page;
    return number;
  }

  #newBumpPage(): void {
    // The rest of the old page goes to the free lists, in the largest classes that fit.
    let rest = this.#bumpEnd - this.#bumpOffset;
    while (rest >= 8) {
      let piece = rest >= 128 ? roundedBytes((rest >>> 1) + 1) : rest;
      if (piece > rest) piece = 128;
      this.#pushFree(this.#bumpPage, this.#bumpOffset, piece);
      this.#bumpOffset += piece;
      rest -= piece;
    }
    const bytes = Math.max(PAGE_BYTES_MIN, Math.min(PAGE_BYTES_MAX, 1 << (31 - Math.clz32(this.totalBytes | 1))));
    this.#bumpPage = this.#addPage(bytes);
    this.#bumpOffset = 0;
    this.#bumpEnd = bytes;
  }
}
