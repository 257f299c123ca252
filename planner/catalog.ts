/**
 * What the planner needs to know of the catalog. server/ implements it over storage/catalog; tests with a literal.
 * Names are resolved here already: schema search path 'public', 'millrace', 'pg_catalog'.
 */
import type { Column, SqlType } from '../types/sqltype.js';
import type { Expr } from '../types/expr.js';
import type { Plan, SourceField } from '../types/plan.js';
import type { TableFunctionDefinition } from '../runtime/functions/api.js';

export interface RelationBase {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
}

export type Relation =
  | StreamRelation
  | TableRelation
  | ViewRelation
  | MaterializedViewRelation
  | SystemRelation
  | (RelationBase & { readonly kind: 'sink' | 'index' });

export interface StreamColumn extends Column {
  readonly notNull: boolean;
  readonly path: string | null;
  readonly metadata: string | null;
  /** Source text of DEFAULT. */
  readonly defaultSql: string | null;
  /** Source text of GENERATED ALWAYS AS (…) VIRTUAL. */
  readonly generatedSql: string | null;
}

export interface StreamRelation extends RelationBase {
  readonly kind: 'stream';
  readonly columns: readonly StreamColumn[];
  /** null: fed by INSERT into a retained log. */
  readonly connector: string | null;
  readonly options: Readonly<Record<string, string>>;
  readonly watermark: { readonly column: string; readonly sql: string } | null;
  readonly primaryKey: readonly number[] | null;
  readonly bounded: boolean;
}

/** A column that counts: serial, or GENERATED … AS IDENTITY. Its n-th number is start + n × increment, within min and max (decimal, of up to 64 bits). */
export interface Identity {
  readonly kind: 'serial' | 'always' | 'by default';
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
}

export interface TableColumn extends Column {
  readonly notNull: boolean;
  readonly defaultSql: string | null;
  /** GENERATED ALWAYS AS (…) STORED. */
  readonly generatedSql: string | null;
  /** Absent: the column takes what it is given. */
  readonly identity?: Identity;
}

export interface TableRelation extends RelationBase {
  readonly kind: 'table';
  readonly columns: readonly TableColumn[];
  /** Never null: a table without PRIMARY KEY has the hidden key `_row_id` (int8, last stored column). */
  readonly primaryKey: readonly number[];
  readonly hiddenRowId: boolean;
}

/** Plain view: expanded where it is used. */
export interface ViewRelation extends RelationBase { readonly kind: 'view'; readonly sql: string }

export interface MaterializedViewRelation extends RelationBase {
  readonly kind: 'materialized view';
  readonly jobId: number;
  /** The materialize node in the job's plan and its facts, for views over views and for reads. */
  readonly nodeId: number;
  readonly key: readonly number[] | null;
  readonly appendOnly: boolean;
  /** All columns of the materialize node, hidden trailing ones included. */
  readonly storedColumns: readonly Column[];
  readonly sql: string;
  /** Only in one query: the content in a checkpoint (null: the last completed one), or of the state of the operator `nodeId`. */
  readonly checkpoint?: { readonly id: number | null; readonly state: boolean };
}

/** A job as far as its checkpoints can be looked into. */
export interface JobPlan { readonly jobId: number; readonly name: string; readonly plan: Plan }

/** A system table: pg_catalog, information_schema, millrace. Rows are supplied with the query. */
export interface SystemRelation extends RelationBase { readonly kind: 'system table' }

export interface PlannerCatalog {
  /** By optional schema and exact (already folded) name; null when there is none. */
  relation(schema: string | null, name: string): Relation | null;
  /** Names near a misspelt one are found among these, for HINTs. */
  relationNames(): Iterable<string>;
  schemaExists(name: string): boolean;
  /** The job of this name, or that keeps a relation of this name. */
  jobByName(name: string): JobPlan | null;
  /** An own function of the server's extensions. */
  tableFunction?(name: string): TableFunctionDefinition | null;
}

export type { Expr, Plan, SourceField, SqlType };
