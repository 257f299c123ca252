/**
 * Moved state: a task takes its entries from the files of tasks of another layout (another parallelism) or of another job (a restore from a
 * path). Every task reads all files that may have some of its entries and picks its own, by Owners; nothing is written back to those files.
 * Then the task has a base of its own (TaskState), so that what was moved is moved once, and the files may go.
 *
 * Within one task's chain a later value of a key stands over an earlier one. Counts of a view without key are the sum over the chains: each chain
 * is put together aside (in LevelDB under the scratch copy of the table) and then added.
 */
import { BlockCursor, type EntryBlock } from '../../storage/checkpoint/format.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import type { Kv } from '../../storage/kv.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { entryKey, forEachOf, SCRATCH } from './keyspace.js';
import type { LogSource } from './logfiles.js';
import { nodeOfTable, type Owners } from './owners.js';
import { APPLY_OPERATIONS, type StoredStateOptions } from './storedstate.js';

export interface Moved {
  readonly owners: Owners;
  /** Nodes whose state is taken. */
  readonly nodes: ReadonlySet<number>;
  read(ref: FileRef): AsyncIterable<EntryBlock>;
}

type Chains = readonly (readonly FileRef[])[];
type Options = Pick<StoredStateOptions, 'nodeIds' | 'keyGroupFirst' | 'keyGroupLast' | 'maxParallelism'>;

function owns(o: Options, moved: Moved, tableId: number): boolean {
  const node = nodeOfTable(tableId);
  return moved.nodes.has(node) && o.nodeIds.includes(node);
}

function isOwn(o: Options, moved: Moved, tableId: number, data: Uint8Array, start: number, end: number): boolean {
  const group = moved.owners.keyGroup(tableId, data, start, end);
  return group >= o.keyGroupFirst && group <= o.keyGroupLast;
}

/** The key group that the task's table keeps an entry under (HashStateTable.keyGroup). */
function ownGroup(o: Options, hash: number): number {
  const group = (hash >>> 0) % o.maxParallelism;
  return group >= o.keyGroupFirst && group <= o.keyGroupLast ? group : o.keyGroupFirst + group % (o.keyGroupLast - o.keyGroupFirst + 1);
}

const countOf = (value: Uint8Array): number => new DataView(value.buffer, value.byteOffset, 8).getFloat64(0, true);
function countBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, count, true);
  return bytes;
}

/** Own entries of a chain, in the order of its files. */
async function* ownEntries(o: Options, chain: readonly FileRef[], moved: Moved): AsyncGenerator<BlockCursor> {
  for (const ref of chain) {
    for await (const block of moved.read(ref)) {
      const cursor = new BlockCursor(block);
      if (!owns(o, moved, cursor.tableId)) continue;
      while (cursor.next()) if (isOwn(o, moved, cursor.tableId, block, cursor.keyStart, cursor.keyEnd)) yield cursor;
    }
  }
}

/** Into the task's range of LevelDB, which is empty. */
export async function storeMoved(kv: Kv, o: Options, chains: Chains, moved: Moved): Promise<void> {
  for (const chain of chains) {
    const aside = new Set<number>();
    let batch = kv.batch();
    for await (const c of ownEntries(o, chain, moved)) {
      const summed = moved.owners.summed(c.tableId);
      if (summed) aside.add(c.tableId);
      const key = entryKey(summed ? c.tableId + SCRATCH : c.tableId, ownGroup(o, moved.owners.ownHash(c.tableId, c.block, c.keyStart, c.keyEnd)), c.block, c.keyStart, c.keyEnd);
      if (c.valueStart < 0) batch.del(key);
      else batch.put(key, Buffer.from(c.block.buffer, c.block.byteOffset + c.valueStart, c.valueEnd - c.valueStart));
      if (batch.length < APPLY_OPERATIONS) continue;
      await batch.write(false);
      batch = kv.batch();
    }
    await batch.write(false);
    for (const tableId of aside) await addAside(kv, o, tableId);
  }
}

async function addAside(kv: Kv, o: Options, tableId: number): Promise<void> {
  await forEachOf(kv, tableId + SCRATCH, o.keyGroupFirst, o.keyGroupLast, async (keyGroup, key, value) => {
    const at = entryKey(tableId, keyGroup, key);
    const before = await kv.get(at);
    const sum = countOf(value) + (before === undefined ? 0 : countOf(before));
    const batch = kv.batch();
    if (sum === 0) batch.del(at);
    else batch.put(at, countBytes(sum));
    batch.del(entryKey(tableId + SCRATCH, keyGroup, key));
    await batch.write(false);
  });
}

/** For the memory backend: each entry once. */
export async function loadMoved(o: Options, chains: Chains, moved: Moved, put: (tableId: number, key: Uint8Array, value: Uint8Array) => void): Promise<void> {
  const all = new Map<number, Map<string, Uint8Array>>();
  for (const chain of chains) {
    const aside = new Map<number, Map<string, Uint8Array>>();
    for await (const c of ownEntries(o, chain, moved)) {
      const tables = moved.owners.summed(c.tableId) ? aside : all;
      let table = tables.get(c.tableId);
      if (table === undefined) tables.set(c.tableId, table = new Map());
      const key = Buffer.from(c.block.buffer, c.block.byteOffset + c.keyStart, c.keyEnd - c.keyStart).toString('latin1');
      if (c.valueStart < 0) table.delete(key);
      else table.set(key, c.block.slice(c.valueStart, c.valueEnd));
    }
    for (const [tableId, counts] of aside) {
      let table = all.get(tableId);
      if (table === undefined) all.set(tableId, table = new Map());
      for (const [key, value] of counts) {
        const before = table.get(key);
        table.set(key, before === undefined ? value : countBytes(countOf(before) + countOf(value)));
      }
    }
  }
  for (const [tableId, table] of all) for (const [key, value] of table) put(tableId, Buffer.from(key, 'latin1'), value);
}

/** Rows of row logs: of the task's own files as they are, of moved ones by their keys. */
export function logSource(o: Options & Pick<StoredStateOptions, 'storage'>, moved: Moved | undefined): LogSource {
  if (moved === undefined) {
    const inRange = (hash: number): boolean => {
      const group = (hash >>> 0) % o.maxParallelism;
      return group >= o.keyGroupFirst && group <= o.keyGroupLast;
    };
    return { read: ref => o.storage.readStateFile(ref), has: tableId => o.nodeIds.includes(nodeOfTable(tableId)), keeps: (_, data, start, end) => inRange(hashBytes(data, start, end)) };
  }
  return { read: ref => moved.read(ref), has: tableId => owns(o, moved, tableId), keeps: (tableId, data, start, end) => isOwn(o, moved, tableId, data, start, end) };
}
