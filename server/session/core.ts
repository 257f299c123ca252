/**
 * SessionCore: what all parts of a session share: the connection, the backend's session, prepared statements and portals by name, what is
 * running now (for cancel requests and statement_timeout), and running a portal to its end or its row limit.
 */
import { parseStatementsAsync } from '../../planner/parse/async.js';
import type { ParsedStatement, Statement } from '../../planner/parse/statement.js';
import type { IoContext } from '../../types/textio.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { SqlError } from '../../types/error.js';
import type { Connection } from '../wire/connection.js';
import * as encode from '../wire/encoder.js';
import { RowEncoder } from '../wire/rows.js';
import type { BackendSession, CopyRows, Notice } from './backend.js';
import { CopyDecoder, CopyEncoder } from './copy.js';
import { Portal, portalExecution, withAbort, type PortalExecution, type SessionStatement } from './portal.js';

/** Named limits of one session. */
const STATEMENTS_MAX = 10_000;
const PORTALS_MAX = 1_000;
/** No row limit. */
export const ALL_ROWS = 0x7fffffff;

const LOCAL_KINDS: ReadonlySet<Statement['kind']> = new Set(['prepare', 'execute', 'deallocate', 'declare cursor', 'fetch', 'close', 'discard']);
export function isLocal(statement: Statement): boolean { return LOCAL_KINDS.has(statement.kind); }

export class SessionCore {
  readonly connection: Connection;
  readonly backend: BackendSession;
  readonly statements = new Map<string, SessionStatement>();
  readonly portals = new Map<string, Portal>();
  /** Within a Query message of several statements (an implicit transaction). */
  severalStatements = false;
  /** Portals whose execution is under way now: what a cancel request ends. */
  readonly #running = new Set<AbortController>();
  #timeout: NodeJS.Timeout | undefined;

  constructor(connection: Connection, backend: BackendSession) {
    this.connection = connection;
    this.backend = backend;
  }

  io(): IoContext { return { timeZone: this.backend.setting('TimeZone') ?? 'UTC', nowUs: Date.now() * 1000 }; }

  notice(notice: Notice): void {
    const code = notice.code ?? (notice.severity === 'WARNING' ? '01000' : '00000');
    this.connection.send(encode.noticeResponse({ ...notice, code }));
  }

  /** Ends what is running, if anything. */
  cancel(reason: SqlError): void {
    for (const c of this.#running) c.abort(reason);
  }

  /** Runs one step of a statement under its portal's signal, with statement_timeout. */
  async running<T>(controller: AbortController, work: () => Promise<T>): Promise<T> {
    if (this.#running.has(controller)) return work();
    const outermost = this.#running.size === 0;
    const ms = outermost ? this.backend.statementTimeoutMs() : 0;
    this.#running.add(controller);
    if (ms > 0) this.#timeout = setTimeout(() => { this.cancel(new SqlError('57014', 'canceling statement due to statement timeout')); }, ms);
    try {
      return await work();
    } finally {
      this.#running.delete(controller);
      if (outermost) clearTimeout(this.#timeout);
    }
  }

  /** Large texts are parsed by another thread; queries that came before not at all. */
  parse(sql: string): Promise<readonly ParsedStatement[]> { return parseStatementsAsync(sql); }

  /** 25P02: after an error in a block only its end is taken. */
  checkNotFailed(statement: Statement): void {
    if (this.backend.transactionStatus() !== 'failed' || statement.kind === 'commit' || statement.kind === 'rollback') return;
    throw new SqlError('25P02', 'current transaction is aborted, commands ignored until end of transaction block');
  }

  async prepare(parsed: ParsedStatement | null, paramTypes: readonly (SqlType | null)[]): Promise<SessionStatement> {
    if (parsed === null || isLocal(parsed.statement)) return { parsed, prepared: null, paramTypes: [] };
    if (parsed.statement.kind === 'unsupported') {
      const { feature, position, hint } = parsed.statement;
      throw new SqlError('0A000', `${feature} is not supported`, { position, hint: hint ?? undefined });
    }
    const prepared = await this.backend.prepare(parsed, paramTypes);
    return { parsed, prepared, paramTypes: prepared.paramTypes };
  }

  addStatement(name: string, statement: SessionStatement): void {
    if (name !== '' && this.statements.has(name)) throw new SqlError('42P05', `prepared statement "${name}" already exists`);
    if (this.statements.size >= STATEMENTS_MAX) throw new SqlError('53400', `a session may hold ${STATEMENTS_MAX} prepared statements`, { hint: 'DEALLOCATE ALL;' });
    this.statements.set(name, statement);
  }
  statement(name: string): SessionStatement {
    const s = this.statements.get(name);
    if (s !== undefined) return s;
    throw new SqlError('26000', name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`);
  }
  addPortal(portal: Portal): void {
    if (this.portals.size >= PORTALS_MAX) throw new SqlError('53400', `a session may hold ${PORTALS_MAX} open cursors`, { hint: 'CLOSE ALL;' });
    this.portals.set(portal.name, portal);
  }
  portal(name: string): Portal {
    const p = this.portals.get(name);
    if (p !== undefined) return p;
    throw new SqlError('34000', `${name === '' ? 'portal' : 'cursor'} "${name}" does not exist`);
  }
  async closePortal(name: string): Promise<void> {
    const portal = this.portals.get(name);
    this.portals.delete(name);
    await portal?.close();
  }
  /** At the end of a transaction: all but WITH HOLD; `all`: those too. */
  async closePortals(all = false): Promise<void> {
    for (const [name, portal] of this.portals) if (all || !portal.hold) await this.closePortal(name);
  }

  /** Starts a statement of the backend. */
  async start(portal: Portal): Promise<PortalExecution> {
    const { prepared } = portal.statement;
    if (prepared === null) throw new SqlError('XX000', 'internal error: nothing to execute');
    this.backend.beginImplicit();
    const execution = await this.backend.execute(prepared, portal.params, { signal: portal.controller.signal, notice: (n) => { this.notice(n); } });
    return portalExecution(execution);
  }

  /**
   * Runs a started portal for up to `rowsMax` rows and sends them. Returns the command tag, or null when the limit suspended it.
   * `describe`: send RowDescription first (simple protocol).
   */
  async run(portal: Portal, rowsMax: number, describe: boolean): Promise<string | null> {
    const execution = portal.execution;
    if (execution === null) throw new SqlError('XX000', 'internal error: the portal was not started');
    switch (execution.kind) {
      case 'command': return execution.tag;
      case 'copy in': return this.#copyIn(portal, execution);
      case 'copy out': return this.#copyOut(portal, execution);
      case 'slices': break;
    }
    if (describe) {
      this.connection.send(encode.rowDescription(execution.columns, portal.formats));
      // The header of a subscription comes before its first row does.
      if (execution.streaming) await this.connection.flush(portal.controller.signal);
    }
    const encoder = new RowEncoder(execution.columns, portal.formats, this.io());
    const { signal } = portal.controller;
    let rows = 0;
    while (rows < rowsMax) {
      const slice = await portal.next(rowsMax - rows);
      if (slice === null) return execution.tag(rows);
      this.connection.send(encoder.encode(slice.batch, slice.from, slice.to));
      rows += slice.to - slice.from;
      await this.connection.flush(signal);
      if (signal.aborted) throw signal.reason;
      if (execution.streaming && rowsMax !== ALL_ROWS) break;
    }
    return rowsMax === ALL_ROWS ? execution.tag(rows) : null;
  }

  async #copyIn(portal: Portal, execution: Extract<PortalExecution, { kind: 'copy in' }>): Promise<string> {
    this.connection.send(encode.copyResponse('in', execution.columns.length));
    await this.connection.flush();
    const decoder = new CopyDecoder(execution.columns.map((c) => c.name), execution.options);
    const rows = await execution.consume(this.#copyRows(decoder, portal.controller.signal));
    return `COPY ${rows}`;
  }

  async *#copyRows(decoder: CopyDecoder, signal: AbortSignal): AsyncGenerator<CopyRows> {
    for (;;) {
      const message = this.connection.poll();
      if (message === null) {
        if (this.connection.closed) throw new SqlError('08006', 'the client went away during COPY');
        await withAbort(this.connection.readable(), signal);
        continue;
      }
      switch (message.kind) {
        case 'copyData': {
          const rows = decoder.push(message.data);
          if (rows.rows.length > 0) yield rows;
          break;
        }
        case 'copyDone': {
          const rows = decoder.end();
          if (rows.rows.length > 0) yield rows;
          return;
        }
        case 'copyFail': throw new SqlError('57014', `COPY from stdin failed: ${message.reason}`);
        case 'flush': case 'sync': break;
        default: throw new SqlError('08P01', `unexpected message "${message.kind}" during COPY from stdin`);
      }
    }
  }

  async #copyOut(portal: Portal, execution: Extract<PortalExecution, { kind: 'copy out' }>): Promise<string> {
    const { signal } = portal.controller;
    const encoder = new CopyEncoder(execution.columns, execution.options, this.io());
    this.connection.send(encode.copyResponse('out', execution.columns.length));
    if (execution.options.header !== false) this.connection.send(encode.copyData(Buffer.from(encoder.header())));
    await this.connection.flush(signal);
    let rows = 0;
    const batches = execution.batches[Symbol.asyncIterator]();
    try {
      for (;;) {
        const result = await withAbort(batches.next(), signal);
        if (result.done === true) break;
        for (const line of encoder.lines(result.value)) this.connection.send(encode.copyData(Buffer.from(line)));
        rows += result.value.length;
        await this.connection.flush(signal);
      }
    } catch (e) {
      void Promise.resolve(batches.return?.()).catch(() => undefined);
      throw e;
    }
    this.connection.send(encode.copyDone());
    return `COPY ${rows}`;
  }

  /** Columns a statement will give, for Describe; null = none. */
  columnsOf(statement: SessionStatement): readonly Column[] | null {
    if (statement.prepared !== null) return statement.prepared.columns;
    const s = statement.parsed?.statement;
    if (s?.kind === 'execute') return this.columnsOf(this.statement(s.name));
    if (s?.kind === 'fetch' && !s.move) {
      const execution = this.portal(s.cursor).execution;
      return execution?.kind === 'slices' ? execution.columns : null;
    }
    return null;
  }
}
