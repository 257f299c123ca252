/**
 * parseStatementsAsync: as parseStatements, but the grammar's work on a large text is done in a worker thread (measured: 0.2 s for a 600 KB
 * INSERT, 1.3 s for 3.6 MB), so that other sessions are not held up. The worker records the raw tree of every piece it parsed; this thread then goes
 * the same way with those trees at hand. The worker is started on first need and ends after being idle.
 */
import { Worker } from 'node:worker_threads';
import { fromErrorData, type ErrorData } from '../../types/error.js';
import { LruCache } from '../../types/lru.js';
import { parseStatements } from './parser.js';
import { withCachedTrees } from './raw.js';
import type { ParsedStatement, RawNode } from './statement.js';

/** Named limits: texts up to this length are parsed at once; how long an unused worker is kept. */
export const PARSE_HERE_MAX = 64 << 10;
const IDLE_MS = 30_000;
/** Named limits: texts of queries whose trees are kept, and how many. */
const KEPT_TEXT_MAX = 4096;
const KEPT_MAX = 500;

export type ParseReply = { readonly id: number; readonly trees: ReadonlyMap<string, RawNode> } | { readonly id: number; readonly error: ErrorData };

interface Waiting { readonly resolve: (trees: ReadonlyMap<string, RawNode>) => void; readonly reject: (e: unknown) => void }

let worker: Worker | null = null;
let idle: NodeJS.Timeout | undefined;
let lastId = 0;
const waiting = new Map<number, Waiting>();

/** What queries' texts were parsed to before: trees are not changed by those who read them. */
const before = new LruCache<readonly ParsedStatement[]>(KEPT_MAX);

export async function parseStatementsAsync(sql: string): Promise<readonly ParsedStatement[]> {
  if (sql.length <= KEPT_TEXT_MAX) {
    const kept = before.get(sql);
    if (kept !== undefined) return kept;
    const parsed = parseStatements(sql);
    if (parsed.length > 0 && parsed.every(p => p.statement.kind === 'select')) before.set(sql, parsed);
    return parsed;
  }
  if (sql.length <= PARSE_HERE_MAX) return parseStatements(sql);
  const trees = await treesFromWorker(sql);
  return withCachedTrees(trees, () => parseStatements(sql));
}

function treesFromWorker(sql: string): Promise<ReadonlyMap<string, RawNode>> {
  const target = worker ?? start();
  clearTimeout(idle);
  target.ref();
  return new Promise((resolve, reject) => {
    const id = ++lastId;
    waiting.set(id, { resolve, reject });
    target.postMessage({ id, sql }, []);
  });
}

function start(): Worker {
  const started = new Worker(new URL('./parseworker.js', import.meta.url));
  worker = started;
  const fail = (e: unknown): void => {
    if (worker === started) worker = null;
    for (const w of waiting.values()) w.reject(e);
    waiting.clear();
  };
  started.on('message', (reply: ParseReply) => {
    const w = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) rest(started);
    if ('trees' in reply) w?.resolve(reply.trees);
    else w?.reject(fromErrorData(reply.error));
  });
  started.on('error', fail);
  started.on('exit', () => { if (waiting.size > 0 || worker === started) fail(new Error('the parsing thread ended')); });
  return started;
}

/** Nothing to do: the worker does not keep the process alive, and ends after a while. */
function rest(started: Worker): void {
  started.unref();
  clearTimeout(idle);
  idle = setTimeout(() => {
    if (worker === started) worker = null;
    void started.terminate();
  }, IDLE_MS);
  idle.unref();
}
