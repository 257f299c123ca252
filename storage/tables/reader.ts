/** LevelTableReader: the TableReader of storage/tablestore.ts; any thread may have one on the writer's directory. */
import type { Kv } from '../kv.js';
import type { LogRecord, TableReader, TableSnapshot } from '../tablestore.js';
import { decodeMeta, decodeRecord, logKey, logSeq, metaKey, rowRange } from './layout.js';

/** Records scanned between two looks at the byte limit. */
const SCAN_RECORDS = 256;

export function openTableReader(kv: Kv): TableReader { return new LevelTableReader(kv); }

class LevelTableReader implements TableReader {
  readonly #kv: Kv;
  constructor(kv: Kv) { this.#kv = kv; }

  async snapshot(tableId: number): Promise<TableSnapshot> {
    const kv = this.#kv;
    const snapshot = kv.snapshot();
    const seq = decodeMeta(await kv.get(metaKey('lastSeq'), snapshot));
    return {
      seq,
      async rows(after, rowsMax) {
        const iterator = kv.iterate(rowRange(tableId, after), snapshot);
        const rows: { key: Uint8Array; row: Uint8Array }[] = [];
        try {
          while (rows.length < rowsMax) {
            const part = await iterator.next(rowsMax - rows.length);
            if (part.length === 0) break;
            for (const [key, row] of part) rows.push({ key: key.subarray(5), row });
          }
        } finally {
          await iterator.close();
        }
        return rows;
      },
      async close() { snapshot.close(); },
    };
  }

  async log(tableIds: ReadonlySet<number>, from: number, to: number, bytesMax: number): Promise<{ records: LogRecord[]; next: number }> {
    const records: LogRecord[] = [];
    if (from >= to) return { records, next: from };
    const iterator = this.#kv.iterate({ gt: logKey(from), lt: logKey(to + 1) });
    let bytes = 0;
    try {
      for (;;) {
        const part = await iterator.next(SCAN_RECORDS);
        if (part.length === 0) return { records, next: to };
        for (const [key, value] of part) {
          const seq = logSeq(key);
          const record = decodeRecord(seq, value, tableIds);
          if (record.changes.length === 0) continue;
          records.push(record);
          bytes += value.length;
          if (bytes >= bytesMax) return { records, next: seq };
        }
      }
    } finally {
      await iterator.close();
    }
  }

  async oldestSeq(): Promise<number> {
    const trimmed = decodeMeta(await this.#kv.get(metaKey('trimmed')));
    return trimmed === 0 ? 0 : trimmed + 1;
  }

  async close(): Promise<void> { await this.#kv.close(); }
}
