import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, AggregateNode, HopRanges, PlanNode } from '../../types/plan.js';
import { BOOL, type Column, INT4, INT8, NUMERIC, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { partialColumns } from '../aggregates/partials.js';
import type { Batch } from '../batch.js';
import { batchFromDatums, fromTransferable, toTransferable } from '../vectors.js';
import { PreaggregateOperator } from './preaggregate.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const call = (fn: string, args: readonly number[], type: SqlType, more: Partial<AggregateCall> = {}): AggregateCall => ({ fn, args, distinct: false, filter: null, orderBy: [], type, ...more });
const TYPES: readonly SqlType[] = [INT8, TEXT, INT8, NUMERIC, BOOL, TIMESTAMP];
const INPUT: readonly Column[] = TYPES.map((type, i) => ({ name: `c${i}`, type }));

const SUMS: readonly AggregateCall[] = [
  call('count()', [], INT8), call('count(any)', [2], INT8), call('sum(int8)', [2], NUMERIC), call('avg(numeric)', [3], NUMERIC), call('count()', [], INT8, { filter: 4 }),
  call('sum(int8)', [2], NUMERIC, { filter: 4 }), call('bool_and(bool)', [4], BOOL), call('var_samp(int8)', [2], NUMERIC),
];
const EXTREMES: readonly AggregateCall[] = [call('max(int8)', [2], INT8), call('min(int8)', [2], INT8, { filter: 4 }), call('max(timestamp)', [5], TIMESTAMP)];

function aggregate(groupKeys: readonly number[], calls: readonly AggregateCall[], more: Partial<AggregateNode> = {}, keyTypes: readonly SqlType[] = groupKeys.map((k) => TYPES[k])): AggregateNode {
  return {
    op: 'aggregate', id: 2, inputs: [1], columns: [...keyTypes, ...calls.map((c) => c.type)].map((type, i) => ({ name: `o${i}`, type })), appendOnly: false,
    key: groupKeys.map((_, i) => i), groupKeys, calls, inputAppendOnly: false, closes: null, ...more,
  };
}

/** The aggregate over rows, and over what two senders make of them, side by side. */
class Pair {
  readonly direct: TestRun;
  readonly behind: TestRun;
  readonly senders: PreaggregateOperator[] = [];
  partials = 0;
  readonly #content: readonly [Content, Content];
  #sent: Batch[] = [];

  constructor(node: AggregateNode, evict: boolean, input: readonly Column[] = INPUT) {
    const entry: PlanNode = { op: 'rows', id: 1, inputs: [], columns: input, appendOnly: true, key: null, rows: [], system: null };
    this.direct = new TestRun([entry, node], { evict });
    this.behind = new TestRun([entry, { ...node, partialInput: true }], { evict });
    const types = partialColumns(node, input).map((c) => c.type);
    for (let k = 0; k < 2; k++) {
      this.senders.push(new PreaggregateOperator(node, input, (batch) => {
        this.partials += batch.length;
        this.#sent.push(k === 0 ? batch : fromTransferable(types, toTransferable(types, batch).wire));
      }));
    }
    const out = node.columns.map((c) => c.type);
    this.#content = [new Content(out), new Content(out)];
  }

  async #deliver(): Promise<void> {
    const sent = this.#sent;
    this.#sent = [];
    for (const batch of sent) await this.behind.push(1, batch);
  }

  async push(sender: number, batch: Batch): Promise<void> {
    await this.direct.push(1, batch);
    this.senders[sender].process(batch);
    await this.#deliver();
  }

  async watermark(us: number): Promise<void> {
    await this.direct.watermark(1, us);
    for (const s of this.senders) s.watermark();
    await this.#deliver();
    await this.behind.watermark(1, us);
  }

  async barrier(): Promise<void> {
    for (const s of this.senders) s.barrier();
    await this.#deliver();
    await this.direct.barrier();
    await this.behind.barrier();
    const [a, b] = this.#content;
    a.add(this.direct.take(2));
    b.add(this.behind.take(2));
    assert.deepEqual(b.rows(), a.rows());
  }

  get rows(): readonly string[] { return this.#content[1].rows(); }
}

function randomRow(random: (n: number) => number): Datum[] {
  const row: Datum[] = [random(5) === 0 ? 9007199254740993n + BigInt(random(2)) : random(6), ['a', 'b', 'é'][random(3)], random(9) === 0 ? 9223372036854775807n : random(1000) - 500, null, random(2) === 0, random(50) * 1_000_000];
  return row.map((d) => (random(9) === 0 ? null : d));
}

for (const [seed, appendOnly, evict, by] of [[1, false, false, [0, 1]], [2, false, true, [1]], [3, true, false, [0, 5]], [4, true, true, [0, 1, 4]], [5, false, false, []]] as const) {
  test(`partial results of two senders add up to what the rows give (seed ${seed}, by ${by.length} keys, ${appendOnly ? 'append-only' : 'with retractions'}${evict ? ', evicted' : ''})`, async () => {
    const random = seeded(seed);
    const pair = new Pair(aggregate(by, appendOnly ? [...SUMS, ...EXTREMES] : SUMS, { inputAppendOnly: appendOnly }), evict);
    const rows: Datum[][] = [];
    for (let epoch = 0; epoch < 8; epoch++) {
      for (let b = random(5); b > 0; b--) {
        const batch: Datum[][] = [];
        const weights: number[] = [];
        for (let n = random(20); n > 0; n--) {
          if (!appendOnly && rows.length > 0 && random(2) === 0) { batch.push(...rows.splice(random(rows.length), 1)); weights.push(-1); continue; }
          const row = randomRow(random);
          rows.push(row);
          batch.push(row);
          weights.push(1);
        }
        if (batch.length > 0) await pair.push(random(2), batchFromDatums(TYPES, batch, weights));
      }
      await pair.barrier();
    }
    assert.ok(pair.rows.length > 0);
  });
}

test('a window closes with all that the senders had for it: groups go on before the watermark', async () => {
  for (const emitOnClose of [false, true]) {
    const pair = new Pair(aggregate([5], SUMS, { inputAppendOnly: true, closes: { keyIndex: 0, addUs: 1_000_000, emitOnClose } }), false);
    const random = seeded(7);
    for (let s = 0; s < 12; s++) {
      for (let k = 0; k < 2; k++) {
        const rows = Array.from({ length: 5 }, () => { const row = randomRow(random); row[5] = (s + random(3)) * 1_000_000; return row; });
        await pair.push(k, batchFromDatums(TYPES, rows));
      }
      const before = pair.partials;
      await pair.watermark(s * 1_000_000 + 1_000_000);
      assert.ok(pair.partials > before);
      if (s % 3 === 2) await pair.barrier();
    }
    assert.ok(pair.rows.length > 9);
  }
});

test('ranges of a HOP cross the exchange once, and each window has its sum', async () => {
  const types = [INT8, INT8, TIMESTAMP, TIMESTAMP];
  const hop: HopRanges = { first: 2, last: 3, sizeUs: 10_000_000, slideUs: 2_000_000, start: 0, end: 2 };
  const node = aggregate([2, 0, 3], [call('count()', [], INT8), call('sum(int8)', [1], NUMERIC), call('max(int8)', [1], INT8)],
    { inputAppendOnly: true, hop, closes: { keyIndex: 2, addUs: 0, emitOnClose: false } }, [TIMESTAMP, INT8, TIMESTAMP]);
  const pair = new Pair(node, false, types.map((type, i) => ({ name: `c${i}`, type })));
  const random = seeded(11);
  for (let s = 10; s < 40; s += 2) {
    for (let k = 0; k < 2; k++) {
      const rows = Array.from({ length: 40 }, (): Datum[] => [random(4), random(100), (s - 8) * 1_000_000, (s + 10) * 1_000_000]);
      await pair.push(k, batchFromDatums(types, rows));
    }
    if (s % 6 === 0) await pair.watermark((s - 1) * 1_000_000);
    await pair.barrier();
  }
  assert.equal(pair.partials, 15 * 2 * 4);
  assert.ok(pair.rows.length > 60);
});

test('where nearly every row has a group of its own rows go on one by one, and are grouped again when they repeat', async () => {
  const pair = new Pair(aggregate([0], SUMS, { inputAppendOnly: true }), false);
  const rows = (keys: number): Batch => batchFromDatums(TYPES, Array.from({ length: 5000 }, (_, k): Datum[] => [k % keys, 'a', k, null, k % 3 === 0, 0]));
  await pair.push(0, rows(5000));
  await pair.barrier();
  assert.equal(pair.partials, 5000);
  await pair.push(0, rows(5));
  assert.equal(pair.partials, 10_000);
  for (let k = 0; k < 60; k++) await pair.push(0, rows(5));
  await pair.barrier();
  const before = pair.partials;
  await pair.push(0, rows(5));
  await pair.barrier();
  assert.equal(pair.partials, before + 5);
});

test('groups past the limit go on before the barrier', async () => {
  const types = [INT4];
  const pair = new Pair(aggregate([0], [call('count()', [], INT8)], {}, [INT4]), false, [{ name: 'k', type: INT4 }]);
  for (let from = 0; from < 140_000; from += 35_000) await pair.push(0, batchFromDatums(types, Array.from({ length: 35_000 }, (_, k): Datum[] => [from + k])));
  assert.ok(pair.partials >= 70_000);
  await pair.barrier();
  assert.equal(pair.rows.length, 140_000);
});
