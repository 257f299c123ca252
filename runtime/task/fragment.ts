/**
 * Cuts a plan into fragments: what runs in one task. At parallelism 1 exchanges pass through and the whole job is one fragment.
 * Otherwise a node's level is the number of cuts on the longest path to it; a fragment is a connected part of one level, so that the graph of
 * fragments has no cycle (a task would wait for its own barrier). Edges between levels are channels: an exchange's, or 'forward'
 * (subtask i to subtask i) where a longer path through an exchange raised the level of the reader.
 * A fragment behind a 'single' exchange has one subtask. Before an exchange whose only reader is an aggregate that can add up partial results,
 * the sender makes them: a matter of the edge, of which plans and checkpoints know nothing. Pure; every thread computes the same from the stored plan.
 */
import type { AggregateNode, Plan, PlanNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import { assert } from '../../types/error.js';
import { partialColumns, partialKeys, takesPartials } from '../aggregates/partials.js';

export interface Edge {
  /** Node id of the entry in the reading fragment; the batches it gets are those of node `from`. */
  readonly entry: number;
  readonly from: number;
  readonly fromFragment: number;
  readonly toFragment: number;
  readonly kind: 'hash' | 'single' | 'forward';
  /** Columns that spread the rows; with `partials` of the partial results. */
  readonly keys: readonly number[];
  /** The aggregate that reads the edge and gets partial results in place of the rows of `from` (aggregates/partials.ts). */
  readonly partials: AggregateNode | null;
}

export interface Fragment {
  readonly id: number;
  readonly parallelism: number;
  /** In topological order; exchanges that were cut are in none. */
  readonly nodes: readonly PlanNode[];
  readonly inbound: readonly Edge[];
  readonly outbound: readonly Edge[];
}

/** View nodes of a job's plan are edges from materialize nodes of the same job: rewritten to projections. */
export function normalisePlan(plan: Plan): Plan {
  if (!plan.nodes.some(n => n.op === 'view')) return plan;
  const byId = new Map(plan.nodes.map(n => [n.id, n]));
  return {
    ...plan,
    nodes: plan.nodes.map(n => {
      if (n.op !== 'view') return n;
      const from = byId.get(n.nodeId);
      assert(from !== undefined, `view ${n.relationName} is not in its job`);
      return {
        op: 'calc', id: n.id, inputs: [n.nodeId], columns: n.columns, appendOnly: n.appendOnly, key: n.key, filter: null,
        project: n.fields.map(index => ({ node: 'column', index, type: from.columns[index].type })),
      } satisfies PlanNode;
    }),
  };
}

/** Entry ids of forward edges: negative, so that they meet no node id. Senders use SENDER_BASE - entry. */
const FORWARD_BASE = -1_000_000_000;

export function cutPlan(stored: Plan, parallelism: number): Fragment[] {
  const plan = normalisePlan(stored);
  if (parallelism === 1) return [{ id: 0, parallelism: 1, nodes: plan.nodes, inbound: [], outbound: [] }];
  const byId = new Map(plan.nodes.map(n => [n.id, n]));
  const level = new Map<number, number>();
  for (const n of plan.nodes) {
    let l = 0;
    for (const i of n.inputs) l = Math.max(l, level.get(i) ?? 0);
    level.set(n.id, n.op === 'exchange' ? l + 1 : l);
  }
  const inner = plan.nodes.filter(n => n.op !== 'exchange');
  const parent = new Map(inner.map(n => [n.id, n.id]));
  const find = (id: number): number => {
    let at = id;
    for (let up = parent.get(at) ?? at; up !== at; up = parent.get(at) ?? at) at = up;
    return at;
  };
  for (const n of inner) {
    for (const i of n.inputs) {
      if (byId.get(i)?.op !== 'exchange' && level.get(i) === level.get(n.id)) parent.set(find(n.id), find(i));
    }
  }
  // Two readers of one exchange stand in one fragment: the exchange is one entry.
  for (const x of plan.nodes) {
    if (x.op !== 'exchange') continue;
    const readers = inner.filter(n => n.inputs.includes(x.id) && level.get(n.id) === level.get(x.id));
    for (const r of readers) parent.set(find(r.id), find(readers[0].id));
  }
  const fragmentOf = new Map<number, number>();
  const roots: number[] = [];
  for (const n of inner) {
    const root = find(n.id);
    let f = roots.indexOf(root);
    if (f < 0) f = roots.push(root) - 1;
    fragmentOf.set(n.id, f);
  }
  const readers = new Map<number, number>();
  for (const n of plan.nodes) for (const i of n.inputs) readers.set(i, (readers.get(i) ?? 0) + 1);
  const edges: Edge[] = [];
  const nodes: PlanNode[][] = roots.map(() => []);
  for (const n of inner) {
    const to = fragmentOf.get(n.id) ?? 0;
    let partials = false;
    const inputs = n.inputs.map(i => {
      const input = byId.get(i);
      assert(input !== undefined, `no node ${i}`);
      if (input.op !== 'exchange' && fragmentOf.get(i) === to) return i;
      const from = input.op === 'exchange' ? sourceOfExchange(input, byId) : i;
      const entry = input.op === 'exchange' ? i : FORWARD_BASE - i;
      if (!edges.some(e => e.entry === entry && e.toFragment === to)) {
        const reader = input.op === 'exchange' && readers.get(i) === 1 && takesPartials(input, n) ? n : null;
        partials = reader !== null;
        const keys = input.op === 'exchange' ? input.keys : [];
        edges.push({
          entry, from, fromFragment: fragmentOf.get(from) ?? 0, toFragment: to,
          kind: input.op === 'exchange' ? input.kind : 'forward', keys: reader === null ? keys : partialKeys(reader, keys), partials: reader,
        });
      }
      return entry;
    });
    nodes[to].push(n.op === 'aggregate' && partials ? { ...n, inputs, partialInput: true } : { ...n, inputs });
  }
  return roots.map((_, id) => ({
    id, parallelism: edges.some(e => e.toFragment === id && e.kind === 'single') ? 1 : parallelism,
    nodes: nodes[id], inbound: edges.filter(e => e.toFragment === id), outbound: edges.filter(e => e.fromFragment === id),
  }));
}

/** An exchange over an exchange is the outer one. */
function sourceOfExchange(exchange: PlanNode, byId: ReadonlyMap<number, PlanNode>): number {
  let at: PlanNode = exchange;
  while (at.op === 'exchange') {
    const input = byId.get(at.inputs[0]);
    assert(input !== undefined, `exchange ${at.id} without input`);
    at = input;
  }
  return at.id;
}

/** Columns of what an edge's channels carry; `columns`: by node. */
export function edgeColumns(edge: Edge, columns: ReadonlyMap<number, readonly Column[]>): readonly Column[] {
  const from = columns.get(edge.from) ?? [];
  return edge.partials === null ? from : partialColumns(edge.partials, from);
}

/** Subtask pairs of an edge that are joined by a channel. */
export function channelPairs(edge: Edge, fragments: readonly Fragment[]): { from: number; to: number }[] {
  const senders = fragments[edge.fromFragment].parallelism;
  const receivers = fragments[edge.toFragment].parallelism;
  const pairs: { from: number; to: number }[] = [];
  for (let from = 0; from < senders; from++) {
    if (edge.kind === 'forward') { pairs.push({ from, to: Math.min(from, receivers - 1) }); continue; }
    for (let to = 0; to < receivers; to++) pairs.push({ from, to });
  }
  return pairs;
}

export const channelKey = (edge: Edge, from: number, to: number): string => `${edge.entry}:${edge.toFragment}:${from}:${to}`;
export const taskName = (fragment: number, subtask: number): string => `${fragment}.${subtask}`;
/** Where a subtask runs: equal subtasks of all fragments share a thread. */
export const workerOf = (jobId: number, subtask: number, workers: number): number => (jobId + subtask) % workers;
/** First key group of a subtask; it owns [first(i), first(i + 1)). */
export const firstKeyGroup = (subtask: number, parallelism: number, maxParallelism: number): number => Math.ceil(subtask * maxParallelism / parallelism);
export const subtaskOfKeyGroup = (keyGroup: number, parallelism: number, maxParallelism: number): number => Math.floor(keyGroup * parallelism / maxParallelism);
