/** Names, codes and limits of the PostgreSQL frontend/backend protocol 3 (manual, chapter 55). */

export const PROTOCOL_3_0 = 196608;
export const PROTOCOL_3_2 = 196610;
export const SSL_REQUEST = 80877103;
export const GSSENC_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;

/** Named limits. Beyond, the connection ends with 08P01. COPY data is passed on in pieces and has no limit. */
export const MESSAGE_BYTES_MAX = 64 << 20;
export const STARTUP_BYTES_MAX = 10_000;

/** 0 = text, 1 = binary. */
export type Format = 0 | 1;

export type StartupMessage =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly key: Buffer }
  | { readonly kind: 'startup'; readonly protocol: number; readonly parameters: ReadonlyMap<string, string> };

export interface BindMessage {
  readonly kind: 'bind';
  readonly portal: string;
  readonly statement: string;
  readonly paramFormats: readonly Format[];
  /** Raw bytes of each parameter, null = NULL. */
  readonly params: readonly (Buffer | null)[];
  readonly resultFormats: readonly Format[];
}

export type FrontendMessage =
  | { readonly kind: 'query'; readonly sql: string }
  | { readonly kind: 'parse'; readonly name: string; readonly sql: string; readonly types: readonly number[] }
  | BindMessage
  | { readonly kind: 'describe'; readonly what: 'statement' | 'portal'; readonly name: string }
  /** rowsMax 0 = no limit. */
  | { readonly kind: 'execute'; readonly portal: string; readonly rowsMax: number }
  | { readonly kind: 'close'; readonly what: 'statement' | 'portal'; readonly name: string }
  | { readonly kind: 'sync' }
  | { readonly kind: 'flush' }
  /** A piece of a CopyData message: borders of messages mean nothing in COPY text. */
  | { readonly kind: 'copyData'; readonly data: Buffer }
  | { readonly kind: 'copyDone' }
  | { readonly kind: 'copyFail'; readonly reason: string }
  | { readonly kind: 'functionCall' }
  | { readonly kind: 'password' }
  | { readonly kind: 'terminate' };
