/**
 * Window functions in FROM: TUMBLE(t, col, size [, offset]) and HOP(t, col, slide, size [, offset]). `t` names a relation, view or CTE.
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
import { threadColumn, type Rel } from './rel.js';
import { Scope, type Env, type ScopeColumn } from './scope.js';
import { strings, typeWords } from './typename.js';

const WINDOWS = new Set(['tumble', 'hop', 'session', 'cumulate']);
export const isWindowFunction = (name: string): boolean => WINDOWS.has(name);

const US_PER_DAY = 86_400_000_000;
/** Windows one row may be in: size / slide. */
const OVERLAP_MAX = 10_000;

export interface WindowSource { readonly rel: Rel; readonly name: string; readonly columns: readonly ScopeColumn[] }

export function bindWindow(env: Env, name: string, call: FuncCall): WindowSource {
  const { ctx } = env;
  const at = call.location ?? 0;
  const upper = name.toUpperCase();
  if (name === 'session' || name === 'cumulate') throw ctx.unsupported(`window function ${upper}`, at, 'TUMBLE and HOP are.');
  const usage = name === 'tumble' ? 'TUMBLE(relation, column, size [, offset])' : 'HOP(relation, column, slide, size [, offset])';
  const args = call.args ?? [];
  const fixed = name === 'tumble' ? 3 : 4;
  const named = args.find((a) => 'NamedArgExpr' in a);
  if (named !== undefined || args.length < fixed || args.length > fixed + 1) throw ctx.error('42883', `wrong arguments of ${upper}`, at, { hint: `Write ${usage}.` });
  const [relation, timeColumn, ...rest] = args as [Node, Node, ...Node[]];
  const source = windowInput(env, relation, upper, usage);
  const time = timeOf(env, timeColumn, source, upper, usage);
  const us = rest.map((a) => intervalUs(env, a, upper));
  const [first, second, third] = us;
  const slideUs = first ?? 0;
  const sizeUs = name === 'tumble' ? slideUs : second ?? 0;
  const offsetUs = (name === 'tumble' ? second : third) ?? 0;
  if (sizeUs <= 0 || slideUs <= 0) throw ctx.error('22023', `size and slide of ${upper} must be greater than zero`, at);
  if (sizeUs / slideUs > OVERLAP_MAX) throw ctx.error('22023', `${upper} would put every row into more than ${OVERLAP_MAX} windows`, at);
  const info = ctx.info(time);
  const late = info.rowtime !== null && threadColumn(source.rel, info.rowtime, ctx.info(info.rowtime).type, true) ? info.rowtime : null;
  const start = ctx.newColumn('window_start', info.type).id;
  const end = ctx.newColumn('window_end', info.type).id;
  const rel: Rel = { rel: 'window', input: source.rel, time, start, end, sizeUs, slideUs, offsetUs, late };
  return { rel, name: source.name, columns: [...source.columns, { name: 'window_start', id: start }, { name: 'window_end', id: end }] };
}

function windowInput(env: Env, node: Node, upper: string, usage: string): WindowSource {
  const { ctx } = env;
  if ('SubLink' in node) throw ctx.unsupported(`a subquery as the relation of ${upper}`, node.SubLink.location, `Name it with WITH: WITH q AS (SELECT …) SELECT … FROM ${upper}(q, …).`);
  const names = 'ColumnRef' in node ? strings(node.ColumnRef.fields) : [];
  const name = names.at(-1);
  const location = 'ColumnRef' in node ? node.ColumnRef.location ?? 0 : undefined;
  if (name === undefined || names.length > 2) throw ctx.error('42601', `the first argument of ${upper} must be the name of a relation`, location, { hint: `Write ${usage}.` });
  const source = bindNamed(env, names.length === 2 ? names[0] ?? null : null, name, location ?? 0);
  return { rel: source.rel, name, columns: aliased(env, source.rel, name, source.columns, undefined).columns };
}

function timeOf(env: Env, node: Node, source: WindowSource, upper: string, usage: string): number {
  const { ctx } = env;
  const scope = new Scope(null, []);
  scope.items = [{ alias: source.name, columns: source.columns, primaryKey: null }];
  scope.columns = [...source.columns];
  if (!('ColumnRef' in node)) throw ctx.error('42601', `the second argument of ${upper} must be the name of a column`, undefined, { hint: `Write ${usage}.` });
  const value = bindExpr({ ...env, scope, clause: upper, aggregates: null, setCalls: null }, node);
  if (value.node !== 'column' || (value.type.kind !== 'timestamp' && value.type.kind !== 'timestamptz')) {
    throw ctx.error('42804', `the time column of ${upper} must be a timestamp, not ${typeWords(value.type)}`, node.ColumnRef.location);
  }
  return value.index;
}

function intervalUs(env: Env, node: Node, upper: string): number {
  const { ctx } = env;
  const scope = new Scope(null, []);
  const bound = bindExpr({ ...env, scope, clause: upper, aggregates: null, setCalls: null }, node);
  const e = bound.type.kind === 'interval' || bound.type.kind === 'unknown' ? coerce(ctx, bound, INTERVAL, 'implicit') : bound;
  const value = e.node === 'literal' && e.type.kind === 'interval' && e.text !== null ? parseDatum(e.type, e.text, ctx.evalContext) : null;
  if (!(value instanceof Interval)) throw ctx.error('42804', `sizes of ${upper} must be constant intervals`, undefined, { hint: "Write INTERVAL '10 seconds'." });
  if (value.months !== 0) throw ctx.unsupported(`a size of ${upper} in months or years`, undefined);
  return value.days * US_PER_DAY + Number(value.us);
}
