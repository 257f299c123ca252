/** The connectors of this server: the one list that the composition root and the workers take. */
import type { Connectors } from '../runtime/connector.js';
import { blackholeSink } from './blackhole.js';
import { datagenSource } from './datagen.js';
import { fileSink } from './file/sink.js';
import { fileSource } from './file/source.js';
import { kafkaSink } from './kafka/sink.js';
import { kafkaSource } from './kafka/source.js';
import { nexmarkSource } from './nexmark/source.js';
import { printSink } from './print.js';

export const connectors: Connectors = {
  sources: [datagenSource, fileSource, kafkaSource, nexmarkSource],
  sinks: [blackholeSink, fileSink, kafkaSink, printSink],
};
