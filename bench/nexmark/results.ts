/**
 * Results of the Nexmark queries in a form that can be compared between systems: rows of normalised texts, as multisets. Large results are
 * kept as a digest: the number of rows, and the sum (modulo 2^32, two lanes) of the hashes of all rows, and of all values of each column, so
 * that a difference tells its column. Sums do not depend on the rows' order.
 */

export const NULL_TEXT = '\\N';

/** One value as every system would write it: T between date and time, no zeros at the end of a fraction, \N for NULL. */
export function normalise(value: string | null): string {
  if (value === null) return NULL_TEXT;
  if (/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?$/.test(value)) return value.replace(' ', 'T').replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  if (/^-?\d+\.\d+$/.test(value)) return value.replace(/0+$/, '').replace(/\.$/, '');
  return value;
}

export interface Result { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** What the SQL of a query leaves open when its ORDER BY ties. */
interface Ties {
  /** Columns whose values are the same whichever of equal rows is taken. */
  readonly determined: readonly string[];
  /** Columns that together must be one of the input's bids, in the order of BID_FIELDS; null: not in the result. */
  readonly bid: readonly (string | null)[];
}
export const BID_FIELDS = ['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra'] as const;
const BID_COLUMNS = ['auction', 'bidder', 'price', 'channel', 'url', 'date_time', 'extra'];

const TIES: Readonly<Record<string, Ties>> = {
  q9: {
    determined: ['id', 'item_name', 'description', 'initial_bid', 'reserve', 'date_time', 'expires', 'seller', 'category', 'extra', 'auction', 'price', 'bid_time'],
    bid: ['auction', 'bidder', 'price', null, null, 'bid_time', 'bid_extra'],
  },
  q18: { determined: ['auction', 'bidder', 'date_time'], bid: BID_COLUMNS },
  q19: { determined: ['auction', 'price', 'rn'], bid: BID_COLUMNS },
};

/** The columns that can be compared with another system's. */
export function determined(query: string, result: Result): Result {
  const ties = TIES[query];
  return ties === undefined ? result : { columns: ties.determined, rows: project(result, ties.determined) };
}

/** A row of the result that takes its bid from no bid of the input, or null. `bids`: the input's, normalised, by BID_FIELDS. */
export function inventedBid(query: string, result: Result, bids: readonly (readonly string[])[]): readonly string[] | null {
  const ties = TIES[query];
  if (ties === undefined) return null;
  const present = ties.bid.flatMap((name, i) => (name === null ? [] : [{ name, i }]));
  const known = new Set(bids.map(bid => JSON.stringify(present.map(p => bid[p.i]))));
  return project(result, present.map(p => p.name)).find(row => !known.has(JSON.stringify(row))) ?? null;
}

function project(result: Result, names: readonly string[]): string[][] {
  const indexes = names.map(name => {
    const index = result.columns.indexOf(name);
    if (index < 0) throw new Error(`no column ${name} in the result`);
    return index;
  });
  return result.rows.map(row => indexes.map(i => row[i]));
}

/** null, or how the rows differ. */
export function difference(actual: Result, expected: Result): string | null {
  const counts = new Map<string, number>();
  for (const row of expected.rows) { const key = JSON.stringify(row); counts.set(key, (counts.get(key) ?? 0) + 1); }
  for (const row of actual.rows) { const key = JSON.stringify(row); counts.set(key, (counts.get(key) ?? 0) - 1); }
  const wrong = [...counts].filter(([, n]) => n !== 0);
  if (wrong.length === 0) return null;
  return `${actual.rows.length} rows, expected ${expected.rows.length}; e.g. ${wrong.slice(0, 3).map(([row, n]) => `${n > 0 ? 'missing' : 'extra'} ${row.slice(0, 300)}`).join('; ')}`;
}

export interface Digest { readonly rows: number; readonly hash: string; readonly columns: Readonly<Record<string, string>> }

export function digest(result: Result): Digest {
  const columns = Object.fromEntries(result.columns.map((name, i) => [name, sumOfHashes(result.rows, row => row[i])]));
  return { rows: result.rows.length, hash: sumOfHashes(result.rows, row => JSON.stringify(row)), columns };
}

/** null, or what is not the same. */
export function digestDifference(actual: Digest, expected: Digest): string | null {
  if (actual.rows !== expected.rows) return `${actual.rows} rows, expected ${expected.rows}`;
  if (actual.hash === expected.hash) return null;
  const wrong = Object.keys(expected.columns).filter(name => actual.columns[name] !== expected.columns[name]);
  return `${actual.rows} rows, as expected, but ${wrong.length === 0 ? 'other combinations of the same values' : `other values of ${wrong.join(', ')}`}`;
}

/** Two lanes of 32 bits: multiply and xor by UTF-16 unit, mixed at the end as in MurmurHash3. */
function sumOfHashes(rows: readonly (readonly string[])[], textOf: (row: readonly string[]) => string): string {
  let low = 0;
  let high = 0;
  for (const row of rows) {
    const text = textOf(row);
    let a = 0x811c9dc5;
    let b = 0x9e3779b1;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(b ^ unit, 0x85ebca6b) ^ (b >>> 13);
    }
    low = (low + mixed(a)) >>> 0;
    high = (high + mixed(b)) >>> 0;
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

function mixed(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** CSV with a line of column names (RFC 4180, rows sorted). */
export function toCsv(result: Result): string {
  const line = (fields: readonly string[]): string => fields.map(f => (/[",\n\r]/.test(f) ? `"${f.replaceAll('"', '""')}"` : f)).join(',');
  return [line(result.columns), ...result.rows.map(line).sort()].map(l => `${l}\n`).join('');
}

export function fromCsv(text: string): Result {
  const [columns = [], ...rows] = text.trimEnd().split('\n').map(line => csvFields(line.replace(/\r$/, '')));
  return { columns, rows: rows.map(row => row.map(normalise)) };
}

/** Fields of one line (no newlines inside fields). */
function csvFields(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] === '"') {
      let text = '';
      at++;
      for (;;) {
        const quote = line.indexOf('"', at);
        if (quote < 0) throw new Error(`an open quote: ${line.slice(0, 100)}`);
        text += line.slice(at, quote);
        at = quote + 1;
        if (line[at] !== '"') break;
        text += '"';
        at++;
      }
      fields.push(text);
      at++;
    } else {
      const comma = line.indexOf(',', at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end + 1;
    }
  }
  return fields;
}
