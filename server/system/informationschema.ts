/** information_schema: tables, columns, keys, as the SQL standard names them. Relations without a maker here are empty. */
import type { Datum } from '../../types/value.js';
import { formatType, typeInfo, typeMod } from '../../types/typeinfo.js';
import type { Identity } from '../../planner/catalog.js';
import { SCHEMAS } from '../catalog/catalog.js';
import { shownDefault } from '../catalog/identity.js';
import { catalogColumns } from './catalogcolumns.js';
import { allRelations, definition, primaryKeyOf, visibleColumns } from './pgcatalog.js';
import { type SystemContext, type SystemTable, parseColumns, rowsOf } from './systemtable.js';

type Objects = readonly Readonly<Record<string, Datum>>[];

const tableType = (kind: string): string => (kind === 'view' || kind === 'materialized view' ? 'VIEW' : kind === 'stream' || kind === 'sink' ? 'FOREIGN' : 'BASE TABLE');

function columns(context: SystemContext): Objects {
  const rows: Readonly<Record<string, Datum>>[] = [];
  for (const r of allRelations(context)) {
    visibleColumns(r).forEach((c, i) => {
      const info = typeInfo(c.type);
      const mod = typeMod(c.type);
      const numeric = c.type.kind === 'numeric' && mod >= 4;
      const bits: Readonly<Record<string, number>> = { int2: 16, int4: 32, int8: 64, float4: 24, float8: 53 };
      const precision = numeric ? (mod - 4) >> 16 : bits[c.type.kind] ?? null;
      const extra: { notNull?: boolean; defaultSql?: string | null; generatedSql?: string | null; identity?: Identity } & typeof c = c;
      const identity = extra.identity?.kind === 'serial' ? undefined : extra.identity;
      rows.push({
        table_catalog: context.database, table_schema: r.schema, table_name: r.name, column_name: c.name, ordinal_position: i + 1, column_default: shownDefault(r.name, extra),
        is_nullable: extra.notNull === true ? 'NO' : 'YES', data_type: c.type.kind === 'array' ? 'ARRAY' : formatType(c.type.kind === 'varchar' || c.type.kind === 'bpchar' || c.type.kind === 'numeric' ? { kind: c.type.kind } : c.type),
        character_maximum_length: (c.type.kind === 'varchar' || c.type.kind === 'bpchar') && mod >= 4 ? mod - 4 : null, numeric_precision: precision,
        numeric_precision_radix: c.type.kind === 'numeric' ? 10 : precision === null ? null : 2, numeric_scale: numeric ? (mod - 4) & 0xffff : c.type.kind.startsWith('int') && c.type.kind !== 'interval' ? 0 : null,
        datetime_precision: ['timestamp', 'timestamptz', 'time', 'interval'].includes(c.type.kind) ? 6 : c.type.kind === 'date' ? 0 : null,
        udt_catalog: context.database, udt_schema: 'pg_catalog', udt_name: info.name, dtd_identifier: String(i + 1), is_self_referencing: 'NO', is_identity: identity === undefined ? 'NO' : 'YES',
        identity_generation: identity?.kind.toUpperCase() ?? null, identity_start: identity?.start ?? null, identity_increment: identity?.increment ?? null, identity_maximum: identity?.max ?? null,
        identity_minimum: identity?.min ?? null, identity_cycle: 'NO',
        is_generated: (extra.generatedSql ?? null) === null ? 'NEVER' : 'ALWAYS', generation_expression: extra.generatedSql ?? null, is_updatable: r.kind === 'table' ? 'YES' : 'NO',
      });
    });
  }
  return rows;
}

const keyRows = (context: SystemContext): { name: string; schema: string; table: string; column: string; at: number }[] =>
  [...context.catalog.relations()].flatMap(r => (primaryKeyOf(r) ?? []).map((k, at) => ({ name: `${r.name}_pkey`, schema: r.schema, table: r.name, column: r.columns[k - 1]?.name ?? '', at: at + 1 })));

const makers: Readonly<Record<string, (context: SystemContext) => Objects>> = {
  tables: context => [...allRelations(context)].map(r => ({
    table_catalog: context.database, table_schema: r.schema, table_name: r.name, table_type: tableType(r.kind), is_insertable_into: r.kind === 'table' ? 'YES' : 'NO', is_typed: 'NO',
  })),
  columns,
  schemata: context => SCHEMAS.map(s => ({ catalog_name: context.database, schema_name: s.name, schema_owner: context.user })),
  views: context => [...context.catalog.relations()].filter(r => r.kind === 'view' || r.kind === 'materialized view').map(r => ({
    table_catalog: context.database, table_schema: r.schema, table_name: r.name, view_definition: definition(r), check_option: 'NONE', is_updatable: 'NO', is_insertable_into: 'NO',
  })),
  table_constraints: context => keyRows(context).filter(k => k.at === 1).map(k => ({
    constraint_catalog: context.database, constraint_schema: k.schema, constraint_name: k.name, table_catalog: context.database, table_schema: k.schema, table_name: k.table,
    constraint_type: 'PRIMARY KEY', is_deferrable: 'NO', initially_deferred: 'NO', enforced: 'YES',
  })),
  key_column_usage: context => keyRows(context).map(k => ({
    constraint_catalog: context.database, constraint_schema: k.schema, constraint_name: k.name, table_catalog: context.database, table_schema: k.schema, table_name: k.table,
    column_name: k.column, ordinal_position: k.at,
  })),
  constraint_column_usage: context => keyRows(context).map(k => ({
    table_catalog: context.database, table_schema: k.schema, table_name: k.table, column_name: k.column, constraint_catalog: context.database, constraint_schema: k.schema, constraint_name: k.name,
  })),
};

export const informationSchemaTables: readonly SystemTable[] = Object.entries(catalogColumns).filter(([name]) => name.startsWith('information_schema.')).map(([qualified, text], i) => {
  const name = qualified.slice('information_schema.'.length);
  const parsed = parseColumns(text);
  const maker = makers[name];
  return { schema: 'information_schema', name, id: 14500 + i, columns: parsed, description: '', rows: context => (maker === undefined ? [] : rowsOf(parsed, maker(context))) };
});
