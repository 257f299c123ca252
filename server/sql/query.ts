/**
 * Running batch plans: gathers the rows of the system tables a plan reads (made here, on the main thread), overlays a transaction's own
 * uncommitted changes, and hands the plan to the engine's pool.
 */
import type { Plan, PlanNode, RowsNode, TableNode } from '../../types/plan.js';
import type { Expr } from '../../types/expr.js';
import type { Batch } from '../../runtime/batch.js';
import { batchFromDatums } from '../../runtime/vectors.js';
import type { QueryResult } from '../../runtime/engine.js';
import type { CatalogSnapshot } from '../../runtime/query.js';
import { RowCodec } from '../../types/encoding/row.js';
import type { Datum } from '../../types/value.js';
import { formatSetting, settingSpecs } from '../../types/settings.js';
import { SCHEMAS } from '../catalog/catalog.js';
import { allRelations, definition, keyObjects } from '../system/pgcatalog.js';
import type { SystemContext } from '../system/systemtable.js';
import type { Database } from '../database.js';
import type { Transaction } from './transaction.js';

/** Rows read from a table at a time when a transaction's changes are laid over them. */
const OVERLAY_CHUNK_ROWS = 4096;

export interface QuerySession {
  readonly system: SystemContext;
  readonly user: string;
  readonly timeZone: string;
  readonly nowUs: number;
}

export async function runPlan(database: Database, session: QuerySession, plan: Plan, transaction: Transaction | null, signal: AbortSignal): Promise<QueryResult> {
  const rows = new Map<string, readonly Batch[]>();
  const overlaid = transaction === null ? plan : await overlay(database, plan, transaction, rows);
  const nodes = allNodes(overlaid);
  let usesCatalog = false;
  for (const n of nodes) {
    if (n.op !== 'rows' || n.system === null || rows.has(n.system)) continue;
    usesCatalog = true;
    const dot = n.system.indexOf('.');
    const table = database.systemTable(n.system.slice(0, dot), n.system.slice(dot + 1));
    if (table !== undefined) rows.set(n.system, [batchFromDatums(table.columns.map(c => c.type), await table.rows(session.system))]);
  }
  usesCatalog ||= mentionsCatalog(plan);
  return database.engine.query(overlaid, {
    system: rows, catalog: usesCatalog ? catalogSnapshot(session.system) : null, user: session.user, timeZone: session.timeZone, nowUs: session.nowUs, signal,
  });
}

/** Nodes of the plan and of the subplans in its expressions. */
function allNodes(plan: Plan): PlanNode[] {
  const found: PlanNode[] = [];
  const visit = (x: unknown): void => {
    if (Array.isArray(x)) { for (const item of x) visit(item); return; }
    if (x === null || typeof x !== 'object') return;
    const record = x as Readonly<Record<string, unknown>>;
    if (typeof record['op'] === 'string') found.push(x as PlanNode);
    for (const key of Object.keys(record)) visit(record[key]);
  };
  visit(plan.nodes);
  return found;
}

/** Functions and casts that ask the catalog stand out by their names in the plan's text. */
function mentionsCatalog(plan: Plan): boolean {
  const text = JSON.stringify(plan);
  return text.includes('"reg') || /"fn":"(pg_|has_|obj_|col_|shobj|format_type|current_setting|to_reg)/.test(text);
}

export function catalogSnapshot(context: SystemContext): CatalogSnapshot {
  return {
    relations: [...[...allRelations(context)].map(r => {
      const stored = context.catalog.relationById(r.id);
      return { oid: r.id, schema: r.schema, name: r.name, visible: r.schema !== 'information_schema', definition: stored === null ? null : definition(stored) };
    }), ...keyObjects(context)],
    schemas: SCHEMAS,
    // With what functions ask by names that are no settings.
    settings: { ...Object.fromEntries(settingSpecs.map(s => [s.name, formatSetting(s, context.settings.get(s.name))])), database: context.database, backend_pid: String(context.pid) },
  };
}

/** Tables with uncommitted changes of this transaction are read here, with the changes laid over, and stand in the plan as given rows. */
async function overlay(database: Database, plan: Plan, transaction: Transaction, rows: Map<string, readonly Batch[]>): Promise<Plan> {
  const changed = plan.nodes.filter((n): n is TableNode => n.op === 'table' && transaction.touches(n.tableId));
  if (changed.length === 0) return plan;
  const replaced = new Map<number, RowsNode>();
  for (const n of changed) {
    const name = `transaction.${n.tableId}.${n.id}`;
    rows.set(name, [await tableRows(database, n, transaction)]);
    const none: readonly (readonly Expr[])[] = [];
    replaced.set(n.id, { op: 'rows', id: n.id, inputs: [], columns: n.columns, appendOnly: true, key: n.key, rows: none, system: name });
  }
  return { ...plan, nodes: plan.nodes.map(n => replaced.get(n.id) ?? n) };
}

async function tableRows(database: Database, node: TableNode, transaction: Transaction): Promise<Batch> {
  const codec = new RowCodec(node.storedTypes);
  const pending = transaction.changesOf(node.tableId);
  const rows: Datum[][] = [];
  const add = (bytes: Uint8Array): void => {
    const all = codec.decode(bytes, 0, bytes.length);
    rows.push(node.fields.map(f => all[f] ?? null));
  };
  const snapshot = await database.reader.snapshot(node.tableId);
  try {
    let after: Uint8Array | null = null;
    for (;;) {
      const chunk: { key: Uint8Array; row: Uint8Array }[] = await snapshot.rows(after, OVERLAY_CHUNK_ROWS);
      for (const { key, row } of chunk) if (!pending.has(Buffer.from(key).toString('latin1'))) add(row);
      const last = chunk[chunk.length - 1];
      if (last === undefined || chunk.length < OVERLAY_CHUNK_ROWS) break;
      after = last.key;
    }
  } finally {
    await snapshot.close();
  }
  for (const change of pending.values()) if (change.new !== null) add(change.new);
  return batchFromDatums(node.columns.map(c => c.type), rows);
}
