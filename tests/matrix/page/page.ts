/** A page that offers what every runtime must do, in itself and in a worker, to whoever steers the browser. */
import './printed.js';
import { offers } from './offers.js';
import type { Answer } from './worker.js';

let worker: Worker | undefined;

/** Asks the page's worker in place of the page. */
function inWorker(name: string, ...parameters: unknown[]): Promise<unknown> {
  worker ??= new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const asked = worker;
  return new Promise((resolve, reject) => {
    asked.onerror = ({ message }) => reject(new Error(`The worker fails: ${message}`));
    asked.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ('error' in data) reject(new Error(data.error));
      else resolve(data.value);
    };
    asked.postMessage([name, ...parameters]);
  });
}

Object.assign(globalThis, { ...offers, inWorker });
