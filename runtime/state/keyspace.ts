/**
 * Layout of a job's LevelDB. Every table entry stands under `table id u32 BE, key group u16 BE, state key`:
 *
 *   table ids     node id × 16 + k; + 0x80000000 for nodes of group tables; + 0x40000000 for the scratch copy (spilled dirty entries)
 *   stamps        0xffffffff, task name → JSON: the state that the task's entries are at
 *
 * A scratch value is `u32 BE interval, u8 1 = deleted, value`. Tasks of one node own disjoint ranges of key groups.
 */
import { forEachEntry, clearRange, type Kv } from '../../storage/kv.js';

export const SCRATCH = 0x40000000;
export const TABLES_PER_NODE = 16;
const HIGH_BITS = [0, 0x40000000, 0x80000000, 0xc0000000];

export function entryKey(tableId: number, keyGroup: number, key: Uint8Array, start = 0, end = key.length): Uint8Array {
  const out = Buffer.allocUnsafe(6 + end - start);
  out.writeUInt32BE(tableId, 0);
  out.writeUInt16BE(keyGroup, 4);
  for (let p = start, q = 6; p < end; p++, q++) out[q] = key[p];
  return out;
}

export function groupStart(tableId: number, keyGroup: number): Uint8Array { return entryKey(tableId, keyGroup, new Uint8Array(0)); }

export function tableRange(tableId: number, firstGroup: number, lastGroup: number): { gte: Uint8Array; lt: Uint8Array } {
  return { gte: groupStart(tableId, firstGroup), lt: lastGroup === 0xffff ? groupStart(tableId + 1, 0) : groupStart(tableId, lastGroup + 1) };
}

/** Which state the task's LevelDB entries are at. */
export interface Stamp {
  readonly status: 'applying' | 'applied';
  readonly checkpoint: number;
  readonly state: string;
  /** State that `applying` started from; '' = nothing. */
  readonly from: string;
  readonly tableSizes: Readonly<Record<string, number>>;
}

function stampKey(task: string): Uint8Array {
  const name = new TextEncoder().encode(task);
  const out = new Uint8Array(4 + name.length).fill(255, 0, 4);
  out.set(name, 4);
  return out;
}

export async function readStamp(kv: Kv, task: string): Promise<Stamp | null> {
  const value = await kv.get(stampKey(task));
  return value === undefined ? null : (JSON.parse(new TextDecoder().decode(value)) as Stamp);
}

export function putStamp(batch: { put(key: Uint8Array, value: Uint8Array): void }, task: string, stamp: Stamp): void {
  batch.put(stampKey(task), new TextEncoder().encode(JSON.stringify(stamp)));
}

export async function deleteStamp(kv: Kv, task: string): Promise<void> {
  const batch = kv.batch();
  batch.del(stampKey(task));
  await batch.write(false);
}

/** Ids of the tables of these nodes that have entries in LevelDB; `scratch`: of their scratch copies instead (given without SCRATCH). */
export async function tablesPresent(kv: Kv, nodeIds: readonly number[], scratch: boolean): Promise<number[]> {
  const found: number[] = [];
  for (const node of nodeIds) {
    for (const high of HIGH_BITS) {
      if (((high & SCRATCH) !== 0) !== scratch) continue;
      const end = high + (node + 1) * TABLES_PER_NODE;
      let next = high + node * TABLES_PER_NODE;
      while (next < end) {
        const iterator = kv.iterate({ gte: groupStart(next, 0), lt: groupStart(end, 0) });
        const entry = (await iterator.next(1))[0];
        await iterator.close();
        if (entry === undefined) break;
        const id = Buffer.from(entry[0].buffer, entry[0].byteOffset, 4).readUInt32BE(0);
        found.push(scratch ? id - SCRATCH : id);
        next = id + 1;
      }
    }
  }
  return found;
}

/** Deletes the entries of these nodes in the key groups. */
export async function wipe(kv: Kv, nodeIds: readonly number[], firstGroup: number, lastGroup: number, scratchOnly: boolean): Promise<void> {
  for (const id of await tablesPresent(kv, nodeIds, true)) await clearRange(kv, tableRange(id + SCRATCH, firstGroup, lastGroup), false);
  if (scratchOnly) return;
  for (const id of await tablesPresent(kv, nodeIds, false)) await clearRange(kv, tableRange(id, firstGroup, lastGroup), false);
}

/** Visits the entries of a table in the key groups, in key order; `key` is the state key. */
export async function forEachOf(kv: Kv, tableId: number, firstGroup: number, lastGroup: number, visit: (keyGroup: number, key: Uint8Array, value: Uint8Array) => void | Promise<void>): Promise<void> {
  await forEachEntry(kv, tableRange(tableId, firstGroup, lastGroup), (key, value) => visit((key[4] << 8) | key[5], key.subarray(6), value));
}
