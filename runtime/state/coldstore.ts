/**
 * LevelColdStore: a task's entries outside memory. Spilled (dirty) ones stand in the scratch copy of their table and win over what
 * checkpoints applied. `scratchEntries` counts them per table, so that nothing looks there while nothing was spilled.
 */
import type { Kv, KvIterator } from '../../storage/kv.js';
import { entryKey, SCRATCH, tableRange } from './keyspace.js';
import type { ColdScan, ColdStore, ColdValue } from './statetable.js';

const SCRATCH_HEAD = 5;

export function scratchValue(interval: number, block: Uint8Array, start: number, end: number): Uint8Array {
  const bytes = start < 0 ? 0 : end - start;
  const out = Buffer.allocUnsafe(SCRATCH_HEAD + bytes);
  out.writeUInt32BE(interval, 0);
  out[4] = start < 0 ? 1 : 0;
  if (bytes > 0) out.set(block.subarray(start, end), SCRATCH_HEAD);
  return out;
}

export function scratchInterval(value: Uint8Array): number { return (((value[0] << 24) | (value[1] << 16) | (value[2] << 8) | value[3]) >>> 0); }

/** The entry in a scratch value: null = deleted. */
export function scratchContent(value: Uint8Array): Uint8Array | null { return value[4] === 1 ? null : value.subarray(SCRATCH_HEAD); }

export class LevelColdStore implements ColdStore {
  readonly scratchEntries = new Map<number, number>();
  readonly #kv: Kv;
  readonly #firstGroup: number;
  readonly #lastGroup: number;

  constructor(kv: Kv, firstGroup: number, lastGroup: number) {
    this.#kv = kv;
    this.#firstGroup = firstGroup;
    this.#lastGroup = lastGroup;
  }

  #hasScratch(tableId: number): boolean { return (this.scratchEntries.get(tableId) ?? 0) > 0; }

  getSync(tableId: number, keyGroup: number, key: Uint8Array): ColdValue | undefined {
    if (this.#hasScratch(tableId)) {
      const value = this.#kv.getSync(entryKey(tableId + SCRATCH, keyGroup, key));
      if (value !== undefined) return { value: scratchContent(value), dirty: true };
    }
    const value = this.#kv.getSync(entryKey(tableId, keyGroup, key));
    return value === undefined ? undefined : { value, dirty: false };
  }

  async getMany(tableId: number, keyGroups: readonly number[], keys: readonly Uint8Array[]): Promise<(ColdValue | undefined)[]> {
    const found: (ColdValue | undefined)[] = Array.from({ length: keys.length });
    if (this.#hasScratch(tableId)) {
      const values = await this.#kv.getMany(keys.map((key, k) => entryKey(tableId + SCRATCH, keyGroups[k], key)));
      for (let k = 0; k < keys.length; k++) {
        const value = values[k];
        if (value !== undefined) found[k] = { value: scratchContent(value), dirty: true };
      }
    }
    const rest: number[] = [];
    for (let k = 0; k < keys.length; k++) if (found[k] === undefined) rest.push(k);
    const values = await this.#kv.getMany(rest.map((k) => entryKey(tableId, keyGroups[k], keys[k])));
    for (let k = 0; k < rest.length; k++) {
      const value = values[k];
      if (value !== undefined) found[rest[k]] = { value, dirty: false };
    }
    return found;
  }

  openScan(tableId: number, isResident: (key: Uint8Array) => boolean): ColdScan {
    const kv = this.#kv;
    const snapshot = kv.snapshot();
    const withScratch = this.#hasScratch(tableId);
    const open = (id: number): KvIterator => kv.iterate(tableRange(id, this.#firstGroup, this.#lastGroup), snapshot);
    let scratch: KvIterator | null = withScratch ? open(tableId + SCRATCH) : null;
    const main = open(tableId);
    return {
      async next(rowsMax) {
        for (;;) {
          const out: { key: Uint8Array; value: Uint8Array }[] = [];
          if (scratch !== null) {
            const entries = await scratch.next(rowsMax);
            if (entries.length === 0) {
              await scratch.close();
              scratch = null;
              continue;
            }
            for (const [full, value] of entries) {
              const key = full.subarray(6);
              const content = scratchContent(value);
              if (content !== null && !isResident(key)) out.push({ key, value: content });
            }
          } else {
            const entries = await main.next(rowsMax);
            if (entries.length === 0) return [];
            const spilled = withScratch ? await kv.getMany(entries.map(([full]) => entryKey(tableId + SCRATCH, (full[4] << 8) | full[5], full, 6)), snapshot) : null;
            for (let k = 0; k < entries.length; k++) {
              const key = entries[k][0].subarray(6);
              if ((spilled === null || spilled[k] === undefined) && !isResident(key)) out.push({ key, value: entries[k][1] });
            }
          }
          if (out.length > 0) return out;
        }
      },
      async close() {
        if (scratch !== null) await scratch.close();
        await main.close();
        snapshot.close();
      },
    };
  }
}
