/**
 * The fault matrix: each step of a checkpoint × (kill −9, an I/O error, a full disk, a stall past checkpoint_timeout) × mode × parallelism. A case starts a
 * server process with one rule, lets it strike in the middle of the workload, goes on (after a kill with a new process), and then looks:
 *
 *   results      exactly once: views and sink equal the rows computed by hand; at least once: the sink's lines contain them, counts are at least theirs
 *   inserts      every INSERT that was acknowledged is in the table and in the view over it
 *   tables       what the system tables tell is what happened: statuses, reasons, failures, restarts; nothing is in progress for ever
 *   disk         every completed checkpoint that is listed can be read; after one more start no file is there that no checkpoint refers to
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeMetadata } from '../../storage/checkpoint/metadata.js';
import type { FaultOperation, FaultRule } from '../../storage/faults.js';
import { removeFolder, ServerProcess, temporaryFolder, until, type TextRow } from '../serverprocess.js';
import type { FaultServerOptions } from './server.js';
import { BOUNDED_JOBS, expected, setUp, VIEWS, writeEvents } from './workload.js';

const SERVER = fileURLToPath(new URL('./server.js', import.meta.url));

export const ACTIONS = ['kill', 'EIO', 'ENOSPC', 'stall'] as const;
export type Action = (typeof ACTIONS)[number];

/** What a step's error means for a job: its checkpoint fails, the job restarts, or neither. */
type Consequence = 'checkpoint fails' | 'job restarts' | 'none';
interface Step { readonly operation: FaultOperation; readonly path?: string; /** The first strike, at least. */ readonly after: number; readonly spread: number; readonly consequence: Consequence; /** A stall there expires the checkpoint. */ readonly expires: boolean; readonly atRestart?: true }

export const STEPS: Readonly<Record<string, Step>> = {
  // A checkpoint whose trigger stalls goes with the next barrier that leaves for another reason.
  trigger: { operation: 'checkpoint.trigger', after: 1, spread: 8, consequence: 'checkpoint fails', expires: false },
  alignment: { operation: 'checkpoint.align', after: 1, spread: 12, consequence: 'job restarts', expires: true },
  'synchronous phase': { operation: 'checkpoint.sync', after: 1, spread: 12, consequence: 'job restarts', expires: true },
  'background write': { operation: 'file.write', path: '/shared/', after: 1, spread: 8, consequence: 'checkpoint fails', expires: true },
  fsync: { operation: 'file.sync', path: '/shared/', after: 1, spread: 8, consequence: 'checkpoint fails', expires: true },
  rename: { operation: 'file.rename', path: '/shared/', after: 1, spread: 8, consequence: 'checkpoint fails', expires: true },
  acknowledgement: { operation: 'checkpoint.acknowledge', after: 1, spread: 12, consequence: 'checkpoint fails', expires: true },
  metadata: { operation: 'file.rename', path: '_metadata', after: 1, spread: 8, consequence: 'checkpoint fails', expires: false },
  completion: { operation: 'file.sync', path: '/chk-', after: 1, spread: 8, consequence: 'checkpoint fails', expires: false },
  'LevelDB batch': { operation: 'kv.write', path: `${path.sep}jobs${path.sep}`, after: 0, spread: 8, consequence: 'none', expires: false, atRestart: true },
  'sink commit': { operation: 'sink.commit', after: 0, spread: 3, consequence: 'job restarts', expires: false },
  'deletion of old files': { operation: 'file.unlink', path: '/checkpoints/', after: 0, spread: 6, consequence: 'none', expires: false },
  recovery: { operation: 'job.restore', after: 0, spread: 5, consequence: 'job restarts', expires: false, atRestart: true },
  'reading at recovery': { operation: 'file.read', path: '/shared/', after: 0, spread: 5, consequence: 'none', expires: false, atRestart: true },
};

export interface Mode { readonly name: string; readonly exactlyOnce: boolean; readonly settings: Readonly<Record<string, string>> }
export const ALIGNED: Mode = { name: 'exactly_once aligned', exactlyOnce: true, settings: {} };
export const UNALIGNED: Mode = { name: 'exactly_once unaligned', exactlyOnce: true, settings: { unaligned_checkpoints: 'on' } };
export const AT_LEAST_ONCE: Mode = { name: 'at_least_once', exactlyOnce: false, settings: { checkpoint_mode: 'at_least_once' } };

export interface FaultCase { readonly step: string; readonly action: Action; readonly mode: Mode; readonly parallelism: number }

export function caseName(c: FaultCase): string { return `${c.action} at ${c.step}, ${c.mode.name}, parallelism ${c.parallelism}`; }

const TIMEOUT_MS = 60_000;
const CHECKPOINT_TIMEOUT_MS = 1500;
const STALL_MS = 3500;
/** Checkpoint ids, rows and all: cases stay apart by this seed. */
function hash(text: string): number {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ (c.codePointAt(0) ?? 0), 16777619) >>> 0;
  return h;
}

interface Run { readonly c: FaultCase; readonly dir: string; readonly report: string; readonly armed: string; readonly inserted: number[]; /** Parts of the sink that were there when the process died. */ readonly published: Map<string, string> }

async function start(run: Run, rules: readonly FaultRule[], plantedBug: boolean): Promise<ServerProcess> {
  const options: FaultServerOptions = { data: path.join(run.dir, 'data'), workers: run.c.parallelism, rules, plantedBug };
  return ServerProcess.run([SERVER, JSON.stringify(options)]);
}

const gone = (server: ServerProcess): boolean => server.child.exitCode !== null || server.child.signalCode !== null;

/** Passes an error on, unless the process is gone: a connection may break before its end is known. */
async function unlessGone(server: ServerProcess, error: unknown): Promise<void> {
  for (let waitedMs = 0; !gone(server) && waitedMs < 2000; waitedMs += 20) await new Promise(resolve => { setTimeout(resolve, 20); });
  if (!gone(server)) throw error;
}

/** Inserts one row after the other until `stop`; an INSERT that was answered is remembered. */
async function insertWhile(server: ServerProcess, run: Run, going: () => boolean): Promise<void> {
  const client = await server.connect().catch(async (e: unknown) => { await unlessGone(server, e); return null; });
  if (client === null) return;
  try {
    for (let n = (run.inserted[run.inserted.length - 1] ?? 0) + 1; going() && !gone(server); n += 1) {
      await client.query(`INSERT INTO entries VALUES (${n}) ON CONFLICT DO NOTHING`);
      run.inserted.push(n);
    }
  } catch (e) {
    await unlessGone(server, e);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const STATUS = "SELECT job_name, status FROM millrace.jobs WHERE job_name <> 'entered'";
const settled = (rows: readonly TextRow[]): boolean => rows.length === BOUNDED_JOBS.length && rows.every(r => r[1] === 'finished' || r[1] === 'failed');

/** Runs until the bounded jobs ended; false when the process was killed by the fault. */
async function toTheEnd(server: ServerProcess, run: Run): Promise<boolean> {
  let going = true;
  const inserting = insertWhile(server, run, () => going);
  try {
    await until(() => (gone(server) ? Promise.resolve([]) : server.query(STATUS).catch(async (e: unknown) => { await unlessGone(server, e); return []; })), rows => gone(server) || settled(rows), TIMEOUT_MS, `the end of the jobs (${caseName(run.c)})`);
  } finally {
    going = false;
    await inserting;
  }
  return !gone(server);
}

function ruleOf({ c, report, armed }: Run, step: Step): FaultRule {
  const after = step.after + hash(caseName(c)) % step.spread;
  return { operation: step.operation, ...(step.path === undefined ? {} : { path: step.path }), after, times: 1, fault: c.action, report, armedBy: armed, ...(c.action === 'stall' ? { stallMs: STALL_MS } : {}) };
}

/** Throws when anything is not as it must be. */
export async function runCase(c: FaultCase, options: { readonly plantedBug?: boolean; readonly rule?: FaultRule } = {}): Promise<void> {
  const dir = temporaryFolder('faults');
  const run: Run = { c, dir, report: path.join(dir, 'struck'), armed: path.join(dir, 'armed'), inserted: [], published: new Map() };
  const step = STEPS[c.step];
  const rule = options.rule === undefined ? ruleOf(run, step) : { ...options.rule, report: run.report, armedBy: run.armed };
  const bug = options.plantedBug ?? false;
  let server: ServerProcess | null = null;
  try {
    writeEvents(path.join(dir, 'events.ndjson'));
    server = await start(run, step.atRestart === true ? [] : [rule], bug);
    // After an I/O error the job goes on with its checkpoint failed, or (ENOSPC) may not have any that failed.
    const tolerable = c.action === 'ENOSPC' ? '0' : '1000';
    await server.query(setUp({ file: path.join(dir, 'events.ndjson'), sink: path.join(dir, 'sink'), parallelism: c.parallelism, settings: { ...(c.action === 'stall' ? { checkpoint_timeout: `${CHECKPOINT_TIMEOUT_MS}ms` } : {}), tolerable_failed_checkpoints: tolerable, ...c.mode.settings } }));
    writeFileSync(run.armed, '');
    if (step.atRestart === true) {
      let going = true;
      const inserting = insertWhile(server, run, () => going);
      const asked = server;
      await until(() => asked.query("SELECT count(DISTINCT job_id) FROM millrace.checkpoints WHERE status = 'completed'"), rows => Number(rows[0]?.[0]) >= BOUNDED_JOBS.length, TIMEOUT_MS, 'a checkpoint of every job');
      await server.kill();
      going = false;
      await inserting;
      // A process killed while it starts is started again.
      server = await start(run, [rule], bug).catch((e: unknown) => { if (c.action !== 'kill') throw e; return null; });
    }
    if (server === null || !(await toTheEnd(server, run))) {
      assert.equal(c.action, 'kill', 'the process died by itself');
      for (const [name, content] of sinkParts(path.join(dir, 'sink'))) run.published.set(name, content);
      server = await start(run, [], bug);
      assert.ok(await toTheEnd(server, run));
    }
    assert.ok(existsSync(run.report), `the fault did not strike: ${caseName(c)}`);
    await checkResults(server, run);
    await checkTables(server, run, step);
    await server.stop();
    server = await start(run, [], false);
    await checkResults(server, run);
    await server.stop();
    checkDisk(run);
  } catch (e) {
    if (process.env['FAULTS_KEEP'] !== undefined) process.stderr.write(`${caseName(c)}: ${dir}\n${server?.log.join('\n') ?? ''}\n`);
    throw e;
  } finally {
    await server?.kill();
    if (process.env['FAULTS_KEEP'] === undefined) removeFolder(dir);
  }
}

async function checkResults(server: ServerProcess, run: Run): Promise<void> {
  const what = caseName(run.c);
  const oracle = expected();
  const status = await server.query('SELECT job_name, status, failure FROM millrace.jobs ORDER BY job_name');
  assert.deepEqual(status.filter(r => r[0] !== 'entered').map(r => r[1]), BOUNDED_JOBS.map(() => 'finished'), `${what}: ${JSON.stringify(status)}`);
  const parts = new Map(sinkParts(path.join(run.dir, 'sink')));
  for (const [name, content] of run.published) assert.equal(parts.get(name), content, `${what}: ${name} of the file sink, which was published, changed`);
  const lines = [...parts.values()].flatMap(content => content.split('\n').filter(l => l !== '')).map(l => JSON.stringify(JSON.parse(l))).sort();
  if (run.c.mode.exactlyOnce) {
    for (const [view, sql] of Object.entries(VIEWS)) assert.deepEqual(await server.query(sql), oracle.views[view], `${what}: view ${view}`);
    assert.deepEqual(lines, oracle.lines, `${what}: the file sink`);
  } else {
    const missing = [...oracle.lines];
    const had = new Map<string, number>();
    for (const line of lines) had.set(line, (had.get(line) ?? 0) + 1);
    assert.deepEqual(missing.filter(line => !had.has(line)), [], `${what}: lines missing in the file sink`);
    const counts = await server.query(VIEWS['counts'] ?? '');
    assert.deepEqual(counts.map(r => [r[0], r[3], r[4], r[5]]), (oracle.views['counts'] ?? []).map(r => [r[0], r[3], r[4], r[5]]), `${what}: what repetition does not change`);
    for (const [i, r] of (oracle.views['counts'] ?? []).entries()) assert.ok(Number(counts[i]?.[1]) >= Number(r[1]), `${what}: count of key ${String(r[0])}`);
    assert.deepEqual(await server.query(VIEWS['kinds'] ?? ''), oracle.views['kinds'], `${what}: DISTINCT`);
  }
  const entries = new Set((await server.query('SELECT n FROM entries')).map(r => Number(r[0])));
  assert.deepEqual(run.inserted.filter(n => !entries.has(n)), [], `${what}: acknowledged inserts are lost`);
  const sum = [...entries].reduce((a, b) => a + b, 0);
  await server.query('FLUSH');
  assert.deepEqual(await server.query('SELECT n, s FROM entered'), [[String(entries.size), String(sum)]], `${what}: the view over the table`);
}

/** Name and content of what readers see. */
function sinkParts(dir: string): [string, string][] {
  return (existsSync(dir) ? readdirSync(dir) : []).filter(name => name.startsWith('part-')).map(name => [name, readFileSync(path.join(dir, name), 'utf8')]);
}

async function checkTables(server: ServerProcess, run: Run, step: Step): Promise<void> {
  const { c } = run;
  const what = caseName(c);
  const rows = await server.query("SELECT c.job_name, checkpoint_id, c.status, failure_reason, failure_message, completion_time IS NULL FROM millrace.checkpoints c JOIN millrace.jobs j ON j.job_id = c.job_id WHERE j.status = 'finished'");
  const show = (): string => `${what}: ${JSON.stringify(rows.filter(r => r[2] !== 'completed'))}`;
  assert.deepEqual(rows.filter(r => r[2] === 'in_progress'), [], `${what}: in progress for ever`);
  // When a process was killed, nobody knows when what it had in progress ended.
  assert.ok(rows.every(r => r[5] === 'f' || (c.action === 'kill' && r[2] === 'aborted') || step.atRestart === true), `ended without a time. ${show()}`);
  const unsuccessful = rows.filter(r => r[2] !== 'completed');
  assert.ok(unsuccessful.every(r => (r[3] ?? '') !== ''), `no reason. ${show()}`);
  const failures = await server.query("SELECT job_name, action, sqlstate, message FROM millrace.job_failures");
  const restarts = await server.query('SELECT sum(restarts) FROM millrace.jobs');
  const all = await server.query('SELECT status, failure_reason, failure_message FROM millrace.checkpoints');
  const error = c.action === 'EIO' || c.action === 'ENOSPC';
  if (error && step.consequence === 'checkpoint fails') {
    assert.ok(all.some(r => r[0] === 'failed' && (r[2] ?? '').includes(c.action)), `no failed checkpoint names ${c.action}. ${show()} ${JSON.stringify(all.filter(r => r[0] !== 'completed'))}`);
    assert.equal(failures.length > 0, c.action === 'ENOSPC', `${what}: failures ${JSON.stringify(failures)}`);
  }
  if (error && step.consequence === 'job restarts') assert.ok(failures.some(r => r[1] === 'restarted' && (r[3] ?? '').includes(c.action)), `${what}: failures ${JSON.stringify(failures)}`);
  if (c.action === 'stall' && step.expires) assert.ok(all.some(r => r[0] === 'expired' && r[1] === 'CHECKPOINT_EXPIRED'), `nothing expired. ${show()}`);
  if (c.action === 'kill') assert.deepEqual(failures, [], `${what}: a kill of the process is no failure of a job`);
  else if (error) assert.equal(Number(restarts[0]?.[0]), failures.filter(r => r[1] === 'restarted').length, `${what}: restarts`);
}

/** After a start and a stop that nothing disturbed. */
function checkDisk(run: Run): void {
  const root = path.join(run.dir, 'data', 'checkpoints');
  for (const job of readdirSync(root)) {
    const folder = path.join(root, job);
    const referenced = new Set<string>();
    for (const name of readdirSync(folder).filter(n => n.startsWith('chk-'))) {
      const file = path.join(folder, name, '_metadata');
      assert.ok(existsSync(file), `${caseName(run.c)}: ${name} of job ${job} is a folder without _metadata`);
      for (const ref of decodeMetadata(readFileSync(file), file).tasks.flatMap(t => t.files)) {
        const target = path.resolve(folder, name, ref.path);
        assert.equal(statSync(target).size, ref.bytes, `${caseName(run.c)}: ${target}`);
        referenced.add(target);
      }
    }
    const shared = path.join(folder, 'shared');
    const orphans = (existsSync(shared) ? readdirSync(shared) : []).filter(name => !referenced.has(path.join(shared, name)));
    assert.deepEqual(orphans, [], `${caseName(run.c)}: files of job ${job} that no checkpoint refers to`);
  }
}

/** All cases, or every n-th of them. */
export function cases(modes: readonly Mode[]): FaultCase[] {
  return Object.keys(STEPS).flatMap(step => ACTIONS.flatMap(action => modes.flatMap(mode => [1, 2].map(parallelism => ({ step, action, mode, parallelism })))));
}

/** Runs cases, two at a time; one line for each that failed. */
export async function runCases(list: readonly FaultCase[], log: (line: string) => void): Promise<string[]> {
  const failed: string[] = [];
  const queue = [...list];
  const worker = async (): Promise<void> => {
    for (let c = queue.shift(); c !== undefined; c = queue.shift()) {
      try {
        await runCase(c);
      } catch (e) {
        failed.push(`${caseName(c)}: ${e instanceof Error ? e.message : String(e)}`);
        log(failed[failed.length - 1]);
      }
    }
  };
  await Promise.all([worker(), worker()]);
  return failed;
}
