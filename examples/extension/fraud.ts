/**
 * An own function: card payments that look like fraud. A payment of less than `small` followed by one of more than `large` on the same card within
 * `within` of event time is an alert; so is a payment in a country that the card was not seen in for `memory` of wall-clock time. When a card was
 * quiet for `within` after its last small payment, that is said, too.
 *
 *   SELECT * FROM fraud(payment, 1, 500, INTERVAL '1 minute', partition_by => card);
 *
 * State of a card: a value (the small payment waited on, with its timer), a map of countries with a time to live, and a count. Operator state: how
 * many alerts each subtask gave.
 */
// An extension of your own imports from 'millrace/functions'.
import type {
  Arguments, Collector, FunctionInitializationContext, KeyedStateStore, ListState, MapState, ProcessContext, ProcessFunction, ReducingState, Row, TableFunctionDefinition, ValueState,
} from '../../runtime/functions/api.js';

interface Small { readonly atUs: number; readonly amount: number }

class Fraud implements ProcessFunction {
  readonly #args: Arguments;
  #small: ValueState<Small> | null = null;
  #countries: MapState<string, number> | null = null;
  #payments: ReducingState<number> | null = null;
  #given: ListState<number> | null = null;
  #alerts = 0;

  constructor(args: Arguments) { this.#args = args; }

  initializeState({ keyedStateStore, operatorStateStore, isRestored }: FunctionInitializationContext): void {
    this.#keyed(keyedStateStore);
    this.#given = operatorStateStore.listState<number>({ name: 'alerts' });
    // After a change of parallelism a subtask may have the counts of several, or none.
    if (isRestored) this.#alerts = this.#given.get().reduce((a, b) => a + b, 0);
  }

  #keyed(store: KeyedStateStore): void {
    this.#small = store.valueState<Small>({ name: 'small' });
    this.#countries = store.mapState<string, number>({ name: 'countries', ttl: { ms: Number(this.#args['memory']) / 1000, updateType: 'OnReadAndWrite' } });
    this.#payments = store.reducingState<number>({ name: 'payments', reduce: (a, b) => a + b });
  }

  snapshotState(): void { this.#given?.update([this.#alerts]); }

  processElement(row: Row, context: ProcessContext, out: Collector): void {
    const at = context.timestampUs;
    if (at === null) return;
    const amount = Number(row['amount']);
    this.#payments?.add(1);
    let small = this.#small?.value() ?? null;
    // The watermark may be far behind: what the timer will say is said now. So the result does not depend on when watermarks come.
    if (small !== null && at > this.#end(small)) {
      this.#forget(context, small);
      this.#quiet(out, context, this.#end(small));
      small = null;
    }
    if (small !== null && amount > Number(this.#args['large']) && at >= small.atUs) {
      this.#alert(out, context, `${amount} after ${small.amount}`, at);
      this.#forget(context, small);
    } else if (amount < Number(this.#args['small'])) {
      if (small !== null) this.#forget(context, small);
      this.#small?.update({ atUs: at, amount });
      context.timerService.registerEventTimeTimer(at + Number(this.#args['within']) + 1);
    }
    const country = String(row['country']);
    if (this.#countries?.contains(country) === false && !this.#countries.isEmpty()) this.#alert(out, context, `first seen in ${country}`, at);
    this.#countries?.put(country, at);
  }

  onTimer(timestampUs: number, context: ProcessContext, out: Collector): void {
    this.#small?.clear();
    this.#quiet(out, context, timestampUs - 1);
  }

  #forget(context: ProcessContext, small: Small): void {
    context.timerService.deleteEventTimeTimer(this.#end(small) + 1);
    this.#small?.clear();
  }

  /** The last moment at which a large payment is an alert. */
  #end(small: Small): number { return small.atUs + Number(this.#args['within']); }

  #quiet(out: Collector, context: ProcessContext, at: number): void {
    out.collect({ card: context.key['card'], at, reason: 'quiet after a small payment', payments: this.#payments?.get() ?? 0 });
  }

  #alert(out: Collector, context: ProcessContext, reason: string, at: number): void {
    this.#alerts++;
    out.collect({ card: context.key['card'], at, reason, payments: this.#payments?.get() ?? 0 });
  }
}

export const fraud: TableFunctionDefinition = {
  name: 'fraud',
  description: 'payments that look like fraud, by card',
  parameters: [
    { name: 'small', kind: 'number' }, { name: 'large', kind: 'number' }, { name: 'within', kind: 'interval', default: 60_000_000 }, { name: 'memory', kind: 'interval', default: 30 * 86_400_000_000 },
  ],
  columns(input) {
    for (const name of ['card', 'amount', 'country']) if (!input.some(f => f.name === name)) throw new Error(`its relation has no column "${name}"`);
    return [{ name: 'card', type: input.find(f => f.name === 'card')?.type ?? 'text' }, { name: 'at', type: 'timestamp' }, { name: 'reason', type: 'text' }, { name: 'payments', type: 'bigint' }];
  },
  create: ({ args }) => new Fraud(args),
};
