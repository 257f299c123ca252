/**
 * Apache Flink 1.20.1 from the package registries, unpacked into .build/flink/: the jars of PyPI's source package apache-flink-libraries
 * (231 MB), and the SQL gateway from Maven Central, which that package lacks. Needs a JDK (11 or 17), Maven, pip and tar.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

export const FLINK_VERSION = '1.20.1';
export const FLINK_FOLDER = path.resolve('.build/flink');
const PACKAGE = `apache-flink-libraries-${FLINK_VERSION}`;

export interface FlinkJars { readonly lib: readonly string[]; readonly gateway: readonly string[] }

function run(command: string, args: readonly string[], cwd: string): void {
  const done = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (done.error !== undefined) throw new Error(`${command} is needed to fetch Flink: ${done.error.message}`, { cause: done.error });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(done.status)}`);
}

/** Fetches what is not there yet; the folder `dist` appears when it is whole. */
export function ensureFlink(): FlinkJars {
  const dist = path.join(FLINK_FOLDER, 'dist');
  if (!existsSync(dist)) {
    console.error(`fetching Apache Flink ${FLINK_VERSION} into ${path.relative('.', FLINK_FOLDER)}`);
    const work = path.join(FLINK_FOLDER, 'unpacking');
    rmSync(work, { recursive: true, force: true });
    mkdirSync(path.join(work, 'opt'), { recursive: true });
    const archive = path.join(FLINK_FOLDER, `${PACKAGE}.tar.gz`);
    if (!existsSync(archive)) run('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '--no-binary', ':all:', '-d', FLINK_FOLDER, `apache-flink-libraries==${FLINK_VERSION}`], FLINK_FOLDER);
    run('tar', ['xzf', archive, '-C', work, `${PACKAGE}/deps/lib`, `${PACKAGE}/deps/opt`], FLINK_FOLDER);
    run('mvn', ['-B', '-q', 'dependency:copy', `-Dartifact=org.apache.flink:flink-sql-gateway:${FLINK_VERSION}`, `-DoutputDirectory=${path.join(work, 'opt')}`], work);
    for (const folder of ['lib', 'opt']) cpSync(path.join(work, PACKAGE, 'deps', folder), path.join(work, folder), { recursive: true });
    rmSync(path.join(work, PACKAGE), { recursive: true });
    renameSync(work, dist);
  }
  const jars = (folder: string): string[] => readdirSync(path.join(dist, folder)).filter(name => name.endsWith('.jar')).sort().map(name => path.join(dist, folder, name));
  // The gateway's own classes, and flink-python, which its parser wants to see.
  return { lib: jars('lib'), gateway: jars('opt').filter(jar => /flink-(sql-gateway|python)-/.test(jar)) };
}
