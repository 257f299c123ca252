/** Golden EXPLAIN texts; UPDATE_GOLDEN=1 with nexmark.test.ts prints new ones. */
export const GOLDEN: Readonly<Record<string, string>> = {
  q0: `Materialize v (auction, bidder, price, date_time, extra) · append-only
  Calc
      filter: event_type = 2
      project: auction, bidder, price, coalesce(bid_time, auction_time, person_time) AS date_time, bid_extra AS extra
    Source event (file): event_type, person_time, auction_time, auction, bidder, price, bid_time, bid_extra`,
  q1: `Materialize v (auction, bidder, price, date_time, extra) · append-only
  Calc
      filter: event_type = 2
      project: auction, bidder, 0.908 * price::numeric AS price, coalesce(bid_time, auction_time, person_time) AS date_time, bid_extra AS extra
    Source event (file): event_type, person_time, auction_time, auction, bidder, price, bid_time, bid_extra`,
  q2: `Materialize v (auction, price) · append-only
  Calc
      filter: event_type = 2 AND (auction % 123) = 0
      project: auction, price
    Source event (file): event_type, auction, price`,
  q3: `Materialize v (name, city, state, id) · append-only
  Calc
      project: name, city, state, id
    Hash inner join on seller = id · append-only
      Exchange hash (seller)
        Calc
            filter: event_type = 1 AND category = 10
            project: auction_id AS id, seller
          Source event (file): event_type, person_id, name, city, state, auction_id, seller, category [node 1]
      Exchange hash (id)
        Calc
            filter: event_type = 0 AND state IN ('OR', 'ID', 'CA')
            project: name, city, state, person_id AS id
          (node 1, see above)`,
  q4: `Materialize v (category, final) · key (category)
  Calc
      project: category, trunc(avg)::bigint AS final
    Aggregate by (category) · added up before the exchange · key (category)
        calls: avg(final)
      Exchange hash (category)
        Calc
            project: category, max AS final
          Aggregate by (id, category) · key (id, category)
              calls: max(price)
            Calc
                project: id, category, price
              Hash inner join on id = auction · append-only
                  residual: date_time >= date_time AND date_time <= expires
                Exchange hash (id)
                  Calc
                      filter: event_type = 1
                      project: auction_id AS id, category, coalesce(bid_time, auction_time, person_time) AS date_time, expires
                    Source event (file): event_type, person_time, auction_id, auction_time, expires, category, auction, price, bid_time [node 1]
                Exchange hash (auction)
                  Calc
                      filter: event_type = 2
                      project: price, coalesce(bid_time, auction_time, person_time) AS date_time, auction
                    (node 1, see above)`,
  q5: `Materialize v (auction, num) hidden (window_start) · key (window_start, auction)
  Calc
      project: auction, num, window_start
    Calc
        project: window_start, auction, num, window_start, num AS maxn
      Rows with the largest num by (window_start)
        Exchange hash (window_start)
          Aggregate by (window_start, auction) · frees closed windows · adds ranges to windows · added up before the exchange · key (window_start, auction)
              calls: count(*)
            Exchange hash (auction)
              Calc
                  project: window_start, auction, window_end
                Hop date_time size 10s slide 2s · drops late rows · ranges of windows
                  Calc
                      filter: event_type = 2
                      project: auction, coalesce(bid_time, auction_time, person_time) AS date_time, split_watermark
                    Source event (file): event_type, person_time, auction_time, auction, bid_time, split_watermark
                        watermark: coalesce(bid_time, auction_time, person_time) - '00:00:04'::interval`,
  q7: `Materialize v (auction, price, bidder, date_time, extra)
  Calc
      project: auction, price, bidder, date_time, extra
    Hash inner join on price = maxprice · frees left rows 10 s after date_time
        residual: date_time >= (window_end - '00:00:10'::interval) AND date_time <= window_end
      Exchange hash (price)
        Calc
            filter: event_type = 2
            project: auction, price, bidder, coalesce(bid_time, auction_time, person_time) AS date_time, bid_extra AS extra
          Source event (file): event_type, person_time, auction_time, auction, bidder, price, bid_time, bid_extra, split_watermark [node 1]
              watermark: coalesce(bid_time, auction_time, person_time) - '00:00:04'::interval
      Exchange hash (max)
        Aggregate by (window_end) · frees closed windows · added up before the exchange · key (window_end)
            calls: max(price)
          Exchange hash (window_end)
            Calc
                project: window_end, price
              Tumble date_time size 10s · drops late rows
                Calc
                    filter: event_type = 2
                    project: price, coalesce(bid_time, auction_time, person_time) AS date_time, split_watermark
                  (node 1, see above)`,
  q8: `Materialize v (id, name, window_start) · key (id, name, window_start) · append-only
  Calc
      project: id, name, window_start
    Hash inner join on id = seller AND window_start = window_start · frees left rows 10 s after window_start · frees right rows 10 s after window_start · key (id, name, window_start) · append-only
      Exchange hash (id, window_start)
        Distinct by (id, name, window_start) · frees closed windows · added up before the exchange · key (id, name, window_start) · append-only
          Exchange hash (id, name, window_start)
            Calc
                project: id, name, window_start
              Tumble date_time size 10s · drops late rows
                Calc
                    filter: event_type = 0
                    project: person_id AS id, name, coalesce(bid_time, auction_time, person_time) AS date_time, split_watermark
                  Source event (file): event_type, person_id, name, person_time, auction_time, seller, bid_time, split_watermark [node 1]
                      watermark: coalesce(bid_time, auction_time, person_time) - '00:00:04'::interval
      Distinct by (seller, window_start) · frees closed windows · added up before the exchange · key (seller, window_start) · append-only
        Exchange hash (seller, window_start)
          Calc
              project: seller, window_start
            Tumble date_time size 10s · drops late rows
              Calc
                  filter: event_type = 1
                  project: seller, coalesce(bid_time, auction_time, person_time) AS date_time, split_watermark
                (node 1, see above)`,
  q11: `Materialize v (bidder, bid_count, window_start, window_end) · key (bidder, window_start, window_end)
  Calc
      project: bidder, count AS bid_count, window_start, window_end
    Session aggregate date_time gap 10s by (bidder) · drops late rows · frees closed windows · key (bidder, window_start, window_end)
        calls: count(*)
      Exchange hash (bidder)
        Calc
            filter: event_type = 2
            project: bidder, coalesce(bid_time, auction_time, person_time) AS date_time, split_watermark
          Source event (file): event_type, person_time, auction_time, bidder, bid_time, split_watermark
              watermark: coalesce(bid_time, auction_time, person_time) - '00:00:04'::interval`,
  q14: `Materialize v (auction, bidder, price, bid_time_type, date_time, extra, c_counts) · append-only
  Calc
      filter: event_type = 2 AND (0.908 * price::numeric) > 1000000 AND (0.908 * price::numeric) < 50000000
      project: auction, bidder, 0.908 * price::numeric AS price, CASE WHEN extract('hour', coalesce(bid_time, auction_time, person_time)) >= 8 AND extract('hour', coalesce(bid_time, auction_time, person_time)) <= 18 THEN 'dayTime' WHEN extract('hour', coalesce(bid_time, auction_time, person_time)) <= 6 OR extract('hour', coalesce(bid_time, auction_time, person_time)) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type, coalesce(bid_time, auction_time, person_time) AS date_time, bid_extra AS extra, length(bid_extra) - length(replace(bid_extra, 'c', '')) AS c_counts
    Source event (file): event_type, person_time, auction_time, auction, bidder, price, bid_time, bid_extra`,
  q17: `Materialize v (auction, day, total_bids, rank1_bids, rank2_bids, rank3_bids, min_price, max_price, avg_price, sum_price) · key (auction, day)
  Calc
      project: auction, key AS day, count AS total_bids, count AS rank1_bids, count AS rank2_bids, count AS rank3_bids, min AS min_price, max AS max_price, trunc(avg)::bigint AS avg_price, sum::bigint AS sum_price
    Aggregate by (auction, key) · added up before the exchange · key (auction, key)
        calls: count(*), count(*) filter (filter), count(*) filter (filter), count(*) filter (filter), min(price), max(price), avg(price), sum(price)
      Exchange hash (auction, key)
        Calc
            filter: event_type = 2
            project: auction, to_char(coalesce(bid_time, auction_time, person_time), 'YYYY-MM-DD') AS key, price < 10000 AS filter, price >= 10000 AND price < 1000000 AS filter, price >= 1000000 AS filter, price
          Source event (file): event_type, person_time, auction_time, auction, price, bid_time`,
  q20: `Materialize v (auction, bidder, price, channel, url, date_time, extra, item_name, description, initial_bid, reserve, auction_time, expires, seller, category, auction_extra) · append-only
  Calc
      project: auction, bidder, price, channel, url, date_time, extra, item_name, description, initial_bid, reserve, date_time AS auction_time, expires, seller, category, extra AS auction_extra
    Hash inner join on auction = id · append-only
      Exchange hash (auction)
        Calc
            filter: event_type = 2
            project: auction, bidder, price, channel, url, coalesce(bid_time, auction_time, person_time) AS date_time, bid_extra AS extra
          Source event (file): event_type, person_time, auction_id, item_name, description, initial_bid, reserve, auction_time, expires, seller, category, auction_extra, auction, bidder, price, channel, url, bid_time, bid_extra [node 1]
      Exchange hash (id)
        Calc
            filter: event_type = 1 AND category = 10
            project: item_name, description, initial_bid, reserve, coalesce(bid_time, auction_time, person_time) AS date_time, expires, seller, category, auction_extra AS extra, auction_id AS id
          (node 1, see above)`,
  q21: `Materialize v (auction, bidder, price, channel, channel_id) · append-only
  Calc
      filter: event_type = 2 AND (regexp_match(url, '(&|^)channel_id=([^&]*)')[2] IS NOT NULL OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu'))
      project: auction, bidder, price, channel, CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1' WHEN lower(channel) = 'facebook' THEN '2' WHEN lower(channel) = 'baidu' THEN '3' ELSE regexp_match(url, '(&|^)channel_id=([^&]*)')[2] END AS channel_id
    Source event (file): event_type, auction, bidder, price, channel, url`,
  q22: `Materialize v (auction, bidder, price, channel, dir1, dir2, dir3) · append-only
  Calc
      filter: event_type = 2
      project: auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3
    Source event (file): event_type, auction, bidder, price, channel, url`,
};
