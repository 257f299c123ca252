/**
 * A folder of a file system as a FileStore. A file is written under a temporary name (`….tmp`), synced, renamed, and its folder synced: what
 * has its name is whole and durable. All I/O goes through FileSystem, so that faults can be put in its place.
 */
import type { FileReader, FileStore, FileWriter, StoredFile } from './filestore.js';
import type { FileSystem } from './filesystem.js';

const TEMPORARY = '.tmp';

/** `durable` false: nothing is synced (copies that may be lost in a crash). */
export function localStore(files: FileSystem, root: string, durable = true): FileStore { return new LocalStore(files, root.length > 1 && root.endsWith('/') ? root.slice(0, -1) : root, durable); }

class LocalStore implements FileStore {
  readonly root: string;
  readonly remote = false;
  readonly #files: FileSystem;
  readonly #durable: boolean;
  /** Folders known to be there. */
  readonly #made = new Set<string>();

  constructor(files: FileSystem, root: string, durable: boolean) {
    this.#files = files;
    this.root = root;
    this.#durable = durable;
  }

  #path(name: string): string { return name === '' ? this.root : `${this.root}/${name}`; }

  async #makeFolder(path: string): Promise<void> {
    if (this.#made.has(path)) return;
    await this.#files.makeDirectory(path);
    if (this.#durable) await this.#files.syncDirectory(parentOf(path));
    this.#made.add(path);
  }

  async create(name: string): Promise<FileWriter> {
    const path = this.#path(name);
    const folder = parentOf(path);
    const temporary = path + TEMPORARY;
    const files = this.#files;
    const durable = this.#durable;
    await this.#makeFolder(folder);
    let file: Awaited<ReturnType<FileSystem['open']>> | null = await files.open(temporary, 'create').catch(async (e: unknown) => {
      // The folder may have been removed since it was made.
      if (!isAbsent(e)) throw e;
      this.#made.delete(folder);
      await this.#makeFolder(folder);
      return await files.open(temporary, 'create');
    });
    const close = async (): Promise<void> => {
      const open = file;
      file = null;
      await open?.close();
    };
    return {
      append: async bytes => { await file?.append(bytes); },
      async commit() {
        if (durable) await file?.sync();
        await close();
        await files.rename(temporary, path);
        if (durable) await files.syncDirectory(folder);
      },
      async discard() {
        await close().catch(() => undefined);
        for (const p of [temporary, path]) await files.unlink(p).catch(() => undefined); // a leftover goes at the next start
      },
    };
  }

  async open(name: string): Promise<FileReader | null> {
    let file: Awaited<ReturnType<FileSystem['open']>>;
    try {
      file = await this.#files.open(this.#path(name), 'read');
    } catch (e) {
      if (isAbsent(e)) return null;
      throw e;
    }
    try {
      const size = await file.size();
      return { size, read: (offset, length) => file.read(offset, length), close: () => file.close() };
    } catch (e) {
      await file.close();
      throw e;
    }
  }

  async read(name: string): Promise<Uint8Array | null> {
    try {
      return await this.#files.readFile(this.#path(name));
    } catch (e) {
      if (isAbsent(e)) return null;
      throw e;
    }
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const writer = await this.create(name);
    try {
      await writer.append(bytes);
      await writer.commit();
    } catch (e) {
      await writer.discard();
      throw e;
    }
  }

  size(name: string): Promise<number | null> { return this.#files.size(this.#path(name)); }

  async list(folder: string): Promise<StoredFile[]> { return (await this.#files.listFiles(this.#path(folder))).filter(f => !f.name.endsWith(TEMPORARY)); }

  async remove(names: readonly string[]): Promise<void> {
    let failure: unknown = null;
    for (const name of names) await this.#files.unlink(this.#path(name)).catch((e: unknown) => { failure ??= e; });
    if (failure !== null) throw failure;
  }

  async removeFolder(folder: string): Promise<void> {
    const path = this.#path(folder);
    for (const made of this.#made) if (made === path || made.startsWith(`${path}/`)) this.#made.delete(made);
    await this.#files.removeDirectory(path);
    if (!this.#durable) return;
    // Else a _metadata could be back after a power cut, and files that were removed because of it not.
    await this.#files.syncDirectory(parentOf(path)).catch((e: unknown) => { if (!isAbsent(e)) throw e; });
  }

  async secure(folder: string): Promise<void> {
    if (!this.#durable) return;
    const path = this.#path(folder);
    for (const p of [path, parentOf(path)]) await this.#files.syncDirectory(p);
  }

  async removeUnfinished(folder: string): Promise<void> {
    const path = this.#path(folder);
    const used = new Set<string>();
    for (const { name } of await this.#files.listFiles(path)) {
      if (name.endsWith(TEMPORARY)) await this.#files.unlink(`${path}/${name}`);
      else used.add(name.split('/')[0]);
    }
    for (const name of await this.#files.list(path)) if (!used.has(name)) await this.removeFolder(folder === '' ? name : `${folder}/${name}`);
  }
}

function isAbsent(e: unknown): boolean { return (e as { code?: unknown }).code === 'ENOENT'; }
function parentOf(path: string): string { return path.slice(0, Math.max(path.lastIndexOf('/'), 1)); }
