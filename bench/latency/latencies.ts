/** Latencies of one run: percentiles and a histogram of logarithmic classes. */
export interface Summary {
  readonly samples: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  /** [upper border in ms, samples]: CLASSES_PER_OCTAVE classes for each doubling; empty ones are left out. */
  readonly histogram: readonly (readonly [number, number])[];
}

const CLASSES_PER_OCTAVE = 4;

export function summarise(latenciesMs: readonly number[]): Summary {
  const sorted = Float64Array.from(latenciesMs).sort();
  // Nearest rank: the smallest value that so large a share does not exceed.
  const at = (share: number): number => (sorted.length === 0 ? NaN : sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)]);
  const classes = new Map<number, number>();
  for (const ms of sorted) {
    const c = Math.ceil(Math.log2(Math.max(ms, 0.125)) * CLASSES_PER_OCTAVE);
    classes.set(c, (classes.get(c) ?? 0) + 1);
  }
  return {
    samples: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1),
    histogram: [...classes].map(([c, n]) => [2 ** (c / CLASSES_PER_OCTAVE), n] as const),
  };
}
