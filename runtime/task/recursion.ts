/**
 * Rows of a recursive query while it runs: what UNION has seen, by equality key, and how much was given. Memory: the keys of UNION; the rows
 * themselves are held by whoever reads them.
 */
import { SqlError } from '../../types/error.js';
import type { Recursion } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { keyEncoder, type KeyEncoder } from '../keys.js';
import { batchBytes, gather } from '../vectors.js';

/** Named limit: bytes of all rows that a recursive query gives. */
export const RECURSION_BYTES_MAX = 1024 * 1024 * 1024;
/** What a batch costs beside its values: an iteration often gives one row. */
const BATCH_BYTES = 1024;

export class RecursiveRows {
  readonly #recursion: Recursion;
  readonly #keys: KeyEncoder;
  readonly #seen = new Set<string>();
  #bytes = 0;

  constructor(recursion: Recursion, types: readonly SqlType[]) {
    this.#recursion = recursion;
    this.#keys = keyEncoder(types, types.map((_, i) => i));
  }

  /** 54000 past the limit. */
  count(batch: Batch): void {
    this.#bytes += batchBytes(batch) + BATCH_BYTES;
    if (this.#bytes <= RECURSION_BYTES_MAX) return;
    throw new SqlError('54000', `recursive query "${this.#recursion.name}" gives too many rows`, {
      detail: `The limit is ${RECURSION_BYTES_MAX} bytes.`, hint: 'Write a condition into the recursive term that ends it, or UNION in place of UNION ALL when rows come again.',
    });
  }

  /** The rows that are given on: of UNION those that did not come before. */
  fresh(batches: readonly Batch[]): Batch[] {
    return this.#recursion.distinct ? batches.map(b => this.#unseen(b)).filter(b => b.length > 0) : [...batches];
  }

  #unseen(batch: Batch): Batch {
    const keys = this.#keys(batch);
    const rows = new Int32Array(batch.length);
    let count = 0;
    for (let i = 0; i < batch.length; i++) {
      const key = Buffer.from(keys.data.buffer, keys.data.byteOffset + keys.start[i], keys.end[i] - keys.start[i]).toString('latin1');
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      this.#bytes += key.length;
      rows[count++] = i;
    }
    return count === batch.length ? batch : gather(batch, rows, count);
  }
}
