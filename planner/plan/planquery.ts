/**
 * planQuery: a parsed query → physical plan.
 *
 *   bind (planner/bind) → pushdown → lower, three times over the same tree:
 *     1. dry: finds the stream key of the result, whose columns a view keeps as hidden trailing ones;
 *     2. dry, with those: finds which columns each source is to read;
 *     3. the plan.
 *
 * In job mode a materialized view is read through a ViewNode without inputs: whoever deploys the plan puts the edge from node `nodeId` of
 * that job in its place.
 */
import { SqlError, unsupported } from '../../types/error.js';
import type { Plan } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { BindContext, type Session } from '../bind/context.js';
import { threadColumn, type ColId, type Rel } from '../bind/rel.js';
import { inputsOf } from '../bind/relexprs.js';
import { NotAnew } from '../bind/relation.js';
import { bindQuery, type BoundQuery } from '../bind/select.js';
import type { PlannerCatalog } from '../catalog.js';
import type { SourceText } from '../parse/sourcetext.js';
import type { Query } from '../parse/statement.js';
import type { PlannedQuery, PlanMode } from '../planner.js';
import { PlanBuilder, type Edge } from './builder.js';
import { exactly, hashed, single, type Lowering } from './lower.js';
import { pushdown } from './pushdown.js';
import { Demand } from './scan.js';

export function planQuery(query: Query, catalog: PlannerCatalog, mode: PlanMode, given: readonly (SqlType | null)[], session?: Session): PlannedQuery {
  return bounded(() => plan(query, catalog, mode, given, session));
}

/** Expressions nested past the stack (a + b + c + … of thousands) are the user's 54001. */
export function bounded<T>(run: () => T): T {
  try {
    return run();
  } catch (e) {
    if (e instanceof RangeError) throw new SqlError('54001', 'stack depth limit exceeded', { hint: 'The statement is nested too deeply.', cause: e });
    throw e;
  }
}

function plan(query: Query, catalog: PlannerCatalog, mode: PlanMode, given: readonly (SqlType | null)[], session: Session | undefined): PlannedQuery {
  const make = (anew: ReadonlySet<number>): PlannedQuery => planWith(query, catalog, mode, given, session, anew);
  const planned = make(new Set());
  return mode.kind === 'job' && planned.readsJobs.length > 1 ? inOneJob(planned.readsJobs, make) : planned;
}

/**
 * A continuous query is part of one job. Of views of several jobs, those of one are read as they are, and the others' queries are computed anew in it:
 * the first job with which that can be done.
 */
function inOneJob(jobs: readonly number[], make: (anew: ReadonlySet<number>) => PlannedQuery): PlannedQuery {
  let refused: NotAnew | null = null;
  for (const home of jobs) {
    try {
      for (const anew = new Set(jobs.filter((j) => j !== home)); ;) {
        const planned = make(anew);
        const others = planned.readsJobs.filter((j) => j !== home);
        if (others.length === 0) return planned;
        // Views under those computed anew.
        for (const j of others) anew.add(j);
      }
    } catch (e) {
      if (!(e instanceof NotAnew)) throw e;
      refused ??= e;
    }
  }
  throw new SqlError('0A000', 'a continuous query over materialized views of different jobs is not supported', {
    detail: refused === null ? undefined : `"${refused.view.name}" cannot be computed anew in the other's job: ${refused.message}.`,
    hint: 'Write their queries into this one (WITH …), or make all but one of them plain views (CREATE VIEW), which are computed where they are used.',
  });
}

function planWith(query: Query, catalog: PlannerCatalog, mode: PlanMode, given: readonly (SqlType | null)[], session: Session | undefined, anew: ReadonlySet<number>): PlannedQuery {
  const ctx = newContext(catalog, mode.kind === 'job', given, query.source, session);
  ctx.anew = anew;
  ctx.lookups = query.lookups;
  ctx.asOf = query.asOf;
  const bound = bindQuery({ ctx, parent: null, ctes: null, outer: [] }, query.ast);
  const emitOnClose = mode.kind === 'job' && query.emit === 'on_window_close';
  return mode.kind === 'job' ? planJob(ctx, bound, mode, emitOnClose) : planBatch(ctx, bound);
}

export function newContext(catalog: PlannerCatalog, job: boolean, given: readonly (SqlType | null)[], source: SourceText | null, session?: Session): BindContext {
  const ctx = new BindContext(catalog, job, given, source, session);
  ctx.lowerSubplan = (bound) => batchPlan(ctx, bound).plan;
  return ctx;
}

/** The types of $1, $2, …; 42P18 for one that nothing decides. */
export function paramTypes(ctx: BindContext): SqlType[] {
  return ctx.params.map((p, i) => {
    if (p === null || p.kind === 'unknown') throw ctx.error('42P18', `could not determine data type of parameter $${i + 1}`, ctx.paramLocations[i]);
    return p;
  });
}

function visibleColumns(ctx: BindContext, bound: BoundQuery): Column[] {
  return bound.columns.map((c) => ({ name: c.name, type: ctx.info(c.id).type }));
}

/** Lowers twice: for the demand, then for good. */
function lowerTwice<T>(make: (demand: Demand, builder: PlanBuilder) => T, ctx: BindContext, firstId: number): { result: T; builder: PlanBuilder } {
  const demand = new Demand();
  make(demand, new PlanBuilder(ctx, firstId));
  const builder = new PlanBuilder(ctx, firstId);
  return { result: make(demand, builder), builder };
}

/** Batch plan with an output node of exactly the visible columns. */
export function batchPlan(ctx: BindContext, bound: BoundQuery): { plan: Plan; root: Edge } {
  const rel = pushdown(ctx, bound.rel);
  const ids = bound.columns.map((c) => c.id);
  const { result, builder } = lowerTwice((demand, b) => {
    const l: Lowering = { ctx, builder: b, demand, job: false, emitOnClose: false };
    const top = exactly(l, rel, ids);
    return b.add({ op: 'output', visible: ids.length }, [top], { layout: top.layout, key: top.key, appendOnly: top.appendOnly, dist: 'single' });
  }, ctx, 1);
  return { plan: builder.plan(result), root: result };
}

function planBatch(ctx: BindContext, bound: BoundQuery): PlannedQuery {
  const { plan, root } = batchPlan(ctx, bound);
  return finish(ctx, bound, plan, root);
}

function planJob(ctx: BindContext, bound: BoundQuery, mode: Extract<PlanMode, { kind: 'job' }>, emitOnClose: boolean): PlannedQuery {
  if (bound.rel.rel === 'sort' && bound.rel.input.rel !== 'topn') ctx.notices.add('ORDER BY of a continuous query is ignored: a view is ordered when it is read');
  if (emitOnClose && !hasClosing(bound.rel)) {
    throw unsupported('EMIT ON WINDOW CLOSE without GROUP BY', undefined, 'Group by window_start or window_end of TUMBLE, HOP, CUMULATE or SESSION over a stream with WATERMARK FOR its time column.');
  }
  const rel = pushdown(ctx, bound.rel);
  const ids = bound.columns.map((c) => c.id);
  const lowering = (builder: PlanBuilder, demand: Demand): Lowering => ({ ctx, builder, demand, job: true, emitOnClose });
  const dry = exactly(lowering(new PlanBuilder(ctx, mode.firstNodeId), new Demand()), rel, ids);
  const hidden = hiddenKey(ctx, rel, dry.key, ids);
  const { result, builder } = lowerTwice((demand, b) => {
    const l = lowering(b, demand);
    const top = exactly(l, rel, [...ids, ...hidden ?? []]);
    const key = hidden === null ? null : top.key;
    return materialize(l, top, key, mode, ids.length);
  }, ctx, mode.firstNodeId);
  if (emitOnClose && !result.appendOnly) throw unsupported('EMIT ON WINDOW CLOSE over a query that takes rows back', undefined);
  for (const r of ctx.reads.values()) if (r.kind === 'materialized view' && ctx.anew.has(r.jobId)) ctx.notices.add(`"${r.name}" is of another job: its query is computed once more in the job of this one`);
  return finish(ctx, bound, builder.plan(result), result);
}

/** Key columns that the visible ones lack, made available; null when the key cannot be kept. */
function hiddenKey(ctx: BindContext, rel: Rel, key: readonly ColId[] | null, visible: readonly ColId[]): ColId[] | null {
  if (key === null) return null;
  const hidden = [...new Set(key)].filter((id) => !visible.includes(id));
  for (const id of hidden) if (!threadColumn(rel, id, ctx.info(id).type, false)) return null;
  return hidden;
}

function materialize(l: Lowering, top: Edge, key: readonly ColId[] | null, mode: Extract<PlanMode, { kind: 'job' }>, visible: number): Edge {
  const spread = key === null ? (top.appendOnly ? top : hashed(l, top, top.layout)) : key.length === 0 ? single(l, top) : hashed(l, top, key);
  return l.builder.add({ op: 'materialize', relationId: mode.relationId, relationName: mode.relationName, visible }, [spread], {
    layout: spread.layout, key, appendOnly: spread.appendOnly, dist: spread.dist,
  });
}

/** Whether anything waits for a window's end: a GROUP BY, a SESSION, whose rows wait for it by themselves. */
const hasClosing = (rel: Rel): boolean => rel.rel === 'aggregate' || rel.rel === 'session' || inputsOf(rel).some(hasClosing);

function finish(ctx: BindContext, bound: BoundQuery, plan: Plan, root: Edge): PlannedQuery {
  const relations = [...ctx.reads.values()];
  const node = plan.nodes.find((n) => n.id === root.node);
  return {
    plan, columns: visibleColumns(ctx, bound), paramTypes: paramTypes(ctx), reads: relations.map((r) => r.id),
    readsJobs: [...new Set(relations.flatMap((r) => (r.kind === 'materialized view' && !ctx.anew.has(r.jobId) ? [r.jobId] : [])))],
    unbounded: relations.some((r) => r.kind === 'stream' && !r.bounded), appendOnly: root.appendOnly, key: node?.key ?? null, notices: [...ctx.notices],
  };
}
