/**
 * An own sink (api.ts: SinkFunction) behind the contract of sinks:
 *
 *   open(restored)   → initializeState, open          prepare(id)  → flush, snapshotState; operator state is what the checkpoint keeps
 *   write(batch)     → write(changes)                 commit(id)   → notifyCheckpointComplete      aborted(id) → notifyCheckpointAborted
 *   redistribute     list state dealt out, union list state whole, broadcast state copied      restore  its own, union list state whole
 */
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { Batch } from '../batch.js';
import type { SinkConnector, SinkSpec, SinkWriter } from '../connector.js';
import type { Change, ConnectorOption, ConnectorSpec, KeyedStateStore, SinkDefinition, SinkFunction } from './api.js';
import { guarded } from './guarded.js';
import { dealOut, OperatorStates, withUnion, type OperatorStateJson } from './operatorstate.js';
import { fieldsOf, rowReader } from './rowvalues.js';

const noKeyedState = (what: string): never => { throw new SqlError('0A000', `${what} has no keyed state`, { hint: 'Use operator state.' }); };
/** Of sources and sinks. */
export function withoutKeyedState(what: string): KeyedStateStore {
  const refuse = (): never => noKeyedState(what);
  return { valueState: refuse, listState: refuse, mapState: refuse, reducingState: refuse, aggregatingState: refuse };
}

/** WITH options with the defaults of those not given. */
export function filled(specs: readonly ConnectorOption[], given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return { ...Object.fromEntries(specs.flatMap(s => (s.default === undefined ? [] : [[s.name, s.default]]))), ...given };
}

class OwnSinkWriter implements SinkWriter {
  readonly #what: string;
  readonly #function: SinkFunction;
  readonly #read: ReturnType<typeof rowReader>;
  readonly #now: () => number;
  #state = new OperatorStates(null);

  constructor(definition: SinkDefinition, spec: SinkSpec, now: () => number) {
    this.#what = `sink "${definition.name}"`;
    this.#now = now;
    this.#read = rowReader(spec.visible);
    const own: ConnectorSpec = { jobId: spec.jobId, relationName: spec.relationName, options: filled(definition.options ?? [], spec.options), columns: fieldsOf(spec.visible), subtask: spec.subtask, parallelism: spec.parallelism };
    this.#function = guarded(this.#what, () => definition.createFunction(own));
  }

  async open(restored: Json | null, restoredCheckpoint: number): Promise<void> {
    this.#state = new OperatorStates(restored as OperatorStateJson | null);
    const isRestored = restored !== null;
    await guarded(this.#what, async () => {
      this.#function.initializeState?.({ isRestored, restoredCheckpointId: isRestored ? restoredCheckpoint : null, operatorStateStore: this.#state, keyedStateStore: withoutKeyedState(this.#what) });
      await this.#function.open?.();
    });
  }

  write(batch: Batch): void | Promise<void> {
    const changes: Change[] = [];
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      const change: Change = { row: this.#read(batch, i), kind: weight > 0 ? 1 : -1 };
      for (let n = Math.abs(weight); n > 0; n--) changes.push(change);
    }
    return guarded(this.#what, () => this.#function.write(changes));
  }

  async prepare(checkpointId: number): Promise<Json> {
    await guarded(this.#what, async () => {
      await this.#function.flush?.();
      this.#function.snapshotState?.({ checkpointId, checkpointTimestampMs: this.#now() });
    });
    return this.#state.snapshot() as unknown as Json;
  }

  async commit(checkpointId: number): Promise<void> { await guarded(this.#what, () => this.#function.notifyCheckpointComplete?.(checkpointId)); }
  aborted(checkpointId: number): void { guarded(this.#what, () => { this.#function.notifyCheckpointAborted?.(checkpointId); }); }
  async close(): Promise<void> { await this.#function.close?.(); }
}

export function ownSink(definition: SinkDefinition): SinkConnector {
  return {
    name: definition.name, description: definition.description, options: definition.options ?? [], guarantee: definition.guarantee,
    acceptsUpdates: () => (definition.acceptsUpdates ? 'yes' : 'no'),
    redistribute: (states, parallelism) => Array.from({ length: parallelism }, (_, k) => dealOut(states as unknown as (OperatorStateJson | null)[], k, parallelism) as unknown as Json),
    restore: (own, states) => withUnion((own as unknown as OperatorStateJson | null) ?? undefined, states as unknown as (OperatorStateJson | null)[]) as unknown as Json,
    create: (spec, context) => new OwnSinkWriter(definition, spec, () => context.now()),
  };
}
