/** Entry of a pool thread. Connectors come from the module that the composition root named; the runtime itself knows none. */
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { armFaults, Faults } from '../storage/faults.js';
import { faultyOpener } from '../storage/faulty.js';
import { faultyFiles } from '../storage/faultyfiles.js';
import { realFiles } from '../storage/filesystem.js';
import { levelDb } from '../storage/leveldb.js';
import { openTableReader } from '../storage/tables/reader.js';
import { systemEnv } from '../types/env.js';
import { assert } from '../types/error.js';
import type { Connectors } from './connector.js';
import { withExtensions } from './functions/extensions.js';
import type { WorkerData } from './protocol.js';
import { serveWorker } from './serveworker.js';

const data = workerData as WorkerData;
assert(parentPort !== null, 'a worker without a parent');
const port = parentPort;

const { connectors: ours } = await import(data.connectorsModule) as { connectors: Connectors };
const connectors = await withExtensions(ours, data.extensions);
const tables = openTableReader(await levelDb.open(path.join(data.dataDir, 'tables')));
const faults = data.faults === null ? null : new Faults(data.faults.rules, data.faults.hits);
if (faults !== null) armFaults(faults);
const rpc = serveWorker({
  place: data, connectors, tables, env: systemEnv, files: faults === null ? realFiles : faultyFiles(realFiles, faults), kvs: faults === null ? levelDb : faultyOpener(levelDb, faults),
  link: { post: (message, transfer) => { port.postMessage(message, transfer ?? []); } },
});
port.on('message', message => { rpc.receive(message); });
