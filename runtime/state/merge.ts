/**
 * EntryMerger: several runs of entry blocks made one: the last value of every key. Used to write hot keys once instead of once a
 * checkpoint, and to merge many small delta files. Memory: the distinct entries, in state tables of its own.
 */
import { BlockCursor, EntryWriter, type EntryBlock } from '../../storage/checkpoint/format.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { PageAllocator } from './pages.js';
import { copyBytes } from '../../types/encoding/bytes.js';
import { HashStateTable } from './statetable.js';

/** Before the value: u8 1 = deleted, u16 key group. */
const HEAD = 3;

export class EntryMerger {
  readonly #tables = new Map<number, HashStateTable>();
  readonly #pages = new PageAllocator();
  readonly #key: { length: number; data: Uint8Array; start: Int32Array; end: Int32Array; hash: Int32Array; anyNull: null } = { length: 1, data: new Uint8Array(0), start: new Int32Array(1), end: new Int32Array(1), hash: new Int32Array(1), anyNull: null };

  get bytes(): number { return this.#pages.totalBytes; }

  add(block: EntryBlock): void {
    const cursor = new BlockCursor(block);
    let table = this.#tables.get(cursor.tableId);
    if (table === undefined) {
      table = new HashStateTable({ tableId: cursor.tableId, maxParallelism: 1, pages: this.#pages, hash: hashBytes, tracking: false, cold: null });
      this.#tables.set(cursor.tableId, table);
    }
    const key = this.#key;
    key.data = block;
    while (cursor.next()) {
      key.start[0] = cursor.keyStart;
      key.end[0] = cursor.keyEnd;
      key.hash[0] = hashBytes(block, cursor.keyStart, cursor.keyEnd);
      const bytes = HEAD + (cursor.valueStart < 0 ? 0 : cursor.valueEnd - cursor.valueStart);
      const slot = table.findOrInsert(key, 0, bytes);
      if (!table.inserted) table.resize(slot, bytes);
      const to = table.page(slot).bytes;
      const at = table.offset(slot);
      to[at] = cursor.valueStart < 0 ? 1 : 0;
      to[at + 1] = cursor.keyGroup >>> 8;
      to[at + 2] = cursor.keyGroup;
      if (cursor.valueStart >= 0) copyBytes(block, cursor.valueStart, cursor.valueEnd, to, at + HEAD);
    }
  }

  /** The entries of a block whose keys were not added, as blocks: what is older than all that was. */
  *others(block: EntryBlock, counter: { entries: number }): Generator<EntryBlock> {
    const cursor = new BlockCursor(block);
    const table = this.#tables.get(cursor.tableId);
    const key = this.#key;
    key.data = block;
    const writer = new EntryWriter();
    writer.table(cursor.tableId);
    while (cursor.next()) {
      key.start[0] = cursor.keyStart;
      key.end[0] = cursor.keyEnd;
      key.hash[0] = hashBytes(block, cursor.keyStart, cursor.keyEnd);
      if (table === undefined || table.find(key, 0) < 0) writer.entry(cursor.keyGroup, block, cursor.keyStart, cursor.keyEnd, cursor.valueStart, cursor.valueEnd);
    }
    writer.finish();
    yield* writer.blocks;
    counter.entries += writer.entries;
  }

  /** The merged entries, block by block (a large merge must not hold its thread); their count is in `writer.entries` after the last. */
  *finish(counter: { entries: number }): Generator<EntryBlock> {
    let ready: EntryBlock[] = [];
    const writer = new EntryWriter((block) => { ready.push(block); });
    for (const [tableId, table] of this.#tables) {
      writer.table(tableId);
      for (let slot = table.nextResident(0); slot >= 0; slot = table.nextResident(slot + 1)) {
        const bytes = table.page(slot).bytes;
        const at = table.offset(slot);
        const keyStart = table.keyOffset(slot);
        const deleted = bytes[at] === 1;
        writer.entry((bytes[at + 1] << 8) | bytes[at + 2], bytes, keyStart, keyStart + table.keyLength(slot), deleted ? -1 : at + HEAD, deleted ? -1 : at + table.length(slot));
        if (ready.length > 0) {
          yield* ready;
          ready = [];
        }
      }
    }
    writer.finish();
    yield* ready;
    counter.entries += writer.entries;
  }
}
