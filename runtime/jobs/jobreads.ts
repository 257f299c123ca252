/**
 * Reads of one job's views that wait for a barrier: each task that keeps rows of a view opens its readers (pins) exactly there. A read whose
 * barrier came to nothing (the attempt failed, a view was not filled yet) waits for the next one with fresh pins.
 */
import type { SqlError } from '../../types/error.js';
import type { Pool } from '../pool.js';
import type { Pin, PinSpec } from '../protocol.js';
import { abortReason, onAbort } from './abort.js';

/** A read of some views: what to open at the next barrier. */
export interface ViewRead { readonly nodeId: number; readonly fields: readonly number[]; readonly point: PinSpec['point'] }

export interface ReadWaiter {
  readonly views: readonly ViewRead[];
  readonly pins: readonly PinSpec[];
  resolve(pins: readonly (readonly Pin[])[]): void;
  reject(e: unknown): void;
}

export interface ReadsDeps {
  readonly pool: Pool;
  nextId(): number;
  /** Workers whose tasks keep rows of the node. */
  workersOf(nodeId: number): number[];
}

export class JobReads {
  readonly #deps: ReadsDeps;
  #waiting: ReadWaiter[] = [];

  constructor(deps: ReadsDeps) { this.#deps = deps; }

  get anyWaiting(): boolean { return this.#waiting.length > 0; }

  pinsFor(views: readonly ViewRead[]): PinSpec[] {
    return views.map(v => ({ pinId: this.#deps.nextId(), nodeId: v.nodeId, fields: v.fields, point: v.point }));
  }

  /** Resolves with workers and pins of the parts of each view, in the order of `views`. `added` is called when it waits. */
  add(views: readonly ViewRead[], signal: AbortSignal, added: () => void): Promise<readonly (readonly Pin[])[]> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) { reject(abortReason(signal)); return; }
      const off = onAbort(signal, reason => { this.#waiting = this.#waiting.filter(r => r.reject !== rejected); reject(reason); });
      const rejected = (e: unknown): void => { off(); reject(e); };
      this.#waiting.push({ views, pins: this.pinsFor(views), resolve: pins => { off(); resolve(pins); }, reject: rejected });
      added();
    });
  }

  take(): ReadWaiter[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }

  resolve(r: ReadWaiter): void { r.resolve(this.#pinsOf(r)); }
  /** Waits again. `opened`: what its pins opened is closed. */
  again(r: ReadWaiter, opened: boolean): void {
    if (opened) for (const pins of this.#pinsOf(r)) for (const p of pins) this.#deps.pool.rpc(p.worker).notify('unpin', { pinId: p.pinId });
    this.#waiting.push({ ...r, pins: this.pinsFor(r.views) });
  }
  rejectAll(error: SqlError): void { for (const r of this.take()) r.reject(error); }

  #pinsOf(r: ReadWaiter): readonly (readonly Pin[])[] { return r.pins.map(p => this.#deps.workersOf(p.nodeId).map(worker => ({ worker, pinId: p.pinId }))); }
}
