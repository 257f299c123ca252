/** How splits are shared out to the subtasks of a source. Every subtask computes the same answer from the split alone. */

/** By the split's place in a list that all subtasks see alike. */
export function ownsIndex(index: number, subtask: number, parallelism: number): boolean {
  return index % parallelism === subtask;
}

/**
 * By its name, for splits whose list may change: their place in it would. FNV-1a without a final mix: its low bits keep names apart that
 * differ in one place, so that numbered files spread evenly over 2 or 4 subtasks.
 */
export function ownsName(name: string, subtask: number, parallelism: number): boolean {
  return subtaskOfName(name, parallelism) === subtask;
}

export function subtaskOfName(name: string, parallelism: number): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return (h >>> 0) % parallelism;
}
