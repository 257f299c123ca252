/** Top-N against a plain sort: each kind of rank, few and many rows, rows that only come or also go, with everything evicted at each barrier. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanNode, RankFunction, RowsNode, SortKey, TopNNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { INT4, INT8, TEXT } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { parseDrawn } from '../drawn.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const TYPES: readonly SqlType[] = [INT4, INT8, TEXT];
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));

type Shape = Partial<Pick<TopNNode, 'fn' | 'from' | 'to' | 'rank' | 'inputAppendOnly' | 'order' | 'partition'>>;
const DESC: readonly SortKey[] = [{ column: 1, descending: true, nullsFirst: true }];

function plan(shape: Shape): PlanNode[] {
  const entry: RowsNode = { op: 'rows', id: 1, inputs: [], columns: columns(TYPES), appendOnly: true, key: null, rows: [], system: null };
  const node: TopNNode = {
    op: 'topn', id: 2, inputs: [1], columns: columns(shape.rank === true ? [...TYPES, INT8] : TYPES), appendOnly: false, key: null,
    fn: 'row_number', partition: [0], order: DESC, from: 1, to: 1, rank: false, inputAppendOnly: false, ...shape,
  };
  return [entry, node];
}

test('the last row of each key by time replaces the one before', async () => {
  for (const inputAppendOnly of [true, false]) {
    const run = new TestRun(plan({ inputAppendOnly }));
    await run.push(1, parseDrawn(TYPES, '+ 1 10 a\n+ 2 5 b\n+ 1 9 c'));
    await run.barrier();
    assert.equal(run.draw(2), '+ 1 10 a\n+ 2 5 b');
    await run.push(1, parseDrawn(TYPES, '+ 1 11 d\n+ 1 12 e\n+ 2 4 f'));
    await run.barrier();
    assert.equal(run.draw(2), '- 1 10 a\n+ 1 12 e');
    await run.push(1, parseDrawn(TYPES, '+ 1 3 g'));
    await run.barrier();
    assert.equal(run.draw(2), '', 'nothing changed');
  }
});

test('rows that shift give one change for each rank', async () => {
  for (const inputAppendOnly of [true, false]) {
    const run = new TestRun(plan({ to: 3, rank: true, inputAppendOnly }));
    await run.push(1, parseDrawn(TYPES, '+ 1 10 a\n+ 1 8 b\n+ 1 6 c'));
    await run.barrier();
    assert.equal(run.draw(2), '+ 1 10 a 1\n+ 1 8 b 2\n+ 1 6 c 3');
    await run.push(1, parseDrawn(TYPES, '+ 1 9 d'));
    await run.barrier();
    assert.equal(run.draw(2), '- 1 8 b 2\n+ 1 9 d 2\n- 1 6 c 3\n+ 1 8 b 3');
  }
});

test('without the rank only rows that come in or fall out are told', async () => {
  for (const inputAppendOnly of [true, false]) {
    const run = new TestRun(plan({ to: 3, inputAppendOnly }));
    await run.push(1, parseDrawn(TYPES, '+ 1 10 a\n+ 1 8 b\n+ 1 6 c'));
    await run.barrier();
    run.take(2);
    await run.push(1, parseDrawn(TYPES, '+ 1 9 d'));
    await run.barrier();
    assert.equal(run.draw(2), '+ 1 9 d\n- 1 6 c');
  }
});

test('a row taken back lets the next one in', async () => {
  const run = new TestRun(plan({ to: 2 }));
  await run.push(1, parseDrawn(TYPES, '+ 1 10 a\n+ 1 8 b\n+ 1 6 c'));
  await run.barrier();
  run.take(2);
  await run.push(1, parseDrawn(TYPES, '- 1 10 a'));
  await run.barrier();
  assert.equal(run.draw(2), '- 1 10 a\n+ 1 6 c');
});

test('a row taken back before it came leaves no trace', async () => {
  const run = new TestRun(plan({ to: 2, rank: true }));
  await run.push(1, parseDrawn(TYPES, '- 1 10 a'));
  await run.push(1, parseDrawn(TYPES, '+ 1 10 a'));
  await run.barrier();
  assert.equal(run.draw(2), '');
});

type Row = readonly [number | null, number | null, string | null];

/** What the node should show: rows with weights, drawn. */
function expected(rows: readonly Row[], node: TopNNode): string[] {
  const before = (a: Row, b: Row): number => {
    for (const { column, descending, nullsFirst } of node.order) {
      const [x, y] = [a[column] ?? null, b[column] ?? null];
      if (x === y) continue;
      if (x === null || y === null) return (x === null) === nullsFirst ? -1 : 1;
      return (x < y) === descending ? 1 : -1;
    }
    return 0;
  };
  const shown: Datum[][] = [];
  const keyOf = (r: Row): string => JSON.stringify(node.partition.map((c) => r[c]));
  for (const key of new Set(rows.map(keyOf))) {
    const members = rows.filter((r) => keyOf(r) === key).toSorted(before);
    members.forEach((r, i) => {
      const first = members.findIndex((m) => before(m, r) === 0);
      const rank = node.fn === 'row_number' ? i + 1 : node.fn === 'rank' ? first + 1 : new Set(members.slice(0, first + 1).map((m) => members.findIndex((x) => before(x, m) === 0))).size;
      if (rank >= node.from && rank <= (node.to ?? Infinity)) shown.push(node.rank ? [...r, rank] : [...r]);
    });
  }
  const types = node.columns.map((c) => c.type);
  const content = new Content(types);
  content.add([batchFromDatums(types, shown)]);
  return content.rows();
}

async function followsSort(shape: Shape, evict: boolean, seed: number): Promise<void> {
  const random = seeded(seed);
  const nodes = plan(shape);
  const node = nodes[1] as TopNNode;
  const run = new TestRun(nodes, { evict });
  const content = new Content(node.columns.map((c) => c.type));
  const rows: Row[] = [];
  // Orders by row number are made total, so that ties do not matter; duplicate rows do come up.
  const total = node.fn === 'row_number';
  for (let epoch = 0; epoch < 8; epoch++) {
    for (let b = 0; b < 3; b++) {
      const batch: Row[] = [];
      const weights: number[] = [];
      for (let n = 1 + random(12); n > 0; n--) {
        if (node.inputAppendOnly !== true && rows.length > 0 && random(5) < 2) {
          batch.push(...rows.splice(random(rows.length), 1));
          weights.push(-1);
        } else {
          const v = random(8) === 0 ? null : total ? random(1000) : random(6);
          const row: Row = [random(6) === 0 ? null : random(4), v, v === null || total ? `s${v ?? ''}` : `s${random(3)}`];
          rows.push(row);
          batch.push(row);
          weights.push(1);
        }
      }
      await run.push(1, batchFromDatums(TYPES, batch, weights.every((w) => w === 1) ? null : weights));
    }
    await run.barrier();
    content.add(run.take(2));
    assert.deepEqual(content.rows(), expected(rows, node), `epoch ${epoch} of seed ${seed}, ${JSON.stringify(shape)}`);
    if (evict) assert.equal(run.syncReads, 0, 'prefetch brought every key');
  }
}

const RANGES: readonly (readonly [number, number | null])[] = [[1, 1], [1, 3], [2, 2], [2, 5], [1, 40], [3, null]];
for (const fn of ['row_number', 'rank', 'dense_rank'] satisfies RankFunction[]) {
  for (const inputAppendOnly of [true, false]) {
    test(`${fn} over rows that ${inputAppendOnly ? 'only come' : 'come and go'} is what a sort gives`, async () => {
      let seed = 1;
      for (const [from, to] of RANGES) {
        for (const rank of [false, true]) {
          for (const evict of [false, true]) await followsSort({ fn, from, to, rank, inputAppendOnly }, evict, seed++);
        }
      }
      await followsSort({ fn, to: 4, rank: true, inputAppendOnly, partition: [], order: [...DESC, { column: 0, descending: false, nullsFirst: false }] }, true, seed++);
      await followsSort({ fn, to: 3, inputAppendOnly, partition: [0], order: [{ column: 2, descending: false, nullsFirst: false }, { column: 1, descending: true, nullsFirst: false }] }, false, seed++);
    });
  }
}

test('rows that are equal in the order come by their bytes, in whatever order they arrive', async () => {
  const rows = ['+ 1 5 a', '+ 1 5 b', '+ 1 5 c', '+ 1 5 d'];
  for (const inputAppendOnly of [true, false]) {
    const results = new Set<string>();
    for (let turn = 0; turn < rows.length; turn++) {
      const run = new TestRun(plan({ to: 2, inputAppendOnly }));
      for (const row of [...rows.slice(turn), ...rows.slice(0, turn)]) await run.push(1, parseDrawn(TYPES, row));
      await run.barrier();
      results.add(run.draw(2));
    }
    assert.equal(results.size, 1);
  }
});

test('a batch query gives each partition once, at its end', async () => {
  for (const fn of ['row_number', 'rank'] satisfies RankFunction[]) {
    const run = new TestRun(plan({ fn, to: 2, rank: true, inputAppendOnly: true }), { batchMode: true });
    await run.push(1, parseDrawn(TYPES, '+ 1 5 a\n+ 1 7 b\n+ 2 1 c'));
    await run.push(1, parseDrawn(TYPES, '+ 1 6 d\n+ 2 1 e'));
    assert.equal(run.draw(2), '');
    await run.end();
    assert.equal(run.draw(2), fn === 'row_number' ? '+ 1 7 b 1\n+ 1 6 d 2\n+ 2 1 c 1\n+ 2 1 e 2' : '+ 1 7 b 1\n+ 1 6 d 2\n+ 2 1 c 1\n+ 2 1 e 1');
  }
});
