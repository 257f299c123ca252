/**
 * A real S3-compatible server for tests: moto (PyPI) on 127.0.0.1 with free ports, in a virtual environment of its own in .build/moto. It checks signatures and
 * rights once a user with a key is made (`keys`). Clients reach it through a relay that a test cuts and mends: for them the server is gone,
 * and comes back with its content. `s3Unavailable` says what is missing, to skip tests by name.
 */
import { AwsV4Signer } from 'aws4fetch';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'moto[s3,server]==5.2.5';
const START_TIMEOUT_MS = 60_000;

export interface Keys { readonly accessKeyId: string; readonly secretAccessKey: string }

function folder(): string {
  for (let d = path.dirname(fileURLToPath(import.meta.url)); ; d = path.dirname(d)) {
    if (existsSync(path.join(d, 'package.json')) && !d.endsWith('/dist')) return path.join(d, '.build', 'moto');
    if (path.dirname(d) === d) throw new Error('no package.json above the tests');
  }
}

let reason: string | false | null = null;

/** Why S3 tests cannot run here, or false: for the `skip` option of tests. Installs moto the first time. */
export function s3Unavailable(): string | false { return reason ??= install(); }

function install(): string | false {
  const home = folder();
  if (existsSync(path.join(home, 'complete'))) return false;
  const fresh = `${home}.${process.pid}`;
  const run = (command: string, args: readonly string[]): string | null => {
    const done = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
    return done.status === 0 ? null : `${command} ${args.join(' ')}: ${done.error?.message ?? done.stderr.trim().split('\n').at(-1) ?? ''}`;
  };
  mkdirSync(path.dirname(home), { recursive: true });
  // No scripts are run from it (they hold the folder's name): it may be moved when it is whole.
  const failure = run('python3', ['-m', 'venv', fresh]) ?? run(path.join(fresh, 'bin', 'python'), ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', PACKAGE]);
  if (failure !== null) {
    rmSync(fresh, { recursive: true, force: true });
    return `SKIPPED: no S3-compatible server: ${failure}`;
  }
  writeFileSync(path.join(fresh, 'complete'), '');
  // Two test files may install at once: the second finds the first one's.
  rmSync(existsSync(path.join(home, 'complete')) ? fresh : home, { recursive: true, force: true });
  if (existsSync(fresh)) renameSync(fresh, home);
  return false;
}

export class S3Server {
  readonly endpoint: string;
  /** "GET /bucket/key?query", in the order in which the server answered. */
  readonly requests: string[] = [];
  readonly #child: ChildProcess;
  readonly #direct: string;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #relay: Server | null;

  private constructor(child: ChildProcess, direct: string, relay: Server) {
    this.#child = child;
    this.#direct = direct;
    this.#relay = relay;
    this.#port = (relay.address() as AddressInfo).port;
    this.endpoint = `http://127.0.0.1:${this.#port}`;
  }

  static async start(): Promise<S3Server> {
    const child = spawn(path.join(folder(), 'bin', 'python'), ['-m', 'moto.server', '-H', '127.0.0.1', '-p', '0'], {
      stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: '1000000000', PYTHONUNBUFFERED: '1' },
    });
    const lines: string[] = [];
    const { stderr } = child;
    if (stderr === null) throw new Error('no stderr');
    const log = createInterface({ input: stderr });
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => { reject(new Error(`moto did not start:\n${lines.join('\n')}`)); }, START_TIMEOUT_MS);
      child.once('exit', code => { clearTimeout(timer); reject(new Error(`moto ended with ${String(code)}:\n${lines.join('\n')}`)); });
      log.on('line', line => {
        lines.push(line);
        const m = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
        if (m !== null) { clearTimeout(timer); resolve(Number(m[1])); }
      });
    });
    child.removeAllListeners('exit');
    const relay = createServer();
    await new Promise<void>(resolve => { relay.listen(0, '127.0.0.1', resolve); });
    const server = new S3Server(child, `http://127.0.0.1:${port}`, relay);
    server.#serve(relay, port);
    log.on('line', line => {
      const m = /([A-Z]+ \/\S*) HTTP/.exec(line);
      if (m !== null) server.requests.push(decodeURIComponent(m[1]));
    });
    return server;
  }

  #serve(relay: Server, port: number): void {
    relay.on('connection', client => {
      const upstream = connect(port, '127.0.0.1');
      for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => { this.#sockets.delete(socket); other.destroy(); });
        socket.pipe(other);
      }
    });
  }

  /** From now on connections break and are refused. */
  async cut(): Promise<void> {
    const relay = this.#relay;
    this.#relay = null;
    const closed = new Promise<void>(resolve => { if (relay === null) resolve(); else relay.close(() => { resolve(); }); });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async mend(): Promise<void> {
    const relay = createServer();
    this.#serve(relay, Number(new URL(this.#direct).port));
    await new Promise<void>((resolve, reject) => { relay.once('error', reject); relay.listen(this.#port, '127.0.0.1', resolve); });
    this.#relay = relay;
  }

  /** Past the relay. */
  async #ask(service: string, method: string, url: string, body: string | null): Promise<string> {
    const signed = await new AwsV4Signer({ method, url: this.#direct + url, service, region: 'us-east-1', accessKeyId: 'root', secretAccessKey: 'root', ...(body === null ? {} : { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } }) }).sign();
    const response = await fetch(signed.url, { method, headers: signed.headers, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
    return text;
  }

  async createBucket(name: string): Promise<void> { await this.#ask('s3', 'PUT', `/${name}`, null); }
  /** Content of an object, or of the list of a bucket. */
  async get(pathAndQuery: string): Promise<string> { return await this.#ask('s3', 'GET', pathAndQuery, null); }
  async put(name: string, content: string): Promise<void> { await this.#ask('s3', 'PUT', name, content); }
  async delete(name: string): Promise<void> { await this.#ask('s3', 'DELETE', name, null); }

  /** Keys of users that may do what their policies say; from `enforce` on the server checks. */
  async keys(user: string, actions: readonly string[]): Promise<Keys> {
    const iam = (parameters: Readonly<Record<string, string>>): Promise<string> => this.#ask('iam', 'POST', '/', new URLSearchParams({ Version: '2010-05-08', ...parameters }).toString());
    await iam({ Action: 'CreateUser', UserName: user });
    await iam({ Action: 'PutUserPolicy', UserName: user, PolicyName: 'p', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] }) });
    const xml = await iam({ Action: 'CreateAccessKey', UserName: user });
    return { accessKeyId: /<AccessKeyId>([^<]+)/.exec(xml)?.[1] ?? '', secretAccessKey: /<SecretAccessKey>([^<]+)/.exec(xml)?.[1] ?? '' };
  }

  async enforce(on: boolean): Promise<void> { await fetch(`${this.#direct}/moto-api/reset-auth`, { method: 'POST', body: on ? '0' : '1000000000' }); }

  async stop(): Promise<void> {
    await this.cut();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await new Promise<void>(resolve => { this.#child.once('exit', () => { resolve(); }); this.#child.kill('SIGKILL'); });
  }
}
