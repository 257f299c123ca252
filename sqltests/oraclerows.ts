/** Rows of an SQL oracle (PostgreSQL in process) and of the server, both as text, so that they can be compared. */
import assert from 'node:assert/strict';
import type { PGlite } from '@electric-sql/pglite';

export type TextRows = readonly (readonly (string | null)[])[];

/** Types whose values PGlite would make JavaScript's of: bool, int8, int2, int4, text, float8, numeric, timestamp, interval, int4[], text[], float8[]. */
const AS_TEXT = Object.fromEntries([16, 20, 21, 23, 25, 701, 1700, 1114, 1186, 1007, 1009, 1022].map(oid => [oid, (value: string): string => value]));

/** Rows as lines in an order of their own: queries without ORDER BY give them in any. */
export function sorted(rows: TextRows): string[] { return rows.map(r => r.map(v => v ?? '∅').join('|')).sort(); }

export async function oracleRows(oracle: PGlite, sql: string): Promise<TextRows> {
  const result = await oracle.query<(string | null)[]>(sql, [], { rowMode: 'array', parsers: AS_TEXT });
  return result.rows as unknown as TextRows;
}

/** Fails with `message` unless the rows are the same, in any order. */
export function sameRows(given: TextRows, wanted: TextRows, message: string): void { assert.deepEqual(sorted(given), sorted(wanted), message); }
