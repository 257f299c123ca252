// Runs the broker of up.mjs until SIGTERM: node keeper.mjs DIR PORT
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const [dir, port] = process.argv.slice(2);
const { startKafka } = await import('../../dist/connectors/kafka/testbroker.js');
const broker = await startKafka({ dir, port: Number(port) });
const pidFile = path.join(dir, 'kafka.pid');
writeFileSync(pidFile, String(process.pid));
const idle = setInterval(() => undefined, 1 << 30);
process.once('SIGTERM', async () => {
  await broker.stop();
  rmSync(pidFile, { force: true });
  clearInterval(idle);
  process.exit(0);
});
