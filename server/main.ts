#!/usr/bin/env -S MALLOC_ARENA_MAX=2 node --no-parallel-scavenge --initial-heap-size=192 --max-semi-space-size=4 --liftoff-only
/**
 * The command `millrace`: flags, start, and a clean stop on SIGINT and SIGTERM (a last checkpoint of every job).
 *
 * The flags of Node.js above are for collections. Batches are large buffers beside a small heap of objects; V8 counts both against a limit that it
 * takes from the small heap, and would mark the whole heap again and again. With a heap that may
 * grow to 192 MB first, buffers go with the short collections of young objects (q0 from a file: 1.7 × the events a CPU second, from Kafka 2.5 ×).
 * Young objects get 4 MB in place of 16: buffers nobody refers to go earlier, at the same cost; their collections take half a millisecond, for which helper
 * threads are not worth waking. MALLOC_ARENA_MAX is for the C library of Linux, which otherwise
 * keeps freed buffers for each thread apart; with one for all, workers wait for each other. Together they save 40 to 90 MB.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { SqlError } from '../types/error.js';
import { brokenRule } from '../types/settingrules.js';
import { Settings } from '../types/settings.js';
import { createLog, LOG_LEVELS } from './log.js';
import { open } from './open.js';
import { version } from './version.js';

const HELP = `millrace ${version()}: a SQL streaming database server

usage: millrace [options]

  --port N         port of the Postgres protocol (default 5433)
  --http-port N    port of console and metrics (default 8433; nothing listens there in this version)
  --listen ADDR    address to listen on (default 127.0.0.1)
  --data DIR       data directory (default ./millrace-data)
  --config FILE    settings, one "name = value" a line
  --init FILE.sql  statements to run when the data directory is new
  --extension FILE module with own functions, sources and sinks (docs/functions.md); may be repeated
  --log-level L    ${LOG_LEVELS.join(', ')} (default info)
  --version        print the version
  --help           print this

Then: psql -h 127.0.0.1 -p 5433
`;

function fail(message: string): never {
  process.stderr.write(`millrace: ${message}\n`);
  process.exit(2);
}

function port(text: string, flag: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n > 65535) fail(`${flag} must be a number from 0 to 65535, not "${text}"`);
  return n;
}

function flags(): Readonly<Record<string, string | boolean | string[] | undefined>> {
  try {
    return parseArgs({
      allowPositionals: false,
      options: {
        port: { type: 'string' }, 'http-port': { type: 'string' }, listen: { type: 'string' }, data: { type: 'string' }, config: { type: 'string' }, init: { type: 'string' },
        'log-level': { type: 'string' }, extension: { type: 'string', multiple: true }, version: { type: 'boolean' }, help: { type: 'boolean' },
      },
    }).values;
  } catch (e) {
    return fail(`${e instanceof Error ? e.message : String(e)}\nmillrace --help lists the options`);
  }
}

/** "name = value" lines; # begins a comment; quotes around the value are optional. */
function readConfig(file: string): Record<string, string> {
  const settings: Record<string, string> = {};
  readFileSync(file, 'utf8').split('\n').forEach((line, i) => {
    const text = line.replace(/#.*/, '').trim();
    if (text === '') return;
    const m = /^([\w.-]+)\s*[=:]\s*(?:'([^']*)'|(.*))$/.exec(text);
    if (m === null) fail(`${file}:${i + 1}: expected "name = value"`);
    const name = m[1] ?? '';
    try {
      new Settings(null).set(name, m[2] ?? m[3] ?? '');
    } catch (e) {
      fail(`${file}:${i + 1}: ${e instanceof Error ? e.message : String(e)}${e instanceof SqlError && e.hint !== undefined ? `\n${e.hint}` : ''}`);
    }
    settings[name] = m[2] ?? m[3] ?? '';
  });
  const all = new Settings(null);
  for (const [name, value] of Object.entries(settings)) all.set(name, value);
  const broken = brokenRule(name => all.get(name), null, (name, value) => `${name} = ${value}`);
  if (broken !== null) fail(`${file}: ${broken.message}\n${broken.hint ?? ''}`);
  return settings;
}

async function main(): Promise<void> {
  const values = flags();
  if (values['help'] === true) { process.stdout.write(HELP); return; }
  if (values['version'] === true) { process.stdout.write(`millrace ${version()}\n`); return; }
  const text = (name: string, fallback: string): string => { const v = values[name]; return typeof v === 'string' ? v : fallback; };
  const level = text('log-level', 'info');
  if (!LOG_LEVELS.some(l => l === level)) fail(`--log-level must be one of ${LOG_LEVELS.join(', ')}, not "${level}"`);
  port(text('http-port', '8433'), '--http-port');
  const log = createLog(level);
  const config = text('config', '');
  const settings = config === '' ? {} : readConfig(config);
  const init = text('init', '');
  const script = init === '' ? null : readFileSync(init, 'utf8');
  const given = values['extension'];
  const extensions = (Array.isArray(given) ? given : []).map(file => pathToFileURL(path.resolve(file)));
  const server = await open({ data: text('data', './millrace-data'), port: port(text('port', '5433'), '--port'), listen: text('listen', '127.0.0.1'), log, settings, extensions });
  if (script !== null && server.isNew) await server.execute(script);
  log.info({ port: server.port, data: text('data', './millrace-data') }, `ready: psql -h ${text('listen', '127.0.0.1')} -p ${server.port}`);
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping: taking a last checkpoint');
    server.close().then(() => { log.info('stopped'); process.exit(0); }, (e: unknown) => { log.error({ err: e }, 'stop failed'); process.exit(1); });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

main().catch((e: unknown) => {
  const detail = e instanceof SqlError && e.detail !== undefined ? `\n  ${e.detail}` : '';
  const hint = e instanceof SqlError && e.hint !== undefined ? `\n  hint: ${e.hint}` : '';
  process.stderr.write(`millrace: ${e instanceof Error ? e.message : String(e)}${detail}${hint}\n`);
  process.exit(1);
});
