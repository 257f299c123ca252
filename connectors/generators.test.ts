import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { SourceConnector, SourceReader } from '../runtime/connector.js';
import type { Json } from '../types/connect.js';
import type { SourceField } from '../types/plan.js';
import { datagenSource } from './datagen.js';
import { nexmarkSource } from './nexmark/source.js';
import { validateOptions } from './options.js';
import { TestContext, readRows, sourceField } from './testing.js';

function make(c: SourceConnector, options: Record<string, string>, fields: readonly SourceField[], context: TestContext, subtask = 0, parallelism = 1): SourceReader {
  return c.create({ jobId: 1, nodeId: 1, relationName: 's', options, fields, subtask, parallelism }, context);
}

async function rowsOf(c: SourceConnector, options: Record<string, string>, fields: readonly SourceField[], parallelism = 1): Promise<string[]> {
  const out: string[] = [];
  for (let s = 0; s < parallelism; s++) {
    const context = new TestContext();
    const r = make(c, options, fields, context, s, parallelism);
    await r.open({});
    out.push(...(await readRows(r, context, fields)).rows);
    await r.close();
  }
  return out;
}

const nexmarkFields = (table: string): SourceField[] => (nexmarkSource.columns?.({ table }) ?? []).map((c) => sourceField(c.name, c.type));

test('nexmark: kinds stand 1 : 3 : 46, ids count up, and event has what the tables have', async () => {
  const counts = [];
  for (const table of ['person', 'auction', 'bid', 'event']) counts.push((await rowsOf(nexmarkSource, { table, max_events: '5000' }, nexmarkFields(table))).length);
  assert.deepEqual(counts, [100, 300, 4600, 5000]);
  const bids = (await rowsOf(nexmarkSource, { table: 'bid', max_events: '1000' }, nexmarkFields('bid'))).sort();
  const fields = nexmarkFields('event');
  const events = await rowsOf(nexmarkSource, { max_events: '1000' }, fields);
  assert.deepEqual(events.filter((r) => r.startsWith('2 |')).map((r) => r.split(' | ').slice(19, 26).join(' | ')).sort(), bids);
  assert.equal(new Set((await rowsOf(nexmarkSource, { table: 'auction', max_events: '5000' }, nexmarkFields('auction'))).map((r) => r.split(' | ')[0])).size, 300);
});

test('generators give the same rows at any parallelism, with any columns, and after a restore anywhere', async () => {
  const own: readonly (readonly [SourceConnector, Record<string, string>, SourceField[]])[] = [
    [nexmarkSource, { table: 'bid', max_events: '30000', seed: '7' }, nexmarkFields('bid')],
    [datagenSource, { max_rows: '9000', 'a.kind': 'sequence', 'c.values': 'x,y,z', 'b.min': '5', 'b.max': '9' }, [
      sourceField('a', { kind: 'int8' }, { ordinal: 0 }), sourceField('b', { kind: 'int4' }, { ordinal: 1 }), sourceField('c', { kind: 'text' }, { ordinal: 2 }), sourceField('t', { kind: 'timestamp' }, { ordinal: 3 }),
      sourceField('n', { kind: 'numeric' }, { ordinal: 4 }), sourceField('u', { kind: 'uuid' }, { ordinal: 5 }), sourceField('s', { kind: 'text' }, { ordinal: 6 }), sourceField('f', { kind: 'bool' }, { ordinal: 7 })]],
  ];
  for (const [c, options, fields] of own) {
    const whole = await rowsOf(c, options, fields);
    assert.deepEqual((await rowsOf(c, options, fields, 3)).sort(), [...whole].sort());
    const narrow = await rowsOf(c, options, [fields[2]]);
    assert.deepEqual(narrow, whole.map((r) => r.split(' | ')[2]));
    const context = new TestContext();
    const r = make(c, options, fields, context);
    await r.open({});
    const first = await readRows(r, context, fields, 5000);
    await r.close();
    const again = make(c, options, fields, context);
    await again.open(JSON.parse(JSON.stringify(first.positions)) as Record<string, Json>);
    const rest = await readRows(again, context, fields);
    await again.close();
    assert.deepEqual([...first.rows, ...rest.rows].sort(), [...whole].sort());
  }
});

test('datagen: kinds keep their ranges', async () => {
  const rows = (await rowsOf(datagenSource, { max_rows: '2000', rows_per_second: '100000', 'i.min': '-3', 'i.max': '3', 'q.kind': 'sequence', 'q.min': '10', 'q.max': '12', 's.length': '4' }, [
    sourceField('i', { kind: 'int4' }), sourceField('q', { kind: 'int4' }, { ordinal: 1 }), sourceField('s', { kind: 'text' }, { ordinal: 2 }), sourceField('d', { kind: 'date' }, { ordinal: 3 })])).map((r) => r.split(' | '));
  assert.deepEqual([...new Set(rows.map((r) => Number(r[0])))].sort((a, b) => a - b), [-3, -2, -1, 0, 1, 2, 3]);
  assert.deepEqual([...new Set(rows.map((r) => r[1]))].sort(), ['10', '11', '12']);
  assert.ok(rows.every((r) => /^[a-z]{4}$/.test(r[2]) && r[3].startsWith('2024-')));
});

test('nexmark holds events_per_second over its splits', async () => {
  const context = new TestContext();
  let now = 0;
  context.clock = () => now;
  const fields = nexmarkFields('event');
  const r = make(nexmarkSource, { events_per_second: '1000' }, fields, context);
  await r.open({});
  assert.equal(r.next() instanceof Promise, false);
  now = 1000;
  let rows = 0;
  for (let got = await r.next(); typeof got === 'object'; got = await r.next()) rows += got.batch.length;
  assert.ok(rows === 1000, `${rows} rows`);
  await r.close();
});

test('wrong connectors and options are refused with a hint', () => {
  const refused = (kind: 'source' | 'sink', name: string, options: Record<string, string>, code: string, hint: RegExp): void => {
    assert.throws(() => validateOptions(kind, name, options), (e: unknown) => e instanceof Error && 'code' in e && e.code === code && 'hint' in e && hint.test(String(e.hint)));
  };
  refused('source', 'nexmrk', {}, '42704', /Did you mean "nexmark"/);
  refused('source', 'blackhole', {}, '42704', /Connectors for a source/);
  refused('source', 'file', { pth: 'x' }, '42704', /Did you mean "path"/);
  refused('source', 'file', {}, '42601', /path = a file, a folder/);
  refused('source', 'file', { path: 'x', on_error: 'ignore' }, '22023', /fail, skip, dead_letter/);
  refused('source', 'nexmark', { events_per_second: '-1' }, '22023', /number from 0/);
  refused('source', 'nexmark', { start_time: 'soon' }, '22023', /timestamp/);
  assert.deepEqual(validateOptions('source', 'datagen', { 'a.kind': 'sequence', max_rows: '3' }).options, { 'a.kind': 'sequence', max_rows: '3' });
  assert.throws(() => datagenSource.validate?.({ 'b.kind': 'random' }, [{ name: 'a', type: { kind: 'int4' } }]), { code: '42703' });
  assert.throws(() => nexmarkSource.validate?.({ table: 'bid' }, [{ name: 'price', type: { kind: 'text' } }]), { code: '42804' });
});
