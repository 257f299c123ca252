/**
 * What a checkpoint wrote, operator by operator: counted from the blocks of the files it added (storage/checkpoint/format.ts names each block's
 * table, and tables belong to nodes). For EXPLAIN ANALYZE CHECKPOINT. Cost: reads those files, up to READ_BYTES_MAX.
 */
import { BlockCursor } from '../../storage/checkpoint/format.js';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { NODES_TABLE } from '../state/grouptable.js';
import { TABLES_PER_NODE } from '../state/keyspace.js';

/** Named limit: bytes of files read to count them; what is beyond is left out. */
export const READ_BYTES_MAX = 64 * 1024 * 1024;

export interface OperatorContent { readonly task: string; readonly nodeId: number; entries: number; bytes: number }

export interface CheckpointContent {
  readonly metadata: CheckpointMetadata;
  /** Of what this checkpoint wrote itself, not of the older files it refers to. */
  readonly operators: readonly OperatorContent[];
  /** Files were left out: there is more than the limit. */
  readonly partial: boolean;
}

export async function checkpointContent(storage: CheckpointStorage, metadata: CheckpointMetadata): Promise<CheckpointContent> {
  const operators: OperatorContent[] = [];
  let left = READ_BYTES_MAX;
  let partial = false;
  for (const { task, files } of metadata.tasks) {
    for (const ref of files) {
      if (ref.checkpoint !== metadata.checkpointId || ref.kind === 'inflight') continue;
      if (ref.bytes > left) { partial = true; continue; }
      left -= ref.bytes;
      for await (const block of storage.readStateFile(ref)) {
        const cursor = new BlockCursor(block);
        const nodeId = Math.floor((cursor.tableId >= NODES_TABLE ? cursor.tableId - NODES_TABLE : cursor.tableId) / TABLES_PER_NODE);
        let found = operators.find(o => o.task === task && o.nodeId === nodeId);
        if (found === undefined) { found = { task, nodeId, entries: 0, bytes: 0 }; operators.push(found); }
        found.entries += cursor.count;
        found.bytes += block.length;
      }
    }
  }
  return { metadata, operators: operators.sort((a, b) => b.bytes - a.bytes), partial };
}
