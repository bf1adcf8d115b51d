/**
 * The stock module, loaded as its own code does except for three things. The files are read where we say. No thread of
 * its own is started: it would begin with eight workers, whose script it takes from its own source text, which a
 * bundler has changed by then; our threads share its memory instead. And it gets the names of CommonJS that a bundle
 * lacks.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { Read } from './files.js';
import { node } from './node.js';

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

/**
 * Globals while the stock module starts: a worker that does nothing, which Emscripten's code for Node replaces, to no
 * effect here; and what that code takes from CommonJS, which a bundle of ES modules has not.
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
 * Loads the stock module, for `new BackendWasm(module)`, on memory that threads can share or on memory that they
 * cannot.
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
