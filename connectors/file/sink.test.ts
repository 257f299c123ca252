import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { batchFromDatums } from '../../runtime/vectors.js';
import type { SinkWriter } from '../../runtime/connector.js';
import type { Batch } from '../../runtime/batch.js';
import type { Json } from '../../types/connect.js';
import type { Column } from '../../types/sqltype.js';
import { Numeric } from '../../types/numeric.js';
import { TestContext } from '../testing.js';
import { fileSink } from './sink.js';

const root = mkdtempSync(path.join(tmpdir(), 'millrace-filesink-'));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => path.join(root, `f${folders++}`);

const COLUMNS: readonly Column[] = [{ name: 'id', type: { kind: 'int8' } }, { name: 's', type: { kind: 'text' } }];
const rows = (from: number, to: number): Batch => batchFromDatums(COLUMNS.map((c) => c.type), Array.from({ length: to - from }, (_, i) => [from + i, `v${from + i}`]));

function writer(options: Record<string, string>, columns: readonly Column[] = COLUMNS, key: readonly number[] | null = null): SinkWriter {
  return fileSink.create({ jobId: 3, nodeId: 9, relationName: 'out', options, columns, visible: columns, key, appendOnly: key === null, subtask: 0, parallelism: 1 }, new TestContext());
}

const visible = (d: string): string => readdirSync(d).filter((n) => !n.startsWith('.')).sort().map((n) => readFileSync(path.join(d, n), 'utf8')).join('');
const ids = (d: string): number[] => visible(d).split('\n').filter((l) => l !== '').map((l) => (JSON.parse(l) as { id: number }).id);

test('rows become visible at commit only, and a commit may be repeated', async () => {
  const d = folder();
  const w = writer({ path: d });
  await w.open(null, 0);
  await w.write(rows(0, 2));
  await w.prepare(1);
  await w.write(rows(2, 3));
  assert.deepEqual(ids(d), []);
  await w.commit(1);
  assert.equal(visible(d), '{"id":0,"s":"v0"}\n{"id":1,"s":"v1"}\n');
  await w.commit(1);
  await w.prepare(2);
  await w.prepare(3);
  await w.commit(3);
  assert.deepEqual(ids(d), [0, 1, 2]);
  assert.equal(readdirSync(d).length, 2);
  await w.close();
});

test('a crash at any step, then recovery and replay, gives each row once', async () => {
  // Steps of an endless job that writes one row an epoch with a checkpoint each; a crash happens before step `crash`.
  for (let crash = 0; crash < 24; crash++) {
    const d = folder();
    let durable: { id: number; state: Json; next: number } = { id: 0, state: null, next: 0 };
    let step = 0;
    const run = async (limit: number, checkpoints: number): Promise<void> => {
      const w = writer({ path: d });
      let next = durable.next;
      await w.open(durable.state, durable.id);
      for (let id = durable.id + 1; id <= checkpoints; id++) {
        if (step++ >= limit) return w.close();
        await w.write(rows(next, next + 1));
        next++;
        if (step++ >= limit) return w.close();
        const state = await w.prepare(id);
        if (step++ >= limit) return w.close();
        durable = { id, state: JSON.parse(JSON.stringify(state)) as Json, next };
        // Every third completion notice comes late or never.
        if (id % 3 === 0) continue;
        if (step++ >= limit) return w.close();
        await w.commit(id);
      }
      await w.commit(checkpoints);
      return w.close();
    };
    await run(crash, 6);
    step = 0;
    await run(Infinity, 8);
    assert.deepEqual(ids(d), [0, 1, 2, 3, 4, 5, 6, 7], `crash at step ${crash}`);
    assert.deepEqual(readdirSync(d).filter((n) => n.startsWith('.')), []);
  }
});

test('a changelog names the op; values are as row_to_json writes them', async () => {
  const d = folder();
  const columns: readonly Column[] = [{ name: 'k', type: { kind: 'int4' } }, { name: 'n', type: { kind: 'numeric' } }, { name: 't', type: { kind: 'timestamp' } }, { name: 'f', type: { kind: 'float8' } }];
  const w = writer({ path: d, changelog: 'true' }, columns, [0]);
  await w.open(null, 0);
  await w.write(batchFromDatums(columns.map((c) => c.type), [
    [1, Numeric.parse('1.50'), 0, NaN], [1, Numeric.parse('2.5'), 1_000_000, 0.1], [2, null, null, null], [3, null, null, 1],
  ], [-1, 1, 1, -1]));
  await w.prepare(1);
  await w.commit(1);
  await w.close();
  assert.deepEqual(visible(d).trimEnd().split('\n'), [
    '{"op":"update_before","k":1,"n":1.50,"t":"1970-01-01T00:00:00","f":"NaN"}', '{"op":"update_after","k":1,"n":2.5,"t":"1970-01-01T00:00:01","f":0.1}',
    '{"op":"insert","k":2,"n":null,"t":null,"f":null}', '{"op":"delete","k":3,"n":null,"t":null,"f":1}',
  ]);
  assert.equal(fileSink.acceptsUpdates({ path: d }), 'no');
  assert.equal(fileSink.acceptsUpdates({ path: d, changelog: 'true' }), 'yes');
});

test('csv parts begin with the header; a file in the folder\'s place is refused', async () => {
  const d = folder();
  const w = writer({ path: d, format: 'csv' });
  await w.open(null, 0);
  await w.write(batchFromDatums(COLUMNS.map((c) => c.type), [[1, 'a,"b"\n'], [2, ''], [3, null]]));
  await w.prepare(1);
  await w.commit(1);
  await w.close();
  assert.equal(visible(d), 'id,s\n1,"a,""b""\n"\n2,""\n3,\n');
  const f = path.join(root, 'plain');
  writeFileSync(f, '');
  await assert.rejects(fileSink.check?.({ path: f }) ?? Promise.resolve(), { code: '42809' });
});
