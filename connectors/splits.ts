/** How splits are shared out to the subtasks of a source. Every subtask computes the same answer from the split alone. */

/** By the split's place in a list that all subtasks see alike. */
export function ownsIndex(index: number, subtask: number, parallelism: number): boolean {
  return index % parallelism === subtask;
}

/** By its name (FNV-1a), for splits that appear while the job runs: their place in the list would change. */
export function ownsName(name: string, subtask: number, parallelism: number): boolean {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  h ^= h >>> 15;
  return (h >>> 0) % parallelism === subtask;
}
