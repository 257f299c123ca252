/** Histories that outlive a restart: checkpoints, failures and dead letters, in memory for the system tables and appended to the catalog store. */
import type { CatalogStore } from '../../storage/catalogstore.js';
import type { Json } from '../../types/connect.js';
import type { CheckpointRow, CheckpointTaskRow, DeadLetterInfo, FailureInfo } from '../engine.js';

/** Rows of each kind kept for a job. */
const FAILURES_MAX = 1000;
const DEAD_LETTERS_MAX = 10_000;

export class History {
  readonly #store: CatalogStore;
  readonly #onError: (e: unknown) => void;
  readonly #checkpoints = new Map<number, CheckpointRow[]>();
  readonly #tasks = new Map<number, CheckpointTaskRow[]>();
  readonly #failures = new Map<number, FailureInfo[]>();
  readonly #deadLetters = new Map<number, DeadLetterInfo[]>();

  private constructor(store: CatalogStore, onError: (e: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  static async open(store: CatalogStore, onError: (e: unknown) => void): Promise<History> {
    const h = new History(store, onError);
    const load = async <T>(collection: string, into: Map<number, T[]>, parse: (row: Json) => T): Promise<void> => {
      for (const group of store.groups(collection)) into.set(group, (await store.history(collection, group)).map(parse));
    };
    await load('checkpoints', h.#checkpoints, row => row as unknown as CheckpointRow);
    await load('failures', h.#failures, row => row as unknown as FailureInfo);
    await load('dead_letters', h.#deadLetters, row => { const d = row as unknown as Omit<DeadLetterInfo, 'raw'> & { raw: string }; return { ...d, raw: Buffer.from(d.raw, 'base64') }; });
    return h;
  }

  #append(collection: string, jobId: number, row: unknown, max: number): void { this.#store.append(collection, jobId, row as Json, max).catch(this.#onError); }

  /** A checkpoint began: shown, kept on disk only once it has ended. */
  begin(row: CheckpointRow, max: number): void {
    const rows = list(this.#checkpoints, row.jobId);
    rows.push(row);
    while (rows.length > max) rows.shift();
    this.#tasks.set(row.jobId, list(this.#tasks, row.jobId).filter(t => rows.some(r => r.checkpointId === t.checkpointId)));
  }
  end(row: CheckpointRow, max: number): void { this.#append('checkpoints', row.jobId, row, max); }
  task(row: CheckpointTaskRow): void { list(this.#tasks, row.jobId).push(row); }
  discarded(jobId: number, ids: readonly number[]): void { for (const r of list(this.#checkpoints, jobId)) if (ids.includes(r.checkpointId)) r.discarded = true; }
  /** After a restart: completed checkpoints whose files are gone. */
  retainedAre(jobId: number, ids: readonly number[]): void {
    for (const r of list(this.#checkpoints, jobId)) if (r.status === 'completed' && !ids.includes(r.checkpointId)) r.discarded = true;
  }
  /** Ids of completed checkpoints newer than `id`, newest first. */
  completedAfter(jobId: number, id: number): number[] {
    return list(this.#checkpoints, jobId).filter(r => r.status === 'completed' && r.checkpointId > id).map(r => r.checkpointId).reverse();
  }
  lastCheckpointId(jobId: number): number { return list(this.#checkpoints, jobId).reduce((max, r) => Math.max(max, r.checkpointId), 0); }

  failure(row: FailureInfo): void {
    const rows = list(this.#failures, row.jobId);
    rows.push(row);
    while (rows.length > FAILURES_MAX) rows.shift();
    this.#append('failures', row.jobId, row, FAILURES_MAX);
  }
  /** Kept once per record: a replay after a recovery meets it again. */
  deadLetter(row: DeadLetterInfo): void {
    const rows = list(this.#deadLetters, row.jobId);
    if (rows.some(r => r.relationName === row.relationName && r.split === row.split && r.position === row.position)) return;
    rows.push(row);
    while (rows.length > DEAD_LETTERS_MAX) rows.shift();
    this.#append('dead_letters', row.jobId, { ...row, raw: Buffer.from(row.raw).toString('base64') }, DEAD_LETTERS_MAX);
  }

  checkpoints(): CheckpointRow[] { return [...this.#checkpoints.values()].flat(); }
  checkpointTasks(): CheckpointTaskRow[] { return [...this.#tasks.values()].flat(); }
  failures(): FailureInfo[] { return [...this.#failures.values()].flat(); }
  deadLetters(): DeadLetterInfo[] { return [...this.#deadLetters.values()].flat(); }

  async drop(jobId: number): Promise<void> {
    for (const m of [this.#checkpoints, this.#tasks, this.#failures, this.#deadLetters]) m.delete(jobId);
    for (const c of ['checkpoints', 'failures', 'dead_letters']) await this.#store.dropHistory(c, jobId);
  }
}

function list<T>(map: Map<number, T[]>, jobId: number): T[] {
  let rows = map.get(jobId);
  if (rows === undefined) { rows = []; map.set(jobId, rows); }
  return rows;
}
