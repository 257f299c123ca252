/**
 * Z-set consolidation: changes of an epoch with equal rows merged. By key: at most one −old and one +new a key, next to each other in that
 * order, and nothing where they are equal; keyless: one row with its net weight. What sinks, subscriptions and views of an epoch see.
 */
import type { SqlType } from '../types/sqltype.js';
import type { Batch } from './batch.js';
import { BatchBuilder } from './batchbuilder.js';
import { keyEncoder, type KeyBatch, rowEncoder } from './keys.js';

interface Net { readonly key: string; readonly batch: number; readonly row: number; weight: number }

const span = (data: Uint8Array, start: number, end: number): string => Buffer.from(data.buffer, data.byteOffset + start, end - start).toString('latin1');

/**
 * The net changes of the batches. Cost: one map entry a row, so for edges of results, not for hot paths inside a job. `key` null: keyless.
 * Batches that are all inserts with distinct rows come back as they are only when `appendOnly` says so.
 */
export function consolidate(types: readonly SqlType[], batches: readonly Batch[], key: readonly number[] | null, appendOnly: boolean): Batch[] {
  if (appendOnly && batches.every(b => b.weights === null)) return [...batches];
  const rows = rowEncoder(types);
  const keys = key === null ? null : keyEncoder(types, key);
  const nets = new Map<string, Net>();
  const byKey = new Map<string, Net[]>();
  batches.forEach((b, at) => {
    const bytes = rows(b);
    const keyBytes: KeyBatch | null = keys === null ? null : keys(b);
    for (let i = 0; i < b.length; i++) {
      const text = span(bytes.data, bytes.start[i], bytes.end[i]);
      const weight = b.weights === null ? 1 : b.weights[i];
      const known = nets.get(text);
      if (known !== undefined) { known.weight += weight; continue; }
      const net: Net = { key: keyBytes === null ? text : span(keyBytes.data, keyBytes.start[i], keyBytes.end[i]), batch: at, row: i, weight };
      nets.set(text, net);
      const group = byKey.get(net.key);
      if (group === undefined) byKey.set(net.key, [net]);
      else group.push(net);
    }
  });
  const builder = new BatchBuilder(types);
  for (const group of byKey.values()) {
    if (group.length > 1) group.sort((a, b) => a.weight - b.weight);
    for (const n of group) if (n.weight !== 0) builder.appendRow(batches[n.batch], n.row, n.weight);
  }
  return builder.length === 0 ? [] : [builder.finish()];
}

