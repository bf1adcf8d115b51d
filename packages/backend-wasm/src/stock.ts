/**
 * The stock module, loaded as its own code does but for two things. The files are read where we say, and no thread of its
 * own is started: it would begin with eight workers, whose script it takes from its own source text, which a bundler has
 * changed by then. Our threads share its memory instead.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { Read } from './files.js';

/** The stock module, as far as it matters here: what its type declarations leave out. */
export type StockModule = BackendWasm['wasm'] & {
  readonly wasmMemory?: WebAssembly.Memory;
  readonly asm: { readonly memory?: WebAssembly.Memory };
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(address: number): void;
};

type Factory = (config: {
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): object;
}) => Promise<StockModule & { cwrap(name: string, result: string | null, parameters: string[]): unknown }>;

/** Stands for a worker of the stock module: says that it has loaded, and does nothing. */
class NoWorker {
  declare onmessage: (event: { data: object }) => void;
  postMessage(): void {
    queueMicrotask(() => this.onmessage({ data: { cmd: 'loaded' } }));
  }
  on(): void {}
  unref(): void {}
  terminate(): void {}
}

/** Calls `start` with workers that do nothing. Emscripten's code for Node sets the global itself, to no effect here. */
function withoutWorkers<T>(start: () => T): T {
  const worker = Object.getOwnPropertyDescriptor(globalThis, 'Worker');
  Object.defineProperty(globalThis, 'Worker', { configurable: true, get: () => NoWorker, set: () => {} });
  try {
    return start();
  } finally {
    if (worker === undefined) delete (globalThis as { Worker?: unknown }).Worker;
    else Object.defineProperty(globalThis, 'Worker', worker);
  }
}

/** Loads the stock module, for `new BackendWasm(module)`, on memory that threads can share or on memory that they cannot. */
export async function loadStock(read: Read, shared: boolean): Promise<StockModule> {
  const [factory, compiled] = await Promise.all([
    shared
      ? import('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js')
      : import('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js'),
    read(`tfjs-backend-wasm${shared ? '-threaded' : ''}-simd.wasm`).then((binary) => WebAssembly.compile(binary)),
  ]);
  const start = factory.default as unknown as Factory;
  let failed!: (reason: unknown) => void;
  const failure = new Promise<never>((_, reject) => (failed = reject));
  const loading = withoutWorkers(() =>
    start({
      instantiateWasm(imports, done) {
        WebAssembly.instantiate(compiled, imports).then((instance) => done(instance, compiled), failed);
        return {};
      },
    }),
  );
  const module = await Promise.race([loading, failure]);
  const bind = (name: string, result: 'number' | null, parameters: number) =>
    module.cwrap(name, result, Array(parameters).fill('number'));
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
