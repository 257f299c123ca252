/** The listening socket: accepts connections up to a limit, hands each to a session, keeps the register that cancel requests look into. */
import { randomInt, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { loadParser } from '../planner/parse/parser.js';
import { SqlError } from '../types/error.js';
import type { Log } from './log.js';
import type { Backend } from './session/backend.js';
import { serve, type CancelTarget, type SessionRegistry } from './session/session.js';
import type { CancelRequest } from './session/startup.js';
import { Connection } from './wire/connection.js';

/** Named limits: sessions at once (53300 beyond; an idle one holds 4 to 16 KB), and sockets at once, which are more since cancel requests need one, too. */
export const SESSIONS_MAX = 2000;
const SOCKETS_MAX = 2 * SESSIONS_MAX;
/** Time for sessions to end by themselves at shutdown. */
const CLOSE_MS = 2_000;

export interface ListenOptions {
  /** 0 = any free port. */
  readonly port: number;
  readonly host: string;
  readonly log: Log;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting, ends every session with 57P01, resolves when all have ended. */
  close(): Promise<void>;
}

class Registry implements SessionRegistry {
  readonly targets = new Map<number, CancelTarget>();
  register(target: CancelTarget): number {
    if (this.targets.size >= SESSIONS_MAX) throw new SqlError('53300', 'sorry, too many clients already', { hint: `The server takes ${SESSIONS_MAX} sessions.` });
    let pid: number;
    do pid = randomInt(1, 0x7fffffff); while (this.targets.has(pid));
    this.targets.set(pid, target);
    return pid;
  }
  unregister(pid: number): void { this.targets.delete(pid); }
  cancel({ pid, key }: CancelRequest): void {
    const target = this.targets.get(pid);
    if (target !== undefined && target.key.length === key.length && timingSafeEqual(target.key, key)) target.cancel();
  }
}

export async function listen(backend: Backend, options: ListenOptions): Promise<Listener> {
  await loadParser();
  const { log } = options;
  const registry = new Registry();
  const serving = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => { sockets.delete(socket); });
    const served = serve(new Connection(socket), backend, registry, log).catch((e: unknown) => {
      log.error({ err: e }, 'a session failed');
      socket.destroy();
    });
    serving.add(served);
    void served.then(() => { serving.delete(served); });
  });
  server.maxConnections = SOCKETS_MAX;
  await new Promise<void>((resolve, reject) => {
    const refused = (e: Error): void => { reject(cannotListen(e, options)); };
    server.once('error', refused);
    server.listen(options.port, options.host, () => { server.off('error', refused); resolve(); });
  });
  server.on('error', (e) => { log.error({ err: e }, 'listening failed'); });
  return { port: portOf(server), close: () => close(server, registry, serving, sockets) };
}

const NO_ADDRESS = 'This machine has no such address: --listen 127.0.0.1 is for clients on it, --listen 0.0.0.0 for all.';
const LISTEN_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Another program, perhaps another Millrace, has the port: choose one with --port.',
  EACCES: 'Ports below 1024 are the system\'s: choose another with --port.',
  EADDRNOTAVAIL: NO_ADDRESS,
  ENOTFOUND: NO_ADDRESS,
};

function cannotListen(e: Error & { readonly code?: string }, { host, port }: ListenOptions): Error {
  const hint = LISTEN_HINTS[e.code ?? ''];
  return hint === undefined ? e : new SqlError('58000', `cannot listen on ${host}, port ${port}: ${e.message}`, { hint, cause: e });
}

function portOf(server: Server): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

async function close(server: Server, registry: Registry, serving: ReadonlySet<Promise<void>>, sockets: ReadonlySet<Socket>): Promise<void> {
  const stopped = new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
  const shutdown = new SqlError('57P01', 'terminating connection due to administrator command');
  for (const target of registry.targets.values()) target.terminate(shutdown);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => { timer = setTimeout(resolve, CLOSE_MS); });
  await Promise.race([Promise.all(serving), patience]);
  clearTimeout(timer);
  for (const socket of sockets) socket.destroy();
  await Promise.all(serving);
  await stopped;
}
