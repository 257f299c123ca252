/** The thread that parses large texts for async.ts. */
import { parentPort } from 'node:worker_threads';
import { toErrorData } from '../../types/error.js';
import type { ParseReply } from './async.js';
import { loadParser, parseStatements } from './parser.js';
import { recordTrees } from './raw.js';

const port = parentPort;
if (port === null) throw new Error('this file is run as a worker thread');
const ready = loadParser();
port.on('message', ({ id, sql }: { id: number; sql: string }) => {
  void ready.then(() => {
    let reply: ParseReply;
    try {
      reply = { id, trees: recordTrees(() => { parseStatements(sql); }) };
    } catch (e) {
      reply = { id, error: toErrorData(e) };
    }
    port.postMessage(reply);
  });
});
