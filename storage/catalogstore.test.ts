import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CatalogStore } from './catalogstore.js';
import { openDataDirectory } from './datadir.js';
import { Faults } from './faults.js';
import { faultyOpener } from './faulty.js';
import { realFiles } from './filesystem.js';
import { levelDb } from './leveldb.js';
import { MemoryKvs } from './memory.js';

const root = await mkdtemp(join(tmpdir(), 'millrace-catalog-'));
after(() => rm(root, { recursive: true, force: true }));

test('documents, ids and histories survive a restart; ids are never used again', async () => {
  const kvs = new MemoryKvs();
  const given = new Set<number>();
  for (let start = 0; start < 3; start++) {
    const store = await CatalogStore.open(await kvs.open('c'));
    for (let k = 0; k < 40; k++) {
      const id = await store.allocateId('oid');
      assert.ok(id >= 16384 && !given.has(id));
      given.add(id);
    }
    assert.equal(store.all('relation').length, start);
    await store.commit([{ kind: 'relation', id: start + 1, value: { name: `r${start}` } }, { kind: 'job', id: 1, value: { run: start } }]);
    for (let k = 0; k < 5; k++) await store.append('checkpoints', 1, { start, k }, 7);
    assert.deepEqual(store.get('job', 1), { run: start });
    await store.close();
    kvs.loseUnsynced();
  }
  const store = await CatalogStore.open(await kvs.open('c'));
  assert.deepEqual(store.all('relation').map((d) => d.id), [1, 2, 3]);
  assert.equal(await CatalogStore.open(await new MemoryKvs().open('x')).then((s) => s.allocateId('job')), 1);
});

test('a history keeps its newest rows per group', async () => {
  const store = await CatalogStore.open(await new MemoryKvs().open('c'));
  for (let k = 0; k < 10; k++) await store.append('checkpoints', 3, { k }, 4);
  await store.append('checkpoints', 4, { k: 0 }, 4);
  assert.deepEqual(await store.history('checkpoints', 3), [{ k: 6 }, { k: 7 }, { k: 8 }, { k: 9 }]);
  assert.deepEqual(store.groups('checkpoints'), [3, 4]);
  await store.dropHistory('checkpoints', 3);
  assert.deepEqual(await store.history('checkpoints', 3), []);
  assert.deepEqual(await store.history('checkpoints', 4), [{ k: 0 }]);
});

test('a commit that fails changes nothing', async () => {
  const faults = new Faults();
  const kvs = new MemoryKvs();
  const store = await CatalogStore.open(await faultyOpener(kvs, faults).open('c'));
  await store.commit([{ kind: 'a', id: 1, value: 1 }]);
  faults.add({ operation: 'kv.write', times: 1, fault: 'ENOSPC' });
  await assert.rejects(store.commit([{ kind: 'a', id: 1, value: 2 }, { kind: 'b', id: 1, value: 2 }]), { code: 'ENOSPC' });
  assert.equal(store.get('a', 1), 1);
  assert.equal(store.get('b', 1), undefined);
});

test('a second server on the same data directory is refused; after a close it is free', async () => {
  const path = join(root, 'data');
  const first = await openDataDirectory(path, realFiles, levelDb);
  await assert.rejects(openDataDirectory(path, realFiles, levelDb), (e: Error & { code?: string; hint?: string }) => e.code === '55006' && e.message === `data directory "${path}" is in use by another server` && e.hint !== undefined);
  await first.close();
  const second = await openDataDirectory(path, realFiles, levelDb);
  assert.equal(second.path, path);
  await second.close();
});

test('a data directory of another format, or one that cannot be made, is refused with its path', async () => {
  const path = join(root, 'newer');
  await (await openDataDirectory(path, realFiles, levelDb)).close();
  await writeFile(join(path, 'version'), '99\n');
  await assert.rejects(openDataDirectory(path, realFiles, levelDb), /format 99/);
  await writeFile(join(root, 'file'), '');
  await assert.rejects(openDataDirectory(join(root, 'file', 'x'), realFiles, levelDb), /could not create data directory/);
});
