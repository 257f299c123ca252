/** Token bucket over the wall clock: `rows_per_second` of a source. It fills up to BURST_MS worth of rows while nothing is taken. */
const BURST_MS = 200;
/** Wait at least so long for tokens, so that a slow stream comes in small batches and not row by row. */
const WAIT_MS = 20;

export class RateLimit {
  readonly #perMs: number;
  readonly #capacity: number;
  #tokens = 0;
  #atMs: number;

  /** 0 = no limit. */
  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = Math.max(1, this.#perMs * BURST_MS);
    this.#atMs = nowMs;
  }

  /** Rows that may be taken now. */
  allowance(nowMs: number): number {
    if (this.#perMs === 0) return Infinity;
    this.#tokens = Math.min(this.#capacity, this.#tokens + Math.max(nowMs - this.#atMs, 0) * this.#perMs);
    this.#atMs = nowMs;
    return Math.floor(this.#tokens);
  }

  take(rows: number): void {
    if (this.#perMs > 0) this.#tokens -= rows;
  }

  /** Milliseconds until the next row is allowed, at least WAIT_MS. */
  waitMs(): number {
    return this.#perMs === 0 ? 0 : Math.ceil(Math.max(WAIT_MS, (1 - this.#tokens) / this.#perMs));
  }
}
