/**
 * An own sink, exactly once: lines of JSON in one file a checkpoint. What came since the last checkpoint is kept in list state; when the checkpoint is
 * complete it is written to '<path>/<checkpoint>-<subtask>.ndjson', under another name first, then renamed. A file is written whole or not at all and
 * always with the same lines, so that doing it again after a failure changes nothing.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Change, ConnectorSpec, FunctionInitializationContext, FunctionSnapshotContext, ListState, SinkDefinition, SinkFunction } from '../../runtime/functions/api.js';

/** `file`: its name, of the subtask that prepared it. */
type Prepared = { readonly checkpointId: number; readonly file: string; readonly lines: readonly string[] };

class Ledger implements SinkFunction {
  readonly #spec: ConnectorSpec;
  readonly #dir: string;
  #state: ListState<Prepared> | null = null;
  #lines: string[] = [];
  #prepared: Prepared[] = [];

  constructor(spec: ConnectorSpec) {
    this.#spec = spec;
    this.#dir = spec.options['path'];
  }

  initializeState({ isRestored, operatorStateStore }: FunctionInitializationContext): void {
    mkdirSync(this.#dir, { recursive: true });
    this.#state = operatorStateStore.listState<Prepared>({ name: 'prepared' });
    if (!isRestored) return;
    // That checkpoint completed. Nobody knows whether this sink had been told.
    for (const prepared of this.#state.get()) this.#publish(prepared);
  }

  write(changes: readonly Change[]): void {
    for (const { row } of changes) this.#lines.push(JSON.stringify(row, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)));
  }

  snapshotState({ checkpointId }: FunctionSnapshotContext): void {
    const id = checkpointId ?? 0;
    if (this.#lines.length > 0) this.#prepared.push({ checkpointId: id, file: `${id}-${this.#spec.subtask}.ndjson`, lines: this.#lines });
    this.#lines = [];
    this.#state?.update(this.#prepared);
  }

  notifyCheckpointComplete(checkpointId: number): void {
    for (const prepared of this.#prepared) if (prepared.checkpointId <= checkpointId) this.#publish(prepared);
    this.#prepared = this.#prepared.filter(p => p.checkpointId > checkpointId);
  }

  #publish({ file, lines }: Prepared): void {
    const to = path.join(this.#dir, file);
    if (existsSync(to)) return;
    writeFileSync(`${to}.part`, lines.map(l => `${l}\n`).join(''), { flush: true });
    renameSync(`${to}.part`, to);
  }
}

export const ledger: SinkDefinition = {
  name: 'ledger',
  description: 'lines of JSON, a file a checkpoint',
  options: [{ name: 'path', description: 'folder', kind: 'text', required: true }],
  guarantee: 'exactly_once',
  acceptsUpdates: false,
  createFunction: spec => new Ledger(spec),
};
