/** A page with functions for the driver of the browser: the requirements of every runtime, in the page and a worker. */
import './printed.js';
import { offers } from './offers.js';
import type { Answer } from './worker.js';

let worker: Worker | undefined;

/** Calls a function in the worker. */
function inWorker(name: string, ...parameters: unknown[]): Promise<unknown> {
  worker ??= new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const current = worker;
  return new Promise((resolve, reject) => {
    current.onerror = ({ message }) => reject(new Error(`The worker fails: ${message}`));
    current.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ('error' in data) reject(new Error(data.error));
      else resolve(data.value);
    };
    current.postMessage([name, ...parameters]);
  });
}

Object.assign(globalThis, { ...offers, inWorker });
