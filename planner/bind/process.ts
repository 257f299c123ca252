/**
 * Own functions in FROM: name(relation, arguments …, partition_by => key [, on_time => column]). `relation` names a relation, view or CTE. The standard's form
 * name(TABLE t PARTITION BY k, …) arrives here as name(t, +k, …) or name(t, ROW (a, b), …).
 *
 * Arguments are constants, checked against the function's parameters. Without `on_time`, the event time of the relation is the rows' time.
 */
import type { FuncCall, Node } from 'libpg-query';
import type { Arguments, Parameter, TableFunctionDefinition } from '../../runtime/functions/api.js';
import { fieldsOf } from '../../runtime/functions/rowvalues.js';
import { SqlError } from '../../types/error.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import { Interval } from '../../types/interval.js';
import { Numeric } from '../../types/numeric.js';
import { BOOL, FLOAT8, INT8, INTERVAL, TEXT, type SqlType } from '../../types/sqltype.js';
import { formatDatum, parseDatum } from '../../types/textio.js';
import { typeByName } from '../../types/typeinfo.js';
import { parseTypeName } from '../parse/parser.js';
import { coerce } from './coerce.js';
import { resolveType } from './column.js';
import { bindExpr } from './expr.js';
import type { ColId, Rel } from './rel.js';
import { Scope, type Env, type ScopeColumn } from './scope.js';
import { strings, typeWords } from './typename.js';
import { relationArgument, type WindowSource } from './window.js';

const US_PER_DAY = 86_400_000_000;
const TYPES: Readonly<Record<Parameter['kind'], SqlType>> = { text: TEXT, number: FLOAT8, integer: INT8, boolean: BOOL, interval: INTERVAL };

export function ownFunction(env: Env, call: FuncCall | null): TableFunctionDefinition | null {
  const name = call === null ? undefined : strings(call.funcname).at(-1);
  return name === undefined ? null : env.ctx.catalog.tableFunction?.(name) ?? null;
}

function usage(f: TableFunctionDefinition): string {
  return `${f.name}(relation${(f.parameters ?? []).map((p) => (p.default === undefined ? `, ${p.name}` : ` [, ${p.name}]`)).join('')} [, partition_by => key] [, on_time => column])`;
}

export function bindProcess(env: Env, f: TableFunctionDefinition, call: FuncCall): { readonly rel: Rel; readonly columns: readonly ScopeColumn[] } {
  const { ctx } = env;
  const at = call.location ?? 0;
  const wrong = (what: string, where = at) => ctx.error('42883', `wrong arguments of function ${f.name}: ${what}`, where, { hint: `Write ${usage(f)}.` });
  const [relation, ...rest] = call.args ?? [];
  if (relation === undefined) throw wrong('the relation is missing');
  const source = relationArgument(env, relation, f.name, usage(f), at);
  const given = new Map<string, Node>();
  const parameters = f.parameters ?? [];
  let place = 0;
  for (const [k, a] of rest.entries()) {
    const named = 'NamedArgExpr' in a ? a.NamedArgExpr : null;
    const value = named === null ? a : named.arg;
    const name = named === null ? (k === 0 && isPartition(a) ? 'partition_by' : parameters[place++]?.name) : named.name;
    if (name === undefined || value === undefined) throw wrong(`there are ${parameters.length} after the relation`, locationOf(a, at));
    if (name !== 'partition_by' && name !== 'on_time' && !parameters.some((p) => p.name === name)) throw wrong(`it has none named "${name}"`, named?.location ?? at);
    if (given.has(name)) throw wrong(`"${name}" is given twice`, named?.location ?? at);
    given.set(name, value);
  }
  const byNode = given.get('partition_by');
  const partition = byNode === undefined ? [] : partitionOf(env, f, byNode, source, at);
  const timeNode = given.get('on_time');
  const time = timeNode === undefined ? source.columns.find((c) => ctx.info(c.id).rowtime !== null)?.id ?? null : timeOf(env, f, timeNode, source, at);
  const args: Record<string, string | number | boolean | null> = {};
  for (const p of parameters) {
    const node = given.get(p.name);
    if (node === undefined && p.default === undefined) throw wrong(`"${p.name}" is missing`);
    args[p.name] = node === undefined ? p.default ?? null : constant(env, f, p, node, at);
  }
  const names = source.columns.map((c) => c.name);
  const twice = names.find((n, k) => names.indexOf(n) !== k);
  if (twice !== undefined) throw ctx.error('42702', `column "${twice}" appears more than once in the relation of function ${f.name}`, at, { hint: 'Name the columns in a query of its own: WITH q AS (SELECT … AS a, … AS b FROM t).' });
  const seen = source.columns.map((c) => ({ name: c.name, type: ctx.info(c.id).type }));
  const columns = columnsOf(env, f, seen, args, at).map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
  const rel: Rel = { rel: 'process', input: source.rel, fn: f.name, args, seen: source.columns.map((c) => c.id), partition, time, cols: columns.map((c) => c.id), position: ctx.position(at) };
  return { rel, columns };
}

function columnsOf(env: Env, f: TableFunctionDefinition, input: readonly { readonly name: string; readonly type: SqlType }[], args: Arguments, at: number): { readonly name: string; readonly type: SqlType }[] {
  const { ctx } = env;
  try {
    const columns = f.columns(fieldsOf(input), args).map((c) => ({ name: c.name, type: typeByName([c.type]) ?? resolveType(parseTypeName(c.type)) }));
    if (columns.length === 0 || new Set(columns.map((c) => c.name)).size !== columns.length) throw new Error('it must have columns, of different names');
    return columns;
  } catch (e) {
    throw ctx.error(e instanceof SqlError ? e.code : '22023', `function ${f.name}: ${e instanceof Error ? e.message : String(e)}`, at, e instanceof SqlError && e.hint !== undefined ? { hint: e.hint } : {});
  }
}

/** Arguments are constants: a row, or + with a column, is what PARTITION BY became. */
function isPartition(node: Node): boolean {
  return 'RowExpr' in node || ('A_Expr' in node && node.A_Expr.lexpr === undefined && node.A_Expr.rexpr !== undefined && 'ColumnRef' in node.A_Expr.rexpr);
}

function locationOf(node: Node, otherwise: number): number {
  const [inner] = Object.values(node) as { readonly location?: number }[];
  return inner?.location ?? otherwise;
}

/** An expression over the relation's columns. */
function bindOver(env: Env, f: TableFunctionDefinition, node: Node, source: WindowSource | null) {
  const scope = new Scope(null, []);
  if (source !== null) {
    scope.items = [{ alias: source.name, columns: source.columns, primaryKey: null }];
    scope.columns = [...source.columns];
  }
  return bindExpr({ ...env, scope, clause: f.name.toUpperCase(), aggregates: null, setCalls: null }, node);
}

/** One column, or several as ROW(a, b), (a, b) or ARRAY[a, b]. */
function partitionOf(env: Env, f: TableFunctionDefinition, node: Node, source: WindowSource, at: number): ColId[] {
  const { ctx } = env;
  if (isPartition(node) && 'A_Expr' in node && node.A_Expr.rexpr !== undefined) return partitionOf(env, f, node.A_Expr.rexpr, source, at);
  const all = 'RowExpr' in node ? node.RowExpr.args ?? [] : 'A_ArrayExpr' in node ? node.A_ArrayExpr.elements ?? [] : null;
  if (all !== null) return all.flatMap((a) => partitionOf(env, f, a, source, at)).filter((id, k, ids) => ids.indexOf(id) === k);
  const value = bindOver(env, f, node, source);
  if (value.node !== 'column') throw ctx.unsupported(`an expression in partition_by of function ${f.name}`, locationOf(node, at), `Compute it in a query of its own: WITH q AS (SELECT *, … AS key FROM t) SELECT … FROM ${f.name}(q, …, partition_by => key).`);
  if (!equalityIsIdentity(value.type)) throw ctx.unsupported(`partition_by of function ${f.name} with a column of type ${typeWords(value.type)}`, locationOf(node, at), 'Cast it to text in a query of its own.');
  return [value.index];
}

function timeOf(env: Env, f: TableFunctionDefinition, node: Node, source: WindowSource, at: number): ColId {
  const value = bindOver(env, f, node, source);
  if (value.node !== 'column' || (value.type.kind !== 'timestamp' && value.type.kind !== 'timestamptz')) {
    throw env.ctx.error('42804', `the time of function ${f.name} must be a timestamp column`, locationOf(node, at));
  }
  return value.index;
}

function constant(env: Env, f: TableFunctionDefinition, p: Parameter, node: Node, at: number): string | number | boolean | null {
  const { ctx } = env;
  const e = coerce(ctx, bindOver(env, f, node, null), TYPES[p.kind], 'assignment');
  // Casts and signs of literals are folded already where they are constant.
  if (e.node !== 'literal') throw ctx.error('42804', `argument "${p.name}" of function ${f.name} must be a constant`, locationOf(node, at));
  if (e.text === null) return null;
  const value = parseDatum(e.type, e.text, ctx.evalContext);
  if (value instanceof Interval) {
    if (value.months !== 0) throw ctx.unsupported(`argument "${p.name}" of function ${f.name} in months or years`, locationOf(node, at));
    return value.days * US_PER_DAY + Number(value.us);
  }
  if (typeof value === 'boolean' || typeof value === 'string' || typeof value === 'number') return value;
  return value instanceof Numeric ? Number(formatDatum(e.type, value)) : formatDatum(e.type, value);
}
