/**
 * Aggregate: GROUP BY and DISTINCT. The groups and their changes stand in GroupState (aggregates/groupstate.ts).
 *
 * Two ways from a batch to the state:
 *   by epoch   where keys and accumulators allow it (aggregates/epochgroups.ts): a batch goes into the epoch's own groups, and these are merged
 *              into the state at the barrier, once a group, whatever its rows. Behind an exchange rows come as partial results (preaggregate.ts)
 *   by row     (1) find or insert each row's group, but for rows whose key the batch had shortly before (RecentKeys); (2) one loop per
 *              aggregate over the rows' cells
 *
 * Barrier: each touched group gives −old and +new, once. Without group keys the one group is always there. Batch queries: all groups at the end.
 * `closes`: the watermark frees groups: those whose time has come are gone after the epoch's results (emitOnClose: their result is given then,
 * and only then).
 *
 * Cost: by epoch 10–30 ns a row for the group, by row 40–100 ns; 2–10 ns a fixed aggregate; per epoch and touched group a look-up and two result rows.
 */
import type { AggregateCall, AggregateNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { assert, SqlError } from '../../types/error.js';
import { type DistinctVariant, EpochDistinct } from '../aggregates/epochdistinct.js';
import { EpochExtreme } from '../aggregates/epochextreme.js';
import { canPreaggregate, EpochGroups, filterRows, isDistinct, type Leaving } from '../aggregates/epochgroups.js';
import type { FixedAccumulator, Selection } from '../aggregates/fixed.js';
import { RecentKeys } from '../aggregates/groupkeys.js';
import { type GroupPart, GroupState, HEAD, type Result, ROWS } from '../aggregates/groupstate.js';
import { makeAccumulator } from '../aggregates/make.js';
import { DistinctSet, type GroupAccumulator, OrderedExtreme } from '../aggregates/ordered.js';
import { OrderedSetAccumulator, orderedSetKey } from '../aggregates/orderedset.js';
import type { Batch } from '../batch.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import type { GroupTable } from '../state/table.js';

/** Named limit: state tables of one operator (ids are node.id * 16 + k). */
const TABLES_MAX = 16;

/** Aggregates that see the same rows: equal FILTER, equal DISTINCT arguments. */
interface Inputs {
  readonly filter: number | null;
  readonly distinct: DistinctSet | null;
  readonly fixed: FixedAccumulator[];
  readonly groups: GroupAccumulator[];
  filtered: Int32Array;
  /** Of the batch in hand. */
  selection: Selection;
}

const NO_ROWS: Selection = { rows: new Int32Array(0), count: 0, weights: null };

export class AggregateOperator implements Operator {
  readonly node: AggregateNode;
  readonly #context: OperatorContext;
  readonly #types: readonly SqlType[];
  readonly #encode: KeyEncoder;
  readonly #state: GroupState;
  readonly #epoch: EpochGroups | null;
  readonly #parts: GroupPart[] = [];
  #tables = 0;
  readonly #inputs: Inputs[] = [];
  readonly #results: Result[] = [];

  #prepared: { readonly batch: Batch; readonly keys: KeyBatch } | null = null;
  /** The epoch's groups as they go into the state. */
  #leaving: Leaving | null = null;
  #closedUpTo = -Infinity;
  /** The earliest closing time among the epoch's first `of` groups. */
  #epochCloses = { of: 0, at: Infinity };

  readonly #recent = new RecentKeys();
  /** The slot of each row's group, or ~k: the group of row k, earlier in the batch. */
  #slots = new Int32Array(0);
  #at = new Int32Array(0);
  #pages: Float64Array[] = [];
  #all = new Int32Array(0);

  constructor(node: AggregateNode, context: OperatorContext, input: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#types = input.map((c) => c.type);
    this.#encode = keyEncoder(this.#types, node.groupKeys);
    const byEpoch = canPreaggregate(node, this.#types);
    assert(byEpoch || node.partialInput !== true, 'partial results for an aggregate that cannot add them up');
    assert(byEpoch || node.hop === undefined, 'ranges of windows under an aggregate that cannot add them up');
    const distincts: EpochDistinct[] = [];
    const extremes: EpochExtreme[] = [];
    const cells = byEpoch ? this.#layOutByEpoch(distincts, extremes) : this.#layOut();
    this.#state = new GroupState(node, context, node.groupKeys.map((k) => this.#types[k]), this.#results, this.#parts, cells, subplans);
    this.#epoch = byEpoch ? new EpochGroups(this.#types, node, this.#inputs, distincts, extremes, cells) : null;
  }

  // ---- accumulators ----

  readonly #tableBehind = (): GroupTable => {
    const k = ++this.#tables;
    if (k >= TABLES_MAX) throw new SqlError('54000', `one GROUP BY can have at most ${TABLES_MAX - 1} aggregates that keep their values (DISTINCT, ordered, min and max of text)`, { hint: 'Split the query into several views and join them by their keys.' });
    return this.#context.groupTable(k, 'ordered');
  };

  readonly #nextTable = (): GroupTable => {
    const table = this.#tableBehind();
    this.#parts.push(table);
    return table;
  };

  #make(call: AggregateCall): Result {
    return makeAccumulator(call, { node: this.node, types: this.#types, session: this.#context.session, batchMode: this.#context.batchMode, nextTable: this.#nextTable });
  }

  /** Makes the accumulators and gives each its cells; the number of doubles of a group. */
  #layOut(): number {
    let first = HEAD;
    const sets = new Map<string, OrderedSetAccumulator>();
    for (const call of this.node.calls) {
      const shared = call.direct === undefined ? undefined : sets.get(orderedSetKey(call));
      if (shared !== undefined) { this.#results.push({ group: shared.sharing(call, this.#types) }); continue; }
      const made = this.#make(call);
      if ('group' in made && made.group instanceof OrderedSetAccumulator) sets.set(orderedSetKey(call), made.group);
      if ('fixed' in made) { made.fixed.first = first; first += made.fixed.slots; }
      this.#results.push(made);
      const inputs = this.#inputsFor(call.filter, isDistinct(call) ? call.args : null);
      if ('fixed' in made) inputs.fixed.push(made.fixed);
      else inputs.groups.push(made.group);
    }
    return first;
  }

  #inputsFor(filter: number | null, distinct: readonly number[] | null): Inputs {
    for (const known of this.#inputs) {
      if (known.filter === filter && (distinct === null ? known.distinct === null : known.distinct !== null && known.distinct.args.join() === distinct.join())) return known;
    }
    const set = distinct === null ? null : new DistinctSet(this.#nextTable(), this.#types, distinct);
    const made: Inputs = { filter, distinct: set, fixed: [], groups: [], filtered: new Int32Array(0), selection: NO_ROWS };
    this.#inputs.push(made);
    return made;
  }

  #layOutByEpoch(distincts: EpochDistinct[], extremes: EpochExtreme[]): number {
    let first = HEAD;
    const variants = new Map<number, DistinctVariant[]>();
    for (const call of this.node.calls) {
      const made = this.#make(call);
      this.#results.push(made);
      if ('group' in made) {
        assert(made.group instanceof OrderedExtreme, 'an aggregate that cannot be pre-aggregated');
        extremes.push(new EpochExtreme(made.group, this.#types, call.args[0], call.fn.startsWith('max'), call.filter));
        continue;
      }
      made.fixed.first = first;
      first += made.fixed.slots;
      if (!isDistinct(call)) { this.#inputsFor(call.filter, null).fixed.push(made.fixed); continue; }
      const of = variants.get(call.args[0]) ?? [];
      variants.set(call.args[0], of);
      const same = of.find((v) => v.filter === call.filter);
      if (same === undefined) of.push({ filter: call.filter, fixed: [made.fixed] });
      else same.fixed.push(made.fixed);
    }
    for (const [column, of] of variants) {
      const distinct = new EpochDistinct(this.#types, column, of, this.#tableBehind);
      distincts.push(distinct);
      this.#parts.push({ prefetch: (keys) => distinct.prefetchSets(keys), clear: (keys, i) => { distinct.clear(keys, i); } });
    }
    return first;
  }

  // ---- batches ----

  prefetch(batch: Batch): Promise<void> | null {
    if (this.#epoch !== null) return this.#epoch.full ? this.#prefetchEpoch(this.#epoch) : null;
    const keys = this.#encode(batch);
    this.#prepared = { batch, keys };
    return this.#state.prefetch(keys);
  }

  process(batch: Batch): void {
    if (this.#epoch !== null) {
      if (this.#epoch.full) this.#flush();
      this.#leaving = null;
      if (this.node.partialInput === true) this.#epoch.addPartials(batch);
      else this.#epoch.add(batch);
      return;
    }
    const keys = this.#prepared?.batch === batch ? this.#prepared.keys : this.#encode(batch);
    this.#prepared = null;
    const n = batch.length;
    this.#room(n);
    this.#findGroups(batch, keys, n);
    const weights = batch.weights;
    // What may move records (group tables share the task's pages) comes before anybody looks into cells.
    const everything: Selection = { rows: this.#all, count: n, weights };
    for (const inputs of this.#inputs) {
      inputs.selection = inputs.filter === null ? everything : this.#filter(batch, inputs, inputs.filter);
      if (inputs.distinct !== null) inputs.selection = inputs.distinct.changes(batch, inputs.selection, keys);
      for (const a of inputs.groups) a.update(batch, inputs.selection, keys);
    }
    this.#locate(n);
    const pages = this.#pages;
    const at = this.#at;
    for (let i = 0; i < n; i++) pages[i][at[i] + ROWS] += weights === null ? 1 : weights[i];
    const cells = { pages, at };
    for (const inputs of this.#inputs) for (const a of inputs.fixed) a.update(batch, inputs.selection, cells);
  }

  #room(n: number): void {
    if (this.#slots.length >= n) return;
    const room = Math.max(n, this.#slots.length * 2);
    this.#slots = new Int32Array(room);
    this.#at = new Int32Array(room);
    const nowhere = new Float64Array(0);
    while (this.#pages.length < room) this.#pages.push(nowhere);
    this.#all = new Int32Array(room);
    for (let i = 0; i < room; i++) this.#all[i] = i;
  }

  /** Pages and places of the cells, from the slots. */
  #locate(n: number): void {
    const { table } = this.#state;
    const pages = this.#pages;
    const at = this.#at;
    const slots = this.#slots;
    for (let i = 0; i < n; i++) {
      const slot = slots[i];
      pages[i] = slot < 0 ? pages[~slot] : table.page(slot).f64;
      at[i] = slot < 0 ? at[~slot] : table.offset(slot) >>> 3;
    }
  }

  #filter(batch: Batch, inputs: Inputs, column: number): Selection {
    if (inputs.filtered.length < batch.length) inputs.filtered = new Int32Array(batch.length);
    return filterRows(batch, column, inputs.filtered, batch.length);
  }

  #findGroups(batch: Batch, keys: KeyBatch, n: number): void {
    const slots = this.#slots;
    const recent = this.#recent;
    const columns = this.node.groupKeys.map((k) => batch.columns[k]);
    recent.begin(keys);
    for (let i = 0; i < n; i++) {
      const same = recent.row(keys, i);
      slots[i] = same >= 0 ? ~same : this.#state.meet(keys, i, columns);
    }
  }

  /** Partial results that were in flight when the job ran in parallel. */
  async addPartials(batch: Batch): Promise<void> {
    const epoch = this.#epoch;
    assert(epoch !== null, 'partial results for an aggregate that cannot add them up');
    if (epoch.full) {
      await this.#prefetchEpoch(epoch);
      this.#flush();
    }
    this.#leaving = null;
    epoch.addPartials(batch);
  }

  // ---- the epoch's groups into the state ----

  #prefetchEpoch(epoch: EpochGroups): Promise<void> | null {
    if (epoch.count === 0) return null;
    const { keys } = this.#leaving ??= epoch.leave();
    let waiting = this.#state.prefetch(keys);
    for (const d of epoch.distincts) {
      const more = d.prefetch(keys);
      if (more !== null) waiting = waiting === null ? more : Promise.all([waiting, more]).then(() => undefined);
    }
    return waiting;
  }

  /** First every group's old result (in `meet`), then what changes it. */
  #flush(): void {
    const epoch = this.#epoch;
    if (epoch === null || epoch.count === 0) return;
    const leaving = this.#leaving ?? epoch.leave();
    const { count, columns, keys } = leaving;
    this.#leaving = null;
    this.#room(count);
    const slots = this.#slots;
    for (let g = 0; g < count; g++) slots[g] = this.#state.meet(keys, g, columns);
    // Group tables share the task's pages: what may move records comes before anybody looks into cells.
    for (const e of epoch.extremes) e.flush(keys);
    for (const d of epoch.distincts) d.learn(keys);
    this.#locate(count);
    epoch.mergeInto(leaving, this.#pages, this.#at);
    for (const d of epoch.distincts) d.give(this.#pages, this.#at);
    epoch.clear();
    this.#epochCloses = { of: 0, at: Infinity };
  }

  // ---- barrier ----

  prefetchBarrier(barrier: Barrier): Promise<void> | null {
    const epoch = this.#epoch;
    let waiting = epoch === null ? null : this.#prefetchEpoch(epoch);
    const state = this.#state;
    if (!state.late && state.touched.length > 0) {
      const touched = state.prefetch(state.touched);
      if (touched !== null) waiting = waiting === null ? touched : Promise.all([waiting, touched]).then(() => undefined);
    }
    if (state.idle !== null && barrier.midEpoch === undefined) {
      const { idle } = state;
      const sweep = (): Promise<void> | null => idle.collect(barrier.timeUs, (keys) => state.prefetch(keys));
      return waiting === null ? sweep() : waiting.then(() => sweep() ?? undefined);
    }
    if (this.#closedUpTo === -Infinity) return waiting;
    return this.#whenThere(waiting, this.#closedUpTo);
  }

  /** Groups that close by `us`, those of the epoch included, when some of the state is not in memory. */
  #whenThere(waiting: Promise<void> | null, us: number): Promise<void> | null {
    const state = this.#state;
    if (waiting === null) {
      if (state.table.allResident) return null;
      this.#flush();
      return state.collectDue(us);
    }
    return waiting.then(() => {
      this.#flush();
      return state.collectDue(us) ?? undefined;
    });
  }

  barrier(barrier: Barrier): void {
    const state = this.#state;
    state.loosen();
    this.#flush();
    if (state.global && this.#context.subtask === 0) state.ensureGlobal();
    if (state.late) return;
    state.emitTouched(barrier.timeUs);
    if (state.idle !== null && barrier.midEpoch === undefined) state.freeIdle(barrier.timeUs);
    // Rows for closing groups may come until the epoch ends.
    if (this.#closedUpTo > -Infinity && barrier.midEpoch === undefined) {
      state.freeDue(this.#closedUpTo);
      this.#closedUpTo = -Infinity;
    }
  }

  // ---- closing ----

  /** The earliest time at which a group closes. */
  #minClose(): number {
    const epoch = this.#epoch;
    const { closes } = this.node;
    if (epoch === null || closes === null) return this.#state.minClose;
    if (this.#epochCloses.of < epoch.count) this.#epochCloses = { of: epoch.count, at: Math.min(this.#epochCloses.at, epoch.minTime(closes.keyIndex, this.#epochCloses.of) + closes.addUs) };
    return Math.min(this.#state.minClose, this.#epochCloses.at);
  }

  prefetchWatermark(us: number): Promise<void> | null {
    if (this.node.closes?.emitOnClose !== true || this.#context.batchMode || us < this.#minClose()) return null;
    return this.#whenThere(this.#epoch === null ? null : this.#prefetchEpoch(this.#epoch), us);
  }

  watermark(us: number): void {
    const { closes } = this.node;
    if (closes === null || this.#context.batchMode || (us < this.#minClose() && !this.#state.dueKnown)) return;
    if (!closes.emitOnClose) { this.#closedUpTo = us; return; }
    this.#flush();
    this.#state.emitDue(us);
  }

  // ---- batch queries ----

  readState(): void { this.#state.emitAll(); }
  close(): void { this.#state.idle?.close(); }

  end(): void {
    if (!this.#context.batchMode) return;
    this.#flush();
    this.#state.emitAll();
  }
}
