/**
 * SqlError: every error a user can cause or meet, with its SQLSTATE.
 *
 * Classes (SQLSTATE's first two characters) decide what a job does: 22 (data) and 0A/42 (statement) are the user's,
 * 08/53/58 the environment's (retried by the restart strategy), XX000 a bug of ours (an assertion).
 * Messages are in Postgres' voice: lower case, names quoted, no full stop. A HINT names the next statement to type.
 */
export interface SqlErrorFields {
  detail?: string | undefined;
  hint?: string | undefined;
  /** 1-based position in characters (code points) of the statement's text, as Postgres counts. */
  position?: number | undefined;
  /** The constraint that was violated, and whose it is. */
  violated?: Violated | undefined;
  cause?: unknown;
}

export interface Violated { readonly schema: string; readonly table: string; readonly column?: string; readonly constraint?: string }

export class SqlError extends Error {
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  position: number | undefined;
  readonly violated: Violated | undefined;

  constructor(code: string, message: string, fields: SqlErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'SqlError';
    this.code = code;
    this.detail = fields.detail;
    this.hint = fields.hint;
    this.position = fields.position;
    this.violated = fields.violated;
  }
}

/** What crosses a thread in place of an error object. */
export interface ErrorData {
  code: string;
  message: string;
  detail?: string | undefined;
  hint?: string | undefined;
  position?: number | undefined;
  stack?: string | undefined;
}

export function toErrorData(e: unknown): ErrorData {
  if (e instanceof SqlError) return { code: e.code, message: e.message, detail: e.detail, hint: e.hint, position: e.position, stack: e.stack };
  if (e instanceof Error) return { code: environmentCode(e) ?? 'XX000', message: e.message, stack: e.stack };
  return { code: 'XX000', message: String(e) };
}

export function fromErrorData(d: ErrorData): SqlError {
  const e = new SqlError(d.code, d.message, { detail: d.detail, hint: d.hint, position: d.position });
  if (d.stack !== undefined) e.stack = d.stack;
  return e;
}

/** SQLSTATE of an operating system error, or undefined when it is none. */
export function environmentCode(e: Error): string | undefined {
  const code: unknown = (e as Error & { code?: unknown }).code;
  if (typeof code !== 'string') return undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return '53100';
  if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') return '53000';
  if (code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'ETIMEDOUT' || code === 'EPIPE' || code === 'ENOTFOUND') return '08006';
  if (code === 'ENOENT') return '58P01';
  if (/^E[A-Z]+$/.test(code)) return '58030';
  return undefined;
}

export function unsupported(feature: string, position?: number, hint?: string): SqlError {
  return new SqlError('0A000', `${feature} is not supported`, { position, hint });
}

/** For those who look for a column that counts. */
export const OWN_KEYS = 'Keys come from the client, or as id uuid PRIMARY KEY DEFAULT gen_random_uuid(); a table may also go without PRIMARY KEY.';

/** A bug of ours: fails the task, which recovers from its checkpoint. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SqlError('XX000', `internal error: ${message}`);
}

/** Ends a switch over a union: a new member fails to compile. */
export function unreachable(x: never): never {
  throw new SqlError('XX000', `internal error: unexpected ${JSON.stringify(x)}`);
}
