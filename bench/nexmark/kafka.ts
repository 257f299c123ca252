/**
 * Nexmark events in a topic of a real Kafka broker: an NDJSON file's lines as messages without key, epochs of 50 events round robin over the
 * partitions, so that each partition is in event-time order as the file is. Written in record batches of BATCH_BYTES with several requests in
 * flight: about a million events in two seconds. A topic that holds all events already is used again.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { newCluster } from '../../connectors/kafka/client.js';
import type { Broker, Cluster } from '../../connectors/kafka/client.js';
import { produce, produceError } from '../../connectors/kafka/produce.js';
import { COMPRESSION_GZIP, COMPRESSION_NONE, RecordBatchWriter } from '../../connectors/kafka/recordbatch.js';
import { startKafka } from '../../connectors/kafka/testbroker.js';
import { EPOCH_EVENTS } from '../../connectors/nexmark/model.js';

/** What a producer sends with batch.size = 65536. */
const BATCH_BYTES = 64 << 10;
const REQUESTS_MAX = 16;
const FIRST_TRIES = 100;
const READ_BYTES = 4 << 20;

export interface TopicOptions { readonly partitions?: number; readonly compression?: 'none' | 'gzip'; readonly batchBytes?: number }

/** The topic's name; created and filled when it does not hold exactly `events` messages. */
export async function fillTopic(servers: string, file: string, events: number, options: TopicOptions = {}): Promise<string> {
  const { partitions = 1, compression = 'none', batchBytes = BATCH_BYTES } = options;
  const topic = `nexmark-${events}-${partitions}-${compression}-${batchBytes}`;
  const cluster = newCluster({ bootstrap_servers: servers, topic }, () => undefined);
  await cluster.connect();
  try {
    if (await createTopic(cluster, topic, partitions)) {
      await cluster.addTargetTopic(topic);
      await new Filler(cluster, topic, partitions, compression === 'gzip' ? COMPRESSION_GZIP : COMPRESSION_NONE, batchBytes).fill(file);
    } else await cluster.addTargetTopic(topic);
    const held = await messages(cluster, topic, partitions);
    if (held !== events) throw new Error(`topic ${topic} holds ${held} messages, not ${events}: delete it or use another broker`);
    return topic;
  } finally {
    await cluster.disconnect();
  }
}

/** A new topic for a sink. */
export async function newTopic(servers: string, topic: string, partitions: number): Promise<string> {
  const cluster = newCluster({ bootstrap_servers: servers, topic }, () => undefined);
  await cluster.connect();
  try {
    if (!(await createTopic(cluster, topic, partitions))) throw new Error(`topic ${topic} exists`);
    return topic;
  } finally {
    await cluster.disconnect();
  }
}

interface Controller { createTopics(o: { topics: readonly { topic: string; numPartitions: number; replicationFactor: number; replicaAssignment: readonly never[]; configEntries: readonly never[] }[]; timeout: number }): Promise<unknown> }

/** False when it is there. */
async function createTopic(cluster: Cluster, topic: string, partitions: number): Promise<boolean> {
  const known = await cluster.metadata({ topics: [] });
  if (known.topicMetadata.some(t => t.topic === topic)) return false;
  const controller = await (cluster as unknown as { findControllerBroker(): Promise<Controller> }).findControllerBroker();
  await controller.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, replicaAssignment: [], configEntries: [] }], timeout: 10_000 });
  for (;;) {
    const { topicMetadata } = await cluster.metadata({ topics: [] });
    if (topicMetadata.some(t => t.topic === topic)) return true;
    await new Promise(resolve => { setTimeout(resolve, 50); });
  }
}

async function messages(cluster: Cluster, topic: string, partitions: number): Promise<number> {
  const all = Array.from({ length: partitions }, (_, partition) => ({ partition }));
  const [latest] = await cluster.fetchTopicsOffset([{ topic, partitions: all, fromBeginning: false }]);
  return latest.partitions.reduce((sum, p) => sum + Number(p.offset), 0);
}

class Filler {
  readonly #cluster: Cluster;
  readonly #topic: string;
  readonly #compression: number;
  readonly #batchBytes: number;
  readonly #writers: readonly RecordBatchWriter[];
  readonly #brokers: (Broker | undefined)[] = [];
  readonly #flying = new Set<Promise<void>>();
  readonly #begun = new Set<number>();
  #failure: Error | null = null;

  constructor(cluster: Cluster, topic: string, partitions: number, compression: number, batchBytes: number) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#compression = compression;
    this.#batchBytes = batchBytes;
    this.#writers = Array.from({ length: partitions }, () => new RecordBatchWriter(batchBytes + 4096));
  }

  async fill(file: string): Promise<void> {
    for (const p of this.#cluster.findTopicPartitionMetadata(this.#topic)) this.#brokers[p.partitionId] = await this.#cluster.findBroker({ nodeId: String(p.leader) });
    const fd = openSync(file, 'r');
    const block = Buffer.allocUnsafe(READ_BYTES);
    let carried = 0;
    let n = 0;
    for (;;) {
      const read = readSync(fd, block, carried, READ_BYTES - carried, null);
      const to = carried + read;
      let at = 0;
      for (let end = block.indexOf(10); end >= 0 && end < to; end = block.indexOf(10, at)) {
        const partition = Math.floor(n++ / EPOCH_EVENTS) % this.#writers.length;
        const writer = this.#writers[partition];
        if (writer.bytes + end - at > this.#batchBytes && writer.count > 0) await this.#send(partition);
        writer.add(null, 0, 0, block, at, end);
        at = end + 1;
      }
      block.copy(block, 0, at, to);
      carried = to - at;
      if (read === 0) break;
    }
    closeSync(fd);
    for (const [partition, writer] of this.#writers.entries()) if (writer.count > 0) await this.#send(partition);
    await Promise.all(this.#flying);
    if (this.#failure !== null) throw this.#failure;
  }

  async #send(partition: number): Promise<void> {
    const broker = this.#brokers[partition];
    if (broker === undefined) throw new Error(`partition ${partition} has no leader`);
    while (this.#flying.size >= REQUESTS_MAX) await Promise.race(this.#flying);
    const batch = this.#writers[partition].finish(this.#compression, Date.now());
    if (!this.#begun.has(partition)) {
      this.#begun.add(partition);
      return this.#first(broker, partition, Buffer.from(batch));
    }
    // produce() has copied the batch before it waits for anything.
    const sent = produce(broker, this.#topic, [{ partition, batch }]).then(answers => {
      for (const a of answers) if (a.errorCode !== 0) throw produceError(a.errorCode);
    }).catch((e: unknown) => { this.#failure ??= e instanceof Error ? e : new Error(String(e)); }).finally(() => { this.#flying.delete(sent); });
    this.#flying.add(sent);
    if (this.#failure !== null) throw this.#failure;
  }

  /** A partition that was just created has its leader a moment later. */
  async #first(broker: Broker, partition: number, batch: Buffer): Promise<void> {
    for (let tries = 1; ; tries++) {
      const code = (await produce(broker, this.#topic, [{ partition, batch }]))[0]?.errorCode ?? 0;
      if (code === 0) return;
      if (tries >= FIRST_TRIES) throw produceError(code);
      await new Promise(resolve => { setTimeout(resolve, 50); });
    }
  }
}

export interface BenchKafka { readonly servers: string; readonly pid: number; close(): Promise<void> }

/** The broker at `bootstrap`, or one of our own that `close` ends. */
export async function benchKafka(bootstrap: string | undefined): Promise<BenchKafka> {
  if (bootstrap !== undefined) return { servers: bootstrap, pid: -1, close: () => Promise.resolve() };
  const broker = await startKafka({ forSpeed: true });
  return { servers: broker.servers, pid: broker.pid, close: () => broker.remove() };
}
