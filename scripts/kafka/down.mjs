// Stops the broker that up.mjs started: node scripts/kafka/down.mjs DIR
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const dir = process.argv[2];
if (dir === undefined || !existsSync(path.join(dir, 'kafka.pid'))) {
  console.error('usage: node scripts/kafka/down.mjs DIR (the one given to up.mjs)');
  process.exit(2);
}
const pidFile = path.join(dir, 'kafka.pid');
process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
const timer = setInterval(() => {
  if (existsSync(pidFile)) return;
  clearInterval(timer);
  console.log('Kafka is down');
}, 100);
