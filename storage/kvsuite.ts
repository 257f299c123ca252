/** What every Kv must keep, as tests over a factory: run by LevelDB, memory and faulty (with no rules) alike. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { clearRange, compareBytes, forEachEntry, type Kv, type KvOpener, type KvRange, type KvSnapshot } from './kv.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : new TextDecoder().decode(value));

async function write(kv: Kv, changes: Readonly<Record<string, string | null>>, sync = false): Promise<void> {
  const batch = kv.batch();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) batch.del(bytes(key));
    else batch.put(bytes(key), bytes(value));
  }
  await batch.write(sync);
}

async function content(kv: Kv, range: KvRange, snapshot?: KvSnapshot): Promise<string> {
  const out: string[] = [];
  await forEachEntry(kv, range, (k, v) => { out.push(`${text(k)}=${text(v)}`); }, snapshot);
  return out.join(' ');
}

/** `directory` gives a fresh directory; `opener` what is under test. */
export function kvSuite(name: string, opener: KvOpener, directory: () => Promise<string>): void {
  const withKv = (claim: string, run: (kv: Kv, path: string) => Promise<void>): void => {
    test(`${name}: ${claim}`, async () => {
      const path = await directory();
      const kv = await opener.open(path);
      try {
        await run(kv, path);
      } finally {
        await kv.close();
      }
    });
  };

  withKv('a written key is read by get, getSync and getMany; an absent one is undefined', async (kv) => {
    await write(kv, { a: '1', b: '' }, true);
    assert.equal(text(await kv.get(bytes('a'))), '1');
    assert.equal(text(kv.getSync(bytes('b'))), '');
    assert.equal(kv.getSync(bytes('c')), undefined);
    assert.deepEqual((await kv.getMany([bytes('b'), bytes('c'), bytes('a')])).map(text), ['', undefined, '1']);
    assert.deepEqual(await kv.getMany([]), []);
  });

  withKv('the last operation on a key in a batch wins, and arrays may be reused at once', async (kv) => {
    const batch = kv.batch();
    const key = Buffer.from(bytes('k'));
    const value = bytes('1');
    batch.put(key, value);
    value[0] = 50;
    batch.put(bytes('x'), bytes('x'));
    batch.del(bytes('x'));
    key[0] = 108;
    batch.put(key, value);
    assert.equal(batch.length, 4);
    assert.ok(batch.bytes >= 7);
    await batch.write(false);
    assert.equal(await content(kv, {}), 'k=1 l=2');
  });

  withKv('ranges are ordered by bytes, with open and closed ends, both ways', async (kv) => {
    await write(kv, { a: '1', b: '2', ba: '3', c: '4', '\u00ff': '5' });
    assert.equal(await content(kv, {}), 'a=1 b=2 ba=3 c=4 \u00ff=5');
    assert.equal(await content(kv, { gte: bytes('b'), lt: bytes('c') }), 'b=2 ba=3');
    assert.equal(await content(kv, { gt: bytes('b'), lt: bytes('c') }), 'ba=3');
    assert.equal(await content(kv, { gt: bytes('a'), reverse: true }), '\u00ff=5 c=4 ba=3 b=2');
    assert.equal(await content(kv, { gte: bytes('d'), lt: bytes('e') }), '');
  });

  withKv('a snapshot sees what was written when it was taken', async (kv) => {
    await write(kv, { a: '1', b: '1' });
    const snapshot = kv.snapshot();
    await write(kv, { a: '2', b: null, c: '2' });
    assert.equal(await content(kv, {}, snapshot), 'a=1 b=1');
    assert.equal(text(kv.getSync(bytes('a'), snapshot)), '1');
    assert.equal(text(await kv.get(bytes('b'), snapshot)), '1');
    assert.deepEqual((await kv.getMany([bytes('a'), bytes('c')], snapshot)).map(text), ['1', undefined]);
    snapshot.close();
    assert.equal(await content(kv, {}), 'a=2 c=2');
  });

  withKv('an iterator is not disturbed by later writes', async (kv) => {
    await write(kv, Object.fromEntries(Array.from({ length: 3000 }, (_, k) => [`k${10000 + k}`, 'v'])));
    const iterator = kv.iterate({});
    const first = await iterator.next(1);
    assert.equal(first.length, 1);
    await clearRange(kv, {}, false);
    let count = 1;
    for (let part = await iterator.next(700); part.length > 0; part = await iterator.next(700)) count += part.length;
    await iterator.close();
    assert.equal(count, 3000);
    assert.equal(await content(kv, {}), '');
  });

  test(`${name}: content is still there after closing and opening again`, async () => {
    const path = await directory();
    let kv = await opener.open(path);
    await write(kv, { a: '1' }, true);
    await kv.close();
    kv = await opener.open(path);
    assert.equal(await content(kv, {}), 'a=1');
    await kv.close();
  });

  withKv('binary keys and large values survive', async (kv) => {
    const key = new Uint8Array([0, 255, 0, 1]);
    const value = new Uint8Array(300000).map((_, k) => k * 7);
    const batch = kv.batch();
    batch.put(key, value);
    await batch.write(false);
    const read = await kv.get(key);
    assert.ok(read !== undefined && compareBytes(read, value) === 0);
    assert.ok((await kv.approximateSize(new Uint8Array([0]), new Uint8Array([1]))) >= 0);
  });
}
