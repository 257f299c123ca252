/**
 * Window functions in FROM: TUMBLE(t, col, size [, offset]), HOP(t, col, slide, size [, offset]), CUMULATE(t, col, step, size [, offset]) and
 * SESSION(t, col, gap [, partition_by => key]). `t` names a relation, view or CTE. The standard's SESSION(TABLE t PARTITION BY k, DESCRIPTOR(col), gap)
 * arrives here as SESSION(t, ROW(k), col, gap).
 *
 * Over a stream's event time (its WATERMARK column, passed on as it is) late rows are told by the hidden split watermark, which is
 * threaded from the scan to the window; window_start and window_end then say when their window is over. Over any other timestamp no row is late and no window closes.
 */
import type { FuncCall, Node } from 'libpg-query';
import { INTERVAL } from '../../types/sqltype.js';
import { Interval } from '../../types/interval.js';
import { parseDatum } from '../../types/textio.js';
import { coerce } from './coerce.js';
import { bindExpr } from './expr.js';
import { aliased, bindNamed } from './from.js';
import { threadColumn, type ColId, type Rel } from './rel.js';
import { Scope, type Env, type ScopeColumn } from './scope.js';
import { strings, typeWords } from './typename.js';

const USAGE: Readonly<Record<string, string>> = {
  tumble: 'TUMBLE(relation, column, size [, offset])',
  hop: 'HOP(relation, column, slide, size [, offset])',
  cumulate: 'CUMULATE(relation, column, step, size [, offset])',
  session: 'SESSION(relation, column, gap [, partition_by => key])',
};
export const isWindowFunction = (name: string): boolean => Object.hasOwn(USAGE, name);

const US_PER_DAY = 86_400_000_000;
/** Windows one row may be in: size / slide. */
const OVERLAP_MAX = 10_000;

export interface WindowSource { readonly rel: Rel; readonly name: string; readonly columns: readonly ScopeColumn[] }

/** One call of a window function, for its errors. */
interface Call { readonly env: Env; readonly upper: string; readonly usage: string; readonly at: number }

export function bindWindow(env: Env, name: string, call: FuncCall): WindowSource {
  const c: Call = { env, upper: name.toUpperCase(), usage: USAGE[name] ?? '', at: call.location ?? 0 };
  return name === 'session' ? bindSession(c, call.args ?? []) : bindFixed(c, name, call.args ?? []);
}

const wrongArguments = (c: Call, at = c.at) => c.env.ctx.error('42883', `wrong arguments of ${c.upper}`, at, { hint: `Write ${c.usage}.` });

/** TUMBLE, HOP and CUMULATE: windows that do not depend on the rows. */
function bindFixed(c: Call, name: string, args: readonly Node[]): WindowSource {
  const { ctx } = c.env;
  const fixed = name === 'tumble' ? 3 : 4;
  const named = args.find((a) => 'NamedArgExpr' in a);
  if (named !== undefined || args.length < fixed || args.length > fixed + 1) throw wrongArguments(c);
  const [relation, timeColumn, ...rest] = args as [Node, Node, ...Node[]];
  const source = windowInput(c, relation);
  const time = timeOf(c, timeColumn, source);
  const us = rest.map((a) => intervalUs(c, a));
  const [first, second, third] = us;
  const slideUs = first ?? 0;
  const sizeUs = name === 'tumble' ? slideUs : second ?? 0;
  const offsetUs = (name === 'tumble' ? second : third) ?? 0;
  if (sizeUs <= 0 || slideUs <= 0) throw ctx.error('22023', `size and ${name === 'cumulate' ? 'step' : 'slide'} of ${c.upper} must be greater than zero`, c.at);
  if (name === 'cumulate' && sizeUs % slideUs !== 0) throw ctx.error('22023', 'size of CUMULATE must be a multiple of its step', c.at, { hint: "CUMULATE(t, col, INTERVAL '1 hour', INTERVAL '1 day'): the step comes first." });
  if (sizeUs / slideUs > OVERLAP_MAX) throw ctx.error('22023', `${c.upper} would put every row into more than ${OVERLAP_MAX} windows`, c.at);
  const edges = newEdges(c, source, time);
  const rel: Rel = { rel: 'window', input: source.rel, time, start: edges.start, end: edges.end, sizeUs, slideUs, offsetUs, late: edges.late, cumulate: name === 'cumulate' };
  return { rel, name: source.name, columns: [...source.columns, ...edges.columns] };
}

function bindSession(c: Call, args: readonly Node[]): WindowSource {
  const { ctx } = c.env;
  let by: Node | null = null;
  const plain: Node[] = [];
  for (const a of args) {
    if ('NamedArgExpr' in a) {
      const { name, arg, location } = a.NamedArgExpr;
      if (arg !== undefined && name === 'partition_by' && by === null) by = arg;
      else if (arg !== undefined && name === 'gap' && plain.length === 2) plain.push(arg);
      else throw wrongArguments(c, location);
    } else if ('RowExpr' in a && plain.length === 1 && by === null) by = a;
    else plain.push(a);
  }
  const [relation, timeColumn, gap] = plain;
  if (relation === undefined || timeColumn === undefined || gap === undefined || plain.length > 3) throw wrongArguments(c);
  const source = windowInput(c, relation);
  const time = timeOf(c, timeColumn, source);
  const gapUs = intervalUs(c, gap);
  if (gapUs <= 0) throw ctx.error('22023', 'gap of SESSION must be greater than zero', c.at);
  const partition = by === null ? [] : partitionOf(c, by, source);
  const edges = newEdges(c, source, time);
  const rel: Rel = { rel: 'session', input: source.rel, time, start: edges.start, end: edges.end, gapUs, partition, late: edges.late, position: ctx.position(c.at) };
  return { rel, name: source.name, columns: [...source.columns, ...edges.columns] };
}

/** One column, or several as ROW(a, b), (a, b) or ARRAY[a, b]. */
function partitionOf(c: Call, node: Node, source: WindowSource): ColId[] {
  if ('RowExpr' in node) return (node.RowExpr.args ?? []).flatMap((a) => partitionOf(c, a, source)).filter(isFirst);
  if ('A_ArrayExpr' in node) return (node.A_ArrayExpr.elements ?? []).flatMap((a) => partitionOf(c, a, source)).filter(isFirst);
  const value = bindOver(c, node, source);
  if (value.node === 'column') return [value.index];
  throw c.env.ctx.error('0A000', 'an expression in partition_by of SESSION is not supported', c.at, { hint: 'Compute it in a query of its own: WITH q AS (SELECT *, … AS key FROM t) SELECT … FROM SESSION(q, col, gap, partition_by => key).' });
}

const isFirst = (id: ColId, i: number, all: readonly ColId[]): boolean => all.indexOf(id) === i;

interface Edges { readonly start: ColId; readonly end: ColId; readonly late: ColId | null; readonly columns: readonly ScopeColumn[] }

function newEdges(c: Call, source: WindowSource, time: ColId): Edges {
  const { ctx } = c.env;
  const info = ctx.info(time);
  const late = info.rowtime !== null && threadColumn(source.rel, info.rowtime, ctx.info(info.rowtime).type, true) ? info.rowtime : null;
  const start = ctx.newColumn('window_start', info.type).id;
  const end = ctx.newColumn('window_end', info.type).id;
  return { start, end, late, columns: [{ name: 'window_start', id: start }, { name: 'window_end', id: end }] };
}

const windowInput = (c: Call, node: Node): WindowSource => relationArgument(c.env, node, c.upper, c.usage, c.at);

/** The relation that a function of FROM named `upper` is over. */
export function relationArgument(env: Env, node: Node, upper: string, usage: string, at: number): WindowSource {
  const { ctx } = env;
  if ('SubLink' in node) throw ctx.unsupported(`a subquery as the relation of ${upper}`, node.SubLink.location, `Name it with WITH: WITH q AS (SELECT …) SELECT … FROM ${upper}(q, …).`);
  const names = 'ColumnRef' in node ? strings(node.ColumnRef.fields) : [];
  const name = names.at(-1);
  const location = 'ColumnRef' in node ? node.ColumnRef.location ?? 0 : at;
  if (name === undefined || names.length > 2) throw ctx.error('42601', `the first argument of ${upper} must be the name of a relation`, location, { hint: `Write ${usage}.` });
  const source = bindNamed(env, names.length === 2 ? names[0] ?? null : null, name, location);
  return { rel: source.rel, name, columns: aliased(env, source.rel, name, source.columns, undefined).columns };
}

/** An expression over the window's input. */
function bindOver(c: Call, node: Node, source: WindowSource) {
  const scope = new Scope(null, []);
  scope.items = [{ alias: source.name, columns: source.columns, primaryKey: null }];
  scope.columns = [...source.columns];
  return bindExpr({ ...c.env, scope, clause: c.upper, aggregates: null, setCalls: null }, node);
}

function timeOf(c: Call, node: Node, source: WindowSource): ColId {
  const { ctx } = c.env;
  if (!('ColumnRef' in node)) throw ctx.error('42601', `the second argument of ${c.upper} must be the name of a column`, c.at, { hint: `Write ${c.usage}.` });
  const value = bindOver(c, node, source);
  if (value.node !== 'column' || (value.type.kind !== 'timestamp' && value.type.kind !== 'timestamptz')) {
    throw ctx.error('42804', `the time column of ${c.upper} must be a timestamp, not ${typeWords(value.type)}`, node.ColumnRef.location);
  }
  return value.index;
}

function intervalUs(c: Call, node: Node): number {
  const { ctx } = c.env;
  const scope = new Scope(null, []);
  const bound = bindExpr({ ...c.env, scope, clause: c.upper, aggregates: null, setCalls: null }, node);
  const e = bound.type.kind === 'interval' || bound.type.kind === 'unknown' ? coerce(ctx, bound, INTERVAL, 'implicit') : bound;
  const value = e.node === 'literal' && e.type.kind === 'interval' && e.text !== null ? parseDatum(e.type, e.text, ctx.evalContext) : null;
  if (!(value instanceof Interval)) throw ctx.error('42804', `${c.upper === 'SESSION' ? 'the gap' : 'sizes'} of ${c.upper} must be ${c.upper === 'SESSION' ? 'a constant interval' : 'constant intervals'}`, c.at, { hint: "Write INTERVAL '10 seconds'." });
  if (value.months !== 0) throw ctx.unsupported(`a size of ${c.upper} in months or years`, c.at);
  return value.days * US_PER_DAY + Number(value.us);
}
