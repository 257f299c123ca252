/**
 * Produces events at a constant rate, in a process of its own, to one partition of a topic. Event i is due at start + i / rate and carries that time,
 * not the time it was sent: when producer, broker or consumer fall behind, the delay is in the measured latency (no coordinated omission).
 *
 *   node producer.js SERVERS TOPIC RATE SECONDS LINGER_MS     RATE 0: SECONDS × 1,000,000 events as fast as they go
 *
 * Every LINGER_MS what is due goes out as record batches of at most BATCH_BYTES. Times are microseconds of the machine's monotonic clock, which all of
 * its processes share. Event: {"id":…,"key":…,"us":…,"at":…,"payload":"…"}, EVENT_BYTES long; each PROBE_EVERY-th has a key that no other has.
 */
import { newCluster } from '../../connectors/kafka/client.js';
import type { Broker } from '../../connectors/kafka/client.js';
import { produce, produceError } from '../../connectors/kafka/produce.js';
import { COMPRESSION_NONE, RecordBatchWriter } from '../../connectors/kafka/recordbatch.js';
import { EVENT_BYTES, FIRST_ID, KEYS, PROBE_EVERY, PROBE_KEYS_FROM, monotonicUs } from './events.js';
import type { ProducerReport } from './events.js';

const BATCH_BYTES = 512 << 10;
const IN_FLIGHT_MAX = 16;
const MILLION = 1_000_000;

/** The event's text with fields of fixed width, overwritten in place. */
class EventText {
  readonly bytes: Buffer;
  readonly #id: number;
  readonly #key: number;
  readonly #us: number;
  readonly #at: number;
  #second = -1;

  constructor() {
    const head = `{"id":${FIRST_ID},"key":${PROBE_KEYS_FROM},"us":100000000000000,"at":"1970-01-01 00:00:00.000000","payload":"`;
    this.bytes = Buffer.from(`${head}${'x'.repeat(EVENT_BYTES - head.length - 2)}"}`);
    this.#id = head.indexOf(String(FIRST_ID));
    this.#key = head.indexOf('"key":') + 6;
    this.#us = head.indexOf('"us":') + 5;
    this.#at = head.indexOf('"at":') + 6;
  }

  set(i: number, us: number): void {
    this.#digits(this.#id, 10, FIRST_ID + i);
    this.#digits(this.#key, 10, i % PROBE_EVERY === 0 ? PROBE_KEYS_FROM + i : FIRST_ID + (i % KEYS));
    this.#digits(this.#us, 15, us);
    const second = Math.floor(us / MILLION);
    if (second !== this.#second) {
      this.#second = second;
      this.bytes.write(new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' '), this.#at, 'latin1');
    }
    this.#digits(this.#at + 20, 6, us - second * MILLION);
  }

  #digits(at: number, count: number, value: number): void {
    for (let i = at + count - 1; i >= at; i--) {
      const rest = Math.floor(value / 10);
      this.bytes[i] = 48 + value - rest * 10;
      value = rest;
    }
  }
}

class Sender {
  readonly #broker: Broker;
  readonly #topic: string;
  readonly #text = new EventText();
  readonly #writer = new RecordBatchWriter(BATCH_BYTES + 4096);
  readonly #flying = new Set<Promise<void>>();
  sent = 0;

  constructor(broker: Broker, topic: string) {
    this.#broker = broker;
    this.#topic = topic;
  }

  /** Events up to number `to`, event i at `due(i)`. */
  async send(to: number, due: (i: number) => number): Promise<void> {
    while (this.sent < to) {
      while (this.sent < to && this.#writer.bytes < BATCH_BYTES) {
        this.#text.set(this.sent, due(this.sent));
        this.#writer.add(null, 0, 0, this.#text.bytes, 0, EVENT_BYTES);
        this.sent++;
      }
      while (this.#flying.size >= IN_FLIGHT_MAX) await Promise.race(this.#flying);
      const sent = produce(this.#broker, this.#topic, [{ partition: 0, batch: this.#writer.finish(COMPRESSION_NONE, Date.now()) }])
        .then(answers => { for (const a of answers) if (a.errorCode !== 0) throw produceError(a.errorCode); })
        .finally(() => { this.#flying.delete(sent); });
      this.#flying.add(sent);
    }
  }

  async settled(): Promise<void> { await Promise.all(this.#flying); }
}

async function main(): Promise<void> {
  const [servers = '', topic = '', rateText = '', secondsText = '', lingerText = ''] = process.argv.slice(2);
  const rate = Number(rateText);
  const seconds = Number(secondsText);
  const cluster = newCluster({ bootstrap_servers: servers, topic }, () => undefined);
  await cluster.connect();
  await cluster.addTargetTopic(topic);
  const sender = new Sender(await cluster.findBroker({ nodeId: String(cluster.findTopicPartitionMetadata(topic)[0].leader) }), topic);
  const startUs = monotonicUs();
  let behindMaxMs = 0;
  if (rate === 0) await sender.send(seconds * MILLION, () => startUs);
  else {
    const endUs = startUs + seconds * MILLION;
    const due = (i: number): number => startUs + Math.floor((i * MILLION) / rate);
    for (let tick = 1; ; tick++) {
      const nowUs = monotonicUs();
      const waitMs = Math.ceil((startUs + tick * Number(lingerText) * 1000 - nowUs) / 1000);
      if (waitMs > 0) await new Promise(resolve => { setTimeout(resolve, waitMs); });
      else behindMaxMs = Math.max(behindMaxMs, -waitMs);
      const untilUs = Math.min(monotonicUs(), endUs);
      await sender.send(Math.floor(((untilUs - startUs) * rate) / MILLION), due);
      if (untilUs === endUs) break;
    }
  }
  await sender.settled();
  process.send?.({ sent: sender.sent, seconds: (monotonicUs() - startUs) / MILLION, behindMaxMs } satisfies ProducerReport);
  await cluster.disconnect();
}

main().then(() => { process.disconnect(); }, (e: unknown) => { console.error(e); process.exit(1); });
