/** BEGIN, COMMIT and ROLLBACK among the statements of one message: no lock outlives them, and what was written before them goes their way, as in Postgres. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { open } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

test('writes of a message before its own BEGIN, COMMIT or ROLLBACK', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('blocks');
  const server = await open({ data: dir, port: 0, logLevel: 'error' });
  const one = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'tester' });
  const two = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'tester' });
  try {
    await one.connect();
    await two.connect();
    const ids = async (): Promise<number[]> => (await two.query<{ id: number }>('SELECT id FROM t ORDER BY id')).rows.map(r => r.id);
    await one.query('CREATE TABLE t (id int PRIMARY KEY)');
    await one.query('INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2)');
    assert.deepEqual(await ids(), [1, 2]);
    await assert.rejects(one.query('INSERT INTO t VALUES (3); COMMIT; INSERT INTO t VALUES (4); SELECT 1 / 0'), { code: '22012' });
    assert.deepEqual(await ids(), [1, 2, 3]);
    await one.query('INSERT INTO t VALUES (5); ROLLBACK; INSERT INTO t VALUES (6)');
    assert.deepEqual(await ids(), [1, 2, 3, 6]);
    await one.query('INSERT INTO t VALUES (7); BEGIN; INSERT INTO t VALUES (8)');
    // The block is open, and holds up nobody.
    await two.query('INSERT INTO t VALUES (9)');
    assert.deepEqual(await ids(), [1, 2, 3, 6, 9]);
    await one.query('COMMIT');
    assert.deepEqual(await ids(), [1, 2, 3, 6, 7, 8, 9]);
    await one.query('INSERT INTO t VALUES (10); BEGIN; INSERT INTO t VALUES (11); ROLLBACK');
    await one.query('INSERT INTO t VALUES (12); BEGIN');
    await two.query('INSERT INTO t VALUES (12)');
    await assert.rejects(one.query('COMMIT'), { code: '40001' });
    assert.deepEqual(await ids(), [1, 2, 3, 6, 7, 8, 9, 12]);
  } finally {
    await one.end();
    await two.end();
    await server.close();
    removeFolder(dir);
  }
});
