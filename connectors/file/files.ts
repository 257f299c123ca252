/**
 * Which files a path names: the file itself, the files of a folder (not its subfolders; hidden files, and parts a sink has not finished,
 * are left out), or a glob with `*`, `?`, `[…]` and `**` for any depth. Sorted by name, in code units.
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { SqlError, environmentCode } from '../../types/error.js';

/** Names that a file sink gives to what is not yet visible. */
export const UNFINISHED_SUFFIX = '.inprogress';
const GLOB = /[*?[]/;
/** Files of one source. */
const FILES_MAX = 100_000;

export type PathKind = 'file' | 'folder' | 'glob';

/** 58P01 when there is nothing. */
export async function pathKind(given: string): Promise<PathKind> {
  try {
    const s = await stat(given);
    return s.isDirectory() ? 'folder' : 'file';
  } catch (e) {
    if (GLOB.test(given)) return 'glob';
    throw openError(given, e);
  }
}

export function openError(file: string, cause: unknown): SqlError {
  const e = cause instanceof Error ? cause : new Error(String(cause));
  const missing = environmentCode(e) === '58P01';
  const denied = 'code' in e && (e.code === 'EACCES' || e.code === 'EPERM');
  return new SqlError(missing ? '58P01' : denied ? '42501' : (environmentCode(e) ?? '58030'), `could not open file "${file}": ${missing ? 'No such file or directory' : denied ? 'Permission denied' : e.message}`, {
    cause, hint: missing ? `Relative paths start at the server's working directory, ${process.cwd()}.` : undefined,
  });
}

export async function listFiles(given: string, kind: PathKind): Promise<string[]> {
  if (kind === 'file') return [given];
  const found: string[] = [];
  if (kind === 'folder') await walk(given, ['*'], found);
  else {
    const absolute = path.isAbsolute(given);
    const parts = given.split(path.sep).filter((s) => s !== '' && s !== '.');
    const fixed = parts.findIndex((s) => GLOB.test(s));
    const base = parts.slice(0, fixed).join(path.sep);
    await walk(absolute ? path.sep + base : base === '' ? '.' : base, parts.slice(fixed), found);
  }
  return [...new Set(found)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

async function walk(folder: string, pattern: readonly string[], found: string[]): Promise<void> {
  const [head, ...rest] = pattern;
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (e) {
    if (e instanceof Error && environmentCode(e) === '58P01') return;
    throw openError(folder, e);
  }
  const test = matcher(head);
  if (head === '**') await walk(folder, rest.length === 0 ? ['*'] : rest, found);
  for (const entry of entries) {
    const name = entry.name;
    const full = folder === '.' ? name : path.join(folder, name);
    const folderHere = entry.isDirectory() || (entry.isSymbolicLink() && (await isFolder(full)));
    if (folderHere) {
      if (name.startsWith('.')) continue;
      if (head === '**') await walk(full, pattern, found);
      else if (rest.length > 0 && test.test(name)) await walk(full, rest, found);
    } else if (rest.length === 0 && head !== '**' && test.test(name) && (!name.startsWith('.') || head.startsWith('.')) && !name.endsWith(UNFINISHED_SUFFIX)) {
      if (found.length >= FILES_MAX) throw new SqlError('54000', `"${folder}" has more than ${FILES_MAX} files`);
      found.push(full);
    }
  }
}

async function isFolder(p: string): Promise<boolean> {
  try {
    return (await stat(p)).isDirectory();
  } catch {
    // A dangling link is no folder; opening it as a file gives the error.
    return false;
  }
}

function matcher(segment: string): RegExp {
  let out = '^';
  for (let i = 0; i < segment.length; i++) {
    const c = segment[i];
    const close = c === '[' ? segment.indexOf(']', i + 2) : -1;
    if (c === '*') out += '.*';
    else if (c === '?') out += '.';
    else if (close > 0) {
      const set = segment.slice(i + 1, close).replace(/\\/g, '\\\\').replace(/^!/, '^');
      out += `[${set}]`;
      i = close;
    } else out += c.replace(/[\\^$.|+(){}[\]]/g, '\\$&');
  }
  return new RegExp(`${out}$`, 's');
}
