/**
 * An own source (api.ts: SourceFunction) behind the contract of sources. Its operator state stands in the place of positions: one entry a subtask,
 * '<subtask>/<parallelism>', of which a restored reader is given all, its own and those of the others.
 *
 *   open(positions)  → initializeState, open        positions()        → what snapshotState left after the last `next`
 *   next()           → next, then snapshotState     committed, aborted → notifyCheckpointComplete, notifyCheckpointAborted
 *
 * The task reads positions after each `next` whose rows it took, and gives a checkpoint the last it read: hence snapshotState follows every `next`.
 */
import type { Json } from '../../types/connect.js';
import type { SourceConnector, SourceReader, SourceSpec, SplitBatch } from '../connector.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { Row, SourceContext, SourceDefinition, SourceFunction } from './api.js';
import { dealOut, OperatorStates, withUnion, type OperatorStateJson } from './operatorstate.js';
import { filled, withoutKeyedState } from './ownsink.js';
import { fieldsOf, rowWriter } from './rowvalues.js';

/** checkpoint 0: the id of the restored one is not known to readers. */
const RESTORED = 0;

class OwnSourceReader implements SourceReader {
  readonly #what: string;
  readonly #spec: SourceSpec;
  readonly #function: SourceFunction;
  readonly #split: string;
  readonly #write: ReturnType<typeof rowWriter>;
  readonly #builder: BatchBuilder;
  #state = new OperatorStates(null);
  #snapshot: OperatorStateJson = this.#state.snapshot();
  #rows = 0;

  constructor(definition: SourceDefinition, spec: SourceSpec, context: SourceContext) {
    this.#what = `source "${definition.name}"`;
    this.#spec = spec;
    this.#split = `${spec.subtask}/${spec.parallelism}`;
    const columns = spec.fields.map(f => ({ name: f.name, type: f.type }));
    // A query reads the columns that it needs; the source gives all.
    this.#write = rowWriter(this.#what, columns, false);
    this.#builder = new BatchBuilder(columns.map(c => c.type));
    this.#function = definition.createFunction({
      jobId: spec.jobId, relationName: spec.relationName, options: filled(definition.options ?? [], spec.options), columns: fieldsOf(columns), subtask: spec.subtask, parallelism: spec.parallelism,
    }, context);
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    const states: OperatorStateJson[] = [];
    for (const [split, state] of Object.entries(positions)) {
      const [subtask] = split.split('/');
      states[Number(subtask)] = state as unknown as OperatorStateJson;
    }
    const { subtask, parallelism } = this.#spec;
    const same = Object.keys(positions).every(split => split.endsWith(`/${parallelism}`));
    const isRestored = states.length > 0;
    if (isRestored) this.#state = new OperatorStates(same ? withUnion(states[subtask], states) : dealOut(states, subtask, parallelism));
    this.#function.initializeState({ isRestored, restoredCheckpointId: isRestored ? RESTORED : null, operatorStateStore: this.#state, keyedStateStore: withoutKeyedState(this.#what) });
    await this.#function.open?.();
    this.#keep();
  }

  #keep(): void {
    this.#function.snapshotState({ checkpointId: null, checkpointTimestampMs: null });
    this.#snapshot = this.#state.snapshot();
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    const given = this.#function.next();
    return given instanceof Promise ? given.then(rows => this.#given(rows)) : this.#given(given);
  }

  #given(rows: readonly Row[] | 'idle' | 'end'): SplitBatch | 'idle' | 'end' {
    this.#keep();
    if (rows === 'idle' || rows === 'end') return rows;
    for (const row of rows) this.#write(this.#builder, row);
    this.#rows += rows.length;
    return { split: this.#split, batch: this.#builder.finish() };
  }

  positions(): Record<string, Json> { return { [this.#split]: this.#snapshot as unknown as Json }; }
  unreadSplits(): readonly string[] { return []; }
  progress(): { split: string; position: string; lag: number | null }[] { return [{ split: this.#split, position: `${this.#rows} rows`, lag: null }]; }
  async committed(_positions: Readonly<Record<string, Json>>, checkpointId: number): Promise<void> {
    this.#function.notifyCheckpointComplete?.(checkpointId);
    return Promise.resolve();
  }
  aborted(checkpointId: number): void { this.#function.notifyCheckpointAborted?.(checkpointId); }
  async close(): Promise<void> { await this.#function.close?.(); }
}

export function ownSource(definition: SourceDefinition): SourceConnector {
  return {
    name: definition.name, description: definition.description, options: definition.options ?? [], bounded: options => definition.bounded(filled(definition.options ?? [], options)),
    create: (spec, context) => new OwnSourceReader(definition, spec, { wake: () => { context.wake(); }, now: () => context.now() }),
  };
}
