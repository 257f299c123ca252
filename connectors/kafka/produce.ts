/**
 * Produce requests (version 7) with record batches that are encoded already, over a broker's first connection (frames.ts). One batch a partition
 * and request, as brokers ask since version 3. Requests of one connection are answered, and written, in the order they were sent.
 */
import type { Broker } from './client.js';
import { PAYLOAD_AT, exchange } from './frames.js';
import { kafkaLibrary } from './library.js';

const PRODUCE_API_KEY = 0;
const PRODUCE_VERSION = 7;
const PRODUCE_CONNECTION = 0;
const PRODUCE_TIMEOUT_MS = 30_000;
const ACKS_ALL = -1;

export interface PartitionBatch { readonly partition: number; readonly batch: Buffer }
export interface Produced { readonly partition: number; readonly errorCode: number; readonly baseOffset: number }

/** Waits for all in-sync replicas. What partitions answer stands in the result: an error code does not throw here. */
export async function produce(broker: Broker, topic: string, batches: readonly PartitionBatch[]): Promise<Produced[]> {
  const body = encode(topic, batches);
  const connection = await broker.connectionPool.getConnection(PRODUCE_CONNECTION);
  await connection.authenticate();
  return decode(await exchange(connection.socket, { apiKey: PRODUCE_API_KEY, apiVersion: PRODUCE_VERSION, clientId: connection.clientId, body, timeoutMs: PRODUCE_TIMEOUT_MS * 2 }));
}

export function produceError(code: number): Error { return kafkaLibrary().createErrorFromCode(code); }

function encode(topic: string, batches: readonly PartitionBatch[]): Buffer {
  const name = Buffer.from(topic);
  const b = Buffer.allocUnsafe(batches.reduce((sum, p) => sum + 8 + p.batch.length, 2 + 2 + 4 + 4 + 2 + name.length + 4));
  let at = b.writeInt16BE(-1, 0);
  at = b.writeInt16BE(ACKS_ALL, at);
  at = b.writeInt32BE(PRODUCE_TIMEOUT_MS, at);
  at = b.writeInt32BE(1, at);
  at = b.writeInt16BE(name.length, at);
  at += name.copy(b, at);
  at = b.writeInt32BE(batches.length, at);
  for (const p of batches) {
    at = b.writeInt32BE(p.partition, at);
    at = b.writeInt32BE(p.batch.length, at);
    at += p.batch.copy(b, at);
  }
  return b;
}

function decode(raw: Buffer): Produced[] {
  const out: Produced[] = [];
  let at = PAYLOAD_AT + 4;
  for (let topics = raw.readInt32BE(PAYLOAD_AT); topics > 0; topics--) {
    at += 2 + raw.readInt16BE(at);
    const partitions = raw.readInt32BE(at);
    at += 4;
    for (let i = 0; i < partitions; i++, at += 30) out.push({ partition: raw.readInt32BE(at), errorCode: raw.readInt16BE(at + 4), baseOffset: Number(raw.readBigInt64BE(at + 6)) });
  }
  return out;
}
