/**
 * Runs the subqueries of expressions (batch queries): the subplan's operators are made and driven once per distinct list of outer values;
 * results are remembered by those values, so that an uncorrelated subquery runs once. What its entries read was collected beforehand,
 * since an expression cannot wait.
 */
import { accumulateArrays, SqlArray } from '../types/array.js';
import { ByteWriter } from '../types/encoding/bytes.js';
import { writeIdentity } from '../types/encoding/identity.js';
import { SqlError, assert, unreachable } from '../types/error.js';
import type { Expr, SubplanExpr } from '../types/expr.js';
import type { EvalContext } from '../types/functions/evalcontext.js';
import type { Plan, PlanNode, Recursion, RowsNode, TableNode, ViewNode, SourceNode } from '../types/plan.js';
import type { SqlType } from '../types/sqltype.js';
import type { Datum } from '../types/value.js';
import type { Batch } from './batch.js';
import { caller } from './codegen/interpret.js';
import type { SubplanRunner } from './codegen/subplan.js';
import { Driver } from './driver.js';
import type { OperatorContext } from './operator.js';
import { createOperator } from './operators/registry.js';
import { constantRows } from './operators/rows.js';
import { datumRow } from './vectors.js';

/** Distinct outer values whose results are remembered for one subquery. */
const MEMORY_MAX = 100_000;

export type EntryNode = SourceNode | TableNode | ViewNode | RowsNode;
/** Rows that are in the plan itself. */
export const isConstant = (n: PlanNode): n is RowsNode => n.op === 'rows' && n.system === null && n.recursion === undefined && n.working === undefined;
export const isEntry = (n: PlanNode): n is EntryNode => n.op === 'source' || n.op === 'table' || n.op === 'view' || n.op === 'rows';

/** Plans inside a plan, and inside those: subplans of expressions, terms of recursive queries. */
export const subplansOf = (plan: Plan): Plan[] => innerPlans(plan).map(p => p.plan);

/** Each before those inside it. */
export function innerPlans(plan: Plan): { readonly plan: Plan; readonly inExpression: boolean }[] {
  const found: { plan: Plan; inExpression: boolean }[] = [];
  const visit = (x: unknown): void => {
    if (Array.isArray(x)) { for (const item of x) visit(item); return; }
    if (x === null || typeof x !== 'object') return;
    const record = x as Readonly<Record<string, unknown>>;
    if (record['node'] === 'subplan') found.push({ plan: (x as SubplanExpr).plan, inExpression: true });
    if (record['recursion'] !== undefined) {
      const { base, step } = record['recursion'] as Recursion;
      found.push({ plan: base, inExpression: false }, { plan: step, inExpression: false });
    }
    for (const key of Object.keys(record)) visit(record[key]);
  };
  visit(plan.nodes);
  return found;
}

/** Type of the subquery's (first) column. */
function columnOf(subplan: SubplanExpr): SqlType {
  const output = subplan.plan.nodes.find(n => n.id === subplan.plan.roots[0]);
  return output === undefined ? subplan.type : output.columns[0].type;
}

export class PlanRunner implements SubplanRunner {
  /** Batches of an entry node: collected for all entries of all subplans. */
  readonly #entries: (node: EntryNode) => readonly Batch[];
  readonly #context: (node: PlanNode, emit: (batch: Batch) => void) => OperatorContext;
  readonly #ctx: EvalContext;
  readonly #memory = new Map<SubplanExpr, Map<string, readonly (readonly Datum[])[]>>();
  readonly #writer = new ByteWriter();

  /** `context` makes a batch-mode operator context with this emit. */
  constructor(entries: (node: EntryNode) => readonly Batch[], context: (node: PlanNode, emit: (batch: Batch) => void) => OperatorContext, ctx: EvalContext) {
    this.#entries = entries;
    this.#context = context;
    this.#ctx = ctx;
  }

  run(subplan: SubplanExpr, outer: readonly Datum[], left: Datum): Datum {
    const rows = this.#rows(subplan, outer);
    switch (subplan.form) {
      case 'exists': return rows.length > 0;
      case 'scalar':
        if (rows.length > 1) throw new SqlError('21000', 'more than one row returned by a subquery used as an expression');
        return rows.length === 0 ? null : rows[0][0];
      case 'array': return columnOf(subplan).kind === 'array' ? accumulateArrays(rows.map(r => (r[0] instanceof SqlArray ? r[0] : null))) : SqlArray.of(rows.map(r => r[0]));
      case 'any': case 'all': return this.#anyAll(subplan, rows, left);
      default: return unreachable(subplan.form);
    }
  }

  #anyAll(subplan: SubplanExpr, rows: readonly (readonly Datum[])[], left: Datum): Datum {
    assert(subplan.fn !== null && subplan.left !== null, 'ANY without an operator');
    const all = subplan.form === 'all';
    const f = caller(subplan.fn, [subplan.left.type, columnOf(subplan)]);
    let unknown = false;
    for (const r of rows) {
      const v = f(this.#ctx, [left, r[0]]);
      if (v === null) unknown = true;
      else if ((v === true) !== all) return !all;
    }
    return unknown ? null : all;
  }

  #rows(subplan: SubplanExpr, outer: readonly Datum[]): readonly (readonly Datum[])[] {
    let memory = this.#memory.get(subplan);
    if (memory === undefined) { memory = new Map(); this.#memory.set(subplan, memory); }
    const key = this.#key(subplan.outer, outer);
    const known = memory.get(key);
    if (known !== undefined) return known;
    const saved = this.#ctx.outer;
    this.#ctx.outer = [...outer];
    try {
      const rows = this.#execute(subplan.plan);
      if (memory.size < MEMORY_MAX) memory.set(key, rows);
      return rows;
    } finally {
      this.#ctx.outer = saved;
    }
  }

  #key(types: readonly Expr[], values: readonly Datum[]): string {
    const w = this.#writer;
    w.pos = 0;
    values.forEach((v, i) => {
      if (v === null) w.u8(0);
      else { w.u8(1); writeIdentity(w, types[i].type, v); }
    });
    return Buffer.from(w.bytes.buffer, 0, w.pos).toString('latin1');
  }

  #execute(plan: Plan): (readonly Datum[])[] {
    const driver = new Driver(plan.nodes, null, () => null);
    const rows: (readonly Datum[])[] = [];
    const byId = new Map(plan.nodes.map(n => [n.id, n]));
    for (const n of plan.nodes) {
      if (isEntry(n)) continue;
      if (n.op === 'process') throw new SqlError('0A000', `function "${n.fn}" in a subquery of an expression is not supported`, { hint: 'Put it into FROM.' });
      const inputs = n.inputs.map(id => byId.get(id)?.columns ?? []);
      const emit = n.op === 'output'
        ? (batch: Batch): void => { for (let i = 0; i < batch.length; i++) rows.push(datumRow(n.columns.slice(0, n.visible).map(c => c.type), batch, i)); }
        : driver.emitter(n.id);
      const operator = createOperator(n, this.#context(n, emit), inputs, this);
      if (operator !== null) driver.attach(n.id, operator);
    }
    for (const n of plan.nodes) {
      if (!isEntry(n)) continue;
      const batches = isConstant(n) ? [constantRows(n, this.#ctx, this)] : this.#entries(n);
      for (const b of batches) assert(driver.push(n.id, b) === null, 'a subquery had to wait');
    }
    for (const n of plan.nodes) if (isEntry(n)) assert(driver.watermark(n.id, Infinity) === null, 'a subquery had to wait');
    assert(driver.end() === null, 'a subquery had to wait');
    return rows;
  }
}
