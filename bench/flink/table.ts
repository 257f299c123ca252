/** Figures of both systems as a table: medians of the runs, ratios, geometric means. */

export type System = 'flink' | 'millrace';

/** One run of one query. */
export interface Figure {
  readonly system: System;
  readonly query: string;
  readonly events: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly checkpointsCompleted: number;
  readonly checkpointsFailed: number;
}

export interface Failure { readonly system: System; readonly query: string; readonly error: string }

interface Row { readonly query: string; readonly flink: Figure | null; readonly millrace: Figure | null }

/** Of each system and query the run of median CPU time (of an even number the slower). */
export function medians(figures: readonly Figure[]): Figure[] {
  const groups = new Map<string, Figure[]>();
  for (const f of figures) groups.set(`${f.system} ${f.query}`, [...(groups.get(`${f.system} ${f.query}`) ?? []), f]);
  return [...groups.values()].map(runs => runs.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[runs.length >> 1]);
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}

const whole = (n: number): string => Math.round(n).toLocaleString('en');
const times = (n: number): string => `${n.toFixed(n < 10 ? 1 : 0)} ×`;
const perSecond = (f: Figure): number => f.events / f.seconds;
const perCpuSecond = (f: Figure): number => f.events / f.cpuSeconds;

/** Markdown. A query that one system did not finish has a dash there; its error stands below. */
export function comparison(figures: readonly Figure[], failures: readonly Failure[], queries: readonly string[]): string {
  const found = medians(figures);
  const rows: Row[] = queries.map(query => ({ query, flink: found.find(f => f.query === query && f.system === 'flink') ?? null, millrace: found.find(f => f.query === query && f.system === 'millrace') ?? null }));
  const lines = [
    '| query | Flink events/s | Millrace events/s | | Flink events/CPU s | Millrace events/CPU s | | Flink peak MB | Millrace peak MB | |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
  ];
  const ratios = { speed: [] as number[], cpu: [] as number[], memory: [] as number[] };
  for (const { query, flink, millrace } of rows) {
    const of = (figure: Figure | null, value: (f: Figure) => number): string => (figure === null ? '–' : whole(value(figure)));
    const cells = ['', '', ''];
    if (flink !== null && millrace !== null) {
      ratios.speed.push(perSecond(millrace) / perSecond(flink));
      ratios.cpu.push(perCpuSecond(millrace) / perCpuSecond(flink));
      ratios.memory.push(millrace.peakMb / flink.peakMb);
      cells[0] = times(ratios.speed[ratios.speed.length - 1]);
      cells[1] = times(ratios.cpu[ratios.cpu.length - 1]);
      cells[2] = (millrace.peakMb / flink.peakMb).toFixed(2);
    }
    lines.push(`| ${query} | ${of(flink, perSecond)} | ${of(millrace, perSecond)} | ${cells[0]} | ${of(flink, perCpuSecond)} | ${of(millrace, perCpuSecond)} | ${cells[1]} | ${of(flink, f => f.peakMb)} | ${of(millrace, f => f.peakMb)} | ${cells[2]} |`);
  }
  if (ratios.speed.length > 0) {
    lines.push(`| geometric mean of ${ratios.speed.length} | | | **${times(geometricMean(ratios.speed))}** | | | **${times(geometricMean(ratios.cpu))}** | | | **${geometricMean(ratios.memory).toFixed(2)}** |`);
    lines.push(`| least favourable | | | ${times(Math.min(...ratios.speed))} | | | ${times(Math.min(...ratios.cpu))} | | | ${Math.max(...ratios.memory).toFixed(2)} |`);
  }
  for (const failure of failures) lines.push(...(lines.includes('') ? [] : ['']), `- ${failure.query} on ${failure.system === 'flink' ? 'Flink' : 'Millrace'}: ${failure.error.split('\n')[0]}`);
  return lines.join('\n');
}

const BEGIN = '<!-- written by npm run bench:flink -- --write-docs: begin -->';
const END = '<!-- end -->';

/** The document with `text` in place of what stood between the markers. */
export function betweenMarkers(document: string, text: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`the document has no line ${BEGIN} with ${END} after it`);
  return `${document.slice(0, from + BEGIN.length)}\n\n${text}\n\n${document.slice(to)}`;
}
