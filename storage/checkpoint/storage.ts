/**
 * CheckpointStorage: the checkpoints of one job in a FileStore (a folder, or a bucket of an object store).
 *
 *   <root>/<job id>/chk-<N>/_metadata     a complete checkpoint: it exists as soon as its _metadata does
 *   <root>/<job id>/shared/…              base, delta and log files, shared by the checkpoints that refer to them
 *   <root>/<job id>/_owner                id of the server whose job it is: two servers may be given one folder, and both have a job 1
 *
 * What _metadata refers to is whole and durable before it is written. Discarding removes _metadata first, then files that no other checkpoint
 * refers to. Files nobody refers to (of aborted checkpoints, of a crash) are removed by `cleanUp` at start, before tasks write.
 *
 * With `copies` (remote storage, local_recovery) state files are also kept in a second, local store, until LevelDB holds what is in them; reading takes the
 * copy where it is whole.
 */
import { randomBytes } from 'node:crypto';
import { SqlError, toErrorData } from '../../types/error.js';
import { fileUrl, type FileStore, type FileWriter } from '../filestore.js';
import type { EntryBlock, StateFileEnd } from './format.js';
import { damaged, decodeMetadata, encodeMetadata, type CheckpointMetadata, type FileRef } from './metadata.js';
import { isUnreadableFile, readStateBlocks, unreadable, writeStateBlocks, type StateFileSource } from './statefile.js';

export interface StoredCheckpoint {
  readonly id: number;
  readonly path: string;
  /** null when `error` says why it cannot be used. */
  readonly metadata: CheckpointMetadata | null;
  readonly error: SqlError | null;
}

export class CheckpointStorage {
  readonly jobId: number;
  readonly store: FileStore;
  readonly #copies: FileStore | null;
  #holds = 0;
  /** To be deleted when nothing holds them. */
  readonly #deferred = new Set<string>();

  constructor(store: FileStore, jobId: number, copies: FileStore | null = null) {
    this.store = store;
    this.jobId = jobId;
    this.#copies = copies;
  }

  /** The job's folder, as the user would name it. */
  get directory(): string { return fileUrl(this.store, String(this.jobId)); }
  path(checkpointId: number): string { return fileUrl(this.store, this.#folder(checkpointId)); }
  filePath(ref: FileRef): string { return fileUrl(this.store, this.#shared(nameOf(ref))); }

  #folder(checkpointId: number): string { return `${this.jobId}/chk-${checkpointId}`; }
  #shared(name: string): string { return `${this.jobId}/shared/${name}`; }

  // ---- state files: written and read by tasks ----

  async writeStateFile(source: StateFileSource): Promise<FileRef> {
    const { header } = source;
    const name = `${header.kind}-${header.checkpoint}-${header.task.replace(/[^A-Za-z0-9.-]/g, '_')}-${randomBytes(4).toString('hex')}`;
    const file = await this.#create(name, source.applied !== true);
    try {
      const { bytes, checksum, end } = await writeStateBlocks(file, this.jobId, source);
      await file.commit();
      const ref: FileRef = { path: `../shared/${name}`, kind: header.kind, bytes, checksum, entries: end.entries, checkpoint: header.checkpoint, state: source.state ?? name };
      return { ...ref, ...(source.covers === undefined ? {} : { covers: source.covers }), ...(source.ends === undefined ? {} : { ends: source.ends }) };
    } catch (e) {
      // The first error is the one to report.
      await file.discard();
      throw e;
    }
  }

  async #create(name: string, copied: boolean): Promise<FileWriter> {
    const file = await this.store.create(this.#shared(name));
    const copies = this.#copies;
    if (copies === null || !copied) return file;
    // A copy that cannot be written is none: the file itself counts.
    let copy = await copies.create(this.#shared(name)).catch(() => null);
    const onCopy = async (work: (c: FileWriter) => Promise<void>): Promise<void> => {
      try {
        if (copy !== null) await work(copy);
      } catch {
        await copy?.discard();
        copy = null;
      }
    };
    return {
      async append(bytes) {
        await onCopy(c => c.append(bytes));
        await file.append(bytes);
      },
      async commit() {
        await file.commit();
        await onCopy(c => c.commit());
      },
      async discard() {
        await copy?.discard();
        await file.discard();
      },
    };
  }

  /** LevelDB holds what is in these files: a recovery does not read them any more. */
  async dropCopies(refs: readonly FileRef[]): Promise<void> {
    await this.#copies?.remove(refs.map(ref => this.#shared(nameOf(ref)))).catch(() => undefined); // what is left goes at the next start
  }

  /** Removes the file of a checkpoint that was given up. */
  async removeStateFile(ref: FileRef): Promise<void> { await this.#removeShared([nameOf(ref)]); }

  /** Until what it gives is called no shared file is deleted: a savepoint copies them. */
  hold(): () => Promise<void> {
    this.#holds++;
    let held = true;
    return async () => {
      if (!held) return;
      held = false;
      if (--this.#holds > 0) return;
      const names = [...this.#deferred];
      this.#deferred.clear();
      if (names.length > 0) await this.#removeShared(names);
    };
  }

  async #removeShared(names: readonly string[]): Promise<void> {
    if (this.#holds > 0) {
      for (const name of names) this.#deferred.add(name);
      return;
    }
    const files = names.map(name => this.#shared(name));
    await this.#copies?.remove(files).catch(() => undefined); // what is left goes at the next start
    await this.store.remove(files);
  }

  /** The entry blocks of a file, each checked before it is given; after the last one, the whole file was. Throws XX001 naming the file. */
  async *readStateFile(ref: FileRef, onEnd?: (end: StateFileEnd) => void): AsyncGenerator<EntryBlock> {
    const name = this.#shared(nameOf(ref));
    const copies = this.#copies;
    let given = 0;
    if (copies !== null) {
      try {
        for await (const block of readStateBlocks(copies, name, ref, onEnd)) {
          given++;
          yield block;
        }
        return;
      } catch { /* the copy is gone or damaged behind what was given (each block was checked): the file itself goes on from there */ }
    }
    for await (const block of readStateBlocks(this.store, name, ref, onEnd)) if (given-- <= 0) yield block;
  }

  // ---- checkpoints: completed, listed and discarded by the coordinator ----

  /** Throws what the store says when nothing can be written to it: before a job begins. */
  async probe(): Promise<void> {
    const name = `${this.jobId}/.probe`;
    await this.store.write(name, new Uint8Array([10]));
    await this.store.remove([name]);
  }

  /** Before a job begins: 55006 when its folder holds the checkpoints of another server's job, which it would read, overwrite and delete as its own. */
  async begin(serverId: string): Promise<void> {
    await this.probe().catch((e: unknown) => {
      // A store's own errors name it already.
      if (e instanceof SqlError) throw e;
      const { code, message } = toErrorData(e);
      throw new SqlError(code, `nothing can be written to checkpoint storage "${this.store.root}": ${message}`, { cause: e, hint: "SET checkpoint_storage = '…'; with a folder that the server may write to, or RESET checkpoint_storage;" });
    });
    const owner = await this.store.read(this.#owner);
    if (owner !== null && Buffer.from(owner).toString('utf8') !== serverId) throw this.#ofOtherServer();
    this.checkOwner(await this.list(), serverId);
    await this.store.write(this.#owner, Buffer.from(serverId, 'utf8'));
  }

  /** The same of what stands there already. */
  checkOwner(stored: readonly StoredCheckpoint[], serverId: string): void {
    if (stored.some(c => c.metadata?.serverId !== undefined && c.metadata.serverId !== serverId)) throw this.#ofOtherServer();
  }

  get #owner(): string { return `${this.jobId}/_owner`; }
  #ofOtherServer(): SqlError {
    return new SqlError('55006', `"${this.directory}" holds checkpoints of another server's job`, {
      detail: 'Servers count their jobs by themselves: those that share a folder would overwrite and delete each other\'s checkpoints.', hint: `Give each server a folder of its own: SET checkpoint_storage = '${this.store.root}/name';`,
    });
  }

  /** Makes the checkpoint exist. Every file it refers to must be there. */
  async complete(metadata: CheckpointMetadata): Promise<string> {
    await this.verify(metadata, false);
    const name = `${this.#folder(metadata.checkpointId)}/_metadata`;
    try {
      await this.store.write(name, encodeMetadata(metadata));
    } catch (e) {
      // Not acknowledged: it must not come back as complete after a restart.
      await this.store.remove([name]).catch(() => undefined);
      throw e;
    }
    return this.path(metadata.checkpointId);
  }

  /** Complete checkpoints, newest first; damaged ones with their error. */
  async list(): Promise<StoredCheckpoint[]> {
    const ids = (await this.store.list(String(this.jobId))).map(f => /^chk-(\d+)\/_metadata$/.exec(f.name)).filter(m => m !== null).map(m => Number(m[1]));
    const out: StoredCheckpoint[] = [];
    for (const id of ids.sort((a, b) => b - a)) {
      try {
        const metadata = await this.#readMetadata(id);
        if (metadata !== null) out.push({ id, path: this.path(id), metadata, error: null });
      } catch (e) {
        const error = unreadable(e, `${this.path(id)}/_metadata`);
        if (!(error instanceof SqlError) || !(error.code === 'XX001' || error.code === '0A000' || isUnreadableFile(error))) throw error;
        out.push({ id, path: this.path(id), metadata: null, error });
      }
    }
    return out;
  }

  async #readMetadata(id: number): Promise<CheckpointMetadata | null> {
    const name = `${this.#folder(id)}/_metadata`;
    const file = fileUrl(this.store, name);
    const bytes = await this.store.read(name);
    if (bytes === null) return null;
    const metadata = decodeMetadata(bytes, file);
    if (metadata.jobId !== this.jobId || metadata.checkpointId !== id) throw damaged(file, 'it belongs to another checkpoint');
    return metadata;
  }

  /** Throws XX001 for the first missing or damaged file. `full` reads every byte, otherwise sizes are compared. */
  async verify(metadata: CheckpointMetadata, full: boolean): Promise<void> {
    const refs = metadata.tasks.flatMap(t => t.files);
    if (refs.length === 0) return;
    if (full) {
      for (const ref of refs) {
        const name = this.#shared(nameOf(ref));
        const blocks = readStateBlocks(this.store, name, ref);
        while (!(await blocks.next()).done) { /* reading checks */ }
      }
      return;
    }
    const sizes = new Map((await this.store.list(`${this.jobId}/shared`)).map(f => [f.name, f.bytes]));
    for (const ref of refs) {
      const size = sizes.get(nameOf(ref));
      if (size !== ref.bytes) throw damaged(this.filePath(ref), size === undefined ? 'it is missing' : `it has ${size} bytes instead of ${ref.bytes}`);
    }
  }

  /** Before a job goes on from it: its `_metadata` may be one of which the process that wrote it died before it was durable. */
  async secure(checkpointId: number): Promise<void> { await this.store.secure(this.#folder(checkpointId)); }

  /** Removes a checkpoint, and those of its files that none of `kept` (and no file name in `inUse`) refers to. May be repeated when it failed. */
  async discard(checkpointId: number, files: readonly FileRef[], kept: readonly CheckpointMetadata[], inUse: ReadonlySet<string> = new Set()): Promise<void> {
    await this.store.remove([`${this.#folder(checkpointId)}/_metadata`]);
    await this.store.removeFolder(this.#folder(checkpointId));
    const referenced = referencedNames(kept);
    const gone = files.map(nameOf).filter(name => !referenced.has(name) && !inUse.has(name));
    if (gone.length > 0) await this.#removeShared(gone);
  }

  /** Keeps the newest `count` of `complete` (newest first); discards the others. Returns the ids discarded. */
  async retain(complete: readonly CheckpointMetadata[], count: number, inUse?: ReadonlySet<string>): Promise<number[]> {
    const kept = complete.slice(0, Math.max(1, count));
    const gone = complete.slice(kept.length);
    for (const metadata of gone) await this.discard(metadata.checkpointId, metadata.tasks.flatMap(t => t.files), kept, inUse);
    return gone.map(m => m.checkpointId);
  }

  /** At start, before any task writes: removes folders without _metadata and files that no checkpoint in `kept` refers to. */
  async cleanUp(kept: readonly StoredCheckpoint[]): Promise<void> {
    // A damaged _metadata hides which files it refers to: then nothing shared is removed.
    const certain = kept.every(c => c.metadata !== null);
    const ids = new Set(kept.map(c => c.id));
    const folder = String(this.jobId);
    await this.store.removeUnfinished(folder);
    const referenced = referencedNames(kept.flatMap(c => (c.metadata === null ? [] : [c.metadata])));
    const orphan = (name: string): boolean => {
      const chk = /^chk-(\d+)\//.exec(name);
      if (chk !== null) return !ids.has(Number(chk[1]));
      return name.startsWith('shared/') ? certain && !referenced.has(name.slice('shared/'.length)) : name === '.probe';
    };
    const orphans = (await this.store.list(folder)).map(f => f.name).filter(orphan);
    await this.store.remove(orphans.map(name => `${folder}/${name}`));
    // Where folders exist, those of checkpoints that are gone.
    for (const id of new Set(orphans.flatMap(name => /^chk-(\d+)\//.exec(name)?.[1] ?? []))) await this.store.removeFolder(`${folder}/chk-${id}`);
    await this.#cleanCopies(certain, referenced);
  }

  async #cleanCopies(certain: boolean, referenced: ReadonlySet<string>): Promise<void> {
    const copies = this.#copies;
    if (copies === null || !certain) return;
    const folder = String(this.jobId);
    try {
      await copies.removeUnfinished(folder);
      const left = (await copies.list(`${folder}/shared`)).filter(f => !referenced.has(f.name));
      await copies.remove(left.map(f => this.#shared(f.name)));
    } catch { /* tried again at the next start */ }
  }

  /** No recovery follows. */
  async dropAllCopies(): Promise<void> {
    await this.#copies?.removeFolder(String(this.jobId)).catch(() => undefined); // files in the data directory that nobody reads
  }

  /** Deletes all of the job's checkpoints. */
  async drop(): Promise<void> {
    await this.dropAllCopies();
    await this.store.removeFolder(String(this.jobId));
  }
}

function nameOf(ref: FileRef): string { return ref.path.slice(ref.path.lastIndexOf('/') + 1); }

function referencedNames(checkpoints: readonly CheckpointMetadata[]): Set<string> {
  return new Set(checkpoints.flatMap(m => m.tasks.flatMap(t => t.files.map(nameOf))));
}
