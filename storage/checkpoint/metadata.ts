/**
 * `_metadata`: what a checkpoint is, as readable JSON. Its last field is the CRC32C of the text before it, so that a flipped byte is found
 * although the file can be read (and copied) by people. Paths of files are relative to the folder of `_metadata`.
 */
import type { Json } from '../../types/connect.js';
import type { Plan } from '../../types/plan.js';
import { SqlError } from '../../types/error.js';
import { crc32c } from '../../types/crc32c.js';

export const METADATA_FORMAT = 2;

export interface FileRef {
  /** Relative to the checkpoint's folder, e.g. `../shared/delta-7-3.0-1f2e3d4c`. */
  readonly path: string;
  /** 'log': rows added to row logs; 'base' and 'delta': entries of state tables; 'inflight': rows on their way (runtime/task/inflight.ts). */
  readonly kind: 'base' | 'delta' | 'log' | 'inflight';
  readonly bytes: number;
  /** CRC32C of the file's block heads, as eight hex digits. */
  readonly checksum: string;
  readonly entries: number;
  readonly checkpoint: number;
  /** Names the state that base + deltas up to this file give. A base written later for the same state carries the same name. */
  readonly state: string;
  /** States that this delta, merged from several, may be applied onto or contains. */
  readonly covers?: readonly string[];
  /** Of a log file: the position behind its last row, for each row log. */
  readonly ends?: Readonly<Record<string, number>>;
}

export interface TaskMetadata {
  readonly task: string;
  readonly subtask: number;
  readonly keyGroupFirst: number;
  readonly keyGroupLast: number;
  readonly nodeIds: readonly number[];
  /** Checkpoint the last delta reaches back to. */
  readonly since: number;
  /** Base, then deltas, in the order in which they are applied; log files in the order of their rows. Empty = no keyed state. */
  readonly files: readonly FileRef[];
  /** Node id → what Operator.snapshot gave (source positions, sink parts). */
  readonly operators: Readonly<Record<string, Json>>;
}

export interface CheckpointMetadata {
  readonly format: number;
  readonly jobId: number;
  readonly jobName: string;
  /** The server whose table log `logPosition` and the positions of tables are of. */
  readonly serverId?: string;
  readonly checkpointId: number;
  readonly kind: 'checkpoint' | 'savepoint';
  readonly mode: 'exactly_once' | 'at_least_once';
  /** Taken in the midst of an epoch: views hold a part of it, and the rest is in flight or comes again from the sources. */
  readonly midEpoch?: boolean;
  /** Some task took it before its barrier was aligned. */
  readonly unaligned?: boolean;
  readonly plan: Plan;
  readonly hashVersion: number;
  readonly parallelism: number;
  readonly maxParallelism: number;
  readonly epoch: number;
  /** S: the table-log position of the barrier. */
  readonly logPosition: number;
  readonly watermarkUs: number | null;
  readonly triggerMs: number;
  readonly completionMs: number;
  readonly stateBytes: number;
  readonly checkpointedBytes: number;
  readonly tasks: readonly TaskMetadata[];
}

export function encodeMetadata(metadata: CheckpointMetadata): Uint8Array {
  const body = JSON.stringify(metadata, null, 1).slice(0, -2);
  const bytes = new TextEncoder().encode(body);
  return new TextEncoder().encode(`${body},\n "checksum": "${hex32(crc32c(bytes))}"\n}\n`);
}

/** Throws XX001 naming `path` when the text is damaged, 0A000 when it is of a newer version. */
export function decodeMetadata(bytes: Uint8Array, path: string): CheckpointMetadata {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const at = text.lastIndexOf(',\n "checksum": "');
  const match = at < 0 ? null : /^,\n "checksum": "([0-9a-f]{8})"\n\}\n$/.exec(text.slice(at));
  if (match === null || hex32(crc32c(bytes, 0, at)) !== match[1]) throw damaged(path, 'its checksum does not match');
  const metadata = JSON.parse(new TextDecoder().decode(bytes)) as CheckpointMetadata;
  if (metadata.format !== METADATA_FORMAT) throw new SqlError('0A000', `checkpoint format ${metadata.format} is not supported`, { detail: `File "${path}".` });
  return metadata;
}

export function damaged(path: string, reason: string): SqlError {
  return new SqlError('XX001', `checkpoint file "${path}" is damaged: ${reason}`);
}

export function hex32(n: number): string { return n.toString(16).padStart(8, '0'); }
