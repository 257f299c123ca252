import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { Expr } from '../../types/expr.js';
import { BOOL, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, type SqlType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { Numeric } from '../../types/numeric.js';
import { equalDatum } from '../../types/compare.js';
import { SqlError } from '../../types/error.js';
import { batchFromDatums, datumAt, datumRow } from '../vectors.js';
import { compileFilter, compileProject } from './compile.js';
import { CONSTANT_CONTEXT, interpret } from './interpret.js';

const TYPES: readonly SqlType[] = [INT4, INT8, FLOAT8, NUMERIC, TEXT, BOOL, TIMESTAMP, INT8];
const col = (index: number): Expr => ({ node: 'column', index, type: TYPES[index] });
const lit = (text: string | null, type: SqlType): Expr => ({ node: 'literal', text, type });
const call = (fn: string, type: SqlType, ...args: Expr[]): Expr => ({ node: 'call', fn, args, type });
const cast = (arg: Expr, type: SqlType): Expr => ({ node: 'cast', arg, explicit: true, type });

function random(seed: number): (n: number) => number {
  let a = seed >>> 0;
  return n => { a = (Math.imul(a, 1664525) + 1013904223) >>> 0; return Math.floor((a / 4294967296) * n); };
}

const EXPRESSIONS: readonly Expr[] = [
  call('+(int4,int4)', INT4, col(0), lit('7', INT4)),
  call('*(int8,int8)', INT8, col(1), col(7)),
  call('-(int8,int8)', INT8, col(1), col(7)),
  call('%(int8,int8)', INT8, col(1), lit('123', INT8)),
  call('/(int8,int8)', INT8, col(1), lit('7', INT8)),
  call('=(int8,int8)', BOOL, call('%(int8,int8)', INT8, col(1), lit('3', INT8)), lit('0', INT8)),
  call('*(numeric,numeric)', NUMERIC, lit('0.908', NUMERIC), cast(col(1), NUMERIC)),
  call('+(numeric,numeric)', NUMERIC, col(3), lit('1.5', NUMERIC)),
  call('>(numeric,numeric)', BOOL, call('*(numeric,numeric)', NUMERIC, lit('0.908', NUMERIC), cast(col(0), NUMERIC)), lit('100', NUMERIC)),
  call('<(float8,float8)', BOOL, col(2), lit('0.5', FLOAT8)),
  call('+(float8,float8)', FLOAT8, col(2), lit('1', FLOAT8)),
  call('=(text,text)', BOOL, col(4), lit('ab', TEXT)),
  call('lower(text)', TEXT, col(4)),
  call('||(text,text)', TEXT, col(4), lit('!', TEXT)),
  { node: 'and', args: [call('>(int4,int4)', BOOL, col(0), lit('0', INT4)), col(5), call('<>(text,text)', BOOL, col(4), lit('b', TEXT))], type: BOOL },
  { node: 'or', args: [col(5), call('<(int8,int8)', BOOL, col(1), col(7))], type: BOOL },
  { node: 'not', arg: col(5), type: BOOL },
  { node: 'isnull', arg: col(4), type: BOOL },
  { node: 'case', whens: [{ when: call('>(int4,int4)', BOOL, col(0), lit('3', INT4)), then: call('+(int4,int4)', INT4, col(0), lit('1', INT4)) }, { when: col(5), then: lit(null, INT4) }], otherwise: col(0), type: INT4 },
  { node: 'case', whens: [{ when: call('=(int4,int4)', BOOL, col(0), lit('0', INT4)), then: lit('0', INT4) }], otherwise: call('/(int4,int4)', INT4, lit('100', INT4), col(0)), type: INT4 },
  { node: 'coalesce', args: [col(4), lower(4), lit('none', TEXT)], type: TEXT },
  { node: 'coalesce', args: [col(1), col(7)], type: INT8 },
  { node: 'in', arg: col(4), list: [lit('a', TEXT), lit('ab', TEXT)], equal: '=(text,text)', type: BOOL },
  { node: 'in', arg: col(1), list: [lit('1', INT8), lit(null, INT8)], equal: '=(int8,int8)', type: BOOL },
  { node: 'distinct', left: col(1), right: col(7), equal: '=(int8,int8)', type: BOOL },
  call('-(timestamp,interval)', TIMESTAMP, col(6), lit('4 seconds', INTERVAL)),
  call('+(timestamp,interval)', TIMESTAMP, col(6), lit('1 mon', INTERVAL)),
  call('to_char(timestamp,text)', TEXT, col(6), lit('YYYY-MM-DD', TEXT)),
  call('to_char(timestamp,text)', TEXT, col(6), col(4)),
];
function lower(index: number): Expr { return { node: 'call', fn: 'lower(text)', args: [col(index)], type: TEXT }; }

function datum(rand: (n: number) => number, type: SqlType, extreme: boolean): Datum {
  if (rand(5) === 0) return null;
  switch (type.kind) {
    case 'int4': return rand(12) - 3;
    case 'int8': return extreme && rand(6) === 0 ? (rand(2) === 0 ? 9007199254740992 - rand(3) : 9007199254740993n + BigInt(rand(1000))) : rand(2000) - 1000;
    case 'float8': return [0, -0, NaN, 0.25, Infinity, -3.5, 0.5][rand(7)];
    case 'numeric': return Numeric.parse(extreme ? ['1.10', '2', 'NaN', '123456789012345678901234.5'][rand(4)] : `${rand(100)}.${10 + rand(90)}`);
    case 'text': return ['a', 'ab', 'b', 'é', '', 'LONGER text with more than twenty-four characters'][rand(6)];
    case 'bool': return rand(2) === 0;
    default: return 1704067200000000 + rand(1_000_000_000);
  }
}

for (const extreme of [false, true]) {
  test(`compiled expressions equal the exact path on random rows${extreme ? ' with extremes' : ''}`, () => {
    const rand = random(extreme ? 7 : 3);
    for (let round = 0; round < 12; round++) {
      const rows = Array.from({ length: 40 }, () => TYPES.map(t => datum(rand, t, extreme)));
      const batch = batchFromDatums(TYPES, rows);
      for (const e of EXPRESSIONS) {
        const exact = interpret(e);
        let expected: Datum[] | SqlError;
        try { expected = rows.map(r => exact(r, CONSTANT_CONTEXT)); } catch (error) { if (!(error instanceof SqlError)) throw error; expected = error; }
        const run = (): Datum[] => { const v = compileProject([e], TYPES)(batch, null, CONSTANT_CONTEXT)[0]; return rows.map((_, i) => datumAt(e.type, v, i)); };
        if (expected instanceof SqlError) {
          const { code } = expected;
          assert.throws(run, (error: unknown) => error instanceof SqlError && error.code === code, JSON.stringify(e));
          continue;
        }
        const actual = run();
        expected.forEach((x, i) => {
          const a = actual[i];
          const same = x === null || a === null ? x === a : equalDatum(e.type, x, a) && String(x) === String(a);
          assert.ok(same, `${JSON.stringify(e)} over ${JSON.stringify(datumRow(TYPES, batch, i).map(String))}: ${String(a)}, exactly ${String(x)}`);
        });
        if (e.type.kind === 'bool') {
          const kept = compileFilter(e, TYPES)(batch, CONSTANT_CONTEXT);
          assert.deepEqual([...kept.rows.subarray(0, kept.count)], expected.flatMap((x, i) => (x === true ? [i] : [])));
        }
      }
    }
  });
}

test('to_char of a constant template gives every time the text of its own unit, also before 1970 and at borders', () => {
  const r = random(5);
  const day = 86_400_000_000;
  const borders = [0, 1, 59_999_999, 60_000_000, day / 24, day / 2, day - 1, day, 31 * day];
  const times: Datum[] = [null, Infinity, -Infinity];
  for (let k = 0; k < 400; k++) times.push((r(40) - 20) * day + borders[r(borders.length)] - r(2));
  const rows = times.map((t): Datum[] => [t]);
  const batch = batchFromDatums([TIMESTAMP], rows);
  for (const template of ['YYYY-MM-DD', 'Day', 'HH24:MI', 'HH am', 'P.M.', 'SS', 'SSSSS', 'MS', 'hh12:mi:ss.us', 'ff3', 'IYYY-IW TZ', '"MI" Q', 'FMHH24th', '', 'FX']) {
    const e = call('to_char(timestamp,text)', TEXT, { node: 'column', index: 0, type: TIMESTAMP }, lit(template, TEXT));
    const exact = interpret(e);
    const v = compileProject([e], [TIMESTAMP])(batch, null, CONSTANT_CONTEXT)[0];
    assert.deepEqual(rows.map((_, i) => datumAt(TEXT, v, i)), rows.map(row => exact(row, CONSTANT_CONTEXT)), template);
  }
});
