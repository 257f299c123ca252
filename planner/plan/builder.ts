/**
 * Makes physical nodes: ids, schemas, merging of equal nodes (a CTE used twice, one stream scanned twice), and the facts that travel up with
 * each edge while the plan is built. `layout[p]` is the ColId at position p; `key` may name columns that are not in the layout (not yet asked for).
 */
import type { Expr } from '../../types/expr.js';
import { PLAN_VERSION, type NodeBase, type Plan, type PlanNode } from '../../types/plan.js';
import type { BindContext } from '../bind/context.js';
import { mapChildren, some } from '../bind/exprs.js';
import { functionById } from '../bind/functions.js';
import type { ColId } from '../bind/rel.js';
import { assert, unsupported } from '../../types/error.js';

/** How rows are spread over subtasks: by hash of columns, all in one, or unknown. */
export type Distribution = readonly ColId[] | 'single' | null;

export interface Edge {
  readonly node: number;
  readonly layout: readonly ColId[];
  readonly key: readonly ColId[] | null;
  readonly appendOnly: boolean;
  readonly dist: Distribution;
}

/** A node as its maker states it: columns, key and id are filled in here. */
type Draft<N extends PlanNode> = N extends PlanNode ? Omit<N, keyof NodeBase> : never;
export type NodeDraft = Draft<PlanNode>;

export class PlanBuilder {
  readonly #ctx: BindContext;
  readonly #nodes: PlanNode[] = [];
  readonly #known = new Map<string, number>();
  #next: number;

  constructor(ctx: BindContext, firstId: number) {
    this.#ctx = ctx;
    this.#next = firstId;
  }

  add(draft: NodeDraft, inputs: readonly Edge[], facts: Omit<Edge, 'node'>): Edge {
    if (this.#ctx.job && inputs.some((i) => !i.appendOnly)) refuseNondeterministic(draft);
    const columns = facts.layout.map((id) => { const c = this.#ctx.info(id); return { name: c.name, type: c.type }; });
    const positions = facts.key?.map((id) => facts.layout.indexOf(id)) ?? null;
    const base: Omit<NodeBase, 'id'> = {
      inputs: inputs.map((i) => i.node), columns, appendOnly: facts.appendOnly, key: positions === null || positions.includes(-1) ? null : positions,
    };
    const text = JSON.stringify([draft, base.inputs, columns.map((c) => c.type)]);
    const mergeable = !draftExprs(draft).some((e) => some(e, (x) => x.node === 'call' && functionById(x.fn)?.volatility === 'volatile'));
    const existing = mergeable ? this.#known.get(text) : undefined;
    if (existing !== undefined) return { ...facts, node: existing };
    // A query that ends is run with its session; a continuous one outlives it and keeps its zone. What a stream computes of its own rows stays the stream's.
    const zone = this.#ctx.job && this.#ctx.evalContext.timeZone !== 'UTC' && draft.op !== 'source' ? { timeZone: this.#ctx.evalContext.timeZone } : {};
    const node = { ...draft, ...base, ...zone, id: this.#next++ } as PlanNode;
    this.#nodes.push(node);
    this.#known.set(text, node.id);
    return { ...facts, node: node.id };
  }

  node(id: number): PlanNode {
    const node = this.#nodes.find((n) => n.id === id);
    assert(node !== undefined, `no node ${id} in the plan`);
    return node;
  }

  /** Nodes that nobody reads any more (a join made into something else) are left out. */
  plan(root: Edge): Plan {
    const read = new Set([root.node]);
    for (const node of [...this.#nodes].reverse()) if (read.has(node.id)) for (const input of node.inputs) read.add(input);
    return { version: PLAN_VERSION, nodes: this.#nodes.filter((n) => read.has(n.id)), roots: [root.node] };
  }
}

const CLOCK = /^(now|transaction_timestamp|statement_timestamp|clock_timestamp|timeofday)\(/;
/** random(), now(): another value when the same row comes again. */
export const isNondeterministic = (e: Expr): boolean => some(e, (x) => x.node === 'call' && (CLOCK.test(x.fn) || functionById(x.fn)?.volatility === 'volatile'));

/** A row taken back must give the same values as when it came, or the two never meet. */
function refuseNondeterministic(draft: NodeDraft): void {
  if (draftExprs(draft).some(isNondeterministic)) {
    throw unsupported('a function whose result changes (now, random, …) over rows that change, in a continuous query', undefined, 'Over append-only input, such as a stream, it can be used.');
  }
}

/** Expressions that a node evaluates. */
export function draftExprs(n: NodeDraft | PlanNode): readonly Expr[] {
  switch (n.op) {
    case 'calc': return n.filter === null ? n.project : [n.filter, ...n.project];
    case 'rows': return n.rows.flat();
    case 'aggregate': return n.calls.flatMap((c) => c.direct ?? []);
    case 'limit': return [n.given?.limit, n.given?.offset].filter((e) => e !== undefined && e !== null);
    case 'unnest': return [...n.args, ...(n.beside ?? []).flatMap((f) => f.args)];
    case 'join': case 'lookup': return n.residual === null ? [] : [n.residual];
    case 'source': return n.watermark === null ? [] : [n.watermark.timeExpr, n.watermark.watermarkExpr];
    default: return [];
  }
}

/** ColIds → positions in a layout. */
export function positional(e: Expr, layout: readonly ColId[]): Expr {
  if (e.node !== 'column') return mapChildren(e, (c) => positional(c, layout));
  const index = layout.indexOf(e.index);
  assert(index >= 0, `column ${e.index} is not in its operator's input`);
  return { node: 'column', index, type: e.type };
}

export function positionOf(layout: readonly ColId[], id: ColId): number {
  const index = layout.indexOf(id);
  assert(index >= 0, `column ${id} is not in its operator's input`);
  return index;
}
