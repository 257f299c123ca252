import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storageLocation, type S3Settings } from './location.js';

const settings: S3Settings = { s3_endpoint: '', s3_region: '', s3_path_style: false, s3_secret: '' };
const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };
const none = (): null => null;

test('paths and file URLs are folders', () => {
  assert.deepEqual(storageLocation('/a/b/', settings, none, {}), { root: '/a/b', s3: null });
  assert.deepEqual(storageLocation('file:///a/b%20c', settings, none, {}), { root: '/a/b c', s3: null });
  assert.deepEqual(storageLocation('relative', settings, none, {}), { root: 'relative', s3: null });
});

test('an S3 location has bucket and prefix; endpoint, region and credentials come from settings, secret and environment, in this order', () => {
  const plain = storageLocation('s3://bucket/some/prefix/', settings, none, env);
  assert.equal(plain.root, 's3://bucket/some/prefix');
  assert.deepEqual(plain.s3, { bucket: 'bucket', prefix: 'some/prefix', endpoint: null, region: 'us-east-1', pathStyle: false, accessKeyId: 'id', secretAccessKey: 'key', sessionToken: null });
  const other = { ...env, AWS_ENDPOINT_URL: 'http://env:1', AWS_REGION: 'eu-west-1', AWS_SESSION_TOKEN: 't' };
  assert.deepEqual(storageLocation('s3://bucket', settings, none, other).s3, {
    bucket: 'bucket', prefix: '', endpoint: 'http://env:1', region: 'eu-west-1', pathStyle: false, accessKeyId: 'id', secretAccessKey: 'key', sessionToken: 't',
  });
  const secret = { access_key_id: 'a', secret_access_key: 's' };
  const set = storageLocation('s3://bucket', { s3_endpoint: 'https://set:2/', s3_region: 'r', s3_path_style: true, s3_secret: 'mine' }, name => (name === 'mine' ? secret : null), other).s3;
  assert.deepEqual(set, { bucket: 'bucket', prefix: '', endpoint: 'https://set:2', region: 'r', pathStyle: true, accessKeyId: 'a', secretAccessKey: 's', sessionToken: null });
});

test('what is no place for files is refused with what to write', () => {
  const refused = (where: string, code: string, hint: RegExp, s: Partial<S3Settings> = {}, secrets: Parameters<typeof storageLocation>[2] = none, e: Parameters<typeof storageLocation>[3] = env): void => {
    assert.throws(() => storageLocation(where, { ...settings, ...s }, secrets, e), (x: Error & { code?: string; hint?: string }) => x.code === code && hint.test(x.hint ?? ''), where);
  };
  refused('hdfs://x/y', '22023', /s3:\/\/bucket/);
  refused('file://host/x', '22023', /file:\/\/\//);
  refused('s3://', '22023', /s3:\/\/bucket/);
  refused('s3://UPPER/x', '22023', /s3:\/\/bucket/);
  refused('s3://bucket/x?region=y', '22023', /s3_region/);
  refused('s3://bucket', '22023', /s3_endpoint/, { s3_endpoint: 'host:9000' });
  refused('s3://bucket', '28000', /CREATE SECRET/, {}, none, {});
  refused('s3://bucket', '42704', /CREATE SECRET gone/, { s3_secret: 'gone' });
  refused('s3://bucket', '22023', /access_key_id/, { s3_secret: 'short' }, () => ({ access_key_id: 'x' }));
});
