/**
 * What a compiled expression may ask about its surroundings; everything else is a pure function of the row.
 * `nowUs` and `outer` are mutable: the task loop sets now at each barrier, a subplan's driver sets outer before each run.
 */
import type { Datum } from '../value.js';

export interface EvalContext {
  /** now(), current_timestamp: microseconds since 1970. */
  nowUs: number;
  timeZone: string;
  user: string;
  database: string;
  /** Values of the enclosing query's columns while a subplan runs (Expr 'outer'). */
  outer: Datum[];
  /** For reg* casts and pg_* functions; null in jobs (the planner refuses such functions there). */
  readonly catalog: CatalogLookup | null;
  random(): number;
  /** clock_timestamp(): moves within a statement; absent = nowUs. */
  clockUs?(): number;
}

/** Names and oids, as shipped with a batch query that needs them. */
export interface CatalogLookup {
  relationOid(schema: string | null, name: string): number | null;
  relationName(oid: number): { schema: string; name: string; visible: boolean } | null;
  schemaOid(name: string): number | null;
  schemaName(oid: number): string | null;
  viewDefinition(oid: number): string | null;
  comment(oid: number, classOid: number, column: number): string | null;
  setting(name: string): string | null;
}
