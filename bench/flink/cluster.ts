/**
 * A Flink session cluster on this machine: job manager, one task manager and the SQL gateway as plain JVMs that listen on 127.0.0.1 only, on free
 * ports. Process ids are kept as files beside the logs, so that what an interrupted run left behind is found and ended.
 *
 *   node dist/bench/flink/cluster.js up      starts one and prints its addresses
 *   node dist/bench/flink/cluster.js down    ends it
 *
 * The jars come without Flink's start scripts, so everything these would compute (memory of each part, module exports) stands here.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { FlinkJobs, pause } from './rest.js';
import { ensureFlink, FLINK_FOLDER, type FlinkJars } from './setup.js';

/** Heap for user code and state; the framework's 128 MB come on top. */
export const TASK_HEAP_MB = 1600;
const FRAMEWORK_HEAP_MB = 128;
const MANAGED_MB = 1600;
const NETWORK_MB = 256;
/** One is used; the other makes a job that starts before the last one gave its slot back not wait. */
const SLOTS = 2;
const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 20_000;
const RUN_FOLDER = path.join(FLINK_FOLDER, 'run');

type Role = 'jobmanager' | 'taskmanager' | 'gateway';

const OPENS = ['java.util', 'java.lang', 'java.net', 'java.io', 'java.nio', 'java.text', 'java.time', 'java.lang.reflect', 'java.util.concurrent', 'java.util.concurrent.atomic', 'java.util.concurrent.locks', 'sun.nio.ch', 'sun.net.util'];
const COMPILER_EXPORTS = ['api', 'file', 'parser', 'tree', 'util'];
const MODULES = [...OPENS.map(name => `--add-opens=java.base/${name}=ALL-UNNAMED`), ...COMPILER_EXPORTS.map(name => `--add-exports=jdk.compiler/com.sun.tools.javac.${name}=ALL-UNNAMED`),
  '--add-exports=java.base/sun.net.util=ALL-UNNAMED', '--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED', '--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED'];

const LOGGING = `rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
appender.file.name = File
appender.file.type = File
appender.file.fileName = \${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
`;

function configuration(ports: Readonly<Record<'rpc' | 'rest' | 'gateway', number>>): string {
  const values: Record<string, string> = {
    'jobmanager.rpc.address': '127.0.0.1', 'jobmanager.rpc.port': String(ports.rpc), 'jobmanager.bind-host': '127.0.0.1',
    'taskmanager.host': '127.0.0.1', 'taskmanager.bind-host': '127.0.0.1',
    'rest.address': '127.0.0.1', 'rest.bind-address': '127.0.0.1', 'rest.port': String(ports.rest),
    'sql-gateway.endpoint.rest.address': '127.0.0.1', 'sql-gateway.endpoint.rest.bind-address': '127.0.0.1',
    'sql-gateway.endpoint.rest.port': String(ports.gateway), 'sql-gateway.endpoint.rest.bind-port': String(ports.gateway),
    'taskmanager.numberOfTaskSlots': String(SLOTS), 'parallelism.default': '1', 'taskmanager.cpu.cores': '2.0',
    'taskmanager.memory.task.heap.size': `${TASK_HEAP_MB}m`, 'taskmanager.memory.framework.heap.size': `${FRAMEWORK_HEAP_MB}m`,
    'taskmanager.memory.managed.size': `${MANAGED_MB}m`, 'taskmanager.memory.network.min': `${NETWORK_MB}m`, 'taskmanager.memory.network.max': `${NETWORK_MB}m`,
    'taskmanager.memory.framework.off-heap.size': '128m', 'taskmanager.memory.task.off-heap.size': '0b',
    'taskmanager.memory.jvm-metaspace.size': '512m', 'taskmanager.memory.jvm-overhead.min': '256m', 'taskmanager.memory.jvm-overhead.max': '256m',
    'execution.checkpointing.dir': `file://${path.join(RUN_FOLDER, 'checkpoints')}`, 'io.tmp.dirs': path.join(RUN_FOLDER, 'tmp'),
  };
  return Object.entries(values).map(([key, value]) => `${key}: ${value}\n`).join('');
}

/** Different ports, free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => { resolve(server); });
  })));
  return Promise.all(servers.map(server => new Promise<number>(resolve => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    server.close(() => { resolve(port); });
  })));
}

export class FlinkCluster {
  readonly gateway: string;
  readonly jobs: FlinkJobs;
  readonly #jars: FlinkJars;
  #taskManager = 0;

  private constructor(jars: FlinkJars, gatewayPort: number, restPort: number) {
    this.#jars = jars;
    this.gateway = `http://127.0.0.1:${gatewayPort}`;
    this.jobs = new FlinkJobs(`http://127.0.0.1:${restPort}`);
  }

  /** Fetches Flink when it is not there, ends what an earlier run left, and starts job manager and gateway; `freshTaskManager` comes next. */
  static async start(): Promise<FlinkCluster> {
    const jars = ensureFlink();
    await stopFlink();
    rmSync(RUN_FOLDER, { recursive: true, force: true });
    for (const folder of ['conf', 'log', 'tmp', 'plugins', 'checkpoints']) mkdirSync(path.join(RUN_FOLDER, folder), { recursive: true });
    const [rpc, rest, gateway] = await freePorts(3);
    writeFileSync(path.join(RUN_FOLDER, 'conf/config.yaml'), configuration({ rpc, rest, gateway }));
    writeFileSync(path.join(RUN_FOLDER, 'conf/log4j.properties'), LOGGING);
    const cluster = new FlinkCluster(jars, gateway, rest);
    const folder = path.join(RUN_FOLDER, 'conf');
    launch('jobmanager', ['-Xmx1g', '-cp', jars.lib.join(':'), 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint', '--configDir', folder, '--executionMode', 'cluster']);
    launch('gateway', ['-Xmx1g', '-cp', [...jars.lib, ...jars.gateway].join(':'), 'org.apache.flink.table.gateway.SqlGateway', '-Dexecution.target=remote']);
    await until('job manager and SQL gateway', ['jobmanager', 'gateway'], async () => {
      await cluster.jobs.freeSlots();
      return (await fetch(`${cluster.gateway}/v1/info`)).ok;
    });
    return cluster;
  }

  /** Ends the task manager and starts another, so that its memory and compiled code are the next job's alone. Returns its process id. */
  async freshTaskManager(): Promise<number> {
    await this.stopTaskManager();
    const heap = TASK_HEAP_MB + FRAMEWORK_HEAP_MB;
    this.#taskManager = launch('taskmanager', [`-Xmx${heap}m`, `-Xms${heap}m`, '-XX:MaxDirectMemorySize=384m', '-XX:MaxMetaspaceSize=512m', '-XX:+UseG1GC', '-cp', this.#jars.lib.join(':'),
      'org.apache.flink.runtime.taskexecutor.TaskManagerRunner', '--configDir', path.join(RUN_FOLDER, 'conf')]);
    await until('task manager', ['taskmanager'], async () => await this.jobs.freeSlots() === SLOTS);
    return this.#taskManager;
  }

  /** While there is none, Flink's other two processes are idle. */
  async stopTaskManager(): Promise<void> {
    if (this.#taskManager === 0) return;
    this.#taskManager = 0;
    await stopRole('taskmanager');
    await until('end of the task manager', ['jobmanager'], async () => await this.jobs.taskManagers() === 0);
  }

  async stop(): Promise<void> { await stopFlink(); }
}

function pidFile(role: Role): string { return path.join(RUN_FOLDER, `${role}.pid`); }

function launch(role: Role, args: readonly string[]): number {
  const out = openSync(path.join(RUN_FOLDER, 'log', `${role}.out`), 'a');
  const conf = path.join(RUN_FOLDER, 'conf');
  const logging = [`-Dlog.file=${path.join(RUN_FOLDER, 'log', `${role}.log`)}`, `-Dlog4j.configurationFile=${path.join(conf, 'log4j.properties')}`];
  const child = spawn('java', [...MODULES, ...logging, ...args], {
    cwd: RUN_FOLDER, detached: true, stdio: ['ignore', out, out],
    env: { ...process.env, FLINK_CONF_DIR: conf, FLINK_LIB_DIR: path.join(FLINK_FOLDER, 'dist/lib'), FLINK_OPT_DIR: path.join(FLINK_FOLDER, 'dist/opt'), FLINK_PLUGINS_DIR: path.join(RUN_FOLDER, 'plugins') },
  });
  closeSync(out);
  if (child.pid === undefined) throw new Error('java did not start: Flink needs a JDK');
  child.unref();
  writeFileSync(pidFile(role), String(child.pid));
  return child.pid;
}

/** Asks every 50 ms until the answer is yes; an error counts as no. A process that ended meanwhile is an error with the end of its log. */
async function until(what: string, roles: readonly Role[], ready: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    if (await ready().catch(() => false)) return;
    const dead = roles.find(role => !isOurs(role));
    if (dead !== undefined || Date.now() > end) {
      const role = dead ?? roles[0];
      const tail = ['out', 'log'].map(kind => path.join(RUN_FOLDER, 'log', `${role}.${kind}`)).filter(file => existsSync(file)).map(file => readFileSync(file, 'utf8').split('\n').slice(-15).join('\n'));
      throw new Error(`Flink: ${dead === undefined ? `${what}: not ready after ${START_TIMEOUT_MS / 1000} s` : `the ${dead} ended`}\n${tail.join('\n')}`);
    }
    await pause(50);
  }
}

/** The process of the pid file runs and is a JVM of this cluster, not another process that got its number. */
function isOurs(role: Role): boolean {
  try {
    return readFileSync(`/proc/${readFileSync(pidFile(role), 'utf8')}/cmdline`, 'utf8').includes(RUN_FOLDER);
  } catch {
    return false;
  }
}

async function stopRole(role: Role): Promise<void> {
  if (!isOurs(role)) return;
  const pid = Number(readFileSync(pidFile(role), 'utf8'));
  process.kill(pid, 'SIGTERM');
  const end = Date.now() + STOP_TIMEOUT_MS;
  while (isOurs(role)) {
    if (Date.now() > end) process.kill(pid, 'SIGKILL');
    await pause(50);
  }
  rmSync(pidFile(role), { force: true });
}

/** Ends the processes whose ids are kept. */
export async function stopFlink(): Promise<void> {
  if (!existsSync(RUN_FOLDER)) return;
  const roles: readonly Role[] = ['gateway', 'taskmanager', 'jobmanager'];
  await Promise.all(roles.filter(role => readdirSync(RUN_FOLDER).includes(`${role}.pid`)).map(stopRole));
}

async function main(): Promise<void> {
  const command = process.argv[2];
  if (command === 'down') await stopFlink();
  else if (command === 'up') {
    const cluster = await FlinkCluster.start();
    await cluster.freshTaskManager();
    console.log(`SQL gateway ${cluster.gateway}`);
  } else throw new Error('usage: cluster up | down');
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((e: unknown) => {
    console.error(e instanceof Error ? e.message : e);
    process.exitCode = 1;
  });
}
