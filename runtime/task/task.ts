/**
 * Task: one subtask of one fragment. Its loop takes from inputs in turn (channels, feeds), drives the operators, and handles barriers:
 *
 *   1. a barrier is complete when it came on every channel and from the coordinator (alignment.ts); only tasks that have no
 *      channel or hold feeds hear from the coordinator
 *   2. feeds give what they owe before it (tables: the log up to S), then every feed's watermark is raised
 *   3. all inputs ended: operators `end`
 *   4. operators' barriers in topological order, the senders' among them: the barrier goes on to the next tasks
 *   5. readers and subscriptions that came with the barrier open: they see exactly this epoch
 *   6. checkpoint: positions, sinks and state are frozen (synchronous phase); the files are written while the task goes on (snapshots.ts)
 *
 * A checkpoint barrier that ends no epoch goes through in the same way, but for 2, 3 and 5; when it overtakes, the queued input goes into the snapshot.
 *
 * Nothing available: the loop sleeps until a channel, a feed or the coordinator wakes it. It yields to the event loop every YIELD_MS of
 * work, so that all tasks of a worker make progress. A full outbound channel stops the loop (backpressure) until it drains.
 */
import type { Json } from '../../types/connect.js';
import type { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { faultPoint } from '../../storage/faults.js';
import type { Env } from '../../types/env.js';
import { assert, toErrorData } from '../../types/error.js';
import type { Batch } from '../batch.js';
import type { TaskInfos, CheckpointAck, EpochPassed, Injected, PinSpec, TaskRef } from '../protocol.js';
import { AggregateOperator } from '../operators/aggregate.js';
import type { MaterializeOperator } from '../operators/materialize.js';
import type { SqlType } from '../../types/sqltype.js';
import type { TaskState } from '../state/taskstate.js';
import { Alignment, CheckpointAlignment, type Completed } from './alignment.js';
import { headId, type BuiltTask } from './builder.js';
import type { ChannelIn, ChannelOut, Item } from './channel.js';
import { readersOf, type Reader, type Restored } from './inflight.js';
import { TaskSnapshots, type CapturedChannel } from './snapshots.js';
import { TaskFeeds } from './taskfeeds.js';
import { taskName, type Edge, type Fragment } from './fragment.js';
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
  /** Its one cell tells the main thread whose code runs, should the worker die of it. Only while it does: what goes on after an await is nobody's. */
  readonly running: Int32Array;
  readonly maxParallelism: number;
  readonly storage: CheckpointStorage;
  readonly state: TaskState | null;
  readonly built: BuiltTask;
  readonly inbound: readonly { readonly edge: Edge; readonly channel: ChannelIn }[];
  readonly outbound: readonly ChannelOut[];
  readonly restored: { readonly checkpointId: number; readonly operators: Readonly<Record<string, Json>> } | null;
  /** What was in flight to this task: goes in before anything else. */
  readonly inFlight: readonly Restored[];
  inputTypes(reader: Reader): readonly SqlType[];
  edgeTypes(edge: Edge): readonly SqlType[];
  /** Fragments' nodes that the checkpoint does not know. */
  readonly freshNodes: ReadonlySet<number>;
  /** The job looks rows up in tables: its streams wait until all tables have been read. */
  readonly tablesFirst: boolean;
  readonly events: TaskEvents;
  readonly env: Env;
}

interface Inbound { readonly edge: Edge; readonly readers: readonly Reader[]; readonly types: readonly SqlType[]; readonly channel: ChannelIn; readonly input: number; watermarkUs: number; ended: boolean }

export class Task {
  readonly name: string;
  readonly parts: TaskParts;
  readonly #feeds: TaskFeeds;
  readonly #inbound: Inbound[];
  readonly #coordinated: boolean;
  readonly #coordinatorInput: number;
  readonly #alignment: Alignment;
  readonly #checkpoints: CheckpointAlignment;
  readonly #snapshots: TaskSnapshots;
  #barriers: Injected[] = [];
  #restored: readonly Restored[];
  #takenBytes = 0;
  #passing: Injected | null = null;
  #turn = 0;
  #running: Promise<void> | null = null;
  #stopped = false;
  #wakeUp: (() => void) | null = null;
  #failure: { readonly error: unknown } | null = null;
  #dirty = false;
  #endTold = false;
  #endDone = false;
  rowsIn = 0;
  busyMs = 0;
  idleMs = 0;
  backpressuredMs = 0;

  constructor(parts: TaskParts) {
    this.parts = parts;
    this.name = taskName(parts.fragment.id, parts.subtask);
    this.#feeds = new TaskFeeds(parts.built.feeds, parts.tablesFirst, () => { this.#wake(); }, e => { this.#fail(e); });
    this.#restored = parts.inFlight;
    this.#inbound = parts.inbound.map(({ edge, channel }, input) => ({
      edge, channel, input, readers: readersOf(parts.fragment, edge.entry), types: parts.edgeTypes(edge), watermarkUs: -Infinity, ended: false,
    }));
    this.#coordinated = this.#feeds.length > 0 || this.#inbound.length === 0;
    this.#coordinatorInput = this.#inbound.length;
    const inputs = this.#inbound.length + (this.#coordinated ? 1 : 0);
    this.#alignment = new Alignment(inputs);
    this.#checkpoints = new CheckpointAlignment(inputs);
    this.#snapshots = new TaskSnapshots(this.name, parts, e => { this.#fail(e); });
    for (const i of this.#inbound) {
      i.channel.wake = () => { this.#wake(); };
      i.channel.announced = injected => { this.#announced(injected); };
    }
  }

  get ref(): TaskRef { return { jobId: this.parts.jobId, attempt: this.parts.attempt, task: this.name }; }
  get coordinated(): boolean { return this.#coordinated; }
  get status(): string { return this.#failure !== null ? 'failed' : this.#stopped ? 'stopped' : this.#endDone ? 'finished' : 'running'; }
  /** Nothing went through since the last barrier, and none is under way: its tables show that barrier's epoch. */
  get quiet(): boolean {
    return !this.#dirty && this.#passing === null && this.#barriers.length === 0 && !this.#alignment.waiting && this.#restored.length === 0 && this.#failure === null && !this.#stopped;
  }
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
      operator.begin?.(restored?.checkpointId ?? null);
    }
    for (const feed of this.#feeds.all) await feed.open(restored?.operators[String(feed.nodeId)]);
    for (const sink of built.sinks) {
      await sink.open(restored?.operators[String(sink.node.id)], restored?.checkpointId ?? 0);
      const owed = this.#restored.filter(r => !r.own && r.origin.entry === null && r.origin.readers[0].node === sink.node.id);
      this.#restored = this.#restored.filter(r => !owed.includes(r));
      if (owed.length > 0) await sink.writeNow(owed.map(r => r.batch));
    }
  }

  start(): void { this.#running = this.#run(); }

  inject(injected: Injected): void {
    if (!this.#coordinated) return;
    this.#barriers.push(injected);
    if (injected.barrier.midEpoch !== undefined) this.#announced(injected);
    this.#wake();
  }

  wakeFeed(index: number): void { this.#feeds.wake(index); }

  completed(checkpointId: number): void { this.#snapshots.completed(checkpointId); }

  /** Resolves when what completed checkpoints brought is committed. */
  async committed(): Promise<void> {
    await this.#snapshots.settled();
    if (this.#failure !== null) throw this.#failure.error;
  }

  aborted(checkpointId: number): void {
    this.#checkpoints.aborted(checkpointId);
    for (const i of this.#inbound) i.channel.forget(checkpointId);
    this.#snapshots.aborted(checkpointId);
    this.#wake();
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    const ended = Promise.all([this.#running, this.#snapshots.settled()]);
    await new Promise<void>(resolve => {
      const timer = this.parts.env.after(STOP_MS, resolve);
      const done = (): void => { timer.cancel(); resolve(); };
      ended.then(done, done);
    });
    const closing: Promise<unknown>[] = [];
    for (const feed of this.#feeds.all) closing.push(feed.close());
    for (const sink of this.parts.built.sinks) closing.push(sink.closeWriter());
    await Promise.allSettled(closing);
    for (const operator of this.parts.built.driver.operators()) operator.close?.();
    for (const out of this.parts.outbound) out.close();
    await this.parts.state?.close();
  }

  infos(): TaskInfos { return taskInfos(this); }

  // ---- the loop ----

  async #run(): Promise<void> {
    const { env, running, jobId } = this.parts;
    let slice = env.monotonic();
    try {
      await this.#backfillFresh();
      while (!this.#stopped) {
        if (this.#failure !== null) throw this.#failure.error;
        running[0] = jobId;
        const step = this.#step();
        running[0] = 0;
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
    if (this.#checkpoints.waiting) {
      const due = this.#checkpoints.due(this.parts.env.now());
      if (due !== null) return this.#checkpointNow(due);
    }
    for (const out of this.parts.outbound) if (out.full) return this.#drain(out);
    if (this.#restored.length > 0) return this.#giveRestored();
    const [barrier] = this.#barriers;
    if (barrier !== undefined && !this.#blocked(this.#coordinatorInput)) {
      this.#barriers.shift();
      return this.#arrived(this.#coordinatorInput, barrier);
    }
    const inputs = this.#inbound.length + this.#feeds.length;
    for (let k = 0; k < inputs; k++) {
      const at = (this.#turn + k) % inputs;
      const worked = at < this.#inbound.length ? this.#fromChannel(this.#inbound[at]) : this.#fromFeed(at - this.#inbound.length);
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

  #blocked(input: number): boolean { return this.#alignment.blocked(input) || this.#checkpoints.blocked(input); }

  #fromChannel(from: Inbound): Promise<void> | boolean {
    if (from.channel.empty || this.#blocked(from.input)) return false;
    const item: Item = from.channel.take();
    switch (item.k) {
      case 'batch':
        this.#takenBytes += item.bytes;
        return this.#push(from.edge.entry, item.batch);
      case 'watermark': {
        from.watermarkUs = item.us;
        let min = Infinity;
        for (const i of this.#inbound) if (i.edge === from.edge) min = Math.min(min, i.watermarkUs);
        return this.parts.built.driver.watermark(from.edge.entry, min) ?? true;
      }
      case 'end':
        from.ended = true;
        return true;
      case 'barrier': return this.#arrived(from.input, item.injected);
    }
  }

  #fromFeed(k: number): Promise<void> | boolean {
    if (this.#blocked(this.#coordinatorInput)) return false;
    const batch = this.#feeds.next(k);
    if (batch === null) return false;
    if (batch === 'again') return true;
    if (batch === 'end') {
      if (this.#allEnded() && !this.#endTold) {
        this.#endTold = true;
        this.parts.events.ended(this.ref);
      }
      return true;
    }
    this.rowsIn += batch.length;
    return this.#push(this.#feeds.all[k].nodeId, batch);
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
    return this.#feeds.ended && this.#inbound.every(i => i.ended) && this.#feeds.length + this.#inbound.length > 0;
  }

  // ---- barriers ----

  #arrived(input: number, injected: Injected): Promise<void> | boolean {
    if (faultPoint === null || injected.barrier.checkpoint === null) return this.#align(input, injected);
    return faultPoint('checkpoint.align', this.name).then(async () => { await this.#align(input, injected); });
  }

  #align(input: number, injected: Injected): Promise<void> | boolean {
    const now = this.parts.env.now();
    if (injected.barrier.midEpoch !== undefined) {
      const done = this.#checkpoints.arrived(input, injected, now, this.#takenBytes);
      return done === null ? true : this.#checkpoint(done, null);
    }
    const done = this.#alignment.arrived(input, injected, now, this.#takenBytes);
    return done === null ? true : this.#pass(done);
  }

  async #pass(completed: Completed): Promise<void> {
    const { injected } = completed;
    const { barrier } = injected;
    const { env } = this.parts;
    const { driver, sinks, session } = this.parts.built;
    const times = this.#times(completed);
    const began = env.monotonic();
    if (injected.tablesRead) this.#feeds.streamsWait = false;
    await this.#finishFeeds(barrier.logPosition);
    if (barrier.checkpoint?.last === true) this.#feeds.drained = true;
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
    if (barrier.checkpoint !== null) await this.#snapshots.take(injected, times, began, null, []);
    const changed = this.#dirty;
    this.#dirty = false;
    const feeds = this.#feeds.all;
    this.parts.events.passed({
      ...this.ref, epoch: barrier.epoch, changed, ended: this.#endDone,
      caughtUp: feeds.every(f => f.backfilled), tablesRead: this.#feeds.tablesRead, logPosition: this.#feeds.logPosition,
      rowsIn: this.rowsIn, rowsOut: this.#rowsOut(), backlog: feeds.some(f => f.backlog),
    });
    const waiting = this.parts.state?.maintain() ?? null;
    if (waiting !== null) await waiting;
  }

  #times(completed: Completed): { startDelayMs: number; alignmentMs: number; firstMs: number; processedInflightBytes: number } {
    const { firstMs, takenBytes, injected } = completed;
    return { firstMs, startDelayMs: Math.max(0, firstMs - injected.barrier.timeUs / 1000), alignmentMs: this.parts.env.now() - firstMs, processedInflightBytes: this.#takenBytes - takenBytes };
  }

  // ---- checkpoints that end no epoch ----

  /** The barrier of one stands in the queue of an input. */
  #announced(injected: Injected): void {
    const { env } = this.parts;
    const withinMs = this.#checkpoints.announced(injected, env.now(), this.#takenBytes);
    if (withinMs === null) return;
    if (withinMs === 0) this.#wake();
    else env.after(Math.ceil(withinMs), () => { this.#wake(); });
  }

  /** Before its barrier has come on every input: what is queued before it, and what still comes before it, goes into the snapshot. */
  async #checkpointNow(due: Completed): Promise<void> {
    const { checkpoint } = due.injected.barrier;
    assert(checkpoint !== null, 'no checkpoint');
    if (faultPoint !== null) await faultPoint('checkpoint.align', this.name);
    const { id } = checkpoint;
    const at = this.#barriers.findIndex(b => b.barrier.midEpoch !== undefined && b.barrier.checkpoint?.id === id);
    if (at >= 0) this.#barriers.splice(at, 1);
    await this.#checkpoint(due, id);
  }

  /** `overtaking`: id of the checkpoint that does not wait for its barrier. */
  async #checkpoint(completed: Completed, overtaking: number | null): Promise<void> {
    const { injected } = completed;
    const { fragment, subtask, built, env } = this.parts;
    const times = this.#times(completed);
    // Operators hand on what they owe, as at every barrier, and the senders the barrier behind it.
    this.#passing = injected;
    await built.driver.barrier(injected.barrier);
    this.#passing = null;
    const began = env.monotonic();
    for (const sink of built.sinks) await sink.settled();
    const channels = overtaking === null ? null : this.#inbound.map((i): CapturedChannel => ({
      origin: { entry: i.edge.entry, partials: i.edge.partials !== null, readers: i.readers, subtask, parallelism: fragment.parallelism },
      // Nothing stands before a barrier that was taken from its channel already.
      types: i.types, captured: completed.arrived.has(i.input) ? { batches: [], complete: Promise.resolve() } : i.channel.capture(overtaking),
    }));
    await this.#snapshots.take(injected, times, began, channels, this.#restored);
    const waiting = this.parts.state?.maintain() ?? null;
    if (waiting !== null) await waiting;
  }

  /** One batch of what the restored checkpoint held in flight. */
  async #giveRestored(): Promise<void> {
    const [{ origin, batch }] = this.#restored;
    this.#restored = this.#restored.slice(1);
    this.#touch();
    const { built: { driver }, fragment, state } = this.parts;
    if (origin.entry !== null && fragment.inbound.some(e => e.entry === origin.entry)) await driver.push(origin.entry, batch);
    else {
      for (const { node, input } of origin.readers) {
        const operator = driver.operator(node);
        if (origin.entry !== null && origin.partials && operator instanceof AggregateOperator) await operator.addPartials(batch);
        else await driver.pushTo(node, input, batch);
      }
    }
    await state?.maintain();
  }

  /** What feeds owe before the barrier, then their watermarks. */
  async #finishFeeds(logPosition: number): Promise<void> {
    const { driver } = this.parts.built;
    for await (const { feed, batch } of this.#feeds.untilBarrier(logPosition)) {
      this.rowsIn += batch.length;
      const pushed = this.#push(feed.nodeId, batch);
      if (pushed instanceof Promise) await pushed;
      for (const out of this.parts.outbound) if (out.full && !this.#stopped) await this.#drain(out);
    }
    for (const { nodeId, us } of this.#feeds.watermarks()) {
      const waiting = driver.watermark(nodeId, us);
      if (waiting !== null) await waiting;
    }
    // An entry without a channel to this subtask gives nothing, and holds nothing back.
    for (const edge of this.parts.fragment.inbound) {
      if (this.#inbound.some(i => i.edge === edge)) continue;
      const waiting = driver.watermark(edge.entry, Infinity);
      if (waiting !== null) await waiting;
    }
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
