/**
 * Faults: rules by which storage fails on purpose. Used by faulty Kv and faulty files alike; a test sets rules, the product none.
 * A rule matches operations by name (and path) and, at the chosen hits, throws an error with an operating system's code or stalls until released.
 */
export type FaultOperation =
  | 'kv.get' | 'kv.write' | 'kv.iterate'
  | 'file.open' | 'file.read' | 'file.write' | 'file.sync' | 'file.rename' | 'file.unlink' | 'file.list' | 'file.mkdir';

export interface FaultRule {
  readonly operation: FaultOperation | readonly FaultOperation[];
  /** Only paths that contain this. */
  readonly path?: string;
  /** Matching operations let through first. Default 0. */
  readonly after?: number;
  /** How many fail then. Default: all. */
  readonly times?: number;
  /** Error code: ENOSPC, EIO, …; 'stall' waits until `release`. */
  readonly fault: 'ENOSPC' | 'EIO' | 'EACCES' | 'EDQUOT' | 'stall';
  /** file.write: bytes of the write that still get through before the error (a torn write). */
  readonly tornBytes?: number;
}

export class Faults {
  #rules: { rule: FaultRule; hits: number }[] = [];
  #stalled: (() => void)[] = [];
  /** Operations seen, by name. */
  readonly counts = new Map<FaultOperation, number>();

  add(rule: FaultRule): void { this.#rules.push({ rule, hits: 0 }); }

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
    for (const entry of this.#rules) {
      const { rule } = entry;
      const matches = typeof rule.operation === 'string' ? rule.operation === operation : rule.operation.includes(operation);
      if (!matches || (rule.path !== undefined && !path.includes(rule.path))) continue;
      const hit = entry.hits++;
      const after = rule.after ?? 0;
      if (hit >= after && hit < after + (rule.times ?? Infinity)) return rule;
    }
    return null;
  }

  /** Throws or stalls when a rule says so. */
  async check(operation: FaultOperation, path: string): Promise<void> {
    const rule = this.match(operation, path);
    if (rule !== null) await this.apply(rule, operation, path);
  }

  async apply(rule: FaultRule, operation: FaultOperation, path: string): Promise<void> {
    if (rule.fault !== 'stall') throw faultError(rule.fault, operation, path);
    await new Promise<void>((resolve) => { this.#stalled.push(resolve); });
  }

  checkSync(operation: FaultOperation, path: string): void {
    const rule = this.match(operation, path);
    if (rule !== null && rule.fault !== 'stall') throw faultError(rule.fault, operation, path);
  }
}

function faultError(code: string, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: injected fault, ${operation} '${path}'`), { code });
}
