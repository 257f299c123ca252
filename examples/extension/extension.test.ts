/** The example's parts by themselves: plain objects, no server. End to end, with kills and other parallelisms: sqltests/functions.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { ConnectorSpec, FunctionInitializationContext, SourceFunction } from '../../runtime/functions/api.js';
import { dealOut, OperatorStates, type OperatorStateJson } from '../../runtime/functions/operatorstate.js';
import { withoutKeyedState } from '../../runtime/functions/ownsink.js';
import { TestRun } from '../../runtime/operators/testrun.js';
import { batchFromDatums, datumRow } from '../../runtime/vectors.js';
import type { PlanNode } from '../../types/plan.js';
import { FLOAT8, INT8, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import { counter } from './counter.js';
import { fraud } from './fraud.js';
import { ledger } from './ledger.js';

const spec = (options: Readonly<Record<string, string>>, subtask = 0, parallelism = 1): ConnectorSpec => ({ jobId: 1, relationName: 'r', options, columns: [], subtask, parallelism });
const initialization = (state: OperatorStates, restored: number | null): FunctionInitializationContext => ({
  isRestored: restored !== null, restoredCheckpointId: restored, operatorStateStore: state, keyedStateStore: withoutKeyedState('the example'),
});

test('fraud: a small payment and then a large one, a quiet card, a new country; each card by itself', async () => {
  const input = [{ name: 'card', type: TEXT }, { name: 'amount', type: FLOAT8 }, { name: 'country', type: TEXT }, { name: 'at', type: TIMESTAMP }];
  const out = [{ name: 'card', type: TEXT }, { name: 'at', type: TIMESTAMP }, { name: 'reason', type: TEXT }, { name: 'payments', type: INT8 }];
  const nodes: PlanNode[] = [
    { op: 'rows', id: 1, inputs: [], columns: input, appendOnly: true, key: null, rows: [], system: null },
    { op: 'process', id: 2, inputs: [1], columns: out, appendOnly: true, key: null, fn: 'fraud', args: { small: 1, large: 500, within: 60, memory: 1e12 }, partition: [0], timeColumn: 3 },
  ];
  const run = new TestRun(nodes, { functions: [fraud] });
  const said = (): string[] => run.take(2).flatMap(b => Array.from({ length: b.length }, (_, i) => datumRow(out.map(c => c.type), b, i).join(' | ')));
  await run.push(1, batchFromDatums(input.map(c => c.type), [['a', 0.5, 'NO', 10], ['b', 600, 'NO', 20], ['a', 700, 'NO', 30], ['b', 0.2, 'SE', 40], ['c', 0.9, 'NO', 50]]));
  assert.deepEqual(said(), ['a | 30 | 700 after 0.5 | 2', 'b | 40 | first seen in SE | 2']);
  await run.watermark(1, 105);
  assert.deepEqual(said(), ['b | 100 | quiet after a small payment | 2']);
  await run.push(1, batchFromDatums(input.map(c => c.type), [['c', 800, 'NO', 200], ['b', 800, 'NO', 201]]));
  assert.deepEqual(said(), ['c | 110 | quiet after a small payment | 2']);
  await run.end();
  assert.deepEqual(said(), []);
});

test('counter: its lanes go on where they were on any other parallelism', async () => {
  const seen = new Map<number, number[]>();
  const options = { lanes: '3', rows: '50', pause_ms: '0', hurry: '' };
  let states: OperatorStateJson[] | null = null;
  for (const parallelism of [1, 2, 3, 2]) {
    const next: OperatorStateJson[] = [];
    for (let subtask = 0; subtask < parallelism; subtask++) {
      const source: SourceFunction = counter.createFunction(spec(options, subtask, parallelism), { wake: () => undefined, now: () => 0 });
      const state = new OperatorStates(states === null ? null : dealOut(states, subtask, parallelism));
      source.initializeState(initialization(state, states === null ? null : 1));
      for (let k = 0; k < 3; k++) {
        const given = await source.next();
        if (typeof given === 'string' || !('split' in given)) continue;
        for (const r of given.rows) seen.set(Number(r['lane']), [...seen.get(Number(r['lane'])) ?? [], Number(r['n'])]);
      }
      source.snapshotState({ checkpointId: null, checkpointTimestampMs: null });
      next.push(state.snapshot());
    }
    states = next;
  }
  assert.deepEqual([...seen.keys()].sort(), [0, 1, 2]);
  for (const numbers of seen.values()) assert.deepEqual(numbers, Array.from({ length: 50 }, (_, n) => n));
});

test('ledger: nothing is visible before its checkpoint completed, and once it is, it stays as it is', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'millrace-ledger-'));
  try {
    const lines = (): string[] => readdirSync(dir).sort().flatMap(f => readFileSync(path.join(dir, f), 'utf8').trimEnd().split('\n'));
    const begin = (from: OperatorStateJson | null): { sink: ReturnType<typeof ledger.createFunction>; state: OperatorStates } => {
      const sink = ledger.createFunction(spec({ path: dir }));
      const state = new OperatorStates(from);
      sink.initializeState?.(initialization(state, from === null ? null : 2));
      return { sink, state };
    };
    const first = begin(null);
    const checkpoint = (id: number): OperatorStateJson => { first.sink.snapshotState?.({ checkpointId: id, checkpointTimestampMs: 0 }); return first.state.snapshot(); };
    void first.sink.write([{ row: { n: 1 }, kind: 1 }]);
    checkpoint(1);
    void first.sink.write([{ row: { n: 2 }, kind: 1 }]);
    const second = checkpoint(2);
    void first.sink.write([{ row: { n: 3 }, kind: 1 }]);
    checkpoint(3);
    assert.deepEqual(lines(), []);
    void first.sink.notifyCheckpointComplete?.(1);
    assert.deepEqual(lines(), ['{"n":1}']);
    // It died after checkpoint 2 completed, before it was told: what was prepared then is made visible, once; what followed comes again from the source.
    begin(second);
    assert.deepEqual(lines(), ['{"n":1}', '{"n":2}']);
    begin(second);
    assert.deepEqual(lines(), ['{"n":1}', '{"n":2}']);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
