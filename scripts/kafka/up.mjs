// Starts a Kafka broker on 127.0.0.1 and leaves it running: node scripts/kafka/up.mjs DIR [PORT=9092]. Needs `npm run build`, java and mvn.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const [dir, port = '9092'] = process.argv.slice(2);
if (dir === undefined) {
  console.error('usage: node scripts/kafka/up.mjs DIR [PORT=9092]');
  process.exit(2);
}
mkdirSync(dir, { recursive: true });
const pidFile = path.join(path.resolve(dir), 'kafka.pid');
rmSync(pidFile, { force: true });
const log = path.join(path.resolve(dir), 'up.log');
const out = openSync(log, 'w');
// The keeper owns the broker's process; down.mjs ends it.
const keeper = spawn(process.execPath, [path.join(path.dirname(fileURLToPath(import.meta.url)), 'keeper.mjs'), path.resolve(dir), port], { detached: true, stdio: ['ignore', out, out] });
keeper.unref();
const timer = setInterval(() => {
  if (existsSync(pidFile)) {
    clearInterval(timer);
    console.log(`Kafka is up: bootstrap_servers = '127.0.0.1:${port}'; stop it with node scripts/kafka/down.mjs ${dir}`);
  } else if (keeper.exitCode !== null) {
    clearInterval(timer);
    console.error(readFileSync(log, 'utf8'));
    process.exitCode = 1;
  }
}, 100);
