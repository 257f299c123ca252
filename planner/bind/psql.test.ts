/** Every query of psql's \d family binds and plans in batch mode. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { loadParser, parseQuery } from '../parse/parser.js';
import { planQuery } from '../plan/planquery.js';
import { columnsOf, TestCatalog } from '../testcatalog.js';
import { CATALOG_COLUMNS, PSQL_QUERIES } from './psql.fixture.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = new TestCatalog();
  for (const [name, columns] of Object.entries(CATALOG_COLUMNS)) catalog.system('pg_catalog', name, columnsOf(columns));
});

for (const sql of PSQL_QUERIES) {
  test(`psql's query plans: ${sql.replace(/\s+/g, ' ').slice(0, 90)}`, () => {
    const planned = planQuery(parseQuery(sql.replace(/;\s*$/, '')), catalog, { kind: 'batch' }, []);
    assert.equal(planned.plan.nodes.find((n) => n.id === planned.plan.roots[0])?.op, 'output');
  });
}
