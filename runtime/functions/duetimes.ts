/**
 * Keys by the time at which something is due for them: a heap of times, and a list of keys at each. In memory only; after a restore it is filled from
 * the state. A key may stand at a time more than once, and at times that no longer count: who takes it looks into the key's state.
 *
 * Cost: a logarithm of the number of different times; a copy of the key's bytes for each note.
 */
import { KeyList } from '../aggregates/groupkeys.js';
import type { KeyBatch } from '../keys.js';

export class DueTimes {
  readonly #heap: number[] = [];
  readonly #keys = new Map<number, KeyList>();

  /** The earliest time; Infinity = none. */
  get first(): number { return this.#heap.length === 0 ? Infinity : this.#heap[0]; }

  add(time: number, keys: KeyBatch, i: number): void { this.addKey(time, keys.data, keys.start[i], keys.end[i], keys.hash[i]); }

  addKey(time: number, data: Uint8Array, from: number, to: number, hash: number): void {
    let list = this.#keys.get(time);
    if (list === undefined) {
      list = new KeyList();
      this.#keys.set(time, list);
      this.#push(time);
    }
    list.push(data, from, to, hash);
  }

  /** Keys of all times up to `until`, which stay; null = none. */
  due(until: number): KeyList | null {
    if (this.first > until) return null;
    const all = new KeyList();
    // Down the heap as far as it is due: what is not costs nothing.
    const open = [0];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (at >= this.#heap.length || this.#heap[at] > until) continue;
      const list = this.#keys.get(this.#heap[at]);
      if (list !== undefined) for (let k = 0; k < list.length; k++) all.push(list.data, list.start[k], list.end[k], list.hash[k]);
      open.push(at * 2 + 1, at * 2 + 2);
    }
    return all;
  }

  /** The keys of the first time, which go. */
  take(): KeyList {
    const time = this.#pop();
    const list = this.#keys.get(time) ?? new KeyList();
    this.#keys.delete(time);
    return list;
  }

  clear(): void {
    this.#heap.length = 0;
    this.#keys.clear();
  }

  #push(time: number): void {
    const heap = this.#heap;
    let at = heap.push(time) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (heap[up] <= time) break;
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = time;
  }

  #pop(): number {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop() ?? Infinity;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= last) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
