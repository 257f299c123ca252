/** The CheckpointStorage of a job: where its settings say, with local copies of what a recovery would otherwise read from remote storage. */
import type { FileSystem } from '../filesystem.js';
import { localStore } from '../localstore.js';
import { openStore, type StorageLocation } from '../location.js';
import { CheckpointStorage } from './storage.js';

export interface CheckpointPlace {
  readonly jobId: number;
  readonly location: StorageLocation;
  readonly dataDir: string;
  readonly localRecovery: boolean;
  /** state_backend. LevelDB has all but the row logs, which are read into memory at a restart; the memory backend has nothing. */
  readonly backend: 'leveldb' | 'memory';
}

export function openCheckpointStorage(place: CheckpointPlace, files: FileSystem): CheckpointStorage {
  const store = openStore(place.location, files);
  if (!store.remote || !place.localRecovery) return new CheckpointStorage(store, place.jobId);
  // Copies need not outlive a crash of the machine: what is missing or damaged is read from the storage.
  const copies = localStore(files, `${place.dataDir}/copies`, false);
  return new CheckpointStorage(store, place.jobId, { store: copies, kinds: place.backend === 'memory' ? ['base', 'delta', 'log'] : ['log'] });
}
