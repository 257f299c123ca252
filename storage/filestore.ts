/**
 * FileStore: the files of checkpoints and savepoints, as both a folder of a file system and an object store can hold them. A file is written
 * once, whole, and never changed; there is no rename, and folders are only the parts of a name before its slashes.
 *
 *   storage/localstore.ts   a folder: temporary name, fsync, rename, fsync of the folder
 *   storage/s3/store.ts     a bucket under a prefix: one PUT, or a multipart upload
 *
 * Names are relative to the root, with '/' between their parts. Errors of the environment are thrown as they come (the operating system's
 * code, or SqlError 58030/28000/22023 naming bucket and key); that a file is absent is no error.
 */
export interface FileWriter {
  /** Adds bytes at the end; the caller may reuse them when it resolves. */
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when the file exists, whole and durable. */
  commit(): Promise<void>;
  /** Instead of `commit`, or after it failed: takes back what was written as far as possible. Never throws. */
  discard(): Promise<void>;
}

export interface FileReader {
  readonly size: number;
  /** Up to `length` bytes at `offset`; fewer only at the end of the file. Fast when offsets rise. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Name relative to the folder that was listed. */
export interface StoredFile { readonly name: string; readonly bytes: number }

export interface FileStore {
  /** As the user names it: a path, or s3://bucket/prefix; without '/' at its end. */
  readonly root: string;
  /** Reached over a network: what is at hand locally is not read from here. */
  readonly remote: boolean;
  /** A file that appears under its name at `commit`. */
  create(name: string): Promise<FileWriter>;
  /** null when it is not there. */
  open(name: string): Promise<FileReader | null>;
  /** The whole of a small file; null when it is not there. */
  read(name: string): Promise<Uint8Array | null>;
  /** Writes a small file, in place of an older one if there is one. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Bytes of a file; null when it is not there. */
  size(name: string): Promise<number | null>;
  /** All files below a folder ('' = the root), however deep; empty when it is not there. What is being written is not among them. */
  list(folder: string): Promise<StoredFile[]>;
  /** No error for one that is not there. All are tried; the first error is thrown. */
  remove(names: readonly string[]): Promise<void>;
  /** Everything below the folder; it is gone for good when this returns. */
  removeFolder(folder: string): Promise<void>;
  /** What is in the folder has its name for good: a process that died may have renamed a file there and not synced the folder. */
  secure(folder: string): Promise<void>;
  /** What a crash left half written below the folder. Nothing may be writing there. */
  removeUnfinished(folder: string): Promise<void>;
}

/** As the user would name the file. */
export function fileUrl(store: FileStore, name: string): string { return name === '' ? store.root : `${store.root}/${name}`; }

/** Bytes copied at a time. */
const COPY_BYTES = 1024 * 1024;

/** Copies a file from one store to another (or within one). False when it is not there. */
export async function copyFile(from: FileStore, name: string, to: FileStore, toName: string): Promise<boolean> {
  const reader = await from.open(name);
  if (reader === null) return false;
  try {
    const writer = await to.create(toName);
    try {
      for (let at = 0; at < reader.size; at += COPY_BYTES) await writer.append(await reader.read(at, Math.min(COPY_BYTES, reader.size - at)));
      await writer.commit();
    } catch (e) {
      await writer.discard();
      throw e;
    }
  } finally {
    await reader.close();
  }
  return true;
}
