/** What drivers are told of a violated constraint, field by field as Postgres (in process) tells it: ORMs decide by these. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { open } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

const SET_UP = `CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL); CREATE TABLE "Two Keys" (a int, "B" text, n int NOT NULL, PRIMARY KEY (a, "B"));
  INSERT INTO account VALUES (1, 'ann'); INSERT INTO "Two Keys" VALUES (1, 'x', 1)`;
const STATEMENTS = [
  "INSERT INTO account VALUES (2, 'bob'), (1, 'eve')",
  'INSERT INTO account VALUES (3, NULL)',
  "INSERT INTO account (owner) VALUES ('nobody')",
  'UPDATE account SET owner = NULL WHERE id = 1',
  `INSERT INTO "Two Keys" VALUES (1, 'x', 2)`,
  `INSERT INTO "Two Keys" VALUES (1, NULL, 2)`,
  'SELECT 1 / 0',
];

type Fields = Record<'code' | 'message' | 'detail' | 'schema' | 'table' | 'column' | 'constraint', string | undefined>;
async function fieldsOf(run: Promise<unknown>): Promise<Fields> {
  const e = await run.then(() => { throw new Error('no error'); }, (error: unknown) => error as Fields);
  return { code: e.code, message: e.message, detail: e.detail, schema: e.schema, table: e.table, column: e.column, constraint: e.constraint };
}

test('errors of constraints name schema, table, column and constraint', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('constraints');
  const server = await open({ data: dir, port: 0, logLevel: 'silent' });
  const postgres = new PGlite();
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test' });
  try {
    await client.connect();
    await client.query(SET_UP);
    await postgres.exec(SET_UP);
    for (const sql of STATEMENTS) assert.deepEqual(await fieldsOf(client.query(sql)), await fieldsOf(postgres.query(sql)), sql);
  } finally {
    await client.end();
    await postgres.close();
    await server.close();
    removeFolder(dir);
  }
});
