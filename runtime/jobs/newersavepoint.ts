/** prefer_checkpoint_for_recovery = off: a job goes back to its own newest savepoint when that is newer than its newest checkpoint, and whole. */
import { CheckpointFolder, folderPlace } from '../../storage/checkpoint/folder.js';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { FileStore } from '../../storage/filestore.js';
import { toErrorData } from '../../types/error.js';

export interface OwnSavepoint { readonly path: string; readonly checkpointId: number }

/** Null: there is none, or it was moved or damaged, which `warn` hears: the checkpoint is as good. */
export async function newerSavepoint(savepoint: OwnSavepoint | null, checkpointId: number, job: { readonly jobId: number; readonly serverId: string }, open: (root: string) => FileStore, warn: (path: string, reason: string) => void): Promise<(CheckpointMetadata & { readonly path: string }) | null> {
  if (savepoint === null || savepoint.checkpointId <= checkpointId) return null;
  try {
    const { parent, name } = folderPlace(savepoint.path);
    const folder = await CheckpointFolder.open(open(parent), name);
    const { metadata } = folder;
    if (metadata.jobId !== job.jobId || metadata.checkpointId !== savepoint.checkpointId || metadata.serverId !== job.serverId) throw new Error('another savepoint stands there');
    await folder.verify();
    return { ...metadata, path: savepoint.path };
  } catch (e) {
    warn(savepoint.path, toErrorData(e).message);
    return null;
  }
}
