/**
 * INSERT, UPDATE, DELETE and COPY … FROM: the planner gives a batch plan whose rows are the stored rows to write; here they are checked
 * (NOT NULL, unique key), encoded, and added to the transaction. RETURNING's rows come from the same plan.
 */
import type { Session } from '../../planner/bind/context.js';
import type { CopyRows, ExecuteContext, Execution } from '../session/backend.js';
import type { Batch } from '../../runtime/batch.js';
import type { QueryResult } from '../../runtime/engine.js';
import { batchFromDatums, datumAt } from '../../runtime/vectors.js';
import type { Delete, Insert, Statement, Update } from '../../planner/parse/statement.js';
import { type DmlPlan, type Numbered, planDelete, planInsert, planInsertRows, planUpdate } from '../../planner/plan/plandml.js';
import type { StreamRelation, TableRelation } from '../../planner/catalog.js';
import { encodeOrderKey } from '../../types/encoding/order.js';
import { RowCodec } from '../../types/encoding/row.js';
import { SqlError } from '../../types/error.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { formatDatum, parseDatum, quoteIdentifier } from '../../types/textio.js';
import { numbersOf } from '../catalog/identity.js';
import type { Database } from '../database.js';
import { withParams } from './params.js';
import { type QuerySession, runPlan } from './query.js';
import { findRelation } from './findrelation.js';
import { keyText, Transaction } from './transaction.js';

/** Rows checked and encoded before the event loop gets a turn. */
const CHUNK_ROWS = 2000;

export interface WritePlan {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly target: TableRelation | StreamRelation;
  readonly dml: DmlPlan;
  readonly paramTypes: readonly SqlType[];
  /** Columns of RETURNING, null = none. */
  readonly returning: readonly Column[] | null;
}

export function planWrite(database: Database, statement: Insert | Update | Delete, given: readonly (SqlType | null)[], session?: Session): WritePlan {
  const target = writable(database, statement.target, statement.kind);
  const dml = statement.kind === 'insert' ? planInsert(statement, target, database.catalog, given, session)
    : statement.kind === 'update' ? planUpdate(statement, onlyTable(target, 'UPDATE', statement.target.position), database.catalog, given, session)
      : planDelete(statement, onlyTable(target, 'DELETE', statement.target.position), database.catalog, given, session);
  return { kind: statement.kind, target, dml, paramTypes: dml.paramTypes, returning: dml.returning };
}

function writable(database: Database, name: Insert['target'], verb: string): TableRelation | StreamRelation {
  const relation = findRelation(database, name);
  if (relation.kind === 'table') return relation;
  if (relation.kind === 'stream') {
    if (relation.connector === null) return relation;
    throw new SqlError('42809', `cannot ${verb} into stream "${relation.name}": it reads from connector ${relation.connector}`, { position: name.position, hint: 'A stream created without a connector takes INSERTs.' });
  }
  throw new SqlError('42809', `cannot ${verb} ${verb === 'insert' ? 'into' : 'rows of'} ${relation.kind} "${relation.name}"`, { position: name.position });
}

function onlyTable(relation: TableRelation | StreamRelation, verb: string, position: number): TableRelation {
  if (relation.kind === 'table') return relation;
  throw new SqlError('42809', `cannot ${verb} stream "${relation.name}": a stream only grows`, { position, hint: 'CREATE TABLE makes a relation whose rows can be changed.' });
}

/** Encodes and checks rows of one relation. */
class Writer {
  readonly target: TableRelation | StreamRelation;
  readonly #database: Database;
  readonly #transaction: Transaction;
  readonly #codec: RowCodec;
  readonly #types: readonly SqlType[];
  readonly #hidden: boolean;
  readonly #numbered: readonly (Numbered & { readonly next: () => Datum })[];

  constructor(database: Database, target: TableRelation | StreamRelation, transaction: Transaction, numbered: readonly Numbered[]) {
    this.#database = database;
    this.target = target;
    this.#transaction = transaction;
    this.#types = storedTypes(target);
    this.#codec = new RowCodec(this.#types);
    this.#hidden = target.kind === 'table' && target.hiddenRowId;
    this.#numbered = target.kind === 'table' ? numbered.map(n => ({ ...n, next: numbersOf(target, n.column, () => transaction.nextNumber(database, target.id, n.column)) })) : [];
  }

  encode(row: readonly Datum[]): Uint8Array { return this.#codec.encode(row); }

  key(row: readonly Datum[]): Uint8Array {
    if (this.target.kind !== 'table') return EMPTY;
    return encodeOrderKey(this.target.primaryKey.map(i => this.#types[i] ?? this.#types[0] ?? { kind: 'int8' }), this.target.primaryKey.map(i => row[i] ?? null));
  }

  /** The stored row of a new one: numbers given, flags of them gone, hidden row id added. */
  complete(row: readonly Datum[]): readonly Datum[] {
    if (!this.#hidden && this.#numbered.length === 0) return row;
    const stored = row.slice(0, this.#types.length - (this.#hidden ? 1 : 0));
    for (const { column, flag, next } of this.#numbered) if (flag === null || row[flag] === true) stored[column] = next();
    if (this.#hidden) stored.push(this.#database.tables.nextRowId(this.target.id));
    return stored;
  }

  /** A row with new numbers in columns that were SET to DEFAULT. */
  renumbered(row: readonly Datum[]): readonly Datum[] {
    if (this.#numbered.length === 0) return row;
    const stored = [...row];
    for (const { column, next } of this.#numbered) stored[column] = next();
    return stored;
  }

  checkNotNull(row: readonly Datum[]): void {
    const columns = this.target.columns;
    for (let i = 0; i < columns.length; i++) {
      const c = columns[i];
      if (c === undefined || !c.notNull || (row[i] ?? null) !== null) continue;
      throw new SqlError('23502', `null value in column "${c.name}" of relation "${this.target.name}" violates not-null constraint`, {
        detail: `Failing row contains (${row.slice(0, this.#hidden ? -1 : undefined).map((_, k) => this.#shown(row, k)).join(', ')}).`,
        violated: { schema: this.target.schema, table: this.target.name, column: c.name },
      });
    }
  }

  /** Committed rows of the keys, with this transaction's changes laid over; undefined = none. */
  async existing(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const stored = await this.#database.tables.getMany(this.target.id, keys);
    return keys.map((key, i) => {
      const own = this.#transaction.row(this.target.id, key);
      return own === undefined ? stored[i] : own ?? undefined;
    });
  }

  /** Adds rows; `onConflict` null = an existing key is 23505. Returns the rows that were stored. */
  async insert(rows: readonly (readonly Datum[])[], onConflict: DmlPlan['onConflict']): Promise<(readonly Datum[])[]> {
    const seen = new Set<string>();
    if (rows.length <= CHUNK_ROWS) return this.#insertChunk(rows, onConflict, seen);
    const stored: (readonly Datum[])[] = [];
    for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
      for (const row of await this.#insertChunk(rows.slice(from, from + CHUNK_ROWS), onConflict, seen)) stored.push(row);
      // Other clients get their turn.
      await new Promise(resolve => { setImmediate(resolve); });
    }
    return stored;
  }

  /** `inThisStatement`: keys that the statement has met so far. */
  async #insertChunk(rows: readonly (readonly Datum[])[], onConflict: DmlPlan['onConflict'], inThisStatement: Set<string>): Promise<(readonly Datum[])[]> {
    const complete = rows.map(r => this.complete(r));
    for (const row of complete) this.checkNotNull(row);
    if (this.target.kind === 'stream') {
      for (const row of complete) this.#transaction.add({ tableId: this.target.id, key: EMPTY, old: null, new: this.encode(row) });
      return complete;
    }
    const keys = complete.map(r => this.key(r));
    const before = this.#hidden ? keys.map(() => undefined) : await this.existing(keys);
    const stored: (readonly Datum[])[] = [];
    complete.forEach((row, i) => {
      const key = keys[i] ?? EMPTY;
      const text = keyText(key);
      const taken = before[i];
      const again = inThisStatement.has(text);
      inThisStatement.add(text);
      let final = row;
      if (taken !== undefined || again) {
        if (onConflict === null) throw this.duplicate(row);
        if (onConflict.kind === 'nothing') return;
        if (again) throw new SqlError('21000', 'ON CONFLICT DO UPDATE command cannot affect row a second time', { hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.' });
        const old = taken === undefined ? null : this.#codec.decode(taken, 0, taken.length);
        const updated = onConflict.update(old ?? row, row);
        if (updated === null) return;
        final = updated;
        this.checkNotNull(final);
        if (keyText(this.key(final)) !== text) throw new SqlError('0A000', 'ON CONFLICT DO UPDATE of a primary key column is not supported');
      }
      this.#transaction.add({ tableId: this.target.id, key, old: taken ?? null, new: this.encode(final) });
      stored.push(final);
    });
    return stored;
  }

  duplicate(row: readonly Datum[]): SqlError {
    const key = this.target.primaryKey ?? [];
    const constraint = `${this.target.name}_pkey`;
    return new SqlError('23505', `duplicate key value violates unique constraint "${constraint}"`, {
      detail: `Key (${key.map(k => quoteIdentifier(this.target.columns[k]?.name ?? '')).join(', ')})=(${key.map(k => this.#shown(row, k)).join(', ')}) already exists.`,
      violated: { schema: this.target.schema, table: this.target.name, constraint },
    });
  }

  /** A value of the row as messages show it. */
  #shown(row: readonly Datum[], column: number): string {
    const value = row[column] ?? null;
    return value === null ? 'null' : formatDatum(this.#types[column] ?? { kind: 'text' }, value);
  }
}

const EMPTY = new Uint8Array(0);

export const storedTypes = (r: TableRelation | StreamRelation): readonly SqlType[] =>
  (r.kind === 'table' ? r.columns : r.columns.filter(c => c.generatedSql === null)).map(c => c.type);

export async function runWrite(database: Database, session: QuerySession, write: WritePlan, params: readonly (string | null)[], transaction: Transaction, context: ExecuteContext): Promise<Execution> {
  const plan = withParams(write.dml.plan, params);
  const result = await runPlan(database, session, plan, transaction, context.signal);
  const writer = new Writer(database, write.target, transaction, write.dml.numbered);
  let returned: readonly (readonly Datum[])[];
  let count = 0;
  const width = storedTypes(write.target).length;
  const all = await rowsOf(result);
  switch (write.kind) {
    case 'insert': {
      const stored = await writer.insert(all, write.dml.onConflict);
      count = stored.length;
      returned = stored;
      break;
    }
    case 'update': {
      // Rows are: the stored row before, then the stored row after.
      count = all.length;
      const changed = all.map(r => ({ before: r.slice(0, width), after: writer.renumbered(r.slice(width, 2 * width)) }));
      await update(writer, changed, transaction);
      returned = write.dml.returning === null ? [] : changed.map(c => c.after);
      break;
    }
    case 'delete': {
      count = all.length;
      for (const row of all) transaction.add({ tableId: write.target.id, key: writer.key(row), old: writer.encode(row.slice(0, width)), new: null });
      returned = all;
      break;
    }
  }
  const tag = write.kind === 'insert' ? `INSERT 0 ${count}` : `${write.kind.toUpperCase()} ${count}`;
  if (write.dml.returning === null || write.dml.project === null) return { kind: 'command', tag };
  const project = write.dml.project;
  const columns = write.dml.returning;
  const batch = batchFromDatums(columns.map(c => c.type), returned.map(r => project(r)));
  return { kind: 'rows', columns, batches: single(batch), tag: () => tag, streaming: false };
}

/** Keys may move: all old rows go first, then the new ones come, so that swaps of keys work; a key taken by another row is 23505. */
async function update(writer: Writer, rows: readonly { before: readonly Datum[]; after: readonly Datum[] }[], transaction: Transaction): Promise<void> {
  const tableId = writer.target.id;
  const moved: { key: Uint8Array; after: readonly Datum[] }[] = [];
  for (const { before, after } of rows) {
    writer.checkNotNull(after);
    const oldKey = writer.key(before);
    const newKey = writer.key(after);
    if (keyText(oldKey) === keyText(newKey)) transaction.add({ tableId, key: oldKey, old: writer.encode(before), new: writer.encode(after) });
    else {
      transaction.add({ tableId, key: oldKey, old: writer.encode(before), new: null });
      moved.push({ key: newKey, after });
    }
  }
  const taken = await writer.existing(moved.map(m => m.key));
  const seen = new Set<string>();
  moved.forEach(({ key, after }, i) => {
    const text = keyText(key);
    if (taken[i] !== undefined || seen.has(text)) throw writer.duplicate(after);
    seen.add(text);
    transaction.add({ tableId, key, old: null, new: writer.encode(after) });
  });
}

function* datums(batch: Batch, columns: readonly Column[]): Generator<Datum[]> {
  for (let i = 0; i < batch.length; i++) {
    const row: Datum[] = [];
    for (let c = 0; c < batch.columns.length; c++) {
      const vector = batch.columns[c];
      const column = columns[c];
      row.push(vector === undefined || column === undefined ? null : datumAt(column.type, vector, i));
    }
    yield row;
  }
}

/** All rows of a plan's result. */
export async function rowsOf(result: QueryResult): Promise<(readonly Datum[])[]> {
  const all: (readonly Datum[])[] = [];
  for await (const batch of result) for (const row of datums(batch, result.columns)) all.push(row);
  return all;
}

/** Rows of a new table that nobody else sees: they are committed when this resolves. */
export async function fillTable(database: Database, table: TableRelation, rows: readonly (readonly Datum[])[]): Promise<void> {
  const transaction = new Transaction();
  await new Writer(database, table, transaction, []).insert(rows, null);
  if (!transaction.empty) await transaction.commit(database, false);
}

async function* single(batch: Batch): AsyncGenerator<Batch> { yield batch; }

/** COPY t FROM STDIN: fields are parsed by the columns' input functions, missing columns take their defaults. */
export async function copyFrom(database: Database, session: QuerySession, statement: Extract<Statement, { kind: 'copy from' }>, transaction: Transaction): Promise<Execution> {
  const target = writable(database, statement.table, 'insert');
  const { columns, numbered, complete } = planInsertRows(target, statement.columns, statement.position);
  const writer = new Writer(database, target, transaction, numbered);
  const consume = async (input: AsyncIterable<CopyRows>): Promise<number> => {
    let count = 0;
    for await (const { firstLine, rows } of input) {
      for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
        const parsed = rows.slice(from, from + CHUNK_ROWS).map((fields, i) => complete(parseFields(fields, columns, target.name, firstLine + from + i, session.timeZone)));
        count += (await writer.insert(parsed, null)).length;
      }
    }
    return count;
  };
  return { kind: 'copy in', columns, options: statement.options, consume };
}

function parseFields(fields: readonly (string | null)[], columns: readonly Column[], relation: string, line: number, timeZone: string): Datum[] {
  return columns.map((c, i) => {
    const text = fields[i] ?? null;
    if (text === null) return null;
    try {
      return parseDatum(c.type, text, { timeZone, nowUs: Date.now() * 1000 });
    } catch (e) {
      if (e instanceof SqlError) throw new SqlError(e.code, e.message, { detail: `COPY ${relation}, line ${line}, column ${c.name}: "${text.slice(0, 100)}"`, hint: e.hint, cause: e });
      throw e;
    }
  });
}
