/** The subscriptions of one job: those that open at the next barrier, and those that are open. */
import type { SqlError } from '../../types/error.js';
import type { SubscribeSpec } from '../protocol.js';
import type { WireBatch } from '../vectors.js';
import type { SubscriptionBuffer } from './subscriptions.js';

export class JobSubscriptions {
  #waiting: { readonly spec: SubscribeSpec; readonly buffer: SubscriptionBuffer }[] = [];
  readonly #open = new Map<number, SubscriptionBuffer>();

  get anyWaiting(): boolean { return this.#waiting.length > 0; }
  has(id: number): boolean { return this.#open.has(id); }

  add(spec: SubscribeSpec, buffer: SubscriptionBuffer): void { this.#waiting.push({ spec, buffer }); }
  remove(id: number): void {
    this.#open.delete(id);
    this.#waiting = this.#waiting.filter(w => w.spec.subscriptionId !== id);
  }
  /** Those that the barrier injected now opens. */
  take(): SubscribeSpec[] {
    const taken = this.#waiting;
    this.#waiting = [];
    for (const w of taken) this.#open.set(w.spec.subscriptionId, w.buffer);
    return taken.map(w => w.spec);
  }

  receive(id: number, epoch: number, snapshot: boolean, batch: WireBatch | null, published: number): void {
    const buffer = this.#open.get(id);
    if (buffer === undefined) return;
    buffer.receive(epoch, snapshot, batch);
    if (snapshot && batch === null && buffer.snapshotComplete) buffer.published(published);
  }
  published(epoch: number): void { for (const s of this.#open.values()) s.published(epoch); }

  fail(id: number, error: SqlError): void { this.#open.get(id)?.fail(error); }
  /** Ends all that are open. */
  failAll(error: SqlError): void {
    for (const s of this.#open.values()) s.fail(error);
    this.#open.clear();
  }
  /** Those that wait for a barrier, too: none will come. */
  endAll(error: SqlError): void {
    this.failAll(error);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const w of waiting) w.buffer.fail(error);
  }
}
