/**
 * Faults: rules by which storage, and the steps of a checkpoint, fail on purpose. A test sets rules, the product none. A rule matches operations by
 * name (and path) and, at the chosen hits, throws an error with an operating system's code, stalls, or kills the process.
 *
 * Operations of files and stores are put in the way by faulty.ts and faultyfiles.ts. The steps of a checkpoint that are no I/O call `faultPoint`
 * where the product runs them; it is null, one comparison, unless `armFaults` was called in the thread.
 */
import { appendFileSync, existsSync } from 'node:fs';

export type CheckpointStep =
  /** The coordinator began it, no barrier carries it yet. */
  | 'checkpoint.trigger'
  /** Its barrier came on an input of a task. */
  | 'checkpoint.align'
  /** A task begins its synchronous phase. */
  | 'checkpoint.sync'
  /** A task's files are written, it has not acknowledged. */
  | 'checkpoint.acknowledge'
  /** A task was told that it completed; its sinks have not committed. */
  | 'sink.commit'
  /** A deployment begins to look for the checkpoint to restore. */
  | 'job.restore';

export type FaultOperation =
  | 'kv.get' | 'kv.write' | 'kv.iterate'
  | 'file.open' | 'file.read' | 'file.write' | 'file.sync' | 'file.rename' | 'file.unlink' | 'file.list' | 'file.mkdir'
  | CheckpointStep;

export interface FaultRule {
  readonly operation: FaultOperation | readonly FaultOperation[];
  /** Only paths that contain this; of a step: the task, or the job's name. */
  readonly path?: string;
  /** Matching operations let through first. Default 0. */
  readonly after?: number;
  /** How many fail then. Default: all. */
  readonly times?: number;
  /** Error code: ENOSPC, EIO, …; 'stall' waits for `stallMs`, without it until `release`; 'kill' ends the process as kill −9 does. */
  readonly fault: 'ENOSPC' | 'EIO' | 'EACCES' | 'EDQUOT' | 'stall' | 'kill';
  readonly stallMs?: number;
  /** file.write: bytes of the write that still get through before the error (a torn write). */
  readonly tornBytes?: number;
  /** Nothing is let through, nor strikes, before this file is there. */
  readonly armedBy?: string;
  /** File that gets a line each time the rule strikes, before it does. */
  readonly report?: string;
}

/** Named limit: rules of one Faults. */
const RULES_MAX = 64;

export class Faults {
  #rules: FaultRule[];
  readonly #hits: Int32Array;
  #stalled: (() => void)[] = [];
  /** Operations seen, by name. */
  readonly counts = new Map<FaultOperation, number>();

  /** `hits`: one number a rule, zero at first; threads that share the memory count hits together. */
  constructor(rules: readonly FaultRule[] = [], hits: Int32Array = new Int32Array(RULES_MAX)) {
    this.#rules = [...rules];
    this.#hits = hits;
  }

  add(rule: FaultRule): void {
    this.#hits[this.#rules.length] = 0;
    this.#rules.push(rule);
  }

  /** Removes all rules; what stalls goes on. */
  clear(): void {
    this.#rules = [];
    this.release();
  }

  release(): void {
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const go of stalled) go();
  }

  /** The rule to apply to this operation now, or null. Counts the hit. */
  match(operation: FaultOperation, path: string): FaultRule | null {
    this.counts.set(operation, (this.counts.get(operation) ?? 0) + 1);
    for (const [k, rule] of this.#rules.entries()) {
      const matches = typeof rule.operation === 'string' ? rule.operation === operation : rule.operation.includes(operation);
      if (!matches || (rule.path !== undefined && !path.includes(rule.path))) continue;
      if (rule.armedBy !== undefined && !existsSync(rule.armedBy)) continue;
      const hit = Atomics.add(this.#hits, k, 1);
      const after = rule.after ?? 0;
      if (hit < after || hit >= after + (rule.times ?? Infinity)) continue;
      if (rule.report !== undefined) appendFileSync(rule.report, `${operation} ${path} ${rule.fault}\n`);
      return rule;
    }
    return null;
  }

  /** Throws, stalls or kills when a rule says so. */
  async check(operation: FaultOperation, path: string): Promise<void> {
    const rule = this.match(operation, path);
    if (rule !== null) await this.apply(rule, operation, path);
  }

  async apply(rule: FaultRule, operation: FaultOperation, path: string): Promise<void> {
    const { fault, stallMs } = rule;
    if (fault === 'kill') process.kill(process.pid, 'SIGKILL');
    if (fault !== 'stall' && fault !== 'kill') throw faultError(fault, operation, path);
    await new Promise<void>((resolve) => {
      if (stallMs === undefined || fault === 'kill') this.#stalled.push(resolve);
      else setTimeout(resolve, stallMs);
    });
  }

  checkSync(operation: FaultOperation, path: string): void {
    const rule = this.match(operation, path);
    if (rule === null || rule.fault === 'stall') return;
    if (rule.fault === 'kill') process.kill(process.pid, 'SIGKILL');
    throw faultError(rule.fault, operation, path);
  }
}

function faultError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: injected fault, ${operation} '${path}'`), { code });
}

/** What crosses into the pool's threads; `hits` is shared memory. */
export interface FaultPlan { readonly rules: readonly FaultRule[]; readonly hits: Int32Array }

export function faultPlan(rules: readonly FaultRule[]): FaultPlan {
  return { rules, hits: new Int32Array(new SharedArrayBuffer(RULES_MAX * Int32Array.BYTES_PER_ELEMENT)) };
}

/** null in the product. */
export let faultPoint: ((step: CheckpointStep, path: string) => Promise<void>) | null = null;

/** Switches the steps' faults on in this thread. */
export function armFaults(faults: Faults): void { faultPoint = (step, path) => faults.check(step, path); }
