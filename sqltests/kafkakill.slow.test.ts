import { test } from 'node:test';
import assert from 'node:assert/strict';
import { kafkaUnavailable, startKafka } from '../connectors/kafka/testbroker.js';
import { kafkaKillTest } from './kafkakilltest.js';

const skip = kafkaUnavailable() ?? false;

test('views over a Kafka topic of 1,000,000 events equal an uninterrupted run after 50 kills', { skip, timeout: 1_800_000 }, async t => {
  const kafka = await startKafka();
  try {
    const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
    assert.equal(await kafkaKillTest(kafka, { events: 1_000_000, kills: 50, fillSeconds: 80, seed, parallelism: 1 }, line => { t.diagnostic(line); }), 50);
  } finally {
    await kafka.remove();
  }
});
