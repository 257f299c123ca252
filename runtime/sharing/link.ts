/**
 * What the readers of one stream hand on to each other: a chain of links, one for each batch that a shared reader decoded. A link is a point in
 * the stream (positions of all splits) together with what lies between the link before it and itself. Every job keeps its own place in the
 * chain; what all have passed is referenced by nobody and goes by itself.
 */
import type { Json } from '../../types/connect.js';
import type { SourceField } from '../../types/plan.js';
import type { Batch, Vector } from '../batch.js';
import type { BadRecord, SplitBatch } from '../connector.js';

/** Columns a shared reader decodes: the union of what its members read. */
export class Layout {
  readonly fields: readonly SourceField[];
  readonly #at = new Map<string, number>();

  constructor(fields: readonly SourceField[]) {
    this.fields = fields;
    for (const [i, f] of fields.entries()) this.#at.set(JSON.stringify(f), i);
  }

  static union(parts: readonly Layout[]): Layout {
    const fields = new Map<string, SourceField>();
    for (const p of parts) for (const f of p.fields) fields.set(JSON.stringify(f), f);
    // Declared order: decoders compile the same code for the same set.
    return new Layout([...fields.values()].sort((a, b) => a.ordinal - b.ordinal || (a.name < b.name ? -1 : 1)));
  }

  has(other: Layout): boolean { return other.fields.every(f => this.#at.has(JSON.stringify(f))); }
  sameAs(other: Layout): boolean { return this.fields.length === other.fields.length && this.has(other); }

  /** Where the other layout's columns stand in this one; null = all, in this order. */
  columnsOf(other: Layout): readonly number[] | null {
    const at = other.fields.map(f => this.#at.get(JSON.stringify(f)) ?? -1);
    return at.length === this.fields.length && at.every((c, i) => c === i) ? null : at;
  }
}

/** Where a reader stands, as its methods tell it. */
export interface Standing {
  positions: Record<string, Json>;
  unread: readonly string[];
  finished: ReadonlySet<string> | undefined;
}

export interface Link {
  readonly standing: Standing;
  readonly layout: Layout;
  /** Null: only bad records lie before it. */
  readonly given: SplitBatch | null;
  readonly bad: readonly BadRecord[];
  /** Bytes the batch holds in memory. */
  readonly bytes: number;
  /** Members that have not passed it yet. */
  left: number;
  next: Link | null;
  /** The same point of the stream in the chain of the group that this one's joined. */
  same: Link | null;
}

/** The link after this point, in whichever chain goes on from it. */
export function following(link: Link): Link | null { return newest(link).next; }

/** The same point in the chain that goes on from it. */
export function newest(link: Link): Link {
  let l = link;
  while (l.next === null && l.same !== null) l = l.same;
  return l;
}

export function origin(standing: Standing, layout: Layout): Link {
  return { standing, layout, given: null, bad: [], bytes: 0, left: 0, next: null, same: null };
}

/** Bytes that a reference to the batch keeps: text columns hold the whole block they are spans of. */
export function heldBytes(batch: Batch): number {
  const seen = new Set<ArrayBufferLike>();
  let bytes = 0;
  const add = (a: { readonly buffer: ArrayBufferLike } | null): void => {
    if (a === null || seen.has(a.buffer)) return;
    seen.add(a.buffer);
    bytes += a.buffer.byteLength;
  };
  for (const v of batch.columns) addVector(v, add);
  return bytes + batch.length * batch.columns.reduce((n, v) => n + (v.form === 'datum' ? 64 : 0), 0);
}

function addVector(v: Vector, add: (a: { readonly buffer: ArrayBufferLike } | null) => void): void {
  if (v.form === 'datum') return;
  if (v.form === 'bytes') { add(v.data); add(v.start); add(v.end); }
  else add(v.values);
  add(v.nulls);
}

/** Place of each split that any of the two has: −1 where one has not begun it. */
export function places(a: Readonly<Record<string, Json>>, b: Readonly<Record<string, Json>>, place: (position: Json) => number): { split: string; a: number; b: number }[] {
  const at = (p: Json | undefined): number => (p === undefined ? -1 : place(p));
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].map(split => ({ split, a: at(a[split]), b: at(b[split]) }));
}

/** How far `from` is behind `to`, over all splits. */
export function distance(from: Readonly<Record<string, Json>>, to: Readonly<Record<string, Json>>, place: (position: Json) => number): number {
  let sum = 0;
  for (const s of places(from, to, place)) sum += Math.max(0, s.b - Math.max(0, s.a));
  return sum;
}

/** In each split the farther of the two. */
export function farther(a: Readonly<Record<string, Json>>, b: Readonly<Record<string, Json>>, place: (position: Json) => number): Record<string, Json> {
  return Object.fromEntries(places(a, b, place).map(s => [s.split, (s.a >= s.b ? a[s.split] : b[s.split]) ?? null]));
}

/** No split of `a` is behind `b`. */
export function reaches(a: Readonly<Record<string, Json>>, b: Readonly<Record<string, Json>>, place: (position: Json) => number): boolean {
  return places(a, b, place).every(s => s.a >= s.b);
}
