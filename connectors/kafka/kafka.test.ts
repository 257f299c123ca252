import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import type { SinkWriter, SourceReader } from '../../runtime/connector.js';
import { batchFromDatums } from '../../runtime/vectors.js';
import type { Json } from '../../types/connect.js';
import type { SourceField } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { validateOptions } from '../options.js';
import { TestContext, readByBorders, readRows, sourceField } from '../testing.js';
import { ZSTD_AVAILABLE } from './decompress.js';
import { kafkaSink } from './sink.js';
import { kafkaSource } from './source.js';
import { kafkaUnavailable, startKafka } from './testbroker.js';
import type { TestKafka } from './testbroker.js';

const skip = kafkaUnavailable();
let kafka: TestKafka;
before(async () => { if (skip === false) kafka = await startKafka(); }, { timeout: 180_000 });
after(async () => { if (skip === false) await kafka.remove(); });

const FIELDS = [sourceField('a', { kind: 'int8' }), sourceField('s', { kind: 'text' })];
let topics = 0;
async function topic(partitions = 1): Promise<string> {
  const name = `t${topics++}`;
  await kafka.createTopic(name, partitions);
  return name;
}

const options = (t: string, more: Record<string, string> = {}): Record<string, string> => ({ topic: t, bootstrap_servers: kafka.servers, ...more });

function reader(o: Record<string, string>, context: TestContext, fields: readonly SourceField[] = FIELDS, subtask = 0, parallelism = 1): SourceReader {
  return kafkaSource.create({ jobId: 1, nodeId: 2, relationName: 's', options: o, fields, subtask, parallelism }, context);
}

/** Rows of a bounded read, or the first `rowsMax`. */
async function rows(o: Record<string, string>, rowsMax = Infinity, positions: Record<string, Json> = {}, fields: readonly SourceField[] = FIELDS, context = new TestContext()): Promise<{ rows: string[]; positions: Record<string, Json> }> {
  const r = reader(o, context, fields);
  try {
    await r.open(positions);
    return await readRows(r, context, fields, rowsMax);
  } finally {
    await r.close();
  }
}

const UNTIL = { scan_until: 'latest' };
const sorted = (r: readonly string[]): string[] => [...r].sort((x, y) => Number.parseInt(x, 10) - Number.parseInt(y, 10));

test('all partitions are read once, at any parallelism, compressed or not, and after a restore at any position', { skip, timeout: 120_000 }, async () => {
  const t = await topic(3);
  const N = 20_000;
  for (let i = 0; i < N; i += 2000) await kafka.produce(t, Array.from({ length: 2000 }, (_, k) => ({ key: String(i + k), value: JSON.stringify({ a: i + k, s: `v\n${i + k}` }) })), i % 4000 === 0 ? 1 : 0);
  const whole = await rows(options(t, UNTIL));
  const expected = Array.from({ length: N }, (_, i) => `${i} | v\n${i}`);
  assert.deepEqual(sorted(whole.rows), expected);
  const shared: string[] = [];
  for (let s = 0; s < 4; s++) {
    const c = new TestContext();
    const r = reader(options(t, UNTIL), c, FIELDS, s, 4);
    await r.open({});
    shared.push(...(await readRows(r, c, FIELDS)).rows);
    await r.close();
  }
  assert.deepEqual(sorted(shared), expected);
  for (const stop of [1, 5000, 12_345]) {
    const first = await rows(options(t, UNTIL), stop);
    await kafka.produce(t, [{ value: '{"a":-1}' }]);
    const rest = await rows(options(t, UNTIL), Infinity, JSON.parse(JSON.stringify(first.positions)) as Record<string, Json>);
    assert.deepEqual(sorted([...first.rows, ...rest.rows]).filter((r) => !r.startsWith('-1')), expected);
    // What came after the first start is beyond the end of a bounded stream, unless an earlier turn had produced it.
    assert.equal([...first.rows, ...rest.rows].filter((r) => r.startsWith('-1')).length, [1, 5000, 12_345].indexOf(stop));
  }
});

test('batches in every compression that Kafka has are read, some of them mixed in one response', { skip, timeout: 120_000 }, async () => {
  const values = Array.from({ length: 3000 }, (_, i) => ({ key: String(i), value: JSON.stringify({ a: i, s: i % 3 === 0 ? 'x'.repeat(i % 700) : `value ${i * 7919} é\n` }) }));
  const expected = values.map((v) => { const o = JSON.parse(v.value) as { a: number; s: string }; return `${o.a} | ${o.s}`; });
  for (const compression of ['gzip', 'snappy', 'lz4', 'zstd']) {
    // The broker writes batches anew in the topic's compression.
    const t = `t${topics++}`;
    await kafka.createTopic(t, 1, { 'compression.type': compression });
    for (let i = 0; i < values.length; i += 500) await kafka.produce(t, values.slice(i, i + 500));
    if (compression === 'zstd' && !ZSTD_AVAILABLE) await assert.rejects(rows(options(t, UNTIL)), { code: '0A000', hint: /Node\.js 22\.15/ });
    else assert.deepEqual((await rows(options(t, { ...UNTIL, 'kafka.check.crcs': 'true' }))).rows, expected, compression);
  }
  const t = await topic();
  for (let i = 0; i < values.length; i += 100) await kafka.produce(t, values.slice(i, i + 100), i % 300 === 0 ? 1 : 0);
  assert.deepEqual((await rows(options(t, UNTIL))).rows, expected);
});

test('keys that are no UTF-8 show replacement characters as text and their bytes as bytea', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  await kafka.produce(t, [{ key: Buffer.from([0x61, 0xff]), value: '{"a":1}' }, { key: null, value: '{"a":2}' }, { key: '', value: '{"a":3}' }]);
  const key = (kind: 'text' | 'bytea'): SourceField => sourceField('key', { kind }, { metadata: 'key' });
  assert.deepEqual((await rows(options(t, UNTIL), Infinity, {}, [FIELDS[0], key('text')])).rows, ['1 | a\ufffd', '2 | NULL', '3 | ']);
  assert.deepEqual((await rows(options(t, UNTIL), Infinity, {}, [FIELDS[0], key('bytea')])).rows, ['1 | \\x61ff', '2 | NULL', '3 | \\x']);
});

test('metadata columns give what Kafka keeps beside the value', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  await kafka.produce(t, [{ key: 'k1', value: '{"a":1}', headers: { h: 'x' }, timestamp: '1700000000123' }, { key: null, value: '{"a":2}', timestamp: '1700000000124' }]);
  const fields = [sourceField('a', { kind: 'int8' }), ...(['offset', 'partition', 'timestamp', 'key', 'headers'] as const).map((m, i) => sourceField(m, { kind: (['int8', 'int4', 'timestamp', 'text', 'jsonb'] as const)[i] }, { metadata: m }))];
  assert.deepEqual((await rows(options(t, UNTIL), Infinity, {}, fields)).rows, ['1 | 0 | 0 | 2023-11-14 22:13:20.123 | k1 | {"h": "x"}', '2 | 1 | 0 | 2023-11-14 22:13:20.124 | NULL | {}']);
  assert.throws(() => reader(options(t), new TestContext(), [sourceField('l', { kind: 'int8' }, { metadata: 'line' })]), { code: '42703' });
});

test('scan_startup: latest, timestamp, group; committed offsets go to the group', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  await kafka.produce(t, [1, 2, 3, 4].map((a) => ({ value: `{"a":${a}}`, timestamp: String(1_700_000_000_000 + a * 1000) })));
  assert.deepEqual((await rows(options(t, { ...UNTIL, scan_startup: 'latest' }))).rows, []);
  assert.deepEqual((await rows(options(t, { ...UNTIL, scan_startup: 'timestamp', scan_timestamp: '2023-11-14 22:13:23' }))).rows, ['3 | NULL', '4 | NULL']);
  const group = options(t, { scan_startup: 'group', group_id: 'g1' });
  const c = new TestContext();
  const r = reader(group, c);
  await r.open({});
  const first = await readRows(r, c, FIELDS, 1);
  assert.equal(first.rows[0], '1 | NULL');
  await r.committed?.({ 0: { offset: 3 } }, 1);
  await r.close();
  assert.deepEqual(c.logs.filter((l) => l.startsWith('warn')), []);
  assert.deepEqual((await rows({ ...group, ...UNTIL })).rows, ['4 | NULL']);
  const live = new TestContext();
  const latest = reader(options(t, { scan_startup: 'latest' }), live);
  await latest.open({});
  await kafka.produce(t, [{ value: '{"a":5}' }]);
  assert.deepEqual((await readRows(latest, live, FIELDS, 1)).rows, ['5 | NULL']);
  assert.equal(latest.progress()[0]?.lag, 0);
  await latest.close();
});

test('values that are no record are bad records with partition and offset; line ends inside JSON are white space', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  await kafka.produce(t, [{ value: '{"a":1}' }, { value: null }, { value: '{\n "a": 2,\r\n "s": "x"\n}' }, { value: '' }, { value: '{"a":3' }, { value: '{"a":\n4}}' }, { value: '{"a":5}' }]);
  const c = new TestContext('skip');
  assert.deepEqual((await rows(options(t, UNTIL), Infinity, {}, FIELDS, c)).rows, ['1 | NULL', '2 | x', '5 | NULL']);
  assert.deepEqual(c.bad.map((b) => b.position).sort(), [1, 3, 4, 5].map((o) => `${t} partition 0 offset ${o}`));
  await assert.rejects(rows(options(t, UNTIL)), { code: '22P02' });
});

test('aborted transactions are not read', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  const p = kafka.client().producer({ transactionalId: 'tx1', maxInFlightRequests: 1, idempotent: true });
  await p.connect();
  for (const [a, commit] of [[1, true], [2, false], [3, true], [4, false]] as const) {
    const tx = await p.transaction();
    await tx.send({ topic: t, messages: [{ value: `{"a":${a}}` }] });
    await (commit ? tx.commit() : tx.abort());
  }
  await p.disconnect();
  assert.deepEqual((await rows(options(t, UNTIL))).rows, ['1 | NULL', '3 | NULL']);
});

test('the reader stops fetching while nobody takes rows', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  const value = JSON.stringify({ a: 1, s: 'x'.repeat(1000) });
  for (let i = 0; i < 12; i++) await kafka.produce(t, Array.from({ length: 1000 }, () => ({ value })));
  const c = new TestContext();
  const r = reader(options(t), c);
  await r.open({});
  assert.equal(r.next(), 'idle');
  await c.woken();
  // Twelve megabytes are there; what is fetched ahead ends with the partition's buffer. Reading on brings all.
  const got = await readRows(r, c, FIELDS, 12_000);
  assert.equal(got.rows.length, 12_000);
  await r.close();
});

test('an unknown topic, a wrong option and no broker are named with a hint', { skip, timeout: 60_000 }, async () => {
  await kafka.createTopic('bids');
  const check = kafkaSource.check ?? ((): Promise<void> => Promise.resolve());
  await assert.rejects(check(options('bid')), { code: '42704', hint: 'Did you mean "bids"?' });
  await assert.rejects(rows(options('nowhere')), { code: '42704' });
  await assert.rejects(check({ topic: 'bids', bootstrap_servers: '127.0.0.1:1' }), { code: '08001', hint: /broker running/ });
  const refused = (o: Record<string, string>, code: string): void => {
    assert.throws(() => {
      const { connector, options: checked } = validateOptions('source', 'kafka', o);
      connector.validate?.(checked, []);
    }, { code });
  };
  refused(options('bids', { 'kafka.sasl.pasword': 'x' }), '42704');
  refused({ topic: 'bids', bootstrap_servers: 'localhost' }, '22023');
  refused(options('bids', { scan_startup: 'timestamp' }), '22023');
  refused(options('bids', { scan_startup: 'group' }), '22023');
});

test('an offset that retention took away is an error', { skip, timeout: 60_000 }, async () => {
  const t = await topic();
  await kafka.produce(t, [1, 2, 3].map((a) => ({ value: `{"a":${a}}` })));
  const admin = kafka.client().admin();
  await admin.connect();
  await admin.fetchTopicOffsets(t);
  await admin.deleteTopicRecords({ topic: t, partitions: [{ partition: 0, offset: '2' }] });
  await admin.disconnect();
  await assert.rejects(rows(options(t), 1, { 0: { offset: 1 } }), { code: '55000', detail: 'The partition has offsets 2 to 3.' });
  assert.deepEqual((await rows(options(t, UNTIL))).rows, ['3 | NULL']);
});

test('sink: rows, keys, tombstones and op fields arrive in order', { skip, timeout: 60_000 }, async () => {
  const columns: readonly Column[] = [{ name: 'k', type: { kind: 'int4' } }, { name: 'v', type: { kind: 'text' } }];
  const types = columns.map((c) => c.type);
  const run = async (o: Record<string, string>, key: readonly number[] | null, appendOnly: boolean, write: (w: SinkWriter) => Promise<void>, visible: readonly Column[] = columns): Promise<string[]> => {
    const t = await topic();
    const w = kafkaSink.create({ jobId: 1, nodeId: 1, relationName: 'out', options: options(t, o), columns, visible, key, appendOnly, subtask: 0, parallelism: 1 }, new TestContext());
    await w.open(null, 0);
    await write(w);
    await w.prepare(1);
    await w.commit(1);
    await w.close();
    const c = new TestContext('skip');
    const fields = [sourceField('key', { kind: 'text' }, { metadata: 'key' }), sourceField('all', { kind: 'text' }, { path: '$' })];
    const got = await rows(options(t, UNTIL), Infinity, {}, fields, c);
    return [...got.rows, ...c.bad.map((b) => b.reason)];
  };
  assert.deepEqual(await run({}, null, true, async (w) => { await w.write(batchFromDatums(types, [[1, 'a'], [2, null]])); }), ['NULL | {"k":1,"v":"a"}', 'NULL | {"k":2,"v":null}']);
  assert.deepEqual(await run({ key_format: 'text', compression: 'gzip' }, [0], false, async (w) => {
    await w.write(batchFromDatums(types, [[1, 'a']]));
    await w.write(batchFromDatums(types, [[1, 'a'], [1, 'b'], [2, 'c']], [-1, 1, 1]));
    await w.write(batchFromDatums(types, [[1, 'b']], [-1]));
  }), ['1 | {"k":1,"v":"a"}', '1 | {"k":1,"v":"b"}', '2 | {"k":2,"v":"c"}', 'the message has no value (a tombstone)']);
  assert.deepEqual(await run({ changelog: 'op' }, [0], false, async (w) => { await w.write(batchFromDatums(types, [[1, 'a'], [1, 'b'], [3, 'x']], [-1, 1, -1])); }),
    ['{"k":1} | {"op":"update_before","k":1,"v":"a"}', '{"k":1} | {"op":"update_after","k":1,"v":"b"}', '{"k":3} | {"op":"delete","k":3,"v":"x"}']);
  // A key that the query leaves out is the message's key, and no part of its value.
  assert.deepEqual(await run({}, [1], false, async (w) => { await w.write(batchFromDatums(types, [[1, 'a'], [2, 'a'], [3, 'b']], [-1, 1, 1])); }, columns.slice(0, 1)), ['{"v":"a"} | {"k":2}', '{"v":"b"} | {"k":3}']);
});

test('sink: many rows over several partitions: each key in order on its one partition, batches within the topic\'s limit; a longer message is named', { skip, timeout: 120_000 }, async () => {
  const t = `t${topics++}`;
  await kafka.createTopic(t, 3, { 'max.message.bytes': '20000' });
  const columns: readonly Column[] = [{ name: 'k', type: { kind: 'int8' } }, { name: 'n', type: { kind: 'int8' } }, { name: 's', type: { kind: 'text' } }];
  const types = columns.map((c) => c.type);
  for (const compression of ['none', 'gzip']) {
    const w = kafkaSink.create({ jobId: 1, nodeId: 1, relationName: 'out', options: options(t, { compression }), columns, visible: columns, key: [0], appendOnly: false, subtask: 0, parallelism: 1 }, new TestContext());
    await w.open(null, 0);
    for (let b = 0; b < 20; b++) await w.write(batchFromDatums(types, Array.from({ length: 1000 }, (_, i) => [i % 50, b * 1000 + i, 'x'.repeat(i % 200)])));
    await w.prepare(1);
    await w.close();
  }
  const fields = [sourceField('k', { kind: 'int8' }), sourceField('n', { kind: 'int8' }), sourceField('partition', { kind: 'int4' }, { metadata: 'partition' })];
  const got = (await rows(options(t, UNTIL), Infinity, {}, fields)).rows.map((r) => r.split(' | ').map(Number));
  assert.equal(got.length, 40_000);
  const last = new Map<number, { n: number; partition: number; wraps: number }>();
  for (const [k, n, partition] of got) {
    const before = last.get(k);
    if (before !== undefined) assert.equal(partition, before.partition);
    last.set(k, { n, partition, wraps: (before?.wraps ?? 0) + (before !== undefined && n <= before.n ? 1 : 0) });
  }
  // Two writers, one after the other: the numbers of a key begin anew once.
  assert.deepEqual([...last.values()].map((l) => l.wraps), Array.from({ length: 50 }, () => 1));
  assert.equal(new Set([...last.values()].map((l) => l.partition)).size, 3);
  const w = kafkaSink.create({ jobId: 1, nodeId: 1, relationName: 'out', options: options(t), columns, visible: columns, key: [0], appendOnly: false, subtask: 0, parallelism: 1 }, new TestContext());
  await w.open(null, 0);
  await w.write(batchFromDatums(types, [[1, 1, 'y'.repeat(30_000)]]));
  await assert.rejects(Promise.resolve(w.prepare(1)), { code: '54000', hint: /max\.message\.bytes/ });
  await w.close();
});

test('a broker that goes away and comes back is used again, by source and sink', { skip, timeout: 120_000 }, async () => {
  const t = await topic();
  const c = new TestContext();
  const r = reader(options(t), c);
  const w = kafkaSink.create({ jobId: 1, nodeId: 1, relationName: 'out', options: options(t), columns: [{ name: 'a', type: { kind: 'int8' } }], visible: [{ name: 'a', type: { kind: 'int8' } }], key: null, appendOnly: true, subtask: 0, parallelism: 1 }, c);
  await r.open({});
  await w.open(null, 0);
  await w.write(batchFromDatums([{ kind: 'int8' }], [[1]]));
  await w.prepare(1);
  assert.deepEqual((await readRows(r, c, FIELDS, 1)).rows, ['1 | NULL']);
  await kafka.stop(true);
  await w.write(batchFromDatums([{ kind: 'int8' }], [[2]]));
  const prepared = Promise.resolve(w.prepare(2));
  assert.equal(r.next(), 'idle');
  await kafka.start();
  await prepared;
  assert.deepEqual((await readRows(r, c, FIELDS, 1)).rows, ['2 | NULL']);
  assert.ok(c.logs.some((l) => l.startsWith('warn') && l.includes('retrying')), c.logs.join('\n'));
  await r.close();
  await w.close();
});

test('a border is read up to, exactly, and not past; the rest comes when it is lifted', { skip, timeout: 120_000 }, async () => {
  const t = await topic(3);
  const N = 30_000;
  for (let i = 0; i < N; i += 2000) await kafka.produce(t, Array.from({ length: 2000 }, (_, k) => ({ key: String(i + k), value: JSON.stringify({ a: i + k, s: 'v' }) })), 0);
  const whole = await rows(options(t, UNTIL));
  const positions = (share: number): Record<string, Json> => Object.fromEntries(Object.entries(whole.positions).map(([p, at]) => {
    const { until } = at as { until: number };
    return [p, { offset: Math.floor(until * (share + Number(p) * 0.07)), until, given: true }];
  }));
  const context = new TestContext();
  const r = reader(options(t, UNTIL), context);
  await r.open({});
  const got = await readByBorders(r, context, FIELDS, 0, [positions(0.3), positions(0.31), positions(0.8)]);
  await r.close();
  assert.deepEqual(sorted(got), sorted(whole.rows));
});
