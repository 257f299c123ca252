/** Nexmark over one stream: its declaration, the three views, and queries in this dialect. */
import { TestCatalog } from '../testcatalog.js';

const EVENT = `event_type integer,
  person_id bigint PATH '$.person.id', name text PATH '$.person.name', email_address text PATH '$.person.emailAddress', credit_card text PATH '$.person.creditCard',
  city text PATH '$.person.city', state text PATH '$.person.state', person_time timestamp PATH '$.person.dateTime', person_extra text PATH '$.person.extra',
  auction_id bigint PATH '$.auction.id', item_name text PATH '$.auction.itemName', description text PATH '$.auction.description', initial_bid bigint PATH '$.auction.initialBid',
  reserve bigint PATH '$.auction.reserve', auction_time timestamp PATH '$.auction.dateTime', expires timestamp PATH '$.auction.expires', seller bigint PATH '$.auction.seller',
  category bigint PATH '$.auction.category', auction_extra text PATH '$.auction.extra',
  auction bigint PATH '$.bid.auction', bidder bigint PATH '$.bid.bidder', price bigint PATH '$.bid.price', channel text PATH '$.bid.channel', url text PATH '$.bid.url',
  bid_time timestamp PATH '$.bid.dateTime', bid_extra text PATH '$.bid.extra',
  date_time timestamp GENERATED ALWAYS AS (coalesce(bid_time, auction_time, person_time)) VIRTUAL`;

export function nexmarkCatalog(): TestCatalog {
  return new TestCatalog()
    .stream('event', EVENT, { watermark: ['date_time', "date_time - INTERVAL '4 seconds'"] })
    .view('person', 'SELECT person_id AS id, name, email_address, credit_card, city, state, date_time, person_extra AS extra FROM event WHERE event_type = 0')
    .view('auction', 'SELECT auction_id AS id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, auction_extra AS extra FROM event WHERE event_type = 1')
    .view('bid', 'SELECT auction, bidder, price, channel, url, date_time, bid_extra AS extra FROM event WHERE event_type = 2');
}

export const NEXMARK_QUERIES: Readonly<Record<string, string>> = {
  q0: 'SELECT auction, bidder, price, date_time, extra FROM bid',
  q1: 'SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid',
  q2: 'SELECT auction, price FROM bid WHERE auction % 123 = 0',
  q3: "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
  q4: `SELECT category, trunc(avg(final))::bigint AS final
    FROM (SELECT a.category, max(b.price) AS final FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
    GROUP BY category`,
  q5: `WITH counts AS (SELECT window_start, auction, count(*) AS num FROM HOP(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY window_start, auction)
    SELECT c.auction, c.num FROM counts c JOIN (SELECT window_start, max(num) AS maxn FROM counts GROUP BY window_start) m ON c.window_start = m.window_start AND c.num >= m.maxn`,
  q7: `SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
    FROM bid b JOIN (SELECT window_end, max(price) AS maxprice FROM TUMBLE(bid, date_time, INTERVAL '10 seconds') GROUP BY window_end) m
      ON b.price = m.maxprice AND b.date_time BETWEEN m.window_end - INTERVAL '10 seconds' AND m.window_end`,
  q8: `SELECT p.id, p.name, p.window_start
    FROM (SELECT id, name, window_start FROM TUMBLE(person, date_time, INTERVAL '10 seconds') GROUP BY id, name, window_start) p
    JOIN (SELECT seller, window_start FROM TUMBLE(auction, date_time, INTERVAL '10 seconds') GROUP BY seller, window_start) a ON p.id = a.seller AND p.window_start = a.window_start`,
  q11: `SELECT bidder, count(*) AS bid_count, window_start, window_end
    FROM SESSION(bid, date_time, INTERVAL '10 seconds', partition_by => bidder) GROUP BY bidder, window_start, window_end`,
  q14: `SELECT auction, bidder, 0.908 * price AS price,
      CASE WHEN extract(hour FROM date_time) BETWEEN 8 AND 18 THEN 'dayTime' WHEN extract(hour FROM date_time) <= 6 OR extract(hour FROM date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type,
      date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
    FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  q17: `SELECT auction, to_char(date_time, 'YYYY-MM-DD') AS day, count(*) AS total_bids, count(*) FILTER (WHERE price < 10000) AS rank1_bids,
      count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_bids, count(*) FILTER (WHERE price >= 1000000) AS rank3_bids,
      min(price) AS min_price, max(price) AS max_price, trunc(avg(price))::bigint AS avg_price, sum(price)::bigint AS sum_price
    FROM bid GROUP BY auction, to_char(date_time, 'YYYY-MM-DD')`,
  q20: `SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, b.extra, a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_time, a.expires, a.seller, a.category,
      a.extra AS auction_extra FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10`,
  q21: `SELECT auction, bidder, price, channel,
      CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3' ELSE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] END AS channel_id
    FROM bid WHERE (regexp_match(url, '(&|^)channel_id=([^&]*)'))[2] IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
  q22: "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid",
};
