/** What every FileStore must do: called by the tests of each with a factory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyFile, type FileStore } from './filestore.js';

const bytesOf = (length: number, seed: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >>> 8)) & 255);

async function put(store: FileStore, name: string, pieces: readonly Uint8Array[]): Promise<void> {
  const writer = await store.create(name);
  for (const piece of pieces) await writer.append(piece);
  await writer.commit();
}

export function fileStoreSuite(kind: string, fresh: () => FileStore): void {
  test(`${kind}: a file is there at commit, whole, and reads back at any offset`, async () => {
    const store = fresh();
    const pieces = [bytesOf(10, 1), bytesOf(100_000, 2), bytesOf(1, 3)];
    const whole = Buffer.concat(pieces);
    const writer = await store.create('4/shared/a b+c&d=ä\'(1)');
    for (const piece of pieces) {
      const reused = Uint8Array.from(piece);
      await writer.append(reused);
      reused.fill(0);
    }
    assert.deepEqual(await store.list('4'), [], 'not before commit');
    assert.equal(await store.open('4/shared/a b+c&d=ä\'(1)'), null);
    await writer.commit();
    assert.deepEqual(await store.list('4'), [{ name: 'shared/a b+c&d=ä\'(1)', bytes: whole.length }]);
    assert.equal(await store.size('4/shared/a b+c&d=ä\'(1)'), whole.length);
    const reader = await store.open('4/shared/a b+c&d=ä\'(1)');
    assert.ok(reader !== null);
    assert.equal(reader.size, whole.length);
    for (const [at, length] of [[0, 8], [8, 9], [17, 50_000], [50_000, 60_000], [whole.length - 1, 10], [3, 4], [whole.length, 5]] as const) {
      assert.ok(whole.subarray(at, at + length).equals(await reader.read(at, length)), `${length} bytes at ${at}`);
    }
    await reader.close();
  });

  test(`${kind}: a file of several parts reads back in blocks that cross them`, async () => {
    const store = fresh();
    const piece = bytesOf(1024 * 1024, 5);
    await put(store, 'large', Array.from({ length: 19 }, (_, i) => { piece[0] = i; return Uint8Array.from(piece); }));
    const reader = await store.open('large');
    assert.ok(reader !== null);
    assert.equal(reader.size, 19 * piece.length);
    for (let at = 0, block = 0; at < reader.size; block++) {
      const length = 9 + block * 4999;
      const got = await reader.read(at, length);
      assert.equal(got.length, Math.min(length, reader.size - at));
      for (let i = 0; i < got.length; i += 997) {
        const offset = (at + i) % piece.length;
        const expected = offset === 0 ? Math.floor((at + i) / piece.length) : piece[offset];
        if (got[i] !== expected) assert.fail(`byte ${at + i} is ${got[i]}, not ${expected}`);
      }
      at += got.length;
    }
    await reader.close();
    assert.ok(await copyFile(store, 'large', store, 'copies/large'));
    assert.equal(await store.size('copies/large'), 19 * piece.length);
    assert.equal(await copyFile(store, 'nothing', store, 'copies/nothing'), false);
  });

  test(`${kind}: what is discarded leaves nothing, small or large`, async () => {
    const store = fresh();
    for (const pieces of [[bytesOf(10, 1)], Array.from({ length: 17 }, () => bytesOf(1024 * 1024, 1))]) {
      const writer = await store.create('f/gone');
      for (const piece of pieces) await writer.append(piece);
      await writer.discard();
      assert.equal(await store.size('f/gone'), null);
      await store.removeUnfinished('f');
      assert.deepEqual(await store.list(''), []);
    }
  });

  test(`${kind}: what a crash left half written is not listed, and goes`, async () => {
    const store = fresh();
    await put(store, 'f/kept', [bytesOf(3, 1)]);
    const writer = await store.create('f/torn');
    for (let i = 0; i < 9; i++) await writer.append(bytesOf(1024 * 1024, i));
    assert.deepEqual((await store.list('f')).map(f => f.name), ['kept']);
    await store.removeUnfinished('f');
    await assert.rejects(writer.commit());
    assert.deepEqual((await store.list('f')).map(f => f.name), ['kept']);
  });

  test(`${kind}: small files are replaced whole; an empty one is a file`, async () => {
    const store = fresh();
    assert.equal(await store.read('a/_metadata'), null);
    for (const bytes of [bytesOf(20, 1), bytesOf(5, 2), new Uint8Array(0)]) {
      await store.write('a/_metadata', bytes);
      assert.deepEqual(Uint8Array.from(await store.read('a/_metadata') ?? []), bytes);
      assert.equal(await store.size('a/_metadata'), bytes.length);
      const reader = await store.open('a/_metadata');
      assert.equal(reader?.size, bytes.length);
      await reader?.close();
    }
  });

  test(`${kind}: folders are listed and removed whole, and no other of a like name`, async () => {
    const store = fresh();
    const names = [...Array.from({ length: 30 }, (_, i) => `1/shared/delta-${i}`), '1/chk-1/_metadata', '1/chk-12/_metadata', '12/shared/x'];
    for (const name of names) await store.write(name, bytesOf(3, 1));
    assert.deepEqual((await store.list('')).map(f => f.name).sort(), [...names].sort());
    assert.deepEqual((await store.list('1/chk-1')).map(f => f.name), ['_metadata']);
    await store.removeFolder('1/chk-1');
    await store.remove(['1/shared/delta-3', '1/shared/delta-4', '1/shared/none']);
    await store.remove(['1/shared/none']);
    await store.remove([]);
    assert.equal((await store.list('1')).length, 29);
    await store.removeFolder('1');
    await store.removeFolder('1');
    assert.deepEqual(await store.list(''), [{ name: '12/shared/x', bytes: 3 }]);
  });
}
