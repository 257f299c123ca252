/**
 * Which operators of a stored plan (of a checkpoint) are those of a new plan, for a restore into a new statement. Node ids say nothing there.
 *
 *   origin    of a column: the expression over source columns that it comes from; names of columns and their places do not matter
 *   shape     of an operator: what its state is made of: kind, keys and their types by origin, aggregate functions, columns of kept rows
 *   place     the operators it reads, and the filters between
 *
 * An operator matches one of equal shape that stands at the same place. Where the filters between differ it matches only over append-only
 * input: what came through the old filter could otherwise no longer be taken back. For the same reason two operators with an edge between
 * them that takes rows back are restored together or not at all. Pure; the cost is that of writing both plans down once.
 */
import { createHash } from 'node:crypto';
import type { Expr } from '../../types/expr.js';
import { limitsOf, type Plan, type PlanNode, type SortKey, type UnnestNode } from '../../types/plan.js';
import { normalisePlan } from '../task/fragment.js';

export interface NodeMatch {
  /** Of the new plan. */
  readonly node: PlanNode;
  /** Of the stored plan; null: it starts empty. */
  readonly from: PlanNode | null;
  /** The operator, for people. */
  readonly name: string;
  readonly why: string;
}

export interface PlanMatch {
  /** Stateful operators of the new plan, in its order. */
  readonly nodes: readonly NodeMatch[];
  /** Stateful operators of the stored plan that nothing matches. */
  readonly dropped: readonly { readonly node: PlanNode; readonly why: string }[];
  /** Node of the new plan → id it had in the stored one: of stateful ones that are restored, and, in plans of one form, of all. */
  readonly ids: ReadonlyMap<number, number>;
  /** The plans have the same nodes in the same places: channels mean the same, too. */
  readonly sameForm: boolean;
  /** Nodes that are restored, but not quite to what they were. */
  readonly remarks: ReadonlySet<PlanNode>;
  /** Streams without connector whose log is another one: they match, and begin with the log of now. */
  readonly resetLogs: ReadonlySet<PlanNode>;
}

const STATEFUL: ReadonlySet<PlanNode['op']> = new Set(['source', 'table', 'rows', 'aggregate', 'extremerows', 'topn', 'over', 'join', 'lookup', 'session', 'sessionaggregate', 'process', 'materialize', 'sink']);
export const isStateful = (node: PlanNode): boolean => STATEFUL.has(node.op);
const isEntry = (node: PlanNode): boolean => node.op === 'source' || node.op === 'table' || node.op === 'rows';

/** What stands between an operator and a stateful one that it reads. */
interface Reading { readonly node: PlanNode; readonly filters: string; readonly appendOnly: boolean }

class Described {
  readonly plan: Plan;
  readonly stateful: readonly PlanNode[];
  readonly #byId: ReadonlyMap<number, PlanNode>;
  readonly #origins = new Map<number, readonly string[]>();

  constructor(plan: Plan) {
    this.plan = normalisePlan(plan);
    this.#byId = new Map(this.plan.nodes.map(n => [n.id, n]));
    this.stateful = this.plan.nodes.filter(isStateful);
    for (const n of this.plan.nodes) this.#origins.set(n.id, this.#describe(n).map(short));
  }

  node(id: number): PlanNode {
    const n = this.#byId.get(id);
    if (n === undefined) throw new Error(`no node ${id}`);
    return n;
  }

  origin(id: number, column: number): string { return this.#origins.get(id)?.[column] ?? '?'; }
  #all(id: number): readonly string[] { return this.#origins.get(id) ?? []; }

  #beside(n: UnnestNode, below: readonly string[]): string {
    return (n.beside ?? []).map(f => ` beside ${f.fn} ${f.args.map(a => this.#expression(a, below)).join()}`).join('');
  }

  #describe(n: PlanNode): string[] {
    const input = (k: number): string => this.origin(n.inputs[0], k);
    const below = n.inputs.length > 0 ? this.#all(n.inputs[0]) : [];
    switch (n.op) {
      case 'source': return n.columns.map((c, k) => `${n.relationName}.${k < n.fields.length ? `${n.fields[k].metadata ?? ''}:${n.fields[k].path ?? n.fields[k].name}` : `mark ${json(n.watermark)}`}:${json(c.type)}`);
      case 'table': return n.columns.map((c, k) => `${n.tableName}.${n.fields[k]}:${json(c.type)}`);
      case 'view': return n.columns.map((c, k) => `${n.relationName}.${n.fields[k]}:${json(c.type)}`);
      case 'rows': return n.columns.map((_, k) => `rows ${json(n.rows)}.${k}`);
      case 'calc': return n.project.map(e => this.#expression(e, below));
      case 'window': return [...below, ...['start', 'end'].map(edge => `${edge} of ${json([n.sizeUs, n.slideUs, n.offsetUs, n.cumulate ?? false, n.ranges ?? false])} ${input(n.timeColumn)}`)];
      case 'unnest': return [...below, ...n.columns.slice(below.length).map((_, k) => `${n.fn}.${k} ${n.args.map(a => this.#expression(a, below)).join()}${this.#beside(n, below)}`)];
      case 'aggregate': { const keys = n.groupKeys.map(input); return [...keys, ...n.calls.map(c => `${this.#call(c, below)}${c.direct === undefined ? '' : ` of ${c.direct.map(e => this.#expression(e, keys)).join()}`} by ${keys.join()}`)]; }
      case 'session': return [...n.keep.map(input), ...['start', 'end'].map(edge => `${edge} of session ${n.gapUs} ${input(n.timeColumn)} ${n.partition.map(input).join()}`)];
      case 'sessionaggregate': {
        const session = `of session ${n.gapUs} ${input(n.timeColumn)} ${n.partition.map(input).join()}`;
        return [...n.keys.map(k => (typeof k === 'number' ? input(n.partition[k]) : `${k} ${session}`)), ...n.calls.map(c => `${this.#call(c, below)} ${session}`)];
      }
      case 'process': return n.columns.map((c, k) => `${n.fn}.${k}:${json(c.type)} ${json(n.args)} ${n.partition.map(input).join()}`);
      case 'topn': return n.rank ? [...below, `${n.fn} ${n.partition.map(input).join()} ${this.#order(n.order, below)}`] : [...below];
      case 'over': return [...below, ...n.calls.map(c => `${c.fn} ${c.args.map(input).join()} ${c.filter === null ? '' : input(c.filter)} ${json(c.frame)}${limitsOf(c.limits).map(input).join()} over ${n.partition.map(input).join()} ${this.#order(n.order, below)}`)];
      case 'join': case 'lookup': return n.op === 'join' && (n.kind === 'semi' || n.kind === 'anti') ? [...below] : [...below, ...this.#all(n.inputs[1])];
      case 'union': return n.columns.map((_, k) => `union ${n.inputs.map(i => this.origin(i, k)).join()}`);
      default: return [...below];
    }
  }

  #expression(e: Expr, columns: readonly string[]): string {
    if (e.node === 'column') return columns[e.index] ?? '?';
    return JSON.stringify(e, (_, value: unknown) => (isColumn(value) ? columns[value.index] ?? '?' : value));
  }
  #order(order: readonly SortKey[], columns: readonly string[]): string { return order.map(k => `${columns[k.column] ?? '?'} ${k.descending} ${k.nullsFirst}`).join(); }
  #call(c: { readonly fn: string; readonly args: readonly number[]; readonly distinct: boolean; readonly filter: number | null; readonly orderBy: readonly SortKey[] }, columns: readonly string[]): string {
    return `${c.fn} ${c.distinct} ${c.args.map(a => columns[a]).join()} ${c.filter === null ? '' : columns[c.filter] ?? '?'} ${this.#order(c.orderBy, columns)}`;
  }

  /** What the state of a stateful node is made of. */
  shape(n: PlanNode): string {
    const below = n.inputs.length > 0 ? this.#all(n.inputs[0]) : [];
    const types = (id: number): unknown => this.node(id).columns.map(c => c.type);
    const kept = (id: number): unknown => [types(id), this.#all(id)];
    const of = (columns: readonly number[]): unknown => columns.map(c => [below[c], this.node(n.inputs[0]).columns[c]?.type]);
    switch (n.op) {
      case 'source': return json([n.op, n.relationName, n.logId === null ? n.connector : 'log']);
      case 'table': return json([n.op, n.tableName, n.storedTypes]);
      case 'rows': return json([n.op, n.rows]);
      case 'aggregate': return json([n.op, of(n.groupKeys), n.calls.map(c => [this.#call(c, below), c.type, of(c.args)]), n.inputAppendOnly, n.closes, n.hop === undefined ? null : [n.hop.sizeUs, n.hop.slideUs, n.hop.start, n.hop.end], ...ttl(n.expires)]);
      case 'extremerows': return json([n.op, kept(n.inputs[0]), of(n.partition), of([n.column])]);
      case 'topn': return json([n.op, kept(n.inputs[0]), of(n.partition), this.#order(n.order, below), n.fn, n.from, n.to, n.rank, n.inputAppendOnly, ...ttl(n.expires)]);
      case 'over': return json([n.op, kept(n.inputs[0]), of(n.partition), this.#order(n.order, below), n.calls.map(c => [c.fn, of(c.args), c.filter === null ? null : below[c.filter], c.frame, of(limitsOf(c.limits))])]);
      case 'join': return json([n.op, n.kind, kept(n.inputs[0]), kept(n.inputs[1]), n.leftKeys, n.rightKeys, n.residual, n.leftAppendOnly, n.rightAppendOnly, n.leftEnds, n.rightEnds, ...ttl(n.expires)]);
      case 'lookup': return json([n.op, n.kind, kept(n.inputs[0]), kept(n.inputs[1]), n.leftKeys, n.rightKeys, n.residual]);
      case 'session': return json([n.op, kept(n.inputs[0]), n.keep, n.timeColumn, n.partition, n.gapUs, n.lateColumn === null, n.emitOnClose]);
      case 'sessionaggregate': return json([n.op, of(n.partition), of([n.timeColumn]), n.keys, n.calls.map(c => [this.#call(c, below), c.type, of(c.args)]), n.gapUs, n.lateColumn === null, n.emitOnClose]);
      case 'process': return json([n.op, n.fn, of(n.partition)]);
      case 'materialize': return json([n.op, kept(n.inputs[0]), n.key, n.appendOnly, ...ttl(n.replaces)]);
      case 'sink': return json([n.op, n.connector, kept(n.inputs[0]), n.key]);
      default: return n.op;
    }
  }

  /** The stateful nodes that a node reads, input by input, from left to right. */
  readings(n: PlanNode): readonly Reading[] {
    const found: Reading[] = [];
    const walk = (id: number, filters: readonly string[], appendOnly: boolean): void => {
      const at = this.node(id);
      const below = at.inputs.length > 0 ? this.#all(at.inputs[0]) : [];
      if (isStateful(at)) { found.push({ node: at, filters: filters.join('; '), appendOnly: appendOnly && at.appendOnly }); return; }
      let here = filters;
      if (at.op === 'calc' && at.filter !== null) here = [...filters, this.#expression(at.filter, below)];
      else if (at.op === 'window') here = [...filters, json([at.op, at.sizeUs, at.slideUs, at.offsetUs, at.lateColumn === null])];
      else if (at.op === 'unnest') here = [...filters, json([at.op, at.fn, at.args.map(a => this.#expression(a, below)), at.outer]) + this.#beside(at, below)];
      for (const i of at.inputs) walk(i, here, appendOnly && at.appendOnly);
    };
    for (const i of n.inputs) walk(i, [], true);
    return found;
  }
}

/** A long description by its hash: an origin is part of many others. */
function short(text: string): string { return text.length <= 48 ? text : `#${createHash('sha256').update(text).digest('base64').slice(0, 22)}`; }
/** State that expires has times, and a view above it may show rows that nothing takes back: it goes on with state_ttl only. */
const ttl = (flag: true | undefined): readonly string[] => (flag === true ? ['state_ttl'] : []);
function json(value: unknown): string { return JSON.stringify(value) ?? 'null'; }
function isColumn(value: unknown): value is Extract<Expr, { node: 'column' }> {
  return typeof value === 'object' && value !== null && (value as { node?: unknown }).node === 'column' && typeof (value as { index?: unknown }).index === 'number';
}

/** For people: what the operator is and what it goes by. */
export function operatorName(plan: Plan, node: PlanNode): string {
  const input = plan.nodes.find(n => n.id === node.inputs[0]);
  const names = (columns: readonly number[]): string => columns.map(c => input?.columns[c]?.name ?? `column ${c}`).join(', ');
  const by = (columns: readonly number[]): string => (columns.length === 0 ? '' : ` by (${names(columns)})`);
  switch (node.op) {
    case 'source': return `source ${node.relationName}`;
    case 'table': return `table ${node.tableName}`;
    case 'rows': return 'constant rows';
    case 'aggregate': return `aggregate${by(node.groupKeys)}: ${node.calls.length === 0 ? 'distinct' : node.calls.map(c => c.fn).join(', ')}`;
    case 'extremerows': return `extreme rows${by(node.partition)}`;
    case 'topn': return `top ${node.to ?? 'all'}${by(node.partition)}`;
    case 'over': return `over${by(node.partition)}: ${node.calls.map(c => c.fn).join(', ')}`;
    case 'join': return `${node.kind} join${by(node.leftKeys)}`;
    case 'lookup': return `lookup join${by(node.leftKeys)}`;
    case 'session': case 'sessionaggregate': return `session${by(node.partition)}`;
    case 'process': return `function ${node.fn}${by(node.partition)}`;
    case 'materialize': return `view ${node.relationName}`.trimEnd();
    case 'sink': return `sink ${node.relationName}`;
    default: return node.op;
  }
}

/** `sameLog`: positions in the table log mean the same in both plans (they are of one server). */
export function matchPlans(stored: Plan, fresh: Plan, sameLog: boolean): PlanMatch {
  const old = new Described(stored);
  const now = new Described(fresh);
  const shapes = new Map<PlanNode, string>(old.stateful.map(n => [n, old.shape(n)]));
  const from = new Map<PlanNode, PlanNode>();
  const why = new Map<PlanNode, string>();
  const taken = new Set<PlanNode>();
  const remarks = new Set<PlanNode>();
  const resetLogs = new Set<PlanNode>();
  for (const node of now.stateful) {
    const shape = now.shape(node);
    let reason = differs(old, shapes, taken, node);
    const candidates = old.stateful.filter(o => !taken.has(o) && shapes.get(o) === shape).map(o => ({ o, at: logOf(o, node, sameLog) ?? place(old, now, from, o, node) }));
    const best = candidates.find(c => c.at === '') ?? candidates.find(c => c.at.startsWith('~'));
    if (best !== undefined) {
      from.set(node, best.o);
      taken.add(best.o);
      reason = best.at === '' ? 'same shape, same place' : best.at.slice(1);
      if (best.at !== '') remarks.add(node);
      if (best.at !== '' && node.op === 'source') resetLogs.add(node);
    } else if (candidates.length > 0) reason = candidates[0].at;
    why.set(node, reason);
  }
  together(now, from, why);
  const restored = new Set(from.values());
  const form = sameForm(old.plan, now.plan) ? old.plan.nodes : null;
  const sameFormRestored = form !== null && now.stateful.every(n => from.get(n)?.id === form[now.plan.nodes.indexOf(n)]?.id);
  const ids = new Map<number, number>([...from].map(([n, o]) => [n.id, o.id]));
  if (sameFormRestored) now.plan.nodes.forEach((n, k) => ids.set(n.id, old.plan.nodes[k].id));
  return {
    nodes: now.stateful.map(node => ({ node, from: from.get(node) ?? null, name: operatorName(now.plan, node), why: why.get(node) ?? '' })),
    dropped: old.stateful.filter(o => !restored.has(o)).map(node => ({ node, why: 'no operator of the query matches' })),
    ids, sameForm: sameFormRestored, remarks, resetLogs,
  };
}

/** Of what is read from the table log: null = its position holds; '~…' and anything else as in `place`. */
function logOf(o: PlanNode, n: PlanNode, sameLog: boolean): string | null {
  if (o.op === 'table' && n.op === 'table') return sameLog && o.tableId === n.tableId ? null : `the snapshot is of another table "${n.tableName}" (of another server, or created anew): what changed since is not known`;
  if (o.op !== 'source' || n.op !== 'source' || n.logId === null || (sameLog && o.logId === n.logId)) return null;
  return `~stream ${n.relationName} is another one than that of the snapshot: it is read from its first row`;
}

/** '' = the same place; '~…' = it will do, with a remark; anything else = why not. */
function place(old: Described, now: Described, from: ReadonlyMap<PlanNode, PlanNode>, o: PlanNode, n: PlanNode): string {
  const before = old.readings(o);
  const after = now.readings(n);
  if (before.length !== after.length) return 'it reads other operators than before';
  let remark = '';
  for (const [k, b] of before.entries()) {
    const a = after[k];
    const same = from.get(a.node) === b.node || (isEntry(a.node) && isEntry(b.node) && operatorName(now.plan, a.node) === operatorName(old.plan, b.node));
    if (!same) return `it reads ${operatorName(now.plan, a.node)} in place of ${operatorName(old.plan, b.node)}`;
    if (a.filters === b.filters) continue;
    if (!a.appendOnly || !b.appendOnly) return `filters or windows between it and ${operatorName(now.plan, a.node)} differ, and rows that came through the old ones could no longer be taken back`;
    remark = `~filters or windows between it and ${operatorName(now.plan, a.node)} differ: they hold for what comes from now on`;
  }
  return remark;
}

/** Why an operator finds none of its shape. */
function differs(old: Described, shapes: ReadonlyMap<PlanNode, string>, taken: ReadonlySet<PlanNode>, node: PlanNode): string {
  const alike = [...shapes.keys()].filter(o => o.op === node.op && !taken.has(o));
  if (alike.length === 0) return `the checkpoint has no ${node.op === 'materialize' ? 'view' : node.op} ${shapes.size === 0 ? '' : 'left '}to match`.replace('  ', ' ');
  const expires = (n: PlanNode): boolean => ('expires' in n && n.expires === true) || ('replaces' in n && n.replaces === true);
  if (alike.every(o => expires(o) !== expires(node))) return expires(node) ? 'it has state_ttl, and the state has no times' : 'the state is of a job with state_ttl, and it has none';
  return `keys, columns or functions differ from those of ${operatorName(old.plan, alike[0])}`;
}

/** Takes back matches that would leave one of two operators with its state and the other without, where rows are taken back between them. */
function together(now: Described, from: Map<PlanNode, PlanNode>, why: Map<PlanNode, string>): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const node of now.stateful) {
      // A sink keeps nothing of what it passed on.
      if (node.op === 'sink') continue;
      for (const r of now.readings(node)) {
        if (r.appendOnly || from.has(node) === from.has(r.node)) continue;
        const [kept, lost] = from.has(node) ? [node, r.node] : [r.node, node];
        from.delete(kept);
        why.set(kept, `its state and that of ${operatorName(now.plan, lost)}, which is not restored, belong together: rows are taken back between them`);
        changed = true;
      }
    }
  }
}

function sameForm(old: Plan, now: Plan): boolean {
  if (old.nodes.length !== now.nodes.length) return false;
  const place = (plan: Plan): ReadonlyMap<number, number> => new Map(plan.nodes.map((n, k) => [n.id, k]));
  const [a, b] = [place(old), place(now)];
  return old.nodes.every((o, k) => {
    const n = now.nodes[k];
    return o.op === n.op && o.inputs.length === n.inputs.length && o.inputs.every((i, x) => a.get(i) === b.get(n.inputs[x]));
  });
}

/** The new plan with the ids of the stored one where operators match, and ids that it never had elsewhere: state is found under its own ids. */
export function renumbered(plan: Plan, ids: ReadonlyMap<number, number>, firstFree: number): Plan {
  let next = firstFree;
  const of = new Map<number, number>();
  for (const n of plan.nodes) of.set(n.id, ids.get(n.id) ?? next++);
  const id = (before: number): number => of.get(before) ?? before;
  return { ...plan, nodes: plan.nodes.map(n => ({ ...n, id: id(n.id), inputs: n.inputs.map(id) })), roots: plan.roots.map(id) };
}
