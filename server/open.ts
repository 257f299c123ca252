/**
 * Opening Millrace in this process: `const server = await open({ data: './data', port: 5433 })`. The composition root: here, and only
 * here, server and connectors meet. The command line (main.ts), the demo and the tests all start servers through this function.
 */
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { validateOptions } from '../connectors/options.js';
import { connectors } from '../connectors/registry.js';
import { withExtensions } from '../runtime/functions/extensions.js';
import type { FaultPlan } from '../storage/faults.js';
import { settingSpec, Settings } from '../types/settings.js';
import { Database } from './database.js';
import { createLog, type Log } from './log.js';
import { listen, type Listener } from './listen.js';
import { DatabaseBackend } from './sql/backend.js';
import { runScript } from './script.js';

export interface OpenOptions {
  /** Data directory; created when absent. */
  readonly data: string;
  /** Port of the Postgres protocol; 0 = any free one. null = no listening: only `execute`. */
  readonly port?: number | null;
  /** Address to listen on. */
  readonly listen?: string;
  readonly logLevel?: string;
  readonly log?: Log;
  /** Settings by name, as in a configuration file. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Modules with own functions, sources and sinks (docs/functions.md): file URLs. */
  readonly extensions?: readonly URL[];
  /** For tests: faults of storage and of the steps of checkpoints (storage/faults.ts). */
  readonly faults?: FaultPlan;
}

export interface Server {
  /** The data directory held nothing before. */
  readonly isNew: boolean;
  /** Port listened on, 0 when not listening. */
  readonly port: number;
  /** Runs SQL statements one after the other, as one session; results are dropped. For --init scripts. */
  execute(sql: string): Promise<void>;
  /** Takes a last checkpoint of every running job and stops. May be called again. */
  close(): Promise<void>;
}

export async function open(options: OpenOptions): Promise<Server> {
  const log = options.log ?? createLog(options.logLevel ?? 'info');
  const settings = new Settings(null);
  for (const [name, value] of Object.entries(options.settings ?? {})) settings.set(name, value);
  const workers = Number(settings.get('workers'));
  const memoryLimit = Number(settings.get('memory_limit'));
  const extensions = (options.extensions ?? []).map(url => url.href);
  const all = await withExtensions(connectors, extensions);
  const database = await Database.open({
    extensions, functions: all.functions ?? [],
    ...(options.faults === undefined ? {} : { faults: options.faults }),
    dataDir: path.resolve(options.data), log, validateSource: (name, given) => validateOptions('source', name, given, all), validateSink: (name, given) => validateOptions('sink', name, given, all), connectorsModule: new URL('../connectors/registry.js', import.meta.url),
    workers: workers === 0 ? availableParallelism() : workers, memoryLimit: memoryLimit === 0 ? Math.floor(totalmem() / 2) : memoryLimit,
    settings: Object.fromEntries(Object.entries(options.settings ?? {}).filter(([name]) => settingSpec(name).scope !== 'server')),
  });
  const backend = new DatabaseBackend(database);
  let listener: Listener | null = null;
  try {
    // Clients are let in while the state of jobs is read, which may take many seconds.
    const started = database.startJobs();
    started.catch(() => undefined);
    if (options.port !== null) listener = await listen(backend, { port: options.port ?? 5433, host: options.listen ?? '127.0.0.1', log });
    const jobs = [...database.catalog.jobs()].length;
    if (listener !== null && jobs > 0) log.info({ port: listener.port, jobs }, 'listening; jobs are coming back');
    await started;
  } catch (e) {
    await listener?.close();
    await database.close();
    throw e;
  }
  let closing: Promise<void> | null = null;
  return {
    isNew: database.isNew,
    port: listener?.port ?? 0,
    execute: sql => runScript(backend, sql, log),
    close: () => closing ??= (async () => {
      await listener?.close();
      await database.close();
    })(),
  };
}
