/** Which checkpoint a query looks into: `view AS OF CHECKPOINT n`, `millrace.state(…)`. */
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { SqlError, unsupported } from '../../types/error.js';
import type { ViewNode } from '../../types/plan.js';

/** 42704 when it is not retained, XX001 when its `_metadata` is damaged. `id` null: the newest. */
export async function retainedCheckpoint(jobName: string, storage: CheckpointStorage, id: number | null): Promise<CheckpointMetadata> {
  const stored = await storage.list();
  const found = id === null ? stored.find(c => c.metadata !== null) : stored.find(c => c.id === id);
  if (found === undefined) {
    const retained = stored.map(c => c.id).sort((a, b) => a - b).join(', ');
    throw new SqlError('42704', id === null ? `job "${jobName}" has no completed checkpoint` : `checkpoint ${id} of job "${jobName}" is not there`, {
      hint: stored.length === 0 ? `CHECKPOINT JOB ${jobName};` : `Retained are ${retained}. More are kept with ALTER JOB ${jobName} SET (retained_checkpoints = n).`,
    });
  }
  if (found.metadata === null) throw found.error ?? new SqlError('XX001', `checkpoint ${found.id} of job "${jobName}" is damaged`);
  return found.metadata;
}

/** The checkpoint that the node reads; 0A000 for a view in one that is not of one epoch. */
export async function pastCheckpoint(jobName: string, storage: CheckpointStorage, node: ViewNode): Promise<CheckpointMetadata> {
  const { id, state } = node.checkpoint ?? { id: null, state: true };
  const metadata = await retainedCheckpoint(jobName, storage, id);
  if (!state && (metadata.midEpoch === true || metadata.mode !== 'exactly_once')) {
    throw unsupported(`AS OF CHECKPOINT ${metadata.checkpointId}, which is ${metadata.mode === 'exactly_once' ? 'unaligned' : 'at_least_once'}: its views are of no one moment, reading them`, undefined, 'The state as it is: millrace.state(…).');
  }
  return metadata;
}
