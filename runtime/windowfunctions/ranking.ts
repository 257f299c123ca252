/** Window functions proper: row_number, rank, …, lag, lead, first_value, last_value, nth_value. Each fills one result column of a batch, partition by partition. */
import type { OverCall } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { SqlError } from '../../types/error.js';
import type { Batch } from '../batch.js';
import type { ColumnBuilder } from '../batchbuilder.js';
import { datumAt } from '../vectors.js';
import { Frames, isExcluded, type Partition, type Range } from './frame.js';

/** Appends the results of the partition's rows, in order, as rows [p.from, p.to) of `out`. */
export type PartitionFunction = (batch: Batch, p: Partition, out: ColumnBuilder) => void;

/** null: an aggregate. */
export function partitionFunction(call: OverCall, types: readonly SqlType[]): PartitionFunction | null {
  const name = call.fn.slice(0, call.fn.indexOf('('));
  switch (name) {
    case 'row_number': return numbers((p, i) => i - p.from + 1);
    case 'rank': return numbers((p, i) => p.groupStart[p.groupOf[i - p.from]] - p.from + 1);
    case 'dense_rank': return numbers((p, i) => p.groupOf[i - p.from] + 1);
    case 'percent_rank': return numbers((p, i) => (p.to - p.from === 1 ? 0 : (p.groupStart[p.groupOf[i - p.from]] - p.from) / (p.to - p.from - 1)));
    case 'cume_dist': return numbers((p, i) => (p.groupStart[p.groupOf[i - p.from] + 1] - p.from) / (p.to - p.from));
    case 'ntile': return ntile(types[call.args[0]], call.args[0]);
    case 'lag': return shifted(call, types, -1);
    case 'lead': return shifted(call, types, 1);
    case 'first_value': case 'last_value': case 'nth_value': return valueInFrame(call, types, name);
    default: return null;
  }
}

function numbers(value: (p: Partition, i: number) => number): PartitionFunction {
  return (_batch, p, out) => { for (let i = p.from; i < p.to; i++) out.appendNumber(i, value(p, i)); };
}

const intAt = (type: SqlType, batch: Batch, column: number, i: number): number | null => {
  const d: Datum = datumAt(type, batch.columns[column], i);
  return d === null ? null : Number(d);
};

/** As PostgreSQL: the number of buckets is that of the first row where it is not NULL (those before give NULL); larger buckets come first. */
function ntile(type: SqlType, column: number): PartitionFunction {
  return (batch, p, out) => {
    const rows = p.to - p.from;
    let bucket = 0;
    let inBucket = 0;
    let size = 0;
    let larger = 0;
    for (let i = p.from; i < p.to; i++) {
      if (bucket === 0) {
        const buckets = intAt(type, batch, column, i);
        if (buckets === null) { out.appendNull(i); continue; }
        if (buckets <= 0) throw new SqlError('22014', 'argument of ntile must be greater than zero');
        bucket = 1;
        larger = buckets > rows ? 0 : rows % buckets;
        size = Math.max(Math.floor(rows / buckets), 1) + (larger > 0 ? 1 : 0);
      }
      if (++inBucket > size) {
        if (bucket++ === larger) size--;
        inBucket = 1;
      }
      out.appendNumber(i, bucket);
    }
  };
}

function shifted(call: OverCall, types: readonly SqlType[], direction: 1 | -1): PartitionFunction {
  const [value, offset, otherwise] = call.args;
  return (batch, p, out) => {
    for (let i = p.from; i < p.to; i++) {
      const by = offset === undefined ? 1 : intAt(types[offset], batch, offset, i);
      const at = by === null ? null : i + direction * by;
      if (at === null) out.appendNull(i);
      else if (at >= p.from && at < p.to) out.appendFrom(i, batch.columns[value], at);
      else if (otherwise === undefined) out.appendNull(i);
      else out.appendFrom(i, batch.columns[otherwise], i);
    }
  };
}

function valueInFrame(call: OverCall, types: readonly SqlType[], name: 'first_value' | 'last_value' | 'nth_value'): PartitionFunction {
  const frames = new Frames(call, types);
  const [value, nth] = call.args;
  return (batch, p, out) => {
    const range: Range = { start: 0, end: 0 };
    frames.begin(batch, p);
    for (let i = p.from; i < p.to; i++) {
      frames.at(i, range);
      const n = name === 'nth_value' ? intAt(types[nth], batch, nth, i) : 1;
      if (n !== null && n <= 0) throw new SqlError('22016', 'argument of nth_value must be greater than zero');
      const at = n === null ? -1 : name === 'last_value' ? lastIn(range, call, p, i) : nthIn(range, call, p, i, n);
      if (at < 0) out.appendNull(i);
      else out.appendFrom(i, batch.columns[value], at);
    }
  };
}

function lastIn(range: Range, call: OverCall, p: Partition, i: number): number {
  for (let j = range.end - 1; j >= range.start; j--) if (!isExcluded(call.frame.exclude, p, i, j)) return j;
  return -1;
}

function nthIn(range: Range, call: OverCall, p: Partition, i: number, n: number): number {
  if (call.frame.exclude === 'none') return range.start + n - 1 < range.end ? range.start + n - 1 : -1;
  let left = n;
  for (let j = range.start; j < range.end; j++) if (!isExcluded(call.frame.exclude, p, i, j) && --left === 0) return j;
  return -1;
}
