/**
 * Chunks of a RowLog, their records, and the pieces that stand for them in the cold store. What every record holds: see rowlog.ts.
 */
import { SqlError } from '../../types/error.js';
import { copyBytes } from '../../types/encoding/bytes.js';

export const CHUNK_BITS = 16;
/** Bytes of positions in a chunk; a larger row has a chunk over several numbers. */
export const CHUNK_BYTES = 1 << CHUNK_BITS;
/** The first row's offset: a ref is never 0. */
export const CHUNK_HEAD = 8;
export const REF_CHUNK_SHIFT = CHUNK_BITS - 3;
export const REF_CHUNK_MASK = 0x7ffff;
export const REF_OFFSET_MASK = (1 << REF_CHUNK_SHIFT) - 1;
export const HEAD = 8;
/** Keys of so many bytes (one number: nearly all) stand without their length. */
export const SHORT_KEY_BYTES = 8;
// Flags in a record's size, a multiple of 8.
export const COUNTED = 1;
export const TIMED = 2;
/** The key's length stands before it. */
export const LONG_KEY = 4;
export const SIZE = ~7;
/** A piece's rows each follow their offset in the chunk. */
export const PIECE_HEAD = 8;
export const PIECE_CHUNK_MASK = 0xfffff;
export const NO_BYTES = new Uint8Array(0);

export type KeyHash = (data: Uint8Array, start: number, end: number) => number;

/** A piece: the rows of one chunk that have one hash, newest first. */
export interface Piece { readonly bytes: Uint8Array; readonly i32: Int32Array; readonly f64: Float64Array }

export interface Chunk {
  readonly number: number;
  /** Empty: in the cold store only. */
  bytes: Uint8Array;
  i32: Int32Array;
  f64: Float64Array;
  /** Offsets of its first row and behind its last one. */
  readonly from: number;
  to: number;
  rows: number;
  /** Latest time of its rows. */
  maxUs: number;
  /** Asked for since the eviction's hand last passed. */
  used: boolean;
  /** In the cold store, whole. */
  cold: boolean;
  /** A number that the large row before it takes. */
  readonly filler: boolean;
}

/** Where chunks are that are not in memory. */
export interface RowLogStore {
  /** Begins to write pieces. */
  writer(tableId: number): RowLogWriter;
  getMany(tableId: number, wanted: readonly { readonly chunk: number; readonly hash: number }[]): Promise<(Uint8Array | undefined)[]>;
  getSync(tableId: number, chunk: number, hash: number): Uint8Array | undefined;
  /** All pieces of a chunk. */
  readChunk(tableId: number, chunk: number): Promise<Uint8Array[]>;
  /** Deletes the pieces of chunks in [from, to). */
  drop(tableId: number, from: number, to: number): Promise<void>;
}

export interface RowLogWriter {
  /** `bytes` may be used again at once. */
  put(chunk: number, hash: number, bytes: Uint8Array): void;
  /** Between chunks: writes what has gathered when it is much, or `all` of it. */
  flush(all: boolean): Promise<void>;
}

// The record at `at`.
export const beforeAt = (i32: Int32Array, at: number): number => i32[at >>> 2];
export const sizeAt = (i32: Int32Array, at: number): number => i32[(at >>> 2) + 1] & SIZE;
export const flagsAt = (i32: Int32Array, at: number): number => i32[(at >>> 2) + 1] & ~SIZE;
/** Bytes before its key. */
export const headBytes = (flags: number): number => HEAD + ((flags & TIMED) << 2) + ((flags & COUNTED) << 3) + (flags & LONG_KEY);
/** Bytes of its key, which begins at `key`. */
export const keyBytesAt = (i32: Int32Array, key: number, flags: number): number => ((flags & LONG_KEY) === 0 ? SHORT_KEY_BYTES : i32[(key >>> 2) - 1]);
export function keyHashAt(hash: KeyHash, bytes: Uint8Array, i32: Int32Array, at: number): number {
  const flags = flagsAt(i32, at);
  const key = at + headBytes(flags);
  return hash(bytes, key, key + keyBytesAt(i32, key, flags));
}
export const usAt = (f64: Float64Array, at: number): number => f64[(at + HEAD) >>> 3];
export const countAt = (f64: Float64Array, at: number, flags: number): number => ((flags & COUNTED) === 0 ? 1 : f64[(at + HEAD + ((flags & TIMED) << 2)) >>> 3]);

/** Not in memory, for good or until a piece is asked for. */
export function isOut(chunk: Chunk): boolean { return chunk.filler || (chunk.cold && chunk.bytes.length === 0); }

export function makeChunk(number: number, bytes: Uint8Array, from: number, filler: boolean): Chunk {
  const chunk: Chunk = { number, bytes, i32: new Int32Array(0), f64: new Float64Array(0), from, to: from, rows: 0, maxUs: -Infinity, used: false, cold: false, filler };
  attach(chunk, bytes);
  return chunk;
}

export function attach(chunk: Chunk, bytes: Uint8Array): void {
  chunk.bytes = bytes;
  chunk.i32 = new Int32Array(bytes.buffer, 0, bytes.length >>> 2);
  chunk.f64 = new Float64Array(bytes.buffer, 0, bytes.length >>> 3);
}

/** Key of a piece in memory: chunk numbers of one log differ in their low 20 bits. */
export function pieceKey(chunk: number, hash: number): number { return (chunk & PIECE_CHUNK_MASK) * 0x100000000 + (hash >>> 0); }

/** Where in a piece the row is that stood at `at` in its chunk. */
export function offsetIn(piece: Piece, at: number): number {
  for (let p = 0; p < piece.bytes.length;) {
    if (piece.i32[p >>> 2] === at) return p + PIECE_HEAD;
    p += PIECE_HEAD + sizeAt(piece.i32, p + PIECE_HEAD);
  }
  throw new SqlError('XX000', 'a row of a join side is missing in its piece');
}

/** The row before a piece's oldest one. */
export function beforePiece(piece: Piece): number {
  let ref = 0;
  for (let p = 0; p < piece.bytes.length; p += PIECE_HEAD + sizeAt(piece.i32, p + PIECE_HEAD)) ref = beforeAt(piece.i32, p + PIECE_HEAD);
  return ref;
}

/** Gives a chunk's rows to the writer: those of one hash in one piece, newest first. */
export function cut(chunk: Chunk, hash: KeyHash, writer: RowLogWriter): void {
  const { bytes, i32, rows } = chunk;
  // Sorted as numbers: hash, then offset from the end.
  const order = new Float64Array(rows);
  let n = 0;
  for (let at = chunk.from; at < chunk.to; at += sizeAt(i32, at)) order[n++] = (keyHashAt(hash, bytes, i32, at) >>> 0) * CHUNK_BYTES + (CHUNK_BYTES - 1 - at);
  order.sort();
  const most = chunk.to - chunk.from + rows * PIECE_HEAD;
  if (pieceBytes.length < most) pieceBytes = new Uint8Array(most);
  const words = new Int32Array(pieceBytes.buffer);
  for (let from = 0; from < rows;) {
    const one = Math.floor(order[from] / CHUNK_BYTES);
    let p = 0;
    for (; from < rows && Math.floor(order[from] / CHUNK_BYTES) === one; from++) {
      const at = offsetOf(order[from]);
      const size = sizeAt(i32, at);
      words[p >>> 2] = at;
      words[(p >>> 2) + 1] = 0;
      copyBytes(bytes, at, at + size, pieceBytes, p + PIECE_HEAD);
      p += PIECE_HEAD + size;
    }
    writer.put(chunk.number, one | 0, pieceBytes.subarray(0, p));
  }
}

/** The piece being cut. */
let pieceBytes = new Uint8Array(2 * CHUNK_BYTES);

function offsetOf(order: number): number { return CHUNK_BYTES - 1 - (order % CHUNK_BYTES); }
