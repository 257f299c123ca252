import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SqlError } from '../../types/error.js';
import { seeded } from '../../types/encoding/testdatums.js';
import type { PlanNode } from '../../types/plan.js';
import { INT8, NUMERIC, TEXT, TIMESTAMP, type Column } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { Numeric } from '../../types/numeric.js';
import type { Batch } from '../batch.js';
import { draw } from '../drawn.js';
import type { MapState, KeyedStateStore, ProcessFunction, Row, StateTtl, TableFunctionDefinition } from '../functions/api.js';
import { batchFromDatums, datumRow } from '../vectors.js';
import { TestRun } from './testrun.js';

const INPUT: readonly Column[] = [{ name: 'k', type: TEXT }, { name: 'at', type: TIMESTAMP }, { name: 'what', type: TEXT }, { name: 'a', type: INT8 }];
const OUTPUT: readonly Column[] = [{ name: 'k', type: TEXT }, { name: 'said', type: TEXT }];

function plan(partition: readonly number[] = [0], columns: readonly Column[] = OUTPUT): PlanNode[] {
  return [
    { op: 'rows', id: 1, inputs: [], columns: INPUT, appendOnly: true, key: null, rows: [], system: null },
    { op: 'process', id: 2, inputs: [1], columns, appendOnly: true, key: null, fn: 'f', args: {}, partition, timeColumn: 1 },
  ];
}
const defined = (create: () => ProcessFunction): TableFunctionDefinition => ({ name: 'f', description: '', columns: () => [], create });
const batch = (rows: readonly (readonly [string | null, number, string, number])[], weights: readonly number[] | null = null): Batch =>
  batchFromDatums(INPUT.map(c => c.type), rows.map((r): Datum[] => [...r]), weights);
const said = (run: TestRun): string[] => run.take(2).flatMap(b => Array.from({ length: b.length }, (_, i) => datumRow([TEXT, TEXT], b, i).map(String).join(' ')));
const failing = (code: string, text: RegExp) => (e: unknown): boolean => e instanceof SqlError && e.code === code && text.test(e.message);

test('timers fire in the order of time, once a key and time, each with its key; a deleted one does not; late ones fire at once', async () => {
  for (const evict of [false, true]) {
    const run = new TestRun(plan(), { evict, functions: [defined(() => ({
      processElement(row, { timerService }) {
        if (row['what'] === 'set') timerService.registerEventTimeTimer(Number(row['a']));
        else timerService.deleteEventTimeTimer(Number(row['a']));
      },
      onTimer(us, { key, timestampUs, timerService }, out) {
        out.collect({ k: key['k'], said: `${us} of ${timestampUs} at ${timerService.currentWatermarkUs()}` });
        if (us === 30) timerService.registerEventTimeTimer(35);
        if (us === 35) timerService.registerEventTimeTimer(1000);
      },
    }))] });
    await run.push(1, batch([['x', 0, 'set', 30], ['y', 0, 'set', 20], ['x', 0, 'set', 10], ['x', 0, 'set', 10], ['y', 0, 'set', 40], [null, 0, 'set', 25]]));
    await run.barrier();
    assert.deepEqual(said(run), []);
    await run.push(1, batch([['y', 0, 'drop', 20], ['z', 0, 'drop', 20]]));
    await run.barrier();
    await run.watermark(1, 39);
    assert.deepEqual(said(run), ['x 10 of 10 at 39', 'null 25 of 25 at 39', 'x 30 of 30 at 39', 'x 35 of 35 at 39']);
    await run.barrier();
    await run.push(1, batch([['y', 0, 'set', 20], ['y', 0, 'set', 39]]));
    assert.deepEqual(said(run), ['y 20 of 20 at 39', 'y 39 of 39 at 39']);
    await run.end();
    assert.deepEqual(said(run), ['y 40 of 40 at Infinity', 'x 1000 of 1000 at Infinity']);
  }
});

/** Does what a row says to every kind of state, and says what is there. */
class Everything implements ProcessFunction {
  readonly #states;
  constructor(store: KeyedStateStore, ttl: StateTtl | null) {
    const more = ttl === null ? {} : { ttl };
    this.#states = {
      value: store.valueState<number>({ name: 'value', ...more }), list: store.listState<number>({ name: 'list', ...more }), map: store.mapState<number, number>({ name: 'map', ...more }),
      other: store.mapState<string, number>({ name: 'map2', ...more }), sum: store.reducingState<number>({ name: 'sum', reduce: (a, b) => a + b, ...more }),
      average: store.aggregatingState<number, [number, number], number>({ name: 'average', createAccumulator: () => [0, 0], add: (v, [n, sum]) => [n + 1, sum + v], getResult: ([n, sum]) => sum / n, ...more }),
    };
  }
  processElement(row: Row, _context: unknown, out: { collect(row: Row): void }): void {
    const { value, list, map, other, sum, average } = this.#states;
    const a = Number(row['a']);
    switch (row['what']) {
      case 'set': value.update(a); sum.add(a); average.add(a); break;
      case 'add': list.add(a); break;
      case 'put': map.put(a, a * 2); other.put(`${a}`, a); break;
      case 'remove': map.remove(a); other.remove(`${a}`); break;
      case 'replace': list.update([a, a + 1]); break;
      case 'clear': value.clear(); sum.clear(); average.clear(); list.clear(); map.clear(); break;
      default:
    }
    const shown = { value: value.value(), sum: sum.get(), average: average.get(), list: list.get(), map: map.entries(), other: other.keys().sort(), has: map.contains(a), get: map.get(a), empty: other.isEmpty() };
    out.collect({ k: row['k'], said: JSON.stringify(shown) });
  }
}

/** The same over plain objects. Each value has the time it was written at. */
class Model {
  readonly #ttlMs: number;
  readonly #keys = new Map<string, { value: [number, number] | null; sum: [number, number] | null; average: [[number, number], number] | null; list: [number, number][]; map: Map<number, [number, number]>; other: Map<string, [number, number]> }>();
  constructor(ttlMs: number) { this.#ttlMs = ttlMs; }
  step(key: string, what: string, a: number, now: number): string {
    let k = this.#keys.get(key);
    if (k === undefined) this.#keys.set(key, k = { value: null, sum: null, average: null, list: [], map: new Map(), other: new Map() });
    const over = (at: number): boolean => at + this.#ttlMs <= now;
    if (k.value !== null && over(k.value[1])) k.value = null;
    if (k.sum !== null && over(k.sum[1])) k.sum = null;
    if (k.average !== null && over(k.average[1])) k.average = null;
    k.list = k.list.filter(e => !over(e[1]));
    for (const m of [k.map, k.other] as Map<unknown, [number, number]>[]) for (const [x, e] of m) if (over(e[1])) m.delete(x);
    switch (what) {
      case 'set': {
        k.value = [a, now];
        k.sum = [(k.sum?.[0] ?? 0) + a, now];
        const [n, sum]: [number, number] = k.average?.[0] ?? [0, 0];
        k.average = [[n + 1, sum + a], now];
        break;
      }
      case 'add': k.list.push([a, now]); break;
      case 'put': k.map.set(a, [a * 2, now]); k.other.set(`${a}`, [a, now]); break;
      case 'remove': k.map.delete(a); k.other.delete(`${a}`); break;
      case 'replace': k.list = [[a, now], [a + 1, now]]; break;
      case 'clear': k.value = null; k.sum = null; k.average = null; k.list = []; k.map.clear(); break;
      default:
    }
    const average = k.average === null ? null : k.average[0][1] / k.average[0][0];
    return JSON.stringify({
      value: k.value?.[0] ?? null, sum: k.sum?.[0] ?? null, average, list: k.list.map(e => e[0]), map: [...k.map].map(([x, e]) => [x, e[0]]).sort((x, y) => x[0] - y[0]),
      other: [...k.other.keys()].sort(), has: k.map.has(a), get: k.map.get(a)?.[0] ?? null, empty: k.other.size === 0,
    });
  }
}

test('every kind of keyed state does what plain objects do, whatever leaves memory in between, with and without a time to live', async () => {
  for (const [seed, evict, ttlMs] of [[1, false, null], [2, true, null], [3, true, 50], [4, false, 400]] as const) {
    const random = seeded(seed);
    let everything: Everything | null = null;
    const run = new TestRun(plan(), { evict, functions: [defined(() => ({
      initializeState({ keyedStateStore }) { everything = new Everything(keyedStateStore, ttlMs === null ? null : { ms: ttlMs }); },
      processElement(row, context, out) { everything?.processElement(row, context, out); },
    }))] });
    const model = new Model(ttlMs ?? Infinity);
    for (let round = 0; round < 120; round++) {
      const nowMs = 1_000_000 + round * 20;
      run.nowUs = nowMs * 1000;
      const rows = Array.from({ length: 1 + random(12) }, (): [string, number, string, number] => [
        `key ${random(4)}`, 0, ['set', 'add', 'put', 'put', 'put', 'remove', 'replace', 'look', 'look', 'clear'][random(random(3) === 0 ? 10 : 5)], random(600) - 300]);
      await run.push(1, batch(rows));
      assert.deepEqual(said(run), rows.map(([k, , what, a]) => `${k} ${model.step(k, what, a, nowMs)}`), `seed ${seed}, round ${round}`);
      const then = random(4);
      if (then === 0) await run.barrier();
      else if (then === 1) await run.checkpoint();
    }
  }
});

test('what has expired is gone after a checkpoint, also of keys that no row comes for', async () => {
  const run = new TestRun(plan(), { functions: [defined(() => {
    let everything: Everything | null = null;
    return {
      initializeState({ keyedStateStore }) { everything = new Everything(keyedStateStore, { ms: 1000 }); },
      processElement(row, context, out) { everything?.processElement(row, context, out); },
    };
  })] });
  run.nowUs = 5_000_000_000;
  await run.push(1, batch(['a', 'b'].flatMap(k => ['set', 'add', 'put'].map((what): [string, number, string, number] => [k, 0, what, 1]))));
  run.nowUs = 5_000_700_000;
  await run.push(1, batch([['b', 0, 'put', 2]]));
  const shown = (): string => { run.take(2); const operator = run.driver.operator(2); operator?.readState?.(0); return run.take(2).map(b => draw([TEXT, TEXT, { kind: 'jsonb' }, { kind: 'jsonb' }], b)).join('\n'); };
  assert.equal(shown().split('\n').length, 14);
  run.nowUs = 5_001_200_000;
  await run.checkpoint();
  assert.deepEqual(shown().split('\n').map(l => l.split(' ').slice(1, 3).join(' ')).sort(), ['b map', 'b map2']);
  run.nowUs = 5_003_000_000;
  await run.checkpoint();
  assert.equal(shown(), '');
});

test('a row that stands n times comes n times; without partition_by keyed state and timers are an error', async () => {
  const run = new TestRun(plan([]), { functions: [defined(() => ({ processElement(row, _, out) { out.collect({ k: row['k'], said: row['what'] }); } }))] });
  await run.push(1, batch([['a', 0, 'thrice', 1], ['b', 0, 'once', 1]], [3, 1]));
  assert.deepEqual(said(run), ['a thrice', 'a thrice', 'a thrice', 'b once']);
  const keyed = new TestRun(plan([]), { functions: [defined(() => ({ processElement(_, { timerService }) { timerService.registerEventTimeTimer(1); } }))] });
  await assert.rejects(keyed.push(1, batch([['a', 0, '', 1]])), failing('38000', /^function "f" used keyed state or a timer with no key in hand$/));
});

test('what a function collects is checked: the error names function and column', async () => {
  const columns: Column[] = [{ name: 'n', type: { kind: 'int2' } }, { name: 'price', type: { kind: 'numeric', mod: 655366 } }];
  const giving = (row: Row): Promise<void> => new TestRun(plan([0], columns), { functions: [defined(() => ({ processElement(_, __, out) { out.collect(row); } }))] }).push(1, batch([['a', 0, '', 1]]));
  await assert.rejects(giving({ n: 40000 }), failing('22003', /^function "f", column "n" of type smallint: 40000 is out of range$/));
  await assert.rejects(giving({ n: 'x' }), failing('22P02', /^function "f", column "n"/));
  await assert.rejects(giving({ n: true }), failing('22P02', /^function "f", column "n"/));
  await assert.rejects(giving({ n: 1.5 }), failing('22P02', /^function "f", column "n"/));
  await assert.rejects(giving({ m: 1 }), failing('22023', /^function "f" gave a row with a column "m" that it has not$/));
  const run = new TestRun(plan([0], columns), { functions: [defined(() => ({ processElement(_, __, out) { out.collect({ n: 7, price: '12.345' }); out.collect({}); } }))] });
  await run.push(1, batch([['a', 0, '', 1]]));
  const [out] = run.take(2);
  assert.deepEqual(datumRow([{ kind: 'int2' }, NUMERIC], out, 0), [7, Numeric.of(1235, 2)]);
  assert.deepEqual(datumRow([{ kind: 'int2' }, NUMERIC], out, 1), [null, null]);
});

test('a map key that is none is refused: null would be all elements, and all objects one', async () => {
  for (const key of [null, undefined, { a: 1 }]) {
    const run = new TestRun(plan([0]), { functions: [defined(() => {
      let map: MapState<string, number> | null = null;
      return { initializeState({ keyedStateStore }) { map = keyedStateStore.mapState({ name: 'm' }); }, processElement() { map?.put(key as unknown as string, 1); } };
    })] });
    await assert.rejects(run.push(1, batch([['a', 0, '', 1]])), failing('22023', /^map state "m" takes strings, numbers, bigints and booleans as keys, not /));
  }
});

test('what a function throws fails the job under its name, and it is not a mistake of the query', async () => {
  const run = new TestRun(plan(), { functions: [defined(() => ({ processElement() { throw new TypeError('no such thing'); } }))] });
  await assert.rejects(run.push(1, batch([['a', 0, '', 1]])), failing('38000', /^function "f" failed: no such thing$/));
});
