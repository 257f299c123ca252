/**
 * FileSystem: the files that checkpoints, sinks and the data directory use, behind one interface, so that a full disk, an I/O error or
 * a stall can be put in its place (storage/faultyfiles.ts). Errors keep the operating system's code.
 */
import type { Dirent } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface OpenFile {
  /** Writes all bytes at the end. */
  append(bytes: Uint8Array): Promise<void>;
  /** Up to `length` bytes at `offset`; fewer only at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  size(): Promise<number>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** 'create' makes or empties the file. */
  open(path: string, mode: 'read' | 'create'): Promise<OpenFile>;
  readFile(path: string): Promise<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  /** No error when it is not there. */
  unlink(path: string): Promise<void>;
  /** Removes a directory with its content; no error when it is not there. */
  removeDirectory(path: string): Promise<void>;
  /** With parents. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory; empty when it is not there. */
  list(path: string): Promise<string[]>;
  /** Files below a directory, however deep, by names relative to it; empty when it is not there. */
  listFiles(path: string): Promise<{ readonly name: string; readonly bytes: number }[]>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /** Size of a file, or null when it is not there. */
  size(path: string): Promise<number | null>;
}

function isAbsent(e: unknown): boolean { return (e as { code?: unknown }).code === 'ENOENT'; }

/** With those above it. Not by mkdir's own option: below folders that the system makes (/proc) it never ends. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (e) {
    const { code } = e as { code?: unknown };
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path) throw e;
    await makeDirectory(above);
    // Once more only: where the folder above is there, and this one cannot be made in it, the error is the answer.
    await mkdir(path).catch((again: unknown) => { if ((again as { code?: unknown }).code !== 'EEXIST') throw again; });
  }
}

export const realFiles: FileSystem = {
  async open(path, mode) {
    const handle = await open(path, mode === 'read' ? 'r' : 'w');
    return {
      async append(bytes) {
        let at = 0;
        while (at < bytes.length) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
      },
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        let got = 0;
        while (got < length) {
          const { bytesRead } = await handle.read(bytes, got, length - got, offset + got);
          if (bytesRead === 0) break;
          got += bytesRead;
        }
        return got === length ? bytes : bytes.subarray(0, got);
      },
      size: async () => (await handle.stat()).size,
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  readFile: async (path) => await readFile(path),
  rename: (from, to) => rename(from, to),
  unlink: (path) => rm(path, { force: true }),
  // A checkpoint given up may still write its last file there: then the folder is not empty for a moment.
  removeDirectory: (path) => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 }),
  makeDirectory,
  async list(path) {
    try {
      return await readdir(path);
    } catch (e) {
      if (isAbsent(e)) return [];
      throw e;
    }
  },
  async listFiles(path) {
    const out: { name: string; bytes: number }[] = [];
    const walk = async (folder: string): Promise<void> => {
      let entries: Dirent[];
      try {
        entries = await readdir(`${path}/${folder}`, { withFileTypes: true });
      } catch (e) {
        if (isAbsent(e)) return;
        throw e;
      }
      for (const entry of entries) {
        const name = `${folder}${entry.name}`;
        if (entry.isDirectory()) await walk(`${name}/`);
        else {
          const bytes = await realFiles.size(`${path}/${name}`);
          if (bytes !== null) out.push({ name, bytes });
        }
      }
    };
    await walk('');
    return out;
  },
  async syncDirectory(path) {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async size(path) {
    try {
      return (await stat(path)).size;
    } catch (e) {
      if (isAbsent(e)) return null;
      throw e;
    }
  },
};

/** Writes a small file so that after a crash it is the old or the new one, whole: temporary file, fsync, rename, fsync of the directory. */
export async function replaceFile(files: FileSystem, directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = `${directory}/${name}`;
  const temporary = `${path}.tmp`;
  try {
    const file = await files.open(temporary, 'create');
    try {
      await file.append(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await files.rename(temporary, path);
  } catch (e) {
    await files.unlink(temporary).catch(() => undefined); // the first error is the one to report
    throw e;
  }
  await files.syncDirectory(directory);
}
