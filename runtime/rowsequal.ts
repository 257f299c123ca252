/** Whether two rows of batches are the same to the byte: no change to tell anybody of. */
import type { SqlType } from '../types/sqltype.js';
import { ByteWriter } from '../types/encoding/bytes.js';
import { writeIdentity } from '../types/encoding/identity.js';
import type { Batch, Vector } from './batch.js';
import { datumAt, isNullAt } from './vectors.js';

const left = new ByteWriter();
const right = new ByteWriter();

/** Compares columns from `first` on. */
export function rowsEqual(types: readonly SqlType[], a: Batch, i: number, b: Batch, j: number, first = 0): boolean {
  for (let c = first; c < types.length; c++) if (!valuesEqual(types[c], a.columns[c], i, b.columns[c], j)) return false;
  return true;
}

export function valuesEqual(type: SqlType, a: Vector, i: number, b: Vector, j: number): boolean {
  const none = isNullAt(a, i);
  if (none !== isNullAt(b, j)) return false;
  if (none) return true;
  if (a.form === 'f64' && b.form === 'f64') return Object.is(a.values[i], b.values[j]);
  if (a.form === 'dec' && b.form === 'dec') return a.values[i] === b.values[j] && a.scale === b.scale;
  if (a.form === 'bool' && b.form === 'bool') return a.values[i] === b.values[j];
  if (a.form === 'bytes' && b.form === 'bytes') {
    const n = a.end[i] - a.start[i];
    if (n !== b.end[j] - b.start[j]) return false;
    for (let p = 0; p < n; p++) if (a.data[a.start[i] + p] !== b.data[b.start[j] + p]) return false;
    return true;
  }
  const x = datumAt(type, a, i);
  const y = datumAt(type, b, j);
  if (x === null || y === null) return x === y;
  left.pos = 0;
  right.pos = 0;
  writeIdentity(left, type, x);
  writeIdentity(right, type, y);
  return left.pos === right.pos && Buffer.compare(left.bytes.subarray(0, left.pos), right.bytes.subarray(0, right.pos)) === 0;
}
