/** The module that the server is given: `millrace --extension dist/examples/extension/extension.js`. */
import type { SinkDefinition, SourceDefinition, TableFunctionDefinition } from '../../runtime/functions/api.js';
import { counter } from './counter.js';
import { fraud } from './fraud.js';
import { ledger } from './ledger.js';

export const functions: readonly TableFunctionDefinition[] = [fraud];
export const sources: readonly SourceDefinition[] = [counter];
export const sinks: readonly SinkDefinition[] = [ledger];
