/**
 * The savepoints that were taken here: rows in the catalog until DROP SAVEPOINT, whatever becomes of their jobs. A savepoint is its folder; the row
 * says where it was written, and keeps what it still needs of the table log: streams without connector and tables are read on from its position.
 *
 * A row is written before the first byte of the folder, so that what a crash leaves is found: without `_metadata` it is removed at the next start.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CatalogStore } from '../../storage/catalogstore.js';
import { CheckpointFolder, folderPlace } from '../../storage/checkpoint/folder.js';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { fileUrl, type FileStore } from '../../storage/filestore.js';
import type { S3Settings } from '../../storage/location.js';
import type { Json } from '../../types/connect.js';
import type { Env } from '../../types/env.js';
import { fromErrorData, SqlError, toErrorData } from '../../types/error.js';
import type { SavepointRow } from '../engine.js';
import type { SavepointPlace } from './savepoint.js';

const KIND = 'savepoint';
/** Opens the store of a folder, with the settings of the job (or the server's) that say how it is reached. */
export type OpenPlace = (root: string) => FileStore;

/** `access`: how the bucket is reached that it is written to, of the job's settings; only while it is written. */
type StoredRow = SavepointRow & { readonly neededSeq: number | null; readonly access?: S3Settings };

export class Savepoints {
  readonly #store: CatalogStore;
  readonly #env: Env;
  readonly #rows = new Map<number, StoredRow>();

  constructor(store: CatalogStore, env: Env) {
    this.#store = store;
    this.#env = env;
    for (const { id, value } of store.all(KIND)) this.#rows.set(id, value as unknown as StoredRow);
  }

  rows(): SavepointRow[] { return [...this.#rows.values()].map(shown); }
  at(where: string): SavepointRow | null { return [...this.#rows.values()].findLast(r => r.path === where) ?? null; }
  newestOf(jobId: number): { readonly path: string; readonly checkpointId: number } | null {
    let newest: { path: string; checkpointId: number } | null = null;
    for (const { jobId: of, status, path: at, checkpointId } of this.#rows.values()) {
      if (of === jobId && status === 'completed' && checkpointId !== null && checkpointId > (newest?.checkpointId ?? 0)) newest = { path: at, checkpointId };
    }
    return newest;
  }
  /** Log position from which on the log is kept for savepoints. */
  get neededSeq(): number { return Math.min(Infinity, ...[...this.#rows.values()].map(r => (r.status === 'completed' || r.status === 'in_progress' ? r.neededSeq ?? Infinity : Infinity))); }

  async #put(row: StoredRow): Promise<void> {
    this.#rows.set(row.savepointId, row);
    await this.#store.commit([{ kind: KIND, id: row.savepointId, value: row as unknown as Json }]);
  }

  async #delete(row: SavepointRow): Promise<void> {
    this.#rows.delete(row.savepointId);
    await this.#store.commit([{ kind: KIND, id: row.savepointId, value: null }]);
  }

  /**
   * Takes a savepoint into a new folder of `store`: `take` writes it. `neededSeq`: the log position the job stands at or behind, null when it reads no log.
   */
  async take(job: { readonly jobId: number; readonly jobName: string; readonly readsLog: boolean; readonly neededSeq: number; readonly access: S3Settings }, store: FileStore, take: (place: SavepointPlace) => Promise<CheckpointMetadata>): Promise<SavepointRow> {
    const savepointId = await this.#store.allocateId(KIND);
    const name = `savepoint-${savepointId}-${randomBytes(4).toString('hex')}`;
    const row: StoredRow = {
      savepointId, jobId: job.jobId, jobName: job.jobName, path: fileUrl(store, name), checkpointId: null, triggerMs: this.#env.now(), completionMs: null, status: 'in_progress', bytes: 0, failureMessage: null,
      neededSeq: job.readsLog ? job.neededSeq : null, access: job.access,
    };
    await this.#put(row);
    try {
      const metadata = await take({ store, name });
      const done = completed(row, metadata, job.readsLog);
      await this.#put(done);
      return shown(done);
    } catch (e) {
      const error = fromErrorData(toErrorData(e));
      await this.#put({ ...withoutAccess(row), status: 'failed', completionMs: this.#env.now(), failureMessage: error.detail === undefined ? error.message : `${error.message}: ${error.detail}`, neededSeq: null });
      throw e;
    }
  }

  /** At start: savepoints that were being written when the server ended. `open` may throw: the folder is then left as it is. */
  async recover(open: (root: string, access: S3Settings | null) => FileStore, log: (message: string, fields: Readonly<Record<string, unknown>>) => void): Promise<void> {
    for (const row of this.#rows.values()) {
      if (row.status !== 'in_progress') continue;
      const { parent, name } = folderPlace(row.path);
      let failed: StoredRow = { ...withoutAccess(row), status: 'failed', completionMs: this.#env.now(), failureMessage: 'the server ended while it was written', neededSeq: null };
      try {
        const store = open(parent, row.access ?? null);
        const found = await CheckpointFolder.open(store, name).catch(() => null);
        if (found === null) {
          await store.removeUnfinished(name);
          await store.removeFolder(name);
        } else failed = completed(row, found.metadata, row.neededSeq !== null);
      } catch (e) {
        log('what is left of a savepoint could not be looked at', { path: row.path, reason: toErrorData(e).message });
      }
      await this.#put(failed);
    }
  }

  /** Deletes a savepoint's folder and its row. One that was moved away: its row. */
  async drop(where: string, open: OpenPlace): Promise<void> {
    const row = this.at(where);
    const { parent, name } = folderPlace(where);
    const store = open(parent);
    let folder: CheckpointFolder | null = null;
    try {
      folder = await CheckpointFolder.open(store, name);
    } catch (e) {
      // Of a damaged one, or one that failed, whatever is there goes; of a folder that nobody knows nothing does.
      if (row === null || !(e instanceof SqlError) || (e.code !== '58P01' && e.code !== 'XX001')) throw e;
    }
    if (folder !== null && folder.metadata.kind !== 'savepoint') throw new SqlError('42809', `"${where}" is a checkpoint, which belongs to its job`, { hint: 'Checkpoints go by retained_checkpoints, and with their job.' });
    if (folder !== null) await folder.remove();
    else await store.removeFolder(name);
    if (row !== null) await this.#delete(row);
  }

  /** Another job owns the folder now, and deletes it. */
  async claimed(where: string): Promise<void> {
    const row = this.at(where);
    if (row !== null) await this.#delete(row);
  }
}

function shown({ neededSeq: _, access: __, ...row }: StoredRow): SavepointRow { return row; }
function withoutAccess({ access: _, ...row }: StoredRow): StoredRow { return row; }

function completed(row: StoredRow, metadata: CheckpointMetadata, readsLog: boolean): StoredRow {
  const files = new Map(metadata.tasks.flatMap(t => t.files).map(f => [f.path, f.bytes]));
  return {
    ...withoutAccess(row), status: 'completed', checkpointId: metadata.checkpointId, completionMs: metadata.completionMs, bytes: [...files.values()].reduce((a, b) => a + b, 0), neededSeq: readsLog ? metadata.logPosition : null,
  };
}

/** As it stands in rows: a whole path, without a slash at its end. */
export function wholePath(where: string): string {
  if (/^file:\/\//i.test(where)) return fileURLToPath(where).replace(/(.)\/+$/, '$1');
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(where)) return where.replace(/\/+$/, '');
  return path.resolve(where);
}
