/** TensorFlow.js on a CPU never waits for anything, so a training loop must let signals and messages in by itself. */
import { setImmediate } from 'node:timers/promises';

/**
 * Lets the process hear what came in: a signal, a message, the end of the process that started it, after which it must
 * not write any more.
 */
export function letEventsIn(): Promise<void> {
  return setImmediate();
}
