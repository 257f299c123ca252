/**
 * Channels: bounded queues of items from one task to another, in order. Credit in bytes: the sender counts what the receiver has not
 * taken yet and waits past CHANNEL_BYTES_MAX (`drained`); the receiver gives credit back as it takes items. Between workers the items go
 * over a MessagePort, column bytes moved, not cloned, several batches a message, and credit comes back over the same port in larger sums;
 * in one worker they are handed over.
 * Barriers, watermarks and ends need no credit: a barrier never waits behind a full channel.
 *
 * Whatever was sent is at the receiver within milliseconds, however long it is queued there. So a checkpoint barrier that overtakes does so at the
 * receiver alone: `announced` tells the task of it as it comes in, and `capture` gives what stands before it, and what still comes before it.
 */
import type { Env, Timer } from '../../types/env.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { batchBytes, fromTransferable, toTransferable, type WireBatch } from '../vectors.js';
import type { ChannelPort, Injected } from '../protocol.js';

/** Named limit: bytes sent and not taken yet; one batch may go over it. */
export const CHANNEL_BYTES_MAX = 4 * 1024 * 1024;
/** Named limits: batches and watermarks wait for others until so many bytes are together, so long at most; a barrier takes them along. */
const MESSAGE_BYTES = 128 * 1024;
const MESSAGE_MS = 10;
/** Credit goes back in such sums: what is held back is far from filling the channel. */
const CREDIT_BYTES = CHANNEL_BYTES_MAX / 8;

export type Item =
  | { readonly k: 'batch'; readonly batch: Batch; readonly bytes: number }
  | { readonly k: 'watermark'; readonly us: number }
  | { readonly k: 'barrier'; readonly injected: Injected }
  | { readonly k: 'end' };

type Wire =
  | { readonly k: 'batch'; readonly wire: WireBatch; readonly bytes: number }
  | Exclude<Item, { k: 'batch' }>;
/** What one message carries, in order. */
type Message = readonly Wire[];

export interface ChannelOut {
  readonly key: string;
  send(batch: Batch): void;
  signal(item: Exclude<Item, { k: 'batch' }>): void;
  readonly full: boolean;
  readonly queuedBytes: number;
  /** Called once when the channel is no longer full. */
  onDrain(run: () => void): void;
  close(): void;
}

/** What a checkpoint keeps of one channel. */
export interface Captured {
  readonly batches: Batch[];
  /** Resolves when the barrier has come: then `batches` is complete. */
  readonly complete: Promise<void>;
}

/** The receiving end. `wake` is called when something came to an empty queue. */
export class ChannelIn {
  readonly key: string;
  queuedBytes = 0;
  ended = false;
  wake: () => void = () => undefined;
  /** A checkpoint barrier that ends no epoch came into the queue. */
  announced: (injected: Injected) => void = () => undefined;
  #recording: { readonly id: number; readonly batches: Batch[]; readonly done: () => void } | null = null;
  readonly #items: Item[] = [];
  #head = 0;
  readonly #credit: (bytes: number) => void;

  constructor(key: string, credit: (bytes: number) => void) {
    this.key = key;
    this.#credit = credit;
  }

  get empty(): boolean { return this.#head === this.#items.length; }

  put(item: Item): void {
    if (item.k === 'batch') {
      this.queuedBytes += item.bytes;
      this.#recording?.batches.push(item.batch);
    } else if (item.k === 'barrier' && item.injected.barrier.midEpoch !== undefined) {
      if (this.#recording !== null && item.injected.barrier.checkpoint?.id === this.#recording.id) {
        this.#recording.done();
        this.#recording = null;
        return;
      }
      this.announced(item.injected);
    }
    this.#items.push(item);
    this.wake();
  }

  /** The batches before the barrier of checkpoint `id`, queued ones and those that still come; the barrier itself is taken out of the queue. */
  capture(id: number): Captured {
    const batches: Batch[] = [];
    for (let k = this.#head; k < this.#items.length; k++) {
      const item = this.#items[k];
      if (item.k === 'batch') batches.push(item.batch);
      else if (item.k === 'barrier' && item.injected.barrier.midEpoch !== undefined && item.injected.barrier.checkpoint?.id === id) {
        this.#items.splice(k, 1);
        if (this.#head === this.#items.length) {
          this.#items.length = 0;
          this.#head = 0;
        }
        return { batches, complete: Promise.resolve() };
      }
    }
    const complete = new Promise<void>(done => { this.#recording = { id, batches, done }; });
    return { batches, complete };
  }

  /** The checkpoint was given up. */
  forget(id: number): void { if (this.#recording?.id === id) this.#recording = null; }

  take(): Item {
    const item = this.#items[this.#head++];
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    }
    if (item.k === 'batch') {
      this.queuedBytes -= item.bytes;
      this.#credit(item.bytes);
    }
    return item;
  }
}

class Credit {
  outstanding = 0;
  #waiting: (() => void)[] = [];
  get full(): boolean { return this.outstanding >= CHANNEL_BYTES_MAX; }
  onDrain(run: () => void): void {
    if (this.full) this.#waiting.push(run);
    else run();
  }
  back(bytes: number): void {
    this.outstanding -= bytes;
    if (this.full || this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }
}

/** Both ends in one worker. */
export function localChannel(key: string): { out: ChannelOut; in: ChannelIn } {
  const credit = new Credit();
  const receiver = new ChannelIn(key, bytes => { credit.back(bytes); });
  return {
    in: receiver,
    out: {
      key,
      send(batch) {
        const bytes = batchBytes(batch);
        credit.outstanding += bytes;
        receiver.put({ k: 'batch', batch, bytes });
      },
      signal: item => { receiver.put(item); },
      get full() { return credit.full; },
      get queuedBytes() { return credit.outstanding; },
      onDrain: run => { credit.onDrain(run); },
      close: () => undefined,
    },
  };
}

export function portOut(key: string, port: ChannelPort, types: readonly SqlType[], env: Env): ChannelOut {
  const credit = new Credit();
  let items: Wire[] = [];
  let transfer: ArrayBuffer[] = [];
  let waiting = 0;
  let timer: Timer | null = null;
  const flush = (): void => {
    if (items.length === 0) return;
    const message: Message = items;
    const buffers = transfer;
    items = [];
    transfer = [];
    waiting = 0;
    port.postMessage(message, buffers);
  };
  const flushSoon = (): void => { timer ??= env.after(MESSAGE_MS, () => { timer = null; flush(); }); };
  port.on('message', bytes => { credit.back(bytes as number); });
  return {
    key,
    send(batch) {
      const made = toTransferable(types, batch);
      credit.outstanding += made.bytes;
      items.push({ k: 'batch', wire: made.wire, bytes: made.bytes });
      for (const buffer of made.transfer) transfer.push(buffer);
      waiting += made.bytes;
      if (waiting >= MESSAGE_BYTES || credit.full) flush();
      else flushSoon();
    },
    signal: item => {
      items.push(item);
      if (item.k === 'barrier') flush();
      else flushSoon();
    },
    get full() { return credit.full; },
    get queuedBytes() { return credit.outstanding; },
    onDrain: run => { credit.onDrain(run); },
    close: () => {
      timer?.cancel();
      items = [];
      transfer = [];
      port.close();
    },
  };
}

export function portIn(key: string, port: ChannelPort, types: readonly SqlType[]): { in: ChannelIn; close: () => void } {
  let owed = 0;
  const receiver = new ChannelIn(key, bytes => {
    owed += bytes;
    if (owed < CREDIT_BYTES) return;
    port.postMessage(owed);
    owed = 0;
  });
  port.on('message', message => {
    for (const item of message as Message) receiver.put(item.k === 'batch' ? { k: 'batch', batch: fromTransferable(types, item.wire), bytes: item.bytes } : item);
  });
  return { in: receiver, close: () => { port.close(); } };
}
