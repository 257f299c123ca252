/** The repository's own rules as tests: who may import whom, no unfinished marks, no machine paths, a whole lock file. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of package.json, from wherever this file was compiled to. */
function root(): string {
  let dir = path.dirname(fileURLToPath(import.meta.url));
  for (;;) {
    try { if (statSync(path.join(dir, 'package.json')).isFile()) return dir; } catch { /* look further up */ }
    const up = path.dirname(dir);
    assert.notEqual(up, dir, 'package.json not found');
    dir = up;
  }
}

const FOLDERS = ['types', 'storage', 'runtime', 'connectors', 'planner', 'server', 'sqltests', 'bench', 'examples'];

function sources(): { file: string; text: string }[] {
  const found: { file: string; text: string }[] = [];
  const walk = (dir: string): void => {
    for (const name of readdirSync(path.join(root(), dir))) {
      const file = `${dir}/${name}`;
      if (statSync(path.join(root(), file)).isDirectory()) walk(file);
      else if (file.endsWith('.ts')) found.push({ file, text: readFileSync(path.join(root(), file), 'utf8') });
    }
  };
  for (const folder of FOLDERS) walk(folder);
  return found;
}

/** What each folder may import (beside itself). */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  types: [],
  storage: ['types'],
  runtime: ['storage', 'types'],
  connectors: ['runtime', 'types'],
  planner: ['runtime', 'storage', 'types'],
  server: ['planner', 'runtime', 'storage', 'types'],
  sqltests: FOLDERS, bench: FOLDERS, examples: FOLDERS,
};
/** The composition root: where server meets the connectors. */
const COMPOSITION_ROOT = 'server/open.ts';

function imports(text: string): string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(m => m[1] ?? '');
}

test('imports go downward only', () => {
  const wrong: string[] = [];
  for (const { file, text } of sources()) {
    const folder = file.split('/')[0] ?? '';
    if (file.endsWith('.test.ts')) continue;
    for (const target of imports(text)) {
      if (!target.startsWith('.')) continue;
      const to = path.posix.normalize(path.posix.join(path.posix.dirname(file), target)).split('/')[0] ?? '';
      if (to === folder || (MAY_IMPORT[folder] ?? []).includes(to) || (file === COMPOSITION_ROOT && to === 'connectors')) continue;
      wrong.push(`${file} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('connectors use only the runtime\'s contracts and batches', () => {
  const allowed = /^runtime\/(connector|batch|batchbuilder|vectors|codegen\/[a-z]+)\.js$/;
  const wrong: string[] = [];
  for (const { file, text } of sources()) {
    if (!file.startsWith('connectors/') || file.endsWith('.test.ts')) continue;
    for (const target of imports(text)) {
      if (!target.startsWith('.')) continue;
      const to = path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
      if (to.startsWith('runtime/') && !allowed.test(to)) wrong.push(`${file} imports ${to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('kafkajs is imported by the kafka connector only, classic-level by storage only', () => {
  const wrong: string[] = [];
  for (const { file, text } of sources()) {
    for (const target of imports(text)) {
      if (target === 'kafkajs' && !file.startsWith('connectors/kafka/') && !file.startsWith('sqltests/') && !file.startsWith('bench/')) wrong.push(`${file} imports kafkajs`);
      if (target === 'classic-level' && !file.startsWith('storage/')) wrong.push(`${file} imports classic-level`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** SQL's grammar is recursive, and so are the functions that follow it: expressions hold queries, queries hold expressions. */
const RECURSIVE = ['planner/bind/', 'planner/plan/'];

test('no import cycles between files, but inside the binder and the lowering of plans', () => {
  const graph = new Map<string, string[]>();
  for (const { file, text } of sources()) {
    const values = text.split('\n').filter(line => !/^\s*(import|export) type\b/.test(line)).join('\n');
    graph.set(file, imports(values).filter(t => t.startsWith('.')).map(t => path.posix.normalize(path.posix.join(path.posix.dirname(file), t)).replace(/\.js$/, '.ts')));
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (done.has(file)) return;
    const at = trail.indexOf(file);
    if (at >= 0) { const cycle = [...trail.slice(at), file]; if (!RECURSIVE.some(folder => cycle.every(f => f.startsWith(folder)))) cycles.push(cycle.join(' → ')); return; }
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  assert.deepEqual(cycles, []);
});

test('no unfinished marks, focused tests or escapes from the type checker', () => {
  const wrong: string[] = [];
  for (const { file, text } of sources()) {
    if (file === 'sqltests/repository.test.ts') continue;
    text.split('\n').forEach((line, i) => {
      if (/\bTODO\b|\bFIXME\b|@ts-ignore|@ts-expect-error|@ts-nocheck/.test(line)) wrong.push(`${file}:${i + 1}: ${line.trim()}`);
      if (/\b(it|test|describe)\.(only|todo)\b/.test(line)) wrong.push(`${file}:${i + 1}: ${line.trim()}`);
      if (/:\s*any\b|\bas any\b|<any>/.test(line) && !/^\s*(\/?\*|\/\/)/.test(line) && !/['"`][^'"`]*\bany\b/.test(line)) wrong.push(`${file}:${i + 1}: ${line.trim()}`);
    });
  }
  assert.deepEqual(wrong, []);
});

test('no test file awaits at its top level after its first test: the runner would exit before it knows the rest', () => {
  const late = sources().filter(({ file, text }) => {
    if (!file.endsWith('.test.ts')) return false;
    const first = text.search(/^\s*(?:test|describe)\(/m);
    return /^(?:const .*= )?await /m.test(text.slice(Math.max(0, first)));
  });
  assert.deepEqual(late.map(s => s.file), []);
});

test('the lock names every platform\'s packages: npm ci refuses one that does not', () => {
  const { packages } = JSON.parse(readFileSync(path.join(root(), 'package-lock.json'), 'utf8')) as
    { packages: Record<string, { optionalDependencies?: Record<string, string> }> };
  const missing = Object.values(packages).flatMap(locked => Object.keys(locked.optionalDependencies ?? {}))
    .filter(name => packages[`node_modules/${name}`] === undefined);
  assert.deepEqual(missing, []);
});
