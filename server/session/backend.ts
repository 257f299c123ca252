/**
 * Backend: what the protocol layer (server/wire, server/session) asks of the database. The composition root implements it; the protocol's
 * own tests use a small one.
 *
 * Shared out like this. The session keeps what the protocol names: prepared statements and portals (also those of SQL's PREPARE, EXECUTE,
 * DEALLOCATE, DECLARE, FETCH, MOVE, CLOSE, DISCARD's part of them), formats, row limits, COPY's text, cancel keys, statement_timeout,
 * the failed-transaction rule (25P02), and when a transaction begins and ends. The backend plans and runs every other statement, keeps
 * settings and the content of transactions.
 *
 * Calls of one BackendSession never overlap, except `close`. An execution is taken to its end or returned (`return()` of its iterator)
 * before the next `execute` begins, unless it is suspended in a portal: then other statements may run beside it.
 */
import type { Batch } from '../../runtime/batch.js';
import type { SqlError } from '../../types/error.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { CopyOptions, ParsedStatement } from '../../planner/parse/statement.js';

export interface SessionInfo {
  readonly user: string;
  readonly database: string;
  /** All startup parameters but user and database: settings (application_name, TimeZone, …). */
  readonly parameters: ReadonlyMap<string, string>;
  /** Also the key of pg_backend_pid() and of cancel requests. */
  readonly pid: number;
  readonly remoteAddress: string | null;
}

/** What the backend may send a client without being asked. Delivered at once when the connection is idle, else with the next answer. */
export interface SessionEvents {
  /** LISTEN: asynchronous notification. */
  notification(channel: string, payload: string, pid: number): void;
  /** Ends what is under way (57014). */
  cancel(): void;
  /** Ends the connection (57P01 at shutdown). */
  terminate(error: SqlError): void;
}

export interface Backend {
  /** Throws SqlError to refuse (28000, 3D000, 22023 for a bad setting). */
  openSession(info: SessionInfo, events: SessionEvents): Promise<BackendSession>;
}

export interface Notice {
  readonly severity: 'NOTICE' | 'WARNING' | 'INFO' | 'LOG' | 'DEBUG';
  readonly code?: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: number;
}

/**
 * A statement whose names and types are bound. The backend's own class implements it; the session only hands it back.
 * `columns` null: the statement gives no rows.
 */
export interface Prepared {
  readonly paramTypes: readonly SqlType[];
  readonly columns: readonly Column[] | null;
}

export interface ExecuteContext {
  /** Aborted on cancel request, statement_timeout, and when the client is gone; `reason` is the SqlError to throw. */
  readonly signal: AbortSignal;
  readonly notice: (notice: Notice) => void;
}

/** A piece of COPY … FROM STDIN: rows of fields as text (null = NULL), as many as the columns of the statement. */
export interface CopyRows {
  /** Line number in the input of the first row, for errors. */
  readonly firstLine: number;
  readonly rows: readonly (readonly (string | null)[])[];
}

export type Execution =
  | {
    readonly kind: 'rows';
    readonly columns: readonly Column[];
    /** Batches as they come; weights are not looked at. Every batch is sent as soon as it is given. */
    readonly batches: AsyncIterable<Batch>;
    /** Command tag for that many rows: 'SELECT 5'. */
    readonly tag: (rows: number) => string;
    /** A subscription: FETCH from its cursor returns when at least one row is there instead of waiting for the whole count. */
    readonly streaming: boolean;
  }
  /** Done when `execute` resolves. */
  | { readonly kind: 'command'; readonly tag: string }
  /** The session decodes the client's COPY data and gives it to `consume`; resolves to the number of rows stored, after which the tag is 'COPY n'. */
  | {
    readonly kind: 'copy in';
    readonly columns: readonly Column[];
    readonly options: CopyOptions;
    readonly consume: (rows: AsyncIterable<CopyRows>) => Promise<number>;
  }
  /** The session writes the batches as COPY text. */
  | {
    readonly kind: 'copy out';
    readonly columns: readonly Column[];
    readonly options: CopyOptions;
    readonly batches: AsyncIterable<Batch>;
  };

export type TransactionStatus = 'idle' | 'block' | 'failed';

export interface BackendSession {
  /**
   * Binds a statement. `paramTypes[i]` is the client's type of $i+1, null where it left that open (or gave fewer). Errors: 42xxx, 0A000.
   * The result may be executed many times; the backend re-plans it itself when the catalog has changed meanwhile.
   */
  prepare(statement: ParsedStatement, paramTypes: readonly (SqlType | null)[]): Promise<Prepared>;
  /** `params` are literal texts of `prepared.paramTypes` (null = NULL). */
  execute(prepared: Prepared, params: readonly (string | null)[], context: ExecuteContext): Promise<Execution>;

  /**
   * Transactions. 'block': inside BEGIN … COMMIT, 'failed': after an error in it (only COMMIT and ROLLBACK are sent to the backend then).
   * The backend executes 'begin', 'commit' (which rolls back and returns the tag ROLLBACK when failed) and 'rollback' statements.
   */
  transactionStatus(): TransactionStatus;
  /** Nothing of the client is under way any more: ReadyForQuery is being sent. */
  ready(): void;
  /** Before the first statement of a Query message or of an extended-protocol series; no-op inside a block. */
  beginImplicit(): void;
  /** At the end of the Query message, or at Sync: commits what was begun implicitly. No-op inside a block. */
  commitImplicit(): Promise<void>;
  /** After an error: rolls back what was begun implicitly, or marks the block failed. Never throws. */
  fail(): Promise<void>;

  /** Value of a setting as SHOW prints it, e.g. TimeZone, DateStyle, client_encoding, statement_timeout. Unknown: undefined. */
  setting(name: string): string | undefined;
  /** statement_timeout in ms; 0 = none. */
  statementTimeoutMs(): number;
  /** DISCARD ALL: settings, listens, temporary things. */
  discard(what: 'all' | 'plans' | 'sequences' | 'temp'): Promise<void>;
  /** The connection ended: rolls back. May come while a call is running (its signal is aborted first). */
  close(): Promise<void>;
}
