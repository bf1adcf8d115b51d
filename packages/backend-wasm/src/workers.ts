/** Threads: workers of Node or of a browser. Each runs the kernels' `work` until it ends. */
import { node } from './node.js';

/** The start data of a worker. */
export interface Task {
  readonly compiled: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The address of the block that threads share. */
  readonly control: number;
}

/** A worker that has started. */
export interface Worker {
  /** Resolves to the error if the worker ends without `terminate()`. */
  readonly failure: Promise<Error>;
  /** Ends the worker. In Node, resolves when it has ended. */
  terminate(): unknown;
}

/**
 * The whole program of a worker. Before an error in a kernel ends it, it wakes the main thread, which waits for the
 * task.
 */
const program = `({ compiled, memory, control, thread }, ready) => {
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  exports.start(control);
  ready('ready');
  try {
    exports.work(thread);
  } catch (error) {
    exports.lose();
    throw error;
  }
}`;

/** Starts `count` workers, as threads 1, 2, …. If one does not start, it ends all. */
export async function startWorkers(count: number, task: Task): Promise<Worker[]> {
  const start = node ? startNodeWorker : startWebWorker;
  const attempts = await Promise.allSettled(Array.from({ length: count }, (_, i) => start({ ...task, thread: i + 1 })));
  const workers = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
  const failure = attempts.find((attempt) => attempt.status === 'rejected');
  if (failure === undefined) return workers;
  await Promise.all(workers.map((worker) => worker.terminate()));
  throw failure.reason;
}

async function startNodeWorker(task: Task & { thread: number }): Promise<Worker> {
  const { Worker } = process.getBuiltinModule('node:worker_threads');
  const source = `const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads');
    (${program})(workerData, (message) => parentPort.postMessage(message));`;
  const worker = new Worker(source, { eval: true, execArgv: [], workerData: task });
  let disposed = false;
  const failure = new Promise<Error>((resolve) => {
    worker.once('error', resolve);
    worker.once('exit', (status) => disposed || resolve(new Error(`it ended with status ${status}.`)));
  });
  await Promise.race([
    new Promise((resolve) => worker.once('message', resolve)),
    failure.then((error) => Promise.reject(error)),
  ]);
  worker.unref();
  const terminate = () => {
    disposed = true;
    return worker.terminate();
  };
  return { terminate, failure };
}

async function startWebWorker(task: Task & { thread: number }): Promise<Worker> {
  const source = `onmessage = ({ data }) => (${program})(data, postMessage);`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  try {
    const worker = new globalThis.Worker(url);
    const failure = new Promise<Error>((resolve) => {
      worker.onerror = ({ message }) => resolve(new Error(message ?? 'the page may not start workers from blobs.'));
    });
    worker.postMessage(task);
    await Promise.race([
      new Promise((resolve) => {
        worker.onmessage = resolve;
      }),
      failure.then((error) => Promise.reject(error)),
    ]);
    return { terminate: () => worker.terminate(), failure };
  } finally {
    URL.revokeObjectURL(url);
  }
}
