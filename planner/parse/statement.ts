/**
 * Statement: what planner/parse makes of one SQL statement. server/ switches over `kind`; planner/bind takes the queries' trees.
 *
 * Raw trees are libpg-query's (PostgreSQL 18's grammar), wrapped with the SourceText they were parsed from: `location` fields in a tree
 * are UTF-8 byte offsets into that text, `source.position(location)` is the 1-based character position in the text the client sent.
 * Positions held directly in statements (`position`) are such character positions already.
 * `sql` fields are source slices, so that definitions can be stored as written.
 */
import type { DeleteStmt, InsertStmt, Node, SelectStmt, TypeName, UpdateStmt } from 'libpg-query';
import type { SourceText } from './sourcetext.js';

export type { Node as RawNode, SelectStmt as RawSelect, TypeName as RawTypeName } from 'libpg-query';

export type Emit = 'changes' | 'on_window_close';

/** `relation AS OF CHECKPOINT n`: `location` is the RangeVar's location in the tree. */
export interface AsOfCheckpoint {
  readonly location: number;
  readonly checkpoint: number;
  readonly position: number;
}

/** FOR SYSTEM_TIME AS OF after the relation at `location` (bytes): processing time (column null), or what a column holds. */
export interface Lookup {
  readonly location: number;
  readonly column: readonly string[] | null;
  readonly position: number;
}

/** A query (SELECT, VALUES, TABLE, WITH …). Clauses of ours were lifted out of the text before it was parsed. */
export interface Query {
  readonly ast: SelectStmt;
  readonly source: SourceText;
  /** The query as written, clauses of ours included. */
  readonly sql: string;
  /** Position of its first character. */
  readonly position: number;
  readonly emit: Emit | null;
  readonly asOf: readonly AsOfCheckpoint[];
  readonly lookups: readonly Lookup[];
}

/** An expression or condition handed back by source slice. `ast` locations are offsets into `source`. */
export interface Expression {
  readonly ast: Node;
  readonly source: SourceText;
  readonly sql: string;
  readonly position: number;
}

export interface TypeRef {
  readonly ast: TypeName;
  readonly source: SourceText;
  readonly sql: string;
  readonly position: number;
}

export interface RelationName {
  readonly schema: string | null;
  readonly name: string;
  readonly position: number;
}

export interface Option {
  /** Folded to lower case unless quoted; dotted keys are joined with '.'. */
  readonly key: string;
  /** Text of the value: strings unquoted, numbers as written, words folded. */
  readonly value: string;
  /** secret: SECRET name; `value` is the secret's name. */
  readonly form: 'string' | 'number' | 'word' | 'secret';
  readonly position: number;
  readonly valuePosition: number;
}

/** One setting of ALTER JOB … SET (…) or RESET (…), as written. */
export interface SettingChange {
  readonly name: string;
  readonly value: string | null;
  readonly position: number;
}

/** serial, or GENERATED … AS IDENTITY with what its options say (null: nothing). */
export interface IdentityDefinition {
  readonly kind: 'serial' | 'always' | 'by default';
  readonly start: bigint | null;
  readonly increment: bigint | null;
  readonly min: bigint | null;
  readonly max: bigint | null;
  readonly position: number;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly position: number;
  readonly type: TypeRef;
  readonly notNull: boolean;
  readonly default: Expression | null;
  readonly generated: { readonly expression: Expression; readonly stored: boolean } | null;
  /** Tables only. */
  readonly identity: IdentityDefinition | null;
}

export interface StreamColumnDefinition extends ColumnDefinition {
  readonly path: string | null;
  readonly metadata: string | null;
}

/** PRIMARY KEY of a column or of the table: names in key order. */
export interface PrimaryKeyDefinition {
  readonly columns: readonly string[];
  readonly position: number;
}

export type DropObject = 'table' | 'view' | 'materialized view' | 'stream' | 'sink' | 'index' | 'schema' | 'function' | 'secret' | 'connection';

/** What SHOW lists. */
export type ShowObjects = 'jobs' | 'streams' | 'tables' | 'views' | 'materialized views' | 'sinks' | 'checkpoints' | 'sources' | 'indexes' | 'schemas' | 'functions' | 'secrets' | 'connections' | 'savepoints' | 'databases';

export type CopyOptions = {
  readonly format: 'text' | 'csv' | 'binary';
  readonly delimiter: string | null;
  readonly nullText: string | null;
  readonly header: boolean | 'match';
  readonly quote: string | null;
  readonly escape: string | null;
  readonly encoding: string | null;
  /** null = none; '*' = all. */
  readonly forceQuote: readonly string[] | '*' | null;
  readonly forceNotNull: readonly string[] | '*' | null;
  readonly forceNull: readonly string[] | '*' | null;
  readonly default: string | null;
};

export interface Subscribe {
  readonly kind: 'subscribe';
  readonly target: { readonly kind: 'relation'; readonly name: RelationName } | { readonly kind: 'query'; readonly query: Query };
  readonly options: readonly Option[];
  readonly position: number;
}

export interface SelectStatement { readonly kind: 'select'; readonly query: Query }

export interface CreateView {
  readonly kind: 'create view';
  readonly name: RelationName;
  readonly orReplace: boolean;
  readonly columns: readonly string[] | null;
  readonly query: Query;
}

export interface CreateMaterializedView {
  readonly kind: 'create materialized view';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  readonly columns: readonly string[] | null;
  readonly options: readonly Option[];
  readonly query: Query;
}

export interface CreateTable {
  readonly kind: 'create table';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  readonly columns: readonly ColumnDefinition[];
  readonly primaryKey: PrimaryKeyDefinition | null;
  readonly options: readonly Option[];
}

/** CREATE TABLE … AS query; SELECT … INTO name. */
export interface CreateTableAs {
  readonly kind: 'create table as';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  /** Names in place of the query's, of its first columns. */
  readonly columns: readonly string[] | null;
  readonly query: Query;
  /** false: WITH NO DATA. */
  readonly withData: boolean;
}

export interface CreateStream {
  readonly kind: 'create stream';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  /** null: left out; the connector knows its columns (nexmark). */
  readonly columns: readonly StreamColumnDefinition[] | null;
  readonly primaryKey: PrimaryKeyDefinition | null;
  readonly watermark: { readonly column: string; readonly expression: Expression; readonly position: number } | null;
  readonly options: readonly Option[];
}

export interface CreateDerivedStream {
  readonly kind: 'create derived stream';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  readonly columns: readonly string[] | null;
  readonly primaryKey: PrimaryKeyDefinition | null;
  readonly options: readonly Option[];
  readonly query: Query;
}

export interface CreateSink {
  readonly kind: 'create sink';
  readonly name: RelationName;
  readonly ifNotExists: boolean;
  /** FROM relation, or AS query. */
  readonly from: { readonly kind: 'relation'; readonly name: RelationName } | { readonly kind: 'query'; readonly query: Query };
  readonly options: readonly Option[];
}

export type Explainable =
  | SelectStatement | CreateTableAs | CreateMaterializedView | CreateDerivedStream | CreateSink | CreateView | Subscribe
  | Insert | Update | Delete;

export interface Insert { readonly kind: 'insert'; readonly ast: InsertStmt; readonly source: SourceText; readonly target: RelationName; readonly sql: string }
export interface Update { readonly kind: 'update'; readonly ast: UpdateStmt; readonly source: SourceText; readonly target: RelationName; readonly sql: string }
export interface Delete { readonly kind: 'delete'; readonly ast: DeleteStmt; readonly source: SourceText; readonly target: RelationName; readonly sql: string }

/** CASCADE or not is the same: no table refers to another. */
export interface Truncate { readonly kind: 'truncate'; readonly names: readonly RelationName[]; readonly restartIdentity: boolean }

export type Copy =
  | { readonly kind: 'copy from'; readonly table: RelationName; readonly columns: readonly string[] | null; readonly options: CopyOptions; readonly position: number }
  | {
    readonly kind: 'copy to';
    readonly source:
      | { readonly kind: 'table'; readonly name: RelationName; readonly columns: readonly string[] | null }
      | { readonly kind: 'query'; readonly query: Query }
      | { readonly kind: 'subscribe'; readonly subscribe: Subscribe };
    readonly options: CopyOptions;
    readonly position: number;
  };

export type FetchDirection = 'next' | 'prior' | 'first' | 'last' | 'absolute' | 'relative' | 'forward' | 'backward';

export type Statement =
  | SelectStatement | Insert | Update | Delete | CreateTable | CreateTableAs | CreateView | CreateMaterializedView | CreateStream | CreateDerivedStream | CreateSink | Subscribe | Copy
  | { readonly kind: 'drop'; readonly object: DropObject; readonly names: readonly RelationName[]; readonly ifExists: boolean; readonly cascade: boolean }
  | Truncate
  | { readonly kind: 'create schema'; readonly name: string; readonly ifNotExists: boolean; readonly position: number }
  | { readonly kind: 'create index'; readonly name: string | null; readonly table: RelationName; readonly columns: readonly string[]; readonly ifNotExists: boolean; readonly unique: boolean; readonly position: number }
  | { readonly kind: 'comment' }
  // Transactions
  | { readonly kind: 'begin'; readonly isolation: string | null; readonly readOnly: boolean | null }
  | { readonly kind: 'commit'; readonly chain: boolean }
  | { readonly kind: 'rollback'; readonly chain: boolean }
  // Settings. `value` null = DEFAULT; lists joined with ', '.
  | { readonly kind: 'set'; readonly name: string; readonly value: string | null; readonly local: boolean; readonly position: number }
  | { readonly kind: 'set transaction'; readonly session: boolean; readonly isolation: string | null; readonly readOnly: boolean | null }
  | { readonly kind: 'reset'; readonly name: string | null; readonly position: number }
  | { readonly kind: 'show'; readonly name: string | null; readonly position: number }
  | { readonly kind: 'show objects'; readonly objects: ShowObjects; readonly job: string | null; readonly like: string | null; readonly position: number }
  | { readonly kind: 'show create'; readonly name: RelationName }
  | { readonly kind: 'describe'; readonly name: RelationName }
  | { readonly kind: 'alter system'; readonly name: string | null; readonly value: string | null; readonly position: number }
  // Prepared statements, cursors
  | { readonly kind: 'prepare'; readonly name: string; readonly types: readonly TypeRef[]; readonly statement: ParsedStatement }
  | { readonly kind: 'execute'; readonly name: string; readonly args: readonly Expression[]; readonly position: number }
  | { readonly kind: 'deallocate'; readonly name: string | null }
  | { readonly kind: 'declare cursor'; readonly name: string; readonly query: SelectStatement | Subscribe; readonly hold: boolean; readonly binary: boolean; readonly scroll: boolean; readonly position: number }
  /** `count` null = ALL. */
  | { readonly kind: 'fetch'; readonly move: boolean; readonly cursor: string; readonly direction: FetchDirection; readonly count: number | null; readonly position: number }
  | { readonly kind: 'close'; readonly name: string | null }
  | { readonly kind: 'discard'; readonly what: 'all' | 'plans' | 'sequences' | 'temp' }
  | { readonly kind: 'listen'; readonly channel: string }
  | { readonly kind: 'unlisten'; readonly channel: string | null }
  | { readonly kind: 'notify'; readonly channel: string; readonly payload: string }
  // Explain
  | { readonly kind: 'explain'; readonly analyze: boolean; readonly verbose: boolean; readonly format: 'text' | 'json'; readonly options: readonly Option[]; readonly statement: Explainable; readonly position: number }
  | { readonly kind: 'explain restore'; readonly path: string; readonly query: Query; readonly position: number }
  /** Where the time of a job's checkpoint went; `checkpoint` null = the last completed one. */
  | { readonly kind: 'explain checkpoint'; readonly job: string; readonly checkpoint: number | null; readonly position: number }
  // Jobs and checkpoints
  | { readonly kind: 'flush' }
  | { readonly kind: 'checkpoint'; readonly job: string | null; readonly position: number }
  /** `target`: folder of the savepoint; null = savepoint_directory. */
  | { readonly kind: 'create savepoint'; readonly job: string; readonly target: string | null; readonly position: number }
  | { readonly kind: 'drop savepoint'; readonly path: string; readonly position: number }
  | { readonly kind: 'stop job'; readonly job: string; readonly savepoint: { readonly target: string | null } | null; readonly position: number }
  | { readonly kind: 'cancel job' | 'pause job'; readonly job: string; readonly position: number }
  | { readonly kind: 'resume job'; readonly job: string; readonly parallelism: number | null; readonly position: number }
  /** `value` null = DEFAULT, and RESET. */
  | { readonly kind: 'alter job'; readonly job: string; readonly changes: readonly SettingChange[]; readonly position: number }
  // Parsed; the server answers
  | { readonly kind: 'create secret'; readonly name: RelationName; readonly ifNotExists: boolean; readonly orReplace: boolean; readonly options: readonly Option[]; readonly position: number }
  | { readonly kind: 'create connection'; readonly name: RelationName; readonly ifNotExists: boolean; readonly options: readonly Option[]; readonly position: number }
  /** Any other command of Postgres: answered with 0A000 naming `feature`. */
  | { readonly kind: 'unsupported'; readonly feature: string; readonly position: number; readonly hint: string | null };

export type StatementKind = Statement['kind'];

export interface ParsedStatement {
  readonly statement: Statement;
  /** The statement as written, without the semicolon and the white space and comments around it. */
  readonly sql: string;
  /** Characters of the whole text before `sql`. */
  readonly base: number;
  /** Highest $n in the text; 0 = none. */
  readonly paramCount: number;
}
