/** A catalog for tests, from CREATE statements' essentials. */
import { resolveType } from './bind/column.js';
import type { MaterializedViewRelation, PlannerCatalog, Relation, StreamRelation, SystemRelation, TableRelation } from './catalog.js';
import { parseQuery, parseTypeName } from './parse/parser.js';
import { planQuery } from './plan/planquery.js';
import type { Column, SqlType } from '../types/sqltype.js';

/** 'a int, b numeric(10,2)' → columns; commas inside parentheses do not split. */
export function columnsOf(text: string): { name: string; type: SqlType; rest: string }[] {
  return text.split(/,(?![^(]*\))/).map((part) => {
    const [definition = '', rest = ''] = part.replace(/\s+(PATH|GENERATED|DEFAULT|NOT NULL)(?=\s|$)/, '\u0001$1').split('\u0001');
    const [name = '', ...type] = definition.trim().split(/\s+/);
    return { name, type: resolveType(parseTypeName(type.join(' '))), rest };
  });
}

export class TestCatalog implements PlannerCatalog {
  readonly #relations = new Map<string, Relation>();
  #next = 1;

  #put(schema: string, relation: Relation): void { this.#relations.set(`${schema}.${relation.name}`, relation); }

  stream(name: string, columns: string, options: { watermark?: [string, string]; bounded?: boolean; connector?: string } = {}): this {
    const cols = columnsOf(columns).map((c) => ({
      name: c.name, type: c.type, notNull: false, metadata: null, defaultSql: null,
      path: /PATH '([^']*)'/.exec(c.rest)?.[1] ?? null, generatedSql: /GENERATED ALWAYS AS \((.*)\) VIRTUAL/s.exec(c.rest)?.[1] ?? null,
    }));
    const stream: StreamRelation = {
      kind: 'stream', id: this.#next++, schema: 'public', name, columns: cols, connector: options.connector ?? 'file', options: {},
      watermark: options.watermark === undefined ? null : { column: options.watermark[0], sql: options.watermark[1] }, primaryKey: null, bounded: options.bounded ?? false,
    };
    this.#put('public', stream);
    return this;
  }

  table(name: string, columns: string, primaryKey: readonly number[] | null): this {
    const cols = columnsOf(columns).map((c) => ({
      name: c.name, type: c.type, notNull: c.rest.includes('NOT NULL'), defaultSql: /DEFAULT (.*)$/s.exec(c.rest)?.[1] ?? null, generatedSql: null,
    }));
    const hidden = { name: '_row_id', type: { kind: 'int8' as const }, notNull: true, defaultSql: null, generatedSql: null };
    const table: TableRelation = {
      kind: 'table', id: this.#next++, schema: 'public', name, columns: primaryKey === null ? [...cols, hidden] : cols, primaryKey: primaryKey ?? [cols.length], hiddenRowId: primaryKey === null,
    };
    this.#put('public', table);
    return this;
  }

  view(name: string, sql: string): this {
    const planned = planQuery(parseQuery(sql), this, { kind: 'job', firstNodeId: 1, relationId: 0, relationName: name }, []);
    this.#put('public', { kind: 'view', id: this.#next++, schema: 'public', name, columns: planned.columns, sql });
    return this;
  }

  materialized(name: string, sql: string, jobId: number): this {
    const id = this.#next++;
    const planned = planQuery(parseQuery(sql), this, { kind: 'job', firstNodeId: 1, relationId: id, relationName: name }, []);
    const root = planned.plan.nodes.find((n) => n.id === planned.plan.roots[0]);
    if (root === undefined) throw new Error('no root');
    const view: MaterializedViewRelation = {
      kind: 'materialized view', id, schema: 'public', name, columns: planned.columns, jobId, nodeId: root.id, key: root.key, appendOnly: root.appendOnly, storedColumns: root.columns, sql,
    };
    this.#put('public', view);
    return this;
  }

  system(schema: string, name: string, columns: readonly Column[]): this {
    const relation: SystemRelation = { kind: 'system table', id: this.#next++, schema, name, columns };
    this.#put(schema, relation);
    return this;
  }

  jobByName(): null { return null; }
  relation(schema: string | null, name: string): Relation | null {
    for (const s of schema === null ? ['public', 'millrace', 'pg_catalog'] : [schema]) {
      const r = this.#relations.get(`${s}.${name}`);
      if (r !== undefined) return r;
    }
    return null;
  }
  relationNames(): Iterable<string> { return [...this.#relations.values()].map((r) => r.name); }
  schemaExists(name: string): boolean { return ['public', 'millrace', 'pg_catalog', 'information_schema'].includes(name); }
}
