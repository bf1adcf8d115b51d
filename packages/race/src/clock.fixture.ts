import type { Clock } from './clock.js';

/** The clock of this process. */
export const clock: Clock = {
  now: () => performance.now(),
  yieldToEventLoop: () => new Promise((done) => setImmediate(done)),
};
