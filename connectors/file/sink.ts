/**
 * file: a sink that writes NDJSON or CSV files into a folder, exactly once.
 *
 * Each subtask writes rows to a hidden part `.part-<job>-<node>-<subtask>-<n>.<ext>.inprogress`. At a checkpoint barrier the part is
 * closed and synced and named in the checkpoint; when the checkpoint completed it is renamed to `part-…` and so becomes visible. Recovery
 * renames the parts that its checkpoint names, and deletes every later one, hidden or visible (its rows come again).
 * So a reader that looks at visible parts sees each row once; one part per subtask and checkpoint that has rows.
 *
 * Numbers of parts rise over all subtasks when the parallelism changes, so that no name comes twice; subtask 0 finishes what subtasks that are no more
 * prepared. A job restored from another's savepoint finishes the other's parts in the same folder, and gives its own names of its own.
 *
 * Rows: plain ones for an append-only query. For a query whose result changes, `changelog = 'true'` writes every change with a leading
 * `op` ('insert', 'delete', 'update_before', 'update_after'); without it such a query is refused.
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Batch } from '../../runtime/batch.js';
import type { OptionSpec, SinkConnector, SinkSpec, SinkWriter, SourceContext } from '../../runtime/connector.js';
import type { Json } from '../../types/connect.js';
import { SqlError, environmentCode } from '../../types/error.js';
import { eachChange } from '../formats/encode.js';
import type { RowEncoder } from '../formats/encode.js';
import { CSV_OPTIONS, FORMAT, checkFormat, rowEncoder } from '../formats/formats.js';
import { booleanOption, textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import { UNFINISHED_SUFFIX } from './files.js';

/** Text gathered before it is written. */
const BUFFER_CHARS = 1 << 18;

const PATH: OptionSpec = { name: 'path', kind: 'text', required: true, description: 'the folder; it is created when missing' };
export const CHANGELOG: OptionSpec = { name: 'changelog', kind: 'boolean', default: 'false', description: 'write changes with a leading field op: insert, delete, update_before, update_after' };

interface Part { readonly checkpoint: number; readonly number: number }

/** What a checkpoint holds of a subtask. */
interface State {
  readonly next: number;
  readonly parts: readonly number[];
  /** Before a part's number, in its name. */
  readonly prefix?: string;
  /** Of subtasks, or a job, that this one stands in for: their parts are finished at the start. */
  readonly others?: readonly State[];
}

class FileWriter implements SinkWriter {
  readonly #spec: SinkSpec;
  readonly #log: SourceContext['log'];
  readonly #folder: string;
  readonly #jobPrefix: string;
  readonly #prefix: string;
  readonly #extension: string;
  readonly #encoder: RowEncoder;
  readonly #changelog: boolean;
  /** Closed parts that no completed checkpoint made visible yet. */
  #closed: Part[] = [];
  #number = 0;
  #handle: FileHandle | null = null;
  #buffer: string[] = [];
  #bufferChars = 0;

  constructor(spec: SinkSpec, log: SourceContext['log']) {
    this.#spec = spec;
    this.#log = log;
    this.#folder = textOption(spec.options, PATH);
    this.#jobPrefix = `part-${spec.jobId}-${spec.nodeId}-`;
    this.#prefix = `${this.#jobPrefix}${spec.subtask}-`;
    this.#extension = textOption(spec.options, FORMAT) === 'csv' ? '.csv' : '.ndjson';
    this.#changelog = booleanOption(spec.options, CHANGELOG);
    this.#encoder = rowEncoder(spec.options, spec.visible, this.#changelog);
  }

  #visible(n: number, prefix = this.#prefix): string {
    return path.join(this.#folder, `${prefix}${String(n).padStart(8, '0')}${this.#extension}`);
  }

  #hidden(n: number, prefix = this.#prefix): string {
    return path.join(this.#folder, `.${prefix}${String(n).padStart(8, '0')}${this.#extension}${UNFINISHED_SUFFIX}`);
  }

  async open(restored: Json | null, restoredCheckpoint: number): Promise<void> {
    await makeFolder(this.#folder);
    const state = restored as unknown as State | null;
    this.#number = state?.next ?? 0;
    for (const n of state?.parts ?? []) this.#closed.push({ checkpoint: restoredCheckpoint, number: n });
    await this.commit(restoredCheckpoint);
    await this.#dropNewer(this.#prefix, this.#number);
    for (const { prefix, parts, next } of state?.others ?? []) {
      if (prefix === undefined) continue;
      try {
        for (const n of parts) await this.#publish(n, prefix);
      } catch (e) {
        throw writeError(this.#folder, e);
      }
      // Another job's later parts are its own.
      if (prefix.startsWith(this.#jobPrefix)) await this.#dropNewer(prefix, next);
    }
  }

  async #dropNewer(prefix: string, first: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const bare = name.startsWith('.') ? name.slice(1) : name;
      if (!bare.startsWith(prefix)) continue;
      const n = Number.parseInt(bare.slice(prefix.length), 10);
      if (!(n >= first)) continue;
      if (name === bare) this.#log('warn', `${this.#spec.relationName}: visible part ${name} is newer than the restored checkpoint and is deleted; its rows come again`);
      await rm(path.join(this.#folder, name));
    }
  }

  write(batch: Batch): void | Promise<void> {
    eachChange(this.#spec.columns, batch, this.#spec.key, (row, op) => {
      const line = this.#encoder.encode(batch, row, this.#changelog ? op : null);
      this.#buffer.push(line);
      this.#bufferChars += line.length;
    });
    if (this.#bufferChars >= BUFFER_CHARS) return this.#flush();
    return undefined;
  }

  async #flush(): Promise<void> {
    if (this.#buffer.length === 0) return;
    const lines = this.#buffer;
    this.#buffer = [];
    this.#bufferChars = 0;
    try {
      if (this.#handle === null) {
        this.#handle = await open(this.#hidden(this.#number), 'wx');
        if (this.#encoder.header !== null) lines.unshift(this.#encoder.header);
      }
      lines.push('');
      await this.#handle.writeFile(lines.join('\n'));
    } catch (e) {
      throw writeError(this.#folder, e);
    }
  }

  async prepare(checkpointId: number): Promise<Json> {
    await this.#flush();
    if (this.#handle !== null) {
      try {
        await this.#handle.sync();
        await this.#handle.close();
        this.#handle = null;
        await syncFolder(this.#folder);
      } catch (e) {
        throw writeError(this.#folder, e);
      }
      this.#closed.push({ checkpoint: checkpointId, number: this.#number });
      this.#number++;
    }
    return { next: this.#number, parts: this.#closed.map((p) => p.number), prefix: this.#prefix };
  }

  async commit(checkpointId: number): Promise<void> {
    const due = this.#closed.filter((p) => p.checkpoint <= checkpointId);
    if (due.length === 0) return;
    try {
      for (const p of due) await this.#publish(p.number);
      await syncFolder(this.#folder);
    } catch (e) {
      throw writeError(this.#folder, e);
    }
    this.#closed = this.#closed.filter((p) => p.checkpoint > checkpointId);
  }

  async #publish(n: number, prefix = this.#prefix): Promise<void> {
    try {
      await rename(this.#hidden(n, prefix), this.#visible(n, prefix));
    } catch (e) {
      // Renamed already, before a crash or in an earlier try; a reader may even have taken the part away.
      if (!(e instanceof Error) || environmentCode(e) !== '58P01') throw e;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = null;
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if (!(await stat(folder)).isDirectory()) throw new SqlError('42809', `"${folder}" is not a folder`);
  } catch (e) {
    if (e instanceof Error && 'code' in e && (e.code === 'EEXIST' || e.code === 'ENOTDIR')) throw new SqlError('42809', `"${folder}" is not a folder`, { hint: 'A file sink writes several files into a folder: give the path of one.', cause: e });
    throw writeError(folder, e);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const h = await open(folder, 'r');
  try {
    await h.sync();
  } finally {
    await h.close();
  }
}

function writeError(folder: string, cause: unknown): SqlError {
  if (cause instanceof SqlError) return cause;
  const e = cause instanceof Error ? cause : new Error(String(cause));
  return new SqlError(environmentCode(e) ?? '58030', `could not write to folder "${folder}": ${e.message}`, { cause });
}

function validate(options: Options, columns: readonly { readonly name: string }[]): void {
  checkFormat(options);
  if (booleanOption(options, CHANGELOG) && columns.some((c) => c.name === 'op')) throw new SqlError('42701', 'column "op" is in the way of the changelog\'s own field "op"', { hint: 'Name the column otherwise (AS …).' });
}

/** Numbers go on above all that were given; the first subtask finishes the parts of those that are no more. */
function redistribute(states: readonly Json[], parallelism: number, otherJob: boolean): Json[] {
  const own = states as unknown as readonly (State | null)[];
  if (otherJob) return [{ next: 0, parts: [], others: own.flatMap((s) => (s === null ? [] : [s, ...(s.others ?? [])])) as unknown as Json }];
  const next = Math.max(0, ...own.map((s) => s?.next ?? 0));
  const gone = own.slice(parallelism).filter((s) => s !== null);
  return Array.from({ length: parallelism }, (_, k): Json => {
    const state = own[k] ?? null;
    const others = [...(state?.others ?? []), ...(k === 0 ? gone.flatMap((s) => [s, ...(s.others ?? [])]) : [])];
    return { next, parts: [...(state?.parts ?? [])], ...(others.length === 0 ? {} : { others: others as unknown as Json }) };
  });
}

export const fileSink: SinkConnector = {
  name: 'file',
  description: 'NDJSON or CSV files in a folder; a part becomes visible when its checkpoint completed',
  options: [PATH, FORMAT, CHANGELOG, ...CSV_OPTIONS],
  guarantee: 'exactly_once',
  acceptsUpdates: (options) => (booleanOption(options, CHANGELOG) ? 'yes' : 'no'),
  validate,
  check: (options) => makeFolder(textOption(options, PATH)),
  redistribute,
  create: (spec, context) => new FileWriter(spec, (level, message, fields) => context.log(level, message, fields)),
};
