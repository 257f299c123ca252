/** The events of the latency bench, as producer and queries agree on them, and the clock that all processes share. */

export const EVENT_BYTES = 200;
/** Ids and keys have ten digits. */
export const FIRST_ID = 1_000_000_000;
export const KEYS = 100;
export const PROBE_EVERY = 500;
export const PROBE_KEYS_FROM = 2_000_000_000;
/** Monotonic times get fifteen digits by this offset, and their distances stay. */
const OFFSET_US = 100_000_000_000_000;

export interface ProducerReport { readonly sent: number; readonly seconds: number; readonly behindMaxMs: number }

export function monotonicUs(): number {
  return OFFSET_US + Number(process.hrtime.bigint() / 1000n);
}

export function eventStream(servers: string, topic: string, extra = ''): string {
  return `CREATE STREAM events (id bigint, key bigint, us bigint, at timestamp, payload text, WATERMARK FOR at AS at - INTERVAL '1 second')
    WITH (connector = 'kafka', topic = '${topic}', bootstrap_servers = '${servers}', format = 'json'${extra})`;
}

export interface LatencyQuery {
  readonly name: string;
  readonly sql: string;
  /** The probe's time in a row that a subscription gave ([epoch, weight, columns …] as text), or null. */
  probe(row: readonly (string | null)[]): number | null;
}

/** Rows that came, weight 1, hold the time of exactly one event each: of a probe. */
export const QUERIES: readonly LatencyQuery[] = [
  {
    name: 'filter', sql: `SELECT id, us FROM events WHERE id % ${PROBE_EVERY} = 0`,
    probe: ([, weight, , us]) => (weight === '1' && us !== null ? Number(us) : null),
  },
  {
    name: 'count', sql: `SELECT window_start, key, count(*) AS events, max(us) AS us FROM TUMBLE(events, at, INTERVAL '10 seconds') GROUP BY window_start, key`,
    probe: ([, weight, , key, , us]) => (weight === '1' && us !== null && Number(key) >= PROBE_KEYS_FROM ? Number(us) : null),
  },
];
