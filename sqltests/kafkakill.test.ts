import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { kafkaUnavailable, startKafka, type TestKafka } from '../connectors/kafka/testbroker.js';
import { kafkaKillTest } from './kafkakilltest.js';
import { ServerProcess, removeFolder, temporaryFolder, until } from './serverprocess.js';

const skip = kafkaUnavailable() ?? false;
let kafka: TestKafka | null = null;
before(async () => { if (skip === false) kafka = await startKafka(); }, { timeout: 300_000 });
after(async () => { await kafka?.remove(); });
const broker = (): TestKafka => { if (kafka === null) throw new Error('no broker'); return kafka; };

test('views over a Kafka topic filled meanwhile equal an uninterrupted run after 5 kills', { skip, timeout: 240_000 }, async t => {
  const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
  assert.equal(await kafkaKillTest(broker(), { events: 30_000, kills: 5, fillSeconds: 8, seed, parallelism: 2 }, line => { t.diagnostic(line); }), 5);
});

test('a sink writes to Kafka what a stream reads back; a broker that comes back is used again', { skip, timeout: 180_000 }, async () => {
  const dir = temporaryFolder('kafka-sql');
  const server = await ServerProcess.start(dir);
  try {
    await broker().createTopic('pets', 2);
    await server.query(`CREATE TABLE pet (id int PRIMARY KEY, name text); INSERT INTO pet VALUES (1, 'rex'), (2, 'tom');
      CREATE SINK pets_out AS SELECT id, name FROM pet WITH (connector = 'kafka', topic = 'pets', bootstrap_servers = '${broker().servers}', format = 'json');
      CREATE STREAM pets_in (id int, name text, k text METADATA FROM 'key') WITH (connector = 'kafka', topic = 'pets', bootstrap_servers = '${broker().servers}', format = 'json');
      CREATE MATERIALIZED VIEW seen AS SELECT id, count(*) AS n FROM pets_in GROUP BY id; CHECKPOINT`);
    await until(() => server.query('SELECT id FROM seen WHERE n > 0 ORDER BY 1'), rows => rows.length === 2, 60_000, 'both rows through Kafka');
    await broker().stop();
    await broker().start();
    await server.query("INSERT INTO pet VALUES (3, 'kim')");
    await until(() => server.query('SELECT id FROM seen WHERE n > 0 ORDER BY 1'), rows => rows.length === 3, 120_000, 'a row after the broker came back');
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});

test('an unknown topic and a broker that is down are told at CREATE STREAM', { skip, timeout: 60_000 }, async () => {
  const dir = temporaryFolder('kafka-bad');
  const server = await ServerProcess.start(dir);
  try {
    await assert.rejects(server.query(`CREATE STREAM s (a int) WITH (connector = 'kafka', topic = 'no-such-topic', bootstrap_servers = '${broker().servers}', format = 'json')`), /no-such-topic/);
    await assert.rejects(server.query("CREATE STREAM s (a int) WITH (connector = 'kafka', topic = 't', bootstrap_servers = '127.0.0.1:1', format = 'json')"), /127\.0\.0\.1:1/);
  } finally {
    await server.kill();
    removeFolder(dir);
  }
});
