/**
 * The fixed pool of worker threads that runs all tasks and queries. A worker that dies, or that does not answer a ping within
 * WORKER_STUCK_MS, is ended and replaced; `lost` tells the jobs with a task on it, and which of them was running when it died.
 */
import { MessageChannel, Worker } from 'node:worker_threads';
import { Rpc, type Handlers } from './rpc.js';
import type { ChannelPort, MainMethods, WorkerData, WorkerMethods } from './protocol.js';
import { SqlError, environmentCode } from '../types/error.js';

/** Named limit: a worker that answers no ping for so long is stuck (a task yields every few milliseconds). */
export const WORKER_STUCK_MS = 60_000;
const PING_INTERVAL_MS = 5_000;

export interface PoolEvents {
  handlers(worker: number): Handlers<MainMethods>;
  /** The worker's tasks are gone; a new thread stands at the same index. `jobId`: a task of it was running at that moment, null = not known. */
  lost(worker: number, error: SqlError, jobId: number | null): void;
  noteError(error: unknown): void;
}

/** What jobs need of the pool. */
export interface Pool {
  readonly size: number;
  rpc(worker: number): Rpc<MainMethods, WorkerMethods>;
  /** The two ends of a channel between workers; each goes to its worker in a deployment. */
  channel(): readonly [ChannelPort, ChannelPort];
}

interface Member { thread: Worker; rpc: Rpc<MainMethods, WorkerMethods>; answeredMs: number; readonly running: Int32Array; killed: boolean }

export class WorkerPool implements Pool {
  readonly #members: Member[] = [];
  readonly #events: PoolEvents;
  readonly #data: Omit<WorkerData, 'index' | 'running' | 'workers'>;
  readonly #size: number;
  readonly #ping: NodeJS.Timeout;
  #closing = false;

  constructor(size: number, data: Omit<WorkerData, 'index' | 'running' | 'workers'>, events: PoolEvents) {
    this.#size = size;
    this.#events = events;
    this.#data = data;
    for (let i = 0; i < size; i++) this.#members.push(this.#start(i));
    this.#ping = setInterval(() => { this.#checkStuck(); }, PING_INTERVAL_MS);
    this.#ping.unref();
  }

  get size(): number { return this.#members.length; }

  rpc(worker: number): Rpc<MainMethods, WorkerMethods> {
    const member = this.#members[worker];
    if (member === undefined) throw new SqlError('XX000', `internal error: no worker ${worker}`);
    return member.rpc;
  }

  channel(): readonly [ChannelPort, ChannelPort] {
    const { port1, port2 } = new MessageChannel();
    return [port1, port2];
  }

  /** For tests: the thread ends as if it had crashed. */
  async kill(worker: number): Promise<void> {
    const member = this.#members[worker];
    if (member === undefined) return;
    member.killed = true;
    await member.thread.terminate();
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#ping);
    const gone = new SqlError('57P01', 'the worker pool is closed');
    await Promise.all(this.#members.map(async m => {
      m.rpc.close(gone);
      await m.thread.terminate();
    }));
  }

  #start(index: number): Member {
    const running = new Int32Array(new SharedArrayBuffer(4));
    const workerData: WorkerData = { index, running, workers: this.#size, ...this.#data };
    const thread = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: `millrace-${index}` });
    const rpc = new Rpc<MainMethods, WorkerMethods>(
      { post: (message, transfer) => { thread.postMessage(message, transfer as readonly ArrayBuffer[] | undefined ?? []); } },
      this.#events.handlers(index), e => { this.#events.noteError(e); });
    const member: Member = { thread, rpc, answeredMs: Date.now(), running, killed: false };
    thread.on('message', data => { rpc.receive(data); });
    let reason: Error | null = null;
    thread.on('error', e => { reason = e instanceof Error ? e : new Error(String(e)); });
    thread.on('exit', code => {
      const text = reason === null ? `exit code ${code}` : reason.message;
      const error = new SqlError(reason === null ? '58000' : environmentCode(reason) ?? '58000', `worker ${index} died: ${text}`, { cause: reason });
      rpc.close(error);
      if (this.#closing || this.#members[index] !== member) return;
      this.#members[index] = this.#start(index);
      this.#events.lost(index, error, running[0] === 0 || member.killed ? null : running[0]);
    });
    return member;
  }

  #checkStuck(): void {
    const now = Date.now();
    for (const member of this.#members) {
      if (now - member.answeredMs > WORKER_STUCK_MS) { void member.thread.terminate(); continue; }
      member.rpc.call('ping', null).then(() => { member.answeredMs = Date.now(); }, () => undefined);
    }
  }
}
