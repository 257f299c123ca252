/**
 * SharedReader: a job's own SourceReader over the group it is a member of. It gives each batch of the chain once, with only the job's columns (the
 * vectors are shared, nothing is copied), tells the group's bad records to the job, and stands where the job stands: positions are those after
 * the batch it gave last, whatever other members have read meanwhile.
 */
import type { Json } from '../../types/connect.js';
import type { SourceContext, SourceReader, SplitBatch } from '../connector.js';
import type { Answer, Group } from './group.js';
import { following, newest, type Layout, type Link } from './link.js';

export interface MemberHost {
  /** Opens the group of a member that comes. */
  join(member: SharedReader, positions: Readonly<Record<string, Json>>): Promise<void>;
  /** Goes on with a reader of its own from where it stands; it may meet the others again later. */
  apart(member: SharedReader): void;
  leave(member: SharedReader): Promise<void>;
}

export class SharedReader implements SourceReader {
  readonly layout: Layout;
  readonly context: SourceContext;
  group: Group | null = null;
  /** The link it gave last. */
  cursor!: Link;
  /** Time it spent in the group's reader since it was last judged. */
  readMs = 0;
  judged = 0;
  readonly #host: MemberHost;
  readonly #busyMs: () => number;
  #busyFrom = 0;
  #seen: Layout | null = null;
  #columns: readonly number[] | null = null;
  #closed = false;
  #held = false;

  /** `busyMs`: how long the job's task has worked until now. */
  constructor(layout: Layout, context: SourceContext, busyMs: () => number, host: MemberHost) {
    this.layout = layout;
    this.context = context;
    this.#busyMs = busyMs;
    this.#host = host;
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    await this.#host.join(this, positions);
    this.judgeAnew();
  }

  next(): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    const given = this.#step();
    if (given !== null) return given;
    const { group } = this;
    if (group === null || this.#closed) return 'idle';
    const answer = group.pull(this);
    return answer instanceof Promise ? answer.then(a => this.#settle(a)) : this.#settle(answer);
  }

  #settle(answer: Answer): SplitBatch | 'idle' | 'end' | Promise<SplitBatch | 'idle' | 'end'> {
    const given = this.#step();
    if (given !== null) return given;
    this.#held = answer === 'held';
    if (answer === 'end') return 'end';
    if (answer === 'idle' || answer === 'held') return 'idle';
    // A batch for a group it has left meanwhile.
    return this.next();
  }

  /** The next batch of the chain; null at its end. */
  #step(): SplitBatch | null | Promise<SplitBatch | 'idle' | 'end'> {
    if (this.#closed) return null;
    for (;;) {
      const link = following(this.cursor);
      if (link === null) return null;
      if (link.bad.length > 0 && !link.layout.sameAs(this.layout)) {
        this.#host.apart(this);
        return Promise.resolve().then(() => this.next());
      }
      this.cursor = link;
      this.#held = false;
      this.group?.passed(link);
      this.judged++;
      for (const record of link.bad) this.context.badRecord(record);
      if (link.given === null) continue;
      if (link.layout !== this.#seen) {
        this.#seen = link.layout;
        this.#columns = link.layout.columnsOf(this.layout);
      }
      const columns = this.#columns;
      if (columns === null) return link.given;
      const { split, batch } = link.given;
      return { split, batch: { length: batch.length, columns: columns.map(c => batch.columns[c]), weights: batch.weights } };
    }
  }

  /** Milliseconds of the task for one link, its part in the reader's work left out. */
  costMs(): number { return this.judged === 0 ? 0 : Math.max(0, this.#busyMs() - this.#busyFrom - this.readMs) / this.judged; }
  judgeAnew(): void {
    this.judged = 0;
    this.readMs = 0;
    this.#busyFrom = this.#busyMs();
  }

  positions(): Record<string, Json> { return newest(this.cursor).standing.positions; }
  unreadSplits(): readonly string[] { return newest(this.cursor).standing.unread; }
  finishedSplits(): ReadonlySet<string> { return newest(this.cursor).standing.finished ?? NONE; }
  waits(): boolean { return this.#held; }
  progress(): ReturnType<SourceReader['progress']> { return this.group?.reader?.progress() ?? []; }
  async committed(positions: Readonly<Record<string, Json>>, checkpointId: number): Promise<void> { await this.group?.reader?.committed?.(positions, checkpointId); }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#host.leave(this);
  }
}

const NONE: ReadonlySet<string> = new Set();
