/** Expressions: raw tree → typed Expr over column ids. One case a node kind; calls and subqueries are in call.ts and sublink.ts. */
import type { A_Const, A_Expr, A_Indirection, BooleanTest, CaseExpr, ColumnRef, Node, ParamRef, SQLValueFunction } from 'libpg-query';
import type { Expr } from '../../types/expr.js';
import { DIMENSIONS_MAX } from '../../types/array.js';
import { arrayOf, BOOL, INT4, INT8, NAME, NUMERIC, sameType, TEXT, TIMESTAMPTZ, UNKNOWN, type SqlType } from '../../types/sqltype.js';
import { bindCall, callFunction } from './call.js';
import { coerce, coerceBoolean, commonType, known, unify } from './coerce.js';
import { conjuncts, literal, located, locationOf, written } from './exprs.js';
import { bindGrouping } from './grouping.js';
import { callOperator, equalityOperator } from './operator.js';
import { findItem, resolveColumn, type Env } from './scope.js';
import { bindSubLink } from './sublink.js';
import { strings, typeFromName, typeWords } from './typename.js';

/** Any type; untyped literals and parameters stay `unknown` for the reader to coerce. */
export function bindExpr(env: Env, node: Node): Expr { return written(bindNode(env, node), 'TypeCast' in node ? 'FuncCall' : Object.keys(node)[0]); }

function bindNode(env: Env, node: Node): Expr {
  const { ctx } = env;
  if ('A_Const' in node) return constant(node.A_Const);
  if ('ColumnRef' in node) return columnRef(env, node.ColumnRef);
  if ('A_Expr' in node) return operation(env, node.A_Expr);
  if ('FuncCall' in node) return bindCall(env, node.FuncCall);
  if ('TypeCast' in node) {
    const { arg, typeName, location } = node.TypeCast;
    if (arg === undefined || typeName === undefined) throw ctx.unsupported('this cast', location);
    const type = typeFromName(ctx, typeName);
    if ('A_ArrayExpr' in arg && type.kind === 'array') return coerce(ctx, arrayExpr(env, arg.A_ArrayExpr.elements ?? [], arg.A_ArrayExpr.location, type.elem), type, 'explicit', location);
    const value = bindExpr(env, arg);
    const literalAt = value.node === 'literal' ? locationOf(value) : undefined;
    return located(coerce(ctx, value, type, 'explicit', literalAt ?? ((location ?? 0) < 0 ? typeName.location : location)), (location ?? 0) < 0 ? locationOf(value) : location);
  }
  if ('BoolExpr' in node) {
    const { boolop, args = [], location } = node.BoolExpr;
    const word = boolop === 'AND_EXPR' ? 'AND' : boolop === 'OR_EXPR' ? 'OR' : 'NOT';
    const bound = args.map((a) => coerceBoolean(ctx, bindExpr(env, a), word));
    const first = bound[0];
    if (word === 'NOT' && first !== undefined) return located({ node: 'not', arg: first, type: BOOL }, location);
    const op = word === 'AND' ? 'and' as const : 'or' as const;
    return located({ node: op, args: bound.flatMap((b) => (b.node === op ? b.args : [b])), type: BOOL }, location);
  }
  if ('NullTest' in node) {
    const { arg, nulltesttype, location } = node.NullTest;
    const isnull: Expr = { node: 'isnull', arg: known(ctx, bindExpr(env, required(arg))), type: BOOL };
    return located(nulltesttype === 'IS_NULL' ? isnull : { node: 'not', arg: isnull, type: BOOL }, location);
  }
  if ('BooleanTest' in node) return booleanTest(env, node.BooleanTest);
  if ('CaseExpr' in node) return caseExpr(withoutSets(env, 'CASE'), node.CaseExpr);
  if ('CoalesceExpr' in node) {
    const { args = [], location } = node.CoalesceExpr;
    const inside = withoutSets(env, 'COALESCE');
    const { exprs, type } = unify(ctx, args.map((a) => bindExpr(inside, a)), 'COALESCE');
    const first = exprs[0];
    return located(exprs.length === 1 && first !== undefined ? first : { node: 'coalesce', args: exprs, type }, location);
  }
  if ('MinMaxExpr' in node) {
    const { op, args = [], location } = node.MinMaxExpr;
    const name = op === 'IS_LEAST' ? 'least' : 'greatest';
    return callFunction(env, [name], args.map((a) => bindExpr(env, a)), location);
  }
  if ('A_ArrayExpr' in node) return arrayExpr(env, node.A_ArrayExpr.elements ?? [], node.A_ArrayExpr.location, null);
  if ('A_Indirection' in node) return indirection(env, node.A_Indirection);
  if ('GroupingFunc' in node) return bindGrouping(env, node.GroupingFunc);
  if ('SubLink' in node) return bindSubLink(env, node.SubLink);
  if ('ParamRef' in node) return paramRef(env, node.ParamRef);
  if ('SQLValueFunction' in node) return sqlValue(env, node.SQLValueFunction);
  if ('CollateClause' in node) {
    const { arg, collname, location } = node.CollateClause;
    const name = strings(collname).join('.');
    const value = known(ctx, bindExpr(env, required(arg)));
    if (!['C', 'POSIX', 'default', 'ucs_basic', 'pg_catalog.C', 'pg_catalog.POSIX', 'pg_catalog.default'].includes(name)) throw ctx.unsupported(`collation "${name}"`, location, 'All text is compared in collation "C".');
    return value;
  }
  throw unsupportedNode(env, node);
}

function unsupportedNode(env: Env, node: Node) {
  const kind = Object.keys(node)[0] ?? '';
  const inner = (node as unknown as Record<string, { location?: number } | undefined>)[kind];
  const names: Readonly<Record<string, string>> = {
    RowExpr: 'a row constructor', XmlExpr: 'XML', XmlSerialize: 'XML', CurrentOfExpr: 'WHERE CURRENT OF', SetToDefault: 'DEFAULT in this place', NamedArgExpr: 'a named argument',
    JsonFuncExpr: 'the SQL/JSON query functions', JsonObjectConstructor: 'JSON_OBJECT', JsonArrayConstructor: 'JSON_ARRAY', JsonObjectAgg: 'JSON_OBJECTAGG', JsonArrayAgg: 'JSON_ARRAYAGG',
    JsonIsPredicate: 'IS JSON', JsonParseExpr: 'JSON()', JsonScalarExpr: 'JSON_SCALAR', JsonSerializeExpr: 'JSON_SERIALIZE', MergeSupportFunc: 'MERGE',
  };
  return env.ctx.unsupported(names[kind] ?? kind, inner?.location);
}

export function required<T>(node: T | undefined): T {
  if (node === undefined) throw new Error('internal error: incomplete parse tree');
  return node;
}

const INT8_LIMIT = 9223372036854775807n;

function constant(c: A_Const): Expr {
  const at = c.location ?? 0;
  if (c.isnull === true) return located(literal(null, UNKNOWN), at);
  if (c.ival !== undefined) return located(literal(String(c.ival.ival ?? 0), INT4), at);
  if (c.boolval !== undefined) return located(literal(c.boolval.boolval === true ? 't' : 'f', BOOL), at);
  if (c.fval !== undefined) {
    const text = (c.fval.fval ?? '').replace(/_/g, '');
    if (/^-?(0[xob][0-9a-f]+|\d+)$/i.test(text)) {
      const digits = BigInt(text.replace('-', ''));
      const value = text.startsWith('-') ? -digits : digits;
      return located(literal(String(value), value <= INT8_LIMIT && value >= -INT8_LIMIT - 1n ? INT8 : NUMERIC), at);
    }
    return located(foldedNumeric(text), at);
  }
  if (c.bsval !== undefined) return located(literal(c.bsval.bsval ?? '', { kind: 'unknown' }), at);
  return located(literal(c.sval?.sval ?? '', UNKNOWN), at);
}

/** 1e10 and .5 in numeric's own notation. */
function foldedNumeric(text: string): Expr {
  const m = /^(-?)(\d*)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text);
  if (m === null || m[4] === undefined) return literal(text.replace(/^(-?)\./, '$10.').replace(/\.$/, ''), NUMERIC);
  const exponent = Number(m[4]);
  if (Math.abs(exponent) > 1000) return literal(text, NUMERIC);
  const digits = `${m[2] ?? ''}${m[3] ?? ''}`;
  const point = (m[2] ?? '').length + exponent;
  const padded = point <= 0 ? '0'.repeat(1 - point) + digits : digits.padEnd(point, '0');
  const at = point <= 0 ? 1 : point;
  const whole = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const fraction = padded.slice(at);
  return literal(`${m[1] ?? ''}${whole}${fraction === '' ? '' : `.${fraction}`}`, NUMERIC);
}

function columnRef(env: Env, ref: ColumnRef): Expr {
  const fields = ref.fields ?? [];
  const at = ref.location ?? 0;
  if (fields.some((f) => 'A_Star' in f)) throw env.ctx.unsupported('a row expression', at);
  const names = strings(fields);
  if (names.length === 1) {
    const name = names[0] ?? '';
    try {
      return resolveColumn(env, null, name, at);
    } catch (e) {
      if (findItem(env, name) !== null && isMissing(e)) throw env.ctx.unsupported('a whole-row reference', at);
      throw e;
    }
  }
  if (names.length > 3) throw env.ctx.unsupported('a qualified field reference', at);
  return resolveColumn(env, names[names.length - 2] ?? '', names[names.length - 1] ?? '', at);
}

const isMissing = (e: unknown): boolean => (e as { code?: unknown }).code === '42703';

function paramRef(env: Env, p: ParamRef): Expr {
  const index = (p.number ?? 0) - 1;
  if (index < 0) throw env.ctx.error('42P02', `there is no parameter $${p.number ?? 0}`, p.location);
  while (env.ctx.params.length <= index) env.ctx.params.push(null);
  env.ctx.paramLocations[index] ??= p.location ?? 0;
  return located({ node: 'param', index, type: env.ctx.paramType(index) ?? UNKNOWN }, p.location ?? 0);
}

function operation(env: Env, e: A_Expr): Expr {
  const { ctx } = env;
  const at = e.location ?? 0;
  const names = strings(e.name);
  const name = names.at(-1) ?? '';
  if (names.length > 1 && names[0] !== 'pg_catalog') throw ctx.error('42883', `operator does not exist: ${names.join('.')}`, at);
  switch (e.kind) {
    case 'AEXPR_OP': case 'AEXPR_LIKE': case 'AEXPR_ILIKE': case 'AEXPR_SIMILAR': {
      if (e.lexpr !== undefined && 'RowExpr' in e.lexpr && e.rexpr !== undefined && 'RowExpr' in e.rexpr) return rowComparison(env, name, e.lexpr.RowExpr.args ?? [], e.rexpr.RowExpr.args ?? [], at);
      const args = [e.lexpr, e.rexpr].filter((x) => x !== undefined).map((x) => bindExpr(env, x));
      return callOperator(env, name, args, at);
    }
    case 'AEXPR_OP_ANY': case 'AEXPR_OP_ALL': return anyAll(env, name, e.kind === 'AEXPR_OP_ALL', bindExpr(env, required(e.lexpr)), bindExpr(env, required(e.rexpr)), at);
    case 'AEXPR_DISTINCT': case 'AEXPR_NOT_DISTINCT': {
      const d = distinct(env, bindExpr(env, required(e.lexpr)), bindExpr(env, required(e.rexpr)), at);
      return located(e.kind === 'AEXPR_DISTINCT' ? d : { node: 'not', arg: d, type: BOOL }, at);
    }
    case 'AEXPR_NULLIF': {
      const left = bindExpr(env, required(e.lexpr));
      const right = bindExpr(env, required(e.rexpr));
      const when = callOperator(env, '=', [left, right], at);
      const value = known(ctx, left);
      return located({ node: 'case', whens: [{ when, then: literal(null, value.type) }], otherwise: value, type: value.type }, at);
    }
    case 'AEXPR_IN': return inList(env, e, name === '<>', at);
    case 'AEXPR_BETWEEN': case 'AEXPR_NOT_BETWEEN': case 'AEXPR_BETWEEN_SYM': case 'AEXPR_NOT_BETWEEN_SYM': {
      const bounds = e.rexpr !== undefined && 'List' in e.rexpr ? e.rexpr.List.items ?? [] : [];
      const arg = bindExpr(env, required(e.lexpr));
      const low = bindExpr(env, required(bounds[0]));
      const high = bindExpr(env, required(bounds[1]));
      const not = e.kind.startsWith('AEXPR_NOT');
      const within = (a: Expr, b: Expr): Expr => not
        ? { node: 'or', args: [callOperator(env, '<', [arg, a], at), callOperator(env, '>', [arg, b], at)], type: BOOL }
        : { node: 'and', args: [callOperator(env, '>=', [arg, a], at), callOperator(env, '<=', [arg, b], at)], type: BOOL };
      if (!e.kind.endsWith('SYM')) return located(within(low, high), at);
      return located({ node: not ? 'and' : 'or', args: [within(low, high), within(high, low)], type: BOOL }, at);
    }
    default: throw ctx.unsupported(`operator form ${e.kind ?? ''}`, at);
  }
}

/** (a, b) = (c, d) and <> compare by fields; <, <=, > and >= by the first fields that differ: a < c OR (a = c AND b < d). */
function rowComparison(env: Env, name: string, left: readonly Node[], right: readonly Node[], at: number): Expr {
  if (left.length !== right.length) throw env.ctx.error('42601', 'unequal number of entries in row expressions', at);
  if (!ROW_COMPARISONS.has(name)) throw env.ctx.unsupported(`comparing rows with ${name}`, at);
  const pairs = left.map((l, i): [Expr, Expr] => [bindExpr(env, l), bindExpr(env, required(right[i]))]);
  const compare = (op: string, pair: [Expr, Expr]): Expr => callOperator(env, op, pair, at);
  if (name === '=' || name === '<>') return located({ node: name === '=' ? 'and' : 'or', args: pairs.map((p) => compare(name, p)), type: BOOL }, at);
  const strict = name.charAt(0);
  return located(pairs.slice(0, -1).reduceRight<Expr>(
    (rest, p) => ({ node: 'or', args: [compare(strict, p), { node: 'and', args: [compare('=', p), rest], type: BOOL }], type: BOOL }),
    compare(name, required(pairs.at(-1)))), at);
}

const ROW_COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);

export function distinct(env: Env, left: Expr, right: Expr, at: number): Expr {
  const { exprs, type } = unify(env.ctx, [left, right], 'IS DISTINCT FROM');
  const [l, r] = exprs as [Expr, Expr];
  return located({ node: 'distinct', left: l, right: r, equal: equalityOperator(env, type, at), type: BOOL }, at);
}

function inList(env: Env, e: A_Expr, not: boolean, at: number): Expr {
  const items = e.rexpr !== undefined && 'List' in e.rexpr ? e.rexpr.List.items ?? [] : [];
  const negate = (x: Expr): Expr => located(not ? { node: 'not', arg: x, type: BOOL } : x, at);
  if (e.lexpr !== undefined && 'RowExpr' in e.lexpr) {
    const left = e.lexpr.RowExpr.args ?? [];
    const args = items.map((i) => rowComparison(env, '=', left, 'RowExpr' in i ? i.RowExpr.args ?? [] : [i], at));
    const first = args[0];
    return negate(args.length === 1 && first !== undefined ? first : { node: 'or', args, type: BOOL });
  }
  const bound = [bindExpr(env, required(e.lexpr)), ...items.map((i) => bindExpr(env, i))];
  const { exprs, type } = unifyForIn(env, bound, at);
  const [arg, ...list] = exprs as [Expr, ...Expr[]];
  const single = list[0];
  if (list.length === 1 && single !== undefined) return negate(callOperator(env, '=', [arg, single], at));
  return negate({ node: 'in', arg, list, equal: equalityOperator(env, type, at), type: BOOL });
}

/** IN over types without a common one is x = a OR x = b in Postgres: its error is the operator's. */
function unifyForIn(env: Env, bound: readonly Expr[], at: number): { exprs: Expr[]; type: SqlType } {
  const first = bound[0] as Expr;
  try {
    return unify(env.ctx, bound, 'IN');
  } catch {
    for (const b of bound.slice(1)) callOperator(env, '=', [first, b], at);
    throw env.ctx.error('42883', `operator does not exist: ${typeWords(first.type)} = record`, at);
  }
}

function anyAll(env: Env, name: string, all: boolean, left: Expr, right: Expr, at: number): Expr {
  const { ctx } = env;
  let array = right;
  if (array.type.kind === 'unknown') array = coerce(ctx, array, arrayOf(left.type.kind === 'unknown' ? TEXT : left.type), 'implicit');
  if (array.type.kind !== 'array') throw ctx.error('42809', `op ${all ? 'ANY/ALL' : 'ANY/ALL'} (array) requires array on right side`, at);
  const probe: Expr = { node: 'column', index: -1, type: array.type.elem };
  const call = callOperator(env, name, [left, probe], at);
  const inner = call.node === 'call' ? call : null;
  const [l, r] = inner?.args ?? [];
  if (inner === null || l === undefined || r === undefined || call.type.kind !== 'bool') throw ctx.error('42809', 'op ANY/ALL (array) requires operator to yield boolean', at);
  if (!sameType(r.type, array.type.elem)) array = coerce(ctx, array, arrayOf(r.type), 'implicit');
  return located({ node: 'anyall', all, fn: inner.fn, left: l, right: array, type: BOOL }, at);
}

function booleanTest(env: Env, t: BooleanTest): Expr {
  const word = (t.booltesttype ?? 'IS_TRUE').replace(/_/g, ' ');
  const arg = coerceBoolean(env.ctx, bindExpr(env, required(t.arg)), word);
  const not = (arg: Expr): Expr => ({ node: 'not', arg, type: BOOL });
  const isnull: Expr = { node: 'isnull', arg, type: BOOL };
  const otherwise = (arg: Expr, value: string): Expr => ({ node: 'coalesce', args: [arg, literal(value, BOOL)], type: BOOL });
  switch (t.booltesttype) {
    case 'IS_NOT_TRUE': return located(not(otherwise(arg, 'f')), t.location);
    case 'IS_FALSE': return located(not(otherwise(arg, 't')), t.location);
    case 'IS_NOT_FALSE': return located(otherwise(arg, 't'), t.location);
    case 'IS_UNKNOWN': return located(isnull, t.location);
    case 'IS_NOT_UNKNOWN': return located(not(isnull), t.location);
    default: return located(otherwise(arg, 'f'), t.location);
  }
}

const withoutSets = (env: Env, word: string): Env => (env.setsRefused === undefined && env.setCalls !== null ? { ...env, setsRefused: `set-returning functions are not allowed in ${word}` } : env);

function caseExpr(env: Env, c: CaseExpr): Expr {
  const { ctx } = env;
  const subject = c.arg === undefined ? null : known(ctx, bindExpr(env, c.arg));
  const whens: Expr[] = [];
  const results: Expr[] = [];
  for (const w of c.args ?? []) {
    if (!('CaseWhen' in w)) continue;
    const when = bindExpr(env, required(w.CaseWhen.expr));
    whens.push(subject === null ? coerceBoolean(ctx, when, 'CASE/WHEN') : callOperator(env, '=', [subject, when], w.CaseWhen.location ?? 0));
    results.push(bindExpr(env, required(w.CaseWhen.result)));
  }
  const otherwise = c.defresult === undefined ? null : bindExpr(env, c.defresult);
  // Postgres lets ELSE speak first for the common type.
  const type = commonType(ctx, otherwise === null ? results : [otherwise, ...results], 'CASE');
  const done = results.map((r) => coerce(ctx, r, type, 'implicit'));
  return located({
    node: 'case', whens: whens.map((when, i) => ({ when, then: done[i] as Expr })), otherwise: otherwise === null ? null : coerce(ctx, otherwise, type, 'implicit'), type,
  }, c.location);
}

function arrayExpr(env: Env, elements: readonly Node[], at: number | undefined, wanted: SqlType | null): Expr {
  const { ctx } = env;
  if (elements.length === 0) {
    if (wanted === null) throw ctx.error('42P18', 'cannot determine type of empty array', at, { hint: 'Explicitly cast to the desired type, for example ARRAY[]::integer[].' });
    return located({ node: 'array', elems: [], type: arrayOf(wanted) }, at);
  }
  const bound = elements.map((e) => ('A_ArrayExpr' in e ? arrayExpr(env, e.A_ArrayExpr.elements ?? [], e.A_ArrayExpr.location, wanted) : bindExpr(env, e)));
  if (wanted !== null && !bound.some((b) => b.type.kind === 'array')) {
    const elems = bound.map((b) => coerce(ctx, b, wanted, 'explicit'));
    return located({ node: 'array', elems, type: arrayOf(wanted) }, at);
  }
  const { exprs, type } = unify(ctx, bound, 'ARRAY');
  return located({ node: 'array', elems: exprs, type: type.kind === 'array' ? type : arrayOf(type) }, at);
}

/** a[i], a[i:j]: calls of 'array_subscript' and 'array_slice'; a jsonb subscript is ->. */
function indirection(env: Env, node: A_Indirection): Expr {
  const { ctx } = env;
  let value = known(ctx, bindExpr(env, required(node.arg)));
  const at = locationOf(value);
  const steps = node.indirection ?? [];
  const indices = steps.filter((s) => 'A_Indices' in s).map((s) => s.A_Indices);
  if (indices.length !== steps.length) throw ctx.unsupported('selecting a field of a composite value', at);
  const index = (n: Node | undefined): Expr => (n === undefined ? literal(null, INT4) : coerce(ctx, bindExpr(env, n), INT4, 'assignment'));
  if (value.type.kind === 'jsonb') {
    for (const i of indices) {
      if (i.is_slice === true) throw ctx.error('42804', 'jsonb subscript does not support slices', at);
      value = callOperator(env, '->', [value, bindExpr(env, required(i.uidx))], at ?? 0);
    }
    return value;
  }
  if (value.type.kind !== 'array') throw ctx.error('42804', `cannot subscript type ${typeWords(value.type)} because it does not support subscripting`, at);
  if (indices.length > DIMENSIONS_MAX) throw ctx.error('54000', `number of array dimensions (${indices.length}) exceeds the maximum allowed (${DIMENSIONS_MAX})`, at);
  if (indices.some((i) => i.is_slice === true)) {
    const bounds = indices.flatMap((i) => (i.is_slice === true ? [index(i.lidx), index(i.uidx)] : [literal('1', INT4), index(i.uidx)]));
    const slice = callFunction(env, ['array_slice'], [value, ...bounds], at);
    // For the function a NULL bound is an open one; a bound that was written and is NULL makes the slice NULL.
    const written = indices.flatMap((i) => [i.lidx, i.uidx]).flatMap((n) => (n === undefined ? [] : [index(n)])).filter((b) => b.node !== 'literal' || b.text === null);
    if (written.length === 0) return slice;
    const isnull: Expr[] = written.map((arg) => ({ node: 'isnull', arg, type: BOOL }));
    return { node: 'case', whens: [{ when: { node: 'or', args: isnull, type: BOOL }, then: literal(null, slice.type) }], otherwise: slice, type: slice.type };
  }
  return callFunction(env, ['array_subscript'], [value, ...indices.map((i) => index(i.uidx))], at);
}

function sqlValue(env: Env, f: SQLValueFunction): Expr {
  const { ctx } = env;
  const at = f.location ?? 0;
  const cast = (e: Expr, type: SqlType): Expr => coerce(ctx, e, type, 'explicit', at);
  const withPrecision = (kind: 'time' | 'timestamp' | 'timestamptz', e: Expr): Expr => (f.typmod !== undefined && f.typmod >= 0 ? cast(e, { kind, mod: f.typmod }) : e);
  const now = (): Expr => callFunction(env, ['now'], [], at);
  switch (f.op) {
    case 'SVFOP_CURRENT_DATE': return cast(now(), { kind: 'date' });
    case 'SVFOP_CURRENT_TIMESTAMP': case 'SVFOP_CURRENT_TIMESTAMP_N': return f.op.endsWith('N') ? withPrecision('timestamptz', now()) : coerce(ctx, now(), TIMESTAMPTZ, 'implicit');
    case 'SVFOP_LOCALTIMESTAMP': case 'SVFOP_LOCALTIMESTAMP_N': return withPrecision('timestamp', cast(now(), { kind: 'timestamp' }));
    case 'SVFOP_LOCALTIME': case 'SVFOP_LOCALTIME_N': return withPrecision('time', cast(now(), { kind: 'time' }));
    case 'SVFOP_CURRENT_TIME': case 'SVFOP_CURRENT_TIME_N': throw ctx.unsupported('type time with time zone', at, 'Use LOCALTIME.');
    case 'SVFOP_CURRENT_CATALOG': return callFunction(env, ['current_database'], [], at);
    case 'SVFOP_CURRENT_SCHEMA': return callFunction(env, ['current_schema'], [], at);
    case 'SVFOP_SESSION_USER': return callFunction(env, ['session_user'], [], at);
    default: return coerce(ctx, callFunction(env, ['current_user'], [], at), NAME, 'implicit');
  }
}

/** A condition as its AND-ed parts. */
export function bindCondition(env: Env, node: Node | undefined): Expr[] {
  if (node === undefined) return [];
  return [...conjuncts(coerceBoolean(env.ctx, bindExpr(env, node), env.clause))];
}
