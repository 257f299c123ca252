/**
 * state_ttl over a plan: marks the operators whose state goes by it, and refuses (0A000, naming the operator) plans of which the results would be wrong.
 *
 * State goes in silence, as in Flink: nothing is taken back for it, and a key that comes again begins anew. So what such an operator gives is no
 * change any more but a row that replaces the one of its key (`Replacing`: with the columns that are of the key). Only a view's materialize node can
 * take that (`replaces`), if its key is of these columns; from there on changes are exact again, for views over the view too. Between the two only
 * filters, projections and exchanges may stand. An operator that reads rows which are taken back must not forget any: it would take back less, or
 * more, than it gave.
 *
 * Needs no state_ttl: what a watermark frees, one group or the first rows of all, tables, sources, sinks, lookups.
 */
import type { JoinNode, Plan, PlanNode } from '../../types/plan.js';
import { unsupported } from '../../types/error.js';

/** Columns of a replacing edge that are of the key; null: the edge gives exact changes. */
type Replacing = ReadonlySet<number> | null;

const HINT = "Bound it by a window or by a join within a time, or create it without: SET state_ttl = 0;";
const SPLIT = 'Make the inner query a materialized view of its own, and this one a view over it.';

/** `position`: of the statement's name. Inputs that are not among the plan's nodes are views of the job. */
export function withStateTtl(plan: Plan, position?: number): Plan {
  const edges = new Map<number, Replacing>();
  const nodes = plan.nodes.map((node): PlanNode => {
    const { node: made, edge } = marked(node, node.inputs.map(i => edges.get(i) ?? null), position);
    edges.set(node.id, edge);
    return made;
  });
  return { ...plan, nodes };
}

function marked(node: PlanNode, inputs: readonly Replacing[], position: number | undefined): { readonly node: PlanNode; readonly edge: Replacing } {
  const refuse = (what: string, hint = HINT): never => { throw unsupported(`state_ttl with ${what}`, position, hint); };
  const [below = null] = inputs;
  const exact = (what: string): void => { if (inputs.some(i => i !== null)) refuse(`${what} over a query whose own state expires`, SPLIT); };
  switch (node.op) {
    case 'exchange': return { node, edge: below };
    case 'calc': return { node, edge: below === null ? null : new Set(node.project.flatMap((e, k) => (e.node === 'column' && below.has(e.index) ? [k] : []))) };
    case 'aggregate': {
      const what = node.calls.length === 0 ? 'DISTINCT' : 'an aggregation';
      exact(what);
      if (node.groupKeys.length === 0 || node.closes !== null) return { node, edge: null };
      if (!node.inputAppendOnly) refuse(`${what} over rows that change`);
      return { node: { ...node, expires: true }, edge: new Set(node.groupKeys.keys()) };
    }
    case 'topn': {
      exact('a Top-N');
      const bounded = node.inputAppendOnly && node.fn === 'row_number' && node.to !== null;
      if (bounded && node.partition.length === 0) return { node, edge: null };
      if (!bounded || node.from !== 1 || node.to !== 1) refuse('a Top-N of more than the first row, or over rows that change');
      return { node: { ...node, expires: true }, edge: new Set(node.partition) };
    }
    case 'join': {
      exact('a join');
      const bounded = endsBoth(node);
      if (!bounded && node.kind !== 'inner') refuse(`a join of kind ${node.kind.toUpperCase()}`);
      if (!bounded && !(node.leftAppendOnly && node.rightAppendOnly)) refuse('a join over rows that change', 'Look the changing side up: JOIN … FOR SYSTEM_TIME AS OF. Or create it without: SET state_ttl = 0;');
      return { node: bounded ? node : { ...node, expires: true }, edge: null };
    }
    case 'session': case 'sessionaggregate':
      exact('a session window');
      if (node.lateColumn === null) refuse('a session window that no watermark closes');
      return { node, edge: null };
    case 'over': return refuse('window functions (OVER)');
    case 'extremerows': return refuse('a join with the maximum of the same rows');
    case 'materialize': {
      if (below === null) return { node, edge: null };
      if (node.key === null || !node.key.every(k => below.has(k))) refuse('a view whose key is not that of the state that expires');
      return { node: { ...node, replaces: true }, edge: null };
    }
    case 'sink':
      // DISTINCT gives a key again that comes after its state went: a sink takes that as it comes.
      if (!node.appendOnly) exact('a sink that takes changes');
      return { node, edge: null };
    default:
      exact(node.op === 'union' ? 'UNION ALL' : node.op === 'unnest' ? 'a set-returning function' : node.op === 'lookup' ? 'a lookup join' : `an operator of kind ${node.op}`);
      return { node, edge: null };
  }
}

function endsBoth(node: JoinNode): boolean { return node.leftEnds !== undefined && node.rightEnds !== undefined; }
