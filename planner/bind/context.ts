/**
 * What one binding of a statement shares: the catalog, the mode, column ids, parameter types, dependencies, notices, and errors with positions.
 * A view's text is bound with a nested source (its own positions mean nothing to the client, so errors inside carry none).
 */
import { SqlError, type SqlErrorFields, unsupported } from '../../types/error.js';
import type { SqlType } from '../../types/sqltype.js';
import type { EvalContext } from '../../types/functions/evalcontext.js';
import type { SourceText } from '../parse/sourcetext.js';
import type { AsOfCheckpoint, Lookup } from '../parse/statement.js';
import type { MaterializedViewRelation, PlannerCatalog, Relation } from '../catalog.js';
import type { Plan } from '../../types/plan.js';
import type { ColId, ColInfo } from './rel.js';
import type { BoundQuery } from './select.js';

/** Column ids of one query: views nested in views multiply, and a bound on it stands for a bound on the plan. */
const COLUMNS_MAX = 200_000;

export interface Session { readonly timeZone: string; readonly user: string; readonly database: string; readonly nowUs: number }

export class BindContext {
  readonly catalog: PlannerCatalog;
  readonly job: boolean;
  readonly params: (SqlType | null)[];
  readonly paramLocations: (number | undefined)[] = [];
  readonly cols: ColInfo[] = [];
  readonly reads = new Map<number, Relation>();
  readonly notices = new Set<string>();
  readonly evalContext: EvalContext;
  /** Null while a view's text is bound. */
  source: SourceText | null;
  /** Relations under FOR SYSTEM_TIME AS OF in the text that is bound, by location. */
  lookups: readonly Lookup[] = [];
  /** Relations AS OF CHECKPOINT in the text that is bound, by location. */
  asOf: readonly AsOfCheckpoint[] = [];
  /** Past states the statement reads (bind/past.ts). */
  readonly past = new Map<string, MaterializedViewRelation>();
  /** Jobs whose materialized views are computed anew where they are used: a continuous query can read those of one job only. */
  anew: ReadonlySet<number> = new Set();
  /** The view that is being computed anew, the outermost. */
  anewView: MaterializedViewRelation | null = null;
  /** Names of the views being expanded: a cycle would never end. */
  readonly expanding: string[] = [];
  /** Physical plan of a subquery; set by planner/plan, which binding does not import. */
  lowerSubplan: (bound: BoundQuery) => Plan = () => { throw new SqlError('0A000', 'subqueries are not supported here'); };

  constructor(catalog: PlannerCatalog, job: boolean, params: readonly (SqlType | null)[], source: SourceText | null, session?: Session) {
    this.catalog = catalog;
    this.job = job;
    this.params = [...params];
    this.source = source;
    this.evalContext = {
      nowUs: session?.nowUs ?? Date.now() * 1000, timeZone: session?.timeZone ?? 'UTC', user: session?.user ?? '', database: session?.database ?? '',
      outer: [], catalog: null, random: Math.random,
    };
  }

  position(location: number | undefined): number | undefined { return this.source?.position(location ?? 0); }

  error(code: string, message: string, location: number | undefined, fields: SqlErrorFields = {}): SqlError {
    return new SqlError(code, message, { position: location === undefined ? undefined : this.position(location), ...fields });
  }

  unsupported(feature: string, location: number | undefined, hint?: string): SqlError {
    return unsupported(feature, location === undefined ? undefined : this.position(location), hint);
  }

  newColumn(name: string, type: SqlType, marks: { rowtime?: ColId | null; processingTime?: boolean } = {}): ColInfo {
    if (this.cols.length >= COLUMNS_MAX) throw new SqlError('54001', 'the query is too complex', { detail: `It has more than ${COLUMNS_MAX} columns in all its subqueries and views.` });
    const info: ColInfo = { id: this.cols.length, name, type, rowtime: marks.rowtime ?? null, processingTime: marks.processingTime ?? false };
    this.cols.push(info);
    return info;
  }

  info(id: ColId): ColInfo {
    const c = this.cols[id];
    if (c === undefined) throw new SqlError('XX000', `internal error: unknown column ${id}`);
    return c;
  }

  paramType(index: number): SqlType | null { return this.params[index] ?? null; }
  setParamType(index: number, type: SqlType): void {
    while (this.params.length <= index) this.params.push(null);
    this.params[index] = type;
  }
}
