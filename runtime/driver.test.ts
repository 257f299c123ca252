import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanNode } from '../types/plan.js';
import type { Batch } from './batch.js';
import { Driver } from './driver.js';
import type { Operator } from './operator.js';

const NODE: PlanNode = { op: 'union', id: 0, inputs: [], columns: [], appendOnly: true, key: null };
const batch = (n: number): Batch => ({ length: 1, columns: [{ form: 'f64', values: Float64Array.of(n), nulls: null }], weights: null });
const value = (b: Batch): number => (b.columns[0].form === 'f64' ? b.columns[0].values[0] : NaN);

/** Notes what it sees; passes batches on, each `times` times; emits at barriers when told; prefetches with a promise when `slow`. */
class Spy implements Operator {
  readonly node = NODE;
  done = false;
  readonly #name: string;
  readonly #log: string[];
  readonly #emit: (b: Batch) => void;
  readonly #times: number;
  readonly #slow: boolean;
  constructor(name: string, log: string[], emit: (b: Batch) => void, times = 1, slow = false) { this.#name = name; this.#log = log; this.#emit = emit; this.#times = times; this.#slow = slow; }
  prefetch(): Promise<void> | null { return this.#slow ? Promise.resolve() : null; }
  process(b: Batch, input: number): void {
    this.#log.push(`${this.#name}${input}:${value(b)}`);
    for (let k = 0; k < this.#times; k++) this.#emit(batch(value(b) * 10 + k));
  }
  watermark(us: number): void { this.#log.push(`${this.#name}@${us}`); }
  barrier(): void { this.#log.push(`${this.#name}|`); this.#emit(batch(900)); }
  end(): void { this.#log.push(`${this.#name}.`); }
}

/** 1 → a(2) → c(4) input 0, 1 → b(3) → c input 1. */
function diamond(slow: boolean): { readonly driver: Driver; readonly log: string[]; readonly last: Spy } {
  const log: string[] = [];
  const driver = new Driver([{ id: 1, inputs: [] }, { id: 2, inputs: [1] }, { id: 3, inputs: [1] }, { id: 4, inputs: [2, 3] }]);
  driver.attach(2, new Spy('a', log, driver.emitter(2), 2, slow));
  driver.attach(3, new Spy('b', log, driver.emitter(3)));
  const last = new Spy('c', log, driver.emitter(4));
  driver.attach(4, last);
  return { driver, log, last };
}

for (const slow of [false, true]) {
  test(`the order of batches on each edge is kept, depth first${slow ? ', also while state is read' : ''}`, async () => {
    const { driver, log } = diamond(slow);
    const running = driver.push(1, batch(1));
    assert.equal(running !== null, slow);
    await running;
    assert.deepEqual(log, ['a0:1', 'c0:10', 'c0:11', 'b0:1', 'c1:10']);
    assert.equal(driver.counts(4).rowsIn, 3);
    assert.equal(driver.counts(2).rowsOut, 2);
  });

  test(`a watermark is the minimum of the inputs and comes after the batches before it${slow ? ' (slow)' : ''}`, async () => {
    const { driver, log } = diamond(slow);
    await driver.push(1, batch(1));
    log.length = 0;
    await driver.watermark(1, 5);
    assert.deepEqual(log, ['a@5', 'b@5', 'c@5']);
    await driver.watermark(1, 5);
    await driver.watermark(1, 4);
    assert.equal(log.length, 3);
  });

  test(`what an operator emits at a barrier reaches its readers before their own barrier${slow ? ' (slow)' : ''}`, async () => {
    const { driver, log } = diamond(slow);
    await driver.barrier({ epoch: 1, checkpoint: null, logPosition: 0, timeUs: 0 });
    assert.deepEqual(log, ['a|', 'c0:900', 'b|', 'c1:900', 'c|']);
    log.length = 0;
    await driver.end();
    assert.deepEqual(log, ['a.', 'b.', 'c.']);
  });
}

test('a source is not wanted any more when no reader is', () => {
  const { driver, last } = diamond(false);
  assert.equal(driver.wanted(1), true);
  last.done = true;
  assert.equal(driver.wanted(1), false);
});

test('nodes come and go between barriers', async () => {
  const { driver, log } = diamond(false);
  driver.add({ id: 5, inputs: [2] });
  driver.attach(5, new Spy('d', log, driver.emitter(5)));
  await driver.pushTo(5, 0, batch(7));
  assert.deepEqual(log, ['d0:7']);
  log.length = 0;
  await driver.push(1, batch(1));
  assert.deepEqual(log, ['a0:1', 'c0:10', 'd0:10', 'c0:11', 'd0:11', 'b0:1', 'c1:10']);
  driver.remove(new Set([5]));
  log.length = 0;
  await driver.push(1, batch(1));
  assert.deepEqual(log, ['a0:1', 'c0:10', 'c0:11', 'b0:1', 'c1:10']);
});

test('an operator that has not finished a batch goes on after its output, until nobody wants more', async () => {
  const log: string[] = [];
  let turns = 0;
  const driver = new Driver([{ id: 1, inputs: [] }, { id: 2, inputs: [1] }, { id: 3, inputs: [2] }], null, () => { turns++; return turns % 2 === 0 ? null : Promise.resolve(); });
  const emit = driver.emitter(2);
  let left = 0;
  const series: Operator = {
    node: NODE,
    process(b) { left = value(b); emit(batch(left)); },
    get unfinished() { return left > 1; },
    resume() { emit(batch(--left)); },
  };
  driver.attach(2, series);
  const reader = new Spy('r', log, () => undefined);
  driver.attach(3, reader);
  await driver.push(1, batch(4));
  assert.deepEqual(log, ['r0:4', 'r0:3', 'r0:2', 'r0:1']);
  assert.equal(turns, 3);
  reader.done = true;
  await driver.push(1, batch(1000));
  assert.equal(turns, 4, 'a full LIMIT ends the series');
});
