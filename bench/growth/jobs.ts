/** Parts the growth benches share: a server, jobs on it, waiting for them, and what they cost. */
import type pg from 'pg';
import { readFileSync } from 'node:fs';
import { ServerProcess } from '../nexmark/serverprocess.js';

const POLL_MS = 20;

/** Runs `work` against a server of its own. */
export async function withServer<T>(settings: Readonly<Record<string, string>>, work: (server: ServerProcess, client: pg.Client) => Promise<T>): Promise<T> {
  const server = await ServerProcess.start();
  try {
    const client = await server.connect();
    for (const [name, value] of Object.entries(settings)) await client.query(`SET ${name} = '${value}'`);
    await server.warm(client);
    const result = await work(server, client);
    await client.end();
    return result;
  } finally {
    await server.close();
  }
}

export interface Cost { readonly seconds: number; readonly cpuSeconds: number }

export async function costOf(server: ServerProcess, work: () => Promise<void>): Promise<Cost> {
  const cpu = server.cpuSeconds();
  const began = performance.now();
  await work();
  return { seconds: (performance.now() - began) / 1000, cpuSeconds: server.cpuSeconds() - cpu };
}

/** All jobs have read their streams to the end. */
export async function allFinished(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ status: string; failure: string | null }>("SELECT status, failure FROM millrace.jobs WHERE status <> 'finished'");
    if (rows.length === 0) return;
    const failed = rows.find(r => r.status === 'failed');
    if (failed !== undefined) throw new Error(failed.failure ?? 'failed');
    await pause(POLL_MS);
  }
}

/** Each job (or all together) has taken so many events. */
export async function allRead(client: pg.Client, events: number, together: boolean): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ n: string; failed: string }>(`SELECT ${together ? 'sum' : 'min'}(rows_in) AS n, count(*) FILTER (WHERE status = 'failed') AS failed FROM millrace.jobs`);
    if (Number(rows[0]?.failed ?? 0) > 0) throw new Error('a job failed');
    if (Number(rows[0]?.n ?? 0) >= events) return;
    await pause(POLL_MS);
  }
}

export function pause(ms: number): Promise<void> { return new Promise(resolve => { setTimeout(resolve, ms); }); }

export function rssMb(server: ServerProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}
