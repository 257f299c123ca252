/**
 * A small Backend for the protocol's own tests: SELECT and VALUES of constants and parameters, relations `numbers` (n int4, 10,000 rows),
 * `ticks` (endless, a row at a time) and `nothing`, a table `kept` for COPY and INSERT, settings, transactions. No planner, no storage.
 */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Batch, Vector } from '../../runtime/batch.js';
import { SqlError } from '../../types/error.js';
import { parseDatum } from '../../types/textio.js';
import type { Datum } from '../../types/value.js';
import { INT4, TEXT, type Column, type SqlType } from '../../types/sqltype.js';
import { typeByName } from '../../types/typeinfo.js';
import { loadParser, parseStatements } from '../../planner/parse/parser.js';
import type { ParsedStatement, RawNode, Statement } from '../../planner/parse/statement.js';
import type { Backend, BackendSession, CopyRows, ExecuteContext, Execution, Prepared, SessionEvents, SessionInfo, TransactionStatus } from './backend.js';

type Value = { readonly text: string | null; readonly type: SqlType } | { readonly param: number; readonly type: SqlType };
type Source = 'numbers' | 'ticks' | 'nothing' | 'kept' | null;

class ValuesPrepared implements Prepared {
  readonly statement: Statement;
  readonly paramTypes: readonly SqlType[];
  readonly columns: readonly Column[] | null;
  readonly rows: readonly (readonly Value[])[];
  readonly from: Source;
  constructor(statement: Statement, paramTypes: readonly SqlType[], columns: readonly Column[] | null, rows: readonly (readonly Value[])[], from: Source) {
    this.statement = statement;
    this.paramTypes = paramTypes;
    this.columns = columns;
    this.rows = rows;
    this.from = from;
  }
}

const KEPT: readonly Column[] = [{ name: 'a', type: INT4 }, { name: 'b', type: TEXT }];

export class ValuesBackend implements Backend {
  readonly kept: (string | null)[][] = [];
  readonly sessions: ValuesSession[] = [];
  /** Batches taken from `ticks` and `numbers`, over all sessions. */
  taken = 0;
  async openSession(info: SessionInfo, events: SessionEvents): Promise<BackendSession> {
    if (info.user === 'nobody') throw new SqlError('28000', 'role "nobody" does not exist');
    const session = new ValuesSession(this, info, events);
    this.sessions.push(session);
    return session;
  }
}

export class ValuesSession implements BackendSession {
  readonly #backend: ValuesBackend;
  readonly info: SessionInfo;
  readonly events: SessionEvents;
  readonly #settings: Map<string, string>;
  #status: TransactionStatus = 'idle';
  readonly log: string[] = [];
  closed = false;

  constructor(backend: ValuesBackend, info: SessionInfo, events: SessionEvents) {
    this.#backend = backend;
    this.info = info;
    this.events = events;
    this.#settings = new Map([['TimeZone', 'UTC'], ['server_version', '15.0'], ['client_encoding', 'UTF8'], ['DateStyle', 'ISO, MDY'], ['integer_datetimes', 'on'], ['standard_conforming_strings', 'on'],
      ['statement_timeout', '0'], ...info.parameters]);
  }

  async prepare(parsed: ParsedStatement, given: readonly (SqlType | null)[]): Promise<Prepared> {
    const s = parsed.statement;
    const params: SqlType[] = [];
    for (let i = 0; i < Math.max(parsed.paramCount, given.length); i++) params.push(given[i] ?? TEXT);
    if (s.kind === 'show') return new ValuesPrepared(s, [], [{ name: s.name ?? '', type: TEXT }], [], null);
    if (s.kind === 'subscribe') return new ValuesPrepared(s, [], [{ name: 'n', type: INT4 }], [], 'ticks');
    if (s.kind !== 'select') return new ValuesPrepared(s, params, null, [], null);
    const { ast } = s.query;
    const range = ast.fromClause?.[0];
    if (range !== undefined && 'RangeVar' in range) {
      const name = range.RangeVar.relname ?? '';
      if (name !== 'numbers' && name !== 'ticks' && name !== 'nothing') throw new SqlError('42P01', `relation "${name}" does not exist`, { position: s.query.source.position(range.RangeVar.location) });
      return new ValuesPrepared(s, params, [{ name: 'n', type: INT4 }], [], name);
    }
    const lists = ast.valuesLists === undefined
      ? [(ast.targetList ?? []).map((t) => ('ResTarget' in t ? t.ResTarget.val : undefined))]
      : ast.valuesLists.map((l) => ('List' in l ? l.List.items ?? [] : []));
    const rows = lists.map((l) => l.map((n) => value(n, params, given)));
    const columns = (rows[0] ?? []).map((v, i) => ({ name: `column${i + 1}`, type: v.type }));
    return new ValuesPrepared(s, params, columns, rows, null);
  }

  async execute(prepared: Prepared, params: readonly (string | null)[], context: ExecuteContext): Promise<Execution> {
    assert(prepared instanceof ValuesPrepared);
    const s = prepared.statement;
    const command = (tag: string): Execution => ({ kind: 'command', tag });
    this.log.push(s.kind);
    switch (s.kind) {
      case 'select': case 'subscribe': {
        const batches = prepared.from === 'numbers' ? this.#numbers() : prepared.from === 'ticks' ? this.#ticks(context.signal) : prepared.from === 'nothing' ? none() : constants(prepared, params);
        return { kind: 'rows', columns: prepared.columns ?? [], batches, tag: (n) => `SELECT ${n}`, streaming: prepared.from === 'ticks' };
      }
      case 'show': return { kind: 'rows', columns: prepared.columns ?? [], batches: one([[this.setting(s.name ?? '') ?? '']]), tag: () => 'SHOW', streaming: false };
      case 'set': {
        if (s.name === 'bad') throw new SqlError('22023', 'invalid value for parameter "bad"', { detail: 'detail text', hint: 'hint text', position: s.position });
        if (s.name === 'noisy') context.notice({ severity: 'NOTICE', message: 'you set noisy', hint: 'be quiet' });
        for (const name of this.#settings.keys()) if (name.toLowerCase() === s.name) this.#settings.set(name, s.value ?? '');
        return command('SET');
      }
      case 'begin': this.#status = 'block'; return command('BEGIN');
      case 'commit': { const failed = this.#status === 'failed'; this.#status = 'idle'; return command(failed ? 'ROLLBACK' : 'COMMIT'); }
      case 'rollback': this.#status = 'idle'; return command('ROLLBACK');
      case 'copy from': return { kind: 'copy in', columns: KEPT, options: s.options, consume: (rows) => this.#consume(rows) };
      case 'copy to': return { kind: 'copy out', columns: KEPT, options: s.options, batches: s.source.kind === 'subscribe' ? this.#ticks(context.signal) : one(this.#backend.kept.map((r) => [Number(r[0]), r[1] ?? null])) };
      case 'flush': return new Promise((_, reject) => { context.signal.addEventListener('abort', () => { reject(context.signal.reason as Error); }); });
      default: return command(s.kind.toUpperCase());
    }
  }

  async #consume(pieces: AsyncIterable<CopyRows>): Promise<number> {
    const rows: (string | null)[][] = [];
    for await (const piece of pieces) {
      piece.rows.forEach((row, i) => {
        if (!/^-?\d+$/.test(row[0] ?? '')) throw new SqlError('22P02', `invalid input syntax for type integer: "${row[0] ?? ''}"`, { detail: `COPY line ${piece.firstLine + i}` });
        rows.push([...row]);
      });
    }
    this.#backend.kept.push(...rows);
    return rows.length;
  }

  async *#numbers(): AsyncGenerator<Batch> {
    for (let from = 0; from < 10_000; from += 100) {
      this.#backend.taken++;
      yield { length: 100, weights: null, columns: [{ form: 'f64', values: Float64Array.from({ length: 100 }, (_, i) => from + i), nulls: null }] };
    }
  }
  async *#ticks(signal: AbortSignal): AsyncGenerator<Batch> {
    try {
      for (let n = 0; ; n++) {
        if (signal.aborted) throw signal.reason;
        this.#backend.taken++;
        yield { length: 1, weights: null, columns: [{ form: 'f64', values: Float64Array.of(n), nulls: null }, { form: 'datum', values: ['tick'], nulls: null }] };
        await turn();
      }
    } finally {
      this.log.push('ticks ended');
    }
  }

  transactionStatus(): TransactionStatus { return this.#status; }
  ready(): void { /* nothing to tell */ }
  beginImplicit(): void { this.log.push('begin implicit'); }
  async commitImplicit(): Promise<void> { this.log.push('commit implicit'); }
  async fail(): Promise<void> {
    this.log.push('fail');
    if (this.#status === 'block') this.#status = 'failed';
  }
  setting(name: string): string | undefined { return [...this.#settings].find(([k]) => k.toLowerCase() === name.toLowerCase())?.[1]; }
  statementTimeoutMs(): number { return Number(this.#settings.get('statement_timeout')); }
  async discard(): Promise<void> { this.log.push('discard'); }
  async close(): Promise<void> { this.closed = true; this.log.push('close'); }
}

function value(node: RawNode | undefined, params: SqlType[], given: readonly (SqlType | null)[]): Value {
  assert(node !== undefined);
  if ('TypeCast' in node) {
    const names = (node.TypeCast.typeName?.names ?? []).flatMap((n) => ('String' in n ? [n.String.sval ?? ''] : []));
    const element = typeByName(names) ?? TEXT;
    const type: SqlType = (node.TypeCast.typeName?.arrayBounds ?? []).length > 0 ? { kind: 'array', elem: element } : element;
    const inner = value(node.TypeCast.arg, params, given);
    if (!('param' in inner)) return { text: inner.text, type };
    if (given[inner.param] === null || given[inner.param] === undefined) params[inner.param] = type;
    return { param: inner.param, type };
  }
  if ('ParamRef' in node) {
    const index = (node.ParamRef.number ?? 1) - 1;
    return { param: index, type: params[index] ?? TEXT };
  }
  assert('A_Const' in node, 'only constants');
  const c = node.A_Const;
  if (c.ival !== undefined) return { text: String(c.ival.ival ?? 0), type: INT4 };
  if (c.boolval !== undefined) return { text: String(c.boolval.boolval ?? false), type: { kind: 'bool' } };
  if (c.fval !== undefined) return { text: c.fval.fval ?? '0', type: { kind: 'numeric' } };
  return { text: c.isnull === true ? null : c.sval?.sval ?? '', type: TEXT };
}

async function* constants(p: ValuesPrepared, params: readonly (string | null)[]): AsyncGenerator<Batch> {
  const rows = p.rows.map((row) => row.map((v) => {
    const text = 'param' in v ? params[v.param] ?? null : v.text;
    return text === null ? null : parseDatum(v.type, text);
  }));
  yield* one(rows);
}
async function* none(): AsyncGenerator<Batch> { yield* []; }
async function* one(rows: readonly (readonly Datum[])[]): AsyncGenerator<Batch> {
  const width = rows[0]?.length ?? 0;
  const columns: Vector[] = Array.from({ length: width }, (_, c) => ({ form: 'datum', values: rows.map((r) => r[c] ?? null), nulls: null }));
  if (rows.length > 0) yield { length: rows.length, columns, weights: null };
}

test('the values backend gives the rows of VALUES', async () => {
  await loadParser();
  const session = await new ValuesBackend().openSession({ user: 'u', database: 'd', parameters: new Map(), pid: 1, remoteAddress: null }, { notification: () => undefined, cancel: () => undefined, terminate: () => undefined });
  const parsed = parseStatements("VALUES (1, 'x'), (2, NULL)")[0];
  assert(parsed !== undefined);
  const execution = await session.execute(await session.prepare(parsed, []), [], { signal: new AbortController().signal, notice: () => undefined });
  assert(execution.kind === 'rows');
  const got: Datum[][] = [];
  for await (const b of execution.batches) for (let i = 0; i < b.length; i++) got.push(b.columns.map((v) => (v.form === 'datum' ? v.values[i] ?? null : null)));
  assert.deepEqual(got, [[1, 'x'], [2, null]]);
});
