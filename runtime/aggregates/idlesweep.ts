/**
 * Finding state that was not written for state_ttl. Each value of a table has the time of the barrier after its last write (in place: no list of keys
 * beside it); the table is read from end to end, in evicted parts too, SWEEPS_A_TTL times a state_ttl, READ_MAX entries at each barrier.
 * So state goes between one and about 1 + 1/SWEEPS_A_TTL state_ttl after its last write, at a barrier, while the job runs.
 *
 * State: none of its own; the times are the operator's, and survive with it. While a pass lasts nothing of the table is evicted; when the memory is
 * needed the pass is given up, and the next one reads everything at one barrier.
 */
import { SqlError } from '../../types/error.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { KeyList } from './groupkeys.js';
import type { KeyBatch } from '../keys.js';
import type { SnapshotReader, StateTable } from '../state/table.js';

const SWEEPS_A_TTL = 8;
/** Entries read at a barrier. */
const READ_MAX = 20_000;
/** Entries that go at a barrier: those of a pass that is made in one go, too. */
const DUE_MAX = 100_000;

export class IdleSweep {
  readonly #table: StateTable;
  readonly #ttlUs: number;
  readonly #cell: number;
  readonly #sign: number;
  /** One cell of a value: a page's doubles are aligned in memory, what is read back from disk is not. */
  readonly #us = new Float64Array(1);
  readonly #bytes = new Uint8Array(this.#us.buffer);
  #reader: SnapshotReader | null = null;
  #nextUs = 0;
  #whole = false;
  #due: KeyList | null = null;

  /** `cell`: number of the double that has the time of the last write, µs, as a negative number when `negative`. */
  constructor(table: StateTable, ttlUs: number, cell: number, negative = false) {
    this.#table = table;
    this.#ttlUs = ttlUs;
    this.#cell = cell;
    this.#sign = negative ? -1 : 1;
  }

  isIdle(writtenUs: number, nowUs: number): boolean { return writtenUs > 0 && writtenUs + this.#ttlUs <= nowUs; }

  /** Goes on with the pass, or begins one; `load` brings the state of what was found into memory. */
  collect(nowUs: number, load: (keys: KeyBatch) => Promise<void> | null): Promise<void> | null {
    if (this.#reader === null) {
      if (nowUs < this.#nextUs) return null;
      this.#nextUs = nowUs + Math.ceil(this.#ttlUs / SWEEPS_A_TTL);
      if (this.#table.size === 0) return null;
      this.#reader = this.#table.openReader();
    }
    return this.#read(this.#reader, nowUs, load);
  }

  async #read(reader: SnapshotReader, nowUs: number, load: (keys: KeyBatch) => Promise<void> | null): Promise<void> {
    const due = new KeyList();
    let left = READ_MAX;
    const at = this.#cell * 8;
    const sign = this.#sign;
    const bytes = this.#bytes;
    try {
      let more = true;
      while (more && due.length < DUE_MAX && (left > 0 || this.#whole)) {
        more = await reader.next(1024, (key, keyStart, keyEnd, value, valueStart) => {
          left--;
          for (let p = 0; p < 8; p++) bytes[p] = value[valueStart + at + p];
          if (this.isIdle(sign * this.#us[0], nowUs)) due.push(key, keyStart, keyEnd, hashBytes(key, keyStart, keyEnd));
        });
      }
      if (!more) { this.close(); this.#whole = false; }
    } catch (e) {
      this.close();
      if (!(e instanceof SqlError && e.code === '53400')) throw e;
      this.#whole = true;
    }
    if (due.length === 0) return;
    const waiting = load(due);
    if (waiting !== null) await waiting;
    this.#due = due;
  }

  /** What `collect` found, once. It may have been written since. */
  take(): KeyList | null {
    const due = this.#due;
    this.#due = null;
    return due;
  }

  close(): void {
    this.#reader?.close();
    this.#reader = null;
  }
}
