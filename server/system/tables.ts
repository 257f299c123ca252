/** All system tables, once. */
import { informationSchemaTables } from './informationschema.js';
import { millraceTables } from './millrace.js';
import { pgCatalogTables } from './pgcatalog.js';
import type { SystemTable } from './systemtable.js';

const all: readonly SystemTable[] = [...pgCatalogTables, ...informationSchemaTables, ...millraceTables];

export const systemTables = (): readonly SystemTable[] => all;
