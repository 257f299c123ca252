/**
 * The feeds of one task: each has at most one `next` under way, and gives a batch when the task asks. A feed that has nothing is idle until it
 * wakes; a stream that is looked up in tables gives nothing until these have been read.
 */
import type { Batch } from '../batch.js';
import type { Feed } from './feed.js';
import { RowsFeed } from './rowsfeed.js';
import { TableFeed } from './tablefeed.js';

interface Slot { readonly feed: Feed; ready: { readonly raw: unknown } | null; pending: boolean; idle: boolean; ended: boolean; wakes: number }

const isTable = (feed: Feed): boolean => feed instanceof TableFeed || feed instanceof RowsFeed;

export class TaskFeeds {
  /** Feeds of streams give nothing yet. */
  streamsWait: boolean;
  /** The barrier of the job's last checkpoint passed: none gives anything any more. */
  drained = false;
  readonly all: readonly Feed[];
  readonly #slots: readonly Slot[];
  readonly #wake: () => void;
  readonly #fail: (error: unknown) => void;

  constructor(feeds: readonly Feed[], streamsWait: boolean, wake: () => void, fail: (error: unknown) => void) {
    this.all = feeds;
    this.streamsWait = streamsWait;
    this.#slots = feeds.map(feed => ({ feed, ready: null, pending: false, idle: false, ended: false, wakes: 0 }));
    this.#wake = wake;
    this.#fail = fail;
  }

  get length(): number { return this.#slots.length; }
  get ended(): boolean { return this.#slots.every(s => s.ended); }
  get tablesRead(): boolean { return this.all.every(f => !isTable(f) || f.backfilled); }
  /** Oldest log position that is still needed. */
  get logPosition(): number {
    let min = Infinity;
    for (const feed of this.all) min = Math.min(min, feed.logPosition);
    return min;
  }

  wake(index: number): void {
    const slot = this.#slots[index];
    if (slot === undefined) return;
    slot.wakes++;
    slot.idle = false;
    this.#wake();
  }

  /** Feed k's next batch; null = it has none now; 'again' = none yet, but it may be asked at once; 'end' = this was its end. */
  next(k: number): Batch | 'again' | 'end' | null {
    const slot = this.#slots[k];
    if (slot.ended || slot.pending || this.drained || (this.streamsWait && !isTable(slot.feed))) return null;
    let raw: unknown;
    if (slot.ready !== null) {
      raw = slot.ready.raw;
      slot.ready = null;
    } else {
      if (slot.idle) return null;
      const wakes = slot.wakes;
      const next = slot.feed.next();
      if (next instanceof Promise) {
        this.#await(slot, next, wakes);
        return null;
      }
      if (next === 'idle') slot.idle = slot.wakes === wakes;
      raw = next;
    }
    const batch = slot.feed.take(raw);
    if (batch === 'idle') return slot.idle ? null : 'again';
    if (batch === 'end') slot.ended = true;
    return batch;
  }

  #await(slot: Slot, next: Promise<unknown>, wakes: number): void {
    slot.pending = true;
    next.then(
      value => {
        slot.pending = false;
        if (value === 'idle') slot.idle = slot.wakes === wakes;
        slot.ready = { raw: value };
        this.#wake();
      },
      (e: unknown) => { this.#fail(e); });
  }

  /** What feeds owe before a barrier. */
  async *untilBarrier(logPosition: number): AsyncGenerator<{ readonly feed: Feed; readonly batch: Batch }> {
    for (const feed of this.all) {
      if (this.streamsWait && !isTable(feed)) continue;
      const rest = feed.untilBarrier(logPosition);
      if (rest === null) continue;
      for await (const batch of rest) yield { feed, batch };
    }
  }

  /** The watermark of each at a barrier: an idle feed follows the others. */
  watermarks(): { readonly nodeId: number; readonly us: number }[] {
    let active = Infinity;
    for (const feed of this.all) if (!feed.idle) active = Math.min(active, feed.watermarkUs);
    return this.#slots.map(({ feed, ended }) => ({ nodeId: feed.nodeId, us: ended ? Infinity : feed.idle && active !== Infinity ? Math.max(active, feed.watermarkUs) : feed.watermarkUs }));
  }
}
