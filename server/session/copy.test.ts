import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { CopyOptions } from '../../planner/parse/statement.js';
import { loadParser, parseStatements } from '../../planner/parse/parser.js';
import { SqlError } from '../../types/error.js';
import { PLAIN_IO } from '../../types/textio.js';
import { INT4, TEXT } from '../../types/sqltype.js';
import { CopyDecoder, CopyEncoder } from './copy.js';

await loadParser();

function options(text: string): CopyOptions {
  const s = parseStatements(`COPY t FROM STDIN ${text}`)[0]?.statement;
  assert(s?.kind === 'copy from');
  return s.options;
}
type Rows = (readonly (string | null)[])[];
function decode(input: Buffer, columns: readonly string[], clause: string, pieces: (b: Buffer) => Buffer[] = (b) => [b]): Rows {
  const decoder = new CopyDecoder(columns, options(clause));
  const rows: Rows = [];
  for (const piece of pieces(input)) rows.push(...decoder.push(piece).rows);
  rows.push(...decoder.end().rows);
  return rows;
}
const bytewise = (b: Buffer): Buffer[] => [...b].map((x) => Buffer.from([x]));

const cases: readonly (readonly [string, string, Rows])[] = [
  ['', '1\ta\n2\t\\N\n3\t\n', [['1', 'a'], ['2', null], ['3', '']]],
  ['', '1\t\\ta\\\\b\\n\\x41\\101\\é\\\tc\r\n2\tno newline', [['1', '\ta\\b\nAAé\tc'], ['2', 'no newline']]],
  ['', '1\ta\n\\.\nignored\n', [['1', 'a']]],
  ["(delimiter '|', null 'nil')", '1|nil\nnil|\\nil\n', [['1', null], [null, '\nil']]],
  ['csv', '1,a\n2,\n3,""\n"4","x ""y"", z"\n', [['1', 'a'], ['2', null], ['3', ''], ['4', 'x "y", z']]],
  ['csv header', 'no,matter\n1,"two\nlines\r\nthree"\r\n2,é\n', [['1', 'two\nlines\r\nthree'], ['2', 'é']]],
  ["(format csv, quote '''', escape '\\', null 'x', delimiter ';')", "1;'it\\'s; \\\\ a'\n2;x\n3;'x'\n", [['1', "it's; \\ a"], ['2', null], ['3', 'x']]],
  ['(format csv, force_not_null (b), force_null (a))', '"",\n1,""\n', [[null, ''], ['1', '']]],
  ['(format csv, header match)', 'a,b\n1,2\n', [['1', '2']]],
];

test('COPY data decodes to rows, however it is cut', () => {
  for (const [clause, input, rows] of cases) {
    const bytes = Buffer.from(input);
    assert.deepEqual(decode(bytes, ['a', 'b'], clause), rows, clause);
    assert.deepEqual(decode(bytes, ['a', 'b'], clause, bytewise), rows, `${clause} bytewise`);
  }
});

test('bad COPY data: SQLSTATE, message, line', () => {
  const bad: readonly (readonly [string, Buffer, string, string, string])[] = [
    ['', Buffer.from('1\ta\n2\n'), '22P04', 'missing data for column "b"', 'COPY line 2: "2"'],
    ['', Buffer.from('1\ta\tb\n'), '22P04', 'extra data after last expected column', 'COPY line 1: "1\ta\tb"'],
    ['csv', Buffer.from('"1\n\n",a\n2\n'), '22P04', 'missing data for column "b"', 'COPY line 4: "2"'],
    ['csv', Buffer.from('1,"a'), '22P04', 'unterminated CSV quoted field', 'COPY line 1'],
    ['(format csv, header match)', Buffer.from('a,c\n'), '22P04', 'column name mismatch in header line field 2: got "c", expected "b"', ''],
    ['', Buffer.from([49, 9, 0xc3, 0x28, 10]), '22021', 'invalid byte sequence for encoding "UTF8": 0xc3', ''],
    ['', Buffer.from('1\t\\xff\n'), '22021', 'invalid byte sequence for encoding "UTF8": 0xff', ''],
  ];
  for (const [clause, input, code, message, detail] of bad) {
    assert.throws(() => decode(input, ['a', 'b'], clause), (e: unknown) => {
      assert(e instanceof SqlError);
      assert.deepEqual([e.code, e.message, e.detail ?? ''], [code, message, detail]);
      return true;
    });
  }
});

test('what COPY TO writes, COPY FROM reads back', () => {
  const texts = ['', 'a', '\\N', '\\.', 'a\tb\\c\nd\re', '"quoted", x', 'é😀', null, ' x ', '|;'];
  const columns = [{ name: 'a', type: INT4 }, { name: 'b', type: TEXT }];
  for (const clause of ['', "(delimiter '|')", 'csv', 'csv header', "(format csv, delimiter ';', quote '''', escape '\\')", '(format csv, force_quote *)', "(format csv, null 'a')", "(null 'nil')"]) {
    const o = options(clause);
    const encoder = new CopyEncoder(columns, o, PLAIN_IO);
    const lines = encoder.lines({ length: texts.length, weights: null, columns: [{ form: 'datum', values: texts.map((_, i) => i), nulls: null }, { form: 'datum', values: texts, nulls: null }] });
    const bytes = Buffer.from((o.header === false ? '' : encoder.header()) + lines.join(''));
    assert.deepEqual(decode(bytes, ['a', 'b'], clause, bytewise), texts.map((t, i) => [String(i), t]), clause);
  }
});
