import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Plan, PlanNode } from '../../types/plan.js';
import type { JobSettings } from '../../types/settings.js';
import type { CheckpointRow } from '../engine.js';
import { faultPlan } from '../../storage/faults.js';
import { assertNoLeftovers, base, countNodes, COUNTS, DEFAULTS, directory, expected, Fixture, KV, never, VIEW } from './testengine.js';

const ROWS = 4000;
const KEYS = 23;
const SINK = 5;

interface Place { readonly fast: string; readonly file: string }
const placeIn = (dir: string): Place => ({ fast: path.join(dir, 'fast'), file: path.join(dir, 'out') });

const source: PlanNode = {
  ...base(1, [], KV), appendOnly: true, op: 'source', relationId: 1, relationName: 'numbers', connector: 'numbers', options: { rows: String(ROWS), per_batch: '10', keys: String(KEYS) },
  fields: KV.map((c, ordinal) => ({ name: c.name, type: c.type, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal })), watermark: null, splitWatermark: false, logId: null,
};

/** numbers → exchange → counts by k, and the rows (`reads` 2) or the counts (`reads` 3) into a slow sink in the task behind the exchange. */
function plan(place: Place, reads: 2 | 3): Plan {
  const columns = reads === 2 ? KV : COUNTS;
  const sink: PlanNode = { ...base(SINK, [reads], columns), key: reads === 2 ? null : [0], appendOnly: reads === 2, op: 'sink', visible: columns.length, relationId: 3, relationName: 'out', connector: 'slow', options: { write_ms: '15', ...place } };
  return { version: 1, nodes: [...countNodes(source), sink], roots: [VIEW, SINK] };
}

/** Rows of the sink as of its last commit, over all subtasks. */
function sunk(place: Place): string[] {
  const rows = new Map<string, number>();
  const dir = path.dirname(place.file);
  for (const name of readdirSync(dir).filter(n => n.startsWith(`${path.basename(place.file)}.`))) {
    for (const [row, n] of JSON.parse(readFileSync(path.join(dir, name), 'utf8')) as [string, number][]) rows.set(row, (rows.get(row) ?? 0) + n);
  }
  return [...rows].flatMap(([row, n]) => { assert.ok(n >= 0, `${row}: ${n}`); return Array.from({ length: n }, () => row); }).sort();
}

const inputRows = (): string[] => Array.from({ length: ROWS * 4 }, (_, v) => `${v % KEYS} ${v}`).sort();
const completed = (f: Fixture): CheckpointRow[] => f.engine.checkpoints().filter(c => c.status === 'completed');
const inFlight = (f: Fixture): CheckpointRow[] => completed(f).filter(c => c.unaligned && c.persistedInflightBytes > 0);

async function resume(f: Fixture, place: Place, settings: Partial<JobSettings>, reads: 2 | 3): Promise<void> {
  writeFileSync(place.fast, '');
  await f.start(1, plan(place, reads), settings);
  await f.finished(1);
  assert.equal(f.status(1), 'finished');
  assert.deepEqual(await f.rows(1, COUNTS), expected(ROWS, KEYS));
  assert.deepEqual(sunk(place), reads === 2 ? inputRows() : expected(ROWS, KEYS));
}

const UNALIGNED: Partial<JobSettings> = { parallelism: 2, unaligned_checkpoints: true, checkpoint_interval: 30 };

for (const reads of [2, 3] as const) {
  test(`unaligned: checkpoints complete behind a full channel, hold what is in flight, and a crash costs no row (${reads === 2 ? 'rows' : 'changes'} into the sink)`, async () => {
    const dir = await directory();
    const place = placeIn(dir);
    let f = await Fixture.open(dir);
    await f.start(1, plan(place, reads), UNALIGNED);
    await f.until(() => (reads === 2 ? inFlight(f) : completed(f)).length >= 2);
    if (reads === 2) {
      const tasks = (await f.engine.checkpointTasks()).filter(t => t.checkpointId === inFlight(f)[0].checkpointId);
      assert.ok(tasks.some(t => t.unaligned && t.persistedInflightBytes > 0), JSON.stringify(tasks));
    }
    await f.crash();
    f = await Fixture.open(dir);
    await resume(f, place, UNALIGNED, reads);
    await f.close();
  });
}

test('unaligned checkpoints that expire after some tasks acknowledged leave no file of what was in flight', async () => {
  const dir = await directory();
  const place = placeIn(dir);
  const settings = { ...UNALIGNED, checkpoint_timeout: 150, max_concurrent_checkpoints: 3, tolerable_failed_checkpoints: 1_000_000, retained_checkpoints: 1 };
  const f = await Fixture.open(dir, 2, faultPlan([{ operation: 'checkpoint.acknowledge', path: '2.1', after: 3, times: 6, fault: 'stall', stallMs: 400 }]));
  await f.start(1, plan(place, 2), settings);
  await f.until(() => f.engine.checkpoints().some(c => c.status === 'expired' && c.persistedInflightBytes > 0) && inFlight(f).length > 0);
  writeFileSync(place.fast, '');
  await f.finished(1);
  assert.deepEqual(sunk(place), inputRows());
  await f.close();
  await assertNoLeftovers(dir);
});

test('aligned with a limit: a checkpoint that is not aligned within it goes on unaligned', async () => {
  const dir = await directory();
  const place = placeIn(dir);
  const settings = { ...UNALIGNED, aligned_checkpoint_timeout: 40 };
  let f = await Fixture.open(dir);
  await f.start(1, plan(place, 2), settings);
  await f.until(() => inFlight(f).length >= 2);
  await f.crash();
  f = await Fixture.open(dir);
  await resume(f, place, settings, 2);
  await f.close();
});

test('aligned with a limit that is never reached: nothing is kept in flight', async () => {
  const dir = await directory();
  const f = await Fixture.open(dir);
  await resume(f, placeIn(dir), { ...UNALIGNED, checkpoint_interval: 5, aligned_checkpoint_timeout: 600_000 }, 2);
  assert.deepEqual(completed(f).filter(c => c.unaligned || c.persistedInflightBytes > 0), []);
  await f.close();
});

test('aligned: behind a full channel a checkpoint waits until what was queued before its barrier has been taken', async () => {
  const dir = await directory();
  const place = placeIn(dir);
  const f = await Fixture.open(dir);
  await f.start(1, plan(place, 2), { parallelism: 2, checkpoint_interval: 0 });
  const queued = async (): Promise<number> => Math.max(0, ...(await f.engine.channels()).map(c => c.queuedBytes));
  while (await queued() < 20_000) { /* the sources fill the channels */ }
  const taken = f.engine.checkpoint(1, never);
  writeFileSync(place.fast, '');
  const [checkpoint] = await taken;
  assert.deepEqual([checkpoint.status, checkpoint.unaligned, checkpoint.persistedInflightBytes], ['completed', false, 0]);
  await f.finished(1);
  assert.deepEqual(await f.rows(1, COUNTS), expected(ROWS, KEYS));
  await f.close();
});

test('settings that change while the job runs hold for its next checkpoint', async () => {
  const dir = await directory();
  const place = placeIn(dir);
  let f = await Fixture.open(dir);
  await f.start(1, plan(place, 2), { ...UNALIGNED, unaligned_checkpoints: false, checkpoint_interval: 0 });
  await f.engine.alterJob(1, { unaligned_checkpoints: true, checkpoint_interval: 30 });
  await f.until(() => inFlight(f).length >= 1);
  await f.crash();
  f = await Fixture.open(dir);
  await resume(f, place, UNALIGNED, 2);
  await f.close();
});

test('a failed job whose checkpoints are unaligned shows no half epoch: its views are refused; one aligned checkpoint makes them readable', async () => {
  const dir = await directory();
  const place = placeIn(dir);
  let f = await Fixture.open(dir);
  await f.start(1, plan(place, 2), UNALIGNED);
  await f.until(() => inFlight(f).length >= 1);
  await f.crash();
  const failed = async (): Promise<void> => { await f.engine.startJob({ jobId: 1, name: 'job1', plan: plan(place, 2), settings: { ...DEFAULTS, ...UNALIGNED }, status: 'failed', createdMs: 0 }); };
  f = await Fixture.open(dir);
  await failed();
  await assert.rejects(f.rows(1, COUNTS), { code: '55000' });
  await f.close();
  f = await Fixture.open(dir);
  await f.start(1, plan(place, 2), { ...UNALIGNED, unaligned_checkpoints: false, checkpoint_interval: 0 });
  const taken = f.engine.checkpoint(1, never);
  writeFileSync(place.fast, '');
  await taken;
  await f.crash();
  f = await Fixture.open(dir);
  await failed();
  const sum = (await f.rows(1, COUNTS)).reduce((n, r) => n + Number(r.split(' ')[1]), 0);
  assert.ok(sum > 0 && sum <= ROWS * 4, String(sum));
  await f.close();
});

for (const parallelism of [1, 3]) {
  for (const reads of [2, 3] as const) {
    test(`what is in flight at parallelism 2 is given at parallelism ${parallelism} (${reads === 2 ? 'rows' : 'partial results, changes'} in flight)`, async () => {
      const dir = await directory();
      const place = placeIn(dir);
      let f = await Fixture.open(dir);
      await f.start(1, plan(place, reads), UNALIGNED);
      await f.until(() => inFlight(f).length >= 1);
      await f.crash();
      for (const name of readdirSync(dir).filter(n => n.startsWith('out.'))) rmSync(path.join(dir, name));
      f = await Fixture.open(dir);
      await resume(f, place, { ...UNALIGNED, parallelism }, reads);
      await f.close();
    });
  }
}
