/** Functions that return rows: generate_series, unnest, the parts of json, regular expression matches. */
import { SqlArray } from '../array.js';
import { timestampPlus, timestamptzPlus } from '../datetime.js';
import { SqlError } from '../error.js';
import type { Interval } from '../interval.js';
import { Json, JsonObject, isArray } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import { INT4, TEXT, arrayOf } from '../sqltype.js';
import { timeZoneByName } from '../timezone.js';
import type { Datum } from '../value.js';
import type { SetFunctionDef } from './catalogue.js';
import { int8, setFn } from './define.js';
import type { EvalContext } from './evalcontext.js';
import { compact, nodeText, wrap } from './json.js';
import { groupsOf, matchesOf, splitByRegex } from './match.js';
import { stringToArray } from './string.js';
import { regex } from './regex.js';

type Rows = Iterable<readonly Datum[]>;

function one(name: string, type: SqlType): () => readonly { readonly name: string; readonly type: SqlType }[] {
  return () => [{ name, type }];
}

function stepZero(): SqlError {
  return new SqlError('22023', 'step size cannot equal zero');
}

function* intSeries(from: bigint, to: bigint, step: bigint): Rows {
  if (step === 0n) throw stepZero();
  for (let v = from; step > 0n ? v <= to : v >= to; v += step) {
    if (v > 9223372036854775807n || v < -9223372036854775808n) return;
    yield [int8(v)];
  }
}

function* numericSeries(from: Numeric, to: Numeric, step: Numeric): Rows {
  const check = (v: Numeric, what: string): void => {
    if (v.isNaN()) throw new SqlError('22023', `${what} cannot be NaN`);
    if (!v.isFinite()) throw new SqlError('22023', `${what} cannot be infinity`);
  };
  check(from, 'start value');
  check(to, 'stop value');
  check(step, 'step size');
  if (step.isZero()) throw stepZero();
  const up = step.sign() > 0;
  for (let v = from; up ? v.compare(to) <= 0 : v.compare(to) >= 0; v = v.add(step)) yield [v];
}

type Ts = number | bigint;

function* timeSeries(from: Ts, to: Ts, step: Interval, plus: (t: Ts, i: Interval) => Ts): Rows {
  const sign = step.span();
  if (sign === 0n) throw stepZero();
  for (let v = from; sign > 0n ? v <= to : v >= to; v = plus(v, step)) {
    yield [v];
    if (v === Infinity || v === -Infinity) return;
  }
}

const big = (v: Datum): bigint => BigInt(typeof v === 'bigint' ? v : Number(v));
const numeric = (v: Datum): Numeric => (v instanceof Numeric ? v : Numeric.ZERO);
const ts = (v: Datum): Ts => (typeof v === 'bigint' ? v : Number(v));

function series(): SetFunctionDef[] {
  const out: SetFunctionDef[] = [];
  for (const k of ['int4', 'int8'] as const) {
    for (const args of [`${k},${k}`, `${k},${k},${k}`]) {
      out.push(setFn(`generate_series(${args})`, one('generate_series', { kind: k }), (_ctx, a) => intSeries(big(a[0]), big(a[1]), a.length > 2 ? big(a[2]) : 1n)));
    }
  }
  for (const args of ['numeric,numeric', 'numeric,numeric,numeric']) {
    out.push(setFn(`generate_series(${args})`, one('generate_series', { kind: 'numeric' }), (_ctx, a) => numericSeries(numeric(a[0]), numeric(a[1]), a.length > 2 ? numeric(a[2]) : Numeric.ONE)));
  }
  out.push(
    setFn('generate_series(timestamp,timestamp,interval)', one('generate_series', { kind: 'timestamp' }), (_ctx, a) => timeSeries(ts(a[0]), ts(a[1]), a[2] as Interval, timestampPlus)),
    setFn('generate_series(timestamptz,timestamptz,interval)', one('generate_series', { kind: 'timestamptz' }), (ctx, a) => {
      const zone = timeZoneByName(ctx.timeZone);
      return timeSeries(ts(a[0]), ts(a[1]), a[2] as Interval, (t, i) => timestamptzPlus(t, i, zone));
    }),
  );
  return out;
}

function array(v: Datum): SqlArray {
  return v instanceof SqlArray ? v : SqlArray.EMPTY;
}

function elementType(t: SqlType): SqlType {
  return t.kind === 'array' ? elementType(t.elem) : t;
}

/** unnest(a, b, …): side by side, the shorter ones padded with NULL. */
function* unnest(_ctx: EvalContext, args: readonly Datum[]): Rows {
  const arrays = args.map(array);
  const rows = Math.max(0, ...arrays.map((a) => a.elems.length));
  for (let i = 0; i < rows; i++) yield arrays.map((a) => a.elems[i] ?? null);
}

function* subscripts(a: SqlArray, dimension: number, reverse: boolean): Rows {
  const d = dimension - 1;
  if (d < 0 || d >= a.ndims) return;
  for (let i = 0; i < a.dims[d]; i++) yield [reverse ? a.lower[d] + a.dims[d] - 1 - i : a.lower[d] + i];
}

function json(v: Datum): Json {
  if (v instanceof Json) return v;
  throw new SqlError('XX000', 'internal error: not a json value');
}

function elements(v: Datum, name: string): readonly (Json['root'])[] {
  const root = json(v).root;
  if (isArray(root)) return root;
  if (json(v).binary) throw new SqlError('22023', root instanceof JsonObject ? 'cannot extract elements from an object' : 'cannot extract elements from a scalar');
  throw new SqlError('22023', root instanceof JsonObject ? `cannot call ${name} on a non-array` : `cannot call ${name} on a scalar`);
}

function fields(v: Datum, name: string): JsonObject {
  const { root, binary } = json(v);
  if (root instanceof JsonObject) return root;
  if (!binary && name.includes('each')) throw new SqlError('22023', isArray(root) ? 'cannot deconstruct an array as an object' : 'cannot deconstruct a scalar');
  throw new SqlError('22023', `cannot call ${name} on ${isArray(root) && !name.includes('each') ? 'an array' : isArray(root) ? 'a non-object' : name.includes('each') ? 'a non-object' : 'a scalar'}`);
}

function jsonSets(kind: 'json' | 'jsonb'): SetFunctionDef[] {
  const self: SqlType = { kind };
  const text = (j: Json) => (n: Json['root']): string | null => (j.binary || n === null || typeof n === 'string' ? nodeText(n) : compact(n));
  return [
    setFn(`${kind}_array_elements(${kind})`, one('value', self), (_ctx, [v]) => elements(v, `${kind}_array_elements`).map((n) => [wrap(n, json(v))])),
    setFn(`${kind}_array_elements_text(${kind})`, one('value', TEXT), (_ctx, [v]) => elements(v, `${kind}_array_elements_text`).map((n) => [text(json(v))(n)])),
    setFn(`${kind}_object_keys(${kind})`, one(`${kind}_object_keys`, TEXT), (_ctx, [v]) => fields(v, `${kind}_object_keys`).keys.map((k) => [k])),
    setFn(`${kind}_each(${kind})`, () => [{ name: 'key', type: TEXT }, { name: 'value', type: self }], (_ctx, [v]) => {
      const o = fields(v, `${kind}_each`);
      return o.keys.map((k, i) => [k, wrap(o.values[i], json(v))]);
    }),
    setFn(`${kind}_each_text(${kind})`, () => [{ name: 'key', type: TEXT }, { name: 'value', type: TEXT }], (_ctx, [v]) => {
      const o = fields(v, `${kind}_each_text`);
      return o.keys.map((k, i) => [k, text(json(v))(o.values[i])]);
    }),
  ];
}

function regexpMatches(s: string, pattern: string, flags: string): Rows {
  if (flags.includes('g')) return matchesOf(s, pattern, flags).map((m) => [SqlArray.of(groupsOf(m))]);
  const m = regex(pattern, flags).exec(s);
  return m === null ? [] : [[SqlArray.of(groupsOf(m))]];
}

export const setFunctions: readonly SetFunctionDef[] = [
  ...series(),
  setFn('unnest(anyarray…)', (types) => types.map((t) => ({ name: 'unnest', type: elementType(t) })), unnest, false),
  setFn('generate_subscripts(anyarray,int4)', one('generate_subscripts', INT4), (_ctx, [a, d]) => subscripts(array(a), Number(d), false)),
  setFn('generate_subscripts(anyarray,int4,bool)', one('generate_subscripts', INT4), (_ctx, [a, d, r]) => subscripts(array(a), Number(d), r === true)),
  setFn('pg_options_to_table(text[])', () => [{ name: 'option_name', type: TEXT }, { name: 'option_value', type: TEXT }], (_ctx, [a]) => array(a).elems.map((o) => {
    const [name = '', ...value] = String(o).split('=');
    return [name, value.length === 0 ? null : value.join('=')];
  })),
  ...jsonSets('json'),
  ...jsonSets('jsonb'),
  setFn('regexp_matches(text,text)', one('regexp_matches', arrayOf(TEXT)), (_ctx, [s, p]) => regexpMatches(String(s), String(p), '')),
  setFn('regexp_matches(text,text,text)', one('regexp_matches', arrayOf(TEXT)), (_ctx, [s, p, f]) => regexpMatches(String(s), String(p), String(f))),
  setFn('regexp_split_to_table(text,text)', one('regexp_split_to_table', TEXT), (_ctx, [s, p]) => splitByRegex(String(s), String(p), '').map((t) => [t])),
  setFn('regexp_split_to_table(text,text,text)', one('regexp_split_to_table', TEXT), (_ctx, [s, p, f]) => splitByRegex(String(s), String(p), String(f)).map((t) => [t])),
  setFn('string_to_table(text,text)', one('string_to_table', TEXT), (_ctx, [s, p]) => (stringToArray(s === null ? null : String(s), p === null ? null : String(p), null)?.elems ?? []).map((t) => [t]), false),
  setFn('string_to_table(text,text,text)', one('string_to_table', TEXT), (_ctx, [s, p, n]) => (stringToArray(s === null ? null : String(s), p === null ? null : String(p), n === null ? null : String(n))?.elems ?? []).map((t) => [t]), false),
];

