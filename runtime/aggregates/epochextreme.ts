/**
 * min and max of texts over append-only input, within an epoch: the best value by group, compared as bytes where they stand. At the epoch's end
 * the state's accumulator (OrderedExtreme) takes one row a group.
 */
import type { SqlType } from '../../types/sqltype.js';
import type { Batch, Vector } from '../batch.js';
import type { KeyBatch } from '../keys.js';
import type { Selection } from './fixed.js';
import type { OrderedExtreme } from './ordered.js';

export class EpochExtreme {
  readonly accumulator: OrderedExtreme;
  readonly filter: number | null;
  readonly #column: number;
  readonly #sign: number;
  readonly #width: number;
  /** By group: the best value's span in #data; a start of −1: none. */
  #start = new Int32Array(0);
  #end = new Int32Array(0);
  #groups = 0;
  #data = new Uint8Array(1024);
  #used = 0;

  constructor(accumulator: OrderedExtreme, types: readonly SqlType[], column: number, max: boolean, filter: number | null) {
    this.accumulator = accumulator;
    this.filter = filter;
    this.#column = column;
    this.#sign = max ? 1 : -1;
    this.#width = types.length;
  }

  /** `groups`: the epoch's number of each row's group, of `count` so far. */
  add(batch: Batch, selection: Selection, groups: Int32Array, count: number): void {
    this.#room(count);
    const v = batch.columns[this.#column];
    const { rows } = selection;
    if (v.form !== 'bytes') { this.#addStrings(v, selection, groups); return; }
    const { data, start, end, nulls } = v;
    let lastGroup = -1;
    let last = -1;
    let lastEnd = -1;
    for (let k = 0; k < selection.count; k++) {
      const i = rows[k];
      if (nulls !== null && nulls[i] === 1) continue;
      // Neighbours of one group often have one text, on one span. An empty text begins where the next one does.
      if (groups[i] === lastGroup && start[i] === last && end[i] === lastEnd) continue;
      lastGroup = groups[i];
      last = start[i];
      lastEnd = end[i];
      this.#offer(lastGroup, data, last, lastEnd);
    }
  }

  #addStrings(v: Vector, s: Selection, groups: Int32Array): void {
    for (let k = 0; k < s.count; k++) {
      const i = s.rows[k];
      const d = v.form === 'datum' ? v.values[i] : null;
      const bytes = typeof d === 'string' ? Buffer.from(d, 'utf8') : d instanceof Uint8Array ? d : null;
      if (bytes !== null) this.#offer(groups[i], bytes, 0, bytes.length);
    }
  }

  #offer(g: number, data: Uint8Array, start: number, end: number): void {
    const from = this.#start[g];
    if (from >= 0) {
      const own = this.#data;
      const to = this.#end[g];
      const n = Math.min(end - start, to - from);
      let p = 0;
      while (p < n && data[start + p] === own[from + p]) p++;
      const order = p < n ? data[start + p] - own[from + p] : end - start - (to - from);
      if (order * this.#sign <= 0) return;
    }
    const length = end - start;
    let at = this.#used;
    // In place where it fits: most texts of a column are of one length.
    if (from >= 0 && this.#end[g] - from >= length) at = from;
    else {
      if (at + length > this.#data.length) {
        const grown = new Uint8Array(Math.max(this.#data.length * 2, at + length));
        grown.set(this.#data.subarray(0, at));
        this.#data = grown;
      }
      this.#used = at + length;
    }
    for (let p = 0; p < length; p++) this.#data[at + p] = data[start + p];
    this.#start[g] = at;
    this.#end[g] = at + length;
  }

  #room(count: number): void {
    if (count > this.#start.length) {
      const start = new Int32Array(Math.max(256, count * 2));
      const end = new Int32Array(start.length);
      start.set(this.#start);
      end.set(this.#end);
      this.#start = start;
      this.#end = end;
    }
    if (count > this.#groups) this.#start.fill(-1, this.#groups, count);
    this.#groups = Math.max(this.#groups, count);
  }

  /** Gives the groups' best to the state. `keys`: the epoch's groups. */
  flush(keys: KeyBatch): void {
    const rows = new Int32Array(this.#groups);
    let count = 0;
    for (let g = 0; g < this.#groups; g++) if (this.#start[g] >= 0) rows[count++] = g;
    const texts: Vector = { form: 'bytes', data: this.#data, start: this.#start, end: this.#end, nulls: null };
    const columns = Array.from({ length: this.#width }, () => texts);
    for (let g = 0; g < this.#groups; g++) if (this.#start[g] < 0) this.#start[g] = this.#end[g] = 0;
    if (count > 0) this.accumulator.update({ length: this.#groups, columns, weights: null }, { rows, count, weights: null }, keys);
    this.#groups = 0;
    this.#used = 0;
    if (this.#data.length > 1 << 18) this.#data = new Uint8Array(1024);
  }
}

