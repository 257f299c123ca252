/**
 * The Nexmark event model: an auction site's persons, auctions and bids, as the public benchmark (nexmark/nexmark, after Tucker et al.,
 * "NEXMark – A Benchmark for Queries over Data Streams") defines them. Event n is a function of (seed, n) alone: every number
 * is hashed from seed, n and the column, so that any event can be made without those before it, and a column without the others.
 *
 *   of 50 events: 1 person, 3 auctions, 46 bids; ids count up from 1000
 *   half of the bids go to the hot auction (the last multiple of 100), 3/4 come from the hot bidder, 3/4 of auctions are the hot seller's;
 *   the others choose among the last 100 auctions and 1000 persons, and up to 10 not yet born
 *   prices 10^(6u) · 100; event n happens at start + n / rate; an auction expires up to two "100 auctions" later
 *   `extra` pads records to about 200 (person), 500 (auction) and 100 (bid) bytes, ±20 %
 *
 * Texts are spans of one corpus made from the seed (about 2 MB, 30 ms), shared by all batches: no text is built per event.
 */

export const EPOCH_EVENTS = 50;
const PERSONS = 1;
const AUCTIONS = 3;
const FIRST_ID = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
const HOT_SPACING = 100;
const AUCTIONS_IN_FLIGHT = 100;
const PERSONS_ACTIVE = 1000;
const ID_LEAD = 10;
const CHANNELS = 10_000;

const LETTERS_BYTES = 1 << 20;
const WORDS_BYTES = 1 << 18;
const CARD_GROUPS = 1 << 14;
const EMAILS = 1 << 14;
const HOT_CHANNELS = ['Google', 'Facebook', 'Baidu', 'Apple'];
const STATES = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const CITIES = ['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland', 'Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'];
const FIRST_NAMES = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter'];
const LAST_NAMES = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris'];

export type NexmarkKind = 0 | 1 | 2;

/** 0 person, 1 auction, 2 bid. */
export function kindOf(n: number): NexmarkKind {
  const r = n % EPOCH_EVENTS;
  return r < PERSONS ? 0 : r < PERSONS + AUCTIONS ? 1 : 2;
}

/** Texts of one kind inside the corpus: item i is corpus[start[i] .. end[i]). */
interface Pool { readonly start: Int32Array; readonly end: Int32Array }

class CorpusWriter {
  readonly parts: Buffer[] = [];
  bytes = 0;

  add(b: Buffer): number {
    const at = this.bytes;
    this.parts.push(b);
    this.bytes += b.length;
    return at;
  }

  pool(texts: readonly string[]): Pool {
    const start = new Int32Array(texts.length);
    const end = new Int32Array(texts.length);
    texts.forEach((t, i) => {
      start[i] = this.add(Buffer.from(t));
      end[i] = this.bytes;
    });
    return { start, end };
  }
}

/** Columns' salts: each column draws from its own sequence. */
const SALT = { auction: 1, auctionHot: 2, bidder: 3, bidderHot: 4, price: 5, channel: 6, channelHot: 7, extra: 8, extraLength: 9, seller: 10, sellerHot: 11, category: 12, initial: 13, reserve: 14, expires: 15, item: 16, itemLength: 17, description: 18, descriptionLength: 19, name: 20, email: 21, card: 22, city: 23, state: 24 } as const;

export class NexmarkModel {
  readonly corpus: Buffer;
  readonly #seed: number;
  readonly #startUs: number;
  readonly #rate: number;
  readonly #horizonMs: number;
  readonly #letters: number;
  readonly #words: number;
  readonly #cards: number;
  readonly #hotChannels: Pool;
  readonly #hotUrls: Pool;
  readonly #channels: Pool;
  readonly #urls: Pool;
  readonly #names: Pool;
  readonly #emails: Pool;
  readonly #cities: Pool;
  readonly #states: Pool;
  /** Span of the last text asked for. */
  from = 0;
  to = 0;

  /** `rate`: events a second of event time; `startUs`: time of event 0. */
  constructor(seed: number, startUs: number, rate: number) {
    this.#seed = Math.imul((seed | 0) ^ 0x2545f491, 0x9e3779b1);
    this.#startUs = startUs;
    this.#rate = rate;
    this.#horizonMs = Math.floor((Math.floor((AUCTIONS_IN_FLIGHT * EPOCH_EVENTS) / AUCTIONS) * 1000) / rate);
    let draws = 0;
    const draw = (n: number): number => this.#random(draws++, 255, n);
    const w = new CorpusWriter();
    const letters = Buffer.alloc(LETTERS_BYTES);
    for (let i = 0; i < LETTERS_BYTES; i++) letters[i] = 97 + draw(26);
    this.#letters = w.add(letters);
    const words = Buffer.alloc(WORDS_BYTES);
    for (let i = 0; i < WORDS_BYTES; i++) words[i] = draw(13) === 0 ? 32 : 97 + draw(26);
    this.#words = w.add(words);
    this.#cards = w.add(Buffer.from(Array.from({ length: CARD_GROUPS }, () => `${String(draw(10_000)).padStart(4, '0')} `).join('')));
    const string = (max: number, space: string): string => {
      let s = '';
      for (let left = 3 + draw(max - 3); left > 0; left--) s += draw(13) === 0 ? space : String.fromCharCode(97 + draw(26));
      return s;
    };
    const url = (): string => `https://www.nexmark.com/${string(5, '_')}/${string(5, '_')}/${string(5, '_')}/item.htm?query=1`;
    this.#hotChannels = w.pool(HOT_CHANNELS);
    this.#hotUrls = w.pool(HOT_CHANNELS.map(url));
    const numbers = Array.from({ length: CHANNELS }, (_, i) => i);
    this.#channels = w.pool(numbers.map((i) => `channel-${i}`));
    this.#urls = w.pool(numbers.map((i) => (draw(10) > 0 ? `${url()}&channel_id=${Math.abs(reverseBits(i))}` : url())));
    this.#names = w.pool(FIRST_NAMES.flatMap((f) => LAST_NAMES.map((l) => `${f} ${l}`)));
    this.#emails = w.pool(Array.from({ length: EMAILS }, () => `${string(7, '_')}@${string(5, '_')}.com`));
    this.#cities = w.pool(CITIES);
    this.#states = w.pool(STATES);
    this.corpus = Buffer.concat(w.parts);
  }

  /** Uniform integer in [0, below) of (seed, n, salt). */
  #random(n: number, salt: number, below: number): number {
    return Math.floor((this.#hash(n, salt) / 4294967296) * below);
  }

  #hash(n: number, salt: number): number {
    let h = (n | 0) ^ this.#seed;
    if (n > 4294967295) h ^= Math.imul(Math.floor(n / 4294967296), 0x27d4eb2f);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = (h ^ (h >>> 13)) + Math.imul(salt, 0x9e3779b9);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
    return (h ^ (h >>> 15)) >>> 0;
  }

  /** Whole milliseconds, as microseconds. */
  timeUs(n: number): number {
    return this.#startUs + Math.floor((n * 1000) / this.#rate) * 1000;
  }

  personId(n: number): number {
    return lastPerson(n) + FIRST_ID;
  }

  auctionId(n: number): number {
    return lastAuction(n) + FIRST_ID;
  }

  #anyPerson(n: number, salt: number): number {
    const count = lastPerson(n) + 1;
    const active = Math.min(count, PERSONS_ACTIVE);
    return count - active + this.#random(n, salt, active + ID_LEAD);
  }

  seller(n: number): number {
    if (this.#random(n, SALT.sellerHot, 4) > 0) return Math.floor(lastPerson(n) / HOT_SPACING) * HOT_SPACING + FIRST_ID;
    return this.#anyPerson(n, SALT.seller) + FIRST_ID;
  }

  category(n: number): number {
    return FIRST_CATEGORY + this.#random(n, SALT.category, CATEGORIES);
  }

  #price(n: number, salt: number): number {
    return Math.round(10 ** ((this.#hash(n, salt) / 4294967296) * 6) * 100);
  }

  initialBid(n: number): number {
    return this.#price(n, SALT.initial);
  }

  reserve(n: number): number {
    return this.#price(n, SALT.initial) + this.#price(n, SALT.reserve);
  }

  expiresUs(n: number): number {
    return this.timeUs(n) + (1 + this.#random(n, SALT.expires, Math.max(this.#horizonMs * 2, 1))) * 1000;
  }

  bidAuction(n: number): number {
    const last = lastAuction(n);
    if (this.#random(n, SALT.auctionHot, 2) > 0) return Math.floor(last / HOT_SPACING) * HOT_SPACING + FIRST_ID;
    const min = Math.max(last - AUCTIONS_IN_FLIGHT, 0);
    return min + this.#random(n, SALT.auction, last - min + 1 + ID_LEAD) + FIRST_ID;
  }

  bidder(n: number): number {
    if (this.#random(n, SALT.bidderHot, 4) > 0) return Math.floor(lastPerson(n) / HOT_SPACING) * HOT_SPACING + 1 + FIRST_ID;
    return this.#anyPerson(n, SALT.bidder) + FIRST_ID;
  }

  bidPrice(n: number): number {
    return this.#price(n, SALT.price);
  }

  #span(pool: Pool, i: number): void {
    this.from = pool.start[i];
    this.to = pool.end[i];
  }

  /** The methods below set `from` and `to`: the text's span in `corpus`. */
  bidChannel(n: number): void {
    if (this.#random(n, SALT.channelHot, 2) > 0) this.#span(this.#hotChannels, this.#random(n, SALT.channel, HOT_CHANNELS.length));
    else this.#span(this.#channels, this.#random(n, SALT.channel, CHANNELS));
  }

  bidUrl(n: number): void {
    if (this.#random(n, SALT.channelHot, 2) > 0) this.#span(this.#hotUrls, this.#random(n, SALT.channel, HOT_CHANNELS.length));
    else this.#span(this.#urls, this.#random(n, SALT.channel, CHANNELS));
  }

  #words_(n: number, salt: number, lengthSalt: number, max: number): void {
    const length = 3 + this.#random(n, lengthSalt, max - 3);
    this.from = this.#words + this.#random(n, salt, WORDS_BYTES - length);
    this.to = this.from + length;
    while (this.from < this.to - 1 && this.corpus[this.from] === 32) this.from++;
    while (this.to > this.from + 1 && this.corpus[this.to - 1] === 32) this.to--;
  }

  itemName(n: number): void {
    this.#words_(n, SALT.item, SALT.itemLength, 20);
  }

  description(n: number): void {
    this.#words_(n, SALT.description, SALT.descriptionLength, 100);
  }

  name(n: number): void {
    this.#span(this.#names, this.#random(n, SALT.name, this.#names.start.length));
  }

  email(n: number): void {
    this.#span(this.#emails, this.#random(n, SALT.email, EMAILS));
  }

  creditCard(n: number): void {
    this.from = this.#cards + 5 * this.#random(n, SALT.card, CARD_GROUPS - 3);
    this.to = this.from + 19;
  }

  city(n: number): void {
    this.#span(this.#cities, this.#random(n, SALT.city, CITIES.length));
  }

  state(n: number): void {
    this.#span(this.#states, this.#random(n, SALT.state, STATES.length));
  }

  /** Padding of the event, by its kind. */
  extra(n: number): void {
    const kind = kindOf(n);
    const want = kind === 0 ? 137 : kind === 1 ? 390 : 68;
    const delta = Math.round(want * 0.2);
    const length = want - delta + this.#random(n, SALT.extraLength, 2 * delta);
    this.from = this.#letters + this.#random(n, SALT.extra, LETTERS_BYTES - length);
    this.to = this.from + length;
  }
}

/** Number of the last person born at event n. */
function lastPerson(n: number): number {
  return Math.floor(n / EPOCH_EVENTS) * PERSONS + Math.min(n % EPOCH_EVENTS, PERSONS - 1);
}

/** Number of the last auction opened at event n (−1 before the first). */
function lastAuction(n: number): number {
  const epoch = Math.floor(n / EPOCH_EVENTS);
  const offset = n % EPOCH_EVENTS;
  if (offset < PERSONS) return epoch * AUCTIONS - 1;
  return epoch * AUCTIONS + Math.min(offset - PERSONS, AUCTIONS - 1);
}

function reverseBits(i: number): number {
  let r = 0;
  for (let k = 0; k < 32; k++) r = (r << 1) | ((i >>> k) & 1);
  return r | 0;
}
