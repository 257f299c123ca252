/** Prints ns a row of each kernel whose name contains the argument. Run: node dist/bench/kernels/run.js [name] */
import { kernels, rowsOut } from './cases.js';
import { nsPerRow } from './time.js';

const ROUNDS = 7;
const ROUND_MS = 40;

const only = process.argv[2] ?? '';
for (const { name, rows, run } of kernels) {
  if (name.includes(only)) process.stdout.write(`${name.padEnd(44)} ${nsPerRow(run, rows, ROUNDS, ROUND_MS).toFixed(1).padStart(8)} ns/row\n`);
}
if (rowsOut() === 0) throw new Error('nothing was computed');
