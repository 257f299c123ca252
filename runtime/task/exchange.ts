/**
 * Sending side of an exchange: splits batches by key group and gives each part to the channel of the subtask that owns the group.
 * Watermarks, ends and barriers go to every channel. Key group = hash of the equality key modulo max_parallelism (types/encoding).
 */
import type { PlanNode } from '../../types/plan.js';
import type { SqlType } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { keyEncoder, type KeyEncoder } from '../keys.js';
import type { Operator } from '../operator.js';
import type { Injected } from '../protocol.js';
import { gather } from '../vectors.js';
import type { ChannelOut } from './channel.js';
import { subtaskOfKeyGroup } from './fragment.js';

export class ExchangeSender implements Operator {
  readonly node: PlanNode;
  readonly #outs: readonly ChannelOut[];
  readonly #keys: KeyEncoder | null;
  readonly #owner: Int32Array;
  readonly #injected: () => Injected;
  readonly #counts: Int32Array;
  #rows: Int32Array[];

  /** `keys` null: everything to the only channel. `injected`: the barrier that is passing, as it goes on to the next tasks. */
  constructor(node: PlanNode, types: readonly SqlType[], keys: readonly number[] | null, maxParallelism: number, outs: readonly ChannelOut[], injected: () => Injected) {
    this.node = node;
    this.#outs = outs;
    this.#keys = keys === null || outs.length === 1 ? null : keyEncoder(types, keys);
    this.#owner = Int32Array.from({ length: maxParallelism }, (_, g) => subtaskOfKeyGroup(g, outs.length, maxParallelism));
    this.#injected = injected;
    this.#counts = new Int32Array(outs.length);
    this.#rows = outs.map(() => new Int32Array(0));
  }

  process(batch: Batch): void {
    if (this.#keys === null) {
      this.#outs[0].send(batch);
      return;
    }
    const { hash } = this.#keys(batch);
    const n = batch.length;
    const counts = this.#counts.fill(0);
    if (this.#rows[0].length < n) this.#rows = this.#outs.map(() => new Int32Array(n));
    const rows = this.#rows;
    const owner = this.#owner;
    const groups = owner.length;
    for (let i = 0; i < n; i++) {
      const to = owner[(hash[i] >>> 0) % groups];
      rows[to][counts[to]++] = i;
    }
    for (let to = 0; to < this.#outs.length; to++) {
      if (counts[to] === 0) continue;
      this.#outs[to].send(counts[to] === n ? batch : gather(batch, rows[to], counts[to]));
    }
  }

  watermark(us: number): void { for (const out of this.#outs) out.signal({ k: 'watermark', us }); }
  end(): void { for (const out of this.#outs) out.signal({ k: 'end' }); }
  barrier(): void { for (const out of this.#outs) out.signal({ k: 'barrier', injected: this.#injected() }); }
}
