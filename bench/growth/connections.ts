/**
 * Connections: 1 to 1,000 clients of one server, over a view of 100,000 rows.
 *
 *   all at once     every connection reads one row of the view by its key, again and again: SELECTs per second of all
 *   steady load     STEADY_PER_SECOND such SELECTs a second, spread over all connections: latency (p50, p99)
 *   subscribers     n SUBSCRIBEs to a view: from the INSERT to when the last subscriber has the change
 *
 * Beside it what an idle connection holds in memory. The clients run in this process, on the same machine.
 */
import pg from 'pg';
import type { ServerProcess } from '../nexmark/serverprocess.js';
import type { Curve, Give, Scale } from './curve.js';
import { costOf, pause, quantile, rssMb, withServer } from './jobs.js';

const ROWS = 100_000;
const STEADY_PER_SECOND = 100;
const OPENED_AT_ONCE = 20;
const CHANGES = 40;

async function openMany(server: ServerProcess, n: number): Promise<pg.Client[]> {
  const clients: pg.Client[] = [];
  while (clients.length < n) clients.push(...await Promise.all(Array.from({ length: Math.min(OPENED_AT_ONCE, n - clients.length) }, () => server.connect())));
  return clients;
}

const point = (k: number): string => `SELECT s FROM v WHERE k = ${1 + (k * 7919) % ROWS}`;

async function select(client: pg.Client, k: number): Promise<void> {
  const { rowCount } = await client.query(point(k));
  if (rowCount !== 1) throw new Error(`${rowCount} rows for one key`);
}

/** Latencies of a load that does not wait for its answers: counted from when the k-th SELECT was due, though its connection may still be busy. */
async function steady(clients: readonly pg.Client[], seconds: number): Promise<number[]> {
  const running: Promise<number>[] = [];
  const free: Promise<unknown>[] = clients.map(() => Promise.resolve());
  const began = performance.now();
  for (let k = 0; k < seconds * STEADY_PER_SECOND; k++) {
    const due = began + k * 1000 / STEADY_PER_SECOND;
    const wait = due - performance.now();
    if (wait > 1) await pause(wait);
    const at = k % clients.length;
    const answered = free[at].then(() => select(clients[at], k)).then(() => performance.now() - due);
    free[at] = answered;
    running.push(answered);
  }
  return (await Promise.all(running)).sort((a, b) => a - b);
}

async function measure(n: number, scale: Scale, give: Give): Promise<void> {
  const seconds = scale.quick ? 2 : 5;
  await withServer({ parallelism: '1' }, async (server, client) => {
    await client.query('CREATE TABLE t (k int PRIMARY KEY, v int)');
    await client.query('CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS s FROM t GROUP BY k');
    await client.query(`INSERT INTO t SELECT x, x FROM generate_series(1, ${ROWS}) AS g(x)`);
    await client.query('FLUSH');
    const before = rssMb(server);
    const clients = await openMany(server, n);
    const rssKbPerConnection = (rssMb(server) - before) * 1024 / n;
    await steady(clients, 1);
    let latencies: number[] = [];
    const cost = await costOf(server, async () => { latencies = await steady(clients, seconds); });
    const cpuMsPerSelect = cost.cpuSeconds * 1000 / latencies.length;
    give('p50', n, quantile(latencies, 0.5), { cpuMsPerSelect, rssKbPerConnection });
    give('p99', n, quantile(latencies, 0.99), { max: latencies[latencies.length - 1] });
    const end = performance.now() + seconds * 1000;
    let done = 0;
    await Promise.all(clients.map(async (c, i) => {
      for (let k = i; performance.now() < end; k += n) { await select(c, k); done++; }
    }));
    give('all connections at once', n, Math.round(done / seconds), { rssMb: rssMb(server) });
    await Promise.all(clients.map(c => c.end()));
  });
}

async function subscribers(n: number, give: Give): Promise<void> {
  await withServer({ parallelism: '1' }, async (server, client) => {
    await client.query('CREATE TABLE t (k int PRIMARY KEY, v int)');
    await client.query('CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS s FROM t GROUP BY k');
    const clients = await openMany(server, n);
    let seen = 0;
    let all: () => void = () => undefined;
    for (const c of clients) {
      const query = new pg.Query('SUBSCRIBE TO v');
      query.on('row', () => { if (++seen === n) all(); });
      query.on('error', () => undefined);
      c.query(query);
    }
    const latencies: number[] = [];
    for (let k = 0; k <= CHANGES; k++) {
      const everyone = new Promise<void>(resolve => { all = resolve; });
      seen = 0;
      const began = performance.now();
      await client.query(`INSERT INTO t VALUES (${k}, ${k})`);
      await everyone;
      if (k > 0) latencies.push(performance.now() - began);
    }
    latencies.sort((a, b) => a - b);
    give('p50 of the last subscriber', n, quantile(latencies, 0.5), {});
    give('longest', n, quantile(latencies, 1), {});
    for (const c of clients) { c.on('error', () => undefined); void c.end().catch(() => undefined); }
  });
}

export const connections: Curve = {
  name: 'connections',
  pictures: [
    { name: 'connections', title: 'Connections, all reading at once', xLabel: 'connections', yLabel: 'SELECTs per second', yLog: true, series: ['all connections at once'] },
    { name: 'latency', title: `Latency of a SELECT, ${STEADY_PER_SECOND} a second over all connections`, xLabel: 'connections', yLabel: 'ms', yLog: true, series: ['p50', 'p99'] },
    { name: 'subscribers', title: 'INSERT to subscribers', xLabel: 'subscribers of one view', yLabel: 'ms', yLog: true, series: ['p50 of the last subscriber', 'longest'] },
  ],
  async run(scale, give) {
    for (const n of scale.quick ? [1, 10, 100] : [1, 3, 10, 30, 100, 300, 1000]) await measure(n, scale, give);
    for (const n of scale.quick ? [1, 10, 100] : [1, 3, 10, 30, 100, 300]) await subscribers(n, give);
  },
};
