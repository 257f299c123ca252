import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Faults } from './faults.js';
import { faultyOpener } from './faulty.js';
import { kvSuite } from './kvsuite.js';
import { levelDb } from './leveldb.js';
import { MemoryKvs } from './memory.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-kv-'));
after(() => rm(root, { recursive: true, force: true }));
let count = 0;
const directory = async (): Promise<string> => join(root, String(count++));

kvSuite('leveldb', levelDb, directory);
kvSuite('memory', new MemoryKvs(), directory);
kvSuite('faulty', faultyOpener(new MemoryKvs(), new Faults()), directory);

test('a faulty store fails writes by rule with the code of the system', async () => {
  const faults = new Faults();
  const kv = await faultyOpener(new MemoryKvs(), faults).open('x');
  faults.add({ operation: 'kv.write', after: 1, times: 1, fault: 'ENOSPC' });
  const write = async (): Promise<void> => {
    const batch = kv.batch();
    batch.put(new Uint8Array([1]), new Uint8Array([1]));
    await batch.write(true);
  };
  await write();
  await assert.rejects(write(), { code: 'ENOSPC' });
  await write();
});

test('memory forgets what was not synced when power is lost', async () => {
  const kvs = new MemoryKvs();
  const kv = await kvs.open('x');
  const put = async (byte: number, sync: boolean): Promise<void> => {
    const batch = kv.batch();
    batch.put(new Uint8Array([byte]), new Uint8Array([byte]));
    await batch.write(sync);
  };
  await put(1, false);
  await put(2, true);
  await put(3, false);
  kvs.loseUnsynced();
  assert.deepEqual((await kv.getMany([new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])])).map((v) => v?.[0]), [1, 2, undefined]);
});

test('a LevelDB directory that cannot be made is an environment error naming it', async () => {
  const file = join(root, 'file');
  await writeFile(file, '');
  await assert.rejects(levelDb.open(join(file, 'db')), (e: Error & { code?: string }) => /could not open directory/.test(e.message) && String(e.code).startsWith('58'));
});
