/**
 * Subscriptions and batch queries as the main thread sees them: bounded queues between workers' messages and the client that iterates.
 */
import { SqlError } from '../../types/error.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import type { SubscriptionEvent } from '../engine.js';
import type { WireBatch } from '../vectors.js';
import { batchBytes, fromTransferable } from '../vectors.js';

/** Bytes a subscriber may be behind before it is cancelled: a slow client never slows a job. */
export const SUBSCRIPTION_BYTES_MAX = 64 * 1024 * 1024;

/** Items pushed by one side, iterated by the other, until `end` or `fail`. */
export class Queue<T> implements AsyncIterableIterator<T> {
  readonly #items: T[] = [];
  #head = 0;
  #waiting: { resolve(r: IteratorResult<T>): void; reject(e: unknown): void } | null = null;
  #ended = false;
  #error: unknown = null;
  readonly #taken: (item: T) => void;
  readonly #closed: () => void;

  /** `taken` is called for each item handed over; `closed` once, when the reader stops or the end is reached. */
  constructor(taken: (item: T) => void, closed: () => void) {
    this.#taken = taken;
    this.#closed = closed;
  }

  get length(): number { return this.#items.length - this.#head; }
  get ended(): boolean { return this.#ended; }

  push(item: T): void {
    if (this.#ended) return;
    const w = this.#waiting;
    if (w !== null) { this.#waiting = null; this.#taken(item); w.resolve({ done: false, value: item }); } else this.#items.push(item);
  }
  end(): void { this.#finish(null); }
  fail(error: unknown): void { this.#finish(error); }

  #finish(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#closed();
    const w = this.#waiting;
    this.#waiting = null;
    if (w === null) return;
    if (error === null) w.resolve({ done: true, value: undefined });
    else { this.#error = null; w.reject(error); }
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#head < this.#items.length) {
      const item = this.#items[this.#head++];
      if (this.#head === this.#items.length) { this.#items.length = 0; this.#head = 0; }
      this.#taken(item);
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#ended) {
      const error = this.#error;
      this.#error = null;
      return error === null ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
  }
  return(): Promise<IteratorResult<T>> {
    this.#items.length = 0;
    this.#head = 0;
    this.#finish(null);
    return Promise.resolve({ done: true, value: undefined });
  }
  [Symbol.asyncIterator](): this { return this; }
}

/** One subscription: batches of all tasks, held back until their epoch is published. */
export class SubscriptionBuffer {
  readonly #types: readonly SqlType[];
  readonly #queue: Queue<SubscriptionEvent>;
  readonly #later = new Map<number, Batch[]>();
  #bytes = 0;
  #parts: number;

  /** `parts`: tasks that give a snapshot (0 = none is asked for). `done` is called when the reader is gone or was cancelled. */
  constructor(types: readonly SqlType[], parts: number, done: () => void) {
    this.#types = types;
    this.#parts = parts;
    this.#queue = new Queue<SubscriptionEvent>(e => { if (e.batch !== null) this.#bytes -= batchBytes(e.batch); }, done);
  }

  get events(): AsyncIterable<SubscriptionEvent> { return this.#queue; }
  get snapshotComplete(): boolean { return this.#parts <= 0; }

  receive(epoch: number, snapshot: boolean, wire: WireBatch | null): void {
    if (snapshot && wire === null) { this.#parts--; return; }
    if (wire === null) return;
    const batch = fromTransferable(this.#types, wire);
    if (snapshot) { this.#push({ epoch, snapshot, batch }); return; }
    const waiting = this.#later.get(epoch);
    if (waiting === undefined) this.#later.set(epoch, [batch]);
    else waiting.push(batch);
  }

  /** All tasks passed the epoch. */
  published(epoch: number): void {
    if (!this.snapshotComplete) return;
    for (const e of [...this.#later.keys()].filter(k => k <= epoch).sort((a, b) => a - b)) {
      for (const batch of this.#later.get(e) ?? []) this.#push({ epoch: e, snapshot: false, batch });
      this.#later.delete(e);
    }
  }

  #push(event: SubscriptionEvent): void {
    if (event.batch !== null) this.#bytes += batchBytes(event.batch);
    if (this.#bytes > SUBSCRIPTION_BYTES_MAX && !event.snapshot) {
      this.#queue.fail(new SqlError('53400', 'the subscription was cancelled: its reader is too slow', { detail: `More than ${SUBSCRIPTION_BYTES_MAX} bytes were waiting for it.`, hint: 'Read faster, or subscribe to a smaller query.' }));
      return;
    }
    this.#queue.push(event);
  }

  fail(error: Error): void { this.#queue.fail(error); }
  end(): void { this.#queue.end(); }
}
