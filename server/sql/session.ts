/**
 * SqlSession: one client's statements, planned and run on the database. Implements the protocol layer's BackendSession.
 *
 * Every statement kind has one line in `execute`'s switch; what it does stands in server/ddl, server/sql/{query,write,subscribe,show}.ts.
 * A block's writes are kept in its Transaction until COMMIT; single statements commit by themselves through the implicit one.
 */
import type { Session } from '../../planner/bind/context.js';
import type { Batch } from '../../runtime/batch.js';
import type { QueryResult } from '../../runtime/engine.js';
import { batchFromDatums, datumRow } from '../../runtime/vectors.js';
import type { CreateTableAs, ParsedStatement, Query, Statement } from '../../planner/parse/statement.js';
import { parseQuery } from '../../planner/parse/parser.js';
import { planQuery } from '../../planner/plan/planquery.js';
import type { PlannedQuery } from '../../planner/planner.js';
import { SqlError, unreachable, unsupported } from '../../types/error.js';
import { Settings, settingSpec } from '../../types/settings.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { createSink } from '../ddl/sink.js';
import { createStream } from '../ddl/stream.js';
import { createTable } from '../ddl/table.js';
import { createTableAs, planTableAs } from '../ddl/tableas.js';
import { createMaterializedView, createView } from '../ddl/view.js';
import { drop } from '../ddl/drop.js';
import { maskSecrets } from '../ddl/options.js';
import { createSecret } from '../ddl/secret.js';
import type { Database } from '../database.js';
import type { BackendSession, ExecuteContext, Execution, Prepared, SessionEvents, SessionInfo, TransactionStatus } from '../session/backend.js';
import type { SessionFacts, SystemContext } from '../system/systemtable.js';
import { commandCall, type CommandCall } from './commandcalls.js';
import { alterJob, checkpointJobs, jobNamed } from './jobs.js';
import { SessionChannels } from './notifications.js';
import { withParams } from './params.js';
import { type QuerySession, runPlan } from './query.js';
import { explainCheckpoint } from './explaincheckpoint.js';
import { describe, explainStatement, PLAN_COLUMNS, showCreate, showQuery, showRelations, showSetting, type TextTable } from './show.js';
import { createSavepoint, dropSavepoint, explainRestore, pauseJob, RESTORE_COLUMNS, resumeJob, SAVEPOINT_COLUMNS, stopJob } from './savepoints.js';
import { SessionSettings, refuseServerScope } from './sessionsettings.js';
import { planQuerySubscription, planSubscription, type Subscription } from './subscribe.js';
import { Transaction } from './transaction.js';
import { truncate } from './truncate.js';
import { copyFrom, planWrite, runWrite, type WritePlan } from './write.js';
import { wholeRelation } from './wholerelation.js';

class PreparedStatement implements Prepared {
  readonly parsed: ParsedStatement;
  readonly given: readonly (SqlType | null)[];
  readonly paramTypes: readonly SqlType[];
  readonly columns: readonly Column[] | null;
  readonly bound: Bound;
  readonly catalogVersion: number;
  constructor(parsed: ParsedStatement, given: readonly (SqlType | null)[], bound: Bound, catalogVersion: number) {
    this.parsed = parsed;
    this.given = given;
    this.bound = bound;
    this.paramTypes = bound.paramTypes;
    this.columns = bound.columns;
    this.catalogVersion = catalogVersion;
  }
}

/** What binding a statement gave: enough to run it. */
type Bound = { readonly paramTypes: readonly SqlType[]; readonly columns: readonly Column[] | null } & (
  | { readonly kind: 'query'; readonly planned: PlannedQuery }
  | { readonly kind: 'write'; readonly write: WritePlan }
  | { readonly kind: 'table as'; readonly statement: CreateTableAs; readonly planned: PlannedQuery }
  | { readonly kind: 'subscription'; readonly subscription: Subscription }
  | { readonly kind: 'text'; readonly make: (context: ExecuteContext) => TextTable | Promise<TextTable>; readonly tag: string }
  | { readonly kind: 'call'; readonly call: CommandCall; readonly planned: PlannedQuery }
  | { readonly kind: 'other' });

export class SqlSession implements BackendSession {
  readonly #database: Database;
  readonly #info: SessionInfo;
  readonly #session: SessionSettings;
  readonly #settings: Settings;
  #transaction: Transaction | null = null;
  /** Ends this session's turn of the write lock: held from the first write of an implicit transaction to its commit. */
  #release: (() => void) | null = null;
  #block = false;
  #failed = false;
  readonly #channels: SessionChannels;
  #transactionTimeUs = 0;

  constructor(database: Database, info: SessionInfo, events: SessionEvents) {
    this.#database = database;
    this.#info = info;
    this.#session = new SessionSettings(database.settings, info);
    this.#settings = this.#session.values;
    this.#channels = new SessionChannels(database.notifications, info.pid, (channel, payload, pid) => { events.notification(channel, payload, pid); });
    database.sessions.set(info.pid, {
      pid: info.pid, user: info.user, database: info.database, applicationName: String(this.#settings.get('application_name')), clientAddress: info.remoteAddress ?? '',
      startedMs: Date.now(), state: 'idle', query: '', queryStartedMs: null,
    });
    database.ends.set(info.pid, events);
  }

  async prepare(parsed: ParsedStatement, paramTypes: readonly (SqlType | null)[]): Promise<Prepared> {
    return new PreparedStatement(parsed, paramTypes, this.#bind(parsed, paramTypes), this.#database.catalog.version);
  }

  #bind(parsed: ParsedStatement, given: readonly (SqlType | null)[]): Bound {
    const { statement } = parsed;
    const text = (make: () => TextTable, tag: string): Bound => ({ kind: 'text', paramTypes: [], columns: make().columns, make, tag });
    const later = (columns: readonly Column[], make: (context: ExecuteContext) => Promise<TextTable>, tag: string): Bound => ({
      kind: 'text', paramTypes: [], columns, make: context => { this.#refuseBlock(statement.kind); return make(context); }, tag,
    });
    switch (statement.kind) {
      case 'select': return this.#bindQuery(statement.query, given, parsed);
      case 'insert': case 'update': case 'delete': {
        const write = planWrite(this.#database, statement, given, this.#bindSession());
        return { kind: 'write', paramTypes: write.paramTypes, columns: write.returning, write };
      }
      case 'create table as': {
        const planned = planTableAs(this.#database, statement, given, this.#bindSession());
        return { kind: 'table as', paramTypes: planned.paramTypes, columns: null, statement, planned };
      }
      case 'subscribe': {
        const subscription = planSubscription(this.#database, statement, this.#bindSession());
        return { kind: 'subscription', paramTypes: [], columns: subscription.columns, subscription };
      }
      case 'show': return text(() => showSetting(this.#settings, statement.name, statement.position), 'SHOW');
      case 'show objects': {
        const sql = showQuery(statement.objects, statement.job === null ? null : jobNamed(this.#database, statement.job, statement.position).name);
        if (sql !== null) return this.#bindQuery(parseQuery(sql), []);
        return text(() => showRelations(this.#database, statement.objects, statement.like, statement.position), 'SHOW');
      }
      case 'show create': return text(() => showCreate(this.#database, statement.name), 'SHOW');
      case 'describe': return text(() => describe(this.#database, statement.name), 'SHOW');
      case 'explain':
        if (statement.analyze) throw unsupported('EXPLAIN ANALYZE', statement.position, 'SELECT * FROM millrace.operators shows rows and time of each operator of running jobs.');
        return text(() => explainStatement(this.#database, statement.statement, statement.position, this.#settings, this.#bindSession()), 'EXPLAIN');
      case 'explain restore': return later(RESTORE_COLUMNS, () => explainRestore(this.#database, statement, this.#settings, this.#bindSession()), 'EXPLAIN');
      case 'explain checkpoint': return later(PLAN_COLUMNS, () => explainCheckpoint(this.#database, statement.job, statement.checkpoint, statement.position), 'EXPLAIN');
      case 'create savepoint': return later(SAVEPOINT_COLUMNS, context => createSavepoint(this.#database, statement, this.#settings, context), 'CREATE SAVEPOINT');
      case 'stop job':
        return statement.savepoint === null ? { kind: 'other', paramTypes: [], columns: null }
          : later(SAVEPOINT_COLUMNS, async context => await stopJob(this.#database, statement, this.#settings, context) ?? { columns: SAVEPOINT_COLUMNS, rows: [] }, 'STOP JOB');
      default: return { kind: 'other', paramTypes: [], columns: null };
    }
  }

  /** `parsed`: the statement that the query is, when it may come again. */
  #bindQuery(query: Query, given: readonly (SqlType | null)[], parsed: ParsedStatement | null = null): Bound {
    if (query.emit === 'changes') {
      const subscription = planQuerySubscription(this.#database, query, true, this.#bindSession());
      return { kind: 'subscription', paramTypes: [], columns: subscription.columns, subscription };
    }
    const session = this.#bindSession();
    const { catalog, plans } = this.#database;
    const call = commandCall(query);
    if (call !== null) {
      const planned = planQuery(call.query, catalog, { kind: 'batch' }, given, session);
      return { kind: 'call', paramTypes: planned.paramTypes, columns: call.columns, call, planned };
    }
    const plan = (): PlannedQuery => planQuery(query, catalog, { kind: 'batch' }, given, session);
    const planned = parsed === null ? plan() : plans.planned(parsed, given, session, catalog.version, plan);
    return { kind: 'query', paramTypes: planned.paramTypes, columns: planned.columns, planned };
  }

  async execute(prepared: Prepared, params: readonly (string | null)[], context: ExecuteContext): Promise<Execution> {
    if (!(prepared instanceof PreparedStatement)) throw new SqlError('XX000', 'internal error: a prepared statement of another backend');
    this.#tell({ state: 'active', query: shownText(prepared.parsed), queryStartedMs: Date.now() });
    // A change of the catalog since: bind again, as Postgres re-plans.
    const bound = prepared.catalogVersion === this.#database.catalog.version ? prepared.bound : this.#bind(prepared.parsed, prepared.given);
    return this.#run(bound, prepared.parsed, params, context);
  }

  ready(): void { this.#tell({ state: !this.#block ? 'idle' : this.#failed ? 'idle in transaction (aborted)' : 'idle in transaction' }); }

  /** What pg_stat_activity shows of the session. */
  #tell(facts: Partial<SessionFacts>): void {
    const { sessions } = this.#database;
    const before = sessions.get(this.#info.pid);
    if (before !== undefined) sessions.set(this.#info.pid, { ...before, ...facts });
  }

  async #run(bound: Bound, parsed: ParsedStatement, params: readonly (string | null)[], context: ExecuteContext): Promise<Execution> {
    switch (bound.kind) {
      case 'query': {
        for (const message of bound.planned.notices) context.notice({ severity: 'NOTICE', message });
        const result = await runPlan(this.#database, this.#querySession(), withParams(bound.planned.plan, params), this.#transaction, context.signal);
        return rows(bound.planned.columns, result, 'SELECT');
      }
      case 'write': return runWrite(this.#database, this.#querySession(), bound.write, params, await this.#writing(), context);
      case 'table as': {
        this.#refuseBlock(bound.statement.kind);
        const { statement, planned } = bound;
        for (const message of planned.notices) context.notice({ severity: 'NOTICE', message });
        const run = (): Promise<QueryResult> => runPlan(this.#database, this.#querySession(), withParams(planned.plan, params), this.#transaction, context.signal);
        return { kind: 'command', tag: await createTableAs(this.#database, statement, parsed.sql, planned.columns, run, context) };
      }
      case 'subscription': {
        const batches = bound.subscription.open(this.#settings, context.signal);
        return { kind: 'rows', columns: bound.subscription.columns, batches, tag: n => `SUBSCRIBE ${n}`, streaming: true };
      }
      case 'text': {
        const { columns, rows: lines } = await bound.make(context);
        return rows(columns, one(batchFromDatums(columns.map(c => c.type), lines)), bound.tag);
      }
      case 'call': {
        const { planned, call } = bound;
        const made = await runPlan(this.#database, this.#querySession(), withParams(planned.plan, params), this.#transaction, context.signal);
        return rows(call.columns, this.#calls(call, made, planned.columns.map(c => c.type), context), 'SELECT');
      }
      case 'other': return this.#command(parsed.statement, parsed.sql, context);
    }
  }

  /** Carries out the call for each row of its arguments. */
  async *#calls(call: CommandCall, made: AsyncIterable<Batch>, types: readonly SqlType[], context: ExecuteContext): AsyncGenerator<Batch> {
    for await (const batch of made) {
      const results: Datum[][] = [];
      for (let i = 0; i < batch.length; i++) results.push([this.#call(call.name, datumRow(types, batch, i), context)]);
      yield batchFromDatums(call.columns.map(c => c.type), results);
    }
  }

  #call(name: CommandCall['name'], args: readonly Datum[], context: ExecuteContext): Datum {
    const [first, second, third] = args;
    switch (name) {
      case 'pg_notify': this.#channels.notify(String(first ?? ''), String(second ?? '')); return '';
      case 'set_config': {
        if (first === null) throw new SqlError('22004', 'SET requires parameter name');
        this.#session.set(String(first), second === null ? null : String(second), third === true, undefined);
        return this.#settings.show(String(first));
      }
      case 'pg_cancel_backend': case 'pg_terminate_backend': {
        if (first === null) return null;
        const target = this.#database.ends.get(Number(first));
        if (target === undefined) context.notice({ severity: 'WARNING', message: `PID ${String(first)} is not a session of this server` });
        else if (name === 'pg_cancel_backend') target.cancel();
        else target.terminate(new SqlError('57P01', 'terminating connection due to administrator command'));
        return target !== undefined;
      }
      default: return unreachable(name);
    }
  }

  #refuseBlock(kind: string): void {
    if (this.#block) throw new SqlError('25001', `${kind.toUpperCase()} cannot run inside a transaction block`, { hint: 'COMMIT; first.' });
  }

  async #command(statement: Statement, sql: string, context: ExecuteContext): Promise<Execution> {
    const database = this.#database;
    const command = (tag: string): Execution => ({ kind: 'command', tag });
    const ddl = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#refuseBlock(statement.kind);
      return database.ddlLock.run(work);
    };
    const created = async (tag: string, name: string, work: () => Promise<{ created: boolean }>): Promise<Execution> => {
      if (!(await ddl(work)).created) context.notice({ severity: 'NOTICE', code: '42P07', message: `relation "${name}" already exists, skipping` });
      return command(tag);
    };
    switch (statement.kind) {
      case 'create table': return created('CREATE TABLE', statement.name.name, () => createTable(database, statement, sql));
      case 'create stream': return created('CREATE STREAM', statement.name.name, () => createStream(database, statement, sql));
      case 'create view': await ddl(() => createView(database, statement, sql)); return command('CREATE VIEW');
      case 'create materialized view': return created('CREATE MATERIALIZED VIEW', statement.name.name, () => createMaterializedView(database, statement, sql, this.#settings, this.#bindSession(), context));
      case 'create sink': return created('CREATE SINK', statement.name.name, () => createSink(database, statement, sql, this.#settings, this.#bindSession(), context));
      case 'drop': await ddl(() => drop(database, statement.object, statement.names, statement.ifExists, statement.cascade, context)); return command(`DROP ${statement.object.toUpperCase()}`);
      case 'comment': return command('COMMENT');
      case 'begin': {
        if (this.#block) context.notice({ severity: 'WARNING', code: '25001', message: 'there is already a transaction in progress' });
        this.#begin();
        this.#block = true;
        // What was written before in the same message becomes the block's, which holds up nobody: it checks at COMMIT.
        this.#release?.();
        this.#release = null;
        return command('BEGIN');
      }
      case 'commit': return command(await this.#commit(context, statement.chain));
      case 'rollback': {
        if (!this.#block) context.notice({ severity: 'WARNING', code: '25P01', message: 'there is no transaction in progress' });
        this.#end(false);
        if (statement.chain) { this.#begin(); this.#block = true; }
        return command('ROLLBACK');
      }
      case 'set': {
        if (statement.local && !this.#block) context.notice({ severity: 'WARNING', code: '25P01', message: 'SET LOCAL can only be used in transaction blocks' });
        this.#session.set(statement.name, statement.value, statement.local, statement.position);
        return command('SET');
      }
      case 'set transaction': return command('SET');
      case 'reset': {
        this.#session.reset(statement.name, statement.position);
        return command('RESET');
      }
      case 'alter system': await ddl(() => this.#alterSystem(statement.name, statement.value, statement.position)); return command('ALTER SYSTEM');
      case 'flush': await database.engine.flush(database.tables.lastSeq, this.#runningJobs(), context.signal); return command('FLUSH');
      case 'checkpoint': await checkpointJobs(database, statement.job, statement.position, context); return command('CHECKPOINT');
      case 'alter job': this.#refuseBlock(statement.kind); await alterJob(database, statement, this.#info.user); return command('ALTER JOB');
      case 'cancel job': this.#refuseBlock(statement.kind); await database.engine.cancelJob(jobNamed(database, statement.job, statement.position).jobId); return command('CANCEL JOB');
      case 'copy from': return copyFrom(database, this.#querySession(), statement, await this.#writing());
      case 'copy to': return this.#copyTo(statement, context);
      case 'truncate': await truncate(database, statement, await this.#writing(), context.signal); return command('TRUNCATE TABLE');
      case 'create schema':
        if (statement.ifNotExists && database.catalog.schemaExists(statement.name)) return command('CREATE SCHEMA');
        throw unsupported('CREATE SCHEMA', statement.position, 'Relations stand in schema public.');
      case 'create index':
        context.notice({ severity: 'NOTICE', message: 'views are kept indexed by their key; the index is not needed and was not created' });
        return command('CREATE INDEX');
      case 'listen': this.#channels.listen(statement.channel); return command('LISTEN');
      case 'unlisten': this.#channels.unlisten(statement.channel); return command('UNLISTEN');
      case 'notify': this.#channels.notify(statement.channel, statement.payload); return command('NOTIFY');
      case 'create secret': await ddl(() => createSecret(database, statement, context)); return command('CREATE SECRET');
      case 'create derived stream': throw unsupported('CREATE STREAM … AS (a derived stream)', undefined, 'CREATE MATERIALIZED VIEW keeps and passes on the same changes.');
      case 'drop savepoint': await ddl(() => dropSavepoint(database, statement, this.#settings)); return command('DROP SAVEPOINT');
      case 'stop job': this.#refuseBlock(statement.kind); await stopJob(database, statement, this.#settings, context); return command('STOP JOB');
      case 'pause job': this.#refuseBlock(statement.kind); await pauseJob(database, statement, context); return command('PAUSE JOB');
      case 'resume job': await ddl(() => resumeJob(database, statement)); return command('RESUME JOB');
      case 'create connection': throw unsupported(statement.kind.toUpperCase(), 'position' in statement ? statement.position : undefined);
      case 'unsupported': throw unsupported(statement.feature, statement.position, statement.hint ?? undefined);
      default: throw new SqlError('XX000', `internal error: statement ${statement.kind} has no executor`);
    }
  }

  async #alterSystem(name: string | null, value: string | null, position: number): Promise<void> {
    const { settings, catalog } = this.#database;
    if (name === null) {
      await catalog.change({ putSettings: {} });
      settings.resetAll();
      return;
    }
    try {
      const spec = settingSpec(name);
      const kept: Record<string, string> = {};
      for (const [key, v] of Object.entries(catalog.systemSettings())) if (key !== spec.name) kept[key] = String(v);
      // Checked on a copy: the catalog commits before anybody sees the value.
      const after = new Settings(settings, 'configuration file');
      if (value !== null) {
        refuseServerScope(name, value, position);
        after.setChecked(name, value, (n, v) => `ALTER SYSTEM SET ${n} = ${v};`);
        kept[spec.name] = after.show(spec.name);
      } else after.reset(name);
      await catalog.change({ putSettings: kept });
      if (value === null) settings.reset(name);
      else settings.set(name, value);
    } catch (e) {
      if (e instanceof SqlError) e.position ??= position;
      throw e;
    }
  }

  #runningJobs(): number[] {
    return this.#database.engine.jobs().filter(j => j.status !== 'finished' && j.status !== 'cancelled').map(j => j.jobId);
  }

  async #copyTo(statement: Extract<Statement, { kind: 'copy to' }>, context: ExecuteContext): Promise<Execution> {
    const { source, options } = statement;
    if (source.kind === 'subscribe') {
      const subscription = planSubscription(this.#database, source.subscribe, this.#bindSession());
      return { kind: 'copy out', columns: subscription.columns, options, batches: subscription.open(this.#settings, context.signal) };
    }
    const query = source.kind === 'query' ? source.query : wholeRelation(source.name.name, source.name.schema, source.columns);
    const bound = this.#bindQuery(query, []);
    if (bound.kind === 'subscription') return { kind: 'copy out', columns: bound.subscription.columns, options, batches: bound.subscription.open(this.#settings, context.signal) };
    if (bound.kind !== 'query') throw new SqlError('XX000', 'internal error: COPY of no query');
    const result = await runPlan(this.#database, this.#querySession(), bound.planned.plan, this.#transaction, context.signal);
    return { kind: 'copy out', columns: bound.planned.columns, options, batches: result };
  }

  /** What literals are read with: '2024-01-01 12:00'::timestamptz is in the session's time zone. */
  #bindSession(): Session {
    const { user, timeZone, nowUs } = this.#querySession();
    return { user, timeZone, nowUs, database: this.#info.database };
  }

  #querySession(): QuerySession {
    const system: SystemContext = {
      catalog: this.#database.catalog, engine: this.#database.engine, settings: this.#settings, user: this.#info.user, database: this.#info.database, pid: this.#info.pid,
      sessions: () => [...this.#database.sessions.values()],
    };
    return { system, user: this.#info.user, timeZone: String(this.#settings.get('TimeZone')), nowUs: this.#transaction === null ? Date.now() * 1000 : this.#transactionTimeUs };
  }

  transactionStatus(): TransactionStatus { return this.#block ? (this.#failed ? 'failed' : 'block') : 'idle'; }

  #begin(): void {
    this.#transaction ??= new Transaction();
    this.#transactionTimeUs = Date.now() * 1000;
    this.#failed = false;
  }

  beginImplicit(): void { if (this.#transaction === null) this.#begin(); }

  async commitImplicit(): Promise<void> {
    if (this.#block) return;
    const transaction = this.#transaction;
    try {
      if (transaction !== null && !transaction.empty) await transaction.commit(this.#database, false);
      this.#end(true);
    } catch (e) {
      this.#end(false);
      throw e;
    }
  }

  /** The transaction to write into. An implicit one takes the write lock: what it reads stays true until it commits. A block checks at COMMIT. */
  async #writing(): Promise<Transaction> {
    if (this.#transaction === null) throw new SqlError('XX000', 'internal error: a write outside of any transaction');
    const transaction = this.#transaction;
    if (!this.#block && this.#release === null) this.#release = await this.#database.writeLock.acquire();
    return transaction;
  }

  async #commit(context: ExecuteContext, chain: boolean): Promise<string> {
    const transaction = this.#transaction;
    const failed = this.#failed;
    if (!this.#block) context.notice({ severity: 'WARNING', code: '25P01', message: 'there is no transaction in progress' });
    try {
      if (!failed && transaction !== null && !transaction.empty) {
        // An implicit transaction that wrote has the lock already: to wait for it would be for ever.
        if (this.#release !== null) await transaction.commit(this.#database, false);
        else await this.#database.writeLock.run(() => transaction.commit(this.#database, true));
      }
    } catch (e) {
      this.#end(false);
      throw e;
    }
    this.#end(!failed);
    if (chain) { this.#begin(); this.#block = true; }
    return failed ? 'ROLLBACK' : 'COMMIT';
  }

  /** Forgets the transaction; settings made in it stay when it committed, except SET LOCAL's. */
  #end(committed: boolean): void {
    this.#session.end(committed);
    if (committed) this.#channels.commit(); else this.#channels.rollback();
    this.#release?.();
    this.#release = null;
    this.#transaction = null;
    this.#block = false;
    this.#failed = false;
  }

  async fail(): Promise<void> {
    if (this.#block) this.#failed = true;
    else this.#end(false);
  }

  setting(name: string): string | undefined {
    try { return this.#settings.show(name); } catch { return undefined; }
  }
  statementTimeoutMs(): number { return Number(this.#settings.get('statement_timeout')); }
  async discard(what: 'all' | 'plans' | 'sequences' | 'temp'): Promise<void> {
    if (what !== 'all') return;
    this.#settings.resetAll();
    this.#channels.close();
  }
  async close(): Promise<void> {
    this.#end(false);
    this.#channels.close();
    this.#database.sessions.delete(this.#info.pid);
    this.#database.ends.delete(this.#info.pid);
  }
}

/** The statement as others see it: no values of secrets. */
function shownText({ statement, sql }: ParsedStatement): string {
  const hidden = statement.kind === 'create secret' ? `CREATE SECRET ${statement.name.name} …` : statement.kind === 'create stream' || statement.kind === 'create sink' ? maskSecrets(sql, statement.options) : sql;
  return hidden.slice(0, 1024);
}

async function* one(batch: Batch): AsyncGenerator<Batch> { yield batch; }

function rows(columns: readonly Column[], batches: AsyncIterable<Batch>, verb: string): Execution {
  return { kind: 'rows', columns, batches, tag: n => (verb === 'SELECT' ? `SELECT ${n}` : verb), streaming: false };
}
