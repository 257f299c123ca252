/**
 * Jobs: n views, each its own job over a stream of its own. The same events, cut into n files, are put into the n followed folders when all jobs are there:
 * events per CPU second over all jobs. Beside it what idle jobs cost (memory, open files, CPU), and how long a server takes that was killed to have them
 * all running again.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { eventsFile } from '../nexmark/runquery.js';
import { ServerProcess } from '../nexmark/serverprocess.js';
import type { Curve } from './curve.js';
import { allRead, costOf, pause, rssMb } from './jobs.js';

const IDLE_MS = 5000;
const QUIET_MS = 2000;
const POLL_MS = 20;
const MEMORY = 'memory of idle jobs, MB';
const CPU = 'CPU of idle jobs, % of a core';
const RESTART = 'all running after kill −9, s';

/** The file's lines in n parts of about equal size, each in a folder of its own: `fill` writes them. */
class Parts {
  readonly folders: string[];
  readonly #borders: number[] = [0];
  readonly #file: string;

  constructor(file: string, root: string, n: number) {
    this.#file = file;
    this.folders = Array.from({ length: n }, (_, k) => path.join(root, `part-${k}`));
    for (const f of this.folders) mkdirSync(f);
    const fd = openSync(file, 'r');
    const line = Buffer.alloc(1 << 16);
    const { size } = statSync(file);
    for (let k = 1; k < n; k++) {
      const at = Math.floor(size / n * k);
      const read = readSync(fd, line, 0, line.length, at);
      this.#borders.push(at + line.subarray(0, read).indexOf(10) + 1);
    }
    this.#borders.push(size);
    closeSync(fd);
  }

  fill(): void {
    const fd = openSync(this.#file, 'r');
    for (const [k, folder] of this.folders.entries()) {
      const part = Buffer.alloc(this.#borders[k + 1] - this.#borders[k]);
      readSync(fd, part, 0, part.length, this.#borders[k]);
      writeFileSync(path.join(folder, 'events.part'), part);
    }
    closeSync(fd);
  }
}

async function createJobs(client: pg.Client, folders: readonly string[]): Promise<void> {
  for (const [k, folder] of folders.entries()) {
    await client.query(`CREATE STREAM s${k} (auction bigint PATH '$.bid.auction', price bigint PATH '$.bid.price') WITH (connector = 'file', path = '${folder}/*.part', format = 'json', follow = 'true')`);
    await client.query(`CREATE MATERIALIZED VIEW v${k} AS SELECT auction % 1000 AS k, count(*) AS n, max(price) AS top FROM s${k} GROUP BY 1`);
  }
}

export const manyJobs: Curve = {
  name: 'jobs',
  pictures: [
    { name: 'jobs', title: 'Jobs', xLabel: 'jobs, each over a stream of its own', yLabel: 'events per CPU second, all jobs', yLog: true, series: ['all jobs'] },
    { name: 'jobs-idle', title: 'What a job costs', xLabel: 'jobs, each over a stream of its own', yLabel: 'MB, % of a core, s', yLog: true, series: [MEMORY, CPU, RESTART] },
  ],
  async run(scale, give) {
    const file = await eventsFile(scale.events);
    for (const n of scale.quick ? [1, 10, 50] : [1, 2, 5, 10, 20, 50, 100, 200]) {
      const root = mkdtempSync(path.resolve('bench-data/jobs-'));
      try {
        const [y, more] = await measureJobs(new Parts(file, root, n), root, scale.events);
        give('all jobs', n, y, more);
        give(MEMORY, n, Math.max(0.01, more['rssMbPerJob'] * n), {});
        give(CPU, n, Math.max(0.01, more['idleCpuPercent']), {});
        give(RESTART, n, more['restartSeconds'], {});
      } finally {
        rmSync(root, { recursive: true });
      }
    }
  },
};

async function measureJobs(parts: Parts, root: string, events: number): Promise<[number, Readonly<Record<string, number>>]> {
  const more: Record<string, number> = {};
  const n = parts.folders.length;
  let server = await ServerProcess.start({ dir: root });
  try {
    let client = await server.connect();
    await client.query("SET parallelism = '1'; SET checkpoint_interval = '1s'");
    await server.warm(client);
    const before = { rss: rssMb(server), files: openFiles(server) };
    const creating = await costOf(server, () => createJobs(client, parts.folders));
    await pause(QUIET_MS);
    more['createMsPerJob'] = creating.seconds * 1000 / n;
    more['rssMbPerJob'] = (rssMb(server) - before.rss) / n;
    more['openFilesPerJob'] = (openFiles(server) - before.files) / n;
    more['idleCpuPercent'] = (await costOf(server, () => pause(IDLE_MS))).cpuSeconds / (IDLE_MS / 1000) * 100;
    // The server reads while the files are filled: that is part of it.
    const cost = await costOf(server, async () => {
      parts.fill();
      await allRead(client, events, true);
    });
    more['seconds'] = cost.seconds;
    more['peakRssMb'] = server.peakRssMb();
    await pause(QUIET_MS);
    client.on('error', () => undefined);
    await server.close();
    const began = performance.now();
    server = await ServerProcess.start({ dir: root });
    client = await server.connect();
    await running(client, n);
    more['restartSeconds'] = (performance.now() - began) / 1000;
    await client.end();
    return [Math.round(events / cost.cpuSeconds), more];
  } finally {
    await server.close();
  }
}

async function running(client: pg.Client, n: number): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ n: string }>("SELECT count(*) AS n FROM millrace.jobs WHERE status = 'running'");
    if (Number(rows[0]?.n) === n) return;
    await pause(POLL_MS);
  }
}

function openFiles(server: ServerProcess): number { return readdirSync(`/proc/${server.pid}/fd`).length; }
