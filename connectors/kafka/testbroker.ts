/**
 * A real Apache Kafka broker for tests: one KRaft node on 127.0.0.1 with free ports, its jars from Maven Central (scripts/kafka/pom.xml), kept
 * in .build/kafka-lib. Needs java and mvn; `kafkaUnavailable` says what is missing, to skip tests by name.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HEAP = '512m';
const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

export interface KafkaMessage { readonly key?: Buffer | string | null; readonly value: string | null; readonly partition?: number; readonly headers?: Record<string, string>; readonly timestamp?: string }

interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  createTopics(o: { topics: readonly { topic: string; numPartitions: number; configEntries?: readonly { name: string; value: string }[] }[] }): Promise<boolean>;
  createPartitions(o: { topicPartitions: readonly { topic: string; count: number }[] }): Promise<boolean>;
  fetchTopicOffsets(topic: string): Promise<unknown>;
  deleteTopicRecords(o: { topic: string; partitions: readonly { partition: number; offset: string }[] }): Promise<void>;
  fetchOffsets(o: { groupId: string; topics: readonly string[] }): Promise<readonly { partitions: readonly { partition: number; offset: string }[] }[]>;
}
interface TestProducer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(o: { topic: string; compression?: number; messages: readonly KafkaMessage[] }): Promise<unknown>;
  transaction(): Promise<{ send(o: { topic: string; messages: readonly KafkaMessage[] }): Promise<unknown>; commit(): Promise<void>; abort(): Promise<void> }>;
}
interface TestConsumer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(o: { topic: string; fromBeginning: boolean }): Promise<void>;
  run(o: { eachMessage(m: { partition: number; message: { key: Buffer | null; value: Buffer | null } }): Promise<void> }): Promise<void>;
}
export interface TestClient { admin(): Admin; producer(o?: Readonly<Record<string, unknown>>): TestProducer; consumer(o: { groupId: string }): TestConsumer }

export interface TestKafka {
  /** host:port for bootstrap_servers. */
  readonly servers: string;
  readonly pid: number;
  client(): TestClient;
  createTopic(topic: string, partitions?: number, config?: Readonly<Record<string, string>>): Promise<void>;
  produce(topic: string, messages: readonly KafkaMessage[], compression?: number): Promise<void>;
  /** SIGTERM (or kill: SIGKILL), and waits; the data stay. */
  stop(kill?: boolean): Promise<void>;
  /** Starts it again after `stop`, on the same port. */
  start(): Promise<void>;
  /** Stops it and deletes its data. */
  remove(): Promise<void>;
}

function root(): string {
  for (let d = path.dirname(fileURLToPath(import.meta.url)); ; d = path.dirname(d)) {
    if (existsSync(path.join(d, 'scripts', 'kafka', 'pom.xml'))) return d;
    if (path.dirname(d) === d) throw new Error('scripts/kafka/pom.xml is not there');
  }
}

/** Why Kafka tests cannot run here, or false: for the `skip` option of tests. */
export function kafkaUnavailable(): string | false {
  for (const [command, flag] of [['java', '-version'], ['mvn', '-version']] as const) {
    const lib = path.join(root(), '.build', 'kafka-lib');
    if (command === 'mvn' && existsSync(path.join(lib, 'complete'))) continue;
    if (spawnSync(command, [flag], { stdio: 'ignore' }).status !== 0) return `SKIPPED: ${command} is not installed; tests against a real Kafka broker need a JDK and Maven`;
  }
  return false;
}

/** Folder with the broker's jars; fetched once, by one process at a time. */
async function jars(): Promise<string> {
  const base = root();
  const lib = path.join(base, '.build', 'kafka-lib');
  if (existsSync(path.join(lib, 'complete'))) return lib;
  mkdirSync(path.join(base, '.build'), { recursive: true });
  const fresh = mkdtempSync(path.join(base, '.build', 'kafka-lib-'));
  await finished(spawn('mvn', ['-B', '-q', '-f', path.join(base, 'scripts', 'kafka', 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${fresh}`], { stdio: ['ignore', 'ignore', 'inherit'] }), 'mvn');
  if (!readdirSync(fresh).some((f) => f.startsWith('kafka_2.13-'))) throw new Error('Maven did not bring the broker\'s jars');
  writeFileSync(path.join(fresh, 'complete'), '');
  rmSync(path.join(lib), { recursive: true, force: true });
  try {
    renameSync(fresh, lib);
  } catch {
    // Another process was first.
    rmSync(fresh, { recursive: true, force: true });
  }
  return lib;
}

function finished(p: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    p.once('error', reject);
    p.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`))));
  });
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const s = createServer();
    s.once('error', reject);
    s.listen(0, '127.0.0.1', () => {
      const address = s.address();
      s.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const s = connect(port, '127.0.0.1', () => {
      s.destroy();
      resolve(true);
    });
    s.once('error', () => resolve(false));
  });
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
const JVM = [`-Xmx${HEAP}`, '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=info'];
/** Starts a second sooner and stays slow: for tests. */
const QUICK_START = '-XX:TieredStopAtLevel=1';

class Broker implements TestKafka {
  readonly #dir: string;
  readonly #lib: string;
  readonly #port: number;
  readonly #forSpeed: boolean;
  #process: ChildProcess | null = null;
  #producer: TestProducer | null = null;

  constructor(dir: string, lib: string, port: number, forSpeed: boolean) {
    this.#dir = dir;
    this.#lib = lib;
    this.#port = port;
    this.#forSpeed = forSpeed;
  }

  get servers(): string { return `127.0.0.1:${this.#port}`; }
  get pid(): number { return this.#process?.pid ?? -1; }

  format(controllerPort: number): Promise<void> {
    writeFileSync(path.join(this.#dir, 'server.properties'), [
      'process.roles=broker,controller', 'node.id=1', `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
      `listeners=PLAINTEXT://127.0.0.1:${this.#port},CONTROLLER://127.0.0.1:${controllerPort}`, `advertised.listeners=PLAINTEXT://127.0.0.1:${this.#port}`,
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT', 'controller.listener.names=CONTROLLER', 'inter.broker.listener.name=PLAINTEXT',
      `log.dirs=${path.join(this.#dir, 'data')}`, 'auto.create.topics.enable=false', 'num.partitions=1', 'log.retention.hours=-1', 'group.initial.rebalance.delay.ms=0',
      'offsets.topic.replication.factor=1', 'offsets.topic.num.partitions=1', 'transaction.state.log.replication.factor=1', 'transaction.state.log.min.isr=1',
      'transaction.state.log.num.partitions=1', 'share.coordinator.state.topic.replication.factor=1', 'share.coordinator.state.topic.min.isr=1', '',
    ].join('\n'));
    const log = openSync(path.join(this.#dir, 'format.log'), 'a');
    const p = spawn('java', [...JVM, QUICK_START, '-cp', `${this.#lib}/*`, 'kafka.tools.StorageTool', 'format', '-t', randomBytes(16).toString('base64url').replace(/^-/, 'x'), '-c', path.join(this.#dir, 'server.properties')], { stdio: ['ignore', log, log] });
    closeSync(log);
    return finished(p, 'formatting the broker\'s storage');
  }

  async start(): Promise<void> {
    const logFile = path.join(this.#dir, 'broker.log');
    writeFileSync(logFile, '');
    const log = openSync(logFile, 'a');
    const p = spawn('java', [...JVM, ...(this.#forSpeed ? [] : [QUICK_START]), '-cp', `${this.#lib}/*`, 'kafka.Kafka', path.join(this.#dir, 'server.properties')], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#process = p;
    const until = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      if (p.exitCode !== null || Date.now() > until) {
        p.kill('SIGKILL');
        throw new Error(`the Kafka broker did not start:\n${readFileSync(logFile, 'utf8').slice(-3000)}`);
      }
      if (readFileSync(logFile, 'utf8').includes('Kafka Server started') && (await canConnect(this.#port))) return;
      await wait(POLL_MS);
    }
  }

  client(): TestClient {
    const { Kafka, logLevel } = createRequire(import.meta.url)('kafkajs') as { Kafka: new (o: Readonly<Record<string, unknown>>) => TestClient; logLevel: { NOTHING: number } };
    return new Kafka({ clientId: 'test', brokers: [this.servers], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 20, maxRetryTime: 1000 } });
  }

  async createTopic(topic: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const admin = this.client().admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries: Object.entries(config).map(([name, value]) => ({ name, value })) }] });
    await admin.disconnect();
  }

  async produce(topic: string, messages: readonly KafkaMessage[], compression = 0): Promise<void> {
    if (this.#producer === null) {
      this.#producer = this.client().producer({ createPartitioner: (createRequire(import.meta.url)('kafkajs') as { Partitioners: { DefaultPartitioner: unknown } }).Partitioners.DefaultPartitioner });
      await this.#producer.connect();
    }
    await this.#producer.send({ topic, messages, compression });
  }

  async stop(kill = false): Promise<void> {
    await this.#producer?.disconnect().catch(() => undefined);
    this.#producer = null;
    const p = this.#process;
    if (p === null || p.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => { p.once('exit', () => resolve()); });
    p.kill(kill ? 'SIGKILL' : 'SIGTERM');
    const timer = setTimeout(() => p.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
    this.#process = null;
  }

  async remove(): Promise<void> {
    await this.stop(true);
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** A started broker; `dir` (kept data) and `port` are chosen freely when not given. `forSpeed`: with all of the JVM's compilers, for benches. */
export async function startKafka(options: { readonly dir?: string; readonly port?: number; readonly forSpeed?: boolean } = {}): Promise<TestKafka> {
  const lib = await jars();
  const dir = options.dir ?? mkdtempSync(path.join(tmpdir(), 'millrace-kafka-'));
  mkdirSync(dir, { recursive: true });
  const broker = new Broker(dir, lib, options.port ?? (await freePort()), options.forSpeed ?? false);
  if (!existsSync(path.join(dir, 'data', 'meta.properties'))) await broker.format(await freePort());
  await broker.start();
  process.once('exit', () => {
    if (broker.pid > 0) process.kill(broker.pid, 'SIGKILL');
  });
  return broker;
}
