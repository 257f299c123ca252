import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashBytes } from '../../types/encoding/hash.js';
import { INT8 } from '../../types/sqltype.js';
import { keyEncoder } from '../keys.js';
import { PackedGroupTable } from '../state/grouptable.js';
import { PageAllocator } from '../state/pages.js';
import { batchFromDatums } from '../vectors.js';
import { NumberSet } from './numberset.js';
import { seeded } from '../../types/encoding/testdatums.js';

for (const bits of [3, 8, 11]) {
  test(`a set of numbers knows each value's mask of ${bits} bits, in groups of any size`, () => {
    const random = seeded(bits);
    const tables = new PackedGroupTable({ tableId: 1, maxParallelism: 128, pages: new PageAllocator(), hash: hashBytes, tracking: false, cold: null }, 'ordered');
    const set = new NumberSet(tables, bits);
    const groups = 5;
    const keys = keyEncoder([INT8], [0])(batchFromDatums([INT8], Array.from({ length: groups }, (_, g) => [g])));
    const models = Array.from({ length: groups }, () => new Map<number, number>());
    const nulls = new Int32Array(groups);
    for (let k = 0; k < 30_000; k++) {
      // Group 0 becomes large, group 4 stays nearly empty; groups 1 and 2 get wide values, one late.
      const g = random(3) === 0 ? 0 : random(50) === 0 ? 4 : random(4);
      const wide = (g === 1 && random(10) === 0) || (g === 2 && k > 20_000);
      const x = wide ? [Infinity, -Infinity, 9007199254740992 - random(1000), -(2 ** 40) - random(500), 2147483648][random(5)] : (random(2000) - 1000) * (g === 0 ? 1 + random(8) : 1) + 0;
      const mask = 1 << random(bits);
      const root = set.root(keys, g);
      if (random(500) === 0) {
        assert.equal(set.orNull(root, mask), nulls[g]);
        nulls[g] |= mask;
        continue;
      }
      const before = models[g].get(x) ?? 0;
      assert.equal(set.or(keys, g, root, x, mask), before, `group ${g}, value ${x}`);
      models[g].set(x, before | mask);
      if (random(12_000) === 0) {
        set.clear(keys, g);
        models[g].clear();
        nulls[g] = 0;
      }
    }
    models.forEach((model, g) => { for (const [x, mask] of model) assert.equal(set.or(keys, g, set.root(keys, g), x, mask), mask); });
    for (let g = 0; g < groups; g++) set.clear(keys, g);
    assert.equal(tables.roots.size + tables.nodes.size, 0);
  });
}
