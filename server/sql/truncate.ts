/**
 * TRUNCATE: every row of the tables is removed as DELETE removes it (views see it gone), without a plan: bytes of keys and rows go from the
 * table store to the transaction as they are.
 */
import type { Truncate } from '../../planner/parse/statement.js';
import { SqlError } from '../../types/error.js';
import type { Database } from '../database.js';
import { findRelation } from './findrelation.js';
import { keyText, type Transaction } from './transaction.js';

/** Rows read at a time. */
const CHUNK_ROWS = 4096;

/** Throws 42P01, 42809. */
export async function truncate(database: Database, statement: Truncate, transaction: Transaction, signal: AbortSignal): Promise<void> {
  const tables = statement.names.map(name => {
    const relation = findRelation(database, name);
    if (relation.kind === 'table') return relation;
    throw new SqlError('42809', `"${relation.name}" is not a table`, { position: name.position, hint: relation.kind === 'stream' ? 'A stream only grows.' : undefined });
  });
  for (const table of tables) {
    await removeAll(database, table.id, transaction, signal);
    if (statement.restartIdentity) transaction.restart(database, table.id, table.columns.flatMap((c, i) => (c.identity === undefined ? [] : [i])));
  }
}

async function removeAll(database: Database, tableId: number, transaction: Transaction, signal: AbortSignal): Promise<void> {
  const own = [...transaction.changesOf(tableId).values()];
  const changed = new Set(own.map(c => keyText(c.key)));
  for (const { key, new: row } of own) if (row !== null) transaction.add({ tableId, key, old: row, new: null });
  const snapshot = await database.reader.snapshot(tableId);
  try {
    for (let after: Uint8Array | null = null; ;) {
      signal.throwIfAborted();
      const rows: { key: Uint8Array; row: Uint8Array }[] = await snapshot.rows(after, CHUNK_ROWS);
      for (const { key, row } of rows) if (!changed.has(keyText(key))) transaction.add({ tableId, key, old: row, new: null });
      if (rows.length < CHUNK_ROWS) return;
      after = rows[rows.length - 1]?.key ?? null;
    }
  } finally {
    await snapshot.close();
  }
}
