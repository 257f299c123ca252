/** What an own source or sink does wrong is an error that names it, whether it throws, rejects, or gives what is not asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INT4 } from '../../types/sqltype.js';
import type { SinkSpec, SourceContext, SourceSpec } from '../connector.js';
import type { SinkFunction, SourceFunction } from './api.js';
import { ownSink } from './ownsink.js';
import { ownSource } from './ownsource.js';

const failing = (message: RegExp) => (e: Error & { code?: string }): boolean => { assert.equal(e.code, '38000'); assert.match(e.message, message); return true; };
const nothing = { initializeState: () => undefined, snapshotState: () => undefined };

test('an own source', async () => {
  const next = (give: () => unknown): (() => Promise<unknown>) => {
    const definition = { name: 'mine', description: '', bounded: () => true, createFunction: () => ({ ...nothing, next: give }) as unknown as SourceFunction };
    const reader = ownSource(definition).create({ jobId: 1, relationName: 'r', options: {}, fields: [{ name: 'a', type: INT4 }], subtask: 0, parallelism: 1 } as unknown as SourceSpec, { wake: () => undefined, now: () => 0 } as unknown as SourceContext);
    return async () => { await reader.open({}); return reader.next(); };
  };
  await assert.rejects(next(() => { throw new Error('broken'); }), failing(/^source "mine" failed: broken$/));
  await assert.rejects(next(() => Promise.reject(new Error('later'))), failing(/^source "mine" failed: later$/));
  for (const wrong of [undefined, null, 7, {}, 'ended']) await assert.rejects(next(() => wrong), failing(/^source "mine": next gives an array of rows/), String(wrong));
  await assert.rejects(next(() => [undefined]), failing(/^source "mine" failed: /));
});

test('an own sink', async () => {
  const writer = (more: Partial<SinkFunction>): ReturnType<ReturnType<typeof ownSink>['create']> => {
    const definition = { name: 'mine', description: '', guarantee: 'exactly_once' as const, acceptsUpdates: true, createFunction: () => ({ ...nothing, write: () => undefined, ...more }) };
    return ownSink(definition).create({ jobId: 1, relationName: 'r', options: {}, columns: [], visible: [], key: null, appendOnly: true, subtask: 0, parallelism: 1 } as unknown as SinkSpec, { log: () => undefined, now: () => 0 });
  };
  const broken = (): never => { throw new Error('broken'); };
  await assert.rejects(writer({ initializeState: broken }).open(null, 0), failing(/^sink "mine" failed: broken$/));
  await assert.rejects(async () => writer({ snapshotState: broken }).prepare(1), failing(/^sink "mine" failed: broken$/));
  await assert.rejects(writer({ notifyCheckpointComplete: () => Promise.reject(new Error('gone')) }).commit(1), failing(/^sink "mine" failed: gone$/));
});
