/**
 * A line chart as an SVG text: some series over a logarithmic x axis, y logarithmic or linear. Colours are of middle lightness and the ground is left
 * transparent, so that it reads on light and on dark pages; a reader who prefers dark gets lighter ones.
 */
export interface ChartSeries { readonly name: string; readonly points: readonly { readonly x: number; readonly y: number }[] }

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yLog: boolean;
  readonly series: readonly ChartSeries[];
}

const WIDTH = 760;
const HEIGHT = 420;
const LEFT = 78;
const RIGHT = 24;
const TOP = 48;
const BOTTOM = 58;
const LEGEND_LINE = 18;
const COLOURS = ['#2f7fd1', '#d2691e', '#2e9e5b', '#a855c7', '#c43c4a'] as const;
const STYLE = `text{font:13px system-ui,sans-serif;fill:#5f6773}.title{font-size:16px;font-weight:600}.grid{stroke:#808892;stroke-opacity:.25}.axis{stroke:#808892}
@media (prefers-color-scheme:dark){text{fill:#aab2bd}}`;

interface Axis { readonly ticks: readonly number[]; at(value: number): number }

/** Throws RangeError for a chart without points, or a point that a logarithmic axis cannot show. */
export function lineChart(chart: Chart): string {
  const points = chart.series.flatMap(s => s.points);
  if (points.length === 0) throw new RangeError('a chart without points');
  if (points.some(p => p.x <= 0 || (chart.yLog && p.y <= 0))) throw new RangeError('a logarithmic axis shows positive numbers only');
  const plotRight = WIDTH - RIGHT;
  const plotBottom = HEIGHT - BOTTOM;
  const x = logAxis(points.map(p => p.x), LEFT, plotRight, false);
  const y = chart.yLog ? logAxis(points.map(p => p.y), plotBottom, TOP, true) : linearAxis(points.map(p => p.y), plotBottom, TOP);
  const out: string[] = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escape(chart.title)}">`,
    `<style>${STYLE}</style>`, `<text class="title" x="${LEFT}" y="24">${escape(chart.title)}</text>`,
  ];
  for (const t of y.ticks) {
    out.push(`<line class="grid" x1="${LEFT}" x2="${plotRight}" y1="${px(y.at(t))}" y2="${px(y.at(t))}"/>`);
    out.push(`<text x="${LEFT - 8}" y="${px(y.at(t) + 4)}" text-anchor="end">${short(t)}</text>`);
  }
  for (const t of x.ticks) {
    out.push(`<line class="grid" x1="${px(x.at(t))}" x2="${px(x.at(t))}" y1="${TOP}" y2="${plotBottom}"/>`);
    out.push(`<text x="${px(x.at(t))}" y="${plotBottom + 18}" text-anchor="middle">${short(t)}</text>`);
  }
  out.push(`<path class="axis" fill="none" d="M${LEFT} ${TOP}V${plotBottom}H${plotRight}"/>`);
  out.push(`<text x="${(LEFT + plotRight) / 2}" y="${HEIGHT - 14}" text-anchor="middle">${escape(chart.xLabel)}</text>`);
  out.push(`<text x="16" y="${(TOP + plotBottom) / 2}" text-anchor="middle" transform="rotate(-90 16 ${(TOP + plotBottom) / 2})">${escape(chart.yLabel)}</text>`);
  const legendTop = legendPlace(chart.series, x, y, plotBottom);
  for (const [i, s] of chart.series.entries()) out.push(...drawSeries(s, COLOURS[i % COLOURS.length] ?? COLOURS[0], x, y, plotRight, legendTop + i * LEGEND_LINE));
  out.push('</svg>\n');
  return out.join('\n');
}

function drawSeries(s: ChartSeries, colour: string, x: Axis, y: Axis, right: number, legendY: number): string[] {
  const sorted = [...s.points].sort((a, b) => a.x - b.x);
  const line = sorted.map(p => `${px(x.at(p.x))},${px(y.at(p.y))}`).join(' ');
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${line}"/>`,
    ...sorted.map(p => `<circle cx="${px(x.at(p.x))}" cy="${px(y.at(p.y))}" r="3.5" fill="${colour}"><title>${short(p.x)}: ${short(p.y)}</title></circle>`),
    `<line x1="${right - 30}" x2="${right - 8}" y1="${legendY - 4}" y2="${legendY - 4}" stroke="${colour}" stroke-width="3"/>`,
    `<text x="${right - 36}" y="${legendY}" text-anchor="end">${escape(s.name)}</text>`,
  ];
}

/** The legend stands at the right, above or below, where fewer points are. */
function legendPlace(series: readonly ChartSeries[], x: Axis, y: Axis, bottom: number): number {
  const height = series.length * LEGEND_LINE;
  let above = 0;
  let below = 0;
  for (const p of series.flatMap(s => s.points)) {
    if (x.at(p.x) < WIDTH / 2) continue;
    if (y.at(p.y) < TOP + height + 10) above++;
    if (y.at(p.y) > bottom - height - 10) below++;
  }
  return above <= below ? TOP + 14 : bottom - height + 8;
}

/** Ticks at powers of ten; at 1, 2 and 5 times them where they are few; ends at the data, for y at a tick. */
function logAxis(values: readonly number[], from: number, to: number, whole: boolean): Axis {
  const min = Math.min(...values);
  const max = Math.max(...values);
  const decades = Math.log10(max / min);
  const steps = decades > 3.5 ? [1] : decades > 1.2 || !whole ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const all: number[] = [];
  for (let e = Math.floor(Math.log10(min)) - 1; e <= Math.ceil(Math.log10(max)) + 1; e++) for (const s of steps) all.push(Number((s * 10 ** e).toPrecision(3)));
  const low = whole ? Math.max(...all.filter(t => t <= min * 1.0001)) : min;
  const high = whole ? Math.min(...all.filter(t => t >= max * 0.9999)) : max;
  const span = Math.log(high / low) || 1;
  return { ticks: all.filter(t => t >= low * 0.9999 && t <= high * 1.0001), at: v => from + (Math.log(v / low) / span) * (to - from) };
}

function linearAxis(values: readonly number[], from: number, to: number): Axis {
  const max = Math.max(...values, Number.MIN_VALUE);
  const unit = 10 ** Math.floor(Math.log10(max));
  const step = max / unit > 5 ? unit : max / unit > 2 ? unit / 2 : unit / 5;
  const top = Math.ceil(max / step - 1e-9) * step;
  const ticks: number[] = [];
  for (let k = 0; k * step <= top * 1.0001; k++) ticks.push(Number((k * step).toPrecision(6)));
  return { ticks, at: v => from + (v / top) * (to - from) };
}

/** 1500 → 1.5 k */
function short(v: number): string {
  for (const [unit, letter] of [[1e9, ' G'], [1e6, ' M'], [1e3, ' k']] as const) if (v >= unit) return `${Number((v / unit).toPrecision(3))}${letter}`;
  return String(Number(v.toPrecision(3)));
}

const px = (v: number): string => String(Math.round(v * 10) / 10);

function escape(text: string): string { return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'); }
