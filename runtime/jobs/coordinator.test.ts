import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckpointMetadata } from '../../storage/checkpoint/metadata.js';
import { ManualEnv } from '../../types/env.js';
import type { SqlError } from '../../types/error.js';
import { jobSettings, Settings, type JobSettings } from '../../types/settings.js';
import type { CheckpointRow } from '../engine.js';
import type { CheckpointAck } from '../protocol.js';
import { CheckpointCoordinator, type CoordinatedJob, type CompletedStore } from './coordinator.js';
import { failureReasons } from './failures.js';

/** `_metadata` files as a list; writing may fail or stall. */
class Store implements CompletedStore {
  readonly complete_ = new Map<number, CheckpointMetadata>();
  readonly discarded: number[] = [];
  error: string | null = null;
  #stalled: (() => void)[] | null = null;

  stall(): void { this.#stalled = []; }
  release(): void {
    const stalled = this.#stalled ?? [];
    this.#stalled = null;
    for (const go of stalled) go();
  }
  async complete(metadata: CheckpointMetadata): Promise<string> {
    if (this.#stalled !== null) await new Promise<void>(resolve => { this.#stalled?.push(resolve); });
    if (this.error !== null) throw new Error(this.error);
    this.complete_.set(metadata.checkpointId, metadata);
    return `chk-${metadata.checkpointId}`;
  }
  path(id: number): string { return `chk-${id}`; }
  discard(id: number): Promise<void> {
    this.discarded.push(id);
    this.complete_.delete(id);
    return Promise.resolve();
  }
  async retain(complete: readonly CheckpointMetadata[], count: number): Promise<number[]> {
    const gone = complete.slice(count).map(m => m.checkpointId);
    for (const id of gone) await this.discard(id);
    return gone;
  }
}

const PLAN = { version: 1, roots: [], nodes: [] } as unknown as CoordinatedJob['plan'];

/** A job of two tasks whose barriers pass when the test says so. */
class Run {
  readonly env = new ManualEnv(1_000_000);
  readonly store = new Store();
  settings: JobSettings;
  finished = false;
  restoredFrom: readonly string[] = [];
  readonly log: string[] = [];
  readonly rows: CheckpointRow[] = [];
  failure: SqlError | null = null;
  readonly coordinator: CheckpointCoordinator;
  #epoch = 0;

  constructor(settings: Partial<JobSettings> = {}, retained: readonly CheckpointMetadata[] = []) {
    this.settings = { ...jobSettings(new Settings(null), 1), checkpoint_interval: 1000, checkpoint_timeout: 5000, ...settings };
    const { settings: now, isFinished } = { settings: (): JobSettings => this.settings, isFinished: (): boolean => this.finished };
    this.coordinator = new CheckpointCoordinator({
      jobId: 0, name: 'j', plan: PLAN, totalTasks: 2,
      get settings() { return now(); },
      get finished() { return isFinished(); },
      requestBarrier: () => { this.log.push('barrier'); },
      sendMidEpoch: () => null,
      notifyCompleted: id => { this.log.push(`completed ${id}`); },
      notifyAborted: id => { this.log.push(`aborted ${id}`); },
      failOver: e => {
        this.failure = e;
        this.coordinator.abort('JOB_FAILOVER_REGION', e.message);
      },
      checkpointEnded: row => { this.rows.push({ ...row }); },
      restoredFrom: () => this.restoredFrom,
    }, this.store, { begin: () => undefined, task: () => undefined, end: () => undefined, discarded: () => undefined, lastCheckpointId: () => 0 }, this.env, retained, retained[0]?.checkpointId ?? 0);
    if (settings.checkpoint_interval_during_backlog === undefined) this.coordinator.backlog(false);
    this.coordinator.schedule();
  }

  /** The next barrier passes; gives the checkpoint it carried. */
  barrier(): { id: number; since: number } | null { return this.coordinator.take(++this.#epoch, 100 + this.#epoch); }
  ack(id: number, task: string, changes: Partial<CheckpointAck> = {}): void {
    this.coordinator.acknowledged({
      jobId: 0, attempt: 1, task, checkpointId: id, since: 0, startDelayMs: 1, alignmentMs: 2, syncMs: 3, asyncMs: 4, stateBytes: 10, checkpointedBytes: 5, unaligned: false, processedInflightBytes: 0, persistedInflightBytes: 0,
      logPosition: Infinity, metadata: { task, subtask: 0, keyGroupFirst: 0, keyGroupLast: 1, nodeIds: [], since: 0, files: [], operators: {} }, ...changes,
    });
  }
  async acks(id: number): Promise<void> {
    this.ack(id, '0.0');
    this.ack(id, '1.0');
    await settle();
  }
  /** A whole checkpoint; the clock stands. */
  async take(): Promise<number> {
    const carried = this.barrier();
    assert.ok(carried !== null, 'no checkpoint began');
    await this.acks(carried.id);
    this.coordinator.changed();
    return carried.id;
  }
  get ends(): string[] { return this.rows.map(r => `${r.checkpointId} ${r.status}${r.failureReason === null ? '' : ` ${r.failureReason}`}`); }
}

/** Promises that wait for nothing outside get on. */
async function settle(): Promise<void> { for (let i = 0; i < 20; i++) await Promise.resolve(); }
const never = new AbortController().signal;
const outcome = (p: Promise<CheckpointRow>): Promise<string> => p.then(r => `completed ${r.checkpointId}`, (e: unknown) => `${(e as SqlError).code} ${(e as SqlError).message}`);

test('a checkpoint completes when every task acknowledged, and tasks are told', async () => {
  const run = new Run();
  run.env.advance(1000);
  assert.deepEqual(run.barrier(), { id: 1, since: 0 });
  run.ack(1, '0.0', { logPosition: 77 });
  run.ack(1, '0.0');
  assert.deepEqual(run.ends, [], 'a second acknowledgement of the same task counts once');
  run.ack(1, '1.0');
  await settle();
  assert.deepEqual(run.ends, ['1 completed']);
  assert.deepEqual(run.log, ['barrier', 'completed 1']);
  assert.equal(run.store.complete_.get(1)?.logPosition, 77, 'the log is kept from where a task needs it');
  assert.equal(run.barrier(), null, 'a barrier that follows carries none');
});

test('the minimum pause runs from completion', async () => {
  const run = new Run({ checkpoint_min_pause: 3000 });
  run.env.advance(1000);
  run.barrier();
  run.env.advance(2000);
  await run.acks(1);
  run.coordinator.changed();
  run.env.advance(2999);
  assert.equal(run.coordinator.wantsBarrier, false);
  run.env.advance(1);
  assert.equal(run.coordinator.wantsBarrier, true);
});

test('settings changed while it runs hold at the next trigger', async () => {
  const run = new Run();
  run.env.advance(1000);
  await run.take();
  run.settings = { ...run.settings, checkpoint_interval: 60_000 };
  run.coordinator.schedule();
  run.env.advance(59_999);
  assert.equal(run.coordinator.wantsBarrier, false);
  run.settings = { ...run.settings, checkpoint_interval: 10 };
  run.coordinator.schedule();
  assert.equal(run.coordinator.wantsBarrier, true);
});

test('several in progress: as many as allowed, each waiting for its files; a completed one supersedes the older ones', async () => {
  const run = new Run({ max_concurrent_checkpoints: 2 });
  run.env.advance(1000);
  assert.deepEqual(run.barrier(), { id: 1, since: 0 });
  run.coordinator.changed();
  run.env.advance(1000);
  assert.deepEqual(run.barrier(), { id: 2, since: 0 });
  run.coordinator.changed();
  run.env.advance(2000);
  assert.equal(run.coordinator.wantsBarrier, false, 'two are in progress');
  await run.acks(2);
  assert.deepEqual(run.ends, ['1 aborted CHECKPOINT_SUBSUMED', '2 completed']);
  assert.deepEqual(run.log.filter(l => l !== 'barrier'), ['completed 2', 'aborted 1']);
  await run.acks(1);
  assert.deepEqual(run.ends.length, 2, 'late acknowledgements change nothing');
  assert.equal(run.failure, null, 'to be superseded is no failure');
});

test('the older of two completes: the newer one goes on, and what it reaches back to is not deleted', async () => {
  const run = new Run({ max_concurrent_checkpoints: 3, retained_checkpoints: 1 });
  run.env.advance(1000);
  await run.take();
  run.env.advance(1000);
  assert.deepEqual(run.barrier(), { id: 2, since: 1 });
  run.coordinator.changed();
  run.env.advance(1000);
  assert.deepEqual(run.barrier(), { id: 3, since: 1 });
  await run.acks(2);
  assert.deepEqual([...run.store.complete_.keys()], [1, 2]);
  await run.acks(3);
  assert.deepEqual(run.ends, ['1 completed', '2 completed', '3 completed']);
  assert.deepEqual([...run.store.complete_.keys()], [3]);
});

test('_metadata of two that are acknowledged together are written in their order', async () => {
  const run = new Run({ max_concurrent_checkpoints: 2 });
  run.env.advance(1000);
  run.barrier();
  run.coordinator.changed();
  run.env.advance(1000);
  run.barrier();
  run.store.stall();
  await run.acks(1);
  await run.acks(2);
  run.store.release();
  await settle();
  assert.deepEqual(run.ends, ['1 completed', '2 completed']);
});

test('expired: after checkpoint_timeout, and the tasks are told', async () => {
  const run = new Run({ tolerable_failed_checkpoints: 1 });
  run.env.advance(1000);
  run.barrier();
  run.ack(1, '0.0');
  run.env.advance(4999);
  assert.deepEqual(run.ends, []);
  run.env.advance(1);
  assert.deepEqual(run.ends, ['1 expired CHECKPOINT_EXPIRED']);
  assert.match(run.rows[0].failureMessage ?? '', /1 of 2 tasks/);
  assert.ok(run.log.includes('aborted 1'));
  run.log.length = 0;
  run.ack(1, '1.0');
  await settle();
  assert.equal(run.store.complete_.size, 0, 'an acknowledgement that comes late completes nothing');
  assert.ok(run.log.includes('aborted 1'), 'a task that took its snapshot after the end is told, and removes its files');
});

test('expired while _metadata is written: what gets through late is deleted', async () => {
  const run = new Run({ tolerable_failed_checkpoints: 9 });
  run.env.advance(1000);
  run.barrier();
  run.store.stall();
  await run.acks(1);
  run.env.advance(5000);
  assert.deepEqual(run.ends, ['1 expired CHECKPOINT_EXPIRED']);
  run.store.release();
  await settle();
  assert.deepEqual(run.store.discarded, [1]);
  assert.equal(run.store.complete_.size, 0);
});

test('a checkpoint that another job begins with is kept, with the newer ones, until that job has one of its own', async () => {
  const run = new Run({ retained_checkpoints: 1 });
  const next = async (): Promise<void> => {
    run.env.advance(1000);
    await run.take();
    await settle();
  };
  await next();
  run.restoredFrom = ['chk-1'];
  for (let i = 0; i < 3; i++) await next();
  assert.deepEqual(run.store.discarded, []);
  run.restoredFrom = ['chk-7', '/elsewhere/chk-4'];
  await next();
  assert.deepEqual(run.store.discarded.sort(), [1, 2, 3, 4]);
});

test('tolerance: consecutive failures only, each checkpoint once; a success begins anew', async () => {
  const run = new Run({ tolerable_failed_checkpoints: 2 });
  const fail = async (): Promise<void> => {
    run.env.advance(1000);
    const id = run.barrier()?.id ?? 0;
    run.coordinator.declined(id, 'CHECKPOINT_DECLINED', 'task 0.0');
    run.coordinator.declined(id, 'CHECKPOINT_ASYNC_EXCEPTION', 'task 1.0');
    await settle();
  };
  await fail();
  await fail();
  assert.equal(run.failure, null);
  run.env.advance(1000);
  await run.take();
  await fail();
  await fail();
  assert.equal(run.failure, null, 'two since the success');
  await fail();
  const failure = run.failure as SqlError | null;
  assert.match(failure?.message ?? '', /tolerable failure threshold/);
  assert.match(failure?.detail ?? '', /CHECKPOINT_DECLINED: task 0.0/);
  assert.equal(run.ends.length, 6);
  run.env.advance(10_000);
  assert.equal(run.coordinator.wantsBarrier, false, 'none begins after it');
});

test('a _metadata that cannot be written fails the checkpoint, and counts', async () => {
  const run = new Run();
  run.store.error = 'disk full';
  run.env.advance(1000);
  run.barrier();
  await run.acks(1);
  assert.deepEqual(run.ends, ['1 failed FINALIZE_CHECKPOINT_FAILURE']);
  assert.equal(run.rows[0].failureMessage, 'disk full');
  assert.ok(run.failure !== null);
});

test('what counts is I/O, background phase, decline, expiry and finalization, and nothing else', () => {
  const counting = Object.entries(failureReasons).filter(([, spec]) => spec.counts).map(([name]) => name);
  assert.deepEqual(counting.sort(), ['CHECKPOINT_ASYNC_EXCEPTION', 'CHECKPOINT_DECLINED', 'CHECKPOINT_EXPIRED', 'FINALIZE_CHECKPOINT_FAILURE', 'IO_EXCEPTION']);
});

test('a failover ends what is in progress: TASK_FAILURE where the failed task had not acknowledged, and none of it counts', () => {
  const run = new Run({ max_concurrent_checkpoints: 3 });
  run.env.advance(1000);
  run.barrier();
  run.ack(1, '0.0');
  run.coordinator.changed();
  run.env.advance(1000);
  run.barrier();
  run.coordinator.abort('JOB_FAILOVER_REGION', 'broken', '0.0');
  assert.deepEqual(run.ends, ['1 aborted JOB_FAILOVER_REGION', '2 failed TASK_FAILURE']);
  assert.equal(run.failure, null);
  run.env.advance(100_000);
  assert.equal(run.coordinator.wantsBarrier, false);
});

test('what all tasks acknowledged before the failover still completes', async () => {
  const run = new Run();
  run.env.advance(1000);
  run.barrier();
  run.store.stall();
  await run.acks(1);
  run.coordinator.abort('JOB_FAILOVER_REGION', 'broken', '0.0');
  const settled = run.coordinator.settled('JOB_FAILOVER_REGION', 'broken');
  run.store.release();
  await settled;
  assert.deepEqual(run.ends, ['1 completed']);
});

test('storage that stalls does not hold a failover up for long', async () => {
  const run = new Run({ checkpoint_timeout: 600_000 });
  run.env.advance(1000);
  run.barrier();
  run.store.stall();
  await run.acks(1);
  run.coordinator.abort('JOB_FAILOVER_REGION', 'broken');
  const settled = run.coordinator.settled('JOB_FAILOVER_REGION', 'broken');
  run.env.advance(10_000);
  await settled;
  assert.deepEqual(run.ends, ['1 aborted JOB_FAILOVER_REGION']);
  run.store.release();
  await settle();
  assert.deepEqual(run.store.discarded, [1]);
});

test('CHECKPOINT while one is in progress waits for the next one, not for that', async () => {
  const run = new Run();
  run.env.advance(1000);
  run.barrier();
  const asked = run.coordinator.next(never);
  await run.acks(1);
  assert.equal(run.coordinator.wantsBarrier, true, 'at once when the other ended');
  run.barrier();
  await run.acks(2);
  assert.equal(await outcome(asked), 'completed 2');
});

test('CHECKPOINT is told why its checkpoint failed, and by a failover', async () => {
  const run = new Run({ checkpoint_interval: 0, tolerable_failed_checkpoints: 1 });
  const first = outcome(run.coordinator.next(never));
  run.barrier();
  run.coordinator.declined(1, 'CHECKPOINT_ASYNC_EXCEPTION', 'no space');
  assert.equal(await first, '58000 checkpoint 1 of job "j" failed');
  const second = outcome(run.coordinator.next(never));
  run.coordinator.abort('JOB_FAILOVER_REGION', 'broken');
  assert.match(await second, /^58000 checkpoint 2 of job "j" aborted/);
});

test('one that asked for a superseded checkpoint gets the newer', async () => {
  const run = new Run({ max_concurrent_checkpoints: 2, checkpoint_interval: 0 });
  const first = outcome(run.coordinator.next(never));
  run.barrier();
  const second = outcome(run.coordinator.next(never));
  run.barrier();
  await run.acks(2);
  assert.deepEqual([await first, await second], ['completed 2', 'completed 2']);
});

test('in backlog none by itself with 0; soon after the backlog ended', async () => {
  const run = new Run({ checkpoint_interval_during_backlog: 0 });
  run.env.advance(100_000);
  assert.equal(run.coordinator.wantsBarrier, false);
  run.coordinator.backlog(false);
  assert.equal(run.coordinator.wantsBarrier, true);
  await run.take();
});

test('memory asks for a checkpoint before its time, after the pause', async () => {
  const run = new Run({ checkpoint_interval: 60_000, checkpoint_min_pause: 500 });
  run.env.advance(60_000);
  await run.take();
  run.coordinator.wanted();
  run.env.advance(499);
  assert.equal(run.coordinator.wantsBarrier, false);
  run.env.advance(1);
  assert.equal(run.coordinator.wantsBarrier, true);
});

test('a failed last checkpoint is tried again; the job finishes with the one that completes', async () => {
  const run = new Run({ checkpoint_interval: 0, tolerable_failed_checkpoints: 5 });
  run.coordinator.takeLast();
  run.barrier();
  run.coordinator.declined(1, 'CHECKPOINT_ASYNC_EXCEPTION', 'no space');
  assert.equal(run.coordinator.wantsBarrier, false, 'not in a hurry');
  run.env.advance(1000);
  run.barrier();
  await run.acks(2);
  assert.deepEqual(run.ends, ['1 failed CHECKPOINT_ASYNC_EXCEPTION', '2 completed']);
});

test('CHECKPOINT of a job that finishes meanwhile gets its last checkpoint', async () => {
  const run = new Run({ checkpoint_interval: 0 });
  run.coordinator.takeLast();
  run.barrier();
  const asked = outcome(run.coordinator.next(never));
  await run.acks(1);
  assert.equal(run.coordinator.wantsBarrier, true, 'sinks still commit: another began for who asked');
  run.coordinator.finish();
  assert.equal(await asked, 'completed 1');
  assert.deepEqual(run.ends, ['1 completed', '2 aborted CHECKPOINT_COORDINATOR_SHUTDOWN']);
});

test('nothing went through: no checkpoint, however long', async () => {
  const run = new Run();
  run.env.advance(1000);
  run.barrier();
  await run.acks(1);
  run.env.advance(1_000_000);
  assert.equal(run.coordinator.wantsBarrier, false);
  run.coordinator.changed();
  assert.equal(run.coordinator.wantsBarrier, true, 'the interval is long over');
});

test('a failed checkpoint is taken again though nothing more came', async () => {
  const run = new Run({ tolerable_failed_checkpoints: 3 });
  run.env.advance(1000);
  run.barrier();
  run.coordinator.declined(1, 'CHECKPOINT_DECLINED', 'not now');
  run.env.advance(1000);
  await run.take();
  assert.deepEqual(run.ends, ['1 failed CHECKPOINT_DECLINED', '2 completed']);
});
