/**
 * JSON paths of stream columns: `$`, then `.key`, `."any key"`, `['any key']` or `[n]`; and the tree of all paths of a stream,
 * which decoders walk along a record. A column without PATH is the key of its name at the top, matched exactly, else without case.
 */
import { SqlError } from '../../types/error.js';
import type { SourceField } from '../../types/plan.js';

export type PathStep = string | number;

/** Steps of a path; 22023 with the position of the first wrong character. */
export function parseJsonPath(path: string): PathStep[] {
  const bad = (at: number, want: string): SqlError =>
    new SqlError('22023', `invalid JSON path "${path}"`, { detail: `Expected ${want} at character ${at + 1}.`, hint: 'A path is written like \'$.person.id\', \'$.items[0]\' or \'$."odd key"\'.' });
  if (path[0] !== '$') throw bad(0, '"$"');
  const steps: PathStep[] = [];
  let p = 1;
  while (p < path.length) {
    if (path[p] === '[') {
      const m = /^\[(?:(\d{1,9})|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/s.exec(path.slice(p));
      if (m === null) throw bad(p + 1, 'an index or a quoted key');
      steps.push(m[1] !== undefined ? Number(m[1]) : (m[2] ?? m[3] ?? '').replace(/\\(.)/gs, '$1'));
      p += m[0].length;
    } else if (path[p] === '.') {
      const m = /^\.(?:"((?:[^"\\]|\\.)*)"|([^.[\]"'\s]+))/s.exec(path.slice(p));
      if (m === null) throw bad(p + 1, 'a key');
      steps.push(m[1] !== undefined ? m[1].replace(/\\(.)/gs, '$1') : m[2]);
      p += m[0].length;
    } else throw bad(p, '"." or "["');
  }
  return steps;
}

/** One place in a record: the columns read there, and what is below. */
export interface PathNode {
  /** Path of the place as text, for messages. */
  readonly label: string;
  /** Columns (indexes of SourceField) whose value stands here. */
  readonly fields: number[];
  readonly keys: Map<string, PathNode>;
  /** Keys of columns without PATH, folded: what a key matches that equals none of `keys` exactly. */
  readonly folded: Map<string, PathNode>;
  readonly indexes: Map<number, PathNode>;
}

const node = (label: string): PathNode => ({ label, fields: [], keys: new Map(), folded: new Map(), indexes: new Map() });

/** Tree over all fields that come from the record (not metadata). */
export function pathTree(fields: readonly SourceField[]): PathNode {
  const root = node('$');
  fields.forEach((f, i) => {
    if (f.metadata !== null) return;
    const steps = f.path === null ? [f.name] : parseJsonPath(f.path);
    let at = root;
    for (const s of steps) {
      let next = typeof s === 'number' ? at.indexes.get(s) : at.keys.get(s);
      if (next === undefined) {
        next = node(typeof s === 'number' ? `${at.label}[${s}]` : `${at.label}.${s}`);
        if (typeof s === 'number') at.indexes.set(s, next);
        else at.keys.set(s, next);
      }
      if (f.path === null) {
        const folded = f.name.toLowerCase();
        if (!root.folded.has(folded)) root.folded.set(folded, next);
      }
      at = next;
    }
    at.fields.push(i);
  });
  return root;
}

export const isLeaf = (n: PathNode): boolean => n.keys.size === 0 && n.indexes.size === 0;
