/**
 * LISTEN, UNLISTEN, NOTIFY. Notifications: who listens to which channel, over all sessions. SessionChannels: one session's part, which takes effect when its
 * transaction commits, as in Postgres; equal notifications of one transaction are sent once. Delivery is the protocol's: at once to an idle connection.
 *
 * The server itself notifies channel `checkpoints`, with pid 0: one JSON object a checkpoint that ended, and a job that was restored from one.
 */
import type { CheckpointRow, RestoreEvent } from '../../runtime/engine.js';
import { SqlError } from '../../types/error.js';

export const CHECKPOINTS_CHANNEL = 'checkpoints';
/** Postgres' limits. */
const PAYLOAD_BYTES_MAX = 7999;
const CHANNEL_BYTES_MAX = 63;
/** Of a failure's message in a payload. */
const MESSAGE_LENGTH_MAX = 1000;

type Deliver = (channel: string, payload: string, pid: number) => void;

export class Notifications {
  readonly #channels = new Map<string, Set<Deliver>>();

  listen(channel: string, deliver: Deliver): void {
    let listeners = this.#channels.get(channel);
    if (listeners === undefined) this.#channels.set(channel, listeners = new Set());
    listeners.add(deliver);
  }
  unlisten(channel: string, deliver: Deliver): void {
    const listeners = this.#channels.get(channel);
    listeners?.delete(deliver);
    if (listeners?.size === 0) this.#channels.delete(channel);
  }
  heard(channel: string): boolean { return this.#channels.has(channel); }
  publish(channel: string, payload: string, pid: number): void {
    for (const deliver of this.#channels.get(channel) ?? []) deliver(channel, payload, pid);
  }

  checkpointEnded(row: CheckpointRow): void {
    if (this.heard(CHECKPOINTS_CHANNEL)) this.publish(CHECKPOINTS_CHANNEL, checkpointPayload(row), 0);
  }
  restored(event: RestoreEvent): void {
    if (!this.heard(CHECKPOINTS_CHANNEL)) return;
    this.publish(CHECKPOINTS_CHANNEL, JSON.stringify({
      event: 'restored', job_id: event.jobId, job_name: event.jobName, checkpoint_id: event.checkpointId, kind: event.kind, restore_time: time(event.restoreMs), restarts: event.restarts,
    }), 0);
  }
}

/** The columns of millrace.checkpoints that a listener acts on; `event` is the row's status. */
function checkpointPayload(row: CheckpointRow): string {
  return JSON.stringify({
    event: row.status, job_id: row.jobId, job_name: row.jobName, checkpoint_id: row.checkpointId, kind: row.kind, mode: row.mode, unaligned: row.unaligned,
    trigger_time: time(row.triggerMs), completion_time: time(row.completionMs), duration_ms: row.completionMs === null ? null : row.completionMs - row.triggerMs,
    state_bytes: row.stateBytes, checkpointed_bytes: row.checkpointedBytes, persisted_inflight_bytes: row.persistedInflightBytes, path: row.path,
    failure_reason: row.failureReason, failure_message: row.failureMessage?.slice(0, MESSAGE_LENGTH_MAX) ?? null,
  });
}

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

type Change = { readonly kind: 'listen' | 'unlisten'; readonly channel: string } | { readonly kind: 'unlisten all' };

export class SessionChannels {
  readonly #all: Notifications;
  readonly #deliver: Deliver;
  readonly #pid: number;
  readonly #listening = new Set<string>();
  /** Of the transaction, in order. */
  #changes: Change[] = [];
  readonly #sent = new Map<string, { readonly channel: string; readonly payload: string }>();

  constructor(all: Notifications, pid: number, deliver: Deliver) {
    this.#all = all;
    this.#pid = pid;
    this.#deliver = deliver;
  }

  listen(channel: string): void { checkChannel(channel); this.#changes.push({ kind: 'listen', channel }); }
  /** null = all. */
  unlisten(channel: string | null): void { this.#changes.push(channel === null ? { kind: 'unlisten all' } : { kind: 'unlisten', channel }); }
  notify(channel: string, payload: string): void {
    checkChannel(channel);
    if (Buffer.byteLength(payload) > PAYLOAD_BYTES_MAX) throw new SqlError('22023', 'payload string too long', { detail: `${Buffer.byteLength(payload)} bytes of at most ${PAYLOAD_BYTES_MAX}` });
    this.#sent.set(`${channel}\u0000${payload}`, { channel, payload });
  }

  commit(): void {
    for (const change of this.#changes) {
      if (change.kind === 'unlisten all') { this.#leaveAll(); continue; }
      if (change.kind === 'listen') { this.#listening.add(change.channel); this.#all.listen(change.channel, this.#deliver); }
      else { this.#listening.delete(change.channel); this.#all.unlisten(change.channel, this.#deliver); }
    }
    const sent = [...this.#sent.values()];
    this.rollback();
    for (const { channel, payload } of sent) this.#all.publish(channel, payload, this.#pid);
  }
  rollback(): void {
    this.#changes = [];
    this.#sent.clear();
  }
  close(): void {
    this.rollback();
    this.#leaveAll();
  }

  #leaveAll(): void {
    for (const channel of this.#listening) this.#all.unlisten(channel, this.#deliver);
    this.#listening.clear();
  }
}

function checkChannel(channel: string): void {
  if (channel === '') throw new SqlError('22023', 'channel name cannot be empty');
  if (Buffer.byteLength(channel) > CHANNEL_BYTES_MAX) throw new SqlError('22023', 'channel name too long');
}
