/**
 * DataDirectory: the server's directory. Opening it makes it when absent, checks its version, and takes it for this server alone
 * (the catalog's LevelDB lock, which the system releases when the process dies).
 *
 *   <data>/version            format of the directory
 *   <data>/catalog            CatalogStore
 *   <data>/tables             tables and their log
 *   <data>/jobs/<job id>      LevelDB of a job's state
 *   <data>/checkpoints/…      checkpoint files, unless checkpoint_storage says otherwise
 */
import nodePath from 'node:path';
import { environmentCode, SqlError } from '../types/error.js';
import { CatalogStore } from './catalogstore.js';
import { replaceFile, type FileSystem } from './filesystem.js';
import type { KvOpener } from './kv.js';

const FORMAT = '2';

export interface DataDirectory {
  readonly path: string;
  readonly catalog: CatalogStore;
  readonly tablesPath: string;
  readonly checkpointsPath: string;
  close(): Promise<void>;
}

/** LevelDB of a job's state. All threads must open it by the same text. */
export function jobStatePath(dataDir: string, jobId: number): string { return nodePath.join(dataDir, 'jobs', String(jobId)); }

export async function openDataDirectory(path: string, files: FileSystem, kvs: KvOpener): Promise<DataDirectory> {
  try {
    await files.makeDirectory(path);
    await files.makeDirectory(`${path}/jobs`);
  } catch (e) {
    throw new SqlError((e instanceof Error ? environmentCode(e) : undefined) ?? '58030', `could not create data directory "${path}"`, { detail: e instanceof Error ? e.message : String(e), cause: e });
  }
  const catalog = await openCatalog(path, kvs);
  try {
    await checkVersion(path, files);
  } catch (e) {
    await catalog.close();
    throw e;
  }
  return {
    path, catalog, tablesPath: `${path}/tables`, checkpointsPath: `${path}/checkpoints`,
    close: () => catalog.close(),
  };
}

async function openCatalog(path: string, kvs: KvOpener): Promise<CatalogStore> {
  try {
    return await CatalogStore.open(await kvs.open(`${path}/catalog`, { exclusive: true, cacheBytes: 1024 * 1024 }));
  } catch (e) {
    if (e instanceof SqlError && e.code === '55006') {
      throw new SqlError('55006', `data directory "${path}" is in use by another server`, { hint: 'Stop the other server, or give this one a directory of its own with --data.', cause: e });
    }
    throw e;
  }
}

async function checkVersion(path: string, files: FileSystem): Promise<void> {
  if ((await files.size(`${path}/version`)) === null) {
    await replaceFile(files, path, 'version', new TextEncoder().encode(`${FORMAT}\n`));
    return;
  }
  const version = new TextDecoder().decode(await files.readFile(`${path}/version`)).trim();
  if (version !== FORMAT) throw new SqlError('0A000', `data directory "${path}" has format ${version}, this server reads format ${FORMAT}`, { hint: 'Start the version of the server that wrote it.' });
}
