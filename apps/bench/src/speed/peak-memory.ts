/** The most memory that training with a recipe takes, measured in a fresh process that does nothing else. */
import { askChild } from '../ask-child.js';
import type { MemoryTask, PeakMemory } from './memory-process.js';

/**
 * Asks such a process.
 *
 * @throws GhlError `MEMORY_PROCESS_DIED`, or what the process failed with.
 */
export function peakMemory(task: MemoryTask): Promise<PeakMemory> {
  const died = {
    code: 'MEMORY_PROCESS_DIED' as const,
    what: `The process that measures the memory of ${task.recipe.name}`,
    help: 'often memory ran out: try a smaller --batch.',
  };
  return askChild({ script: 'speed/memory-process', died }, task);
}
