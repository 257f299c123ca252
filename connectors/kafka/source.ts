/**
 * kafka: a topic as a stream; every partition is a split, spread over the subtasks by number. Positions are next offsets; they are the
 * job's, in its checkpoints, and never the group's: with group_id the offsets of completed checkpoints are also committed there, for monitoring.
 *
 * One fetch loop per leading broker asks for the owned partitions that have less than PARTITION_BUFFER_BYTES waiting, while all buffers together
 * hold less than BUFFER_BYTES: a slow job makes the loops wait (backpressure). A response's values are decoded where they
 * stand in it (frames.ts, records.ts). New partitions are looked for every DISCOVERY_MS and read from their start.
 *
 * Start without a position: scan_startup. scan_until = 'latest' makes the stream bounded: it ends at the offsets that are there when it
 * first starts (they stand in the positions, so that a restart ends at the same ones).
 * A broker that is gone is retried with growing pauses for RETRY_MS, with a line in the log; then the job restarts by its strategy (08006). An
 * offset that retention took away is 55000, never a silent gap.
 */
import type { OptionSpec, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../../runtime/connector.js';
import type { Vector } from '../../runtime/batch.js';
import { batchFromDatums } from '../../runtime/vectors.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import { Json as JsonDatum, quoteJson } from '../../types/json.js';
import type { SourceField } from '../../types/plan.js';
import { parseBoolean } from '../../types/settings.js';
import { SAFE_MAX } from '../../types/value.js';
import type { Datum } from '../../types/value.js';
import { checkFormat, recordDecoder } from '../formats/formats.js';
import type { BadSpan, RecordDecoder } from '../formats/format.js';
import { checkMetadata, numbers } from '../metadata.js';
import { ON_ERROR, TIMESTAMP_FORMAT, numberOption, textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import { ownsIndex } from '../splits.js';
import { CLIENT_PROPERTIES, SERVERS, TOPIC, checkClientOptions, checkTopic, commitOffsets, groupOffsets, isTransient, newCluster, property, toSqlError } from './client.js';
import type { Cluster, PartitionMetadata } from './client.js';
import { FetchConnection } from './fetch.js';
import type { FetchLimits } from './fetch.js';
import { readBatches, readFetchResponse, readRecords } from './records.js';
import type { Batches, Chunk, FetchResponse, FetchedPartition, Header, Keys, MessageParts } from './records.js';

const PARTITION_BUFFER_BYTES = 2 << 20;
const BUFFER_BYTES = 8 << 20;
/** A megabyte stays in the cache while it is decoded; requests for more were slower. */
const FETCH: FetchLimits = { waitMs: 500, bytes: 4 << 20, partitionBytes: 1 << 20 };
const DISCOVERY_MS = 30_000;
const RETRY_MS = 60_000;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5000;
const BAD_RECORD_BYTES_MAX = 4096;

const FORMAT: OptionSpec = { name: 'format', kind: 'text', default: 'json', values: ['json'], description: 'how message values are read: one JSON object each' };
const STARTUP: OptionSpec = { name: 'scan_startup', kind: 'text', default: 'earliest', values: ['earliest', 'latest', 'timestamp', 'group'], description: 'where a new job begins: the oldest or newest record, scan_timestamp, or the offsets of group_id (the oldest record where it has none)' };
const TIMESTAMP: OptionSpec = { name: 'scan_timestamp', kind: 'timestamp', description: 'scan_startup = timestamp: the first record of this time or later' };
const UNTIL: OptionSpec = { name: 'scan_until', kind: 'text', values: ['latest'], description: 'latest = read to what is there now, then end; without it the stream is endless' };
const GROUP: OptionSpec = { name: 'group_id', kind: 'text', description: 'consumer group that gets the offsets of completed checkpoints, for monitoring' };
const METADATA = { offset: 'integer', partition: 'integer', timestamp: 'timestamp', key: 'bytes', headers: 'jsonb' } as const;

/** Kafka's error codes in fetch responses. */
const OFFSET_OUT_OF_RANGE = 1;
const STALE_LEADER = new Set([3, 5, 6, 9, 56, 74, 75, 100]);

interface Split {
  readonly partition: number;
  /** After the last row given. */
  next: number;
  /** Where the fetch loop stands. */
  fetched: number;
  readonly until: number | null;
  highWatermark: number;
  bufferedBytes: number;
  /** It gave rows, now or before the restore. */
  given: boolean;
}

/** A partition of a response that has something new. */
interface Came { readonly split: Split; readonly fetched: FetchedPartition; readonly batches: Batches; readonly from: number }

class KafkaReader implements SourceReader {
  readonly #spec: SourceSpec;
  readonly #context: SourceContext;
  readonly #topic: string;
  readonly #decoder: RecordDecoder;
  readonly #parts: MessageParts;
  readonly #bounded: boolean;
  readonly #cluster: Cluster;
  readonly #splits = new Map<number, Split>();
  readonly #queue: Chunk[] = [];
  #bufferedBytes = 0;
  #chunk: Chunk | null = null;
  /** Number of the chunk's messages that belong to the stream. */
  #stop = 0;
  #bound: Readonly<Record<string, Json>> | null = null;
  /** Nodes with a running fetch loop. */
  readonly #loops = new Map<number, Promise<void>>();
  #drained: (() => void)[] = [];
  #failure: SqlError | null = null;
  #closed = false;
  #discovery: NodeJS.Timeout | null = null;
  #discovering: Promise<void> = Promise.resolve();
  readonly #pauses = new Map<NodeJS.Timeout, () => void>();
  #failingSinceMs: number | null = null;
  #idle = false;
  readonly #bad: (span: BadSpan) => void;

  constructor(spec: SourceSpec, context: SourceContext) {
    checkMetadata('kafka', METADATA, spec.fields);
    this.#spec = spec;
    this.#context = context;
    this.#topic = textOption(spec.options, TOPIC);
    this.#decoder = recordDecoder(spec.options, spec.fields);
    const asks = (name: string): boolean => spec.fields.some((f) => f.metadata === name);
    this.#parts = { key: asks('key'), headers: asks('headers'), timestamp: asks('timestamp'), crc: parseBoolean(property(spec.options, 'kafka.check.crcs')) === true };
    this.#bounded = textOption(spec.options, UNTIL) === 'latest';
    this.#cluster = newCluster(spec.options, (level, message, fields) => context.log(level, message, fields));
    this.#bad = (span): void => this.#badRecord(span);
  }

  async open(positions: Readonly<Record<string, Json>>): Promise<void> {
    try {
      await this.#cluster.connect();
      await this.#cluster.addTargetTopic(this.#topic);
      const partitions = this.#partitions();
      if (this.#topicPartitions().length === 0) throw new SqlError('42704', `topic "${this.#topic}" does not exist in Kafka at ${textOption(this.#spec.options, SERVERS)}`);
      await this.#start(partitions, positions);
    } catch (e) {
      await this.#cluster.disconnect().catch(() => undefined);
      throw toSqlError(e, this.#spec.options, this.#topic);
    }
    if (!this.#bounded) this.#discovery = setInterval(() => { this.#discovering = this.#discover(); }, DISCOVERY_MS);
    this.#fetchAll();
  }

  /** Empty while the cluster is not connected. */
  #topicPartitions(): readonly PartitionMetadata[] {
    try {
      return this.#cluster.findTopicPartitionMetadata(this.#topic);
    } catch (e) {
      if (e instanceof Error && e.name === 'KafkaJSTopicMetadataNotLoaded') return [];
      throw e;
    }
  }

  /** Owned partitions. */
  #partitions(): number[] {
    return this.#topicPartitions().map((p) => p.partitionId).filter((p) => ownsIndex(p, this.#spec.subtask, this.#spec.parallelism)).sort((a, b) => a - b);
  }

  async #start(partitions: readonly number[], positions: Readonly<Record<string, Json>>): Promise<void> {
    const restored = new Map<number, { offset: number; until: number | null; given: boolean }>();
    for (const p of partitions) {
      const at = positions[String(p)];
      if (typeof at === 'object' && at !== null && 'offset' in at && typeof at.offset === 'number') restored.set(p, { offset: at.offset, until: 'until' in at && typeof at.until === 'number' ? at.until : null, given: 'given' in at && at.given === true });
    }
    const fresh = partitions.filter((p) => !restored.has(p));
    // After a restore a partition without a position is one that came since: it is read whole.
    const start = Object.keys(positions).length > 0 ? await this.#offsets(fresh, 'earliest') : await this.#startup(fresh);
    const ends = this.#bounded ? await this.#offsets(fresh, 'latest') : null;
    for (const p of partitions) {
      const r = restored.get(p);
      const next = r?.offset ?? start.get(p) ?? 0;
      this.#splits.set(p, { partition: p, next, fetched: next, until: r !== undefined ? r.until : ends === null ? null : Math.max(ends.get(p) ?? next, next), highWatermark: -1, bufferedBytes: 0, given: r?.given ?? false });
    }
  }

  async #startup(partitions: readonly number[]): Promise<Map<number, number>> {
    const mode = textOption(this.#spec.options, STARTUP);
    if (mode === 'earliest' || mode === 'latest' || partitions.length === 0) return this.#offsets(partitions, mode === 'latest' ? 'latest' : 'earliest');
    const out = await this.#offsets(partitions, mode === 'timestamp' ? 'latest' : 'earliest');
    if (mode === 'group') {
      for (const [p, offset] of await groupOffsets(this.#cluster, textOption(this.#spec.options, GROUP), this.#topic, partitions)) out.set(p, offset);
      return out;
    }
    const fromTimestamp = Math.floor((numberOption(this.#spec.options, TIMESTAMP) ?? 0) / 1000);
    const [found] = await this.#cluster.fetchTopicsOffset([{ topic: this.#topic, partitions: partitions.map((partition) => ({ partition })), fromTimestamp }]);
    for (const p of found.partitions) if (Number(p.offset) >= 0) out.set(p.partition, Number(p.offset));
    return out;
  }

  async #offsets(partitions: readonly number[], which: 'earliest' | 'latest'): Promise<Map<number, number>> {
    const out = new Map<number, number>();
    if (partitions.length === 0) return out;
    const [found] = await this.#cluster.fetchTopicsOffset([{ topic: this.#topic, partitions: partitions.map((partition) => ({ partition })), fromBeginning: which === 'earliest' }]);
    for (const p of found.partitions) out.set(p.partition, Number(p.offset));
    return out;
  }

  async #discover(): Promise<void> {
    try {
      await this.#cluster.refreshMetadata();
      const fresh = this.#partitions().filter((p) => !this.#splits.has(p));
      if (fresh.length > 0) {
        const start = await this.#offsets(fresh, 'earliest');
        for (const p of fresh) {
          const next = start.get(p) ?? 0;
          this.#splits.set(p, { partition: p, next, fetched: next, until: null, highWatermark: -1, bufferedBytes: 0, given: false });
        }
        this.#context.log('info', `topic ${this.#topic} has new partitions`, { partitions: fresh });
      }
      this.#fetchAll();
    } catch (e) {
      // The fetch loops meet the same failure and give up in time.
      this.#context.log('debug', `looking for new partitions of topic ${this.#topic} failed`, { reason: e instanceof Error ? e.message : String(e) });
    }
  }

  #wanted(node: number): Split[] {
    const leaders = new Map(this.#topicPartitions().map((p) => [p.partitionId, p.leader]));
    return [...this.#splits.values()].filter((s) => leaders.get(s.partition) === node && (s.until === null || s.fetched < s.until));
  }

  /** Starts a loop for each leader that has none. */
  #fetchAll(): void {
    if (this.#closed || this.#failure !== null) return;
    for (const p of this.#topicPartitions()) {
      const split = this.#splits.get(p.partitionId);
      if (split === undefined || this.#loops.has(p.leader) || (split.until !== null && split.fetched >= split.until)) continue;
      const loop = this.#fetchLoop(p.leader).finally(() => this.#loops.delete(p.leader));
      this.#loops.set(p.leader, loop);
    }
  }

  async #fetchLoop(node: number): Promise<void> {
    let pauseMs = PAUSE_MIN_MS;
    let connection: FetchConnection | null = null;
    let coming: Promise<Buffer> | null = null;
    while (!this.#closed && this.#failure === null) {
      try {
        if (coming === null) {
          const wanted = this.#wanted(node);
          if (wanted.length === 0) break;
          const free = this.#free(wanted);
          if (free.length === 0) {
            await new Promise<void>((resolve) => this.#drained.push(resolve));
            continue;
          }
          if (connection === null || !connection.usable) connection = await FetchConnection.open(this.#cluster, node);
          coming = connection.fetch(this.#topic, free, FETCH);
        }
        const raw: Buffer = await coming;
        coming = null;
        if (this.#closed) break;
        const response = readFetchResponse(raw, connection?.version ?? 0);
        const { came, stale } = await this.#batches(raw, response);
        for (const c of came) this.#reserve(c);
        if (!stale && response.throttleMs === 0 && connection !== null && connection.usable) coming = this.#ahead(node, connection);
        for (const c of came) this.#take(raw, c);
        if (this.#failingSinceMs !== null) this.#context.log('info', `Kafka answers again for topic ${this.#topic}`, { afterMs: this.#context.now() - this.#failingSinceMs });
        this.#failingSinceMs = null;
        // The broker's quota: it asks to be left alone for so long.
        if (response.throttleMs > 0) await this.#pause(response.throttleMs);
        if (!stale) {
          pauseMs = PAUSE_MIN_MS;
          continue;
        }
        await this.#pause(pauseMs);
        await this.#cluster.refreshMetadata();
      } catch (e) {
        coming = null;
        connection = null;
        if (!(await this.#retry(e, pauseMs))) return;
      }
      pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
      // Leaders may have moved: other nodes take over their partitions.
      queueMicrotask(() => this.#fetchAll());
    }
    if (this.#bounded) this.#wake();
  }

  /** Those that may be asked for now. */
  #free(splits: readonly Split[]): Split[] {
    return this.#bufferedBytes >= BUFFER_BYTES ? [] : splits.filter((s) => s.bufferedBytes < PARTITION_BUFFER_BYTES);
  }

  /** The next request, before this response's records are worked on: the broker answers meanwhile. */
  #ahead(node: number, connection: FetchConnection): Promise<Buffer> | null {
    const free = this.#free(this.#wanted(node));
    if (free.length === 0) return null;
    const coming = connection.fetch(this.#topic, free, FETCH);
    // Awaited by the loop's next turn.
    coming.catch(() => undefined);
    return coming;
  }

  /** False when this failure is final. */
  async #retry(e: unknown, pauseMs: number): Promise<boolean> {
    if (this.#closed) return false;
    const error = toSqlError(e, this.#spec.options, this.#topic);
    // A topic seems unknown for a moment while a broker starts.
    const transient = isTransient(error) || error.code === '42704';
    const now = this.#context.now();
    if (this.#failingSinceMs === null) this.#context.log('warn', `${error.message}; retrying`, { topic: this.#topic });
    this.#failingSinceMs ??= now;
    if (!transient || now - this.#failingSinceMs > RETRY_MS) {
      this.#fail(error);
      return false;
    }
    await this.#pause(pauseMs);
    await this.#cluster.refreshMetadata().catch(() => this.#cluster.connect().catch(() => undefined));
    return !this.#closed;
  }

  #fail(error: SqlError): void {
    this.#failure ??= error;
    this.#wake();
    this.#resume();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pauses.delete(timer);
        resolve();
      }, ms);
      this.#pauses.set(timer, resolve);
    });
  }

  #resume(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }

  #wake(): void {
    if (!this.#idle || this.#closed) return;
    this.#idle = false;
    this.#context.wake();
  }

  /** What the response brings, from its batches' headers; stale: a partition's leader is elsewhere. */
  async #batches(raw: Buffer, response: FetchResponse): Promise<{ readonly came: readonly Came[]; readonly stale: boolean }> {
    let stale = response.errorCode !== 0;
    const came: Came[] = [];
    for (const f of response.partitions) {
      const split = this.#splits.get(f.partition);
      if (split === undefined) continue;
      if (STALE_LEADER.has(f.errorCode)) stale = true;
      else if (f.errorCode === OFFSET_OUT_OF_RANGE) await this.#outOfRange(split);
      else if (f.errorCode !== 0) throw new SqlError(f.errorCode === 29 ? '42501' : '08006', `reading partition ${f.partition} of topic "${this.#topic}" failed with Kafka's error code ${f.errorCode}`);
      else {
        split.highWatermark = f.highWatermark;
        const batches = readBatches(raw, f, split.fetched, this.#parts.crc);
        if (batches.next > split.fetched) came.push({ split, fetched: f, batches, from: split.fetched });
      }
    }
    return { came, stale };
  }

  /** The split goes on behind it, and its bytes count as buffered. */
  #reserve({ split, fetched, batches }: Came): void {
    split.fetched = batches.next;
    const bytes = fetched.to - fetched.from;
    split.bufferedBytes += bytes;
    this.#bufferedBytes += bytes;
  }

  async #outOfRange(split: Split): Promise<void> {
    const first = (await this.#offsets([split.partition], 'earliest')).get(split.partition) ?? -1;
    const last = (await this.#offsets([split.partition], 'latest')).get(split.partition) ?? -1;
    throw new SqlError('55000', `offset ${split.fetched} of partition ${split.partition} of topic "${this.#topic}" is not there any more`, {
      detail: `The partition has offsets ${first} to ${last}.`, hint: 'The topic\'s retention took it away, or the topic was deleted and created anew. Drop the job and create it again to read from what is there.',
    });
  }

  #take(raw: Buffer, { fetched, batches, from }: Came): void {
    this.#queue.push(readRecords(raw, fetched, batches, from, this.#parts));
    this.#wake();
  }

  next(): SplitBatch | 'idle' | 'end' {
    for (;;) {
      const batch = this.#decode();
      if (batch !== null) return batch;
      const chunk = this.#nextChunk();
      if (chunk === undefined) break;
      this.#chunk = chunk;
      this.#stop = chunkEnd(chunk, this.#splits.get(chunk.partition)?.until ?? null);
      this.#decoder.beginRecords(chunk.block, chunk.records);
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.#bounded && this.#bound === null && [...this.#splits.values()].every((s) => s.until !== null && s.fetched >= s.until)) return 'end';
    this.#idle = true;
    return 'idle';
  }

  bound(positions: Readonly<Record<string, Json>> | null): void { this.#bound = positions; }

  /** Offset that a partition's rows end at for now: a border that other readers wait at. */
  #border(partition: number): number {
    if (this.#bound === null) return Infinity;
    const position = this.#bound[String(partition)];
    return position === undefined ? 0 : place(position);
  }

  /** The oldest chunk; while there is a border, of a partition that has not reached it. */
  #nextChunk(): Chunk | undefined {
    if (this.#bound === null) return this.#queue.shift();
    const k = this.#queue.findIndex((c) => (this.#splits.get(c.partition)?.next ?? Infinity) < this.#border(c.partition));
    return k < 0 ? undefined : this.#queue.splice(k, 1)[0];
  }

  #decode(): SplitBatch | null {
    const chunk = this.#chunk;
    if (chunk === null) return null;
    const split = this.#splits.get(chunk.partition);
    if (split === undefined) return null;
    const border = this.#border(chunk.partition);
    const stop = border === Infinity ? this.#stop : Math.min(this.#stop, chunkEnd(chunk, border));
    const at = this.#decoder.decodeRecords(stop, Infinity, this.#bad);
    if (at >= stop && stop < this.#stop) return this.#park(chunk, split, Math.max(at, stop), border);
    const done = at >= stop;
    split.next = done ? (stop < chunk.records.count && split.until !== null ? split.until : chunk.next) : chunk.offsets[at];
    const batch = this.#decoder.rows === 0 ? null : this.#decoder.finish((f, rows, _, index) => this.#metadata(chunk, f, rows, index));
    if (done) {
      this.#chunk = null;
      split.bufferedBytes -= chunk.bytes;
      this.#bufferedBytes -= chunk.bytes;
      this.#resume();
    }
    if (batch === null) return null;
    split.given = true;
    return { split: String(chunk.partition), batch };
  }

  /** At a border within a chunk: what it has beyond waits, first in the queue. */
  #park(chunk: Chunk, split: Split, at: number, border: number): SplitBatch | null {
    split.next = Math.max(split.next, border);
    const batch = this.#decoder.rows === 0 ? null : this.#decoder.finish((f, rows, _, index) => this.#metadata(chunk, f, rows, index));
    this.#chunk = null;
    this.#queue.unshift(chunkFrom(chunk, at));
    if (batch === null) return null;
    split.given = true;
    return { split: String(chunk.partition), batch };
  }

  #metadata(chunk: Chunk, f: SourceField, rows: number, index: Int32Array): Vector {
    switch (f.metadata) {
      case 'offset': return numbers(rows, (i) => chunk.offsets[index[i]]);
      case 'partition': return numbers(rows, () => chunk.partition);
      case 'timestamp': return numbers(rows, (i) => (chunk.timestampsMs?.[index[i]] ?? 0) * 1000);
      case 'key': return keyVector(f, chunk.keys, rows, index);
      default: {
        const values: Datum[][] = [];
        for (let i = 0; i < rows; i++) values.push([headersDatum(chunk.headers?.[index[i]] ?? [])]);
        return batchFromDatums([f.type], values).columns[0];
      }
    }
  }

  #badRecord({ index, reason, start, end }: BadSpan): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    this.#context.badRecord({
      split: String(chunk.partition), position: `${this.#topic} partition ${chunk.partition} offset ${chunk.offsets[index]}`,
      reason: chunk.tombstones?.has(index) === true ? 'the message has no value (a tombstone)' : reason, raw: chunk.block.subarray(start, Math.min(end, start + BAD_RECORD_BYTES_MAX)),
    });
  }

  positions(): Record<string, Json> {
    return Object.fromEntries([...this.#splits.values()].map((s) => [String(s.partition), s.until === null ? { offset: s.next, given: s.given } : { offset: s.next, until: s.until, given: s.given }]));
  }

  /** A partition that has records, or may have, and gave none yet: its rows may be older than those the others are at. */
  unreadSplits(): readonly string[] {
    return [...this.#splits.values()].filter((s) => !s.given && (s.until === null ? s.highWatermark < 0 || s.next < s.highWatermark : s.next < s.until)).map((s) => String(s.partition));
  }

  finishedSplits(): ReadonlySet<string> {
    return new Set([...this.#splits.values()].filter((s) => s.until !== null && s.next >= s.until).map((s) => String(s.partition)));
  }

  progress(): readonly { readonly split: string; readonly position: string; readonly lag: number | null }[] {
    return [...this.#splits.values()].map((s) => ({ split: String(s.partition), position: String(s.next), lag: s.highWatermark < 0 ? null : Math.max((s.until ?? s.highWatermark) - s.next, 0) }));
  }

  async committed(positions: Readonly<Record<string, Json>>): Promise<void> {
    const group = textOption(this.#spec.options, GROUP);
    if (group === '' || this.#closed) return;
    const offsets = new Map<number, number>();
    for (const s of this.#splits.keys()) {
      const at = positions[String(s)];
      if (typeof at === 'object' && at !== null && 'offset' in at && typeof at.offset === 'number' && at.offset <= SAFE_MAX) offsets.set(s, at.offset);
    }
    if (offsets.size === 0) return;
    try {
      await commitOffsets(this.#cluster, group, this.#topic, offsets);
    } catch (e) {
      this.#context.log('warn', `offsets of group ${group} could not be committed (for monitoring only)`, { reason: e instanceof Error ? e.message : String(e) });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#discovery !== null) clearInterval(this.#discovery);
    for (const [timer, resolve] of this.#pauses) {
      clearTimeout(timer);
      resolve();
    }
    this.#resume();
    await this.#cluster.disconnect().catch(() => undefined);
    await Promise.allSettled([...this.#loops.values(), this.#discovering]);
  }
}

/** Number of the chunk's messages before offset `until`. */
function chunkEnd(chunk: Chunk, until: number | null): number {
  const { offsets, records } = chunk;
  let messages = records.count;
  if (until !== null) while (messages > 0 && offsets[messages - 1] >= until) messages--;
  return messages;
}

/** The chunk's messages from number `at` on. */
function chunkFrom(chunk: Chunk, at: number): Chunk {
  const { records, keys } = chunk;
  return {
    ...chunk, records: { starts: records.starts.subarray(at), ends: records.ends.subarray(at), count: records.count - at }, offsets: chunk.offsets.subarray(at),
    timestampsMs: chunk.timestampsMs?.subarray(at) ?? null, keys: keys === null ? null : { ...keys, starts: keys.starts.subarray(at), ends: keys.ends.subarray(at) },
    headers: chunk.headers?.slice(at) ?? null, tombstones: chunk.tombstones === null ? null : new Set([...chunk.tombstones].filter((i) => i >= at).map((i) => i - at)),
  };
}

/** A partition's position as its next offset. */
function place(position: Json): number {
  return typeof position === 'object' && position !== null && 'offset' in position && typeof position.offset === 'number' ? position.offset : 0;
}

function keyVector(f: SourceField, keys: Keys | null, rows: number, index: Int32Array): Vector {
  const start = new Int32Array(rows);
  const end = new Int32Array(rows);
  const nulls = new Uint8Array(rows);
  if (keys === null) return { form: 'bytes', data: nulls, start, end, nulls: nulls.fill(1) };
  const key = (i: number): Buffer => keys.data.subarray(keys.starts[index[i]], keys.ends[index[i]]);
  // Bytes that are no UTF-8 show as U+FFFD in a text.
  if (!keys.utf8 && f.type.kind !== 'bytea') return batchFromDatums([f.type], Array.from({ length: rows }, (_, i) => [keys.starts[index[i]] < 0 ? null : key(i).toString('utf8')])).columns[0];
  for (let i = 0; i < rows; i++) {
    const k = index[i];
    if (keys.starts[k] < 0) nulls[i] = 1;
    else {
      start[i] = keys.starts[k];
      end[i] = keys.ends[k];
    }
  }
  return { form: 'bytes', data: keys.data, start, end, nulls };
}

/** Headers as a jsonb object; the last of equal names, values as text. */
function headersDatum(headers: readonly Header[]): Datum {
  return JsonDatum.jsonb(`{${headers.map(([k, v]) => `${quoteJson(k)}:${v === null ? 'null' : quoteJson(v.toString('utf8'))}`).join(',')}}`);
}

function validate(options: Options): void {
  checkClientOptions(options);
  checkFormat(options);
  const startup = textOption(options, STARTUP);
  if ((startup === 'timestamp') !== (options[TIMESTAMP.name] !== undefined)) throw new SqlError('22023', startup === 'timestamp' ? 'scan_startup = \'timestamp\' needs option "scan_timestamp"' : 'option "scan_timestamp" needs scan_startup = \'timestamp\'');
  if (startup === 'group' && textOption(options, GROUP) === '') throw new SqlError('22023', 'scan_startup = \'group\' needs option "group_id"');
}

export const kafkaSource: SourceConnector = {
  name: 'kafka',
  description: 'a Kafka topic, all its partitions; record batches as they are or compressed by gzip, snappy, lz4, and by zstd with Node.js 22.15 or later',
  options: [TOPIC, SERVERS, FORMAT, STARTUP, TIMESTAMP, UNTIL, GROUP, ON_ERROR, TIMESTAMP_FORMAT],
  prefixes: ['kafka.'],
  prefixed: CLIENT_PROPERTIES,
  bounded: (options) => textOption(options, UNTIL) === 'latest',
  validate,
  check: checkTopic,
  sharing: () => ({ place, unit: 'rows' }),
  create: (spec, context) => new KafkaReader(spec, context),
};
