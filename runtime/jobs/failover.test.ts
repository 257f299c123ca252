/** Checkpoints that fail, and jobs that fail with them, in real workers with faults in their storage. */
import assert from 'node:assert/strict';
import { readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { CatalogStore } from '../../storage/catalogstore.js';
import { faultPlan, type FaultRule } from '../../storage/faults.js';
import { levelDb } from '../../storage/leveldb.js';
import type { SqlError } from '../../types/error.js';
import type { PlanNode } from '../../types/plan.js';
import type { JobSettings } from '../../types/settings.js';
import type { CheckpointRow } from '../engine.js';
import { History } from './history.js';
import { assertNoLeftovers, base, COUNTS, counts, DEFAULTS, directory, expected, Fixture } from './testengine.js';

/** At 4 ms each: long enough for all faults of a plan, also when a disk stands still for a second. */
const ROWS = 600;
const SOURCE = { rows: String(ROWS), pause_ms: '4' };
const SETTINGS: Partial<JobSettings> = { parallelism: 2, checkpoint_interval: 40, retained_checkpoints: 3 };

/** The folder cannot be reached until the returned function is called: a file stands in its place. */
async function away(folder: string): Promise<() => Promise<void>> {
  await rename(folder, `${folder}.away`);
  await writeFile(folder, '');
  return async () => {
    // In one step: an attempt that found nothing there would fail the job for good.
    await symlink(`${folder}.away`, `${folder}.link`);
    await rename(`${folder}.link`, folder);
  };
}

/** Runs the job to its end under the rules; its rows must be exact whatever happened. Gives what the tables say. */
async function run(rules: readonly FaultRule[], settings: Partial<JobSettings>): Promise<{ ends: string[]; failures: string[]; restarts: number; dir: string }> {
  const dir = await directory();
  const f = await Fixture.open(dir, 2, faultPlan(rules));
  await f.start(1, counts(SOURCE), { ...SETTINGS, ...settings });
  await f.finished(1);
  assert.equal(f.status(1), 'finished');
  assert.deepEqual(await f.rows(1, COUNTS), expected(ROWS));
  const ends = f.engine.checkpoints().map(c => `${c.status}${c.failureReason === null ? '' : ` ${c.failureReason}`}`);
  const failures = f.engine.failures().map(x => `${x.action}: ${x.message}`);
  const restarts = f.engine.jobs()[0]?.restarts ?? -1;
  await f.close();
  return { ends, failures, restarts, dir };
}

const count = (ends: readonly string[], end: string): number => ends.filter(e => e === end).length;

test('expired checkpoints within the tolerance: the job goes on, the next ones complete, no file is left', async () => {
  const { ends, restarts, dir } = await run([{ operation: 'checkpoint.acknowledge', after: 4, times: 2, fault: 'stall', stallMs: 400 }], { checkpoint_timeout: 200, tolerable_failed_checkpoints: 1_000_000 });
  assert.ok(count(ends, 'expired CHECKPOINT_EXPIRED') >= 1, ends.join());
  assert.equal(ends.at(-1), 'completed');
  assert.equal(restarts, 0);
  await assertNoLeftovers(dir);
});

test('a failed background phase declines the checkpoint; the tolerance holds, and the next delta has everything', async () => {
  const { ends, restarts, failures, dir } = await run([{ operation: 'file.write', path: '/shared/', after: 5, times: 2, fault: 'ENOSPC' }], { tolerable_failed_checkpoints: 2 });
  assert.ok(count(ends, 'failed CHECKPOINT_ASYNC_EXCEPTION') >= 1, ends.join());
  assert.equal(restarts, 0);
  assert.deepEqual(failures, []);
  await assertNoLeftovers(dir);
});

test('one failed checkpoint more than tolerated fails the job over, to its last complete one', async () => {
  const { ends, restarts, failures } = await run([{ operation: 'file.write', path: '/shared/', after: 4, times: 4, fault: 'EIO' }], { tolerable_failed_checkpoints: 0 });
  assert.equal(ends[0], 'completed');
  assert.ok(count(ends, 'failed CHECKPOINT_ASYNC_EXCEPTION') >= 1, ends.join());
  assert.ok(restarts >= 1);
  assert.match(failures[0], /^restarted: exceeded checkpoint tolerable failure threshold/);
});

test('a _metadata that cannot be written counts as a failed checkpoint', async () => {
  const { ends, restarts, dir } = await run([{ operation: ['file.rename', 'file.open'], path: '_metadata', after: 2, times: 1, fault: 'EIO' }], { tolerable_failed_checkpoints: 1 });
  assert.equal(count(ends, 'failed FINALIZE_CHECKPOINT_FAILURE'), 1, ends.join());
  assert.equal(restarts, 0);
  await assertNoLeftovers(dir);
});

test('a failure in the synchronous phase fails the job over at once, whatever is tolerated', async () => {
  const { ends, restarts } = await run([{ operation: 'checkpoint.sync', after: 6, times: 1, fault: 'EIO' }], { tolerable_failed_checkpoints: 1000 });
  assert.equal(restarts, 1);
  assert.equal(count(ends, 'failed TASK_FAILURE'), 1, ends.join());
});

test('checkpoints that overlap: slow files make newer ones overtake, the result stays exact and nothing is left', async () => {
  const { ends, restarts, dir } = await run([{ operation: 'checkpoint.acknowledge', after: 6, times: 3, fault: 'stall', stallMs: 250 }], { max_concurrent_checkpoints: 4, tolerable_failed_checkpoints: 0, retained_checkpoints: 1 });
  assert.ok(count(ends, 'aborted CHECKPOINT_SUBSUMED') >= 1, ends.join());
  assert.equal(restarts, 0);
  await assertNoLeftovers(dir);
});

test('sinks hear of each checkpoint: committed in order and once, or aborted, after they prepared it', async () => {
  const dir = await directory();
  const file = path.join(dir, 'told');
  const f = await Fixture.open(dir, 2, faultPlan([
    { operation: 'checkpoint.acknowledge', after: 6, times: 3, fault: 'stall', stallMs: 200 }, { operation: 'file.write', path: '/shared/', after: 3, times: 1, fault: 'ENOSPC' },
  ]));
  const plan = counts(SOURCE);
  const sink: PlanNode = { ...base(5, [3], COUNTS), key: [0], op: 'sink', visible: COUNTS.length, relationId: 3, relationName: 'told', connector: 'told', options: { file } };
  await f.start(1, { ...plan, nodes: [...plan.nodes, sink], roots: [...plan.roots, 5] }, { ...SETTINGS, max_concurrent_checkpoints: 4, tolerable_failed_checkpoints: 10 });
  await f.finished(1);
  const rows = f.engine.checkpoints();
  await f.close();
  assert.ok(rows.some(r => r.failureReason === 'CHECKPOINT_SUBSUMED') && rows.some(r => r.failureReason === 'CHECKPOINT_ASYNC_EXCEPTION'), rows.map(r => r.failureReason ?? r.status).join());
  for (const subtask of [0, 1]) {
    const heard = (await readFile(`${file}.${subtask}`, 'utf8')).trim().split('\n');
    const committed = heard.filter(h => h.startsWith('commit ')).map(h => Number(h.slice(7)));
    assert.deepEqual(committed, rows.filter(r => r.status === 'completed').map(r => r.checkpointId));
    for (const r of rows) assert.equal(heard.filter(h => h === `aborted ${r.checkpointId}`).length, r.status === 'completed' ? 0 : 1, `checkpoint ${r.checkpointId} ${r.status}`);
    for (const [at, h] of heard.entries()) if (h.startsWith('commit ')) assert.ok(heard.slice(0, at).includes(h.replace('commit', 'prepare')), h);
  }
});

test('a job that ended its worker three times is failed; another of the same worker starts again each time, by no strategy of its own', async () => {
  const dir = await directory();
  const f = await Fixture.open(dir, 1);
  await f.start(1, counts({ ...SOURCE, code: 'exit', after: '100' }), { parallelism: 1, checkpoint_interval: 10 });
  await f.start(2, counts(SOURCE), { parallelism: 1, checkpoint_interval: 10, restart_strategy: 'none' });
  await Promise.all([f.finished(1), f.finished(2)]);
  assert.equal(f.status(1), 'failed');
  assert.equal(f.status(2), 'finished');
  assert.deepEqual(await f.rows(2, COUNTS), expected(ROWS));
  const own = f.engine.failures().filter(x => x.jobId === 1);
  assert.deepEqual(own.map(x => x.action), ['restarted', 'restarted', 'failed']);
  assert.match(own[2].message, /^job "job1" ended its worker 3 times: worker 0 died/);
  assert.equal(f.engine.failures().filter(x => x.jobId === 2 && x.action === 'failed').length, 0);
  await f.close();
});

test('checkpoint_interval_during_backlog = 0: a source that never reached its end brings none but the last', async () => {
  const dir = await directory();
  const f = await Fixture.open(dir);
  await f.start(1, counts({ rows: '60000', per_batch: '50' }), { parallelism: 1, checkpoint_interval: 10, checkpoint_interval_during_backlog: 0 });
  await f.finished(1);
  assert.deepEqual(f.engine.checkpoints().map(c => c.status), ['completed']);
  assert.deepEqual(await f.rows(1, COUNTS), expected(60_000));
  await f.close();
});

for (const prefer of [true, false]) {
  test(`a recovery goes back to the newest ${prefer ? 'checkpoint, though a savepoint is newer' : 'of checkpoint and savepoint, with prefer_checkpoint_for_recovery off'}`, async () => {
    const dir = await directory();
    const f = await Fixture.open(dir);
    await f.start(1, counts({ rows: '600', pause_ms: '4' }), { parallelism: 2, checkpoint_interval: 0, prefer_checkpoint_for_recovery: prefer });
    const signal = new AbortController().signal;
    const [checkpoint] = await f.engine.checkpoint(1, signal);
    const savepoint = await f.engine.savepoint(1, null, signal);
    assert.ok((savepoint.checkpointId ?? 0) > checkpoint.checkpointId);
    await f.engine.pool.kill(0);
    await f.until(() => f.restores.length > 0);
    assert.deepEqual([f.restores[0].kind, f.restores[0].checkpointId], prefer ? ['checkpoint', checkpoint.checkpointId] : ['savepoint', savepoint.checkpointId]);
    await f.finished(1);
    assert.deepEqual(await f.rows(1, COUNTS), expected(600));
    await f.close();
  });
}

test('a failed job whose checkpoint storage is away says so to readers, in place of no rows; its views are read when it is back', async () => {
  const dir = await directory();
  const folder = path.join(dir, 'checkpoints');
  const f = await Fixture.open(dir);
  await f.start(1, counts({ rows: '100000', pause_ms: '4' }), { ...SETTINGS, restart_strategy: 'none' });
  await f.until(() => f.engine.checkpoints().some(c => c.status === 'completed' && c.checkpointId > 1));
  const back = await away(folder);
  await f.finished(1);
  assert.equal(f.status(1), 'failed');
  // At once, while it is being opened for reading, and afterwards.
  for (let i = 0; i < 2; i++) await assert.rejects(f.rows(1, COUNTS), (e: SqlError) => e.code === '55000' && e.message.startsWith('the views of job "job1" cannot be read: ENOTDIR'));
  await back();
  const [a, b] = await Promise.all([f.rows(1, COUNTS), f.rows(1, COUNTS)]);
  assert.equal(a.length, 7);
  assert.deepEqual(b, a);
  const said = f.engine.jobs()[0]?.failure;
  await f.close();
  const again = await Fixture.open(dir);
  await again.engine.startJob({ jobId: 1, name: 'job1', plan: counts({ rows: '100000', pause_ms: '4' }), settings: { ...DEFAULTS, ...SETTINGS }, status: 'failed', createdMs: 0 });
  assert.match(said ?? '', /tolerable/);
  assert.equal(again.engine.jobs()[0]?.failure, said, 'also after a restart');
  await again.close();
});

test('a job that cannot start again says so to readers, in place of letting them wait; it goes on, exactly, when its storage is back', async () => {
  const dir = await directory();
  const folder = path.join(dir, 'checkpoints');
  const f = await Fixture.open(dir);
  await f.start(1, counts({ rows: '2000', pause_ms: '2' }), { ...SETTINGS, restart_strategy: 'fixed_delay', restart_attempts: 1_000_000, restart_delay: 20, tolerable_failed_checkpoints: 0 });
  await f.until(() => f.engine.checkpoints().some(c => c.status === 'completed' && c.checkpointId > 1));
  const back = await away(folder);
  await f.until(() => (f.engine.jobs()[0]?.restarts ?? 0) > 1);
  // Between two attempts, and in the midst of one.
  for (let i = 0; i < 5; i++) await assert.rejects(f.rows(1, COUNTS), (e: SqlError) => e.code === '55000' && e.message.startsWith('job "job1" is restarting: ENOTDIR'));
  await back();
  await f.finished(1);
  assert.deepEqual(await f.rows(1, COUNTS), expected(2000));
  await f.close();
});

test('RESUME of a failed job goes on from its newest checkpoint; one whose files were away finds them again', async () => {
  const dir = await directory();
  const folder = path.join(dir, 'checkpoints');
  const f = await Fixture.open(dir);
  await f.start(1, counts({ rows: '2000', pause_ms: '2' }), { ...SETTINGS, restart_strategy: 'none', tolerable_failed_checkpoints: 0 });
  await f.until(() => f.engine.checkpoints().some(c => c.status === 'completed' && c.checkpointId > 1));
  await rename(folder, `${folder}.away`);
  await f.finished(1);
  assert.equal(f.status(1), 'failed');
  await assert.rejects(f.engine.resumeJob(1), (e: SqlError) => e.code === 'XX001' && e.message === 'job "job1" has no usable checkpoint' && e.hint?.includes('RESUME JOB job1') === true);
  assert.equal(f.status(1), 'failed');
  await rm(folder, { recursive: true, force: true });
  await rename(`${folder}.away`, folder);
  await f.engine.resumeJob(1, 2);
  await f.finished(1);
  assert.equal(f.status(1), 'finished');
  assert.deepEqual(await f.rows(1, COUNTS), expected(2000));
  await f.close();
});

test('PAUSE while the checkpoint storage is away fails, and the job goes on when the storage is back', async () => {
  const dir = await directory();
  const folder = path.join(dir, 'checkpoints');
  const f = await Fixture.open(dir);
  await f.start(1, counts(SOURCE), { ...SETTINGS, checkpoint_interval: 0, tolerable_failed_checkpoints: 1_000_000 });
  await f.engine.checkpoint(1, new AbortController().signal);
  const back = await away(folder);
  await assert.rejects(f.engine.pauseJob(1, new AbortController().signal), /ENOTDIR|last checkpoint of job "job1" failed/);
  assert.equal(f.status(1), 'restarting', 'its tasks are gone: it does not call itself running');
  await back();
  await f.finished(1);
  assert.equal(f.status(1), 'finished');
  assert.deepEqual(await f.rows(1, COUNTS), expected(ROWS));
  await f.close();
});

test('checkpoints whose folder is gone: only those that were retained are missed', async () => {
  const dir = await directory();
  const f = await Fixture.open(dir);
  const plan = counts({ rows: '100000', pause_ms: '4' });
  await f.start(1, plan, SETTINGS);
  await f.until(() => f.engine.checkpoints().filter(c => c.status === 'completed').length >= 6);
  await f.crash();
  await rm(path.join(dir, 'checkpoints'), { recursive: true });
  const again = await Fixture.open(dir);
  await again.engine.startJob({ jobId: 1, name: 'job1', plan, settings: { ...DEFAULTS, ...SETTINGS }, status: 'running', createdMs: 0 });
  await again.finished(1);
  assert.deepEqual(again.engine.failures().map(x => x.action), ['older_checkpoint', 'older_checkpoint', 'older_checkpoint', 'failed']);
  await again.close();
});

test('what a crash leaves of the counts fits the rows it leaves', async () => {
  const dir = await directory();
  const catalog = await CatalogStore.open(await levelDb.open(path.join(dir, 'catalog')));
  const history = await History.open(catalog, assert.ifError);
  const row = (checkpointId: number): CheckpointRow => ({
    jobId: 1, jobName: 'j', checkpointId, kind: 'checkpoint', status: 'in_progress', mode: 'exactly_once', unaligned: false, incremental: true, triggerMs: 1, completionMs: null, alignmentMs: 0,
    acknowledgedTasks: 0, totalTasks: 1, stateBytes: 0, checkpointedBytes: 0, processedInflightBytes: 0, persistedInflightBytes: 0, path: null, discarded: false, failureReason: null, failureMessage: null,
  });
  // Written one after the other: each with the counts of its time.
  for (const id of [1, 2, 3]) history.begin(row(id), 10);
  const stored = async (): Promise<unknown[]> => (await catalog.history('checkpoints', 1)).map(r => (r as unknown as { counts: { total: number } }).counts.total);
  while ((await stored()).length < 3) await new Promise(resolve => { setImmediate(resolve); });
  assert.deepEqual(await stored(), [1, 2, 3]);
  await catalog.close();
});

test('histories outlive a crash: checkpoints with their tasks and counts, failures, and how what was in progress ended', async () => {
  const dir = await directory();
  const armed = path.join(dir, 'armed');
  let f = await Fixture.open(dir, 2, faultPlan([{ operation: 'checkpoint.acknowledge', fault: 'stall', armedBy: armed }]));
  await f.start(1, counts({ rows: '100000', pause_ms: '4' }), { ...SETTINGS, checkpoint_history: 50 });
  await f.until(() => f.engine.checkpoints().filter(c => c.status === 'completed').length >= 3);
  await writeFile(armed, '');
  const stuck = (): number | undefined => f.engine.checkpoints().find(c => c.status === 'in_progress')?.checkpointId;
  f.engine.checkpoint(1, new AbortController().signal).catch(() => undefined);
  while (stuck() === undefined) await new Promise(resolve => { setImmediate(resolve); });
  const id = stuck();
  const before = { rows: f.engine.checkpoints().filter(c => c.checkpointId !== id), tasks: (await f.engine.checkpointTasks()).filter(t => t.checkpointId !== id) };
  await f.crash();
  await rm(armed);
  f = await Fixture.open(dir);
  const rows = f.engine.checkpoints();
  assert.deepEqual(rows.filter(c => before.rows.some(b => b.checkpointId === c.checkpointId)).map(c => ({ ...c, discarded: false })), before.rows.map(c => ({ ...c, discarded: false })));
  assert.equal(rows.find(c => c.checkpointId === id)?.status, 'in_progress', 'not decided before its job starts');
  await f.start(1, counts({ rows: '100000', pause_ms: '4' }), { ...SETTINGS, checkpoint_history: 50 });
  const ended = f.engine.checkpoints().find(c => c.checkpointId === id);
  assert.deepEqual([ended?.status, ended?.failureReason], ['aborted', 'CHECKPOINT_COORDINATOR_SHUTDOWN']);
  const tasks = await f.engine.checkpointTasks();
  for (const t of before.tasks) assert.ok(tasks.some(x => x.checkpointId === t.checkpointId && x.task === t.task && x.ackMs === t.ackMs));
  await f.until(() => f.engine.checkpoints().some(c => c.status === 'completed' && c.checkpointId > (id ?? 0)));
  const [c] = f.engine.checkpointCounts();
  assert.ok(c.restored === 1 && c.failed >= 1 && c.completed >= 4 && c.total >= c.completed + c.failed, JSON.stringify(c));
  const summary = f.engine.checkpointSummary();
  assert.deepEqual(summary.map(s => s.metric), ['duration_ms', 'alignment_ms', 'state_bytes', 'checkpointed_bytes', 'processed_inflight_bytes', 'persisted_inflight_bytes']);
  for (const s of summary) assert.ok(s.min <= s.p50 && s.p50 <= s.p90 && s.p90 <= s.p95 && s.p95 <= s.p99 && s.p99 <= s.max && s.min <= s.avg && s.avg <= s.max && s.checkpoints >= 4);
  await f.engine.cancelJob(1);
  await f.close();
});
