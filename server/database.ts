/**
 * Database: what one server has open: data directory, catalog, tables and their log, engine. DDL and queries work on it;
 * it knows no sockets. `open` brings every stored job back to where its last checkpoint left it.
 *
 * Writers take `writeLock`: a statement's reads (keys that exist, rows to update) and its commit are one step, so that
 * constraints hold without row locks. Readers never wait for it.
 */
import { chmod } from 'node:fs/promises';
import path from 'node:path';
import type { Engine, JobStatus } from '../runtime/engine.js';
import { createEngine } from '../runtime/jobs/engine.js';
import type { SinkConnector, SourceConnector } from '../runtime/connector.js';
import type { TableFunctionDefinition } from '../runtime/functions/api.js';
import { openDataDirectory, type DataDirectory } from '../storage/datadir.js';
import type { FaultPlan } from '../storage/faults.js';
import { realFiles } from '../storage/filesystem.js';
import { levelDb } from '../storage/leveldb.js';
import type { TableReader, TableWriter } from '../storage/tablestore.js';
import { openTableReader } from '../storage/tables/reader.js';
import { openTableWriter } from '../storage/tables/writer.js';
import type { Option } from '../planner/parse/statement.js';
import { SqlError } from '../types/error.js';
import { brokenRule } from '../types/settingrules.js';
import { Settings } from '../types/settings.js';
import { Catalog } from './catalog/catalog.js';
import type { StoredJob } from './catalog/relation.js';
import { Mutex } from './mutex.js';
import { Notifications } from './sql/notifications.js';
import { PlanCache } from './sql/plancache.js';
import { systemTables } from './system/tables.js';
import type { SessionEvents } from './session/backend.js';
import type { SessionFacts, SystemTable } from './system/systemtable.js';
import type { Log } from './log.js';

export interface DatabaseOptions {
  readonly dataDir: string;
  readonly log: Log;
  /** Checks a connector's name and options: 42704 and 22023 with hints. From connectors/, which only the composition root knows. */
  readonly validateSource: (connector: string, options: Readonly<Record<string, string>>) => { readonly connector: SourceConnector; readonly options: Readonly<Record<string, string>> };
  readonly validateSink: (connector: string, options: Readonly<Record<string, string>>) => { readonly connector: SinkConnector; readonly options: Readonly<Record<string, string>> };
  /** Module that workers import for the same connectors. */
  readonly connectorsModule: URL;
  /** Modules of users, by URL, and the functions that they have. */
  readonly extensions?: readonly string[];
  readonly functions?: readonly TableFunctionDefinition[];
  readonly workers: number;
  /** Bytes for the state of all jobs. */
  readonly memoryLimit: number;
  /** Values of the configuration file, by setting name. */
  readonly settings: Readonly<Record<string, string>>;
  /** For tests. */
  readonly faults?: FaultPlan;
}

/** How often the table log is trimmed to what jobs still need. */
const TRIM_INTERVAL_MS = 10_000;

export class Database {
  readonly writeLock = new Mutex();
  readonly ddlLock = new Mutex();
  readonly sessions = new Map<number, SessionFacts>();
  /** By pid: what ends a session's statement, or the session. */
  readonly ends = new Map<number, Pick<SessionEvents, 'cancel' | 'terminate'>>();
  readonly notifications = new Notifications();
  readonly options: DatabaseOptions;
  readonly catalog: Catalog;
  readonly tables: TableWriter;
  readonly reader: TableReader;
  readonly plans = new PlanCache();
  readonly engine: Engine;
  /** ALTER SYSTEM's values over the configuration file's. */
  readonly settings: Settings;
  readonly startedMs = Date.now();
  /** Nothing was in the data directory before. */
  readonly isNew: boolean;
  readonly #directory: DataDirectory;
  readonly #trim: NodeJS.Timeout;
  #statusWrites: Promise<void> = Promise.resolve();
  #closing = false;

  private constructor(parts: {
    options: DatabaseOptions; directory: DataDirectory; catalog: Catalog; tables: TableWriter; reader: TableReader; engine: Engine; settings: Settings; isNew: boolean;
  }) {
    this.options = parts.options;
    this.#directory = parts.directory;
    this.catalog = parts.catalog;
    this.tables = parts.tables;
    this.reader = parts.reader;
    this.engine = parts.engine;
    this.settings = parts.settings;
    this.isNew = parts.isNew;
    this.#trim = setInterval(() => { void this.#trimLog(); }, TRIM_INTERVAL_MS);
    this.#trim.unref();
  }

  /** With its jobs at rest: `startJobs` is next. */
  static async open(options: DatabaseOptions): Promise<Database> {
    const isNew = (await realFiles.size(path.join(options.dataDir, 'version'))) === null;
    const directory = await openDataDirectory(options.dataDir, realFiles, levelDb);
    // It holds the values of secrets.
    await chmod(path.join(options.dataDir, 'catalog'), 0o700);
    const catalog = Catalog.open(directory.catalog, systemTables().map(systemRelation), options.functions ?? []);
    const tablesKv = await levelDb.open(directory.tablesPath);
    const tables = await openTableWriter(tablesKv);
    const reader = openTableReader(tablesKv);
    const settings = serverSettings(options, catalog);
    // The engine's events come only after startJobs, when `database` is set.
    let database: Database | null = null;
    const engine = await createEngine({
      dataDir: options.dataDir, workers: options.workers, memoryLimit: options.memoryLimit, connectorsModule: options.connectorsModule, extensions: options.extensions ?? [], log: options.log,
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      history: directory.catalog, secrets: name => catalog.secret(name)?.values ?? null, lastSeq: () => tables.lastSeq,
      events: {
        status: (jobId, status, failure) => database?.jobStatus(jobId, status, failure),
        checkpoint: (_, row) => { database?.notifications.checkpointEnded(row); },
        restored: (_, event) => { database?.notifications.restored(event); },
      },
    });
    database = new Database({ options, directory, catalog, tables, reader, engine, settings, isNew });
    tables.onCommit(seq => engine.logAdvanced(seq));
    return database;
  }

  /** Brings the jobs back. From the call on they are known: statements about them wait, or see them restarting. Resolves when all have begun, or have failed. */
  async startJobs(): Promise<void> {
    await this.engine.startJobs([...this.catalog.jobs()].map(job => ({
      jobId: job.jobId, name: job.name, plan: job.plan, settings: job.settings, status: job.status, createdMs: job.createdMs, ...(job.restore === undefined ? {} : { restore: job.restore }),
    })));
  }

  /** Job statuses that must outlive the server are written behind each other; running and restarting are facts of this run only. */
  jobStatus(jobId: number, status: JobStatus, failure: SqlError | null): void {
    const job = this.catalog.job(jobId);
    if (failure !== null) this.options.log.warn({ job: job?.name ?? jobId, sqlstate: failure.code, err: failure }, 'job failed');
    if (job === null || this.#closing) return;
    const lasting: JobStatus = status === 'finished' || status === 'failed' || status === 'paused' || status === 'cancelled' ? status : 'running';
    if (lasting === job.status && (failure?.message ?? null) === job.failure) return;
    this.#statusWrites = this.#statusWrites.then(async () => {
      await this.catalog.change(() => {
        const now: StoredJob | null = this.catalog.job(jobId);
        return now === null ? {} : { putJobs: [{ ...now, status: lasting, failure: lasting === 'failed' ? failure?.message ?? null : null }] };
      });
    }).catch((e: unknown) => { this.options.log.error({ err: e }, 'job status not written'); });
  }

  async #trimLog(): Promise<void> {
    try {
      await this.tables.trim(Math.min(this.engine.neededLogSeq(), this.tables.lastSeq));
    } catch (e) {
      this.options.log.error({ err: e }, 'table log not trimmed');
    }
  }

  /** Runs `check`, adding to an error that names an option the position of that option. */
  locate<T>(options: readonly Option[], check: () => T): T {
    try {
      return check();
    } catch (e) {
      if (e instanceof SqlError && e.position === undefined) {
        const option = options.find(o => e.message.includes(`"${o.key}"`)) ?? options.find(o => e.message.includes(`"${o.value}"`)) ?? options.find(o => o.key === 'connector');
        if (option !== undefined) e.position = option.position;
      }
      throw e;
    }
  }

  systemTable(schema: string, name: string): SystemTable | undefined { return systemTables().find(t => t.schema === schema && t.name === name); }

  async close(): Promise<void> {
    if (this.#closing) return;
    clearInterval(this.#trim);
    this.#closing = true;
    await this.engine.close();
    await this.#statusWrites;
    // Writer and reader share one Kv, which the writer closes.
    await this.tables.close();
    await this.#directory.close();
  }
}

/** What the server found at its start, over it the configuration file's values, over them ALTER SYSTEM's. */
function serverSettings(options: DatabaseOptions, catalog: Catalog): Settings {
  const found = new Settings(null, 'default');
  found.force('workers', options.workers);
  found.force('memory_limit', options.memoryLimit);
  found.force('parallelism', options.workers);
  const file = new Settings(found, 'configuration file');
  for (const [name, value] of Object.entries(options.settings)) file.set(name, value);
  const system = new Settings(file, 'configuration file');
  for (const [name, value] of Object.entries(catalog.systemSettings())) {
    try {
      system.set(name, String(value));
    } catch (e) {
      // Of another version. A server that did not start for it could not be told ALTER SYSTEM RESET.
      options.log.warn({ err: e, setting: name }, 'a setting of ALTER SYSTEM was left out');
    }
  }
  const broken = brokenRule(name => system.get(name), null, (name, value) => `ALTER SYSTEM SET ${name} = ${value};`);
  if (broken !== null) options.log.warn({ hint: broken.hint }, `settings contradict each other, jobs cannot be created: ${broken.message}`);
  return system;
}

const systemRelation = (t: SystemTable): { kind: 'system table'; id: number; schema: string; name: string; columns: SystemTable['columns'] } =>
  ({ kind: 'system table', id: t.id, schema: t.schema, name: t.name, columns: t.columns });
