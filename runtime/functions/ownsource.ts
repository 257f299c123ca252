/**
 * An own source (api.ts: SourceFunction) behind the contract of sources. Its operator state stands in the place of positions: one entry a subtask,
 * '<subtask>/<parallelism>', of which a restored reader is given all, its own and those of the others. Splits it names are entries of their own once rows
 * came from them, with the subtask that read them: where they stand is the function's to keep.
 *
 *   open(positions)  → initializeState, open        positions()        → what snapshotState left after the last `next`
 *   next()           → next, then snapshotState     committed, aborted → notifyCheckpointComplete, notifyCheckpointAborted
 *
 * The task reads positions after each `next` whose rows it took, and gives a checkpoint the last it read: hence snapshotState follows every `next`.
 */
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { SourceConnector, SourceReader, SourceSpec, SplitBatch } from '../connector.js';
import { BatchBuilder } from '../batchbuilder.js';
import type { Row, SourceContext, SourceDefinition, SourceFunction, SplitRows } from './api.js';
import { guarded } from './guarded.js';
import { dealOut, OperatorStates, withUnion, type OperatorStateJson } from './operatorstate.js';
import { filled, withoutKeyedState } from './ownsink.js';
import { fieldsOf, rowWriter } from './rowvalues.js';

/** checkpoint 0: the id of the restored one is not known to readers. */
const RESTORED = 0;
/** What the entry of a subtask's operator state is called. */
const STATE = /^\d+\/\d+$/;

class OwnSourceReader implements SourceReader {
  readonly #what: string;
  readonly #spec: SourceSpec;
  readonly #function: SourceFunction;
  readonly #split: string;
  readonly #write: ReturnType<typeof rowWriter>;
  readonly #builder: BatchBuilder;
  #state = new OperatorStates(null);
  #snapshot: OperatorStateJson = this.#state.snapshot();
  /** By split, since it was opened; a restored one is known before its first row. */
  readonly #rows = new Map<string, number>();
  /** Other subtasks read them, or read them before the restore; `splits` knows which of them are here now. */
  readonly #others = new Set<string>();

  constructor(definition: SourceDefinition, spec: SourceSpec, context: SourceContext) {
    this.#what = `source "${definition.name}"`;
    this.#spec = spec;
    this.#split = `${spec.subtask}/${spec.parallelism}`;
    const columns = spec.fields.map(f => ({ name: f.name, type: f.type }));
    // A query reads the columns that it needs; the source gives all.
    this.#write = rowWriter(this.#what, columns, false);
    this.#builder = new BatchBuilder(columns.map(c => c.type));
    this.#function = guarded(this.#what, () => definition.createFunction({
      jobId: spec.jobId, relationName: spec.relationName, options: filled(definition.options ?? [], spec.options), columns: fieldsOf(columns), subtask: spec.subtask, parallelism: spec.parallelism,
    }, context));
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    const states: OperatorStateJson[] = [];
    const { subtask, parallelism } = this.#spec;
    let same = true;
    for (const [name, state] of Object.entries(positions)) {
      if (typeof state === 'string') {
        this.#rows.set(name, 0);
        if (state !== this.#split) this.#others.add(name);
        continue;
      }
      const [of, among] = name.split('/').map(Number);
      states[of] = state as unknown as OperatorStateJson;
      if (among !== parallelism) same = false;
    }
    const isRestored = states.length > 0;
    if (isRestored) this.#state = new OperatorStates(same ? withUnion(states[subtask], states) : dealOut(states, subtask, parallelism));
    await guarded(this.#what, async () => {
      this.#function.initializeState({ isRestored, restoredCheckpointId: isRestored ? RESTORED : null, operatorStateStore: this.#state, keyedStateStore: withoutKeyedState(this.#what) });
      await this.#function.open?.();
      this.#keep();
    });
  }

  #keep(): void {
    this.#function.snapshotState({ checkpointId: null, checkpointTimestampMs: null });
    this.#snapshot = this.#state.snapshot();
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    return guarded(this.#what, () => {
      const given = this.#function.next();
      return given instanceof Promise ? given.then(rows => this.#given(rows)) : this.#given(given);
    });
  }

  #given(given: readonly Row[] | SplitRows | 'idle' | 'end'): SplitBatch | 'idle' | 'end' {
    this.#keep();
    if (given === 'idle' || given === 'end') return given;
    // What plain JavaScript gives is not checked by a compiler.
    if (typeof given !== 'object' || (given as unknown) === null || !(Array.isArray(given) || Array.isArray((given as SplitRows).rows))) throw new SqlError('38000', `${this.#what}: next gives an array of rows, { split, rows }, 'idle' or 'end', not ${String(given)}`);
    const named = 'split' in given;
    if (named !== (this.#function.splits !== undefined)) throw new SqlError('38000', `${this.#what}: next gives { split, rows } where there is splits(), and only there`);
    const split = named ? given.split : this.#split;
    if (named && STATE.test(split)) throw new SqlError('38000', `${this.#what}: "${split}" cannot be the name of a split`, { hint: 'Two numbers with a slash name the state of a subtask.' });
    const rows = named ? given.rows : given;
    for (const row of rows) this.#write(this.#builder, row);
    this.#rows.set(split, (this.#rows.get(split) ?? 0) + rows.length);
    return { split, batch: this.#builder.finish() };
  }

  /** Splits of this subtask that gave rows, finished ones among them; of those others read, the ones that it has now. */
  #read(): string[] {
    const open = this.#function.splits?.();
    return open === undefined ? [] : [...this.#rows.keys()].filter(split => !this.#others.has(split) || open.includes(split));
  }

  positions(): Record<string, Json> { return { [this.#split]: this.#snapshot as unknown as Json, ...Object.fromEntries(this.#read().map(split => [split, this.#split])) }; }
  unreadSplits(): readonly string[] { return this.#function.splits?.().filter(split => !this.#rows.has(split)) ?? []; }
  finishedSplits(): ReadonlySet<string> {
    const open = this.#function.splits?.();
    return new Set(open === undefined ? [] : [...this.#rows.keys()].filter(split => !open.includes(split)));
  }

  progress(): { split: string; position: string; lag: number | null }[] {
    const splits = this.#function.splits === undefined ? [this.#split] : this.#read();
    return splits.map(split => ({ split, position: `${this.#rows.get(split) ?? 0} rows`, lag: null }));
  }

  async committed(_positions: Readonly<Record<string, Json>>, checkpointId: number): Promise<void> {
    await guarded(this.#what, () => this.#function.notifyCheckpointComplete?.(checkpointId));
  }
  aborted(checkpointId: number): void { guarded(this.#what, () => { this.#function.notifyCheckpointAborted?.(checkpointId); }); }
  async close(): Promise<void> { await this.#function.close?.(); }
}

export function ownSource(definition: SourceDefinition): SourceConnector {
  return {
    name: definition.name, description: definition.description, options: definition.options ?? [], bounded: options => definition.bounded(filled(definition.options ?? [], options)),
    create: (spec, context) => new OwnSourceReader(definition, spec, { wake: () => { context.wake(); }, now: () => context.now() }),
  };
}
