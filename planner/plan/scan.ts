/**
 * Scans → source, table, view and system rows nodes. All occurrences of a relation in a query share one node that reads the union of their
 * columns: `Demand` collects it in a dry run.
 */
import type { SourceField } from '../../types/plan.js';
import type { MaterializedViewRelation, StreamRelation, SystemRelation, TableRelation } from '../catalog.js';
import { columnsOf } from '../bind/exprs.js';
import type { ColId, Rel, ScanRel } from '../bind/rel.js';
import { inputsOf } from '../bind/relexprs.js';
import { positional, type Edge } from './builder.js';
import type { Lowering } from './lower.js';

/** Columns read of each relation, by its id; whether its split watermark is needed. */
export class Demand {
  readonly #fields = new Map<number, Set<number>>();
  readonly #watermarks = new Set<number>();

  add(relation: number, fields: Iterable<number>): void {
    let set = this.#fields.get(relation);
    if (set === undefined) { set = new Set(); this.#fields.set(relation, set); }
    for (const f of fields) set.add(f);
  }
  addWatermark(relation: number): void { this.#watermarks.add(relation); }
  fields(relation: number): number[] { return [...this.#fields.get(relation) ?? []].sort((a, b) => a - b); }
  watermark(relation: number): boolean { return this.#watermarks.has(relation); }
}

export function lowerScan(l: Lowering, scan: ScanRel, needed: ReadonlySet<ColId>): Edge {
  const { relation } = scan;
  if (relation.kind === 'system table') return systemRows(l, scan, relation);
  l.demand.add(relation.id, scan.cols.flatMap((id, i) => (needed.has(id) ? [i] : [])));
  // A record that lacks a NOT NULL field is a bad one, whatever the query reads of it.
  if (relation.kind === 'stream' && relation.connector !== null) l.demand.add(relation.id, relation.columns.flatMap((c, i) => (c.notNull && c.generatedSql === null && c.metadata === null ? [i] : [])));
  switch (relation.kind) {
    case 'stream': return source(l, scan, relation, needed);
    case 'table': return table(l, scan, relation);
    case 'materialized view': return view(l, scan, relation);
  }
}

function systemRows(l: Lowering, scan: ScanRel, relation: SystemRelation): Edge {
  return l.builder.add({ op: 'rows', rows: [], system: `${relation.schema}.${relation.name}` }, [], { layout: scan.cols, key: null, appendOnly: true, dist: 'single' });
}

function table(l: Lowering, scan: ScanRel, relation: TableRelation): Edge {
  const fields = l.demand.fields(relation.id);
  const stored = relation.columns.map((c) => c.type);
  const storedTypes = relation.hiddenRowId && scan.cols.length > stored.length ? [...stored, { kind: 'int8' as const }] : stored;
  return l.builder.add({ op: 'table', tableId: relation.id, tableName: relation.name, fields, storedTypes }, [], {
    layout: fields.map((f) => scan.cols[f] as number), key: relation.primaryKey.map((k) => scan.cols[k] as number), appendOnly: !l.job, dist: null,
  });
}

function view(l: Lowering, scan: ScanRel, relation: MaterializedViewRelation): Edge {
  const fields = l.demand.fields(relation.id);
  return l.builder.add({ op: 'view', relationId: relation.id, relationName: relation.name, jobId: relation.jobId, nodeId: relation.nodeId, fields, ...(relation.checkpoint === undefined ? {} : { checkpoint: relation.checkpoint }) }, [], {
    layout: fields.map((f) => scan.cols[f] as number), key: relation.key?.map((k) => scan.cols[k] as number) ?? null, appendOnly: !l.job || relation.appendOnly, dist: null,
  });
}

function demandWatermark(l: Lowering, { relation, watermark, cols }: ScanRel): void {
  if (watermark === null) return;
  l.demand.addWatermark(relation.id);
  const at = new Map(cols.map((id, i) => [id, i]));
  for (const e of [watermark.timeExpr, watermark.watermarkExpr]) l.demand.add(relation.id, [...columnsOf(e)].map((id) => at.get(id) as number));
}

/** Streams below give their watermarks, whether or not a row's own is read: timers fire by them. */
export function demandWatermarks(l: Lowering, rel: Rel): void {
  if (rel.rel === 'scan') demandWatermark(l, rel);
  for (const input of inputsOf(rel)) demandWatermarks(l, input);
}

function source(l: Lowering, scan: ScanRel, relation: StreamRelation, needed: ReadonlySet<ColId>): Edge {
  const mark = scan.watermark;
  if (mark !== null && needed.has(mark.id)) demandWatermark(l, scan);
  const indexes = l.demand.fields(relation.id);
  const layout = indexes.map((i) => scan.cols[i] as number);
  const withMark = mark !== null && l.demand.watermark(relation.id);
  const ordinals = new Map(relation.columns.filter((c) => c.generatedSql === null && c.metadata === null).map((c, i) => [c.name, i]));
  const fields = indexes.map((i): SourceField => {
    const c = relation.columns[i] as StreamRelation['columns'][number];
    return { name: c.name, type: c.type, path: c.path, metadata: c.metadata, notNull: c.notNull, defaultExpr: scan.defaults.get(i) ?? null, ordinal: ordinals.get(c.name) ?? -1 };
  });
  return l.builder.add({
    op: 'source', relationId: relation.id, relationName: relation.name, connector: relation.connector ?? '', options: relation.options, fields,
    watermark: withMark && mark !== null ? { timeExpr: positional(mark.timeExpr, layout), watermarkExpr: positional(mark.watermarkExpr, layout) } : null,
    splitWatermark: withMark, logId: relation.connector === null ? relation.id : null,
    ...(relation.connector === null ? { logTypes: relation.columns.filter((c) => c.generatedSql === null).map((c) => c.type) } : {}),
  }, [], { layout: withMark && mark !== null ? [...layout, mark.id] : layout, key: null, appendOnly: true, dist: null });
}

