/** A real server process for tests: started on a free port, asked through `pg`, killed as hard as a test wants. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const MAIN = fileURLToPath(new URL('../server/main.js', import.meta.url));
const START_TIMEOUT_MS = 30_000;

// Every value as the server's text, so that comparisons are exact.
const asText = { getTypeParser: () => (value: string | Buffer): string => value.toString() };

export type TextRow = readonly (string | null)[];

export function temporaryFolder(name: string): string { return mkdtempSync(path.join(tmpdir(), `millrace-${name}-`)); }
export function removeFolder(dir: string): void { rmSync(dir, { recursive: true, force: true }); }

export class ServerProcess {
  readonly child: ChildProcess;
  readonly port: number;
  readonly log: string[];
  private constructor(child: ChildProcess, port: number, log: string[]) {
    this.child = child;
    this.port = port;
    this.log = log;
  }

  /** Starts `millrace` on a free port; resolves when it says that it is ready. */
  static async start(dataDir: string, options: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {}): Promise<ServerProcess> {
    return ServerProcess.run([MAIN, '--port', '0', '--data', dataDir, ...(options.args ?? [])], options);
  }

  /** As `start`, of another module that says where it listens. `until`: what its log says then; jobs may be coming back while it is 'listening'. */
  static async run(args: readonly string[], options: { env?: Readonly<Record<string, string>>; until?: 'ready' | 'listening' } = {}): Promise<ServerProcess> {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...options.env } });
    const log: string[] = [];
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => {
        // It must not write into a folder that the test then removes.
        child.kill('SIGKILL');
        reject(new Error(`the server did not start:\n${log.join('\n')}`));
      }, START_TIMEOUT_MS);
      child.once('exit', code => { clearTimeout(timer); reject(new Error(`the server ended with ${String(code)}:\n${log.join('\n')}`)); });
      if (child.stderr === null) throw new Error('no stderr');
      createInterface({ input: child.stderr }).on('line', line => {
        log.push(line);
        if (log.length > 1000) log.shift();
        const m = /"port":(\d+)/.exec(line);
        if (m !== null && line.includes(options.until ?? 'ready')) { clearTimeout(timer); resolve(Number(m[1])); }
      });
    });
    child.removeAllListeners('exit');
    return new ServerProcess(child, port, log);
  }

  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: 'test', database: 'test', types: asText as unknown as pg.CustomTypesConfig });
    client.on('error', () => undefined); // the server is killed under it in some tests
    await client.connect();
    return client;
  }

  /** Rows of the last statement as text. */
  async query(sql: string): Promise<TextRow[]> {
    const client = await this.connect();
    try {
      const result: unknown = await client.query({ text: sql, rowMode: 'array' });
      const last = (Array.isArray(result) ? result[result.length - 1] : result) as { rows: TextRow[] };
      return last.rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** kill −9; resolves when the process is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    await new Promise<void>(resolve => { this.child.once('exit', () => { resolve(); }); this.child.kill('SIGKILL'); });
  }

  /** SIGTERM: a last checkpoint, then the end. Resolves to the exit code. */
  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    return new Promise(resolve => { this.child.once('exit', code => { resolve(code); }); this.child.kill('SIGTERM'); });
  }
}

/** Asks until the answer satisfies `good`; fails with the last answer after `timeoutMs`. */
export async function until(ask: () => Promise<TextRow[]>, good: (rows: readonly TextRow[]) => boolean, timeoutMs: number, what: string): Promise<TextRow[]> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const rows = await ask();
    if (good(rows)) return rows;
    if (Date.now() > end) throw new Error(`${what} did not happen in ${timeoutMs} ms; last: ${JSON.stringify(rows.slice(0, 5))}`);
    await new Promise(resolve => { setTimeout(resolve, 50); });
  }
}
