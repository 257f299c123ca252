/** Times a step: the best of several rounds, which on a busy machine is the one least disturbed. */

/** ns a row: `run` works on `rows` rows; a round lasts about `roundMs`. */
export function nsPerRow(run: () => void, rows: number, rounds: number, roundMs: number): number {
  const times = timesFor(run, roundMs);
  let best = Infinity;
  for (let round = 0; round < rounds; round++) best = Math.min(best, timed(run, times) / rows);
  return best;
}

/** ns of one run, over `times` runs. */
export function timed(run: () => void, times: number): number {
  const began = process.hrtime.bigint();
  for (let k = 0; k < times; k++) run();
  return Number(process.hrtime.bigint() - began) / times;
}

/** How many runs last `ms`. Warms the code up meanwhile. */
export function timesFor(run: () => void, ms: number): number {
  let times = 1;
  for (;;) {
    const ns = timed(run, times) * times;
    if (ns >= ms * 1e6 / 2) return Math.max(1, Math.round(times * ms * 1e6 / ns));
    times *= 2;
  }
}
