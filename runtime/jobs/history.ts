/**
 * Histories that outlive a restart: checkpoints with their tasks and counts, failures and dead letters; in memory for the system tables and
 * appended to the catalog store.
 *
 * A checkpoint is appended when it begins and again when it ends: one that was in progress when the process died is known afterwards, and
 * ends as the files on disk say (`retainedAre`). Rows of tasks are kept on disk; those of the newest few checkpoints also in memory.
 */
import type { CatalogStore } from '../../storage/catalogstore.js';
import type { Json } from '../../types/connect.js';
import type { CheckpointCounts, CheckpointRow, CheckpointTaskRow, DeadLetterInfo, FailureInfo } from '../engine.js';
import { statusOf } from './failures.js';
import { summarize } from './summary.js';

/** Rows of each kind kept for a job. */
const FAILURES_MAX = 1000;
const DEAD_LETTERS_MAX = 10_000;
/** Checkpoints of a job whose tasks' rows are kept in memory. */
const RECENT_TASKS = 4;

type Counts = Pick<CheckpointCounts, 'restored' | 'total' | 'completed' | 'failed'>;
interface JobCheckpoints { rows: CheckpointRow[]; counts: Counts; readonly tasks: Map<number, CheckpointTaskRow[]> }
type StoredRow = CheckpointRow & { readonly counts?: Counts };
interface StoredTasks { readonly checkpointId: number; readonly tasks: readonly CheckpointTaskRow[] }

export class History {
  readonly #store: CatalogStore;
  readonly #onError: (e: unknown) => void;
  readonly #jobs = new Map<number, JobCheckpoints>();
  readonly #failures = new Map<number, FailureInfo[]>();
  readonly #deadLetters = new Map<number, DeadLetterInfo[]>();

  private constructor(store: CatalogStore, onError: (e: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
  }

  static async open(store: CatalogStore, onError: (e: unknown) => void): Promise<History> {
    const h = new History(store, onError);
    const load = async <T>(collection: string, into: (group: number, rows: T[]) => void, parse: (row: Json) => T): Promise<void> => {
      for (const group of store.groups(collection)) into(group, (await store.history(collection, group)).map(parse));
    };
    await load('checkpoints', (jobId, rows: StoredRow[]) => { h.#load(h.#job(jobId), rows); }, row => row as unknown as StoredRow);
    await load('failures', (jobId, rows: FailureInfo[]) => { h.#failures.set(jobId, rows); }, row => row as unknown as FailureInfo);
    await load('dead_letters', (jobId, rows: DeadLetterInfo[]) => { h.#deadLetters.set(jobId, rows); },
      row => { const d = row as unknown as Omit<DeadLetterInfo, 'raw'> & { raw: string }; return { ...d, raw: Buffer.from(d.raw, 'base64') }; });
    return h;
  }

  /** The last row of each checkpoint is the true one; the last counts are. */
  #load(job: JobCheckpoints, stored: readonly StoredRow[]): void {
    const byId = new Map<number, CheckpointRow>();
    for (const { counts, ...row } of stored) {
      byId.delete(row.checkpointId);
      // Rows of an older version lack what came later.
      byId.set(row.checkpointId, { ...row, alignmentMs: row.alignmentMs ?? 0, processedInflightBytes: row.processedInflightBytes ?? 0 });
      if (counts !== undefined) job.counts = { ...counts };
    }
    job.rows = [...byId.values()].sort((a, b) => a.checkpointId - b.checkpointId);
  }

  #job(jobId: number): JobCheckpoints {
    let job = this.#jobs.get(jobId);
    if (job === undefined) this.#jobs.set(jobId, job = { rows: [], counts: { restored: 0, total: 0, completed: 0, failed: 0 }, tasks: new Map() });
    return job;
  }

  /** With the counts as they are with this row: rows are written one after the other, and those of a crash must not count what was to be written next. */
  #appendRow(row: CheckpointRow, { counts }: JobCheckpoints, max: number): void { this.#append('checkpoints', row.jobId, { ...row, counts: { ...counts } }, 2 * max); }
  #append(collection: string, jobId: number, row: unknown, max: number): void { this.#store.append(collection, jobId, row as Json, max).catch(this.#onError); }

  // ---- checkpoints ----

  begin(row: CheckpointRow, max: number): void {
    const job = this.#job(row.jobId);
    job.rows.push(row);
    job.counts.total++;
    while (job.rows.length > max) job.rows.shift();
    this.#appendRow(row, job, max);
  }
  task(row: CheckpointTaskRow): void {
    const { tasks } = this.#job(row.jobId);
    const rows = tasks.get(row.checkpointId);
    if (rows === undefined) tasks.set(row.checkpointId, [row]);
    else rows.push(row);
  }
  end(row: CheckpointRow, max: number): void {
    const job = this.#job(row.jobId);
    if (row.status === 'completed') job.counts.completed++;
    else job.counts.failed++;
    this.#appendRow(row, job, max);
    const tasks = job.tasks.get(row.checkpointId);
    if (tasks !== undefined) this.#append('checkpoint_tasks', row.jobId, { checkpointId: row.checkpointId, tasks } satisfies StoredTasks, max);
    for (const id of job.tasks.keys()) if (id <= row.checkpointId - RECENT_TASKS) job.tasks.delete(id);
  }
  discarded(jobId: number, ids: readonly number[]): void { for (const r of this.#job(jobId).rows) if (ids.includes(r.checkpointId)) r.discarded = true; }
  restored(jobId: number): void { this.#job(jobId).counts.restored++; }

  /**
   * At the start of an attempt: checkpoints whose files are whole. Completed ones that are not among them were discarded. One that was in progress
   * when the process died completed if its files are there; otherwise nobody will complete it.
   */
  retainedAre(jobId: number, retained: readonly { readonly checkpointId: number; readonly completionMs: number }[], max: number): void {
    for (const r of this.#job(jobId).rows) {
      const found = retained.find(m => m.checkpointId === r.checkpointId);
      if (r.status === 'completed' && found === undefined) r.discarded = true;
      if (r.status !== 'in_progress') continue;
      if (found === undefined) Object.assign(r, { status: statusOf('CHECKPOINT_COORDINATOR_SHUTDOWN'), failureReason: 'CHECKPOINT_COORDINATOR_SHUTDOWN', failureMessage: 'the server ended while it was in progress' });
      else Object.assign(r, { status: 'completed', completionMs: found.completionMs });
      this.end(r, max);
    }
  }
  /** Ids of completed checkpoints newer than `id`, newest first. */
  completedAfter(jobId: number, id: number): number[] {
    return this.#job(jobId).rows.filter(r => r.kind === 'checkpoint' && r.status === 'completed' && r.checkpointId > id).map(r => r.checkpointId).reverse();
  }
  /** True when it is known to have ended without completing: files of it are leftovers, whatever they look like. */
  givenUp(jobId: number, id: number): boolean {
    const row = this.#job(jobId).rows.find(r => r.checkpointId === id);
    return row !== undefined && row.status !== 'completed' && row.status !== 'in_progress';
  }
  lastCheckpointId(jobId: number): number { return this.#job(jobId).rows.reduce((max, r) => Math.max(max, r.checkpointId), 0); }

  checkpoints(): CheckpointRow[] { return [...this.#jobs.values()].flatMap(j => j.rows); }
  async checkpointTasks(): Promise<CheckpointTaskRow[]> {
    const out: CheckpointTaskRow[] = [];
    for (const [jobId, job] of this.#jobs) {
      const kept = new Set(job.rows.map(r => r.checkpointId));
      const stored = (await this.#store.history('checkpoint_tasks', jobId)) as unknown as StoredTasks[];
      for (const s of stored) if (kept.has(s.checkpointId) && !job.tasks.has(s.checkpointId)) out.push(...s.tasks);
      for (const [id, tasks] of job.tasks) if (kept.has(id)) out.push(...tasks);
    }
    return out;
  }
  summary(): ReturnType<typeof summarize> { return [...this.#jobs.values()].flatMap(j => summarize(j.rows)); }
  counts(): CheckpointCounts[] {
    return [...this.#jobs].flatMap(([jobId, { rows, counts }]) => {
      const last = rows.at(-1);
      return last === undefined ? [] : [{ jobId, jobName: last.jobName, ...counts, inProgress: rows.filter(r => r.status === 'in_progress').length }];
    });
  }

  // ---- failures and dead letters ----

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
  /** Why it failed for good. */
  lastFailure(jobId: number): FailureInfo | undefined { return this.#failures.get(jobId)?.findLast(f => f.action === 'failed'); }
  failures(): FailureInfo[] { return [...this.#failures.values()].flat(); }
  deadLetters(): DeadLetterInfo[] { return [...this.#deadLetters.values()].flat(); }

  async drop(jobId: number): Promise<void> {
    for (const m of [this.#jobs, this.#failures, this.#deadLetters]) m.delete(jobId);
    for (const c of ['checkpoints', 'checkpoint_tasks', 'failures', 'dead_letters']) await this.#store.dropHistory(c, jobId);
  }
}

function list<T>(map: Map<number, T[]>, jobId: number): T[] {
  let rows = map.get(jobId);
  if (rows === undefined) { rows = []; map.set(jobId, rows); }
  return rows;
}
