/** An engine with two workers and a table store on a temporary folder, and plans to run on it: for tests of jobs. Connectors: testconnectors.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { CatalogStore } from '../../storage/catalogstore.js';
import type { Kv } from '../../storage/kv.js';
import type { FaultPlan } from '../../storage/faults.js';
import { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { realFiles } from '../../storage/filesystem.js';
import { levelDb } from '../../storage/leveldb.js';
import { localStore } from '../../storage/localstore.js';
import { openTableWriter } from '../../storage/tables/writer.js';
import type { TableWriter } from '../../storage/tablestore.js';
import type { SqlError } from '../../types/error.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import { jobSettings, Settings, type JobSettings } from '../../types/settings.js';
import { INT8, NUMERIC, type Column } from '../../types/sqltype.js';
import { formatDatum } from '../../types/textio.js';
import type { JobStatus, RestoreEvent } from '../engine.js';
import { datumRow } from '../vectors.js';
import { createEngine } from './engine.js';

type TestEngine = Awaited<ReturnType<typeof createEngine>>;

const roots: string[] = [];
after(async () => { for (const dir of roots) await rm(dir, { recursive: true, force: true }); });

export async function directory(): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-engine-'));
  roots.push(dir);
  return dir;
}

export const never: AbortSignal = new AbortController().signal;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: (fields: object, message: string) => { console.error(message, fields); } };

/** An engine on a data directory, with what a server would hold beside it. */
export class Fixture {
  readonly statuses: { jobId: number; status: JobStatus; failure: SqlError | null }[] = [];
  readonly restores: RestoreEvent[] = [];
  #waiting: { done: () => boolean; resolve: () => void }[] = [];
  engine!: TestEngine;
  tables!: TableWriter;
  #catalog!: CatalogStore;
  #tablesKv!: Kv;

  static async open(dir: string, workers = 2, faults?: FaultPlan): Promise<Fixture> {
    const f = new Fixture();
    f.#catalog = await CatalogStore.open(await levelDb.open(path.join(dir, 'catalog')));
    f.#tablesKv = await levelDb.open(path.join(dir, 'tables'));
    f.tables = await openTableWriter(f.#tablesKv);
    f.engine = await createEngine({
      dataDir: dir, workers, memoryLimit: 256 * 1024 * 1024, connectorsModule: new URL('./testconnectors.js', import.meta.url), log: quiet, history: f.#catalog,
      lastSeq: () => f.tables.lastSeq, ...(faults === undefined ? {} : { faults }),
      events: {
        status: (jobId, status, failure) => { f.statuses.push({ jobId, status, failure }); f.#check(); },
        checkpoint: () => { f.#check(); },
        restored: (_, event) => { f.restores.push(event); f.#check(); },
      },
    });
    f.tables.onCommit(seq => { f.engine.logAdvanced(seq); });
    return f;
  }

  #check(): void {
    for (const w of this.#waiting.splice(0)) {
      if (w.done()) w.resolve();
      else this.#waiting.push(w);
    }
  }

  /** Resolves at the status or checkpoint event after which the condition holds. */
  until(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise(resolve => { this.#waiting.push({ done, resolve }); });
  }

  async start(jobId: number, plan: Plan, settings: Partial<JobSettings> = {}): Promise<void> {
    await this.engine.startJob({ jobId, name: `job${jobId}`, plan, settings: { ...DEFAULTS, ...settings }, status: 'created', createdMs: 0 });
  }

  status(jobId: number): JobStatus | undefined { return this.engine.jobs().find(j => j.jobId === jobId)?.status; }
  finished(jobId: number): Promise<void> { return this.until(() => this.status(jobId) === 'finished' || this.status(jobId) === 'failed'); }

  async rows(jobId: number, columns: readonly Column[], nodeId = VIEW): Promise<string[]> {
    const query: Plan = {
      version: 1, roots: [1],
      nodes: [
        { ...base(0, [], columns), op: 'view', relationId: 1, relationName: 'v', jobId, nodeId, fields: columns.map((_, i) => i) },
        { ...base(1, [0], columns), op: 'output', visible: columns.length },
      ],
    };
    const out: string[] = [];
    for await (const batch of this.engine.query(query, { system: new Map(), catalog: null, user: 'u', timeZone: 'UTC', nowUs: 0, signal: never })) {
      for (let i = 0; i < batch.length; i++) out.push(datumRow(columns.map(c => c.type), batch, i).map((v, k) => (v === null ? 'NULL' : formatDatum(columns[k].type, v))).join(' '));
    }
    return out.sort();
  }

  /** As a crash: threads end where they are, nothing is written any more. */
  async crash(): Promise<void> {
    await this.engine.pool.close();
    await this.tables.close();
    await this.#catalog.close();
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.tables.close();
    await this.#catalog.close();
  }
}

/** Nothing lies in the job's folder that no checkpoint refers to. */
export async function assertNoLeftovers(dir: string): Promise<void> {
  const stored = await new CheckpointStorage(localStore(realFiles, `${dir}/checkpoints`), 1).list();
  const referenced = new Set(stored.flatMap(c => c.metadata?.tasks.flatMap(t => t.files.map(x => path.basename(x.path))) ?? []));
  assert.deepEqual((await readdir(`${dir}/checkpoints/1/shared`)).filter(name => !referenced.has(name)), []);
  assert.deepEqual((await readdir(`${dir}/checkpoints/1`)).filter(name => name.startsWith('chk-')).sort(), stored.map(c => `chk-${c.id}`).sort());
}

export const DEFAULTS: JobSettings = {
  ...jobSettings(new Settings(null), 1), parallelism: 1, checkpoint_interval: 20, barrier_interval: 5, restart_strategy: 'fixed_delay', restart_attempts: 100, restart_delay: 1,
};
export const VIEW = 4;
export const KV: Column[] = [{ name: 'k', type: INT8 }, { name: 'v', type: INT8 }];
export const COUNTS: Column[] = [{ name: 'k', type: INT8 }, { name: 'n', type: INT8 }, { name: 's', type: NUMERIC }];

export const base = (id: number, inputs: number[], columns: readonly Column[]): { id: number; inputs: number[]; columns: readonly Column[]; appendOnly: boolean; key: number[] | null } =>
  ({ id, inputs, columns, appendOnly: false, key: null });

/** SELECT k, count(*), sum(v) FROM numbers GROUP BY k */
export function counts(options: Record<string, string>): Plan {
  return { version: 1, nodes: countNodes({
    ...base(1, [], KV), appendOnly: true, op: 'source', relationId: 1, relationName: 'numbers', connector: 'numbers', options,
    fields: KV.map((c, ordinal) => ({ name: c.name, type: c.type, path: null, metadata: null, notNull: false, defaultExpr: null, ordinal })),
    watermark: null, splitWatermark: false, logId: null,
  }), roots: [VIEW] };
}

export function countNodes(input: PlanNode): PlanNode[] {
  return [
    input,
    { ...base(2, [1], input.columns), op: 'exchange', kind: 'hash', keys: [0], appendOnly: input.appendOnly },
    {
      ...base(3, [2], COUNTS), key: [0], op: 'aggregate', groupKeys: [0], inputAppendOnly: input.appendOnly, closes: null,
      calls: [{ fn: 'count()', args: [], distinct: false, filter: null, orderBy: [], type: INT8 }, { fn: 'sum(int8)', args: [1], distinct: false, filter: null, orderBy: [], type: NUMERIC }],
    },
    { ...base(VIEW, [3], COUNTS), key: [0], op: 'materialize', relationId: 2, relationName: 'counts', visible: 3 },
  ];
}

export function expected(rows: number, keys = 7): string[] {
  const groups = new Map<number, { n: number; s: number }>();
  for (let v = 0; v < rows * 4; v++) {
    const g = groups.get(v % keys) ?? { n: 0, s: 0 };
    groups.set(v % keys, { n: g.n + 1, s: g.s + v });
  }
  return [...groups].map(([k, g]) => `${k} ${g.n} ${g.s}`).sort();
}
