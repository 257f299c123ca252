import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatements } from '../../planner/parse/parser.js';
import { loadParser } from '../../planner/parse/raw.js';
import type { PlannedQuery } from '../../planner/planner.js';
import { INT4 } from '../../types/sqltype.js';
import { PlanCache } from './plancache.js';

await loadParser();
const session = { user: 'u', database: 'd', timeZone: 'UTC', nowUs: 0 };
const planned = (): PlannedQuery => ({ plan: { version: 1, nodes: [], roots: [] }, columns: [], paramTypes: [], reads: [], readsJobs: [], unbounded: false, appendOnly: true, key: null, notices: [] });

function counting(): { plans: number; ask(sql: string, given?: Parameters<PlanCache['planned']>[1], by?: typeof session, version?: number): PlannedQuery } {
  const cache = new PlanCache();
  const counter = {
    plans: 0,
    ask: (sql: string, given: Parameters<PlanCache['planned']>[1] = [], by = session, version = 1) => cache.planned(parseStatements(sql)[0], given, by, version, () => { counter.plans++; return planned(); }),
  };
  return counter;
}

test('a text is planned once for one version of the catalog', () => {
  const c = counting();
  assert.equal(c.ask('SELECT 1'), c.ask('SELECT 1'));
  assert.equal(c.plans, 1);
  c.ask('SELECT 2');
  assert.equal(c.plans, 2);
  c.ask('SELECT 1', [], session, 2);
  assert.equal(c.plans, 3);
});

test('another type of parameter, user, database or time zone is another plan', () => {
  const c = counting();
  c.ask('SELECT $1', [null]);
  c.ask('SELECT $1', [INT4]);
  c.ask('SELECT $1', [null], { ...session, timeZone: 'Asia/Tokyo' });
  c.ask('SELECT $1', [null], { ...session, user: 'v' });
  c.ask('SELECT $1', [null], { ...session, database: 'e' });
  assert.equal(c.plans, 5);
});

test('what stands for the present moment is planned each time', () => {
  const c = counting();
  for (const sql of ["SELECT 'now'::timestamp", "SELECT date 'Today'", 'SELECT current_date', 'SELECT localtime', 'SELECT now()']) {
    c.ask(sql);
    c.ask(sql);
  }
  assert.equal(c.plans, 10);
});
