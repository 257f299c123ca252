/**
 * Fetch requests (versions 4–11) over a broker's second connection, which kafkajs keeps for them: made here, so that the next one can be sent in the
 * moment a response is there, before its records are looked at. No fetch sessions (KIP-227): every request names its partitions.
 */
import type { Socket } from 'node:net';
import type { Broker, Cluster } from './client.js';
import { exchange } from './frames.js';
import { kafkaLibrary } from './library.js';

const FETCH_API_KEY = 1;
const READ_COMMITTED = 1;
const FETCH_CONNECTION = 1;
/** Beyond the time that the broker may wait. */
const FETCH_TIMEOUT_MS = 30_000;
const CONSUMER = -1;

/** What is used of kafkajs' Connection. */
export interface Connection { readonly socket: Socket; readonly clientId: string; readonly sasl: unknown; isConnected(): boolean; isAuthenticated(): boolean; authenticate(): Promise<void> }

export interface FetchLimits { readonly waitMs: number; readonly bytes: number; readonly partitionBytes: number }
export interface FetchFrom { readonly partition: number; readonly fetched: number }

export class FetchConnection {
  readonly version: number;
  readonly #broker: Broker;
  readonly #connection: Connection;

  private constructor(broker: Broker, connection: Connection, version: number) {
    this.#broker = broker;
    this.#connection = connection;
    this.version = version;
  }

  static async open(cluster: Cluster, node: number): Promise<FetchConnection> {
    const broker = await cluster.findBroker({ nodeId: String(node) });
    const { request } = broker.lookupRequest(FETCH_API_KEY, kafkaLibrary().fetchVersions)({ topics: [] });
    const connection = await broker.connectionPool.getConnection(FETCH_CONNECTION);
    await connection.authenticate();
    return new FetchConnection(broker, connection, request.apiVersion);
  }

  /** False when it must be opened anew: closed, or its authentication runs out. */
  get usable(): boolean {
    return this.#connection.isConnected() && (this.#connection.sasl === null || this.#connection.sasl === undefined || this.#connection.isAuthenticated());
  }

  /** Sends at once. The response's bytes as frames.ts gives them. */
  async fetch(topic: string, from: readonly FetchFrom[], limits: FetchLimits): Promise<Buffer> {
    const { socket, clientId } = this.#connection;
    try {
      return await exchange(socket, { apiKey: FETCH_API_KEY, apiVersion: this.version, clientId, body: encodeFetch(this.version, topic, from, limits), timeoutMs: limits.waitMs + FETCH_TIMEOUT_MS });
    } catch (e) {
      // kafkajs connects anew to a broker that it knows to be disconnected.
      await this.#broker.disconnect().catch(() => undefined);
      throw e;
    }
  }
}

function encodeFetch(version: number, topic: string, from: readonly FetchFrom[], limits: FetchLimits): Buffer {
  const name = Buffer.from(topic);
  const b = Buffer.allocUnsafe(64 + name.length + from.length * 32);
  let at = b.writeInt32BE(CONSUMER, 0);
  at = b.writeInt32BE(limits.waitMs, at);
  at = b.writeInt32BE(1, at);
  at = b.writeInt32BE(limits.bytes, at);
  at = b.writeInt8(READ_COMMITTED, at);
  if (version >= 7) {
    at = b.writeInt32BE(0, at);
    at = b.writeInt32BE(-1, at);
  }
  at = b.writeInt32BE(1, at);
  at = b.writeInt16BE(name.length, at);
  at += name.copy(b, at);
  at = b.writeInt32BE(from.length, at);
  for (const f of from) {
    at = b.writeInt32BE(f.partition, at);
    if (version >= 9) at = b.writeInt32BE(-1, at);
    at = b.writeBigInt64BE(BigInt(f.fetched), at);
    if (version >= 5) at = b.writeBigInt64BE(-1n, at);
    at = b.writeInt32BE(limits.partitionBytes, at);
  }
  if (version >= 7) at = b.writeInt32BE(0, at);
  if (version >= 11) at = b.writeInt16BE(0, at);
  return b.subarray(0, at);
}
