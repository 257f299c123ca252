import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SqlError } from '../../types/error.js';
import { JobSubscriptions } from './jobsubscriptions.js';
import { SubscriptionBuffer } from './subscriptions.js';

test('the end of a job ends the subscriptions that its next barrier would have opened; a restart leaves them waiting', async () => {
  const all = new JobSubscriptions();
  const buffer = new SubscriptionBuffer([], 0, () => { all.remove(1); });
  all.add({ nodeId: 1, subscriptionId: 1, snapshot: false }, buffer);
  all.failAll(new SqlError('40001', 'restarted'));
  assert.equal(all.anyWaiting, true);
  const read = buffer.events[Symbol.asyncIterator]().next();
  all.endAll(new SqlError('42P01', 'dropped'));
  await assert.rejects(read, { code: '42P01' });
  assert.equal(all.anyWaiting, false);
});
