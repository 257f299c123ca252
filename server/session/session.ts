/**
 * Session: one client's connection from startup to its end. The state machine of the protocol:
 *
 *   idle → Query → run its statements as one implicit transaction (or inside the open block) → ReadyForQuery
 *   idle → Parse/Bind/Describe/Execute/Close … → Sync → commit what was implicit → ReadyForQuery
 *   error in an extended message → skip everything up to Sync
 *
 * One message at a time; while a statement runs the socket is still read, so that a client that goes away ends it. Errors of statements
 * are ERROR and the session goes on; errors of the protocol (08P01) are FATAL and end this connection, never the server.
 */
import { randomBytes } from 'node:crypto';
import { SqlError, environmentCode } from '../../types/error.js';
import type { Log } from '../log.js';
import type { Connection } from '../wire/connection.js';
import { ProtocolError } from '../wire/decoder.js';
import * as encode from '../wire/encoder.js';
import { PROTOCOL_3_2, type FrontendMessage } from '../wire/messages.js';
import type { Backend, BackendSession } from './backend.js';
import { ALL_ROWS, SessionCore, isLocal } from './core.js';
import { bindMessage, closeMessage, describeMessage, executeMessage, functionCall, parseMessage } from './extended.js';
import { startLocal } from './local.js';
import { Portal } from './portal.js';
import { receiveStartup, type CancelRequest, type Startup } from './startup.js';
import type { ParsedStatement } from '../../planner/parse/statement.js';

/** Named limit: time for a client to get through startup. */
const STARTUP_MS = 60_000;

/** Named limit: notifications that wait until a session takes them. */
const NOTIFICATION_BYTES_MAX = 8 * 1024 * 1024;

/** Settings reported to the client at startup and whenever they change. */
const REPORTED = ['application_name', 'client_encoding', 'DateStyle', 'default_transaction_read_only', 'integer_datetimes', 'IntervalStyle', 'is_superuser', 'server_encoding', 'server_version',
  'session_authorization', 'standard_conforming_strings', 'TimeZone'] as const;

/** Sessions that can be cancelled, by pid; kept by the listener. */
export interface CancelTarget {
  readonly key: Buffer;
  cancel(): void;
  /** Ends the session (shutdown). */
  terminate(error: SqlError): void;
}
export interface SessionRegistry {
  /** Reserves a pid; throws 53300 when there are too many sessions. */
  register(target: CancelTarget): number;
  unregister(pid: number): void;
  cancel(request: CancelRequest): void;
}

/** Serves one connection; resolves when it has ended. Never throws. */
export async function serve(connection: Connection, backend: Backend, registry: SessionRegistry, log: Log): Promise<void> {
  const timer = setTimeout(() => { connection.destroy(); }, STARTUP_MS);
  let startup: Startup | CancelRequest | null;
  try {
    startup = await receiveStartup(connection);
  } catch (e) {
    fatal(connection, e, log);
    return;
  } finally {
    clearTimeout(timer);
  }
  if (startup === null || 'pid' in startup) {
    if (startup !== null) registry.cancel(startup);
    connection.end();
    return;
  }
  const session = new Session(connection, startup, registry, log);
  await session.run(backend);
}

function fatal(connection: Connection, e: unknown, log: Log): void {
  connection.send(encode.errorResponse({ ...report(e, log), severity: 'FATAL' }));
  connection.end();
}

/** What the client hears of an error. Bugs are logged with their stack. */
function report(e: unknown, log: Log): encode.Report {
  if (e instanceof SqlError) {
    if (e.code === 'XX000') log.error({ err: e }, 'internal error');
    return { severity: 'ERROR', code: e.code, message: e.message, detail: e.detail, hint: e.hint, position: e.position, violated: e.violated };
  }
  if (e instanceof RangeError && /call stack/i.test(e.message)) return { severity: 'ERROR', code: '54001', message: 'stack depth limit exceeded', hint: 'The statement is nested too deep.' };
  log.error({ err: e }, 'internal error');
  const message = e instanceof Error ? e.message : String(e);
  const code = e instanceof Error ? environmentCode(e) : undefined;
  return { severity: 'ERROR', code: code ?? 'XX000', message: code === undefined ? `internal error: ${message}` : message };
}

class Session implements CancelTarget {
  readonly key: Buffer;
  readonly #connection: Connection;
  readonly #startup: Startup;
  readonly #registry: SessionRegistry;
  readonly #log: Log;
  #core: SessionCore | null = null;
  /** After an error in the extended protocol, until Sync. */
  #skipping = false;
  /** Waiting for a message with nothing begun: notifications go out at once. */
  #idle = false;
  #notifications: Buffer[] = [];
  #notificationBytes = 0;
  readonly #reported = new Map<string, string>();
  #ending: SqlError | null = null;

  constructor(connection: Connection, startup: Startup, registry: SessionRegistry, log: Log) {
    this.#connection = connection;
    this.#startup = startup;
    this.#registry = registry;
    this.#log = log;
    this.key = randomBytes(startup.protocol >= PROTOCOL_3_2 ? 32 : 4);
  }

  cancel(): void { this.#core?.cancel(new SqlError('57014', 'canceling statement due to user request')); }

  terminate(error: SqlError): void {
    if (this.#ending !== null) return;
    this.#ending = error;
    this.#core?.cancel(error);
    if (this.#idle) this.#connection.destroyAfter(encode.errorResponse({ ...report(error, this.#log), severity: 'FATAL' }));
  }

  async run(backend: Backend): Promise<void> {
    const connection = this.#connection;
    let pid = 0;
    let session: BackendSession;
    try {
      pid = this.#registry.register(this);
      session = await backend.openSession(
        { user: this.#startup.user, database: this.#startup.database, parameters: this.#startup.parameters, pid, remoteAddress: connection.remoteAddress },
        {
          notification: (channel, payload, from) => { this.#notify(encode.notificationResponse(from, channel, payload)); },
          cancel: () => { this.cancel(); },
          terminate: (error) => { this.terminate(error); },
        },
      );
    } catch (e) {
      if (pid !== 0) this.#registry.unregister(pid);
      fatal(connection, e, this.#log);
      return;
    }
    const core = new SessionCore(connection, session);
    this.#core = core;
    connection.onClose(() => { core.cancel(new SqlError('08006', 'connection to client lost')); });
    try {
      connection.send(encode.authenticationOk());
      this.#reportSettings(core);
      connection.send(encode.backendKeyData(pid, this.key));
      this.#ready(core);
      await this.#loop(core);
    } catch (e) {
      fatal(connection, e, this.#log);
    } finally {
      this.#registry.unregister(pid);
      await core.closePortals(true);
      await session.close().catch((e: unknown) => { this.#log.error({ err: e }, 'closing a session failed'); });
      connection.end();
    }
  }

  async #loop(core: SessionCore): Promise<void> {
    for (;;) {
      let message = core.connection.poll();
      if (message === null) {
        await core.connection.flush();
        if (this.#ending !== null) throw this.#ending;
        this.#idle = true;
        message = await core.connection.next();
        this.#idle = false;
      }
      if (message === null || message.kind === 'terminate') return;
      if (this.#ending !== null) throw this.#ending;
      if (this.#skipping && message.kind !== 'sync') continue;
      await this.#message(core, message);
    }
  }

  async #message(core: SessionCore, message: FrontendMessage): Promise<void> {
    switch (message.kind) {
      case 'query':
        await this.#query(core, message.sql);
        this.#ready(core);
        return;
      case 'sync':
        this.#skipping = false;
        await this.#guard(core, () => core.backend.commitImplicit());
        if (core.backend.transactionStatus() === 'idle') await core.closePortals();
        this.#ready(core);
        return;
      case 'flush': await core.connection.flush(); return;
      // What a client still sends of a COPY that has failed.
      case 'copyData': case 'copyDone': case 'copyFail': return;
      case 'password': throw new ProtocolError('unexpected password message');
      case 'terminate': return;
      default: {
        const ok = await this.#guard(core, () => this.#extended(core, message));
        if (!ok) this.#skipping = true;
      }
    }
  }

  async #extended(core: SessionCore, message: FrontendMessage): Promise<void> {
    switch (message.kind) {
      case 'parse': return parseMessage(core, message);
      case 'bind': return bindMessage(core, message);
      case 'describe': describeMessage(core, message); return;
      case 'execute': return executeMessage(core, message);
      case 'close': return closeMessage(core, message);
      case 'functionCall': return functionCall();
      default: throw new ProtocolError(`unexpected message "${message.kind}"`);
    }
  }

  /** Runs something; an error is sent and fails the transaction. False after an error. */
  async #guard(core: SessionCore, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (e) {
      if (e instanceof ProtocolError || e === this.#ending) throw e;
      core.connection.send(encode.errorResponse(report(e, this.#log)));
      await core.backend.fail();
      return false;
    }
  }

  async #query(core: SessionCore, sql: string): Promise<void> {
    await this.#guard(core, async () => {
      const statements = await core.parse(sql);
      if (statements.length === 0) { core.connection.send(encode.emptyQueryResponse()); return; }
      // As in Postgres, a simple Query ends the unnamed statement and portal.
      core.statements.delete('');
      await core.closePortal('');
      core.severalStatements = statements.length > 1;
      for (let i = 0; i < statements.length; i++) {
        const parsed = statements[i];
        if (parsed !== undefined) await this.#statement(core, parsed, i === statements.length - 1);
      }
    });
    core.severalStatements = false;
    if (core.backend.transactionStatus() === 'idle') await core.closePortals();
  }

  /** One statement of a Query message. The last one's completion is told only after the implicit transaction is committed. */
  async #statement(core: SessionCore, parsed: ParsedStatement, last: boolean): Promise<void> {
    core.checkNotFailed(parsed.statement);
    const portal = new Portal('', await core.prepare(parsed, []), [], []);
    try {
      const tag = await core.running(portal.controller, async () => {
        portal.execution = isLocal(parsed.statement) ? await startLocal(core, portal) : await core.start(portal);
        const described = parsed.statement.kind !== 'fetch' || !parsed.statement.move;
        return core.run(portal, ALL_ROWS, described);
      });
      if (last) await core.backend.commitImplicit();
      core.connection.send(encode.commandComplete(tag ?? ''));
    } finally {
      await portal.close();
    }
    if (parsed.statement.kind === 'commit' || parsed.statement.kind === 'rollback') await core.closePortals();
  }

  #notify(message: Buffer): void {
    if (this.#ending !== null) return;
    const now = this.#idle && this.#core?.backend.transactionStatus() === 'idle';
    if ((now ? this.#connection.pendingBytes : this.#notificationBytes) + message.length > NOTIFICATION_BYTES_MAX) {
      this.terminate(new SqlError('53400', 'too many notifications wait for this session', { detail: `More than ${NOTIFICATION_BYTES_MAX} bytes.`, hint: 'A session that listens takes its notifications between statements, outside of transactions.' }));
      return;
    }
    if (now) {
      this.#connection.send(message);
      void this.#connection.flush();
      return;
    }
    this.#notifications.push(message);
    this.#notificationBytes += message.length;
  }

  #reportSettings(core: SessionCore): void {
    for (const name of REPORTED) {
      const value = core.backend.setting(name) ?? '';
      if (this.#reported.get(name) === value) continue;
      this.#reported.set(name, value);
      core.connection.send(encode.parameterStatus(name, value));
    }
  }

  #ready(core: SessionCore): void {
    this.#reportSettings(core);
    core.backend.ready();
    const status = core.backend.transactionStatus();
    if (status === 'idle') {
      for (const n of this.#notifications) core.connection.send(n);
      this.#notifications = [];
      this.#notificationBytes = 0;
    }
    core.connection.send(encode.readyForQuery(status === 'idle' ? 'I' : status === 'block' ? 'T' : 'E'));
  }
}
