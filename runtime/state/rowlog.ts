/**
 * RowLog: an append-only multimap key → rows: the state of a join side that never takes rows back. Rows go behind each other into
 * chunks, in order of arrival; a hash index holds, for each hash of a key, where its newest row is, and each row says where the one before it is.
 *
 *   record   [u32 ref of the row before it, 0 = none][i32 bytes of the record | COUNTED | TIMED | LONG_KEY]
 *            [f64 time, when TIMED][f64 count, when COUNTED][i32 key bytes, when LONG_KEY; else 8] key, row, padding to 8 bytes
 *   ref      position / 8, modulo 2^32; position = chunk number × 64 KB + offset; 0 is never a row's
 *   index    open addressing, linear probing: pairs (hash, ref). Rows of two keys with one hash share a chain: the key bytes decide
 *
 * Nothing that was written changes: a checkpoint's delta is a range of positions, frozen without a copy (logfiles.ts), and a restore puts the
 * ranges back and reads the chains' beginnings out of them.
 *
 * Memory short: a chunk is written to the cold store sorted by hash, the rows of one hash in one piece, and dropped; what refers into it
 * names the piece: (chunk number, hash). Adding to a key reads nothing. Looking one up reads the pieces of its chain, in bulk (`prefetch`);
 * keys never seen cost no reading, since the index knows every hash. The index stays in memory: 12 to 24 bytes a key.
 *
 * Time: in a timed log every row has a time after which nobody can ask for it; `trim` drops chunks from the front whose rows are all past it. Few
 * that are not hold nothing up: they are written again at the end.
 *
 * Cost: 60–120 ns a row to add (a memory access to the index, the copy), 30–80 ns to find a key's newest row.
 */
import { assert, SqlError } from '../../types/error.js';
import type { KeyBatch, RowBytes } from '../keys.js';
import type { PageAllocator } from './pages.js';
import {
  attach, beforeAt, beforePiece, CHUNK_BYTES, CHUNK_HEAD, countAt, COUNTED, cut, flagsAt, headBytes, isOut, keyBytesAt, keyHashAt, LONG_KEY, makeChunk, NO_BYTES, offsetIn, PIECE_CHUNK_MASK, PIECE_HEAD, pieceKey,
  REF_CHUNK_MASK, REF_CHUNK_SHIFT, REF_OFFSET_MASK, SHORT_KEY_BYTES, SIZE, sizeAt, TIMED, usAt,
} from './rowchunks.js';
import type { Chunk, KeyHash, Piece, RowLogStore } from './rowchunks.js';
import { copyBytes, viewOf } from '../../types/encoding/bytes.js';

/** The first chunk of a log begins this small. */
const FIRST_CHUNK_BYTES = 4096;
/** Chunks freed and kept for the next ones. */
const SPARE_MAX = 32;
/** Bookkeeping of a piece in memory, roughly. */
const PIECE_BYTES = 160;
/** A front chunk whose rows are alive up to this share: they are written again at the end, so that it and those after it can go. */
const MOVE_SHARE = 1 / 16;
/** A front chunk outside memory is read back for that when so many of those after it could go. */
const WAITING_CHUNKS = 4;
/** Named limit: chunks of one log, 16 GB. Half of what a ref can tell apart: a ref to a dropped chunk is then never taken for one that is there. */
const CHUNKS_MAX = 1 << 18;

export interface RowLogOptions {
  readonly tableId: number;
  /** Accounts the memory. */
  readonly pages: PageAllocator;
  /** Of keys: as in the KeyBatches. */
  readonly hash: KeyHash;
  readonly store: RowLogStore | null;
  readonly onSyncRead?: () => void;
}

/** Part of a chunk as it is at a barrier. */
export interface LogRange {
  readonly position: number;
  readonly length: number;
  /** null: to be read back from the cold store. */
  readonly bytes: Uint8Array | null;
}

export class RowLog {
  readonly tableId: number;
  /** Set by the operator before rows are added: each has a time. */
  timed = false;
  // The row that `first` or `next` found.
  data: Uint8Array = NO_BYTES;
  rowAt = 0;
  rowEnd = 0;
  count = 1;

  readonly #o: RowLogOptions;
  #chunks: Chunk[] = [];
  #firstNumber = 0;
  #coldChunks = 0;
  /** Bytes in memory that the cold store has too. */
  #coldResident = 0;
  #residentBytes = 0;
  #rows = 0;
  /** Rows ever added. */
  added = 0;
  /** Chunks that left since the index was last rid of refs to them. */
  #trimmed = 0;
  #hand = 0;
  /** All chunks before it are in the cold store only. */
  #firstResident = 0;
  /** All chunks before it are in the cold store. */
  #firstUnspilled = 0;

  // The chunk written to.
  #chunk: Chunk | null = null;
  #at = 0;
  #limit = 0;

  #index = new Int32Array(64);
  #indexMask = 31;
  #indexShift = 27;
  #entries = 0;

  // The walk.
  #keys: KeyBatch | null = null;
  #row = 0;
  #next = 0;

  /** Pieces read back. */
  readonly #pieces = new Map<number, Piece>();
  #piecesBytes = 0;

  /** Barriers whose ranges are being written: what they refer to is not used again, and stays in the cold store. */
  #captures = 0;
  #spare: Uint8Array[] = [];
  #waiting: Chunk[] = [];
  /** Deletions in the cold store, and reading back for `trim`. */
  #background: Promise<void> = Promise.resolve();
  #reviving = false;

  constructor(options: RowLogOptions) {
    this.tableId = options.tableId;
    this.#o = options;
    options.pages.usedBytes += this.#index.byteLength;
  }

  /** Rows added and not trimmed (chunks are trimmed whole). */
  get rows(): number { return this.#rows; }
  /** Bytes that `spill` could write. */
  get unspilledBytes(): number { return this.#residentBytes - this.#coldResident; }
  get memoryBytes(): number { return this.#residentBytes + this.#index.byteLength + this.#piecesBytes; }
  /** Where the next row goes. */
  get position(): number { return this.#chunk === null ? 0 : this.#chunk.number * CHUNK_BYTES + this.#at; }
  /** Where the oldest row is. */
  get begin(): number { return this.#chunks.length === 0 ? 0 : this.#firstNumber * CHUNK_BYTES + this.#chunks[0].from; }
  get allResident(): boolean { return this.#coldChunks === 0; }

  // ---- adding ----

  /** Adds row i; `us` in a timed log only. */
  add(keys: KeyBatch, i: number, rows: RowBytes, count: number, us = 0): void {
    this.#append(keys.hash[i], keys.data, keys.start[i], keys.end[i], rows.data, rows.start[i], rows.end[i], count, us);
  }

  #append(hash: number, key: Uint8Array, keyStart: number, keyEnd: number, row: Uint8Array, rowStart: number, rowEnd: number, count: number, us: number): void {
    const keyBytes = keyEnd - keyStart;
    const flags = (count === 1 ? 0 : COUNTED) | (this.timed ? TIMED : 0) | (keyBytes === SHORT_KEY_BYTES ? 0 : LONG_KEY);
    const head = headBytes(flags);
    const size = (head + keyBytes + rowEnd - rowStart + 7) & SIZE;
    if (this.#at + size > this.#limit) this.#room(size);
    const chunk = this.#chunk;
    if (chunk === null) return;
    const at = this.#at;
    const { i32, bytes } = chunk;
    const w = at >>> 2;
    i32[w] = this.#point(hash, (((chunk.number & REF_CHUNK_MASK) << REF_CHUNK_SHIFT) | (at >>> 3)) >>> 0);
    i32[w + 1] = size | flags;
    if (this.timed) {
      chunk.f64[(w >>> 1) + 1] = us;
      if (us > chunk.maxUs) chunk.maxUs = us;
    }
    if (count !== 1) chunk.f64[(w >>> 1) + (this.timed ? 2 : 1)] = count;
    let p = at + head;
    if (keyBytes !== SHORT_KEY_BYTES) i32[(p >>> 2) - 1] = keyBytes;
    for (let k = keyStart; k < keyEnd; k++) bytes[p++] = key[k];
    copyBytes(row, rowStart, rowEnd, bytes, p);
    this.#at = chunk.to = at + size;
    chunk.rows++;
    this.#rows++;
    this.added++;
  }

  /** Sets the newest row of a hash; gives the one before. */
  #point(hash: number, ref: number): number {
    if (this.#entries * 3 >= this.#indexMask * 2) this.#growIndex();
    const index = this.#index;
    let p = Math.imul(hash, 0x9e3779b1) >>> this.#indexShift;
    for (;;) {
      const old = index[(p << 1) + 1];
      if (old === 0) {
        index[p << 1] = hash;
        index[(p << 1) + 1] = ref;
        this.#entries++;
        return 0;
      }
      if (index[p << 1] === hash) {
        index[(p << 1) + 1] = ref;
        return this.#alive(old) ? old : 0;
      }
      p = (p + 1) & this.#indexMask;
    }
  }

  #alive(ref: number): boolean {
    const at = ((ref >>> REF_CHUNK_SHIFT) - this.#firstNumber) & REF_CHUNK_MASK;
    return at < this.#chunks.length && (at > 0 || (ref & REF_OFFSET_MASK) << 3 >= this.#chunks[0].from);
  }

  #growIndex(): void {
    const old = this.#index;
    let alive = this.#entries;
    if (this.#trimmed > 0) {
      alive = 0;
      for (let k = 1; k < old.length; k += 2) if (old[k] !== 0 && this.#alive(old[k])) alive++;
    }
    let slots = 32;
    // Half full at most: an index that lost many refs to trimmed chunks may well shrink.
    while (slots < alive * 2 + 2) slots *= 2;
    const index = new Int32Array(slots * 2);
    const shift = Math.clz32(slots) + 1;
    const mask = slots - 1;
    for (let k = 0; k < old.length; k += 2) {
      const ref = old[k + 1];
      if (ref === 0 || (this.#trimmed > 0 && !this.#alive(ref))) continue;
      let p = Math.imul(old[k], 0x9e3779b1) >>> shift;
      while (index[(p << 1) + 1] !== 0) p = (p + 1) & mask;
      index[p << 1] = old[k];
      index[(p << 1) + 1] = ref;
    }
    this.#o.pages.usedBytes += index.byteLength - old.byteLength;
    this.#index = index;
    this.#indexMask = mask;
    this.#indexShift = shift;
    this.#entries = alive;
    this.#trimmed = 0;
  }

  /** Room for a row of `size` bytes at #at: a larger buffer for the chunk that began small, or the next chunk. */
  #room(size: number): void {
    const chunk = this.#chunk;
    if (chunk !== null && this.#at + size <= CHUNK_BYTES) {
      let bytes = Math.max(this.#limit, FIRST_CHUNK_BYTES);
      while (bytes < this.#at + size) bytes *= 2;
      this.#resize(chunk, Math.min(bytes, CHUNK_BYTES));
      return;
    }
    this.#open(chunk === null ? 0 : this.#firstNumber + this.#chunks.length, CHUNK_HEAD, Math.max(CHUNK_HEAD + size, chunk === null ? FIRST_CHUNK_BYTES : CHUNK_BYTES));
  }

  #resize(chunk: Chunk, bytes: number): void {
    const grown = new Uint8Array(bytes);
    grown.set(chunk.bytes.subarray(0, chunk.to));
    this.#account(bytes - chunk.bytes.length);
    attach(chunk, grown);
    this.#limit = bytes;
  }

  #account(bytes: number): void {
    this.#residentBytes += bytes;
    this.#o.pages.usedBytes += bytes;
  }

  /** Begins chunk `number`; a buffer larger than a chunk takes the numbers after it too. */
  #open(number: number, from: number, bytes: number): void {
    if (this.#chunks.length >= CHUNKS_MAX) {
      throw new SqlError('53400', 'one side of a join is too large', { detail: `A task keeps at most ${CHUNKS_MAX * CHUNK_BYTES} bytes of a side.`, hint: 'Raise the parallelism, or bound the join in time.' });
    }
    if (this.#chunks.length === 0) this.#firstNumber = number;
    const buffer = (bytes === CHUNK_BYTES ? this.#spare.pop() : undefined) ?? new Uint8Array(bytes);
    const chunk = makeChunk(number, buffer, from, false);
    this.#chunks.push(chunk);
    for (let k = CHUNK_BYTES; k < bytes; k += CHUNK_BYTES) this.#chunks.push(makeChunk(number + k / CHUNK_BYTES, NO_BYTES, 0, true));
    this.#account(bytes);
    this.#chunk = chunk;
    this.#at = from;
    this.#limit = bytes;
  }

  /** The next row begins a new chunk: everything there is can be written to the cold store. */
  seal(): void {
    if (this.#chunk !== null && this.#at > CHUNK_HEAD) this.#open(this.#firstNumber + this.#chunks.length, CHUNK_HEAD, FIRST_CHUNK_BYTES);
  }

  // ---- looking up ----

  /** True when there is a row with row i's key: the newest one, in `data` from `rowAt`, `count` times. */
  first(keys: KeyBatch, i: number): boolean {
    const hash = keys.hash[i];
    const index = this.#index;
    let p = Math.imul(hash, 0x9e3779b1) >>> this.#indexShift;
    for (;;) {
      const ref = index[(p << 1) + 1];
      if (ref === 0) return false;
      if (index[p << 1] === hash) {
        this.#keys = keys;
        this.#row = i;
        return this.#step(ref);
      }
      p = (p + 1) & this.#indexMask;
    }
  }

  /** The next older row with the key of the last `first`. */
  next(): boolean { return this.#step(this.#next); }

  #step(from: number): boolean {
    const keys = this.#keys;
    if (keys === null) return false;
    const start = keys.start[this.#row];
    const keyBytes = keys.end[this.#row] - start;
    const key = keys.data;
    for (let ref = from; ref !== 0;) {
      const n = ((ref >>> REF_CHUNK_SHIFT) - this.#firstNumber) & REF_CHUNK_MASK;
      if (n >= this.#chunks.length) return false;
      const chunk = this.#chunks[n];
      let at = (ref & REF_OFFSET_MASK) << 3;
      if (at < chunk.from) return false;
      let { bytes, i32, f64 } = chunk;
      if (bytes.length === 0) {
        const piece = this.#piece(chunk, keys.hash[this.#row]);
        at = offsetIn(piece, at);
        ({ bytes, i32, f64 } = piece);
      } else chunk.used = true;
      ref = beforeAt(i32, at);
      const flags = flagsAt(i32, at);
      const p = at + headBytes(flags);
      if (keyBytesAt(i32, p, flags) !== keyBytes) continue;
      let k = 0;
      while (k < keyBytes && bytes[p + k] === key[start + k]) k++;
      if (k < keyBytes) continue;
      this.#next = ref;
      this.data = bytes;
      this.rowAt = p + keyBytes;
      this.rowEnd = at + sizeAt(i32, at);
      this.count = countAt(f64, at, flags);
      return true;
    }
    return false;
  }

  /** All rows in memory, in order of arrival. */
  forEach(visit: (data: Uint8Array, rowAt: number, rowEnd: number, count: number) => void): void {
    for (const { bytes, i32, f64, from, to } of this.#chunks) {
      if (bytes.length === 0) continue;
      for (let at = from; at < to; at += sizeAt(i32, at)) {
        const flags = flagsAt(i32, at);
        const key = at + headBytes(flags);
        visit(bytes, key + keyBytesAt(i32, key, flags), at + sizeAt(i32, at), countAt(f64, at, flags));
      }
    }
  }

  /** The newest row of a hash, or 0. */
  #newest(hash: number): number {
    const index = this.#index;
    let p = Math.imul(hash, 0x9e3779b1) >>> this.#indexShift;
    for (;;) {
      const ref = index[(p << 1) + 1];
      if (ref === 0 || index[p << 1] === hash) return ref;
      p = (p + 1) & this.#indexMask;
    }
  }

  // ---- rows outside memory ----

  #piece(chunk: Chunk, hash: number): Piece {
    const known = this.#pieces.get(pieceKey(chunk.number, hash));
    if (known !== undefined) return known;
    this.#o.onSyncRead?.();
    return this.#admit(chunk.number, hash, this.#o.store?.getSync(this.tableId, chunk.number, hash));
  }

  #admit(chunk: number, hash: number, stored: Uint8Array | undefined): Piece {
    assert(stored !== undefined, 'rows of a join side are missing in the local store');
    const bytes = new Uint8Array(stored.length);
    bytes.set(stored);
    const piece = { bytes, i32: new Int32Array(bytes.buffer), f64: new Float64Array(bytes.buffer) };
    this.#pieces.set(pieceKey(chunk, hash), piece);
    this.#piecesBytes += bytes.length + PIECE_BYTES;
    this.#o.pages.usedBytes += bytes.length + PIECE_BYTES;
    return piece;
  }

  /** null when all rows of the keys are in memory. */
  prefetch(keys: KeyBatch): Promise<void> | null {
    if (this.#coldChunks === 0) return null;
    const wanted: Wanted[] = [];
    const seen = new Set<number>();
    for (let i = 0; i < keys.length; i++) this.#want(keys.hash[i], this.#newest(keys.hash[i]), wanted, seen);
    return wanted.length === 0 ? null : this.#load(wanted, seen);
  }

  /** Follows a chain to the first row whose piece is not in memory. */
  #want(hash: number, from: number, wanted: Wanted[], seen: Set<number>): void {
    for (let ref = from; ref !== 0;) {
      const n = ((ref >>> REF_CHUNK_SHIFT) - this.#firstNumber) & REF_CHUNK_MASK;
      if (n >= this.#chunks.length) return;
      const chunk = this.#chunks[n];
      const at = (ref & REF_OFFSET_MASK) << 3;
      if (at < chunk.from) return;
      if (chunk.bytes.length > 0) {
        chunk.used = true;
        ref = beforeAt(chunk.i32, at);
        continue;
      }
      const key = pieceKey(chunk.number, hash);
      const piece = this.#pieces.get(key);
      if (piece === undefined) {
        if (seen.has(key)) return;
        seen.add(key);
        wanted.push({ chunk: chunk.number, hash });
        return;
      }
      ref = beforePiece(piece);
    }
  }

  async #load(first: Wanted[], seen: Set<number>): Promise<void> {
    const { store } = this.#o;
    if (store === null) return;
    for (let wanted = first; wanted.length > 0;) {
      const found = await store.getMany(this.tableId, wanted);
      const further: Wanted[] = [];
      for (let k = 0; k < wanted.length; k++) {
        const { chunk, hash } = wanted[k];
        const piece = this.#pieces.get(pieceKey(chunk, hash)) ?? this.#admit(chunk, hash, found[k]);
        this.#want(hash, beforePiece(piece), further, seen);
      }
      wanted = further;
    }
  }

  /** Drops what is in the cold store too, the pieces read back first, then chunks that nobody asked for, until `bytes` are free. Gives the bytes freed. */
  evict(bytes: number): number {
    let freed = 0;
    for (const [key, piece] of this.#pieces) {
      if (freed >= bytes) break;
      freed += this.#forget(key, piece);
    }
    while (this.#firstResident < this.#chunks.length && isOut(this.#chunks[this.#firstResident])) this.#firstResident++;
    for (let steps = (this.#chunks.length - this.#firstResident) * 2; steps > 0 && freed < bytes; steps--) {
      if (this.#hand < this.#firstResident || this.#hand >= this.#chunks.length) this.#hand = this.#firstResident;
      const chunk = this.#chunks[this.#hand++];
      if (!chunk.cold || chunk.bytes.length === 0) continue;
      if (chunk.used) {
        chunk.used = false;
        continue;
      }
      freed += chunk.bytes.length;
      this.#coldResident -= chunk.bytes.length;
      this.#account(-chunk.bytes.length);
      this.#release(chunk);
      this.#coldChunks++;
    }
    return freed;
  }

  #forget(key: number, piece: Piece): number {
    const bytes = piece.bytes.length + PIECE_BYTES;
    this.#pieces.delete(key);
    this.#piecesBytes -= bytes;
    this.#o.pages.usedBytes -= bytes;
    return bytes;
  }

  #release(chunk: Chunk): void {
    if (chunk.bytes.length === CHUNK_BYTES && this.#captures === 0 && this.#spare.length < SPARE_MAX) this.#spare.push(chunk.bytes);
    attach(chunk, NO_BYTES);
  }

  /** Writes about `bytes` of chunks to the cold store, oldest first; `evict` may drop them then. Gives the bytes written. */
  async spill(bytes: number): Promise<number> {
    const { store } = this.#o;
    if (store === null) return 0;
    const taken: Chunk[] = [];
    let sum = 0;
    while (this.#firstUnspilled < this.#chunks.length && (this.#chunks[this.#firstUnspilled].cold || this.#chunks[this.#firstUnspilled].filler)) this.#firstUnspilled++;
    for (let n = this.#firstUnspilled; n < this.#chunks.length && sum < bytes; n++) {
      const chunk = this.#chunks[n];
      if (chunk.cold || chunk.filler || chunk === this.#chunk) continue;
      sum += chunk.bytes.length;
      taken.push(chunk);
    }
    if (taken.length === 0) return 0;
    const writer = store.writer(this.tableId);
    for (const chunk of taken) {
      cut(chunk, this.#o.hash, writer);
      await writer.flush(false);
    }
    await writer.flush(true);
    for (const chunk of taken) {
      chunk.cold = true;
      // Trimmed meanwhile.
      if (chunk.number < this.#firstNumber) this.#waiting.push(chunk);
      else this.#coldResident += chunk.bytes.length;
    }
    this.#dropStored();
    return sum;
  }

  // ---- time ----

  /** Nobody asks any more for rows with a time of at most `us`. */
  trim(us: number): void {
    if (!this.timed) return;
    let gone = 0;
    for (; gone < this.#chunks.length; gone++) {
      const chunk = this.#chunks[gone];
      if (chunk === this.#chunk) break;
      if (chunk.filler || chunk.maxUs <= us) continue;
      // A few rows with times far ahead must not keep all that came after them.
      if (chunk.bytes.length === 0) {
        this.#revive(gone, us);
        break;
      }
      if (!this.#moveAlive(chunk, us)) break;
    }
    // A large row and the numbers it takes go together.
    while (gone > 0 && gone < this.#chunks.length && this.#chunks[gone].filler) gone--;
    if (gone > 0) this.#drop(gone);
  }

  #moveAlive(chunk: Chunk, us: number): boolean {
    const { bytes, i32, f64 } = chunk;
    let alive = 0;
    for (let at = chunk.from; at < chunk.to; at += sizeAt(i32, at)) if (usAt(f64, at) > us) alive += sizeAt(i32, at);
    if (alive > (chunk.to - chunk.from) * MOVE_SHARE) return false;
    for (let at = chunk.from; at < chunk.to; at += sizeAt(i32, at)) if (usAt(f64, at) > us) this.#appendRecord(bytes, i32, f64, at, null);
    return true;
  }

  /** Adds a record of a chunk once more, unless `keep` says no of its key. */
  #appendRecord(bytes: Uint8Array, i32: Int32Array, f64: Float64Array, at: number, keep: ((data: Uint8Array, start: number, end: number) => boolean) | null): void {
    const flags = flagsAt(i32, at);
    const key = at + headBytes(flags);
    const row = key + keyBytesAt(i32, key, flags);
    if (keep !== null && !keep(bytes, key, row)) return;
    this.timed = (flags & TIMED) !== 0;
    this.#append(this.#o.hash(bytes, key, row), bytes, key, row, bytes, row, at + sizeAt(i32, at), countAt(f64, at, flags), this.timed ? usAt(f64, at) : 0);
  }

  /** Reads a front chunk back that keeps others which could go. */
  #revive(n: number, us: number): void {
    const chunk = this.#chunks[n];
    let dead = 0;
    for (let k = n + 1; k < this.#chunks.length && dead < WAITING_CHUNKS; k++) if (this.#chunks[k].maxUs <= us) dead++;
    if (dead < WAITING_CHUNKS || this.#reviving) return;
    this.#reviving = true;
    this.#background = this.#background.then(async () => {
      const bytes = new Uint8Array(Math.max(CHUNK_BYTES, chunk.to));
      bytes.set(await this.read({ position: chunk.number * CHUNK_BYTES + chunk.from, length: chunk.to - chunk.from, bytes: null }), chunk.from);
      if (chunk.number < this.#firstNumber || chunk.bytes.length > 0) return;
      attach(chunk, bytes);
      chunk.used = true;
      this.#account(bytes.length);
      this.#coldResident += bytes.length;
      this.#coldChunks--;
      this.#firstResident = Math.min(this.#firstResident, chunk.number - this.#firstNumber);
      // An error shows where the rows are asked for; until then they only stay longer.
    }).catch(() => undefined).finally(() => { this.#reviving = false; });
  }

  #drop(count: number): void {
    const gone = this.#chunks.splice(0, count);
    this.#firstNumber += count;
    this.#trimmed += count;
    this.#hand = Math.max(0, this.#hand - count);
    this.#firstResident = Math.max(0, this.#firstResident - count);
    this.#firstUnspilled = Math.max(0, this.#firstUnspilled - count);
    let stored = false;
    for (const chunk of gone) {
      this.#rows -= chunk.rows;
      if (chunk.bytes.length === 0) { if (chunk.cold) this.#coldChunks--; } else {
        if (chunk.cold) this.#coldResident -= chunk.bytes.length;
        this.#account(-chunk.bytes.length);
        this.#release(chunk);
      }
      if (chunk.cold) stored = true;
    }
    if (stored) {
      const last = gone[gone.length - 1].number;
      for (const [key, piece] of this.#pieces) if (((last - Math.floor(key / 0x100000000)) & PIECE_CHUNK_MASK) <= last - gone[0].number) this.#forget(key, piece);
      this.#waiting.push(...gone.filter((c) => c.cold));
      this.#dropStored();
    }
    // Refs to dropped chunks are told apart from living ones over twice this many numbers.
    if (this.#trimmed >= CHUNKS_MAX) this.#growIndex();
  }

  #clear(): void {
    this.#drop(this.#chunks.length);
    this.#index.fill(0);
    this.#entries = this.#trimmed = 0;
  }

  /** Deletes dropped chunks in the cold store, once no barrier needs them. */
  #dropStored(): void {
    const { store } = this.#o;
    if (this.#captures > 0 || this.#waiting.length === 0 || store === null) return;
    const gone = this.#waiting;
    this.#waiting = [];
    const from = gone[0].number;
    const to = gone[gone.length - 1].number + 1;
    // A failure leaves entries behind that the next start wipes; writes that matter report the store's error themselves.
    this.#background = this.#background.then(() => store.drop(this.tableId, from, to)).catch(() => undefined);
  }

  /** Resolves when what runs in the background is done. */
  settled(): Promise<void> { return this.#background; }

  // ---- checkpoints ----

  /** What was written from position `from` on (0: everything there is). Synchronous; nothing is copied. `release` must be called once it is on disk. */
  capture(from: number): LogRange[] {
    const ranges: LogRange[] = [];
    this.#captures++;
    for (let n = Math.max(0, Math.floor(from / CHUNK_BYTES) - this.#firstNumber); n < this.#chunks.length; n++) {
      const chunk = this.#chunks[n];
      const base = chunk.number * CHUNK_BYTES;
      if (chunk.filler || base + chunk.to <= from) continue;
      const start = Math.max(chunk.from, from - base);
      if (start < chunk.to) ranges.push({ position: base + start, length: chunk.to - start, bytes: chunk.bytes.length === 0 ? null : chunk.bytes.subarray(start, chunk.to) });
    }
    return ranges;
  }

  release(): void {
    this.#captures--;
    this.#dropStored();
  }

  /** The bytes of a captured range. */
  async read(range: LogRange): Promise<Uint8Array> {
    if (range.bytes !== null) return range.bytes;
    const { store } = this.#o;
    const number = Math.floor(range.position / CHUNK_BYTES);
    const start = range.position - number * CHUNK_BYTES;
    const out = new Uint8Array(range.length);
    let filled = 0;
    for (const stored of store === null ? [] : await store.readChunk(this.tableId, number)) {
      const view = viewOf(stored);
      for (let p = 0; p < stored.length;) {
        const offset = view.getInt32(p, true);
        const size = view.getInt32(p + PIECE_HEAD + 4, true) & SIZE;
        if (offset >= start && offset < start + range.length) {
          out.set(stored.subarray(p + PIECE_HEAD, p + PIECE_HEAD + size), offset - start);
          filled += size;
        }
        p += PIECE_HEAD + size;
      }
    }
    assert(filled === range.length, 'rows of a join side are missing in the local store');
    return out;
  }

  /** Puts a range back where it was; ranges come in the order of their positions. */
  restore(position: number, bytes: Uint8Array): void {
    const number = Math.floor(position / CHUNK_BYTES);
    const at = position - number * CHUNK_BYTES;
    let chunk = this.#chunk;
    if (chunk === null || chunk.number !== number) {
      if (chunk !== null) {
        // Between them: rows that were trimmed before the file was merged; what refers to them ends there.
        if (this.#firstNumber + this.#chunks.length !== number) this.#clear();
        this.#chunk = null;
      }
      this.#open(number, at, Math.max(CHUNK_BYTES, at + bytes.length));
      chunk = this.#chunk;
    } else if (at + bytes.length > this.#limit) this.#resize(chunk, Math.max(CHUNK_BYTES, at + bytes.length));
    assert(chunk !== null && (chunk.to === at || chunk.from === at), 'a join side has a gap');
    chunk.bytes.set(bytes, at);
    chunk.to = this.#at = at + bytes.length;
    const { i32, f64 } = chunk;
    for (let p = at; p < chunk.to; p += sizeAt(i32, p)) {
      this.#point(keyHashAt(this.#o.hash, chunk.bytes, i32, p), (((number & REF_CHUNK_MASK) << REF_CHUNK_SHIFT) | (p >>> 3)) >>> 0);
      if ((flagsAt(i32, p) & TIMED) !== 0 && usAt(f64, p) > chunk.maxUs) chunk.maxUs = usAt(f64, p);
      chunk.rows++;
      this.#rows++;
      this.added++;
    }
  }

  /** Adds the rows of a range of another log that `keep` says, by their key: bytes [start, end) of `data`. */
  merge(bytes: Uint8Array, keep: (data: Uint8Array, start: number, end: number) => boolean): void {
    const copy = new Uint8Array((bytes.length + 7) & SIZE);
    copy.set(bytes);
    const i32 = new Int32Array(copy.buffer);
    const f64 = new Float64Array(copy.buffer);
    for (let at = 0; at < bytes.length; at += sizeAt(i32, at)) this.#appendRecord(copy, i32, f64, at, keep);
  }
}

interface Wanted { readonly chunk: number; readonly hash: number }
