/** Types and names of results are PostgreSQL's: each expression is described by both. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { SqlError } from '../../types/error.js';
import { typeOid } from '../../types/typeinfo.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import { planQuery } from '../plan/planquery.js';
import { TestCatalog } from '../testcatalog.js';

const COLUMNS = `i2 smallint, i4 integer, i8 bigint, f4 real, f8 float8, n numeric, n2 numeric(10,2), t text, vc varchar(5), bc char(3), b boolean, d date, ti time, ts timestamp, tz timestamptz,
  iv interval, j json, jb jsonb, u uuid, ia integer[], ta text[], by bytea`;
const SELECTS: readonly string[] = [
  '1, -1, 3000000000, 99999999999999999999, 1.5, 1e3, true, null, \'x\', \'x\'::varchar(3)', 'i2 + i2, i2 + i4, i4 + i8, i4 * n, i4 + f4, f4 + f8, n + f8, i8 / i2, i4 % 3, i4 ^ 2, -i2, +f4',
  "i4 + '1', '1' + i8, '2' * n, i4 / 2, 7 / 2, 7.0 / 2, i4 + 1.5", 'd + 1, d - d, ts - ts, ts + iv, tz - iv, d + ti, iv * 2, iv / 2, ti - ti, d + iv, 1 + d',
  "t || 'x', t || i4, vc || bc, 'a' || 'b', ia || 1, ia || ia, 1 || ia, jb || jb, ta || 'x'::text", 'i4 = i8, t < vc, b AND i4 > 1, NOT b, d < ts, t LIKE \'a%\', t ~ \'x\', n = 1, ia = ARRAY[1]',
  'CASE WHEN b THEN 1 ELSE 2.5 END, CASE i4 WHEN 1 THEN \'a\' END, CASE WHEN b THEN i4 ELSE i8 END, CASE WHEN b THEN vc ELSE t END, CASE WHEN b THEN NULL ELSE d END',
  "coalesce(i4, i8), coalesce(null, 1), coalesce(vc, 'x'), nullif(i4, 1), nullif(t, 'x'), greatest(i4, n), least(1, 2.5, i8), greatest(d, ts)",
  'i4::text, t::integer, n::int8, i4::numeric(5,1), t::varchar(3), f8::int, i4::bool, ts::date, d::timestamp, tz::date, ti::interval, t::jsonb, jb::int, t::int[], ia::text[], CAST(t AS char(4))',
  'ARRAY[1,2], ARRAY[1, 2.5], ARRAY[t, vc], ARRAY[[1],[2]], ARRAY[]::int[], ia[1], ia[1:2], ta[1], (ARRAY[i8])[1]', "jb -> 'a', jb ->> 'a', j -> 0, jb #> '{a}', jb #>> '{a}', jb @> '{}', jb ? 'a', jb - 'a'",
  'abs(i4), abs(n), round(n), round(n, 2), round(f8), ceil(n), floor(f8), trunc(n), sqrt(f8), sqrt(i4), power(2, 3), power(n, 2), mod(i4, i2), mod(i8, 2), sign(n), exp(1), ln(n)',
  "lower(t), upper(vc), length(t), length(bc), substring(t from 1 for 2), substring(t, 2), position('a' in t), trim(t), ltrim(t), replace(t, 'a', 'b'), split_part(t, ',', 1), concat(t, 1, d), left(t, 2), lpad(t, 5), md5(t), chr(65), ascii(t), reverse(t), repeat(t, 2), initcap(t), strpos(t, 'a'), starts_with(t, 'a')",
  "extract(year from ts), extract(hour from tz), date_part('hour', ts), date_trunc('day', ts), date_trunc('day', tz), to_char(ts, 'YYYY'), to_char(n, '999'), age(ts, ts), to_timestamp(f8), make_date(2020, 1, 1), ts AT TIME ZONE 'UTC', tz AT TIME ZONE 'UTC', to_date(t, 'YYYY')",
  'current_date, current_timestamp, localtimestamp, now(), current_user, current_database()', 'b IS TRUE, i4 IS NULL, i4 IS DISTINCT FROM i8, i4 IN (1, 2), i4 IN (1, 2.5), i4 BETWEEN 1 AND 2, i4 = ANY(ia), t = ANY(\'{a}\'), i4 > ALL(ia)',
  "regexp_match(t, 'x'), regexp_replace(t, 'a', 'b'), string_to_array(t, ','), array_to_string(ta, ','), array_length(ia, 1), cardinality(ia), array_append(ia, 1), to_jsonb(i4), jsonb_build_object('a', 1), jsonb_typeof(jb), array_position(ia, 2)",
  'count(*), count(i4), sum(i2), sum(i4), sum(i8), sum(n), sum(f4), sum(f8), sum(iv), avg(i4), avg(i8), avg(n), avg(f4), avg(f8), avg(iv), min(t), max(d), min(vc), max(bc), bool_and(b), string_agg(t, \',\'), array_agg(i4), array_agg(ia), jsonb_agg(i4), max(i2), min(n2)',
  'i4 AS "Weird", t::text, lower(t)', 'EXISTS (SELECT 1), ARRAY(SELECT i4 FROM k), (SELECT i8 FROM k), i4 IN (SELECT 1)', 'SELECT x.* FROM (SELECT 1, \'a\', NULL) x', 'SELECT column1, column2 FROM (VALUES (1, \'a\'), (2.5, NULL)) v',
  'SELECT 1 UNION SELECT 2.5', "SELECT 'a' UNION ALL SELECT NULL", 'SELECT NULL UNION SELECT 1', "SELECT '2020-01-01' UNION SELECT current_date", 'SELECT * FROM k a JOIN k b USING (i4)', 'SELECT g, o FROM generate_series(1, 3) WITH ORDINALITY AS s(g, o)', 'SELECT u FROM unnest(ARRAY[1.5]) u', 'generate_series(1, 3::bigint)', 'unnest(ARRAY[\'a\'])',
  'SELECT * FROM jsonb_each(\'{}\') e', 'SELECT * FROM regexp_split_to_table(\'a\', \'b\') r', 'overlay(t placing \'x\' from 2), bit_length(t), octet_length(by), encode(by, \'hex\'), decode(t, \'hex\')', 'pg_typeof(i4), interval \'1 day\', date \'2020-01-01\', timestamp \'2020-01-01\', interval \'1\' minute',
];

let db: PGlite;
let catalog: TestCatalog;
before(async () => {
  await loadParser();
  db = await PGlite.create();
  await db.exec(`CREATE TABLE k (${COLUMNS})`);
  catalog = new TestCatalog().table('k', COLUMNS, null);
});
after(async () => { await db.close(); });

for (const list of SELECTS) {
  test(`types and names of ${list.slice(0, 80)}`, async () => {
    const sql = list.startsWith('SELECT ') ? list : `SELECT ${list} FROM k`;
    const { fields } = await db.query(`${sql} LIMIT 0`);
    let planned;
    try { planned = planQuery(parseQuery(sql), catalog, { kind: 'batch' }, []); } catch (e) {
      if (e instanceof SqlError) throw new Error(`${e.message} at: ${sql.slice((e.position ?? 1) - 1, (e.position ?? 1) + 40)}`, { cause: e });
      throw e;
    }
    assert.deepEqual(planned.columns.map((c) => `${c.name} ${typeOid(c.type)}`), fields.map((f) => `${f.name} ${f.dataTypeID}`));
  });
}
