/** SQL scripts run inside the server: --init files. Notices go to the log. */
import type { Backend } from './session/backend.js';
import { parseStatements } from '../planner/parse/parser.js';
import type { Log } from './log.js';

const SCRIPT_PID = 0;

/** Runs every statement in its own transaction; stops at the first error, which it throws. */
export async function runScript(backend: Backend, sql: string, log: Log): Promise<void> {
  const session = await backend.openSession(
    { user: 'millrace', database: 'millrace', parameters: new Map([['application_name', 'script']]), pid: SCRIPT_PID, remoteAddress: null },
    { notification: () => undefined, cancel: () => undefined, terminate: () => undefined },
  );
  const controller = new AbortController();
  try {
    for (const parsed of parseStatements(sql)) {
      session.beginImplicit();
      try {
        const prepared = await session.prepare(parsed, []);
        const execution = await session.execute(prepared, [], { signal: controller.signal, notice: n => { log.info({ severity: n.severity }, n.message); } });
        if (execution.kind === 'rows') for await (const batch of execution.batches) void batch;
        await session.commitImplicit();
      } catch (e) {
        await session.fail();
        throw e;
      }
    }
  } finally {
    await session.close();
  }
}
