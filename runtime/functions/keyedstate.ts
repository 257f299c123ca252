/**
 * Keyed state of own functions.
 *
 *   table 0   key → [version 1][structured clone of [timers, cleanup, values]]: all value, reducing and aggregating states of the key, each
 *             [value] or with a TTL [value, ms]; of a list state [number of its next element]; timers in order of time
 *   table 1   key → ordered group of the elements of list and map states: state name, NUL, element number or map key → structured clone of
 *             [value] or [value, ms]. A change costs by the element, not by the list
 *
 * Records are decoded once for each call of the operator (a batch, a watermark) and written back at its end, where they changed.
 * `cleanup`: the wall clock at which values with a TTL are looked through, 0 = none have one. Timers and clean-ups are also in memory, by time.
 */
import { deserialize, serialize } from 'node:v8';
import { SqlError } from '../../types/error.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { ByteWriter } from '../../types/encoding/bytes.js';
import { writeOrderFloat } from '../../types/encoding/order.js';
import type { KeyBatch } from '../keys.js';
import type { GroupTable, StateTable } from '../state/table.js';
import type {
  AggregatingState, AggregatingStateDescriptor, KeyedStateStore, ListState, MapKey, MapState, ReducingState, ReducingStateDescriptor, StateDescriptor, StateTtl, ValueState, ValueStateDescriptor,
} from './api.js';
import { DueTimes } from './duetimes.js';

const VERSION = 1;
/** Clean-ups are noted for times that are multiples of a fraction of the TTL, at least this far apart. */
const CLEANUP_STEP_MIN_MS = 100;
const CLEANUPS_A_TTL = 8;

type Stored = readonly [unknown] | readonly [unknown, number];
export interface KeyRecord { timers: number[]; cleanup: number; readonly values: Map<string, Stored> }
interface Live { readonly record: KeyRecord; readonly keys: KeyBatch; readonly i: number; dirty: boolean }
type Kind = 'value' | 'list' | 'map' | 'reducing' | 'aggregating';

export function decodeRecord(bytes: Uint8Array): KeyRecord {
  if (bytes[0] !== VERSION) throw new SqlError('XX001', `keyed state of version ${bytes[0]} is not known`);
  // A copy: what is decoded may share the bytes it is decoded from.
  const [timers, cleanup, values] = deserialize(bytes.slice(1)) as [number[], number, Map<string, Stored>];
  return { timers, cleanup, values };
}

export const decodeElement = (bytes: Uint8Array): Stored => deserialize(bytes.slice()) as Stored;

export class KeyedState implements KeyedStateStore {
  readonly #table: StateTable;
  readonly #groups: GroupTable;
  readonly #now: () => number;
  readonly #what: string;
  readonly timers = new DueTimes();
  readonly #cleanups = new DueTimes();
  readonly #kinds = new Map<string, { readonly kind: Kind; readonly ttl: StateTtl | null }>();
  #usesGroups = false;
  #usesTtl = false;
  /** Records met in this call. */
  readonly #live = new Map<string, Live>();
  #keys: KeyBatch | null = null;
  #row = 0;
  #current: Live | null = null;

  /** `what` names the function in errors. */
  constructor(table: StateTable, groups: GroupTable, now: () => number, what: string) {
    this.#table = table;
    this.#groups = groups;
    this.#now = now;
    this.#what = what;
  }

  // ---- for the operator ----

  prefetch(keys: KeyBatch): Promise<void> | null {
    const table = this.#table.prefetch(keys);
    const groups = this.#usesGroups ? this.#groups.prefetch(keys) : null;
    return table === null ? groups : groups === null ? table : Promise.all([table, groups]).then(() => undefined);
  }

  /** The key in hand from now on; null = none. The keys must stay as they are until `flush`. */
  setKey(keys: KeyBatch | null, i: number): void {
    this.#keys = keys;
    this.#row = i;
    this.#current = null;
  }

  /** Fills timers and clean-ups from the table: all that it has after a restore. */
  async noteAll(): Promise<void> {
    this.timers.clear();
    this.#cleanups.clear();
    await this.#table.scan((key, value) => {
      const { timers, cleanup } = decodeRecord(value);
      const hash = hashBytes(key, 0, key.length);
      for (const us of timers) this.timers.addKey(us, key, 0, key.length, hash);
      if (cleanup > 0) this.#cleanups.addKey(cleanup, key, 0, key.length, hash);
    });
  }

  /** Writes back what changed; at the end of every call. */
  flush(): void {
    for (const live of this.#live.values()) if (live.dirty) this.#write(live);
    this.#live.clear();
    this.setKey(null, 0);
  }

  prefetchCleanup(): Promise<void> | null {
    const due = this.#usesTtl ? this.#cleanups.due(this.#now()) : null;
    return due === null ? null : this.prefetch(due);
  }

  /** Takes out what has expired of the keys that are due. */
  cleanup(): void {
    if (!this.#usesTtl) return;
    const now = this.#now();
    while (this.#cleanups.first <= now) {
      const at = this.#cleanups.first;
      const keys = this.#cleanups.take();
      for (let k = 0; k < keys.length; k++) {
        this.setKey(keys, k);
        if (this.#record().record.cleanup === at) this.#expire(now);
      }
      this.flush();
    }
  }

  // ---- timers ----

  registerTimer(us: number): void {
    if (!Number.isFinite(us)) throw new SqlError('22023', `${this.#what}: ${us} is no time for a timer`);
    const live = this.#record();
    const { timers } = live.record;
    const at = lowerBound(timers, us);
    if (timers[at] === us) return;
    timers.splice(at, 0, us);
    live.dirty = true;
    this.timers.add(us, live.keys, live.i);
  }

  /** Whether it was there. */
  deleteTimer(us: number): boolean {
    const live = this.#record();
    const { timers } = live.record;
    const at = lowerBound(timers, us);
    if (timers[at] !== us) return false;
    timers.splice(at, 1);
    live.dirty = true;
    return true;
  }

  // ---- records ----

  #record(): Live {
    if (this.#current !== null) return this.#current;
    const keys = this.#keys;
    const i = this.#row;
    if (keys === null) throw new SqlError('38000', `${this.#what} used keyed state or a timer with no key in hand`, { hint: 'Keyed state belongs to processElement and onTimer of a call with partition_by => key.' });
    const name = Buffer.from(keys.data.buffer, keys.data.byteOffset + keys.start[i], keys.end[i] - keys.start[i]).toString('latin1');
    let live = this.#live.get(name);
    if (live === undefined) {
      const slot = this.#table.find(keys, i);
      live = { record: slot < 0 ? { timers: [], cleanup: 0, values: new Map() } : decodeRecord(this.#bytes(slot)), keys, i, dirty: false };
      this.#live.set(name, live);
    }
    this.#current = live;
    return live;
  }

  #bytes(slot: number): Uint8Array {
    const at = this.#table.offset(slot);
    return this.#table.page(slot).bytes.subarray(at, at + this.#table.length(slot));
  }

  #write({ record, keys, i }: Live): void {
    const table = this.#table;
    let slot = table.find(keys, i);
    if (record.timers.length === 0 && record.cleanup === 0 && record.values.size === 0) {
      if (slot >= 0) table.delete(slot);
      return;
    }
    const bytes = serialize([record.timers, record.cleanup, record.values]);
    if (slot < 0) slot = table.findOrInsert(keys, i, bytes.length + 1);
    else {
      table.changed(slot);
      if (table.length(slot) !== bytes.length + 1) table.resize(slot, bytes.length + 1);
    }
    const at = table.offset(slot);
    const page = table.page(slot).bytes;
    page[at] = VERSION;
    page.set(bytes, at + 1);
  }

  // ---- time to live ----

  #stored(value: unknown, ttl: StateTtl | null): Stored {
    if (ttl === null) return [value];
    const now = this.#now();
    const live = this.#record();
    if (live.record.cleanup === 0) this.#noteCleanup(live, now + ttl.ms, ttl.ms);
    return [value, now];
  }

  #noteCleanup(live: Live, ms: number, ttlMs: number): void {
    const step = Math.max(CLEANUP_STEP_MIN_MS, Math.floor(ttlMs / CLEANUPS_A_TTL));
    live.record.cleanup = Math.ceil(ms / step) * step;
    live.dirty = true;
    this.#cleanups.add(live.record.cleanup, live.keys, live.i);
  }

  #isExpired(stored: Stored, ttl: StateTtl | null): boolean { return ttl !== null && stored.length === 2 && stored[1] + ttl.ms <= this.#now(); }

  /** Of the key in hand, everything; and notes when the next of it expires. */
  #expire(now: number): void {
    const live = this.#record();
    let next = Infinity;
    let step = Infinity;
    const keep = (stored: Stored, ttl: StateTtl): boolean => {
      if (stored.length < 2) return true;
      const end = (stored[1] ?? 0) + ttl.ms;
      if (end <= now) return false;
      if (end < next) { next = end; step = ttl.ms; }
      return true;
    };
    for (const [name, { kind, ttl }] of this.#kinds) {
      if (ttl === null) continue;
      if (kind === 'list' || kind === 'map') {
        let left = 0;
        for (const { subkey, stored } of this.#elements(name)) {
          if (keep(stored, ttl)) left++;
          else this.#remove(subkey);
        }
        if (left === 0) live.record.values.delete(name);
        continue;
      }
      const stored = live.record.values.get(name);
      if (stored !== undefined && !keep(stored, ttl)) live.record.values.delete(name);
    }
    live.record.cleanup = 0;
    live.dirty = true;
    if (next < Infinity) this.#noteCleanup(live, next, step);
  }

  // ---- states in the record ----

  #register(descriptor: StateDescriptor, kind: Kind): StateTtl | null {
    const { name } = descriptor;
    const ttl = descriptor.ttl ?? null;
    if (name === '' || name.includes('\0')) throw new SqlError('22023', `${this.#what}: "${name}" is no name for a state`);
    if (ttl !== null && !(ttl.ms > 0)) throw new SqlError('22023', `${this.#what}: the TTL of state "${name}" must be greater than 0 ms`);
    const known = this.#kinds.get(name);
    if (known !== undefined && known.kind !== kind) throw new SqlError('22023', `${this.#what}: state "${name}" is both a ${known.kind} and a ${kind} state`);
    this.#kinds.set(name, { kind, ttl });
    if (kind === 'list' || kind === 'map') this.#usesGroups = true;
    if (ttl !== null) this.#usesTtl = true;
    return ttl;
  }

  #get(name: string, ttl: StateTtl | null): Stored | null {
    const live = this.#record();
    const stored = live.record.values.get(name);
    if (stored === undefined) return null;
    if (this.#isExpired(stored, ttl)) {
      live.record.values.delete(name);
      live.dirty = true;
      return ttl?.visibility === 'ReturnExpiredIfNotCleanedUp' ? stored : null;
    }
    if (ttl?.updateType === 'OnReadAndWrite') this.#set(name, stored[0], ttl);
    return stored;
  }

  #set(name: string, value: unknown, ttl: StateTtl | null): void {
    const live = this.#record();
    live.record.values.set(name, this.#stored(value, ttl));
    live.dirty = true;
  }

  #clear(name: string): void {
    const live = this.#record();
    if (live.record.values.delete(name)) live.dirty = true;
  }

  valueState<T>(descriptor: ValueStateDescriptor<T>): ValueState<T> {
    const ttl = this.#register(descriptor, 'value');
    const { name } = descriptor;
    return {
      value: () => {
        const stored = this.#get(name, ttl);
        return stored === null ? descriptor.default ?? null : stored[0] as T;
      },
      update: value => { this.#set(name, value, ttl); },
      clear: () => { this.#clear(name); },
    };
  }

  reducingState<T>(descriptor: ReducingStateDescriptor<T>): ReducingState<T> {
    const ttl = this.#register(descriptor, 'reducing');
    const { name } = descriptor;
    return {
      get: () => (this.#get(name, ttl)?.[0] ?? null) as T | null,
      add: value => {
        const stored = this.#get(name, ttl);
        this.#set(name, stored === null ? value : descriptor.reduce(stored[0] as T, value), ttl);
      },
      clear: () => { this.#clear(name); },
    };
  }

  aggregatingState<In, Acc, Out>(descriptor: AggregatingStateDescriptor<In, Acc, Out>): AggregatingState<In, Out> {
    const ttl = this.#register(descriptor, 'aggregating');
    const { name } = descriptor;
    return {
      get: () => {
        const stored = this.#get(name, ttl);
        return stored === null ? null : descriptor.getResult(stored[0] as Acc);
      },
      add: value => {
        const stored = this.#get(name, ttl);
        this.#set(name, descriptor.add(value, stored === null ? descriptor.createAccumulator() : stored[0] as Acc), ttl);
      },
      clear: () => { this.#clear(name); },
    };
  }

  // ---- states with elements of their own ----

  #elements(name: string): { readonly subkey: Uint8Array; readonly stored: Stored }[] {
    const { keys, i } = this.#record();
    const prefix = subkeyOf(name, null);
    const found: { subkey: Uint8Array; stored: Stored }[] = [];
    this.#groups.visitPrefix(keys, i, prefix, (data, subStart, subEnd, payStart, payEnd) => {
      found.push({ subkey: data.slice(subStart, subEnd), stored: decodeElement(data.subarray(payStart, payEnd)) });
      return true;
    });
    return found;
  }

  #put(subkey: Uint8Array, value: unknown, ttl: StateTtl | null): void {
    const { keys, i } = this.#record();
    this.#remove(subkey);
    const bytes = serialize(this.#stored(value, ttl));
    this.#groups.add(keys, i, subkey, 0, subkey.length, bytes, 0, bytes.length, 1);
  }

  #remove(subkey: Uint8Array): void {
    const { keys, i } = this.#record();
    if (this.#groups.payload(keys, i, subkey) !== null) this.#groups.add(keys, i, subkey, 0, subkey.length, subkey, 0, 0, -1);
  }

  /** Elements that are not expired; those that are go. */
  #valid(name: string, ttl: StateTtl | null): { readonly subkey: Uint8Array; readonly stored: Stored }[] {
    const all = this.#elements(name);
    if (ttl === null) return all;
    const { visibility, updateType } = ttl;
    return all.filter(({ subkey, stored }) => {
      if (this.#isExpired(stored, ttl)) {
        this.#remove(subkey);
        return visibility === 'ReturnExpiredIfNotCleanedUp';
      }
      if (updateType === 'OnReadAndWrite') this.#put(subkey, stored[0], ttl);
      return true;
    });
  }

  #clearElements(name: string): void { for (const { subkey } of this.#elements(name)) this.#remove(subkey); }

  listState<T>(descriptor: StateDescriptor): ListState<T> {
    const ttl = this.#register(descriptor, 'list');
    const { name } = descriptor;
    const add = (value: T): void => {
      const next = (this.#record().record.values.get(name)?.[0] ?? 0) as number;
      this.#put(subkeyOf(name, next), value, ttl);
      this.#set(name, next + 1, null);
    };
    const clear = (): void => {
      this.#clearElements(name);
      this.#clear(name);
    };
    return {
      get: () => this.#valid(name, ttl).map(e => e.stored[0] as T),
      add,
      addAll: values => { for (const v of values) add(v); },
      update: values => { clear(); for (const v of values) add(v); },
      clear,
    };
  }

  mapState<K extends MapKey, V>(descriptor: StateDescriptor): MapState<K, V> {
    const ttl = this.#register(descriptor, 'map');
    const { name } = descriptor;
    const at = (key: K): Stored | null => {
      const { keys, i } = this.#record();
      const subkey = mapSubkey(name, key);
      const payload = this.#groups.payload(keys, i, subkey);
      if (payload === null) return null;
      const stored = decodeElement(payload);
      if (this.#isExpired(stored, ttl)) {
        this.#remove(subkey);
        return ttl?.visibility === 'ReturnExpiredIfNotCleanedUp' ? stored : null;
      }
      if (ttl?.updateType === 'OnReadAndWrite') this.#put(subkey, stored[0], ttl);
      return stored;
    };
    const entries = (): [K, V][] => this.#valid(name, ttl).map(({ subkey, stored }) => [keyOf(name, subkey) as K, stored[0] as V]);
    return {
      get: key => (at(key)?.[0] ?? null) as V | null,
      put: (key, value) => { this.#put(mapSubkey(name, key), value, ttl); },
      remove: key => { this.#remove(mapSubkey(name, key)); },
      contains: key => at(key) !== null,
      entries,
      keys: () => entries().map(([k]) => k),
      values: () => entries().map(([, v]) => v),
      isEmpty: () => entries().length === 0,
      clear: () => { this.#clearElements(name); },
    };
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (sorted[mid] < value) low = mid + 1;
    else high = mid;
  }
  return low;
}

const writer = new ByteWriter(256);
/** Marks of a map key's kind: keys of different kinds differ, numbers order as numbers. */
const KINDS = { boolean: 1, number: 2, bigint: 3, string: 4 } as const;

/** `key` null: the prefix of all elements of the state. */
function subkeyOf(name: string, key: MapKey | null): Uint8Array {
  const head = Buffer.from(`${name}\0`, 'utf8');
  writer.pos = 0;
  writer.span(head, 0, head.length);
  if (key !== null) {
    writer.u8(KINDS[typeof key as keyof typeof KINDS]);
    if (typeof key === 'number') writeOrderFloat(writer, key + 0);
    else {
      const text = Buffer.from(typeof key === 'boolean' ? (key ? '1' : '0') : String(key), 'utf8');
      writer.span(text, 0, text.length);
    }
  }
  return writer.bytes.slice(0, writer.pos);
}

/** Plain JavaScript may give anything: null would be the prefix of all elements, and all objects one key. */
function mapSubkey(name: string, key: MapKey): Uint8Array {
  if (!(typeof key in KINDS)) throw new SqlError('22023', `map state "${name}" takes strings, numbers, bigints and booleans as keys, not ${String(key)}`);
  return subkeyOf(name, key);
}

/** State name and key of an element. */
export function elementOf(subkey: Uint8Array): { readonly name: string; readonly key: MapKey } {
  const end = subkey.indexOf(0);
  const name = Buffer.from(subkey.subarray(0, end)).toString('utf8');
  return { name, key: keyAt(subkey, end + 1) };
}

const keyOf = (name: string, subkey: Uint8Array): MapKey => keyAt(subkey, Buffer.byteLength(name, 'utf8') + 1);

function keyAt(subkey: Uint8Array, at: number): MapKey {
  const rest = subkey.slice(at + 1);
  if (subkey[at] === KINDS.number) {
    const view = new DataView(rest.buffer);
    const negative = rest[0] < 128;
    const high = view.getUint32(0);
    const low = view.getUint32(4);
    view.setUint32(0, negative ? ~high : high ^ 0x80000000);
    view.setUint32(4, negative ? ~low : low);
    return view.getFloat64(0);
  }
  const text = Buffer.from(rest).toString('utf8');
  return subkey[at] === KINDS.boolean ? text === '1' : subkey[at] === KINDS.bigint ? BigInt(text) : text;
}
