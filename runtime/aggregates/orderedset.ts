/**
 * Ordered-set and hypothetical-set aggregates: f(direct arguments) WITHIN GROUP (ORDER BY …).
 *
 *   state                   a group table: subkey = order encoding of the ORDER BY columns, count = rows. Equal rows are one entry; where equal
 *                           values may look different (1.0 and 1.00, 0 and −0) the value's own bytes follow in the subkey. Payload: the value
 *   percentile_cont/_disc,  rows whose value is NULL do not count; the result is the value at a position, or between two
 *   mode
 *   rank, dense_rank,       NULLs count, no payload; the result is how many rows (different rows) come before the order encoding of the direct
 *   percent_rank, cume_dist arguments
 *
 * Direct arguments come in when a result is made, so calls over the same rows in the same order share one table (`sharing`).
 *
 * Cost: one add to the group's tree per input row, one entry for each different value; for each call one or two walks over the entries of each
 * group that an epoch touched, for the old and for the new result, which decode only the values they give.
 */
import type { AggregateCall } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { SqlArray } from '../../types/array.js';
import { SqlError } from '../../types/error.js';
import { compareSpans, copyBytes } from '../../types/encoding/bytes.js';
import { equalityIsIdentity } from '../../types/encoding/equality.js';
import type { OrderOptions } from '../../types/encoding/order.js';
import { RowCodec } from '../../types/encoding/row.js';
import { Interval } from '../../types/interval.js';
import type { Batch } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import { type KeyBatch, type KeyEncoder, keyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { GroupTable } from '../state/table.js';
import { batchFromDatums, isNullAt } from '../vectors.js';
import { type Selection, weightAt } from './fixed.js';
import type { GroupAccumulator } from './ordered.js';

const EMPTY = new Uint8Array(0);

type Result = (group: Group, direct: readonly Datum[]) => Datum;

/** What calls over the same rows in the same order have in common. */
export const orderedSetKey = (call: AggregateCall): string => JSON.stringify([call.filter, call.args, call.orderBy]);

export class OrderedSetAccumulator implements GroupAccumulator {
  readonly #set: OrderedSet;
  readonly #result: Result;
  readonly #group: Group;

  constructor(call: AggregateCall, types: readonly SqlType[], set: GroupTable | OrderedSet) {
    this.#set = set instanceof OrderedSet ? set : new OrderedSet(set, types, call);
    this.#result = resultOf(call);
    this.#group = new Group(this.#set);
  }

  /** Another call over the rows that this one keeps. */
  sharing(call: AggregateCall, types: readonly SqlType[]): OrderedSetAccumulator { return new OrderedSetAccumulator(call, types, this.#set); }

  get table(): GroupTable { return this.#set.table; }

  update(batch: Batch, selection: Selection, keys: KeyBatch): void { this.#set.update(batch, selection, keys); }

  emit(keys: KeyBatch, i: number, column: ColumnBuilder, row: number, direct: readonly Datum[]): void {
    column.appendDatum(row, this.#result(this.#group.at(keys, i), direct));
  }
}

class OrderedSet {
  readonly table: GroupTable;
  readonly codec: RowCodec;
  /** The subkey ends with the payload. */
  readonly tied: boolean;
  readonly #value: number | null;
  readonly #order: KeyEncoder;
  readonly #rows: ((batch: Batch) => RowBytes) | null;
  readonly #direct: (direct: readonly Datum[]) => Uint8Array;
  #subkey = new Uint8Array(64);

  constructor(table: GroupTable, types: readonly SqlType[], call: AggregateCall) {
    this.table = table;
    this.#value = call.args.length === 0 ? null : call.args[0];
    this.tied = this.#value !== null && !equalityIsIdentity(types[this.#value]);
    this.codec = new RowCodec(call.args.map((c) => types[c]));
    const options: OrderOptions[] = call.orderBy.map((k) => ({ descending: k.descending, nullsFirst: k.nullsFirst }));
    this.#order = keyEncoder(types, call.orderBy.map((k) => k.column), 'order', options);
    this.#rows = this.#value === null ? null : rowEncoder(types, call.args);
    const directTypes = call.orderBy.map((k) => types[k.column]);
    const encode = keyEncoder(directTypes, directTypes.map((_, c) => c), 'order', options);
    this.#direct = (direct) => {
      const key = encode(batchFromDatums(directTypes, [direct]));
      return key.data.subarray(key.start[0], key.end[0]);
    };
  }

  update(batch: Batch, s: Selection, keys: KeyBatch): void {
    const order = this.#order(batch);
    const bytes = this.#rows === null ? null : this.#rows(batch);
    const values = this.#value === null ? null : batch.columns[this.#value];
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      if (values !== null && isNullAt(values, i)) continue;
      const weight = weightAt(s, i);
      if (bytes === null) this.table.add(keys, i, order.data, order.start[i], order.end[i], EMPTY, 0, 0, weight);
      else if (this.tied) this.table.add(keys, i, this.#subkey, 0, this.#withValue(order, bytes, i), bytes.data, bytes.start[i], bytes.end[i], weight);
      else this.table.add(keys, i, order.data, order.start[i], order.end[i], bytes.data, bytes.start[i], bytes.end[i], weight);
    }
  }

  /** Row i's order key followed by its value in #subkey; gives the length. */
  #withValue(order: KeyBatch, bytes: RowBytes, i: number): number {
    const ordered = order.end[i] - order.start[i];
    const length = ordered + bytes.end[i] - bytes.start[i];
    if (this.#subkey.length < length) this.#subkey = new Uint8Array(length * 2);
    this.#subkey.set(order.data.subarray(order.start[i], order.end[i]));
    this.#subkey.set(bytes.data.subarray(bytes.start[i], bytes.end[i]), ordered);
    return length;
  }

  /** The order key of direct arguments. Valid until the next call. */
  orderKey(direct: readonly Datum[]): Uint8Array { return this.#direct(direct); }
}

/** One group of a set, as the results read it. */
class Group {
  readonly #set: OrderedSet;
  #keys: KeyBatch | null = null;
  #row = 0;
  /** The order key of the entry before. */
  #last = new Uint8Array(64);

  constructor(set: OrderedSet) { this.#set = set; }

  at(keys: KeyBatch, i: number): this {
    this.#keys = keys;
    this.#row = i;
    return this;
  }

  /** In order: each entry with rows. */
  #visit(visit: (data: Uint8Array, subStart: number, subEnd: number, payStart: number, payEnd: number, count: number) => boolean): void {
    if (this.#keys === null) return;
    this.#set.table.visit(this.#keys, this.#row, false, (data, subStart, subEnd, payStart, payEnd, count) => count <= 0 || visit(data, subStart, subEnd, payStart, payEnd, count));
  }

  rows(): number {
    let rows = 0;
    this.#visit((_data, _subStart, _subEnd, _payStart, _payEnd, count) => { rows += count; return true; });
    return rows;
  }

  /** Values at positions (from 0), which are ascending and within the rows. */
  valuesAt(positions: readonly number[]): Map<number, Datum> {
    const values = new Map<number, Datum>();
    let next = 0;
    let passed = 0;
    this.#visit((data, _subStart, _subEnd, payStart, payEnd, count) => {
      passed += count;
      if (positions[next] >= passed) return true;
      const [value] = this.#set.codec.decode(data, payStart, payEnd);
      while (next < positions.length && positions[next] < passed) values.set(positions[next++], value);
      return next < positions.length;
    });
    return values;
  }

  /** The value that most rows have; of several the first. Of equal ones that look different, any. */
  mode(): Datum {
    const { codec, tied } = this.#set;
    let [mode, most, run]: [Datum, number, number] = [null, 0, 0];
    let last = this.#last;
    let length = 0;
    this.#visit((data, subStart, subEnd, payStart, payEnd, count) => {
      if (tied) {
        const end = subEnd - (payEnd - payStart);
        if (compareSpans(data, subStart, end, last, 0, length) !== 0) {
          run = 0;
          length = end - subStart;
          if (length > last.length) last = this.#last = new Uint8Array(length * 2);
          copyBytes(data, subStart, end, last, 0);
        }
      } else run = 0;
      run += count;
      if (run > most) {
        most = run;
        [mode] = codec.decode(data, payStart, payEnd);
      }
      return true;
    });
    return mode;
  }

  /** How many rows, and how many different ones, come before the direct arguments; with `peers` also those equal to them. */
  before(direct: readonly Datum[], peers: boolean): { readonly rows: number; readonly entries: number } {
    const key = this.#set.orderKey(direct);
    let [rows, entries] = [0, 0];
    this.#visit((data, subStart, subEnd, _payStart, _payEnd, count) => {
      const sign = compareSpans(data, subStart, subEnd, key, 0, key.length);
      if (sign > 0 || (sign === 0 && !peers)) return false;
      rows += count;
      entries++;
      return true;
    });
    return { rows, entries };
  }
}

function resultOf(call: AggregateCall): Result {
  const name = call.fn.slice(0, call.fn.indexOf('('));
  switch (name) {
    case 'percentile_cont': case 'percentile_disc': {
      const continuous = name === 'percentile_cont';
      return call.fn.includes('(float8[]') ? (group, [fractions]) => percentiles(group, fractions, continuous) : (group, [fraction]) => percentile(group, fraction, continuous);
    }
    case 'mode': return (group) => group.mode();
    case 'rank': return (group, direct) => group.before(direct, false).rows + 1;
    case 'dense_rank': return (group, direct) => group.before(direct, false).entries + 1;
    case 'percent_rank': return (group, direct) => { const rows = group.rows(); return rows === 0 ? 0 : group.before(direct, false).rows / rows; };
    case 'cume_dist': return (group, direct) => (group.before(direct, true).rows + 1) / (group.rows() + 1);
    default: throw new SqlError('XX000', `internal error: ${call.fn} is no ordered-set aggregate`);
  }
}

function percentile(group: Group, fraction: Datum, continuous: boolean): Datum {
  if (fraction === null) return null;
  const checked = checkedFraction(fraction as number);
  const rows = group.rows();
  return rows === 0 ? null : valuesOf(group, [checked], rows, continuous)[0];
}

/** Of each fraction of an array, in an array of the same shape. */
function percentiles(group: Group, fractions: Datum, continuous: boolean): Datum {
  const rows = group.rows();
  if (rows === 0 || !(fractions instanceof SqlArray)) return null;
  const checked = fractions.elems.map((f) => (f === null ? null : checkedFraction(f as number)));
  return new SqlArray(valuesOf(group, checked, rows, continuous), fractions.dims, fractions.lower);
}

function valuesOf(group: Group, fractions: readonly (number | null)[], rows: number, continuous: boolean): Datum[] {
  const places = fractions.map((f) => (f === null ? null : continuous ? f * (rows - 1) : Math.max(0, Math.ceil(f * rows) - 1)));
  const positions = new Set(places.flatMap((p) => (p === null ? [] : [Math.floor(p), Math.ceil(p)])));
  const values = group.valuesAt([...positions].sort((a, b) => a - b));
  return places.map((p) => {
    if (p === null) return null;
    const low = values.get(Math.floor(p)) ?? null;
    return Number.isInteger(p) ? low : between(low, values.get(Math.ceil(p)) ?? null, p - Math.floor(p));
  });
}

function between(low: Datum, high: Datum, part: number): Datum {
  if (low instanceof Interval && high instanceof Interval) return high.sub(low).mul(part).add(low);
  return (low as number) + part * ((high as number) - (low as number));
}

export function checkedFraction(fraction: number): number {
  if (fraction >= 0 && fraction <= 1) return fraction;
  throw new SqlError('22003', `percentile value ${sixDigits(fraction)} is not between 0 and 1`);
}

/** As C's %g. */
function sixDigits(v: number): string {
  if (!Number.isFinite(v)) return String(v);
  const [digits, exponent] = v.toExponential(5).split('e');
  const e = Number(exponent);
  const bare = (s: string): string => (s.includes('.') ? s.replace(/\.?0+$/, '') : s);
  if (e >= -4 && e < 6) return bare(v.toFixed(5 - e));
  return `${bare(digits)}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`;
}
