/**
 * Which checkpoint a job goes on from: the newest one whose files are all there, at their sizes. Their content is checked where it is read, by
 * the tasks that need it: local state that is whole reads nothing. Damaged ones are named in the log and in `job_failures`, once, and left out
 * from then on; the next older one is used. A job that had checkpoints and has none that is usable fails: it does not begin anew in silence.
 */
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage, StoredCheckpoint } from '../../storage/checkpoint/storage.js';
import { isUnreadableFile } from '../../storage/checkpoint/statefile.js';
import { SqlError } from '../../types/error.js';
import { quoteIdentifier } from '../../types/textio.js';
import type { History } from './history.js';

export interface UsableDeps {
  readonly jobId: number;
  readonly name: string;
  readonly history: History;
  /** retained_checkpoints of now. */
  retained(): number;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
  /** For `job_failures`. */
  passedOver(error: SqlError): void;
}

/** A checkpoint's file that could not be read (an I/O error, rights) is tried again so often before the next older checkpoint is used. */
const READ_ATTEMPTS_MAX = 3;

export interface Usable {
  readonly chosen: CheckpointMetadata | null;
  /** Usable ones, newest first; all but the first with their files unread. */
  readonly retained: CheckpointMetadata[];
  /** All that are there and worth keeping: also damaged ones that are newer than the chosen one. */
  readonly stored: StoredCheckpoint[];
  /** There were checkpoints, and none is usable: why. */
  readonly lost: SqlError | null;
}

/** For a job that is only read: its views are shown as of a whole epoch, so what was taken in the midst of one is left out. */
export function wholeEpochs(usable: Usable, name: string): Usable {
  if (usable.chosen === null) return usable;
  const retained = usable.retained.filter(m => m.midEpoch !== true || m.mode === 'at_least_once');
  if (retained.length > 0) return { ...usable, chosen: retained[0] };
  return {
    ...usable, chosen: null,
    lost: new SqlError('55000', `job "${name}" has no checkpoint that its views could be read from`, {
      detail: 'All its checkpoints are unaligned: they hold a part of an epoch, and the job does not run that would bring it to its end.', hint: `Restore one into a new view, or DROP and create "${name}" again.`,
    }),
  };
}

export class UsableCheckpoints {
  readonly #deps: UsableDeps;
  readonly #damaged = new Map<number, string>();
  readonly #unread = new Map<number, number>();

  constructor(deps: UsableDeps) { this.#deps = deps; }

  /** Everything is looked at anew. */
  forget(): void {
    this.#damaged.clear();
    this.#unread.clear();
  }

  #skip(id: number, path: string, reason: string): void {
    const { name, warn } = this.#deps;
    this.#damaged.set(id, reason);
    warn(`checkpoint chk-${id} of job "${name}" is damaged, the next older one is used`, { job: name, checkpoint: id, path, reason });
    this.#deps.passedOver(new SqlError('XX001', `checkpoint ${id} cannot be used: ${reason}`));
  }

  /** A deployment from checkpoint `id` failed. True when it is because of the checkpoint's files, and another is to be tried. */
  skips(id: number, path: string, error: SqlError): boolean {
    if (error.code !== 'XX001') {
      if (!isUnreadableFile(error)) return false;
      const times = (this.#unread.get(id) ?? 0) + 1;
      this.#unread.set(id, times);
      if (times < READ_ATTEMPTS_MAX) return false;
    }
    this.#skip(id, path, error.message);
    return true;
  }

  async choose(storage: CheckpointStorage): Promise<Usable> {
    const { jobId, history } = this.#deps;
    const stored = await storage.list();
    const retained: CheckpointMetadata[] = [];
    for (const c of stored) {
      // Given up while its _metadata was being written: its tasks have removed their files, or will.
      if (this.#damaged.has(c.id) || history.givenUp(jobId, c.id)) continue;
      if (c.metadata === null) {
        const error = c.error ?? new SqlError('XX001', `checkpoint ${c.id} has no metadata`);
        if (error.code === '0A000') this.#skip(c.id, c.path, error.message);
        else if (!this.skips(c.id, c.path, error)) throw error;
        continue;
      }
      if (retained.length === 0) {
        try {
          await storage.verify(c.metadata, false);
        } catch (e) {
          if (!(e instanceof SqlError && e.code === 'XX001')) throw e;
          this.#skip(c.id, c.path, e.message);
          continue;
        }
      }
      retained.push(c.metadata);
    }
    // The history is written after _metadata: what it calls completed and is newer than anything here has lost its file. Those before the retained ones were deleted.
    for (const id of history.completedAfter(jobId, Math.max(0, ...stored.map(c => c.id))).slice(0, this.#deps.retained())) {
      if (!this.#damaged.has(id)) this.#skip(id, storage.path(id), `file "${storage.path(id)}/_metadata" is missing`);
    }
    // What was given up, and damaged ones older than one that is usable, nobody will need: cleaned up.
    const newest = retained[0]?.checkpointId ?? 0;
    const kept = stored.filter(c => !history.givenUp(jobId, c.id) && (c.id >= newest || retained.some(r => r.checkpointId === c.id)));
    return { chosen: retained[0] ?? null, retained, stored: kept, lost: retained.length > 0 || this.#damaged.size === 0 ? null : this.#lost(storage) };
  }

  #lost(storage: CheckpointStorage): SqlError {
    const { name } = this.#deps;
    return new SqlError('XX001', `job "${name}" has no usable checkpoint`, {
      detail: [...this.#damaged].sort(([a], [b]) => b - a).map(([id, reason]) => `chk-${id}: ${reason}`).join('; '),
      hint: `Put the files in ${storage.directory} back and RESUME JOB ${quoteIdentifier(name)}, restore a savepoint into a new view, or DROP and create "${name}" again.`,
    });
  }
}
