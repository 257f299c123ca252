import { before, test } from 'node:test';
import assert from 'node:assert/strict';
import { SqlError } from '../../types/error.js';
import { loadParser, parseExpression, parseQuery, parseStatements, parseTypeName } from './parser.js';
import { PARSE_HERE_MAX, parseStatementsAsync } from './async.js';
import type { Statement } from './statement.js';

before(loadParser);

function one(sql: string): Statement {
  const parsed = parseStatements(sql);
  assert.equal(parsed.length, 1);
  const statement = parsed[0]?.statement;
  assert(statement !== undefined);
  return statement;
}
/** The statement without trees and positions: what was understood. */
function shape(sql: string): unknown {
  return JSON.parse(JSON.stringify(one(sql), (key, v: unknown) => {
    if (key === 'ast' || key === 'position' || key === 'valuePosition' || key === 'form') return undefined;
    if (key === 'source' && typeof v === 'object' && v !== null && 'text' in v) return undefined;
    return v;
  }));
}
const name = (n: string, schema: string | null = null): unknown => ({ schema, name: n });
const option = (key: string, value: string): unknown => ({ key, value });
const change = (setting: string, value: string | null): unknown => ({ name: setting, value });

test('statements of a text are split, keep their slice and base, and empty ones are left out', () => {
  const parsed = parseStatements(" select 'a;é' ; /* x; */ ;\n-- y;\nselect $2, $1 -- end\n;");
  assert.deepEqual(parsed.map((p) => [p.sql, p.base, p.paramCount]), [["select 'a;é'", 1, 0], ['select $2, $1', 33, 2]]);
  assert.deepEqual(parseStatements(' ; -- nothing'), []);
});

test('CREATE STREAM: columns, paths, metadata, generated columns, key, watermark, options', () => {
  const s = one(`CREATE STREAM IF NOT EXISTS s.bid (id bigint PATH '$.bid.id' NOT NULL, "Q" varchar(10)[] DEFAULT 'x' || 'y', o bigint METADATA FROM 'offset',
    t timestamp(3) GENERATED ALWAYS AS (coalesce(a, b)) VIRTUAL, PRIMARY KEY (id), WATERMARK FOR t AS t - INTERVAL '4 seconds')
    WITH (connector = 'kafka', table = bid, kafka.ssl = true, 'x.y' = -3, "Z" = 1.5)`);
  assert(s.kind === 'create stream' && s.columns !== null);
  assert.deepEqual(s.columns.map((c) => [c.name, c.type.sql, c.path, c.metadata, c.notNull, c.default?.sql ?? null, c.generated?.expression.sql ?? null]), [
    ['id', 'bigint', '$.bid.id', null, true, null, null], ['Q', 'varchar(10)[]', null, null, false, "'x' || 'y'", null], ['o', 'bigint', null, 'offset', false, null, null],
    ['t', 'timestamp(3)', null, null, false, null, 'coalesce(a, b)'],
  ]);
  assert.deepEqual(s.primaryKey?.columns, ['id']);
  assert.deepEqual([s.watermark?.column, s.watermark?.expression.sql], ['t', "t - INTERVAL '4 seconds'"]);
  assert.deepEqual(s.options.map((o) => [o.key, o.value, o.form]), [['connector', 'kafka', 'string'], ['table', 'bid', 'word'], ['kafka.ssl', 'true', 'word'], ['x.y', '-3', 'number'], ['Z', '1.5', 'number']]);
  assert.deepEqual(shape("create stream n with (connector = 'nexmark')"), { kind: 'create stream', name: name('n'), ifNotExists: false, columns: null, primaryKey: null, watermark: null, options: [option('connector', 'nexmark')] });
});

test('derived streams and sinks take WITH before AS or at the end', () => {
  const query = { sql: 'select a from b', emit: null, asOf: [], lookups: [] };
  const derived = { kind: 'create derived stream', name: name('d'), ifNotExists: false, columns: null, primaryKey: null, options: [option('x', '1')], query };
  assert.deepEqual(shape('create stream d as select a from b with (x = 1)'), derived);
  assert.deepEqual(shape('create stream d with (x = 1) as select a from b;'), derived);
  assert.deepEqual(shape('create stream d (a, primary key (a)) with (x = 1) as select a from b'), { ...derived, columns: ['a'], primaryKey: { columns: ['a'] } });
  const sink = { kind: 'create sink', name: name('k'), ifNotExists: false, from: { kind: 'query', query }, options: [option('x', '1')] };
  assert.deepEqual(shape('create sink k as select a from b with (x = 1)'), sink);
  assert.deepEqual(shape('create sink k with (x = 1) as select a from b'), sink);
  assert.deepEqual(shape('create sink k from v with (x = 1)'), { ...sink, from: { kind: 'relation', name: name('v') } });
});

test('clauses of ours are lifted out of queries and positions behind them hold', () => {
  const s = one('create materialized view v as select \'é\' from s.hot as of checkpoint 41 h, x emit on window close');
  assert(s.kind === 'create materialized view');
  assert.equal(s.query.emit, 'on_window_close');
  assert.equal(s.query.sql, "select 'é' from s.hot as of checkpoint 41 h, x emit on window close");
  const range = s.query.ast.fromClause?.[0];
  assert(range !== undefined && 'RangeVar' in range);
  assert.deepEqual(s.query.asOf.map((a) => [a.location === range.RangeVar.location, a.checkpoint]), [[true, 41]]);
  const x = s.query.ast.fromClause?.[1];
  assert(x !== undefined && 'RangeVar' in x);
  assert.equal(s.query.source.position(x.RangeVar.location), 76);
});

test("the standard's window functions become calls", () => {
  const call = (sql: string): unknown => {
    const s = one(sql);
    assert(s.kind === 'select');
    const f = s.query.ast.fromClause?.[0];
    assert(f !== undefined && 'RangeFunction' in f);
    return s.query.source.text.replace(/ +/g, ' ').replace(/ ([(),])/g, '$1').replace(/\( /g, '(').trim();
  };
  assert.equal(call("SELECT * FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(t), INTERVAL '10' SECOND)) w"), "SELECT * FROM TUMBLE(bid, t, INTERVAL '10' SECOND) w");
  assert.equal(call("SELECT * FROM TABLE(HOP(DATA => TABLE s.bid, TIMECOL => DESCRIPTOR(t), INTERVAL '1 s', INTERVAL '2 s'))"), "SELECT * FROM HOP(s.bid, t, INTERVAL '1 s', INTERVAL '2 s')");
  assert.equal(call('SELECT * FROM mine(TABLE bid PARTITION BY a, 3) w'), 'SELECT * FROM mine(bid, + a, 3) w');
  assert.equal(call('SELECT * FROM mine(TABLE bid PARTITION BY (a, b), on_time => DESCRIPTOR(t)) w, mine(TABLE u)'), 'SELECT * FROM mine(bid, ROW(a, b), on_time => t) w, mine(u)');
  const plain = one('SELECT (TABLE t), a IN (TABLE u) FROM (TABLE t) x, LATERAL (TABLE t) y WHERE EXISTS (TABLE t)');
  assert(plain.kind === 'select');
  assert.match(plain.query.source.text, /FROM \(TABLE t\) x, LATERAL \(TABLE t\) y/);
  assert.equal(call("SELECT * FROM TUMBLE(bid, t, INTERVAL '10 s')"), "SELECT * FROM TUMBLE(bid, t, INTERVAL '10 s')");
  assert.equal(call("SELECT * FROM TABLE(SESSION(TABLE bid PARTITION BY a, b, DESCRIPTOR(t), INTERVAL '10' SECOND))"), "SELECT * FROM SESSION(bid, ROW(a, b), t, INTERVAL '10' SECOND)");
  assert.equal(call("SELECT * FROM TABLE(SESSION(DATA => TABLE bid PARTITION BY a, TIMECOL => DESCRIPTOR(t), GAP => INTERVAL '1 s'))"), "SELECT * FROM SESSION(bid, ROW(a), t, GAP => INTERVAL '1 s')");
});

test('an option takes a secret by name', () => {
  const s = one("create sink k as select 1 with (connector = 'x', password = secret pw, secret = 'a')");
  assert(s.kind === 'create sink');
  assert.deepEqual(s.options.map(o => [o.key, o.value, o.form]), [['connector', 'x', 'string'], ['password', 'pw', 'secret'], ['secret', 'a', 'string']]);
});

test('words that are refused as aliases stay usable as columns and, quoted, as names', () => {
  for (const sql of ['select emit, of, t.qualify from t where asof > 1 order by emit', 'update t set emit = 1', 'select 1 as "emit" from a "asof"', 'select 1 from t for update of t']) assert.notEqual(one(sql), undefined);
});

test('statements of sessions, jobs and checkpoints', () => {
  const cases: [string, unknown][] = [
    ['flush', { kind: 'flush' }], ['CHECKPOINT', { kind: 'checkpoint', job: null }], ['checkpoint job "J"', { kind: 'checkpoint', job: 'J' }],
    ["set 'execution.checkpointing.interval' = '30s'", { kind: 'set', name: 'execution.checkpointing.interval', value: '30s', local: false }],
    ['set local x.y to 1, on', { kind: 'set', name: 'x.y', value: '1, on', local: true }], ["set time zone 'UTC'", { kind: 'set', name: 'timezone', value: 'UTC', local: false }],
    ['reset all', { kind: 'reset', name: null }], ["show 'a.b'", { kind: 'show', name: 'a.b' }], ['show all', { kind: 'show', name: null }],
    ['show materialized views like \'a%\'', { kind: 'show objects', objects: 'materialized views', job: null, like: 'a%' }], ['show checkpoints for job 3', { kind: 'show objects', objects: 'checkpoints', job: '3', like: null }],
    ['describe s.t', { kind: 'describe', name: name('t', 's') }],
    ['drop materialized view if exists a, s.b cascade', { kind: 'drop', object: 'materialized view', names: [name('a'), name('b', 's')], ifExists: true, cascade: true }],
    ['drop stream s restrict', { kind: 'drop', object: 'stream', names: [name('s')], ifExists: false, cascade: false }],
    ['subscribe to v with (snapshot = false)', { kind: 'subscribe', target: { kind: 'relation', name: name('v') }, options: [option('snapshot', 'false')] }],
    ["create savepoint for job j to '/x'", { kind: 'create savepoint', job: 'j', target: '/x' }], ["drop savepoint '/x'", { kind: 'drop savepoint', path: '/x' }],
    ['create savepoint for job 7', { kind: 'create savepoint', job: '7', target: null }],
    ['stop job j', { kind: 'stop job', job: 'j', savepoint: null }], ['stop job j with savepoint', { kind: 'stop job', job: 'j', savepoint: { target: null } }],
    ["stop job j with savepoint '/x'", { kind: 'stop job', job: 'j', savepoint: { target: '/x' } }], ["stop job j with savepoint to '/x'", { kind: 'stop job', job: 'j', savepoint: { target: '/x' } }],
    ['cancel job 3', { kind: 'cancel job', job: '3' }], ["pause job 'a b'", { kind: 'pause job', job: 'a b' }], ['resume job j', { kind: 'resume job', job: 'j', parallelism: null }],
    ['resume job j with (parallelism = 3)', { kind: 'resume job', job: 'j', parallelism: 3 }],
    ["alter job j set (a = '3s', 'b.c-d' = 5, e = default)", { kind: 'alter job', job: 'j', changes: [change('a', '3s'), change('b.c-d', '5'), change('e', null)] }],
    ['alter job j set a to on', { kind: 'alter job', job: 'j', changes: [change('a', 'on')] }], ["alter job j reset (a, 'b.c-d')", { kind: 'alter job', job: 'j', changes: [change('a', null), change('b.c-d', null)] }],
    ['explain (analyze) checkpoint job j', { kind: 'explain checkpoint', job: 'j', checkpoint: null }],
    ['explain analyze checkpoint job j', { kind: 'explain checkpoint', job: 'j', checkpoint: null }], ['explain analyze checkpoint 41 job j', { kind: 'explain checkpoint', job: 'j', checkpoint: 41 }],
    ["create secret s as 'x'", { kind: 'create secret', name: name('s'), ifNotExists: false, orReplace: false, options: [option('value', 'x')] }],
    ["create or replace secret s with (a = 'x', b = 'y')", { kind: 'create secret', name: name('s'), ifNotExists: false, orReplace: true, options: [option('a', 'x'), option('b', 'y')] }],
    ['drop secret if exists s', { kind: 'drop', object: 'secret', names: [name('s')], ifExists: true, cascade: false }],
    ['listen checkpoints', { kind: 'listen', channel: 'checkpoints' }], ['unlisten *', { kind: 'unlisten', channel: null }], ["notify c, 'x'", { kind: 'notify', channel: 'c', payload: 'x' }], ['alter system set a.b = 3', { kind: 'alter system', name: 'a.b', value: '3' }],
    ['begin isolation level serializable read only', { kind: 'begin', isolation: 'serializable', readOnly: true }], ['end and chain', { kind: 'commit', chain: true }],
    ['fetch backward all from c', { kind: 'fetch', move: false, cursor: 'c', direction: 'backward', count: null }], ['move 5 c', { kind: 'fetch', move: true, cursor: 'c', direction: 'forward', count: 5 }],
    ['grant all on t to x', { kind: 'unsupported', feature: 'GRANT', hint: null }], ['create or replace function f() returns int language sql as \'\'', { kind: 'unsupported', feature: 'CREATE FUNCTION', hint: null }],
    ['alter materialized view v rename to w', { kind: 'unsupported', feature: 'ALTER MATERIALIZED VIEW', hint: null }], ['savepoint x', { kind: 'unsupported', feature: 'SAVEPOINT', hint: 'Savepoints within a transaction are not supported. The savepoint of a job: CREATE SAVEPOINT FOR JOB name;' }],
  ];
  for (const [sql, expected] of cases) assert.deepEqual(shape(sql), expected, sql);
});

test('EXPLAIN, COPY, DECLARE and PREPARE hold other statements', () => {
  const kinds = (sql: string): unknown => {
    const s = one(sql);
    if (s.kind === 'explain') return [s.kind, s.analyze, s.format, s.statement.kind];
    if (s.kind === 'copy to') return [s.kind, s.source.kind, s.options.format, s.options.delimiter];
    if (s.kind === 'declare cursor') return [s.kind, s.name, s.query.kind, s.hold];
    if (s.kind === 'prepare') return [s.kind, s.types.map((t) => t.sql), s.statement.statement.kind, s.statement.paramCount];
    return s.kind;
  };
  assert.deepEqual(kinds('explain (analyze, format json) create sink k from v with (a = 1)'), ['explain', true, 'json', 'create sink']);
  assert.deepEqual(kinds('explain (select 1)'), ['explain', false, 'text', 'select']);
  assert.deepEqual(kinds("copy (subscribe to v) to stdout with (delimiter '|')"), ['copy to', 'subscribe', 'text', '|']);
  assert.deepEqual(kinds('copy (select 1 from t emit changes) to stdout csv'), ['copy to', 'query', 'csv', null]);
  assert.deepEqual(kinds('declare c cursor with hold for subscribe v'), ['declare cursor', 'c', 'subscribe', true]);
  assert.deepEqual(kinds('prepare p (int, varchar(3)) as select $1, $2'), ['prepare', ['int', 'varchar(3)'], 'select', 2]);
});

test('stored queries, expressions and types parse by themselves', () => {
  assert.equal(parseQuery('select 1 emit changes').emit, 'changes');
  assert.equal(parseExpression('a + 1').source.position(0), -6);
  assert('A_Expr' in parseExpression("a || 'x'").ast);
  assert.equal(parseTypeName('numeric(10, 2)[]').ast.typmods?.length, 2);
});

/** text, SQLSTATE, message, position, hint (a part of it; null = none) */
const bad: readonly (readonly [string, string, string, number | undefined, string | null])[] = [
  ['selec 1', '42601', 'syntax error at or near "selec"', 1, null],
  ["select 'é' x y z", '42601', 'syntax error at or near "y"', 14, null],
  ["select '😀', \"Ü\" frm x y", '42601', 'syntax error at or near "x"', 21, null],
  ['select 1; select 2 from; select 3', '42601', 'syntax error at or near ";"', 24, null],
  ['select (1', '42601', 'syntax error at end of input', 10, null],
  ["select 'abc", '42601', 'unterminated quoted string at or near "\'abc"', 8, null],
  ['select "abc', '42601', 'unterminated quoted identifier at or near ""abc"', 8, null],
  ['select ""', '42601', 'zero-length delimited identifier at or near """"', 8, null],
  ['select 1 /* x', '42601', 'unterminated /* comment at or near "/* x"', 10, null],
  ['select $$a', '42601', 'unterminated dollar-quoted string at or near "$$a"', 8, null],
  ['set x = 30s', '42601', 'trailing junk after numeric literal at or near "30s"', 9, "quoted: '30s'"],
  ['set execution.checkpointing.max-concurrent = 3', '42601', 'syntax error at or near "-"', 32, "SET 'execution.checkpointing.max-concurrent' = "],
  ['create stream s (a int', '42601', 'syntax error at end of input', 23, null],
  ['create stream s (a int, )', '42601', 'syntax error at or near ")"', 25, null],
  ['create stream s (a int as b)', '42601', 'syntax error at or near "as"', 24, 'a int GENERATED ALWAYS AS (expression) VIRTUAL'],
  ['create stream s (a as b + 1)', '42601', 'syntax error at or near "as"', 20, 'a type GENERATED ALWAYS AS (expression) VIRTUAL'],
  ['create stream s (a int, a text)', '42701', 'column "a" specified more than once', 25, null],
  ['create stream s (a int default 1 +)', '42601', 'syntax error at or near ")"', 35, null],
  ['create stream s (a int) with (x = 1, x = 2)', '42601', 'option "x" is given more than once', 38, null],
  ['create stream s (a int) with (x)', '42601', 'syntax error at or near ")"', 32, null],
  ['create stream s (a int primary key, primary key (a))', '42P16', 'multiple primary keys for the stream are not allowed', 37, null],
  ['create sink k as select from where with (a = 1)', '42601', 'syntax error at or near "where"', 30, null],
  ['create sink k as select a from with (a = 1)', '42601', 'syntax error at or near "with"', 32, null],
  ['create source x (a int)', '42601', 'syntax error at or near "source"', 8, 'CREATE STREAM name'],
  ['create table t (a int, watermark for a as a)', '42601', 'a table has no watermark', 24, 'CREATE STREAM'],
  ['create table t (a int unique)', '0A000', 'UNIQUE constraint is not supported', 23, 'PRIMARY KEY'],
  ['create table t (a int check (a > 0))', '0A000', 'CHECK constraint is not supported', 23, null],
  ['create table t (a int references u)', '0A000', 'FOREIGN KEY constraint is not supported', 23, null],
  ['create stream s (a int generated always as identity)', '0A000', 'identity column of a stream is not supported', 24, 'gen_random_uuid()'],
  ['create table t (a serial[])', '0A000', 'array of serial is not implemented', 19, null],
  ['create table t (a serial default 1)', '42601', 'multiple default values specified for column "a"', 17, 'one counter'],
  ['create table t (a serial null)', '42601', 'conflicting NULL/NOT NULL declarations for column "a"', 26, 'one counter'],
  ['create table t (a int generated by default as identity default 1)', '42601', 'both default and identity specified for column "a"', 17, 'one counter'],
  ['create table t (a int generated by default as identity generated always as identity)', '42601', 'multiple identity specifications for column "a"', 56, 'one counter'],
  ['create table t (a int generated always as identity (start 1 start 2))', '42601', 'conflicting or redundant options', 61, 'once'],
  ['create table t (a int generated always as identity (cycle))', '0A000', 'CYCLE of an identity column is not supported', 53, null],
  ['create table t (a int generated always as identity (start 1.5))', '0A000', '"1.5" in this place of the statement is not supported', 59, null],
  ['create table t as execute q', '0A000', 'CREATE TABLE … AS EXECUTE is not supported', 19, null],
  ['create table t (a, b int)', '42601', 'syntax error at or near "int"', 22, 'SQLite would accept this'],
  ['create temp table t as select 1', '0A000', 'temporary table is not supported', 8, null],
  ['create temp table t (a int)', '0A000', 'temporary table is not supported', 8, null],
  ['create table t (a int) inherits (u)', '0A000', 'INHERITS is not supported', 24, null],
  ['create table a.b.c (a int)', '0A000', 'cross-database reference is not supported', 14, null],
  ['select 1 into temp t', '0A000', 'temporary table is not supported', 20, null],
  ['create materialized view v as selec 1', '42601', 'syntax error at or near "selec"', 31, null],
  ['create materialized view v as select 1 with no data', '0A000', 'WITH NO DATA is not supported', 40, null],
  ['select 1 from hot emit', '42601', 'syntax error at or near "emit"', 19, 'EMIT CHANGES'],
  ['select * from (select 1 from t emit changes) x', '42601', 'EMIT is allowed only at the end of the whole query', 32, null],
  ['select 1 from t emit changes limit 1', '42601', 'syntax error at or near "limit"', 30, 'end of a query'],
  ['insert into t select 1 emit changes', '0A000', 'EMIT in this statement is not supported', 1, null],
  ['select 1 from a asof join b on true', '0A000', 'ASOF JOIN is not supported', 17, null],
  ['select 1 from a join b for system_time as of 5 on true', '42601', 'syntax error at or near "5"', 46, 'FOR SYSTEM_TIME AS OF takes PROCTIME() or a column.'],
  ['delete from a for system_time as of b.t', '0A000', 'FOR SYSTEM_TIME AS OF in this statement is not supported', 15, null],
  ['select 1 from a match_recognize (x)', '0A000', 'MATCH_RECOGNIZE is not supported', 17, null],
  ['select 1 from (select 1) q as of checkpoint 3', '42601', 'AS OF CHECKPOINT follows the name of a relation', 28, 'AS alias'],
  ['select 1 from a b as of checkpoint 3', '42601', 'AS OF CHECKPOINT follows the name of a relation', 19, 'AS alias'],
  ['select 1 from a as of checkpoint x', '42601', 'syntax error at or near "x"', 34, 'number of a checkpoint'],
  ['select a from t qualify row_number() over () = 1', '42601', 'syntax error at or near "qualify"', 17, 'subquery'],
  ['select a from t limit 5, 10', '42601', 'LIMIT #,# syntax is not supported', 17, 'select a from t limit 10 OFFSET 5'],
  ['select `a` from `T x`', '42601', 'syntax error at or near "from"', 12, 'MySQL would accept this. In Postgres\' words: select a from "T x"'],
  ['select top 10 a from t', '42601', 'syntax error at or near "10"', 12, 'select a from t LIMIT 10'],
  ['select [a] from t', '42601', 'syntax error at or near "["', 8, 'select "a" from t'],
  ['select interval 10 second', '42601', 'syntax error at or near "10"', 17, "select interval '10 second'"],
  ['create table t (a array<string>)', '42601', 'syntax error at or near "array"', 19, 'Flink SQL would accept this. In Postgres\' words: create table t (a text[])'],
  ["insert ignore into t values (1)", '42601', 'syntax error at or near "ignore"', 8, 'insert into t values (1) ON CONFLICT DO NOTHING'],
  ['replace into t values (1)', '42601', 'syntax error at or near "replace"', 1, 'MySQL would accept this'],
  ['select * except (a) from t', '42601', 'syntax error at or near "a"', 18, 'BigQuery would accept this'],
  ['explain', '42601', 'syntax error at end of input', 8, null],
  ['explain flush', '0A000', 'EXPLAIN of this statement is not supported', 9, 'EXPLAIN takes'],
  ['explain (format yaml) select 1', '0A000', 'EXPLAIN format "yaml" is not supported', 10, 'json'],
  ['subscribe select 1', '42601', 'syntax error at or near "select"', 11, 'SUBSCRIBE TO (query)'],
  ['cancel j', '42601', 'syntax error at or near "j"', 8, 'CANCEL JOB name;'],
  ['checkpoint j', '42601', 'syntax error at or near "j"', 12, 'CHECKPOINT JOB name;'],
  ['create savepoint s', '42601', 'syntax error at or near "s"', 18, 'CREATE SAVEPOINT FOR JOB'],
  ['drop savepoint s', '42601', 'syntax error at or near "s"', 16, 'millrace.savepoints'],
  ["stop job j with savepoint at '/x'", '42601', 'syntax error at or near "at"', 27, 'STOP JOB name'],
  ['resume job j with (parallelism = 0)', '22023', 'invalid value for parameter "parallelism": "0"', 34, '1 .. 128'],
  ["resume job j with (checkpoint_interval = '1s')", '42601', 'unrecognized option "checkpoint_interval" of RESUME JOB', 20, 'ALTER JOB'],
  ['alter job j set (a = 1, a = 2)', '42601', 'setting "a" is given more than once', 25, null],
  ['alter job j set (execution.checkpointing.min-pause = 1)', '42601', 'syntax error at or near "-"', 45, "quoted: ALTER JOB"],
  ['alter job j (a = 1)', '42601', 'syntax error at or near "("', 13, 'ALTER JOB name SET'],
  ['explain analyze checkpoint x', '42601', 'syntax error at or near "x"', 28, 'EXPLAIN ANALYZE CHECKPOINT JOB name'],
  ["copy t from '/etc/passwd'", '0A000', 'COPY with a file of the server is not supported', 1, 'STDIN'],
  ["copy t to program 'x'", '0A000', 'COPY PROGRAM is not supported', 1, null],
  ['copy t from stdin (format xml)', '22023', 'COPY format "xml" not recognized', 20, null],
  ["copy t from stdin (delimiter 'ab')", '0A000', 'COPY delimiter must be a single one-byte character', 20, null],
  ['select \0', '22021', 'invalid byte sequence for encoding "UTF8": 0x00', undefined, null],
];

test('bad statements: SQLSTATE, message, position in the whole text, hint', () => {
  for (const [sql, code, message, position, hint] of bad) {
    assert.throws(() => parseStatements(sql), (e: unknown) => {
      assert(e instanceof SqlError, `${sql}: ${String(e)}`);
      assert.deepEqual([sql, e.code, e.message, e.position], [sql, code, message, position]);
      if (hint === null) assert.equal(e.hint, undefined, sql);
      else assert(e.hint?.includes(hint) === true, `${sql}: hint ${e.hint ?? 'missing'}`);
      return true;
    });
  }
});

test('errors in later statements and in embedded parts have positions in the whole text', () => {
  const prefix = "select 'é😀';\n";
  const shift = [...prefix].length;
  for (const [sql, , message, position] of bad) {
    if (position === undefined || message.includes('\0')) continue;
    assert.throws(() => parseStatements(prefix + sql), (e: unknown) => {
      assert.deepEqual([sql, (e as SqlError).position], [sql, position + shift]);
      return true;
    });
  }
});

test('too deep nesting is 54001, and the parser survives any number of overflows', async () => {
  for (let i = 0; i < 80; i++) {
    assert.throws(() => parseStatements(`select 1${'::int'.repeat(12_000)}`), (e: unknown) => e instanceof SqlError && e.code === '54001');
    await new Promise((r) => setImmediate(r));
  }
  assert.throws(() => parseStatements(`select ${'('.repeat(501)}1${')'.repeat(501)}`), (e: unknown) => e instanceof SqlError && e.code === '54001' && e.position === 508);
  assert.equal(parseStatements(`select ${'('.repeat(400)}1${')'.repeat(400)}`).length, 1);
});

test('a large text is parsed by another thread with the same result, and its errors have positions', async () => {
  const rows = Array.from({ length: 8_000 }, (_, i) => `(${i}, 'é ${i}')`).join(', ');
  const sql = `insert into t values ${rows}; create stream s (a int); select 1 from x`;
  assert(sql.length > PARSE_HERE_MAX);
  const [here, there] = [parseStatements(sql), await parseStatementsAsync(sql)];
  assert.deepEqual(there.map((p) => [p.statement.kind, p.base, p.sql.length]), here.map((p) => [p.statement.kind, p.base, p.sql.length]));
  const last = there[2]?.statement;
  assert(last?.kind === 'select');
  assert.equal(last.query.source.position(0), last.query.position);
  await assert.rejects(parseStatementsAsync(`${sql}; selec 1`), (e: SqlError) => e.code === '42601' && e.position === [...sql].length + 3);
});
