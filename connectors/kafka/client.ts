/**
 * The way to Kafka: kafkajs' cluster (connections, metadata, authentication, retries) without its consumer. A consumer of kafkajs
 * always joins a group, while our splits are assigned by the job; so requests are sent to the brokers directly.
 *
 * Errors become SqlErrors: 08001 no broker reachable, 08006 connection lost, 28000 refused by authentication, 42501 by authorisation,
 * 42704 unknown topic. Passwords are in no message and no log line.
 */
import type { SourceContext } from '../../runtime/connector.js';
import { SqlError } from '../../types/error.js';
import { nearest, parseBoolean } from '../../types/settings.js';
import type { OptionSpec } from '../../runtime/connector.js';
import { textOption } from '../optionvalues.js';
import type { Connection } from './fetch.js';
import { frameSocket } from './frames.js';
import { kafkaLibrary } from './library.js';
import type { Options } from '../optionvalues.js';

export interface WireRequest { readonly request: { readonly apiVersion: number; encode(): Promise<{ readonly buffer: Buffer }> }; readonly response: { decode(raw: Buffer): Promise<unknown>; parse(data: unknown): Promise<unknown> }; readonly requestTimeout?: number }
export interface Broker {
  readonly connectionPool: { send(request: WireRequest): Promise<unknown>; getConnection(index: number): Promise<Connection> };
  lookupRequest(apiKey: number, versions: unknown): (args: Readonly<Record<string, unknown>>) => WireRequest;
  offsetCommit(r: { groupId: string; groupGenerationId: number; memberId: string; retentionTime?: number; topics: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[] }): Promise<unknown>;
  offsetFetch(r: { groupId: string; topics: readonly { topic: string; partitions: readonly { partition: number }[] }[] }): Promise<{ responses: readonly { partitions: readonly { partition: number; offset: string }[] }[] }>;
  describeConfigs(r: { resources: readonly { type: number; name: string; configNames: readonly string[] }[] }): Promise<{ resources: readonly { configEntries: readonly { configName: string; configValue: string }[] }[] }>;
  disconnect(): Promise<void>;
}
export interface PartitionMetadata { readonly partitionId: number; readonly leader: number; readonly partitionErrorCode: number }
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  metadata(o: { topics: readonly string[] }): Promise<{ topicMetadata: readonly { topic: string }[] }>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  findBroker(o: { nodeId: string }): Promise<Broker>;
  findGroupCoordinator(o: { groupId: string }): Promise<Broker>;
  fetchTopicsOffset(topics: readonly { topic: string; partitions: readonly { partition: number }[]; fromBeginning?: boolean; fromTimestamp?: number }[]): Promise<readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[]>;
}

const READ_COMMITTED = 1;
const EVERY_OFFSET_RETENTION = -1;

const CONNECTION_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 30_000;
const COORDINATOR_TRIES = 20;
const COORDINATOR_PAUSE_MS = 250;
const METADATA_MAX_AGE_MS = 300_000;
/** kafkajs' own retries stay short: the source and the restart strategy retry above them, and say so. */
const RETRY = { retries: 3, initialRetryTime: 100, factor: 0.2, multiplier: 2, maxRetryTime: 2000 };

export const TOPIC: OptionSpec = { name: 'topic', kind: 'text', required: true, description: 'name of the topic' };
export const SERVERS: OptionSpec = { name: 'bootstrap_servers', kind: 'text', required: true, description: 'host:port of one or more brokers, separated by commas' };
/** Client properties, by Kafka's own names. */
export const CLIENT_PROPERTIES: readonly OptionSpec[] = [
  { name: 'kafka.client.id', kind: 'text', default: 'millrace', description: 'name shown in the broker\'s logs' },
  { name: 'kafka.security.protocol', kind: 'text', default: 'PLAINTEXT', values: ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'], description: 'TLS and authentication' },
  { name: 'kafka.sasl.mechanism', kind: 'text', default: 'PLAIN', values: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'], description: 'how to authenticate' },
  { name: 'kafka.sasl.username', kind: 'text', description: 'user' },
  { name: 'kafka.sasl.password', kind: 'secret', description: 'password' },
  { name: 'kafka.check.crcs', kind: 'boolean', default: 'false', description: 'source: check the checksum of every record batch' },
  { name: 'kafka.ssl.verify', kind: 'boolean', default: 'true', description: 'check the broker\'s certificate' },
];

export function property(options: Options, name: string): string {
  const spec = CLIENT_PROPERTIES.find((p) => p.name === name);
  return spec === undefined ? '' : textOption(options, spec);
}

/** 42704 for a property that is not passed on, 22023 for servers that are none. */
export function checkClientOptions(options: Options): void {
  for (const key of Object.keys(options)) {
    if (!key.startsWith('kafka.')) continue;
    if (CLIENT_PROPERTIES.some((p) => p.name === key)) property(options, key);
    else {
      const near = nearest(key, CLIENT_PROPERTIES.map((p) => p.name));
      throw new SqlError('42704', `option "${key}" does not exist for Kafka`, { hint: near === null ? `Options: ${CLIENT_PROPERTIES.map((p) => p.name).join(', ')}.` : `Did you mean "${near}"?` });
    }
  }
  for (const b of servers(options)) {
    if (!/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i.test(b)) throw new SqlError('22023', `invalid value for option "bootstrap_servers": "${b}"`, { hint: 'Allowed: host:port, several separated by commas.' });
  }
  if (property(options, 'kafka.security.protocol').startsWith('SASL') && property(options, 'kafka.sasl.username') === '') throw new SqlError('42601', 'kafka.security.protocol with SASL needs kafka.sasl.username and kafka.sasl.password');
}

function servers(options: Options): string[] {
  return textOption(options, SERVERS).split(',').map((s) => s.trim());
}

function clientConfig(options: Options): Record<string, unknown> {
  const protocol = property(options, 'kafka.security.protocol');
  const ssl = protocol.endsWith('SSL') ? { rejectUnauthorized: parseBoolean(property(options, 'kafka.ssl.verify')) !== false } : undefined;
  const sasl = protocol.startsWith('SASL')
    ? { mechanism: property(options, 'kafka.sasl.mechanism').toLowerCase(), username: property(options, 'kafka.sasl.username'), password: property(options, 'kafka.sasl.password') }
    : undefined;
  return { ssl, sasl, clientId: property(options, 'kafka.client.id'), connectionTimeout: CONNECTION_TIMEOUT_MS, authenticationTimeout: CONNECTION_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, retry: RETRY };
}

/** kafkajs' lines go to our log at debug: what a user must see, this connector says itself. */
function logCreator(log: SourceContext['log']) {
  return () => (entry: { readonly namespace: string; readonly log: { readonly message: string; readonly broker?: string } }): void => {
    log('debug', `kafka client: ${entry.log.message}`, { namespace: entry.namespace, broker: entry.log.broker ?? null });
  };
}

export function newCluster(options: Options, log: SourceContext['log']): Cluster {
  const { Cluster: ClusterClass, Emitter, createLogger, infoLevel } = kafkaLibrary();
  return new ClusterClass({
    ...clientConfig(options), brokers: servers(options), logger: createLogger({ level: infoLevel, logCreator: logCreator(log) }), socketFactory: frameSocket, enforceRequestTimeout: true,
    metadataMaxAge: METADATA_MAX_AGE_MS, reauthenticationThreshold: 10_000, allowAutoTopicCreation: false, maxInFlightRequests: null, isolationLevel: READ_COMMITTED, instrumentationEmitter: new Emitter(),
  });
}

interface KafkaJsError { readonly name: string; readonly type: string | undefined; readonly code: unknown; readonly message: string; readonly cause: unknown }

function facts(e: unknown): KafkaJsError {
  const o = typeof e === 'object' && e !== null ? (e as { name?: unknown; type?: unknown; code?: unknown; message?: unknown; cause?: unknown; originalError?: unknown }) : {};
  return { name: String(o.name ?? ''), type: typeof o.type === 'string' ? o.type : undefined, code: o.code, message: String(o.message ?? e), cause: o.cause ?? o.originalError };
}

/** Whether waiting may help: connections, elections, timeouts. */
export function isTransient(e: unknown): boolean {
  return e instanceof SqlError ? e.code.startsWith('08') : toSqlError(e, '', '').code.startsWith('08');
}

export function toSqlError(e: unknown, options: Options | string, topic: string): SqlError {
  if (e instanceof SqlError) return e;
  const where = typeof options === 'string' ? options : textOption(options, SERVERS);
  for (let f = facts(e), depth = 0; depth < 5; f = facts(f.cause), depth++) {
    if (f.name === 'KafkaJSSASLAuthenticationError') return new SqlError('28000', `Kafka at ${where} refused the authentication`, { cause: e, hint: 'See kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password.' });
    if (f.type === 'TOPIC_AUTHORIZATION_FAILED' || f.type === 'GROUP_AUTHORIZATION_FAILED' || f.type === 'CLUSTER_AUTHORIZATION_FAILED') return new SqlError('42501', `permission denied for topic "${topic}" of Kafka at ${where}`, { cause: e });
    if (f.type === 'UNKNOWN_TOPIC_OR_PARTITION' || f.type === 'INVALID_TOPIC_EXCEPTION') return new SqlError('42704', `topic "${topic}" does not exist in Kafka at ${where}`, { cause: e });
    if (f.type === 'MESSAGE_TOO_LARGE') return new SqlError('54000', `a record is larger than topic "${topic}" allows`, { cause: e, hint: 'See max.message.bytes of the topic.' });
    if (f.code === 'ECONNREFUSED' || f.code === 'ENOTFOUND' || f.code === 'EAI_AGAIN' || f.code === 'EHOSTUNREACH') return new SqlError('08001', `could not connect to Kafka at ${where}: ${f.message}`, { cause: e, hint: 'Is the broker running, and is this the address that it listens on?' });
    if (f.cause === undefined || f.cause === null) break;
  }
  const f = facts(e);
  if (f.name.startsWith('KafkaJS') || typeof f.code === 'string') return new SqlError('08006', `connection to Kafka at ${where} failed: ${f.message}`, { cause: e });
  return new SqlError('XX000', `internal error: ${f.message}`, { cause: e });
}

/** CREATE: a broker answers and the topic is there; 42704 with the nearest name otherwise. */
export async function checkTopic(options: Options): Promise<void> {
  const topic = textOption(options, TOPIC);
  const cluster = newCluster(options, () => undefined);
  try {
    await cluster.connect();
    const all = (await cluster.metadata({ topics: [] })).topicMetadata.map((t) => t.topic);
    if (!all.includes(topic)) {
      const near = nearest(topic, all);
      const shown = all.filter((t) => !t.startsWith('__')).slice(0, 10);
      throw new SqlError('42704', `topic "${topic}" does not exist in Kafka at ${textOption(options, SERVERS)}`, { hint: near !== null ? `Did you mean "${near}"?` : shown.length === 0 ? 'The broker has no topics: create it first.' : `Topics: ${shown.join(', ')}.` });
    }
  } catch (e) {
    throw toSqlError(e, options, topic);
  } finally {
    await cluster.disconnect().catch(() => undefined);
  }
}

/**
 * Asks the group's coordinator. A broker creates the topic of the groups' offsets at the first question for a coordinator: for a moment there is
 * none, or one that is still loading.
 */
async function withCoordinator<T>(cluster: Cluster, groupId: string, ask: (coordinator: Broker) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask(await cluster.findGroupCoordinator({ groupId }));
    } catch (e) {
      if (tries >= COORDINATOR_TRIES) throw e;
      await new Promise((resolve) => { setTimeout(resolve, COORDINATOR_PAUSE_MS); });
    }
  }
}

/** Where a group stands; partitions without an offset are absent. */
export async function groupOffsets(cluster: Cluster, groupId: string, topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
  const request = { groupId, topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }] };
  const { responses } = await withCoordinator(cluster, groupId, (coordinator) => coordinator.offsetFetch(request));
  const out = new Map<number, number>();
  for (const r of responses) for (const p of r.partitions) if (Number(p.offset) >= 0) out.set(p.partition, Number(p.offset));
  return out;
}

/** For monitoring: our positions are in the checkpoints. */
export async function commitOffsets(cluster: Cluster, groupId: string, topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
  const topics = [{ topic, partitions: [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) })) }];
  await withCoordinator(cluster, groupId, (coordinator) => coordinator.offsetCommit({ groupId, groupGenerationId: -1, memberId: '', retentionTime: EVERY_OFFSET_RETENTION, topics }));
}
