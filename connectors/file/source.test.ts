import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SourceReader } from '../../runtime/connector.js';
import type { Json } from '../../types/connect.js';
import type { SourceField } from '../../types/plan.js';
import { TestContext, readByBorders, readRows, sourceField } from '../testing.js';
import { fileSource } from './source.js';

const dir = mkdtempSync(path.join(tmpdir(), 'millrace-file-'));
after(() => rmSync(dir, { recursive: true, force: true }));
let folders = 0;
function folder(): string {
  const d = path.join(dir, `f${folders++}`);
  mkdirSync(d);
  return d;
}

const FIELDS = [sourceField('a', { kind: 'int4' }), sourceField('s', { kind: 'text' }, { ordinal: 1 })];

function reader(options: Record<string, string>, context: TestContext, fields: readonly SourceField[] = FIELDS, subtask = 0, parallelism = 1): SourceReader {
  return fileSource.create({ jobId: 1, nodeId: 1, relationName: 's', options, fields, subtask, parallelism }, context);
}

async function all(options: Record<string, string>, fields: readonly SourceField[] = FIELDS, context = new TestContext(), positions: Record<string, Json> = {}): Promise<string[]> {
  const r = reader(options, context, fields);
  try {
    await r.open(positions);
    const got = await readRows(r, context, fields);
    assert.ok(got.ended);
    return got.rows;
  } finally {
    await r.close();
  }
}

test('a folder is read file by file in the order of names, the last line needs no line end', async () => {
  const d = folder();
  writeFileSync(path.join(d, 'b.ndjson'), '{"a":3,"s":"z"}');
  writeFileSync(path.join(d, 'a.ndjson'), '{"a":1,"s":"x"}\n{"a":2,"s":"y"}\n');
  writeFileSync(path.join(d, '.hidden'), 'no');
  writeFileSync(path.join(d, 'part.inprogress'), 'no');
  mkdirSync(path.join(d, 'sub'));
  writeFileSync(path.join(d, 'sub', 'c.ndjson'), '{"a":4}\n');
  assert.deepEqual(await all({ path: d }), ['1 | x', '2 | y', '3 | z']);
  assert.deepEqual(await all({ path: path.join(d, '[a-b].nd*') }), ['1 | x', '2 | y', '3 | z']);
  assert.deepEqual(await all({ path: path.join(d, '**', '*.ndjson') }), ['1 | x', '2 | y', '3 | z', '4 | NULL']);
  const meta = [...FIELDS, sourceField('f', { kind: 'text' }, { metadata: 'file' }), sourceField('l', { kind: 'int4' }, { metadata: 'line' }), sourceField('o', { kind: 'int8' }, { metadata: 'offset' })];
  const a = path.join(d, 'a.ndjson');
  assert.deepEqual(await all({ path: a }, meta), [`1 | x | ${a} | 1 | 0`, `2 | y | ${a} | 2 | 16`]);
});

test('blocks without text are read into again, and their rows stay', async () => {
  const d = folder();
  // Some 6 MB in blocks of 1 MB; records carried from one block into the next are short, long, and longer than a block's spare room.
  const lines = Array.from({ length: 40_000 }, (_, i) => JSON.stringify({ a: i, s: i === 9_000 ? 'y'.repeat(200_000) : 'x'.repeat(i % 260) }));
  writeFileSync(path.join(d, '1.ndjson'), lines.slice(0, 30_000).join('\n'));
  writeFileSync(path.join(d, '2.ndjson'), lines.slice(30_000).join('\n'));
  const expected = lines.map((_, i) => String(i));
  const numbers = FIELDS.slice(0, 1);
  assert.deepEqual(await all({ path: d }, numbers), expected);
  assert.deepEqual(await all({ path: path.join(d, '1.ndjson'), follow: 'false' }, numbers), expected.slice(0, 30_000));
  const context = new TestContext();
  const stripes: number[] = [];
  for (let subtask = 0; subtask < 2; subtask++) {
    const r = reader({ path: path.join(d, '1.ndjson') }, context, numbers, subtask, 2);
    try {
      await r.open({});
      stripes.push(...(await readRows(r, context, numbers)).rows.map(Number));
    } finally {
      await r.close();
    }
  }
  assert.deepEqual(stripes.sort((x, y) => x - y).map(String), expected.slice(0, 30_000));
});

test('after a restore at any position the same rows follow', async () => {
  const d = folder();
  const lines = Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ a: i, s: `${'x'.repeat(i % 200)}${i % 3 === 0 ? '\n' : ''}` }));
  writeFileSync(path.join(d, '1.ndjson'), `${lines.slice(0, 9000).join('\n')}\n`);
  writeFileSync(path.join(d, '2.ndjson'), lines.slice(9000).join('\r\n'));
  const whole = await all({ path: d });
  assert.equal(whole.length, 20_000);
  for (const stop of [1, 4097, 9000, 9001, 15_000, 20_000]) {
    const c = new TestContext();
    const r = reader({ path: d }, c);
    await r.open({});
    const first = await readRows(r, c, FIELDS, stop);
    await r.close();
    const rest = await all({ path: d }, FIELDS, new TestContext(), JSON.parse(JSON.stringify(first.positions)) as Record<string, Json>);
    assert.deepEqual([...first.rows, ...rest], whole, `stopped at ${stop}`);
  }
});

test('subtasks share the files out without loss or repetition', async () => {
  const d = folder();
  for (let i = 0; i < 7; i++) writeFileSync(path.join(d, `${i}.ndjson`), `{"a":${i}}\n`);
  const seen: string[] = [];
  for (let s = 0; s < 3; s++) {
    const c = new TestContext();
    const r = reader({ path: d }, c, FIELDS, s, 3);
    await r.open({});
    seen.push(...(await readRows(r, c, FIELDS)).rows);
    await r.close();
  }
  assert.deepEqual(seen.sort(), ['0', '1', '2', '3', '4', '5', '6'].map((n) => `${n} | NULL`));
});

test('a followed file gives what is appended, whole lines only; new files of the folder are taken up', async () => {
  const d = folder();
  const f = path.join(d, 'a.ndjson');
  writeFileSync(f, '{"a":1}\n{"a":');
  const c = new TestContext();
  const r = reader({ path: d, follow: 'true' }, c);
  await r.open({});
  assert.deepEqual((await readRows(r, c, FIELDS, 1)).rows, ['1 | NULL']);
  appendFileSync(f, '2}\n{"a":3}\n');
  assert.deepEqual((await readRows(r, c, FIELDS, 2)).rows, ['2 | NULL', '3 | NULL']);
  writeFileSync(path.join(d, 'b.ndjson'), '{"a":4}\n');
  assert.deepEqual((await readRows(r, c, FIELDS, 1)).rows, ['4 | NULL']);
  appendFileSync(f, '{"a":5}\n');
  assert.deepEqual((await readRows(r, c, FIELDS, 1)).rows, ['5 | NULL']);
  truncateSync(f, 3);
  await assert.rejects(readRows(r, c, FIELDS, 1), { code: '55000' });
  await r.close();
});

test('a file that was replaced before a restore is an error', async () => {
  const d = folder();
  const f = path.join(d, 'a.ndjson');
  writeFileSync(f, '{"a":1}\n{"a":2}\n');
  const c = new TestContext();
  const r = reader({ path: f }, c);
  await r.open({});
  const { positions } = await readRows(r, c, FIELDS, 1);
  await r.close();
  writeFileSync(f, '{"a":7}\n{"a":8}\n{"a":9}\n');
  await assert.rejects(all({ path: f }, FIELDS, new TestContext(), positions), { code: '55000' });
});

test('bad records carry file, line and byte; missing paths say so', async () => {
  const d = folder();
  const f = path.join(d, 'a.ndjson');
  writeFileSync(f, '{"a":1}\n\n{"a":"no"}\n{"a":2}\n');
  await assert.rejects(all({ path: f }), { code: '22P02', detail: `${f}:3 (byte 9)` });
  const c = new TestContext('skip');
  assert.deepEqual(await all({ path: f }, FIELDS, c), ['1 | NULL', '2 | NULL']);
  assert.equal(Buffer.from(c.bad[0]?.raw ?? []).toString(), '{"a":"no"}');
  await assert.rejects(fileSource.check?.({ path: path.join(d, 'none.ndjson') }) ?? Promise.resolve(), { code: '58P01', hint: /working directory/ });
  await assert.rejects(fileSource.check?.({ path: path.join(d, '*.csv') }) ?? Promise.resolve(), { code: '58P01' });
});

test('rows_per_second holds the rate on the given clock', async () => {
  const f = path.join(folder(), 'a.ndjson');
  writeFileSync(f, Array.from({ length: 1000 }, (_, i) => `{"a":${i}}\n`).join(''));
  const c = new TestContext();
  let now = 0;
  c.clock = () => now;
  const r = reader({ path: f, rows_per_second: '1000' }, c);
  await r.open({});
  assert.equal(await r.next(), 'idle');
  now = 100;
  const got = await r.next();
  assert.ok(typeof got === 'object' && got.batch.length === 100);
  assert.equal(await r.next(), 'idle');
  await r.close();
});

test('csv: header in any order and case, quoted line ends and delimiters, null_text, restore in the middle', async () => {
  const d = folder();
  const f = path.join(d, 'a.csv');
  writeFileSync(f, 'S;A\r\n"x;""y""\nz";1\r\n;2\r\n"";3\r\nplain;4');
  const o = { path: f, format: 'csv', delimiter: ';' };
  assert.deepEqual(await all(o), ['1 | x;"y"\nz', '2 | NULL', '3 | ', '4 | plain']);
  const c = new TestContext();
  const r = reader({ ...o, rows_per_second: '10' }, c);
  let now = 0;
  c.clock = () => now;
  await r.open({});
  now = 100_000;
  const first = await readRows(r, c, FIELDS, 2);
  await r.close();
  assert.deepEqual(await all(o, FIELDS, new TestContext(), first.positions), ['3 | ', '4 | plain'].slice(first.rows.length - 2));
  writeFileSync(f, '1,one\n2,"two\n3,x,y\n');
  const skip = new TestContext('skip');
  assert.deepEqual(await all({ path: f, format: 'csv', header: 'false' }, FIELDS, skip), ['1 | one', '3 | x']);
  assert.deepEqual(skip.bad.map((b) => `${b.position.slice(f.length)} ${b.reason}`), [':2 (byte 6) a quoted field without its closing quote']);
  writeFileSync(f, 'p,q\n1,2\n');
  await assert.rejects(all({ path: f, format: 'csv' }), { code: '42703', hint: /header/ });
});

test('a border is read up to, exactly, and not past; the rest comes when it is lifted', async () => {
  const d = folder();
  for (const name of ['a', 'b', 'c']) writeFileSync(path.join(d, name), Array.from({ length: 12_000 }, (_, i) => `{"a":${i},"s":"${name}${i}"}\n`).join(''));
  const options = { path: d, format: 'json' };
  const other = reader(options, new TestContext());
  await other.open({});
  const borders: Record<string, Json>[] = [];
  for (const rows of [6000, 9000, 1]) {
    await readRows(other, new TestContext(), FIELDS, rows);
    borders.push(other.positions());
  }
  await other.close();
  const context = new TestContext();
  const r = reader(options, context);
  await r.open({});
  const rows = await readByBorders(r, context, FIELDS, 0, borders);
  await r.close();
  assert.deepEqual(rows, await all(options));
});
