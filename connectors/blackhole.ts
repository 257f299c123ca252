/** blackhole: a sink that takes rows and forgets them (benches, trying out a query). */
import type { SinkConnector, SinkWriter } from '../runtime/connector.js';
import type { Json } from '../types/connect.js';

class BlackholeWriter implements SinkWriter {
  open(): Promise<void> { return Promise.resolve(); }
  write(): void { /* that is all */ }
  prepare(): Json { return null; }
  commit(): Promise<void> { return Promise.resolve(); }
  close(): Promise<void> { return Promise.resolve(); }
}

export const blackholeSink: SinkConnector = {
  name: 'blackhole',
  description: 'takes rows and forgets them',
  options: [],
  guarantee: 'none',
  acceptsUpdates: () => 'yes',
  create: () => new BlackholeWriter(),
};
