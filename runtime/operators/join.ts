/**
 * Join: ΔA⋈B, then A grows by ΔA (and the same for the other side): each batch meets what the other side holds, then is added to its own side.
 *
 * State: one group table a side, keyed by the join key (equality encoding); entries are stored rows, 'bag' for an append-only side, else
 * ordered by a hash and their bytes, with counts. A NULL in the key matches nothing and is not stored.
 *
 * Outer, semi and anti joins add a term that depends on whether the other side's group is empty: rows with NULLs for the other side
 * (outer), or the left row itself (semi: not empty, anti: empty). It changes when a group goes 0 → n or n → 0; since it is a function of
 * the state before and after each row, the changes of an epoch add up right in any order. With a residual condition "empty" is
 * per row: matches are counted by going over the other side's group.
 *
 * Cost: inner: pairs of equal keys; the residual runs compiled over batches of pairs. Outer with residual: group sizes multiplied.
 */
import type { JoinNode } from '../../types/plan.js';
import type { Column, SqlType } from '../../types/sqltype.js';
import type { Datum } from '../../types/value.js';
import { hashBytes } from '../../types/encoding/hash.js';
import { RowCodec } from '../../types/encoding/row.js';
import { BATCH_ROWS_MAX, type Batch } from '../batch.js';
import { BatchBuilder } from '../batchbuilder.js';
import { compileFilter, type FilterFunction } from '../codegen/compile.js';
import { interpret, type RowFunction } from '../codegen/interpret.js';
import type { SubplanRunner } from '../codegen/subplan.js';
import { keyEncoder, type KeyBatch, type KeyEncoder, type RowBytes, rowEncoder } from '../keys.js';
import type { Operator, OperatorContext } from '../operator.js';
import type { GroupTable, GroupVisitor } from '../state/table.js';
import { datumRow, gather } from '../vectors.js';
import { consolidate } from '../zset.js';

/** An ordered entry's subkey: hash of the row, then the row. Rows of a group have long common beginnings; their hashes differ in the first byte. */
const ROW_AT = 4;

interface Side {
  readonly types: readonly SqlType[];
  readonly keys: KeyEncoder;
  readonly rows: (batch: Batch) => RowBytes;
  readonly codec: RowCodec;
  readonly table: GroupTable;
  readonly bag: boolean;
  /** This side's rows come with NULLs for the other one when nothing matches. */
  readonly preserved: boolean;
  /** First output column of this side. */
  readonly first: number;
}

export class JoinOperator implements Operator {
  readonly node: JoinNode;
  readonly #context: OperatorContext;
  readonly #sides: readonly [Side, Side];
  readonly #pairs: BatchBuilder;
  /** Rows that do not depend on the residual any more: padded rows, semi and anti results. */
  readonly #single: BatchBuilder;
  readonly #filter: FilterFunction | null;
  readonly #residual: RowFunction | null;
  readonly #emitsPairs: boolean;
  readonly #presence: 'none' | 'semi' | 'anti';
  #subkey = new Uint8Array(256);
  /** Batch queries: output of a join that takes rows back (outer, anti) waits for the end, so that readers see inserts only. */
  #held: Batch[] | null;
  #prepared: { readonly batch: Batch; readonly input: number; readonly keys: KeyBatch } | null = null;

  constructor(node: JoinNode, context: OperatorContext, left: readonly Column[], right: readonly Column[], subplans: SubplanRunner | null = null) {
    this.node = node;
    this.#context = context;
    this.#held = context.batchMode && node.kind !== 'inner' && node.kind !== 'semi' ? [] : null;
    const side = (k: 0 | 1, columns: readonly Column[], keys: readonly number[], appendOnly: boolean, preserved: boolean): Side => {
      const types = columns.map(c => c.type);
      return {
        types, keys: keyEncoder(types, keys), rows: rowEncoder(types), codec: new RowCodec(types), table: context.groupTable(k, appendOnly ? 'bag' : 'ordered'), bag: appendOnly, preserved,
        first: k === 0 ? 0 : left.length,
      };
    };
    this.#sides = [
      side(0, left, node.leftKeys, node.leftAppendOnly, node.kind === 'left' || node.kind === 'full'),
      side(1, right, node.rightKeys, node.rightAppendOnly, node.kind === 'right' || node.kind === 'full'),
    ];
    const both = [...left, ...right].map(c => c.type);
    this.#presence = node.kind === 'semi' || node.kind === 'anti' ? node.kind : 'none';
    this.#emitsPairs = this.#presence === 'none';
    this.#pairs = new BatchBuilder(both);
    this.#single = new BatchBuilder(this.#emitsPairs ? both : left.map(c => c.type));
    this.#filter = node.residual === null ? null : compileFilter(node.residual, both, subplans);
    this.#residual = node.residual === null ? null : interpret(node.residual, subplans);
  }

  #emit(batch: Batch): void {
    if (this.#held === null) this.#context.emit(batch);
    else this.#held.push(batch);
  }

  end(): void {
    if (this.#held === null) return;
    const held = this.#held;
    this.#held = [];
    for (const batch of consolidate(this.#emitsPairs ? [...this.#sides[0].types, ...this.#sides[1].types] : this.#sides[0].types, held, null, false)) this.#context.emit(batch);
  }

  prefetch(batch: Batch, input: number): Promise<void> | null {
    const keys = this.#sides[input].keys(batch);
    this.#prepared = { batch, input, keys };
    const own = this.#sides[input].table.prefetch(keys);
    const other = this.#sides[1 - input].table.prefetch(keys);
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
    if (this.#emitsPairs && !own.preserved && !other.preserved) this.#inner(batch, keys, rows, own, other);
    else if (this.#residual === null) this.#withPresence(batch, keys, rows, own, other);
    else this.#withResidual(batch, keys, rows, own, other, this.#residual);
    this.#flushPairs();
    if (this.#single.length > 0) this.#emit(this.#single.finish());
  }

  #store(side: Side, keys: KeyBatch, i: number, rows: RowBytes, weight: number): void {
    const { data } = rows;
    const from = rows.start[i];
    const to = rows.end[i];
    if (side.bag) { side.table.add(keys, i, data, 0, 0, data, from, to, weight); return; }
    const length = ROW_AT + to - from;
    if (this.#subkey.length < length) this.#subkey = new Uint8Array(length * 2);
    const subkey = this.#subkey;
    const hash = hashBytes(data, from, to);
    subkey[0] = hash;
    subkey[1] = hash >>> 8;
    subkey[2] = hash >>> 16;
    subkey[3] = hash >>> 24;
    for (let p = from, at = ROW_AT; p < to; p++) subkey[at++] = data[p];
    side.table.add(keys, i, subkey, 0, length, data, 0, 0, weight);
  }

  #inner(batch: Batch, keys: KeyBatch, rows: RowBytes, own: Side, other: Side): void {
    const { weights } = batch;
    for (let i = 0; i < batch.length; i++) {
      if (keys.anyNull !== null && keys.anyNull[i] === 1) continue;
      const weight = weights === null ? 1 : weights[i];
      this.#pair(batch, i, keys, own, other, weight);
      this.#store(own, keys, i, rows, weight);
    }
  }

  // The visitor of #pair reads these: no closure a row.
  #batch: Batch | null = null;
  #row = 0;
  #weight = 0;
  #own: Side | null = null;
  #other: Side | null = null;
  readonly #visitPair: GroupVisitor = (data, subStart, _subEnd, payStart, _payEnd, count) => {
    const batch = this.#batch;
    const own = this.#own;
    const other = this.#other;
    if (batch === null || own === null || other === null) return false;
    const builder = this.#pairs;
    const at = builder.length;
    const n = own.types.length;
    for (let c = 0; c < n; c++) builder.columns[own.first + c].appendFrom(at, batch.columns[c], this.#row);
    builder.appendStoredColumns(data, other.bag ? payStart : subStart + ROW_AT, other.first, other.types.length);
    builder.endRow(this.#weight * count);
    return true;
  };

  #pair(batch: Batch, i: number, keys: KeyBatch, own: Side, other: Side, weight: number): void {
    this.#batch = batch;
    this.#row = i;
    this.#weight = weight;
    this.#own = own;
    this.#other = other;
    other.table.visit(keys, i, false, this.#visitPair);
    if (this.#pairs.length >= BATCH_ROWS_MAX) this.#flushPairs();
  }

  #flushPairs(): void {
    if (this.#pairs.length === 0) return;
    const pairs = this.#pairs.finish();
    if (this.#filter === null) { this.#emit(pairs); return; }
    const kept = this.#filter(pairs, this.#context.session);
    if (kept.count === pairs.length) this.#emit(pairs);
    else if (kept.count > 0) this.#emit(gather(pairs, kept.rows, kept.count));
  }

  /** A row of one side alone: beside NULLs (outer), or as it is (semi, anti: left rows only). */
  #addSingle(side: Side, append: (first: number) => void, weight: number): void {
    const builder = this.#single;
    const at = builder.length;
    if (this.#emitsPairs) {
      const other = side === this.#sides[0] ? this.#sides[1] : this.#sides[0];
      for (let c = 0; c < other.types.length; c++) builder.columns[other.first + c].appendNull(at);
    }
    append(side.first);
    builder.endRow(weight);
  }

  #addOwn(side: Side, batch: Batch, i: number, weight: number): void {
    this.#addSingle(side, first => {
      const at = this.#single.length;
      for (let c = 0; c < side.types.length; c++) this.#single.columns[first + c].appendFrom(at, batch.columns[c], i);
    }, weight);
  }

  /** What a left row of a semi or anti join, or a preserved row, shows when the other side's group is empty or not. */
  #shows(side: Side, empty: boolean): boolean {
    if (this.#presence === 'none') return side.preserved && empty;
    return side === this.#sides[0] && (this.#presence === 'anti') === empty;
  }
  #depends(side: Side): boolean { return this.#presence === 'none' ? side.preserved : side === this.#sides[0]; }

  /** Outer, semi, anti without residual: "empty" is a fact of the group. */
  #withPresence(batch: Batch, keys: KeyBatch, rows: RowBytes, own: Side, other: Side): void {
    for (let i = 0; i < batch.length; i++) {
      const weight = batch.weights === null ? 1 : batch.weights[i];
      if (keys.anyNull !== null && keys.anyNull[i] === 1) {
        if (this.#shows(own, true)) this.#addOwn(own, batch, i, weight);
        continue;
      }
      const empty = other.table.entries(keys, i) === 0;
      if (this.#emitsPairs && !empty) this.#pair(batch, i, keys, own, other, weight);
      if (this.#shows(own, empty)) this.#addOwn(own, batch, i, weight);
      const before = this.#depends(other) && !empty ? own.table.entries(keys, i) === 0 : false;
      this.#store(own, keys, i, rows, weight);
      if (!this.#depends(other) || empty) continue;
      const after = own.table.entries(keys, i) === 0;
      if (before === after) continue;
      const sign = this.#shows(other, after) ? 1 : -1;
      other.table.visit(keys, i, false, (data, subStart, _subEnd, payStart, _payEnd, count) => {
        this.#addSingle(other, first => { this.#single.appendStoredColumns(data, other.bag ? payStart : subStart + ROW_AT, first, other.types.length); }, sign * count);
        return true;
      });
    }
  }

  /** Outer, semi, anti with residual: "empty" is whether any row of the other group satisfies the condition beside this row. */
  #withResidual(batch: Batch, keys: KeyBatch, rows: RowBytes, own: Side, other: Side, residual: RowFunction): void {
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
      const others = rowsOf(other, keys, i).filter(o => matches(row, o.row));
      // Matching rows' counts may cancel out inside an epoch; a sum of 0 stands for none.
      const total = others.reduce((sum, o) => sum + o.count, 0);
      if (this.#emitsPairs) for (const o of others) this.#single.appendDatums(ownIsLeft ? [...row, ...o.row] : [...o.row, ...row], weight * o.count);
      if (this.#shows(own, total === 0)) this.#addOwn(own, batch, i, weight);
      if (this.#depends(other) && others.length > 0) {
        const owns = rowsOf(own, keys, i);
        for (const o of others) {
          const before = owns.reduce((sum, w) => sum + (matches(w.row, o.row) ? w.count : 0), 0);
          if ((before === 0) === (before + weight === 0)) continue;
          const sign = this.#shows(other, before + weight === 0) ? 1 : -1;
          this.#addSingle(other, first => { const at = this.#single.length; o.row.forEach((v, c) => { this.#single.columns[first + c].appendDatum(at, v); }); }, sign * o.count);
        }
      }
      this.#store(own, keys, i, rows, weight);
    }
  }
}

/** The stored rows of a group as datums. */
function rowsOf(side: Side, keys: KeyBatch, i: number): { readonly row: readonly Datum[]; readonly count: number }[] {
  const found: { row: readonly Datum[]; count: number }[] = [];
  side.table.visit(keys, i, false, (data, subStart, subEnd, payStart, payEnd, count) => {
    found.push({ row: side.bag ? side.codec.decode(data, payStart, payEnd) : side.codec.decode(data, subStart + ROW_AT, subEnd), count });
    return true;
  });
  return found;
}
