import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AggregateCall, AggregateNode, PlanNode, RowsNode, SessionAggregateNode, SessionNode } from '../../types/plan.js';
import { BOOL, type Column, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import { formatDatum, parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import { draw } from '../drawn.js';
import { batchFromDatums } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const SECOND = 1_000_000;
const GAP = 10 * SECOND;
const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
/** Key, event time, a value, the split's watermark before the row. */
const TYPES = [TEXT, TIMESTAMP, INT8, TIMESTAMP];
const OUT = [TEXT, TIMESTAMP, TIMESTAMP, INT8, NUMERIC];
const ROW_OUT = [TEXT, TIMESTAMP, INT8, TIMESTAMP, TIMESTAMP];
const base = { inputs: [1], appendOnly: false, key: null };
const entry = (types: readonly SqlType[]): RowsNode => ({ op: 'rows', id: 1, inputs: [], columns: columns(types), appendOnly: true, key: null, rows: [], system: null });
const call = (fn: string, args: readonly number[], type: SqlType, filter: number | null = null): AggregateCall => ({ fn, args, distinct: false, filter, orderBy: [], type });

const aggregate = (more: Partial<SessionAggregateNode> = {}): PlanNode[] => [entry(TYPES), {
  op: 'sessionaggregate', id: 2, ...base, columns: columns(OUT), timeColumn: 1, partition: [0], gapUs: GAP, lateColumn: 3, emitOnClose: false,
  keys: [0, 'start', 'end'], calls: [call('count()', [], INT8), call('sum(int8)', [2], NUMERIC)], ...more,
} satisfies SessionAggregateNode];
const rowsOf = (more: Partial<SessionNode> = {}): PlanNode[] => [entry(TYPES), {
  op: 'session', id: 2, ...base, columns: columns(ROW_OUT), timeColumn: 1, partition: [0], gapUs: GAP, lateColumn: 3, emitOnClose: false, keep: [0, 1, 2], inputAppendOnly: true, ...more,
} satisfies SessionNode];

type Row = readonly [key: string, seconds: number, value: number, markSeconds: number | null];
const batch = (rows: readonly Row[]) => batchFromDatums(TYPES, rows.map(([k, t, v, m]): Datum[] => [k, t * SECOND, v, m === null ? null : m * SECOND]));
const at = (seconds: number): string => `"${formatDatum(TIMESTAMP, seconds * SECOND)}"`;

test('rows at most a gap apart are one session; a row between two sessions makes them one', async () => {
  for (const evict of [false, true]) {
    const run = new TestRun(aggregate(), { evict });
    await run.push(1, batch([['a', 0, 1, null], ['a', 10, 2, null], ['a', 20.5, 4, null], ['b', 5, 8, null]]));
    await run.barrier();
    assert.deepEqual(run.draw(2).split('\n').sort(), [`+ a ${at(0)} ${at(20)} 2 3`, `+ a ${at(20.5)} ${at(30.5)} 1 4`, `+ b ${at(5)} ${at(15)} 1 8`]);
    await run.push(1, batch([['a', 12, 16, null]]));
    await run.barrier();
    assert.deepEqual(run.draw(2).split('\n').sort(), [`+ a ${at(0)} ${at(30.5)} 4 23`, `- a ${at(0)} ${at(20)} 2 3`, `- a ${at(20.5)} ${at(30.5)} 1 4`]);
    await run.barrier();
    assert.equal(run.draw(2), '');
    assert.equal(run.syncReads, 0);
  }
});

test('one batch may make sessions and merge them in any order', async () => {
  const run = new TestRun(aggregate());
  await run.push(1, batch([['a', 40, 1, null], ['a', 20, 2, null], ['a', 0, 4, null], ['a', 30.5, 8, null], ['a', 9.5, 16, null], ['b', 1, 32, null], ['a', 12, 64, null]]));
  await run.barrier();
  assert.deepEqual(run.draw(2).split('\n').sort(), [`+ a ${at(0)} ${at(30)} 4 86`, `+ a ${at(30.5)} ${at(50)} 2 9`, `+ b ${at(1)} ${at(11)} 1 32`]);
});

test('an inner row that changes no result takes nothing back', async () => {
  const nodes = aggregate({ calls: [call('max(int8)', [2], INT8)] }).map((n) => (n.id === 2 ? { ...n, columns: columns([TEXT, TIMESTAMP, TIMESTAMP, INT8]) } : n));
  const run = new TestRun(nodes);
  await run.push(1, batch([['a', 0, 5, null], ['a', 8, 1, null]]));
  await run.barrier();
  run.take(2);
  await run.push(1, batch([['a', 4, 3, null]]));
  await run.barrier();
  assert.equal(run.draw(2), '');
});

test('a row is late when its session is closed to it: a closed one takes no row, an open one takes rows older than the watermark', async () => {
  const run = new TestRun(aggregate());
  await run.push(1, batch([['a', 0, 1, null], ['a', 9, 2, null]]));
  // The watermark of the split is 19: the session [0, 19) is closed. 8 would be in it: late. 9.5 begins another.
  await run.push(1, batch([['a', 8, 4, 19], ['a', 9.5, 8, 19]]));
  // [9.5, 19.5) is open at 19: it takes 9.7, which is before the watermark, and grows.
  await run.push(1, batch([['a', 9.7, 16, 19], ['b', 5, 32, 19]]));
  await run.barrier();
  assert.deepEqual(run.draw(2).split('\n').sort(), [`+ a ${at(0)} ${at(19)} 2 3`, `+ a ${at(9.5)} ${at(19.7)} 2 24`]);
});

test('EMIT ON WINDOW CLOSE gives each session once, when the watermark reaches its end', async () => {
  for (const evict of [false, true]) {
    for (const nodes of [aggregate({ emitOnClose: true }), rowsOf({ emitOnClose: true })]) {
      const run = new TestRun(nodes, { evict });
      const sessions = (): string[] => [...new Set(run.draw(2).split('\n').filter((l) => l !== '').map((l) => (nodes[1].op === 'session' ? l.replace(/^(\+ \w+) "[^"]*" \d+/, '$1') : l.replace(/ \d+ \d+$/, ''))))].sort();
      await run.push(1, batch([['a', 0, 1, null], ['b', 3, 1, null]]));
      await run.barrier();
      await run.watermark(1, 9.9 * SECOND);
      assert.deepEqual(sessions(), []);
      await run.push(1, batch([['a', 9, 2, null], ['c', 30, 1, null]]));
      await run.barrier();
      await run.watermark(1, 13 * SECOND);
      assert.deepEqual(sessions(), [`+ b ${at(3)} ${at(13)}`]);
      await run.barrier();
      await run.watermark(1, 18.999 * SECOND);
      assert.deepEqual(sessions(), []);
      await run.watermark(1, 19 * SECOND);
      assert.deepEqual(sessions(), [`+ a ${at(0)} ${at(19)}`]);
      await run.end();
      assert.deepEqual(sessions(), [`+ c ${at(30)} ${at(40)}`]);
    }
  }
});

/** The rules, one row after the other. */
class Model {
  readonly sessions: { key: string; start: number; end: number; rows: Row[]; }[] = [];
  late = 0;
  add(row: Row): void {
    const [key, time, , mark] = row;
    const end = time + GAP / SECOND;
    const closed = mark ?? -Infinity;
    const touched = this.sessions.filter((s) => s.key === key && s.end > closed && time <= s.end && end >= s.start && (end > closed || time >= s.start));
    if (touched.length === 0 && end <= closed) { this.late++; return; }
    for (const s of touched) this.sessions.splice(this.sessions.indexOf(s), 1);
    this.sessions.push({ key, start: Math.min(time, ...touched.map((s) => s.start)), end: Math.max(end, ...touched.map((s) => s.end)), rows: [...touched.flatMap((s) => s.rows), row] });
  }
  results(): string[] {
    return this.sessions.map((s) => `+ ${s.key} ${at(s.start)} ${at(s.end)} ${s.rows.length} ${s.rows.reduce((sum, r) => sum + r[2], 0)}`).sort();
  }
  rows(): string[] { return this.sessions.flatMap((s) => s.rows.map((r) => `+ ${r[0]} ${at(r[1])} ${r[2]} ${at(s.start)} ${at(s.end)}`)).sort(); }
}

for (const evict of [false, true]) {
  for (const emitOnClose of [false, true]) {
    test(`random rows, some late, make the sessions of the rules: ${emitOnClose ? 'when they close' : 'every epoch'}${evict ? ', everything evicted' : ''}`, async () => {
      for (let seed = 1; seed <= 12; seed++) {
        const rand = seeded(seed);
        const model = new Model();
        const runs = [{ run: new TestRun(aggregate({ emitOnClose }), { evict }), content: new Content(OUT), expected: () => model.results() }, { run: new TestRun(rowsOf({ emitOnClose }), { evict }), content: new Content(ROW_OUT), expected: () => model.rows() }];
        let mark: number | null = null;
        let now = 0;
        let value = 0;
        for (let step = 0; step < 60; step++) {
          const rows: Row[] = [];
          for (let k = rand(20); k >= 0; k--) {
            now += rand(10) === 0 ? rand(15) : rand(2) / 2;
            const time = rand(6) === 0 ? Math.max(0, now - rand(60) / 2) : now - rand(3);
            const row: Row = ['abcdefgh'[rand(8)], time, value++, mark];
            rows.push(row);
            model.add(row);
            mark = Math.max(mark ?? -Infinity, time - 4);
          }
          const barrier = rand(3) === 0;
          for (const { run, content, expected } of runs) {
            await run.push(1, batch(rows));
            if (rand(2) === 0 && mark !== null) await run.watermark(1, mark * SECOND);
            if (!barrier) continue;
            await run.barrier();
            content.add(run.take(2));
            if (!emitOnClose) assert.deepEqual(content.rows(), expected(), `seed ${seed}, step ${step}`);
          }
        }
        assert.ok(model.late > 0);
        for (const { run, content, expected } of runs) {
          await run.end();
          await run.barrier();
          const last = run.take(2);
          if (emitOnClose) assert.ok(last.every((b) => b.weights === null || b.weights.every((w) => w > 0)));
          content.add(last);
          assert.deepEqual(content.rows(), expected(), `seed ${seed}`);
          assert.equal(run.syncReads, 0);
        }
      }
    });
  }

  test(`over rows that are taken back, sessions split again${evict ? ', everything evicted' : ''}`, async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const rand = seeded(seed);
      const run = new TestRun(rowsOf({ lateColumn: null, inputAppendOnly: false }), { evict });
      const content = new Content(ROW_OUT);
      const rows: Row[] = [];
      for (let step = 0; step < 40; step++) {
        const changes: Row[] = [];
        const weights: number[] = [];
        for (let k = rand(12); k >= 0; k--) {
          const [gone] = rand(3) === 0 ? rows.splice(rand(rows.length), 1) : [];
          if (gone !== undefined) { changes.push(gone); weights.push(-1); continue; }
          // Equal rows come up too.
          const row: Row = ['abc'[rand(3)], rand(80) - 40, rand(3), null];
          rows.push(row);
          changes.push(row);
          weights.push(1);
        }
        await run.push(1, { ...batch(changes), weights: Int32Array.from(weights) });
        if (rand(3) > 0) continue;
        await run.barrier();
        content.add(run.take(2));
        const model = new Model();
        for (const r of rows) model.add(r);
        const counted = new Map<string, number>();
        for (const line of model.rows()) counted.set(line, (counted.get(line) ?? 0) + 1);
        assert.deepEqual(content.rows(), [...counted].map(([line, n]) => (n === 1 ? line : line.replace('+', `+${n}`))).sort(), `seed ${seed}, step ${step}`);
      }
    }
  });
}

const MANY: readonly AggregateCall[] = [
  call('count(any)', [2], INT8), call('count()', [], INT8, 5), call('sum(int4)', [3], INT8), call('avg(int8)', [2], NUMERIC), call('min(int8)', [2], INT8), call('max(float8)', [4], FLOAT8),
  call('bool_and(bool)', [5], BOOL), call('bool_or(bool)', [5], BOOL), call('bit_xor(int4)', [3], INT4), call('sum(numeric)', [6], NUMERIC, 5), call('variance(numeric)', [6], NUMERIC),
  call('sum(float8)', [4], FLOAT8), call('stddev(float8)', [4], FLOAT8), call('corr(float8,float8)', [4, 8], FLOAT8), call('sum(interval)', [7], INTERVAL),
];
const MANY_TYPES = [TEXT, TIMESTAMP, INT8, INT4, FLOAT8, BOOL, NUMERIC, INTERVAL, FLOAT8];

test('merged aggregates are those of all rows: fused as grouped after the window, as a stream and in a query that ends', async () => {
  const outTypes = [TEXT, TIMESTAMP, TIMESTAMP, ...MANY.map((c) => c.type)];
  const sessions = { timeColumn: 1, partition: [0], gapUs: GAP, lateColumn: null, emitOnClose: false };
  const fused: SessionAggregateNode = { op: 'sessionaggregate', id: 2, ...base, ...sessions, columns: columns(outTypes), keys: [0, 'start', 'end'], calls: MANY };
  const kept: SessionNode = { op: 'session', id: 2, ...base, ...sessions, columns: columns([...MANY_TYPES, TIMESTAMP, TIMESTAMP]), keep: MANY_TYPES.map((_, i) => i), inputAppendOnly: true };
  const grouped: AggregateNode = { op: 'aggregate', id: 3, ...base, inputs: [2], columns: columns(outTypes), groupKeys: [0, 9, 10], calls: MANY, inputAppendOnly: false, closes: null };
  for (let seed = 1; seed <= 10; seed++) {
    const rand = seeded(seed);
    const plans = [{ nodes: [entry(MANY_TYPES), fused], id: 2 }, { nodes: [entry(MANY_TYPES), kept, grouped], id: 3 }];
    const runs = plans.flatMap(({ nodes, id }) => [{ run: new TestRun(nodes), id, content: new Content(outTypes) }, { run: new TestRun(nodes, { batchMode: true }), id, content: new Content(outTypes) }]);
    for (let step = 0; step < 12; step++) {
      const maybe = (v: Datum): Datum => (rand(7) === 0 ? null : v);
      const rows = Array.from({ length: rand(15) }, (): Datum[] => [
        maybe('ab'[rand(2)]), (rand(200) + rand(100) / 100) * SECOND, maybe(rand(2) === 0 ? 9007199254740993n * BigInt(rand(900) + 1) : rand(100)), maybe(rand(1000) - 500), maybe([1.5, 1e300, -1e-300, 0.1, NaN, 3][rand(6)] ?? 0),
        maybe(rand(2) === 0), maybe(parseDatum(NUMERIC, ['1.50', '2.25', '-7.00', '123456789012345678901234567890.12', 'NaN'][rand(5)] ?? '0')), maybe(parseDatum(INTERVAL, ['1 day', '2 mons', '-03:00'][rand(3)] ?? '0')), maybe(rand(9) / 4),
      ]);
      for (const { run } of runs) await run.push(1, batchFromDatums(MANY_TYPES, rows));
      if (rand(3) === 0) for (const { run } of runs.filter((_, i) => i % 2 === 0)) await run.barrier();
    }
    const results: string[][] = [];
    for (const [i, { run, id, content }] of runs.entries()) {
      if (i % 2 === 0) await run.barrier();
      else await run.end();
      content.add(run.take(id));
      results.push(content.rows());
    }
    assert.ok((results[0] ?? []).length > 0);
    for (const other of results.slice(1)) assert.deepEqual(other, results[0], `seed ${seed}`);
  }
});

test('without partition_by all rows are one partition; rows without event time make no session', async () => {
  const run = new TestRun(aggregate({ partition: [], keys: ['end', 'start'] }).map((n) => (n.id === 2 ? { ...n, columns: columns([TIMESTAMP, TIMESTAMP, INT8, NUMERIC]) } : n)));
  await run.push(1, batchFromDatums(TYPES, [['a', 0, 1, null], ['b', 5 * SECOND, 2, null], ['a', null, 4, null], ['a', Infinity, 8, null]]));
  await run.barrier();
  assert.equal(run.draw(2), `+ ${at(15)} ${at(0)} 2 3`);
});

test('a drawn batch of sessions has its columns in the order of the keys', async () => {
  const nodes = aggregate({ keys: ['start', 0] }).map((n) => (n.id === 2 ? { ...n, columns: columns([TIMESTAMP, TEXT, INT8, NUMERIC]) } : n));
  const run = new TestRun(nodes, { batchMode: true });
  await run.push(1, batch([['a', 0, 1, null]]));
  await run.end();
  assert.equal(run.take(2).map((b) => draw([TIMESTAMP, TEXT, INT8, NUMERIC], b)).join(), `+ ${at(0)} a 1 1`);
});
