/**
 * Which checkpoint a job goes on from: the newest one whose files are whole. Damaged ones are named in the log, once, and left out from
 * then on; the next older one is used.
 */
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage, StoredCheckpoint } from '../../storage/checkpoint/storage.js';
import { fromErrorData, SqlError, toErrorData } from '../../types/error.js';
import type { History } from './history.js';

export interface UsableDeps {
  readonly jobId: number;
  readonly name: string;
  readonly history: History;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface Usable {
  readonly chosen: CheckpointMetadata | null;
  /** Usable ones, newest first; all but the first with their files unread. */
  readonly retained: CheckpointMetadata[];
  /** All that are there. */
  readonly stored: StoredCheckpoint[];
}

export class UsableCheckpoints {
  readonly #deps: UsableDeps;
  readonly #damaged = new Set<number>();

  constructor(deps: UsableDeps) { this.#deps = deps; }

  #skip(id: number, path: string, reason: string): void {
    const { name, warn } = this.#deps;
    this.#damaged.add(id);
    warn(`checkpoint chk-${id} of job "${name}" is damaged, the next older one is used`, { job: name, checkpoint: id, path, reason });
  }

  /** A file that was whole when verified and is not when read. */
  damaged(id: number, path: string, error: SqlError): void { this.#skip(id, path, error.message); }

  async choose(storage: CheckpointStorage): Promise<Usable> {
    const { jobId, history } = this.#deps;
    const stored = await storage.list();
    const retained: CheckpointMetadata[] = [];
    for (const c of stored) {
      if (this.#damaged.has(c.id)) continue;
      if (c.metadata === null) { this.#skip(c.id, c.path, c.error?.message ?? 'unreadable'); continue; }
      if (retained.length === 0) {
        try {
          await storage.verify(c.metadata, true);
        } catch (e) {
          this.#skip(c.id, c.path, fromErrorData(toErrorData(e)).message);
          continue;
        }
      }
      retained.push(c.metadata);
    }
    // The history is written after _metadata: what it calls completed and is newer than anything here has lost its file.
    for (const id of history.completedAfter(jobId, Math.max(0, ...stored.map(c => c.id)))) {
      if (!this.#damaged.has(id)) this.#skip(id, storage.path(id), `file "${storage.path(id)}/_metadata" is missing`);
    }
    return { chosen: retained[0] ?? null, retained, stored };
  }
}
