/**
 * Join: ΔA⋈B, then A grows by ΔA (and the same for the other side): each batch meets what the other side holds, then is added to its own side.
 *
 * State: stored rows of each side by the join key (equality encoding), in a row log for an append-only side, else in a group table with
 * counts (joinside.ts). A NULL in the key matches nothing and is not stored.
 *
 * Outer, semi and anti joins add a term that depends on whether the other side's group is empty: rows with NULLs for the other side
 * (outer), or the left row itself (semi: not empty, anti: empty). It changes when a group goes 0 → n or n → 0; since it is a function of
 * the state before and after each row, the changes of an epoch add up right in any order. With a residual condition "empty" is
 * per row: matches are counted by going over the other side's group.
 *
 * Time: where the planner proved when rows of an append-only side can meet nothing any more (types/plan.ts), they are freed at the barrier after.
 *
 * Cost: inner: pairs of equal keys; the residual runs compiled over batches of pairs. Outer with residual: group sizes multiplied.
 */
import type { JoinNode } from '../../types/plan.js';
import type { Column } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { compileFilter } from '../codegen/compile.js';
import { interpret, type RowFunction } from '../codegen/interpret.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import type { KeyBatch, RowBytes } from '../keys.js';
import type { Barrier, Operator, OperatorContext } from '../operator.js';
import { datumRow } from '../vectors.js';
import { consolidate } from '../zset.js';
import { JoinPairs } from './joinpairs.js';
import { JoinSide } from './joinside.js';

/** Named limit: batches of pairs that a batch query's join emits in one go. */
const RUN_BATCHES = 4;

export class JoinOperator implements Operator {
  readonly node: JoinNode;
  readonly #context: OperatorContext;
  readonly #sides: readonly [JoinSide, JoinSide];
  /** By the side whose stored rows are met. */
  readonly #pairs: readonly [JoinPairs, JoinPairs];
  /** Rows that do not depend on the residual any more: padded rows, semi and anti results. */
  readonly #single: BatchBuilder;
  readonly #residual: RowFunction | null;
  readonly #emitsPairs: boolean;
  readonly #presence: 'none' | 'semi' | 'anti';
  /** Rows of one side show or not depending on the other's. */
  readonly #dependent: boolean;
  /** Batch queries: output of a join that takes rows back (outer, anti) waits for the end, so that readers see inserts only. */
  #held: Batch[] | null;
  #watermarkUs = -Infinity;
  #prepared: { readonly batch: Batch; readonly input: number; readonly keys: KeyBatch } | null = null;
  /** Rows of the batch at hand that have not met the other side: batch queries only, whose state is all in memory. */
  #rest: { readonly batch: Batch; readonly keys: KeyBatch; readonly rows: RowBytes; readonly own: JoinSide; readonly other: JoinSide; from: number } | null = null;
  #flushed = 0;

  constructor(node: JoinNode, context: OperatorContext, left: readonly Column[], right: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#held = context.batchMode && node.kind !== 'inner' && node.kind !== 'semi' ? [] : null;
    this.#sides = [
      new JoinSide(context, 0, left, node.leftKeys, node.leftAppendOnly, 0, node.kind === 'left' || node.kind === 'full', node.leftEnds, node.expires),
      new JoinSide(context, 1, right, node.rightKeys, node.rightAppendOnly, left.length, node.kind === 'right' || node.kind === 'full', node.rightEnds, node.expires),
    ];
    const both = [...left, ...right].map(c => c.type);
    this.#presence = node.kind === 'semi' || node.kind === 'anti' ? node.kind : 'none';
    this.#emitsPairs = this.#presence === 'none';
    this.#dependent = node.kind !== 'inner';
    this.#single = new BatchBuilder(this.#emitsPairs ? both : left.map(c => c.type));
    const filter = node.residual === null ? null : compileFilter(node.residual, both, subplans);
    this.#pairs = [new JoinPairs(this.#sides[0].types, true, node.residual, filter), new JoinPairs(this.#sides[1].types, false, node.residual, filter)];
    this.#residual = node.residual === null ? null : interpret(node.residual, subplans);
  }

  #emit(batch: Batch): void {
    if (this.#held === null) this.#context.emit(batch);
    else this.#held.push(batch);
  }

  watermark(us: number): void { this.#watermarkUs = us; }

  /** What the inputs owed for this watermark has come before the epoch's barrier. */
  barrier(barrier: Barrier): void { if (barrier.midEpoch === undefined) for (const side of this.#sides) side.free(this.#watermarkUs, barrier.timeUs); }

  readState(k: number): void { this.#sides[k].readAll((batch) => { this.#context.emit(batch); }); }

  end(): void {
    if (this.#held === null) return;
    const held = this.#held;
    this.#held = [];
    for (const batch of consolidate(this.#emitsPairs ? [...this.#sides[0].types, ...this.#sides[1].types] : this.#sides[0].types, held, null, false)) this.#context.emit(batch);
  }

  prefetch(batch: Batch, input: number): Promise<void> | null {
    const keys = this.#sides[input].keys(batch);
    this.#prepared = { batch, input, keys };
    // Adding to a log reads nothing; an outer join asks whether a row is the first of its key.
    const own = this.#sides[input].log !== null && !this.#dependent ? null : this.#sides[input].prefetch(keys);
    const other = this.#sides[1 - input].prefetch(keys);
    if (own === null) return other;
    return other === null ? own : Promise.all([own, other]).then(() => undefined);
  }

  process(batch: Batch, input: number): void {
    const prepared = this.#prepared;
    const keys = prepared !== null && prepared.batch === batch && prepared.input === input ? prepared.keys : this.#sides[input].keys(batch);
    this.#prepared = null;
    const own = this.#sides[input];
    const other = this.#sides[1 - input];
    const rows = own.rows(batch);
    own.times(batch);
    if (this.#emitsPairs && !own.preserved && !other.preserved) {
      this.#rest = { batch, keys, rows, own, other, from: 0 };
      this.resume();
      return;
    }
    if (this.#residual === null) this.#withPresence(batch, keys, rows, own, other);
    else this.#withResidual(batch, keys, rows, own, other, this.#residual);
    this.#flushPairs(batch, other);
    if (this.#single.length > 0) this.#emit(this.#single.finish());
  }

  get unfinished(): boolean { return this.#rest !== null; }

  /** Inner joins. In a batch query as many pairs as make some batches: a product of millions holds neither its thread nor their memory. */
  resume(): void {
    const rest = this.#rest;
    if (rest === null) return;
    const { batch, keys, rows, own, other } = rest;
    const { weights, length } = batch;
    const { anyNull } = keys;
    const most = this.#context.batchMode ? RUN_BATCHES : Infinity;
    this.#flushed = 0;
    let i = rest.from;
    for (; i < length && this.#flushed < most; i++) if (anyNull === null || anyNull[i] === 0) this.#pair(batch, i, keys, other, weights === null ? 1 : weights[i]);
    this.#flushPairs(batch, other);
    rest.from = i;
    if (i < length) return;
    this.#rest = null;
    for (i = 0; i < length; i++) if (anyNull === null || anyNull[i] === 0) own.add(keys, i, rows, weights === null ? 1 : weights[i]);
  }

  /** The pairs of row i with the other side's rows. */
  #pair(batch: Batch, i: number, keys: KeyBatch, other: JoinSide, weight: number): void {
    const pairs = this.#pairs[other === this.#sides[0] ? 0 : 1];
    const { log } = other;
    if (log !== null) for (let more = log.first(keys, i); more; more = log.next()) pairs.add(i, log.data, log.rowAt, weight * log.count);
    else other.visit(keys, i, (data, rowAt, _rowEnd, count) => { pairs.add(i, data, rowAt, weight * count); });
    if (pairs.length >= BATCH_ROWS_MAX) this.#flushPairs(batch, other);
  }

  #flushPairs(batch: Batch, other: JoinSide): void {
    this.#flushed++;
    const pairs = this.#pairs[other === this.#sides[0] ? 0 : 1].take(batch, this.#context.session);
    if (pairs !== null) this.#emit(pairs);
  }

  /** A row of one side alone: beside NULLs (outer), or as it is (semi, anti: left rows only). */
  #addSingle(side: JoinSide, append: (first: number) => void, weight: number): void {
    const builder = this.#single;
    const at = builder.length;
    if (this.#emitsPairs) {
      const other = side === this.#sides[0] ? this.#sides[1] : this.#sides[0];
      for (let c = 0; c < other.types.length; c++) builder.columns[other.first + c].appendNull(at);
    }
    append(side.first);
    builder.endRow(weight);
  }

  #addOwn(side: JoinSide, batch: Batch, i: number, weight: number): void {
    this.#addSingle(side, first => {
      const at = this.#single.length;
      for (let c = 0; c < side.types.length; c++) this.#single.columns[first + c].appendFrom(at, batch.columns[c], i);
    }, weight);
  }

  /** What a left row of a semi or anti join, or a preserved row, shows when the other side's group is empty or not. */
  #shows(side: JoinSide, empty: boolean): boolean {
    if (this.#presence === 'none') return side.preserved && empty;
    return side === this.#sides[0] && (this.#presence === 'anti') === empty;
  }
  #depends(side: JoinSide): boolean { return this.#presence === 'none' ? side.preserved : side === this.#sides[0]; }

  /** Outer, semi, anti without residual: "empty" is a fact of the group. */
  #withPresence(batch: Batch, keys: KeyBatch, rows: RowBytes, own: JoinSide, other: JoinSide): void {
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      if (keys.anyNull !== null && keys.anyNull[i] === 1) {
        if (this.#shows(own, true)) this.#addOwn(own, batch, i, weight);
        continue;
      }
      const empty = other.isEmpty(keys, i);
      if (this.#emitsPairs && !empty) this.#pair(batch, i, keys, other, weight);
      if (this.#shows(own, empty)) this.#addOwn(own, batch, i, weight);
      const before = this.#depends(other) && !empty ? own.isEmpty(keys, i) : false;
      own.add(keys, i, rows, weight);
      if (!this.#depends(other) || empty) continue;
      const after = own.isEmpty(keys, i);
      if (before === after) continue;
      const sign = this.#shows(other, after) ? 1 : -1;
      other.visit(keys, i, (data, rowAt, _rowEnd, count) => {
        this.#addSingle(other, first => { this.#single.appendStoredColumns(data, rowAt, first, other.types.length); }, sign * count);
      });
    }
  }

  /** Outer, semi, anti with residual: "empty" is whether any row of the other group satisfies the condition beside this row. */
  #withResidual(batch: Batch, keys: KeyBatch, rows: RowBytes, own: JoinSide, other: JoinSide, residual: RowFunction): void {
    const ctx = this.#context.session;
    const ownIsLeft = own === this.#sides[0];
    const matches = (ownRow: readonly Datum[], otherRow: readonly Datum[]): boolean => residual(ownIsLeft ? [...ownRow, ...otherRow] : [...otherRow, ...ownRow], ctx) === true;
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      if (keys.anyNull !== null && keys.anyNull[i] === 1) {
        if (this.#shows(own, true)) this.#addOwn(own, batch, i, weight);
        continue;
      }
      const row = datumRow(own.types, batch, i);
      const others = other.rowsOf(keys, i).filter(o => matches(row, o.row));
      // Matching rows' counts may cancel out inside an epoch; a sum of 0 stands for none.
      const total = others.reduce((sum, o) => sum + o.count, 0);
      if (this.#emitsPairs) for (const o of others) this.#single.appendDatums(ownIsLeft ? [...row, ...o.row] : [...o.row, ...row], weight * o.count);
      if (this.#shows(own, total === 0)) this.#addOwn(own, batch, i, weight);
      if (this.#depends(other) && others.length > 0) {
        const owns = own.rowsOf(keys, i);
        for (const o of others) {
          const before = owns.reduce((sum, w) => sum + (matches(w.row, o.row) ? w.count : 0), 0);
          if ((before === 0) === (before + weight === 0)) continue;
          const sign = this.#shows(other, before + weight === 0) ? 1 : -1;
          this.#addSingle(other, first => { const at = this.#single.length; o.row.forEach((v, c) => { this.#single.columns[first + c].appendDatum(at, v); }); }, sign * o.count);
        }
      }
      own.add(keys, i, rows, weight);
    }
  }
}
