/**
 * datagen: made-up rows for trying things out. Row n is a function of (seed, n), so a position is the number of the next row.
 * Splits: SPLITS, fixed; row n belongs to split n % SPLITS.
 *
 * Per column `<column>.kind`:
 *   random    uniform in [min, max] (integers 0 … 999999, floats and numerics 0 … 1, dates and timestamps the year 2024), text of `length` letters
 *   sequence  min + n, from the start again past max; timestamps go on by 1/rows_per_second s a row (1 ms when that is 0); text is the number
 *   choice    one of `values`, which are separated by commas
 * Without it timestamps are a sequence, all else is random.
 */
import { BATCH_ROWS_MAX } from '../runtime/batch.js';
import type { OptionSpec, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../runtime/connector.js';
import { batchFromDatums } from '../runtime/vectors.js';
import type { Json } from '../types/connect.js';
import { SqlError, unsupported } from '../types/error.js';
import { Numeric } from '../types/numeric.js';
import type { Column, SqlType } from '../types/sqltype.js';
import { applyTypmod, parseDatum } from '../types/textio.js';
import { formatType } from '../types/typeinfo.js';
import type { Datum } from '../types/value.js';
import { numberOption, textOption } from './optionvalues.js';
import type { Options } from './optionvalues.js';
import { RateLimit } from './ratelimit.js';
import { ownsIndex } from './splits.js';
import { nearest } from '../types/settings.js';

const SPLITS = 4;
const LENGTH_MAX = 10_000;

const RATE: OptionSpec = { name: 'rows_per_second', kind: 'number', default: '0', min: 0, description: 'rows a second over all subtasks; 0 = as fast as possible' };
const MAX: OptionSpec = { name: 'max_rows', kind: 'integer', min: 0, description: 'ends after so many rows; without it the stream is endless' };
const SEED: OptionSpec = { name: 'seed', kind: 'integer', default: '42', description: 'another seed gives other rows' };
const KINDS = ['random', 'sequence', 'choice'] as const;
type Kind = (typeof KINDS)[number];
const COLUMN_OPTIONS: readonly OptionSpec[] = [
  { name: '<column>.kind', kind: 'text', values: KINDS, description: 'how the column\'s values are made' },
  { name: '<column>.min', kind: 'text', description: 'lowest value, or the first of a sequence' },
  { name: '<column>.max', kind: 'text', description: 'highest value' },
  { name: '<column>.length', kind: 'integer', min: 0, max: LENGTH_MAX, default: '10', description: 'letters of a random text' },
  { name: '<column>.values', kind: 'text', description: 'the values of a choice, separated by commas' },
];

type Make = (n: number) => Datum;

/** Uniform in [0, 1) of (seed, n, salt). */
function uniform(seed: number, n: number, salt: number): number {
  let h = Math.imul((n | 0) ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b) ^ Math.floor(n / 4294967296);
  h = (h ^ (h >>> 13)) + Math.imul(salt, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

const RANGES: Readonly<Record<string, readonly [string, string]>> = {
  int2: ['0', '32767'], int4: ['0', '999999'], int8: ['0', '999999'], float4: ['0', '1'], float8: ['0', '1'], numeric: ['0', '1'],
  date: ['2024-01-01', '2024-12-31'], timestamp: ['2024-01-01 00:00:00', '2024-12-31 23:59:59.999'], timestamptz: ['2024-01-01 00:00:00', '2024-12-31 23:59:59.999'],
};
const NUMERIC_SCALE = 4;

/** A bound of a column as a plain number (days, microseconds, or the value). */
function bound(options: Options, c: Column, which: 'min' | 'max', fallback: string): number {
  const text = options[`${c.name}.${which}`] ?? fallback;
  try {
    const v = parseDatum(c.type, text, { timeZone: 'UTC', nowUs: 0 });
    const n = v instanceof Numeric ? Number(v.toString()) : Number(v);
    if (Number.isFinite(n)) return n;
  } catch (e) {
    if (!(e instanceof SqlError)) throw e;
  }
  throw new SqlError('22023', `invalid value for option "${c.name}.${which}": "${text}"`, { hint: `Allowed: a finite ${formatType(c.type)}.` });
}

function maker(options: Options, c: Column, salt: number): Make {
  const seed = numberOption(options, SEED) ?? 42;
  const isTime = c.type.kind === 'timestamp' || c.type.kind === 'timestamptz';
  const kind = (options[`${c.name}.kind`] ?? (options[`${c.name}.values`] !== undefined ? 'choice' : isTime ? 'sequence' : 'random')) as Kind;
  if (kind === 'choice') return choice(options, c, seed, salt);
  if (c.type.kind === 'text' || c.type.kind === 'varchar') return text(options, c, kind, seed, salt);
  if (kind === 'random' && c.type.kind === 'bool') return (n) => uniform(seed, n, salt) < 0.5;
  if (kind === 'random' && c.type.kind === 'uuid') return (n) => uuid(seed, n, salt);
  const range = RANGES[c.type.kind];
  if (range === undefined) throw unsupported(`datagen column "${c.name}" of type ${formatType(c.type)} and kind '${kind}'`, undefined, `Use ${c.name}.kind = 'choice' with ${c.name}.values.`);
  const min = bound(options, c, 'min', range[0]);
  const max = kind === 'sequence' && options[`${c.name}.max`] === undefined ? Infinity : bound(options, c, 'max', range[1]);
  if (max < min) throw new SqlError('22023', `option "${c.name}.max" is below "${c.name}.min"`);
  if (kind === 'sequence') return sequence(c.type, min, max, isTime ? timeStep(options) : 1);
  return random(c.type, min, max, (n) => uniform(seed, n, salt), (n) => uniform(seed, n, salt + 1000));
}

function timeStep(options: Options): number {
  const rate = numberOption(options, RATE) ?? 0;
  return rate > 0 ? 1_000_000 / rate : 1000;
}

function sequence(type: SqlType, min: number, max: number, step: number): Make {
  const period = max === Infinity ? Infinity : Math.floor((max - min) / step) + 1;
  return (n) => {
    const v = min + Math.floor((period === Infinity ? n : n % period) * step);
    return type.kind === 'numeric' ? applyTypmod(type, Numeric.fromInt(v), true) : v;
  };
}

function random(type: SqlType, min: number, max: number, u: (n: number) => number, fine: (n: number) => number): Make {
  switch (type.kind) {
    case 'float8': return (n) => min + u(n) * (max - min);
    case 'float4': return (n) => Math.fround(min + u(n) * (max - min));
    case 'numeric': return (n) => applyTypmod(type, Numeric.fromNumber(Math.round((min + u(n) * (max - min)) * 10 ** NUMERIC_SCALE) / 10 ** NUMERIC_SCALE), true);
    // 32 bits are too few for a year of microseconds: a second draw fills the gaps.
    default: return (n) => Math.min(min + Math.floor((u(n) + fine(n) / 4294967296) * (max - min + 1)), max);
  }
}

function choice(options: Options, c: Column, seed: number, salt: number): Make {
  const given = options[`${c.name}.values`];
  if (given === undefined) throw new SqlError('42601', `option "${c.name}.kind" = 'choice' needs "${c.name}.values"`, { hint: `${c.name}.values = 'a,b,c'` });
  const values = given.split(',').map((t) => {
    try {
      return parseDatum(c.type, t.trim(), { timeZone: 'UTC', nowUs: 0 });
    } catch (e) {
      if (e instanceof SqlError) throw new SqlError('22023', `invalid value for option "${c.name}.values": "${t.trim()}"`, { detail: e.message, cause: e });
      throw e;
    }
  });
  return (n) => values[Math.floor(uniform(seed, n, salt) * values.length)];
}

function text(options: Options, c: Column, kind: Kind, seed: number, salt: number): Make {
  if (kind === 'sequence') {
    const min = Number(options[`${c.name}.min`] ?? 0);
    if (!Number.isInteger(min)) throw new SqlError('22023', `invalid value for option "${c.name}.min"`, { hint: 'Allowed: an integer.' });
    return (n) => String(min + n);
  }
  const length = Number(options[`${c.name}.length`] ?? 10);
  return (n) => {
    let s = '';
    for (let i = 0; i < length; i++) s += String.fromCharCode(97 + Math.floor(uniform(seed, n, salt + 7919 * (i + 1)) * 26));
    return s;
  };
}

function uuid(seed: number, n: number, salt: number): string {
  const hex = [1, 2, 3, 4].map((i) => Math.floor(uniform(seed, n, salt + i * 7919) * 4294967296).toString(16).padStart(8, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}

class DatagenReader implements SourceReader {
  readonly #context: SourceContext;
  readonly #types: readonly SqlType[];
  readonly #makers: readonly Make[];
  readonly #end: number;
  readonly #next = new Map<number, number>();
  readonly #rate: RateLimit;
  #timer: NodeJS.Timeout | null = null;

  constructor(spec: SourceSpec, context: SourceContext) {
    this.#context = context;
    this.#types = spec.fields.map((f) => f.type);
    this.#makers = spec.fields.map((f) => (f.metadata === 'offset' ? (n: number): Datum => n : maker(spec.options, f, f.ordinal * 65_537 + 1)));
    this.#end = numberOption(spec.options, MAX) ?? Infinity;
    for (let s = 0; s < SPLITS; s++) if (ownsIndex(s, spec.subtask, spec.parallelism)) this.#next.set(s, s);
    this.#rate = new RateLimit(((numberOption(spec.options, RATE) ?? 0) * this.#next.size) / SPLITS, context.now());
  }

  open(positions: Readonly<Record<string, Json>>): Promise<void> {
    for (const s of this.#next.keys()) {
      const p = positions[String(s)];
      if (typeof p === 'number') this.#next.set(s, p);
    }
    return Promise.resolve();
  }

  next(): SplitBatch | 'idle' | 'end' {
    let split = -1;
    let from = Infinity;
    for (const [s, n] of this.#next) if (n < from) { split = s; from = n; }
    if (split < 0 || from >= this.#end) return 'end';
    // One split's turn takes a share of what is allowed, so that the splits go forward together.
    const allowed = this.#rate.allowance(this.#context.now());
    if (allowed < 1) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#context.wake();
      }, this.#rate.waitMs());
      return 'idle';
    }
    const rows: Datum[][] = [];
    const max = Math.min(BATCH_ROWS_MAX, allowed === Infinity ? BATCH_ROWS_MAX : Math.max(1, Math.floor(allowed / this.#next.size)));
    let n = from;
    for (; rows.length < max && n < this.#end; n += SPLITS) rows.push(this.#makers.map((m) => m(n)));
    this.#next.set(split, n);
    this.#rate.take(rows.length);
    return { split: String(split), batch: batchFromDatums(this.#types, rows) };
  }

  positions(): Record<string, Json> {
    return Object.fromEntries([...this.#next].map(([s, n]) => [String(s), n]));
  }

  /** A split that gave nothing yet begins with older rows than those the others are at. */
  unreadSplits(): readonly string[] {
    return [...this.#next].filter(([s, n]) => n === s && n < this.#end).map(([s]) => String(s));
  }

  finishedSplits(): ReadonlySet<string> {
    return new Set([...this.#next].filter(([, n]) => n >= this.#end).map(([s]) => String(s)));
  }

  progress(): readonly { readonly split: string; readonly position: string; readonly lag: number | null }[] {
    return [...this.#next].map(([s, n]) => ({ split: String(s), position: String(n), lag: Number.isFinite(this.#end) ? Math.max(Math.ceil((this.#end - n) / SPLITS), 0) : null }));
  }

  close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    return Promise.resolve();
  }
}

export const datagenSource: SourceConnector = {
  name: 'datagen',
  description: 'made-up rows: random values, sequences, choices',
  options: [RATE, MAX, SEED, ...COLUMN_OPTIONS],
  bounded: (options) => options[MAX.name] !== undefined,
  validate: (options, columns) => {
    for (const key of Object.keys(options)) {
      const dot = key.lastIndexOf('.');
      const column = key.slice(0, dot);
      if (dot < 0 || columns.some((c) => c.name === column)) continue;
      const near = nearest(column.toLowerCase(), columns.map((c) => c.name));
      throw new SqlError('42703', `column "${column}" of option "${key}" does not exist`, { hint: near === null ? `Columns: ${columns.map((c) => c.name).join(', ')}.` : `Did you mean "${near}${key.slice(dot)}"?` });
    }
    for (const c of columns) if (textOption(options, { name: `${c.name}.kind`, kind: 'text', values: KINDS, description: '', default: 'random' }) !== '') maker(options, c, 1);
  },
  create: (spec, context) => new DatagenReader(spec, context),
};
