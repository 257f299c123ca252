/**
 * The kill test over a real Kafka broker: the topic is filled while the jobs run and the server process gets kill −9; afterwards the views equal
 * those of a server that reads the full topic without interruption.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { TestKafka } from '../connectors/kafka/testbroker.js';
import { generateNexmark } from '../bench/nexmark/generate.js';
import { eventStream } from '../bench/nexmark/queries.js';
import { results, RESULTS, VIEWS } from './killtest.js';
import { ServerProcess, removeFolder, temporaryFolder, until, type TextRow } from './serverprocess.js';
import { seeded } from '../types/encoding/testdatums.js';

export interface KafkaKillTest { readonly events: number; readonly kills: number; readonly fillSeconds: number; readonly seed: number; readonly parallelism: number }

const PARTITIONS = 3;
const SLICES_PER_SECOND = 10;
const READ_TIMEOUT_MS = 300_000;

export async function kafkaKillTest(kafka: TestKafka, options: KafkaKillTest, log: (line: string) => void): Promise<number> {
  const dir = temporaryFolder('kafka-kill');
  const rand = seeded(options.seed);
  const topic = `events-${options.seed}-${options.parallelism}`;
  let server: ServerProcess | null = null;
  const servers: ServerProcess[] = [];
  try {
    const file = path.join(dir, 'events.ndjson');
    await generateNexmark({ events: options.events, file, seed: 42 });
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    await kafka.createTopic(topic, PARTITIONS);
    const setUp = (s: ServerProcess): Promise<TextRow[]> => s.query(`SET checkpoint_interval = '200ms'; SET parallelism = ${options.parallelism}; SET restart_strategy = 'fixed_delay';
      ${eventStream(`connector = 'kafka', topic = '${topic}', bootstrap_servers = '${kafka.servers}', format = 'json'`)} ${VIEWS} CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c FROM event;`);
    const start = async (data: string): Promise<ServerProcess> => { const s = await ServerProcess.start(data); servers.push(s); return s; };

    const data = path.join(dir, 'killed');
    server = await start(data);
    await setUp(server);
    const fill = async (): Promise<void> => {
      const slice = Math.ceil(lines.length / (options.fillSeconds * SLICES_PER_SECOND));
      for (let at = 0; at < lines.length; at += slice) {
        await kafka.produce(topic, lines.slice(at, at + slice).map((value, i) => ({ value, partition: (at + i) % PARTITIONS })));
        await new Promise(resolve => { setTimeout(resolve, 1000 / SLICES_PER_SECOND); });
      }
    };
    const filled = fill();
    let kills = 0;
    for (; kills < options.kills; kills++) {
      const alive: ServerProcess = server;
      await until(() => alive.query('SELECT status FROM millrace.jobs'), rows => rows.length > 0 && rows.every(r => r[0] === 'running'), 60_000, 'running');
      const waitMs = rand(900);
      await new Promise(resolve => { setTimeout(resolve, waitMs); });
      await server.kill();
      server = await start(data);
    }
    await filled;
    const all = String(lines.length);
    const read = (s: ServerProcess): Promise<TextRow[]> => until(() => s.query('SELECT c FROM total'), rows => rows[0]?.[0] === all, READ_TIMEOUT_MS, 'reading the whole topic');
    const whole = await start(path.join(dir, 'whole'));
    await setUp(whole);
    await read(whole);
    await read(server);
    // `total` is a job of its own: the others may be a moment behind it.
    const settled = (s: ServerProcess): Promise<TextRow[]> => until(() => s.query("SELECT coalesce(sum(lag), 0) FROM millrace.sources"), rows => rows[0]?.[0] === '0', 60_000, 'no lag');
    await settled(whole);
    await settled(server);
    const expected = await results(whole);
    const actual = await results(server);
    RESULTS.forEach((sql, i) => { assert.deepEqual(actual[i], expected[i], `${sql} after ${kills} kills (seed ${options.seed})`); });
    assert.ok((expected[0] ?? []).length > 0, 'the oracle has rows');
    log(`${kills} kills over Kafka, ${expected.map(r => r.length).join(' + ')} rows equal (seed ${options.seed})`);
    return kills;
  } finally {
    for (const s of servers) await s.kill();
    removeFolder(dir);
  }
}
