/** How an expression asks for the result of a subquery: the runner instantiates the subplan once and runs it again for other outer values. */
import type { SubplanExpr } from '../../types/expr.js';
import type { Datum } from '../../types/value.js';

export interface SubplanRunner {
  /** Value of the subquery for these values of its `outer` nodes; `left` is the left side of ANY/ALL. */
  run(subplan: SubplanExpr, outer: readonly Datum[], left: Datum): Datum;
}
