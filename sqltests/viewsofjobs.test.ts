/** Continuous queries over materialized views of several jobs: those of one are read, the others' queries are computed anew in its job. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { removeFolder, ServerProcess, temporaryFolder, until } from './serverprocess.js';

const REFUSED = { code: '0A000', message: 'a continuous query over materialized views of different jobs is not supported' };

test('a view over views of a stream and of tables: exact after kill −9, depends on both, and is refused where computing anew would differ', { timeout: 60_000 }, async () => {
  const dir = temporaryFolder('viewsofjobs');
  let server = await ServerProcess.start(path.join(dir, 'data'));
  try {
    await server.query('CREATE TABLE item (id int PRIMARY KEY, name text)');
    await server.query('CREATE TABLE price (item int, amount int)');
    await server.query('CREATE STREAM sale (item int, pieces int)');
    await server.query('CREATE STREAM back (item int, pieces int)');
    await server.query("INSERT INTO item VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    await server.query('INSERT INTO price VALUES (1, 10), (1, 12), (2, 20)');
    await server.query('CREATE MATERIALIZED VIEW last_price AS SELECT item, max(amount) AS amount FROM price GROUP BY item');
    await server.query('CREATE MATERIALIZED VIEW sold AS SELECT item, sum(pieces) AS pieces FROM sale GROUP BY item');
    await server.query('CREATE MATERIALIZED VIEW returned AS SELECT item, sum(pieces) AS pieces FROM back GROUP BY item');
    await server.query('INSERT INTO sale VALUES (1, 2), (2, 1), (1, 1)');
    // Whatever is named first, the stream's job is the one that it joins.
    await server.query('CREATE MATERIALIZED VIEW turnover AS SELECT i.name, p.amount * s.pieces AS total FROM last_price p JOIN sold s ON p.item = s.item JOIN item i ON i.id = s.item');
    const jobs = async (): Promise<unknown> => server.query("SELECT job_name FROM millrace.jobs ORDER BY 1");
    assert.deepEqual(await jobs(), [['last_price'], ['returned'], ['sold']]);
    const turnover = async (): Promise<unknown> => server.query('SELECT * FROM turnover ORDER BY name');
    assert.deepEqual(await turnover(), [['one', '36'], ['two', '20']]);

    await server.query('CHECKPOINT');
    await server.query('UPDATE price SET amount = 15 WHERE amount = 12');
    await server.query('DELETE FROM price WHERE item = 2');
    await server.query('INSERT INTO sale VALUES (1, 1)');
    await server.kill();
    server = await ServerProcess.start(path.join(dir, 'data'));
    await server.query('FLUSH');
    assert.deepEqual(await turnover(), [['one', '60']]);
    await server.query('INSERT INTO price VALUES (3, 7)');
    await server.query('INSERT INTO sale VALUES (3, 3)');
    await until(() => server.query('SELECT * FROM turnover ORDER BY name'), rows => JSON.stringify(rows) === JSON.stringify([['one', '60'], ['three', '21']]), 10_000, 'new rows of both');

    await assert.rejects(server.query('DROP MATERIALIZED VIEW last_price'), { code: '2BP01' });
    await assert.rejects(server.query('CREATE MATERIALIZED VIEW v AS SELECT s.item FROM sold s JOIN returned r ON s.item = r.item'), { ...REFUSED, detail: '"returned" cannot be computed anew in the other\'s job: it reads the stream "back", whose first rows may be gone.' });
    await assert.rejects(server.query("SET TimeZone = 'Europe/Berlin'; CREATE MATERIALIZED VIEW v AS SELECT s.item FROM sold s JOIN last_price p ON s.item = p.item"), { ...REFUSED, detail: /cannot be computed anew in the other's job: it (is computed in the time zone UTC, this query in Europe\/Berlin|reads the stream)/ });
    await server.query("SET state_ttl = '1 h'; CREATE MATERIALIZED VIEW seen AS SELECT item, count(*) AS n FROM back GROUP BY item");
    await assert.rejects(server.query('CREATE MATERIALIZED VIEW v AS SELECT s.item FROM seen s JOIN sold p ON s.item = p.item'), { ...REFUSED, detail: /its job has a state_ttl|reads the stream/ });
    // A sink too.
    await server.query(`CREATE SINK out AS SELECT r.item, r.pieces, p.amount FROM returned r JOIN last_price p ON p.item = r.item WITH (connector = 'blackhole')`);
    assert.deepEqual(await jobs(), [['last_price'], ['returned'], ['seen'], ['sold']]);
    await server.query('DROP MATERIALIZED VIEW last_price CASCADE');
    await assert.rejects(server.query('SELECT * FROM turnover'), { code: '42P01' });
    assert.deepEqual(await server.query('SELECT * FROM sold ORDER BY 1'), [['1', '4'], ['2', '1'], ['3', '3']]);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
