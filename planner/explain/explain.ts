/**
 * EXPLAIN: a plan as lines of text, roots first, inputs indented below. A node that several read is printed once and named after that.
 * The text depends on the plan alone, so that golden tests hold it. Marks: `append-only`, `key (…)`, `nondeterministic`.
 */
import { takesPartials } from '../../runtime/aggregates/partials.js';
import { unreachable } from '../../types/error.js';
import type { Expr } from '../../types/expr.js';
import type { AggregateNode, FrameBound, JoinNode, LookupNode, OverCall, OverNode, Plan, PlanNode, SessionAggregateNode, SessionNode, SortKey, SourceNode, TopNNode } from '../../types/plan.js';
import { draftExprs, isNondeterministic } from '../plan/builder.js';
import { some } from '../bind/exprs.js';
import { columnText, exprText, nameOf } from './exprtext.js';

export function explain(plan: Plan): string[] {
  const lines: string[] = [];
  const byId = new Map(plan.nodes.map((n) => [n.id, n]));
  const readers = new Map<number, number>();
  for (const n of plan.nodes) for (const i of n.inputs) readers.set(i, (readers.get(i) ?? 0) + 1);
  const printed = new Set<number>();
  const visit = (id: number, depth: number): void => {
    const node = byId.get(id);
    if (node === undefined) return;
    const pad = '  '.repeat(depth);
    const shared = (readers.get(id) ?? 0) > 1;
    if (printed.has(id)) { lines.push(`${pad}(node ${id}, see above)`); return; }
    printed.add(id);
    const inputs = node.inputs.map((i) => byId.get(i)).filter((n) => n !== undefined);
    const [input] = inputs;
    const partials = input?.op === 'exchange' && readers.get(input.id) === 1 && takesPartials(input, node) ? ' · added up before the exchange' : '';
    lines.push(`${pad}${title(node, inputs)}${partials}${marks(node)}${shared ? ` [node ${id}]` : ''}`);
    for (const d of details(node, inputs)) lines.push(`${pad}    ${d}`);
    for (const e of draftExprs(node)) subplans(e, depth + 2, lines);
    if (node.op === 'rows' && node.recursion !== undefined) {
      for (const [word, term] of [['base', node.recursion.base], ['step', node.recursion.step]] as const) lines.push(`${pad}    ${word}`, ...explain(term).map((line) => `${pad}      ${line}`));
    }
    for (const i of node.inputs) visit(i, depth + 1);
  };
  for (const r of plan.roots) visit(r, 0);
  return lines;
}

/** One operator in a line, as EXPLAIN shows it. */
export function operatorTitle(plan: Plan, id: number): string {
  const node = plan.nodes.find((n) => n.id === id);
  return node === undefined ? 'an operator that is gone' : title(node, node.inputs.map((i) => plan.nodes.find((n) => n.id === i)).filter((n) => n !== undefined));
}

function subplans(e: Expr, depth: number, lines: string[]): void {
  some(e, (x) => {
    if (x.node === 'subplan') {
      lines.push(`${'  '.repeat(depth)}subplan (${x.form})`);
      for (const line of explain(x.plan)) lines.push(`${'  '.repeat(depth + 1)}${line}`);
    }
    return false;
  });
}

function marks(node: PlanNode): string {
  const out: string[] = [];
  if (node.op === 'materialize' || node.op === 'sink' || node.op === 'aggregate' || node.op === 'session' || node.op === 'sessionaggregate' || node.op === 'topn' || node.op === 'over' || node.op === 'join' || node.op === 'lookup') {
    if (node.key !== null) out.push(`key (${names(node, node.key)})`);
    if (node.appendOnly) out.push('append-only');
  }
  const expires = (node.op === 'aggregate' || node.op === 'topn' || node.op === 'join') && node.expires === true;
  if (expires) out.push(node.op === 'join' ? 'frees rows after state_ttl' : 'frees idle keys after state_ttl');
  if (node.op === 'materialize' && node.replaces === true) out.push('replaces');
  if (expires || node.op === 'lookup' || draftExprs(node).some(isNondeterministic)) out.push('nondeterministic');
  return out.length === 0 ? '' : ` · ${out.join(' · ')}`;
}

const nameAt = (node: PlanNode | undefined, index: number): string => columnText(node?.columns[index]?.name ?? `#${index}`);
const names = (node: PlanNode | undefined, indexes: readonly number[]): string => indexes.map((i) => nameAt(node, i)).join(', ');
/** Key columns that the query leaves out. */
const hiddenText = (node: PlanNode & { readonly visible: number }): string => (node.visible < node.columns.length ? ` hidden (${names(node, node.columns.map((_, i) => i).slice(node.visible))})` : '');
const allNames = (node: PlanNode): string => (node.columns.length === 0 ? 'no columns' : names(node, node.columns.map((_, i) => i)));
const over = (node: PlanNode | undefined) => (index: number): string => nameAt(node, index);

function title(node: PlanNode, inputs: readonly PlanNode[]): string {
  const [input] = inputs;
  switch (node.op) {
    case 'source': return `Source ${columnText(node.relationName)} (${node.connector === '' ? 'log' : node.connector}): ${allNames(node)}`;
    case 'table': return `Table ${columnText(node.tableName)}: ${allNames(node)}`;
    case 'view': return `View ${columnText(node.relationName)}${node.checkpoint === undefined ? '' : ` in ${node.checkpoint.id === null ? 'the last checkpoint' : `checkpoint ${node.checkpoint.id}`}`}: ${allNames(node)}`;
    case 'rows': return node.recursion !== undefined ? `Recursive ${columnText(node.recursion.name)} (${node.recursion.distinct ? 'union' : 'union all'})` : node.working !== undefined ? 'Rows that came last' : node.system === null ? `Rows (${node.rows.length})` : `System ${node.system}`;
    case 'calc': return 'Calc';
    case 'window': return `${node.cumulate === true ? 'Cumulate' : node.sizeUs === node.slideUs ? 'Tumble' : 'Hop'} ${nameAt(input, node.timeColumn)} size ${duration(node.sizeUs)}${node.cumulate === true ? ` step ${duration(node.slideUs)}` : node.sizeUs === node.slideUs ? '' : ` slide ${duration(node.slideUs)}`}${node.offsetUs === 0 ? '' : ` offset ${duration(node.offsetUs)}`}${node.lateColumn === null ? '' : ' · drops late rows'}${node.ranges === true ? ' · ranges of windows' : ''}`;
    case 'session': return `Session ${sessionText(node, input)}`;
    case 'sessionaggregate': return `Session aggregate ${sessionText(node, input)}`;
    case 'process': return `Function ${columnText(node.fn)}${node.partition.length === 0 ? '' : ` by (${names(input, node.partition)})`}${node.timeColumn === null ? '' : ` time ${nameAt(input, node.timeColumn)}`}: ${allNames(node)}`;
    case 'unnest': return `Unnest ${[node, ...(node.beside ?? [])].map((f) => `${nameOf(f.fn)}(${f.args.map((a) => exprText(a, over(input))).join(', ')})`).join(', ')}${node.ordinality ? ' with ordinality' : ''}${node.outer ? ' outer' : ''}`;
    case 'exchange': return node.kind === 'single' ? 'Exchange single' : `Exchange hash (${names(input, node.keys)})`;
    case 'aggregate': return aggregateTitle(node, input);
    case 'extremerows': return `Rows with the largest ${nameAt(input, node.column)} by (${names(input, node.partition)})`;
    case 'topn': return topNTitle(node, input);
    case 'over': return `Over${partitionText(node, input)}${orderText(node.order, input)}`;
    case 'join': return joinTitle(node, inputs);
    case 'lookup': return `Lookup ${joinTitle(node, inputs).replace(/^Hash /, '')}`;
    case 'union': return 'Union all';
    case 'materialize': return `Materialize ${columnText(node.relationName)} (${names(node, node.columns.map((_, i) => i).slice(0, node.visible))})${hiddenText(node)}`;
    case 'sink': return `Sink ${columnText(node.relationName)} (${node.connector})${hiddenText(node)}`;
    case 'sort': return `Sort by ${sortText(node.keys, node)}${node.top === null ? '' : ` top ${node.top}`}`;
    case 'limit': return node.given === undefined ? `Limit ${node.limit ?? 'all'}${node.offset === 0 ? '' : ` offset ${node.offset}`}` : `Limit ${node.given.limit === null ? 'all' : exprText(node.given.limit, over(undefined))}${node.given.offset === null ? '' : ` offset ${exprText(node.given.offset, over(undefined))}`}`;
    case 'output': return `Output (${names(node, node.columns.map((_, i) => i).slice(0, node.visible))})`;
    default: return unreachable(node);
  }
}

function aggregateTitle(node: AggregateNode, input: PlanNode | undefined): string {
  const by = node.groupKeys.length === 0 ? '' : ` by (${names(input, node.groupKeys)})`;
  return `${node.calls.length === 0 ? 'Distinct' : 'Aggregate'}${by}${node.closes === null ? '' : node.closes.emitOnClose ? ' · emits on window close' : ' · frees closed windows'}${node.hop === undefined ? '' : ' · adds ranges to windows'}`;
}

const sortText = (keys: readonly SortKey[], node: PlanNode | undefined): string =>
  keys.map((k) => `${nameAt(node, k.column)}${k.descending ? ' desc' : ''}${k.nullsFirst === k.descending ? '' : k.nullsFirst ? ' nulls first' : ' nulls last'}`).join(', ');
const orderText = (keys: readonly SortKey[], input: PlanNode | undefined): string => (keys.length === 0 ? '' : ` order by ${sortText(keys, input)}`);
const partitionText = (node: TopNNode | OverNode, input: PlanNode | undefined): string => (node.partition.length === 0 ? '' : ` by (${names(input, node.partition)})`);

function topNTitle(node: TopNNode, input: PlanNode | undefined): string {
  const { from, to } = node;
  const ranks = to === null ? `from ${from}` : from === to ? (from === 1 ? '1' : `${from} only`) : from === 1 ? String(to) : `${from} to ${to}`;
  return `Top ${ranks}${node.fn === 'row_number' ? '' : ` in ${node.fn}`}${partitionText(node, input)}${orderText(node.order, input)}${node.rank ? ' · with rank' : ''}`;
}

function callText(c: OverCall, input: PlanNode | undefined): string {
  const bound = (b: FrameBound, limit: number | null | undefined): string => (b.at === 'preceding' || b.at === 'following' ? `${typeof limit === 'number' ? nameAt(input, limit) : b.offset} ${b.at}` : b.at);
  const { mode, start, end, exclude } = c.frame;
  const standard = mode === 'range' && start.at === 'unbounded preceding' && end.at === 'current row' && exclude === 'none';
  const frame = standard ? '' : ` ${mode} between ${bound(start, c.limits?.start)} and ${bound(end, c.limits?.end)}${exclude === 'none' ? '' : ` exclude ${exclude}`}`;
  return `${nameOf(c.fn)}(${c.fn === 'count()' ? '*' : names(input, c.args)})${c.filter === null ? '' : ` filter (${nameAt(input, c.filter)})`}${frame}`;
}

function sessionText(node: SessionNode | SessionAggregateNode, input: PlanNode | undefined): string {
  const by = node.partition.length === 0 ? '' : ` by (${names(input, node.partition)})`;
  const closing = node.lateColumn === null ? '' : ` · drops late rows · ${node.emitOnClose ? 'emits on window close' : 'frees closed windows'}`;
  return `${nameAt(input, node.timeColumn)} gap ${duration(node.gapUs)}${by}${closing}`;
}

function joinTitle(node: JoinNode | LookupNode, inputs: readonly PlanNode[]): string {
  const [left, right] = inputs;
  const on = node.leftKeys.map((k, i) => `${nameAt(left, k)} = ${nameAt(right, node.rightKeys[i] ?? -1)}`);
  const frees = node.op === 'lookup' ? [] : [[left, node.leftEnds], [right, node.rightEnds]] as const;
  const ends = frees.flatMap(([side, end], k) => (end === undefined ? [] : [` · frees ${k === 0 ? 'left' : 'right'} rows ${end.addUs / 1e6} s after ${nameAt(side, end.column)}`]));
  return `${node.leftKeys.length === 0 ? 'Nested ' : 'Hash '}${node.kind} join${on.length === 0 ? '' : ` on ${on.join(' AND ')}`}${ends.join('')}`;
}

function details(node: PlanNode, inputs: readonly PlanNode[]): string[] {
  const [input, second] = inputs;
  switch (node.op) {
    case 'source': return sourceDetails(node);
    case 'calc': return [
      ...(node.filter === null ? [] : [`filter: ${exprText(node.filter, over(input))}`]),
      `project: ${node.project.map((e, i) => aliasedText(exprText(e, over(input)), nameAt(node, i))).join(', ')}`,
    ];
    case 'aggregate': case 'sessionaggregate': return node.calls.length === 0 ? [] : [`calls: ${node.calls.map((c) => {
      const order = c.orderBy.length === 0 ? '' : ` order by ${c.orderBy.map((o) => nameAt(input, o.column) + (o.descending ? ' desc' : '')).join(', ')}`;
      const filter = c.filter === null ? '' : ` filter (${nameAt(input, c.filter)})`;
      if (c.direct !== undefined) return `${nameOf(c.fn)}(${c.direct.map((e) => exprText(e, over(node))).join(', ')}) within group (${order.trimStart()})${filter}`;
      return `${nameOf(c.fn)}(${c.distinct ? 'distinct ' : ''}${c.fn === 'count()' ? '*' : names(input, c.args)}${order})${filter}`;
    }).join(', ')}`];
    case 'process': return Object.keys(node.args).length === 0 ? [] : [`arguments: ${Object.entries(node.args).map(([name, value]) => `${name} = ${String(value)}`).join(', ')}`];
    case 'over': return [`calls: ${node.calls.map((c) => callText(c, input)).join(', ')}`];
    case 'join': case 'lookup': {
      if (node.residual === null) return [];
      const width = input?.columns.length ?? 0;
      return [`residual: ${exprText(node.residual, (i) => (i < width ? nameAt(input, i) : nameAt(second, i - width)))}`];
    }
    default: return [];
  }
}

const aliasedText = (text: string, name: string): string => (text === name ? text : `${text} AS ${name}`);

function sourceDetails(node: SourceNode): string[] {
  if (node.watermark === null) return [];
  return [`watermark: ${exprText(node.watermark.watermarkExpr, over(node))}`];
}

function duration(us: number): string {
  if (us % 86_400_000_000 === 0) return `${us / 86_400_000_000}d`;
  if (us % 3_600_000_000 === 0) return `${us / 3_600_000_000}h`;
  if (us % 60_000_000 === 0) return `${us / 60_000_000}min`;
  return us % 1_000_000 === 0 ? `${us / 1_000_000}s` : `${us / 1000}ms`;
}
