/**
 * Threads in Node. Stock tfjs-wasm computes on one thread there, because its start-up code hands workers to the browser
 * as blobs. The threaded module itself runs in Node: this loads it, and hands its workers to Node as a data URL.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

type Module = BackendWasm['wasm'];

/** A Node worker, as far as it matters here. */
interface Worker {
  terminate(): Promise<number>;
  unref(): void;
}

interface Imports extends WebAssembly.Imports {
  readonly env: Record<string, WebAssembly.ImportValue>;
}

/** The part of Emscripten's thread pool that its type declarations leave out. */
interface ThreadPool {
  unusedWorkers: Worker[];
  readonly runningWorkers: readonly Worker[];
}

const folder = '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd';

/** The most threads that the module starts, whatever it is asked for. */
export const mostThreads = 4;

/** Loads the threaded SIMD module in Node; `new BackendWasm(module)` then starts its threads. */
export async function loadThreadedModule(threads: number): Promise<Module> {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  const script = require.resolve(`${folder}.js`);
  const { wasmWorkerContents } = require(`${folder}.worker.js`) as { wasmWorkerContents: string };
  // The worker's script is CommonJS, a worker that starts from a data URL is a module and lacks its two names; and the
  // package holds the script with a line break where it had an escape sequence.
  const worker = new URL(
    `data:text/javascript,${encodeURIComponent(
      `const require = process.getBuiltinModule('node:module').createRequire(${JSON.stringify(script)});\n` +
        `const __filename = ${JSON.stringify(script)};\n${wasmWorkerContents.replaceAll('\n', '\\n')}`,
    )}`,
  );
  const binary = require.resolve(`${folder}.wasm`);
  const start = require(script) as (config: object) => Promise<Module>;

  let failed!: (reason: unknown) => void;
  const failure = new Promise<never>((_, reject) => (failed = reject));
  // The module replaces the global Worker by Node's.
  const global = Object.getOwnPropertyDescriptor(globalThis, 'Worker');
  const loading = start({
    mainScriptUrlOrBlob: script,
    locateFile: (file: string) => (file.endsWith('.worker.js') ? worker : binary),
    instantiateWasm: (imports: Imports, done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void) => {
      // The module starts no more threads than half the cores that it is told of.
      imports.env.emscripten_num_logical_cores = () => 2 * threads;
      void (async () => {
        const compiled = await WebAssembly.compile(await process.getBuiltinModule('node:fs/promises').readFile(binary));
        done(await WebAssembly.instantiate(compiled, imports), compiled);
      })().catch(failed);
      return {};
    },
  });
  if (global === undefined) delete (globalThis as { Worker?: unknown }).Worker;
  else Object.defineProperty(globalThis, 'Worker', global);

  const module = await Promise.race([loading, failure]);
  const bind = (name: string, result: 'number' | null, parameters: number) =>
    (module as unknown as { cwrap(name: string, result: 'number' | null, parameters: 'number'[]): unknown }).cwrap(
      name,
      result,
      Array<'number'>(parameters).fill('number'),
    );
  (module as { tfjs: unknown }).tfjs = {
    init: bind('init', null, 0),
    initWithThreadsCount: bind('init_with_threads_count', null, 1),
    getThreadsCount: bind('get_threads_count', 'number', 0),
    registerTensor: bind('register_tensor', null, 3),
    disposeData: bind('dispose_data', null, 1),
    dispose: bind('dispose', null, 0),
  };
  return module;
}

/** Stops the workers that no thread runs on, and lets the process end while the others wait for work. */
export async function settleThreads(module: Module): Promise<void> {
  const pool = (module as unknown as { PThread: ThreadPool }).PThread;
  for (const worker of pool.runningWorkers) worker.unref();
  const unused = pool.unusedWorkers;
  pool.unusedWorkers = [];
  await Promise.all(unused.map((worker) => worker.terminate()));
}
