/**
 * nexmark: the Nexmark auction site as a source without any service (model.ts). Event n is a function of (seed, n), so a position
 * is the number of a split's next event, and a replay from any position gives the same rows.
 *
 * Splits: SPLITS, fixed; epoch e of 50 events belongs to split e % SPLITS. A subtask with several reads next from the one that is furthest
 * behind. With events_per_second = r > 0 event n is due n0 + r · elapsed after opening, over all subtasks together, and event time runs
 * at r; with 0 events come as fast as they are taken, and event time runs at EVENT_TIME_RATE.
 * Tables: person, auction, bid with their own columns; event has all of them side by side (NULL where an event is not of that kind).
 */
import { BATCH_ROWS_MAX } from '../../runtime/batch.js';
import type { Batch, Vector } from '../../runtime/batch.js';
import type { OptionSpec, SourceConnector, SourceContext, SourceReader, SourceSpec, SplitBatch } from '../../runtime/connector.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import { sameType } from '../../types/sqltype.js';
import { formatType } from '../../types/typeinfo.js';
import { numberOption, textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import { ownsIndex } from '../splits.js';
import { EPOCH_EVENTS, NexmarkModel, kindOf } from './model.js';
import type { NexmarkKind } from './model.js';

const SPLITS = 4;
/** Events a second of event time when events_per_second is 0. */
const EVENT_TIME_RATE = 10_000;
/** Longest and shortest wait for the next event that is due. */
const WAIT_MAX_MS = 1000;
const WAIT_MIN_MS = 5;

const TABLE: OptionSpec = { name: 'table', kind: 'text', default: 'event', values: ['event', 'person', 'auction', 'bid'], description: 'which events: all side by side, or one kind' };
const RATE: OptionSpec = { name: 'events_per_second', kind: 'number', default: '0', min: 0, max: 100_000_000, description: 'events a second of wall time, and of event time (all kinds counted); 0 = as fast as possible' };
const MAX: OptionSpec = { name: 'max_events', kind: 'integer', min: 0, description: 'ends after so many events (all kinds counted); without it the stream is endless' };
const SEED: OptionSpec = { name: 'seed', kind: 'integer', default: '42', description: 'another seed gives other events' };
const START: OptionSpec = { name: 'start_time', kind: 'timestamp', default: '2024-01-01 00:00:00', description: 'event time of the first event' };

const INT8: SqlType = { kind: 'int8' };
const TEXT: SqlType = { kind: 'text' };
const TIME: SqlType = { kind: 'timestamp' };

interface ColumnModel {
  readonly name: string;
  readonly type: SqlType;
  /** The kind of event it belongs to; null = all. */
  readonly kind: NexmarkKind | null;
  readonly number?: (m: NexmarkModel, n: number) => number;
  readonly text?: (m: NexmarkModel, n: number) => void;
}

const PERSON: readonly ColumnModel[] = [
  { name: 'id', type: INT8, kind: 0, number: (m, n) => m.personId(n) }, { name: 'name', type: TEXT, kind: 0, text: (m, n) => m.name(n) },
  { name: 'email_address', type: TEXT, kind: 0, text: (m, n) => m.email(n) }, { name: 'credit_card', type: TEXT, kind: 0, text: (m, n) => m.creditCard(n) },
  { name: 'city', type: TEXT, kind: 0, text: (m, n) => m.city(n) }, { name: 'state', type: TEXT, kind: 0, text: (m, n) => m.state(n) },
  { name: 'date_time', type: TIME, kind: 0, number: (m, n) => m.timeUs(n) }, { name: 'extra', type: TEXT, kind: 0, text: (m, n) => m.extra(n) },
];
const AUCTION: readonly ColumnModel[] = [
  { name: 'id', type: INT8, kind: 1, number: (m, n) => m.auctionId(n) }, { name: 'item_name', type: TEXT, kind: 1, text: (m, n) => m.itemName(n) },
  { name: 'description', type: TEXT, kind: 1, text: (m, n) => m.description(n) }, { name: 'initial_bid', type: INT8, kind: 1, number: (m, n) => m.initialBid(n) },
  { name: 'reserve', type: INT8, kind: 1, number: (m, n) => m.reserve(n) }, { name: 'date_time', type: TIME, kind: 1, number: (m, n) => m.timeUs(n) },
  { name: 'expires', type: TIME, kind: 1, number: (m, n) => m.expiresUs(n) }, { name: 'seller', type: INT8, kind: 1, number: (m, n) => m.seller(n) },
  { name: 'category', type: INT8, kind: 1, number: (m, n) => m.category(n) }, { name: 'extra', type: TEXT, kind: 1, text: (m, n) => m.extra(n) },
];
const BID: readonly ColumnModel[] = [
  { name: 'auction', type: INT8, kind: 2, number: (m, n) => m.bidAuction(n) }, { name: 'bidder', type: INT8, kind: 2, number: (m, n) => m.bidder(n) },
  { name: 'price', type: INT8, kind: 2, number: (m, n) => m.bidPrice(n) }, { name: 'channel', type: TEXT, kind: 2, text: (m, n) => m.bidChannel(n) },
  { name: 'url', type: TEXT, kind: 2, text: (m, n) => m.bidUrl(n) }, { name: 'date_time', type: TIME, kind: 2, number: (m, n) => m.timeUs(n) },
  { name: 'extra', type: TEXT, kind: 2, text: (m, n) => m.extra(n) },
];
/** In the wide form a few names carry their kind. */
function wide(columns: readonly ColumnModel[], names: Readonly<Record<string, string>>): ColumnModel[] {
  return columns.map((c) => ({ ...c, name: names[c.name] ?? c.name }));
}
const EVENT: readonly ColumnModel[] = [
  { name: 'event_type', type: { kind: 'int4' }, kind: null, number: (_, n) => kindOf(n) },
  ...wide(PERSON, { id: 'person_id', date_time: 'person_time', extra: 'person_extra' }),
  ...wide(AUCTION, { id: 'auction_id', date_time: 'auction_time', extra: 'auction_extra' }),
  ...wide(BID, { date_time: 'bid_time', extra: 'bid_extra' }),
  { name: 'date_time', type: TIME, kind: null, number: (m, n) => m.timeUs(n) },
];
const TABLES: Readonly<Record<string, { readonly kind: NexmarkKind | null; readonly columns: readonly ColumnModel[] }>> = {
  event: { kind: null, columns: EVENT }, person: { kind: 0, columns: PERSON }, auction: { kind: 1, columns: AUCTION }, bid: { kind: 2, columns: BID },
};

function tableOf(options: Options): { kind: NexmarkKind | null; columns: readonly ColumnModel[] } {
  return TABLES[textOption(options, TABLE)];
}

function columnModel(options: Options, name: string, type: SqlType): ColumnModel {
  const columns = tableOf(options).columns;
  const c = columns.find((m) => m.name === name) ?? columns.find((m) => m.name === name.toLowerCase());
  if (c === undefined) throw new SqlError('42703', `column "${name}" does not exist in nexmark table "${textOption(options, TABLE)}"`, { hint: `Its columns: ${columns.map((m) => m.name).join(', ')}. Leave the column list out to take them all.` });
  if (!sameType(c.type, type)) throw new SqlError('42804', `column "${name}" of nexmark is of type ${formatType(c.type)}, not ${formatType(type)}`, { hint: `Declare it as ${formatType(c.type)}.` });
  return c;
}

class NexmarkReader implements SourceReader {
  readonly #context: SourceContext;
  readonly #fields: readonly SourceField[];
  readonly #columns: readonly (ColumnModel | null)[];
  readonly #kind: NexmarkKind | null;
  readonly #model: NexmarkModel;
  readonly #rate: number;
  readonly #end: number;
  /** Next event of each owned split. */
  readonly #next = new Map<number, number>();
  /** Splits that have given rows, now or before the restore. */
  readonly #given = new Set<number>();
  readonly #events = new Float64Array(BATCH_ROWS_MAX);
  #startMs = 0;
  #startEvent = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(spec: SourceSpec, context: SourceContext) {
    this.#context = context;
    this.#fields = spec.fields;
    this.#columns = spec.fields.map((f) => (f.metadata === null ? columnModel(spec.options, f.name, f.type) : null));
    this.#kind = tableOf(spec.options).kind;
    this.#rate = numberOption(spec.options, RATE) ?? 0;
    this.#end = numberOption(spec.options, MAX) ?? Infinity;
    this.#model = new NexmarkModel(numberOption(spec.options, SEED) ?? 42, numberOption(spec.options, START) ?? 0, this.#rate > 0 ? this.#rate : EVENT_TIME_RATE);
    for (let s = 0; s < SPLITS; s++) if (ownsIndex(s, spec.subtask, spec.parallelism)) this.#next.set(s, s * EPOCH_EVENTS);
  }

  open(positions: Readonly<Record<string, Json>>): Promise<void> {
    let first = Infinity;
    for (const s of this.#next.keys()) {
      const p = positions[String(s)];
      if (typeof p !== 'number') continue;
      this.#next.set(s, p);
      if (p > s * EPOCH_EVENTS) this.#given.add(s);
    }
    // All subtasks start their clock at the same event where they were given all positions.
    for (const p of Object.values(positions)) if (typeof p === 'number') first = Math.min(first, p);
    for (const n of this.#next.values()) first = Math.min(first, n);
    this.#startEvent = Number.isFinite(first) && Object.keys(positions).length > 0 ? first : 0;
    this.#startMs = this.#context.now();
    return Promise.resolve();
  }

  next(): SplitBatch | 'idle' | 'end' {
    const due = this.#rate > 0 ? this.#startEvent + ((this.#context.now() - this.#startMs) * this.#rate) / 1000 : Infinity;
    const limit = Math.min(due, this.#end);
    for (;;) {
      let split = -1;
      let n = Infinity;
      for (const [s, at] of this.#next) if (at < n) { split = s; n = at; }
      if (split < 0 || n >= this.#end) return 'end';
      if (n >= limit) return this.#wait(n - due);
      const rows = this.#collect(split, limit);
      if (rows === 0) continue;
      this.#given.add(split);
      return { split: String(split), batch: this.#batch(rows) };
    }
  }

  /** Event numbers of the next batch of the split, all below `limit`. */
  #collect(split: number, limit: number): number {
    let n = this.#next.get(split) ?? 0;
    let rows = 0;
    while (n < limit && rows < BATCH_ROWS_MAX) {
      if (this.#kind === null || kindOf(n) === this.#kind) this.#events[rows++] = n;
      n++;
      if (n % EPOCH_EVENTS === 0) n += (SPLITS - 1) * EPOCH_EVENTS;
    }
    this.#next.set(split, n);
    return rows;
  }

  #batch(rows: number): Batch {
    const events = this.#events;
    return { length: rows, columns: this.#columns.map((c, i) => (c === null ? this.#metadata(this.#fields[i], rows) : column(this.#model, c, events, rows))), weights: null };
  }

  #metadata(field: SourceField, rows: number): Vector {
    if (field.metadata !== 'offset') throw new SqlError('42703', `the nexmark source has no metadata "${field.metadata ?? ''}"`, { hint: 'It has \'offset\', the event\'s number.' });
    return { form: 'f64', values: this.#events.slice(0, rows), nulls: null };
  }

  #wait(events: number): 'idle' {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#context.wake();
    }, Math.min(Math.max((events * 1000) / this.#rate, WAIT_MIN_MS), WAIT_MAX_MS));
    return 'idle';
  }

  positions(): Record<string, Json> {
    return Object.fromEntries([...this.#next].map(([s, n]) => [String(s), n]));
  }

  /** A split that gave nothing yet begins with older events than those the others are at. */
  unreadSplits(): readonly string[] {
    return [...this.#next].filter(([s, n]) => !this.#given.has(s) && n < this.#end).map(([s]) => String(s));
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

function column(model: NexmarkModel, c: ColumnModel, events: Float64Array, rows: number): Vector {
  const nulls = new Uint8Array(rows);
  let some = false;
  if (c.number !== undefined) {
    const values = new Float64Array(rows);
    for (let i = 0; i < rows; i++) {
      if (c.kind === null || kindOf(events[i]) === c.kind) values[i] = c.number(model, events[i]);
      else { nulls[i] = 1; some = true; }
    }
    return { form: 'f64', values, nulls: some ? nulls : null };
  }
  const start = new Int32Array(rows);
  const end = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    if (c.kind === null || kindOf(events[i]) === c.kind) {
      c.text?.(model, events[i]);
      start[i] = model.from;
      end[i] = model.to;
    } else { nulls[i] = 1; some = true; }
  }
  return { form: 'bytes', data: model.corpus, start, end, nulls: some ? nulls : null };
}

export const nexmarkSource: SourceConnector = {
  name: 'nexmark',
  description: 'generated auction site (the Nexmark benchmark): persons, auctions and bids in event time',
  options: [TABLE, RATE, MAX, SEED, START],
  bounded: (options) => options[MAX.name] !== undefined,
  columns: (options): readonly Column[] => tableOf(options).columns.map(({ name, type }) => ({ name, type })),
  validate: (options, columns) => {
    for (const c of columns) columnModel(options, c.name, c.type);
  },
  create: (spec, context) => new NexmarkReader(spec, context),
};
