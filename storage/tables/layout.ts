/**
 * Layout of the tables' LevelDB.
 *
 *   1, table id u32 BE, primary key         → row bytes
 *   2, sequence u64 BE                      → log record: u32 CRC32C of the rest, f64 time in ms, u32 count, changes
 *                                             change: u32 table id, u32 key length, i32 old length, i32 new length (−1 = null), key, old, new   (LE)
 *   3, name                                 → JSON: lastSeq; trimmed (highest sequence trimmed); rowid/<table> (row ids below are used up);
 *                                             number/<table>/<column> (so many numbers of a column that counts are used up)
 */
import { SqlError } from '../../types/error.js';
import { crc32c } from '../../types/crc32c.js';
import { viewOf } from '../../types/encoding/bytes.js';
import type { KvRange } from '../kv.js';
import type { LogRecord, RowChange } from '../tablestore.js';

const HEAD = 16;
const CHANGE_HEAD = 16;

export function rowKey(tableId: number, key: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(5 + key.length);
  out[0] = 1;
  out.writeUInt32BE(tableId, 1);
  out.set(key, 5);
  return out;
}

export function rowRange(tableId: number, after: Uint8Array | null): KvRange {
  const lt = rowKey(tableId + 1, new Uint8Array(0));
  return after === null ? { gte: rowKey(tableId, new Uint8Array(0)), lt } : { gt: rowKey(tableId, after), lt };
}

export function logKey(seq: number): Uint8Array {
  const out = Buffer.allocUnsafe(9);
  out[0] = 2;
  out.writeBigUInt64BE(BigInt(seq), 1);
  return out;
}

export function logSeq(key: Uint8Array): number {
  return Number(Buffer.from(key.buffer, key.byteOffset, key.length).readBigUInt64BE(1));
}

export function metaKey(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  const out = new Uint8Array(1 + text.length);
  out[0] = 3;
  out.set(text, 1);
  return out;
}

export function encodeRecord(timeMs: number, changes: readonly RowChange[]): Uint8Array {
  let bytes = HEAD;
  for (const c of changes) bytes += CHANGE_HEAD + c.key.length + (c.old?.length ?? 0) + (c.new?.length ?? 0);
  const out = new Uint8Array(bytes);
  const view = new DataView(out.buffer);
  view.setFloat64(4, timeMs, true);
  view.setUint32(12, changes.length, true);
  let at = HEAD;
  for (const c of changes) {
    view.setUint32(at, c.tableId, true);
    view.setUint32(at + 4, c.key.length, true);
    view.setInt32(at + 8, c.old === null ? -1 : c.old.length, true);
    view.setInt32(at + 12, c.new === null ? -1 : c.new.length, true);
    at += CHANGE_HEAD;
    for (const part of [c.key, c.old, c.new]) {
      if (part === null) continue;
      out.set(part, at);
      at += part.length;
    }
  }
  view.setUint32(0, crc32c(out, 4), true);
  return out;
}

/** Decodes a record, with the changes of `tableIds` only (null = all). Spans share the value's bytes. */
export function decodeRecord(seq: number, value: Uint8Array, tableIds: ReadonlySet<number> | null): LogRecord {
  const view = viewOf(value);
  if (value.length < HEAD || view.getUint32(0, true) !== crc32c(value, 4)) throw new SqlError('XX001', `table log record ${seq} is damaged: its checksum does not match`);
  const changes: RowChange[] = [];
  let at = HEAD;
  for (let left = view.getUint32(12, true); left > 0; left--) {
    const tableId = view.getUint32(at, true);
    const keyEnd = at + CHANGE_HEAD + view.getUint32(at + 4, true);
    const oldBytes = view.getInt32(at + 8, true);
    const newBytes = view.getInt32(at + 12, true);
    const oldEnd = keyEnd + Math.max(0, oldBytes);
    const newEnd = oldEnd + Math.max(0, newBytes);
    if (tableIds === null || tableIds.has(tableId)) {
      changes.push({
        tableId, key: value.subarray(at + CHANGE_HEAD, keyEnd),
        old: oldBytes < 0 ? null : value.subarray(keyEnd, oldEnd), new: newBytes < 0 ? null : value.subarray(oldEnd, newEnd),
      });
    }
    at = newEnd;
  }
  return { seq, timeMs: view.getFloat64(4, true), changes };
}

export function encodeMeta(value: number): Uint8Array { return new TextEncoder().encode(JSON.stringify(value)); }
export function decodeMeta(value: Uint8Array | undefined): number { return value === undefined ? 0 : (JSON.parse(new TextDecoder().decode(value)) as number); }
