/**
 * Data in flight: what a checkpoint in the midst of an epoch keeps beside state, and what a restore does with it.
 *
 *   of a channel     batches that were sent before the sender's snapshot and not taken before the receiver's (unaligned checkpoints)
 *   of an operator   input that waits for the end of the epoch (sinks that consolidate, look-ups): `Operator.owed`
 *
 * One file a task and checkpoint (FileRef kind 'inflight'), one block a batch:
 *
 *   u32 length of the head, head (JSON: Origin), u32 rows, then per row i32 weight, u32 length, the stored row          (little endian)
 *
 * Watermarks, ends and light barriers are not kept: sources give watermarks and ends again, and the first barrier after a restore comes behind
 * everything that was in flight. Restored at the same parallelism every batch goes to its own subtask, otherwise rows of a channel go
 * to the subtask that owns their key group now. Cost: that of encoding and decoding rows, in the background, a batch at a time.
 */
import type { TaskFiles } from '../state/taskfiles.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import { viewOf } from '../../types/encoding/bytes.js';
import { SqlError } from '../../types/error.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { keyEncoder, rowEncoder } from '../keys.js';
import { gather } from '../vectors.js';
import { subtaskOfKeyGroup, type Edge, type Fragment } from './fragment.js';

export interface Reader { readonly node: number; readonly input: number }

/** Where a batch was on its way to. */
export type Origin =
  | { readonly entry: number; readonly partials: boolean; readonly readers: readonly Reader[]; readonly subtask: number; readonly parallelism: number }
  | { readonly entry: null; readonly readers: readonly Reader[]; readonly keys: readonly number[] | null; readonly subtask: number; readonly parallelism: number };

export interface InFlight { readonly origin: Origin; readonly types: readonly SqlType[]; readonly batches: readonly Batch[] }

const ROW_HEAD = 8;

/** Readers of an entry: what gets its rows where the entry is none any more (parallelism 1). */
export function readersOf(fragment: Fragment, entry: number): Reader[] {
  return fragment.nodes.flatMap(n => n.inputs.flatMap((from, input) => (from === entry ? [{ node: n.id, input }] : [])));
}

export function encodeBatch(origin: Origin, types: readonly SqlType[], batch: Batch): Uint8Array {
  const { data, start, end } = rowEncoder(types)(batch);
  const head = new TextEncoder().encode(JSON.stringify(origin));
  let bytes = 8 + head.length;
  for (let i = 0; i < batch.length; i++) bytes += ROW_HEAD + end[i] - start[i];
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  view.setUint32(0, head.length, true);
  out.set(head, 4);
  let at = 4 + head.length;
  view.setUint32(at, batch.length, true);
  at += 4;
  for (let i = 0; i < batch.length; i++) {
    const length = end[i] - start[i];
    view.setInt32(at, batch.weights === null ? 1 : batch.weights[i], true);
    view.setUint32(at + 4, length, true);
    out.set(data.subarray(start[i], end[i]), at + ROW_HEAD);
    at += ROW_HEAD + length;
  }
  return out;
}

export function originOf(block: Uint8Array): Origin {
  const length = viewOf(block).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(block.subarray(4, 4 + length))) as Origin;
}

export function decodeBatch(block: Uint8Array, types: readonly SqlType[]): Batch {
  const view = viewOf(block);
  let at = 4 + view.getUint32(0, true);
  const rows = view.getUint32(at, true);
  at += 4;
  const builder = new BatchBuilder(types);
  for (let i = 0; i < rows; i++) {
    builder.appendStored(block, at + ROW_HEAD, view.getInt32(at, true));
    at += ROW_HEAD + view.getUint32(at + 4, true);
  }
  return builder.finish();
}

/** null when nothing is in flight. */
export async function writeInFlight(files: Pick<TaskFiles, 'write'>, task: { readonly name: string; readonly maxParallelism: number; readonly hashVersion: number }, checkpointId: number, parts: readonly InFlight[]): Promise<FileRef | null> {
  let rows = 0;
  for (const { batches } of parts) for (const batch of batches) rows += batch.length;
  if (rows === 0) return null;
  const blocks = function *(): Generator<Uint8Array> {
    for (const { origin, types, batches } of parts) for (const batch of batches) if (batch.length > 0) yield encodeBatch(origin, types, batch);
  };
  return files.write({
    header: { task: task.name, kind: 'inflight', checkpoint: checkpointId, since: checkpointId, maxParallelism: task.maxParallelism, hashVersion: task.hashVersion },
    blocks: blocks(), end: () => ({ entries: rows, tableSizes: {} }),
  });
}

/** A batch to be given before anything else: to an entry of the task, or to single operators. */
export interface Restored {
  readonly origin: Origin;
  readonly types: readonly SqlType[];
  readonly batch: Batch;
  /** The restored task stands where the batch was going to; else the rows were spread anew. */
  readonly own: boolean;
}

export interface RestoringTask {
  readonly fragment: Fragment;
  readonly subtask: number;
  readonly maxParallelism: number;
  /** Of what an edge's channels carry; with `partials` (null: rows). */
  edgeTypes(edge: Edge): readonly SqlType[];
  /** Of an operator's input. */
  inputTypes(reader: Reader): readonly SqlType[];
  /** Of partial results for the aggregate. */
  partialTypes(reader: Reader): readonly SqlType[];
}

/** What of the files in flight belongs to the task, each sender's batches in their order. */
export async function readInFlight(storage: { readStateFile(ref: FileRef): AsyncIterable<Uint8Array> }, files: readonly FileRef[], task: RestoringTask): Promise<Restored[]> {
  const restored: Restored[] = [];
  for (const ref of files) {
    if (ref.kind !== 'inflight') continue;
    for await (const block of storage.readStateFile(ref)) {
      const origin = originOf(block);
      const r = origin.entry === null ? ofOperator(block, origin, task) : ofChannel(block, origin, task);
      if (r !== null && r.batch.length > 0) restored.push(r);
    }
  }
  return restored;
}

type OfOperator = Extract<Origin, { entry: null }>;
type OfChannel = Exclude<Origin, { entry: null }>;

const has = (fragment: Fragment, reader: Reader): boolean => fragment.nodes.some(n => n.id === reader.node);

function ofOperator(block: Uint8Array, origin: OfOperator, task: RestoringTask): Restored | null {
  const [reader] = origin.readers;
  const { fragment, subtask, maxParallelism } = task;
  if (!has(fragment, reader)) return null;
  const own = origin.parallelism === fragment.parallelism;
  if ((own || origin.keys === null) && origin.subtask % fragment.parallelism !== subtask) return null;
  const types = task.inputTypes(reader);
  const batch = decodeBatch(block, types);
  return { origin, types, own, batch: own || origin.keys === null ? batch : ownRows(batch, types, origin.keys, fragment.parallelism, subtask, maxParallelism) };
}

function ofChannel(block: Uint8Array, origin: OfChannel, task: RestoringTask): Restored | null {
  const { fragment, subtask, maxParallelism } = task;
  const readers = origin.readers.filter(r => has(fragment, r));
  if (readers.length === 0) return null;
  const edge = fragment.inbound.find(e => e.entry === origin.entry);
  const same = origin.parallelism === fragment.parallelism;
  if (edge !== undefined) {
    if ((edge.partials !== null) !== origin.partials) throw refused('its channels carry partial results in one plan and rows in the other');
    if (same && origin.subtask !== subtask) return null;
    const types = task.edgeTypes(edge);
    const batch = decodeBatch(block, types);
    if (same) return { origin, types, batch, own: true };
    if (edge.kind === 'forward') throw refused('rows are in flight between subtasks with no exchange between them');
    return { origin, types, own: false, batch: edge.kind === 'single' ? batch : ownRows(batch, types, edge.keys, fragment.parallelism, subtask, maxParallelism) };
  }
  if (fragment.parallelism > 1) throw refused('rows are in flight to an operator that has no exchange before it now');
  const types = origin.partials ? task.partialTypes(readers[0]) : task.inputTypes(readers[0]);
  return { origin: { ...origin, readers }, types, batch: decodeBatch(block, types), own: false };
}

function ownRows(batch: Batch, types: readonly SqlType[], keys: readonly number[], parallelism: number, subtask: number, maxParallelism: number): Batch {
  const { hash } = keyEncoder(types, keys)(batch);
  const rows = new Int32Array(batch.length);
  let n = 0;
  for (let i = 0; i < batch.length; i++) if (subtaskOfKeyGroup((hash[i] >>> 0) % maxParallelism, parallelism, maxParallelism) === subtask) rows[n++] = i;
  return n === batch.length ? batch : gather(batch, rows, n);
}

function refused(why: string): SqlError {
  return new SqlError('0A000', 'the unaligned checkpoint cannot be restored into this plan and parallelism', { detail: `Data in flight: ${why}.`, hint: 'Restore it as it was taken, then take a savepoint: savepoints hold nothing in flight.' });
}
