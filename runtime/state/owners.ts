/**
 * Whose a state entry is when a job goes on at another parallelism: the subtask that gets the rows of its key from now on.
 *
 * Rows are spread by the key group of the columns that an exchange goes by. These are the state key's columns, or some of them (an aggregation
 * by window and auction may be spread by the auction alone): then they are cut out of the key's bytes, which delimit themselves. What an entry's
 * own key group says holds for the old parallelism only. A view without key is keyed by its whole rows: where it takes rows back the columns are
 * read from the row; where it does not, any subtask may have a row, and several may: their counts are added up.
 *
 * Cost: a hash an entry, and a walk over the key's columns where only some of them count.
 */
import { ByteWriter, viewOf } from '../../types/encoding/bytes.js';
import { writeEquality } from '../../types/encoding/equality.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { layoutOf } from '../../types/encoding/kinds.js';
import { RowCodec } from '../../types/encoding/row.js';
import { SqlError } from '../../types/error.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import { NODES_TABLE } from './grouptable.js';
import { TABLES_PER_NODE } from './keyspace.js';

/** Columns of a node's output that its rows are spread by; 'single': one subtask has all; null: nothing is known. */
type Spread = readonly number[] | 'single' | null;

/** Hash that the rows of a key are spread by. */
type KeyHash = (data: Uint8Array, start: number, end: number) => number;

export interface Owners {
  /** Key group of what an exchange spreads the entry's rows by. `tableId` without the scratch bit. */
  keyGroup(tableId: number, data: Uint8Array, start: number, end: number): number;
  /** Hash of the entry's own key: what its table keeps it by. */
  ownHash(tableId: number, data: Uint8Array, start: number, end: number): number;
  /** Counts of equal keys from several tasks are added up. */
  summed(tableId: number): boolean;
}

export function nodeOfTable(tableId: number): number { return Math.floor((tableId >= NODES_TABLE ? tableId - NODES_TABLE : tableId) / TABLES_PER_NODE); }

/** `plan`: normalised, that of the job that goes on. Throws 0A000 for state that cannot be given to other subtasks. */
export function ownersOf(plan: Plan, maxParallelism: number): Owners {
  const byId = new Map(plan.nodes.map(n => [n.id, n]));
  const spreads = new Map<number, Spread>();
  const hashes = new Map<number, KeyHash[]>();
  const sums = new Set<number>();
  for (const n of plan.nodes) {
    spreads.set(n.id, spreadOf(n, n.inputs.map(i => spreads.get(i) ?? null), byId));
    const sides = stateKeys(n);
    if (sides.length > 0) hashes.set(n.id, sides.map(({ input, columns }) => keyHash(n, columns, spreads.get(n.inputs[input]) ?? null, byId.get(n.inputs[input])?.columns.map(c => c.type) ?? [])));
    if (n.op === 'materialize' && n.key === null) sums.add(n.id);
  }
  const hashOf = (tableId: number): KeyHash => {
    const sides = hashes.get(nodeOfTable(tableId)) ?? [];
    // A join's two sides are its tables 0 and 1; every other operator's tables have one key.
    return sides[sides.length > 1 ? tableId % TABLES_PER_NODE : 0] ?? hashBytes;
  };
  // Below a group's root, nodes stand under the group's key and four bytes of a number.
  const keyEnd = (tableId: number, end: number): number => (tableId >= NODES_TABLE ? end - 4 : end);
  return {
    keyGroup: (tableId, data, start, end) => (hashOf(tableId)(data, start, keyEnd(tableId, end)) >>> 0) % maxParallelism,
    ownHash: (tableId, data, start, end) => hashBytes(data, start, keyEnd(tableId, end)),
    summed: tableId => sums.has(nodeOfTable(tableId)),
  };
}

/** What a node's state is looked up by: columns of an input; null: the whole row. */
function stateKeys(n: PlanNode): readonly { readonly input: number; readonly columns: readonly number[] | null }[] {
  switch (n.op) {
    case 'aggregate': return [{ input: 0, columns: n.groupKeys }];
    case 'extremerows': case 'topn': case 'over': case 'session': case 'sessionaggregate': return [{ input: 0, columns: n.partition }];
    case 'process': return n.partition.length === 0 ? [] : [{ input: 0, columns: n.partition }];
    case 'join': return [{ input: 0, columns: n.leftKeys }, { input: 1, columns: n.rightKeys }];
    case 'lookup': return [{ input: 1, columns: n.rightKeys }];
    case 'materialize': return [{ input: 0, columns: n.key }];
    default: return [];
  }
}

function spreadOf(n: PlanNode, inputs: readonly Spread[], byId: ReadonlyMap<number, PlanNode>): Spread {
  const [first = null] = inputs;
  const mapped = (at: (column: number) => number): Spread => {
    if (first === null || first === 'single') return first;
    const columns = first.map(at);
    return columns.includes(-1) ? null : columns;
  };
  switch (n.op) {
    case 'source': case 'table': case 'rows': return null;
    case 'exchange': return n.kind === 'single' ? 'single' : n.keys;
    case 'calc': return mapped(c => n.project.findIndex(e => e.node === 'column' && e.index === c));
    case 'aggregate': return mapped(c => n.groupKeys.indexOf(c));
    case 'process': return first === 'single' ? first : null;
    case 'session': return mapped(c => n.keep.indexOf(c));
    case 'sessionaggregate': return mapped(c => n.keys.indexOf(n.partition.indexOf(c)));
    case 'union': return inputs.every(s => s === 'single') ? 'single' : null;
    case 'join': {
      const [left = null, right = null] = inputs;
      if (left === 'single' && right === 'single') return 'single';
      if (n.kind === 'full') return null;
      if (n.kind !== 'right') return left;
      const width = byId.get(n.inputs[0])?.columns.length ?? 0;
      return right === null || right === 'single' ? right : right.map(c => c + width);
    }
    default: return first;
  }
}

function keyHash(n: PlanNode, key: readonly number[] | null, spread: Spread, types: readonly SqlType[]): KeyHash {
  // One subtask has all, or all rows of the state are alike to every subtask.
  if (spread === 'single' || key?.length === 0) return hashBytes;
  if (key === null) return n.appendOnly ? hashBytes : rowHash(n, spread, types);
  if (spread === null) throw new SqlError('0A000', `node ${n.id} (${n.op}) cannot go on at another parallelism: its rows are spread by what its state does not keep`);
  const places = spread.map(c => key.indexOf(c));
  if (places.includes(-1)) throw new SqlError('0A000', `node ${n.id} (${n.op}) cannot go on at another parallelism: its rows are spread by columns that are not in its key`);
  if (places.length === key.length && places.every((p, k) => p === k)) return hashBytes;
  return partHash(key.map(c => types[c]), places);
}

/** Of some columns of an equality key, in the order of `places`. */
function partHash(types: readonly SqlType[], places: readonly number[]): KeyHash {
  const layouts = types.map(layoutOf);
  const starts: number[] = [];
  const writer = new ByteWriter(256);
  return (data, start, end) => {
    const view = viewOf(data);
    let at = start;
    for (let k = 0; k < layouts.length; k++) {
      starts[k] = at;
      switch (layouts[k]) {
        case 'number': case 'big': case 'float': at += isBig(view, at) ? 16 : 8; break;
        case 'bool': at += 1; break;
        default: at += 4 + Math.max(0, view.getInt32(at, true));
      }
    }
    starts[layouts.length] = at;
    if (at !== end) throw new SqlError('XX001', 'a state key does not have the columns of its plan');
    writer.pos = 0;
    for (const p of places) writer.span(data, starts[p], starts[p + 1]);
    return hashBytes(writer.bytes, 0, writer.pos);
  };
}

const BIG_LOW = 0x4d494c4c;
const BIG_HIGH = 0x7ff80000;
/** The mark of a bigint: eight more bytes follow (types/encoding/equality.ts). */
function isBig(view: DataView, at: number): boolean { return view.getUint32(at, true) === BIG_LOW && view.getUint32(at + 4, true) === BIG_HIGH; }

/** Of columns of a stored row. */
function rowHash(n: PlanNode, spread: readonly number[] | null, types: readonly SqlType[]): KeyHash {
  if (spread === null) throw new SqlError('0A000', `node ${n.id} (${n.op}) cannot go on at another parallelism: rows that it takes back may come to any subtask`);
  const codec = new RowCodec(types);
  const writer = new ByteWriter(256);
  return (data, start, end) => {
    const row = codec.decode(data, start, end);
    writer.pos = 0;
    for (const c of spread) writeEquality(writer, types[c], row[c] ?? null);
    return hashBytes(writer.bytes, 0, writer.pos);
  };
}
