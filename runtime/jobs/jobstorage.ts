/** Where one job's checkpoints are, and how folders of savepoints are reached, by its settings and secrets of now; and what becomes of its checkpoints with its end. */
import { folderPlace } from '../../storage/checkpoint/folder.js';
import { openCheckpointStorage } from '../../storage/checkpoint/open.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { FileSystem } from '../../storage/filesystem.js';
import type { FileStore } from '../../storage/filestore.js';
import { openStore, storageLocation, type StorageLocation } from '../../storage/location.js';
import { toErrorData } from '../../types/error.js';
import type { Secrets } from '../../types/secretref.js';
import type { JobSpec } from '../engine.js';
import type { MovedSpec } from '../protocol.js';

export interface JobStorageDeps {
  readonly files: FileSystem;
  readonly dataDir: string;
  readonly secrets: Secrets;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class JobStorage {
  /** False: its folder is another server's, or may be; nothing is deleted there. */
  owned: boolean;
  readonly #job: { readonly jobId: number; readonly name: string; readonly settings: JobSpec['settings'] };
  readonly #deps: JobStorageDeps;

  constructor(job: { readonly jobId: number; readonly name: string; readonly settings: JobSpec['settings'] }, deps: JobStorageDeps, owned: boolean) {
    this.#job = job;
    this.#deps = deps;
    this.owned = owned;
  }

  /** Throws what is wrong with the settings. */
  location(): StorageLocation {
    const { settings } = this.#job;
    return storageLocation(settings.checkpoint_storage === '' ? `${this.#deps.dataDir}/checkpoints` : settings.checkpoint_storage, settings, this.#deps.secrets);
  }

  checkpoints(location = this.location()): CheckpointStorage {
    return openCheckpointStorage({ jobId: this.#job.jobId, location, dataDir: this.#deps.dataDir, localRecovery: this.#job.settings.local_recovery }, this.#deps.files);
  }

  /** A folder, reached as the job's checkpoints are. */
  folder(root: string): FileStore { return openStore(storageLocation(root, this.#job.settings, this.#deps.secrets), this.#deps.files); }

  /** Whose tasks' states are in the folder of a checkpoint or savepoint. */
  placeOf(path: string): NonNullable<MovedSpec['from']> {
    const { parent, name } = folderPlace(path);
    return { location: storageLocation(parent, this.#job.settings, this.#deps.secrets), name };
  }

  async retain(): Promise<void> {
    const storage = this.checkpoints();
    await storage.dropAllCopies();
    this.#deps.log('info', `checkpoints of job "${this.#job.name}" are retained`, { job: this.#job.name, folder: storage.directory });
  }

  /** Storage that cannot be reached does not hold up DROP or CANCEL: the log says what is left. */
  async drop(): Promise<void> {
    if (!this.owned) return;
    const { jobId, name, settings } = this.#job;
    try {
      await this.checkpoints().drop();
    } catch (e) {
      this.#deps.log('warn', `checkpoints of job "${name}" could not be deleted`, { job: name, folder: `${settings.checkpoint_storage}/${jobId}`, reason: toErrorData(e).message });
    }
  }
}
