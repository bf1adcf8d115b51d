/** Repairs the listeners of the process, which the Emscripten code of the stock backend adds and removes in excess. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { node } from './node.js';

const processEvents = ['uncaughtException', 'unhandledRejection'] as const;
type Listener = (...values: unknown[]) => void;

/**
 * Returns a function that removes the listeners that Emscripten has added since. They catch uncaught exceptions and
 * throw them again, which changes the exit status of every later crash.
 */
export function watchListeners(): () => void {
  if (!node) return () => {};
  const before = processEvents.map((event) => process.rawListeners(event));
  return () => {
    for (const [i, event] of processEvents.entries()) {
      for (const listener of process.rawListeners(event)) {
        if (!before[i]!.includes(listener) && /ExitStatus|throw reason/.test(String(listener))) {
          process.removeListener(event, listener as Listener);
        }
      }
    }
  };
}

/** Makes `dispose()` keep all listeners: Emscripten's clean-up code removes those of others with its own. */
export function keepListeners(wasm: BackendWasm): void {
  if (!node) return;
  const dispose = wasm.dispose;
  wasm.dispose = () => {
    const before = processEvents.map((event) => process.rawListeners(event));
    dispose.call(wasm);
    for (const [i, event] of processEvents.entries()) {
      for (const listener of before[i]!) {
        if (!process.rawListeners(event).includes(listener)) process.on(event as 'exit', listener as Listener);
      }
    }
  };
}
