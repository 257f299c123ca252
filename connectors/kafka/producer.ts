/**
 * BatchProducer: messages to the partitions of one topic, in order, at least once.
 *
 *   add      puts a message into its partition's open record batch: by its key's hash as Java clients do, without a key to one partition a batch in turn
 *   full     a batch is closed at BATCH_BYTES (less when the topic's max.message.bytes is) and queued; a loop sends the first queued batch of
 *            every partition, one request a broker at a time, acks = all; what a request carried stays queued until it is acknowledged
 *   failure  a leader that moved, a broker that is gone: metadata are looked at anew and the same batches sent again, SEND_TRIES times with growing
 *            pauses; then 08006. A later batch never overtakes an earlier one of its partition.
 *
 * `crowded` tells that QUEUE_BYTES wait: the caller then awaits `room`.
 */
import type { SourceContext } from '../../runtime/connector.js';
import { SqlError } from '../../types/error.js';
import type { Options } from '../optionvalues.js';
import { isTransient, newCluster, toSqlError } from './client.js';
import type { Broker, Cluster } from './client.js';
import { partitionOf } from './partitioner.js';
import { produce, produceError } from './produce.js';
import { RecordBatchWriter } from './recordbatch.js';

const BATCH_BYTES = 256 << 10;
const QUEUE_BYTES = 8 << 20;
const SEND_TRIES = 8;
const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 5000;
/** Share of max.message.bytes that a batch is closed at: the last message may be longer than the others. */
const LIMIT_SHARE = 0.75;
const TOPIC_RESOURCE = 2;
/** Answers that another try may change: leaders move, replicas fall behind. */
const RETRIABLE = new Set([3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 56, 72, 74, 75]);

interface Queued { readonly partition: number; readonly batch: Buffer }

export class BatchProducer {
  readonly #options: Options;
  readonly #topic: string;
  readonly #compression: number;
  readonly #log: SourceContext['log'];
  readonly #cluster: Cluster;
  #open: (RecordBatchWriter | null)[] = [];
  #queues: Queued[][] = [];
  #leaders: number[] = [];
  #batchBytes = BATCH_BYTES;
  #queuedBytes = 0;
  /** Where messages without a key go, until that batch is closed. */
  #sticky = 0;
  #sending: Promise<void> | null = null;
  #failure: SqlError | null = null;
  #closed = false;
  #waiting: (() => void)[] = [];

  constructor(options: Options, topic: string, compression: number, log: SourceContext['log']) {
    this.#options = options;
    this.#topic = topic;
    this.#compression = compression;
    this.#log = log;
    this.#cluster = newCluster(options, log);
  }

  async open(): Promise<void> {
    await this.#cluster.connect();
    await this.#cluster.addTargetTopic(this.#topic);
    this.#readLeaders();
    if (this.#leaders.length === 0) throw new SqlError('42704', `topic "${this.#topic}" does not exist`);
    this.#batchBytes = Math.min(BATCH_BYTES, Math.floor((await this.#messageBytesMax()) * LIMIT_SHARE));
  }

  #readLeaders(): void {
    for (const p of this.#cluster.findTopicPartitionMetadata(this.#topic)) this.#leaders[p.partitionId] = p.leader;
    while (this.#open.length < this.#leaders.length) {
      this.#open.push(null);
      this.#queues.push([]);
    }
  }

  /** Infinity when the broker does not tell. */
  async #messageBytesMax(): Promise<number> {
    const name = 'max.message.bytes';
    try {
      const broker = await this.#cluster.findBroker({ nodeId: String(this.#leaders[0]) });
      const { resources } = await broker.describeConfigs({ resources: [{ type: TOPIC_RESOURCE, name: this.#topic, configNames: [name] }] });
      const value = Number(resources[0]?.configEntries.find((e) => e.configName === name)?.configValue);
      return value > 0 ? value : Infinity;
    } catch (e) {
      this.#log('debug', `${name} of topic ${this.#topic} is not known`, { reason: e instanceof Error ? e.message : String(e) });
      return Infinity;
    }
  }

  /** key[0, keyEnd) or no key; value[0, valueEnd), or null for a tombstone. Copies both. */
  add(key: Uint8Array | null, keyEnd: number, value: Uint8Array | null, valueEnd: number): void {
    const partition = key === null ? this.#sticky : partitionOf(key, 0, keyEnd, this.#leaders.length);
    let writer = this.#open[partition];
    if (writer !== null && writer.bytes + keyEnd + valueEnd > this.#batchBytes) {
      this.#close(partition, writer);
      writer = null;
    }
    writer ??= this.#open[partition] = new RecordBatchWriter(this.#batchBytes);
    writer.add(key, 0, keyEnd, value, 0, valueEnd);
    if (writer.bytes < this.#batchBytes) return;
    this.#close(partition, writer);
  }

  #close(partition: number, writer: RecordBatchWriter): void {
    const batch = writer.finish(this.#compression, Date.now());
    this.#open[partition] = null;
    if (partition === this.#sticky) this.#sticky = (this.#sticky + 1) % this.#leaders.length;
    this.#queues[partition].push({ partition, batch });
    this.#queuedBytes += batch.length;
    this.#sending ??= this.#send().finally(() => { this.#sending = null; });
  }

  get crowded(): boolean { return this.#queuedBytes >= QUEUE_BYTES || this.#failure !== null; }

  /** Until fewer than QUEUE_BYTES wait; throws what sending failed with. */
  async room(): Promise<void> {
    while (this.#queuedBytes >= QUEUE_BYTES && this.#failure === null) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#failure !== null) throw this.#failure;
  }

  /** Until everything added is acknowledged. */
  async flush(): Promise<void> {
    for (const [partition, writer] of this.#open.entries()) if (writer !== null && writer.count > 0) this.#close(partition, writer);
    while (this.#sending !== null) await this.#sending;
    if (this.#failure !== null) throw this.#failure;
  }

  async #send(): Promise<void> {
    let pauseMs = PAUSE_MIN_MS;
    for (let tries = 1; this.#queuedBytes > 0 && !this.#closed;) {
      const errors = await Promise.all([...this.#byLeader()].map(([leader, batches]) => this.#request(leader, batches)));
      const failed = errors.find((e) => e !== null) ?? null;
      if (this.#closed) return;
      if (failed === null) {
        tries = 1;
        pauseMs = PAUSE_MIN_MS;
      } else {
        const error = toSqlError(failed, this.#options, this.#topic);
        if (!(isTransient(error) || failed instanceof Retriable) || tries >= SEND_TRIES) {
          this.#failure = error;
          this.#wake();
          return;
        }
        this.#log('warn', `${error.message}; retrying`, { topic: this.#topic, tries });
        tries++;
        await new Promise((resolve) => { setTimeout(resolve, pauseMs); });
        pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
        await this.#cluster.refreshMetadata().catch(() => this.#cluster.connect().catch(() => undefined));
        this.#readLeaders();
      }
      this.#wake();
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** The first queued batch of each partition. */
  #byLeader(): Map<number, Queued[]> {
    const out = new Map<number, Queued[]>();
    for (const queue of this.#queues) {
      if (queue.length === 0) continue;
      const leader = this.#leaders[queue[0].partition];
      const of = out.get(leader);
      if (of === undefined) out.set(leader, [queue[0]]);
      else of.push(queue[0]);
    }
    return out;
  }

  /** What failed, or null. */
  async #request(leader: number, batches: readonly Queued[]): Promise<unknown> {
    let broker: Broker | null = null;
    try {
      broker = await this.#cluster.findBroker({ nodeId: String(leader) });
      let failed: unknown = null;
      for (const { partition, errorCode } of await produce(broker, this.#topic, batches)) {
        if (errorCode === 0) this.#queuedBytes -= this.#queues[partition].shift()?.batch.length ?? 0;
        else failed ??= RETRIABLE.has(errorCode) ? new Retriable(errorCode) : produceError(errorCode);
      }
      return failed;
    } catch (e) {
      await broker?.disconnect().catch(() => undefined);
      return e;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#cluster.disconnect().catch(() => undefined);
    await this.#sending?.catch(() => undefined);
  }
}

class Retriable extends SqlError {
  constructor(code: number) {
    super('08006', `the broker did not take a batch: ${produceError(code).message}`);
  }
}
