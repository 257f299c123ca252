/**
 * Connectors for the engine's tests, loaded by workers as a server's are. Not used by the server.
 *   numbers     four splits of (k, v) rows: k = v % keys; `rows` a split, then its end; `per_batch` rows a batch, `pause_ms` between batches;
 *               with `code` it fails once a split gave `after` rows, and its worker dies with the code 'exit'; with the file `once` only the first time
 *   slow        a sink whose batches take `write_ms` each, until the file `fast` exists; a commit leaves rows and their counts in `file`.<subtask>
 *   stuck       a sink whose checkpoint never comes
 *   told        a sink that writes what it hears of checkpoints into `file`.<subtask>, a word and the id a line
 */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { Batch } from '../batch.js';
import { formatDatum } from '../../types/textio.js';
import { datumRow } from '../vectors.js';
import type { Connectors, SinkConnector, SinkSpec, SinkWriter, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../connector.js';

const SPLITS = 4;

class Numbers implements SourceReader {
  readonly #spec: SourceSpec;
  readonly #context: SourceContext;
  readonly #splits: number[] = [];
  readonly #at = new Map<number, number>();
  #turn = 0;
  #paused = false;

  constructor(spec: SourceSpec, context: SourceContext) {
    this.#spec = spec;
    this.#context = context;
    for (let s = 0; s < SPLITS; s++) if (s % spec.parallelism === spec.subtask) this.#splits.push(s);
  }

  #option(name: string, fallback: number): number { return Number(this.#spec.options[name] ?? fallback); }

  open(positions: Readonly<Record<string, Json>>): Promise<void> {
    for (const s of this.#splits) this.#at.set(s, Number(positions[String(s)] ?? 0));
    return Promise.resolve();
  }

  next(): SplitBatch | 'idle' | 'end' {
    const pause = this.#option('pause_ms', 0);
    if (pause > 0 && !this.#paused) {
      this.#paused = true;
      setTimeout(() => { this.#context.wake(); }, pause);
      return 'idle';
    }
    this.#paused = false;
    const rows = this.#option('rows', 100);
    for (let k = 0; k < this.#splits.length; k++) {
      const split = this.#splits[(this.#turn + k) % this.#splits.length];
      const at = this.#at.get(split) ?? 0;
      if (at >= rows) continue;
      this.#turn++;
      const n = Math.min(this.#option('per_batch', 10), rows - at);
      this.#at.set(split, at + n);
      this.#fail(at + n);
      return { split: String(split), batch: this.#batch(split, at, n) };
    }
    return 'end';
  }

  #fail(rows: number): void {
    const { code, after, once } = this.#spec.options;
    if (code === undefined || rows < Number(after)) return;
    if (once !== undefined) {
      if (existsSync(once)) return;
      writeFileSync(once, '');
    }
    if (code === 'exit') process.exit(1); // in a worker: the thread ends
    throw new SqlError(code, 'broken on purpose');
  }

  #batch(split: number, at: number, n: number): Batch {
    const keys = this.#option('keys', 7);
    const k = new Float64Array(n);
    const v = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      v[i] = (at + i) * SPLITS + split;
      k[i] = v[i] % keys;
    }
    return { length: n, columns: [{ form: 'f64', values: k, nulls: null }, { form: 'f64', values: v, nulls: null }], weights: null };
  }

  positions(): Record<string, Json> { return Object.fromEntries([...this.#at].map(([s, at]) => [String(s), at])); }
  unreadSplits(): readonly string[] { return []; }
  progress(): { split: string; position: string; lag: number | null }[] { return [...this.#at].map(([s, at]) => ({ split: String(s), position: String(at), lag: null })); }
  close(): Promise<void> { return Promise.resolve(); }
}

const numbers: SourceConnector = { name: 'numbers', description: '', options: [], bounded: () => true, create: (spec, context) => new Numbers(spec, context) };

const stuck: SinkConnector = {
  name: 'stuck', description: '', options: [], guarantee: 'none', acceptsUpdates: () => 'yes',
  create: () => ({
    open: () => Promise.resolve(),
    write: () => undefined,
    prepare: () => new Promise<Json>(() => undefined),
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }),
};

const told: SinkConnector = {
  name: 'told', description: '', options: [], guarantee: 'none', acceptsUpdates: () => 'yes',
  create: spec => {
    const hear = (word: string, id: number): void => { appendFileSync(`${spec.options['file']}.${spec.subtask}`, `${word} ${id}\n`); };
    return {
      open: () => Promise.resolve(),
      write: () => undefined,
      prepare: id => { hear('prepare', id); return null; },
      commit: id => { hear('commit', id); return Promise.resolve(); },
      aborted: id => { hear('aborted', id); },
      close: () => Promise.resolve(),
    };
  },
};

function summed(states: readonly Json[]): Json {
  const rows = new Map<string, number>();
  for (const state of states) for (const [row, n] of (state ?? []) as unknown as [string, number][]) rows.set(row, (rows.get(row) ?? 0) + n);
  return [...rows] as unknown as Json;
}

/** What a slow sink has been given; after a restore it goes on from what the checkpoint held. */
class Slow implements SinkWriter {
  readonly #spec: SinkSpec;
  #rows = new Map<string, number>();

  constructor(spec: SinkSpec) { this.#spec = spec; }

  open(restored: Json | null): Promise<void> {
    if (restored !== null) this.#rows = new Map(restored as unknown as [string, number][]);
    return Promise.resolve();
  }

  write(batch: Batch): void | Promise<void> {
    const { columns, options } = this.#spec;
    const types = columns.map(c => c.type);
    for (let i = 0; i < batch.length; i++) {
      const row = datumRow(types, batch, i).map((v, k) => (v === null ? 'NULL' : formatDatum(types[k], v))).join(' ');
      this.#rows.set(row, (this.#rows.get(row) ?? 0) + (batch.weights === null ? 1 : batch.weights[i]));
    }
    if (existsSync(options['fast'])) return;
    return new Promise(resolve => { setTimeout(resolve, Number(options['write_ms'])); });
  }

  prepare(): Json { return [...this.#rows].filter(([, n]) => n !== 0) as unknown as Json; }
  commit(): Promise<void> {
    writeFileSync(`${this.#spec.options['file']}.${this.#spec.subtask}`, JSON.stringify(this.prepare()));
    return Promise.resolve();
  }
  close(): Promise<void> { return Promise.resolve(); }
}

const slow: SinkConnector = {
  name: 'slow', description: '', options: [], guarantee: 'none', acceptsUpdates: () => 'yes', create: spec => new Slow(spec),
  redistribute: (states, parallelism) => Array.from({ length: parallelism }, (_, k) => (k === 0 ? summed(states) : [])),
};

export const connectors: Connectors = { sources: [numbers], sinks: [stuck, slow, told] };
