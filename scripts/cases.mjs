#!/usr/bin/env node
// Development only: runs the sqllogictest collections of other projects, kept beside the checkout in ../shared/cases, against this build.
// Usage: npm run cases [-- --set risingwave|pg] [more options of the runner]. Skipped where the folder is absent.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const cases = path.resolve('../shared/cases');
if (!existsSync(cases)) { console.log('SKIPPED: ../shared/cases is absent'); process.exit(0); }
const args = process.argv.slice(2);
const at = args.indexOf('--set');
const sets = at >= 0 ? [args.splice(at, 2)[1]] : ['risingwave', 'pg'];
mkdirSync('.build', { recursive: true });
for (const set of sets) {
  const json = path.resolve(`.build/cases-${set}.json`);
  // The runner needs `pg`: it is found from the working folder's node_modules through NODE_PATH.
  const run = spawnSync(process.execPath, [path.join(cases, 'run-slt.mjs'), '--server-cmd', `${process.execPath} ${path.resolve('dist/server/main.js')} --port {port} --data {dir} --log-level error`,
    '--manifest', path.join(cases, set, 'MANIFEST.tsv'), '--json', json, ...(set === 'pg' ? ['--num-text', 'exact'] : []), ...args], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NODE_PATH: path.resolve('node_modules') } });
  if (run.error) throw run.error;
  if (!existsSync(json)) continue;
  const causes = new Map();
  const visit = x => {
    if (Array.isArray(x)) x.forEach(visit);
    else if (x !== null && typeof x === 'object') {
      const message = x.error ?? x.message ?? x.actualError;
      if (typeof message === 'string') {
        const cause = message.split('\n')[0].replace(/"[^"]*"/g, '"…"').replace(/\d+/g, 'N').slice(0, 120);
        causes.set(cause, (causes.get(cause) ?? 0) + 1);
      }
      Object.values(x).forEach(visit);
    }
  };
  visit(JSON.parse(readFileSync(json, 'utf8')));
  console.log(`most frequent causes (${set}):`);
  for (const [cause, n] of [...causes].sort((a, b) => b[1] - a[1]).slice(0, 15)) console.log(`  ${String(n).padStart(5)}  ${cause}`);
}
