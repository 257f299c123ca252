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
        const def = setFunctionById(n.fn);
        const args = n.args.map((a) => this.#fn(a));
        const width = n.columns.length - (nodes[0]?.columns.length ?? 0);
        return input.flatMap((r) => {
          const values = args.map((a) => a(r));
          const rows = def === null || (def.strict && values.includes(null)) ? [] : [...def.evaluate(CONSTANT_CONTEXT, values, n.args.map((a) => a.type))];
          if (rows.length === 0 && n.outer) return [[...r, ...Array.from({ length: width }, () => null)]];
          return rows.map((s, i) => [...r, ...s, ...(n.ordinality ? [i + 1] : [])]);
        });
      }
      case 'join': return this.#join(n, input, inputs[1] ?? [], nodes);
      case 'aggregate': return this.#aggregate(n.groupKeys, n.calls, input, nodes[0] as PlanNode);
      case 'union': return inputs.flat();
      case 'sort': return sorted(input, n.keys).slice(0, n.top ?? input.length);
      case 'limit': return input.slice(n.offset, n.limit === null ? input.length : n.offset + n.limit);
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
];
/** Ordered results, or subqueries as values: batch only. */
const BATCH_ONLY: readonly string[] = [
  'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM h WHERE h.x = k.b GROUP BY y HAVING count(*) > 0)', 'SELECT a, b FROM k ORDER BY b DESC, a', 'SELECT a FROM k ORDER BY b NULLS FIRST, a DESC LIMIT 3', 'SELECT a FROM k ORDER BY t, a OFFSET 2', 'SELECT a + 1 AS c FROM k ORDER BY c DESC LIMIT 2 OFFSET 1', 'SELECT b, count(*) FROM k GROUP BY b ORDER BY count(*) DESC, b LIMIT 2', 'SELECT DISTINCT b FROM k ORDER BY b DESC',
  'SELECT a FROM k UNION SELECT x FROM h ORDER BY a DESC LIMIT 4', 'SELECT a FROM (SELECT a FROM k ORDER BY a DESC LIMIT 2) q WHERE a < 5', 'VALUES (3, \'c\'), (1, \'a\') ORDER BY 1', 'SELECT a, (SELECT max(x) FROM h WHERE h.x = k.b) FROM k ORDER BY a', 'SELECT a FROM k WHERE a NOT IN (SELECT x FROM h)', 'SELECT a FROM k WHERE a NOT IN (SELECT x FROM h WHERE x IS NOT NULL)',
  'SELECT a FROM k WHERE b > ALL (SELECT x FROM h WHERE x < 20)', 'SELECT a, ARRAY(SELECT y FROM h WHERE h.x = k.b ORDER BY y) FROM k', 'SELECT a, EXISTS (SELECT 1 FROM h WHERE h.x = k.b) FROM k', 'SELECT b, (SELECT count(*) FROM h WHERE h.x = k.b) + count(*) FROM k GROUP BY b',
  'SELECT a FROM k WHERE b = (SELECT min(x) FROM h) OR EXISTS (SELECT 1 FROM h WHERE h.x = k.b AND EXISTS (SELECT 1 FROM e WHERE e.a = k.a OR h.y = \'r\'))', 'SELECT a, (SELECT (SELECT h.x + k.a FROM h ORDER BY h.x LIMIT 1)) FROM k', 'SELECT a FROM k WHERE EXISTS (SELECT 1 FROM (SELECT x FROM h WHERE h.x = k.b) z WHERE z.x > 10)',
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

for (const sql of QUERIES) {
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
