/**
 * The catalog: relations and jobs, in memory, over the durable store. Every change is committed (fsync) before it is seen here.
 * Ids are those of Postgres' oids: from 16384 for relations, never reused. System relations are looked up beside the stored ones.
 */
import type { PlannerCatalog, Relation, SystemRelation } from '../../planner/catalog.js';
import type { TableFunctionDefinition } from '../../runtime/functions/api.js';
import type { CatalogStore, DocumentChange } from '../../storage/catalogstore.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import { storedJobSettings } from '../../types/settings.js';
import type { StoredJob, StoredRelation, StoredSecret } from './relation.js';

export const SCHEMAS: readonly { readonly oid: number; readonly name: string }[] = [
  { oid: 11, name: 'pg_catalog' }, { oid: 2200, name: 'public' }, { oid: 13000, name: 'information_schema' }, { oid: 13001, name: 'millrace' },
];
/** Unqualified names are looked for in this order. */
const SEARCH_PATH = ['pg_catalog', 'public', 'millrace'];

/** One atomic change of the catalog. */
export interface CatalogChange {
  readonly putRelations?: readonly StoredRelation[];
  readonly dropRelations?: readonly number[];
  readonly putJobs?: readonly StoredJob[];
  readonly dropJobs?: readonly number[];
  readonly putSettings?: Readonly<Record<string, Json>>;
  readonly putSecrets?: readonly StoredSecret[];
  readonly dropSecrets?: readonly StoredSecret[];
}

export class Catalog implements PlannerCatalog {
  readonly #store: CatalogStore;
  readonly #system: ReadonlyMap<string, SystemRelation>;
  readonly #functions: ReadonlyMap<string, TableFunctionDefinition>;
  readonly #relations = new Map<number, StoredRelation>();
  readonly #byName = new Map<string, StoredRelation>();
  readonly #jobs = new Map<number, StoredJob>();
  readonly #secrets = new Map<string, StoredSecret>();
  #settings: Record<string, Json> = {};
  #turn: Promise<void> = Promise.resolve();
  /** Rises with every change: cached plans are for one version. */
  version = 0;

  private constructor(store: CatalogStore, system: readonly SystemRelation[], functions: readonly TableFunctionDefinition[]) {
    this.#functions = new Map(functions.map(f => [f.name, f]));
    this.#store = store;
    this.#system = new Map(system.map(r => [`${r.schema}.${r.name}`, r]));
  }

  static open(store: CatalogStore, system: readonly SystemRelation[], functions: readonly TableFunctionDefinition[] = []): Catalog {
    const catalog = new Catalog(store, system, functions);
    for (const { value } of store.all('relation')) catalog.#put(value as unknown as StoredRelation);
    for (const { value } of store.all('job')) {
      const job = value as unknown as StoredJob;
      catalog.#jobs.set(job.jobId, { ...job, settings: storedJobSettings({ ...job.settings }) });
    }
    for (const { value } of store.all('secret')) {
      const secret = value as unknown as StoredSecret;
      catalog.#secrets.set(secret.name, secret);
    }
    const settings = store.get('settings', 0);
    if (settings !== undefined) catalog.#settings = settings as Record<string, Json>;
    return catalog;
  }

  #put(relation: StoredRelation): void {
    const before = this.#relations.get(relation.id);
    if (before !== undefined) this.#byName.delete(`${before.schema}.${before.name}`);
    this.#relations.set(relation.id, relation);
    this.#byName.set(`${relation.schema}.${relation.name}`, relation);
  }

  tableFunction(name: string): TableFunctionDefinition | null { return this.#functions.get(name) ?? null; }

  async allocateId(): Promise<number> { return this.#store.allocateId('oid'); }
  async allocateJobId(): Promise<number> { return this.#store.allocateId('job'); }

  /**
   * Commits a change; resolves when it is seen. Changes go one after the other: one given as a function is made when its turn comes, from what those before
   * it left, so that whoever changes a part of a job's document loses nobody else's part.
   */
  change(change: CatalogChange | (() => CatalogChange)): Promise<void> {
    const done = this.#turn.then(() => this.#commit(typeof change === 'function' ? change() : change));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #commit(change: CatalogChange): Promise<void> {
    const documents: DocumentChange[] = [];
    for (const r of change.putRelations ?? []) documents.push({ kind: 'relation', id: r.id, value: r as unknown as Json });
    for (const id of change.dropRelations ?? []) documents.push({ kind: 'relation', id, value: null });
    for (const j of change.putJobs ?? []) documents.push({ kind: 'job', id: j.jobId, value: j as unknown as Json });
    for (const id of change.dropJobs ?? []) documents.push({ kind: 'job', id, value: null });
    if (change.putSettings !== undefined) documents.push({ kind: 'settings', id: 0, value: change.putSettings });
    for (const secret of change.putSecrets ?? []) documents.push({ kind: 'secret', id: secret.id, value: secret as unknown as Json });
    for (const secret of change.dropSecrets ?? []) documents.push({ kind: 'secret', id: secret.id, value: null });
    if (documents.length === 0) return;
    await this.#store.commit(documents);
    for (const r of change.putRelations ?? []) this.#put(r);
    for (const id of change.dropRelations ?? []) {
      const r = this.#relations.get(id);
      if (r !== undefined) { this.#byName.delete(`${r.schema}.${r.name}`); this.#relations.delete(id); }
    }
    for (const j of change.putJobs ?? []) this.#jobs.set(j.jobId, j);
    for (const id of change.dropJobs ?? []) this.#jobs.delete(id);
    if (change.putSettings !== undefined) this.#settings = { ...change.putSettings };
    for (const secret of change.putSecrets ?? []) this.#secrets.set(secret.name, secret);
    for (const secret of change.dropSecrets ?? []) this.#secrets.delete(secret.name);
    this.version++;
  }

  /** Values of ALTER SYSTEM SET, as text. */
  systemSettings(): Readonly<Record<string, Json>> { return this.#settings; }

  relation(schema: string | null, name: string): Relation | null {
    for (const s of schema === null ? SEARCH_PATH : [schema]) {
      const found = this.#byName.get(`${s}.${name}`) ?? this.#system.get(`${s}.${name}`);
      if (found !== undefined) return found;
    }
    return null;
  }
  stored(schema: string | null, name: string): StoredRelation | null { return this.#byName.get(`${schema ?? 'public'}.${name}`) ?? null; }
  relationById(id: number): StoredRelation | null { return this.#relations.get(id) ?? null; }
  relations(): Iterable<StoredRelation> { return this.#relations.values(); }
  systemRelations(): Iterable<SystemRelation> { return this.#system.values(); }
  *relationNames(): Iterable<string> {
    for (const r of this.#relations.values()) yield r.name;
    for (const r of this.#system.values()) if (r.schema === 'millrace') yield r.name;
  }
  secret(name: string): StoredSecret | null { return this.#secrets.get(name) ?? null; }
  secrets(): Iterable<StoredSecret> { return this.#secrets.values(); }
  schemaExists(name: string): boolean { return SCHEMAS.some(s => s.name === name); }
  job(id: number): StoredJob | null { return this.#jobs.get(id) ?? null; }
  jobs(): Iterable<StoredJob> { return this.#jobs.values(); }
  /** The job of this name (its first relation's), or that keeps a relation of this name. */
  jobByName(name: string): StoredJob | null {
    for (const j of this.#jobs.values()) if (j.name === name) return j;
    const r = this.#byName.get(`public.${name}`);
    if (r !== undefined && 'jobId' in r) return this.#jobs.get(r.jobId) ?? null;
    return null;
  }
  /** Relations that read this one. */
  dependents(id: number): StoredRelation[] { return [...this.#relations.values()].filter(r => r.dependsOn.includes(id)); }

  /** 42P07 / 42P06 when the name cannot be given to a new relation. */
  checkFree(schema: string | null, name: string, position: number): void {
    if (schema !== null && schema !== 'public') {
      if (this.schemaExists(schema)) throw new SqlError('42501', `permission denied for schema ${schema}`, { position, hint: 'Relations are created in schema public.' });
      throw new SqlError('3F000', `schema "${schema}" does not exist`, { position, hint: 'Relations are created in schema public.' });
    }
    if (this.#byName.has(`public.${name}`)) throw new SqlError('42P07', `relation "${name}" already exists`, { position });
  }
}
