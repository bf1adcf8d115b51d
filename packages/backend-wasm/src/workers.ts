/** Threads: workers of Node or of a browser, each of which waits in the kernels' `work` for the rest of its life. */
import { node } from './node.js';

/** What a worker gets. */
export interface Task {
  readonly compiled: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Where the block that threads share is. */
  readonly control: number;
}

/** A worker that has started. */
export interface Worker {
  /** Resolves to what went wrong when it has ended by itself. */
  readonly failure: Promise<Error>;
  /** Ends it; resolves when it has ended, in a browser at once. */
  terminate(): unknown;
}

/**
 * A worker's whole program. An error in a kernel is told to the main thread, which waits for the task, before it ends.
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

/** Starts so many workers, as threads 1, 2, …; all or, where one does not start, none. */
export async function startWorkers(count: number, task: Task): Promise<Worker[]> {
  const start = node ? startNodeWorker : startWebWorker;
  const attempts = await Promise.allSettled(Array.from({ length: count }, (_, i) => start({ ...task, thread: i + 1 })));
  const workers = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
  for (const started of attempts) {
    if (started.status === 'fulfilled') continue;
    await Promise.all(workers.map((worker) => worker.terminate()));
    throw started.reason;
  }
  return workers;
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
