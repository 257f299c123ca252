#!/usr/bin/env node
// Runs compiled tests with node's test runner. Usage: node scripts/test.mjs [--slow] [folder or file …]
// Files named *.slow.test.ts (kill tests in full, faults) run only with --slow. Ends with the runner's own summary.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const args = process.argv.slice(2);
const slow = args.includes('--slow');
const wanted = args.filter(a => !a.startsWith('--'));
const files = [];
const walk = dir => {
  for (const name of readdirSync(dir)) {
    const file = path.join(dir, name);
    if (statSync(file).isDirectory()) walk(file);
    else if (name.endsWith('.test.js') && (slow || !name.endsWith('.slow.test.js'))) files.push(file);
  }
};
walk('dist');
const chosen = wanted.length === 0 ? files : files.filter(f => wanted.some(w => f.includes(w)));
if (chosen.length === 0) { console.error('no test files'); process.exit(1); }
const run = spawnSync(process.execPath, ['--import', new URL('wholeoutput.mjs', import.meta.url).href, '--test', '--test-reporter=spec', '--test-force-exit', '--test-timeout=600000', `--test-concurrency=${process.env.TEST_CONCURRENCY ?? 2}`, ...chosen.sort()], { stdio: 'inherit' });
process.exit(run.status ?? 1);
