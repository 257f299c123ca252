/**
 * The queries of the simulation, planned by the planner, with what their rows must be at the end, computed from the same rows by hand, and what must hold of any
 * rows that a reader sees meanwhile.
 *
 * The stream: transactions of two rows that move an amount from one key to another, always in one batch. So a sum over all keys is 0 in every whole
 * epoch, and counts are even.
 */
import { TestCatalog } from '../../planner/testcatalog.js';
import { parseQuery } from '../../planner/parse/parser.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { Random } from '../../types/encoding/testdatums.js';
import type { Plan } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';

export interface Row { readonly id: number; readonly k: number; readonly v: number; /** Microseconds. */ readonly at: number }
/** A row as text values between blanks. */
export type Line = string;

export interface SimQuery {
  readonly name: string;
  readonly sql: string;
  readonly sink: boolean;
  /** Rows of all splits, split by split. */
  expected(splits: readonly (readonly Row[])[]): readonly Line[];
  /** Throws at rows that no whole epoch has. */
  check?(lines: readonly Line[]): void;
}

const CATALOG = new TestCatalog().stream('ev', 'id int8, k int8, v int8, at timestamp', { watermark: ['at', "at - INTERVAL '1 second'"], bounded: true, connector: 'sim' });

/** `splits` of about `transactions` each. */
export function drawRows(random: Random, splits: number, transactions: number): Row[][] {
  return Array.from({ length: splits }, (_, s) => {
    const rows: Row[] = [];
    let at = 0;
    for (let t = 0; t < transactions; t++) {
      const amount = 1 + random(50);
      at += random(700_000);
      const id = (t * splits + s) * 2;
      rows.push({ id, k: random(9), v: amount, at }, { id: id + 1, k: random(9), v: -amount, at });
    }
    return rows;
  });
}

function groups<T>(rows: readonly T[], key: (row: T) => number | string): T[][] {
  const found = new Map<number | string, T[]>();
  for (const row of rows) {
    const group = found.get(key(row));
    if (group === undefined) found.set(key(row), [row]);
    else group.push(row);
  }
  return [...found.values()];
}
const sum = (rows: readonly Row[]): number => rows.reduce((a, r) => a + r.v, 0);
const numbers = (line: Line): number[] => line.split(' ').map(Number);
function must(holds: boolean, what: string): void { if (!holds) throw new Error(`a reader saw ${what}`); }

export const QUERIES: readonly SimQuery[] = [
  {
    name: 'aggregate', sink: false, sql: 'SELECT k, count(*) AS n, sum(v) AS s, max(v) AS m FROM ev GROUP BY k',
    expected: splits => groups(splits.flat(), r => r.k).map(g => `${g[0].k} ${g.length} ${sum(g)} ${Math.max(...g.map(r => r.v))}`),
    check(lines) {
      must(lines.reduce((a, l) => a + numbers(l)[2], 0) === 0, `money that is not there: ${lines.join('; ')}`);
      must(lines.reduce((a, l) => a + numbers(l)[1], 0) % 2 === 0, 'half a transaction');
    },
  },
  {
    name: 'join', sink: false, sql: 'SELECT a.id, b.id AS other, a.v FROM ev a JOIN ev b ON b.id = a.id + 1 WHERE a.v > 0',
    expected: splits => splits.flat().filter(r => r.v > 0).map(r => `${r.id} ${r.id + 1} ${r.v}`),
    check(lines) { must(new Set(lines).size === lines.length, 'a pair twice'); },
  },
  {
    name: 'window', sink: false, sql: "SELECT floor(extract(epoch FROM window_start)) AS w, count(*) AS n, sum(v) AS s FROM TUMBLE(ev, at, INTERVAL '2 seconds') GROUP BY window_start",
    expected: splits => groups(splits.flat(), r => Math.floor(r.at / 2_000_000)).map(g => `${Math.floor(g[0].at / 2_000_000) * 2} ${g.length} ${sum(g)}`),
    check(lines) { must(lines.every(l => numbers(l)[2] === 0 && numbers(l)[1] % 2 === 0), 'half a transaction in a window'); },
  },
  {
    name: 'top', sink: false, sql: 'SELECT q, k, n, place FROM (SELECT k % 3 AS q, k, n, row_number() OVER (PARTITION BY k % 3 ORDER BY n DESC, k) AS place FROM (SELECT k, count(*) AS n FROM ev GROUP BY k) c) r WHERE place <= 2',
    expected: splits => groups(groups(splits.flat(), r => r.k).map(g => ({ k: g[0].k, n: g.length })), c => c.k % 3)
      .flatMap(q => [...q].sort((a, b) => b.n - a.n || a.k - b.k).slice(0, 2).map((c, i) => `${c.k % 3} ${c.k} ${c.n} ${i + 1}`)),
    check(lines) {
      for (const q of groups(lines, l => numbers(l)[0])) must(q.map(l => numbers(l)[3]).sort().join() === ['1', '1,2'][q.length - 1], `places ${q.join('; ')}`);
    },
  },
  {
    name: 'distinct', sink: false, sql: 'SELECT k, count(DISTINCT v % 5) AS kinds FROM ev GROUP BY k',
    expected: splits => groups(splits.flat(), r => r.k).map(g => `${g[0].k} ${new Set(g.map(r => r.v % 5)).size}`),
    check(lines) { must(groups(lines, l => numbers(l)[0]).every(g => g.length === 1), 'a key twice'); },
  },
  {
    name: 'sink', sink: true, sql: 'SELECT id, k, v FROM ev WHERE v % 3 = 0',
    expected: splits => splits.flat().filter(r => r.v % 3 === 0).map(r => `${r.id} ${r.k} ${r.v}`),
  },
  {
    name: 'changes sink', sink: true, sql: 'SELECT k, count(*) AS n, sum(v) AS s FROM ev GROUP BY k',
    expected: splits => groups(splits.flat(), r => r.k).map(g => `${g[0].k} ${g.length} ${sum(g)}`),
  },
];

export interface SimPlan { readonly plan: Plan; readonly root: number; /** Those that a user sees. */ readonly columns: readonly Column[] }

export function planOf(query: SimQuery): SimPlan {
  const { plan, columns } = planQuery(parseQuery(query.sql), CATALOG, { kind: 'job', firstNodeId: 1, relationId: 1000, relationName: 'result' }, []);
  const root = plan.roots[0];
  if (!query.sink) return { plan, root, columns };
  const nodes = plan.nodes.map(n => (n.id !== root ? n : {
    op: 'sink' as const, visible: n.columns.length, id: n.id, inputs: n.inputs, columns: n.columns, appendOnly: n.appendOnly, key: n.key, relationId: 1000, relationName: 'result', connector: 'sim', options: {},
  }));
  return { plan: { ...plan, nodes }, root, columns };
}
