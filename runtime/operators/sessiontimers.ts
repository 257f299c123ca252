/**
 * When sessions may close: keys by the time their session ended at when they were noted, in buckets of a fraction of the gap. A session only grows: a
 * note is never too late, and one that came too early is made anew for the end there is then; once a gap of event time at most.
 *
 * In memory only, with a copy of each key: after a restore all sessions are noted again, by the bucket that each has in its state.
 */
import { hashBytes } from '../../types/encoding/hash.js';
import { KeyList } from '../aggregates/groupkeys.js';
import type { KeyBatch } from '../keys.js';
import type { StateTable } from '../state/table.js';

const BUCKETS_A_GAP = 64;

/** Where a key's value (doubles) has the number of its sessions, its first session, and in each its bucket. */
export interface SessionLayout { readonly count: number; readonly first: number; readonly width: number; readonly noted: number }

export class SessionTimers {
  readonly #table: StateTable;
  readonly #layout: SessionLayout;
  readonly #widthUs: number;
  readonly #buckets = new Map<number, KeyList>();
  /** The earliest bucket there is. */
  #first = Infinity;
  /** False until the sessions of a restored table are known. */
  #complete = false;
  #due: KeyList | null = null;

  constructor(gapUs: number, table: StateTable, layout: SessionLayout) {
    this.#widthUs = Math.max(1, Math.floor(gapUs / BUCKETS_A_GAP));
    this.#table = table;
    this.#layout = layout;
  }

  bucketOf(us: number): number { return Math.floor(us / this.#widthUs); }

  /** Notes row i's key in a bucket. */
  add(bucket: number, keys: KeyBatch, i: number): void { this.#add(bucket, keys.data, keys.start[i], keys.end[i], keys.hash[i]); }

  #add(bucket: number, data: Uint8Array, from: number, to: number, hash: number): void {
    let list = this.#buckets.get(bucket);
    if (list === undefined) {
      list = new KeyList();
      this.#buckets.set(bucket, list);
      if (bucket < this.#first) this.#first = bucket;
    }
    list.push(data, from, to, hash);
  }

  /** Finds the keys of all buckets that begin by `us`, for `take`, and brings their state into memory. */
  prefetch(us: number, load: (keys: KeyBatch) => Promise<void> | null): Promise<void> | null {
    if (this.#complete) return this.#collect(us, load);
    return this.#noteAll().then(() => this.#collect(us, load) ?? undefined);
  }

  #collect(us: number, load: (keys: KeyBatch) => Promise<void> | null): Promise<void> | null {
    const last = this.bucketOf(us);
    if (this.#first > last) return null;
    let due: KeyList | null = null;
    let first = Infinity;
    for (const [bucket, list] of this.#buckets) {
      if (bucket > last) { if (bucket < first) first = bucket; continue; }
      this.#buckets.delete(bucket);
      if (due === null) due = list;
      else for (let k = 0; k < list.length; k++) due.push(list.data, list.start[k], list.end[k], list.hash[k]);
    }
    this.#first = first;
    this.#due = due;
    return due === null ? null : load(due);
  }

  /** What `prefetch` found, once. A key may be among them more than once. */
  take(): KeyList | null {
    const due = this.#due;
    this.#due = null;
    return due;
  }

  async #noteAll(): Promise<void> {
    const { count, first, width, noted } = this.#layout;
    this.#buckets.clear();
    this.#first = Infinity;
    await this.#table.scan((key, value) => {
      const view = new DataView(value.buffer, value.byteOffset);
      const hash = hashBytes(key, 0, key.length);
      const sessions = view.getFloat64(count * 8, true);
      for (let s = 0; s < sessions; s++) this.#add(view.getFloat64((first + s * width + noted) * 8, true), key, 0, key.length, hash);
    });
    this.#complete = true;
  }
}
