import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maybeNull, randomDatum, seeded } from '../../types/encoding/testdatums.js';
import type { Random } from '../../types/encoding/testdatums.js';
import { SqlError } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { FunctionDef } from '../../types/functions/catalogue.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import { allFunctions, castFor, functionById } from '../../types/functions/registry.js';
import { Numeric } from '../../types/numeric.js';
import type { ScalarKind, SqlType } from '../../types/sqltype.js';
import { arrayOf, BOOL, FLOAT8, INT2, INT4, INT8, INTERVAL, NUMERIC, sameType, TEXT, TIMESTAMP } from '../../types/sqltype.js';
import { formatDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import type { Batch } from '../batch.js';
import { batchFromDatums, datumAt } from '../vectors.js';
import { compileFilter, compileProject } from './compile.js';
import { CONSTANT_CONTEXT, evaluateConstant, interpret } from './interpret.js';

const KINDS: readonly ScalarKind[] = ['bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'text', 'varchar', 'bpchar', 'bytea', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'jsonb', 'uuid'];
const TYPES: readonly SqlType[] = [...KINDS.map((kind): SqlType => ({ kind })), arrayOf(INT4), INT8, NUMERIC, TEXT];
const ctx: EvalContext = { ...CONSTANT_CONTEXT, nowUs: 1600000000000000, timeZone: 'Europe/Berlin', outer: [] };

const show = (t: SqlType, v: Datum): string => (v === null ? 'NULL' : Object.is(v, -0) ? '-0' : formatDatum(t, v));

function randomRows(r: Random, n: number): Datum[][] {
  const plain = TYPES.map(() => r(3) > 0);
  return Array.from({ length: n }, () => TYPES.map((t, c) => {
    if (!plain[c]) return maybeNull(t, r);
    if (t.kind === 'numeric') return Numeric.of(r(2000) - 1000, 2);
    if (t.kind === 'float8') return (r(100) - 50) / 4;
    if (t.kind === 'int4' || t.kind === 'int2' || t.kind === 'int8') return r(20) - 5;
    const v = randomDatum(t, r);
    return typeof v === 'bigint' ? Number(v % 1000n) : v;
  }));
}

/** Functions whose arguments are plain types and whose work is bounded for the test's datums. */
const callable: readonly FunctionDef[] = allFunctions().filter(f =>
  f.volatility !== 'volatile' && !f.variadic && f.args.every(a => 'kind' in a && (a.kind === 'array' ? a.elem.kind === 'int4' : KINDS.includes(a.kind as ScalarKind)))
  && 'kind' in f.result && !/^(repeat|lpad|rpad|\^|power|pow|exp|factorial|!|ln|log|sqrt|\|\/|pg_|col_|obj_|has_|to_reg|current_setting|set_config|dexp|format_type|current_time|localtime)/.test(f.name));

function literal(t: SqlType, r: Random): Expr {
  const v = r(8) === 0 ? null : randomDatum(t, r);
  return { node: 'literal', text: v === null ? null : formatDatum(t, v), type: t };
}

function column(t: SqlType, r: Random): Expr {
  const columns = TYPES.map((x, c) => (sameType(x, t) ? c : -1)).filter(c => c >= 0);
  return columns.length === 0 ? literal(t, r) : { node: 'column', index: columns[r(columns.length)], type: t };
}

function expression(t: SqlType, depth: number, r: Random): Expr {
  if (depth === 0) return r(3) === 0 ? literal(t, r) : column(t, r);
  const sub = (x: SqlType): Expr => expression(x, depth - 1, r);
  const any = (): SqlType => TYPES[r(TYPES.length)];
  const choice = r(10);
  if (t.kind === 'bool' && choice < 5) {
    switch (r(6)) {
      case 0: return { node: r(2) === 0 ? 'and' : 'or', args: Array.from({ length: 2 + r(2) }, () => sub(BOOL)), type: BOOL };
      case 1: return { node: 'not', arg: sub(BOOL), type: BOOL };
      case 2: return { node: 'isnull', arg: sub(any()), type: BOOL };
      case 3: { const x = comparable(r); return { node: 'distinct', left: sub(x), right: sub(x), equal: `=(${x.kind},${x.kind})`, type: BOOL }; }
      case 4: { const x = comparable(r); return { node: 'in', arg: sub(x), list: Array.from({ length: 1 + r(3) }, () => (r(4) === 0 ? sub(x) : literal(x, r))), equal: `=(${x.kind},${x.kind})`, type: BOOL }; }
      default: { const x = comparable(r); return call(`${['=', '<>', '<', '<=', '>', '>='][r(6)]}(${x.kind},${x.kind})`, [sub(x), sub(x)]); }
    }
  }
  if (choice === 5) return { node: 'case', whens: Array.from({ length: 1 + r(2) }, () => ({ when: sub(BOOL), then: sub(t) })), otherwise: r(2) === 0 ? null : sub(t), type: t };
  if (choice === 6) return { node: 'coalesce', args: Array.from({ length: 1 + r(3) }, () => sub(t)), type: t };
  if (choice === 7) {
    const from = any();
    if (castFor(from, t) !== null && !sameType(from, t)) return { node: 'cast', arg: sub(from), explicit: true, type: t };
  }
  const makers = callable.filter(f => 'kind' in f.result && sameType(f.result, t));
  if (makers.length === 0) return column(t, r);
  const f = makers[r(makers.length)];
  return call(f.id, f.args.map(a => ('kind' in a ? sub(a) : sub(INT4))));
}

function comparable(r: Random): SqlType {
  for (;;) {
    const t = TYPES[r(TYPES.length)];
    if (functionById(`=(${t.kind},${t.kind})`) !== null) return t;
  }
}

function call(fn: string, args: readonly Expr[]): Expr {
  const def = functionById(fn);
  assert.ok(def !== null, fn);
  return { node: 'call', fn, args, type: 'kind' in def.result ? def.result : TEXT };
}

const column8: Expr = { node: 'column', index: 0, type: INT8 };
const int8 = (text: string): Expr => ({ node: 'literal', text, type: INT8 });

/** Value as text, or the error's code. */
function attempt(f: () => Datum, expr: Expr): { value: string | null; error: string | null } {
  try { return { value: show(expr.type, f()), error: null }; } catch (e) {
    if (!(e instanceof SqlError)) throw new Error(`not an SQL error from ${JSON.stringify(expr)}`, { cause: e });
    return { value: null, error: `${e.code} ${e.message}` };
  }
}

function check(expr: Expr, rows: readonly Datum[][], batch: Batch, hint: string): void {
  const exact = interpret(expr);
  const results = rows.map(row => attempt(() => exact(row, ctx), expr));
  const failing = results.find(x => x.error !== null);
  const project = compileProject([expr], TYPES);
  const run = (selection: Int32Array | null): string[] => {
    const [v] = project(batch, selection === null ? null : { rows: selection, count: selection.length }, ctx);
    return Array.from({ length: selection?.length ?? batch.length }, (_, i) => show(expr.type, datumAt(expr.type, v, i)));
  };
  if (failing !== undefined) {
    assert.throws(() => run(null), (e: unknown) => e instanceof SqlError && `${e.code} ${e.message}` === failing.error, `${hint}: wants ${failing.error}`);
  }
  const fine = Int32Array.from(results.flatMap((x, i) => (x.error === null ? [i] : [])));
  assert.deepEqual(run(failing === undefined ? null : fine), [...fine].map(i => results[i].value), hint);
  if (expr.type.kind === 'bool' && failing === undefined) {
    const { rows: kept, count } = compileFilter(expr, TYPES)(batch, ctx);
    assert.deepEqual([...kept.subarray(0, count)], [...fine].filter(i => results[i].value === 't'), hint);
  }
}

test('compiled expressions give what the exact path gives, values and errors, on random data', () => {
  const seed = Number(process.env['MILLRACE_SEED'] ?? 31);
  const r = seeded(seed);
  for (let round = 0; round < 400; round++) {
    const rows = randomRows(r, 40);
    const batch = batchFromDatums(TYPES, rows);
    for (let k = 0; k < 6; k++) {
      const expr = expression(TYPES[r(TYPES.length)], 1 + r(3), r);
      check(expr, rows, batch, `seed ${seed} round ${round}.${k}: ${JSON.stringify(expr)}`);
    }
  }
});

test('every function of the catalogue with plain arguments gives the same compiled', () => {
  const r = seeded(32);
  for (const f of callable) {
    const args = (): Expr[] => f.args.map(a => ('kind' in a ? (r(4) === 0 ? literal(a, r) : column(a, r)) : literal(INT4, r)));
    for (let k = 0; k < 3; k++) {
      const rows = randomRows(r, 12);
      check(call(f.id, args()), rows, batchFromDatums(TYPES, rows), f.id);
    }
  }
});

test('int8 results past 2^53 are exact, and past int8 are 22003', () => {
  const types = [INT8];
  const project = compileProject([call('*(int8,int8)', [column8, int8('1000')])], types);
  const [v] = project(batchFromDatums(types, [[9007199254740992], [1], [9007199254740993n]]), null, ctx);
  assert.deepEqual([0, 1, 2].map(i => datumAt(INT8, v, i)), [9007199254740992000n, 1000, 9007199254740993000n]);
  assert.throws(() => project(batchFromDatums(types, [[9223372036854775807n]]), null, ctx), { code: '22003', message: 'bigint out of range' });
});

test('integer overflow and division by zero carry the errors of Postgres', () => {
  const at = (fn: string, type: SqlType, a: Datum, b: Datum): void => {
    const x: Expr = { node: 'column', index: 0, type };
    const y: Expr = { node: 'column', index: 1, type };
    compileProject([call(fn, [x, y])], [type, type])(batchFromDatums([type, type], [[a, b]]), null, ctx);
  };
  assert.throws(() => at('+(int4,int4)', INT4, 2147483647, 1), { code: '22003', message: 'integer out of range' });
  assert.throws(() => at('*(int2,int2)', INT2, 200, 200), { code: '22003', message: 'smallint out of range' });
  assert.throws(() => at('/(int4,int4)', INT4, -2147483648, -1), { code: '22003', message: 'integer out of range' });
  assert.throws(() => at('/(int8,int8)', INT8, 1, 0), { code: '22012', message: 'division by zero' });
  assert.throws(() => at('%(int4,int4)', INT4, 1, 0), { code: '22012', message: 'division by zero' });
  assert.doesNotThrow(() => at('/(int4,int4)', INT4, null, 0));
});

test('branches not taken raise nothing', () => {
  const zero = call('=(int8,int8)', [column8, int8('0')]);
  const divide = call('/(int8,int8)', [int8('10'), column8]);
  const types = [INT8];
  const batch = batchFromDatums(types, [[0], [5], [null]]);
  const value = (e: Expr): Datum[] => { const [v] = compileProject([e], types)(batch, null, ctx); return [0, 1, 2].map(i => datumAt(e.type, v, i)); };
  assert.deepEqual(value({ node: 'case', whens: [{ when: zero, then: int8('-1') }], otherwise: divide, type: INT8 }), [-1, 2, null]);
  assert.deepEqual(value({ node: 'or', args: [zero, call('>(int8,int8)', [divide, int8('1')])], type: BOOL }), [true, true, null]);
  assert.deepEqual(value({ node: 'coalesce', args: [int8('7'), divide], type: INT8 }), [7, 7, 7]);
});

test('three-valued logic', () => {
  const types = [BOOL, BOOL];
  const a: Expr = { node: 'column', index: 0, type: BOOL };
  const b: Expr = { node: 'column', index: 1, type: BOOL };
  const values: readonly Datum[] = [true, false, null];
  const rows = values.flatMap(x => values.map(y => [x, y]));
  const [and, or, not] = compileProject([{ node: 'and', args: [a, b], type: BOOL }, { node: 'or', args: [a, b], type: BOOL }, { node: 'not', arg: a, type: BOOL }], types)(batchFromDatums(types, rows), null, ctx);
  assert.deepEqual(rows.map((_, i) => datumAt(BOOL, and, i)), [true, false, null, false, false, false, null, false, null]);
  assert.deepEqual(rows.map((_, i) => datumAt(BOOL, or, i)), [true, true, true, true, false, null, true, null, null]);
  assert.deepEqual(rows.map((_, i) => datumAt(BOOL, not, i)), [false, false, false, true, true, true, null, null, null]);
});

test('a column alone passes through without being copied', () => {
  const types = [INT8, TEXT];
  const batch = batchFromDatums(types, [[1, 'a'], [2, 'b']]);
  const [v] = compileProject([{ node: 'column', index: 1, type: TEXT }], types)(batch, null, ctx);
  assert.equal(v, batch.columns[1]);
});

test('small numerics stay scaled doubles through arithmetic', () => {
  const types = [INT8];
  const price: Expr = { node: 'cast', arg: column8, explicit: false, type: NUMERIC };
  const [v] = compileProject([call('*(numeric,numeric)', [{ node: 'literal', text: '0.908', type: NUMERIC }, price])], types)(batchFromDatums(types, [[100], [7], [null]]), null, ctx);
  assert.equal(v.form, 'dec');
  assert.deepEqual([0, 1, 2].map(i => show(NUMERIC, datumAt(NUMERIC, v, i))), ['90.800', '6.356', 'NULL']);
});

test('constants: literals, timestamps shifted by an interval, errors of their own', () => {
  const stamp: Expr = { node: 'literal', text: '2020-01-01 00:00:00', type: TIMESTAMP };
  assert.equal(show(TIMESTAMP, evaluateConstant(call('-(timestamp,interval)', [stamp, { node: 'literal', text: '4 seconds', type: INTERVAL }]))), '2019-12-31 23:59:56');
  assert.throws(() => evaluateConstant(call('/(float8,float8)', [{ node: 'literal', text: '1', type: FLOAT8 }, { node: 'literal', text: '0', type: FLOAT8 }])), { code: '22012' });
});

test('quotes, backslashes and line ends in literals are data, never code', () => {
  const types = [TEXT];
  const evil = "'; throw new Error('x'); //`${1}\\\n\u2028";
  const e = call('=(text,text)', [{ node: 'column', index: 0, type: TEXT }, { node: 'literal', text: evil, type: TEXT }]);
  const { count } = compileFilter(e, types)(batchFromDatums(types, [[evil], ['x']]), ctx);
  assert.equal(count, 1);
});
