import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SqlError } from '../../types/error.js';
import { fileStoreSuite } from '../filestoresuite.js';
import type { FileStore } from '../filestore.js';
import { S3Client, type S3Access } from './client.js';
import { s3Store } from './store.js';
import { s3Unavailable, S3Server } from './testserver.js';

const skip = s3Unavailable();
let server: S3Server | null = null;
let prefixes = 0;

before(async () => {
  if (skip !== false) return;
  server = await S3Server.start();
  await server.createBucket('checkpoints');
}, { timeout: 120_000 });
after(async () => { await server?.stop(); });

const running = (): S3Server => {
  if (server === null) throw new Error('no server');
  return server;
};
function access(change: Partial<S3Access> = {}): S3Access {
  return { bucket: 'checkpoints', prefix: `p ${prefixes++}/ü`, endpoint: running().endpoint, region: 'us-east-1', pathStyle: false, accessKeyId: 'id', secretAccessKey: 'key', sessionToken: null, ...change };
}
function fresh(change: Partial<S3Access> = {}): FileStore {
  const a = access(change);
  return s3Store(`s3://${a.bucket}/${a.prefix}`, new S3Client(a));
}
const refused = (code: string, ...says: readonly RegExp[]) => (e: unknown): boolean => e instanceof SqlError && e.code === code
  && says.every(pattern => pattern.test(`${e.message}\n${e.detail ?? ''}\n${e.hint ?? ''}`));

if (skip === false) fileStoreSuite('S3', fresh);
else test('S3 storage against a real server', { skip }, () => undefined);

test('a listing of more than a thousand files is whole, and is removed whole', { skip }, async () => {
  const store = fresh();
  const names = Array.from({ length: 1203 }, (_, i) => `7/shared/delta-${i}`);
  for (let at = 0; at < names.length; at += 50) await Promise.all(names.slice(at, at + 50).map(name => store.write(name, new Uint8Array([1]))));
  assert.deepEqual((await store.list('')).map(f => f.name).sort(), names.sort());
  await store.removeFolder('7');
  assert.deepEqual(await store.list(''), []);
});

test('a bucket that does not exist is named, and what to do', { skip }, async () => {
  const store = fresh({ bucket: 'nowhere' });
  const says = refused('22023', /s3:\/\/nowhere/, /NoSuchBucket/, /Create bucket "nowhere"/);
  await assert.rejects(store.write('a', new Uint8Array(1)), says);
  await assert.rejects(store.read('a'), says);
  await assert.rejects(store.open('a'), says);
  await assert.rejects(store.list(''), says);
});

test('signatures are right, wrong keys and missing rights are refused with the bucket and key named', { skip }, async () => {
  const all = await running().keys('all', ['s3:*']);
  const reader = await running().keys('reader', ['s3:GetObject', 's3:ListBucket']);
  const base = access();
  await running().enforce(true);
  try {
    const store = s3Store('s3://x', new S3Client({ ...base, ...all }));
    await store.write('sub/a b+c&=ä(1)', new Uint8Array([1, 2]));
    assert.deepEqual((await store.list('')).map(f => f.name), ['sub/a b+c&=ä(1)']);
    assert.equal((await store.open('sub/a b+c&=ä(1)'))?.size, 2);
    const large = await store.create('large');
    for (let i = 0; i < 9; i++) await large.append(new Uint8Array(1024 * 1024));
    await large.commit();
    await store.write('other', new Uint8Array(1));
    await store.remove(['sub/a b+c&=ä(1)', 'other']);
    const only = s3Store('s3://x', new S3Client({ ...base, ...reader }));
    assert.equal((await only.list('')).length, 1);
    await assert.rejects(only.write('b', new Uint8Array(1)), refused('28000', new RegExp(`s3://checkpoints/${base.prefix}/b`), /AccessDenied/, /s3:PutObject/));
    const wrong = s3Store('s3://x', new S3Client({ ...base, ...all, secretAccessKey: 'wrong' }));
    await assert.rejects(wrong.write('b', new Uint8Array(1)), refused('28000', /s3:\/\/checkpoints\//, /SignatureDoesNotMatch/, /s3_secret/));
    const unknown = s3Store('s3://x', new S3Client({ ...base, accessKeyId: 'AKIANOBODY' }));
    await assert.rejects(unknown.list(''), refused('28000', /s3:\/\/checkpoints/, /InvalidAccessKeyId/, /AKIANOBODY/));
  } finally {
    await running().enforce(false);
  }
});

test('a server that is gone for a moment is asked again; one that stays away is named', { skip }, async () => {
  const store = fresh();
  await store.write('a', new Uint8Array([5]));
  await running().cut();
  const later = store.read('a');
  const mended = new Promise<void>((resolve, reject) => { setTimeout(() => { running().mend().then(resolve, reject); }, 150); });
  assert.deepEqual(Uint8Array.from(await later ?? []), new Uint8Array([5]));
  await mended;
  await running().cut();
  try {
    await assert.rejects(store.write('b', new Uint8Array(1)), refused('58030', /could not write "s3:\/\/checkpoints\//, /ECONNREFUSED/, /s3_endpoint/));
    const writer = await store.create('c');
    for (let i = 0; i < 7; i++) await writer.append(new Uint8Array(1024 * 1024));
    await assert.rejects((async () => { for (let i = 0; i < 10; i++) await writer.append(new Uint8Array(1024 * 1024)); await writer.commit(); })(), refused('58030', /ECONNREFUSED/));
    await writer.discard();
  } finally {
    await running().mend();
  }
  assert.deepEqual((await store.list('')).map(f => f.name), ['a']);
});
