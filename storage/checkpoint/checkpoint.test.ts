import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '../../types/crc32c.js';
import { Faults } from '../faults.js';
import { faultyFiles } from '../faultyfiles.js';
import { realFiles } from '../filesystem.js';
import { localStore } from '../localstore.js';
import { EntryWriter } from './format.js';
import { decodeMetadata, encodeMetadata, METADATA_FORMAT, type CheckpointMetadata, type FileRef } from './metadata.js';
import { CheckpointStorage } from './storage.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-checkpoint-'));
after(() => rm(root, { recursive: true, force: true }));
const faults = new Faults();
const files = faultyFiles(realFiles, faults);
let folders = 0;
const fresh = (): CheckpointStorage => new CheckpointStorage(localStore(files, join(root, String(folders++))), 4);

async function stateFile(storage: CheckpointStorage, checkpoint: number, kind: 'base' | 'delta' = 'delta'): Promise<FileRef> {
  const writer = new EntryWriter();
  writer.table(16);
  const bytes = new TextEncoder().encode(`key of ${checkpoint}`);
  writer.put(1, bytes, 0, bytes.length, bytes, 0, bytes.length);
  writer.finish();
  return await storage.writeStateFile({ header: { task: '1.0', kind, checkpoint, since: checkpoint - 1, maxParallelism: 128, hashVersion: 1 }, blocks: writer.blocks, end: () => ({ entries: 1, tableSizes: {} }) });
}

function metadata(checkpointId: number, refs: readonly FileRef[]): CheckpointMetadata {
  return {
    format: METADATA_FORMAT, jobId: 4, jobName: 'zählung', checkpointId, kind: 'checkpoint', mode: 'exactly_once',
    plan: { nodes: [] } as unknown as CheckpointMetadata['plan'], hashVersion: 1, parallelism: 1, maxParallelism: 128, epoch: 10, logPosition: 5,
    watermarkUs: null, triggerMs: 1, completionMs: 2, stateBytes: 3, checkpointedBytes: 4,
    tasks: [{ task: '1.0', subtask: 0, keyGroupFirst: 0, keyGroupLast: 127, nodeIds: [1], since: 0, files: refs, operators: { 1: { position: 7 } } }],
  };
}

const shared = async (s: CheckpointStorage): Promise<number> => (await realFiles.list(`${s.directory}/shared`)).length;

test('crc32c is Castagnoli\'s', () => {
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  const text = new TextEncoder().encode('the quick brown fox jumps over the lazy dog');
  assert.equal(crc32c(text, 20, text.length, crc32c(text, 0, 20)), crc32c(text));
});

test('a completed checkpoint is listed newest first, and its metadata reads back', async () => {
  const s = fresh();
  const refs: FileRef[] = [];
  for (let id = 1; id <= 11; id++) {
    refs.push(await stateFile(s, id));
    assert.match(await s.complete(metadata(id, refs)), new RegExp(`/4/chk-${id}$`));
  }
  const list = await s.list();
  assert.deepEqual(list.map((c) => c.id), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  assert.deepEqual(list[0].metadata?.tasks[0].files, refs);
  assert.equal(list[0].metadata?.jobName, 'zählung');
  await s.verify(metadata(11, refs), true);
});

test('every flipped byte of _metadata is found and the file named', async () => {
  const good = encodeMetadata(metadata(1, []));
  for (let at = 0; at < good.length; at++) {
    const bad = Uint8Array.from(good);
    bad[at] ^= 1 << (at % 8);
    assert.throws(() => decodeMetadata(bad, '/p/_metadata'), (e: Error & { code?: string }) => e.code === 'XX001' && e.message.includes('"/p/_metadata"'), `byte ${at}`);
  }
});

test('a damaged checkpoint is listed with its error, a checkpoint without _metadata not at all', async () => {
  const s = fresh();
  await s.complete(metadata(1, []));
  await s.complete(metadata(2, []));
  await files.makeDirectory(s.path(3));
  const file = await realFiles.open(`${s.path(2)}/_metadata`, 'create');
  await file.append(new TextEncoder().encode('{}'));
  await file.close();
  const list = await s.list();
  assert.deepEqual(list.map((c) => [c.id, c.error?.code ?? null]), [[2, 'XX001'], [1, null]]);
});

test('retention removes old checkpoints and exactly the files nobody refers to', async () => {
  const s = fresh();
  const refs = [await stateFile(s, 1, 'base'), await stateFile(s, 2), await stateFile(s, 3)];
  const all = [metadata(1, refs.slice(0, 1)), metadata(2, refs.slice(0, 2)), metadata(3, refs)];
  const base = await stateFile(s, 3, 'base');
  all.push(metadata(4, [base]), metadata(5, [base]));
  for (const m of all) await s.complete(m);
  assert.deepEqual(await s.retain([...all].reverse(), 3), [2, 1]);
  assert.equal(await shared(s), 4, 'checkpoint 3 still needs its files');
  assert.deepEqual(await s.retain(all.slice(2).reverse(), 2, new Set([refs[0].path.slice(10)])), [3]);
  assert.equal(await shared(s), 2, 'the base, and the file in use');
  assert.deepEqual((await s.list()).map((c) => c.id), [5, 4]);
  await s.cleanUp(await s.list());
  assert.equal(await shared(s), 1);
  await s.drop();
  assert.deepEqual(await s.list(), []);
});

test('leftovers of a crash go at start', async () => {
  const s = fresh();
  const kept = await stateFile(s, 1);
  await s.complete(metadata(1, [kept]));
  await stateFile(s, 2);
  await files.makeDirectory(s.path(2));
  const torn = await realFiles.open(`${s.directory}/shared/delta-2-x.tmp`, 'create');
  await torn.close();
  await s.cleanUp(await s.list());
  assert.equal(await shared(s), 1);
  assert.deepEqual((await realFiles.list(s.directory)).sort(), ['chk-1', 'shared']);
});

test('a checkpoint that refers to a missing file does not complete', async () => {
  const s = fresh();
  const ref = await stateFile(s, 1);
  await s.removeStateFile(ref);
  await assert.rejects(s.complete(metadata(1, [ref])), { code: 'XX001' });
  assert.deepEqual(await s.list(), []);
});

for (const [operation, letThrough] of [['file.open', 0], ['file.write', 0], ['file.sync', 0], ['file.sync', 1], ['file.rename', 0]] as const) {
  test(`${operation} failing after ${letThrough} leaves no checkpoint and no file behind, and a second try completes`, async () => {
    const s = fresh();
    faults.add({ operation, path: `/4/`, after: letThrough, times: 1, fault: 'EIO' });
    await assert.rejects(stateFile(s, 1), { code: 'EIO' });
    assert.equal(await shared(s), 0);
    const ref = await stateFile(s, 1);
    faults.add({ operation, path: '_metadata', times: 1, fault: 'ENOSPC' });
    await assert.rejects(s.complete(metadata(1, [ref])), { code: 'ENOSPC' });
    assert.deepEqual(await s.list(), []);
    await s.complete(metadata(1, [ref]));
    assert.equal((await s.list()).length, 1);
    faults.clear();
  });
}
