/**
 * A server with faults, as a process of its own: `node server.js <options as JSON>`. It is what `millrace` is, opened with rules that strike storage and the
 * steps of checkpoints; and, to see that the matrix would notice, with a bug planted: sinks commit before the checkpoint's _metadata is written.
 */
import { open } from '../../server/open.js';
import { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import { faultPlan, type FaultRule } from '../../storage/faults.js';

export interface FaultServerOptions {
  readonly data: string;
  readonly workers: number;
  readonly rules: readonly FaultRule[];
  readonly plantedBug: boolean;
}

/** The workload's last. */
const SINK_JOB = 6;
/** Long enough for the sinks to commit first. */
const LATE_MS = 300;

function commitBeforeMetadata(): void {
  const complete = CheckpointStorage.prototype.complete;
  CheckpointStorage.prototype.complete = async function late(this: CheckpointStorage, metadata): Promise<string> {
    if (this.jobId !== SINK_JOB) return complete.call(this, metadata);
    setTimeout(() => { complete.call(this, metadata).catch(() => undefined); }, LATE_MS);
    return this.path(metadata.checkpointId);
  };
}

const options = JSON.parse(process.argv[2] ?? '{}') as FaultServerOptions;
if (options.plantedBug) commitBeforeMetadata();
const server = await open({ data: options.data, port: 0, settings: { workers: String(options.workers) }, faults: faultPlan(options.rules) });
process.stderr.write(`${JSON.stringify({ port: server.port, msg: 'ready' })}\n`);
process.on('SIGTERM', () => { server.close().then(() => { process.exit(0); }, () => { process.exit(1); }); });
