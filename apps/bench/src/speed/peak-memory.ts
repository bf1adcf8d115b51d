/** The most memory that training with a recipe takes, measured in a fresh process that does nothing else. */
import { fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GhlError } from '@ghl/core';
import type { MemoryMessage, MemoryTask } from './memory-process.js';

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
