/**
 * The outside world of the simulation. The source has splits that can be read again from any row, transaction by transaction. The sink is a system of its own
 * that outlives all processes: rows are staged under a checkpoint's id and become visible when that one, or a later one, is committed.
 */
import type { Batch } from '../../runtime/batch.js';
import { datumRow } from '../../runtime/vectors.js';
import type { Connectors, SinkConnector, SinkSpec, SinkWriter, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../../runtime/connector.js';
import type { Json } from '../../types/connect.js';
import type { Env } from '../../types/env.js';
import { formatDatum } from '../../types/textio.js';
import type { Line, Row } from './queries.js';
import type { Domain, World } from './world.js';

export class Outside {
  readonly splits: readonly (readonly Row[])[];
  readonly #staged = new Map<number, { readonly id: number; readonly lines: readonly (readonly [Line, number])[] }[]>();
  /** Line → how often. */
  readonly visible = new Map<Line, number>();

  constructor(splits: readonly (readonly Row[])[]) { this.splits = splits; }

  stage(subtask: number, id: number, lines: readonly (readonly [Line, number])[]): void {
    const staged = this.#staged.get(subtask) ?? [];
    this.#staged.set(subtask, [...staged.filter(s => s.id !== id), { id, lines }]);
  }

  commit(subtask: number, id: number): void {
    const staged = this.#staged.get(subtask) ?? [];
    for (const s of staged) {
      if (s.id > id) continue;
      for (const [line, weight] of s.lines) this.visible.set(line, (this.visible.get(line) ?? 0) + weight);
    }
    this.#staged.set(subtask, staged.filter(s => s.id > id));
  }

  dropStaged(subtask: number): void { this.#staged.delete(subtask); }

  /** What a reader of the sink's target has. */
  lines(): Line[] { return [...this.visible].flatMap(([line, n]) => Array.from({ length: Math.abs(n) }, () => (n < 0 ? `- ${line}` : line))); }
}

export function simConnectors(outside: Outside, world: World, domain: Domain, env: Env): Connectors {
  const source: SourceConnector = {
    name: 'sim', description: '', options: [], bounded: () => true, create: (spec, context) => new Reader(spec, context, outside, world, env),
  };
  const sink: SinkConnector = {
    name: 'sim', description: '', options: [], guarantee: 'exactly_once', acceptsUpdates: () => 'yes', create: spec => new Writer(spec, outside, world, domain),
  };
  return { sources: [source], sinks: [sink] };
}

class Reader implements SourceReader {
  readonly #spec: SourceSpec;
  readonly #context: SourceContext;
  readonly #outside: Outside;
  readonly #world: World;
  readonly #env: Env;
  readonly #at = new Map<number, number>();
  #rested = false;

  constructor(spec: SourceSpec, context: SourceContext, outside: Outside, world: World, env: Env) {
    this.#spec = spec;
    this.#context = context;
    this.#outside = outside;
    this.#world = world;
    this.#env = env;
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    this.#outside.splits.forEach((_, s) => { if (s % this.#spec.parallelism === this.#spec.subtask) this.#at.set(s, Number(positions[String(s)] ?? 0)); });
  }

  next(): SplitBatch | 'idle' | 'end' {
    const { random } = this.#world;
    const left = [...this.#at].filter(([s, at]) => at < this.#outside.splits[s].length);
    if (left.length === 0) return 'end';
    if (!this.#rested) {
      this.#rested = true;
      this.#env.after(random(12), () => { this.#context.wake(); });
      return 'idle';
    }
    this.#rested = random(3) > 0;
    const [split, at] = left[random(left.length)];
    const rows = this.#outside.splits[split].slice(at, at + 2 * (1 + random(3)));
    this.#at.set(split, at + rows.length);
    return { split: String(split), batch: this.#batch(rows) };
  }

  #batch(rows: readonly Row[]): Batch {
    return { length: rows.length, weights: null, columns: this.#spec.fields.map(f => ({ form: 'f64' as const, values: Float64Array.from(rows, r => r[f.name as keyof Row]), nulls: null })) };
  }

  positions(): Record<string, Json> { return Object.fromEntries([...this.#at].map(([s, at]) => [String(s), at])); }
  unreadSplits(): readonly string[] { return [...this.#at].filter(([s, at]) => at === 0 && this.#outside.splits[s].length > 0).map(([s]) => String(s)); }
  progress(): { split: string; position: string; lag: number | null }[] { return []; }
  async close(): Promise<void> { /* nothing is open */ }
}

class Writer implements SinkWriter {
  readonly #spec: SinkSpec;
  readonly #outside: Outside;
  readonly #world: World;
  readonly #domain: Domain;
  #lines: (readonly [Line, number])[] = [];

  constructor(spec: SinkSpec, outside: Outside, world: World, domain: Domain) {
    this.#spec = spec;
    this.#outside = outside;
    this.#world = world;
    this.#domain = domain;
  }

  #wait(what: string): Promise<void> { return this.#world.wait(this.#world.random(6), this.#domain, what); }

  async open(restored: Json | null, checkpoint: number): Promise<void> {
    await this.#wait('sink open');
    if (restored !== null) this.#outside.commit(this.#spec.subtask, checkpoint);
    this.#outside.dropStaged(this.#spec.subtask);
  }

  write(batch: Batch): void {
    const types = this.#spec.columns.map(c => c.type);
    for (let i = 0; i < batch.length; i++) {
      this.#lines.push([datumRow(types, batch, i).map((v, c) => (v === null ? 'NULL' : formatDatum(types[c], v))).join(' '), batch.weights === null ? 1 : batch.weights[i]]);
    }
  }

  async prepare(checkpoint: number): Promise<Json> {
    const lines = this.#lines;
    this.#lines = [];
    await this.#wait('sink prepare');
    this.#outside.stage(this.#spec.subtask, checkpoint, lines);
    return checkpoint;
  }

  async commit(checkpoint: number): Promise<void> {
    await this.#wait('sink commit');
    this.#outside.commit(this.#spec.subtask, checkpoint);
  }

  async close(): Promise<void> { /* what is staged waits for the next open */ }
}
