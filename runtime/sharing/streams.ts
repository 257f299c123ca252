/**
 * Streams that several jobs of this worker read: one read and one decode for all of them (group.ts), while every job keeps its own positions,
 * barriers and checkpoints. A job begins with a reader of its own, where its checkpoint (or the stream's start) is. Groups of one stream become one where
 * they stand at the same point, and that is brought about:
 *
 *   a meeting   the two hindmost groups that are near to each other (or whose way is long against the distance between them) read up to the farther
 *               position of the two in each split, not past it; there they merge. Near groups farther on wait, so that they need not be
 *               caught up with; who stands still for MEETING_STALL_MS is left behind.
 *
 * A group far behind another (a new view over a long topic) reads on its own until it is near. Streams with a rate limit are not shared: every
 * job has its rate. Two workers that read one stream decode it twice.
 */
import type { Json } from '../../types/connect.js';
import type { Env, Timer } from '../../types/env.js';
import type { SourceConnector, SourceContext, SourceReader, SourceSpec, StreamSharing } from '../connector.js';
import { BACKLOG_BYTES, Group, type GroupHost } from './group.js';
import { distance, farther, Layout, reaches } from './link.js';
import { SharedReader, type MemberHost } from './reader.js';

/** Groups so near meet at once: about what is decoded in some ten milliseconds. */
const NEAR = { bytes: 4 << 20, rows: 20_000 } as const;
/** Groups farther apart do not meet, however long their way is. */
const FAR = { bytes: 256 << 20, rows: 1_000_000 } as const;
/** Between the two: when the way of the foremost is this many times the distance. */
const WAY_MIN = 2;
const LOOK_MS = 20;
const MEETING_STALL_MS = 500;
/** After a meeting that failed, or a reader that had to go on apart: doubled each time. */
const APART_MIN_MS = 2000;
const APART_MAX_MS = 300_000;

export interface ReaderHost { readonly env: Env; busyMs(): number }

/** Of one worker. */
export class SharedStreams {
  readonly #streams = new Map<string, Stream>();
  readonly #backlogBytes: number;

  constructor(backlogBytes = BACKLOG_BYTES) { this.#backlogBytes = backlogBytes; }

  /** A reader of the stream for one job: shared when the connector allows. */
  reader(connector: SourceConnector, spec: SourceSpec, context: SourceContext, host: ReaderHost): SourceReader {
    const sharing = connector.sharing?.(spec.options) ?? null;
    if (sharing === null) return connector.create(spec, context);
    // Whatever else a later version says about what is read must be the same, too.
    const key = JSON.stringify([connector.name, { ...spec, jobId: 0, nodeId: 0, relationName: '', fields: null }, sharing.variant?.(spec) ?? '']);
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = new Stream(connector, spec, sharing, host.env, this.#backlogBytes, () => { this.#streams.delete(key); });
      this.#streams.set(key, stream);
    }
    return new SharedReader(new Layout(spec.fields), context, () => host.busyMs(), stream);
  }

  /** Members and groups of every stream: for tests and the log. */
  sizes(): { members: number; groups: number; bytes: number }[] { return [...this.#streams.values()].map(s => s.size()); }
}

interface Meeting { readonly low: Group; readonly high: Group; readonly held: ReadonlySet<Group>; at: Record<string, Json>; timer: Timer; lowAt: unknown; highAt: unknown }

class Stream implements GroupHost, MemberHost {
  readonly connector: SourceConnector;
  readonly spec: SourceSpec;
  readonly env: Env;
  readonly backlogBytes: number;
  readonly #sharing: StreamSharing;
  readonly #gone: () => void;
  readonly #groups = new Set<Group>();
  readonly #barred = new Map<SharedReader, { untilMs: number; forMs: number }>();
  #meeting: Meeting | null = null;
  #lookMs = 0;

  constructor(connector: SourceConnector, spec: SourceSpec, sharing: StreamSharing, env: Env, backlogBytes: number, gone: () => void) {
    this.connector = connector;
    this.spec = spec;
    this.env = env;
    this.backlogBytes = backlogBytes;
    this.#sharing = sharing;
    this.#gone = gone;
  }

  size(): { members: number; groups: number; bytes: number } {
    let members = 0;
    let bytes = 0;
    for (const g of this.#groups) { members += g.members.size; bytes += g.bytes; }
    return { members, groups: this.#groups.size, bytes };
  }

  // ---- members ----

  #group(member: SharedReader, positions: Readonly<Record<string, Json>>): Group {
    const before = member.group === null ? null : member.cursor.standing;
    const group = new Group(this, member, { positions: { ...positions }, unread: before?.unread ?? [], finished: before?.finished });
    member.group = group;
    member.cursor = group.tail;
    this.#groups.add(group);
    return group;
  }

  async join(member: SharedReader, positions: Readonly<Record<string, Json>>): Promise<void> {
    await this.#group(member, positions).open();
    this.#lookMs = 0;
  }

  apart(member: SharedReader): void {
    const { group } = member;
    this.#leave(group, member).catch(() => undefined);
    this.#group(member, member.positions());
    this.#bar(member);
    member.context.wake();
  }

  async leave(member: SharedReader): Promise<void> {
    this.#barred.delete(member);
    const closed = this.#leave(member.group, member);
    if (this.#groups.size === 0) this.#gone();
    await closed;
  }

  async #leave(group: Group | null, member: SharedReader): Promise<void> {
    if (group === null) return;
    group.leave(member);
    if (group.members.size > 0) return;
    this.#drop(group);
    await group.close();
  }

  #drop(group: Group): void {
    this.#groups.delete(group);
    const m = this.#meeting;
    if (m !== null && (m.low === group || m.high === group)) this.#endMeeting();
  }

  #bar(member: SharedReader): void {
    const forMs = Math.min(APART_MAX_MS, (this.#barred.get(member)?.forMs ?? APART_MIN_MS / 2) * 2);
    this.#barred.set(member, { forMs, untilMs: this.env.now() + forMs });
  }

  // ---- meetings ----

  holds(group: Group): boolean {
    if (this.#groups.size === 1) return false;
    this.#look();
    const m = this.#meeting;
    if (m === null) return false;
    if (m.held.has(group)) return true;
    if (m.low !== group && m.high !== group) return false;
    if (!reaches(group.tail.standing.positions, m.at, this.#sharing.place)) return false;
    this.#arrived(m);
    return true;
  }

  moved(group: Group): void {
    const m = this.#meeting;
    if (m === null || (m.low !== group && m.high !== group)) return;
    if (group.ended) { this.#endMeeting(); return; }
    const { place } = this.#sharing;
    const at = farther(m.at, group.tail.standing.positions, place);
    // A reader minds the border from its next block on: where it went past it, the other follows.
    if (!reaches(m.at, at, place)) this.#meetAt(m, at);
    this.#arrived(m);
  }

  settled(group: Group): void {
    const m = this.#meeting;
    if (m !== null && (m.low === group || m.high === group)) this.#arrived(m);
  }

  #meetAt(m: Meeting, at: Record<string, Json>): void {
    m.at = at;
    m.low.bound(at);
    m.high.bound(at);
    m.low.wakeAll();
    m.high.wakeAll();
  }

  #arrived(m: Meeting): void {
    const { place } = this.#sharing;
    if (!reaches(m.low.tail.standing.positions, m.at, place) || !reaches(m.high.tail.standing.positions, m.at, place)) return;
    if (!m.low.reading && !m.high.reading) this.#merge(m);
  }

  #merge(m: Meeting): void {
    const { low, high } = m;
    const same = samePoint(low.tail.standing.positions, high.tail.standing.positions);
    this.#endMeeting();
    if (!same) {
      // The same places of what is not the same: another file under the name, another end, a split that one has had rows of and the other not yet.
      for (const member of low.members) this.#bar(member);
      return;
    }
    const [into, from] = low.layout.has(high.layout) && !high.layout.has(low.layout) ? [low, high] : [high, low];
    this.#groups.delete(from);
    into.merge(from);
    into.wakeAll();
    this.#lookMs = 0;
  }

  /** Lets two groups meet when that pays. */
  #look(): void {
    const now = this.env.now();
    if (this.#meeting !== null || now < this.#lookMs) return;
    this.#lookMs = now + LOOK_MS;
    const barred = (g: Group): boolean => [...g.members].some(m => (this.#barred.get(m)?.untilMs ?? 0) > now);
    const { place } = this.#sharing;
    const groups = [...this.#groups].filter(g => g.opened && !g.ended && !barred(g)).map(group => ({ group, sum: distance({}, group.tail.standing.positions, place) })).sort((a, b) => a.sum - b.sum);
    for (let k = 0; k + 1 < groups.length; k++) {
      if (!this.#pays(groups[k].group, groups[k + 1].group)) continue;
      const held = new Set<Group>();
      for (let n = k + 1; n + 1 < groups.length && this.#pays(groups[n].group, groups[n + 1].group); n++) held.add(groups[n + 1].group);
      this.#meet(groups[k].group, groups[k + 1].group, held);
      return;
    }
  }

  #pays(low: Group, high: Group): boolean {
    const { place, unit } = this.#sharing;
    const from = low.tail.standing.positions;
    const to = high.tail.standing.positions;
    const apart = distance(from, to, place) + distance(to, from, place);
    if (apart <= NEAR[unit]) return true;
    if (apart > FAR[unit]) return false;
    let way = 0;
    for (const p of high.reader?.progress() ?? []) way += p.lag ?? Infinity;
    return apart * WAY_MIN <= way;
  }

  #meet(low: Group, high: Group, held: ReadonlySet<Group>): void {
    const at = farther(low.tail.standing.positions, high.tail.standing.positions, this.#sharing.place);
    const m: Meeting = { low, high, held, at, timer: this.#stallTimer(), lowAt: low.tail, highAt: high.tail };
    this.#meeting = m;
    this.#meetAt(m, at);
    this.#arrived(m);
  }

  #stallTimer(): Timer {
    return this.env.after(MEETING_STALL_MS, () => {
      const m = this.#meeting;
      if (m === null) return;
      if (m.low.tail !== m.lowAt || m.high.tail !== m.highAt) {
        m.lowAt = m.low.tail;
        m.highAt = m.high.tail;
        m.timer = this.#stallTimer();
        return;
      }
      const late = reaches(m.low.tail.standing.positions, m.at, this.#sharing.place) ? m.high : m.low;
      for (const member of late.members) this.#bar(member);
      this.#endMeeting();
    });
  }

  #endMeeting(): void {
    const m = this.#meeting;
    if (m === null) return;
    this.#meeting = null;
    m.timer.cancel();
    for (const g of [m.low, m.high]) {
      g.bound(null);
      g.wakeAll();
    }
    for (const g of m.held) g.wakeAll();
  }
}

/** Equal positions, where a split that was begun and not read counts as one not begun. */
function samePoint(a: Readonly<Record<string, Json>>, b: Readonly<Record<string, Json>>): boolean {
  for (const split of new Set([...Object.keys(a), ...Object.keys(b)])) if (JSON.stringify(a[split] ?? null) !== JSON.stringify(b[split] ?? null)) return false;
  return true;
}
