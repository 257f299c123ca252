import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import type { Expr } from '../../types/expr.js';
import type { AggregateCall, AggregateNode, PlanNode, RowsNode, SortKey } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BOOL, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, TEXT, TIMESTAMP, arrayOf } from '../../types/sqltype.js';
import { formatDatum, parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import { canPreaggregate } from '../aggregates/epochgroups.js';
import { parseDrawn } from '../drawn.js';
import { batchFromDatums, datumRow } from '../vectors.js';
import { Content, TestRun } from './testrun.js';
import { seeded } from '../../types/encoding/testdatums.js';

const columns = (types: readonly SqlType[]): Column[] => types.map((type, i) => ({ name: `c${i}`, type }));
const entry = (types: readonly SqlType[]): RowsNode => ({ op: 'rows', id: 1, inputs: [], columns: columns(types), appendOnly: true, key: null, rows: [], system: null });
const call = (fn: string, args: readonly number[], type: SqlType, more: Partial<AggregateCall> = {}): AggregateCall => ({ fn, args, distinct: false, filter: null, orderBy: [], type, ...more });

function plan(types: readonly SqlType[], groupKeys: readonly number[], calls: readonly AggregateCall[], more: Partial<AggregateNode> = {}): PlanNode[] {
  const node: AggregateNode = {
    op: 'aggregate', id: 2, inputs: [1], columns: columns([...groupKeys.map((k) => types[k]), ...calls.map((c) => c.type)]), appendOnly: false,
    key: groupKeys.map((_, i) => i), groupKeys, calls, inputAppendOnly: false, closes: null, ...more,
  };
  return [entry(types), node];
}

// Awaited before the first test: a runner that exits after the last test known would leave out those that come after.
const db = await PGlite.create();
after(() => db.close());
await db.exec('CREATE TABLE r (k int4, i int8, n numeric(20,2), f float8, t text, b bool, v interval, ts timestamp)');

test('an epoch gives one −old and one +new per changed group, nothing when nothing changed', async () => {
  const run = new TestRun(plan([TEXT, INT8], [0], [call('count()', [], INT8), call('sum(int8)', [1], NUMERIC)]));
  await run.push(1, parseDrawn([TEXT, INT8], '+ a 1\n+ a 2\n+ b 5'));
  await run.barrier();
  assert.equal(run.draw(2), '+ a 2 3\n+ b 1 5');
  await run.push(1, parseDrawn([TEXT, INT8], '+ a 10\n- a 10'));
  await run.push(1, parseDrawn([TEXT, INT8], '- b 5\n+ b 6'));
  await run.barrier();
  assert.equal(run.draw(2), '- b 1 5\n+ b 1 6');
  await run.push(1, parseDrawn([TEXT, INT8], '- a 1\n- a 2'));
  await run.barrier();
  assert.equal(run.draw(2), '- a 2 3');
  await run.barrier();
  assert.equal(run.draw(2), '');
});

test('an empty text does not hide the one that begins where it ends', async () => {
  const run = new TestRun(plan([TEXT], [], [call('max(text)', [0], TEXT), call('min(text)', [0], TEXT)], { inputAppendOnly: true }));
  const data = Buffer.from('bazz');
  await run.push(1, { length: 4, columns: [{ form: 'bytes', data, start: Int32Array.of(0, 1, 2, 2), end: Int32Array.of(1, 2, 2, 4), nulls: null }], weights: null });
  await run.barrier();
  assert.deepEqual(run.take(2).map((b) => datumRow([TEXT, TEXT], b, 0)), [['zz', '']]);
});

test('without group keys there is one row, also over no input', async () => {
  const run = new TestRun(plan([INT8], [], [call('count()', [], INT8), call('sum(int8)', [0], NUMERIC)]));
  await run.barrier();
  assert.equal(run.draw(2), '+ 0 .');
  await run.push(1, parseDrawn([INT8], '+ 7'));
  await run.barrier();
  assert.equal(run.draw(2), '- 0 .\n+ 1 7');
  const batch = new TestRun(plan([INT8], [], [call('count()', [], INT8)]), { batchMode: true });
  await batch.end();
  assert.equal(batch.draw(2), '+ 0');
});

test('the result of a window is given once, when the watermark closes it, and its state is freed', async () => {
  const types = [TIMESTAMP, INT8];
  for (const evict of [false, true]) {
    const run = new TestRun(plan(types, [0], [call('count()', [], INT8)], { inputAppendOnly: true, closes: { keyIndex: 0, addUs: 10_000_000, emitOnClose: true } }), { evict });
    const at = (s: number): Datum => s * 1_000_000;
    await run.push(1, batchFromDatums(types, [[at(0), 1], [at(10), 1], [at(0), 2]]));
    await run.barrier();
    assert.equal(run.draw(2), '');
    await run.watermark(1, 9_999_999);
    assert.equal(run.draw(2), '');
    await run.watermark(1, 10_000_000);
    assert.equal(run.draw(2), '+ "1970-01-01 00:00:00" 2');
    await run.barrier();
    await run.end();
    assert.equal(run.draw(2), '+ "1970-01-01 00:00:10" 1');
  }
});

test('groups closed by the watermark keep their last result', async () => {
  const types = [TIMESTAMP, INT8];
  for (const evict of [false, true]) {
    const run = new TestRun(plan(types, [0], [call('max(int8)', [1], INT8)], { inputAppendOnly: true, closes: { keyIndex: 0, addUs: 0, emitOnClose: false } }), { evict });
    await run.push(1, batchFromDatums(types, [[1, 4], [1, 9], [5, 3]]));
    await run.watermark(1, 1);
    await run.barrier();
    assert.equal(run.draw(2), '+ "1970-01-01 00:00:00.000001" 9\n+ "1970-01-01 00:00:00.000005" 3');
    await run.push(1, batchFromDatums(types, [[5, 8]]));
    await run.watermark(1, 6);
    await run.barrier();
    assert.equal(run.draw(2), '- "1970-01-01 00:00:00.000005" 3\n+ "1970-01-01 00:00:00.000005" 8');
  }
});

test('sums past 2^53 are exact and come back when rows are retracted', async () => {
  const run = new TestRun(plan([INT8], [], [call('sum(int8)', [0], NUMERIC), call('avg(int8)', [0], NUMERIC)]));
  const big = 9223372036854775807n;
  await run.push(1, batchFromDatums([INT8], [[big], [big], [big], [1]]));
  await run.barrier();
  assert.equal(run.draw(2), '+ 27670116110564327422 6917529027641081856');
  await run.push(1, batchFromDatums([INT8], [[big], [big], [big]], [-1, -1, -1]));
  await run.barrier();
  assert.equal(run.draw(2), '- 27670116110564327422 6917529027641081856\n+ 1 1.00000000000000000000');
  const int4 = new TestRun(plan([INT4], [], [call('sum(int4)', [0], INT8)]));
  await int4.push(1, batchFromDatums([INT4], [[2147483647]], [2000000000]));
  await int4.push(1, batchFromDatums([INT4], [[2147483647]], [2000000000]));
  await int4.barrier();
  assert.equal(int4.draw(2), '+ 8589934588000000000');
  await int4.push(1, batchFromDatums([INT4], [[2147483647]], [2000000000]));
  await assert.rejects(() => int4.barrier(), /bigint out of range/);
});

test('float sums do not drift: retraction gives back the bits, order changes nothing', async () => {
  const values = [1e308, 1e-320, 0.1, 0.2, 0.3, -1e308, 1e16, 1, -1e16, 5e-324];
  const sum = async (list: readonly number[], weights?: readonly number[]): Promise<string> => {
    const run = new TestRun(plan([FLOAT8], [], [call('sum(float8)', [0], FLOAT8), call('avg(float8)', [0], FLOAT8)]));
    await run.push(1, batchFromDatums([FLOAT8], list.map((v) => [v]), weights ?? null));
    await run.barrier();
    return run.draw(2);
  };
  assert.equal(await sum(values), await sum([...values].reverse()));
  assert.equal(await sum([...values, 1e300, 3], values.map(() => 1).concat([1, 1])), await sum([3, 1e300, ...values]));
  assert.equal(await sum([0.5, ...values, ...values], [1, ...values.map(() => 1), ...values.map(() => -1)]), '+ 0.5 0.5');
  assert.equal(await sum([0.1, 0.2]), '+ 0.30000000000000004 0.15000000000000002');
  assert.equal(await sum([5e-324, 5e-324]), '+ 1e-323 5e-324');
});

test('in a batch query lists come in the order of arrival; in a job in the order of the rows, whatever the arrival', async () => {
  const calls = [call('array_agg(anynonarray)', [1], arrayOf(INT4)), call('json_agg(anyelement)', [1], { kind: 'json' }), call('json_object_agg(any,any)', [0, 1], { kind: 'json' })];
  const rows = '+ a 3\n+ a 1\n+ a .\n+ a 2';
  const batch = new TestRun(plan([TEXT, INT4], [0], calls), { batchMode: true });
  await batch.push(1, parseDrawn([TEXT, INT4], rows));
  await batch.end();
  assert.equal(batch.draw(2), `+ a {3,1,NULL,2} "[3, 1, null, 2]" ${JSON.stringify('{ "a" : 3, "a" : 1, "a" : null, "a" : 2 }')}`);
  const job = new TestRun(plan([TEXT, INT4], [0], calls.slice(0, 1)));
  await job.push(1, parseDrawn([TEXT, INT4], rows));
  await job.barrier();
  assert.equal(job.draw(2), '+ a {1,2,3,NULL}');
});

test('groups are equal by value and keep the key first met', async () => {
  const types = [{ kind: 'numeric' } as const, INT4];
  const run = new TestRun(plan(types, [0], [call('count()', [], INT8)]));
  await run.push(1, parseDrawn(types, '+ 1.0 1\n+ 1.00 2\n+ . 3\n+ . 4'));
  await run.barrier();
  assert.equal(run.draw(2), '+ 1.0 2\n+ . 2');
});

test('more groups and values in one epoch than it holds go into the state early, and the result is the same', async () => {
  const types = [INT8, TEXT, INT8];
  for (const evict of [false, true]) {
    const calls = [call('count()', [], INT8), call('sum(int8)', [0], NUMERIC), call('count(any)', [2], INT8, { distinct: true })];
    for (const keys of [[0, 1], [1]]) {
      const run = new TestRun(plan(types, keys, calls, { inputAppendOnly: true }), { evict });
      const content = new Content([...keys.map((k) => types[k]), ...calls.map((c) => c.type)]);
      for (let epoch = 0; epoch < 2; epoch++) {
        for (let from = 0; from < 140_000; from += 35_000) {
          await run.push(1, batchFromDatums(types, Array.from({ length: 35_000 }, (_, k): Datum[] => [from + k, `t${(from + k) % 3}`, (from + k) * 7])));
        }
        await run.barrier();
        const out = run.take(2);
        if (keys.length === 1) content.add(out);
        else assert.equal(out.reduce((n, b) => n + b.length, 0), epoch === 0 ? 140_000 : 280_000);
      }
      if (keys.length === 1) {
        const sums = [0, 1, 2].map((k) => { let s = 0; let n = 0; for (let i = k; i < 140_000; i += 3) { s += i; n++; } return `+ t${k} ${n * 2} ${s * 2} ${n}`; });
        assert.deepEqual(content.rows(), sums);
      }
    }
  }
});

// ---- against PostgreSQL ----

const TYPES: readonly SqlType[] = [INT4, INT8, NUMERIC, FLOAT8, TEXT, BOOL, INTERVAL, TIMESTAMP];
const NAMES = ['k', 'i', 'n', 'f', 't', 'b', 'v', 'ts'];

const ORDER_T = [{ column: 4, descending: false, nullsFirst: false }];
const sortKey = (column: number, descending = false, nullsFirst = descending): SortKey => ({ column, descending, nullsFirst });
const literal = (text: string | null, type: SqlType): Expr => ({ node: 'literal', text, type });
/** fn(direct) WITHIN GROUP (ORDER BY …); `args`: of those that give one of the values. */
const within = (fn: string, direct: readonly Expr[], args: readonly number[], orderBy: readonly SortKey[], type: SqlType, filter: number | null = null): AggregateCall => call(fn, args, type, { direct, orderBy, filter });
const FRACTIONS: SqlType = arrayOf(FLOAT8);
const KEY_QUARTERS: Expr = { node: 'call', fn: '/(float8,float8)', args: [{ node: 'cast', arg: { node: 'column', index: 0, type: INT4 }, explicit: false, type: FLOAT8 }, literal('4', FLOAT8)], type: FLOAT8 };
const CALLS: readonly (readonly [string, AggregateCall])[] = [
  ['count(*)', call('count()', [], INT8)],
  ['count(i)', call('count(any)', [1], INT8)],
  ['sum(i)', call('sum(int8)', [1], NUMERIC)],
  ['avg(i)', call('avg(int8)', [1], NUMERIC)],
  ['sum(n)', call('sum(numeric)', [2], NUMERIC)],
  ['avg(n)', call('avg(numeric)', [2], NUMERIC)],
  ['sum(v)', call('sum(interval)', [6], INTERVAL)],
  ['min(i)', call('min(int8)', [1], INT8)],
  ['max(n)', call('max(numeric)', [2], NUMERIC)],
  ['min(f)', call('min(float8)', [3], FLOAT8)],
  ['max(t)', call('max(text)', [4], TEXT)],
  ['min(t)', call('min(text)', [4], TEXT)],
  ['max(ts)', call('max(timestamp)', [7], TIMESTAMP)],
  ['bool_and(b)', call('bool_and(bool)', [5], BOOL)],
  ['bool_or(b)', call('bool_or(bool)', [5], BOOL)],
  ['bit_and(k)', call('bit_and(int4)', [0], INT4)],
  ['bit_xor(i)', call('bit_xor(int8)', [1], INT8)],
  ['count(DISTINCT t)', call('count(any)', [4], INT8, { distinct: true })],
  ['sum(DISTINCT i)', call('sum(int8)', [1], NUMERIC, { distinct: true })],
  ['count(*) FILTER (WHERE b)', call('count()', [], INT8, { filter: 5 })],
  ['count(DISTINCT t) FILTER (WHERE b)', call('count(any)', [4], INT8, { distinct: true, filter: 5 })],
  ["string_agg(t, ',' ORDER BY t)", call('string_agg(text,text)', [4, 8], TEXT, { orderBy: ORDER_T })],
  ['array_agg(t ORDER BY t)', call('array_agg(anynonarray)', [4], arrayOf(TEXT), { orderBy: ORDER_T })],
  ['array_agg(DISTINCT i)', call('array_agg(anynonarray)', [1], arrayOf(INT8), { distinct: true })],
  ['var_samp(i)', call('var_samp(int8)', [1], NUMERIC)],
  ['stddev_pop(n)', call('stddev_pop(numeric)', [2], NUMERIC)],
];

/** Of these some share a table: the same rows in the same order. */
const WITHIN: readonly (readonly [string, AggregateCall])[] = [
  ['percentile_cont(0.3) WITHIN GROUP (ORDER BY f)', within('percentile_cont(float8,float8)', [literal('0.3', FLOAT8)], [3], [sortKey(3)], FLOAT8)],
  ['percentile_cont(ARRAY[0, NULL, 0.5, 1]) WITHIN GROUP (ORDER BY f)', within('percentile_cont(float8[],float8)', [literal('{0,NULL,0.5,1}', FRACTIONS)], [3], [sortKey(3)], arrayOf(FLOAT8))],
  ['percentile_cont(0.7) WITHIN GROUP (ORDER BY v DESC)', within('percentile_cont(float8,interval)', [literal('0.7', FLOAT8)], [6], [sortKey(6, true)], INTERVAL)],
  ['percentile_disc(k / 4.0) WITHIN GROUP (ORDER BY n)', within('percentile_disc(float8,anyelement)', [KEY_QUARTERS], [2], [sortKey(2)], NUMERIC)],
  ["percentile_disc('{{0.9,0.1},{0.5,0.5}}'::float8[]) WITHIN GROUP (ORDER BY i) FILTER (WHERE b)", within('percentile_disc(float8[],anyelement)', [literal('{{0.9,0.1},{0.5,0.5}}', FRACTIONS)], [1], [sortKey(1)], arrayOf(INT8), 5)],
  ['mode() WITHIN GROUP (ORDER BY n)', within('mode(anyelement)', [], [2], [sortKey(2)], NUMERIC)],
  ['mode() WITHIN GROUP (ORDER BY t)', within('mode(anyelement)', [], [4], [sortKey(4)], TEXT)],
  ['mode() WITHIN GROUP (ORDER BY b DESC)', within('mode(anyelement)', [], [5], [sortKey(5, true)], BOOL)],
  ['rank(0) WITHIN GROUP (ORDER BY f DESC)', within('rank(any…)', [literal('0', FLOAT8)], [], [sortKey(3, true)], INT8)],
  ["dense_rank('a b', true) WITHIN GROUP (ORDER BY t, b NULLS FIRST)", within('dense_rank(any…)', [literal('a b', TEXT), literal('t', BOOL)], [], [sortKey(4), sortKey(5, false, true)], INT8)],
  ['percent_rank(50) WITHIN GROUP (ORDER BY n)', within('percent_rank(any…)', [literal('50', NUMERIC)], [], [sortKey(2)], FLOAT8)],
  ['cume_dist(NULL) WITHIN GROUP (ORDER BY (ts)) FILTER (WHERE b)', within('cume_dist(any…)', [literal(null, TIMESTAMP)], [], [sortKey(7)], FLOAT8, 5)],
];

function randomRow(random: (n: number) => number): Datum[] {
  const texts = [
    String(random(4)),
    random(20) === 0 ? '9007199254740993' : String(random(1000) - 500),
    `${random(100)}.${random(10)}${random(10)}`,
    ['0.1', '1e10', '-2.5', 'NaN', '7'][random(5)],
    ['a', 'B', 'é', 'zz', 'a b', ''][random(6)],
    ['t', 'f'][random(2)],
    ['1 mon', '2 days', '03:04:05', '-1 day 10:00'][random(4)],
    `2024-01-0${1 + random(9)} 00:00:00`,
  ];
  const types = TYPES;
  return texts.map((t, c) => (c > 0 && random(8) === 0 ? null : c === 2 ? parseDatum({ kind: 'numeric' }, t) : parseDatum(types[c], t)));
}

const insert = async (rows: readonly (readonly Datum[])[]): Promise<void> => {
  for (const r of rows) await db.query(`INSERT INTO r VALUES (${r.map((d, c) => (d === null ? 'NULL' : `'${formatDatum(TYPES[c], d)}'`)).join(',')})`);
};
const erase = async (row: readonly Datum[]): Promise<void> => {
  await db.query(`DELETE FROM r WHERE ctid = (SELECT ctid FROM r WHERE ${row.map((d, c) => `${NAMES[c]} IS NOT DISTINCT FROM ${d === null ? 'NULL' : `'${formatDatum(TYPES[c], d)}'`}`).join(' AND ')} LIMIT 1)`);
};

/** Those that an epoch's groups can hold: of retractions, and more of append-only input. */
const MERGEABLE = CALLS.filter(([sql, c]) => !c.distinct && c.orderBy.length === 0 && !/^(min|max)/.test(sql));
const APPEND_ONLY: readonly (readonly [string, AggregateCall])[] = [
  ...MERGEABLE,
  ...CALLS.filter(([sql]) => /^(min\(i|min\(f|max\(ts|max\(t\)|min\(t\)|count\(DISTINCT|sum\(DISTINCT)/.test(sql)),
  ['max(t) FILTER (WHERE b)', call('max(text)', [4], TEXT, { filter: 5 })],
  ['count(DISTINCT i)', call('count(any)', [1], INT8, { distinct: true })],
  ['count(DISTINCT i) FILTER (WHERE b)', call('count(any)', [1], INT8, { distinct: true, filter: 5 })],
  ['avg(DISTINCT i) FILTER (WHERE b)', call('avg(int8)', [1], NUMERIC, { distinct: true, filter: 5 })],
  ['count(DISTINCT ts)', call('count(any)', [7], INT8, { distinct: true })],
  ['count(DISTINCT b)', call('count(any)', [5], INT8, { distinct: true })],
];
assert.ok(canPreaggregate({ groupKeys: [0, 4], calls: MERGEABLE.map((c) => c[1]), inputAppendOnly: false }, TYPES));
assert.ok(canPreaggregate({ groupKeys: [0, 4], calls: APPEND_ONLY.map((c) => c[1]), inputAppendOnly: true }, TYPES));
assert.ok(!canPreaggregate({ groupKeys: [0], calls: APPEND_ONLY.map((c) => c[1]), inputAppendOnly: false }, TYPES));
assert.ok(!canPreaggregate({ groupKeys: [2], calls: [], inputAppendOnly: true }, TYPES));

const CASES = [
  [1, false, false, CALLS, [0]], [2, false, true, CALLS, [0]], [3, true, false, CALLS, [0]], [4, true, true, CALLS, [0]],
  [11, false, false, WITHIN, [0]], [12, false, true, WITHIN, [0]], [13, true, true, WITHIN, [0, 4]],
  [5, false, false, MERGEABLE, [0]], [6, false, true, MERGEABLE, [0, 4]], [7, true, false, APPEND_ONLY, [0]], [8, true, true, APPEND_ONLY, [0]], [9, true, true, APPEND_ONLY, [4, 1, 7]], [10, true, false, APPEND_ONLY, []],
] as const;
for (const [seed, appendOnly, evict, list, by] of CASES) {
  test(`aggregates follow random changes as PostgreSQL computes them (seed ${seed}, ${appendOnly ? 'append-only' : 'with retractions'}${evict ? ', evicted' : ''}, by ${by.length} keys${list === CALLS ? '' : list === WITHIN ? ', within groups' : ', by epoch'})`, async () => {
    await db.exec('DELETE FROM r');
    const random = seeded(seed);
    const types = [...TYPES, TEXT];
    const calls = list.map((c) => c[1]);
    const run = new TestRun(plan(types, by, calls, { inputAppendOnly: appendOnly }), { evict });
    const outTypes = [...by.map((k) => TYPES[k]), ...calls.map((c) => c.type)];
    const content = new Content(outTypes);
    const rows: Datum[][] = [];
    for (let epoch = 0; epoch < 6; epoch++) {
      for (let b = 0; b < 3; b++) {
        const batch: Datum[][] = [];
        const weights: number[] = [];
        for (let n = random(6); n > 0; n--) {
          if (!appendOnly && rows.length > 0 && random(2) === 0) {
            const [gone] = rows.splice(random(rows.length), 1);
            await erase(gone);
            batch.push([...gone, ',']);
            weights.push(-1);
          } else {
            const row = randomRow(random);
            rows.push(row);
            await insert([row]);
            batch.push([...row, ',']);
            weights.push(1);
          }
        }
        if (batch.length > 0) await run.push(1, batchFromDatums(types, batch, weights));
      }
      await run.barrier();
      content.add(run.take(2));
      const expected = await db.query<Record<string, string | null>>(`SELECT ${[...by.map((k, i) => `${NAMES[k]}::text AS k${i}`), ...list.map((c, i) => `(${c[0].replace('ORDER BY t', 'ORDER BY t COLLATE "C"').replace(/^(max|min)\(t\)/, '$1(t COLLATE "C")')})::text AS a${i}`)].join(', ')} FROM r ${by.length === 0 ? '' : `GROUP BY ${by.map((k) => NAMES[k]).join(', ')}`}`);
      const all = new Content(outTypes);
      all.add([batchFromDatums(outTypes, expected.rows.map((r) => outTypes.map((t, c) => {
        const text = r[c < by.length ? `k${c}` : `a${c - by.length}`];
        return text === null ? null : parseDatum(t, text);
      })))]);
      assert.deepEqual(content.rows(), all.rows(), `epoch ${epoch}`);
    }
  });
}
