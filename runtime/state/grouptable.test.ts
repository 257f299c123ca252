import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PackedGroupTable } from './grouptable.js';
import { PageAllocator } from './pages.js';
import { testHash, testKeys } from './testkeys.js';
import { seeded } from '../../types/encoding/testdatums.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NONE = new Uint8Array(0);

function groupTable(order: 'bag' | 'ordered', tracking: boolean): PackedGroupTable {
  return new PackedGroupTable({ tableId: 1, maxParallelism: 128, pages: new PageAllocator(), hash: testHash, tracking, cold: null }, order);
}

function content(t: PackedGroupTable, key: string, descending: boolean): string[] {
  const out: string[] = [];
  t.visit(testKeys([key]), 0, descending, (data, ss, se, ps, pe, count) => {
    out.push(`${decoder.decode(data.subarray(ss, se))}=${decoder.decode(data.subarray(ps, pe))}×${count}`);
    return true;
  });
  return out;
}

for (const tracking of [false, true]) {
  for (const [name, groups, subkeys, payloadMax, steps] of [['small groups', 50, 12, 8, 20000], ['one large group', 1, 4000, 60, 30000], ['large payloads', 3, 50, 9000, 3000]] as const) {
    test(`ordered group table equals a sorted model: ${name}, tracking ${tracking}`, () => {
      const random = seeded(7);
      const t = groupTable('ordered', tracking);
      const model = new Map<string, Map<string, { payload: string; count: number }>>();
      for (let step = 0; step < steps; step++) {
        const group = `g${random(groups)}`;
        const keys = testKeys([group]);
        const entries = model.get(group) ?? new Map<string, { payload: string; count: number }>();
        model.set(group, entries);
        if (random(steps) === 0) {
          t.clear(keys, 0);
          entries.clear();
        }
        const subkey = `s${random(subkeys)}`;
        const payload = 'p'.repeat(random(payloadMax)) + step;
        // Early steps mostly add, late ones mostly take away, so that trees grow and shrink.
        const count = random(10) === 0 ? random(2000) - 1000 : random(steps) > step ? 1 : -(entries.get(subkey)?.count ?? 0);
        const old = entries.get(subkey);
        const sum = (old?.count ?? 0) + count;
        if (sum === 0) entries.delete(subkey);
        else entries.set(subkey, { payload: old?.payload ?? payload, count: sum });
        const sub = encoder.encode(subkey);
        const pay = encoder.encode(payload);
        assert.equal(t.add(keys, 0, sub, 0, sub.length, pay, 0, pay.length, count), sum);
        assert.equal(t.entries(keys, 0), entries.size);
        if (step % (steps / 50) === 0) {
          const expected = [...entries].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([s, e]) => `${s}=${e.payload}×${e.count}`);
          assert.deepEqual(content(t, group, false), expected);
          assert.deepEqual(content(t, group, true), expected.reverse());
        }
      }
      for (const group of model.keys()) t.clear(testKeys([group]), 0);
      assert.equal(t.roots.size, 0);
      assert.equal(t.nodes.size, 0);
    });
  }
}

test('a bag keeps entries in order of arrival and counts their sum', () => {
  const t = groupTable('bag', true);
  const keys = testKeys(['a', 'b']);
  const expected: string[] = [];
  let sum = 0;
  for (let n = 0; n < 5000; n++) {
    const pay = encoder.encode(`payload ${n}`);
    t.add(keys, 0, NONE, 0, 0, pay, 0, pay.length, 1 + (n % 3));
    sum += 1 + (n % 3);
    expected.push(`=payload ${n}×${1 + (n % 3)}`);
  }
  assert.deepEqual(content(t, 'a', false), expected);
  assert.deepEqual(content(t, 'a', true), expected.reverse());
  assert.equal(t.entries(keys, 0), sum);
  assert.equal(t.entries(keys, 1), 0);
  assert.ok(t.nodes.size > 10);
});

test('a visit stops when told to', () => {
  const t = groupTable('ordered', false);
  const keys = testKeys(['a']);
  for (let n = 0; n < 3000; n++) {
    const sub = encoder.encode(String(10000 + n));
    t.add(keys, 0, sub, 0, sub.length, NONE, 0, 0, 1);
  }
  for (const descending of [false, true]) {
    let seen = 0;
    t.visit(keys, 0, descending, () => ++seen < 700);
    assert.equal(seen, 700);
  }
});
