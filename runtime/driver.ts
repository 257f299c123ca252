/**
 * Driver: runs a DAG of operators in one place, in topological order. The one loop behind tasks, batch queries, subplans and
 * operator tests.
 *
 * A node is either an *entry* (operator null: a source, a table, an exchange that receives: whatever comes from outside is handed to
 * `push`) or an operator. Sinks, exchanges that send and the output of a query are operators whose `process` gives the batch away.
 *
 *   push(entry, batch)       batch → every reader, depth first; the order of batches on each edge is kept
 *   watermark(entry, us)     min over each node's inputs; operators see it only when their minimum rose, after the batches before it
 *   barrier(barrier)         every operator once, in topological order: what an operator emits reaches its readers before their own barrier
 *   end()                    likewise. Callers raise every entry's watermark to Infinity before it (the bounded input is over).
 *
 * Every call gives null when it ran to its end synchronously, else a promise (an operator's prefetch had to read evicted state).
 * Calls must not overlap: await the promise before the next call. Memory: the batches that one call's operators emitted (depth first,
 * so that a chain holds one batch a level).
 *
 * Building: operators are made with a context whose `emit` is `driver.emitter(nodeId)`; hence the two steps, constructor, then `attach`.
 */
import { assert } from '../types/error.js';
import type { Batch } from './batch.js';
import type { Barrier, Operator } from './operator.js';

export interface DriverNode {
  readonly id: number;
  readonly inputs: readonly number[];
}

/** Counts of one node since the driver began: what millrace.operators shows. */
export interface NodeCounts { rowsIn: number; rowsOut: number; batchesIn: number; watermarkUs: number; busyMs: number }

interface Reader { readonly node: Node; readonly input: number }

class Node {
  readonly id: number;
  readonly readers: Reader[] = [];
  operator: Operator | null = null;
  readonly emitted: Batch[] = [];
  readonly inputWatermarks: number[];
  readonly counts: NodeCounts = { rowsIn: 0, rowsOut: 0, batchesIn: 0, watermarkUs: -Infinity, busyMs: 0 };
  constructor(id: number, inputs: number) {
    this.id = id;
    this.inputWatermarks = Array.from({ length: Math.max(inputs, 1) }, () => -Infinity);
  }
}

/** What waits to be delivered: a batch, or (batch null) a watermark. */
interface Item { readonly node: Node; readonly input: number; readonly batch: Batch | null; readonly us: number; readonly resume?: true }

export class Driver {
  readonly #nodes: Node[] = [];
  readonly #byId = new Map<number, Node>();
  readonly #stack: Item[] = [];
  readonly #clock: (() => number) | null;
  /** Awaited before an operator goes on with a batch it has not finished: a turn for others, and the place to notice a cancellation; null: it goes on at once. */
  readonly #between: () => Promise<void> | null;

  /** `nodes` in topological order. Inputs that are not among the nodes belong to other tasks: they count for nothing. `clock` (ms) switches busyMs on. */
  constructor(nodes: readonly DriverNode[], clock: (() => number) | null = null, between: () => Promise<void> | null = turn) {
    this.#clock = clock;
    this.#between = between;
    for (const spec of nodes) this.add(spec);
  }

  /** Adds a node after all present ones (a view added to a running job). */
  add(spec: DriverNode): void {
    const node = new Node(spec.id, spec.inputs.length);
    this.#nodes.push(node);
    this.#byId.set(spec.id, node);
    for (let input = 0; input < spec.inputs.length; input++) {
      const from = this.#byId.get(spec.inputs[input]);
      if (from === undefined) continue;
      from.readers.push({ node, input });
      node.inputWatermarks[input] = from.counts.watermarkUs;
    }
  }

  /** Takes nodes out that nobody else reads (DROP of one view of several). The caller closes the operators. */
  remove(ids: ReadonlySet<number>): void {
    for (const node of this.#nodes) {
      for (let r = node.readers.length - 1; r >= 0; r--) if (ids.has(node.readers[r].node.id)) node.readers.splice(r, 1);
    }
    for (let k = this.#nodes.length - 1; k >= 0; k--) {
      if (!ids.has(this.#nodes[k].id)) continue;
      this.#byId.delete(this.#nodes[k].id);
      this.#nodes.splice(k, 1);
    }
  }

  /** What the node's context calls to emit. */
  emitter(id: number): (batch: Batch) => void {
    const node = this.#node(id);
    return (batch) => {
      if (batch.length === 0) return;
      node.counts.rowsOut += batch.length;
      node.emitted.push(batch);
    };
  }

  attach(id: number, operator: Operator): void { this.#node(id).operator = operator; }
  operator(id: number): Operator | null { return this.#node(id).operator; }
  counts(id: number): NodeCounts { return this.#node(id).counts; }

  /** False when no reader of the node wants more rows (a LIMIT is full): a batch query's source stops. */
  wanted(id: number): boolean { return wants(this.#node(id)); }

  push(id: number, batch: Batch): Promise<void> | null {
    const node = this.#node(id);
    node.counts.rowsOut += batch.length;
    if (batch.length > 0) this.#queueReaders(node, batch, 0);
    return this.#run();
  }

  /** Hands a batch to one operator only: the backfill of a reader that was added later. */
  pushTo(id: number, input: number, batch: Batch): Promise<void> | null {
    this.#stack.push({ node: this.#node(id), input, batch, us: 0 });
    return this.#run();
  }

  watermark(id: number, us: number): Promise<void> | null {
    const node = this.#node(id);
    if (us <= node.counts.watermarkUs) return null;
    node.counts.watermarkUs = us;
    this.#queueReaders(node, null, us);
    return this.#run();
  }

  barrier(barrier: Barrier): Promise<void> | null { return this.#eachFrom(0, barrier); }

  /** After every entry's watermark is Infinity. */
  end(): Promise<void> | null { return this.#eachFrom(0, null); }

  /** Operators in topological order, for snapshot, restore and close. */
  operators(): Operator[] {
    const all: Operator[] = [];
    for (const node of this.#nodes) if (node.operator !== null) all.push(node.operator);
    return all;
  }

  #node(id: number): Node {
    const node = this.#byId.get(id);
    assert(node !== undefined, `no node ${id} in this task`);
    return node;
  }

  /** The last reader first: the stack gives the first one first. */
  #queueReaders(node: Node, batch: Batch | null, us: number): void {
    const readers = node.readers;
    for (let r = readers.length - 1; r >= 0; r--) this.#stack.push({ node: readers[r].node, input: readers[r].input, batch, us });
  }

  /** Emitted batches go on top of the stack, the first emitted uppermost. */
  #queueEmitted(node: Node): void {
    const emitted = node.emitted;
    for (let k = emitted.length - 1; k >= 0; k--) this.#queueReaders(node, emitted[k], 0);
    emitted.length = 0;
  }

  #run(): Promise<void> | null {
    for (;;) {
      const item = this.#stack.pop();
      if (item === undefined) return null;
      const waiting = this.#prefetch(item);
      if (waiting !== null) return this.#resume(waiting, item);
      this.#execute(item);
    }
  }

  async #resume(first: Promise<void>, firstItem: Item): Promise<void> {
    let waiting: Promise<void> | null = first;
    let item: Item | undefined = firstItem;
    try {
      while (item !== undefined) {
        if (waiting !== null) await waiting;
        this.#execute(item);
        item = this.#stack.pop();
        waiting = item === undefined ? null : this.#prefetch(item);
      }
    } catch (e) {
      this.#stack.length = 0;
      throw e;
    }
  }

  #prefetch(item: Item): Promise<void> | null {
    const operator = item.node.operator;
    if (operator === null) return null;
    if (item.resume === true) return this.#between();
    if (item.batch !== null) return operator.prefetch === undefined ? null : operator.prefetch(item.batch, item.input);
    return operator.prefetchWatermark === undefined || this.#combined(item) === null ? null : operator.prefetchWatermark(item.us);
  }

  /** The node's new minimum when the item raises it, else null. */
  #combined(item: Item): number | null {
    const marks = item.node.inputWatermarks;
    let min = Infinity;
    for (let k = 0; k < marks.length; k++) {
      const us = k === item.input ? item.us : marks[k];
      if (us < min) min = us;
    }
    return min > item.node.counts.watermarkUs ? min : null;
  }

  #execute(item: Item): void {
    const node = item.node;
    const operator = node.operator;
    const began = this.#clock === null ? 0 : this.#clock();
    if (item.resume === true) {
      if (!wants(node)) return;
      operator?.resume?.();
    } else if (item.batch !== null) {
      node.counts.batchesIn++;
      node.counts.rowsIn += item.batch.length;
      if (operator !== null) operator.process(item.batch, item.input);
      else this.#queueReaders(node, item.batch, 0);
    } else {
      const us = this.#combined(item);
      node.inputWatermarks[item.input] = item.us;
      if (us === null) return;
      node.counts.watermarkUs = us;
      operator?.watermark?.(us);
      this.#queueReaders(node, null, us);
    }
    if (this.#clock !== null) node.counts.busyMs += this.#clock() - began;
    // Under what it emitted: that goes on first.
    if (item.batch !== null && operator?.unfinished === true) this.#stack.push({ node, input: item.input, batch: item.batch, us: 0, resume: true });
    if (node.emitted.length > 0) this.#queueEmitted(node);
  }

  /** Barrier (or end, when null) at every operator from position k on. */
  #eachFrom(from: number, barrier: Barrier | null): Promise<void> | null {
    for (let k = from; k < this.#nodes.length; k++) {
      const node = this.#nodes[k];
      const waiting = barrier === null ? null : (node.operator?.prefetchBarrier?.(barrier) ?? null);
      if (waiting !== null) return waiting.then(() => this.#rest(k, barrier));
      const running = this.#one(node, barrier);
      if (running !== null) return running.then(() => this.#eachFrom(k + 1, barrier) ?? undefined);
    }
    return null;
  }

  async #rest(k: number, barrier: Barrier | null): Promise<void> {
    const running = this.#one(this.#nodes[k], barrier);
    if (running !== null) await running;
    await this.#eachFrom(k + 1, barrier);
  }

  #one(node: Node, barrier: Barrier | null): Promise<void> | null {
    const began = this.#clock === null ? 0 : this.#clock();
    if (barrier === null) node.operator?.end?.();
    else node.operator?.barrier?.(barrier);
    if (this.#clock !== null) node.counts.busyMs += this.#clock() - began;
    if (node.emitted.length === 0) return null;
    this.#queueEmitted(node);
    return this.#run();
  }
}

const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve); });

function wants(node: Node): boolean {
  if (node.operator?.done === true) return false;
  if (node.readers.length === 0) return true;
  for (const reader of node.readers) if (wants(reader.node)) return true;
  return false;
}
