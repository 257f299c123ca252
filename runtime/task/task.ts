/**
 * Task: one subtask of one fragment. Its loop takes from inputs in turn (channels, feeds), drives the operators, and handles barriers:
 *
 *   1. a barrier is complete when it came on every channel and from the coordinator (alignment.ts); only tasks that have no
 *      channel or hold feeds hear from the coordinator
 *   2. feeds give what they owe before it (tables: the log up to S), then every feed's watermark is raised
 *   3. all inputs ended: operators `end`
 *   4. operators' barriers in topological order, the senders' among them: the barrier goes on to the next tasks
 *   5. readers and subscriptions that came with the barrier open: they see exactly this epoch
 *   6. checkpoint: positions, sinks and state are frozen (synchronous phase); the files are written while the task goes on
 *
 * Nothing available: the loop sleeps until a channel, a feed or the coordinator wakes it. It yields to the event loop every YIELD_MS of
 * work, so that all tasks of a worker make progress. A full outbound channel stops the loop (backpressure) until it drains.
 */
import type { Json } from '../../types/connect.js';
import { faultPoint } from '../../storage/faults.js';
import type { FileRef, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import type { Env } from '../../types/env.js';
import { assert, toErrorData } from '../../types/error.js';
import type { Batch } from '../batch.js';
import type { TaskInfos, AckTimes, CheckpointAck, EpochPassed, Injected, PinSpec, TaskRef } from '../protocol.js';
import type { MaterializeOperator } from '../operators/materialize.js';
import type { FrozenState, TaskState } from '../state/taskstate.js';
import { Alignment } from './alignment.js';
import { headId, type BuiltTask } from './builder.js';
import type { ChannelIn, ChannelOut, Item } from './channel.js';
import type { Feed } from './feed.js';
import type { SinkOperator } from './sinkoperator.js';
import { RowsFeed } from './rowsfeed.js';
import { TableFeed } from './tablefeed.js';
import { firstKeyGroup, taskName, type Edge, type Fragment } from './fragment.js';
import { taskInfos } from './taskinfos.js';

/** Named limit: work between two turns of the event loop. */
const YIELD_MS = 8;
/** Named limit: how long a stop waits for the step in progress (a sink that hangs must not hold up a restart). */
const STOP_MS = 5000;

export interface TaskEvents {
  passed(arg: EpochPassed): void;
  acknowledged(arg: CheckpointAck): void;
  declined(arg: TaskRef & { checkpointId: number; reason: string; error: ReturnType<typeof toErrorData> }): void;
  failed(arg: TaskRef & { error: ReturnType<typeof toErrorData> }): void;
  ended(arg: TaskRef): void;
  active(arg: { jobId: number; attempt: number }): void;
  /** Exactly at a barrier: the reader shows that epoch. */
  pinned(pin: PinSpec, view: MaterializeOperator): void;
  tapped(subscriptionId: number, snapshot: boolean, epoch: number, view: MaterializeOperator): void;
}

export interface TaskParts {
  readonly jobId: number;
  readonly attempt: number;
  readonly fragment: Fragment;
  readonly subtask: number;
  readonly worker: number;
  readonly maxParallelism: number;
  readonly exactlyOnce: boolean;
  readonly state: TaskState | null;
  readonly built: BuiltTask;
  readonly inbound: readonly { readonly edge: Edge; readonly channel: ChannelIn }[];
  readonly outbound: readonly ChannelOut[];
  readonly restored: { readonly checkpointId: number; readonly operators: Readonly<Record<string, Json>> } | null;
  /** Fragments' nodes that the checkpoint does not know. */
  readonly freshNodes: ReadonlySet<number>;
  /** The job looks rows up in tables: its streams wait until all tables have been read. */
  readonly tablesFirst: boolean;
  readonly events: TaskEvents;
  readonly env: Env;
}

interface FeedSlot { readonly feed: Feed; ready: { readonly raw: unknown } | null; pending: boolean; idle: boolean; ended: boolean; wakes: number }
interface Inbound { readonly edge: Edge; readonly channel: ChannelIn; readonly input: number; watermarkUs: number; ended: boolean }

const isTable = (feed: Feed): boolean => feed instanceof TableFeed || feed instanceof RowsFeed;

export class Task {
  readonly name: string;
  readonly parts: TaskParts;
  readonly #feeds: FeedSlot[];
  readonly #inbound: Inbound[];
  readonly #coordinated: boolean;
  readonly #coordinatorInput: number;
  readonly #alignment: Alignment;
  readonly #barriers: { readonly injected: Injected; readonly atMs: number }[] = [];
  readonly #injectedByEpoch = new Map<number, Injected>();
  readonly #snapshots = new Map<number, Readonly<Record<string, Json>>>();
  readonly #commits = new Map<number, Promise<void>>();
  #passing: Injected | null = null;
  #turn = 0;
  #running: Promise<void> | null = null;
  #stopped = false;
  #wakeUp: (() => void) | null = null;
  #failure: { readonly error: unknown } | null = null;
  #dirty = false;
  /** Feeds of streams give nothing yet. */
  #streamsWait: boolean;
  #endTold = false;
  #endDone = false;
  rowsIn = 0;
  busyMs = 0;
  idleMs = 0;
  backpressuredMs = 0;

  constructor(parts: TaskParts) {
    this.parts = parts;
    this.#streamsWait = parts.tablesFirst;
    this.name = taskName(parts.fragment.id, parts.subtask);
    this.#feeds = parts.built.feeds.map(feed => ({ feed, ready: null, pending: false, idle: false, ended: false, wakes: 0 }));
    this.#inbound = parts.inbound.map(({ edge, channel }, input) => ({ edge, channel, input, watermarkUs: -Infinity, ended: false }));
    this.#coordinated = this.#feeds.length > 0 || this.#inbound.length === 0;
    this.#coordinatorInput = this.#inbound.length;
    this.#alignment = new Alignment(this.#inbound.length + (this.#coordinated ? 1 : 0), parts.exactlyOnce);
    for (const i of this.#inbound) i.channel.wake = () => { this.#wake(); };
  }

  get ref(): TaskRef { return { jobId: this.parts.jobId, attempt: this.parts.attempt, task: this.name }; }
  get coordinated(): boolean { return this.#coordinated; }
  get status(): string { return this.#failure !== null ? 'failed' : this.#stopped ? 'stopped' : this.#endDone ? 'finished' : 'running'; }
  /** Nothing went through since the last barrier, and none is under way: its tables show that barrier's epoch. */
  get quiet(): boolean { return !this.#dirty && this.#passing === null && this.#barriers.length === 0 && this.#injectedByEpoch.size === 0 && this.#failure === null && !this.#stopped; }
  /** The barrier that is passing through the operators. */
  passing(): Injected {
    assert(this.#passing !== null, 'no barrier is passing');
    return this.#passing;
  }

  async open(): Promise<void> {
    const { restored, built } = this.parts;
    for (const operator of built.driver.operators()) {
      const state = restored?.operators[String(operator.node.id)];
      if (state !== undefined && operator.restore !== undefined) operator.restore(state);
    }
    for (const { feed } of this.#feeds) await feed.open(restored?.operators[String(feed.nodeId)]);
    for (const sink of built.sinks) await sink.open(restored?.operators[String(sink.node.id)], restored?.checkpointId ?? 0);
  }

  start(): void { this.#running = this.#run(); }

  inject(injected: Injected): void {
    if (!this.#coordinated) return;
    this.#barriers.push({ injected, atMs: this.parts.env.now() });
    this.#wake();
  }

  wakeFeed(index: number): void {
    const slot = this.#feeds[index];
    if (slot === undefined) return;
    slot.wakes++;
    slot.idle = false;
    this.#wake();
  }

  completed(checkpointId: number): void {
    this.parts.state?.completed(checkpointId);
    const snapshot = this.#snapshots.get(checkpointId);
    for (const id of this.#snapshots.keys()) if (id <= checkpointId) this.#snapshots.delete(id);
    if (snapshot === undefined) return;
    for (const { feed } of this.#feeds) {
      const state = snapshot[String(feed.nodeId)];
      if (state !== undefined) feed.completed(state).catch((e: unknown) => { this.#fail(e); });
    }
    for (const sink of this.parts.built.sinks) {
      const commit = this.#commit(sink, checkpointId).catch((e: unknown) => { this.#fail(e); }).finally(() => { this.#commits.delete(checkpointId); });
      this.#commits.set(checkpointId, commit);
    }
  }

  async #commit(sink: SinkOperator, checkpointId: number): Promise<void> {
    if (faultPoint !== null) await faultPoint('sink.commit', this.name);
    await sink.committed(checkpointId);
  }

  aborted(checkpointId: number): void {
    this.#snapshots.delete(checkpointId);
    this.parts.state?.aborted(checkpointId);
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    const ended = Promise.all([this.#running, ...this.#commits.values()]);
    await new Promise<void>(resolve => {
      const timer = this.parts.env.after(STOP_MS, resolve);
      const done = (): void => { timer.cancel(); resolve(); };
      ended.then(done, done);
    });
    const closing: Promise<unknown>[] = [];
    for (const { feed } of this.#feeds) closing.push(feed.close());
    for (const sink of this.parts.built.sinks) closing.push(sink.closeWriter());
    await Promise.allSettled(closing);
    for (const operator of this.parts.built.driver.operators()) operator.close?.();
    for (const out of this.parts.outbound) out.close();
    await this.parts.state?.close();
  }

  infos(): TaskInfos { return taskInfos(this); }

  // ---- the loop ----

  async #run(): Promise<void> {
    const { env } = this.parts;
    let slice = env.monotonic();
    try {
      await this.#backfillFresh();
      while (!this.#stopped) {
        if (this.#failure !== null) throw this.#failure.error;
        const step = this.#step();
        if (step instanceof Promise) await step;
        const now = env.monotonic();
        if (step === false) {
          this.busyMs += now - slice;
          await this.#sleep();
          slice = env.monotonic();
          this.idleMs += slice - now;
        } else if (now - slice > YIELD_MS) {
          this.busyMs += now - slice;
          await env.turn();
          slice = env.monotonic();
        }
      }
    } catch (e) {
      this.#failure ??= { error: e };
      this.#stopped = true;
      this.parts.events.failed({ ...this.ref, error: toErrorData(e) });
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #wake(): void {
    const wakeUp = this.#wakeUp;
    this.#wakeUp = null;
    wakeUp?.();
  }

  #sleep(): Promise<void> {
    return new Promise(resolve => { this.#wakeUp = resolve; });
  }

  /** One piece of work; false when there is none. */
  #step(): Promise<void> | boolean {
    for (const out of this.parts.outbound) if (out.full) return this.#drain(out);
    const barrier = this.#barriers[0];
    if (barrier !== undefined && !this.#alignment.blocked(this.#coordinatorInput)) {
      this.#barriers.shift();
      return this.#arrived(this.#coordinatorInput, barrier.injected, barrier.atMs);
    }
    const inputs = this.#inbound.length + this.#feeds.length;
    for (let k = 0; k < inputs; k++) {
      const at = (this.#turn + k) % inputs;
      const worked = at < this.#inbound.length ? this.#fromChannel(this.#inbound[at]) : this.#fromFeed(this.#feeds[at - this.#inbound.length]);
      if (worked === false) continue;
      this.#turn = (at + 1) % inputs;
      return worked;
    }
    return false;
  }

  async #drain(out: ChannelOut): Promise<void> {
    const { env } = this.parts;
    const began = env.monotonic();
    await new Promise<void>(resolve => {
      this.#wakeUp = resolve;
      out.onDrain(() => { this.#wake(); });
    });
    this.backpressuredMs += env.monotonic() - began;
  }

  #fromChannel(from: Inbound): Promise<void> | boolean {
    if (from.channel.empty || this.#alignment.blocked(from.input)) return false;
    const item: Item = from.channel.take();
    switch (item.k) {
      case 'batch': return this.#push(from.edge.entry, item.batch);
      case 'watermark': {
        from.watermarkUs = item.us;
        let min = Infinity;
        for (const i of this.#inbound) if (i.edge === from.edge) min = Math.min(min, i.watermarkUs);
        return this.parts.built.driver.watermark(from.edge.entry, min) ?? true;
      }
      case 'end':
        from.ended = true;
        return true;
      case 'barrier': return this.#arrived(from.input, item.injected, 0);
    }
  }

  #fromFeed(slot: FeedSlot): Promise<void> | boolean {
    if (slot.ended || slot.pending || (this.#streamsWait && !isTable(slot.feed)) || (this.#coordinated && this.#alignment.blocked(this.#coordinatorInput))) return false;
    let raw: unknown;
    if (slot.ready !== null) {
      raw = slot.ready.raw;
      slot.ready = null;
    } else {
      if (slot.idle) return false;
      const wakes = slot.wakes;
      const next = slot.feed.next();
      if (next instanceof Promise) {
        slot.pending = true;
        next.then(
          value => {
            slot.pending = false;
            if (value === 'idle') slot.idle = slot.wakes === wakes;
            slot.ready = { raw: value };
            this.#wake();
          },
          (e: unknown) => { this.#fail(e); });
        return false;
      }
      if (next === 'idle') slot.idle = slot.wakes === wakes;
      raw = next;
    }
    const batch = slot.feed.take(raw);
    if (batch === 'idle') return !slot.idle;
    if (batch === 'end') {
      slot.ended = true;
      if (this.#allEnded() && !this.#endTold) {
        this.#endTold = true;
        this.parts.events.ended(this.ref);
      }
      return true;
    }
    this.rowsIn += batch.length;
    return this.#push(slot.feed.nodeId, batch);
  }

  #push(entry: number, batch: Batch): Promise<void> | boolean {
    this.#touch();
    const waiting = this.parts.built.driver.push(entry, batch);
    if (waiting !== null) return waiting.then(() => this.parts.state?.maintain() ?? undefined);
    return this.parts.state?.maintain() ?? true;
  }

  #touch(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    // After a pause the last barrier is old: now() must not tell a new row that it came then.
    const { session } = this.parts.built;
    if (this.#feeds.length > 0) session.nowUs = Math.max(session.nowUs, this.parts.env.now() * 1000);
    this.parts.events.active({ jobId: this.parts.jobId, attempt: this.parts.attempt });
  }

  #allEnded(): boolean {
    return this.#feeds.every(f => f.ended) && this.#inbound.every(i => i.ended) && this.#feeds.length + this.#inbound.length > 0;
  }

  // ---- barriers ----

  #arrived(input: number, injected: Injected, atMs: number): Promise<void> | boolean {
    if (faultPoint === null || injected.barrier.checkpoint === null) return this.#align(input, injected, atMs);
    return faultPoint('checkpoint.align', this.name).then(async () => { await this.#align(input, injected, atMs); });
  }

  #align(input: number, injected: Injected, atMs: number): Promise<void> | boolean {
    const { epoch } = injected.barrier;
    this.#injectedByEpoch.set(epoch, injected);
    const done = this.#alignment.arrived(input, injected.barrier, this.parts.env.now());
    if (done.length === 0) return true;
    return this.#passAll(done.map(d => ({ injected: this.#injectedByEpoch.get(d.barrier.epoch) ?? injected, alignmentMs: d.alignmentMs })), atMs);
  }

  async #passAll(done: readonly { injected: Injected; alignmentMs: number }[], atMs: number): Promise<void> {
    for (const { injected, alignmentMs } of done) {
      this.#injectedByEpoch.delete(injected.barrier.epoch);
      const startDelayMs = Math.max(0, injected.barrier.timeUs === 0 ? 0 : (atMs === 0 ? this.parts.env.now() : atMs) - injected.barrier.timeUs / 1000);
      await this.#pass(injected, { startDelayMs, alignmentMs });
    }
  }

  async #pass(injected: Injected, times: { startDelayMs: number; alignmentMs: number }): Promise<void> {
    const { barrier } = injected;
    const { env } = this.parts;
    const { driver, sinks, session } = this.parts.built;
    const began = env.monotonic();
    if (injected.tablesRead) this.#streamsWait = false;
    await this.#finishFeeds(barrier.logPosition);
    if (this.#allEnded() && !this.#endDone) {
      this.#endDone = true;
      await driver.end();
    }
    this.#passing = injected;
    await driver.barrier(barrier);
    this.#passing = null;
    for (const sink of sinks) await sink.settled();
    session.nowUs = barrier.timeUs;
    for (const pin of injected.pins) {
      const view = this.parts.built.views.get(pin.nodeId);
      if (view !== undefined) this.parts.events.pinned(pin, view);
    }
    for (const tap of injected.taps) {
      const view = this.parts.built.views.get(tap.nodeId);
      if (view !== undefined) this.parts.events.tapped(tap.subscriptionId, tap.snapshot, barrier.epoch, view);
    }
    if (barrier.checkpoint !== null) await this.#checkpoint(injected, { ...times, syncMs: env.monotonic() - began });
    const changed = this.#dirty;
    this.#dirty = false;
    this.parts.events.passed({
      ...this.ref, epoch: barrier.epoch, changed, ended: this.#endDone,
      caughtUp: this.#feeds.every(f => f.feed.backfilled), tablesRead: this.#feeds.every(f => !isTable(f.feed) || f.feed.backfilled), logPosition: this.#logPosition(),
      rowsIn: this.rowsIn, rowsOut: this.#rowsOut(),
    });
    const waiting = this.parts.state?.maintain() ?? null;
    if (waiting !== null) await waiting;
  }

  /** What feeds owe before the barrier, then their watermarks: an idle feed follows the others. */
  async #finishFeeds(logPosition: number): Promise<void> {
    const { driver } = this.parts.built;
    for (const { feed } of this.#feeds) {
      if (this.#streamsWait && !isTable(feed)) continue;
      const rest = feed.untilBarrier(logPosition);
      if (rest === null) continue;
      for await (const batch of rest) {
        this.rowsIn += batch.length;
        const pushed = this.#push(feed.nodeId, batch);
        if (pushed instanceof Promise) await pushed;
        for (const out of this.parts.outbound) if (out.full && !this.#stopped) await this.#drain(out);
      }
    }
    let active = Infinity;
    for (const { feed } of this.#feeds) if (!feed.idle) active = Math.min(active, feed.watermarkUs);
    for (const { feed, ended } of this.#feeds) {
      const us = ended ? Infinity : feed.idle && active !== Infinity ? Math.max(active, feed.watermarkUs) : feed.watermarkUs;
      const waiting = driver.watermark(feed.nodeId, us);
      if (waiting !== null) await waiting;
    }
    // An entry without a channel to this subtask gives nothing, and holds nothing back.
    for (const edge of this.parts.fragment.inbound) {
      if (this.#inbound.some(i => i.edge === edge)) continue;
      const waiting = driver.watermark(edge.entry, Infinity);
      if (waiting !== null) await waiting;
    }
  }

  async #checkpoint(injected: Injected, times: Omit<AckTimes, 'asyncMs'>): Promise<void> {
    const { barrier } = injected;
    assert(barrier.checkpoint !== null, 'no checkpoint');
    const { id, since } = barrier.checkpoint;
    const operators: Record<string, Json> = {};
    for (const { feed } of this.#feeds) operators[String(feed.nodeId)] = feed.snapshot();
    for (const operator of this.parts.built.driver.operators()) {
      if (operator.snapshot !== undefined) operators[String(operator.node.id)] = await operator.snapshot(barrier);
    }
    const { env, state } = this.parts;
    assert(state !== null, 'a checkpoint of a task that is only read');
    if (faultPoint !== null) await faultPoint('checkpoint.sync', this.name);
    const frozen = state.freeze(id, since);
    this.#snapshots.set(id, operators);
    const began = env.monotonic();
    // In the background: the task goes on.
    this.#write(state, frozen).then(
      files => {
        this.parts.events.acknowledged({
          ...this.ref, ...times, asyncMs: env.monotonic() - began, checkpointId: id, since: frozen.since,
          metadata: this.#metadata(frozen.since, files, operators), stateBytes: files.reduce((sum, f) => sum + f.bytes, 0), checkpointedBytes: frozen.bytes,
        });
      },
      (e: unknown) => { this.parts.events.declined({ ...this.ref, checkpointId: id, reason: 'async_phase_failed', error: toErrorData(e) }); });
  }

  async #write(state: TaskState, frozen: FrozenState): Promise<readonly FileRef[]> {
    const files = await state.write(frozen);
    if (faultPoint !== null) await faultPoint('checkpoint.acknowledge', this.name);
    return files;
  }

  #metadata(since: number, files: readonly FileRef[], operators: Readonly<Record<string, Json>>): TaskMetadata {
    const { fragment, subtask, maxParallelism } = this.parts;
    return {
      task: this.name, subtask, since, files, operators,
      keyGroupFirst: firstKeyGroup(subtask, fragment.parallelism, maxParallelism),
      keyGroupLast: firstKeyGroup(subtask + 1, fragment.parallelism, maxParallelism) - 1,
      nodeIds: fragment.nodes.map(n => n.id),
    };
  }

  #logPosition(): number {
    let min = Infinity;
    for (const { feed } of this.#feeds) min = Math.min(min, feed.logPosition);
    return min;
  }

  #rowsOut(): number {
    let rows = 0;
    for (const n of this.parts.fragment.nodes) if (n.op === 'materialize' || n.op === 'sink') rows += this.parts.built.driver.counts(n.id).rowsIn;
    return rows;
  }

  // ---- views added to a running job ----

  /** A node that the restored checkpoint does not know gets the content of the older materialize nodes it reads, before anything else. */
  async #backfillFresh(): Promise<void> {
    const { freshNodes, fragment, built } = this.parts;
    if (freshNodes.size === 0) return;
    const give = async (view: MaterializeOperator | undefined, reader: number, input: number): Promise<void> => {
      await view?.backfill(async batch => {
        this.#touch();
        await built.driver.pushTo(reader, input, batch);
        for (const out of this.parts.outbound) if (out.full && !this.#stopped) await this.#drain(out);
      });
    };
    for (const node of fragment.nodes) {
      if (!freshNodes.has(node.id)) continue;
      for (const [input, from] of node.inputs.entries()) if (!freshNodes.has(from)) await give(built.views.get(from), node.id, input);
    }
    for (const edge of fragment.outbound) {
      if (freshNodes.has(edge.entry) && !freshNodes.has(edge.from)) await give(built.views.get(edge.from), headId(edge), 0);
    }
  }
}
