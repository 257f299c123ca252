import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { FileRef } from '../../storage/checkpoint/metadata.js';
import { realFiles } from '../../storage/filesystem.js';
import { localStore } from '../../storage/localstore.js';
import type { PlanNode } from '../../types/plan.js';
import { FLOAT8, INT8, NUMERIC, TEXT, type Column, type SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { Numeric } from '../../types/numeric.js';
import type { Batch } from '../batch.js';
import { batchFromDatums, datumRow } from '../vectors.js';
import { cutPlan, subtaskOfKeyGroup, type Fragment } from './fragment.js';
import { decodeBatch, encodeBatch, originOf, readersOf, readInFlight, writeInFlight, type Origin, type Restored } from './inflight.js';
import { keyEncoder } from '../keys.js';
import { TaskFiles } from '../state/taskfiles.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-inflight-'));
after(() => rm(root, { recursive: true, force: true }));
const storage = new CheckpointStorage(localStore(realFiles, root), 1);

const columns: Column[] = [{ name: 'a', type: INT8 }, { name: 'b', type: TEXT }];
const types = columns.map(c => c.type);
const common = (id: number, inputs: number[]): { id: number; inputs: number[]; columns: Column[]; appendOnly: boolean; key: null } => ({ id, inputs, columns, appendOnly: false, key: null });
const nodes: PlanNode[] = [
  { ...common(1, []), op: 'table', tableId: 1, tableName: 't', fields: [0, 1], storedTypes: types },
  { ...common(2, [1]), op: 'exchange', kind: 'hash', keys: [0] },
  { ...common(3, [2]), op: 'materialize', relationId: 3, relationName: 'v', visible: 2 },
];
const MAX = 128;
const reading = (parallelism: number): Fragment => {
  const fragment = cutPlan({ version: 1, nodes, roots: [] }, parallelism).find(f => f.nodes.some(n => n.id === 3));
  assert.ok(fragment !== undefined);
  return fragment;
};
const rowsOf = (batch: Batch): [number | null, ...Datum[]][] => Array.from({ length: batch.length }, (_, i) => [batch.weights === null ? 1 : batch.weights[i], ...datumRow(types, batch, i)]);
const restore = (files: readonly FileRef[], parallelism: number, subtask: number): Promise<Restored[]> => {
  const fragment = reading(parallelism);
  return readInFlight(storage, files, { fragment, subtask, maxParallelism: MAX, edgeTypes: () => types, inputTypes: () => types, partialTypes: () => types });
};
async function written(origin: Origin, checkpoint: number, ...batches: Batch[]): Promise<FileRef> {
  const ref = await writeInFlight(new TaskFiles(storage), { name: `1.${origin.subtask}`, maxParallelism: MAX, hashVersion: 1 }, checkpoint, [{ origin, types, batches }]);
  assert.ok(ref !== null);
  return ref;
}
const channel = (subtask: number): Extract<Origin, { partials: boolean }> => ({ entry: 2, partials: false, readers: readersOf(reading(2), 2), subtask, parallelism: 2 });
const numbers = (from: number, to: number): Batch => batchFromDatums(types, Array.from({ length: to - from }, (_, i) => [from + i, `row ${from + i}`]));
const ownerOf = (a: number, parallelism: number): number => subtaskOfKeyGroup((keyEncoder(types, [0])(batchFromDatums(types, [[a, null]])).hash[0] >>> 0) % MAX, parallelism, MAX);

test('a batch comes back as it was: NULLs, weights, texts, numbers past 2^53, numerics', () => {
  const all: SqlType[] = [INT8, TEXT, FLOAT8, NUMERIC];
  const data: Datum[][] = [[1, 'x', 0.5, Numeric.parse('1.50')], [null, '', null, null], [9007199254740993n, 'Zürich €', -0.25, Numeric.parse('-12345678901234567890.5')]];
  const batch = batchFromDatums(all, data, [1, -2, 3]);
  const back = decodeBatch(encodeBatch(channel(0), all, batch), all);
  assert.deepEqual(Array.from({ length: 3 }, (_, i) => datumRow(all, back, i)), data);
  assert.deepEqual([...back.weights ?? []].slice(0, 3), [1, -2, 3]);
});

test('the origin stands at the head of a block', () => {
  assert.deepEqual(originOf(encodeBatch(channel(1), types, numbers(0, 1))), channel(1));
});

test('nothing in flight: no file', async () => {
  assert.equal(await writeInFlight(new TaskFiles(storage), { name: '1.0', maxParallelism: MAX, hashVersion: 1 }, 1, [{ origin: channel(0), types, batches: [numbers(0, 0)] }]), null);
});

test('at the same parallelism each batch goes to its own subtask, in order', async () => {
  const files = [await written(channel(0), 2, numbers(0, 3), numbers(3, 5)), await written(channel(1), 2, numbers(10, 12))];
  assert.deepEqual((await restore(files, 2, 0)).map(r => [r.own, rowsOf(r.batch).map(([, a]) => a)]), [[true, [0, 1, 2]], [true, [3, 4]]]);
  assert.deepEqual((await restore(files, 2, 1)).map(r => rowsOf(r.batch).map(([, a]) => a)), [[10, 11]]);
});

test('at another parallelism rows go to the subtasks that own their keys, each once', async () => {
  const files = [await written(channel(0), 3, numbers(0, 50)), await written(channel(1), 3, numbers(50, 100))];
  for (const parallelism of [3, 5]) {
    const seen: number[] = [];
    for (let subtask = 0; subtask < parallelism; subtask++) {
      for (const { batch, own } of await restore(files, parallelism, subtask)) {
        assert.equal(own, false);
        for (const [weight, a] of rowsOf(batch)) {
          assert.deepEqual([weight, ownerOf(Number(a), parallelism)], [1, subtask]);
          seen.push(Number(a));
        }
      }
    }
    assert.deepEqual(seen.sort((x, y) => x - y), Array.from({ length: 100 }, (_, i) => i));
  }
});

test('at parallelism 1 the rows go to the readers of what was the entry', async () => {
  const files = [await written(channel(0), 4, numbers(0, 2)), await written(channel(1), 4, numbers(2, 4))];
  const restored = await restore(files, 1, 0);
  assert.deepEqual(restored.map(r => [r.origin.readers, rowsOf(r.batch).map(([, a]) => a)]), [[[{ node: 3, input: 0 }], [0, 1]], [[{ node: 3, input: 0 }], [2, 3]]]);
});

test('what an operator owed goes to the subtask that owns the keys now, or to a single one where there are none', async () => {
  const owed = (keys: number[] | null, subtask: number): Origin => ({ entry: null, readers: [{ node: 3, input: 0 }], keys, subtask, parallelism: 2 });
  const byKey = await written(owed([0], 0), 5, numbers(0, 20));
  for (const subtask of [0, 1, 2]) for (const r of await restore([byKey], 3, subtask)) for (const [, a] of rowsOf(r.batch)) assert.equal(ownerOf(Number(a), 3), subtask);
  const anywhere = [await written(owed(null, 0), 6, numbers(0, 2)), await written(owed(null, 1), 6, numbers(2, 4))];
  const counts: number[] = [];
  for (const subtask of [0, 1, 2]) counts.push((await restore(anywhere, 3, subtask)).reduce((n, r) => n + r.batch.length, 0));
  assert.deepEqual(counts, [2, 2, 0]);
});

test('rows between subtasks without an exchange, and partial results for a plan that takes rows, are refused', async () => {
  const partials = await written({ ...channel(0), entry: 2, partials: true }, 7, numbers(0, 1));
  await assert.rejects(restore([partials], 2, 0), { code: '0A000' });
  const gone = await written({ ...channel(0), entry: 99 }, 8, numbers(0, 1));
  await assert.rejects(restore([gone], 3, 0), { code: '0A000' });
});

test('a damaged file in flight is named', async () => {
  const ref = await written(channel(0), 9, numbers(0, 100));
  await assert.rejects(restore([{ ...ref, checksum: '00000000' }], 2, 0), { code: 'XX001' });
});
