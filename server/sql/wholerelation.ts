/** Queries of ours over a relation that a statement names instead of a SELECT: CREATE SINK … FROM, SUBSCRIBE TO, COPY t TO. */
import type { Query } from '../../planner/parse/statement.js';
import { parseQuery } from '../../planner/parse/parser.js';

const quoted = (name: string): string => `"${name.replace(/"/g, '""')}"`;

/** SELECT columns (null: all) FROM the relation. */
export function wholeRelation(name: string, schema: string | null = null, columns: readonly string[] | null = null): Query {
  return parseQuery(`SELECT ${columns === null ? '*' : columns.map(quoted).join(', ')} FROM ${schema === null ? '' : `${quoted(schema)}.`}${quoted(name)}`);
}
