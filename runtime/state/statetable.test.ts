import { test } from 'node:test';
import assert from 'node:assert/strict';
import { HashStateTable } from './statetable.js';
import { PageAllocator } from './pages.js';
import { testHash, testKeys } from './testkeys.js';
import { seeded } from '../../types/encoding/testdatums.js';

const decoder = new TextDecoder();

function table(tracking: boolean): HashStateTable {
  return new HashStateTable({ tableId: 1, maxParallelism: 128, pages: new PageAllocator(), hash: testHash, tracking, cold: null });
}

function put(t: HashStateTable, key: string, value: string): void {
  const bytes = new TextEncoder().encode(value);
  const slot = t.findOrInsert(testKeys([key]), 0, bytes.length);
  t.resize(slot, bytes.length);
  t.page(slot).bytes.set(bytes, t.offset(slot));
}

function get(t: HashStateTable, key: string): string | undefined {
  const slot = t.find(testKeys([key]), 0);
  return slot < 0 ? undefined : decoder.decode(t.page(slot).bytes.subarray(t.offset(slot), t.offset(slot) + t.length(slot)));
}

for (const tracking of [false, true]) {
  test(`state table equals a Map under random changes, tracking ${tracking}`, async () => {
    const random = seeded(3);
    const t = table(tracking);
    const model = new Map<string, string>();
    for (let step = 0; step < 60000; step++) {
      const key = 'k'.repeat(random(12)) + random(500);
      if (random(3) === 0) {
        const slot = t.find(testKeys([key]), 0);
        assert.equal(slot >= 0, model.delete(key));
        if (slot >= 0) t.delete(slot);
      } else {
        const value = 'v'.repeat(random(random(100) === 0 ? 50000 : 100)) + step;
        put(t, key, value);
        model.set(key, value);
      }
      const probe = 'k'.repeat(random(12)) + random(500);
      assert.equal(get(t, probe), model.get(probe));
      if (tracking && random(1000) === 0) {
        t.freeze(t.cut() - 1, { entry: () => undefined });
        if (random(2) === 0) t.clean(t.interval - 1);
      }
    }
    assert.equal(t.size, model.size);
    const seen = new Map<string, string>();
    await t.scan((k, v) => seen.set(decoder.decode(k), decoder.decode(v)));
    assert.deepEqual(seen, model);
    let resident = 0;
    t.forEachResident(() => resident++);
    assert.equal(resident, model.size);
  });
}

test('a new value is zero, also in a reused record', () => {
  const t = table(false);
  const keys = testKeys(['a']);
  let slot = t.findOrInsert(keys, 0, 40);
  t.page(slot).bytes.fill(255, t.offset(slot), t.offset(slot) + 40);
  t.delete(slot);
  slot = t.findOrInsert(keys, 0, 24);
  assert.equal(t.inserted, true);
  assert.equal(t.offset(slot) % 8, 0);
  t.resize(slot, 40);
  assert.deepEqual(t.page(slot).bytes.slice(t.offset(slot), t.offset(slot) + 40), new Uint8Array(40));
  t.findOrInsert(keys, 0, 24);
  assert.equal(t.inserted, false);
});

test('a freeze holds everything changed since C, deletions as tombstones, and nothing else', () => {
  const t = table(true);
  const frozen = (since: number): string[] => {
    const out: string[] = [];
    t.freeze(since, { entry: (_g, data, ks, ke, vs, ve) => out.push(`${decoder.decode(data.subarray(ks, ke))}=${vs < 0 ? 'deleted' : decoder.decode(data.subarray(vs, ve))}`) });
    return out.sort();
  };
  put(t, 'a', '1'); put(t, 'b', '1'); put(t, 'gone', '1');
  t.delete(t.find(testKeys(['gone']), 0));
  const c1 = t.cut();
  assert.deepEqual(frozen(0), ['a=1', 'b=1'], 'an entry that came and went leaves no trace');
  put(t, 'a', '2'); put(t, 'c', '1');
  t.delete(t.find(testKeys(['b']), 0));
  const c2 = t.cut();
  assert.deepEqual(frozen(0), ['a=2', 'b=deleted', 'c=1'], 'checkpoint 1 not completed: reaches back to the start');
  t.clean(c1);
  put(t, 'b', '3');
  t.cut();
  assert.deepEqual(frozen(c1), ['a=2', 'b=3', 'c=1']);
  assert.deepEqual(frozen(c2), ['b=3']);
});

test('a reader sees the table as of its start while every entry changes', async () => {
  const random = seeded(11);
  const t = table(true);
  const model = new Map<string, string>();
  for (let n = 0; n < 3000; n++) { put(t, `k${n}`, `v${n}`); model.set(`k${n}`, `v${n}`); }
  t.freeze(t.cut() - 1, { entry: () => undefined });
  const reader = t.openReader();
  const seen = new Map<string, string>();
  for (let more = true; more;) {
    more = await reader.next(100, (key, ks, ke, value, vs, ve) => {
      const k = decoder.decode(key.subarray(ks, ke));
      assert.equal(seen.has(k), false);
      seen.set(k, decoder.decode(value.subarray(vs, ve)));
    });
    for (let n = 0; n < 500; n++) {
      const key = `k${random(4000)}`;
      const slot = t.find(testKeys([key]), 0);
      if (slot >= 0 && random(3) === 0) t.delete(slot);
      else put(t, key, 'changed');
    }
    if (random(5) === 0) t.clean(t.cut());
  }
  reader.close();
  assert.deepEqual(seen, model);
});

for (const all of [false, true]) {
  test(`a freeze that goes on while every entry changes holds the table as of its beginning (${all ? 'all entries' : 'what changed'})`, () => {
    const random = seeded(all ? 23 : 29);
    const t = table(true);
    const model = new Map<string, string>();
    const change = (times: number): void => {
      for (let n = 0; n < times; n++) {
        const key = `k${random(400)}`;
        const slot = t.find(testKeys([key]), 0);
        if (slot >= 0 && random(3) === 0) {
          t.delete(slot);
          model.delete(key);
        } else {
          const value = 'v'.repeat(random(60)) + random(1000);
          put(t, key, value);
          model.set(key, value);
        }
      }
    };
    // What a restore from C and its delta gives.
    let completed = { interval: 0, content: new Map<string, string>() };
    for (let round = 0; round < 300; round++) {
      change(random(600));
      const interval = t.cut();
      const at = new Map(model);
      const delta = new Map<string, string | null>();
      const sink = {
        entry: (_group: number, data: Uint8Array, ks: number, ke: number, vs: number, ve: number): void => {
          const key = decoder.decode(data.subarray(ks, ke));
          const value = vs < 0 ? null : decoder.decode(data.subarray(vs, ve));
          if (delta.has(key)) assert.equal(delta.get(key), value, `${key} is there twice`);
          delta.set(key, value);
        },
      };
      const walk = t.beginFreeze(all ? null : completed.interval, sink);
      const outcome = random(4);
      while (t.freezing(walk)) {
        change(random(40));
        t.freezeSome(walk, 1 + random(60), sink);
        // Other ends of a walk: what is left is written at once.
        if (outcome === 0 && random(10) === 0) t.clean(completed.interval);
      }
      change(random(100));
      const restored = all ? new Map<string, string>() : new Map(completed.content);
      for (const [key, value] of delta) {
        if (value === null) restored.delete(key);
        else restored.set(key, value);
      }
      assert.deepEqual(restored, at, `round ${round}`);
      // Some checkpoints are given up: the next delta reaches back past them.
      if (outcome !== 1) {
        completed = { interval, content: at };
        if (outcome === 2) t.clean(interval);
      }
    }
    for (const [key, value] of model) assert.equal(get(t, key), value);
    assert.equal(t.size, model.size);
  });
}
