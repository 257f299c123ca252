import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { systemEnv } from '../../types/env.js';
import { INT8 } from '../../types/sqltype.js';
import type { Batch } from '../batch.js';
import { CHANNEL_BYTES_MAX, localChannel, portIn, portOut, type ChannelIn, type ChannelOut, type Item } from './channel.js';

const batch = (rows: number): Batch => ({ length: rows, columns: [{ form: 'f64', values: new Float64Array(rows).fill(7), nulls: null }], weights: null });
const BIG = CHANNEL_BYTES_MAX / 8;

async function arrived(channel: ChannelIn): Promise<void> {
  if (channel.empty) await new Promise<void>(resolve => { channel.wake = resolve; });
}

async function backpressure(out: ChannelOut, receiver: ChannelIn): Promise<void> {
  assert.equal(out.full, false);
  out.send(batch(BIG));
  assert.equal(out.full, true, 'bytes not taken yet fill it');
  out.signal({ k: 'watermark', us: 5 });
  const drained = new Promise<void>(resolve => { out.onDrain(resolve); });
  await arrived(receiver);
  const first = receiver.take();
  assert.ok(first.k === 'batch' && first.batch.length === BIG);
  await drained;
  assert.equal(out.full, false);
  await arrived(receiver);
  assert.deepEqual(receiver.take(), { k: 'watermark', us: 5 });
  assert.equal(receiver.empty, true);
}

test('in one worker: order is kept, the sender is full until the receiver takes', async () => {
  const channel = localChannel('x');
  await backpressure(channel.out, channel.in);
});

test('over a port: order is kept, credit comes back as the receiver takes, the batch stays usable', async () => {
  const { port1, port2 } = new MessageChannel();
  const receiver = portIn('x', port2, [INT8]);
  const out = portOut('x', port1, [INT8], systemEnv);
  await backpressure(out, receiver.in);
  const kept = batch(3);
  out.send(kept);
  assert.equal(kept.columns[0].form === 'f64' ? kept.columns[0].values[2] : 0, 7);
  await arrived(receiver.in);
  receiver.in.take();
  const closed = once(port1, 'close');
  receiver.close();
  out.close();
  await closed;
});

test('over a port small batches and watermarks wait for each other, and go with a barrier at once, without one soon', async () => {
  const { port1, port2 } = new MessageChannel();
  const messages: number[] = [];
  port2.on('message', (items: readonly unknown[]) => { messages.push(items.length); });
  const receiver = portIn('x', port2, [INT8]);
  const out = portOut('x', port1, [INT8], systemEnv);
  const three = async (): Promise<void> => {
    for (let k = 0; k < 3; k++) {
      await arrived(receiver.in);
      receiver.in.take();
    }
  };
  out.send(batch(3));
  out.signal({ k: 'watermark', us: 5 });
  out.signal({ k: 'barrier', injected: { barrier: { epoch: 1, checkpoint: null, logPosition: 0, timeUs: 0 }, pins: [], taps: [], tablesRead: false } });
  await three();
  assert.deepEqual(messages, [3]);
  out.send(batch(3));
  out.send(batch(3));
  out.signal({ k: 'end' });
  await three();
  assert.deepEqual(messages, [3, 3]);
  const closed = once(port1, 'close');
  receiver.close();
  out.close();
  await closed;
});

const checkpoint = (id: number): Item => ({ k: 'barrier', injected: { barrier: { epoch: 1, checkpoint: { id, since: 0 }, logPosition: 0, timeUs: 0, midEpoch: { unalignedAfterMs: 0 } }, pins: [], taps: [], tablesRead: false } });
const light: Item = { k: 'barrier', injected: { barrier: { epoch: 1, checkpoint: null, logPosition: 0, timeUs: 0 }, pins: [], taps: [], tablesRead: false } };
const rows = (batches: readonly Batch[]): number[] => batches.map(b => b.length);

test('a checkpoint barrier is announced as it comes in, whatever is queued before it', () => {
  const { out, in: receiver } = localChannel('x');
  const announced: number[] = [];
  receiver.announced = injected => { announced.push(injected.barrier.checkpoint?.id ?? 0); };
  out.send(batch(1));
  out.signal(light as Exclude<Item, { k: 'batch' }>);
  assert.deepEqual(announced, []);
  out.signal(checkpoint(4) as Exclude<Item, { k: 'batch' }>);
  assert.deepEqual(announced, [4]);
});

test('capture gives the batches before the barrier, light barriers between them or not, and takes the barrier out; all else stays queued', async () => {
  const { in: receiver } = localChannel('x');
  receiver.put({ k: 'batch', batch: batch(1), bytes: 8 });
  receiver.take();
  for (const n of [2, 3]) receiver.put({ k: 'batch', batch: batch(n), bytes: 8 });
  receiver.put(light);
  receiver.put({ k: 'batch', batch: batch(4), bytes: 8 });
  receiver.put(checkpoint(7));
  receiver.put({ k: 'batch', batch: batch(5), bytes: 8 });
  const { batches, complete } = receiver.capture(7);
  await complete;
  assert.deepEqual(rows(batches), [2, 3, 4]);
  const kinds: string[] = [];
  while (!receiver.empty) kinds.push(receiver.take().k);
  assert.deepEqual(kinds, ['batch', 'batch', 'barrier', 'batch', 'batch']);
});

test('capture goes on until the barrier comes: what is taken meanwhile counts too, what comes after it does not', async () => {
  const { in: receiver } = localChannel('x');
  receiver.put({ k: 'batch', batch: batch(1), bytes: 8 });
  const { batches, complete } = receiver.capture(7);
  receiver.take();
  receiver.put({ k: 'batch', batch: batch(2), bytes: 8 });
  // An older checkpoint's barrier is not the one.
  receiver.put(checkpoint(6));
  receiver.put({ k: 'batch', batch: batch(3), bytes: 8 });
  receiver.put(checkpoint(7));
  await complete;
  receiver.put({ k: 'batch', batch: batch(4), bytes: 8 });
  assert.deepEqual(rows(batches), [1, 2, 3]);
});

test('a capture that was given up keeps nothing more', () => {
  const { in: receiver } = localChannel('x');
  const { batches } = receiver.capture(7);
  receiver.forget(7);
  receiver.put({ k: 'batch', batch: batch(2), bytes: 8 });
  assert.deepEqual(rows(batches), []);
});
