import { test } from 'node:test';
import assert from 'node:assert/strict';
import { hashBytes } from '../../types/encoding/hash.js';
import type { KeyBatch } from '../keys.js';
import { RecentKeys } from './groupkeys.js';

/** Keys one after the other from byte `first` on; `hash` as given, else that of the bytes. */
function keysOf(keys: readonly Uint8Array[], first: number, hash?: number): KeyBatch {
  const data = new Uint8Array(first + keys.reduce((sum, k) => sum + k.length, 0));
  const batch = { length: keys.length, data, start: new Int32Array(keys.length), end: new Int32Array(keys.length), hash: new Int32Array(keys.length), anyNull: null };
  let at = first;
  keys.forEach((k, i) => {
    data.set(k, at);
    batch.start[i] = at;
    batch.end[i] = at += k.length;
    batch.hash[i] = hash ?? hashBytes(k, 0, k.length);
  });
  return batch;
}

for (const [name, width, first] of [['words', 16, 0], ['bytes at odd places', 16, 3], ['bytes of odd length', 7, 0], ['no bytes', 0, 0]] as const) {
  test(`an earlier row is one with the same key, and most repetitions are known: ${name}`, () => {
    const distinct = Array.from({ length: 40 }, (_, k) => Uint8Array.from({ length: width }, (_unused, p) => (p === width - 1 ? k : p * 7)));
    const rows = Array.from({ length: 4000 }, (_, i) => distinct[(i * i + i * 3) % 40]);
    for (const hash of [undefined, 42]) {
      const keys = keysOf(rows, first, hash);
      const recent = new RecentKeys();
      let known = 0;
      for (let round = 0; round < 2; round++) {
        recent.begin(keys);
        for (let i = 0; i < keys.length; i++) {
          const k = recent.row(keys, i);
          assert.ok(k < i);
          if (k < 0) continue;
          known++;
          assert.deepEqual(rows[k], rows[i]);
        }
      }
      if (hash === undefined) assert.ok(known >= 2 * (keys.length - distinct.length) * 0.5, `${known} known`);
    }
  });
}

test('rows of the batch before are forgotten', () => {
  const recent = new RecentKeys();
  const a = keysOf([Uint8Array.of(1, 2, 3, 4), Uint8Array.of(1, 2, 3, 4)], 0);
  recent.begin(a);
  assert.equal(recent.row(a, 0), -1);
  assert.equal(recent.row(a, 1), 0);
  const b = keysOf([Uint8Array.of(1, 2, 3, 4)], 0);
  recent.begin(b);
  assert.equal(recent.row(b, 0), -1);
});
