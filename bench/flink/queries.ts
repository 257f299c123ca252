/**
 * Nexmark q0 to q22 in the dialect of Apache Flink 1.20: the table over the same NDJSON file, three views, and the queries, column by column those of
 * ../nexmark/queries.ts (the public benchmark's, nexmark/nexmark, Apache-2.0). Where Flink needs another text than the benchmark's:
 *
 *   q5, q7, q8, q12   the window functions read the stream's rows directly: over a view Flink's planner loses the time attribute
 *   q6                Top-N over Top-N, then GROUP BY: Flink refuses avg(…) OVER over a relation that changes
 *   q10               into the bench's sink, not into partitioned files
 *   q12, q13          event time and a plain join in place of processing time and a look-up join: results that do not depend on speed
 *   q14               char_length arithmetic for the benchmark's own function count_char
 */

const EVENT_COLUMNS = `
  event_type INT,
  person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, dateTime TIMESTAMP(3), extra STRING>,
  auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, dateTime TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
  bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP(3), extra STRING>,
  date_time AS CASE event_type WHEN 0 THEN person.dateTime WHEN 1 THEN auction.dateTime ELSE bid.dateTime END,
  WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND`;

const PERSON = `SELECT person.id AS id, person.name AS name, person.emailAddress AS email_address, person.creditCard AS credit_card, person.city AS city, person.state AS state, date_time, person.extra AS extra
  FROM event WHERE event_type = 0`;
const AUCTION = `SELECT auction.id AS id, auction.itemName AS item_name, auction.description AS description, auction.initialBid AS initial_bid, auction.reserve AS reserve, date_time,
    auction.expires AS expires, auction.seller AS seller, auction.category AS category, auction.extra AS extra
  FROM event WHERE event_type = 1`;
const BID = `SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, bid.channel AS channel, bid.url AS url, date_time, bid.extra AS extra
  FROM event WHERE event_type = 2`;

/** Statements that declare the event table over `file`, the side input of q13 over `side`, and the views. */
export function flinkTables(file: string, side: string): string[] {
  const table = (name: string, columns: string, path: string): string =>
    `CREATE TABLE ${name} (${columns}) WITH ('connector' = 'filesystem', 'path' = 'file://${path.replace(/'/g, "''")}', 'format' = 'json', 'json.timestamp-format.standard' = 'SQL')`;
  return [
    table('event', EVENT_COLUMNS, file),
    table('side_input', '`key` BIGINT, `value` STRING', side),
    `CREATE VIEW person AS ${PERSON}`,
    `CREATE VIEW auction AS ${AUCTION}`,
    `CREATE VIEW bid AS ${BID}`,
  ];
}

const RANKS: readonly (readonly [name: string, where: string])[] = [
  ['total', ''], ['rank1', ' FILTER (WHERE price < 10000)'], ['rank2', ' FILTER (WHERE price >= 10000 AND price < 1000000)'], ['rank3', ' FILTER (WHERE price >= 1000000)'],
];
const countsByRank = (names: readonly (readonly [name: string, what: string])[]): string =>
  names.flatMap(([name, what]) => RANKS.map(([rank, where]) => `count(${what})${where} AS ${rank}_${name}`)).join(', ');
const ALL_COUNTS = countsByRank([['bids', '*'], ['bidders', 'DISTINCT bidder'], ['auctions', 'DISTINCT auction']]);
const DAY = "DATE_FORMAT(date_time, 'yyyy-MM-dd')";

/** Bids, persons or auctions with window_start, window_end. */
const tumble = (rows: string): string => `TABLE(TUMBLE((${rows}), DESCRIPTOR(date_time), INTERVAL '10' SECOND))`;
const HOPPED = `SELECT auction, count(*) AS num, window_start, window_end
    FROM TABLE(HOP((${BID}), DESCRIPTOR(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end`;
const WINNING_BIDS = `SELECT * FROM (
    SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_time, b.extra AS bid_extra, ROW_NUMBER() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time) AS rn
    FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires)
  WHERE rn = 1`;

export const flinkQueries: Readonly<Record<string, string>> = {
  q0: 'SELECT auction, bidder, price, date_time, extra FROM bid',
  q1: 'SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid',
  q2: 'SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0',
  q3: `SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
  q4: `SELECT category, AVG(final) AS final
    FROM (SELECT a.category, MAX(b.price) AS final FROM auction a JOIN bid b ON b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category)
    GROUP BY category`,
  q5: `SELECT c.auction, c.num
    FROM (${HOPPED}) c JOIN (SELECT window_start, window_end, MAX(num) AS maxn FROM (${HOPPED}) GROUP BY window_start, window_end) m
      ON c.window_start = m.window_start AND c.window_end = m.window_end AND c.num >= m.maxn`,
  q6: `SELECT seller, AVG(price) AS avg_price
    FROM (SELECT seller, price, ROW_NUMBER() OVER (PARTITION BY seller ORDER BY bid_time DESC, id DESC) AS nth FROM (${WINNING_BIDS}))
    WHERE nth <= 10
    GROUP BY seller`,
  q7: `SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
    FROM (${BID}) b JOIN (SELECT window_end, MAX(price) AS maxprice FROM ${tumble(BID)} GROUP BY window_start, window_end) m
      ON b.price = m.maxprice AND b.date_time BETWEEN m.window_end - INTERVAL '10' SECOND AND m.window_end`,
  q8: `SELECT p.id, p.name, p.window_start
    FROM (SELECT id, name, window_start, window_end FROM ${tumble(PERSON)} GROUP BY id, name, window_start, window_end) p
    JOIN (SELECT seller, window_start, window_end FROM ${tumble(AUCTION)} GROUP BY seller, window_start, window_end) a
      ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end`,
  q9: `SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra, auction, bidder, price, bid_time, bid_extra FROM (${WINNING_BIDS})`,
  q10: `SELECT auction, bidder, price, date_time, extra, ${DAY} AS \`day\`, DATE_FORMAT(date_time, 'HH:mm') AS \`minute\` FROM bid`,
  q11: `SELECT bidder, count(*) AS bid_count, SESSION_START(date_time, INTERVAL '10' SECOND) AS window_start, SESSION_END(date_time, INTERVAL '10' SECOND) AS window_end
    FROM bid GROUP BY bidder, SESSION(date_time, INTERVAL '10' SECOND)`,
  q12: `SELECT bidder, count(*) AS bid_count, window_start, window_end FROM ${tumble(BID)} GROUP BY bidder, window_start, window_end`,
  q13: `SELECT b.auction, b.bidder, b.price, b.date_time, s.\`value\` FROM (${BID}) b JOIN side_input s ON MOD(b.auction, 10000) = s.\`key\``,
  q14: `SELECT auction, bidder, 0.908 * price AS price,
      CASE WHEN HOUR(date_time) >= 8 AND HOUR(date_time) <= 18 THEN 'dayTime' WHEN HOUR(date_time) <= 6 OR HOUR(date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type,
      date_time, extra, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', '')) AS c_counts
    FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  q15: `SELECT ${DAY} AS \`day\`, ${ALL_COUNTS} FROM bid GROUP BY ${DAY}`,
  q16: `SELECT channel, ${DAY} AS \`day\`, MAX(DATE_FORMAT(date_time, 'HH:mm')) AS \`minute\`, ${ALL_COUNTS} FROM bid GROUP BY channel, ${DAY}`,
  q17: `SELECT auction, ${DAY} AS \`day\`, ${countsByRank([['bids', '*']])}, MIN(price) AS min_price, MAX(price) AS max_price, AVG(price) AS avg_price, SUM(price) AS sum_price
    FROM bid GROUP BY auction, ${DAY}`,
  q18: `SELECT auction, bidder, price, channel, url, date_time, extra
    FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rn FROM bid) WHERE rn <= 1`,
  q19: `SELECT auction, bidder, price, channel, url, date_time, extra, rn
    FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rn FROM bid) WHERE rn <= 10`,
  q20: `SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, b.extra, a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_time, a.expires, a.seller, a.category, a.extra AS auction_extra
    FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10`,
  q21: `SELECT auction, bidder, price, channel,
      CASE WHEN LOWER(channel) = 'apple' THEN '0' WHEN LOWER(channel) = 'google' THEN '1' WHEN LOWER(channel) = 'facebook' THEN '2' WHEN LOWER(channel) = 'baidu' THEN '3'
        ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
    FROM bid WHERE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) IS NOT NULL OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
  q22: "SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2, SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid",
};
