/** Golden plans of the Nexmark queries over one stream of mixed events. UPDATE_GOLDEN=1 prints the plans in the form of the file of goldens. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { explain } from '../explain/explain.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import { TestCatalog } from '../testcatalog.js';
import { GOLDEN } from './nexmark.golden.js';
import { NEXMARK_QUERIES, nexmarkCatalog } from './nexmark.fixture.js';
import { planQuery } from './planquery.js';

let catalog: TestCatalog;
before(async () => {
  await loadParser();
  catalog = nexmarkCatalog();
});

const plan = (sql: string) => planQuery(parseQuery(sql), catalog, { kind: 'job', firstNodeId: 1, relationId: 90, relationName: 'v' }, []).plan;

for (const [name, sql] of Object.entries(NEXMARK_QUERIES)) {
  test(`${name} has its golden plan`, () => {
    const text = explain(plan(sql)).join('\n');
    if (process.env['UPDATE_GOLDEN'] !== undefined) { console.log(`=== ${name}\n${text}`); return; }
    assert.equal(text, GOLDEN[name]);
  });
}

test('every query reads the stream once', () => {
  for (const sql of Object.values(NEXMARK_QUERIES)) assert.equal(plan(sql).nodes.filter((n) => n.op === 'source').length, 1);
});
