/**
 * pg_catalog: row makers over the catalog. Relations named in catalogcolumns.ts without a maker here exist and are empty.
 * Oids: relations have their catalog id, types Postgres' own oids, schemas those of server/catalog. A primary key's index and
 * constraint have oids derived from the table's (below 16384 * 2^k there is room: id + INDEX_OID, id + CONSTRAINT_OID).
 */
import type { Datum } from '../../types/value.js';
import type { Column } from '../../types/sqltype.js';
import { SqlArray } from '../../types/array.js';
import { typeInfo, typeInfos, typeMod } from '../../types/typeinfo.js';
import { formatSetting, isReadOnly, settingSpecs, type SettingSpec, type SettingValue } from '../../types/settings.js';
import type { Identity } from '../../planner/catalog.js';
import { SCHEMAS } from '../catalog/catalog.js';
import { shownDefault } from '../catalog/identity.js';
import { relkind, type StoredRelation } from '../catalog/relation.js';
import { catalogColumns } from './catalogcolumns.js';
import { type SystemContext, type SystemTable, parseColumns, rowsOf, timestampOf } from './systemtable.js';

type Objects = readonly Readonly<Record<string, Datum>>[];
type Maker = (context: SystemContext) => Objects;

/** Added to a table's id: oids of its primary key's index and constraint. */
const INDEX_OID = 1_000_000_000;
const CONSTRAINT_OID = 1_500_000_000;
const OWNER = 10;

interface AnyRelation { readonly id: number; readonly schema: string; readonly name: string; readonly kind: StoredRelation['kind'] | 'system table' | 'index'; readonly columns: readonly Column[] }

export function* allRelations(context: SystemContext): Iterable<AnyRelation> {
  yield* context.catalog.relations();
  yield* context.catalog.systemRelations();
}
const schemaOid = (name: string): number => SCHEMAS.find(s => s.name === name)?.oid ?? 2200;

/** Columns of the primary key as 1-based attribute numbers, of a relation that declares one. */
export function primaryKeyOf(r: StoredRelation): number[] | null {
  if (r.kind === 'table' && !r.hiddenRowId) return r.primaryKey.map(i => i + 1);
  if (r.kind === 'stream' && r.primaryKey !== null) return r.primaryKey.map(i => i + 1);
  return null;
}
/** What a client sees of a table's columns: a hidden row id is not among them. */
export const visibleColumns = (r: AnyRelation): readonly Column[] => ('hiddenRowId' in r && r.hiddenRowId === true ? r.columns.slice(0, -1) : r.columns);

const notNull = (r: AnyRelation, i: number): boolean => {
  const c: Column & { notNull?: boolean } | undefined = r.columns[i];
  return c?.notNull === true || ('primaryKey' in r && Array.isArray(r.primaryKey) && r.primaryKey.includes(i));
};
const defaultOf = (r: AnyRelation, c: Column & { defaultSql?: string | null; generatedSql?: string | null; identity?: Identity }): string | null => c.generatedSql ?? shownDefault(r.name, c);
const attidentity = (c: Column & { identity?: Identity }): string => (c.identity?.kind === 'always' ? 'a' : c.identity?.kind === 'by default' ? 'd' : '');
const isGenerated = (c: Column & { generatedSql?: string | null }): boolean => (c.generatedSql ?? null) !== null;

function classRow(o: { oid: number; name: string; schema: string; kind: string; columns: number; hasIndex: boolean; am: number }): Readonly<Record<string, Datum>> {
  return {
    oid: o.oid, relname: o.name, relnamespace: schemaOid(o.schema), reltype: 0, reloftype: 0, relowner: OWNER, relam: o.am, relfilenode: o.oid, reltablespace: 0, relpages: 0, reltuples: -1,
    relallvisible: 0, reltoastrelid: 0, relhasindex: o.hasIndex, relisshared: false, relpersistence: 'p', relkind: o.kind, relnatts: o.columns, relchecks: 0, relhasrules: false,
    relhastriggers: false, relhassubclass: false, relrowsecurity: false, relforcerowsecurity: false, relispopulated: true, relreplident: 'd', relispartition: false, relrewrite: 0,
    relfrozenxid: 0, relminmxid: 0,
  };
}

const pgClass: Maker = context => {
  const rows: Readonly<Record<string, Datum>>[] = [];
  for (const r of allRelations(context)) {
    const stored = context.catalog.relationById(r.id);
    const key = stored === null ? null : primaryKeyOf(stored);
    rows.push(classRow({ oid: r.id, name: r.name, schema: r.schema, kind: relkind(r.kind), columns: visibleColumns(r).length, hasIndex: key !== null, am: r.kind === 'table' || r.kind === 'materialized view' ? 2 : 0 }));
    if (key !== null) rows.push(classRow({ oid: r.id + INDEX_OID, name: `${r.name}_pkey`, schema: r.schema, kind: 'i', columns: key.length, hasIndex: false, am: 403 }));
  }
  return rows;
};

const pgAttribute: Maker = context => {
  const rows: Readonly<Record<string, Datum>>[] = [];
  for (const r of allRelations(context)) {
    visibleColumns(r).forEach((c, i) => rows.push(attributeRow(r.id, i, c, notNull(r, i), defaultOf(r, c) !== null, isGenerated(c))));
  }
  return rows;
};

function attributeRow(relation: number, i: number, c: Column, isNotNull: boolean, hasDefault: boolean, generated: boolean): Readonly<Record<string, Datum>> {
  const info = typeInfo(c.type);
  return {
    attrelid: relation, attname: c.name, atttypid: info.oid, attstattarget: -1, attlen: info.length, attnum: i + 1, attndims: c.type.kind === 'array' ? 1 : 0, attcacheoff: -1, atttypmod: typeMod(c.type),
    attbyval: info.length > 0 && info.length <= 8, attalign: 'i', attstorage: info.length < 0 ? 'x' : 'p', attcompression: '', attnotnull: isNotNull, atthasdef: hasDefault, atthasmissing: false,
    attidentity: attidentity(c), attgenerated: generated ? 's' : '', attisdropped: false, attislocal: true, attinhcount: 0, attcollation: info.category === 'S' ? 100 : 0,
  };
}

const pgType: Maker = () => typeInfos.map(t => ({
  oid: t.oid, typname: t.name, typnamespace: 11, typowner: OWNER, typlen: t.length, typbyval: t.length > 0 && t.length <= 8, typtype: t.category === 'P' ? 'p' : 'b', typcategory: t.category,
  typispreferred: t.preferred, typisdefined: true, typdelim: ',', typrelid: 0, typsubscript: t.elementOid === 0 ? null : 'array_subscript_handler', typelem: t.elementOid, typarray: t.arrayOid,
  typinput: `${t.name}in`, typoutput: `${t.name}out`, typreceive: `${t.name}recv`, typsend: `${t.name}send`, typmodin: '-', typmodout: '-', typanalyze: '-',
  typalign: 'i', typstorage: t.length < 0 ? 'x' : 'p', typnotnull: false, typbasetype: 0, typtypmod: -1, typndims: 0, typcollation: t.category === 'S' ? 100 : 0,
}));

const storedWithKey = (context: SystemContext): { relation: StoredRelation; key: number[] }[] =>
  [...context.catalog.relations()].flatMap(relation => { const key = primaryKeyOf(relation); return key === null ? [] : [{ relation, key }]; });

const pgIndex: Maker = context => storedWithKey(context).map(({ relation, key }) => ({
  indexrelid: relation.id + INDEX_OID, indrelid: relation.id, indnatts: key.length, indnkeyatts: key.length, indisunique: true, indnullsnotdistinct: false, indisprimary: true, indisexclusion: false,
  indimmediate: true, indisclustered: false, indisvalid: true, indcheckxmin: false, indisready: true, indislive: true, indisreplident: false, indkey: SqlArray.of(key, 0),
  indcollation: SqlArray.of(key.map(() => 0), 0), indclass: SqlArray.of(key.map(() => 0), 0), indoption: SqlArray.of(key.map(() => 0), 0),
}));

const pgConstraint: Maker = context => storedWithKey(context).map(({ relation, key }) => ({
  oid: relation.id + CONSTRAINT_OID, conname: `${relation.name}_pkey`, connamespace: schemaOid(relation.schema), contype: 'p', condeferrable: false, condeferred: false, convalidated: true,
  conrelid: relation.id, contypid: 0, conindid: relation.id + INDEX_OID, conparentid: 0, confrelid: 0, confupdtype: ' ', confdeltype: ' ', confmatchtype: ' ', conislocal: true, coninhcount: 0,
  connoinherit: true, conkey: SqlArray.of(key),
}));

const pgAttrdef: Maker = context => {
  const rows: Readonly<Record<string, Datum>>[] = [];
  for (const r of context.catalog.relations()) {
    visibleColumns(r).forEach((c, i) => {
      const text = defaultOf(r, c);
      if (text !== null) rows.push({ oid: r.id * 100 + i, adrelid: r.id, adnum: i + 1, adbin: text });
    });
  }
  return rows;
};

export const definition = (r: StoredRelation): string | null => (r.kind === 'view' || r.kind === 'materialized view' ? ` ${r.sql.trim().replace(/;$/, '')};` : null);

const SERVER_OID = 13_000;
/** A stream without connector reads the table log. */
const LOG_SERVER = 'log';
const connectorsOf = (context: SystemContext): string[] => [...new Set([...context.catalog.relations()].flatMap(r => (r.kind === 'stream' ? [r.connector ?? LOG_SERVER] : [])))].sort();

const keyColumns = (relation: StoredRelation, key: readonly number[]): string => key.map(k => relation.columns[k - 1]?.name ?? '').join(', ');
const indexDefinition = (relation: StoredRelation, key: readonly number[]): string => `CREATE UNIQUE INDEX ${relation.name}_pkey ON ${relation.schema}.${relation.name} USING btree (${keyColumns(relation, key)})`;

/** Names and definitions of the primary keys' indexes and constraints, for pg_get_indexdef, pg_get_constraintdef and regclass. */
export function keyObjects(context: SystemContext): { oid: number; schema: string; name: string; visible: boolean; definition: string }[] {
  return storedWithKey(context).flatMap(({ relation, key }) => {
    const name = `${relation.name}_pkey`;
    return [
      { oid: relation.id + INDEX_OID, schema: relation.schema, name, visible: true, definition: indexDefinition(relation, key) },
      // A constraint is no relation: its name is not to be found as one.
      { oid: relation.id + CONSTRAINT_OID, schema: '', name, visible: false, definition: `PRIMARY KEY (${keyColumns(relation, key)})` },
    ];
  });
}

const makers: Readonly<Record<string, Maker>> = {
  pg_class: pgClass,
  pg_attribute: pgAttribute,
  pg_type: pgType,
  pg_index: pgIndex,
  pg_constraint: pgConstraint,
  pg_attrdef: pgAttrdef,
  pg_namespace: () => SCHEMAS.map(s => ({ oid: s.oid, nspname: s.name, nspowner: OWNER })),
  pg_am: () => [
    { oid: 2, amname: 'heap', amhandler: 'heap_tableam_handler', amtype: 't' },
    { oid: 403, amname: 'btree', amhandler: 'bthandler', amtype: 'i' },
  ],
  pg_collation: () => [
    { oid: 100, collname: 'default', collnamespace: 11, collowner: OWNER, collprovider: 'd', collisdeterministic: true, collencoding: -1 },
    { oid: 950, collname: 'C', collnamespace: 11, collowner: OWNER, collprovider: 'c', collisdeterministic: true, collencoding: -1, collcollate: 'C', collctype: 'C' },
  ],
  pg_roles: context => [roleRow(context.user)],
  pg_user: context => [{ usename: context.user, usesysid: OWNER, usecreatedb: true, usesuper: true, userepl: false, usebypassrls: true, passwd: '********' }],
  pg_shadow: context => [{ usename: context.user, usesysid: OWNER, usecreatedb: true, usesuper: true, userepl: false, usebypassrls: true }],
  pg_database: context => [{
    oid: 5, datname: context.database, datdba: OWNER, encoding: 6, datlocprovider: 'c', datistemplate: false, datallowconn: true, datconnlimit: -1, datfrozenxid: 0, datminmxid: 0, dattablespace: 1663,
    datcollate: 'C', datctype: 'C',
  }],
  pg_tablespace: () => [{ oid: 1663, spcname: 'pg_default', spcowner: OWNER }],
  pg_language: () => [{ oid: 12, lanname: 'internal', lanowner: OWNER, lanispl: false, lanpltrusted: false }, { oid: 14, lanname: 'sql', lanowner: OWNER, lanispl: false, lanpltrusted: true }],
  pg_settings: context => settingSpecs.map(s => ({
    name: s.name, setting: inUnit(s, context.settings.get(s.name)), unit: s.kind === 'duration' ? 'ms' : s.kind === 'size' ? 'B' : null,
    category: s.scope === 'job' ? 'Jobs and checkpoints' : s.scope === 'server' ? 'Server' : 'Client connection', short_desc: s.description, extra_desc: s.flinkKey === null ? null : `Flink: ${s.flinkKey}`,
    context: isReadOnly(s) ? 'internal' : s.scope === 'server' ? 'postmaster' : 'user', vartype: s.kind === 'boolean' ? 'bool' : s.kind === 'enum' ? 'enum' : s.kind === 'number' ? 'real' : s.kind === 'text' ? 'string' : 'integer',
    source: context.settings.sourceOf(s.name), min_val: s.min === undefined ? null : String(s.minusOne === true ? -1 : s.zero === true ? 0 : s.min), max_val: s.max === undefined ? null : String(s.max),
    enumvals: s.values === undefined ? null : SqlArray.of([...s.values]), boot_val: inUnit(s, s.default), reset_val: inUnit(s, context.settings.resetValue(s.name)), pending_restart: false,
  })),
  pg_tables: context => [...allRelations(context)].filter(r => r.kind === 'table' || r.kind === 'system table').map(r => ({
    schemaname: r.schema, tablename: r.name, tableowner: context.user, hasindexes: r.kind === 'table', hasrules: false, hastriggers: false, rowsecurity: false,
  })),
  pg_views: context => [...context.catalog.relations()].filter(r => r.kind === 'view').map(r => ({ schemaname: r.schema, viewname: r.name, viewowner: context.user, definition: definition(r) })),
  pg_matviews: context => [...context.catalog.relations()].filter(r => r.kind === 'materialized view').map(r => ({
    schemaname: r.schema, matviewname: r.name, matviewowner: context.user, hasindexes: false, ispopulated: true, definition: definition(r),
  })),
  pg_indexes: context => storedWithKey(context).map(({ relation, key }) => ({
    schemaname: relation.schema, tablename: relation.name, indexname: `${relation.name}_pkey`,
    indexdef: indexDefinition(relation, key),
  })),
  pg_description: context => [...context.catalog.relations()].flatMap(r => (r.comment === null ? [] : [{ objoid: r.id, classoid: 1259, objsubid: 0, description: r.comment }])),
  pg_stat_activity: context => context.sessions().map(s => ({
    datid: 5, datname: s.database, pid: s.pid, usesysid: OWNER, usename: s.user, application_name: s.applicationName, client_addr: s.clientAddress, backend_start: timestampOf(s.startedMs),
    query_start: timestampOf(s.queryStartedMs), state: s.state, query: s.query, backend_type: 'client backend',
  })),
  // Streams are foreign tables to clients; the connector stands for the server. Options are left out: they may hold secrets.
  pg_foreign_server: context => connectorsOf(context).map((name, i) => ({ oid: SERVER_OID + i, srvname: name, srvowner: OWNER, srvfdw: SERVER_OID })),
  pg_foreign_table: context => [...context.catalog.relations()].flatMap(r => (r.kind === 'stream' ? [{ ftrelid: r.id, ftserver: SERVER_OID + connectorsOf(context).indexOf(r.connector ?? LOG_SERVER) }] : [])),
  pg_stat_user_tables: context => [...context.catalog.relations()].filter(r => r.kind === 'table').map(r => ({ relid: r.id, schemaname: r.schema, relname: r.name })),
};

/** As Postgres shows settings here: numbers in the unit of their column. */
function inUnit(spec: SettingSpec, value: SettingValue): string { return typeof value === 'number' ? String(value) : formatSetting(spec, value); }

function roleRow(user: string): Readonly<Record<string, Datum>> {
  return { rolname: user, rolsuper: true, rolinherit: true, rolcreaterole: true, rolcreatedb: true, rolcanlogin: true, rolreplication: false, rolconnlimit: -1, rolpassword: '********', rolbypassrls: true, oid: OWNER };
}

/** Oids Postgres gives its own catalogs, for those that clients cast to regclass or compare; others count from 14000. */
const KNOWN_OIDS: Readonly<Record<string, number>> = { pg_type: 1247, pg_attribute: 1249, pg_proc: 1255, pg_class: 1259, pg_constraint: 2606, pg_namespace: 2615, pg_description: 2609, pg_database: 1262, pg_index: 2610, pg_attrdef: 2604 };

export const pgCatalogTables: readonly SystemTable[] = Object.entries(catalogColumns).filter(([name]) => name.startsWith('pg_catalog.')).map(([qualified, text], i) => {
  const name = qualified.slice('pg_catalog.'.length);
  const columns = parseColumns(text);
  const maker = makers[name];
  return { schema: 'pg_catalog', name, id: KNOWN_OIDS[name] ?? 14000 + i, columns, description: '', rows: context => (maker === undefined ? [] : rowsOf(columns, maker(context))) };
});

