/**
 * json and jsonb: operators, builders, inspection and changes. Every function on one has its twin on the other; json keeps text
 * and order, jsonb the canonical tree. `toNode` and `toJsonText` give any datum's JSON (to_json's rules), also for the aggregates.
 */
import { SqlArray } from '../array.js';
import { formatDate, formatTimestamp } from '../datetime.js';
import { SqlError } from '../error.js';
import type { JsonNode } from '../json.js';
import { Json, JsonObject, formatJson, isArray, jsonContains, jsonElement, jsonField, jsonPath, jsonTypeOf, prettyJson, quoteJson } from '../json.js';
import { Numeric } from '../numeric.js';
import type { SqlType } from '../sqltype.js';
import { formatDatum } from '../textio.js';
import { timeZoneByName, toLocal, offsetOf, formatOffset } from '../timezone.js';
import type { Datum } from '../value.js';
import type { BoundEvaluate, FunctionDef } from './catalogue.js';
import { boundFn, fn } from './define.js';
import type { EvalContext } from './evalcontext.js';

/** Text of a node as ->> gives it: strings bare, JSON null as NULL. */
export function nodeText(n: JsonNode | undefined): string | null {
  if (n === undefined || n === null) return null;
  return typeof n === 'string' ? n : formatJson(n);
}

/** A part of json or jsonb as a value of the same type. json's parts are printed compactly where they were text before. */
export function wrap(n: JsonNode | undefined, like: Json): Json | null {
  if (n === undefined) return null;
  if (n === like.root) return like;
  return like.binary ? Json.ofNode(n) : Json.trusted(jsonPartText(n), false);
}

function jsonPartText(n: JsonNode): string {
  return compact(n);
}

/** json without blanks, as to_json writes it. */
export function compact(n: JsonNode): string {
  if (n instanceof JsonObject) return `{${n.keys.map((k, i) => `${quoteJson(k)}:${compact(n.values[i])}`).join(',')}}`;
  if (isArray(n)) return `[${n.map(compact).join(',')}]`;
  return formatJson(n);
}

function isoTimestamp(text: string): string {
  return text.replace(' ', 'T');
}

/** to_jsonb's tree of a datum. */
export function toNode(t: SqlType, v: Datum, ctx: EvalContext): JsonNode {
  if (v === null) return null;
  switch (t.kind) {
    case 'bool': return v === true;
    case 'int2': case 'int4': case 'int8': return Numeric.fromInt(typeof v === 'bigint' ? v : Number(v));
    case 'float4': case 'float8': return Number.isFinite(v) ? Numeric.parse(formatDatum(t, v)) : formatDatum(t, v);
    case 'numeric': return v instanceof Numeric && v.isFinite() ? v : String(v);
    case 'json': case 'jsonb': return v instanceof Json ? (v.binary ? v.root : Json.jsonb(v.toString()).root) : null;
    case 'date': return formatDate(Number(v));
    case 'timestamp': return isoTimestamp(formatTimestamp(typeof v === 'bigint' ? v : Number(v)));
    case 'timestamptz': return zonedTimestamp(typeof v === 'bigint' ? v : Number(v), ctx);
    case 'array': {
      if (!(v instanceof SqlArray)) return null;
      return nested(v, (e) => toNode(innermost(t), e, ctx));
    }
    default: return formatDatum(t, v, ctx);
  }
}

/** JSON's timestamps always carry minutes in the offset: 2024-01-01T00:00:00+00:00. */
function zonedTimestamp(v: number | bigint, ctx: EvalContext): string {
  if (v === Infinity || v === -Infinity) return formatTimestamp(v);
  const zone = timeZoneByName(ctx.timeZone);
  const offset = formatOffset(offsetOf(v, zone));
  return `${isoTimestamp(formatTimestamp(toLocal(v, zone)))}${offset.length === 3 ? `${offset}:00` : offset}`;
}

function nested(a: SqlArray, node: (v: Datum) => JsonNode): JsonNode[] {
  let next = 0;
  const level = (d: number): JsonNode[] => Array.from({ length: a.dims[d] }, () => (d + 1 < a.dims.length ? level(d + 1) : node(a.elems[next++])));
  return a.dims.length === 0 ? [] : level(0);
}

function innermost(t: SqlType): SqlType {
  return t.kind === 'array' ? innermost(t.elem) : t;
}

/** to_json's text of a datum. */
export function toJsonText(t: SqlType, v: Datum, ctx: EvalContext): string {
  if (v === null) return 'null';
  switch (t.kind) {
    case 'json': case 'jsonb': return String(v);
    case 'float4': case 'float8': case 'int2': case 'int4': case 'int8': case 'numeric': {
      const s = formatDatum(t, v, ctx);
      return /^-?\d/.test(s) ? s : quoteJson(s);
    }
    case 'array': return v instanceof SqlArray ? arrayText(v, (e) => toJsonText(innermost(t), e, ctx)) : 'null';
    default: return compact(toNode(t, v, ctx));
  }
}

function arrayText(a: SqlArray, text: (v: Datum) => string): string {
  let next = 0;
  const level = (d: number): string => `[${Array.from({ length: a.dims[d] }, () => (d + 1 < a.dims.length ? level(d + 1) : text(a.elems[next++]))).join(',')}]`;
  return a.dims.length === 0 ? '[]' : level(0);
}

/** Text of an object key; NULL and containers are refused. */
export function keyText(t: SqlType, v: Datum, ctx: EvalContext, position: number | null): string {
  if (v === null) {
    throw position === null
      ? new SqlError('22023', 'field name must not be null')
      : new SqlError('22023', `argument ${position} cannot be null`, { hint: 'Object keys should be text.' });
  }
  if (t.kind === 'array' || t.kind === 'json' || t.kind === 'jsonb' || t.kind === 'record') throw new SqlError('22023', 'key value must be scalar, not array, composite, or json');
  return formatDatum(t, v, ctx);
}

function evenArguments(args: readonly Datum[], name: string): void {
  if (args.length % 2 !== 0) {
    throw new SqlError('22023', 'argument list must have even number of elements', { hint: `The arguments of ${name}() must consist of alternating keys and values.` });
  }
}

function buildJsonbObject(types: readonly SqlType[]): BoundEvaluate {
  return (ctx, ...args) => {
    evenArguments(args, 'jsonb_build_object');
    const keys: string[] = [];
    const values: JsonNode[] = [];
    for (let i = 0; i < args.length; i += 2) {
      keys.push(keyText(types[i], args[i], ctx, i + 1));
      values.push(toNode(types[i + 1], args[i + 1], ctx));
    }
    return Json.ofNode(JsonObject.canonical(keys, values));
  };
}

function buildJsonObject(types: readonly SqlType[]): BoundEvaluate {
  return (ctx, ...args) => {
    evenArguments(args, 'json_build_object');
    const parts: string[] = [];
    for (let i = 0; i < args.length; i += 2) parts.push(`${quoteJson(keyText(types[i], args[i], ctx, i + 1))} : ${toJsonText(types[i + 1], args[i + 1], ctx)}`);
    return Json.trusted(`{${parts.join(', ')}}`, false);
  };
}

function pathOf(a: SqlArray): string[] | null {
  const out: string[] = [];
  for (const e of a.elems) {
    if (e === null) return null;
    out.push(String(e));
  }
  return out;
}

function extract(j: Json, path: SqlArray): JsonNode | undefined {
  const p = pathOf(path);
  return p === null ? undefined : jsonPath(j.root, p);
}

function notArray(j: Json, what: string): readonly JsonNode[] {
  if (isArray(j.root)) return j.root;
  throw new SqlError('22023', what.replace('%', j.root instanceof JsonObject ? 'non-array' : 'scalar').replace('a non-array', 'a non-array'));
}

/** A scalar jsonb at the root is an array of one to PostgreSQL. */
function elementOf(j: Json, i: number): JsonNode | undefined {
  const { root } = j;
  if (j.binary && !isArray(root) && !(root instanceof JsonObject)) return i === 0 || i === -1 ? root : undefined;
  return jsonElement(root, i);
}

function access(kind: 'json' | 'jsonb'): FunctionDef[] {
  return [
    fn(`->(${kind},text)`, kind, (j: Json, k: string) => wrap(jsonField(j.root, k), j)),
    fn(`->(${kind},int4)`, kind, (j: Json, i: number) => wrap(elementOf(j, i), j)),
    fn(`->>(${kind},text)`, 'text', (j: Json, k: string) => textOf(jsonField(j.root, k), j)),
    fn(`->>(${kind},int4)`, 'text', (j: Json, i: number) => textOf(elementOf(j, i), j)),
    fn(`#>(${kind},text[])`, kind, (j: Json, p: SqlArray) => wrap(extract(j, p), j)),
    fn(`#>>(${kind},text[])`, 'text', (j: Json, p: SqlArray) => textOf(extract(j, p), j)),
    fn(`${kind}_extract_path(${kind},text…)`, kind, (j: Json, ...p: string[]) => wrap(jsonPath(j.root, p), j)),
    fn(`${kind}_extract_path_text(${kind},text…)`, 'text', (j: Json, ...p: string[]) => textOf(jsonPath(j.root, p), j)),
    fn(`${kind}_typeof(${kind})`, 'text', (j: Json) => jsonTypeOf(j.root)),
    fn(`${kind}_array_length(${kind})`, 'int4', (j: Json) => arrayLength(j)),
    fn(`${kind}_strip_nulls(${kind})`, kind, (j: Json) => wrap(stripNulls(j.root), j), { argNames: ['target'] }),
  ];
}

function textOf(n: JsonNode | undefined, like: Json): string | null {
  if (n === undefined || n === null) return null;
  if (typeof n === 'string') return n;
  if (n === like.root) return like.toString();
  return like.binary ? formatJson(n) : compact(n);
}

function arrayLength(j: Json): number {
  if (j.root instanceof JsonObject) throw new SqlError('22023', 'cannot get array length of a non-array');
  return notArray(j, 'cannot get array length of a %').length;
}

function stripNulls(n: JsonNode): JsonNode {
  if (n instanceof JsonObject) {
    const keep = n.keys.map((_, i) => i).filter((i) => n.values[i] !== null);
    return new JsonObject(keep.map((i) => n.keys[i]), keep.map((i) => stripNulls(n.values[i])));
  }
  return isArray(n) ? n.map(stripNulls) : n;
}

function concat(a: Json, b: Json): Json {
  const x = a.root;
  const y = b.root;
  if (x instanceof JsonObject && y instanceof JsonObject) return Json.ofNode(JsonObject.canonical([...x.keys, ...y.keys], [...x.values, ...y.values]));
  const list = (n: JsonNode): readonly JsonNode[] => (isArray(n) ? n : [n]);
  return Json.ofNode([...list(x), ...list(y)]);
}

function deleteKeys(j: Json, keys: readonly string[]): Json {
  const n = j.root;
  if (n instanceof JsonObject) {
    const keep = n.keys.map((_, i) => i).filter((i) => !keys.includes(n.keys[i]));
    return Json.ofNode(new JsonObject(keep.map((i) => n.keys[i]), keep.map((i) => n.values[i])));
  }
  if (!isArray(n)) throw new SqlError('22023', 'cannot delete from scalar');
  return Json.ofNode(n.filter((e) => typeof e !== 'string' || !keys.includes(e)));
}

function deleteIndex(j: Json, index: number): Json {
  const n = j.root;
  if (n instanceof JsonObject) throw new SqlError('22023', 'cannot delete from object using integer index');
  if (!isArray(n)) throw new SqlError('22023', 'cannot delete from scalar');
  const at = index < 0 ? n.length + index : index;
  return Json.ofNode(n.filter((_, i) => i !== at));
}

function stepIndex(step: string, position: number): number {
  if (!/^\s*[+-]?\d+$/.test(step)) throw new SqlError('22P02', `path element at position ${position} is not an integer: "${step}"`);
  return Number(step);
}

function deletePath(n: JsonNode, path: readonly string[], depth = 0): JsonNode {
  const step = path[depth];
  const last = depth === path.length - 1;
  if (n instanceof JsonObject) {
    const i = n.keys.indexOf(step);
    if (i < 0) return n;
    if (last) return new JsonObject(n.keys.filter((_, k) => k !== i), n.values.filter((_, k) => k !== i));
    return new JsonObject(n.keys, n.values.map((v, k) => (k === i ? deletePath(v, path, depth + 1) : v)));
  }
  if (!isArray(n) || n.length === 0) return n;
  const index = stepIndex(step, depth + 1);
  const at = index < 0 ? n.length + index : index;
  if (at < 0 || at >= n.length) return n;
  return last ? n.filter((_, k) => k !== at) : n.map((v, k) => (k === at ? deletePath(v, path, depth + 1) : v));
}

type SetMode = 'set' | 'insert';

interface SetOptions { readonly mode: SetMode; readonly value: JsonNode; readonly create: boolean; readonly after: boolean }

/** jsonb_set and jsonb_insert. */
function setPath(n: JsonNode, path: readonly string[], o: SetOptions, depth = 0): JsonNode {
  const step = path[depth];
  const last = depth === path.length - 1;
  if (n instanceof JsonObject) {
    const i = n.keys.indexOf(step);
    if (!last) return i < 0 ? n : new JsonObject(n.keys, n.values.map((v, k) => (k === i ? setPath(v, path, o, depth + 1) : v)));
    if (i < 0) return o.create || o.mode === 'insert' ? JsonObject.canonical([...n.keys, step], [...n.values, o.value]) : n;
    if (o.mode === 'insert') throw new SqlError('22023', 'cannot replace existing key', { hint: 'Try using the function jsonb_set to replace key value.' });
    return new JsonObject(n.keys, n.values.map((v, k) => (k === i ? o.value : v)));
  }
  if (!isArray(n)) return n;
  const index = stepIndex(step, depth + 1);
  const at = index < 0 ? n.length + index : index;
  if (!last) return at < 0 || at >= n.length ? n : n.map((v, k) => (k === at ? setPath(v, path, o, depth + 1) : v));
  if (o.mode === 'insert') {
    const place = Math.max(0, Math.min(at < 0 ? 0 : at, n.length));
    const p = o.after && at >= 0 && at < n.length ? place + 1 : place;
    return [...n.slice(0, p), o.value, ...n.slice(p)];
  }
  if (at < 0) return o.create ? [o.value, ...n] : n;
  if (at >= n.length) return o.create ? [...n, o.value] : n;
  return n.map((v, k) => (k === at ? o.value : v));
}

function change(j: Json, path: SqlArray, o: SetOptions): Json {
  if (!isArray(j.root) && !(j.root instanceof JsonObject)) throw new SqlError('22023', 'cannot set path in scalar');
  if (isEmpty(j.root) && !o.create) return j;
  const p = path.elems.map((e, i) => {
    if (e === null) throw new SqlError('22004', `path element at position ${i + 1} is null`);
    return String(e);
  });
  return p.length === 0 ? j : Json.ofNode(setPath(j.root, p, o));
}

function isEmpty(n: JsonNode): boolean {
  return isArray(n) ? n.length === 0 : n instanceof JsonObject && n.keys.length === 0;
}

function hasKey(j: Json, key: Datum): boolean {
  const n = j.root;
  if (n instanceof JsonObject) return n.has(String(key));
  return isArray(n) ? n.some((e) => e === key) : n === key;
}

const keysOf = (a: SqlArray): Datum[] => a.elems.filter((e) => e !== null);

function fromTextArray(a: SqlArray): [string, string | null][] {
  if (a.dims.length > 2 || (a.dims.length === 2 && a.dims[1] !== 2)) throw new SqlError('2202E', a.dims.length > 2 ? 'wrong number of array subscripts' : 'array must have two columns');
  if (a.dims.length === 1 && a.elems.length % 2 !== 0) throw new SqlError('2202E', 'array must have even number of elements');
  const out: [string, string | null][] = [];
  for (let i = 0; i < a.elems.length; i += 2) {
    const k = a.elems[i];
    const v = a.elems[i + 1];
    if (k === null) throw new SqlError('22004', 'null value not allowed for object key');
    out.push([String(k), v === null ? null : String(v)]);
  }
  return out;
}

function pairArrays(keys: SqlArray, values: SqlArray): [string, string | null][] {
  if (keys.ndims > 1 || values.ndims > 1) throw new SqlError('2202E', 'wrong number of array subscripts');
  if (keys.elems.length !== values.elems.length) throw new SqlError('2202E', 'mismatched array dimensions');
  return keys.elems.map((k, i) => {
    if (k === null) throw new SqlError('22004', 'null value not allowed for object key');
    const v = values.elems[i];
    return [String(k), v === null ? null : String(v)];
  });
}

const jsonbOf = (pairs: [string, string | null][]): Json => Json.ofNode(JsonObject.canonical(pairs.map((p) => p[0]), pairs.map((p) => p[1])));
const jsonOf = (pairs: [string, string | null][]): Json => Json.trusted(`{${pairs.map(([k, v]) => `${quoteJson(k)} : ${v === null ? 'null' : quoteJson(v)}`).join(', ')}}`, false);

const CHANGE_NAMES = ['jsonb_in', 'path', 'replacement'];

export const jsonFunctions: readonly FunctionDef[] = [
  ...access('json'),
  ...access('jsonb'),
  fn('@>(jsonb,jsonb)', 'bool', (a: Json, b: Json) => jsonContains(a.root, b.root)),
  fn('<@(jsonb,jsonb)', 'bool', (a: Json, b: Json) => jsonContains(b.root, a.root)),
  fn('?(jsonb,text)', 'bool', hasKey),
  fn('?|(jsonb,text[])', 'bool', (j: Json, a: SqlArray) => keysOf(a).some((k) => hasKey(j, k))),
  fn('?&(jsonb,text[])', 'bool', (j: Json, a: SqlArray) => keysOf(a).every((k) => hasKey(j, k))),
  fn('||(jsonb,jsonb)', 'jsonb', concat),
  fn('-(jsonb,text)', 'jsonb', (j: Json, k: string) => deleteKeys(j, [k])),
  fn('-(jsonb,text[])', 'jsonb', (j: Json, a: SqlArray) => {
    if (a.ndims > 1) throw new SqlError('2202E', 'wrong number of array subscripts');
    return deleteKeys(j, keysOf(a).map(String));
  }),
  fn('-(jsonb,int4)', 'jsonb', deleteIndex),
  fn('#-(jsonb,text[])', 'jsonb', (j: Json, a: SqlArray) => {
    if (!isArray(j.root) && !(j.root instanceof JsonObject)) throw new SqlError('22023', 'cannot delete path in scalar');
    return a.elems.length === 0 ? j : Json.ofNode(deletePath(j.root, a.elems.map(String)));
  }),
  fn('jsonb_pretty(jsonb)', 'text', (j: Json) => prettyJson(j.root)),
  fn('jsonb_set(jsonb,text[],jsonb)', 'jsonb', (j: Json, p: SqlArray, v: Json) => change(j, p, { mode: 'set', value: v.root, create: true, after: false }), { argNames: CHANGE_NAMES }),
  fn('jsonb_set(jsonb,text[],jsonb,bool)', 'jsonb', (j: Json, p: SqlArray, v: Json, create: boolean) => change(j, p, { mode: 'set', value: v.root, create, after: false }), { argNames: [...CHANGE_NAMES, 'create_if_missing'] }),
  fn('jsonb_insert(jsonb,text[],jsonb)', 'jsonb', (j: Json, p: SqlArray, v: Json) => change(j, p, { mode: 'insert', value: v.root, create: true, after: false }), { argNames: CHANGE_NAMES }),
  fn('jsonb_insert(jsonb,text[],jsonb,bool)', 'jsonb', (j: Json, p: SqlArray, v: Json, after: boolean) => change(j, p, { mode: 'insert', value: v.root, create: true, after }), { argNames: [...CHANGE_NAMES, 'insert_after'] }),
  boundFn('to_json(anyelement)', 'json', (types) => (ctx, v) => Json.trusted(toJsonText(types[0], v, ctx), false), { volatility: 'stable' }),
  boundFn('to_jsonb(anyelement)', 'jsonb', (types) => (ctx, v) => Json.ofNode(toNode(types[0], v, ctx)), { volatility: 'stable' }),
  boundFn('array_to_json(anyarray)', 'json', (types) => (ctx, v) => Json.trusted(toJsonText(types[0], v, ctx), false), { volatility: 'stable' }),
  boundFn('jsonb_build_object(any…)', 'jsonb', buildJsonbObject, { strict: false, volatility: 'stable' }),
  boundFn('json_build_object(any…)', 'json', buildJsonObject, { strict: false, volatility: 'stable' }),
  boundFn('jsonb_build_array(any…)', 'jsonb', (types) => (ctx, ...args) => Json.ofNode(args.map((v, i) => toNode(types[i], v, ctx))), { strict: false, volatility: 'stable' }),
  boundFn('json_build_array(any…)', 'json', (types) => (ctx, ...args) => Json.trusted(`[${args.map((v, i) => toJsonText(types[i], v, ctx)).join(', ')}]`, false), { strict: false, volatility: 'stable' }),
  fn('jsonb_object(text[])', 'jsonb', (a: SqlArray) => jsonbOf(fromTextArray(a))),
  fn('json_object(text[])', 'json', (a: SqlArray) => jsonOf(fromTextArray(a))),
  fn('jsonb_object(text[],text[])', 'jsonb', (k: SqlArray, v: SqlArray) => jsonbOf(pairArrays(k, v))),
  fn('json_object(text[],text[])', 'json', (k: SqlArray, v: SqlArray) => jsonOf(pairArrays(k, v))),
  fn('jsonb_contains(jsonb,jsonb)', 'bool', (a: Json, b: Json) => jsonContains(a.root, b.root)),
  fn('jsonb_exists(jsonb,text)', 'bool', hasKey),
];

