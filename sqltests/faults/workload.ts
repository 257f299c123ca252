/**
 * What the fault matrix runs: a file of events read slowly, views over it (aggregates, Top-N over a view, a join of the stream with itself, windows,
 * DISTINCT), a file sink, and a table into which a client inserts meanwhile. The expected rows are computed here, from the same events, by hand.
 */
import { writeFileSync } from 'node:fs';
import { seeded } from '../../types/encoding/testdatums.js';
import type { TextRow } from '../serverprocess.js';

const EVENTS = 2400;
const EVENTS_PER_SECOND = 1000;
const KEYS = 23;
/** An event refers to the one so many before it. */
const BACK = 5;

interface Event { readonly id: number; readonly ref: number; readonly k: number; readonly v: number; readonly at: number }

function events(): Event[] {
  const random = seeded(7);
  return Array.from({ length: EVENTS }, (_, id) => ({ id, ref: id - BACK, k: random(KEYS), v: random(1000), at: id * 10 }));
}

export function writeEvents(file: string): void {
  const zone = (ms: number): string => new Date(ms).toISOString().slice(0, -1);
  writeFileSync(file, events().map(e => `${JSON.stringify({ ...e, at: zone(e.at) })}\n`).join(''));
}

export interface WorkloadOptions { readonly file: string; readonly sink: string; readonly parallelism: number; readonly settings: Readonly<Record<string, string>> }

export function setUp(o: WorkloadOptions): string {
  const settings = { parallelism: String(o.parallelism), checkpoint_interval: '50ms', barrier_interval: '20ms', restart_strategy: 'fixed_delay', restart_attempts: '1000', restart_delay: '50ms', ...o.settings };
  return `${Object.entries(settings).map(([name, value]) => `SET ${name} = '${value}';`).join(' ')}
CREATE TABLE entries (n bigint PRIMARY KEY);
CREATE MATERIALIZED VIEW entered AS SELECT count(*) AS n, sum(n) AS s FROM entries;
CREATE STREAM ev (id bigint, ref bigint, k bigint, v bigint, at timestamp, WATERMARK FOR at AS at - INTERVAL '100 milliseconds')
  WITH (connector = 'file', path = '${o.file}', format = 'json', rows_per_second = ${EVENTS_PER_SECOND});
CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n, sum(v) AS s, min(v) AS least, max(v) AS most, count(DISTINCT v % 7) AS kinds FROM ev GROUP BY k;
CREATE MATERIALIZED VIEW top AS SELECT k, s, place FROM (SELECT k, s, row_number() OVER (ORDER BY s DESC, k) AS place FROM counts) c WHERE place <= 5;
CREATE MATERIALIZED VIEW pairs AS SELECT a.k, count(*) AS n, sum(b.v) AS s FROM ev a JOIN ev b ON b.id = a.ref GROUP BY a.k;
CREATE MATERIALIZED VIEW windows AS SELECT window_start, k % 4 AS q, count(*) AS n, sum(v) AS s FROM TUMBLE(ev, at, INTERVAL '1 second') GROUP BY window_start, k % 4;
CREATE MATERIALIZED VIEW kinds AS SELECT DISTINCT k, v % 5 AS r FROM ev;
CREATE SINK thirds AS SELECT id, k, v FROM ev WHERE v % 3 = 0 WITH (connector = 'file', path = '${o.sink}', format = 'json');`;
}

/** Jobs that end with the file. */
export const BOUNDED_JOBS = ['thirds', 'counts', 'pairs', 'windows', 'kinds'] as const;

export const VIEWS: Readonly<Record<string, string>> = {
  counts: 'SELECT * FROM counts ORDER BY k', top: 'SELECT * FROM top ORDER BY place', pairs: 'SELECT * FROM pairs ORDER BY k', windows: 'SELECT * FROM windows ORDER BY window_start, q',
  kinds: 'SELECT * FROM kinds ORDER BY k, r',
};

const text = (...values: readonly (number | string)[]): TextRow => values.map(String);
const numeric = (a: TextRow, b: TextRow, at: number): number => Number(a[at]) - Number(b[at]);

/** Groups of rows by a key, in the order of their first row. */
function grouped<T>(rows: readonly T[], key: (row: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group === undefined) groups.set(key(row), [row]);
    else group.push(row);
  }
  return [...groups.values()];
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Rows of each view, and the sink's lines sorted. */
export function expected(): { readonly views: Readonly<Record<string, readonly TextRow[]>>; readonly lines: readonly string[] } {
  const all = events();
  const counts = grouped(all, e => String(e.k)).map(g => {
    const v = g.map(e => e.v);
    return text(g[0].k, g.length, sum(v), Math.min(...v), Math.max(...v), new Set(v.map(x => x % 7)).size);
  }).sort((a, b) => numeric(a, b, 0));
  const top = [...counts].sort((a, b) => numeric(b, a, 2) || numeric(a, b, 0)).slice(0, 5).map((r, i) => text(r[0] ?? '', r[2] ?? '', i + 1));
  const pairs = grouped(all.filter(e => e.ref >= 0), e => String(e.k)).map(g => text(g[0].k, g.length, sum(g.map(e => all[e.ref].v)))).sort((a, b) => numeric(a, b, 0));
  const start = (e: Event): string => new Date(Math.floor(e.at / 1000) * 1000).toISOString().slice(0, 19).replace('T', ' ');
  const windows = grouped(all, e => `${start(e)} ${e.k % 4}`).map(g => text(start(g[0]), g[0].k % 4, g.length, sum(g.map(e => e.v))))
    .sort((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : (a[0] ?? '') > (b[0] ?? '') ? 1 : numeric(a, b, 1)));
  const kinds = grouped(all, e => `${e.k} ${e.v % 5}`).map(g => text(g[0].k, g[0].v % 5)).sort((a, b) => numeric(a, b, 0) || numeric(a, b, 1));
  return { views: { counts, top, pairs, windows, kinds }, lines: all.filter(e => e.v % 3 === 0).map(e => JSON.stringify({ id: e.id, k: e.k, v: e.v })).sort() };
}
