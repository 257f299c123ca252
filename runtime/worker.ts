/** Entry of a pool thread. Connectors come from the module that the composition root named; the runtime itself knows none. */
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { realFiles } from '../storage/filesystem.js';
import { levelDb } from '../storage/leveldb.js';
import { openTableReader } from '../storage/tables/reader.js';
import { systemEnv } from '../types/env.js';
import { assert } from '../types/error.js';
import type { Connectors } from './connector.js';
import type { WorkerData } from './protocol.js';
import { serveWorker } from './serveworker.js';

const data = workerData as WorkerData;
assert(parentPort !== null, 'a worker without a parent');
const port = parentPort;

const { connectors } = await import(data.connectorsModule) as { connectors: Connectors };
const tables = openTableReader(await levelDb.open(path.join(data.dataDir, 'tables')));
const rpc = serveWorker({
  place: data, connectors, tables, env: systemEnv, files: realFiles, kvs: levelDb,
  link: { post: (message, transfer) => { port.postMessage(message, transfer ?? []); } },
});
port.on('message', message => { rpc.receive(message); });
