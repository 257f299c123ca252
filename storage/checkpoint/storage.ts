/**
 * CheckpointStorage: the checkpoints of one job as files.
 *
 *   <root>/<job id>/chk-<N>/_metadata     a complete checkpoint: it exists from the rename of its _metadata on
 *   <root>/<job id>/shared/…              base and delta files, shared by the checkpoints that refer to them
 *
 * A file is written under a temporary name, synced, renamed, and its folder synced: what _metadata refers to is whole and durable.
 * Discarding removes _metadata first, then files that no other checkpoint refers to. Files nobody refers to (of aborted checkpoints, of a
 * crash) are removed by `cleanUp` at start, before tasks write. All I/O goes through FileSystem.
 */
import { randomBytes } from 'node:crypto';
import { SqlError } from '../../types/error.js';
import { crc32c } from '../../types/crc32c.js';
import { replaceFile, type FileSystem, type OpenFile } from '../filesystem.js';
import { blockHead, BLOCK_BYTES_MAX, HEAD_BYTES, jsonBlock, KIND_END, KIND_ENTRIES, KIND_HEADER, MAGIC, STATE_FORMAT, type EntryBlock, type SplitBlock, type StateFileEnd, type StateFileHeader } from './format.js';
import { damaged, decodeMetadata, encodeMetadata, hex32, type CheckpointMetadata, type FileRef } from './metadata.js';

/** Bytes gathered before a write goes to the file. */
const WRITE_BYTES = 1024 * 1024;
/** Most files are small. */
const FIRST_WRITE_BYTES = 4096;

export interface StoredCheckpoint {
  readonly id: number;
  readonly path: string;
  /** null when `error` says why it cannot be used. */
  readonly metadata: CheckpointMetadata | null;
  readonly error: SqlError | null;
}

export interface StateFileSource {
  readonly header: Omit<StateFileHeader, 'format' | 'jobId'>;
  /** Name of the state that the file brings; default: a new one. */
  readonly state?: string;
  readonly covers?: readonly string[];
  readonly ends?: Readonly<Record<string, number>>;
  readonly blocks: Iterable<EntryBlock | SplitBlock> | AsyncIterable<EntryBlock | SplitBlock>;
  /** Read after the last block. */
  readonly end: () => StateFileEnd;
}

export class CheckpointStorage {
  readonly jobId: number;
  /** The job's folder. */
  readonly directory: string;
  readonly #files: FileSystem;
  #prepared: Promise<void> | null = null;

  constructor(files: FileSystem, root: string, jobId: number) {
    this.#files = files;
    this.jobId = jobId;
    this.directory = `${root}/${jobId}`;
  }

  path(checkpointId: number): string { return `${this.directory}/chk-${checkpointId}`; }
  filePath(ref: FileRef): string { return `${this.directory}/shared/${nameOf(ref)}`; }

  async #prepare(): Promise<void> {
    const make = async (): Promise<void> => {
      await this.#files.makeDirectory(`${this.directory}/shared`);
      await this.#files.syncDirectory(this.directory);
    };
    this.#prepared ??= make();
    try {
      await this.#prepared;
    } catch (e) {
      this.#prepared = null;
      throw e;
    }
  }

  // ---- state files: written and read by tasks ----

  async writeStateFile(source: StateFileSource): Promise<FileRef> {
    await this.#prepare();
    const { header } = source;
    const name = `${header.kind}-${header.checkpoint}-${header.task.replace(/[^A-Za-z0-9.-]/g, '_')}-${randomBytes(4).toString('hex')}`;
    const path = `${this.directory}/shared/${name}`;
    const temporary = `${path}.tmp`;
    try {
      const file = await this.#files.open(temporary, 'create');
      let written: { bytes: number; checksum: number };
      let end: StateFileEnd;
      try {
        const writer = new BlockWriter(file);
        await writer.block(KIND_HEADER, jsonBlock({ format: STATE_FORMAT, jobId: this.jobId, ...header } satisfies StateFileHeader));
        for await (const block of source.blocks) await writer.block(KIND_ENTRIES, block);
        end = source.end();
        await writer.block(KIND_END, jsonBlock(end));
        written = await writer.finish();
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#files.rename(temporary, path);
      await this.#files.syncDirectory(`${this.directory}/shared`);
      const ref: FileRef = {
        path: `../shared/${name}`, kind: header.kind, bytes: written.bytes, checksum: hex32(written.checksum), entries: end.entries,
        checkpoint: header.checkpoint, state: source.state ?? name,
      };
      return { ...ref, ...(source.covers === undefined ? {} : { covers: source.covers }), ...(source.ends === undefined ? {} : { ends: source.ends }) };
    } catch (e) {
      // The first error is the one to report; a leftover goes at the next start.
      await this.#files.unlink(temporary).catch(() => undefined);
      await this.#files.unlink(path).catch(() => undefined);
      throw e;
    }
  }

  /** Removes the file of a checkpoint that was given up. */
  async removeStateFile(ref: FileRef): Promise<void> { await this.#files.unlink(this.filePath(ref)); }

  /** The entry blocks of a file, each checked before it is given; after the last one, the whole file was. Throws XX001 naming the file. */
  async *readStateFile(ref: FileRef, onEnd?: (end: StateFileEnd) => void): AsyncGenerator<EntryBlock> {
    const path = this.filePath(ref);
    let file: OpenFile;
    try {
      file = await this.#files.open(path, 'read');
    } catch (e) {
      throw (e as { code?: unknown }).code === 'ENOENT' ? damaged(path, 'it is missing') : e;
    }
    try {
      const size = await file.size();
      if (size !== ref.bytes) throw damaged(path, `it has ${size} bytes instead of ${ref.bytes}`);
      const magic = await file.read(0, MAGIC.length);
      if (magic.some((b, k) => b !== MAGIC[k])) throw damaged(path, 'it is no state file');
      let at = MAGIC.length;
      let checksum = 0;
      let kind = 0;
      for (let first = true; at < size; first = false) {
        const head = await file.read(at, HEAD_BYTES);
        if (head.length < HEAD_BYTES) throw damaged(path, `it ends inside a block at byte ${at}`);
        const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
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
      if (hex32(checksum) !== ref.checksum) throw damaged(path, 'its checksum is not the one in the checkpoint');
    } finally {
      await file.close();
    }
  }

  // ---- checkpoints: completed, listed and discarded by the coordinator ----

  /** Makes the checkpoint exist. Every file it refers to must be there. */
  async complete(metadata: CheckpointMetadata): Promise<string> {
    await this.#prepare();
    for (const task of metadata.tasks) {
      for (const ref of task.files) {
        const size = await this.#files.size(this.filePath(ref));
        if (size !== ref.bytes) throw damaged(this.filePath(ref), size === null ? 'it is missing' : `it has ${size} bytes instead of ${ref.bytes}`);
      }
    }
    const path = this.path(metadata.checkpointId);
    await this.#files.makeDirectory(path);
    try {
      await replaceFile(this.#files, path, '_metadata', encodeMetadata(metadata));
      await this.#files.syncDirectory(this.directory);
    } catch (e) {
      // Not acknowledged: it must not come back as complete after a restart.
      await this.#files.unlink(`${path}/_metadata`).catch(() => undefined);
      throw e;
    }
    return path;
  }

  /** Complete checkpoints, newest first; damaged ones with their error. */
  async list(): Promise<StoredCheckpoint[]> {
    const ids = (await this.#files.list(this.directory)).map((name) => /^chk-(\d+)$/.exec(name)).filter((m) => m !== null).map((m) => Number(m[1]));
    const out: StoredCheckpoint[] = [];
    for (const id of ids.sort((a, b) => b - a)) {
      const file = `${this.path(id)}/_metadata`;
      if ((await this.#files.size(file)) === null) continue;
      try {
        const metadata = decodeMetadata(await this.#files.readFile(file), file);
        if (metadata.jobId !== this.jobId || metadata.checkpointId !== id) throw damaged(file, 'it belongs to another checkpoint');
        out.push({ id, path: this.path(id), metadata, error: null });
      } catch (e) {
        if (!(e instanceof SqlError)) throw e;
        out.push({ id, path: this.path(id), metadata: null, error: e });
      }
    }
    return out;
  }

  /** Throws XX001 for the first missing or damaged file. `full` reads every byte, otherwise sizes are compared. */
  async verify(metadata: CheckpointMetadata, full: boolean): Promise<void> {
    for (const task of metadata.tasks) {
      for (const ref of task.files) {
        if (full) {
          const blocks = this.readStateFile(ref);
          while (!(await blocks.next()).done) { /* reading checks */ }
          continue;
        }
        const size = await this.#files.size(this.filePath(ref));
        if (size !== ref.bytes) throw damaged(this.filePath(ref), size === null ? 'it is missing' : `it has ${size} bytes instead of ${ref.bytes}`);
      }
    }
  }

  /** Removes a checkpoint, and those of its files that none of `kept` (and no file name in `inUse`) refers to. */
  async discard(checkpointId: number, files: readonly FileRef[], kept: readonly CheckpointMetadata[], inUse: ReadonlySet<string> = new Set()): Promise<void> {
    const path = this.path(checkpointId);
    await this.#files.unlink(`${path}/_metadata`);
    await this.#files.removeDirectory(path);
    const referenced = referencedNames(kept);
    for (const ref of files) {
      const name = nameOf(ref);
      if (!referenced.has(name) && !inUse.has(name)) await this.#files.unlink(`${this.directory}/shared/${name}`);
    }
  }

  /** Keeps the newest `count` of `complete` (newest first); discards the others. Returns the ids discarded. */
  async retain(complete: readonly CheckpointMetadata[], count: number, inUse?: ReadonlySet<string>): Promise<number[]> {
    const kept = complete.slice(0, Math.max(1, count));
    const gone = complete.slice(kept.length);
    for (const metadata of gone) await this.discard(metadata.checkpointId, metadata.tasks.flatMap((t) => t.files), kept, inUse);
    return gone.map((m) => m.checkpointId);
  }

  /** At start, before any task writes: removes folders without _metadata and files that no checkpoint in `kept` refers to. */
  async cleanUp(kept: readonly StoredCheckpoint[]): Promise<void> {
    // A damaged _metadata hides which files it refers to: then nothing shared is removed.
    const certain = kept.every((c) => c.metadata !== null);
    const ids = new Set(kept.map((c) => c.id));
    for (const name of await this.#files.list(this.directory)) {
      const match = /^chk-(\d+)$/.exec(name);
      if (match !== null && !ids.has(Number(match[1]))) await this.#files.removeDirectory(`${this.directory}/${name}`);
    }
    const referenced = referencedNames(kept.flatMap((c) => (c.metadata === null ? [] : [c.metadata])));
    for (const name of await this.#files.list(`${this.directory}/shared`)) {
      if (name.endsWith('.tmp') || (certain && !referenced.has(name))) await this.#files.unlink(`${this.directory}/shared/${name}`);
    }
  }

  /** Deletes all of the job's checkpoints. */
  async drop(): Promise<void> {
    this.#prepared = null;
    await this.#files.removeDirectory(this.directory);
  }
}

function nameOf(ref: FileRef): string { return ref.path.slice(ref.path.lastIndexOf('/') + 1); }

function referencedNames(checkpoints: readonly CheckpointMetadata[]): Set<string> {
  return new Set(checkpoints.flatMap((m) => m.tasks.flatMap((t) => t.files.map(nameOf))));
}

function checkHeader(path: string, payload: Uint8Array): void {
  const header = JSON.parse(new TextDecoder().decode(payload)) as StateFileHeader;
  if (header.format !== STATE_FORMAT) throw new SqlError('0A000', `state file format ${header.format} is not supported`, { detail: `File "${path}".` });
}

/** Gathers blocks into large writes, in one buffer, and computes the file's checksum. */
class BlockWriter {
  readonly #file: OpenFile;
  #buffer = new Uint8Array(FIRST_WRITE_BYTES);
  #used = 0;
  #bytes = 0;
  #checksum = 0;

  constructor(file: OpenFile) {
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

  async #flush(): Promise<void> {
    if (this.#used === 0) return;
    this.#bytes += this.#used;
    await this.#file.append(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  async finish(): Promise<{ bytes: number; checksum: number }> {
    await this.#flush();
    return { bytes: this.#bytes, checksum: this.#checksum };
  }
}
