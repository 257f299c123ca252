/**
 * A system table: columns, and rows made on the main thread when a query reads it. The rows travel to the worker with the
 * query, where the batch engine treats them as any other input.
 */
import type { Column, SqlType } from '../../types/sqltype.js';
import { arrayOf } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import type { Catalog } from '../catalog/catalog.js';
import type { Engine } from '../../runtime/engine.js';
import type { Settings } from '../../types/settings.js';

/** Who asks, and what there is to show. */
export interface SystemContext {
  readonly catalog: Catalog;
  readonly engine: Engine;
  readonly settings: Settings;
  readonly user: string;
  readonly database: string;
  readonly pid: number;
  readonly sessions: () => readonly SessionFacts[];
}

export interface SessionFacts {
  readonly pid: number;
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  readonly clientAddress: string;
  readonly startedMs: number;
  readonly state: 'active' | 'idle' | 'idle in transaction' | 'idle in transaction (aborted)';
  readonly query: string;
  readonly queryStartedMs: number | null;
}

export type Row = readonly Datum[];

export interface SystemTable {
  readonly schema: 'pg_catalog' | 'information_schema' | 'millrace';
  readonly name: string;
  /** Fixed oid below 16384. */
  readonly id: number;
  readonly columns: readonly Column[];
  readonly description: string;
  rows(context: SystemContext): readonly Row[] | Promise<readonly Row[]>;
}

/** 'oid oid, relname name, tags text[]' → columns. */
export function parseColumns(text: string): Column[] {
  return text.split(', ').map(pair => {
    const space = pair.lastIndexOf(' ');
    return { name: pair.slice(0, space), type: parseType(pair.slice(space + 1)) };
  });
}

function parseType(name: string): SqlType {
  if (name.endsWith('[]')) return arrayOf(parseType(name.slice(0, -2)));
  return { kind: name } as SqlType;
}

/**
 * A maker of rows from objects with named fields; absent fields are NULL. For relations with many columns, where
 * position by name is what one can read.
 */
export function rowsOf(columns: readonly Column[], objects: readonly Readonly<Record<string, Datum>>[]): Row[] {
  return objects.map(o => columns.map(c => o[c.name] ?? null));
}

/** Milliseconds of wall clock as a timestamptz datum. */
export const timestampOf = (ms: number | null): number | null => (ms === null ? null : Math.round(ms * 1000));
