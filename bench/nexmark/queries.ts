/**
 * Nexmark in Millrace's dialect over one stream of mixed events: the stream, three views, and the queries q0 to q22, as the public benchmark
 * (nexmark/nexmark, Apache-2.0) defines them. q4, q6, q17: averages cut to whole numbers, as there. Written otherwise than there:
 *
 *   q6   average of each seller's last ten winning bids as Top-N, then GROUP BY: the benchmark has avg(…) OVER (… ROWS 10 PRECEDING) over
 *        a relation that changes, which Flink refuses; ties of bid_time go to the younger auction, so that the result is one
 *   q10  into the bench's sink; there into files partitioned by day and minute
 *   q12  event time; there processing time, whose windows depend on how fast the machine is
 *   q13  plain join with a bounded stream of 10,000 rows; there a look-up in a file, by processing time
 *   q21  regexp_match(…)[2] is Flink's regexp_extract(…, 2)
 */

/** CREATE STREAM event over an NDJSON file, and the views person, auction and bid. `extra` is more WITH options (', rows_per_second = 10'). */
export function eventFile(file: string, extra = ''): string {
  return eventStream(`connector = 'file', path = '${file.replace(/'/g, "''")}', format = 'json'${extra}`);
}

export function eventStream(withOptions: string): string {
  return `
CREATE STREAM event (
  event_type integer,
  person_id bigint PATH '$.person.id', name text PATH '$.person.name', email_address text PATH '$.person.emailAddress', credit_card text PATH '$.person.creditCard',
  city text PATH '$.person.city', state text PATH '$.person.state', person_time timestamp PATH '$.person.dateTime', person_extra text PATH '$.person.extra',
  auction_id bigint PATH '$.auction.id', item_name text PATH '$.auction.itemName', description text PATH '$.auction.description', initial_bid bigint PATH '$.auction.initialBid',
  reserve bigint PATH '$.auction.reserve', auction_time timestamp PATH '$.auction.dateTime', expires timestamp PATH '$.auction.expires', seller bigint PATH '$.auction.seller',
  category bigint PATH '$.auction.category', auction_extra text PATH '$.auction.extra',
  auction bigint PATH '$.bid.auction', bidder bigint PATH '$.bid.bidder', price bigint PATH '$.bid.price', channel text PATH '$.bid.channel', url text PATH '$.bid.url',
  bid_time timestamp PATH '$.bid.dateTime', bid_extra text PATH '$.bid.extra',
  date_time timestamp GENERATED ALWAYS AS (coalesce(bid_time, auction_time, person_time)) VIRTUAL,
  WATERMARK FOR date_time AS date_time - INTERVAL '4 seconds'
) WITH (${withOptions});
CREATE VIEW person AS SELECT person_id AS id, name, email_address, credit_card, city, state, date_time, person_extra AS extra FROM event WHERE event_type = 0;
CREATE VIEW auction AS SELECT auction_id AS id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, auction_extra AS extra FROM event WHERE event_type = 1;
CREATE VIEW bid AS SELECT auction, bidder, price, channel, url, date_time, bid_extra AS extra FROM event WHERE event_type = 2;
`;
}

/** The side input of q13, made by generate.ts: 10,000 rows, keys 0 to 9,999. */
export function sideInputFile(file: string): string {
  return `CREATE STREAM side_input (key bigint, value text) WITH (connector = 'file', path = '${file.replace(/'/g, "''")}', format = 'json');`;
}

/** The columns of q15 and q16: bids, bidders and auctions, all and by rank of the price. */
const RANKS: readonly (readonly [name: string, where: string])[] = [
  ['total', ''], ['rank1', ' FILTER (WHERE price < 10000)'], ['rank2', ' FILTER (WHERE price >= 10000 AND price < 1000000)'], ['rank3', ' FILTER (WHERE price >= 1000000)'],
];
const COUNTS_BY_RANK = [['bids', '*'], ['bidders', 'DISTINCT bidder'], ['auctions', 'DISTINCT auction']]
  .flatMap(([name, what]) => RANKS.map(([rank, where]) => `count(${what})${where} AS ${rank}_${name}`)).join(',\n      ');

/** Each auction's winning bid: the highest within its time, of equal ones the first. */
const WINNING_BIDS = `SELECT * FROM (
      SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_time, b.extra AS bid_extra, row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time) AS rn
      FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires) w
    WHERE rn = 1`;

export const nexmarkQueries: Readonly<Record<string, string>> = {
  q0: 'SELECT auction, bidder, price, date_time, extra FROM bid',
  q1: 'SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid',
  q2: 'SELECT auction, price FROM bid WHERE auction % 123 = 0',
  q3: `SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
  q4: `SELECT category, trunc(avg(final))::bigint AS final
    FROM (SELECT a.category, max(b.price) AS final FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
    GROUP BY category`,
  q5: `WITH counts AS (
      SELECT window_start, auction, count(*) AS num FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY window_start, auction)
    SELECT c.auction, c.num FROM counts c JOIN (SELECT window_start, max(num) AS maxn FROM counts GROUP BY window_start) m ON c.window_start = m.window_start AND c.num >= m.maxn`,
  q6: `SELECT seller, trunc(avg(price))::bigint AS avg_price
    FROM (SELECT seller, price, row_number() OVER (PARTITION BY seller ORDER BY bid_time DESC, id DESC) AS nth FROM (${WINNING_BIDS}) winning) l
    WHERE nth <= 10
    GROUP BY seller`,
  q7: `SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
    FROM bid b JOIN (SELECT window_end, max(price) AS maxprice FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_end) m
      ON b.price = m.maxprice AND b.date_time BETWEEN m.window_end - INTERVAL '10 seconds' AND m.window_end`,
  q8: `SELECT p.id, p.name, p.window_start
    FROM (SELECT id, name, window_start FROM TUMBLE(person, date_time, INTERVAL '10 seconds') GROUP BY id, name, window_start) p
    JOIN (SELECT seller, window_start FROM TUMBLE(auction, date_time, INTERVAL '10 seconds') GROUP BY seller, window_start) a ON p.id = a.seller AND p.window_start = a.window_start`,
  q9: `SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra, auction, bidder, price, bid_time, bid_extra FROM (${WINNING_BIDS}) winning`,
  q10: `SELECT auction, bidder, price, date_time, extra, to_char(date_time, 'YYYY-MM-DD') AS day, to_char(date_time, 'HH24:MI') AS minute FROM bid`,
  q11: `SELECT bidder, count(*) AS bid_count, window_start, window_end
    FROM SESSION(bid, date_time, INTERVAL '10 seconds', partition_by => bidder) GROUP BY bidder, window_start, window_end`,
  q12: `SELECT bidder, count(*) AS bid_count, window_start, window_end
    FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY bidder, window_start, window_end`,
  q13: `SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side_input s ON b.auction % 10000 = s.key`,
  q14: `SELECT auction, bidder, 0.908 * price AS price,
      CASE WHEN extract(hour FROM date_time) BETWEEN 8 AND 18 THEN 'dayTime' WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type,
      date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
    FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  q15: `SELECT to_char(date_time, 'YYYY-MM-DD') AS day,
      ${COUNTS_BY_RANK}
    FROM bid GROUP BY to_char(date_time, 'YYYY-MM-DD')`,
  q16: `SELECT channel, to_char(date_time, 'YYYY-MM-DD') AS day, max(to_char(date_time, 'HH24:MI')) AS minute,
      ${COUNTS_BY_RANK}
    FROM bid GROUP BY channel, to_char(date_time, 'YYYY-MM-DD')`,
  q17: `SELECT auction, to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS total_bids, count(*) FILTER (WHERE price < 10000) AS rank1_bids,
      count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids, count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
      min(price) AS min_price, max(price) AS max_price, trunc(avg(price))::bigint AS avg_price, sum(price)::bigint AS sum_price
    FROM bid GROUP BY auction, to_char(date_time, 'YYYY-MM-DD')`,
  q18: `SELECT auction, bidder, price, channel, url, date_time, extra
    FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rn FROM bid) w WHERE rn = 1`,
  q19: `SELECT auction, bidder, price, channel, url, date_time, extra, rn
    FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC) AS rn FROM bid) w WHERE rn <= 10`,
  q20: `SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, b.extra, a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_time, a.expires, a.seller, a.category, a.extra AS auction_extra
    FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10`,
  q21: `SELECT auction, bidder, price, channel,
      CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
    FROM bid WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
  q22: `SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid`,
};
