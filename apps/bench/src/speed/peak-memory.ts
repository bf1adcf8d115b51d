/** The most memory that training with a recipe takes, measured in a fresh process that does nothing else. */
import { fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GhlError } from '@ghl/core';
import type { Failure } from '../failure.js';
import type { PlannedRecipe } from '../race-plan.js';
import type { Batches } from './batches.js';

/** Steps after which memory is at its most: the first makes the optimizer's state, later ones reuse what was freed. */
export const MEMORY_STEPS = 4;

/** What the process is told. */
export interface MemoryTask {
  readonly recipe: PlannedRecipe;
  readonly network: string;
  readonly backend: string;
  readonly threads: number;
  readonly batches: Batches;
}

/** What it says. */
export type MemoryMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly mebibytes: number }
  | { readonly type: 'failed'; readonly failure: Failure };

const script = join(dirname(fileURLToPath(import.meta.url)), 'memory-process.js');

/**
 * Peak resident memory in MiB, of the whole process: Node, the backend's memory, and its threads.
 *
 * @throws GhlError `MEMORY_PROCESS_DIED`, or what the process failed with.
 */
export function peakMemory(task: MemoryTask): Promise<number> {
  return new Promise((found, fail) => {
    const child = fork(script, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced' });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-2000);
      });
    }
    child.on('message', (message: MemoryMessage) => {
      if (message.type === 'ready') child.send(task);
      else if (message.type === 'done') found(message.mebibytes);
      else fail(new GhlError(message.failure.code, message.failure.message, { help: message.failure.help }));
    });
    child.on('close', (status, signal) =>
      fail(
        new GhlError(
          'MEMORY_PROCESS_DIED',
          `The process that measures the memory of ${task.recipe.name} ended with ${signal ?? `status ${status}`}. ${said}`.trim(),
          { help: 'often memory ran out: try a smaller --batch.' },
        ),
      ),
    );
  });
}
