import { test } from 'node:test';
import assert from 'node:assert/strict';
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch } from '../../runtime/batch.js';
import type { SourceField } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { formatDatum } from '../../types/textio.js';
import { Numeric } from '../../types/numeric.js';
import type { Datum } from '../../types/value.js';
import { JsonDecoder } from './json.js';
import { newBlock } from './format.js';
import type { BlockDecoder } from './format.js';
import { JsonExact } from './jsonexact.js';
import { BlockBatchBuilder } from './builder.js';
import { BadValue } from './convert.js';
import { parseJsonPath } from './jsonpath.js';

function field(name: string, type: SqlType, extra: Partial<SourceField> = {}): SourceField {
  return { name, type, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal: 0, ...extra };
}

function datumAt(b: Batch, column: number, row: number): Datum {
  const v = b.columns[column];
  if (v.nulls !== null && v.nulls[row] === 1) return null;
  switch (v.form) {
    case 'f64': return v.values[row];
    case 'i64': return v.values[row];
    case 'bool': return v.values[row] === 1;
    case 'dec': return Numeric.of(v.values[row], v.scale);
    case 'bytes': return Buffer.from(v.data.subarray(v.start[row], v.end[row])).toString();
    case 'datum': return v.values[row];
  }
}

function show(fields: readonly SourceField[], b: Batch): string[] {
  const out: string[] = [];
  for (let i = 0; i < b.length; i++) {
    out.push(fields.map((f, c) => {
      const d = datumAt(b, c, i);
      return d === null ? 'NULL' : Object.is(d, -0) ? '-0' : formatDatum(f.type, d);
    }).join(' | '));
  }
  return out;
}

interface Decoded { rows: string[]; bad: string[] }

function decodeAll(fields: readonly SourceField[], text: string | Buffer, decoder: BlockDecoder = new JsonDecoder(fields)): Decoded {
  const bytes = Buffer.from(text);
  const block = newBlock(bytes.length);
  bytes.copy(block);
  const rows: string[] = [];
  const bad: string[] = [];
  decoder.begin(block);
  for (let p = 0; p < bytes.length;) {
    p = decoder.decode(p, bytes.length, BATCH_ROWS_MAX, (s) => bad.push(`${s.index}: ${s.reason}`));
    const batch = decoder.finish(() => { throw new Error('no metadata here'); });
    assert.ok(batch.length <= BATCH_ROWS_MAX);
    rows.push(...show(fields, batch));
  }
  return { rows, bad };
}

/** The exact reader alone. */
function exactAll(fields: readonly SourceField[], text: string): Decoded {
  const rows: string[] = [];
  const bad: string[] = [];
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const bytes = Buffer.from(line);
    const block = newBlock(bytes.length);
    bytes.copy(block);
    const builder = new BlockBatchBuilder(fields.map((f) => f.type));
    const exact = new JsonExact(fields, fields.map((_, i) => i), builder, fields.map(() => undefined), 'text');
    exact.begin(block);
    try {
      exact.record(0, 0, bytes.length);
      builder.rows = 1;
      rows.push(...show(fields, builder.finish(block)));
    } catch (e) {
      if (!(e instanceof BadValue)) throw e;
      bad.push(`${index}: ${e.message}`);
    }
  });
  return { rows, bad };
}

const BID = [
  field('auction', { kind: 'int8' }, { path: '$.bid.auction' }), field('price', { kind: 'numeric' }, { path: '$.bid.price' }),
  field('url', { kind: 'text' }, { path: '$.bid.url' }), field('t', { kind: 'timestamp' }, { path: '$.bid.dateTime' }), field('event_type', { kind: 'int4' }),
];

test('nested records with nulls beside them decode on the compiled way as on the exact one', () => {
  const lines: string[] = [];
  for (let i = 0; i < 5000; i++) {
    lines.push(i % 7 === 0
      ? JSON.stringify({ event_type: 0, person: { id: i, name: 'a "quoted" name', dateTime: '2024-01-01 00:00:00.000' }, auction: null, bid: null })
      : JSON.stringify({ event_type: 2, person: null, auction: null, bid: { auction: i, price: i * 3, channel: 'x', url: `https://e/${i}${i % 11 === 0 ? '\n\\é' : ''}`, dateTime: `2024-02-29T23:59:${String(i % 60).padStart(2, '0')}.${i % 1000}Z` } }));
  }
  const text = lines.join('\n');
  const got = decodeAll(BID, text);
  assert.deepEqual(got, exactAll(BID, text));
  assert.equal(got.rows.length, 5000);
  assert.equal(got.rows[1], '1 | 3 | https://e/1 | 2024-02-29 23:59:01.1 | 2');
  assert.equal(got.rows[11], '11 | 33 | https://e/11\n\\é | 2024-02-29 23:59:11.11 | 2');
});

test('records that stand apart decode as lines do, over line ends inside them and gaps of any width', () => {
  const values: string[] = [];
  for (let i = 0; i < 9000; i++) {
    values.push(i % 500 === 77 ? '' : i % 700 === 3 ? '{"event_type":2,"bid":{"auction":' : i % 900 === 5 ? '{"event_type":2,"bid":{"url":"cut' : JSON.stringify({ event_type: 2, bid: { auction: i, price: i / 4, url: `u${i}${i % 13 === 0 ? '\n\u00e9"' : ''}`, dateTime: '2024-01-01 00:00:01' } }, null, i % 17 === 0 ? 1 : 0));
  }
  for (const invalid of [false, true]) {
    const parts = values.map((v, i) => (invalid && i === 4000 ? Buffer.from('{"event_type":2,"bid":{"url":"\xff"}}', 'latin1') : Buffer.from(v)));
    const starts = new Int32Array(parts.length + 1);
    const ends = new Int32Array(parts.length + 1);
    const block = newBlock(parts.reduce((n, p) => n + p.length + 20, 0)).fill(32);
    let at = 3;
    parts.forEach((p, i) => {
      starts[i] = at;
      ends[i] = at += p.copy(block, at);
      at += i % 20;
    });
    const decoder = new JsonDecoder(BID);
    const got: Decoded = { rows: [], bad: [] };
    decoder.beginRecords(block, { starts, ends, count: parts.length });
    for (let next = 0; next < parts.length;) {
      next = decoder.decodeRecords(parts.length, BATCH_ROWS_MAX, (b) => got.bad.push(`${b.index}: ${b.reason}`));
      assert.equal(next, decoder.lines);
      got.rows.push(...show(BID, decoder.finish(() => { throw new Error('no metadata here'); })));
    }
    const asLines = decodeAll(BID, Buffer.concat(parts.flatMap((p) => [Buffer.from(p.map((c) => (c === 10 ? 32 : c))), Buffer.from('\n')])));
    assert.deepEqual(got.rows, asLines.rows);
    assert.deepEqual(got.bad.filter((b) => !b.endsWith('empty')), asLines.bad);
    assert.equal(got.bad.filter((b) => b.endsWith('the value is empty')).length, values.filter((v) => v === '').length);
  }
});

test('each type takes what a user expects and refuses the rest with the reason', () => {
  const one = (type: SqlType, json: string): string => {
    // Twice the same after a plain record, so that the compiled way meets it too.
    const text = `{"a":null}\n{"a":${json}}\n{"a":${json}}\n`;
    const r = decodeAll([field('a', type)], text);
    const results = [...r.rows.slice(1), ...r.bad.map((b) => b.replace(/^\d+: /, 'bad: '))];
    assert.equal(results.length, 2);
    assert.equal(results[0], results[1]);
    return results[0];
  };
  assert.equal(one({ kind: 'int8' }, '9007199254740993'), '9007199254740993');
  assert.equal(one({ kind: 'int8' }, '-9223372036854775808'), '-9223372036854775808');
  assert.match(one({ kind: 'int8' }, '9223372036854775808'), /bad: field "a": expected bigint, found "9223372036854775808"/);
  assert.equal(one({ kind: 'int4' }, '1e3'), '1000');
  assert.equal(one({ kind: 'int4' }, '5.0'), '5');
  assert.equal(one({ kind: 'int4' }, '"42"'), '42');
  assert.equal(one({ kind: 'int4' }, '-0'), '0');
  assert.match(one({ kind: 'int4' }, '5.5'), /expected integer, found number 5\.5/);
  assert.match(one({ kind: 'int4' }, '"abc"'), /field "a": expected integer, found "abc"/);
  assert.match(one({ kind: 'int4' }, '2147483648'), /bad: /);
  assert.match(one({ kind: 'int4' }, '01'), /invalid JSON/);
  assert.match(one({ kind: 'int4' }, 'true'), /expected integer, found boolean true/);
  assert.equal(one({ kind: 'text' }, '12.50'), '12.50');
  assert.equal(one({ kind: 'text' }, '{"b": [1, 2]}'), '{"b": [1, 2]}');
  assert.equal(one({ kind: 'text' }, 'true'), 'true');
  assert.equal(one({ kind: 'text' }, '"\\u00e9\\ud83d\\ude00"'), 'é😀');
  assert.match(one({ kind: 'text' }, '"\\u0000"'), /cannot be converted to text/);
  assert.match(one({ kind: 'varchar', mod: 7 }, '"abcd"'), /value too long/);
  assert.equal(one({ kind: 'varchar', mod: 7 }, '"éàü"'), 'éàü');
  assert.equal(one({ kind: 'bool' }, 'false'), 'f');
  assert.equal(one({ kind: 'bool' }, '"yes"'), 't');
  assert.match(one({ kind: 'bool' }, '1'), /expected boolean, found number 1/);
  assert.equal(one({ kind: 'float8' }, '0.1'), '0.1');
  assert.equal(one({ kind: 'float8' }, '-1.5e-7'), '-1.5e-07');
  assert.equal(one({ kind: 'float8' }, '123456.789'), '123456.789');
  assert.equal(one({ kind: 'numeric' }, '12345678901234567890.12345'), '12345678901234567890.12345');
  assert.equal(one({ kind: 'numeric' }, '1.50'), '1.50');
  assert.equal(one({ kind: 'numeric', mod: ((6 << 16) | 2) + 4 }, '12.5'), '12.50');
  assert.equal(one({ kind: 'numeric', mod: ((6 << 16) | 2) + 4 }, '12.345'), '12.35');
  assert.match(one({ kind: 'numeric', mod: ((6 << 16) | 2) + 4 }, '12345.5'), /numeric field overflow/);
  assert.equal(one({ kind: 'timestamp' }, '"2024-02-29 12:00:00"'), '2024-02-29 12:00:00');
  assert.equal(one({ kind: 'timestamp' }, '"infinity"'), 'infinity');
  assert.match(one({ kind: 'timestamp' }, '"2023-02-29 12:00:00"'), /bad: /);
  assert.match(one({ kind: 'timestamp' }, '1700000000'), /timestamp_format/);
  assert.equal(one({ kind: 'timestamptz' }, '"2024-01-01T00:00:00+02:00"'), '2023-12-31 22:00:00+00');
  assert.equal(one({ kind: 'date' }, '"2024-01-31"'), '2024-01-31');
  assert.equal(one({ kind: 'jsonb' }, '{"b":1,"a":[true,null]}'), '{"a": [true, null], "b": 1}');
  assert.equal(one({ kind: 'uuid' }, '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
  assert.equal(one({ kind: 'array', elem: { kind: 'int4' } }, '[1, null, 3]'), '{1,NULL,3}');
  assert.equal(one({ kind: 'array', elem: { kind: 'text' } }, '[["a","b c"],["d","e"]]'), '{{a,"b c"},{d,e}}');
  assert.match(one({ kind: 'int4' }, '[1]'), /expected integer, found array \[1\]/);
});

test('a key matches exactly, else without case; the last of equal keys wins; a path is exact', () => {
  const f = [field('itemname', { kind: 'text' }), field('p', { kind: 'text' }, { path: '$.P' })];
  const text = ['{"itemName":"a","P":"x"}', '{"itemName":"b","itemname":"c","p":"y"}', '{"itemname":"d","ITEMNAME":"e"}', '{"itemName":"f","itemName":"g"}', '{"itemName":"a","P":"x"}', '{"other":1,"itemName":"z"}'].join('\n');
  const r = decodeAll(f, text);
  assert.deepEqual(r, { rows: ['a | x', 'c | NULL', 'd | NULL', 'g | NULL', 'a | x', 'z | NULL'], bad: [] });
});

test('array steps, quoted keys and a column of a whole object beside its parts', () => {
  const f = [field('x', { kind: 'int4' }, { path: '$.a.b[1]' }), field('odd', { kind: 'text' }, { path: '$."odd key"' }), field('whole', { kind: 'text' }, { path: '$.a' }), field('part', { kind: 'text' }, { path: '$.a.t' })];
  const r = decodeAll(f, '{"a":{"b":[1,2],"t":"q\\nr"},"odd key":"k"}\n{"a":{"b":[1]},"odd key":null}\n{"a":null}\n');
  assert.deepEqual(r, { rows: ['2 | k | {"b":[1,2],"t":"q\\nr"} | q\nr', 'NULL | NULL | {"b":[1]} | NULL', 'NULL | NULL | NULL | NULL'], bad: [] });
  assert.deepEqual(parseJsonPath('$.a[0]["b c"].d'), ['a', 0, 'b c', 'd']);
  assert.throws(() => parseJsonPath('a.b'), /invalid JSON path/);
  assert.throws(() => parseJsonPath('$..b'), /invalid JSON path/);
});

test('missing and null fields: NULL, DEFAULT, NOT NULL', () => {
  const f = [field('a', { kind: 'int4' }, { notNull: true }), field('b', { kind: 'text' }, { defaultExpr: { node: 'literal', text: 'none', type: { kind: 'text' } } })];
  const r = decodeAll(f, '{"a":1,"b":"x"}\n{"a":2}\n{"a":3,"b":null}\n{"b":"y"}\n{"a":null,"b":"z"}\n{"a":4,"b":"w"}\n');
  assert.deepEqual(r.rows, ['1 | x', '2 | none', '3 | NULL', '4 | w']);
  assert.deepEqual(r.bad, ['3: field "a" is missing, but NOT NULL', '4: field "a" is null, but NOT NULL']);
});

test('broken records are named and the following ones are read', () => {
  const f = [field('a', { kind: 'int4' }), field('b', { kind: 'text' })];
  const good = '{"a":1,"b":"x","c":[1,{"d":"e"}]}';
  const bad = ['{"a":1,"b":"x","c":[1,{"d":"e"}]', '{"a":1,"b":"x', '","c":[1]}', '[1]', '{"a":1,}', '{"a":1,"b":"x","c":tru}', '{"a":1} x', '{"a" 1}', 'nonsense', '{"a":1,"b":"\\q"}', '{"a":1,"c":"\\u12"}', '{"a":1,"c":1.}', '{"a":1,"c":-}'];
  const r = decodeAll(f, bad.flatMap((b) => [good, b]).concat(good).join('\n'));
  assert.equal(r.bad.length, bad.length);
  assert.deepEqual(new Set(r.rows), new Set(['1 | x']));
  assert.equal(r.rows.length, bad.length + 1);
  const notUtf8 = Buffer.concat([Buffer.from(`${good}\n{"a":1,"b":"`), Buffer.from([0xff, 0xfe]), Buffer.from(`"}\n${good}\n`)]);
  assert.deepEqual(decodeAll(f, notUtf8), { rows: ['1 | x', '1 | x'], bad: ['1: invalid byte sequence for encoding "UTF8"'] });
});

test('blank lines and CRLF are let pass', () => {
  assert.deepEqual(decodeAll([field('a', { kind: 'int4' })], '\n{"a":1}\r\n  \r\n{"a":2}\r\n{ "a" : 3 }\n{"a":4}'), { rows: ['1', '2', '3', '4'], bad: [] });
});

/** sfc-like small generator: one seed, one run. */
function random(seed: number): (n: number) => number {
  let s = seed >>> 0;
  return (n) => {
    s = (Math.imul(s ^ (s >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    let t = Math.imul(s ^ (s >>> 13), 0x297a2d39);
    t = (t ^ (t >>> 16)) >>> 0;
    return t % n;
  };
}

test('compiled = exact over generated records, whole and mutilated', () => {
  const seed = Date.now() % 1_000_000;
  const rnd = random(seed);
  const f = [
    field('i', { kind: 'int8' }), field('s', { kind: 'int2' }), field('t', { kind: 'text' }), field('v', { kind: 'varchar', mod: 9 }), field('f', { kind: 'float8' }), field('r', { kind: 'float4' }),
    field('n', { kind: 'numeric' }), field('m', { kind: 'numeric', mod: ((8 << 16) | 3) + 4 }), field('ts', { kind: 'timestamp' }), field('tz', { kind: 'timestamptz', mod: 3 }), field('d', { kind: 'date' }),
    field('b', { kind: 'bool' }), field('j', { kind: 'jsonb' }), field('x', { kind: 'int4' }, { path: '$.o.x' }), field('y', { kind: 'text' }, { path: '$.o.y' }), field('z', { kind: 'array', elem: { kind: 'int4' } }, { path: '$.o.z' }),
  ];
  const pick = (...v: readonly string[]): string => v[rnd(v.length)];
  const digits = (n: number): string => Array.from({ length: n }, () => rnd(10)).join('').replace(/^0+(?=\d)/, '');
  const number = (): string => `${pick('', '', '-')}${digits(1 + rnd(20))}${pick('', '', `.${digits(1 + rnd(8))}`, `.${digits(1)}0`)}${pick('', '', '', `e${rnd(5)}`)}`;
  const string = (): string => JSON.stringify(pick('', 'abc', 'a"b', 'back\\slash', '\\"', '\\n\\', 'é', '😀 x', 'tab\there', digits(3), 'x'.repeat(rnd(30))));
  const time = (): string => `"20${digits(2).padStart(2, '0')}-${pick('01', '02', '12', '13')}-${pick('01', '29', '31')}${pick(' ', 'T')}${pick('00', '23', '24')}:${pick('00', '59')}:${pick('00', '59', '60')}${pick('', '.5', '.123456', '.1234567')}${pick('', 'Z', '+02')}"`;
  const value = (): string => pick(number(), number(), string(), time(), time(), 'null', 'true', 'false', '[1,2]', '{"k":[1,"}"]}', `"20${digits(2).padStart(2, '0')}-02-28"`, '[]', '{}');
  const unwanted = (): string => pick(`{"a":${value()},"b":{"c":${string()},"d":${value()}},"e":${number()}}`, `{"a":1,"b":{"c":"","d":2},"e":${digits(3)}}`, `{"b":{"d":1},"a":${value()}}`, `{"a":1,"b":null,"e":[{}]}`);
  const sane: Record<string, () => string> = {
    i: () => digits(1 + rnd(16)), s: () => digits(2), t: string, v: string, f: () => `${rnd(100)}.${digits(3)}`, r: () => `${rnd(100)}.5`, n: () => `${rnd(1000)}.${digits(2)}`, m: () => `${rnd(10000)}.${digits(1 + rnd(3))}`,
    ts: () => `"2024-02-29 12:3${rnd(10)}:00.${digits(3)}"`, tz: () => `"2024-02-29T12:3${rnd(10)}:00Z"`, d: () => '"2024-02-29"', b: () => pick('true', 'false'), j: value,
  };
  const lines: string[] = [];
  for (let i = 0; i < 4000; i++) {
    const wild = rnd(4) === 0;
    const keys = Object.keys(sane).filter(() => rnd(12) > 0);
    const space = rnd(40) === 0 ? ' ' : '';
    const parts = keys.map((k) => `"${k}":${space}${wild && rnd(4) === 0 ? value() : (sane[k] ?? value)()}`);
    if (rnd(5) > 0) parts.splice(rnd(3), 0, `"skip${rnd(3)}":${rnd(2) === 0 ? value() : unwanted()}`);
    // Keys that nobody reads, one behind the other, of every length of spelling.
    if (rnd(4) > 0) for (let k = 0; k < 9; k++) if (rnd(8) > 0) parts.push(`"${'unreadkey'.slice(0, k)}":${space}${wild && rnd(6) === 0 ? unwanted() : pick(digits(2), string(), 'null')}`);
    parts.push(pick('"o":null', `"o":{"x":${digits(2)},"y":${string()},"z":[1,2]}`, `"o":{"x":${wild ? value() : '7'},"w":${value()}}`, '"o":{}', '"q":1'));
    let line = `{${parts.join(',')}}`;
    if (rnd(30) === 0) line = line.slice(0, rnd(line.length));
    if (rnd(40) === 0) line = line.replace(pick('"', ',', ':', '}'), pick('', ' ', '"', '}'));
    lines.push(line);
  }
  const text = lines.join('\n');
  const compiled = decodeAll(f, text);
  const exact = exactAll(f, text);
  assert.ok(exact.rows.length > 2000, `too few good records with seed ${seed}`);
  assert.deepEqual(compiled.rows, exact.rows, `seed ${seed}`);
  assert.deepEqual(compiled.bad, exact.bad, `seed ${seed}`);
  // Each decoder learns, and is trained, in its first records.
  for (let from = 0; from < 1500;) {
    const part = lines.slice(from, from += 5 + rnd(60)).join('\n');
    assert.deepEqual(decodeAll(f, part), exactAll(f, part), `seed ${seed}, up to line ${from}`);
  }
});

test('code trained on the records of its layout leaves nothing of them in the batch', () => {
  const fields = [field('a', { kind: 'int8' }), field('n', { kind: 'numeric' }, { ordinal: 1 }), field('s', { kind: 'text' }, { ordinal: 2 }), field('b', { kind: 'int8' }, { ordinal: 3 })];
  // Kinds of records that the layout does not know yet come late, some of them where a batch ends: their rows, and those behind them, are their own.
  const kinds = ['{"a":@}', '{"a":@,"n":1.50}', '{"a":@,"s":"x\\ny"}', '{"n":2,"b":12345678901234567890123}', '{"a":@,"b":9007199254740993,"n":3.125,"s":"é"}', '{"a":@,"u":{"v":"w","x":[1]},"s":"z"}', '{"a":@,"u":{"y":1}}'];
  for (const first of [1, 60, BATCH_ROWS_MAX - 20, BATCH_ROWS_MAX - 5]) {
    const lines = Array.from({ length: BATCH_ROWS_MAX + 200 }, (_, i) => kinds[i < first ? 0 : (i - first) % Math.min(kinds.length, 1 + ((i - first) >> 1))].replace('@', String(i)));
    const text = lines.join('\n');
    assert.deepEqual(decodeAll(fields, text), exactAll(fields, text), `from ${first}`);
  }
  // Texts that are something else when they have been unescaped once: a round of the training must not see what the one before has left.
  for (const escaped of ['\\\\\\"', '\\\\', '\\\\n', '\\"', '\\u005cu0041']) {
    const text = [`{"s":"${escaped}","a":1}`, '{"s":"z","a":2,"b":5}', '{"s":"q","a":3}', '{"a":4}', '{"a":5}', '{"n":1.5}', '{"b":7}'].join('\n');
    assert.deepEqual(decodeAll(fields, text), exactAll(fields, text), escaped);
  }
});
