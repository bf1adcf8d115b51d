/**
 * Loads the stock module as its own code does, with three differences. It reads the files from custom locations. It
 * starts no threads: the stock code would start eight workers, with a script from its own source text, which a bundler
 * has changed. The threads of this package share its memory instead. And it defines the names of CommonJS that a bundle
 * lacks.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { Read } from './files.js';
import { node } from './node.js';

/** The members of the stock module that its type declarations omit. */
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

/** A worker of the stock module that reports that it has loaded, and does nothing. */
class NoWorker {
  declare onmessage: (event: { data: object }) => void;
  postMessage(): void {
    queueMicrotask(() => this.onmessage({ data: { cmd: 'loaded' } }));
  }
  on(): void {}
  unref(): void {}
  terminate(): void {}
}

/**
 * Globals while the stock module starts: a worker that does nothing, and the CommonJS names that a bundle of ES modules
 * lacks. Emscripten's code for Node tries to replace the worker, without effect.
 */
const globals: PropertyDescriptorMap = {
  Worker: { configurable: true, get: () => NoWorker, set: () => {} },
  ...(node && {
    __dirname: { configurable: true, value: '' },
    require: { configurable: true, value: (name: string) => process.getBuiltinModule(name) },
  }),
};

/** Calls `start` with these globals. */
function withGlobals<T>(start: () => T): T {
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  Object.defineProperties(globalThis, globals);
  try {
    return start();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) delete (globalThis as Record<string, unknown>)[name];
      else Object.defineProperty(globalThis, name, descriptor);
    }
  }
}

/**
 * Loads the stock module, for `new BackendWasm(module)`, on shared or unshared memory.
 */
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
  const loading = withGlobals(() =>
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
