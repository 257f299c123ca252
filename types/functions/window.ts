/** Signatures of the window functions: those that exist with OVER only. What they compute is in runtime/windowfunctions. */
import type { SqlType } from '../sqltype.js';
import { bareType } from '../typeinfo.js';
import type { AggregateDef } from './catalogue.js';
import { aggregate } from './define.js';

const first = (args: readonly SqlType[]): SqlType => bareType(args[0]);

export const windowFunctions: readonly AggregateDef[] = [
  aggregate('row_number()', 'int8'), aggregate('rank()', 'int8'), aggregate('dense_rank()', 'int8'),
  aggregate('percent_rank()', 'float8'), aggregate('cume_dist()', 'float8'), aggregate('ntile(int4)', 'int4'),
  ...['lag', 'lead'].flatMap((name) => [
    aggregate(`${name}(anyelement)`, first), aggregate(`${name}(anyelement,int4)`, first), aggregate(`${name}(anycompatible,int4,anycompatible)`, first),
  ]),
  aggregate('first_value(anyelement)', first), aggregate('last_value(anyelement)', first), aggregate('nth_value(anyelement,int4)', first),
];
