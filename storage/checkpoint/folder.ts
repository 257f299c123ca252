/**
 * One checkpoint or savepoint as a folder of its own, wherever it stands: `chk-<N>` of a job (its state files are in `../shared`), or a savepoint,
 * which holds everything itself and may be copied or moved with any tool. What is needed to read it is in its `_metadata`.
 *
 *   <folder>/_metadata       written last: the folder is a savepoint from then on, and nothing before
 *   <folder>/<state files>   copies, each read back before `_metadata` is written
 */
import { SqlError, toErrorData } from '../../types/error.js';
import { copyFile, fileUrl, type FileStore } from '../filestore.js';
import type { EntryBlock } from './format.js';
import { damaged, decodeMetadata, encodeMetadata, type CheckpointMetadata, type FileRef } from './metadata.js';
import { readStateBlocks } from './statefile.js';
import type { CheckpointStorage } from './storage.js';

const METADATA = '_metadata';

/** The folder above, and the name in it: state files of a checkpoint are beside its folder. */
export function folderPlace(path: string): { readonly parent: string; readonly name: string } {
  const bare = path.replace(/\/+$/, '').replace(/\/_metadata$/, '');
  const at = bare.lastIndexOf('/');
  if (at < 0 || at === bare.length - 1) throw new SqlError('22023', `"${path}" is no path of a checkpoint or savepoint`, { hint: 'Give the whole path of its folder: SELECT path FROM millrace.savepoints, or FROM millrace.checkpoints.' });
  return { parent: bare.slice(0, at), name: bare.slice(at + 1) };
}

export class CheckpointFolder {
  readonly store: FileStore;
  readonly name: string;
  readonly metadata: CheckpointMetadata;

  private constructor(store: FileStore, name: string, metadata: CheckpointMetadata) {
    this.store = store;
    this.name = name;
    this.metadata = metadata;
  }

  /** `store`: of the folder above. Throws 58P01 when nothing is there, XX001 when its `_metadata` is damaged. */
  static async open(store: FileStore, name: string): Promise<CheckpointFolder> {
    const file = `${name}/${METADATA}`;
    const bytes = await store.read(file);
    if (bytes === null) throw await nothingAt(store, name);
    return new CheckpointFolder(store, name, decodeMetadata(bytes, fileUrl(store, file)));
  }

  get path(): string { return fileUrl(this.store, this.name); }

  #file(ref: FileRef): string {
    // Only names below the folder above: a path in _metadata leads nowhere else.
    const shared = /^\.\.\/(shared\/[^/]+)$/.exec(ref.path);
    if (shared !== null) return shared[1];
    if (ref.path.includes('/')) throw damaged(`${this.path}/${METADATA}`, `it names a file outside of its folder: "${ref.path}"`);
    return `${this.name}/${ref.path}`;
  }

  /** The entry blocks of a state file; each is checked before it is given. Throws XX001 naming the file. */
  async *readStateFile(ref: FileRef): AsyncGenerator<EntryBlock> { yield* readStateBlocks(this.store, this.#file(ref), ref); }

  /** Reads everything. Throws XX001 naming the first file that is damaged or missing. */
  async verify(): Promise<void> {
    for (const ref of filesOf(this.metadata)) {
      const blocks = this.readStateFile(ref);
      while (!(await blocks.next()).done) { /* reading checks */ }
    }
  }

  /** Deletes a savepoint, its `_metadata` first: what a crash leaves is no savepoint. */
  async remove(): Promise<void> {
    await this.store.remove([`${this.name}/${METADATA}`]);
    await this.store.removeFolder(this.name);
  }
}

async function nothingAt(store: FileStore, name: string): Promise<SqlError> {
  const inside = [...new Set((await store.list(name)).map(f => /^([^/]+)\/_metadata$/.exec(f.name)?.[1]).filter(n => n !== undefined))].sort();
  const path = fileUrl(store, name);
  return new SqlError('58P01', `there is no checkpoint or savepoint at "${path}"`, {
    detail: `It has no file ${METADATA}: it was never complete, or is not the folder of one.`,
    hint: inside.length === 0 ? 'SELECT path FROM millrace.savepoints; SELECT path FROM millrace.checkpoints WHERE NOT discarded;' : `Inside it: ${inside.slice(-5).map(n => `"${path}/${n}"`).join(', ')}.`,
  });
}

function filesOf(metadata: CheckpointMetadata): FileRef[] {
  return [...new Map(metadata.tasks.flatMap(t => t.files).map(ref => [ref.path, ref])).values()];
}

/**
 * Writes a savepoint: copies of the files that `metadata` names, from the job's storage, and `_metadata`. On any error what was written is
 * taken back as far as the store lets us; without `_metadata` it is nothing anyway.
 */
export async function writeSavepoint(from: CheckpointStorage, metadata: CheckpointMetadata, to: FileStore, name: string): Promise<CheckpointMetadata> {
  const path = (ref: FileRef): string => ref.path.slice(ref.path.lastIndexOf('/') + 1);
  const own: CheckpointMetadata = { ...metadata, kind: 'savepoint', tasks: metadata.tasks.map(t => ({ ...t, files: t.files.map(ref => ({ ...ref, path: path(ref) })) })) };
  try {
    for (const ref of filesOf(own)) {
      const target = `${name}/${ref.path}`;
      if (!(await copyFile(from.store, `${from.jobId}/shared/${ref.path}`, to, target))) throw damaged(from.filePath(ref), 'it is missing');
      const blocks = readStateBlocks(to, target, ref);
      while (!(await blocks.next()).done) { /* what was copied is read back */ }
    }
    await to.write(`${name}/${METADATA}`, encodeMetadata(own));
    return own;
  } catch (e) {
    await to.remove([`${name}/${METADATA}`]).catch(() => undefined);
    await to.removeFolder(name).catch(() => undefined);
    throw e instanceof SqlError ? e : new SqlError(toErrorData(e).code, `the savepoint could not be written to "${fileUrl(to, name)}"`, { detail: toErrorData(e).message, cause: e });
  }
}
