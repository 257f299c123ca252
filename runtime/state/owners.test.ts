/** An entry goes to the subtask that an exchange sends its key's rows to: for keys of all types, and where rows are spread by a part of the key. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { maybeNull, seeded } from '../../types/encoding/testdatums.js';
import { RowCodec } from '../../types/encoding/row.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { keyEncoder } from '../keys.js';
import { batchFromDatums } from '../vectors.js';
import { NODES_TABLE } from './grouptable.js';
import { ownersOf } from './owners.js';

const MAX = 128;
const types: SqlType[] = [{ kind: 'int8' }, { kind: 'text' }, { kind: 'numeric' }, { kind: 'bool' }, { kind: 'timestamp' }, { kind: 'float8' }, { kind: 'jsonb' }, { kind: 'interval' }];
const columns = types.map((type, i) => ({ name: `c${i}`, type }));
const base = { columns, appendOnly: false, key: null } as const;
const source = { ...base, op: 'rows', id: 1, inputs: [], rows: [], system: null } as const satisfies PlanNode;
const exchange = (keys: readonly number[]): PlanNode => ({ ...base, op: 'exchange', id: 2, inputs: [1], kind: 'hash', keys });
const plan = (nodes: readonly PlanNode[]): Plan => ({ version: 1, nodes, roots: [nodes[nodes.length - 1]?.id ?? 0] });
const rows = (n: number): ReturnType<typeof maybeNull>[][] => {
  const random = seeded(5);
  return Array.from({ length: n }, () => types.map(t => maybeNull(t, random)));
};

test('entries follow the columns that rows are spread by, whatever stands before and between them in the key', () => {
  const batch = batchFromDatums(types, rows(500));
  for (const [spread, key] of [[[1], [4, 1]], [[3, 0], [0, 2, 3]], [[7, 5], [6, 5, 1, 7, 0]], [[2], [2]], [[0, 1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1, 0]]] as const) {
    const topn: PlanNode = { ...base, op: 'topn', id: 3, inputs: [2], fn: 'row_number', partition: key, order: [], from: 1, to: 3, rank: false, inputAppendOnly: false };
    const owners = ownersOf(plan([source, exchange(spread), topn]), MAX);
    const sent = keyEncoder(types, spread)(batch);
    const groups = Array.from({ length: batch.length }, (_, i) => (sent.hash[i] >>> 0) % MAX);
    const keys = keyEncoder(types, key)(batch);
    for (let i = 0; i < batch.length; i++) {
      assert.equal(owners.keyGroup(3 * 16, keys.data, keys.start[i], keys.end[i]), groups[i], `spread by ${spread.join()}, key ${key.join()}`);
      // A node of a large group stands under the group's key and a number.
      const node = new Uint8Array(keys.end[i] - keys.start[i] + 4);
      node.set(keys.data.subarray(keys.start[i], keys.end[i]));
      assert.equal(owners.keyGroup(3 * 16 + NODES_TABLE, node, 0, node.length), groups[i]);
      assert.equal(owners.ownHash(3 * 16 + NODES_TABLE, node, 0, node.length), keys.hash[i]);
    }
  }
});

test('a projection between is seen through, and the rows of a view without key are read', () => {
  const order = [5, 1, 3];
  const calc: PlanNode = { ...base, op: 'calc', id: 3, inputs: [2], columns: order.map(c => columns[c]), filter: null, project: order.map(index => ({ node: 'column', index, type: types[index] })) };
  const view: PlanNode = { ...base, op: 'materialize', id: 4, inputs: [3], columns: calc.columns, relationId: 1, relationName: 'v', visible: 3 };
  const owners = ownersOf(plan([source, exchange([3, 1]), calc, view]), MAX);
  const codec = new RowCodec(calc.columns.map(c => c.type));
  const given = rows(200);
  const sent = keyEncoder(types, [3, 1])(batchFromDatums(types, given));
  given.forEach((row, i) => {
    const bytes = codec.encode(order.map(c => row[c] ?? null));
    assert.equal(owners.keyGroup(4 * 16, bytes, 0, bytes.length), (sent.hash[i] >>> 0) % MAX);
  });
  assert.ok(owners.summed(4 * 16));
});

test('state whose rows are spread by what it does not keep is refused', () => {
  const topn: PlanNode = { ...base, op: 'topn', id: 3, inputs: [2], fn: 'row_number', partition: [0], order: [], from: 1, to: 3, rank: false, inputAppendOnly: false };
  assert.throws(() => ownersOf(plan([source, exchange([1]), topn]), MAX), { code: '0A000' });
});
