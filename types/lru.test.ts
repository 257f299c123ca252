import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LruCache } from './lru.js';

test('the value asked for longest ago goes first', () => {
  const cache = new LruCache<number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  assert.equal(cache.get('a'), 1);
  cache.set('c', 3);
  assert.equal(cache.get('b'), undefined);
  assert.equal(cache.get('a'), 1);
  cache.set('a', 4);
  assert.equal(cache.get('a'), 4);
  assert.equal(cache.size, 2);
  cache.clear();
  assert.equal(cache.get('a'), undefined);
});
