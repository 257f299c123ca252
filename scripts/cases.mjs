#!/usr/bin/env node
// Development only: runs the sqllogictest collections of other projects, kept beside the checkout in ../shared/cases, against this build.
// Usage: npm run cases [-- --set risingwave|pg] [--causes N] [more options of the runner, e.g. --area agg,join --fails 2]
// Prints what passed per area, and the causes of failure: a statement that failed, with what failed after it for want of it.
// Skipped where the folder is absent.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const cases = path.resolve('../shared/cases');
if (!existsSync(cases)) { console.log('SKIPPED: ../shared/cases is absent'); process.exit(0); }
const args = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = args.indexOf(name);
  return at < 0 ? otherwise : args.splice(at, 2)[1];
};
const set = option('--set', null);
const shown = Number(option('--causes', '10'));
const has = name => args.includes(name);

const general = message => message.split('\n')[0].replace(/"[^"]*"/g, '"…"').replace(/(^\[[^\]]*\])|\d+/g, (m, code) => code ?? 'N').slice(0, 140);
/** What a failed CREATE or INSERT leaves missing or wrong for the statements after it in its file. */
const isConsequence = message => /^\[(42P01|3F000)\]|result differs|^\[42704\] .*(table|view|index)/.test(message);

function causesOf(files) {
  const causes = new Map();
  for (const file of files) {
    let current = null;
    for (const failure of file.failures) {
      if (current === null || !isConsequence(failure.error)) {
        const key = general(failure.error);
        current = causes.get(key) ?? { key, records: 0, files: new Set(), example: `${file.file}:${failure.line}  ${(failure.sql ?? '').replace(/\s+/g, ' ').slice(0, 110)}` };
        causes.set(key, current);
      }
      current.records++;
      current.files.add(file.file);
    }
  }
  return [...causes.values()].sort((a, b) => b.records - a.records);
}

let failed = false;
for (const name of set === null ? ['risingwave', 'pg'] : [set]) {
  mkdirSync('.build', { recursive: true });
  const json = path.resolve(`.build/cases-${name}.json`);
  rmSync(json, { force: true });
  const server = `${process.execPath} ${path.resolve('dist/server/main.js')} --port {port} --data {dir} --log-level error`;
  // The runner finds `pg` from the working folder. Its defaults wait seconds for each result that differs: shorter here, unless asked for.
  const run = spawnSync(process.execPath, [
    path.join(cases, 'run-slt.mjs'), '--server-cmd', server, '--manifest', path.join(cases, name, 'MANIFEST.tsv'), '--json', json,
    ...(name === 'pg' && !has('--num-text') ? ['--num-text', 'exact'] : []),
    ...(has('--settle') ? [] : ['--settle', '500', '--settle-budget', '2000']), ...(has('--sleep-scale') ? [] : ['--sleep-scale', '0.1']), ...args,
  ], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (run.error) throw run.error;
  if (!existsSync(json)) { failed = true; continue; }
  const { totals, files } = JSON.parse(readFileSync(json, 'utf8'));
  const [passed, missed] = totals.queries;
  console.log(`\n${name}: queries with a result: ${passed} of ${passed + missed}`);
  console.log(`most frequent causes (${name}; records, files):`);
  for (const c of causesOf(files).slice(0, shown)) console.log(`  ${String(c.records).padStart(5)} ${String(c.files.size).padStart(4)}  ${c.key}\n              ${c.example}`);
}
process.exit(failed ? 1 : 0);
