/**
 * Statements about jobs, checkpoints and savepoints:
 *
 *   CHECKPOINT [JOB j]                          CANCEL | PAUSE JOB j
 *   CREATE SAVEPOINT FOR JOB j [TO 'folder']    STOP JOB j [WITH SAVEPOINT [[TO] 'folder']]
 *   DROP SAVEPOINT 'folder'                     RESUME JOB j [WITH (parallelism = n)]
 *   EXPLAIN RESTORE FROM 'folder' AS query      ALTER JOB j SET (name = value, 'flink.key' = value, …) | RESET (name, …)
 *   EXPLAIN ANALYZE CHECKPOINT [n] JOB j
 *
 * A job is named by an identifier, a string or its number; `position` of these statements is that of the name.
 */
import { SqlError } from '../../types/error.js';
import type { TokenReader } from './reader.js';
import type { SettingChange, Statement } from './statement.js';

/** After CHECKPOINT. */
export function parseCheckpoint(r: TokenReader, position: number): Statement {
  const named = r.accept('job');
  const at = named ? r.position() : position;
  const job = named ? r.jobName() : null;
  r.finish(job === null ? 'CHECKPOINT; or CHECKPOINT JOB name;' : undefined);
  return { kind: 'checkpoint', job, position: at };
}

/** After CREATE SAVEPOINT. */
export function parseCreateSavepoint(r: TokenReader): Statement {
  if (!r.accept('for', 'job')) throw r.syntaxError("CREATE SAVEPOINT FOR JOB name [TO 'folder'];");
  const position = r.position();
  const job = r.jobName();
  const target = r.accept('to') ? r.string() : null;
  r.finish();
  return { kind: 'create savepoint', job, target, position };
}

/** After DROP SAVEPOINT. */
export function parseDropSavepoint(r: TokenReader, position: number): Statement {
  if (r.peek()?.kind !== 'string') throw r.syntaxError("DROP SAVEPOINT 'folder'; millrace.savepoints lists them.");
  const path = r.string();
  r.finish();
  return { kind: 'drop savepoint', path, position };
}

/** After EXPLAIN RESTORE. */
export function parseExplainRestore(r: TokenReader, position: number): Statement {
  r.expect('from');
  const path = r.string();
  r.expect('as');
  return { kind: 'explain restore', path, query: r.query(r.last()), position };
}

/** After EXPLAIN ANALYZE CHECKPOINT. */
export function parseExplainCheckpoint(r: TokenReader): Statement {
  const number = r.peek();
  const checkpoint = number?.kind === 'number' && /^\d{1,15}$/.test(number.text) ? Number(number.text) : null;
  if (checkpoint !== null) r.at++;
  if (!r.accept('job')) throw r.syntaxError('EXPLAIN ANALYZE CHECKPOINT JOB name; or, of an older one: EXPLAIN ANALYZE CHECKPOINT 41 JOB name;');
  const position = r.position();
  const job = r.jobName();
  r.finish();
  return { kind: 'explain checkpoint', job, checkpoint, position };
}

/** After the command's word. */
export function parseJobCommand(r: TokenReader, command: 'stop' | 'cancel' | 'pause' | 'resume'): Statement {
  if (!r.accept('job')) throw r.syntaxError(`${command.toUpperCase()} JOB name;`);
  const position = r.position();
  const job = r.jobName();
  switch (command) {
    case 'stop': {
      let savepoint: { target: string | null } | null = null;
      if (r.accept('with', 'savepoint')) {
        const to = r.accept('to');
        savepoint = { target: to || r.peek()?.kind === 'string' ? r.string() : null };
      }
      r.finish("STOP JOB name [WITH SAVEPOINT ['folder']];");
      return { kind: 'stop job', job, savepoint, position };
    }
    case 'resume': {
      const parallelism = r.accept('with') ? resumeParallelism(r) : null;
      r.finish('RESUME JOB name [WITH (parallelism = n)];');
      return { kind: 'resume job', job, parallelism, position };
    }
    default:
      r.finish();
      return { kind: `${command} job`, job, position };
  }
}

function resumeParallelism(r: TokenReader): number | null {
  let parallelism: number | null = null;
  for (const o of r.options()) {
    if (o.key !== 'parallelism' && o.key !== 'parallelism.default') throw new SqlError('42601', `unrecognized option "${o.key}" of RESUME JOB`, { position: o.position, hint: 'RESUME JOB name WITH (parallelism = n); other settings change with ALTER JOB name SET (…);' });
    const n = Number(o.value);
    if (!/^\d+$/.test(o.value) || n < 1 || n > 128) throw new SqlError('22023', `invalid value for parameter "parallelism": "${o.value}"`, { position: o.valuePosition, hint: 'Allowed: 1 .. 128.' });
    parallelism = n;
  }
  return parallelism;
}

/** After ALTER JOB. */
export function parseAlterJob(r: TokenReader): Statement {
  const position = r.position();
  const job = r.jobName();
  const hint = "ALTER JOB name SET (checkpoint_interval = '30s', …); or ALTER JOB name RESET (checkpoint_interval, …);";
  const reset = r.accept('reset');
  if (!reset && !r.accept('set')) throw r.syntaxError(hint);
  const open = r.acceptSymbol('(');
  const changes: SettingChange[] = [];
  do {
    const at = r.position();
    const name = r.optionKey();
    if (changes.some(c => c.name === name)) throw new SqlError('42601', `setting "${name}" is given more than once`, { position: at });
    if (reset) { changes.push({ name, value: null, position: at }); continue; }
    if (!r.acceptSymbol('=') && !r.accept('to')) throw r.syntaxError(r.isSymbol('-') ? `A key with hyphens is quoted: ALTER JOB name SET ('${name}-…' = …);` : hint);
    changes.push({ name, value: r.accept('default') ? null : r.optionValue().value, position: at });
  } while (r.acceptSymbol(','));
  if (open) r.expectSymbol(')');
  r.finish(hint);
  return { kind: 'alter job', job, changes, position };
}
