/**
 * Plans mean what PostgreSQL means: each query's batch plan, and its job plan where there is one, is evaluated over small tables by the plainest
 * possible reading of the nodes (rows as arrays, nested loops), and must give PostgreSQL's rows.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { SqlArray } from '../../types/array.js';
import { SqlError } from '../../types/error.js';
import type { AggregateCall, JoinNode, Plan, PlanNode, SortKey } from '../../types/plan.js';
import type { SubplanExpr } from '../../types/expr.js';
import { setFunctionById } from '../../types/functions/registry.js';
import { formatDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import { caller, CONSTANT_CONTEXT, interpret } from '../../runtime/codegen/interpret.js';
import { TestRun } from '../../runtime/operators/testrun.js';
import { batchFromDatums, datumRow } from '../../runtime/vectors.js';
import { loadParser, parseQuery } from '../parse/parser.js';
import { TestCatalog } from '../testcatalog.js';
import { planQuery } from './planquery.js';

type Row = readonly Datum[];
const TABLES: Readonly<Record<string, readonly Row[]>> = {
  k: [[1, 10, 'x'], [2, 20, 'y'], [3, 20, null], [4, null, 'x'], [5, 30, 'z']],
  h: [[10, 'p', 1], [20, 'q', 2], [20, 'r', 3], [40, null, 4], [null, 's', 5]],
  e: [],
};
const CREATE = { k: 'a integer, b integer, t text', h: 'x integer, y text', e: 'a integer, z integer' };

class Evaluator {
  readonly #outer: Datum[];
  constructor(outer: readonly Datum[]) { this.#outer = [...outer]; }

  run(plan: Plan): Row[] {
    const done = new Map<number, Row[]>();
    const byId = new Map(plan.nodes.map((n) => [n.id, n]));
    for (const n of plan.nodes) done.set(n.id, this.#node(n, n.inputs.map((i) => done.get(i) ?? []), n.inputs.map((i) => byId.get(i) as PlanNode)));
    return done.get(plan.roots[0] ?? -1) ?? [];
  }

  #fn(expr: Parameters<typeof interpret>[0]): (row: Row) => Datum {
    const f = interpret(expr, { run: (sub, outer, left) => subplan(sub, outer, left) });
    const ctx = { ...CONSTANT_CONTEXT, outer: this.#outer };
    return (row) => f(row, ctx);
  }

  #node(n: PlanNode, inputs: readonly Row[][], nodes: readonly PlanNode[]): Row[] {
    const [input = []] = inputs;
    switch (n.op) {
      case 'table': return (TABLES[n.tableName] ?? []).map((r) => n.fields.map((f) => r[f] ?? null));
      case 'rows': return n.rows.map((r) => r.map((e) => this.#fn(e)([])));
      case 'calc': {
        const filter = n.filter === null ? null : this.#fn(n.filter);
        const project = n.project.map((e) => this.#fn(e));
        return input.filter((r) => filter === null || filter(r) === true).map((r) => project.map((p) => p(r)));
      }
      case 'unnest': {
        const width = n.columns.length - (nodes[0]?.columns.length ?? 0);
        return input.flatMap((r) => {
          const beside = [n, ...n.beside ?? []].map((f) => {
            const values = f.args.map((a) => this.#fn(a)(r));
            const def = setFunctionById(f.fn);
            return def === null || (def.strict && values.includes(null)) ? [] : [...def.evaluate(CONSTANT_CONTEXT, values, f.args.map((a) => a.type))];
          });
          const rows = beside.length === 1 ? beside[0] ?? [] : Array.from({ length: Math.max(...beside.map((x) => x.length)) }, (_, i) => beside.map((x) => x[i]?.[0] ?? null));
          if (rows.length === 0 && n.outer) return [[...r, ...Array.from({ length: width }, () => null)]];
          return rows.map((s, i) => [...r, ...s, ...(n.ordinality ? [i + 1] : [])]);
        });
      }
      case 'join': return this.#join(n, input, inputs[1] ?? [], nodes);
      case 'aggregate': return this.#aggregate(n.groupKeys, n.calls, input, nodes[0] as PlanNode);
      case 'union': return inputs.flat();
      case 'sort': return sorted(input, n.keys).slice(0, n.top ?? input.length);
      case 'limit': {
        const given = n.given === undefined ? [n.limit, n.offset] : [n.given.limit, n.given.offset].map((e) => (e === null ? null : this.#fn(e)([])));
        const [limit, offset] = given.map((v) => (v === null ? null : Number(v)));
        return input.slice(offset ?? 0).slice(0, limit ?? input.length);
      }
      case 'output': case 'materialize': return input.map((r) => r.slice(0, n.visible));
      case 'exchange': return input;
      default: throw new Error(`not in this test: ${n.op}`);
    }
  }

  #join(n: JoinNode, left: Row[], right: Row[], nodes: readonly PlanNode[]): Row[] {
    const residual = n.residual === null ? null : this.#fn(n.residual);
    const keyText = (r: Row, keys: readonly number[], node: PlanNode | undefined): string | null => {
      const parts = keys.map((k) => { const v = r[k] ?? null; return v === null ? null : text(v, node?.columns[k]?.type ?? { kind: 'text' }); });
      return parts.includes(null) ? null : JSON.stringify(parts);
    };
    const matches = (l: Row, r: Row): boolean => {
      const lk = keyText(l, n.leftKeys, nodes[0]);
      return lk !== null && lk === keyText(r, n.rightKeys, nodes[1]) && (residual === null || residual([...l, ...r]) === true);
    };
    const nulls = (node: PlanNode | undefined): Row => (node?.columns ?? []).map(() => null);
    if (n.kind === 'semi' || n.kind === 'anti') return left.filter((l) => right.some((r) => matches(l, r)) === (n.kind === 'semi'));
    const out: Row[] = left.flatMap((l) => right.filter((r) => matches(l, r)).map((r) => [...l, ...r]));
    if (n.kind === 'left' || n.kind === 'full') out.push(...left.filter((l) => !right.some((r) => matches(l, r))).map((l) => [...l, ...nulls(nodes[1])]));
    if (n.kind === 'right' || n.kind === 'full') out.push(...right.filter((r) => !left.some((l) => matches(l, r))).map((r) => [...nulls(nodes[0]), ...r]));
    return out;
  }

  #aggregate(keys: readonly number[], calls: readonly AggregateCall[], input: Row[], node: PlanNode): Row[] {
    const groups = new Map<string, { key: Row; rows: Row[] }>();
    if (keys.length === 0) groups.set('[]', { key: [], rows: [] });
    for (const r of input) {
      const key = keys.map((k) => r[k] ?? null);
      const id = JSON.stringify(key.map((v, i) => (v === null ? null : text(v, node.columns[keys[i] ?? 0]?.type ?? { kind: 'text' }))));
      let g = groups.get(id);
      if (g === undefined) { g = { key, rows: [] }; groups.set(id, g); }
      g.rows.push(r);
    }
    return [...groups.values()].map((g) => [...g.key, ...calls.map((c) => accumulate(c, g.rows))]);
  }
}

const text = (v: Datum, type: PlanNode['columns'][number]['type']): string => formatDatum(type, v);

function accumulate(c: AggregateCall, rows: Row[]): Datum {
  let used = rows.filter((r) => c.filter === null || r[c.filter] === true);
  if (c.orderBy.length > 0) used = sorted(used, c.orderBy);
  let values = used.map((r) => r[c.args[0] ?? -1] ?? null);
  const name = c.fn.slice(0, c.fn.indexOf('('));
  if (name === 'array_agg') return values.length === 0 ? null : SqlArray.of(values);
  if (c.fn === 'count()') return used.length;
  values = values.filter((v) => v !== null);
  if (c.distinct) values = [...new Set(values)];
  if (name === 'count') return values.length;
  if (values.length === 0) return null;
  if (name === 'sum') return values.reduce<number>((s, v) => s + Number(v), 0);
  if (name === 'string_agg') return values.join(String(used[0]?.[c.args[1] ?? -1]));
  const sign = name === 'min' ? 1 : -1;
  return values.reduce((m, v) => ((m as number) < (v as number) === (sign > 0) ? m : v));
}

function sorted(rows: readonly Row[], keys: readonly SortKey[]): Row[] {
  return [...rows].sort((p, q) => {
    for (const k of keys) {
      const [a, b] = [p[k.column] ?? null, q[k.column] ?? null];
      if (a === null || b === null) {
        if (a === b) continue;
        return (a === null) === k.nullsFirst ? -1 : 1;
      }
      if (a !== b) return (a < b ? -1 : 1) * (k.descending ? -1 : 1);
    }
    return 0;
  });
}

function subplan(sub: SubplanExpr, outer: readonly Datum[], left: Datum): Datum {
  const rows = new Evaluator(outer).run(sub.plan);
  const values = rows.map((r) => r[0] ?? null);
  switch (sub.form) {
    case 'exists': return rows.length > 0;
    case 'scalar': if (rows.length > 1) throw new SqlError('21000', 'more than one row returned by a subquery used as an expression'); return values[0] ?? null;
    case 'array': return SqlArray.of(values);
    case 'any': case 'all': {
      const type = sub.plan.nodes.find((n) => n.id === sub.plan.roots[0])?.columns[0]?.type ?? { kind: 'text' };
      const results = values.map((v) => (left === null || v === null ? null : caller(sub.fn ?? '', [sub.left?.type ?? type, type])(CONSTANT_CONTEXT, [left, v])));
      const decisive = sub.form === 'any';
      return results.includes(decisive) ? decisive : results.includes(null) ? null : !decisive;
    }
  }
}

const QUERIES: readonly string[] = [
  'SELECT * FROM k', 'SELECT a + b, t FROM k WHERE b > 10 AND t IS NOT NULL', 'SELECT a FROM k WHERE b IN (10, 30, NULL)', 'SELECT a FROM k WHERE b NOT IN (10, NULL)', 'SELECT a FROM k WHERE b NOT IN (10)',
  'SELECT k.a, h.y FROM k JOIN h ON k.b = h.x', 'SELECT k.a, h.y FROM k, h WHERE k.b = h.x AND h.y > \'p\'', 'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x', 'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x AND h.y = \'q\'',
  'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x AND k.a > 1', 'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x WHERE h.y = \'q\'', 'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x WHERE h.y IS NULL',
  'SELECT k.a, h.y FROM k LEFT JOIN h ON k.b = h.x WHERE coalesce(h.y, \'none\') = \'none\'', 'SELECT k.a, h.y FROM k LEFT JOIN h ON false', 'SELECT k.a, h.y FROM k RIGHT JOIN h ON k.b = h.x',
  'SELECT k.a, h.y FROM k RIGHT JOIN h ON k.b = h.x AND h.y <> \'q\' WHERE k.a IS NULL OR k.a > 1', 'SELECT k.a, h.y FROM k RIGHT JOIN h ON false', 'SELECT k.a, h.y FROM k FULL JOIN h ON k.b = h.x', 'SELECT k.a, h.y FROM k FULL JOIN h ON k.b = h.x AND k.a > 2',
  'SELECT k.a, h.y FROM k FULL JOIN h ON k.b = h.x WHERE k.a > 1', 'SELECT k.a, h.y FROM k FULL JOIN h ON k.b = h.x WHERE k.a > 1 OR h.y = \'s\'', 'SELECT k.a, h.x FROM k CROSS JOIN h', 'SELECT k.a, h.x FROM k JOIN h ON k.a * 10 < h.x',
  'SELECT k.a, h.x FROM k JOIN h ON k.a * 10 = h.x AND k.a::bigint + 0 = h.x / 10', 'SELECT p.a, q.a FROM k p JOIN k q ON p.b = q.b AND p.a <> q.a', 'SELECT * FROM k p JOIN k q USING (b)', 'SELECT a, b FROM k NATURAL JOIN (SELECT a, t FROM k) z',
  'SELECT * FROM k FULL JOIN (SELECT 20 AS b, 1 AS one UNION ALL SELECT 99, 2) z USING (b)', 'SELECT a FROM k LEFT JOIN e USING (a)', 'SELECT k.a, e.z FROM k JOIN e ON true', 'SELECT 1 FROM k LEFT JOIN h ON k.b = h.x LEFT JOIN e ON e.a = h.x',
  'SELECT b, count(*), sum(a), min(t), max(t) FROM k GROUP BY b', 'SELECT count(*), sum(a), count(b), count(DISTINCT b) FROM k', 'SELECT count(*), max(z) FROM e', 'SELECT a, count(*) FROM e GROUP BY a', 'SELECT count(*) FROM k HAVING count(*) > 10',
  'SELECT b FROM k GROUP BY b HAVING count(*) > 1', 'SELECT b, sum(10 / (a - 1)) FILTER (WHERE a > 1), count(*) FROM k GROUP BY b', 'SELECT b + 1 AS c, count(*) FROM k GROUP BY b + 1', 'SELECT b + 1 AS c, count(*) FROM k GROUP BY c HAVING b + 1 > 11', 'SELECT b * 2, count(*) FROM k GROUP BY b', 'SELECT count(*) FILTER (WHERE b = 20), sum(a) FILTER (WHERE t = \'x\') FROM k',
  'SELECT DISTINCT b FROM k', 'SELECT DISTINCT b, t IS NULL FROM k', 'SELECT c, count(*) FROM (SELECT b, count(*) AS c FROM k GROUP BY b) q GROUP BY c', 'SELECT b, c FROM (SELECT b, count(*) AS c FROM k GROUP BY b) q WHERE b > 10 AND c > 1', 'SELECT x, y FROM (SELECT b AS x, a + 1 AS y FROM k) q WHERE x = 20 AND y > 3',
  'SELECT k.*, count(h.x) FROM k LEFT JOIN h ON h.x = k.b GROUP BY k.a, k.b, k.t', 'SELECT k.a, k.t, count(*) FROM k JOIN h ON h.x = k.b GROUP BY k.a', 'SELECT string_agg(t, \',\' ORDER BY t DESC) FROM k', 'SELECT b, array_agg(a ORDER BY a DESC) FROM k GROUP BY b',
  'SELECT a FROM k UNION ALL SELECT x FROM h', 'SELECT b FROM k UNION SELECT x FROM h', 'SELECT b FROM k INTERSECT SELECT x FROM h', 'SELECT b FROM k EXCEPT SELECT x FROM h', 'SELECT x FROM h EXCEPT SELECT b FROM k', 'SELECT b, \'l\' AS s FROM k UNION ALL SELECT x, y FROM h', 'SELECT * FROM (SELECT a AS v FROM k UNION ALL SELECT x FROM h) q WHERE v > 4',
  'SELECT * FROM (SELECT b AS v FROM k UNION SELECT x FROM h) q WHERE v > 10 OR v IS NULL', 'WITH q AS (SELECT b, count(*) AS c FROM k GROUP BY b) SELECT x.b, y.c FROM q x JOIN q y ON x.c = y.c', 'WITH q(v) AS (VALUES (1), (2)), r AS (SELECT v + 1 AS w FROM q) SELECT v, w FROM q, r WHERE v = w',
  'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM h WHERE h.x = k.b)', 'SELECT a FROM k WHERE NOT EXISTS (SELECT 1 FROM h WHERE h.x = k.b)', 'SELECT a FROM k WHERE NOT EXISTS (SELECT 1 FROM h WHERE h.x = k.b AND h.y > k.t)', 'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM e)', 'SELECT a FROM k WHERE NOT EXISTS (SELECT 1 FROM e)',
  'SELECT a, z.c, z.m FROM k, LATERAL (SELECT count(*) AS c, max(y) AS m FROM h WHERE h.x = k.b) z', 'SELECT a, z.w FROM k LEFT JOIN LATERAL (SELECT h.x + k.a AS w FROM h WHERE h.x = k.b AND h.y > \'p\') z ON true',
  'SELECT a, z.y, z.one FROM k LEFT JOIN LATERAL (SELECT y, 1 AS one, k.a AS ka FROM h WHERE h.x = k.b) z ON z.ka > 1', 'SELECT a, z.y, z.c FROM k CROSS JOIN LATERAL (SELECT y, count(*) AS c FROM h WHERE h.x = k.b GROUP BY y) z',
  'SELECT a, z.c FROM k, LATERAL (SELECT coalesce(max(h.x), k.a) AS c FROM h WHERE k.b = h.x HAVING count(*) < 2) z', 'SELECT a, b FROM k WHERE (a, b) >= (2, 20)', 'SELECT a FROM k WHERE (b, t) IN (SELECT x, y FROM h)',
  'SELECT a FROM k WHERE b IN (SELECT x FROM h)', 'SELECT a FROM k WHERE b IN (SELECT x FROM h WHERE y = k.t OR y = \'q\')', 'SELECT a FROM k WHERE (b + 10) IN (SELECT x FROM h) AND a > 1',
  'SELECT x, u FROM h, unnest(ARRAY[1, 2]) u WHERE x > 10 AND u = 2', 'SELECT a, u FROM k, generate_series(1, a) u WHERE a < 3', 'SELECT a, u, o FROM k JOIN generate_series(a, 2) WITH ORDINALITY AS g(u, o) ON true', 'SELECT a, u FROM k LEFT JOIN LATERAL generate_series(a, 2) u ON true', 'SELECT a, generate_series(1, 2) FROM k WHERE a < 3',
  'SELECT b, generate_series(1, count(*)::int) FROM k GROUP BY b', "SELECT CASE WHEN b > 10 THEN 'big' WHEN b IS NULL THEN 'none' ELSE 'small' END AS size, count(*) FROM k GROUP BY 1", 'SELECT a IS DISTINCT FROM b, b IS NOT DISTINCT FROM NULL FROM k', 'SELECT b = ANY(ARRAY[10, 20]), b <> ALL(ARRAY[10, NULL]) FROM k',
  'SELECT (b > 10) IS TRUE, (b > 10) IS NOT TRUE, (b > 10) IS FALSE, (b > 10) IS NOT FALSE, (b > 10) IS UNKNOWN, (b > 10) IS NOT UNKNOWN FROM k', 'SELECT b BETWEEN 10 AND 20, b NOT BETWEEN 10 AND 20, b BETWEEN SYMMETRIC 20 AND 10, b NOT BETWEEN SYMMETRIC 20 AND 10 FROM k', 'SELECT nullif(b, 20), greatest(a, b), least(a, b, 2) FROM k',
  'SELECT b, t, count(*), sum(a) FROM k GROUP BY ROLLUP (b, t)', 'SELECT b, t, grouping(b), grouping(t), grouping(t, b), count(*) FROM k GROUP BY CUBE (b, t)', 'SELECT b, t, count(*) FROM k GROUP BY GROUPING SETS ((b), (t), (b), ())',
  'SELECT a, sum(z), count(*), count(z), array_agg(z) FROM e GROUP BY ROLLUP (a)', 'SELECT a, count(*) FROM e GROUP BY GROUPING SETS ((a), (), ())', 'SELECT a, count(*) FROM e GROUP BY GROUPING SETS ((a), (a))', 'SELECT count(*) FROM e GROUP BY ()', 'SELECT 1 FROM e GROUP BY (), ()', 'SELECT 1 FROM e GROUP BY GROUPING SETS ((), ())', 'SELECT 1 FROM k GROUP BY ()',
  'SELECT b, t, a, count(*) FROM k GROUP BY b, ROLLUP (t, a)', 'SELECT b, t, a, count(*) FROM k GROUP BY ROLLUP (b), CUBE (t, a)', 'SELECT b, t, a FROM k GROUP BY GROUPING SETS (ROLLUP (b), CUBE (t, a), (b, t), a, ())', 'SELECT b, t, a FROM k GROUP BY GROUPING SETS ((b, t), GROUPING SETS ((a), GROUPING SETS ((), (t))))',
  'SELECT b, t, a FROM k GROUP BY CUBE ((b, t), a)', 'SELECT b, t FROM k GROUP BY (b, t)', 'SELECT b, t FROM k GROUP BY (b, (t)), ()', 'SELECT b, t, count(*) FROM k GROUP BY DISTINCT ROLLUP (b, t), ROLLUP (t, b)', 'SELECT b, t, count(*) FROM k GROUP BY ALL ROLLUP (b), ROLLUP (t, b)',
  'SELECT b + 1 AS c, b, count(*) FROM k GROUP BY GROUPING SETS ((b + 1), (b))', 'SELECT b + 1 + a FROM k GROUP BY ROLLUP (b + 1, a)', 'SELECT coalesce(b, -1) AS c, b IS NULL AND grouping(b) = 0, count(*) FROM k GROUP BY ROLLUP (b)', 'SELECT coalesce(b, -1) AS c, count(*) FROM k GROUP BY ROLLUP (c)',
  'SELECT b, t, count(*) FROM k GROUP BY ROLLUP (1, 2)', 'SELECT 1 AS one FROM k GROUP BY ROLLUP (one)', 'SELECT 1 AS one, 1 AS two, 1 + 1 FROM k GROUP BY ROLLUP (one, two)', "SELECT 'x'::text AS c, 'x'::text || a FROM k GROUP BY ROLLUP (c), a",
  'SELECT b, count(*) FROM k GROUP BY ROLLUP (b) HAVING grouping(b) = 0', 'SELECT b, count(*) FROM k GROUP BY ROLLUP (b) HAVING grouping(b) = 1 OR b > 10', 'SELECT b, count(*) FROM k GROUP BY ROLLUP (b) HAVING b IS NULL', 'SELECT b, t FROM k GROUP BY b, ROLLUP (t) HAVING b > 10', 'SELECT a FROM e GROUP BY ROLLUP (a) HAVING a IS NOT NULL', 'SELECT a FROM e GROUP BY ROLLUP (a) HAVING false',
  'SELECT b, count(DISTINCT t), sum(a) FILTER (WHERE t IS NOT NULL), sum(b), sum(10 / (a - 1)) FILTER (WHERE a > 1) FROM k GROUP BY ROLLUP (b)', 'SELECT t, string_agg(t, \',\' ORDER BY a DESC), array_agg(b ORDER BY a), sum(1 / a) FROM k GROUP BY CUBE (t)', 'SELECT grouping(b) FROM k GROUP BY b', 'SELECT sum(a) + grouping(b, b) FROM k GROUP BY CUBE (b)',
  'SELECT DISTINCT grouping(b, t), t FROM k GROUP BY CUBE (b, t)', 'SELECT * FROM (SELECT b, t, count(*) AS c, grouping(b, t) AS g FROM k GROUP BY CUBE (b, t)) q WHERE g < 3 AND (t = \'x\' OR t IS NULL) AND c > 0', 'SELECT k.b, h.y, count(*) FROM k LEFT JOIN h ON h.x = k.b GROUP BY ROLLUP (k.b, h.y)', 'SELECT k.a, k.t, count(*) FROM k JOIN h ON h.x = k.b GROUP BY k.a, ROLLUP (h.y)',
  'SELECT b, b IS NOT NULL, count(*) FROM k GROUP BY CUBE (b, b IS NULL) HAVING b IS NOT NULL', 'SELECT a NOT IN (1), nullif(a, 1), CASE a WHEN 1 THEN 2 END, a = 1 FROM k GROUP BY CUBE (a, a = 1)', 'SELECT (a = 1) IS UNKNOWN, (a = 1) IS TRUE, (a = 1) IS NULL FROM k GROUP BY GROUPING SETS ((a), ((a = 1) IS NULL))',
  'SELECT b, generate_series(1, 2 - grouping(b)) FROM k GROUP BY ROLLUP (b)', 'SELECT count(*) FROM (SELECT b FROM k GROUP BY ROLLUP (b)) q', 'SELECT q.b, h.y FROM (SELECT b, sum(a) AS s FROM k GROUP BY ROLLUP (b)) q JOIN h ON h.x = q.b', 'SELECT b FROM k GROUP BY ROLLUP (b) UNION ALL SELECT x FROM h GROUP BY ROLLUP (x)', 'SELECT b, c FROM (SELECT b, count(*) AS c FROM k GROUP BY ROLLUP (b)) q GROUP BY ROLLUP (b, c)',
  'SELECT b FROM k INTERSECT ALL SELECT x FROM h', 'SELECT b FROM k EXCEPT ALL SELECT x FROM h', 'SELECT x FROM h EXCEPT ALL SELECT b FROM k', 'SELECT t, b IS NULL FROM k INTERSECT ALL SELECT t, false FROM k', 'SELECT t FROM k EXCEPT ALL (SELECT t FROM k EXCEPT ALL SELECT \'x\')', 'SELECT b FROM k EXCEPT ALL SELECT x FROM h EXCEPT ALL SELECT 10',
  'SELECT * FROM (SELECT b FROM k UNION ALL SELECT b FROM k INTERSECT ALL SELECT x FROM h) q WHERE b > 10', 'SELECT b, count(*) FROM (SELECT b FROM k EXCEPT ALL SELECT a FROM e) q GROUP BY b', 'SELECT a FROM e INTERSECT ALL SELECT a FROM k', 'SELECT a FROM k EXCEPT ALL SELECT a FROM e', 'SELECT a FROM k INTERSECT ALL SELECT 2 EXCEPT ALL SELECT 3',
];
/** Set-returning functions in the select list and in GROUP BY. */
const SET_CALLS: readonly string[] = [
  'SELECT generate_series(1, 3), unnest(ARRAY[7, 8])', 'SELECT a, generate_series(1, a), generate_series(a, 3) FROM k', 'SELECT a, generate_series(1, b) FROM k WHERE a > 3', 'SELECT generate_series(1, generate_series(1, a)), generate_series(2, 4), t FROM k WHERE a < 4',
  'SELECT generate_series(generate_series(1, 3), generate_series(2, 4))', 'SELECT generate_series(1, 3), generate_series(1, 3) + 1, generate_series(1, 2) + 10', "SELECT a, unnest(string_to_array('p,q', ',')) || t, generate_series(3, 1, -1) FROM k", 'SELECT DISTINCT generate_series(1, 3), unnest(ARRAY[1, 1, 2, 2])',
  'SELECT generate_series(1, 2), count(*) FROM k GROUP BY generate_series(1, 2)', 'SELECT generate_series(1, a), count(*), sum(a) FROM k GROUP BY generate_series(1, a)', 'SELECT generate_series(1, a) + 1 AS g, count(*) FROM k GROUP BY g', 'SELECT generate_series(1, a) + 1, count(*) FROM k GROUP BY generate_series(1, a)',
  'SELECT generate_series(1, 2) + 2, b, count(*) FROM k GROUP BY generate_series(1, 2) + 1, b', 'SELECT b, count(*) FROM k GROUP BY b, generate_series(1, 2), generate_series(1, 3)', 'SELECT generate_series(1, generate_series(1, 2)), count(*) FROM k GROUP BY generate_series(1, 2)', 'SELECT generate_series(1, generate_series(1, 2)), count(*) FROM k GROUP BY 1',
  'SELECT b, generate_series(1, max(a)), generate_series(1, count(*)::int) FROM k GROUP BY b', 'SELECT b, unnest(ARRAY[5, 6]) AS u, count(*) FROM k GROUP BY ROLLUP (b, u)', 'SELECT g, count(*) FROM (SELECT generate_series(1, 3) AS g, unnest(ARRAY[1, 2]) AS u, a FROM k) q WHERE u = 1 AND a > 1 GROUP BY g',
  'SELECT unnest(ARRAY[]::integer[]), generate_series(1, 2)', 'SELECT unnest(NULL::integer[]), generate_series(1, 0) FROM k',
];
/** Arguments by name, and those left out. */
const NAMED: readonly string[] = [
  'SELECT make_interval()::text, make_interval(1, 2)::text, make_interval(years := 2, days => 3)::text, make_interval(1, secs => 1.5)::text', 'SELECT make_date(day => a, month => 2, year => 2020)::text, make_interval(mins => b)::text FROM k', "SELECT make_timestamp(2020, 1, 1, 0, sec => 2, min => 3)::text, make_time(hour => 3, min => '4', sec => 5)::text",
  "SELECT jsonb_set('{\"a\": 1}', path => '{b}', replacement => '2', create_if_missing => false)::text, regexp_replace('aXbX', 'x', '-', flags => 'gi'), regexp_instr('abcabc', 'b', \"N\" => 2, start => 1), regexp_count(pattern => 'x', string => t) FROM k",
];
/** JOIN … USING (…) AS alias. */
const USING_ALIAS: readonly string[] = [
  'SELECT x.*, p.a, q.a FROM k p JOIN k q USING (b) AS x WHERE x.b > 10', 'SELECT x.a, k.a, e.a FROM k LEFT JOIN e USING (a) AS x', 'SELECT x.b, y.b FROM (k p JOIN k q USING (b) AS x) JOIN h ON h.x = x.b JOIN (SELECT a AS z, b FROM k) r USING (b) AS y', 'SELECT * FROM (k JOIN (SELECT 2 AS a) z USING (a) AS x) AS y',
  'SELECT x.b FROM k FULL JOIN (SELECT 20 AS b UNION ALL SELECT 99) z USING (b) AS x',
];
/** Ordered results, or subqueries as values: batch only. */
const BATCH_ONLY: readonly string[] = [
  'SELECT a FROM k ORDER BY a LIMIT (SELECT count(*) FROM e) + 2 OFFSET (SELECT 1)', 'SELECT a FROM k ORDER BY a LIMIT 1 + 1 OFFSET (SELECT NULL::integer)', 'SELECT a, (SELECT a FROM k z ORDER BY z.a LIMIT 1 OFFSET k.a - 1), ARRAY(SELECT x FROM h ORDER BY x LIMIT k.a) FROM k ORDER BY 1', 'SELECT a FROM k UNION SELECT 9 ORDER BY 1 LIMIT (SELECT 3)',
  'SELECT generate_series(1, 3) + a FROM k ORDER BY generate_series(1, 3) DESC, a', 'SELECT a FROM k ORDER BY a DESC, generate_series(1, 2)', 'SELECT a, generate_series(1, 3), generate_series(1, 2) FROM k ORDER BY a, 2 LIMIT 4',
  'SELECT a, ARRAY(SELECT generate_series(1, k.a) + unnest(ARRAY[1, 2])) FROM k ORDER BY a',
  'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM h WHERE h.x = k.b GROUP BY y HAVING count(*) > 0)', 'SELECT a, b FROM k ORDER BY b DESC, a', 'SELECT a FROM k ORDER BY b NULLS FIRST, a DESC LIMIT 3', 'SELECT a FROM k ORDER BY t, a OFFSET 2', 'SELECT a + 1 AS c FROM k ORDER BY c DESC LIMIT 2 OFFSET 1', 'SELECT b, count(*) FROM k GROUP BY b ORDER BY count(*) DESC, b LIMIT 2', 'SELECT DISTINCT b FROM k ORDER BY b DESC',
  'SELECT a FROM k UNION SELECT x FROM h ORDER BY a DESC LIMIT 4', 'SELECT a FROM (SELECT a FROM k ORDER BY a DESC LIMIT 2) q WHERE a < 5', 'VALUES (3, \'c\'), (1, \'a\') ORDER BY 1', 'SELECT a, (SELECT max(x) FROM h WHERE h.x = k.b) FROM k ORDER BY a', 'SELECT a FROM k WHERE a NOT IN (SELECT x FROM h)', 'SELECT a FROM k WHERE a NOT IN (SELECT x FROM h WHERE x IS NOT NULL)',
  'SELECT a FROM k WHERE b > ALL (SELECT x FROM h WHERE x < 20)', 'SELECT a, ARRAY(SELECT y FROM h WHERE h.x = k.b ORDER BY y) FROM k', 'SELECT a, EXISTS (SELECT 1 FROM h WHERE h.x = k.b) FROM k', 'SELECT b, (SELECT count(*) FROM h WHERE h.x = k.b) + count(*) FROM k GROUP BY b',
  'SELECT a FROM k WHERE b = (SELECT min(x) FROM h) OR EXISTS (SELECT 1 FROM h WHERE h.x = k.b AND EXISTS (SELECT 1 FROM e WHERE e.a = k.a OR h.y = \'r\'))', 'SELECT a, (SELECT (SELECT h.x + k.a FROM h ORDER BY h.x LIMIT 1)) FROM k', 'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM (SELECT x FROM h WHERE h.x = k.b) z WHERE z.x > 10)',
  'SELECT b, t, count(*) FROM k GROUP BY ROLLUP (b, t) ORDER BY grouping(b, t) DESC, b NULLS FIRST, t', 'SELECT b, t, grouping(b, t) AS g FROM k GROUP BY CUBE (b, t) ORDER BY g, b, t LIMIT 6', 'SELECT b, (SELECT count(*) FROM h WHERE h.x = k.b) FROM k GROUP BY ROLLUP (b) ORDER BY 1', 'SELECT b, (SELECT count(*) FROM h GROUP BY ROLLUP (h.x) HAVING h.x = k.b OR grouping(h.x) = 1 ORDER BY 1 LIMIT 1) FROM k ORDER BY a',
  'SELECT b, count(*) FROM k GROUP BY ROLLUP (b) HAVING count(*) > (SELECT grouping(x) FROM h GROUP BY x LIMIT 1) ORDER BY b, 2', 'SELECT b FROM k EXCEPT ALL SELECT x FROM h ORDER BY 1 DESC', 'SELECT a, ARRAY(SELECT y FROM h WHERE h.x = k.b INTERSECT ALL SELECT \'q\') FROM k ORDER BY a',
];

let db: PGlite;
let catalog: TestCatalog;
before(async () => {
  await loadParser();
  db = await PGlite.create();
  catalog = new TestCatalog();
  const KEYS = { k: [0], h: null, e: [0] };
  for (const name of ['k', 'h', 'e'] as const) {
    await db.exec(`CREATE TABLE ${name} (${CREATE[name]}${KEYS[name] === null ? '' : ', PRIMARY KEY (a)'})`);
    catalog.table(name, CREATE[name], KEYS[name]);
    for (const row of TABLES[name] ?? []) {
      const width = CREATE[name].split(',').length;
      await db.query(`INSERT INTO ${name} VALUES (${row.slice(0, width).map((_, i) => `$${i + 1}`).join(', ')})`, row.slice(0, width));
    }
  }
});
after(async () => { await db.close(); });

/** Oids of bool, int8, int2, int4, text, numeric and arrays of int4, text, numeric. */
const AS_TEXT = Object.fromEntries([16, 20, 21, 23, 25, 1700, 1007, 1009, 1231].map((oid) => [oid, (v: string) => v]));

async function expected(sql: string): Promise<string[]> {
  const raw = await db.query<unknown[]>(sql, [], { rowMode: 'array', parsers: AS_TEXT });
  return raw.rows.map((r) => JSON.stringify(r));
}

function actual(plan: Plan): string[] {
  const root = plan.nodes.find((n) => n.id === plan.roots[0]);
  return new Evaluator([]).run(plan).map((r) => JSON.stringify(r.map((v, i) => (v === null ? null : formatDatum(root?.columns[i]?.type ?? { kind: 'text' }, v)))));
}

/** The same plan by the engine's operators: batch to its end, or as a job over two barriers with rows in between taken back and put in again. */
async function executed(plan: Plan, batchMode: boolean): Promise<string[]> {
  const run = new TestRun(plan.nodes, { batchMode });
  const root = plan.nodes.find((n) => n.id === plan.roots[0]);
  const types = root?.columns.slice(0, 'visible' in root ? root.visible : 0).map((c) => c.type) ?? [];
  const entries = plan.nodes.filter((n) => n.op === 'table' || n.op === 'rows');
  const push = async (n: PlanNode, pick: (i: number) => number): Promise<void> => {
    const rows = n.op === 'table' ? (TABLES[n.tableName] ?? []).map((r) => n.fields.map((f) => r[f] ?? null)) : n.op === 'rows' ? n.rows.map((r) => r.map((e) => interpret(e)([], CONSTANT_CONTEXT))) : [];
    const weights = rows.map((_, i) => pick(i));
    const kept = rows.filter((_, i) => weights[i] !== 0);
    const batch = batchFromDatums(n.columns.map((c) => c.type), kept);
    await run.push(n.id, { ...batch, length: kept.length, weights: batchMode ? null : Int32Array.from(weights.filter((w) => w !== 0)) });
  };
  if (batchMode) for (const n of entries) await push(n, () => 1);
  else {
    for (const n of entries) await push(n, (i) => (n.op === 'table' && i % 2 === 0 ? 0 : 1));
    await run.barrier();
    for (const n of entries) if (n.op === 'table') { await push(n, (i) => (i % 2 === 1 ? -1 : 1)); await push(n, (i) => (i % 2 === 1 ? 1 : 0)); }
    await run.barrier();
  }
  if (batchMode) await run.end();
  const out = new Map<string, number>();
  for (const batch of run.take(plan.roots[0] ?? -1)) {
    for (let i = 0; i < batch.length; i++) {
      const text = JSON.stringify(datumRow(types, batch, i).map((v, c) => (v === null ? null : formatDatum(types[c] ?? { kind: 'text' }, v))));
      out.set(text, (out.get(text) ?? 0) + (batch.weights === null ? 1 : batch.weights[i] ?? 0));
    }
  }
  return [...out].flatMap(([text, n]) => { assert.ok(n >= 0, `${text} has count ${n}`); return Array.from({ length: n }, () => text); });
}

for (const sql of [...QUERIES, ...SET_CALLS, ...NAMED, ...USING_ALIAS]) {
  test(`rows of ${sql}`, async () => {
    const rows = (await expected(sql)).sort();
    const query = parseQuery(sql);
    assert.deepEqual(actual(planQuery(query, catalog, { kind: 'batch' }, []).plan).sort(), rows, 'batch plan');
    assert.deepEqual(actual(planQuery(query, catalog, { kind: 'job', firstNodeId: 1, relationId: 9, relationName: 'v' }, []).plan).sort(), rows, 'job plan');
    assert.deepEqual((await executed(planQuery(query, catalog, { kind: 'batch' }, []).plan, true)).sort(), rows, 'batch plan, executed');
    assert.deepEqual((await executed(planQuery(query, catalog, { kind: 'job', firstNodeId: 1, relationId: 9, relationName: 'v' }, []).plan, false)).sort(), rows, 'job plan, executed');
  });
}
for (const sql of BATCH_ONLY) {
  test(`rows of ${sql}`, async () => {
    const ordered = sql.includes('ORDER BY');
    const [mine, rows] = [actual(planQuery(parseQuery(sql), catalog, { kind: 'batch' }, []).plan), await expected(sql)];
    assert.deepEqual(ordered ? mine : mine.sort(), ordered ? rows : rows.sort());
  });
}
