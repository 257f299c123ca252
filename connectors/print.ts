/** print: a sink that writes each changed row to the server's log, as JSON with its op. Rows of an epoch beyond PRINT_ROWS_MAX are only counted. */
import type { SinkConnector, SinkSpec, SinkWriter, SourceContext } from '../runtime/connector.js';
import type { Batch } from '../runtime/batch.js';
import type { Json } from '../types/connect.js';
import { eachChange, jsonEncoder } from './formats/encode.js';
import type { RowEncoder } from './formats/encode.js';

const PRINT_ROWS_MAX = 1000;

class PrintWriter implements SinkWriter {
  readonly #spec: SinkSpec;
  readonly #log: SourceContext['log'];
  readonly #encoder: RowEncoder;

  constructor(spec: SinkSpec, log: SourceContext['log']) {
    this.#spec = spec;
    this.#log = log;
    this.#encoder = jsonEncoder(spec.visible);
  }

  open(): Promise<void> { return Promise.resolve(); }

  write(batch: Batch): void {
    let left = PRINT_ROWS_MAX;
    let more = 0;
    eachChange(this.#spec.columns, batch, this.#spec.key, (row, op) => {
      if (left > 0) this.#log('info', `${this.#spec.relationName}: ${op} ${this.#encoder.encode(batch, row, null)}`);
      else more++;
      left--;
    });
    if (more > 0) this.#log('info', `${this.#spec.relationName}: ${more} more rows`);
  }

  prepare(): Json { return null; }
  commit(): Promise<void> { return Promise.resolve(); }
  close(): Promise<void> { return Promise.resolve(); }
}

export const printSink: SinkConnector = {
  name: 'print',
  description: 'writes each changed row to the log',
  options: [],
  guarantee: 'none',
  acceptsUpdates: () => 'yes',
  create: (spec, context) => new PrintWriter(spec, (level, message, fields) => context.log(level, message, fields)),
};
