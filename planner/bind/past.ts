/**
 * Reading what a job's checkpoints hold, in FROM of a query that ends:
 *
 *   view AS OF CHECKPOINT n                                    the view's rows in that checkpoint
 *   millrace.state(job, operator [, checkpoint])               rows of an operator's state; without a checkpoint, in the last completed one
 *   millrace.checkpoint_diff(job, a, b [, operator])           rows that b has and a had not (weight 1), and the other way round (weight −1)
 *
 * All become scans of one relation each, whose rows the engine reads from the checkpoint's files. `job` is the job's name or a relation's of it.
 */
import type { FuncCall, Node } from 'libpg-query';
import { STATE_HEAD, stateTablesOf, stateUnion } from '../../runtime/operators/statetables.js';
import { normalisePlan } from '../../runtime/task/fragment.js';
import { quoteLiteral } from '../../types/functions/string.js';
import type { PlanNode } from '../../types/plan.js';
import { quoteIdentifier } from '../../types/textio.js';
import type { JobPlan, MaterializedViewRelation } from '../catalog.js';
import { parseQuery } from '../parse/parser.js';
import type { BindContext } from './context.js';
import { bindExpr } from './expr.js';
import type { NamedSource } from './from.js';
import { nearest } from './hints.js';
import { findRelation, viewScan } from './relation.js';
import { findCte, type Env } from './scope.js';
import { bindQuery } from './select.js';
import { strings } from './typename.js';

const USAGE: Readonly<Record<string, string>> = {
  state: "millrace.state('job', operator_id [, checkpoint_id])",
  checkpoint_diff: "millrace.checkpoint_diff('job', checkpoint_a, checkpoint_b [, operator_id])",
};

/** The function's name, when the call is one of these. */
export function pastFunction(call: FuncCall | null): string | null {
  const [schema, name] = strings(call?.funcname).length === 2 ? strings(call?.funcname) : ['millrace', strings(call?.funcname)[0]];
  return schema === 'millrace' && name !== undefined && Object.hasOwn(USAGE, name) ? name : null;
}

// ---- view AS OF CHECKPOINT n ----

export function bindAsOf(env: Env, schema: string | null, name: string, location: number, checkpoint: number): NamedSource {
  const { ctx } = env;
  const hint = 'AS OF CHECKPOINT reads materialized views; the state of other operators: millrace.state(…).';
  if (schema === null && findCte(env.ctes, name) !== null) throw ctx.unsupported('AS OF CHECKPOINT of a WITH query', location, hint);
  const relation = findRelation(ctx, schema, name, location);
  if (ctx.job) throw ctx.unsupported('AS OF CHECKPOINT in a continuous query', location);
  if (relation.kind !== 'materialized view') throw ctx.unsupported(`AS OF CHECKPOINT of ${relation.kind === 'index' ? 'an' : 'a'} ${relation.kind}`, location, hint);
  ctx.reads.set(relation.id, relation);
  return viewScan(ctx, pastRelation(ctx, relation, { id: checkpoint, state: false }));
}

/** Scans of one relation share a node; each past state is a relation of its own. */
function pastRelation(ctx: BindContext, relation: MaterializedViewRelation, checkpoint: NonNullable<MaterializedViewRelation['checkpoint']>): MaterializedViewRelation {
  const key = `${relation.jobId} ${relation.nodeId} ${checkpoint.id ?? 'last'} ${checkpoint.state}`;
  let past = ctx.past.get(key);
  if (past === undefined) {
    past = { ...relation, id: -1 - ctx.past.size, key: null, appendOnly: true, checkpoint };
    ctx.past.set(key, past);
  }
  return past;
}

// ---- functions ----

interface Call { readonly env: Env; readonly name: string; readonly at: number }

export function bindPastFunction(env: Env, name: string, call: FuncCall): NamedSource {
  const c: Call = { env, name, at: call.location ?? 0 };
  const { ctx } = env;
  if (ctx.job) throw ctx.unsupported(`millrace.${name} in a continuous query`, c.at);
  const args = (call.args ?? []).map((a) => argument(c, a));
  const [least, most] = name === 'state' ? [2, 3] : [3, 4];
  if (args.length < least || args.length > most) throw wrongArguments(c);
  const [jobName, ...numbers] = args;
  if (typeof jobName !== 'string') throw wrongArguments(c);
  const job = findJob(c, jobName);
  const ids = numbers.map((n) => {
    if (n !== null && (typeof n === 'string' || n < 0)) throw wrongArguments(c);
    return n;
  });
  if (name === 'state') {
    if (ids[0] === null) throw wrongArguments(c);
    return viewScan(ctx, stateRelation(c, job, ids[0], ids[1] ?? null));
  }
  if (ids[0] === null || ids[1] === null) throw wrongArguments(c);
  return difference(c, job, jobName, ids[0], ids[1], ids[2] ?? null);
}

const wrongArguments = (c: Call) => c.env.ctx.error('42883', `wrong arguments of millrace.${c.name}`, c.at, { hint: `Write ${USAGE[c.name] ?? ''}. The numbers are those of the tables operators and checkpoints.` });

/** Constants only: the columns follow from them. */
function argument(c: Call, node: Node): string | number | null {
  const e = bindExpr(c.env, node);
  if (e.node !== 'literal') throw c.env.ctx.unsupported(`an argument of millrace.${c.name} that is not a constant`, c.at);
  if (e.text === null) return null;
  return e.type.kind === 'int4' || e.type.kind === 'int8' ? Number(e.text) : e.text;
}

function findJob(c: Call, name: string): JobPlan {
  const { ctx } = c.env;
  const job = ctx.catalog.jobByName(name);
  if (job !== null) return job;
  const near = nearest(name, ctx.catalog.relationNames());
  throw ctx.error('42704', `job "${name}" does not exist`, c.at, { hint: near === null ? 'SELECT job_name FROM jobs;' : `Perhaps you meant "${near}".` });
}

function stateRelation(c: Call, job: JobPlan, operator: number, checkpoint: number | null): MaterializedViewRelation {
  const { ctx } = c.env;
  const { nodes } = normalisePlan(job.plan);
  const inputs = (n: PlanNode) => n.inputs.map((i) => nodes.find((m) => m.id === i)?.columns ?? []);
  const node = nodes.find((n) => n.id === operator);
  const tables = node === undefined ? [] : stateTablesOf(node, inputs(node));
  if (tables.length === 0) {
    const stateful = nodes.filter((n) => stateTablesOf(n, inputs(n)).length > 0).map((n) => `${n.id} (${n.op})`).join(', ');
    throw ctx.error('22023', node === undefined ? `job "${job.name}" has no operator ${operator}` : `operator ${operator} (${node.op}) of job "${job.name}" keeps no state`, c.at, { hint: `Operators of the job with state: ${stateful}.` });
  }
  const columns = [...STATE_HEAD, ...stateUnion(tables).columns];
  return pastRelation(ctx, {
    kind: 'materialized view', id: 0, schema: 'millrace', name: 'state', columns, storedColumns: columns, jobId: job.jobId, nodeId: operator, key: null, appendOnly: true, sql: '',
  }, { id: checkpoint, state: true });
}

/** Written in SQL over the others: rows by how often more they are in `b` than in `a`. */
function difference(c: Call, job: JobPlan, named: string, a: number, b: number, operator: number | null): NamedSource {
  const { ctx } = c.env;
  const relation = operator === null ? viewOf(c, named) : stateRelation(c, job, operator, a);
  const at = (checkpoint: number): string => (operator === null ? `public.${quoteIdentifier(named)} AS OF CHECKPOINT ${checkpoint}` : `millrace.state(${quoteLiteral(job.name)}, ${operator}, ${checkpoint})`);
  const names = relation.columns.map((_, i) => `c${i}`);
  const listed = relation.columns.map((column, i) => `c${i} AS ${quoteIdentifier(column.name)}`);
  const sql = `SELECT sum(w)::bigint AS weight, ${listed.join(', ')} FROM (SELECT -1, * FROM ${at(a)} UNION ALL SELECT 1, * FROM ${at(b)}) x (w, ${names.join(', ')}) GROUP BY ${names.join(', ')} HAVING sum(w) <> 0`;
  const query = parseQuery(sql);
  const { source, lookups, asOf } = ctx;
  ctx.source = null;
  ctx.lookups = query.lookups;
  ctx.asOf = query.asOf;
  try {
    const bound = bindQuery({ ctx, parent: null, ctes: null, outer: [] }, query.ast);
    return { rel: bound.rel, columns: bound.columns.map((column) => ({ name: column.name, id: column.id })), primaryKey: null };
  } finally {
    ctx.source = source;
    ctx.lookups = lookups;
    ctx.asOf = asOf;
  }
}

function viewOf(c: Call, name: string): MaterializedViewRelation {
  const relation = c.env.ctx.catalog.relation('public', name);
  if (relation?.kind === 'materialized view') return relation;
  throw c.env.ctx.error('42809', `"${name}" is no materialized view`, c.at, { hint: `Name an operator: millrace.checkpoint_diff('${name}', a, b, operator_id). SELECT operator_id, operator FROM operators WHERE job_name = '${name}';` });
}
