/**
 * Restoring a job from the path of a checkpoint or savepoint, of this or another server: which of its state the new plan takes (planmatch.ts), and the
 * job's start from it until it has a checkpoint of its own. State files are only read; a claimed folder is deleted once enough checkpoints followed.
 *
 * Sinks begin anew under their own names: what the restored job put out after the snapshot comes again (at least once); what the snapshot had
 * prepared and nobody committed is finished (the connector's doing).
 */
import { CheckpointFolder, folderPlace } from '../../storage/checkpoint/folder.js';
import { BlockCursor } from '../../storage/checkpoint/format.js';
import type { CheckpointMetadata, TaskMetadata } from '../../storage/checkpoint/metadata.js';
import { CheckpointStorage } from '../../storage/checkpoint/storage.js';
import type { FileStore } from '../../storage/filestore.js';
import { HASH_VERSION } from '../../types/encoding/hash.js';
import { SqlError } from '../../types/error.js';
import type { Plan, PlanNode } from '../../types/plan.js';
import type { RestoreRow, RestoreSource } from '../engine.js';
import { nodeOfTable } from '../state/owners.js';
import { matchPlans, operatorName, renumbered, type PlanMatch } from './planmatch.js';

export interface Restorable { readonly folder: CheckpointFolder; readonly match: PlanMatch; readonly sameServer: boolean }

/** Opens the store of a folder. */
export type OpenPlace = (root: string) => FileStore;

/** Opens and reads all of what is at `path`: XX001 names the file that is damaged. */
export async function openRestorable(path: string, plan: Plan, serverId: string, open: OpenPlace): Promise<Restorable> {
  const { parent, name } = folderPlace(path);
  const folder = await CheckpointFolder.open(open(parent), name);
  const { metadata } = folder;
  if (metadata.hashVersion !== HASH_VERSION) throw new SqlError('0A000', `"${path}" was written with another hash function (version ${metadata.hashVersion}); this server has version ${HASH_VERSION}`);
  await folder.verify();
  const sameServer = metadata.serverId === serverId;
  const match = matchPlans(metadata.plan, plan, sameServer);
  if (metadata.tasks.some(t => t.files.some(f => f.kind === 'inflight')) && !match.sameForm) {
    throw new SqlError('0A000', `"${path}" holds rows in flight (an unaligned checkpoint), which a changed query cannot take`, { hint: 'Take a savepoint of the job, which is always aligned, and restore from that.' });
  }
  return { folder, match, sameServer };
}

const isSink = (n: PlanNode): boolean => n.op === 'sink';
/** Without state of its own: it starts empty whatever it is. */
function keepsNothing(metadata: CheckpointMetadata, node: PlanNode): boolean {
  return isSink(node) && metadata.tasks.every(t => { const s = t.operators[String(node.id)] as { readonly sink?: unknown } | undefined; return s?.sink === undefined || s.sink === null; });
}

/** What does not match: of the checkpoint (dropped), of the plan (starts empty). */
function unmatched({ folder, match }: Restorable): { readonly dropped: readonly string[]; readonly empty: readonly string[] } {
  const { metadata } = folder;
  return {
    dropped: match.dropped.filter(d => !keepsNothing(metadata, d.node)).map(d => `${operatorName(metadata.plan, d.node)} of the checkpoint: ${d.why}`),
    empty: match.nodes.filter(n => n.from === null && !isSink(n.node)).map(n => `${n.name}: ${n.why}`),
  };
}

/** The plan with the ids that its state has, and where the state is; 55000 naming operators that do not match, unless that is allowed. */
export function restorePlan(restorable: Restorable, plan: Plan, path: string, options: { readonly allowNonRestored: boolean; readonly claim: boolean }): { readonly plan: Plan; readonly source: RestoreSource; readonly notices: readonly string[] } {
  const { folder: { metadata }, match } = restorable;
  const { dropped, empty } = unmatched(restorable);
  if (match.nodes.every(n => n.from === null || isSink(n.node))) {
    throw new SqlError('55000', `nothing of "${path}" matches the query`, { detail: [...empty, ...dropped].join('\n'), hint: 'Create it without restore_from, or from a snapshot of a job with such a query.' });
  }
  if (!options.allowNonRestored && dropped.length + empty.length > 0) {
    throw new SqlError('55000', `the query does not match what is in "${path}"`, {
      detail: [...empty.map(e => `Would start empty: ${e}.`), ...dropped.map(d => `Would be dropped: ${d}.`)].join('\n'),
      hint: `EXPLAIN RESTORE FROM '${path}' AS SELECT …; shows all operators. SET allow_non_restored_state = on; lets them start empty.`,
    });
  }
  for (const { node, from } of match.nodes) {
    const zone = from?.timeZone ?? 'UTC';
    if (from === null || node.op === 'source' || zone === (node.timeZone ?? 'UTC')) continue;
    throw new SqlError('55000', `what is in "${path}" was computed in the time zone ${zone}, and this session's is ${node.timeZone ?? 'UTC'}`, { hint: `SET TimeZone = '${zone}'; before CREATE.` });
  }
  const used = [...metadata.plan.nodes.map(n => n.id), ...metadata.tasks.flatMap(t => t.nodeIds)];
  const renamed = renumbered(plan, match.ids, Math.max(0, ...used.filter(id => id >= 0)) + 1);
  const notices = [...empty.map(e => `starts empty: ${e}`), ...dropped.map(d => `state dropped: ${d}`)];
  for (const { node, from, name, why } of match.nodes) {
    if (from !== null && isSink(node)) notices.push(`${name} delivers at least once across this restore: what was put out after the snapshot comes again`);
    else if (from !== null && match.remarks.has(node)) notices.push(`${name}: ${why}`);
  }
  return {
    plan: renamed, notices,
    source: { path, nodes: match.nodes.flatMap(n => (n.from === null ? [] : [n.from.id])), resetLogs: match.nodes.flatMap(n => (n.from !== null && match.resetLogs.has(n.node) ? [n.from.id] : [])), claim: options.claim },
  };
}

/** Rows of EXPLAIN RESTORE: each operator of the query, then those of the checkpoint that nothing matches. */
export async function explainRestore(restorable: Restorable): Promise<RestoreRow[]> {
  const { folder, match } = restorable;
  const bytes = await bytesByNode(folder);
  const state = (node: PlanNode): string => `${operatorName(folder.metadata.plan, node)} (operator ${node.id})`;
  return [
    ...match.nodes.map(({ from, name, why, node }): RestoreRow => ({
      operator: name, matched: from === null ? null : state(from), bytes: from === null ? null : bytes.get(from.id) ?? 0,
      action: from !== null ? 'restored' : isSink(node) ? 'starts anew' : 'starts empty', why,
    })),
    ...match.dropped.map(({ node, why }): RestoreRow => ({ operator: null, matched: state(node), bytes: bytes.get(node.id) ?? 0, action: 'dropped', why })),
  ];
}

/** Bytes of state entries by node, and of source positions. */
async function bytesByNode(folder: CheckpointFolder): Promise<Map<number, number>> {
  const bytes = new Map<number, number>();
  const add = (node: number, more: number): void => { bytes.set(node, (bytes.get(node) ?? 0) + more); };
  for (const task of folder.metadata.tasks) {
    for (const [node, state] of Object.entries(task.operators)) add(Number(node), JSON.stringify(state).length);
    for (const ref of task.files) {
      if (ref.kind === 'inflight') continue;
      for await (const block of folder.readStateFile(ref)) add(nodeOfTable(new BlockCursor(block).tableId), block.length);
    }
  }
  return bytes;
}

// ---- the job's start ----

export interface RestoreStart { readonly checkpointId: number; readonly epoch: number; readonly tasks: readonly TaskMetadata[]; readonly nodes: readonly number[] }

/** What the tasks of a new job begin with. */
export async function restoreStart(source: RestoreSource, open: OpenPlace): Promise<RestoreStart> {
  const { parent, name } = folderPlace(source.path);
  const { metadata } = await CheckpointFolder.open(open(parent), name);
  const taken = new Set(source.nodes);
  const reset = new Set(source.resetLogs);
  const sinks = new Set(metadata.plan.nodes.filter(isSink).map(n => n.id));
  const tasks = metadata.tasks.map((t): TaskMetadata => ({
    ...t, nodeIds: t.nodeIds.filter(id => taken.has(id)),
    operators: Object.fromEntries(Object.entries(t.operators).filter(([id]) => taken.has(Number(id))).map(([id, state]) => {
      if (reset.has(Number(id))) return [id, { ...(state as object), seq: 0 }];
      // The sink of another job: its names are its own, what it prepared is finished.
      return [id, sinks.has(Number(id)) ? { rows: 0, sink: (state as { readonly sink: TaskMetadata['operators'][string] }).sink, otherJob: true } : state];
    })),
  }));
  return { checkpointId: metadata.checkpointId, epoch: metadata.epoch, tasks, nodes: source.nodes };
}

/** Deletes a claimed folder: a savepoint whole, of a job's checkpoints this one and the files that only it needs. */
export async function deleteClaimed(source: RestoreSource, open: OpenPlace): Promise<void> {
  const { parent, name } = folderPlace(source.path);
  const folder = await CheckpointFolder.open(open(parent), name).catch((e: unknown) => {
    if (e instanceof SqlError && e.code === '58P01') return null;
    throw e;
  });
  if (folder === null) return;
  if (folder.metadata.kind === 'savepoint') { await folder.remove(); return; }
  const { jobId, checkpointId, tasks } = folder.metadata;
  const above = folderPlace(parent);
  if (above.name !== String(jobId)) throw new SqlError('55000', `the claimed checkpoint "${source.path}" stands in no folder of its job: it is not deleted`);
  const storage = new CheckpointStorage(open(above.parent), jobId);
  const others = (await storage.list()).filter(c => c.id !== checkpointId);
  // A damaged one hides what it needs: then everything shared stays.
  if (others.some(c => c.metadata === null)) await folder.store.removeFolder(name);
  else if (others.length === 0) await storage.drop();
  else await storage.discard(checkpointId, tasks.flatMap(t => t.files), others.flatMap(c => (c.metadata === null ? [] : [c.metadata])));
}
