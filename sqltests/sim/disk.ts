/**
 * The simulated disk: files and ordered stores that outlive processes. Every operation takes its time, and may fail or take very long.
 *
 *   kill −9      what was written stays, whatever was not synced; an append under way stays in part
 *   power loss   a file keeps what was synced and a random part of the rest; creations, renames and removals in a folder that were not made durable by
 *                syncing it are lost from some point on; a store keeps a random prefix of its batches that holds all that was synced
 */
import type { FileSystem, OpenFile } from '../../storage/filesystem.js';
import type { KvOpener } from '../../storage/kv.js';
import { MemoryKvs } from '../../storage/memory.js';
import type { Domain, World } from './world.js';

interface Inode { bytes: Uint8Array; length: number; synced: number }
/** null: the name is gone. */
interface Change { readonly path: string; readonly inode: Inode | null }

const READS: ReadonlySet<string> = new Set(['open', 'read', 'list', 'kv open', 'kv get', 'kv next']);
const READ_ERRORS_MAX = 2;

export class Disk {
  readonly #world: World;
  #readErrors = 0;
  #files = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  /** Of each folder, since it was synced. */
  #changes = new Map<string, Change[]>();
  /** Folders removed since the folder above was synced. */
  readonly #removed = new Set<string>();
  readonly #stores = new MemoryKvs();
  /** Percent of operations that fail, and that stall. */
  failing = 0;
  stalling = 0;

  constructor(world: World) { this.#world = world; }

  async #operation(domain: Domain, what: string, path: string, mayFail = true): Promise<void> {
    const { random } = this.#world;
    const stalls = mayFail && this.stalling > 0 && this.#world.chance(this.stalling);
    await this.#world.wait(stalls ? 50 + random(400) : random(4) === 0 ? random(8) : 0, domain, what);
    if (mayFail && this.failing > 0 && this.#world.chance(this.failing)) {
      const reads = READS.has(what);
      // A file that cannot be read again and again counts as damaged: that is not what is looked at here.
      if (reads && ++this.#readErrors > READ_ERRORS_MAX) return;
      const code = reads || random(2) === 0 ? 'EIO' : 'ENOSPC';
      this.#world.note(`${code} ${what}`);
      throw Object.assign(new Error(`${code}: simulated, ${what} '${path}'`), { code });
    }
  }

  #change(path: string, inode: Inode | null): void {
    if (inode === null) this.#files.delete(path);
    else this.#files.set(path, inode);
    const folder = parentOf(path);
    if (inode !== null) for (const removed of this.#removed) if (path.startsWith(`${removed}/`)) this.#removed.delete(removed);
    const changes = this.#changes.get(folder);
    if (changes === undefined) this.#changes.set(folder, [{ path, inode }]);
    else changes.push({ path, inode });
  }

  #settle(changes: readonly Change[]): void {
    for (const { path, inode } of changes) {
      if (inode === null) this.#durable.delete(path);
      else this.#durable.set(path, inode);
    }
  }

  powerLoss(): void {
    const { random } = this.#world;
    for (const changes of this.#changes.values()) this.#settle(changes.slice(0, random(changes.length + 1)));
    this.#changes.clear();
    this.#removed.clear();
    for (const inode of this.#durable.values()) inode.length = inode.synced = inode.synced + random(inode.length - inode.synced + 1);
    this.#files = new Map(this.#durable);
    this.#stores.loseUnsynced(n => random(n));
  }

  #inode(path: string): Inode {
    const inode = this.#files.get(path);
    if (inode === undefined) throw Object.assign(new Error(`ENOENT: '${path}'`), { code: 'ENOENT' });
    return inode;
  }

  files(domain: Domain): FileSystem {
    const operation = (what: string, path: string, mayFail = true): Promise<void> => this.#operation(domain, what, path, mayFail);
    const under = (path: string): [string, Inode][] => [...this.#files].filter(([p]) => p.startsWith(`${path}/`));
    return {
      open: async (path, mode) => {
        await operation('open', path);
        if (mode === 'create') this.#change(path, { bytes: new Uint8Array(256), length: 0, synced: 0 });
        return this.#open(this.#inode(path), path, operation);
      },
      readFile: async path => {
        await operation('read', path);
        const inode = this.#inode(path);
        return inode.bytes.slice(0, inode.length);
      },
      rename: async (from, to) => {
        await operation('rename', to);
        const inode = this.#inode(from);
        // Within one folder, as everything here: both names change or neither.
        this.#files.delete(from);
        this.#change(to, inode);
        this.#changes.get(parentOf(from))?.push({ path: from, inode: null });
      },
      unlink: async path => {
        await operation('unlink', path);
        if (this.#files.has(path)) this.#change(path, null);
      },
      removeDirectory: async path => {
        await operation('rmdir', path);
        for (const [p] of under(path)) this.#change(p, null);
        this.#removed.add(path);
      },
      makeDirectory: path => operation('mkdir', path),
      list: async path => {
        await operation('list', path);
        return [...new Set(under(path).map(([p]) => p.slice(path.length + 1).split('/')[0] ?? ''))].sort();
      },
      listFiles: async path => {
        await operation('list', path);
        return under(path).map(([p, inode]) => ({ name: p.slice(path.length + 1), bytes: inode.length })).sort((a, b) => (a.name < b.name ? -1 : 1));
      },
      syncDirectory: async path => {
        await operation('fsync', path);
        const gone = [...this.#removed].filter(removed => parentOf(removed) === path);
        for (const [folder, changes] of this.#changes) {
          if (folder !== path && !gone.some(removed => folder === removed || folder.startsWith(`${removed}/`))) continue;
          this.#settle(changes);
          this.#changes.delete(folder);
        }
        for (const removed of gone) this.#removed.delete(removed);
      },
      size: async path => {
        await operation('size', path, false);
        return this.#files.get(path)?.length ?? null;
      },
    };
  }

  #open(inode: Inode, path: string, operation: (what: string, path: string) => Promise<void>): OpenFile {
    const append = (bytes: Uint8Array): void => {
      if (inode.length + bytes.length > inode.bytes.length) {
        const grown = new Uint8Array((inode.length + bytes.length) * 2);
        grown.set(inode.bytes.subarray(0, inode.length));
        inode.bytes = grown;
      }
      inode.bytes.set(bytes, inode.length);
      inode.length += bytes.length;
    };
    return {
      append: async bytes => {
        const first = this.#world.random(bytes.length + 1);
        append(bytes.subarray(0, first));
        await operation('write', path);
        append(bytes.subarray(first));
      },
      read: async (offset, length) => {
        await operation('read', path);
        return inode.bytes.slice(offset, Math.min(offset + length, inode.length));
      },
      size: async () => inode.length,
      sync: async () => {
        await operation('fsync', path);
        inode.synced = inode.length;
      },
      close: async () => undefined,
    };
  }

  /** `mayFail` false: the catalog's, whose failures are not what is looked at here. */
  stores(domain: Domain, mayFail = true): KvOpener {
    const operation = (what: string, path: string): Promise<void> => this.#operation(domain, what, path, mayFail);
    return {
      open: async directory => {
        await operation('kv open', directory);
        const kv = await this.#stores.open(directory);
        let broken: unknown = null;
        return {
          get: async (key, snapshot) => { await operation('kv get', directory); return kv.get(key, snapshot); },
          getSync: (key, snapshot) => kv.getSync(key, snapshot),
          getMany: async (keys, snapshot) => { await operation('kv get', directory); return kv.getMany(keys, snapshot); },
          batch: () => {
            const batch = kv.batch();
            return {
              put: (key, value) => { batch.put(key, value); },
              del: key => { batch.del(key); },
              get length() { return batch.length; },
              get bytes() { return batch.bytes; },
              async write(sync) {
                if (broken !== null) throw broken;
                try {
                  await operation('kv write', directory);
                } catch (e) {
                  broken = e;
                  throw e;
                }
                await batch.write(sync);
              },
              discard: () => { batch.discard(); },
            };
          },
          iterate: (range, snapshot) => {
            const iterator = kv.iterate(range, snapshot);
            return { next: async count => { await operation('kv next', directory); return iterator.next(count); }, close: () => iterator.close() };
          },
          snapshot: () => kv.snapshot(),
          approximateSize: (start, end) => kv.approximateSize(start, end),
          close: () => kv.close(),
        };
      },
    };
  }
}

function parentOf(path: string): string { return path.slice(0, path.lastIndexOf('/')); }
