/**
 * Clients of Flink's REST interfaces: the SQL gateway (sessions and statements) and the job manager (state of jobs and checkpoints).
 */
import { JOB_POLL_MS } from '../nexmark/runquery.js';

const POLL_MS = 20;
const ERROR_CHARS_MAX = 600;

export interface FlinkJob { readonly startMs: number; readonly endMs: number }
export interface FlinkCheckpoints { readonly completed: number; readonly failed: number; readonly stateBytesMax: number; readonly p50Ms: number }

const pause = (ms: number): Promise<void> => new Promise(resolve => { setTimeout(resolve, ms); });

/** Body of the answer; a failure carries the last causes of the server's stack. */
async function call<T>(url: string, method = 'GET', body?: unknown): Promise<T> {
  const response = await fetch(url, { method, headers: { 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (response.ok) return (text === '' ? {} : JSON.parse(text)) as T;
  const stack = text.replace(/\\n/g, '\n').replace(/\\t/g, ' ');
  const causes = [...stack.matchAll(/Caused by: .*/g)].map(m => m[0]).slice(-2);
  throw new Error(`Flink: ${(causes.length > 0 ? causes.join(' | ') : stack).slice(0, ERROR_CHARS_MAX)}`);
}

export class FlinkSession {
  readonly #url: string;
  private constructor(url: string) { this.#url = url; }

  static async open(gateway: string, properties: Readonly<Record<string, string>>): Promise<FlinkSession> {
    const { sessionHandle } = await call<{ sessionHandle: string }>(`${gateway}/v1/sessions`, 'POST', { properties });
    return new FlinkSession(`${gateway}/v1/sessions/${sessionHandle}`);
  }

  /** Runs one statement to its end; an INSERT or CREATE TABLE AS ends when its job is submitted, and gives the job's id. */
  async execute(statement: string): Promise<string | null> {
    const { operationHandle } = await call<{ operationHandle: string }>(`${this.#url}/statements`, 'POST', { statement });
    const operation = `${this.#url}/operations/${operationHandle}`;
    for (;;) {
      const { status } = await call<{ status: string }>(`${operation}/status`);
      if (status === 'FINISHED' || status === 'ERROR') break;
      await pause(POLL_MS);
    }
    for (;;) {
      const result = await call<{ resultType: string; jobID?: string }>(`${operation}/result/0`);
      if (result.resultType !== 'NOT_READY') return result.jobID ?? null;
      await pause(POLL_MS);
    }
  }

  async close(): Promise<void> { await call(this.#url, 'DELETE'); }
}

export class FlinkJobs {
  readonly #url: string;
  constructor(jobManager: string) { this.#url = jobManager; }

  /** Slots that are free for a job. */
  async freeSlots(): Promise<number> { return (await call<{ 'slots-available': number }>(`${this.#url}/overview`))['slots-available']; }

  async taskManagers(): Promise<number> { return (await call<{ taskmanagers: number }>(`${this.#url}/overview`)).taskmanagers; }

  /** Waits until the job ended. Throws with its root cause when it failed, and when it took too long (after cancelling it). */
  async finished(id: string, timeoutMs: number): Promise<FlinkJob> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const job = await call<{ state: string; 'start-time': number; 'end-time': number }>(`${this.#url}/jobs/${id}`);
      if (job.state === 'FINISHED') return { startMs: job['start-time'], endMs: job['end-time'] };
      if (job.state === 'FAILED' || job.state === 'CANCELED') {
        const { 'root-exception': cause } = await call<{ 'root-exception'?: string }>(`${this.#url}/jobs/${id}/exceptions`);
        throw new Error(`Flink: job ${job.state}: ${(cause ?? '').slice(0, ERROR_CHARS_MAX)}`);
      }
      if (Date.now() > end) {
        await call(`${this.#url}/jobs/${id}?mode=cancel`, 'PATCH');
        throw new Error(`Flink: not finished after ${timeoutMs / 1000} s`);
      }
      await pause(JOB_POLL_MS);
    }
  }

  async checkpoints(id: string): Promise<FlinkCheckpoints> {
    const { counts, summary } = await call<{ counts: { completed: number; failed: number }; summary?: { state_size?: { max: number }; end_to_end_duration?: { p50: number } } }>(`${this.#url}/jobs/${id}/checkpoints`);
    return { completed: counts.completed, failed: counts.failed, stateBytesMax: summary?.state_size?.max ?? 0, p50Ms: summary?.end_to_end_duration?.p50 ?? 0 };
  }
}

export { pause };
