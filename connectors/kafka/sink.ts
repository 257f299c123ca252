/**
 * kafka: a sink that produces changes to a topic, at least once: everything written before a checkpoint barrier is acknowledged by all in-sync
 * replicas before the checkpoint holds (acks = all), and after a recovery the rows since the last checkpoint are produced again.
 *
 *   append-only query        each row is a message; its key is the stream key's columns, when there are any
 *   changelog = 'upsert'     (default for a query whose result changes; needs a key) the new row under its key; a deletion is a tombstone,
 *                            so that a compacted topic ends as the query's result, and a repeated message changes nothing
 *   changelog = 'op'         every change with a leading field op: insert, delete, update_before, update_after
 *
 * Keys: key_format json = an object of the key columns; text = the one key column's text. Rows are written as bytes (jsonrows.ts) into record batches,
 * which are sent in order while the next ones fill (producer.ts).
 */
import type { Batch } from '../../runtime/batch.js';
import type { OptionSpec, SinkConnector, SinkSpec, SinkWriter, SourceContext } from '../../runtime/connector.js';
import { datumAt } from '../../runtime/vectors.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import { formatDatum } from '../../types/textio.js';
import { eachChange } from '../formats/encode.js';
import type { RowOp } from '../formats/encode.js';
import { JsonRowWriter } from '../formats/jsonrows.js';
import { textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import { CLIENT_PROPERTIES, SERVERS, TOPIC, checkClientOptions, checkTopic, toSqlError } from './client.js';
import { BatchProducer } from './producer.js';

const COMPRESSIONS: Readonly<Record<string, number>> = { none: 0, gzip: 1 };

const FORMAT: OptionSpec = { name: 'format', kind: 'text', default: 'json', values: ['json'], description: 'message values: one JSON object each' };
const KEY_FORMAT: OptionSpec = { name: 'key_format', kind: 'text', default: 'json', values: ['json', 'text'], description: 'message keys: a JSON object of the key columns, or the text of the one key column' };
const CHANGELOG: OptionSpec = { name: 'changelog', kind: 'text', default: 'upsert', values: ['upsert', 'op'], description: 'changes as new rows and tombstones by key, or each with a field op' };
const COMPRESSION: OptionSpec = { name: 'compression', kind: 'text', default: 'none', values: ['none', 'gzip'], description: 'of the messages' };

class KafkaWriter implements SinkWriter {
  readonly #spec: SinkSpec;
  readonly #topic: string;
  readonly #changelog: 'none' | 'upsert' | 'op';
  readonly #value: JsonRowWriter;
  /** For keys that are objects. */
  readonly #keys: JsonRowWriter | null;
  readonly #producer: BatchProducer;

  constructor(spec: SinkSpec, log: SourceContext['log']) {
    this.#spec = spec;
    this.#topic = textOption(spec.options, TOPIC);
    this.#changelog = textOption(spec.options, CHANGELOG) === 'op' ? 'op' : spec.appendOnly ? 'none' : 'upsert';
    this.#value = new JsonRowWriter(spec.visible);
    const keyText = textOption(spec.options, KEY_FORMAT) === 'text';
    if (keyText && spec.key !== null && spec.key.length > 1) throw new SqlError('22023', 'key_format = \'text\' needs a key of one column', { hint: `The key is (${spec.key.map((k) => spec.columns[k].name).join(', ')}): use key_format = 'json'.` });
    if (this.#changelog === 'upsert' && spec.key === null) throw new SqlError('0A000', 'a kafka sink of changes without a key is not supported', { hint: 'Give the query a key (GROUP BY, or a table with a PRIMARY KEY), or use changelog = \'op\'.' });
    this.#keys = keyText || spec.key === null || spec.key.length === 0 ? null : new JsonRowWriter(spec.key.map((k) => spec.columns[k]));
    this.#producer = new BatchProducer(spec.options, this.#topic, COMPRESSIONS[textOption(spec.options, COMPRESSION)], log);
  }

  async open(): Promise<void> {
    try {
      await this.#producer.open();
    } catch (e) {
      throw toSqlError(e, this.#spec.options, this.#topic);
    }
  }

  write(batch: Batch): void | Promise<void> {
    eachChange(this.#spec.columns, batch, this.#spec.key, (row, op) => this.#change(batch, row, op));
    if (this.#producer.crowded) return this.#producer.room();
    return undefined;
  }

  #change(batch: Batch, row: number, op: RowOp): void {
    if (this.#changelog !== 'op' && op === 'update_before') return;
    const deleted = this.#changelog === 'upsert' && op === 'delete';
    const end = deleted ? 0 : this.#value.write(batch, row, this.#changelog === 'op' ? op : null);
    const value = deleted ? null : this.#value.bytes;
    const { key } = this.#spec;
    if (this.#keys !== null) {
      const keyEnd = this.#keys.write(batch, row, null, key);
      this.#producer.add(this.#keys.bytes, keyEnd, value, end);
      return;
    }
    const text = key === null || key.length === 0 ? null : this.#keyText(batch, row, key[0]);
    this.#producer.add(text, text?.length ?? 0, value, end);
  }

  #keyText(batch: Batch, row: number, c: number): Buffer | null {
    const { type } = this.#spec.columns[c];
    const v = datumAt(type, batch.columns[c], row);
    return v === null ? null : Buffer.from(formatDatum(type, v));
  }

  async prepare(): Promise<Json> {
    await this.#producer.flush();
    return null;
  }

  commit(): Promise<void> { return Promise.resolve(); }

  close(): Promise<void> { return this.#producer.close(); }
}

function validate(options: Options, columns: readonly { readonly name: string }[]): void {
  checkClientOptions(options);
  if (textOption(options, CHANGELOG) === 'op' && columns.some((c) => c.name === 'op')) throw new SqlError('42701', 'column "op" is in the way of the changelog\'s own field "op"', { hint: 'Name the column otherwise (AS …).' });
}

export const kafkaSink: SinkConnector = {
  name: 'kafka',
  description: 'messages to a Kafka topic',
  options: [TOPIC, SERVERS, FORMAT, KEY_FORMAT, CHANGELOG, COMPRESSION],
  prefixes: ['kafka.'],
  prefixed: CLIENT_PROPERTIES.filter((p) => p.name !== 'kafka.check.crcs'),
  guarantee: 'at_least_once',
  acceptsUpdates: (options) => (textOption(options, CHANGELOG) === 'op' ? 'yes' : 'with_key'),
  validate,
  check: checkTopic,
  create: (spec, context) => new KafkaWriter(spec, (level, message, fields) => context.log(level, message, fields)),
};
