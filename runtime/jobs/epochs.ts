/**
 * The barriers and epochs of one job. One light barrier is in flight at a time: asked for by the clock (barrier_interval after something went
 * through the job), and at once by a checkpoint, a read, a subscription, FLUSH and CREATE. When all tasks passed it, its epoch is published: reads that
 * came with it are answered, subscriptions get its changes, who waited for a position of the table log goes on. Barriers in the midst of an epoch
 * (at least once, unaligned) go out beside it.
 */
import type { Env, Timer } from '../../types/env.js';
import type { SqlError } from '../../types/error.js';
import type { EpochPassed, Injected } from '../protocol.js';
import type { CheckpointCoordinator } from './coordinator.js';
import type { JobReads, ReadWaiter } from './jobreads.js';
import type { JobSubscriptions } from './jobsubscriptions.js';
import type { Snapshots } from './savepoint.js';
import type { SeqWaiters } from './seqwaiters.js';

type Checkpoint = NonNullable<Injected['barrier']['checkpoint']>;

/** The job, as its barriers need it. */
export interface EpochsJob {
  readonly env: Env;
  readonly reads: JobReads;
  readonly subscriptions: JobSubscriptions;
  readonly waiters: SeqWaiters;
  /** Tasks run, or are about to. */
  readonly live: boolean;
  readonly barrierInterval: number;
  readonly totalTasks: number;
  /** Its streams wait until the tables that they look up are read. */
  readonly looksUp: boolean;
  readonly coordinator: CheckpointCoordinator | null;
  readonly snapshots: Snapshots | null;
  lastSeq(): number;
  send(injected: Injected): void;
}

interface InFlight { readonly epoch: number; readonly logPosition: number; readonly passed: Map<string, EpochPassed>; readonly reads: readonly ReadWaiter[] }

/** Epochs whose needs of the table log are remembered. */
const NEEDED_EPOCHS = 64;

export class Epochs {
  /** Of the last epoch that is visible. */
  published = 0;
  /** In this attempt. */
  publishedAny = false;
  /** Epoch at which everything had ended; 0 = not yet. */
  endedAt = 0;
  /** The last barrier has left: no other follows. */
  draining = false;
  readonly #job: EpochsJob;
  #epoch = 0;
  /** In this attempt, by a published epoch. */
  #tablesRead = false;
  #inFlight: InFlight | null = null;
  #timer: Timer | null = null;
  #urgent = false;
  /** Since the barrier with log position #quietTo no task said that something goes through. */
  #quiet = false;
  #quietTo = 0;
  #lastBarrierMs = -Infinity;
  readonly #needed = new Map<number, number>();
  #finalWanted = false;

  constructor(job: EpochsJob) { this.#job = job; }

  get epoch(): number { return this.#epoch; }
  /** Epoch of the last barrier that left. */
  get latest(): number { return this.#inFlight?.epoch ?? this.published; }
  /** Log position below which published epochs of this attempt need nothing. */
  get neededSeq(): number { return Math.min(Infinity, ...this.#needed.values()); }

  /** An attempt begins, restored from a checkpoint of this epoch. */
  begin(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch);
    this.published = this.#epoch;
    this.#tablesRead = false;
  }

  /** The attempt ends. Reads that wait for a barrier of it wait for one of the next. */
  end(): void {
    this.#quiet = false;
    this.publishedAny = false;
    this.stopClock();
    this.draining = false;
    this.requeueReads();
    this.#needed.clear();
    this.endedAt = 0;
    this.#finalWanted = false;
  }

  stopClock(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  requeueReads(): void {
    for (const r of this.#inFlight?.reads ?? []) this.#job.reads.again(r, false);
    this.#inFlight = null;
  }
  rejectReads(error: SqlError): void { for (const r of this.#inFlight?.reads ?? []) r.reject(error); }

  /** Something is to be seen: a barrier after barrier_interval, or at once. */
  request(urgent: boolean): void {
    const job = this.#job;
    if (!job.live) return;
    this.#urgent ||= urgent;
    if (this.#inFlight !== null || job.coordinator === null || this.draining) return;
    const due = this.#urgent ? 0 : Math.max(0, this.#lastBarrierMs + job.barrierInterval - job.env.now());
    if (this.#timer !== null) {
      if (!this.#urgent) return;
      this.#timer.cancel();
    }
    this.#timer = job.env.after(due, () => { this.#timer = null; this.#inject(); });
  }

  #inject(): void {
    const { coordinator, env, reads: waiting, subscriptions, lastSeq, send } = this.#job;
    if (coordinator === null || this.#inFlight !== null || this.draining) return;
    const epoch = ++this.#epoch;
    const logPosition = lastSeq();
    const reads = waiting.take();
    this.#urgent = false;
    this.#lastBarrierMs = env.now();
    const checkpoint = this.#snapshot(epoch, logPosition) ?? coordinator.take(epoch, logPosition);
    this.#inFlight = { epoch, logPosition, passed: new Map(), reads };
    send({ barrier: { epoch, checkpoint, logPosition, timeUs: env.nowUs() }, pins: reads.flatMap(r => r.pins), taps: subscriptions.take(), tablesRead: this.#tablesRead });
  }

  #snapshot(epoch: number, logPosition: number): Checkpoint | null {
    const taken = this.#job.snapshots?.takeBarrier(epoch, logPosition) ?? null;
    if (taken?.last === true) this.draining = true;
    return taken;
  }

  /** Not while a savepoint or the last checkpoint waits: what overtakes them would have the higher id and the older state. */
  sendMidEpoch(checkpoint: Checkpoint, midEpoch: NonNullable<Injected['barrier']['midEpoch']>): { epoch: number; logPosition: number } | null {
    const { snapshots, env, lastSeq, send } = this.#job;
    if (this.draining || snapshots?.busy === true) return null;
    const epoch = this.#epoch;
    const logPosition = lastSeq();
    send({ barrier: { epoch, checkpoint, logPosition, timeUs: env.nowUs(), midEpoch }, pins: [], taps: [], tablesRead: this.#tablesRead });
    return { epoch, logPosition };
  }

  /** A task that was idle says that something goes through it. */
  active(): void {
    this.#quiet = false;
    this.#job.coordinator?.changed();
    this.request(false);
  }

  passed(p: EpochPassed): void {
    const flight = this.#inFlight;
    if (flight === null || flight.epoch !== p.epoch) return;
    flight.passed.set(p.task, p);
    if (flight.passed.size === this.#job.totalTasks) this.#publish(flight);
  }

  #publish(flight: InFlight): void {
    const { coordinator, snapshots, reads, subscriptions, waiters, looksUp } = this.#job;
    this.#inFlight = null;
    this.published = flight.epoch;
    this.publishedAny = true;
    const all = [...flight.passed.values()];
    const caughtUp = all.every(p => p.caughtUp);
    this.#quiet = caughtUp;
    this.#quietTo = flight.logPosition;
    this.#needed.set(flight.epoch, Math.min(...all.map(p => p.logPosition)));
    for (const e of this.#needed.keys()) if (e < flight.epoch - NEEDED_EPOCHS) this.#needed.delete(e);
    if (all.some(p => p.changed)) coordinator?.changed();
    if (all.every(p => p.ended) && this.endedAt === 0) this.endedAt = flight.epoch;
    subscriptions.published(flight.epoch);
    // A view that is still being filled from its tables is not read yet.
    for (const r of flight.reads) {
      if (caughtUp) reads.resolve(r);
      else reads.again(r, true);
    }
    if (caughtUp) waiters.reached(flight.logPosition, flight.epoch);
    if (this.endedAt > 0 && !this.#finalWanted) {
      this.#finalWanted = true;
      coordinator?.takeLast();
    }
    coordinator?.backlog(all.some(p => p.backlog));
    const streamsBegin = !this.#tablesRead && all.every(p => p.tablesRead);
    this.#tablesRead ||= streamsBegin;
    const more = (streamsBegin && looksUp) || this.#urgent || reads.anyWaiting || subscriptions.anyWaiting || waiters.any || (coordinator?.wantsBarrier ?? false) || (snapshots?.wantsBarrier ?? false);
    if (more && caughtUp) this.request(true);
    else if (more || all.some(p => p.changed) || !caughtUp || flight.logPosition < this.#job.lastSeq()) this.request(false);
  }

  /** Whether a read needs no barrier: nothing is known to have gone through since the last one, which held the table log to `logEnd`. */
  isQuiet(logEnd: number): boolean { return this.#quiet && this.#inFlight === null && !this.#urgent && !this.#job.reads.anyWaiting && this.#quietTo >= logEnd; }
}
