/**
 * kafka: a sink that produces changes to a topic, at least once: everything written before a checkpoint barrier is acknowledged by all in-sync
 * replicas before the checkpoint holds (acks = all), and after a recovery the rows since the last checkpoint are produced again.
 *
 *   append-only query        each row is a message; its key is the stream key's columns, when there are any
 *   changelog = 'upsert'     (default for a query whose result changes; needs a key) the new row under its key; a deletion is a tombstone,
 *                            so that a compacted topic ends as the query's result, and a repeated message changes nothing
 *   changelog = 'op'         every change with a leading field op: insert, delete, update_before, update_after
 *
 * Keys: key_format json = an object of the key columns; text = the one key column's text. Messages are gathered to SEND_MESSAGES and
 * sent in order, one request at a time.
 */
import type { Batch } from '../../runtime/batch.js';
import type { OptionSpec, SinkConnector, SinkSpec, SinkWriter, SourceContext } from '../../runtime/connector.js';
import { datumAt } from '../../runtime/vectors.js';
import type { Json } from '../../types/connect.js';
import { SqlError } from '../../types/error.js';
import { formatDatum } from '../../types/textio.js';
import { eachChange, jsonEncoder } from '../formats/encode.js';
import type { RowEncoder, RowOp } from '../formats/encode.js';
import { textOption } from '../optionvalues.js';
import type { Options } from '../optionvalues.js';
import { SERVERS, TOPIC, checkClientOptions, checkTopic, isTransient, newProducer, toSqlError } from './client.js';
import type { Producer } from './client.js';

const SEND_MESSAGES = 1000;
const ACKS_ALL = -1;
const SEND_TRIES = 8;
const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 5000;
const COMPRESSIONS: Readonly<Record<string, number>> = { none: 0, gzip: 1 };

const FORMAT: OptionSpec = { name: 'format', kind: 'text', default: 'json', values: ['json'], description: 'message values: one JSON object each' };
const KEY_FORMAT: OptionSpec = { name: 'key_format', kind: 'text', default: 'json', values: ['json', 'text'], description: 'message keys: a JSON object of the key columns, or the text of the one key column' };
const CHANGELOG: OptionSpec = { name: 'changelog', kind: 'text', default: 'upsert', values: ['upsert', 'op'], description: 'changes as new rows and tombstones by key, or each with a field op' };
const COMPRESSION: OptionSpec = { name: 'compression', kind: 'text', default: 'none', values: ['none', 'gzip'], description: 'of the messages' };

interface Message { readonly key: string | null; readonly value: string | null }

class KafkaWriter implements SinkWriter {
  readonly #spec: SinkSpec;
  readonly #log: SourceContext['log'];
  readonly #topic: string;
  readonly #compression: number;
  readonly #changelog: 'none' | 'upsert' | 'op';
  readonly #value: RowEncoder;
  readonly #keyText: boolean;
  readonly #producer: Producer;
  #messages: Message[] = [];
  #closed = false;

  constructor(spec: SinkSpec, log: SourceContext['log']) {
    this.#spec = spec;
    this.#log = log;
    this.#topic = textOption(spec.options, TOPIC);
    this.#compression = COMPRESSIONS[textOption(spec.options, COMPRESSION)];
    this.#changelog = textOption(spec.options, CHANGELOG) === 'op' ? 'op' : spec.appendOnly ? 'none' : 'upsert';
    this.#value = jsonEncoder(spec.columns);
    this.#keyText = textOption(spec.options, KEY_FORMAT) === 'text';
    if (this.#keyText && spec.key !== null && spec.key.length > 1) throw new SqlError('22023', 'key_format = \'text\' needs a key of one column', { hint: `The key is (${spec.key.map((k) => spec.columns[k].name).join(', ')}): use key_format = 'json'.` });
    if (this.#changelog === 'upsert' && spec.key === null) throw new SqlError('0A000', 'a kafka sink of changes without a key is not supported', { hint: 'Give the query a key (GROUP BY, or a table with a PRIMARY KEY), or use changelog = \'op\'.' });
    this.#producer = newProducer(spec.options, log);
  }

  async open(): Promise<void> {
    try {
      await this.#producer.connect();
    } catch (e) {
      throw toSqlError(e, this.#spec.options, this.#topic);
    }
  }

  async write(batch: Batch): Promise<void> {
    eachChange(this.#spec.columns, batch, this.#spec.key, (row, op) => this.#change(batch, row, op));
    while (this.#messages.length >= SEND_MESSAGES) await this.#send(this.#messages.splice(0, SEND_MESSAGES));
  }

  #change(batch: Batch, row: number, op: RowOp): void {
    const key = this.#key(batch, row);
    if (this.#changelog === 'op') this.#messages.push({ key, value: this.#value.encode(batch, row, op) });
    else if (op === 'delete') this.#messages.push({ key, value: null });
    else if (op !== 'update_before') this.#messages.push({ key, value: this.#value.encode(batch, row, null) });
  }

  #key(batch: Batch, row: number): string | null {
    const { key, columns } = this.#spec;
    if (key === null || key.length === 0) return null;
    if (!this.#keyText) return jsonKey(this.#spec, batch, row, key);
    const c = key[0];
    const v = datumAt(columns[c].type, batch.columns[c], row);
    return v === null ? null : formatDatum(columns[c].type, v);
  }

  async #send(messages: readonly Message[]): Promise<void> {
    let pauseMs = PAUSE_MIN_MS;
    for (let tries = 1; messages.length > 0; tries++) {
      try {
        await this.#producer.send({ topic: this.#topic, acks: ACKS_ALL, compression: this.#compression, messages });
        return;
      } catch (e) {
        const error = toSqlError(e, this.#spec.options, this.#topic);
        if (!isTransient(error) || tries >= SEND_TRIES || this.#closed) throw error;
        this.#log('warn', `${error.message}; retrying`, { topic: this.#topic, tries });
        await new Promise((resolve) => { setTimeout(resolve, pauseMs); });
        pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS);
        await this.#producer.connect().catch(() => undefined);
      }
    }
  }

  async prepare(): Promise<Json> {
    while (this.#messages.length > 0) await this.#send(this.#messages.splice(0, SEND_MESSAGES));
    return null;
  }

  commit(): Promise<void> { return Promise.resolve(); }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#producer.disconnect().catch(() => undefined);
  }
}

function jsonKey(spec: SinkSpec, batch: Batch, row: number, key: readonly number[]): string {
  const keyed = jsonEncoder(key.map((k) => spec.columns[k]));
  return keyed.encode({ length: batch.length, columns: key.map((k) => batch.columns[k]), weights: null }, row, null);
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
  guarantee: 'at_least_once',
  acceptsUpdates: (options) => (textOption(options, CHANGELOG) === 'op' ? 'yes' : 'with_key'),
  validate,
  check: checkTopic,
  create: (spec, context) => new KafkaWriter(spec, (level, message, fields) => context.log(level, message, fields)),
};
