/**
 * Relations of the catalog in FROM: tables, streams (generated columns computed above the scan, WATERMARK marking the event time), views
 * (their text bound anew), materialized views and system tables.
 */
import type { Expr } from '../../types/expr.js';
import { TIMESTAMP } from '../../types/sqltype.js';
import type { MaterializedViewRelation, Relation, StreamRelation, SystemRelation, TableRelation, ViewRelation } from '../catalog.js';
import { parseExpression, parseQuery } from '../parse/parser.js';
import { coerce } from './coerce.js';
import type { BindContext } from './context.js';
import { bindExpr } from './expr.js';
import { column, substitute } from './exprs.js';
import type { NamedSource } from './from.js';
import { nearest } from './hints.js';
import type { Item, Rel } from './rel.js';
import { Scope, type Env, type ScopeColumn } from './scope.js';
import { bindQuery } from './select.js';

const CLOCK = /^(now|transaction_timestamp)\(/;
/** Views nested deeper than this are refused: their expansion would not end well. */
const VIEW_DEPTH_MAX = 64;

/** Throws 42P01 with the nearest name, 42809 for relations that cannot be read. */
export function findRelation(ctx: BindContext, schema: string | null, name: string, location: number): Relation {
  const relation = ctx.catalog.relation(schema, name);
  if (relation !== null) return relation;
  const written = schema === null ? name : `${schema}.${name}`;
  if (schema !== null && !ctx.catalog.schemaExists(schema)) throw ctx.error('42P01', `relation "${written}" does not exist`, location, { hint: `There is no schema "${schema}".` });
  const near = nearest(name, ctx.catalog.relationNames());
  throw ctx.error('42P01', `relation "${written}" does not exist`, location, near === null ? {} : { hint: `Perhaps you meant "${near}".` });
}

export function bindRelation(env: Env, schema: string | null, name: string, location: number): NamedSource {
  const { ctx } = env;
  const relation = findRelation(ctx, schema, name, location);
  if (relation.kind === 'sink' || relation.kind === 'index') throw ctx.error('42809', `cannot read from ${relation.kind} "${name}"`, location);
  if (relation.kind === 'system table') {
    if (ctx.job) throw ctx.unsupported(`reading system table ${name} in a continuous query`, location);
    return systemScan(ctx, relation);
  }
  ctx.reads.set(relation.id, relation);
  switch (relation.kind) {
    case 'view': return expandView(env, relation, location);
    case 'table': return tableScan(ctx, relation);
    case 'materialized view': return ctx.anew.has(relation.jobId) ? computedAnew(env, relation, location) : viewScan(ctx, relation);
    case 'stream':
      if (ctx.anewView !== null) throw new NotAnew(ctx.anewView, `it reads the stream "${name}", whose first rows may be gone`);
      if (!ctx.job && !relation.bounded) {
        throw ctx.error('0A000', `"${name}" is an unbounded stream: a query over it that ends is not supported`, location, { hint: 'Use SELECT … EMIT CHANGES, or CREATE MATERIALIZED VIEW v AS SELECT ….' });
      }
      return streamScan(ctx, relation);
  }
}

function newColumns(ctx: BindContext, relation: Relation, count: number): ScopeColumn[] {
  return relation.columns.slice(0, count).map((c) => ({ name: c.name, id: ctx.newColumn(c.name, c.type).id }));
}

function systemScan(ctx: BindContext, relation: SystemRelation): NamedSource {
  const columns = newColumns(ctx, relation, relation.columns.length);
  return { rel: { rel: 'scan', relation, cols: columns.map((c) => c.id), watermark: null, defaults: new Map() }, columns, primaryKey: null };
}

/** Columns a query sees: all but the hidden row id, which stands last. */
export function visibleCount(relation: TableRelation): number {
  return relation.hiddenRowId && relation.primaryKey[0] === relation.columns.length - 1 ? relation.columns.length - 1 : relation.columns.length;
}

export function tableScan(ctx: BindContext, relation: TableRelation): NamedSource & { hidden: number | null } {
  const columns = newColumns(ctx, relation, visibleCount(relation));
  const cols = columns.map((c) => c.id);
  const hidden = relation.hiddenRowId ? ctx.newColumn('_row_id', { kind: 'int8' }).id : null;
  if (hidden !== null) cols.push(hidden);
  return { rel: { rel: 'scan', relation, cols, watermark: null, defaults: new Map() }, columns, primaryKey: relation.primaryKey.map((i) => cols[i] as number), hidden };
}

export function viewScan(ctx: BindContext, relation: MaterializedViewRelation): NamedSource {
  const cols = relation.storedColumns.map((c, i) => ({ name: relation.columns[i]?.name ?? c.name, id: ctx.newColumn(relation.columns[i]?.name ?? c.name, c.type).id }));
  return { rel: { rel: 'scan', relation, cols: cols.map((c) => c.id), watermark: null, defaults: new Map() }, columns: cols.slice(0, relation.columns.length), primaryKey: null };
}

function streamScan(ctx: BindContext, relation: StreamRelation): NamedSource {
  const columns = newColumns(ctx, relation, relation.columns.length);
  const cols = columns.map((c) => c.id);
  const generated = new Map<number, Expr>();
  const defaults = new Map<number, Expr>();
  const physical = columns.filter((_, i) => relation.columns[i]?.generatedSql === null);
  relation.columns.forEach((c, i) => {
    if (c.generatedSql !== null) generated.set(cols[i] as number, bindText(ctx, c.generatedSql, physical, (e) => coerce(ctx, e, c.type, 'assignment')));
    if (c.defaultSql !== null) defaults.set(i, bindText(ctx, c.defaultSql, [], (e) => coerce(ctx, e, c.type, 'assignment')));
  });
  const mark = relation.watermark;
  const at = mark === null ? -1 : relation.columns.findIndex((c) => c.name === mark.column);
  const timeId = cols[at];
  const timeType = relation.columns[at]?.type;
  let watermark: { id: number; timeExpr: Expr; watermarkExpr: Expr } | null = null;
  if (mark !== null && timeId !== undefined && timeType !== undefined) {
    const expand = (e: Expr): Expr => substitute(e, (id) => generated.get(id));
    const watermarkExpr = expand(bindText(ctx, mark.sql, columns, (e) => coerce(ctx, e, timeType, 'assignment')));
    watermark = { id: ctx.newColumn('split_watermark', timeType.kind === 'timestamptz' ? timeType : TIMESTAMP).id, timeExpr: expand(column(timeId, timeType)), watermarkExpr };
  }
  const scan: Rel = { rel: 'scan', relation, cols, watermark, defaults };
  // The event time keeps its mark: columns above that only pass it on stay event time.
  const markedId = watermark === null || timeType === undefined ? null : ctx.newColumn(relation.columns[at]?.name ?? '', timeType, { rowtime: watermark.id }).id;
  if (generated.size === 0 && markedId === null) return { rel: scan, columns, primaryKey: null };
  const items: Item[] = columns.map((c) => ({ id: c.id === timeId && markedId !== null ? markedId : generated.has(c.id) ? ctx.newColumn(c.name, ctx.info(c.id).type, { processingTime: isClock(generated.get(c.id)) }).id : c.id, expr: generated.get(c.id) ?? column(c.id, ctx.info(c.id).type) }));
  return { rel: { rel: 'project', input: scan, items }, columns: columns.map((c, i) => ({ name: c.name, id: items[i]?.id ?? c.id })), primaryKey: null };
}

/** now(), perhaps as another type of timestamp. */
function isClock(e: Expr | undefined): boolean {
  return e?.node === 'call' ? CLOCK.test(e.fn) : e?.node === 'cast' && isClock(e.arg);
}

/** Binds a stored expression's text over some columns. Errors inside carry no position: the text is not the client's. */
export function bindText(ctx: BindContext, sql: string, columns: readonly ScopeColumn[], finish: (e: Expr) => Expr): Expr {
  const source = ctx.source;
  ctx.source = null;
  try {
    const scope = new Scope(null, []);
    scope.columns = [...columns];
    scope.items = [{ alias: '', columns, primaryKey: null }];
    return finish(bindExpr({ ctx, scope, ctes: null, clause: 'this expression', aggregates: null, setCalls: null, insideAggregate: false }, parseExpression(sql).ast));
  } finally {
    ctx.source = source;
  }
}

/** A materialized view cannot be computed anew: it would not hold what the view holds. */
export class NotAnew extends Error {
  readonly view: MaterializedViewRelation;
  constructor(view: MaterializedViewRelation, why: string) {
    super(why);
    this.view = view;
  }
}

/** The query of a materialized view in place of its content. Tables hold all their rows, so that both come to the same. */
function computedAnew(env: Env, view: MaterializedViewRelation, location: number): NamedSource {
  const { ctx } = env;
  const before = ctx.anewView;
  const outermost = before ?? view;
  const plan = ctx.catalog.jobByName(view.name)?.plan;
  const root = plan?.nodes.find((n) => n.op === 'materialize' && n.relationId === view.id);
  if (plan === undefined || root === undefined) throw new NotAnew(outermost, 'its plan is not known');
  const zone = root.timeZone ?? 'UTC';
  if (zone !== ctx.evalContext.timeZone) throw new NotAnew(outermost, `it is computed in the time zone ${zone}, this query in ${ctx.evalContext.timeZone}`);
  if (plan.nodes.some((n) => 'expires' in n && n.expires === true)) throw new NotAnew(outermost, 'its job has a state_ttl');
  ctx.anewView = outermost;
  try {
    return expandView(env, view, location);
  } finally {
    ctx.anewView = before;
  }
}

function expandView(env: Env, view: ViewRelation | MaterializedViewRelation, location: number): NamedSource {
  const { ctx } = env;
  if (ctx.expanding.length >= VIEW_DEPTH_MAX || ctx.expanding.includes(view.name)) throw ctx.error('42P17', `infinite recursion in view "${view.name}"`, location);
  const { source, lookups, asOf } = ctx;
  ctx.source = null;
  ctx.expanding.push(view.name);
  try {
    const query = parseQuery(view.sql);
    ctx.lookups = query.lookups;
    ctx.asOf = query.asOf;
    if (query.emit !== null) throw ctx.unsupported(`EMIT inside view "${view.name}"`, undefined);
    const bound = bindQuery({ ctx, parent: null, ctes: null, outer: [] }, query.ast);
    if (bound.volatile && ctx.anewView !== null) throw new NotAnew(ctx.anewView, 'its query gives other values each time (random() or the like)');
    return { rel: bound.rel, columns: bound.columns.map((c, i) => ({ name: view.columns[i]?.name ?? c.name, id: c.id })), primaryKey: null };
  } finally {
    ctx.source = source;
    ctx.lookups = lookups;
    ctx.asOf = asOf;
    ctx.expanding.pop();
  }
}

