/**
 * An own source: lanes of numbered events, each lane in order. Lanes are dealt out to subtasks as elements of list state, so that on another
 * parallelism each lane goes on where it was, wherever it is read then.
 *
 *   CREATE STREAM payment (lane int, n bigint, …) WITH (connector = 'counter', lanes = '4', rows = '10000');
 */
import { existsSync } from 'node:fs';
import type { ConnectorSpec, FunctionInitializationContext, ListState, Row, SourceContext, SourceDefinition, SourceFunction, SplitRows } from '../../runtime/functions/api.js';

type Lane = { readonly lane: number; readonly next: number };
const ROWS_A_BATCH = 20;

class Counter implements SourceFunction {
  readonly #spec: ConnectorSpec;
  readonly #context: SourceContext;
  #lanes: Lane[] = [];
  #state: ListState<Lane> | null = null;
  #turn = 0;
  #waiting = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(spec: ConnectorSpec, context: SourceContext) {
    this.#spec = spec;
    this.#context = context;
  }

  initializeState({ isRestored, operatorStateStore }: FunctionInitializationContext): void {
    this.#state = operatorStateStore.listState<Lane>({ name: 'lanes' });
    const { subtask, parallelism, options } = this.#spec;
    this.#lanes = isRestored ? this.#state.get() : Array.from({ length: Number(options['lanes']) }, (_, lane) => ({ lane, next: 0 })).filter(l => l.lane % parallelism === subtask);
  }

  snapshotState(): void { this.#state?.update(this.#lanes); }

  /** Each has its own watermark: a lane that is behind is not late. */
  splits(): string[] { return this.#open().map(l => `lane ${l.lane}`); }

  #open(): Lane[] { return this.#lanes.filter(l => l.next < Number(this.#spec.options['rows'])); }

  next(): SplitRows | 'idle' | 'end' {
    const { options } = this.#spec;
    const rows = Number(options['rows']);
    const open = this.#open();
    if (open.length === 0) return 'end';
    const pauseMs = Number(options['pause_ms']);
    if (pauseMs > 0 && !this.#waiting && !existsSync(options['hurry'])) {
      this.#waiting = true;
      this.#timer = setTimeout(() => { this.#context.wake(); }, pauseMs);
      return 'idle';
    }
    this.#waiting = false;
    const { lane, next } = open[this.#turn++ % open.length];
    const until = Math.min(rows, next + ROWS_A_BATCH);
    this.#lanes = this.#lanes.map(l => (l.lane === lane ? { lane, next: until } : l));
    return { split: `lane ${lane}`, rows: Array.from({ length: until - next }, (_, k) => event(lane, next + k)) };
  }

  close(): void { if (this.#timer !== null) clearTimeout(this.#timer); }
}

/** The same for the same lane and number, in every run. */
export function event(lane: number, n: number): Row {
  const at = 1_700_000_000_000_000 + n * 1_000_000;
  return { lane, n, card: `card ${lane * 10 + n % 10}`, amount: n % 7 === 0 ? 0.5 : n % 5 === 0 ? 900 : 20 + n % 50, country: n % 90 === 0 ? 'IS' : 'NO', at };
}

export const counter: SourceDefinition = {
  name: 'counter',
  description: 'numbered events in lanes',
  options: [
    { name: 'lanes', description: 'how many lanes', kind: 'integer', default: '4' }, { name: 'rows', description: 'events a lane', kind: 'integer', required: true },
    { name: 'pause_ms', description: 'ms between batches', kind: 'integer', default: '0' }, { name: 'hurry', description: 'no pauses once this file exists', kind: 'text', default: '' },
  ],
  bounded: () => true,
  createFunction: (spec, context) => new Counter(spec, context),
};
