/**
 * Group: the jobs of one worker that read one stream in step, over one reader of the connector. The reader decodes the union of their columns; each
 * batch becomes a link of the group's chain (link.ts), which every member walks at its own pace. A group of one is the reader itself.
 *
 *   at the chain's end   a member pulls: the reader is asked once, whoever asks while it works waits for the same answer
 *   columns change       (a member came or went) the reader is closed at the chain's end, and one of the new union opened there
 *   members too far      past BACKLOG_BYTES the foremost wait for the hindmost, unless that costs them more than sharing gives (`keepsStep`), or the
 *   apart                hindmost stands still for STALL_MS: then it goes on with a reader of its own
 *
 * Bad records are kept in the link and told to each job in its turn. A record may be bad only for a column that a member does not read: that member
 * reads such a stretch with a reader of its own.
 */
import type { Json } from '../../types/connect.js';
import { assert } from '../../types/error.js';
import type { Env, Timer } from '../../types/env.js';
import type { BadRecord, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../connector.js';
import type { SharedReader } from './reader.js';
import { following, heldBytes, Layout, origin, type Link, type Standing } from './link.js';

/** Named limit: decoded bytes of one stream in one worker that wait for the hindmost reader. */
export const BACKLOG_BYTES = 32 << 20;
/** Named limit: how long the foremost wait for a hindmost that does not move. */
const STALL_MS = 500;
/** The foremost may be slowed by so much against reading apart. */
const SLOWED_MAX = 1.5;
/** Links over which a member's cost is measured before it is judged. */
const JUDGED_LINKS = 4;

export interface GroupHost {
  readonly connector: SourceConnector;
  readonly spec: SourceSpec;
  readonly env: Env;
  readonly backlogBytes: number;
  /** True when the group must not read now (it waits for another to come up). */
  holds(group: Group): boolean;
  /** After each answer of the reader. */
  moved(group: Group): void;
  /** An answer that took its time was given: the reader is free. */
  settled(group: Group): void;
  apart(member: SharedReader): void;
}

/** `held`: nothing now, though there may be more: the group waits for another, or the member for one behind it. */
export type Answer = 'batch' | 'idle' | 'held' | 'end';

export class Group {
  readonly members = new Set<SharedReader>();
  tail: Link;
  ended = false;
  layout: Layout;
  readonly #host: GroupHost;
  #reader: SourceReader | null = null;
  #busy: Promise<Answer> | null = null;
  #bad: BadRecord[] = [];
  #failure: { readonly error: unknown } | null = null;
  #bytes = 0;
  #full = false;
  #changed = false;
  #stall: Timer | null = null;
  #closed = false;
  /** Time and links of the reader. */
  #readMs = 0;
  #links = 0;

  constructor(host: GroupHost, first: SharedReader, standing: Standing) {
    this.#host = host;
    this.layout = first.layout;
    this.tail = origin(standing, first.layout);
    this.members.add(first);
  }

  get opened(): boolean { return this.#reader !== null && this.#failure === null && !this.#closed; }
  get reading(): boolean { return this.#busy !== null; }
  get reader(): SourceReader | null { return this.#reader; }
  get bytes(): number { return this.#bytes; }

  async open(): Promise<void> {
    const layout = Layout.union([...this.members].map(m => m.layout));
    const { connector, spec } = this.#host;
    const reader = connector.create({ ...spec, fields: layout.fields }, this.#context());
    await reader.open(this.tail.standing.positions);
    this.#reader = reader;
    this.layout = layout;
    if (this.#border !== null) reader.bound?.(this.#border);
    this.#stand(this.tail);
    if (this.#closed) await reader.close();
  }

  #context(): SourceContext {
    const first = (): SharedReader | undefined => this.members.values().next().value;
    return {
      badRecord: record => { this.#bad.push(record.raw.length === 0 ? record : { ...record, raw: record.raw.slice() }); },
      wake: () => { this.wakeAll(); },
      log: (level, message, fields) => { first()?.context.log(level, message, fields); },
      now: () => this.#host.env.now(),
    };
  }

  wakeAll(): void { for (const m of this.members) m.context.wake(); }

  /** What the reader tells now, at this link. */
  #stand(link: Link): void {
    const reader = this.#reader;
    assert(reader !== null, 'no reader');
    link.standing.positions = reader.positions();
    link.standing.unread = reader.unreadSplits();
    link.standing.finished = reader.finishedSplits?.();
  }

  /** More of the stream, asked for by a member at the chain's end. */
  pull(member: SharedReader): Answer | Promise<Answer> {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.ended) return 'end';
    if (this.#busy !== null) return this.#busy;
    // It may have been merged into another meanwhile: that one's members were woken.
    if (this.#host.holds(this) || this.#closed) return 'held';
    if (this.#stale()) return this.#during(this.#reopen().then(() => this.#read(member)));
    if (this.members.size > 1 && this.#bytes > this.#host.backlogBytes && this.#waits(member)) return 'held';
    const answer = this.#read(member);
    return answer instanceof Promise ? this.#during(answer) : answer;
  }

  #during(answer: Promise<Answer>): Promise<Answer> {
    const busy = answer.finally(() => { this.#busy = null; this.#host.settled(this); });
    this.#busy = busy;
    return busy;
  }

  /** No reader, or one of other columns than the members' union, which is looked at only after they changed. */
  #stale(): boolean {
    if (this.#reader === null) return true;
    if (!this.#changed) return false;
    this.#changed = false;
    return !Layout.union([...this.members].map(m => m.layout)).sameAs(this.layout);
  }
  #only(): SharedReader {
    const { value } = this.members.values().next();
    assert(value !== undefined, 'a group without members');
    return value;
  }

  /** A reader of the members' columns at the chain's end. */
  async #reopen(): Promise<void> {
    try {
      await this.#reader?.close();
      this.#reader = null;
      await this.open();
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  #failed(error: unknown): void {
    this.#failure ??= { error };
    this.wakeAll();
  }

  #read(member: SharedReader): Answer | Promise<Answer> {
    const reader = this.#reader;
    if (reader === null || this.#closed) return 'idle';
    const began = performance.now();
    try {
      const raw = reader.next();
      if (raw instanceof Promise) return raw.then(value => this.#accept(value), (error: unknown) => { this.#failed(error); throw error; });
      const spent = performance.now() - began;
      this.#readMs += spent;
      member.readMs += spent;
      return this.#accept(raw);
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  #accept(raw: SplitBatch | 'idle' | 'end'): Answer {
    if (this.#closed) return 'idle';
    if (typeof raw === 'string') {
      if (this.#bad.length > 0) this.#append(null);
      else this.#stand(this.tail);
      if (raw === 'end') this.ended = true;
      this.#host.moved(this);
      if (raw === 'end' && this.members.size > 1) this.wakeAll();
      return raw;
    }
    this.#append(raw);
    this.#host.moved(this);
    return 'batch';
  }

  #append(given: SplitBatch | null): void {
    const shared = this.members.size > 1;
    const bytes = given === null || !shared ? 0 : heldBytes(given.batch);
    const link: Link = {
      standing: { positions: {}, unread: [], finished: undefined }, layout: this.layout, given, bad: this.#bad, bytes, left: this.members.size, next: null, same: null,
    };
    this.#bad = [];
    this.#stand(link);
    this.tail.next = link;
    this.tail = link;
    this.#links++;
    if (!shared) return;
    this.#bytes += bytes;
    this.wakeAll();
  }

  /** A member went past the link, or will never. */
  passed(link: Link): void {
    if (--link.left > 0 || link.bytes === 0) return;
    this.#bytes -= link.bytes;
    if (!this.#full || this.#bytes > this.#host.backlogBytes * 3 / 4) return;
    this.#full = false;
    this.#stall?.cancel();
    this.#stall = null;
    this.wakeAll();
  }

  /** The chain is at its limit: whether the foremost waits for the hindmost. */
  #waits(foremost: SharedReader): boolean {
    const hindmost = this.#hindmost();
    if (hindmost === foremost) return false;
    if (!this.#keepsStep(foremost, hindmost)) {
      this.#host.apart(hindmost);
      return this.#bytes > this.#host.backlogBytes;
    }
    this.#full = true;
    if (this.#stall === null) {
      const at = hindmost.cursor;
      this.#stall = this.#host.env.after(STALL_MS, () => {
        this.#stall = null;
        if (!this.#full || this.#closed) return;
        if (this.members.has(hindmost) && hindmost.cursor === at) this.#host.apart(hindmost);
        this.#full = false;
        this.wakeAll();
      });
    }
    return true;
  }

  #hindmost(): SharedReader {
    let most = -1;
    let found = this.#only();
    for (const m of this.members) {
      let links = 0;
      for (let l = following(m.cursor); l !== null; l = following(l)) links++;
      if (links > most) { most = links; found = m; }
    }
    return found;
  }

  /**
   * With d the reader's time for a link and c[i] the members', one link costs the worker d + Σ c[i] in step. Apart, each of n would have a fair
   * part of the worker: n (d + c[foremost]) a link for the foremost. It waits while the first is at most SLOWED_MAX times the second.
   */
  #keepsStep(foremost: SharedReader, hindmost: SharedReader): boolean {
    const d = this.#links === 0 ? 0 : this.#readMs / this.#links;
    let inStep = d;
    for (const m of this.members) inStep += m.costMs();
    if (hindmost.judged < JUDGED_LINKS || foremost.judged < JUDGED_LINKS) return true;
    const kept = inStep <= SLOWED_MAX * this.members.size * (d + foremost.costMs());
    for (const m of this.members) m.judgeAnew();
    this.#readMs = d;
    this.#links = 1;
    return kept;
  }

  #border: Readonly<Record<string, Json>> | null = null;
  /** No row past this border, or none any more (connector.ts). */
  bound(positions: Readonly<Record<string, Json>> | null): void {
    this.#border = positions;
    this.#reader?.bound?.(positions);
  }

  /** The member goes, with what it had not passed yet. */
  leave(member: SharedReader): void {
    this.members.delete(member);
    this.#changed = true;
    for (let l = following(member.cursor); l !== null; l = following(l)) this.passed(l);
    if (this.members.size > 0 && this.#full) { this.#full = false; this.wakeAll(); }
  }

  /** Both stand at the same point: the other's members go on with this group's chain. */
  merge(other: Group): void {
    assert(!this.reading && !other.reading, 'groups meet while they read');
    for (const m of other.members) {
      this.members.add(m);
      m.group = this;
    }
    other.members.clear();
    other.tail.same = this.tail;
    this.#bytes += other.#bytes;
    this.#changed = true;
    void other.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stall?.cancel();
    await this.#busy?.catch(() => undefined);
    await this.#reader?.close();
  }
}
