/** A client that subscribes to view v and notes when each probe's row came. */
import pg from 'pg';
import type { ServerProcess } from '../nexmark/serverprocess.js';
import { monotonicUs } from './events.js';

export class Subscriber {
  readonly #client: pg.Client;
  readonly #dueUs: number[] = [];
  readonly #cameUs: number[] = [];
  #closed = false;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(server: ServerProcess, probe: (row: readonly (string | null)[]) => number | null): Promise<Subscriber> {
    const text = { getTypeParser: () => (value: string | Buffer): string => value.toString() };
    const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'bench', database: 'bench', types: text as unknown as pg.CustomTypesConfig });
    await client.connect();
    const subscriber = new Subscriber(client);
    const query = client.query(new pg.Query({ text: 'SUBSCRIBE TO v WITH (snapshot = false)', rowMode: 'array' } as pg.QueryArrayConfig));
    query.on('row', row => {
      const dueUs = probe(row as unknown as (string | null)[]);
      if (dueUs === null) return;
      subscriber.#dueUs.push(dueUs);
      subscriber.#cameUs.push(monotonicUs());
    });
    query.on('error', e => { if (!subscriber.#closed) throw e; });
    return subscriber;
  }

  get probes(): number { return this.#dueUs.length; }

  /** Of the probes that were due in [fromUs, toUs). */
  latenciesMs(fromUs: number, toUs: number): number[] {
    const out: number[] = [];
    for (const [i, due] of this.#dueUs.entries()) if (due >= fromUs && due < toUs) out.push((this.#cameUs[i] - due) / 1000);
    return out;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.on('error', () => undefined);
    // The query does not end by itself.
    (this.#client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await Promise.resolve();
  }
}
