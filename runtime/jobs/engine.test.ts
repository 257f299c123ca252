import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { encodeOrderKey } from '../../types/encoding/order.js';
import { RowCodec } from '../../types/encoding/row.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import { INT8, type Column } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { formatDatum } from '../../types/textio.js';
import { datumRow } from '../vectors.js';
import { base, countNodes, counts, COUNTS, DEFAULTS, directory, expected, Fixture, KV, never, VIEW } from './testengine.js';

test('a job over a bounded source finishes, keeps a last checkpoint, and stays readable after a restart', async () => {
  const dir = await directory();
  const first = await Fixture.open(dir);
  await first.start(1, counts({ rows: '1000' }));
  await first.finished(1);
  assert.deepEqual(await first.rows(1, COUNTS), expected(1000));
  const history = first.engine.checkpoints();
  assert.equal(history.at(-1)?.status, 'completed');
  assert.equal(history.at(-1)?.acknowledgedTasks, 1);
  await first.close();
  const second = await Fixture.open(dir);
  await second.engine.startJob({ jobId: 1, name: 'job1', plan: counts({ rows: '1000' }), settings: DEFAULTS, status: 'finished', createdMs: 0 });
  assert.deepEqual(await second.rows(1, COUNTS), expected(1000));
  assert.equal(second.engine.checkpoints().filter(c => c.status === 'completed').length, history.filter(c => c.status === 'completed').length, 'the history outlives the restart');
  await second.close();
});

test('parallelism 2 and 3 with an exchange give the rows of parallelism 1', async () => {
  const f = await Fixture.open(await directory());
  await f.start(1, counts({ rows: '2000', keys: '50' }), { parallelism: 2 });
  await f.start(2, counts({ rows: '2000', keys: '50' }), { parallelism: 3 });
  await Promise.all([f.finished(1), f.finished(2)]);
  assert.deepEqual(await f.rows(1, COUNTS), expected(2000, 50));
  assert.deepEqual(await f.rows(2, COUNTS), expected(2000, 50));
  await f.close();
});

for (const parallelism of [1, 2]) {
  test(`workers that die while a job of parallelism ${parallelism} runs cost no row and repeat none`, async () => {
    const f = await Fixture.open(await directory());
    await f.start(1, counts({ rows: '3000', per_batch: '20', pause_ms: '1' }), { parallelism });
    for (let kill = 0; kill < 4 && f.status(1) !== 'finished'; kill++) {
      const { length } = f.engine.checkpoints().filter(c => c.status === 'completed');
      await f.until(() => f.status(1) === 'finished' || f.engine.checkpoints().filter(c => c.status === 'completed').length > length);
      await f.engine.pool.kill((1 + kill) % 2);
    }
    await f.finished(1);
    assert.deepEqual(await f.rows(1, COUNTS), expected(3000));
    assert.ok(f.engine.failures().some(x => x.action === 'restarted'));
    await f.close();
  });
}

test('an engine that crashed goes on where its last checkpoint stands, to the exact result', async () => {
  const dir = await directory();
  const plan = counts({ rows: '3000', per_batch: '20', pause_ms: '1' });
  let f = await Fixture.open(dir);
  await f.start(1, plan);
  for (let crash = 0; crash < 3; crash++) {
    const { length } = f.engine.checkpoints().filter(c => c.status === 'completed');
    await f.until(() => f.status(1) === 'finished' || f.engine.checkpoints().filter(c => c.status === 'completed').length > length);
    await f.crash();
    f = await Fixture.open(dir);
    await f.start(1, plan);
  }
  await f.finished(1);
  assert.deepEqual(await f.rows(1, COUNTS), expected(3000));
  await f.close();
});

test('an error of the user fails the job at once, with nothing to read before its first checkpoint; one of the environment restarts it', async () => {
  const dir = await directory();
  const f = await Fixture.open(dir);
  await f.start(1, counts({ rows: '100', code: '22012', after: '50' }));
  await f.start(2, counts({ rows: '100', code: '08006', after: '50', once: path.join(dir, 'once') }));
  await Promise.all([f.finished(1), f.finished(2)]);
  assert.equal(f.status(1), 'failed');
  assert.equal(f.status(2), 'finished');
  assert.deepEqual(f.engine.failures().map(x => `${x.jobId} ${x.code} ${x.action}`).sort(), ['1 22012 failed', '2 08006 restarted']);
  assert.deepEqual(await f.rows(2, COUNTS), expected(100));
  await assert.rejects(f.rows(1, COUNTS), /it failed before its first checkpoint/);
  await f.close();
});

test('a checkpoint that is not complete in time is expired, and past the tolerance fails the job over', async () => {
  const f = await Fixture.open(await directory());
  const plan = counts({ rows: '10' });
  const sink: PlanNode = { ...base(5, [3], COUNTS), key: [0], op: 'sink', visible: COUNTS.length, relationId: 3, relationName: 'out', connector: 'stuck', options: {} };
  await f.start(1, { ...plan, nodes: [...plan.nodes, sink], roots: [VIEW, 5] }, { checkpoint_timeout: 30, restart_strategy: 'none' });
  await f.finished(1);
  assert.equal(f.status(1), 'failed');
  const [row] = f.engine.checkpoints();
  assert.equal(row.status, 'expired');
  assert.equal(row.acknowledgedTasks, 0);
  assert.match(f.engine.failures()[0].message, /tolera/);
  await f.close();
});

const codec = new RowCodec([INT8, INT8]);
const key = (k: number): Uint8Array => encodeOrderKey([INT8], [k]);
const tablePlan = (): Plan => ({
  version: 1, roots: [VIEW],
  nodes: countNodes({ ...base(1, [], KV), key: [0], op: 'table', tableId: 77, tableName: 't', fields: [0, 1], storedTypes: [INT8, INT8] }),
});

async function put(f: Fixture, rows: readonly (readonly [k: number, before: Datum, after: Datum])[]): Promise<number> {
  return await f.tables.commit(rows.map(([k, before, value]) => ({
    tableId: 77, key: key(k), old: before === null ? null : codec.encode([k, before]), new: value === null ? null : codec.encode([k, value]),
  })));
}

test('FLUSH returns when an acknowledged write is visible; a job reads a table from its rows, then from its log', async () => {
  const f = await Fixture.open(await directory());
  const before = await put(f, [[1, null, 10], [2, null, 20]]);
  await f.start(1, tablePlan());
  await f.engine.caughtUp(1, before, never);
  assert.deepEqual(await f.rows(1, COUNTS), ['1 1 10', '2 1 20']);
  const seq = await put(f, [[1, 10, 11], [2, 20, null], [3, null, 30]]);
  await f.engine.flush(seq, [1], never);
  assert.deepEqual(await f.rows(1, COUNTS), ['1 1 11', '3 1 30']);
  await f.close();
});

test('a transaction over several keys is never seen in part, at parallelism 2, while a crash comes between', async () => {
  const dir = await directory();
  let f = await Fixture.open(dir);
  await put(f, [[1, null, 500], [2, null, 500]]);
  await f.start(1, tablePlan(), { parallelism: 2 });
  await f.engine.caughtUp(1, f.tables.lastSeq, never);
  let first = 500;
  for (let round = 0; round < 60; round++) {
    const moved = first - 1;
    await put(f, [[1, first, moved], [2, 1000 - first, 1000 - moved]]);
    first = moved;
    if (round % 3 === 0) {
      const sum = (await f.rows(1, COUNTS)).map(r => Number(r.split(' ')[2])).reduce((a, b) => a + b, 0);
      assert.equal(sum, 1000, `round ${round}`);
    }
    if (round === 30) {
      await f.crash();
      f = await Fixture.open(dir);
      await f.start(1, tablePlan(), { parallelism: 2 });
    }
  }
  await f.engine.flush(f.tables.lastSeq, [1], never);
  assert.deepEqual(await f.rows(1, COUNTS), [`1 1 ${first}`, `2 1 ${1000 - first}`]);
  await f.close();
});

test('a subscription gives the view as it stands, then each epoch\'s net changes', async () => {
  const f = await Fixture.open(await directory());
  await put(f, [[1, null, 10]]);
  await f.start(1, tablePlan());
  await f.engine.caughtUp(1, f.tables.lastSeq, never);
  const stop = new AbortController();
  const seen: string[] = [];
  const types = COUNTS.map(c => c.type);
  const reading = (async () => {
    for await (const event of f.engine.subscribe(1, VIEW, { snapshot: true, signal: stop.signal })) {
      if (event.batch === null) continue;
      for (let i = 0; i < event.batch.length; i++) {
        const weight = event.batch.weights === null ? 1 : event.batch.weights[i];
        seen.push(`${event.snapshot ? 'snapshot ' : ''}${weight > 0 ? '+' : ''}${weight} ${datumRow(types, event.batch, i).map((v, k) => (v === null ? 'NULL' : formatDatum(types[k], v))).join(' ')}`);
      }
      if (seen.length === 1) void put(f, [[1, 10, 11]]);
      if (seen.length >= 3) return;
    }
  })();
  await reading;
  stop.abort();
  assert.deepEqual(seen, ['snapshot +1 1 1 10', '-1 1 1 10', '+1 1 1 11']);
  await f.close();
});

test('CANCEL ends subscriptions, those that wait for their first barrier, too', async () => {
  const f = await Fixture.open(await directory());
  await f.start(1, counts({ rows: '100000', pause_ms: '4' }));
  const listen = async (): Promise<void> => { for await (const event of f.engine.subscribe(1, VIEW, { snapshot: true, signal: new AbortController().signal })) assert.ok(event !== null); };
  const open = listen();
  await f.until(() => (f.engine.jobs()[0]?.epoch ?? 0) > 1);
  const all = [open, listen(), listen()].map(p => assert.rejects(p, /job "job1" was cancelled/));
  await f.engine.cancelJob(1);
  await Promise.all(all);
  await f.close();
});

test('a view added to a running job is filled from the view it reads, and follows it', async () => {
  const f = await Fixture.open(await directory());
  await put(f, [[1, null, 10], [2, null, 20]]);
  await f.start(1, tablePlan(), { parallelism: 2 });
  await f.engine.caughtUp(1, f.tables.lastSeq, never);
  const total: Column[] = [{ name: 'n', type: INT8 }];
  const plan: Plan = {
    ...tablePlan(), roots: [VIEW, 9],
    nodes: [
      ...tablePlan().nodes,
      { ...base(6, [], COUNTS), op: 'view', relationId: 2, relationName: 'counts', jobId: 1, nodeId: VIEW, fields: [0, 1, 2], key: [0] },
      { ...base(7, [6], COUNTS), op: 'exchange', kind: 'single', keys: [] },
      { ...base(8, [7], total), op: 'aggregate', key: [], groupKeys: [], inputAppendOnly: false, closes: null, calls: [{ fn: 'count()', args: [], distinct: false, filter: null, orderBy: [], type: INT8 }] },
      { ...base(9, [8], total), op: 'materialize', key: [], relationId: 9, relationName: 'total', visible: 1 },
    ],
  };
  await f.engine.extendJob(1, plan);
  assert.deepEqual(await f.rows(1, total, 9), ['2']);
  await put(f, [[3, null, 30]]);
  await f.engine.flush(f.tables.lastSeq, [1], never);
  assert.deepEqual(await f.rows(1, total, 9), ['3']);
  await f.engine.shrinkJob(1, tablePlan());
  assert.deepEqual(await f.rows(1, COUNTS), ['1 1 10', '2 1 20', '3 1 30']);
  await f.close();
});

for (const parallelism of [1, 2]) {
  test(`a read holds all that was committed before it and whole transactions only, with a barrier or without, parallelism ${parallelism}`, async () => {
    const f = await Fixture.open(await directory());
    await put(f, [[1, null, 500], [2, null, 500]]);
    await f.start(1, tablePlan(), { parallelism });
    await f.engine.caughtUp(1, f.tables.lastSeq, never);
    for (let n = 1; n <= 40; n++) {
      await put(f, [[1, 500 - n + 1, 500 - n], [2, 500 + n - 1, 500 + n]]);
      const expected = [`1 1 ${500 - n}`, `2 1 ${500 + n}`];
      // The first has its barrier; nothing comes after it, so that the others need none.
      for (let k = 0; k < 3; k++) assert.deepEqual(await f.rows(1, COUNTS), expected);
    }
    let writing = true;
    const writes = (async () => {
      for (let n = 41; n <= 120; n++) await put(f, [[1, 500 - n + 1, 500 - n], [2, 500 + n - 1, 500 + n]]);
      writing = false;
    })();
    while (writing) {
      const all = await Promise.all(Array.from({ length: 4 }, () => f.rows(1, COUNTS)));
      for (const rows of all) assert.equal(rows.reduce((sum, row) => sum + Number(row.split(' ')[2]), 0), 1000, rows.join('; '));
    }
    await writes;
    await f.close();
  });
}
