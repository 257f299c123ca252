import { test } from 'node:test';
import assert from 'node:assert/strict';
import { seeded } from '../../types/encoding/testdatums.js';
import type { Expr } from '../../types/expr.js';
import { BOOL, INT4, INT8, NUMERIC, type SqlType, TEXT, TIMESTAMP, arrayOf } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import type { Datum } from '../../types/value.js';
import type { Batch } from '../batch.js';
import { batchFromDatums, datumAt } from '../vectors.js';
import { compileCalc, compileFilter, compileProject } from './compile.js';
import { CONSTANT_CONTEXT, interpret } from './interpret.js';
import { Needle, requiredLiteral } from './text.js';

const TYPES: readonly SqlType[] = [TEXT, TEXT, TIMESTAMP, INT8];
const col = (index: number): Expr => ({ node: 'column', index, type: TYPES[index] });
const text = (value: string | null): Expr => ({ node: 'literal', text: value, type: TEXT });
const int = (value: number): Expr => ({ node: 'literal', text: String(value), type: INT4 });
const call = (fn: string, type: SqlType, ...args: Expr[]): Expr => ({ node: 'call', fn, args, type });

const PIECES = ['/', '/', '//', 'a', 'A', 'b', 'apple', 'Google', 'channel_id=', '&', '=', 'c', 'cc', 'é', 'ß', 'İ', '漢', '😀', ' ', '%', '_', '\\', 'https://', 'x'.repeat(60)];

function randomText(r: (n: number) => number, ascii: boolean): string {
  let s = '';
  for (let k = r(9); k > 0; k--) {
    const piece = PIECES[r(PIECES.length)];
    if (!ascii || Buffer.byteLength(piece) === piece.length) s += piece;
  }
  return s;
}

/** Texts are ASCII in some batches, which are then marked so. */
function randomBatch(r: (n: number) => number, ascii: boolean): { rows: Datum[][]; batch: Batch } {
  const some = r(2) === 0;
  const rows = Array.from({ length: 30 }, (): Datum[] => [
    some && r(5) === 0 ? null : randomText(r, ascii), randomText(r, ascii), r(12) === 0 ? null : Math.floor((r(2_000_000) - 1_000_000) * 86_400_000.123 * 1000) + r(1000), r(100) - 50,
  ]);
  const plain = batchFromDatums(TYPES, rows);
  return { rows, batch: ascii ? { ...plain, columns: plain.columns.map(v => (v.form === 'bytes' ? { ...v, ascii: true } : v)) } : plain };
}

const match = (pattern: string, k: number, flags?: string): Expr =>
  call('array_subscript(anyarray,int4…)', TEXT, call(flags === undefined ? 'regexp_match(text,text)' : 'regexp_match(text,text,text)', arrayOf(TEXT), col(0), text(pattern), ...(flags === undefined ? [] : [text(flags)])), int(k));

const TEXTS: readonly Expr[] = [
  ...[1, 2, 3, 7].map(n => call('split_part(text,text,int4)', TEXT, col(0), text('/'), int(n))),
  ...[1, 2, 3].map(n => call('split_part(text,text,int4)', TEXT, col(0), text('//'), int(n))),
  call('split_part(text,text,int4)', TEXT, col(0), text(''), int(1)), call('split_part(text,text,int4)', TEXT, col(0), text('é'), int(2)),
  call('split_part(text,text,int4)', TEXT, col(0), text('/'), int(-1)), call('split_part(text,text,int4)', TEXT, col(0), text('/'), int(2147483647)),
  call('lower(text)', TEXT, col(0)), call('upper(text)', TEXT, col(0)), call('lower(text)', TEXT, call('||(text,text)', TEXT, col(0), col(1))),
  call('replace(text,text,text)', TEXT, col(0), text('c'), text('')), call('replace(text,text,text)', TEXT, col(0), text('cc'), text('é/')), call('replace(text,text,text)', TEXT, col(0), text('漢'), text('')),
  ...[-2, 0, 1, 3].flatMap(start => [call('substring(text,int4)', TEXT, col(0), int(start)), call('substring(text,int4,int4)', TEXT, col(0), int(start), int(2)), call('substr(text,int4,int4)', TEXT, col(0), int(start), int(0))]),
  call('left(text,int4)', TEXT, col(0), int(3)), call('left(text,int4)', TEXT, col(0), int(-1)), call('left(text,int4)', TEXT, col(0), int(0)),
  match('(&|^)channel_id=([^&]*)', 2), match('(&|^)channel_id=([^&]*)', 1), match('(&|^)channel_id=([^&]*)', 3), match('a+', 1), match('a+', 2), match('(x)?b', 1), match('APPLE', 1, 'i'), match('a|channel_id', 1), match('***=channel', 1),
  ...['(^|/)a*', 'channel_id=', '^https', '(^|&)channel_id=([^&]+)', '(/)([a-z]+)', '^(h)', '/([^/c]*)', '(c)([^c])', 'a(\\d*)', 'p([a-eé]+)', '&([^é]*)', 'c{2}', 'c+([a-z]*)', '^cc[a-z]*', '/[]a]+', '(c)c(c)'].flatMap(p => [match(p, 1), match(p, 2)]),
  { node: 'case', whens: [{ when: call('=(text,text)', BOOL, call('lower(text)', TEXT, col(1)), text('apple')), then: text('0') }, { when: call('>(text,text)', BOOL, col(0), col(1)), then: call('split_part(text,text,int4)', TEXT, col(0), text('/'), int(2)) }], otherwise: null, type: TEXT },
  { node: 'case', whens: [{ when: call('<(text,text)', BOOL, col(0), col(1)), then: text('less') }], otherwise: text(''), type: TEXT },
  { node: 'coalesce', args: [col(0), col(1)], type: TEXT }, { node: 'coalesce', args: [call('lower(text)', TEXT, col(0)), text('none')], type: TEXT }, { node: 'coalesce', args: [text(null), col(0)], type: TEXT },
  text('constant'), text(null),
  ...['YYYY-MM-DD', 'HH24:MI', 'Day'].map(f => call('to_char(timestamp,text)', TEXT, col(2), text(f))),
];
const LIKES = ['%a%', 'a%', '%a', 'a', '', '%', '%%', 'https://%/%', '%a%b%c%', 'cc%cc', '%é%', '_a%', '%\\%%'];
const BOOLEANS: readonly Expr[] = [
  ...['=', '<>', '<', '<=', '>', '>='].map(op => call(`${op}(text,text)`, BOOL, col(0), col(1))), call('=(text,text)', BOOL, text('é'), col(0)), call('=(text,text)', BOOL, col(0), text('')),
  ...LIKES.flatMap(p => ['~~', '!~~'].map(op => call(`${op}(text,text)`, BOOL, col(0), text(p)))),
  call('starts_with(text,text)', BOOL, col(0), col(1)), call('starts_with(text,text)', BOOL, col(0), text('https://')),
  { node: 'in', arg: call('lower(text)', TEXT, col(0)), list: ['apple', 'google', '', 'é'].map(text), equal: '=(text,text)', type: BOOL },
  { node: 'in', arg: col(0), list: Array.from({ length: 12 }, (_, k) => text(PIECES[k])), equal: '=(text,text)', type: BOOL },
  { node: 'isnull', arg: match('(&|^)channel_id=([^&]*)', 2), type: BOOL },
];
const NUMBERS: readonly Expr[] = [
  ...['length', 'char_length', 'octet_length'].map(f => call(`${f}(text)`, INT4, col(0))), call('length(text)', INT4, call('split_part(text,text,int4)', TEXT, col(0), text('/'), int(2))),
  ...[['c', ''], ['é', 'cc'], ['😀', 'x'], ['//', '漢漢']].map(([from, to]) => call('length(text)', INT4, call('replace(text,text,text)', TEXT, col(0), text(from), text(to)))),
  ...['c', '//', '漢', ''].map(p => call('strpos(text,text)', INT4, col(0), text(p))),
  ...['hour', 'minute', 'day', 'month', 'quarter', 'year', 'dow', 'isodow', 'doy', 'week', 'century', 'second', 'epoch', 'milliseconds', 'julian'].map(u => call('extract(text,timestamp)', NUMERIC, text(u), col(2))),
];
const TIMES: readonly Expr[] = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'].map(u => call('date_trunc(text,timestamp)', TIMESTAMP, text(u), col(2)));
const ALL = [...TEXTS, ...BOOLEANS, ...NUMBERS, ...TIMES];

const show = (v: Datum): string | null => (v === null ? null : String(v));
function exactly(e: Expr, rows: readonly Datum[][]): (string | null)[] {
  const f = interpret(e);
  return rows.map(row => show(f(row, CONSTANT_CONTEXT)));
}

test('text and time functions over bytes give what the functions over strings give', () => {
  const r = seeded(41);
  for (let round = 0; round < 40; round++) {
    const { rows, batch } = randomBatch(r, round % 3 === 0);
    for (const e of ALL) {
      const [v] = compileProject([e], TYPES)(batch, null, CONSTANT_CONTEXT);
      assert.deepEqual(rows.map((_, i) => show(datumAt(e.type, v, i))), exactly(e, rows), `round ${round}: ${JSON.stringify(e)}`);
    }
  }
});

test('a filter and many expressions in one kernel give what each gives alone, over batches of changing forms', () => {
  const r = seeded(42);
  for (let round = 0; round < 60; round++) {
    const exprs = Array.from({ length: 1 + r(8) }, () => (r(6) === 0 ? col(r(4)) : ALL[r(ALL.length)]));
    const filter = BOOLEANS[r(BOOLEANS.length)];
    const calc = compileCalc(filter, exprs, TYPES);
    for (let k = 0; k < 3; k++) {
      const { rows, batch } = randomBatch(r, r(3) === 0);
      const passes = interpret(filter);
      const kept = rows.filter(row => passes(row, CONSTANT_CONTEXT) === true);
      const made = calc(batch, CONSTANT_CONTEXT);
      if (made === null) { assert.equal(kept.length, 0); continue; }
      assert.equal(made.selection?.count ?? rows.length, kept.length);
      exprs.forEach((e, c) => { assert.deepEqual(kept.map((_, i) => show(datumAt(e.type, made.columns[c], i))), exactly(e, kept), JSON.stringify(e)); });
    }
  }
});

test('columns of an earlier batch stay as they were when the next one is computed', () => {
  const project = compileProject(TEXTS, TYPES);
  const r = seeded(43);
  const first = randomBatch(r, false);
  const columns = project(first.batch, null, CONSTANT_CONTEXT);
  for (let k = 0; k < 5; k++) project(randomBatch(r, k % 2 === 0).batch, null, CONSTANT_CONTEXT);
  TEXTS.forEach((e, c) => { assert.deepEqual(first.rows.map((_, i) => show(datumAt(TEXT, columns[c], i))), exactly(e, first.rows)); });
});

test('what an expression evaluated conditionally gives is not taken for its value elsewhere', () => {
  const zero = call('=(int8,int8)', BOOL, col(3), { node: 'literal', text: '0', type: INT8 });
  const divide = call('/(int8,int8)', INT8, { node: 'literal', text: '100', type: INT8 }, col(3));
  const guardedDivision: Expr = { node: 'case', whens: [{ when: zero, then: { node: 'literal', text: '-1', type: INT8 } }], otherwise: divide, type: INT8 };
  const rows: Datum[][] = [['', '', 0, 0], ['', '', 0, 5]];
  const batch = batchFromDatums(TYPES, rows);
  const columns = compileProject([guardedDivision, { node: 'coalesce', args: [guardedDivision, divide], type: INT8 }], TYPES)(batch, null, CONSTANT_CONTEXT);
  assert.deepEqual(columns.map(v => [0, 1].map(i => datumAt(INT8, v, i))), [[-1, 20], [-1, 20]]);
  assert.throws(() => compileProject([guardedDivision, divide], TYPES)(batch, null, CONSTANT_CONTEXT), (e: unknown) => e instanceof SqlError && e.code === '22012');
});

test('an invalid pattern is the error of the rows that meet it', () => {
  const e = match('(', 1);
  assert.throws(() => compileProject([e], TYPES)(batchFromDatums(TYPES, [['a', '', 0, 0]]), null, CONSTANT_CONTEXT), { code: '2201B' });
  const { count } = compileFilter({ node: 'isnull', arg: e, type: BOOL }, TYPES)(batchFromDatums(TYPES, [[null, '', 0, 0]]), CONSTANT_CONTEXT);
  assert.equal(count, 1);
});

test('the literal that every match holds is found, or none', () => {
  const found = (p: string): string | null => { const n = requiredLiteral(p); return n === null ? null : Buffer.from(n.bytes).toString(); };
  assert.equal(found('(&|^)channel_id=([^&]*)'), 'channel_id=');
  assert.equal(found('abcd*efg'), 'abc');
  assert.equal(found('^https?://xyz'), '://xyz');
  assert.equal(found('abc{2}'), null);
  assert.equal(found('(abcdef)+'), null);
  for (const p of ['abc|def', '***=abc', '(?i)abcdef', 'ab', '[abc]def\\d', 'a\\.bcd']) assert.equal(found(p), null, p);
});

test('a needle is found where indexOf finds it', () => {
  const r = seeded(44);
  for (let k = 0; k < 2000; k++) {
    const hay = Array.from({ length: r(40) }, () => 'ab'[r(2)]).join('');
    const needle = Array.from({ length: 1 + r(5) }, () => 'ab'[r(2)]).join('');
    const d = Buffer.from(`xx${hay}yy`);
    assert.equal(new Needle(needle).find(d, 2, 2 + hay.length), hay.indexOf(needle) < 0 ? -1 : 2 + hay.indexOf(needle));
  }
});
