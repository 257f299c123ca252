/** CHECKPOINT of a job whose plan grows and shrinks meanwhile: its tasks are stopped and come back, and the statement waits for a checkpoint of theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import { open } from '../server/open.js';
import { removeFolder, temporaryFolder } from './serverprocess.js';

test('CHECKPOINT goes on while views are added to the job and dropped', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('checkpointstatement');
  const server = await open({ data: dir, port: 0, logLevel: 'silent' });
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'test', database: 'test' });
    await client.connect();
    return client;
  };
  const [one, other] = [await connect(), await connect()];
  try {
    await one.query('CREATE TABLE t (k int, v int); CREATE MATERIALIZED VIEW base AS SELECT k, sum(v) AS s FROM t GROUP BY k; INSERT INTO t SELECT i, 1 FROM generate_series(1, 20000) AS g(i); FLUSH');
    let ended = false;
    let taken = 0;
    const asking = (async () => {
      for (; !ended; taken++) await other.query(taken % 2 === 0 ? 'CHECKPOINT' : 'CHECKPOINT JOB base');
    })();
    for (let k = 0; k < 10; k++) {
      await one.query(`CREATE MATERIALIZED VIEW v${k} AS SELECT k % ${k + 2} AS d, sum(s) AS s FROM base GROUP BY 1`);
      if (k % 3 === 2) await one.query(`DROP MATERIALIZED VIEW v${k}`);
    }
    ended = true;
    await asking;
    assert.ok(taken > 0);
    const { rows } = await one.query<{ s: string }>('SELECT sum(s) AS s FROM v9');
    assert.equal(rows[0].s, '20000');
  } finally {
    await one.end();
    await other.end();
    await server.close();
    removeFolder(dir);
  }
});
