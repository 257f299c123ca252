/** Logs by pino: JSON lines, or readable ones on a terminal. Connection options and statements' secrets are never logged. */
import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = Logger;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const REDACT = ['password', '*.password', 'sasl', '*.sasl', 'secret', '*.secret', '*.ssl'];

/** Goes to stderr, so that what a command prints itself stays apart. */
export function createLog(level: string): Log {
  const options = { level, redact: { paths: REDACT, censor: '********' }, base: {} };
  if (process.stderr.isTTY) return pino(options, pretty({ destination: 2, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', sync: true }));
  return pino(options, pino.destination({ dest: 2, sync: true }));
}
