/**
 * A Millrace server in a process of its own, for benches: started on a free port over a new data directory, with CPU time and peak memory of
 * that process alone (from /proc: Linux). `close` ends it and removes the directory.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const TICKS_PER_SECOND = 100;
/** At least one for each worker. */
const WARM_QUERIES = 8;
const STOP_TIMEOUT_MS = 10_000;

/** How the command `millrace` starts itself, by its first line: `NAME=value` of the environment, and flags of Node.js. */
export function startLine(main: string): { readonly env: Readonly<Record<string, string>>; readonly flags: readonly string[] } {
  const words = readFileSync(main, 'utf8').split('\n', 1)[0].split(' ');
  const env = words.filter(word => /^[A-Z_]+=/.test(word)).map(word => word.split('=', 2));
  return { env: Object.fromEntries(env) as Record<string, string>, flags: words.filter(word => word.startsWith('--')) };
}

export interface ServerOptions {
  /** Of Node.js; default: those of the command `millrace`. */
  readonly nodeFlags?: readonly string[];
  /** The server's entry: another build's, to compare two; default: this build's. */
  readonly main?: string;
  /** Worker threads; default: the server's own, as many as cores. */
  readonly workers?: number;
  /** Folder for V8's CPU profiles, one a thread, written when the server ends. */
  readonly profileDir?: string;
  /** A folder that is there already, and stays: to start again on what another process left. Default: a new one, removed at the end. */
  readonly dir?: string;
}

export class ServerProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #profiled: boolean;
  readonly #keeps: boolean;

  private constructor(child: ChildProcess, port: number, dir: string, options: ServerOptions) {
    this.#child = child;
    this.port = port;
    this.#dir = dir;
    this.#profiled = options.profileDir !== undefined;
    this.#keeps = options.dir !== undefined;
  }

  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const dir = options.dir ?? mkdtempSync(path.join(tmpdir(), 'millrace-bench-'));
    const main = options.main ?? fileURLToPath(new URL('../../server/main.js', import.meta.url));
    const profile = options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
    const config = path.join(dir, 'millrace.conf');
    writeFileSync(config, options.workers === undefined ? '' : `workers = ${options.workers}\n`);
    const start = startLine(main);
    const child = spawn(process.execPath, [...(options.nodeFlags ?? start.flags), ...profile, main, '--port', '0', '--data', path.join(dir, 'data'), '--config', config], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...start.env } });
    try {
      return new ServerProcess(child, await readyPort(child), dir, options);
    } catch (e) {
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
      throw e;
    }
  }

  get pid(): number { return this.#child.pid ?? -1; }

  async connect(): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: 'bench', database: 'bench' });
    await client.connect();
    return client;
  }

  /** Workers load in the background; queries answered say that they are up. Start-up is not throughput. */
  async warm(client: pg.Client): Promise<void> {
    for (let k = 0; k < WARM_QUERIES; k++) await client.query('SELECT sum(x) FROM generate_series(1, 1000) AS t(x)');
  }

  cpuSeconds(): number { return cpuSeconds(this.pid); }

  peakRssMb(): number {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
  }

  /** Profiles are written on SIGTERM only. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>(resolve => { child.once('exit', () => { resolve(); }); });
      child.kill(this.#profiled ? 'SIGTERM' : 'SIGKILL');
      const timer = setTimeout(() => { child.kill('SIGKILL'); }, STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    }
    if (!this.#keeps) rmSync(this.#dir, { recursive: true, force: true });
  }
}

function readyPort(child: ChildProcess): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    const lines: string[] = [];
    child.once('exit', () => { reject(new Error(`the server did not start:\n${lines.join('\n')}`)); });
    if (child.stderr === null) throw new Error('no stderr');
    createInterface({ input: child.stderr }).on('line', line => {
      if (lines.length < 100) lines.push(line);
      const m = /"port":(\d+)/.exec(line);
      if (m !== null && line.includes('ready')) resolve(Number(m[1]));
    });
  });
}

/** User and system time of a process and its threads. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
