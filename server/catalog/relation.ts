/** Catalog documents as stored: the planner's relations with what only the server needs, and jobs. Plain JSON. */
import type {
  MaterializedViewRelation, RelationBase, StreamRelation, TableRelation, ViewRelation,
} from '../../planner/catalog.js';
import type { JobSettings, SettingValue } from '../../types/settings.js';
import type { JobStatus, RestoreSource } from '../../runtime/engine.js';
import type { Plan } from '../../types/plan.js';

export interface SinkRelation extends RelationBase {
  readonly kind: 'sink';
  readonly jobId: number;
  readonly connector: string;
  readonly options: Readonly<Record<string, string>>;
}

/** Facts every stored relation has beside what the planner reads. */
export interface StoredFacts {
  /** The statement that created it (secrets in WITH masked). */
  readonly createSql: string;
  readonly createdMs: number;
  /** Ids of relations this one reads: DROP needs CASCADE while something reads it. */
  readonly dependsOn: readonly number[];
  readonly comment: string | null;
}

export type StoredRelation = (StreamRelation | TableRelation | ViewRelation | MaterializedViewRelation | SinkRelation) & StoredFacts;

/** A change made by ALTER JOB. */
export interface SettingChange {
  readonly name: string;
  readonly from: SettingValue;
  readonly to: SettingValue;
  readonly ms: number;
  readonly by: string;
}

/** CREATE SECRET. Its values leave the catalog only to where they are used. */
export interface StoredSecret {
  readonly id: number;
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
  readonly createdMs: number;
}

export interface StoredJob {
  readonly jobId: number;
  readonly name: string;
  readonly plan: Plan;
  readonly settings: JobSettings;
  readonly status: JobStatus;
  readonly relations: readonly number[];
  readonly sql: string;
  readonly createdMs: number;
  /** Node ids are allocated from here when a view joins the job. */
  readonly nextNodeId: number;
  readonly failure: string | null;
  /** What restore_from said: where the state comes from while there is no checkpoint. */
  readonly restore?: RestoreSource;
  /** Oldest first; absent: none. */
  readonly settingChanges?: readonly SettingChange[];
}

/** pg_class.relkind of each kind of relation: streams and sinks show as foreign tables, so that every client lists them. */
export function relkind(kind: StoredRelation['kind'] | 'system table' | 'index'): string {
  switch (kind) {
    case 'table': case 'system table': return 'r';
    case 'view': return 'v';
    case 'materialized view': return 'm';
    case 'stream': case 'sink': return 'f';
    case 'index': return 'i';
  }
}
