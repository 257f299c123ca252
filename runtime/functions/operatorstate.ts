/**
 * Operator state of own functions: small JSON of a subtask, kept with the checkpoint beside the state tables.
 *
 *   list        on another parallelism all elements are dealt out in turn
 *   union       after every restore each subtask has the elements of all
 *   broadcast   a map that is the same in all subtasks: one copy is taken
 */
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { ListState, MapKey, MapState, OperatorStateDescriptor, OperatorStateStore } from './api.js';

type Entries = readonly (readonly [MapKey & Json, Json])[];
/** As stored. `own`: of sinks and sources beside it. */
export interface OperatorStateJson {
  readonly list: Readonly<Record<string, readonly Json[]>>;
  readonly union: Readonly<Record<string, readonly Json[]>>;
  readonly broadcast: Readonly<Record<string, Entries>>;
}

const EMPTY: OperatorStateJson = { list: {}, union: {}, broadcast: {} };

export class OperatorStates implements OperatorStateStore {
  readonly #lists = { list: new Map<string, Json[]>(), union: new Map<string, Json[]>() };
  readonly #maps = new Map<string, Map<MapKey, Json>>();

  constructor(restored: OperatorStateJson | null) {
    const from = restored ?? EMPTY;
    for (const kind of ['list', 'union'] as const) for (const [name, items] of Object.entries(from[kind])) this.#lists[kind].set(name, [...items]);
    for (const [name, entries] of Object.entries(from.broadcast)) this.#maps.set(name, new Map(entries));
  }

  listState<T extends Json>({ name }: OperatorStateDescriptor): ListState<T> { return this.#list<T>('list', name); }
  unionListState<T extends Json>({ name }: OperatorStateDescriptor): ListState<T> { return this.#list<T>('union', name); }

  #list<T extends Json>(kind: 'list' | 'union', name: string): ListState<T> {
    const lists = this.#lists[kind];
    const items = (): Json[] => {
      let all = lists.get(name);
      if (all === undefined) lists.set(name, all = []);
      return all;
    };
    return {
      get: () => [...items()] as T[],
      add: value => { items().push(json(name, value)); },
      addAll: values => { for (const v of values) items().push(json(name, v)); },
      update: values => { lists.set(name, values.map(v => json(name, v))); },
      clear: () => { lists.set(name, []); },
    };
  }

  broadcastState<K extends MapKey, V extends Json>({ name }: OperatorStateDescriptor): MapState<K, V> {
    const map = (): Map<MapKey, Json> => {
      let all = this.#maps.get(name);
      if (all === undefined) this.#maps.set(name, all = new Map());
      return all;
    };
    return {
      get: key => (map().get(key) ?? null) as V | null,
      put: (key, value) => {
        if (typeof key === 'bigint') throw new SqlError('22023', `broadcast state "${name}" takes no bigint as a key`);
        map().set(key, json(name, value));
      },
      remove: key => { map().delete(key); },
      contains: key => map().has(key),
      entries: () => [...map()] as [K, V][],
      keys: () => [...map().keys()] as K[],
      values: () => [...map().values()] as V[],
      isEmpty: () => map().size === 0,
      clear: () => { map().clear(); },
    };
  }

  snapshot(): OperatorStateJson {
    const lists = (from: ReadonlyMap<string, readonly Json[]>): Record<string, readonly Json[]> => Object.fromEntries([...from].map(([name, items]) => [name, [...items]]));
    return { list: lists(this.#lists.list), union: lists(this.#lists.union), broadcast: Object.fromEntries([...this.#maps].map(([name, m]) => [name, [...m] as Entries])) };
  }
}

/** A copy: what the caller does with the value later is not in the checkpoint. */
function json(name: string, value: unknown): Json {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new SqlError('22023', `operator state "${name}" takes JSON only`);
  return JSON.parse(text) as Json;
}

/** `states`: by the subtask that had them, perhaps with holes. */
export function dealOut(states: readonly (OperatorStateJson | null | undefined)[], subtask: number, parallelism: number): OperatorStateJson {
  const known = states.filter(s => s !== null && s !== undefined);
  const joined = (kind: 'list' | 'union'): Map<string, Json[]> => {
    const all = new Map<string, Json[]>();
    for (const s of known) for (const [name, items] of Object.entries(s[kind])) all.set(name, [...all.get(name) ?? [], ...items]);
    return all;
  };
  return {
    list: Object.fromEntries([...joined('list')].map(([name, items]) => [name, items.filter((_, k) => k % parallelism === subtask)])),
    union: Object.fromEntries(joined('union')),
    broadcast: Object.assign({}, ...known.map(s => s.broadcast)) as Record<string, Entries>,
  };
}

/** At the same parallelism: each subtask's own, but union list state whole. */
export function withUnion(own: OperatorStateJson | undefined, states: readonly (OperatorStateJson | null | undefined)[]): OperatorStateJson {
  return { ...(own ?? EMPTY), union: dealOut(states, 0, 1).union };
}
