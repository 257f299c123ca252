/**
 * DISTINCT aggregates of one argument over append-only input, all that share it together: `count(DISTINCT x)`, `count(DISTINCT x) FILTER (…)`, ….
 * Each FILTER is a bit. In an epoch (group, value) → mask of the filters that some row passed; at its end the state's set (NumberSet; for texts and
 * integers past 2^53 a group table with the mask as count) says which bits are new, and each bit's aggregates get the values that are.
 */
import { INT8, type SqlType } from '../../types/sqltype.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import type { Batch, F64Vector, Vector } from '../batch.js';
import { type KeyBatch, type KeyEncoder, keyEncoder } from '../keys.js';
import type { GroupTable } from '../state/table.js';
import { isNullAt } from '../vectors.js';
import { CountAccumulator, type FixedAccumulator } from './fixed.js';
import { NumberSet } from './numberset.js';
import { TypedKeys } from './typedkeys.js';

/** Named limit: FILTERs of one argument. */
export const DISTINCT_FILTERS_MAX = 30;
const EMPTY = new Uint8Array(0);

export interface DistinctVariant { readonly filter: number | null; readonly fixed: FixedAccumulator[] }

export class EpochDistinct {
  readonly column: number;
  readonly variants: readonly DistinctVariant[];
  readonly #numbers: NumberSet | null;
  readonly #others: GroupTable;
  readonly #encode: KeyEncoder;
  readonly #pairs: TypedKeys;
  readonly #width: number;
  /** By pair. */
  #masks = new Int32Array(1024);
  #rowMasks = new Int32Array(0);
  #pairOf = new Int32Array(0);
  #groups: Float64Array<ArrayBuffer> = new Float64Array(0);

  /** `types`: of the input; `nextTable` is called twice for numbers, else once. */
  constructor(types: readonly SqlType[], column: number, variants: readonly DistinctVariant[], nextTable: () => GroupTable) {
    this.column = column;
    this.variants = variants;
    this.#width = types.length;
    const type = types[column];
    this.#numbers = layoutOf(type) === 'bytes' ? null : new NumberSet(nextTable(), variants.length);
    this.#others = nextTable();
    this.#encode = keyEncoder([type], [0]);
    this.#pairs = new TypedKeys([INT8, type]);
  }

  get count(): number { return this.#pairs.count; }

  /** `groups`: the epoch's number of each row's group. */
  add(batch: Batch, groups: Int32Array): void {
    const n = batch.length;
    if (this.#rowMasks.length < n) { this.#rowMasks = new Int32Array(n); this.#pairOf = new Int32Array(n); this.#groups = new Float64Array(n); }
    const rowMasks = this.#rowMasks;
    this.variants.forEach((variant, bit) => { markRows(rowMasks, variant.filter === null ? null : batch.columns[variant.filter], n, 1 << bit, bit === 0); });
    const numbers = this.#groups;
    for (let i = 0; i < n; i++) numbers[i] = groups[i];
    const pairOf = this.#pairOf;
    this.#pairs.assign([{ form: 'f64', values: numbers, nulls: null }, batch.columns[this.column]], n, pairOf);
    if (this.#masks.length < this.#pairs.count) {
      const grown = new Int32Array(Math.max(this.#masks.length * 2, this.#pairs.count));
      grown.set(this.#masks);
      this.#masks = grown;
    }
    const masks = this.#masks;
    for (let i = 0; i < n; i++) masks[pairOf[i]] |= rowMasks[i];
  }

  // ---- into the state ----

  /** `keys`: the epoch's groups. */
  prefetch(keys: KeyBatch): Promise<void> | null {
    const others = this.#others.prefetch(keys);
    if (this.#numbers === null) return others;
    const roots = this.#numbers.prefetch(keys);
    if (roots === null && others === null) return this.#prefetchValues(keys);
    return Promise.all([roots, others]).then(() => this.#prefetchValues(keys) ?? undefined);
  }

  #prefetchValues(keys: KeyBatch): Promise<void> | null {
    const n = this.#pairs.count;
    if (this.#numbers === null || n === 0) return null;
    const column = this.#pairs.column(1);
    const values = column.form === 'f64' ? column.values.slice(0, n) : Float64Array.from({ length: n }, (_, k) => { const v = column.form === 'datum' ? column.values[k] : null; return typeof v === 'number' ? v : NaN; });
    return this.#numbers.prefetchValues(keys, Int32Array.from(this.#pairs.numbers(0).subarray(0, n)), values, n);
  }

  /** Makes the epoch's values known to the state. May move its records. */
  learn(keys: KeyBatch): void {
    const n = this.#pairs.count;
    if (n > 0) this.#learn(keys, this.#pairs.column(1), this.#pairs.numbers(0), this.#masks, n);
  }

  /** After `learn`: gives the values that were new to their aggregates. `pages`, `at`: cells of the groups in the state. */
  give(pages: readonly Float64Array[], at: Int32Array): void {
    const n = this.#pairs.count;
    if (n === 0) return;
    const values = this.#pairs.column(1);
    const groups = this.#pairs.numbers(0);
    const fresh = this.#masks;
    const others = this.variants.some((v) => v.fixed.some((a) => !(a instanceof CountAccumulator)));
    this.variants.forEach((variant, bit) => {
      for (const a of variant.fixed) if (a instanceof CountAccumulator) countFresh(fresh, 1 << bit, values, groups, n, pages, at, a.first);
    });
    if (others) this.#giveValues(fresh, values, groups, n, pages, at);
    this.#pairs.clear();
    this.#masks.fill(0, 0, n);
    if (this.#masks.length > 1 << 17) this.#masks = new Int32Array(1024);
  }

  #giveValues(fresh: Int32Array, values: Vector, groups: Float64Array, n: number, pages: readonly Float64Array[], at: Int32Array): void {
    const pairPages: Float64Array[] = [];
    const pairAt = new Int32Array(n);
    for (let k = 0; k < n; k++) { pairPages.push(pages[groups[k]]); pairAt[k] = at[groups[k]]; }
    const columns: Vector[] = Array.from({ length: this.#width }, () => values);
    const batch: Batch = { length: n, columns, weights: null };
    const rows = new Int32Array(n);
    this.variants.forEach((variant, bit) => {
      let count = 0;
      for (let k = 0; k < n; k++) if ((fresh[k] & (1 << bit)) !== 0) rows[count++] = k;
      for (const a of variant.fixed) if (!(a instanceof CountAccumulator)) a.update(batch, { rows, count, weights: null }, { pages: pairPages, at: pairAt });
    });
  }

  /** Leaves in `masks` the bits that the state had not. */
  #learn(keys: KeyBatch, values: Vector, groups: Float64Array, masks: Int32Array, n: number): void {
    const set = this.#numbers;
    if (set === null) { this.#learnOthers(keys, values, groups, masks, n); return; }
    const roots = new Int32Array(keys.length).fill(-1);
    const numbers = values.form === 'f64' ? (values as F64Vector).values : null;
    const bools = values.form === 'bool' ? values.values : null;
    let rest = false;
    for (let k = 0; k < n; k++) {
      const mask = masks[k];
      if (mask === 0) continue;
      const g = groups[k];
      let root = roots[g];
      if (root < 0) root = roots[g] = set.root(keys, g);
      if (isNullAt(values, k)) masks[k] = mask & ~set.orNull(root, mask);
      else {
        const x = numbers !== null ? numbers[k] : bools !== null ? bools[k] : values.form === 'datum' ? values.values[k] : null;
        if (typeof x !== 'number') { rest = true; continue; }
        masks[k] = mask & ~set.or(keys, g, root, x, mask);
      }
    }
    if (rest) this.#learnOthers(keys, values, groups, masks, n, true);
  }

  /** Texts, or (`bigs`) integers past 2^53 only. */
  #learnOthers(keys: KeyBatch, values: Vector, groups: Float64Array, masks: Int32Array, n: number, bigs = false): void {
    const table = this.#others;
    const encoded = this.#encode({ length: n, columns: [values], weights: null });
    const { data, start, end } = encoded;
    for (let k = 0; k < n; k++) {
      const mask = masks[k];
      if (mask === 0 || (bigs && !(values.form === 'datum' && typeof values.values[k] === 'bigint'))) continue;
      const g = groups[k];
      const before = table.add(keys, g, data, start[k], end[k], EMPTY, 0, 0, 0);
      const fresh = mask & ~before;
      masks[k] = fresh;
      if (fresh !== 0) table.add(keys, g, data, start[k], end[k], EMPTY, 0, 0, fresh);
    }
  }

  /** The sets of other groups than the epoch's, as far as `clear` needs them. */
  prefetchSets(keys: KeyBatch): Promise<void> | null {
    const others = this.#others.prefetch(keys);
    const roots = this.#numbers?.prefetch(keys) ?? null;
    return others === null ? roots : roots === null ? others : Promise.all([others, roots]).then(() => undefined);
  }

  clear(keys: KeyBatch, i: number): void {
    this.#numbers?.clear(keys, i);
    this.#others.clear(keys, i);
  }
}

/** count(DISTINCT x): new values that are not NULL, by group. */
function countFresh(fresh: Int32Array, bit: number, values: Vector, groups: Float64Array, n: number, pages: readonly Float64Array[], at: Int32Array, first: number): void {
  const nullable = values.form === 'datum' || values.nulls !== null;
  for (let k = 0; k < n; k++) {
    if ((fresh[k] & bit) === 0 || (nullable && isNullAt(values, k))) continue;
    const g = groups[k];
    pages[g][at[g] + first]++;
  }
}

/** Sets (`first`) or adds the bit in the rows where the filter is true. */
function markRows(masks: Int32Array, filter: Vector | null, n: number, bit: number, first: boolean): void {
  if (first) masks.fill(0, 0, n);
  if (filter === null) { for (let i = 0; i < n; i++) masks[i] |= bit; return; }
  if (filter.form === 'bool' && filter.nulls === null) {
    const values = filter.values;
    for (let i = 0; i < n; i++) if (values[i] === 1) masks[i] |= bit;
    return;
  }
  for (let i = 0; i < n; i++) {
    if (isNullAt(filter, i)) continue;
    if (filter.form === 'bool' ? filter.values[i] === 1 : filter.form === 'datum' && filter.values[i] === true) masks[i] |= bit;
  }
}
