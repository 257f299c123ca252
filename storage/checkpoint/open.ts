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
}

export function openCheckpointStorage(place: CheckpointPlace, files: FileSystem): CheckpointStorage {
  const store = openStore(place.location, files);
  if (!store.remote || !place.localRecovery) return new CheckpointStorage(store, place.jobId);
  // Copies need not outlive a crash of the machine: what is missing or damaged is read from the storage.
  return new CheckpointStorage(store, place.jobId, localStore(files, `${place.dataDir}/copies`, false));
}
