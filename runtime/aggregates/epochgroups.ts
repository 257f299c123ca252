/**
 * An epoch's groups before the state sees them (pre-aggregation): typed keys → dense group numbers, accumulators side by side in one array of
 * doubles, laid out as in the state's rows. A batch costs no look-up in the state, and no bytes are made of keys; at the epoch's end (or when
 * there are more than the limits) every group met is merged into its row of the state once. Nobody sees a result in between, so nothing changes
 * for readers; a checkpoint finds everything in the state.
 *
 * `hop`: the input has ranges of windows. A group of the epoch is then (the other keys, range) and goes into the state's row of every window.
 *
 * Groups also leave as partial results, for an aggregate behind an exchange, and come in as such (partials.ts).
 *
 * For aggregations whose keys are readable from their encoding and whose accumulators can be merged: fixed ones; DISTINCT of one such
 * argument, and min/max of texts, over append-only input. Others work on the state row by row.
 */
import type { AggregateCall, AggregateNode, HopRanges } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import { assert } from '../../types/error.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import type { Batch, Vector } from '../batch.js';
import { gatherVector } from '../vectors.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import { DISTINCT_FILTERS_MAX, type EpochDistinct } from './epochdistinct.js';
import type { EpochExtreme } from './epochextreme.js';
import type { Cells, FixedAccumulator, Selection } from './fixed.js';
import { emptyKey, keysReadable } from './groupkeys.js';
import { HEAD, ROWS } from './groupstate.js';
import { isMergeable } from './make.js';
import { KEY_COLUMNS_MAX, TypedKeys } from './typedkeys.js';

/** Named limits: groups, bytes of accumulators, DISTINCT pairs, before they go into the state early. */
const GROUPS_MAX = 1 << 16;
const CELL_BYTES_MAX = 1 << 23;
const PAIRS_MAX = 1 << 17;

/** Cells of a group that partial results leave out: those of the head but the rows. */
const SKIPPED = HEAD - 1;

/** Aggregates that see the same rows. */
export interface FixedInputs { readonly filter: number | null; readonly fixed: readonly FixedAccumulator[] }

/** Groups on their way into the state: `source[k]` is the epoch's group that row k comes from (null: k). */
export interface Leaving { readonly count: number; readonly columns: readonly Vector[]; readonly keys: KeyBatch; readonly source: Int32Array | null }

/** DISTINCT means something for this call. */
export const isDistinct = (call: AggregateCall): boolean => call.distinct && !/^(min|max|bool_|every|bit_and|bit_or)/.test(call.fn);

export const isTextExtreme = (call: AggregateCall, types: readonly SqlType[]): boolean => /^(min|max)\(/.test(call.fn) && layoutOf(types[call.args[0]]) === 'bytes' && types[call.args[0]].kind !== 'bpchar';

/** Whether the aggregation can be pre-aggregated. */
export function canPreaggregate(node: Pick<AggregateNode, 'groupKeys' | 'calls' | 'inputAppendOnly'>, types: readonly SqlType[]): boolean {
  if (node.groupKeys.length > KEY_COLUMNS_MAX || !keysReadable(node.groupKeys.map((k) => types[k]))) return false;
  const filters = new Map<number, number>();
  for (const call of node.calls) {
    if (isDistinct(call)) {
      const [arg] = call.args;
      if (!node.inputAppendOnly || call.args.length !== 1 || !equalityIsIdentity(types[arg]) || !isMergeable({ ...call, distinct: false }, [types[arg]])) return false;
      filters.set(arg, (filters.get(arg) ?? 0) + 1);
    } else if (isTextExtreme(call, types)) {
      if (!node.inputAppendOnly) return false;
    } else if (!isMergeable({ ...call, distinct: false }, call.args.map((a) => types[a])) || (/^(min|max)\(/.test(call.fn) && !node.inputAppendOnly)) return false;
  }
  return [...filters.values()].every((n) => n <= DISTINCT_FILTERS_MAX);
}

/** Input columns of the epoch's keys: the group keys, with `hop` those that are no window, then the range's two. */
export function epochKeyColumns({ groupKeys, hop }: Pick<AggregateNode, 'groupKeys' | 'hop'>): readonly number[] {
  return hop === undefined ? groupKeys : [...groupKeys.filter((_, c) => c !== hop.start && c !== hop.end), hop.first, hop.last];
}

export class EpochGroups {
  readonly #keyColumns: readonly number[];
  readonly #groupKeys: readonly number[];
  readonly #hop: HopRanges | null;
  readonly #inputs: readonly FixedInputs[];
  readonly #distincts: readonly EpochDistinct[];
  readonly #extremes: readonly EpochExtreme[];
  readonly #typed: TypedKeys;
  readonly #encode: KeyEncoder;
  readonly #stride: number;
  readonly #groupsMax: number;
  #page: Float64Array<ArrayBuffer>;
  #count = 0;
  /** Of the batch's rows: number of the group, place of its cells, the page. */
  #groups = new Int32Array(0);
  #at = new Int32Array(0);
  #pages: Float64Array[] = [];
  #all = new Int32Array(0);
  #filtered: Int32Array[] = [];

  /** `stride`: doubles of a group. */
  constructor(types: readonly SqlType[], node: Pick<AggregateNode, 'groupKeys' | 'hop'>, inputs: readonly FixedInputs[], distincts: readonly EpochDistinct[], extremes: readonly EpochExtreme[], stride: number) {
    const hop = node.hop ?? null;
    this.#hop = hop;
    this.#groupKeys = node.groupKeys;
    this.#keyColumns = epochKeyColumns(node);
    this.#inputs = inputs;
    this.#distincts = distincts;
    this.#extremes = extremes;
    this.#typed = new TypedKeys(this.#keyColumns.map((k) => types[k]));
    const keyTypes = node.groupKeys.map((k) => types[k]);
    this.#encode = keyEncoder(keyTypes, keyTypes.map((_, c) => c));
    this.#stride = stride;
    this.#groupsMax = Math.max(1, Math.min(GROUPS_MAX, Math.floor(CELL_BYTES_MAX / (stride * 8))));
    this.#page = new Float64Array(stride);
  }

  get count(): number { return this.#count; }
  get distincts(): readonly EpochDistinct[] { return this.#distincts; }
  get extremes(): readonly EpochExtreme[] { return this.#extremes; }
  /** Time to merge into the state. */
  get full(): boolean { return this.#count >= this.#groupsMax || this.#distincts.some((d) => d.count >= PAIRS_MAX); }

  add(batch: Batch): void {
    const n = batch.length;
    if (n === 0) return;
    this.#room(n);
    const groups = this.#groups;
    this.#assign(this.#keyColumns.map((k) => batch.columns[k]), n);
    const at = this.#at;
    const stride = this.#stride;
    const page = this.#page;
    const weights = batch.weights;
    for (let i = 0; i < n; i++) {
      const p = groups[i] * stride;
      at[i] = p;
      page[p + ROWS] += weights === null ? 1 : weights[i];
    }
    const everything: Selection = { rows: this.#all, count: n, weights };
    this.#updateFixed(batch, everything, { pages: this.#pages, at });
    for (const e of this.#extremes) {
      const selection = e.filter === null ? everything : filterRows(batch, e.filter, this.#filtered[this.#inputs.length], n);
      e.add(batch, selection, groups, this.#count);
    }
    for (const d of this.#distincts) d.add(batch, groups);
  }

  /** The rows' groups, with room for them. */
  #assign(keys: readonly Vector[], n: number): void {
    if (keys.length === 0) this.#count = 1;
    else {
      this.#typed.assign(keys, n, this.#groups);
      this.#count = this.#typed.count;
    }
    this.#growPage();
  }

  #updateFixed(batch: Batch, everything: Selection, cells: Cells): void {
    for (let k = 0; k < this.#inputs.length; k++) {
      const { filter, fixed } = this.#inputs[k];
      if (fixed.length === 0) continue;
      const selection = filter === null ? everything : filterRows(batch, filter, this.#filtered[k], batch.length);
      for (const a of fixed) a.update(batch, selection, cells);
    }
  }

  #room(n: number): void {
    if (this.#groups.length >= n) return;
    this.#groups = new Int32Array(n);
    this.#at = new Int32Array(n);
    this.#all = Int32Array.from({ length: n }, (_, i) => i);
    this.#pages = Array.from({ length: n }, () => this.#page);
    this.#filtered = Array.from({ length: this.#inputs.length + 1 }, () => new Int32Array(n));
  }

  #growPage(): void {
    const need = this.#count * this.#stride;
    if (need <= this.#page.length) return;
    const grown = new Float64Array(Math.max(need, this.#page.length * 2));
    grown.set(this.#page);
    this.#page = grown;
    for (let i = 0; i < this.#pages.length; i++) this.#pages[i] = grown;
  }

  // ---- partial results (partials.ts) ----

  /** Doubles of a partial result: the rows, then the accumulators. */
  get #width(): number { return this.#stride - SKIPPED; }

  /** The groups as partial results, for aggregations of fixed accumulators only. Stays valid. */
  partials(): Batch {
    const n = this.#count;
    const width = this.#width;
    const stride = this.#stride;
    const page = this.#page;
    const cells = new Float64Array(n * width);
    for (let g = 0, p = 0; g < n; g++) {
      const from = g * stride;
      cells[p++] = page[from + ROWS];
      for (let k = HEAD; k < stride; k++) cells[p++] = page[from + k];
    }
    return { length: n, columns: [...this.#keyColumns.map((_, c) => this.#typed.column(c)), cellsVector(cells, width)], weights: null };
  }

  /** Each row as the partial result over itself. */
  rowPartials(batch: Batch): Batch {
    const n = batch.length;
    this.#room(n);
    const width = this.#width;
    const { weights } = batch;
    const cells = new Float64Array(n * width);
    const pages = Array.from({ length: n }, () => cells);
    const at = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      cells[i * width] = weights === null ? 1 : weights[i];
      at[i] = i * width - SKIPPED;
    }
    this.#updateFixed(batch, { rows: this.#all, count: n, weights }, { pages, at });
    return { length: n, columns: [...this.#keyColumns.map((k) => batch.columns[k]), cellsVector(cells, width)], weights: null };
  }

  addPartials(batch: Batch): void {
    const n = batch.length;
    if (n === 0) return;
    this.#room(n);
    this.#assign(batch.columns.slice(0, -1), n);
    const v = batch.columns[this.#keyColumns.length];
    assert(v.form === 'bytes' && (v.data.byteOffset & 7) === 0, 'partial results are no doubles');
    const from = new Float64Array(v.data.buffer as ArrayBuffer, v.data.byteOffset, v.data.length >>> 3);
    const { start } = v;
    const groups = this.#groups;
    const at = this.#at;
    const stride = this.#stride;
    const page = this.#page;
    for (let i = 0; i < n; i++) {
      at[i] = groups[i] * stride;
      page[at[i] + ROWS] += from[start[i] >>> 3];
    }
    for (const { fixed } of this.#inputs) {
      for (const a of fixed) {
        const { first } = a;
        for (let i = 0; i < n; i++) a.merge(page, at[i] + first, from, (start[i] >>> 3) + first - SKIPPED);
      }
    }
  }

  // ---- into the state ----

  /** The groups as the state has them; the keys are valid until the next call. */
  leave(): Leaving {
    if (this.#hop !== null) return this.#leaveByWindow(this.#hop);
    const columns = this.#keyColumns.map((_, c) => this.#typed.column(c));
    const count = this.#count;
    return { count, columns, keys: columns.length === 0 ? emptyKey() : this.#encode({ length: count, columns, weights: null }), source: null };
  }

  #leaveByWindow(hop: HopRanges): Leaving {
    const width = this.#keyColumns.length;
    const firsts = this.#typed.numbers(width - 2);
    const lasts = this.#typed.numbers(width - 1);
    const { sizeUs, slideUs } = hop;
    let count = 0;
    for (let g = 0; g < this.#count; g++) count += Math.floor((lasts[g] - sizeUs - firsts[g]) / slideUs) + 1;
    const source = new Int32Array(count);
    const starts = new Float64Array(count);
    const ends = new Float64Array(count);
    let k = 0;
    for (let g = 0; g < this.#count; g++) {
      for (let start = firsts[g]; start + sizeUs <= lasts[g]; start += slideUs) {
        source[k] = g;
        starts[k] = start;
        ends[k++] = start + sizeUs;
      }
    }
    let c = 0;
    const columns = this.#groupKeys.map((_, at): Vector => {
      if (at === hop.start) return { form: 'f64', values: starts, nulls: null };
      return at === hop.end ? { form: 'f64', values: ends, nulls: null } : gatherVector(this.#typed.column(c++), source, count);
    });
    return { count, columns, keys: this.#encode({ length: count, columns, weights: null }), source };
  }

  /** The earliest of the groups' times (NULL = never) among group key `key`, from group `from` on. */
  minTime(key: number, from: number): number {
    const hop = this.#hop;
    const edge = hop !== null && (key === hop.start || key === hop.end);
    // The first window of the range ends before the others.
    const c = hop === null ? key : edge ? this.#keyColumns.length - 2 : this.#keyColumns.indexOf(this.#groupKeys[key]);
    const add = hop !== null && key === hop.end ? hop.sizeUs : 0;
    const times = this.#typed.numbers(c);
    let min = Infinity;
    for (let g = from; g < this.#count; g++) if (!this.#typed.isNull(g, c) && times[g] < min) min = times[g];
    return min + add;
  }

  /** Adds the groups' cells to those of their rows in the state: `pages[k]`, `at[k]` of row k of what leaves. */
  mergeInto({ count, source }: Leaving, pages: readonly Float64Array[], at: Int32Array): void {
    const page = this.#page;
    const stride = this.#stride;
    for (let k = 0; k < count; k++) pages[k][at[k] + ROWS] += page[(source === null ? k : source[k]) * stride + ROWS];
    for (const { fixed } of this.#inputs) {
      for (const a of fixed) {
        const { first } = a;
        for (let k = 0; k < count; k++) a.merge(pages[k], at[k] + first, page, (source === null ? k : source[k]) * stride + first);
      }
    }
  }

  clear(): void {
    this.#page.fill(0, 0, this.#count * this.#stride);
    this.#count = 0;
    this.#typed.clear();
    // A burst's array is not kept for ever.
    if (this.#page.length > 1 << 18) {
      this.#page = new Float64Array(this.#stride);
      for (let i = 0; i < this.#pages.length; i++) this.#pages[i] = this.#page;
    }
  }
}

/** `width` doubles a row as bytes. */
function cellsVector(cells: Float64Array<ArrayBuffer>, width: number): Vector {
  const n = cells.length / width;
  const start = new Int32Array(n);
  const end = new Int32Array(n);
  for (let i = 0; i < n; i++) { start[i] = i * width * 8; end[i] = start[i] + width * 8; }
  return { form: 'bytes', data: new Uint8Array(cells.buffer), start, end, nulls: null };
}

/** Rows where the filter is true, into `rows`. */
export function filterRows(batch: Batch, column: number, rows: Int32Array, n: number): Selection {
  const v = batch.columns[column];
  let count = 0;
  if (v.form === 'bool' && v.nulls === null) {
    const values = v.values;
    for (let i = 0; i < n; i++) if (values[i] === 1) rows[count++] = i;
  } else {
    for (let i = 0; i < n; i++) {
      if (v.form === 'datum' ? v.values[i] === true : v.form === 'bool' && v.values[i] === 1 && (v.nulls === null || v.nulls[i] === 0)) rows[count++] = i;
    }
  }
  return { rows, count, weights: batch.weights };
}
