/**
 * Statements that the session runs itself, since they are about what the protocol names: PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH, MOVE,
 * CLOSE, DISCARD. They share names with the protocol's own prepared statements and portals, as in Postgres.
 *
 * Cursors go forward only. FETCH from a subscription's cursor returns what is there as soon as there is at least one row.
 */
import { parseStatements } from '../../planner/parse/parser.js';
import type { Expression, Statement, TypeRef } from '../../planner/parse/statement.js';
import { SqlError, assert, unsupported } from '../../types/error.js';
import { arrayOf, type SqlType } from '../../types/sqltype.js';
import { formatDatum } from '../../types/textio.js';
import { formatType, typeByName } from '../../types/typeinfo.js';
import { datumAt } from '../../runtime/vectors.js';
import { ALL_ROWS, type SessionCore } from './core.js';
import { Portal, type PortalExecution, type SessionStatement, type Slice } from './portal.js';

type Fetch = Extract<Statement, { kind: 'fetch' }>;

/** Starts a statement of the session itself. What gives rows is taken from the result as from any portal. */
export async function startLocal(core: SessionCore, portal: Portal): Promise<PortalExecution> {
  const parsed = portal.statement.parsed;
  assert(parsed !== null, 'an empty statement is not started');
  const s = parsed.statement;
  const command = (tag: string): PortalExecution => ({ kind: 'command', tag });
  switch (s.kind) {
    case 'prepare': {
      core.addStatement(s.name, await core.prepare(s.statement, s.types.map(typeOf)));
      return command('PREPARE');
    }
    case 'deallocate': {
      if (s.name === null) { core.statements.clear(); return command('DEALLOCATE ALL'); }
      core.statement(s.name);
      core.statements.delete(s.name);
      return command('DEALLOCATE');
    }
    case 'execute': return executePrepared(core, portal, core.statement(s.name), s.args, s.name);
    case 'declare cursor': {
      if (!s.hold && core.backend.transactionStatus() === 'idle' && !core.severalStatements) {
        throw new SqlError('25P01', 'DECLARE CURSOR can only be used in transaction blocks', { hint: 'BEGIN; first, or DECLARE … CURSOR WITH HOLD.' });
      }
      if (s.name !== '' && core.portals.has(s.name)) throw new SqlError('42P03', `cursor "${s.name}" already exists`);
      const cursor = new Portal(s.name, await core.prepare({ ...parsed, statement: s.query }, []), [], s.binary ? [1] : []);
      cursor.cursor = true;
      cursor.hold = s.hold;
      cursor.execution = await core.running(cursor.controller, () => core.start(cursor));
      core.addPortal(cursor);
      return command('DECLARE CURSOR');
    }
    case 'fetch': return fetch(core, portal, s);
    case 'close': {
      if (s.name === null) {
        for (const [name, p] of core.portals) if (p.cursor) await core.closePortal(name);
        return command('CLOSE CURSOR ALL');
      }
      core.portal(s.name);
      await core.closePortal(s.name);
      return command('CLOSE CURSOR');
    }
    case 'discard': {
      if (s.what === 'all') {
        if (core.backend.transactionStatus() !== 'idle') throw new SqlError('25001', 'DISCARD ALL cannot run inside a transaction block');
        await core.closePortals(true);
        core.statements.clear();
      }
      await core.backend.discard(s.what);
      return command(`DISCARD ${s.what.toUpperCase()}`);
    }
    default: throw new SqlError('XX000', `internal error: ${s.kind} is not a statement of the session`);
  }
}

function typeOf(ref: TypeRef): SqlType {
  const names = (ref.ast.names ?? []).flatMap((n) => ('String' in n ? [n.String.sval ?? ''] : []));
  const type = typeByName(names);
  if (type === null) throw new SqlError('42704', `type "${ref.sql}" does not exist`, { position: ref.position });
  return (ref.ast.arrayBounds ?? []).length > 0 && type.kind !== 'array' ? arrayOf(type) : type;
}

async function executePrepared(core: SessionCore, portal: Portal, statement: SessionStatement, args: readonly Expression[], name: string): Promise<PortalExecution> {
  if (statement.prepared === null) throw unsupported('EXECUTE of a statement of the protocol', undefined);
  if (args.length !== statement.paramTypes.length) {
    throw new SqlError('42601', `wrong number of parameters for prepared statement "${name}"`, { detail: `Expected ${statement.paramTypes.length} parameters but got ${args.length}.` });
  }
  const params = args.length === 0 ? [] : await evaluate(core, portal, args, statement.paramTypes);
  const inner = new Portal(portal.name, statement, params, portal.formats);
  portal.controller.signal.addEventListener('abort', () => { inner.controller.abort(portal.controller.signal.reason); }, { once: true });
  return core.start(inner);
}

/** Values of constant expressions as texts of their types, by a query. */
async function evaluate(core: SessionCore, portal: Portal, args: readonly Expression[], types: readonly SqlType[]): Promise<(string | null)[]> {
  const items = args.map((a, i) => `CAST(${a.sql} AS ${formatType(types[i] ?? { kind: 'text' })})`);
  const parsed = parseStatements(`SELECT ${items.join(', ')}`)[0];
  assert(parsed !== undefined, 'a query was made');
  const query = new Portal('', await core.prepare(parsed, []), [], []);
  portal.controller.signal.addEventListener('abort', () => { query.controller.abort(portal.controller.signal.reason); }, { once: true });
  query.execution = await core.start(query);
  const slice = await query.next(1);
  assert(slice !== null, 'a row was computed');
  const texts = types.map((type, i) => {
    const vector = slice.batch.columns[i];
    const value = vector === undefined ? null : datumAt(type, vector, slice.from);
    return value === null ? null : formatDatum(type, value, core.io());
  });
  await query.close();
  return texts;
}

function fetch(core: SessionCore, portal: Portal, s: Fetch): PortalExecution {
  const cursor = core.portal(s.cursor);
  const execution = cursor.execution;
  if (execution?.kind !== 'slices') throw new SqlError('34000', `cursor "${s.cursor}" cannot be fetched from`);
  const { skip, count } = forward(s, cursor);
  portal.formats = cursor.formats;
  portal.controller.signal.addEventListener('abort', () => { cursor.controller.abort(portal.controller.signal.reason); }, { once: true });
  const verb = s.move ? 'MOVE' : 'FETCH';
  if (s.move) return { kind: 'slices', columns: [], slices: moving(cursor, skip, count), tag: () => `${verb} ${moved(cursor)}`, streaming: false };
  return { kind: 'slices', columns: execution.columns, slices: fetching(cursor, skip, count, execution.streaming), tag: (rows) => `${verb} ${rows}`, streaming: false };
}

const movedRows = new WeakMap<Portal, number>();
function moved(cursor: Portal): number { return movedRows.get(cursor) ?? 0; }

/** Rows to pass over and rows to give, going forward. */
function forward(s: Fetch, cursor: Portal): { skip: number; count: number } {
  const back = (): SqlError => new SqlError('55000', 'cursor can only scan forward', { hint: 'Declare it anew to read from the start.' });
  const n = s.count;
  switch (s.direction) {
    case 'forward': case 'next': {
      if (n !== null && n < 0) throw back();
      if (n === 0) throw unsupported('FETCH 0 (the current row again)', s.position);
      return { skip: 0, count: n ?? ALL_ROWS };
    }
    case 'relative': {
      if (n === null || n <= 0) throw back();
      return { skip: n - 1, count: 1 };
    }
    case 'absolute': case 'first': {
      if (n === null || n <= cursor.position) throw back();
      return { skip: n - 1 - cursor.position, count: 1 };
    }
    default: throw back();
  }
}

async function* fetching(cursor: Portal, skip: number, count: number, streaming: boolean): AsyncGenerator<Slice> {
  await pass(cursor, skip);
  let left = count;
  while (left > 0) {
    const slice = await cursor.next(left);
    if (slice === null) return;
    left -= slice.to - slice.from;
    yield slice;
    if (streaming) return;
  }
}

async function* moving(cursor: Portal, skip: number, count: number): AsyncGenerator<Slice> {
  await pass(cursor, skip);
  movedRows.set(cursor, await pass(cursor, count));
  yield* [];
}

/** Takes up to that many rows of a cursor without giving them. */
async function pass(cursor: Portal, rows: number): Promise<number> {
  let passed = 0;
  while (passed < rows) {
    const slice = await cursor.next(rows - passed);
    if (slice === null) break;
    passed += slice.to - slice.from;
  }
  return passed;
}
