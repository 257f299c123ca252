/** Golden EXPLAIN texts; UPDATE_GOLDEN=1 with planquery.test.ts prints new ones. */
export const GOLDEN: Readonly<Record<string, string>> = {
  [`job: SELECT t FROM k`]: `Materialize v (t) hidden (a) · key (a)
  Exchange hash (a)
    Calc
        project: t, a
      Table k: a, t`,
  [`job: SELECT count(*) FROM k`]: `Materialize v (count) · key ()
  Aggregate · added up before the exchange · key ()
      calls: count(*)
    Exchange single
      Table k: no columns`,
  [`job: SELECT k.t, h.y FROM k LEFT JOIN h ON k.b = h.x`]: `Materialize v (t, y) hidden (a, _row_id) · key (a, _row_id)
  Exchange hash (a, _row_id)
    Calc
        project: t, y, a, _row_id
      Hash left join on b = x · key (a, _row_id)
        Exchange hash (b)
          Table k: a, b, t
        Exchange hash (x)
          Table h: x, y, _row_id`,
  [`job: SELECT k.t, h.y FROM k, h WHERE k.b = h.x AND h.y = 'q'`]: `Materialize v (t, y) hidden (a, _row_id) · key (a, _row_id)
  Exchange hash (a, _row_id)
    Calc
        project: t, y, a, _row_id
      Hash inner join on b = x · key (a, _row_id)
        Exchange hash (b)
          Table k: a, b, t
        Exchange hash (x)
          Calc
              filter: y = 'q'
              project: y, _row_id, x
            Table h: x, y, _row_id`,
  [`job: SELECT k.t FROM k LEFT JOIN h ON k.b = h.x WHERE h.y = 'q'`]: `Materialize v (t) hidden (a, _row_id) · key (a, _row_id)
  Exchange hash (a, _row_id)
    Calc
        project: t, a, _row_id
      Hash inner join on b = x · key (a, _row_id)
        Exchange hash (b)
          Table k: a, b, t
        Exchange hash (x)
          Calc
              filter: y = 'q'
              project: _row_id, x
            Table h: x, y, _row_id`,
  [`job: SELECT a FROM k WHERE EXISTS (SELECT 1 FROM h WHERE h.x = k.b AND h.y = 'z')`]: `Materialize v (a) · key (a)
  Exchange hash (a)
    Calc
        project: a
      Hash semi join on b = x · key (a)
        Exchange hash (b)
          Table k: a, b
        Exchange hash (x)
          Calc
              filter: y = 'z'
              project: x
            Table h: x, y`,
  [`job: SELECT a FROM k WHERE NOT EXISTS (SELECT 1 FROM h WHERE h.x = k.b)`]: `Materialize v (a) · key (a)
  Exchange hash (a)
    Calc
        project: a
      Hash anti join on b = x · key (a)
        Exchange hash (b)
          Table k: a, b
        Exchange hash (x)
          Table h: x`,
  [`job: SELECT a FROM k WHERE b IN (SELECT x FROM h)`]: `Materialize v (a) · key (a)
  Exchange hash (a)
    Calc
        project: a
      Hash semi join on b = x · key (a)
        Exchange hash (b)
          Table k: a, b
        Exchange hash (x)
          Table h: x`,
  [`job: SELECT window_start, sum(v) FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE`]: `Materialize v (window_start, sum) · key (window_start) · append-only
  Aggregate by (window_start) · emits on window close · added up before the exchange · key (window_start) · append-only
      calls: sum(v)
    Exchange hash (window_start)
      Calc
          project: window_start, v
        Tumble ts size 1min · drops late rows
          Source s (file): v, ts, split_watermark
              watermark: ts - '00:00:01'::interval`,
  [`job: SELECT window_end, m, count(*) FROM (SELECT window_end, id, max(v) m FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY 1, 2) q GROUP BY 1, 2 EMIT ON WINDOW CLOSE`]: `Materialize v (window_end, m, count) · key (window_end, m) · append-only
  Aggregate by (window_end, m) · emits on window close · key (window_end, m) · append-only
      calls: count(*)
    Exchange hash (window_end, m)
      Calc
          project: window_end, max AS m
        Aggregate by (window_end, id) · emits on window close · key (window_end, id) · append-only
            calls: max(v)
          Exchange hash (window_end, id)
            Calc
                project: window_end, id, v
              Tumble ts size 1min · drops late rows
                Source s (file): id, v, ts, split_watermark
                    watermark: ts - '00:00:01'::interval`,
  [`job: SELECT window_start, count(*) FROM TUMBLE(s, ts, INTERVAL '1 minute') w JOIN f ON w.id = f.id GROUP BY window_start`]: `Materialize v (window_start, count) · key (window_start)
  Aggregate by (window_start) · added up before the exchange · key (window_start)
      calls: count(*)
    Exchange hash (window_start)
      Calc
          project: window_start
        Hash inner join on id = id · append-only
          Exchange hash (id)
            Calc
                project: window_start, id
              Tumble ts size 1min · drops late rows
                Source s (file): id, ts, split_watermark
                    watermark: ts - '00:00:01'::interval
          Exchange hash (id)
            Source f (file): id`,
  [`job: SELECT window_start, count(*) FROM TUMBLE(f, ts, INTERVAL '1 minute') GROUP BY window_start`]: `Materialize v (window_start, count) · key (window_start)
  Aggregate by (window_start) · added up before the exchange · key (window_start)
      calls: count(*)
    Exchange hash (window_start)
      Calc
          project: window_start
        Tumble ts size 1min
          Source f (file): ts`,
  [`job: SELECT window_start, id, grouping(id), sum(v) FROM TUMBLE(s, ts, INTERVAL '1 minute') GROUP BY window_start, ROLLUP (id) EMIT ON WINDOW CLOSE`]: `Materialize v (window_start, id, "grouping", sum) hidden (grouping_set) · key (window_start, id, grouping_set) · append-only
  Calc
      project: window_start, id, CASE WHEN grouping_set IN (1) THEN 1 ELSE 0 END AS "grouping", sum, grouping_set
    Aggregate by (window_start, id, grouping_set) · emits on window close · added up before the exchange · key (window_start, id, grouping_set) · append-only
        calls: sum(v)
      Exchange hash (window_start, id, grouping_set)
        Union all
          Calc
              project: window_start, v, id, 0 AS grouping_set
            Calc [node 3]
                project: window_start, v, id
              Tumble ts size 1min · drops late rows
                Source s (file): id, v, ts, split_watermark
                    watermark: ts - '00:00:01'::interval
          Calc
              project: window_start, v, NULL AS id, 1 AS grouping_set
            (node 3, see above)`,
  [`job: SELECT k.t, h.y, count(*) FILTER (WHERE h.x > 1), max(a + x) FROM k JOIN h ON k.b = h.x WHERE h.y = 'q' GROUP BY ROLLUP (k.t, h.y) HAVING k.t IS NULL`]: `Materialize v (t, y, count, max) hidden (grouping_set) · key (t, y, grouping_set)
  Calc
      project: t, y, count, max, grouping_set
    Aggregate by (t, y, grouping_set) · key (t, y, grouping_set)
        calls: count(*) filter (filter), max(arg) filter (present)
      Exchange hash (t, y, grouping_set)
        Calc
            filter: t IS NULL
            project: t, y, grouping_set, present AND x > 1 AS filter, CASE WHEN present THEN a + x END AS arg, present
          Union all
            Calc
                project: x, a, t, y, 0 AS grouping_set, true AS present
              Calc [node 7]
                  project: x, a, t, y
                Hash inner join on b = x
                  Exchange hash (b)
                    Table k: a, b, t
                  Exchange hash (x)
                    Calc
                        filter: y = 'q'
                        project: x, y
                      Table h: x, y
            Calc
                project: x, a, t, NULL AS y, 1 AS grouping_set, true AS present
              (node 7, see above)
            Calc
                project: x, a, NULL AS t, NULL AS y, 2 AS grouping_set, true AS present
              (node 7, see above)
            Rows (1)`,
  [`job: SELECT b, t, count(*) FROM k GROUP BY b, GROUPING SETS ((t), ()) HAVING b > 1`]: `Materialize v (b, t, count) hidden (grouping_set) · key (b, t, grouping_set)
  Calc
      project: b, t, count, grouping_set
    Aggregate by (b, t, grouping_set) · added up before the exchange · key (b, t, grouping_set)
        calls: count(*)
      Exchange hash (b, t, grouping_set)
        Union all
          Calc
              project: b, t, 0 AS grouping_set
            Calc [node 2]
                filter: b > 1
                project: b, t
              Table k: b, t
          Calc
              project: b, NULL AS t, 1 AS grouping_set
            (node 2, see above)`,
  [`job: SELECT DISTINCT id FROM s`]: `Materialize v (id) · key (id) · append-only
  Distinct by (id) · added up before the exchange · key (id) · append-only
    Exchange hash (id)
      Source s (file): id`,
  [`job: SELECT id FROM s UNION SELECT a FROM k`]: `Materialize v (id) · key (id)
  Distinct by (id) · added up before the exchange · key (id)
    Exchange hash (id)
      Union all
        Source s (file): id
        Calc
            project: a::bigint AS id
          Table k: a`,
  [`job: SELECT b FROM k EXCEPT SELECT x FROM h`]: `Materialize v (b) · key (b)
  Calc
      filter: rows > 0 AND rows = 0
      project: b
    Aggregate by (b) · added up before the exchange · key (b)
        calls: count(*) filter (side), count(*) filter (filter)
      Exchange hash (b)
        Calc
            project: b, side, NOT side AS filter
          Union all
            Calc
                project: b, true AS side
              Table k: b
            Calc
                project: x AS b, false AS side
              Table h: x`,
  [`job: SELECT b FROM k EXCEPT ALL SELECT x FROM h`]: `Materialize v (b)
  Calc
      project: b
    Unnest generate_series(1, rows - rows)
      Aggregate by (b) · added up before the exchange · key (b)
          calls: count(*) filter (side), count(*) filter (filter)
        Exchange hash (b)
          Calc
              project: b, side, NOT side AS filter
            Union all
              Calc
                  project: b, true AS side
                Table k: b
              Calc
                  project: x AS b, false AS side
                Table h: x`,
  [`job: SELECT b, n + 1 AS n FROM mv ORDER BY n`]: `Materialize v (b, n) · key (b)
  Exchange hash (b)
    Calc
        project: b, n + 1 AS n
      View mv: b, n`,
  [`job: SELECT now() AS at, id FROM s`]: `Materialize v (at, id) · append-only
  Calc · nondeterministic
      project: now() AS at, id
    Source s (file): id`,
  [`job: SELECT * FROM k CROSS JOIN h`]: `Materialize v (a, b, t, x, y) hidden (_row_id) · key (a, _row_id)
  Nested inner join · key (a, _row_id)
    Exchange single
      Table k: a, b, t
    Exchange single
      Table h: x, y, _row_id`,
  [`job: SELECT k.a, h.x FROM k FULL JOIN h ON k.a = h.x`]: `Materialize v (a, x) hidden (_row_id) · key (a, _row_id)
  Exchange hash (a, _row_id)
    Hash full join on a = x · key (a, _row_id)
      Exchange hash (a)
        Table k: a
      Exchange hash (x)
        Table h: x, _row_id`,
  [`job: SELECT id, u FROM s, unnest(ARRAY[1,2]) u WHERE id > 5 AND u = 2`]: `Materialize v (id, u) · append-only
  Calc
      filter: unnest = 2
      project: id, unnest AS u
    Unnest unnest(ARRAY[1, 2])
      Calc
          filter: id > 5
          project: id
        Source s (file): id`,
  [`job: SELECT b, c FROM (SELECT b, count(*) AS c FROM k GROUP BY b) q WHERE b > 3 AND c > 1`]: `Materialize v (b, c) · key (b)
  Calc
      filter: count > 1
      project: b, count AS c
    Aggregate by (b) · added up before the exchange · key (b)
        calls: count(*)
      Exchange hash (b)
        Calc
            filter: b > 3
            project: b
          Table k: b`,
  [`job: WITH q AS (SELECT b, count(*) AS c FROM k GROUP BY b) SELECT x.b, y.c FROM q x JOIN q y ON x.b = y.c`]: `Materialize v (b, c) hidden (b) · key (b, b)
  Exchange hash (b, b)
    Calc
        project: b, c, b
      Hash inner join on key = c · key (b, b)
        Exchange hash (key)
          Calc
              project: b, b::bigint AS key
            Aggregate by (b) · added up before the exchange · key (b) [node 3]
                calls: count(*)
              Exchange hash (b)
                Table k: b
        Exchange hash (count)
          (node 3, see above)`,
  [`batch: SELECT a, $1::int + 1, b = $2 FROM k WHERE t = $3 ORDER BY b DESC LIMIT 5 OFFSET $4`]: `Output (a, "?column?", "?column?")
  Calc
      project: a, "?column?", "?column?"
    Limit 5 offset $4
      Sort by sort desc
        Calc
            filter: t = $3
            project: a, $1 + 1 AS "?column?", b = $2 AS "?column?", b AS sort
          Table k: a, b, t`,
  [`batch: SELECT a FROM k ORDER BY t LIMIT 5`]: `Output (a)
  Calc
      project: a
    Limit 5
      Sort by sort top 5
        Table k: a, t`,
  [`batch: SELECT b, count(*), (SELECT max(x) FROM h WHERE h.x = k.b) FROM k GROUP BY b HAVING count(*) > 1 ORDER BY 2`]: `Output (b, count, max)
  Sort by count
    Calc
        filter: count > 1
        project: b, count, scalar(subplan) AS max
        subplan (scalar)
          Output (max)
            Aggregate · key () · append-only
                calls: max(x)
              Calc
                  filter: x = outer.0
                  project: x
                Table h: x
      Aggregate by (b) · key (b) · append-only
          calls: count(*)
        Table k: b`,
  [`batch: SELECT 1 + 2, lower('ABC'), 1/0`]: `Output ("?column?", lower, "?column?")
  Calc
      project: 3 AS "?column?", 'abc' AS lower, 1 / 0 AS "?column?"
    Rows (1)`,
  [`batch: SELECT random() r, generate_series(1,3)`]: `Output (r, generate_series)
  Calc · nondeterministic
      project: random() AS r, generate_series
    Unnest generate_series(1, 3)
      Rows (1)`,
  [`batch: SELECT * FROM k WHERE a NOT IN (SELECT x FROM h)`]: `Output (a, b, t)
  Calc
      filter: NOT (a = any(subplan))
      project: a, b, t
      subplan (any)
        Output (x)
          Table h: x
    Table k: a, b, t`,
  [`batch: SELECT x FROM (SELECT random() AS x FROM k) q WHERE x > 0.5 AND x < 0.9`]: `Output (x)
  Calc
      filter: x > '0.5'::double precision AND x < '0.9'::double precision
      project: x
    Calc · nondeterministic
        project: random() AS x
      Table k: no columns`,
  [`batch: SELECT n FROM mv WHERE b = 3`]: `Output (n)
  Calc
      filter: b = 3
      project: n
    View mv: b, n`,
  [`write: INSERT INTO k VALUES (1, 2, 'x'), ($1, DEFAULT, $2)`]: `Output (a, b, t)
  Rows (2)`,
  [`write: INSERT INTO h (x) VALUES (1)`]: `Output (x, y)
  Calc
      project: x, 'abc' AS y
    Rows (1)`,
  [`write: INSERT INTO h SELECT a, t FROM k`]: `Output (x, y)
  Table k: a, t`,
  [`write: INSERT INTO h DEFAULT VALUES`]: `Output (x, y)
  Calc
      project: NULL AS x, 'abc' AS y
    Rows (1)`,
  [`write: UPDATE k SET b = b + 1, t = 'q' WHERE a = $1`]: `Output (a, b, t, a, b, t)
  Calc
      filter: a = $1
      project: a, b, t, a, b + 1 AS b, 'q' AS t
    Table k: a, b, t`,
  [`write: UPDATE h SET y = DEFAULT`]: `Output (x, y, _row_id, x, y, _row_id)
  Calc
      project: x, y, _row_id, x, 'abc' AS y, _row_id
    Table h: x, y, _row_id`,
  [`write: DELETE FROM h USING k WHERE h.x = k.a`]: `Output (x, y, _row_id)
  Hash semi join on x = a · key (_row_id) · append-only
    Table h: x, y, _row_id
    Table k: a`,
  [`write: DELETE FROM h WHERE x IN (SELECT a FROM k)`]: `Output (x, y, _row_id)
  Hash semi join on x = a · key (_row_id) · append-only
    Table h: x, y, _row_id
    Table k: a`,
  [`job: SELECT a, t FROM (SELECT *, row_number() OVER (PARTITION BY b ORDER BY a DESC) AS rn FROM k) q WHERE rn <= 3 AND b > 1 AND a < 9`]: `Materialize v (a, t) · key (a)
  Exchange hash (a)
    Calc
        filter: a < 9
        project: a, t
      Top 3 by (b) order by a desc · key (a)
        Exchange hash (b)
          Calc
              filter: b > 1
              project: b, a, t
            Table k: a, b, t`,
  [`job: SELECT a, rn FROM (SELECT *, row_number() OVER (PARTITION BY b ORDER BY a DESC) AS rn FROM k) q WHERE rn < 4`]: `Materialize v (a, rn) hidden (b) · key (b, rn)
  Calc
      project: a, row_number AS rn, b
    Top 3 by (b) order by a desc · with rank · key (b, row_number)
      Exchange hash (b)
        Table k: a, b`,
  [`job: SELECT id, v FROM (SELECT *, row_number() OVER (PARTITION BY id % 5 ORDER BY ts DESC) AS rn FROM s) q WHERE 1 = rn`]: `Materialize v (id, v) hidden (partition) · key (partition)
  Calc
      project: id, v, partition
    Top 1 by (partition) order by ts desc · key (partition)
      Exchange hash (partition)
        Calc
            project: id % 5 AS partition, ts, id, v
          Source s (file): id, v, ts`,
  [`job: SELECT id FROM (SELECT *, rank() OVER (PARTITION BY id ORDER BY v) AS r FROM s) q WHERE r BETWEEN 2 AND 3`]: `Materialize v (id)
  Calc
      project: id
    Top 2 to 3 in rank by (id) order by v
      Exchange hash (id)
        Source s (file): id, v`,
  [`job: SELECT id FROM (SELECT *, dense_rank() OVER (ORDER BY v) AS r FROM s) q WHERE r > 2`]: `Materialize v (id)
  Calc
      filter: dense_rank > 2
      project: id
    Over order by v
        calls: dense_rank()
      Exchange single
        Source s (file): id, v`,
  [`job: SELECT DISTINCT ON (b) b, t FROM k ORDER BY b, a DESC`]: `Materialize v (b, t) · key (b)
  Calc
      project: b, t
    Top 1 by (b) order by sort desc · key (b)
      Exchange hash (b)
        Table k: a, b, t`,
  [`job: SELECT id FROM s ORDER BY v DESC LIMIT 10`]: `Materialize v (id)
  Calc
      project: id
    Top 10 order by sort desc
      Exchange single
        Source s (file): id, v`,
  [`job: SELECT id FROM s ORDER BY v LIMIT 10 OFFSET 5`]: `Materialize v (id)
  Calc
      project: id
    Top 6 to 15 order by sort
      Exchange single
        Source s (file): id, v`,
  [`job: SELECT a, sum(a) OVER w, lag(t, 2, '-') OVER w, count(*) FILTER (WHERE a > 1) OVER (w ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING) FROM k WINDOW w AS (PARTITION BY b ORDER BY a)`]: `Materialize v (a, sum, lag, count) · key (a)
  Exchange hash (a)
    Calc
        project: a, sum, lag, count
      Over by (b) order by a · key (a)
          calls: sum(a), lag(t, arg, arg), count(*) filter (filter) rows between 1 preceding and 2 following
        Exchange hash (b)
          Calc
              project: b, a, t, 2 AS arg, '-' AS arg, a > 1 AS filter
            Table k: a, b, t`,
  [`job: SELECT b, sum(count(*)) OVER (ORDER BY b) FROM k GROUP BY b`]: `Materialize v (b, sum) · key (b)
  Calc
      project: b, sum
    Over order by b · key (b)
        calls: sum(count)
      Exchange single
        Aggregate by (b) · added up before the exchange · key (b)
            calls: count(*)
          Exchange hash (b)
            Table k: b`,
};
