/**
 * Tables and their log: contract. One LevelDB directory `<data>/tables`; one log sequence over all tables and connector-less streams.
 * A committed transaction's rows and its log record are written in one fsynced LevelDB batch (group commit: concurrent transactions
 * share a batch), so that rows and log never disagree. Row bytes are the row codec's (types/encoding/row.ts) over the stored types,
 * keys are the order encoding of the primary key. Ids are never reused.
 *
 * The main thread owns the writer. Workers open the same directory (multithreading: true) through `TableReader`.
 */
export interface RowChange {
  readonly tableId: number;
  /** Encoded primary key; for a stream's log: empty. */
  readonly key: Uint8Array;
  /** Row before, null = inserted. */
  readonly old: Uint8Array | null;
  /** Row after, null = deleted. */
  readonly new: Uint8Array | null;
}

/** One committed transaction in the log. */
export interface LogRecord {
  readonly seq: number;
  /** Wall clock of the commit, ms. */
  readonly timeMs: number;
  readonly changes: readonly RowChange[];
}

export interface Retention { readonly ms: number; readonly bytes: number }

/** A column that counts has given `next` numbers since it began anew. */
export interface Restart { readonly tableId: number; readonly column: number; readonly next: number }
export interface Numbering { readonly given: number; readonly restarts: number }

export interface TableWriter {
  /** Last committed sequence; 0 before the first. */
  readonly lastSeq: number;
  /** Commits one transaction: resolves with its sequence once it is on disk. Order of calls = order of sequences. */
  commit(changes: readonly RowChange[], restarts?: readonly Restart[]): Promise<number>;
  get(tableId: number, key: Uint8Array): Promise<Uint8Array | undefined>;
  getMany(tableId: number, keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>;
  /** Next value of the hidden row id of a table without primary key; unique over restarts. */
  nextRowId(tableId: number): number;
  /** How many numbers a column that counts has given before, with those lost in a crash; then one more. Unique over restarts. */
  nextNumber(tableId: number, column: number): number;
  /** Numbers given and restarts committed of a table's columns since the store was opened. */
  numbering(tableId: number): Numbering;
  /** Deletes rows of a dropped table, in chunks. */
  drop(tableId: number): Promise<void>;
  /** Rows of a stream without connector are kept in the log until both limits are passed by `trim`; null: trimmed like a table's. */
  setRetention(streamId: number, retention: Retention | null): void;
  /** Log records with seq <= `upTo` that no reader needs are deleted, except rows of streams still under their retention. */
  trim(upTo: number): Promise<void>;
  /** Called after each group commit with the new lastSeq. */
  onCommit(listener: (lastSeq: number) => void): void;
  close(): Promise<void>;
}

export interface TableReader {
  /** Rows of a table as of one moment, ordered by key, starting after `after`; with the log sequence `seq` that the snapshot contains. */
  snapshot(tableId: number): Promise<TableSnapshot>;
  /** Log records with from < seq <= to that touch one of `tableIds`, in order, at most about `bytesMax`; `next` = the sequence to go on from. */
  log(tableIds: ReadonlySet<number>, from: number, to: number, bytesMax: number): Promise<{ records: LogRecord[]; next: number }>;
  /** Oldest sequence still in the log; 0 when nothing was trimmed. */
  oldestSeq(): Promise<number>;
  close(): Promise<void>;
}

export interface TableSnapshot {
  readonly seq: number;
  /** Up to rowsMax rows with key > after; fewer = the end. */
  rows(after: Uint8Array | null, rowsMax: number): Promise<{ key: Uint8Array; row: Uint8Array }[]>;
  close(): Promise<void>;
}
