/**
 * State files (base, delta, log; format.ts) in a FileStore: written block by block under one checksum, read back with every block checked
 * before it is given out.
 */
import { environmentCode, SqlError } from '../../types/error.js';
import { crc32c } from '../../types/crc32c.js';
import { viewOf } from '../../types/encoding/bytes.js';
import { fileUrl, type FileReader, type FileStore, type FileWriter } from '../filestore.js';
import { blockHead, BLOCK_BYTES_MAX, HEAD_BYTES, jsonBlock, KIND_END, KIND_ENTRIES, KIND_HEADER, MAGIC, STATE_FORMAT, type EntryBlock, type SplitBlock, type StateFileEnd, type StateFileHeader } from './format.js';
import { damaged, hex32, type FileRef } from './metadata.js';

/** Bytes gathered before a write goes to the file. */
const WRITE_BYTES = 1024 * 1024;
/** Most files are small. */
const FIRST_WRITE_BYTES = 4096;

export interface StateFileSource {
  readonly header: Omit<StateFileHeader, 'format' | 'jobId'>;
  /** Name of the state that the file brings; default: a new one. */
  readonly state?: string;
  readonly covers?: readonly string[];
  readonly ends?: Readonly<Record<string, number>>;
  /** LevelDB is at this state already: a recovery that has it does not read the file. */
  readonly applied?: true;
  readonly blocks: Iterable<EntryBlock | SplitBlock> | AsyncIterable<EntryBlock | SplitBlock>;
  /** Read after the last block. */
  readonly end: () => StateFileEnd;
}

/** Writes all of `source` to `file`, without `commit`. */
export async function writeStateBlocks(file: FileWriter, jobId: number, source: StateFileSource): Promise<{ bytes: number; checksum: string; end: StateFileEnd }> {
  const writer = new BlockWriter(file);
  try {
    await writer.block(KIND_HEADER, jsonBlock({ format: STATE_FORMAT, jobId, ...source.header } satisfies StateFileHeader));
    for await (const block of source.blocks) await writer.block(KIND_ENTRIES, block);
    const end = source.end();
    await writer.block(KIND_END, jsonBlock(end));
    const { bytes, checksum } = await writer.finish();
    return { bytes, checksum: hex32(checksum), end };
  } finally {
    await writer.settled();
  }
}

/** The entry blocks of the file that `ref` describes, each checked before it is given; after the last one, the whole file was. Throws XX001 naming the file. */
export async function *readStateBlocks(store: FileStore, name: string, ref: Pick<FileRef, 'bytes' | 'checksum'>, onEnd?: (end: StateFileEnd) => void): AsyncGenerator<EntryBlock> {
  const path = fileUrl(store, name);
  try {
    const file = await store.open(name);
    if (file === null) throw damaged(path, 'it is missing');
    try {
      if (file.size !== ref.bytes) throw damaged(path, `it has ${file.size} bytes instead of ${ref.bytes}`);
      yield* checkedBlocks(file, path, ref.checksum, onEnd);
    } finally {
      await file.close();
    }
  } catch (e) {
    throw unreadable(e, path);
  }
}

/** Tells that `name` could not be read from a file system: damage (a folder in its place), or what may pass (an I/O error, rights). */
export function unreadable(e: unknown, path: string): unknown {
  const code = (e as { code?: unknown }).code;
  if (e instanceof SqlError || typeof code !== 'string') return e;
  if (code === 'EISDIR' || code === 'ENOTDIR') return damaged(path, 'it is no file');
  return new SqlError((e instanceof Error ? environmentCode(e) : undefined) ?? '58030', `checkpoint file "${path}" could not be read: ${code}`, { cause: e });
}

/** An error of a recovery that the checkpoint's own files gave, though they may be whole. */
export function isUnreadableFile(e: SqlError): boolean { return e.message.startsWith('checkpoint file "') && e.message.includes('could not be read'); }

async function *checkedBlocks(file: FileReader, path: string, expected: string, onEnd?: (end: StateFileEnd) => void): AsyncGenerator<EntryBlock> {
  const { size } = file;
  const magic = await file.read(0, MAGIC.length);
  if (magic.length < MAGIC.length || magic.some((b, k) => b !== MAGIC[k])) throw damaged(path, 'it is no state file');
  let at = MAGIC.length;
  let checksum = 0;
  let kind = 0;
  for (let first = true; at < size; first = false) {
    const head = await file.read(at, HEAD_BYTES);
    if (head.length < HEAD_BYTES) throw damaged(path, `it ends inside a block at byte ${at}`);
    const view = viewOf(head);
    const length = view.getUint32(0, true);
    kind = head[8];
    if (length > BLOCK_BYTES_MAX || at + HEAD_BYTES + length > size) throw damaged(path, `the block at byte ${at} has an impossible length`);
    const payload = await file.read(at + HEAD_BYTES, length);
    if (crc32c(payload, 0, length, crc32c(head, 8, 9)) !== view.getUint32(4, true)) throw damaged(path, `the block at byte ${at} does not match its checksum`);
    checksum = crc32c(head, 0, HEAD_BYTES, checksum);
    at += HEAD_BYTES + length;
    if (first !== (kind === KIND_HEADER)) throw damaged(path, 'its header is not where it belongs');
    if (kind === KIND_HEADER) checkHeader(path, payload);
    else if (kind === KIND_ENTRIES) yield payload;
    else if (kind === KIND_END) onEnd?.(JSON.parse(new TextDecoder().decode(payload)) as StateFileEnd);
  }
  if (kind !== KIND_END) throw damaged(path, 'its end is missing');
  if (hex32(checksum) !== expected) throw damaged(path, 'its checksum is not the one in the checkpoint');
}

function checkHeader(path: string, payload: Uint8Array): void {
  const header = JSON.parse(new TextDecoder().decode(payload)) as StateFileHeader;
  if (header.format !== STATE_FORMAT) throw new SqlError('0A000', `state file format ${header.format} is not supported`, { detail: `File "${path}".` });
}

/** Gathers blocks into large writes, in two buffers (one is filled while the other is written), and computes the file's checksum. */
class BlockWriter {
  readonly #file: FileWriter;
  #buffer: Uint8Array = new Uint8Array(FIRST_WRITE_BYTES);
  #other: Uint8Array | null = null;
  /** The write under way. */
  #writing: Promise<void> = Promise.resolve();
  #used = 0;
  #bytes = 0;
  #checksum = 0;

  constructor(file: FileWriter) {
    this.#file = file;
    this.#buffer.set(MAGIC);
    this.#used = MAGIC.length;
  }

  async block(kind: number, payload: EntryBlock | SplitBlock): Promise<void> {
    const parts = payload instanceof Uint8Array ? [payload] : payload;
    const head = blockHead(kind, parts);
    this.#checksum = crc32c(head, 0, HEAD_BYTES, this.#checksum);
    await this.#add(head);
    for (const part of parts) await this.#add(part);
  }

  async #add(part: Uint8Array): Promise<void> {
    if (this.#used + part.length > this.#buffer.length && this.#buffer.length < WRITE_BYTES) {
      const grown = new Uint8Array(Math.min(WRITE_BYTES, Math.max(this.#used + part.length, this.#buffer.length * 4)));
      grown.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = grown;
    }
    for (let at = 0; at < part.length;) {
      const n = Math.min(part.length - at, this.#buffer.length - this.#used);
      this.#buffer.set(part.subarray(at, at + n), this.#used);
      this.#used += n;
      at += n;
      if (this.#used === this.#buffer.length) await this.#flush();
    }
  }

  /** Resolves when the write before has ended. */
  async #flush(): Promise<void> {
    await this.#writing;
    const full = this.#buffer;
    this.#bytes += this.#used;
    this.#writing = this.#file.append(full.subarray(0, this.#used));
    // Told by the next call; meanwhile it must not count as unhandled.
    this.#writing.catch(() => undefined);
    this.#buffer = this.#other ?? new Uint8Array(full.length);
    this.#other = full;
    this.#used = 0;
  }

  async finish(): Promise<{ bytes: number; checksum: number }> {
    await this.#writing;
    if (this.#used > 0) await this.#file.append(this.#buffer.subarray(0, this.#used));
    return { bytes: this.#bytes + this.#used, checksum: this.#checksum };
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> { await this.#writing.catch(() => undefined); }
}
