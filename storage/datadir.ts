/**
 * The data directory: `catalog/`, `tables/`, `jobs/<id>/`, `checkpoints/<job id>/`, and the files `format` (version) and `lock`. One server
 * at a time: the lock file holds the process id of the owner; a lock left by a process that is gone is taken over.
 */
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SqlError } from '../types/error.js';

const FORMAT = 1;

export class DataDir {
  readonly root: string;
  /** The directory held no data before. */
  readonly isNew: boolean;

  private constructor(root: string, isNew: boolean) {
    this.root = root;
    this.isNew = isNew;
  }

  get catalogPath(): string { return path.join(this.root, 'catalog'); }
  get tablesPath(): string { return path.join(this.root, 'tables'); }

  /** Creates the directory when absent. 55006 when another server has it; 58030 when it is of a newer format. */
  static async open(root: string): Promise<DataDir> {
    await mkdir(root, { recursive: true });
    await lock(root);
    try {
      const file = path.join(root, 'format');
      const known = await readFile(file, 'utf8').catch(() => null);
      if (known === null) await writeFile(file, `${FORMAT}\n`);
      else if (Number(known) !== FORMAT) {
        throw new SqlError('58030', `data directory "${root}" has format ${known.trim()}, this server reads format ${FORMAT}`, { hint: 'Start the version of Millrace that wrote it.' });
      }
      return new DataDir(root, known === null);
    } catch (e) {
      await rm(path.join(root, 'lock'), { force: true });
      throw e;
    }
  }

  async close(): Promise<void> {
    held.delete(this.root);
    await rm(path.join(this.root, 'lock'), { force: true });
  }
}

/** Directories this process has open: its own pid in a lock file says nothing. */
const held = new Set<string>();

async function lock(root: string): Promise<void> {
  const file = path.join(root, 'lock');
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const handle = await open(file, 'wx');
      await handle.writeFile(`${process.pid}\n`);
      await handle.close();
      held.add(root);
      return;
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
    }
    const owner = Number((await readFile(file, 'utf8').catch(() => '0')).trim());
    if (owner !== process.pid && isAlive(owner)) {
      throw new SqlError('55006', `data directory "${root}" is used by another server (process ${owner})`, { hint: 'Stop that server, or start this one with another --data directory.' });
    }
    if (owner === process.pid && held.has(root)) throw new SqlError('55006', `data directory "${root}" is open in this process already`);
    await rm(file, { force: true });
  }
  throw new SqlError('55006', `data directory "${root}" could not be locked`);
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (e) {
    return (e as NodeJS.ErrnoException).code === 'EPERM';
  }
}
