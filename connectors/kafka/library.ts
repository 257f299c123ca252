/**
 * kafkajs and what is used of its inner modules, which it does not declare: loaded when it is first asked for, since a server that has nothing to do with
 * Kafka can do without (5 MB a thread). Nothing but this file imports it.
 */
import { createRequire } from 'node:module';
import type { Cluster } from './client.js';

export interface KafkaLibrary {
  readonly Cluster: new (config: Readonly<Record<string, unknown>>) => Cluster;
  readonly Emitter: new () => unknown;
  readonly infoLevel: number;
  readonly fetchVersions: unknown;
  createLogger(o: Readonly<Record<string, unknown>>): unknown;
  createErrorFromCode(code: number): Error;
}

interface RequestQueue { readonly pending: readonly unknown[]; scheduleCheckPendingRequests(): void }

let loaded: KafkaLibrary | null = null;

export function kafkaLibrary(): KafkaLibrary { return loaded ??= load(); }

function load(): KafkaLibrary {
  const require = createRequire(import.meta.url);
  const { logLevel } = require('kafkajs') as { logLevel: { readonly INFO: number } };
  const { requests } = require('kafkajs/src/protocol/requests') as { requests: { Fetch: unknown } };
  quietQueue(require('kafkajs/src/network/requestQueue') as { readonly prototype: RequestQueue });
  return {
    Cluster: require('kafkajs/src/cluster') as KafkaLibrary['Cluster'],
    Emitter: require('kafkajs/src/instrumentation/emitter') as KafkaLibrary['Emitter'],
    infoLevel: logLevel.INFO,
    fetchVersions: requests.Fetch,
    createLogger: (require('kafkajs/src/loggers') as Pick<KafkaLibrary, 'createLogger'>).createLogger,
    createErrorFromCode: (require('kafkajs/src/protocol/error') as Pick<KafkaLibrary, 'createErrorFromCode'>).createErrorFromCode,
  };
}

/**
 * kafkajs 2.2.4 looks for requests that wait (for a quota, or for maxInFlightRequests) by a timer that sets itself anew for ever, every millisecond while
 * there is no quota: a few percent of a core for each connection, idle or not. It is needed only while something waits.
 */
function quietQueue({ prototype }: { readonly prototype: RequestQueue }): void {
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function check(this: RequestQueue): void {
    if (this.pending.length > 0) schedule.call(this);
  };
}
